"""What it cost: the billed cost of each project, and what of the bills idle devices account for.

What belongs here: the figures, the table and the sentence. What does not: which accounts are billed and measured
(`disclosures.bills`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from energy_assets.contracts.vocabulary import WorkloadType
from energy_assets.disclosures import bills, reading
from energy_assets.disclosures.document import Block, Column, Run, Runs, number, table
from energy_assets.disclosures.figure_factory import FigureFactory, Member
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.missing import listed
from energy_assets.disclosures.rounding import scale_for
from energy_assets.disclosures.sections.breakdown import top
from energy_assets.disclosures.sections.charting import Footing, footed
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible
from energy_assets.kpis.ingredients import Filter, Selection

IDLE = Filter("workload_type", "=", WorkloadType.IDLE.value)


def by_project(context: Context) -> list[Block]:
    """The billed cost of each project with its share and its cost per kWh; nothing where nothing is billed."""
    factory, whole, rate = context.factory, context.figure("billed_cost"), context.figure("cost_per_kwh")
    figures = top(factory, "project", "billed_cost")
    if whole.number is None or not figures:
        return []
    foots = factory.foot(whole, list(figures.values()))
    rows: list[list[Runs]] = []
    for raw, figure in figures.items():
        member = Member("project", raw)
        share = factory.share(figure, whole, f"{figure.label}, share of billed cost")
        has_rate = bool(raw) and ("", "cost_per_kwh", "project", raw) in factory.rows
        per_kwh = _rate(factory.kpi("cost_per_kwh", member)) if has_rate else [["–"], ["–"]]
        name = member.shown or "all others"
        rows.append([[f"{name[0].upper()}{name[1:]}" if raw in {"", "unknown"} else name],
                     [number(figure, unit=False)], [number(share)], *per_kwh])  # fmt: skip
    rows.append([["Total"], [number(whole, unit=False)], [""], *_rate(rate)])
    columns = [
        Column("Project", width=1.9),
        Column(f"Billed cost, {whole.display.unit}", "right", 1.3),
        Column("Share of billed cost", "right", 1.3),
        Column(f"{factory.inputs.organisation.currency} per facility kWh", "right", 1.3),
        Column("With known energy", "right", 1.3),
    ]
    made = table("cost-by-project", "Billed cost by project", columns, rows, total=True)
    made = footed(context, made, Footing("The rows add up to the total as printed", foots))
    words = (
        " A charge is of the project that its tags name. Cost per kWh is of those charges alone whose project is "
        "measured at the same provider and account on the same day; the last column says how much of the cost they are."
    )
    return [made | {"note": [*made["note"], words]}]


def _rate(figure: Figure) -> list[Runs]:
    """Cost per kWh, and the share of the cost that it rests on."""
    known: Runs = ["–"] if figure.coverage is None else [number(figure, part="coverage", ref=False)]
    return [[number(figure, unit=False)], known]


@dataclass(frozen=True)
class _Idle:
    """What the bills of one provider hold of idle devices.

    Attributes:
        kwh: Facility energy of idle devices at its billed accounts.
        cost: Charges of these accounts.
        part: What of the charges idle devices account for, by their share of the electricity.
    """

    kwh: Figure
    cost: Figure
    part: Figure


def idle_cost(context: Context) -> list[Run]:
    """What idle devices cost where there is a bill for them; nothing where there is none."""
    factory = context.factory
    billed = bills.measured(factory.inputs.tables["cost"], factory.emissions)
    found = {one.provider: idle for one in billed if (idle := _idle(factory, one)) is not None}
    if not found:
        return []
    names = listed([visible(provider) for provider in found])
    part, cost = (_sum(factory, [getattr(one, name) for one in found.values()]) for name in ("part", "cost"))
    runs: list[Run] = [
        f"By their share of the electricity of the accounts that {names} {'bills' if len(found) == 1 else 'bill'} and "
        "that are measured, idle devices account for ", number(part), " of the ", number(cost), " billed for these.",
    ]  # fmt: skip
    everywhere = factory.kpi("facility_kwh", Member("workload_type", WorkloadType.IDLE.value))
    here = sum((one.kwh.number or Decimal(0) for one in found.values()), Decimal(0))
    if everywhere.number is not None and everywhere.number > here:
        runs.append(" Other idle energy is on no bill and has no price here.")
    return runs


def _idle(factory: FigureFactory, one: bills.Measured) -> _Idle | None:
    """Energy and cost of one provider's billed accounts in the span of days of which energy is known."""
    currency, name = factory.inputs.organisation.currency, visible(one.provider)
    when = Filter("day", "between", (one.first.isoformat(), one.last.isoformat()))
    energy = Selection("emissions", "facility_kwh", (when, *one.energy))
    charged = Selection("cost", "billed_cost", (when, *one.cost, Filter("billing_currency", "=", currency)))
    every, idle, cost = (_total(factory, rows) for rows in (energy, energy.where(IDLE), charged))
    if not every or not idle or cost is None or cost <= 0:
        return None
    kwh, cut = factory.scale("facility_kwh", "kWh"), {"provider": one.provider}
    of = f"accounts of {name} that are billed and measured"
    idle_kwh = factory.query("billed_idle_kwh", f"Electricity, facility: idle devices, {of}", idle,
                             energy.where(IDLE), kwh, "kWh", dimensions=cut)  # fmt: skip
    all_kwh = factory.query("billed_kwh", f"Electricity, facility: {of}", every, energy, kwh, "kWh", dimensions=cut)
    money = factory.query("billed_cost_measured", f"Billed cost: {of}", cost, charged,
                          factory.scale("billed_cost", currency), currency, dimensions=cut)  # fmt: skip
    small = scale_for("money", cost * idle / every)
    part = factory.derived(
        "idle_cost", f"Billed cost that idle devices account for: {of}", (money, idle_kwh, all_kwh), "portion",
        scale=replace(small, unit=f"{small.unit} {currency}".strip()), method="M-IDLE-COST",
    )  # fmt: skip
    return _Idle(idle_kwh, money, part)


def _total(factory: FigureFactory, rows: Selection) -> Decimal | None:
    table_ = reading.restricted(factory.inputs.tables[rows.table], rows)
    found: Decimal | None = rows.value(table_).sum().to_pyarrow().as_py()
    return found


def _sum(factory: FigureFactory, parts: Sequence[Figure]) -> Figure:
    """The only one of some figures, or their sum."""
    if len(parts) == 1:
        return parts[0]
    label = f"{parts[0].label.split(':')[0]}: accounts that are billed and measured"
    return factory.derived(parts[0].metric, label, parts, "sum", method="M-ADDED", dimensions={})
