"""The doctor's trial day: what it says before a run is what the run says after, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from energy_assets.doctor import examine
from energy_assets.periods import DayRange
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets.sources.base import Finding
from energy_assets.unified import assets
from energy_assets_tests.small_site import DAYS, GRID_HEADER, write_csv, write_site


def found(path: Path) -> dict[str, list[Finding]]:
    return {chapter.name: chapter.findings for chapter in examine(load_site(path))}


def ill(findings: list[Finding]) -> list[str]:
    return [finding.what for finding in findings if not finding.ok]


def test_a_day_of_each_source_is_tried_and_nothing_is_kept(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    chapters = found(path)
    tried = {name: [f.what for f in some if f.what.startswith("trial of")] for name, some in chapters.items()}
    assert tried["meters"] == ["trial of 2024-06-01: 48 rows, as run would publish them"]
    assert tried["bills"] == ["trial of 2024-05-31 to 2024-06-01: 4 rows, as run would publish them"]
    assert tried["grid"] == ["trial of 2024-06-01: 24 rows, as run would publish them"]
    assert not any(ill(some) for some in chapters.values())
    assert list((tmp_path / "var").rglob("*.*")) == []


def test_what_run_rejects_the_doctor_finds_in_the_same_words(tmp_path: Path) -> None:
    """A line in the middle of an older bill, of which `check` reads the newest file's header alone."""
    path = write_site(tmp_path)
    bill = tmp_path / "bills/2024-05-31.csv"
    bill.write_text(bill.read_text().replace("2.5", "two and a half"))
    (said,) = ill(found(path)["bills"])
    failures = run_days(load_site(path), DAYS, lambda step: None).failures
    assert "two and a half" in said
    assert said in failures["raw/bills"]


def test_rows_that_break_the_contract_are_found(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    bill = tmp_path / "bills/2024-06-01.csv"
    bill.write_text(bill.read_text().replace("EUR", "euro"))
    said = ill(found(path)["bills"])
    failures = run_days(load_site(path), DAYS, lambda step: None).failures
    assert said, "billing_currency"
    assert all(text.split(" (")[0] in failures["raw/bills"] for text in said)


def test_notes_are_told_in_the_words_of_a_run(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    meters = tmp_path / "meters/2024-06-01.csv"
    meters.write_text(meters.read_text() + "2024-06-01T05:00:00Z,,,100\n2024-06-01T05:07:00Z,n1,,-5\n")
    findings = found(path)["meters"]
    assert ill(findings) == ["1 reading names no node or device and was left out"]
    assert "1 negative reading was left out" in [finding.what for finding in findings if finding.ok]


def test_a_zone_that_no_source_serves_is_found_before_the_run(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    path.write_text(path.read_text().replace("zone: DE", "zone: GERMANY"))
    (finding,) = found(path)["intensities"]
    assert not finding.ok
    assert finding.what.startswith("zone GERMANY: no source of grid intensity has it")
    assert "grid has DE" in finding.what
    path.write_text(path.read_text().replace("zone: GERMANY", "zone: DE"))
    assert "intensities" not in found(path)


def test_intensities_are_tried_for_the_days_on_which_there_is_energy(tmp_path: Path) -> None:
    """The intensities go on for a day more, in another zone: of the day with energy DE is not missing."""
    path = write_site(tmp_path)
    later = [("2024-06-09 00:00:00", "France", "France", "FR", 9, 9, 50, 40, "x", "False", "")]
    write_csv(tmp_path / "grid/FR.csv", GRID_HEADER, later)
    chapters = found(path)
    assert all(finding.ok for finding in chapters.get("intensities", []))
    assert any(f.what.startswith("trial of 2024-06-01: ") for f in chapters["grid"])


def test_sources_are_looked_at_together_as_a_run_does(tmp_path: Path) -> None:
    """One log under two names in two sources, and rules that match nothing of either."""
    path = tmp_path / "site.yaml"
    log = "".join(f"2024-06-01T{m // 60:02}:{m % 60:02}:00Z,{300 + m * 37 % 11}\n" for m in range(1440))
    (tmp_path / "a.csv").write_text("time,power_w\n" + log)
    (tmp_path / "b.csv").write_text("time,power_w\n" + log + "2024-06-02T00:00:00Z,300\n")
    block = (
        "{{name: {0}, kind: power_files, path: {0}.csv, node: {{constant: box-{0}}}, place: {{region: r1, zone: DE}}}}"
    )
    path.write_text(
        "organisation: {name: x, currency: EUR}\nstart: 2024-06-01\nstorage: {root: ./var}\n"
        "attribution: {rules: [{match: {node: 'zz*'}, project: ghost}]}\n"
        f"sources:\n  - {block.format('a')}\n  - {block.format('b')}\n"
    )
    twice, *nobody = ill(found(path)["energy"])
    assert twice.startswith("readings_count_once: once, for example day 2024-06-01")
    assert [text.split(":")[0] for text in nobody] == ["unified/energy from a", "unified/energy from b"]
    warnings = run_days(load_site(path), DayRange(DAYS.last, DAYS.last), lambda step: None).warnings
    assert [one for one in warnings if twice in one], f"in the words of a run: {warnings}"
    (tmp_path / "b.csv").unlink()
    path.write_text(path.read_text().replace(f"  - {block.format('b')}\n", "").replace("zz*", "*"))
    assert "energy" not in found(path)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda rows: rows.mutate(energy_kwh=rows.energy_kwh * -1), "energy_kwh"),
        (lambda rows: rows.filter(rows.node_id != "n1"), "conservation"),
        (lambda rows: rows.drop("coverage"), "coverage"),
    ],
)
def test_energy_that_a_run_would_not_publish_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Callable[[Any], Any], said: str
) -> None:
    """Rows or columns that the contract does not take, and energy that is lost on the way."""
    whole = assets.energy_of
    monkeypatch.setattr(assets, "energy_of", lambda *args: made(whole(*args)))
    assert any(said in text for text in ill(found(write_site(tmp_path))["energy"]))


def test_files_of_days_before_the_start_are_said(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    path.write_text(path.read_text().replace("start: 2024-05-30", "start: 2024-06-05"))
    chapters = found(path)
    for name in ("meters", "bills"):
        (said,) = ill(chapters[name])
        assert said.startswith("holds no day from 2024-06-05 (the site's start) to "), name


def test_a_trial_that_takes_long_is_left_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("energy_assets.trial.TRIAL_S", -1)
    findings = found(write_site(tmp_path))["meters"]
    assert all(finding.ok for finding in findings)
    assert "was left off; run reads it whole" in findings[-1].what


def test_after_a_run_known_files_are_not_looked_into_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_site(tmp_path)
    monkeypatch.setattr("energy_assets.sources.files.SETTLED_S", 0)
    assert run_days(load_site(path), DAYS, lambda step: None).success
    before = sorted((tmp_path / "var/landing").rglob("*"))

    def never(*_: object) -> None:
        raise AssertionError("looked into again")

    monkeypatch.setattr("energy_assets.sources.power_files.source.PowerFiles._days_held", never)
    assert ill(found(path)["meters"]) == []
    assert sorted((tmp_path / "var/landing").rglob("*")) == before
