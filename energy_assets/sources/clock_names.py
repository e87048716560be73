"""By which clock times are, as the name of their column says it: `Datetime (UTC)`, `Zeit (MEZ)`.

What belongs here: names of columns against what site.yaml says, for every kind of file. What does not: reading times
(`opening`), and what a zone's clock shows (`local_time`). A name settles nothing, it only raises a doubt that is told.
"""

# ruff: noqa: S608 - column names are quoted

from __future__ import annotations

import re

from energy_assets.sources import local_time
from energy_assets.sources.opening import Clock, Opened

NAMED_UTC = re.compile(r"(?:^|[^a-z])(?:utc|gmt)(?:[^a-z]|$)", re.IGNORECASE)
"""A column of times whose name says UTC."""

NAMED_LOCAL = re.compile(
    r"(?:^|[^a-z])(?:"
    r"(?:mes?z|ces?t|wes?t|ees?t|bst|[ecmp][sd]t|ak[sd]t|hst|ae[sd]t|ac[sd]t|awst|nz[sd]t|jst|kst|hkt|sgt|msk)(?![a-z])"
    r"|local(?!host)|lokal|ortszeit"
    r"|(?:utc|gmt)\s*[+-]\s*0?[1-9]"
    r"|(?:europe|america|asia|africa|australia|pacific|atlantic|indian)/[a-z])",
    re.IGNORECASE,
)
"""A column of times whose name says another clock than UTC: an abbreviation, an offset, a zone, or that it is local."""

DOUBTS = ("clocks_named_utc", "clocks_named_local")
"""The notes that tell of it."""


def steady_utc(zone: str) -> bool:
    """Whether the clock of a zone is UTC all year.

    Args:
        zone: Its IANA name.
    """
    return not (local_time.changes(zone) or local_time.steady(zone))


def doubt(file: Opened, column: str, clock: Clock) -> str | None:
    """The note for a column of times whose name contradicts how its times are taken; None where it does not.

    Times that state their offset are in no doubt, and neither is what site.yaml says to be UTC.

    Args:
        file: The file.
        column: Its column of times.
        clock: How they are written, as site.yaml says it.
    """
    zone = clock.timezone
    if zone is None:
        named = DOUBTS[1] if NAMED_LOCAL.search(column) else None
    else:
        named = DOUBTS[0] if NAMED_UTC.search(column) and not steady_utc(zone) else None
    if named is None:
        return None
    (bare,) = file.con.raw_sql(f"SELECT count(*) FROM {file.relation} WHERE {file.bare(column, clock)}").fetchone()
    return named if bare else None
