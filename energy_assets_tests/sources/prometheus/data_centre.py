"""Series whose truth is known: each host shows one behaviour. Two days, a sample every 60 s.

What belongs here: samples. What does not: expectations; they stand in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime

from energy_assets_tests.prometheus_server import Series

DAY_ONE, DAY_TWO = date(2026, 9, 21), date(2026, 9, 22)
START = round(datetime(2026, 9, 21, tzinfo=UTC).timestamp())
HOUR, DAY, STEP = 3600, 86400, 60
OFFSET = 17
"""Scrapes happen 17 s after the minute: no sample lies on a boundary."""

COUNTER, GAUGE = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_POWER_USAGE"
ACTIVE = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
WATTS = 600
MJ_PER_STEP = WATTS * STEP * 1000
BOOT_MJ = 2_000_000_000_000
RAPL_WRAP = 262_144
DOWN, BACK = 14 * HOUR + 1200, 14 * HOUR + 1800
"""The hosts of `rebooted` are silent between these offsets from the first day's start."""


def gpu(host: str, number: int = 0, **more: str) -> dict[str, str]:
    """Labels of a GPU as dcgm-exporter writes them."""
    return {
        "Hostname": host,
        "UUID": f"GPU-{host}-{number}",
        "gpu": str(number),
        "modelName": "NVIDIA H100 80GB HBM3",
        "job": "dcgm",
        "instance": f"{host}:9400",
        **more,
    }


def scrapes(first: float = -2 * HOUR, last: float = 2 * DAY + 2 * HOUR) -> Iterator[int]:
    """Instants of scrapes between two offsets from the first day's start."""
    return (t for t in range(START - 2 * HOUR + OFFSET, START + 2 * DAY + 2 * HOUR, STEP) if first <= t - START < last)


def steady(t: int, watts: int = WATTS) -> int:
    """A counter in mJ that has run at one power since long ago."""
    return BOOT_MJ + (t - START) * watts * 1000


def counter(
    labels: dict[str, str], value: Callable[[int], object] = steady, times: Iterable[int] | None = None
) -> Series:
    """An energy counter over all scrapes, or over `times`."""
    return Series(COUNTER, labels, [(t, value(t)) for t in (scrapes() if times is None else times)])


def everything() -> list[Series]:
    """All hosts."""
    return [*plain(), *broken(), *shared(), *others(), *rebooted(), *serving(), *relieved()]


def plain() -> list[Series]:
    """Hosts whose scrape job names no users."""
    bare = {"job": "dcgm-bare"}
    return [
        counter(gpu("steady", **bare)),
        counter(gpu("steady", 1, **bare), lambda t: f"{steady(t)}.250"),
        Series(GAUGE, gpu("steady", **bare), [(t, 999) for t in scrapes()]),
        Series(GAUGE, gpu("gauge-only", **bare), [(t, 300) for t in scrapes()]),
        counter({**gpu("modern", **bare), "hostname": "modern", "Hostname": ""}),
        counter(gpu("newcomer", **bare), times=scrapes(first=10.5 * HOUR)),
    ]


def broken() -> list[Series]:
    """Restarts, gaps and bad readings."""
    reset_at = 5 * HOUR + 1800 + OFFSET
    gap_inside = [t for t in scrapes() if not 3 * HOUR + 600 <= t - START < 3 * HOUR + 2400]
    gap_across = [t for t in scrapes() if not 7 * HOUR + 1800 <= t - START < 10 * HOUR + 1800]
    gap_midnight = [t for t in scrapes() if not 22 * HOUR <= t - START < DAY + 2 * HOUR + 1800]
    return [
        counter(gpu("reset"), lambda t: (t - START - reset_at) * WATTS * 1000 if t - START >= reset_at else steady(t)),
        counter(gpu("gap-inside"), times=gap_inside),
        counter(gpu("gap-across"), times=gap_across),
        counter(gpu("gap-midnight"), times=gap_midnight),
        # rebooted in the gap over midnight, and its pod changed: the old series ends higher than the new one starts
        counter(gpu("reboot", pod="old", namespace="ml"), times=[t for t in gap_midnight if t - START < DAY]),
        counter(
            gpu("reboot", pod="new", namespace="ml"),
            lambda t: 5_000_000 + (t - START - DAY - 2 * HOUR - 1800) * WATTS * 1000,
            [t for t in gap_midnight if t - START > DAY],
        ),
        counter(gpu("blanks"), lambda t: {0: "9223372036854775794", 7: "NaN"}.get(_minute(t) % 30, steady(t))),
        counter(gpu("blip"), lambda t: 0 if t - START == 12 * HOUR - STEP + OFFSET else steady(t)),
        counter(gpu("unsupported"), lambda _: "9223372036854775794"),
    ]


