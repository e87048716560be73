"""What is told at the end of a run of energy from bills: two places for one region, and use that has no energy.

What belongs here: questions to published tables that only sites with bills need. What does not: all others (`holes`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.vocabulary import ESTIMATED, Feed
from energy_assets.counting import counted
from energy_assets.estimates.hours import LONGEST_DAYS
from energy_assets.estimates.lines import components_table, costs_of_kinds, kinds_of, used
from energy_assets.estimates.own_tables import own_constants
from energy_assets.proposed_lines import place_name, quoted
from energy_assets.remarks import Remark
from energy_assets.site import Site
from energy_assets.tables import COST, EMISSIONS, USAGE_ESTIMATES, Table

Ask = Callable[[ir.Table], list[dict[str, Any]]]
WORTH_TELLING = Decimal("0.01")
"""Of the cost of use in a currency: a smaller part without energy is not told."""
SHOWN = 5
"""Places or services that a sentence names; the others are counted."""
_OF_MACHINES = ("gpu", "cpu", "dram", "instance")
_STATED = {"zone": "grid zone", "pue": "PUE"}


def bill_holes(site: Site, read: Callable[[Table], ir.Table], ask: Ask) -> Iterator[Remark]:
    """What published tables of a site that estimates from bills leave open; nothing of other sites.

    Args:
        site: The site.
        read: The rows of a table on the days of the run.
        ask: The answer to a question, as rows.
    """
    if site.has(Feed.ESTIMATES):
        yield from _two_places(read(EMISSIONS), ask)
        yield from _without_method(site, read(COST), ask)
        yield from _below_zero(read(USAGE_ESTIMATES), ask)
        yield from _too_long(read(COST), ask)


def _two_places(rows: ir.Table, ask: Ask) -> Iterator[Remark]:
    """Regions of which what is measured counts with another PUE, or in another grid zone, than what is estimated."""
    known = rows.filter(rows.energy_kwh.notnull(), rows.region.notnull()).mutate(guessed=rows.method.isin(ESTIMATED))
    keys = ("day", "provider", "region", "guessed", "source", *_STATED)
    by_day: dict[tuple[Any, ...], dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
    for row in ask(known.select(*keys).distinct().order_by(*keys)):
        side = "estimated" if row["guessed"] else "measured"
        there = by_day[row["day"], row["provider"], row["region"]]
        there[f"{side} by"].add(row["source"])
        for name in _STATED:
            if row[name] is not None:
                there[f"{side} {name}"].add(row[name])
    for name in _STATED:
        apart = {
            (provider, region): there
            for (_, provider, region), there in by_day.items()
            if there[f"measured {name}"]
            and there[f"estimated {name}"]
            and not there[f"measured {name}"] & there[f"estimated {name}"]
        }
        if apart:
            yield _of_two_places(name, apart)


def _of_two_places(name: str, apart: Mapping[tuple[str, str], Mapping[str, set[Any]]]) -> Remark:
    sentences, lines = [], []
    for (provider, region), there in list(apart.items())[:SHOWN]:
        measured, guessed = (_listed(there[f"{side} {name}"]) for side in ("measured", "estimated"))
        theirs, ours = (_listed(there[f"{side} by"]) for side in ("measured", "estimated"))
        where = place_name(provider, region)
        sentences.append(f"{where} ({measured} as measured by {theirs}, {guessed} as estimated from {ours})")
        one = measured.split(", ")[0]
        stated = quoted(one) if name == "zone" else one  # NO is Norway, and false in YAML
        lines.append(f"- {{provider: {provider}, region: {quoted(region)}, {name}: {stated}}}")
    more = len(apart) - SHOWN
    rest = f" and {counted(more, 'region')} more" if more > 0 else ""
    return Remark(
        "emissions/hourly",
        f"energy of one region counts with two {_STATED[name]}s: {', '.join(sentences)}{rest}",
        remedy="If it is one place, add to site.yaml under `places:` what holds for both, then run these days again.\n"
        + "\n".join(lines),
    )


def _without_method(site: Site, cost: ir.Table, ask: Ask) -> Iterator[Remark]:
    """What part of the cost of use is of kinds of which nobody publishes the energy; of lines that say how much."""
    lines = used(cost)
    lines = lines.filter(lines.quantity.notnull())
    components = components_table(kinds_of(lines, own_constants(site)).items())
    costs = costs_of_kinds(lines, ibis.memtable(components))
    none = costs.reason.isin(("no method", "tokens")).fill_null(False)
    by = costs.group_by("provider", "service", "billing_currency", none=none).aggregate(cost=costs.billed_cost.sum())
    found = ask(by.order_by(ibis.desc("cost"), "provider", "service"))
    for currency in sorted({row["billing_currency"] for row in found}):
        mine = [row for row in found if row["billing_currency"] == currency]
        whole, lost = (sum((row["cost"] for row in rows), Decimal()) for rows in (mine, [r for r in mine if r["none"]]))
        if whole <= 0 or lost < whole * WORTH_TELLING:
            continue
        names = [f"{row['provider']} {row['service'] or 'without a service'}" for row in mine if row["none"]]
        yield Remark(
            "estimates/usage",
            f"{100 * lost / whole:.0f} % of the cost of use in {currency} is of kinds of which nobody publishes what "
            f"they draw, so their energy is unknown: {_first(names)}",
            hole=False,
            remedy="The command `factors --missing` lists them.",
        )


def _below_zero(estimates: ir.Table, ask: Ask) -> Iterator[Remark]:
    """Corrections that take back more than the hours they name have: what they correct lies in other hours."""
    below = estimates.filter(estimates.amount < 0)
    by = below.group_by("provider", "region", "node_id").aggregate(
        hours=below.hour.nunique(), machine=below.device_kind.isin(_OF_MACHINES).any()
    )
    found = ask(by.order_by("provider", "region", "node_id"))
    hours, names = sum(row["hours"] for row in found), [row["node_id"] for row in found]
    if found:
        yield Remark(
            "estimates/usage",
            f"use of {counted(len(found), 'resource')} is below zero in {counted(hours, 'hour')}, so its energy is "
            f"unknown there, and nothing is taken from the hours that are corrected: {_first(names)}",
            hole=any(row["machine"] for row in found),
            remedy="Deliver the bill with corrections of the hours they correct, or without the corrected lines.",
        )


def _too_long(cost: ir.Table, ask: Ask) -> Iterator[Remark]:
    """Charges of use that are longer than the days that are looked back for them."""
    lines = used(cost)
    until = (lines.day + ibis.interval(days=LONGEST_DAYS + 1)).cast("timestamp")
    long = lines.filter(lines.charge_period_end > until)
    by = long.group_by("source").aggregate(lines=long.count(), last=long.charge_period_end.max().date())
    for row in ask(by.order_by("source")):
        yield Remark(
            "estimates/usage",
            f"{counted(row['lines'], 'line')} of {row['source']} tell{'s' if row['lines'] == 1 else ''} of more than "
            f"{LONGEST_DAYS} days at once, until {row['last']}; what was used on later days has no energy",
            remedy="Export the bill by the day or by the hour.",
        )


def _first(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _listed(values: set[Any]) -> str:
    shown = sorted(f"{value.normalize():f}" if isinstance(value, Decimal) else str(value) for value in values)
    return ", ".join(shown)
