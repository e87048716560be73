"""The Prometheus HTTP API: a query, its answer's bytes, and what to do when the server finds it too large.

What belongs here: the wire. What does not: which queries are worth asking (`queries`, `energy`, `inference`) and
what answers mean (`answers`).
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import httpx
from pydantic import Field, field_validator, model_validator

from energy_assets.secrets import SecretRef, known_scheme, masked, protect, reveal, revealed
from energy_assets.sources.base import Strict
from energy_assets.sources.errors import MalformedError, PermanentError
from energy_assets.sources.http import client, excerpt, send
from energy_assets.sources.prometheus.partial import WHOLE, refuse_partial

TIMEOUT_S = 150.0
"""Above Prometheus' own default of two minutes, so that the server, not the line, says when it gives up."""

TRAILING_DAYS = 2
"""Remote write brings samples late, by hours at most (an agent keeps two to four hours of them), and servers that take
samples out of order are set to hours, too: a day collected soon after midnight is asked for once more a night later."""

NAMES_PATH = "api/v1/label/__name__/values"
ALL_NAMES = "all_names"
"""The role of the question which metrics there are at all, asked where none is known."""
EARLIER = "earlier"
"""The role of the question whether the server knew anything before the first hour of a source."""
_MATCHER = re.compile(r"""[A-Za-z_:][\w:]*\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)""")

REMEDIES = {
    0: "Check that Prometheus runs and that url of this source in site.yaml is right.",
    400: "Check selector and metrics of this source in site.yaml; the server's words above say what it dislikes.",
    401: "Set token or basic_auth of this source in site.yaml.",
    403: "The credentials of this source may not read this Prometheus; ask for read access.",
    404: "The url must end where /api/v1 begins, for example http://prometheus:9090 or http://host/prometheus.",
    503: "Prometheus is starting, overloaded or timed out (--query.timeout); run the same days again later.",
}


class TooLargeError(PermanentError):
    """HTTP 422: the query is understood but would load more than the server allows; of this day, not of others."""


class BasicAuth(Strict):
    """User name and password."""

    username: str
    password: SecretRef = Field(description="reference to the secret, for example env:PROM_PASSWORD")


