"""Limits of YAML that people write: what no person wrote is refused before anything is built of it.

What belongs here: counting while the text is parsed. What does not: what the text means. Aliases make a few lines into
billions of values, and brackets a text that no reader comes to the end of.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent

MOST_CHARACTERS, MOST_DEPTH, MOST_VALUES = 4_000_000, 40, 200_000
"""Far above what a company of thousands of sources and places writes."""


def too_much(text: str) -> str:
    """Why a text is none that a person wrote; empty where it may be one, or is no YAML at all.

    Args:
        text: Of a file.
    """
    if len(text) > MOST_CHARACTERS:
        return f"has {len(text):,} characters, and at most {MOST_CHARACTERS:,} are read. Is it the right file?"
    count = _Count()
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if said := count.add(event):
                line = event.start_mark.line + 1 if event.start_mark else 1
                return f"line {line}: {said}"
    except (yaml.YAMLError, ValueError):
        return ""  # said, with its line, when the text is read
    return ""


@dataclass
class _Count:
    """What was met so far.

    Attributes:
        open: Anchor of each mapping or list that is open, and how many values it has with its aliases followed.
        sizes: Values of everything that has an anchor.
    """

    open: list[tuple[str | None, int]] = field(default_factory=lambda: [(None, 0)])
    sizes: dict[str, int] = field(default_factory=dict)

    def add(self, event: Event) -> str:
        """Count one more; says what is wrong with it."""
        if isinstance(event, CollectionStartEvent):
            self.open.append((event.anchor, 0))
            if len(self.open) > MOST_DEPTH + 1:
                return f"is nested more than {MOST_DEPTH} deep; a bracket or the indentation is wrong there"
        elif isinstance(event, CollectionEndEvent):
            self._count(*self.open.pop())
        elif isinstance(event, ScalarEvent):
            self._count(event.anchor, 0)
        elif isinstance(event, AliasEvent):
            if event.anchor not in self.sizes:
                return f"*{event.anchor} names nothing that is complete before it; write it out"
            self._count(None, self.sizes[event.anchor] - 1)
        if self.open[-1][1] > MOST_VALUES:
            return f"has more than {MOST_VALUES:,} values once its aliases (*name) are followed"
        return ""

    def _count(self, anchor: str | None, size: int) -> None:
        """One more value with `size` others in it."""
        if anchor:
            self.sizes[anchor] = size + 1
        outer, before = self.open[-1]
        self.open[-1] = (outer, before + size + 1)
