"""Nodes: which names mean the same host, so that a meter and the devices it holds meet.

What belongs here: from the names sources write to one name per host and place. What does not: adding up energy.

A name loses capitals, port and trailing dot. Its domain is cut where that is unambiguous: within one place and
one UTC day, `a.dc1.example` becomes `a` unless another domain has an `a` too; then all of them keep their full
names and are marked `ambiguous`. The day decides, so that a day materialized alone and as part of a range agree;
a host that must not depend on its neighbours gets a line under `nodes` in site.yaml. Those lines come before
everything else: exact names first, then patterns in the order of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.joining import same
from energy_assets.contracts.node_names import BRACKETED_ADDRESS, DOMAIN, PORT_AND_DOT, plain_name
from energy_assets.contracts.regions import region_keys

PLACE = ["day", "provider", "region"]
NODE_NAMES = ibis.schema(
    {
        "day": "date",
        "provider": "string",
        "region": "string",
        "raw_node_id": "string",
        "node_id": "string",
        "ambiguous": "boolean",
        "unmetered": "boolean",
    }
)
"""Columns of `node_names`: a name as sources write it, the host's one name, and what is known of it.

`ambiguous`: another domain has a host of the same short name, so the full name stays. `unmetered`: the site file
says that the host has no meter.
"""

_TEMPLATE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class NodeRuleLike(Protocol):
    """A line under `nodes` in site.yaml; `energy_assets.site.NodeRule` is one."""

    @property
    def name(self) -> str:
        """The host's one name; with `match`, groups of the pattern in braces."""

    @property
    def also(self) -> Sequence[str]:
        """Other names of the same host."""

    @property
    def match(self) -> str | None:
        """A regular expression (RE2) that whole names must match."""

    @property
    def region(self) -> str | None:
        """The only region the line is for."""

    @property
    def metered(self) -> bool:
        """False where the host is known to have no meter."""


def node_names(readings: ir.Table, rules: Sequence[NodeRuleLike] = ()) -> ir.Table:
    """Every name of a node in the readings, with the one name of its host: a small table of schema `NODE_NAMES`.

    Args:
        readings: With day, provider, region and node_id; one row per reading, or fewer.
        rules: The lines under `nodes` in site.yaml.

    Returns:
        One row per day, provider, region and name.
    """
    seen = readings.select(*PLACE, raw_node_id=readings.node_id).distinct()
    named = _with_addresses(seen.mutate(full=_plain(seen.raw_node_id)))
    named = _with_rules(_with_parts(named), rules)
    free = ibis.ifelse(named.ruled.isnull(), named.domain, ibis.null("string"))
    alike = ibis.window(group_by=[*PLACE, "short"])
    named = named.mutate(ambiguous=named.ruled.isnull() & named.is_host & (free.nunique().over(alike) > 1))
    node_id = ibis.coalesce(named.ruled, ibis.ifelse(named.ambiguous, named.full, named.short))
    return named.mutate(node_id=node_id).select(*NODE_NAMES.names)


def ruled_names(names: ir.Table, rules: Sequence[NodeRuleLike]) -> ir.Table:
    """The name that the site file gives each of some hosts, asked for without looking at any of them yet.

    IPv6 addresses are found by lines that write them as the names do.

    Args:
        names: With provider, region and node_id, each once.
        rules: The lines under `nodes` in site.yaml.

    Returns:
        provider, region, raw_node_id and `ruled`, NULL where no line speaks of it.
    """
    place = PLACE[1:]
    seen = names.select(*place, raw_node_id=names.node_id, full=_plain(names.node_id))
    return _with_rules(_with_parts(seen), rules).select(*place, "raw_node_id", "ruled")


def rename_nodes(readings: ir.Table, names: ir.Table) -> ir.Table:
    """Readings with the one name of each host; the source's own spelling moves to `raw_node_id`.

    A device that is the host itself (its device_id is the host's name) is renamed with it.

    Args:
        readings: With day, provider, region, node_id and device_id.
        names: From `node_names`, for the same days.
    """
    other = names.filter(names.node_id != names.raw_node_id)
    other = other.select(*PLACE, "raw_node_id", host=other.node_id)
    rows = readings.rename(raw_node_id="node_id")
    both = rows.left_join(other, same(rows, other, [*PLACE, "raw_node_id"]))
    both = both.select(*(rows[name] for name in rows.columns), other.host)
    node_id = both.host.fill_null(both.raw_node_id)
    itself = both.device_id == both.raw_node_id
    return both.mutate(node_id=node_id, device_id=ibis.ifelse(itself, node_id, both.device_id)).drop("host")


