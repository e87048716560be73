"""Notes of sources become sentences: every name has words, counts add up, examples are few and the rest is counted."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

import pytest

import energy_assets
from energy_assets.periods import DayRange
from energy_assets.remarks import Noted, Remark, of_notes
from energy_assets.site import load_site
from energy_assets.sources.notes import WORDS
from energy_assets.telling import lines_of, tell_remarks
from energy_assets_tests.small_site import write_site

SOURCES = Path(energy_assets.__file__).parent / "sources"
NOTE = re.compile(
    r"[a-z0-9]+(_[a-z0-9]+)*_(dropped|bridged|averaged|restarts|wraps|taken_as_\w+|without_\w+|of_a_gap|rounded_to_\w+)"
)
MAY = [date(2024, 5, day) for day in (1, 2, 3)]


def names_in(path: Path) -> set[str]:
    """Texts and keywords of a module that are spelled like the name of a note."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NOTE.fullmatch(node.value):
            found.add(node.value)
        if isinstance(node, ast.keyword) and node.arg and NOTE.fullmatch(node.arg):
            found.add(node.arg)
    return found


def test_every_note_of_every_source_has_words() -> None:
    named = {name for path in SOURCES.rglob("*.py") if path.name != "notes.py" for name in names_in(path)}
    assert {"gaps_not_bridged", "superseded_hours_dropped", "days_without_charges", "counter_wraps"} <= named
    assert named - set(WORDS) == set()
    assert "negative_readings_dropped" in WORDS, "made of the state of a reading"


def test_words_are_sentences_with_a_place_for_the_count() -> None:
    for name, words in WORDS.items():
        assert words.says.count("{n}") == 1, name
        assert not words.says.endswith("."), name
        assert not re.search(r"[\[\]|{}]", words.of(1) + words.of(2)), name


def test_one_thing_is_told_in_the_singular() -> None:
    named = WORDS["readings_without_node_dropped"]
    assert named.of(1) == "1 reading names no node or device and was left out"
    assert named.of(1200) == "1,200 readings name no node or device and were left out"


def test_a_note_is_told_once_with_its_count_its_days_and_its_first_examples() -> None:
    one = Noted(
        DayRange(MAY[0], MAY[1]), {"series_without_host_dropped": 3}, {"series_without_host_dropped": ["a", "b"]}
    )
    other = Noted(
        DayRange(MAY[2], MAY[2]), {"series_without_host_dropped": 2}, {"series_without_host_dropped": ["b", "c"]}
    )
    (remark,) = of_notes("raw/meters", [other, one])
    assert remark.says == "5 series name no host and were left out"
    assert remark.hole
    assert (remark.examples, remark.more) == (("a", "b", "c"), 2)
    assert remark.days == (DayRange(MAY[0], MAY[2]),)


def test_files_of_lines_are_no_lines_that_are_left_to_show() -> None:
    told = {"cut_lines_dropped": 1230, "series_without_host_dropped": 1230}
    noted = Noted(DayRange(MAY[0], MAY[0]), told, {name: ["smi.csv"] for name in told})
    cut, nameless = of_notes("raw/meters", [noted])
    assert (cut.note, cut.more, nameless.more) == ("cut_lines_dropped", 0, 1229)


def test_a_name_without_words_is_a_hole_in_its_own_words() -> None:
    (remark,) = of_notes("raw/x", [Noted(DayRange(MAY[0], MAY[0]), {"odd_things_seen": 1200}, {})])
    assert (remark.says, remark.hole) == ("1,200 × odd things seen", True)


def test_holes_have_lines_of_their_own_and_the_rest_shares_one() -> None:
    told = [
        Remark("raw/x", "4 [b] were left out", remedy="Do this.\n- {a: b}", examples=("1", "2", "3", "4"), more=2),
        Remark("raw/x", "2 gaps were bridged", hole=False),
        Remark("raw/x", "2 lines were cut", hole=False, examples=("smi.csv: line 3 and line 9",), more=1),
        Remark("raw/x", "1 wrap", hole=False),
    ]
    assert lines_of("raw/x", told) == [
        "[yellow]![/] raw/x: 4 \\[b] were left out",
        "    for example 1; 2; 3 and 3 more",
        "    → Do this.",
        "      - {a: b}",
        "[dim]· raw/x: 2 gaps were bridged; 2 lines were cut (smi.csv: line 3 and line 9); 1 wrap[/]",
    ]


@pytest.mark.parametrize(("more", "rest"), [(0, False), (1, True)])
def test_where_the_rest_is_to_be_seen_is_said_where_there_is_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: int, rest: bool
) -> None:
    site = load_site(write_site(tmp_path))
    remark = Remark("raw/x", "3 lines were left out", examples=("1", "2", "3"), more=more)
    assert tell_remarks(site, [remark, Remark("raw/x", "1 wrap", hole=False)]) == 1
    said = capsys.readouterr().out
    assert ("The rest: `notes` of these assets, in the UI: " in said) == rest
    assert (f"ui --site {site.file}" in said) == rest
