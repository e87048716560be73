"""Why a figure has no value, in one of four words: chosen by what the rows say, never by guessing.

What belongs here: the words, their legend, and the choice between them for an indicator of one cut. What does not:
reading the rows (`reading.found_by`), and figures that are computed from others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from energy_assets.disclosures.methods import Quantity

#: Printed where it is known that there is nothing to measure.
NONE = "none"
NOT_MEASURED = "not measured"
NO_FACTOR = "no factor"
NOT_APPLICABLE = "does not apply"
#: Printed of a figure that could be computed and is refused, because it would mislead.
NOT_STATED = "not stated"
LEGEND = {
    NONE: "it was looked at, and there was none of it",
    NOT_MEASURED: "nobody knows: no source tells of it (it may be billed all the same), or its meters gave no reading",
    NO_FACTOR: "it was measured, but what it is to be multiplied with (grid intensity, PUE, footprint) is not known",
    NOT_APPLICABLE: "there is nothing it could be of, such as tokens of a model that writes none",
    NOT_STATED: "it could be computed and would mislead, or a figure it needs is not known",
}
"""What each word says; each figure's own reason stands beside it in the table of figures."""

#: Whose machines the rows of a GHG scope are of, and what a cut without such rows lacks.
WHOSE = {
    "scope2": "own machines (Scope 2)",
    "scope3.1": "bought services (Scope 3.1)",
    "scope3.8": "leased machines (Scope 3.8)",
}
NO_SCOPE = {"scope2": "no own machines", "scope3.1": "no bought services", "scope3.8": "no leased machines"}
#: How the reason ends of what is billed and not measured.
BILLED_ALONE = "no source tells its energy"
NOT_REPORTED = "no source tells who used its devices, or that nobody did"
#: By column that a ratio is divided by: what there was none of.
NONE_OF = {"requests": "no request was answered", "generated_tokens": "no token was generated"}
#: By table: what to say where it has no row.
NO_ROWS = {"emissions": "energy", "activity": "what was served", "cost": "costs"}
ZONES = 4


@dataclass(frozen=True)
class Missing:
    """A word to print, and the reason behind it."""

    word: str
    reason: str


@dataclass(frozen=True)
class Found:
    """Rows of emissions in one cut and of one scope, or of several together.

    Attributes:
        rows: How many there are.
        energy: Of how many the energy is known.
        facility: Of how many the facility's energy is known.
        location: Of how many the location-based emissions are known.
        lifecycle: Of how many the upstream emissions are known.
        unpriced: Zones of rows with facility energy and without location-based emissions.
    """

    rows: int = 0
    energy: int = 0
    facility: int = 0
    location: int = 0
    lifecycle: int = 0
    unpriced: tuple[str, ...] = ()

    def __add__(self, other: Found) -> Found:
        """Both together."""
        return Found(
            self.rows + other.rows,
            self.energy + other.energy,
            self.facility + other.facility,
            self.location + other.location,
            self.lifecycle + other.lifecycle,
            tuple(sorted({*self.unpriced, *other.unpriced})),
        )


@dataclass(frozen=True)
class Looked:
    """What was looked at for one figure.

    Attributes:
        here: Rows of emissions of the cut, by scope.
        there: Rows of emissions of the same time whatever the cut, by scope.
        when: What the time is called: day, month, quarter, year.
        currencies: Currencies of bills that are not the one reported in.
        billed: Of bought services: providers whose bills hold the cut, and whose energy no source tells.
        unasked: The cut is of idle devices, and no source tells who used its devices.
    """

    here: Mapping[str, Found]
    there: Mapping[str, Found]
    when: str
    currencies: Sequence[str] = ()
    billed: Sequence[str] = ()
    unasked: bool = False


