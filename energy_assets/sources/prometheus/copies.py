"""Copies: series of inference servers that are one counter, scraped by several jobs or stored by several replicas.

What belongs here: which series are one. What does not: what they count (`serving`), and GPUs (`identity`).

A server is known by its pod (with its namespace) and its instance; its counters, by the labels it writes itself. What
a scrape adds (`SCRAPE_LABELS`) makes no second thing. So series of one metric are one counter

* by name: they agree in every label but those a scrape adds, and have a pod or an instance; and their values go
  together: none is below what another one showed an hour before, but for restarts, and in most hours they differ by
  no more than what comes in between their scrapes. Where they do not, they are servers that share an address, and
  count each.
* by value: they agree in the server's own labels; in every hour of the day they show the same values, which change in
  two hours at least; and their names do not tell them apart: not two pods, not two addresses, hosts or ports.

Two pods of different names are two servers, however equal their load.

Copies are read one after another, some answer late, and clocks differ: in one sequence their samples would fall by a
few again and again. So in every hour one of them speaks (`_one_speaks`).
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.counters import HOUR_OF

SCRAPE_LABELS = (
    "job",
    "exported_job",
    "scrape_job",
    "service",
    "endpoint",
    "container",
    "node",
    "monitor",
    "prometheus",
    "prometheus_replica",
    "replica",
    "__replica__",
    "thanos_replica",
    "receive_replica",
)
"""What Prometheus, its operator and its replicas add to the labels of one and the same target."""

NAMES = ("namespace", "pod", "instance")
SERVER = "coalesce(nullif(metric['pod'], ''), nullif(metric['instance'], ''), 'a server without a name')"
"""SQL of a server's name by the labels of its series."""

MOVING_HOURS = 2
APART_S = 60
"""Copies are read within two scrapes of each other and this much more, for answers that come late."""
APART_HOURS = 6
"""In fewer hours what comes in bursts may set copies apart."""
ONE, APART = "counters_scraped_several_times", "counters_of_one_address_that_disagree"


def unite(scratch: Scratch) -> None:
    """Give series that are one counter the same node_id, device_id and family in `named`.

    Of their samples only those of the one that speaks in an hour stay in `points`. Makes `groups` (meter, device_id,
    one: the device_id of the first series of its counter, number: how many series)
    and `disagreeing` (meter, name_key), both only where there is something to unite.

    Args:
        scratch: Holds `named` (with entries, the labels as a list) and `points`.
    """
    named = scratch["named"]
    without = ", ".join(quoted(name) for name in SCRAPE_LABELS)
    names = ", ".join(quoted(name) for name in NAMES)
    scratch.make(
        "labelled",
        f"""
        SELECT meter, device_id, any_value(metric) AS metric,
            list_filter(any_value(entries), lambda e: e.key NOT IN ({without}))::VARCHAR AS name_key,
            list_filter(any_value(entries), lambda e: e.key NOT IN ({without}, {names}))::VARCHAR AS own_key
        FROM {named} GROUP BY meter, device_id""",
    )
    scratch.make(
        "alike",
        f"""
        SELECT meter, device_id, metric, name_key, own_key FROM {scratch["labelled"]}
        QUALIFY count(*) OVER (PARTITION BY meter, own_key) > 1""",
    )
    scratch.make(
        "values",
        f"""
        SELECT meter, device_id, t, max(d) AS d,
            lag(max(d)) OVER (PARTITION BY meter, device_id ORDER BY t) AS was
        FROM {named} JOIN {scratch["points"]} USING (series_no) SEMI JOIN {scratch["alike"]} USING (meter, device_id)
        WHERE role = 'boundary' AND NOT isnan(d) GROUP BY meter, device_id, t""",
    )
    scratch.make("disagreeing", _disagreeing(scratch))
    scratch.make("groups", _groups(scratch))
    _one_speaks(scratch)
    scratch.con.raw_sql(f"""
        UPDATE {named} SET device_id = o.device_id, node_id = o.node_id, family = o.family
        FROM {scratch["groups"]} AS g JOIN (
            SELECT meter, device_id, any_value(node_id) AS node_id, any_value(family) AS family FROM {named}
            GROUP BY meter, device_id
        ) AS o ON o.meter = g.meter AND o.device_id = g.one
        WHERE {named}.meter = g.meter AND {named}.device_id = g.device_id AND g.device_id <> g.one""")


def _disagreeing(scratch: Scratch) -> str:
    """Names whose series show values that no single counter shows.

    One is below what another one showed an hour before; or, in most hours, further from it than what came in between
    two scrapes of each, as two servers of equal load are.
    """
    return f"""
        SELECT meter, name_key FROM (
            SELECT meter, name_key, t, min(d) AS lowest, max(was) AS before, bool_or(d < was) AS fell
            FROM {scratch["values"]} JOIN {scratch["alike"]} USING (meter, device_id) GROUP BY meter, name_key, t
        ) WHERE lowest < before AND NOT coalesce(fell, false) GROUP BY meter, name_key
        UNION
        SELECT meter, name_key FROM (
            SELECT meter, name_key, t, max(d) - min(d) AS apart, max(d - was) AS up,
                least(3600, {APART_S} + 2 * 3600 / min(samples)) AS late_s
            FROM {scratch["values"]} JOIN {scratch["alike"]} USING (meter, device_id)
            JOIN (
                SELECT meter, device_id, t, max(d) AS samples
                FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no) WHERE role = 'usage' GROUP BY ALL
            ) USING (meter, device_id, t)
            GROUP BY meter, name_key, t HAVING up > 0
        ) GROUP BY meter, name_key
        HAVING count(*) >= {APART_HOURS} AND count(*) FILTER (apart * 3600 > up * late_s) * 2 > count(*)"""


