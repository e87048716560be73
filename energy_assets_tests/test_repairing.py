"""`energy-assets repair`: damage is found, named, and mended by the days it says; a clean store is the judge."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import ibis
import pytest
from click.testing import CliRunner, Result

from energy_assets.cli import main
from energy_assets.integrity import DamagedError
from energy_assets.lake import Lake
from energy_assets.periods import DayRange
from energy_assets.running import run_days
from energy_assets.site import Site, load_site
from energy_assets.tables import EMISSIONS
from energy_assets_tests.small_site import DAYS, SmallRun, contents

LAST = DAYS.last


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return SmallRun.of(tmp_path_factory.mktemp("clean"))


@pytest.fixture
def site(clean: SmallRun, tmp_path: Path) -> Site:
    """A copy of the finished run, which a test may damage."""
    folder = tmp_path / "site"
    shutil.copytree(clean.site.folder, folder)
    return load_site(folder / "site.yaml")


def repair(site: Site, *options: str) -> Result:
    return CliRunner().invoke(main, ["repair", "--site", str(site.folder / "site.yaml"), *options])


def flip(path: Path) -> None:
    stored = bytearray(path.read_bytes())
    stored[len(stored) // 2] ^= 1
    path.write_bytes(bytes(stored))


def grid_object(site: Site) -> Path:
    """The grid export: held, for its file is known."""
    edition = site.disk().landing().edition("grid", LAST)
    assert edition
    (landed,) = edition.objects
    return Path(site.disk().root) / f"landing/objects/{landed.sha256[:2]}/{landed.sha256}.zst"


def edition_file(site: Site) -> Path:
    return Path(site.disk().root) / f"landing/editions/bills/{LAST}/000001.json"


def receipt_file(site: Site) -> Path:
    return next((Path(site.disk().root) / "landing/receipts").rglob("meters-*.json"))


def table_file(site: Site, table: str = "energy") -> Path:
    lake = Lake(site.disk())
    return Path(lake.path(table)) / max(file.name for file in lake.files(table))


def test_a_sound_store_is_called_sound(site: Site) -> None:
    result = repair(site)
    assert result.exit_code == 0
    says = "Every object, receipt, edition, table file and report is what was written; Dagster's history is whole."
    assert result.stdout == f"{says}\n"


@pytest.mark.parametrize("lose", [flip, Path.unlink])
@pytest.mark.parametrize("thing", [grid_object, edition_file, receipt_file, table_file])
def test_damage_is_found_and_the_days_it_names_mend_it(
    site: Site, clean: SmallRun, thing: Callable[[Site], Path], lose: Callable[[Path], None]
) -> None:
    path = thing(site)
    lose(path)

    result = repair(site)
    assert result.exit_code == 1
    name = path.parent.name if lose is Path.unlink and thing is edition_file else path.stem
    assert name in result.stdout.replace("\n", "")
    spans = re.findall(r"energy-assets run --site \S+ --from (\S+) --to (\S+)\n", result.stdout)
    assert spans
    if lose is flip:
        assert "--set-aside" in result.stdout
        assert path.exists()
        repair(site, "--set-aside")
        assert not path.exists()
    for first, last in spans:
        outcome = run_days(site, DayRange(date.fromisoformat(first), date.fromisoformat(last)), lambda step: None)
        assert outcome.success, outcome.failures
    assert repair(site).exit_code == 0
    assert contents(site) == contents(clean.site)


@pytest.mark.parametrize("thing", [grid_object, edition_file, table_file])
def test_a_run_alone_mends_what_it_comes_across(
    site: Site, clean: SmallRun, thing: Callable[[Site], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flipped bit in a landed object was a printed figure, and a wedged day where it was a bill."""
    monkeypatch.setattr("energy_assets.raw.assets.RETRY_WAIT_S", 0)
    flip(thing(site))
    outcome = run_days(site, DAYS, lambda step: None)
    assert outcome.success, outcome.failures
    assert contents(site) == contents(clean.site)
    assert repair(site).exit_code == 0


def test_a_day_beside_a_damaged_one_is_not_made_of_it(site: Site) -> None:
    """The month reads all of its days: it fails and names the day, and what is there stays."""
    lake = Lake(site.disk())
    before = lake.version("kpis_monthly")
    victim = min(file for file in lake.files("kpis_daily") if file.partition == date(2024, 5, 30))
    flip(Path(lake.path("kpis_daily")) / victim.name)
    outcome = run_days(site, DayRange(date(2024, 5, 31), date(2024, 5, 31)), lambda step: None)
    assert not outcome.success
    assert "kpis_daily: the stored rows of 2024-05-30 are damaged" in outcome.failures["kpi/monthly"]
    assert lake.version("kpis_monthly") == before


def test_a_damaged_log_is_set_aside_as_a_whole(site: Site, clean: SmallRun) -> None:
    lake = Lake(site.disk())
    log = sorted((Path(lake.path("emissions")) / "_delta_log").glob("*.json"))[0]
    log.write_text(log.read_text().replace('{"add":', '{"aed":', 1))
    result = repair(site)
    assert "the log of table emissions is damaged" in result.stdout
    assert f"--from {DAYS.first} --to {DAYS.last}" in result.stdout
    assert CliRunner().invoke(main, ["sql", "--site", str(site.folder / "site.yaml"), "from emissions"]).exit_code == 2
    repair(site, "--set-aside")
    assert run_days(site, DAYS, lambda step: None).success
    assert contents(site) == contents(clean.site)
    assert (Path(site.disk().root) / "damaged").is_dir()


@pytest.mark.parametrize("table", ["energy", "emissions"])
@pytest.mark.parametrize(
    "command", [["run", "--from", str(LAST), "--to", str(LAST)], ["report", "--period", "2024-06"]]
)
def test_a_log_that_was_cut_is_a_sentence_that_names_repair(site: Site, table: str, command: list[str]) -> None:
    log = max((Path(Lake(site.disk()).path(table)) / "_delta_log").glob("*.json"))
    log.write_bytes(log.read_bytes()[:-40])
    result = CliRunner().invoke(main, [*command, "--site", str(site.folder / "site.yaml")])
    assert result.exit_code == 1
    assert f"the log of table {table} is damaged" in result.output
    assert "The command `repair` says which days it held" in result.output
    assert "Error" not in result.output.replace("(Kernel error", "")


def test_damaged_rows_are_refused_to_whoever_reads_them(site: Site) -> None:
    """`trace` reads the lake as everybody does, so what it cannot believe it does not compute with."""
    con = ibis.duckdb.connect()
    lake, table = Lake(site.disk()), EMISSIONS
    stat = table_file(site, "emissions").stat()
    flip(table_file(site, "emissions"))
    os.utime(table_file(site, "emissions"), ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(DamagedError, match="the stored rows of 2024-06-01 are damaged"):
        lake.read(con, table)
    assert lake.read(con, table, [DAYS.first]).count().execute() == 48
