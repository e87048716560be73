"""Disagreeing series: several series of one device that are not copies of one reading.

What belongs here: telling copies from different things, and naming the label that tells different things apart. What
does not: adding up, and what happens to a device whose series disagree (`readings`: its hours are unknown).

Copies show equal values at equal instants. Series of one scrape may differ by what a device uses while it is read;
those of two scrapes (replicas, two jobs) by what it uses between them and while an exporter holds its reading back. A
series that another one continues (a new pod of an exporter) is seldom there at the same instant. Labels of users, and
those named as `repeats`, are left out of the comparison: a board's energy repeats for each of its slices and pods.

Dies of one package are devices of their own. AMD's all show the one counter of their package (Linux,
arch/x86/events/rapl.c: the energy register is of the package), so on hosts known to be AMD's equal dies count once.

Tables read: `named`, `keys`, `points`, `series`, `bound` (see `devices` and `counters`).
Tables made:
    contested  key_no: a key whose series disagree
    mirrored   key_no: a die that shows the counter of another one
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.devices import PART, first_label
from energy_assets.sources.prometheus.meters import HOST_LABELS, USER_LABELS, VENDOR, Meter

NOTE = "devices_whose_series_disagree"
EQUAL_DIES = "hosts_with_equal_dies"
EXAMPLES = 5

_SAME_SCRAPE_S = 5
"""An exporter reads its devices within seconds."""
_TWO_SCRAPES_S = 60
"""Exporters hold a reading back for half a minute (dcgm-exporter) to a minute."""
_PEAK = 5
"""So much above the highest half hour a device may run for a minute."""
_INSTANTS = 2
"""Fewer may be a series and its continuation within the lookback of five minutes."""
_SHARE = 0.25
_GAUGE_SAME = 0.001
_GAUGE_MEANS = 0.02
"""Servers of one model under one load differ by some per cent; readings of one gauge by chance alone."""
_ERRORS = 4
"""Standard errors of the mean difference of two scrapes of one gauge: a load that comes and goes is seen by chance."""
_BIN_MS = 300_000
_BINS = 6


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        notes: Counts.
        examples: By the name of a note: the first few devices, with the labels that differ.
    """

    notes: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]


def find(scratch: Scratch, meters: Sequence[Meter], *, mirrored_dies: bool | None = None) -> Found:
    """Make `contested` and `mirrored`.

    Args:
        scratch: Holds the tables read.
        meters: All that were asked for.
        mirrored_dies: True where the dies of every package are known to show one counter, False where they are known
            not to; None goes by the vendor that node_exporter shows.
    """
    lines = contested(scratch, meters)
    equal = _mirrored(scratch, mirrored_dies)
    notes = {NOTE: len(lines), EQUAL_DIES: len(equal)}
    return Found(
        {name: number for name, number in notes.items() if number},
        {name: found[:EXAMPLES] for name, found in ((NOTE, lines), (EQUAL_DIES, equal)) if found},
    )


def contested(scratch: Scratch, meters: Sequence[Meter]) -> list[str]:
    """Make `contested`; returns a line for each device whose series disagree, with the labels that differ.

    Args:
        scratch: Holds `named`, `keys` and `points`.
        meters: All that were asked for.
    """
    _members(scratch, meters)
    selects = [_counters_apart(scratch), *_gauges_apart(scratch)]
    scratch.make("contested", " UNION ".join(f"({select})" for select in selects))
    return _lines(scratch)


def _members(scratch: Scratch, meters: Sequence[Meter]) -> None:
    """Make `members`: the series of keys that have several.

    Columns: series_no, key_no, role, entries (its labels that are not of users), member (the same as text), wrap,
    counter and sentinel.
    """
    rows = [
        f"({quoted(one.name)}, {_texts(folded(one))}, {_wrap(one)}::DOUBLE, {str(one.counter).lower()},"
        f" {one.sentinel}::DOUBLE)"
        for one in meters
    ]
    described = f"(VALUES {', '.join(rows)}) AS m(meter, folds, wrap, counter, sentinel)"
    scratch.make(
        "members",
        f"""
        SELECT *, entries::VARCHAR AS member
        FROM (
            SELECT
                n.series_no, k.key_no, n.role, m.wrap, m.counter, m.sentinel,
                list_sort(list_filter(map_entries(metric), lambda e: NOT list_contains(folds, e.key))) AS entries
            FROM {scratch["named"]} AS n JOIN {scratch["keys"]} AS k USING (meter, node_id, device_id)
            JOIN {described} USING (meter)
            WHERE n.role IN ('copy', 'copied') OR (n.role = 'raw' AND NOT m.counter)
        )
        QUALIFY min(entries::VARCHAR) OVER (PARTITION BY key_no) < max(entries::VARCHAR) OVER (PARTITION BY key_no)""",
    )


