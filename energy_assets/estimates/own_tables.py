"""A site's own machine types, accelerators and hardware: small CSV files that `factors` in site.yaml names.

What belongs here: reading them, with an error that names file, line and column. What does not: what is made of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from energy_assets.estimates.constants import Constants
from energy_assets.factors.hardware import Accelerator, Instance, instance_key
from energy_assets.site import Site
from energy_assets.sources.errors import MalformedError

T = TypeVar("T")
HARDWARE_COLUMNS = (
    "host", "device_model", "count", "kg_co2e", "lifetime_years", "in_service_from", "in_service_to", "source",
)  # fmt: skip
INSTANCE_COLUMNS = ("provider", "instance_type", "vcpus", "memory_gib", "accelerator", "accelerators", "year", "source")
ACCELERATOR_COLUMNS = ("accelerator", "idle_w", "max_w", "uncertainty_pct", "year", "source")
DAYS_OF_YEAR = 365
REMEDY = "Write it as `energy-assets factors --missing` prints it."


def own_constants(site: Site) -> Constants:
    """The constants of a site: its own rows before the built-in ones.

    Args:
        site: Its `factors` may name files.

    Raises:
        MalformedError: a file cannot be read, lacks a column, or a cell cannot be read; names file, line and column.
    """
    machines = _rows(site, site.factors.instances, INSTANCE_COLUMNS, _instance)
    accelerators = _rows(site, site.factors.accelerators, ACCELERATOR_COLUMNS, _accelerator)
    return Constants(dict(machines), dict(accelerators))


@dataclass(frozen=True)
class OwnHardware:
    """A line of the inventory of own hardware: pieces that are alike, in each host that it names.

    Attributes:
        host: Name of a host, or a pattern with `*` and `?`.
        device_model: Of a device, as telemetry tells it, or an accelerator's name, or a pattern; None: the host itself.
        count: Pieces per host.
        kg: CO2e of making one of them.
        lifetime_years: Years of use over which it is spread.
        first: First day of its use.
        after: The day after the last: when it left, or when its years are over.
        source: Who says what its making emitted.
    """

    host: str
    device_model: str | None
    count: Decimal
    kg: Decimal
    lifetime_years: Decimal
    first: date
    after: date
    source: str


def own_hardware(site: Site) -> list[OwnHardware]:
    """The inventory of own hardware that `factors: {hardware: …}` names; none where it names none.

    Args:
        site: The site.

    Raises:
        MalformedError: the file cannot be read, lacks a column, or a cell cannot be read; names file, line and column.
    """
    return _rows(
        site, site.factors.hardware, HARDWARE_COLUMNS, _hardware, f"Its columns are {', '.join(HARDWARE_COLUMNS)}."
    )


def _hardware(line: dict[str, str]) -> OwnHardware:
    years, first, left = _positive(line, "lifetime_years"), _day(line, "in_service_from"), line["in_service_to"].strip()
    over = first + timedelta(days=round(years * DAYS_OF_YEAR))
    after = min(over, _day(line, "in_service_to")) if left else over
    if after <= first:
        raise _CellError(f"in_service_to {after} is not after in_service_from {first}")
    return OwnHardware(
        _text(line, "host"), line["device_model"].strip() or None, _positive(line, "count"),
        _positive(line, "kg_co2e"), years, first, after, _text(line, "source"),
    )  # fmt: skip


def _day(line: dict[str, str], column: str) -> date:
    text = _text(line, column)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _CellError(f"{column} is {text!r}, which is no day such as 2025-03-01") from None


def _rows(
    site: Site, name: str | None, columns: tuple[str, ...], make: Callable[[dict[str, str]], T], remedy: str = REMEDY
) -> list[T]:
    if name is None:
        return []
    path = site.folder / name
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MalformedError(
            f"{name}: cannot be read ({why})", "Mend the path under `factors:` in site.yaml."
        ) from None
    if lines and (absent := [column for column in columns if column not in lines[0]]):
        raise MalformedError(f"{name}: has no column {', '.join(absent)}", remedy)
    found = []
    for number, line in enumerate(lines, 2):
        try:
            found.append(make(line))
        except _CellError as error:
            raise MalformedError(f"{name}, line {number}: {error}", remedy) from None
    return found


class _CellError(Exception):
    """A cell that cannot be read."""


def _instance(line: dict[str, str]) -> tuple[tuple[str, str], Instance]:
    provider = _text(line, "provider").lower()
    accelerators = _number(line, "accelerators", optional=True) or Decimal(0)
    made = Instance(
        _positive(line, "vcpus"),
        _positive(line, "memory_gib"),
        None,
        line["accelerator"].strip() or None,
        accelerators,
        int(_positive(line, "year")),
        _text(line, "source"),
        "the site's own",
    )
    return (provider, instance_key(provider, _text(line, "instance_type"))), made


def _accelerator(line: dict[str, str]) -> tuple[str, Accelerator]:
    idle, full = _number(line, "idle_w", optional=True), _positive(line, "max_w")
    if idle is not None and idle > full:
        raise _CellError(f"idle_w {idle} is more than max_w {full}")
    pct = _number(line, "uncertainty_pct", optional=True)
    year, source = int(_positive(line, "year")), _text(line, "source")
    return _text(line, "accelerator"), Accelerator("", idle, full, pct, year, source, "the site's own")


def _text(line: dict[str, str], column: str) -> str:
    text = (line[column] or "").strip()
    if not text:
        raise _CellError(f"{column} is empty")
    return text


def _positive(line: dict[str, str], column: str) -> Decimal:
    number = _number(line, column)
    if not number:
        raise _CellError(f"{column} is {line[column]!r}; it must be more than 0")
    return number


def _number(line: dict[str, str], column: str, *, optional: bool = False) -> Decimal | None:
    text = (line[column] or "").strip()
    if not text and optional:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _CellError(f"{column} is {text!r}, which is no number") from None
    if not number.is_finite() or number < 0:
        raise _CellError(f"{column} is {text!r}; it must be 0 or more")
    return number
