"""Energy and emissions: the charts of the period and its tables by workload, model, project, zone and boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from energy_assets.disclosures import reading
from energy_assets.disclosures.document import Block, Chart, Column, Runs, Section, charts, heading, number, table
from energy_assets.disclosures.figure_factory import QUOTIENT, FigureFactory, Member
from energy_assets.disclosures.figures import Figure, Filter, Selection
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.rounding import EXACT, Scale
from energy_assets.disclosures.sections.charting import (
    cell,
    labelled,
    plot,
    step_names,
    step_table,
    steps_alt,
    totals,
)
from energy_assets.disclosures.sections.common import Context, largest, smallest, steps_words
from energy_assets.disclosures.text import printable, visible
from energy_assets.periods import DayRange

#: Name of the figures of this section among what sections share.
BREAKDOWN = "breakdown"
#: Rows of a table or bars of a chart; what is left is one row "All others".
SHOWN = 10
NO_NAME = {"model_id": "No model named", "project": "Not attributed", "zone": "No zone known"}
INTENSITY = Scale("g CO₂e/kWh", 0, 1)
COLOURS = {
    "training": "#0b5d4b",
    "fine_tuning": "#3c8f7c",
    "inference": "#e08e2b",
    "batch": "#b5651d",
    "development": "#7a5ea8",
    "idle": "#9aa8b2",
    "overhead": "#5f7380",
    "other": "#4a78a8",
    "unknown": "#a3678f",
}
EMISSION_COLOURS = ["#a5482b", "#e3a67f"]
ZONE_COLOURS = ("#0b5d4b", "#d9781f", "#3f6fb0", "#9b3d7a", "#5f7380", "#8a6d1d", "#c2453d", "#2b8f9b")


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
        location_by_step: Location-based emissions by step.
        upstream_by_step: Upstream emissions by step.
        lifecycle_by_step: Life-cycle emissions by step.
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
    location_by_step: Mapping[DayRange, Figure]
    upstream_by_step: Mapping[DayRange, Figure]
    lifecycle_by_step: Mapping[DayRange, Figure]
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
    models, projects = _top(factory, "model_id"), _top(factory, "project")
    energy_by_step = {step: factory.kpi("energy_kwh", step=step) for step in steps}
    location_by_step = {step: factory.kpi("location_g", step=step) for step in steps}
    upstream_by_step = {step: factory.kpi("upstream_g", step=step) for step in steps}
    lifecycle_by_step = {step: factory.kpi("lifecycle_g", step=step) for step in steps}
    foots = {
        "workloads": factory.foot(context.figure("energy_kwh"), list(workloads.values())),
        "models": factory.foot(context.figure("energy_kwh"), list(models.values())),
        "projects": factory.foot(context.figure("energy_kwh"), list(projects.values())),
        "energy_by_step": factory.foot(context.figure("energy_kwh"), list(energy_by_step.values())),
        "location_by_step": factory.foot(context.figure("location_g"), list(location_by_step.values())),
        "lifecycle_by_step": factory.foot(context.figure("lifecycle_g"), list(lifecycle_by_step.values())),
        "upstream_by_step": factory.foot(context.figure("upstream_g"), list(upstream_by_step.values())),
    }
    zones = [row for row in reading.zones(factory.condensed) if row["zone"] != reading.UNKNOWN]
    by_use = sorted(zones, key=lambda row: -(row["facility_kwh"] or Decimal(0)))
    return Breakdown(
        workloads=workloads,
        models=models,
        projects=projects,
        per_request={
            m.raw: factory.kpi("wh_per_1k_inferences", m) for m in factory.members("model_id", "requests")[:SHOWN]
        },
        energy_by_step=energy_by_step,
        parts_by_step={step: {m.raw: factory.kpi("energy_kwh", m, step=step) for m in kinds} for step in steps},
        location_by_step=location_by_step,
        upstream_by_step=upstream_by_step,
        lifecycle_by_step=lifecycle_by_step,
        hours=_hours(context, [row["zone"] for row in by_use[: len(ZONE_COLOURS)]]),
        main_zone=by_use[0]["zone"] if by_use else None,
        foots=foots,
    )


def _top(factory: FigureFactory, grain: str) -> dict[str, Figure]:
    """IT energy of the largest members; the others as one figure under the key ''."""
    members = factory.members(grain, "energy_kwh")
    shown = members if len(members) <= SHOWN + 1 else members[:SHOWN]
    figures = {m.raw: factory.kpi("energy_kwh", m) for m in shown}
    if len(shown) < len(members):
        total = factory.kpi("energy_kwh")
        figures[""] = factory.derived(
            "energy_kwh_of_others",
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


def energy(context: Context) -> Section:
    """Charts over time, by model and project, and the grid; tables by workload, model, project, zone, boundary."""
    found = breakdown(context)
    blocks: list[Block] = []
    if found.energy_by_step:
        blocks.append(charts(_emissions_chart(context, found)))
    pair = [c for c in (_bars(context, found.models, "model"), _bars(context, found.projects, "project")) if c]
    if pair:
        blocks.append(charts(*pair))
    if found.hours:
        blocks.append(charts(_intensity_chart(context, found)))
    blocks += [
        heading("By workload, model and project"),
        _workload_table(context, found),
        _member_table(context, found.models, "model_id", "Model", found.foots["models"]),
        _member_table(context, found.projects, "project", "Project", found.foots["projects"]),
        heading("By place and by boundary"),
        *_zone_table(context),
        *_boundary_table(context),
    ]
    return Section("energy", "Energy and emissions", blocks)


def energy_chart(context: Context) -> Chart:
    """IT energy over time, stacked by workload type; its data go to the section `figures`."""
    found, noun = breakdown(context), context.step_noun
    names = step_names(list(found.energy_by_step))
    kinds = [kind for kind in WORKLOADS if kind in found.workloads]
    rows: list[dict[str, Any]] = []
    for step, parts in found.parts_by_step.items():
        for order, kind in enumerate(kinds):
            if parts[kind].number is not None:
                rows.append(
                    {"layer": "part", "time": names[step], "series": WORKLOADS[kind], "order": order}
                    | plot(parts[kind], context)
                )
    rows += totals(context, found.energy_by_step, names)
    unit = context.figure("energy_kwh").display.unit
    series = {
        **{WORKLOADS[kind]: {step: parts[kind] for step, parts in found.parts_by_step.items()} for kind in kinds},
        "All IT energy": found.energy_by_step,
    }
    step_table(context, "data-energy", f"IT energy by {noun}, {unit}", series)
    return Chart(
        spec="energy_by_time",
        title=f"IT energy by {noun} and workload",
        caption=[f"IT energy by {noun} in {unit}, {steps_words(list(names))}; {labelled(context, names)}."],
        alt=steps_alt(context, f"Stacked bars of IT energy by {noun} and workload type", found.energy_by_step)
        + f" Workload types, bottom to top: {', '.join(WORKLOADS[kind] for kind in kinds)}.",
        rows=rows,
        names={
            "times": list(names.values()),
            "unit": unit,
            "series": [WORKLOADS[kind] for kind in kinds],
            "colours": [COLOURS[kind] for kind in kinds],
        },
    )


def _emissions_chart(context: Context, found: Breakdown) -> Chart:
    noun, names = context.step_noun, step_names(list(found.location_by_step))
    location, upstream = "Scope 2, location-based", "Scope 3.3, upstream"
    series = {location: found.location_by_step}
    if context.direct and any(figure.number is not None for figure in found.upstream_by_step.values()):
        series[upstream] = found.upstream_by_step
    rows = [
        {"layer": "part", "time": names[step], "series": name, "order": order} | plot(figure, context)
        for order, (name, figures) in enumerate(series.items())
        for step, figure in figures.items()
        if figure.number is not None
    ]
    whole = found.lifecycle_by_step if upstream in series else found.location_by_step
    rows += totals(context, whole, names)
    unit = context.figure("location_g").display.unit
    alt = steps_alt(context, f"Bars of location-based emissions by {noun}", found.location_by_step)
    if upstream in series:
        alt += " Upstream emissions (Scope 3, category 3) are stacked on top."
    data = {location: found.location_by_step, upstream: found.upstream_by_step, "Life-cycle": found.lifecycle_by_step}
    step_table(context, "data-emissions", f"Emissions by {noun}, {unit}", data)
    return Chart(
        spec="emissions_by_time",
        title=f"Emissions by {noun}",
        caption=[
            f"Emissions by {noun} in {unit}, each hour with the intensity of its own zone; {labelled(context, names)}."
        ],
        alt=alt,
        rows=rows,
        names={
            "times": list(names.values()),
            "unit": unit,
            "series": list(series),
            "colours": EMISSION_COLOURS[: len(series)],
        },
    )


def _bars(context: Context, figures: Mapping[str, Figure], what: str) -> Chart | None:
    known = {raw: figure for raw, figure in figures.items() if figure.number is not None}
    if not known:
        return None
    labels = {raw: _short_name(raw, what) for raw in known}
    rows = [
        {"name": labels[raw], "colour": "#9aa8b2" if raw in {"unknown", ""} else "#0b5d4b"} | plot(figure, context)
        for raw, figure in known.items()
    ]
    unit = context.figure("energy_kwh").display.unit
    listed = "; ".join(f"{labels[raw]} {context.shown(figure)}" for raw, figure in known.items())
    return Chart(
        spec="energy_by_member",
        title=f"IT energy by {what}",
        caption=[f"IT energy by {what} in {unit}, largest first."],
        alt=f"Bars of IT energy by {what}: {listed}.",
        rows=rows,
        names={"names": [labels[raw] for raw in known], "limit": max(row["value"] for row in rows) * 1.34 or 1},
        half=True,
    )


def _short_name(raw: str, what: str) -> str:
    """A name that fits beside a bar; names stay apart even when cut."""
    if raw in {"unknown", ""}:
        return ("No model named" if what == "model" else "Not attributed") if raw else f"All other {what}s"
    shown = printable(visible(raw))
    return shown if len(shown) <= 22 else f"{shown[:12]}…{shown[-9:]}"


def _intensity_chart(context: Context, found: Breakdown) -> Chart:
    zones = list(found.hours)
    rows = [
        {"zone": visible(zone), "hour": hour} | plot(figure, context)
        for zone in zones
        for hour, figure in found.hours[zone].items()
    ]
    parts = []
    for zone in zones:
        high, low = largest(list(found.hours[zone].values())), smallest(list(found.hours[zone].values()))
        if high and low:
            when = {figure.id: f"{hour:02d}:00" for hour, figure in found.hours[zone].items()}
            parts.append(
                f"{visible(zone)} from {context.shown(low)} at {when[low.id]} to "
                f"{context.shown(high)} at {when[high.id]}"
            )
    basis = "Direct (combustion)" if context.direct else "Life-cycle"
    hourly: list[list[Runs]] = [
        [[f"{hour:02d}:00"], *([cell(found.hours[zone].get(hour))] for zone in zones)] for hour in range(24)
    ]
    columns = [Column("Hour, UTC", width=1), *(Column(visible(zone), "right", 1) for zone in zones)]
    caption = f"Mean grid intensity by hour of day, {INTENSITY.unit}"
    context.chart_data.append(table("data-intensity", caption, columns, hourly, dense=True))
    return Chart(
        spec="intensity_by_hour",
        title="Grid intensity by hour of day",
        caption=[f"{basis} intensity of the grid zones used, mean of the days with data, by hour of day (UTC)."],
        alt=f"Lines of mean grid intensity by hour of day, one for each zone: {'; '.join(parts)}.",
        rows=rows,
        names={
            "unit": INTENSITY.unit,
            "series": [visible(zone) for zone in zones],
            "colours": list(ZONE_COLOURS[: len(zones)]),
        },
    )


def _footing(foots: bool) -> Runs:
    if foots:
        return ["The rows add up to the total as printed."]
    return ["The rows are rounded one by one and may not add up to the total in the last digit."]


def _workload_table(context: Context, found: Breakdown) -> Block:
    factory = context.factory
    rows: list[list[Runs]] = []
    for raw, figure in found.workloads.items():
        member = Member("workload_type", raw)
        share = factory.share(figure, context.figure("energy_kwh"), f"{figure.label}, share of IT energy")
        emitted = factory.kpi("location_g", member)
        rows.append(
            [[WORKLOADS.get(raw, visible(raw))], *_cells(figure, share, factory.kpi("facility_kwh", member), emitted)]
        )
    rows.append(
        [
            ["Total"],
            [number(context.figure("energy_kwh"), unit=False)],
            [""],
            [number(context.figure("facility_kwh"), unit=False)],
            [number(context.figure("location_g"), unit=False)],
        ]
    )
    parts = [factory.kpi("facility_kwh", Member("workload_type", raw)) for raw in found.workloads]
    grams = [factory.kpi("location_g", Member("workload_type", raw)) for raw in found.workloads]
    good = (
        found.foots["workloads"]
        and factory.foot(context.figure("facility_kwh"), parts)
        and factory.foot(context.figure("location_g"), grams)
    )
    return table(
        "by-workload", "By type of workload", _columns(context, "Workload"), rows, total=True, note=_footing(good)
    )


def _columns(context: Context, first: str) -> list[Column]:
    return [
        Column(first, width=1.9),
        Column(f"IT energy, {context.figure('energy_kwh').display.unit}", "right", 1.3),
        Column("Share", "right", 1.25),
        Column(
            f"Facility, {context.figure('facility_kwh').display.unit or context.figure('energy_kwh').display.unit}",
            "right",
            1.3,
        ),
        Column(f"Scope 2, {context.figure('location_g').display.unit}", "right", 1.4),
    ]


def _cells(*figures: Figure) -> list[Runs]:
    return [[number(figure, unit=figure.unit == "share")] for figure in figures]


def _member_table(context: Context, figures: Mapping[str, Figure], grain: str, title: str, foots: bool) -> Block:
    factory = context.factory
    columns = [*_columns(context, title)]
    if grain == "model_id":
        columns += [Column("Wh per 1,000 requests", "right", 1.4), Column("Wh per million tokens", "right", 1.4)]
    rows: list[list[Runs]] = []
    for raw, figure in figures.items():
        share = factory.share(figure, context.figure("energy_kwh"), f"{figure.label}, share of IT energy")
        member = Member(grain, raw)
        cells = _cells(figure, share)
        if raw:
            cells += _cells(factory.kpi("facility_kwh", member), factory.kpi("location_g", member))
        else:
            cells += [[""], [""]]
        if grain == "model_id":
            cells += [_optional(factory, name, member) for name in ("wh_per_1k_inferences", "wh_per_1m_tokens")]
        rows.append([[_row_name(member)], *cells])
    empty: list[Runs] = [[""], [""]] if grain == "model_id" else []
    if grain == "model_id":
        empty = _cells(context.figure("wh_per_1k_inferences"), context.figure("wh_per_1m_tokens"))
    rows.append(
        [
            ["Total"],
            [number(context.figure("energy_kwh"), unit=False)],
            [""],
            [number(context.figure("facility_kwh"), unit=False)],
            [number(context.figure("location_g"), unit=False)],
            *empty,
        ]
    )
    others = [
        (n, [factory.kpi(n, Member(grain, raw)) for raw in figures if raw]) for n in ("facility_kwh", "location_g")
    ]
    whole = "" not in figures
    good = foots and whole and all(factory.foot(factory.kpi(name), parts) for name, parts in others)
    return table(f"by-{grain.replace('_', '-')}", f"By {title.lower()}", columns, rows, total=True, note=_footing(good))


def _row_name(member: Member) -> str:
    if member.raw == reading.UNKNOWN:
        return NO_NAME[member.grain]
    return member.shown or "All others"


def _optional(factory: FigureFactory, kpi: str, member: Member) -> Runs:
    """A member's indicator, or a dash where it has none: training serves no requests."""
    has_row = ("", kpi, member.grain, member.raw) in factory.rows
    return [number(factory.kpi(kpi, member), unit=False)] if has_row and member.raw else ["–"]


