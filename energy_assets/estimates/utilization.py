"""Measured utilization for estimates: which readings are of which machine of a bill, and what is taken of them.

What belongs here: matching names, the part of an hour that was measured, and the load taken. What does not: reading
exports (`sources.utilization_files`), and energy (`usage`). The arithmetic is `watts.load_taken`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.joining import same
from energy_assets.contracts.nodes import PLACE, NodeRuleLike, node_names, ruled_names
from energy_assets.contracts.raw import UtilizationReadings
from energy_assets.estimates.resources import machine_names

MACHINE = ("hour", "provider", "account_id", "region", "node_id")
MEASURED = ("measured", "measured_coverage")


def readings_of(tables: Sequence[ir.Table], rules: Sequence[NodeRuleLike] = ()) -> ir.Table:
    """The readings of all sources, with the names of their machines.

    Args:
        tables: Rows of the contract `UtilizationReadings`, of one source each.
        rules: The lines under `nodes` in site.yaml.

    Returns:
        Columns of the contract, and `told_by`, the number of the source; `node_id`, the machine by its resource;
        `host`, its one name (`contracts.nodes`); `ruled`, that name where a line of the site file gives it.
    """
    columns = list(schema_of(UtilizationReadings))
    parts = [table.select(*columns, told_by=ibis.literal(number)) for number, table in enumerate(tables)]
    whole = ibis.union(*parts) if len(parts) > 1 else parts[0]
    named = machine_names(whole.mutate(service=ibis.literal(""))).drop("service", "is_machine")
    hosts = node_names(named).select(*PLACE, "raw_node_id", own="node_id")
    known = named.left_join(hosts, [*same(named, hosts, PLACE), named.node_id.identical_to(hosts.raw_node_id)])
    return (
        _ruled(known.select(*named.columns, "own"), rules)
        .mutate(host=lambda row: row.ruled.fill_null(row.own))
        .drop("own")
    )


def with_measured(rows: ir.Table, readings: ir.Table | None, rules: Sequence[NodeRuleLike] = ()) -> ir.Table:
    """Rows with `measured`, the utilization read of their machine, component and hour, and `measured_coverage`.

    A reading is of a machine if it is of the same provider and hour, of no other region, and names it as the bill or
    its own telemetry does (`resources.machine_names`), or as the site file says (`contracts.nodes`); two paths of
    resources must be the same path. A name that means several resources of one source is of none of them, unless a line
    of the site file makes them one.

    Args:
        rows: With the columns of `MACHINE`, `resource` (ResourceId in small letters, or NULL) and `device_kind`.
        readings: From `readings_of`; None where the site has none.
        rules: The lines under `nodes` in site.yaml.

    Returns:
        The same rows; NULL where nothing was read.
    """
    if readings is None:
        return rows.mutate(measured=ibis.null("float64"), measured_coverage=ibis.null("float64"))
    key = [*MACHINE, "device_kind"]
    # The keys take other names: what is matched is made of these rows, and a name must not mean both sides.
    found = _matched(rows.select(*MACHINE, "resource").distinct(), readings, rules).rename(
        {f"of_{name}": name for name in key}
    )
    both = rows.left_join(found, [rows[name].identical_to(found[f"of_{name}"]) for name in key])
    return both.select(*rows.columns, *MEASURED)


def _matched(machines: ir.Table, readings: ir.Table, rules: Sequence[NodeRuleLike]) -> ir.Table:
    """What was read of each machine, component and hour of which it is certain that it is meant."""
    billed = _ruled(machines, rules)
    wanted = _by_name(billed, billed.node_id, billed.resource, billed.ruled)
    read = _by_name(readings, readings.node_id, readings.resource_id, readings.host).select(
        "name", "hour", "provider", "component", "utilization", "coverage", "told_by",
        read_region="region", read_path="resource_id", read_id=ibis.coalesce(readings.ruled, readings.resource_id),
    )  # fmt: skip
    both = wanted.inner_join(read, ["name", "hour", "provider"])
    here = both.read_region.isnull() | both.region.isnull() | (_plain(both.read_region) == _plain(both.region))
    fits = both.filter(here, _same_path(both.resource, both.read_path.lower()))
    key = [*MACHINE, "component"]
    each = fits.select(*key, "told_by", "read_id", "utilization", "coverage").distinct()
    # Of several that read one machine the one that saw more of the hour counts, then the higher load.
    best = ibis.struct({"a": each.coverage, "b": each.utilization}).max()
    told = each.group_by(*key, "told_by").aggregate(resources=each.read_id.nunique(), best=best)
    sure = told.filter(told.resources == 1)
    one = sure.group_by(key).aggregate(best=sure.best.max())
    return one.select(
        *MACHINE,
        device_kind=one.component,
        measured=one.best["b"].cast("float64"),
        measured_coverage=one.best["a"].cast("float64"),
    )


def _ruled(rows: ir.Table, rules: Sequence[NodeRuleLike]) -> ir.Table:
    """Rows with `ruled`, the name that the site file gives their machine."""
    if not rules:
        return rows.mutate(ruled=ibis.null("string"))
    key = ("provider", "region", "node_id")
    names = ruled_names(rows.select(*key).distinct(), rules).rename(
        of_provider="provider", of_region="region", of_node_id="raw_node_id"
    )
    both = rows.left_join(names, [rows[name].identical_to(names[f"of_{name}"]) for name in key])
    return both.select(*rows.columns, "ruled")


def _by_name(rows: ir.Table, *names: Any) -> ir.Table:
    """Each row under each of its names, in small letters."""
    spelled = ibis.array([name.lower() for name in names])
    return rows.mutate(name=spelled.unique().unnest()).filter(lambda found: found.name.notnull())


def _same_path(resource: Any, read: Any) -> Any:
    """Whether two names may be of one resource: of two paths, one must end as the other does."""
    paths = resource.contains("/") & read.contains("/")
    return ~paths.fill_null(False) | resource.endswith(read) | read.endswith(resource)


def _plain(region: Any) -> Any:
    return region.lower().replace(" ", "")


def loaded(rows: ir.Table, *, measured: bool = True) -> ir.Table:
    """Rows with `taken`, the utilization that their energy is made with, `covered` and `pct`, the interval.

    `watts.load_taken`, `watts.open_load_pct` and `watts.in_squares` on many rows. A machine that ran for part of the
    hour is covered by the share of that part: its readings cannot cover more.

    Args:
        rows: From `with_measured`, with idle_kwh, slope_kwh, utilization (the default), default_pct, known_pct,
            quantity and instance_hours.
        measured: False where the site has no readings at all.
    """
    if not measured:
        return rows.mutate(taken=rows.utilization, covered=ibis.literal(0.0), pct=rows.default_pct)
    ran = (
        (rows.quantity.cast("float64") * rows.instance_hours)
        .sum()
        .over(ibis.window(group_by=[*MACHINE, "device_kind"]))
    )
    hours = ibis.ifelse((ran > 0) & (ran < 1), ran, 1.0)
    within = ibis.ifelse(rows.measured.isnull() | (rows.slope_kwh == 0), 0.0, rows.measured_coverage / hours)
    known = rows.mutate(covered=ibis.ifelse(within > 1, 1.0, within))
    taken = known.covered * known.measured.fill_null(0.0) + (1 - known.covered) * known.utilization
    made = known.mutate(taken=taken)
    load = made.idle_kwh + made.taken * made.slope_kwh
    rest = ibis.greatest(made.utilization, 1 - made.utilization)
    open_pct = (1 - made.covered) * made.slope_kwh * rest / load.nullif(0.0) * 100
    # Unknown where that of the watts is: the open part alone would narrow to nothing as more of the load is measured.
    partly = (open_pct * open_pct + made.known_pct * made.known_pct).sqrt()
    return made.mutate(pct=ibis.ifelse(made.covered > 0, partly, made.default_pct))