def _minute(t: int) -> int:
    return (t - START) // STEP


def shared() -> list[Series]:
    """MIG instances, time-sliced pods, a change of pods, and idle time; board counters are repeated."""
    slices = [("1", "4g.40gb", "llm-a", 0.5), ("2", "2g.20gb", "llm-b", 0.5), ("3", "1g.10gb", "llm-c", 1.0)]
    mig = [
        (gpu("mig", GPU_I_ID=number, GPU_I_PROFILE=profile, pod=pod, namespace="inf", container="srv"), active)
        for number, profile, pod, active in slices
    ]
    half = 8 * HOUR + 1800
    return [
        *(counter(labels) for labels, _ in mig),
        *(Series(ACTIVE, labels, [(t, active) for t in scrapes()]) for labels, active in mig),
        *(counter(gpu("sliced", pod=f"nb-{n}", namespace="dev", vgpu=str(n))) for n in range(3)),
        counter(gpu("moving", pod="first", namespace="ml"), times=scrapes(last=half)),
        counter(gpu("moving", pod="second", namespace="ml"), times=scrapes(first=half, last=20 * HOUR)),
        counter(gpu("moving"), times=scrapes(first=20 * HOUR)),
        counter(gpu("exported", exported_pod="job-1", exported_namespace="ml", pod="dcgm-exporter-x", job="ksm")),
        counter(gpu("exported", 1, pod="dcgm-exporter-x", namespace="monitoring", job="ksm")),
        counter(gpu("slurm", hpc_job="4711")),
    ]


def others() -> list[Series]:
    """RAPL in both spellings, its copy through memory-mapped I/O, a node's own meter, and a custom metric."""
    joules = 100.0 * STEP

    def rapl(t: int) -> str:
        return f"{((t - START) // STEP * joules + 50_000) % RAPL_WRAP:.3f}"

    host = {"instance": "cpu-host:9100", "job": "node", "index": "0"}
    path = "/sys/class/powercap/intel-rapl:0"
    return [
        Series("node_rapl_package_joules_total", {**host, "path": path}, [(t, rapl(t)) for t in scrapes()]),
        Series(
            "node_rapl_package_joules_total",
            {**host, "index": "1", "path": "/sys/class/powercap/intel-rapl-mmio:0"},
            [(t, rapl(t)) for t in scrapes()],
        ),
        Series(
            "node_rapl_joules_total",
            {**host, "instance": "zoned:9100", "rapl_zone": "dram", "path": path},
            [(t, (t - START + DAY) * 20) for t in scrapes()],
        ),
        Series(
            "node_rapl_joules_total",
            {**host, "instance": "zoned:9100", "rapl_zone": "core", "path": path},
            [(t, (t - START + DAY) * 70) for t in scrapes()],
        ),
        Series(
            "ipmi_dcmi_power_consumption_watts",
            {"instance": "metered", "job": "ipmi"},
            [(t, 0 if _minute(t) == 90 else 5000) for t in scrapes()],
        ),
        Series(
            "gpu_energy_consumed",
            {"gpu_id": "0", "hostname": "amd-0", "card_model": "MI300X", "job": "amd", "instance": "amd-0:5000"},
            [(t, (t - START + DAY) * 400 * 1_000_000) for t in scrapes()],
        ),
    ]


