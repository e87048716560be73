"""PromQL, read: text to syntax tree, with the types checked as Prometheus checks them.

What belongs here: lexer, precedence parser and the tree, for the part of the language that energy_assets and
its dashboards ask. What does not: evaluation (`promql_eval.py`). A query outside this part is refused, never
answered differently from Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NoReturn, cast

from energy_assets.sandbox.series import NAME, Matcher, PatternError

Kind = Literal["scalar", "instant vector", "range vector", "string"]

RANGE_FUNCTIONS = frozenset(
    {
        "avg_over_time",
        "changes",
        "count_over_time",
        "last_over_time",
        "max_over_time",
        "min_over_time",
        "present_over_time",
        "resets",
        "sum_over_time",
    }
)
VECTOR_FUNCTIONS = frozenset({"timestamp"})
AGGREGATIONS = frozenset({"sum", "max", "min", "count", "group", "avg"})
SET_OPERATORS = frozenset({"and", "or", "unless"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_PRECEDENCE = {"or": 1, "and": 2, "unless": 2, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5} | dict.fromkeys(COMPARISONS, 3)
_UNARY_PRECEDENCE = 6
_REFUSED_OPERATORS = frozenset({"atan2", "^"})
"""Prometheus computes these with Go's own mathematics, whose last digit may differ from ours."""


class QueryError(Exception):
    """A query that Prometheus would refuse as bad data; the message is its message."""


class UnsupportedError(Exception):
    """A query that Prometheus would answer and this stand-in does not."""


@dataclass(frozen=True)
class Number:
    """A scalar."""

    value: float


@dataclass(frozen=True)
class Selector:
    """An instant vector straight from storage."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0


@dataclass(frozen=True)
class RangeSelector:
    """A range vector straight from storage."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True)
class Call:
    """A function of one argument."""

    function: str
    argument: Expression


@dataclass(frozen=True)
class Aggregation:
    """A sum, maximum and so on over series."""

    op: str
    argument: Expression
    labels: tuple[str, ...]
    without: bool


@dataclass(frozen=True)
class Negation:
    """Unary minus."""

    argument: Expression


@dataclass(frozen=True)
class Matching:
    """Which labels two vectors are matched on."""

    labels: tuple[str, ...] = ()
    on: bool = False
    group: Literal["", "left", "right"] = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binary:
    """An operator between two expressions."""

    op: str
    left: Expression
    right: Expression
    returns_bool: bool = False
    matching: Matching = Matching()


Expression = Number | Selector | RangeSelector | Call | Aggregation | Negation | Binary


