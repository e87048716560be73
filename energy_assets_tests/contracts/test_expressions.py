"""Expressions of indicators: what is read, and that everything else is refused with a word that helps."""

from __future__ import annotations

import builtins
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_assets.contracts.expressions import (
    LONGEST,
    MOST_TERMS,
    Condition,
    ExpressionError,
    Term,
    parsed,
)
from energy_assets.contracts.measures import MEASURES

D = Decimal
KWH, IT, REQUESTS = MEASURES["facility_kwh"], MEASURES["energy_kwh"], MEASURES["requests"]
TRAINING = (Condition("workload_type", ("training",)),)


def written(terms: tuple[Term, ...]) -> str:
    """Terms in one spelling that `parsed` must read again."""
    return " ".join(("- " if term.factor < 0 else "+ ") + str(term) for term in terms).removeprefix("+ ")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("facility_kwh", (Term(KWH),)),
        (" 1000 * facility_kwh ", (Term(KWH, (), D(1000)),)),
        ("facility_kwh * 0.001", (Term(KWH, (), D("0.001")),)),
        ("2 * (facility_kwh - 3 * energy_kwh)", (Term(KWH, (), D(2)), Term(IT, (), D(-6)))),
        ("-(energy_kwh - facility_kwh)", (Term(IT, (), D(-1)), Term(KWH))),
        ("facility_kwh + facility_kwh", (Term(KWH, (), D(2)),)),
        ("energy_kwh + facility_kwh - energy_kwh", (Term(KWH),)),
        ("(2 + 3) * requests", (Term(REQUESTS, (), D(5)),)),
        ("facility_kwh[workload_type == 'training']", (Term(KWH, TRAINING),)),
        (
            'facility_kwh[project == "a b", workload_type == "training"]',
            (Term(KWH, (Condition("project", ("a b",)), *TRAINING)),),
        ),
        (
            "facility_kwh[workload_type == 'training' and quality_tier in (2, 1)]",
            (Term(KWH, (Condition("quality_tier", ("1", "2")), *TRAINING)),),
        ),
        (
            "facility_kwh[workload_type in ('training', 'batch'), workload_type == 'training']",
            (Term(KWH, TRAINING),),
        ),
        ("requests[project == 'größe']", (Term(REQUESTS, (Condition("project", ("größe",)),)),)),
    ],
)
def test_what_an_expression_is_read_as(text: str, terms: tuple[Term, ...]) -> None:
    assert parsed(text) == terms
    assert parsed(written(terms)) == terms


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("facilty_kwh", "'facilty_kwh' is no measure; did you mean 'facility_kwh'?"),
        ("facility_kwh / 2", "there is no division in an expression; write what is divided by under `denominator`"),
        ("facility_kwh // 2", "there is no division"),
        ("facility_kwh ** 2", "there are no powers"),
        ("facility_kwh % 2", "there is no modulo"),
        ("facility_kwh * energy_kwh", "'facility_kwh * energy_kwh' multiplies two measures"),
        ("facility_kwh + 1", "1 stands alone"),
        ("7", "7 stands alone"),
        ("facility_kwh - facility_kwh", "nothing is left of it"),
        ("0 * facility_kwh", "nothing is left of it"),
        ("1e3 * facility_kwh", "'1e3' is no number such as 1000 or 0.001"),
        ("0x10 * facility_kwh", "'0x10' is no number"),
        ("1_000 * facility_kwh", "'1_000' is no number"),
        ("1j * facility_kwh", "'1j' is not allowed"),
        ("True * facility_kwh", "'True' is not allowed"),
        ("1234567890 * facility_kwh", "of at most 9 digits"),
        ("0.00001 * 0.00001 * facility_kwh", "0.0000000001 has more than 9 digits"),
        ("facility_kwh[workload_type = 'training']", "conditions are written with two equals signs"),
        ("facility_kwh[workload_type != 'idle']", "rows are chosen by what they are; of all but some, subtract those"),
        ("facility_kwh[workload_type not in ('idle',)]", "rows are chosen by what they are"),
        ("facility_kwh[workload_type == 'trainin']", "workload_type is never 'trainin'; did you mean 'training'?"),
        ("facility_kwh[projct == 'a']", "'projct' is no column that rows of facility_kwh are chosen by; did you mean"),
        ("requests[zone == 'DE']", "'zone' is no column that rows of requests are chosen by"),
        ("facility_kwh[project == team]", "'team' is no value; write it in quotes"),
        ("facility_kwh[project == '']", "is no value"),
        ("facility_kwh[project in ()]", "is no condition"),
        ("facility_kwh['a' == project]", "is no condition"),
        ("facility_kwh['a' < project < 'b']", "is no condition"),
        ("facility_kwh[project == 'a' or project == 'b']", "is no condition"),
        ("facility_kwh[0]", "is no condition"),
        ("facility_kwh[:]", "is no condition"),
        ("facility_kwh[zone == 'DE', zone == 'FR']", "no row of facility_kwh can meet both conditions on zone"),
        ("facility_kwh.real", "is not allowed"),
        ("facility_kwh()", "is not allowed"),
        ("'facility_kwh'", "is not allowed"),
        ("+facility_kwh", "is not allowed"),
        ("facility_kwh if requests else energy_kwh", "is not allowed"),
        ("lambda: facility_kwh", "is not allowed"),
        ("[x for x in facility_kwh]", "is not allowed"),
        ("facility_kwh; import os", "cannot be read"),
        ("facility_kwh -- select 1", "cannot be read"),
        ("facility_kwh; drop table cost", "cannot be read"),
        ("(" * 300 + "facility_kwh" + ")" * 150, "cannot be read"),
        ("facility_kwh\x00", "cannot be read"),
        ("1if 2else 3", "cannot be read"),
        ("requests[project == '\\d']", "cannot be read"),
        ("ｆacility_kwh", "stands outside of quotes"),
        (" + ".join(f"requests[project == '{n}']" for n in range(MOST_TERMS + 1)), f"{MOST_TERMS} are the most"),
        ("facility_kwh" + " " * LONGEST, f"{LONGEST} are the most"),
    ],
)
def test_what_is_refused_and_what_is_said(text: str, said: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        parsed(text)
    assert said in str(refused.value)


def test_the_longest_and_the_most_terms_are_read() -> None:
    assert len(parsed("facility_kwh".ljust(LONGEST))) == 1
    assert len(parsed(" + ".join(f"requests[project == '{n}']" for n in range(MOST_TERMS)))) == MOST_TERMS
    assert parsed("999999999 * requests")[0].factor == 999_999_999
    assert parsed("0.000000001 * requests")[0].factor == D("1e-9")


NAMES = [*MEASURES, *dir(builtins), "__class__", "os", "self", "cost", "emissions", "secret"]
PIECES = st.sampled_from(
    [*NAMES, "(", ")", "[", "]", "{", "}", ".", ",", ":", "=", "==", ":=", "!=", "+", "-", "*", "**", "/", "@", "~",
     "not ", "in ", "or ", "and ", "if ", " else ", "lambda ", "await ", "yield ", "'", '"', "f'", "\\", "#", "\n",
     ";", "1", "0.5", "1e9", "None", "...", "'training'", "workload_type", "select ", "--", "/*", "\x00", "é"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=80))
def test_any_text_is_a_sum_of_measures_or_refused(text: str) -> None:
    """Whatever is written: what is read is made of our names and numbers alone, and reads the same again."""
    try:
        terms = parsed(text)
    except ExpressionError:
        return
    assert terms
    assert all(MEASURES[term.measure.name] is term.measure and term.factor for term in terms)
    assert all(condition.column in term.measure.columns for term in terms for condition in term.conditions)
    assert parsed(written(terms)) == terms


FACTORS = st.decimals(min_value="-1000", max_value="1000", places=3).filter(bool)


@given(st.lists(st.tuples(FACTORS, st.sampled_from(sorted(MEASURES))), min_size=1, max_size=6))
def test_numbers_are_exact_and_equal_measures_are_one(parts: list[tuple[Decimal, str]]) -> None:
    sums: dict[str, Decimal] = {}
    for factor, name in parts:
        sums[name] = sums.get(name, D(0)) + factor
    text = "0 * requests" + "".join(f" {'-' if factor < 0 else '+'} {abs(factor)} * {name}" for factor, name in parts)
    expected = {name: factor for name, factor in sums.items() if factor}
    if not expected:
        with pytest.raises(ExpressionError):
            parsed(text)
        return
    assert {term.measure.name: term.factor for term in parsed(text)} == expected


def test_rows_that_no_condition_tells_apart_are_not_disjoint() -> None:
    def one(text: str) -> Term:
        return parsed(text)[0]

    assert one("requests[project == 'a']").disjoint(one("requests[project == 'b']"))
    assert not one("requests[project in ('a', 'b')]").disjoint(one("requests[project in ('b', 'c')]"))
    assert not one("requests[project == 'a']").disjoint(one("requests[model_id == 'b']"))
    assert not one("requests").disjoint(one("requests[project == 'a']"))
