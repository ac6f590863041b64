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


def short_text(cell: Cell) -> str:
    """A cell where there is little room, as in a table: `cell_text` with one unit for a value and its interval, and with ≤ and ≥."""
    if cell.value is None:
        return SIGNS[Kind.MISSING]
    shown, sign = stated_text(cell), SIGNS[cell.evidence.kind]
    if cell.evidence.kind is Kind.ESTIMATED and cell.floor == cell.value == cell.ceil and cell.low is not None and cell.high is not None:
        return f"{sign} {shown} ({_range(cell.low, cell.high, cell.metric, unit=_parts(shown)[1])})"
    return f"{shown} {sign}"


def stated_text(cell: Cell) -> str:
    """What is known of the value of a cell, without its evidence: "308 /s", "6.29–15.0 W", "≤ 141 USD"."""
    if cell.value is None:
        return "unknown"
    shown = value_text(cell.value, cell.metric)
    if cell.floor < cell.value < cell.ceil or (cell.floor == -float("inf") and cell.ceil == float("inf")):
        return f"about {shown}"
    if cell.floor < cell.value:
        return _range(cell.floor, cell.value, cell.metric) if cell.floor > 0 else f"≤ {shown}"
    return f"≥ {shown}" if cell.ceil > cell.value else shown


def bound_text(value: float, metric: str) -> str:
    """A limit: "≤ 15.0 W", "≥ 4K60"; of a question that is answered by yes or no, the answer."""
    if metric == "w4a16":
        return value_text(value, metric)
    return f"{'≤' if METRICS[metric].better == 'lower' else '≥'} {value_text(value, metric)}"


def _range(low: float, high: float, metric: str, unit: str | None = None) -> str:
    """From `low` to `high`, with the unit once where both have the same, and not at all where that is `unit`."""
    (first, left), (last, right) = _parts(value_text(low, metric)), _parts(value_text(high, metric))
    if left != right:
        return f"{value_text(low, metric)}–{value_text(high, metric)}"
    return f"{first}–{last}" if right in (unit, "") else f"{first}–{last}{THIN_SPACE}{right}"


def _parts(shown: str) -> tuple[str, str]:
    """A value that is written with `value_text`: its number and its unit. A thin space also parts thousands."""
    number, _, unit = shown.rpartition(THIN_SPACE)
    return (shown, "") if not number or unit.replace(".", "").isdigit() else (number, unit)
