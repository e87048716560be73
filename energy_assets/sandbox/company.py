"""The sandbox company: its servers on 127.0.0.1, its bills in a folder, and the truth to compare with.

What belongs here: putting the parts together and starting them. What does not: the parts, and the site file
(`site.py`). Everything follows from the seed and the calendar: two companies of one seed tell the same, and what
yesterday was does not change tomorrow. Nothing is computed before somebody asks.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from filelock import FileLock, Timeout

from energy_assets.periods import DayRange
from energy_assets.sandbox.bill import write_focus_bill
from energy_assets.sandbox.electricity_maps import ElectricityMapsServer
from energy_assets.sandbox.exporters import LocationStore
from energy_assets.sandbox.plant import CPUS, MINUTE_MS, Plant
from energy_assets.sandbox.prometheus import PrometheusServer
from energy_assets.sandbox.schedule import LOCATIONS, Location

TOKEN = "synthetic-token"  # noqa: S105 - opens nothing but the stand-in
DEFAULT_SEED = 7
PORTS_FILE, HELD = "ports.json", ".serving"
"""Beside the site file: at which ports the company is, and the lock of the process that serves it."""
START_S = 15
"""How long another process may take to start the servers."""
BILLS = {"aws.csv.gz": "AWS", "google-cloud.csv.gz": "Google Cloud", "microsoft.csv.gz": "Microsoft"}
"""File in the bills folder: the provider whose lines it holds."""
BILLED_ZONES = ("FR", "NL")
"""Grid zones of the clouds on its bills, beyond those of its own machines."""
_GRID = "electricity-maps"
_PREFERRED = {"dublin": 29091, "frankfurt-serving": 29092, "virginia-serving": 29093, _GRID: 29094}
_EPOCH = date(1970, 1, 1)
_UJ_PER_KWH = Decimal(3_600_000_000_000)


@dataclass(frozen=True)
class Elsewhere:
    """A server of this company that another process of this machine runs already."""

    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass(frozen=True)
class TrueEnergy:
    """Energy a device really took in an hour, observed or not.

    Attributes:
        device_id: The UUID of a GPU; `package-0`, `dram-0` … for the rest.
    """

    hour: datetime
    location: str
    node_id: str
    device_kind: str
    device_id: str
    energy_kwh: Decimal


@dataclass(frozen=True)
class TrueActivity:
    """What a deployment really served in an hour; `requests` counts every finish reason."""

    hour: datetime
    location: str
    deployment: str
    model_id: str
    requests: int
    failed_requests: int
    prompt_tokens: int
    generated_tokens: int


class Company:
    """Sandbox AI, all of it synthetic. Use as a context manager.

    Args:
        days: The days its bills cover, from the first of their month on. Its meters tell any day since 2024-01-01.
        seed: Another seed is another company.
        folder: Where its ports are remembered, so that it comes back at the same addresses. Without it, free
            ports are taken. Where another process serves the company of this folder, its servers are used.
        clock: The current instant: no meter has been read after it.

    Attributes:
        prometheus: The Prometheus of each location, by its name.
        grid: The Electricity Maps stand-in; there while the company runs.
        elsewhere: Whether another process runs the servers.
    """

    def __init__(
        self,
        days: DayRange,
        *,
        seed: int = DEFAULT_SEED,
        folder: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.days, self.seed, self.folder = days, seed, folder
        self._clock = clock
        self._plants = {location.name: Plant(location, seed) for location in LOCATIONS}
        self._running = ExitStack()
        self.prometheus: dict[str, PrometheusServer | Elsewhere] = {}
        self.grid: ElectricityMapsServer | Elsewhere
        self.elsewhere = False

    def store(self, location: str) -> LocationStore:
        """The series of one location, without a server."""
        return LocationStore(self._plants[location], self._clock)

    # -- servers

    def __enter__(self) -> Self:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._hold(self.folder):
                self._use(_serving(self.folder))
                return self
        wished = self._ports()
        for location in LOCATIONS:
            port = _free(wished.get(location.name, 0))
            server = PrometheusServer(self.store(location.name), port=port, clock=self._clock)
            self.prometheus[location.name] = self._running.enter_context(server)
        zones = (*(location.zone for location in LOCATIONS), *BILLED_ZONES)
        self.grid = self._running.enter_context(
            ElectricityMapsServer(
                token=TOKEN, zones=zones, seed=self.seed, port=_free(wished.get(_GRID, 0)), now=self._clock
            )
        )
        if self.folder is not None:
            (self.folder / PORTS_FILE).write_text(json.dumps(self.ports, indent=1) + "\n", encoding="utf-8")
        return self

    def _hold(self, folder: Path) -> bool:
        """Whether no other process serves the company of this folder; then none will until this one ends."""
        try:
            self._running.enter_context(FileLock(folder / HELD, timeout=0))
        except Timeout:
            return False
        return True

    def _use(self, ports: dict[str, int]) -> None:
        """Take the servers that another process runs."""
        self.elsewhere = True
        self.prometheus = {location.name: Elsewhere(ports[location.name]) for location in LOCATIONS}
        self.grid = Elsewhere(ports[_GRID], "/v4")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    @property
    def ports(self) -> dict[str, int]:
        """The port of every server."""
        ports = {name: server.port for name, server in self.prometheus.items()}
        return {**ports, _GRID: int(self.grid.url.rsplit(":", 1)[1].split("/")[0])}

    def _ports(self) -> dict[str, int]:
        return {} if self.folder is None else {**_PREFERRED, **remembered_ports(self.folder)}

    # -- files

    def write_bills(self, folder: Path) -> list[Path]:
        """Write one FOCUS file per provider: the months of `days`, up to their last day."""
        folder.mkdir(parents=True, exist_ok=True)
        billed = DayRange(self.days.first.replace(day=1), self.days.last)
        for name, provider in BILLS.items():
            write_focus_bill(folder / name, billed, seed=self.seed, provider=provider)
        return [folder / name for name in BILLS]

    # -- truth

    def truth_kwh(self, days: DayRange) -> Iterator[TrueEnergy]:
        """What every GPU, CPU package and its memory really took, hour by hour, metered or not."""
        for location in LOCATIONS:
            for day in days:
                yield from self._true_day(location, day)

    def _true_day(self, location: Location, day: date) -> Iterator[TrueEnergy]:
        plant = self._plants[location.name]
        for node in location.nodes:
            state = plant.node_day(node, (day - _EPOCH).days)
            devices = [("gpu", plant.uuid(node, gpu), state.gpu_mw[gpu]) for gpu in range(node.gpus)]
            devices += [("cpu", f"package-{cpu}", state.cpu_mw[cpu]) for cpu in range(CPUS)]
            devices += [("dram", f"dram-{cpu}", state.dram_mw[cpu]) for cpu in range(CPUS)]
            for kind, device, power_mw in devices:
                for number, uj in enumerate((power_mw * MINUTE_MS).reshape(24, 60).sum(axis=1).tolist()):
                    kwh = Decimal(uj) / _UJ_PER_KWH
                    yield TrueEnergy(_hour(day, number), location.name, node.name, kind, device, kwh)

    def truth_activity(self, days: DayRange) -> Iterator[TrueActivity]:
        """What every deployment really served, hour by hour."""
        for location in LOCATIONS:
            plant = self._plants[location.name]
            for deployment in location.deployments:
                for day in days:
                    number = (day - _EPOCH).days
                    engines = [plant.served(deployment, e, number).counts for e in range(deployment.engines)]
                    hourly = {
                        name: np.sum([e[name] for e in engines], axis=0).reshape(24, 60).sum(axis=1).tolist()
                        for name in engines[0]
                    }
                    for hour in range(24):
                        count = {name: values[hour] for name, values in hourly.items()}
                        yield TrueActivity(
                            hour=_hour(day, hour),
                            location=location.name,
                            deployment=deployment.name,
                            model_id=deployment.model_id,
                            requests=count["stop"] + count["length"] + count["abort"],
                            failed_requests=count["abort"],
                            prompt_tokens=count["prompt"],
                            generated_tokens=count["generated"],
                        )


def _hour(day: date, number: int) -> datetime:
    return datetime(day.year, day.month, day.day, number, tzinfo=UTC)


def remembered_ports(folder: Path) -> dict[str, int]:
    """The ports a company in this folder had; none where it has not been started or the file is damaged."""
    try:
        content = json.loads((folder / PORTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): int(port) for name, port in content.items()} if isinstance(content, dict) else {}


def _serving(folder: Path) -> dict[str, int]:
    """The ports of the company that another process serves, as soon as each of them answers.

    Raises:
        OSError: they do not within some seconds.
    """
    wanted = {*(location.name for location in LOCATIONS), _GRID}
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        ports = remembered_ports(folder)
        if wanted <= set(ports) and not any(_free(port) for port in ports.values()):
            return ports
        time.sleep(0.1)
    raise OSError(
        f"{folder}: another program holds {HELD} there, and its servers do not answer; end it, then try again"
    )


def last_complete_days(count: int, now: datetime) -> DayRange:
    """The last `count` days that are over at `now`.

    Args:
        count: How many, at least one.
        now: The current instant, UTC.
    """
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    return DayRange(yesterday - timedelta(days=count - 1), yesterday)


def _free(port: int) -> int:
    """The port if nobody listens on it, else 0 for any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
