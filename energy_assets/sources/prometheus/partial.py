"""Partial answers: HTTP 200, and yet a part of what was asked for is missing.

What belongs here: how servers say so. What does not: sending (`client`) and what answers mean (`answers`).

Prometheus (remote read), Thanos and Mimir answer with what they have and `warnings` that name the store that did not
answer; a cluster of VictoriaMetrics says `isPartial`. Such an answer looks whole, with a device fewer. `warnings` that
begin with "PromQL warning" are about the expression (Prometheus 3, `util/annotations`), and so are `infos`: nothing is
missing there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from energy_assets.sources.errors import TransientError

WHOLE: Mapping[str, str] = {"partial_response": "false"}
"""Sent with every question: Thanos then fails instead of answering in part; Prometheus, Mimir and VictoriaMetrics
ignore what they do not know."""

REMEDY = (
    "A store behind this server does not answer: see that all of its stores are up (Thanos: page Stores; otherwise the"
    " targets of remote read), then run the same days again."
)

_ABOUT_THE_QUERY = "PromQL warning"
_STORE_IS_DOWN = re.compile(r"rpc error|StoreAPI|store ?(?:gateway|-gateway)|connection (?:refused|reset)|no such host")


def refuse_partial(response: httpx.Response) -> None:
    """Raise for an answer that says it is not whole; for the hooks of an HTTP client.

    Args:
        response: Any answer of the API.

    Raises:
        TransientError: with the server's words.
    """
    if not response.is_success and response.status_code != httpx.codes.UNPROCESSABLE_ENTITY:
        return
    body = response.read()
    if response.is_success:
        said = _missing(body)
    else:
        said = " ".join(body.decode("utf-8", "replace")[:300].split())
        said = said if _STORE_IS_DOWN.search(said) else ""
    if said:
        raise TransientError(f"{response.request.url}: the answer is not whole: {said}", REMEDY)


def _missing(body: bytes) -> str:
    """What the server says is missing; empty where the answer is whole, or is none of Prometheus' at all."""
    # Answers are megabytes of samples: only one that holds one of the words is read as JSON.
    if b'"warnings"' not in body and b'"isPartial"' not in body:
        return ""
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    warnings = answer.get("warnings") or []
    warnings = [warnings] if isinstance(warnings, str) else warnings
    lost = [" ".join(str(one).split())[:200] for one in warnings if not str(one).startswith(_ABOUT_THE_QUERY)]
    if answer.get("isPartial") is True:
        lost.append("isPartial is true")
    return "; ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
