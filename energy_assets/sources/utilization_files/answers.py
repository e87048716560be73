"""Answers of CloudWatch and Azure Monitor in JSON, as their command lines print them.

What belongs here: the shapes of these answers. What does not: what labels say (`series`), and hours (`points`).

CloudWatch API reference, GetMetricData and GetMetricStatistics: times are starts of periods; the first has Id, Label,
Timestamps and Values of each series, the second Datapoints with Timestamp, Average and Unit, and no dimension. Azure
Monitor REST API, Metrics - List: value[].timeseries[].data[] with timeStamp and average, the resource in value[].id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.utilization_files.series import (
    METRICS,
    Reading,
    Series,
    not_average,
    of_file_name,
    read_label,
)

AGAIN = "Export it again, or take it out of `path` in site.yaml."
NAMED = "${PROP('MetricName')} ${PROP('Dim.InstanceId')} ${PROP('Stat')} ${PROP('Period')}"
_OF_METRIC = re.compile(r"^(/subscriptions/([^/]+)/.+?)/providers/microsoft\.insights/metrics", re.IGNORECASE)
_SET = re.compile(r"/virtualmachinescalesets/[^/]+$", re.IGNORECASE)
_GRAIN = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")
_STATISTICS = ("Average", "Sum", "Maximum", "Minimum", "SampleCount")


def series_of_json(text: str, name: str, reading: Reading) -> Iterator[Series]:
    """The series of utilization in an answer, or in a list of answers.

    Args:
        text: The file.
        name: What messages call it.
        reading: What site.yaml says of it.

    Raises:
        MalformedError: no such answer, no averages, another unit than per cent, or a series of no machine.
    """
    try:
        told = json.loads(text)
    except ValueError as error:
        raise MalformedError(f"{name}: is no whole JSON ({error})", AGAIN) from None
    for answer in told if isinstance(told, list) else [told]:
        try:
            yield from _series(answer, name, reading)
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"{name}: an answer in it lacks {error}, or has it in another form", AGAIN) from None


def _series(answer: Any, name: str, reading: Reading) -> Iterator[Series]:
    if "MetricDataResults" in answer:
        yield from _metric_data(answer["MetricDataResults"], name, reading)
    elif "Datapoints" in answer:
        yield from _statistics(answer, name, reading)
    elif "timeseries" in answer:
        yield from _azure(answer, None, name, reading)
    elif "values" in answer:
        for one in answer["values"]:
            yield from _series(one, name, reading)
    elif "value" in answer:
        for metric in answer["value"]:
            yield from _azure(metric, answer, name, reading)
    else:
        raise MalformedError(
            f"{name}: is no answer of CloudWatch or Azure Monitor; its keys are {', '.join(list(answer)[:5])}",
            "Give the output of `aws cloudwatch get-metric-data`, of `aws cloudwatch get-metric-statistics` or of `az "
            "monitor metrics list`.",
        )


def _metric_data(results: list[Mapping[str, Any]], name: str, reading: Reading) -> Iterator[Series]:
    for result in results:
        identifier, printed = str(result.get("Id", "")), str(result.get("Label", ""))
        label = read_label([printed], identifier, name)
        if label.other_metric:
            continue
        component = label.component or reading.component
        called = f"series '{printed or identifier}'"
        if component is None:
            raise MalformedError(
                f"{name}: {called} does not say of which metric it is",
                f'Ask with the label "{NAMED}", or add `component: cpu` to this source in site.yaml.',
            )
        instance = label.instance or of_file_name(name)
        if not instance:
            raise MalformedError(
                f"{name}: {called} does not say of which instance it is",
                f'Ask for each instance by its dimension InstanceId, with the label "{NAMED}".',
            )
        if result.get("StatusCode") in ("InternalError", "Forbidden"):
            raise MalformedError(f"{name}: {called} came back as {result['StatusCode']}", AGAIN)
        times, values = result["Timestamps"], result["Values"]
        if len(times) != len(values):
            raise MalformedError(f"{name}: {called} has {len(times)} times and {len(values)} values", AGAIN)
        yield Series(
            instance, component, label.device, [_instant(text, name) for text in times], values, label.period_s,
            label.average, "aws", reading.account_id, reading.region,
        )  # fmt: skip


def _statistics(answer: Mapping[str, Any], name: str, reading: Reading) -> Iterator[Series]:
    label = read_label([str(answer.get("Label", ""))], "", name)
    component = label.component or reading.component
    instance = label.instance or of_file_name(name)
    if component is None:
        raise MalformedError(
            f"{name}: its metric is '{answer.get('Label')}', which is no known utilization of a processor or GPU",
            "Take it out of `path`, or add `component: cpu` (or gpu) to this source in site.yaml.",
        )
    if not instance:
        raise MalformedError(
            f"{name}: such an answer does not say of which instance it is, and neither does the file's name",
            "Write each instance into a file of its own that is named after it, such as i-0123456789abcdef0.json.",
        )
    points = answer["Datapoints"]
    units = {str(point.get("Unit", "")) for point in points}
    if units - {"Percent"}:
        raise MalformedError(
            f"{name}: its values are in {' and '.join(sorted(unit or 'no unit' for unit in units))}, not in Percent",
            "Ask for one metric, with the unit Percent.",
        )
    for point in points:
        if "Average" not in point:
            raise not_average(name, next((stat for stat in _STATISTICS if stat in point), "unknown"))
    yield Series(
        instance, component, label.device, [_instant(point["Timestamp"], name) for point in points],
        [point["Average"] for point in points], label.period_s, True, "aws", reading.account_id, reading.region,
    )  # fmt: skip


def _azure(
    metric: Mapping[str, Any], answer: Mapping[str, Any] | None, name: str, reading: Reading
) -> Iterator[Series]:
    around = answer or {}
    component = METRICS.get(str(metric["name"]["value"]).lower())
    if component is None:
        return
    if metric.get("unit") != "Percent":
        raise MalformedError(f"{name}: its values are in {metric.get('unit')}, not in Percent", AGAIN)
    found = _OF_METRIC.match(str(metric.get("id", "")))
    resource = str(around.get("resourceid") or (found[1] if found else ""))
    if not resource:
        raise MalformedError(f"{name}: a metric does not say of which resource it is", AGAIN)
    subscription = resource.split("/")[2] if resource.count("/") > 2 else None
    for line in metric["timeseries"]:
        points = line["data"]
        if points and not any("average" in point for point in points):
            others = {key for point in points for key in point} - {"timeStamp"}
            if others:
                raise not_average(name, sorted(others)[0])
        yield Series(
            _member(resource, line, name), component, "", [_instant(point["timeStamp"], name) for point in points],
            [point.get("average") for point in points], _seconds(around.get("interval")), True, "azure",
            reading.account_id or subscription, str(around.get("resourceregion") or "") or reading.region,
        )  # fmt: skip


def _member(resource: str, line: Mapping[str, Any], name: str) -> str:
    """The machine of a scale set that a line is of; the resource itself where it is no scale set."""
    if not _SET.search(resource):
        return resource
    told = {str(one["name"]["value"]).lower(): str(one["value"]) for one in line.get("metadatavalues") or []}
    number = re.search(r"_([0-9]+)$", told.get("vmname", ""))
    if not number:
        raise MalformedError(
            f"{name}: it has one average of all machines of a scale set ({resource.rsplit('/', 1)[-1]})",
            "Split it by machine: add --filter \"VMName eq '*'\" to `az monitor metrics list`.",
        )
    return f"{resource}/virtualMachines/{number[1]}"


def _seconds(grain: Any) -> int | None:
    """Seconds of an ISO 8601 duration such as PT5M; None where it is none."""
    found = _GRAIN.fullmatch(str(grain or ""))
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return (days * 86400 + hours * 3600 + minutes * 60) or None


def _instant(text: Any, name: str) -> int:
    """Microseconds since 1970 of a time with its offset, or of seconds since 1970."""
    if isinstance(text, int | float):
        return round(text * 1_000_000)
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise MalformedError(f"{name}: '{text}' is no time", AGAIN) from None
    whole = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(whole.timestamp() * 1_000_000)
