"""Rule: work that could run in a cleaner region in which the site runs already.

What belongs here: movable work at the mean intensity and PUE of the cleanest region of the same provider. What does
not: whether the data may go there, or there are machines: nothing is claimed.
"""

from __future__ import annotations

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
    sums,
)

IDENTITY = ("provider", "account_id", "project", "model_id", "workload_type")
WHAT = "Run this work in the cleaner region."
BASIS = (
    "The same IT energy at the PUE and the mean intensity of the month of the cleanest region of the same provider in "
    "which the site ran anything in the month; location-based. What ran there already stays as it is. Whether the data "
    "may move, machines are free, or it costs more is not known."
)


def cleaner_regions(emissions: ir.Table, grid: ir.Table, basis: str, keep: Keep) -> ir.Table:
    """Movable work of providers with several regions, and the grams it would have spared in the cleanest of them.

    Args:
        emissions: Rows of the contract `Emissions`.
        grid: Rows of the contract `GridIntensity` of the same days.
        basis: `direct` or `lifecycle`, as the grams were made.
        keep: Computes a table once and for all.
    """
    placed = emissions.mutate(month=month_of(emissions.day))
    best = keep(_cleanest(placed, grid, BASIS_COLUMN[basis]))
    work = placed.filter(placed.workload_type.isin(MOVABLE), placed.energy_kwh.notnull(), placed.region.notnull())
    targets = best.select("month", "provider", "target_region", "target_pue", "g_per_kwh")
    both = work.inner_join(targets, ["month", "provider"])
    judged = both.location_g.notnull()
    elsewhere = judged & (both.region != both.target_region)
    there_kwh = (both.energy_kwh.cast("decimal(29, 9)") * both.target_pue).cast(t.FACILITY_KWH)
    rows = both.mutate(
        judged=judged,
        elsewhere=elsewhere,
        there_kwh=there_kwh,
        there_g=(both.energy_kwh.cast("decimal(29, 9)") * both.g_per_kwh).cast(t.GRAMS),
    )
    ran = sums(rows, rows.elsewhere)
    found = rows.group_by("month", *IDENTITY, "target_region").aggregate(
        source=only(rows.source),
        region=only(rows.region),
        zone=only(rows.zone),
        ghg_scope=scope_of(rows),
        of_kwh=rows.energy_kwh.sum().cast(t.FACILITY_KWH),
        judged_kwh=rows.energy_kwh.sum(where=rows.judged).fill_null(0).cast(t.FACILITY_KWH),
        days=days_in(rows),
        row_count=ran["row_count"],
        here_kwh=ran["facility_kwh"],
        here_g=ran["location_g"],
        there_kwh=rows.there_kwh.sum(where=rows.elsewhere).fill_null(0).cast(t.FACILITY_KWH),
        there_g=rows.there_g.sum(where=rows.elsewhere).fill_null(0).cast(t.GRAMS),
    )
    # Nothing of it has a known intensity: nothing can be said, and that is not nothing to save.
    told = found.judged_kwh > 0
    return found.mutate(
        energy_kwh=ibis.literal(0).cast(t.FACILITY_KWH),
        facility_kwh=ibis.ifelse(told, found.here_kwh - found.there_kwh, None).cast(t.FACILITY_KWH),
        location_g=ibis.ifelse(told, found.here_g - found.there_g, None).cast(t.GRAMS),
        coverage=share(found.judged_kwh, found.of_kwh),
        units=found.judged_kwh.cast(t.FIGURE),
        unit=ibis.literal("kWh"),
        query=selected(found, "emissions", IDENTITY, "energy_kwh is not null", "location_g is not null")
        + " and region <> '"
        + found.target_region.replace("'", "''")
        + "'",
    )


def _cleanest(placed: ir.Table, grid: ir.Table, column: str) -> ir.Table:
    """By provider and month the region with the fewest mean grams per kWh of IT energy, where there are several.

    A region that had two PUEs in the month is taken with the larger one.
    """
    known = grid.filter(grid[column].notnull())
    known = known.mutate(month=month_of(known.day))
    sums_ = known.group_by("month", "zone").aggregate(total=known[column].sum(), hours=known.count())
    mean = (sums_.total.cast("float64") / sums_.hours.cast("float64")).round(3).cast(t.FACTOR)
    means = sums_.select("month", "zone", mean=mean)
    there = placed.filter(placed.region.notnull(), placed.zone.notnull(), placed.pue.notnull())
    regions = there.group_by("month", "provider", "region", "zone").aggregate(target_pue=there.pue.max())
    both = regions.inner_join(means, same(regions, means, ("month", "zone")))
    rated = both.select(
        "month", "provider", "region", "target_pue", g_per_kwh=(both.target_pue * both["mean"]).cast("decimal(12, 6)")
    )
    alone = ibis.window(group_by=["month", "provider"])
    order = ibis.window(group_by=["month", "provider"], order_by=[rated.g_per_kwh, rated.region])
    ranked = rated.mutate(regions=rated.region.nunique().over(alone), place=ibis.row_number().over(order))
    first = ranked.filter(ranked.place == 0, ranked.regions > 1)
    return first.select("month", "provider", "target_pue", "g_per_kwh", target_region="region")
