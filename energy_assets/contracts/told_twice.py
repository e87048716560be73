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

from energy_assets.contracts.conservation import GUESSED, readings_of, uuids_of, with_thing
from energy_assets.contracts.proof import Proof

APART = 90 / 3600
"""In hours: two readers of a counter are within a minute of each other, and exporters hold readings back."""
LEAST_HOURS = 6
NEARLY = 0.9
HELD = 0.8
"""So large a share of the hours two readers stay together: in others a burst fell between them."""
TELLING = 0.5
"""By so much less than energy changes from hour to hour two readers of it differ; two loads differ by more."""
EVEN = 0.001
"""Energy that changes by a smaller share from hour to hour says nothing of whose it is."""
EQUAL = 0.0001
"""Even counters of two machines differ by more, except by chance."""
VALUES = 3
"""Amounts that are the very same are told by `readings_count_once`, if there are so many of them."""
SOME = 0.5
"""So large a share of the hosts that one of two sources alone names must have a partner in the other one."""
ONE_LEVEL = 0.1
"""Two meters of one host have totals of about the same size."""
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
    """Pairs of names whose devices of a kind go up by the same, hour by hour.

    Args:
        staged: Not looked at.
        upstream: As `conservation.energy_not_conserved` takes it.

    Returns:
        day, provider, region, `hosts` (both, with their sources), `device_kinds`, and kwh of the second one.
    """
    hours = _hours(upstream)
    sides = _sides(hours)
    alike = _alike(_candidates(sides), hours)
    pairs = alike.group_by(_PAIR).aggregate(
        kinds=alike.count(),
        device_kinds=alike.device_kind.collect(order_by=alike.device_kind).join(", "),
        kwh=alike.other_total.sum(),
    )
    pairs = _of_all_kinds(pairs, sides)
    alone = pairs.node_id == pairs.other_node_id
    partners = ibis.window(group_by=[*_HOST, "other_table"])
    others = ibis.window(group_by=[*_PLACE, "other_table", "other_name", "table"])
    single = (pairs.count().over(partners) == 1) & (pairs.count().over(others) == 1)
    pairs = pairs.filter(alone | single)
    pairs = _of_many(pairs, sides)
    hosts = pairs["name"].concat(" of ", pairs.table, ", ", pairs.other_name, " of ", pairs.other_table)
    named = pairs.mutate(
        hosts=hosts,
        provider=pairs.provider.nullif(""),
        region=pairs.region.nullif(""),
        kwh=pairs.kwh.cast("decimal(38, 9)"),
    )
    return named.select(*_PLACE, "hosts", "device_kinds", "kwh").order_by(["day", "hosts"])


