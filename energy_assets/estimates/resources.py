"""Resources of bills: under which name a machine's own telemetry knows it.

What belongs here: from ResourceId to a name. What does not: names that people gave (`nodes` of site.yaml).
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

EC2 = r"(?:^|[/:])(i-[0-9a-f]{8,17})(?:$|[/])"
GOOGLE = r"(?i)/instances/([^/]+)$"
AZURE = r"(?i)/virtualmachines/([^/]+)$"
AZURE_SET = r"(?i)/virtualmachinescalesets/([^/]+)/virtualmachines/([0-9]+)$"


def machine_names(lines: ir.Table) -> ir.Table:
    """Lines with `node_id`, the resource they are of, and `is_machine`, whether it is a machine with a name of its own.

    An EC2 instance is known by its id; a machine of Google or Azure by the last part of its resource's path, as its
    own exporters name the host. Where two resources of a region end alike, both keep their whole path. A line without
    a resource is of its account and service.

    Args:
        lines: With provider, account_id, region, resource_id and service.
    """
    resource = lines.resource_id.nullif("")
    by_provider = {"aws": resource.re_extract(EC2, 1), "gcp": resource.re_extract(GOOGLE, 1)}
    azure = ibis.coalesce(_set_member(resource).nullif(""), resource.re_extract(AZURE, 1))
    cases = [(lines.provider == name, found) for name, found in by_provider.items()]
    short = ibis.cases(*cases, (lines.provider == "azure", azure), else_=ibis.null("string")).nullif("").lower()
    whole = ibis.coalesce(resource, ibis.literal("/").join([lines.account_id.fill_null(""), lines.service]))
    rows = lines.mutate(short=short, whole=whole)
    alike = ibis.window(group_by=["provider", "region", "short"])
    shared = (rows.whole.lower().max().over(alike) != rows.whole.lower().min().over(alike)) & (rows.provider != "aws")
    named = rows.mutate(
        node_id=ibis.ifelse(rows.short.isnull() | shared, rows.whole, rows.short), is_machine=rows.short.notnull()
    )
    return named.drop("short", "whole")


def _set_member(resource: Any) -> Any:
    """The host name of a machine in an Azure scale set: the set's name, or both parts as the bill writes them."""
    name, number = resource.re_extract(AZURE_SET, 1), resource.re_extract(AZURE_SET, 2)
    return ibis.ifelse(name == "", "", name.concat("_", number))
