"""Too few items: for a percentile, or for the other checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.series import ENOUGH, judged
from harness.metrics.latency import PERCENTILES, samples_needed
from harness.metrics.spans import ITEM, core, durations
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 70


def check(record: RunRecord) -> Iterator[Problem]:
    """Notes: an absent percentile carries its reason already, and what nobody could judge is unknown, not wrong."""
    phases = durations(record)
    if not phases:
        return
    n = len(phases.get(ITEM, next(iter(phases.values()))))
    short = [(name, samples_needed(p)) for name, p in PERCENTILES.items() if n < samples_needed(p)]
    if short and record.scenario != "offline":
        names, needed = [name for name, _ in short], short[-1][1]
        yield Problem(
            code="too-few-samples",
            severity="note",
            what=f"{n} {'item is' if n == 1 else 'items are'} too few for {', '.join(names)}",
            why="a percentile that one item more or less would change is not a property of the machine",
            fix=f"measure {needed} items: --seconds for a longer run, or min_count in the workload's [stop]",
            spoils=[f"latency_{name}" for name in names],
        )
    if core(record) and judged(record) is None:
        yield Problem(
            code="steadiness-unknown",
            severity="note",
            what=f"{n} {'item is' if n == 1 else 'items are'} too few to look for drift, two speeds or interference",
            why="the run may be unsteady without anyone being able to tell",
            fix=f"measure at least {ENOUGH} items: --seconds for a longer run, or min_count in the workload's [stop]",
            spoils=[],
        )
