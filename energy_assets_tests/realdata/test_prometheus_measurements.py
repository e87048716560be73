"""Real measurements in a real Prometheus: node power of MLPerf Training v4.0 and the traffic of an Azure LLM service.

Both are loaded through OpenMetrics backfill into one server and collected as a user would; what comes out is compared
with the same readings worked out here in plain Python.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets_tests.conftest import REAL_DATA, rows_of
from energy_assets_tests.prometheus_server import Series, prometheus, require_prometheus

pytestmark = [pytest.mark.realdata, pytest.mark.real_server]

METER = "smc_node_ac_power_watts"
IN_RUN = "smc_run_ac_power_watts"
MAX_GAP_MS = 300_000
SCRAPE_S = 15
SERVED = datetime(2023, 11, 16, 18, tzinfo=UTC)
Log = dict[int, float]
Key = tuple[str, str, str]


class Measurements:
    """The files, read without the package under test."""

    def __init__(self, folder: Path) -> None:
        self.bad: Counter[str] = Counter()
        self.logs: dict[Key, Log] = defaultdict(dict)
        self.bad_logs: dict[Key, Log] = defaultdict(dict)
        power = folder / "gpu" / "mlperf_training_power"
        for path in sorted(power.glob("v40_smc_ac_power_*.parquet")):
            for row in pq.read_table(path).to_pylist():
                self._add((row["system"], row["node"], row["run"]), row["time_ms"], row["power_w"])
        with (power / "v40_smc_ac_runs.csv").open() as file:
            self.runs = {run["run"]: run for run in csv.DictReader(file)}
        trace = folder / "inference" / "azure_llm_2023" / "AzureLLMInferenceTrace_conv.csv.gz"
        with gzip.open(trace, "rt") as file:
            self.requests = [
                (datetime.fromisoformat(row["TIMESTAMP"]).replace(tzinfo=UTC), row) for row in csv.DictReader(file)
            ]

    def _add(self, key: Key, time_ms: int, power_w: float) -> None:
        """A Prometheus holds one sample per instant: of several the highest, as everywhere here."""
        if power_w > 0:
            self.logs[key][time_ms] = max(power_w, self.logs[key].get(time_ms, 0))
        else:
            self.bad["zero" if power_w == 0 else "negative"] += 1
            self.bad_logs[key][time_ms] = power_w

    def lora_runs(self) -> list[Key]:
        """Fine-tuning of llama2 70B on one node."""
        return [
            key
            for key in self.logs
            if key[2] in self.runs and key[0][:2] == "1x" and self.runs[key[2]]["benchmark"] == "llama2_70b_lora"
        ]

    def window(self, run: str) -> tuple[int, int]:
        return int(self.runs[run]["run_start_ms"]), int(self.runs[run]["run_stop_ms"])

    def series(self) -> Iterator[Series]:
        for key, log in self.logs.items():
            samples = {**self.bad_logs.get(key, {}), **log}
            yield _power(METER, key, samples)
        for key in self.lora_runs():
            start, stop = self.window(key[2])
            yield _power(IN_RUN, key, {t: watts for t, watts in self.logs[key].items() if start <= t <= stop})
        yield from self._counters()

    def _counters(self) -> Iterator[Series]:
        """VLLM's counters at scrapes on the quarter minute, two engines taking turns; nothing served at the start."""
        labels = {"job": "vllm", "instance": "10.0.0.1:8000", "pod": "chat-0", "model_name": "azure-conv"}
        totals: dict[tuple[str, str], int] = defaultdict(int)
        samples: dict[tuple[str, str], list[tuple[float, object]]] = defaultdict(list)
        waiting = list(enumerate(self.requests))[::-1]
        columns = (
            ("request_success", None),
            ("prompt_tokens", "ContextTokens"),
            ("generation_tokens", "GeneratedTokens"),
        )
        for scrape in range(2 * 3600 // SCRAPE_S + 1):
            at = SERVED + timedelta(seconds=scrape * SCRAPE_S)
            while waiting and waiting[-1][1][0] <= at:
                number, (_, row) = waiting.pop()
                for name, column in columns:
                    totals[name, str(number % 2)] += int(row[column]) if column else 1
            for name, _ in columns:
                for engine in ("0", "1"):
                    samples[name, engine].append((at.timestamp(), totals[name, engine]))
        for (name, engine), values in samples.items():
            more = {"finished_reason": "stop"} if name == "request_success" else {}
            yield Series(f"vllm:{name}_total", {**labels, "engine": engine, **more}, values)


def _power(metric: str, key: Key, log: Log) -> Series:
    system, node, run = key
    labels = {"job": "bmc", "instance": f"{system}-{node}:9290", "system": system, "run": run}
    return Series(metric, labels, [(t / 1000, watts) for t, watts in sorted(log.items())])


def trapezoid_kwh(log: Log, start: int = 0, end: int = 2**62) -> float:
    """The area below the lines between readings, within [start, end)."""
    joules = 0.0
    for (t0, p0), (t1, p1) in pairwise(sorted(log.items())):
        a, b = max(t0, start), min(t1, end)
        if a < b and t1 - t0 <= MAX_GAP_MS:
            at_a, at_b = (p0 + (p1 - p0) * (edge - t0) / (t1 - t0) for edge in (a, b))
            joules += (at_a + at_b) / 2 * (b - a) / 1000
    return joules / 3_600_000


@pytest.fixture(scope="module")
def measured() -> Measurements:
    if not REAL_DATA.exists():
        pytest.skip(f"real data not found at {REAL_DATA}; it is not part of this repository")
    return Measurements(REAL_DATA)


@pytest.fixture(scope="module")
def server(measured: Measurements, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Prometheus with all of it; large blocks, since promtool reads the whole text for each."""
    require_prometheus()
    folder = tmp_path_factory.mktemp("measurements")
    with prometheus(measured.series(), folder, block_duration="8760h") as url:
        yield url


def meter(server: str, metric: str) -> PrometheusEnergy:
    own = {
        "metric": metric,
        "type": "gauge",
        "unit": "W",
        "device_kind": "node",
        "node_labels": ["instance"],
        "device_labels": ["run"],
    }
    block: dict[str, Any] = {
        "name": "smc",
        "kind": "prometheus_energy",
        "url": server,
        "metrics": [own],
        "place": {"region": "sg1", "zone": "SG"},
    }
    return PrometheusEnergy.model_validate(block)


def by_run(source: PrometheusEnergy, step: StepContext) -> tuple[dict[str, float], Counter[str]]:
    """Energy by run, of the four days that have readings, and what was noted."""
    energy: dict[str, float] = defaultdict(float)
    noted: Counter[str] = Counter()
    for first in (date(2024, 5, 9), date(2024, 5, 16)):
        table, notes = rows_of(source, DayRange(first, first + timedelta(days=1)), step)
        noted.update(notes)
        for row in table.select(["device_id", "energy_kwh"]).to_pylist():
            energy[row["device_id"]] += float(row["energy_kwh"] or 0)
    return energy, noted


def test_energy_of_every_run_equals_an_independent_trapezoid(
    server: str, measured: Measurements, step: StepContext
) -> None:
    energy, notes = by_run(meter(server, METER), step)
    expected: dict[str, float] = defaultdict(float)
    for (_, _, run), log in measured.logs.items():
        expected[run] += trapezoid_kwh(log)
    assert energy.keys() == expected.keys()
    assert len(expected) == 140
    for run, kwh in expected.items():
        assert energy[run] == pytest.approx(kwh, rel=0.01), run
    assert measured.bad == {"negative": 7, "zero": 1}
    assert {name: notes[f"{name}_readings_dropped"] for name in measured.bad} == measured.bad


def test_fine_tuning_runs_on_one_node_take_3_34_to_3_37_kwh(
    server: str, measured: Measurements, step: StepContext
) -> None:
    """Where only the time of the run carries its label; readings are 2 s apart, so its ends lose up to that much."""
    energy, _ = by_run(meter(server, IN_RUN), step)
    energy = {run: kwh for run, kwh in energy.items() if kwh}
    assert len(energy) == 10
    for key in measured.lora_runs():
        expected = trapezoid_kwh(measured.logs[key], *measured.window(key[2]))
        assert 3.34 <= expected <= 3.37
        assert energy[key[2]] == pytest.approx(expected, rel=0.01)


def test_requests_and_tokens_of_every_hour_are_those_of_the_trace(
    server: str, measured: Measurements, step: StepContext
) -> None:
    source = PrometheusInference(name="chat", kind="prometheus_inference", url=server)
    table, notes = rows_of(source, DayRange(SERVED.date(), SERVED.date()), step)
    expected: dict[datetime, Counter[str]] = defaultdict(Counter)
    for at, row in measured.requests:
        hour = at.replace(minute=0, second=0, microsecond=0, tzinfo=None)
        expected[hour]["requests"] += 1
        expected[hour]["prompt_tokens"] += int(row["ContextTokens"])
        expected[hour]["generated_tokens"] += int(row["GeneratedTokens"])
    rows = {row["hour"]: row for row in table.to_pylist() if row["hour"].hour >= SERVED.hour}
    assert sum(count["requests"] for count in expected.values()) == 19_366
    assert {hour: {name: row[name] for name in expected[hour]} for hour, row in rows.items()} == expected
    assert {(row["failed_requests"], row["coverage"], row["model_id"]) for row in rows.values()} == {
        (0, Decimal(1), "azure-conv")
    }
    assert not notes
