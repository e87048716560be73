"""Intensities that are not what they were when they were collected before, so that no revision goes unseen.

What belongs here: comparing hours of a grid zone, pure over Ibis tables. What does not: where the former ones come from
(the lake), and the bytes of both, which the landing zone keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.counting import counted
from energy_assets.sources.exact import exact_mean
from energy_assets.sources.intensity import INTENSITIES, values_said

REVISED = "intensities_revised"


def revisions(con: Any, before: ir.Table, after: ir.Table) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many published hours have another value or are measured by now, and what became of each zone and day.

    Source: publishers of grid data state estimates first and replace them within days (Electricity Maps documents
    `isEstimated` and `updatedAt` for it), so that a figure once reported may be restated. Stand-ins for missing hours
    are not compared: they move with every day of their month.

    Args:
        con: An Ibis backend (DuckDB).
        before: Rows of the contract `IntensityRows`, as the lake has them.
        after: The same days, as they are now.
    """
    old, new = (rows.filter(rows.resolution == "hour") for rows in (before, after))
    pairs = new.inner_join(old, ["zone", "hour"], rname="old_{name}")
    moved = [~pairs[name].identical_to(pairs[f"old_{name}"]) for name in (*INTENSITIES, "is_estimated")]
    changed = pairs.filter(moved[0] | moved[1] | moved[2])
    means = {name: exact_mean(changed[name], t.FACTOR) for prefix in ("", "old_") for name in _named(prefix)}
    by_day = changed.group_by("zone", "day").aggregate(
        hours=changed.count(), measured=(changed.old_is_estimated & ~changed.is_estimated).sum(), **means
    )
    rows = con.to_pyarrow(by_day.order_by("zone", "day")).to_pylist()
    if not rows:
        return {}, {}
    return {REVISED: sum(row["hours"] for row in rows)}, {REVISED: [_said(row) for row in rows]}


def _named(prefix: str) -> list[str]:
    return [f"{prefix}{name}" for name in INTENSITIES]


def _said(row: dict[str, Any]) -> str:
    lifecycle, direct = INTENSITIES
    former, present = (values_said(row[f"{prefix}{direct}"], row[f"{prefix}{lifecycle}"]) for prefix in ("old_", ""))
    measured = f", {row['measured']} of them measured now" if row["measured"] else ""
    return f"{row['zone']} on {row['day']}: {counted(row['hours'], 'hour')}{measured}, {former} became {present}"
