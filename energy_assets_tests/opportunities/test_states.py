"""The file of decisions: what may follow what, what is refused with its line, and that nothing written is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from energy_assets.contracts.vocabulary import OpportunityState as State
from energy_assets.opportunities.states import FILE, StateError, current, decide, decisions

A, B = "aaaaaaaaaaaa", "123456789012"
MAY, JUNE = date(2024, 5, 9), date(2024, 6, 1)
LINE = "- {id: aaaaaaaaaaaa, state: accepted, on: 2024-05-09, recorded: 2024-05-09T12:00:00Z}\n"


def test_decisions_are_kept_in_order_with_who_and_why(tmp_path: Path) -> None:
    decide(tmp_path, A, State.ACCEPTED, MAY, by="Ada", note='power "off": {it}\n# now')
    decide(tmp_path, A, State.DONE, JUNE)
    decide(tmp_path, B, State.DISMISSED, MAY)
    found = decisions(tmp_path)
    assert [(one.id, one.state, one.on) for one in found] == [
        (A, State.ACCEPTED, MAY), (A, State.DONE, JUNE), (B, State.DISMISSED, MAY),
    ]  # fmt: skip
    assert (found[0].by, found[0].note) == ("Ada", 'power "off": {it}\n# now')
    assert found[0].recorded.utcoffset() is not None
    assert {id_: one.state for id_, one in current(found).items()} == {A: State.DONE, B: State.DISMISSED}
    assert B in current(found), "an id of digits alone stays a text"


@pytest.mark.parametrize(
    "note", ["a\x7fb", "a\x9bb", "a\x85b", "a\u2028b", "a\ufffeb", "a\U000e0001b", 'ü 🚀 \\ "q" #']
)
def test_whatever_stands_in_a_note_is_read_back(tmp_path: Path, note: str) -> None:
    decide(tmp_path, A, State.ACCEPTED, MAY, note=note)
    assert [one.note for one in decisions(tmp_path)] == [note]


def test_a_note_that_is_no_text_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no UTF-8 text"):
        decide(tmp_path, A, State.ACCEPTED, MAY, by="\udcff")
    assert not (tmp_path / FILE).exists()


def test_comments_and_lines_without_an_end_stay(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(f"# ours\n{LINE.strip()}")
    decide(tmp_path, A, State.DONE, JUNE)
    text = (tmp_path / FILE).read_text()
    assert text.startswith(f"# ours\n{LINE}- {{id: ")
    assert len(decisions(tmp_path)) == 2


@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [
        ([], State.DISMISSED, True),
        ([State.ACCEPTED], State.ACCEPTED, False),
        ([State.DONE], State.DONE, False),
        ([State.DONE], State.DISMISSED, False),
        ([State.DONE], State.ACCEPTED, True),
        ([State.DISMISSED], State.DONE, True),
        ([State.ACCEPTED, State.DISMISSED], State.ACCEPTED, True),
    ],
)
def test_what_may_follow(tmp_path: Path, first: list[State], then: State, allowed: bool) -> None:
    for state in first:
        decide(tmp_path, A, state, MAY)
    if allowed:
        assert decide(tmp_path, A, then, MAY).state is then
    else:
        with pytest.raises(StateError, match=f"{A} is {first[-1]} since 2024-05-09 and cannot become {then}"):
            decide(tmp_path, A, then, MAY)
        assert len(decisions(tmp_path)) == len(first)


def test_a_decision_is_not_older_than_the_one_before(tmp_path: Path) -> None:
    decide(tmp_path, A, State.ACCEPTED, JUNE)
    with pytest.raises(StateError, match="cannot become done on 2024-05-09, before that"):
        decide(tmp_path, A, State.DONE, MAY)
    assert decide(tmp_path, A, State.DONE, JUNE).on == JUNE, "the same day may be"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b\n", ":1: is no list of decisions"),
        (f"{LINE}- accepted\n", ":2: is no decision; write it as"),
        (f"{LINE}\n- {{id: b, state: done, on: 2024-05-09}}\n", ":3: `recorded` is missing"),
        (LINE.replace("accepted", "proposed"), ":1: 'proposed' is no decision; allowed are accepted, done, dismissed"),
        (LINE.replace("on: 2024-05-09", "on: 9 May"), ":1: `on`: '9 May' is no day"),
        (LINE.replace("12:00:00Z", "12:00:00"), ":1: `recorded`: '2024-05-09T12:00:00' names no time zone"),
        (LINE.replace("}", ", who: me}"), ":1: unknown key `who`; allowed are id, state, on, recorded, by, note"),
        (LINE.replace("}", ", id: b}"), ":1: `id` is there twice"),
        (LINE.replace("}", ", note: [a]}"), ":1: `note` is no text"),
        (LINE * 2, ":2: aaaaaaaaaaaa is accepted since 2024-05-09 and cannot become accepted"),
        ("- {id: a\n", ": is no valid YAML"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_its_line_and_left_alone(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StateError) as error:
        decisions(tmp_path)
    assert said in str(error.value)
    assert str(tmp_path / FILE) in str(error.value)
    with pytest.raises(StateError):
        decide(tmp_path, B, State.DONE, MAY)
    assert (tmp_path / FILE).read_text() == text


def test_people_who_decide_at_once_lose_nothing(tmp_path: Path) -> None:
    ids = [f"{n:012x}" for n in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda id_: decide(tmp_path, id_, State.ACCEPTED, MAY), ids))
    assert sorted(current(decisions(tmp_path))) == ids
    assert {path.name for path in tmp_path.iterdir()} == {FILE, f".{FILE}.lock"}
