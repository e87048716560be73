"""Matchers: which series of a metric are meant, from site.yaml to PromQL.

What belongs here: the short form of a matcher and its escaping. What does not: queries.

A value is meant literally (`package`), as one of several (`[package, dram]`), or as a regular expression after a tilde
(`~package.*`), which whole values must match; an exclamation mark before any of them turns it round (`!idle`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]


def _readable(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(value, tuple):
        marked = [one for one in value if one[:1] in {"~", "!"}]
        if marked or not value:
            raise ValueError("a list holds one or more literal values; ~ and ! are for a single value")
        return value
    pattern = value.removeprefix("!")
    if pattern.startswith("~"):
        try:
            re.compile(pattern[1:])
        except re.error as error:
            raise ValueError(f"{pattern[1:]!r} is no regular expression: {error}") from None
    return value


MatchValue = Annotated[str | tuple[str, ...], AfterValidator(_readable)]
"""A value, several, `~` and a regular expression, or one of them after `!`."""


def matcher(label: str, value: str | tuple[str, ...]) -> str:
    """A matcher in PromQL.

    Args:
        label: The label's name.
        value: In the short form of site.yaml.
    """
    if isinstance(value, tuple):
        return one_of(label, value)
    negated, text = value.startswith("!"), value.removeprefix("!")
    if text.startswith("~"):
        return f"{label}{'!~' if negated else '=~'}{_text(text[1:])}"
    return f"{label}{'!=' if negated else '='}{_text(text)}"


def matchers(match: Mapping[str, str | tuple[str, ...]]) -> tuple[str, ...]:
    """Matchers in PromQL, in the order of the site file."""
    return tuple(matcher(label, value) for label, value in match.items())


def one_of(label: str, values: Iterable[str]) -> str:
    """A matcher for any of some values, taken literally.

    Args:
        label: The label's name.
        values: At least one; special characters have no meaning.
    """
    return f"{label}=~{_text('|'.join(_literal(value) for value in values))}"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _literal(value: str) -> str:
    return "".join(f"\\{char}" if char in r"\.+*?()|[]{}^$" else char for char in value)
