"""Which column of a file is which of ours: as the site file says, else by the names that are known for it.

What belongs here: matching the names of a header. What does not: which columns a source needs, and their units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from energy_assets.sources.errors import MalformedError


def shown(header: Iterable[str]) -> str:
    """The names of a header, for a message.

    Args:
        header: Of a file.
    """
    return ", ".join(f"'{column.strip()}'" for column in header)


def matched(
    header: Sequence[str], file: str, stated: Mapping[str, str], known: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The file's own names by ours, of those that it has.

    Args:
        header: Of the file.
        file: What messages call it.
        stated: The file's names by ours, as `columns` in site.yaml says them.
        known: By our name, in small letters, what files may call it.

    Raises:
        MalformedError: a stated column is not there, or two may be the same.
    """
    spelled = {column.strip(): column for column in header}
    lower = {column.casefold(): column for column in spelled}
    found: dict[str, str] = {}
    for ours, theirs in stated.items():
        if theirs.strip() not in spelled:
            raise MalformedError(
                f"{file}: has no column '{theirs}' (`columns: {ours}`); it has {shown(header)}",
                "Correct this key of the source in site.yaml, or the header of the file.",
            )
        found[ours] = spelled[theirs.strip()]
    for ours, spellings in known.items():
        mine = [lower[one] for one in dict.fromkeys(spellings) if one in lower] if ours not in found else []
        if len(mine) > 1:
            raise MalformedError(
                f"{file}: {' and '.join(repr(one) for one in mine)} may both be `{ours}`",
                f"Name the right one in this source of site.yaml: columns: {{{ours}: …}}.",
            )
        if mine:
            found[ours] = spelled[mine[0]]
    return found
