"""Data quality: coverage, tiers, grid factors, uncertainty, plausibility; and what could not be measured."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from energy_assets.contracts.vocabulary import ESTIMATED, MEASURED, DeviceKind, Method
from energy_assets.disclosures import reading
from energy_assets.disclosures.document import (
    Block,
    Chart,
    Column,
    Run,
    Runs,
    Section,
    bullets,
    callout,
    charts,
    heading,
    number,
    paragraph,
    table,
)
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.missing import WHOSE
from energy_assets.disclosures.profile import Gate
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.bills import without_energy
from energy_assets.disclosures.sections.charting import labelled, plot, step_names, step_table, steps_alt, totals
from energy_assets.disclosures.sections.common import Context, largest, steps_words
from energy_assets.disclosures.sections.intervals import unknown_meters
from energy_assets.disclosures.text import visible
from energy_assets.factors.countries import zone_name
from energy_assets.kpis.indicators import RUNG_NAMES, TIER_NAMES
from energy_assets.kpis.ingredients import UNKNOWN, Filter, Selection
from energy_assets.periods import DayRange

WATTS = Scale("W", 0, 0)
G_PER_KWH = Scale("g CO₂e/kWh", 0, 1)
HOURS = Scale("hours", 0, 0)
ROWS = Scale("rows", 0, 0)
#: Where every day or month was observed this far, bars from 0 to 100 % say nothing.
NO_OUTAGE = Decimal("0.95")
#: Zones of a table; the largest ones come first.
BELOW_ZERO_ZONES = 10
KIND_NAMES = {kind.value: kind.label for kind in DeviceKind}
METHOD_NAMES = {method.value: method.label for method in Method}


def quality(context: Context) -> Section:
    """How well the energy and its emissions are known."""
    if not context.metered:
        words = f"No source tells of energy in this {context.period.grain}, so there is no quality of it to state."
        return Section("quality", "Data quality", [paragraph(words)])
    blocks: list[Block] = [
        paragraph(*_in_short(context)),
        _shares(context, "tiers", "IT energy by quality tier", "Tier", "tier{}_share", TIER_NAMES),
        _shares(
            context, "factor-kinds", "Facility energy by the grid factor that was found for it", "Grid factor",
            "factor_tier{}_share", RUNG_NAMES,
        ),
        *_coverage_chart(context),
        _sources(context),
        *_below_zero(context),
        heading("Plausibility"),
        *_plausibility(context),
    ]  # fmt: skip
    return Section("quality", "Data quality", blocks)


def _in_short(context: Context) -> list[Run]:
    runs: list[Run] = []
    if context.figure("coverage").number is not None:
        runs += [number(context.figure("coverage")), " of the device-hours that telemetry knows of were observed. "]
    measured = context.factory.kpi("measured_share")
    if measured.number is not None and measured.number < 1:
        runs += [
            number(measured),
            " of the IT energy was measured; the rest is estimated from what bills say was used. ",
        ]
    if context.figure("facility_kwh").uncertainty_pct is None:
        meters = unknown_meters(context)
        why = f": that of the readings of {meters} is not known" if meters else ""
        runs.append(f"An interval of the facility electricity cannot be stated{why}. ")
    else:
        runs += [
            "The 95 % interval of the facility electricity is ",
            number(context.figure("facility_kwh"), part="uncertainty", ref=False),
        ]
        runs += [
            " (",
            number(context.figure("facility_kwh"), part="interval", ref=False),
            f" {context.figure('facility_kwh').display.unit}). ",
        ]
    tiers = {n: context.factory.kpi(f"tier{n}_share") for n in TIER_NAMES}
    top = largest(list(tiers.values()))
    for n, figure in tiers.items():
        if top is not None and figure.id == top.id:
            runs += [
                f"The largest part of the IT energy is of {TIER_NAMES[n].split(' · ')[0].lower()}: ",
                number(top),
                ".",
            ]
    return runs


def _shares(context: Context, id_: str, caption: str, first: str, pattern: str, names: dict[str, str]) -> Block:
    factory = context.factory
    figures = [factory.kpi(pattern.format(n)) for n in names]
    rows: list[list[Runs]] = [[[name], [number(f)]] for name, f in zip(names.values(), figures, strict=True)]
    if id_ == "factor-kinds" and all(figure.number is not None for figure in figures):
        whole = factory.stated(
            "whole", "The whole of the facility energy", Decimal(1), "share", Scale("%", -2, 1), "M-LIMIT"
        )
        none = factory.derived(
            "no_factor_share", "Facility energy without a grid factor", (whole, *figures), "difference",
            method="M-REST", dimensions={},
        )  # fmt: skip
        rows.append([["None: unknown, and left out of the emissions"], [number(none)]])
    return table(id_, caption, [Column(first, width=3), Column("Share", "right", 1)], rows)


def _coverage_by_step(context: Context) -> dict[DayRange, Figure]:
    """The device-hours observed in each step that has data; empty where none knows any."""
    figures = {step: context.factory.kpi("coverage", step=step) for step in context.factory.steps}
    return figures if any(figure.number is not None for figure in figures.values()) else {}


def _coverage_chart(context: Context) -> list[Block]:
    """Device-hours observed over time, so that an outage can be seen; a sentence where bars would all look whole."""
    figures, noun = _coverage_by_step(context), context.step_noun
    if not figures:
        return []
    names = step_names(list(figures))
    title = f"Device-hours observed by {noun}"
    step_table(context, "data-coverage", f"{title}, %", {"Device-hours observed": figures}, None)
    least = min((figure for figure in figures.values() if figure.number is not None), key=lambda one: one.number or 0)
    if len(figures) > 1 and all(
        figure.number is not None and figure.number >= NO_OUTAGE for figure in figures.values()
    ):
        on = f"{'On' if context.factory.by_day else 'In'} each {noun} at least "
        return [paragraph(on, number(least), f" of them were observed; the table of chart data has every {noun}.")]
    chart = Chart(
        spec="coverage_by_time",
        title=title,
        caption=[f"Device-hours observed, of all the sources know of, in %, {steps_words(list(names))}; ",
                 f"{labelled(context, names, 'values')}."],
        alt=steps_alt(context, f"Bars of the share of device-hours observed, by {noun}", figures),
        rows=[
            *({"layer": "part", "time": names[step]} | plot(figure, context) for step, figure in figures.items()),
            *totals(context, figures, names),
        ],
        names={"times": list(names.values())},
    )  # fmt: skip
    return [charts(chart)]


def _sources(context: Context) -> Block:
    factory, rows = context.factory, []
    scale = factory.scale("energy_kwh", "kWh")
    for row in reading.sources(factory.condensed):
        where = (
            Filter("day", "between", factory.period),
            Filter("source", "=", row["source"]),
            Filter("method", "=", row["method"]),
        )
        name, how = visible(row["source"]), METHOD_NAMES.get(row["method"], row["method"])
        cut = {"source": row["source"], "method": row["method"]}
        kwh = factory.query(
            "source_kwh", f"IT energy · {name}, {how}", row["kwh"],
            Selection("emissions", "energy_kwh", where), scale, "kWh", dimensions=cut, reason="it was never observed",
        )  # fmt: skip
        if row["method"] in ESTIMATED:
            rows.append([[name], [how], [number(kwh, unit=False)], ["–"], ["estimated"]])
            continue
        observed = factory.query(
            "source_hours_observed", f"Device-hours observed · {name}, {how}",
            row["observed"], Selection("emissions", "coverage", where), HOURS, "hours", dimensions=cut,
        )  # fmt: skip
        expected = factory.query(
            "source_hours", f"Device-hours known · {name}, {how}", Decimal(row["hours"]),
            Selection("emissions", None, where), HOURS, "hours", dimensions=cut, method="M-COUNT", operation="count",
        )  # fmt: skip
        share = factory.share(observed, expected, f"Share of device-hours observed · {name}, {how}")
        rows.append(
            [[name], [how], [number(kwh, unit=False)],
             [number(expected, unit=False)], [number(share)]]
        )  # fmt: skip
    columns = [
        Column("Source", width=1.4),
        Column("How its energy is known", width=2.2),
        Column(f"IT energy, {scale.unit}", "right", 1.3),
        Column("Device-hours known", "right", 1.4),
        Column("Observed", "right", 1),
    ]
    return table("sources", "Sources", columns, rows)


def _below_zero(context: Context) -> list[Block]:
    """Where a publisher's direct intensity is above its life-cycle one: kept, counted, and said."""
    factory = context.factory
    found = reading.upstream_below_zero(factory.emissions) if factory.gaps["below_zero_rows"] else []
    if not found:
        return []
    rows: list[list[Runs]] = []
    scale = factory.scale("scope33_upstream_g", "gCO2e")
    for row in found[:BELOW_ZERO_ZONES]:
        unknown = row["zone"] == UNKNOWN
        zone = Filter("zone", "unknown") if unknown else Filter("zone", "=", row["zone"])
        where = (Filter("day", "between", factory.period), Filter("upstream_g", "<", "0"), zone)
        name, cut = visible(row["zone"]), {"zone": row["zone"]}
        hours = factory.query(
            "upstream_below_zero_hours", f"Hours with direct above life-cycle intensity · {name}",
            Decimal(row["hours"]), Selection("emissions", "hour", where, "distinct"), HOURS, "hours",
            method="M-COUNT", operation="count",
            dimensions=cut,
        )  # fmt: skip
        grams = factory.query(
            "upstream_below_zero_g", f"Upstream emissions of these hours · {name}", row["upstream_g"],
            Selection("emissions", "upstream_g", where), scale, "gCO2e", dimensions=cut,
        )  # fmt: skip
        rows.append([[zone_name(name)], [number(hours, unit=False)], [number(grams)]])
    columns = [Column("Grid zone", width=2), Column("Hours", "right", 1), Column("Upstream emissions", "right", 1.6)]
    words = (
        "The life cycle contains the combustion, so its intensity cannot be the lower one. In the hours below the "
        "publisher says that it is. Its figures are kept as published: upstream emissions are negative there, and "
        "lower the sums that hold them."
    )
    return [
        callout("warning", "Negative upstream emissions", words),
        table("below-zero", "Hours in which the direct intensity is above the life-cycle one", columns, rows),
    ]


