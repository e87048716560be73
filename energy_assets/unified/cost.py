"""Unified cost: charges of every bill once, amounts as printed, whichever sources deliver them.

One bill may come through two sources, for example as files and from the payer's export. It counts once: the first
source of the site file that has a bill (one provider's billing account in one billing period) wins it, and the
lines the others have of it are withheld. Lines that name no billing account may be of any account, so they are never
added to what another source has of the same provider and period. What is withheld stays in the raw tables, and
`cross_check` shows it beside what counts. What belongs here: that rule, what it makes of days published before, and
attribution. What does not: reading tables, and the grid zone of a place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.accounts import account_keys
from energy_assets.periods import ONE_DAY, DayRange
from energy_assets.unified.attribution import RuleLike, attribute

LEAD = timedelta(days=3)
"""How long before its billing period a charge starts at most: the time zones of a day, and billing delays."""

MONTH = timedelta(days=30)
"""From the first to the last day of the longest billing period."""

PERIOD = ("provider", "billing_period")
BILL = ("provider", "account_key", "billing_period")
LINE = ("source", "provider", "billing_account_id", "billing_period", "day")


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
            ranges[-1] = DayRange(ranges[-1].first, last)
        else:
            ranges.append(DayRange(first, last))
    return ranges


def bills_held(charges: ir.Table, sources: Sequence[str]) -> ir.Table:
    """Which source holds lines of which bill on which day.

    Args:
        charges: Rows of the contract `Charges` with `source`: of the days to be made and of `deciding_days`.
        sources: Names of the sources, in the order of the site file.

    Returns:
        Distinct `source`, `precedence` (0 for the first source of the file), `provider`, `billing_account_id`,
        `billing_period`, `day`.
    """
    schema = ibis.schema({"source": "string", "precedence": "int64"})
    ranks = ibis.memtable([(name, rank) for rank, name in enumerate(sources)], schema=schema)
    return charges.select(*LINE).distinct().join(ranks, "source").select("source", "precedence", *LINE[1:])


def owners(held: ir.Table) -> ir.Table:
    """Who wins each bill: the first source that has lines of it within its billing period (`deciding_days`).

    Bills are the same if provider, billing account and billing period are, however the account is written
    (`contracts.accounts`).

    Lines that name no account may be of any account of their provider. So they count only if their source is the
    first that has anything of the provider in the period, and then it wins the whole period from all others,
    whichever accounts these name. Within one source they count beside lines that name theirs.

    Where no source has lines within the period, but some have lines of other days (a correction only), the same is
    decided for that day alone.

    Args:
        held: See `bills_held`.

    Returns:
        `held` with `account_key` (the billing account as it is compared, empty for none), `contested` (the account
        whose bill it was won or lost with; empty where it was the provider's whole period) and `owner` (a source).
    """
    keyed = held.mutate(account_key=account_keys(held))
    start = keyed.billing_period
    next_start = start + ibis.interval(months=1)
    within = (keyed.day >= start - ibis.interval(days=LEAD.days)) & (keyed.day < next_start)
    in_period = ibis.ifelse(within, keyed.precedence, ibis.null("int64"))

    def first(*key: str) -> ir.IntegerColumn:
        return ibis.coalesce(in_period.min().over(group_by=key), keyed.precedence.min().over(group_by=[*key, "day"]))

    ranked = keyed.mutate(within=within, first=first(*PERIOD), first_of_account=first(*BILL))
    unnamed = ranked.account_key == ""
    takes = unnamed & (ranked.precedence == ranked.first)
    whole = unnamed | (takes & ranked.within).any().over(group_by=PERIOD) | takes.any().over(group_by=[*PERIOD, "day"])
    decided = ranked.mutate(
        contested=ibis.ifelse(whole, "", ranked.account_key),
        winner=ibis.ifelse(whole, ranked.first, ranked.first_of_account),
    )
    sources = held.select(owner="source", winner="precedence").distinct()
    return decided.join(sources, "winner").select(*held.columns, "account_key", "contested", "owner")


def counted(charges: ir.Table, owned: ir.Table | None) -> ir.Table:
    """Charges of all sources, each bill once.

    Args:
        charges: Rows of the contract `Charges` with `source`.
        owned: See `owners`; None where there is one source, and nothing to decide.

    Returns:
        Those of `charges` that count.
    """
    if owned is None:
        return charges
    withheld = owned.filter(owned.source != owned.owner).select(*LINE).distinct()
    return charges.anti_join(withheld, _same_line(charges, withheld))


def outdated(owned: ir.Table, published: ir.Table) -> ir.Table:
    """What published days say otherwise than `owned`, because another source has a bill now.

    Args:
        owned: See `owners`.
        published: `LINE` of the rows of `cost`, as they were published.

    Returns:
        Distinct `provider`, `billing_period`, `day` on which a line counts that should not, or is lacking; only of
        providers' billing periods in which some published line should not count any longer.
    """
    counting = owned.filter(owned.source == owned.owner).select(*LINE).distinct()
    old = published.select(*LINE).distinct()
    over = old.anti_join(counting, _same_line(old, counting))
    lacking = counting.anti_join(old, _same_line(counting, old))
    keys = (*PERIOD, "day")
    return over.select(*keys).union(lacking.semi_join(over, PERIOD).select(*keys), distinct=True)


def _same_line(one: ir.Table, other: ir.Table) -> list[ir.BooleanValue]:
    """Equality of `LINE`, in which an unknown billing account equals an unknown one."""
    same = [one[key] == other[key] for key in LINE if key != "billing_account_id"]
    return [*same, one.billing_account_id.identical_to(other.billing_account_id)]


def without_zone(rows: ir.Table) -> ir.Table:
    """The rows with `zone` unknown."""
    return rows.mutate(zone=ibis.null("string"))


def cost(
    charges: ir.Table,
    rules: Sequence[RuleLike],
    owned: ir.Table | None = None,
    place: Callable[[ir.Table], ir.Table] = without_zone,
) -> ir.Table:
    """Charges of all sources to rows of the contract `Cost`.

    Args:
        charges: Rows of the contract `Charges` with `source`.
        rules: Attribution rules; tags are matched as labels.
        owned: See `owners`; None where there is one source.
        place: Adds `zone` by provider, account and region, before the rules look at it.
    """
    rows = place(counted(charges, owned)).mutate(workload_id=ibis.null("string"))
    return attribute(rows, rules).drop("labels")


def cross_check(charges: ir.Table, owned: ir.Table) -> ir.Table:
    """What is withheld beside what counts, so that neither two different bills nor a partial one stay unseen.

    Args:
        charges: Rows of the contract `Charges` with `source`.
        owned: See `owners`.

    Returns:
        One row per day, bill, `source` that wins, `withheld_source` and `billing_currency`, with `rows` and
        `billed_cost` that count, and `withheld_rows` and `withheld_billed_cost`. The winner's side repeats where
        several sources are withheld. `rows` 0: only the withheld source has charges on that day. Without
        `billing_account_id` it is not one account's bill but all that both have of the provider in the period,
        because one of them does not name the account.
    """
    written = charges.group_by(*PERIOD, "billing_account_id", "day", "source", "billing_currency").aggregate(
        n=charges.count(), amount=charges.billed_cost.sum()
    )
    keyed = written.mutate(account_key=account_keys(written))
    totals = keyed.group_by(*BILL, "day", "source", "billing_currency").aggregate(
        n=keyed.n.sum(), amount=keyed.amount.sum()
    )
    decided = owned.select(*BILL, "day", "source", "contested", "owner").distinct()
    known = totals.join(decided, [*BILL, "day", "source"])
    mine = known.filter(known.source == known.owner)
    of_account = mine.filter(mine.account_key != "").mutate(contested="account_key")
    either = of_account.union(mine.mutate(contested=ibis.literal("")))
    lost = known.filter(known.source != known.owner).mutate(withheld_source="source")
    zero = ibis.literal(0).cast(totals.amount.type())
    bill, of = (*PERIOD, "contested"), ("day", "billing_currency", "owner", "withheld_source")
    pairs = decided.filter(decided.source != decided.owner)
    pairs = pairs.select(*bill, "owner", withheld_source="source").distinct()
    winning = either.join(pairs, [*bill, "owner"]).select(
        *bill, *of, rows="n", billed_cost="amount",
        withheld_rows=ibis.literal(0, "int64"), withheld_billed_cost=zero,
    )  # fmt: skip
    losing = lost.select(
        *bill, *of, rows=ibis.literal(0, "int64"), billed_cost=zero,
        withheld_rows="n", withheld_billed_cost="amount",
    )  # fmt: skip
    both = winning.union(losing)
    summed = both.group_by(*bill, *of).aggregate(
        rows=both.rows.sum(),
        billed_cost=both.billed_cost.sum(),
        withheld_rows=both.withheld_rows.sum(),
        withheld_billed_cost=both.withheld_billed_cost.sum(),
    )
    named = summed.mutate(billing_account_id=summed.contested.nullif("")).rename(source="owner")
    shown = ("day", "provider", "billing_account_id", "billing_period", "source", "withheld_source")
    return named.relocate(*shown).drop("contested")
