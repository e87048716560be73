"""Hosts as all sources see them together: names that may be one machine, with the lines of site.yaml that say so.

What belongs here: findings for the doctor. What does not: the rules by which hosts are named and compared; those are
the run's own (`contracts.nodes`, `contracts.meters`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.conservation import NODE_NAMES, PLACES, readings_of
from energy_assets.contracts.meters import ambiguous, split, told_on_several, unmatched
from energy_assets.contracts.node_names import plain_name
from energy_assets.contracts.nodes import node_names
from energy_assets.contracts.sources_agree import THINGS_HAVE_ONE_PLACE, in_two_places
from energy_assets.counting import counted
from energy_assets.factors.places import filled, one_spelling, respelled
from energy_assets.proposed_lines import added, place_name, quoted
from energy_assets.site import Site
from energy_assets.sources.base import Finding, SeenNode

Host = tuple[str | None, str | None, str]
"""Provider, region and name."""

SHOWN = 12
"""Hosts of one place that are named; the others are counted."""

_TEXT = pa.string()
_SEEN = pa.schema(
    [
        ("day", pa.date32()),
        ("hour", pa.timestamp("us")),
        *((n, _TEXT) for n in ("source", "provider", "account_id", "region", "node_id", "device_id", "device_kind")),
        ("method", _TEXT),
        ("energy_kwh", pa.decimal128(18, 9)),
    ]
)
"""The columns of readings that say which host and device there is; what was not asked for is NULL."""

MOVED = timedelta(days=2)
"""What was seen of a GPU longer ago than this, compared with what was seen last, is no claim about where it is."""

_HOST = ("provider", "region", "node_id")

_NOWHERE = ibis.schema({"table": "string", "provider": "string", "region": "string"})


def hosts(con: Any, site: Site, rows: ir.Table) -> Iterator[Finding]:
    """Meters without devices, devices without a meter, and names that could be two hosts, by place.

    Args:
        con: An Ibis DuckDB connection.
        site: The site file.
        rows: Hosts seen, in the columns of readings, with their place.
    """
    names = con.create_table("doctor_names", node_names(rows, site.nodes), temp=True, overwrite=True)
    upstream = {
        "seen": rows,
        PLACES: ibis.memtable([], schema=_NOWHERE),
        NODE_NAMES: names,
    }
    total = con.to_pyarrow(names.select("provider", "region", "node_id").distinct().count()).as_py()
    by_place: dict[tuple[str | None, str | None], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in con.to_pyarrow(unmatched(rows, upstream)).to_pylist():
        by_place[row["provider"], row["region"]][row["finding"]].append(row["node_id"])
    for row in con.to_pyarrow(ambiguous(rows, upstream)).to_pylist():
        by_place[row["provider"], row["region"]]["ambiguous"].append(row["node_id"])
    elsewhere = list(_elsewhere(con, readings_of(upstream)))
    told = {host for host, _ in elsewhere}
    yield from (finding for _, finding in elsewhere)
    apart = con.to_pyarrow(in_two_places(rows, upstream)).to_pylist()
    if total and not by_place and not elsewhere and not apart:
        yield Finding(True, counted(total, "host") + (", told apart by their names" if total > 1 else ""))
    for (provider, region), found in by_place.items():
        where = place_name(provider, region)
        unmetered = [name for name in found["devices without a meter"] if (provider, region, name) not in told]
        yield from _unmatched(where, region, found["a meter without devices"], unmetered)
        if found["ambiguous"]:
            yield _ambiguous(where, region, found["ambiguous"])
    yield from _apart(apart)
    yield from _split(con.to_pyarrow(split(rows, upstream)).to_pylist())


def _elsewhere(con: Any, readings: ir.Table) -> Iterator[tuple[Host, Finding]]:
    """Hosts whose GPUs another source places in a host with a meter, which would hold them as well."""
    kept = readings.filter(readings.device_kind.isin(["node", "instance"])).select(*_HOST).distinct()
    metered = {tuple(row.values()) for row in con.to_pyarrow(kept).to_pylist()}
    hosts_of: dict[str, set[Host]] = defaultdict(set)
    for row in con.to_pyarrow(told_on_several(readings).select("uuid", *_HOST)).to_pylist():
        hosts_of[row.pop("uuid")].add(tuple(row.values()))
    gpus: dict[tuple[Host, Host], list[str]] = defaultdict(list)
    for uuid, hosts in sorted(hosts_of.items()):
        whole = sorted(hosts & metered, key=str)
        for host in sorted(hosts - set(whole[:1]), key=str) if whole else ():
            gpus[host, whole[0]].append(uuid)
    for (host, meter), uuids in gpus.items():
        (provider, region, name), (*place, other) = host, meter
        there = "" if [provider, region] == place else f" ({place_name(*place)})"
        here = f"{_listed(uuids)} {'is' if len(uuids) == 1 else 'are'} in {name}, and in {other}{there} as well"
        what = f"{place_name(provider, region)}: {here}, which has a meter: if both are one host, it counts twice"
        if there:
            remedy = "Mend the `place` block, or the host's name, of the source that is wrong."
        else:
            line = _line(name, region, f"also: [{quoted(other)}]")
            remedy = added("nodes", [f"{line}   # if they are one host; else mend the source that is wrong"])
        yield host, Finding(False, what, remedy)


def _apart(rows: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """GPUs and hosts of which sources tell in two places: in one of them they count wrongly, or twice."""
    by_places: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_places[row["places"]].add(row["name"])
    for places, names in sorted(by_places.items()):
        what = f"{_listed(sorted(names))} in several places: {places}; a host has its meter and its devices in one"
        yield Finding(False, what, THINGS_HAVE_ONE_PLACE.remedy)


def _unmatched(where: str, region: str | None, meters: list[str], devices: list[str]) -> Iterator[Finding]:
    if not devices:
        if meters:
            yield Finding(True, f"{where}: node meters without devices, which count as whole nodes: {_listed(meters)}")
        return
    pairs = _pairs(meters, devices)
    lines = []
    for host in devices[:SHOWN]:
        others = [pairs[host]] if host in pairs else []
        if others:
            lines.append(
                _line(host, region, f'also: ["{others[0]}"]') + "   # if they are one host; else `metered: false`"
            )
        else:
            lines.append(_line(host, region, "metered: false") + "   # if it has no meter; else `also` with its name")
    said = f"{where}: devices without their node's meter: {_listed(devices)}"
    if meters:
        said += f"; node meters without devices: {_listed(meters)}. Under two names one host counts twice"
    yield Finding(False, said, added("nodes", lines))


def _split(rows: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """GPUs and CPUs without a host in common: nothing doubles, so that it is no fault."""
    by_place: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_place[place_name(row["provider"], row["region"])][row["finding"]].append(row["node_id"])
    for where, found in by_place.items():
        gpus, cpus = _listed(found["gpus alone"]), _listed(found["cpus alone"])
        yield Finding(
            True,
            f"{where}: GPUs of {gpus} and CPUs of {cpus} have no host in common: if these are one machine under two"
            " names, its energy counts once, but figures by host are split (`also` under `nodes` joins them)",
        )


def _ambiguous(where: str, region: str | None, names: list[str]) -> Finding:
    short: dict[str, list[str]] = defaultdict(list)
    for name in names:
        short[name.split(".")[0]].append(name)
    lines = []
    for host, full in list(short.items())[:SHOWN]:
        listed = ", ".join(f'"{name}"' for name in full)
        lines.append(_line(host, region, f"also: [{listed}]") + "   # if they are one host")
        lines += [_line(name, region) + "   # else one line for each" for name in full]
    return Finding(False, f"{where}: names that differ in their domain alone: {_listed(names)}", added("nodes", lines))


def _pairs(meters: Sequence[str], devices: Sequence[str]) -> dict[str, str]:
    """Devices' hosts and the one meter that is likely theirs: the only one left, or the only one named like it."""
    if len(meters) == len(devices) == 1:
        return {devices[0]: meters[0]}
    alike = {host: [meter for meter in meters if plain_name(host) in _parts(meter)] for host in devices}
    return {host: found[0] for host, found in alike.items() if len(found) == 1}


