"""What day it is: the one place that says which day can be run last.

What belongs here: reading the clock in UTC. What does not: the arithmetic of days and periods (`periods`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from energy_assets.periods import ONE_DAY


def last_complete_day() -> date:
    """The last day that is over, UTC; no later one can be run."""
    return datetime.now(UTC).date() - ONE_DAY
