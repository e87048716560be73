"""Places beside grid intensities: zones that no source has, and days that none reaches."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from energy_assets.doctor import examine
from energy_assets.grid_coverage import grid, rivals
from energy_assets.site import load_site
from energy_assets.sources.base import Finding, SeenNode, SeenZone
from energy_assets_tests.small_site import SITE, write_site

FIRST, LAST = date(2024, 5, 30), date(2024, 6, 1)


def said(tmp_path: Path, zone: str = "DE", known: tuple[date, date] = (FIRST, LAST), text: str = SITE) -> list[Finding]:
    """Of the small company with its machines in a zone, and intensities of DE, AU-NSW and FR of some days."""
    path = tmp_path / "site.yaml"
    path.write_text(text.replace("zone: DE", f"zone: {zone}"))
    nodes = {"meters": [SeenNode("n1", "node", first=FIRST, last=LAST)]}
    seen = {"grid": [SeenZone(one, *known) for one in ("DE", "AU-NSW", "FR")]}
    return list(grid(load_site(path), (zone.upper(),), nodes, seen))


@pytest.mark.parametrize("zone", ["DE", "de", "FR"])
def test_a_zone_that_a_source_has_is_nothing_to_say(tmp_path: Path, zone: str) -> None:
    assert said(tmp_path, zone) == []


@pytest.mark.parametrize(
    ("zone", "near"),
    [("AUS-NSW", "Did you mean AU-NSW? "), ("GERMANY", ""), ("DE-LU", ""), ("FRA", "Did you mean FR? ")],
)
def test_a_zone_that_none_has_is_told_with_those_there_are(tmp_path: Path, zone: str, near: str) -> None:
    (finding,) = said(tmp_path, zone)
    assert not finding.ok
    assert f"zone {zone}: no source of grid intensity has it" in finding.what
    assert "grid has AU-NSW, DE, FR" in finding.what
    if near:
        assert finding.remedy.startswith(near)


@pytest.mark.parametrize(
    ("known", "ok"),
    [
        ((FIRST, LAST), None),
        ((date(2024, 1, 1), date(2024, 12, 31)), None),
        ((date(2024, 5, 31), LAST), True),
        ((FIRST, date(2024, 5, 31)), True),
        ((date(2023, 1, 1), date(2024, 5, 29)), False),
        ((date(2024, 6, 2), date(2024, 6, 3)), False),
    ],
)
def test_days_outside_what_is_known_are_told(tmp_path: Path, known: tuple[date, date], ok: bool | None) -> None:
    found = said(tmp_path, known=known)
    assert [finding.ok for finding in found] == ([] if ok is None else [ok])
    if found:
        assert "2024-05-30 to 2024-06-01" in found[0].what
        assert f"{known[0]} to {known[1]}" in found[0].what


def test_a_source_that_is_asked_for_any_zone_is_believed(tmp_path: Path) -> None:
    asked = "  - {name: api, kind: electricity_maps, token: env:TOKEN}\nattribution:"
    assert said(tmp_path, "AUS-NSW", text=SITE.replace("attribution:", asked)) == []


def test_a_site_without_any_intensity_is_told_of_the_simplest_one(tmp_path: Path) -> None:
    grid_line = '  - {name: grid, kind: intensity_files, path: "grid/*.csv"}\n'
    (finding,) = said(tmp_path, text=SITE.replace(grid_line, ""))
    assert (finding.ok, "grid_factors" in finding.what) == (True, True)
    assert "publishers: [google_cloud] has one of DE)" in finding.what


def test_only_zones_that_a_publishers_table_has_are_told_of(tmp_path: Path) -> None:
    grid_line = '  - {name: grid, kind: intensity_files, path: "grid/*.csv"}\n'
    site = load_site(write_site(tmp_path, text=SITE.replace(grid_line, "")))
    (some,) = grid(site, ["DE", "IS"], {}, {})
    assert "has one of DE)" in some.what
    (none,) = grid(site, ["IS"], {}, {})
    assert "publishers" not in none.what


def test_doctor_asks_the_files(tmp_path: Path) -> None:
    path = write_site(tmp_path, text=SITE.replace("zone: DE", "zone: AT"))
    chapters = {chapter.name: chapter.findings for chapter in examine(load_site(path))}
    (finding,) = chapters["intensities"]
    assert "zone AT: no source of grid intensity has it" in finding.what
    assert "grid has DE" in finding.what


@pytest.mark.parametrize(
    ("zone", "hint"), [("GERMANY", " (did you mean Germany (DE)?)"), ("ROOFTOP", ""), ("DE-OWN", None)]
)
def test_a_zone_that_has_a_factor_and_no_country_is_told_and_no_fault(
    tmp_path: Path, zone: str, hint: str | None
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("zone: DE", f"zone: {zone}"))
    nodes = {"meters": [SeenNode("n1", "node", first=FIRST, last=LAST)]}
    found = list(grid(load_site(path), (zone,), nodes, {"grid": [SeenZone(zone, FIRST, LAST)]}))
    said = f"zone {zone}: begins with no country's code, as zones of Electricity Maps do: DE, US-CAL-CISO{hint}"
    assert found == ([] if hint is None else [Finding(True, f"{said}; no publisher's table will have it")])


@pytest.mark.parametrize(("other", "ok"), [("36.3", None), ("40", True), ("363", False)])
def test_two_sources_that_state_different_factors_of_a_year_are_told(
    tmp_path: Path, other: str, ok: bool | None
) -> None:
    stated = "".join(
        f"  - {{name: {name}, kind: grid_factors, factors: [{{zone: DE, year: 2024, "
        f"direct_gco2e_per_kwh: {grams}, source: x}}]}}\n"
        for name, grams in (("f1", "36.3"), ("f2", other))
    )
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("attribution:", f"{stated}attribution:"))
    found = list(rivals(load_site(path), ("DE",)))
    assert [finding.ok for finding in found] == ([] if ok is None else [ok])
    assert all(f"DE 2024: f1 (36.3 g/kWh direct) counts, f2 says {other}" in finding.what for finding in found)
    assert list(rivals(load_site(path), ("FR",))) == []
