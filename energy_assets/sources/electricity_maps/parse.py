"""Answers of the Electricity Maps API to points, pure: bytes and their requests in, values in time out.

What belongs here: the JSON and its meaning. What does not: requests, hours (`hours`), and stand-ins for missing ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import Any

import ibis
import pyarrow as pa

from energy_assets.periods import DayRange
from energy_assets.sources.electricity_maps.client import BASES, MINUTES
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.intensity import LEAST_OF_A_FIRE, MAX_GCO2E_PER_KWH, MEANS

IMPOSSIBLE = "impossible_values_dropped"
_STEP = Decimal("0.001")
_UNIT = "gco2eq/kwh"
_REMEDY = "The bytes stay landed; run the same days again, and write to Electricity Maps if it stays so."


@dataclass(frozen=True)
class Point:
    """One value of an answer.

    Attributes:
        zone: As answered.
        basis: lifecycle or direct.
        time: Start of what the value is of (minutes, an hour, a year), UTC without offset.
        gco2e_per_kwh: None where the service knows none.
        is_estimated: By the service.
        updated_at: When the service last touched it; the later of two wins.
        sha256: Of the answer.
        version: Of the API.
        fault: Why it says nothing: the name of the note that counts it.
        stated_minutes: What the answer says that its values are of; None where it says nothing, or a year.
        asked_minutes: What was asked for.
    """

    zone: str
    basis: str
    time: datetime
    gco2e_per_kwh: Decimal | None
    is_estimated: bool
    updated_at: str
    sha256: str
    version: str
    fault: str | None
    stated_minutes: int | None = None
    asked_minutes: int = 60


def points(body: bytes, request: Mapping[str, Any], sha256: str = "") -> list[Point]:
    """The values of one answer that lie in the window it was asked for.

    Args:
        body: JSON as answered.
        request: What was asked, as landed beside it.
        sha256: Of the body; the points carry it.

    Raises:
        MalformedError: no JSON, another shape than promised, steps coarser than an hour, or an answer about another
            zone than asked.
    """
    where = f"answer {sha256[:12] or 'of Electricity Maps'} to {request['url']} for zone {request['params']['zone']}"
    try:
        content = json.loads(body, parse_float=Decimal)
    except ValueError as error:
        raise MalformedError(f"{where}: no whole JSON ({error})", _REMEDY) from error
    try:
        zone = content["zone"]
        listed = content["data"] if "data" in content else content["history"]
        if str(content.get("unit", _UNIT)).lower() != _UNIT:
            raise ValueError(f"unit is {content['unit']!r}")
        stated = content.get("temporalGranularity")
        found = [_point({"temporalGranularity": stated, **entry}, zone, request, sha256) for entry in listed]
        if "start" in request["params"]:
            start, end = (_utc(request["params"][key]) for key in ("start", "end"))
            found = [point for point in found if start <= point.time < end]
        _require_steps(stated, [point.time for point in found], is_yearly(request))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise MalformedError(f"{where}: not the fields the service documents ({fault})", _REMEDY) from error
    answered = {zone, *(point.zone for point in found)}
    if answered != {request["params"]["zone"]}:
        raise MalformedError(f"{where}: speaks of zone {', '.join(sorted(map(str, answered)))}", _REMEDY)
    return found


def _require_steps(stated: Any, times: Sequence[datetime], yearly: bool) -> None:
    """That an answer holds hours, or what is finer, where these were asked for, and years where years were."""
    allowed = ("yearly",) if yearly else tuple(MINUTES)
    if stated and stated not in allowed:
        raise ValueError(f"temporalGranularity is {stated!r}, not {' or '.join(allowed)}")
    ordered = sorted(set(times))
    days = all(not time.hour and not time.minute for time in ordered)
    if not yearly and days and len(ordered) > 1:
        raise ValueError("the values are days apart, not hours")


def without_gaps(found: Iterable[Point]) -> list[Point]:
    """The points, a direct 0 as impossible where the life cycle of the same time is 0, too: no grid has that.

    Args:
        found: Points of all zones and both bases.
    """
    given = list(found)
    lifecycles = [point for point in given if point.basis == "lifecycle"]
    sound = {_at(point) for point in lifecycles if not point.fault}
    gaps = {_at(point) for point in lifecycles if point.gco2e_per_kwh == 0} - sound
    return [
        replace(point, fault=point.fault or IMPOSSIBLE) if point.gco2e_per_kwh == 0 and _at(point) in gaps else point
        for point in given
    ]


def answered_zone(body: bytes) -> str | None:
    """The zone an answer says it is about; None where it cannot be read."""
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return str(content["zone"]) if isinstance(content, dict) and "zone" in content else None


def is_yearly(request: Mapping[str, Any]) -> bool:
    """Whether a request asked for means of years."""
    return bool(request["params"].get("temporalGranularity") == "yearly")


def is_history(request: Mapping[str, Any]) -> bool:
    """Whether a request asked for the last 24 hours, whenever it was made."""
    return str(request["url"]).endswith("/history")


def year_rows(found: Sequence[Point]) -> pa.Table:
    """`MEANS` with a column `year`, as the service published them."""
    rows = [
        {"zone": zone, "year": start.year, **values, **shared}
        for (zone, start), (values, shared) in _joined(found).items()
    ]
    return pa.Table.from_pylist(rows, schema=ibis.schema({**MEANS, "year": "int32"}).to_pyarrow())


def notes_of(found: Iterable[Point], days: DayRange) -> dict[str, int]:
    """What of `days` was left out, and what may stand for an hour that is not known.

    Args:
        found: Points of all zones.
        days: The days in question, in UTC.
    """
    notes: dict[str, int] = {}
    given = list(found)
    for point in given:
        if point.fault and point.time.date() in days:
            notes[point.fault] = notes.get(point.fault, 0) + 1
    hours = {(zone, time.replace(minute=0)) for zone, time in _doubtful_zeros(given) if time.date() in days}
    if hours:
        notes["zeros_among_higher_intensities"] = len(hours)
    return notes


def _doubtful_zeros(found: Sequence[Point]) -> set[tuple[str, datetime]]:
    """Zone and time of a direct 0 without a life-cycle value, where the zone's others usually are of a fire."""
    whole = {_at(point) for point in _sound(found) if point.basis == "lifecycle"}
    direct = [point for point in _sound(found) if point.basis == "direct" and point.gco2e_per_kwh is not None]
    others: dict[str, list[Decimal]] = {}
    for point in direct:
        others.setdefault(point.zone, []).extend([point.gco2e_per_kwh] if point.gco2e_per_kwh else [])
    burning = {zone for zone, values in others.items() if values and median(values) > LEAST_OF_A_FIRE}
    return {_at(point) for point in direct if not point.gco2e_per_kwh and point.zone in burning} - whole


