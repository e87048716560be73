"""What grids lose on the way from power plants to a facility: shares that publishers and a site state, by zone.

What belongs here: the table, a loss per kWh that arrives, and which row is of a zone in a year. What does not: grams.
A publisher states losses as a share of what was sent out, or of what arrived: 5 % of 100 kWh sent out are 5 kWh lost
for 95 that arrive. Where nobody states any they are None, never zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from energy_assets.factors.tables import rows_of_data

SENT_OUT, DELIVERED = "sent_out", "delivered"
OF = (SENT_OUT, DELIVERED)
"""What a share of losses is a share of."""
DIGITS = Decimal("0.000001")


@dataclass(frozen=True)
class GridLoss:
    """Losses of transmission and distribution in a grid.

    Attributes:
        zone: Grid zone as Electricity Maps names it, or the country or grid that it is a part of: US is of US-CAL-CISO.
        share: Energy lost, as a share of what `of` says; below 1.
        of: One of `OF`.
        year: Year of the value or its publication.
        source: Who publishes it.
        said_by: The table of ours, or the site's own file.
    """

    zone: str
    share: Decimal
    of: str
    year: int
    source: str
    said_by: str = "grid_losses.csv"

    @property
    def per_kwh(self) -> Decimal:
        """Energy lost for each kWh that arrives (kWh), to six decimals: share / (1 − share) of what was sent out.

        Source: US EPA, eGRID technical guide, estimating emissions of electricity use: what is used, divided by one
        minus the grid gross loss, is what was generated for it.
        """
        lost = self.share if self.of == DELIVERED else self.share / (1 - self.share)
        return lost.quantize(DIGITS)


@cache
def grid_losses() -> tuple[GridLoss, ...]:
    """The rows of `grid_losses.csv`."""
    return tuple(
        GridLoss(row["zone"], Decimal(row["loss_share"]), row["of"], int(row["year"]), row["source"])
        for row in rows_of_data("grid_losses.csv")
    )


def loss_of(zone: str, year: int, own: Iterable[GridLoss] = ()) -> GridLoss | None:
    """The losses of a grid zone in a year; None where nobody states any.

    The site's own rows go before the table's, the narrower grid before the wider one, and of several years the latest
    that is not after the year asked for, or the earliest of all.

    Args:
        zone: Grid zone as Electricity Maps names it.
        year: Of the electricity.
        own: The site's own rows.
    """
    for rows in (own, grid_losses()):
        mine = [row for row in rows if zone == row.zone or zone.startswith(f"{row.zone}-")]
        if mine:
            narrowest = max(len(row.zone) for row in mine)
            of_years = sorted((row for row in mine if len(row.zone) == narrowest), key=lambda row: row.year)
            return next((row for row in reversed(of_years) if row.year <= year), of_years[0])
    return None
