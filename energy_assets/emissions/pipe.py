"""The pipe from energy to emissions: small appliers, one after the other, each with its own columns and factors.

What belongs here: what an applier is, and how the contract's row is completed. What does not: the arithmetic of one
applier (`appliers.py`), and reading tables (`assets.py`). Metered, estimated and provider-reported energy all come
through here; a column that no applier fills is NULL, which is unknown and not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import Emissions

Basis = Literal["direct", "lifecycle"]


@dataclass(frozen=True)
class Hardware:
    """What is known of the manufacture of metered devices; each None where there is nothing of it.

    Attributes:
        models: Grams per hour of accelerators by the model that telemetry tells: `device_model`, `hourly_g`.
        shares: Device-hours with several rows, by `DEVICE_HOUR`: `of_rows`, `of_hours` (together at most 1).
        own: Of the site's inventory, grams per device-hour: `day`, `node_id`, `device_kind`, `model` (`device_model`,
            empty where there is none), `device_g` (of the device itself, NULL: no line of it) and `host_g` (its part of
            the host).
    """

    models: ir.Table | None = None
    shares: ir.Table | None = None
    own: ir.Table | None = None


@dataclass(frozen=True)
class Factors:
    """What appliers multiply with.

    Attributes:
        places: PUE and GHG scope by member and validity, from `factors.places.resolve`.
        intensity: Rows of the contract `GridIntensity` for the hours of the energy.
        uncertainty: 95 % interval of an intensity in per cent: `factor_tier`, `resolution`, `uncertainty_pct`.
        basis: Intensity behind `location_g`: direct (combustion), or life-cycle.
        hardware: What is known of the manufacture of metered devices, from `embodied.hardware_of`.
        water: Litres that a kWh of a grid zone consumes: `zone`, `consumed_l_per_kwh`; None for none known.
        losses: kWh lost on the way for each that arrives, from `losses.losses_of`; None for none known.
    """

    places: ir.Table
    intensity: ir.Table
    uncertainty: ir.Table
    basis: Basis = "direct"
    hardware: Hardware = Hardware()
    water: ir.Table | None = None
    losses: ir.Table | None = None


@dataclass(frozen=True)
class Applier:
    """One step of the pipe.

    Attributes:
        name: For people.
        columns: The columns of `Emissions` it fills.
        apply: Rows with the columns of all appliers before it, to the same rows with `columns` added.
    """

    name: str
    columns: tuple[str, ...]
    apply: Callable[[ir.Table, Factors], ir.Table]


def run_pipe(energy: ir.Table, factors: Factors, appliers: Sequence[Applier]) -> ir.Table:
    """Rows of the contract `Emissions`.

    Args:
        energy: Rows of the contract `Energy`: one per hour, device and user.
        factors: What the appliers use.
        appliers: In the order in which they build on each other.
    """
    rows = energy
    for applier in appliers:
        rows = applier.apply(rows, factors)
    schema = schema_of(Emissions)
    return rows.select(
        **{name: rows[name] if name in rows.columns else ibis.null(dtype) for name, dtype in schema.items()}
    )
