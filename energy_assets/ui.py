"""The Dagster UI of one site: `python -m energy_assets.ui --site site.yaml`.

What belongs here: starting Dagster's own server with the site's environment. For the sandbox company its
servers are started as well, so that a materialization from the UI has something to collect.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from energy_assets.running import instance
from energy_assets.site import SITE_VARIABLE, SiteError, load_site


@click.command()
@click.option("--site", "path", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The site file.")
@click.option("--port", default=3000, show_default=True, help="Port on 127.0.0.1.")
def main(path: Path, port: int) -> None:
    """Serve the Dagster UI on 127.0.0.1 until Ctrl-C."""
    try:
        site = load_site(path)
    except SiteError as error:
        raise SystemExit(f"{error}\nThe demo's site is made by `make demo`; for your own: make ui SITE=site.yaml") from None
    with instance(site) as opened, _sandbox(path.parent) if site.organisation.synthetic else nullcontext():
        environment = {
            **os.environ,
            "DAGSTER_HOME": opened.root_directory,
            SITE_VARIABLE: str(path.resolve()),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        command = ["-m", "dagster", "dev", "-m", "energy_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
        click.echo(f"Dagster UI of {site.organisation.name}: http://127.0.0.1:{port} (Ctrl-C ends it)")
        try:
            sys.exit(subprocess.run([sys.executable, *command], env=environment, check=False).returncode)
        except KeyboardInterrupt:
            click.echo()


@contextmanager
def _sandbox(folder: Path) -> Iterator[None]:
    """The sandbox company's servers, when the folder is one of its own."""
    from energy_assets.sandbox.company import Company, last_complete_days, remembered_ports

    if not remembered_ports(folder):
        yield
        return
    with Company(last_complete_days(7, datetime.now(UTC)), folder=folder):
        yield


if __name__ == "__main__":
    main()
