"""Units of indicators of one's own, and whether they say what the numbers are.

What belongs here: how a unit is read, and the numbers that its words ask for. What does not: which words there are
(`contracts/measures.py`), and what may be added at all (`own_kpis.py`).

A unit is `word`, `number word` or `weighted word`, on each side of a ' per ', with the basis of emissions in
parentheses. A word that is not known is refused: nobody could say whether a factor of a thousand hides in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from energy_assets.contracts.expressions import Term
from energy_assets.contracts.measures import MONEY, SCALES, Measure

SHARE = "share"
WEIGHTED = "weighted"
"""Before a word: the numbers are weights, which no unit could judge."""
MULTIPLES = {"k": 10**3, "thousand": 10**3, "M": 10**6, "million": 10**6, "billion": 10**9}
NUMBER = re.compile(r"(?P<digits>[1-9]\d{0,2}(,\d{3})+|[1-9]\d*)(?P<multiple>[kM])?", re.ASCII)
NOTE = re.compile(r"\s*\(([^()]*)\)")
CURRENCY = re.compile("[A-Z]{3}")
PRICE = re.compile(
    "AED|AFN|ALL|AMD|AOA|ARS|AUD|AWG|AZN|BAM|BBD|BDT|BGN|BHD|BIF|BMD|BND|BOB|BRL|BSD|BTN|BWP|BYN|BZD|CAD|CDF|"
    "CHF|CLP|CNY|COP|CRC|CUP|CVE|CZK|DJF|DKK|DOP|DZD|EGP|ERN|ETB|EUR|FJD|FKP|GBP|GEL|GHS|GIP|GMD|GNF|GTQ|GYD|"
    "HKD|HNL|HTG|HUF|IDR|ILS|INR|IQD|IRR|ISK|JMD|JOD|JPY|KES|KGS|KHR|KMF|KPW|KRW|KWD|KYD|KZT|LAK|LBP|LKR|LRD|"
    "LSL|LYD|MAD|MDL|MGA|MKD|MMK|MNT|MOP|MRU|MUR|MVR|MWK|MXN|MYR|MZN|NAD|NGN|NIO|NOK|NPR|NZD|OMR|PAB|PEN|PGK|"
    "PHP|PKR|PLN|PYG|QAR|RON|RSD|RUB|RWF|SAR|SBD|SCR|SDG|SEK|SGD|SHP|SLE|SOS|SRD|SSP|STN|SVC|SYP|SZL|THB|TJS|"
    "TMT|TND|TOP|TRY|TTD|TWD|TZS|UAH|UGX|USD|UYU|UZS|VED|VES|VND|VUV|WST|XAF|XCD|XOF|XPF|YER|ZAR|ZMW|ZWG"
)
"""Currencies that a price may be in (ISO 4217): what looks like a code, as KWH or TOK, need not be one."""


@dataclass(frozen=True)
class _Side:
    """One side of a unit: its number, its word, and whether its numbers are weights."""

    number: Decimal
    word: str
    weighted: bool


def unit_says(unit: str, above: Sequence[Term], below: Sequence[Term] | None, category: str | None) -> None:
    """Refuses a unit that does not say what the numbers are, or that they do not fit.

    Args:
        unit: As the site file has it.
        above: Terms of the numerator.
        below: Terms of the denominator; None for a sum.
        category: Of the GHG Protocol, of all of them; None where none holds emissions.

    Raises:
        ValueError: it does not; with what to write.
    """
    if unit == SHARE:
        _share(above, below)
        return
    spelt = re.sub(r"\b(mg|g|kg|t) (?=CO2e\b)", r"\1", " ".join(unit.replace("₂", "2").replace("³", "3").split()))
    top, _, bottom = spelt.partition(" per ")
    if (below is None) != (not bottom):
        raise ValueError(f"unit: '{unit}' " + ("has a 'per', but there is no denominator" if bottom else
                         "must say what it is per, as in 'kWh per request', or be share"))  # fmt: skip
    _basis(unit, spelt, {term.measure.basis for term in (*above, *(below or ())) if term.measure.basis}, category)
    _fits("numerator", NOTE.sub("", top), above)
    if below:
        _fits("denominator", NOTE.sub("", bottom), below)


def plain(number: Decimal) -> str:
    """A number without exponent and trailing zeros."""
    return f"{number.normalize():f}"


def _share(above: Sequence[Term], below: Sequence[Term] | None) -> None:
    if below is None or below[0].measure.unit != above[0].measure.unit:
        raise ValueError("unit: a share has a numerator and a denominator of the same unit")
    factors = {abs(term.factor): term for term in (*above, *below)}
    if len(factors) > 1:
        one, other = list(factors.values())[:2]
        raise ValueError(
            f"unit: a share multiplies both sides with the same number, and {one} and {other} have different ones; "
            "leave the numbers out"
        )


def _basis(unit: str, spelt: str, bases: set[str], category: str | None) -> None:
    """The parentheses hold the basis of the emissions and nothing else; of several, their category will do."""
    said = {word.strip() for note in NOTE.findall(spelt) for word in re.split("[,+]", note)}
    if not bases and said:
        raise ValueError(f"unit: parentheses hold the basis of emissions, and '{unit}' is of none; leave them out, and "
                         "say in the label what they say")  # fmt: skip
    named = {category} if category else set()
    if said not in (bases, bases | named) and not (len(bases) > 1 and said == named):
        raise ValueError(
            f"unit: '{unit}' does not say which emissions it is of; write '({', '.join(sorted(bases))})' behind the "
            "unit, in these words and no others"
        )


def _fits(key: str, text: str, terms: Sequence[Term]) -> None:
    """The word is known for the measure, and tells with the number what each term must be multiplied with."""
    side, measure = _read(key, text), terms[0].measure
    words = measure.words
    if measure.unit == MONEY and CURRENCY.fullmatch(side.word):
        words = {side.word: "1"}
    if side.word not in words:
        _unknown(key, side, measure)
        return
    wanted = Decimal(words[side.word])
    if side.weighted:
        if wanted != 1 or side.number != 1:
            raise ValueError(f"unit: '{text.strip()}' in the {key}: numbers that are weights are of {measure.name} in "
                             f"its own unit, {measure.unit}, without a number before it")  # fmt: skip
        return
    wrong = [term for term in terms if abs(term.factor) * side.number != wanted]
    if wrong:
        own = side.word if measure.unit == MONEY else measure.unit
        raise ValueError(
            f"unit: {wrong[0]} is not in '{text.strip()}': multiply it by {plain(wanted / side.number)}, or say "
            f"another unit in the {key}; numbers that are weights are in '{WEIGHTED} {own}'"
        )


def _unknown(key: str, side: _Side, measure: Measure) -> None:
    """A price makes money of any numerator; every other word that the measure does not know is refused."""
    if any(side.word in words for words in SCALES.values()):
        raise ValueError(
            f"unit: the {key} adds {measure.name}, which is in {measure.unit}; no number makes {side.word} of it"
        )
    if key == "numerator" and measure.unit != MONEY and PRICE.fullmatch(side.word):
        return
    known = "the code of its currency, as EUR (1)" if measure.unit == MONEY else ", ".join(
        f"{word} ({plain(Decimal(factor) / side.number)})" for word, factor in measure.words.items())  # fmt: skip
    raise ValueError(
        f"unit: '{side.word}' is no known unit of {measure.name} in the {key}; write one of these, and multiply "
        f"{measure.name} by the number behind it: {known}. Thousands go before it, as in '1,000 requests', and what "
        "else there is to say goes into the label"
    )


def _read(key: str, text: str) -> _Side:
    words = text.split()
    number = Decimal(1)
    if words and words[0][0].isdigit():
        found = NUMBER.fullmatch(words[0])
        if not found:
            raise ValueError(f"unit: '{words[0]}' in the {key} is no whole number such as 1000 or 1,000, with a blank "
                             "before the word that follows")  # fmt: skip
        number = Decimal(found["digits"].replace(",", "")) * MULTIPLES.get(found["multiple"] or "", 1)
        words = words[1:]
    while words and words[0] in MULTIPLES:
        number *= MULTIPLES[words[0]]
        words = words[1:]
    weighted = words[:1] == [WEIGHTED]
    words = words[weighted:]
    if not words:
        raise ValueError(f"unit: '{text.strip()}' names no unit in the {key}")
    return _Side(number, " ".join(words), weighted)