def kind_of(tree: Expression) -> Kind:
    """The type of an expression's value."""
    match tree:
        case Number():
            return "scalar"
        case RangeSelector():
            return "range vector"
        case Negation(argument):
            return kind_of(argument)
        case Binary(left=left, right=right) if kind_of(left) == kind_of(right) == "scalar":
            return "scalar"
        case _:
            return "instant vector"


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?")
_TOKENS = re.compile(
    r"""(?P<space>[\s]+|\#[^\n]*)
    |(?P<duration>(?:\d+(?:ms|[smhdwy]))+)(?![A-Za-z0-9_])
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?:[iI][nN][fF]|[nN][aA][nN])(?![A-Za-z0-9_:]))
    |(?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<op>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){}\[\],@:])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def duration_ms(text: str) -> int:
    """Milliseconds of a duration such as `1h30m`.

    Raises:
        ValueError: no duration, or the units are not in falling order.
    """
    found = _DURATION.fullmatch(text)
    if not found or not text:
        raise ValueError(f'not a valid duration string: "{text}"')
    units = ("y", "w", "d", "h", "m", "s", "ms")
    return sum(int(n) * _UNIT_MS[unit] for n, unit in zip(found.groups(), units, strict=True) if n)


def parse(text: str) -> Expression:
    """Read a query.

    Raises:
        QueryError: Prometheus would refuse it too.
        UnsupportedError: it is PromQL, but beyond what the stand-in evaluates.
    """
    return _Parser(text).parse()


class _Parser:
    """Recursive descent with operator precedence; one instance per query."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._lex()
        self.at = 0

    def parse(self) -> Expression:
        if self.peek.kind == "end":
            self.fail(0, "no expression found in input")
        tree = self.expression(0)
        if self.peek.kind != "end":
            self.unexpected(self.peek)
        return tree

    # -- tokens

    def _lex(self) -> list[_Token]:
        tokens, at = [], 0
        while at < len(self.text):
            found = _TOKENS.match(self.text, at)
            if not found:
                quote = self.text[at] in "\"'`"
                self.fail(at, "unterminated quoted string" if quote else f"unexpected character: {self.text[at]!r}")
            kind = str(found.lastgroup)
            if kind != "space":
                tokens.append(_Token(kind, found.group(), at))
            at = found.end()
        return [*tokens, _Token("end", "", len(self.text))]

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def took(self, text: str) -> bool:
        if self.peek.kind in ("op", "word") and self.peek.text.lower() == text:
            self.take()
            return True
        return False

    def expect(self, text: str, context: str) -> None:
        if not self.took(text):
            self.unexpected(self.peek, context, f', expected "{text}"')

    def fail(self, at: int, message: str) -> NoReturn:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        raise QueryError(f"{line}:{column}: parse error: {message}")

    def unexpected(self, token: _Token, context: str = "", expected: str = "") -> NoReturn:
        where = f" in {context}" if context else ""
        if token.kind == "end":
            if unclosed := self._unclosed():
                self.fail(token.start, unclosed)
            self.fail(token.start, f"unexpected end of input{where}{expected}")
        names = {"word": "identifier", "number": "number", "duration": "duration", "string": "string"}
        shown = f"{names[token.kind]} " if token.kind in names else ""
        self.fail(token.start, f"unexpected {shown}{_quoted(token.text)}{where}{expected}")

    def _unclosed(self) -> str | None:
        """What Prometheus' lexer says of a query that ends too early."""
        texts = [token.text for token in self.tokens if token.kind == "op"]
        for opening, closing, message in (
            ("{", "}", "unexpected end of input inside braces"),
            ("[", "]", "unclosed left bracket"),
            ("(", ")", "unclosed left parenthesis"),
        ):
            if texts.count(opening) > texts.count(closing):
                return message
        return None

    # -- expressions

    def expression(self, floor: int) -> Expression:
        start = self.peek.start
        left = self.unary()
        while (op := self.operator()) is not None and _PRECEDENCE[op] > floor:
            operator = self.take()
            returns_bool = self.bool_modifier(op, operator.start)
            matching = self.matching(op)
            right_start = self.peek.start
            right = self.expression(_PRECEDENCE[op])
            self.check_operands(op, left, right, (start, right_start, operator.start), returns_bool, matching)
            left = Binary(op, left, right, returns_bool, matching)
        return left

    def operator(self) -> str | None:
        text = self.peek.text.lower() if self.peek.kind in ("op", "word") else ""
        if text in _REFUSED_OPERATORS:
            raise UnsupportedError(f"the sandbox does not evaluate the operator {text}")
        return text if text in _PRECEDENCE else None

    def bool_modifier(self, op: str, at: int) -> bool:
        if not self.took("bool"):
            return False
        if op not in COMPARISONS:
            self.fail(at, "bool modifier can only be used on comparison operators")
        return True

    def matching(self, op: str) -> Matching:
        for word in ("on", "ignoring"):
            if self.took(word):
                labels = self.label_list()
                break
        else:
            return Matching()
        sides: tuple[Literal["left", "right"], ...] = ("left", "right")
        for side in sides:
            at = self.peek.start
            if self.took(f"group_{side}"):
                if op in SET_OPERATORS:
                    self.fail(at, f'no grouping allowed for "{op}" operation')
                include = self.label_list() if self.peek.text == "(" else ()
                return Matching(labels, word == "on", side, include)
        return Matching(labels, word == "on")

    def check_operands(
        self,
        op: str,
        left: Expression,
        right: Expression,
        at: tuple[int, int, int],
        returns_bool: bool,
        matching: Matching,
    ) -> None:
        kinds = (kind_of(left), kind_of(right))
        for kind, start in zip(kinds, at, strict=False):
            if kind not in ("scalar", "instant vector"):
                self.fail(start, "binary expression must contain only scalar and instant vector types")
        if op in SET_OPERATORS and "scalar" in kinds:
            self.fail(at[0], f'set operator "{op}" not allowed in binary scalar expression')
        if op in COMPARISONS and kinds == ("scalar", "scalar") and not returns_bool:
            self.fail(at[2], "comparisons between scalars must use BOOL modifier")
        if "scalar" in kinds and matching.labels:
            self.fail(at[0], "vector matching only allowed between instant vectors")

    def unary(self) -> Expression:
        token = self.peek
        if token.text not in ("-", "+"):
            return self.postfix()
        self.take()
        argument = self.expression(_UNARY_PRECEDENCE - 1)
        if kind_of(argument) not in ("scalar", "instant vector"):
            self.fail(
                token.start,
                "unary expression only allowed on expressions of type scalar or instant vector, "
                f'got "{kind_of(argument)}"',
            )
        if isinstance(argument, Number):
            return Number(-argument.value) if token.text == "-" else argument
        return Negation(argument) if token.text == "-" else argument

    def postfix(self) -> Expression:
        start = self.peek.start
        tree = self.atom()
        if self.took("["):
            tree = self.range_of(tree, start)
        if self.peek.text == "@" and self.peek.kind == "op":
            raise UnsupportedError("the sandbox does not evaluate the @ modifier")
        if self.took("offset"):
            tree = self.with_offset(tree, start)
        return tree

    def range_of(self, tree: Expression, start: int) -> Expression:
        span = self.duration("range")
        if self.peek.text.startswith(":"):
            raise UnsupportedError("the sandbox does not evaluate subqueries")
        self.expect("]", "subquery or range")
        if not isinstance(tree, Selector):
            self.fail(start, "ranges only allowed for vector selectors")
        return RangeSelector(tree, span)

    def with_offset(self, tree: Expression, start: int) -> Expression:
        sign = -1 if self.took("-") else 1
        offset = sign * self.duration("offset")
        if isinstance(tree, Selector):
            return Selector(tree.matchers, offset)
        if isinstance(tree, RangeSelector):
            return RangeSelector(Selector(tree.selector.matchers, offset), tree.range_ms)
        self.fail(
            start,
            "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        )

    def duration(self, context: str) -> int:
        token = self.take()
        if token.kind != "duration":
            self.unexpected(token, context, ", expected duration")
        try:
            span = duration_ms(token.text)
        except ValueError as error:
            self.fail(token.start, str(error))
        if span == 0 and context != "offset":
            self.fail(token.start, "duration must be greater than 0")
        return span

    def atom(self) -> Expression:
        token = self.take()
        if token.kind == "number":
            return Number(_number(token.text))
        if token.text == "(":
            inner = self.expression(0)
            self.expect(")", "")
            return inner
        if token.text == "{":
            self.at -= 1
            return self.selector("", token.start)
        if token.kind != "word":
            self.unexpected(token)
        return self.named(token)

    def named(self, token: _Token) -> Expression:
        word, following = token.text.lower(), self.peek.text.lower()
        if word in AGGREGATIONS and following in ("(", "by", "without"):
            return self.aggregation(word)
        if following == "(":
            return self.call(token)
        return self.selector(token.text, token.start)

    def aggregation(self, op: str) -> Aggregation:
        grouping = self.grouping()
        self.expect("(", "aggregation")
        start = self.peek.start
        argument = self.expression(0)
        self.expect(")", "aggregation")
        grouping = grouping or self.grouping() or ((), False)
        if kind_of(argument) != "instant vector":
            self.fail(start, f"expected type instant vector in aggregation expression, got {kind_of(argument)}")
        return Aggregation(op, argument, *grouping)

    def grouping(self) -> tuple[tuple[str, ...], bool] | None:
        for word in ("by", "without"):
            if self.took(word):
                return self.label_list(), word == "without"
        return None

    def label_list(self) -> tuple[str, ...]:
        self.expect("(", "grouping opts")
        names: list[str] = []
        while not self.took(")"):
            token = self.take()
            if token.kind != "word" or ":" in token.text:
                self.unexpected(token, "grouping opts", ", expected label")
            names.append(token.text)
            if not self.took(",") and self.peek.text != ")":
                self.unexpected(self.peek, "grouping opts", ', expected "," or ")"')
        return tuple(names)

    def call(self, token: _Token) -> Expression:
        name = token.text
        if name not in RANGE_FUNCTIONS | VECTOR_FUNCTIONS:
            if name in _OTHER_FUNCTIONS:
                raise UnsupportedError(f"the sandbox does not evaluate {name}()")
            self.fail(token.start, f"unknown function with name {_quoted(name)}")
        self.expect("(", "")
        if self.took(")"):
            self.fail(token.start, f'expected 1 argument(s) in call to "{name}", got 0')
        start = self.peek.start
        argument = self.expression(0)
        self.expect(")", "")
        wanted: Kind = "range vector" if name in RANGE_FUNCTIONS else "instant vector"
        if kind_of(argument) != wanted:
            self.fail(start, f'expected type {wanted} in call to function "{name}", got {kind_of(argument)}')
        return Call(name, argument)

    # -- selectors

    def selector(self, name: str, start: int) -> Selector:
        matchers = [Matcher(NAME, "=", name)] if name else []
        if self.took("{"):
            while not self.took("}"):
                matchers.append(self.matcher(name, start))
                if not self.took(",") and self.peek.text != "}":
                    self.unexpected(self.peek, "label matching", ', expected "," or "}"')
        if all(matcher.matches("") for matcher in matchers):
            self.fail(start, "vector selector must contain at least one non-empty matcher")
        return Selector(tuple(matchers))

    def matcher(self, name: str, start: int) -> Matcher:
        label = self.take()
        if label.kind != "word" or ":" in label.text:
            self.unexpected(label, "label matching", ', expected identifier or "}"')
        op = self.take()
        if op.text not in ("=", "!=", "=~", "!~"):
            self.unexpected(op, "label matching", ", expected label matching operator")
        value = self.take()
        if value.kind != "string":
            self.unexpected(value, "label matching", ", expected string")
        if name and label.text == NAME:
            self.fail(start, f'metric name must not be set twice: "{name}" or "{_unquoted(value.text)}"')
        try:
            return Matcher(label.text, cast(Literal["=", "!=", "=~", "!~"], op.text), _unquoted(value.text))
        except PatternError as error:
            self.fail(label.start, str(error))


def _number(text: str) -> float:
    return float(int(text, 16)) if text[:2].lower() == "0x" else float(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquoted(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]

    def replace(found: re.Match[str]) -> str:
        code = found.group(1)
        if code[0] in "xuU":
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if len(code) == 3 else _ESCAPES.get(code, code)

    unescape: Callable[[re.Match[str]], str] = replace
    return _ESCAPE.sub(unescape, text[1:-1])


_OTHER_FUNCTIONS = frozenset(
    [
        *("abs", "absent", "absent_over_time", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clamp"),
        *("clamp_max", "clamp_min", "cos", "cosh", "day_of_month", "day_of_week", "day_of_year", "days_in_month"),
        *("deg", "delta", "deriv", "exp", "floor", "histogram_quantile", "holt_winters", "hour", "idelta"),
        *("increase", "irate", "label_join", "label_replace", "ln", "log10", "log2", "minute", "month", "pi"),
        *("predict_linear", "quantile_over_time", "rad", "rate", "round", "scalar", "sgn", "sin", "sinh", "sort"),
        *("sort_desc", "sqrt", "stddev_over_time", "stdvar_over_time", "tan", "tanh", "time", "vector", "year"),
    ]
)
"""Functions of Prometheus 2.42 that the stand-in refuses by name, so that nobody takes them for misspelt."""
