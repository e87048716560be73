"""Bought services that are billed and that nobody measures: how much of the billed cost is of them, and who bills it.

What belongs here: the figures and the sentence. What does not: which accounts those are (`disclosures.bills`).
"""

from __future__ import annotations

from decimal import Decimal

from energy_assets.disclosures import bills, reading
from energy_assets.disclosures.document import Run, number
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.missing import listed
from energy_assets.disclosures.sections.common import Context
from energy_assets.disclosures.text import visible

LABEL = "Billed cost of accounts whose energy no source tells"


def without_energy(context: Context) -> list[Run]:
    """How much of the billed cost is of accounts whose energy no source tells; nothing where each is measured."""
    accounts = context.factory.unmeasured
    if not accounts:
        return []
    names = listed([visible(one.provider) for one in accounts])
    consequence = "; what they used and emitted is in no figure."
    part, whole = _cost(context), context.figure("billed_cost")
    if part is None:
        return [f"There are bills of accounts of {names} whose energy no source tells", consequence]
    runs: list[Run] = [number(part)]
    if part.number is not None and whole.number and 0 <= part.number <= whole.number:
        runs += [" of ", number(whole), " billed (", number(context.factory.share(part, whole, f"{LABEL}, share")), ")"]
    else:
        runs.append(" billed, credits taken off,")
    return [*runs, f" is of accounts of {names} whose energy no source tells", consequence]


def _cost(context: Context) -> Figure | None:
    """The charges of those accounts in the reporting currency; None where none is in it."""
    factory, currency = context.factory, context.factory.inputs.organisation.currency
    parts = []
    for one in factory.unmeasured:
        selection = bills.charge(one, factory.period, currency)
        found: Decimal | None = (
            selection.value(reading.restricted(factory.inputs.tables["cost"], selection)).sum().to_pyarrow().as_py()
        )
        if found is not None:
            name = visible(one.provider)
            parts.append(
                factory.query(
                    "billed_without_energy", f"{LABEL} · {name}", found, selection,
                    factory.scale("billed_cost", currency), currency, dimensions={"provider": one.provider},
                )
            )  # fmt: skip
    if len(parts) < 2:
        return parts[0] if parts else None
    return factory.derived("billed_without_energy", LABEL, parts, "sum", method="M-ADDED", dimensions={})
