"""Facts: energy, cost and activity summed once to the dimensions that indicators are cut by.

What belongs here: the sums that the indicators' ingredients ask for, each once, with what is known of their error; the
share of idle energy; and which facts have both sides of a ratio. What does not: grains and members (`daily.py`).
Everything an indicator needs is in these sums, so the large tables are scanned once a day and the indicators
themselves run on a few hundred rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import ibis
import ibis.expr.types as ir

from energy_assets.contracts.accounts import account_keys
from energy_assets.contracts.measures import TABLES
from energy_assets.contracts.tables import KPI_DIMENSIONS, KPI_KEYS, RUN
from energy_assets.contracts.vocabulary import TRAINING
from energy_assets.kpis.indicators import (
    BESIDE,
    BOUGHT_GRAMS,
    INDICATORS,
    Indicator,
    coverage_rows,
    has_coverage_rows,
)
from energy_assets.kpis.ingredients import Filter, Ingredient, Selection, added, first_known
from energy_assets.kpis.rests import ERROR_SOURCE, METERED, apart, completed

#: Columns whose interval is that of the energy, and those whose interval is of energy and grid factor together.
ENERGY_COLUMNS = ("energy_kwh", "facility_kwh")
GRAM_COLUMNS = ("location_g", "lifecycle_g", BOUGHT_GRAMS)
IDLE = Filter("workload_type", "=", "idle")
NOBODY = ("unknown", "idle")
PER_CENT_DIGITS = 3
KNOWN, CONTAINER, GRAMS_INTERVAL = "known", "of_container", "grams_uncertainty_pct"
ASKS_WHETHER_KNOWN = ("is null", "is not null", "or idle")
NO_RUN = {RUN: ibis.null("string")}
#: The finest identity that a bill and energy both carry; with day and project, what they are paired by.
ACCOUNT = ("provider", "account_id")
PAIR = ("day", *ACCOUNT, "project")


def name_of(ingredient: Ingredient | Selection) -> str:
    """Name of the summed column of an ingredient; the factor is no part of it."""
    rows = ingredient.rows if isinstance(ingredient, Ingredient) else ingredient
    words = [rows.table, rows.column or "rows", *(f"{f.column}{f.op}{f.value or ''}" for f in rows.filters)]
    idle = ["with_idle"] if isinstance(ingredient, Ingredient) and ingredient.with_idle else []
    return re.sub(r"[^a-z0-9]+", "_", "__".join([*words, *idle]).replace("!=", " not "))


def type_of(rows: Selection) -> str:
    """The exact type of a sum: that of its column, as wide as decimals are; whole numbers for counts."""
    return f"decimal(38, {_scale(rows)})"


def _scale(rows: Selection) -> int:
    return max((TABLES[rows.table][name].scale or 0 if TABLES[rows.table][name].is_decimal() else 0
                for name in rows.columns), default=0)  # fmt: skip


def errors_of(ingredient: Ingredient) -> tuple[str, ...]:
    """The errors that are known of an ingredient: `meter`, shared by its source, and `factor`, shared by its zone.

    Nothing is known of upstream grams, a difference of two intensities, of grid losses, of hardware's emissions and of
    counts.
    """
    column = ingredient.rows.column
    return ("meter",) if column in ENERGY_COLUMNS else ("meter", "factor") if column in GRAM_COLUMNS else ()


def has_interval(indicator: Indicator) -> bool:
    """Whether a 95 % interval can be told of an indicator."""
    return indicator.interval and indicator.kind != "share" and any(errors_of(part) for part in indicator.ingredients())


def carrier(indicator: Indicator) -> Ingredient:
    """The side that the error of an indicator is told of: the numerator, or what an exact numerator is divided by."""
    below = indicator.denominator
    return indicator.numerator if below is None or errors_of(indicator.numerator) else below


def part(indicator: Indicator, ingredient: Ingredient) -> str:
    """Column of the facts that holds an ingredient of an indicator; matched ones have their own.

    Args:
        indicator: Whose ingredient it is.
        ingredient: One sum of the indicator.
    """
    return f"{indicator.name}__{name_of(ingredient)}" if indicator.match else name_of(ingredient)


def measures() -> dict[str, str]:
    """Every summed column of the facts and its exact type, from the ingredients of all indicators."""
    found: dict[str, str] = {}
    for indicator in INDICATORS.values():
        for ingredient in indicator.ingredients():
            dtype = type_of(ingredient.rows)
            columns = {name_of(ingredient)} | {part(indicator, ingredient)}
            found |= dict.fromkeys(sorted(columns), dtype)
            if ingredient in indicator.matched_sides():
                found |= {f"{part(indicator, ingredient)}__{of}": dtype for of in ("matched", "all")}
            if has_interval(indicator):
                for column in sorted(columns):
                    found |= {f"{column}__{error}": _error_type(ingredient.rows) for error in errors_of(ingredient)}
                    found |= {f"{column}__open": dtype} if errors_of(ingredient) else {}
        if has_coverage_rows(indicator):
            found |= {name_of(rows): type_of(rows) for rows in coverage_rows(indicator)}
    return found


def _error_type(rows: Selection) -> str:
    return f"decimal(38, {_scale(rows) + PER_CENT_DIGITS})"


def facts(
    emissions: ir.Table,
    activity: ir.Table,
    cost: ir.Table,
    currency: str,
    keep: Callable[[ir.Table], ir.Table] = lambda rows: rows,
) -> ir.Table:
    """All measures by day, currency and the dimensions of indicators; a measure a row does not speak of is NULL.

    Args:
        emissions: Rows of the contract `Emissions`.
        activity: Rows of the contract `Activity`.
        cost: Rows of the contract `Cost`.
        currency: The organisation's; ratios of money are made of bills in it alone.
        keep: Computes a table once and for all; without it the engine may scan the emissions twice.

    Returns:
        `day`, the dimensions, `currency`, `error_source` (whose meters the errors are of), and the columns of
        `measures()`. Per ingredient with a known error:
        `…__meter` and `…__factor`, the half-width of the 95 % interval in per cent of the unit, and `…__open`, the
        part of the sum whose interval is not known. Matched ingredients have a column of their own, with
        `…__matched` and `…__all`: absolute amounts that have and need not have the other side.
    """
    used, spent = keep(_condensed(apart(emissions, keep))), keep(_condensed_cost(cost, currency))
    pairs = keep(_pairs(used.filter(~used.borrowed), spent))
    parts = [_energy(_paired(used, pairs)), _activity(activity), _spent(_paired(spent, pairs))]
    return _matched(keep(ibis.union(*(_complete(rows) for rows in parts))), currency)


def _ingredients(table: str) -> list[Ingredient]:
    """The distinct sums over one table that all indicators and their coverage ask for, and what they rest on."""
    found: dict[Ingredient, None] = {}
    for indicator in INDICATORS.values():
        for one in indicator.ingredients():
            found |= {Ingredient(rows): None for rows in (_behind(one.rows) if one.with_idle else ())}
            found[Ingredient(one.rows)] = None
        if has_coverage_rows(indicator):
            found |= {Ingredient(rows): None for rows in coverage_rows(indicator)}
    return [one for one in found if one.rows.table == table]


def _behind(rows: Selection) -> tuple[Selection, Selection, Selection, Selection]:
    """What the share of idle of some rows is made of: their energy, idle energy, idle amount, all energy."""
    kwh = Selection("emissions", "facility_kwh")
    return kwh.where(*rows.filters), kwh.where(IDLE), Selection(rows.table, rows.column, (IDLE,)), kwh


def _energy(rows: ir.Table) -> ir.Table:
    columns = {name_of(one): _conditional(rows, one.rows) for one in _ingredients("emissions")}
    for indicator in filter(has_interval, INDICATORS.values()):
        for one in indicator.ingredients():
            columns |= _errors(rows, one)
    columns |= _parts_of_accounts(rows, "emissions")
    sums = rows.group_by(["day", *KPI_KEYS, ERROR_SOURCE]).aggregate(**columns)
    kept = {one for i in INDICATORS.values() for one in i.ingredients() if one.with_idle}
    sums = sums.mutate(**{name: column for one in kept for name, column in _with_idle(sums, one).items()})
    sums = sums.mutate(**{name: column for one in kept for name, column in _errors_with_idle(sums, one).items()})
    return _matched_shares(sums, "emissions")


def _conditional(rows: ir.Table, wanted: Selection, *also: Any) -> Any:
    value = wanted.value(rows) if wanted.column else rows.rows
    return value.sum(where=_where(rows, wanted, *also)).cast(type_of(wanted))


def _where(rows: ir.Table, wanted: Selection, *also: Any, own: bool = True) -> Any:
    """The conditions of a selection; amounts are of own rows, errors of meters of borrowed ones too."""
    conditions = [
        *([~rows.borrowed] if own and "borrowed" in rows.columns else []),
        *also,
        *(_flag(rows, f) if f.op in ASKS_WHETHER_KNOWN else f.of(rows) for f in wanted.filters),
    ]
    where = None
    for condition in conditions:
        where = condition if where is None else where & condition
    return where


def _flag(rows: ir.Table, item: Filter) -> Any:
    """Of condensed rows it is known by a flag whether a value is."""
    if KNOWN not in rows.columns:
        return item.of(rows)
    known = _known(rows, *item.columns)
    return ~known if item.op == "is null" else known


def _known(rows: ir.Table, *columns: str) -> Any:
    flags = list(_flags())
    return (rows[KNOWN] & sum(1 << flags.index(name) for name in columns)) != 0


def _errors(rows: ir.Table, ingredient: Ingredient, name: str | None = None, *also: Any) -> dict[str, Any]:
    """Half-widths and the open part of an ingredient, summed over the rows for which `also` holds too."""
    wanted, name = ingredient.rows, name or name_of(ingredient.rows)
    kinds = errors_of(ingredient)
    if not kinds:
        return {}
    beside = [column for column in BESIDE if column in wanted.columns]
    electricity = [first_known([rows[column] for column in t]) for t in wanted.terms if not {*t} & {*beside}]
    value, known = added(electricity), rows.uncertainty_pct.notnull()
    if "factor" in kinds:
        known = known & rows.factor_uncertainty_pct.notnull() & _known(rows, GRAMS_INTERVAL)
    for column in beside:
        known = known & (rows[column].fill_null(0) == 0)
    where, dtype = _where(rows, wanted, *also), _error_type(wanted)
    pct = {"meter": rows.meter_pct, "factor": rows.factor_uncertainty_pct}
    whose = {"meter": _where(rows, wanted, *also, own=False), "factor": where}
    found = {f"{name}__{kind}": (value * pct[kind]).cast(dtype).sum(where=whose[kind]).cast(dtype) for kind in kinds}
    unknown = ~known if where is None else where & ~known
    found[f"{name}__open"] = wanted.value(rows).sum(where=unknown).cast(type_of(wanted))
    return found


def _with_idle(sums: ir.Table, ingredient: Ingredient) -> dict[str, Any]:
    """An ingredient with its share of idle: somebody keeps the machines ready, whom nobody used at that time.

    The idle amount of a source and day is shared by its busy energy. The share is taken to be as uncertain as what
    it is added to: both come from the same meters.
    """
    own_kwh, idle_kwh, idle_amount, all_kwh = (sums[name_of(rows)] for rows in _behind(ingredient.rows))
    base, name, dtype = name_of(ingredient.rows), name_of(ingredient), type_of(ingredient.rows)
    per_source = ibis.window(group_by=[sums.day, sums.source])
    there = {key: column.sum().over(per_source).cast("float64").fill_null(0.0) for key, column in
             {"idle": idle_kwh, "amount": idle_amount, "all": all_kwh}.items()}  # fmt: skip
    busy = (there["all"] - there["idle"]).nullif(0.0)
    share = (own_kwh.cast("float64") * there["amount"] / busy).round(12).fill_null(0.0)
    value = (sums[base] + share.cast(dtype)).cast(dtype)
    return {name: value} | ({f"{name}__open": sums[f"{base}__open"]} if errors_of(ingredient) else {})


def _errors_with_idle(sums: ir.Table, ingredient: Ingredient) -> dict[str, Any]:
    """Errors grown as the amount is, borrowed ones as the rest that they stand beside.

    A share that is added to zero has nothing to be as uncertain as: its interval is not known. So it is with grams of
    hours in which the grid emitted nothing.
    """
    if not errors_of(ingredient):
        return {}
    base, name = name_of(ingredient.rows), name_of(ingredient)
    alike = ibis.window(group_by=[sums.day, *(sums[key] for key in KPI_KEYS)])
    whole, bare = (sums[column].cast("float64").sum().over(alike) for column in (name, base))
    grown: Any = whole / bare.nullif(0.0)
    found = {
        f"{name}__{kind}": (sums[f"{base}__{kind}"].cast("float64") * grown).round(9).cast(_error_type(ingredient.rows))
        for kind in errors_of(ingredient)
    }
    from_nothing: Any = (bare == 0) & (whole != 0)
    return found | {f"{name}__open": ibis.ifelse(from_nothing, sums[name], sums[f"{name}__open"])}


@cache
def _flags() -> dict[str, Filter]:
    """Columns of emissions of which it matters whether they are known, and when they are: bits of `KNOWN`, in order."""
    wanted = [one.rows for one in _ingredients("emissions")]
    asking = [f for rows in wanted for f in rows.filters if f.op in ASKS_WHETHER_KNOWN]
    names = {name for f in asking for name in f.columns} | {
        name for rows in wanted for term in rows.terms if len(term) > 1 for name in term
    }
    conditions = {f.column: f for f in asking if f.op == "or idle"}
    return {name: conditions.get(name, Filter(name, "is not null")) for name in sorted(names | {GRAMS_INTERVAL})}


def _condensed(emissions: ir.Table) -> ir.Table:
    """Rows that no indicator tells apart, as one with their sums and their number: the one scan of the large table.

    The many conditional sums of `_energy` then run on a few hundred rows. A sum is NULL exactly where all its rows
    are, because known and unknown values of columns that conditions ask about are kept apart.
    """
    wanted = [one.rows for one in _ingredients("emissions")]
    summed = list(dict.fromkeys(column for rows in wanted for column in rows.columns))
    flags = _flags()
    bits = [item.of(emissions).ifelse(1 << n, 0).cast("int32") for n, item in enumerate(flags.values())]
    rows = emissions.mutate(**{KNOWN: reduce(lambda a, b: a | b, bits), CONTAINER: emissions.device_kind.isin(METERED)})
    pct = ["uncertainty_pct", "meter_pct", "factor_uncertainty_pct", ERROR_SOURCE, "borrowed"]
    asked = {name for rows in wanted for f in rows.filters for name in f.columns}
    kept_apart = sorted(asked - set(KPI_DIMENSIONS) - set(flags))
    rows = rows.mutate(**{RUN: rows.workload_type.isin(TRAINING).ifelse(rows[RUN], ibis.null("string"))})
    alike = list(dict.fromkeys(["day", *KPI_KEYS, *ACCOUNT, *kept_apart, *pct, KNOWN, CONTAINER]))
    sums = {name: rows[name].sum().cast(type_of(Selection("emissions", name))) for name in summed}
    condensed = rows.group_by(alike).aggregate(rows=rows.count(), **sums)
    rows = _spelled_alike(condensed)
    rows = completed(rows, rows[CONTAINER])
    return rows.mutate(pairable=rows.facility_kwh.notnull()).drop(CONTAINER)


def _condensed_cost(cost: ir.Table, currency: str) -> ir.Table:
    """Charges that no indicator tells apart, as one. Those in the organisation's currency alone can be paired."""
    wanted = {column: cost[column] for one in _ingredients("cost") for column in one.rows.columns}
    rows = cost.mutate(currency=cost.billing_currency, **_absent(cost), **NO_RUN)
    sums = {name: rows[name].sum().cast(type_of(Selection("cost", name))) for name in wanted}
    condensed = rows.group_by(["day", *KPI_KEYS, *ACCOUNT, "currency"]).aggregate(**sums)
    rows = _spelled_alike(condensed)
    return rows.mutate(pairable=rows.currency == currency)


