"""Lookalikes: metrics that look like energy, power, requests or tokens and are not read, and the lines to read them.

What belongs here: telling by names, units and labels; pure. What does not: asking a server (`unread`).

What a metric is can only be guessed from outside: a line made here is a proposal, which a person checks against the
exporter's documentation. Left out are limits and states, what is said of processes, containers and pods (a part of what
their host uses), and what repeats or is part of a metric that is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from energy_assets.sources.prometheus.exporters import profiles
from energy_assets.sources.prometheus.meters import Meter, die_meter

NO_METRIC = "no_metric_known"
"""The note of a day on which no metric of the source was there; its examples are lookalikes."""

Labels = Mapping[str, str]

_UNITS = {
    "microjoules": "uJ", "millijoules": "mJ", "mj": "mJ", "joules": "J", "joule": "J", "kwh": "kWh", "wh": "Wh",
    "microwatts": "uW", "milliwatts": "mW", "mw": "mW", "watts": "W", "watt": "W", "kilowatts": "kW", "kw": "kW",
}  # fmt: skip
"""By a word of a metric's name."""

_SPOKEN = (
    ("microjoule", "uJ"), ("(uj)", "uJ"), ("millijoule", "mJ"), ("in mj", "mJ"), ("joule", "J"),
    ("kilowatt-hour", "kWh"), ("kwh", "kWh"), ("watt-hour", "Wh"),
    ("microwatt", "uW"), ("milliwatt", "mW"), ("kilowatt", "kW"), ("watt", "W"), ("in w)", "W"),
)  # fmt: skip
"""By words of a metric's help text, the most telling first."""

_ENERGY = {"energy", "microjoules", "millijoules", "joules", "joule", "kwh", "wh"}
_POWER = {"power", "watts", "watt", "milliwatts", "microwatts", "kilowatts", "mw", "kw"}
_NO_AMOUNT = re.compile(
    r"""amperes | battery | bucket | budget | budgeted | bytes | cap | capacity | capping | celsius | cost | count |
    created | cycle | cycles | emissions | enabled | error | errors | factor | factors | failed |
    failures | health | hertz | limit | management | max | maximum | mgmt | min | minimum | mode | number |
    peak | percent | presence | price | range | rated | rating | ratio | redundancy | saving | seconds | setpoint
    | state | status | supplies | target | temperature | threshold | throttle | violation | violations | voltage |
    volts
    """,
    re.VERBOSE,
)
_OF_A_USER = re.compile(
    r"""app | cgroup | container | job | namespace | pod | process | processes | self | task | vm
    """,
    re.VERBOSE,
)

_REPEATED = re.compile(
    r"""node_rapl_(core|uncore|psys)[0-9_a-z]*_joules_total   # part of package; psys holds package and dram
    | nvidia_smi_(power_draw_average|module_power_draw.*)_watts
    | accelerator_power_usage_watts | habanalabs_energy       # habanalabs_power_mW again
    | kepler_node_(core|uncore|other|other_host_components)_joules_total
    | kepler_node_(cpu|gpu)_(active|idle)_(joules_total|watts)
    | kepler_node_cpu_watts
    | scaph_(host|domain|socket)_(power_microwatts|energy_microjoules|rapl_.*)
    | all_smi_(chassis|cpu|ane)_.*
    | all_smi_gpu_energy_hw_millijoules_total               # all_smi_energy_consumed_joules_total again
    """,
    re.VERBOSE,
)
"""What says again what others say, where any energy is read."""

_NO_METER = re.compile(r"node_power_supply_.*|.*_info")
"""Batteries, and labels without a value."""

_KINDS = (
    ("gpu", "gpu accelerator npu hpu tpu xpu xpum mlu dcu nvidia dcgm amd cuda ascend habanalabs neuron"),
    ("cpu", "cpu package socket pkg"),
    ("dram", "dram memory ram dimm"),
)
_HOSTS = ("Hostname", "hostname", "host", "node_name", "node", "nodename", "exported_instance", "instance")
_DEVICES = {
    "gpu": ("UUID", "uuid", "gpu_uuid", "vdie_id", "serial_number", "serial", "gpu", "gpu_id", "device", "id", "index"),
    "cpu": ("package", "socket", "socket_id", "index", "zone", "cpu"),
    "dram": ("package", "socket", "socket_id", "index", "zone"),
}
_MODELS = ("modelName", "model_name", "card_model", "gpu_name", "product_name")
_TARGET = ("__name__", "job", "instance")

