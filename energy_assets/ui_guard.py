"""The guard in front of Dagster's web server: what another web page may not have a browser do.

What belongs here: which requests reach Dagster, and starting its own web server behind that. What does not: starting
and ending everything the UI needs (`ui`).

Dagster's web server takes mutations from whoever reaches it, by GET as well, and a browser reaches 127.0.0.1 for every
page it shows. So a request must name a host of this machine (a page's own name that was pointed here does not), a
request that can change something must come from the UI's own pages or from no browser at all, and a GET carries no
GraphQL.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from energy_assets.dagster_internals import run_dagster_command, run_guarded_webserver
from energy_assets.disclosures.places import UI_REPORTS

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
HOSTS_VARIABLE = "ENERGY_ASSETS_UI_HOSTS"
"""More names under which the UI may be asked for, with commas between them: for a proxy that somebody trusts."""
REPORTS_VARIABLE = "ENERGY_ASSETS_UI_REPORTS"
"""Where the reports are served while this UI runs: another port, so that no page of a report is one of the UI."""
HOME = "/asset-groups"
"""Where the UI opens: the lineage of all assets, and not the runs of the last hour, of which there may be none."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OWN = frozenset({"", "same-origin", "none"})
"""What `Sec-Fetch-Site` says of a page of the UI itself, of what a person typed, and where there is no browser."""

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class Guard:
    """ASGI middleware; see the module.

    Args:
        app: What is guarded.
        hosts: Names of hosts it may be asked for under, beside those of this machine.
        reports: Where the reports are served, to which `/reports/…` leads; empty where they are not.
    """

    def __init__(self, app: App, hosts: frozenset[str] = frozenset(), reports: str = "") -> None:
        self._app, self._hosts, self._reports = app, HOSTS | hosts, reports

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Pass a request on, or answer it with what is wrong."""
        said = self._refusal(scope) if scope["type"] in ("http", "websocket") else ""
        if not said and (to := self._elsewhere(scope)):
            headers = [(b"location", to.encode()), (b"content-length", b"0"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 307, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        elif not said:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": said[:120]})
        else:
            body = f"{said}\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    def _elsewhere(self, scope: Message) -> str:
        """Where a request is led: the landing page to the lineage, a report to where it is served."""
        if scope["type"] != "http" or scope["method"] not in SAFE:
            return ""
        if scope["path"] == "/" and not scope.get("query_string"):
            return HOME
        if self._reports and scope["path"].startswith(f"{UI_REPORTS}/"):
            return self._reports + quote(scope["path"].removeprefix(UI_REPORTS))
        return ""

    def _refusal(self, scope: Message) -> str:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return f"The UI is not at {host!r}; ask for it at 127.0.0.1 or name the host in {HOSTS_VARIABLE}."
        graphql = scope["path"].rstrip("/").endswith("/graphql")
        socket = scope["type"] == "websocket"
        if graphql and not socket and scope["method"] in SAFE and _carries_graphql(scope):
            return "GraphQL is taken by POST alone."
        if not (socket or graphql or scope["method"] not in SAFE):
            return ""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f"A page of {origin} may not ask this of the UI."
        if headers.get("sec-fetch-site", "") not in OWN:
            return "A page of another site may not ask this of the UI."
        return ""


def _carries_graphql(scope: Message) -> bool:
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return bool({"query", "id", "extensions", "operationName", "variables"} & asked.keys())


def main() -> None:
    """`python -m energy_assets.ui_guard dev …`: `dagster dev` with the guard; otherwise its web server alone."""
    if sys.argv[1:2] == ["dev"]:
        run_dagster_command("energy_assets.ui_guard")
    else:
        more = frozenset(name.strip() for name in os.environ.get(HOSTS_VARIABLE, "").split(",") if name.strip())
        run_guarded_webserver(Guard, hosts=more, reports=os.environ.get(REPORTS_VARIABLE, ""))


if __name__ == "__main__":
    main()
