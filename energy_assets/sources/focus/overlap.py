"""Deliveries that hold the same charges of the same bill: the double count no layout warns of.

Two exports of one bill differ in what providers and portals vary: the number of decimals, the version of FOCUS and
with it the names of regions and services, the case of accounts and resources, how the lines are cut into files, and
whether a line is an hour, a day or a month. So deliveries are compared by what does not vary, each with all others
together that speak of the same bill on the same days, in these looks:

1. line by line: start, account, resource and amount, rounded as the coarser of them prints it;
2. where the lines of one are longer than those of the other: totals of each resource and day;
3. where one names resources and the other none: totals of each day;
4. where the lines of one are longer than a day and those of the other much shorter: totals of the billing period, of
   each resource, of each service, and of all (`grains`);
5. where the lines are equally long: line by line at times that are all shifted alike, totals of each resource and day,
   totals of each account and day, and charges of the same resource and time at other amounts, which prove nothing
   and are told (`seconds`).

What belongs here: comparing. What does not: equal bytes (counted once, in `parse`), and runs of one export (only
the newest counts, in `deliveries`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from energy_assets.contracts.accounts import account_key, account_key_sql
from energy_assets.counting import counted
from energy_assets.sources.errors import PermanentError
from energy_assets.sources.focus import grains, seconds
from energy_assets.sources.focus.bill import literal
from energy_assets.sources.focus.grains import DECIMALS, NO_MINOR_UNIT, WITHIN
from energy_assets.sources.focus.parse import Share, rewritten

SAME_SHARE = 0.5
"""Of what a delivery says on the days it shares with others: from this share on it repeats them. Part files of one
bill share next to no line; a second export of a period shares nearly all."""
ALIKE_SHARE = 0.05
"""From this share of its lines on, a delivery is told to be partly in others: exports of two teams that both hold the
shared costs, say. Below it, equal lines are chance."""
WHOLLY = 0.95
"""From this share of its lines on, a delivery whose amounts are rounded may go without loss: a few of them are rounded
in another way than ours. Of amounts as precise as those of the others, every line must be there."""
ALL_OF_IT = 1 - 1e-9
SHOWN = 3
UTC = "Leave what has its times in UTC below `path` and move the rest out."
KEEP = " If they are two bills that only cost the same, `same_lines: keep` in the source's block counts both."


class Holds(Protocol):
    """What `neighbours` must know of a file."""

    @property
    def delivery(self) -> int:
        """The delivery it is part of; files of one are never compared."""

    @property
    def shares(self) -> tuple[Share, ...]:
        """What it holds."""


@dataclass(frozen=True)
class Compared:
    """A delivery whose files lie rewritten (see `parse.rewrite`).

    Attributes:
        names: Of its files, as errors call them.
        typed: Its rewritten files.
    """

    names: tuple[str, ...]
    typed: tuple[Path, ...]

    def __str__(self) -> str:
        more = f" and {len(self.names) - 1} more files of its delivery" if len(self.names) > 1 else ""
        return f"{self.names[0]}{more}"


@dataclass(frozen=True)
class Repeat:
    """Deliveries that hold the same charges.

    Attributes:
        deliveries: Their numbers.
        error: What to tell.
        spans: They were found by charges longer than a day, which lie on the day they start.
    """

    deliveries: frozenset[int]
    error: PermanentError
    spans: bool = False


def neighbours(bills: Iterable[Holds]) -> dict[int, set[int]]:
    """By delivery, the other deliveries that speak of the same bill on the same day, or on one within a longer charge.

    A line that names no billing account may be of any of its provider.

    Args:
        bills: Every file that is about to be counted.
    """
    bills = list(bills)
    loose = loosely(share for bill in bills for share in bill.shares)
    holders: dict[tuple[object, ...], set[int]] = defaultdict(set)
    for bill in bills:
        for share in bill.shares:
            period = (share.provider, share.billing_period)
            account = "" if period in loose else account_key(share.provider, share.billing_account)
            for day in share.covered:
                holders[(*period, account, day)].add(bill.delivery)
    found: dict[int, set[int]] = defaultdict(set)
    for together in holders.values():
        for one in together:
            found[one] |= together - {one}
    return {one: others for one, others in found.items() if others}


def loosely(shares: Iterable[Share]) -> set[tuple[str, Any]]:
    """Providers and billing periods of which some lines name no billing account."""
    return {
        (share.provider, share.billing_period)
        for share in shares
        if not account_key(share.provider, share.billing_account)
    }


def repeats(
    con: Any, deliveries: Mapping[int, Compared], loose: Iterable[tuple[str, Any]]
) -> tuple[list[Repeat], dict[int, list[str]], dict[int, list[str]], dict[int, list[str]], dict[int, list[str]]]:
    """Deliveries of which half or more, on the days they share with others, is in these others.

    Args:
        con: A DuckDB connection.
        deliveries: By their numbers: some, and all their neighbours.
        loose: See `loosely`.

    Returns:
        What repeats; and by delivery, of those that repeat nothing, which of their lines are in others as well; which
        of their long charges lie beside others of the same time, with totals that prove nothing; of which days others
        have the same total; and which of their charges others have at other amounts.
    """
    lines = f"lines_{uuid4().hex[:8]}"
    found: dict[tuple[Any, ...], _Found] = {}
    equal: dict[tuple[Any, ...], _Found] = {}
    try:
        sizes = _prepare(con, deliveries, loose, lines)
        if con.execute(f"SELECT count(*) FROM {lines}").fetchone()[0] == 0:  # noqa: S608
            return [], {}, {}, {}, {}
        places = _places(con, lines)
        looks = _looks(lines, places)
        for look in looks:
            for delivery, provider, account, period, same, of, others, share in con.execute(look.query).fetchall():
                key = delivery, provider, account, period
                what = look.what.format(same=same, of=of)
                by_lines = same / of * share
                one = _Found(delivery, frozenset(others), what, by_lines, look.spans, look.sure, look.shifted)
                if look is looks[0]:
                    equal[key] = one
                if same >= SAME_SHARE * of:
                    found[key] = one.after(found.get(key), equal.get(key))
                elif look.spans and key in found and found[key] is equal.get(key) and found[key].others <= one.others:
                    found[key] = found[key].beside(one)
        held = _held(con, lines, deliveries, sizes) if found else {}
        unsure, totals = _unsure(con, lines), _equal_totals(con, lines, places)
        priced = _other_amounts(con, lines, places)
    finally:
        con.execute(f"DROP TABLE IF EXISTS {lines}")
    repeated = {number for one in found.values() for number in (one.delivery, *one.others)}
    alike, unsure, totals, priced = (
        {bill: one for bill, one in told.items() if one.delivery not in repeated}
        for told in (equal, unsure, totals, priced)
    )
    return (
        _told(deliveries, held, found),
        _partly(deliveries, alike),
        _beside(deliveries, unsure, _OTHER_TOTALS),
        _beside(deliveries, totals, _EQUAL_TOTALS),
        _beside(deliveries, priced, _OTHER_AMOUNTS),
    )


@dataclass(frozen=True)
class _Found:
    """One delivery's lines of one bill that others repeat: `lines` of them, by what was counted."""

    delivery: int
    others: frozenset[int]
    what: str
    lines: float
    spans: bool = False
    sure: bool = True
    shifted: bool = False
    days: str = ""

    def beside(self, other: _Found) -> _Found:
        """This, and the lines that another look found: of the bills of a month and of its days, the taxes are equal."""
        return replace(self, others=self.others | other.others, lines=self.lines + other.lines)

    def after(self, before: _Found | None, equal: _Found | None) -> _Found:
        """What counts of this, of what was found before it, and of the lines that are `equal`.

        Totals and equal lines are never of the same charges where they are in the same deliveries: the ones need
        charges of different length, the others of the same.
        """
        if not self.spans or not self.sure or not equal or not equal.others <= self.others:
            return before or self
        return before if before and before is not equal else self.beside(equal)


