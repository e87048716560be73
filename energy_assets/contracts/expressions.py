"""Expressions of indicators of one's own: `facility_kwh[workload_type == 'training'] - 0.5 * energy_kwh`.

What belongs here: reading such a text into sums of measures, and refusing everything else. What does not: what a sum
may mean (`own_kpis.py`), and computing it. The text is parsed by Python's own parser into a syntax tree of which a
dozen kinds of nodes are allowed; nothing of it is ever run. What is read is a linear sum, number × measure, because
then days add up to months exactly: sum first, divide last.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from energy_assets.contracts.measures import MEASURES, WORDS, Measure

LONGEST = 500
"""Characters of an expression."""
MOST_TERMS = 12
DIGITS = re.compile(r"\d{1,9}(\.\d{1,9})?")
"""A number as it must be written, so that it is exact."""
GRAMMAR = (
    "an expression adds measures: names, numbers that multiply them, + - * and parentheses, and conditions in brackets "
    "such as facility_kwh[workload_type == 'training']"
)
_FORBIDDEN = {
    ast.Div: "there is no division in an expression; write what is divided by under `denominator`",
    ast.FloorDiv: "there is no division in an expression; write what is divided by under `denominator`",
    ast.Pow: "there are no powers",
    ast.Mod: "there is no modulo",
}


class ExpressionError(ValueError):
    """The text is no expression; the message names what is wrong and what is allowed."""


@dataclass(frozen=True)
class Condition:
    """Rows whose column has one of some values; `unknown` is also what is not stated.

    Attributes:
        column: Of the measure's table.
        values: At least one.
    """

    column: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{self.column} == {self.values[0]!r}"
        return f"{self.column} in {self.values!r}"


@dataclass(frozen=True)
class Term:
    """A number times the sum of a measure over the rows that meet some conditions.

    Attributes:
        measure: What is added up.
        conditions: All must hold; in the order of their columns.
        factor: What the sum is multiplied with; not zero.
    """

    measure: Measure
    conditions: tuple[Condition, ...] = ()
    factor: Decimal = Decimal(1)

    def values_of(self, column: str) -> tuple[str, ...] | None:
        """What a column of its rows may be; None: anything.

        Args:
            column: Of its table.
        """
        found = [one.values for one in self.conditions if one.column == column]
        return found[0] if found else None

    def narrowed(self, conditions: Iterable[Condition]) -> Term:
        """The same over fewer rows.

        Args:
            conditions: Further ones; of a column that has one already, what both allow.

        Raises:
            ExpressionError: the table has no such column, or no row can meet all conditions.
        """
        return replace(self, conditions=_joined(self.measure, [*self.conditions, *conditions]))

    def disjoint(self, other: Term) -> bool:
        """Whether no row can be in both."""
        return any(
            set(one.values).isdisjoint(values)
            for one in self.conditions
            if (values := other.values_of(one.column)) is not None
        )

    def __str__(self) -> str:
        chosen = f"[{', '.join(map(str, self.conditions))}]" if self.conditions else ""
        times = "" if abs(self.factor) == 1 else f"{abs(self.factor):f} * "
        return f"{times}{self.measure.name}{chosen}"


def parsed(text: str) -> tuple[Term, ...]:
    """The terms of an expression, in the order in which they are written; equal ones are one.

    Args:
        text: As the site file has it.

    Raises:
        ExpressionError: it is none.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"has {len(text)} characters; {LONGEST} are the most")
    if not text.isascii() and (outside := re.sub(r"'[^']*'|\"[^\"]*\"", "", text)) and not outside.isascii():
        strange = next(sign for sign in outside if not sign.isascii())
        raise ExpressionError(f"'{strange}' stands outside of quotes; {GRAMMAR}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, Warning) as error:
        raise ExpressionError(_unread(text.strip(), error)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError(f"cannot be read; {GRAMMAR}") from None
    reader = _Reader(text.strip())
    number, terms = reader.sum_of(tree)
    if number:
        raise ExpressionError(f"{number:f} stands alone; a number multiplies a measure, for it has no rows to add up")
    kept = tuple(term for term in terms if term.factor)
    if not kept:
        raise ExpressionError(f"nothing is left of it; it must hold a measure: {', '.join(MEASURES)}")
    if len(kept) > MOST_TERMS:
        raise ExpressionError(f"adds {len(kept)} sums; {MOST_TERMS} are the most")
    wide = [term for term in kept if not DIGITS.fullmatch(f"{abs(term.factor.normalize()):f}")]
    if wide:
        raise ExpressionError(f"{abs(wide[0].factor):f} has more than 9 digits before or behind the point")
    return kept


class _Reader:
    """Walks the syntax tree; knows the text, to quote it and to read numbers exactly."""

    def __init__(self, text: str) -> None:
        self.text = text

    def sum_of(self, node: ast.expr) -> tuple[Decimal, list[Term]]:
        """A number and terms that are added to it."""
        if isinstance(node, ast.Constant):
            return self.number(node), []
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _times(Decimal(-1), self.sum_of(node.operand))
        if isinstance(node, ast.BinOp):
            return self.joined(node)
        if isinstance(node, ast.Name):
            return Decimal(0), [Term(self.measure(node))]
        if isinstance(node, ast.Subscript):
            return Decimal(0), [self.chosen(node)]
        raise self.no(node)

    def joined(self, node: ast.BinOp) -> tuple[Decimal, list[Term]]:
        """Two sums added, subtracted, or one multiplied with a number."""
        for kind, why in _FORBIDDEN.items():
            if isinstance(node.op, kind):
                raise ExpressionError(f"'{self.quote(node)}': {why}")
        left, right = self.sum_of(node.left), self.sum_of(node.right)
        if isinstance(node.op, ast.Mult):
            if left[1] and right[1]:
                raise ExpressionError(
                    f"'{self.quote(node)}' multiplies two measures; only a number may multiply one, "
                    "for products of sums do not add up from day to day"
                )
            return _times(right[0], left) if left[1] else _times(left[0], right)
        if isinstance(node.op, ast.Sub):
            right = _times(Decimal(-1), right)
        elif not isinstance(node.op, ast.Add):
            raise self.no(node)
        return left[0] + right[0], _merged([*left[1], *right[1]])

    def number(self, node: ast.Constant) -> Decimal:
        """A number, exactly as it is written."""
        said = self.quote(node)
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            raise self.no(node)
        if not DIGITS.fullmatch(said):
            raise ExpressionError(f"'{said}' is no number such as 1000 or 0.001, of at most 9 digits on either side")
        return Decimal(said)

    def measure(self, node: ast.expr) -> Measure:
        """The measure that a name is of."""
        if not isinstance(node, ast.Name):
            raise self.no(node)
        if node.id not in MEASURES:
            raise ExpressionError(f"'{node.id}' is no measure{_nearest(node.id, MEASURES)}")
        return MEASURES[node.id]

    def chosen(self, node: ast.Subscript) -> Term:
        """A measure with its conditions in brackets."""
        measure = self.measure(node.value)
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        flat: list[ast.expr] = []
        for one in inside:
            flat += one.values if isinstance(one, ast.BoolOp) and isinstance(one.op, ast.And) else [one]
        return Term(measure, _joined(measure, [self.condition(one) for one in flat]))

    def condition(self, node: ast.expr) -> Condition:
        """`column == 'value'` or `column in ('value', 'other')`."""
        how = f"'{self.quote(node)}' is no condition; one is: column == 'value', or column in ('one', 'other')"
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.left, ast.Name):
            raise ExpressionError(how)
        (operator,), (right,) = node.ops, node.comparators
        if isinstance(operator, (ast.NotEq, ast.NotIn)):
            raise ExpressionError(
                f"'{self.quote(node)}': rows are chosen by what they are; of all but some, subtract those: "
                "energy_kwh - energy_kwh[workload_type == 'idle']"
            )
        if isinstance(operator, ast.Eq):
            return Condition(node.left.id, (self.value(right),))
        if isinstance(operator, ast.In) and isinstance(right, (ast.Tuple, ast.List)) and right.elts:
            return Condition(node.left.id, tuple(sorted({self.value(one) for one in right.elts})))
        raise ExpressionError(how)

    def value(self, node: ast.expr) -> str:
        """A text in quotes; a whole number as text."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            return node.value
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return str(node.value)
        raise ExpressionError(f"'{self.quote(node)}' is no value; write it in quotes")

    def no(self, node: ast.AST) -> ExpressionError:
        """What is not allowed."""
        return ExpressionError(f"'{self.quote(node)}' is not allowed; {GRAMMAR}")

    def quote(self, node: ast.AST) -> str:
        """The text of a node."""
        return ast.get_source_segment(self.text, node) or self.text


def _times(number: Decimal, of: tuple[Decimal, list[Term]]) -> tuple[Decimal, list[Term]]:
    return number * of[0], [replace(term, factor=number * term.factor) for term in of[1]]


def _merged(terms: Iterable[Term]) -> list[Term]:
    """Equal sums as one, with their factors added."""
    found: dict[tuple[str, tuple[Condition, ...]], Term] = {}
    for term in terms:
        key = (term.measure.name, term.conditions)
        before = found[key].factor if key in found else Decimal(0)
        found[key] = replace(term, factor=before + term.factor)
    return list(found.values())


def _joined(measure: Measure, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Conditions by column, each column once."""
    found: dict[str, tuple[str, ...]] = {}
    for one in conditions:
        if one.column not in measure.columns:
            close = _nearest(one.column, measure.columns)
            raise ExpressionError(f"'{one.column}' is no column that rows of {measure.name} are chosen by{close}")
        words = WORDS.get(one.column)
        strange = [value for value in one.values if words and value not in words]
        if strange and words:
            raise ExpressionError(f"{one.column} is never '{strange[0]}'{_nearest(strange[0], words)}")
        both = tuple(value for value in found.get(one.column, one.values) if value in one.values)
        if not both:
            raise ExpressionError(f"no row of {measure.name} can meet both conditions on {one.column}")
        found[one.column] = both
    return tuple(Condition(column, values) for column, values in sorted(found.items()))


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, 1, 0.6)
    hint = f"; did you mean '{close[0]}'?" if close else ";"
    return f"{hint} there are {', '.join(names)}"


def _unread(text: str, error: Exception) -> str:
    """Where the parser gave up."""
    at = max((getattr(error, "offset", None) or 1) - 1, 0)
    near = text[at : at + 20].split("\n")[0]
    if not text:
        return f"is empty; {GRAMMAR}"
    equals = "; conditions are written with two equals signs" if re.search(r"[^=!<>]=[^=]", text) else ""
    where = f"at '{near}'" if near else "at its end"
    return f"cannot be read {where}{equals}; {GRAMMAR}"
