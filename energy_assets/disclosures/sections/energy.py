"""Energy and emissions: the charts of the period and its tables by workload, model, project, zone and boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from energy_assets.contracts.vocabulary import DeviceKind, WorkloadType
from energy_assets.disclosures import reading
from energy_assets.disclosures.document import (
    Block,
    Chart,
    Column,
    Runs,
    Section,
    callout,
    charts,
    heading,
    number,
    table,
)
from energy_assets.disclosures.figure_factory import FigureFactory, Member
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.missing import listed
from energy_assets.disclosures.sections.breakdown import INTENSITY, Breakdown, breakdown
from energy_assets.disclosures.sections.charting import (
    Footing,
    cell,
    footed,
    labelled,
    plot,
    step_names,
    step_table,
    steps_alt,
    totals,
)
from energy_assets.disclosures.sections.common import Context, largest, smallest, steps_words
from energy_assets.disclosures.sections.costs import by_project
from energy_assets.disclosures.sections.factors import has_flat_lines
from energy_assets.disclosures.sections.market import by_both_methods
from energy_assets.disclosures.sections.scopes import by_scope, emissions_chart
from energy_assets.disclosures.text import printable, visible
from energy_assets.factors.countries import zone_name
from energy_assets.kpis.ingredients import UNKNOWN, Filter, Selection

#: Told apart by their lightness too, for print without colour.
COLOURS = {
    WorkloadType.TRAINING.value: "#0b5d4b",
    WorkloadType.FINE_TUNING.value: "#55ab96",
    WorkloadType.INFERENCE.value: "#f3b75c",
    WorkloadType.BATCH.value: "#93500f",
    WorkloadType.DEVELOPMENT.value: "#38245f",
    WorkloadType.IDLE.value: "#d3dbdf",
    WorkloadType.OVERHEAD.value: "#66757f",
    WorkloadType.OTHER.value: "#1f4670",
    WorkloadType.UNKNOWN.value: "#cfa3be",
}
KIND_NAMES = {kind.value: kind.label for kind in DeviceKind}
#: Kinds of meters that take in a machine as a whole.
WHOLE = {DeviceKind.NODE, DeviceKind.REST_OF_NODE, DeviceKind.INSTANCE, DeviceKind.SERVICE}
BOUNDARY_GPU = "Accelerators only"
#: Columns that fit the width of a page in the table of intensities by hour.
INTENSITY_COLUMNS = 12
#: Columns above which a table is set small.
WIDE = 6
ZONE_COLOURS = ("#0b5d4b", "#d9781f", "#3f6fb0", "#9b3d7a", "#5f7380", "#8a6d1d", "#c2453d", "#2b8f9b")


def energy(context: Context) -> Section:
    """Charts over time, by model and project, and the grid; tables by workload, model, project, zone, boundary."""
    if not context.metered:
        words = (
            f"No source tells of energy in this {context.period.grain}, so there is nothing to divide by workload, "
            "model, project or place, and no emissions follow. Add a source of energy to the site file; "
            "what it can still deliver of these days is added when they are run again."
        )
        return Section(
            "energy", "Energy and emissions", [callout("note", "No energy is known", words), *by_project(context)]
        )
    found = breakdown(context)
    blocks: list[Block] = []
    if found.emissions and found.energy_by_step:
        blocks.append(charts(emissions_chart(context)))
    pair = [c for c in (_bars(context, found.models, "model"), _bars(context, found.projects, "project")) if c]
    if pair:
        blocks.append(charts(*pair))
    if found.hours:
        blocks.append(charts(_intensity_chart(context, found)))
    blocks += [
        *by_scope(context),
        *by_both_methods(context),
        heading("By workload, model and project"),
        _workload_table(context, found),
        _member_table(context, found.models, "model_id", "Model", found.foots["models"]),
        _member_table(context, found.projects, "project", "Project", found.foots["projects"]),
        *by_project(context),
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
    footing = Footing("Each row adds up to all IT energy as printed", found.foots["parts_by_step"])
    step_table(context, "data-energy", f"IT energy by {noun}, {unit}", series, footing)
    return Chart(
        spec="energy_by_time",
        title=f"IT energy by {noun} and workload",
        caption=[f"In {unit}, {steps_words(list(names))}; {labelled(context, names, 'totals')}.{_overhead(context)}"],
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


def _overhead(context: Context) -> str:
    """What the workload type `overhead` is, where there is some."""
    kinds = reading.kinds_of(context.factory.condensed, WorkloadType.OVERHEAD.value)
    if not kinds:
        return ""
    return (
        f" {WorkloadType.OVERHEAD.label} is IT energy that the site's rules give to the machines themselves "
        f"({listed(_kinds(kinds))}) and to no workload; the building's cooling and power supply are not in it."
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
        caption=[f"In {unit}, largest first."],
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
        {"zone": zone_name(visible(zone)), "hour": hour} | plot(figure, context)
        for zone in zones
        for hour, figure in found.hours[zone].items()
    ]
    parts = []
    for zone in zones:
        high, low = largest(list(found.hours[zone].values())), smallest(list(found.hours[zone].values()))
        if high and low:
            when = {figure.id: f"{hour:02d}:00" for hour, figure in found.hours[zone].items()}
            parts.append(
                f"{zone_name(visible(zone))} from {context.shown(low)} at {when[low.id]} to "
                f"{context.shown(high)} at {when[high.id]}"
            )
    basis = "Direct (combustion)" if context.direct else "Life-cycle"
    context.chart_data.append(_intensity_table(found))
    return Chart(
        spec="intensity_by_hour",
        title="Grid intensity by hour of day",
        caption=[f"{basis} intensity of the grid zones used, mean of the days with data, by hour of day (UTC).",
                 " One value for all hours of a year or month is a flat line." if has_flat_lines(context) else ""],
        alt=f"Lines of mean grid intensity by hour of day, one for each zone: {'; '.join(parts)}.",
        rows=rows,
        names={
            "unit": INTENSITY.unit,
            "series": [zone_name(visible(zone)) for zone in zones],
            "colours": list(ZONE_COLOURS[: len(zones)]),
        },
    )  # fmt: skip


def _intensity_table(found: Breakdown) -> Block:
    """The hours of a day in a few blocks beside each other, so that the table is as wide as a page and not as long."""
    zones = list(found.hours)
    blocks = max(1, INTENSITY_COLUMNS // (len(zones) + 1))
    blocks = next(n for n in (6, 4, 3, 2, 1) if n <= blocks)
    lines = 24 // blocks
    rows: list[list[Runs]] = []
    for line in range(lines):
        rows.append([])
        for hour in range(line, 24, lines):
            rows[-1] += [[f"{hour:02d}:00"], *([cell(found.hours[zone].get(hour))] for zone in zones)]
    columns = [Column("UTC", width=0.9), *(Column(visible(zone), "right", 1.2) for zone in zones)] * blocks
    caption = f"Mean grid intensity by hour of day, {INTENSITY.unit}"
    return table("data-intensity", caption, columns, rows, dense=True)


def _footed(context: Context, block: Block, foots: bool) -> Block:
    return footed(context, block, Footing("The rows add up to the total as printed", foots))


def _workload_table(context: Context, found: Breakdown) -> Block:
    names = ["facility_kwh", *(scope.figure for scope in found.emissions)]
    columns = [*_columns(context, "Workload"), *_measure_columns(context, names)]
    rows = [
        [[WORKLOADS.get(raw, visible(raw))], *_member_cells(context, figure, Member("workload_type", raw), names)]
        for raw, figure in found.workloads.items()
    ]
    rows.append(_total_row(context, names))
    members = [Member("workload_type", raw) for raw in found.workloads]
    good = _foots(context, names, members) and found.foots["workloads"]
    compact = len(columns) > WIDE
    made = _footed(
        context, table("by-workload", "By type of workload", columns, rows, total=True, compact=compact), good
    )
    return made | {"note": [*made["note"], *_idle_note(context, found)]}


def _idle_note(context: Context, found: Breakdown) -> Runs:
    """Idle energy is divided by two wholes in a report; which is which."""
    share = context.figure("idle_share")
    if WorkloadType.IDLE not in found.workloads or share.number is None:
        return []
    return [" Idle is here a share of all IT energy; the indicator ", number(share), " is a share of that energy "
            "alone of which a source tells who used it, or that nobody did."]  # fmt: skip


def _columns(context: Context, first: str) -> list[Column]:
    unit = context.figure("energy_kwh").display.unit
    return [
        Column(first, width=1.9),
        Column(f"IT energy, {unit}", "right", 1.3),
        Column("Share of IT energy", "right", 1.25),
    ]


def _measure_columns(context: Context, names: Sequence[str]) -> list[Column]:
    labels = {scope.figure: scope.label for scope in context.profile.emissions} | {"facility_kwh": "Facility"}
    return [Column(f"{labels[name]}, {context.figure(name).display.unit}", "right", 1.3) for name in names]


def _member_cells(context: Context, figure: Figure, member: Member, names: Sequence[str]) -> list[Runs]:
    """IT energy of a member, its share, and its other measures; those are not made for "all others"."""
    share = context.factory.share(figure, context.figure("energy_kwh"), f"{figure.label}, share of IT energy")
    if not member.raw:
        return [*_cells(figure, share), *([""] for _ in names)]
    return [*_cells(figure, share), *_cells(*(context.factory.kpi(name, member) for name in names))]


def _total_row(context: Context, names: Sequence[str]) -> list[Runs]:
    measures = ([number(context.figure(name), unit=False)] for name in names)
    return [["Total"], [number(context.figure("energy_kwh"), unit=False)], [""], *measures]


def _foots(context: Context, names: Sequence[str], members: Sequence[Member]) -> bool:
    """Make each measure's members add up to its total; whether all do."""
    factory = context.factory
    return all([factory.foot(factory.kpi(name), [factory.kpi(name, member) for member in members]) for name in names])


