"""The asset `factors/applied`: which factors the energy of each day meets.

What belongs here: reading, and what the asset says of itself. What does not: the rows (`applied_factors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import Feed
from energy_assets.emissions.applied_factors import factors_applied
from energy_assets.emissions.assets import QUARTER
from energy_assets.estimates.own_tables import own_constants, own_hardware, own_losses
from energy_assets.factors.places import Member, Resolved, resolve
from energy_assets.factors.version import APPLIED, factors_version
from energy_assets.materialize import Reader, table_asset
from energy_assets.site import Site
from energy_assets.tables import ENERGY, FACTORS_APPLIED


def applied_assets(site: Site) -> list[dg.AssetsDefinition]:
    """The record of applied factors; none for a site without energy."""
    if not site.has(Feed.ENERGY):
        return []
    about = (
        "Which factor the energy of a day meets: PUE, WUE, grid zone and scope of each place, water and losses of its "
        "grid, the making of hardware, watts and constants of estimates; each with its validity, edition and who says "
        "so. A day whose factors became others is another version of this table, and its emissions are made again."
    )

    def make(read: Reader, days: Sequence[date]) -> ir.Table:
        def placed(members: list[Member]) -> list[Resolved]:
            return resolve(members, site.source_places, site.places, days)

        return factors_applied(
            read(ENERGY, days), placed, own_hardware(site), own_constants(site), own_losses(site), read.keep
        )

    version = factors_version(site, APPLIED)
    return [
        table_asset(site, FACTORS_APPLIED, [ENERGY], about, make, _summary, chunk=QUARTER, code_version=version),
    ]


def _summary(rows: ir.Table) -> ir.Table:
    return rows.select("factor", "of", "value", "edition", "state").order_by("factor", "of")
