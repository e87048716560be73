"""`prometheus_utilization` on series made by hand, from a stand-in: hours, names, and every way one can mislead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute
import pytest
import yaml
from pydantic import ValidationError

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import UtilizationReadings
from energy_assets.periods import DayRange
from energy_assets.sandbox.series import Series
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus_utilization.meters import BUILT_IN
from energy_assets.sources.prometheus_utilization.source import PrometheusUtilization
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.prometheus_utilization.machines import (
    DAY,
    TWO,
    A,
    B,
    gauge,
    joined,
    minutes,
    processors,
    served,
    source,
)

ONE = DayRange(DAY, DAY)


def read(step: StepContext, these: Iterable[Series], **keys: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows in order and notes, audited as a run does."""
    with served(these) as url:
        rows, notes = rows_of(source(url, **keys), ONE, step)
    audit(conform(ibis.memtable(rows), UtilizationReadings), UtilizationReadings)
    found: list[dict[str, Any]] = rows.to_pylist()
    return sorted(found, key=lambda row: (row["resource_id"], row["component"], row["hour"])), notes


def hours(rows: list[dict[str, Any]]) -> list[tuple[int, float, float]]:
    return [(row["hour"].hour, float(row["utilization"]), float(row["coverage"])) for row in rows]


def test_hours_of_two_processors_by_hand(step: StepContext) -> None:
    """Scraped 6 s after each minute: (0.3 + 0.2) / 2 of the time, iowait and steal being none of it."""
    rows, notes = read(step, processors(minutes(-9.9, 130), TWO, instance_id=A, instance="10.0.0.7:9100"))
    # the first stretch begins at 08:50:06, the last ends at 11:09:06
    assert hours(rows) == [(8, 0.25, 0.165), (9, 0.25, 1.0), (10, 0.25, 1.0), (11, 0.25, 0.151667)]
    assert {(row["provider"], row["resource_id"], row["component"], row["account_id"]) for row in rows} == {
        ("aws", A, "cpu", None)
    }
    assert notes == {}


def test_guest_time_is_in_user_time_and_has_a_metric_of_its_own(step: StepContext) -> None:
    guest = processors(minutes(0, 60), ({"user": 0.3}, {"user": 0.1}), metric="node_cpu_guest_seconds_total",
                       instance_id=A)  # fmt: skip
    rows, _ = read(step, [*processors(minutes(0, 60), TWO, instance_id=A), *guest])
    assert hours(rows) == [(9, 0.25, 1.0)]


def test_windows_interrupts_are_in_its_privileged_time(step: StepContext) -> None:
    modes = {"idle": 0.4, "user": 0.5, "privileged": 0.1, "interrupt": 0.05, "dpc": 0.05}
    made = processors(minutes(0, 60), (modes, modes), metric="windows_cpu_time_total", cpu="core", instance_id=A)
    rows, notes = read(step, made)
    assert (hours(rows), notes) == ([(9, 0.6, 1.0)], {})


@pytest.mark.parametrize(
    ("every", "max_gap_s", "covered"), [(5, 300, [1.0]), (6, 300, []), (6, 360, [1.0]), (6, 359, []), (4, 240, [1.0])]
)
def test_a_gap_is_what_is_longer_than_the_limit(
    step: StepContext, every: float, max_gap_s: int, covered: list[float]
) -> None:
    made = processors(minutes(0, 60, every), TWO, instance_id=A)
    rows, _ = read(step, made, max_gap_s=max_gap_s)
    assert [one for _, _, one in hours(rows)] == covered


def test_a_gap_inside_an_hour_lowers_the_coverage_and_nothing_fills_it(step: StepContext) -> None:
    busy = ({"user": 0.8, "idle": 0.2}, {"user": 0.8, "idle": 0.2})
    # 09:00 to 09:30 and 09:40 to 10:00; what the counters rose by in between is not looked at
    made = processors([*minutes(0, 30), *minutes(40, 60)], busy, instance_id=A)
    assert hours(read(step, made)[0]) == [(9, 0.8, round(50 / 60, 6))]


