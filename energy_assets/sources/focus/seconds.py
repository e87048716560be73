"""A second look at deliveries whose charges are equally long and whose lines differ: lines shifted, cut or renamed.

What belongs here: the queries that find it, over the lines that `overlap` prepared. What does not: equal lines and
totals of charges of different length (`overlap`, `grains`), and which charges a file holds (`parse`).

Parts of one bill have equal totals too: of equal machines at a flat price, or of cents. So totals prove something only
where both have charges in the same hours, and where several different ones agree.
"""

from __future__ import annotations

from energy_assets.sources.focus.grains import WITHIN

DIFFERENT = 3
"""So many different amounts must agree: a flat price makes one or two."""
TELLING_DIGITS = (8, 6)
"""A bill of few days has few totals: one of so many digits is enough, or two of six, where both have other numbers of
lines. Zeros at the end do not count, since prices are round; parts with equal machines have as many lines."""
ROUNDED = 0.03
"""Amounts that are so near are one amount, rounded; parts of one bill cost the same or something else."""
TOTAL_UNITS = 100
"""Totals of fewer units (cents, where the coarsest prints cents) agree by chance."""
LINE_UNITS = 10
"""Lines of fewer units tell no time by their amount."""
FARTHEST = 14 * 60
"""Minutes that local clocks are away from UTC at most."""
HALF = "0.5"
"""Of the hours of one, and of its lines and totals, the others must have."""
_BILL = "provider, account, billing_period"


def things(lines: str, places: int, thing: str = "thing", *, of: str = "true") -> str:
    """The totals of each thing and day as each delivery has them, with the hours in which its charges start.

    Args:
        lines: The table of lines; see `overlap`.
        places: To how many decimals the coarsest delivery prints amounts.
        thing: Its column that says what is summed up, or a constant: the whole account.
        of: SQL of which lines count.

    Returns:
        SQL of rows with delivery, bill, `day`, `thing`, `currency`, `n` (1), `lines`, `total`, and `hours`: a bit each.
    """
    return f"""
        SELECT delivery, {_BILL}, day, {thing} AS thing, billing_currency AS currency, 1 AS n, count(*) AS lines,
            sum(billed_cost) AS total, bit_or(1::BIGINT << hour(start)) AS hours
        FROM {lines} WHERE shared AND NOT converted AND {of} GROUP BY ALL
        HAVING abs(sum(billed_cost)) >= {TOTAL_UNITS} * {unit(places)}"""  # noqa: S608


def agree(places: int, *, cut: bool = False) -> str:
    """SQL of whether `a` is as much as one `b`, or as all `b` together, in at least half of its hours.

    Args:
        places: To how many decimals the coarsest delivery prints amounts.
        cut: Only of others with another number of lines.
    """
    one = _near("a.total", "b.total", "a.lines + b.lines", places)
    both = _near("any_value(a.total)", "sum(b.total)", "any_value(a.lines) + sum(b.lines)", places)
    hours, all_hours = _in_its_hours("a.hours", "b.hours"), _in_its_hours("any_value(a.hours)", "bit_or(b.hours)")
    if cut:
        one, both = f"{one} AND a.lines <> b.lines", f"{both} AND any_value(a.lines) <> sum(b.lines)"
    return f"(bool_or({one} AND {hours}) OR ({both} AND {all_hours}))::BIGINT"