@dataclass(frozen=True)
class _Look:
    query: str
    what: str
    spans: bool = False
    sure: bool = True
    shifted: bool = False


def _prepare(
    con: Any, deliveries: Mapping[int, Compared], loose: Iterable[tuple[str, Any]], lines: str
) -> dict[int, int]:
    """Make the table of all lines on days that several speak of (`shared`), and of all of bills with long charges.

    Returns:
        How many lines each delivery has in all, without those of no cost in bills that have others.
    """
    files = [(typed.name, number) for number, delivery in deliveries.items() for typed in delivery.typed]
    of_file = ", ".join(f"({literal(name)}, {number})" for name, number in files)
    every = rewritten(con, [typed for delivery in deliveries.values() for typed in delivery.typed])
    unnamed = (
        ", ".join(f"({literal(name)}, DATE {literal(period.isoformat())})" for name, period in loose) or "('', NULL)"
    )
    # The few accounts are spelled out once: that is expensive on every line.
    con.execute(
        f"""
        CREATE TEMP TABLE {lines} AS
        WITH files(file, delivery) AS (VALUES {of_file}),
        every AS (SELECT * FROM {every} JOIN files ON file = parse_filename(filename)),
        accounts AS MATERIALIZED (
            SELECT provider, name, {account_key_sql("provider", "name")} AS key FROM (
                SELECT provider, billing_account_id AS name FROM every UNION SELECT provider, account_id FROM every)),
        read AS (
            SELECT delivery, c.provider, billing_period, day, charge_period_start AS start, charge_period_end AS until,
                CASE WHEN (c.provider, billing_period) IN (VALUES {unnamed}) THEN '' ELSE bill.key END AS account,
                nullif(regexp_extract(lower(trim(resource_id)), '([^/:]*)[/:]*$', 1), '') AS resource,
                hash(own.key, charge_category, charge_class) AS kind,
                hash(lower(service_name), sku_id, regexp_replace(lower(region), '[^a-z0-9]', '', 'g')) AS service,
                hash(own.key, charge_category, charge_class, lower(service_name)) AS offer,
                coalesce(charge_class = 'Correction', false) AS corrects, billed_cost, billing_currency
            FROM every c
            JOIN accounts bill ON bill.provider = c.provider AND bill.name IS NOT DISTINCT FROM billing_account_id
            JOIN accounts own ON own.provider = c.provider AND own.name IS NOT DISTINCT FROM account_id),
        together AS (
            SELECT {_BILL}, day, true AS shared FROM read GROUP BY ALL HAVING count(DISTINCT delivery) > 1),
        longer AS (
            SELECT {_BILL}, true AS long FROM read GROUP BY ALL
            HAVING count(DISTINCT delivery) > 1 AND max(date_diff('minute', start, until)) > 60 * {grains.LONG_HOURS}),
        currencies AS (
            SELECT {_BILL}, count(DISTINCT currency) > 1 AND bool_and(one) AS converted FROM (
                SELECT {_BILL}, delivery, min(billing_currency) AS currency, count(DISTINCT billing_currency) = 1 AS one
                FROM read GROUP BY ALL) GROUP BY ALL)
        SELECT * EXCLUDE (resource, service, shared, long), resource IS NOT NULL AS named,
            hash(kind, coalesce(resource, service::VARCHAR)) AS thing, coalesce(shared, false) AS shared, n AS size
        FROM read JOIN currencies USING ({_BILL})
        LEFT JOIN together USING ({_BILL}, day) LEFT JOIN longer USING ({_BILL})
        JOIN (SELECT delivery, sum(n)::BIGINT AS n FROM (
            SELECT delivery, {_BILL}, coalesce(nullif(count(*) FILTER (billed_cost <> 0), 0), count(*)) AS n
            FROM read GROUP BY ALL) GROUP BY delivery) AS sizes USING (delivery)
        WHERE shared OR long"""  # noqa: S608
    )
    return dict(con.execute(f"SELECT DISTINCT delivery, size FROM {lines}").fetchall())  # noqa: S608


