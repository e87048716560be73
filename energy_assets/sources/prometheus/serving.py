"""Serving: requests and tokens per hour from the counters of inference servers.

What belongs here: which counter counts what, and rows of the contract `InferenceCounts`; pure in the answers. What
does not: collecting. Labels: vLLM and those like it name model_name, engine and, for requests, finished_reason; Triton
names model and version; Text Generation Inference and llama.cpp name no model.

A counter that was never seen starts at its first sample. A child of a known family (another finished_reason of a
server that was scraped before) starts at zero, because such children appear with their first increment.
"""
# ruff: noqa: S608 - the SQL below is made of our own table names; labels and samples never become SQL text

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from energy_assets.sources.prometheus import alike, copies, counters, disaggregated, sharing
from energy_assets.sources.prometheus.answers import Answer, Scratch, load, quoted
from energy_assets.sources.prometheus.client import Query
from energy_assets.sources.prometheus.counters import HOUR_MS, HOUR_OF
from energy_assets.sources.prometheus.devices import first_label, observe, scale
from energy_assets.sources.prometheus.matchers import one_of
from energy_assets.sources.prometheus.meters import Metric
from energy_assets.sources.prometheus.queries import MeterQueries, Window

FAILED_REASONS = ("abort", "error")
CHILD_LABELS = ("finished_reason", "err", "reason")
TARGET_LABELS = ("job", "instance", "namespace", "pod")
NAMING_LABELS = (*TARGET_LABELS, "exported_instance", "model_name")
"""Labels that every row carries: they say which server it is of, to rules and to other sources' rows."""

EMPTY = """
    SELECT NULL::DATE AS day, NULL::TIMESTAMP AS hour, NULL::VARCHAR AS deployment, NULL::VARCHAR AS model_id,
        NULL::BIGINT AS requests, NULL::BIGINT AS failed_requests, NULL::BIGINT AS prompt_tokens,
        NULL::BIGINT AS generated_tokens, NULL::DECIMAL(9, 6) AS coverage, NULL::MAP(VARCHAR, VARCHAR) AS labels,
        NULL::VARCHAR AS raw_sha256
    LIMIT 0"""


class _Counts:
    """What is the same for all that counts things, not energy: one sample is one thing, every series by itself."""

    counter: ClassVar[bool] = True
    per_unit: ClassVar[Fraction | None] = Fraction(1)
    sentinel: ClassVar[str] = "1e15"
    device_by: ClassVar[tuple[str, ...]] = ()
    repeats: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[bool] = False
    activity: ClassVar[str | None] = None
    counterpart: ClassVar[str | None] = None


@dataclass(frozen=True)
class CountedMetric(_Counts):
    """One counter of an inference server; a `Metric`.

    Attributes:
        metric: The metric's name.
        counts: What it counts: requests, failed_requests (which are requests, too), prompt_tokens,
            generated_tokens.
    """

    metric: str
    counts: str
    matchers: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric


@dataclass(frozen=True)
class CountedMetrics(_Counts):
    """Several counters asked for in one query, whose answers keep the metrics' names; a `Metric`.

    Attributes:
        names: The metrics' names.
    """

    names: tuple[str, ...]
    name: ClassVar[str] = "serving"
    metric: ClassVar[str] = ""

    @property
    def matchers(self) -> tuple[str, ...]:
        """The matcher of the names."""
        return (one_of("__name__", self.names),)


_VLLM = {"request_success": "requests", "prompt_tokens": "prompt_tokens", "generation_tokens": "generated_tokens"}

