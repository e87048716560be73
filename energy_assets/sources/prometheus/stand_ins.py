"""Stand-ins: exporters that name a host and its devices in their own way, and the hosts that tell of themselves.

What belongs here: which hosts are one although exporters call them by other names: by their spelling, and by where they
are scraped. What does not: which of their meters counts (`readings`), and hosts under two names of one meter
(`doubles`).
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from energy_assets.sources.prometheus.answers import Scratch
from energy_assets.sources.prometheus.doubles import ADDRESS


def spellings(scratch: Scratch) -> str:
    """SQL of `node_id` and `host`: in small letters and without its domain, unless two domains have the name.

    Two exporters may spell one host in two ways, and one of them stands in for the other.

    Args:
        scratch: Holds `keys`.
    """
    return f"""(
        SELECT node_id, CASE WHEN count(DISTINCT domain) OVER (PARTITION BY short) > 1 THEN name ELSE short END AS host
        FROM (
            SELECT node_id, lower(node_id) AS name,
                CASE WHEN regexp_matches(name, '{ADDRESS}') THEN name ELSE split_part(name, '.', 1) END AS short,
                CASE WHEN name <> short THEN name END AS domain
            FROM (SELECT DISTINCT node_id FROM {scratch["keys"]})
        )
    )"""


def scraped_at_one(scratch: Scratch) -> str:
    """SQL of `node_id` and `other`: names of a host that one exporter gives, and what another one calls it.

    Both are scraped at one address (`instance` without its port): Kepler writes the name of the node, node_exporter
    none, and both run on the host's own network. An address at which an exporter tells of several hosts is none of
    theirs: a gateway, or a server that is federated.

    Args:
        scratch: Holds `named`.
    """
    return f"""(
        WITH scraped AS (
            SELECT split_part(meter, '_', 1) AS exporter, min(node_id) AS node_id,
                lower(regexp_replace(metric['instance'], ':[0-9]+$', '')) AS address
            FROM {scratch["named"]} WHERE metric['instance'] <> '' AND node_id IS NOT NULL
            GROUP BY exporter, address HAVING count(DISTINCT node_id) = 1
        )
        SELECT DISTINCT one.node_id, two.node_id AS other
        FROM scraped AS one JOIN scraped AS two USING (address) WHERE one.node_id <> two.node_id
    )"""
