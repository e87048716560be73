"""Energy and emissions: the charts of the month and its tables by workload, model, project, zone and boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from energy_assets.disclosures import reading
from energy_assets.disclosures.document import Block, Chart, Column, Runs, Section, charts, heading, number, table
from energy_assets.disclosures.figure_factory import QUOTIENT, FigureFactory, Member
from energy_assets.disclosures.figures import Figure, Filter, Selection
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.rounding import EXACT, Scale
from energy_assets.disclosures.sections.charting import by_day_alt, day_names, labelled, plot, totals
from energy_assets.disclosures.sections.common import Context, largest, smallest, span_words
from energy_assets.disclosures.text import printable, visible

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
        energy_by_day: IT energy by day.
        parts_by_day: IT energy by day and workload type.
        location_by_day: Location-based emissions by day.
        upstream_by_day: Upstream emissions by day.
        lifecycle_by_day: Life-cycle emissions by day.
        hours: Mean grid intensity by zone and hour of day.
        main_zone: The zone that supplied most of the energy.
        foots: Which groups add up as printed.
    """

    workloads: Mapping[str, Figure]
    models: Mapping[str, Figure]
    projects: Mapping[str, Figure]
    per_request: Mapping[str, Figure]
    energy_by_day: Mapping[date, Figure]
    parts_by_day: Mapping[date, Mapping[str, Figure]]
    location_by_day: Mapping[date, Figure]
    upstream_by_day: Mapping[date, Figure]
    lifecycle_by_day: Mapping[date, Figure]
    hours: Mapping[str, Mapping[int, Figure]]
    main_zone: str | None
    foots: Mapping[str, bool]


