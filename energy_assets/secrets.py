"""Secret references: site.yaml names where a secret is, never the secret.

What belongs here: resolving `env:NAME` and `file:/path`, the registry other schemes are added to, and taking secrets
out of texts. What does not: using the secret. A resolved value is read at the moment of use, and kept in this process
alone, so that `masked` knows it.

Whatever leaves the process as words passes through `masked`: the errors of sources, Python's log records, Dagster's
event log, receipts, and what the command line prints. Servers repeat credentials in error pages and redirects.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from pydantic import AfterValidator

MASK = "•••"
"""In place of a secret."""
SHORTEST = 4
"""Characters of the shortest secret that is masked: a shorter one would be found in half of all words."""
SHORTEST_CORE = 8
"""Characters of the shortest piece of base64 that is masked."""

_revealed: set[str] = set()
_SECRET_PARAMETER = re.compile(
    r"(^|[-_.])(key|apikey|token|secret|password|passwd|pwd|pass|sig|signature|credentials?|auth|authorization|sas|jwt)$",
    re.IGNORECASE,
)
"""Names of parameters of a url whose values are credentials."""
_FUNCTION_KEY = "code"
"""The parameter in which Azure takes the key of a function; in longer names it is the code of a country, say."""


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
    return protect(RESOLVERS[scheme](rest))


def protect(secret: str) -> str:
    """Have a value masked from now on, in every spelling `masked` knows.

    Args:
        secret: A value that was revealed, or one that was made of it.

    Returns:
        The same value.
    """
    if len(secret) >= SHORTEST and secret not in _revealed:
        _revealed.add(secret)
        _pattern.cache_clear()
        if logging.getLogRecordFactory() is not _masked_record:
            _records.append(logging.getLogRecordFactory())
            logging.setLogRecordFactory(_masked_record)
    return secret


def masked(text: str) -> str:
    """A text without the secrets that were revealed in this process: raw, in base64, percent-encoded or escaped.

    Args:
        text: For people or a log.
    """
    pattern = _pattern()
    return pattern.sub(MASK, text) if pattern else text


@cache
def _pattern() -> re.Pattern[str] | None:
    spellings = {spelling for secret in _revealed for spelling in _spellings(secret)}
    # The longest first: one spelling may begin another.
    ordered = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    return re.compile("|".join(map(re.escape, ordered))) if ordered else None


def _spellings(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    encoded |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in encoded}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    escaped |= {json.dumps(one)[1:-1] for one in escaped}
    cores = {core for shift in range(3) for core in _base64_cores(raw, shift) if len(core) >= SHORTEST_CORE}
    return {secret, *encoded, *escaped, *cores}


def _base64_cores(raw: bytes, shift: int) -> set[str]:
    """What base64 makes of bytes that begin `shift` bytes after a group of three, without what neighbours change."""
    standard = base64.b64encode(b"\0" * shift + raw).decode()
    core = standard.rstrip("=")
    core = core[(0, 2, 3)[shift] : -1 if core != standard else None]
    return {core, core.replace("+", "-").replace("/", "_"), quote(core, safe="")}


_records: list[Callable[..., logging.LogRecord]] = []


def _masked_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A log record whose words, and those of its exception, hold no secret."""
    record = _records[-1](*args, **kwargs)
    said = record.getMessage()
    if (clean := masked(said)) != said:
        record.msg, record.args = clean, None
    if record.exc_info:
        record.exc_text = masked(logging.Formatter().formatException(record.exc_info))
    return record


def credential_in_url(text: str) -> str:
    """What in a text is a credential that stands in a url; empty where it is no url, or has none.

    Args:
        text: Any value of a site file.

    Returns:
        Words for it, which do not repeat it.
    """
    if "://" not in text:
        return ""
    try:
        parts = urlsplit(text)
        secret = parts.password is not None or (parts.username is not None and parts.scheme in ("http", "https"))
    except ValueError:
        return ""
    if secret:
        return "a user name or password before the host"
    # Behind a `;` as well: some servers take it for `&`, and within the path. `/key=value/` alone names a partition.
    texts = [part.replace(";", "&") for part in (parts.query, parts.fragment)]
    texts += ["&".join(segment.split(";")[1:]) for segment in parts.path.split("/")]
    named = [name for text in texts for name, _ in parse_qsl(text, True)]
    found = next((name for name in named if _SECRET_PARAMETER.search(name) or name.lower() == _FUNCTION_KEY), None)
    return f"the parameter `{found}`" if found else ""


def revealed(options: Mapping[str, str]) -> dict[str, str]:
    """Options in which every value that is a reference is replaced by its secret.

    Raises:
        SecretError: one is not there.
    """
    return {key: reveal(value) if value.partition(":")[0] in RESOLVERS else value for key, value in options.items()}
