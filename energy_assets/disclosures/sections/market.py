"""Scope 2 by both methods: market-based beside location-based, what stands behind it, and the carbon-free share.

What belongs here: what is said of the market-based method in a report. What does not: how it is computed
(`energy_assets.emissions`). Nothing is printed for a site without instruments: the quantity then stands among those
that are not covered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from energy_assets.contracts.vocabulary import GhgScope, InstrumentKind, Verdict
from energy_assets.disclosures import reading
from energy_assets.disclosures.document import Block, Column, Run, Runs, heading, number, paragraph, table
from energy_assets.disclosures.figures import Figure, plain
from energy_assets.disclosures.rounding import scale_for
from energy_assets.disclosures.sections.common import Context, months_of
from energy_assets.disclosures.text import visible
from energy_assets.factors.countries import zone_name
from energy_assets.kpis.ingredients import Filter, Selection
from energy_assets.kpis.market import MARKET_INDICATORS

OWN = Filter("ghg_scope", "=", GhgScope.SCOPE2.value)
PARTS = {
    "certified_kwh": "Certificates",
    "contract_kwh": "Contracts",
    "supplier_kwh": "Supplier rate",
    "residual_kwh": "Residual mix",
    "location_fallback_kwh": "Location factor, for want of a residual mix",
}
"""Columns of `emissions_market` that add up to the electricity, and what covers it."""
NOT_KNOWN = "electricity that no instrument covers has no residual mix and no location factor"


def known(context: Context) -> bool:
    """Whether the market-based figure of own machines can be stated, or is asked for: there are instruments."""
    return bool(_rows(context))


def by_both_methods(context: Context) -> list[Block]:
    """Scope 2 market-based beside location-based, what covers the electricity, and the instruments."""
    rows = _rows(context)
    if not rows:
        return []
    market, parts = market_figure(context), _parts(context, rows)
    whole = _sum(context, rows, "facility_kwh", "Electricity of own machines", "kWh")
    context.factory.foot(whole, list(parts.values()))
    covered: list[list[Runs]] = [
        [[PARTS[column]], [number(figure)], [number(context.factory.share(figure, whole, f"{PARTS[column]}, share"))]]
        for column, figure in parts.items()
    ]
    covered.append([["All electricity of own machines"], [number(whole)], []])
    columns = [Column("Covered by", width=3), Column("Electricity", "right", 1.5), Column("Share", "right", 1)]
    return [
        heading("Scope 2 by both methods"),
        paragraph(
            "Market-based, Scope 2 is ",
            number(market),
            "; location-based it is ",
            number(context.figure("scope2_location_g")),
            f".{_open(context, rows)}",
            *([f" It is not stated because {NOT_KNOWN}."] if market.number is None else []),
        ),
        table("market-covered", "What covers the electricity of own machines", columns, covered, total=True),
        *_instruments(context),
        paragraph(*_carbon_free(context, rows, whole)),
    ]


def market_figure(context: Context) -> Figure:
    """Scope 2, market-based, of the whole period.

    Args:
        context: Of a report whose tables hold market-based rows of own machines.
    """
    rows = _rows(context)
    values = [row["market_g"] for row in rows if row["facility_kwh"]]
    value = None if None in values else sum(values, Decimal())
    one = MARKET_INDICATORS["scope2_market_g"]
    return context.factory.query(
        one.name,
        one.label,
        value,
        _selection(context, "market_g"),
        context.factory.scale("scope2_location_g", "gCO2e"),
        one.unit,
        method=one.method,
        reason=NOT_KNOWN,
    )


def _rows(context: Context) -> list[dict[str, Any]]:
    """Rows of own machines that instruments were asked for, of the months of the period."""
    if "rows of market" not in context.shared:
        found = context.factory.inputs.tables.get("emissions_market")
        mine = [] if found is None else reading.rows(found.filter(OWN.of(found), found.certified_kwh.notnull()))
        context.shared["rows of market"] = mine
    rows: list[dict[str, Any]] = context.shared["rows of market"]
    return rows


def _selection(context: Context, column: str, *more: Filter) -> Selection:
    return Selection("emissions_market", column, (months_of(context.period), OWN, *more))


def _sum(context: Context, rows: Sequence[Mapping[str, Any]], column: str, label: str, unit: str) -> Figure:
    value = sum((row[column] or Decimal() for row in rows), Decimal())
    scale = context.factory.scale("facility_kwh", unit)
    return context.factory.query(f"market_{column}", label, value, _selection(context, column), scale, unit)


def _parts(context: Context, rows: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """The kinds of instruments that cover something, with how much."""
    there = [column for column in PARTS if any(row[column] for row in rows)]
    return {column: _sum(context, rows, column, f"Electricity covered by: {PARTS[column]}", "kWh") for column in there}


def _open(context: Context, rows: Sequence[Mapping[str, Any]]) -> str:
    """What is said while the year of the period has months to come."""
    last = max(row["month"] for row in rows)
    months = max(row["months_matched"] for row in rows)
    if months == 12 or context.period.grain == "year":
        return ""
    return (
        f" Certificates and contracts are matched with the electricity of the calendar year, of which {months} "
        f"{'month is' if months == 1 else 'months are'} known: until all of {last.year} is, the share of each month is "
        "open."
    )


def _instruments(context: Context) -> list[Block]:
    """What stands behind the figure, batch by batch; those that do not count, with the reason."""
    found = context.factory.inputs.tables.get("instruments")
    batches: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in [] if found is None else reading.rows(found.order_by("batch", "month")):
        if row["ghg_scope"] in (None, GhgScope.SCOPE2.value):
            batches[row["batch"]].append(row)
    rows: list[list[Runs]] = []
    for batch, some in batches.items():
        one = some[-1]
        factor = "–" if one["gco2e_per_kwh"] is None else plain(one["gco2e_per_kwh"])
        rows.append([[_named(one)], [factor], [_applied(context, batch, some)], [_verdict(one)]])
    columns = [
        Column("Instrument", width=3), Column("g CO₂e/kWh", "right", 0.9), Column("Covers", "right", 1.2),
        Column("Quality criteria", width=2),
    ]  # fmt: skip
    note: Runs = ["Each serial counts once. Criteria of the GHG Protocol Scope 2 Guidance, table 7.1."]
    return [table("market-instruments", "Instruments behind it", columns, rows, note=note)] if rows else []


def _applied(context: Context, batch: str, rows: Sequence[Mapping[str, Any]]) -> Run:
    factory = context.factory
    selection = Selection(
        "instruments",
        "applied_kwh",
        (months_of(context.period), Filter("batch", "=", batch), *([OWN] if rows[0]["zone"] else [])),
    )
    value = sum((row["applied_kwh"] for row in rows), Decimal())
    label = f"Electricity covered by {_named(rows[-1])}"
    scale = factory.scale("facility_kwh", "kWh")
    return number(factory.query("instrument_applied_kwh", label, value, selection, scale, "kWh",
                                dimensions={"batch": batch}))  # fmt: skip


def _named(row: Mapping[str, Any]) -> str:
    label = next(word.label for word in InstrumentKind if word.value == row["instrument"])
    about = [visible(row[name]) for name in ("registry", "supplier", "technology") if row[name]]
    named = f"{label} of {zone_name(visible(row['market']))} {row['vintage']}"
    return f"{named} ({', '.join(about)})" if about else named


def _verdict(row: Mapping[str, Any]) -> str:
    said = next(word.label for word in Verdict if word.value == row["verdict"])
    less = row["counted_kwh"] is not None and 0 < row["counted_kwh"] < row["quantity_kwh"]
    return f"{said}, in part: the other serials were counted before" if less else said


def _carbon_free(context: Context, rows: Sequence[Mapping[str, Any]], whole: Figure) -> Runs:
    """The share that is carbon-free, matched by the year; and, as an extra, hour by hour."""
    shares = []
    for name, column in (("carbon_free_share", "carbon_free_kwh"), ("carbon_free_share_hourly", "hourly_matched_kwh")):
        one = MARKET_INDICATORS[name]
        part = _sum(context, rows, column, f"{one.label}: electricity", "kWh")
        shares.append(
            context.factory.derived(
                name,
                one.label,
                (part, whole),
                "share",
                scale=scale_for("share", Decimal(1)),
                unit="share",
                method=one.method,
                dimensions={},
            )
        )
    return [
        "Certificates and contracts of carbon-free electricity cover ", number(shares[0]),
        " of it, matched by the year. Extra, no part of Scope 2: matched hour by hour, those that state the hour of "
        "their generation cover ", number(shares[1]), ".",
    ]  # fmt: skip
