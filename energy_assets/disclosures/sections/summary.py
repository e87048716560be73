"""Executive summary: what was used, what it emitted, what stands out. Every comparison is computed."""

from __future__ import annotations

from energy_assets.disclosures.document import (
    Block,
    Card,
    Run,
    Section,
    bullets,
    callout,
    cards,
    charts,
    heading,
    number,
    paragraph,
)
from energy_assets.disclosures.figure_factory import Member
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.reading import UNKNOWN
from energy_assets.disclosures.sections.common import (
    Context,
    certainty,
    day_words,
    largest,
    smallest,
    span_words,
)
from energy_assets.disclosures.sections.energy import Breakdown, energy_chart
from energy_assets.disclosures.text import visible


def summary(context: Context, breakdown: Breakdown, period_words: str) -> Section:
    """The first section."""
    blocks: list[Block] = [paragraph(*_used(context, period_words), lead=True)]
    if context.headline.partial:
        blocks.append(_incomplete(context))
    blocks.append(cards(_cards(context)))
    findings = _findings(context, breakdown)
    if findings:
        blocks += [heading("What stands out"), bullets(findings)]
    if breakdown.energy_by_day:
        blocks.append(charts(energy_chart(context, breakdown)))
    return Section("summary", "Executive summary", blocks)


def _used(context: Context, period_words: str) -> list[Run]:
    h = context.headline
    name = visible(context.factory.inputs.organisation.name)
    if h.it.number is None:
        return [f"No energy of the AI workloads of {name} could be measured in {period_words}."]
    if h.facility.number is None or h.overhead.number is None:
        runs: list[Run] = [f"In {period_words} the AI equipment of {name} used ", number(h.it), "."]
        if h.facility.number is not None:
            runs[-1:] = ["; where the overhead of the building is known, ", number(h.facility), " with it."]
    else:
        runs = [f"In {period_words} the AI workloads of {name} used ", number(h.facility), " of electricity: "]
        runs += [number(h.it), " in the equipment itself, the rest to cool and power it."]
    if h.location.number is None:
        return [*runs, " Its emissions could not be computed; see what could not be measured."]
    runs += [" With the grid intensity of each hour and place, that caused ", number(h.location)]
    runs.append(" (Scope 2, location-based" + (")" if context.direct else ", life-cycle factors)"))
    if context.direct and h.upstream.number is not None:
        runs += [", and ", number(h.upstream), " more in the supply of fuel and power (Scope 3, category 3)"]
    return [*runs, "."]


def _incomplete(context: Context) -> Block:
    h, days = context.headline, context.factory.days_with_data
    runs: list[Run] = [number(h.days_with, unit=False), " of ", number(h.days_in, unit=False), " days have data"]
    if days:
        runs.append(f" ({span_words(days[0], days[-1])})")
    runs.append(". Totals are those of these days alone; nothing is extrapolated to the month.")
    return callout("warning", "The month is not complete", *runs)


def _cards(context: Context) -> list[Card]:
    h = context.headline
    return [
        Card("Electricity, facility", h.facility, certainty(h.facility)),
        Card("Scope 2, location-based", h.location, certainty(h.location)),
        Card("Energy per 1,000 requests", h.wh_request, certainty(h.wh_request)),
        Card("Energy per million tokens", h.wh_token, ["generated tokens"]),
        Card("Grid intensity", h.intensity, ["location-based"]),
        Card("Idle devices", h.idle, ["of the IT energy"]),
        Card("Billed cost", h.cost, ["as billed"]),
        Card("Device-hours observed", h.coverage, ["of all known"]),
    ]


def _findings(context: Context, breakdown: Breakdown) -> list[list[Run]]:
    found = [
        _largest_workload(context, breakdown),
        _largest_model(context, breakdown),
        _peak_day(breakdown),
        _cleanest_hour(breakdown),
        _attribution(context),
    ]
    return [runs for runs in found if runs]


def _largest_workload(context: Context, breakdown: Breakdown) -> list[Run]:
    top = largest(list(breakdown.workloads.values()))
    if top is None or not context.headline.it.number:
        return []
    share = context.factory.share(top, context.headline.it, f"{top.label}, share of IT energy")
    name = WORKLOADS.get(top.dimensions["workload_type"], "")
    verb = "Energy that no rule attributes" if top.dimensions["workload_type"] == "unknown" else f"{name}"
    return [f"{verb} took the largest part of the IT energy: ", number(share), ", or ", number(top), "."]


def _largest_model(context: Context, breakdown: Breakdown) -> list[Run]:
    models = {raw: figure for raw, figure in breakdown.models.items() if raw != "unknown"}
    top = largest(list(models.values()))
    if top is None:
        return []
    raw = top.dimensions["model_id"]
    runs: list[Run] = ["Among the models, ", {"strong": visible(raw)}, " used the most energy: ", number(top)]
    per_use = [f for f in breakdown.per_request.values() if f.number is not None]
    high, low = largest(per_use), smallest(per_use)
    if high and low:
        runs += ["; per 1,000 requests it is ", {"strong": visible(high.dimensions["model_id"])}, " with "]
        runs += [number(high), ", against ", number(low), " of ", {"strong": visible(low.dimensions["model_id"])}]
    return [*runs, "."]


def _peak_day(breakdown: Breakdown) -> list[Run]:
    high, low = largest(list(breakdown.location_by_day.values())), smallest(list(breakdown.location_by_day.values()))
    if high is None or low is None:
        return []
    days = {figure.id: day for day, figure in breakdown.location_by_day.items()}
    return [
        f"Location-based emissions were highest on {day_words(days[high.id])} with ", number(high),
        f" and lowest on {day_words(days[low.id])} with ", number(low), ".",
    ]  # fmt: skip


def _cleanest_hour(breakdown: Breakdown) -> list[Run]:
    zone = breakdown.main_zone
    points = breakdown.hours.get(zone, {}) if zone else {}
    high, low = largest(list(points.values())), smallest(list(points.values()))
    if high is None or low is None or zone is None:
        return []
    hours: dict[str, int] = {figure.id: hour for hour, figure in points.items()}
    return [
        f"In {visible(zone)}, the zone that supplied most of the energy, the grid was on average lowest at "
        f"{hours[low.id]:02d}:00 UTC with ", number(low), f" and highest at {hours[high.id]:02d}:00 UTC with ",
        number(high), ".",
    ]  # fmt: skip


def _attribution(context: Context) -> list[Run]:
    figure: Figure = context.headline.attributed
    if figure.number is None:
        return []
    if figure.number == 1:
        return ["All of the IT energy is attributed to a project: ", number(figure), "."]
    rest = context.factory.kpi("energy_kwh", Member("project", UNKNOWN))
    return [
        number(figure), " of the IT energy is attributed to a project; the rest, ", number(rest),
        ", is printed as not attributed.",
    ]  # fmt: skip
