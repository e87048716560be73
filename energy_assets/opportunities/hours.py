"""Rule: work that could have run in cleaner hours of its day, at its own place.

What belongs here: the grams between the hours in which movable work ran and the cleanest ones of the same day. What
does not: whether there was room for it in these hours: nobody knows, and nothing is claimed.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.opportunities.parts import (
    BASIS_COLUMN,
    MOVABLE,
    Keep,
    days_in,
    month_of,
    only,
    scope_of,
    selected,
    share,
    stated,
)

IDENTITY = ("provider", "account_id", "region", "zone", "project", "model_id", "workload_type")
HOURS_OF_DAY = 24
WHAT = "Start this work so that it runs in the cleanest hours of the day."
BASIS = (
    "The hours of each UTC day trade places: the hour with most energy runs in the cleanest one, the next in the next, "
    "so that no hour draws more than one did. Energy is the same; whether machines were free then is not known. Only "
    "days of which all 24 hourly intensities of the zone are known; location-based. Cost is not known."
)


def movable_hours(emissions: ir.Table, grid: ir.Table, basis: str, keep: Keep) -> ir.Table:
    """Each place's movable work with the grams that the cleanest hours of its days would have spared.

    Args:
        emissions: Rows of the contract `Emissions`.
        grid: Rows of the contract `GridIntensity` of the same days.
        basis: `direct` or `lifecycle`, as the grams were made.
        keep: Computes a table once and for all.
    """
    every = emissions.filter(emissions.workload_type.isin(MOVABLE), emissions.energy_kwh.notnull())
    every = every.mutate(month=month_of(every.day))
    ladder = keep(_ladder(grid, BASIS_COLUMN[basis]))
    whole = ladder.select("day", "zone").distinct()
    mine = every.filter(every.location_g.notnull(), every.factor_resolution == "hour").semi_join(whole, ["day", "zone"])
    best = _best(mine, ladder)
    wholes = every.group_by("month", *IDENTITY).aggregate(of_kwh=every.energy_kwh.sum().cast(t.FACILITY_KWH))
    ran = mine.group_by("month", *IDENTITY).aggregate(
        source=only(mine.source),
        ghg_scope=scope_of(mine),
        row_count=mine.count(),
        days=days_in(mine),
        judged=mine.energy_kwh.sum().cast(t.FACILITY_KWH),
        ran_g=mine.location_g.sum().cast(t.GRAMS),
        uncertainty=_half(mine),
    )
    key = ("month", *IDENTITY)
    found = ran.inner_join(best, same(ran, best, key)).select(*ran.columns, "best_g")
    found = found.inner_join(wholes, same(found, wholes, key)).select(*found.columns, "of_kwh")
    saved = (found.ran_g - found.best_g).cast(t.GRAMS)
    nothing = ibis.literal(0).cast(t.FACILITY_KWH)
    return found.mutate(
        energy_kwh=nothing,
        facility_kwh=nothing,
        location_g=saved,
        grams_uncertainty_pct=_difference(found.ran_g, found.best_g, found.uncertainty, saved),
        coverage=share(found.judged, found.of_kwh),
        units=found.judged.cast(t.FIGURE),
        unit=ibis.literal("kWh"),
        query=_query(found, BASIS_COLUMN[basis]),
    )


def _ladder(grid: ir.Table, column: str) -> ir.Table:
    """The hours of each zone and day of which all are known, the cleanest first: `place` counts from 0."""
    known = grid.filter(grid.resolution == "hour", grid[column].notnull())
    days = known.group_by("zone", "day").aggregate(hours=known.hour.nunique())
    whole = known.semi_join(days.filter(days.hours == HOURS_OF_DAY), ["zone", "day"])
    order = ibis.window(group_by=["zone", "day"], order_by=[whole[column], whole.hour])
    return whole.select("zone", "day", g_per_kwh=whole[column], place=ibis.row_number().over(order))


def _best(rows: ir.Table, ladder: ir.Table) -> ir.Table:
    """Grams of the same hourly amounts in the cleanest hours of their day."""
    key = ("month", *IDENTITY)
    hours = rows.group_by(*key, "day", "hour").aggregate(kwh=rows.facility_kwh.sum().cast(t.FACILITY_KWH))
    order = ibis.window(group_by=[*key, "day"], order_by=[ibis.desc("kwh"), "hour"])
    placed = hours.mutate(place=ibis.row_number().over(order))
    both = placed.inner_join(ladder, ["zone", "day", "place"])
    grams = (both.kwh * both.g_per_kwh).cast(t.GRAMS)
    return both.group_by(key).aggregate(best_g=grams.sum().cast(t.GRAMS))


def _half(rows: ir.Table) -> Any:
    """Interval of the grams as they were emitted, per cent, a float; unknown where a part's is."""
    half = (rows.location_g.cast("decimal(29, 9)") * rows.grams_uncertainty_pct).cast("decimal(38, 12)").sum()
    unknown = (rows.location_g > 0) & rows.grams_uncertainty_pct.isnull()
    ratio = half.cast("float64") / rows.location_g.sum().cast("float64").nullif(0.0)
    return ibis.ifelse(unknown.any(), None, ratio)


def _difference(ran: Any, best: Any, pct: Any, saved: Any) -> Any:
    """Interval of a difference: absolute half-widths in squares (JCGM 100:2008, 5.1.6), relatively alike."""
    squares = (ran.cast("float64") * ran.cast("float64") + best.cast("float64") * best.cast("float64")).sqrt()
    return stated(pct * squares / saved.cast("float64").nullif(0.0))


def _query(rows: ir.Table, column: str) -> Any:
    ran = selected(rows, "emissions", IDENTITY, "location_g is not null", "factor_resolution = 'hour'")
    whole = selected(rows, "grid_intensity", ("zone",), "resolution = 'hour'", f"{column} is not null", what="day")
    return ran + " and day in (" + whole + f" group by day having count(distinct hour) = {HOURS_OF_DAY})"
