"""One bad partition takes no neighbour: contract and proofs withhold their own, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest
from deltalake import DeltaTable

from energy_assets.contracts.audit import Audited, ContractError, audit_partitions, schema_of
from energy_assets.contracts.proof import Proof
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.contracts.tables import KpisMonthly
from energy_assets.lake import Commit, Lake
from energy_assets.storage import Storage
from energy_assets.tables import KPIS_MONTHLY
from energy_assets_tests.lake_workers import STORED, TABLE, connect
from energy_assets_tests.rows import at, table

DAYS = [date(2024, 5, 9) + timedelta(days=n) for n in range(4)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(Storage(str(tmp_path / "var")))


def row(day: date, kwh: Any = 1, **more: Any) -> dict[str, Any]:
    return {"day": day, "energy_kwh": Decimal(kwh), **more}


def rows_per_day(lake: Lake) -> dict[date, Decimal]:
    rows = lake.read(connect(), STORED)
    sums = rows.group_by("day").aggregate(kwh=rows.energy_kwh.sum())
    return {r["day"]: r["kwh"] for r in sums.to_pyarrow().to_pylist()}


def conserved(blocking: bool = True) -> Proof:
    """Raw and staged kWh are equal on every day, also on one that only raw has."""

    def breaches(staged: ibis.Table, upstream: Any) -> ibis.Table:
        ours = staged.group_by("day").aggregate(ours=staged.energy_kwh.sum())
        both = upstream["raw"].left_join(ours, "day")
        return both.filter(both.theirs != both.ours.fill_null(Decimal(0))).select("day", "theirs", "ours")

    return Proof("conservation", "Nothing is lost or counted twice.", breaches, blocking)


def prove(lake: Lake, rows: Sequence[dict[str, Any]], theirs: dict[date, int], *, blocking: bool = True) -> Commit:
    con = connect()
    listed = ", ".join(f"(DATE '{day}', {kwh}::DECIMAL(38, 9))" for day, kwh in theirs.items())
    raw = con.sql(f"SELECT * FROM (VALUES {listed}) t(day, theirs)")
    proof = conserved(blocking).bind({"raw": raw})
    return lake.replace(con, STORED, DAYS, table(EnergyReadings, rows), "run", proofs=[proof])


def test_bad_days_are_withheld_and_the_others_are_one_commit(lake: Lake) -> None:
    before = lake.replace(connect(), STORED, DAYS, table(EnergyReadings, [row(day) for day in DAYS]), "before")
    rows = [row(DAYS[0], 0), row(DAYS[1], -1), row(DAYS[1], 5, node_id="n2"), row(DAYS[2], 4), row(DAYS[2], 4)]
    rows += [row(DAYS[3], 3, method="guessed"), row(DAYS[3], -2, node_id="n2")]
    commit = lake.replace(connect(), STORED, DAYS, table(EnergyReadings, rows), "run")
    assert {day: error.violations for day, error in commit.rejected.items()} == {
        DAYS[1]: {"energy_kwh.greater_than_or_equal_to": 1},
        DAYS[2]: {"unique(hour, provider, account_id, region, node_id, device_id, share_id)": 1},
        DAYS[3]: {"energy_kwh.greater_than_or_equal_to": 1, "method.isin": 1},
    }
    assert {day: len(error.examples) for day, error in commit.rejected.items()} == dict(
        zip(DAYS[1:], (1, 2, 2), strict=True)
    )
    assert all(example["day"] == day for day, error in commit.rejected.items() for example in error.examples)
    assert all(error.table == TABLE for error in commit.rejected.values())
    assert (commit.changed, commit.rows, set(commit.fingerprints)) == ((DAYS[0],), {DAYS[0]: 1}, {DAYS[0]})
    assert (before.version, commit.version) == (0, 1)
    assert rows_per_day(lake) == {DAYS[0]: 0} | dict.fromkeys(DAYS[1:], 1), "0 lies on the limit and is good"


def test_examples_are_up_to_twenty_of_each_day(lake: Lake) -> None:
    rows = [row(day, -1, device_id=f"d{n}") for day in DAYS[:2] for n in range(21)]
    rejected = lake.replace(connect(), STORED, DAYS, table(EnergyReadings, rows), "run").rejected
    assert {day: (len(e.examples), *e.violations.values()) for day, e in rejected.items()} == dict.fromkeys(
        DAYS[:2], (20, 21)
    )


@pytest.mark.parametrize("part", ["hour", "node_id", "device_id", "share_id"])
def test_every_part_of_the_key_tells_rows_apart(lake: Lake, part: str) -> None:
    other = at(1, DAYS[0]) if part == "hour" else "other"
    rows = [row(DAYS[0]), row(DAYS[0], **{part: other})]
    commit = lake.replace(connect(), STORED, DAYS[:1], table(EnergyReadings, rows), "run")
    assert (commit.rejected, commit.rows) == ({}, {DAYS[0]: 2})


def test_where_every_day_is_bad_the_version_stays(lake: Lake) -> None:
    commit = lake.replace(connect(), STORED, DAYS[:1], table(EnergyReadings, [row(DAYS[0], -1)]), "run")
    assert (commit.version, commit.changed, list(commit.rejected)) == (None, (), DAYS[:1])
    assert lake.tables() == []


def test_a_blocking_breach_withholds_its_day_alone(lake: Lake) -> None:
    doubled = [row(DAYS[0], 2), row(DAYS[1], 4), row(DAYS[2], 1)]
    commit = prove(lake, doubled, {DAYS[0]: 2, DAYS[1]: 2, DAYS[2]: 1})
    assert {day: error.violations for day, error in commit.rejected.items()} == {DAYS[1]: {"conservation": 1}}
    assert commit.rejected[DAYS[1]].examples == [{"day": DAYS[1], "theirs": Decimal(2), "ours": Decimal(4)}]
    assert rows_per_day(lake) == {DAYS[0]: 2, DAYS[2]: 1}
    assert commit.breaches["conservation"].rows == {DAYS[1]: 1}


def test_a_day_whose_rows_were_lost_is_not_emptied(lake: Lake) -> None:
    prove(lake, [row(DAYS[0], 2)], {DAYS[0]: 2})
    lost = prove(lake, [], {DAYS[0]: 2})
    assert (list(lost.rejected), lost.version, rows_per_day(lake)) == (DAYS[:1], 0, {DAYS[0]: 2})


def test_a_breach_that_does_not_block_is_told_and_published(lake: Lake) -> None:
    commit = prove(lake, [row(DAYS[0], 4)], {DAYS[0]: 2}, blocking=False)
    assert (commit.rejected, commit.changed) == ({}, (DAYS[0],))
    assert commit.breaches["conservation"].count == 1
    held = prove(lake, [row(DAYS[0], 2)], {DAYS[0]: 2}, blocking=False)
    assert held.breaches["conservation"].count == 0, "a proof that holds is told as well"


def test_contract_and_proof_are_told_together(lake: Lake) -> None:
    commit = prove(lake, [row(DAYS[0], -1)], {DAYS[0]: 2})
    error = commit.rejected[DAYS[0]]
    assert error.violations == {"energy_kwh.greater_than_or_equal_to": 1, "conservation": 1}
    assert [example["energy_kwh"] for example in error.examples] == [-1]


def test_a_breach_outside_the_run_publishes_nothing(lake: Lake) -> None:
    elsewhere = DAYS[0] - timedelta(days=1)
    with pytest.raises(ContractError, match=f"breaches of conservation outside the run, as of {elsewhere}: 1 row"):
        prove(lake, [row(DAYS[0])], {DAYS[0]: 1, elsewhere: 3})
    assert lake.version(TABLE) is None


def test_a_month_is_withheld_by_its_month(lake: Lake) -> None:
    con, months = connect(), [date(2024, 5, 1), date(2024, 6, 1)]
    values = ", ".join(f"(DATE '{month}', {days})" for month, days in zip(months, (-1, 0), strict=True))
    given = con.sql(f"SELECT * FROM (VALUES {values}) t(month, days)")
    texts = {"kpi": "k", "grain": "total", "unit": "u"}
    full = given.select(
        **{
            name: given[name].cast(dtype) if name in given.columns else ibis.literal(texts.get(name)).cast(dtype)
            for name, dtype in schema_of(KpisMonthly).items()
        }
    )
    commit = lake.replace(con, KPIS_MONTHLY, months, full, "run")
    assert (list(commit.rejected), commit.changed) == (months[:1], (months[1],))


def unnamed(*arguments: Any) -> Audited:
    """An audit whose fingerprints do not name their algorithm, as they were once."""
    audited = audit_partitions(*arguments)
    return Audited(audited.rows, {day: text.removeprefix("d2-") for day, text in audited.fingerprints.items()})


def test_files_named_without_an_algorithm_stay_readable_and_change_once(lake: Lake, monkeypatch: Any) -> None:
    rows = table(EnergyReadings, [row(DAYS[0], 7)])
    with monkeypatch.context() as older:
        older.setattr("energy_assets.lake.audit_partitions", unnamed)
        old = lake.replace(connect(), STORED, DAYS[:1], rows, "old")
    assert rows_per_day(lake) == {DAYS[0]: 7}
    again = [lake.replace(connect(), STORED, DAYS[:1], rows, "new") for _ in range(2)]
    assert [commit.changed for commit in (old, *again)] == [(DAYS[0],), (DAYS[0],), ()]
    assert lake.fingerprints(TABLE) == again[0].fingerprints
    (name,) = DeltaTable(lake.path(TABLE)).file_uris()
    assert Path(name).name.startswith(f"{again[0].fingerprints[DAYS[0]]}-")
    assert again[0].fingerprints[DAYS[0]].startswith("d2-")
