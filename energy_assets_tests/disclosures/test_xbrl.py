"""The tagged facts, judged by an independent processor (Arelle, offline)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from energy_assets.disclosures import xbrl
from energy_assets.disclosures.building import build
from energy_assets.disclosures.document import Document
from energy_assets.disclosures.inputs import Organisation
from energy_assets.disclosures.places import reports_folder
from energy_assets.disclosures.profile import read_profile
from energy_assets_tests.disclosures import company
from energy_assets_tests.disclosures.company import Company

ARELLE = Path(sys.executable).with_name("arelleCmdLine")
arelle = pytest.mark.skipif(not ARELLE.exists(), reason="arelle-release is not installed")


def judge(report: Path) -> subprocess.CompletedProcess[str]:
    command = [ARELLE, "-f", report, "--validate", "--calc", "c11r", "--internetConnectivity", "offline"]
    return subprocess.run([*command, "--validationExitCode"], capture_output=True, text=True, check=False)


@arelle
def test_a_report_is_valid_inline_xbrl_whose_totals_foot(rendered: Path) -> None:
    result = judge(rendered / "report.xhtml")
    assert result.returncode == 0, result.stdout
    assert "Warning" not in result.stdout


@arelle
def test_a_total_that_does_not_foot_is_found(rendered: Path, tmp_path: Path) -> None:
    for path in rendered.glob("energy-assets*"):
        shutil.copy(path, tmp_path)
    text = (rendered / "report.xhtml").read_text("utf-8")
    wrong, changed = re.subn(r'(<ix:nonFraction name="ea:ElectricityFacility"[^>]*>)[\d,.]+<', r"\g<1>9,999.9<", text)
    assert changed > 1
    (tmp_path / "report.xhtml").write_text(wrong, encoding="utf-8")
    assert judge(tmp_path / "report.xhtml").returncode != 0


def test_energy_is_tagged_in_megawatt_hours_and_emissions_in_tonnes(document: Document) -> None:
    facts = {fact["name"]: fact for fact in xbrl.facts(document).values()}
    assert facts["ea:ElectricityFacility"] == {
        "name": "ea:ElectricityFacility", "unit": "MWh", "scale": "-3", "decimals": "4",
    }  # fmt: skip
    assert facts["ea:Scope2EmissionsLocationBased"] == {
        "name": "ea:Scope2EmissionsLocationBased", "unit": "t", "scale": "-3", "decimals": "4",
    }  # fmt: skip


def test_every_concept_is_in_the_taxonomy_and_every_concept_there_is_used() -> None:
    taxonomy = read_profile("ml_sustainability").taxonomy
    assert taxonomy is not None
    schema = ElementTree.parse(reports_folder() / "taxonomy" / taxonomy.schema)  # noqa: S314
    names = {element.get("name") for element in schema.iter("{http://www.w3.org/2001/XMLSchema}element")}
    assert names == taxonomy.names


def test_totals_whose_parts_are_not_known_are_not_tagged_as_totals() -> None:
    tags = {fact["name"] for fact in xbrl.facts(build(company.inputs(Company(pue=False)))).values()}
    assert "ea:ElectricityITEquipment" in tags
    assert "ea:ElectricityFacility" not in tags


def test_the_entity_is_its_lei_or_its_name_in_a_scheme_of_our_own() -> None:
    known = Organisation("Example AI", "EUR", lei="529900T8BM49AURSDO55")
    assert xbrl.entity(build(company.inputs(organisation=known)).organisation) == (
        "http://standards.iso.org/iso/17442",
        "529900T8BM49AURSDO55",
    )
    assert xbrl.entity(build(company.inputs()).organisation) == ("urn:energy-assets:organisation-name", "Example AI")
