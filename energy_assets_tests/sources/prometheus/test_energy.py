"""prometheus_energy against a real Prometheus: every behaviour has a host of its own with known energy."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from energy_assets.contracts.raw import PLACE_COLUMNS, EnergyReadings
from energy_assets.periods import DayRange
from energy_assets.sources.base import Place, StepContext
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.meters import CustomMetric
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.prometheus.data_centre import (
    BACK,
    DAY,
    DAY_ONE,
    DAY_TWO,
    DOWN,
    OFFSET,
    RAPL_WRAP,
    STEP,
    WATTS,
    scrapes,
)

pytestmark = pytest.mark.real_server
BOTH = DayRange(DAY_ONE, DAY_TWO)
KWH_PER_SAMPLE = Decimal(WATTS * STEP) / 3_600_000


def source(url: str, name: str = "dc", **more: Any) -> PrometheusEnergy:
    return PrometheusEnergy(
        name=name, kind="prometheus_energy", url=url, place=Place(region="r1", zone="DE", pue=Decimal("1.2")), **more
    )


class Readings:
    """Rows of two days, easy to ask."""

    def __init__(self, table: pa.Table, notes: dict[str, int]) -> None:
        self.table = table
        self.notes = notes
        self.rows = table.to_pylist()

    def of(self, node: str, device: str | None = None, day: int | None = None) -> list[dict[str, Any]]:
        first = datetime.combine(DAY_ONE, datetime.min.time())
        found = [
            {**row, "at": round((row["hour"] - first) / timedelta(hours=1)), "labels": dict(row["labels"])}
            for row in self.rows
            if row["node_id"] == node and device in (None, row["device_id"])
        ]
        return [row for row in found if day is None or row["at"] // 24 == day]

    def at(self, node: str, hour: int) -> list[dict[str, Any]]:
        return [row for row in self.of(node) if row["at"] == hour]


@pytest.fixture(scope="module")
def module_desk(tmp_path_factory: pytest.TempPathFactory) -> StepContext:
    from energy_assets_tests.conftest import step

    return step.__wrapped__(tmp_path_factory.mktemp("step"))


@pytest.fixture(scope="module")
def readings(data_centre: str, module_desk: StepContext) -> Readings:
    amd = CustomMetric(
        metric="gpu_energy_consumed",
        type="counter",
        unit="uJ",
        device_kind="gpu",
        node_labels=("hostname",),
        device_labels=("gpu_id",),
        model_label="card_model",
    )
    site = source(data_centre, metrics=(amd,), rapl_wrap_joules=Decimal(RAPL_WRAP), keep_labels=("instance",))
    table, notes = rows_of(site, BOTH, module_desk)
    return Readings(table, notes)


def test_rows_have_the_columns_and_types_of_the_contract(readings: Readings) -> None:
    columns = [name for name in EnergyReadings.to_schema().columns if name not in PLACE_COLUMNS]
    assert readings.table.column_names == columns
    assert str(readings.table.schema.field("energy_kwh").type) == "decimal128(18, 9)"
    keys = readings.table.select(["hour", "node_id", "device_id", "share_id"])
    assert keys.group_by(keys.column_names).aggregate([]).num_rows == readings.table.num_rows
    for name in ("coverage", "share_id", "raw_sha256", "labels", "idle", "device_kind"):
        assert pc.sum(pc.is_null(readings.table[name])).as_py() == 0, name


@pytest.mark.parametrize("device", ["GPU-steady-0", "GPU-steady-1"])
def test_hours_telescope_to_the_energy_of_the_day(readings: Readings, device: str) -> None:
    rows = readings.of("steady", device)
    assert len(rows) == 48
    assert {row["energy_kwh"] for row in rows} == {Decimal("0.6")}
    assert {(row["method"], row["quality_tier"], row["coverage"]) for row in rows} == {
        ("measured_counter", 2, Decimal(1))
    }


def test_a_counter_is_preferred_to_the_power_of_the_same_device(readings: Readings) -> None:
    assert {row["method"] for row in readings.of("steady", "GPU-steady-0")} == {"measured_counter"}


def test_a_device_without_a_counter_is_integrated_from_its_power(readings: Readings) -> None:
    rows = readings.of("gauge-only")
    assert len(rows) == 48
    assert {(row["energy_kwh"], row["method"]) for row in rows} == {(Decimal("0.3"), "measured_power")}
    assert {row["coverage"] for row in rows} == {Decimal(1)}


def test_both_spellings_of_the_host_label_are_read(readings: Readings) -> None:
    assert sum(row["energy_kwh"] for row in readings.of("modern")) == Decimal("28.8")


def test_a_series_that_appears_in_the_day_starts_at_its_first_sample(readings: Readings) -> None:
    rows = readings.of("newcomer", day=0)
    assert [row["at"] for row in rows] == list(range(10, 24))
    assert rows[0]["energy_kwh"] == 29 * KWH_PER_SAMPLE
    assert rows[0]["coverage"] == Decimal("0.5")
    assert {row["energy_kwh"] for row in rows[1:]} == {Decimal("0.6")}


def test_a_restart_within_an_hour_counts_from_zero(readings: Readings) -> None:
    rows = readings.of("reset")
    lost = KWH_PER_SAMPLE
    assert rows[5]["energy_kwh"] == Decimal("0.6") - lost
    assert sum(row["energy_kwh"] for row in rows) == 48 * Decimal("0.6") - lost
    assert rows[5]["coverage"] == Decimal(1)
    assert readings.notes["counter_restarts"] >= 1


def test_a_gap_within_an_hour_loses_no_energy_but_coverage(readings: Readings) -> None:
    row = readings.at("gap-inside", 3)[0]
    assert row["energy_kwh"] == Decimal("0.6")
    assert row["coverage"] == Decimal("0.5")


def test_an_hour_without_samples_is_unknown_and_its_energy_comes_with_the_next_sample(readings: Readings) -> None:
    rows = {row["at"]: row for row in readings.of("gap-across")}
    assert [rows[hour]["energy_kwh"] for hour in (8, 9)] == [None, None]
    assert [rows[hour]["coverage"] for hour in (8, 9)] == [0, 0]
    assert sum(row["energy_kwh"] or 0 for row in rows.values()) == 48 * Decimal("0.6")
    assert readings.notes["device_hours_with_energy_of_a_gap"] >= 1


def test_a_gap_over_midnight_loses_no_energy(readings: Readings) -> None:
    rows = {row["at"]: row for row in readings.of("gap-midnight")}
    assert [hour for hour, row in rows.items() if row["energy_kwh"] is None] == [22, 23, 24, 25]
    assert sum(row["energy_kwh"] or 0 for row in rows.values()) == 48 * Decimal("0.6")


def test_a_reboot_in_a_gap_over_midnight_with_new_labels_starts_from_zero(readings: Readings) -> None:
    rows = {row["at"]: row for row in readings.of("reboot")}
    last_before = -2 * 3600 + OFFSET + (22 + 2) * 3600 - STEP
    assert sum(row["energy_kwh"] or 0 for row in readings.of("reboot", day=0)) == (
        Decimal(last_before + 3600 - 3600 - OFFSET + STEP) * WATTS / 3_600_000
    ).quantize(Decimal("1e-9"))
    since_boot = Decimal(5_000 + (1800 - STEP + OFFSET) * WATTS) / 3_600_000
    assert rows[26]["energy_kwh"] == since_boot.quantize(Decimal("1e-9"))


def test_blank_readings_are_dropped_and_counted(readings: Readings) -> None:
    rows = readings.of("blanks")
    assert sum(row["energy_kwh"] for row in rows) == 48 * Decimal("0.6") + 0 * KWH_PER_SAMPLE
    assert rows[3]["coverage"] == Decimal("0.933333")
    assert readings.notes["nan_readings_dropped"] >= 96
    assert readings.notes["sentinel_readings_dropped"] >= 96


def test_a_single_zero_is_no_restart(readings: Readings) -> None:
    rows = readings.of("blip")
    assert sum(row["energy_kwh"] for row in rows) == 48 * Decimal("0.6")
    assert readings.notes["low_readings_dropped"] == 1


def test_a_counter_that_never_delivers_is_unknown_not_zero(readings: Readings) -> None:
    rows = readings.of("unsupported")
    assert len(rows) == 48
    assert {(row["energy_kwh"], row["coverage"]) for row in rows} == {(None, 0)}
    assert readings.notes["unusable_readings_dropped"] == 48 * 60


def test_mig_instances_divide_the_board_by_activity_and_slices(readings: Readings) -> None:
    rows = {row["workload_id"]: row for row in readings.at("mig", 4)}
    weights = {"llm-a": Decimal(2), "llm-b": Decimal(1), "llm-c": Decimal(1)}
    assert {pod: row["energy_kwh"] for pod, row in rows.items()} == {
        pod: Decimal("0.6") * weight / 4 for pod, weight in weights.items()
    }
    assert {row["quality_tier"] for row in rows.values()} == {3}
    assert rows["llm-a"]["share_id"] == "inf/llm-a/srv"
    assert rows["llm-a"]["labels"] == {
        "container": "srv",
        "instance": "mig:9400",
        "job": "dcgm",
        "namespace": "inf",
        "pod": "llm-a",
    }


def test_pods_that_share_a_gpu_at_the_same_time_get_equal_parts(readings: Readings) -> None:
    rows = readings.at("sliced", 4)
    assert [row["energy_kwh"] for row in rows] == [Decimal("0.2")] * 3
    assert {row["coverage"] for row in rows} == {Decimal(1)}


def test_pods_that_follow_each_other_get_their_time_and_the_rest_is_idle(readings: Readings) -> None:
    assert {row["workload_id"]: row["energy_kwh"] for row in readings.at("moving", 8)} == {
        "first": Decimal("0.3"),
        "second": Decimal("0.3"),
    }
    assert [(row["share_id"], row["workload_id"]) for row in readings.at("moving", 12)] == [("all", "second")]
    assert [(row["share_id"], row["idle"], row["energy_kwh"]) for row in readings.at("moving", 21)] == [
        ("idle", True, Decimal("0.6"))
    ]
    assert {row["coverage"] for row in readings.of("moving")} == {Decimal(1)}


def test_renamed_labels_name_the_workload_and_not_the_exporter(readings: Readings) -> None:
    busy = readings.of("exported", "GPU-exported-0")
    free = readings.of("exported", "GPU-exported-1")
    assert {(row["workload_id"], row["labels"]["namespace"]) for row in busy} == {("job-1", "ml")}
    assert {(row["share_id"], row["idle"], row["workload_id"]) for row in free} == {("idle", True, None)}


def test_an_exporter_that_names_no_users_leaves_the_user_unknown(readings: Readings) -> None:
    assert {(row["share_id"], row["idle"]) for row in readings.of("steady")} == {("all", False)}


def test_a_host_without_users_is_idle_where_its_scrape_job_names_users_of_other_hosts(readings: Readings) -> None:
    assert {(row["share_id"], row["idle"]) for row in readings.of("reset")} == {("idle", True)}


def test_a_batch_job_is_a_workload(readings: Readings) -> None:
    assert {(row["workload_id"], row["labels"]["hpc_job"]) for row in readings.of("slurm")} == {("4711", "4711")}


@pytest.mark.parametrize("node", ["mig", "sliced", "moving"])
def test_shares_add_up_to_the_board_exactly(readings: Readings, node: str) -> None:
    assert sum(row["energy_kwh"] for row in readings.of(node)) == 48 * Decimal("0.6")
    assert sum(row["usage_hours"] for row in readings.of(node)) == 48


def test_rapl_wraps_add_the_maximum_and_overlapping_zones_count_once(readings: Readings) -> None:
    rows = readings.of("cpu-host")
    assert {row["device_id"] for row in rows} == {"package-0"}
    assert sum(row["energy_kwh"] for row in rows) == Decimal("4.8")
    zoned = readings.of("zoned")
    assert {(row["device_id"], row["device_kind"]) for row in zoned} == {("dram-0", "dram")}
    assert sum(row["energy_kwh"] for row in zoned) == Decimal("0.96")
    assert readings.notes["counter_wraps"] > 60


@pytest.mark.parametrize(
    ("node", "device", "watts"),
    [
        pytest.param("boot", "package-0", 100, id="too much energy for a wrap"),
        pytest.param("boot", "package-1", 100, id="as the GPUs of the host did"),
        pytest.param("boot-cpu", "package-0", 100, id="too much energy, no GPUs"),
        pytest.param("boot-cpu", "dram-0", 20, id="as the other zone did"),
    ],
)
def test_a_wrapping_counter_restarts_with_its_host(readings: Readings, node: str, device: str, watts: int) -> None:
    rows = readings.of(node, device, day=0)
    steps = len(list(scrapes(0, DOWN))) + len(list(scrapes(BACK, DAY))) - 1
    joules = (steps * STEP + 30) * watts
    assert sum(row["energy_kwh"] for row in rows) == pytest.approx(Decimal(joules) / 3_600_000, abs=Decimal("2e-9"))


def test_a_wrap_while_one_gpu_is_reset_stays_a_wrap(readings: Readings) -> None:
    rows = readings.of("reset-gpu", "package-0", day=0)
    assert sum(row["energy_kwh"] for row in rows) == Decimal("2.4")


def test_counters_that_wrap_all_day_travel_in_one_request(data_centre: str, step: StepContext) -> None:
    site = source(data_centre, selector='instance=~"cpu-host.*"', rapl_wrap_joules=Decimal(RAPL_WRAP))
    rows_of(site, DayRange(DAY_ONE, DAY_ONE), step)
    edition = step.landing.edition("dc", DAY_ONE)
    assert edition
    assert [landed.request["role"] for landed in edition.objects].count("raw") == 1
    assert len(edition.objects) < 10


def test_a_node_meter_is_a_node_and_its_zeros_are_dropped(readings: Readings) -> None:
    rows = readings.of("metered")
    assert {(row["device_kind"], row["device_id"], row["method"]) for row in rows} == {
        ("node", "metered", "measured_power")
    }
    assert sum(row["energy_kwh"] for row in rows) == 48 * 5
    assert readings.notes["zero_readings_dropped"] == 1


def test_a_custom_counter_is_read_in_its_unit(readings: Readings) -> None:
    rows = readings.of("amd-0")
    assert {row["energy_kwh"] for row in rows} == {Decimal("0.4")}
    assert {(row["device_id"], row["device_model"]) for row in rows} == {("0", "MI300X")}


def test_a_day_is_the_same_alone_and_within_a_range(data_centre: str, step: StepContext) -> None:
    site = source(data_centre)
    both, _ = rows_of(site, BOTH, step)
    again, _ = rows_of(site.model_copy(update={"name": "alone"}), DayRange(DAY_TWO, DAY_TWO), step)
    order = [(name, "ascending") for name in ("node_id", "device_id", "hour", "share_id")]
    assert both.filter(pc.equal(both["day"], DAY_TWO)).sort_by(order).equals(again.sort_by(order))


def test_plain_counters_need_no_samples(data_centre: str, step: StepContext) -> None:
    site = source(data_centre, selector='{Hostname=~"steady|newcomer"}', scrape_interval_s=60)
    rows_of(site, DayRange(DAY_ONE, DAY_ONE), step)
    edition = step.landing.edition("dc", DAY_ONE)
    assert edition
    assert {landed.request["role"] for landed in edition.objects} == {
        "names", "boundary", "lookback", "minimum", "usage", "marked", "copies", "gauge_hours", "mean",
        "down",
    }  # fmt: skip
    assert all('Hostname=~"steady|newcomer"' in str(landed.request) for landed in edition.objects)


def test_a_day_that_is_not_over_ends_at_its_last_whole_hour(data_centre: str, step: StepContext) -> None:
    noon = datetime.combine(DAY_ONE, datetime.min.time()).replace(hour=12, minute=20).astimezone(step.now.tzinfo)
    early = StepContext(**{**step.__dict__, "now": noon.replace(tzinfo=step.now.tzinfo)})
    table, _ = rows_of(source(data_centre, selector='Hostname="steady"'), DayRange(DAY_ONE, DAY_ONE), early)
    assert max(table["hour"].to_pylist()).hour == 11


def test_doctor_tells_version_metrics_and_freshness(data_centre: str, step: StepContext) -> None:
    fresh = StepContext(**{**step.__dict__, "now": datetime.combine(DAY_TWO, datetime.min.time(), step.now.tzinfo)})
    findings = list(source(data_centre).check(fresh))
    assert findings[0].ok
    assert findings[0].what.startswith("Prometheus 2.")
    assert any(finding.ok and finding.what.startswith("DCGM_FI_DEV_POWER_USAGE: 2 series") for finding in findings)
    stale = list(source(data_centre).check(step))
    assert not any(finding.ok for finding in stale[1:])
    assert all(finding.remedy for finding in stale[1:])
