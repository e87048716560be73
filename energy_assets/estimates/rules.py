"""Usage rules: which line of a bill is a machine, storage, traffic …, and which is none of its own.

What belongs here: the table `usage_rules.csv` and which of its rows a line takes. What does not: watts (`components`).
A line is looked at in small letters; the first rule whose provider, service and meter fit, and whose unit is of the
kind it asks for, is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from energy_assets.estimates.units import Unit
from energy_assets.factors.tables import rows_of_data

ANY_UNIT = Unit(Fraction(0), "count", "")
"""Asks for the rule of a line whatever its unit: of one that prints none."""


@dataclass(frozen=True)
class Rule:
    """One row of `usage_rules.csv`.

    Attributes:
        provider: Whose bill.
        service: What the service's name must hold; None for any.
        meter: What the meter, or the description, must hold; None for any.
        thing: `data` or `count` where the unit must count that; empty for any.
        time: `hour` or `month` where the amount must be held for a time; empty with a thing: for no time.
        what: machine, accelerator, vcpu, memory, function, storage, disk, network; or why the line has
            no energy: `rides` on another line, `unused` capacity, `tokens`, or `none` that anybody publishes.
        medium: ssd or hdd, of storage.
        replication: Copies that are kept, or machines that run, of what the line counts once.
        note: Why, for people.
        source: Who says so, with the year.
    """

    provider: str
    service: re.Pattern[str] | None
    meter: re.Pattern[str] | None
    thing: str
    time: str
    what: str
    medium: str
    replication: Fraction
    note: str
    source: str

    @property
    def times(self) -> tuple[str, ...]:
        """The times an amount may be held for: what is held for a month may be billed by the hour, too."""
        return ("month", "hour") if self.time == "month" else (self.time,)

    def takes(self, provider: str, service: str, meter: str, unit: Unit | None) -> bool:
        """Whether the rule speaks of a line.

        Args:
            provider: As `cost` has it.
            service: ServiceName in small letters.
            meter: Meter or description in small letters.
            unit: Of the quantity.
        """
        if self.provider != provider:
            return False
        if unit is not ANY_UNIT and not self._counts(unit):
            return False
        if self.service and not self.service.search(service):
            return False
        return not self.meter or bool(self.meter.search(meter))

    def _counts(self, unit: Unit | None) -> bool:
        return not self.thing or (unit is not None and unit.thing == self.thing and unit.time in self.times)


@cache
def usage_rules() -> tuple[Rule, ...]:
    """All rules, in the order in which they are tried."""
    return tuple(_rule(row) for row in rows_of_data("usage_rules.csv"))


def _rule(row: dict[str, str]) -> Rule:
    return Rule(
        row["provider"],
        re.compile(row["service"]) if row["service"] else None,
        re.compile(row["meter"]) if row["meter"] else None,
        row["thing"],
        row["time"],
        row["what"],
        row["medium"],
        Fraction(row["replication"] or "1"),
        row["note"],
        f"{row['source']} ({row['year']})" if row["year"] else row["source"],
    )


def rule_of(provider: str, service: str, meter: str, unit: Unit | None) -> Rule | None:
    """The first rule that takes a line.

    Args:
        provider: As `cost` has it.
        service: ServiceName, in any case.
        meter: Meter or description, in any case.
        unit: Of the quantity.
    """
    small, text = service.lower(), meter.lower()
    return next((rule for rule in usage_rules() if rule.takes(provider, small, text, unit)), None)
