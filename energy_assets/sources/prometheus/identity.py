"""Identity: a GPU is its UUID, whatever the host is called under which exporters tell of it.

What belongs here: which labels hold a UUID, which values are none, and under which of its names a GPU counts in an
hour. What does not: other devices (known by their name on their host, see `devices`), and contributors of other
sources (`energy_assets.unified.containment` unites them by the same UUID).

One GPU has several names where two exporters see it (a short host name and a full one), where `Hostname` is the
exporter's pod, which changes when it restarts, and where the GPU was moved. In each hour the samples under one name
count:

1. a name that is no exporter's pod, before one that is;
2. the name under which the GPU was seen in more hours of the day;
3. the name under which more devices were seen on that day;
4. the shorter one, then the first in the alphabet.

The next name counts where a better one has no samples in an hour. Where one name ends in the hour in which the other
begins, both count in that hour, so that a counter goes on without a gap. All of it depends on the day's answers alone.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import HOUR_MS, HOUR_OF

NO_UUID = r"^(?:[0-9]{0,7}|0+|f+|x+|na|nan|none|null|nil|unknown|undefined|unsupported|notsupported|notavailable|err|error|unknownerror|gpu|mig|uuid)$"  # noqa: E501 - one pattern
"""What drivers and exporters write where they know no UUID: `N/A`, `[Not Supported]`, `0`, an index, zeros alone.
Compared without `GPU-` or `MIG-` before it, capitals, and everything that is no letter or digit."""

EXPORTERS_POD = r"exporter(?:-[a-z0-9]+)*-[bcdfghjklmnpqrstvwxz2456789]{5}$"
"""A pod of an exporter: Kubernetes ends the names of pods with five of these characters (`apimachinery`, util/rand)."""

KEPT_MS = 60_000
"""As long as exporters may show what they read before: twice the default of dcgm-exporter (30 s, 2025)."""

EVIDENCE = "('boundary', 'minimum', 'usage', 'gauge_hours')"
"""Roles whose answers say hour by hour that a series had samples."""


def is_uuid(label: str, value: str) -> str:
    """SQL: whether a label holds the device's UUID, by its name and by its value.

    Args:
        label: SQL of the label's name.
        value: SQL of its value.
    """
    bare = f"regexp_replace(regexp_replace(lower({value}), '^[^a-z0-9]*(gpu|mig)-', ''), '[^a-z0-9]', '', 'g')"
    return f"(lower({label}) LIKE '%uuid%' AND NOT regexp_matches({bare}, '{NO_UUID}'))"


def names_no_pod(label: str, value: str, pod: str) -> str:
    """SQL: whether a label names a host, and not the exporter that was scraped or an address that comes and goes.

    Args:
        label: SQL of the label's name.
        value: SQL of its value.
        pod: SQL of the label `pod`.
    """
    return (
        f"({label} <> 'instance' AND {value} IS DISTINCT FROM {pod} AND NOT regexp_matches({value}, '{EXPORTERS_POD}'))"
    )


def unite(scratch: Scratch) -> None:
    """Give each GPU of several names one `node_id` in `named`, drop the points of names that do not count.

    Makes `stays` (meter, device_id, t, host: under which name a GPU counts from the hour that ends at t) and
    `several` (device_id, hosts), of GPUs with several names alone.

    Args:
        scratch: Holds `named` (with `host`, `device_uuid` and `node_id`, which is the host) and `points`.
    """
    named, points = scratch["named"], scratch["points"]
    scratch.make(
        "several",
        f"""
        SELECT device_id, list_sort(list_distinct(list(host))) AS hosts FROM {named}
        WHERE device_uuid IS NOT NULL AND host IS NOT NULL GROUP BY device_id HAVING count(DISTINCT host) > 1""",
    )
    if not scratch.rows(f"SELECT 1 FROM {scratch['several']} LIMIT 1"):
        scratch.make(
            "stays",
            "SELECT NULL::VARCHAR AS meter, NULL::VARCHAR AS device_id, NULL::BIGINT AS t, NULL::VARCHAR AS host"
            " LIMIT 0",
        )
        return
    scratch.make(
        "sightings",
        f"""
        SELECT DISTINCT meter, device_id, host, t
        FROM {named} SEMI JOIN {scratch["several"]} USING (device_id) JOIN {points} USING (series_no)
        WHERE role IN {EVIDENCE} AND host IS NOT NULL""",
    )
    scratch.make("hosts", _ranked(scratch))
    scratch.make(
        "stays",
        f"""
        SELECT meter, device_id, t, arg_min(host, place) AS host
        FROM {scratch["sightings"]} JOIN {scratch["hosts"]} USING (device_id, host) GROUP BY meter, device_id, t""",
    )
    scratch.con.raw_sql(f"DELETE FROM {points} WHERE rowid IN ({_points_that_do_not_count(scratch)})")
    scratch.con.raw_sql(f"""
        UPDATE {named} SET node_id = h.host FROM {scratch["hosts"]} AS h
        WHERE {named}.device_id = h.device_id AND h.place = 1""")


def _ranked(scratch: Scratch) -> str:
    """Names of each GPU in the order of the rule, from 1."""
    return f"""
        WITH lengths AS (
            SELECT device_id, host, count(DISTINCT t) AS hours FROM {scratch["sightings"]} GROUP BY device_id, host
        ),
        known AS (
            SELECT host, count(DISTINCT (meter, device_id)) AS devices FROM {scratch["named"]} GROUP BY host
        )
        SELECT device_id, host, row_number() OVER (
            PARTITION BY device_id
            ORDER BY regexp_matches(host, '{EXPORTERS_POD}'), hours DESC NULLS LAST, devices DESC, len(host), host
        ) AS place
        FROM (SELECT device_id, unnest(hosts) AS host FROM {scratch["several"]})
        LEFT JOIN lengths USING (device_id, host) LEFT JOIN known USING (host)"""


def _points_that_do_not_count(scratch: Scratch) -> str:
    """A query of their row numbers. Samples before the first and after the last hour belong to these hours' name."""
    return f"""
        WITH lives AS (
            SELECT meter, device_id, host, min(t) AS first, max(t) AS last FROM {scratch["sightings"]} GROUP BY ALL
        ),
        turns AS (
            SELECT *, lag(host) OVER w AS before, lead(host) OVER w AS after FROM {scratch["stays"]}
            WINDOW w AS (PARTITION BY meter, device_id ORDER BY t)
        ),
        counting AS (
            SELECT meter, device_id, t, host FROM {scratch["stays"]}
            UNION
            SELECT t.meter, t.device_id, t.t, l.host
            FROM turns AS t JOIN lives AS l ON l.meter = t.meter AND l.device_id = t.device_id
            WHERE (l.host = t.before AND l.last = t.t) OR (l.host = t.after AND l.first = t.t)
        ),
        spans AS (SELECT meter, device_id, min(t) AS first, max(t) AS last FROM {scratch["stays"]} GROUP BY ALL),
        theirs AS (
            SELECT p.rowid AS id, n.meter, n.device_id, n.host,
                greatest(first, least(last, {HOUR_OF})) AS hour
            FROM {scratch["points"]} AS p JOIN {scratch["named"]} AS n USING (series_no)
            JOIN spans AS s ON s.meter = n.meter AND s.device_id = n.device_id
            WHERE n.host IS NOT NULL
        )
        SELECT id FROM theirs AS p
        WHERE EXISTS (FROM counting AS c WHERE c.meter = p.meter AND c.device_id = p.device_id AND c.t = p.hour)
          AND NOT EXISTS (
            FROM counting AS c
            WHERE c.meter = p.meter AND c.device_id = p.device_id AND c.t = p.hour AND c.host = p.host)"""


