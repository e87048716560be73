"""The table `restatements`: every figure of a report that a later edition of it states otherwise.

What belongs here: its columns and rows, from the editions a storage keeps. What does not: what a restatement is
(`disclosures.restating`), and printing. It is no table of the lake: the editions are the record, and it follows from
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from obstore.store import ObjectStore

from energy_assets.disclosures.editions import read_editions, reports_with_editions
from energy_assets.disclosures.restating import Restatement, restatements
from energy_assets.disclosures.rounding import EXACT
from energy_assets.periods import Period

NAME = "restatements"
_TEXT = pa.string()
PLACES = Decimal("1e-12")
"""As many as figures have."""
NUMBER = pa.decimal128(38, 12)
SCHEMA = pa.schema(
    {
        "profile": _TEXT, "period": _TEXT, "metric": _TEXT, "label": _TEXT, "dimension": _TEXT, "member": _TEXT,
        "unit": _TEXT, "old_value": NUMBER, "new_value": NUMBER,
        "difference": NUMBER, "reasons": _TEXT, "why": _TEXT, "old_figure": _TEXT, "new_figure": _TEXT,
        "published_at": pa.timestamp("us", "UTC"), "restated_at": pa.timestamp("us", "UTC"),
        "old_edition": _TEXT, "new_edition": _TEXT,
    }
)  # fmt: skip
"""One row per figure and pair of editions; values are exact, NULL is not known, or no longer stated."""


def all_restatements(
    store: ObjectStore, periods: Sequence[Period] = (), before: datetime | None = None
) -> list[Restatement]:
    """Every restatement of a site's reports, the oldest period first.

    Args:
        store: At the root of its storage.
        periods: Those asked for; empty for all.
        before: The first moment that no longer counts; None for all.

    Raises:
        DamagedError: the record of an edition is not what was written.
    """
    wanted = {str(period) for period in periods}
    named = [(profile, period) for profile, period in reports_with_editions(store) if not wanted or period in wanted]
    return [one for profile, period in named for one in restatements(read_editions(store, profile, period, before))]


def restatement_rows(found: Sequence[Restatement]) -> pa.Table:
    """Rows of the table `restatements`.

    Args:
        found: From `all_restatements`.
    """
    return pa.Table.from_pylist([_row(one) for one in found], schema=SCHEMA)


def _row(one: Restatement) -> dict[str, Any]:
    dimensions = one.old.dimensions
    return {
        "profile": one.published.profile,
        "period": one.published.period,
        "metric": one.old.metric,
        "label": one.old.label,
        "dimension": " ".join(dimensions) or "total",
        "member": " ".join(dimensions.values()),
        "unit": one.old.unit,
        "old_value": _exact(one.old.number),
        "new_value": _exact(one.value),
        "difference": _exact(one.difference),
        "reasons": ", ".join(kind.value for kind in one.kinds) or None,
        "why": one.why,
        "old_figure": one.old.id,
        "new_figure": one.new.id if one.new else None,
        "published_at": one.published.at,
        "restated_at": one.restated.at,
        "old_edition": one.published.address,
        "new_edition": one.restated.address,
    }


def _exact(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(PLACES, context=EXACT)
