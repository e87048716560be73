"""A site's own machine types, accelerators, hardware and grid losses: CSV files that `factors` in site.yaml names.

What belongs here: reading them, with an error that names file, line and column. What does not: what is made of them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from energy_assets.estimates.constants import Constants
from energy_assets.factors.hardware import Accelerator, Instance, instance_key
from energy_assets.factors.losses import OF, GridLoss
from energy_assets.site import Site
from energy_assets.sources.errors import MalformedError

K = TypeVar("K")
T = TypeVar("T")
PROVIDERS = ("aws", "gcp", "azure", "oracle")
HARDWARE_COLUMNS = (
    "host", "device_model", "count", "kg_co2e", "lifetime_years", "in_service_from", "in_service_to", "source",
)  # fmt: skip
INSTANCE_COLUMNS = ("provider", "instance_type", "vcpus", "memory_gib", "accelerator", "accelerators", "year", "source")
LOSS_COLUMNS = ("zone", "loss_share", "of", "year", "source")
ACCELERATOR_COLUMNS = ("accelerator", "idle_w", "max_w", "uncertainty_pct", "year", "source")
DAYS_OF_YEAR = 365
REMEDY = "Write it as the command `factors --missing` prints it."


def own_constants(site: Site) -> Constants:
    """The constants of a site: its own rows before the built-in ones.

    Args:
        site: Its `factors` may name files.

    Raises:
        MalformedError: a file cannot be read, lacks a column, or a cell cannot be read; names file, line and column.
    """
    machines = _keyed(site, site.factors.instances, INSTANCE_COLUMNS, _instance)
    accelerators = _keyed(site, site.factors.accelerators, ACCELERATOR_COLUMNS, _accelerator)
    return Constants(machines, accelerators, site.estimates.spend_proxy)


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
    remedy = f"Its columns are {', '.join(HARDWARE_COLUMNS)}."
    return [made for _, made in _rows(site, site.factors.hardware, HARDWARE_COLUMNS, _hardware, remedy)]


def own_losses(site: Site) -> list[GridLoss]:
    """The grid losses that `factors: {losses: …}` names; none where it names none.

    Args:
        site: The site.

    Raises:
        MalformedError: the file cannot be read, lacks a column, states a zone and year twice, or a cell cannot be
            read; names file, line and column.
    """
    remedy = f"Its columns are {', '.join(LOSS_COLUMNS)}."
    found: dict[tuple[str, int], GridLoss] = {}
    for number, made in _rows(site, site.factors.losses, LOSS_COLUMNS, _loss, remedy):
        if (made.zone, made.year) in found:
            raise MalformedError(
                f"{site.factors.losses}, line {number}: {made.zone} of {made.year} stands in the file twice",
                "Remove one of the lines.",
            )
        found[made.zone, made.year] = replace(made, said_by=str(site.factors.losses))
    return list(found.values())


def _loss(line: dict[str, str]) -> GridLoss:
    share, of = _number(line, "loss_share"), _text(line, "of")
    if share is None or share >= 1:
        raise _CellError(f"loss_share is {line['loss_share']!r}; it is a share of 1, such as 0.051 for 5.1 %")
    if of not in OF:
        raise _CellError(f"of is {of!r}; it says what the share is of: {' or '.join(OF)}")
    return GridLoss(_text(line, "zone"), share, of, int(_positive(line, "year")), _text(line, "source"))


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


def _keyed(
    site: Site, name: str | None, columns: tuple[str, ...], make: Callable[[dict[str, str]], tuple[K, T]]
) -> dict[K, T]:
    """Rows by their key, of which each may stand in the file once."""
    found: dict[K, T] = {}
    for number, (key, made) in _rows(site, name, columns, make):
        if key in found:
            said = " ".join(key) if isinstance(key, tuple) else key
            raise MalformedError(f"{name}, line {number}: {said} stands in the file twice", REMEDY)
        found[key] = made
    return found


def _rows(
    site: Site, name: str | None, columns: tuple[str, ...], make: Callable[[dict[str, str]], T], remedy: str = REMEDY
) -> list[tuple[int, T]]:
    """The rows of a file, each with its line."""
    if name is None:
        return []
    path = site.folder / name
    try:
        text = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MalformedError(
            f"{name}: cannot be read ({why})", "Mend the path under `factors:` in site.yaml."
        ) from None
    # Comments, as `factors --missing` prints them, are blanked and not cut: numbers of lines stay.
    rows = csv.reader("" if line.lstrip().startswith("#") else line for line in text)
    cells = [(number, row) for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row)]
    header = [column.strip() for column in cells[0][1]] if cells else list(columns)
    if absent := [column for column in columns if column not in header]:
        raise MalformedError(f"{name}: has no column {', '.join(absent)}", remedy)
    found = []
    for number, row in cells[1:]:
        try:
            found.append((number, make(_named(header, row))))
        except _CellError as error:
            raise MalformedError(f"{name}, line {number}: {error}", remedy) from None
    return found


def _named(header: list[str], row: list[str]) -> dict[str, str]:
    if len(row) > len(header):
        raise _CellError(f"has {len(row)} cells, and the header has {len(header)}")
    return dict(zip(header, row + [""] * (len(header) - len(row)), strict=True))


class _CellError(Exception):
    """A cell that cannot be read."""


def _instance(line: dict[str, str]) -> tuple[tuple[str, str], Instance]:
    provider = _text(line, "provider").lower()
    if provider not in PROVIDERS:
        raise _CellError(f"provider is {provider!r}; it must be one of {', '.join(PROVIDERS)}")
    accelerators = _number(line, "accelerators", optional=True) or Decimal(0)
    if bool(accelerators) != bool(line["accelerator"].strip()):
        raise _CellError("accelerator and accelerators must both be there, or none of them")
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
