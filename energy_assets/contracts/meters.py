"""Statements about meters: they hold what their devices report, and each device is in one of them.

What belongs here: findings that a person must settle, from raw and staged rows alone. They withhold nothing: the
energy is the best that is known, and the check says where it may be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.conservation import NODE_NAMES, readings_of, spelled_alike, uuids_of, with_thing
from energy_assets.contracts.proof import Proof

KWH = "decimal(38, 9)"
COMPONENTS = ["cpu", "dram", "gpu"]
PLACE = ["day", "provider", "region"]
MACHINE = [*PLACE, "node_id", "hour"]


def overdrawn(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Nodes and hours whose devices report more than the node's meter: the meter is wrong, or a device is.

    Args:
        staged: Rows of the contract `Energy`.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, node_id, hour, node_kwh and inside_kwh.
    """
    readings = readings_of(upstream)
    meters = readings.filter((readings.device_kind == "node") & readings.energy_kwh.notnull())
    by_source = meters.group_by([*MACHINE, "table", "name"]).aggregate(kwh=meters.energy_kwh.sum().cast(KWH))
    nodes = by_source.group_by(MACHINE).aggregate(node_kwh=by_source.kwh.max())
    devices = spelled_alike(staged.filter(staged.device_kind.isin(COMPONENTS)))
    inside = devices.group_by(MACHINE).aggregate(inside_kwh=devices.energy_kwh.sum().cast(KWH))
    both = nodes.inner_join(inside, [nodes[key].identical_to(inside[key]) for key in MACHINE])
    rows = both.select(*(nodes[key] for key in MACHINE), nodes.node_kwh, inside.inside_kwh)
    return rows.filter(rows.inside_kwh > rows.node_kwh).order_by("node_id", "hour")


