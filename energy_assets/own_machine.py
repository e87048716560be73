"""A site file for one's own machine, from a file of power readings: what can be recognised is, the rest is asked for.

What belongs here: recognising columns, units, clock and format of a file, and writing the site file. What does not:
reading the file for figures, which the source `power_files` does by the keys that are written here, and printing.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
from pydantic import ValidationError

from energy_assets.factors.countries import in_a_country
from energy_assets.grams import Grams
from energy_assets.grid_coverage import no_country
from energy_assets.own_files import Logs, NoFiles, node_of_files
from energy_assets.sources import csv_text
from energy_assets.sources.base import StepContext
from energy_assets.sources.clock_names import NAMED_LOCAL, NAMED_UTC, steady_utc
from energy_assets.sources.errors import SourceError
from energy_assets.sources.focus.source import FocusFiles
from energy_assets.sources.grid_factors.published import PublishedIntensity, Publisher, published_intensities
from energy_assets.sources.grid_factors.source import CARRIED_YEARS, Factor
from energy_assets.sources.intensity import looks_like_kilograms
from energy_assets.sources.local_time import this_machine
from energy_assets.sources.opening import STATES_OFFSET, Opened, header_unit, open_file, plain_path
from energy_assets.sources.power_files import nvidia_smi
from energy_assets.sources.power_files.checking import said_of_file
from energy_assets.sources.power_files.parse import seen_devices
from energy_assets.sources.power_files.readings import Readings
from energy_assets.sources.power_files.source import PowerFiles
from energy_assets.sources.power_files.tables import Given, find_energy
from energy_assets.sources.power_files.watts import speaks_of
from energy_assets.storage import Storage

_NAMES = {
    "time": ("time", "timestamp", "datetime", "date_time", "date", "ts", "time_ms", "time_s", "epoch", "zeit", "datum"),
    "node": ("node", "host", "hostname", "machine", "server", "node_id", "instance", "system", "rechner"),
    "device": ("uuid", "gpu_uuid", "device", "device_id", "gpu", "gpu_id", "gpu_index", "psu", "powersupply", "socket"),
    "run": ("run", "run_id", "job", "job_id", "jobid", "workload"),
}
"""What columns are called, in lower case without blanks; the first that a file has is taken."""

_POWER = re.compile(r"power|watt|leistung|draw|^w$|_w$", re.IGNORECASE)
_NO_POWER = re.compile(r"limit|factor|supply|state|cap\b|max|min\b", re.IGNORECASE)
_MAGNITUDES = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
"""From which number on an epoch time of this century is in a unit."""

_LONGEST_GAP_S = 300
SHOWN = 4
PUBLISHER: Publisher = "google_cloud"
"""Whose yearly factor is taken where a person names none."""


class Unrecognised(Exception):
    """Something a site file needs and the file does not tell; the message says how to say it."""


@dataclass(frozen=True)
class Wishes:
    """What a person says beside the file.

    Attributes:
        zone: Grid zone of the machine.
        timezone: Of times that state no offset; None for that of this machine.
        node: Name of the machine, where no column names it; None for this machine's.
        pue: Of the building.
        bill: A FOCUS bill.
        grid_factor: Direct grid factor of a year.
        grid_lifecycle: The life-cycle one.
        grid_source: Who states them.
        grid_year: Of which year they are; None for that of the readings.
        keys: Keys of the source as the person sets them.
    """

    zone: str
    timezone: str | None = None
    node: str | None = None
    pue: Decimal = Decimal(1)
    bill: Path | None = None
    grid_factor: Grams | None = None
    grid_lifecycle: Grams | None = None
    grid_source: str | None = None
    grid_year: int | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A site file that works, before it is written.

    Attributes:
        text: Of the file.
        said: What was recognised, and from what, line by line.
        doubts: What a run will say of the readings though it takes them, and what to do.
        missing: What the file does not have yet, and how to add it.
        first: First day with readings, UTC.
        last: Last complete day with readings; None where none is over.
    """

    text: str
    said: Sequence[str]
    doubts: Sequence[str]
    missing: Sequence[str]
    first: date
    last: date | None