def follow_one_exporter(scratch: Scratch) -> None:
    """Drop samples of counters that a second exporter of the same device tells between those of the first.

    Exporters keep what they read for a while, each from another instant. Taken together, their samples go down and up
    again, and each fall would look like a restart from zero. The exporter (job and instance) with more good samples is
    followed; the other one where it is silent for an hour, but for `KEPT_MS` at the ends.

    Args:
        scratch: Holds `named`, `meters` and `points`.
    """
    told = f"""
        SELECT
            p.rowid AS id, n.meter, n.node_id, n.device_id, p.t,
            concat_ws('|', metric['job'], metric['instance']) AS exporter,
            p.d IS NOT NULL AND NOT isnan(p.d) AND NOT isinf(p.d) AND p.d < n.sentinel AS good
        FROM {scratch["points"]} AS p JOIN {scratch["named"]} AS n USING (series_no)
        JOIN {scratch["meters"]} AS m ON m.meter = n.meter AND m.counter
        WHERE n.role = 'raw'"""
    key = "PARTITION BY meter, node_id, device_id"
    scratch.make(
        "exporters",
        f"""
        SELECT meter, node_id, device_id, exporter,
            row_number() OVER ({key} ORDER BY count_if(good) DESC, exporter) AS place
        FROM ({told}) GROUP BY meter, node_id, device_id, exporter
        QUALIFY count(*) OVER ({key}) > 1""",
    )
    if not scratch.rows(f"SELECT 1 FROM {scratch['exporters']} LIMIT 1"):
        return
    first = "CASE WHEN place = 1 AND good THEN t END"
    scratch.con.raw_sql(f"""
        DELETE FROM {scratch["points"]} WHERE rowid IN (
            SELECT id FROM (
                SELECT id, t, place,
                    max({first}) OVER ({key} ORDER BY t ROWS UNBOUNDED PRECEDING) AS before,
                    min({first}) OVER ({key} ORDER BY t ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS after
                FROM ({told}) JOIN {scratch["exporters"]} USING (meter, node_id, device_id, exporter)
            ) WHERE place > 1 AND (
                (t - before <= {HOUR_MS} AND after - t <= {HOUR_MS})
                OR least(t - before, after - t) <= {KEPT_MS}))""")


def where(scratch: Scratch, hours: str) -> str:
    """SQL of rows of device-hours, with `node_id` the name under which a GPU of several names counts in the hour.

    Args:
        scratch: Holds `stays`.
        hours: SQL of rows with meter, device_id, t and node_id.
    """
    stays = scratch["stays"]
    if not scratch.rows(f"SELECT 1 FROM {stays} LIMIT 1"):
        return hours
    return f"""
        SELECT h.* REPLACE (coalesce(s.host, f.host, h.node_id) AS node_id)
        FROM ({hours}) AS h
        ASOF LEFT JOIN {stays} AS s ON s.meter = h.meter AND s.device_id = h.device_id AND s.t <= h.t
        LEFT JOIN (SELECT meter, device_id, arg_min(host, t) AS host FROM {stays} GROUP BY ALL) AS f
            ON f.meter = h.meter AND f.device_id = h.device_id"""


def told(scratch: Scratch) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many GPUs have several names, and the first of them with their names.

    Args:
        scratch: Holds `several`.
    """
    rows = scratch.rows(f"SELECT device_id, hosts FROM {scratch['several']} ORDER BY device_id")
    if not rows:
        return {}, {}
    examples = [f"{device}: {', '.join(hosts)}" for device, hosts in rows[:5]]
    return {"gpus_under_several_names": len(rows)}, {"gpus_under_several_names": examples}
