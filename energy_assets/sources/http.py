"""HTTP as every source speaks it: bounded retries, time and size, Retry-After honoured, one classification of failures.

What belongs here: transport. What does not: paging, authentication and the meaning of an answer.

Redirects are not followed, so that no credentials reach another host: the error names the target.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import httpcore
import httpx
from httpx_retries import Retry, RetryTransport

from energy_assets import __version__
from energy_assets.secrets import masked
from energy_assets.sources.errors import DeniedError, PermanentError, TransientError
from energy_assets.sources.refusal import Refusing

TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
DENIED_STATUS = frozenset({401, 403, 407})
TOTAL_S = 900.0
"""Seconds for one request with all of its attempts: three waits of two minutes, and four attempts as long as
Prometheus itself lets a query take. `timeout_s` bounds each wait for a part of an answer, and this their sum."""
ANSWER_BYTES = 512 << 20
"""Of one answer, unpacked. It is held in memory; an answer of a day that is larger is no answer."""
EXCERPT_BYTES = 64 << 10
"""How much of an error page is read."""
EXCERPT = 300
"""Characters of an error page that are repeated."""
DEADLINE = "energy_assets.deadline"


def client(
    base_url: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 60.0,
    attempts: int = 4,
    backoff_s: float = 0.5,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client that repeats what time may heal, waiting as long as `Retry-After` says (at most two minutes).

    Args:
        base_url: What every path is joined to.
        headers: Sent with every request; may hold credentials, and is logged nowhere.
        timeout_s: Seconds to wait for a connection, and for each part of an answer.
        attempts: How often a request is sent at most, the first time included.
        backoff_s: Seconds before the second attempt; doubled before each further one.
        transport: Instead of the network, for tests.

    Raises:
        PermanentError: a header cannot be sent, as it holds a line break, a NUL or a letter that is not ASCII.
    """
    retry = Retry(
        total=attempts - 1,
        backoff_factor=backoff_s,
        max_backoff_wait=120.0,
        respect_retry_after_header=True,
        status_forcelist=TRANSIENT_STATUS,
        allowed_methods=["GET", "POST"],
    )
    _refuse_unsendable(headers or {})
    return httpx.Client(
        base_url=base_url,
        headers={"user-agent": f"energy-assets/{__version__}", **(headers or {})},
        timeout=timeout_s,
        follow_redirects=False,
        transport=RetryTransport(transport=Refusing(transport or _Timed()), retry=retry),
    )


