"""Machines that are billed for more than an hour in an hour: two lines of the bill tell of the same hours.

What belongs here: the statement. What does not: hours of a line (`estimates.usage`), and which line is a machine
(`estimates.rules`).
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof

BILLED_HOURS = "billed_hours"
"""Name under which the asset shows the proof machines with more than an hour in an hour: day, hour, provider,
account_id, region, node_id, hours and meters."""
MOST = 1.01
"""Hours in an hour that are believed: bills round."""
SHOWN = 4
"""Meters that a breach names; the others are counted."""


def run_twice(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Machines with hours of the day in which more than an hour of them is billed.

    Args:
        staged: Not looked at.
        upstream: With `BILLED_HOURS`.

    Returns:
        day, provider, account_id, region, machine, `meters` of its lines, `in_hours` (how many hours of the day) and
        `most_hours` that are billed in one of them.
    """
    rows = upstream[BILLED_HOURS]
    over = rows.filter(rows.hours > MOST)
    keys = ["day", "provider", "account_id", "region", "node_id"]
    days = over.group_by(keys).aggregate(
        in_hours=over.count(), most_hours=over.hours.max().round(3), of_hours=over.meters.collect()
    )
    meters = days.of_hours.flatten().unique().sort()
    more = meters.length() - SHOWN
    first = meters[:SHOWN].join(", ")
    named = days.mutate(
        machine=days.node_id,
        meters=ibis.ifelse(more > 0, first.concat(" and ", more.cast("string"), " more"), first),
    )
    shown = ("day", "provider", "account_id", "region", "machine", "meters", "in_hours", "most_hours")
    found = named.select(*shown)
    return found.order_by(found.most_hours.desc(), *shown[:5])


MACHINES_RUN_ONCE = Proof(
    "machines_run_once",
    "No machine is billed for more than an hour in an hour, within 1 %: else two lines tell of the same hours, and the "
    "energy of the machine counts for both.",
    run_twice,
    blocking=False,
    remedy="Its energy counts for every line. Where one is a fee on top of another or a second copy of it, take it out "
    "of the files of the bill; a system that is billed by whole hours may start twice in one, and then there is "
    "nothing to do",
)