def _spelled_alike(rows: ir.Table) -> ir.Table:
    """Provider and account in one spelling; an account that is not stated is empty."""
    rows = rows.mutate(provider=rows.provider.strip().lower().fill_null(""))
    return rows.mutate(account_id=account_keys(rows, "account_id"))


def _pairs(used: ir.Table, spent: ir.Table) -> ir.Table:
    """Day, provider, account and project of which both energy and a bill are known.

    A side that states no account may be any account of its provider: it pairs with every one of the same project, and
    a side that states one pairs with the same and with what states none. Unknown and idle projects pair with nothing.
    """
    sides = [
        rows.filter(rows.pairable & rows.project.notin(NOBODY)).select(*PAIR, side=ibis.literal(n, "int8")).distinct()
        for n, rows in enumerate((used, spent))
    ]
    keys = ibis.union(*sides)
    open_ = keys.account_id == ""

    def there(side: int, among: Sequence[str], where: Any = True) -> Any:
        found = ((keys.side == side) & where).cast("int8")
        return found.max().over(ibis.window(group_by=[keys[name] for name in among])) == 1

    def of(side: int) -> Any:
        whole = ["day", "provider", "project"]
        return ibis.ifelse(open_, there(side, whole), there(side, PAIR) | there(side, whole, open_))

    return keys.filter(of(0) & of(1)).select(*PAIR).distinct()


