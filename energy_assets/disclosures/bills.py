"""Bills and the energy of their accounts: which accounts are measured, and which no source tells of.

What belongs here: which accounts are billed and measured, or billed and measured by nobody, and what these billed.
What does not: the words of a report about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.accounts import account_key
from energy_assets.disclosures.reading import restricted, rows
from energy_assets.kpis.ingredients import UNKNOWN, Filter, Selection

#: Accounts of each provider: by its spelled name and by account key, pairs as the rows have them.
Accounts = Mapping[str, Mapping[str, set[tuple[str, str | None]]]]

#: Dimensions that a bill need not name: a charge that does not may be of any member.
MAY_BE_ANY = ("zone", "model_id")
#: Dimensions that bills are told apart by as energy is.
SHARED = (*MAY_BE_ANY, "project", "workload_type")


@dataclass(frozen=True)
class Unmeasured:
    """Accounts of one provider that are billed and of whose machines no source tells any energy.

    Attributes:
        provider: As the bills spell it.
        accounts: As the bills spell them; empty where it is every account of the provider.
    """

    provider: str
    accounts: tuple[str, ...] = ()

    @property
    def filters(self) -> tuple[Filter, ...]:
        """What their charges have in common."""
        provider = Filter("provider", "=", self.provider)
        return (provider, Filter("account_id", "in", self.accounts)) if self.accounts else (provider,)


def unmeasured(cost: ir.Table, emissions: ir.Table) -> tuple[Unmeasured, ...]:
    """The accounts that are billed and measured by nobody; a side that states no account may be any of its provider.

    Args:
        cost: Rows of the contract `Cost`.
        emissions: From `reading.condensed`.
    """
    known: dict[str, set[str]] = {}
    for row in rows(emissions.filter(emissions.energy_kwh_known).select("provider", "account_id").distinct()):
        provider = _spelled(row["provider"])
        known.setdefault(provider, set()).add(account_key(provider, row["account_id"]))
    billed: dict[str, list[str | None]] = {}
    for row in rows(cost.select("provider", "account_id").distinct().order_by("provider", "account_id")):
        billed.setdefault(row["provider"], []).append(row["account_id"])
    found = []
    for name, accounts in billed.items():
        measured = known.get(_spelled(name), set())
        if not measured:
            found.append(Unmeasured(name))
            continue
        keys = {account: account_key(_spelled(name), account) for account in accounts if account is not None}
        apart = [account for account, key in keys.items() if key and "" not in measured and key not in measured]
        if apart:
            found.append(Unmeasured(name, tuple(apart)))
    return tuple(found)


@dataclass(frozen=True)
class Measured:
    """Accounts of one provider that are billed and of whose machines sources tell the facility energy.

    Attributes:
        provider: As the bills spell it.
        cost: What their charges have in common.
        energy: What the rows of their energy have in common.
        first: First day of which energy is known.
        last: Last day of which it is.
    """

    provider: str
    cost: tuple[Filter, ...]
    energy: tuple[Filter, ...]
    first: date
    last: date


def measured(cost: ir.Table, emissions: ir.Table) -> tuple[Measured, ...]:
    """The accounts that are billed and measured, by provider; where a side states no account, all of the provider.

    Args:
        cost: Rows of the contract `Cost`.
        emissions: Rows of the contract `Emissions`.
    """
    known = emissions.filter(emissions.facility_kwh.notnull())
    billed, used = _accounts(cost), _accounts(known)
    found = []
    for provider in sorted({*billed, *used}):
        theirs, ours = billed.get(provider, {}), used.get(provider, {})
        every = "" in theirs or "" in ours
        keys = {*theirs, *ours} if every else {*theirs} & {*ours}
        if not (theirs and ours and keys):
            continue
        energy = _of_accounts(ours, keys, every)
        span = restricted(known, Selection("emissions", None, energy))
        (days,) = rows(span.aggregate(first=span.day.min(), last=span.day.max()))
        name = min(name for pairs in theirs.values() for name, _ in pairs)
        found.append(Measured(name, _of_accounts(theirs, keys, every), energy, days["first"], days["last"]))
    return tuple(found)


def _accounts(table: ir.Table) -> Accounts:
    found: dict[str, dict[str, set[tuple[str, str | None]]]] = {}
    for row in rows(table.select("provider", "account_id").distinct()):
        provider = _spelled(row["provider"])
        key = account_key(provider, row["account_id"])
        found.setdefault(provider, {}).setdefault(key, set()).add((row["provider"], row["account_id"]))
    return found


def _of_accounts(
    accounts: Mapping[str, set[tuple[str, str | None]]], keys: set[str], every: bool
) -> tuple[Filter, ...]:
    """Conditions that hold of rows of these accounts alone, as the rows spell them."""
    pairs = {pair for key in keys for pair in accounts.get(key, ())}
    provider = Filter("provider", "in", tuple(sorted({name for name, _ in pairs})))
    named = tuple(sorted({account for _, account in pairs if account is not None}))
    return (provider,) if every else (provider, Filter("account_id", "in", named))


def charges(cost: ir.Table, accounts: Sequence[Unmeasured]) -> ir.Table:
    """The charges of some accounts.

    Args:
        cost: Rows of the contract `Cost`.
        accounts: From `unmeasured`.
    """
    of = [_all(cost, one.filters) for one in accounts]
    return cost.filter(ibis.or_(*of) if of else ibis.literal(False))


def providers_by(
    cost: ir.Table, grain: str | None, *, by_day: bool, by_step: bool
) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Who billed, by member and first day of the step (ISO; '' for the whole period).

    Args:
        cost: From `charges`.
        grain: The dimension whose values are the members, or None: then every member is ''. A dimension that bills do
            not share with energy has no members.
        by_day: Whether a step is a day; else it is a month.
        by_step: Whether steps are told apart.
    """
    if grain is not None and grain not in SHARED:
        return {}
    first = cost.day if by_day else cost.day.truncate("M")
    keys = {
        "member": ibis.literal("") if grain is None else cost[grain].cast("string").fill_null(UNKNOWN),
        "when": first.cast("date").cast("string") if by_step else ibis.literal(""),
    }
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in rows(cost.select(provider=cost.provider, **keys).distinct().order_by("member", "when", "provider")):
        at = (row["member"], row["when"])
        found[at] = (*found.get(at, ()), row["provider"])
    return found


def charge(one: Unmeasured, period: tuple[str, str], currency: str) -> Selection:
    """The charges of an account's provider in one currency, as a figure reads them.

    Args:
        one: From `unmeasured`.
        period: First and last day, ISO.
        currency: Of the bills.
    """
    when = Filter("day", "between", period)
    return Selection("cost", "billed_cost", (when, *one.filters, Filter("billing_currency", "=", currency)))


def _all(cost: ir.Table, filters: Sequence[Filter]) -> ir.BooleanValue:
    return ibis.and_(*(item.of(cost) for item in filters))


def _spelled(provider: str) -> str:
    return provider.strip().lower()
