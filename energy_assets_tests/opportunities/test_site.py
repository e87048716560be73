"""A site run to its opportunities, through the commands: found, accepted, done, and measured afterwards."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from energy_assets.cli import main
from energy_assets.disclosures.tracing import follow
from energy_assets.periods import DayRange, Period
from energy_assets.query import ask
from energy_assets.running import run_report
from energy_assets.site import Site
from energy_assets_tests.opportunities.gpu_site import run, write_gpu_site

MAY, JULY = DayRange(date(2024, 5, 9), date(2024, 5, 10)), DayRange(date(2024, 7, 3), date(2024, 7, 3))


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def listed(site: Site, *more: object) -> list[dict[str, str]]:
    result = call("opportunities", "--site", site.file, *more)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two days of May with 80 W for nothing, and one of July with 20 W."""
    made = write_gpu_site(tmp_path_factory.mktemp("gpus"), [(MAY, 80), (JULY, 20)])
    run(made, MAY)
    run(made, JULY)
    return made


@pytest.fixture(autouse=True)
def undecided(site: Site) -> Iterator[None]:
    yield
    (site.folder / "opportunities.yaml").unlink(missing_ok=True)


def by_rule(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {row["rule"]: row for row in rows}


def test_what_is_found_is_what_was_measured(site: Site) -> None:
    """May: each day 12 h x 80 W of one GPU and 23 h of the other (the last reading of the files ends with its day)."""
    found = by_rule(listed(site, "--month", "2024-05"))
    assert set(found) == {"idle_accelerators", "movable_hours"}
    idle = found["idle_accelerators"]
    kwh = ask(site, "select sum(energy_kwh) from emissions where workload_type = 'idle' and day < '2024-06-01'")[1][0][
        0
    ]
    assert Decimal(idle["energy_kwh"]) == kwh > 5
    assert Decimal(idle["facility_kwh"]) == kwh * Decimal("1.25")
    assert (idle["opportunity_id"], idle["row_count"]) == ("e235fc9bffda", "71"), "docs/method/opportunities.md"
    assert (Decimal(idle["facility_kwh"]), Decimal(idle["location_g"])) == (Decimal("7.75"), Decimal("1507.5"))
    assert (idle["cost"], idle["currency"]) == ("", ""), "nobody bills it: unknown"
    assert (idle["state"], idle["days"], idle["unit"]) == ("proposed", "2", "days")
    moved = found["movable_hours"]
    assert Decimal(moved["location_g"]) > 0
    assert Decimal(moved["energy_kwh"]) == 0
    assert (idle["overlaps"], moved["overlaps"]) == ("", ""), "one is of idle energy, the other of training"
    for row in found.values():
        assert len(ask(site, row["query"])[1]) == int(row["row_count"]) > 0


def test_ids_are_the_same_in_the_next_month_and_when_run_again(site: Site) -> None:
    ids = [{rule: row["opportunity_id"] for rule, row in by_rule(listed(site, "--month", month)).items()}
           for month in ("2024-05", "2024-07")]  # fmt: skip
    assert ids[0] == ids[1] != {}
    before = ask(site, "from opportunities order by all")
    run(site, MAY)
    assert ask(site, "from opportunities order by all") == before


def test_what_was_done_is_measured_afterwards(site: Site) -> None:
    id_ = by_rule(listed(site))["idle_accelerators"]["opportunity_id"]
    assert call("opportunities", "--site", site.file, "accept", id_, "--by", "Ada").exit_code == 0
    (site.folder / "opportunities.yaml").unlink()
    assert call("opportunities", "done", id_, "--site", site.file, "--on", "2024-06-15", "--note", "off").exit_code == 0
    row = by_rule(listed(site))["idle_accelerators"]
    measured = dict(ask(site, f"select month, measured_kwh from opportunities where opportunity_id = '{id_}'")[1])
    expected = measured[date(2024, 5, 1)] / 2 - measured[date(2024, 7, 1)]
    assert Decimal(row["realised_kwh"]) == pytest.approx(expected, abs=Decimal("1e-9"))
    assert expected > 1
    assert (row["state"], row["since"], row["note"], row["realised_cost"]) == ("done", "2024-06-15", "off", "")
    assert row["realised_how"] == "per day: 2024-05 (2 days with data) against 2024-07 (1 days with data)"


def test_what_no_month_after_measured_is_not_known_and_not_what_was_proposed(site: Site) -> None:
    id_ = by_rule(listed(site))["idle_accelerators"]["opportunity_id"]
    call("opportunities", "done", id_, "--site", site.file, "--on", "2024-07-15")
    row = by_rule(listed(site))["idle_accelerators"]
    assert (row["realised_kwh"], row["realised_g"]) == ("", "")
    assert row["realised_how"] == "not known: no whole month after 2024-07-15 measured it"


def test_an_unknown_id_is_answered_with_near_ones(site: Site) -> None:
    id_ = by_rule(listed(site))["idle_accelerators"]["opportunity_id"]
    result = call("opportunities", "accept", id_[:-1], "--site", site.file)
    assert result.exit_code == 2
    assert f"There is no opportunity '{id_[:-1]}'. Near ones:\n  {id_}  idle_accelerators: " in result.stderr
    assert not (site.folder / "opportunities.yaml").exists()
    other = call("opportunities", "accept", "zzz", "--site", site.file).stderr
    assert "There are:" in other


def test_a_damaged_file_of_decisions_is_named_with_its_line(site: Site) -> None:
    path: Any = site.folder / "opportunities.yaml"
    path.write_text("# mine\n- {id: a, state: maybe, on: 2024-05-01, recorded: 2024-05-01T00:00:00Z}\n")
    result = call("opportunities", "--site", site.file)
    assert result.exit_code == 2
    assert f"{path}:2: 'maybe' is no decision; allowed are accepted, done, dismissed" in result.stderr


def test_the_report_prints_them_and_its_figures_are_made_again(site: Site) -> None:
    """The largest of July, and what was done in June, measured; every step of both is equal when traced."""
    ids = {rule: row["opportunity_id"] for rule, row in by_rule(listed(site)).items()}
    call("opportunities", "done", ids["idle_accelerators"], "--site", site.file, "--on", "2024-06-15")
    call("opportunities", "accept", ids["movable_hours"], "--site", site.file, "--on", "2024-06-20")
    idle = by_rule(listed(site))["idle_accelerators"]
    outcome = run_report(site, Period.parse("2024-07"), lambda step: None)
    assert outcome.success, outcome.failures
    folder = site.folder / "var/reports/ml_sustainability/2024-07"
    every = json.loads((folder / "figures.json").read_text())["figures"]
    figures = [one for one in every if "opportunity_id" in one["dimensions"]]
    mine = {"opportunity_id": ids["idle_accelerators"]}
    by_metric = {one["metric"]: one for one in figures if one["dimensions"] == mine}
    assert Decimal(by_metric["opportunity_facility_kwh"]["value"]) == Decimal(idle["facility_kwh"])
    for metric, column in (("realised_measured_kwh", "realised_kwh"), ("realised_measured_g", "realised_g")):
        printed = Decimal(by_metric[metric]["value"])
        assert printed == pytest.approx(Decimal(idle[column]), abs=Decimal("1e-9"))
    assert by_metric["opportunity_cost"]["value"] is None, "unknown, and not zero"
    text = (folder / "report.xhtml").read_text()
    assert "done, 2024-06-15" in text
    assert "accepted, 2024-06-20" in text
    assert "July 2024 against May 2024, per day" in " ".join(text.split())
    for one in figures:
        node = follow(site, folder, one["id"]).node
        assert node.verdict in ("equal", ""), one["label"]
        assert bool(node.verdict) is (one["value"] is not None), one["label"]
    traced = follow(site, folder, by_metric["opportunity_facility_kwh"]["id"]).node
    queries = {dict(step.facts).get("query") for step in traced.walk()}
    assert idle["query"] in queries, "the trace leads to the rows it stands on"
    (site.folder / "opportunities.yaml").write_text("- {id: a}\n")
    broken = run_report(site, Period.parse("2024-07"), lambda step: None)
    assert "opportunities.yaml:1: `state` is missing" in broken.failures["disclosure/ml_sustainability"]


def test_a_day_to_come_is_refused(site: Site) -> None:
    id_ = by_rule(listed(site))["idle_accelerators"]["opportunity_id"]
    result = call("opportunities", "done", id_, "--site", site.file, "--on", "2999-01-01")
    assert (result.exit_code, "is still to come" in result.stderr) == (2, True)


def test_before_the_first_run_it_says_which_days_to_run(tmp_path: Path) -> None:
    made = write_gpu_site(tmp_path, [(MAY, 80)])
    result = call("opportunities", "--site", made.file)
    assert (result.exit_code, "run some days first" in result.stderr) == (2, True)
