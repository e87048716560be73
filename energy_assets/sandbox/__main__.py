"""Serve the sandbox company of a folder until Ctrl-C: `python -m energy_assets.sandbox --folder var/demo`."""

from __future__ import annotations

import argparse
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

from energy_assets.sandbox.company import DEFAULT_SEED, Company, last_complete_days, remembered_ports
from energy_assets.sandbox.site import readdress, write_site


def main() -> None:
    """Start every server, at the addresses the folder's site file names, and wait."""
    arguments = _arguments()
    folder: Path = arguments.folder
    before = remembered_ports(folder)
    days = last_complete_days(arguments.days, datetime.now(UTC))
    with Company(days, seed=arguments.seed, folder=folder) as company:
        site = folder / "site.yaml"
        if not site.exists():
            write_site(company, folder)
        else:
            for old, new in readdress(site, before, company.ports).items():
                print(f"port {old} is taken by another program: {site} now names port {new}")
        print(f"Sandbox AI (synthetic) is up; its site file is {site}")
        for name, port in company.ports.items():
            print(f"  {name}: http://127.0.0.1:{port}")
        print("Ctrl-C ends it.", flush=True)
        _wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m energy_assets.sandbox", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where its site file, bills and ports are kept")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="another seed is another company")
    parser.add_argument("--days", type=int, default=7, help="days of a new company's bills, ending yesterday")
    return parser.parse_args()


def _wait() -> None:
    done = threading.Event()
    # SIGINT too: a shell starts background commands with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()


if __name__ == "__main__":
    main()
