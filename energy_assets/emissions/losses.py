"""Grams of what the grid lost on the way to a facility: Scope 3 category 3 of own machines, never Scope 2.

What belongs here: the applier and the table it multiplies with. What does not: the shares themselves
(`factors.losses`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts import types as t
from energy_assets.emissions.pipe import Applier, Factors
from energy_assets.factors.losses import GridLoss, loss_of

SCHEMA = pa.schema([("loss_zone", pa.string()), ("loss_year", pa.int32()), ("lost_per_kwh", pa.decimal128(9, 6))])


def losses_of(zones: Iterable[str], years: Collection[int], own: Collection[GridLoss]) -> ir.Table:
    """What is lost per kWh that arrives: loss_zone, loss_year, lost_per_kwh; no row where nobody states it.

    Args:
        zones: Grid zones of the energy.
        years: Of the energy.
        own: The site's own rows.
    """
    found = [
        {"loss_zone": zone, "loss_year": year, "lost_per_kwh": loss.per_kwh}
        for zone in sorted(zones)
        for year in sorted(years)
        if (loss := loss_of(zone, year, own))
    ]
    return ibis.memtable(pa.Table.from_pylist(found, SCHEMA))


def _losses(rows: ir.Table, factors: Factors) -> ir.Table:
    """Facility energy x kWh lost per kWh that arrives x life-cycle intensity of its own hour.

    Source: GHG Protocol, Technical Guidance for Calculating Scope 3 Emissions (2013), category 3, activity C: the
    losses count over the whole life cycle, their combustion included. Losses x intensity are rounded to 0.001 g/kWh,
    the digits of every intensity; the product with the energy is exact. Unknown where either factor is.
    """
    if factors.losses is None:
        return rows.mutate(losses_g=ibis.null(t.GRAMS))
    mine = [rows.zone == factors.losses.loss_zone, rows.hour.year() == factors.losses.loss_year]
    joined = rows.left_join(factors.losses, mine).drop("loss_zone", "loss_year")
    intensity = joined.lifecycle_gco2e_per_kwh * joined.lost_per_kwh
    # Stated, as of all products here: 6 + 3 digits, of which 3 are kept.
    g_per_kwh = intensity.cast("decimal(18, 9)").cast(t.FACTOR)
    return joined.mutate(losses_g=(joined.facility_kwh * g_per_kwh).cast(t.GRAMS)).drop("lost_per_kwh")


LOSSES = Applier("losses", ("losses_g",), _losses)
