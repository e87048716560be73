"""What a source left out, replaced or doubts while parsing, in words for people.

What belongs here: one entry for every name that `Parsed.notes` counts under. What does not: counting, and printing.
Sources count by these names; `energy-assets run` and `doctor` say them in these words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """How a count is told.

    Attributes:
        says: A sentence with `{n}` for the count, without a full stop.
        hole: Something that should have been counted is missing, or a figure may be wrong: `run` ends "done, with
            holes". False where nothing is lost and a person may merely want to know.
        remedy: What to do about it, in the imperative; empty where nothing can be done.
    """

    says: str
    hole: bool = True
    remedy: str = ""


WORDS: Mapping[str, Words] = {
    "files_outside_manifest_dropped": Words(
        "{n} files of bills are not counted, because the manifest beside them does not list them", hole=False,
        remedy="Remove them: an earlier, longer delivery left them behind",
    ),
}  # fmt: skip
"""By the name of the note. A name that is not here is told by its own words, as a hole."""


def words(name: str) -> Words:
    """How the count of a name is told.

    Args:
        name: As `Parsed.notes` has it.
    """
    return WORDS.get(name) or Words(f"{{n}} × {name.replace('_', ' ')}")
