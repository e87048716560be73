"""Executive summary: what was used, what it emitted, what stands out. Every comparison is computed."""

from __future__ import annotations

from energy_assets.disclosures import profile
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
from energy_assets.disclosures.figure_factory import FigureFactory, Member
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import WORKLOADS
from energy_assets.disclosures.rounding import Scale
from energy_assets.disclosures.sections.bills import without_energy
from energy_assets.disclosures.sections.breakdown import Breakdown, breakdown
from energy_assets.disclosures.sections.common import (
    Context,
    certainty,
    data_words,
    in_period,
    largest,
    smallest,
    span_words,
    step_words,
)
from energy_assets.disclosures.sections.costs import idle_cost
from energy_assets.disclosures.sections.energy import energy_chart
from energy_assets.disclosures.sections.factors import with_intensity
from energy_assets.disclosures.sections.scopes import exists
from energy_assets.disclosures.text import visible
from energy_assets.factors.countries import zone_name


def summary(context: Context) -> Section:
    """The period in a paragraph, the headline figures as cards, energy over time, what stands out."""
    found = breakdown(context)
    blocks: list[Block] = [paragraph(*_used(context), lead=True)]
    if context.partial:
        blocks.append(_incomplete(context))
    if context.profile.cards:
        blocks.append(cards(_card(context, card) for card in _cards(context)))
    if any(figure.number is not None for figure in found.energy_by_step.values()):
        blocks.append(charts(energy_chart(context)))
    findings = _findings(context, found)
    if findings:
        # Last, for a list can go on over the page and a chart cannot.
        blocks += [heading("What stands out"), bullets(findings)]
    return Section("summary", "Executive summary", blocks)


def _used(context: Context) -> list[Run]:
    when, days = in_period(context.period), context.factory.days_with_data
    opening = data_words(days) if context.partial and days else f"{when[0].upper()}{when[1:]}"
    name = visible(context.factory.inputs.organisation.name)
    if context.figure("energy_kwh").number is None:
        return [f"No energy of the AI workloads of {name} could be measured {when}.", *_else_known(context)]
    if context.figure("facility_kwh").number is None or context.figure("overhead_kwh").number is None:
        runs: list[Run] = [f"{opening} the AI equipment of {name} used ", number(context.figure("energy_kwh")), "."]
        if context.figure("facility_kwh").number is not None:
            runs[-1:] = [
                "; where the overhead of the building is known, ",
                number(context.figure("facility_kwh")),
                " with it.",
            ]
    else:
        runs = [
            f"{opening} the AI workloads of {name} used ",
            number(context.figure("facility_kwh")),
            " of electricity",
        ]
        if not context.figure("overhead_kwh").number:
            runs.append(", all of it in the equipment itself: the PUE stated for its place leaves nothing for "
                        "cooling and power supply.")  # fmt: skip
        else:
            runs += [
                ": ",
                number(context.figure("energy_kwh")),
                " in the equipment itself, the rest to cool and power it.",
            ]
    measured = context.factory.kpi("measured_share")
    if measured.number is not None and measured.number < 1:
        runs += [" Of the equipment's energy ", number(measured), " was measured; the rest is estimated from bills."]
    caused = breakdown(context).emissions
    if not caused:
        return [*runs, " Its emissions could not be computed; see what could not be measured."]
    runs += with_intensity(context)
    runs.append("that caused " if context.direct else "taken over the life cycle, that caused ")
    for position, scope in enumerate(caused):
        runs += [", and " if position and position == len(caused) - 1 else ", " if position else ""]
        runs += [number(context.figure(scope.figure)), f" {scope.words}"]
    runs.append(".")
    own = context.figure("scope2_location_g")
    if not exists(own):
        runs.append(f" Scope 2 is none: {own.reason}.")
    return runs


def _else_known(context: Context) -> list[Run]:
    """What is known of a period without energy: what was served, and what it cost."""
    requests, cost = context.figure("requests"), context.figure("billed_cost")
    known = [*([[number(requests), " were answered"]] if requests.number is not None else []),
             *([[number(cost), " were billed"]] if cost.number is not None else [])]  # fmt: skip
    if not known:
        return []
    runs: list[Run] = [" What is known: "]
    for position, part in enumerate(known):
        runs += [*([" and "] if position else []), *part]
    return [*runs, ". Neither says how much energy was used, so no emissions are stated."]


def _incomplete(context: Context) -> Block:
    days, noun = context.factory.days_with_data, context.period.grain
    runs: list[Run] = [number(context.figure("days_with_data"), unit=False), " of "]
    runs += [number(context.figure("days_in_period"), unit=False), " days have data"]
    if days:
        between = "" if days[-1].toordinal() - days[0].toordinal() == len(days) - 1 else ", with gaps"
        runs.append(f" ({span_words(days[0], days[-1])}{between})")
    runs.append(f". Totals are those of these days alone; nothing is extrapolated to the {noun}.")
    return callout("warning", f"The {noun} is not complete", *runs)


