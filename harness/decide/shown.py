"""A value of a decision for a reader: the units in which engineers speak of each question."""

from __future__ import annotations

from harness.decide.terms import METRICS, SAFETY, Cell
from harness.quantity import SIGNS, THIN_SPACE, Kind, significant, text

_UHD = 3840 * 2160
_HD = 1920 * 1080


def value_text(value: float, metric: str) -> str:
    """`value` (SI) of `metric`: memory in GiB, video as 4K60, safety as its level, yes or no where that is the question."""
    if metric in ("safety", "w4a16"):
        return SAFETY[min(max(round(value), 0), len(SAFETY) - 1)] if metric == "safety" else ("no", "yes")[value >= 0.5]
    if metric in ("memory", "peak_memory"):
        gib = value / 2**30
        return f"{significant(gib)}{THIN_SPACE}GiB" if gib >= 1 else f"{significant(value / 2**20)}{THIN_SPACE}MiB"
    if metric in ("video_decode", "video_encode"):
        return _video(value)
    if metric == "tops":
        return f"{significant(value / 1e12)}{THIN_SPACE}TOPS"
    return text(value, METRICS[metric].unit)


def _video(rate: float) -> str:
    """Pixels per second as the largest common picture at 30 pictures a second or more."""
    for name, pixels in (("8K", 4 * _UHD), ("4K", _UHD)):
        if rate >= 29.9 * pixels:
            return f"{name}{rate / pixels:.0f}"
    return f"1080p{rate / _HD:.0f}" if rate > 0 else "none"


def cell_text(cell: Cell) -> str:
    """A cell in one line: value, interval, and the sign of its evidence. A one-sided knowledge says so: "at most 399 USD"."""
    if cell.value is None:
        return f"{SIGNS[Kind.MISSING]}{THIN_SPACE}unknown"
    sign = SIGNS[cell.evidence.kind]
    shown = value_text(cell.value, cell.metric)
    if cell.floor < cell.value < cell.ceil or (cell.floor == -float("inf") and cell.ceil == float("inf")):
        return f"about {shown} {sign}"
    if cell.floor < cell.value:
        return f"{value_text(cell.floor, cell.metric)} to {shown} {sign}" if cell.floor > 0 else f"at most {shown} {sign}"
    if cell.ceil > cell.value:
        return f"at least {shown} {sign}"
    if cell.evidence.kind is Kind.ESTIMATED and cell.low is not None and cell.high is not None:
        return f"{sign} {shown} ({value_text(cell.low, cell.metric)} to {value_text(cell.high, cell.metric)})"
    return f"{shown} {sign}"
