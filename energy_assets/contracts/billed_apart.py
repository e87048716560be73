"""Machines that a bill and telemetry seem to name in two ways: estimated and measured, their energy counts twice.

What belongs here: seeing from a day's energy that telemetry observed machines of which the bill knows none by name,
where the bill has machines of the same kind that nobody observed. What does not: which part of an estimate telemetry
replaces (`unified.blending`), and two names within telemetry (`told_twice`).

A machine of the bill and one of telemetry may be the same where provider and region are, no account speaks against it,
both ran in the same hour, and the accelerator is the same; telemetry that tells of no accelerator may be of any
machine. Two EC2 instance ids are two machines.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.accounts import account_keys
from energy_assets.contracts.conservation import GUESSED, KWH, NODE_NAMES, USAGE, spelled_alike
from energy_assets.contracts.joining import same
from energy_assets.contracts.proof import Proof

SHOWN = 5
"""Names that a breach has of each side; the others are counted."""
_KINDS = ("gpu", "cpu", "dram", "node", "instance", "rest_of_node")
_PLACE = ["day", "provider", "region"]
_HOST = [*_PLACE, "node_id"]
_EC2 = r"^i-[0-9a-f]{8,17}$"
_NONE = ibis.null("string")


def billed_apart(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Places in which telemetry and the bill have machines of one kind that the other does not name.

    Args:
        staged: Rows of the contract `Energy`.
        upstream: `usage_estimates` and `node_names`, as `conservation.energy_not_conserved` takes them.

    Returns:
        day, provider, region, accelerator (NULL for machines without), `observed` and `billed` (names, the first of
        them and how many more), `nodes` (lines for site.yaml where the bill has names) and estimated_kwh of the billed
        ones in hours that both have.
    """
    if USAGE not in upstream:
        return _shown(ibis.memtable([], schema=_NOTHING))
    seen = _observed(spelled_alike(staged.select("account_id", "device_model", *_COLUMNS)))
    billed = _billed(upstream, seen.select(*_PLACE).distinct())
    known, observed = billed.select(*_HOST).distinct(), seen.select(*_HOST).distinct()
    seen = seen.anti_join(known, same(seen, known, _HOST))
    billed = billed.anti_join(observed, same(billed, observed, _HOST))
    fits = _fitting(seen, billed)
    sides = [*_PLACE, "hour", "account", "model", "by_id"]
    theirs = fits.select(*sides, "family").distinct()
    names = seen.inner_join(theirs, same(seen, theirs, sides))
    names = names.select(*_PLACE, *(seen[name] for name in ("node_id",)), theirs.family).distinct()
    ours = fits.select(*_PLACE, "hour", "family", account="billed_account", by_id="billed_by_id").distinct()
    keys = [*_PLACE, "hour", "family", "account", "by_id"]
    mine = billed.semi_join(ours, same(billed, ours, keys))
    key = [*_PLACE, "family"]
    left = names.group_by(key).aggregate(observed_names=names.node_id.collect(distinct=True, order_by=names.node_id))
    right = mine.group_by(key).aggregate(
        billed_names=mine.node_id.collect(distinct=True, order_by=mine.node_id),
        named=mine.is_machine.any(),
        estimated_kwh=mine.energy_kwh.sum().round(3).cast(KWH),
    )
    both = left.inner_join(right, same(left, right, key))
    return _shown(both.select(*(left[name] for name in left.columns), *_OF_THE_BILL))


_COLUMNS = ("day", "hour", "provider", "region", "node_id", "device_kind", "method", "energy_kwh")
_OF_THE_BILL = ("billed_names", "named", "estimated_kwh")
_NOTHING = ibis.schema(
    {
        "day": "date", "provider": "string", "region": "string", "family": "string", "observed_names": "array<string>",
        "billed_names": "array<string>", "named": "boolean", "estimated_kwh": KWH,
    }
)  # fmt: skip


def _observed(rows: ir.Table) -> ir.Table:
    """Each host that telemetry observed in an hour, with its account and the accelerators it tells of."""
    told = rows.filter(~rows.method.isin(GUESSED), rows.energy_kwh.notnull(), rows.device_kind.isin(_KINDS))
    hosts = told.group_by([*_HOST, "hour"]).aggregate(
        account_id=told.account_id.min(), model=told.device_model.max(where=told.device_kind == "gpu")
    )
    return _comparable(hosts).mutate(model=_words(hosts.model))


