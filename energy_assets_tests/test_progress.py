"""Progress without a terminal: few lines, none missing for long, and the end."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from energy_assets.periods import DayRange
from energy_assets.progress import LINE_EVERY_S, SILENT_S, Lines, progress
from energy_assets.running import Step, run_days
from energy_assets.site import load_site
from energy_assets_tests.small_site import GRID_ONLY, write_site


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr("energy_assets.progress.time.monotonic", lambda: now[0])
    return now


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_a_line_says_asset_chunk_count_and_time(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(15)
    lines.listen(Step("raw/dublin", "done"))
    clock[0] += 83
    lines.listen(Step("raw/grid", "note", "grid: DE 2026-11-26 (3 of 90)"))
    assert said(capsys) == ["  raw/grid DE 2026-11-26 (3 of 90) · 1 of 15 assets done · 0:01:23"]


def test_there_is_one_line_every_few_seconds_at_most(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(2)
    for number in range(100):
        clock[0] += 0.5
        lines.listen(Step("raw/grid", "note", f"grid: file {number}"))
    assert len(said(capsys)) == 100 * 0.5 / LINE_EVERY_S


def test_a_long_silence_is_broken(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(2)
    lines.listen(Step("unified/energy", "start"))
    clock[0] += SILENT_S - 1
    lines.remind()
    assert said(capsys) == []
    clock[0] += 1
    lines.remind()
    lines.remind()
    assert said(capsys) == ["  unified/energy · 0 of 2 assets done · 0:00:30"]


def test_markup_in_a_note_stays_text_and_long_ones_are_cut(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines(1)
    clock[0] += LINE_EVERY_S
    lines.listen(Step("raw/x", "note", f"[red]{'y' * 100}"))
    (line,) = said(capsys)
    assert "[red]yyy" in line
    assert "y… · 0 of 1" in line
    assert len(line) < 110


def test_in_a_pipe_the_end_says_how_much_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(2) as listen:
        listen(Step("a", "done"))
        listen(Step("a", "done"))
        listen(Step("b", "done"))
    (line,) = said(capsys)
    assert re.fullmatch(r"  2 of 2 assets, 0:00:0\d", line)


def test_of_a_long_range_each_part_that_is_collected_is_said(tmp_path: Path) -> None:
    steps = list[Step]()
    days = DayRange(date(2024, 5, 30), date(2024, 6, 30))
    assert run_days(load_site(write_site(tmp_path, text=GRID_ONLY)), days, steps.append).success
    notes = [step.text for step in steps if (step.asset, step.kind) == ("raw/grid", "note")]
    parts = [text for text in notes if " to " in text]
    assert parts == ["grid: 2024-05-30 to 2024-06-29 (1 of 2)", "grid: 2024-06-30 to 2024-06-30 (2 of 2)"]
