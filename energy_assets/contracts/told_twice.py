"""Statements about hosts of which two sources, or two exporters, tell under other names: their energy counts twice.

What belongs here: seeing from raw rows that two meters go up by the same, hour by hour, but for what comes between two
readings of it. What does not: the very same amounts (`sources_agree`), and counters within one source that stand at the
same values, of which each counts once before there are rows (`prometheus.doubles`).

What two readers of one counter have seen since the morning differs by what it counts between their readings, and no
more in the evening than at noon. Two machines of one load drift apart: in a day already by a share of a hundredth, and
their loads are never the same from hour to hour. Readings that hardly change say little: two idle machines may be equal
by chance. They are taken for one only where counters are equal, and names do not tell them apart because one is an
address. Who has two likely partners has none.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.conservation import GUESSED, KWH, readings_of, uuids_of, with_thing
from energy_assets.contracts.proof import Proof

APART = 90 / 3600
"""In hours: two readers of a counter are within a minute of each other, and exporters hold readings back."""
LEAST_HOURS = 6
NEARLY = 0.9
TOGETHER = 0.5
"""So much of that the distance of two readers may scatter over the day: more where a burst falls between them."""
BURST = 2
"""So much of that totals may differ, of which the last readings decide."""
TELLING = 0.5
"""By so much less than energy changes from hour to hour two readers of it differ; two loads differ by more."""
DRIFT = 6
"""By so many times what they differ in an hour two readers of one load may part in a day: they do not add up."""
EVEN = 0.001
"""Energy that changes by a smaller share from hour to hour says nothing of whose it is."""
EQUAL = 0.0001
"""Even counters of two machines differ by more, except by chance."""
VALUES = 3
"""Amounts that are the very same are told by `readings_count_once`, if there are so many of them."""
CLEARLY = 2
"""So many times as far from hour to hour is the next best partner."""
SOME = 0.5
"""So large a share of the hosts that one of two sources alone names must have a partner in the other one."""
ONE_LEVEL = 0.02
"""Two meters of one host have means of about the same size: only such are compared hour by hour."""
ADDRESS = r"^[0-9.]+(:[0-9]+)?$|:.*:"
"""A host by its address."""
_KINDS = ["cpu", "dram", "gpu", "node"]
_INSIDE = ["cpu", "dram"]
"""What has other names by each exporter on one host: the packages of RAPL, of Kepler and of scaphandre."""
_PLACE = ["day", "provider", "region"]
_HOST = [*_PLACE, "table", "name", "node_id"]
_KEY = [*_HOST, "device_kind"]
_PAIR = [*_HOST, "other_table", "other_name", "other_node_id"]


def told_twice(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Pairs of names whose devices go up by the same, hour by hour, in every kind of which both tell.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, `hosts` (both, with their sources), `device_kinds`, and kwh of the second one.
    """
    hours = _hours(upstream)
    sides = _sides(hours)
    alike = _alike(_candidates(sides), hours)
    pairs = alike.group_by([*_PAIR, "shared"]).aggregate(
        kinds=alike.count(),
        device_kinds=alike.device_kind.collect(order_by=alike.device_kind).join(", "),
        kwh=alike.other_total.sum(),
        step=alike.step.sum(),
        certain=(~alike.even & (alike.step <= TELLING * alike.alone)).fill_null(False).all(),
    )
    pairs = _likely(pairs.filter(pairs.kinds == pairs.shared), sides)
    named = pairs.mutate(
        hosts=pairs["name"].concat(" of ", pairs.table, ", ", pairs.other_name, " of ", pairs.other_table),
        provider=pairs.provider.nullif(""),
        region=pairs.region.nullif(""),
        kwh=pairs.kwh.cast(KWH),
    )
    return named.select(*_PLACE, "hosts", "device_kinds", "kwh").order_by(["day", "hosts"])


