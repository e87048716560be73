"""Evidence of ratios whose sides are matched: one SQL query that makes numerator, denominator and matched share again.

What belongs here: the steps of `facts.py`, `daily.py` and `periods.py` for one such ratio, written a second time as SQL
over the lake's tables, from the same ingredients. What does not: figures that add up the rows of one selection, whose
evidence is `Selection.sql`.
"""

# ruff: noqa: S608  (names are our own, and every value is quoted)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energy_assets.contracts import types as t
from energy_assets.contracts.accounts import account_key_sql
from energy_assets.contracts.measures import TABLES
from energy_assets.contracts.tables import KPI_DIMENSIONS
from energy_assets.kpis.facts import ACCOUNT, IDLE, NOBODY, type_of
from energy_assets.kpis.indicators import INDICATORS, Indicator
from energy_assets.kpis.ingredients import Filter, Ingredient, Selection, quoted

SIDES = ("numerator", "denominator")
OWNERLESS = ", ".join(quoted(word) for word in NOBODY)
WHITESPACE = r"e' \t\n\r\x0b\f'"


@dataclass(frozen=True)
class MatchedRatio:
    """One indicator whose sides are matched, of one member and period.

    Attributes:
        kpi: Name of the indicator; it has a `match`.
        period: First and last day, ISO, both included.
        member: Condition on the dimension it is cut by; None for the total.
        currency: Of the bills, where one side is money.
    """

    kpi: str
    period: tuple[str, str]
    member: Filter | None = None
    currency: str | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """The lake tables that are read."""
        return tuple(sorted({one.rows.table for one in self._indicator.ingredients()}))

    def sql(self, named: Mapping[str, str] | None = None) -> str:
        """The query for `energy-assets sql`: one row of `numerator`, `denominator` and `coverage`, exactly as stored.

        Args:
            named: What the lake's tables are called; by default by their own names.
        """
        names = {table: table for table in self.tables} | dict(named or {})
        account = self._indicator.match == "account"
        steps = (self._by_account if account else self._by_model)(names) | self._divided()
        each = ", ".join(f"{name} as ( {query} )" for name, query in steps.items())
        # What is added up here are exact decimals; a share is weighted by the days that have data.
        return (
            f"with {each} "
            f"select sum(numerator)::{t.FIGURE} as numerator, sum(denominator)::{t.FIGURE} as denominator, "
            f"round(sum(coverage * days)::double / sum(days), 6)::{t.SHARE} as coverage from months"
        )

    def to_json(self) -> dict[str, Any]:
        """What it is made again from, and the query."""
        member = None if self.member is None else [self.member.column, self.member.op, self.member.value]
        return {
            "kpi": self.kpi,
            "period": list(self.period),
            "member": member,
            "currency": self.currency,
            "sql": self.sql(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> MatchedRatio:
        """The inverse of `to_json`."""
        member = Filter(*content["member"]) if content["member"] else None
        first, last = content["period"]
        return cls(content["kpi"], (first, last), member, content["currency"])

    @property
    def _indicator(self) -> Indicator:
        return INDICATORS[self.kpi]

    def _days(self, rows: Selection) -> str:
        """The rows of a side's table that are looked at."""
        money = rows.table == "cost" and self.currency
        filters = [Filter("day", "between", self.period)]
        filters += [Filter("billing_currency", "=", self.currency)] if money else []
        return " and ".join(f.sql() for f in filters)

    def _by_account(self, names: Mapping[str, str]) -> dict[str, str]:
        """Both sides by account, flagged where the other side knows day, provider, account and project."""
        steps = {}
        for side, one in zip(SIDES, self._indicator.ingredients(), strict=True):
            provider = f"coalesce(lower(trim(provider, {WHITESPACE})), '')"
            spelled = f"{provider} as provider, {account_key_sql(provider, 'account_id')} as account_id"
            steps[f"{side}s"] = (
                f"select * replace ({spelled}) from ( "
                f"select day, {_dimensions(one)}, {', '.join(ACCOUNT)}, {_sum(one)} as amount "
                f"from {names[one.rows.table]} where {self._days(one.rows)} group by all "
                ")"
            )
        for side, other in (SIDES, SIDES[::-1]):
            steps[f"paired_{side}s"] = (
                f"select *, project not in ({OWNERLESS}) and amount is not null and exists ( "
                f"select 1 from {other}s as o where o.amount is not null and o.day = s.day "
                "and o.provider = s.provider and o.project = s.project "
                "and (o.account_id = s.account_id or o.account_id = '' or s.account_id = '') "
                f") as counted from {side}s as s"
            )
        dimensions = ", ".join(KPI_DIMENSIONS)
        united = [
            f"select {quoted(side)} as side, day, {dimensions}, sum(amount) filter (where counted) as matched, "
            f"sum(amount) filter (where not counted) as alone from paired_{side}s group by all"
            for side in SIDES
        ]
        sums = [_day_sums(side, "matched", "abs(matched)", "coalesce(abs(matched), 0) + coalesce(abs(alone), 0)")
                for side in SIDES]  # fmt: skip
        facts = {f"facts_of_{side}s": query for side, query in zip(SIDES, united, strict=True)}
        return steps | facts | self._summed({side: f"facts_of_{side}s" for side in SIDES}, sums)

    def _by_model(self, names: Mapping[str, str]) -> dict[str, str]:
        """Both sides by fact, flagged where the model has the other side on the day."""
        steps: dict[str, str] = {}
        for side, one in zip(SIDES, self._indicator.ingredients(), strict=True):
            steps |= self._with_idle(side, one, names) if one.with_idle else self._without_idle(side, one, names)
        keys = " union all ".join(
            f"select {quoted(side)} as side, day, project, model_id from {side}s where amount is not null"
            for side in SIDES
        )
        steps["sides"] = keys
        steps["shared"] = (
            f"select day, project, model_id from sides where model_id is not null or project not in ({OWNERLESS}) "
            "group by all having count(distinct side) = 2"
        )
        steps["alone"] = (
            "select day, model_id from sides where model_id is not null "
            "and (day, model_id) not in (select (day, model_id) from shared where model_id is not null) "
            "group by all having count(distinct side) = 2"
        )
        for side in SIDES:
            steps[f"facts_of_{side}s"] = (
                "select *, exists ( "
                "select 1 from shared as o where o.day = s.day and o.project is not distinct from s.project "
                "and o.model_id is not distinct from s.model_id "
                ") or exists (select 1 from alone as o where o.day = s.day and o.model_id = s.model_id) as counted "
                f"from {side}s as s where amount is not null"
            )
        counted = "case when counted then {} end"
        sums = [_day_sums(side, counted.format("amount"), counted.format("abs(amount)"), "abs(amount)")
                for side in SIDES]  # fmt: skip
        return steps | self._summed({side: f"facts_of_{side}s" for side in SIDES}, sums)

    def _without_idle(self, side: str, one: Ingredient, names: Mapping[str, str]) -> dict[str, str]:
        query = (
            f"select day, {_dimensions(one)}, {_sum(one)} as amount "
            f"from {names[one.rows.table]} where {self._days(one.rows)} group by all"
        )
        return {f"{side}s": query}

    def _with_idle(self, side: str, one: Ingredient, names: Mapping[str, str]) -> dict[str, str]:
        """The side, and to each of its facts the share of what idle devices of its source and day take."""
        rows, kwh = one.rows, Selection("emissions", "facility_kwh")
        place, idle = names[rows.table], IDLE.sql()
        own, mine = _where(rows), Ingredient(kwh.where(*rows.filters))
        return {
            f"idle_of_{side}s": (
                f"select day, source, coalesce(({_sum(Ingredient(kwh.where(IDLE)))})::double, 0) as idle_kwh, "
                f"coalesce((sum({rows.amount()}) filter (where {idle}))::double, 0) as idle_amount, "
                f"coalesce(({_sum(Ingredient(kwh))})::double, 0) as all_kwh "
                f"from {place} where {self._days(rows)} group by all"
            ),
            f"busy_{side}s": (
                f"select day, {_dimensions(one)}, {_sum(one)} as own, {_sum(mine)} as own_kwh "
                f"from {place} where {self._days(rows)} and {own} group by all"
            ),
            f"{side}s": (
                "select * exclude (own, own_kwh, idle_kwh, idle_amount, all_kwh), own + coalesce( "
                "round(own_kwh::double * idle_amount / nullif(all_kwh - idle_kwh, 0), 12), 0 "
                f")::{type_of(rows)} as amount from busy_{side}s join idle_of_{side}s using (day, source)"
            ),
        }

    def _summed(self, facts: Mapping[str, str], sums: list[str]) -> dict[str, str]:
        """Each side by day, of the member alone."""
        where = f" where {self.member.sql()}" if self.member else ""
        return {
            f"{side}s_by_day": f"select day, {one} from {facts[side]}{where} group by day"
            for side, one in zip(SIDES, sums, strict=True)
        }

    def _divided(self) -> dict[str, str]:
        """Days that have both sides, and the months of them: as rows of KPIs are made."""
        above, below = (_scaled(side, one) for side, one in zip(SIDES, self._indicator.ingredients(), strict=True))
        sides = [side for side, one in zip(SIDES, self._indicator.ingredients(), strict=True)
                 if one in self._indicator.matched_sides()]  # fmt: skip
        shares = ", ".join(f"{side}_matched::double / nullif({side}_all::double, 0)" for side in sides)
        return {
            "days": (
                f"select day, {above}::{t.FIGURE} as numerator, {below}::{t.FIGURE} as denominator, "
                f"round(least({shares}), 6)::{t.SHARE} as coverage "
                "from numerators_by_day join denominators_by_day using (day) "
                "where numerator_sum is not null and denominator_sum is not null"
            ),
            "months": (
                "select sum(numerator) as numerator, sum(denominator) as denominator, count(*) as days, "
                f"round(sum(coverage)::double / count(*), 6)::{t.SHARE} as coverage "
                "from days group by date_trunc('month', day)"
            ),
        }


def _dimensions(one: Ingredient) -> str:
    """The dimensions of indicators; NULL where the table has none of that name."""
    there = TABLES[one.rows.table].names
    return ", ".join(name if name in there else f"null::varchar as {name}" for name in KPI_DIMENSIONS)


def _where(rows: Selection) -> str:
    return " and ".join(f.sql() for f in rows.filters) or "true"


def _sum(one: Ingredient) -> str:
    filters = f" filter (where {_where(one.rows)})" if one.rows.filters else ""
    return f"(sum({one.rows.amount()}){filters})::{type_of(one.rows)}"


def _day_sums(side: str, amount: str, matched: str, whole: str) -> str:
    """A side's sum, what of it is matched and what there is, the last two without signs."""
    return f"sum({amount}) as {side}_sum, sum({matched}) as {side}_matched, sum({whole}) as {side}_all"


def _scaled(side: str, one: Ingredient) -> str:
    """The side times its factor, exactly; a sum of whole numbers needs room for the decimals of its factor."""
    if "." not in one.factor:
        return f"({side}_sum * {one.factor})" if one.factor != "1" else f"{side}_sum"
    digits = len(one.factor.split(".")[1])
    return f"({side}_sum::decimal(30, {digits}) * {one.factor})"
