"""HTTP as every source speaks it: bounded retries, Retry-After honoured, one classification of failures.

What belongs here: transport. What does not: paging, authentication and the meaning of an answer.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
from httpx_retries import Retry, RetryTransport

from energy_assets import __version__
from energy_assets.sources.errors import DeniedError, PermanentError, TransientError
from energy_assets.sources.refusal import Refusing

TRANSIENT_STATUS = frozenset({408, 429, 500, 502, 503, 504})
DENIED_STATUS = frozenset({401, 403, 407})


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
    """
    retry = Retry(
        total=attempts - 1,
        backoff_factor=backoff_s,
        max_backoff_wait=120.0,
        respect_retry_after_header=True,
        status_forcelist=TRANSIENT_STATUS,
        allowed_methods=["GET", "POST"],
    )
    return httpx.Client(
        base_url=base_url,
        headers={"user-agent": f"energy-assets/{__version__}", **(headers or {})},
        timeout=timeout_s,
        follow_redirects=False,
        transport=RetryTransport(transport=Refusing(transport or httpx.HTTPTransport(verify=_trust())), retry=retry),
    )


@cache
def _trust() -> ssl.SSLContext:
    """The certificates trusted; reading them takes a tenth of a second, and a source makes a client for each day."""
    return httpx.create_ssl_context()


def send(http: httpx.Client, method: str, path: str, remedies: Mapping[int, str], **kwargs: Any) -> httpx.Response:
    """Send one request; return the answer when it is a success.

    Args:
        http: From `client`.
        method: GET or POST.
        path: Below the base URL.
        remedies: What to do, by status; status 0 stands for "no answer at all".
        kwargs: As httpx takes them.

    Raises:
        UnreachableError: the connection is refused.
        TransientError: no answer, a time-out, 408, 429 or 5xx after all attempts.
        DeniedError: 401, 403 or 407: the credentials are missing, wrong or may not do this.
        PermanentError: every other status from 300 on.
    """
    where = f"{method} {http.base_url.join(path)}"
    try:
        response = http.request(method, path, **kwargs)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise TransientError(
            f"{where}: no answer ({reason})", remedies.get(0, "Check that the server runs and the url is right.")
        ) from error
    if response.is_success:
        return response
    said = " ".join(response.text[:300].split())
    message = f"{where}: HTTP {response.status_code}" + (f", {said}" if said else "")
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(message, remedies.get(response.status_code, "Run the same days again later."))
    kind = DeniedError if response.status_code in DENIED_STATUS else PermanentError
    raise kind(
        message, remedies.get(response.status_code, "Correct the source in site.yaml and run the same days again.")
    )
