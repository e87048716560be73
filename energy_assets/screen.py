"""The screen of the command line: what goes to its two outputs, and how a command ends.

What belongs here: the consoles, the exit codes, and stopping with a sentence. What does not: what is said.
"""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

FAILED, WRONG_USE, HOLES, INTERRUPTED = 1, 2, 3, 130
"""Exit codes beside 0, which says that everything is whole: something failed; the command or the site file is wrong;
done, with holes; somebody pressed Ctrl-C."""
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

_FORBIDDEN = "no permission. Give this user the right to it, or name another folder: storage.root in the site file"
_DISK = {
    errno.ENOSPC: "the disk is full. Free some space there, then run the same command again",
    errno.EDQUOT: "the quota of the disk is used up. Free some space there, then run the same command again",
    errno.EROFS: "the disk is read-only. Name a folder that can be written: storage.root in the site file",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}


def stop(message: str, code: int = WRONG_USE) -> NoReturn:
    """End the command with a sentence.

    Args:
        message: What is wrong and what to do.
        code: See the exit codes.
    """
    err.print(escape(message), soft_wrap=True)
    sys.exit(code)


def of_disk(error: OSError) -> str | None:
    """What an error of the disk means and what to do; None of one that is not the disk's.

    Args:
        error: As the system raised it.
    """
    if error.errno not in _DISK:
        return None
    return f"{error.filename or 'the storage'}: {_DISK[error.errno]}."
