"""What tests of single steps share: a connection, and a company with the few indicators that a test is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ibis
import pytest

from energy_assets.kpis import facts
from energy_assets.kpis.indicators import Indicator


@pytest.fixture(scope="session")
def con() -> Any:
    """DuckDB in UTC; tests share it, and name no table alike."""
    found = ibis.duckdb.connect(threads=2)
    found.raw_sql("SET TimeZone = 'UTC'")
    return found


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Leave no indicators but those given."""

    def given(*indicators: Indicator) -> None:
        for module in ("facts", "daily"):
            monkeypatch.setattr(f"energy_assets.kpis.{module}.INDICATORS", {one.name: one for one in indicators})
        facts._flags.cache_clear()

    yield given
    facts._flags.cache_clear()