def unmatched(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Nodes of which only the meter or only devices were seen, in places that have both on that day.

    Such a pair is one host under two names, counted twice, or a host without a meter. `nodes` in site.yaml says
    which: `also` joins names, `metered: false` says that there is no meter.

    Args:
        staged: Rows of the contract `Energy`; only the raw readings matter.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, node_id and `finding`: 'devices without a meter' or 'a meter without devices'.
    """
    rows = readings_of(upstream)
    nodes = rows.group_by([*PLACE, "node_id"]).aggregate(
        metered=(rows.device_kind == "node").any(), filled=rows.device_kind.isin(COMPONENTS).any()
    )
    window = ibis.window(group_by=PLACE)
    nodes = nodes.mutate(both=nodes.metered.any().over(window) & nodes.filled.any().over(window))
    names = upstream[NODE_NAMES]
    excused = spelled_alike(names.filter(names.unmetered).select(*PLACE, "node_id").distinct())
    found = nodes.filter(nodes.both & (nodes.metered != nodes.filled))
    found = found.anti_join(excused, [found[key].identical_to(excused[key]) for key in (*PLACE, "node_id")])
    finding = ibis.ifelse(found.filled, "devices without a meter", "a meter without devices")
    return found.select(*PLACE, "node_id", finding=finding).order_by([*PLACE, "node_id"])


SHOWN = 5
"""Hosts that a breach names; the others are counted."""


def uncovered(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Places with devices without a meter, and their meters without devices, a row for each day and place.

    Meters alone double nothing: a storage server is one. Beside devices without a meter they may be of the same hosts.

    Args:
        staged: Rows of the contract `Energy`; only the raw readings matter.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, devices_without_meter and meters_without_devices (the first names of each), and how many
        hosts and meters these are.
    """
    found = unmatched(staged, upstream)
    filled = found.finding == "devices without a meter"

    def names(which: ir.BooleanColumn) -> ir.StringValue:
        return found.node_id.collect(where=which, order_by=found.node_id)[:SHOWN].join(", ")

    places = found.group_by(PLACE).aggregate(
        devices_without_meter=names(filled), meters_without_devices=names(~filled), hosts=filled.sum(),
        meters=(~filled).sum(),
    )  # fmt: skip
    return places.filter(places.hosts > 0).order_by(PLACE)


def split(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Hosts of GPUs alone and hosts of CPUs or memory alone, in places without a node meter that have both.

    Such a pair may be one machine under two names. Its energy counts once, but figures by host are split.

    Args:
        staged: Rows of the contract `Energy`; only the raw readings matter.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, node_id and `finding`: 'gpus alone' or 'cpus alone'.
    """
    rows = readings_of(upstream)
    nodes = rows.group_by([*PLACE, "node_id"]).aggregate(
        metered=(rows.device_kind == "node").any(),
        gpus=(rows.device_kind == "gpu").any(),
        cpus=rows.device_kind.isin(["cpu", "dram"]).any(),
    )
    window = ibis.window(group_by=PLACE)
    alone = nodes.mutate(
        unmetered=~nodes.metered.any().over(window),
        both=(nodes.gpus & ~nodes.cpus).any().over(window) & (nodes.cpus & ~nodes.gpus).any().over(window),
    )
    found = alone.filter(alone.unmetered & alone.both & (alone.gpus != alone.cpus))
    finding = ibis.ifelse(found.gpus, "gpus alone", "cpus alone")
    return found.select(*PLACE, "node_id", finding=finding).order_by([*PLACE, "node_id"])


def ambiguous(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Hosts of one place whose short name another domain has too, so that both keep their full names.

    A meter that writes the short name alone belongs to neither, and on a day without the other one the host goes
    by its short name. A line under `nodes` in site.yaml settles it.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region and node_id, the full name.
    """
    names = upstream[NODE_NAMES]
    return names.filter(names.ambiguous).select(*PLACE, "node_id").distinct().order_by([*PLACE, "node_id"])


def told_on_several(readings: ir.Table) -> ir.Table:
    """GPUs that are told of on several hosts in one hour, by their UUID.

    Args:
        readings: From `conservation.readings_of`.

    Returns:
        day, provider, region, node_id, hour and uuid (capitals), a row for each of the hosts.
    """
    told = with_thing(readings.filter(readings.device_kind == "gpu"), uuids_of(readings))
    told = told.filter(told.uuid.notnull()).select(*MACHINE, "uuid").distinct()
    hosts = told.mutate(hosts=told.count().over(ibis.window(group_by=["hour", "uuid"])))
    return hosts.filter(hosts.hosts > 1).drop("hosts")


def scattered(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """GPUs that count on one host while a source says they are in another one, whose meter holds them as well.

    A GPU counts once, by its UUID, and is taken off the meter of the host it counts on. If it really is in the
    other host, that host's meter counts it again.

    Args:
        staged: Rows of the contract `Energy`.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region and node_id of the metered host, uuid, and counted_on: the host it counts on.
    """
    readings = readings_of(upstream)
    container = readings.device_kind.isin(["node", "instance"])
    meters = readings.filter(container & readings.energy_kwh.notnull()).select(*MACHINE).distinct()
    told = told_on_several(readings)
    told = told.semi_join(meters, [told[key].identical_to(meters[key]) for key in MACHINE])
    counted = with_thing(spelled_alike(staged.filter(staged.device_kind == "gpu")), uuids_of(readings))
    counted = counted.select("hour", "uuid", **{f"on_{key}": counted[key] for key in ("provider", "region", "node_id")})
    both = told.inner_join(counted, ["hour", "uuid"])
    apart = ibis.or_(*(~both[key].identical_to(both[f"on_{key}"]) for key in ("provider", "region", "node_id")))
    rows = both.filter(apart).select(*PLACE, "node_id", "uuid", counted_on="on_node_id")
    return rows.distinct().order_by([*PLACE, "node_id", "uuid"])


METERS_HOLD_DEVICES = Proof(
    "meters_hold_devices",
    "No node's devices report more energy than its own meter; where they do, the devices are believed.",
    overdrawn,
    blocking=False,
)
METERS_COVER_DEVICES = Proof(
    "meters_cover_devices",
    "In a place with node meters, every node with devices has a meter. Where not, and where meters are left without "
    "devices, one host may go by two names and count twice: say so under `nodes` in site.yaml (`also`, or "
    "`metered: false`).",
    uncovered,
    blocking=False,
    remedy="One machine under two names counts twice: join its names with `also` under `nodes` in site.yaml, or say "
    "`metered: false` of a host without a meter; the command `doctor` prints the lines",
)
GPUS_HAVE_ONE_HOST = Proof(
    "gpus_have_one_host",
    "No GPU counts on one host while a source says that it is in another one with a meter of its own, which would "
    "count it again: say under `nodes` in site.yaml that both are one host (`also`), or mend the host's name where "
    "it is wrong.",
    scattered,
    blocking=False,
    remedy="If both are one host, join the names with `also` under `nodes` in site.yaml, else its energy counts twice; "
    "if the GPU is in one of them alone, mend the source that says otherwise",
)
HOST_NAMES_ARE_UNAMBIGUOUS = Proof(
    "host_names_are_unambiguous",
    "No two hosts of a place differ in their domain alone. Where they do, both keep their full names: say under "
    "`nodes` in site.yaml that they are one host (`also`), or name each, so that no day depends on its neighbours.",
    ambiguous,
    blocking=False,
)
