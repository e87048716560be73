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
    "devices_whose_series_disagree": Words(
        "{n} devices have several series that disagree, so that their hours have no energy",
        remedy="Say what the label means in a line for the metric under `metrics` of this source (adds, repeats, or"
        " device_labels if each is a device of its own), or choose one value with `match`; docs/sources/prometheus.md"
        " has an example.",
    ),
    "hosts_with_equal_dies": Words(
        "{n} hosts show the same counter for several dies of a package, and each die counts",
        remedy="On AMD all dies show the one counter of their package: add `mirrored_dies: true` to this source if that"
        " is so here, `mirrored_dies: false` if each die has a counter of its own; or let node_exporter show the vendor"
        " (collector hwmon, or cpu with --collector.cpu.info).",
    ),
    "models_with_equal_requests": Words(
        "{n} models of Triton count as many requests in every hour as another model of their server: they may be steps"
        " of one ensemble, whose requests then count once for each step",
        remedy="Leave the steps out with this source's selector, for example selector: 'model!~\"preprocessing|"
        "postprocessing\"'.",
    ),
    "no_metric_known": Words(
        "none of the metrics that this source reads is there on {n} days",
        remedy="energy-assets doctor lists metrics that look like what you want, with the lines for them.",
    ),
}
"""By the name of the note. A name that is not here is told by its own words, as a hole."""


def words(name: str) -> Words:
    """How the count of a name is told.

    Args:
        name: As `Parsed.notes` has it.
    """
    return WORDS.get(name) or Words(f"{{n}} × {name.replace('_', ' ')}")
