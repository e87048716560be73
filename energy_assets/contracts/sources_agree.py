"""Statements about what several sources tell: of one device the same, and of two devices not the very same.

What belongs here: findings that a person must settle, from raw rows alone. They withhold nothing: which source counts
is the rule of the transform, and the check says where it may be the wrong one, or one thing counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.conservation import (
    GUESSED,
    KWH,
    NODE_NAMES,
    readings_of,
    spelled_alike,
    uuids_of,
    with_thing,
)
from energy_assets.contracts.meters import COMPONENTS, told_on_several
from energy_assets.contracts.proof import Proof

APART = 1.25
"""How many times as much one source may tell of a device as another one: instruments of one device differ by less."""
LEAST_HOURS = 6
"""Hours of a day that are compared at least: one torn hour is no contradiction."""
PART = Decimal("0.9")
"""The share of an hour below which its source did not observe the whole of it."""
SIDE_BY_SIDE = Decimal("1.05")
"""Shares of an hour of two sources that add up to more than this were observed by both at once, at least in part."""
LEAST_VALUES = 3
"""Different amounts that equal days must have at least: machines that idle alike are not one."""
NEARLY = 0.9
"""So large a share of the hours must be equal: a copy may have been cut, or have gone on for a little."""
MANY = 20
"""More devices with the same amount in an hour are machines that idle alike, or a tester's."""
SHOWN = 5
"""Devices that a breach names; the others are counted."""


