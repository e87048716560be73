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
    "gpus_under_several_names": Words(
        "{n} GPUs are told of under several host names, each counted once by its UUID", hole=False
    ),
    "counter_hours_standing_still_replaced": Words(
        "{n} device-hours of energy counters that stood still: the power that the device tells was taken instead",
        hole=False,
        remedy="See why the counter does not count (driver, exporter); a gauge is one quality tier lower.",
    ),
    "counter_hours_standing_still": Words(
        "{n} device-hours of energy counters that stood still, and no power to take instead: unknown, not 0",
        remedy="Let the exporter tell the power too (DCGM_FI_DEV_POWER_USAGE), or see why the counter does not count.",
    ),
    "counters_scraped_several_times": Words(
        "{n} counters of inference servers come from several scrape jobs or replicas, each counted once", hole=False
    ),
    "counters_of_one_address_that_disagree": Words(
        "{n} counters of one address have values that no single counter shows; they count as different servers",
        remedy="If they are one server, keep one scrape job with `selector`; if they are two, nothing is wrong.",
    ),
    "prefill_requests_left_out": Words(
        "{n} requests of prefill servers were left out, because the decode servers count them too", hole=False
    ),
    "prefill_suspected": Words(
        "{n} deployments look as if they only prefill for others: their requests may count twice",
        remedy="Name them under `prefill` of the source, or write `prefill: []` if they answer requests of their own.",
    ),
}
"""By the name of the note. A name that is not here is told by its own words, as a hole."""


def words(name: str) -> Words:
    """How the count of a name is told.

    Args:
        name: As `Parsed.notes` has it.
    """
    return WORDS.get(name) or Words(f"{{n}} × {name.replace('_', ' ')}")