_AS_SERVERS_WRITE = (
    # vLLM (vllm/v1/metrics/loggers.py); in Ray its counters go through Ray's own, which put `ray_` before the name
    *(
        CountedMetric(f"{prefix}{name}_total", counts)
        for prefix in ("vllm:", "ray_vllm:")
        for name, counts in _VLLM.items()
    ),
    # Text Generation Inference (router/src/server.rs, docs/source/reference/metrics.md)
    CountedMetric("tgi_request_success", "requests"),
    CountedMetric("tgi_request_failure", "failed_requests"),
    CountedMetric("tgi_request_input_length_sum", "prompt_tokens"),
    CountedMetric("tgi_request_generated_tokens_sum", "generated_tokens"),
    # SGLang (python/sglang/srt/metrics/collector.py): aborted requests are not among the finished ones
    CountedMetric("sglang:num_requests_total", "requests"),
    CountedMetric("sglang:num_aborted_requests_total", "failed_requests"),
    CountedMetric("sglang:prompt_tokens_total", "prompt_tokens"),
    CountedMetric("sglang:generation_tokens_total", "generated_tokens"),
    # TensorRT-LLM (tensorrt_llm/metrics/collector.py): no counter of tokens
    CountedMetric("trtllm_request_success_total", "requests"),
    # Triton (docs/user_guide/metrics.md): a request with a batch is one request; label model
    CountedMetric("nv_inference_request_success", "requests"),
    CountedMetric("nv_inference_request_failure", "failed_requests"),
    # llama.cpp (tools/server/README.md): no counter of requests, no model label
    CountedMetric("llamacpp:prompt_tokens_total", "prompt_tokens"),
    CountedMetric("llamacpp:tokens_predicted_total", "generated_tokens"),
)
WRITTEN = {one.metric.replace(":", "_"): one.metric for one in _AS_SERVERS_WRITE if ":" in one.metric}
"""By a metric's name with an underscore for the colon, which OpenTelemetry does not allow (so its collectors, and Ray
since vllm/v1/metrics/ray_wrappers.py, replace it): its name as the server writes it."""

BUILT_IN = (
    *_AS_SERVERS_WRITE,
    *(
        CountedMetric(name, one.counts)
        for name, own in WRITTEN.items()
        for one in _AS_SERVERS_WRITE
        if one.metric == own
    ),
)

CHANGES = ("counter_restarts", "low_readings_dropped", "implausible_decreases_dropped")
STEPS = "models_with_equal_requests"
EQUAL_PCT, EQUAL_HOUR_PCT = 1, 5
"""By so much the requests of two steps of one ensemble may differ, of a day and of an hour."""
MODEL_LABELS = ("model_name", "model")


def name_series(scratch: Scratch, metrics: Sequence[Metric], told_apart: copies.ToldApart) -> dict[str, int]:
    """Make `named` and `keys`, one key per series; `node_id` is the scraped target, `device_id` all labels.

    A metric is called as its server writes it, so that a server is known under both spellings of its counters.

    Args:
        scratch: Holds `series`.
        metrics: The counters, in the order in which their objects are named as origin of a row.
        told_apart: What the site file says of servers.

    Returns:
        No counts: every series has a key.
    """
    listed = ", ".join(
        f"({quoted(one.name)}, {quoted(written(one.name))}, {rank}, {one.sentinel}::DOUBLE, {scale(one)})"
        for rank, one in enumerate(metrics)
    )
    described = f"(VALUES {listed}) AS m(spelled, meter, rank, sentinel, num, den)"
    target = ", ".join(f"coalesce(metric['{label}'], '')" for label in (*TARGET_LABELS, "exported_instance"))
    scratch.make(
        "named",
        f"""
        WITH listed AS (
            SELECT * EXCLUDE (meter), coalesce(metric['__name__'], meter) AS spelled,
                list_sort(list_filter(map_entries(metric), lambda e: e.key <> '__name__')) AS entries
            FROM {scratch["series"]}
        )
        SELECT
            series_no, sha256, role, meter, metric, entries, sentinel, num, den,
            concat_ws('|', {target}) AS node_id, NULL AS host, entries::VARCHAR AS device_id,
            CASE WHEN coalesce(metric['instance'], '') <> '' THEN 'instance' ELSE 'job' END AS match_label,
            coalesce(metric[match_label], '') AS match_value,
            list_filter(entries, lambda e: e.key NOT IN ({_texts(CHILD_LABELS)}))::VARCHAR AS family
        FROM listed JOIN {described} USING (spelled)""",
    )
    copies.unite(scratch, told_apart)
    scratch.make(
        "keys",
        f"""
        SELECT
            row_number() OVER (ORDER BY rank, device_id)::INTEGER AS key_no, *, true AS counter,
            NULL::HUGEINT AS wrap_n, NULL::HUGEINT AS limit_n
        FROM (
            SELECT meter, rank, node_id, device_id, min(family) AS family,
                arg_min(metric, ({told_apart.model("metric")} IS NULL)
                    || (coalesce(metric['exported_instance'], '') <> '') || entries::VARCHAR) AS specimen
            FROM {scratch["named"]} JOIN (SELECT meter, min(rank) AS rank FROM {described} GROUP BY meter) USING (meter)
            GROUP BY meter, rank, node_id, device_id
        )""",
    )
    return {}