def _paired(rows: ir.Table, pairs: ir.Table) -> ir.Table:
    """The rows with a flag: whether the other side of their account and project is known on the day."""
    others = pairs.select(**{f"pair_{name}": pairs[name] for name in PAIR})
    joined = rows.left_join(others, [rows[name] == others[f"pair_{name}"] for name in PAIR])
    flagged = joined.mutate(paired=joined.pairable & joined.pair_day.notnull())
    return flagged.drop(*others.columns)


def _parts_of_accounts(rows: ir.Table, table: str) -> dict[str, Any]:
    """The sums of indicators matched by account over the paired rows of a table, and beside them over the others."""
    found: dict[str, Any] = {}
    for indicator, one in _by_account(table):
        name = part(indicator, one)
        found |= {name: _conditional(rows, one.rows, rows.paired)} | _errors(rows, one, name, rows.paired)
        if one in indicator.matched_sides():
            found[f"{name}__unmatched"] = _conditional(rows, one.rows, rows.pairable & ~rows.paired)
    return found


def _matched_shares(sums: ir.Table, table: str) -> ir.Table:
    """Of sides whose matched share is a coverage: the absolute amounts that are matched, and that need to be."""
    found: dict[str, Any] = {}
    for indicator, one in _by_account(table):
        if one in indicator.matched_sides():
            name = part(indicator, one)
            mine, others = sums[name].abs(), sums[f"{name}__unmatched"].abs()
            found |= {f"{name}__matched": mine, f"{name}__all": added([mine, others])}
    return sums.mutate(**found)