def _groups(scratch: Scratch) -> str:
    """Every series that has copies, with the first of them: by name, then these by value."""
    instance = "metric['instance']"
    host = f"regexp_extract({instance}, '^(.*?)(?::[0-9]+)?$', 1)"
    by_address = rf"regexp_matches({host}, '^\[?[0-9a-f.:]+\]?$')"
    return f"""
        WITH by_name AS (
            SELECT a.*, CASE WHEN x.name_key IS NULL AND (metric['pod'] <> '' OR {instance} <> '')
                THEN min(device_id) OVER (PARTITION BY meter, name_key) ELSE device_id END AS first
            FROM {scratch["alike"]} AS a LEFT JOIN {scratch["disagreeing"]} AS x USING (meter, name_key)
        ),
        shown AS (
            SELECT meter, first, own_key, string_agg(t || '=' || d, ' ' ORDER BY t) AS shown,
                count(*) FILTER (d > was) AS moves
            FROM (
                SELECT meter, first, own_key, t, max(d) AS d, max(was) AS was
                FROM by_name JOIN {scratch["values"]} USING (meter, device_id) GROUP BY meter, first, own_key, t
            ) GROUP BY meter, first, own_key
        ),
        told AS (
            SELECT meter, first, nullif(concat_ws('/', metric['namespace'], nullif(metric['pod'], '')), '') AS pod,
                nullif(metric['pod'], '') IS NOT NULL AS named,
                CASE WHEN {by_address} THEN {host} END AS address,
                CASE WHEN NOT {by_address} THEN nullif(split_part({host}, '.', 1), '') END AS host,
                nullif(regexp_extract({instance}, ':([0-9]+)$', 1), '') AS port
            FROM by_name WHERE device_id = first
        ),
        by_value AS (
            SELECT meter, own_key, shown, min(first) AS one
            FROM shown JOIN told USING (meter, first) WHERE moves >= {MOVING_HOURS}
            GROUP BY meter, own_key, shown
            HAVING count(*) > 1 AND count(DISTINCT pod) FILTER (named) <= 1 AND (
                bool_and(named)
                OR (count(DISTINCT address) <= 1 AND count(DISTINCT host) <= 1 AND count(DISTINCT port) <= 1))
        )
        SELECT meter, device_id, coalesce(v.one, first) AS one,
            count(*) OVER (PARTITION BY meter, coalesce(v.one, first)) AS number
        FROM by_name LEFT JOIN shown AS s USING (meter, first, own_key)
        LEFT JOIN by_value AS v USING (meter, own_key, shown)
        QUALIFY number > 1"""


def _one_speaks(scratch: Scratch) -> None:
    """Delete from `points` the values of copies in hours in which another copy speaks.

    The copy with the most samples of the day speaks in every hour in which it has at least nine in ten of the samples
    that any copy has; else the one with the most of the hour. So a series that ends under one name and goes on under
    another is one all the same.
    """
    if not scratch.rows(f"SELECT 1 FROM {scratch['groups']} LIMIT 1"):
        return
    scratch.con.raw_sql(f"""
        DELETE FROM {scratch["points"]} AS p USING (
            WITH members AS (
                SELECT series_no, role, meter, one, device_id AS member
                FROM {scratch["named"]} JOIN {scratch["groups"]} USING (meter, device_id)
            ),
            hours AS (
                SELECT meter, one, member, t, d AS samples,
                    sum(d) OVER (PARTITION BY meter, one, member) AS of_day,
                    max(d) OVER (PARTITION BY meter, one, t) AS most
                FROM members JOIN {scratch["points"]} USING (series_no) WHERE role = 'usage'
            ),
            speaking AS (
                SELECT meter, one, t, member AS speaker FROM hours QUALIFY row_number() OVER (
                    PARTITION BY meter, one, t
                    ORDER BY samples * 10 >= most * 9 DESC, CASE WHEN samples * 10 >= most * 9 THEN of_day END DESC,
                        samples DESC, member) = 1
            )
            SELECT series_no, t AS hour FROM members JOIN speaking USING (meter, one)
            WHERE member <> speaker AND role IN ('boundary', 'minimum', 'marked', 'raw')
        ) AS silent
        WHERE p.series_no = silent.series_no AND {HOUR_OF.replace("(t ", "(p.t ")} = silent.hour""")


def told(scratch: Scratch) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many counters have copies, how many addresses have several counters, and the first of each.

    Args:
        scratch: Holds `groups`, `disagreeing` and `alike`.
    """
    jobs = "array_to_string(list_sort(list_distinct(list(coalesce(nullif(metric['job'], ''), 'no job')))), ', ')"
    found = {
        ONE: f"""
            SELECT min({SERVER}) || ': ' || meter || ' of ' || {jobs}
            FROM {scratch["groups"]} JOIN {scratch["alike"]} USING (meter, device_id) GROUP BY meter, one ORDER BY 1""",
        APART: f"""
            SELECT min({SERVER}) || ': ' || meter || ' of ' || {jobs}
            FROM {scratch["disagreeing"]} JOIN {scratch["alike"]} USING (meter, name_key)
            GROUP BY meter, name_key HAVING count(*) > 1 ORDER BY 1""",
    }
    rows = {note: [text for (text,) in scratch.rows(query)] for note, query in found.items()}
    return {note: len(texts) for note, texts in rows.items()}, {
        note: texts[:5] for note, texts in rows.items() if texts
    }