def shifted(lines: str, places: int) -> str:
    """Deliveries of which half the lines or more are in others when all are shifted by one time, as by a local clock.

    The time is found by lines of an amount that their thing has once that day; then all lines are counted. It shows
    nothing where the others have no charges in the hours of this one, as they may go on where it ends; nor where most
    things have one amount each and many have the same, as jobs of a few hours at list price have, whose hours lie in
    several parts.

    Args:
        lines: The table of lines; see `overlap`.
        places: To how many decimals the coarsest delivery prints amounts.

    Returns:
        SQL of rows with delivery, bill, how many of its lines are so, of how many, which others have them, and how many
        lines were looked at.
    """
    bill = " AND ".join(f"a.{column} = b.{column}" for column in _BILL.split(", "))
    of_a = ", ".join(f"a.{column}" for column in ("delivery", *_BILL.split(", ")))
    alike = f"{bill} AND a.delivery <> b.delivery AND a.thing = b.thing AND a.amount = b.amount"
    return f"""
        WITH moved AS MATERIALIZED (
            SELECT delivery, {_BILL}, day, hash(thing, billing_currency) AS thing,
                round(billed_cost, {places}) AS amount, date_trunc('minute', start) AS start,
                max(date_diff('minute', start, until)) AS length, count(*) AS n
            FROM {lines} WHERE shared AND NOT converted AND round(billed_cost, {places}) <> 0 GROUP BY ALL),
        telling AS MATERIALIZED (
            SELECT delivery, {_BILL}, day, thing, amount, any_value(start) AS start
            FROM moved WHERE abs(amount) >= {LINE_UNITS} * {unit(places)}
            GROUP BY ALL HAVING sum(n) = 1),
        near AS (SELECT * REPLACE (unnest([day - 1, day, day + 1]) AS day) FROM telling),
        pairs AS (
            SELECT DISTINCT {of_a}, a.thing, a.amount, a.start, date_diff('minute', a.start, b.start) AS later
            FROM telling a JOIN near b ON {alike} AND a.day = b.day
            WHERE abs(date_diff('minute', a.start, b.start)) BETWEEN 1 AND {FARTHEST}),
        told AS (SELECT delivery, {_BILL}, count(*) AS telling FROM telling GROUP BY ALL),
        varied AS (
            SELECT delivery, {_BILL}, later, count(*) AS of_several
            FROM (SELECT delivery, {_BILL}, later, thing FROM pairs GROUP BY ALL HAVING count(DISTINCT amount) > 1)
            GROUP BY ALL),
        times AS MATERIALIZED (
            SELECT delivery, {_BILL}, later
            FROM (SELECT delivery, {_BILL}, later, count(*) AS same, count(DISTINCT amount) AS amounts,
                    count(DISTINCT thing) AS things FROM pairs GROUP BY ALL)
            JOIN told USING (delivery, {_BILL}) LEFT JOIN varied USING (delivery, {_BILL}, later)
            WHERE same >= {HALF} * telling AND amounts >= {DIFFERENT}
                AND greatest(amounts, coalesce(of_several, 0)) >= {HALF} * things
            QUALIFY row_number() OVER (PARTITION BY delivery, {_BILL} ORDER BY same DESC, abs(later), later) = 1),
        mine AS MATERIALIZED (SELECT m.*, later FROM moved m JOIN times USING (delivery, {_BILL})),
        theirs AS MATERIALIZED (SELECT * FROM moved SEMI JOIN times USING ({_BILL})),
        starts AS (SELECT DISTINCT delivery, {_BILL}, start FROM theirs),
        beside AS (
            SELECT DISTINCT {of_a}, a.start FROM (SELECT DISTINCT delivery, {_BILL}, start FROM mine) a
            JOIN starts b ON {bill} AND a.delivery <> b.delivery AND a.start = b.start),
        met AS (
            SELECT {of_a}, a.thing, a.amount, a.start, any_value(a.length) > any_value(abs(later)) AS long,
                least(any_value(a.n), sum(b.n)) AS same, list(DISTINCT b.delivery) AS others
            FROM mine a JOIN theirs b ON {alike} AND b.start = a.start + to_minutes(later) GROUP BY ALL),
        kept AS (
            SELECT delivery, {_BILL}, sum(same) AS same, list_sort(list_distinct(flatten(list(others)))) AS others,
                coalesce(sum(same) FILTER (long OR b.start IS NOT NULL), 0) AS together
            FROM met LEFT JOIN beside b USING (delivery, {_BILL}, start) GROUP BY ALL),
        whole AS (SELECT delivery, {_BILL}, sum(n) AS n FROM mine GROUP BY ALL)
        SELECT delivery, {_BILL}, same::BIGINT, n::BIGINT, others, n::BIGINT
        FROM kept JOIN whole USING (delivery, {_BILL}) WHERE together >= {HALF} * same ORDER BY ALL"""  # noqa: S608


