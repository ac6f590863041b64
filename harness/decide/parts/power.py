"""Power and price of a part.

Power means what a product with this part draws under AI load. Stated are wall power, board power, module limits, SoC rails and accelerators
without their host; they are taken in the order AI load, power limit, CPU stress, SoC rails, and each keeps its scope:

- wall, board, system or module: the value itself; where a module has power modes, the lowest of them is the floor, because the speed was
  published for the highest and what the lower ones do is not known; where another AI load drew less, that is the floor;
- SoC only, sum of SoC rails, accelerator without host: less than what the product draws, so a floor without a ceiling;
- CPU stress: between idle and stress;
- the rating of a supply or a measured maximum alone: a ceiling.
"""

from __future__ import annotations

import datetime as dt
import math
import re

from harness.decide.catalogue import Fact, Soc
from harness.decide.parts.reading import PRODUCTS, Reading, claims, nothing, positive, stated_for, winning
from harness.decide.terms import Note, Role
from harness.quantity import Unit, text

POWER = ("board_power_ai_load_w", "tdp_max_w", "board_power_stress_w", "soc_power_load_w")
ROOFS = ("board_power_max_w", "board_supply_w")
OTHER_BOARD = 0.25
"""sd of the logarithm where another board or load stands for the one asked"""
MODULE_LIMIT = 0.10
"""the same for a maker's limit of the module, to which a carrier board adds a little"""
LIST_PRICE, SEEN_PRICE, OLD_PRICE, UNKNOWN_ITEM = 0.10, 0.15, 0.25, 0.5


def scope(soc: Soc, fact: Fact) -> str:
    """What a power fact covers: wall, board, module, chip, rails, or card (a part without its host)."""
    words = fact.condition.lower()
    if fact.attribute.startswith("soc_power") or "rail sum" in words:
        return "rails"
    if soc.role in (Role.ACCELERATOR, Role.CARD):
        return "card"
    if fact.attribute.startswith("board_"):
        return "wall" if "wall" in words else "board"
    for pattern, name in ((r"soc only|chip only", "chip"), (r"system", "board"), (r"module|\bsom\b", "module"), (r"\bcard\b", "card")):
        if re.search(pattern, words):
            return name
    return soc.form


def power(soc: Soc) -> Reading:
    """Power under AI load in W."""
    roofs = [found for attribute in ROOFS if (found := winning(soc, attribute))]
    roof = min(roofs, key=lambda one: one[1]) if roofs else None
    for attribute in POWER:
        if found := winning(soc, attribute):
            return _load(soc, *found, roof)
    if roof:
        fact, watts = roof
        return Reading(watts, floor=0.0, ceil=watts, used=(fact,), notes=(Note("part-power-roof"), *stated_for(fact)))
    return nothing(soc, *POWER, *ROOFS)


def _load(soc: Soc, fact: Fact, watts: float, roof: tuple[Fact, float] | None) -> Reading:
    covers = scope(soc, fact)
    notes = [Note(f"part-power-{covers}"), *stated_for(fact)]
    claimed = claims(fact.condition)
    if covers in ("chip", "rails", "card"):
        lower = [one for one in _lower(soc, fact, covers) if (positive(one) or watts) < watts]
        floor = min([watts, *(positive(one) or watts for one in lower)])
        used = [fact, *lower]
        ceil = math.inf
        if re.search(r"\bunder\b|up to|below", fact.condition, re.IGNORECASE):
            floor = 0.0  # an upper bound of the part says nothing of what a board with it draws at least
        if roof and covers != "card" and roof[1] >= watts:
            ceil = roof[1]
            used.append(roof[0])
            notes.append(Note("part-power-supply", {"limit": text(roof[1], Unit.WATT)}))
        return Reading(watts, floor, ceil, OTHER_BOARD, tuple(used), tuple(notes), claimed=claimed)
    if fact.attribute == "board_power_stress_w":
        idle = winning(soc, "board_power_idle_w")
        floor, used = (idle[1], [fact, idle[0]]) if idle and idle[1] < watts else (0.0, [fact])
        notes.append(Note("part-power-stress", {"idle": text(floor, Unit.WATT), "stress": text(watts, Unit.WATT)}))
        return Reading(watts, floor, watts, OTHER_BOARD, tuple(used), tuple(notes), claimed=claimed)
    return _whole(soc, fact, watts, covers, notes)


