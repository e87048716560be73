"""A server that refuses the connection: nothing listens there, and minutes of waiting would not tell more.

What belongs here: telling this from a line that is slow or broken, and how often it is tried. What does not: every
other failure and its retries (`http.py`).
"""

from __future__ import annotations

import time

import httpx

from energy_assets.sources.errors import UnreachableError

ATTEMPTS, WAIT_S = 2, 1.0
"""A server that restarts is back within a second or two; one that was never started is not."""


class Refusing(httpx.BaseTransport):
    """A transport whose refused connections end soon and say so.

    Args:
        inner: Sends the requests.
    """

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Args:
            request: Of httpx.

        Raises:
            UnreachableError: nothing listens there.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return self._inner.handle_request(request)
            except httpx.ConnectError as error:
                if not _refused(error):
                    raise
                time.sleep(WAIT_S)
        try:
            return self._inner.handle_request(request)
        except httpx.ConnectError as error:
            if not _refused(error):
                raise
            where = request.url.copy_with(query=None, userinfo=b"")
            raise UnreachableError(
                f"{request.method} {where}: connection refused, {ATTEMPTS} attempts: no server listens there",
                "Start the server, or correct url of this source in site.yaml.",
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def _refused(error: BaseException | None) -> bool:
    """Whether an error goes back to a refused connection."""
    while error:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False
