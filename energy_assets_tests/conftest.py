"""Fixtures every test may use: a step to work at, and the real data beside the checkout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from obstore.store import LocalStore

from energy_assets import secrets
from energy_assets.landing import Landing
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import Source, StepContext
from energy_assets_tests.small_site import SmallRun

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process has revealed is masked for as long as it lives; a test has a life of its own."""
    monkeypatch.setattr(secrets, "_revealed", set())
    secrets._pattern.cache_clear()
    yield
    secrets._pattern.cache_clear()


@pytest.fixture
def step(tmp_path: Path) -> StepContext:
    """A step on an empty landing zone, at noon of 2026-11-20 UTC."""
    (tmp_path / "store").mkdir()
    (tmp_path / "spool").mkdir()
    con = ibis.duckdb.connect(threads=2)
    con.raw_sql("SET TimeZone='UTC'")
    return StepContext(
        con=con,
        landing=Landing(LocalStore(tmp_path / "store")),
        folder=tmp_path / "spool",
        site_folder=tmp_path,
        zones=("DE", "FR"),
        now=datetime(2026, 11, 20, 12, tzinfo=UTC),
    )


@pytest.fixture
def real_data() -> Path:
    """The folder of real measurements; tests that need it skip where it is absent."""
    if not REAL_DATA.exists():
        pytest.skip(f"real data not found at {REAL_DATA}; it is not part of this repository")
    return REAL_DATA


def rows_of(source: Source, days: DayRange, step: StepContext) -> tuple[pa.Table, dict[str, int]]:
    """Collect and parse `days` as the raw asset does; raise the first failure."""
    collected = collect(source, days, step)
    for error in collected.failures.values():
        raise error
    parsed, failures = parse(source, collected.editions, step)
    for error in failures.values():
        raise error
    assert parsed is not None, "nothing was collected"
    return parsed.rows.to_pyarrow(), dict(parsed.notes)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """The small company of files, run once for all its days; tests only read it."""
    return SmallRun.of(tmp_path_factory.mktemp("small"))
