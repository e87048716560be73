"""Proof that `energy` holds every kWh of its raw tables once; shares no code with the transform it proves.

What belongs here: the statement, from raw and staged rows alone. What does not: how overlaps are resolved.

The statement, per place and hour. A thing (a GPU with a UUID wherever it is, in any place; any other device on its
host, by its kind and name) is told of by contributors: a source under one of the names it gives the host. Its energy
lies between the smallest and the largest amount that one of them observed, and where only one did, it is that amount
exactly. A machine's energy is its largest account of itself: of its instance, its node meter, or the sum of its
devices; an estimate of a container says nothing where something inside was measured. What was estimated from a bill is
there as it was estimated, or with less where telemetry of its machine was observed in that hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.fingerprint import row_hash
from energy_assets.contracts.regions import region_keys
from energy_assets.contracts.rescaling import rescaled

KWH = "decimal(38, 9)"
PLACES, NODE_NAMES, USAGE, READINGS = "places", "node_names", "usage_estimates", "readings"
_DEVICES = ("cpu", "dram", "gpu", "rest_of_node")
_MACHINE_KINDS = ("instance", "node", *_DEVICES)
GUESSED = ("estimated_utilization", "estimated_capacity", "spend_proxy")
_UUID = "(?i)^.*[0-9a-z]{8}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{12}.*$"
_NO_UUID = "(?i)^.*(00000000-0000-0000-0000-000000000000|ffffffff-ffff-ffff-ffff-ffffffffffff).*$"
_COLUMNS = ["day", "hour", "provider", "region", "node_id", "device_id", "device_kind", "method", "energy_kwh"]
_ASIDE = {"device_uuid": t.TEXT, "raw_sha256": t.TEXT, "coverage": t.SHARE}
"""Columns of readings that a raw table may lack, with their types."""
_NONE = ibis.null("string")


def energy_not_conserved(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Machines and devices whose staged energy is not what their raw tables tell.

    Args:
        staged: Rows of the contract `Energy` that are about to be published.
        upstream: Raw tables by their name in the lake (rows of `EnergyReadings`); `places` with table, provider
            and region: where the rows of each raw table are unless they say it themselves; `node_names` with day,
            provider, region, raw_node_id and node_id; `usage_estimates` where bills are estimated.

    Returns:
        day, provider and region (as `region_keys` spells them), node_id, hour, `what` ('machine', or the device) and
        gap_kwh: how much too much, or, below zero, how much was lost. No rows where all is well.
    """
    compared = _compared(staged, upstream)
    days = _suspect_days(compared)
    if not days:
        return ibis.memtable([], schema=_BREACH)
    return _apart(compared.filter(compared.day.isin(days)))


