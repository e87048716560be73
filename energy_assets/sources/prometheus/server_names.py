"""Server names: which server a series is of, by its labels: a pod, an address or a host with its port, and a node.

What belongs here: reading names out of labels, and spelling hosts alike. What does not: whether servers of equal names
or of other names are one (`copies`, `alike`), and hosts of devices (`devices`).

What a collector was asked for stands before the collector's own name: `exported_instance` before `instance`, beside
which `pod` and `namespace` are the collector's. A host with and without its domain is one, unless two domains have a
host of that name; a Service of Kubernetes is the same in all of its forms.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from energy_assets.sources.prometheus.answers import Scratch

LABELS = ("namespace", "pod", "instance", "exported_namespace", "exported_pod", "exported_instance")
"""What names a server."""

_NODES = (
    "node",
    "kubernetes_node",
    "k8s_node_name",
    "node_name",
    "nodename",
    "hostname",
    "host",
    "Hostname",
    "host_name",
)
"""Labels that name the machine a server runs on."""

COLUMNS = ("namespace", "pod", "place", "address", "host", "port", "is_service", "node", "node_is_address",
    "worker")  # fmt: skip
"""Of `server_names`."""

_WORKERS = ("WorkerId", "ReplicaId", "container_id")
"""Labels that name one of several programs that are scraped at one address."""

_ADDRESS = r"^\[?[0-9a-f.:]+\]?$"
_LOCAL = r"^(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[?::1?\]?)$"
"""Every host's name for itself, which says nothing of which it is."""
_IN_CLUSTER = r"\.svc(?:\.[a-z0-9.-]+)?$"
"""The end of a name of Kubernetes' DNS."""


def make(scratch: Scratch) -> None:
    """Make `server_names`: by device_id, names as they are compared; NULL where there is none.

    Columns: `namespace`; `pod` with it; `place`, host and port, of it `address` or `host` (without its domain, where
    one domain alone has it), `port`, and whether it `is_service` of a cluster; `node`, `node_is_address`; `worker`.

    Args:
        scratch: Holds `named`.
    """
    first = {
        name: "coalesce(" + ", ".join(f"nullif(metric['{label}'], '')" for label in labels) + ")"
        for name, labels in {"place": ("exported_instance", "instance"), "node": _NODES, "worker": _WORKERS}.items()
    }
    for name in ("pod", "namespace"):
        own = f"CASE WHEN coalesce(metric['exported_instance'], '') = '' THEN nullif(metric['{name}'], '') END"
        first[name] = f"coalesce(nullif(metric['exported_{name}'], ''), {own})"
    scratch.make(
        "server_names",
        f"""
        WITH shown AS (
            SELECT device_id, any_value(metric) AS metric FROM {scratch["named"]} GROUP BY device_id
        ),
        read AS (
            SELECT device_id, {first["pod"]} AS bare_pod, {first["namespace"]} AS namespace,
                {first["worker"]} AS worker,
                lower({first["place"]}) AS written, lower({first["node"]}) AS node,
                regexp_replace(regexp_extract(written, '^(.*?)(?::[0-9]+)?$', 1), '\\.$', '') AS whole,
                regexp_matches(whole, '{_LOCAL}') AS is_local,
                nullif(regexp_extract(written, ':([0-9]+)$', 1), '') AS port
            FROM shown
        ),
        hosts AS (
            SELECT *, regexp_matches(whole, '{_ADDRESS}') AS by_address,
                regexp_matches(whole, '{_IN_CLUSTER}') AS in_cluster,
                CASE WHEN by_address THEN whole ELSE regexp_replace(whole, '{_IN_CLUSTER}', '') END AS full_name,
                CASE WHEN NOT by_address THEN nullif(split_part(full_name, '.', 1), '') END AS short
            FROM read
        ),
        spelled AS (
            SELECT *, CASE WHEN NOT by_address THEN
                CASE WHEN count(DISTINCT full_name) FILTER (full_name <> short) OVER (PARTITION BY short) > 1
                THEN full_name ELSE short END END AS host
            FROM hosts
        )
        SELECT device_id, namespace, CASE WHEN bare_pod IS NOT NULL THEN concat_ws('/', namespace, bare_pod) END AS pod,
            nullif(concat_ws(':', coalesce(host, whole), port), '') AS place,
            CASE WHEN by_address AND NOT is_local THEN whole END AS address,
            CASE WHEN NOT is_local THEN host END AS host, port, worker,
            coalesce(in_cluster AND len(full_name) - len(replace(full_name, '.', '')) = 1, false) AS is_service,
            CASE WHEN regexp_matches(node, '{_ADDRESS}') THEN node ELSE split_part(node, '.', 1) END AS node,
            coalesce(regexp_matches(node, '{_ADDRESS}'), false) AS node_is_address
        FROM spelled""",
    )


def same_pod(one: str, other: str) -> str:
    """SQL: whether two servers are in one pod; a namespace that one of them does not tell may be that of the other.

    Pods of one name that have two addresses at once are of two clusters.

    Args:
        one: Name of a row with the columns of `server_names`.
        other: Of another one.
    """
    bare = f"split_part({one}.pod, '/', -1) = split_part({other}.pod, '/', -1)"
    open_ = f"NOT contains({one}.pod, '/') OR NOT contains({other}.pod, '/')"
    address = f"coalesce({one}.address = {other}.address, true)"
    return f"coalesce(({one}.pod = {other}.pod OR ({bare} AND ({open_}))) AND {address}, false)"


def same_host(one: str, other: str) -> str:
    """SQL: whether two servers are on one host, by its address or its name.

    Args:
        one: Name of a row with the columns of `server_names`.
        other: Of another one.
    """
    return f"coalesce(coalesce({one}.address, {one}.host) = coalesce({other}.address, {other}.host), false)"


def are_two(one: str, other: str) -> str:
    """SQL: whether names say that two servers are two, and not one under a name that stands for it.

    Two workers and two pods are; two nodes, where neither a pod nor an address is the same; and, where both or neither
    have a pod: two addresses, two hosts at one port (a Service may stand for any), and two ports of one host, unless
    another program tells of the server there (`family`).

    Args:
        one: Name of a row with the columns of `server_names` and `family`.
        other: Of another one.
    """
    pods, host = same_pod(one, other), same_host(one, other)
    nodes = f"{one}.node <> {other}.node AND {one}.node_is_address = {other}.node_is_address"
    ports = f"coalesce({one}.port = {other}.port, true)"
    return f"""coalesce({one}.worker <> {other}.worker OR (NOT {pods} AND (
        ({one}.pod IS NOT NULL AND {other}.pod IS NOT NULL)
        OR ({nodes} AND NOT ({one}.address IS NOT NULL AND {one}.place = {other}.place))
        OR ({one}.pod IS NULL AND {other}.pod IS NULL AND (
            {one}.address <> {other}.address
            OR ({one}.host <> {other}.host AND {ports} AND {one}.is_service = {other}.is_service)
            OR ({host} AND NOT {ports} AND {one}.family = {other}.family))))), false)"""


def are_said_to_be_two(one: str, other: str) -> str:
    """SQL: whether the site file says that two servers are two: by `deployment_label`, or by their models.

    Args:
        one: Name of a row with `deployed` and `mapped`.
        other: Of another one.
    """
    return f"coalesce({one}.deployed <> {other}.deployed OR {one}.mapped <> {other}.mapped, false)"
