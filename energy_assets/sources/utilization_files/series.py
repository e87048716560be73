"""A series of utilization as an export has it, and what the words of its label say.

What belongs here: the one form that all readers give, and labels of CloudWatch. What does not: where the numbers stand
in a file (`answers`, `console`), and hours (`points`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import Clock

Component = Literal["cpu", "gpu"]
Unit = Literal["percent", "share"]

METRICS: dict[str, Component] = {
    "cpuutilization": "cpu",
    "cpu_usage_active": "cpu",
    "percentage cpu": "cpu",
    "nvidia_smi_utilization_gpu": "gpu",
    "utilization_gpu": "gpu",
    "gpuutilization": "gpu",
}
"""Metrics of CloudWatch (EC2, SageMaker, the agent) and Azure Monitor, in small letters, and whose load they are."""

_METRIC = re.compile("|".join(sorted(METRICS, key=len, reverse=True)))
_INSTANCE = re.compile(r"(?<![0-9a-z])i-[0-9a-f]{8,17}(?![0-9a-z])")
_INSTANCE_IN_ID = re.compile(r"(?:^|_)i_([0-9a-f]{8,17})(?:_|$)")
_OTHERS = re.compile(
    r"(?<![^\s:,()\[\]|/])(sum|maximum|max|minimum|min|samplecount|p[0-9]{1,2}(?:\.[0-9]+)?)(?![^\s:,()\[\]|/])",
    re.IGNORECASE,
)
_AVERAGE = re.compile(r"(?<![a-z])(average|avg|mean)(?![a-z])", re.IGNORECASE)
_OTHER_METRIC = re.compile(
    r"\b(?:CPUCredit|CPUSurplus|Disk(?:Read|Write|Util)|Network(?:In|Out|Packets)|EBS|StatusCheck|MetadataNoToken|mem_|disk_"
    r"|swap_|GPUMemory|Memory|nvidia_smi_(?!utilization_gpu))"
)
"""How metrics begin that CloudWatch has of the same machines, and that are no utilization."""
_INDEX = re.compile(r"\b(?:index|gpu)[\s=:_-]*([0-9]{1,3})\b", re.IGNORECASE)
_SECONDS = re.compile(r"(?<![^\s:,])([0-9]{1,6})(?![^\s:,])")


@dataclass(frozen=True)
class Columns:
    """Which columns of a CSV hold what, as site.yaml says it.

    Attributes:
        time: Start of the period.
        resource: The machine, as its bill or its own telemetry names it.
        utilization: The value.
        device: Which of several devices of a machine it is of; None where a machine has one value.
    """

    time: str
    resource: str
    utilization: str
    device: str | None = None


@dataclass(frozen=True)
class Reading:
    """What site.yaml says of the files of a source.

    Attributes:
        provider: Whose machines they are; None where the export says it.
        account_id: Where the export does not say it.
        region: Where the export does not say it.
        component: Whose load it is, where the export does not say it.
        period_s: Length of a period, where the points do not show it.
        columns: Of CSV files that are no export.
        unit: Of the values of such files.
        clock: How times of CSV files are written.
        decimal: The decimal mark of such files, where they do not prove it.
    """

    provider: str | None = None
    account_id: str | None = None
    region: str | None = None
    component: Component | None = None
    period_s: int | None = None
    columns: Columns | None = None
    unit: Unit | None = None
    clock: Clock = field(default_factory=Clock)
    decimal: Literal[".", ","] | None = None


@dataclass(frozen=True)
class Series:
    """Values of one device, or of all of one kind, of one machine.

    Attributes:
        resource_id: The machine.
        component: Whose load it is.
        device: Which of several devices; empty where the values are of all.
        times: Start of each period, microseconds since 1970; by a clock or in UTC, as the reader says.
        values: As printed; None where there is none.
        period_s: Where the export says it.
        stated: Whether the export says that the values are averages.
        provider: Whose machine it is.
        account_id: Where the export says it.
        region: Where the export says it.
    """

    resource_id: str
    component: Component
    device: str
    times: Sequence[int]
    values: Sequence[float | None]
    period_s: int | None
    stated: bool
    provider: str
    account_id: str | None
    region: str | None


@dataclass(frozen=True)
class Label:
    """What the texts around a series of CloudWatch say.

    Attributes:
        instance: The EC2 instance; empty where none is named, or several are.
        component: By the metric; None where no metric is named that is known.
        other_metric: Whether a metric is named that is no utilization.
        average: Whether averages are said to be meant.
        period_s: A number that may be the period.
        device: Which GPU of the machine.
    """

    instance: str
    component: Component | None
    other_metric: bool
    average: bool
    period_s: int | None
    device: str


def read_label(texts: Sequence[str], identifier: str, name: str) -> Label:
    """What the texts around a series of CloudWatch say.

    Args:
        texts: Label, and whatever stands above a column.
        identifier: The Id of the query, which has no hyphens.
        name: What messages call the file.

    Raises:
        MalformedError: they name another statistic than the average.
    """
    text = " ".join(texts)
    require_average(text, name)
    instances = {*_INSTANCE.findall(text)} or {f"i-{found}" for found in _INSTANCE_IN_ID.findall(identifier)}
    metric = _METRIC.search(text.lower()) or _METRIC.search(identifier.lower())
    bare = _INSTANCE.sub(" ", text)
    seconds = next((int(found) for found in _SECONDS.findall(bare) if int(found) in (60, 300, 900, 3600, 86400)), None)
    component = METRICS[metric[0]] if metric else None
    index = _INDEX.search(bare)
    return Label(
        instances.pop() if len(instances) == 1 else "",
        component,
        component is None and bool(_OTHER_METRIC.search(bare)),
        bool(_AVERAGE.search(text)),
        seconds,
        (index[1] if index else " ".join(bare.split())) if component == "gpu" else "",
    )


def require_average(text: str, name: str) -> None:
    """That a text names no other statistic than the average.

    Args:
        text: A label, or the texts above a column.
        name: What messages call the file.

    Raises:
        MalformedError: it does.
    """
    other = _OTHERS.search(text)
    if other and not _AVERAGE.search(text):
        raise not_average(name, other[1])


def not_average(name: str, statistic: str) -> MalformedError:
    """The error for values that are no averages.

    Args:
        name: What the message calls the file.
        statistic: What they are.
    """
    return MalformedError(
        f"{name}: its values are of the statistic {statistic}, and only an average says how busy a machine was",
        "Export it again with the statistic Average.",
    )


def of_file_name(name: str) -> str:
    """The EC2 instance that a file is named after; empty where none is, or several are.

    Args:
        name: Its path or url.
    """
    found = {*_INSTANCE.findall(name.rsplit("/", 1)[-1])}
    return found.pop() if len(found) == 1 else ""
