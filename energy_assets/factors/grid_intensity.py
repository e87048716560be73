"""Grid intensity with its fallback ladder: every zone and hour, with the best value that is known.

Rungs, recorded in `factor_tier`: 1 the hour, measured; 2 the hour, estimated by the publisher; 3 the same hour
of day, monthly mean of the zone; 4 the zone's month or year as a publisher states it, or the mean of its year; none:
NULL. Never the world, never the caller's own place.
The rung decides among the rows that know the basis of Scope 2, so that a year with both intensities, direct and
life-cycle, does not displace an hour with the one that counts. Within a rung a row of both goes before a row of one,
then an hour that its values cover whole before one that they cover in part.
A row is never made of two: the other intensity of an hour stays unknown where its own factor does not say it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t


def grid_intensity(
    rows: Mapping[str, ir.Table],
    needed: ir.Table,
    stated: Collection[str] = (),
    basis: Literal["direct", "lifecycle"] = "direct",
) -> ir.Table:
    """Pick the best rung for each zone and hour; rows of the contract `GridIntensity`.

    Args:
        rows: Rows of the contract `IntensityRows` by source name, the preferred source first.
        needed: The `day`, `hour` and `zone` that must have a row, known or not.
        stated: Sources whose values of a month are one number for all its hours.
        basis: The intensity behind Scope 2; a row without it comes after all that have it.
    """
    ranked = [ladder(table, source, rank, source in stated) for rank, (source, table) in enumerate(rows.items())]
    candidates = ibis.union(*ranked)
    best = (
        candidates.mutate(
            place=ibis.row_number().over(
                group_by=[candidates.hour, candidates.zone],
                order_by=[
                    candidates[f"{basis}_gco2e_per_kwh"].isnull(),
                    candidates.factor_tier,
                    candidates.resolution == "year",
                    candidates.lifecycle_gco2e_per_kwh.isnull() | candidates.direct_gco2e_per_kwh.isnull(),
                    (candidates.hour_covered < 1).fill_null(False),
                    candidates["rank"],
                ],
            )
        )
        .filter(lambda c: c.place == 0)
        .drop("place", "rank")
    )
    wanted = needed.anti_join(best, ["hour", "zone"])
    absent = wanted.mutate(
        lifecycle_gco2e_per_kwh=ibis.null(t.FACTOR),
        direct_gco2e_per_kwh=ibis.null(t.FACTOR),
        carbon_free_share=ibis.null(t.SHARE),
        is_estimated=ibis.null(t.FLAG),
        hour_covered=ibis.null(t.SHARE),
        answered_minutes=ibis.null(t.MINUTES),
        resolution=ibis.null(t.TEXT),
        factor_tier=ibis.null(t.TIER),
        source=ibis.null(t.TEXT),
        factor_id=ibis.null(t.TEXT),
        raw_sha256=ibis.null(t.TEXT),
    )
    return best.union(absent.select(best.columns))


def ladder(rows: ir.Table, source: str, rank: int, stated: bool) -> ir.Table:
    """The rung of every row of one source; rows without any intensity are no rung.

    Args:
        rows: Of the contract `IntensityRows`, in gCO2e per kWh.
        source: The source's name.
        rank: Its place in the site file, 0 preferred.
        stated: Its values of a month are one number for all hours, not means by the hour of day.
    """
    tier = ibis.cases(
        ((rows.resolution == "hour") & ~rows.is_estimated, 1),
        (rows.resolution == "hour", 2),
        ((rows.resolution == "month") & ~ibis.literal(stated), 3),
        else_=4,
    )
    known = rows.mutate(
        factor_tier=tier.cast(t.TIER),
        source=ibis.literal(source),
        rank=ibis.literal(rank),
    )
    return known.filter(known.lifecycle_gco2e_per_kwh.notnull() | known.direct_gco2e_per_kwh.notnull())
