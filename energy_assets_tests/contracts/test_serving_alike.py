"""One server under two names in two sources is told by what it counts; two servers are not."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import ibis
import pytest

from energy_assets.contracts.audit import conform
from energy_assets.contracts.raw import InferenceCounts
from energy_assets.contracts.serving import served_twice
from energy_assets.contracts.serving_alike import counted_alike
from energy_assets.contracts.tables import Activity
from energy_assets.unified.activity import activity
from energy_assets_tests.rows import DAY, at, rows_of, table

CON = ibis.duckdb.connect(threads=1)
Hours = list[tuple[int | None, int | None, int | None]]
"""Requests, prompt tokens and generated tokens, hour by hour."""

POD = {"pod": "chat-0", "namespace": "llm", "instance": "10.42.0.9:8000", "job": "pods"}
ADDRESS = {"instance": "10.42.0.9:8000", "job": "central"}
ELSEWHERE = {"instance": "10.9.0.1:30080", "job": "central"}
HOST = {"instance": "gpu1:8000"}
FULL = {"instance": "GPU1.dc1.example:8000"}


def load(seed: int, per_hour: int = 3000, hours: int = 24) -> Hours:
    """Requests that come and go, of 500 to 1,500 tokens and answers of 100 to 300."""
    random = Random(seed)  # noqa: S311 - a load, no secret
    found: Hours = []
    for _ in range(hours):
        requests = int(per_hour * random.uniform(0.5, 1.5))
        tokens = [sum(random.randint(low, 3 * low) for _ in range(requests)) for low in (500, 100)]
        found.append((requests, tokens[0], tokens[1]))
    return found


def later(hours: Hours, second: int) -> Hours:
    """The same as another scrape sees it: at each end of an hour it has missed what came in the last `second` s."""
    cut = [tuple(int((n or 0) * second / 3600) for n in kinds) for kinds in hours]
    return [
        tuple((n or 0) - missed + before for n, missed, before in zip(kinds, now, was, strict=True))  # type: ignore[misc]
        for kinds, now, was in zip(hours, cut, [(0, 0, 0), *cut], strict=False)
    ]


def turns(hours: Hours, seed: int) -> Hours:
    """The other one of two that take turns: as many requests, of other lengths."""
    random = Random(seed)  # noqa: S311 - a load, no secret
    return [(n, *(sum(random.randint(low, 3 * low) for _ in range(n or 0)) for low in (500, 100))) for n, _, _ in hours]


EVEN: Hours = [(3600, 720_000, 180_000)] * 24
BUSY = load(1)
FEW = load(2, per_hour=10)


def served(hours: Hours, labels: dict[str, str], **more: Any) -> list[dict[str, Any]]:
    deployment = labels.get("pod") or labels["instance"]
    return [
        {"hour": at(number), "deployment": deployment, "requests": one, "prompt_tokens": prompt, "labels": labels,
         "generated_tokens": tokens, "failed_requests": one and 0, "coverage": Decimal(1), **more}
        for number, (one, prompt, tokens) in enumerate(hours)
    ]  # fmt: skip


def told(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[dict[str, Any]]:
    counts = {"serving": table(InferenceCounts, one), "central": table(InferenceCounts, other)}
    made = conform(activity(counts, []), Activity)
    upstream = {f"raw_{name}": rows for name, rows in counts.items()}
    assert rows_of(CON, served_twice(made, upstream)) == [], "of one name: told elsewhere"
    return rows_of(CON, counted_alike(made, upstream))


@pytest.mark.parametrize(
    ("hours", "others"),
    [
        pytest.param(BUSY, BUSY, id="the same"),
        pytest.param(BUSY, later(BUSY, 23), id="scraped 23 s later"),
        pytest.param(FEW, FEW, id="few requests"),
        pytest.param(BUSY, [(None, None, None)] * 2 + BUSY[2:], id="two hours are missing"),
        pytest.param([(None, *n[1:]) for n in BUSY], [(None, *n[1:]) for n in BUSY], id="tokens alone"),
        pytest.param([(*n[:2], None) for n in BUSY], BUSY, id="one of them counts no answers"),
        pytest.param(load(3, hours=6), load(3, hours=6), id="six hours"),
    ],
)
@pytest.mark.parametrize("labels", [ADDRESS, ELSEWHERE, {"instance": "gpu1.dc1.example:8000"}])
def test_a_server_of_two_sources_under_two_names_is_told(hours: Hours, others: Hours, labels: dict[str, str]) -> None:
    (found,) = told(served(hours, POD), served(others, labels))
    common = sum(any(n is not None for n in kinds) for kinds in others)
    assert found == {
        "day": DAY,
        "one": f"{labels['instance']} of central",
        "other": "chat-0 of serving",
        "model_id": "m1",
        "hours": common,
    }


@pytest.mark.parametrize(
    ("hours", "others", "more"),
    [
        pytest.param(BUSY, load(2), {}, id="other requests"),
        pytest.param(BUSY, turns(BUSY, 5), {}, id="they take turns"),
        pytest.param(FEW, turns(FEW, 5), {}, id="they take turns at few requests"),
        pytest.param(BUSY, BUSY, {"model_id": "m2"}, id="another model"),
        pytest.param(load(3, hours=5), load(3, hours=5), {}, id="five hours"),
        pytest.param(BUSY, [*BUSY[:20], *load(7)[20:]], {}, id="four hours differ"),
        pytest.param([(0, 0, 0)] * 24, [(0, 0, 0)] * 24, {}, id="nothing"),
    ],
)
def test_two_servers_are_not(hours: Hours, others: Hours, more: dict[str, Any]) -> None:
    assert told(served(hours, POD), served(others, ADDRESS, **more)) == []


def test_requests_alone_show_it_at_one_address() -> None:
    alone: Hours = [(n, None, None) for n, _, _ in BUSY]
    assert len(told(served(alone, POD), served(BUSY, ADDRESS))) == 1
    assert told(served(alone, POD), served(BUSY, ELSEWHERE)) == []


@pytest.mark.parametrize(
    ("one", "other", "number"),
    [
        pytest.param(POD, ADDRESS, 1, id="of the pod's address"),
        pytest.param(POD, ELSEWHERE, 1, id="a pod, and an address that may lead to it"),
        pytest.param(HOST, FULL, 1, id="short and full name"),
        pytest.param({"instance": "otel:8889", "exported_instance": "gpu1:8000"}, FULL, 1, id="through a collector"),
        pytest.param(POD, {**POD, "pod": "chat-1", "instance": "10.42.0.8:8000"}, 0, id="two pods"),
        pytest.param(ADDRESS, ELSEWHERE, 0, id="two addresses"),
        pytest.param(HOST, {"instance": "gpu1:8001"}, 0, id="two ports"),
        pytest.param(FULL, {"instance": "gpu1.dc2.example:8000"}, 0, id="two domains"),
    ],
)
def test_an_even_load_is_told_where_names_allow_it(one: dict[str, str], other: dict[str, str], number: int) -> None:
    assert len(told(served(EVEN, one), served(EVEN, other))) == number


def test_a_model_that_one_source_does_not_name_may_be_that_of_the_other_one() -> None:
    (found,) = told(served(BUSY, POD), served(BUSY, ADDRESS, model_id=None))
    assert found["model_id"] == "m1"


def test_one_deployment_of_many_servers_is_told_beside_the_servers() -> None:
    first, second = served(BUSY, ADDRESS), served(load(9), ELSEWHERE)
    together: Hours = [
        tuple((row[name] or 0) + (other[name] or 0) for name in ("requests", "prompt_tokens", "generated_tokens"))  # type: ignore[misc]
        for row, other in zip(first, second, strict=True)
    ]
    (found,) = told(served(later(together, 23), {"pod": "chat", "instance": ""}), [*first, *second])
    assert (found["one"], found["other"]) == ("all servers of central", "chat of serving")
    renamed = served(BUSY, {"instance": "a:1"}) + served(load(9), {"instance": "b:1"})
    assert len(told(renamed, [*first, *second])) == 2, "both servers, not their sums as well"
    even = [served(EVEN, {"instance": name}) for name in ("a:1", "b:1", "c:1", "d:1")]
    assert told([*even[0], *even[1]], [*even[2], *even[3]]) == [], "an even load of other servers"


def test_what_counts_once_already_is_not_told() -> None:
    """Two deployments of equal counts, of which the second source tells as well, under the same names."""
    both = [*served(BUSY, POD), *served(load(9), {**POD, "pod": "chat-1"})]
    assert told(both, both) == []
