"""Which factors the rows of a day meet: the record that a later change of factors is compared with.

What belongs here: places, water of grids, hardware and constants of estimates that the energy of a day meets, one row
for each thing with its value, validity, edition and who says so. What does not: intensities of grids, which are a table
of their own (`grid_intensity`), and what became another one (`factors/changes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import FactorsApplied
from energy_assets.contracts.vocabulary import ESTIMATED, DeviceKind, FactorState
from energy_assets.estimates.constants import Constants
from energy_assets.estimates.own_tables import OwnHardware
from energy_assets.factors import hardware
from energy_assets.factors.editions import BEGINNING, END, Standing
from energy_assets.factors.footprints import Embodied, embodied_device, waters_of_grids
from energy_assets.factors.losses import GridLoss, loss_of
from energy_assets.factors.places import MEMBER, Resolved, members_of

Keep = Callable[[ir.Table], ir.Table]
_TOLD = ("factor", "of", "value", "unit", "valid_from", "valid_to", "edition", "state", "said_by")
_THING = ("provider", "device_kind", "device_model", "estimated")
_TYPES: dict[str, pa.DataType] = {"valid_from": pa.date32(), "valid_to": pa.date32(), "estimated": pa.bool_()}
LOST = "kWh lost per kWh delivered"


def factors_applied(
    energy: ir.Table,
    resolve: Callable[[Any], Sequence[Resolved]],
    inventory: Sequence[OwnHardware],
    constants: Constants,
    losses: Collection[GridLoss],
    keep: Keep,
) -> ir.Table:
    """Rows of the contract `FactorsApplied`.

    Args:
        energy: Rows of the contract `Energy`, on a connection.
        resolve: The place of each of some members on the days of the energy.
        inventory: The site's own hardware.
        constants: Those that estimates are made with.
        losses: The site's own rows of grid losses.
        keep: Computes a table once and for all.
    """
    seen = keep(
        energy.select(
            "day", *MEMBER, "zone", "device_kind", "device_model",
            year=energy.day.year(), estimated=energy.method.isin(ESTIMATED),
        ).distinct()
    )  # fmt: skip
    things = keep(seen.select(*_THING).distinct())
    zones = keep(seen.filter(seen.zone.notnull()).select("zone", "year").distinct())
    told = [
        _by_member(seen, _of_places(resolve(members_of(seen)))),
        _joined(seen, ("zone",), _of_grids(_values(seen.zone))),
        _joined(seen, ("zone", "year"), _of_losses(zones.to_pyarrow().to_pylist(), losses)),
        _joined(seen, _THING, _of_things(things.to_pyarrow().to_pylist(), constants)),
        _in_service(seen, _of_inventory(inventory)),
    ]
    rows = ibis.union(*told, distinct=True)
    return rows.select(**{name: rows[name].cast(dtype) for name, dtype in schema_of(FactorsApplied).items()})


def _by_member(seen: ir.Table, told: Iterable[tuple[Any, ...]]) -> ir.Table:
    names = [f"its_{name}" for name in (*MEMBER, "first", "after")]
    table = _table([*names, *_TOLD], told, {"its_first": pa.date32(), "its_after": pa.date32()})
    here = [seen[name].identical_to(table[f"its_{name}"]) for name in MEMBER]
    joined = seen.inner_join(table, [*here, seen.day >= table.its_first, seen.day < table.its_after])
    return joined.select("day", *_TOLD)


def _joined(seen: ir.Table, keys: tuple[str, ...], told: Iterable[tuple[Any, ...]]) -> ir.Table:
    table = _table(
        [*(f"its_{key}" for key in keys), *_TOLD], told, {"its_estimated": pa.bool_(), "its_year": pa.int32()}
    )
    return seen.inner_join(table, [seen[key].identical_to(table[f"its_{key}"]) for key in keys]).select("day", *_TOLD)


def _in_service(seen: ir.Table, told: Iterable[tuple[Any, ...]]) -> ir.Table:
    table = _table(_TOLD, told, {})
    return seen.inner_join(table, [seen.day >= table.valid_from, seen.day < table.valid_to]).select("day", *_TOLD)


def _table(names: Sequence[str], rows: Iterable[tuple[Any, ...]], types: Mapping[str, pa.DataType]) -> ir.Table:
    known = {**_TYPES, **types}
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = [pa.array(column, known.get(name, pa.string())) for name, column in zip(names, columns, strict=True)]
    return ibis.memtable(pa.table(arrays, names=list(names)))


def _of_places(resolved: Iterable[Resolved]) -> list[tuple[Any, ...]]:
    found = []
    for one in resolved:
        member = one.member
        where = " ".join(filter(None, (member.provider, member.region)))
        key = (member.source, member.provider, member.account_id, member.region, one.valid_from, one.valid_to)
        values = (("grid zone", one.zone, None), ("PUE", one.pue, "kWh/kWh"), ("GHG scope", one.ghg_scope, None),
                  ("WUE", one.wue, "l/kWh"))  # fmt: skip
        for (name, value, unit), by, stands in zip(values, one.said_by, one.standing, strict=True):
            found.append((*key, name, where, _plain(value), unit, *_standing(stands), by or None))
    return found


def _standing(stands: Standing | None) -> tuple[date | None, date | None, str | None, str]:
    """From, until, edition and state; what site.yaml states has its validity in who says so."""
    if stands is None:
        return None, None, None, FactorState.APPLIES.value
    state = FactorState.CARRIED if stands.carried else FactorState.APPLIES
    since = None if stands.since == BEGINNING else stands.since
    return since, None if stands.until == END else stands.until, stands.edition.edition or None, state.value


def _of_grids(zones: Iterable[str]) -> list[tuple[Any, ...]]:
    found = []
    for zone in sorted(zones):
        water = waters_of_grids().get(zone)
        told = (_plain(water.l_per_kwh), str(water.year), water.source) if water else (None, None, None)
        found.append((zone, *_row("water of the grid, consumed", zone, told[0], "l/kWh", told[1], told[2])))
    return found


def _of_losses(zones: Iterable[Mapping[str, Any]], own: Collection[GridLoss]) -> list[tuple[Any, ...]]:
    """What each grid lost on the way in the year of the day; a year without a value of its own takes a carried one."""
    found = []
    for row in zones:
        zone, year = row["zone"], row["year"]
        if loss := loss_of(zone, year, own):
            state = FactorState.APPLIES if loss.year == year else FactorState.CARRIED
            told = _row("grid losses", zone, _plain(loss.per_kwh), LOST, str(loss.year), loss.source, state)
        else:
            told = _row("grid losses", zone, None, LOST, None, None)
        found.append((zone, year, *told))
    return found


def _of_things(things: Iterable[Mapping[str, Any]], constants: Constants) -> list[tuple[Any, ...]]:
    """Hardware: what making a metered accelerator emitted, and the watts and constants that estimates multiply with."""
    found = []
    for thing in things:
        key, model, kind = tuple(thing[name] for name in _THING), thing["device_model"], thing["device_kind"]
        if kind == DeviceKind.GPU.value and model and not thing["estimated"]:
            made = embodied_device(hardware.accelerator_of_device(model) or "")
            found.append((*key, *_made(model, made)))
        if thing["estimated"]:
            found += [(*key, *row) for row in _of_estimates(thing["provider"], kind, model, constants)]
    return found


def _made(model: str, made: Embodied | None) -> tuple[Any, ...]:
    if made is None:
        return _row("making of hardware", model, None, "kg", None, None)
    unit = f"kg over {made.lifetime_years:f} years"
    return _row("making of hardware", model, _plain(made.kg), unit, str(made.year), made.source)


_COEFFICIENTS = {
    DeviceKind.DRAM.value: ("memory",),
    DeviceKind.STORAGE.value: ("storage_hdd", "storage_ssd"),
    DeviceKind.NETWORK.value: ("network",),
}
"""Constants by the kind of what an estimate is of."""


def _of_estimates(provider: str, kind: str, model: str | None, constants: Constants) -> list[tuple[Any, ...]]:
    if kind == DeviceKind.GPU.value and model:
        name = "watts of a GPU, none to full load"
        board = constants.own_accelerators.get(model) or hardware.accelerators().get(model)
        if board is None:
            return [_row(name, model, None, "W", None, None)]
        value = f"{_plain(board.idle_w) or 'unknown'} to {_plain(board.max_w) or 'unknown'}"
        return [_row(name, model, value, "W", str(board.year), board.source)]
    if kind == DeviceKind.CPU.value:
        name, of = "watts of a vCPU, none to full load", f"{provider} {model or 'average'}"
        power = hardware.cpu_power(provider, model)
        if power is None:
            return [_row(name, of, None, "W", None, None)]
        value = f"{_plain(power.idle_w_per_vcpu)} to {_plain(power.max_w_per_vcpu)}"
        return [_row(name, of, value, "W", str(power.year), power.source)]
    known = hardware.coefficients()
    return [
        _row(name.replace("_", " "), "estimates", _plain(one.value), one.unit, str(one.year), one.source)
        for name in _COEFFICIENTS.get(kind, ())
        if (one := known.get(name))
    ]


def _of_inventory(inventory: Iterable[OwnHardware]) -> list[tuple[Any, ...]]:
    found = []
    for line in inventory:
        of = " ".join(filter(None, (line.host, line.device_model)))
        unit = f"kg over {_plain(line.lifetime_years)} years"
        value = f"{_plain(line.count)} x {_plain(line.kg)}"
        state = FactorState.APPLIES.value
        found.append(("making of hardware", of, value, unit, line.first, line.after, None, state, line.source))
    return found


def _row(
    factor: str,
    of: str,
    value: str | None,
    unit: str | None,
    edition: str | None,
    said_by: str | None,
    state: FactorState = FactorState.APPLIES,
) -> tuple[Any, ...]:
    return factor, of, value, unit, None, None, edition, state.value, said_by


def _plain(value: Decimal | str | None) -> str | None:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


def _values(texts: ir.StringColumn) -> list[str]:
    named = texts.name("text").as_table().distinct()
    return [text for text in named.to_pyarrow()["text"].to_pylist() if text is not None]
