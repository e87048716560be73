"""The proof of conservation on a few rows at a time: what is no breach, and by how much the rest are off.

What belongs here: bounds worked by hand, from rows written by hand. What does not: the transform that is proven
(`unified/test_energy`). Each case has a day of its own, and all are one table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.contracts.conservation import energy_not_conserved, readings_of

FIRST = date(2024, 5, 9)
OWN = {"provider": "string", "region": "string", "device_uuid": "string"}
RAW = {
    **{"day": "date", "hour": "timestamp(6)", "node_id": "string", "device_id": "string", "device_kind": "string"},
    **{"method": "string", "energy_kwh": "decimal(18, 9)"},
}
STAGED = RAW | {"provider": "string", "region": "string"}
NAMES = dict.fromkeys(("provider", "region", "raw_node_id", "node_id"), "string") | {"day": "date"}
PLACES = [("a", "onprem", "r1"), ("b", "OnPrem", "R1"), ("c", "aws", "eu-west-1a")]
"""Table, provider and region; rows of `c` have no columns of their own to say so."""

Row = Mapping[str, Any]
Gap = tuple[str, str | None, str | None, int, str]
"""What, where it is (provider and region), hour, and how much too much in kWh."""


def of(kind: str, kwh: str | None, **more: Any) -> Row:
    """A reading of a device of the machine `n`, or what is staged of it."""
    number = None if kwh is None else Decimal(kwh)
    given = {"at": 0, "node_id": "n", "device_id": f"{kind}0", "device_kind": kind, "method": "measured_counter"}
    return given | {"energy_kwh": number} | more


def guess(kind: str, kwh: str, **more: Any) -> Row:
    return of(kind, kwh, **{"method": "estimated_capacity", **more})


def name(raw: str, one: str, **more: Any) -> Row:
    return {"provider": "onprem", "region": "r1", "raw_node_id": raw, "node_id": one, **more}


@dataclass(frozen=True)
class Case:
    """Rows of raw tables, what is staged of them (in `onprem`, `r1`), and what the proof says of it."""

    a: Sequence[Row] = ()
    staged: Sequence[Row] = ()
    gaps: Sequence[Gap] = ()
    b: Sequence[Row] = ()
    c: Sequence[Row] = ()
    names: Sequence[Row] = field(default=())


DAYS_APART = 2


def upstream_of(cases: Mapping[str, Case]) -> dict[str, ibis.Table]:
    """The raw tables of all cases, with their places and the names of their nodes."""
    upstream = {
        "a": _table(cases, "a", RAW | OWN),
        "b": _table(cases, "b", RAW | OWN),
        "c": _table(cases, "c", RAW),
        "node_names": _table(cases, "names", NAMES),
    }
    stands = ("table", "provider", "region")
    upstream["places"] = ibis.memtable(PLACES, schema=ibis.schema(dict.fromkeys(stands, "string")))
    return upstream


def staged_of(cases: Mapping[str, Case]) -> ibis.Table:
    return _table(cases, "staged", STAGED, {"provider": "onprem", "region": "r1"})


def _table(
    cases: Mapping[str, Case], of_case: str, columns: Mapping[str, str], default: Mapping[str, str] | None = None
) -> ibis.Table:
    rows = []
    for number, case in enumerate(cases.values()):
        for row in getattr(case, of_case):
            first = FIRST + timedelta(days=DAYS_APART * number)
            hour = datetime(first.year, first.month, first.day) + timedelta(hours=row.get("at", 0))
            rows.append({**(default or {}), **row, "hour": hour, "day": hour.date()})
    schema = ibis.schema(columns)
    return ibis.memtable(pa.Table.from_pylist(rows, schema.to_pyarrow()), schema=schema)


ON = ("onprem", "r1")
NODE = [of("node", "10"), of("gpu", "6")]
UUID = "GPU-12345678-1234-1234-1234-12345678abcd"
NO_UUID = "GPU-00000000-0000-0000-0000-000000000000"

CASES: Mapping[str, Case] = {
    "the rest and the parts": Case(NODE, [of("gpu", "6"), of("rest_of_node", "4")]),
    "no rest": Case(NODE, [of("gpu", "6")], [("machine n", *ON, 0, "-4")]),
    "nothing staged": Case(NODE, [], [("machine n", *ON, 0, "-10"), ("n/gpu0", *ON, 0, "-6")]),
    "one too much": Case(NODE, [of("gpu", "6"), of("rest_of_node", "5")], [("machine n", *ON, 0, "1")]),
    "one too little": Case(NODE, [of("gpu", "6"), of("rest_of_node", "3")], [("machine n", *ON, 0, "-1")]),
    "a billionth too much": Case(
        [of("gpu", "6")],
        [of("gpu", "6.000000001")],
        [("machine n", *ON, 0, "0.000000001"), ("n/gpu0", *ON, 0, "0.000000001")],
    ),
    "nobody read it": Case([], [of("gpu", "2")], [("machine n", *ON, 0, "2"), ("n/gpu0", *ON, 0, "2")]),
    "unobserved": Case([of("gpu", None)], [of("gpu", None)]),
    "unobserved, and staged": Case(
        [of("gpu", None)], [of("gpu", "3")], [("machine n", *ON, 0, "3"), ("n/gpu0", *ON, 0, "3")]
    ),
    "observed, and staged as unknown": Case(
        [of("gpu", "3")], [of("gpu", None)], [("machine n", *ON, 0, "-3"), ("n/gpu0", *ON, 0, "-3")]
    ),
    "users of one contributor add up": Case([of("gpu", "2"), of("gpu", "3")], [of("gpu", "1"), of("gpu", "4")]),
    "a user of two is lost": Case(
        [of("gpu", "2"), of("gpu", "3")], [of("gpu", "3")], [("machine n", *ON, 0, "-2"), ("n/gpu0", *ON, 0, "-2")]
    ),
    **{
        f"{kwh} of what two read as 4 and 6": Case(
            [of("gpu", "6")],
            [of("gpu", kwh)],
            [("machine n", *ON, 0, gap), ("n/gpu0", *ON, 0, gap)] if gap else [],
            b=[of("gpu", "4")],
        )
        for kwh, gap in (("3", "-1"), ("4", ""), ("5", ""), ("6", ""), ("7", "1"), ("10", "4"))
    },
    "one of two did not observe it": Case(
        [of("gpu", "6")],
        [of("gpu", "5")],
        [("machine n", *ON, 0, "-1"), ("n/gpu0", *ON, 0, "-1")],
        b=[of("gpu", None)],
    ),
    "moved to another hour": Case(
        [of("gpu", "6")],
        [of("gpu", "6", at=1)],
        [(what, *ON, at, gap) for what in ("machine n", "n/gpu0") for at, gap in ((0, "-6"), (1, "6"))],
    ),
    "moved to another day": Case(
        [of("gpu", "6")],
        [of("gpu", "6", at=24)],
        [(what, *ON, at, gap) for what in ("machine n", "n/gpu0") for at, gap in ((0, "-6"), (24, "6"))],
    ),
    "moved to another machine": Case(
        [of("gpu", "6")],
        [of("gpu", "6", node_id="m")],
        [
            (f"{what}{machine}{gpu}", *ON, 0, gap)
            for what, gpu in (("machine ", ""), ("", "/gpu0"))
            for machine, gap in (("n", "-6"), ("m", "6"))
        ],
    ),
    **{
        f"moved to another {key}": Case(
            [of("gpu", "6")],
            [of("gpu", "6", **{key: there[number]})],
            [(what, *at, 0, gap) for what in ("machine n", "n/gpu0") for at, gap in ((ON, "-6"), (there, "6"))],
        )
        for key, number, there in (("provider", 0, ("aws", "r1")), ("region", 1, ("onprem", None)))
    },
    "another kind is another device": Case(
        [of("gpu", "6", device_id="0")],
        [of("gpu", "6", device_id="0"), of("cpu", "2", device_id="0")],
        b=[of("cpu", "2", device_id="0")],
    ),
    "of two kinds of one name one is lost": Case(
        [of("gpu", "6", device_id="0")],
        [of("gpu", "6", device_id="0")],
        [("machine n", *ON, 0, "-2"), ("n/0", *ON, 0, "-2")],
        b=[of("cpu", "2", device_id="0")],
    ),
    "of two kinds of one name one is too large by what the other lacks": Case(
        [of("gpu", "6", device_id="0")],
        [of("gpu", "7", device_id="0"), of("cpu", "1", device_id="0")],
        [("n/0", *ON, 0, "1"), ("n/0", *ON, 0, "-1")],
        b=[of("cpu", "2", device_id="0")],
    ),
    **{
        f"one thing is not another by {key}": Case(
            [of("gpu", "6"), of("gpu", "5", **other)],
            [],
            [(what, *ON, 0, "-6") for what in ("machine n", "n/gpu0")]
            + [(what, *there, 0, "-5") for what in ("machine n", "n/gpu0")],
        )
        for key, other, there in (
            ("provider", {"provider": "aws", "region": "r1"}, ("aws", "r1")),
            ("region", {"region": "r2"}, ("onprem", "r2")),
        )
    },
    "every part is in a machine": Case(
        [of("cpu", "1"), of("dram", "2"), of("gpu", "4"), of("rest_of_node", "8")],
        [],
        [("machine n", *ON, 0, "-15"), ("n/cpu0", *ON, 0, "-1"), ("n/dram0", *ON, 0, "-2"), ("n/gpu0", *ON, 0, "-4")],
    ),
    "storage is in no machine": Case([of("storage", "2")], [], [("n/storage0", *ON, 0, "-2")]),
    "storage is staged and in no machine": Case([of("storage", "2")], [of("storage", "2")]),
    "an instance, its node and its parts": Case(
        [of("instance", "20"), *NODE],
        [of("rest_of_node", "10", device_id="instance0"), of("rest_of_node", "4"), of("gpu", "6")],
    ),
    "an instance is not added to its node": Case(
        [of("instance", "10"), of("node", "10")], [of("rest_of_node", "0"), of("node", "10")]
    ),
    "an instance smaller than its parts": Case([of("instance", "5"), of("gpu", "6")], [of("gpu", "6")]),
    "a node smaller than its parts": Case(
        [of("node", "7"), of("gpu", "6"), of("cpu", "2")], [of("gpu", "6"), of("cpu", "2")]
    ),
    "a rest that was read": Case([of("rest_of_node", "3"), of("cpu", "2")], [of("rest_of_node", "3"), of("cpu", "2")]),
    **{
        f"{method} and a part": Case(
            [of("node", "10", method=method), of("gpu", "6")],
            [of("gpu", "6"), of("rest_of_node", "4")],
            [("machine n", *ON, 0, "4")],
        )
        for method in ("estimated_utilization", "estimated_capacity", "spend_proxy")
    },
    "an estimate says nothing beside a part": Case([guess("node", "10"), of("gpu", "6")], [of("gpu", "6")]),
    "an estimate alone": Case([guess("node", "10")], [], [("machine n", *ON, 0, "-10")]),
    "estimates of a node and of its parts": Case(
        [guess("node", "10"), guess("gpu", "6")], [of("gpu", "6")], [("machine n", *ON, 0, "-4")]
    ),
    "a part of an estimated node in another hour": Case(
        [guess("node", "10"), of("gpu", "6", at=1)], [of("node", "10"), of("gpu", "6", at=1)]
    ),
    **{
        f"a part of an estimated node of another {key}": Case(
            [guess("node", "10", region="r1"), of("gpu", "6", **other)], [of("node", "10"), of("gpu", "6", **other)]
        )
        for key, other in (
            ("provider", {"provider": "aws", "region": "r1"}),
            ("region", {"region": "r2"}),
            ("node", {"node_id": "m"}),
        )
    },
    "an estimate of an instance beside its node": Case([guess("instance", "10"), of("node", "4")], [of("node", "4")]),
    "an estimate of a node in an instance": Case(
        [of("instance", "10"), guess("node", "12")], [of("node", "12"), of("rest_of_node", "0")]
    ),
    "estimates of an instance and a node beside a part": Case(
        [guess("instance", "10"), guess("node", "8"), of("gpu", "3")], [of("gpu", "3")]
    ),
    "an estimate beside another node": Case(
        [of("node", "4"), guess("node", "3", device_id="node1")],
        [of("node", "4")],
        [("machine n", *ON, 0, "-3")],
    ),
    "a part that is estimated beside one that is measured": Case(
        [of("cpu", "4"), guess("gpu", "3")],
        [of("cpu", "4")],
        [("machine n", *ON, 0, "-3"), ("n/gpu0", *ON, 0, "-3")],
    ),
    "a node of which one user is estimated is measured": Case(
        [guess("node", "4"), of("node", "6"), of("gpu", "3")],
        [of("gpu", "3")],
        [("machine n", *ON, 0, "-7")],
    ),
    "a node that one of two estimates is measured": Case(
        [guess("node", "10"), of("gpu", "3")],
        [of("gpu", "3")],
        [("machine n", *ON, 0, "-7")],
        b=[of("node", "10")],
    ),
    "names of one host": Case(
        [of("gpu", "6", node_id="n.x"), of("gpu", "4", node_id="n.y")],
        [of("gpu", "5")],
        names=[name("n.x", "n"), name("n.y", "n")],
    ),
    "names of one host, both counted": Case(
        [of("gpu", "6", node_id="n.x"), of("gpu", "4", node_id="n.y")],
        [of("gpu", "10")],
        [("machine n", *ON, 0, "4"), ("n/gpu0", *ON, 0, "4")],
        names=[name("n.x", "n"), name("n.y", "n")],
    ),
    "a device that is the host is renamed with it": Case(
        [of("cpu", "6", node_id="n.x", device_id="n.x"), of("gpu", "3", node_id="n.x", device_id="n")],
        [of("cpu", "6", device_id="n")],
        [("machine n", *ON, 0, "-3"), ("n/n", *ON, 0, "-3")],
        names=[name("n.x", "n")],
    ),
    "a name that is told twice": Case(
        [of("gpu", "6", node_id="n.x")], [of("gpu", "6")], names=[name("n.x", "n"), name("n.x", "o")]
    ),
    "a name that is told in two spellings of its place": Case(
        [of("gpu", "6", node_id="n.x")],
        [of("gpu", "6")],
        names=[name("n.x", "n"), name("n.x", "n", region="R1"), name("n.x", "n", provider="ONPREM")],
    ),
    **{
        f"a name of another {key}": Case(
            [of("gpu", "6", node_id="n.x")], [of("gpu", "6", node_id="n.x")], names=[name("n.x", "n", **{key: other})]
        )
        for key, other in (("provider", "aws"), ("region", "r2"), ("region", None), ("at", 24), ("raw_node_id", "m"))
    },
    "a name in a place that is unknown": Case(
        [of("gpu", "6", node_id="n.x", provider="aws")],
        [of("gpu", "6", provider="aws", region=None)],
        names=[name("n.x", "n", provider="aws", region=None)],
    ),
    "a row stands in the region of its source's block": Case(
        [of("gpu", "6", provider=" ONPREM ")], [of("gpu", "6")], b=[of("gpu", "6")]
    ),
    "a row of another provider does not": Case(
        [of("gpu", "6", provider="aws")], [of("gpu", "6", provider="aws", region=None)]
    ),
    "a row says its region": Case(
        [of("gpu", "6", region="r2")],
        [of("gpu", "6", region="r2")],
        b=[of("gpu", "3", provider="aws", region="s")],
        gaps=[("machine n", "aws", "s", 0, "-3"), ("n/gpu0", "aws", "s", 0, "-3")],
    ),
    "a zone is in its region": Case(
        c=[of("gpu", "6")],
        staged=[of("gpu", "5", provider="AWS", region="eu-west-1")],
        gaps=[("machine n", "aws", "eu-west-1", 0, "-1"), ("n/gpu0", "aws", "eu-west-1", 0, "-1")],
    ),
    **{
        f"a UUID counts on {host}": Case(
            [of("gpu", "6", device_id=UUID, node_id="x")],
            [of("gpu", "6", device_id=UUID.lower(), node_id=host, provider=provider, region=region)],
            c=[of("gpu", "6", device_id=UUID.upper(), node_id="y")],
        )
        for host, provider, region in (("x", *ON), ("y", "aws", "eu-west-1"))
    },
    "a UUID counts on both": Case(
        [of("gpu", "6", device_id=UUID, node_id="x"), of("gpu", "5", device_id=UUID, node_id="y")],
        [of("gpu", "6", device_id=UUID, node_id="x"), of("gpu", "5", device_id=UUID, node_id="y")],
        [(UUID.upper(), None, None, 0, "5")],
    ),
    "a UUID counts nowhere": Case(
        [of("gpu", "6", device_id=UUID, node_id="x"), of("gpu", "5", device_id=UUID, node_id="y")],
        [],
        [(UUID.upper(), None, None, 0, "-5")],
    ),
    "a UUID moves between hours": Case(
        [of("gpu", "6", device_id=UUID, node_id="x"), of("gpu", "5", device_id=UUID, node_id="y", at=1)],
        [],
        [("machine x", *ON, 0, "-6"), (UUID.upper(), None, None, 0, "-6")]
        + [("machine y", *ON, 1, "-5"), (UUID.upper(), None, None, 1, "-5")],
    ),
    "a UUID that was observed on one of two hosts": Case(
        [of("gpu", "6", device_id=UUID, node_id="x"), of("gpu", None, device_id=UUID, node_id="y")],
        [],
        [("machine x", *ON, 0, "-6"), (UUID.upper(), None, None, 0, "-6")],
    ),
    "a UUID beside what has none": Case(  # of y at least 6, and at most 6 + 5
        [of("gpu", "6", device_id=UUID, node_id="x"), of("gpu", "5", device_id=UUID, node_id="y")]
        + [of("cpu", "6", node_id="y")],
        [of("gpu", "6", device_id=UUID, node_id="x"), of("cpu", "5.5", node_id="y")],
        [("machine y", *ON, 0, "-0.5"), ("y/cpu0", *ON, 0, "-0.5")],
    ),
    "a UUID on one host counts there": Case(
        [of("gpu", "6", device_id=UUID, node_id="x")],
        [of("gpu", "6", device_id=UUID, node_id="y")],
        [("machine x", *ON, 0, "-6"), ("machine y", *ON, 0, "6")],
    ),
    "a UUID that its source tells": Case(
        [of("gpu", "6", device_id="g", device_uuid="gpu-x", node_id="x")],
        [of("gpu", "6", device_id="GPU-X", node_id="x")],
        [("x/g", *ON, 0, "-6"), ("GPU-X", None, None, 0, "6")],
    ),
    "a UUID that its source tells as its name": Case(
        [of("gpu", "6", device_id="gpu-x", device_uuid="gpu-x", node_id="x"), of("gpu", "6", device_id="gpu-x")],
        [of("gpu", "6", device_id="GPU-X", node_id="x")],
    ),
    "a UUID of another day": Case(
        [of("gpu", "6", device_id="gpu-x", device_uuid="gpu-x", at=24), of("gpu", "6", device_id="gpu-x")],
        [of("gpu", "6", device_id="gpu-x", at=24)],
        [("machine n", *ON, 0, "-6"), ("n/gpu-x", *ON, 0, "-6")],
    ),
    "what is no UUID": Case(
        [of("gpu", "6", device_id=NO_UUID, node_id="x"), of("gpu", "5", device_id=NO_UUID, node_id="y")],
        [of("gpu", "6", device_id=NO_UUID, node_id="x"), of("gpu", "5", device_id=NO_UUID, node_id="y")],
    ),
    "what is no GPU has no UUID": Case(
        [of("cpu", "6", device_id=UUID, node_id="x"), of("cpu", "5", device_id=UUID, node_id="y")],
        [of("cpu", "6", device_id=UUID, node_id="x"), of("cpu", "5", device_id=UUID, node_id="y")],
    ),
}


@pytest.fixture(scope="module")
def found() -> Mapping[str, list[Gap]]:
    """The gaps of each case, from one run over all of them."""
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql("SET TimeZone = 'UTC'")
    gaps = defaultdict(list)
    for row in con.to_pyarrow(energy_not_conserved(staged_of(CASES), upstream_of(CASES))).to_pylist():
        number = (row["day"] - FIRST).days // DAYS_APART
        first = FIRST + timedelta(days=DAYS_APART * number)
        at = (row["hour"].replace(tzinfo=None) - datetime(first.year, first.month, first.day)) // timedelta(hours=1)
        assert row["day"] == first + timedelta(days=at // 24)
        what = f"machine {row['node_id']}" if row["node_id"] else row["what"]
        gap = (what, row["provider"], row["region"], at, _text(row["gap_kwh"]))
        gaps[list(CASES)[number]].append(gap)
    return gaps


@pytest.mark.parametrize("case", CASES)
def test_gaps(case: str, found: Mapping[str, list[Gap]]) -> None:
    wanted = [(*gap, _text(Decimal(kwh))) for *gap, kwh in CASES[case].gaps]
    assert sorted(found[case], key=str) == sorted(wanted, key=str)


@pytest.mark.parametrize("tables", ["a", "b", "c", "ab", "bc", "abc"])
def test_every_raw_table_is_read_however_many_there_are(tables: str) -> None:
    case = {"one": Case([of("gpu", "1")], b=[of("gpu", "2")], c=[of("gpu", "4")])}
    upstream = {name: rows for name, rows in upstream_of(case).items() if len(name) > 1 or name in tables}
    readings = readings_of(upstream)
    found = ibis.duckdb.connect(threads=1).to_pyarrow(readings.select("table", "energy_kwh")).to_pydict()
    assert dict(zip(found["table"], found["energy_kwh"], strict=True)) == {
        name: kwh for name, kwh in {"a": 1, "b": 2, "c": 4}.items() if name in tables
    }


def _text(kwh: Decimal) -> str:
    return f"{kwh:.9f}"
