"""Copies: series of inference servers that are one counter, scraped by several jobs or stored by several replicas.

What belongs here: which series are one. What does not: what they count (`serving`), and GPUs (`identity`).

A server is known by its pod (with its namespace) and its instance, however its host is spelled (`server_names`); its
counters, by the labels it writes itself. What a scrape adds (`SCRAPE_LABELS`) makes no second thing. So series of one
metric are one counter

* by name: they agree in every label but those a scrape adds, and have a pod or an instance; where that is no pod and no
  address, but a name that may stand for several, not two nodes; and their values go together: none is below what
  another one showed an hour before, but for restarts, and in most hours they differ by no more than what comes in
  between their scrapes. Where they do not, they are servers that share an address, and count each.
* by value: they agree in the server's own labels; in every hour of the day they show the same values, which change in
  two hours at least; and their names do not tell them apart: not two pods, not two addresses, hosts, ports or nodes.

What the site file says of servers (`ToldApart`) goes before both: the label that names the deployment, and the model.

Two pods of different names are two servers, however equal their load.

Copies are read one after another, some answer late, and clocks differ: in one sequence their samples would fall by a
few again and again. So in every hour one of them speaks (`_one_speaks`).
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from energy_assets.sources.prometheus import server_names
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
    "otel_scope_name",
    "otel_scope_version",
    "otel_scope_schema_url",
)
"""What Prometheus, its operator and its replicas, and collectors add to the labels of one and the same target."""

SERVER = "coalesce(nullif(metric['pod'], ''), nullif(metric['instance'], ''), 'a server without a name')"
"""SQL of a server's name by the labels of its series."""

MOVING_HOURS = 2
APART_S = 60
"""Copies are read within two scrapes of each other and this much more, for answers that come late."""
APART_HOURS = 6
"""In fewer hours what comes in bursts may set copies apart."""
ONE, APART = "counters_scraped_several_times", "counters_of_one_address_that_disagree"
NAMED_JOBS = "counters_of_several_named_jobs"


@dataclass(frozen=True)
class ToldApart:
    """What the site file says of servers.

    Attributes:
        label: Names the deployment: what differs in it is never one, even if a scrape adds it.
        models: Model by deployment, instance or job, of servers that do not name theirs; two models are never one.
    """

    label: str = "pod"
    models: Mapping[str, str] = field(default_factory=dict)

    def model(self, metric: str) -> str:
        """SQL of the model that the site file gives a series, or NULL.

        Args:
            metric: SQL of the series' labels.
        """
        return self._by(metric, (self.label, "instance", "job"))

    def named_job(self, metric: str) -> str:
        """SQL of a series' job, where the site file gives it a model by nothing else; else NULL.

        Args:
            metric: SQL of the series' labels.
        """
        by_name, by_job = (self._by(metric, labels) for labels in ((self.label, "instance"), ("job",)))
        return f"CASE WHEN {by_name} IS NULL AND {by_job} IS NOT NULL THEN {metric}['job'] END"

    def _by(self, metric: str, labels: Sequence[str]) -> str:
        """SQL of the model by the first of some labels that has one, of a series that names none itself."""
        known = ", ".join(f"{quoted(name)}: {quoted(model)}" for name, model in self.models.items())
        found = ", ".join(f"MAP {{{known}}}[{metric}[{quoted(label)}]]" for label in labels)
        own = f"coalesce(nullif({metric}['model_name'], ''), {metric}['model'], '') <> ''"
        return f"CASE WHEN NOT {own} THEN coalesce({found}) END" if self.models else "NULL::VARCHAR"