class Server(Strict):
    """Where a Prometheus is and how to be let in; the keys every prometheus_* source has.

    Attributes are the keys of site.yaml.
    """

    url: str = Field(pattern=r"^https?://", description="base url, for example http://prometheus:9090")
    token: SecretRef | None = Field(None, description="bearer token, as a reference (env:…, file:…)")
    basic_auth: BasicAuth | None = None
    headers: dict[str, str] = Field(
        default_factory=dict, description="more headers, for example X-Scope-OrgID; secret ones as references (env:…)"
    )
    selector: str = Field("", description='label matchers added to every query, for example cluster="a"')

    @field_validator("headers")
    @classmethod
    def _no_credentials(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(name.lower() == "authorization" for name in headers):
            raise ValueError("credentials do not belong in headers; use token or basic_auth")
        for name, value in headers.items():
            if re.search(r"key|token|secret|password|auth|cookie", name, re.IGNORECASE):
                try:
                    known_scheme(value)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        return headers

    @field_validator("selector")
    @classmethod
    def _bare_matchers(cls, selector: str) -> str:
        return selector.strip().removeprefix("{").removesuffix("}").strip().strip(",")

    @model_validator(mode="after")
    def _one_way_in(self) -> Server:
        if self.token and self.basic_auth:
            raise ValueError("token and basic_auth exclude each other; keep one")
        return self

    def repeats(self, other: Any) -> str:
        """See `Source.repeats`: the same Prometheus, let in the same way, with the same selector."""
        name: str = other.name  # before the next line, in which mypy takes it for a server alone
        if type(other) is not type(self) or self._data != other._data:
            return ""
        return (
            f"source '{name}' reads the same Prometheus with the same selector, so that everything would come"
            " twice; remove one of the two, or give each a selector of its own"
        )

    @property
    def _data(self) -> tuple[Any, ...]:
        """What decides which series the server answers with. Headers and credentials may name a tenant."""
        url = httpx.URL(self.url)
        port = {"http": 80, "https": 443}.get(url.scheme) if url.port is None else url.port
        where = (url.scheme, url.host.rstrip("."), port, url.path.rstrip("/"), url.query)
        matchers = tuple(sorted(re.sub(r"\s", "", one) for one in _MATCHER.findall(self.selector)))
        headers = tuple(sorted((name.lower(), value) for name, value in self.headers.items()))
        return (*where, matchers, headers, self.token, self.basic_auth)

    def authorization(self) -> dict[str, str]:
        """The headers of a request, secrets included; never to be stored."""
        headers = revealed(self.headers)
        if self.token:
            headers["authorization"] = f"Bearer {reveal(self.token)}"
        if self.basic_auth:
            pair = f"{self.basic_auth.username}:{reveal(self.basic_auth.password)}"
            headers["authorization"] = f"Basic {protect(base64.b64encode(pair.encode()).decode())}"
        return headers


@dataclass(frozen=True)
class Query:
    """One PromQL question and why it is asked.

    Attributes:
        role: What the answer is used for; a name that `answers` and the SQL know.
        meter: The meter it belongs to.
        promql: The expression.
        start: First evaluation, unix seconds; equal to `end` for an instant query.
        end: Last evaluation, included.
        step: Seconds between evaluations; 0 for an instant query.
    """

    role: str
    meter: str
    promql: str
    start: int
    end: int
    step: int = 0

    @property
    def path(self) -> str:
        """Below the url."""
        return "api/v1/query_range" if self.step else "api/v1/query"

    @property
    def form(self) -> dict[str, str]:
        """The parameters on the wire."""
        if self.step:
            return {
                "query": self.promql,
                "start": str(self.start),
                "end": str(self.end),
                "step": str(self.step),
            }
        return {"query": self.promql, "time": str(self.end)}

    @property
    def request(self) -> dict[str, Any]:
        """What the receipt keeps."""
        return {"role": self.role, "meter": self.meter, "path": self.path, **self.form}

    def halves(self) -> tuple[Query, Query] | None:
        """The same evaluations in two queries, or None when there is only one evaluation."""
        steps = (self.end - self.start) // self.step if self.step else 0
        if steps < 1:
            return None
        middle = self.start + steps // 2 * self.step
        return replace(self, end=middle), replace(self, start=middle + self.step)


@dataclass(frozen=True)
class NamesQuery:
    """The question which metrics exist.

    Attributes:
        selects: Series selectors, any of which may match.
        start: Unix seconds.
        end: Unix seconds.
        role: What the answer is used for.
    """

    selects: tuple[str, ...]
    start: int
    end: int
    role: str = "names"

    @property
    def request(self) -> dict[str, Any]:
        """What the receipt keeps."""
        return {"role": self.role, "path": NAMES_PATH, **self.parameters}

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters on the wire."""
        return {"match[]": list(self.selects), "start": str(self.start), "end": str(self.end)}


class Api:
    """A session with one Prometheus."""

    def __init__(self, server: Server, log: logging.Logger, **options: Any) -> None:
        self._http = client(server.url, headers=server.authorization(), **{"timeout_s": TIMEOUT_S, **options})
        self._http.event_hooks["response"] += [refuse_partial, _refuse_too_large]
        self._log = log

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def run(self, query: Query) -> Iterator[tuple[Query, httpx.Response]]:
        """Ask; when the server finds the query too large, ask it in halves.

        Raises:
            TransientError: see `http.send`; also when the server says that its answer is not whole.
            PermanentError: see `http.send`; also when a single evaluation is still too large.
        """
        try:
            yield query, send(self._http, "POST", query.path, REMEDIES, data={**query.form, **WHOLE})
        except TooLargeError as error:
            pieces = query.halves()
            if pieces is None:
                raise
            self._log.warning("%s; asking %s of %s in two halves", error.message, query.role, query.meter)
            for piece in pieces:
                yield from self.run(piece)

    def names(self, query: NamesQuery) -> tuple[frozenset[str], httpx.Response]:
        """The metrics that exist, and the answer that says so.

        Raises:
            MalformedError: the answer is no list of names.
        """
        response = send(self._http, "GET", NAMES_PATH, REMEDIES, params={**query.parameters, **WHOLE})
        found = _data(response)
        if not isinstance(found, list):
            raise MalformedError(
                f"{response.request.url}: the answer is no list of metrics ({response.text[:80]!r})", REMEDIES[404]
            )
        return frozenset(found), response

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The `data` of a small GET request.

        Args:
            path: Below the url of the server.
            params: Of the query string.
        """
        return _data(send(self._http, "GET", path, REMEDIES, params={**params, **WHOLE} if params else None))

    def ask(self, promql: str, time: int) -> Any:
        """The `data` of a small instant query.

        Args:
            promql: The expression.
            time: When it is evaluated, in unix seconds.
        """
        form = {"query": promql, "time": str(time), **WHOLE}
        return _data(send(self._http, "POST", "api/v1/query", REMEDIES, data=form))


def _data(response: httpx.Response) -> Any:
    try:
        return response.json()["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedError(
            f"{response.request.url}: the answer is not Prometheus' JSON ({response.text[:80]!r})", REMEDIES[404]
        ) from error


def _refuse_too_large(response: httpx.Response) -> None:
    if response.status_code == 422:
        said = " ".join(masked(excerpt(response))[:300].split())
        raise TooLargeError(
            f"{response.request.url}: HTTP 422, {said}",
            "Raise the server's limit (--query.max-samples) or narrow the source with selector.",
        )