def _with_parts(named: ir.Table) -> ir.Table:
    """Add what a name is without its domain, and the domain."""
    known = named.mutate(is_host=named.full.re_search(DOMAIN))
    return known.mutate(
        short=ibis.ifelse(known.is_host, known.full.re_replace(DOMAIN, r"\1"), known.full),
        domain=ibis.ifelse(known.is_host, known.full.re_replace(DOMAIN, r"\2"), ibis.null("string")),
    )


def _with_addresses(named: ir.Table) -> ir.Table:
    """`full` of names that are IPv6 addresses in another form than theirs: Python knows it, the database does not."""
    seen = named.filter(named.full.like("%:%:%")).select("full").distinct().order_by("full").to_pyarrow()
    forms = [(full, one) for full in seen["full"].to_pylist() if (one := plain_name(full)) != full]
    if not forms:
        return named
    known = ibis.memtable(forms, schema=ibis.schema({"long": "string", "address": "string"}))
    both = named.left_join(known, named.full == known.long)
    return both.mutate(full=both.address.fill_null(both.full)).drop("long", "address")


def _plain(name: Any) -> ir.StringValue:
    """`contracts.node_names.plain_name` of a column, but for IPv6 addresses in long forms."""
    text = name.strip().lower().re_replace(BRACKETED_ADDRESS, r"\1").re_replace(PORT_AND_DOT, r"\1")
    plain: ir.StringValue = text.nullif("").fill_null(name)
    return plain


def _with_rules(named: ir.Table, rules: Sequence[NodeRuleLike]) -> ir.Table:
    """Add `ruled`, the name the site file gives, and `unmetered`."""
    if not rules:
        return named.mutate(ruled=ibis.null("string"), unmetered=ibis.literal(False))
    for form in ("full", "short"):
        named = _with_exact(named, rules, form)
    patterns = [rule for rule in rules if rule.match is not None]
    ruled, unmetered = [named.full_name, named.short_name], [named.full_unmetered, named.short_unmetered]
    for form in ("full", "short"):
        ruled.append(_by_pattern(named, patterns, form, _replaced))
        unmetered.append(_by_pattern(named, patterns, form, lambda _, rule: ibis.literal(not rule.metered)))
    return named.mutate(ruled=ibis.coalesce(*ruled), unmetered=ibis.coalesce(*unmetered, False)).drop(
        "full_name", "short_name", "full_unmetered", "short_unmetered"
    )


def _with_exact(named: ir.Table, rules: Sequence[NodeRuleLike], form: str) -> ir.Table:
    lines = {
        (plain_name(spelling), rule.region): (plain_name(rule.name), not rule.metered)
        for rule in rules
        if rule.match is None
        for spelling in (rule.name, *rule.also)
    }
    aliases = ibis.memtable(
        [(*key, *value) for key, value in lines.items()],
        schema=ibis.schema({"spelling": "string", "only": "string", "name": "string", "no_meter": "boolean"}),
    )
    here = aliases.only.isnull() | _is_in(named, aliases.only)
    hit = named.left_join(aliases, [named[form] == aliases.spelling, here])
    return hit.group_by(named.columns).aggregate(
        **{f"{form}_name": hit.name.min(), f"{form}_unmetered": hit.no_meter.max()}
    )


def _by_pattern(
    named: ir.Table, rules: Sequence[NodeRuleLike], form: str, value: Callable[[Any, NodeRuleLike], Any]
) -> Any:
    cases = []
    for rule in rules:
        hit = named[form].re_search(_whole(rule))
        here = _is_in(named, ibis.literal(rule.region)) if rule.region else ibis.literal(True)
        cases.append((hit & here, value(named[form], rule)))
    return ibis.cases(*cases) if cases else ibis.null()


def _whole(rule: NodeRuleLike) -> str:
    # Names have lost their capitals; a pattern written with some means them all the same.
    return f"(?i)^(?:{rule.match})$"


def _is_in(named: ir.Table, region: Any) -> Any:
    """Whether rows are in a region of the site file, as their own provider spells it."""
    here, there = (region_keys(named.provider, one)[1] for one in (named.region, region))
    return here == there


def _replaced(name: Any, rule: NodeRuleLike) -> Any:
    """The rule's name with the groups of its pattern filled in, as a name is written everywhere."""
    groups = re.compile(rule.match or "").groupindex
    template = rule.name.replace("\\", "\\\\")
    return _plain(name.re_replace(_whole(rule), _TEMPLATE.sub(lambda found: f"\\{groups[found[1]]}", template)))
