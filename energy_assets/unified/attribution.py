"""Attribution: who used it. Rules of site.yaml map labels and names to project, model and workload type.

What belongs here: the one meaning of a rule, for energy, cost and activity alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir

IDLE = "idle"
UNKNOWN = "unknown"
AS_NAMED = " (as named)"
"""Behind a project or model that a label or a source calls 'idle' or 'unknown', which are our words for no owner."""

_TEMPLATE = re.compile(r"^\{label:([^}]+)\}$")


class RuleLike(Protocol):
    """What a rule has; `energy_assets.site.Rule` is one."""

    @property
    def match(self) -> Mapping[str, str | list[str]]:
        """Column or label, and the patterns one of which must match."""

    @property
    def project(self) -> str | None:
        """The project to set."""

    @property
    def model_id(self) -> str | None:
        """The model to set."""

    @property
    def workload_type(self) -> Any:
        """The workload type to set."""


def attribute(table: ir.Table, rules: Sequence[RuleLike]) -> ir.Table:
    """Set `project`, `model_id` and `workload_type` by the first rule that matches each row.

    What no rule maps is `unknown`. A row that is `idle` belongs to nobody: project and workload type `idle`.
    A model the source itself names stays unless a rule names one. A name taken from a label or from the source that
    is literally 'idle' or 'unknown' becomes 'idle (as named)' or 'unknown (as named)': a real owner stays one. A rule
    on `node_id` may give the host's one name or the source's own spelling.

    Args:
        table: With a `labels` map; may have `model_id` and `idle`.
        rules: In the order of the file.
    """
    matches = [_matches(table, rule) for rule in rules]
    named = table.model_id if "model_id" in table.columns else ibis.null("string")
    idle = table.idle if "idle" in table.columns else ibis.literal(False)
    project = _first(matches, [_value(table, rule.project) for rule in rules])
    model = _first(matches, [_value(table, rule.model_id) for rule in rules])
    kind = _first(matches, [_value(table, rule.workload_type) for rule in rules])
    return table.mutate(
        project=ibis.ifelse(idle, IDLE, project.fill_null(UNKNOWN)),
        model_id=ibis.ifelse(idle, ibis.null("string"), ibis.coalesce(model, _as_named(named))),
        workload_type=ibis.ifelse(idle, IDLE, kind.fill_null(UNKNOWN)),
    )


def glob_to_regex(pattern: str) -> str:
    """A pattern with `*` and `?` as an anchored regular expression (RE2)."""
    body = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return f"(?s)^{body}$"


def _matches(table: ir.Table, rule: RuleLike) -> ir.BooleanValue:
    found: ir.BooleanValue = ibis.literal(True)
    for key, patterns in rule.match.items():
        value = table[key].cast("string") if key in table.columns and key != "labels" else table.labels.get(key)
        alternatives = [patterns] if isinstance(patterns, str) else patterns
        hit = ibis.or_(*(_is(value, pattern) for pattern in alternatives))
        if key == "node_id" and "raw_node_id" in table.columns:
            hit = hit | ibis.or_(*(_is(table.raw_node_id, pattern) for pattern in alternatives))
        found = found & hit.fill_null(False)
    return found


def _is(value: Any, pattern: str) -> ir.BooleanValue:
    exact = not set(pattern) & {"*", "?"}
    return value == pattern if exact else value.re_search(glob_to_regex(pattern))


def _value(table: ir.Table, text: str | None) -> ir.StringValue:
    if text is None:
        return ibis.null("string")
    template = _TEMPLATE.match(text)
    return _as_named(table.labels.get(template.group(1))) if template else ibis.literal(text)


def _as_named(name: Any) -> ir.StringValue:
    return ibis.ifelse(name.isin([IDLE, UNKNOWN]), name.concat(AS_NAMED), name)


def _first(matches: list[ir.BooleanValue], values: list[ir.StringValue]) -> ir.StringValue:
    if not matches:
        return ibis.null("string")
    return ibis.cases(*zip(matches, values, strict=True), else_=ibis.null("string"))
