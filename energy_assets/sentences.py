"""Errors of the machine as sentences: a full disk, a folder one may not write, damaged bytes.

What belongs here: errors that no part of the product caused and whose remedy lies outside of it. What does not: errors
of sources and of site files, which know more.
"""

from __future__ import annotations

import errno

from energy_assets.integrity import DamagedError

_FULL = "make room, and run the same again; what was published is whole."
_RIGHTS = "give it the rights to the folder, or name another one as `storage.root` in the site file."
REMEDIES = {
    errno.ENOSPC: f"The disk is full: {_FULL}",
    errno.EDQUOT: f"The quota is used up: {_FULL}",
    errno.EFBIG: f"A file may not grow so far (ulimit -f), or the disk is full: {_FULL}",
    errno.EROFS: "The disk can only be read: name a folder that can be written as `storage.root` in the site file.",
    errno.EACCES: f"This user may not do that: {_RIGHTS}",
    errno.EPERM: f"This user may not do that: {_RIGHTS}",
}
"""By the number the operating system gives."""
_SAID = {
    "disk is full": errno.ENOSPC,
    "No space left": errno.ENOSPC,
    "disk I/O error": errno.ENOSPC,
    "File too large": errno.EFBIG,
    "readonly database": errno.EROFS,
    "Read-only file system": errno.EROFS,
    "unable to open database file": errno.EACCES,
    "Permission denied": errno.EACCES,
    "PermissionDenied": errno.EACCES,
}
"""How libraries that keep the number for themselves spell it."""


def sentence(error: BaseException) -> str | None:
    """What a person is told of an error of the machine; None where it is none, and a program is wrong.

    Args:
        error: That ended a command.
    """
    chain = _chain(error)
    for one in chain:
        if isinstance(one, DamagedError):
            return str(one)
    for one in chain:
        if isinstance(one, OSError) and one.errno in REMEDIES:
            where = f"{one.filename}: " if one.filename else ""
            return f"{where}{one.strerror}. {REMEDIES[one.errno]}"
    for one in chain:
        said = " ".join(str(one).split())
        number = next((number for words, number in _SAID.items() if words in said), None)
        if number is not None:
            return f"{said[:200]}. {REMEDIES[number]}"
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it came from, the first cause last."""
    found: list[BaseException] = []
    left: BaseException | None = error
    while left is not None and left not in found:
        found.append(left)
        left = left.__cause__ or left.__context__
    return found
