"""What a source left out, replaced or doubts while parsing, in words for people.

What belongs here: one entry for every name that `Parsed.notes` counts under. What does not: counting, and printing.
Sources count by these names; `energy-assets run` and `doctor` say them in these words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FORMS = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")


@dataclass(frozen=True)
class Words:
    """How a count is told.

    Attributes:
        says: A sentence with `{n}` for the count and `[one|many]` where the form depends on it, without a full stop.
        hole: Something that should have been counted is missing, or a figure may be wrong: `run` ends "done, with
            holes". False where nothing is lost and a person may merely want to know.
        remedy: What to do about it, in the imperative; empty where nothing can be done.
        each: An example stands for one of what is counted, so that it can be said how many more there are. False where
            lines or instants are counted and the examples are files, devices or values.
    """

    says: str
    hole: bool = True
    remedy: str = ""
    each: bool = True

    def of(self, count: int) -> str:
        """The sentence of a count.

        Args:
            count: How many there are.
        """
        return _FORMS.sub(lambda forms: forms[1 if count == 1 else 2], self.says).replace("{n}", f"{count:,}")


WORDS: Mapping[str, Words] = {
    # Readings of power and counters.
    "empty_readings_dropped": Words("{n} reading[|s] without a value [was|were] left out", hole=False),
    "nan_readings_dropped": Words("{n} reading[|s] that [is|are] NaN [was|were] left out", hole=False),
    "negative_readings_dropped": Words("{n} negative reading[|s] [was|were] left out", hole=False),
    "zero_readings_dropped": Words(
        "{n} reading[|s] of exactly 0 W [was|were] left out: no machine that runs takes nothing", hole=False
    ),
    "sentinel_readings_dropped": Words(
        "{n} reading[|s] that no device can reach [was|were] left out",
        remedy="Look whether the power is in watts: power_w, or power_unit in site.yaml.",
    ),
    "duplicate_readings_dropped": Words(
        "{n} reading[|s] of a device at an instant that has one already count[s|] once", hole=False
    ),
    "readings_without_node_dropped": Words(
        "{n} reading[|s] name[s|] no node or device and [was|were] left out",
        remedy="Fill the column that node or device of this source names, or name another one in site.yaml.",
    ),
    "windows_without_end_dropped": Words(
        "{n} run[|s] without an end after [its|their] start [was|were] left out, so [its|their] energy belongs to"
        " no run",
        remedy="Write the end of each run into the windows file.",
    ),
    "gaps_bridged": Words("{n} gap[|s] between readings [was|were] bridged", hole=False),
    "gaps_not_bridged": Words(
        "{n} gap[|s] between readings [is|are] longer than max_gap_s and ha[s|ve] no energy",
        remedy="Look why nothing was read then. Where readings always come less often, raise `max_gap_s` to the time"
        " between them.",
    ),
    "unusable_readings_dropped": Words("{n} sample[|s] that hold[s|] no usable number [was|were] left out", hole=False),
    "low_readings_dropped": Words(
        "{n} reading[|s] of a counter far below [its|their] neighbours [was|were] left out", hole=False
    ),
    "implausible_decreases_dropped": Words(
        "{n} decrease[|s] of a counter that no restart explains [was|were] left out", hole=False
    ),
    "counter_restarts": Words("counters started again {n} time[|s]; what they counted in between is kept", hole=False),
    "counters_that_fall_often": Words(
        "{n} counter[|s] fall[s|] more than six times on a day, which restarts do not explain: such a server's counts"
        " of the day are left out, and energy that came before a fall is lost",
        remedy="Scrape each inference server by an address of its own, not one that stands for several; where RAPL"
        " counters of AMD go on from 0, name their maximum: `rapl_wrap_joules` of this source.",
    ),
    "counter_wraps": Words("counters reached their end and went on from 0 {n} time[|s]", hole=False),
    "series_without_host_dropped": Words(
        "{n} series name[s|] no host and [was|were] left out",
        remedy="Name the label that holds it: node_labels under metrics of this source in site.yaml.",
    ),
    "series_without_device_dropped": Words(
        "{n} series name[s|] no device and [was|were] left out",
        remedy="Name the label that holds it: device_labels under metrics of this source in site.yaml.",
    ),
    "device_hours_without_energy": Words(
        "{n} device-hour[|s] ha[s|ve] no reading; [its|their] energy is not known", hole=False, each=False
    ),
    "targets_down": Words(
        "{n} target[|s] of Prometheus from which this source was served before [was|were] down to the end of the day,"
        " for six hours or more, and what [its|their] devices used is missing",
        remedy="Start the exporter, or mend the way to it (Status > Targets of Prometheus says what fails). If the"
        " machine is gone or was switched off, take it out of Prometheus' configuration (scrape_configs), or out of"
        " this source with `selector`.",
    ),
    "hours_between_readings_unread": Words(
        "{n} time[|s] a device has no reading for whole hours between others, and no energy in them",
        remedy="Look whether the logger ran then, and whether a file is missing.",
    ),
    "hours_after_the_last_reading": Words(
        "{n} time[|s] the rest of a day comes after a device's last reading, and its energy is not known", hole=False
    ),
    "device_hours_with_energy_of_a_gap": Words(
        "{n} device-hour[|s] hold[s|] what a counter went on by while it was not read", hole=False
    ),
    "deployment_hours_without_samples": Words(
        "{n} hour[|s] of deployments ha[s|ve] no sample; what was served then is not known", hole=False
    ),
    # Intensity of the grid.
    "points_without_intensity_dropped": Words("{n} point[|s] in time come[s|] without an intensity", hole=False),
    "impossible_values_dropped": Words(
        "{n} intensit[y|ies] below 0 or above 3,000 g/kWh, or of 0 over the life cycle, [was|were] left out",
        remedy="Look at the unit of the export: grams of CO2e per kWh are read. What is not known should be an empty"
        " field, not 0.",
    ),
    "zeros_among_higher_intensities": Words(
        "{n} hour[|s] ha[s|ve] a direct intensity of 0 and no life-cycle one, in a zone that else has more than 50"
        " g/kWh: [it|they] may stand for what is not known",
        remedy="Leave the field empty where nothing is known. If nothing burns in these hours, give their life-cycle"
        " intensity beside the direct one.",
        each=False,
    ),
    "factors_like_kilograms": Words(
        "on {n} day[|s] of zones the grid factor is less than that of any grid, as if kilograms were taken for grams:"
        " emissions may be 1,000 times too low",
        remedy="Write grams of CO2e per kWh (of files, name their `unit`). If a grid burns so little, give its"
        " life-cycle value beside the direct one.",
        each=False,
    ),
    "hours_covered_in_part": Words(
        "{n} hour[|s] ha[s|ve] grid intensities for half of [it|them] or more and not for all: the mean of what there"
        " is counts",
        hole=False,
    ),
    "hours_covered_too_little": Words(
        "{n} hour[|s] ha[s|ve] grid intensities for less than half of [it|them] and take[s|] a mean of the month or"
        " year",
        hole=False,
    ),
    "intensities_coarser_than_asked": Words(
        "{n} hour[|s] [was|were] answered in coarser steps than `granularity` asks for, and [is|are] made of those",
        hole=False,
        remedy="The plan of the token, or the zone, has no finer values. `granularity: hourly` asks for what is there.",
        each=False,
    ),
    "intensities_revised": Words(
        "{n} hour[|s] of grid zones [is|are] not what [it was|they were] when collected before, as where an estimate"
        " gives way to what was measured; the bytes of both are kept",
        hole=False,
        each=False,
    ),
    "superseded_hours_dropped": Words(
        "{n} hour[|s] stand[s|] in several files: what was measured counts before what was estimated, then the file"
        " whose name comes last",
        hole=False,
    ),
    "repeated_points_averaged": Words("{n} further point[|s] of the same hour [was|were] averaged into it", hole=False),
    "disagreeing_intensities_averaged": Words(
        "at {n} instant[|s] a grid zone has several different intensities, and their mean counts",
        remedy="If a column tells zones apart, name it as `zone_column` of the source; if it tells what was measured"
        " from what was estimated, as `estimated`; if a local clock shows an hour twice, name its `timezone`; else"
        " leave in the file what counts.",
        each=False,
    ),
    "unflagged_hours_taken_as_estimated": Words(
        "{n} hour[|s] do[es|] not say whether [it was|they were] measured and [is|are] taken as estimated", hole=False
    ),
    "lines_without_time_or_zone_dropped": Words(
        "{n} line[|s] without a readable time or zone [was|were] left out",
        remedy="Mend these lines, or export the file again.",
    ),
    # Bills.
    "duplicate_files_dropped": Words("{n} file[|s] that cop[ies|y] another one count[s|] once", hole=False),
    "split_line_items_dropped": Words(
        "{n} line[|s] that only split[s|] another line [is|are] not added to it", hole=False
    ),
    "origin_charges_dropped": Words(
        "{n} line[|s] that [is|are] told again by [its|their] shares count[s|] once", hole=False
    ),
    "days_without_charges": Words("{n} day[|s] ha[s|ve] no charge", hole=False),
    "amounts_rounded_to_18_decimals": Words("{n} amount[|s] [was|were] rounded to 18 decimals", hole=False),
    "unreadable_tags_dropped": Words(
        "the tags of {n} line[|s] cannot be read, so no rule matches them",
        remedy="Look at the Tags of these lines.",
        each=False,
    ),
    "incomplete_deliveries_dropped": Words(
        "{n} deliver[y|ies] that [is|are] not complete [was|were] passed over",
        remedy="Copy these deliveries whole, then run the same days again.",
    ),
    "deliveries_partly_in_others": Words(
        "in {n} case[|s] a delivery holds lines of a bill that another one holds as well, and these count in both",
        remedy="If they are the same charges (shared costs in the exports of two teams, say), leave them in one export;"
        " if equal charges were made twice, nothing is wrong.",
    ),
    "long_charges_in_several_deliveries": Words(
        "in {n} case[|s] a delivery holds long charges (of a month, say) of resources or services of which another one"
        " holds charges of the same time with other totals: they may be the same charges, and these count in both",
        remedy="If they are one bill, of which one export was made earlier, leave the one that is whole below `path`"
        " and move the other out; if they are different charges, nothing is wrong.",
    ),
    "deliveries_with_totals_of_others": Words(
        "in {n} case[|s] a delivery has the same totals of days as another one of the same account, though their lines"
        " differ: they may be the same charges (under other names of resources, say), and these count in both",
        remedy="If they are one bill, leave one of them below `path` and move the other out; if they are different"
        " charges that cost the same, nothing is wrong, and `same_lines: keep` in the source's block compares no more.",
    ),
    "deliveries_with_other_amounts": Words(
        "in {n} case[|s] a delivery has charges of the same resources and times as another one of the same account, at"
        " other amounts: they may be two editions of one bill, and these count in both",
        remedy="If they are one bill, leave the final edition below `path` and move the other out; if they are"
        " different charges, nothing is wrong, and `same_lines: keep` in the source's block compares no more.",
    ),
    "charges_after_their_billing_period_dropped": Words(
        "{n} charge[|s] begin[s|] after the month [it is|they are] billed in and [was|were] left out"
    ),
    "devices_whose_series_disagree": Words(
        "{n} device[|s] ha[s|ve] several series that disagree, so that [its|their] hours have no energy",
        remedy="Say what the label means in a line for the metric under `metrics` of this source (adds, repeats, or"
        " device_labels if each is a device of its own), or choose one value with `match`; docs/sources/prometheus.md"
        " has an example.",
    ),
    "hosts_with_equal_dies": Words(
        "{n} host[|s] show[s|] the same counter for several dies of a package, and each die counts",
        remedy="On AMD all dies show the one counter of their package: add `mirrored_dies: true` to this source if that"
        " is so here, `mirrored_dies: false` if each die has a counter of its own; or let node_exporter show the vendor"
        " (collector hwmon, or cpu with --collector.cpu.info).",
    ),
    "models_with_equal_requests": Words(
        "{n} model[|s] of Triton count[s|] as many requests as another model of [its|their]"
        " server, within 1 %: they may be steps of one ensemble, whose requests then count once for each step",
        remedy="Leave the steps out with this source's selector, for example selector: 'model!~\"preprocessing|"
        "postprocessing\"'.",
    ),
    "days_without_their_beginning": Words(
        "of {n} day[|s] the server knows the end alone, and nothing of the hours before, whatever it reads: energy used"
        " in them is missing",
        remedy="Run days before the server forgets them, or let it keep them longer (Prometheus:"
        " --storage.tsdb.retention.time). If it was set up on that day, let `start` in site.yaml be the day after; if"
        " nothing ran before, nothing is missing.",
    ),
    "no_metric_known": Words(
        "none of the metrics that this source reads is there on {n} day[|s]",
        remedy="Look whether Prometheus scraped an exporter then, and whether `selector` of this source lets its"
        " metrics through. Where metrics are named here that are what you want, read them with `profiles` or `metrics`"
        " of this source; docs/sources/prometheus.md says how.",
    ),
    "devices_without_energy": Words(
        "{n} device[|s] ha[s|ve] readings and no energy: no two of [its|their] readings are near enough",
        remedy="If readings come less often than `max_gap_s`, raise it to the time between them (at most 86400).",
    ),
    "powers_far_too_high": Words(
        "{n} GPU[|s], processor[|s] or memor[y|ies] draw[s|] more than 5,000 W in most hours, which none does: the"
        " unit is probably another one, and the energy 1,000 times too high",
        remedy="Correct `unit` of these metrics in site.yaml: mW, or mJ of a counter, if the exporter means these.",
    ),
    "powers_far_too_low": Words(
        "{n} GPU[|s] or machine[|s] draw[s|] less than 1 W in most hours, which none does: the unit is probably another"
        " one, and the energy too low",
        remedy="Correct `unit` of these metrics in site.yaml (kW, kWh), or see why the meter shows next to nothing.",
    ),
    "counters_far_from_their_gauges": Words(
        "{n} device[|s] ha[s|ve] a counter of energy and a gauge of power that disagree by a factor; what the counter"
        " tells counts",
        remedy="Find out which is right (the vendor's own tool, a meter at the plug) and correct the other one: write"
        " what its samples are to be multiplied by under `scales` of this source, for example `scales:"
        " {gpu_energy_consumed: 15.259}`; or correct its `unit`, if it has a line under `metrics`. Then run these days"
        " again.",
    ),
    "counters_that_may_wrap_twice": Words(
        "{n} counter[|s] may have gone round more than once between two readings: [its|their] energy is too low if"
        " [it|they] did",
        remedy="Let Prometheus read them as often as is said (`scrape_interval` of the job), so that one round at most"
        " comes between two readings.",
    ),
    "gauges_that_stop_changing": Words(
        "{n} gauge[|s] of power show[s|] one value to the end of the day, after [it|they] had changed all the time at"
        " this power: [its|their] meter may hang",
        hole=False,
        remedy="Look at the meter and its exporter. If it hangs, the energy since then is that of its last reading.",
    ),
    "gauges_of_unwritten_files": Words(
        "{n} gauge[|s] repeat[s|] what a file of node_exporter's textfile collector held when it was written last, or"
        " what a Pushgateway was told, an hour or more before: such samples are no readings, and the energy of these"
        " hours is unknown",
        remedy="See why what writes the file, or pushes, stopped (its timer or cron job).",
    ),
    "clocks_named_utc": Words(
        "the column of times of {n} file[|s] says UTC by its name, and its times are taken by another zone's clock",
        remedy="If they are UTC, write `timezone: UTC` in this source; else call the column something else.",
    ),
    "clocks_named_local": Words(
        "the column of times of {n} file[|s] names a local clock, and its times, which state no offset, are taken as"
        " UTC",
        remedy="Name the zone of that clock in this source, for example `timezone: Europe/Berlin`; if the times are"
        " UTC, write `timezone: UTC`.",
    ),
    "devices_often_without_power": Words(
        "{n} device[|s] tell[s|] 0 W or less at one reading in ten or more, which no device that runs draws; the time "
        "between other readings counts with their power",
        remedy="Look at the meter or the logger: what it writes where it knows nothing should be an empty field.",
    ),
    "powers_like_counters": Words(
        "the power of {n} device[|s] only rises, as a counter of energy does: it is hardly power",
        remedy="Name the column of the power: power_w of this source in site.yaml. A counter of energy is read from "
        "Prometheus alone.",
    ),
    "powers_like_kilowatts": Words(
        "{n} device[|s] draw[s|] less than 1 W in the median, as if kilowatts were taken for watts: energy may be "
        "1,000 times too low",
        remedy="Say the unit of the numbers in site.yaml: power_unit: kW, or power_unit: W if they are watts.",
    ),
    "powers_like_milliwatts": Words(
        "{n} GPU[|s] or CPU[|s] draw[s|] more than 5,000 W in the median, as if milliwatts were taken for watts: "
        "energy may be 1,000 times too high",
        remedy="Say the unit of the numbers in site.yaml: power_unit: mW, or power_unit: W if they are watts.",
    ),
    "readings_in_bursts": Words(
        "{n} device[|s] [is|are] read several times shortly after each other, again and again, with different results: "
        "they may be several devices under one name, of which the mean counts",
        remedy="If they are several, name them apart: `device` of this source in site.yaml. If they are one, leave one "
        "reading of each burst in the file.",
    ),
    "clocks_set_back": Words(
        "the times of {n} device[|s] go back by an hour, as a local clock does at the end of summer time, and were "
        "taken as those of a clock that is never set: hours may be lost or shifted",
        remedy="Name the clock's zone in the source, for example `timezone: Europe/Berlin`.",
        each=False,
    ),
    "equal_readings_told_apart": Words(
        "at {n} instant[|s] equal readings of one device were counted once, though a column tells them apart",
        remedy="If they are different devices, name that column as `device` of the source.",
        each=False,
    ),
    "disagreeing_readings_dropped": Words(
        "at {n} instant[|s] a device has several different readings; the highest was kept",
        hole=False,
        each=False,
    ),
    "copies_under_other_names_dropped": Words(
        "{n} cop[y|ies] of a log under another name [was|were] left out, so that nothing counts twice",
        remedy="Take the copies out of `path`; if they are logs of machines of their own, look why they are equal.",
    ),
    "devices_told_by_several_files": Words(
        "several files tell of {n} device[|s] at the same time and agree, so each counts once; if the files are of"
        " different machines that draw alike, energy is missing",
        remedy="Name machines apart, with a file for each `node: {from_path: '([^/]+)[.]csv'}`; of two logs of one"
        " machine, take one out of `path`.",
    ),
    "cut_lines_dropped": Words(
        "{n} line[|s] [was|were] cut while being written, and [was|were] left out", hole=False, each=False
    ),
    "estimates_outdone_dropped": Words(
        "{n} estimated point[|s] [was|were] left out, for the same file has a measured value of the same instant",
        hole=False,
    ),
    "factors_of_earlier_years": Words(
        "on {n} day[|s] of zones the grid factor is of an earlier year, the latest that is stated",
        hole=False,
        each=False,
    ),
    "months_with_certificates_of_other_years_alone": Words(
        "in {n} month[|s] nothing is certified: all certificates and contracts are of other years, and count in those",
        hole=False,
        each=False,
    ),
    "certificates_not_of_a_megawatt_hour": Words(
        "in {n} month[|s] there are certificates of 1 kWh or 1 GWh each, and most registries issue them of 1 MWh: the"
        " unit may be wrong",
        remedy="Look at the unit of the quantities: `quantity_unit` in site.yaml, the header, or the column `unit`. If"
        " it is right, state the size of one certificate in the source: certificate_kwh: 1.",
        each=False,
    ),
    "days_without_invoice": Words(
        "{n} day[|s] lie[s|] between two invoices of a meter, and no invoice is of [it|them]",
        remedy="Add the invoice, or correct the periods beside the gap.",
        each=False,
    ),
    "files_named_after_another_zone": Words(
        "{n} file[|s] of grid intensities [is|are] named after a zone of which [it has|they have] no row",
        remedy="Take them out of `path`, or give them the name of their zone.",
    ),
    "local_times_open": Words(
        "{n} time[|s] lie[s|] in the hour that clocks show twice, and the file does not tell which of both it is; "
        "[it was|they were] taken as the first",
        remedy="If these times are UTC, set `timezone: UTC`. Else nothing in the file tells the two hours apart: let "
        "later files be written in UTC, or with the offset of each time.",
        each=False,
    ),
    "local_times_never_shown": Words(
        "{n} time[|s] lie[s|] in the hour that clocks leave out in spring, and [was|were] left out",
        remedy="The clock does not follow the `timezone` of the source: name the one it follows, for example UTC.",
        each=False,
    ),
    "files_that_may_be_bills_dropped": Words(
        "{n} file[|s] below `path` [is|are] neither CSV nor Parquet and [was|were] passed over",
        remedy="Unpack such files, or save them as CSV in UTF-8, and leave the result there; move others out.",
    ),
    "files_outside_manifest_dropped": Words(
        "{n} file[|s] of bills [is|are] not counted, because the manifest beside [it|them] does not list [it|them]",
        hole=False,
        remedy="Remove them: an earlier, longer delivery left them behind",
    ),
    "hosts_under_several_names": Words(
        "the devices of {n} host[|s] show hour by hour what those of a host of another name show: [it is one host|they"
        " are hosts] under two names, and each device counts once",
        remedy="Scrape each host in one job, or narrow this source with `selector`.",
    ),
    "counters_read_under_two_names_by_turns": Words(
        "{n} counter[|s] went on under another host's name while [it was|they were] not read under [its|their] own:"
        " [it is one host|they are hosts] under two names, and what was read counts once",
        hole=False,
    ),
    "gpus_under_several_names": Words(
        "{n} GPU[|s] [is|are] told of under several host names, each counted once by its UUID", hole=False
    ),
    "counter_hours_standing_still_replaced": Words(
        "{n} device-hour[|s] of energy counters that stood still: the power that the device tells was taken instead",
        hole=False,
        remedy="See why the counter does not count (driver, exporter); a gauge is one quality tier lower.",
        each=False,
    ),
    "counter_hours_hanging": Words(
        "{n} device-hour[|s] of energy counters that stood still while the power beside them repeated one value or told"
        " far less than the counter returned with: the exporter hung, and [its|their] energy is unknown, or came when"
        " the counter returned",
        remedy="Restart the exporter, and see in its log and in the driver's why it hung.",
        each=False,
    ),
    "counter_hours_standing_still": Words(
        "{n} device-hour[|s] of energy counters that stood still, and no power to take instead: unknown, not 0",
        remedy="Let the exporter tell the power too (DCGM_FI_DEV_POWER_USAGE), or see why the counter does not count.",
        each=False,
    ),
    "counters_scraped_several_times": Words(
        "{n} counter[|s] of inference servers come[s|] from several scrape jobs or replicas, each counted once (if they"
        " are of several servers behind one address, name the label that tells these apart as `deployment_label`)",
        hole=False,
    ),
    "counters_of_several_named_jobs": Words(
        "{n} counter[|s] of one address come[s|] from several jobs, each of which `models` names, and count[s|] once:"
        " if each job is a server of its own, requests are missing",
        remedy="If they are several servers behind one address, write `deployment_label: job` in this source. If they"
        " are one, name its instance under `models` in place of the jobs.",
    ),
    "counters_of_one_address_that_disagree": Words(
        "{n} counter[|s] of one address ha[s|ve] values that no single counter shows, and count[s|] as different"
        " servers",
        remedy="If they are one server, keep one scrape job with `selector`; if they are two, nothing is wrong.",
    ),
    "servers_told_of_twice": Words(
        "{n} server[|s] [is|are] told of under several sets of labels or metric names, as [its|their] address and"
        " counts show, and each counts once",
        hole=False,
    ),
    "servers_that_count_alike": Words(
        "{n} server[|s] count[s|] hour by hour what another one of the same model counts: [it seems|they seem] to be"
        " told of under two sets of labels, and to count twice",
        remedy="If both are one server, keep one of the two with this source's `selector`, for example `selector:"
        " 'job=\"pods\"'`; for replicas of Prometheus, call the label that tells them apart `replica`. If they are two,"
        " nothing counts twice: a label that differs, written as `deployment_label`, says so.",
    ),
    "loads_above_full_dropped": Words(
        "{n} value[|s] of utilization above full load [was|were] left out",
        remedy="Look whether the file has sums, or several machines or processors in one value.",
        each=False,
    ),
    "loads_below_none_dropped": Words("{n} value[|s] of utilization below 0 [was|were] left out", each=False),
    "loads_without_value": Words("{n} point[|s] of utilization without a value [was|were] left out", hole=False),
    "loads_repeated": Words("{n} value[|s] of utilization [is|are] in a file twice and count[s|] once", hole=False),
    "loads_in_several_files": Words(
        "{n} value[|s] of utilization [is|are] in several files and count[s|] once", hole=False
    ),
    "loads_told_differently": Words(
        "{n} value[|s] of utilization differ[s|] between files of one machine and instant; the last file by name"
        " counts",
        remedy="Keep one export of each machine and period in `path`.",
        each=False,
    ),
    "loads_like_shares": Words(
        "{n} value[|s] of utilization [is|are] at most 1 per cent, the highest of a file: if [it is a share|they are"
        " shares], `unit: share` is right",
        hole=False,
        each=False,
    ),
    "loads_without_statistic": Words(
        "{n} value[|s] of utilization come[s|] from a series that does not name its statistic, and [was|were] taken for"
        " [an average|averages]",
        hole=False,
        each=False,
    ),
    "loads_of_changed_processors": Words(
        "{n} stretch[|es] of time between two scrapes [was|were] left out: processors of the machine came or went, or"
        " several hosts have one name",
        hole=False,
        remedy="Where several hosts have one name, keep them apart: a `selector` for each source.",
        each=False,
    ),
    "loads_without_machine": Words(
        "{n} metric[|s] of utilization name[s|] no machine and [was|were] left out",
        remedy="Write `machine_label` into the source: the label that names the machine.",
    ),
    "loads_without_provider": Words(
        "{n} machine[|s] with utilization [was|were] left out: nothing says whose [it is|they are]",
        remedy="Write `provider` (such as aws) into the source, or let Prometheus keep the label instance_id.",
    ),
    "prefill_requests_left_out": Words(
        "{n} request[|s] of prefill servers [was|were] left out, because the decode servers count [it|them] too",
        hole=False,
    ),
    "prefill_suspected": Words(
        "{n} deployment[|s] look[s|] as if [it|they] only prefill[s|] for others: [its|their] requests may count twice",
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
