"""Whether instruments count: each serial once, and the quality criteria of the market-based method, one rule each.

What belongs here: judging certificates, contracts and rates one by one, and gathering those that are alike. What does
not: what they cover (`matching`), and reading tables (`assets`). Rows are few, so all is plain Python and exact.

The criteria are those of the GHG Protocol Scope 2 Guidance (2015), chapter 7, table 7.1; their numbers stand with the
rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

from energy_assets.contracts.vocabulary import InstrumentKind, Verdict
from energy_assets.emissions.exactly import kwh_of

CERTIFICATE, CONTRACT = InstrumentKind.CERTIFICATE.value, InstrumentKind.CONTRACT.value
RATES = (InstrumentKind.SUPPLIER_RATE.value, InstrumentKind.RESIDUAL_MIX.value)
JOINED = " + "
"""Between the zones of a market that holds several, in the column `market`."""
_TURN = timedelta(hours=24)
"""How far a generation may reach beyond its year by UTC: years end by local clocks."""


@dataclass(frozen=True)
class Instrument:
    """One line of a file of instruments; its fields are the columns of the raw contract.

    Attributes:
        source: Name of the source in site.yaml.
        rank: Place of the source in site.yaml: of two that bring the same, the first counts.
        counted_kwh: Of its quantity what counts; None for a rate without limit.
    """

    source: str
    rank: int
    instrument: str
    registry: str | None
    serial_from: str | None
    serial_to: str | None
    serial_series: str | None
    serial_first: int | None
    serial_last: int | None
    quantity_kwh: Decimal | None
    generation_start: datetime
    generation_end: datetime
    vintage: int
    for_year: int
    technology: str | None
    market: str
    supplier: str | None
    gco2e_per_kwh: Decimal | None
    carbon_free: bool | None
    retired_on: date | None
    beneficiary: str | None
    ghg_scope: str | None
    file: str
    line: int
    raw_sha256: str
    verdict: Verdict = Verdict.COUNTS
    counted_kwh: Decimal | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any], source: str, rank: int) -> Instrument:
        """From a row of the raw contract.

        Args:
            row: By column.
            source: Whose.
            rank: Of the source.
        """
        known = {name: value for name, value in row.items() if name in cls.__dataclass_fields__}
        for name in ("serial_first", "serial_last"):
            known[name] = None if row[name] is None else int(row[name])
        return cls(source=source, rank=rank, **known)

    @property
    def is_rate(self) -> bool:
        """Whether it says how electricity is made and not how much."""
        return self.instrument in RATES

    @property
    def example(self) -> str:
        """Where it stands, for a sentence."""
        return f"{self.file} line {self.line}"

    @property
    def serials(self) -> str | None:
        """Its serials, for a sentence."""
        return " to ".join(one for one in dict.fromkeys((self.serial_from, self.serial_to)) if one) or None


def conveys_a_rate(one: Instrument) -> bool:
    """Criterion 1: it conveys the direct emission rate of its electricity.

    Args:
        one: Any instrument; a factor is stated with it or for its technology, and never assumed.
    """
    return one.gco2e_per_kwh is not None


def is_tracked(one: Instrument) -> bool:
    """Criterion 3, its first half: a certificate is tracked, under a serial of a registry.

    Args:
        one: Any instrument; contracts and rates are tracked by what is written in them.
    """
    return one.instrument != CERTIFICATE or one.serial_series is not None


def is_retired(one: Instrument) -> bool:
    """Criterion 3, its second half: a certificate is redeemed, retired or cancelled, so that nobody else uses it.

    Args:
        one: Any instrument.
    """
    return one.instrument != CERTIFICATE or one.retired_on is not None


def is_ours(one: Instrument, names: Collection[str]) -> bool:
    """Criterion 3, by or on behalf of whom: for the organisation, where the registry says for whom.

    Args:
        one: Any instrument.
        names: Of the organisation, as `plain` writes them.
    """
    return one.is_rate or one.beneficiary is None or plain(one.beneficiary) in names


def is_of_the_year(one: Instrument) -> bool:
    """Criterion 4: generated as close as possible to the consumption; here, within the calendar year it is claimed for.

    The Guidance names no number of months. A calendar year is what registries call a vintage, and no part of it can
    be claimed in two inventories. Rates are of the latest year published and are chosen later.

    Args:
        one: Any instrument.
    """
    ends = datetime(one.for_year + 1, 1, 1) + _TURN
    return one.is_rate or (one.vintage == one.for_year and one.generation_end <= ends)


def is_of_a_market(one: Instrument, zones: Collection[str]) -> bool:
    """Criterion 5: sourced from the market in which the electricity was used.

    Args:
        one: Any instrument.
        zones: Grid zones in which electricity was used in the year.
    """
    return any(covers(one.market, zone) for zone in zones)


def covers(market: str, zone: str) -> bool:
    """Whether a grid zone is within a market: it is the zone, or the country or grid that the zone is a part of.

    Args:
        market: As an instrument states it: DE, US, DK-DK1; several that are one market are joined by ` + `.
        zone: A grid zone, as Electricity Maps names it.
    """
    return any(zone == one or zone.startswith(f"{one}-") for one in market.split(JOINED))


def plain(name: str) -> str:
    """A name of an organisation in one spelling.

    Args:
        name: As a registry writes it.
    """
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def judged(every: Iterable[Instrument], zones: Collection[str], names: Collection[str]) -> list[Instrument]:
    """Instruments with what each counts for, and why the others do not.

    Args:
        every: What is known in a month of the instruments of its year.
        zones: Grid zones in which electricity that instruments cover was used in the year.
        names: Of the organisation.
    """
    mine = {plain(name) for name in names}
    rules: tuple[tuple[Verdict, Callable[[Instrument], bool]], ...] = (
        (Verdict.NO_FACTOR, conveys_a_rate),
        (Verdict.UNTRACKED, is_tracked),
        (Verdict.NOT_RETIRED, is_retired),
        (Verdict.OTHER_BENEFICIARY, lambda one: is_ours(one, mine)),
        (Verdict.OTHER_YEAR, is_of_the_year),
        (Verdict.OTHER_MARKET, lambda one: is_of_a_market(one, zones)),
    )
    good, found = list[Instrument](), list[Instrument]()
    for one in every:
        broken = next((verdict for verdict, keeps in rules if not keeps(one)), None)
        if broken is None:
            good.append(replace(one, counted_kwh=one.quantity_kwh))
        else:
            found.append(replace(one, verdict=broken, counted_kwh=Decimal(0)))
    return [*serials_once(good), *found]


def serials_once(good: Sequence[Instrument]) -> Iterator[Instrument]:
    """Criterion 2: no other instrument carries the claim; each serial counts once, whichever files or sources bring it.

    Of ranges that overlap the one that begins first counts whole, of the others what is beyond it; of equal ones that
    of the first source. Contracts have no serials: of lines that are equal in all they say one counts.

    Args:
        good: Instruments that meet the other criteria.
    """
    series: dict[str, list[Instrument]] = defaultdict(list)
    said = set[tuple[Any, ...]]()
    for one in sorted(good, key=lambda one: (one.rank, one.raw_sha256, one.line)):
        if one.serial_series is not None:
            series[one.serial_series].append(one)
            continue
        key = (*(getattr(one, name) for name in _ALL_IT_SAYS),)
        twice = one.instrument == CONTRACT and key in said
        said.add(key)
        yield replace(one, verdict=Verdict.SERIAL_TWICE, counted_kwh=Decimal(0)) if twice else one
    for ranges in series.values():
        yield from _once(ranges)


def _once(ranges: Sequence[Instrument]) -> Iterator[Instrument]:
    """Ranges of one series, each with what no range before it holds."""
    reached = -1
    for one in sorted(ranges, key=lambda one: (one.serial_first or 0, -(one.serial_last or 0), one.rank)):
        first, last = one.serial_first or 0, one.serial_last or 0
        new = max(0, last - max(first, reached + 1) + 1)
        reached = max(reached, last)
        if new == last - first + 1:
            yield one
        elif new == 0:
            yield replace(one, verdict=Verdict.SERIAL_TWICE, counted_kwh=Decimal(0))
        else:
            part = Fraction(one.quantity_kwh or 0) * new / (last - first + 1)
            yield replace(one, counted_kwh=kwh_of(part))


_ALL_IT_SAYS = (
    "instrument", "registry", "serial_from", "quantity_kwh", "generation_start", "generation_end", "for_year",
    "technology", "market", "supplier", "gco2e_per_kwh", "beneficiary", "ghg_scope",
)  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """Instruments of one file that are alike in all that decides what they cover.

    Attributes:
        name: Of the batch, the same whenever the same files are read.
        one: The first of them: what they share.
        certificates: How many lines.
        quantity_kwh: As stated; None for a rate without limit.
        counted_kwh: Of it, what counts.
    """

    name: str
    one: Instrument
    certificates: int
    quantity_kwh: Decimal | None
    counted_kwh: Decimal | None


_ALIKE = (
    "rank", "source", "raw_sha256", "instrument", "registry", "market", "technology", "supplier", "vintage",
    "gco2e_per_kwh", "carbon_free", "ghg_scope",
)  # fmt: skip


def batches(every: Iterable[Instrument]) -> list[Batch]:
    """Instruments gathered with those that are alike, in the order of sources and files.

    Rates keep their periods, of which each decides for itself what it is of.

    Args:
        every: As `judged` returns them.
    """
    alike: dict[tuple[Any, ...], list[Instrument]] = defaultdict(list)
    for one in sorted(every, key=lambda one: (one.rank, one.raw_sha256, one.line)):
        period = (one.generation_start, one.generation_end, one.quantity_kwh) if one.is_rate else ()
        alike[(*(getattr(one, name) for name in _ALIKE), _partly(one), *period)].append(one)
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
    return [_batch(some, numbers) for some in alike.values()]


def _batch(some: Sequence[Instrument], numbers: Mapping[str, Iterator[int]]) -> Batch:
    one = some[0]
    limited = one.quantity_kwh is not None
    return Batch(
        f"{one.source} {one.raw_sha256[:12]} {next(numbers[one.source + one.raw_sha256])}",
        one,
        len(some),
        sum((other.quantity_kwh or Decimal() for other in some), Decimal()) if limited else None,
        sum((other.counted_kwh or Decimal() for other in some), Decimal()) if limited else None,
    )


def _partly(one: Instrument) -> Verdict:
    """The verdict; serials that count in part are told apart, for the other part was counted before."""
    partly = one.verdict == Verdict.COUNTS and one.counted_kwh != one.quantity_kwh
    return Verdict.SERIAL_TWICE if partly else one.verdict
