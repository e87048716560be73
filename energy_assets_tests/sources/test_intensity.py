"""Stand-ins for hours of grid intensity: what lacks gets what the means know of it, and nothing else does."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts import types as t
from energy_assets.periods import DayRange
from energy_assets.sources.exact import exact_mean
from energy_assets.sources.intensity import HOURS, MEANS, rows_with_stand_ins
from energy_assets_tests.rows import DAY, SHA, at, rows_of

CON = ibis.duckdb.connect(threads=1)
CON.raw_sql("SET TimeZone = 'UTC'")
ABOUT = {"zone": "DE", "factor_id": "f", "raw_sha256": SHA}
KNOWN = [(lifecycle, direct) for lifecycle, direct in product([None, Decimal(7)], [None, Decimal(5)])]


def given(schema: ibis.Schema, rows: list[dict[str, Any]]) -> Any:
    kind = schema.to_pyarrow()
    full = [dict.fromkeys(kind.names) | ABOUT | row for row in rows]
    return ibis.memtable(pa.Table.from_pylist(full, schema=kind))


def values(pair: tuple[Any, Any]) -> dict[str, Any]:
    return {"lifecycle_gco2e_per_kwh": pair[0], "direct_gco2e_per_kwh": pair[1]}


@pytest.mark.parametrize("mean", KNOWN)
@pytest.mark.parametrize("hour", KNOWN)
def test_an_hour_gets_a_stand_in_exactly_where_the_mean_knows_what_it_lacks(
    hour: tuple[Any, Any], mean: tuple[Any, Any]
) -> None:
    hours = [{"hour": at(3), "is_estimated": False, **values(hour)}] if any(hour) else []
    month = ibis.schema({**MEANS, "month": t.HOUR, "clock": "int32"})
    year = ibis.schema({**MEANS, "year": "int32"})
    rows = rows_of(
        CON,
        rows_with_stand_ins(
            given(HOURS, hours),
            given(month, [{"month": at(0, DAY.replace(day=1)), "clock": 3, **values(mean)}]),
            given(year, [{"year": DAY.year, **values(mean)}]),
            DayRange(DAY, DAY),
        ),
    )
    found = {row["resolution"]: row for row in rows if row["hour"] == at(3)}
    wanted = any(own is None and knows is not None for own, knows in zip(hour, mean, strict=True))
    assert set(found) == ({"hour"} if any(hour) else set()) | ({"month", "year"} if wanted else set())
    for resolution in {"month", "year"} & set(found):
        row = found[resolution]
        assert (row["lifecycle_gco2e_per_kwh"], row["direct_gco2e_per_kwh"], row["is_estimated"]) == (*mean, True)


@pytest.mark.parametrize(
    ("given_values", "mean"),
    [(["1", "2"], "1.5"), (["0.001", "0.002"], "0.002"), (["0.001", "0.001", "0.002"], "0.001"), ([None, "4"], "4"),
     ([None], None)],
)  # fmt: skip
def test_a_mean_is_of_the_values_there_are_and_rounded_half_up(given_values: list[Any], mean: str | None) -> None:
    column = [value and Decimal(value) for value in given_values]
    rows = ibis.memtable(pa.table({"value": pa.array(column, pa.decimal128(7, 3))}))
    found = CON.to_pyarrow(exact_mean(rows.value, t.FACTOR)).as_py()
    assert found == (mean and Decimal(mean))
