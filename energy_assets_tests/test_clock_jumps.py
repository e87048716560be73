"""A clock that is set back, between runs and within one: nothing is lost, nothing counts twice, no run is in the way.

The clock is that of the processes alone (libfaketime, a package of Debian's): times of files stay those of the machine,
and so does the clock that only counts on, as where somebody sets a machine's clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from energy_assets.site import load_site
from energy_assets_tests.small_site import DAYS, SmallRun, contents, write_site

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
NOW, HOUR_BACK, DAY_BACK, DAY_ON = "+0", "-3600", "-86400", "+86400"

pytestmark = pytest.mark.skipif(
    LIBRARY is None, reason="libfaketime is not installed; to run them: sudo apt-get install libfaketime"
)


def started(path: Path, clock: Path, *words: str) -> subprocess.Popen[str]:
    """A command by a clock that stands away from the machine's by what its file says at any moment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "ENERGY_"))}
    moved = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "energy_assets", words[0], "--site", str(path), *words[1:]],
        env={**kept, **moved, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(path: Path, clock: str, first: str, last: str) -> str:
    """Run days by a clock; what was said."""
    file = path.parent / "clock"
    file.write_text(clock)
    return ended(started(path, file, "run", "--from", first, "--to", last))


def ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def test_the_clock_is_another_one(tmp_path: Path) -> None:
    """Else the tests below would prove nothing."""
    (tmp_path / "clock").write_text(DAY_BACK)
    asked = "import time; from energy_assets.clock import last_complete_day as l; print(time.time(), l())"
    environment = {**os.environ, "LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock")}
    told = [
        subprocess.run([sys.executable, "-c", asked], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
        for env in (environment, dict(os.environ))
    ]
    (moved, earlier), (real, day) = (one.stdout.split() for one in told)
    assert 86_300 < float(real) - float(moved) < 86_500
    assert earlier < day


def test_runs_between_which_the_clock_is_set_back_lose_nothing(tmp_path: Path) -> None:
    """A day each, the clock an hour back, then a day, then right again; the first day is run twice."""
    path = write_site(tmp_path / "moved")
    first, second, third = map(str, DAYS)
    run(path, NOW, first, first)
    run(path, HOUR_BACK, second, second)
    run(path, DAY_BACK, first, third)
    run(path, DAY_ON, first, first)
    run(path, NOW, first, third)
    moved, still = load_site(path), SmallRun.of(tmp_path / "still").site
    assert contents(moved) == contents(still)
    assert "Dagster's history is whole" in ended(started(path, tmp_path / "moved/clock", "repair"))


def test_a_clock_that_is_set_back_while_a_run_goes_on_loses_nothing(tmp_path: Path) -> None:
    path = write_site(tmp_path / "moved")
    clock = tmp_path / "moved/clock"
    clock.write_text(NOW)
    going = started(path, clock, "run", "--from", str(DAYS.first), "--to", str(DAYS.last))
    landed = tmp_path / "moved/var/landing/objects"
    until = time.monotonic() + 200
    while not landed.exists() and going.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert going.poll() is None, "the clock moves within the run"
    clock.write_text(DAY_BACK)
    ended(going)
    assert contents(load_site(path)) == contents(SmallRun.of(tmp_path / "still").site)
