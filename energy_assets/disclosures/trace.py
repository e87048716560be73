"""Tracing a figure to the bytes it came from: figure, KPI rows, lake rows, factors, raw objects, receipts.

What belongs here: the pure walk over callables that read rows and receipts. What does not: the looks of its tree
(`trace_looks`), and knowing where the lake or the landing zone is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis.util import gen_name

from energy_assets.disclosures import reading
from energy_assets.disclosures.figure_factory import QUOTIENT, compute
from energy_assets.disclosures.figures import Display, Figure, FigureBook, Input, as_printed, plain
from energy_assets.disclosures.rounding import EXACT
from energy_assets.disclosures.text import visible
from energy_assets.integrity import DamagedError
from energy_assets.kpis.evidence import MatchedRatio
from energy_assets.kpis.ingredients import Filter, Selection
from energy_assets.kpis.own_evidence import OwnSums
from energy_assets.periods import Month

EQUAL, DIFFERS = "equal", "differs"
DAMAGED = "damaged"
"""What a number is computed from is not what was stored; nothing above it is called equal."""
#: Groups, objects and receipts listed at one node; the number of what is left out is said.
LISTED = 12
#: Half of the last decimal that KPI rows keep (`contracts.types.FIGURE`).
KEPT = Decimal("5e-16")
OPERATIONS = {
    "row": "one sum", "ratio": "quotient of two sums", "sum": "sum of rows or figures", "count": "number of rows",
    "share": "quotient of two figures", "difference": "difference of figures", "mean": "mean of rows",
    "max": "largest of rows", "setting": "stated, not computed", "percent_change": "change in per cent",
    "progress": "share of the way from base to target", "linear_path": "straight line from base to target",
    "share_below": "how far the second is below the first",
    "portion": "first figure, divided as the second is of the third",
}  # fmt: skip
#: Parts of a request that are times.
EPOCHS = ("start", "end", "time")
EXAMPLE_COLUMNS = (
    "hour", "source", "zone", "project", "model_id", "workload_type", "node_id", "device_id", "share_id", "deployment",
    "energy_kwh", "pue", "facility_kwh", "location_g", "requests", "generated_tokens", "billed_cost", "factor_id",
    "quality_tier", "coverage", "raw_sha256",
)  # fmt: skip


@dataclass(frozen=True)
class Read:
    """What the walk asks of the lake.

    Attributes:
        selection: The rows, or a query whose one row of numerator, denominator and coverage is the answer.
        group_by: Columns to group by; the answer then has these, `rows` (count) and `total` (sum of the
            selection's column), largest total first. Empty: the rows themselves, in the order of their columns.
        limit: Most rows in the answer; 0 for all.
    """

    selection: Selection | MatchedRatio | OwnSums
    group_by: tuple[str, ...] = ()
    limit: int = 0


ReadRows = Callable[[Read], list[dict[str, Any]]]
Receipts = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Node:
    """A step of the trace.

    Attributes:
        kind: figure, kpi, rows, group, row, factor, object, receipt or note.
        title: One line.
        facts: Labelled details.
        verdict: `equal` or `differs` where something was computed again, `damaged` where stored bytes below it are
            not what was written.
        children: The next steps down.
        id: Of the figure it is of; '' for other steps.
    """

    kind: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    verdict: str = ""
    children: tuple[Node, ...] = field(default_factory=tuple)
    id: str = ""

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def rows_reader(tables: Mapping[str, ir.Table]) -> ReadRows:
    """A `read_rows` on ibis tables; every sum is made by the engine, and the same question asked once."""

    @cache
    def read_rows(read: Read) -> list[dict[str, Any]]:
        selection = read.selection
        if isinstance(selection, (MatchedRatio, OwnSums)):
            return _asked(selection, tables)
        table = reading.restricted(tables[selection.table], selection)
        if not read.group_by:
            ordered = table.order_by([c for c in table.columns if not table[c].type().is_nested()])
            return reading.rows(ordered.limit(read.limit) if read.limit else ordered)
        total = (
            selection.value(table).sum() if selection.column and selection.aggregate != "distinct" else table.count()
        )
        grouped = table.group_by(list(read.group_by)).aggregate(rows=table.count(), total=total)
        grouped = grouped.order_by([ibis.desc("total"), *read.group_by])
        return reading.rows(grouped.limit(read.limit) if read.limit else grouped)

    return read_rows


def _asked(ratio: MatchedRatio | OwnSums, tables: Mapping[str, ir.Table]) -> list[dict[str, Any]]:
    """The answer of the query a reader would ask of the lake, from `tables` in its place."""
    con: Any = tables[ratio.tables[0]].get_backend()
    named = {table: gen_name(table) for table in ratio.tables}
    for table, name in named.items():
        con.create_view(name, tables[table])
    try:
        return reading.rows(con.sql(ratio.sql({table: f'"{name}"' for table, name in named.items()})))
    finally:
        for name in named.values():
            con.drop_view(name)


def trace(
    figure: Figure,
    book: FigureBook,
    read_rows: ReadRows,
    receipts: Receipts,
    *,
    examples: int = 3,
    listed: int = LISTED,
    fault: Callable[[str], str] = lambda sha256: "",
) -> Node:
    """The tree from a figure to raw bytes; each sum and quotient on the way is computed again and compared.

    Args:
        figure: Where to start.
        book: The figures of its report.
        read_rows: Reads the lake, see `Read`.
        receipts: Receipts of a raw object by its sha256.
        examples: Rows shown of each selection.
        listed: Groups, factors, objects and receipts listed at one node.
        fault: What is wrong with the stored bytes of a raw object, by its sha256; empty where nothing is.
    """
    walk = _Walk(book, read_rows, receipts, examples, listed, fault)
    return _judged(walk.figure(figure))


def _judged(node: Node) -> Node:
    """The tree in which nothing above damaged bytes is called equal."""
    children = tuple(map(_judged, node.children))
    spoiled = node.verdict != DIFFERS and any(child.verdict == DAMAGED for child in children)
    return replace(node, verdict=DAMAGED if spoiled else node.verdict, children=children)


def recomputed(figure: Figure, book: FigureBook) -> str:
    """Whether a figure's value follows again from its parents or ingredients, and what is printed from its value.

    Args:
        figure: Of the report.
        book: The figures of the report.

    Returns:
        `equal`, `differs`, or '' where there is nothing to compute and the printed number is that of the value.
    """
    return DIFFERS if figure.display != as_printed(figure) else _computed(figure, book)


def _computed(figure: Figure, book: FigureBook) -> str:
    if figure.number is None or figure.operation == "setting":
        return ""
    if figure.parents:
        numbers = [book[parent].number for parent in figure.parents]
        known = [number for number in numbers if number is not None]
        return _verdict(compute(figure.operation, known) if len(known) == len(numbers) else None, figure.number)
    values = [Decimal(item.value) for item in figure.inputs if item.value is not None]
    if figure.operation == "ratio":
        return _verdict(EXACT.divide(values[0], values[1]).quantize(QUOTIENT, context=EXACT), figure.number)
    return _verdict(values[0] if values else None, figure.number)


@dataclass(frozen=True)
class _Walk:
    book: FigureBook
    read_rows: ReadRows
    receipts: Receipts
    examples: int
    listed: int
    fault: Callable[[str], str]

    def figure(self, figure: Figure) -> Node:
        children = [self.figure(self.book[parent]) for parent in figure.parents]
        children += [self._evidence(figure, figure.evidence)] if figure.evidence else []
        children += [self._input(item, figure) for item in figure.inputs]
        return Node(
            "figure",
            f"{figure.id} {figure.label}: {figure.display.text} {figure.display.unit}".strip(),
            tuple(_figure_facts(figure)),
            recomputed(figure, self.book),
            tuple(children),
            figure.id,
        )

    def _evidence(self, figure: Figure, ratio: MatchedRatio | OwnSums) -> Node:
        """Both sides of a figure and its coverage, made again from the lake's rows by one query."""
        (found,) = self.read_rows(Read(ratio))
        sides = {item.role: item.value for item in figure.inputs if item.role in found}
        expected = sides | {"coverage": figure.coverage}
        again = {name: None if found[name] is None else plain(found[name]) for name in expected}
        facts = [("query", ratio.sql())]
        for name, value in expected.items():
            facts += [(f"{name} recomputed", again[name] or "no rows"), (f"{name} expected", value or "none")]
        which = "Matched rows" if isinstance(ratio, MatchedRatio) else "Rows"
        title = f"{which} of {' and '.join(ratio.tables)}"
        return Node("rows", title, tuple(facts), EQUAL if again == expected else DIFFERS)

    def _input(self, item: Input, figure: Figure) -> Node:
        if item.base == item.selection:
            return self._rows(item, item.selection)
        found = self.read_rows(Read(item.selection))
        stored = [row[item.role] for row in found if row[item.role] is not None]
        facts = [("query", item.selection.sql()), ("rows", str(len(found)))]
        verdict = ""
        if item.value is not None:
            verdict = _verdict(sum(stored, Decimal(0)) if stored else None, Decimal(item.value))
            facts.append(("stored", item.value))
        # The rows below an indicator of one's own are inputs of their own, for a side may add several sums.
        below = () if item.base is None else (self._rows(item, item.base),)
        title = f"KPI {'row' if len(found) == 1 else 'rows'} of {item.selection.table}, {item.role}"
        return Node("kpi", title, tuple(facts), verdict, below)

    def _rows(self, item: Input, base: Selection) -> Node:
        columns = _grouping(base)
        groups = sorted(self.read_rows(Read(base, columns)), key=_by_day(columns))
        total, count = _again(base, groups)
        facts = [("query", base.sql()), ("rows", f"{count:,}")]
        verdict = ""
        if item.factor and item.value is not None:
            again = None if total is None else total * Decimal(item.factor)
            if base.aggregate == "avg" and again is not None:
                again = again.quantize(QUOTIENT, context=EXACT)
            expected = Decimal(item.value)
            # Each KPI row keeps 15 decimals, bills have more: their sum may be off by half of the last one per row.
            kept = item.base != item.selection and again is not None and abs(again - expected) <= KEPT * len(groups)
            verdict = EQUAL if kept else _verdict(again, expected)
            facts.append(("recomputed", "no rows" if again is None else plain(again)))
            facts.append(("expected", item.value))
        elif item.value is not None:
            facts.append(("sum of these rows", "no rows" if total is None else plain(total)))
            facts.append(("note", "the KPI is not one sum of these rows: the query of matched rows says what it is of"))
        title = f"Rows of {base.table}" + (f", {base.column}" if base.column else "")
        children = [_group(columns, row, base) for row in groups[: self.listed]]
        children += _more(len(groups) - self.listed, "groups")
        children += [
            Node("row", "Example row", tuple(_row_facts(row)))
            for row in (self.read_rows(Read(base, limit=self.examples)) if self.examples else ())
        ]
        children += [*self._factors(base), *self._behind(base), *self._objects(base)]
        return Node("rows", title, tuple(facts), verdict, tuple(children))

    def _factors(self, base: Selection) -> list[Node]:
        """Grid factors of emissions rows, each with its own raw objects."""
        if base.table != "emissions" or not {"location_g", "upstream_g", "lifecycle_g", "losses_g"} & set(base.columns):
            return []
        found = self.read_rows(Read(base, ("factor_id", "factor_resolution", "factor_tier")))
        days = tuple(f for f in base.filters if f.column == "day")
        nodes = []
        for row in found[: self.listed]:
            if row["factor_id"] is None:
                nodes.append(Node("factor", "No factor", (("rows", f"{row['rows']:,}"),)))
                continue
            raw = Selection("grid_intensity", None, (*days, Filter("factor_id", "=", row["factor_id"])))
            facts = (
                ("resolution", str(row["factor_resolution"])),
                ("tier", str(row["factor_tier"])),
                ("rows", f"{row['rows']:,}"),
            )
            nodes.append(Node("factor", f"Factor {visible(row['factor_id'])}", facts, "", tuple(self._objects(raw))))
        return nodes + _more(len(found) - self.listed, "factors")

    def _behind(self, base: Selection) -> list[Node]:
        """What market-based rows are made of: the instruments that cover them, and the electricity of their days.

        Of opportunities it is the query that each row carries.
        """
        if base.table == "opportunities":
            return [
                Node("rows", f"Rows it stands on, {row['month']}",
                     (("query", row["query"]), ("rows", f"{row['row_count']:,}"), ("assumed", row["basis"])))
                for row in self.read_rows(Read(base))
            ]  # fmt: skip
        if base.table != "emissions_market":
            return []
        covering = Selection("instruments", "applied_kwh", base.filters)
        days = tuple(_days_of(f) if f.column == "month" else f for f in base.filters)
        columns = ("facility_kwh", "location_g") if base.column == "market_g" else ("facility_kwh",)
        used = [Selection("emissions", column, days) for column in columns]
        return [self._rows(Input("behind", None, one), one) for one in (covering, *used)]

    def _objects(self, base: Selection) -> list[Node]:
        """Raw objects of rows, with their receipts."""
        if base.table not in {
            "emissions",
            "energy",
            "cost",
            "activity",
            "grid_intensity",
            "instruments",
            "reconciliation",
        }:
            return []
        counted = Selection(base.table, None, base.filters)
        found = [row for row in self.read_rows(Read(counted, ("source", "raw_sha256"))) if row["raw_sha256"]]
        nodes = []
        for row in found[: self.listed]:
            sha256 = str(row["raw_sha256"])
            facts = (
                ("source", visible(str(row["source"]))),
                ("rows", f"{row['rows']:,}"),
                ("lies at", f"landing/objects/{sha256[:2]}/{sha256}.zst"),
            )
            said = self.fault(sha256)
            damage = (("stored bytes", said),) if said else ()
            below = tuple(self._receipts(sha256))
            nodes.append(Node("object", f"Raw object {sha256}", facts + damage, DAMAGED if said else "", below))
        return nodes + _more(len(found) - self.listed, "raw objects")

    def _receipts(self, sha256: str) -> list[Node]:
        try:
            found = self.receipts(sha256)[: self.listed]
        except DamagedError as error:
            return [Node("note", error.message, (), DAMAGED)]
        nodes = [Node("receipt", f"Receipt of {r.get('fetched_at', 'unknown time')}", tuple(_receipt_facts(r)))
                 for r in found]  # fmt: skip
        return nodes or [Node("note", "no receipt of this object was found")]


def _days_of(months: Filter) -> Filter:
    """The condition on days that a condition on months is."""
    first, last = months.value if isinstance(months.value, tuple) else (str(months.value), str(months.value))
    days = Month.parse(first).days.first, Month.parse(last).days.last
    return Filter("day", "between", (days[0].isoformat(), days[1].isoformat()))


def _grouping(base: Selection) -> tuple[str, ...]:
    if base.aggregate == "busiest":
        return ("hour", "source", "node_id", "device_id")
    if base.aggregate == "distinct" and base.column:
        return (base.column,)
    if base.table == "emissions_market":
        return ("zone", "month")
    if base.table == "opportunities":
        return ("rule", "month")
    if base.table == "instruments":
        return ("source", "month", "batch")
    if base.table == "reconciliation":
        return ("service", "meter", "month")
    return ("day",) if base.table.startswith("kpis_") else ("source", "day")


def _by_day(columns: Sequence[str]) -> Callable[[Mapping[str, Any]], list[str]]:
    """Groups in the order of time, then by name."""
    ordered = sorted(columns, key=lambda name: (name not in {"day", "hour", "month"}, name))
    return lambda row: [str(row[name]) for name in ordered]


def _again(base: Selection, groups: Sequence[Mapping[str, Any]]) -> tuple[Decimal | None, int]:
    """The selection's number, made again from its groups, and the number of rows."""
    count = sum(int(row["rows"]) for row in groups)
    if base.column is None:
        return Decimal(count), count
    if base.aggregate == "distinct":
        return Decimal(len(groups)), count
    totals = [Decimal(row["total"]) for row in groups if row["total"] is not None]
    if not totals:
        # An empty sum is zero; a sum over rows that are all unknown is unknown.
        return (Decimal(0) if count == 0 and base.aggregate == "sum" else None), count
    if base.aggregate == "busiest":
        return max(totals), count
    total = sum(totals, Decimal(0))
    return (EXACT.divide(total, Decimal(count)) if base.aggregate == "avg" else total), count


def _group(columns: Sequence[str], row: Mapping[str, Any], base: Selection) -> Node:
    name = ", ".join(visible(str(row[column])) for column in columns)
    facts = [("rows", f"{row['rows']:,}")]
    if base.column and base.aggregate != "distinct":
        facts.append((f"sum of {base.column}", "unknown" if row["total"] is None else plain(Decimal(row["total"]))))
    return Node("group", name, tuple(facts))


def _more(left: int, what: str) -> list[Node]:
    return [Node("note", f"and {left:,} more {what}")] if left > 0 else []


def exact_words(figure: Figure) -> str:
    """The exact value with its unit, or why there is none.

    Args:
        figure: Of a report.
    """
    if figure.value is None:
        return f"{figure.display.text}: {figure.reason}"
    return f"{figure.value} of 1" if figure.unit == "share" else f"{figure.value} {figure.unit}".strip()


def shown_words(display: Display) -> str:
    """All that is printed of a value: number, unit, uncertainty, interval and coverage.

    Args:
        display: Of a figure.
    """
    said = [f"{display.text}{display.mark} {display.unit}".strip(), display.uncertainty]
    said += [f"interval {display.interval}" if display.interval else ""]
    said += [f"coverage {display.coverage}" if display.coverage else ""]
    return ", ".join(filter(None, said))


def _figure_facts(figure: Figure) -> Iterator[tuple[str, str]]:
    yield "exact", exact_words(figure)
    if figure.display != (again := as_printed(figure)):
        yield "prints as", shown_words(again)
    if figure.display.moved:
        yield "rounded", figure.display.rule
    yield "period", " to ".join(figure.period)
    yield "method", f"{figure.method}: {OPERATIONS.get(figure.operation, figure.operation)}"
    if figure.parents:
        yield "computed from", ", ".join(figure.parents)
    for table, pin in sorted(figure.pins.items()):
        yield f"content of {table}", pin


def _row_facts(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for column in EXAMPLE_COLUMNS:
        if column in row and row[column] is not None:
            value = row[column]
            yield column, plain(value) if isinstance(value, Decimal) else visible(str(value))


def _receipt_facts(receipt: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    request = receipt.get("request", {})
    for label, value in sorted(request.items()) if isinstance(request, Mapping) else ():
        yield f"request {label}", visible(_with_date(label, value))
    for label in ("status", "fetched_at", "bytes", "media_type"):
        if receipt.get(label) is not None:
            yield label, visible(str(receipt[label]))


def _with_date(label: str, value: Any) -> str:
    """Seconds since 1970, as Prometheus is asked with, beside the time they mean."""
    seconds = str(value)
    if label not in EPOCHS or not re.fullmatch(r"\d{9,11}(\.0+)?", seconds):
        return seconds
    return f"{seconds} ({datetime.fromtimestamp(int(float(seconds)), UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _verdict(again: Decimal | None, expected: Decimal) -> str:
    return EQUAL if again == expected else DIFFERS
