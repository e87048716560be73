"""Ask the public advisory data about every locked package: `make audit`.

What belongs here: running pip-audit on the lock, and telling "nothing is known against it" from "nothing could be
asked". What does not: deciding what to do about a finding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

PIP_AUDIT = "pip-audit==2.10.1"
TIMEOUT_S = 300


def verdict(answer: str, complaint: str) -> tuple[int, list[str]]:
    """The exit code, and what to say.

    Args:
        answer: What pip-audit printed as JSON.
        complaint: What it printed beside that.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = complaint.strip().splitlines()[-1:] or ["it said nothing"]
        return 0, [f"NOT AUDITED: the advisory data could not be had here ({last[0][:200]})."]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        reasons = sorted({package["skip_reason"].partition(":")[0] for package in packages}) or ["the lock is empty"]
        return 0, [f"NOT AUDITED: the advisory data could not be had here ({reasons[0][:200]})."]
    found = [
        f"{package['name']} {package['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'none'}"
        for package in asked
        for known in package["vulns"]
    ]
    told = [f"{len(asked)} of {len(packages)} locked packages audited, {len(found)} advisories."]
    if len(asked) < len(packages):
        told.append(f"NOT AUDITED: {', '.join(sorted(p['name'] for p in packages if 'skip_reason' in p))}")
    return (1 if found else 0), [*found, *told]


def main(words: Sequence[str]) -> int:
    """Audit the lock files named; tells what it found.

    Args:
        words: Path of uv, then of the lock files.
    """
    uv, *locks = words
    command = [
        uv,
        "tool",
        "run",
        "-q",
        "--from",
        PIP_AUDIT,
        "pip-audit",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    code = 0
    for lock in locks:
        try:
            ran = subprocess.run(
                [*command, "--require-hashes", "--disable-pip", "-r", lock],
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            found, told = verdict(ran.stdout, ran.stderr)
        except subprocess.TimeoutExpired:
            found, told = 0, [f"NOT AUDITED: the advisory data did not come within {TIMEOUT_S} s."]
        code = max(code, found)
        print("\n".join(f"{lock}: {line}" for line in told))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