def _compared(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Of every device and machine in every hour its bounds and what was found, on rows of their own."""
    readings = readings_of(upstream)
    uuids = uuids_of(readings)
    things = _things(readings, uuids)
    found = with_thing(spelled_alike(staged.select(*_COLUMNS)), uuids)
    given = [_devices_expected(things), _machines_expected(things)]
    if USAGE in upstream:
        guessed = _estimates(upstream, readings)
        given += [_devices_guessed(guessed), _machines_guessed(guessed)]
    rows = [*map(_expected, given), _actual(_devices_found(found)), _actual(_machines_found(found))]
    return ibis.union(*rows, distinct=False)


def _suspect_days(rows: ir.Table) -> list[date]:
    """Days on which something may lie outside its bounds: what is known by many texts is added up under their hash.

    Nearly always there is none, and adding up under the texts themselves takes ten times as long.
    """
    hashed = rows.select("day", "lo", "hi", "kwh", key=row_hash([rows[name] for name in _COMPARED]))
    sums = _summed(hashed, ["day", "key"])
    found: list[date] = sums.filter(_gap(sums) != 0).select("day").distinct().to_pyarrow()["day"].to_pylist()
    return found


def readings_of(upstream: Mapping[str, ir.Table]) -> ir.Table:
    """All raw readings with their place, spelled as `region_keys` does, and the one name of their host.

    Args:
        upstream: As `energy_not_conserved` takes it; `readings` is what this function made of it, where it was noted
            for many proofs.
    """
    if READINGS in upstream:
        return upstream[READINGS]
    places, names = upstream[PLACES], spelled_alike(upstream[NODE_NAMES])
    names = names.group_by(["day", "provider", "region", "raw_node_id"]).aggregate(node_id=names.node_id.min())
    parts = []
    for name, rows in upstream.items():
        if name in (PLACES, NODE_NAMES, USAGE):
            continue
        optional = {"provider": t.TEXT, "region": t.TEXT, **_ASIDE}
        own = {key: rows[key] if key in rows.columns else ibis.null(kind) for key, kind in optional.items()}
        parts.append(rows.mutate(table=ibis.literal(name), **own).select("table", *_COLUMNS, *_ASIDE))
    rows = ibis.union(*parts) if parts else _no_readings(places)
    stands = places.select(table="table", place_provider="provider", place_region="region")
    rows = rows.left_join(stands, "table")
    # A row that names another provider than its source's block does not stand in the block's region.
    here = rows.provider.isnull() | (rows.provider.strip().lower() == rows.place_provider.strip().lower())
    region = ibis.ifelse(here, ibis.coalesce(rows.region, rows.place_region), rows.region)
    provider = ibis.coalesce(rows.provider, rows.place_provider)
    rows = spelled_alike(rows.mutate(provider=provider, region=region).select("table", *_COLUMNS, *_ASIDE))
    keys = [rows[key].identical_to(names[key]) for key in ("day", "provider", "region")]
    named = rows.left_join(names, [*keys, rows.node_id == names.raw_node_id])
    node = ibis.coalesce(names.node_id, rows.node_id)
    device = ibis.ifelse(rows.device_id == rows.node_id, node, rows.device_id)
    kept = ("table", "day", "hour", "provider", "region", "device_kind", *_ASIDE, "method", "energy_kwh")
    plain = [rows[key] for key in kept]
    return named.select(*plain, name=rows.node_id, node_id=node, device_id=device)


def spelled_alike(rows: ir.Table) -> ir.Table:
    """Rows with provider and region as they are compared, whatever spelling whoever made the rows chose for them.

    Args:
        rows: With provider and region.
    """
    seen = rows.select("provider", "region").distinct()
    provider, region = region_keys(seen.provider, seen.region)
    keys = seen.select(seen_provider="provider", seen_region="region", key_provider=provider, key_region=region)
    same = [rows[key].identical_to(keys[f"seen_{key}"]) for key in ("provider", "region")]
    both = rows.inner_join(keys, same)
    return both.mutate(provider=both.key_provider, region=both.key_region).select(*rows.columns)


def uuids_of(readings: ir.Table) -> ir.Table:
    """Every day's UUIDs of GPUs, in capitals: what a source says is one, and what has the form of one.

    Args:
        readings: From `readings_of`.

    Returns:
        day and uuid.
    """
    formed = readings.device_id.re_search(_UUID) & ~readings.device_id.re_search(_NO_UUID)
    gpus = readings.filter(readings.device_kind == "gpu")
    one = ibis.coalesce(gpus.device_uuid, ibis.ifelse(formed, gpus.device_id, _NONE)).upper()
    gpus = gpus.select("day", uuid=one)
    return gpus.filter(gpus.uuid.notnull()).distinct()


def with_thing(rows: ir.Table, uuids: ir.Table) -> ir.Table:
    """Add what the energy is of, `thing`, its `uuid` if it has one, and where it is, NULL for what is one anywhere.

    Args:
        rows: With day, provider, region, node_id, device_id and device_kind.
        uuids: From `uuids_of`.

    Returns:
        The rows with `uuid` (capitals), `thing`, `at_provider` and `at_region`.
    """
    named = rows.mutate(capitals=ibis.ifelse(rows.device_kind == "gpu", rows.device_id.upper(), _NONE))
    both = named.left_join(uuids, [named.day == uuids.day, named.capitals == uuids.uuid])
    rows = both.select(*(named[name] for name in rows.columns), uuids.uuid)
    anywhere = rows.uuid.notnull()
    return rows.mutate(
        thing=ibis.ifelse(anywhere, rows.uuid, rows.node_id.concat("/", rows.device_id)),
        at_provider=ibis.ifelse(anywhere, _NONE, rows.provider),
        at_region=ibis.ifelse(anywhere, _NONE, rows.region),
    )


def _things(readings: ir.Table, uuids: ir.Table) -> ir.Table:
    """The smallest and largest amount read of each thing's hour on each host, and on how many hosts it was seen."""
    rows = with_thing(readings, uuids)
    thing = ["day", "hour", "at_provider", "at_region", "device_kind", "thing"]
    keys = [*thing, "provider", "region", "node_id"]
    by = rows.group_by([*keys, "table", "name"]).aggregate(
        kwh=rows.energy_kwh.sum().cast(KWH), guessed=rows.method.isin(GUESSED).all()
    )
    by = by.filter(by.kwh.notnull())
    hosts = by.group_by(keys).aggregate(lo=by.kwh.min(), hi=by.kwh.max(), guessed=by.guessed.all())
    return hosts.mutate(hosts=hosts.node_id.count().over(ibis.window(group_by=thing)))


_KEYS = ["day", "hour", "provider", "region", "node_id", "what"]
_COMPARED = [*_KEYS, "device_kind"]
"""What is known by one name and is of two kinds is two things."""


def _devices_expected(things: ir.Table) -> ir.Table:
    devices = things.filter(~things.device_kind.isin(["node", "instance", "rest_of_node"]))
    devices = devices.mutate(what=devices.thing, provider=devices.at_provider, region=devices.at_region)
    keys = ["day", "hour", "provider", "region", "what", "device_kind"]
    bounds = devices.group_by(keys).aggregate(lo=devices.lo.min(), hi=devices.hi.max())
    return bounds.mutate(node_id=ibis.null("string"))


def _devices_found(found: ir.Table) -> ir.Table:
    devices = found.filter(~found.device_kind.isin(["node", "instance", "rest_of_node"]))
    return devices.mutate(
        node_id=ibis.null("string"), what=devices.thing, provider=devices.at_provider, region=devices.at_region
    )


def _machines_expected(things: ir.Table) -> ir.Table:
    """Bounds of each machine; a thing seen under several hosts may count on any of them."""
    rows = things.filter(things.device_kind.isin(_MACHINE_KINDS))
    rows = rows.mutate(level=ibis.cases((rows.device_kind == "instance", 3), (rows.device_kind == "node", 2), else_=1))
    keys = ["day", "hour", "provider", "region", "node_id"]
    window = ibis.window(group_by=keys)
    measured = ibis.ifelse(rows.guessed, ibis.literal(9), rows.level).min().over(window)
    rows = rows.mutate(innermost=measured)
    rows = rows.filter(~(rows.guessed & (rows.level > 1) & (rows.innermost < rows.level)))
    none = ibis.literal(0).cast(KWH)
    levels = rows.group_by([*keys, "level"]).aggregate(
        lo=ibis.ifelse(rows.hosts == 1, rows.lo, none).sum().cast(KWH), hi=rows.hi.sum().cast(KWH)
    )
    bounds = levels.group_by(keys).aggregate(lo=levels.lo.max(), hi=levels.hi.max())
    return bounds.mutate(what=ibis.literal("machine"), device_kind=_NONE)


def _no_readings(places: ir.Table) -> ir.Table:
    """Readings of a site whose energy is all estimated."""
    kinds = {"table": t.TEXT, "day": t.DAY, "hour": t.HOUR, "energy_kwh": t.MEASURED, **_ASIDE}
    unknown = {name: ibis.null(kinds.get(name, t.TEXT)) for name in ("table", *_COLUMNS, *_ASIDE)}
    return places.filter(ibis.literal(False)).select(**unknown)


def _estimates(upstream: Mapping[str, ir.Table], readings: ir.Table) -> ir.Table:
    """What was estimated of each component, with its least: nothing where telemetry of its machine was observed."""
    rows = spelled_alike(upstream[USAGE])
    plain = ["day", "hour", "provider", "region", "node_id", "device_id", "device_kind"]
    known = rows.filter(rows.energy_kwh.notnull()).mutate(kwh=rescaled(rows.energy_kwh, KWH))
    others = known.filter(~known.is_machine).select(*plain, lo="kwh", hi="kwh")
    machines = known.filter(known.is_machine).select(*plain, hi="kwh")
    return others.union(_with_least(_renamed(machines, upstream[NODE_NAMES]), readings).select(*others.columns))


def _renamed(machines: ir.Table, node_names: ir.Table) -> ir.Table:
    """Machines under the one name of their host; most keep theirs, so that few names are joined."""
    names = spelled_alike(node_names)
    other = names.filter(names.node_id != names.raw_node_id)
    keys = ["day", "provider", "region"]
    other = other.group_by([*keys, "raw_node_id"]).aggregate(host=other.node_id.min())
    here = [machines[key].identical_to(other[key]) for key in keys]
    both = machines.left_join(other, [*here, machines.node_id == other.raw_node_id])
    columns = [machines[name] for name in machines.columns if name != "node_id"]
    return both.select(*columns, node_id=ibis.coalesce(other.host, machines.node_id)).view()


def _with_least(machines: ir.Table, readings: ir.Table) -> ir.Table:
    """Add `lo`: 0 where telemetry of the machine was observed in the hour, else all of it."""
    told = readings.filter(readings.energy_kwh.notnull() & ~readings.method.isin(GUESSED))
    machine = ["day", "hour", "provider", "region", "node_id"]
    told = told.select(*machine).distinct().mutate(told=ibis.literal(True))
    both = machines.left_join(told, [machines[key].identical_to(told[key]) for key in machine])
    least = ibis.ifelse(told.told.fill_null(False), ibis.literal(0).cast(KWH), machines.hi)
    return both.select(*(machines[name] for name in machines.columns), lo=least)


def _devices_guessed(guessed: ir.Table) -> ir.Table:
    devices = guessed.filter(~guessed.device_kind.isin(["node", "instance", "rest_of_node"]))
    return devices.mutate(what=devices.node_id.concat("/", devices.device_id), node_id=_NONE)


def _machines_guessed(guessed: ir.Table) -> ir.Table:
    return guessed.filter(guessed.device_kind.isin(_MACHINE_KINDS)).mutate(
        what=ibis.literal("machine"), device_kind=_NONE
    )


def _machines_found(found: ir.Table) -> ir.Table:
    return found.filter(found.device_kind.isin(_MACHINE_KINDS)).mutate(what=ibis.literal("machine"), device_kind=_NONE)


def _expected(given: ir.Table) -> ir.Table:
    none = ibis.literal(0).cast(KWH)
    return given.select(*_COMPARED, lo=given.lo.cast(KWH), hi=given.hi.cast(KWH), kwh=none)


def _actual(found: ir.Table) -> ir.Table:
    none = ibis.literal(0).cast(KWH)
    return found.select(*_COMPARED, lo=none, hi=none, kwh=found.energy_kwh.cast(KWH).fill_null(none))


def _summed(rows: ir.Table, keys: list[str]) -> ir.Table:
    return rows.group_by(keys).aggregate(**{name: rows[name].sum().cast(KWH) for name in ("lo", "hi", "kwh")})


def _gap(sums: ir.Table) -> ir.DecimalValue:
    """How far the energy found lies outside its bounds."""
    none = ibis.literal(0).cast(KWH)
    gap = ibis.cases((sums.kwh > sums.hi, sums.kwh - sums.hi), (sums.kwh < sums.lo, sums.kwh - sums.lo), else_=none)
    far: ir.DecimalValue = gap.cast(KWH)
    return far


_BREACH = ibis.schema(
    {name: {"day": t.DAY, "hour": t.HOUR, "gap_kwh": KWH}.get(name, t.TEXT) for name in (*_KEYS, "gap_kwh")}
)
"""Columns of a breach."""


def _apart(rows: ir.Table) -> ir.Table:
    """Keys whose found energy lies outside the bounds."""
    sums = _summed(rows, _COMPARED)
    apart = sums.mutate(gap_kwh=_gap(sums))
    return apart.filter(apart.gap_kwh != 0).select(*_KEYS, "gap_kwh")
