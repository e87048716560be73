"""The wire of the Electricity Maps API, versions 3 and 4: endpoints, parameters, limits, what its errors mean.

What belongs here: requests and answers as bytes. What does not: their content, and which ones a day needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from energy_assets.landing import Fetched
from energy_assets.periods import DayRange
from energy_assets.sources import http
from energy_assets.sources.errors import PermanentError

BASES = ("lifecycle", "direct")
"""Values of `emissionFactorType`: with the upstream of the fuels, and combustion alone."""

MINUTES: Mapping[str, int] = {"5_minutes": 5, "15_minutes": 15, "hourly": 60}
"""Values of `temporalGranularity` that become hours, and the minutes of each value."""

WINDOW_DAYS = 10
"""`past-range` answers at most 240 hours at once; for finer values the service states no limit, and a day is asked."""

ATTEMPTS = 4
BACKOFF_S = 0.5
_CACHED = 128


@dataclass(frozen=True)
class Answer:
    """One answer and the request that brought it, without the token."""

    body: bytes
    request: Mapping[str, Any]
    status: int

    def fetched(self, days: tuple[date, ...]) -> Fetched:
        """The answer, to be landed for these days."""
        return Fetched(self.body, self.request, days, self.status, "application/json")


class Api:
    """The service as one token sees it; asks for the same window once.

    The caller's own location is never used for a zone: every request says `disableCallerLookup=true`.
    """

    def __init__(self, url: str, token: str, source: str) -> None:
        self._url = url.rstrip("/")
        self._source = source
        self._http = http.client(self._url, headers={"auth-token": token}, attempts=ATTEMPTS, backoff_s=BACKOFF_S)
        self.hours = lru_cache(_CACHED)(self._hours)
        self.year = lru_cache(_CACHED)(self._year)

    def _hours(self, zone: str, basis: str, window: DayRange, granularity: str = "hourly") -> Answer:
        """Every value of a window: of at most ten days by the hour, of one day where they are finer."""
        span = {"start": _iso(window.start), "end": _iso(window.end), "temporalGranularity": granularity}
        return self._ask("past-range", zone, basis, span)

    def _year(self, zone: str, basis: str, year: int) -> Answer | None:
        """The mean of a calendar year, or None where the token's plan does not include it."""
        start, end = (datetime(y, 1, 1, tzinfo=UTC) for y in (year, year + 1))
        span = {"start": _iso(start), "end": _iso(end), "temporalGranularity": "yearly"}
        try:
            return self._ask("past-range", zone, basis, span)
        except PermanentError:
            return None

    def last_day(self, zone: str, basis: str, granularity: str = "hourly") -> Answer:
        """The last 24 hours; the only past a free token can see.

        Args:
            zone: A zone of Electricity Maps.
            basis: "lifecycle" or "direct".
            granularity: One of `MINUTES`.
        """
        finer = {} if granularity == "hourly" else {"temporalGranularity": granularity}
        return self._ask("history", zone, basis, finer)

    def _ask(self, endpoint: str, zone: str, basis: str, span: Mapping[str, str]) -> Answer:
        params = {"zone": zone, "emissionFactorType": basis, "disableCallerLookup": "true", **span}
        path = f"carbon-intensity/{endpoint}"
        response = http.send(self._http, "GET", path, self._remedies(zone), params=params)
        request = {"method": "GET", "url": f"{self._url}/{path}", "params": params}
        return Answer(response.content, request, response.status_code)

    def _remedies(self, zone: str) -> dict[int, str]:
        source = f"source '{self._source}' in site.yaml"
        plan = "a free token takes `access: history`"
        return {
            0: f"Check `url` of {source} and that this machine may reach it.",
            400: f"Zone {zone}: check `zones` and `access` of {source}; {plan}.",
            401: f"Check that `token` of {source} refers to a valid Electricity Maps token; {plan}.",
            403: f"The plan of the token does not include zone {zone} or this endpoint; {plan} ({source}).",
            404: f"Electricity Maps does not know zone {zone}: {self._url}/zones lists the names; "
            f"correct `zones` of {source}, or the `zone` of the place that names it.",
            429: "The token's rate limit is used up; run the same days again later.",
        }


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
