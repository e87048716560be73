"""A real Prometheus for tests: series written as OpenMetrics, backfilled with promtool, served on loopback.

What belongs here: the server's life. What does not: expectations. Used by every test that needs real PromQL.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

RETENTION = "100y"
CONFIG = "global: {scrape_interval: 1h}\n"


@dataclass
class Series:
    """One metric with its labels and samples.

    Attributes:
        name: The metric.
        labels: Its labels.
        samples: (unix seconds, value); the value as it shall be written.
    """

    name: str
    labels: Mapping[str, str]
    samples: Sequence[tuple[float, object]] = field(default_factory=list)


def open_metrics(series: Iterable[Series]) -> str:
    """The text promtool reads. Every metric is declared `unknown`, so that any name is allowed."""
    lines: list[str] = []
    by_name: dict[str, list[Series]] = {}
    for one in series:
        by_name.setdefault(one.name, []).append(one)
    for name, members in by_name.items():
        lines.append(f"# TYPE {name} unknown")
        for one in members:
            labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in one.labels.items())
            lines += [f"{name}{{{labels}}} {value} {t}" for t, value in one.samples]
    return "\n".join([*lines, "# EOF", ""])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def missing_binary() -> str | None:
    """The reason why no Prometheus can be started here, or None."""
    missing = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not installed (Debian: apt-get install prometheus)" if missing else None


@contextmanager
def prometheus(
    series: Iterable[Series] | Path, folder: Path, flags: Sequence[str] = (), block_duration: str = "24h"
) -> Iterator[str]:
    """Start a Prometheus that holds `series` and yield its base url; stop it afterwards.

    Args:
        series: What it shall hold, or a file of OpenMetrics text.
        folder: An empty folder for its data.
        flags: More command-line flags, for example `--query.max-samples=1000`.
        block_duration: Of the backfilled blocks; longer makes fewer of them.
    """
    data = folder / "data"
    data.mkdir(parents=True)
    text = series if isinstance(series, Path) else folder / "series.om"
    if not isinstance(series, Path):
        text.write_text(open_metrics(series), encoding="utf-8")
    made = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q"]
        + [f"--max-block-duration={block_duration}", str(text), str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise AssertionError(f"promtool refused the series: {made.stderr.strip()[-500:]}")
    (folder / "prometheus.yml").write_text(CONFIG)
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={data}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
                *flags,
            ],
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, folder / "prometheus.log")
            yield url
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"Prometheus did not become ready: {log.read_text()[-800:]}")


def require_prometheus() -> None:
    """Skip the test where Prometheus is not installed."""
    reason = missing_binary()
    if reason:
        pytest.skip(reason)