_BILL = "provider, account, billing_period"


def _places(con: Any, lines: str) -> int:
    """To how many decimals the coarsest delivery prints amounts; to cents at least, where its currency has some."""
    counted = ", ".join(f"WHEN bool_and(billed_cost = round(billed_cost, {n})) THEN {n}" for n in DECIMALS[:-1])
    counted = counted.replace(", WHEN", " WHEN")
    places, whole = con.execute(
        f"""SELECT min(places), bool_or(whole) FROM (
            SELECT CASE {counted} ELSE {DECIMALS[-1]} END AS places,
                bool_and(billing_currency IN ({", ".join(map(literal, NO_MINOR_UNIT))})) AS whole
            FROM {lines} WHERE shared GROUP BY delivery)"""  # noqa: S608
    ).fetchone()
    if places is None:  # no day is shared, only a billing period
        return int(DECIMALS[-1])
    return int(places) if whole else max(int(places), 2)


_LINES = "{same} of {of} lines"
_SHIFTED = "{same} of {of} lines, all shifted by one time,"


def _looks(lines: str, places: int) -> list[_Look]:
    """The queries of all looks; those on the days that several speak of first.

    Each gives delivery, bill, how many of its things are the same in others, of how many, which others, and how many
    lines a thing stands for. Only amounts other than 0 are looked at, where there are any.
    """
    unit = f"0.{'0' * (places - 1)}1" if places else "1"
    agree = (
        "abs({one} - {other}) <= greatest("
        f"least(({{lines}}) * {unit} / 2, {WITHIN} * abs({{one}})), {unit}::DECIMAL(18, 12) / 2)"
    )
    totals = f"""
        SELECT delivery, {_BILL}, day, {{thing}} AS thing, {{currency}} AS currency, 1 AS n, count(*) AS lines,
            sum(billed_cost) AS total, max(round(date_diff('minute', start, until) / 60)) AS hours,
            min(start) AS first, max(until) AS last, bool_or(named) AS named
        FROM {lines} WHERE shared AND NOT converted GROUP BY ALL HAVING round(sum(billed_cost), {places}) <> 0"""  # noqa: S608
    overlap = "a.thing = b.thing AND a.currency = b.currency AND a.first < b.last AND b.first < a.last"
    sums = f"({agree.format(one='a.total', other='b.total', lines='a.lines + b.lines')})"
    together = agree.format(one="any_value(a.total)", other="sum(b.total)", lines="any_value(a.lines) + sum(b.lines)")
    cents = f"round(billed_cost, {places})"
    cut_off = f"round(billed_cost - sign(billed_cost) * {unit}::DECIMAL(18, 12) / 2, {places})"
    looks = [
        _Look(_query(_things(lines, amount), "a.thing = b.thing", "least(any_value(a.n), sum(b.n))"), _LINES)
        for amount in (cents, cut_off)
    ]
    for thing, differ, what in (
        ("thing", "a.hours <> b.hours", "the totals of {same} of {of} resources and days"),
        ("0", "a.named <> b.named", "the totals of {same} of {of} days"),
    ):
        things = totals.format(thing=thing, currency="billing_currency")
        looks.append(_Look(_query(things, f"{overlap} AND {differ}", f"(bool_or({sums}) OR {together})::BIGINT"), what))
    same_thing = "a.thing = b.thing AND a.currency = b.currency"
    query = _query(seconds.things(lines, places), same_thing, seconds.agree(places), f"round(a.total, {places})")
    looks.append(_Look(query, "the totals of {same} of {of} resources and days"))
    looks.append(_Look(seconds.shifted(lines, places), _SHIFTED, sure=False, shifted=True))
    for thing, what in (
        ("thing", "the totals of {same} of {of} resources, in charges of different length,"),
        ("offer", "the totals of {same} of {of} services, in charges of different length,"),
        (grains.ALL, "the charges, which are of different length and the same total,"),
    ):
        query = _query(grains.totals(lines, thing), grains.met(), grains.agree())
        looks.append(_Look(query, what, spans=True, sure=thing != grains.ALL))
    return looks