def draft(logs: Logs, site: Path, wishes: Wishes, now: datetime) -> Draft:
    """A site file for files of readings.

    Args:
        logs: CSV or Parquet; the first tells the columns of all.
        site: Where the site file will lie; paths in it start there.
        wishes: What a person says.
        now: The current instant, UTC.

    Raises:
        Unrecognised: something is not told; says how to say it.
    """
    _check_wishes(wishes)
    con = ibis.duckdb.connect()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            files = _files(logs, site)
            opened = _opened(con, *files[0], folder, padded=False)
            keys, said = _recognised(opened, wishes)
            pattern = _from(logs.pattern, site)
            source = _validated(pattern, keys, wishes)
            every = _readings(con, files, folder, source)
            if len(files) > 1:
                said.append(f"{len(files)} files: {', '.join(name for _, name in files[:SHOWN])}{_more(files)}")
            if len(files) > 1 and not wishes.node and isinstance(keys["node"], dict):
                if by_name := node_of_files(con, every):
                    keys["node"] = {"from_path": by_name}
                    source = _validated(pattern, keys, wishes)
                    every = _readings(con, files, folder, source)
                    said[:] = [line for line in said if not line.startswith("node is ")]
                    said.append(_nodes(con, every))
                else:
                    said.append("no board of one name is read in two files at a time, so all are of this one node")
            gap = _gap_s(con, every, source)
            if gap is not None:
                keys["max_gap_s"] = gap
                said.append(f"readings come every {gap / 1.5:.0f} s or so, so max_gap_s is {gap}")
                source = _validated(pattern, keys, wishes)
            found = find_energy(con, _given(every), [], source.rules, None)
            checked = [said_of_file(con, one, source.rules) for one in every]
            bare = found.notes.get("devices_without_energy", 0) == int(found.kinds.count().to_pyarrow().as_py())
    except SourceError as error:
        raise Unrecognised(f"{error.message}.\n{_as_option(error.remedy)}") from error
    except NoFiles as error:
        raise Unrecognised(str(error)) from error
    finally:
        con.disconnect()
    _, first, last, _ = found.summary
    if first is None or last is None or bare:
        raise Unrecognised(f"{checked[0].what}.\n{_as_option(checked[0].remedy)}")
    said += [one.what for one in checked[:SHOWN] if one.ok]
    doubts = [f"{one.what}.\n{_as_option(one.remedy)}" for one in checked if not one.ok]
    first_day, yesterday = first.date(), now.date() - timedelta(days=1)
    last_day = min((last - timedelta(microseconds=1)).date(), yesterday)
    text, missing = _text(site, pattern, keys, wishes, first_day, said)
    return Draft(text, said, doubts, missing, first_day, last_day if last_day >= first_day else None)


def _files(logs: Logs, site: Path) -> list[tuple[Path, str]]:
    """Each file, and its name as the source will call it."""
    folder = site.resolve().parent
    return [(file, Path(os.path.relpath(file.resolve(), folder)).as_posix()) for file in logs.files]


def _readings(con: Any, files: Sequence[tuple[Path, str]], folder: Path, source: PowerFiles) -> list[Readings]:
    padded = source.format is not None
    return [Readings.of(_opened(con, *file, folder, padded=padded), source.columns) for file in files]


def _given(readings: Sequence[Readings]) -> list[Given]:
    return [Given(str(number), one) for number, one in enumerate(readings)]


def _more(files: Sequence[Any]) -> str:
    return f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""


def _nodes(con: Any, readings: Sequence[Readings]) -> str:
    names = sorted({device.node_id for one in readings for device, *_ in seen_devices(con, one)})
    return (
        f"node is the name of the file ({', '.join(names[:SHOWN])}{_more(names)}): boards of one name are read in "
        "several files at a time (--node names one machine for all)"
    )


def _check_wishes(wishes: Wishes) -> None:
    zone = wishes.zone.strip().upper()
    if not in_a_country(zone):
        raise Unrecognised(
            f"--zone {wishes.zone}: {no_country(zone)}.\nA zone of your own, for a grid that nobody publishes, can be "
            "written into the site file by hand: as the `zone` of the place and of its factor."
        )
    has_value = wishes.grid_factor is not None or wishes.grid_lifecycle is not None
    if has_value and not wishes.grid_source:
        raise Unrecognised('who states the grid factor? Say it: --grid-source "publisher, document, year"')
    if wishes.grid_source and not has_value:
        raise Unrecognised("--grid-source names who states a factor; say the factor too: --grid-factor 380")
    _check_factors(wishes.grid_factor, wishes.grid_lifecycle)


