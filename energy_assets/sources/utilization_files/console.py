"""CSV downloads of the CloudWatch console: some lines of labels, then a time and a value for each series.

What belongs here: finding the labels of each column, and its numbers. What does not: what labels say (`series`).
The lines above the first time have the name of what they hold in their first cell (`Label`, `Period`, `Statistic` …);
which lines there are differs from edition to edition of the console, so all of a column's cells are taken together.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from energy_assets.sources import csv_text
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import DateOrder
from energy_assets.sources.utilization_files.series import Reading, Series, of_file_name, read_label

_TIME = re.compile(r"\s*[0-9]{1,4}[/.-][0-9]{1,2}[/.-][0-9]{1,4}[T ,]+[0-9]{1,2}:[0-9]{2}")
_FORMS = {"day first": "%d/%m/%Y %H:%M", "month first": "%m/%d/%Y %H:%M", "year first": "%Y/%m/%d %H:%M"}
AGAIN = "Download it again from the console (Actions, Download as .csv), or name the columns under `columns`."


def series_of_console(text: str, name: str, reading: Reading) -> Iterator[tuple[Series, bool]]:
    """The series of a download, and whether their times are by a clock that the file does not name.

    Args:
        text: The file.
        name: What messages call it.
        reading: What site.yaml says of it.

    Raises:
        MalformedError: no times, no averages, a column of no instance or of no known metric, or what is no number.
    """
    rows = [row for row in csv.reader(io.StringIO(text.lstrip(csv_text.MARK), newline="")) if any(row)]
    first = next((number for number, row in enumerate(rows) if _TIME.match(row[0])), None)
    if first is None:
        raise MalformedError(
            f"{name}: no line begins with a time, so it is no download of the CloudWatch console", AGAIN
        )
    above, lines = rows[:first], rows[first:]
    order = _order([row[0] for row in lines], name, reading.clock.order)
    times = [_time(row[0], order, name) for row in lines]
    bare = not any(aware for _, aware in times)
    for column in range(1, max(map(len, lines))):
        texts = [row[column].strip() for row in above if column < len(row) and row[column].strip()]
        label = read_label(texts, "", name)
        if label.other_metric or not texts:
            continue
        component, instance = label.component or reading.component, label.instance or of_file_name(name)
        called = f"column {column + 1} ('{' '.join(texts)[:80]}')"
        if component is None:
            raise MalformedError(
                f"{name}: {called} does not say of which metric it is",
                "Add `component: cpu` to this source in site.yaml.",
            )
        if not instance:
            raise MalformedError(
                f"{name}: {called} does not say of which instance it is, and neither does the file's name",
                "Download each instance into a file that is named after it, such as i-0123456789abcdef0.csv.",
            )
        values = [_number(row[column] if column < len(row) else "", name) for row in lines]
        yield Series(
            instance, component, label.device, [at for at, _ in times], values, label.period_s, label.average, "aws",
            reading.account_id, reading.region,
        ), bare  # fmt: skip


def _order(cells: Sequence[str], name: str, stated: DateOrder | None) -> str:
    order: str = csv_text.date_order(cells)
    order = stated if stated and order != "year first" else order
    if order == "doubtful":
        raise MalformedError(
            f"{name}: has dates such as '{cells[0]}', of which day and month cannot be told apart",
            "Say it in site.yaml: `date_order: day first` or `date_order: month first`.",
        )
    return order


def _time(cell: str, order: str, name: str) -> tuple[int, bool]:
    """Microseconds since 1970, and whether the cell states its own offset."""
    plain = cell.strip().replace(",", " ")
    try:
        if order == "year first":
            at = datetime.fromisoformat(plain.replace("/", "-"))
        else:
            day, _, clock = re.sub(r"[.-]", "/", plain).partition(" ")
            at = datetime.strptime(f"{day} {clock.strip()[:5]}", _FORMS[order])
    except ValueError:
        raise MalformedError(f"{name}: '{cell}' is no time", AGAIN) from None
    aware = at.tzinfo is not None
    return round((at if aware else at.replace(tzinfo=UTC)).timestamp() * 1_000_000), aware


def _number(cell: str, name: str) -> float | None:
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        raise MalformedError(f"{name}: '{cell}' is no number{_why(cell)}", AGAIN) from None


def _why(cell: str) -> str:
    said = csv_text.said_of_number(cell)
    return f": {said}" if said else ""