def _parts(name: str) -> set[str]:
    """Beginnings and ends of a name at its hyphens: those of `bmc-gpu-7` are bmc, bmc-gpu, gpu-7 and 7."""
    words = name.split(".")[0].split("-")
    return {"-".join(words[:n]) for n in range(1, len(words))} | {"-".join(words[n:]) for n in range(1, len(words))}


def placed(site: Site, seen: dict[str, list[SeenNode]], day: date) -> ir.Table:
    """Hosts and GPUs seen, as readings of one day, with the place of their source where they name none.

    Args:
        site: The site file.
        seen: By source.
        day: Today; what a source sees now is of it.
    """
    newest = max((one.last or day for nodes in seen.values() for one in nodes), default=day)
    rows = [
        {**vars(one), "day": day, "source": name, "device_id": device}
        for name, nodes in seen.items()
        for one in nodes
        for device in (one.node_id, *(one.gpus if newest - (one.last or day) <= MOVED else ()))
    ]
    ranks = {source.name: rank for rank, source in enumerate(site.sources)}
    placed = filled(ibis.memtable(pa.Table.from_pylist(rows, schema=_SEEN)), site.source_places, ranks)
    return respelled(placed, ibis.memtable(one_spelling(placed, site.source_places, site.places)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _line(name: str, region: str | None, more: str = "") -> str:
    parts = [f"name: {quoted(name)}", more, f"region: {quoted(region)}" if region else ""]
    return f"- {{{', '.join(part for part in parts if part)}}}"