def _by_account(table: str) -> list[tuple[Indicator, Ingredient]]:
    matched = [indicator for indicator in INDICATORS.values() if indicator.match == "account"]
    return [(i, one) for i in matched for one in i.ingredients() if one.rows.table == table]


def _absent(rows: ir.Table) -> dict[str, Any]:
    return dict.fromkeys([name for name in KPI_DIMENSIONS if name not in rows.columns], ibis.null("string"))


def _activity(activity: ir.Table) -> ir.Table:
    """Sums of activity by day and the dimensions it has."""
    rows = activity.mutate(rows=ibis.literal(1, "int64"), **_absent(activity), **NO_RUN)
    return rows.group_by(["day", *KPI_KEYS]).aggregate(
        **{name_of(one): _conditional(rows, one.rows) for one in _ingredients("activity")}
    )


def _spent(cost: ir.Table) -> ir.Table:
    """Sums of cost by day, the dimensions it has, and currency."""
    sums = cost.group_by(["day", *KPI_KEYS, "currency"]).aggregate(
        **{name_of(one): _conditional(cost, one.rows) for one in _ingredients("cost")},
        **_parts_of_accounts(cost, "cost"),
    )
    return _matched_shares(sums, "cost")


def _complete(sums: ir.Table) -> ir.Table:
    """The table with every dimension and measure, NULL where it has none, in one order."""
    wanted = {name: dtype for name, dtype in measures().items() if not _is_of_model(name)}
    absent = {name: ibis.null(dtype) for name, dtype in wanted.items() if name not in sums.columns}
    if "currency" not in sums.columns:
        absent["currency"] = ibis.null("string")
    if ERROR_SOURCE not in sums.columns:
        absent[ERROR_SOURCE] = sums.source
    wide = sums.mutate(**absent)
    return wide.select("day", *KPI_KEYS, "currency", ERROR_SOURCE, **{n: wide[n].cast(d) for n, d in wanted.items()})


