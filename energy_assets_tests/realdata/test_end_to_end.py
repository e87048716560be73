"""Real node power, real grid, real bills: through Dagster to the report, against independent arithmetic."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.disclosures.places import report_folder
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days, run_report
from energy_assets.site import Site, load_site

pytestmark = pytest.mark.realdata

DAYS = DayRange(date(2024, 5, 9), date(2024, 5, 18))
PUE = Decimal("1.2")


def site_in(folder: Path, data: Path) -> Site:
    folder.mkdir(parents=True, exist_ok=True)
    power, grid = data / "gpu/mlperf_training_power", data / "grid/em_hourly_v1_sustaincluster"
    (folder / "site.yaml").write_text(
        f"""
organisation: {{name: MLPerf submitter, currency: USD}}
start: 2024-05-01
sources:
  - name: meters
    kind: power_files
    path: "{power}/*1x.parquet"
    time: time_ms
    time_unit: ms
    node: [system, run, node]
    run: [benchmark, run]
    power_w: power_w
    windows:
      path: "{power}/v40_smc_ac_runs.csv"
      run: [benchmark, run]
      start: run_start_ms
      end: run_stop_ms
      time_unit: ms
    place: {{provider: onprem, region: sg1, zone: SG, pue: {PUE}}}
  - {{name: grid, kind: intensity_files, path: "{grid}/SG_2024_hourly.csv.gz"}}
attribution:
  rules:
    - {{match: {{source: meters}}, project: mlperf, workload_type: training}}
""",
        encoding="utf-8",
    )
    return load_site(folder / "site.yaml")


def run(site: Site, days: DayRange) -> Outcome:
    outcome = run_days(site, days, lambda step: None)
    assert outcome.success, outcome.failures
    return outcome


@pytest.fixture(scope="module")
def data() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.exists():
        pytest.skip("real data not found beside the checkout; it is not part of this repository")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Site:
    made = site_in(tmp_path_factory.mktemp("road"), data)
    run(made, DAYS)
    return made


def published_intensity(data: Path) -> dict[datetime, tuple[Decimal, Decimal]]:
    with gzip.open(data / "grid/em_hourly_v1_sustaincluster/SG_2024_hourly.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    header = rows[0]
    direct = next(n for n, name in enumerate(header) if "(direct)" in name)
    lifecycle = next(n for n, name in enumerate(header) if "(LCA)" in name)
    return {datetime.fromisoformat(row[0]): (Decimal(row[direct]), Decimal(row[lifecycle])) for row in rows[1:]}


def test_each_hour_is_multiplied_with_the_real_intensity_of_its_own_hour(site: Site, data: Path) -> None:
    intensity = published_intensity(data)
    _, energy = ask(site, "select hour, sum(energy_kwh) from energy group by 1")
    columns = "hour, sum(location_g), sum(upstream_g), sum(lifecycle_g)"
    _, grams = ask(site, f"select {columns} from emissions group by 1")
    assert len(grams) == len(energy) > 20
    kwh = dict(energy)
    for hour, location_g, upstream_g, lifecycle_g in grams:
        direct, lifecycle = intensity[hour]
        facility = kwh[hour] * PUE
        assert float(location_g) == pytest.approx(float(facility * direct), rel=1e-9)
        assert float(upstream_g) == pytest.approx(float(facility * (lifecycle - direct)), rel=1e-9, abs=1e-9)
        assert float(lifecycle_g) == pytest.approx(float(facility * lifecycle), rel=1e-9)


def test_ten_fine_tuning_runs_take_as_much_energy_as_their_submitter_says(site: Site) -> None:
    _, rows = ask(
        site,
        "select workload_id, sum(energy_kwh) from energy where workload_id like 'llama2_70b_lora/%' group by 1",
    )
    assert len(rows) == 10
    assert all(Decimal("3.34") <= kwh <= Decimal("3.37") for _, kwh in rows), rows


def test_what_lies_outside_the_run_windows_is_idle(site: Site) -> None:
    _, rows = ask(site, "select workload_type, sum(energy_kwh) from energy group by 1")
    kwh = dict(rows)
    assert set(kwh) == {"training", "idle"}
    assert 0 < kwh["idle"] < kwh["training"]


def test_days_one_by_one_and_twice_leave_the_same_tables_and_report_bytes(data: Path, tmp_path: Path) -> None:
    together, apart = site_in(tmp_path / "together", data), site_in(tmp_path / "apart", data)
    run(together, DayRange(date(2024, 5, 9), date(2024, 5, 11)))
    for day in (11, 9, 10, 9):
        run(apart, DayRange(date(2024, 5, day), date(2024, 5, day)))

    for table in ("energy", "grid_intensity", "emissions", "kpis_daily", "kpis_monthly", "raw_meters", "raw_grid"):
        query = f"select * from {table} order by all"
        assert ask(apart, query) == ask(together, query), table

    for made in (together, apart):
        assert run_report(made, Period.parse("2024-05"), lambda step: None).success
    one, other = (report_folder(made, "ml_sustainability", Period.parse("2024-05")) for made in (together, apart))
    files = sorted(path.name for path in one.iterdir())
    assert {"report.pdf", "report.xhtml", "facts.csv", "figures.json", "document.json", "trace.xhtml"} <= set(files)
    differing = [name for name in files if (one / name).read_bytes() != (other / name).read_bytes()]
    # Two sites fetched at different times: the trace page prints the receipts, the build file the run.
    assert set(differing) <= {"build.json", "trace.xhtml"}

    before = {name: (one / name).read_bytes() for name in files}
    run(together, DayRange(date(2024, 5, 10), date(2024, 5, 10)))
    assert run_report(together, Period.parse("2024-05"), lambda step: None).success
    assert [name for name in files if (one / name).read_bytes() != before[name]] == ["build.json"]


def test_a_rerun_writes_no_new_version(site: Site) -> None:
    from energy_assets.lake import Lake

    lake = Lake(site.disk())
    before = {table: lake.version(table) for table in lake.tables()}
    run(site, DayRange(date(2024, 5, 9), date(2024, 5, 10)))
    assert {table: lake.version(table) for table in lake.tables()} == before


def test_bills_keep_every_printed_digit_through_the_lake(tmp_path: Path, data: Path) -> None:
    bill = data / "billing/focus_1_0_sample_ccby4/focus_public_part_before_0916.csv.gz"
    (tmp_path / "site.yaml").write_text(
        f"""
organisation: {{name: SunBird, currency: USD}}
start: 2024-09-01
sources: [{{name: bills, kind: focus_files, path: "{bill}"}}]
""",
        encoding="utf-8",
    )
    made = load_site(tmp_path / "site.yaml")
    run(made, DayRange(date(2024, 9, 1), date(2024, 9, 15)))
    with gzip.open(bill, "rt", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    by_service: dict[str, Decimal] = defaultdict(Decimal)
    by_day: dict[date, Decimal] = defaultdict(Decimal)
    for line in lines:
        by_service[line["ServiceName"]] += Decimal(line["BilledCost"])
        by_day[date.fromisoformat(line["ChargePeriodStart"][:10])] += Decimal(line["BilledCost"])
    assert len(lines) == 445
    assert dict(ask(made, "select service_name, sum(billed_cost) from cost group by 1")[1]) == by_service
    assert dict(ask(made, "select day, sum(billed_cost) from cost group by 1")[1]) == by_day
    assert ask(made, "select count(*), sum(billed_cost) from cost")[1] == [(445, Decimal("5.69001013875"))]
