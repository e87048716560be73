"""Places: where a row's machines stand, and what follows from it: grid zone, PUE, GHG scope and WUE, by validity.

What belongs here: the one rule that turns (source, provider, account, region) into a place. What does not: grid
factors and sums. Rows carry provider, account and region; the few distinct combinations of them (members) are
resolved one by one, and rows join the result, so that 2,000 accounts in 60 regions cost what one does.

Each of zone, PUE, scope and WUE is taken from the most specific that states it:
the source's own `place` block, then `places` of site.yaml (account and region, region, account, provider), then
`data/cloud_regions.csv`, `data/pue.csv` and `data/water.csv`, of which that edition counts that stands for the day
(`editions.py`). Where nobody states it, zone, PUE and WUE are NULL; the scope is Scope 2 on premises and Scope 3.1
(bought services) elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.accounts import account_key
from energy_assets.contracts.regions import region_key
from energy_assets.contracts.vocabulary import Feed, GhgScope
from energy_assets.factors.editions import BEGINNING, END, Standing, standing
from energy_assets.factors.tables import cloud_zones, published_pue, published_wue
from energy_assets.site import Site, SitePlace
from energy_assets.sources.base import Place
from energy_assets.tables import Table, raw_table

MEMBER = ("source", "provider", "account_id", "region")
ON_PREMISES = "onprem"
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in MEMBER),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
        ("zone", pa.string()),
        ("pue", pa.decimal128(5, 3)),
        ("ghg_scope", pa.string()),
        ("wue", pa.decimal128(8, 6)),
        *((name, pa.string()) for name in ("zone_from", "pue_from", "scope_from", "wue_from")),
    ]
)


@dataclass(frozen=True)
class Member:
    """Where some rows say they come from; None where they do not say."""

    source: str
    provider: str
    account_id: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Resolved:
    """What holds for a member from `valid_from` to before `valid_to`, and who says so.

    Attributes:
        member: The member.
        valid_from: First day.
        valid_to: The day after the last.
        zone: Grid zone; None where nobody states it.
        pue: Power usage effectiveness; None where nobody states it.
        ghg_scope: Category of the GHG Protocol.
        said_by: Who states zone, PUE, scope and WUE, in this order; empty for what is unknown.
        wue: Litres of water for cooling per kWh of the machines; None where nobody states it.
        standing: Which edition each of the four is of where it is of one of our tables, in the same order.
    """

    member: Member
    valid_from: date
    valid_to: date
    zone: str | None
    pue: Decimal | None
    ghg_scope: str
    said_by: tuple[str, str, str, str]
    wue: Decimal | None = None
    standing: tuple[Standing | None, ...] = (None, None, None, None)


def resolve(
    members: Iterable[Member],
    places: Mapping[str, Place],
    stated: Sequence[SitePlace],
    days: Collection[date] | None = None,
) -> list[Resolved]:
    """The place of each member, one entry per longest stretch of days with the same values stated by the same lines.

    Args:
        members: Distinct combinations that rows have.
        places: The `place` block of each source that has one.
        stated: `places` of site.yaml.
        days: Days that matter: entries are cut to the time from the first to the last of them; None for all time.
    """
    window = (min(days), max(days) + timedelta(days=1)) if days else (BEGINNING, END)
    by_key: dict[tuple[str, str, str], list[tuple[str, SitePlace]]] = defaultdict(list)
    for number, place in enumerate(stated):
        by_key[place.key].append((f"site.yaml places[{number}]", place))
    return [
        entry
        for member in dict.fromkeys(members)
        for entry in _stretches(member, places.get(member.source), _speaking_of(member, by_key), window)
    ]


def as_table(resolved: Sequence[Resolved]) -> pa.Table:
    """Resolved members as a table: the columns of a member, validity, zone, pue, ghg_scope, wue, and who says so."""
    rows = [
        (r.member.source, r.member.provider, r.member.account_id, r.member.region, r.valid_from, r.valid_to)
        + (r.zone, r.pue, r.ghg_scope, r.wue, *r.said_by)
        for r in resolved
    ]
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in _SCHEMA]
    return pa.table([pa.array(column, dtype.type) for column, dtype in zip(columns, _SCHEMA, strict=True)], _SCHEMA)


def members_of(rows: ir.Table) -> list[Member]:
    """The distinct members of rows with source, provider, account_id and region; none for rows without a provider."""
    known = rows.filter(rows.provider.notnull())
    found = known.select(*MEMBER).distinct().order_by(*MEMBER).to_pyarrow().to_pylist()
    return [Member(**row) for row in found]


def filled(rows: ir.Table, places: Mapping[str, Place], ranks: Mapping[str, int]) -> ir.Table:
    """Readings of all sources with the place of their source's block where they name none, and their source's rank.

    A row of another provider than the block's keeps its account and region NULL: the block does not speak of it.

    Args:
        rows: With `source` and, nullable, provider, account_id and region.
        places: The `place` block of each source that has one.
        ranks: Position of each source in the site file; the smaller is preferred.
    """
    blocks = [(name, rank, places.get(name)) for name, rank in ranks.items()]
    columns = [
        [name for name, _, _ in blocks],
        [rank for _, rank, _ in blocks],
        *([getattr(place, key) if place else None for _, _, place in blocks] for key in MEMBER[1:]),
    ]
    text = pa.string()
    schema = pa.schema([("source", text), ("source_rank", pa.int32()), *((f"block_{key}", text) for key in MEMBER[1:])])
    table = ibis.memtable(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema))
    joined = rows.inner_join(table, "source")
    meant = joined.provider.isnull() | (joined.provider.strip().lower() == joined.block_provider.strip().lower())
    own = {key: ibis.coalesce(joined[key], ibis.ifelse(meant, joined[f"block_{key}"], None)) for key in MEMBER[1:]}
    return joined.mutate(**own).drop(*(f"block_{key}" for key in MEMBER[1:]))


SPELLINGS = ibis.schema({name: "string" for name in ("seen_provider", "seen_region", "provider", "region")})
"""Columns of `one_spelling`: a region as rows write it, and as it is written everywhere."""


def one_spelling(rows: ir.Table, places: Mapping[str, Place], stated: Sequence[SitePlace]) -> pa.Table:
    """The provider and region that rows write in other ways, each with its one spelling: a table of schema `SPELLINGS`.

    That is how the site file spells it first, or else the table of cloud regions (see `region_key`): the same machine
    may reach us from two sources that write `West Europe` and `westeurope`. A provider has one spelling in all of its
    regions, and where no region is known.

    Args:
        rows: With provider and region, on a connection.
        places: The `place` block of each source that has one.
        stated: `places` of site.yaml.
    """
    stated_pairs = [(p.provider, p.region) for p in places.values()] + [(p.provider, p.region) for p in stated]
    providers: dict[str, str] = {}
    regions: dict[tuple[str, str], str] = {}
    for provider, region in stated_pairs:
        key = region_key(provider, region or "")
        providers.setdefault(key[0], provider.strip())
        if region and "".join(region.lower().split()) == "".join(key[1].split()):  # no availability zone of it
            regions.setdefault(key, region.strip())
    named = rows.filter(rows.provider.notnull()).select("provider", "region").distinct().order_by("provider", "region")
    differ = []
    for row in named.to_pyarrow().to_pylist():
        key = region_key(row["provider"], row["region"] or "")
        region = None if row["region"] is None else regions.get(key, key[1])
        one = {"provider": providers.get(key[0], key[0]), "region": region}
        if one != row:
            differ.append({f"seen_{name}": value for name, value in row.items()} | one)
    return pa.Table.from_pylist(differ, schema=SPELLINGS.to_pyarrow())


def respelled(rows: ir.Table, spellings: ir.Table) -> ir.Table:
    """Rows with the one spelling of their provider and region.

    Args:
        rows: With provider and region.
        spellings: From `one_spelling`.
    """
    other = spellings.rename(spelled_provider="provider", spelled_region="region")
    here = [rows.provider == other.seen_provider, rows.region.identical_to(other.seen_region)]
    joined = rows.left_join(other, here)
    one = {key: ibis.coalesce(joined[f"spelled_{key}"], joined[key]) for key in ("provider", "region")}
    return joined.mutate(**one).select(*rows.columns)


def with_place(rows: ir.Table, places: ir.Table, columns: Sequence[str] = ("pue", "ghg_scope")) -> ir.Table:
    """Rows with `columns` of their place on their day; NULL where the member has none.

    One hash join, whatever the number of sources, accounts and regions. What a row says already stays: only its NULLs
    are filled.

    Args:
        rows: With day and the columns of a member.
        places: From `as_table`; at most one entry per member and day.
        columns: Which of zone, pue, ghg_scope and wue to add.
    """
    named = places.select(
        *(places[key].name(f"place_{key}") for key in MEMBER),
        "valid_from",
        "valid_to",
        *(places[name].name(f"place_{name}") for name in columns),
    )
    same = [rows[key].identical_to(named[f"place_{key}"]) for key in MEMBER]
    joined = rows.left_join(named, [*same, rows.day >= named.valid_from, rows.day < named.valid_to])
    placed = {
        name: ibis.coalesce(joined[name], joined[f"place_{name}"]) if name in rows.columns else joined[f"place_{name}"]
        for name in columns
    }
    return joined.select(**{name: joined[name] for name in rows.columns} | placed)


def resolved_for(site: Site, rows: ir.Table, days: Collection[date] | None = None) -> pa.Table:
    """The places of all members that occur in rows, as a table for `with_place`.

    Args:
        site: The site file.
        rows: With the columns of a member, on a connection.
        days: Those of the rows; None for all time.
    """
    return as_table(resolve(members_of(rows), site.source_places, site.places, days))


def site_zones(site: Site) -> tuple[str, ...]:
    """Every grid zone that the site file speaks of: in blocks of sources, in `places`, and by cloud region."""
    members = [
        Member(name, place.provider, place.account_id, place.region) for name, place in site.source_places.items()
    ]
    members += [Member("", place.provider, place.account_id, place.region) for place in site.places]
    return zones_of(resolve(members, site.source_places, site.places))


def zones_in_rows(site: Site, read: Callable[[Table], ir.Table]) -> tuple[str, ...]:
    """The grid zones of metered machines and of billed use, as their rows and the table of cloud regions tell it.

    Args:
        site: The site file.
        read: The rows of a source's raw table for the days at hand, on a connection.
    """
    return tuple(sorted({*machine_zones(site, read), *billed_zones(site, read)}))


def machine_zones(site: Site, read: Callable[[Table], ir.Table]) -> tuple[str, ...]:
    """The grid zones in which metered machines stand, as their rows and the table of cloud regions tell it.

    Args:
        site: The site file.
        read: The rows of a source's raw table for the days at hand, on a connection.
    """
    found: set[str] = set()
    for source in site.feeding(Feed.ENERGY):
        rows = read(raw_table(source)).select(*MEMBER[1:]).distinct().mutate(source=ibis.literal(source.name))
        members = members_of(filled(rows, site.source_places, {source.name: 0}))
        found |= set(zones_of(resolve(members, site.source_places, site.places)))
    return tuple(sorted(found))


def billed_zones(site: Site, read: Callable[[Table], ir.Table]) -> tuple[str, ...]:
    """The grid zones of what bills say was used; none where the site estimates no energy from them.

    Args:
        site: The site file.
        read: The rows of a source's raw table for the days at hand, on a connection.
    """
    found: set[str] = set()
    for source in site.feeding(Feed.COST) if site.has(Feed.ESTIMATES) else []:
        rows = read(raw_table(source))
        used = rows.filter(rows.charge_category == "Usage")
        members = members_of(used.select(*MEMBER[1:]).distinct().mutate(source=ibis.literal(source.name)))
        found |= set(zones_of(resolve(members, site.source_places, site.places)))
    return tuple(sorted(found))


def zones_of(resolved: Iterable[Resolved]) -> tuple[str, ...]:
    """Every grid zone of resolved members, sorted."""
    return tuple(sorted({entry.zone for entry in resolved if entry.zone}))


def _speaking_of(
    member: Member, by_key: Mapping[tuple[str, str, str], list[tuple[str, SitePlace]]]
) -> list[tuple[str, SitePlace]]:
    """What site.yaml states of a member, the most specific first."""
    provider, region = region_key(member.provider, member.region or "")
    account = account_key(provider, member.account_id)
    keys = dict.fromkeys(
        [(provider, region, account), (provider, region, ""), (provider, "", account), (provider, "", "")]
    )
    return [stated for key in keys for stated in by_key.get(key, ())]


def _stretches(
    member: Member, block: Place | None, stated: Sequence[tuple[str, SitePlace]], window: tuple[date, date]
) -> list[Resolved]:
    here = region_key(member.provider, member.region or "")
    tables = _of_tables(*here)
    bounds = {day for _, place in stated for day in (place.valid_from, place.valid_to) if day}
    bounds |= {day for _, _, found in tables for one in found for day in (one.since, one.until)}
    bounds = {*window, *(day for day in bounds if window[0] < day < window[1])}
    found: list[Resolved] = []
    for first, after in pairwise(sorted(bounds)):
        valid = [(line, place) for line, place in stated if place.holds(first, after)]
        ours = {name: (table, one) for name, table, every in tables for one in every if one.since <= first < one.until}
        entry = _resolved(member, block, valid, ours, first, after)
        if found and replace(found[-1], valid_from=first, valid_to=after) == entry:
            found[-1] = replace(found[-1], valid_to=after)
        else:
            found.append(entry)
    return found


@cache
def _of_tables(provider: str, region: str) -> tuple[tuple[str, str, tuple[Standing, ...]], ...]:
    """What our tables say of a region: what it is, the table, and which edition stands when.

    A zone is never carried to days that its row does not speak of: grids are split and renamed.
    """
    key = (provider, region)
    return (
        ("zone", "cloud_regions.csv", standing(cloud_zones().get(key, ()), carry=False)),
        ("pue", "pue.csv", standing(published_pue().get(key, ()))),
        ("wue", "water.csv", standing(published_wue().get(key, ()))),
    )


def _resolved(
    member: Member,
    block: Place | None,
    stated: Sequence[tuple[str, SitePlace]],
    ours: Mapping[str, tuple[str, Standing]],
    first: date,
    after: date,
) -> Resolved:
    here = region_key(member.provider, member.region or "")
    layers: list[tuple[str, Place | SitePlace]] = []
    if block and region_key(block.provider, block.region if member.region else "") == here:
        layers.append((f"place of the source {member.source}", block))
    layers += stated
    zone, zone_from, zone_of = _first(layers, ours, "zone")
    pue, pue_from, pue_of = _first(layers, ours, "pue")
    scope, scope_from, _ = _first(layers, ours, "ghg_scope")
    if scope is None:
        own = here[0] == ON_PREMISES
        scope = GhgScope.SCOPE2 if own else GhgScope.SCOPE31
        scope_from = "on premises" if own else "a bought service"
    wue, wue_from, wue_of = _first(layers, ours, "wue")
    said_by = (zone_from, pue_from, scope_from, wue_from)
    return Resolved(
        member, first, after, zone, pue, str(scope), said_by, wue, (zone_of, pue_of, None, wue_of)
    )  # fmt: skip


def _first(
    layers: Sequence[tuple[str, Place | SitePlace]], ours: Mapping[str, tuple[str, Standing]], name: str
) -> tuple[Any, str, Standing | None]:
    """The value that counts, who says so, and the edition of our table where it is of one."""
    for said_by, layer in layers:
        value = getattr(layer, name, None)
        if value is not None:
            return value, said_by, None
    table, one = ours.get(name, ("", None))
    if one is None or not one.edition.value:
        return None, "", None
    text = one.edition.value
    return (text if name == "zone" else Decimal(text)), one.said(table), one
