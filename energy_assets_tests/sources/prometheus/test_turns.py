"""A host that goes by another name for some hours: its counter counts once, on a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets.sources.prometheus.turns import NOTE
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import Series, prometheus

DAY = date(2025, 10, 20)
MIDNIGHT = int(datetime(2025, 10, 20, tzinfo=UTC).timestamp())
RAPL = "node_rapl_package_joules_total"
WATTS = 100
DAY_KWH = 2.4


class Read(NamedTuple):
    """Hours in which a counter of 100 W is read under a name; `joules` is what it shows at midnight."""

    name: str
    hours: Sequence[tuple[float, float]]
    joules: float = 10_000_000


CASES: dict[str, tuple[list[Read], float, int]] = {
    "back": ([Read("a", [(-2, 12), (18, 25)]), Read("b", [(12, 18)])], 1, 1),
    "within hours": ([Read("a", [(-2, 11.5), (18.25, 25)]), Read("b", [(11.5, 18.25)])], 1, 1),
    "twice": ([Read("a", [(-2, 5), (9, 14), (20, 25)]), Read("b", [(5, 9), (14, 20)])], 1, 2),
    "two others": ([Read("a", [(-2, 6), (18, 25)]), Read("b", [(6, 12)]), Read("c", [(12, 18)])], 1, 1),
    "over midnight": ([Read("a", [(-8, -4), (10, 25)]), Read("b", [(-4, 10)])], 1, 1),
    "late": ([Read("a", [(-2, 6), (18, 25)]), Read("b", [(8, 18)])], 1, 1),
    "another host": ([Read("a", [(-2, 12), (18, 25)]), Read("b", [(12, 18)], 90_000_000)], 1.25, 0),
    "for a moment": ([Read("a", [(-2, 10), (20, 25)]), Read("b", [(12, 14)])], 1 + 2 / 24, 0),
    "side by side": ([Read("a", [(-2, 12), (18, 25)]), Read("b", [(8, 18)])], 1 + 10 / 24, 0),
}
"""By case: who is read, how many days of 100 W that is, and how many counters went on under another name."""


def host(case: str, read: Read) -> Series:
    at = [s for first, last in read.hours for s in range(int(first * 3600), int(last * 3600), 60)]
    samples = [(MIDNIGHT + s, read.joules + WATTS * s) for s in at]
    return Series(RAPL, {"case": case, "instance": f"{read.name}:9100", "job": "j", "index": "0"}, samples)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    series = [host(case, read) for case, (reads, _, _) in CASES.items() for read in reads]
    with prometheus(series, tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.mark.parametrize("case", CASES)
def test_a_counter_that_went_on_under_another_name_counts_once(server: str, step: StepContext, case: str) -> None:
    _, days, turns = CASES[case]
    keys: dict[str, Any] = {"place": {"region": "r1"}, "url": server, "selector": f'case="{case}"'}
    source = PrometheusEnergy.model_validate({"name": "dc", "kind": "prometheus_energy", **keys})
    table, notes = rows_of(source, DayRange(DAY, DAY), step)
    energies = [row["energy_kwh"] for row in table.to_pylist() if row["energy_kwh"] is not None]
    assert min(energies) > 0
    assert float(sum(energies, Decimal(0))) == pytest.approx(DAY_KWH * days, abs=0.004)
    assert notes.get(NOTE, 0) == turns
