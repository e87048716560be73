"""Disaggregated serving: prefill and decode in servers of their own, which both count the request.

What belongs here: which deployments only prefill. What does not: adding up (`serving`).

In vLLM with a KV connector the router sends each request to a prefill server with `max_tokens=1`, and then, with its
prompt, to a decode server, which generates the answer. Both count the request and its prompt; the prefill server
counts one token, too, which the other one generates again. So all that a prefill server counts is counted by decode
servers, and left out here.

SGLang says it itself, in the label `engine_type` of its counters, so that no more has to be guessed than whether the
decode servers are seen as well: they have to have the requests.

`prefill` of the source names the deployments. Without it, and without that label, a deployment is one of prefill where
all of this holds on a day: its name says `prefill`, and that of another deployment of its namespace and model says
`decode`; every one of its requests that did not fail was cut off by length; it generated no more than a token for each,
where it counts them; and all prefill deployments of the namespace and model together have at most 102 % of the requests
of the decode ones (a request may be prefilled before midnight and answered after). Deployments that look like it but
fail one of these count, and are told.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from energy_assets.counting import counted
from energy_assets.sources.prometheus.answers import Scratch, quoted

MOST = (102, 100)
"""Requests of prefill for each of decode, as a fraction: what may be under way at both ends of a day."""

LEFT_OUT, SUSPECTED = "prefill_requests_left_out", "prefill_suspected"
_SAYS_PREFILL, _SAYS_DECODE = "prefill", "decode"
_PREFILL, _DECODE = re.compile(r"prefill", re.IGNORECASE), re.compile(r"decode", re.IGNORECASE)


def leave_out(scratch: Scratch, named: Sequence[str] | None) -> tuple[dict[str, int], dict[str, Sequence[str]]]:
    """Delete from `served` what deployments of prefill counted.

    Args:
        scratch: Holds `served`.
        named: Deployments that only prefill (`*` stands for any text); None to tell by what they count.

    Returns:
        How many requests were left out and how many deployments are suspected, and the first of each.
    """
    found = _deployments(scratch)
    if named is not None:
        out = [one for one in found if any(fnmatchcase(one.name, pattern) for pattern in named)]
        doubted: list[_Deployment] = []
    else:
        out = [one for one in found if _certain(one, found)]
        doubted = [one for one in found if one not in out and _suspect(one, found)]
    for one in out:
        scratch.con.raw_sql(f"DELETE FROM {scratch['served']} WHERE {one.rows}")
    counts = {LEFT_OUT: sum(one.requests for one in out), SUSPECTED: len(doubted)}
    examples = {LEFT_OUT: out, SUSPECTED: doubted}
    return counts, {note: [str(one) for one in some[:5]] for note, some in examples.items() if some}


class _Deployment:
    """What a deployment of a model counted on the day."""

    def __init__(
        self, name: str, model: str | None, place: str | None, engine: str | None, sums: Sequence[int | None]
    ) -> None:
        self.name, self.model, self.place, self.engine = name, model, place, engine
        requests, cut, failed, self.generated = sums
        self.requests, self.cut, self.failed = requests or 0, cut or 0, failed or 0

    def __str__(self) -> str:
        return f"{self.name}: {counted(self.requests, 'request')}" + (f" of {self.model}" if self.model else "")

    @property
    def rows(self) -> str:
        """SQL of the condition of its rows in `served`."""
        parts = (
            ("deployment", self.name),
            ("model_id", self.model),
            ("metric['namespace']", self.place),
            ("metric['engine_type']", self.engine),
        )
        return " AND ".join(
            f"{column} IS NOT DISTINCT FROM {quoted(value) if value is not None else 'NULL'}" for column, value in parts
        )

    @property
    def prefills(self) -> bool:
        """Whether it says so, by its label or by its name."""
        return self.engine == _SAYS_PREFILL or (self.engine != _SAYS_DECODE and bool(_PREFILL.search(self.name)))

    @property
    def decodes(self) -> bool:
        """Whether it says so, by its label or by its name."""
        return self.engine == _SAYS_DECODE or (self.engine != _SAYS_PREFILL and bool(_DECODE.search(self.name)))

    @property
    def only_begins(self) -> bool:
        """Every request that did not fail was cut off by length, after a token at most where tokens are counted."""
        good = self.requests - self.failed
        return good > 0 and self.cut == good and (self.generated is None or self.generated <= self.requests)

    def beside(self, other: _Deployment) -> bool:
        """Whether the other one may answer its requests."""
        return other is not self and (other.place, other.model) == (self.place, self.model)


def _certain(one: _Deployment, found: Sequence[_Deployment]) -> bool:
    if not (one.prefills and (one.engine == _SAYS_PREFILL or one.only_begins)):
        return False
    decode = sum(other.requests for other in found if one.beside(other) and other.decodes)
    prefill = sum(other.requests for other in found if (other is one or one.beside(other)) and other.prefills)
    return prefill * MOST[1] <= decode * MOST[0]


def _suspect(one: _Deployment, found: Sequence[_Deployment]) -> bool:
    """By its name, or because it only begins what others may go on with."""
    others = sum(other.requests for other in found if one.beside(other))
    begins = one.only_begins and one.generated is not None and one.requests * MOST[1] <= others * MOST[0]
    return one.requests > 0 and one.engine != _SAYS_DECODE and (one.prefills or begins)


def _deployments(scratch: Scratch) -> list[_Deployment]:
    rows = scratch.rows(f"""
        SELECT deployment, model_id, metric['namespace'], metric['engine_type'],
            sum(n) FILTER (counts IN ('requests', 'failed_requests')),
            sum(n) FILTER (counts = 'requests' AND metric['finished_reason'] = 'length'),
            sum(n) FILTER (failed), sum(n) FILTER (counts = 'generated_tokens')
        FROM {scratch["served"]}
        GROUP BY deployment, model_id, metric['namespace'], metric['engine_type'] ORDER BY ALL""")
    return [_Deployment(name, model, place, engine, sums) for name, model, place, engine, *sums in rows]
