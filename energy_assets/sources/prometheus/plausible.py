"""Plausible: powers that no device of their kind draws, as a wrong unit makes them.

What belongs here: telling them. What does not: correcting them, for the unit is the exporter's to know (`meters`).
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence

from energy_assets.sources.power import LEAST_W, MOST_W
from energy_assets.sources.prometheus.answers import Scratch

HIGH, LOW = "powers_far_too_high", "powers_far_too_low"


def told(scratch: Scratch) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """How many devices draw what none does, in at least half of their hours, and which.

    Args:
        scratch: Holds `hours`: device_kind, n in nano-kWh (NULL where nothing is known), ppm of the hour observed.
    """
    rows = scratch.rows(f"""
        SELECT device_id, node_id, meter, median(watts) AS watts,
            2 * count(*) FILTER (device_kind IN ('gpu', 'cpu', 'dram') AND watts > {MOST_W}) >= count(*) AS high,
            2 * count(*) FILTER (device_kind IN ('gpu', 'node') AND watts < {LEAST_W}) >= count(*) AS low
        FROM (
            SELECT device_id, node_id, meter, device_kind, n::DOUBLE / ppm AS watts
            FROM {scratch["hours"]} WHERE n > 0 AND ppm > 0
        )
        GROUP BY device_id, node_id, meter HAVING high OR low ORDER BY ALL""")
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for device, node, meter, watts, high, _ in rows:
        name = HIGH if high else LOW
        counts[name] = counts.get(name, 0) + 1
        if len(shown := examples.setdefault(name, [])) < 5:
            where = node if device == node else f"{device} on {node}"
            shown.append(f"{where}: {meter}, {watts:,.3g} W")
    return counts, dict(examples)
