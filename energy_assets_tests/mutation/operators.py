"""Which changes are made: a choice of Cosmic Ray's operators, and one of our own for SQL within strings.

What belongs here: what a mutant is. What does not: which modules are changed, and running tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.operators.operator import Example, Operator

CORE = re.compile(
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|Mod_Add|BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Eq_NotEq|NotEq_Eq|In_NotIn|NotIn_In|Is_IsNot|IsNot_Is)"
    r"|NumberReplacer|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_USub|Delete_Not))"
)
"""Operators of Cosmic Ray that are used: each relation against its neighbour, each sign against the other. All
replacements of every operator by every other one would be ten times as many mutants, and most of them crash."""

_CHANGES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), change)
    for pattern, change in (
        (r" >= ", " > "),
        (r" <= ", " < "),
        (r" > ", " >= "),
        (r" < ", " <= "),
        (r" = (?!')", " <> "),
        (r" <> ", " = "),
        (r" \+ ", " - "),
        (r" - ", " + "),
        (r" \* ", " / "),
        (r" // ", " * "),
        (r" / ", " * "),
        (r"\bmin\(", "max("),
        (r"\bmax\(", "min("),
        (r"\bleast\(", "greatest("),
        (r"\bgreatest\(", "least("),
        (r"\barg_min\(", "arg_max("),
        (r"\bfirst_value\(", "last_value("),
        (r"\blast_value\(", "first_value("),
        (r"\bbool_or\(", "bool_and("),
        (r"\bbool_and\(", "bool_or("),
        (r" AND ", " OR "),
        (r" OR ", " AND "),
        (r"\bIS NULL\b", "IS NOT NULL"),
        (r"\bIS NOT NULL\b", "IS NULL"),
        (r"\bANTI JOIN\b", "SEMI JOIN"),
        (r"\bSEMI JOIN\b", "ANTI JOIN"),
        (r"\bcount\(DISTINCT ", "count("),
        (r"(?<![\w.'(])[1-9]\d*(?![\w.'])", "_next"),
    )
)
_PROSE = re.compile(r"[a-z]+,? [a-z]+,? [a-z]+,? [a-z]+ ")
_KEYWORDS = re.compile(
    r"\b(SELECT|FROM|WHERE|CASE|WHEN|OVER|GROUP BY|FILTER|JOIN|AND|OR|NULL)\b|::|[<>=*+/-] |\b(min|max|sum|least)\("
)


class MutateSql(Operator):
    """Changes one operator, function or number of SQL that stands in a string."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """One position for each change that the text of a node allows.

        Args:
            node: Of parso's tree.
        """
        if _is_sql(node):
            for _ in _changed(node.value):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The node with its text changed.

        Args:
            node: Of parso's tree.
            index: Which of the changes.
        """
        node.value = list(_changed(node.value))[index]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """What is changed into what."""
        return (
            Example("x = 'SELECT a WHERE t >= 3'", "x = 'SELECT a WHERE t > 3'"),
            Example("x = 'SELECT a WHERE t >= 3'", "x = 'SELECT a WHERE t >= 4'", occurrence=1),
            Example("x = f'max(n) OVER {w}'", "x = f'min(n) OVER {w}'"),
        )


class Provider:
    """Hands `MutateSql` to Cosmic Ray."""

    def __iter__(self) -> Iterator[str]:
        return iter((MutateSql.__name__,))

    def __getitem__(self, name: str) -> type[Operator]:
        return MutateSql


def operators() -> dict[str, Operator]:
    """Every operator that is used, by the name Cosmic Ray knows it by."""
    cosmic_ray.plugins.OPERATOR_PROVIDERS["sql"] = Provider()
    names = [name for name in cosmic_ray.plugins.operator_names() if CORE.fullmatch(name) or name.startswith("sql/")]
    return {name: cosmic_ray.plugins.get_operator(name)() for name in names}


def _is_sql(node: Any) -> bool:
    """Whether a leaf is a string, or a piece of an f-string, that holds SQL and is no docstring and no sentence."""
    if node.type not in {"string", "fstring_string"} or _is_docstring(node):
        return False
    return bool(_KEYWORDS.search(node.value)) and not _PROSE.search(node.value)


def _is_docstring(node: Any) -> bool:
    return bool(node.parent and node.parent.type in {"simple_stmt", "file_input"})


def _changed(text: str) -> Iterator[str]:
    for pattern, change in _CHANGES:
        for match in pattern.finditer(text):
            new = str(int(match.group()) + 1) if change == "_next" else change
            yield text[: match.start()] + new + text[match.end() :]
