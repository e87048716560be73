"""What must hold of instruments and of the electricity they cover: each once, none beyond what it is, none unsaid.

What belongs here: statements about the staged rows of `instruments` and `emissions_market`. What does not: the rules
by which instruments are judged and matched (`energy_assets.emissions`), with which these share no code.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.proof import Proof
from energy_assets.contracts.vocabulary import InstrumentKind, Verdict

TOLD_AS_REMARK = (Verdict.COUNTS.value, Verdict.SERIAL_TWICE.value, Verdict.NOT_RETIRED.value)
"""Verdicts that are no breach of a criterion, or of which others tell: what is not retired yet may be next month."""
_LAST_DIGITS = 0.000001
"""Kilowatt-hours by which sums of rounded shares may differ."""
_PARTS = ("certified_kwh", "contract_kwh", "supplier_kwh", "residual_kwh", "location_fallback_kwh")
_BOUGHT = (InstrumentKind.CERTIFICATE.value, InstrumentKind.CONTRACT.value)


def serials_twice(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Batches of which a part or all was counted under the same serials before.

    Args:
        staged: Rows of `instruments`.
        upstream: Not asked.
    """
    less = (staged.verdict == Verdict.COUNTS.value) & (staged.counted_kwh < staged.quantity_kwh)
    twice = staged.filter((staged.verdict == Verdict.SERIAL_TWICE.value) | less)
    return twice.select(
        "month", "source", "registry", "example", "serials", not_counted_kwh=twice.quantity_kwh - twice.counted_kwh
    ).distinct()


def criteria_not_met(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Batches that do not meet a quality criterion, and rates that another one outdid.

    Args:
        staged: Rows of `instruments`.
        upstream: Not asked.
    """
    broken = staged.filter(staged.verdict.notin(list(TOLD_AS_REMARK)))
    named = {word.value: word.label for word in Verdict}
    return broken.select(
        "month", "source", "instrument", "market", "vintage", "quantity_kwh", "example", "serials",
        said=broken.verdict.cases(*named.items(), else_=broken.verdict),
    ).distinct()  # fmt: skip


def covers_too_much(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Batches that cover more in a month than they are of, and what covers something although it does not count.

    Args:
        staged: Rows of `instruments`.
        upstream: Not asked.
    """
    each = staged.group_by("month", "batch", "verdict").aggregate(
        applied_kwh=staged.applied_kwh.sum(), counted_kwh=staged.counted_kwh.max()
    )
    more = each.counted_kwh.notnull() & (each.applied_kwh > each.counted_kwh)
    return each.filter(more | ((each.verdict != Verdict.COUNTS.value) & (each.applied_kwh > 0)))


def market_not_whole(staged: ir.Table, upstream: Mapping[str, ir.Table]) -> ir.Table:
    """Electricity whose parts do not add up to it, are not those of the instruments, or are more than it.

    Args:
        staged: Rows of `emissions_market`.
        upstream: `instruments`, where the site has some.
    """
    rows = staged.filter(staged.certified_kwh.notnull())
    parts = sum((rows[name] for name in _PARTS[1:]), rows[_PARTS[0]])
    bought = rows.certified_kwh + rows.contract_kwh
    wrong = rows.mutate(
        wrong=(parts != rows.facility_kwh)
        | (rows.carbon_free_kwh > bought)
        | (rows.hourly_matched_kwh > rows.facility_kwh)
    )
    applied = upstream.get("instruments")
    if applied is None:
        return wrong.filter(wrong.wrong)
    of_both = applied.filter(applied.instrument.isin(list(_BOUGHT)))
    sums = of_both.group_by("month", "zone", "ghg_scope").aggregate(kwh=of_both.applied_kwh.sum())
    both = wrong.left_join(sums, ["month", "zone", "ghg_scope"])
    other = both.certified_kwh + both.contract_kwh - both.kwh.fill_null(0)
    return both.filter(both.wrong | (other.abs() > ibis.literal(_LAST_DIGITS)))


SERIALS_ONCE = Proof(
    "serials_once",
    "Each serial of a registry counts once, whichever lines, files or sources bring it.",
    serials_twice,
    blocking=False,
    remedy="What was counted before counts; take the other line or file out, or correct its serials. Contracts that "
    "are equal in all they say need a number of their own, as `serial`",
)
INSTRUMENTS_MEET_CRITERIA = Proof(
    "instruments_meet_criteria",
    "Instruments state a factor, are tracked, are retired for the organisation, and are of the year and market of the "
    "electricity they are claimed for (GHG Protocol Scope 2 Guidance, table 7.1).",
    criteria_not_met,
    blocking=False,
    remedy="It covers nothing. Correct the line if it is wrong, or take it out; zones that are one market are named in "
    "the source: markets: [[DE, FR]]",
)
INSTRUMENTS_COVER_WHAT_THEY_ARE = Proof(
    "instruments_cover_what_they_are",
    "No instruments cover more electricity than they are of, and what does not count covers none. Proven before the "
    "commit.",
    covers_too_much,
)
MARKET_IS_WHOLE = Proof(
    "market_is_whole",
    "What certificates, contracts, supplier rates, the residual mix and the location factor cover adds up to the "
    "electricity, to the last digit. Proven before the commit: a month that breaks it is not published.",
    market_not_whole,
)
