"""Unified cost: charges of every bill once, amounts as printed, whichever sources deliver them.

One bill may come through two sources, for example as files and from the payer's export. It counts once: the first
source of the site file that has a bill (one provider's billing account in one billing period) wins it, and the
lines the others have of it are withheld. They stay in the raw tables, and `cross_check` shows them beside what
counts. What belongs here: that rule, and attribution. What does not: reading tables, and the grid zone of a place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from energy_assets.periods import ONE_DAY, DayRange
from energy_assets.unified.attribution import RuleLike, attribute

LEAD = timedelta(days=3)
"""How long before its billing period a charge starts at most: the time zones of a day, and billing delays."""

MONTH = timedelta(days=30)
"""From the first to the last day of the longest billing period."""

BILL = ("provider", "account_key", "billing_period")
_HELD = ("source", "precedence", "provider", "billing_account_id", "billing_period", "day")
_LINE = ("source", "provider", "billing_account_id", "billing_period", "day")


def deciding_days(billing_periods: Iterable[date]) -> list[DayRange]:
    """The days whose raw charges decide who wins the bills of these billing periods.

    From three days before a period's first day to 30 days after it. The window depends on the period alone and not
    on the days of a run, so that a day alone and a range decide alike. Corrections of months before that are billed
    in the period do not lie in the window and need not: they follow whoever wins it.

    Args:
        billing_periods: First days of billing periods: those found in the charges of the days to be made.

    Returns:
        Ranges of days that do not overlap, in order.
    """
    ranges: list[DayRange] = []
    for first, last in sorted({(start - LEAD, start + MONTH) for start in billing_periods}):
        if ranges and first <= ranges[-1].last + ONE_DAY:
            ranges[-1] = DayRange(ranges[-1].first, max(last, ranges[-1].last))
        else:
            ranges.append(DayRange(first, last))
    return ranges


def bills_held(charges: Mapping[str, ir.Table]) -> ir.Table:
    """Which source holds lines of which bill on which day.

    Args:
        charges: Rows of the contract `Charges` by source name, in the order of the site file: of the days to be made
            and of `deciding_days`.

    Returns:
        Distinct `source`, `precedence` (0 for the first source of the file), `provider`, `billing_account_id`,
        `billing_period`, `day`.
    """
    return _held(_union(charges), list(charges))


def _held(rows: ir.Table, sources: Sequence[str]) -> ir.Table:
    """See `bills_held`, of the united rows: one union in a query, however many sources there are."""
    held = rows.select("source", *_HELD[2:]).distinct()
    ranks = [(source, ibis.literal(n, "int64")) for n, source in enumerate(sources)]
    return held.mutate(precedence=held.source.cases(*ranks)).select(*_HELD)


def owners(held: ir.Table) -> ir.Table:
    """Who wins each bill: the first source that has lines of it within its billing period (`deciding_days`).

    Bills are the same if provider, billing account and billing period are, whatever case and blanks the account is
    written with; AWS's account numbers lose their leading zeros in spreadsheets, and get them back. Lines without a
    billing account are one bill of their provider. Where no source has lines within the period, but some have lines
    of other days (a correction only), the first source that has the bill on that day wins that day.

    Args:
        held: See `bills_held`.

    Returns:
        `held` with `account_key` (the billing account as it is compared, empty for none) and `owner` (a source).
    """
    keyed = held.mutate(account_key=_account_key(held))
    start = keyed.billing_period
    next_start = start + ibis.interval(months=1)
    within = (keyed.day >= start - ibis.interval(days=LEAD.days)) & (keyed.day < next_start)
    in_period = ibis.ifelse(within, keyed.precedence, ibis.null("int64"))
    winner = ibis.coalesce(
        in_period.min().over(group_by=list(BILL)), keyed.precedence.min().over(group_by=[*BILL, "day"])
    )
    sources = held.select(owner="source", winner="precedence").distinct()
    return keyed.mutate(winner=winner).join(sources, "winner").drop("winner")


def counted(charges: Mapping[str, ir.Table], owned: ir.Table | None = None) -> ir.Table:
    """Charges of all sources, each bill once.

    Args:
        charges: Rows of the contract `Charges` by source name, in the order of the site file.
        owned: See `owners`; without it, what is in `charges` decides.

    Returns:
        Rows of `Charges` with `source`.
    """
    rows = _union(charges)
    if len(charges) < 2:
        return rows
    owned = owners(_held(rows, list(charges))) if owned is None else owned
    withheld = owned.filter(owned.source != owned.owner).select(*_LINE).distinct()
    same = [rows[key] == withheld[key] for key in _LINE if key != "billing_account_id"]
    return rows.anti_join(withheld, [*same, rows.billing_account_id.identical_to(withheld.billing_account_id)])


def without_zone(rows: ir.Table) -> ir.Table:
    """The rows with `zone` unknown."""
    return rows.mutate(zone=ibis.null("string"))


def cost(
    charges: Mapping[str, ir.Table],
    rules: Sequence[RuleLike],
    owned: ir.Table | None = None,
    place: Callable[[ir.Table], ir.Table] = without_zone,
) -> ir.Table:
    """Charges of all sources to rows of the contract `Cost`.

    Args:
        charges: Rows of the contract `Charges` by source name, in the order of the site file.
        rules: Attribution rules; tags are matched as labels.
        owned: See `owners`; without it, what is in `charges` decides.
        place: Adds `zone` by provider, account and region, before the rules look at it.
    """
    rows = place(counted(charges, owned)).mutate(workload_id=ibis.null("string"))
    return attribute(rows, rules).drop("labels")


def cross_check(charges: Mapping[str, ir.Table], owned: ir.Table) -> ir.Table:
    """What is withheld beside what counts, so that neither two different bills nor a partial one stay unseen.

    Args:
        charges: Rows of the contract `Charges` by source name, in the order of the site file.
        owned: See `owners`.

    Returns:
        One row per day, bill, `source` that wins, `withheld_source` and `billing_currency`, with `rows` and
        `billed_cost` that count, and `withheld_rows` and `withheld_billed_cost`. The winner's side repeats where
        several sources are withheld. `rows` 0: only the withheld source has charges on that day.
    """
    lines = _union(charges)
    lines = lines.mutate(account_key=_account_key(lines))
    totals = lines.group_by(*BILL, "day", "source", "billing_currency").aggregate(
        n=lines.count(), amount=lines.billed_cost.sum()
    )
    # A bill's owner may differ by day where only corrections are known of it: the day belongs to the key.
    pairs = owned.filter(owned.source != owned.owner).select(*BILL, "owner", withheld_source="source").distinct()
    days = owned.select(*BILL, "day", "owner").distinct()
    zero = ibis.literal(0).cast(totals.amount.type())
    winning = (
        totals.join(days, [*BILL, "day"])
        .filter(lambda t: t.source == t.owner)
        .join(pairs, [*BILL, "owner"])
        .select(
            *BILL, "day", "billing_currency", "source", "withheld_source", rows="n", billed_cost="amount",
            withheld_rows=ibis.literal(0, "int64"), withheld_billed_cost=zero,
        )
    )  # fmt: skip
    losing = (
        totals.join(days, [*BILL, "day"])
        .filter(lambda t: t.source != t.owner)
        .select(
            *BILL, "day", "billing_currency", source="owner", withheld_source="source",
            rows=ibis.literal(0, "int64"), billed_cost=zero, withheld_rows="n", withheld_billed_cost="amount",
        )
    )  # fmt: skip
    both = winning.union(losing)
    return (
        both.group_by("day", *BILL, "source", "withheld_source", "billing_currency")
        .aggregate(
            rows=both.rows.sum(),
            billed_cost=both.billed_cost.sum(),
            withheld_rows=both.withheld_rows.sum(),
            withheld_billed_cost=both.withheld_billed_cost.sum(),
        )
        .rename(billing_account_id="account_key")
        .mutate(billing_account_id=lambda t: t.billing_account_id.nullif(""))
    )


def _union(charges: Mapping[str, ir.Table]) -> ir.Table:
    named = [rows.mutate(source=ibis.literal(source)) for source, rows in charges.items()]
    return ibis.union(*named) if len(named) > 1 else named[0]


def _account_key(rows: ir.Table) -> ir.StringValue:
    key = rows.billing_account_id.strip().lower().fill_null("")
    number = (rows.provider == "aws") & (key.length() < 12) & key.re_search("^[0-9]+$")
    return ibis.ifelse(number, key.lpad(12, "0"), key)
