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
    # Readings of power and counters.
    "empty_readings_dropped": Words("{n} readings without a value were left out", hole=False),
    "nan_readings_dropped": Words("{n} readings that are NaN were left out", hole=False),
    "negative_readings_dropped": Words("{n} negative readings were left out", hole=False),
    "zero_readings_dropped": Words(
        "{n} readings of exactly 0 W were left out: no machine that runs takes nothing", hole=False
    ),
    "sentinel_readings_dropped": Words(
        "{n} readings that no device can reach were left out",
        remedy="Look whether the power is in watts: power_w, or power_unit in site.yaml.",
    ),
    "duplicate_readings_dropped": Words(
        "{n} readings of a device at an instant that has one already count once", hole=False
    ),
    "readings_without_node_dropped": Words(
        "{n} readings name no node or device and were left out",
        remedy="Fill the column that node or device of this source names, or name another one in site.yaml.",
    ),
    "windows_without_end_dropped": Words(
        "{n} runs without an end after their start were left out, so their energy belongs to no run",
        remedy="Write the end of each run into the windows file.",
    ),
    "gaps_bridged": Words("{n} gaps between readings were bridged", hole=False),
    "gaps_not_bridged": Words("{n} gaps between readings are longer than max_gap_s and have no energy", hole=False),
    "unusable_readings_dropped": Words("{n} samples that hold no usable number were left out", hole=False),
    "low_readings_dropped": Words("{n} readings of a counter far below their neighbours were left out", hole=False),
    "implausible_decreases_dropped": Words(
        "{n} decreases of a counter that no restart explains were left out", hole=False
    ),
    "counter_restarts": Words("counters started again {n} times; what they counted in between is kept", hole=False),
    "counter_wraps": Words("counters reached their end and went on from 0 {n} times", hole=False),
    "series_without_host_dropped": Words(
        "{n} series name no host and were left out",
        remedy="Name the label that holds it: node_labels under metrics of this source in site.yaml.",
    ),
    "series_without_device_dropped": Words(
        "{n} series name no device and were left out",
        remedy="Name the label that holds it: device_labels under metrics of this source in site.yaml.",
    ),
    "device_hours_without_energy": Words("{n} device-hours have no reading; their energy is not known", hole=False),
    "device_hours_with_energy_of_a_gap": Words(
        "{n} device-hours hold what a counter went on by while it was not read", hole=False
    ),
    "deployment_hours_without_samples": Words(
        "{n} hours of deployments have no sample; what they served is not known", hole=False
    ),
    # Intensity of the grid.
    "points_without_intensity_dropped": Words("{n} hours come without an intensity", hole=False),
    "impossible_values_dropped": Words(
        "{n} intensities below 0 or above 3,000 g/kWh were left out",
        remedy="Look at the unit of the export: grams of CO2e per kWh are read.",
    ),
    "points_off_the_hour_dropped": Words("{n} intensities that do not begin on the hour were left out"),
    "superseded_hours_dropped": Words(
        "{n} hours stand in several files: what was measured counts before what was estimated, then the file whose"
        " name comes last",
        hole=False,
    ),
    "repeated_points_averaged": Words("{n} further points of the same hour were averaged into it", hole=False),
    "unflagged_hours_taken_as_estimated": Words(
        "{n} hours do not say whether they were measured and are taken as estimated", hole=False
    ),
    "lines_without_time_or_zone_dropped": Words(
        "{n} lines without a readable time or zone were left out", remedy="Mend these lines, or export the file again."
    ),
    # Bills.
    "duplicate_files_dropped": Words("{n} files that are copies of another one count once", hole=False),
    "split_line_items_dropped": Words("{n} lines that only split another line are not added to it", hole=False),
    "origin_charges_dropped": Words("{n} lines that are told again by their shares count once", hole=False),
    "days_without_charges": Words("{n} days have no charge", hole=False),
    "amounts_rounded_to_18_decimals": Words("{n} amounts were rounded to 18 decimals", hole=False),
    "unreadable_tags_dropped": Words(
        "the tags of {n} lines cannot be read, so no rule matches them", remedy="Look at the Tags of these lines."
    ),
    "incomplete_deliveries_dropped": Words(
        "{n} deliveries that are not complete were passed over",
        remedy="Copy these deliveries whole, then run the same days again.",
    ),
    "charges_after_their_billing_period_dropped": Words(
        "{n} charges begin after the month they are billed in and were left out"
    ),
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
        remedy="The command `doctor` lists metrics that look like what you want, with the lines for them.",
    ),
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
    "files_outside_manifest_dropped": Words(
        "{n} files of bills are not counted, because the manifest beside them does not list them",
        hole=False,
        remedy="Remove them: an earlier, longer delivery left them behind",
    ),
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
