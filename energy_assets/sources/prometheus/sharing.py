"""Sharing: who used a device in an hour, and how its energy divides among them, to the last digit.

What belongs here: users, observed time and shares. What does not: how much energy there is.

Method: the time a device is without a user, while its exporter does name users on that host or on another one of the
same scrape job, is idle and divided off by time. The rest goes to the users by their engine activity (times their
MIG slices) where all of them report it, else by time. One sample is one unit of time. Whatever integer division
leaves over goes to the last row, so that the rows add up to the board exactly.

Tables read: `named`, `keys`, `points`, `observed`, `suspicious` (see `devices` and `counters`).
Tables made:
    uses      key_no, t, user_id ('' for none), weight, activity
    tenants   key_no, user_id, idle, workload_id, labels
    counted   key_no, t, job, samples (of the fullest slice of the device), largest (of one user)
    seen      key_no, t, ppm: observed share of the hour in millionths
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus import pace
from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.counters import HOUR_MS, HOUR_OF
from energy_assets.sources.prometheus.devices import first_label

DEFAULT_INTERVAL_S = 60
"""Prometheus' own default scrape interval, for a device with too few samples to see one."""

_PPM = 1_000_000


def find_uses(scratch: Scratch, keep_labels: Sequence[str]) -> None:
    """Make `uses`, `tenants` and `counted` from the answers about usage and activity.

    Args:
        scratch: Holds `named`, `keys` and `points`.
        keep_labels: More labels the rows carry.
    """
    label_columns = [f"k{number}" for number in range(len(keep_labels))]
    scratch.make("users", _users(scratch, keep_labels))
    scratch.make(
        "slots",
        f"""
        SELECT key_no, t, role, slot, user_id, max(slices) AS slices, max(job) AS job, sum(amount) AS amount
        FROM (
            SELECT key_no, t, role, slot, user_id, host, max(slices) AS slices, max(job) AS job, max(d) AS amount
            FROM {scratch["users"]} JOIN {scratch["points"]} USING (series_no)
            GROUP BY key_no, t, role, slot, user_id, host
        ) GROUP BY key_no, t, role, slot, user_id""",
    )
    scratch.make(
        "uses",
        f"""
        SELECT
            key_no, t, user_id, coalesce(sum(amount * slices) FILTER (role = 'usage'), 0)::BIGINT AS weight,
            (sum(amount * slices) FILTER (role = 'activity') * {_PPM})::BIGINT AS activity
        FROM {scratch["slots"]} GROUP BY key_no, t, user_id HAVING weight > 0""",
    )
    names = ["job", "namespace", "pod", "container", "hpc_job", *keep_labels]
    values = ["job", "namespace", "pod", "container", "hpc_job", *label_columns]
    pairs = ", ".join(f"('{name}', max({value}))" for name, value in sorted(zip(names, values, strict=True)))
    scratch.make(
        "tenants",
        f"""
        SELECT
            key_no, user_id, user_id = '' AND bool_or(attached) AS idle,
            max(coalesce(pod, hpc_job)) AS workload_id,
            map_from_entries(list_filter([{pairs}], lambda e: e[2] <> '')) AS labels
        FROM {scratch["users"]} GROUP BY key_no, user_id""",
    )
    scratch.make(
        "counted",
        f"""
        SELECT key_no, t, max(job) AS job, max(samples)::BIGINT AS samples, max(largest)::BIGINT AS largest
        FROM (
            SELECT key_no, t, slot, max(job) AS job, sum(amount) AS samples, max(amount) AS largest
            FROM {scratch["slots"]} WHERE role = 'usage' GROUP BY key_no, t, slot
        ) GROUP BY key_no, t""",
    )


def _users(scratch: Scratch, keep_labels: Sequence[str]) -> str:
    """Series by series: who is it about?

    A scrape job that names a user on one host would name those of its other hosts, too: `attached`. Where
    Prometheus renames clashing labels, a job with `exported_pod` says in `pod` which pod was scraped, and
    so does an exporter that names its own pod.
    """
    own = {
        "pod": "['exported_pod']",
        "namespace": "['exported_namespace']",
        "container": "['exported_container']",
    }
    plain = {
        "pod": "['pod', 'pod_name']",
        "namespace": "['namespace', 'pod_namespace']",
        "container": "['container', 'container_name']",
    }
    fields = ", ".join(
        f"CASE WHEN exported THEN {first_label(own[name])} WHEN scraped_itself THEN NULL"
        f" ELSE {first_label(plain[name])} END AS any_{name}"
        for name in own
    )
    label_columns = "".join(f", metric['{label}'] AS k{number}" for number, label in enumerate(keep_labels))
    return f"""
        WITH jobs AS (
            SELECT
                series_no, key_no, role, meter, node_id, host, metric, coalesce(metric['job'], '') AS job,
                coalesce(bool_or(metric['exported_pod'] <> '') OVER (PARTITION BY meter, metric['job']), false)
                    AS exported,
                coalesce(metric['pod'] LIKE '%dcgm-exporter%', false) AS scraped_itself
            FROM {scratch["named"]} JOIN {scratch["keys"]} USING (meter, node_id, device_id)
            WHERE role IN ('usage', 'activity')
        ),
        fields AS (
            SELECT *, nullif(metric['hpc_job'], '') AS hpc_job, {fields}
            FROM jobs
        )
        SELECT
            series_no, key_no, role, host, job, any_pod AS pod, hpc_job,
            CASE WHEN any_pod IS NOT NULL THEN any_namespace END AS namespace,
            CASE WHEN any_pod IS NOT NULL THEN any_container END AS container,
            concat_ws('/', namespace, pod, container, hpc_job) AS user_id,
            concat_ws('/', metric['GPU_I_ID'], metric['vgpu']) AS slot,
            coalesce(TRY_CAST(regexp_extract(metric['GPU_I_PROFILE'], '([0-9]+)g', 1) AS INTEGER), 1) AS slices,
            bool_or(any_pod IS NOT NULL OR hpc_job IS NOT NULL) OVER (
                PARTITION BY meter, job, CASE WHEN job = '' THEN node_id END) AS attached{label_columns}
        FROM fields"""