_ENGINES = re.compile(
    r"""aibrix | aphrodite | dynamo | gen | gpustack | infinity | kserve | litellm | llamacpp | lmdeploy | localai |
    mindie | mlserver | nim | nv | ollama | ray | sglang | te | tensorflow | tgi | triton | trtllm | ts | vllm |
    xinference
    """,
    re.VERBOSE,
)
_NO_COUNT = re.compile(
    r"""accepted | active | bucket | budget | bytes | cache | cached | capacity | created | draft | duration | hit |
    hits | inflight | iteration | latency | limit | max | milliseconds | pending | per | preemptions | queue |
    queued | rate | ratio | running | seconds | size | spec | speculative | swapped | throughput | time | usage |
    utilization | waiting
    """,
    re.VERBOSE,
)


_BARE = {"prompt_tokens_total", "generation_tokens_total"}
"""Of NVIDIA's NIM, whose metrics have no prefix: its requests are request_success_total or request_finish_total."""


@dataclass(frozen=True)
class Lookalike:
    """A metric that is not read.

    Attributes:
        metric: Its name.
        profile: The profile of site.yaml that reads it; empty where none does.
    """

    metric: str
    profile: str = ""


def words(metric: str) -> list[str]:
    """The words of a metric's name, in small letters; `outletWatts`, as SNMP's objects are called, has two."""
    return [
        word.lower() for word in re.split(r"[_:.]+|(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z]{3})(?=[A-Z])", metric) if word
    ]


def _any(parts: Iterable[str], known: re.Pattern[str]) -> bool:
    return any(known.fullmatch(part) for part in parts)


def names_of(found: Sequence[Lookalike]) -> list[str]:
    """The metrics, with the profile that reads them."""
    return [f"{one.metric} (profiles: [{one.profile}])" if one.profile else one.metric for one in found]


def energy(names: Iterable[str], read: Sequence[Meter], ignored: Collection[str] = ()) -> list[Lookalike]:
    """Metrics that look like energy or power and are neither read nor said by what is read.

    Args:
        names: Metrics that are there.
        read: The meters of the source.
        ignored: Metrics that the site says are nothing.
    """
    there = set(names)
    known = {meter.metric for meter in read}
    metered = {meter.device_kind for meter in read if meter.metric in there and not meter.stands_in}
    offered: dict[str, tuple[str, set[str]]] = {}
    for profile, meters in profiles(None).items():
        for meter in meters:
            offered.setdefault(meter.metric, (profile, set()))[1].add(meter.device_kind)
    others = bool(metered or there & offered.keys())

    def repeated(name: str) -> bool:
        return others and _REPEATED.fullmatch(name) is not None

    found = []
    for name in sorted(there - known - set(ignored)):
        parts = set(words(name))
        if name in offered:
            profile, kinds = offered[name]
            if not kinds & metered:
                found.append(Lookalike(name, profile))
        elif _is_an_amount(parts) and not (_NO_METER.fullmatch(name) or die_meter(name, None) or repeated(name)):
            found.append(Lookalike(name))
    return [one for one in found if one.metric not in _gauges_beside_counters(found)]


def _is_an_amount(parts: set[str]) -> bool:
    """Words of energy or power, of a device and not of what runs on it."""
    return bool(parts & (_ENERGY | _POWER)) and not (_any(parts, _NO_AMOUNT) or _any(parts, _OF_A_USER))


def _gauges_beside_counters(found: Sequence[Lookalike]) -> set[str]:
    """Gauges of a profile whose counters are there, too: one line names both."""
    counters = {one.profile for one in found if one.profile and not set(words(one.metric)) & _POWER}
    return {one.metric for one in found if one.profile in counters and set(words(one.metric)) & _POWER}