def test_a_machine_that_starts_again_counts_from_zero(step: StepContext) -> None:
    """Until 09:30 at 0.25; it starts at 09:31:30 and is fully busy; its first scrape is at 09:32."""
    full = tuple({**dict.fromkeys(modes, 0.0), "user": 1.0} for modes in TWO)
    before = processors(minutes(0, 30), TWO, instance_id=A)
    after = processors(minutes(32, 60), full, booted=31.5, instance_id=A)
    rows, notes = read(step, joined(before, after))
    assert hours(rows) == [(9, round((30 * 0.25 + 28.5) / 58.5, 6), round(58.5 / 60, 6))]
    assert notes == {}


def test_a_counter_that_falls_without_a_start_is_of_other_processors(step: StepContext) -> None:
    """At 09:30 the second of two processors is taken out: the sums fall, and no machine started."""
    made = joined(processors(minutes(0, 30), TWO, instance_id=A), processors(minutes(31, 60), TWO[:1], instance_id=A))
    rows, notes = read(step, made)
    assert hours(rows) == [(9, round((30 * 0.25 + 29 * 0.3) / 59, 6), round(59 / 60, 6))]
    assert notes == {"loads_of_changed_processors": 1}


def test_processors_that_come_are_no_work(step: StepContext) -> None:
    made = [
        *processors(minutes(0, 60), TWO[:1], instance_id=A),
        *[one for one in processors(minutes(30, 60), TWO, instance_id=A) if dict(one.labels)["cpu"] == "1"],
    ]
    rows, notes = read(step, made)
    assert hours(rows) == [(9, round((29 * 0.3 + 30 * 0.25) / 59, 6), round(59 / 60, 6))]
    assert notes == {"loads_of_changed_processors": 1}


@pytest.mark.parametrize(
    ("metric", "value", "taken"),
    [
        ("DCGM_FI_DEV_GPU_UTIL", 100, [1.0]),
        ("DCGM_FI_DEV_GPU_UTIL", 1, [0.01]),
        ("DCGM_FI_DEV_GPU_UTIL", 0, [0.0]),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1, [1.0]),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.01, [0.01]),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1.01, [1.0]),  # rounding
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 1.02, []),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 80, []),  # per cent in a ratio
        ("nvidia_smi_utilization_gpu_ratio", 1, [1.0]),
        ("DCGM_FI_DEV_GPU_UTIL", 9223372036854775794, []),
        ("DCGM_FI_DEV_GPU_UTIL", -1, []),
        ("DCGM_FI_DEV_GPU_UTIL", float("nan"), []),
    ],
)
def test_ratios_and_per_cent(step: StepContext, metric: str, value: float, taken: list[float]) -> None:
    points = [(minute, value) for minute in minutes(0, 60)]
    rows, notes = read(step, [gauge(metric, points, UUID="GPU-1", uuid="GPU-1", instance_id=A)])
    assert [one for _, one, _ in hours(rows)] == taken
    assert bool(taken) != bool(set(notes) - {"loads_like_shares"})


