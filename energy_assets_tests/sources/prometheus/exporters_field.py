"""Series as exporters of the field emit them, whose truth is known; the label `case` names the set-up.

What belongs here: samples. What does not: expectations; they stand in the tests. Five hours, a sample every 60 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime

from energy_assets_tests.prometheus_server import Series

DAY = date(2026, 9, 21)
START = round(datetime(2026, 9, 21, tzinfo=UTC).timestamp())
HOUR, STEP, OFFSET = 3600, 60, 7
NOW = datetime(2026, 9, 21, 5, 0, 30, tzinfo=UTC)
Value = Callable[[int], object]

UNITS = {"uJ": 1e6, "mJ": 1e3, "J": 1.0, "Wh": 1 / 3600, "kWh": 1 / 3_600_000}
WATTS = {"uW": 1e6, "mW": 1e3, "W": 1.0, "kW": 1e-3}


def times(first: float = -HOUR, last: float = 5 * HOUR, offset: float = OFFSET) -> Iterator[float]:
    return (START + second + offset for second in range(round(first), round(last), STEP))


def energy(watts: float, per_joule: float = 1.0, base: float = 10_000.0) -> Value:
    """A counter of a device that runs at one power."""
    return lambda t: f"{(base + (t - START + HOUR) * watts) * per_joule:.9f}"


def series(case: str, metric: str, value: Value | float, at: Iterable[float] | None = None, **labels: str) -> Series:
    show = value if callable(value) else lambda _: value
    instants = times() if at is None else at
    return Series(metric, {"case": case, "job": "j", **labels}, [(t, show(t)) for t in instants])


def everything() -> list[Series]:
    """All set-ups."""
    return [*units(), *dies(), *kepler(), *gpus(), *copies(), *different(), *serving(), *strange()]


def units() -> Iterator[Series]:
    """400 W in every unit."""
    for unit, per_joule in UNITS.items():
        yield series("units", f"meter_{unit}_total", energy(400, per_joule), instance=unit)
    for unit, per_watt in WATTS.items():
        yield series("units", f"meter_{unit}", 400 * per_watt, instance=unit)


def dies() -> Iterator[Series]:
    """Packages with two dies: of Intel, of AMD (known by a sensor, by the CPU's vendor), of nobody knows whom."""
    for host, watts in (("intel", (150, 120)), ("amd", (150, 150)), ("epyc", (150, 150)), ("unknown", (150, 150))):
        for die, one in enumerate(watts):
            path = f"/sys/class/powercap/intel-rapl:{die}"
            labels = {"instance": f"{host}:9100", "index": "0", "path": path}
            yield series("dies", f"node_rapl_package_0_die_{die}_joules_total", energy(one), **labels)
            yield series("zones", "node_rapl_joules_total", energy(one), **labels, rapl_zone=f"package-0-die-{die}")
    chip = {"instance": "amd:9100", "chip": "pci0000:00_0000:00:18_3"}
    yield series("dies", "node_hwmon_chip_names", 1, **chip, chip_name="k10temp")
    yield series("zones", "node_cpu_info", 1, instance="epyc:9100", cpu="0", vendor="AuthenticAMD")
    parts = {"instance": "parts:9100", "index": "0", "path": "/sys/class/powercap/intel-rapl:0"}
    for zone, watts in (("package", 200), ("core", 150), ("uncore", 20), ("psys", 400), ("dram", 30)):
        yield series("parts", f"node_rapl_{zone}_joules_total", energy(watts), **parts)
        yield series("parts", "node_rapl_joules_total", energy(watts), **parts, rapl_zone=zone)


def kepler() -> Iterator[Series]:
    """Before and from 0.10; alone, and beside node_exporter."""
    for case in ("kepler", "kepler-beside-rapl"):
        for zone, watts in (("package", 200), ("core", 150), ("dram", 30), ("psys", 400)):
            new = {"node_name": "new", "zone": zone, "instance": "10.0.0.1:28282", "path": f"/{zone}"}
            yield series(case, "kepler_node_cpu_joules_total", energy(watts), **new)
        for zone, watts in (("package", 100), ("core", 80), ("dram", 30)):
            for mode, share in (("dynamic", 0.4), ("idle", 0.6)):
                old = {"instance": "old", "package": "0", "mode": mode, "source": "rapl"}
                yield series(case, f"kepler_node_{zone}_joules_total", energy(watts * share, base=0), **old)
        pod = {"node_name": "new", "pod_name": "chat", "zone": "package", "instance": "10.0.0.1:28282"}
        yield series(case, "kepler_pod_cpu_joules_total", energy(90), **pod)
    for host in ("new", "old"):
        labels = {"instance": f"{host}:9100", "index": "0", "path": "/sys/class/powercap/intel-rapl:0"}
        yield series("kepler-beside-rapl", "node_rapl_package_joules_total", energy(201), **labels)


def gpus() -> Iterator[Series]:
    """GPUs as other exporters than dcgm-exporter show them."""
    uuid = "df6e7a7c-7314-46f8-abc4-b88b36dcf3aa"
    smi = {"instance": "smi:9835", "uuid": uuid}
    yield series("smi", "nvidia_smi_energy_joules_total", energy(300), **smi)
    for metric in ("nvidia_smi_power_draw_watts", "nvidia_smi_power_draw_instant_watts"):
        yield series("smi", metric, 310, **smi)
        yield series("smi-gauges", metric, 310, **smi)
    dcgm = {"Hostname": "smi", "UUID": f"GPU-{uuid}", "gpu": "0", "instance": "smi:9400"}
    yield series("smi-and-dcgm", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", energy(300, 1e3), **dcgm)
    yield series("smi-and-dcgm", "nvidia_smi_power_draw_watts", 310, **smi)
    amd = {"hostname": "amd", "serial_number": "692", "gpu_id": "0", "card_model": "MI300X", "instance": "amd:5000"}
    for partition, share in (("0", 1.0), ("1", 0.0)):
        labels = {**amd, "gpu_partition_id": partition}
        yield series("amd", "gpu_energy_consumed", energy(600 * share, 1e6, base=1e5 * share), **labels)
        yield series("amd", "gpu_package_power", 610 * share, **labels)
        yield series("amd-gauges", "gpu_power_usage", 610 * share, **labels)
        yield series("amd-prefix", "amd_gpu_energy_consumed", energy(600 * share, 1e6, base=1e5 * share), **labels)
        yield series("amd-prefix", "amd_gpu_package_power", 610 * share, **labels)
        yield series("amd-prefix-gauges", "amd_gpu_power_usage", 610 * share, **labels)
    gaudi = {"UUID": "01P0-HL2080A0-15", "Serial": "AM1", "device": "AM1", "instance": "gaudi:41611"}
    yield series("gaudi", "habanalabs_power_mW", 350_000, **gaudi)
    yield series("gaudi", "accelerator_power_usage_watts", 350_000, **gaudi)
    triton = {"gpu_uuid": "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e50", "instance": "triton:8002"}
    yield series("triton", "nv_energy_consumption", energy(250), **triton)
    yield series("triton", "nv_gpu_power_usage", 260, **triton)
    allsmi = {"host": "a1", "gpu_uuid": triton["gpu_uuid"], "gpu_index": "0", "instance": "a1:9090"}
    yield series("all-smi", "all_smi_energy_consumed_joules_total", energy(250), **allsmi, scope="gpu")
    yield series("all-smi", "all_smi_energy_consumed_joules_total", energy(900), host="a1", scope="chassis")
    yield series("all-smi", "all_smi_gpu_energy_hw_millijoules_total", energy(250, 1e3), **allsmi)
    scaph = {"instance": "s1:8080", "socket_id": "0"}
    yield series("scaphandre", "scaph_socket_energy_microjoules", energy(120, 1e6), **scaph)
    for domain, watts in (("core", 90), ("dram", 25)):
        labels = {**scaph, "domain_name": domain, "domain_id": "0"}
        yield series("scaphandre", "scaph_domain_energy_microjoules", energy(watts, 1e6), **labels)
    yield series("scaphandre", "scaph_host_energy_microjoules", energy(145, 1e6), instance="s1:8080")
    ceems = {"hostname": "c1", "index": "0", "instance": "c1:9010", "path": "/sys/class/powercap/intel-rapl:0"}
    yield series("ceems", "ceems_rapl_package_joules_total", energy(140), **ceems)
    yield series("ceems", "ceems_ipmi_dcmi_current_watts", 500, hostname="c1", instance="c1:9010")
    yield series("ceems-0.11", "ceems_ipmi_dcmi_power_current_watts", 500, hostname="c1", instance="c1:9010")


COUNTER = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"


def _gpu(host: str, **more: str) -> dict[str, str]:
    return {"Hostname": host, "UUID": f"GPU-{host}", "gpu": "0", "instance": f"{host}:9400", **more}


def copies() -> Iterator[Series]:
    """What says the same of one device: replicas apart in time, two jobs, two exporters, slices, pods that follow."""
    shown = energy(500, 1e3)
    held = 30

    def stale(t: int) -> object:
        """An exporter that holds its reading back for half a minute."""
        return shown(t - t % held - held)

    for replica, offset in (("a", 7.0), ("b", 36.5)):
        yield series("copies", COUNTER, shown, times(offset=offset), **_gpu("replicas"), replica=replica)
        yield series("copies", "ipmi_dcmi_power_consumption_watts", lambda t: 700 + t % 50, times(offset=offset),
                     instance="bmc", replica=replica)  # fmt: skip
    for exporter, value, offset in (("one", shown, 7), ("two", stale, 21)):
        yield series("copies", COUNTER, value, times(offset=offset), **_gpu("exporters"), exporter=exporter)
    for number, pod in (("1", "a"), ("2", "b")):
        yield series("copies", COUNTER, shown, **_gpu("mig"), GPU_I_ID=number, GPU_I_PROFILE="3g.40gb", pod=pod)
    half = 2 * HOUR + 1800
    yield series("copies", COUNTER, shown, times(last=half), **{**_gpu("churn"), "instance": "10.0.0.1:9400"})
    yield series("copies", COUNTER, shown, times(first=half), **{**_gpu("churn"), "instance": "10.0.0.2:9400"})


def different() -> Iterator[Series]:
    """What is different under one name: power supplies, hosts behind one exporter, and modes."""
    for supply, watts in (("PSU1", 500), ("PSU2", 496)):
        psu = {"instance": "idrac:9348", "psu": supply}
        yield series("different", "idrac_power_supply_input_watts", watts, **psu)
        yield series("different", "psu_energy_joules_total", energy(watts), **psu)
    for bmc in ("bmc1", "bmc2"):
        labels = {"node": "exporter", "instance": bmc}
        yield series("different", "ipmi_dcmi_power_consumption_watts", 400 if bmc == "bmc1" else 430, **labels)
    yield series("different", COUNTER, energy(500, 1e3), **_gpu("same-name", instance="10.0.0.1:9400"))
    yield series("different", COUNTER, energy(480, 1e3), **_gpu("same-name", instance="10.0.0.2:9400"))


def serving() -> Iterator[Series]:
    """Inference servers: 1 request a second in each, 50 tokens out and 200 in."""
    rates = {"requests": 1, "failed": 0, "in": 200, "out": 50}

    def one(case: str, metric: str, what: str, **labels: str) -> Series:
        return series(case, metric, lambda t: f"{(t - START + HOUR) * rates[what]:.0f}", instance="s:1", **labels)

    for prefix in ("ray_vllm:", "ray_vllm_"):
        named = {"model_name": "llama", "engine": "0", "ReplicaId": "r1"}
        yield one(prefix, f"{prefix}request_success_total", "requests", **named, finished_reason="stop")
        yield one(prefix, f"{prefix}prompt_tokens_total", "in", **named)
        yield one(prefix, f"{prefix}generation_tokens_total", "out", **named)
        yield one(prefix, f"{prefix}generation_tokens", "out", **named)
    for metric, what in (
        ("num_requests_total", "requests"), ("num_aborted_requests_total", "failed"), ("prompt_tokens_total", "in"),
        ("generation_tokens_total", "out"),
    ):  # fmt: skip
        yield one("sglang", f"sglang:{metric}", what, model_name="llama")
    yield one("trtllm", "trtllm_request_success_total", "requests", model_name="llama", finished_reason="stop")
    yield one("llamacpp", "llamacpp:prompt_tokens_total", "in")
    yield one("llamacpp", "llamacpp:tokens_predicted_total", "out")
    for case, models in (("tritonserver", ["resnet"]), ("ensemble", ["ensemble", "preprocessing", "llama"])):
        for model in models:
            yield one(case, "nv_inference_request_success", "requests", model=model, version="1")
            yield one(case, "nv_inference_request_failure", "failed", model=model, version="1", reason="OTHER")
    yield one("other-server", "lmdeploy:request_success_total", "requests", model_name="llama")
    yield one("other-server", "lmdeploy:generation_tokens_total", "out", model_name="llama")
    yield one("other-server", "http_requests_total", "requests", code="200")


def strange() -> Iterator[Series]:
    """What nobody has heard of, beside what looks like it and is nothing."""
    box = {"instance": "box:1"}
    yield series("strange", "smartplug_energy_kwh", energy(100, 1 / 3_600_000), **box, outlet="1")
    yield series("strange", "acme_npu_power_milliwatts", 90_000, **box, uuid="N-1")
    yield series("strange", "acme_npu_power_milliwatts", 95_000, **box, uuid="N-2")
    for metric in ("acme_npu_power_limit_watts", "node_rapl_core_joules_total", "kepler_process_cpu_joules_total"):
        yield series("strange", metric, 1, **box)
    yield series("strange", "acme_rack_energy_total", energy(100), **box)
