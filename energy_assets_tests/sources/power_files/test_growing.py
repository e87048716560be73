"""A log that is written on while it is read: what was looked into is what is landed, and finished days do not fail."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.sources.base import StepContext
from energy_assets.sources.files import QUIET_S, list_files
from energy_assets.sources.power_files import source as module
from energy_assets_tests.sources.power_files.test_power_files import DAY, HEADER, MIDNIGHT, source, steps, write

ONE = DayRange(DAY, DAY)


def test_a_log_that_grows_while_it_is_looked_into_is_landed_as_it_was(
    step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the file finds it a line longer afterwards, and the half of another one."""
    write(step.site_folder, "meters/a.csv", HEADER + steps(MIDNIGHT, 60))
    path = step.site_folder / "meters/a.csv"
    before, looks = path.read_bytes(), 0
    days_of = module.days_of

    def looking(*given: Any) -> Any:
        nonlocal looks
        looks += 1
        found = days_of(*given)
        with path.open("a") as file:
            file.write(f"2024-05-09T02:0{looks}:00Z,n1,600\n2024-05-09T02:0")
        return found

    monkeypatch.setattr(module, "days_of", looking)
    (object_,) = collect(source(), ONE, step).editions[DAY].objects
    assert looks == 1
    assert step.read(object_) == before
    assert path.read_bytes() != before


@pytest.mark.parametrize(("age_s", "copied"), [(QUIET_S - 30, True), (QUIET_S + 30, False)])
def test_a_file_at_rest_is_not_copied(step: StepContext, age_s: float, copied: bool) -> None:
    write(step.site_folder, "meters/a.csv", HEADER)
    path = step.site_folder / "meters/a.csv"
    os.utime(path, (time.time() - age_s,) * 2)
    (file,) = list_files("meters/*", step.site_folder)
    still = file.still(step.folder)
    assert (still != path) == copied
    assert file.still(step.folder) == still
    path.write_text("other")
    assert (still.read_text() == HEADER) == copied
