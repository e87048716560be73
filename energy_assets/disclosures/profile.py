"""Profiles: what a disclosure consists of, read from reports/frameworks.

What belongs here: reading and checking a profile's file. What does not: what a section says (`sections`), or how a
face looks (the templates). A profile that uses sections which exist needs no Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from energy_assets.disclosures.places import reports_folder
from energy_assets.periods import GRAINS, Grain

#: The section that every reference to a figure leads to; no profile can do without it.
EVIDENCE_SECTION = "figures"


class ProfileError(ValueError):
    """A profile's file cannot be used; the message names the file, the key and the remedy."""


@dataclass(frozen=True)
class Gate:
    """Limits of a plausible value and the reason for them."""

    low: Decimal
    high: Decimal
    why: str


@dataclass(frozen=True)
class Card:
    """A headline figure as a card of the summary.

    Attributes:
        figure: Name of the figure.
        label: What stands above it.
        note: The line below it; None prints its 95 % interval.
    """

    figure: str
    label: str
    note: str | None = None


@dataclass(frozen=True)
class Emission:
    """Emissions of one GHG Protocol scope or category, printed apart from all others.

    Attributes:
        figure: Name of the KPI, in grams.
        label: Short name, for columns and legends.
        words: What they are, after their number in a sentence.
        colour: Its colour in charts, `#rrggbb`.
    """

    figure: str
    label: str
    words: str
    colour: str


@dataclass(frozen=True)
class Taxonomy:
    """The XBRL taxonomy a profile's figures are tagged with.

    Attributes:
        namespace: Namespace of the concepts.
        schema: File name of the schema, below reports/taxonomy.
        files: All files of the taxonomy; they are copied beside the report.
        concepts: Concept by name of a figure of the whole period.
        members: Concept by value, by dimension, by name of a figure that is cut by the dimension.
    """

    namespace: str
    schema: str
    files: tuple[str, ...]
    concepts: Mapping[str, str]
    members: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Every concept that may be used."""
        cuts = (values for dimensions in self.members.values() for values in dimensions.values())
        return {*self.concepts.values(), *(concept for values in cuts for concept in values.values())}


@dataclass(frozen=True)
class Profile:
    """What a disclosure consists of.

    Attributes:
        name: Its name: the asset `disclosure/<name>` and the folder below `reports/`.
        title: Title of the report.
        subtitle: The line below it.
        reference: The standards it refers to, as the cover says it.
        grains: The periods it is made for: month, quarter, year.
        sections: Names of its sections, in order (see `sections.registry`).
        headline: Names of the figures that are made first, printed on the terminal and traced on trace.xhtml.
        cards: The summary's cards.
        compared: KPIs that the progress section compares with the period before.
        emissions: The scopes and categories of emissions, in the order in which they are printed.
        totals: Names of the parts of a total, by name of the total: they are printed so that they add up, and a
            total whose parts are not all known is not tagged.
        scales: KPIs whose size decides the unit that all quantities of a kind are printed in, by kind.
        maps_to: Codes of standards by quantity.
        omissions: By quantity that may be missing: `label` and `short`, what it would hold, and `reason`, why it is
            empty.
        intensity: Gate of grams per kWh.
        watts: Gate of watts per kind of device.
        taxonomy: What its figures are tagged with; None for a page without tagged facts.
    """

    name: str
    title: str
    subtitle: str
    reference: str
    grains: tuple[Grain, ...]
    sections: tuple[str, ...]
    headline: tuple[str, ...]
    cards: tuple[Card, ...]
    compared: tuple[str, ...]
    emissions: tuple[Emission, ...]
    totals: Mapping[str, Sequence[str]]
    scales: Mapping[str, Sequence[str]]
    maps_to: Mapping[str, Sequence[str]]
    omissions: Mapping[str, Mapping[str, str]]
    intensity: Gate | None
    watts: Mapping[str, Gate]
    taxonomy: Taxonomy | None


def profiles() -> list[Profile]:
    """Every profile of `reports/frameworks`, by name.

    Raises:
        ProfileError: one of the files cannot be used.
    """
    paths = sorted((reports_folder() / "frameworks").glob("*.yaml"))
    return [read_profile(path.stem) for path in paths]


def read_profile(name: str) -> Profile:
    """Read `reports/frameworks/<name>.yaml`.

    Args:
        name: The profile's name, which is the file's.

    Raises:
        ProfileError: there is no such file, or it cannot be used.
    """
    path = reports_folder() / "frameworks" / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProfileError(f"there is no profile '{name}': {path} is not there") from None
    except yaml.YAMLError as error:
        raise ProfileError(f"{path}: no YAML: {error}") from error
    try:
        return _profile(name, content)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from error
    except KeyError as error:
        raise ProfileError(f"{path}: the key {error} is missing") from error
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ProfileError(f"{path}: cannot be read as a profile ({error})") from error


def _profile(name: str, content: Mapping[str, Any]) -> Profile:
    if content["profile"] != name:
        raise ProfileError(f"profile: is '{content['profile']}', but the file's name says '{name}'")
    unknown = [grain for grain in content["grains"] if grain not in GRAINS]
    if unknown or not content["grains"]:
        raise ProfileError(f"grains: {unknown or 'none given'}; allowed are {', '.join(GRAINS)}")
    if EVIDENCE_SECTION not in content["sections"]:
        raise ProfileError(
            f"sections: '{EVIDENCE_SECTION}' is missing; every number refers to its line there. Add it as the last one."
        )
    gates = content.get("gates", {})
    intensity = gates.get("intensity_g_per_kwh")
    return Profile(
        name=name,
        title=content["title"],
        subtitle=content["subtitle"],
        reference=content.get("reference", ""),
        grains=tuple(content["grains"]),
        sections=tuple(content["sections"]),
        headline=tuple(content["headline"]),
        cards=tuple(Card(**card) for card in content.get("cards", ())),
        compared=tuple(content.get("compared", ())),
        emissions=tuple(Emission(**scope) for scope in content.get("emissions", ())),
        totals=content.get("totals", {}),
        scales=content.get("scales", {}),
        maps_to=content.get("maps_to", {}),
        omissions=content.get("omissions", {}),
        intensity=_gate(intensity) if intensity else None,
        watts={kind: _gate(gate) for kind, gate in gates.get("watts", {}).items()},
        taxonomy=_taxonomy(content["taxonomy"]) if content.get("taxonomy") else None,
    )


def _gate(content: Mapping[str, Any]) -> Gate:
    return Gate(Decimal(str(content.get("low", 0))), Decimal(str(content["high"])), content["why"])


def _taxonomy(content: Mapping[str, Any]) -> Taxonomy:
    return Taxonomy(
        namespace=content["namespace"],
        schema=content["schema"],
        files=tuple(content["files"]),
        concepts=content["concepts"],
        members=content.get("members", {}),
    )
