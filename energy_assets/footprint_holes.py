"""Embodied emissions, water and grid losses that are not known of some energy of a run: told, and no hole.

What belongs here: questions to `emissions` whose answers a person is told at the end of a run. What does not: holes
(`holes.py`), and how far each is known in a report (`disclosures/sections/quality.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import DeviceKind
from energy_assets.remarks import Remark

ABOUT = "emissions/hourly"
SHOWN = 5


def unknown_footprints(emissions: ir.Table) -> Iterator[Remark]:
    """Hours of accelerators of unknown footprint, and places without water or losses where others have them.

    Args:
        emissions: Rows of the contract `Emissions` of the days of a run, on a connection.
    """
    gpus = emissions.filter(emissions.device_kind == DeviceKind.GPU.value, emissions.device_hours.notnull())
    bare = gpus.filter(gpus.embodied_g.isnull())
    by_place = bare.group_by("provider", "region").aggregate(hours=bare.device_hours.sum().cast("float64"))
    found = by_place.order_by(by_place.hours.desc(), "provider", "region").to_pyarrow().to_pylist()
    if found:
        hours = sum(row["hours"] for row in found)
        yield Remark(
            ABOUT,
            f"embodied emissions are not known of {hours:,.0f} accelerator-hours ({_places(found)}): no table and no "
            "inventory has the making of their model",
            hole=False,
        )
    for column, what, remedy in (
        ("water_onsite_l", "water on site is", "give the place a `wue` in site.yaml"),
        ("water_offsite_l", "water of the electricity is", "no table has that of its grid zone"),
        (
            "losses_g",
            "grid losses are",
            "no table has those of its grid zone (`factors: {losses: …}` names yours), or no life-cycle intensity",
        ),
    ):
        known = emissions.filter(emissions.energy_kwh.notnull())
        each = known.group_by("provider", "region").aggregate(
            kwh=known.energy_kwh.sum(where=known[column].isnull()).cast("float64"), having=known[column].count()
        )
        rows = each.order_by(each.kwh.desc(), "provider", "region").to_pyarrow().to_pylist()
        lacking = [row for row in rows if row["kwh"]]
        if lacking and any(row["having"] for row in rows):
            kwh = sum(row["kwh"] for row in lacking)
            yield Remark(ABOUT, f"{what} not known of {kwh:,.1f} kWh ({_places(lacking)}): {remedy}", hole=False)


def _places(rows: list[dict[str, Any]]) -> str:
    names = [" ".join(filter(None, (row["provider"], row["region"]))) for row in rows]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
