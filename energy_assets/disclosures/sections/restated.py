"""Restatements: main figures that an earlier edition of this report states otherwise, and why (GRI 2-4, ESRS 1).

What belongs here: what is said of them in a report. What does not: which differ, and why (`restating`, `causes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from energy_assets.commands import portable
from energy_assets.disclosures.document import Column, Runs, Section, code, number, paragraph, table
from energy_assets.disclosures.editions import Fact, ReportEdition, facts_of
from energy_assets.disclosures.figures import Figure, FigureBook
from energy_assets.disclosures.restating import Restatement, restatements
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.common import Context, day_words
from energy_assets.disclosures.text import visible

TITLE = "Restatements"
NONE = "No earlier edition of this report states another value of its main figures."


def restated(context: Context) -> Section:
    """Main figures as earlier editions have them, as they are now, and why they differ."""
    figures = {figure.metric: figure for figure in _main(context)}
    # Of this edition, which is not finished, nothing else is known yet: no cut of a main figure is one.
    main = facts_of(FigureBook(list(figures.values())))
    asked = {fact.key for fact in main}
    found = [one for one in restatements(_with_this(context, main)) if one.old.key in asked]
    if not found:
        return Section("restatements", TITLE, [paragraph(NONE)])
    columns = [
        Column("Figure", width=2), Column("Published", width=1.3), Column("As published", "right", 1.3),
        Column("Restated", "right", 1.3), Column("Difference", "right", 1.3), Column("Why", width=2.6),
    ]  # fmt: skip
    rows = [_row(context, one, figures) for one in found]
    period, site = str(context.period), context.factory.inputs.site_file
    every = portable("restatements", site=site, options={"period": period})
    then = portable("report", site=site, options={"period": period, "as-of": found[0].published.named})
    note: Runs = ["Every figure that differs, of every cut: ", code(every)]
    about = paragraph(
        "Figures of earlier editions of this report that are others now. What was known then can be made again: ",
        code(then),
    )
    made = table("restatements-table", "As published and as restated", columns, rows, note=note)
    return Section("restatements", TITLE, [about, made])


def _main(context: Context) -> Iterator[Figure]:
    """The figures that the headline, the comparison and the scopes are made of, of the whole period."""
    profile = context.profile
    names = dict.fromkeys([*profile.headline, *(one.figure for one in profile.emissions), *profile.compared])
    for name in names:
        if context.is_printed(name):
            figure = context.figure(name)
            if figure.inputs:
                yield figure


def _with_this(context: Context, main: Sequence[Fact]) -> list[ReportEdition]:
    """The editions that there are, and this one as the last."""
    inputs = context.factory.inputs
    if not inputs.editions:
        return []
    days = tuple(day.isoformat() for day in context.factory.days_with_data)
    last = inputs.editions[-1]
    this = ReportEdition(
        profile=last.profile, period=last.period, made_at="", files={}, days=days, complete=not context.partial,
        versions={}, made_with=last.made_with, facts=tuple(main),
        causes=tuple(inputs.changes),
    )  # fmt: skip
    return [*inputs.editions, this]


def _row(context: Context, one: Restatement, figures: dict[str, Figure]) -> list[Runs]:
    now = figures[one.old.metric]
    scale = Scale(now.display.unit, now.display.power, now.display.decimals)
    when = one.published.at
    old = _stated(context, one.old.metric, f"{now.label}, as published on {_minute(when)}", one.old.number, now, scale)
    new: Figure | None = now
    if one.restated.made_at and one.value != now.number:
        label = f"{now.label}, as restated on {_minute(one.restated.at)}"
        new = _stated(context, one.old.metric, label, one.value, now, scale)
    difference: Runs = ["–"]
    if old and new and new.number is not None:
        metric = f"change_restated_{one.old.metric}"
        label = f"{now.label}, restated: difference to {_minute(when)}"
        difference = [number(context.factory.derived(metric, label, (new, old), "difference", scale=scale))]
    printed: list[Runs] = [[number(one)] if one and one.number is not None else ["not known"] for one in (old, new)]
    return [[now.label], [_minute(when)], *printed, difference, [visible(one.why)]]


def _stated(
    context: Context, metric: str, label: str, value: Decimal | None, now: Figure, scale: Scale
) -> Figure | None:
    if value is None:
        return None
    return context.factory.stated(f"published_{metric}", label, value, now.unit, scale, "M-EDITION")


def _minute(when: datetime) -> str:
    return f"{day_words(when.date(), year=True)}, {when:%H:%M} UTC"
