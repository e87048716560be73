"""Building a report: a profile and its inputs become a document model.

What belongs here: putting together what the profile names. What does not: the content of sections, how figures are
made (`figure_factory`), or a face.
"""

from __future__ import annotations

from decimal import Decimal

from energy_assets.disclosures.document import Document, Runs, number
from energy_assets.disclosures.figure_factory import FigureFactory
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.named import named
from energy_assets.disclosures.sections.breakdown import BREAKDOWN
from energy_assets.disclosures.sections.common import Context, span_words
from energy_assets.disclosures.sections.market import known, market_figure
from energy_assets.disclosures.sections.registry import sections
from energy_assets.disclosures.text import visible

SYNTHETIC = "Synthetic data: invented for demonstration, not a disclosure"
HOURS_OF_A_DAY = 24


def build(inputs: ReportInputs) -> Document:
    """Make the document of a period. Pure: the same inputs give an equal document.

    Args:
        inputs: Tables restricted to the period, the profile, the organisation, targets, pins.

    Returns:
        The document model; `render` gives it its faces.

    Raises:
        KeyError: a table is missing from the inputs.
        ValueError: the profile names a section or a figure that there is not.
    """
    profile, organisation, period = inputs.profile, inputs.organisation, inputs.period
    factory = FigureFactory(inputs)
    context = Context(factory)
    headline = [named(factory, name) for name in profile.headline]
    # A scope the profile does not expect, such as leased machines, is no less of a headline where there is some of it.
    headline += [named(factory, emission.figure) for emission in context.unexpected(profile.headline)]
    headline += [market_figure(context)] if known(context) else []
    for total, parts in profile.totals.items():
        factory.foot(named(factory, total), [named(factory, part) for part in parts])
    cover = _cover(context)
    made = sections(context, profile.sections)
    return Document(
        profile=profile,
        title=profile.title,
        subtitle=profile.subtitle,
        period={
            "key": str(period),
            "from": factory.period[0],
            "to": factory.period[1],
            "words": period.words[0].upper() + period.words[1:],
            # No clock enters a document: it is of the last day it has data of, which is never in the future.
            "dated": (factory.days_with_data[-1] if factory.days_with_data else period.first).isoformat(),
        },
        organisation={
            "name": organisation.name,
            "shown": visible(organisation.name),
            "currency": organisation.currency,
            "consolidation": organisation.consolidation,
            "lei": organisation.lei,
            "synthetic": organisation.synthetic,
        },
        cover=cover,
        banner=SYNTHETIC if organisation.synthetic else "",
        sections=made,
        book=factory.book,
        headline=[figure.id for figure in headline],
        meta={
            "code_version": inputs.code_version,
            "factor_basis": inputs.factor_basis,
            "lock_sha256": inputs.lock_sha256,
            "base_year": organisation.base_year,
            "pins": {table: dict(days) for table, days in inputs.pins.items()},
            "trace_page": "trace.xhtml" if inputs.trace_page else None,
        },
        art=_art(context),
    )


def _cover(context: Context) -> list[Runs]:
    organisation, days = context.factory.inputs.organisation, context.factory.days_with_data
    lines: list[Runs] = [[{"strong": visible(organisation.name)}]]
    if organisation.lei:
        lines.append([f"Legal Entity Identifier {organisation.lei}"])
    period, profile = context.period, context.profile
    if not context.partial:
        lines.append([f"Reporting period {span_words(period.first, period.last)}"])
    elif days:
        lines.append([f"Reporting period {period.words}, not complete"])
        covered: Runs = [
            "Data for ", number(context.figure("days_with_data"), unit=False, ref=False), " of ",
            number(context.figure("days_in_period"), ref=False), f": {span_words(days[0], days[-1])}",
        ]  # fmt: skip
        lines.append(covered)
    if profile.reference:
        lines.append([profile.reference[0].upper() + profile.reference[1:]])
    return lines


def _art(context: Context) -> list[str]:
    """Heights of the cover's ornament: the main zone's day, from the chart of intensity where a section made it."""
    found = context.shared.get(BREAKDOWN)
    points = found.hours.get(found.main_zone or "", {}) if found else {}
    values = {hour: figure.number for hour, figure in points.items() if figure.number is not None}
    top = max(values.values(), default=Decimal(0))
    if len(values) < HOURS_OF_A_DAY or not top:
        return []
    return [f"{values[hour] / top:.4f}" for hour in range(HOURS_OF_A_DAY)]
