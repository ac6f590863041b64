"""What one rule reads from the facts of a SoC: a value with the bounds that make it comparable, before it becomes a `Cell`.

The bounds say what a statement means for a product. A price of a bare SoC is less than the price of what is built with it, so it is a floor;
a junction temperature is above any ambient temperature it allows, so it is a ceiling. A statement about another thing than the one asked
never becomes a value without such a bound and a note.
"""

from __future__ import annotations

import math
import re

import msgspec

from harness.decide.catalogue import Fact, Soc
from harness.decide.terms import Note
from harness.quantity import Kind

CLAIM_WORDS = re.compile(
    r"\babout\b|estimate|broker|\bexpected\b|hardware model|not confirmed|informally|not stated|not disclosed|not printed|if the ", re.IGNORECASE
)
"""A source that speaks so does not state a figure of its own: it claims one."""
PRODUCTS = re.compile(
    r"radxa|\brock\b|rock \d|orange pi|raspberry pi|arduino|ventuno|rdk [xs]\d|lattepanda|nucleo|beaglebone|rubik pi|armsom|turing rk\d|\bnx\d\b",
    re.IGNORECASE,
)
"""Boards and modules that the sources call by name without the word board."""
LARGEST = 1e15
"""No fact in its own unit is larger; beyond it a file holds a slip, and arithmetic would leave the finite numbers."""


class Reading(msgspec.Struct, frozen=True):
    """A value in the SI unit of the metric, what lies within `floor` and `ceil`, and why. `value` None: see `reason`."""

    value: float | None = None
    floor: float | None = None
    """None: the value itself"""
    ceil: float | None = None
    sigma: float = 0.0
    used: tuple[Fact, ...] = ()
    """the facts behind it, the one that gives the value first"""
    notes: tuple[Note, ...] = ()
    reason: Note | None = None
    claimed: bool = False
    """whether the wording makes it a claim, whatever the kind of source"""


def positive(fact: Fact | None) -> float | None:
    """The number of a fact if it is above zero and believable, else None."""
    number = fact.number if fact else None
    return number if number is not None and 0 < number < LARGEST else None


def winning(soc: Soc, attribute: str) -> tuple[Fact, float] | None:
    """The winning fact of `attribute` with its positive number, or None."""
    fact = soc.facts.get(attribute)
    number = positive(fact)
    return (fact, number) if fact is not None and number is not None else None


def nothing(soc: Soc, *attributes: str) -> Reading:
    """No value: because nothing is stated, or because what is stated could not be read."""
    for attribute in attributes:
        if fact := soc.facts.get(attribute):
            return unreadable(fact)
    if any(soc.others.get(attribute) for attribute in attributes):
        return Reading(reason=Note("part-only-others", {"soc": soc.name}))
    return Reading(reason=Note("part-missing", {"soc": soc.name}))


def unreadable(fact: Fact, key: str = "part-unreadable") -> Reading:
    """No value, because the fact does not say what is asked; `key` says what is lacking."""
    return Reading(reason=Note(key, {"text": fact.value, "fact": fact.id}))


def stated_for(fact: Fact) -> tuple[Note, ...]:
    """The condition that the source attaches, in its own words."""
    return (Note("part-condition", {"text": fact.condition}),) if fact.condition else ()


def claims(*texts: str) -> bool:
    """Whether a wording makes a statement a claim."""
    return any(CLAIM_WORDS.search(text) for text in texts)


def of_a_board(fact: Fact) -> bool:
    """Whether the condition names a board, module, kit or box: another one with the same chip may be better."""
    return bool(
        re.search(r"board|module|\bsom\b|\bkit\b|\bevk\b|\bbox\b|computer|carrier", fact.condition, re.IGNORECASE) or PRODUCTS.search(fact.condition)
    )


_PUBLISHED = re.compile(r"price$|board_power_|soc_power_")


def kind_of(fact: Fact) -> Kind:
    """How strong one fact is. Prices and measured powers of others are published figures; a specification at second hand stays a specification."""
    if fact.source_kind == "survey":
        return Kind.CLAIMED
    if fact.source_kind in ("third_party", "reseller") and _PUBLISHED.match(fact.attribute):
        return Kind.PUBLISHED
    return Kind.DATASHEET


def bounded(reading: Reading) -> tuple[float, float]:
    """(floor, ceil) of a reading; both infinite where there is no value."""
    if reading.value is None:
        return -math.inf, math.inf
    floor = reading.value if reading.floor is None else min(reading.floor, reading.value)
    ceil = reading.value if reading.ceil is None else max(reading.ceil, reading.value)
    return floor, ceil
