"""The disclosure `ml_sustainability`: a month of AI energy, cost and carbon, as a document model.

What belongs here: which sections there are, and the headline figures. What does not: their content (`sections`),
how figures are made (`figure_factory`), or a face.
"""

from __future__ import annotations

from decimal import Decimal

from energy_assets.disclosures.document import Document, Runs, number
from energy_assets.disclosures.figure_factory import FigureFactory
from energy_assets.disclosures.figures import Filter, Selection
from energy_assets.disclosures.framework import framework
from energy_assets.disclosures.inputs import ReportInputs
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.checking import checking, figures_section
from energy_assets.disclosures.sections.common import MONTHS, Context, Headline, span_words
from energy_assets.disclosures.sections.energy import Breakdown, breakdown, energy
from energy_assets.disclosures.sections.methodology import methodology
from energy_assets.disclosures.sections.progress import progress, targets
from energy_assets.disclosures.sections.quality import gaps, quality
from energy_assets.disclosures.sections.summary import summary
from energy_assets.disclosures.text import visible

PROFILE = "ml_sustainability"
SYNTHETIC = "Synthetic data: invented for demonstration, not a disclosure"
DAYS = Scale("days", 0, 0)


def build(inputs: ReportInputs) -> Document:
    """Make the document of a month. Pure: the same inputs give an equal document.

    Args:
        inputs: Tables restricted to the month, the organisation, targets, pins.

    Returns:
        The document model; `render` gives it its faces.

    Raises:
        KeyError: a table is missing from the inputs.
    """
    profile = framework(PROFILE)
    factory = FigureFactory(inputs, profile.maps_to)
    context = Context(factory, profile, _headline(factory))
    found = breakdown(context)
    month = inputs.month
    words = f"{MONTHS[month.month - 1]} {month.year}"
    sections = [
        summary(context, found, words),
        energy(context, found),
        progress(context),
        targets(context),
        quality(context),
        gaps(context),
    ]
    sections.insert(2, methodology(context))
    sections += [checking(context), figures_section(context, found)]
    organisation = inputs.organisation
    h = context.headline
    return Document(
        profile=PROFILE,
        title=profile.title,
        subtitle=profile.subtitle,
        period={"from": factory.period[0], "to": factory.period[1], "words": words},
        organisation={
            "name": organisation.name,
            "shown": visible(organisation.name),
            "currency": organisation.currency,
            "consolidation": organisation.consolidation,
            "lei": organisation.lei,
            "synthetic": organisation.synthetic,
        },
        cover=_cover(context, words),
        banner=SYNTHETIC if organisation.synthetic else "",
        sections=sections,
        book=factory.book,
        headline=[
            figure.id
            for figure in (
                h.facility,
                h.it,
                h.location,
                h.upstream,
                h.wh_request,
                h.wh_token,
                h.idle,
                h.cost,
                h.coverage,
            )
        ],
        meta={
            "code_version": inputs.code_version,
            "factor_basis": inputs.factor_basis,
            "lock_sha256": inputs.lock_sha256,
            "base_year": organisation.base_year,
            "pins": {table: dict(days) for table, days in inputs.pins.items()},
            "trace_page": "trace.xhtml" if inputs.trace_page else None,
        },
        art=_art(found),
    )


def _headline(factory: FigureFactory) -> Headline:
    facility, it = factory.kpi("facility_kwh"), factory.kpi("energy_kwh")
    location, upstream, lifecycle = (factory.kpi(n) for n in ("location_g", "upstream_g", "lifecycle_g"))
    no_pue = "part of the IT energy has no PUE, so facility and IT energy are not of the same equipment"
    overhead = factory.derived(
        "overhead_kwh", "Electricity, cooling and power supply", (facility, it), "difference",
        refused=no_pue if factory.gaps["no_pue_rows"] else None, dimensions={},
    )  # fmt: skip
    factory.foot(facility, [it, overhead])
    factory.foot(lifecycle, [location, upstream])
    when = (Filter("day", "between", factory.period),)
    return Headline(
        facility=facility,
        it=it,
        overhead=overhead,
        location=location,
        upstream=upstream,
        lifecycle=lifecycle,
        wh_request=factory.kpi("wh_per_1k_inferences"),
        wh_token=factory.kpi("wh_per_1m_tokens"),
        g_request=factory.kpi("gco2e_per_1k_inferences"),
        intensity=factory.kpi("carbon_intensity_location"),
        idle=factory.kpi("idle_share"),
        coverage=factory.kpi("coverage"),
        cost=factory.kpi("billed_cost"),
        cost_per_kwh=factory.kpi("cost_per_kwh"),
        requests=factory.kpi("requests"),
        prompt_tokens=factory.kpi("prompt_tokens"),
        generated_tokens=factory.kpi("generated_tokens"),
        attributed=factory.kpi("attributed_share"),
        factored=factory.kpi("factor_coverage"),
        days_with=factory.query(
            "days_with_data", "Days with data", Decimal(len(factory.days_with_data)),
            Selection("kpis_daily", "day", when, "distinct"), DAYS, "days", method="M-COUNT", operation="count",
        ),
        days_in=factory.stated(
            "days_in_month", "Days of the month", Decimal(len(factory.inputs.month.days)), "days", DAYS, "M-CALENDAR"
        ),
    )  # fmt: skip


def _cover(context: Context, words: str) -> list[Runs]:
    h, organisation, days = context.headline, context.factory.inputs.organisation, context.factory.days_with_data
    lines: list[Runs] = [[{"strong": visible(organisation.name)}]]
    if organisation.lei:
        lines.append([f"Legal Entity Identifier {organisation.lei}"])
    month = context.factory.inputs.month.days
    lines.append([f"Reporting period {span_words(month.first, month.last)}"])
    if h.partial and days:
        covered: Runs = [
            "Data for ", number(h.days_with, unit=False, ref=False), " of ", number(h.days_in, ref=False),
            f": {span_words(days[0], days[-1])}",
        ]  # fmt: skip
        lines.append(covered)
    lines.append([f"Profile {PROFILE} · with reference to GRI, ESRS E1 and SASB TC-SI"])
    return lines


def _art(found: Breakdown) -> list[str]:
    """Heights of the cover's ornament: the main zone's day, from the chart of intensity."""
    points = found.hours.get(found.main_zone or "", {})
    values = {hour: figure.number for hour, figure in points.items() if figure.number is not None}
    top = max(values.values(), default=Decimal(0))
    if len(values) < 24 or not top:
        return []
    return [f"{values[hour] / top:.4f}" for hour in range(24)]
