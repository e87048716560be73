"""`python -m energy_assets_tests.chaos`: strike a small site with faults, and compare the end with a quiet store."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from energy_assets_tests.chaos.campaign import Campaign


def main() -> None:
    """Parse the command line, run the campaign, say what it found."""
    parser = argparse.ArgumentParser(prog="python -m energy_assets_tests.chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=int(os.environ.get("CHAOS_FAULTS", "200")), help="how many")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("CHAOS_SEED", "1")), help="of what strikes")
    parser.add_argument("--folder", type=Path, help="where it happens, and stays (default: a temporary folder)")
    chosen = parser.parse_args()
    if chosen.folder:
        chosen.folder.mkdir(parents=True)
        sys.exit(_campaign(chosen.folder, chosen))
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        sys.exit(_campaign(Path(folder), chosen))


def _campaign(folder: Path, chosen: argparse.Namespace) -> int:
    result = Campaign(folder, chosen.seed, lambda said: print(said, flush=True)).run(chosen.faults)
    kinds = ", ".join(f"{count} {kind}" for kind, count in result.faults.most_common())
    print(f"{result.faults.total()} faults with seed {chosen.seed} in {result.seconds:.0f} s: {kinds}")
    for said in result.wrong:
        print(f"WRONG {said}")
    print("All tables and the report are those of a quiet store." if not result.wrong else "Not survived.")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    main()