def _cells(*figures: Figure) -> list[Runs]:
    return [[number(figure, unit=figure.unit == "share")] for figure in figures]


def _member_table(context: Context, figures: Mapping[str, Figure], grain: str, title: str, foots: bool) -> Block:
    factory, found = context.factory, breakdown(context)
    per_use = ["wh_per_1k_inferences", "wh_per_1m_tokens"] if grain == "model_id" else []
    # The table of models has two columns more; the facility's energy of a model stands in figures.json alone.
    names = [*([] if per_use else ["facility_kwh"]), *(scope.figure for scope in found.emissions)]
    columns = [*_columns(context, title), *_measure_columns(context, names)]
    if per_use:
        columns += [Column("Wh per 1,000 requests", "right", 1.3), Column("Wh per million tokens", "right", 1.3)]
    rows: list[list[Runs]] = []
    for raw, figure in figures.items():
        member = Member(grain, raw)
        cells = _member_cells(context, figure, member, names)
        rows.append([[_row_name(member)], *cells, *(_optional(factory, name, member) for name in per_use)])
    rows.append([*_total_row(context, names), *_cells(*(context.figure(name) for name in per_use))])
    good = "" not in figures and foots and _foots(context, names, [Member(grain, raw) for raw in figures])
    compact = len(columns) > WIDE
    made = table(f"by-{grain.replace('_', '-')}", f"By {title.lower()}", columns, rows, total=True, compact=compact)
    return _footed(context, made, good)


