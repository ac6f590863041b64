"""Quantities as the cells of tables: scaled, split at the decimal point, marked, with the reason where there is no number."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from harness.metrics import Reading, readings
from harness.quantity import THIN_SPACE, Kind, Quantity, Unit, significant, text
from harness.record import Problem, RunRecord
from reports.shapes import Cell, Column, Flag, Head
from reports.words import EVERYTHING, FLAGS, MARKS, WORST, Ask

_COSINE_DIGITS = 5
"""Two nearly equal outputs differ in the fourth digit."""
_ONE_SCALE = 1000.0
"""A column whose largest value is less than this many times its smallest has one unit: 1 130 Gop/s below 707 Gop/s."""
_FORMULA = tuple("=+-@\t\r")
"""With these a spreadsheet takes a text for a formula."""


def slug(name: str) -> str:
    """`name` as a piece of an HTML id: letters, digits, "-" and "_" only."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "x"


def unique(name: str, taken: set[str]) -> str:
    """`name`, or name-2, name-3 ... where it is taken; takes it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found


def shown(metric: str, value: float, unit: Unit) -> str:
    """`value` of `metric` for a reader."""
    return text(value, unit, _COSINE_DIGITS if metric == "cosine" else 3)


def split(metric: str, value: float, unit: Unit, like: float | None = None) -> tuple[str, str, str]:
    """What stands before the decimal point, what from it on, and the unit: that of `like`, where a column has one scale."""
    said = shown(metric, value, unit)
    if unit is Unit.ONE:
        number, name = said, ""
    else:
        number, _, name = said.rpartition(THIN_SPACE)
    if like and value and unit is not Unit.ONE:
        told, _, name = shown(metric, like, unit).rpartition(THIN_SPACE)
        scale = round(math.log10(abs(like / float(told.replace(THIN_SPACE, "")))))
        number = significant(value / 10.0**scale)
    whole, point, fraction = number.partition(".")
    return whole, point + fraction, name


def one_scale(values: Iterable[float]) -> float | None:
    """A value whose unit suits all of a column, or None where they are too far apart for one."""
    known = sorted(abs(one) for one in values if one)
    if not known or known[-1] / known[0] >= _ONE_SCALE:
        return None
    return known[(len(known) - 1) // 2]


def to_csv(head: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """CSV with a header line; None is an empty field, and no text can be taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in (head, *rows):
        writer.writerow([_field(one) for one in row])
    return out.getvalue()


def _field(one: str | float | None) -> str | int | None:
    if isinstance(one, str):
        return "'" + one if one.startswith(_FORMULA) else one
    return f"{one:.6g}" if isinstance(one, float) else one


def flag_of(problems: Iterable[Problem], metric: str) -> tuple[Flag, str]:
    """The worst that `problems` say about one metric, and which of them."""
    about = [one for one in problems if one.severity in FLAGS and (metric in one.spoils or EVERYTHING in one.spoils)]
    if not about:
        return "", ""
    worst = min(about, key=lambda one: WORST.index(one.severity))
    return FLAGS[worst.severity], "; ".join(f"{one.code}: {one.what}" for one in about)


def interval(reading: Reading) -> str:
    """The bounds in words ("20.1 ms to 20.3 ms"), or "" where none is known."""
    quantity, metric = reading.quantity, reading.metric.id
    low, high = (None if one is None else shown(metric, one, quantity.unit) for one in (quantity.low, quantity.high))
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""


def hover(reading: Reading) -> str:
    """What a cell cannot show: bounds, samples, note. The formula stands in the record that the cell opens."""
    quantity = reading.quantity
    lines = [reading.metric.title + (f", {reading.phase}" if reading.phase else "")]
    if quantity.value is None:
        lines.append(quantity.reason)
    if interval(reading):
        lines.append(f"bounds: {interval(reading)}")
    if quantity.count is not None:
        lines.append(f"n = {quantity.count}")
    if quantity.evidence.note:
        lines.append(quantity.evidence.note)
    return "\n".join(lines)