def _at(point: Point) -> tuple[str, datetime]:
    return point.zone, point.time


def _point(entry: Mapping[str, Any], zone: str, request: Mapping[str, Any], sha256: str) -> Point:
    value = entry["carbonIntensity"]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | Decimal)):
        raise ValueError(f"carbonIntensity is {value!r}")
    basis = request["params"]["emissionFactorType"]
    if entry.get("emissionFactorType", basis) != basis:
        raise ValueError(f"emissionFactorType is {entry['emissionFactorType']!r}, asked for {basis!r}")
    estimated = entry["isEstimated"]
    if not isinstance(estimated, bool) and value is not None:
        raise ValueError(f"isEstimated is {estimated!r}")
    time = _utc(entry["datetime"])
    intensity = None if value is None else Decimal(value).quantize(_STEP, ROUND_HALF_UP)
    return Point(
        zone=entry.get("zone", zone),
        basis=basis,
        time=time,
        gco2e_per_kwh=intensity,
        is_estimated=bool(estimated),
        updated_at=str(entry.get("updatedAt") or ""),
        sha256=sha256,
        version=str(request["url"]).split("/")[-3],
        fault=_fault(value, basis),
        stated_minutes=MINUTES.get(str(entry["temporalGranularity"])),
        asked_minutes=MINUTES.get(str(request["params"].get("temporalGranularity")), 60),
    )


def _utc(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def _fault(gco2e_per_kwh: Decimal | int | None, basis: str) -> str | None:
    if gco2e_per_kwh is None:
        return "points_without_intensity_dropped"
    if not 0 <= gco2e_per_kwh <= MAX_GCO2E_PER_KWH or (gco2e_per_kwh == 0 and basis == "lifecycle"):
        return IMPOSSIBLE
    return None


def _joined(
    found: Sequence[Point],
) -> dict[tuple[str, datetime], tuple[dict[str, Decimal | None], dict[str, Any]]]:
    """Both intensities of every zone and time, and what they share; of two answers the later update wins."""
    best: dict[tuple[str, datetime], dict[str, Point]] = {}
    for point in sorted(_sound(found), key=lambda p: (p.updated_at, p.sha256)):
        best.setdefault((point.zone, point.time), {})[point.basis] = point
    return {key: (_values(by_basis), _shared(by_basis)) for key, by_basis in best.items()}


def _sound(found: Sequence[Point]) -> Iterator[Point]:
    return (point for point in found if not point.fault)


def _values(by_basis: Mapping[str, Point]) -> dict[str, Decimal | None]:
    return {f"{b}_gco2e_per_kwh": by_basis[b].gco2e_per_kwh if b in by_basis else None for b in BASES}


def _shared(by_basis: Mapping[str, Point]) -> dict[str, Any]:
    """The row names the life-cycle answer where there is one; the other is its neighbour in the edition."""
    bases = [basis for basis in BASES if basis in by_basis]
    first = by_basis[bases[0]]
    return {
        "carbon_free_share": None,
        "factor_id": f"electricity_maps/{first.version}/{first.zone}/{'+'.join(bases)}",
        "raw_sha256": first.sha256,
    }