def _whole(soc: Soc, fact: Fact, watts: float, covers: str, notes: list[Note]) -> Reading:
    """The power of a board, module or system; lower power modes and other loads of it are its floor."""
    floor, used = watts, [fact]
    lowest = winning(soc, "tdp_min_w")
    if lowest and lowest[1] < watts and scope(soc, lowest[0]) in (covers, "module"):
        highest = winning(soc, "tdp_max_w")
        shown = highest[1] if highest and highest[1] > lowest[1] else watts
        notes.append(Note("part-power-modes", {"low": text(lowest[1], Unit.WATT), "high": text(shown, Unit.WATT)}))
        floor = lowest[1]
        used.append(lowest[0])
    if fact.attribute == "board_power_ai_load_w":
        loads = [one for one in soc.others.get(fact.attribute, ()) if (positive(one) or floor) < floor]
        if loads:
            least = min(loads, key=lambda one: positive(one) or floor)
            floor = positive(least) or floor
            notes.append(Note("part-power-loads", {"low": text(floor, Unit.WATT), "text": least.condition}))
            used.append(least)
    limit = fact.attribute == "tdp_max_w" and covers == "module" and fact.source_kind in ("datasheet", "vendor_page")
    sigma = MODULE_LIMIT if limit else OTHER_BOARD
    return Reading(watts, floor, watts, sigma, tuple(used), tuple(notes), claimed=claims(fact.condition))


def _lower(soc: Soc, fact: Fact, covers: str) -> list[Fact]:
    """The facts that say how little a part alone draws: its lowest figure, or for rails another load than the stress test."""
    if covers == "rails":
        loads = [one for one in (soc.facts.get("soc_power_load_w"), *soc.others.get("soc_power_load_w", ())) if one and one is not fact]
        return sorted((one for one in loads if positive(one)), key=lambda one: positive(one) or 0.0)[:1]
    lowest = soc.facts.get("tdp_min_w")
    return [lowest] if lowest and positive(lowest) else []


ITEMS = (
    ("unknown", r"not stated|module or kit"),
    ("box", r"\bbox\b|recomputer|\bcomputer\b"),
    ("kit", r"\bkit\b|\bevk\b|starter|development"),
    ("chip", r"bare soc|bare chip|chip only"),
    ("card", r"\bcard\b|\bhat\b|m\.2"),
    ("module", r"\bmodule\b|\bsom\b"),
    ("board", r"\bboard\b|" + PRODUCTS.pattern),
)
"""What a price is of, by the words of its condition; the first that fits."""


def item(fact: Fact) -> str:
    """What a price fact is the price of: module, board, kit, box, chip, card, or unknown."""
    return next((name for name, pattern in ITEMS if re.search(pattern, fact.condition, re.IGNORECASE)), "unknown")


def price(soc: Soc, today: dt.date) -> Reading:
    """Price in USD of the module or board that a product needs.

    A kit or a complete device holds more, so its price is a ceiling; a bare SoC and an accelerator without its host are less than what a
    product needs, so theirs is a floor. Where the entry is a chip, one board with it shows for how much it can be had, not that there is
    none for less: its price is a ceiling too, above that of the bare SoC where this is known.
    """
    found = winning(soc, "price")
    if not found:
        return nothing(soc, "price")
    fact, dollars = found
    what = item(fact)
    if soc.role in (Role.ACCELERATOR, Role.CARD) and what in ("module", "board", "chip", "card"):
        what = "card"
    notes = [Note(f"part-price-{what}"), *stated_for(fact)]
    sigma = LIST_PRICE if fact.source_kind in ("datasheet", "vendor_page") else SEEN_PRICE
    year = re.search(r";\s*(20\d\d)\b", fact.condition) or re.match(r"(20\d\d)", fact.source_date)
    if not year or today.year - int(year.group(1)) > 2:
        sigma = OLD_PRICE
        notes.append(Note("part-price-old", {"year": year.group(1)}) if year else Note("part-price-undated"))
    if re.search(r"sold out|estimate|expected|\babout\b", fact.condition, re.IGNORECASE):
        sigma = OLD_PRICE
    if quantity := re.search(r"\b(\d{3,})[ -]units?\b", fact.condition):
        notes.append(Note("part-price-quantity", {"quantity": quantity.group(1)}))
    floor: float | None = 0.0 if what in ("box", "kit", "unknown") else None
    ceil = math.inf if what in ("chip", "card", "unknown") else None
    used = [fact]
    if soc.form == "chip" and what in ("module", "board", "kit", "box"):
        bare = [one for one in soc.others.get("price", ()) if item(one) == "chip" and one.unit == "USD" and (positive(one) or dollars) < dollars]
        used += bare[:1]
        floor = positive(bare[0]) if bare else 0.0
        if what in ("module", "board"):
            notes.append(Note("part-price-cheaper"))
    if what == "unknown" or fact.source_kind == "survey":
        sigma = UNKNOWN_ITEM
    claimed = what == "unknown" or bool(re.search(r"estimate|expected|forum", fact.condition, re.IGNORECASE))
    return Reading(dollars, floor, ceil, sigma, tuple(used), tuple(notes), claimed=claimed)
