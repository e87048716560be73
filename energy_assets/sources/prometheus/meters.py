"""Meters: which metric is energy or power of what, in which unit, and which labels name host, device and user.

What belongs here: facts about exporters. What does not: queries and arithmetic. A meter added in site.yaml
(`metrics`) and a built-in one are the same thing.

Sources: NVIDIA dcgm-exporter (energy in mJ since the driver was loaded, `Hostname` renamed to `hostname`),
prometheus/node_exporter (RAPL, one metric per zone, or one metric with the label `rapl_zone`; collector/rapl_linux.go),
prometheus-community/ipmi_exporter (collector_dcmi.go). Other exporters are rows of `exporters`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, model_validator

from energy_assets.contracts import vocabulary
from energy_assets.contracts.vocabulary import OneOf
from energy_assets.sources.base import Strict
from energy_assets.sources.prometheus.matchers import LabelName, MatchValue, MetricName, matchers

NANO = 10**9
COUNTER_UNITS: dict[str, Fraction] = {
    "uJ": Fraction(1, 3_600_000_000_000),
    "mJ": Fraction(1, 3_600_000_000),
    "J": Fraction(1, 3_600_000),
    "Wh": Fraction(1, 1000),
    "kWh": Fraction(1),
}
"""kWh per unit of a counter."""

GAUGE_UNITS: dict[str, float] = {"uW": 1e-6, "mW": 1e-3, "W": 1.0, "kW": 1e3}
"""W per unit of a gauge."""

USER_LABELS = (
    "exported_pod",
    "exported_namespace",
    "exported_container",
    "pod",
    "namespace",
    "container",
    "pod_name",
    "pod_namespace",
    "container_name",
    "hpc_job",
    "GPU_I_ID",
    "GPU_I_PROFILE",
    "vgpu",
)
"""Who uses a device, as exporters of all ages spell it, and which slice of it."""

Unit = Literal["uJ", "mJ", "J", "Wh", "kWh", "uW", "mW", "W", "kW"]
DeviceKind = Annotated[str, OneOf(vocabulary.DeviceKind, without=[vocabulary.DeviceKind.REST_OF_NODE])]


class Metric(Protocol):
    """What queries must know of a metric, whether it meters energy (`Meter`) or counts (`serving.CountedMetric`)."""

    @property
    def name(self) -> str:
        """Unique; what receipts and notes call it."""

    @property
    def metric(self) -> str:
        """The metric's name in Prometheus; empty where the matchers name it."""

    @property
    def matchers(self) -> tuple[str, ...]:
        """PromQL matchers that belong to the metric."""

    @property
    def counter(self) -> bool:
        """True for a total since some start, False for a value now."""

    @property
    def per_unit(self) -> Fraction | None:
        """Whole units of the result (nano-kWh, requests, tokens) per unit of a sample; None for a gauge."""

    @property
    def sentinel(self) -> str:
        """Samples from here on stand for "no value"."""

    @property
    def device_by(self) -> tuple[str, ...]:
        """The labels that tell devices, and parts of them, apart; empty where every series stands by itself."""

    @property
    def repeats(self) -> tuple[str, ...]:
        """Labels whose values say the same of one device."""

    @property
    def shared(self) -> bool:
        """The samples carry labels of users."""

    @property
    def activity(self) -> str | None:
        """The metric that says how busy each user keeps the device, if there is one."""

    @property
    def counterpart(self) -> str | None:
        """The counter that measures the same devices better than this gauge, if there is one."""


