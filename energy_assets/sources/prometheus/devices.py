"""Devices: which host and device a series speaks of, and its samples as exact thousandths of a nano-kWh.

What belongs here: from labels to keys, from text to exact integers. What does not: adding up and sharing.
"""

# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text
from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from energy_assets.sources.prometheus.answers import Scratch, quoted
from energy_assets.sources.prometheus.counters import FINE
from energy_assets.sources.prometheus.identity import follow_one_exporter, is_uuid, names_no_pod, unite
from energy_assets.sources.prometheus.meters import COUNTER_UNITS, NANO, Meter, Metric

_LONG = """CASE WHEN contains(v, 'e') THEN (v::DECIMAL(28, 9) * 1000000000::DECIMAL(10, 0))::HUGEINT
    ELSE split_part(v, '.', 1)::BIGINT::HUGEINT * 1000000000
        + CASE WHEN contains(v, '.') THEN rpad(split_part(v, '.', 2)[:9], 9, '0')::BIGINT ELSE 0 END END"""
"""A good sample in billionths. DuckDB casts text to a wide decimal in 26 us, this way in less than 1."""

_EXACT = f"""CASE
    WHEN d < whole_limit AND d = floor(d) THEN ((2 * d::BIGINT * whole_num + whole_den) // (2 * whole_den))::HUGEINT
    ELSE (2 * ({_LONG}) * num + den) // (2 * den) END"""
"""A good sample in thousandths of a unit, rounded half up. Whole numbers, as most counters show, need 64 bits only:
doubles hold them without loss below 2^53, and `whole_limit` keeps the product small enough."""

_BILLION = 10**9

PART = "\x1f"
"""Between a device's name and the part of it that a key is about, where a meter's series add up (`Meter.adds`)."""

NO_NUMBER = "d IS NULL OR isnan(d) OR isinf(d)"


def first_label(labels: str, metric: str = "metric") -> str:
    """SQL: the first non-empty value among a list of labels, else NULL.

    Args:
        labels: SQL of a list of label names.
        metric: SQL of the map of labels.
    """
    return f"list_filter(list_transform({labels}, lambda l: {metric}[l]), lambda v: v IS NOT NULL AND v <> '')[1]"


def _label_of(labels: str, first: str) -> str:
    """SQL: the first label with a value that is also `first`, a condition on the name `l`; else with a value."""
    filled = "s.metric[l] IS NOT NULL AND s.metric[l] <> ''"
    return (
        f"coalesce(list_filter({labels}, lambda l: {filled} AND {first})[1],"
        f" list_filter({labels}, lambda l: {filled})[1])"
    )


def name_devices(scratch: Scratch, meters: Sequence[Meter]) -> dict[str, int]:
    """Make `named` (series with their key) and `keys` (one row per meter, host and device, or part of a device).

    A key of a part carries its values after the device's name; `whole` is the device, `first_no` its first key.

    Args:
        scratch: Holds `series`.
        meters: The best first.

    Returns:
        Counts of series that name no host or no device.
    """
    scratch.make(
        "meters",
        "SELECT * FROM (VALUES "
        + ", ".join(_meter_row(rank, meter) for rank, meter in enumerate(meters))
        + ") AS m(meter, rank, counter, device_kind, node_labels, device_labels, model_labels, prefix, adds,"
        " stands_in, sentinel, num, den, wrap_n, limit_n, unit_num, unit_den)",
    )
    host = _label_of("m.node_labels", names_no_pod("l", "s.metric[l]", "s.metric['pod']"))
    device = _label_of("m.device_labels", f"(lower(l) NOT LIKE '%uuid%' OR {is_uuid('l', 's.metric[l]')})")
    part = "array_to_string(list_transform(adds, lambda l: coalesce(metric[l], '')), '|')"
    scratch.make(
        "named",
        f"""
        WITH labelled AS (
            SELECT
                s.*, m.* EXCLUDE (meter, unit_num, unit_den), {host} AS host_label, {device} AS device_label,
                {first_label("m.model_labels", "s.metric")} AS device_model
            FROM {scratch["series"]} AS s JOIN {scratch["meters"]} AS m USING (meter)
        )
        SELECT
            series_no, sha256, role, meter, metric, device_model, sentinel, num, den,
            regexp_replace(metric[host_label], ':[0-9]+$', '') AS host, host AS node_id,
            CASE WHEN len(device_labels) > 0 THEN prefix || metric[device_label] WHEN prefix <> '' THEN prefix
                 WHEN device_kind IN ('node', 'instance', 'service') THEN node_id ELSE device_kind END
                || CASE WHEN len(adds) > 0 THEN '{PART}' || {part} ELSE '' END AS device_id,
            CASE WHEN device_kind = 'gpu' AND {is_uuid("device_label", "metric[device_label]")}
                 THEN lower(prefix || metric[device_label]) END AS device_uuid,
            CASE WHEN device_label IS NULL OR regexp_full_match(metric[device_label], '[0-9]*') THEN host_label
                 ELSE device_label END AS match_label,
            metric[match_label] AS match_value
        FROM labelled""",
    )
    unite(scratch)
    follow_one_exporter(scratch)
    scratch.make(
        "keys",
        f"""
        SELECT *, min(key_no) OVER (PARTITION BY meter, node_id, whole) AS first_no
        FROM (
            SELECT
                row_number() OVER (ORDER BY rank, meter, node_id, device_id)::INTEGER AS key_no, *,
                split_part(device_id, '{PART}', 1) AS whole
            FROM (
                SELECT meter, node_id, device_id, max(device_model) AS device_model, max(device_uuid) AS device_uuid
                FROM {scratch["named"]} WHERE node_id IS NOT NULL AND device_id IS NOT NULL
                GROUP BY meter, node_id, device_id
            )
            JOIN (
                SELECT meter, rank, counter, device_kind, stands_in, wrap_n, limit_n, unit_num, unit_den
                FROM {scratch["meters"]}
            ) USING (meter)
        )""",
    )
    hosts, devices = scratch.rows(
        f"SELECT count(*) FILTER (node_id IS NULL), count(*) FILTER (node_id IS NOT NULL AND device_id IS NULL)"
        f" FROM {scratch['named']}"
    )[0]
    return {"series_without_host_dropped": hosts, "series_without_device_dropped": devices}