def _plausibility(context: Context) -> list[Block]:
    factory, limits = context.factory, context.profile
    rows: list[list[Runs]] = []
    warnings: list[Block] = []
    checks: list[tuple[str, Figure, Gate, Scale, str, str]] = []
    intensity = context.figure("carbon_intensity_location")
    if intensity.number is not None and limits.intensity:
        checks.append(("intensity", intensity, limits.intensity, G_PER_KWH, "gCO2e per kWh", "Implied grid intensity"))
    for row in reading.largest_power(factory.emissions):
        kind = row["device_kind"]
        if kind not in limits.watts or row["kwh"] is None:
            continue
        where = (
            Filter("day", "between", factory.period),
            Filter("device_kind", "=", kind),
            Filter("method", "in", MEASURED),
        )
        figure = factory.query(
            "largest_power", f"{KIND_NAMES.get(kind, kind)}: largest mean power of one in an hour", row["kwh"] * 1000,
            Selection("emissions", "energy_kwh", where, "busiest"), WATTS, "W", method="M-MAX-POWER", operation="max",
            factor="1000", dimensions={"device_kind": kind},
        )  # fmt: skip
        checks.append((kind, figure, limits.watts[kind], WATTS, "W", figure.label))
    for name, figure, gate, scale, unit, label in checks:
        limit = factory.stated(f"limit_{name}", f"Limit · {label}", gate.high, unit, scale, "M-LIMIT")
        inside = gate.low <= (figure.number or Decimal(0)) <= gate.high
        verdict = "within" if inside else "OUTSIDE"
        values: list[Runs] = [[number(figure, unit=False)], [number(limit, unit=False)]]
        rows.append([[label], *values, [scale.unit], [verdict], [gate.why]])
        if not inside:
            text = [
                f"{label}: ",
                number(figure),
                " is above the limit of ",
                number(limit),
                ". Check units and sources.",
            ]
            warnings.append(callout("warning", "Implausible figure", *text))
    if not rows:
        return [paragraph("There was nothing to check.")]
    columns = [
        Column("Check", width=2.1),
        Column("Found", "right", 1.0),
        Column("Limit", "right", 1.1),
        Column("Unit", width=1.1),
        Column("Result", width=0.8),
        Column("Why this limit", width=2.4),
    ]
    return [table("plausibility", "Plausibility gates", columns, rows), *warnings]


