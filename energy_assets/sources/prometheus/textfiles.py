"""Textfiles: gauges that node_exporter reads from files, and repeats when nobody writes these any more.

What belongs here: which samples repeat what a file held long ago. What does not: gauges that repeat a value and come
from elsewhere.

node_exporter tells when each file was written (`node_textfile_mtime_seconds`), not what stands in which. A gauge of its
target that is not its own comes from one of the target's files, and cannot change while that is not written. So a file
may be a gauge's if the gauge never changed after a write of it until the next one. The gauge repeats

* where all files that may be its own were not written for `STALE_MS`; or
* where it changed all the time until a file was written for the last time, and never since, whatever other files do.
  That was on a day before where it shows one value all day; then it is asked for.

A Pushgateway repeats what was pushed, too, and tells when that was (`push_time_seconds`), for every group by itself.

What comes more than `LATE_MS` after the last write is no reading.

Tables read: `series`, `points`, `named`.
Changes: `points` loses the samples that repeat.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.client import Query
from energy_assets.sources.prometheus.matchers import one_of
from energy_assets.sources.prometheus.meters import Meter
from energy_assets.sources.prometheus.queries import DAY, HOUR, WINDOW, MeterQueries, Window

METRIC, PUSHED = "node_textfile_mtime_seconds", "push_time_seconds"
TEXTFILES = "textfiles"
WRITTEN, EVEN, STOPPED = "written", "even", "stopped"
NOTE = "gauges_of_unwritten_files"
EXAMPLES = 5
STALE_MS = 3_600_000
"""Who writes power into a file does so every few minutes; once an hour at the least."""
LATE_MS = 300_000
"""A scrape or two, and the time between the meter and the file."""
STOPPED_MS, CHANGES = 600_000, 10
"""It changes so often in the hour before a file's last write, and at last so shortly before it."""
BACK_S = 30 * DAY
LAST_WRITES, TARGETS_PER_QUERY, ROUND_S = 20, 200, 300
"""So many questions about last writes on days before are asked, the newest first; files of many hosts stop together."""
_OWN = "node_(hwmon|rapl|power_supply)_.*"
"""What node_exporter measures itself."""
_GROUP = "map_from_entries(list_filter(map_entries(metric), lambda e: e.key <> '__name__'))::VARCHAR"
_TARGET = "metric['instance'] AS instance, coalesce(metric['job'], '') AS job"


def question(present: Sequence[MeterQueries], selector: str, window: Window) -> list[Query]:
    """When was each file written, of the targets that serve gauges no counter is better than; and which never change?

    Args:
        present: The queries of each meter that is there.
        selector: Matchers of the site.
        window: The day.
    """
    gauges = _gauges(present)
    if not gauges:
        return []
    served = _any("count_over_time({})", gauges, WINDOW)
    braces = f"{{{selector}}}" if selector else ""
    even = _any("changes({}) == 0", gauges, WINDOW)
    written = (f"last_over_time({one}{braces}[{WINDOW}])" for one in (METRIC, PUSHED))
    asked = " or ".join(f"{one} and on (instance, job) ({served})" for one in written)
    return [
        Query(WRITTEN, TEXTFILES, asked, window.start - HOUR, window.end, HOUR),
        Query(EVEN, TEXTFILES, f"({even}) and on (instance, job) {METRIC}", window.end, window.end),
    ]


def _gauges(present: Sequence[MeterQueries]) -> list[MeterQueries]:
    known = {one.meter.metric for one in present}
    return [one for one in present if not one.meter.counter and one.meter.counterpart not in known]


def _any(promql: str, gauges: Sequence[MeterQueries], length: str, matcher: str = "") -> str:
    """The same expression of any of the gauges over a time."""
    return " or ".join(promql.format(f"{one.select(None, matcher)}[{length}]") for one in gauges)


def last_writes(scratch: Scratch, present: Sequence[MeterQueries], window: Window) -> list[Query]:
    """Of gauges that show one value: which changed all the time until a file was written last, on a day before?

    An answer's value is that time, rounded up to `ROUND_S`, in unix seconds.

    Args:
        scratch: Holds `series` and `points`.
        present: The queries of each meter that is there.
        window: The day.
    """
    rows = scratch.rows(f"""
        SELECT {_rounded("d::BIGINT")} AS wrote, list(DISTINCT instance ORDER BY instance) FROM (
            SELECT {_TARGET}, t, d FROM {scratch["series"]} JOIN {scratch["points"]} USING (series_no)
            WHERE role = '{WRITTEN}'
        ) SEMI JOIN (SELECT {_TARGET} FROM {scratch["series"]} WHERE role = '{EVEN}') USING (instance, job)
        WHERE t = {window.end * 1000} AND d < {window.start} AND d > {window.start - BACK_S} AND instance <> ''
        GROUP BY wrote ORDER BY wrote DESC""")
    parts = [
        (wrote, one_of("instance", instances[at : at + TARGETS_PER_QUERY]))
        for wrote, instances in rows
        for at in range(0, len(instances), TARGETS_PER_QUERY)
    ]
    return [_stopped(_gauges(present), wrote, only, window) for wrote, only in parts[:LAST_WRITES]]


