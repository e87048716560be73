"""Own hardware that an inventory names and no row of a day tells of: its share of the manufacture is in no total.

What belongs here: the statement. What does not: the inventory (`emissions.inventory`).
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof

UNSEEN_HARDWARE = "unseen_hardware"
"""Name under which the asset shows the proof such lines, with the columns of `UNSEEN`."""
UNSEEN = ibis.schema({"day": "date", "host": "string", "device_model": "string", "kg_co2e_of_the_day": "float64"})


def unseen(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Lines of the inventory that speak of no row of a day.

    Args:
        staged: Not looked at.
        upstream: With `UNSEEN_HARDWARE`; without it there is no inventory.
    """
    told = upstream.get(UNSEEN_HARDWARE)
    return ibis.memtable([], schema=UNSEEN) if told is None else told.order_by("day", "host", "device_model")


HARDWARE_IS_SEEN = Proof(
    "hardware_is_seen",
    "Every host and device model that the inventory of own hardware names has rows on each day of its use, which carry "
    "its share of the manufacture; those that have none are found here. Lines with a pattern of hosts are not checked.",
    unseen,
    blocking=False,
    remedy="Its embodied emissions of the day are in no total. Spell `host` and `device_model` in the file that "
    "`factors: {hardware: …}` names as `energy` has node_id and device_model; where it has no meter or is switched "
    "off, add its pieces to the `count` of a metered host; where it has left, give it an `in_service_to`.",
)
