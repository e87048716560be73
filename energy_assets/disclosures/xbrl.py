"""Inline XBRL facts: which figures are tagged, with which concept, unit, scale and accuracy.

What belongs here: tagging figures with the concepts of the document's profile. What does not: which concepts those
are (reports/frameworks), XHTML (the template).
Energy is tagged in MWh and emissions in t, the units of the XBRL units registry, whatever unit is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from energy_assets.disclosures.document import Document
from energy_assets.disclosures.figures import Figure
from energy_assets.disclosures.methods import QUANTITIES
from energy_assets.disclosures.profile import Taxonomy
from energy_assets.disclosures.rounding import MINUS

CONTEXT = "period"
PLAIN = re.compile(rf"{MINUS}?[0-9][0-9,]*(\.[0-9]+)?")


@dataclass(frozen=True)
class Unit:
    """An XBRL unit: measures, and the powers of ten from the stored unit to it."""

    id: str
    numerator: str
    denominator: str | None = None
    power: int = 0


UNITS = {
    "energy": Unit("MWh", "utr:MWh", power=3),
    "mass": Unit("t", "utr:t", power=6),
    "share": Unit("pure", "xbrli:pure"),
    "count": Unit("pure", "xbrli:pure"),
    "wh_per_1k_inferences": Unit("WhPerRequest", "utr:Wh", "ea:request", 3),
    "wh_per_1m_tokens": Unit("WhPerToken", "utr:Wh", "ea:token", 6),
    "gco2e_per_1k_inferences": Unit("tPerRequest", "utr:t", "ea:request", 9),
    "carbon_intensity_location": Unit("tPerMWh", "utr:t", "utr:MWh", 3),
}


def facts(document: Document) -> dict[str, dict[str, str]]:
    """By figure id the attributes of its tag; figures of other cuts and unprinted values are not tagged."""
    taxonomy = document.profile.taxonomy
    if taxonomy is None:
        return {}
    period = (document.period["from"], document.period["to"])
    tagged = {}
    untagged = _totals_that_do_not_hold(document)
    for figure in document.book:
        concept = _concept(figure, taxonomy)
        whole = figure.period == period and not (figure.metric in untagged and not figure.dimensions)
        if concept and whole and PLAIN.fullmatch(figure.display.text):
            unit = _unit(figure)
            scale = figure.display.power - unit.power
            tagged[figure.id] = {
                "name": f"ea:{concept}",
                "unit": unit.id,
                "scale": str(scale),
                "decimals": str(figure.display.decimals - scale),
            }
            if figure.display.text.startswith(MINUS):
                # A tagged number has no sign of its own; the printed minus stands before the tag.
                tagged[figure.id]["sign"] = "-"
    return tagged


def _totals_that_do_not_hold(document: Document) -> set[str]:
    """Totals that are not the sum of their parts, because parts of them are not known or contain each other."""
    period = (document.period["from"], document.period["to"])
    value = {f.metric: f.number for f in document.book if not f.dimensions and f.period == period}
    wrong = set()
    for total, parts in document.profile.totals.items():
        known = [value.get(part) for part in parts]
        if value.get(total) is None or None in known or sum(k for k in known if k is not None) != value[total]:
            wrong.add(total)
    return wrong


def units(document: Document, tagged: Iterable[str]) -> list[Unit]:
    """The units that the tagged figures use.

    Args:
        document: Has the figures.
        tagged: Ids of the tagged figures.
    """
    found = {unit.id: unit for unit in (_unit(document.book[id_]) for id_ in tagged)}
    return [found[id_] for id_ in sorted(found)]


def entity(organisation: Mapping[str, Any]) -> tuple[str, str]:
    """Scheme and identifier of the reporting entity: its LEI, else its name in a scheme of our own."""
    if organisation["lei"]:
        return "http://standards.iso.org/iso/17442", organisation["lei"]
    return "urn:energy-assets:organisation-name", " ".join(organisation["shown"].split()) or "unnamed"


def _concept(figure: Figure, taxonomy: Taxonomy) -> str | None:
    if not figure.dimensions:
        return taxonomy.concepts.get(figure.metric)
    cuts = taxonomy.members.get(figure.metric, {})
    if len(figure.dimensions) != 1:
        return None
    ((dimension, member),) = figure.dimensions.items()
    return cuts.get(dimension, {}).get(member)


def _unit(figure: Figure) -> Unit:
    if figure.metric == "overhead_kwh":
        return UNITS["energy"]
    kind = QUANTITIES[figure.metric].kind
    if kind == "money":
        return Unit(figure.unit, f"iso4217:{figure.unit}")
    return UNITS[figure.metric] if kind == "ratio" else UNITS[kind]
