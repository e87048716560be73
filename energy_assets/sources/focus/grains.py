"""One bill in charges of different length: a month beside its hours or days, compared by totals of the billing period.

What belongs here: the queries that find it, over the lines that `overlap` prepared. What does not: lines and days that
are equal (`overlap`), and which charges a file holds (`parse`).
"""

from __future__ import annotations

from energy_assets.sources.focus.bill import literal

LONGER = 3
"""How many times as long the charges of one must be: a day is 24 hours, a week 7 days, a month 4 weeks. On the average,
because a bill of hours has some lines of a month as well.
"""
LONG_HOURS = 25
"""Charges longer than the longest day are compared over the billing period; shorter ones meet on their day."""
WITHIN = "0.005"
"""How far two totals may be apart that rounding has made differ, as a share of the total."""
NO_MINOR_UNIT = (
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
)  # fmt: skip
"""Currencies without cents (ISO 4217, list one): in these a bill may be rounded to whole units."""
DECIMALS = (0, 2, 4, 6, 8, 10, 12)
"""To how many places amounts may be rounded, at most the last: no portal prints more."""
ALL = "0"
"""The thing that every line is of: the total of the bill."""


def totals(lines: str, thing: str) -> str:
    """The totals of each thing of a bill in a billing period, as each delivery has them.

    Args:
        lines: The table of lines; see `overlap`.
        thing: Its column that says what is summed up, or `ALL`.

    Returns:
        SQL of rows with delivery, bill, `day` (the first of the billing period), `thing`, `currency`, `n` (1), `lines`
        (how many were summed), `total`, `hours` (of a charge, on the average), `first`, `last`, and `rounding`: how far
        the total may be off because each amount was rounded or cut off.
    """
    return f"""
        SELECT delivery, provider, account, billing_period, billing_period AS day, {thing} AS thing,
            billing_currency AS currency, 1 AS n, count(*) AS lines, sum(billed_cost) AS total, {_HOURS} AS hours,
            min(start) AS first, max(until) AS last, any_value(unit) AS unit, count(*) * any_value(unit) AS rounding
        FROM {lines} JOIN ({_units(lines)}) USING (delivery)
        WHERE NOT converted GROUP BY ALL HAVING abs(sum(billed_cost)) >= any_value(unit)"""  # noqa: S608


def met() -> str:
    """SQL of when two totals `a` and `b` are compared: one thing, one currency, one time, and unlike charges."""
    unlike = f"({_longer('a', 'b')} OR {_longer('b', 'a')})"
    return f"a.thing = b.thing AND a.currency = b.currency AND {_TOGETHER} AND {unlike}"


def agree() -> str:
    """SQL of whether `a` is as much as one `b` or as all `b` together, but for rounding."""
    one = _near("a.total", "b.total", "a.rounding + b.rounding", "greatest(a.unit, b.unit)")
    rounding, unit = "any_value(a.rounding) + sum(b.rounding)", "greatest(any_value(a.unit), max(b.unit))"
    both = _near("any_value(a.total)", "sum(b.total)", rounding, unit)
    return f"(bool_or({one}) OR {both})::BIGINT"


def undecided(lines: str, thing: str, *, named: bool) -> str:
    """Things of which one delivery has long charges and others as long or much shorter ones, whatever their totals.

    Args:
        lines: The table of lines; see `overlap`.
        thing: Its column that says what is compared.
        named: Compare what both name resources of; False: what only one of them does.

    Returns:
        SQL of rows with delivery, bill, how many of its things are so, of how many, and which others have the other
        charges.
    """
    return f"""
        WITH things AS MATERIALIZED (
            SELECT delivery, provider, account, billing_period, {thing} AS thing, {_HOURS} AS hours,
                min(start) AS first, max(until) AS last, bool_or(named) AS named
            FROM {lines} WHERE billed_cost <> 0 GROUP BY ALL),
        whole AS (SELECT delivery, provider, account, billing_period, count(*) AS n FROM things GROUP BY ALL)
        SELECT a.delivery, a.provider, a.account, a.billing_period, count(DISTINCT a.thing) AS same, any_value(n),
            list_sort(list(DISTINCT b.delivery))
        FROM things a
        JOIN things b ON a.provider = b.provider AND a.account = b.account AND a.billing_period = b.billing_period
            AND a.delivery <> b.delivery AND a.thing = b.thing AND {_TOGETHER}
            AND ({_longer("a", "b")} OR {_as_long("a", "b")})
            AND (a.named = b.named) = {named}
        JOIN whole w ON w.delivery = a.delivery AND w.provider = a.provider AND w.account = a.account
            AND w.billing_period = a.billing_period
        GROUP BY ALL ORDER BY ALL"""  # noqa: S608


_HOURS = "avg(greatest(date_diff('minute', start, until), 0) / 60)"
_TOGETHER = "a.first < b.last AND b.first < a.last"


def _longer(one: str, other: str) -> str:
    return f"({one}.hours > {LONG_HOURS} AND {one}.hours >= {LONGER} * {other}.hours)"


def _as_long(one: str, other: str) -> str:
    """Two editions of a bill in charges of a month, say, of which one was written before the month was over."""
    both = f"least({one}.hours, {other}.hours) > {LONG_HOURS}"
    return f"({both} AND NOT {_longer(one, other)} AND NOT {_longer(other, one)})"


def _near(mine: str, total: str, rounding: str, unit: str) -> str:
    return f"(abs({mine} - {total}) <= greatest(least({rounding}, {WITHIN} * abs({mine})), {unit} / 2))"


def _units(lines: str) -> str:
    """SQL of the `unit` each delivery prints amounts in: cents at most, where its currency has some."""
    whole = f"bool_and(billing_currency IN ({', '.join(map(literal, NO_MINOR_UNIT))}))"
    counted = " ".join(
        f"WHEN bool_and(billed_cost = round(billed_cost, {n})) AND {whole if n == 0 else 'true'} THEN {_unit(n)}"
        for n in DECIMALS[:-1]
    )
    return f"SELECT delivery, CASE {counted} ELSE {_unit(DECIMALS[-1])} END AS unit FROM {lines} GROUP BY delivery"  # noqa: S608


def _unit(places: int) -> str:
    return f"{'1' if places == 0 else '0.' + '0' * (places - 1) + '1'}::DECIMAL(18, 12)"
