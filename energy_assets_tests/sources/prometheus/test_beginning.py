"""A day of which a server has the end alone: told where it knew nothing at all before, on the day and by the doctor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from energy_assets.doctor import examine
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sandbox.prometheus import PrometheusServer
from energy_assets.sandbox.series import MemoryStore, Series
from energy_assets.site import load_site
from energy_assets.sources.base import Parsed, StepContext
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.http import send
from energy_assets.sources.notes import words
from energy_assets.sources.prometheus.beginning import BACK, NOTE
from energy_assets.sources.prometheus.client import NAMES_PATH
from energy_assets.sources.prometheus.energy import PrometheusEnergy
from energy_assets_tests.prometheus_server import prometheus, require_prometheus
from energy_assets_tests.sandbox.samples import for_real, series

DAY = date(2026, 11, 18)
START = datetime(2026, 11, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
COUNTER, GAUGE = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "ipmi_dcmi_power_consumption_watts"
Serving = Callable[[list[Series]], Any]


def minutes(first: float, last: float) -> list[int]:
    start = round(START.timestamp())
    return [(start + second) * 1000 for second in range(round(first * 3600), round(last * 3600), 60)]


def counter(first: float, last: float = 24, gpu: str = "GPU-1") -> Series:
    """A GPU at 400 W, read each minute from one hour of the day to another one."""
    times = minutes(first, last)
    values = [t / 1000 * 400_000 % 1e12 for t in times]
    return series(COUNTER, times, values, Hostname="a", UUID=gpu, gpu=gpu[-1], job="dcgm")


def meter(first: float, last: float = 24, name: str = GAUGE) -> Series:
    """A node at 400 W, or something else of it."""
    times = minutes(first, last)
    return series(name, times, [400.0] * len(times), instance="b")


@contextmanager
def stand_in(these: list[Series]) -> Iterator[str]:
    with PrometheusServer(MemoryStore(these), clock=lambda: NOW) as running:
        yield running.url


def source(url: str) -> PrometheusEnergy:
    block = {"name": "dc", "kind": "prometheus_energy", "url": url, "place": {"region": "r", "zone": "DE"}}
    return PrometheusEnergy.model_validate(block)


def parsed(url: str, step: StepContext) -> Parsed:
    collected = collect(source(url), DayRange(DAY, DAY), step)
    found, failures = parse(source(url), collected.editions, step)
    assert not {**collected.failures, **failures}
    assert found is not None
    return found


def asked_before(step: StepContext) -> int:
    edition = step.landing.edition("dc", DAY)
    assert edition
    return sum(landed.request["role"] == "earlier" for landed in edition.objects)


CUT = [
    ([counter(18.2)], "18:00"),
    ([meter(18.2)], "18:00"),
    ([counter(18.2), meter(18.19, name="up")], "18:00"),
    ([counter(18.01), meter(17.99, name="up")], "18:00"),
    ([counter(1.1)], "01:00"),
    ([counter(19), meter(18.2)], "18:00"),
]
"""Series, and from when there are data: the server itself is scraped a little before its exporters."""
WHOLE = [
    ([counter(0.9)], 0),
    ([counter(-2)], 0),
    ([counter(-30, -3), counter(18.2)], 0),
    ([meter(0), counter(18.2)], 0),
    ([counter(0), counter(18.2, gpu="GPU-2")], 0),
    ([meter(0, name="up"), counter(18.2)], 1),
    ([meter(-200, -180, name="up"), counter(18.2)], 1),
    ([meter(-200, -180), meter(18.2)], 1),
]
"""Series, and how often it is asked what the server knew before: others were there, or the server was."""


@pytest.mark.parametrize(("these", "since"), CUT)
def test_a_day_before_whose_first_sample_the_server_knows_nothing_is_a_hole(
    step: StepContext, these: list[Series], since: str
) -> None:
    with stand_in(these) as url:
        found = parsed(url, step)
    assert found.notes[NOTE] == 1
    assert found.examples[NOTE] == [f"2026-11-18 from {since} UTC on"]
    assert words(NOTE).hole
    assert "before the server forgets them" in words(NOTE).remedy


@pytest.mark.parametrize(("these", "questions"), WHOLE)
def test_a_device_that_appears_later_than_others_is_no_hole(
    step: StepContext, these: list[Series], questions: int
) -> None:
    with stand_in(these) as url:
        assert NOTE not in parsed(url, step).notes
    assert asked_before(step) == questions


@pytest.mark.real_server
@pytest.mark.parametrize(("these", "hole"), [(CUT[2][0], True), (WHOLE[5][0], False), (WHOLE[6][0], False)])
def test_a_real_prometheus_says_the_same(step: StepContext, tmp_path: Path, these: list[Series], hole: bool) -> None:
    require_prometheus()
    with prometheus(for_real(these), tmp_path / "real", block_duration="2h") as url:
        assert (NOTE in parsed(url, step).notes) is hole
    assert asked_before(step) == 1


@pytest.mark.real_server
def test_the_doctor_says_how_long_a_prometheus_keeps_its_data(step: StepContext, tmp_path: Path) -> None:
    require_prometheus()
    with prometheus(for_real(CUT[0][0]), tmp_path / "real") as url:
        days = DayRange(DAY - timedelta(days=1), DAY + timedelta(days=1))
        (finding,) = source(url).foresee(set(days), step)
        assert list(source(url).foresee(set(), step)) == []
    assert "nothing before some hour of 2026-11-18: of 2 days" in finding.what
    assert finding.remedy.startswith("It keeps data for 100y: run each day before it is gone.")


def test_a_server_that_tells_no_names_of_a_month_fails_no_day(
    step: StepContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(http: Any, method: str, path: str, *more: Any, **options: Any) -> httpx.Response:
        params = options.get("params") or {}
        if path == NAMES_PATH and int(params["end"]) - int(params["start"]) > 3 * 86_400:
            raise PermanentError("the time range of the query is too long", "Ask for less.")
        return send(http, method, path, *more, **options)

    monkeypatch.setattr("energy_assets.sources.prometheus.client.send", limited)
    with stand_in([counter(18.2)]) as url:
        assert NOTE not in parsed(url, step).notes


SITE = """
organisation: {{name: Late, currency: EUR}}
start: {start}
sources:
  - {{name: dc, kind: prometheus_energy, url: "{url}", place: {{provider: onprem, region: r1, zone: DE, pue: 1.2}}}}
