"""A profile is a file: another one needs no Python beyond sections of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pikepdf
import pytest

from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Section, number, paragraph
from energy_assets.disclosures.places import reports_folder
from energy_assets.disclosures.profile import ProfileError, profiles, read_profile
from energy_assets.disclosures.render import render
from energy_assets.disclosures.sections.registry import SECTIONS
from energy_assets_tests.disclosures import company

ARELLE = Path(sys.executable).with_name("arelleCmdLine")
TINY = """\
profile: tiny
title: Electricity of AI
subtitle: One number and where it comes from.
grains: [year]
sections: [summary, figures]
headline: [energy_kwh]
taxonomy:
  namespace: urn:energy-assets:taxonomy:2026
  schema: energy-assets.xsd
  files: [energy-assets.xsd, energy-assets-cal.xml, energy-assets-lab.xml]
  concepts: {energy_kwh: ElectricityITEquipment}
"""


@pytest.fixture
def frameworks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An organisation's own copy of reports/, where profiles can be added."""
    own = tmp_path / "reports"
    shutil.copytree(reports_folder(), own)
    monkeypatch.setenv("ENERGY_ASSETS_REPORTS", str(own))
    return own / "frameworks"


def test_a_second_profile_of_existing_sections_needs_no_python(frameworks: Path, tmp_path: Path) -> None:
    (frameworks / "tiny.yaml").write_text(TINY)
    assert [profile.name for profile in profiles()] == ["ml_sustainability", "tiny"]
    document = build(company.inputs(profile=read_profile("tiny")))
    assert [section.title for section in document.sections] == ["Executive summary", "Figures and evidence"]
    folder = tmp_path / "report"
    names = {path.name for path in render(document, folder)}
    assert names == {
        "document.json", "facts.csv", "figures.json", "report.xhtml", "report.pdf",
        "energy-assets.xsd", "energy-assets-cal.xml", "energy-assets-lab.xml",
    }  # fmt: skip
    assert json.loads((folder / "figures.json").read_text())["profile"] == "tiny"
    text = (folder / "report.xhtml").read_text("utf-8")
    assert 'name="ea:ElectricityITEquipment"' in text
    assert "ea:ElectricityFacility" not in text
    with pikepdf.open(folder / "report.pdf") as opened:
        assert sorted(opened.attachments) == ["facts.csv", "figures.json", "report.xhtml"]
    if ARELLE.exists():
        command = [ARELLE, "-f", folder / "report.xhtml", "--validate", "--internetConnectivity", "offline"]
        result = subprocess.run([*command, "--validationExitCode"], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_a_profile_without_taxonomy_is_a_page_without_tags(frameworks: Path, tmp_path: Path) -> None:
    (frameworks / "tiny.yaml").write_text(TINY.partition("taxonomy:")[0])
    render(build(company.inputs(profile=read_profile("tiny"))), tmp_path / "report")
    text = (tmp_path / "report" / "report.xhtml").read_text("utf-8")
    assert "<ix:" not in text
    ElementTree.fromstring(text)  # noqa: S314
    assert not list((tmp_path / "report").glob("*.xsd"))


def test_a_section_of_its_own_is_one_function(frameworks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        SECTIONS, "ours", lambda context: Section("ours", "Ours", [paragraph(number(context.figure("requests")))])
    )
    (frameworks / "tiny.yaml").write_text(TINY.replace("[summary, figures]", "[figures, ours]"))
    document = build(company.inputs(profile=read_profile("tiny")))
    assert [section.id for section in document.sections] == ["figures", "ours"]
    listed = next(block for block in document.sections[0].blocks if block["type"] == "evidence")["figures"]
    assert {figure.id for figure in document.book} == set(listed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[summary, figures]", "[summary]"), "sections: 'figures' is missing"),
        (("[year]", "[decade]"), r"grains: \['decade'\]; allowed are month, quarter, year"),
        (("headline: [energy_kwh]\n", ""), "the key 'headline' is missing"),
        (("profile: tiny", "profile: large"), "the file's name says 'tiny'"),
        (("title: Electricity", "title: [Electricity"), "no YAML"),
    ],
)
def test_a_profile_that_cannot_be_used_names_file_key_and_remedy(
    frameworks: Path, change: tuple[str, str], said: str
) -> None:
    (frameworks / "tiny.yaml").write_text(TINY.replace(*change))
    with pytest.raises(ProfileError, match=rf"tiny\.yaml: .*{said}"):
        read_profile("tiny")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[summary, figures]", "[sumary, figures]"), "names the section 'sumary'; there are summary, energy"),
        (("[energy_kwh]", "[energy_mwh]"), "names the figure 'energy_mwh'; there are .*energy_kwh"),
    ],
)
def test_names_that_do_not_exist_are_answered_with_those_that_do(
    frameworks: Path, change: tuple[str, str], said: str
) -> None:
    (frameworks / "tiny.yaml").write_text(TINY.replace(*change, 1))
    with pytest.raises(ValueError, match=said):
        build(company.inputs(profile=read_profile("tiny")))


def test_an_absent_profile_is_named() -> None:
    with pytest.raises(ProfileError, match="there is no profile 'gri'"):
        read_profile("gri")