def _by_model() -> list[Indicator]:
    return [indicator for indicator in INDICATORS.values() if indicator.match == "model_id"]


def _is_of_model(measure: str) -> bool:
    return any(measure.startswith(f"{indicator.name}__") for indicator in _by_model())


def _matched(rows: ir.Table, currency: str) -> ir.Table:
    """The facts with the parts of indicators matched by model: what has no other side on its day stays out of both.

    All indicators together in three steps, because each step repeats every column. Of money that in the organisation's
    currency alone is looked at.
    """
    wanted = _by_model()
    flags: dict[str, Any] = {}
    for indicator in wanted:
        sides = [_comparable(rows, one, currency).notnull() for one in indicator.ingredients()]
        flags |= _shared(rows, indicator, sides)
    flagged = rows.mutate(**flags)
    both = flagged.mutate(**{f"{i.name}__both": _both(flagged, i) for i in wanted})
    parts: dict[str, Any] = {}
    for indicator in wanted:
        for one in indicator.ingredients():
            parts |= _kept_parts(both, indicator, one, _comparable(both, one, currency))
    return both.select(
        "day",
        *KPI_KEYS,
        "currency",
        ERROR_SOURCE,
        **{name: parts[name] if name in parts else both[name] for name in measures()},
    )


def _comparable(rows: ir.Table, ingredient: Ingredient, currency: str) -> Any:
    amount = rows[name_of(ingredient)]
    if ingredient.rows.table != "cost":
        return amount
    return ibis.ifelse(rows.currency == currency, amount, ibis.null(amount.type()))