def folded(meter: Meter) -> tuple[str, ...]:
    """Labels whose values may differ although the series say the same."""
    return ("__name__", *(USER_LABELS if meter.shared else ()), *meter.repeats)


def _wrap(meter: Meter) -> str:
    joules = {"uJ": Decimal(1_000_000), "mJ": Decimal(1000), "J": Decimal(1)}
    if not meter.wrap_joules or meter.unit not in joules:
        return "NULL"
    return str(meter.wrap_joules * joules[meter.unit] / meter.scale)


def _counters_apart(scratch: Scratch) -> str:
    """Keys whose counters differ by more than the device can have used between the readings."""
    return f"""
        WITH pairs AS (
            SELECT key_no, member, wrap, t, v, read_at
            FROM (SELECT key_no, member, wrap, t, max(d) AS v FROM {scratch["members"]}
                JOIN {scratch["points"]} USING (series_no) WHERE role = 'copy' GROUP BY ALL)
            JOIN (SELECT key_no, member, t, max(d) AS read_at FROM {scratch["members"]}
                JOIN {scratch["points"]} USING (series_no) WHERE role = 'copied' GROUP BY ALL)
                USING (key_no, member, t)
        ),
        paces AS (
            SELECT key_no, max((v - was) / seconds) AS pace
            FROM (
                SELECT key_no, v, lag(v) OVER w AS was, (t - lag(t) OVER w) / 1000 AS seconds
                FROM pairs WINDOW w AS (PARTITION BY key_no, member ORDER BY t)
            ) WHERE v >= was GROUP BY key_no
        ),
        spreads AS (
            SELECT key_no, t, max(v) AS highest, max(v) - min(v) AS apart, max(read_at) - min(read_at) AS seconds,
                any_value(wrap) AS wrap
            FROM pairs GROUP BY key_no, t HAVING count(*) > 1
        )
        SELECT key_no
        FROM (
            SELECT key_no, least(apart, coalesce(abs(wrap - apart), apart)) > 1e-9 * highest + coalesce(pace, 0)
                * CASE WHEN seconds < 0.001 THEN {_SAME_SCRAPE_S} ELSE {_PEAK} * ({_TWO_SCRAPES_S} + seconds) END AS bad
            FROM spreads LEFT JOIN paces USING (key_no)
        )
        GROUP BY key_no
        HAVING count(*) FILTER (bad) >= {_INSTANTS} AND count(*) FILTER (bad) > {_SHARE} * count(*)"""


def _gauges_apart(scratch: Scratch) -> list[str]:
    """Keys whose gauges differ at one instant, or on average over the time in which both are read."""
    readings = f"""
        SELECT key_no, member, t, max(d) AS v
        FROM {scratch["members"]} JOIN {scratch["points"]} USING (series_no)
        WHERE role = 'raw' AND NOT counter AND isfinite(d) AND d >= 0 AND d < sentinel GROUP BY ALL"""
    return [
        f"""
        SELECT key_no
        FROM (
            SELECT key_no, t, max(v) - min(v) > {_GAUGE_SAME} * max(v) AS bad
            FROM ({readings}) GROUP BY key_no, t HAVING count(*) > 1
        )
        GROUP BY key_no
        HAVING count(*) FILTER (bad) >= {_INSTANTS} AND count(*) FILTER (bad) > {_SHARE} * count(*)""",
        f"""
        WITH bins AS (
            SELECT key_no, member, t // {_BIN_MS} AS bin, avg(v) AS v FROM ({readings}) GROUP BY ALL
        ),
        apart AS (
            SELECT abs(avg(a.v - b.v)) AS apart, greatest(avg(a.v), avg(b.v)) AS level,
                sqrt(var_samp(a.v - b.v) / count(*)) AS error, a.key_no
            FROM bins AS a JOIN bins AS b USING (key_no, bin) WHERE a.member < b.member
            GROUP BY a.key_no, a.member, b.member HAVING count(*) >= {_BINS}
        )
        SELECT key_no FROM apart WHERE apart > {_GAUGE_MEANS} * level AND apart > {_ERRORS} * error""",
    ]


