"""A source of one file a day, for tests of what holds for every source: days that fail alone, secrets, retries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from typing import ClassVar, Literal

import ibis
import pyarrow as pa

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.raw import EnergyReadings
from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.secrets import SecretRef, reveal
from energy_assets.sources.base import Finding, Parsed, PlacedSource, StepContext, Unit
from energy_assets.sources.errors import MalformedError, TransientError
from energy_assets_tests.rows import READING, at

KIND = {"daily_readings": "energy_assets_tests.daily_readings:DailyReadings"}
"""What a test adds to the registry."""


class DailyReadings(PlacedSource):
    """`<folder>/<day>.txt` holds the kWh of the day's first hour; a day without a file has to wait."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    title: ClassVar[str] = "One file a day"

    kind: Literal["daily_readings"]
    folder: str
    token: SecretRef

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        """One unit a day."""
        reveal(self.token)
        return [Unit((day,), str(day), partial(self._fetch, day, step)) for day in days]

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        """One row a day; a minus breaks the contract, a word the format."""
        rows = []
        for day, landed in zip(days, objects, strict=True):
            try:
                kwh = pa.scalar(step.read(landed).decode()).cast(pa.decimal128(18, 9)).as_py()
            except pa.ArrowInvalid as error:
                raise MalformedError(f"{landed.request['path']}: no number", "Mend the file.") from error
            rows.append({**READING, "day": day, "hour": at(0, day), "energy_kwh": kwh, "raw_sha256": landed.sha256})
        schema = schema_of(EnergyReadings).to_pyarrow()
        full = [{**dict.fromkeys(schema.names), **row} for row in rows]
        return Parsed(ibis.memtable(pa.Table.from_pylist(full, schema=schema)))

    def check(self, step: StepContext) -> Iterable[Finding]:
        """Can the secret be read?"""
        reveal(self.token)
        yield Finding(True, "the token is there")

    def _fetch(self, day: date, step: StepContext) -> list[Fetched]:
        path = step.site_folder / self.folder / f"{day}.txt"
        if not path.exists():
            raise TransientError(f"{path.name}: not there yet", "Wait.")
        return [Fetched(path.read_bytes(), {"path": path.name}, (day,))]