def _undecided(lines: str) -> list[tuple[str, str]]:
    """The queries of what cannot be decided, and what each compares."""
    return [
        (grains.undecided(lines, "thing", named=True), "resources"),
        (grains.undecided(lines, "offer", named=False), "services"),
    ]


def _unsure(con: Any, lines: str) -> dict[tuple[Any, ...], _Found]:
    """By delivery and bill, the long charges that lie beside others of the same time."""
    unsure: dict[tuple[Any, ...], _Found] = {}
    for query, thing in _undecided(lines):
        for delivery, provider, account, period, same, of, others in con.execute(query).fetchall():
            if same >= SAME_SHARE * of:
                one = _Found(delivery, frozenset(others), f"{same} of {of} {thing}", same / of)
                unsure.setdefault((delivery, provider, account, period), one)
    return unsure


def _equal_totals(con: Any, lines: str, places: int) -> dict[tuple[Any, ...], _Found]:
    """By delivery and bill, the days of which others have the same total."""
    return {
        (delivery, *bill): _Found(
            delivery, frozenset(others), f"{same} of {counted(of, 'day')}", same / of, days=_amounts(days)
        )
        for delivery, *bill, same, of, others, days in con.execute(seconds.accounts(lines, places)).fetchall()
    }


def _other_amounts(con: Any, lines: str, places: int) -> dict[tuple[Any, ...], _Found]:
    """By delivery and bill, the charges that others have at other amounts."""
    return {
        (delivery, *bill): _Found(
            delivery,
            frozenset(others),
            f"{same} of {counted(of, 'charge')}",
            same / of,
            days=f"{total.normalize():,f} and {theirs.normalize():,f}",
        )
        for delivery, *bill, same, of, others, total, theirs in con.execute(seconds.editions(lines, places)).fetchall()
    }


