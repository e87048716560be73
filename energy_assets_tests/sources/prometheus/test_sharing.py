"""Sharing on small tables: who counts as a user, which time is observed, and what division leaves over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.sharing import divide, find_uses, measure_time
from energy_assets_tests.sources.prometheus.tables import table

HOUR = 3_600_000
LABELS = "MAP(VARCHAR, VARCHAR)"
Labels = Mapping[str, str]
Series = tuple[str, str, Labels, float]
"""Role, host (and device), labels, and the one sample."""


@pytest.fixture
def scratch(step: StepContext) -> Scratch:
    return Scratch(step.con)


def used(scratch: Scratch, *series: Series, keep: Sequence[str] = ()) -> None:
    """Find the uses of devices, one for each host; a host `a/2` is another name of `a`."""
    numbered = list(enumerate(series))
    keys = {node: number for number, node in enumerate(sorted({host.split("/")[0] for _, host, _, _ in series}))}
    named = {"series_no": "INTEGER", "role": "VARCHAR", "meter": "VARCHAR", "node_id": "VARCHAR",
             "device_id": "VARCHAR", "host": "VARCHAR", "metric": LABELS}  # fmt: skip
    rows = [(n, role, "m", host.split("/")[0], "gpu", host, labels) for n, (role, host, labels, _) in numbered]
    table(scratch, "named", named, rows)
    key = {"key_no": "INTEGER", "meter": "VARCHAR", "node_id": "VARCHAR", "device_id": "VARCHAR"}
    table(scratch, "keys", key, [(number, "m", node, "gpu") for node, number in keys.items()])
    point = {"series_no": "INTEGER", "t": "BIGINT", "d": "DOUBLE"}
    table(scratch, "points", point, [(n, HOUR, d) for n, (*_, d) in numbered])
    find_uses(scratch, keep)


def users(scratch: Scratch) -> dict[str, tuple[int, int | None]]:
    """Weight and activity of each user of the first device."""
    rows = scratch.rows(f"SELECT user_id, weight, activity FROM {scratch['uses']} WHERE key_no = 0")
    return {user: (weight, activity) for user, weight, activity in rows}


def idle(scratch: Scratch) -> dict[tuple[int, str], bool]:
    return {
        (key, user): idle for key, user, idle in scratch.rows(f"SELECT key_no, user_id, idle FROM {scratch['tenants']}")
    }


@pytest.mark.parametrize(
    ("profile", "slices"),
    [("1g.5gb", 1), ("2g.10gb", 2), ("7g.80gb", 7), ("1c.3g.40gb", 3), ("", 1), (None, 1), ("whole", 1)],
)
def test_a_slice_weighs_as_much_as_its_profile_says(scratch: Scratch, profile: str | None, slices: int) -> None:
    labels = {"pod": "p", "GPU_I_ID": "1", **({} if profile is None else {"GPU_I_PROFILE": profile})}
    used(scratch, ("usage", "a", labels, 60), ("activity", "a", labels, 0.25))
    assert users(scratch) == {"p": (60 * slices, 250_000 * slices)}


def test_series_of_one_host_repeat_each_other_and_those_of_two_names_of_it_add_up(scratch: Scratch) -> None:
    """60 repeats 30 of the same host; 20 more under its other name; the slice is as large as any of them says."""
    large, small = {"pod": "p", "GPU_I_PROFILE": "2g.10gb"}, {"pod": "p"}
    used(scratch, ("usage", "a", large, 30), ("usage", "a", small, 60), ("usage", "a/2", small, 20))
    assert users(scratch) == {"p": (160, None)}


def test_who_is_active_without_any_time_is_no_user(scratch: Scratch) -> None:
    used(scratch, ("usage", "a", {"pod": "p"}, 60), ("activity", "a", {"pod": "q"}, 1), ("usage", "a", {"pod": "r"}, 0))
    assert users(scratch) == {"p": (60, None)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("a", {"pod": "p"}), ("a", {"pod": "p"}), id="of one user"),
        pytest.param(("a", {"pod": "p"}), ("a/2", {"pod": "p"}), id="under two names of the host"),
        pytest.param(("a", {"pod": "p"}), ("a", {"pod": "q"}), id="of two users"),
        pytest.param(("a", {"pod": "p", "GPU_I_ID": "1"}), ("a", {"pod": "p", "GPU_I_ID": "2"}), id="of two slices"),
    ],
)
def test_of_several_scrape_jobs_the_last_by_name_tells_the_pace(
    scratch: Scratch, one: tuple[str, Labels], other: tuple[str, Labels]
) -> None:
    jobs = zip((one, other), ("x", "y"), strict=True)
    used(scratch, *[("usage", host, {**labels, "job": job}, 60) for (host, labels), job in jobs])
    assert scratch.rows(f"SELECT job FROM {scratch['counted']}") == [("y",)]


def test_a_device_was_sampled_as_often_as_its_fullest_slice(scratch: Scratch) -> None:
    slices = [("1", "p", 40), ("1", "q", 20), ("2", "r", 30)]
    used(scratch, *[("usage", "a", {"GPU_I_ID": n, "pod": pod}, samples) for n, pod, samples in slices])
    assert scratch.rows(f"SELECT samples, largest FROM {scratch['counted']}") == [(60, 40)]


@pytest.mark.parametrize(
    ("labels", "user"),
    [
        ({"pod": "p", "namespace": "n", "container": "c"}, "n/p/c"),
        ({"pod_name": "p", "pod_namespace": "n", "container_name": "c"}, "n/p/c"),
        ({"namespace": "n", "container": "c"}, ""),
        ({"namespace": "n", "hpc_job": "7"}, "7"),
        ({"pod": "p", "hpc_job": "7"}, "p/7"),
        ({"pod": "nvidia-dcgm-exporter-x", "namespace": "n", "hpc_job": "7"}, "7"),
        ({"pod": "nvidia-dcgm-exporter-x", "namespace": "n"}, ""),
        ({"exported_pod": "p", "exported_namespace": "n", "pod": "nvidia-dcgm-exporter-x", "namespace": "gpu"}, "n/p"),
    ],
)
def test_a_user_is_a_pod_or_a_batch_job(scratch: Scratch, labels: Labels, user: str) -> None:
    used(scratch, ("usage", "a", labels, 60))
    assert set(users(scratch)) == {user}


@pytest.mark.parametrize("unused", [{}, {"exported_pod": ""}])
def test_where_labels_are_renamed_a_plain_pod_is_the_exporter_on_unused_devices_too(
    scratch: Scratch, unused: Labels
) -> None:
    job = {"job": "gpus", "pod": "exporter-x"}
    renamed = {**job, "exported_pod": "p"}
    other = {"job": "other", "pod": "q"}
    used(scratch, ("usage", "a", {**job, **unused}, 60), ("usage", "b", renamed, 60), ("usage", "c", other, 60))
    found = scratch.rows(f"SELECT key_no, user_id FROM {scratch['uses']}")
    assert sorted(found) == [(0, ""), (1, "p"), (2, "q")]


NOBODY: Labels = {"job": "x"}


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        pytest.param([NOBODY], [{"job": "x", "pod": "p"}], True, id="the job names pods"),
        pytest.param([NOBODY], [{"job": "x", "hpc_job": "7"}], True, id="the job names batch jobs"),
        pytest.param([NOBODY], [NOBODY], False, id="the job names nobody"),
        pytest.param([NOBODY], [{"job": "y", "pod": "p"}], False, id="another job names pods"),
        pytest.param([{}], [{"pod": "p"}], False, id="no job, another host"),
        pytest.param([{}, {"pod": "p"}], [{}], True, id="no job, this host"),
        pytest.param([NOBODY, {"job": "y"}], [{"job": "y", "pod": "p"}], True, id="one of two jobs names pods"),
    ],
)
def test_a_device_without_users_is_idle_where_its_job_would_name_them(
    scratch: Scratch, here: list[Labels], there: list[Labels], expected: bool
) -> None:
    hosts = [("a", labels) for labels in here] + [("b", labels) for labels in there]
    used(scratch, *[("usage", host, labels, 60) for host, labels in hosts])
    found = idle(scratch)
    assert found.pop((0, "")) is expected
    found.pop((1, ""), None)
    assert not any(found.values())


def test_a_label_may_be_on_some_series_of_a_user_only(scratch: Scratch) -> None:
    mine = [{"pod": "p", "namespace": "n", **more} for more in ({"team": ""}, {"team": "t"}, {})]
    used(scratch, *[("usage", "a", labels, 60) for labels in mine], keep=["team", "none"])
    found = scratch.rows(f"SELECT workload_id, labels FROM {scratch['tenants']}")
    assert found == [("p", {"pod": "p", "namespace": "n", "team": "t"})]


def test_two_whose_names_read_alike_are_one_user(scratch: Scratch) -> None:
    """Which of the two is told does not depend on the order of the series."""
    used(
        scratch, ("usage", "a", {"pod": "n", "hpc_job": "p"}, 60), ("usage", "a/2", {"namespace": "n", "pod": "p"}, 60)
    )
    assert scratch.rows(f"SELECT user_id, workload_id FROM {scratch['tenants']}") == [("n/p", "p")]


def observed(
    scratch: Scratch,
    *,
    counted: tuple[int, int] = (60, 60),
    lowest: int | None = 1,
    suspicious: bool = False,
    raw: Sequence[tuple[str, int, str]] = (),
    paces: Sequence[tuple[str, str, Sequence[int]]] = (),
    interval_s: int | None = None,
) -> tuple[int, int, int]:
    """Interval in ms, readings and millionths of the one hour of a device of the job `x`.

    Args:
        scratch: Where.
        counted: Samples of the fullest slice, and of one user.
        lowest: The hour's lowest value.
        suspicious: The hour's samples were read.
        raw: Role, time and state of each of them.
        paces: Job, role and times of series looked at.
        interval_s: Of site.yaml.
    """
    hour = {"key_no": "INTEGER", "t": "BIGINT"}
    counts = {**hour, "job": "VARCHAR", "samples": "BIGINT", "largest": "BIGINT"}
    table(scratch, "counted", counts, [(0, HOUR, "x", *counted)])
    table(scratch, "lowest", {**hour, "n": "HUGEINT"}, [(0, HOUR, lowest)])
    table(scratch, "suspicious", hour, [(0, HOUR)] if suspicious else [])
    states = {"key_no": "INTEGER", "role": "VARCHAR", "t": "BIGINT", "state": "VARCHAR"}
    table(scratch, "observed", states, [(0, *one) for one in raw])
    device = dict.fromkeys(("meter", "node_id", "device_id"), "VARCHAR")
    table(scratch, "keys", {"key_no": "INTEGER", **device}, [(0, "m", "a", "gpu")])
    named = {"series_no": "INTEGER", "role": "VARCHAR", "metric": LABELS, **device}
    looked_at = [(n, role, {"job": job}, "m", "a", "gpu") for n, (job, role, _) in enumerate(paces)]
    table(scratch, "named", named, looked_at)
    points = [(n, t) for n, (*_, times) in enumerate(paces) for t in times]
    table(scratch, "points", {"series_no": "INTEGER", "t": "BIGINT"}, points)
    measure_time(scratch, interval_s)
    (found,) = scratch.rows(f"SELECT interval_ms, readings, ppm FROM {scratch['seen']}")
    return found


@pytest.mark.parametrize(
    ("interval_s", "paces", "interval_ms"),
    [
        pytest.param(None, [], 60_000, id="Prometheus' own"),
        pytest.param(30, [("x", "raw", [0, 15_000])], 30_000, id="the site's"),
        pytest.param(None, [("x", "raw", [5_000, 20_000])], 15_000, id="seen"),
        pytest.param(None, [("y", "raw", [5_000, 20_000])], 60_000, id="of another job"),
        pytest.param(None, [("x", "usage", [0, HOUR])], 60_000, id="no samples"),
        pytest.param(None, [("x", "interval", [0, 0, 15_000])], 15_000, id="one sample twice"),
        pytest.param(None, [("x", "raw", [0, 10_000, 20_000, 50_000])], 10_000, id="the median"),
        pytest.param(None, [("x", "raw", [0, 9_000]), ("x", "raw", [3_000, 12_000])], 9_000, id="series by series"),
    ],
)
def test_the_scrape_interval_is_the_sites_or_seen_or_prometheus_own(
    scratch: Scratch, interval_s: int | None, paces: list[Any], interval_ms: int
) -> None:
    assert observed(scratch, interval_s=interval_s, paces=paces)[0] == interval_ms


@pytest.mark.parametrize(
    ("counted", "readings", "ppm"),
    [
        pytest.param((7, 7), 7, 70_000, id="some"),
        pytest.param((99, 49), 99, 990_000, id="users in turn"),
        pytest.param((100, 50), 100, 1_000_000, id="a full hour"),
        pytest.param((102, 51), 102, 1_000_000, id="two per cent more, as scrapes jitter"),
        pytest.param((103, 51), 51, 510_000, id="more than that: users at the same time"),
    ],
)
def test_samples_of_several_users_add_up_to_an_hour_and_no_more(
    scratch: Scratch, counted: tuple[int, int], readings: int, ppm: int
) -> None:
    """Every 36 s: a hundred samples an hour."""
    assert observed(scratch, counted=counted, interval_s=36) == (36_000, readings, ppm)


def test_observed_time_is_rounded_down_to_millionths(scratch: Scratch) -> None:
    assert observed(scratch, counted=(7, 7)) == (60_000, 7, 116_666)


RAW = [
    ("raw", HOUR - 3, "ok"),
    ("raw", HOUR - 3, "ok"),
    ("raw", HOUR - 2, "nan"),
    ("minimum", HOUR - 1, "ok"),
    ("raw", HOUR, "ok"),
    ("raw", HOUR + 1, "ok"),
]


@pytest.mark.parametrize(
    ("suspicious", "lowest", "readings"),
    [
        pytest.param(True, 1, 2, id="looked at: instants with a good sample"),
        pytest.param(True, None, 2, id="looked at, whatever the lowest value"),
        pytest.param(False, 1, 60, id="all samples are good"),
        pytest.param(False, None, 0, id="no sample is good"),
    ],
)
def test_only_good_samples_observe(scratch: Scratch, suspicious: bool, lowest: int | None, readings: int) -> None:
    assert observed(scratch, suspicious=suspicious, lowest=lowest, raw=RAW)[1] == readings


def test_an_hour_that_was_looked_at_and_has_no_good_sample_is_not_observed(scratch: Scratch) -> None:
    assert observed(scratch, suspicious=True, raw=[("raw", HOUR, "nan")]) == (60_000, 0, 0)


Use = tuple[str, int, int | None, bool]
"""User, weight, activity, idle."""


def shares(scratch: Scratch, n: int | None, usage_n: int, *uses: Use) -> dict[str, tuple[Any, ...]]:
    """Amount, time, number of users, idleness and workload by user, of one hour of one device."""
    hour = {"key_no": "INTEGER", "t": "BIGINT"}
    table(scratch, "hours", {**hour, "n": "HUGEINT", "usage_n": "HUGEINT"}, [(0, HOUR, n, usage_n)])
    weights = {**hour, "user_id": "VARCHAR", "weight": "BIGINT", "activity": "BIGINT"}
    table(scratch, "uses", weights, [(0, HOUR, user, weight, activity) for user, weight, activity, _ in uses])
    tenants = {"key_no": "INTEGER", "user_id": "VARCHAR", "idle": "BOOLEAN", "workload_id": "VARCHAR", "labels": LABELS}
    table(scratch, "tenants", tenants, [(0, user, unused, user, {"pod": user}) for user, _, _, unused in uses if user])
    if any(unused for *_, unused in uses):
        scratch.con.raw_sql(f"INSERT INTO {scratch['tenants']} VALUES (0, '', true, NULL, MAP {{}})")
    rows = scratch.rows(f"SELECT user_id, n, usage_n, users, idle, workload_id, labels FROM ({divide(scratch)})")
    assert all(labels == ({"pod": user} if user else {}) for user, *_, labels in rows)
    assert len({row[0] for row in rows}) == len(rows)
    return {user: tuple(rest) for user, *rest, _ in rows}


@pytest.mark.parametrize(
    ("n", "uses", "parts"),
    [
        pytest.param(100, [("a", 1, None, False), ("b", 1, None, False)], (50, 50), id="even"),
        pytest.param(100, [(user, 1, None, False) for user in "abc"], (33, 33, 34), id="rest"),
        pytest.param(100, [("a", 1, None, False), ("b", 3, None, False)], (25, 75), id="by weight"),
        pytest.param(101, [("", 1, None, True), ("a", 1, None, False), ("b", 1, None, False)], (33, 34, 34), id="idle"),
        pytest.param(100, [("", 30, None, True), ("a", 30, None, False)], (50, 50), id="idle half of the time"),
        pytest.param(100, [("", 2, None, True), ("a", 1, None, False), ("b", 3, None, False)], (33, 16, 51),
                     id="idle takes its time, users the rest by theirs"),
        pytest.param(100, [("", 2, 99, True), ("a", 1, 30, False), ("b", 3, 10, False)], (33, 50, 17),
                     id="users by activity, whatever it is while idle"),
        pytest.param(100, [("", 1, None, True), ("a", 1, 10, False), ("b", 3, 30, False)], (20, 20, 60),
                     id="activity while idle need not be known"),
        pytest.param(100, [("a", 1, 50, False), ("b", 3, None, False)], (25, 75), id="not all are known"),
        pytest.param(100, [("a", 1, 0, False), ("b", 3, 0, False)], (25, 75), id="none is active"),
        pytest.param(100, [("a", 1, 0, False), ("b", 3, 7, False)], (0, 100), id="one is not active"),
        pytest.param(None, [("", 1, None, True), ("a", 1, 1, False)], (None, None), id="unknown"),
        pytest.param(0, [("", 1, None, True), ("a", 1, 1, False)], (0, 0), id="nothing"),
        pytest.param(100, [("", 1, None, False), ("a", 3, None, False)], (25, 75), id="nobody, but not idle"),
    ],
)  # fmt: skip
def test_energy_divides_to_the_last_digit(
    scratch: Scratch, n: int | None, uses: list[Use], parts: tuple[int | None, ...]
) -> None:
    found = shares(scratch, n, 0, *uses)
    assert tuple(found[user][0] for user, *_ in uses) == parts
    assert {found[user][2] for user in found} == {len(uses)}
    assert {user for user in found if found[user][3]} == {user for user, *_, unused in uses if unused}


@pytest.mark.parametrize(
    ("weights", "parts"), [((1, 1, 1), (333, 333, 334)), ((2, 1, 4), (285, 142, 573)), ((6, 1, 1), (750, 125, 125))]
)
def test_time_divides_by_weight_and_loses_nothing(
    scratch: Scratch, weights: tuple[int, ...], parts: tuple[int, ...]
) -> None:
    """The first is idle; the rest goes to the last user even so."""
    uses: list[Use] = [(user, weight, 5, not user) for user, weight in zip(("", "a", "b"), weights, strict=True)]
    found = shares(scratch, 7, 1000, *uses)
    assert tuple(found[user][1] for user, *_ in uses) == parts


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        pytest.param([], {"": (100, 9, 1, False, None)}, id="nobody is known"),
        pytest.param([("a", 5, 1, False)], {"a": (100, 9, 1, False, "a")}, id="one user"),
        pytest.param([("", 5, None, True)], {"": (100, 9, 1, True, None)}, id="idle"),
    ],
)
def test_who_has_a_device_alone_has_all_of_it(
    scratch: Scratch, uses: list[Use], expected: dict[str, tuple[Any, ...]]
) -> None:
    assert shares(scratch, 100, 9, *uses) == expected
