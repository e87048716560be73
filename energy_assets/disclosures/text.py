"""Names from tags made safe to look at. Markup escaping is the templates' work, not done here."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache

from energy_assets.disclosures.places import reports_folder

NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: Longer words than these are no words of a language but identifiers.
LONG_WORD = re.compile(r"\S{25,}")
BREAK = "\N{ZERO WIDTH SPACE}"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def visible(text: str) -> str:
    r"""`text` with everything that cannot be seen written out.

    Line breaks, control characters, bidirectional overrides and lone surrogates would break a line, an XML
    document or the reader's trust; they appear as `\n` or `U+202E`.
    """
    return "".join(NAMED.get(c) or (_code(c) if unicodedata.category(c)[0] == "C" else c) for c in text)


def printable(text: str) -> str:
    """`text` with characters that the bundled font lacks written as `U+XXXX`; PDF/UA forbids missing glyphs."""
    return text if text.isascii() else "".join(c if _in_font(ord(c)) else _code(c) for c in text)


def breakable(text: str) -> str:
    """`text` with places to break inside words too long for a table cell; invisible, and only for the PDF."""
    return LONG_WORD.sub(lambda word: BREAK.join(re.findall(r"\S{1,12}", word.group())), text)


def spreadsheet_safe(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula: a leading apostrophe where it would."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _in_font(code: int) -> bool:
    return any(first <= code <= last for first, last in _ranges())


@cache
def _ranges() -> tuple[tuple[int, int], ...]:
    content = json.loads((reports_folder() / "fonts" / "coverage.json").read_text(encoding="utf-8"))
    return tuple((first, last) for first, last in content["ranges"])
