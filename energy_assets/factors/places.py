"""Places: where a row's machines stand, and what follows from it: grid zone, PUE and GHG scope, by validity.

What belongs here: the one rule that turns (source, provider, account, region) into a place. What does not: grid
factors and sums. Rows carry provider, account and region; the few distinct combinations of them (members) are
resolved one by one, and rows join the result, so that 2,000 accounts in 60 regions cost what one does.

Each of zone, PUE and scope is taken from the most specific that states it:
the source's own `place` block, then `places` of site.yaml (account and region, region, account, provider), then
`data/cloud_regions.csv`. Where nobody states it, zone and PUE are NULL; the scope is Scope 2 on premises and Scope 3.1
(bought services) elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.vocabulary import GhgScope
from energy_assets.factors.tables import CloudRegion, cloud_regions
from energy_assets.site import Site, SitePlace
from energy_assets.sources.base import Place

MEMBER = ("source", "provider", "account_id", "region")
BEGINNING, END = date.min, date.max
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in MEMBER),
        ("valid_from", pa.date32()),
        ("valid_to", pa.date32()),
        ("zone", pa.string()),
        ("pue", pa.decimal128(5, 3)),
        ("ghg_scope", pa.string()),
        *((name, pa.string()) for name in ("zone_from", "pue_from", "scope_from")),
    ]
)
_AWS_ZONE = re.compile(r"^([a-z]{2}(?:-[a-z]+)+-\d)[a-z]$")
_GCP_ZONE = re.compile(r"^([a-z]+-[a-z]+\d+)-[a-z]$")


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
        said_by: Who states zone, PUE and scope, in this order; empty for what is unknown.
    """

    member: Member
    valid_from: date
    valid_to: date
    zone: str | None
    pue: Decimal | None
    ghg_scope: str
    said_by: tuple[str, str, str]


def resolve(members: Iterable[Member], places: Mapping[str, Place], stated: Sequence[SitePlace]) -> list[Resolved]:
    """The place of each member, one entry per stretch of days with the same values.

    Args:
        members: Distinct combinations that rows have.
        places: The `place` block of each source that has one.
        stated: `places` of site.yaml.
    """
    return [entry for member in members for entry in _stretches(member, places.get(member.source), stated)]


def as_table(resolved: Sequence[Resolved]) -> pa.Table:
    """Resolved members as a table: the columns of a member, validity, zone, pue, ghg_scope, and who says so."""
    rows = [
        (r.member.source, r.member.provider, r.member.account_id, r.member.region, r.valid_from, r.valid_to)
        + (r.zone, r.pue, r.ghg_scope, *r.said_by)
        for r in resolved
    ]
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in _SCHEMA]
    return pa.table([pa.array(column, dtype.type) for column, dtype in zip(columns, _SCHEMA, strict=True)], _SCHEMA)


def members_of(rows: ir.Table) -> list[Member]:
    """The distinct members of rows with source, provider, account_id and region."""
    found = rows.select(*MEMBER).distinct().order_by(*MEMBER).to_pyarrow().to_pylist()
    return [Member(**row) for row in found]


