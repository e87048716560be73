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
    "devices_without_energy": Words(
        "{n} devices have readings and no energy: no two of their readings are near enough",
        remedy="If readings come less often than `max_gap_s`, raise it to the time between them (at most 86400).",
    ),
    "clocks_set_back": Words(
        "the times of {n} devices go back by an hour, as a local clock does at the end of summer time, and were taken "
        "as UTC: an hour is lost, and all hours may be shifted",
        remedy="Name the clock's zone in the source, for example `timezone: Europe/Berlin`.",
    ),
    "equal_readings_told_apart": Words(
        "at {n} instants equal readings of one device were counted once, though a column tells them apart",
        remedy="If they are different devices, name that column as `device` of the source.",
    ),
    "disagreeing_readings_dropped": Words(
        "at {n} instants a device has several different readings; the highest was kept", hole=False
    ),
    "cut_lines_dropped": Words("{n} lines were cut while they were written, and were left out", hole=False),
    "estimates_outdone_dropped": Words(
        "{n} estimated points were left out, for the same file has a measured value of the same instant", hole=False
    ),
    "factors_of_earlier_years": Words(
        "on {n} days of zones the grid factor is of an earlier year, the latest that is stated", hole=False
    ),
    "files_named_after_another_zone": Words(
        "{n} files of grid intensities are named after a zone of which they have no row",
        remedy="Take them out of `path`, or give them the name of their zone.",
    ),
    "local_times_open": Words(
        "{n} times lie in the hour that clocks show twice, and the file does not tell which of both it is; they were "
        "taken as the first",
        remedy="Write times with their offset, or in UTC (`timezone: UTC`).",
    ),
    "local_times_never_shown": Words(
        "{n} times lie in the hour that clocks leave out in spring, and were left out",
        remedy="The clock does not follow the `timezone` of the source: name the one it follows, for example UTC.",
    ),
}
"""By the name of the note. A name that is not here is told by its own words, as a hole."""


def words(name: str) -> Words:
    """How the count of a name is told.

    Args:
        name: As `Parsed.notes` has it.
    """
    return WORDS.get(name) or Words(f"{{n}} × {name.replace('_', ' ')}")