def _check_factors(direct: Grams | None, lifecycle: Grams | None) -> None:
    """Refuse factors that look like kilograms, unless their unit is typed; and a 0 that nothing stands beside."""
    said = {"--grid-factor": direct, "--grid-lifecycle": lifecycle}
    stated = {option: grams for option, grams in said.items() if grams is not None}
    if any(grams.value == 0 for grams in stated.values()) and not (lifecycle and lifecycle.value):
        raise Unrecognised(
            "a grid factor of 0: no grid has it over its life cycle, and few where they burn.\nIf the direct one is 0, "
            "say the life-cycle one beside it, for example --grid-lifecycle 24. What you buy as green power changes no "
            "grid factor."
        )
    unsaid = {option: grams for option, grams in stated.items() if not grams.unit}
    if unsaid and looks_like_kilograms(direct.value if direct else None, lifecycle.value if lifecycle else None):
        typed = " ".join(f"{option} {grams.typed}" for option, grams in stated.items())
        kilograms = " ".join(f"{option} '{grams.typed} kg'" for option, grams in unsaid.items())
        raise Unrecognised(
            f"{typed}: less than that of any grid in grams per kWh, so it may be kilograms.\nIf it is, say so: "
            f"{kilograms}. If it is grams, for a grid burns next to nothing, say its life-cycle value beside it, for "
            "example --grid-lifecycle 24."
        )


def _opened(con: Any, csv: Path, name: str, folder: Path, *, padded: bool) -> Opened:
    return open_file(con, plain_path(csv.resolve(), name, folder), name, folder, padded=padded)


def _recognised(file: Opened, wishes: Wishes) -> tuple[dict[str, Any], list[str]]:
    """Keys of the source, and where they come from."""
    names, keys, said = file.table.names, dict[str, Any](), list[str]()
    set_by_hand = dict(wishes.keys)
    if set_by_hand.get("format") == "nvidia_smi" or (nvidia_smi.is_log(names) and "power_w" not in set_by_hand):
        keys["format"] = "nvidia_smi"
        said.append(f"a log of nvidia-smi, by its columns timestamp and {nvidia_smi.power_column(names)}")
        time = set_by_hand.get("time") or nvidia_smi.TIME
    else:
        time = set_by_hand.get("time") or _named(names, "time") or ""
        if not time:
            raise Unrecognised(_which("holds the time", "time", names))
        keys["time"] = time
        power = set_by_hand.get("power_w") or _power(names)
        keys["power_w"] = power
        said.append(f"power is column '{power}' (first value {_first(file, power, 'power_w')!r})")
        unit = header_unit(power)
        if unit in ("kW", "KW", "MW", "mW") and "power_unit" not in set_by_hand:
            keys["power_unit"] = {"KW": "kW"}.get(unit, unit)
            said.append(f"its unit is {keys['power_unit']}, as its name says")
        for key in ("device", "run"):
            column = set_by_hand.get(key) or _named(names, key)
            if column:
                keys[key] = column
                said.append(f"{key} is column '{column}' (first value {_first(file, column, key)!r})")
    node = set_by_hand.get("node") or ("" if "format" in keys else _named(names, "node"))
    if node:
        keys["node"] = node
        said.append(f"node is column '{node}' (first value {_first(file, node, 'node')!r})")
    else:
        keys["node"] = {"constant": wishes.node or platform.node().split(".")[0] or "my-machine"}
        whose = "as you say" if wishes.node else "this machine's name; --node names another"
        said.append(f"node is {keys['node']['constant']} ({whose})")
    _clock(file, file.table.column(time, "time"), keys, said, wishes)
    return {**keys, **set_by_hand}, said


def _clock(file: Opened, column: str, keys: dict[str, Any], said: list[str], wishes: Wishes) -> None:
    cell = _first(file, column, "time")
    kind = file.types[column]
    if kind == "TIMESTAMP WITH TIME ZONE" or STATES_OFFSET.search(cell):
        said.append(f"times are column '{column}' and state their offset (first value {cell!r})")
        if "format" not in keys:
            return
    number = _number(cell)
    if number is not None and not kind.startswith(("TIMESTAMP", "DATE")):
        unit = next((unit for least, unit in _MAGNITUDES if number >= least), None)
        if unit is None:
            raise Unrecognised(
                f"the times in column '{column}' ({cell!r}) are no epoch times of this century.\n"
                "Name the column of times: --set time=COLUMN"
            )
        keys["time_unit"] = unit
        said.append(f"times are column '{column}' in {unit} since 1970 (first value {cell!r})")
        return
    local = NAMED_LOCAL.search(column) is not None
    if local and not wishes.timezone and steady_utc(this_machine()):
        raise Unrecognised(
            f"the name of the column '{column}' says by which clock its times are, and this machine's clock is UTC.\n"
            "Name the zone: --timezone, for example Europe/Berlin"
        )
    utc = NAMED_UTC.search(column) is not None and not local
    own = "UTC" if utc else this_machine()
    zone = wishes.timezone or own
    keys["timezone"] = zone
    whose = "as the column's name says" if utc else "this machine's zone; --timezone names another"
    whose = "as you say" if wishes.timezone else whose
    said.append(f"times are column '{column}' by the clock of {zone} ({whose}; first value {cell!r})")


