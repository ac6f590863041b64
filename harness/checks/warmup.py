"""A steady stage that was not steady yet when it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.series import LATENCY, RATES, judged, settled_at
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 10
FORGIVEN = 2
"""Slow values at the head of the steady stage: the change point is only known to about a value."""


def check(record: RunRecord) -> Iterator[Problem]:
    """No plateau in the first third: invalid. A warm-up that reaches into the steady stage: a warning."""
    series = judged(record)
    if series is None:
        return
    end, plateau = settled_at(series.log)
    if not plateau:
        yield Problem(
            code="no-plateau",
            severity="invalid",
            what=f"the times were still falling after a third of the {len(series.log)} {series.name}s",
            why="a median over a warm-up is a figure of the warm-up: a longer run would have given another one",
            fix="raise warmup_seconds in the workload's [stop] and --seconds; a runtime that compiles while it runs needs its cache filled first",
            spoils=[*LATENCY, *RATES],
        )
    elif end > series.warmup + FORGIVEN:
        yield Problem(
            code="warm-up-too-short",
            severity="warning",
            what=f"the first {end - series.warmup} of {len(series.log) - series.warmup} steady {series.name}s are still warm-up",
            why="they are more than 2 % slower than what follows and raise the tail and the mean",
            fix=f"discard more: warmup_count of at least {end} in the workload's [stop]",
            spoils=["latency_p90", "latency_p99", *RATES],
        )
