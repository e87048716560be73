"""Secret references: site.yaml names where a secret is, never the secret.

What belongs here: resolving `env:NAME` and `file:/path`, and the registry other schemes are added to.
What does not: using the secret. A resolved value is read at the moment of use and kept nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


class SecretError(Exception):
    """A reference that cannot be resolved; the message names the reference and the remedy."""


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(f"env:{name}: the environment variable {name} is not set; export it before the run")
    return value


def _from_file(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretError(f"file:{path}: cannot be read ({error.strerror}); create it or correct the path") from error


RESOLVERS: dict[str, Callable[[str], str]] = {"env": _from_environment, "file": _from_file}


def known_scheme(reference: str) -> str:
    """The reference itself, when it is one.

    Raises:
        ValueError: it is no reference; the message does not repeat it.
    """
    scheme, separator, rest = reference.partition(":")
    if not separator or scheme not in RESOLVERS or not rest:
        known = ", ".join(f"{name}:…" for name in RESOLVERS)
        raise ValueError(f"write a reference to the secret, not the secret itself: one of {known}")
    return reference


SecretRef = Annotated[str, AfterValidator(known_scheme)]
"""A reference such as `env:EM_TOKEN`; checked when the site file is read, resolved by `reveal`."""


def reveal(reference: str) -> str:
    """The secret a reference points to.

    Raises:
        SecretError: it is not there.
    """
    scheme, _, rest = reference.partition(":")
    return RESOLVERS[scheme](rest)


def revealed(options: Mapping[str, str]) -> dict[str, str]:
    """Options in which every value that is a reference is replaced by its secret.

    Raises:
        SecretError: one is not there.
    """
    return {key: reveal(value) if value.partition(":")[0] in RESOLVERS else value for key, value in options.items()}
