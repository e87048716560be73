"""From what rules found to rows of the table: ids, words, what is NULL, and which rules speak of the same kWh.

What belongs here: what all rows get, whatever their rule. What does not: the rules, and reading tables (`assets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import Opportunities
from energy_assets.contracts.vocabulary import OpportunityRule

ID_DIGITS = 12
SUBJECT = (
    "provider", "account_id", "region", "zone", "node_id", "resource_id", "device_model", "project", "model_id",
    "workload_type", "target_region",
)  # fmt: skip
"""Columns that say in words what a row is about, in this order; the others are told from them."""
MAY_MEET = ("provider", "account_id", "region", "node_id", "project", "model_id", "workload_type")
"""Two rows may speak of the same kWh unless one of these says otherwise; one that is not stated may be any."""
UNSAID, BETWEEN = "\x1e", "\x1f"
_WORDS = {
    "node_id": "host ", "resource_id": "commitment ", "project": "project ", "model_id": "model ",
    "target_region": "→ ", "account_id": "account ",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What one rule found.

    Attributes:
        rule: The rule.
        identity: Columns that make the subject what it is, whatever the month.
        rows: With `month`, `identity` and other columns of `Opportunities`; with `found` where the rule has a limit.
        what: What to do.
        basis: What was assumed.
    """

    rule: OpportunityRule
    identity: tuple[str, ...]
    rows: ir.Table
    what: str
    basis: str


def opportunities(every: Sequence[Found]) -> ir.Table:
    """Rows of the contract `Opportunities`.

    Args:
        every: What each rule found; at least one.
    """
    parts = [_finished(one) for one in every]
    rows = ibis.union(*parts, distinct=False) if len(parts) > 1 else parts[0]
    return _with_overlaps(rows)


def _finished(one: Found) -> ir.Table:
    rows, schema = one.rows, schema_of(Opportunities)
    made: dict[str, Any] = {
        "opportunity_id": opportunity_id(rows, one.rule.value, one.identity),
        "rule": ibis.literal(one.rule.value),
        "found": _positive(rows) if "found" not in rows.columns else rows.found & _positive(rows),
        "subject": _subject(rows, one),
        "what": ibis.literal(one.what),
        "basis": ibis.literal(one.basis),
    }
    same_as = {"measured_kwh": "facility_kwh", "measured_g": "location_g"}
    for name, other in same_as.items():
        if name not in rows.columns and other in rows.columns:
            made[name] = rows[other]
    wide = rows.mutate(**made)
    if "ghg_scope" in wide.columns:
        # Grams of several scopes are no figure; their electricity is.
        grams = [name for name in ("location_g", "measured_g") if name in wide.columns]
        wide = wide.mutate(**{name: ibis.ifelse(wide.ghg_scope.notnull(), wide[name], None) for name in grams})
    return wide.select(
        **{name: (wide[name] if name in wide.columns else ibis.null(of)).cast(of) for name, of in schema.items()}
    )


def opportunity_id(rows: ir.Table, rule: str, identity: Sequence[str]) -> Any:
    """The same for a rule and a subject in every month: the start of the sha256 of both.

    Args:
        rows: With the columns.
        rule: Name of the rule.
        identity: Columns that make the subject what it is; unknown is a value of its own.
    """
    parts = [rows[name].fill_null(UNSAID) for name in identity]
    text = reduce(lambda so_far, part: so_far + BETWEEN + part, parts, ibis.literal(rule))
    return text.hexdigest("sha256").left(ID_DIGITS)


def _positive(rows: ir.Table) -> Any:
    """Whether anything would be saved: energy, grams or cost above zero."""
    amounts = [rows[name] > 0 for name in ("energy_kwh", "location_g", "cost") if name in rows.columns]
    return reduce(lambda a, b: a | b, [amount.fill_null(False) for amount in amounts])


def _subject(rows: ir.Table, one: Found) -> Any:
    told = [name for name in SUBJECT if name in rows.columns and (name in one.identity or name == "target_region")]
    text: Any = ibis.literal("")
    for name in told:
        word = ibis.literal(_WORDS.get(name, "")) + rows[name]
        text = ibis.ifelse(rows[name].isnull(), text, ibis.ifelse(text == "", word, text + " · " + word))
    return text


def _with_overlaps(rows: ir.Table) -> ir.Table:
    """Rows with the rules that may speak of the same kWh in the same month; rows without energy share none."""
    mine = rows.filter(rows.found, rows.of_kwh.notnull()).select("month", "opportunity_id", "rule", *MAY_MEET)
    other = mine.rename({f"other_{name}": name for name in mine.columns})
    meets = [mine.month == other.other_month, mine.rule != other.other_rule]
    for name in MAY_MEET:
        theirs = other[f"other_{name}"]
        meets.append(mine[name].isnull() | theirs.isnull() | (mine[name] == theirs))
    pairs = mine.inner_join(other, meets)
    flags = {f"has_{rule}": (pairs.other_rule == rule).any() for rule in OpportunityRule.values()}
    told = pairs.group_by("month", "opportunity_id").aggregate(**flags)
    text: Any = ibis.literal("")
    for rule in OpportunityRule.values():
        text = text + ibis.ifelse(told[f"has_{rule}"], f"{rule} ", "")
    named = told.select(of_month="month", of_id="opportunity_id", told=text.strip().replace(" ", ", "))
    joined = rows.left_join(named, [rows.month == named.of_month, rows.opportunity_id == named.of_id])
    made = joined.mutate(overlaps=joined.told)
    return made.select(*rows.columns)
