"""Bills to rows of `Charges`, pure: the same bytes give the same rows.

What belongs here: running the expressions of `columns` over whole files inside DuckDB, refusing bills that
cannot be read in full, counting what deserves a note. What does not: where files come from, and which belong
together. A bill is never held in Python's memory: each is rewritten once as a Parquet file of typed rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import ibis
import ibis.expr.types as ir
from ibis.backends.sql.datatypes import DuckDBType

from energy_assets.contracts.raw import Charges
from energy_assets.landing import Landed
from energy_assets.periods import DayRange
from energy_assets.sources.base import Parsed, StepContext
from energy_assets.sources.csv_text import SAVE_AS, said_of_number, said_of_time
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.focus.allocation import ALLOCATED, SPLIT, repeats_its_shares
from energy_assets.sources.focus.bill import Bill, literal, malformed, open_bill, require_whole, sha256_of, unpacked
from energy_assets.sources.focus.cells import NO_TAGS, Cell, json_tags
from energy_assets.sources.focus.columns import Charge, charge_of, layout_of

Wanted = Literal["auto", "focus", "aws_cur"]

SCHEMA = ibis.schema({name: column.dtype.type for name, column in Charges.to_schema().columns.items()})
OF_THE_FILE = frozenset({"hour", "raw_sha256"})
"""Columns a rewritten bill does not hold, because another column or its name gives them: text is expensive to write."""
BESIDE = {"tags": "VARCHAR", "allocation": "VARCHAR"}
"""Columns a rewritten bill holds beside those of the contract, until its charges are chosen."""
ROW_GROUP = 20_480
"""Small, so that the rows of a day are found without reading much of its neighbours; bills are sorted by time."""
EXAMPLES = 3
LONGEST = 62
"""Days of a charge that are looked at for others of its billing period: a period is a month, and bills come late."""
_LAST = "max(greatest(coalesce(CAST(charge_period_end - INTERVAL 1 MICROSECOND AS DATE), day), day))"
FIRST_YEAR, LAST_YEAR = 2000, 2100
TIMES = ("charge_period_start", "charge_period_end", "billing_period")
_CHECKED = "Correct the line at its source, or export the bill again; nothing of this file is counted."


@dataclass(frozen=True)
class Share:
    """How many charges of one account's billing period a file holds on one day.

    Attributes:
        provider: Whose bill it is.
        billing_account: As the bill writes it.
        billing_period: Its first day.
        day: On which the charges start.
        last: On which the longest of them ends.
        charges: How many there are.
    """

    provider: str
    billing_account: str | None
    billing_period: date
    day: date
    last: date
    charges: int

    @property
    def covered(self) -> list[date]:
        """The days from the first to the last of the longest charge, of a charge of years the first `LONGEST`."""
        days = min(max((self.last - self.day).days, 0), LONGEST)
        return [self.day + timedelta(days=number) for number in range(days + 1)]


def typed_file(folder: Path, sha256: str, wanted: Wanted) -> Path:
    """Where the charges of a bill lie once they are rewritten, in a folder that lives as long as a step.

    Args:
        folder: Of the step.
        sha256: Of the bill's bytes.
        wanted: What is kept of it.
    """
    return folder / f"{sha256}.{wanted}.charges.parquet"


def contents(con: Any, path: Path, name: str, wanted: Wanted, rewrite_in: Path | None = None) -> list[Share]:
    """What a bill speaks of, after making sure that it is whole.

    Args:
        con: A DuckDB connection.
        path: The local file.
        name: How errors call it.
        wanted: The layout, or `auto`.
        rewrite_in: A folder: a text file is rewritten there at once, because its charges will be needed, and text
            takes long to read. A bill that cannot be rewritten is only looked at, so that its bytes can be landed
            before `charges` refuses it.

    Raises:
        MalformedError: truncated, foreign, or a charge without a readable time or provider.
    """
    bill, charge = _read(con, path, name, wanted)
    if rewrite_in is not None and bill.container != "parquet":
        with suppress(MalformedError):
            return _shares_of_text(con, bill, wanted, rewrite_in)
    cells = {c: charge.cells[c] for c in ("provider", "billing_period", "charge_period_start")}
    read = {**cells, "charge_period_end": charge.cells["charge_period_end"]}
    with _readable(bill) as plain:
        query = f"""
            SELECT provider, billing_account, billing_period, day, {_LAST}, count(*)
            FROM (SELECT *, CAST(charge_period_start AS DATE) AS day FROM (
                SELECT {_named(read)}, {charge.texts["billing_account_id"]} AS billing_account FROM {plain.scan}))
            GROUP BY ALL ORDER BY ALL"""  # noqa: S608
        with malformed(name, plain.path):
            shares = [Share(*row) for row in con.execute(query).fetchall()]
            if any(None in (share.provider, share.billing_period, share.day) for share in shares):
                raise _unreadable(con, plain, cells)
    return _of_our_time(shares, name)


@contextmanager
def _readable(bill: Bill) -> Iterator[Bill]:
    """A bill proven whole, and converted where DuckDB cannot read it as it lies; a packed one stays packed."""
    if bill.shape.plain:
        require_whole(bill)
        yield bill
    else:
        with unpacked(bill) as plain:
            yield plain


def _shares_of_text(con: Any, bill: Bill, wanted: Wanted, folder: Path) -> list[Share]:
    sha256 = sha256_of(bill.path)
    typed = typed_file(folder, sha256, wanted)
    if not typed.exists():
        rewrite(con, bill.path, bill.name, wanted, typed)
    query = f"""
        SELECT provider, billing_account_id, billing_period, day, {_LAST}, count(*)
        FROM {rewritten(con, [typed])} GROUP BY ALL ORDER BY ALL"""  # noqa: S608
    return _of_our_time([Share(*row) for row in con.execute(query).fetchall()], bill.name)


def _of_our_time(shares: list[Share], name: str) -> list[Share]:
    """The shares, unless a date is read as one of antiquity: `05-10-26` is the year 5 to a reader of dates."""
    for share in shares:
        for day in (share.day, share.billing_period):
            if not FIRST_YEAR <= day.year <= LAST_YEAR:
                raise MalformedError(f"{name}: a charge or its billing period starts on {day.isoformat()}", SAVE_AS)
    return shares


def rewrite(con: Any, path: Path, name: str, wanted: Wanted, to: Path) -> None:
    """Write the charges of a bill as Parquet: the contract's columns, what `Charge` adds, two flags.

    Columns of `OF_THE_FILE`, and those the bill says nothing of, are left to whoever reads it. The flags are
    `rounded` (an amount has more than 18 decimals) and `bad_labels` (tags are no JSON object).

    Args:
        con: A DuckDB connection.
        path: The bill.
        name: How errors call it.
        wanted: The layout, or `auto`.
        to: The Parquet file (see `typed_file`); written under another name first, so that it is whole when it is
            there. A compressed bill is unpacked beside it while it is read.

    Raises:
        MalformedError: truncated, or a value that must be readable is not; names the column, an example and the count.
    """
    bill, charge = _read(con, path, name, wanted)
    partial = to.with_name(f"{to.name}.partial")
    silent = _silent(con, charge)
    derived = {"day": "CAST(charge_period_start AS DATE)"}
    columns = "".join(f"{derived.get(c, c)} AS {c}, " for c in SCHEMA if c not in OF_THE_FILE | silent)
    columns += "".join(f"{column}, " for column in BESIDE if column not in silent)
    texts = ", ".join(f"{sql} AS {column}" for column, sql in charge.texts.items())
    rounded = " OR ".join(cell.rounded(c, f"{c}_raw") for c, cell in charge.cells.items() if not cell.kept)
    with unpacked(bill, to.parent) as plain:
        query = f"""
            COPY (
                SELECT {columns}coalesce({rounded or "false"}, false) AS rounded, bad_labels,
                    {_wrong(charge.cells)} AS wrong
                FROM (
                    SELECT {_named(charge.cells)}, {texts}, {charge.labels} AS labels,
                        {charge.bad_labels} AS bad_labels, {charge.allocation} AS allocation, {charge.tags} AS tags
                    FROM {plain.scan})
            ) TO {literal(str(partial))} (FORMAT parquet, COMPRESSION lz4, ROW_GROUP_SIZE {ROW_GROUP})"""  # noqa: S608
        with malformed(name, plain.path):
            con.execute(query)
            counted = f"SELECT count(*) FROM read_parquet({literal(str(partial))}) WHERE wrong"  # noqa: S608
            if con.execute(counted).fetchone()[0]:
                raise _unreadable(con, plain, charge.cells)
    partial.rename(to)


def charges(
    bills: Sequence[tuple[Landed, str]],
    days: DayRange,
    step: StepContext,
    wanted: Wanted,
    *,
    within_period: bool = False,
) -> Parsed:
    """The charges of `days` in landed bills; equal bytes count once, whatever they are called.

    Args:
        bills: Each object and how errors call it.
        days: Days to keep.
        step: Where to work.
        wanted: The layout, or `auto`.
        within_period: Leave out charges that start after the month of their billing period.

    Raises:
        MalformedError: see `rewrite`.
    """
    files: dict[str, Path] = {}
    names: dict[str, list[str]] = {}
    for landed, name in bills:
        names.setdefault(landed.sha256, []).append(name)
        typed = typed_file(step.folder, landed.sha256, wanted)
        if not typed.exists():
            rewrite(step.con.con, step.spool(landed), name, wanted, typed)
        files[landed.sha256] = typed
    notes = {"duplicate_files_dropped": len(bills) - len(files)}
    examples: dict[str, list[str]] = {}
    if copies := [f"{same[1]} (as {same[0]})" for same in names.values() if len(same) > 1]:
        examples["duplicate_files_dropped"] = sorted(copies)[:EXAMPLES]
    if not files:
        nothing = step.con.sql("SELECT 1 AS one WHERE false")
        empty = nothing.select(**{name: ibis.null(kind) for name, kind in SCHEMA.items()})
        return Parsed(empty, {"days_without_charges": len(days)})
    table = _typed(step.con, [files[sha256] for sha256 in sorted(files)])
    rows = table.filter(table.day.between(days.first, days.last))
    if within_period:
        rows = rows.filter(rows.day.truncate("M") <= rows.billing_period.truncate("M"))
    found = rows.aggregate(
        days=rows.day.nunique(),
        rounded=rows.rounded.sum(),
        bad=rows.bad_labels.sum(),
        split=(rows.allocation == SPLIT).sum(),
        allocated=(rows.allocation == ALLOCATED).sum(),
    )
    counts = found.to_pyarrow().to_pylist()[0]
    notes["split_line_items_dropped"] = int(counts["split"] or 0)
    if notes["split_line_items_dropped"]:
        rows = rows.filter(rows.allocation.fill_null("") != SPLIT)
    if counts["allocated"]:
        marked = rows.mutate(repeated=repeats_its_shares(rows))
        notes["origin_charges_dropped"] = marked.repeated.sum().to_pyarrow().as_py()
        rows = marked.filter(~marked.repeated)
    notes["days_without_charges"] = len(days) - counts["days"]
    notes["amounts_rounded_to_18_decimals"] = int(counts["rounded"] or 0)
    notes["unreadable_tags_dropped"] = int(counts["bad"] or 0)
    if notes["unreadable_tags_dropped"]:
        examples["unreadable_tags_dropped"] = _bad_tags(rows, names)
    told = {note: count for note, count in notes.items() if count}
    return Parsed(rows.select(*SCHEMA), told, examples, stored=True)


def _bad_tags(rows: ir.Table, names: dict[str, list[str]]) -> list[str]:
    """The first few tags that cannot be read, each with the file it stands in."""
    bad = rows.filter(rows.bad_labels)
    shown = bad.tags.fill_null("no text").left(80)
    first = bad.select("raw_sha256", shown=shown).distinct().order_by("raw_sha256", "shown").limit(EXAMPLES)
    return [f"{names[row['raw_sha256']][0]}: {row['shown']}" for row in first.to_pyarrow().to_pylist()]


def _typed(con: Any, files: Sequence[Path]) -> ir.Table:
    """Rewritten bills, with the labels their tags mean and what the file itself gives (`OF_THE_FILE`)."""
    labels, bad = json_tags("tags")
    view = f"bills_{uuid4().hex[:12]}"
    con.con.execute(
        f"""CREATE TEMP VIEW {view} AS
        SELECT * EXCLUDE (filename) REPLACE (
            CASE WHEN tags IS NULL THEN coalesce(labels, {NO_TAGS}) ELSE {labels} END AS labels,
            bad_labels OR {bad} AS bad_labels),
            date_trunc('hour', charge_period_start) AS hour, left(parse_filename(filename), 64) AS raw_sha256
        FROM {rewritten(con.con, files)}"""  # noqa: S608
    )
    rows: ir.Table = con.table(view)
    return rows


def rewritten(con: Any, files: Sequence[Path]) -> str:
    """SQL of the charges in rewritten bills (see `rewrite`), in all columns one may hold, and their `filename`.

    Args:
        con: A DuckDB connection.
        files: One or more, of one folder.
    """
    every_column = files[0].with_name("every_column.parquet")
    if not every_column.exists():
        kinds = {c: DuckDBType.to_string(kind) for c, kind in SCHEMA.items() if c not in OF_THE_FILE} | BESIDE
        nothing = ", ".join(f"NULL::{kind} AS {column}" for column, kind in kinds.items())
        # A file without rows, so that a column no bill has is there all the same, and of its type.
        con.execute(f"COPY (SELECT {nothing} WHERE false) TO {literal(str(every_column))} (FORMAT parquet)")
    listed = ", ".join(literal(str(file)) for file in (every_column, *files))
    return f"read_parquet([{listed}], filename = true, union_by_name = true)"


def _read(con: Any, path: Path, name: str, wanted: Wanted) -> tuple[Bill, Charge]:
    bill = open_bill(con, path, name)
    return bill, charge_of(bill, layout_of(bill, wanted))


def _silent(con: Any, charge: Charge) -> set[str]:
    """Columns of which the bill says nothing: their expressions read none of its columns, and give NULL or no labels.

    Args:
        con: A DuckDB connection.
        charge: How a charge is read.
    """
    read = {column: cell.value for column, cell in charge.cells.items()} | charge.texts
    read |= {"tags": charge.tags, "allocation": charge.allocation}
    fixed = {column: sql for column, sql in read.items() if '"' not in sql}
    if not fixed:
        return set()
    values = con.execute(f"SELECT {', '.join(fixed.values())}").fetchone()
    silent = {column for column, value in zip(fixed, values, strict=True) if value is None}
    return silent | ({"labels"} if charge.labels == NO_TAGS else set())


def _named(cells: dict[str, Cell]) -> str:
    """Values and raw cells as columns: computed once, however often they are looked at."""
    return ", ".join(f"{cell.value} AS {column}, {cell.raw} AS {column}_raw" for column, cell in cells.items())


def _wrong(cells: dict[str, Cell]) -> str:
    return " OR ".join(cell.unreadable(column, f"{column}_raw") for column, cell in cells.items())


def _unreadable(con: Any, bill: Bill, cells: dict[str, Cell]) -> MalformedError:
    """The error for the first column that cannot be read, with an example as it is printed."""
    for column, cell in cells.items():
        wrong = cell.unreadable(column, f"{column}_raw")
        count, example = con.execute(
            f"SELECT count(*), min({column}_raw::VARCHAR) FROM (SELECT {_named({column: cell})} FROM {bill.scan}) "  # noqa: S608
            f"WHERE {wrong}"
        ).fetchone()
        if count:
            shown = f"'{example[:60]}'" if example is not None else "nothing"
            found = f"{count} charges have no readable {cell.label}; one holds {shown}"
            why = _why(column, cell, example) if example else ""
            return MalformedError(f"{bill.name}: {found}{why and f' ({why})'}", SAVE_AS if why else _CHECKED)
    raise AssertionError("a bill was refused without a wrong cell")


def _why(column: str, cell: Cell, example: str) -> str:
    if example.strip().lower() == cell.label.lower():
        return "a second header: files were put one behind the other"
    return said_of_time(example) if column in TIMES else said_of_number(example)
