"""KPI progress against the period before, and reduction targets; refused, with the reason, where unfair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from energy_assets.disclosures.document import (
    Block,
    Chart,
    Column,
    Run,
    Runs,
    Section,
    callout,
    charts,
    number,
    paragraph,
    table,
)
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.inputs import Target
from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.disclosures.own_figures import own_figure
from energy_assets.disclosures.rounding import EXACT, Scale, scale_for
from energy_assets.disclosures.sections.charting import plot
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible

PERCENT = Scale("%", -2, 1)
DAYS = Scale("days", 0, 0)
YEARS = Scale("years", 0, 0)
NOT_JUDGED = "not judged"
#: Of the bar of what is now; the word stands beside it, for print without colour.
COLOURS = {"reached": "#0b5d4b", "on track": "#0b5d4b", "behind": "#c97a12"}


def progress(context: Context) -> Section:
    """This period against the one before."""
    factory, noun = context.factory, context.period.grain
    if not factory.previous:
        note = (
            f"There is no earlier {noun} with data, so no change can be stated. The values below are the first of a "
            "series."
        )
        return Section("progress", "KPI progress", [paragraph(note), _now_only(context)])
    before_days = max(int(row["days"]) for row in factory.previous.values())
    days = factory.stated(
        "previous_days_with_data", f"Days with data, previous {noun}", Decimal(before_days), "days", DAYS, "M-COUNT"
    )
    whole = before_days == len(context.period.previous.days) and not context.partial
    comparable = whole or days.number == context.figure("days_with_data").number
    rows: list[list[Runs]] = [_compared(context, name, comparable) for name in _names(context)]
    columns = [
        Column("Indicator", width=2.3),
        Column("Unit", width=1.2),
        Column(f"This {noun}", "right", 1.45),
        Column("Interval", "right", 0.85),
        Column("Previous", "right", 1.45),
        Column("Difference", "right", 1.3),
        Column("Change", "right", 1.15),
    ]
    blocks: list[Block] = []
    if not comparable:
        words: list[Run] = [
            f"This {noun} has ",
            number(context.figure("days_with_data")),
            " with data, the previous one ",
        ]
        words += [number(days), ". Sums over unequal numbers of days say nothing of progress; ratios are compared."]
        blocks.append(callout("note", "Totals are not compared", *words))
    blocks.append(table("progress-table", f"This {noun} and the {noun} before", columns, rows, note=_matched(context)))
    return Section("progress", "KPI progress", blocks)


def _names(context: Context) -> list[str]:
    return [name for name in context.profile.compared if context.is_printed(name)]


def _matched(context: Context) -> list[Run]:
    """Of each ratio the share of its measurements that it rests on; nothing where all is known and matched."""
    figures = [context.factory.kpi(name) for name in _names(context) if QUANTITIES[name].kind == "ratio"]
    partly = [figure for figure in figures if figure.coverage is not None and Decimal(figure.coverage) < 1]
    if not partly:
        return []
    runs: list[Run] = ["A ratio holds only what both its sides are known of. Observed and matched: "]
    for position, figure in enumerate(partly):
        runs += ["; " if position else "", f"{figure.label} ", number(figure, part="coverage", ref=False)]
    return [*runs, "."]


def _now_only(context: Context) -> Block:
    factory = context.factory
    rows: list[list[Runs]] = []
    for name in _names(context):
        now = factory.kpi(name)
        rows.append([*_named(name, now), [number(now, unit=False)], _interval(now), _part(now, "coverage")])
    columns = [
        Column("Indicator", width=2.4),
        Column("Unit", width=1.4),
        Column(f"This {context.period.grain}", "right", 1.3),
        Column("95 % interval", "right", 1.1),
        Column("Observed", "right", 1),
    ]
    return table("progress-table", f"Indicators of the {context.period.grain}", columns, rows, note=_matched(context))


def _part(figure: Figure, part: str) -> Runs:
    known = figure.coverage if part == "coverage" else figure.uncertainty_pct
    return ["–"] if known is None else [number(figure, part=part, ref=False)]


def _interval(figure: Figure) -> Runs:
    return _part(figure, "uncertainty")


def _compared(context: Context, name: str, comparable: bool) -> list[Runs]:
    factory, quantity, noun = context.factory, QUANTITIES[name], context.period.grain
    now, before = factory.kpi(name), factory.previous_kpi(name)
    is_sum = quantity.kind in {"energy", "mass", "count", "money"}
    refused = f"the two {noun}s have unequal numbers of days with data" if is_sum and not comparable else None
    scale = Scale(now.display.unit, now.display.power, now.display.decimals)
    if quantity.kind == "share":
        scale = Scale("pp", -2, 1)
    difference = factory.derived(
        f"change_of_{name}", f"{quantity.label}, difference to the previous {noun}", (now, before), "difference",
        scale=scale, refused=refused,
    )  # fmt: skip
    negative = before.number is not None and before.number < 0
    no_base = "the value before is not above zero, so a change in per cent says nothing" if negative else None
    change = factory.derived(
        f"change_pct_of_{name}", f"{quantity.label}, change to the previous {noun}", (now, before), "percent_change",
        scale=PERCENT, unit="share", method="M-CHANGE", refused=refused or no_base,
    )  # fmt: skip
    relative: Runs = ["–"] if quantity.kind == "share" else [number(change)]
    values: list[Runs] = [[number(now, unit=False)], _interval(now), [number(before, unit=False)]]
    return [*_named(name, now), *values, [number(difference, unit=quantity.kind == "share")], relative]


def _named(name: str, now: Figure) -> list[Runs]:
    return [[QUANTITIES[name].label], [now.display.unit or "–"]]


def targets(context: Context) -> Section:
    """Reduction targets of the site file."""
    found = context.factory.inputs.targets
    if not found:
        text = "The site file states no reduction target, so none is reported."
        return Section("targets", "Reduction targets", [paragraph(text)])
    stands = [_stand(context, target) for target in found]
    refused = dict.fromkeys(stand.refused for stand in stands if stand.refused)
    year = context.period.first.year
    columns = [
        Column("Target", width=2.2),
        Column(_with_year("Base", {target.base_year for target in found}), "right", 1.25),
        Column("Now", "right", 1.25),
        Column(f"Path in {year}", "right", 1.25),
        Column(_with_year("Target", {target.target_year for target in found}), "right", 1.25),
        Column("Progress", "right", 1),
        Column("Verdict", width=0.9),
    ]
    note: Runs = [
        "Progress is (base − now) / (base − target). The path is a straight line from base to target; on track is what "
        "is no worse than it."
    ]
    if context.partial:
        days: list[Run] = [number(context.figure("days_with_data"), unit=False), " of "]
        days += [number(context.figure("days_in_period"))]
        note = [*note, " Judged by ", *days, f" of {context.period.words} against years."]
    rows = [_target_row(stand) for stand in stands]
    blocks: list[Block] = [table("targets-table", "Targets and where they stand", columns, rows, note=note)]
    drawn = [stand for stand in stands if stand.largest]
    if drawn:
        blocks.insert(0, charts(_bullets(context, drawn)))
    blocks += [callout("note", "Progress not stated", reason) for reason in refused]
    return Section("targets", "Reduction targets", blocks)


@dataclass(frozen=True)
class Stand:
    """Where a target stands.

    Attributes:
        name: Indicator and years.
        base: Where it began.
        now: Where it is.
        path: Where a straight line from base to target is now.
        goal: Where it is to end.
        progress: Share of the way.
        refused: Why it is not judged; None where it is.
    """

    name: str
    base: Figure
    now: Figure
    path: Figure
    goal: Figure
    progress: Figure
    refused: str | None

    @property
    def verdict(self) -> str:
        """Reached, on track, behind, or not judged."""
        return NOT_JUDGED if self.progress.number is None else verdict(self.base, self.now, self.path, self.goal)

    @property
    def shown(self) -> dict[str, Figure]:
        """What is drawn of it: what is now only where it may be compared."""
        now = {} if self.verdict == NOT_JUDGED else {"now": self.now}
        figures = {"base": self.base, **now, "path": self.path, "target": self.goal}
        return {layer: figure for layer, figure in figures.items() if figure.number is not None}

    @property
    def largest(self) -> Decimal:
        """What its bar is as long as; 0 where a bar cannot be drawn, for a number is below zero."""
        numbers = [figure.number or Decimal(0) for figure in self.shown.values()]
        return Decimal(0) if min(numbers) < 0 else max(numbers)


def _target_row(stand: Stand) -> list[Runs]:
    figures = (stand.base, stand.now, stand.path, stand.goal, stand.progress)
    return [[stand.name], *([number(figure)] for figure in figures), [stand.verdict]]


def _bullets(context: Context, stands: Sequence[Stand]) -> Chart:
    """A bullet bar of each target, each with a scale of its own: they have different units."""
    rows: list[dict[str, Any]] = []
    told = []
    for line, stand in enumerate(stands):
        at = {"line": str(line)}
        judged = stand.verdict != NOT_JUDGED
        for layer, figure in stand.shown.items():
            part = EXACT.divide(figure.number or Decimal(0), stand.largest)
            colour = COLOURS[stand.verdict] if layer == "now" else ""
            rows.append(at | {"layer": layer, "colour": colour} | plot(figure, context) | {"value": float(part)})
        said = f"{context.shown(stand.now)}, {stand.verdict}" if judged else stand.verdict
        rows += [at | {"layer": "name", "text": stand.name, "value": 0}]
        rows += [at | {"layer": "verdict", "text": said, "value": 1}]
        parts = ", ".join(f"{layer} {context.shown(figure)}" for layer, figure in stand.shown.items())
        told.append(f"{stand.name}: {parts}; {stand.verdict}")
    return Chart(
        spec="targets",
        title="Now, against base and target",
        caption=["Each target on a scale of its own, from zero. Pale: base; coloured: now; thin line: the path of this "
                 "year; thick line: target."],
        alt=f"Bullet bars, one for each target. {'. '.join(told)}.",
        rows=rows,
        names={"lines": [str(line) for line in range(len(stands))]},
    )  # fmt: skip


def _stand(context: Context, target: Target) -> Stand:
    factory = context.factory
    name, kind, now = _aimed_at(context, target.kpi)
    scale = scale_for(kind, target.base_value)
    if kind in {"ratio", "money", "count"}:
        scale = Scale(now.display.unit or target.unit, 0, scale.decimals)
    base = factory.stated(
        f"target_base_of_{target.kpi}", f"{name}, base {target.base_year}", target.base_value, target.unit, scale
    )
    goal = factory.stated(
        f"target_of_{target.kpi}", f"{name}, target {target.target_year}", target.target_value, target.unit, scale
    )
    reason = _refusal(context, target, now, kind)
    result = factory.derived(
        f"target_progress_of_{target.kpi}", f"{name}, progress to {target.target_year}", (base, now, goal), "progress",
        scale=PERCENT, unit="share", method="M-PROGRESS", refused=reason, dimensions={},
    )  # fmt: skip
    path = _path(context, target, name, base, goal, scale)
    return Stand(f"{name}, {target.base_year} to {target.target_year}", base, now, path, goal, result, reason)


def _aimed_at(context: Context, kpi: str) -> tuple[str, str, Figure]:
    """Label, kind and figure of what a target is on: an indicator of everybody's, or of the site's own."""
    own = next((one for one in context.factory.inputs.kpis if one.name == kpi), None)
    if own:
        kind = "share" if own.is_share else "ratio" if own.denominator else "count"
        return visible(own.label), kind, own_figure(context.factory, own)
    if kpi not in QUANTITIES:
        known = ", ".join(sorted([*QUANTITIES, *(one.name for one in context.factory.inputs.kpis)]))
        raise ValueError(f"the target on '{kpi}' names no indicator of this report; one of {known}")
    return QUANTITIES[kpi].label, QUANTITIES[kpi].kind, context.factory.kpi(kpi)


def _path(context: Context, target: Target, name: str, base: Figure, goal: Figure, scale: Scale) -> Figure:
    """Where a straight line from base to target is in the period's year."""
    factory = context.factory
    whole = target.target_year - target.base_year
    passed = min(max(context.period.first.year - target.base_year, 0), max(whole, 0))
    span = f"{target.base_year} to {target.target_year}"
    years = [
        factory.stated(f"target_years_{what}_of_{target.kpi}", f"{name}, years {what}, {span}", Decimal(count), "years",
                       YEARS, "M-CALENDAR")
        for what, count in (("passed", passed), ("in all", whole))
    ]  # fmt: skip
    return factory.derived(
        f"target_path_of_{target.kpi}", f"{name}, path in {context.period.first.year}, {span}", (base, goal, *years),
        "linear_path", scale=scale, method="M-PATH", dimensions={},
    )  # fmt: skip