@dataclass(frozen=True)
class Meter:
    """One metric that measures energy or power.

    Attributes:
        name: Unique; what receipts and notes call it.
        metric: The metric's name.
        counter: True for energy since some start, False for power now.
        unit: Of the samples.
        device_kind: What is metered.
        node_labels: The first non-empty one names the host; a port at its end is cut off.
        device_labels: The first non-empty one names the device; none: the host itself.
        model_labels: The first non-empty one names the device's model.
        device_prefix: Before the device's name, where the label alone is a mere number; without device labels, the
            device's name.
        adds: Labels whose values are parts of one device: their series add up.
        repeats: Labels whose values say the same of one device; what else differs must agree (`disagreeing`).
        stands_in: The profile of an exporter whose devices have other names than those of the built-in ones: on a
            host where a built-in meter of the same kind delivers, it does not count. Empty for all others.
        matchers: PromQL matchers that belong to the meter.
        activity: The metric that says how busy each user keeps the device, if there is one.
        shared: The samples carry labels of users.
        counterpart: The counter that measures the same devices better than this gauge.
        wrap_joules: For counters that start again at 0 after a maximum.
        scale: What samples are multiplied by, beyond their unit.
    """

    name: str
    metric: str
    counter: bool
    unit: str
    device_kind: str
    node_labels: tuple[str, ...]
    device_labels: tuple[str, ...] = ()
    model_labels: tuple[str, ...] = ()
    device_prefix: str = ""
    adds: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    stands_in: str = ""
    matchers: tuple[str, ...] = ()
    activity: str | None = None
    shared: bool = False
    counterpart: str | None = None
    wrap_joules: Decimal | None = None
    scale: Decimal = Decimal(1)

    @property
    def device_by(self) -> tuple[str, ...]:
        """The labels that tell devices, and parts of them, apart."""
        return tuple(dict.fromkeys((*self.node_labels, *self.device_labels, *self.model_labels, *self.adds)))

    @property
    def per_unit(self) -> Fraction | None:
        """Nano-kWh per unit of a counter's samples; None for a gauge."""
        return COUNTER_UNITS[self.unit] * Fraction(self.scale) * NANO if self.counter else None

    @property
    def watts(self) -> float:
        """W per unit of a gauge's samples."""
        return GAUGE_UNITS[self.unit] * float(self.scale)

    @property
    def sentinel(self) -> str:
        """Samples from here on stand for "no value" (2^63 and neighbours). A device may well count 1e15 uJ."""
        return "1e18" if self.unit == "uJ" else "1e15"

    @property
    def limit_w(self) -> int:
        """More than any such thing draws: tells a blip of a counter from its restart."""
        return {"gpu": 20_000, "cpu": 20_000, "dram": 20_000, "node": 200_000, "instance": 200_000}.get(
            self.device_kind, 100_000_000
        )


class CustomMetric(Strict):
    """A metric of site.yaml that is not built in."""

    metric: MetricName = Field(description="the metric's name")
    type: Literal["counter", "gauge"]
    unit: Unit
    device_kind: DeviceKind
    node_labels: tuple[LabelName, ...] = Field(
        ("Hostname", "hostname", "node", "instance"), description="labels that name the host, the best first"
    )
    device_labels: tuple[LabelName, ...] = Field((), description="labels that name the device; empty: the host itself")
    model_label: LabelName | None = Field(None, description="label that names the device's model")
    match: dict[LabelName, MatchValue] = Field(
        default_factory=dict, description="the series meant: label and value, ~regular expression, or list of values"
    )
    adds: tuple[LabelName, ...] = Field((), description="labels whose values are parts of one device, which add up")
    repeats: tuple[LabelName, ...] = Field((), description="labels whose values say the same of one device")

    @model_validator(mode="after")
    def _unit_fits(self) -> CustomMetric:
        allowed = COUNTER_UNITS if self.type == "counter" else GAUGE_UNITS
        if self.unit not in allowed:
            raise ValueError(f"a {self.type} has one of the units {', '.join(allowed)}, not {self.unit}")
        return self

    @model_validator(mode="after")
    def _one_meaning(self) -> CustomMetric:
        named = [*self.node_labels, *self.device_labels, *filter(None, [self.model_label])]
        for label in self.adds:
            if label in self.repeats or label in named:
                other = "repeats" if label in self.repeats else "node_labels, device_labels or model_label"
                raise ValueError(f"the label {label} is in adds and in {other}; its values mean one of the two")
        return self

    def meter(self) -> Meter:
        """The same as a meter."""
        selected = matchers(self.match)
        return Meter(
            name=f"{self.metric}{{{', '.join(selected)}}}" if selected else self.metric,
            metric=self.metric,
            counter=self.type == "counter",
            unit=self.unit,
            device_kind=self.device_kind,
            node_labels=self.node_labels,
            device_labels=self.device_labels,
            model_labels=(self.model_label,) if self.model_label else (),
            adds=self.adds,
            repeats=self.repeats,
            matchers=selected,
            shared=self.device_kind == "gpu",
        )


