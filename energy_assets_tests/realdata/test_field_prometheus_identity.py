"""Set-ups after public bug reports, in a real Prometheus: one thing under two names, dead counters, partial answers.

Inputs lie beside the checkout (`shared/data/field`); each case is run through Dagster and asked for its rows.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from energy_assets.doctor import examine
from energy_assets.periods import DayRange
from energy_assets.query import ask
from energy_assets.running import Outcome, run_days
from energy_assets.site import Site, load_site

pytestmark = [pytest.mark.realdata, pytest.mark.real_server]

DAY = DayRange(date(2025, 10, 20), date(2025, 10, 20))
KWH = Decimal("3.273333333")
"""400 W from the last sample before the day, 23:59:07, to the last of all, 08:10:07."""


def write(folder: Path, sources: str, start: str = "2025-10-20") -> None:
    head = f"organisation: {{name: Field, currency: EUR}}\nstart: {start}\nstorage: {{root: ./var}}\nsources:\n"
    (folder / "site.yaml").write_text(head + sources)


def run(folder: Path, sources: str) -> tuple[Site, Outcome]:
    write(folder, sources)
    site = load_site(folder / "site.yaml")
    outcome = run_days(site, DAY, lambda step: None)
    return site, outcome


def energy(url: str, case: str, more: str = "", name: str = "dc") -> str:
    place = "place: {provider: onprem, region: r1, zone: DE, pue: 1.2}"
    selector = f"selector: 'case=\"{case}\"'"
    return f"  - {{name: {name}, kind: prometheus_energy, url: '{url}', {selector}, {place}{more}}}\n"


def inference(url: str, case: str, more: str = "") -> str:
    selector = f"selector: 'case=\"{case}\"'"
    return f"  - {{name: serving, kind: prometheus_inference, url: '{url}', {selector}{more}}}\n"


def rows(site: Site, query: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = ask(site, query)[1]
    return found


PER_HOUR = "select extract(hour from hour) as h, sum(energy_kwh), min(coverage) from energy group by 1 order by 1"


def test_p11_a_gpu_under_a_short_and_a_full_host_name_counts_once(field: str, tmp_path: Path) -> None:
    site, outcome = run(tmp_path, energy(field, "p11"))
    assert outcome.success, outcome.failures
    assert rows(site, "select sum(energy_kwh), count(*), min(node_id), max(node_id) from energy") == [
        (KWH, 24, "node1", "node1")
    ]
    assert rows(site, "select sum(energy_kwh) from raw_dc") == [(KWH,)]


def test_p10_an_exporter_that_restarts_under_another_name_keeps_its_gpu_one(field: str, tmp_path: Path) -> None:
    site, outcome = run(tmp_path, energy(field, "p10"))
    assert outcome.success, outcome.failures
    assert rows(site, "select sum(energy_kwh), count(*), count(energy_kwh) from energy") == [(KWH, 24, 9)]
    found = rows(site, "select extract(hour from hour), node_id, coverage from energy order by hour")
    assert [name for _, name, _ in found[:3]] == ["dcgm-exporter-6ldbb"] * 3
    assert {name for _, name, _ in found[4:]} == {"dcgm-exporter-x9k2p"}
    coverage = {int(hour): share for hour, _, share in found}
    assert coverage[3] == Decimal("0.983333")
    assert [coverage[hour] for hour in (0, 4, 9)] == [1, 1, 0]


def test_p3_a_dead_counter_gives_way_to_the_power_the_device_tells(field: str, tmp_path: Path) -> None:
    site, outcome = run(tmp_path, energy(field, "p3"))
    assert outcome.success, outcome.failures
    query = "select distinct energy_kwh, method, quality_tier from energy where extract(hour from hour) < 8"
    assert rows(site, query) == [(Decimal("0.25"), "measured_power", 3)]
    assert rows(site, "select count(*) from energy where energy_kwh = 0") == [(0,)]


def test_p2_one_machine_under_three_names_is_said_by_run_and_doctor(field: str, tmp_path: Path) -> None:
    metric = "{metric: ipmi_dcmi_power_consumption_watts, type: gauge, unit: W, device_kind: node}"
    site, outcome = run(tmp_path, energy(field, "p2", f", metrics: [{metric}]"))
    assert outcome.success, outcome.failures
    said = [text for text in outcome.warnings if "meters_cover_devices" in text]
    assert said, outcome.warnings
    assert "devices_without_meter 10.0.0.11, gpu-node-1, meters_without_devices 10.0.9.11" in said[0]
    assert "counts twice" in said[0]
    also = 'nodes:\n  - {name: gpu-node-1, also: ["10.0.9.11", "10.0.0.11"]}\n'
    (tmp_path / "site.yaml").write_text((tmp_path / "site.yaml").read_text() + also)
    site, outcome = run_again(tmp_path)
    assert not [text for text in outcome.warnings if "meters_cover_devices" in text]
    assert rows(site, PER_HOUR)[1][1] == Decimal("1.0")


def run_again(folder: Path) -> tuple[Site, Outcome]:
    site = load_site(folder / "site.yaml")
    return site, run_days(site, DAY, lambda step: None)


def test_p6_a_pod_scraped_by_two_jobs_serves_its_requests_once(field: str, tmp_path: Path) -> None:
    site, outcome = run(tmp_path, inference(field, "p6"))
    assert outcome.success, outcome.failures
    query = "select requests, generated_tokens, coverage from activity where extract(hour from hour) between 1 and 7"
    assert set(rows(site, query)) == {(3600, 180_000, Decimal(1))}


def test_p17_a_request_of_a_prefill_and_a_decode_pod_is_one(field: str, tmp_path: Path) -> None:
    site, outcome = run(tmp_path, inference(field, "p17"))
    assert outcome.success, outcome.failures
    query = (
        "select extract(hour from hour), sum(requests) from activity"
        " where extract(hour from hour) between 1 and 7 group by 1"
    )
    assert {requests for _, requests in rows(site, query)} == {3600}


class _Partial(BaseHTTPRequestHandler):
    """Passes questions on, and says of answers about 2025-10-20 that a store is down."""

    behind = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {"content-type": self.headers.get("content-type", "")}
        answer = httpx.request(self.command, self.behind + self.path, content=body, headers=headers)
        end = parse_qs(body.decode()).get("end", [""])[0]
        content = answer.content
        if end == str(round(datetime(2025, 10, 21, tzinfo=UTC).timestamp())):
            content = json.dumps({**answer.json(), "warnings": ["store gpu-2:10901 is down"]}).encode()
        self.send_response(answer.status_code)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


def test_a3_a_partial_answer_fails_its_day_and_no_other(
    field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("energy_assets.raw.assets.RETRY_WAIT_S", 0)
    monkeypatch.setattr(_Partial, "behind", field)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Partial)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        write(tmp_path, energy(f"http://127.0.0.1:{server.server_port}", "p11"), start="2025-10-19")
        site = load_site(tmp_path / "site.yaml")
        outcome = run_days(site, DayRange(date(2025, 10, 19), date(2025, 10, 20)), lambda step: None)
    finally:
        server.shutdown()
        server.server_close()
    assert not outcome.success
    assert outcome.failed["raw/dc"] == frozenset({date(2025, 10, 20)})
    assert "the answer is not whole: store gpu-2:10901 is down" in outcome.failures["raw/dc"]
    assert rows(site, "select distinct day from energy") == [(date(2025, 10, 19),)]


def test_the_doctor_does_not_fail_over_series_that_ended(field: str, tmp_path: Path) -> None:
    """It asks what reports now. What it says of a meter and devices that do not meet is in test_doctor.py."""
    write(tmp_path, energy(field, "p2"))
    assert next(chapter.name for chapter in examine(load_site(tmp_path / "site.yaml"))) == "dc"
