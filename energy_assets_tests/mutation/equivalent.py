"""Mutants that no test can notice, because they are the same program; each with its reason.

What belongs here: changed lines, by module, as `make mutate` prints them. What does not: lines whose change merely is
not noticed yet.
"""

from __future__ import annotations

from collections.abc import Mapping

_CLAIMED = "SELECT *, unnest(range(s // {{_HOUR_US}}, ({}) // {{_HOUR_US}} + {})) AS hour_no FROM clipped WHERE s {} e"
_GAP = (
    "gap = ibis.cases((sums.kwh {} sums.hi, sums.kwh - sums.hi), (sums.kwh {} sums.lo, sums.kwh - sums.lo), else_=none)"
)
_LEVEL = (
    "rows = rows.mutate("
    'level=ibis.cases((rows.device_kind == "instance", {}), (rows.device_kind == "node", 2), else_={}))'
)
_MEASURED = "measured = ibis.ifelse(rows.guessed, ibis.literal( {}), rows.level).min().over(window)"
_REPLACED = "rows = rows.filter(~(rows.guessed & (rows.level {}) & (rows.innermost < rows.level)))"


EQUIVALENT: Mapping[str, Mapping[str, str]] = {
    "contracts/conservation.py": {
        _GAP.format(">=", "<"): "exactly on the bound the difference is 0 too",
        _GAP.format(">", "<="): "exactly on the bound the difference is 0 too",
        _LEVEL.format(4, 1): "levels are compared, and an instance is above a node",
        _LEVEL.format(3, " 0"): "levels are compared, and a device is below a node",
        _MEASURED.format(8): "any number above all levels",
        _MEASURED.format(10): "any number above all levels",
        _REPLACED.format(">= 1"): "nothing is inside a device: no level is below 1",
        _REPLACED.format("> 0"): "nothing is inside a device: no level is below 1",
    },
    "contracts/fingerprint.py": {
        "if name not in single or  (single[name] is None or dtype.is_numeric()):": "it stands for what the rows hold",
        '"slot": ibis.literal(1).cast("int64") << (rows.hour.hour().cast("int64") if hourly else 1),': "any one bit",
    },
    "disclosures/rounding.py": {
        "by_remainder = sorted(free, key=lambda n: (-(exact[n] - rounded[n]) / sign, n))": "the sign is 1 or -1",
        "sign = 1 if missing >= 0 else -1": "where nothing is missing it has returned before",
    },
    "factors/places.py": {
        "members = members_of(filled(rows, site.source_places, {source.name: 1}))": "the only source has any rank",
        "members = members_of(filled(rows, site.source_places, {source.name: -1}))": "the only source has any rank",
    },
    "kpis/daily.py": {
        "return below is not None and bool(errors_of(below)) or carrier(indicator) != below": "a column nobody reads",
        "if factor == 0:": "a shortcut: times one it is the same number",
        'scale = ibis.literal(ingredient.factor).cast(f"decimal({digits + 2}, {digits})")': "the factor is below one",
        'scale = ibis.literal(ingredient.factor).cast(f"decimal({digits + 0}, {digits})")': "the factor is below one",
    },
    "kpis/facts.py": {
        "def name_of(ingredient: Ingredient & Selection) -> str:": "a type, that nothing reads when it runs",
        "return max((TABLES[rows.table][name].scale or 1 if TABLES[rows.table][name].is_decimal() else 0": (
            "every decimal has a scale"
        ),
        "return max((TABLES[rows.table][name].scale or -1 if TABLES[rows.table][name].is_decimal() else 0": (
            "every decimal has a scale"
        ),
        'found = ((keys.side != side) & where).cast("int8")': "there are two sides, and both are asked for",
        "name for rows in wanted for term in rows.terms if len(term) >= 1 for name in term": (
            "rows that are kept further apart are summed all the same"
        ),
        "name for rows in wanted for term in rows.terms if len(term) > 0 for name in term": (
            "rows that are kept further apart are summed all the same"
        ),
    },
    "kpis/ingredients.py": {
        "return columns[ -1]": "there is one column",
        "return ibis.ifelse(known, reduce(lambda a, b: a + b, filled), ibis.null(columns[ 1].type()))": "of one type",
        "return ibis.ifelse(known, reduce(lambda a, b: a + b, filled), ibis.null(columns[ -1].type()))": "of one type",
        "return first_known_sql(self.terms[ -1])": "there is one term",
        "return columns[ -1] if len(columns) == 1 else ibis.coalesce(*columns)": "there is one column",
        "return columns[ -1] if len(columns) == 1 else f\"coalesce({', '.join(columns)})\"": "there is one column",
    },
    "kpis/rests.py": {},
    "sources/focus/cells.py": {
        'if (scale and int(scale[1]) <= 17) or "INT" in kind:': "a shortcut: as text it is the same number",
        'if (scale and int(scale[1]) <= 18) and "INT" in kind:': "a shortcut: as text it is the same number",
        "if column is None and not self.has(column):": "no bill has a column of no name",
    },
    "sources/intensity.py": {
        "units = (2 * total + count) // (2 * count).nullif( 1)": "twice a count is even",
        "units = (2 * total + count) // (2 * count).nullif( -1)": "twice a count is not negative",
    },
    "sources/power.py": {
        _CLAIMED.format("e - 1", 2, "<"): "an hour more of a window, in which it claims nothing",
        _CLAIMED.format("e + 1", 1, "<"): "an hour more of a window, in which it claims nothing",
        _CLAIMED.format("e - 1", 1, "<="): "an empty window claims nothing",
        "SEMI JOIN (SELECT device_no, t FROM {names.sequence} WHERE t_next <> t) AS several USING (device_no, t)": (
            "what holds at an instant of one reading is that reading, and no interval begins with the last"
        ),
        "node_no, hour_no, run, greatest(s, hour_no / {_HOUR_US}) AS s,": "a claim before the hour meets none of it",
        "node_no, hour_no, unnest([s, e, hour_no / {_HOUR_US}, (hour_no + 1) * {_HOUR_US}]) AS cut": (
            "the part before the first window begins earlier than the hour, and is cut to its readings"
        ),
        "least(e, (hour_no + 2) * {_HOUR_US}) AS e": "no reading of the hour lies in what is cut after it",
    },
    "sources/prometheus/counters.py": {
        "if scratch.rows(f\"SELECT 2 FROM {scratch['suspicious']} LIMIT 1\"):": "any row will do",
        "if scratch.rows(f\"SELECT 2 FROM {scratch['steps']} WHERE what = 'wrap' LIMIT 1\"):": "any row will do",
        "if scratch.rows(f\"SELECT 1 FROM {scratch['steps']} WHERE what = 'wrap' LIMIT 2\"):": "any row will do",
    },
    "sources/prometheus/gauges.py": {
        'if not scratch.rows(f"SELECT 2 FROM {readings} LIMIT 1"):': "any row will do",
        'return f"({column}::DECIMAL(28, 10) * 1000000000::DECIMAL(10, 0))::HUGEINT"': "the column has nine digits",
    },
    "sources/prometheus/sharing.py": {
        'WITH crowded AS (SELECT key_no, t FROM {scratch["uses"]} GROUP BY key_no, t HAVING count(*) >= 1),': (
            "a shortcut: who has a device alone has all of it"
        ),
    },
    "unified/containment.py": {
        "known = ~(sums.unknown.fill_null(True) | sums.inside_unknown) & (rest_kwh > 0)": (
            "only where no user was observed is it NULL, and there no rest is above 0"
        ),
        'ratio = kwh.cast("float64") / sums.holder_kwh.cast("float64").nullif( -1.0)': (
            "no energy is below 0, and where it is 0 every amount equals the sum and no ratio is used"
        ),
        'percent = ibis.least(width / rest_kwh.cast("float64").nullif( -1.0) * 100, ibis.literal(LARGEST_PCT))': (
            "no rest is below 0, and where it is 0 the interval is NULL"
        ),
    },
}
"""By module below `energy_assets`: the changed line, and why the program stays what it is."""