def gaps(context: Context) -> Section:
    """What could not be measured, placed or multiplied, counted from the data; and what is not covered yet."""
    factory = context.factory
    found = factory.gaps
    items = [
        _gap(context, found, "unobserved", Filter("energy_kwh", "is null"), "have no energy",
             "their meters gave no reading; what they used and emitted is unknown, and in no total", kwh=False),
        _gap(context, found, "unplaced", Filter("zone", "is null"), "have no grid zone",
             "their site or region names none, so no intensity applies"),
        _gap(context, found, "no_pue", Filter("pue", "is null"), "have no PUE",
             "their facility energy and emissions are unknown and missing from the totals"),
        _gap(context, found, "no_factor", Filter("location_g", "is null"),
             "have no location-based intensity",
             "their location-based emissions are unknown and missing from the totals"),
        _gap(context, found, "no_upstream", Filter("upstream_g", "is null"), "have no life-cycle intensity",
             "their upstream emissions are missing from the totals"),
        _gap(context, found, "unattributed", Filter("project", "unknown"), "belong to no known project",
             "no attribution rule matched; they are counted, and printed as not attributed"),
    ]  # fmt: skip
    listed = [item for item in (_unseen(context), *items, without_energy(context)) if item]
    if not context.metered:
        listed.append(["No source tells of any device-hour, so no energy and no emissions are known."])
    if context.partial:
        listed.insert(
            0,
            [
                number(context.figure("days_with_data"), unit=False),
                " of ",
                number(context.figure("days_in_period")),
                f" of the {context.period.grain} have data.",
            ],
        )
    listed += [
        [f"Costs in {currency} are on the bills too; they are not converted and not part of the billed cost."]
        for currency in factory.other_currencies
    ]
    blocks: list[Block] = []
    if listed:
        blocks += [paragraph(f"Found in the data of this {context.period.grain}:"), bullets(listed)]
    else:
        blocks.append(paragraph("Every known device-hour was observed, placed, attributed and multiplied."))
    blocks += _omissions(context, found)
    return Section("not-measured", "What could not be measured", blocks)