def listed(names: Sequence[str]) -> str:
    """`aws`, `aws and gcp`, `aws, azure and gcp`.

    Args:
        names: In order; as they are, so safe to look at.
    """
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def missing(quantity: Quantity, row: Mapping[str, Any] | None, looked: Looked) -> Missing:
    """Why an indicator has no value.

    Args:
        quantity: The indicator.
        row: Its KPI row, where there is one: then what it is divided by is zero or unknown.
        looked: The rows there are.
    """
    if row is not None:
        return _not_divided(quantity)
    table = quantity.numerator.rows.table
    if quantity.match or table != "emissions":
        return _without_rows(quantity, looked)
    return _of_emissions(quantity, looked)


def _not_divided(quantity: Quantity) -> Missing:
    if quantity.basis == "reported":
        return Missing(NOT_MEASURED, NOT_REPORTED)
    below = quantity.denominator.rows.column if quantity.denominator else None
    return Missing(NOT_APPLICABLE, NONE_OF.get(below or "", "what it is divided by is zero"))


def _without_rows(quantity: Quantity, looked: Looked) -> Missing:
    """An indicator of activity, of costs, or of two tables."""
    table = quantity.numerator.rows.table
    if quantity.kind == "money" and looked.currencies:
        return Missing(NOT_MEASURED, f"the bills of this {looked.when} are in {' and '.join(looked.currencies)} alone")
    if not quantity.match:
        return Missing(NOT_MEASURED, f"no source tells {NO_ROWS[table]} in this {looked.when}")
    energy = sum(looked.there.values(), Found())
    if quantity.numerator.rows.column == "location_g" and energy.facility and not energy.location:
        return Missing(NO_FACTOR, _unpriced(energy))
    of_account = "no project at one provider and account has both energy and a bill"
    of_model = "no model has both energy of inference and a count of what it served"
    nobody = of_account if quantity.match == "account" else of_model
    return Missing(NOT_MEASURED, f"{nobody} in this {looked.when}")


def _of_emissions(quantity: Quantity, looked: Looked) -> Missing:
    scope = quantity.scope
    everywhere, here = sum(looked.there.values(), Found()), sum(looked.here.values(), Found())
    if not everywhere.rows:
        return Missing(NOT_MEASURED, f"no source tells {NO_ROWS['emissions']} in this {looked.when}")
    if looked.billed and (not here.rows or scope not in looked.here):
        return Missing(NOT_MEASURED, f"there are bills of {listed(looked.billed)} for it, and {BILLED_ALONE}")
    if not here.rows:
        if looked.unasked:
            return Missing(NOT_MEASURED, NOT_REPORTED)
        if everywhere.energy:
            return Missing(NONE, f"looked at, and there was none: what was observed in this {looked.when} is of others")
        return Missing(NOT_MEASURED, f"no device-hour of this {looked.when} was observed")
    if scope is not None:
        if scope not in looked.here:
            what = " and ".join(WHOSE[one] for one in sorted(looked.here))
            return Missing(NONE, f"{NO_SCOPE[scope]}: what there is, is {what}")
        here = looked.here[scope]
    return _not_multiplied(quantity, here, looked.when)


def _not_multiplied(quantity: Quantity, here: Found, when: str) -> Missing:
    """There are rows of it: how far they are known."""
    column = quantity.numerator.rows.column or ""
    if not here.energy:
        return Missing(NOT_MEASURED, f"its devices are known, but none of their hours in this {when} was observed")
    if column == "energy_kwh":
        return Missing(NOT_APPLICABLE, "there was no energy it could be a share of")
    if not here.facility:
        return Missing(NO_FACTOR, "no PUE of its place is known")
    if column == "embodied_g":
        return Missing(NO_FACTOR, "no footprint of making the hardware is known")
    if column == "losses_g":
        return Missing(NO_FACTOR, "what its grid loses, or its life-cycle intensity, is not known")
    if column == "upstream_g" and here.location:
        return Missing(NO_FACTOR, "its grid factors state no life-cycle intensity")
    return Missing(NO_FACTOR, _unpriced(here))


def _unpriced(here: Found) -> str:
    named = ", ".join(here.unpriced[:ZONES]) + (" and others" if len(here.unpriced) > ZONES else "")
    return f"no intensity of the grid zone {named} is known" if named else "no intensity of its grid zone is known"
