"""The screen of the command line: what goes to its two outputs, and how a command ends.

What belongs here: the consoles, the exit codes, and stopping with a sentence. What does not: what is said.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

FAILED, WRONG_USE, HOLES, INTERRUPTED = 1, 2, 3, 130
"""Exit codes beside 0, which says that everything is whole: something failed; the command or the site file is wrong;
done, with holes; somebody pressed Ctrl-C."""
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def stop(message: str, code: int = WRONG_USE) -> NoReturn:
    """End the command with a sentence.

    Args:
        message: What is wrong and what to do.
        code: See the exit codes.
    """
    err.print(escape(message), soft_wrap=True)
    sys.exit(code)
