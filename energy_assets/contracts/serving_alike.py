"""Statements about servers of several sources that count alike: one server that two sources tell of under two names.

What belongs here: what the counts of staged rows and their labels show across sources. What does not: one name in two
sources (`serving`), and servers of one source, whose counters show more (`sources.prometheus.alike`).

Two Prometheus that scrape one server, one by its pod and one by an address, make the same sums hour after hour, but for
what comes in between their scrapes. Servers that take turns have equal requests, but their tokens drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof

HOURS = 6
"""Fewer hours may agree by chance."""
AMOUNTS = 3
"""Different amounts of an hour: servers that go on evenly, as under a probe, say little of which they are."""
NEARLY = 0.9
"""So large a share of the hours must agree, and of those that one observed must the other one know."""
SCRAPES = 2 * 90 / 3600
"""The part of its busiest hour that a sum may differ by: what comes between two scrapes, at both of its ends."""
FEW = 6
"""So many requests may a sum of few differ by."""
UNDER_WAY, SPREAD, PART = 20, 4, 0.1
"""Tokens may differ from those of the requests between both by so many requests' tokens, by so many times the root of
these requests, for some are longer than others, and by this part of them."""
KINDS = 2
"""So many kinds of counts must be known of both, and agree; at one address, one is enough."""
ALL = "all servers"
"""A source's servers of a model taken together."""
STEPS = 10
"""Totals of a day are compared that differ by at most two steps of this many to the power of e."""

_COUNTS = ("requests", "prompt_tokens", "generated_tokens")
_SERVER = ("table", "deployment")
_ADDRESS = r"^[0-9.]+(:[0-9]+)?$"
_DOMAIN = r"^([a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)\.(?:[a-z0-9_-]+\.)*[a-z0-9_-]*[a-z_-][a-z0-9_-]*((?::[0-9]+)?)$"
"""A host with a domain, and its port: the first part and the port are what is left without the domain."""