@dataclass
class Figures:
    """All readings of one record, with the HTML id of each."""

    record: RunRecord
    anchor: str
    readings: list[tuple[str, Reading]] = field(default_factory=list)
    by_metric: dict[str, dict[str, tuple[str, Reading]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken: set[str] = set()
        for one in readings(self.record):
            anchor = unique(f"{self.anchor}.{slug(one.metric.id)}" + (f".{slug(one.phase)}" if one.phase else ""), taken)
            self.readings.append((anchor, one))
            self.by_metric.setdefault(one.metric.id, {})[one.phase] = (anchor, one)

    def pick(self, ask: Ask) -> tuple[str, Reading] | None:
        """What `ask` asks for: the first of its phases there is, or the worst of all; else what says why there is none."""
        found = self.by_metric.get(ask.metric, {})
        if not found:
            return None
        for phase in ask.phases:
            if phase in found:
                return found[phase]
        known = [one for one in found.values() if one[1].quantity.value is not None]
        if not ask.phases and known:
            sign = -1 if known[0][1].metric.better == "lower" else 1
            return min(known, key=lambda one: sign * (one[1].quantity.value or 0.0))
        absent = "" in found and found[""][1].quantity.value is None
        if absent or not ask.phases or EVERYTHING in ask.phases or ask.metric == "peak_memory":
            return next(iter(found.values()))
        return None

    def get(self, metric: str, phase: str) -> Quantity | None:
        """One figure, or None where the record has no such."""
        found = self.by_metric.get(metric, {}).get(phase)
        return found[1].quantity if found else None


class Notes:
    """Footnotes of one table: the same reason has one number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, reason: str) -> int:
        """The number of the footnote that says `reason`, counted from 1."""
        if reason not in self.texts:
            self.texts.append(reason)
        return self.texts.index(reason) + 1


def scale_of(every: Iterable[Figures], ask: Ask) -> float | None:
    """The value whose unit a column takes."""
    found = [one.pick(ask) for one in every]
    return one_scale(one[1].quantity.value for one in found if one is not None and one[1].quantity.value is not None)


def cell(figures: Figures, ask: Ask, notes: Notes, like: float | None) -> Cell:
    """One figure of one record, as a table shows it; `like` gives the unit of its column."""
    found = figures.pick(ask)
    if found is None:
        reason = f"this run has no {ask.group.lower()} of this kind"
        return Cell("–", "", "", MARKS[Kind.MISSING], reason, figures.anchor, reason=reason, note=notes.number(reason))
    anchor, reading = found
    quantity, metric = reading.quantity, reading.metric
    if quantity.value is None:
        return Cell("–", "", "", MARKS[Kind.MISSING], hover(reading), anchor, reason=quantity.reason, note=notes.number(quantity.reason))
    whole, fraction, unit = split(metric.id, quantity.value, quantity.unit, like)
    flag, why = flag_of(figures.record.problems, metric.id)
    several = not ask.phases and len(figures.by_metric[metric.id]) > 1
    extra = "identity" if "identity" in quantity.evidence.note and metric.id == "cosine" else reading.phase if several else ""
    mark = MARKS[quantity.evidence.kind]
    return Cell(whole, fraction, unit, mark, hover(reading), anchor, quantity.value, extra=extra, flag=flag, flag_why=why)


def columns(asked: Sequence[Ask], words: Mapping[str, str], formulas: Mapping[str, str], rows: Sequence[Sequence[Cell]]) -> tuple[Column, ...]:
    """The columns of a table whose rows are `rows`; `words` fills the braces in titles."""
    made = []
    for at, ask in enumerate(asked):
        cells = [row[at] for row in rows]
        title = ask.title.format(**words)
        made.append(
            Column(
                title=title,
                group=ask.group,
                label=title if title[:1].isupper() else f"{ask.group}, {title}",
                hint=formulas.get(ask.metric, ""),
                first=at == 0 or asked[at - 1].group != ask.group,
                fraction_ch=max((len(one.fraction) for one in cells), default=0),
                unit_ch=max((len(one.unit) for one in cells), default=0),
            )
        )
    return tuple(made)


def heads(made: Iterable[Column]) -> tuple[Head, ...]:
    """The groups of neighbouring columns."""
    return tuple(Head(name, len(list(some))) for name, some in groupby(made, key=lambda one: one.group))
