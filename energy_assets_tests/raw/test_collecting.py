"""The rules of collecting that hold for every source: what one bad day, one bad file or refused access takes along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar

import pytest

from energy_assets.contracts.vocabulary import Feed
from energy_assets.landing import Fetched, Landed
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect
from energy_assets.secrets import SecretError
from energy_assets.sources.base import Finding, Incomplete, Parsed, Source, StepContext, Unit
from energy_assets.sources.errors import (
    DeniedError,
    MalformedError,
    PermanentError,
    TransientError,
)
from energy_assets.sources.prometheus.client import TooLargeError

DAYS = DayRange(date(2026, 10, 1), date(2026, 10, 4))
ONE, TWO, THREE, FOUR = DAYS


class Scripted(Source):
    """Each day fails or not as the test says."""

    feeds: ClassVar[Feed] = Feed.ENERGY
    title: ClassVar[str] = "Scripted"
    errors: Mapping[date, Any]
    body: bytes = b"x"

    def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
        return [Unit((day,), str(day), self._fetch(day)) for day in days]

    def _fetch(self, day: date) -> Callable[[], Iterable[Fetched | Incomplete]]:
        def fetch() -> Iterable[Fetched | Incomplete]:
            yield Fetched(self.body, {"day": str(day)}, (day,))
            if day in self.errors:
                raise self.errors[day]

        return fetch

    def parse(self, objects: Sequence[Landed], days: DayRange, step: StepContext) -> Parsed:
        raise NotImplementedError

    def check(self, step: StepContext) -> Iterable[Finding]:
        return []


def scripted(errors: Mapping[date, Exception], **keys: Any) -> Scripted:
    return Scripted(name="scripted", kind="scripted", errors=errors, **keys)


@pytest.mark.parametrize("kind", [MalformedError, TooLargeError, PermanentError, TransientError])
def test_one_bad_day_takes_no_other_day_with_it(step: StepContext, kind: type[PermanentError]) -> None:
    collected = collect(scripted({TWO: kind("a busy day", "Wait.")}), DAYS, step)

    assert list(collected.editions) == [ONE, THREE, FOUR]
    assert list(collected.failures) == [TWO]


@pytest.mark.parametrize("error", [DeniedError("HTTP 401", "Correct it."), SecretError("env:TOKEN is not set")])
def test_refused_access_ends_the_collection(step: StepContext, error: Exception) -> None:
    collected = collect(scripted({TWO: error, THREE: AssertionError("asked although refused")}), DAYS, step)

    assert list(collected.editions) == [ONE]
    assert list(collected.failures) == [TWO, THREE, FOUR]
    assert all(isinstance(failure, DeniedError) for failure in collected.failures.values())


def test_days_that_a_unit_cannot_deliver_whole_fail_and_the_rest_of_it_lands(step: StepContext) -> None:
    class OneUnit(Scripted):
        def plan(self, days: DayRange, step: StepContext) -> Iterable[Unit]:
            error = MalformedError("b.csv: cut", "Copy it again.")
            brought = [Incomplete(frozenset({TWO, date(1999, 1, 1)}), error), Fetched(b"a", {"path": "a"}, tuple(days))]
            return [Unit(tuple(days), "files", lambda: brought)]

    collected = collect(OneUnit(name="scripted", kind="scripted", errors={}), DAYS, step)

    assert list(collected.editions) == [ONE, THREE, FOUR]
    assert list(collected.failures) == [TWO]


def test_a_re_pull_that_brings_unchanged_bytes_lands_nothing_new(step: StepContext) -> None:
    def written() -> dict[str, bytes]:
        root = step.site_folder / "store"
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    first, before = collect(scripted({}), DAYS, step), written()
    again = collect(scripted({}), DAYS, step)
    assert written() == before
    assert [e.data_version for e in again.editions.values()] == [e.data_version for e in first.editions.values()]
    changed = collect(scripted({}, body=b"y"), DAYS, step)
    assert all(changed.editions[day].data_version != first.editions[day].data_version for day in DAYS)
