"""The screen of the command line: what goes to its two outputs, and how a command ends.

What belongs here: the consoles, and stopping with a sentence. What does not: what is said.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from energy_assets.exit_codes import WRONG_USE
from energy_assets.secrets import masked


class _Screen(Console):
    """The terminal, on which no secret is shown that a server repeated."""

    def print(self, *objects: Any, **kwargs: Any) -> None:
        """As rich prints."""
        super().print(*(masked(thing) if isinstance(thing, str) else thing for thing in objects), **kwargs)


out = _Screen(highlight=False, emoji=False)
err = _Screen(stderr=True, highlight=False, emoji=False)


def stop(message: str, code: int = WRONG_USE) -> NoReturn:
    """End the command with a sentence.

    Args:
        message: What is wrong and what to do.
        code: See `exit_codes`.
    """
    err.print(escape(message), soft_wrap=True)
    sys.exit(code)
