"""From the outside: one thing under two names, one bill from two sources, and a company that only rents a cloud."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import ibis
import pytest
from click.testing import CliRunner

from energy_assets.cli import main
from energy_assets.definitions import build_defs
from energy_assets.doctor import examine
from energy_assets.host_names import hosts, placed
from energy_assets.operations.schedules import range_tags
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, instance, run_days
from energy_assets.site import Site, load_site
from energy_assets.sources.base import SeenNode
from energy_assets_tests.small_site import DAYS, SITE, contents, write_csv, write_site

DAY = DayRange(DAYS.first, DAYS.first)


@pytest.fixture(autouse=True)
def _own_dagster_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def run(path: Path, days: DayRange = DAYS) -> tuple[Site, Outcome]:
    site = load_site(path)
    return site, run_days(site, days, lambda step: None)


def one(site: Site, query: str) -> Any:
    ((value,),) = ask(site, query)[1]
    return value


def test_one_bill_from_two_sources_counts_once_and_the_other_is_shown(tmp_path: Path) -> None:
    second = '  - {name: payer, kind: focus_files, path: "again/*.csv"}\n'
    path = write_site(tmp_path, text=SITE.replace("attribution:", second + "attribution:"))
    shutil.copytree(tmp_path / "bills", tmp_path / "again")
    # The same bill, written by another tool: the account in another case and with blanks.
    for file in (tmp_path / "again").glob("*.csv"):
        file.write_text(file.read_text().replace(",1,EUR", ", 1 ,EUR"))
    site, outcome = run(path)
    assert outcome.success, outcome.failures
    assert one(site, "select sum(billed_cost) from cost") == 3 * Decimal("3.500000000000000001")
    assert ask(site, "select distinct source from cost")[1] == [("bills",)]
    assert one(site, "select sum(billed_cost) from raw_payer") == 3 * Decimal("3.500000000000000001"), "kept, as proof"
    (warning,) = outcome.warnings
    assert warning.startswith("unified/cost: bills_cross_check: 3 times, for example day 2024-05-30, provider aws")
    assert "withheld_source payer" in warning


def test_lines_without_an_account_do_not_add_to_another_sources_bill_and_the_way_out_is_said(tmp_path: Path) -> None:
    """The same bill again, exported without its account; then as the bill of another account, which the file names."""
    second = '  - {name: payer, kind: focus_files, path: "again/*.csv"}\n'
    path = write_site(tmp_path, text=SITE.replace("attribution:", second + "attribution:"))
    shutil.copytree(tmp_path / "bills", tmp_path / "again")
    for file in (tmp_path / "again").glob("*.csv"):
        file.write_text(file.read_text().replace(",1,EUR", ",,EUR"))
    site, outcome = run(path)
    assert outcome.success, outcome.failures
    bill = 3 * Decimal("3.500000000000000001")
    assert ask(site, "select source, sum(billed_cost) from cost group by all")[1] == [("bills", bill)]
    assert one(site, "select sum(billed_cost) from raw_payer") == bill, "kept, as proof"
    (warning,) = [text for text in outcome.warnings if "bills_name_accounts" in text]
    assert warning.startswith("unified/cost: bills_name_accounts: 3 times, for example day 2024-05-30, provider aws")
    assert "withheld_rows 2, withheld_billed_cost 3.5" in warning
    assert warning.endswith("remove the source that repeats the other")

    path.write_text(path.read_text().replace('"again/*.csv"}', '"again/*.csv", billing_account: "2"}'))
    site, outcome = run(path)
    assert outcome.success, outcome.failures
    (warning,) = outcome.warnings
    assert warning.startswith(
        "unified/cost: bills_look_alike: 3 times, for example day 2024-05-30, one bills: aws account 000000000001, "
        "other payer: aws account 000000000002"
    )
    assert warning.endswith("if they are two, there is nothing to do")
    (finding,) = [f for c in examine(site) if c.name == "bills" for f in c.findings if not f.ok]
    assert finding.what == (
        "bills: aws account 000000000001 and payer: aws account 000000000002 have as many lines and the same total "
        "on 3 days, first 2024-05-30"
    )
    assert "remove the source that repeats" in finding.remedy
    found = ask(site, "select source, billing_account_id, sum(billed_cost) from cost group by all order by 1")[1]
    assert found == [("bills", "1", bill), ("payer", "2", bill)]


def test_a_day_alone_and_a_range_decide_alike_who_has_the_bill(tmp_path: Path) -> None:
    """The first source has only the first day of May; the whole month of May is its, and what it lacks is said."""
    first = '  - {name: payer, kind: focus_files, path: "again/*.csv"}\n  - {name: bills,'
    path = write_site(tmp_path, text=SITE.replace("  - {name: bills,", first))
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / f"bills/{DAYS.first}.csv", tmp_path / "again")
    site, outcome = run(path)
    assert outcome.success, outcome.failures
    query = "select day, source, sum(billed_cost) from cost group by all order by 1"
    ranged = ask(site, query)[1]
    assert [(str(day), source) for day, source, _ in ranged] == [("2024-05-30", "payer"), ("2024-06-01", "bills")]
    assert any("bills_are_whole: once" in warning for warning in outcome.warnings)
    for day in DAYS:
        assert run_days(site, DayRange(day, day), lambda step: None).success
    assert ask(site, query)[1] == ranged


def payer_first(folder: Path) -> Path:
    """A site whose first source of bills has another account's bill of the first day only.

    The second one has, on the first of June, a correction of May: outside of the days that decide about May.
    """
    first = '  - {name: payer, kind: focus_files, path: "payer/*.csv"}\n  - {name: bills,'
    path = write_site(folder, text=SITE.replace("  - {name: bills,", first))
    (folder / "payer").mkdir()
    text = (folder / f"bills/{DAYS.first}.csv").read_text()
    (folder / "payer/other.csv").write_text(text.replace(",1,EUR", ",9,EUR"))
    june = (folder / f"bills/{DAYS.last}.csv").read_text()
    (folder / "bills/correction.csv").write_text(
        june.replace("2024-06-01 00:00", "2024-05-01 00:00").replace("2.5", "3")
    )
    return path


def deliver_to_payer(folder: Path) -> None:
    """The first source gets the bill of May that the second one has, for its last day alone."""
    shutil.copy(folder / f"bills/{MAY_31}.csv", folder / "payer")


MAY_31 = DAYS.first + timedelta(days=1)
ONE_DAY = DayRange(MAY_31, MAY_31)


def test_a_day_that_changes_who_has_a_bill_has_the_other_days_of_its_period_made_again(tmp_path: Path) -> None:
    path = payer_first(tmp_path / "late")
    site, outcome = run(path)
    assert (outcome.success, outcome.also) == (True, {})
    query = "select day, source, billing_account_id, billing_period from cost group by all order by all"

    def counting() -> list[tuple[str, ...]]:
        return [tuple(map(str, row)) for row in ask(site, query)[1]]

    may, june = "2024-05-01", "2024-06-01"
    before = [
        ("2024-05-30", "bills", "1", may), ("2024-05-30", "payer", "9", may), ("2024-05-31", "bills", "1", may),
        ("2024-06-01", "bills", "1", may), ("2024-06-01", "bills", "1", june),
    ]  # fmt: skip
    assert counting() == before
    assert run(path, ONE_DAY)[1].also == {}, "nothing is new"

    deliver_to_payer(tmp_path / "late")
    _, outcome = run(path, ONE_DAY)
    assert outcome.success, outcome.failures
    assert outcome.also == {"unified/cost": {DAYS.first, DAYS.last}}
    assert counting() == [
        ("2024-05-30", "payer", "9", may), ("2024-05-31", "payer", "1", may), ("2024-06-01", "bills", "1", june),
    ]  # fmt: skip
    found = contents(site)

    fresh = payer_first(tmp_path / "fresh")
    deliver_to_payer(tmp_path / "fresh")
    whole = contents(run(fresh)[0])
    assert {name: found[name] for name in SHARED} == {name: whole[name] for name in SHARED}, "as if run at once"
    assert run(path, ONE_DAY)[1].also == {}, "once"

    (tmp_path / f"late/payer/{MAY_31}.csv").unlink()
    back = CliRunner().invoke(main, ["run", "--site", str(path), "--from", str(MAY_31)])
    assert back.exit_code == 3, back.output  # the other source says nothing of its days any more
    assert (
        "unified/cost: made again as well, because what is new changes them too: 2024-05-30, 2024-06-01" in back.output
    )
    assert counting() == before


SHARED = ("cost", "kpis_daily", "kpis_monthly")


def test_days_that_were_never_made_are_left_to_a_run_of_their_own(tmp_path: Path) -> None:
    path = payer_first(tmp_path)
    run(path, ONE_DAY)
    deliver_to_payer(tmp_path)
    site, outcome = run(path, ONE_DAY)
    assert (outcome.success, outcome.also) == (True, {})
    assert ask(site, "select distinct day, source from cost")[1] == [(MAY_31, "payer")]


@pytest.mark.parametrize("assets", [["unified/cost"], ["raw/payer", "unified/cost", "kpi/daily"]])
def test_what_was_made_again_runs_up_the_road_by_itself(tmp_path: Path, assets: list[str]) -> None:
    """Also where the run that made it again includes what is above, but not for these days."""
    path = payer_first(tmp_path)
    site, _ = run(path)
    deliver_to_payer(tmp_path)
    defs, kpis = build_defs(site), dg.AssetKey(["kpi", "daily"])
    at = datetime(2024, 6, 2, 20, tzinfo=UTC)
    with instance(site) as dagster:
        first = dg.evaluate_automation_conditions(defs, dagster, evaluation_time=at)
        assert first.total_requested == 0

        def make(*names: str) -> None:
            defs.resolve_job_def("daily").execute_in_process(
                instance=dagster,
                tags=range_tags(ONE_DAY),
                asset_selection=[dg.AssetKey(name.split("/")) for name in names],
            )

        if "raw/payer" not in assets:
            make("raw/payer")
        make(*assets)
        (again,) = dagster.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey(["unified", "cost"]), asset_partitions=["2024-05-30"]), limit=1
        ).records
        assert again.run_id == "", "no run may pass for having made what is above as well"
        then = dg.evaluate_automation_conditions(
            defs, dagster, evaluation_time=at + timedelta(minutes=1), cursor=first.cursor
        )
        requested = then.get_requested_partitions(kpis)
        assert requested == {"2024-05-30", "2024-06-01"} | ({"2024-05-31"} if "kpi/daily" not in assets else set())


TWO_NAMES = """
organisation: {name: Two names, currency: EUR}
start: 2024-05-30
sources:
  - {name: ipmi, kind: power_files, path: "ipmi/*.csv", node: node, max_gap_s: 900,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: dcgm, kind: power_files, path: "dcgm/*.csv", node: node, device: device, device_kind: gpu, max_gap_s: 900,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
"""


OTHER_LOG = """  - {name: log, kind: power_files, path: "log/*.csv", max_gap_s: 900,
     node: node, device: device, device_kind: gpu,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: grid,"""


def two_names(folder: Path, more: str = "") -> Path:
    """A node of 10 kW that its meter knows by address, and its GPUs of 6 kW that know it by name."""
    path = write_site(folder, text=TWO_NAMES + more)
    times = [f"2024-05-30T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(0, 24 * 60, 15)]
    write_csv(folder / "ipmi/a.csv", ["time", "node", "power_w"], ((at, "10.0.0.7:9290", 10_000) for at in times))
    write_csv(
        folder / "dcgm/a.csv",
        ["time", "node", "device", "power_w"],
        ((at, "GPU-A.cluster.local", "GPU-0", 6_000) for at in times),
    )
    return path


def test_a_gpu_that_another_source_places_in_a_metered_host_is_said(tmp_path: Path) -> None:
    """It counts on gpu-a, so that it is not taken off the meter of 10.0.0.7, which holds it if the other is right."""
    path = two_names(tmp_path, "nodes:\n  - {name: gpu-a, metered: false}\n")
    path.write_text(path.read_text().replace("  - {name: grid,", OTHER_LOG, 1))
    uuid = "GPU-5fd4f2f9-2a4b-4f57-8b1c-6f1f1d2b3c4d"
    text = (tmp_path / "dcgm/a.csv").read_text().replace("GPU-0", uuid)
    (tmp_path / "dcgm/a.csv").write_text(text)
    (tmp_path / "log").mkdir()
    (tmp_path / "log/a.csv").write_text(text.replace("GPU-A.cluster.local", "10.0.0.7"))
    before = [f for chapter in examine(load_site(path)) for f in chapter.findings if uuid.upper() in f.what]
    assert [finding.ok for finding in before] == [False]
    assert "is in gpu-a, and in 10.0.0.7 as well, which has a meter" in before[0].what
    line = before[0].remedy.splitlines()[1]
    assert line.startswith('- {name: "gpu-a", also: ["10.0.0.7"], region: "r1"}   # if they are one host')
    _, outcome = run(path, DAY)
    (warning,) = [text for text in outcome.warnings if "gpus_have_one_host" in text]
    assert f"node_id 10.0.0.7, uuid {uuid.upper()}, counted_on gpu-a" in warning
    assert "mend the source that says otherwise" in warning

    path.write_text(path.read_text().replace("  - {name: gpu-a, metered: false}", f"  {line}"))
    assert {f.what for chapter in examine(load_site(path)) if chapter.name == "hosts" for f in chapter.findings} == {
        "1 host"
    }


@pytest.mark.parametrize(("last", "told"), [("2024-05-30", True), ("2024-05-28", True), ("2024-05-27", False)])
def test_a_gpu_seen_elsewhere_longer_ago_has_moved(tmp_path: Path, last: str, told: bool) -> None:
    """What is said now of where a GPU is speaks against what another source says now, not against what it once said."""
    gpu = "GPU-5FD4F2F9-2A4B-4F57-8B1C-6F1F1D2B3C4D"
    site = load_site(two_names(tmp_path))
    day = datetime(2024, 5, 30, tzinfo=UTC).date()
    seen = {
        "ipmi": [SeenNode("b", "node", last=day), SeenNode("b", "gpu", last=day, gpus=(gpu,))],
        "dcgm": [SeenNode("a", "gpu", last=datetime.fromisoformat(last).date(), gpus=(gpu,))],
    }
    con = ibis.duckdb.connect()
    findings = list(hosts(con, site, placed(site, seen, day)))
    assert [gpu in finding.what for finding in findings] == [told]


def test_one_host_under_two_names_is_said_and_counts_once_when_the_site_file_joins_them(tmp_path: Path) -> None:
    site, outcome = run(two_names(tmp_path), DAY)
    assert one(site, "select sum(energy_kwh) from energy where hour = '2024-05-30 05:00'") == 16
    (warning,) = [text for text in outcome.warnings if "meters_cover_devices" in text]
    assert "meters_cover_devices: once" in warning
    assert "devices_without_meter gpu-a, meters_without_devices 10.0.0.7" in warning
    assert "counts twice" in warning

    site, outcome = run(two_names(tmp_path, 'nodes:\n  - {name: gpu-a, also: ["10.0.0.7"]}\n'), DAY)
    assert outcome.success, outcome.failures
    assert outcome.warnings == []
    found = ask(
        site,
        "select node_id, device_kind, energy_kwh, uncertainty_pct from energy "
        "where hour = '2024-05-30 05:00' order by device_kind",
    )[1]
    assert found == [("gpu-a", "gpu", 6, 5), ("gpu-a", "rest_of_node", 4, Decimal("7.906"))]


@pytest.mark.parametrize(
    ("provider", "meter", "devices", "rule", "spelled"),
    [
        ("onprem", "DUB1", " dub1", "dub1", "DUB1"),
        ("azure", "West Europe", "westeurope", "WestEurope", "West Europe"),
        ("aws", "eu-west-1", "eu-west-1a", "eu-west-1b", "eu-west-1"),
        ("AWS", "eu-west-1a", "EU-West-1", "eu-west-1", "EU-West-1"),
    ],
)
def test_one_region_in_two_spellings_is_one_place(
    tmp_path: Path, provider: str, meter: str, devices: str, rule: str, spelled: str
) -> None:
    path = two_names(tmp_path, f'nodes:\n  - {{match: "(GPU-A)|10[.]0[.]0[.]7", name: gpu-a, region: "{rule}"}}\n')
    text = path.read_text().replace("provider: onprem", f"provider: {provider}").replace("zone: DE", "zone: de")
    path.write_text(text.replace("region: r1", f'region: "{meter}"', 1).replace("region: r1", f'region: "{devices}"'))
    site, outcome = run(path, DAY)
    assert outcome.success, outcome.failures
    assert outcome.warnings == []
    hour = "where hour = '2024-05-30 05:00'"
    kinds = f"select region, device_kind, energy_kwh, zone from energy {hour} order by device_kind"
    assert ask(site, kinds)[1] == [(spelled, "gpu", 6, "DE"), (spelled, "rest_of_node", 4, "DE")]
    assert one(site, f"select count(*) from emissions {hour} and location_g is null") == 0


MOVED_LOG = """
organisation: {name: Moved log, currency: EUR}
start: 2024-05-30
sources:
  - {name: old-log, kind: power_files, path: "old/*.csv", node: node,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: new-log, kind: power_files, path: "new/*.csv", node: node,
     place: {provider: onprem, region: r1, zone: DE, pue: 1.25}}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
"""


def test_an_hour_of_which_two_sources_know_a_half_each_is_said_and_whole_in_one_source(tmp_path: Path) -> None:
    """A log that went on in another folder at 10:30; a machine of 1 kW."""
    path = write_site(tmp_path, text=MOVED_LOG)
    for folder, first, last in (("old", 0, 630), ("new", 630, 1440)):
        times = (f"2024-05-30T{minute // 60:02}:{minute % 60:02}:00Z" for minute in range(first, last, 5))
        write_csv(tmp_path / folder / "n1.csv", ["time", "node", "power_w"], ((at, "n1", 1000) for at in times))
    site, outcome = run(path, DAY)
    at_ten = "select sum(energy_kwh) from energy where hour = '2024-05-30 10:00'"
    assert Decimal("0.3") < one(site, at_ten) < Decimal("0.6")
    (warning,) = outcome.warnings
    assert warning.startswith(
        "unified/energy: hours_have_one_source: once, for example day 2024-05-30, node_id n1, device_id n1, "
        "device_kind node, hours_utc 10:00, counted old_log, left_out new_log, left_out_kwh 0.5. "
    )
    assert "name what both read in one block" in warning

    lines = path.read_text().replace('path: "old/*.csv"', 'path: "[on]*/n1.csv"').splitlines()
    path.write_text("\n".join(line for n, line in enumerate(lines) if n not in (6, 7)))
    site, outcome = run(path, DAY)
    assert (one(site, at_ten), outcome.warnings) == (1, [])


CLOUD = """
organisation: {name: Cloud only, currency: EUR}
start: 2024-05-30
sources:
  - {name: meters, kind: power_files, path: "meters/*.csv", node: node, run: run, max_gap_s: 900,
     place: {provider: aws, account_id: "1", region: eu-central-1}}
  - {name: grid, kind: intensity_files, path: "grid/*.csv"}
"""


def test_a_company_with_a_cloud_alone_has_no_scope_2_and_its_region_gives_zone_and_pue(tmp_path: Path) -> None:
    site, outcome = run(write_site(tmp_path, text=CLOUD), DAY)
    assert outcome.success, outcome.failures
    assert ask(site, "select distinct ghg_scope, zone, pue from emissions")[1] == [("scope3.1", "DE", Decimal("1.350"))]
    grams = "select kpi, numerator > 0 from kpis_monthly where unit = 'gCO2e' and grain = 'total' order by 1"
    assert ask(site, grams)[1] == [("scope31_g", True)]
