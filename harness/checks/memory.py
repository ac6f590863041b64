"""Too little memory: pages that were fetched from disk while the clock ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.checks.series import LATENCY, RATES
from harness.quantity import Unit, text
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 50
FAULTY_BLOCKS = 0.01
SWAPPED = 16 * 2**20


def check(record: RunRecord) -> Iterator[Problem]:
    """Major page faults in at least 1 % of the steady blocks (and three of them), or swap that grew by 16 MiB over the session."""
    faults = next((one.faults for one in record.blocks if one.stage == "steady"), [])
    hit = sum(1 for one in faults if one > 0)
    if hit >= max(3, FAULTY_BLOCKS * len(faults)):
        yield Problem(
            code="page-faults",
            severity="warning",
            what=f"{sum(faults)} pages were read from disk during the steady stage, in {hit} of {len(faults)} blocks",
            why="the model or its data did not stay in memory: these are times of the disk",
            fix="free memory or take a smaller precision; a model that does not fit belongs on a larger board",
            spoils=[*LATENCY, *RATES],
        )
    before, after = record.environment.get("before") or {}, record.environment.get("after") or {}
    if before.get("swap_used_bytes") is None or after.get("swap_used_bytes") is None:
        return
    grown = after["swap_used_bytes"] - before["swap_used_bytes"]
    if grown >= SWAPPED:
        yield Problem(
            code="swap",
            severity="warning",
            what=f"{text(float(grown), Unit.BYTE)} were swapped out during the session",
            why="memory ran out: some times are those of the disk, and peak memory is too low by what was swapped",
            fix="free memory or take a smaller precision; swapoff -a shows the truth at once",
            spoils=[*LATENCY, *RATES, "peak_memory"],
        )
