"""Answers that say they are not whole: the day fails as transient with the server's words, its neighbours do not."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from energy_assets.doctor import _look as look
from energy_assets.periods import DayRange
from energy_assets.raw.collecting import collect, parse
from energy_assets.sources.base import StepContext
from energy_assets.sources.errors import PermanentError, TransientError
from energy_assets.sources.prometheus.client import NAMES_PATH
from energy_assets.sources.prometheus.inference import PrometheusInference
from energy_assets_tests.sources.prometheus.test_bad_server import DAY, NOTHING, Stub, source, stub  # noqa: F401

THREE = DayRange(date(2026, 9, 20), date(2026, 9, 22))


def whole(**more: Any) -> bytes:
    """An answer without samples that says `more`."""
    return json.dumps({"status": "success", **more, "data": {"resultType": "matrix", "result": []}}).encode()


def of_the_middle_day(form: Mapping[str, str]) -> bool:
    """The range questions of the 21st end with it."""
    return form.get("end") == str(round(datetime(2026, 9, 22, tzinfo=UTC).timestamp()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"warnings": ["No StoreAPIs matched for this query", "store b is down"]}, "matched for this query; store b"),
        ({"warnings": "store a is down"}, "store a is down"),
        ({"warnings": ["a", "b", "c", "d", "e"]}, "a; b; c and 2 more"),
        ({"isPartial": True}, "isPartial is true"),
    ],
)
def test_a_partial_answer_fails_its_day_as_transient_and_no_other(
    stub: Stub,  # noqa: F811
    step: StepContext,
    more: dict[str, Any],
    said: str,
) -> None:
    stub.answer = lambda path, form: (200, whole(**more)) if of_the_middle_day(form) else NOTHING
    collected = collect(source(stub.url), THREE, step)
    assert sorted(collected.editions) == [date(2026, 9, 20), date(2026, 9, 22)]
    (error,) = collected.failures.values()
    assert isinstance(error, TransientError)
    assert said in error.message
    assert "run the same days again" in error.remedy


@pytest.mark.parametrize(
    "more",
    [
        {"infos": ['PromQL info: metric might not be a counter: "a"']},
        {"warnings": ["PromQL warning: encountered a mix of histograms and floats"]},
        {"warnings": []},
        {"warnings": None},
        {"isPartial": False},
    ],
)
def test_words_about_the_query_and_empty_lists_are_no_partial_answer(
    stub: Stub,  # noqa: F811
    step: StepContext,
    more: dict[str, Any],
) -> None:
    stub.answer = lambda path, form: (200, whole(**more))
    site = source(stub.url)
    collected = collect(site, DAY, step)
    assert not collected.failures
    assert not parse(site, collected.editions, step)[1]


def test_the_words_within_a_label_are_no_warning(stub: Stub, step: StepContext) -> None:  # noqa: F811
    series = {"metric": {"Hostname": '"warnings"', "UUID": '"isPartial":true'}, "values": []}
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [series]}}).encode()
    assert b'\\"warnings\\"' in body
    stub.answer = lambda path, form: (200, body)
    assert not collect(source(stub.url), DAY, step).failures


def test_a_list_of_metrics_may_be_partial_too(stub: Stub, step: StepContext) -> None:  # noqa: F811
    stub.names = json.dumps({"status": "success", "warnings": ["store b is down"], "data": []}).encode()
    (error,) = collect(source(stub.url), DAY, step).failures.values()
    assert isinstance(error, TransientError)
    assert NAMES_PATH in error.message


def test_inference_fails_over_a_partial_answer_like_energy(stub: Stub, step: StepContext) -> None:  # noqa: F811
    stub.names = json.dumps({"status": "success", "data": ["vllm:prompt_tokens_total"]}).encode()
    stub.answer = lambda path, form: (200, whole(warnings=["store b is down"]))
    site = PrometheusInference(name="serving", kind="prometheus_inference", url=stub.url)
    (error,) = collect(site, DAY, step).failures.values()
    assert isinstance(error, TransientError)


def test_every_question_of_data_asks_for_whole_answers(stub: Stub, step: StepContext) -> None:  # noqa: F811
    assert not collect(source(stub.url), DAY, step).failures
    forms = [form for path, form, _ in stub.asked if NAMES_PATH not in path]
    assert forms
    assert {form["partial_response"] for form in forms} == {"false"}
    assert all("partial_response=false" in path for path, _, _ in stub.asked if NAMES_PATH in path)
    edition = step.landing.edition("dc", DAY.first)
    assert edition
    assert not any("partial_response" in landed.request for landed in edition.objects), "no part of the question"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("expanding series: proxy Series(): rpc error: code = Unavailable desc = store b", TransientError),
        ("query processing would load too many samples into memory in query execution", PermanentError),
    ],
)
def test_a_422_is_of_a_store_that_is_down_or_of_too_many_samples(
    stub: Stub,  # noqa: F811
    step: StepContext,
    said: str,
    kind: type[Exception],
) -> None:
    stub.answer = lambda path, form: (422, json.dumps({"status": "error", "error": said}).encode())
    (error,) = collect(source(stub.url), DAY, step).failures.values()
    assert type(error) is TransientError if kind is TransientError else isinstance(error, PermanentError)
    assert said[:40] in str(error)


def test_doctor_says_that_answers_are_partial(stub: Stub, step: StepContext, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    stub.names = json.dumps({"status": "success", "warnings": ["store b is down"], "data": []}).encode()
    stub.answer = lambda path, form: (200, b'{"status":"success","data":{"version":"2.53.0"}}')
    with caplog.at_level(logging.WARNING):
        findings, _ = look(source(stub.url), step)
    said = [finding for finding in findings if "store b is down" in finding.what]
    assert [finding.ok for finding in said] == [False]
