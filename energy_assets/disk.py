"""What errors of the disk mean to a person, whichever library met them, and what to do.

What belongs here: telling a full, read-only or forbidden disk, or damaged bytes on it, from every other error, by the
number that the system gave. What does not: printing it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator

from energy_assets.integrity import DamagedError

_FULL = "the disk is full. Free some space there, then run the same command again"
_FORBIDDEN = "no permission. Give this user the right to it, or name another folder: storage.root in the site file"
_READ_ONLY = "the disk is read-only. Name a folder that can be written: storage.root in the site file"
_TOO_LARGE = f"a file may not grow so far (ulimit -f), or {_FULL}"
_MEANS = {
    errno.EFBIG: _TOO_LARGE,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}
_NUMBER = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)")
_WORDS = {
    "No space left on device": _FULL,
    "File too large": _TOO_LARGE,
    "Read-only file system": _READ_ONLY,
    "Permission denied": _FORBIDDEN,
    "database or disk is full": _FULL,
    "disk I/O error": "the disk cannot be written: it is full or damaged. Free some space there, then run the same "
    "command again",
    "attempt to write a readonly database": _READ_ONLY,
    "unable to open database file": _FORBIDDEN,
}
"""What engines say that leave the number out."""
_PATH = re.compile(r"(?:^|[\s'\"`(])(/[^'\"`\n:]+)")


def trouble(error: BaseException, where: str = "the storage") -> str | None:
    """What an error of the disk means and what to do; None of any other.

    Args:
        error: With all errors that led to it.
        where: Named where no error names a path.
    """
    chain = list(_chain(error))
    damaged = next((str(one) for one in chain if isinstance(one, DamagedError)), None)
    return damaged or trouble_of((f"{one}" for one in chain), where)


def trouble_of(messages: Iterable[str], where: str = "the storage") -> str | None:
    """The same of the messages of an error and of those that led to it.

    Args:
        messages: From the last to the first.
        where: Named where no message names a path.
    """
    for message in messages:
        if means := _meaning(message):
            path = _PATH.search(_NUMBER.sub("", message))
            return f"{path.group(1).strip() if path else where}: {means}."
    return None


def _meaning(message: str) -> str | None:
    for found in _NUMBER.finditer(message):
        if means := _MEANS.get(int(found.group(1) or found.group(2))):
            return means
    return next((means for words, means in _WORDS.items() if words in message), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
