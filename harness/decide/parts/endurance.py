"""Where, how long and how safely a part may be used: temperature, supply, functional safety.

Temperature: the question is the ambient of the product. A rating of a module or board, or one that says ambient, is that itself, for what can
be bought; another board with the same chip may be rated wider, so a board's rating of a chip is only the least that is possible. A junction
or thermal-plate temperature is above any ambient temperature it allows: a ceiling for the highest, while the lowest is that of a cold
start, when all temperatures are equal. A range whose basis is not stated is read as a junction temperature, the reading that promises least.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Literal

from harness.decide.catalogue import Fact, Soc
from harness.decide.parts.reading import LARGEST, Reading, claims, nothing, of_a_board, stated_for, unreadable
from harness.decide.terms import Note

_BASES = (
    ("unstated", r"not stated"),
    ("plate", r"\bttp\b|thermal plate|\bcase\b|\bt_?c\b"),
    ("junction", r"\btj\b|junction"),
    ("ambient", r"\bta\b|ambient"),
)
"""The first word of these that a condition holds decides; "not stated" goes before all."""
ABSOLUTE_ZERO = -273.15
DAYS_A_YEAR = 365.25
LONGEST = 100.0
"""No maker promises supply for more years; beyond it a file holds a slip."""


def basis(soc: Soc, fact: Fact) -> str:
    """What a temperature is of: ambient, junction, plate, module (the entry itself), board (one board with the chip), or unstated."""
    if re.search(_BASES[0][1], fact.condition, re.IGNORECASE):
        return "unstated"
    found = [(hit.start(), name) for name, pattern in _BASES[1:] if (hit := re.search(pattern, fact.condition, re.IGNORECASE))]
    if found:
        return min(found)[1]
    if of_a_board(fact):
        return "board" if soc.form == "chip" else "module"
    return "unstated" if soc.form == "chip" else "module"


def _degrees(fact: Fact) -> float | None:
    number = fact.number
    return number if number is not None and ABSOLUTE_ZERO <= number < LARGEST else None


def temperature(soc: Soc, side: Literal["min", "max"]) -> Reading:
    """The lowest or highest ambient temperature in °C."""
    attribute = f"temp_{side}_c"
    fact = soc.facts.get(attribute)
    if not fact:
        return nothing(soc, attribute)
    degrees = _degrees(fact)
    if degrees is None:
        return unreadable(fact)
    of = basis(soc, fact)
    notes = (Note(f"part-temperature-{of}"), *stated_for(fact))
    floor: float | None = None
    ceil: float | None = None
    used = [fact]
    if side == "max" and of in ("junction", "plate", "unstated"):
        floor = -math.inf
    elif of == "board" and side == "max":
        ceil = math.inf
        hotter = [one for one in soc.others.get(attribute, ()) if basis(soc, one) in ("junction", "plate") and (_degrees(one) or degrees) > degrees]
        if hotter:  # no board can be warmer outside than the chip may be inside
            used.append(max(hotter, key=lambda one: _degrees(one) or degrees))
            ceil = _degrees(used[-1])
    elif of == "board":
        floor = -math.inf
    return Reading(degrees, floor, ceil, used=tuple(used), notes=notes, claimed=claims(fact.condition) and of != "unstated")


def day_of(text: str) -> tuple[dt.date, bool] | None:
    """(the first day that "2032", "2032-01" or "2032-01-31" can mean, whether only the year is given), or None."""
    hit = re.fullmatch(r"\s*(\d{4})(?:-(\d{1,2}))?(?:-(\d{1,2}))?\s*", text, re.ASCII)
    if not hit:
        return None
    try:
        return dt.date(int(hit.group(1)), int(hit.group(2) or 1), int(hit.group(3) or 1)), hit.group(2) is None
    except ValueError:
        return None


def _end_of(fact: Fact, years: float) -> dt.date | None:
    """The day until which a programme promises supply, where its condition names that day or the start of the programme."""
    last = re.search(r"not before (\d{4}(?:-\d\d)?(?:-\d\d)?)", fact.condition, re.ASCII)
    if last and (day := day_of(last.group(1))):
        return day[0]
    start = re.search(r"\b(?:from|since|launched|introduced) (\d{4}(?:-\d\d)?(?:-\d\d)?)", fact.condition, re.ASCII)
    if start and "rolling" not in fact.condition and (day := day_of(start.group(1))) and day[0].year + years < dt.MAXYEAR:
        return day[0] + dt.timedelta(days=years * DAYS_A_YEAR)
    return None


def longevity(soc: Soc, today: dt.date) -> Reading:
    """Years from today for which supply is promised.

    An end date is exact; a year alone counts to its first day. A programme of so many years without its start can be nearly over or have
    just begun: anything between nothing and its length, and the middle where one number is needed.
    """
    until = soc.facts.get("longevity_until")
    if until and (end := day_of(until.value)):
        notes = (Note("part-longevity-year" if end[1] else "part-longevity-until", {"date": until.value}), *stated_for(until))
        return Reading(_years(today, end[0]), used=(until,), notes=notes, claimed=claims(until.condition))
    fact = soc.facts.get("longevity_years")
    length = fact.number if fact else None
    if fact is None or length is None or not 0 < length <= LONGEST:
        return nothing(soc, "longevity_until", "longevity_years")
    if day := _end_of(fact, length):
        notes = (Note("part-longevity-until", {"date": day.isoformat()}), *stated_for(fact))
        return Reading(_years(today, day), used=(fact,), notes=notes, claimed=claims(fact.condition))
    if spread := re.search(r"(\d{1,2})\s*(?:-|–|to)\s*(\d{1,2})\s*years", fact.condition, re.ASCII):
        length = max(length, float(spread.group(2)))
    notes = (Note("part-longevity-programme", {"years": f"{length:g}"}), *stated_for(fact))
    return Reading(length / 2, 0.0, length, used=(fact,), notes=notes, claimed=claims(fact.condition))


def _years(today: dt.date, end: dt.date) -> float:
    return max((end - today).days / DAYS_A_YEAR, 0.0)


_LEVELS = {"ASIL-A": 1, "SIL-1": 1, "ASIL-B": 2, "SIL-2": 2, "ASIL-C": 3, "ASIL-D": 4, "SIL-3": 4}
_CLAIM = re.compile(
    r"certificate not read|no certificate|wording|designed to support|capable|platform claim|compliant|targeting|summary|\bready\b|designed to",
    re.IGNORECASE,
)


def safety(soc: Soc) -> Reading:
    """Functional safety as an index of `terms.SAFETY`. Of several levels the lowest is the value, the highest the ceiling.

    Without a certificate that somebody names, the word of a third party is a claim.
    """
    fact = soc.facts.get("functional_safety")
    if not fact:
        return nothing(soc, "functional_safety")
    found = re.findall(r"\b(ASIL|SIL)[- ]?([A-D]|[1-3])\b", fact.value.upper(), re.ASCII)
    levels = [_LEVELS[key] for kind, level in found if (key := f"{kind}-{level}") in _LEVELS]
    notes = (Note("part-safety", {"text": fact.value}),)
    if levels:
        words = f"{fact.value} {fact.condition}"
        hearsay = fact.source_kind in ("third_party", "reseller") and not re.search(r"T[UÜ]V|exida|certificate", words)
        return Reading(float(min(levels)), ceil=float(max(levels)), used=(fact,), notes=notes, claimed=hearsay or bool(_CLAIM.search(words)))
    if re.search(r"^(no|none)\b|\btargeting no\b|\bQM\b|not certified", fact.value.strip(), re.IGNORECASE):
        return Reading(0.0, used=(fact,), notes=notes)
    return unreadable(fact, "part-safety-no-level")
