"""What people decided about opportunities: `opportunities.yaml` beside the site file, a line per decision.

What belongs here: reading, checking and appending to the file. What does not: opportunities themselves, which are rows
of the lake and know nothing of decisions, so that a decision restates no month.

A decision is a line of its own, so that comments stay and two people's decisions merge as lines do. The last decision
of an opportunity is its state; one without a decision is proposed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from energy_assets.contracts.vocabulary import OpportunityState
from energy_assets.yaml_limits import too_much

FILE = "opportunities.yaml"
HEAD = (
    "# What was decided about opportunities. The command `energy-assets opportunities` appends a line per decision;\n"
    "# earlier lines are the history and stay as they are.\n"
)
STATES = {one.value: one for one in OpportunityState}
KEYS = ("id", "state", "on", "recorded", "by", "note")
NEEDED = KEYS[:4]
FOLLOWING: Mapping[OpportunityState, tuple[OpportunityState, ...]] = {
    OpportunityState.PROPOSED: (OpportunityState.ACCEPTED, OpportunityState.DONE, OpportunityState.DISMISSED),
    OpportunityState.ACCEPTED: (OpportunityState.DONE, OpportunityState.DISMISSED),
    OpportunityState.DONE: (OpportunityState.ACCEPTED,),
    OpportunityState.DISMISSED: (OpportunityState.ACCEPTED, OpportunityState.DONE),
}
"""What may be decided next. What turned out not to be done is accepted again."""
BASIC = 0xFFFF
"""The last character of four digits."""
WAIT_S = 10
"""How long another process may hold the file."""


class StateError(Exception):
    """The file cannot be used, or the decision cannot be taken; the message says where and what to do."""


@dataclass(frozen=True)
class Decision:
    """One line of the file.

    Attributes:
        id: Of the opportunity.
        state: What was decided.
        on: Day since when it holds, as the person says.
        recorded: When it was written down, UTC.
        by: Who decided; empty where not told.
        note: Why; empty where not told.
    """

    id: str
    state: OpportunityState
    on: date
    recorded: datetime
    by: str = ""
    note: str = ""

    def text(self) -> str:
        """The line as it is written."""
        said = {"id": self.id, "state": self.state.value, "on": self.on.isoformat(), "by": self.by, "note": self.note}
        said["recorded"] = f"{self.recorded:%Y-%m-%dT%H:%M:%SZ}"
        parts = (f"{key}: {_quoted(said[key])}" for key in KEYS if said[key])
        return f"- {{{', '.join(parts)}}}\n"


def _quoted(text: str) -> str:
    """A text in double quotes that YAML reads back: what cannot be printed is escaped, for YAML refuses some."""
    escaped = (
        one if one.isprintable() else f"\\u{ord(one):04x}" if ord(one) <= BASIC else f"\\U{ord(one):08x}"
        for one in json.dumps(text, ensure_ascii=False)
    )
    return "".join(escaped)


def decisions(folder: Path) -> list[Decision]:
    """Every decision, in the order of the file; none where there is no file.

    Args:
        folder: Of the site file.

    Raises:
        StateError: the file cannot be read, or a line is no decision that can follow the ones before it.
    """
    text = _read(folder / FILE)
    return [] if text is None else _parsed(folder / FILE, text)


def current(every: Sequence[Decision]) -> dict[str, Decision]:
    """The last decision of each opportunity that has one, by its id.

    Args:
        every: From `decisions`.
    """
    return {one.id: one for one in every}


def decide(folder: Path, id_: str, state: OpportunityState, on: date, *, by: str = "", note: str = "") -> Decision:
    """Append a decision, under a lock, so that the file holds either all of it or nothing.

    Args:
        folder: Of the site file.
        id_: Of an opportunity.
        state: What is decided.
        on: Day since when it holds.
        by: Who decides.
        note: Why.

    Raises:
        StateError: the file cannot be used, or the decision does not follow from the last one.
    """
    path = folder / FILE
    if any("\ud800" <= one <= "\udfff" for one in by + note):
        raise StateError("--by and --note: what was typed is no UTF-8 text; write it with other letters")
    try:
        with FileLock(folder / f".{FILE}.lock", timeout=WAIT_S):
            text = _read(path)
            every = [] if text is None else _parsed(path, text)
            made = Decision(id_, state, on, datetime.now(UTC).replace(microsecond=0), by.strip(), note.strip())
            if against := _against(current(every).get(id_), made):
                raise StateError(against)
            before = HEAD if text is None else text if text.endswith("\n") or not text else f"{text}\n"
            _replace(path, before + made.text())
    except Timeout:
        raise StateError(f"{path}: another process has held it for {WAIT_S} s; try again when it is done") from None
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror})") from error
    return made


def _against(last: Decision | None, made: Decision) -> str | None:
    """Why a decision cannot follow the last one of the same opportunity; None where it can."""
    state = last.state if last else OpportunityState.PROPOSED
    if made.state not in FOLLOWING[state]:
        allowed = " or ".join(one.value for one in FOLLOWING[state])
        since = f" since {last.on}" if last else ""
        return f"{made.id} is {state.value}{since} and cannot become {made.state.value}; it can become {allowed}"
    if last and made.on < last.on:
        return (
            f"{made.id} is {state.value} since {last.on}; it cannot become {made.state.value} on {made.on}, before that"
        )
    return None


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise StateError(f"{path}: cannot be read ({why})") from error


def _parsed(path: Path, text: str) -> list[Decision]:
    if said := too_much(text):
        raise StateError(f"{path}: {said}")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise StateError(f"{path}{line}: is no valid YAML: {getattr(error, 'problem', None) or error}") from None
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise StateError(
            f"{path}:1: is no list of decisions; each is a line `- {{id: …, state: …, on: …, recorded: …}}`"
        )
    found: list[Decision] = []
    last: dict[str, Decision] = {}
    for node in root.value:
        line = node.start_mark.line + 1
        try:
            one = _decision(node)
        except ValueError as error:
            raise StateError(f"{path}:{line}: {error}") from None
        if against := _against(last.get(one.id), one):
            raise StateError(f"{path}:{line}: {against}")
        last[one.id] = one
        found.append(one)
    return found


def _decision(node: yaml.Node) -> Decision:
    said = dict(_pairs(node))
    if absent := [key for key in NEEDED if not said.get(key)]:
        raise ValueError(f"`{absent[0]}` is missing; a decision has {', '.join(NEEDED)}")
    if said["state"] not in OpportunityState.values()[1:]:
        raise ValueError(f"'{said['state']}' is no decision; allowed are {', '.join(OpportunityState.values()[1:])}")
    try:
        on = date.fromisoformat(said["on"])
    except ValueError:
        raise ValueError(f"`on`: '{said['on']}' is no day; write it as 2024-06-30") from None
    try:
        recorded = datetime.fromisoformat(said["recorded"])
    except ValueError:
        raise ValueError(f"`recorded`: '{said['recorded']}' is no time; write it as 2024-06-30T12:00:00Z") from None
    if recorded.tzinfo is None:
        raise ValueError(f"`recorded`: '{said['recorded']}' names no time zone; write it as 2024-06-30T12:00:00Z")
    who = (said.get("by", ""), said.get("note", ""))
    return Decision(said["id"], STATES[said["state"]], on, recorded.astimezone(UTC), *who)


def _pairs(node: yaml.Node) -> Iterator[tuple[str, Any]]:
    """Keys and texts of a line, as they are written: an id of digits alone stays a text."""
    if not isinstance(node, yaml.MappingNode):
        raise ValueError("is no decision; write it as `- {id: …, state: …, on: …, recorded: …}`")
    seen: set[str] = set()
    for key, value in node.value:
        if key.value not in KEYS:
            raise ValueError(f"unknown key `{key.value}`; allowed are {', '.join(KEYS)}")
        if key.value in seen:
            raise ValueError(f"`{key.value}` is there twice")
        if not isinstance(value, yaml.ScalarNode):
            raise ValueError(f"`{key.value}` is no text")
        seen.add(key.value)
        yield key.value, value.value