def _cards(context: Context) -> list[profile.Card]:
    """The profile's cards, and after the last of a scope one for each scope that it does not expect."""
    listed = [card for card in context.profile.cards if context.is_printed(card.figure)]
    more = [profile.Card(e.figure, e.label) for e in context.unexpected([card.figure for card in listed])]
    scopes = {emission.figure for emission in context.profile.emissions}
    after = max((place for place, card in enumerate(listed, 1) if card.figure in scopes), default=len(listed))
    return [*listed[:after], *more, *listed[after:]]


def _card(context: Context, card: profile.Card) -> Card:
    figure = context.figure(card.figure)
    return Card(card.label, figure, certainty(figure) if card.note is None else [card.note])


def _not_covered(context: Context) -> list[Run]:
    names = [context.profile.omissions[column]["short"] for column in context.not_covered]
    return [f"Not covered: {', '.join(names)}."] if names else []


def _findings(context: Context, found: Breakdown) -> list[list[Run]]:
    findings = [
        _largest_workload(context, found),
        _largest_model(context, found),
        _peak(context, found),
        _cleanest_hour(context.factory, found),
        _attribution(context),
        idle_cost(context),
        without_energy(context),
        _not_covered(context),
    ]
    return [runs for runs in findings if runs]


def _largest_workload(context: Context, found: Breakdown) -> list[Run]:
    top = largest(list(found.workloads.values()))
    if top is None or not context.figure("energy_kwh").number:
        return []
    share = context.factory.share(top, context.figure("energy_kwh"), f"{top.label}, share of IT energy")
    name = WORKLOADS.get(top.dimensions["workload_type"], "")
    verb = "Energy that no rule attributes" if top.dimensions["workload_type"] == "unknown" else f"{name}"
    return [f"{verb} took the largest part of the IT energy: ", number(share), ", or ", number(top), "."]


def _largest_model(context: Context, found: Breakdown) -> list[Run]:
    models = {raw: figure for raw, figure in found.models.items() if raw != "unknown"}
    top = largest(list(models.values()))
    if top is None:
        return []
    raw = top.dimensions["model_id"]
    runs: list[Run] = ["Among the models, ", {"strong": visible(raw)}, " used the most energy: ", number(top)]
    per_use = [f for f in found.per_request.values() if f.number is not None]
    high, low = largest(per_use), smallest(per_use)
    if high and low:
        runs += ["; per 1,000 requests it is ", {"strong": visible(high.dimensions["model_id"])}, " with "]
        runs += [number(high), ", against ", number(low), " of ", {"strong": visible(low.dimensions["model_id"])}]
    return [*runs, "."]


def _peak(context: Context, found: Breakdown) -> list[Run]:
    if not found.emissions:
        return []
    first = found.emissions[0]
    figures = found.emissions_by_step[first.figure]
    high, low = largest(list(figures.values())), smallest(list(figures.values()))
    if high is None or low is None:
        return []
    when = {figure.id: step_words(step) for step, figure in figures.items()}
    on = "on" if context.factory.by_day else "in"
    return [
        f"{context.figure(first.figure).label} were highest {on} {when[high.id]} with ", number(high),
        f" and lowest {on} {when[low.id]} with ", number(low), ".",
    ]  # fmt: skip


def _cleanest_hour(factory: FigureFactory, found: Breakdown) -> list[Run]:
    zone = found.main_zone
    points = found.hours.get(zone, {}) if zone else {}
    high, low = largest(list(points.values())), smallest(list(points.values()))
    if high is None or low is None or zone is None:
        return []
    hours: dict[str, int] = {figure.id: hour for hour, figure in points.items()}
    saved = factory.derived(
        "cleanest_hour_saves", f"Lowest below highest mean intensity of an hour of day · {zone_name(visible(zone))}",
        (high, low), "share_below", scale=Scale("%", -2, 1), unit="share", method="M-BELOW", dimensions={"zone": zone},
    )  # fmt: skip
    return [
        f"In {zone_name(visible(zone))}, the zone that supplied most of the energy, the grid was on average lowest at "
        f"{hours[low.id]:02d}:00 UTC with ", number(low), f" and highest at {hours[high.id]:02d}:00 UTC with ",
        number(high), f". Work that can wait, moved there from {hours[high.id]:02d}:00 to {hours[low.id]:02d}:00 UTC, "
        "would emit ", number(saved), " less.",
    ]  # fmt: skip


def _attribution(context: Context) -> list[Run]:
    figure: Figure = context.figure("attributed_share")
    if figure.number is None:
        return []
    energy = "IT energy" if context.figure("idle_share").number is None else "IT energy in use"
    if figure.number == 1:
        runs: list[Run] = [f"All of the {energy} is attributed to a project: ", number(figure)]
    else:
        runs = [f"Of the {energy}, ", number(figure), " is attributed to a project"]
        nobody = context.figure("unattributed_kwh")
        if nobody.number:
            runs += ["; ", number(nobody), " belongs to no known project and is printed as not attributed"]
    idle = context.factory.kpi("energy_kwh", Member("workload_type", "idle"))
    if idle.number:
        runs += [". Beside it, ", number(idle), " was used by idle devices"]
    return [*runs, "."]
