"""The doctor makes the requests of all sources together, as a run does, on a real Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from energy_assets.doctor import examine
from energy_assets.periods import DayRange
from energy_assets.running import run_days
from energy_assets.site import load_site
from energy_assets_tests.prometheus_server import Series, prometheus

pytestmark = pytest.mark.real_server

HOUR = 3600
COUNTERS = {"vllm:request_success_total": 1, "vllm:prompt_tokens_total": 200, "vllm:generation_tokens_total": 50}
POD = {"job": "pods", "namespace": "llm", "pod": "chat-0", "instance": "10.42.0.9:8000"}
SITE = """organisation: {{name: x, currency: EUR}}
start: {start}
storage: {{root: ./var}}
sources:
  - {{name: serving, kind: prometheus_inference, url: '{url}', selector: 'job="pods"'}}
  - {{name: central, kind: prometheus_inference, url: '{url}', selector: 'job="central"'}}
"""


def test_a_server_that_two_sources_name_otherwise_is_told_before_and_after_a_run(tmp_path: Path) -> None:
    """It is scraped 23 s later by the second one, whose labels have no pod; that one out of the way, all is well."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    midnight = int(datetime.combine(yesterday, time(), UTC).timestamp())
    series = [
        Series(
            metric,
            {**labels, "model_name": "m", "engine": "0"},
            [(t, (1000 + t - midnight + HOUR) * each) for t in range(midnight - HOUR + late, midnight + 25 * HOUR, 60)],
        )
        for labels, late in ((POD, 7), ({"job": "central", "instance": POD["instance"]}, 30))
        for metric, each in COUNTERS.items()
    ]
    with prometheus(series, tmp_path / "server", block_duration="48h") as url:
        path = tmp_path / "site.yaml"
        path.write_text(SITE.format(url=url, start=yesterday))
        chapters = {chapter.name: chapter.findings for chapter in examine(load_site(path))}
        (finding,) = chapters["energy"]
        assert not finding.ok
        assert finding.what == (
            f"servers_differ: once, for example day {yesterday}, one 10.42.0.9:8000 of central, other chat-0 of "
            "serving, model_id m, hours 24"
        )
        days = DayRange(yesterday, yesterday)
        (warning,) = run_days(load_site(path), days, lambda step: None).warnings
        assert warning.startswith(f"unified/activity: {finding.what}. If both are one server")
        path.write_text(path.read_text().replace('job="central"', 'job="central", instance!="10.42.0.9:8000"'))
        chapters = {chapter.name: chapter.findings for chapter in examine(load_site(path))}
        assert "energy" not in chapters
