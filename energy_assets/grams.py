"""Grid factors as a person types them: a number, and the unit where it is typed too.

What belongs here: reading them. What does not: which of them can be right (`sources/intensity.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

_TYPED = re.compile(r"([0-9]*[.]?[0-9]+)\s*(?:(k?g)(?:\s*CO2(?:e|eq)?)?(?:\s*/\s*kWh)?)?", re.IGNORECASE)


@dataclass(frozen=True)
class Grams:
    """Grams of CO2e per kWh.

    Attributes:
        value: In grams.
        typed: As it was typed.
        unit: Whether the unit was typed too.
    """

    value: Decimal
    typed: str
    unit: bool

    @classmethod
    def of(cls, text: str) -> Grams:
        """Read what was typed: `363.5`, `363.5 g`, `0.3635 kg`, `0.3635 kgCO2e/kWh`.

        Args:
            text: As typed; without a unit it is grams.

        Raises:
            ValueError: it is no number, or of another unit.
        """
        found = _TYPED.fullmatch(text.strip())
        if not found:
            raise ValueError(f"'{text}' is no grid factor; write 363.5, or with its unit '0.3635 kg' (per kWh)")
        unit = (found[2] or "").lower()
        return cls(Decimal(found[1]) * (1000 if unit == "kg" else 1), text.strip(), bool(unit))