def _unseen(context: Context) -> list[Run]:
    """What the hours that were not observed mean for the totals."""
    observed = context.figure("coverage")
    if observed.number is None or observed.number == 1:
        return []
    return [
        number(observed),
        " of the known device-hours were observed. The report extrapolates nothing to the others: unless an energy "
        "counter ran on or the site file bridges short gaps, what was used in them is in no total of energy or "
        "emissions, and the true totals are higher by it.",
    ]


#: Of which rows the rows of a gap are counted, where not of all: condition, name of their number, and in words.
AMONG = {
    "no_pue": (Filter("energy_kwh", "is not null"), "with_energy_rows", "rows with energy"),
    "no_factor": (Filter("facility_kwh", "is not null"), "with_facility_rows", "rows with facility energy"),
    "no_upstream": (Filter("location_g", "is not null"), "with_location_rows", "rows with location-based emissions"),
    "unattributed": (Filter("workload_type", "!=", "idle"), "in_use_rows", "rows in use"),
}


def _gap(
    context: Context,
    found: Mapping[str, Any],
    name: str,
    condition: Filter,
    what: str,
    effect: str,
    *,
    kwh: bool = True,
) -> list[Run]:
    factory, counted = context.factory, int(found[f"{name}_rows"])
    if not counted:
        return []
    among, whole_name, rows = AMONG.get(name, (None, "rows", "rows"))
    if name == "unattributed" and context.figure("idle_share").number is None:
        rows = "rows"  # nobody tells which are in use
    when, also = Filter("day", "between", factory.period), (among,) if among else ()
    where = (when, condition, *also)
    count = factory.query(
        f"{name}_rows", f"Rows: {rows} {what}", Decimal(counted), Selection("emissions", None, where), ROWS,
        "rows", method="M-COUNT", operation="count",
    )  # fmt: skip
    whole = factory.query(
        whole_name, f"Emissions: all {rows}", Decimal(found[whole_name]), Selection("emissions", None, (when, *also)),
        ROWS, "rows", method="M-COUNT", operation="count",
    )  # fmt: skip
    runs: list[Run] = [number(count, unit=False), " of ", number(whole, unit=False), f" {rows} {what}"]
    if kwh and found[f"{name}_kwh"] is not None:
        energy = factory.query(
            f"{name}_kwh", f"IT energy: {rows} {what}", found[f"{name}_kwh"],
            Selection("emissions", "energy_kwh", where), factory.scale("energy_kwh", "kWh"), "kWh",
        )  # fmt: skip
        runs += [" (", number(energy), " of IT energy)"]
    return [*runs, f": {effect}."]


