"""`utilization_files` on exports made by hand: every form, hours by hand, and every way a file can mislead."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pytest
from pydantic import ValidationError

from energy_assets.contracts.audit import audit, conform
from energy_assets.contracts.raw import UtilizationReadings
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.utilization_files.source import UtilizationFiles
from energy_assets_tests.conftest import rows_of

DAY = date(2026, 11, 18)
ONE = DayRange(DAY, DAY)
A, B = "i-0aaaaaaaaaaaaaaa1", "i-0bbbbbbbbbbbbbbb2"
VM = "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm1"
SET = "/subscriptions/s-1/resourceGroups/rg/providers/Microsoft.Compute/virtualMachineScaleSets/pool"
COLUMNS = {"time": "t", "resource": "host", "utilization": "load"}
OWN = {
    "columns": COLUMNS,
    "unit": "percent",
    "component": "cpu",
    "provider": "gcp",
}


def of(path: str, **keys: Any) -> UtilizationFiles:
    return UtilizationFiles.model_validate({"name": "load", "kind": "utilization_files", "path": path, **keys})


def read(
    step: StepContext, source: UtilizationFiles, days: DayRange = ONE
) -> tuple[list[dict[str, Any]], Mapping[str, int]]:
    """Rows in order and notes, audited as a run does."""
    rows, notes = rows_of(source, days, step)
    audit(conform(ibis.memtable(rows), UtilizationReadings), UtilizationReadings)
    found: list[dict[str, Any]] = rows.to_pylist()
    return sorted(found, key=lambda row: (row["resource_id"], row["component"], row["hour"])), notes


def failure(step: StepContext, source: UtilizationFiles) -> str:
    """The message of the malformed file; its bytes must have been landed."""
    collected = collect(source, list(ONE), step)
    assert all(edition.objects for edition in collected.editions.values())
    parsed, failures = parse(source, collected.editions, step)
    assert parsed is None
    assert all(isinstance(error, MalformedError) for error in failures.values())
    return str(failures[DAY])


def put(folder: Path, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    body = text.encode()
    (folder / name).write_bytes(gzip.compress(body, mtime=0) if name.endswith(".gz") else body)


def times(minutes: int, count: int, hour: int = 9) -> list[str]:
    return [f"{DAY}T{hour + n * minutes // 60:02}:{n * minutes % 60:02}:00+00:00" for n in range(count)]


def metric_data(*series: tuple[str, list[str], list[float]]) -> dict[str, Any]:
    """An answer of get-metric-data."""
    return {
        "MetricDataResults": [
            {"Id": f"q{n}", "Label": label, "Timestamps": at, "Values": values, "StatusCode": "Complete"}
            for n, (label, at, values) in enumerate(series)
        ],
        "Messages": [],
    }


def label(instance: str = A, metric: str = "CPUUtilization", stat: str = "Average", period: str = "300") -> str:
    return f"{metric} {instance} {stat} {period}"


def statistics(points: list[tuple[str, float]], stat: str = "Average", unit: str = "Percent") -> dict[str, Any]:
    """An answer of get-metric-statistics; its points come in no order."""
    told = [{"Timestamp": at, stat: value, "Unit": unit} for at, value in points]
    return {"Label": "CPUUtilization", "Datapoints": told}


def azure(points: list[dict[str, Any]], resource: str = VM, grain: str = "PT1H", **keys: Any) -> dict[str, Any]:
    """An answer of `az monitor metrics list`."""
    line = {"metadatavalues": keys.pop("metadatavalues", []), "data": points}
    metric = {
        "id": f"{resource}/providers/Microsoft.Insights/metrics/Percentage CPU",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": "Percentage CPU", "localizedValue": "Percentage CPU"},
        "unit": "Percent",
        "timeseries": [line],
        **keys,
    }
    return {"cost": 59, "interval": grain, "resourceregion": "westeurope", "timespan": "…", "value": [metric]}


CONSOLE = f"""Id,m1,m2
Label,CPUUtilization {A},CPUUtilization {B}
Namespace,AWS/EC2,AWS/EC2
Statistic,Average,Average
Period,300,300
2026/11/18 09:00:00,20,40
2026/11/18 09:05:00,40,
2026/11/18 09:10:00,60,60
"""


@pytest.mark.parametrize(
    ("name", "content", "keys", "hours"),
    [
        (
            "x.json",
            metric_data((label(period="3600"), times(60, 2), [30.0, 12.5])),
            {},
            [(A, "cpu", 9, "0.3", "1"), (A, "cpu", 10, "0.125", "1")],
        ),
        (  # newest first, as the command line answers by default; a quarter of an hour
            "x.json.gz",
            metric_data((label(), times(5, 3)[::-1], [60, 40, 20])),
            {},
            [(A, "cpu", 9, "0.4", "0.25")],
        ),
        (  # one minute and a quarter of an hour
            "x.json",
            metric_data(
                (label(period="60"), times(1, 60), [50] * 30 + [100] * 30),
                (label(B, period="900"), times(15, 4), [0, 20, 40, 60]),
            ),
            {},
            [(A, "cpu", 9, "0.75", "1"), (B, "cpu", 9, "0.3", "1")],
        ),
        (  # the label has the instance alone; the source says the metric, the points their period
            "x.json",
            metric_data((A, times(5, 12), [10] * 12)),
            {"component": "cpu"},
            [(A, "cpu", 9, "0.1", "1")],
        ),
        (  # GPUs one by one: the machine has their mean; other metrics are left aside
            "x.json",
            metric_data(
                (f"nvidia_smi_utilization_gpu {A} index 0 Average 3600", times(60, 1), [100]),
                (f"nvidia_smi_utilization_gpu {A} index 1 Average 3600", times(60, 1), [60]),
                (f"NetworkIn {A} Average 3600", times(60, 1), [123456]),
            ),
            {},
            [(A, "gpu", 9, "0.8", "1")],
        ),
        (
            f"{A}.json",
            statistics([(f"{DAY}T09:05:00Z", 40), (f"{DAY}T09:00:00Z", 20), (f"{DAY}T09:10:00Z", 60)]),
            {},
            [(A, "cpu", 9, "0.4", "0.25")],
        ),
        (f"{A}.json", statistics([(f"{DAY}T09:00:00Z", 20)]), {"period_s": 3600}, [(A, "cpu", 9, "0.2", "1")]),
        (
            "x.json",
            [azure([{"timeStamp": f"{DAY}T09:00:00Z", "average": 25.5}, {"timeStamp": f"{DAY}T10:00:00Z"}])],
            {},
            [(VM, "cpu", 9, "0.255", "1")],
        ),
        (
            "x.json",
            azure(
                [{"timeStamp": f"{DAY}T09:00:00Z", "average": 25}],
                SET,
                "PT15M",
                metadatavalues=[{"name": {"value": "vmname", "localizedValue": "vmname"}, "value": "pool_3"}],
            ),
            {},
            [(f"{SET}/virtualMachines/3", "cpu", 9, "0.25", "0.25")],
        ),
        ("x.csv", CONSOLE, {}, [(A, "cpu", 9, "0.4", "0.25"), (B, "cpu", 9, "0.5", "0.166667")]),
        (
            f"{A}.csv",
            "Label,CPUUtilization\n11/18/2026 10:00,20\n11/18/2026 11:00,40\n11/18/2026 12:00,30\n",
            {"timezone": "Europe/Berlin"},
            [(A, "cpu", 9, "0.2", "1"), (A, "cpu", 10, "0.4", "1"), (A, "cpu", 11, "0.3", "1")],
        ),
        (
            "x.csv",
            "t,host,load\n2026-11-18T10:00:00,n1,50\n2026-11-18T10:30:00,n1,100\n2026-11-18T11:00:00,n1,\n",
            {**OWN, "timezone": "Europe/Berlin"},
            [("n1", "cpu", 9, "0.75", "1")],
        ),
        (
            "x.csv",
            't;host;load;gpu\n2026-11-18T09:00Z;n1;"0,25";0\n2026-11-18T09:00Z;n1;"0,75";1\n',
            {**OWN, "unit": "share", "component": "gpu", "period_s": 3600, "columns": {**COLUMNS, "device": "gpu"}},
            [("n1", "gpu", 9, "0.5", "1")],
        ),
        (  # values that run over the end of an hour count in both: 09:55 to 10:05, 10:05 to 10:15
            "x.csv",
            "t,host,load\n2026-11-18T09:55Z,n1,100\n2026-11-18T10:05Z,n1,10\n2026-11-18T10:15Z,n1,10\n",
            OWN,
            [("n1", "cpu", 9, "1", "0.083333"), ("n1", "cpu", 10, "0.28", "0.416667")],
        ),
    ],
)  # fmt: skip
def test_every_form_becomes_hours(
    step: StepContext, tmp_path: Path, name: str, content: Any, keys: Any, hours: list[tuple[Any, ...]]
) -> None:
    put(tmp_path, name, content)
    rows, _ = read(step, of(name, **keys))
    found = [
        (row["resource_id"], row["component"], row["hour"].hour, row["utilization"], row["coverage"]) for row in rows
    ]
    assert found == [(*hour[:3], Decimal(hour[3]), Decimal(hour[4])) for hour in hours]


def test_an_export_says_whose_machine_and_where(step: StepContext, tmp_path: Path) -> None:
    put(tmp_path, "az.json", azure([{"timeStamp": f"{DAY}T09:00:00Z", "average": 25}]))
    put(tmp_path, "cw.json", metric_data((label(period="3600"), times(60, 1), [30])))
    rows, _ = read(step, of("*.json"))
    assert [(row["provider"], row["account_id"], row["region"]) for row in rows] == [
        ("azure", "s-1", "westeurope"),
        ("aws", None, None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "keys", "message"),
    [
        ("x.json", metric_data((label(stat="Sum"), times(5, 3), [1, 2, 3])), {}, "of the statistic Sum"),
        ("x.json", metric_data((label(stat="Maximum"), times(5, 3), [1, 2, 3])), {}, "of the statistic Maximum"),
        ("x.json", metric_data((label(stat="p99"), times(5, 3), [1, 2, 3])), {}, "of the statistic p99"),
        (f"{A}.json", statistics([(f"{DAY}T09:00:00Z", 20)], "Maximum"), {}, "of the statistic Maximum"),
        (f"{A}.json", statistics([(f"{DAY}T09:00:00Z", 20)], unit="Count"), {}, "are in Count, not in Percent"),
        (
            f"{A}.json",
            {"Label": "CPUUtilization", "Datapoints": [
                {"Timestamp": f"{DAY}T09:00:00Z", "Average": 1, "Unit": "Percent"},
                {"Timestamp": f"{DAY}T09:05:00Z", "Average": 1, "Unit": "None"},
            ]},
            {},
            "are in None and Percent",
        ),
        ("x.json", statistics([(f"{DAY}T09:00:00Z", 20)]), {}, "neither does the file's name"),
        ("x.json", metric_data(("CPUUtilization", times(5, 3), [1, 2, 3])), {}, "does not say of which instance"),
        ("x.json", metric_data((A, times(5, 3), [1, 2, 3])), {}, "does not say of which metric"),
        ("x.json", metric_data((label(), times(5, 3), [101.5, 480, 300])), {}, "above full load, up to 480 per cent"),
        ("x.json", metric_data((label(period="86400"), times(60, 1), [10])), {}, "stands for 24 hours"),
        ("x.json", metric_data((f"CPUUtilization {A}", times(60, 1), [10])), {}, "Write `period_s`"),
        (
            "x.json",
            metric_data((label(), times(5, 3), [1, 2, 3]), (label(), times(5, 1), [9])),
            {},
            f"has two values of {A} at 1 instant, one at 2026-11-18 09:00 UTC",
        ),
        ("x.json", '{"MetricDataResults": [', {}, "is no whole JSON"),
        ("x.json", {"Items": []}, {}, "its keys are Items"),
        ("x.json", azure([{"timeStamp": f"{DAY}T09:00:00Z", "maximum": 25}]), {}, "of the statistic maximum"),
        ("x.json", azure([{"timeStamp": f"{DAY}T09:00:00Z", "average": 25}], SET), {}, "VMName eq '*'"),
        ("x.json", azure([{"timeStamp": f"{DAY}T09:00:00Z", "average": 25}], unit="Count"), {}, "in Count, not in"),
        ("x.csv", CONSOLE.replace("Average", "Maximum"), {}, "of the statistic Maximum"),
        ("x.csv", "a,b\n1,2\n", {}, "no line begins with a time"),
        ("x.csv", CONSOLE.replace("40,\n", "4O,\n"), {}, "'4O' is no number"),
        (f"{A}.csv", "Label,CPUUtilization\n05/10/2026 09:00,20\n", {"period_s": 60}, "day and month cannot be told"),
        ("x.csv", "time,host,load\n2026-11-18T09:00Z,n1,5\n", OWN, "has no column 't'"),
        (  # shares were said, per cent are there
            "x.csv",
            "t,host,load\n2026-11-18T09:00Z,n1,35\n2026-11-18T09:05Z,n1,0.5\n",
            {**OWN, "unit": "share", "period_s": 300},
            "above full load",
        ),
        ("x.csv", "t,host,load\n2026-11-18 01:00,n1,5\n2026-11-18 05:00,n1,5\n", OWN, "are 4 hours apart"),
    ],
)  # fmt: skip
def test_what_would_mislead_is_refused(
    step: StepContext, tmp_path: Path, name: str, content: Any, keys: Any, message: str
) -> None:
    put(tmp_path, name, content)
    assert message in failure(step, of(name, **keys))
    (finding,) = of(name, **keys).check(step)
    assert not finding.ok
    assert message in finding.what + finding.remedy
    assert finding.remedy


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({**OWN, "unit": None}, "unit (percent or share)"),
        ({**OWN, "component": None}, "component (cpu or gpu)"),
        ({**OWN, "provider": None}, "provider (aws, gcp, azure …)"),
        ({"unit": "share"}, "`unit` and `decimal` are of files with `columns`"),
    ],
)
def test_a_block_says_what_only_it_can_say(keys: Any, message: str) -> None:
    with pytest.raises(ValidationError) as raised:
        of("x.csv", **keys)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("files", "hours", "notes"),
    [
        (  # an export each week, which overlap: told alike, counted once
            [metric_data((label(), times(5, 6), [10] * 6)), metric_data((label(), times(5, 12), [10] * 12))],
            [(9, "0.1", "1")],
            {"loads_in_several_files": 6},
        ),
        (  # two halves of an hour
            [metric_data((label(), times(5, 6), [10] * 6)), metric_data((label(), times(5, 12)[6:], [30] * 6))],
            [(9, "0.2", "1")],
            {},
        ),
        (  # the last by name counts, and it is told
            [metric_data((label(), times(5, 12), [10] * 12)), metric_data((label(), times(5, 12), [90] * 12))],
            [(9, "0.9", "1")],
            {"loads_in_several_files": 12, "loads_told_differently": 12},
        ),
        (  # two periods: the one that covers more of the hour
            [metric_data((label(period="3600"), times(60, 1), [50])), metric_data((label(), times(5, 3), [10] * 3))],
            [(9, "0.5", "1")],
            {},
        ),
        (
            [metric_data((label(), times(5, 12), [*[100.4] * 11, 130]))],
            [(9, "1", "0.916667")],
            {"loads_above_full_dropped": 1},
        ),
        ([metric_data((label(), [*times(5, 3), *times(5, 3)], [20] * 6))], [(9, "0.2", "0.25")], {"loads_repeated": 3}),
        ([metric_data((label(), times(5, 3), [0.2, 0.4, 0.6]))], [(9, "0.004", "0.25")], {"loads_like_shares": 3}),
        (
            [metric_data((f"CPUUtilization {A}", times(5, 3), [20] * 3))],
            [(9, "0.2", "0.25")],
            {"loads_without_statistic": 3},
        ),
    ],
)  # fmt: skip
def test_several_files_and_doubtful_values(
    step: StepContext, tmp_path: Path, files: list[Any], hours: list[tuple[Any, ...]], notes: dict[str, int]
) -> None:
    for number, content in enumerate(files):
        put(tmp_path, f"{number}.json", content)
    rows, told = read(step, of("*.json"))
    found = [(row["hour"].hour, row["utilization"], row["coverage"]) for row in rows]
    assert found == [(hour, Decimal(load), Decimal(coverage)) for hour, load, coverage in hours]
    assert told == notes


def test_a_machine_of_basic_monitoring_keeps_its_five_minutes_beside_one_of_detailed(
    step: StepContext, tmp_path: Path
) -> None:
    told = metric_data(
        (f"CPUUtilization {A}", times(1, 60), [10] * 60), (f"CPUUtilization {B}", times(5, 12), [10] * 12)
    )
    put(tmp_path, "x.json", told)
    rows, _ = read(step, of("x.json"))
    assert [(row["resource_id"], row["coverage"]) for row in rows] == [(A, 1), (B, 1)]


def test_a_value_over_midnight_is_of_both_days(step: StepContext, tmp_path: Path) -> None:
    put(tmp_path, "x.json", metric_data((label(), [f"{DAY}T23:{m}:00Z" for m in (48, 53, 58)], [10, 10, 70])))
    rows, _ = read(step, of("x.json"), DayRange(DAY, date(2026, 11, 19)))
    assert [(row["hour"], row["utilization"], row["coverage"]) for row in rows] == [
        (datetime(2026, 11, 18, 23), Decimal("0.2"), Decimal("0.2")),
        (datetime(2026, 11, 19, 0), Decimal("0.7"), Decimal("0.05")),
    ]


def test_a_file_is_asked_for_the_days_it_speaks_of(step: StepContext, tmp_path: Path) -> None:
    put(tmp_path, "x.json", metric_data((label(), times(5, 3), [10] * 3)))
    units = list(of("x.json").plan(DayRange(date(2026, 11, 1), date(2026, 11, 30)), step))
    assert [unit.days for unit in units] == [(DAY,)]


def test_the_doctor_shows_what_a_file_holds(step: StepContext, tmp_path: Path) -> None:
    put(tmp_path, "x.json", metric_data((label(), times(5, 3), [10, 20, 30]), (label(B), times(5, 1), [20])))
    (finding,) = of("x.json", timezone="Europe/Berlin").check(step)
    assert (finding.ok, finding.what) == (
        True,
        f"x.json: cpu of 2 machines (such as {A}), 2026-11-18 09:00 to 2026-11-18 09:10 UTC by 300 s, 20.0 % busy; "
        "times without an offset are taken as Europe/Berlin",
    )