def written(metric: str) -> str:
    """A metric's name as its server writes it."""
    return WRITTEN.get(metric, metric)


def assemble(
    scratch: Scratch,
    answers: Sequence[Answer],
    window: Window,
    counted: Sequence[CountedMetric],
    *,
    deployment_labels: Sequence[str],
    models: Mapping[str, str],
    keep_labels: Sequence[str] = (),
    interval_s: int | None = None,
    prefill: Sequence[str] | None = None,
) -> tuple[str, dict[str, int], dict[str, Sequence[str]]]:
    """Make the rows of one day.

    Args:
        scratch: Where tables are made; all but the result are dropped.
        answers: Everything that was collected for the day.
        window: The day, as far as it was asked for.
        counted: What the counters count.
        deployment_labels: The first non-empty one names the deployment.
        models: Model by deployment, instance or job, for servers that do not name theirs.
        keep_labels: More labels the rows carry.
        interval_s: The scrape interval, where the site names it.
        prefill: Deployments that only prefill, where the site names them.

    Returns:
        The name of the table of rows; counts of what was left out or corrected; and the first few things of some.

    Raises:
        MalformedError: an answer is not what the format promises.
    """
    with scratch.single_threaded(answers):
        load(scratch, answers)
        told_apart = copies.ToldApart(deployment_labels[0], models)
        name_series(scratch, counted, told_apart)
        observe(scratch)
        sharing.find_uses(scratch, ())
        counters.find_suspicious(scratch)
        counters.limit_by_pace(scratch)
        counters.add_up(scratch, _starts(scratch))
        counters.find_often(scratch, window.start * 1000 + HOUR_MS, window.end * 1000, "restarts + jumps + blips")
        sharing.measure_time(scratch, interval_s)
        _served(scratch, window, counted, deployment_labels, models)
        same, twins = alike.find(scratch, told_apart.label)
        begun, servers = disaggregated.leave_out(scratch, prefill)
        table = scratch.make("activity", _rows(scratch, deployment_labels, keep_labels))
        united, examples = copies.told(scratch, told_apart)
        often, fallen = counters.told_often(scratch, f"{copies.SERVER.replace('metric', 'specimen')} || ': ' || meter")
        notes = {**_counts(scratch, window), **united, **same, **often, **begun, STEPS: _steps_of_one(scratch)}
        scratch.clear("activity")
    return table, {name: number for name, number in notes.items() if number}, {**examples, **twins, **fallen, **servers}


