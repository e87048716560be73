"""What a bill holds, as JSON for the memory of a source, and back.

What belongs here: the form in which shares are remembered. What does not: what a share is (`parse`), and which file
is known (`energy_assets.sources.memory`).
"""

from __future__ import annotations

from dataclasses import astuple, fields
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from energy_assets.landing import Landing
from energy_assets.sources.base import SeenBill, Source
from energy_assets.sources.focus.parse import Share, Wanted, contents
from energy_assets.sources.memory import Look

FIELDS = tuple(field.name for field in fields(Share))
"""Part of a memory's settings: what was remembered in another form is looked into again."""

PROVIDER, ACCOUNT, PERIOD = map(FIELDS.index, ("provider", "billing_account", "billing_period"))
_DATES = ("billing_period", "day", "last")


def look(con: Any, name: str, wanted: Wanted, rewrite_in: Path | None = None) -> Look:
    """A look into a bill, for `Memory.know`; see `contents`.

    Args:
        con: A DuckDB connection.
        name: How errors call the file.
        wanted: The layout, or `auto`.
        rewrite_in: Where text files are rewritten at once, None where they are only looked at.
    """
    return partial(_facts, con, name, wanted, rewrite_in)


def shares_of(facts: Any) -> tuple[Share, ...]:
    """The shares that `look` found."""
    rows = (dict(zip(FIELDS, row, strict=True)) for row in facts)
    return tuple(Share(**{**row, **{name: date.fromisoformat(row[name]) for name in _DATES}}) for row in rows)


def bills_seen(source: Source, landing: Landing) -> list[SeenBill]:
    """The bills that remembered files of a source hold; nothing is opened.

    Args:
        source: A source of bills.
        landing: Where it is remembered.
    """
    seen = set()
    for entry in landing.seen(source.name).values():
        facts = entry.get("facts") if isinstance(entry, dict) else None
        for row in facts if isinstance(facts, list) else ():
            if len(row) == len(FIELDS):
                seen.add((row[PROVIDER], row[ACCOUNT], row[PERIOD]))
    return [
        SeenBill(provider, account, date.fromisoformat(period)) for provider, account, period in sorted(seen, key=str)
    ]


def _facts(con: Any, name: str, wanted: Wanted, rewrite_in: Path | None, path: Path, sha256: str) -> Any:
    shares = contents(con, path, name, wanted, rewrite_in)
    return [[v.isoformat() if isinstance(v, date) else v for v in astuple(share)] for share in shares]
