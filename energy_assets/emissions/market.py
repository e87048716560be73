"""Market-based emissions by month: what contracts and certificates are matched against, and what they make of it.

Instruments are bought for a month or a year and for a zone, and matched against the sum, so they belong to no single
hour. What belongs here: the rows of `emissions_market` and `instruments`. What does not: whether an instrument counts
(`instruments`), what it covers (`matching`), and reading tables (`assets`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t
from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import EmissionsMarket
from energy_assets.contracts.vocabulary import InstrumentKind, Verdict
from energy_assets.emissions.exactly import grams_of
from energy_assets.emissions.instruments import Batch
from energy_assets.emissions.matching import MATCHED_SCOPES, Applied, Matched

BY_KIND = {
    InstrumentKind.CERTIFICATE.value: "certified_kwh",
    InstrumentKind.CONTRACT.value: "contract_kwh",
    InstrumentKind.SUPPLIER_RATE.value: "supplier_kwh",
    InstrumentKind.RESIDUAL_MIX.value: "residual_kwh",
}
"""The column of what instruments of a kind cover."""
LOCATION = "location factor"


def by_month(emissions: ir.Table) -> ir.Table:
    """Electricity and location-based grams by month, zone and scope.

    Args:
        emissions: Rows of `Emissions`, of whole months.
    """
    month = ibis.date(emissions.day.year(), emissions.day.month(), 1)
    return emissions.group_by(month=month, zone=emissions.zone, ghg_scope=emissions.ghg_scope).aggregate(
        facility_kwh=emissions.facility_kwh.sum().cast(t.FACILITY_KWH),
        location_g=emissions.location_g.sum().cast(t.GRAMS),
    )


def market(emissions: ir.Table) -> ir.Table:
    """Rows of the contract `EmissionsMarket` of a site without instruments, from rows of `Emissions`.

    Args:
        emissions: Rows of whole months.

    Returns:
        Sums by month, zone and scope; all that instruments decide is NULL.
    """
    sums, schema = by_month(emissions), schema_of(EmissionsMarket)
    return sums.select(**{name: sums[name] if name in sums.columns else ibis.null(of) for name, of in schema.items()})


def market_row(
    used: Mapping[str, Any],
    applied: Sequence[Applied],
    batches: Mapping[str, Batch],
    hourly_kwh: Decimal,
    months: int,
) -> dict[str, Any]:
    """A row of the contract `EmissionsMarket`.

    Args:
        used: A row of `by_month`.
        applied: What covers its electricity.
        batches: By name.
        hourly_kwh: What is covered hour by hour.
        months: Of the year that have electricity.
    """
    kwh: Decimal | None = used["facility_kwh"]
    if used["ghg_scope"] not in MATCHED_SCOPES or kwh is None:
        return dict(used)
    sums = dict.fromkeys(BY_KIND.values(), Decimal(0))
    grams, carbon_free = Fraction(), Decimal(0)
    for one in applied:
        instrument = batches[one.batch].one
        sums[BY_KIND[instrument.instrument]] += one.kwh
        grams += Fraction(one.kwh) * Fraction(instrument.gco2e_per_kwh or 0)
        carbon_free += one.kwh if instrument.carbon_free and _bought(instrument.instrument) else 0
    rest = kwh - sum(sums.values(), Decimal(0))
    if rest and used["location_g"] is not None:
        grams += Fraction(used["location_g"]) * Fraction(rest) / Fraction(kwh)
    known = not rest or used["location_g"] is not None
    return {
        **used,
        **sums,
        "market_g": grams_of(grams) if known else None,
        "instruments": _said(applied, batches, rest),
        "location_fallback_kwh": rest,
        "carbon_free_kwh": carbon_free,
        "hourly_matched_kwh": hourly_kwh,
        "months_matched": months,
    }


def _bought(kind: str) -> bool:
    """Whether it is a claim of one's own: what a supplier or a grid delivers to all is not."""
    return kind in (InstrumentKind.CERTIFICATE.value, InstrumentKind.CONTRACT.value)


def _said(applied: Iterable[Applied], batches: Mapping[str, Batch], rest: Decimal) -> str:
    """What was applied, in the order of the method."""
    order = InstrumentKind.values()
    found = {
        (order.index(one.instrument), f"{one.instrument} {one.registry or one.supplier or one.market} {one.vintage}")
        for one in (batches[part.batch].one for part in applied)
    }
    return "; ".join([*(text for _, text in sorted(found)), *([LOCATION] if rest else [])])


def instrument_rows(month: date, batches: Sequence[Batch], found: Matched) -> list[dict[str, Any]]:
    """Rows of the contract `AppliedInstruments` of a month.

    Rates that cover nothing of a month stand only where another one outdid them: a publisher's table has many zones.

    Args:
        month: Its first day.
        batches: Of its year, as judged.
        found: What covers its year.
    """
    applied: dict[str, list[Applied]] = defaultdict(list)
    for part in found.applied:
        if part.month == month:
            applied[part.batch].append(part)
    rows = []
    for batch in batches:
        one, mine = batch.one, applied[batch.name]
        outdone = not mine and batch.name in found.outdone
        if one.is_rate and not mine and not outdone and one.verdict != Verdict.NO_FACTOR:
            continue
        shared = {
            "month": month,
            "batch": batch.name,
            **{name: getattr(one, name) for name in _SHARED},
            "verdict": (Verdict.OUTDONE if outdone else one.verdict).value,
            "certificates": batch.certificates,
            "quantity_kwh": batch.quantity_kwh,
            "counted_kwh": batch.counted_kwh,
            "example": one.example,
            "serials": one.serials,
            "raw_sha256": one.raw_sha256,
        }
        for part in mine:
            grams = grams_of(Fraction(part.kwh) * Fraction(one.gco2e_per_kwh or 0))
            covered = {"zone": part.zone, "ghg_scope": part.ghg_scope, "applied_kwh": part.kwh, "market_g": grams}
            rows.append({**shared, **covered})
        if not mine:
            rows.append({**shared, "zone": None, "ghg_scope": None, "applied_kwh": Decimal(0), "market_g": None})
    return rows


_SHARED = (
    "source", "instrument", "registry", "market", "technology", "supplier", "vintage", "gco2e_per_kwh", "carbon_free",
)  # fmt: skip