def _validated(path: str, keys: Mapping[str, Any], wishes: Wishes) -> PowerFiles:
    block = {"name": "power", "kind": "power_files", "path": path, "place": _place(wishes), **keys}
    try:
        return PowerFiles.model_validate(block)
    except ValidationError as error:
        raise _wrong(error) from error


_OPTIONS = {
    "path": "--from-csv",
    "timezone": "--timezone",
    "zone": "--zone",
    "pue": "--pue",
    "direct_gco2e_per_kwh": "--grid-factor",
    "lifecycle_gco2e_per_kwh": "--grid-lifecycle",
    "source": "--grid-source",
    "year": "--grid-year",
}
"""By key of a site file: the option that states it. The other keys are those of `--set`."""


def _option(key: str) -> str:
    return _OPTIONS.get(key, f"--set {key}")


def _wrong(error: ValidationError) -> Unrecognised:
    """What is wrong with a key, under the name of the option that states it."""
    fault = error.errors()[0]
    said = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        said = f"there is no such key; there are {', '.join(sorted(PowerFiles.model_fields))}"
    keys = [part for part in fault["loc"] if isinstance(part, str)]
    return Unrecognised(f"{_option(keys[-1])}: {said}" if keys else said)


def _gap_s(con: Any, readings: Sequence[Readings], source: PowerFiles) -> int | None:
    """What `max_gap_s` must be where readings come less often than it is by default; None where it is enough."""
    found = find_energy(con, _given(readings), [], source.rules, None)
    if not found.energy.lone or "max_gap_s" in source.model_fields_set:
        return None
    nearest = [one.nearest_s for one in found.energy.lone if one.nearest_s is not None]
    if not nearest or max(nearest) <= _LONGEST_GAP_S or max(nearest) * 1.5 > 86400:
        return None
    return int(max(nearest) * 1.5)


def _named(names: Sequence[str], key: str) -> str | None:
    plain = {re.sub(r"\s+", "", name.lower()): name for name in reversed(names)}
    return next((plain[word] for word in _NAMES[key] if word in plain), None)


def _power(names: Sequence[str]) -> str:
    others = {name: said for name in names if (said := speaks_of(name))}
    found = [name for name in names if _POWER.search(name) and not _NO_POWER.search(name) and name not in others]
    if len(found) == 1:
        return found[0]
    if not found:
        no_power = "".join(f"\n'{name}' speaks of {said}, which is no power." for name, said in others.items())
        raise Unrecognised(_which("holds the power", "power_w", names) + no_power)
    listed = ", ".join(f"'{name}'" for name in found)
    raise Unrecognised(f"several columns may hold the power: {listed}.\nName one: --set power_w='{found[0]}'")


def _which(what: str, key: str, names: Sequence[str]) -> str:
    return (
        f"no column is recognised that {what}; the file has {', '.join(repr(name) for name in names[:20])}.\n"
        f"Name it: --set {key}=COLUMN"
    )


def _first(file: Opened, column: str, key: str) -> str:
    return next(iter(file.sample(file.table.column(column, key))), "").strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_KEYS = "device|device_kind|timezone|power_unit|date_order|decimal|time_unit|time|power_w|run|max_gap_s|path"
"""Keys that an option can state; `node` of several machines stands in a site file alone."""


def _as_option(remedy: str) -> str:
    """A remedy for site.yaml as one for the command line, where it names keys."""
    keys = dict.fromkeys(re.findall(rf"(?:^|[\s`])({_KEYS})(?:: |`)", remedy))
    options = (f"{_option(key)}{'=' if '--set' in _option(key) else ' '}…" for key in keys)
    return remedy + (f"\nHere: {' '.join(options)}" if keys else "")


def _from(pattern: str, site: Path) -> str:
    """A path or pattern as the site file writes it."""
    return Path(os.path.relpath(Path(pattern).resolve(), site.resolve().parent)).as_posix()


def _place(wishes: Wishes) -> dict[str, Any]:
    return {"provider": "onprem", "region": "own", "zone": wishes.zone.strip().upper(), "pue": str(wishes.pue)}