def filled(rows: ir.Table, places: Mapping[str, Place], ranks: Mapping[str, int]) -> ir.Table:
    """Readings of all sources with the place of their source's block where they name none, and their source's rank.

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
    return joined.mutate(**{key: ibis.coalesce(joined[key], joined[f"block_{key}"]) for key in MEMBER[1:]}).drop(
        *(f"block_{key}" for key in MEMBER[1:])
    )


def with_place(rows: ir.Table, places: ir.Table, columns: Sequence[str] = ("pue", "ghg_scope")) -> ir.Table:
    """Rows with `columns` of their place on their day; NULL where the member has none.

    Args:
        rows: With day and the columns of a member.
        places: From `as_table`; at most one entry per member and day.
        columns: Which of zone, pue and ghg_scope to add.
    """
    named = places.select(
        *(places[key].name(f"place_{key}") for key in MEMBER),
        "valid_from",
        "valid_to",
        *(places[name].name(f"place_{name}") for name in columns),
    )
    same = [rows[key].identical_to(named[f"place_{key}"]) for key in MEMBER]
    joined = rows.left_join(named, [*same, rows.day >= named.valid_from, rows.day < named.valid_to])
    return joined.select(*(rows[name] for name in rows.columns), **{c: joined[f"place_{c}"] for c in columns})


def site_zones(site: Site) -> tuple[str, ...]:
    """Every grid zone that the site file speaks of: in blocks of sources, in `places`, and by cloud region."""
    members = [
        Member(name, place.provider, place.account_id, place.region) for name, place in site.source_places.items()
    ]
    members += [Member("", place.provider, place.account_id, place.region) for place in site.places]
    found = {entry.zone for entry in resolve(members, site.source_places, site.places)}
    return tuple(sorted(zone for zone in found if zone))


def same_region(provider: str, region: str) -> str:
    """A region as the table of regions writes it: `us-east-1` for `US-East-1` and for its zone `us-east-1a`.

    Azure writes both `East US` and `eastus`.
    """
    text = region.strip().lower()
    if provider == "azure":
        return text.replace(" ", "")
    pattern = {"aws": _AWS_ZONE, "gcp": _GCP_ZONE}.get(provider)
    zone = pattern.match(text) if pattern else None
    return zone.group(1) if zone else text


def _stretches(member: Member, block: Place | None, stated: Sequence[SitePlace]) -> Iterator[Resolved]:
    mine = sorted((p for p in stated if _speaks_of(p, member)), key=_specificity, reverse=True)
    bounds = {BEGINNING, END} | {day for p in mine for day in (p.valid_from, p.valid_to) if day}
    days = sorted(bounds)
    last: Resolved | None = None
    for first, after in pairwise(days):
        valid = [p for p in mine if (p.valid_from or BEGINNING) <= first and after <= (p.valid_to or END)]
        entry = _resolved(member, block, valid, first, after)
        if last and _values(last) == _values(entry):
            last = Resolved(member, last.valid_from, after, *_values(last))
            continue
        if last:
            yield last
        last = entry
    if last:
        yield last


def _values(entry: Resolved) -> Any:
    return (entry.zone, entry.pue, entry.ghg_scope, entry.said_by)


def _resolved(member: Member, block: Place | None, stated: Sequence[SitePlace], first: date, after: date) -> Resolved:
    layers: list[tuple[str, Place | SitePlace | CloudRegion]] = []
    if block and _is_at(block, member):
        layers.append((f"place of the source {member.source}", block))
    layers += [(f"places of site.yaml ({_named(place)})", place) for place in stated]
    region = member.region and cloud_regions().get((member.provider, same_region(member.provider, member.region)))
    if region:
        layers.append(("", region))
    zone, zone_from = _first(layers, "zone")
    pue, pue_from = _first(layers, "pue")
    scope, scope_from = _first(layers, "ghg_scope")
    if scope is None:
        scope = GhgScope.SCOPE2 if member.provider == "onprem" else GhgScope.SCOPE31
        scope_from = "on premises" if member.provider == "onprem" else "a bought service"
    return Resolved(member, first, after, zone, pue, str(scope), (zone_from, pue_from, scope_from))


def _first(layers: Sequence[tuple[str, Any]], name: str) -> tuple[Any, str]:
    for said_by, layer in layers:
        value = getattr(layer, name, None)
        if value is not None:
            return value, said_by or getattr(layer, f"{name}_source")
    return None, ""


def _is_at(block: Place, member: Member) -> bool:
    same = block.provider == member.provider
    return same and (
        member.region is None
        or same_region(block.provider, block.region) == same_region(member.provider, member.region)
    )


def _speaks_of(place: SitePlace, member: Member) -> bool:
    if place.provider != member.provider or (place.account_id and place.account_id != member.account_id):
        return False
    if place.region is None:
        return True
    here = member.region and same_region(member.provider, member.region)
    return here == same_region(place.provider, place.region)


def _specificity(place: SitePlace) -> tuple[bool, bool]:
    return (place.region is not None, place.account_id is not None)


def _named(place: SitePlace) -> str:
    return ", ".join(part for part in (place.provider, place.account_id, place.region) if part)


def resolved_for(site: Site, rows: ir.Table) -> pa.Table:
    """The places of all members that occur in rows, as a table for `with_place`."""
    return as_table(resolve(members_of(rows), site.source_places, site.places))
