"""Lines of site.yaml that are proposed to a person, and how places are called beside them."""

from __future__ import annotations

from collections.abc import Sequence


def place_name(provider: str | None, region: str | None) -> str:
    """A place as it is called in a sentence.

    Args:
        provider: Who runs it, if that is known.
        region: Its region, if it has one.
    """
    return " ".join(part for part in (provider, region or "without a region") if part)


def quoted(value: str | None) -> str:
    """A YAML text, in quotes, so that numbers and colons stay text.

    Args:
        value: The text.
    """
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def added(key: str, lines: Sequence[str]) -> str:
    """The remedy that adds lines below a key.

    Args:
        key: A key of site.yaml.
        lines: As they stand in the file.
    """
    return "\n".join([f"Add to site.yaml under `{key}:`", *lines])