def contradicting(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Devices of which two sources tell much different energies of the same hours; the first that counts hides it.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, device_kind, thing (node/device, or the UUID), and the least and the most that a source tells of the hours
        which both know (`least_kwh` by `least_source`, `most_kwh` by `most_source`).
    """
    by = _by_source(readings_of(upstream))
    hours = by.mutate(sources=by.table.nunique().over(ibis.window(group_by=[*_THING, "hour"])))
    known = hours.filter(hours.sources > 1)
    days = known.group_by([*_THING, "table"]).aggregate(kwh=known.kwh.sum().cast(KWH), hours=known.hour.nunique())
    days = days.filter(days.hours >= LEAST_HOURS)
    both = days.group_by(_THING).aggregate(
        least_kwh=days.kwh.min(),
        most_kwh=days.kwh.max(),
        least_source=days.table.argmin(days.kwh),
        most_source=days.table.argmax(days.kwh),
    )
    wrong = both.filter((both.most_kwh > 0) & (both.most_kwh.cast("float64") > both.least_kwh.cast("float64") * APART))
    shown = ["day", "device_kind", "thing", "least_source", "least_kwh", "most_source", "most_kwh"]
    return wrong.select(shown).order_by(shown)


def repeated(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Pairs of devices under other names or in other places that used the very same in nearly every hour of a day.

    Real devices never do, down to the last digit: it is one log under two names. Equal days of few different amounts
    count only where two sources read them from the very same bytes.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, device_kind and `devices`: both, with their sources and places.
    """
    by = _by_source(readings_of(upstream))
    by = by.filter(by.kwh > 0)
    by = by.mutate(named=by.thing.concat(" of ", by.table, " in ", ibis.coalesce(by.at_region, by.at_provider, _ANY)))
    known = by.group_by(["day", "device_kind", "named"]).aggregate(hours=by.hour.nunique())
    alike = by.mutate(of_one=by.count().over(ibis.window(group_by=[*_HOUR, "kwh"])))
    alike = alike.filter(alike.of_one.between(2, MANY))
    pairs = alike.join(alike.view(), [*_HOUR, "kwh"], rname="other_{name}")
    pairs = pairs.filter(
        (pairs.named < pairs.other_named)
        & ((pairs.thing != pairs.other_thing) | (_region(pairs, "") != _region(pairs, "other_")))
    )
    both = pairs.group_by(["day", "device_kind", "named", "other_named"]).aggregate(
        equal=pairs.hour.nunique(),
        amounts=pairs.kwh.nunique(),
        one_log=((pairs.sha256 == pairs.other_sha256) & (pairs.table != pairs.other_table)).all(),
    )
    both = both.join(known, ["day", "device_kind", "named"])
    both = both.join(known.rename(other_named="named", other_hours="hours"), ["day", "device_kind", "other_named"])
    shorter = ibis.least(both.hours, both.other_hours)
    telling = (both.equal >= LEAST_HOURS) & (both.amounts >= LEAST_VALUES) & (both.equal >= shorter * NEARLY)
    wrong = both.filter(telling | (both.one_log & (both.equal == shorter)))
    shown = wrong.mutate(devices=wrong.named.concat(", ", wrong.other_named))
    return shown.select("day", "device_kind", "devices").order_by("day", "devices")


def _region(rows: ir.Table, side: str) -> ir.StringValue:
    return ibis.coalesce(rows[f"{side}at_region"], rows[f"{side}at_provider"], _ANY)


def in_two_places(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """GPUs that sources place in two regions at one hour, and hosts metered in one region with devices in another.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, `name` of the GPU or the host, and `places`: the regions it is told of in.
    """
    readings = readings_of(upstream)
    told = told_on_several(readings).mutate(place=_place)
    gpus = told.group_by(["day", "hour", "uuid"]).aggregate(places=_listed(told), number=told.place.nunique())
    gpus = gpus.filter(gpus.number > 1).select("day", "places", name="uuid").distinct()
    return gpus.union(_hosts_apart(readings, upstream)).select("day", "name", "places").order_by("day", "name")


def divided(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Devices with hours of which one source observed a part and counts, while another one observed another part.

    Per hour one source counts, so that the other part is not in the table. Sources that observe the device side by side
    in some hour of the day do not take turns: a part of an hour that both tell of is the same part.

    Args:
        staged: Rows of the contract `Energy`: they say which source counts.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, node_id, device_id, device_kind, `hours_utc` (the first of them and how many more), the sources that are
        `counted` and `left_out`, and left_out_kwh.
    """
    readings = readings_of(upstream)
    by = _joinable(_by_source(readings))
    shared = by.mutate(sources=by.table.nunique().over(ibis.window(group_by=[*_THING, "hour"])))
    shared = shared.filter(shared.sources > 1)
    pairs = shared.join(shared.view(), [*_THING, "hour"], rname="left_{name}")
    pairs = pairs.filter(pairs.table != pairs.left_table)
    at_once = pairs.coverage + pairs.left_coverage > SIDE_BY_SIDE
    pairs = pairs.mutate(beside=at_once.any().over(ibis.window(group_by=[*_THING, "table", "left_table"])))
    torn = pairs.filter(~pairs.beside & (pairs.coverage < PART) & (pairs.left_kwh > 0))
    # Few hours are torn, and none of all others has to be looked at.
    near = staged.semi_join(torn.select("day", "hour").distinct(), ["day", "hour"])
    torn = torn.semi_join(_counted(near, uuids_of(readings)), [*_PLACED, "hour", "table"])
    clock = torn.hour.strftime("%H:%M").collect(order_by=torn.hour)
    days = torn.group_by([*_THING, "table", "left_table"]).aggregate(
        node_id=torn.node_id.min(), device_id=torn.device_id.min(), clock=clock, left_out_kwh=torn.left_kwh.sum()
    )
    more = days.clock.length() - SHOWN
    hours = days.clock[:SHOWN].join(", ")
    shown = days.mutate(
        hours_utc=ibis.ifelse(more > 0, hours.concat(" and ", more.cast("string"), " more"), hours),
        counted=days.table,
        left_out=days.left_table,
    )
    columns = ["day", "node_id", "device_id", "device_kind", "hours_utc", "counted", "left_out", "left_out_kwh"]
    return shown.select(columns).order_by(columns)


def _counted(staged: ir.Table, uuids: ir.Table) -> ir.Table:
    """The source of each thing's hour, whatever is left of a meter beside the devices that it holds."""
    columns = ["day", "hour", "provider", "region", "node_id", "device_id", "device_kind", "source"]
    rows = _joinable(with_thing(spelled_alike(staged.select(columns)), uuids))
    return rows.mutate(table=rows.source.replace("-", "_")).select(*_PLACED, "hour", "table").distinct()


def _joinable(rows: ir.Table) -> ir.Table:
    """Rows whose place may be compared as it stands: '' where there is none."""
    return rows.mutate(at_provider=rows.at_provider.fill_null(""), at_region=rows.at_region.fill_null(""))


_ANY = ibis.literal("any place")
_HOUR = ["day", "device_kind", "hour"]
_PLACED = ["day", "at_provider", "at_region", "thing"]
_THING = ["day", "at_provider", "at_region", "device_kind", "thing"]


def _place(rows: ir.Table) -> ir.StringValue:
    return ibis.coalesce(rows.region, rows.provider, ibis.literal("(no place)"))


def _listed(rows: ir.Table) -> ir.StringValue:
    return rows.place.collect(distinct=True, order_by=rows.place).join(", ")


def _by_source(readings: ir.Table) -> ir.Table:
    """What each source tells of each thing's hour, of what it measured."""
    rows = with_thing(readings, uuids_of(readings))
    measured = rows.filter(rows.energy_kwh.notnull() & ~rows.method.isin(GUESSED))
    measured = measured.mutate(table=measured.table.re_replace("^raw_", ""))
    return measured.group_by([*_THING, "hour", "table"]).aggregate(
        kwh=measured.energy_kwh.sum().cast(KWH),
        sha256=measured.raw_sha256.min(),
        coverage=measured.coverage.max(),
        node_id=measured.node_id.min(),
        device_id=measured.device_id.min(),
    )


def _hosts_apart(readings: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Names of hosts that have a meter and no devices in one place, and devices and no meter in another."""
    hosts = readings.group_by(["day", "provider", "region", "node_id"]).aggregate(
        metered=(readings.device_kind == "node").any(), filled=readings.device_kind.isin(COMPONENTS).any()
    )
    names = upstream[NODE_NAMES]
    excused = spelled_alike(names.filter(names.unmetered).select("day", "provider", "region", "node_id").distinct())
    hosts = hosts.anti_join(
        excused, [hosts[key].identical_to(excused[key]) for key in ("day", "provider", "region", "node_id")]
    )
    alone = hosts.filter(hosts.metered != hosts.filled).mutate(place=_place)
    both = alone.group_by(["day", "node_id"]).aggregate(
        places=_listed(alone), meters=alone.metered.any(), devices=alone.filled.any()
    )
    return both.filter(both.meters & both.devices).select("day", "places", name="node_id")


SOURCES_AGREE = Proof(
    "sources_agree",
    "What two sources measured of one device in the same hours is about the same. Where it is not, one of them is "
    "wrong, or two devices go by one name, of which only one counts.",
    contradicting,
    blocking=False,
    remedy="If they are two devices, name them apart (`node`, `device`); if they are one, remove the source that is "
    "wrong",
)
READINGS_COUNT_ONCE = Proof(
    "readings_count_once",
    "No two devices of other names have the very same energy in nearly every hour: that is one log under two names.",
    repeated,
    blocking=False,
    remedy="Remove the source, or what in it repeats the other; both count until then",
)
HOURS_HAVE_ONE_SOURCE = Proof(
    "hours_have_one_source",
    "No hour of a device is divided between two sources. Per hour one source counts, so that of an hour of which one "
    "observed the first half and another one the second, half the energy is missing.",
    divided,
    blocking=False,
    remedy="The part that the source left out observed is missing: name what both read in one block, so that it is "
    "one source (files: a `path` with a pattern that matches all of them; Prometheus: the `url` of a server that has "
    "both parts); if both observed the same part, nothing is missing",
)
THINGS_HAVE_ONE_PLACE = Proof(
    "things_have_one_place",
    "No GPU is told of in two regions at one hour, and no host has its meter in one region and its devices in another.",
    in_two_places,
    blocking=False,
    remedy="Give the sources of one host the same `place`; two hosts of one name need two names",
)
