"""KPIs of the market-based method, made of a month's electricity and not of its days.

What belongs here: rows of `kpis_monthly` from `emissions_market`. What does not: KPIs of days (`indicators`). Their
numerators and denominators are added over months like all others; Scope 2 alone, in total and by zone.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import KpisMonthly
from energy_assets.contracts.vocabulary import GhgScope


@dataclass(frozen=True)
class MarketIndicator:
    """One KPI of a month.

    Attributes:
        name: Public name, the value of the column `kpi`.
        label: For a reader.
        unit: Unit of the value.
        method: Id of its method.
        formula: The method in words.
        numerator: Column of `emissions_market` that is summed.
        denominator: Column it is divided by; None for a sum.
    """

    name: str
    label: str
    unit: str
    method: str
    formula: str
    numerator: str
    denominator: str | None = None


MARKET_INDICATORS: dict[str, MarketIndicator] = {
    one.name: one
    for one in (
        MarketIndicator(
            "scope2_market_g", "Scope 2 emissions, market-based", "gCO2e", "M-SCOPE2-MARKET",
            "what certificates and contracts cover × their factor, then the supplier's rate, then the residual mix; "
            "the rest at the location factor; certificates matched with the electricity of the year",
            "market_g",
        ),
        MarketIndicator(
            "carbon_free_share", "Carbon-free share of own electricity, matched by the year", "share", "M-CARBON-FREE",
            "facility energy covered by carbon-free certificates and contracts of the year / facility energy",
            "carbon_free_kwh", "facility_kwh",
        ),
        MarketIndicator(
            "carbon_free_share_hourly", "Carbon-free share of own electricity, matched hour by hour", "share",
            "M-CARBON-FREE-HOUR",
            "sum over hours of the smaller one of facility energy and carbon-free certificates of the hour / facility "
            "energy",
            "hourly_matched_kwh", "facility_kwh",
        ),
    )
}  # fmt: skip


def market_kpis(market: ir.Table, days: ir.Table) -> ir.Table:
    """Rows of the contract `KpisMonthly` of the market-based method; none of months without instruments.

    Args:
        market: Rows of `EmissionsMarket`.
        days: Rows of `KpisDaily` of the same months: which days have data.
    """
    own = market.filter(market.ghg_scope == GhgScope.SCOPE2.value, market.certified_kwh.notnull())
    month = ibis.date(days.day.year(), days.day.month(), 1)
    known = days.group_by(month=month).aggregate(days=days.day.nunique())
    rows = [_rows(own, one, by_zone=by_zone) for one in MARKET_INDICATORS.values() for by_zone in (False, True)]
    every = ibis.union(*rows, distinct=False)
    with_days = every.left_join(known, "month")
    schema = schema_of(KpisMonthly)
    made = with_days.mutate(days=with_days.days.fill_null(0))
    return made.select(
        **{name: (made[name] if name in made.columns else ibis.null(of)).cast(of) for name, of in schema.items()}
    )


def _rows(own: ir.Table, one: MarketIndicator, *, by_zone: bool) -> ir.Table:
    """A KPI in total or by zone; unknown where a part of its numerator is."""
    grain = {"month": own.month, **({"zone": own.zone.fill_null("unknown")} if by_zone else {})}
    below = own[one.denominator].sum() if one.denominator else ibis.null(t.FIGURE)
    sums = own.group_by(**grain).aggregate(
        numerator=own[one.numerator].sum().cast(t.FIGURE),
        denominator=below.cast(t.FIGURE),
        open=own[one.numerator].isnull().any(),
    )
    numerator = ibis.ifelse(sums.open, ibis.null(t.FIGURE), sums.numerator)
    ratio = (numerator.cast("float64") / sums.denominator.cast("float64").nullif(0.0)).cast("decimal(38, 12)")
    value = ratio.cast(t.FIGURE) if one.denominator else numerator
    return sums.select(
        month=sums.month,
        kpi=ibis.literal(one.name),
        grain=ibis.literal("zone" if by_zone else "total"),
        zone=sums.zone if by_zone else ibis.null(t.TEXT),
        value=value,
        unit=ibis.literal(one.unit),
        numerator=numerator,
        denominator=sums.denominator,
    )