def verdict(base: Figure, now: Figure, path: Figure, goal: Figure) -> str:
    """Whether a target is reached, on track or behind; exactly on the path is on track.

    Args:
        base: Where it began.
        now: Where it is.
        path: Where a straight line is now.
        goal: Where it is to end.
    """
    numbers = [figure.number for figure in (base, now, path, goal)]
    if any(one is None for one in numbers):
        return NOT_JUDGED
    start, here, line, end = (one or Decimal(0) for one in numbers)
    sign = 1 if end < start else -1
    if (here - end) * sign <= 0:
        return "reached"
    return "on track" if (here - line) * sign <= 0 else "behind"


def _with_year(word: str, years: set[int]) -> str:
    """A column's heading with its year, where all rows have the same."""
    return f"{word} {years.pop()}" if len(years) == 1 else word


def _refusal(context: Context, target: Target, now: Figure, kind: str) -> str | None:
    if now.number is not None and now.unit != target.unit and target.unit not in now.unit:
        return f"The target is stated in {target.unit}, the indicator in {now.unit}."
    if kind in {"energy", "mass", "count", "money"}:
        noun = context.period.grain
        if context.partial:
            return f"A target on a yearly total cannot be judged by this {noun}: it is not complete."
        if noun != "year":
            return f"A target on a yearly total cannot be judged by one {noun}."
    if target.base_value == target.target_value:
        return "Base and target are equal, so progress is not defined."
    return None