def _omissions(context: Context, found: Mapping[str, Any]) -> list[Block]:
    factory, omissions = context.factory, context.profile.omissions
    empty = context.not_covered
    # Grams that are filled are printed by scope.
    filled = [column for column in reading.NOT_FILLED if found[f"{column}_rows"] and not column.endswith("_g")]
    blocks: list[Block] = []
    if empty:
        rows: list[list[Runs]] = [
            [[omissions[column]["label"]], ["omitted"], [omissions[column]["reason"]]] for column in empty
        ]
        columns = [
            Column("Quantity", width=2),
            Column("Status", width=0.8),
            Column("Reason", width=3.6),
        ]
        blocks.append(table("omissions", "Not covered by this report", columns, rows))
    for column in filled:
        whole, known = WATER_OF[column]
        blocks.append(paragraph(
            f"{omissions[column]['label']}: ", number(factory.kpi(column)), " consumed, of ",
            number(factory.kpi(known)), f" of the {whole}; of the rest it is unknown, and not zero.",
        ))  # fmt: skip
    return [*blocks, *_hardware(context, found)]


#: By column of water: which energy it is of, and the KPI that says of how much of it the water is known.
WATER_OF = {
    "water_onsite_l": ("IT energy", "water_onsite_coverage"),
    "water_offsite_l": ("facility energy", "water_offsite_coverage"),
}


def _hardware(context: Context, found: Mapping[str, Any]) -> list[Block]:
    """How far the making of the hardware is known, each scope by itself; nothing where none of it is."""
    if not found["embodied_g_rows"]:
        return []
    factory, parts = context.factory, list[Run]()
    for member in sorted(factory.members("ghg_scope", "embodied_coverage"), key=lambda one: one.raw):
        words = "; " if parts else ""
        parts += [words, number(factory.kpi("embodied_coverage", member)), f" of that of {WHOSE[member.raw]}"]
    more: list[Run] = []
    bought = factory.kpi("scope31_embodied_g")
    if bought.number is not None:
        more = [" Scope 3.1 holds ", number(bought), " of it, beside that of the electricity."]
    return [
        paragraph(
            "Emissions embodied in hardware are known, by IT energy, of ", *parts,
            "; of the rest they are unknown, and in no total.", *more,
        )
    ]  # fmt: skip
