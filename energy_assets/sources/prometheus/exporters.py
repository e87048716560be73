"""Exporters: which of their metrics are energy or power of what, beyond DCGM, RAPL and IPMI (`meters`).

What belongs here: one row per fact, read in the exporter's own source. What does not: how meters are asked and summed.

`BUILT_IN` is always asked for: a GPU of these is known by its UUID, or no other built-in meter sees such a device, so
that nothing counts twice. `PROFILES` are asked for where site.yaml names them (`profiles: [kepler]`): their devices
have names of their own, so what they say of a host gives way to a built-in meter of the same kind (`Meter.stands_in`).

Sources, read in 2026: utkuozdemir/nvidia_gpu_exporter docs/METRICS.md (uuid without `GPU-`, in lower case);
ROCm/device-metrics-exporter docs/configuration/metricslist.md (uJ; partitions beyond 0 report nothing of their own);
HabanaAI's Prometheus exporter (its `accelerator_power_usage_watts` shows the same mW again);
sustainable-computing-io/kepler pkg/metrics/consts (before 0.10) and internal/exporter/prometheus/collector (from 0.10);
hubblo-org/scaphandre src/exporters; lablup/all-smi src/api/metrics/gpu.rs and energy.rs; ceems-dev/ceems pkg/collector;
triton-inference-server/server docs/user_guide/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from energy_assets.sources.prometheus.meters import ONE_INTERFACE, CustomMetric, Meter, built_in, die_meter

ProfileName = Literal["all-smi", "ceems", "kepler", "scaphandre", "triton"]

_HOST = ("node", "nodename", "hostname", "instance")
_KEPLER_HOST = ("node_name", "exported_instance", "node", "nodename", "instance")
"""Kepler before 0.10 writes the node into `instance`, which Prometheus renames unless it honours labels."""


def _counter(metric: str, unit: str, name: str = "", **more: Any) -> Meter:
    return Meter(name=name or metric, metric=metric, counter=True, unit=unit, **more)


def _gauge(metric: str, unit: str, **more: Any) -> Meter:
    return Meter(name=metric, metric=metric, counter=False, unit=unit, **more)


_NVIDIA: dict[str, Any] = {
    "device_kind": "gpu",
    "node_labels": ("hostname", "Hostname", "node", "nodename", "instance"),
    "device_labels": ("uuid",),
    "device_prefix": "GPU-",
}
_AMD: dict[str, Any] = {
    "device_kind": "gpu",
    "shared": True,
    "node_labels": ("hostname", "node", "instance"),
    "device_labels": ("serial_number", "gpu_id"),
    "model_labels": ("card_model",),
    "matchers": ('serial_number!=""', 'gpu_partition_id=~"0|"'),
}
_AMD_PREFIXES = ("", "amd_")
"""Of the names: `MetricsFieldPrefix` in the exporter's configuration, as its example has it."""
_GAUDI: dict[str, Any] = {"device_kind": "gpu", "node_labels": _HOST, "device_labels": ("UUID", "Serial", "device")}

BUILT_IN: tuple[Meter, ...] = (
    _counter("nvidia_smi_energy_joules_total", "J", **_NVIDIA),
    *(_counter(f"{prefix}gpu_energy_consumed", "uJ", **_AMD) for prefix in _AMD_PREFIXES),
    _gauge("nvidia_smi_power_draw_watts", "W", counterpart="nvidia_smi_energy_joules_total", **_NVIDIA),
    _gauge("nvidia_smi_power_draw_instant_watts", "W", counterpart="nvidia_smi_power_draw_watts", **_NVIDIA),
    *(
        _gauge(f"{prefix}{metric}", "W", counterpart=f"{prefix}gpu_energy_consumed", **_AMD)
        for prefix in _AMD_PREFIXES
        for metric in ("gpu_package_power", "gpu_average_package_power", "gpu_power_usage")
    ),
    _gauge("habanalabs_power_mW", "mW", **_GAUDI),
)


def _kepler() -> tuple[Meter, ...]:
    """Before 0.10 a metric per zone, with a label for dynamic and idle; from 0.10 a label per zone."""
    host: dict[str, Any] = {"node_labels": _KEPLER_HOST, "stands_in": "kepler"}
    old: dict[str, Any] = {
        "matchers": ('mode!=""',),
        "adds": ("mode",),
        "device_labels": ("package",),
        "node_labels": _KEPLER_HOST,
    }
    new = [
        _counter(
            "kepler_node_cpu_joules_total",
            "J",
            f"kepler_node_cpu_joules_total:{zone}",
            device_kind=kind,
            device_prefix=zone,
            matchers=(f'zone=~"{zone}(-[0-9]+)?"',),
            adds=("zone", "path"),
            **host,
        )
        for zone, kind in (("package", "cpu"), ("dram", "dram"))
    ]
    gpu: dict[str, Any] = {"device_kind": "gpu", "device_labels": ("gpu_uuid",), "node_labels": _KEPLER_HOST}
    by_uuid = 'gpu_uuid!=""'
    return (
        *new,
        _counter("kepler_node_gpu_joules_total", "J", matchers=(by_uuid,), **gpu),
        *(
            _counter(
                f"kepler_node_{zone}_joules_total",
                "J",
                f"kepler_node_{zone}_joules_total:modes",
                device_kind=kind,
                device_prefix=f"{zone}-",
                stands_in="kepler",
                **old,
            )
            for zone, kind in (("package", "cpu"), ("dram", "dram"), ("gpu", "gpu"))
        ),
        _counter(
            "kepler_node_platform_joules_total",
            "J",
            device_kind="node",
            **{**old, "device_labels": (), "adds": ("mode", "package")},
        ),
        _gauge("kepler_node_gpu_watts", "W", matchers=(by_uuid,), counterpart="kepler_node_gpu_joules_total", **gpu),
    )


