"""How many of what, in a sentence.

What belongs here: the form of a noun beside its number. What does not: whole sentences.
"""

from __future__ import annotations


def counted(count: int, noun: str, several: str = "") -> str:
    """`1 day`, `1,200 days`.

    Args:
        count: How many there are.
        noun: Of one.
        several: Of more, where it is not the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"