def _zone_table(context: Context) -> list[Block]:
    factory = context.factory
    members = factory.members("zone", "facility_kwh")
    if not members:
        return []
    rows: list[list[Runs]] = []
    grams = [factory.kpi("location_g", m) for m in members]
    kwh = [factory.kpi("facility_kwh", m) for m in members]
    for member, facility, location in zip(members, kwh, grams, strict=True):
        intensity = factory.kpi("carbon_intensity_location", member)
        rows.append([[_row_name(member)], *_cells(facility, location, intensity)])
    rows.append(
        [
            ["Total"],
            *_cells(
                context.figure("facility_kwh"),
                context.figure("location_g"),
                context.figure("carbon_intensity_location"),
            ),
        ]
    )
    good = factory.foot(context.figure("facility_kwh"), kwh) and factory.foot(context.figure("location_g"), grams)
    columns = [
        Column("Grid zone", width=2),
        Column(f"Facility, {context.figure('facility_kwh').display.unit}", "right", 1.3),
        Column(f"Scope 2 location-based, {context.figure('location_g').display.unit}", "right", 1.7),
        Column(f"Intensity, {INTENSITY.unit}", "right", 1.5),
    ]
    return [table("by-zone", "By grid zone", columns, rows, total=True, note=_footing(good))]


