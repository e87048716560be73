"""A stand-in for the Electricity Maps API, versions 3 and 4: its wire, limits, errors, and made-up intensities.

What belongs here: what a client can see of the service. What does not: anything the platform computes. Every
value is synthetic: a daily and yearly curve around a level per zone, the same for the same seed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

HOUR = timedelta(hours=1)
LEVELS: Mapping[str, tuple[int, int]] = {
    "DE": (380, 9),
    "FR": (48, 8),
    "IE": (310, 0),
    "NL": (290, 5),
    "SE": (26, 15),
    "GB": (180, 0),
    "US-CAL-CISO": (240, -120),
    "US-MIDA-PJM": (400, -75),
    "US-NW-PACW": (330, -120),
    "US-TEX-ERCO": (390, -98),
}
"""Zone: its yearly life-cycle level in g/kWh, and the longitude its sun follows."""

VERSIONS = ("v3", "v4")
"""Both answer; the paths are the same."""

MINUTES = {"5_minutes": 5, "15_minutes": 15, "hourly": 60}
"""The granularities of a series of intensities."""

LIMITS = {
    "5_minutes": timedelta(days=2),
    "15_minutes": timedelta(days=2),
    "hourly": timedelta(hours=240),
    "daily": timedelta(days=100),
}
"""The widest window the service answers, by granularity. It states none for the finest two: public clients keep to two
days."""

Intensity = Callable[[str, datetime, str], float | None]
Answer = tuple[int, dict[str, Any]]


@dataclass
class Faults:
    """What the stand-in gets wrong, on demand.

    Attributes:
        status: Answer the next requests with these statuses, then work again.
        retry_after_s: The `Retry-After` of those answers.
        missing: Hours (zone, instant) that are left out of answers.
        unknown: Hours whose intensity is null.
        other_zone: Answer for another zone than asked.
        truncate: Cut the next answers (this many) in the middle.
        forbidden: Granularities the token's plan does not include: they are refused.
        finest: The finest granularity of the token's plan: what is asked finer is answered in it, without a word.
        echoes: Such answers name the granularity that was asked for, not their own.
        measured: Hours (zone, instant) that are measured however young they are.
    """

    status: list[int] = field(default_factory=list)
    retry_after_s: int | None = None
    missing: set[tuple[str, datetime]] = field(default_factory=set)
    unknown: set[tuple[str, datetime]] = field(default_factory=set)
    other_zone: dict[str, str] = field(default_factory=dict)
    truncate: int = 0
    forbidden: set[str] = field(default_factory=set)
    finest: str = "5_minutes"
    echoes: bool = False
    measured: set[tuple[str, datetime]] = field(default_factory=set)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    params: Mapping[str, str]


def synthetic_intensity(zone: str, hour: datetime, basis: str, seed: int = 0) -> float:
    """Grams CO2e per kWh: low at the zone's noon, high in its evening and winter, with some noise.

    Args:
        zone: A zone the stand-in knows.
        hour: Its start, UTC.
        basis: "lifecycle" or "direct".
        seed: Of the noise.
    """
    level, longitude = LEVELS[zone]
    clock = (hour.hour + longitude / 15) % 24
    sun = max(0.0, math.cos((clock - 13) / 24 * 2 * math.pi))
    evening = math.exp(-(((clock - 19) / 3) ** 2))
    winter = math.cos((hour.timetuple().tm_yday - 15) / 365 * 2 * math.pi)
    digest = hashlib.sha256(f"{seed} {zone} {hour:%Y-%m-%dT%H}".encode()).digest()
    noise = digest[0] / 255 - 0.5
    lifecycle = level * (1 - 0.30 * sun + 0.12 * evening + 0.10 * winter + 0.10 * noise)
    return round(lifecycle if basis == "lifecycle" else max(0.0, lifecycle * 0.9 - 12))


def within_the_hour(hourly: float | None, instant: datetime, minutes: int) -> float | None:
    """A value of some minutes: rising over its hour, so that the mean of all of them is the hour's.

    Args:
        hourly: The value of the hour.
        instant: Where the minutes begin.
        minutes: How many they are.
    """
    if hourly is None or minutes == 60:
        return hourly
    place = (2 * instant.minute + minutes) / 60 - 1
    return hourly + round(place * min(10.0, hourly / 2), 3)


class ElectricityMapsServer:
    """The API on a port of 127.0.0.1, for `with`.

    Attributes:
        url: What goes into site.yaml as `url`.
        faults: What to get wrong; may be changed while it serves.
        requests: Everything that was asked.
    """

    def __init__(
        self,
        *,
        token: str = "sandbox",  # noqa: S107
        zones: tuple[str, ...] = tuple(LEVELS),
        intensity: Intensity | None = None,
        seed: int = 0,
        port: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.faults = Faults()
        self.requests: list[Asked] = []
        self._token, self._zones, self._now = token, zones, now
        self._intensity = intensity or functools.partial(synthetic_intensity, seed=seed)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The base url, with the version that is current."""
        return self.version(VERSIONS[-1])

    def version(self, name: str) -> str:
        """The base url of a version."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, params: Mapping[str, str], token: str | None) -> Answer:
        """Status and body of one request.

        Args:
            path: Of the request.
            params: Of the query string.
            token: As sent; None where none was.
        """
        self.requests.append(Asked(path, dict(params)))
        if self.faults.status:
            status = self.faults.status.pop(0)
            return status, {"error": f"HTTP {status} on demand"}
        version, _, rest = path.removeprefix("/").partition("/")
        if version not in VERSIONS:
            return 404, _problem(f"no such version {version}")
        if rest == "zones":
            return 200, {zone: {"zoneName": zone} for zone in self._zones}
        if token != self._token:
            return 401, {"error": "Invalid auth-token"}
        endpoints = {
            "carbon-intensity/latest": self._latest,
            "carbon-intensity/history": self._history,
            "carbon-intensity/past-range": self._past_range,
        }
        if rest not in endpoints:
            return 404, _problem(f"no such endpoint {path}")
        zone = params.get("zone") or (None if params.get("disableCallerLookup") == "true" else self._zones[-1])
        if zone not in self._zones:
            return 404, _problem(f"No data for zone {zone!r}" if zone else "No zone could be resolved")
        basis = params.get("emissionFactorType", "lifecycle")
        if basis not in ("lifecycle", "direct"):
            return 400, _problem("emissionFactorType must be lifecycle or direct")
        if params.get("disableEstimations", "false") not in ("true", "false"):
            return 400, _problem("disableEstimations must be true or false")
        status, body = endpoints[rest](self.faults.other_zone.get(zone, zone), basis, params)
        if status == 200 and version == "v4":
            body = {**body, "unit": "gCO2eq/kWh"}
        return status, body

    def _latest(self, zone: str, basis: str, params: Mapping[str, str]) -> Answer:
        return 200, self._point(zone, _floor(self._now()), basis)

    def _history(self, zone: str, basis: str, params: Mapping[str, str]) -> Answer:
        asked = params.get("temporalGranularity", "hourly")
        if asked not in MINUTES:
            return 400, _problem(f"temporalGranularity must be one of {', '.join(MINUTES)}")
        minutes = self._minutes(asked)
        last = _floor(self._now(), minutes)
        step = timedelta(minutes=minutes)
        data = self._points(zone, last + step - 24 * HOUR, last + step, basis, minutes, params)
        return 200, {"zone": zone, "temporalGranularity": self._told(asked), "history": data}

    def _minutes(self, asked: str) -> int:
        """What is answered: no finer than the plan."""
        return max(MINUTES[asked], MINUTES[self.faults.finest])

    def _told(self, asked: str) -> str:
        if self.faults.echoes or asked not in MINUTES:
            return asked
        return next(name for name, minutes in MINUTES.items() if minutes == self._minutes(asked))

    def _past_range(self, zone: str, basis: str, params: Mapping[str, str]) -> Answer:
        granularity = params.get("temporalGranularity", "hourly")
        if granularity in self.faults.forbidden:
            return 403, _problem(f"temporalGranularity {granularity} is not part of this plan")
        if granularity not in (*MINUTES, "yearly"):
            return 400, _problem(f"the stand-in knows {', '.join(MINUTES)} and yearly")
        try:
            start, end = (datetime.fromisoformat(params[key]).astimezone(UTC) for key in ("start", "end"))
        except (KeyError, ValueError):
            return 400, _problem("start and end must be ISO 8601 instants")
        if end <= start:
            return 400, _problem("end must be after start")
        if granularity in LIMITS and end - start > LIMITS[granularity]:
            return 400, _problem(f"the range is wider than the limit of {LIMITS[granularity]}")
        if granularity == "yearly":
            data = [self._year(zone, year, basis) for year in range(start.year, (end - HOUR).year + 1)]
        else:
            minutes = self._minutes(granularity)
            until = min(end, _floor(self._now(), minutes) + timedelta(minutes=minutes))
            data = self._points(zone, start, until, basis, minutes, params)
        return 200, {"zone": zone, "temporalGranularity": self._told(granularity), "data": data}

    def _points(
        self, zone: str, start: datetime, end: datetime, basis: str, minutes: int, params: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        step = timedelta(minutes=minutes)
        instants = (start + n * step for n in range(max(0, math.ceil((end - start) / step))))
        missing = self.faults.missing
        kept = (at for at in instants if not {(zone, at), (zone, _floor(at))} & missing)
        points = (self._point(zone, at, basis, minutes) for at in kept)
        without = params.get("disableEstimations") == "true"
        return [point for point in points if not (without and point["isEstimated"])]

    def _point(self, zone: str, instant: datetime, basis: str, minutes: int = 60) -> dict[str, Any]:
        """One value; what is younger than a day is an estimate that a measured value replaces later."""
        hour = _floor(instant)
        estimated = self._now() - hour < timedelta(days=1) and (zone, hour) not in self.faults.measured
        unknown = {(zone, instant), (zone, hour)} & self.faults.unknown
        value = None if unknown else within_the_hour(self._intensity(zone, hour, basis), instant, minutes)
        return {
            "zone": zone,
            "carbonIntensity": value,
            "datetime": _iso(instant),
            "updatedAt": _iso(hour + (HOUR if estimated else timedelta(days=1))),
            "createdAt": _iso(hour - timedelta(days=3)),
            "emissionFactorType": basis,
            "isEstimated": estimated,
            "estimationMethod": "TIME_SLICER_AVERAGE" if estimated else None,
        }

    def _year(self, zone: str, year: int, basis: str) -> dict[str, Any]:
        """The mean of every seventh hour of the year that has passed."""
        start = datetime(year, 1, 1, tzinfo=UTC)
        end = min(datetime(year + 1, 1, 1, tzinfo=UTC), self._now())
        hours = [start + n * HOUR for n in range(0, int((end - start) / HOUR), 7)]
        values = [value for value in (self._intensity(zone, hour, basis) for hour in hours) if value is not None]
        mean = round(sum(values) / len(values), 2) if values else None
        return {**self._point(zone, start, basis), "carbonIntensity": mean, "isEstimated": False}


def _handler(service: ElectricityMapsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            params = {key: values[-1] for key, values in parse_qs(url.query).items()}
            status, body = service.answer(url.path, params, self.headers.get("auth-token"))
            content = json.dumps(body).encode()
            if service.faults.truncate and status == 200:
                service.faults.truncate -= 1
                content = content[: len(content) // 2]
            self.send_response(status)
            if status == 429 and service.faults.retry_after_s is not None:
                self.send_header("Retry-After", str(service.faults.retry_after_s))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the stand-in keeps its requests itself."""

    return Handler


def _problem(message: str) -> dict[str, Any]:
    return {"status": "error", "message": message}


def _floor(instant: datetime, minutes: int = 60) -> datetime:
    return instant.replace(minute=instant.minute // minutes * minutes, second=0, microsecond=0)


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")
