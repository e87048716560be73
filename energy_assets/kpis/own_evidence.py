"""Evidence of indicators of an organisation's own: one SQL query that makes numerator, denominator and coverage again.

What belongs here: the steps of `own.py` and `periods.py` for one such indicator, written a second time as SQL over the
lake's tables. It carries the whole description, so a report can be checked after the site file has changed. What does
not: evidence of the indicators that everybody has (`evidence.py`).
"""

# ruff: noqa: S608  (names are our own, and every value is quoted)

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energy_assets.contracts import types as t
from energy_assets.kpis.facts import type_of
from energy_assets.kpis.ingredients import Filter
from energy_assets.kpis.own import PRODUCT, digits
from energy_assets.kpis.own_terms import Part, Sum, parts
from energy_assets.own_kpis import OwnKpi


@dataclass(frozen=True)
class OwnSums:
    """One indicator of one's own, of one member and period.

    Attributes:
        description: The block of the site file as JSON, in one spelling.
        period: First and last day, ISO, both included.
        currency: The organisation's.
        member: Condition on the dimension it is cut by; None for the total.
    """

    description: str
    period: tuple[str, str]
    currency: str
    member: Filter | None = None

    @classmethod
    def of(cls, kpi: OwnKpi, period: tuple[str, str], currency: str, member: Filter | None = None) -> OwnSums:
        """The evidence of an indicator.

        Args:
            kpi: Of the site file.
            period: First and last day, ISO, both included.
            currency: The organisation's.
            member: Condition on the dimension it is cut by; None for the total.
        """
        return cls(json.dumps(kpi.model_dump(mode="json"), sort_keys=True), period, currency, member)

    @property
    def kpi(self) -> OwnKpi:
        """The indicator; its rules are checked again."""
        return OwnKpi.model_validate_json(self.description)

    @property
    def tables(self) -> tuple[str, ...]:
        """The lake tables that are read."""
        return tuple(sorted({term.measure.table for term in self.kpi.sides.terms}))

    def sql(self, named: Mapping[str, str] | None = None) -> str:
        """The query for `energy-assets sql`: one row of `numerator`, `denominator` and `coverage`, exactly as stored.

        Args:
            named: What the lake's tables are called; by default by their own names.
        """
        names = {table: table for table in self.tables} | dict(named or {})
        kpi = self.kpi
        above, below = parts(kpi, self.currency)
        wanted = list(dict.fromkeys(part.sum for part in (*above, *below)))
        steps = {f"s{n}": self._summed(one, n, names) for n, one in enumerate(wanted)}
        joined = " full join ".join(f"s{n}" + (" using (day)" if n else "") for n in range(len(wanted)))
        numerator, denominator = _side(above, wanted), _side(below, wanted) if below else f"null::{t.FIGURE}"
        if kpi.is_share:
            numerator = f"case when {_rows(above, wanted)} = 0 then 0 else {numerator} end"
        shares = ", ".join(f"coalesce(seen{n}::double, 0) / nullif(there{n}::double, 0)" for n in range(len(wanted)))
        steps["sides"] = (
            f"select day, ({numerator})::{t.FIGURE} as numerator, {denominator} as denominator, "
            f"round(least({shares}), 6)::{t.SHARE} as coverage from {joined}"
        )
        known = "numerator is not null" + (" and denominator is not null" if below else "")
        steps["months"] = (
            "select sum(numerator) as numerator, sum(denominator) as denominator, count(*) as days, "
            f"round(sum(coverage)::double / count(*), 6)::{t.SHARE} as coverage "
            f"from sides where {known} group by date_trunc('month', day)"
        )
        each = ", ".join(f"{name} as ( {query} )" for name, query in steps.items())
        return (
            f"with {each} "
            f"select sum(numerator)::{t.FIGURE} as numerator, sum(denominator)::{t.FIGURE} as denominator, "
            f"round(sum(coverage * days)::double / sum(days), 6)::{t.SHARE} as coverage from months"
        )

    def to_json(self) -> dict[str, Any]:
        """What it is made again from, and the query."""
        member = None if self.member is None else [self.member.column, self.member.op, self.member.value]
        return {
            "own": json.loads(self.description),
            "period": list(self.period),
            "member": member,
            "currency": self.currency,
            "sql": self.sql(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> OwnSums:
        """The inverse of `to_json`.

        Raises:
            ValueError: it describes no indicator.
        """
        member = Filter(*content["member"]) if content["member"] else None
        first, last = content["period"]
        return cls.of(OwnKpi.model_validate(content["own"]), (first, last), content["currency"], member)

    def _summed(self, one: Sum, n: int, names: Mapping[str, str]) -> str:
        """Amount, number of rows, and both sides of the coverage of one sum, by day."""
        looked = [Filter("day", "between", self.period), *([self.member] if self.member else [])]
        seen = "count(*)" if one.observed.column is None else f"sum({one.observed.column})"
        return (
            f"select day, (sum({one.measure.name}) {_only(one.rows)})::{type_of(one.selection)} as amount{n}, "
            f"count(*) {_only(one.rows)} as rows{n}, "
            f"({seen} {_only(one.observed.filters)})::decimal(38, 6) as seen{n}, "
            f"count(*) {_only(one.hours.filters)} as there{n} "
            f"from {names[one.measure.table]} where {' and '.join(f.sql() for f in looked)} group by day"
        )


def _only(filters: Sequence[Filter]) -> str:
    return f"filter (where {' and '.join(f.sql() for f in filters) or 'true'})"


def _rows(side: Sequence[Part], wanted: Sequence[Sum]) -> str:
    return "(" + " + ".join(f"coalesce(rows{wanted.index(part.sum)}, 0)" for part in side) + ")"


def _side(side: Sequence[Part], wanted: Sequence[Sum]) -> str:
    terms = []
    for part in side:
        n = wanted.index(part.sum)
        amount = f"(case when coalesce(rows{n}, 0) = 0 then 0 else amount{n} end)::{t.FIGURE}"
        number = f"({part.factor:f})::decimal(18, {digits(part.factor)})"
        terms.append(amount if part.factor == 1 else f"({amount} * {number})::{PRODUCT}::{t.FIGURE}")
    return f"(case when {_rows(side, wanted)} = 0 then null else {' + '.join(terms)} end)::{t.FIGURE}"
