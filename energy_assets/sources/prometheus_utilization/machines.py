"""Machines: by which name a bill knows the machine that a series is of.

What belongs here: from labels to a machine's id and provider. What does not: names that people gave (`nodes` of
site.yaml, which an estimate follows), and what bills write (`estimates.resources`).

In this order: an id of EC2 in a label; a provider id in a label; the provider id that Kubernetes has of a node of this
name or address in this hour; the name itself, and in the place of an address the name that Linux has of itself there.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.identity import EXPORTERS_POD
from energy_assets.sources.prometheus_utilization.queries import HOSTS, NODES

EC2 = "^(i-[0-9a-f]{8,17})([.].*)?$"
"""An instance, also as the name of a host that is named after it (EKS, resource names)."""

_NODE = "coalesce(nullif(metric['exported_node'], ''), metric['node'])"
"""Where the exporter's own target has a label `node`, Prometheus moves that of the metric aside."""


def find(scratch: Scratch, labels: Sequence[str], provider: str | None, account_id: str | None) -> None:
    """Make `machines`: key, t (end of an hour, unix ms), resource_id, provider (NULL where nobody says it), account_id.

    Args:
        scratch: Holds `named`, `series`, `points` and `hourly` (key, t).
        labels: Those that may name a machine, the best first.
        provider: What site.yaml says of machines whose ids do not say it.
        account_id: Likewise.
    """
    listed = ", ".join(quoted(label) for label in labels)
    scratch.make(
        "called",
        f"""
        SELECT key, metric['provider_id'] AS own_id,
            list_transform([{listed}], lambda l: {_plain("metric[l]")}) AS said,
            list_filter(said, lambda v: v <> '' AND NOT {_says_little("v")})
                || list_filter(said, lambda v: {_says_little("v")}) AS names
        FROM (SELECT key, arg_min(metric, series_no) AS metric FROM {scratch["named"]} GROUP BY key)""",
    )
    scratch.make("kubernetes", _told(scratch, NODES, f"[{_NODE}, metric['internal_ip']]", "provider_id"))
    scratch.make("linux", _told(scratch, HOSTS, "[metric['instance']]", "nodename"))
    said = f"{quoted(provider)}" if provider else "NULL::VARCHAR"
    account = f"{quoted(account_id)}" if account_id else "NULL::VARCHAR"
    scratch.make(
        "machines",
        f"""
        WITH each AS (SELECT key, t, own_id, names FROM {scratch["hourly"]} JOIN {scratch["called"]} USING (key)),
        spelled AS (SELECT key, t, unnest(names) AS name, generate_subscripts(names, 1) AS place FROM each),
        nodes AS (
            SELECT key, t, arg_min(k.told, place) AS id
            FROM spelled JOIN {scratch["kubernetes"]} AS k USING (t, name) GROUP BY key, t
        ),
        known AS (
            SELECT e.*, coalesce({_from_name("names")}, {_ec2("own_id")}) AS ec2, coalesce(own_id, n.id) AS id,
                CASE WHEN regexp_full_match(names[1], '[0-9.]+|.*:.*') THEN coalesce(l.told, names[1]) ELSE names[1] END
                    AS name
            FROM each AS e LEFT JOIN nodes AS n USING (key, t)
            LEFT JOIN {scratch["linux"]} AS l ON l.t = e.t AND l.name = e.names[1]
        )
        SELECT key, t, coalesce(ec2, {_resource("id")}, name) AS resource_id,
            coalesce(CASE WHEN ec2 IS NOT NULL THEN 'aws' END, {_provider("id")},
                CASE WHEN resource_id LIKE '/subscriptions/%' THEN 'azure' END, {said}) AS provider,
            CASE WHEN resource_id LIKE '/subscriptions/%' THEN split_part(resource_id, '/', 3) ELSE {account} END
                AS account_id
        FROM known WHERE resource_id IS NOT NULL""",
    )


def _plain(value: str) -> str:
    """A name without a port and capitals."""
    return f"coalesce(regexp_replace(regexp_replace(lower(trim({value})), ':[0-9]+$', ''), '^\\[(.*)\\]$', '\\1'), '')"


def _says_little(name: str) -> str:
    """SQL: whether any other name says more: a mere number, as Google's instance_id is, or the exporter's own pod."""
    return f"(regexp_full_match({name}, '[0-9]+') OR regexp_matches({name}, '{EXPORTERS_POD}'))"


def _from_name(names: str) -> str:
    return f"nullif(regexp_extract(list_filter({names}, lambda n: regexp_matches(n, '{EC2}'))[1], '{EC2}', 1), '')"


def _ec2(provider_id: str) -> str:
    return f"nullif(regexp_extract({provider_id}, '^aws:.*/(i-[0-9a-f]{{8,17}})$', 1), '')"


def _resource(provider_id: str) -> str:
    """A provider id as bills name the machine: gce://project/zone/name is zones/zone/instances/name."""
    return f"""CASE
        WHEN {provider_id} LIKE 'aws:%' THEN {_ec2(provider_id)}
        WHEN {provider_id} LIKE 'gce://%' THEN
            'zones/' || split_part({provider_id}, '/', 4) || '/instances/' || split_part({provider_id}, '/', 5)
        WHEN {provider_id} LIKE 'azure:///%' THEN substr({provider_id}, 9)
        ELSE nullif(regexp_extract({provider_id}, '([^/]+)$', 1), '') END"""


def _provider(provider_id: str) -> str:
    named = {"aws": "aws", "gce": "gcp", "azure": "azure"}
    cases = " ".join(f"WHEN {provider_id} LIKE '{scheme}:%' THEN '{name}'" for scheme, name in named.items())
    return f"CASE {cases} END"


def _told(scratch: Scratch, role: str, names: str, label: str) -> str:
    """SQL of t, name and what a metric tells of it; a name of two machines in one hour tells nothing."""
    return f"""
        SELECT t, name, max(told) AS told FROM (
            SELECT t, {_plain("name")} AS name, told FROM (
                SELECT t, unnest({names}) AS name, metric[{quoted(label)}] AS told
                FROM {scratch["series"]} JOIN {scratch["points"]} USING (series_no) WHERE role = {quoted(role)}
            ) WHERE told <> '' AND name <> ''
        ) GROUP BY t, name HAVING count(DISTINCT told) = 1"""
