"""What publishers state of the energy of hosted models, by prompt, answer or inference.

What belongs here: reading `hosted_models.csv`, with checks. What does not: estimates from tokens or requests, of which
none is made of these rows yet. Boundaries differ by more than twofold (Elsworth et al. 2025: 0.10 Wh of active
accelerators, 0.24 Wh of all that serves the same prompt), so no row stands without its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache

from energy_assets.factors.tables import rows_of_data

BOUNDARIES = {
    "accelerator": "active accelerators alone",
    "machine": "accelerators and their host, without the building",
    "serving": "accelerators, hosts, idle machines and the building's overhead",
    "lifecycle": "over the life cycle, hardware included",
    "not_stated": "its publisher does not say",
}
"""What a value covers, by the word of the table."""
_TEXTS = ("model", "provider", "metric", "published", "source", "url", "licence")
UNITS = ("Wh", "J/token", "gCO2e")
"""Units of the values: per thing that the metric names, or per token generated."""


@dataclass(frozen=True)
class HostedModel:
    """A published value of a hosted model, or of a task.

    Attributes:
        model: As its publisher calls it; `mean of models` for a task.
        provider: Who hosts it; `any` for a task.
        metric: One of what: a prompt, an answer, an inference of a task.
        value: In `unit`.
        unit: Of `UNITS`.
        low: Lower end of the interval; None where nobody states one.
        high: Upper end; None where nobody states one.
        boundary: Word of `BOUNDARIES`.
        year: The year it is of.
        published: When, as YYYY-MM.
        source: Who states it, in which publication.
        url: Where it can be read.
        licence: Of the publication (SPDX), or `fact` for a single number, which needs none.
        note: What was assumed.
    """

    model: str
    provider: str
    metric: str
    value: Decimal
    unit: str
    low: Decimal | None
    high: Decimal | None
    boundary: str
    year: int
    published: str
    source: str
    url: str
    licence: str
    note: str


@cache
def hosted_models() -> tuple[HostedModel, ...]:
    """Every row of `hosted_models.csv`.

    Raises:
        ValueError: a row has an unknown unit or boundary, no number, or an interval that does not hold its value.
    """
    return tuple(hosted_model(row, number) for number, row in enumerate(rows_of_data("hosted_models.csv"), 2))


def hosted_model(row: Mapping[str, str], number: int) -> HostedModel:
    """A row, checked.

    Args:
        row: Of the table, as text.
        number: Its line, for the message.

    Raises:
        ValueError: as `hosted_models`.
    """
    where = f"hosted_models.csv, line {number}"
    try:
        value, low, high = (Decimal(row[name]) if row[name] else None for name in ("value", "low", "high"))
        year = int(row["year"])
    except (InvalidOperation, ValueError) as error:
        raise ValueError(f"{where}: is no number; write one, or leave low and high empty") from error
    if value is None or value <= 0 or row["unit"] not in UNITS:
        raise ValueError(f"{where}: wants a value above 0 in one of {', '.join(UNITS)}")
    if row["boundary"] not in BOUNDARIES:
        raise ValueError(f"{where}: boundary {row['boundary']!r} is none of {', '.join(BOUNDARIES)}")
    if (low is None) != (high is None) or (low is not None and high is not None and not low <= value <= high):
        raise ValueError(f"{where}: low and high are given both or not at all, and hold the value")
    if absent := [name for name in _TEXTS if not row[name]]:
        raise ValueError(f"{where}: lacks {', '.join(absent)}")
    return HostedModel(
        model=row["model"],
        provider=row["provider"],
        metric=row["metric"],
        value=value,
        unit=row["unit"],
        low=low,
        high=high,
        boundary=row["boundary"],
        year=year,
        published=row["published"],
        source=row["source"],
        url=row["url"],
        licence=row["licence"],
        note=row["note"],
    )