def _lines(scratch: Scratch) -> list[str]:
    """A line for each device that disagrees, with the labels that differ and some of their values."""
    rows = scratch.rows(f"""
        WITH entries AS (
            SELECT DISTINCT key_no, entries, member
            FROM {scratch["members"]} SEMI JOIN {scratch["contested"]} USING (key_no)
        ),
        counted AS (SELECT key_no, count(*) AS members FROM entries GROUP BY key_no),
        labels AS (
            SELECT key_no, e.key AS label, list_sort(list(DISTINCT e.value)) AS named, count(*) AS members
            FROM (SELECT key_no, unnest(entries) AS e FROM entries) GROUP BY ALL
        ),
        differing AS (
            SELECT l.key_no, l.label, named FROM labels AS l JOIN counted AS c USING (key_no)
            WHERE len(named) > 1 OR l.members < c.members
        )
        SELECT meter, node_id, whole, list(label ORDER BY label), list(named ORDER BY label)
        FROM (
            SELECT DISTINCT ON (meter, node_id, whole) *
            FROM {scratch["keys"]} JOIN {scratch["contested"]} USING (key_no) ORDER BY key_no
        ) JOIN differing USING (key_no)
        GROUP BY meter, node_id, whole ORDER BY ALL""")
    return [
        line(meter, node, device, dict(zip(labels, named, strict=True))) for meter, node, device, labels, named in rows
    ]


def line(meter: str, node: str, device: str, labels: Mapping[str, Sequence[str]]) -> str:
    """What is said of a device whose series disagree.

    Args:
        meter: The meter's name.
        node: The host.
        device: The device.
        labels: The labels that differ, and their values.
    """
    shown = [f"{label} ({', '.join(named[:3])}{', …' if len(named) > 3 else ''})" for label, named in labels.items()]
    which = f", {device}" if device != node else ""
    listed = ", ".join(labels)
    meaning = f"adds: [{listed}] if these are parts of it, repeats: [{listed}] if they say the same"
    return f"{meter} of {node}{which}: its series differ in {' and '.join(shown)}; {meaning}"


def _mirrored(scratch: Scratch, known: bool | None) -> list[str]:
    """Make `mirrored`; returns hosts whose dies are equal and which nobody says are AMD's."""
    host = f"regexp_replace({first_label(_texts(HOST_LABELS))}, ':[0-9]+$', '')"
    amd = f"SELECT DISTINCT {host} AS node_id FROM {scratch['series']} WHERE meter = {quoted(VENDOR)}"
    scratch.make(
        "equal_dies",
        f"""
        SELECT key_no, node_id, node_id IN ({amd}) AS amd
        FROM (
            SELECT key_no, node_id, whole, list(n ORDER BY t) AS readings
            FROM {scratch["keys"]} JOIN {scratch["bound"]} USING (key_no)
            WHERE regexp_full_match(whole, '(package|dram)-[0-9]+-die-[0-9]+') AND NOT contains(device_id, '{PART}')
            GROUP BY ALL HAVING count(*) > 1
        )
        QUALIFY dense_rank() OVER (
            PARTITION BY node_id, regexp_extract(whole, '^(.*)-die-', 1), readings ORDER BY whole) > 1""",
    )
    once = {None: "amd", True: "true", False: "false"}[known]
    scratch.make("mirrored", f"SELECT key_no FROM {scratch['equal_dies']} WHERE {once}")
    if known is not None:
        return []
    found = scratch.rows(f"SELECT DISTINCT node_id FROM {scratch['equal_dies']} WHERE NOT amd ORDER BY ALL")
    return [node for (node,) in found]


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(quoted(value) for value in values)}]::VARCHAR[]"