def _hours(upstream: Mapping[str, ir.Table]) -> ir.Table:
    """What each name's devices of a kind used in each hour in which all of them are known, and since the day's first.

    Devices with a UUID are one wherever they are told of. `own`: how the hour differs from that of the source's other
    hosts, as a share of the mean hour of each; NULL where these are too few to say what loads have in common.
    """
    readings = readings_of(upstream)
    rows = with_thing(readings, uuids_of(readings))
    measured = rows.energy_kwh.notnull() & ~rows.method.isin(GUESSED) & rows.uuid.isnull()
    rows = rows.filter(measured & rows.device_kind.isin(_KINDS))
    rows = rows.mutate(
        table=rows.table.re_replace("^raw_", ""),
        provider=rows.provider.fill_null(""),
        region=rows.region.fill_null(""),
        device=ibis.ifelse(rows.device_id == rows.node_id, "", rows.device_id),
    )
    by = rows.group_by([*_KEY, "hour"]).aggregate(
        kwh=rows.energy_kwh.sum().cast("float64"),
        devices=rows.device.collect(distinct=True, order_by=rows.device),
        counted=(rows.method == "measured_counter").all(),
    )
    by = by.mutate(most=by.devices.length().max().over(ibis.window(group_by=_KEY)))
    by = by.filter(by.devices.length() == by.most)
    since = ibis.window(group_by=_KEY, order_by="hour", preceding=None, following=0)
    by = by.mutate(up=by.kwh.sum().over(since), share=by.kwh / by.kwh.mean().over(ibis.window(group_by=_KEY)))
    hour = ibis.window(group_by=[*_PLACE, "device_kind", "table", "hour"])
    others = by.share.count().over(hour) - 1
    return by.mutate(own=ibis.ifelse(others < 2, None, by.share - (by.share.sum().over(hour) - by.share) / others))


def _sides(hours: ir.Table) -> ir.Table:
    """One row for each name and kind of devices, with all kinds of which that name tells."""
    sides = hours.group_by(_KEY).aggregate(
        hours=hours.count(),
        total=hours.kwh.sum(),
        most=hours.kwh.max(),
        varies=hours.kwh.std(how="pop"),
        varies_alone=hours.own.std(how="pop") * hours.kwh.mean(),
        amounts=hours.kwh.nunique(),
        counted=hours.counted.all(),
        devices=hours.devices.argmax(hours.hour),
    )
    sides = sides.filter((sides.hours >= LEAST_HOURS) & (sides.total > 0))
    return sides.mutate(
        level=sides.total / sides.hours,
        by_address=sides.node_id.re_search(ADDRESS),
        kinds=sides.device_kind.collect().over(ibis.window(group_by=_HOST)),
    )


def _candidates(sides: ir.Table) -> ir.Table:
    """Pairs of sides that may be of one host: of two sources, or of two exporters whose devices have other names."""
    rung = (sides.level.ln() / ONE_LEVEL).floor().cast("int64")
    ours = sides.mutate(rung=rung)
    theirs = sides.mutate(rung=ibis.array([rung - 1, rung, rung + 1]).unnest())
    pairs = ours.join(theirs, [*_PLACE, "device_kind", "rung"], rname="other_{name}")
    first = (pairs.table < pairs.other_table) | ((pairs.table == pairs.other_table) & (pairs.name < pairs.other_name))
    allowed = APART * ibis.greatest(pairs.most, pairs.other_most)
    near = (pairs.hours != pairs.other_hours) | ((pairs.total - pairs.other_total).abs() <= BURST * allowed)
    pairs = pairs.filter(first & near).mutate(
        itself=pairs.node_id == pairs.other_node_id,
        allowed=allowed,
        most_hours=ibis.greatest(pairs.hours, pairs.other_hours),
        shared=pairs.kinds.intersect(pairs.other_kinds).length(),
        alone=ibis.least(pairs.varies_alone, pairs.other_varies_alone),
        # Even loads are no evidence, unless both are counters, and names do not tell the hosts apart.
        even=ibis.greatest(pairs.varies / pairs.level, pairs.other_varies / pairs.other_level) < EVEN,
        unnamed=pairs.counted & pairs.other_counted & (pairs.by_address != pairs.other_by_address),
    )
    apart = pairs.devices.intersect(pairs.other_devices).length() == 0
    inside = pairs.device_kind.isin(_INSIDE) & apart
    return pairs.filter(ibis.cases((pairs.itself, inside), (pairs.table == pairs.other_table, apart), else_=True))


