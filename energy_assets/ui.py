"""The Dagster UI of one site: `python -m energy_assets.ui --site site.yaml`.

What belongs here: starting Dagster's own servers with the site's environment, and ending all of them. For the
sandbox company its servers are started as well, so that a materialization from the UI has something to collect.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import click

from energy_assets.commands import SITE_VARIABLE, command

LOG = "ui.log"
GRACE_S = 25
"""How long Dagster may take to end a run in progress and its servers before they are killed."""
STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(help="Serve the Dagster UI on 127.0.0.1 until Ctrl-C.")
@click.option(
    "--site",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=SITE_VARIABLE,
    default=Path("site.yaml"),
    show_default=True,
    help=f"The site file; also read from {SITE_VARIABLE}.",
)
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def main(path: Path, port: int) -> None:
    """Serve the Dagster UI on 127.0.0.1 until Ctrl-C.

    Args:
        path: The site's file.
        port: Of the web server.
    """
    # Loaded here, for `--help` must not wait for an engine.
    from energy_assets.disclosures.places import reports_root
    from energy_assets.report_server import serving
    from energy_assets.running import instance
    from energy_assets.site import SiteError, load_site
    from energy_assets.ui_guard import REPORTS_VARIABLE

    try:
        site = load_site(path)
    except SiteError as error:
        raise SystemExit(f"{error}\nThe demo's site is made by: {command('demo')}") from None
    if _taken(port):
        another = command("ui", site=path, options={"port": _free_pair(port)})
        raise SystemExit(f"Port {port} is taken by another program. Choose another one: {another}")
    stop = threading.Event()
    for number in STOP:
        signal.signal(number, lambda *_: stop.set())
    with (
        instance(site) as opened,
        serving(reports_root(site), port + 1) as reports,
        _sandbox(path) if site.organisation.synthetic else nullcontext(),
    ):
        log = Path(opened.root_directory) / LOG
        environment = {
            **os.environ,
            "DAGSTER_HOME": opened.root_directory,
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "PYTHONWARNINGS": "ignore",
            SITE_VARIABLE: str(path.resolve()),
            REPORTS_VARIABLE: reports,
        }
        click.echo(f"Starting the Dagster UI of {site.organisation.name} (10 to 30 seconds; its log is {log})")
        with _dagster(port, environment, log) as running:
            url = f"http://127.0.0.1:{port}"
            if _wait_until(lambda: _answers(url), stop, running):
                click.echo(f"Dagster UI: {url}\nReports: {reports}\nCtrl-C ends it.")
                _wait_until(lambda: False, stop, running)
            click.echo("Stopping Dagster …" if stop.is_set() else f"Dagster ended by itself; its log is {log}")
        if not stop.is_set():
            sys.exit(1)
    click.echo("Stopped; nothing is left running.")


@contextmanager
def _dagster(port: int, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's web server, daemon and code server; all of them are gone when this ends.

    They are a session of their own: a terminal's Ctrl-C reaches them once and in order, through us.
    """
    guarded = ["-m", "energy_assets.ui_guard", "dev"]
    command = [*guarded, "-m", "energy_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            cwd=log.parent,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            running.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                running.wait(GRACE_S)
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _wait_until(done: Callable[[], bool], stop: threading.Event, running: subprocess.Popen[bytes]) -> bool:
    """Whether `done` came true before somebody stopped us or Dagster ended."""
    while not stop.wait(0.3):
        if running.poll() is not None:
            return False
        if done():
            return True
    return False


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/server_info", timeout=2) as answer:  # noqa: S310 - loopback
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free_pair(port: int) -> int:
    """The next port that is free, for the UI, together with the one after it, for the reports."""
    pairs = range(port + 2, port + 200, 2)
    return next((one for one in pairs if not _taken(one) and not _taken(one + 1)), port + 2)


@contextmanager
def _sandbox(site: Path) -> Iterator[None]:
    """The sandbox company's servers, when the site file is its own."""
    from energy_assets.sandbox.serving import own_servers

    with own_servers(site) as said:
        for line in said:
            click.echo(line)
        yield


if __name__ == "__main__":
    main()