def _things(lines: str, amount: str) -> str:
    return f"""
        SELECT delivery, {_BILL}, day, hash(thing, date_trunc('minute', start),
            CASE WHEN NOT converted THEN hash(billing_currency, {amount}) END) AS thing,
            count(*) AS n, count(*) AS lines
        FROM (SELECT *, bool_or({amount} <> 0) OVER (PARTITION BY delivery, {_BILL}) AS paid
            FROM {lines} WHERE shared)
        WHERE {amount} <> 0 OR NOT paid GROUP BY ALL"""  # noqa: S608


def _query(things: str, match: str, same: str, amount: str = "NULL") -> str:
    """Which things are the same; with `amount`, only where several different ones of these are.

    Args:
        things: SQL of them.
        match: SQL of whether `a` and `b` may be the same.
        same: SQL of how many of `a` are the same as any or all of its `b`.
        amount: SQL of what must differ, of `a`.
    """
    enough = "" if amount == "NULL" else f"HAVING count(DISTINCT amount) >= {seconds.DIFFERENT}"
    bill = " AND ".join(f"a.{column} = b.{column}" for column in _BILL.split(", "))
    of_bill = ", ".join(f"a.{column}" for column in _BILL.split(", "))
    return f"""
        WITH things AS MATERIALIZED ({things}),
        met AS (
            SELECT a.delivery, {of_bill}, a.day, a.thing, {same} AS same, list(DISTINCT b.delivery) AS others,
                any_value({amount}) AS amount
            FROM things a JOIN things b ON {bill} AND a.day = b.day AND a.delivery <> b.delivery AND {match}
            GROUP BY a.delivery, {of_bill}, a.day, a.thing),
        kept AS (
            SELECT delivery, {_BILL}, sum(same) AS same, list_sort(list_distinct(flatten(list(others)))) AS others
            FROM met WHERE same > 0 GROUP BY ALL {enough}),
        whole AS (SELECT delivery, {_BILL}, sum(n) AS n, sum(lines) AS lines FROM things GROUP BY ALL)
        SELECT delivery, {_BILL}, same::BIGINT, n::BIGINT, others, lines::BIGINT
        FROM kept JOIN whole USING (delivery, {_BILL})
        WHERE same >= {ALIKE_SHARE} * n ORDER BY ALL"""  # noqa: S608