def measure_time(scratch: Scratch, interval_s: int | None) -> None:
    """Make `seen`: the observed share of every hour that has samples; and `pace` and `intervals` of `pace`.

    Args:
        scratch: Holds the tables read.
        interval_s: The scrape interval where the site names it; else as seen in the samples looked at.
    """
    pace.measure(scratch)
    fixed = f"{interval_s * 1000}" if interval_s else "NULL"
    scratch.make(
        "seen",
        f"""
        WITH paced AS (
            SELECT c.*, coalesce({fixed}, i.interval_ms, {DEFAULT_INTERVAL_S * 1000}) AS interval_ms
            FROM {scratch["counted"]} AS c LEFT JOIN {scratch["intervals"]} AS i USING (key_no, t)
        ),
        looked_at AS (
            SELECT key_no, hour AS t, count(DISTINCT t) AS good
            FROM (SELECT key_no, t, {HOUR_OF} AS hour FROM {scratch["observed"]} WHERE role = 'raw' AND state = 'ok')
            GROUP BY key_no, hour
        ),
        empty AS (
            SELECT key_no, t FROM {scratch["lowest"]} WHERE n IS NULL
        )
        SELECT
            key_no, t, interval_ms,
            CASE WHEN s.key_no IS NOT NULL THEN coalesce(l.good, 0) WHEN e.key_no IS NOT NULL THEN 0
                 WHEN samples * interval_ms > {HOUR_MS} * 1.02 THEN largest ELSE samples END AS readings,
            least({_PPM}, readings * interval_ms * {_PPM} // {HOUR_MS})::BIGINT AS ppm
        FROM paced
        LEFT JOIN {scratch["suspicious"]} AS s USING (key_no, t)
        LEFT JOIN looked_at AS l USING (key_no, t)
        LEFT JOIN empty AS e USING (key_no, t)""",
    )


def divide(scratch: Scratch) -> str:
    """A query that divides `hours` (key_no, t, n in nano-kWh or NULL, usage_n in nano-hours, and anything else).

    Returns:
        SQL whose rows are those of `hours`, one for each user, with n and usage_n of the user, and user_id, users
        (how many), idle, workload_id, labels.
    """
    hour = "OVER (PARTITION BY key_no, t)"
    nobody = "MAP {}::MAP(VARCHAR, VARCHAR)"
    return f"""
        WITH crowded AS (SELECT key_no, t FROM {scratch["uses"]} GROUP BY key_no, t HAVING count(*) > 1),
        totals AS (
            SELECT h.*, user_id, coalesce(idle, false) AS unused, weight::HUGEINT AS weight,
                activity::HUGEINT AS activity,
                count(*) {hour} AS users,
                sum(weight) {hour} AS all_weight,
                coalesce(sum(weight) FILTER (unused) {hour}, 0) AS idle_weight,
                coalesce(sum(activity) FILTER (NOT unused) {hour}, 0) AS all_activity,
                coalesce(bool_and(activity IS NOT NULL) FILTER (NOT unused) {hour}, false) AS complete,
                row_number() OVER (PARTITION BY key_no, t ORDER BY unused, user_id DESC) = 1 AS takes_rest
            FROM (FROM {scratch["hours"]} SEMI JOIN crowded USING (key_no, t)) AS h
            JOIN {scratch["uses"]} USING (key_no, t) LEFT JOIN {scratch["tenants"]} USING (key_no, user_id)
        ),
        parts AS (
            SELECT *,
                CASE WHEN unused THEN n * weight // all_weight
                     WHEN complete AND all_activity > 0
                     THEN (n - n * idle_weight // all_weight) * activity // all_activity
                     ELSE (n - n * idle_weight // all_weight) * weight // (all_weight - idle_weight) END AS part,
                usage_n * weight // all_weight AS usage_part
            FROM totals
        ),
        everyone AS (
            SELECT h.*, coalesce(user_id, '') AS user_id, 1 AS users
            FROM (FROM {scratch["hours"]} ANTI JOIN crowded USING (key_no, t)) AS h
            LEFT JOIN {scratch["uses"]} USING (key_no, t)
            UNION ALL BY NAME
            SELECT * EXCLUDE (
                    n, usage_n, unused, weight, activity, all_weight, idle_weight, all_activity, complete, takes_rest,
                    part, usage_part
                ),
                CASE WHEN takes_rest THEN n - (sum(part) {hour} - part) ELSE part END AS n,
                CASE WHEN takes_rest THEN usage_n - (sum(usage_part) {hour} - usage_part) ELSE usage_part END AS usage_n
            FROM parts
        )
        SELECT e.*, coalesce(idle, false) AS idle, workload_id, coalesce(labels, {nobody}) AS labels
        FROM everyone AS e LEFT JOIN {scratch["tenants"]} USING (key_no, user_id)"""
