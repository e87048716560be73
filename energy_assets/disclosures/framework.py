"""Reading a disclosure profile from reports/frameworks: standards' codes, omissions, plausibility gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import yaml

from energy_assets.disclosures.places import reports_folder


@dataclass(frozen=True)
class Gate:
    """Limits of a plausible value and the reason for them."""

    low: Decimal
    high: Decimal
    why: str


@dataclass(frozen=True)
class Framework:
    """A disclosure profile.

    Attributes:
        profile: Its name.
        title: Title of the report.
        subtitle: The line below it.
        maps_to: Codes of standards by quantity.
        omissions: By column of `emissions` that may be empty: what it would hold, and why it is empty.
        intensity: Gate of grams per kWh.
        watts: Gate of watts per kind of device.
    """

    profile: str
    title: str
    subtitle: str
    maps_to: Mapping[str, Sequence[str]]
    omissions: Mapping[str, Mapping[str, str]]
    intensity: Gate
    watts: Mapping[str, Gate]


def framework(profile: str) -> Framework:
    """Read `reports/frameworks/<profile>.yaml`.

    Raises:
        FileNotFoundError: there is no such profile.
    """
    path = reports_folder() / "frameworks" / f"{profile}.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    gates = content["gates"]
    return Framework(
        profile=content["profile"],
        title=content["title"],
        subtitle=content["subtitle"],
        maps_to=content["maps_to"],
        omissions=content["omissions"],
        intensity=_gate(gates["intensity_g_per_kwh"]),
        watts={kind: _gate(gate) for kind, gate in gates["watts"].items()},
    )


def _gate(content: Mapping[str, Any]) -> Gate:
    return Gate(Decimal(str(content.get("low", 0))), Decimal(str(content["high"])), content["why"])