def zone(host: str, name: str, index: int, watts: int, before: int, *, reboots: bool = True) -> Series:
    """A RAPL counter that shows `before` joules when it is last seen; booted half a minute before it is back."""
    labels = {"instance": f"{host}:9100", "job": "node", "index": str(index), "path": f"/sys/intel-rapl:{index}"}
    times = [t for t in scrapes() if not (reboots and DOWN <= t - START < BACK)]
    last = max(t for t in times if t - START < DOWN)
    back = min(t for t in times if t - START >= BACK)

    def joules(t: int) -> int:
        if reboots and t >= back:
            return ((t - back + 30) * watts) % RAPL_WRAP
        return (before + (t - last) * watts) % RAPL_WRAP

    return Series(f"node_rapl_{name}_joules_total", labels, [(t, joules(t)) for t in times])


def rebooted() -> list[Series]:
    """Hosts with RAPL counters that restart with the host, some of them shortly before their maximum."""
    times = [t for t in scrapes() if not DOWN <= t - START < BACK]
    back = min(t for t in times if t - START >= BACK)
    full = RAPL_WRAP - 100
    return [
        *(counter(gpu("boot", n), lambda t: steady(t) if t < back else (t - back + 30) * 1000, times) for n in (0, 1)),
        zone("boot", "package", 0, 100, 100_000),
        zone("boot", "package", 1, 100, full),
        zone("boot-cpu", "package", 0, 100, 100_000),
        zone("boot-cpu", "dram", 0, 20, full),
        # one of two GPUs is reset in the minute in which the package wraps: no reboot
        counter(gpu("reset-gpu"), lambda t: steady(t) if t - START < DOWN else (t - START - DOWN) * WATTS * 1000),
        counter(gpu("reset-gpu", 1)),
        zone("reset-gpu", "package", 0, 100, full, reboots=False),
    ]


def relieved() -> list[Series]:
    """A roll-out, in which one pod follows another; and two pods that miss the same twelve scrapes."""
    together = [t for t in scrapes() if not 15 * HOUR <= t - START < 15 * HOUR + 720]
    lives = [
        ("roll", "roll-a", list(scrapes(last=12 * HOUR + 1800))),
        ("roll", "roll-b", list(scrapes(first=12 * HOUR + 2040))),
        ("twins", "twin-a", together),
        ("twins", "twin-b", together),
    ]
    return [
        Series(
            "vllm:prompt_tokens_total",
            {"job": job, "pod": pod, "instance": f"{pod}:8000", "engine": "0", "model_name": job},
            [(t, (t - times[0]) // STEP * 100) for t in times],
        )
        for job, pod, times in lives
    ]


def serving() -> list[Series]:
    """VLLM with two engines, one of which restarts; TGI without a model label."""
    series = []
    restart = 6 * HOUR + 1800
    for engine in ("0", "1"):
        labels = {
            "engine": engine,
            "model_name": "llama-8b",
            "job": "vllm",
            "instance": "10.0.0.1:8000",
            "pod": "llm-0",
            "namespace": "inf",
        }

        def total(t: int, per_minute: int, restarts: bool = engine == "1") -> int:
            since = restart if restarts and t - START >= restart else -2 * HOUR
            return (t - START - since) // STEP * per_minute

        for metric, rate in (("prompt_tokens_total", 1000), ("generation_tokens_total", 200)):
            series.append(Series(f"vllm:{metric}", labels, [(t, f"{total(t, rate)}.0") for t in scrapes()]))
        for reason, rate in (("stop", 10), ("length", 2)):
            named = {**labels, "finished_reason": reason}
            series.append(Series("vllm:request_success_total", named, [(t, total(t, rate)) for t in scrapes()]))
    aborted = {**labels, "engine": "0", "finished_reason": "abort"}
    series.append(Series("vllm:request_success_total", aborted, [(t, 3) for t in scrapes(first=9.5 * HOUR)]))
    tgi = {"job": "tgi", "instance": "10.0.0.2:3000"}
    for metric, rate in (("success", 5), ("input_length_sum", 500), ("generated_tokens_sum", 50)):
        samples = [(t, (t - START + 2 * HOUR) // STEP * rate) for t in scrapes()]
        series.append(Series(f"tgi_request_{metric}", tgi, samples))
    series.append(
        Series("tgi_request_failure", {**tgi, "err": "overloaded"}, [(t, 2) for t in scrapes(first=4.5 * HOUR)])
    )
    return series