def _text(
    site: Path, pattern: str, keys: Mapping[str, Any], wishes: Wishes, first: date, said: list[str]
) -> tuple[str, list[str]]:
    missing: list[str] = []
    currency = "EUR"
    blocks = [_block({"name": "power", "kind": "power_files", "path": pattern, **keys, "place": _place(wishes)})]
    said.append(
        f"the machine stands in grid zone {_place(wishes)['zone']}, PUE {wishes.pue} (--pue names your building's)"
    )
    if wishes.grid_source:
        year = wishes.grid_year or first.year
        factor = _factor(wishes, year)
        blocks.append(_block({"name": "factors", "kind": "grid_factors", "factors": [factor]}))
        whose = "as you say" if wishes.grid_year else "the year of the readings; --grid-year names its own"
        values = Factor.model_validate(factor).values
        said.append(f"the grid factor is of {year} ({whose}), {values}, from {wishes.grid_source}: tier 4")
    elif published := _published(_place(wishes)["zone"], first.year):
        blocks.append(_block({"name": "factors", "kind": "grid_factors", "publishers": [PUBLISHER]}))
        newest = max(published, key=lambda row: row.year)
        said.append(
            f"the grid factor is that of {newest.source} ({newest.of}), {newest.direct_gco2e_per_kwh} g/kWh, direct: "
            "tier 4, a value of a year (--grid-factor and --grid-source name another one)"
        )
    else:
        missing.append(
            "a grid factor: without one there are no emissions. Add a yearly one when you make this file "
            '(--grid-factor 380 --grid-source "publisher, document"), or a source of kind electricity_maps or '
            "intensity_files by hand"
        )
    if wishes.bill is not None:
        currency = _currency(wishes.bill) or currency
        bill = {"name": "bills", "kind": "focus_files", "path": _from(glob.escape(str(wishes.bill)), site)}
        _look_into(FocusFiles.model_validate(bill), site)
        blocks.append(_block(bill))
        said.append(f"the bill is {wishes.bill}, in {currency}")
    else:
        missing.append("a bill (--bill bill.csv, in FOCUS columns): without one there are no costs")
    head = (
        "# One machine of one's own, recognised from a file of its power. Every key can be changed:\n"
        "# docs/sources/power_files.md explains them, and the command `doctor` tries them.\n\n"
        f"organisation: {{name: My organisation, currency: {currency}}}\n"
        f"start: {first}\n"
        "storage: {root: ./var}\n"
        "sources:\n"
    )
    return head + "".join(blocks), missing


def _look_into(bill: FocusFiles, site: Path) -> None:
    """Read the bill as `doctor` does.

    Raises:
        Unrecognised: it cannot be counted; in the words of `doctor`.
    """
    con = ibis.duckdb.connect()
    con.raw_sql("SET TimeZone = 'UTC'")
    with tempfile.TemporaryDirectory() as name:
        step = StepContext(
            con=con,
            landing=Storage(name).landing(),
            folder=Path(name),
            site_folder=site.resolve().parent,
            zones=(),
            now=datetime.now(UTC),
        )
        bad = next((found for found in bill.check(step) if not found.ok), None)
    con.disconnect()
    if bad:
        raise Unrecognised(f"{bad.what}.\n{bad.remedy}")


def _published(zone: str, year: int) -> list[PublishedIntensity]:
    """Values of the publisher whose table comes with this package that hold in a year."""
    return [
        row for row in published_intensities(PUBLISHER) if row.zone == zone and 0 <= year - row.year <= CARRIED_YEARS
    ]


def _factor(wishes: Wishes, year: int) -> dict[str, Any]:
    values = {"direct_gco2e_per_kwh": wishes.grid_factor, "lifecycle_gco2e_per_kwh": wishes.grid_lifecycle}
    stated = {name: float(grams.value) for name, grams in values.items() if grams is not None}
    block = {"zone": _place(wishes)["zone"], "year": year, **stated, "source": wishes.grid_source}
    try:
        Factor.model_validate(block)
    except ValidationError as error:
        raise _wrong(error) from error
    return block


def _currency(bill: Path) -> str | None:
    try:
        shape = csv_text.sniff(csv_text.head_of(bill, bill.name)[0])
    except (SourceError, OSError):
        return None
    if "BillingCurrency" not in shape.header:
        return None
    number = shape.header.index("BillingCurrency")
    cells = [row[number].strip() for row in shape.rows if number < len(row)]
    return next((cell for cell in cells if re.fullmatch("[A-Z]{3}", cell)), None)


def _block(keys: Mapping[str, Any]) -> str:
    """One source, a key a line; values as JSON, which YAML reads."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    return "  - " + "\n    ".join(lines) + "\n"
