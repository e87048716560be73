"""Bills after public bug reports, end to end: the right figure, or a refusal that names the cause and what mends it."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days
from energy_assets.site import Site, load_site

pytestmark = pytest.mark.realdata

DAY = DayRange(date(2025, 10, 20), date(2025, 10, 20))


@pytest.fixture
def field(real_data: Path) -> Path:
    """The folder of field cases."""
    folder = real_data / "field" / "files"
    if not folder.exists():
        pytest.skip(f"field cases not found at {folder}; they are not part of this repository")
    return folder


def copied(field: Path, case: str, folder: Path) -> Path:
    shutil.copytree(field / case, folder / case)
    return folder / case


def run(folder: Path) -> tuple[Site, Outcome]:
    site = load_site(folder / "site.yaml")
    return site, run_days(site, DAY, lambda step: None)


def billed(site: Site) -> Decimal:
    ((total, currencies),) = ask(site, "select sum(billed_cost), count(distinct billing_currency) from cost")[1]
    assert currencies == 1
    return total


def refused(field: Path, case: str, folder: Path) -> tuple[Path, str]:
    """Run a case that must not give a figure; returns its folder and what was said."""
    here = copied(field, case, folder)
    site, outcome = run(here)
    assert not outcome.success
    with pytest.raises(Exception, match="cost"):
        ask(site, "select sum(billed_cost) from cost")
    return here, " ".join(outcome.failures.values())


@pytest.mark.parametrize(
    ("case", "right"),
    [
        ("c2", "19"),  # a second byte order mark before the first line
        ("c3", "754"),  # two assemblies of AWS's older report
        ("c5", "1235.31"),  # semicolons and decimal commas
        ("c6", "8"),
    ],
)
def test_what_can_be_read_gives_the_right_figure(field: Path, tmp_path: Path, case: str, right: str) -> None:
    site, outcome = run(copied(field, case, tmp_path))
    assert outcome.success, outcome.failures
    assert billed(site) == Decimal(right)


def test_tags_as_a_list_of_keys_and_values_are_labels(field: Path, tmp_path: Path) -> None:
    site, _ = run(copied(field, "c6", tmp_path))
    assert {str(dict(labels)) for (labels,) in ask(site, "select labels from raw_bills")[1]} == {"{'team': 'ml'}"}


def test_a_scheduled_export_beside_a_portal_download(field: Path, tmp_path: Path) -> None:
    """10 decimals beside 4: refused, and the remedy gives the right figure."""
    here, said = refused(field, "c4", tmp_path)
    assert "bills/portal_download.csv and bills/scheduled_export.csv hold the same charges: 24 of 24 lines" in said
    assert (
        "All of bills/portal_download.csv is in the other, whose amounts are more precise: move it out of `path`"
        in said
    )
    (here / "bills/portal_download.csv").rename(here / "portal_download.csv")
    assert round(billed(run(here)[0]), 2) == Decimal("63.43")


def test_one_month_in_two_versions_of_focus(field: Path, tmp_path: Path) -> None:
    here, said = refused(field, "c9", tmp_path)
    assert "hold the same charges: 24 of 24 lines" in said
    assert "All of bills/focus10/oct.csv is in the other: move it out of `path`" in said
    shutil.rmtree(here / "bills/focus10")
    assert billed(run(here)[0]) == 48


def test_every_file_of_two_assemblies_is_never_added_up(field: Path, tmp_path: Path) -> None:
    here = copied(field, "c3", tmp_path)
    text = (here / "site.yaml").read_text()
    (here / "site.yaml").write_text(text.replace("path: cur}", "path: cur, exports: all}"))
    site, outcome = run(here)
    assert "hold the same charges" in " ".join(outcome.failures.values())
    with pytest.raises(Exception, match="cost"):
        ask(site, "select sum(billed_cost) from cost")