def counted_alike(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Servers of two sources, under two names, whose sums of requests and tokens stay together all day.

    Servers of an even load are told only where their labels say that they may be one: the same address, or a pod in one
    source and none in the other. Where no two servers match, all servers of a model are compared.

    Args:
        staged: Rows of the contract `Activity`.
        upstream: Rows of the contract `InferenceCounts` by the name of their table.

    Returns:
        day, `one` and `other` with their sources, model_id, and the hours that both observed.
    """
    rows = _with_totals(_hours(staged, upstream))
    servers = _servers(rows)
    pairs = _candidates(servers)
    cumulative = ibis.cumulative_window(group_by=["day", "model_id", *_SERVER], order_by="hour")
    sums = rows.mutate(**{name: rows[name].sum().over(cumulative) for name in _COUNTS}).select(
        "day", "hour", "model_id", *_SERVER, *_COUNTS
    )
    ours = pairs.join(sums, _same(pairs, sums, {name: name for name in _SERVER}), rname="{name}_of_one")
    theirs = sums.rename({f"their_{name}": name for name in (*_COUNTS, *_SERVER, "model_id", "day", "hour")})
    both = ours.join(
        theirs,
        [
            ours.day == theirs.their_day,
            ours.hour == theirs.their_hour,
            ours.other_model_id.identical_to(theirs.their_model_id),
            *(ours[f"other_{name}"] == theirs[f"their_{name}"] for name in _SERVER),
        ],
    )
    server = ("model_id", *_SERVER)
    key = ["day", *server, *(f"other_{name}" for name in server), "hours", "other_hours", "one_address"]
    day = ibis.window(group_by=key, order_by="hour")
    gaps = {name: both[name] - both[f"their_{name}"] for name in _COUNTS}
    both = both.mutate(**{f"apart_{name}": gap - gap.first().over(day) for name, gap in gaps.items()})
    near = {f"near_{name}": _near(both, name) for name in _COUNTS}
    marked = both.mutate(**near)
    judged = marked.group_by(key).aggregate(
        common=marked.count(), **{name: marked[name].cast("int8").mean() for name in near}
    )
    known = sum(judged[name].notnull().cast("int8") for name in near)
    agreeing = sum((judged[name] >= NEARLY).fill_null(False).cast("int8") for name in near)
    enough = (judged.common >= HOURS) & (judged.common >= NEARLY * ibis.least(judged.hours, judged.other_hours))
    found = judged.filter(enough & (known >= ibis.ifelse(judged.one_address, 1, KINDS)) & (agreeing == known))
    whole = (found.deployment == ALL) | (found.other_deployment == ALL)
    single = found.group_by(["day", "table", "other_table"]).aggregate(number=(~whole).sum())
    found = found.join(single, ["day", "table", "other_table"])
    found = found.filter((found.number == 0) | ((found.deployment != ALL) & (found.other_deployment != ALL)))
    return found.select(
        "day",
        one=found.deployment.concat(" of ", _source(found.table)),
        other=found.other_deployment.concat(" of ", _source(found.other_table)),
        model_id=ibis.coalesce(found.model_id, found.other_model_id),
        hours=found.common,
    ).order_by("day", "one", "other")


def _hours(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """What the sources tell of servers that count, hour by hour, with the labels that name them."""
    parts = []
    for name, rows in upstream.items():
        if not {"deployment", *_COUNTS} <= set(rows.columns):
            continue
        label = {key: rows.labels.get(key, "").nullif("") for key in ("pod", "exported_instance", "instance")}
        place = ibis.coalesce(label["exported_instance"], label["instance"], rows.deployment).lower()
        own = rows.select("day", "hour", "model_id", "deployment", *_COUNTS, pod=label["pod"], place=place)
        parts.append(own.mutate(table=ibis.literal(name)))
    rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
    rows = rows.filter(ibis.or_(*(rows[name].notnull() for name in _COUNTS)))
    counted = staged.select("hour", "model_id", "deployment", table="raw_" + staged.source.replace("-", "_"))
    counted = counted.distinct()
    return rows.semi_join(counted, [rows[name].identical_to(counted[name]) for name in counted.columns])


def _with_totals(rows: ir.Table) -> ir.Table:
    """Rows, and the sums of each source's model, for one source may have one deployment where another has many."""
    several = rows.group_by(["day", "table", "model_id"]).aggregate(number=rows.deployment.nunique())
    several = several.filter(several.number > 1)
    many = rows.semi_join(several, [rows[key].identical_to(several[key]) for key in ("day", "table", "model_id")])
    totals = many.group_by(["day", "hour", "model_id", "table"]).aggregate(
        deployment=ibis.literal(ALL), **{name: many[name].sum().cast("int64") for name in _COUNTS}
    )
    none = ibis.null("string")
    return rows.union(totals.mutate(pod=none, place=none).select(rows.columns))


def _servers(rows: ir.Table) -> ir.Table:
    """One row for each server of a day: its names, whether its load is uneven, and its sums."""
    amounts = ibis.greatest(*(rows[name].nullif(0).nunique() for name in _COUNTS))
    servers = rows.group_by(["day", "model_id", *_SERVER]).aggregate(
        pod=rows.pod.max(),
        place=rows.place.max(),
        hours=rows.count(),
        uneven=amounts >= AMOUNTS,
        **{f"all_{name}": rows[name].sum() for name in _COUNTS},
        **{f"most_{name}": rows[name].max() for name in _COUNTS},
    )
    total = ibis.coalesce(*(servers[f"all_{name}"] for name in _COUNTS))
    servers = servers.filter((total > 0) & (servers.hours >= HOURS))
    return servers.mutate(
        short=servers.place.re_replace(_DOMAIN, r"\1\2"), step=(total.ln() * STEPS).floor().cast("int64")
    )


def _candidates(servers: ir.Table) -> ir.Table:
    """Pairs of servers of two sources with about the same total, whose labels do not say that they are two.

    A model that one source does not name may be that of the other one.
    """
    steps = servers.mutate(step=ibis.array([servers.step - 1, servers.step, servers.step + 1]).unnest())
    others = steps.rename({f"other_{name}": name for name in steps.columns})
    pairs = servers.join(
        others,
        [
            servers.day == others.other_day,
            (servers.model_id == others.other_model_id) | servers.model_id.isnull() | others.other_model_id.isnull(),
            servers.step == others.other_step,
            servers.table < others.other_table,
            (servers.deployment != others.other_deployment) | (servers.deployment == ALL),
        ],
    )
    bare, other_bare = pairs.place == pairs.short, pairs.other_place == pairs.other_short
    same_place = (pairs.place == pairs.other_place) | ((bare | other_bare) & (pairs.short == pairs.other_short))
    whole = (pairs.deployment == ALL) | (pairs.other_deployment == ALL)
    may_be_one = ~whole & (same_place | (pairs.pod.isnull() != pairs.other_pod.isnull()))
    one_address = (pairs.place == pairs.other_place) & pairs.place.re_search(_ADDRESS)
    pairs = pairs.mutate(one_address=one_address.fill_null(False))
    return pairs.filter((pairs.uneven & pairs.other_uneven) | may_be_one)


def _same(pairs: ir.Table, sums: ir.Table, names: Mapping[str, str]) -> list[Any]:
    """Predicates under which a row of a server is that of a pair's."""
    return [
        pairs.day == sums.day,
        pairs.model_id.identical_to(sums.model_id),
        *(pairs[mine] == sums[theirs] for mine, theirs in names.items()),
    ]


def _near(both: ir.Table, name: str) -> ir.BooleanValue:
    """Whether the sums of a kind are as near as those of one server are."""
    apart, most, total = both[f"apart_{name}"], both[f"most_{name}"], both[f"all_{name}"]
    few = FEW * total / both.all_requests.nullif(0)
    near = apart.abs() <= ibis.greatest(SCRAPES * most, few.fill_null(0))
    if name == "requests":
        return near
    requests = both.apart_requests.abs()
    explained = (UNDER_WAY + SPREAD * requests.sqrt() + PART * requests) * total
    drift = apart.cast("float64") * both.all_requests - both.apart_requests.cast("float64") * total
    return near & (drift.abs() <= explained).fill_null(True)


def _source(table: ir.StringValue) -> ir.StringValue:
    return table.re_replace("^raw_", "")


SERVERS_DIFFER = Proof(
    "servers_differ",
    "No two sources tell, under two names, of servers that count the same requests and tokens hour after hour.",
    counted_alike,
    blocking=False,
    remedy="If both are one server, its requests count twice: keep it out of one source with `selector`, or remove "
    "that source. If they are two, nothing counts twice",
)
