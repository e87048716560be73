"""The fingerprint rests on DuckDB's `hash`: expected values, so that an engine that changes it cannot pass unseen.

Where this fails after an upgrade of the engine, fingerprints of stored partitions and the pins of printed reports no
longer compare: give `fingerprint.ALGORITHM` a new name and these tests new values together.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar

import ibis
import pytest
from pandera.ibis import DataFrameModel, Field

from energy_assets.contracts import raw, tables
from energy_assets.contracts import types as t
from energy_assets.contracts.audit import audit, schema_of
from energy_assets.contracts.fingerprint import ALGORITHM, contents, fingerprint, keys_in, row_hash
from energy_assets_tests.rows import at, table

HASHES = [
    ("DATE", "'2024-05-09'", 7_298_426_408_747_055_673),
    ("TIMESTAMP", "'2024-05-09 23:00:00'", 3_838_732_051_616_216_420),
    ("VARCHAR", "'n1'", 5_454_746_921_843_688_977),
    ("VARCHAR", "''", 5_104_928_228_550_385_088),
    ("VARCHAR", "'Zürich, a text longer than twelve bytes'", 5_065_185_042_983_648_991),
    ("VARCHAR", "NULL", 13_787_848_793_156_543_929),
    ("BOOLEAN", "true", 4_717_996_019_076_358_352),
    ("BOOLEAN", "false", 0),
    ("BIGINT", "-7", 10_993_256_859_354_970_985),
    ("SMALLINT", "4", 8_535_942_711_051_191_036),
    ("DECIMAL(5, 3)", "1.250", 8_273_783_335_652_390_564),
    ("DECIMAL(6, 3)", "12.345", 15_094_371_078_363_997_769),
    ("DECIMAL(9, 3)", "412.5", 10_319_775_829_242_887_119),
    ("DECIMAL(9, 6)", "0.983333", 16_737_999_153_203_891_336),
    ("DECIMAL(18, 9)", "0.000000001", 4_717_996_019_076_358_352),
    ("DECIMAL(38, 0)", "643002406801000000000000000001", 11_558_902_141_986_627_268),
    ("DECIMAL(38, 12)", "1.25", 8_199_034_738_032_916_821),
    ("DECIMAL(38, 15)", "1234567890123.000000000000001", 11_790_137_678_987_212_398),
    ("DECIMAL(38, 18)", "-0.00000012", 13_935_748_466_784_737_039),
    ("MAP(VARCHAR, VARCHAR)", "MAP {'team': 'a', 'x': ''}", 18_292_000_461_125_919_120),
    ("MAP(VARCHAR, VARCHAR)", "MAP([]::VARCHAR[], []::VARCHAR[])", 13_787_848_793_156_543_929),
]


def one(kind: str, value: str) -> ibis.Table:
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql("SET TimeZone = 'UTC'")
    return con.sql(f"SELECT {value}::{kind} AS cell")


@pytest.mark.parametrize(("kind", "value", "expected"), HASHES)
def test_a_cell_has_the_hash_it_always_had(kind: str, value: str, expected: int) -> None:
    cell = one(kind, value)
    assert cell.select(hash=row_hash([cell.cell])).to_pyarrow()["hash"].to_pylist() == [expected]


def test_every_column_type_of_a_contract_is_pinned() -> None:
    described = [*vars(raw).values(), *vars(tables).values()]
    models = [m for m in described if isinstance(m, type) and issubclass(m, DataFrameModel) and m is not DataFrameModel]
    used = {str(dtype) for model in models for dtype in schema_of(model).values()}
    assert used <= {str(one(kind, value).cell.type()) for kind, value, _ in HASHES}


class Pinned(DataFrameModel):
    """A contract of this test, so that a column added to a real one does not move the pin."""

    day: t.DAY = Field()
    name: t.TEXT = Field(nullable=True)
    energy_kwh: t.MEASURED = Field(nullable=True)
    labels: t.LABELS = Field()

    class Config:
        """No two rows are of one name."""

        unique: ClassVar = ["name"]
        name = "pinned"


def test_a_partition_has_the_fingerprint_it_always_had() -> None:
    con = ibis.duckdb.connect(threads=1)
    rows = con.sql(
        """
        SELECT DATE '2024-05-09' AS day, name, kwh::DECIMAL(18, 9) AS energy_kwh, MAP {'team': name} AS labels
        FROM (VALUES ('n1', 1.5), ('n2', NULL), ('n3', 0.000000001)) AS v(name, kwh)
        """
    )
    expected = "d2-dc62953bbe8620930000000170ea076d991307b5b1b67cc2"
    assert audit(rows, Pinned).fingerprints == {date(2024, 5, 9): expected}
    assert ALGORITHM == "d2"
    names = {name: _hash_of(name) for name in ("n1", "n2", "n3")}
    assert keys_in(expected) == f"{sum(names.values()) % 2**64:016x}"


def _hash_of(text: str) -> int:
    cell = one("VARCHAR", f"'{text}'")
    found: int = cell.select(hash=row_hash([cell.cell])).to_pyarrow()["hash"].to_pylist()[0]
    return found


def test_the_key_of_an_hour_is_that_of_its_thing_with_the_hour() -> None:
    rows = table(tables.GridIntensity, [{"zone": "DE"}, {"zone": "DE", "hour": at(23)}, {"zone": "FR", "hour": at(5)}])
    (text,) = audit(rows, tables.GridIntensity).fingerprints.values()
    assert keys_in(text) == "87239f86b703cea8"


@pytest.mark.parametrize("text", ["d1-dc62953bbe8620930000000170ea076d", "dc62953bbe8620930000000170ea076d", ""])
def test_the_keys_of_an_older_fingerprint_are_not_known(text: str) -> None:
    assert keys_in(text) is None


def test_a_fingerprint_has_one_length_however_many_rows_and_no_keys_where_nothing_is_one() -> None:
    con = ibis.duckdb.connect(threads=1)
    rows = con.sql("SELECT DATE '2024-05-09' AS day, n FROM range(1000) t(n)")
    (keyed,) = con.to_pyarrow(contents(rows, "day", ["n"], single={})).to_pylist()
    (keyless,) = con.to_pyarrow(contents(rows, "day", [], single={})).to_pylist()
    assert len(fingerprint(keyed)) == len(fingerprint(keyless)) == len(ALGORITHM) + 1 + 48
    assert keyed["keys"] == 1000
    assert "keys" not in keyless
    assert keys_in(fingerprint(keyless)) == "0" * 16