def observe(scratch: Scratch) -> None:
    """Make `observed`: samples of counters by key, exact, each with its state."""
    scratch.make(
        "keyed",
        f"""
        SELECT
            n.series_no, k.key_no, n.role, n.sentinel, n.num, n.den,
            (n.num * {_BILLION} // greatest_common_divisor(n.num * {_BILLION}, n.den))::BIGINT AS whole_num,
            (n.den // greatest_common_divisor(n.num * {_BILLION}, n.den))::BIGINT AS whole_den,
            least(9e15, 4e18 / whole_num) AS whole_limit
        FROM {scratch["named"]} AS n JOIN {scratch["keys"]} AS k USING (meter, node_id, device_id)
        WHERE k.counter AND n.role IN ('boundary', 'lookback', 'minimum', 'marked', 'raw')""",
    )
    scratch.make(
        "observed",
        f"""
        WITH valued AS (
            SELECT
                n.* EXCLUDE (series_no, sentinel), p.t, p.v, p.d,
                CASE WHEN {NO_NUMBER} THEN 'nan' WHEN p.d >= n.sentinel THEN 'sentinel'
                     WHEN p.d < 0 THEN 'negative' ELSE 'ok' END AS state
            FROM {scratch["points"]} AS p JOIN {scratch["keyed"]} AS n USING (series_no)
        )
        SELECT key_no, role, t, state, CASE WHEN state = 'ok' THEN {_EXACT} END AS n
        FROM valued""",
    )


def scale(metric: Metric) -> str:
    """SQL of `num, den`: a sample in billionths, times num, by den, is in thousandths of a whole unit."""
    ratio = metric.per_unit * FINE / NANO if metric.per_unit is not None else None
    return f"{ratio.numerator}::HUGEINT, {ratio.denominator}::HUGEINT" if ratio else "NULL::HUGEINT, NULL::HUGEINT"


def _meter_row(rank: int, meter: Meter) -> str:
    wrap = round(Fraction(meter.wrap_joules) * COUNTER_UNITS["J"] * NANO * FINE) if meter.wrap_joules else "NULL"
    limit = round(meter.limit_w * COUNTER_UNITS["mJ"] * NANO * FINE)
    parts = (
        quoted(meter.name),
        str(rank),
        str(meter.counter).lower(),
        quoted(meter.device_kind),
        _list(meter.node_labels),
        _list(meter.device_labels),
        _list(meter.model_labels),
        quoted(meter.device_prefix),
        _list(meter.adds),
        quoted(meter.stands_in),
        f"{meter.sentinel}::DOUBLE",
        scale(meter),
        f"{wrap}::HUGEINT",
        f"{limit}::HUGEINT",
        f"{meter.per_unit.numerator}::HUGEINT, {meter.per_unit.denominator}::HUGEINT"
        if meter.per_unit
        else "NULL::HUGEINT, NULL::HUGEINT",
    )
    return f"({', '.join(parts)})"


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(quoted(value) for value in values)}]::VARCHAR[]"
