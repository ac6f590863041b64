"""What a part holds and how fast it is on paper: memory, bandwidth, nominal peak, video, W4A16, CAN."""

from __future__ import annotations

import math
import re

from harness.decide.catalogue import Fact, Soc
from harness.decide.parts.reading import Reading, nothing, of_a_board, positive, stated_for, unreadable, winning
from harness.decide.terms import Note
from harness.quantity import Unit, text

GIBI = 2**30
"""Makers write GB for memory and mean 2**30 bytes."""
TERA = 1e12
THIRD_PARTY_PEAK = 0.10
_DENSITY = re.compile(
    r"(density|sparsity|precision|basis|method|assum)\b.{0,40}(not (stated|disclosed|printed)|sparsity)|if the .{0,20}sparsity", re.IGNORECASE
)
_MODES = re.compile(r"\bmodes?\b|\bsku\b|nominal|normal", re.IGNORECASE)


def memory(soc: Soc) -> Reading:
    """Memory in bytes. What one board carries is the least that the chip can address."""
    found = winning(soc, "max_memory_gb")
    if not found:
        return nothing(soc, "max_memory_gb")
    fact, size = found
    board = soc.form == "chip" and of_a_board(fact)
    notes = [Note("part-memory"), *([Note("part-memory-board")] if board else []), *stated_for(fact)]
    return Reading(size * GIBI, ceil=math.inf if board else None, used=(fact,), notes=tuple(notes))


def bandwidth(soc: Soc) -> Reading:
    """Memory bandwidth in B/s."""
    found = winning(soc, "memory_bandwidth_gb_s")
    if not found:
        return nothing(soc, "memory_bandwidth_gb_s")
    fact, rate = found
    return Reading(rate * 1e9, used=(fact,), notes=stated_for(fact))


def tops(soc: Soc) -> Reading:
    """Nominal dense INT8 peak in op/s.

    Where the source does not say whether it counts sparsity, the dense peak is between half the figure and the figure. Where the same source
    gives another clock, power mode or variant, the lowest of them is the floor. A sparse figure alone is another quantity.
    """
    found = winning(soc, "peak_tops_int8_dense")
    if not found:
        if soc.facts.get("peak_tops_int8_sparse") and not soc.facts.get("peak_tops_int8_dense"):
            return unreadable(soc.facts["peak_tops_int8_sparse"], "part-tops-sparse")
        return nothing(soc, "peak_tops_int8_dense")
    fact, peak = found
    notes = [Note("part-tops"), *stated_for(fact)]
    used = [fact]
    floor = peak
    unsure = bool(_DENSITY.search(fact.condition) or _DENSITY.search(soc.text("tops_basis")))
    if unsure:
        floor = peak / 2
        notes.append(Note("part-tops-density"))
    lower = [one for one in soc.others.get("peak_tops_int8_dense", ()) if _MODES.search(one.condition) and (positive(one) or peak) < peak]
    if lower:
        least = min(lower, key=lambda one: positive(one) or peak)
        floor = min(floor, positive(least) or peak)
        used.append(least)
        notes.append(Note("part-tops-modes", {"low": text((positive(least) or peak) * TERA, Unit.OP_PER_SECOND), "text": least.condition}))
    sigma = 0.0 if fact.source_kind in ("datasheet", "vendor_page") else THIRD_PARTY_PEAK
    return Reading(peak * TERA, floor * TERA, peak * TERA, sigma, tuple(used), tuple(notes), claimed=unsure)


_PIXELS = {
    "8K": 7680 * 4320,
    "5K": 5120 * 2880,
    "4K": 3840 * 2160,
    "UHD": 3840 * 2160,
    "1440P": 2560 * 1440,
    "1080P": 1920 * 1080,
    "720P": 1280 * 720,
}
_STREAM = re.compile(
    r"(?<![\dK])(?:(\d{1,3})\s*[x×]\s*)?(?:(8K|5K|4K|UHD|1440p|1080p|720p)|(\d{3,5})\s*[x×]\s*(\d{3,5}))\s*p?\s*@?\s*(\d{1,3})(?!\d)",
    re.IGNORECASE | re.ASCII,
)


def pixel_rate(statement: str) -> float | None:
    """The largest alternative of "1x 8K30 or 3x 4K60 (H.265)" in pixels a second; None where there is none with a frame rate."""
    rates = [
        (float(count) if count else 1.0) * (_PIXELS[name.upper()] if name else float(width) * float(height)) * float(rate)
        for count, name, width, height, rate in _STREAM.findall(statement)
    ]
    return max(rates, default=None)


def video(soc: Soc, way: str) -> Reading:
    """Pixels a second that hardware decodes or encodes (`way`): the largest alternative, whatever the codec; 0 where there is no hardware."""
    fact = soc.facts.get(f"video_{way}")
    if not fact:
        return nothing(soc, f"video_{way}")
    if re.match(r"\s*(no|none)\b", fact.value, re.IGNORECASE):
        return Reading(0.0, used=(fact,), notes=(Note("part-video-none", {"text": fact.value}),))
    rate = pixel_rate(fact.value)
    if not rate:
        return unreadable(fact, "part-video-no-rate")
    return Reading(rate, used=(fact,), notes=(Note("part-video", {"text": fact.value}), *stated_for(fact)))


def w4a16(soc: Soc) -> Reading:
    """1 where weights of 4 bits with activations of 16 are supported, 0 where not; "partial" is a claim between both."""
    fact = soc.facts.get("w4a16_support")
    if not fact:
        return nothing(soc, "w4a16_support")
    answer = re.match(r"(yes|no|partial)", fact.value.strip(), re.IGNORECASE)
    if not answer:
        return unreadable(fact)
    word = answer.group(1).lower()
    notes = (Note(f"part-w4a16-{word}"), *stated_for(fact))
    return Reading(0.0 if word == "no" else 1.0, floor=0.0 if word == "partial" else None, used=(fact,), notes=notes, claimed=word == "partial")


def can(soc: Soc) -> Reading:
    """The number of CAN interfaces; a bare "yes" is one or more."""
    fact = soc.facts.get("can_fd")
    if not fact:
        return nothing(soc, "can_fd")
    notes = [*([Note("part-can-classic")] if _no_fd(fact) else []), *stated_for(fact)]
    count = 0.0 if re.match(r"\s*(no|none)\b", fact.value, re.IGNORECASE) or fact.number == 0 else positive(fact)
    if count is not None:
        return Reading(count, used=(fact,), notes=tuple(notes))
    if re.match(r"\s*yes\b", fact.value, re.IGNORECASE):
        return Reading(1.0, ceil=math.inf, used=(fact,), notes=(Note("part-can-some", {"text": fact.value}), *notes))
    return unreadable(fact)


def _no_fd(fact: Fact) -> bool:
    return bool(re.search(r"FD not stated|classic", f"{fact.value} {fact.condition}", re.IGNORECASE))
