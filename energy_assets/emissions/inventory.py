"""Embodied emissions of own hardware: lines of an inventory, spread over the device-hours of the hosts they name.

What belongs here: which rows a line speaks of, and grams per device-hour. What does not: the file
(`estimates.own_tables`), and what an hour of a row is (`embodied`).

Hardware that is there emits its share of every hour of its years, used or idle. A day's share of a line is spread over
the device-hours of that day which it speaks of, so that an hour without a row, or a device that no exporter sees, takes
nothing away. A line without a device model is of the host itself: all its devices carry it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.hardware import UNSEEN
from energy_assets.contracts.vocabulary import ESTIMATED
from energy_assets.estimates.embodied import g_per_hour
from energy_assets.estimates.own_tables import OwnHardware
from energy_assets.factors.hardware import accelerator_of_device

KEYS = ("node_id", "device_kind", "model")
HOURS_OF_DAY = 24
SPOKEN_OF = pa.schema(
    [
        *((f"own_{name}", pa.string()) for name in KEYS),
        ("line", pa.int32()),
        ("whole", pa.bool_()),
        ("first", pa.date32()),
        ("after", pa.date32()),
        ("daily_g", pa.float64()),
    ]
)
"""Columns of `_spoken_of`: of a kind of device in a host, one row per line that speaks of it."""
Keep = Callable[[ir.Table], ir.Table]


def grams_of(lines: Sequence[OwnHardware], energy: ir.Table, keep: Keep) -> ir.Table | None:
    """Grams per device-hour, as `pipe.Hardware.own` has them; None where no line speaks of any row.

    Args:
        lines: The inventory.
        energy: Rows of the contract `Energy`, on a connection.
        keep: Computes a table once and for all.
    """
    if not lines:
        return None
    metered = energy.filter(energy.method.notin(ESTIMATED)).mutate(model=energy.device_model.fill_null(""))
    seen = metered.select(*KEYS).distinct().order_by(*KEYS).to_pyarrow().to_pylist()
    found = _spoken_of(lines, seen)
    if not found:
        return None
    spoken = keep(ibis.memtable(pa.Table.from_pylist(found, SPOKEN_OF)))
    mine = metered.filter(metered.node_id.isin(sorted({row["own_node_id"] for row in found})))
    device_hours = mine.select("day", *KEYS, "hour", "source", "provider", "region", "device_id").distinct()
    hours = device_hours.group_by("day", *KEYS).aggregate(hours=device_hours.count())
    joined = hours.inner_join(spoken, [hours[name] == spoken[f"own_{name}"] for name in KEYS])
    valid = joined.filter(joined.day >= joined.first, joined.day < joined.after)
    of_line = valid.hours.sum().over(ibis.window(group_by=[valid.day, valid.node_id, valid.line]))
    each = valid.mutate(each_g=valid.daily_g / of_line.cast("float64"))
    return keep(
        each.group_by("day", *KEYS).aggregate(
            device_g=each.each_g.sum(where=~each.whole), host_g=each.each_g.sum(where=each.whole)
        )
    )


def unseen_of(lines: Sequence[OwnHardware], energy: ir.Table, days: Sequence[date]) -> ir.Table:
    """Lines that name a host, on days of their use without a row that they speak of: schema `UNSEEN`.

    Args:
        lines: The inventory.
        energy: Rows of the contract `Energy`, on a connection.
        days: Those that are made.
    """
    named = [(line, plain(line.host)) for line in lines if not _pattern(line.host)]
    metered = energy.filter(energy.method.notin(ESTIMATED)).mutate(model=energy.device_model.fill_null(""))
    there = metered.select("day", *KEYS).distinct().to_pyarrow().to_pylist() if named else []
    models: dict[tuple[date, str], set[str]] = {}
    for row in there:
        models.setdefault((row["day"], plain(row["node_id"])), set()).add(row["model"])
    unseen = [
        (day, line.host, line.device_model or "", float(_daily_g(line) / 1000))
        for line, host in named
        for day in days
        if line.first <= day < line.after and not any(_is_of(line, model) for model in models.get((day, host), ()))
    ]
    return ibis.memtable(unseen, schema=UNSEEN)


def _spoken_of(lines: Sequence[OwnHardware], seen: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines that name a host go before those with a pattern; lines that are alike in this add up."""
    exact: dict[str, list[tuple[int, OwnHardware]]] = {}
    patterns = []
    for number, line in enumerate(lines):
        if _pattern(line.host):
            patterns.append((number, line, plain(line.host)))
        else:
            exact.setdefault(plain(line.host), []).append((number, line))
    of_host: dict[str, list[tuple[int, OwnHardware]]] = {}
    found = []
    for row in seen:
        host = plain(row["node_id"])
        if host not in of_host:
            of_host[host] = exact.get(host) or [(n, line) for n, line, text in patterns if fnmatchcase(host, text)]
        for number, line in of_host[host]:
            if _is_of(line, row["model"]):
                found.append(
                    {
                        **{f"own_{name}": row[name] for name in KEYS},
                        "line": number, "whole": line.device_model is None, "first": line.first,
                        "after": line.after, "daily_g": float(_daily_g(line)),
                    }
                )  # fmt: skip
    return found


def _is_of(line: OwnHardware, model: str) -> bool:
    if line.device_model is None:
        return True
    wanted = line.device_model.casefold()
    accelerator = accelerator_of_device(model) if model else None
    return bool(model) and (fnmatchcase(model.casefold(), wanted) or (accelerator or "").casefold() == wanted)


def _daily_g(line: OwnHardware) -> Fraction:
    return g_per_hour(Fraction(line.kg), Fraction(line.lifetime_years)) * Fraction(line.count) * HOURS_OF_DAY


def plain(name: str) -> str:
    """A host's name as it is compared: without capitals.

    Args:
        name: Of a host, or a pattern.
    """
    return name.strip().casefold()


def _pattern(text: str) -> bool:
    return bool(set(text) & set("*?["))
