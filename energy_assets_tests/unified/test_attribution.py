"""Attribution: the first rule that matches wins, and hostile names are only names."""

from __future__ import annotations

from typing import Any

import ibis
import pytest

from energy_assets.contracts.raw import EnergyReadings
from energy_assets.site import Rule
from energy_assets.unified.attribution import attribute, glob_to_regex
from energy_assets_tests.rows import rows_of, table

HOSTILE = ["<script>alert(1)</script>", "=cmd()", 'O\'Brien "x"', "two\nlines", "a\\b", "50%_", "ünï", "{label:team}"]


@pytest.fixture(scope="module")
def con() -> Any:
    return ibis.duckdb.connect(threads=1)


def owner(con: Any, rules: list[dict[str, Any]], **row: Any) -> tuple[Any, Any, Any]:
    """Project, model and workload type of one reading."""
    rows = table(EnergyReadings, [row]).mutate(source=ibis.literal("meters"))
    (found,) = rows_of(con, attribute(rows, [Rule.model_validate(rule) for rule in rules]))
    return found["project"], found["model_id"], found["workload_type"]


def rule(match: dict[str, Any], **sets: str) -> dict[str, Any]:
    return {"match": match, **sets}


LLM = {"namespace": "llm-chat", "team": "assistants", "model_name": "llama-3"}
BY_TEAM = rule({"team": "*"}, project="{label:team}", model_id="{label:model_name}", workload_type="inference")


@pytest.mark.parametrize(
    ("rules", "row", "expected"),
    [
        ([], {}, ("unknown", None, "unknown")),
        ([rule({"namespace": "llm-*"}, project="p")], {"labels": LLM}, ("p", None, "unknown")),
        ([rule({"namespace": "llm-"}, project="p")], {"labels": LLM}, ("unknown", None, "unknown")),
        ([rule({"namespace": "llm-cha?"}, project="p")], {"labels": LLM}, ("p", None, "unknown")),
        ([rule({"namespace": "llm-chat?"}, project="p")], {"labels": LLM}, ("unknown", None, "unknown")),
        ([rule({"namespace": "LLM-*"}, project="p")], {"labels": LLM}, ("unknown", None, "unknown")),
        ([rule({"namespace": ["batch", "llm-*"]}, project="p")], {"labels": LLM}, ("p", None, "unknown")),
        ([rule({"namespace": "llm-*", "team": "other"}, project="p")], {"labels": LLM}, ("unknown", None, "unknown")),
        (
            [
                rule({"namespace": "x"}, project="a"),
                rule({"namespace": "llm-*"}, project="b"),
                rule({"namespace": "llm-chat"}, project="c", workload_type="training"),
            ],
            {"labels": LLM},
            ("b", None, "unknown"),
        ),
        ([BY_TEAM], {"labels": LLM}, ("assistants", "llama-3", "inference")),
        ([BY_TEAM], {"labels": {"team": "ops"}}, ("ops", None, "inference")),
        ([rule({"source": "meters"}, project="{label:team}")], {"labels": {}}, ("unknown", None, "unknown")),
        ([rule({"absent": "*"}, project="p")], {"labels": LLM}, ("unknown", None, "unknown")),
        ([rule({"source": "met*"}, project="p")], {}, ("p", None, "unknown")),
        ([rule({"node_id": "n1"}, project="p")], {"labels": {"node_id": "n2"}}, ("p", None, "unknown")),
        ([rule({"workload_id": "job-*"}, project="p")], {"workload_id": "job-7"}, ("p", None, "unknown")),
        ([rule({"workload_id": "*"}, project="p")], {"workload_id": None}, ("unknown", None, "unknown")),
        ([rule({"quality_tier": "2"}, project="p")], {"quality_tier": 2}, ("p", None, "unknown")),
        ([rule({"rank": "0"}, project="p")], {"labels": {"rank": "0"}}, ("p", None, "unknown")),
        ([rule({"source": "meters"}, project="p", workload_type="training")], {"idle": True}, ("idle", None, "idle")),
    ],
)
def test_a_row_gets_the_owner_of_the_first_rule_that_matches(
    con: Any, rules: list[dict[str, Any]], row: dict[str, Any], expected: tuple[Any, Any, Any]
) -> None:
    assert owner(con, rules, **row) == expected


@pytest.mark.parametrize("text", [*HOSTILE, "a.b", "a+b", "(a", "[ab]", "^a$", "a|b", "a b", "#-&~", "\\d", "$1"])
def test_a_name_is_matched_as_written_and_kept_as_written(con: Any, text: str) -> None:
    labels = {"team": text}
    exact = rule({"team": text}, project="hit")
    glob = rule({"team": f"{text}*"}, project="hit")
    middle = rule({"team": f"*{text[1:]}"}, project="hit")
    assert [owner(con, [r], labels=labels)[0] for r in (exact, glob, middle)] == ["hit"] * 3
    assert owner(con, [exact, glob], labels={"team": f"x{text}"})[0] == "unknown"
    assert owner(con, [BY_TEAM], labels=labels)[0] == text


def test_wildcards_cross_line_ends_and_nothing_else_is_special() -> None:
    assert glob_to_regex("a.b*") == "(?s)^a\\.b.*$"


def test_a_model_the_source_names_stays_unless_a_rule_names_one(con: Any) -> None:
    rows = table(EnergyReadings, [{}]).mutate(model_id=ibis.literal("from-source"), source=ibis.literal("meters"))
    rules = [rule({"source": "meters"}, project="p"), rule({"source": "meters"}, model_id="mine")]
    models = [rows_of(con, attribute(rows, [Rule.model_validate(r)]))[0]["model_id"] for r in rules]
    assert models == ["from-source", "mine"]


@pytest.mark.parametrize("word", ["idle", "unknown"])
def test_an_owner_that_is_called_like_our_words_for_none_stays_an_owner(con: Any, word: str) -> None:
    labels = {"team": word, "model_name": word}
    assert owner(con, [BY_TEAM], labels=labels) == (f"{word} (as named)", f"{word} (as named)", "inference")
    assert owner(con, [BY_TEAM], labels={"team": f"{word}s"})[0] == f"{word}s"


def test_a_rule_on_the_node_takes_its_one_name_or_the_source_s_own(con: Any) -> None:
    rows = table(EnergyReadings, [{"node_id": "gpu-a"}]).mutate(raw_node_id=ibis.literal("GPU-A.dc1.example"))
    for pattern in ("gpu-a", "*.dc1.example"):
        (found,) = rows_of(con, attribute(rows, [Rule.model_validate(rule({"node_id": pattern}, project="p"))]))
        assert found["project"] == "p"
