"""What is known of a part itself: one `Cell` for every question that is not about a workload.

Each rule turns the facts of a SoC into a `Reading` (see power.py, endurance.py, capacity.py); here it becomes a cell with its evidence, with
the facts that did not answer and why, and with bounds that say what a statement about something else means for the question.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec

from harness.decide.catalogue import KINDS, Fact, Soc
from harness.decide.parts import capacity, endurance, power
from harness.decide.parts.reading import Reading, bounded, kind_of
from harness.decide.terms import METRICS, Cell, Note
from harness.quantity import Evidence, Kind


class _Rule(msgspec.Struct, frozen=True):
    read: Callable[[Soc, dt.date], Reading]
    attributes: tuple[str, ...]
    """the facts that are of this question, whether used or not"""


_RULES = {
    "power": _Rule(lambda soc, _: power.power(soc), ("board_power_idle_w", *power.POWER, "tdp_min_w", *power.ROOFS)),
    "price": _Rule(power.price, ("price",)),
    "memory": _Rule(lambda soc, _: capacity.memory(soc), ("max_memory_gb",)),
    "bandwidth": _Rule(lambda soc, _: capacity.bandwidth(soc), ("memory_bandwidth_gb_s",)),
    "tops": _Rule(lambda soc, _: capacity.tops(soc), ("peak_tops_int8_dense", "peak_tops_int8_sparse")),
    "longevity": _Rule(endurance.longevity, ("longevity_until", "longevity_years")),
    "video_decode": _Rule(lambda soc, _: capacity.video(soc, "decode"), ("video_decode",)),
    "video_encode": _Rule(lambda soc, _: capacity.video(soc, "encode"), ("video_encode",)),
    "temperature_min": _Rule(lambda soc, _: endurance.temperature(soc, "min"), ("temp_min_c",)),
    "temperature_max": _Rule(lambda soc, _: endurance.temperature(soc, "max"), ("temp_max_c",)),
    "safety": _Rule(lambda soc, _: endurance.safety(soc), ("functional_safety",)),
    "w4a16": _Rule(lambda soc, _: capacity.w4a16(soc), ("w4a16_support",)),
    "can_fd": _Rule(lambda soc, _: capacity.can(soc), ("can_fd",)),
}


def part_cell(soc: Soc, metric: str, today: dt.date) -> Cell:
    """What the facts say of `metric` on the day `today`, in the SI unit of the metric. Raises ValueError for a metric of a workload."""
    rule = _RULES.get(metric)
    if rule is None:
        raise ValueError(f"{metric!r} is not asked of a part; those are {', '.join(_RULES)}")
    reading = rule.read(soc, today)
    floor, ceil = bounded(reading)
    lead = reading.used[0] if reading.used else None
    return Cell(
        soc=soc.id,
        metric=metric,
        workload="",
        value=reading.value,
        unit=METRICS[metric].unit,
        evidence=_evidence(lead, reading),
        sigma=reading.sigma,
        floor=floor,
        ceil=ceil,
        variable=f"{soc.id}/{metric}",
        figures=tuple(one.id for one in reading.used),
        lost=tuple(_lost(soc, rule, reading)),
        reason=reading.reason,
        notes=(*reading.notes, *_hearsay(lead)),
    )


def _evidence(lead: Fact | None, reading: Reading) -> Evidence:
    if lead is None:
        return Evidence(Kind.MISSING)
    kind = Kind.CLAIMED if reading.claimed else kind_of(lead)
    return Evidence(kind, lead.source, lead.source_date, lead.note)


def _hearsay(lead: Fact | None) -> tuple[Note, ...]:
    """Whose word it is, where it is not the maker's own."""
    if lead is None or kind_of(lead) is Kind.PUBLISHED:
        return (Note("part-second-hand"),) if lead and lead.second_hand else ()
    if lead.source_kind == "survey":
        return (Note("part-survey"),)
    if lead.source_kind in ("third_party", "reseller") or lead.second_hand:
        return (Note("part-second-hand"),)
    return ()


def _lost(soc: Soc, rule: _Rule, reading: Reading) -> list[tuple[str, str]]:
    """The facts of the question that are not behind the value, each with why."""
    lost: list[tuple[str, str]] = []
    taken = {one.id for one in reading.used}
    for attribute in rule.attributes:
        won = soc.facts.get(attribute)
        stated = (*((won,) if won else ()), *soc.others.get(attribute, ()))
        lost += [(one.id, _why(one, won, reading)) for one in stated if one.id not in taken]
    return lost


def _why(one: Fact, won: Fact | None, reading: Reading) -> str:
    """Why a fact does not answer, in a sentence."""
    if one.attribute == "price" and one.unit != "USD":
        return f"in {one.unit}: exchange rates are not evidence"
    if one.use == "alt":
        return "of another power mode, variant, board or item, or doubtful"
    if won is None or one is won:
        return "says nothing that can be used here" if reading.value is None else "another quantity than the one used"
    if KINDS.index(one.source_kind) > KINDS.index(won.source_kind):
        return f"a {won.source_kind.replace('_', ' ')} goes before a {one.source_kind.replace('_', ' ')}"
    if one.second_hand and not won.second_hand:
        return "second-hand, while another source of the same kind was read itself"
    return "another source of the same kind is newer or stands before it"
