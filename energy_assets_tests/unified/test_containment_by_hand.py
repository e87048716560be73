"""Containment on a few rows at a time, every number worked by hand.

What belongs here: which reading counts, what is left of a container, and its interval. What does not: owners, names
of hosts, and the proof of the whole (`test_energy`). Each case has a day of its own, and all are one table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest

from energy_assets.unified.containment import resolve_overlaps

FIRST = date(2024, 5, 9)
SCHEMA = ibis.schema(
    {
        **{"day": "date", "hour": "timestamp(6)", "provider": "string", "region": "string", "node_id": "string"},
        **{"raw_node_id": "string", "device_id": "string", "device_uuid": "string", "device_kind": "string"},
        **{"share_id": "string", "source_rank": "int32", "method": "string", "quality_tier": "int16"},
        **{"energy_kwh": "decimal(18, 9)", "uncertainty_pct": "decimal(6, 3)"},
    }
)
Row = Mapping[str, Any]
Told = str | None
Left = tuple[str, str, Told, Told]
"""Kind, where or who (what the case tells apart), kWh, and per cent."""


def of(kind: str, kwh: Told, pct: Any = "0", **more: Any) -> Row:
    """A reading of a device of the machine `n` by a counter."""
    given = {
        "provider": "onprem", "region": "r1", "node_id": "n", "device_id": f"{kind}0", "device_kind": kind,
        "share_id": "all", "source_rank": 0, "method": "measured_counter", "quality_tier": 2, "at": 0,
    } | more  # fmt: skip
    numbers = {"energy_kwh": _decimal(kwh), "uncertainty_pct": _decimal(pct)}
    return {"raw_node_id": given["node_id"], "device_uuid": None} | given | numbers


def guess(kind: str, kwh: Told, **more: Any) -> Row:
    return of(kind, kwh, **{"method": "estimated_utilization", **more})


def _decimal(told: Told) -> Decimal | None:
    return None if told is None else Decimal(told)


def resolved(cases: Mapping[str, tuple[Sequence[Row], str, Any]]) -> dict[str, list[Left]]:
    """What is left in each case, from one run over all of them."""
    days = {FIRST + timedelta(days=2 * number): name for number, name in enumerate(cases)}
    rows = []
    for day, name in days.items():
        for row in cases[name][0]:
            hour = datetime(day.year, day.month, day.day) + timedelta(hours=row["at"])
            rows.append({**row, "hour": hour, "day": hour.date()})
    table = pa.Table.from_pylist(rows, SCHEMA.to_pyarrow())
    con = ibis.duckdb.connect(threads=1)
    con.raw_sql("SET TimeZone = 'UTC'")
    found = defaultdict(list)
    for row in con.to_pyarrow(resolve_overlaps(con.create_table("readings", table))).to_pylist():
        first = row["day"] if row["day"] in days else row["day"] - timedelta(days=1)
        row["at"] = (row["hour"].replace(tzinfo=None) - datetime(first.year, first.month, first.day)) // timedelta(
            hours=1
        )
        by = cases[days[first]][1]
        where = row["device_kind"], str(row[by]), row["energy_kwh"], row["uncertainty_pct"]
        found[days[first]].append(where)
    return found


def compare(cases: Mapping[str, tuple[Sequence[Row], str, Any]], name: str, found: Mapping[str, list[Left]]) -> None:
    _, _, expected = cases[name]
    made = [(kind, who, *map(_text, numbers)) for kind, who, *numbers in found[name]]
    wanted = [(kind, who, *(_text(_decimal(one)) for one in numbers)) for kind, who, *numbers in expected]
    assert sorted(made) == sorted(wanted)


def _text(number: Any) -> str:
    """Numbers that are equal read the same, whatever their scale."""
    return "unknown" if number is None else f"{number:.12f}"


REST = "rest_of_node"

RESTS: Mapping[str, tuple[Sequence[Row], str, Sequence[Left]]] = {
    "a difference has both errors": (  # sqrt(0.1² + 0.3²) = 0.316228, of 4
        [of("node", "10", "1"), of("gpu", "6", "5")],
        "share_id",
        [(REST, "all", "4", "7.906"), ("gpu", "all", "6", "5")],
    ),
    "every kind is inside a node but storage": (  # 10 − 1 − 2 − 3
        [of("node", "10"), of("cpu", "1"), of("dram", "2"), of("gpu", "3"), of("storage", "4")],
        "share_id",
        [(REST, "all", "4", "0"), ("cpu", "all", "1", "0"), ("dram", "all", "2", "0"), ("gpu", "all", "3", "0")]
        + [("storage", "all", "4", "0")],
    ),
    "users of a part have one error": (  # 0.2 + 0.1 = 0.3, of 7
        [of("node", "10"), of("gpu", "2", "10", share_id="a"), of("gpu", "1", "10", share_id="b")],
        "share_id",
        [(REST, "all", "7", "4.286"), ("gpu", "a", "2", "10"), ("gpu", "b", "1", "10")],
    ),
    "two parts have two errors": (  # sqrt(0.2² + 0.1²) = 0.223607, of 7
        [of("node", "10"), of("gpu", "2", "10"), of("gpu", "1", "10", device_id="gpu1")],
        "device_id",
        [(REST, "node0", "7", "3.194"), ("gpu", "gpu0", "2", "10"), ("gpu", "gpu1", "1", "10")],
    ),
    "two kinds of one name have two errors": (
        [of("node", "10"), of("gpu", "2", "10", device_id="0"), of("cpu", "1", "10", device_id="0")],
        "device_id",
        [(REST, "node0", "7", "3.194"), ("gpu", "0", "2", "10"), ("cpu", "0", "1", "10")],
    ),
    "users of a node have one error": (  # 0.6 + 0.2 = 0.8, of 5
        [of("node", "6", "10", share_id="a"), of("node", "4", "5", share_id="b"), of("gpu", "5")],
        "share_id",
        [(REST, "a", "3", "16"), (REST, "b", "2", "16"), ("gpu", "all", "5", "0")],
    ),
    "two meters of a node have two errors": (  # sqrt(0.6² + 0.4²) = 0.721110, of 5
        [of("node", "6", "10"), of("node", "4", "10", device_id="node1"), of("gpu", "5")],
        "device_id",
        [(REST, "node0", "3", "14.422"), (REST, "node1", "2", "14.422"), ("gpu", "gpu0", "5", "0")],
    ),
    "a large error of a rest of one": (  # sqrt(5² + 4.5²) = 6.72681
        [of("node", "10", "50"), of("gpu", "9", "50")],
        "share_id",
        [(REST, "all", "1", "672.681"), ("gpu", "all", "9", "50")],
    ),
    "an error is rounded once": (  # 0.045 of 99 is 0.04545… %, and not 0.0455 %
        [of("node", "100", "0.045"), of("gpu", "1")],
        "share_id",
        [(REST, "all", "99", "0.045"), ("gpu", "all", "1", "0")],
    ),
    "an error larger than can be told": (  # 5 of 0.1
        [of("node", "10", "50"), of("gpu", "9.9")],
        "share_id",
        [(REST, "all", "0.1", "999.999"), ("gpu", "all", "9.9", "0")],
    ),
    "nothing has no error": (
        [of("node", "10", "1"), of("gpu", "0", None)],
        "share_id",
        [(REST, "all", "10", "1"), ("gpu", "all", "0", None)],
    ),
    "a part of unknown error": (
        [of("node", "10", "1"), of("gpu", "1", None), of("cpu", "2")],
        "share_id",
        [(REST, "all", "7", None), ("gpu", "all", "1", None), ("cpu", "all", "2", "0")],
    ),
    "a user with nothing has no error": (  # 0.1 of 5
        [of("node", "0", None, share_id="a"), of("node", "10", "1", share_id="b"), of("gpu", "5")],
        "share_id",
        [(REST, "a", "0", "2"), (REST, "b", "5", "2"), ("gpu", "all", "5", "0")],
    ),
    "a user of unknown error": (
        [of("node", "1", None, share_id="a"), of("node", "9", "1", share_id="b"), of("gpu", "5")],
        "share_id",
        [(REST, "a", "0.5", None), (REST, "b", "4.5", None), ("gpu", "all", "5", "0")],
    ),
    "a node of unknown error": (
        [of("node", "10", None), of("gpu", "4", "1")],
        "share_id",
        [(REST, "all", "6", None), ("gpu", "all", "4", "1")],
    ),
    "no rest has no error": (
        [of("node", "6", "1"), of("gpu", "6", "1")],
        "share_id",
        [(REST, "all", "0", None), ("gpu", "all", "6", "1")],
    ),
    "parts that report more are believed": (
        [of("node", "5", "1"), of("gpu", "6", "1")],
        "share_id",
        [(REST, "all", "0", None), ("gpu", "all", "6", "1")],
    ),
    "a node without any energy": (
        [of("node", "0", share_id="a"), of("node", "0", share_id="b"), of("gpu", "6")],
        "share_id",
        [(REST, "a", "0", None), (REST, "b", "0", None), ("gpu", "all", "6", "0")],
    ),
    "an unobserved node": (
        [of("node", None, None), of("gpu", "6")],
        "share_id",
        [(REST, "all", None, None), ("gpu", "all", "6", "0")],
    ),
    "an unobserved part": (
        [of("node", "5", "1"), of("gpu", None)],
        "share_id",
        [("node", "all", "5", "1"), ("gpu", "all", None, "0")],
    ),
    "one part of two unobserved": (
        [of("node", "5"), of("gpu", None), of("cpu", "2")],
        "share_id",
        [(REST, "all", "3", "0"), ("gpu", "all", None, "0"), ("cpu", "all", "2", "0")],
    ),
    "thirds add up": (  # until a: 0.333333333; until b: 0.666666667; until c: 1
        [*(of("node", "1", share_id=user) for user in "abc"), of("gpu", "2")],
        "share_id",
        [(REST, "a", "0.333333333", "0"), (REST, "b", "0.333333334", "0"), (REST, "c", "0.333333333", "0")]
        + [("gpu", "all", "2", "0")],
    ),
    "users of a node of one": (
        [of("node", "0.25", share_id="a"), of("node", "0.75", share_id="b"), of("gpu", "0.2")],
        "share_id",
        [(REST, "a", "0.2", "0"), (REST, "b", "0.6", "0"), ("gpu", "all", "0.2", "0")],
    ),
    "a share is rounded once": (  # a hundredth of 49 billionths is 0.49 billionths, and not 0.5
        [of("node", "1", share_id="a"), of("node", "99", share_id="b"), of("gpu", "99.999999951")],
        "share_id",
        [(REST, "a", "0", "0"), (REST, "b", "0.000000049", "0"), ("gpu", "all", "99.999999951", "0")],
    ),
    "devices of a container are shared out before users": (  # until b: 0.333333333; until c: 0.666666667
        [of("node", "1", share_id="a", device_id="x"), of("node", "1", share_id="b"), of("node", "1", share_id="c")]
        + [of("gpu", "2")],
        "share_id",
        [(REST, "b", "0.333333333", "0"), (REST, "c", "0.333333334", "0"), (REST, "a", "0.333333333", "0")]
        + [("gpu", "all", "2", "0")],
    ),
    "a node in an instance": (  # 20 − (6 + 4), and 10 − 6
        [of("instance", "20"), of("node", "10"), of("gpu", "6")],
        "device_id",
        [(REST, "instance0", "10", "0"), (REST, "node0", "4", "0"), ("gpu", "gpu0", "6", "0")],
    ),
    "a node without parts in an instance": (
        [of("instance", "20"), of("node", "12")],
        "device_id",
        [(REST, "instance0", "8", "0"), ("node", "node0", "12", "0")],
    ),
    "parts in an instance": (
        [of("instance", "20"), of("gpu", "5"), of("cpu", "4"), of("dram", "3")],
        "device_id",
        [(REST, "instance0", "8", "0"), ("gpu", "gpu0", "5", "0"), ("cpu", "cpu0", "4", "0")]
        + [("dram", "dram0", "3", "0")],
    ),
    **{
        f"a part of another {key}": (
            [of("node", "10"), of("gpu", "6", **{key: other})],
            key,
            [("node", str(here), "10", "0"), ("gpu", str(other), "6", "0")],
        )
        for key, here, other in (
            ("provider", "onprem", "aws"),
            ("provider", "onprem", None),
            ("region", "r1", "r2"),
            ("region", "r1", None),
            ("node_id", "n", "m"),
            ("at", 0, 1),
        )
    },
    **{
        f"two machines by {key}": (
            [of("node", "10"), of("gpu", "6"), of("node", "20", **{key: other}), of("gpu", "5", **{key: other})],
            key,
            [(REST, here, "4", "0"), ("gpu", here, "6", "0"), (REST, str(other), "15", "0")]
            + [("gpu", str(other), "5", "0")],
        )
        for key, here, other in (
            ("provider", "onprem", "aws"),
            ("region", "r1", None),
            ("node_id", "n", "m"),
            ("at", "0", 1),
        )
    },
}


@pytest.fixture(scope="module")
def rests() -> Mapping[str, list[Left]]:
    return resolved(RESTS)


@pytest.mark.parametrize("name", RESTS)
def test_what_is_left_of_a_container(name: str, rests: Mapping[str, list[Left]]) -> None:
    compare(RESTS, name, rests)


GUESSES: Mapping[str, tuple[Sequence[Row], str, Sequence[Left]]] = {
    **{
        f"a part replaces {method}": (
            [guess("node", "10", method=method), of("gpu", "3")],
            "device_id",
            [("gpu", "gpu0", "3", "0")],
        )
        for method in ("estimated_utilization", "estimated_capacity", "spend_proxy")
    },
    "an unobserved part replaces nothing": (
        [guess("node", "10"), of("gpu", None)],
        "device_id",
        [("node", "node0", "10", "0"), ("gpu", "gpu0", None, "0")],
    ),
    "an estimate of a part replaces nothing": (
        [guess("node", "10"), guess("gpu", "3")],
        "device_id",
        [(REST, "node0", "7", "0"), ("gpu", "gpu0", "3", "0")],
    ),
    "an estimate of a part is not replaced": (
        [guess("gpu", "3"), of("cpu", "2")],
        "device_id",
        [("gpu", "gpu0", "3", "0"), ("cpu", "cpu0", "2", "0")],
    ),
    "nothing but an estimate": ([guess("node", "10")], "device_id", [("node", "node0", "10", "0")]),
    "what is not inside replaces nothing": (
        [guess("node", "10"), of("storage", "3")],
        "device_id",
        [("node", "node0", "10", "0"), ("storage", "storage0", "3", "0")],
    ),
    "a node replaces an instance": (
        [guess("instance", "10"), of("node", "4")],
        "device_id",
        [("node", "node0", "4", "0")],
    ),
    "an instance replaces no node": (
        [of("instance", "10"), guess("node", "8")],
        "device_id",
        [(REST, "instance0", "2", "0"), ("node", "node0", "8", "0")],
    ),
    "a part replaces all it is in": (
        [guess("instance", "10"), guess("node", "8"), of("gpu", "3")],
        "device_id",
        [("gpu", "gpu0", "3", "0")],
    ),
    "a part replaces what is estimated and not what is measured": (
        [guess("instance", "10"), of("node", "8"), of("gpu", "3")],
        "device_id",
        [(REST, "node0", "5", "0"), ("gpu", "gpu0", "3", "0")],
    ),
    **{
        f"a part of another {key} replaces nothing": (
            [guess("node", "10"), of("gpu", "3", **{key: other})],
            key,
            [("node", here, "10", "0"), ("gpu", str(other), "3", "0")],
        )
        for key, here, other in (
            ("provider", "onprem", "aws"),
            ("region", "r1", None),
            ("node_id", "n", "m"),
            ("at", "0", 1),
        )
    },
    "a part replaces in a place that is unknown": (
        [guess("node", "10", region=None), of("gpu", "3", region=None)],
        "device_id",
        [("gpu", "gpu0", "3", "0")],
    ),
}


@pytest.fixture(scope="module")
def guesses() -> Mapping[str, list[Left]]:
    return resolved(GUESSES)


@pytest.mark.parametrize("name", GUESSES)
def test_an_estimate_of_a_container_gives_way_to_what_was_measured_in_it(
    name: str, guesses: Mapping[str, list[Left]]
) -> None:
    compare(GUESSES, name, guesses)


UUID = "GPU-1"
A: Row = {"source_rank": 0}
B: Row = {"source_rank": 1}

RIVALS: Mapping[str, tuple[Sequence[Row], str, Sequence[Left]]] = {
    "the first of the site file": (
        [of("gpu", "2", **B), of("gpu", "1", **A)],
        "source_rank",
        [("gpu", "0", "1", "0")],
    ),
    "the better tier": (
        [of("gpu", "1", **A, quality_tier=2), of("gpu", "2", **B, quality_tier=1)],
        "source_rank",
        [("gpu", "1", "2", "0")],
    ),
    "measured before the better tier": (
        [guess("gpu", "1", **A, quality_tier=1), of("gpu", "2", **B, quality_tier=3)],
        "source_rank",
        [("gpu", "1", "2", "0")],
    ),
    "observed before measured": (
        [of("gpu", None, **A, quality_tier=1), guess("gpu", "2", **B, quality_tier=3)],
        "source_rank",
        [("gpu", "1", "2", "0")],
    ),
    "nobody observed it": (
        [of("gpu", None, **A), of("gpu", None, **B)],
        "source_rank",
        [("gpu", "0", None, "0")],
    ),
    "the first name": (
        [of("gpu", "2", raw_node_id="b"), of("gpu", "1", raw_node_id="a")],
        "raw_node_id",
        [("gpu", "a", "1", "0")],
    ),
    "of two names the first source": (
        [of("gpu", "2", **A, raw_node_id="b"), of("gpu", "1", **B, raw_node_id="a")],
        "raw_node_id",
        [("gpu", "b", "2", "0")],
    ),
    "all users of one source": (
        [of("gpu", "1", **A, share_id="x", quality_tier=1), of("gpu", "2", **A, share_id="y", quality_tier=3)]
        + [of("gpu", "4", **B, share_id="y"), of("gpu", "8", **B, share_id="z")],
        "share_id",
        [("gpu", "x", "1", "0"), ("gpu", "y", "2", "0")],
    ),
    "all users of one name": (
        [of("gpu", "1", raw_node_id="a", share_id="x"), of("gpu", "2", raw_node_id="b", share_id="y")],
        "share_id",
        [("gpu", "x", "1", "0")],
    ),
    "each hour for itself": (
        [of("gpu", "1", **A), of("gpu", "2", **B), of("gpu", None, **A, at=1), of("gpu", "8", **B, at=1)]
        + [of("gpu", "16", **B, at=2)],
        "at",
        [("gpu", "0", "1", "0"), ("gpu", "1", "8", "0"), ("gpu", "2", "16", "0")],
    ),
    "each day for itself": (
        [of("gpu", "1", **A), of("gpu", "2", **B), of("gpu", "4", **B, at=24)],
        "at",
        [("gpu", "0", "1", "0"), ("gpu", "24", "4", "0")],
    ),
    **{
        f"of two things by {key}": (
            [of("gpu", "1", **{**A, key: one}), of("gpu", "2", **{**B, key: other})],
            key,
            [(kinds[0], str(one), "1", "0"), (kinds[1], str(other), "2", "0")],
        )
        for key, one, other, kinds in (
            ("provider", "onprem", "aws", ("gpu", "gpu")),
            ("region", "r1", None, ("gpu", "gpu")),
            ("node_id", "n", "m", ("gpu", "gpu")),
            ("device_id", "gpu0", "gpu1", ("gpu", "gpu")),
            ("device_kind", "gpu", "cpu", ("gpu", "cpu")),
        )
    },
    "of one thing in a place that is unknown": (
        [of("gpu", "1", **A, region=None), of("gpu", "2", **B, region=None)],
        "source_rank",
        [("gpu", "0", "1", "0")],
    ),
    **{
        f"a UUID under two of {key}": (
            [of("gpu", "1", device_uuid=UUID, device_id="x", **{key: one})]
            + [of("gpu", "2", device_uuid=UUID, device_id="y", **{key: other})],
            key,
            [("gpu", str(one), "1", "0")],
        )
        for key, one, other in (
            ("provider", "aws", "onprem"),
            ("provider", None, "aws"),
            ("region", "r1", "r2"),
            ("region", None, "r1"),
            ("node_id", "m", "n"),
        )
    },
    "a UUID of which all is told differently": (
        [of("gpu", "1", **A, device_uuid=UUID, provider="p", region="s", node_id="z", raw_node_id="Z")]
        + [of("gpu", "2", **B, device_uuid=UUID, provider="o", region="r", node_id="y", raw_node_id="Y")],
        "node_id",
        [("gpu", "z", "1", "0")],
    ),
    "two UUIDs of one name": (
        [of("gpu", "1", **A, device_uuid=UUID), of("gpu", "2", **B, device_uuid="GPU-2")],
        "device_uuid",
        [("gpu", UUID, "1", "0"), ("gpu", "GPU-2", "2", "0")],
    ),
    "a UUID counts in the node that its contributor names": (  # 10 − 6, and the other node stays
        [of("gpu", "6", **B, device_uuid=UUID, node_id="n", quality_tier=1), of("node", "10", node_id="n")]
        + [of("gpu", "3", **A, device_uuid=UUID, node_id="m"), of("node", "8", node_id="m")],
        "node_id",
        [("gpu", "n", "6", "0"), (REST, "n", "4", "0"), ("node", "m", "8", "0")],
    ),
}


@pytest.fixture(scope="module")
def rivals() -> Mapping[str, list[Left]]:
    return resolved(RIVALS)


@pytest.mark.parametrize("name", RIVALS)
def test_of_those_who_tell_of_a_thing_one_is_believed(name: str, rivals: Mapping[str, list[Left]]) -> None:
    compare(RIVALS, name, rivals)