def _row_name(member: Member) -> str:
    shown = member.shown or "All others"
    return f"{shown[0].upper()}{shown[1:]}" if member.raw == UNKNOWN else shown


def _optional(factory: FigureFactory, kpi: str, member: Member) -> Runs:
    """A member's indicator, or a dash where it has none: training serves no requests."""
    has_row = ("", kpi, member.grain, member.raw) in factory.rows
    return [number(factory.kpi(kpi, member), unit=False)] if has_row and member.raw else ["–"]


def _zone_table(context: Context) -> list[Block]:
    factory = context.factory
    members = factory.members("zone", "energy_kwh")
    if not members:
        return []
    names = ["facility_kwh", *(scope.figure for scope in breakdown(context).emissions)]
    intensity = "carbon_intensity_location"
    rows: list[list[Runs]] = [
        [[_row_name(member)], *_cells(*(factory.kpi(name, member) for name in [*names, intensity]))]
        for member in members
    ]
    rows.append([["Total"], *_cells(*(context.figure(name) for name in [*names, intensity]))])
    columns = [
        Column("Grid zone", width=1.9),
        *_measure_columns(context, names),
        Column(f"Intensity, {INTENSITY.unit}", "right", 1.5),
    ]
    made = table("by-zone", "By grid zone", columns, rows, total=True, compact=len(columns) > WIDE)
    return [_footed(context, made, _foots(context, names, members))]


def _kinds(kinds: Sequence[str]) -> list[str]:
    """Kinds of devices inside a sentence: `GPUs`, `whole nodes`."""
    labels = [KIND_NAMES.get(kind, kind) for kind in kinds]
    return [label if label[:2].isupper() else label[0].lower() + label[1:] for label in labels]


def _metered(kinds: Sequence[str]) -> str:
    """What the IT energy is of, as the rows say it: `GPUs alone`, `CPUs, memory and GPUs`."""
    if len(kinds) < 2:
        return f"{_kinds(kinds)[0]} alone" if kinds else "nothing was observed"
    return listed(_kinds(kinds))


def _boundary_table(context: Context) -> list[Block]:
    """The same period at three boundaries: what the choice of boundary does to the number."""
    factory = context.factory
    rows: list[list[Runs]] = []
    scale = factory.scale("energy_kwh", "kWh")
    by_kind = reading.by_kind(factory.condensed)
    kinds = [row["device_kind"] for row in by_kind if row["kwh"] is not None]
    for row in by_kind:
        if row["device_kind"] != DeviceKind.GPU or row["kwh"] is None or len(kinds) == 1:
            continue
        selection = Selection(
            "emissions", "energy_kwh", (Filter("day", "between", factory.period), Filter("device_kind", "=", "gpu"))
        )
        gpu = factory.query("gpu_kwh", "Electricity, accelerators only", row["kwh"], selection, scale, "kWh")
        rows.append(
            [
                [BOUNDARY_GPU],
                *_cells(gpu, factory.share(gpu, context.figure("facility_kwh"), "Accelerators, share of facility")),
            ]
        )
    rows.append(
        [
            [f"IT equipment: {_metered(kinds)}"],
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
    note = ["Compare a figure with those of the same boundary alone. The shares say how much of the facility's energy "
            "each boundary takes in."]  # fmt: skip
    if not {*kinds} & WHOLE:
        note.append(" No meter here is of a whole machine, so what the others leave out (fans, power supplies) is "
                    "in none of these figures.")  # fmt: skip
    return [table("boundary", "The same period at different boundaries", columns, rows, note=note)]
