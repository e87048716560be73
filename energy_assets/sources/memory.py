"""What the files of a source were found to hold, so that a known file is not opened a second time.

What belongs here: recognising a version of a file, and keeping what was found in it in the landing zone
(`landing/seen`). What does not: what a source looks for in a file. Rules that keep memory from ever deciding a
figure: it is used for exactly the version, settings and code it was made with; a file counts with the bytes it had
when it was looked into (compared by sha256 when they are landed later); and whoever deletes it loses time only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from energy_assets import __version__
from energy_assets.landing import Held
from energy_assets.sources.base import Source, StepContext
from energy_assets.sources.errors import TransientError
from energy_assets.sources.files import SourceFile, surely_gone

Look = Callable[[Path, str], Any]
"""Looks into a local file with a sha256; returns what it holds as JSON."""


@dataclass(frozen=True)
class Known:
    """A version of a file that was looked into.

    Attributes:
        sha256: Of its bytes.
        bytes: How many.
        facts: What the source's look returned, as JSON gives it back.
    """

    sha256: str
    bytes: int
    facts: Any


class Memory:
    """What is known of the files of one source.

    Args:
        source: The source.
        settings: Everything in site.yaml that what is found in a file depends on, as JSON.
        step: Whose landing zone remembers, and whose folder takes downloads.
    """

    def __init__(self, source: Source, settings: Mapping[str, Any], step: StepContext) -> None:
        self._source = source.name
        self._step = step
        basis = {"kind": source.kind, "parser": source.parser_version, "code": __version__, "settings": settings}
        self._basis = _digest(basis)
        self._seen = step.landing.seen(self._source)
        self._new: dict[str, Any] = {}
        self._asked: set[str] = set()
        self._gone: set[str] = set()

    def know(self, file: SourceFile, look: Look) -> Known:
        """What a file holds: remembered, or looked into now.

        Args:
            file: As it was listed.
            look: Called only for a version that is not known.

        Raises:
            SourceError: the file cannot be fetched, or what `look` raises.
        """
        self._asked.add(file.name)
        entry = self._seen.get(file.name)
        if entry and (entry["version"], entry["basis"]) == (file.version, self._basis):
            return Known(entry["sha256"], entry["bytes"], entry["facts"])
        path = file.still(self._step.folder)
        sha256 = sha256_of(path)
        known = Known(sha256, path.stat().st_size, json.loads(json.dumps(look(path, sha256))))
        if file.settled():
            modified = file.last_modified.date().isoformat()
            self._note(file.name, {**vars(known), "version": file.version, "basis": self._basis, "modified": modified})
        return known

    def last(self, name: str) -> tuple[Any, date] | None:
        """The facts of the last version of a file that could be read, and the UTC day it was written on."""
        entry = self._seen.get(name)
        if not entry or entry["basis"] != self._basis:
            return None
        return entry["facts"], date.fromisoformat(entry["modified"])

    def body(self, file: SourceFile, known: Known) -> Held | Path:
        """The bytes that were looked into, to be landed: a reference where they are landed already.

        Args:
            file: The file as listed.
            known: What is remembered of it.

        Raises:
            TransientError: other bytes are there now.
            SourceError: the file cannot be fetched.
        """
        if self._step.landing.holds(known.sha256):
            return Held(known.sha256, known.bytes)
        path = file.still(self._step.folder)
        if sha256_of(path) != known.sha256:
            self._note(file.name, None)
            self.save()
            raise TransientError(
                f"{file.name}: holds other bytes than when it was looked into", "Run the same days again."
            )
        return path

    def agreed(self, what: str, names: tuple[str, ...]) -> list[str] | None:
        """What `agree` was told of these files together; None where it was told nothing.

        Args:
            what: The name of what was found to hold.
            names: The sha256 of each file, in a fixed order.
        """
        entry = self._seen.get(f"{what} {_digest(names)[:16]}")
        if not isinstance(entry, dict) or entry["basis"] != self._basis:
            return None
        return list(entry.get("said", ()))

    def agree(self, what: str, names: tuple[str, ...], said: Sequence[str] = ()) -> None:
        """Remember that something holds of several files together.

        Args:
            what: The name of what was found to hold.
            names: The sha256 of each file, in a fixed order.
            said: What is worth saying of it each time.
        """
        self._note(f"{what} {_digest(names)[:16]}", {"basis": self._basis, "of": list(names), "said": list(said)})

    def forget_gone(self, listed: Iterable[SourceFile], patterns: Iterable[str]) -> None:
        """Forget files that are not there any more, and what was agreed on them; `save` writes it down.

        Only for a source whose listings were all whole: what a failed one does not show may be there. Files that
        `know` was asked for since are there too, whatever listing they came from.

        Args:
            listed: Every file that the source's listings show now.
            patterns: What was listed.
        """
        there, patterns = {file.name for file in listed} | self._asked, list(patterns)
        files = {name for name, entry in self._seen.items() if isinstance(entry, dict) and "version" in entry}
        gone = {name for name in files - there if surely_gone(name, patterns, self._step.site_folder)}
        left = {self._seen[name]["sha256"] for name in files - gone}
        others = {name: entry for name, entry in self._seen.items() if name not in files}
        gone |= {
            name for name, entry in others.items() if not isinstance(entry, dict) or not left.issuperset(entry["of"])
        }
        for name in gone:
            del self._seen[name]
            self._new.pop(name, None)
        self._gone |= gone

    @property
    def unsaved(self) -> bool:
        """Whether anything was looked into since the last `save`."""
        return bool(self._new)

    def save(self) -> None:
        """Write down what is new and what is gone; nothing is written where nothing is."""
        if self._new or self._gone:
            self._step.landing.remember(self._source, self._new, self._gone)
            self._new, self._gone = {}, set()

    def _note(self, name: str, entry: Any) -> None:
        self._gone.discard(name)
        self._seen[name] = self._new[name] = entry


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, as the landing zone names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