def _boundary_table(context: Context) -> list[Block]:
    """The same period at three boundaries: what the choice of boundary does to the number."""
    factory = context.factory
    rows: list[list[Runs]] = []
    scale = factory.scale("energy_kwh", "kWh")
    for row in reading.by_kind(factory.condensed):
        if row["device_kind"] != "gpu" or row["kwh"] is None:
            continue
        selection = Selection(
            "emissions", "energy_kwh", (Filter("day", "between", factory.period), Filter("device_kind", "=", "gpu"))
        )
        gpu = factory.query("gpu_kwh", "Electricity, accelerators only", row["kwh"], selection, scale, "kWh")
        rows.append(
            [
                ["Accelerators only"],
                *_cells(gpu, factory.share(gpu, context.figure("facility_kwh"), "Accelerators, share of facility")),
            ]
        )
    rows.append(
        [
            ["IT equipment"],
            *_cells(
                context.figure("energy_kwh"),
                factory.share(
                    context.figure("energy_kwh"), context.figure("facility_kwh"), "IT equipment, share of facility"
                ),
            ),
        ]
    )
    rows.append([["Facility, with cooling and power supply"], *_cells(context.figure("facility_kwh")), [""]])
    columns = [
        Column("Boundary", width=2),
        Column(f"Energy, {context.figure('energy_kwh').display.unit}", "right", 1.3),
        Column("Share of facility", "right", 1.3),
    ]
    note = ["Figures of different boundaries must not be compared with each other."]
    return [table("boundary", "The same period at different boundaries", columns, rows, note=note)]