def _scaphandre(wrap: Decimal | None) -> tuple[Meter, ...]:
    host: dict[str, Any] = {"node_labels": _HOST, "stands_in": "scaphandre", "wrap_joules": wrap}
    socket: dict[str, Any] = {**host, "device_labels": ("socket_id",)}
    return (
        _counter("scaph_socket_energy_microjoules", "uJ", device_kind="cpu", device_prefix="socket-", **socket),
        _counter(
            "scaph_domain_energy_microjoules",
            "uJ",
            device_kind="dram",
            device_prefix="dram-",
            matchers=('domain_name="dram"',),
            adds=("domain_id",),
            **socket,
        ),
    )


def _all_smi() -> tuple[Meter, ...]:
    energy = "all_smi_energy_consumed_joules_total"
    gpu: dict[str, Any] = {
        "device_kind": "gpu",
        "node_labels": ("host", "exported_instance", "node", "nodename", "instance"),
        "device_labels": ("gpu_uuid", "uuid"),
    }
    return (
        _counter(energy, "J", matchers=('scope="gpu"',), **gpu),
        _gauge("all_smi_gpu_power_consumption_watts", "W", counterpart=energy, model_labels=("gpu",), **gpu),
    )


def _ceems(wrap: Decimal | None) -> tuple[Meter, ...]:
    """CEEMS reads the same RAPL zones as node_exporter, and names them alike."""
    host: dict[str, Any] = {"node_labels": ("hostname", "node", "nodename", "instance")}
    rapl: dict[str, Any] = {
        **host,
        "device_labels": ("index",),
        "wrap_joules": wrap,
        "matchers": (ONE_INTERFACE,),
    }
    return (
        _counter("ceems_rapl_package_joules_total", "J", device_kind="cpu", device_prefix="package-", **rapl),
        _counter("ceems_rapl_dram_joules_total", "J", device_kind="dram", device_prefix="dram-", **rapl),
        # Until 0.10, and from 0.11.
        _gauge("ceems_ipmi_dcmi_current_watts", "W", device_kind="node", **host),
        _gauge("ceems_ipmi_dcmi_power_current_watts", "W", device_kind="node", **host),
    )


def _triton() -> tuple[Meter, ...]:
    """Energy counts since the server started: several servers of one GPU show several counters of it."""
    gpu: dict[str, Any] = {"device_kind": "gpu", "node_labels": _HOST, "device_labels": ("gpu_uuid",)}
    energy = "nv_energy_consumption"
    return (_counter(energy, "J", **gpu), _gauge("nv_gpu_power_usage", "W", counterpart=energy, **gpu))


def profiles(rapl_wrap_joules: Decimal | None) -> Mapping[str, tuple[Meter, ...]]:
    """The meters of each exporter that site.yaml may name.

    Args:
        rapl_wrap_joules: The maximum of RAPL counters, for exporters that hand on what RAPL shows.
    """
    return {
        "all-smi": _all_smi(),
        "ceems": _ceems(rapl_wrap_joules),
        "kepler": _kepler(),
        "scaphandre": _scaphandre(rapl_wrap_joules),
        "triton": _triton(),
    }


def asked(
    wrap: Decimal | None,
    named: Sequence[ProfileName],
    own: Sequence[CustomMetric],
    names: Iterable[str] = (),
    scales: Mapping[str, Decimal] = MappingProxyType({}),
) -> tuple[Meter, ...]:
    """Every meter of a source, the best first: counters before gauges, built-in ones before added ones.

    A metric of the site file takes the place of what is built in for it.

    Args:
        wrap: The maximum of RAPL counters, in joules.
        named: Profiles of the site file.
        own: Metrics of the site file.
        names: Metrics that are there; those of dies become meters, too.
        scales: What samples of a metric are multiplied by.
    """
    offered = profiles(wrap)
    dies = (die_meter(name, wrap) for name in sorted(set(names)))
    known = (*built_in(wrap), *(die for die in dies if die), *BUILT_IN, *(m for name in named for m in offered[name]))
    ours = {one.metric for one in own}
    every = (*(meter for meter in known if meter.metric not in ours), *(one.meter() for one in own))
    scaled = (replace(one, scale=scales[one.metric]) if one.metric in scales else one for one in every)
    return tuple(sorted(scaled, key=lambda meter: not meter.counter))
