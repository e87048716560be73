"""Answers: landed JSON of the Prometheus API as two tables in DuckDB, series and points.

What belongs here: the format of an answer. What does not: what a role means.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from energy_assets.sources.errors import MalformedError

SMALL_BYTES = 4_000_000

_serial = count(1)
_REMEDY = "Look at the landed object; a proxy may have answered in Prometheus' place. Then run the day again."


@dataclass(frozen=True)
class Answer:
    """One landed answer.

    Attributes:
        sha256: Of the raw bytes.
        role: Of the query.
        meter: Of the query.
        path: The bytes as a local file.
    """

    sha256: str
    role: str
    meter: str
    path: Path


class Scratch:
    """Temporary tables of one piece of work, named so that others on the same connection never collide."""

    def __init__(self, con: Any) -> None:
        self.con = con
        self._prefix = f"prometheus_{next(_serial)}_"
        self._tables: list[str] = []

    def __getitem__(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def make(self, name: str, select: str) -> str:
        """Create a temporary table from a query; returns its full name.

        Args:
            name: Short name, unique in this scratch.
            select: SQL of the rows.
        """
        self.con.raw_sql(f"CREATE TEMP TABLE {self[name]} AS {select}")
        self._tables.append(name)
        return self[name]

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        """The rows of a small query."""
        fetched: list[tuple[Any, ...]] = self.con.raw_sql(select).fetchall()
        return fetched

    def drop(self, name: str) -> None:
        """Drop one table before the end."""
        self.con.raw_sql(f"DROP TABLE {self[name]}")
        self._tables.remove(name)

    @contextmanager
    def single_threaded(self, answers: Sequence[Answer]) -> Iterator[None]:
        """One thread while the block lasts, if the answers are small.

        Several threads would only wait for each other over tables this small, and take twice the CPU time.
        """
        if sum(answer.path.stat().st_size for answer in answers) > SMALL_BYTES:
            yield
            return
        threads = self.rows("SELECT current_setting('threads')")[0][0]
        self.con.raw_sql("SET threads = 1")
        try:
            yield
        finally:
            self.con.raw_sql(f"SET threads = {threads}")

    def clear(self, *keep: str) -> None:
        """Drop the tables, except those named."""
        self.con.raw_sql("; ".join(f"DROP TABLE IF EXISTS {self[name]}" for name in self._tables if name not in keep))
        self._tables = [name for name in self._tables if name in keep]


def load(scratch: Scratch, answers: Sequence[Answer], log: logging.Logger | None = None) -> None:
    """Make the tables `series` and `points` of the answers.

    `series`: series_no, sha256, role, meter, metric map(varchar, varchar).
    `points`: series_no, t (unix ms), v (the sample as written), d (as a double, NULL where it is no number).

    Args:
        scratch: Where the tables are made.
        answers: Landed JSON as local files.
        log: Where Prometheus' warnings go; None drops them.

    Raises:
        MalformedError: an answer is not JSON, not Prometheus', or says that it failed; names the object.
    """
    requests = ", ".join(
        f"({quoted(str(a.path))}, {quoted(a.sha256)}, {quoted(a.role)}, {quoted(a.meter)})" for a in answers
    )
    paths = list(dict.fromkeys(str(answer.path) for answer in answers))
    try:
        scratch.make("raw", _read(paths))
    except duckdb.Error as error:
        raise _culprit(answers, error) from error
    _refuse_failures(scratch, answers, log)
    scratch.make(
        "series",
        f"""
        WITH requests(path, sha256, role, meter) AS (VALUES {requests}),
        results AS (SELECT path, unnest(data.result) AS r FROM {scratch["raw"]})
        SELECT
            row_number() OVER () AS series_no, sha256, role, meter,
            coalesce(r.metric, MAP {{}}) AS metric,
            CASE WHEN r."values" IS NULL THEN [r."value"] ELSE r."values" END AS samples
        FROM results JOIN requests USING (path)""",
    )
    scratch.drop("raw")
    scratch.make(
        "points",
        f"""
        SELECT series_no, (s[1]::DECIMAL(18, 3) * 1000)::BIGINT AS t, s[2] AS v, TRY_CAST(s[2] AS DOUBLE) AS d
        FROM (SELECT series_no, unnest(samples) AS s FROM {scratch["series"]})""",
    )
    scratch.con.raw_sql(f"ALTER TABLE {scratch['series']} DROP COLUMN samples")


def _read(paths: Sequence[str]) -> str:
    largest = max(Path(path).stat().st_size for path in paths)
    listed = ", ".join(quoted(path) for path in paths)
    return f"""
        SELECT filename AS path, status, error, warnings, data
        FROM read_json(
            [{listed}], filename = true, format = 'unstructured', maximum_object_size = {largest + 1024},
            columns = {{
                status: 'VARCHAR', error: 'VARCHAR', warnings: 'VARCHAR[]',
                data: 'STRUCT("resultType" VARCHAR, result STRUCT(
                    metric MAP(VARCHAR, VARCHAR), "values" VARCHAR[][], "value" VARCHAR[])[])'
            }}
        )"""


def _refuse_failures(scratch: Scratch, answers: Sequence[Answer], log: logging.Logger | None) -> None:
    found = scratch.rows(f"SELECT path, status, error, warnings, data.result IS NULL FROM {scratch['raw']}")
    by_path = {str(answer.path): answer for answer in reversed(answers)}
    for path, answer in by_path.items():
        if path not in {row[0] for row in found}:
            raise _malformed(answer, "is empty")
    for path, status, error, warnings, hollow in found:
        answer = by_path[path]
        if status != "success" or hollow:
            raise _malformed(answer, f"says status {status}: {error}" if error else "holds no result")
        for warning in warnings or []:
            if log:
                log.warning("Prometheus warns about %s of %s: %s", answer.role, answer.meter, warning)


def _culprit(answers: Sequence[Answer], error: Exception) -> MalformedError:
    for answer in answers:
        try:
            json.loads(answer.path.read_bytes())
        except ValueError as reason:
            return _malformed(answer, f"is not JSON ({reason})")
    return _malformed(answers[0], f"or one beside it does not have the form of an answer ({error})")


def _malformed(answer: Answer, what: str) -> MalformedError:
    return MalformedError(f"the answer {answer.sha256[:12]}… ({answer.role} of {answer.meter}) {what}", _REMEDY)


def quoted(text: str) -> str:
    """The text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