def _refuse_unsendable(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise PermanentError(
                f"the header {name} cannot be sent: its value holds a line break, a NUL or a letter that is not ASCII",
                "Look at the secret it is made of: the variable or file must hold the token and nothing else.",
            )


@cache
def _trust() -> ssl.SSLContext:
    """The certificates trusted; reading them takes a tenth of a second, and a source makes a client for each day."""
    return httpx.create_ssl_context()


class _Timed(httpx.HTTPTransport):
    """The network, on which the whole of a request has one deadline, from `DEADLINE` of its extensions.

    httpx bounds every single wait, so that a server which sends one byte a second is waited for without end, within
    the headers too. httpcore lets its sockets be replaced; httpx has no argument to pass them on.
    """

    def __init__(self) -> None:
        super().__init__(verify=_trust())
        self._clock = threading.local()
        self._pool = httpcore.ConnectionPool(ssl_context=_trust(), network_backend=_Network(self._clock))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request within its deadline."""
        self._clock.deadline = request.extensions.get(DEADLINE)
        return super().handle_request(request)


class _Network(httpcore.NetworkBackend):
    """Sockets whose waits end with the deadline of the thread's request."""

    def __init__(self, clock: threading.local) -> None:
        self._real, self._clock = httpcore.SyncBackend(), clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection."""
        timeout = _left(self._clock, timeout, httpcore.ConnectTimeout)
        return _Stream(self._real.connect_tcp(host, port, timeout, local_address, socket_options), self._clock)


class _Stream(httpcore.NetworkStream):
    def __init__(self, real: httpcore.NetworkStream, clock: threading.local) -> None:
        self._real, self._clock = real, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._real.read(max_bytes, _left(self._clock, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._real.write(buffer, _left(self._clock, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._real.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._clock, timeout, httpcore.ConnectTimeout)
        return _Stream(self._real.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._real.get_extra_info(info)


def _left(clock: threading.local, timeout: float | None, error: type[Exception]) -> float | None:
    """Seconds that a wait may take."""
    deadline = getattr(clock, "deadline", None)
    if deadline is None:
        return timeout
    left: float = deadline - time.monotonic()
    if left <= 0:
        raise error("the answer was not whole when its time was over")
    return left if timeout is None else min(timeout, left)


def send(
    http: httpx.Client,
    method: str,
    path: str,
    remedies: Mapping[int, str],
    *,
    total_s: float | None = None,
    limit: int | None = None,
    **kwargs: Any,
) -> httpx.Response:
    """Send one request; return the answer when it is a success.

    Args:
        http: From `client`.
        method: GET or POST.
        path: Below the base URL.
        remedies: What to do, by status; status 0 stands for "no answer at all".
        total_s: Seconds for the request with all attempts; None for `TOTAL_S`.
        limit: Bytes of the answer, unpacked; None for `ANSWER_BYTES`.
        kwargs: As httpx takes them.

    Raises:
        UnreachableError: the connection is refused.
        TransientError: no whole answer, a time-out, 408, 429 or 5xx after all attempts.
        DeniedError: 401, 403 or 407: the credentials are missing, wrong or may not do this.
        PermanentError: every other status from 300 on, or an answer that is too large.
    """
    where = f"{method} {http.base_url.join(path)}"
    total_s, limit = TOTAL_S if total_s is None else total_s, ANSWER_BYTES if limit is None else limit
    asked = http.build_request(method, path, extensions={DEADLINE: time.monotonic() + total_s}, **kwargs)
    try:
        response = http.send(asked, stream=True)
        try:
            if response.is_success:
                return _whole(response, where, limit)
            said = " ".join(masked(excerpt(response)).split())[:EXCERPT]
        finally:
            response.close()
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = str(error) or type(error).__name__
        raise TransientError(
            f"{where}: no answer ({reason})", remedies.get(0, "Check that the server runs and the url is right.")
        ) from error
    raise _refusal(response, where, said, remedies)


def _refusal(response: httpx.Response, where: str, said: str, remedies: Mapping[int, str]) -> Exception:
    """The error of an answer that is no success."""
    status = response.status_code
    if response.has_redirect_location:
        target = masked(
            str(response.request.url.join(response.headers["location"]).copy_with(userinfo=b"", query=None))
        )
        return PermanentError(
            f"{where}: HTTP {status}, the server sends us on to {target}",
            "Redirects are not followed, because credentials would go along. Is it where the data is? Then write it "
            "as the url of this source in site.yaml; if it is a page to log in, the credentials are missing or wrong.",
        )
    message = f"{where}: HTTP {status}" + (f", {said}" if said else "")
    if status in TRANSIENT_STATUS:
        return TransientError(message, remedies.get(status, "Run the same days again later."))
    kind = DeniedError if status in DENIED_STATUS else PermanentError
    return kind(message, remedies.get(status, "Correct the source in site.yaml and run the same days again."))


def excerpt(response: httpx.Response) -> str:
    """The beginning of an answer that is read as a stream, as text."""
    found = b""
    for chunk in response.iter_bytes(EXCERPT_BYTES):
        found += chunk
        if len(found) >= EXCERPT_BYTES:
            break
    return found[:EXCERPT_BYTES].decode(response.encoding or "utf-8", "replace")


def _whole(response: httpx.Response, where: str, limit: int) -> httpx.Response:
    """The answer with its body read.

    Raises:
        PermanentError: it is larger than it may be.
    """
    parts, size = list[bytes](), 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > limit:
            raise PermanentError(
                f"{where}: the answer is larger than {limit >> 20} MB (unpacked)",
                "Narrow what is asked for: a selector, fewer metrics, or several sources in place of one.",
            )
        parts.append(chunk)
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _OF_THE_WIRE]
    return httpx.Response(response.status_code, headers=headers, content=b"".join(parts), request=response.request)


_OF_THE_WIRE = frozenset({b"content-encoding", b"transfer-encoding", b"content-length"})
"""Headers that speak of how the body came, not of what it is now."""
