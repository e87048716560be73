"""Statements about bills: each counts from one source, and what is withheld of another is seen.

What belongs here: what must hold of `cost`, from its staged rows and the cross-check its asset hands over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.accounts import account_keys
from energy_assets.contracts.proof import Proof

CROSS_CHECK = "cost_cross_check"
"""Name under which the asset shows the proofs what was withheld: see `unified.cost.cross_check`."""
OF_FILE = ("day", "source", "raw_sha256", "provider", "billing_account_id", "billing_currency")
"""The lines of one bill in one file on one day."""


def counted_twice(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Days of a bill that count from more than one source.

    Lines without a billing account may be of any account: where some count, nothing of another source may.

    Args:
        staged: Rows of the contract `Cost`.
        upstream: Not looked at.

    Returns:
        day, provider, billing account, billing period, and the sources.
    """
    lines = staged.select("day", "provider", "billing_account_id", "billing_period", "source").distinct()
    rows = lines.mutate(bill_account=account_keys(lines))
    bills = rows.group_by("day", "provider", "bill_account", "billing_period").aggregate(
        sources=rows.source.nunique(), one=rows.source.min(), other=rows.source.max()
    )
    twice = bills.filter(bills.sources > 1)
    periods = rows.group_by("day", "provider", "billing_period").aggregate(
        unnamed=(rows.bill_account == "").any(),
        sources=rows.source.nunique(), one=rows.source.min(), other=rows.source.max(),
    )  # fmt: skip
    mixed = periods.filter(periods.unnamed & (periods.sources > 1)).mutate(bill_account=ibis.literal(""))
    return twice.union(mixed.select(*twice.columns))