def _partly(deliveries: Mapping[int, Compared], alike: Mapping[tuple[Any, ...], _Found]) -> dict[int, list[str]]:
    """What is said of deliveries that are in others to a smaller part, which add up."""
    told: dict[int, list[str]] = defaultdict(list)
    for (number, provider, account, period), one in sorted(alike.items()):
        others = ", ".join(str(deliveries[other]) for other in sorted(one.others)[:SHOWN])
        whose = f"account {account}" if account else "without an account"
        told[number].append(
            f"{deliveries[number]}: {one.what} of {provider} {whose} in the billing period {period} are in {others}"
        )
    return dict(told)


_OTHER_TOTALS = (
    "{one}: {what} of {whose} in the billing period {period} have other charges of the same time in {others}, with "
    "other totals"
)
_EQUAL_TOTALS = (
    "{one}: the totals of {what} of {whose} in the billing period {period} are those of {others} too, whose lines are "
    "others: {days}"
)


_OTHER_AMOUNTS = (
    "{one}: {what} of {whose} in the billing period {period} are of the same resources and times as those of {others}, "
    "at other amounts, {days} in all"
)


def _amounts(days: Sequence[Mapping[str, Any]]) -> str:
    """The totals of the first few days."""
    shown = [f"{day['day']} {day['total'].normalize():,f} {day['currency']}" for day in days]
    return _listed(shown)


def _beside(
    deliveries: Mapping[int, Compared], unsure: Mapping[tuple[Any, ...], _Found], text: str
) -> dict[int, list[str]]:
    """What is said of both of two deliveries that prove nothing, for each may speak of other days.

    Of the two the one speaks of which a greater part is in the other.
    """
    told: dict[int, list[str]] = defaultdict(list)
    said: set[tuple[Any, ...]] = set()
    for (number, provider, account, period), one in sorted(unsure.items(), key=lambda item: (-item[1].lines, item[0])):
        bill = provider, account, period
        if any((*bill, other, number) in said for other in one.others):
            continue
        said |= {(*bill, number, other) for other in one.others}
        said_of = text.format(
            one=deliveries[number],
            what=one.what,
            whose=f"{provider} {f'account {account}' if account else 'without an account'}",
            period=period,
            others=", ".join(str(deliveries[other]) for other in sorted(one.others)[:SHOWN]),
            days=one.days,
        )
        for either in (number, *one.others):
            told[either].append(said_of)
    return dict(told)


@dataclass(frozen=True)
class _Held:
    """What would be lost with a delivery.

    Attributes:
        lines: See `_prepare`.
        decimals: To how many places it prints amounts.
        columns: Of how many columns it says anything.
    """

    lines: int
    decimals: int
    columns: int


def _held(con: Any, lines: str, deliveries: Mapping[int, Compared], sizes: Mapping[int, int]) -> dict[int, _Held]:
    """What each delivery holds that speaks of days or periods that others speak of as well."""
    digits = "max(length(rtrim(split_part(billed_cost::VARCHAR, '.', 2), '0')))"
    decimals = dict(con.execute(f"SELECT delivery, {digits} FROM {lines} GROUP BY delivery").fetchall())  # noqa: S608
    held = {}
    for number, lines_in_all in sizes.items():
        files = ", ".join(literal(str(typed)) for typed in deliveries[number].typed)
        columns = con.execute(f"DESCRIBE SELECT * FROM read_parquet([{files}], union_by_name = true)").fetchall()  # noqa: S608
        held[number] = _Held(lines_in_all, decimals[number], len(columns))
    return held


