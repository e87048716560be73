"""What factors that became others did to days that were made before, and which days still have the old ones.

What belongs here: comparing the record of a run's days before and after it, with the figures, and saying so. What does
not: which factor applies (`factors/`), and the comparison of two records itself (`factors/changes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.commands import command
from energy_assets.contracts.vocabulary import Feed
from energy_assets.counting import counted
from energy_assets.factor_listing import APPLIES, CARRIED, Applied
from energy_assets.factors.changes import FactorChange, factor_changes
from energy_assets.lake import Lake
from energy_assets.periods import contiguous
from energy_assets.remarks import Remark
from energy_assets.site import Site
from energy_assets.tables import EMISSIONS, FACTORS_APPLIED

ASSET = "/".join(FACTORS_APPLIED.asset)
SHOWN = 5
COMPARED = ("GHG scope", "PUE", "WUE", "grid zone", "water of the grid, consumed")
"""Factors of places and grids: those that the listing and the record write alike."""
_FIGURES = {
    "location_g": ("location-based", "kg", 1000), "lifecycle_g": ("life-cycle", "kg", 1000),
    "losses_g": ("grid losses", "kg", 1000),
    "embodied_g": ("embodied", "kg", 1000), "water_onsite_l": ("water on site", "l", 1),
    "water_offsite_l": ("water off site", "l", 1), "facility_kwh": ("energy of the facility", "kWh", 1),
}  # fmt: skip
"""Columns of emissions whose sums are compared: what they are, the unit printed, and how many make one of it."""


@dataclass(frozen=True)
class Record:
    """What the lake had before a run: versions of the tables; None of one that did not exist.

    Attributes:
        factors: Of `factors_applied`.
        emissions: Of `emissions`.
    """

    factors: int | None
    emissions: int | None


@dataclass(frozen=True)
class FigureChange:
    """A sum of emissions over the days that were restated.

    Attributes:
        column: Of `emissions`.
        ghg_scope: Whose rows.
        old: The sum before; None where nothing was known.
        new: The sum now.
    """

    column: str
    ghg_scope: str
    old: Decimal | None
    new: Decimal | None


def record(site: Site) -> Record:
    """What there is now, to compare with later.

    Args:
        site: Whose lake is asked.
    """
    if not site.has(Feed.ENERGY):
        return Record(None, None)
    lake = Lake(site.disk())
    return Record(lake.version(FACTORS_APPLIED.name), lake.version(EMISSIONS.name))


def restated_by_factors(site: Site, before: Record) -> tuple[list[FactorChange], list[FigureChange]]:
    """Which factors are others than before on days that were made before, and which sums of these days with them.

    Args:
        site: Whose lake is asked.
        before: From `record`.
    """
    lake = Lake(site.disk())
    if before.factors is None or before.factors == lake.version(FACTORS_APPLIED.name):
        return [], []
    old, new = lake.fingerprints(FACTORS_APPLIED.name, before.factors), lake.fingerprints(FACTORS_APPLIED.name)
    days = sorted(day for day in old.keys() & new.keys() if old[day] != new[day])
    if not days:
        return [], []
    con = ibis.duckdb.connect()
    changes = factor_changes(
        lake.read(con, FACTORS_APPLIED, days, before.factors), lake.read(con, FACTORS_APPLIED, days)
    )
    moved = sorted({day for one in changes if one.changes_value for span in one.days for day in span})
    return changes, _figures(con, lake, before.emissions, moved) if moved and before.emissions is not None else []


def _figures(con: Any, lake: Lake, version: int, days: Sequence[date]) -> list[FigureChange]:
    sums = [_sums(con, lake.read(con, EMISSIONS, days, one)) for one in (version, None)]
    found = []
    for scope in sorted({*sums[0], *sums[1]}):
        for column in _FIGURES:
            old, new = (every.get(scope, {}).get(column) for every in sums)
            if old != new:
                found.append(FigureChange(column, scope, old, new))
    return found


def _sums(con: Any, rows: ir.Table) -> dict[str, dict[str, Any]]:
    by = rows.group_by("ghg_scope").aggregate(**{name: rows[name].sum() for name in _FIGURES})
    return {row["ghg_scope"] or "no scope": row for row in con.to_pyarrow(by).to_pylist()}


def factor_remarks(site: Site, before: Record) -> Iterator[Remark]:
    """What a run restated because factors became others; nothing of it is a hole.

    Args:
        site: Whose lake is asked.
        before: From `record`, before the run.
    """
    changes, figures = restated_by_factors(site, before)
    for one in changes[:SHOWN]:
        yield Remark(ASSET, one.reason, hole=False, days=one.days)
    if len(changes) > SHOWN:
        yield Remark(ASSET, f"and {counted(len(changes) - SHOWN, 'factor')} more became others", hole=False)
    if figures:
        yield Remark(
            "/".join(EMISSIONS.asset), f"restated by these factors: {'; '.join(map(_said, figures))}", hole=False
        )


def _said(one: FigureChange) -> str:
    name, unit, of = _FIGURES[one.column]
    old, new = ("not known" if value is None else f"{value / of:,.3f}" for value in (one.old, one.new))
    pct = f" ({100 * (one.new - one.old) / one.old:+.2f} %)" if one.old and one.new is not None else ""
    return f"{name} of {one.ghg_scope} {old} → {new} {unit}{pct}"


def outdated_days(site: Site, applied: Sequence[Applied]) -> list[date]:
    """Days that were made with another value of a factor of a place or grid than the one that applies now.

    Args:
        site: Whose lake is asked.
        applied: From `factor_listing.applied`.
    """
    now = [one for one in applied if one.factor in COMPARED and one.state in (APPLIES, CARRIED)]
    lake, con = Lake(site.disk()), ibis.duckdb.connect()
    recorded = lake.read(con, FACTORS_APPLIED)
    columns = {
        "now_factor": [one.factor for one in now],
        "now_of": [one.of for one in now],
        "now_value": [one.value for one in now],
        "first": [date.fromisoformat(one.since[:10]) if one.since else date.min for one in now],
        "last": [date.fromisoformat(one.until[:10]) if one.until else date.max for one in now],
    }
    types = [pa.string()] * 3 + [pa.date32()] * 2
    arrays = [pa.array(values, dtype) for values, dtype in zip(columns.values(), types, strict=True)]
    table = ibis.memtable(pa.table(arrays, names=list(columns)))
    named = table.select("now_factor", "now_of").distinct()
    known = recorded.semi_join(named, [recorded.factor == named.now_factor, recorded.of == named.now_of])
    same = [
        known.factor == table.now_factor, known.of == table.now_of,
        known["value"].fill_null("unknown") == table.now_value, known.day >= table["first"], known.day <= table["last"],
    ]  # fmt: skip
    found = con.to_pyarrow(known.anti_join(table, same).select("day").distinct())["day"].to_pylist()
    return sorted(found)


def outdated_said(site: Site, days: Sequence[date]) -> str:
    """What to say of days that were made with factors that are others now, and how to make them again.

    Args:
        site: Of the days.
        days: From `outdated_days`; at least one.
    """
    lines = [command("run", site=site.file, options={"from": span.first, "to": span.last}) for span in contiguous(days)]
    return (
        f"{counted(len(days), 'day')} made with other factors than those that apply now. The automation makes them "
        "again; by hand:\n  " + "\n  ".join(lines)
    )