def _kept_parts(rows: ir.Table, indicator: Indicator, ingredient: Ingredient, amount: Any) -> dict[str, Any]:
    name = part(indicator, ingredient)
    dtype = type_of(ingredient.rows)
    mine = ibis.ifelse(rows[f"{indicator.name}__both"], amount, ibis.null(dtype))
    found = {name: mine, f"{name}__matched": mine.abs().cast(dtype), f"{name}__all": amount.abs().cast(dtype)}
    for kind in (*errors_of(ingredient), "open") if errors_of(ingredient) else ():
        column = rows[f"{name_of(ingredient)}__{kind}"]
        found[f"{name}__{kind}"] = ibis.ifelse(rows[f"{indicator.name}__both"], column, ibis.null(column.type()))
    return found


def _shared(rows: ir.Table, indicator: Indicator, sides: Sequence[Any]) -> dict[str, Any]:
    """Flags by which `_both` decides: whether a model in a project, or a model, has every side on the day."""
    day, project, model = rows.day, rows.project, rows.model_id
    owned = project.notnull() & project.notin(NOBODY)

    def everywhere(keys: list[Any]) -> Any:
        window = ibis.window(group_by=keys)
        found = [side.cast("int8").max().over(window) == 1 for side in sides]
        return reduce(lambda a, b: a & b, found)

    return {
        f"{indicator.name}__shared": everywhere([day, model, project]) & (owned | model.notnull()),
        f"{indicator.name}__alone": everywhere([day, model]) & model.notnull(),
    }


def _both(rows: ir.Table, indicator: Indicator) -> Any:
    """Whether a fact is counted: its model by its name alone only where the model's sides share no project."""
    shared = rows[f"{indicator.name}__shared"]
    somewhere = shared.cast("int8").max().over(ibis.window(group_by=[rows.day, rows.model_id])) == 1
    return shared | (rows[f"{indicator.name}__alone"] & ~somewhere)
