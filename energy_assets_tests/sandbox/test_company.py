"""The sandbox company: the same every time, true to its own truth, plausible, and quick."""

from __future__ import annotations

import gzip
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from energy_assets.factors.places import site_zones
from energy_assets.periods import DayRange
from energy_assets.sandbox.company import Company, last_complete_days, remembered_ports
from energy_assets.sandbox.schedule import LOCATIONS
from energy_assets.sandbox.series import NAME, Matcher
from energy_assets.sandbox.site import write_site
from energy_assets.site import load_site

WEEK = DayRange(date(2026, 10, 5), date(2026, 10, 11))
TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 10, day) for day in (6, 7, 8))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY_MS = 86_400_000
_CLIENT = httpx.Client(timeout=60)


def company(days: DayRange = WEEK, seed: int = 7, **more: object) -> Company:
    return Company(days, seed=seed, clock=lambda: NOW, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def running() -> Iterator[Company]:
    with company() as up:
        yield up


def dump(of: Company, day: date) -> list[tuple[object, bytes, bytes]]:
    """Every sample of a day, as bytes."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    found = []
    for location in LOCATIONS:
        for one in of.store(location.name).select([Matcher(NAME, "=~", ".+")], start, start + DAY_MS - 1):
            found.append((one.labels, one.samples.times.tobytes(), one.samples.values.tobytes()))
    return found


def hourly(url: str, query: str, day: date) -> dict[str, dict[datetime, float]]:
    """Values at the end of every hour of a day and at its start, by UUID, pod or job."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    asked = {"query": query, "start": start, "end": start + 86_400, "step": 3600}
    answer = _CLIENT.post(f"{url}/api/v1/query_range", data=asked).json()
    result: dict[str, dict[datetime, float]] = defaultdict(dict)
    for one in answer["data"]["result"]:
        name = next(iter(one["metric"].values()))
        result[name] = {datetime.fromtimestamp(at, UTC): float(value) for at, value in one["values"]}
    return result


def test_two_companies_of_one_seed_have_equal_bytes_whatever_was_asked_before() -> None:
    first, second = company(), company(DayRange(date(2026, 9, 1), date(2026, 11, 18)))
    dump(second, THURSDAY)
    dump(second, date(2026, 10, 2))
    assert dump(first, WEDNESDAY) == dump(second, WEDNESDAY)
    assert dump(company(seed=8), WEDNESDAY) != dump(first, WEDNESDAY)


def test_what_was_scraped_does_not_change_later_and_the_future_is_empty() -> None:
    noon = datetime(2026, 10, 7, 12, tzinfo=UTC)
    early = Company(WEEK, clock=lambda: noon)
    store, later = early.store("dublin"), company().store("dublin")
    power = [Matcher(NAME, "=", "DCGM_FI_DEV_POWER_USAGE")]
    end = int(noon.timestamp() * 1000)
    then = store.select(power, end - DAY_MS, end + DAY_MS)
    now = later.select(power, end - DAY_MS, end)
    assert [one.samples.values.tobytes() for one in then] == [one.samples.values.tobytes() for one in now]
    assert max(int(one.samples.times[-1]) for one in then) <= end


@pytest.mark.parametrize("location", ["dublin", "virginia-serving"])
def test_counters_tell_the_true_energy_of_every_day_and_hour(running: Company, location: str) -> None:
    query = "max by (UUID) (last_over_time(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[1h]))"
    counted = hourly(running.prometheus[location].url, query, TUESDAY)
    truth: dict[str, dict[datetime, Decimal]] = defaultdict(dict)
    for one in running.truth_kwh(DayRange(TUESDAY, TUESDAY)):
        if one.location == location and one.device_kind == "gpu":
            truth[one.device_id][one.hour] = one.energy_kwh
    assert counted.keys() == truth.keys()
    for device, hours in truth.items():
        values = counted[device]
        assert len(hours) == 24
        for hour, kwh in hours.items():
            measured = (values[hour + timedelta(hours=1)] - values[hour]) / 3.6e9
            assert measured == pytest.approx(float(kwh), rel=0.05)
        day = (values[max(values)] - values[min(values)]) / 3.6e9
        assert day == pytest.approx(float(sum(hours.values())), rel=0.003)


def test_gauges_where_there_is_no_counter_tell_the_true_energy(running: Company) -> None:
    url = running.prometheus["frankfurt-serving"].url
    assert not hourly(url, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", TUESDAY)
    means = hourly(url, "max by (UUID) (avg_over_time(DCGM_FI_DEV_POWER_USAGE[3599999ms]))", TUESDAY)
    truth: dict[tuple[str, datetime], Decimal] = {
        (one.device_id, one.hour): one.energy_kwh
        for one in running.truth_kwh(DayRange(TUESDAY, TUESDAY))
        if one.location == "frankfurt-serving" and one.device_kind == "gpu"
    }
    spare = [device for device, hours in means.items() if max(hours.values()) < 45]
    assert len(spare) == 1
    for (device, hour), kwh in truth.items():
        if device in spare:
            assert means[device][hour + timedelta(hours=1)] / 1000 == pytest.approx(float(kwh), rel=1e-3)


def test_requests_and_tokens_of_every_hour_are_exact_across_the_restart(running: Company) -> None:
    url = running.prometheus["virginia-serving"].url
    for metric, column in (
        ("vllm:request_success_total", "requests"),
        ("vllm:prompt_tokens_total", "prompt_tokens"),
        ("vllm:generation_tokens_total", "generated_tokens"),
    ):
        last = hourly(url, f"sum by (job) (last_over_time({metric}[3599999ms]))", TUESDAY)["assistant-70b"]
        peak = hourly(url, f"sum by (job) (max_over_time({metric}[3599999ms]))", TUESDAY)["assistant-70b"]
        resets = hourly(url, f"max by (job) (resets({metric}[3599999ms]))", TUESDAY)["assistant-70b"]
        restarts = 0
        for one in running.truth_activity(DayRange(TUESDAY, TUESDAY)):
            if one.deployment != "assistant-70b":
                continue
            end = one.hour + timedelta(hours=1)
            counted = last[end] - last[one.hour]
            if resets[end]:
                restarts += 1
                counted = last[end] + peak[end] - last[one.hour]
            assert counted == getattr(one, column), (metric, one.hour)
        assert restarts == 1


def test_the_week_has_its_reboot_its_scrape_gap_and_its_shared_gpu(running: Company) -> None:
    dublin, frankfurt = running.prometheus["dublin"].url, running.prometheus["frankfurt-serving"].url
    counter = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    reboots = hourly(dublin, f"sum by (Hostname) (resets({counter}[3599999ms]))", WEDNESDAY)
    assert {host: sum(values.values()) for host, values in reboots.items()} == {"dub1-gpu-01": 0, "dub1-gpu-02": 8}
    seen = hourly(dublin, f"min by (Hostname) (count_over_time({counter}[3599999ms]))", THURSDAY)
    assert 60 * len(seen["dub1-gpu-01"]) - sum(seen["dub1-gpu-01"].values()) == 12
    assert min(seen["dub1-gpu-02"].values()) == 60
    users = hourly(frankfurt, "count by (UUID) (DCGM_FI_DEV_POWER_USAGE)", TUESDAY)
    assert sorted(max(values.values()) for values in users.values()) == [1, 1, 1, 2]


def test_the_numbers_are_those_of_real_machines(running: Company) -> None:
    watts = hourly(running.prometheus["dublin"].url, "max by (UUID) (DCGM_FI_DEV_POWER_USAGE)", TUESDAY)
    assert len(watts) == 16
    assert all(60 <= value <= 700 for values in watts.values() for value in values.values())
    energy: dict[str, Decimal] = defaultdict(Decimal)
    for one in running.truth_kwh(WEEK):
        if one.device_kind == "gpu":
            energy[one.location] += one.energy_kwh
    requests: dict[str, int] = defaultdict(int)
    for served in running.truth_activity(WEEK):
        requests[served.deployment] += served.requests
    assert 1000 < energy["dublin"] < 1700
    wh_per_request = float(energy["virginia-serving"]) * 1000 / requests["assistant-70b"]
    assert 1 < wh_per_request < 4
    assert requests["embed-small"] > requests["assistant-8b"] > requests["assistant-70b"] > 10_000


def test_its_site_file_is_valid_labelled_synthetic_and_holds_no_secret(running: Company, tmp_path: Path) -> None:
    path = write_site(running, tmp_path / "demo")
    site = load_site(path)
    assert site.organisation.synthetic
    assert "synthetic" in site.organisation.name
    assert site_zones(site) == ("DE", "IE", "US-MIDA-PJM")
    assert {source.feeds for source in site.sources} == {"energy", "activity", "grid_intensity", "cost"}
    assert len(site.targets) >= 3
    token = (tmp_path / "demo" / "electricity-maps.token").read_text().strip()
    assert token not in path.read_text()


def test_its_bills_are_those_of_the_month_and_the_same_every_time(tmp_path: Path) -> None:
    day = DayRange(date(2026, 11, 2), date(2026, 11, 3))
    first, second = (company(day).write_bills(tmp_path / name) for name in ("a", "b"))
    texts = [gzip.decompress(path.read_bytes()) for path in first]
    assert texts == [gzip.decompress(path.read_bytes()) for path in second]
    assert len(texts) == 3
    for text in texts:
        assert b"2026-11-01" in text
        assert b"2026-11-03" in text
        assert all(b"Synthetic" in line for line in text.splitlines()[1:])


def test_it_comes_back_at_the_same_addresses(tmp_path: Path) -> None:
    with company(folder=tmp_path) as once:
        ports = once.ports
    assert remembered_ports(tmp_path) == ports
    with company(folder=tmp_path) as again:
        assert again.ports == ports
        with company(folder=tmp_path / "other") as beside:
            assert not set(beside.ports.values()) & set(ports.values())


def test_the_command_serves_the_folder_until_interrupted_and_moves_away_from_taken_ports(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "energy_assets.sandbox", "--folder", str(tmp_path), "--days", "1"]

    def served() -> int:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while "Ctrl-C" not in process.stdout.readline():
                assert process.poll() is None
            port = remembered_ports(tmp_path)["dublin"]
            assert httpx.get(f"http://127.0.0.1:{port}/-/ready").status_code == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        return port

    first = served()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", first))
        taken.listen()
        second = served()
    assert second != first
    text = (tmp_path / "site.yaml").read_text()
    assert f"http://127.0.0.1:{second}\n" in text
    assert f":{first}\n" not in text


def test_it_starts_at_once_and_answers_a_day_of_all_gpus_quickly() -> None:
    began = time.perf_counter()
    with company() as fresh:
        assert time.perf_counter() - began < 1
        query = "max by (UUID) (last_over_time(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[3599999ms]) < 1e15)"
        hourly(fresh.prometheus["dublin"].url, query, TUESDAY)
        took = []
        for _ in range(5):
            began = time.perf_counter()
            assert len(hourly(fresh.prometheus["dublin"].url, query, TUESDAY)) == 16
            took.append(time.perf_counter() - began)
    assert min(took) < 0.1


def test_the_last_complete_days_end_yesterday() -> None:
    assert last_complete_days(7, NOW) == DayRange(date(2026, 11, 13), date(2026, 11, 19))
