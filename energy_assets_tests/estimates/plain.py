"""A second implementation of estimates in plain Python, for tests alone: loops, fractions, own constants.

It shares nothing with the package but the printed lines, and knows four kinds of line.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

Parts = Mapping[str, tuple[Fraction, str, Fraction]]
HALF = Fraction(1, 2)


def _between(idle: str, full: str) -> Fraction:
    return (Fraction(idle) + HALF * (Fraction(full) - Fraction(idle))) / 1000


MACHINES: dict[str, Parts] = {
    "EUC1-BoxUsage:p5.48xlarge": {"gpu H100": (Fraction(8), "hour", _between("60", "700"))},
    "EUC1-BoxUsage:g5.xlarge": {"gpu A10G": (Fraction(1), "hour", _between("18", "153"))},
}
"""Accelerators of machine types: how many, and kWh of one in an hour at half its load."""
OTHERS: dict[str, Parts] = {
    "EBS:VolumeUsage.gp3": {"ssd": (Fraction(2), "month", Fraction("1.2") / 10**6)},
    "USW2-TimedStorage-ByteHrs": {"hdd": (Fraction(6), "month", Fraction("0.65") / 10**6)},
    "CAN1-APN1-AWS-Out-Bytes": {"network": (Fraction(1), "", Fraction("0.001"))},
}
"""Per printed unit: copies, whether it is held for a month, and kWh of a gigabyte and hour, or of a gigabyte."""


def kwh_by_hour(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, datetime], Fraction]:
    """Energy by component and hour: accelerators, storage and network alone."""
    found: dict[tuple[str, datetime], Fraction] = {}
    for line in lines:
        parts = {**MACHINES, **OTHERS}[line["sku_meter"]]
        start, end = line["charge_period_start"], line["charge_period_end"]
        hour = start.replace(minute=0, second=0, microsecond=0)
        while hour < end or hour <= start:
            after = hour + timedelta(hours=1)
            length = (end - start).total_seconds()
            inside = (min(end, after) - max(start, hour)).total_seconds()
            share = Fraction(int(inside), int(length)) if length else Fraction(1)
            for name, (count, held, kwh) in parts.items():
                hours = monthrange(hour.year, hour.month)[1] * 24 if held == "month" else 1
                amount = Fraction(line["consumed_quantity"]) * share * count * hours * kwh
                found[name, hour] = found.get((name, hour), Fraction(0)) + amount
            hour = after
    return found
