"""Why a limit is met, not met or unknown, as a `Note`, so that it can be said in both languages.

What differs by language inside a sentence goes in twice, under a name ending in `_en` and one ending in `_zh`.
"""

from __future__ import annotations

import math
from functools import lru_cache

from harness.decide.demand import Bound
from harness.decide.shown import value_text
from harness.decide.terms import Cell, Note
from harness.quantity import STRENGTH
from harness.words import LANGUAGES, say


def both(stem: str, key: str, /, **values: str) -> dict[str, str]:
    """The sentence `key` in each language, under `stem`_en and `stem`_zh."""
    return {f"{stem}_{language}": say(key, language, **values) for language in LANGUAGES}


@lru_cache(4096)
def _worth(value: float, metric: str, language: str) -> str:
    """`value` for a reader; a yes or no in its language."""
    if metric == "w4a16":
        return say("decision-yes" if value >= 0.5 else "decision-no", language)
    return value_text(value, metric)


@lru_cache(512)
def _asked(bound: Bound) -> dict[str, str]:
    key = "decision-at-most" if bound.at_most else "decision-at-least"
    return {f"asked_{one}": say(key, one, bound=_worth(bound.bound, bound.metric, one)) for one in LANGUAGES}


def _known(cell: Cell) -> dict[str, str]:
    """What is known of a value, by language: itself, or the side on which it is bounded."""
    if cell.value is None:
        return both("known", "decision-nothing")
    low, high = cell.floor, cell.ceil
    found = {}
    for language in LANGUAGES:
        if low == high or (math.isinf(low) and math.isinf(high)):
            found[f"known_{language}"] = _worth(cell.value, cell.metric, language)
        elif math.isinf(high):
            found[f"known_{language}"] = say("decision-at-least", language, bound=_worth(low, cell.metric, language))
        elif math.isinf(low) or low <= 0 < high:
            found[f"known_{language}"] = say("decision-at-most", language, bound=_worth(high, cell.metric, language))
        else:
            ends = _worth(low, cell.metric, language), _worth(high, cell.metric, language)
            found[f"known_{language}"] = say("decision-between", language, low=ends[0], high=ends[1])
    return found


def why(bound: Bound, cell: Cell, state: str, probability: float) -> Note:
    """Why a limit is met, not met or unknown: what is asked, what is known, and what is lacking."""
    values = _asked(bound) | _known(cell)
    if cell.value is None:
        return Note("decision-limit-unknown", values)
    if state != "unknown":
        return Note("decision-limit-met" if state == "met" else "decision-limit-not-met", values)
    kinds = {
        f"{stem}_{language}": say(f"decision-kind-{kind}", language)
        for stem, kind in (("kind", cell.evidence.kind), ("accept", bound.accept))
        for language in LANGUAGES
    }
    if STRENGTH[cell.evidence.kind] > STRENGTH[bound.accept]:
        return Note("decision-limit-weak", values | kinds | {"probability": f"{probability:.2f}"})
    key = "decision-limit-open" if cell.floor < cell.ceil else "decision-limit-close"
    return Note(key, values | {"probability": f"{probability:.2f}"})