def unite(scratch: Scratch, told_apart: ToldApart) -> None:
    """Give series that are one counter the same node_id, device_id and family in `named`.

    Of their samples only those of the one that speaks in an hour stay in `points`. Makes `groups` (meter, device_id,
    one: the device_id of the first series of its counter, number: how many series)
    and `disagreeing` (meter, name_key), both only where there is something to unite.

    Args:
        scratch: Holds `named` (with entries, the labels as a list) and `points`.
        told_apart: What the site file says of servers.
    """
    named = scratch["named"]
    of_a_scrape = [name for name in SCRAPE_LABELS if name != told_apart.label]
    without = ", ".join(quoted(name) for name in (*of_a_scrape, *server_names.LABELS))
    server_names.make(scratch)
    scratch.make(
        "labelled",
        f"""
        WITH plain AS (
            SELECT meter, device_id, any_value(metric) AS metric,
                list_filter(any_value(entries), lambda e: e.key NOT IN ({without}))::VARCHAR AS entries
            FROM {named} GROUP BY meter, device_id
        ),
        placed AS (
            SELECT meter, device_id, metric, s.* EXCLUDE (device_id),
                entries AS own_key, {told_apart.model("metric")} AS mapped,
                concat_ws(' ', own_key, namespace, pod, place) AS server_key
            FROM plain JOIN {scratch["server_names"]} AS s USING (device_id)
        )
        SELECT *, concat_ws(' ', server_key, CASE WHEN count(DISTINCT mapped) OVER same > 1 THEN mapped END, CASE
            WHEN pod IS NULL AND address IS NULL
                AND greatest(count(DISTINCT node) FILTER (node_is_address) OVER same,
                    count(DISTINCT node) FILTER (NOT node_is_address) OVER same) > 1
            THEN 'on ' || node END) AS name_key
        FROM placed WINDOW same AS (PARTITION BY meter, server_key)""",
    )
    scratch.make(
        "alike",
        f"""
        SELECT * EXCLUDE (server_key) FROM {scratch["labelled"]}
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
    return f"""
        WITH by_name AS (
            SELECT a.*, CASE WHEN x.name_key IS NULL AND (pod IS NOT NULL OR place IS NOT NULL)
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
            SELECT meter, first, mapped, pod, pod IS NOT NULL AS named, address, host, port, node, node_is_address
            FROM by_name WHERE device_id = first
        ),
        by_value AS (
            SELECT meter, own_key, shown, min(first) AS one
            FROM shown JOIN told USING (meter, first) WHERE moves >= {MOVING_HOURS}
            GROUP BY meter, own_key, shown
            HAVING count(*) > 1 AND count(DISTINCT pod) <= 1 AND count(DISTINCT mapped) <= 1 AND (
                bool_and(named)
                OR (count(DISTINCT address) <= 1 AND count(DISTINCT host) <= 1 AND count(DISTINCT port) <= 1
                    AND count(DISTINCT node) FILTER (node_is_address) <= 1
                    AND count(DISTINCT node) FILTER (NOT node_is_address) <= 1))
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


def told(scratch: Scratch, told_apart: ToldApart) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many counters have copies, how many addresses have several counters, and the first of each.

    Copies in several jobs of which the site file names each may be servers of one address: they are told apart.

    Args:
        scratch: Holds `groups`, `disagreeing` and `alike`.
        told_apart: What the site file says of servers.
    """
    jobs = "array_to_string(list_sort(list_distinct(list(coalesce(nullif(metric['job'], ''), 'no job')))), ', ')"
    several = f"count(DISTINCT {told_apart.named_job('metric')}) > 1"
    copied = f"""
        SELECT min({SERVER}) || ': ' || meter || ' of ' || {jobs}
        FROM {scratch["groups"]} JOIN {scratch["alike"]} USING (meter, device_id) GROUP BY meter, one"""
    found = {
        ONE: f"{copied} HAVING NOT {several} ORDER BY 1",
        NAMED_JOBS: f"{copied} HAVING {several} ORDER BY 1",
        APART: f"""
            SELECT min({SERVER}) || ': ' || meter || ' of ' || {jobs}
            FROM {scratch["disagreeing"]} JOIN {scratch["alike"]} USING (meter, name_key)
            GROUP BY meter, name_key HAVING count(*) > 1 ORDER BY 1""",
    }
    rows = {note: [text for (text,) in scratch.rows(query)] for note, query in found.items()}
    return {note: len(texts) for note, texts in rows.items()}, {
        note: texts[:5] for note, texts in rows.items() if texts
    }
