"""What is wrong with the cells of a file that a query stopped at.

What belongs here: finding the first column that cannot be read, and saying why. What does not: reading it (`parse`).
"""

# ruff: noqa: S608 - column names and values are quoted

from __future__ import annotations

from typing import Any

import duckdb

from energy_assets.counting import counted
from energy_assets.sources import csv_text
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import (
    END_US,
    FIRST_US,
    Clock,
    Opened,
    is_number,
    quoted,
    text_sql,
    unreadable,
)
from energy_assets.sources.power_files.readings import Readings
from energy_assets.sources.power_files.watts import is_empty


def diagnosed(con: Any, readings: Readings, error: duckdb.Error) -> MalformedError:
    """The reason why a query failed: the first column with something that cannot be read.

    Args:
        con: An Ibis connection to DuckDB.
        readings: The file.
        error: As DuckDB raised it.
    """
    file = readings.file
    try:
        require_times(con, file, readings.columns.time, readings.wanted.clock)
        _require_numbers(con, readings)
    except MalformedError as found:
        return found
    except duckdb.Error as other:
        return unreadable(file.path, file.name, other)
    return unreadable(file.path, file.name, error)


def require_times(con: Any, file: Opened, column: str, clock: Clock, optional: bool = False) -> None:
    """Every time of a column can be read, and lies between 2000 and 2100.

    Args:
        con: An Ibis connection to DuckDB.
        file: As it was opened.
        column: The column.
        clock: How its times are written.
        optional: Whether a time may be missing.

    Raises:
        MalformedError: one cannot; with the first of them, and what to correct.
    """
    raw, unit = f"CAST({quoted(column)} AS VARCHAR)", clock.unit
    time = file.instant(column, clock, lenient=True)
    header = f"coalesce(trim({raw}) = {text_sql(column)}, FALSE)"
    missing = "FALSE" if optional else f"{quoted(column)} IS NULL"
    bad = f"(NOT {header} AND ({missing} OR ({quoted(column)} IS NOT NULL AND {time} IS NULL)))"
    far = f"({time} NOT BETWEEN {FIRST_US} AND {END_US - 1})"
    sql = f"""
        SELECT count(*) FILTER ({bad}), min({raw}) FILTER ({bad}), count(*) FILTER ({far}), min({raw}) FILTER ({far})
        FROM {file.relation}"""
    bad_rows, bad_example, far_rows, far_example = con.raw_sql(sql).fetchone()
    units = "s, ms, us or ns since 1970"
    if far_rows or (bad_rows and bad_example and unit and is_number(bad_example)):
        was = f"is '{unit}'" if unit else "is not set"
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(far_rows or bad_rows, 'time')} before 2000 or after 2100, "
            f"for example {far_example or bad_example}; `time_unit` {was} and is probably wrong",
            f"Set `time_unit` in site.yaml to what the file holds: {units}.",
        )
    if bad_rows:
        example = f"for example '{bad_example}'" if bad_example else "they are empty"
        said = csv_text.said_of_time(bad_example) if bad_example else ""
        hint = f"set `time_unit` ({units})" if bad_example and is_number(bad_example) else "write ISO 8601 in UTC"
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(bad_rows, 'time')} that cannot be read, {example}"
            + (f": {said}" if said else ""),
            f"Correct the file, or {hint}.",
        )


def _require_numbers(con: Any, readings: Readings) -> None:
    file, column = readings.file, readings.columns.power
    name = quoted(column)
    if file.types[column] != "VARCHAR":
        bad = f"{name} IS NOT NULL AND TRY_CAST({name} AS DOUBLE) IS NULL"
    else:
        header = f"trim({quoted(readings.columns.time)}) = {text_sql(readings.columns.time)}"
        header = header if file.types[readings.columns.time] == "VARCHAR" else "FALSE"
        bad = (
            f"{name} IS NOT NULL AND NOT coalesce({header}, FALSE) AND NOT {is_empty(name)} "
            f"AND ({readings.power(lenient=True)}) IS NULL"
        )
    sql = f"SELECT count(*), min(CAST({name} AS VARCHAR)) FROM {file.relation} WHERE {bad}"
    rows, example = con.raw_sql(sql).fetchone()
    if rows:
        said = csv_text.said_of_number(example)
        raise MalformedError(
            f"{file.name}: column '{column}' has {counted(rows, 'value that is', 'values that are')} no number, "
            f"for example '{example}'" + (f": {said}" if said else ""),
            "Write watts as plain numbers with a point, and leave the field empty where there is no reading.",
        )
