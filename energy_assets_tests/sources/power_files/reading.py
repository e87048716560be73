"""What files say where they were read: for tests of readings, which need not count the hours without any."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.power_files.presence import BETWEEN, ENDED
from energy_assets.sources.power_files.source import PowerFiles
from energy_assets_tests.conftest import rows_of


def rows_read(source: PowerFiles, days: DayRange, step: StepContext) -> tuple[pa.Table, dict[str, int]]:
    """The rows with energy, and the notes but for the hours that have none; these agree with each other."""
    table, notes = rows_of(source, days, step)
    unread = pa.compute.is_null(table["energy_kwh"])
    told = [notes.pop(note, 0) for note in (BETWEEN, ENDED)]
    assert any(told) == bool(pa.compute.any(unread).as_py())
    return table.filter(pa.compute.invert(unread)), notes
