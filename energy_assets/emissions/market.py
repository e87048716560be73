"""Market-based emissions by month: what contracts and certificates are matched against.

Instruments are bought for a month or a year and for a zone, and matched against the sum, so they belong to no single
hour. What belongs here: the electricity to be matched, by zone and scope.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from energy_assets.contracts import types as t


def market(emissions: ir.Table) -> ir.Table:
    """Rows of the contract `EmissionsMarket` from rows of `Emissions`.

    Args:
        emissions: Rows of whole months.

    Returns:
        Sums by month, zone and scope; `market_g` is NULL where no instrument and no residual mix is known.
    """
    month = ibis.date(emissions.day.year(), emissions.day.month(), 1)
    return emissions.group_by(month=month, zone=emissions.zone, ghg_scope=emissions.ghg_scope).aggregate(
        facility_kwh=emissions.facility_kwh.sum().cast(t.FACILITY_KWH),
        location_g=emissions.location_g.sum().cast(t.GRAMS),
        market_g=ibis.null(t.GRAMS),
        instruments=ibis.null(t.TEXT),
    )