def _told(
    deliveries: Mapping[int, Compared], held: Mapping[int, _Held], found: Mapping[tuple[Any, ...], _Found]
) -> list[Repeat]:
    """One error for each set of deliveries that repeat one another."""
    told = []
    for group in _groups([{one.delivery, *one.others} for one in found.values()]):
        mine = {key: one for key, one in found.items() if one.delivery in group}
        widest, one = max(mine.items(), key=lambda item: (len(item[1].others), -item[1].delivery))
        _, provider, account, period = widest
        whose = f"account {account}" if account else "without an account"
        shown = _listed([str(deliveries[number]) for number in sorted(group)])
        error = PermanentError(
            f"{shown} hold the same charges: {one.what} of {provider} {whose} in the billing period {period} are in "
            f"{'both' if len(group) == 2 else 'others of them'}: adding them up would count them twice",
            (UTC if any(one.shifted for one in mine.values()) else _remedy(deliveries, held, group, mine.values()))
            + ("" if any(one.sure for one in mine.values()) else KEEP),
        )
        told.append(Repeat(frozenset(group), error, any(one.spans for one in mine.values())))
    return told


def _groups(sets: Iterable[set[int]]) -> list[set[int]]:
    """Sets that have a member in common become one."""
    groups: list[set[int]] = []
    for one in sets:
        apart = [group for group in groups if not group & one]
        groups = [*apart, one.union(*(group for group in groups if group & one))]
    return groups


def _remedy(
    deliveries: Mapping[int, Compared], held: Mapping[int, _Held], group: set[int], found: Iterable[_Found]
) -> str:
    """What to do, so that nothing counts twice and nothing is lost: no charge, and no decimal of an amount."""
    repeated: dict[int, float] = defaultdict(float)
    others: dict[int, set[int]] = defaultdict(set)
    for one in found:
        repeated[one.delivery] += one.lines
        others[one.delivery] |= one.others
    shares = {number: min(repeated[number] / held[number].lines, 1) for number in group}

    def decimals(numbers: Iterable[int]) -> int:
        return max(held[number].decimals for number in numbers)

    def repeated_of(way: Iterable[int]) -> float:
        return min(shares[number] for number in way)

    def rounded(way: set[int]) -> bool:
        return decimals(way) < decimals(group - way)

    ways = [way for way in _ways(group, others) if repeated_of(way) >= (WHOLLY if rounded(way) else ALL_OF_IT)]
    if not ways:
        return (
            "Leave one export of each account and period below `path` and move the others out; where none of them is "
            "whole, export the period again."
        )
    most = max(map(repeated_of, ways))
    right = [way for way in ways if decimals(way) <= decimals(group - way) and repeated_of(way) >= most]
    if not right:
        return (
            "None of them can go without loss, for what holds all charges has the less precise amounts. Export the "
            "period again with all decimals, and leave only that below `path`."
        )
    spare = min(right, key=lambda way: (decimals(way), *_weight(way, held), len(way), min(way)))
    names = [str(deliveries[number]) for number in sorted(spare)]
    kept = "the other" if len(group) - len(spare) == 1 else "the others"
    precise = ", whose amounts are more precise" if rounded(spare) else ""
    return f"All of {_listed(names)} is in {kept}{precise}: move {'it' if len(spare) == 1 else 'them'} out of `path`."


def _ways(group: set[int], others: Mapping[int, set[int]]) -> list[set[int]]:
    """Which deliveries may go: one that is in all others together, or all but the one that each of them is in."""
    ones = [{number} for number in sorted(group) if others[number] == group - {number}]
    rests = [group - {kept} for kept in sorted(group) if all(others[number] == {kept} for number in group - {kept})]
    return [*ones, *(rest for rest in rests if rest not in ones)]


def _weight(way: Iterable[int], held: Mapping[int, _Held]) -> tuple[int, int]:
    """Lines and columns of deliveries together."""
    own = [held[number] for number in way]
    return sum(one.lines for one in own), max(one.columns for one in own)


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    if len(names) == 1:
        return names[0]
    last = names[-1] if len(names) <= SHOWN + 1 else f"{len(names) - SHOWN} more"
    return f"{', '.join(names[:-1][:SHOWN])} and {last}"