def _billed(upstream: Mapping[str, ir.Table], seen: ir.Table) -> ir.Table:
    """Each machine of a bill in an hour, and lines of accelerators without one, under the names that `energy` has.

    Only of the days and places in which telemetry saw something.
    """
    rows, names = spelled_alike(upstream[USAGE]), spelled_alike(upstream[NODE_NAMES])
    rows = rows.semi_join(seen, same(rows, seen, _PLACE))
    machines = rows.device_kind.isin(("gpu", "cpu", "dram")) & rows.is_machine
    rows = rows.filter(machines | (rows.device_kind == "gpu"), rows.energy_kwh > 0)
    names = names.group_by([*_PLACE, "raw_node_id"]).aggregate(one=names.node_id.min())
    raw = rows.select(*_PLACE, "hour", "account_id", "is_machine", "device_kind", "device_model", "energy_kwh",
                      raw_node_id="node_id")  # fmt: skip
    both = raw.left_join(names, same(raw, names, [*_PLACE, "raw_node_id"]))
    both = both.select(*(raw[name] for name in raw.columns), names.one)
    named = both.mutate(node_id=ibis.ifelse(both.is_machine, both.one, _NONE).fill_null(both.raw_node_id))
    hosts = named.group_by([*_HOST, "hour"]).aggregate(
        account_id=named.account_id.min(),
        is_machine=named.is_machine.any(),
        family=named.device_model.max(where=named.device_kind == "gpu"),
        energy_kwh=named.energy_kwh.sum(),
    )
    # A100-40 is one of 40 GB; telemetry says so in other words, or not at all.
    family = hosts.family.re_replace(r"-[0-9]+( .*)?$|( pcie| nvl)$", "")
    return _comparable(hosts).mutate(family=_words(family))


def _comparable(hosts: ir.Table) -> ir.Table:
    by_id = (hosts.provider == "aws") & hosts.node_id.re_search(_EC2)
    return hosts.mutate(account=account_keys(hosts, "account_id"), by_id=by_id)


def _words(model: ir.StringValue) -> ir.StringValue:
    """A model as words in small letters between blanks, so that `l4` is not found in `l40s`."""
    return ibis.literal(" ").concat(model.lower().re_replace("[^a-z0-9]+", " "), " ")


def _fitting(seen: ir.Table, billed: ir.Table) -> ir.Table:
    """Kinds of both sides that may be the same machines: few rows, whatever the number of machines."""
    one = seen.select(*_PLACE, "hour", "account", "model", "by_id").distinct()
    other = billed.select(
        *(billed[key].name(f"billed_{key}") for key in (*_PLACE, "hour", "account", "by_id")), "family"
    ).distinct()
    here = [one[key].identical_to(other[f"billed_{key}"]) for key in (*_PLACE, "hour")]
    both = one.inner_join(other, here)
    accounts = (both.account == both.billed_account) | (both.account == "") | (both.billed_account == "")
    alike = both.model.isnull() | both.model.contains(both.family).fill_null(False)
    return both.filter(accounts, alike, ~(both.by_id & both.billed_by_id))


def _shown(found: ir.Table) -> ir.Table:
    alone = (found.observed_names.length() == 1) & (found.billed_names.length() == 1)
    its = ibis.ifelse(alone, _quoted(found.billed_names[0]), ibis.literal("…"))
    line = ibis.literal("- {name: ").concat(_quoted(found.observed_names[0]), ", also: [", its, "]}")
    shown = found.mutate(
        accelerator=found.family.strip().upper(),
        observed=_listed(found.observed_names),
        billed=_listed(found.billed_names),
        nodes=ibis.ifelse(found.named, line, _NONE).cast(t.TEXT),
    )
    columns = ("day", "provider", "region", "accelerator", "observed", "billed", "nodes", "estimated_kwh")
    return shown.select(*columns).order_by("day", "provider", "region", "accelerator")


def _listed(names: ir.ArrayValue) -> ir.StringValue:
    more = names.length() - SHOWN
    first = names[:SHOWN].join(", ")
    return ibis.ifelse(more > 0, first.concat(" and ", more.cast("string"), " more"), first)


def _quoted(name: ir.StringValue) -> ir.StringValue:
    return ibis.literal('"').concat(name.replace("\\", "\\\\").replace('"', '\\"'), '"')


BILLED_MACHINES_ARE_NAMED = Proof(
    "billed_machines_are_named",
    "No place has machines that telemetry observed and no bill names, and machines of the same accelerator that a bill "
    "names and nobody observed: they are probably the same, and count as measured and as estimated.",
    billed_apart,
    blocking=False,
    remedy="If they are the same, their energy counts twice until each has a line under `nodes:` in site.yaml (`name` "
    "as telemetry has it, `also` as the bill names it); a bill without ids of its resources cannot be matched: export "
    "it with them, or set `estimates: {usage: false}`. If they are others, name the `account_id` of telemetry in its "
    "`place`",
)
