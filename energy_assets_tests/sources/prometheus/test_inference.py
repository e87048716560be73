"""prometheus_inference against a real Prometheus: requests and tokens of known traffic, exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from energy_assets.contracts.raw import InferenceCounts
from energy_assets.periods import DayRange
from energy_assets.sources.base import StepContext
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets_tests.conftest import rows_of
from energy_assets_tests.sources.prometheus.data_centre import DAY_ONE, DAY_TWO

pytestmark = pytest.mark.real_server


def source(url: str, **more: Any) -> PrometheusInference:
    return PrometheusInference(name="serving", kind="prometheus_inference", url=url, **more)


@pytest.fixture(scope="module")
def served(data_centre: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, dict[str, int]]:
    from energy_assets_tests.conftest import step

    site = source(data_centre, models={"tgi": "mistral-7b"})
    module_desk = step.__wrapped__(tmp_path_factory.mktemp("step"))
    return rows_of(site, DayRange(DAY_ONE, DAY_ONE), module_desk)


def rows(served: tuple[pa.Table, dict[str, int]], deployment: str) -> list[dict[str, Any]]:
    return [row for row in served[0].to_pylist() if row["deployment"] == deployment]


def test_rows_have_the_columns_of_the_contract(served: tuple[pa.Table, dict[str, int]]) -> None:
    table = served[0]
    assert table.column_names == list(InferenceCounts.to_schema().columns)
    assert table.num_rows == 48 + 13 + 12 + 2 * 24
    assert pc.sum(pc.is_null(table["raw_sha256"])).as_py() == 0
    assert {str(table.schema.field(name).type) for name in ("requests", "prompt_tokens")} == {"int64"}


def test_engines_and_reasons_add_up_and_aborted_requests_have_failed(served: tuple[pa.Table, dict[str, int]]) -> None:
    found = rows(served, "llm-0")
    plain = found[2]
    assert (plain["requests"], plain["failed_requests"]) == (2 * 60 * 12, 0)
    assert (plain["prompt_tokens"], plain["generated_tokens"]) == (2 * 60 * 1000, 2 * 60 * 200)
    assert (plain["model_id"], plain["coverage"]) == ("llama-8b", Decimal(1))
    named = {"job": "vllm", "model_name": "llama-8b", "namespace": "inf", "pod": "llm-0"}
    assert dict(plain["labels"]) == {**named, "instance": "10.0.0.1:8000"}
    first_abort = found[9]
    assert (first_abort["requests"], first_abort["failed_requests"]) == (2 * 60 * 12 + 3, 3)


def test_a_restarted_engine_counts_from_zero(served: tuple[pa.Table, dict[str, int]]) -> None:
    found = rows(served, "llm-0")[6]
    assert found["prompt_tokens"] == 60 * 1000 + 59 * 1000
    assert found["requests"] == 60 * 12 + 59 * 12
    assert served[1]["counter_restarts"] == 4


def test_a_server_without_model_label_takes_the_model_of_the_site_file(served: tuple[pa.Table, dict[str, int]]) -> None:
    found = rows(served, "10.0.0.2:3000")
    assert {row["model_id"] for row in found} == {"mistral-7b"}
    assert {(row["prompt_tokens"], row["generated_tokens"]) for row in found} == {(30_000, 3_000)}
    assert [(row["requests"], row["failed_requests"]) for row in found[3:6]] == [(300, 0), (302, 2), (300, 0)]


def test_the_deployment_may_be_another_label(data_centre: str, step: StepContext) -> None:
    table, _ = rows_of(source(data_centre, deployment_label="job"), DayRange(DAY_TWO, DAY_TWO), step)
    assert set(table["deployment"].to_pylist()) == {"vllm", "tgi", "roll", "twins"}
    assert {row["model_id"] for row in table.to_pylist() if row["deployment"] == "tgi"} == {None}


def test_a_deployment_is_observed_while_any_of_its_pods_is(data_centre: str, step: StepContext) -> None:
    table, _ = rows_of(source(data_centre, deployment_label="job"), DayRange(DAY_ONE, DAY_ONE), step)
    coverage = {(row["deployment"], row["hour"].hour): row["coverage"] for row in table.to_pylist()}
    assert coverage["roll", 12] == Decimal("0.933333")
    assert coverage["twins", 15] == Decimal("0.8")
    assert {value for key, value in coverage.items() if key not in {("roll", 12), ("twins", 15)}} == {Decimal(1)}


def test_metrics_that_are_absent_are_not_asked_for(data_centre: str, step: StepContext) -> None:
    rows_of(source(data_centre, selector='job="roll"'), DayRange(DAY_ONE, DAY_ONE), step)
    edition = step.landing.edition("serving", DAY_ONE)
    assert edition
    asked = [landed.request for landed in edition.objects]
    assert len(asked) == 7
    assert all("tgi" not in request.get("query", "") for request in asked)
