"""A column added to a contract: old days stay readable, new days fill it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import ibis
from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import types as t
from energy_assets.lake import Lake
from energy_assets.storage import Storage
from energy_assets.tables import Table

OLD, NEW = date(2024, 5, 9), date(2024, 5, 10)


class Before(DataFrameModel):
    day: t.DAY = Field()
    node_id: t.TEXT = Field()


class After(DataFrameModel):
    day: t.DAY = Field()
    node_id: t.TEXT = Field()
    water_l: t.LITRES = Field(nullable=True)


BEFORE, AFTER = (Table("things", model, ("raw", "things")) for model in (Before, After))


def test_days_written_before_a_column_was_added_have_null_in_it(tmp_path: Path) -> None:
    lake, con = Lake(Storage(str(tmp_path))), ibis.duckdb.connect()
    old = con.sql(f"SELECT DATE '{OLD}' AS day, 'n1' AS node_id")
    lake.replace(con, BEFORE, [OLD], old, "first")
    assert lake.read(con, AFTER).water_l.to_pyarrow().to_pylist() == [None]

    new = con.sql(f"SELECT DATE '{NEW}' AS day, 'n1' AS node_id, 2.5::decimal(38, 15) AS water_l")
    lake.replace(con, AFTER, [NEW], new, "second")

    rows = lake.read(con, AFTER).order_by("day").to_pyarrow()
    assert [None if v is None else float(v) for v in rows["water_l"].to_pylist()] == [None, 2.5]
    assert lake.read(con, BEFORE).count().to_pyarrow().as_py() == 2