def _hours(upstream: Mapping[str, ir.Table]) -> ir.Table:
    """What each name's devices of a kind used in each hour in which all of them are known, and since the day's first.

    Devices with a UUID are one wherever they are told of.
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
    return by.mutate(up=by.kwh.sum().over(since))


def _sides(hours: ir.Table) -> ir.Table:
    """One row for each name and kind of devices."""
    return hours.group_by(_KEY).aggregate(
        hours=hours.count(),
        total=hours.kwh.sum(),
        most=hours.kwh.max(),
        counted=hours.counted.all(),
        devices=hours.devices.argmax(hours.hour),
        amounts=hours.kwh.nunique(),
    ).filter(lambda side: (side.hours >= LEAST_HOURS) & (side.total > 0))  # fmt: skip


def _candidates(sides: ir.Table) -> ir.Table:
    """Pairs of sides that may be of one host: of two sources, or of two exporters whose devices have other names."""
    rung = (sides.total.ln() / ONE_LEVEL).floor().cast("int64")
    ours = sides.mutate(rung=rung)
    theirs = sides.mutate(rung=ibis.array([rung - 1, rung, rung + 1]).unnest())
    pairs = ours.join(theirs, [*_PLACE, "device_kind", "rung"], rname="other_{name}")
    apart = pairs.devices.intersect(pairs.other_devices).length() == 0
    itself = pairs.node_id == pairs.other_node_id
    allowed = APART * ibis.greatest(pairs.most, pairs.other_most)
    pairs = pairs.mutate(
        itself=itself,
        allowed=allowed,
        by_address=pairs.node_id.re_search(ADDRESS) != pairs.other_node_id.re_search(ADDRESS),
    )
    first = (pairs.table < pairs.other_table) | ((pairs.table == pairs.other_table) & (pairs.name < pairs.other_name))
    told = ibis.ifelse(itself, apart & pairs.device_kind.isin(_INSIDE), apart | (pairs.table != pairs.other_table))
    # Bursts between the last readings may set totals apart by more than is allowed in most hours.
    near = (pairs.hours != pairs.other_hours) | ((pairs.total - pairs.other_total).abs() <= 3 * allowed)
    return pairs.filter(first & told & near)


def _alike(pairs: ir.Table, hours: ir.Table) -> ir.Table:
    """Pairs that go up by the same."""
    kind = [*_PAIR, "device_kind"]
    columns = [*kind, "itself", "allowed", "by_address", "most_hours", "other_total", "both_counted"]
    pairs = pairs.mutate(
        most_hours=ibis.greatest(pairs.hours, pairs.other_hours), both_counted=pairs.counted & pairs.other_counted
    ).select(columns)
    mine = hours.select(*_KEY, "hour", "up")
    theirs = hours.select(
        *_PLACE, "device_kind", "hour", other_table="table", other_name="name", other_node_id="node_id", other_up="up"
    )
    both = pairs.join(mine, _KEY).join(
        theirs, [*_PLACE, "device_kind", "hour", "other_table", "other_name", "other_node_id"]
    )
    order = ibis.window(group_by=kind, order_by="hour")
    both = both.mutate(apart=both.up - both.other_up)
    both = both.mutate(
        middle=both.apart.median().over(ibis.window(group_by=kind)),
        step=(both.apart - both.apart.lag().over(order)).abs(),
        used=both.up - both.up.lag().over(order),
    )
    both = both.mutate(mean=both.used.mean().over(ibis.window(group_by=kind)))
    judged = both.group_by(columns).aggregate(
        hours=both.count(),
        near=((both.apart - both.middle).abs() <= both.allowed).sum(),
        step=both.step.mean(),
        varies=(both.used - both["mean"]).abs().mean(),
        level=both["mean"].max(),
        equal=(both.step <= 1e-9).sum(),
        amounts=both.used.round(9).nunique(),
    )
    varied = judged.varies >= EVEN * judged.level
    telling = varied & (judged.step <= TELLING * judged.varies)
    even = ~varied & (judged.step <= EQUAL * judged.level) & judged.both_counted & judged.by_address
    same = (judged.equal >= NEARLY * (judged.hours - 1)) & (judged.amounts >= VALUES)
    whole = (judged.hours >= LEAST_HOURS) & (judged.hours >= NEARLY * judged.most_hours)
    near = judged.near >= HELD * judged.hours
    return judged.filter(whole & near & ibis.ifelse(judged.itself, ~varied | telling, (telling | even) & ~same))


def _of_all_kinds(pairs: ir.Table, sides: ir.Table) -> ir.Table:
    """Pairs that are alike in every kind of which both tell."""
    theirs = sides.select(*_PLACE, "device_kind", other_table="table", other_name="name", other_node_id="node_id")
    both = pairs.join(sides.select(*_KEY), _HOST)
    both = both.join(theirs, [*_PLACE, "device_kind", "other_table", "other_name", "other_node_id"])
    shared = both.group_by(_PAIR).aggregate(shared=both.count())
    known = pairs.join(shared, _PAIR)
    return known.filter(known.kinds == known.shared)


def _of_many(pairs: ir.Table, sides: ir.Table) -> ir.Table:
    """Pairs of two sources that name many hosts otherwise; a few of many are chance. Within one source all are kept."""
    tables = [*_PLACE, "table", "other_table"]
    seen = sides.select(*_PLACE, "table", "node_id").distinct()
    asked = pairs.select(tables).distinct()

    def alone(table: str, other: str) -> ir.Table:
        """How many hosts the one names and the other does not."""
        mine = asked.join(seen.rename({table: "table"}) if table != "table" else seen, [*_PLACE, table])
        there = seen.rename({other: "table"}) if other != "table" else seen
        mine = mine.anti_join(there, [*_PLACE, other, "node_id"])
        return mine.group_by(tables).aggregate(**{f"alone_{table}": mine.node_id.nunique()})

    known = pairs.join(alone("table", "other_table"), tables, how="left", rname="{name}_a")
    known = known.join(alone("other_table", "table"), tables, how="left", rname="{name}_b")
    number = known.count().over(ibis.window(group_by=tables))
    fewer = ibis.least(known.alone_table, known.alone_other_table)
    inside = (known.node_id == known.other_node_id) | (known.table == known.other_table)
    return known.filter(inside | (number >= SOME * fewer))


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
