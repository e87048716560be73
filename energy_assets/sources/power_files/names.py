"""Where a name comes from that every reading needs: columns, a constant, or the name of the file.

What belongs here: the keys of site.yaml for that, and their SQL. What does not: what a name is of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from energy_assets.contracts import vocabulary
from energy_assets.sources.base import Strict
from energy_assets.sources.errors import MalformedError
from energy_assets.sources.opening import quoted, text_sql

JOINT = "/"
"""Between the values of a name that several columns make up."""


class Name(Strict):
    """A name: of columns, the same for all rows, or from the path of the file."""

    columns: tuple[str, ...] = ()
    constant: str | None = Field(None, min_length=1, description="the same name for every row")
    from_path: str | None = Field(None, description="regular expression; its first group is the name")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum((bool(self.columns), self.constant is not None, self.from_path is not None)) != 1:
            raise ValueError(
                "is a column, a list of columns, {constant: name} or {from_path: 'regular expression (with a group)'}"
            )
        if self.from_path is not None:
            try:
                groups = re.compile(self.from_path).groups
            except re.error as error:
                raise ValueError(f"from_path is no regular expression: {error}") from None
            if not groups:
                raise ValueError("from_path needs a group around the name, such as '([^/]+)\\.csv'")
        return self

    def sql(self, key: str, path: str) -> str:
        """SQL for the name in a file; NULL where a column of it is missing or empty.

        Args:
            key: The key of site.yaml, for messages.
            path: The file's path or url, as receipts name it.

        Raises:
            MalformedError: the path does not match.
        """
        if self.constant is not None:
            return text_sql(self.constant)
        if self.from_path is not None:
            found = re.search(self.from_path, path)
            if not found or not found[1]:
                raise MalformedError(
                    f"{path}: its name has nothing for `{key}`: {self.from_path} does not match",
                    f"Correct `{key}` of this source in site.yaml, or narrow `path` to files it matches.",
                )
            return text_sql(found[1])
        return joined(self.columns)


class Kind(Strict):
    """What is metered: the same for all rows, from a column, or from the path of the file."""

    constant: str | None = None
    column: str | None = Field(None, description="column of the kind")
    from_path: str | None = Field(None, description="regular expression; its first group is the kind")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        known = vocabulary.DeviceKind.values()
        if self.constant is not None and self.constant not in known:
            raise ValueError(f"is one of {', '.join(known)}, {{column: …}} or {{from_path: …}}")
        if sum(value is not None for value in (self.constant, self.column, self.from_path)) != 1:
            raise ValueError(f"is one of {', '.join(known)}, {{column: …}} or {{from_path: …}}")
        if self.from_path is not None:
            Name(from_path=self.from_path)
        return self

    def sql(self, path: str) -> str:
        """SQL for the kind in a file; NULL where it is the same for all files.

        Args:
            path: The file's path or url.

        Raises:
            MalformedError: the path does not match.
        """
        if self.from_path is not None:
            return f"lower({Name(from_path=self.from_path).sql('device_kind', path)})"
        return f"lower({joined((self.column,))})" if self.column is not None else "NULL"


def _short_name(value: Any) -> Any:
    if isinstance(value, str):
        return {"columns": (value,)}
    if isinstance(value, list):
        return {"columns": value}
    return value


NameIn = Annotated[Name, BeforeValidator(_short_name, json_schema_input_type=str | list[str] | Name)]
KindIn = Annotated[
    Kind,
    BeforeValidator(
        lambda value: {"constant": value} if isinstance(value, str) else value, json_schema_input_type=str | Kind
    ),
]


def joined(columns: Sequence[str]) -> str:
    """SQL for a name made of columns; NULL where one of them is missing or empty."""
    parts = [f"nullif(trim(CAST({quoted(column)} AS VARCHAR)), '')" for column in columns]
    return f" || '{JOINT}' || ".join(parts) or "NULL"