"""


def foreseen(tmp_path: Path, these: list[Series], start: date) -> tuple[list[tuple[str, str]], int]:
    """What the doctor says of days that are gone, and how often it asks for names of metrics."""
    asked: list[str] = []
    served = PrometheusServer(MemoryStore(these))
    answer = served.api.answer

    def counted(path: str, parameters: Any) -> Any:
        wide = NAMES_PATH in path and int(parameters["end"][0]) - int(parameters["start"][0]) > BACK
        asked.extend([path] if wide else [])
        return answer(path, parameters)

    served.api.answer = counted  # type: ignore[method-assign]
    with served as running:
        path = tmp_path / "site.yaml"
        path.write_text(SITE.format(start=start, url=running.url))
        (chapter,) = [one for one in examine(load_site(path)) if one.name == "dc"]
    about = [(f.what, f.remedy) for f in chapter.findings if "knows nothing before" in f.what and not f.ok]
    return about, len(asked)


def of_today(first: timedelta) -> tuple[date, Series]:
    """A GPU that is read from so long before today's midnight on, and the day this is."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begins = midnight - first
    hours = (begins - START) / timedelta(hours=1)
    return begins.date(), counter(hours, (datetime.now(UTC) - START) / timedelta(hours=1))


def test_the_doctor_says_before_which_days_are_gone(tmp_path: Path) -> None:
    begins, gpu = of_today(timedelta(days=2, hours=6))
    ((what, remedy),), asked = foreseen(tmp_path, [gpu], begins - timedelta(days=40))
    whole = begins + timedelta(days=1)
    spans = DayRange(begins - timedelta(days=40), begins)
    assert what == (
        f"the server knows nothing before some hour of {begins}: of 41 days that run has not collected yet ({spans}) "
        "energy is missing"
    )
    assert remedy.endswith(f"let `start` in site.yaml be {whole}.")
    assert asked < 12
    assert foreseen(tmp_path, [gpu], whole)[0] == []


def test_the_doctor_names_the_first_whole_day_and_asks_twice_where_nothing_is_gone(tmp_path: Path) -> None:
    begins, gpu = of_today(timedelta(days=2))
    ((what, remedy),), _ = foreseen(tmp_path, [gpu], begins - timedelta(days=1))
    assert what.startswith(f"the server knows nothing before {begins}: of 1 day ")
    assert f"`start` in site.yaml be {begins}." in remedy
    assert foreseen(tmp_path, [gpu], begins) == ([], 2)