def _stopped(gauges: Sequence[MeterQueries], wrote: int, only: str, window: Window) -> Query:
    since = window.end - wrote - LATE_MS // 1000
    lively = " or ".join(
        f"changes({one.select(None, only)}[{STALE_MS // 1000}s] offset {since}s) >= {CHANGES}" for one in gauges
    )
    even = _any("changes({}) == 0", gauges, f"{since}s", only)
    return Query(
        STOPPED, TEXTFILES, f"(({lively}) and on (instance, job) ({even})) * 0 + {wrote}", window.end, window.end
    )


def _rounded(seconds: str) -> str:
    return f"(({seconds} + {ROUND_S - 1}) // {ROUND_S} * {ROUND_S})"


def drop_repeated(scratch: Scratch, meters: Sequence[Meter]) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Take the samples that repeat out of `points`; returns how many gauges they are of, and which.

    Args:
        scratch: Holds the tables read.
        meters: All that were asked for.
    """
    gauges = ", ".join(quoted(one.name) for one in meters if not one.counter)
    written = scratch.make(
        "written",
        f"""
        SELECT {_TARGET}, coalesce(metric['file'], 'a push of ' || {_GROUP}) AS file, t,
            (d * 1000)::BIGINT AS wrote, t - wrote >= {STALE_MS} AS stale
        FROM {scratch["series"]} JOIN {scratch["points"]} USING (series_no) WHERE role = '{WRITTEN}' AND d > 0""",
    )
    if not gauges or not scratch.rows(f"SELECT 1 FROM {written} WHERE stale LIMIT 1"):
        return {}, {}
    scratch.make(
        "filed",
        f"""
        FROM (
            SELECT series_no, meter, node_id, device_id, {_TARGET} FROM {scratch["named"]}
            WHERE role = 'raw' AND meter IN ({gauges}) AND NOT regexp_full_match(metric['__name__'], '{_OWN}')
        ) SEMI JOIN (FROM {written} WHERE stale) USING (instance, job)""",
    )
    scratch.make("repeats", _repeats(scratch))
    rows = scratch.rows(f"""
        SELECT CASE WHEN device_id = node_id THEN node_id ELSE device_id || ' on ' || node_id END AS which, meter,
            arg_max(file, r.t), strftime(make_timestamp(min(wrote) * 1000), '%Y-%m-%d %H:%M')
        FROM {scratch["repeats"]} AS r JOIN {scratch["filed"]} USING (series_no) GROUP BY which, meter ORDER BY ALL""")
    scratch.con.raw_sql(f"""
        DELETE FROM {scratch["points"]} AS p USING {scratch["repeats"]} AS r
        WHERE p.series_no = r.series_no AND p.t > r.wrote + {LATE_MS}
            AND (p.t <= r.t OR r.t = (SELECT max(t) FROM {written}))""")
    lines = [f"{which}: {meter}, {file} not written since {when} UTC" for which, meter, file, when in rows]
    return ({NOTE: len(lines)}, {NOTE: lines[:EXAMPLES]}) if lines else ({}, {})


def _repeats(scratch: Scratch) -> str:
    """SQL of series_no, t, file, wrote: from the file's last write to `t` the gauge repeats what it held."""
    return f"""
        WITH changes AS (
            SELECT series_no, t AS changed FROM (
                SELECT series_no, t, d, lag(d) OVER (PARTITION BY series_no ORDER BY t) AS was
                FROM {scratch["points"]} SEMI JOIN {scratch["filed"]} USING (series_no)
            ) WHERE d <> was
        ),
        pairs AS (
            SELECT series_no, file, t, wrote, stale FROM {scratch["filed"]} JOIN {scratch["written"]}
                USING (instance, job)
        ),
        judged AS (
            SELECT p.*, c.changed, NOT stale OR c.changed IS NULL OR c.changed <= wrote + {LATE_MS} AS fits
            FROM pairs AS p ASOF LEFT JOIN changes AS c ON c.series_no = p.series_no AND c.changed <= p.t
        ),
        own AS (FROM judged QUALIFY bool_and(fits) OVER (PARTITION BY series_no, file)),
        lively AS (
            SELECT series_no, file, wrote FROM (
                SELECT DISTINCT series_no, file, wrote FROM own WHERE stale AND changed > wrote - {STOPPED_MS}
            ) JOIN changes USING (series_no) WHERE changes.changed BETWEEN wrote - {STALE_MS} AND wrote + {LATE_MS}
            GROUP BY ALL HAVING count(*) >= {CHANGES}
            UNION
            SELECT series_no, file, wrote FROM own JOIN {scratch["filed"]} USING (series_no) JOIN (
                SELECT {_TARGET}, d::BIGINT AS stopped
                FROM {scratch["series"]} JOIN {scratch["points"]} USING (series_no) WHERE role = '{STOPPED}'
            ) USING (instance, job) WHERE stale AND changed IS NULL AND {_rounded("(wrote // 1000)")} = stopped
        )
        SELECT series_no, t, arg_max(file, wrote) AS file, max(wrote) AS wrote FROM own
        GROUP BY series_no, t HAVING bool_and(stale)
        UNION
        SELECT series_no, t, file, wrote FROM own SEMI JOIN lively USING (series_no, file, wrote) WHERE stale"""
