"""The figures that several sections speak of, by workload, model, project, scope, step of the period and hour of day.

What belongs here: making these figures once, and making them add up. What does not: tables, charts and words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from energy_assets.disclosures import reading
from energy_assets.disclosures.figure_factory import QUOTIENT, FigureFactory
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.profile import Emission
from energy_assets.disclosures.rounding import EXACT, Scale
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible
from energy_assets.kpis.ingredients import UNKNOWN, Filter, Selection
from energy_assets.periods import DayRange

#: Name of these figures among what sections share.
BREAKDOWN = "breakdown"
#: Rows of a table or bars of a chart; what is left is one row "All others".
SHOWN = 10
#: Grid zones that a chart can tell apart.
ZONES = 8
INTENSITY = Scale("g CO₂e/kWh", 0, 1)


@dataclass(frozen=True)
class Breakdown:
    """The figures of this section, for others to speak of.

    Attributes:
        workloads: IT energy by workload type.
        models: IT energy by model, the largest ones.
        projects: IT energy by project, the largest ones.
        per_request: Energy per 1,000 requests by model.
        energy_by_step: IT energy by step of the period (day or month).
        parts_by_step: IT energy by step and workload type.
        emissions: The scopes and categories there are, in the profile's order.
        emissions_by_step: Emissions by name of their KPI and by step.
        hours: Mean grid intensity by zone and hour of day.
        main_zone: The zone that supplied most of the energy.
        foots: Which groups add up as printed.
    """

    workloads: Mapping[str, Figure]
    models: Mapping[str, Figure]
    projects: Mapping[str, Figure]
    per_request: Mapping[str, Figure]
    energy_by_step: Mapping[DayRange, Figure]
    parts_by_step: Mapping[DayRange, Mapping[str, Figure]]
    emissions: Sequence[Emission]
    emissions_by_step: Mapping[str, Mapping[DayRange, Figure]]
    hours: Mapping[str, Mapping[int, Figure]]
    main_zone: str | None
    foots: Mapping[str, bool]


def breakdown(context: Context) -> Breakdown:
    """The figures, made once for the report, and made to add up where rounding would not."""
    if BREAKDOWN not in context.shared:
        context.shared[BREAKDOWN] = _breakdown(context)
    found: Breakdown = context.shared[BREAKDOWN]
    return found


def _breakdown(context: Context) -> Breakdown:
    factory = context.factory
    steps = factory.steps
    kinds = factory.members("workload_type", "energy_kwh")
    workloads = {m.raw: factory.kpi("energy_kwh", m) for m in kinds}
    models, projects = top(factory, "model_id"), top(factory, "project")
    energy_by_step = {step: factory.kpi("energy_kwh", step=step) for step in steps}
    scopes = [scope for scope in context.emissions if factory.kpi(scope.figure).number is not None]
    by_step = {scope.figure: {step: factory.kpi(scope.figure, step=step) for step in steps} for scope in scopes}
    foots = {
        "workloads": factory.foot(context.figure("energy_kwh"), list(workloads.values())),
        "models": factory.foot(context.figure("energy_kwh"), list(models.values())),
        "projects": factory.foot(context.figure("energy_kwh"), list(projects.values())),
        "energy_by_step": factory.foot(context.figure("energy_kwh"), list(energy_by_step.values())),
        **{name: factory.foot(factory.kpi(name), list(figures.values())) for name, figures in by_step.items()},
    }
    parts_by_step = {step: {m.raw: factory.kpi("energy_kwh", m, step=step) for m in kinds} for step in steps}
    # Each step is footed to its own total, which is footed to the period's by now.
    rows_foot = [factory.foot(energy_by_step[step], list(parts.values())) for step, parts in parts_by_step.items()]
    foots["parts_by_step"] = all(rows_foot)
    zones = [row for row in reading.zones(factory.condensed) if row["zone"] != UNKNOWN]
    by_use = sorted(zones, key=lambda row: -(row["facility_kwh"] or Decimal(0)))
    return Breakdown(
        workloads=workloads,
        models=models,
        projects=projects,
        per_request={
            m.raw: factory.kpi("wh_per_1k_inferences", m) for m in factory.members("model_id", "requests")[:SHOWN]
        },
        energy_by_step=energy_by_step,
        parts_by_step=parts_by_step,
        emissions=scopes,
        emissions_by_step=by_step,
        hours=_hours(context, [row["zone"] for row in by_use[:ZONES]]),
        main_zone=by_use[0]["zone"] if by_use else None,
        foots=foots,
    )


def top(factory: FigureFactory, grain: str, kpi: str = "energy_kwh") -> dict[str, Figure]:
    """A sum by its largest members; the others as one figure under the key ''.

    Args:
        factory: Makes the figures.
        grain: The dimension.
        kpi: Name of the sum.
    """
    members = factory.members(grain, kpi)
    shown = members if len(members) <= SHOWN + 1 else members[:SHOWN]
    figures = {m.raw: factory.kpi(kpi, m) for m in shown}
    if len(shown) < len(members):
        total = factory.kpi(kpi)
        figures[""] = factory.derived(
            f"{kpi}_of_others",
            f"{total.label} · all others by {grain}",
            (total, *figures.values()),
            "difference",
            method="M-REST",
            dimensions={grain: "all others"},
        )
    return figures


def _hours(context: Context, used: Sequence[str]) -> dict[str, dict[int, Figure]]:
    """Mean intensity by hour of day of the zones that supplied most energy, as many as a chart can tell apart."""
    factory = context.factory
    column = "direct_gco2e_per_kwh" if context.direct else "lifecycle_gco2e_per_kwh"
    basis = "direct" if context.direct else "life-cycle"
    result: dict[str, dict[int, Figure]] = {}
    for row in reading.hours_of_day(factory.inputs.tables["grid_intensity"], column):
        zone, hour = row["zone"], int(row["hour_of_day"])
        if zone not in used:
            continue
        selection = Selection(
            "grid_intensity",
            column,
            (
                Filter("day", "between", factory.period),
                Filter("zone", "=", zone),
                Filter("hour", "hour of day", str(hour)),
            ),
            "avg",
        )
        mean = EXACT.divide(row["total"], Decimal(row["hours"])).quantize(QUOTIENT, context=EXACT)
        result.setdefault(zone, {})[hour] = factory.query(
            "grid_intensity_hour_of_day",
            f"Mean {basis} grid intensity · {visible(zone)} · {hour:02d}:00 UTC",
            mean,
            selection,
            INTENSITY,
            "gCO2e per kWh",
            method="M-MEAN-HOUR",
            operation="mean",
            dimensions={"zone": zone, "hour_of_day": f"{hour:02d}"},
        )
    return result
