"""Places: where a row's machines stand, and what follows from it: grid zone, PUE, GHG scope and WUE, by validity.

What belongs here: the one rule that turns (source, provider, account, region) into a place. What does not: grid
factors and sums. Rows carry provider, account and region; the few distinct combinations of them (members) are
resolved one by one, and rows join the result, so that 2,000 accounts in 60 regions cost what one does.

Each of zone, PUE, scope and WUE is taken from the most specific that states it:
the source's own `place` block, then `places` of site.yaml (account and region, region, account, provider), then
`data/cloud_regions.csv` and `data/water.csv`. Where nobody states it, zone, PUE and WUE are NULL; the scope is Scope 2
on premises and Scope 3.1 (bought services) elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.accounts import account_key
from energy_assets.contracts.regions import region_key
from energy_assets.contracts.vocabulary import Feed, GhgScope
from energy_assets.factors.footprints import water_on_site
from energy_assets.factors.tables import cloud_regions
from energy_assets.site import Site, SitePlace
from energy_assets.sources.base import Place
from energy_assets.tables import Table, raw_table

MEMBER = ("source", "provider", "account_id", "region")
BEGINNING, END = date.min, date.max
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
    """

    member: Member
    valid_from: date
    valid_to: date
    zone: str | None
    pue: Decimal | None
    ghg_scope: str
    said_by: tuple[str, str, str, str]
    wue: Decimal | None = None


def resolve(members: Iterable[Member], places: Mapping[str, Place], stated: Sequence[SitePlace]) -> list[Resolved]:
    """The place of each member, one entry per longest stretch of days with the same values stated by the same lines.

    Args:
        members: Distinct combinations that rows have.
        places: The `place` block of each source that has one.
        stated: `places` of site.yaml.
    """
    by_key: dict[tuple[str, str, str], list[tuple[str, SitePlace]]] = defaultdict(list)
    for number, place in enumerate(stated):
        by_key[place.key].append((f"site.yaml places[{number}]", place))
    return [
        entry
        for member in dict.fromkeys(members)
        for entry in _stretches(member, places.get(member.source), _speaking_of(member, by_key))
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


def resolved_for(site: Site, rows: ir.Table) -> pa.Table:
    """The places of all members that occur in rows, as a table for `with_place`.

    Args:
        site: The site file.
        rows: With the columns of a member, on a connection.
    """
    return as_table(resolve(members_of(rows), site.source_places, site.places))


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


def _stretches(member: Member, block: Place | None, stated: Sequence[tuple[str, SitePlace]]) -> list[Resolved]:
    bounds = {BEGINNING, END} | {day for _, place in stated for day in (place.valid_from, place.valid_to) if day}
    found: list[Resolved] = []
    for first, after in pairwise(sorted(bounds)):
        valid = [(line, place) for line, place in stated if place.holds(first, after)]
        entry = _resolved(member, block, valid, first, after)
        if found and replace(found[-1], valid_from=first, valid_to=after) == entry:
            found[-1] = replace(found[-1], valid_to=after)
        else:
            found.append(entry)
    return found


def _resolved(
    member: Member, block: Place | None, stated: Sequence[tuple[str, SitePlace]], first: date, after: date
) -> Resolved:
    here = region_key(member.provider, member.region or "")
    layers: list[tuple[str, Any]] = []
    if block and region_key(block.provider, block.region if member.region else "") == here:
        layers.append((f"place of the source {member.source}", block))
    layers += stated
    if region := cloud_regions().get(here):
        layers.append(("", region))
    if water := water_on_site(*here):
        layers.append((f"water.csv: {water.source} ({water.year})", _Water(water.l_per_kwh)))
    zone, zone_from = _first(layers, "zone")
    pue, pue_from = _first(layers, "pue")
    scope, scope_from = _first(layers, "ghg_scope")
    if scope is None:
        own = here[0] == ON_PREMISES
        scope = GhgScope.SCOPE2 if own else GhgScope.SCOPE31
        scope_from = "on premises" if own else "a bought service"
    wue, wue_from = _first(layers, "wue")
    return Resolved(member, first, after, zone, pue, str(scope), (zone_from, pue_from, scope_from, wue_from), wue)


@dataclass(frozen=True)
class _Water:
    wue: Decimal


def _first(layers: Sequence[tuple[str, Any]], name: str) -> tuple[Any, str]:
    for said_by, layer in layers:
        value = getattr(layer, name, None)
        if value is not None:
            return value, said_by or layer.stated_in(name)
    return None, ""
