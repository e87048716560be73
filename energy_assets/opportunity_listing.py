"""Opportunities of a month with what was decided and what it saved: for a terminal, for CSV, and by their ids.

What belongs here: joining the lake's rows with the decisions of the site folder. What does not: the rules, the file of
decisions (`opportunities.states`), and printing (`cli`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from energy_assets.contracts.audit import schema_of
from energy_assets.contracts.tables import Opportunities
from energy_assets.contracts.vocabulary import OpportunityRule, OpportunityState
from energy_assets.opportunities.realised import realised
from energy_assets.opportunities.regressed import KPI
from energy_assets.opportunities.states import Decision, current, decisions
from energy_assets.periods import Month
from energy_assets.query import ask
from energy_assets.site import Site

DECIDED = ("state", "since", "by", "note", "realised_kwh", "realised_g", "realised_cost", "realised_how")
COLUMNS = (*schema_of(Opportunities), *DECIDED)
SHOWN = ("id", "month", "rule", "subject", "kWh", "±%", "kg", "±%", "cost", "rows", "state")
REALISED = ("realised kWh", "realised kg")
NEVER_ADDED = "One kWh may stand in several of these, so they never add up: not across rules, and not as a total."
NEAR = 3
GRAMS_IN_KG = 1000


class UnknownOpportunityError(Exception):
    """There is no such opportunity; the message lists near ones."""


def listed(site: Site, month: Month | None = None) -> list[dict[str, Any]]:
    """Opportunities of a month in the columns of `COLUMNS`, the largest first; and all that were accepted or done.

    Args:
        site: Whose lake and decisions are read.
        month: The month; the last one that the lake holds unless given.

    Raises:
        QueryError: there is no such table yet.
        StateError: the file of decisions cannot be used.
    """
    every, decided = _rows(site), current(decisions(site.folder))
    first = month.first if month else max((row["month"] for row in every), default=None)
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in every:
        by_id.setdefault(row["opportunity_id"], []).append(row)
    shown = []
    for id_, rows in by_id.items():
        decision = decided.get(id_)
        until = [row for row in rows if first is None or row["month"] <= first]
        mine = _mine(until, first, decision)
        if mine is not None:
            shown.append({**mine, **_decided(until, decision)})
    return sorted(shown, key=_largest_first)


def _mine(rows: Sequence[dict[str, Any]], first: date | None, decision: Decision | None) -> dict[str, Any] | None:
    """The row of a subject that is shown: of the month where it was found, else the last one of what was decided."""
    here = [row for row in rows if row["month"] == first and row["found"]]
    if here:
        return here[0]
    kept = decision is not None and decision.state in (OpportunityState.ACCEPTED, OpportunityState.DONE)
    before = [row for row in rows if row["found"]] if kept else []
    return before[-1] if before else None


def _decided(rows: Sequence[Mapping[str, Any]], decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {**dict.fromkeys(DECIDED), "state": OpportunityState.PROPOSED.value}
    said = {
        "state": decision.state.value,
        "since": decision.on,
        "by": decision.by or None,
        "note": decision.note or None,
    }
    if decision.state is not OpportunityState.DONE:
        return dict.fromkeys(DECIDED) | said
    saved = realised(rows, decision.on)
    return said | {
        "realised_kwh": saved.kwh,
        "realised_g": saved.location_g,
        "realised_cost": saved.cost,
        "realised_how": saved.how,
    }


def _largest_first(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """By energy, then grams, then cost; what is not known comes last of its kind."""
    amounts = (row[name] for name in ("facility_kwh", "location_g", "cost"))
    return (*(-(amount or 0) for amount in amounts), row["opportunity_id"])


def for_a_terminal(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of `listed` for a terminal; unknown stays empty, and `REALISED` is there where some were done.

    Args:
        rows: From `listed`.
    """
    done = any(row["realised_how"] for row in rows)
    return [*SHOWN, *(REALISED if done else ())], [
        (
            row["opportunity_id"], Month.of(row["month"]), row["rule"], row["subject"],
            _round(row["facility_kwh"]), row["uncertainty_pct"], _kg(row["location_g"]), row["grams_uncertainty_pct"],
            None if row["cost"] is None else f"{row['cost']:.2f} {row['currency']}", row["row_count"], _state(row),
            *((_round(row["realised_kwh"]), _kg(row["realised_g"])) if done else ()),
        )
        for row in rows
    ]  # fmt: skip


def _state(row: Mapping[str, Any]) -> str:
    return f"{row['state']} {row['since']}" if row["since"] else str(row["state"])


def _round(value: Any) -> Any:
    return None if value is None else round(value, 3)


def _kg(grams: Any) -> Any:
    return None if grams is None else round(grams / GRAMS_IN_KG, 3)


def notes(site: Site, rows: Sequence[Mapping[str, Any]], month: Month | None = None) -> list[str]:
    """What must be known of a list: that it does not add up, what could not be compared, what is not known afterwards.

    Args:
        site: Whose lake is asked.
        rows: From `listed`.
        month: As for `listed`.
    """
    said = [NEVER_ADDED] if rows else []
    overlapping = sum(1 for row in rows if row["overlaps"])
    if overlapping:
        said.append(f"{overlapping} of them may speak of the same kWh as another one (column `overlaps` of the CSV).")
    if alone := without_before(site, month):
        back = site.opportunities.compare_months
        said.append(
            f"Energy per token is not compared for {', '.join(alone)}: no month of the {back} before has both sides."
        )
    said += [f"{row['opportunity_id']}: realised {row['realised_how']}" for row in rows if row["realised_how"]]
    return said


def without_before(site: Site, month: Month | None = None) -> list[str]:
    """Models with an energy per token in the month and none in the months before it that may be compared.

    Args:
        site: Whose lake is asked.
        month: The month; the last one that the lake holds unless given.
    """
    when = f"date '{month.first}'" if month else "(select max(month) from opportunities)"
    query = (
        f"select distinct model_id from kpis_monthly where kpi = '{KPI}' and grain = 'model_id' and value is not null "  # noqa: S608
        f"and coverage > 0 and model_id <> 'unknown' and month = {when} and model_id not in (select model_id from "
        f"opportunities where rule = '{OpportunityRule.REGRESSED_MODELS.value}' and month = {when}) order by 1"
    )
    return [name for (name,) in ask(site, query)[1]]


def known(site: Site, id_: str) -> str:
    """The id, where an opportunity was found under it in any month.

    Args:
        site: Whose lake is asked.
        id_: As typed.

    Raises:
        UnknownOpportunityError: there is none.
        QueryError: there is no such table yet.
    """
    there = {row["opportunity_id"]: row for row in _rows(site) if row["found"]}
    if id_ in there:
        return id_
    near = [one for one in there if id_ and one.startswith(id_)] or difflib.get_close_matches(id_, there, NEAR, 0.5)
    if not there:
        raise UnknownOpportunityError(f"There is no opportunity '{id_}', because none was found in any month.")
    told = "".join(
        f"\n  {one}  {there[one]['rule']}: {there[one]['subject']}" for one in (near or sorted(there))[:NEAR]
    )
    raise UnknownOpportunityError(f"There is no opportunity '{id_}'. {'Near ones' if near else 'There are'}:{told}")


def _rows(site: Site) -> list[dict[str, Any]]:
    columns, rows = ask(site, "select * from opportunities order by month, opportunity_id")
    return [dict(zip(columns, row, strict=True)) for row in rows]
