"""A run that slows down when it goes on for long. The figures of the steady stage are sound and say nothing of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.sustained import knee
from harness.quantity import Unit, text
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 70


def check(record: RunRecord) -> Iterator[Problem]:
    """The knee of a sustained run, as a note: it is a finding about the machine and no flaw of the measurement."""
    found = knee(record)
    if isinstance(found, str):
        return
    bend, said = found
    yield Problem(
        code="slows-down",
        severity="note",
        what=f"after {text(bend.at, Unit.SECOND)} of sustained work the rate fell: {said}",
        why="latency, throughput and energy of the steady stage hold for the first minutes; a product that works on gets those of the last minute",
        fix="plan with the sustained figures, or cool the machine better, or choose a power mode that it can hold, and run again",
        spoils=[],
    )