_DCGM_NODE = ("Hostname", "hostname", "node", "instance")
_DCGM_DEVICE = ("UUID", "uuid", "gpu")
HOST_LABELS = ("node", "nodename", "instance")
"""What names the host of node_exporter and ipmi_exporter, the best first."""
_ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
ONE_INTERFACE = 'path!~".*mmio.*"'
"""The same RAPL registers are shown a second time through memory-mapped I/O; counting both doubles the energy."""


_DIE = re.compile(r"^node_rapl_(package|dram)_([0-9]+)_die_([0-9]+)_joules_total$")
DIES = "node_rapl_(package|dram)_[0-9]+_die_[0-9]+_joules_total"
"""Zones of packages with several dies (`package-0-die-0`): Linux names them so, node_exporter makes metrics of them."""

VENDOR = "vendor"
"""The meter's name under which hosts with CPUs of AMD are asked for, whose dies all show the package's counter."""

_ZONES = (("package", "cpu"), ("dram", "dram"))
"""RAPL zones that do not overlap. core and uncore are parts of package; psys holds package and dram."""


def die_meter(name: str, rapl_wrap_joules: Decimal | None) -> Meter | None:
    """The meter of one die, or None where the metric is none.

    Args:
        name: The metric's name.
        rapl_wrap_joules: The counter's maximum.
    """
    found = _DIE.match(name)
    if not found:
        return None
    zone, package, die = found.groups()
    prefix = f"{zone}-{package}-die-{die}"
    return _rapl(name, name, dict(_ZONES)[zone], rapl_wrap_joules, device_prefix=prefix)


def _rapl(name: str, metric: str, kind: str, wrap: Decimal | None, **more: Any) -> Meter:
    own = {"matchers": (), **more}
    own["matchers"] = (*own["matchers"], ONE_INTERFACE)
    return Meter(name, metric, True, "J", kind, HOST_LABELS, wrap_joules=wrap, **own)


def built_in(rapl_wrap_joules: Decimal | None) -> tuple[Meter, ...]:
    """The meters asked for without being named in site.yaml, the best first.

    Args:
        rapl_wrap_joules: The maximum of RAPL counters.
    """
    dcgm_counter = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    every = "node_rapl_joules_total"
    rapl = []
    for zone, kind in _ZONES:
        plain, dies = f"node_rapl_{zone}_joules_total", f'rapl_zone=~"{zone}-[0-9]+-die-[0-9]+"'
        by_index = {"device_labels": ("index",), "device_prefix": f"{zone}-"}
        rapl += [
            _rapl(plain, plain, kind, rapl_wrap_joules, **by_index),
            _rapl(f"{every}:{zone}", every, kind, rapl_wrap_joules, matchers=(f'rapl_zone="{zone}"',), **by_index),
            _rapl(
                f"{every}:{zone}-dies", every, kind, rapl_wrap_joules, matchers=(dies,), device_labels=("rapl_zone",)
            ),
        ]
    dcgm: dict[str, Any] = {
        "device_kind": "gpu",
        "node_labels": _DCGM_NODE,
        "device_labels": _DCGM_DEVICE,
        "model_labels": ("modelName",),
        "activity": _ACTIVE,
        "shared": True,
    }
    return (
        Meter(name=dcgm_counter, metric=dcgm_counter, counter=True, unit="mJ", **dcgm),
        *rapl,
        *(
            Meter(name=name, metric=name, counter=False, unit="W", counterpart=counterpart, **dcgm)
            for name, counterpart in (
                ("DCGM_FI_DEV_POWER_USAGE", dcgm_counter),
                ("DCGM_FI_DEV_POWER_USAGE_INSTANT", "DCGM_FI_DEV_POWER_USAGE"),
            )
        ),
        Meter(
            name="ipmi_dcmi_power_consumption_watts",
            metric="ipmi_dcmi_power_consumption_watts",
            counter=False,
            unit="W",
            device_kind="node",
            node_labels=HOST_LABELS,
        ),
    )