def test_some_values_above_full_are_left_out_and_many_are_another_unit(step: StepContext) -> None:
    for wrong, kept in ((6, 1), (7, 0)):  # of 61: one in ten and no more
        points = [(minute, 20 if n < wrong else 0.5) for n, minute in enumerate(minutes(0, 60))]
        _, notes = read(step, [gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", points, UUID=f"GPU-{wrong}", instance_id=A)])
        assert notes["loads_above_full_dropped"] == (wrong if kept else 61)


def info(name: str, first: float, last: float, **labels: str) -> Series:
    return gauge(name, [(minute, 1) for minute in minutes(first, last)], **labels)


ARM = "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm1"


@pytest.mark.parametrize(
    ("labels", "more", "found"),
    [
        ({"instance_id": A, "instance": "10.0.0.7:9100"}, [], ("aws", A, None)),
        ({"node": f"{A}.eu-west-1.compute.internal"}, [], ("aws", A, None)),
        ({"provider_id": f"aws:///eu-west-1a/{A}"}, [], ("aws", A, None)),
        ({"instance_id": "4711", "instance_name": "W1"}, [], ("gcp", "w1", None)),
        ({"instance_id": "4711"}, [], ("gcp", "4711", None)),
        ({"instance_id": "ocid1.instance.x", "node": "w1"}, [], ("gcp", "ocid1.instance.x", None)),
        ({"instance_id": ARM, "node": "vm1"}, [], ("azure", ARM.lower(), "s-1")),
        ({"instance": "ip-10-0-0-7:9100"}, [("ip-10-0-0-7", "10.0.0.7", f"aws:///eu-west-1a/{A}")], ("aws", A, None)),
        ({"instance": "10.0.0.7:9100"}, [("ip-10-0-0-7", "10.0.0.7", f"aws:///eu-west-1a/{A}")], ("aws", A, None)),
        (
            {"Hostname": "dcgm-exporter-x7k2p", "instance": "10.0.0.7:9400"},
            [("n", "10.0.0.7", "gce://p-1/europe-west4-a/gke-1")],
            ("gcp", "zones/europe-west4-a/instances/gke-1", None),
        ),
        ({"node": "aks-0"}, [("aks-0", "10.0.0.9", f"azure://{ARM}")], ("azure", ARM, "s-1")),
        ({"node": "w-1"}, [("w-1", "10.0.0.9", "oci:///ocid1.instance.x")], ("gcp", "ocid1.instance.x", None)),
        ({"node": "w-1"}, [("w-1", "1", f"aws:///a/{A}"), ("w-1", "2", f"aws:///a/{B}")], ("gcp", "w-1", None)),
        ({"instance": "10.0.0.7:9100"}, [], ("gcp", "10.0.0.7", None)),
        ({"Hostname": "dcgm-exporter-x7k2p", "instance": "w1:9400"}, [], ("gcp", "w1", None)),
    ],
)  # fmt: skip
def test_which_machine_a_series_is_of(
    step: StepContext, labels: dict[str, str], more: list[tuple[str, str, str]], found: tuple[str, str, str | None]
) -> None:
    known = [
        info("kube_node_info", 0, 59, node=node, internal_ip=address, provider_id=provider)
        for node, address, provider in more
    ]
    rows, _ = read(step, [*processors(minutes(0, 60), TWO, **labels), *known], provider="gcp")
    assert [(row["provider"], row["resource_id"], row["account_id"]) for row in rows] == [found]


def test_linux_names_the_host_behind_an_address(step: StepContext) -> None:
    told = info("node_uname_info", 0, 59, instance="10.0.0.7:9100", nodename="VM1")
    made = [*processors(minutes(0, 60), TWO, instance="10.0.0.7:9100"), told]
    assert [row["resource_id"] for row in read(step, made, provider="azure")[0]] == ["VM1"]
    named = [*processors(minutes(0, 60), TWO, instance="gpu-1:9100"), info("node_uname_info", 0, 59,
             instance="gpu-1:9100", nodename="localhost")]  # fmt: skip
    assert [row["resource_id"] for row in read(step, named, provider="azure")[0]] == ["gpu-1"]


def test_a_name_passes_to_another_machine_by_the_hour(step: StepContext) -> None:
    made = [
        *processors(minutes(0, 120), TWO, node="ip-10-0-0-7"),
        info("kube_node_info", 0, 59, node="ip-10-0-0-7", provider_id=f"aws:///a/{A}"),
        info("kube_node_info", 61, 119, node="ip-10-0-0-7", provider_id=f"aws:///a/{B}"),
    ]
    rows, _ = read(step, made)
    assert [(row["resource_id"], row["hour"].hour) for row in rows] == [(A, 9), (B, 10)]


def test_a_node_whose_label_prometheus_moved_aside(step: StepContext) -> None:
    """kube-state-metrics runs on w-9, and its own target carries that label."""
    made = [
        *processors(minutes(0, 60), TWO, node="w-1"),
        *processors(minutes(0, 60), TWO, node="w-9"),
        info("kube_node_info", 0, 59, node="w-9", exported_node="w-1", provider_id=f"aws:///a/{A}"),
        info("kube_node_info", 0, 59, node="w-9", exported_node="w-9", provider_id=f"aws:///a/{B}"),
    ]
    assert [row["resource_id"] for row in read(step, made)[0]] == [A, B]


def test_machines_of_nobody_are_counted_and_left_out(step: StepContext) -> None:
    made = [*processors(minutes(0, 60), TWO, node="w-1"), *processors(minutes(0, 60), TWO, instance_id=A)]
    rows, notes = read(step, made)
    assert [row["resource_id"] for row in rows] == [A]
    assert notes == {"loads_without_provider": 1}


def test_series_without_a_name_of_a_machine_are_told_with_their_metric(step: StepContext) -> None:
    own = {"metric": "vm_cpu", "component": "cpu", "unit": "percent"}
    points = [(minute, 50) for minute in minutes(0, 60)]
    found = read(step, [gauge("vm_cpu", points, vm=A)], metrics=[own], provider="aws")
    assert found == ([], {"loads_without_machine": 1})


def test_a_machine_has_the_mean_of_its_gpus_and_a_silent_one_lowers_the_coverage(step: StepContext) -> None:
    """One GPU at 80 % and one at 40 %, which is silent from ten o'clock on."""
    made = [
        gauge("DCGM_FI_DEV_GPU_UTIL", [(m, 80) for m in minutes(0, 120)], UUID="GPU-1", Hostname="w1", instance_id=A),
        gauge("DCGM_FI_DEV_GPU_UTIL", [(m, 40) for m in minutes(0, 60)], UUID="GPU-2", Hostname="w1", instance_id=A),
    ]
    rows, _ = read(step, made)
    assert [row["component"] for row in rows] == ["gpu", "gpu"]
    assert hours(rows) == [(9, 0.6, 1.0), (10, 0.8, 0.5)]


def test_pods_that_share_a_gpu_are_one_reading_and_the_better_metric_counts(step: StepContext) -> None:
    points = minutes(0, 60)
    made = [
        gauge("DCGM_FI_DEV_GPU_UTIL", [(m, 100) for m in points], UUID="GPU-1", instance_id=A, pod="a"),
        gauge("DCGM_FI_DEV_GPU_UTIL", [(m, 100) for m in points], UUID="GPU-1", instance_id=A, pod="b"),
        gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", [(m, 0.7) for m in points], UUID="GPU-1", instance_id=A, pod="a"),
        gauge("nvidia_smi_utilization_gpu_ratio", [(m, 0.9) for m in points], uuid="GPU-1", instance_id=A),
    ]
    assert hours(read(step, made)[0]) == [(9, 0.7, 1.0)]
    # where the better one saw less of the hour, the other one counts
    made[2] = gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", [(m, 0.7) for m in points[:50]], UUID="GPU-1", instance_id=A)
    assert hours(read(step, made)[0])[0][1] in (1.0, 0.9)


def test_instances_of_a_divided_gpu_count_by_their_slices(step: StepContext) -> None:
    """3g at 100 % and 2g at 50 % of seven slices: 4/7."""
    made = [
        gauge("DCGM_FI_PROF_GR_ENGINE_ACTIVE", [(m, value) for m in minutes(0, 60)], UUID="GPU-1", instance_id=A,
              GPU_I_ID=number, GPU_I_PROFILE=profile, modelName="NVIDIA H100 80GB HBM3")
        for number, profile, value in (("1", "3g.40gb", 1.0), ("2", "2g.20gb", 0.5))
    ]  # fmt: skip
    assert hours(read(step, made)[0]) == [(9, round(4 / 7, 6), 1.0)]


def test_a_cloud_exporter_counts_where_the_machine_itself_is_not_read(step: StepContext) -> None:
    cloud = [
        gauge("aws_ec2_cpuutilization_average", [(m, 40) for m in minutes(0, 60, 5)], dimension_InstanceId=one)
        for one in (A, B)
    ]
    rows, _ = read(step, [*cloud, *processors(minutes(0, 60), TWO, instance_id=A)])
    assert [(row["resource_id"], float(row["utilization"])) for row in rows] == [(A, 0.25), (B, 0.4)]


def test_metrics_of_site_yaml_have_stated_units(step: StepContext) -> None:
    own = {"metric": "vm_cpu", "component": "cpu", "unit": "percent"}
    rows, _ = read(step, [gauge("vm_cpu", [(m, 1) for m in minutes(0, 60)], vm=A)], metrics=[own], machine_label="vm")
    assert [(row["resource_id"], float(row["utilization"])) for row in rows] == [(A, 0.01)]
    for metric, unit in (("load_ratio", "percent"), ("load_percent", "share")):
        with pytest.raises(ValidationError, match="is named as a"):
            source("http://x", metrics=[{**own, "metric": metric, "unit": unit}])


def test_a_server_without_such_a_metric_says_so(step: StepContext) -> None:
    assert read(step, [info("up", 0, 60, job="x")]) == ([], {"no_metric_known": 1})


def test_values_of_a_metric_in_per_cent_that_may_be_shares_are_told(step: StepContext) -> None:
    made = [gauge("DCGM_FI_DEV_GPU_UTIL", [(m, 0.7) for m in minutes(0, 60)], UUID="GPU-1", instance_id=A)]
    assert read(step, made)[1] == {"loads_like_shares": 61}


def test_a_day_alone_and_in_a_range_asks_the_same_and_says_the_same(step: StepContext) -> None:
    made = processors(minutes(-9.9, 130), TWO, instance_id=A)
    two = DayRange(DAY, DAY + timedelta(days=1))
    with served(made) as url:
        alone, _ = rows_of(source(url), ONE, step)
        both, _ = rows_of(source(url), two, step)
    assert alone.equals(both.filter(pa.compute.equal(both["day"], pa.scalar(DAY))))


def test_the_page_has_every_metric_and_a_block_that_is_read() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/sources/prometheus_utilization.md").read_text(encoding="utf-8")
    assert [meter.metric for meter in BUILT_IN if f"| `{meter.metric}` |" not in page] == []
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.S)
    told = [one for one in yaml.safe_load(block)["sources"] if one["kind"] == "prometheus_utilization"]
    assert [PrometheusUtilization.model_validate(one).meters[0].name for one in told] == ["vm_cpu_busy"]


def test_a_new_machine_is_known_from_its_start_if_the_first_scrape_comes_soon(step: StepContext) -> None:
    for late, covered in ((4, 60 - 20), (5, 60 - 20), (6, 60 - 26)):
        made = processors(minutes(20 + late, 60), TWO, booted=20, instance_id=A)
        assert hours(read(step, made)[0]) == [(9, 0.25, round(covered / 60, 6))]


def test_two_targets_of_one_machine_are_one_and_the_one_that_saw_more_counts(step: StepContext) -> None:
    busy = ({"user": 0.9, "idle": 0.1}, {"user": 0.9, "idle": 0.1})
    made = [
        *processors(minutes(0, 60), TWO, instance_id=A, instance="10.0.0.7:9100"),
        *processors(minutes(10, 50), busy, instance_id=A, instance="10.1.0.7:9100"),
    ]
    assert hours(read(step, made)[0]) == [(9, 0.25, 1.0)]


def test_one_machine_scraped_by_two_jobs_or_two_servers_has_its_own_load(step: StepContext) -> None:
    made = [
        one
        for job, replica, offset in (("node", "a", 0), ("kubernetes", "a", 0.2), ("node", "b", 0.4))
        for one in processors(minutes(offset, 125 + offset), TWO, instance_id=A, job=job, replica=replica)
    ]
    rows, _ = read(step, made)
    assert [(hour, load) for hour, load, _ in hours(rows)][:2] == [(9, 0.25), (10, 0.25)]
    assert hours(rows)[1][2] == 1


def test_hours_of_a_day_that_is_not_over_end_with_the_last_whole_one(step: StepContext) -> None:
    now = replace(step, now=datetime(2026, 11, 18, 11, 20, tzinfo=UTC))
    rows, _ = read(now, processors(minutes(0, 140), TWO, instance_id=A))
    assert hours(rows) == [(9, 0.25, 1.0), (10, 0.25, 1.0)]


def test_the_doctor_names_machines_of_the_last_hour_and_those_of_nobody(step: StepContext) -> None:
    now = replace(step, now=datetime(2026, 11, 18, 10, 2, tzinfo=UTC))
    made = [*processors(minutes(0, 62), TWO, instance_id=A), *processors(minutes(0, 62), TWO, node="w-1")]
    with served(made, now.now) as url:
        found = list(source(url).check(now))
        told = [(one.ok, one.what) for one in found]
    assert (True, f"cpu of 1 machine (such as {A}), 25.0 % busy in 100 % of the last hour") in told
    assert (False, "1 machine of which nothing says whose they are: w-1") in told
    with served([info("up", 0, 62, job="x")], now.now) as url:
        (nothing,) = [one for one in source(url).check(now) if not one.ok]
    assert "node_exporter, windows_exporter" in nothing.remedy