def _alike(pairs: ir.Table, hours: ir.Table) -> ir.Table:
    """Pairs that go up by the same."""
    kind = [*_PAIR, "device_kind"]
    about = ["itself", "allowed", "most_hours", "shared", "even", "unnamed", "varies", "alone", "level", "amounts"]
    mine = hours.select(*_KEY, "hour", "kwh", "up")
    names = {f"other_{name}": name for name in ("table", "name", "node_id", "kwh", "up")}
    both = pairs.select(*kind, *about, "other_total").join(mine, _KEY)
    both = both.join(
        hours.select(*_PLACE, "device_kind", "hour", **{new: hours[old] for new, old in names.items()}),
        [*_PLACE, "device_kind", "hour", "other_table", "other_name", "other_node_id"],
    )
    ahead = both.kwh - both.other_kwh
    step = ahead.abs()
    judged = both.group_by([*kind, *about, "other_total"]).aggregate(
        hours=both.count(),
        scatter=(both.up - both.other_up).std(how="pop"),
        step=step.mean(),
        ahead=ahead.sum().abs(),
        equal=(step == 0).sum(),
    )
    telling = ~judged.even & (judged.step <= TELLING * judged.varies) & (judged.ahead <= DRIFT * judged.step)
    asking = judged.even & (judged.step <= EQUAL * judged.level) & judged.unnamed
    same = (judged.equal >= NEARLY * judged.hours) & (judged.amounts >= VALUES)
    together = (judged.hours >= NEARLY * judged.most_hours) & (judged.scatter <= TOGETHER * judged.allowed)
    one = ibis.ifelse(judged.itself, judged.even | telling, (telling | asking) & ~same)
    return judged.filter((judged.hours >= LEAST_HOURS) & together & one)


def _likely(pairs: ir.Table, sides: ir.Table) -> ir.Table:
    """Pairs of which neither has another partner that is nearly as good, and of two sources so many, not by chance.

    A pair alone is none by chance if its load is not that of the other hosts of its sources.
    """
    tables = [*_PLACE, "table", "other_table"]

    def best(side: list[str]) -> ir.BooleanValue:
        second = pairs.step.collect().over(ibis.window(group_by=side)).sort()[1]
        return second.isnull() | (pairs.step * CLEARLY < second)

    itself = pairs.node_id == pairs.other_node_id
    theirs = [*_PLACE, "other_table", "other_name", "table"]
    pairs = pairs.filter(itself | (best([*_HOST, "other_table"]) & best(theirs)))
    pairs = pairs.mutate(number=pairs.count().over(ibis.window(group_by=tables)))
    known = pairs.join(_alone(sides), tables)
    inside = (known.node_id == known.other_node_id) | (known.table == known.other_table)
    return known.filter(inside | known.certain | (known.number >= SOME * ibis.least(known.alone, known.other_alone)))


def _alone(sides: ir.Table) -> ir.Table:
    """How many hosts each of two sources names that the other one does not."""
    nodes = sides.group_by([*_PLACE, "table"]).aggregate(nodes=sides.node_id.collect(distinct=True))
    both = nodes.join(nodes.view(), _PLACE, rname="other_{name}")
    shared = both.nodes.intersect(both.other_nodes).length()
    return both.select(
        *_PLACE,
        "table",
        "other_table",
        alone=both.nodes.length() - shared,
        other_alone=both.other_nodes.length() - shared,
    )


HOSTS_COUNT_ONCE = Proof(
    "hosts_count_once",
    "No two names have devices of a kind that go up by the same, hour by hour, but for what comes between two "
    "readings: that is one host, which two sources name in two ways, or of whose devices two exporters tell under "
    "other names.",
    told_twice,
    blocking=False,
    remedy="If they are one host, join the names with `also` under `nodes` in site.yaml where both name its devices "
    "alike, else leave it out of one of the two (`selector`, `ignore`); both count until then. If they are two, there "
    "is nothing to do",
)
