"""Bills of which no energy is known: bought services that no source measures.

What belongs here: which accounts are billed and measured by nobody, and what of a period, day or member they billed.
What does not: the words of a report about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.accounts import account_key
from energy_assets.disclosures.reading import rows
from energy_assets.kpis.ingredients import UNKNOWN, Filter, Selection

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
