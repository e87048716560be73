"""A month of the reconciliation for a person and for a program.

What belongs here: what the command `reconcile` shows. What does not: comparing (`energy_assets.kpis.reconciling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import ibis

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.vocabulary import LIKE, Against, Step
from energy_assets.lake import Lake
from energy_assets.periods import Month
from energy_assets.site import Site
from energy_assets.tables import KPIS_MONTHLY, RECONCILIATION

COLUMNS = tuple(schema_of(RECONCILIATION.model))
"""Of the table, and so of the CSV."""
SHORT = {
    Step.COVERAGE: "coverage",
    Step.LAG: "lag",
    Step.BOUNDARY: "boundary",
    Step.ENERGY: "energy",
    Step.PUE: "PUE",
    Step.INTENSITY: "intensity",
    Step.UNEXPLAINED: "unexplained",
}
_GRAMS_PER_KG = 1000


def rows_of(site: Site, month: Month) -> list[dict[str, Any]]:
    """The comparisons of a month, in order.

    Args:
        site: Whose lake is read.
        month: The month.
    """
    con, lake = ibis.duckdb.connect(), Lake(site.disk())
    rows = lake.read(con, RECONCILIATION, [month.first])
    found: list[dict[str, Any]] = con.to_pyarrow(
        rows.order_by("against", "region", "service", "source", "meter", "quantity")
    ).to_pylist()
    return found


def shown(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """What a terminal shows: names of columns, and rows; columns that are empty or zero in every row are left out.

    Args:
        rows: From `rows_of`.
    """
    parts = [step for step in Step if any(row[step.value] for row in rows)]
    columns = ["against", "of", "quantity", "ours", "theirs", "like by like", *(SHORT[step] for step in parts)]
    return columns, [
        [
            next(word.label for word in Against if word.value == row["against"]),
            " ".join(filter(None, (row["region"], row["service"]))) + f" ({row['source']}: {row['meter']})",
            f"{row['quantity']} [{'kWh' if row['unit'] == 'kWh' else 'kg'}]",
            _amount(row, "ours"),
            _amount(row, "theirs"),
            "" if row["compared_ratio"] is None else f"{100 * row['compared_ratio']:.1f} %",
            *(_amount(row, step.value) for step in parts),
        ]
        for row in rows
    ]


def remarks(rows: Sequence[dict[str, Any]], site: Site) -> Iterator[str]:
    """What is said below the table: why, row by row, and what is out of the band.

    Args:
        rows: From `rows_of`.
        site: Says the band.
    """
    limit = site.reconciliation.tolerance_pct
    for row in rows:
        like = sum((row[step.value] for step in LIKE if row[step.value] is not None), Decimal(0))
        off = row["theirs_compared"] is not None and abs(like) * 100 > row["theirs_compared"] * limit
        mark = f"! more than {limit.normalize():f} % off: " if off else ""
        yield f"{row['service']} ({row['source']}: {row['meter']}), {row['quantity']}: {mark}{row['why']}"


def nothing(site: Site, month: Month, again: str) -> str:
    """What is said where a month has no comparison.

    Args:
        site: Any site.
        month: The month.
        again: The command that runs the month.
    """
    # A month without a comparison is no partition; one that was run has indicators.
    if month.first not in Lake(site.disk()).fingerprints(KPIS_MONTHLY.name):
        return f"{month} has not been run. To run it:\n  {again}"
    return (
        f"Nothing of {month} can be compared: no node has both a meter and devices that report, no source has "
        "electricity invoices of these days, and no machine on a bill has telemetry of its own."
    )


def _amount(row: dict[str, Any], name: str) -> str:
    value: Decimal | None = row[name]
    if value is None:
        return "?" if name in ("ours", "theirs") else ""
    return f"{value if row['unit'] == 'kWh' else value / _GRAMS_PER_KG:,.3f}"
