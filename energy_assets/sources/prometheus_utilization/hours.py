"""Hours: rows of the contract `UtilizationReadings` from a day's answers.

What belongs here: cutting stretches at hours, one value for each machine and component, and what is told of the rest;
pure in the answers. What does not: stretches (`segments`), names (`machines`), collecting (`source`).

A machine has the mean of its devices, each by the time that it was observed; a device that was there in another hour of
the day and is silent in this one lowers the coverage. Where two metrics tell of one machine, the one that saw more of
the hour counts, then the better one; of two targets that tell of one device, the one that saw more.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Mapping, Sequence

from energy_assets.sources.prometheus.answers import Answer, Scratch, load
from energy_assets.sources.prometheus_utilization import machines, segments
from energy_assets.sources.prometheus_utilization.meters import LoadMeter

HOUR_MS = 3_600_000
EXAMPLES = 5
LIKE_SHARES = 0.01
"""Where no value of a metric in per cent is above one, it may hold shares."""
EMPTY = """
    SELECT NULL::DATE AS day, NULL::TIMESTAMP AS hour, NULL::VARCHAR AS provider, NULL::VARCHAR AS account_id,
        NULL::VARCHAR AS region, NULL::VARCHAR AS resource_id, NULL::VARCHAR AS component,
        NULL::DECIMAL(9, 6) AS utilization, NULL::DECIMAL(9, 6) AS coverage, NULL::VARCHAR AS raw_sha256
    LIMIT 0"""

Told = tuple[dict[str, int], dict[str, Sequence[str]]]


def assemble(
    scratch: Scratch,
    answers: Sequence[Answer],
    span: tuple[int, int],
    meters: Sequence[LoadMeter],
    labels: Sequence[str],
    *,
    max_gap_s: int,
    said: Mapping[str, str | None],
) -> tuple[str, dict[str, int], Mapping[str, Sequence[str]]]:
    """Make the rows of one day.

    Args:
        scratch: Where tables are made; all but the result are dropped.
        answers: Everything that was collected for the day.
        span: First and last instant of the day's hours, in unix seconds.
        meters: The best first.
        labels: Those that may name a machine, the best first.
        max_gap_s: Readings further apart than this are a gap, in seconds.
        said: provider, account_id and region, as site.yaml says them.

    Returns:
        The name of the table of rows; counts of what was left out; and the first few things of some.

    Raises:
        MalformedError: an answer is not what the format promises.
    """
    first, last = (end * 1000 for end in span)
    with scratch.single_threaded(answers):
        load(scratch, answers)
        segments.make(scratch, meters, labels, max_gap_s)
        scratch.make("hourly", _cut(scratch, first, last))
        machines.find(scratch, labels, said["provider"], said["account_id"])
        scratch.make("loads", _by_machine(scratch))
        table = scratch.make("rows", _rows(scratch, said["region"]))
        notes, examples = _told(scratch, first, last)
        scratch.clear("rows")
    return table, {name: number for name, number in notes.items() if number}, examples


def _cut(scratch: Scratch, first: int, last: int) -> str:
    """SQL of key, meter, device, t (end of the hour), weighted, ms and sha256."""
    return f"""
        SELECT key, meter, device, t, sum(ppb::HUGEINT * ms) AS weighted, sum(ms)::BIGINT AS ms, min(sha256) AS sha256
        FROM (
            SELECT *, least(b, t) - greatest(a, t - {HOUR_MS}) AS ms FROM (
                SELECT *, unnest(range((a // {HOUR_MS} + 1) * {HOUR_MS}, b + {HOUR_MS}, {HOUR_MS})) AS t
                FROM {scratch["segments"]} WHERE state <> 'changed'
            )
        ) WHERE ms > 0 AND t > {first} AND t <= {last} GROUP BY ALL"""


def _by_machine(scratch: Scratch) -> str:
    """SQL of one row per machine, component and hour."""
    return f"""
        WITH of_devices AS (
            SELECT h.*, m.rank, m.component, resource_id, provider, account_id
            FROM {scratch["hourly"]} AS h JOIN {scratch["load_meters"]} AS m USING (meter)
            JOIN {scratch["machines"]} USING (key, t)
            QUALIFY row_number() OVER (PARTITION BY provider, resource_id, meter, device, t ORDER BY ms DESC, key) = 1
        ),
        of_meters AS (
            SELECT provider, resource_id, component, meter, rank, t, min(account_id) AS account_id,
                sum(weighted) AS weighted, sum(ms) AS ms, count(*) AS devices, min(sha256) AS sha256
            FROM of_devices GROUP BY ALL
        ),
        counted AS (
            SELECT *, max(devices) OVER (PARTITION BY provider, resource_id, meter) * {HOUR_MS}::HUGEINT AS whole
            FROM of_meters
        )
        SELECT *, least(1000000, (2000000 * ms + whole) // (2 * whole))::BIGINT AS ppm,
            ((2 * weighted + 1000 * ms) // (2000 * ms))::BIGINT AS load
        FROM counted
        QUALIFY row_number() OVER (PARTITION BY provider, resource_id, component, t ORDER BY ppm DESC, rank) = 1"""


def _rows(scratch: Scratch, region: str | None) -> str:
    where = "NULL::VARCHAR" if region is None else "'" + region.replace("'", "''") + "'"
    return f"""
        SELECT make_timestamp((t - {HOUR_MS}) * 1000)::DATE AS day, make_timestamp((t - {HOUR_MS}) * 1000) AS hour,
            provider, account_id, {where} AS region, resource_id, component,
            {_millionths("load")} AS utilization, {_millionths("ppm")} AS coverage, sha256 AS raw_sha256
        FROM {scratch["loads"]} WHERE provider IS NOT NULL AND ppm > 0
        ORDER BY provider, resource_id, component, hour"""


def _millionths(number: str) -> str:
    return f"({number}::DECIMAL(9, 0) * 0.000001::DECIMAL(7, 6))::DECIMAL(9, 6)"


def _told(scratch: Scratch, first: int, last: int) -> Told:
    """What was left out or doubted within the day."""
    inside = f"t > {first} AND t <= {last}"
    wrong = {"above": "loads_above_full_dropped", "below": "loads_below_none_dropped", "empty": "loads_without_value"}
    rows = [
        *((wrong[kind], *row) for kind, *row in scratch.rows(f"""
            SELECT wrong, count(*), list_sort(list(DISTINCT meter)) FROM {scratch["judged"]}
            WHERE wrong IS NOT NULL AND {inside} GROUP BY wrong""")),
        *(("loads_like_shares", *row) for row in scratch.rows(f"""
            SELECT count(*), [meter] FROM {scratch["judged"]} JOIN {scratch["load_meters"]} USING (meter)
            WHERE wrong IS NULL AND per_full > 1 AND {inside} GROUP BY meter
            HAVING max(share) > 0 AND max(share) <= {LIKE_SHARES} ORDER BY meter""")),
        *(("loads_of_changed_processors", *row) for row in scratch.rows(f"""
            SELECT count(*), list_sort(list(DISTINCT names[1])) FROM {scratch["segments"]}
            JOIN {scratch["called"]} USING (key) WHERE state = 'changed' AND b > {first} AND a < {last}
            HAVING count(*) > 0""")),
        *(("loads_without_machine", *row) for row in scratch.rows(f"""
            SELECT count(DISTINCT meter), list_sort(list(DISTINCT meter)) FROM {scratch["hourly"]}
            JOIN {scratch["called"]} USING (key) WHERE len(names) = 0 HAVING count(*) > 0""")),
        *(("loads_without_provider", *row) for row in scratch.rows(f"""
            SELECT count(DISTINCT resource_id), list_sort(list(DISTINCT resource_id)) FROM {scratch["loads"]}
            WHERE provider IS NULL HAVING count(*) > 0""")),
    ]  # fmt: skip
    notes: dict[str, int] = {}
    examples: dict[str, Sequence[str]] = {}
    for name, number, shown in rows:
        notes[name] = notes.get(name, 0) + int(number)
        examples[name] = [*examples.get(name, []), *shown][:EXAMPLES]
    return notes, examples