def _starts(scratch: Scratch) -> str:
    return f"""
        WITH firsts AS (
            SELECT key_no, family, min(t) AS t FROM {scratch["lowest"]} JOIN {scratch["keys"]} USING (key_no)
            WHERE n IS NOT NULL GROUP BY key_no, family
        ),
        families AS (
            SELECT family, min(t) AS since FROM (
                SELECT key_no, t FROM {scratch["bound"]} UNION ALL SELECT key_no, 0 FROM {scratch["earlier"]}
            ) JOIN {scratch["keys"]} USING (key_no) GROUP BY family
        ),
        children AS (
            SELECT key_no, f.t - {HOUR_MS} AS t, 0::HUGEINT AS n
            FROM firsts AS f JOIN families AS s USING (family) ANTI JOIN {scratch["earlier"]} USING (key_no)
            WHERE s.since < f.t
        )
        SELECT key_no, t, n FROM children
        UNION ALL SELECT key_no, t, n FROM ({counters.first_samples(scratch)}) ANTI JOIN children USING (key_no)"""


def _deployment(labels: Sequence[str], metric: str) -> str:
    return f"coalesce({first_label(f'[{_texts(labels)}]', metric)}, 'unknown')"


def relays(
    scratch: Scratch, queries_by_meter: Mapping[str, MeterQueries], deployment_labels: Sequence[str]
) -> list[Query]:
    """Samples of the hours in which the servers of a deployment may have relieved each other.

    Such an hour has several scraped targets of one deployment, and none that was seen all the time, as far as
    the counts of the day show. The targets' samples of one metric tell which part of the hour any of them was seen.

    Args:
        scratch: Holds the tables of a day's answers.
        queries_by_meter: By the name of the metric: its queries.
        deployment_labels: The first non-empty one names the deployment.
    """
    rows = scratch.rows(f"""
        WITH targets AS (
            SELECT {_deployment(deployment_labels, "specimen")} AS deployment, meter, rank, node_id, t, max(job) AS job,
                max(largest) AS samples, min(match_label) AS label, min(match_value) AS value, count(*) AS series
            FROM {scratch["counted"]} JOIN {scratch["keys"]} USING (key_no)
            JOIN (SELECT DISTINCT meter, device_id, match_label, match_value FROM {scratch["named"]})
                USING (meter, device_id)
            GROUP BY ALL
        ),
        jobs AS (
            SELECT job, max(most) AS most, count(*) FILTER (t_most >= 0.98 * most) > 1 AS steady
            FROM (SELECT job, t, max(samples) AS t_most, max(t_most) OVER (PARTITION BY job) AS most
                FROM targets GROUP BY job, t)
            GROUP BY job
        ),
        partly AS (
            SELECT deployment, t FROM targets JOIN jobs USING (job) GROUP BY deployment, t
            HAVING count(DISTINCT node_id) > 1 AND NOT bool_or(samples >= 0.98 * most AND steady)
        ),
        asked AS (
            SELECT deployment, t, meter FROM targets SEMI JOIN partly USING (deployment, t)
            GROUP BY deployment, t, meter, rank
            QUALIFY row_number() OVER (
                PARTITION BY deployment, t ORDER BY count(DISTINCT node_id) DESC, sum(series), rank) = 1
        )
        SELECT t, meter, label, list_sort(list_distinct(list(value)))
        FROM targets SEMI JOIN asked USING (deployment, t, meter) GROUP BY t, meter, label ORDER BY ALL""")
    return [
        queries_by_meter[meter].samples("relay", t // 1000, one_of(label, values)) for t, meter, label, values in rows
    ]


def _served(
    scratch: Scratch,
    window: Window,
    counted: Sequence[CountedMetric],
    deployment_labels: Sequence[str],
    models: Mapping[str, str],
) -> None:
    """Make `parts`: key_no, deployment, model_id, counts; and `served`: the same by hour with n and ppm.

    Of a server of which a counter falls often nothing is known.
    """
    by_name = {written(one.metric): one.counts for one in counted}
    kinds = ", ".join(f"({quoted(name)}, {quoted(counts)})" for name, counts in by_name.items())
    known = ", ".join(f"({quoted(name)}, {quoted(model)})" for name, model in models.items()) or "(NULL, NULL)"
    scratch.make(
        "parts",
        f"""
        WITH site_models(name, model) AS (VALUES {known}),
        placed AS (
            SELECT
                key_no, meter, rank, specimen AS metric, counts,
                {_deployment(deployment_labels, "specimen")} AS deployment,
                counts = 'failed_requests' OR coalesce(specimen['finished_reason'] IN ({_texts(FAILED_REASONS)}), false)
                    AS failed
            FROM {scratch["keys"]} JOIN (VALUES {kinds}) AS c(meter, counts) USING (meter)
        )
        SELECT p.*, coalesce({first_label(f"[{_texts(MODEL_LABELS)}]")}, a.model, b.model, c.model) AS model_id
        FROM placed AS p
        LEFT JOIN site_models AS a ON a.name = p.deployment
        LEFT JOIN site_models AS b ON b.name = p.metric['instance']
        LEFT JOIN site_models AS c ON c.name = p.metric['job']""",
    )
    first, last = window.start * 1000 + HOUR_MS, window.end * 1000
    scratch.make(
        "served",
        f"""
        WITH lives AS (
            SELECT key_no, min(t) AS begins, max(t) FILTER (sampled) AS ends FROM (
                SELECT key_no, t, false AS sampled FROM {scratch["bound"]}
                UNION ALL SELECT key_no, {first}, false FROM {scratch["earlier"]}
                UNION ALL SELECT key_no, t, true FROM {scratch["lowest"]}
            ) GROUP BY key_no
        ),
        grid AS (
            SELECT key_no, unnest(range(greatest(begins, {first}), least(ends, {last}) + 1, {HOUR_MS})) AS t
            FROM lives WHERE ends IS NOT NULL
        )
        SELECT p.*, t, o.node_id IS NOT NULL AS doubtful, CASE WHEN s.ppm > 0 AND NOT doubtful THEN a.n END AS n,
            CASE WHEN doubtful THEN 0 ELSE coalesce(s.ppm, 0) END AS ppm
        FROM grid JOIN {scratch["parts"]} AS p USING (key_no) JOIN {scratch["keys"]} AS k USING (key_no)
        LEFT JOIN (SELECT DISTINCT node_id FROM {scratch["often"]} JOIN {scratch["keys"]} USING (key_no)) AS o
            ON o.node_id = k.node_id
        LEFT JOIN {scratch["amounts"]} AS a USING (key_no, t)
        LEFT JOIN {scratch["seen"]} AS s USING (key_no, t)""",
    )


def _rows(scratch: Scratch, deployment_labels: Sequence[str], keep_labels: Sequence[str]) -> str:
    """The contract's columns; where servers relieve each other, the hour is observed while any of them is."""
    names = sorted({*NAMING_LABELS, *keep_labels})
    labels = ", ".join(
        f"({quoted(name)}, CASE WHEN min(metric[{quoted(name)}]) = max(metric[{quoted(name)}])"
        f" THEN min(metric[{quoted(name)}]) END)"
        for name in names
    )
    seen = "greatest(max(ppm), CASE WHEN max(ppm) > 0 THEN max(any_ppm) END)"
    pace = f"coalesce(interval_ms, {sharing.DEFAULT_INTERVAL_S * 1000})"
    return f"""
        WITH objects AS (
            SELECT meter, coalesce(
                min(sha256) FILTER (role = 'boundary'), min(sha256) FILTER (role = 'lookback')) AS sha256
            FROM {scratch["named"]} GROUP BY meter
        ),
        relays AS (
            SELECT {_deployment(deployment_labels, "metric")} AS deployment, {HOUR_OF} AS t,
                count(DISTINCT (t - 1) // {pace}) AS readings, max({pace}) AS interval_ms
            FROM {scratch["named"]} JOIN {scratch["points"]} USING (series_no)
            LEFT JOIN {scratch["pace"]} AS p ON p.job = coalesce(metric['job'], '')
            WHERE role = 'relay' GROUP BY ALL
        ),
        together AS (
            SELECT deployment, t, least(1000000, readings * interval_ms * 1000000 // {HOUR_MS}) AS any_ppm FROM relays
        )
        SELECT
            make_timestamp((t - {HOUR_MS}) * 1000)::DATE AS day,
            make_timestamp((t - {HOUR_MS}) * 1000) AS hour,
            deployment, model_id,
            sum(n) FILTER (counts IN ('requests', 'failed_requests'))::BIGINT AS requests,
            CASE WHEN requests IS NOT NULL THEN coalesce(sum(n) FILTER (failed), 0)::BIGINT END AS failed_requests,
            sum(n) FILTER (counts = 'prompt_tokens')::BIGINT AS prompt_tokens,
            sum(n) FILTER (counts = 'generated_tokens')::BIGINT AS generated_tokens,
            ({seen}::DECIMAL(9, 0) * 0.000001::DECIMAL(7, 6))::DECIMAL(9, 6) AS coverage,
            map_from_entries(list_filter([{labels}], lambda e: e[2] IS NOT NULL AND e[2] <> '')) AS labels,
            arg_min(sha256, rank) AS raw_sha256
        FROM {scratch["served"]} JOIN objects USING (meter) LEFT JOIN together USING (deployment, t)
        GROUP BY t, deployment, model_id
        ORDER BY deployment, model_id, hour"""


def _counts(scratch: Scratch, window: Window) -> dict[str, int]:
    inside = f"t > {window.start * 1000} AND t <= {window.end * 1000}"
    changes = scratch.rows(f"""
        SELECT coalesce(sum(restarts), 0), coalesce(sum(blips), 0), coalesce(sum(jumps), 0)
        FROM {scratch["amounts"]} ANTI JOIN {scratch["often"]} USING (key_no) WHERE {inside}""")
    states = scratch.rows(f"""
        SELECT state, count(DISTINCT (key_no, t)) FROM {scratch["observed"]}
        WHERE role = 'raw' AND state <> 'ok' AND {inside} GROUP BY state""")
    hours = scratch.rows(f"""
        SELECT count(*) FROM (
            FROM {scratch["served"]} SELECT deployment, model_id, t WHERE NOT doubtful GROUP BY ALL HAVING max(ppm) = 0
        )""")
    return {
        **{f"{state}_readings_dropped": int(number) for state, number in states},
        **{name: int(number) for name, number in zip(CHANGES, changes[0], strict=True)},
        "deployment_hours_without_samples": hours[0][0],
    }


def _steps_of_one(scratch: Scratch) -> int:
    """Models of Triton that count as many requests as another model of their server.

    An ensemble is a model, and so is each of its steps: a request of it counts once for each. At the end of an hour
    some requests are between two steps: the day's sums may differ by `EQUAL_PCT`, and those of an hour by more.
    """
    hours = f"""
        SELECT node_id, model_id, t, sum(n)::BIGINT AS n
        FROM {scratch["served"]} JOIN (SELECT key_no, node_id FROM {scratch["keys"]}) USING (key_no)
        WHERE meter = 'nv_inference_request_success' GROUP BY ALL"""
    apart, most = "abs(coalesce(a.n, 0) - coalesce(b.n, 0))", "greatest(a.n, b.n, 0)"
    rows = scratch.rows(f"""
        WITH hours AS ({hours})
        SELECT count(DISTINCT (node_id, other)) FROM (
            SELECT node_id, b.model_id AS other
            FROM hours AS a JOIN hours AS b USING (node_id, t) WHERE a.model_id < b.model_id
            GROUP BY node_id, a.model_id, b.model_id
            HAVING sum(a.n) > 0 AND abs(sum(a.n) - sum(b.n)) * 100 <= {EQUAL_PCT} * greatest(sum(a.n), sum(b.n))
                AND count(*) FILTER ({apart} <= greatest({most} * {EQUAL_HOUR_PCT} / 100, 2)) >= 0.9 * count(*)
        )""")
    return int(rows[0][0])


def _texts(values: Sequence[str]) -> str:
    return ", ".join(quoted(value) for value in values)