def breakdown(context: Context) -> Breakdown:
    """Make the figures, and make them add up where rounding would not."""
    factory, h = context.factory, context.headline
    days = factory.days_with_data
    kinds = factory.members("workload_type", "energy_kwh")
    workloads = {m.raw: factory.kpi("energy_kwh", m) for m in kinds}
    models, projects = _top(factory, "model_id"), _top(factory, "project")
    energy_by_day = {day: factory.kpi("energy_kwh", day=day) for day in days}
    location_by_day = {day: factory.kpi("location_g", day=day) for day in days}
    upstream_by_day = {day: factory.kpi("upstream_g", day=day) for day in days}
    lifecycle_by_day = {day: factory.kpi("lifecycle_g", day=day) for day in days}
    foots = {
        "workloads": factory.foot(h.it, list(workloads.values())),
        "models": factory.foot(h.it, list(models.values())),
        "projects": factory.foot(h.it, list(projects.values())),
        "energy_by_day": factory.foot(h.it, list(energy_by_day.values())),
        "location_by_day": factory.foot(h.location, list(location_by_day.values())),
        "lifecycle_by_day": factory.foot(h.lifecycle, list(lifecycle_by_day.values())),
        "upstream_by_day": factory.foot(h.upstream, list(upstream_by_day.values())),
    }
    zones = [row for row in reading.zones(factory.emissions) if row["zone"] != reading.UNKNOWN]
    by_use = sorted(zones, key=lambda row: -(row["facility_kwh"] or Decimal(0)))
    return Breakdown(
        workloads=workloads,
        models=models,
        projects=projects,
        per_request={
            m.raw: factory.kpi("wh_per_1k_inferences", m) for m in factory.members("model_id", "requests")[:SHOWN]
        },
        energy_by_day=energy_by_day,
        parts_by_day={day: {m.raw: factory.kpi("energy_kwh", m, day=day) for m in kinds} for day in days},
        location_by_day=location_by_day,
        upstream_by_day=upstream_by_day,
        lifecycle_by_day=lifecycle_by_day,
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


def energy(context: Context, found: Breakdown) -> Section:
    """The section."""
    blocks: list[Block] = []
    if found.energy_by_day:
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


def energy_chart(context: Context, found: Breakdown) -> Chart:
    """IT energy by day, stacked by workload type."""
    days = list(found.energy_by_day)
    names = day_names(days)
    kinds = [kind for kind in WORKLOADS if kind in found.workloads]
    rows: list[dict[str, Any]] = []
    for day, parts in found.parts_by_day.items():
        for order, kind in enumerate(kinds):
            if parts[kind].number is not None:
                rows.append(
                    {"layer": "part", "day": names[day], "series": WORKLOADS[kind], "order": order}
                    | plot(parts[kind], context)
                )
    rows += totals(context, found.energy_by_day, names)
    unit = context.headline.it.display.unit
    return Chart(
        spec="energy_by_day",
        title="IT energy by day and workload",
        caption=[f"IT energy by day in {unit}, {span_words(days[0], days[-1])}; {labelled(names)}."],
        alt=by_day_alt(context, "Stacked bars of IT energy by day and workload type", found.energy_by_day)
        + f" Workload types, bottom to top: {', '.join(WORKLOADS[kind] for kind in kinds)}.",
        rows=rows,
        names={
            "days": list(names.values()),
            "unit": unit,
            "series": [WORKLOADS[kind] for kind in kinds],
            "colours": [COLOURS[kind] for kind in kinds],
        },
    )


def _emissions_chart(context: Context, found: Breakdown) -> Chart:
    days = list(found.location_by_day)
    names = day_names(days)
    location, upstream = "Scope 2, location-based", "Scope 3.3, upstream"
    series = {location: found.location_by_day}
    if context.direct and any(figure.number is not None for figure in found.upstream_by_day.values()):
        series[upstream] = found.upstream_by_day
    rows = [
        {"layer": "part", "day": names[day], "series": name, "order": order} | plot(figures[day], context)
        for order, (name, figures) in enumerate(series.items())
        for day in days
        if figures[day].number is not None
    ]
    whole = found.lifecycle_by_day if upstream in series else found.location_by_day
    rows += totals(context, whole, names)
    unit = context.headline.location.display.unit
    alt = by_day_alt(context, "Bars of location-based emissions by day", found.location_by_day)
    if upstream in series:
        alt += " Upstream emissions (Scope 3, category 3) are stacked on top."
    return Chart(
        spec="emissions_by_day",
        title="Emissions by day",
        caption=[f"Emissions by day in {unit}, each hour with the intensity of its own zone; {labelled(names)}."],
        alt=alt,
        rows=rows,
        names={
            "days": list(names.values()),
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
    unit = context.headline.it.display.unit
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
    factory, h = context.factory, context.headline
    rows: list[list[Runs]] = []
    for raw, figure in found.workloads.items():
        member = Member("workload_type", raw)
        share = factory.share(figure, h.it, f"{figure.label}, share of IT energy")
        emitted = factory.kpi("location_g", member)
        rows.append(
            [[WORKLOADS.get(raw, visible(raw))], *_cells(figure, share, factory.kpi("facility_kwh", member), emitted)]
        )
    rows.append(
        [
            ["Total"],
            [number(h.it, unit=False)],
            [""],
            [number(h.facility, unit=False)],
            [number(h.location, unit=False)],
        ]
    )
    parts = [factory.kpi("facility_kwh", Member("workload_type", raw)) for raw in found.workloads]
    grams = [factory.kpi("location_g", Member("workload_type", raw)) for raw in found.workloads]
    good = found.foots["workloads"] and factory.foot(h.facility, parts) and factory.foot(h.location, grams)
    return table(
        "by-workload", "By type of workload", _columns(context, "Workload"), rows, total=True, note=_footing(good)
    )


def _columns(context: Context, first: str) -> list[Column]:
    h = context.headline
    return [
        Column(first, width=1.9),
        Column(f"IT energy, {h.it.display.unit}", "right", 1.3),
        Column("Share", "right", 1.25),
        Column(f"Facility, {h.facility.display.unit or h.it.display.unit}", "right", 1.3),
        Column(f"Scope 2, {h.location.display.unit}", "right", 1.4),
    ]


def _cells(*figures: Figure) -> list[Runs]:
    return [[number(figure, unit=figure.unit == "share")] for figure in figures]


def _member_table(context: Context, figures: Mapping[str, Figure], grain: str, title: str, foots: bool) -> Block:
    factory, h = context.factory, context.headline
    columns = [*_columns(context, title)]
    if grain == "model_id":
        columns += [Column("Wh per 1,000 requests", "right", 1.4), Column("Wh per million tokens", "right", 1.4)]
    rows: list[list[Runs]] = []
    for raw, figure in figures.items():
        share = factory.share(figure, h.it, f"{figure.label}, share of IT energy")
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
        empty = _cells(h.wh_request, h.wh_token)
    rows.append(
        [
            ["Total"],
            [number(h.it, unit=False)],
            [""],
            [number(h.facility, unit=False)],
            [number(h.location, unit=False)],
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
    has_row = ("", kpi, member.grain, member.raw) in factory.monthly
    return [number(factory.kpi(kpi, member), unit=False)] if has_row and member.raw else ["–"]


def _zone_table(context: Context) -> list[Block]:
    factory, h = context.factory, context.headline
    members = factory.members("zone", "facility_kwh")
    if not members:
        return []
    rows: list[list[Runs]] = []
    grams = [factory.kpi("location_g", m) for m in members]
    kwh = [factory.kpi("facility_kwh", m) for m in members]
    for member, facility, location in zip(members, kwh, grams, strict=True):
        intensity = factory.kpi("carbon_intensity_location", member)
        rows.append([[_row_name(member)], *_cells(facility, location, intensity)])
    rows.append([["Total"], *_cells(h.facility, h.location, h.intensity)])
    good = factory.foot(h.facility, kwh) and factory.foot(h.location, grams)
    columns = [
        Column("Grid zone", width=2),
        Column(f"Facility, {h.facility.display.unit}", "right", 1.3),
        Column(f"Scope 2 location-based, {h.location.display.unit}", "right", 1.7),
        Column(f"Intensity, {INTENSITY.unit}", "right", 1.5),
    ]
    return [table("by-zone", "By grid zone", columns, rows, total=True, note=_footing(good))]


def _boundary_table(context: Context) -> list[Block]:
    """The same month at three boundaries: what the choice of boundary does to the number."""
    factory, h = context.factory, context.headline
    rows: list[list[Runs]] = []
    scale = factory.scale("energy_kwh", "kWh")
    for row in reading.by_kind(factory.emissions):
        if row["device_kind"] != "gpu" or row["kwh"] is None:
            continue
        selection = Selection(
            "emissions", "energy_kwh", (Filter("day", "between", factory.period), Filter("device_kind", "=", "gpu"))
        )
        gpu = factory.query("gpu_kwh", "Electricity, accelerators only", row["kwh"], selection, scale, "kWh")
        rows.append(
            [["Accelerators only"], *_cells(gpu, factory.share(gpu, h.facility, "Accelerators, share of facility"))]
        )
    rows.append([["IT equipment"], *_cells(h.it, factory.share(h.it, h.facility, "IT equipment, share of facility"))])
    rows.append([["Facility, with cooling and power supply"], *_cells(h.facility), [""]])
    columns = [
        Column("Boundary", width=2),
        Column(f"Energy, {h.it.display.unit}", "right", 1.3),
        Column("Share of facility", "right", 1.3),
    ]
    note = ["Figures of different boundaries must not be compared with each other."]
    return [table("boundary", "The same month at different boundaries", columns, rows, note=note)]