def withheld(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Lines that do not count because another source has the same bill, beside what counts of it.

    Args:
        staged: The `cost` rows of the partition that are about to be published.
        upstream: Tables read for them, by name.
    """
    return _cross_check(staged, upstream)


def withheld_without_account(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Lines withheld because they, or what counts in their place, name no billing account.

    Args:
        staged: The `cost` rows of the partition that are about to be published.
        upstream: Tables read for them, by name.
    """
    rows = _cross_check(staged, upstream)
    return rows.filter(rows.billing_account_id.isnull() & (rows.withheld_rows > 0))


def missing_from_winner(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Days on which only a withheld source has lines of a bill: the one that counts may be incomplete.

    Args:
        staged: The `cost` rows of the partition that are about to be published.
        upstream: Tables read for them, by name.
    """
    rows = _cross_check(staged, upstream)
    return rows.filter((rows.rows == 0) & (rows.withheld_rows > 0))


def look_alike(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Days of two sources, or of two files of one, that are alike in all but the provider or the billing account.

    Alike are the number of lines and the sum of their amounts, each rounded to cents as spreadsheets do, in one
    currency; or, where one has hours and the other days, the total to the cent. Days without an amount are not
    compared. Three or more alike are told as one, by the first and the last of their names.

    Args:
        staged: Rows of the contract `Cost`.
        upstream: Not looked at.

    Returns:
        day, the two bills, their currency, rows (of the one with fewer), and amount.
    """
    files = staged.group_by(*OF_FILE).aggregate(n=staged.count(), total=staged.billed_cost.sum())
    compared = [(bills.mutate(cents=bills.total.round(2)), within) for bills, within in _compared(files)]
    # Rounding takes ten times as long as counting, and days with no two bills of as many lines need none of it.
    days = [_alike(bills, "n", *within).select("day") for bills, within in compared]
    suspected = staged.semi_join(days[0].union(days[1], distinct=True), "day")
    rounded = suspected.group_by(*OF_FILE).aggregate(n=suspected.count(), total=suspected.billed_cost.round(2).sum())
    looks = [_alike(bills.filter(bills.total != 0), "n", "total", *within) for bills, within in _compared(rounded)]
    found = [look.select("day", "one", "other", "billing_currency", rows="n", billed_cost="total") for look in looks]
    for bills, within in compared:
        cut_otherwise = _alike(bills.filter(bills.cents != 0), "cents", *within)
        cut_otherwise = cut_otherwise.filter(cut_otherwise.fewest < cut_otherwise.most)
        told = {"rows": "fewest", "billed_cost": cut_otherwise.cents.cast(found[0].billed_cost.type())}
        found.append(cut_otherwise.select("day", "one", "other", "billing_currency", **told))
    return ibis.union(*found)


def _compared(files: ir.Table) -> Iterator[tuple[ir.Table, tuple[str, ...]]]:
    """The bills of each source, and of each file beside others of its source; with what must be equal of two.

    Lines `n` and amounts `total` are summed.
    """
    account = account_keys(files)
    bill = files.provider + ibis.ifelse(account == "", " without an account", " account " + account)
    named = files.mutate(bill=bill, file=files.source + " file " + files.raw_sha256.left(12))
    for place, within in (("source", ()), ("file", ("source",))):
        placed = named.mutate(place=named[place])
        bills = placed.group_by("day", "source", "place", "bill", "billing_currency")
        yield bills.aggregate(n=placed.n.sum(), total=placed.total.sum()), within


def _alike(bills: ir.Table, *equal: str) -> ir.Table:
    """Days of two places that call a bill differently and are equal in currency and the columns `equal`."""
    name = bills.place + ": " + bills.bill
    same = bills.group_by("day", "billing_currency", *equal).aggregate(
        places=bills.place.nunique(), bills=bills.bill.nunique(), one=name.min(), other=name.max(),
        **({} if "n" in equal else {"fewest": bills.n.min(), "most": bills.n.max()}),
    )  # fmt: skip
    return same.filter((same.places > 1) & (same.bills > 1))


def _cross_check(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """The cross-check of the days that are staged; no rows where the site has one source of bills."""
    if CROSS_CHECK not in upstream:
        nothing = staged.filter(ibis.literal(False))
        zero = ibis.literal(0, "int64")
        return nothing.select("day", "billing_account_id", rows=zero, withheld_rows=zero)
    return upstream[CROSS_CHECK]


BILLS_COUNT_ONCE = Proof(
    "bills_count_once",
    "Every day of a bill counts from one source. Proven before the commit: a day that breaks it is not published.",
    counted_twice,
)
BILLS_CROSS_CHECK = Proof(
    "bills_cross_check",
    "No bill is delivered by two sources. Where one is, the first source of the site file counts, and this shows what "
    "the other says: rows and amounts should agree. Remove one of the sources, or leave both as a cross-check.",
    withheld,
    blocking=False,
)
BILLS_NAME_ACCOUNTS = Proof(
    "bills_name_accounts",
    "Where two sources have charges of one provider and billing period, both name the billing account. Lines that do "
    "not may be the same charges, so they are never added up: the first source of the site file counts for the whole "
    "provider and period, and this shows what is withheld.",
    withheld_without_account,
    blocking=False,
    remedy="One of the two does not name the billing account (a number like 1.2E+11 names none), so the first in the "
    "site file counts for the whole provider and period. Name it (`billing_account` in the source's block), or remove "
    "the source that repeats the other",
)
BILLS_ARE_WHOLE = Proof(
    "bills_are_whole",
    "The source that counts has lines on every day on which another source of the same bill has some. Where not, it "
    "may be incomplete: collect it again, or put the complete source first in the site file.",
    missing_from_winner,
    blocking=False,
)
BILLS_LOOK_ALIKE = Proof(
    "bills_look_alike",
    "No day of two sources, or of two files of one, has the same total under another provider or billing account, in "
    "as many lines or in hours beside days: that looks like one bill under two names, which counts twice.",
    look_alike,
    blocking=False,
    remedy="This looks like one bill under two names, and both count. If it is one, remove the source that repeats "
    "the other, or narrow its `path`, and run its days again; if they are two, there is nothing to do",
)