def counts(names: Iterable[str], read: Mapping[str, str], ignored: Collection[str] = ()) -> list[Lookalike]:
    """Metrics that look like requests or tokens of an inference server, and are not read.

    What another metric of the same server counts already is left out; but not a metric that is read under its other
    name, as OpenTelemetry writes it without the colon: it may be of other servers.

    Args:
        names: Metrics that are there.
        read: What the source reads: the metric's name, and what it counts.
        ignored: Metrics that the site says are nothing.
    """
    there = set(names)
    counted = {(_family(name), what) for name, what in read.items() if name in there}
    spelled = {name.replace(":", "_") for name in read}
    speakers = {_family(name) for name in there if "tokens" in words(name)}
    found = []
    for name in sorted(there - read.keys() - set(ignored)):
        parts = words(name)
        if f"{name}_total" in there or _any(parts, _NO_COUNT) or not _is_a_sum(parts):
            continue
        speaks = _family(name) in speakers or _any([_family(name)], _ENGINES)
        speaks = speaks or (parts[0] == "request" and bool(there & _BARE))
        asks = {"tokens", "token"} & set(parts) or (speaks and {"request", "requests"} & set(parts))
        if asks and (name in spelled or (_family(name), counted_as(name)) not in counted):
            found.append(Lookalike(name))
    return found


def _family(name: str) -> str:
    return words(name)[0] if words(name) else ""


def _is_a_sum(parts: Sequence[str]) -> bool:
    return parts[-1] in {"total", "sum", "success", "failure", "count"} and not (
        parts[-1] == "count" and {"tokens", "token"} & set(parts)
    )


def counted_as(metric: str) -> str:
    """What a metric most likely counts: requests, failed_requests, prompt_tokens or generated_tokens."""
    name = metric.lower()
    if "token" in name:
        generated = any(part in name for part in ("generat", "output", "completion", "predict", "decod"))
        return "generated_tokens" if generated else "prompt_tokens"
    return "failed_requests" if any(part in name for part in ("fail", "error", "abort")) else "requests"


def counts_line(metric: str) -> str:
    """The line under `metrics` of a prometheus_inference source."""
    return f"- {{metric: {_yaml(metric)}, counts: {counted_as(metric)}}}"


def energy_line(metric: str, kind: str, said: str, series: Sequence[Labels]) -> str:
    """The line under `metrics` of a prometheus_energy source, guessed from the metric's name and its series.

    Args:
        metric: Its name.
        kind: Its type as the exporter declares it; empty where that is not known.
        said: The exporter's help text; empty where that is not known.
        series: Labels of some of its series.
    """
    parts = words(metric)
    unit = next((_UNITS[part] for part in reversed(parts) if part in _UNITS), "") or _spoken(said)
    counter = unit.endswith(("J", "h")) if unit else bool(set(parts) & _ENERGY) or kind == "counter"
    what = "counter" if counter else "gauge"
    device = next((name for name, known in _KINDS if set(known.split()) & set(parts)), "node")
    present = {label for one in series for label, value in one.items() if value}
    node = [label for label in _HOSTS if label in present][:1] or ["instance"]
    devices = [label for label in _DEVICES.get(device, ()) if label in present - {*node}][:1]
    model = [label for label in _MODELS if label in present][:1]
    fields = [
        f"metric: {_yaml(metric)}",
        f"type: {what}",
        f"unit: {unit or ('J' if counter else 'W')}",
        f"device_kind: {device}",
        f"node_labels: [{node[0]}]",
        *(f"device_labels: [{label}]" for label in devices),
        *(f"model_label: {label}" for label in model),
    ]
    doubts = [] if unit else ["the unit is a guess: see the exporter's documentation"]
    if several := differing(series, [*node, *devices]):
        listed = ", ".join(several)
        doubts.append(f"add adds: [{listed}] if these are parts of a device, repeats: [{listed}] if they say the same")
    note = f"   # {'; '.join(doubts)}" if doubts else ""
    return f"- {{{', '.join(fields)}}}{note}"


def differing(series: Sequence[Labels], named: Collection[str]) -> list[str]:
    """Labels that take several values for one device, whose name some labels are.

    Args:
        series: Labels of some series of a metric.
        named: Labels that name host and device.
    """
    values: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for one in series:
        seen = values.setdefault(tuple(one.get(label, "") for label in named), {})
        for label, value in one.items():
            seen.setdefault(label, set()).add(value)
    several = {label for seen in values.values() for label, found in seen.items() if len(found) > 1}
    return sorted(several - {*_TARGET, *named})


def _spoken(said: str) -> str:
    return next((unit for word, unit in _SPOKEN if word in said.lower()), "")


def _yaml(text: str) -> str:
    return f'"{text}"' if ":" in text else text
