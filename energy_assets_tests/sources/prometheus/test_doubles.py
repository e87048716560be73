"""One host under two names: its devices count once, by what their counters show, on a real Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.doubles import NOTE
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.prometheus_server import Series, prometheus

DAY = date(2025, 10, 20)
MIDNIGHT = int(datetime(2025, 10, 20, tzinfo=UTC).timestamp())
RAPL, IPMI, GPU = (
    "node_rapl_package_joules_total",
    "ipmi_dcmi_power_consumption_watts",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
)
KEPLER = {
    "same": ("node1", "node1"),
    "long": ("node1.lab.example", "node1"),
    "short": ("node1", "node1.lab.example"),
    "capitals": ("node1", "NODE1"),
    "domains": ("node1.lab.example", "node1.shop.example"),
}
"""By case: what node_exporter calls a host, and what Kepler does."""
SCRAPED = [
    ("network", "10.0.0.1", "node1"),
    ("gateway", "10.0.0.9", "node1"),
    ("gateway", "10.0.0.9", "node2"),
]
"""Kepler beside a node_exporter without a name: case, the address of both, and the name that Kepler writes."""
Samples = list[tuple[int, float]]


def watts(seed: int, mean: float) -> Callable[[int], float]:
    """Power that changes by the second within minutes of its own."""
    random = Random(seed)  # noqa: S311 - a load, no secret
    by_minute = [mean * (0.7 + 0.6 * random.random()) for _ in range(1600)]
    return lambda second: by_minute[(second + 3600) // 60]


def counter(power: Callable[[int], float], per_joule: float = 1, late: int = 0, start: float = 1000) -> Samples:
    """A scrape a minute, `late` seconds after the full ones."""
    samples, total = [], start
    for second in range(-600, 86_400 + 1):
        if (second - late) % 60 == 0:
            samples.append((MIDNIGHT + second, round(total * per_joule, 3)))
        total += power(second)
    return samples


def host(case: str, metric: str, instance: str, samples: Samples, **labels: str) -> Series:
    return Series(metric, {"case": case, "instance": instance, "job": instance, **labels}, samples)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    load, other = watts(1, 100), watts(2, 100)
    board = [(t, round(4 * load(t - MIDNIGHT), 1)) for t, _ in counter(load)]
    late = [(t, round(4 * load(t - MIDNIGHT), 1)) for t, _ in counter(load, late=20)]
    package = {"package": "0", "index": "0", "path": "x"}
    series = [
        host("equal", RAPL, "10.0.0.1:9100", counter(load), **package),
        host("equal", RAPL, "node1:9100", counter(load), **package),
        host("late", RAPL, "10.0.0.1:9100", counter(load, late=20), **package),
        host("late", RAPL, "node1:9100", counter(load), **package),
        host("late", RAPL, "node1.lab:9100", counter(load, late=40), **package),
        host("two", RAPL, "node1:9100", counter(load), **package),
        host("two", RAPL, "node2:9100", counter(other), **package),
        host("even", RAPL, "node1:9100", counter(lambda second: 100), **package),
        host("even", RAPL, "node2:9100", counter(lambda second: 100), **package),
        host("board", IPMI, "10.0.0.1:9290", board),
        host("board", IPMI, "node1:9290", board),
        host("boards", IPMI, "node1:9290", board),
        host("boards", IPMI, "node2:9290", late),
        *(
            one
            for case, names in KEPLER.items()
            for one in (
                host(case, RAPL, f"{names[0]}:9100", counter(load), **package),
                host(
                    case,
                    "kepler_node_cpu_joules_total",
                    names[1],
                    counter(load, late=7),
                    zone="package",
                    node_name=names[1],
                ),
            )
        ),
        *(
            host(
                case,
                "kepler_node_cpu_joules_total",
                f"{address}:28282",
                counter({"node1": load, "node2": other}[name], late=7, start=5),
                zone="package",
                node_name=name,
            )
            for case, address, name in SCRAPED
        ),
        *(
            host(case, RAPL, f"{address}:9100", counter(load), **package)
            for case, address in sorted({(case, address) for case, address, _ in SCRAPED})
        ),
        host("gpu", GPU, "gpu1:9400", counter(load, 1000), Hostname="gpu1", gpu="0", UUID=""),
        host("gpu", GPU, "gpu1.lab.example:9400", counter(load, 1000), Hostname="gpu1.lab.example", gpu="0", UUID=""),
    ]
    with prometheus(series, tmp_path_factory.mktemp("server")) as url:
        yield url


def energies(url: str, case: str, step: StepContext, **more: Any) -> tuple[dict[str, Decimal], dict[str, int]]:
    """Energy by node in kWh, and the notes."""
    keys: dict[str, Any] = {"place": {"region": "r1"}, "selector": f'case="{case}"', **more}
    source = PrometheusEnergy.model_validate({"name": case, "kind": "prometheus_energy", "url": url, **keys})
    table, notes = rows_of(source, DayRange(DAY, DAY), step)
    found: dict[str, Decimal] = {}
    for row in table.to_pylist():
        found[row["node_id"]] = found.get(row["node_id"], Decimal(0)) + (row["energy_kwh"] or 0)
    return found, notes


@pytest.mark.parametrize(
    ("case", "name", "kwh", "number"),
    [("equal", "node1", 2.4, 1), ("late", "node1", 2.4, 2), ("board", "node1", 9.6, 1), ("gpu", "gpu1", 2.4, 1)],
)
def test_a_host_that_is_scraped_under_two_names_counts_once_under_its_own(
    server: str, step: StepContext, case: str, name: str, kwh: float, number: int
) -> None:
    found, notes = energies(server, case, step)
    assert list(found) == [name]
    assert float(found[name]) == pytest.approx(kwh, rel=0.02)
    assert notes[NOTE] == number


@pytest.mark.parametrize("case", ["two", "even", "boards"])
def test_hosts_of_their_own_count_each(server: str, step: StepContext, case: str) -> None:
    """Another load; the same even one; gauges that are read at other instants, which prove nothing."""
    found, notes = energies(server, case, step)
    assert len(found) == 2
    assert NOTE not in notes


@pytest.mark.parametrize(("case", "hosts"), [*[(case, 1) for case in list(KEPLER)[:4]], ("domains", 2)])
def test_a_profile_stands_in_for_a_host_however_it_is_spelled(
    server: str, step: StepContext, case: str, hosts: int
) -> None:
    found, _ = energies(server, case, step, profiles=["kepler"])
    assert len(found) == hosts, "two domains have two hosts"
    assert float(sum(found.values())) == pytest.approx(2.4 * hosts, rel=0.02)


@pytest.mark.parametrize(("case", "names"), [("network", ["10.0.0.1"]), ("gateway", ["10.0.0.9", "node1", "node2"])])
def test_a_profile_stands_in_for_the_host_at_whose_address_it_is_scraped(
    server: str, step: StepContext, case: str, names: list[str]
) -> None:
    """Not where several hosts are told of at one address: none of them is the host there."""
    found, _ = energies(server, case, step, profiles=["kepler"])
    assert sorted(found) == names
    assert [float(found[name]) for name in names] == pytest.approx([2.4] * len(names), rel=0.02)