def accounts(lines: str, places: int) -> str:
    """Deliveries of which half the days or more have the same total of the account as others, whatever their lines.

    Several different totals must agree, of days or of hours, or a few of many digits. Corrections are no second bill of
    what they correct, so they do not count.

    Args:
        lines: The table of lines; see `overlap`.
        places: To how many decimals the coarsest delivery prints amounts.

    Returns:
        SQL of rows with delivery, bill, how many of its days are so, of how many, which others have them, and the days
        with their totals.
    """
    bill = " AND ".join(f"a.{column} = b.{column}" for column in _BILL.split(", "))
    of_a = ", ".join(f"a.{column}" for column in ("delivery", *_BILL.split(", "), "day", "currency"))
    same = f"{bill} AND a.delivery <> b.delivery AND a.day = b.day AND a.currency = b.currency"
    printed = f"regexp_replace(abs(round(total, {places}))::DECIMAL(38, {places})::VARCHAR, '[.]|^[0.]+', '', 'g')"
    few = " OR ".join(
        f"count(DISTINCT round(total, {places})) FILTER (cut AND length(rtrim({printed}, '0')) >= {digits}) >= {number}"
        for number, digits in enumerate(TELLING_DIGITS, start=1)
    )
    return f"""
        WITH days AS MATERIALIZED ({things(lines, places, "0", of="NOT corrects")}),
        hours AS MATERIALIZED ({things(lines, places, "date_trunc('minute', start)", of="NOT corrects")}),
        met AS MATERIALIZED (
            SELECT {of_a}, any_value(a.total) AS total, list(DISTINCT b.delivery) AS others,
                {agree(places, cut=True)} = 1 AS cut
            FROM days a JOIN days b ON {same} GROUP BY {of_a} HAVING {agree(places)} = 1),
        within AS (
            SELECT {of_a}, a.thing, any_value(a.total) AS total
            FROM hours a SEMI JOIN met USING (delivery, {_BILL}, day, currency) JOIN hours b ON {same}
                AND a.thing = b.thing GROUP BY {of_a}, a.thing HAVING {agree(places)} = 1),
        amounts AS (
            SELECT delivery, {_BILL}, count(DISTINCT round(total, {places})) AS of_hours FROM within GROUP BY ALL),
        whole AS (SELECT delivery, {_BILL}, count(*) AS n FROM days GROUP BY ALL)
        SELECT delivery, {_BILL}, count(*) AS same, any_value(n), list_sort(list_distinct(flatten(list(others)))),
            list({{'day': day, 'total': total, 'currency': currency}} ORDER BY day, currency)
        FROM met JOIN whole USING (delivery, {_BILL}) LEFT JOIN amounts USING (delivery, {_BILL})
        GROUP BY delivery, {_BILL}
        HAVING count(*) >= {HALF} * any_value(n)
            AND (greatest(count(DISTINCT round(total, {places})), coalesce(any_value(of_hours), 0)) >= {DIFFERENT}
                OR {few})
        ORDER BY ALL"""  # noqa: S608


def editions(lines: str, places: int) -> str:
    """Deliveries of which half the charges or more have charges of the same thing and time in others, at other amounts.

    So has an edition of a bill that was made before a discount, or rounded to whole units. They are of several times,
    or nearly the same amounts. A thing here is the resource (or what stands for it) with its service, and
    corrections do not count: they say again what they correct.

    Args:
        lines: The table of lines; see `overlap`.
        places: To how many decimals the coarsest delivery prints amounts.

    Returns:
        SQL of rows with delivery, bill, how many of its charges are so, of how many, which others have them, and the
        totals of both.
    """
    bill = " AND ".join(f"a.{column} = b.{column}" for column in _BILL.split(", "))
    of_a = ", ".join(f"a.{column}" for column in ("delivery", *_BILL.split(", ")))
    same = f"{bill} AND a.delivery <> b.delivery AND a.day = b.day AND a.thing = b.thing AND a.currency = b.currency"
    return f"""
        WITH charges AS MATERIALIZED (
            SELECT delivery, {_BILL}, day, hash(thing, offer) AS thing, billing_currency AS currency,
                date_trunc('minute', start) AS start, date_trunc('minute', until) AS until, sum(billed_cost) AS total
            FROM {lines} WHERE shared AND NOT converted AND NOT corrects AND billed_cost <> 0 GROUP BY ALL),
        met AS (
            SELECT {of_a}, a.start, a.total, b.total AS theirs, b.delivery AS other
            FROM charges a JOIN charges b ON {same} AND a.start = b.start AND a.until = b.until
            WHERE round(a.total, {places}) <> round(b.total, {places})),
        whole AS (SELECT delivery, {_BILL}, count(*) AS n FROM charges GROUP BY ALL)
        SELECT delivery, {_BILL}, count(*) AS same, any_value(n), list_sort(list(DISTINCT other)),
            sum(total) AS total, sum(theirs) AS theirs
        FROM met JOIN whole USING (delivery, {_BILL}) GROUP BY delivery, {_BILL}
        HAVING count(*) >= {HALF} * any_value(n) AND (count(DISTINCT start) >= {DIFFERENT} OR
            count(DISTINCT total) FILTER (abs(total - theirs) <= {ROUNDED} * abs(total)) >= {DIFFERENT}) ORDER BY ALL"""  # noqa: S608


def unit(places: int) -> str:
    """SQL of what amounts with so many decimals are multiples of."""
    return f"{'0.' + '0' * (places - 1) + '1' if places else '1'}::DECIMAL(18, 12)"


def _near(mine: str, total: str, lines: str, places: int) -> str:
    """Rounded lines add up to what is off by chance in either direction: by the root of their number."""
    rounding = f"least(sqrt({lines}) * {unit(places)} / 2, {WITHIN} * abs({mine}))"
    return f"(abs({mine} - {total}) <= greatest({rounding}, {unit(places)} / 2))"


def _in_its_hours(mine: str, others: str) -> str:
    return f"(bit_count({mine} & {others}) >= {HALF} * bit_count({mine}))"
