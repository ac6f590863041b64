"""How much boards of one kind differ: the same model on the same silicon, from board to board."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness import console
from harness.outcome import headline
from harness.quantity import Unit, text
from harness.record import RunRecord


@dataclass(frozen=True)
class Spread:
    """One figure of one cell on two or more boards. `values` by board, in `unit`."""

    cell: tuple[str, ...]
    """target, module, workload, precision, runtime, scenario"""
    metric: str
    unit: Unit
    values: dict[str, float]

    @property
    def median(self) -> float:
        """Of the boards."""
        return statistics.median(self.values.values())

    @property
    def relative_range(self) -> float | None:
        """(largest - smallest) / median; None where the median is 0."""
        return (max(self.values.values()) - min(self.values.values())) / self.median if self.median else None

    def document(self) -> dict[str, Any]:
        """For a program to read."""
        names = ("target", "module", "workload", "precision", "runtime", "scenario")
        told = {"metric": self.metric, "unit": self.unit.value, "median": self.median, "relative_range": self.relative_range, "boards": self.values}
        return {**dict(zip(names, self.cell, strict=True)), **told}


def spreads(records: Iterable[RunRecord]) -> list[Spread]:
    """The headline figures of every cell that two or more boards of one target and module have measured, each with its newest sound record."""
    found: dict[tuple[tuple[str, ...], str, Unit], dict[str, float]] = {}
    for record in sorted(records, key=lambda one: one.begun_at):
        if record.status == "ok" and record.board:
            for metric, value, unit in headline(record):
                cell = (record.target, record.module, record.workload, record.precision, record.runtime, record.scenario)
                found.setdefault((cell, metric, unit), {})[record.board] = value
    return [Spread(*key, values) for key, values in found.items() if len(values) > 1]


def show(found: list[Spread], left_out: int) -> None:
    """The table; `left_out`: how many measured records could not be taken because a check says so."""
    if found:
        console.say("\nspread between boards: median, and (largest - smallest) / median")
        rows = []
        for one in found:
            least, *_, most = sorted(one.values, key=lambda board: one.values[board])
            share = f"{100 * one.relative_range:.1f} %" if one.relative_range is not None else "-"
            middle = text(one.median, one.unit)
            rows.append([*one.cell, one.metric, str(len(one.values)), middle, share, f"{least} .. {most}"])
        head = ["target", "module", "workload", "precision", "runtime", "scenario", "metric", "boards", "median", "range", "least .. most"]
        console.table(head, rows, right=(7, 8, 9))
    if left_out:
        console.say(f"{left_out} invalid record{'s are' if left_out > 1 else ' is'} not in the spread between boards")
