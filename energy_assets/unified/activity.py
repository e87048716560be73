"""Unified activity: what workloads delivered, as one table, each server once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.joining import same
from energy_assets.unified.attribution import RuleLike, attribute

MOVING_HOURS = 2
"""Counts that are equal by chance are not so in two hours of a day in which something happened."""

_COUNTS = ("requests", "prompt_tokens", "generated_tokens")
_SERVER = ["day", "deployment", "model_id", "namespace"]


def activity(counts: Mapping[str, ir.Table], rules: Sequence[RuleLike]) -> ir.Table:
    """Counts of all sources to rows of the contract `Activity`.

    An inference server that no rule maps is still inference: its workload type is known from its kind.

    Args:
        counts: Rows of the contract `InferenceCounts` by source name.
        rules: Attribution rules.
    """
    named = [
        rows.mutate(source=ibis.literal(source), source_rank=ibis.literal(rank, type="int32"))
        for rank, (source, rows) in enumerate(counts.items())
    ]
    rows = without_copies(ibis.union(*named)) if len(named) > 1 else named[0]
    none = ibis.null(t.COUNT)
    ruled = attribute(rows.drop("source_rank").mutate(workload_id=ibis.null("string")), rules)
    return ruled.mutate(
        workload_type=ibis.ifelse(ruled.workload_type == "unknown", "inference", ruled.workload_type),
        samples=none,
        training_steps=none,
        flop=ibis.null(t.FIGURE),
    ).drop("labels")


def without_copies(rows: ir.Table) -> ir.Table:
    """Each server's hour once, where several sources read one Prometheus, or replicas that hold the same.

    Two sources tell of one server on a day when its deployment, model and namespace are the same, and all its counts
    are equal in every hour that both observed, two hours with something to count at least. Of these the hour is taken
    from the source that observed more of it, then from the first in the site file. What differs is kept, and the proof
    `servers_count_once` tells of it.

    Args:
        rows: Of the contract `InferenceCounts`, with `source` and `source_rank`.
    """
    keyed = rows.mutate(namespace=rows.labels.get("namespace", ""))
    known = keyed.filter(ibis.or_(*(keyed[name].notnull() for name in _COUNTS)))
    ours = known.select(*_SERVER, "hour", "source_rank", *_COUNTS)
    theirs = ours.rename(**{f"other_{name}": name for name in (*_SERVER, "hour", "source_rank", *_COUNTS)})
    keys = [*_SERVER, "hour"]
    pairs = ours.join(
        theirs,
        [
            *(ours[key].identical_to(theirs[f"other_{key}"]) for key in keys),
            ours.source_rank > theirs.other_source_rank,
        ],
    )
    equal = ibis.and_(*(pairs[name].identical_to(pairs[f"other_{name}"]) for name in _COUNTS))
    moves = ibis.or_(*((pairs[name] > 0).fill_null(False) for name in _COUNTS))
    judged = pairs.group_by([*_SERVER, "source_rank", "other_source_rank"]).aggregate(
        equal=equal.all(), moves=moves.sum()
    )
    copies = judged.filter(judged.equal & (judged.moves >= MOVING_HOURS))
    first = copies.group_by([*_SERVER, "source_rank"]).aggregate(first=copies.other_source_rank.min())
    both = keyed.left_join(first, same(keyed, first, [*_SERVER, "source_rank"]))
    both = both.select(*(keyed[name] for name in keyed.columns), first=first.first.fill_null(keyed.source_rank))
    unknown = ibis.and_(*(both[name].isnull() for name in _COUNTS))
    order = [unknown, both.coverage.desc(), both.source_rank]
    place = ibis.row_number().over(ibis.window(group_by=[*keys, "first"], order_by=order))
    ranked = both.mutate(place=place)
    return ranked.filter(ranked.place == 0).select(*rows.columns)
