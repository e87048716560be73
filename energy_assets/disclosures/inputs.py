"""What a report is made from. Plain values and ibis tables; nothing here reads or computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import ibis.expr.types as ir

from energy_assets.disclosures.editions import Cause, ReportEdition
from energy_assets.disclosures.profile import Profile
from energy_assets.opportunities.states import Decision
from energy_assets.own_kpis import OwnKpi
from energy_assets.periods import Period

#: Tables a report may read, each already restricted to its period.
TABLES = (
    "kpis_daily", "kpis_monthly", "emissions", "cost", "activity", "grid_intensity", "emissions_market", "instruments",
    "reconciliation", "opportunities",
)  # fmt: skip
#: Those of the market-based method, which reports of sites without instruments do not read.
MARKET_TABLES = ("emissions_market", "instruments")


@dataclass(frozen=True)
class Organisation:
    """Who reports.

    Attributes:
        name: As it is printed.
        currency: ISO 4217 code of the reporting currency.
        consolidation: GHG Protocol consolidation approach, such as `operational_control`.
        base_year: Base year of the organisation's targets.
        lei: Legal Entity Identifier, where there is one; it identifies the entity of the XBRL facts.
        synthetic: The data is made up; every page then says so.
    """

    name: str
    currency: str
    consolidation: str = "operational_control"
    base_year: int | None = None
    lei: str | None = None
    synthetic: bool = False


@dataclass(frozen=True)
class Target:
    """A reduction target: a KPI goes from its base value to its target value."""

    kpi: str
    unit: str
    base_year: int
    base_value: Decimal
    target_year: int
    target_value: Decimal


@dataclass(frozen=True)
class ReportInputs:
    """All that enters a report; equal inputs give equal bytes.

    Attributes:
        con: The ibis DuckDB connection that the tables live on.
        tables: Ibis tables by lake name (see `TABLES`), each restricted to the period and read lazily.
        period: The reporting period.
        profile: What the report consists of.
        organisation: Who reports.
        targets: Reduction targets of the site file.
        kpis: Indicators that the site file defines.
        pins: Per table and day (ISO date; the first of the month where partitions are months) the fingerprint of the
            content read.
        previous: `kpis_monthly` of the months of the period before, or None.
        decisions: The last decision on each opportunity that has one, by its id.
        code_version: Version of the package; the same code gives the same report.
        factor_basis: Basis of location_g, as the site file chose it.
        lock_sha256: Hash of the dependency lock file.
        site_file: The site file as seen from the report's folder, where it lies above it; commands name it then.
        trace_page: Whether a `trace.xhtml` will lie beside the report, to be linked to.
        editions: Those that there are of this report, oldest first.
        changes: What is otherwise than when the last of them was made.
    """

    con: Any
    tables: Mapping[str, ir.Table]
    period: Period
    organisation: Organisation
    profile: Profile
    targets: Sequence[Target] = ()
    kpis: Sequence[OwnKpi] = ()
    pins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    previous: ir.Table | None = None
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    code_version: str = "0"
    factor_basis: Literal["direct", "lifecycle"] = "direct"
    lock_sha256: str | None = None
    site_file: Path | None = None
    trace_page: bool = False
    editions: Sequence[ReportEdition] = ()
    changes: Sequence[Cause] = ()
