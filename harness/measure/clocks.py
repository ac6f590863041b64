"""Two clocks: by how much a worker's is ahead of this machine's, and how wrong that may be.

The monotonic clocks are compared, which no NTP step moves. One exchange: we read ours, the worker reads its own, we read ours again; its reading lies
somewhere between our two, so that the middle is wrong by at most half the round trip, however unevenly the ways there and back are (Cristian 1989,
doi:10.1007/BF01784024).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.measure.link import Agent

EXCHANGES = 8
"""So many, of which the quickest counts."""


@dataclass(frozen=True)
class Reading:
    """One comparison. To a time of our monotonic clock [ns] add `ahead_ns` to get the worker's; wrong by at most `error_ns`.

    `clock_ns` on the worker's clock and `unix_ns` on our wall clock are one moment, to within the same error. `pid`: the worker.
    """

    ahead_ns: int
    error_ns: int
    clock_ns: int
    unix_ns: int
    pid: int


def read(agent: Agent, exchanges: int = EXCHANGES) -> Reading:
    """Compare with the agent's clock: the quickest of some exchanges."""
    best: Reading | None = None
    for _ in range(exchanges):
        before, wall = time.perf_counter_ns(), time.time_ns()
        said = agent.ask("clock", 30.0)
        after = time.perf_counter_ns()
        error = (after - before + 1) // 2
        if best is None or error < best.error_ns:
            there = int(said["clock_ns"])
            best = Reading(there - before - error, error, there, wall + error, int(said["pid"]))
    if best is None:
        raise ValueError("no exchange was asked for")
    return best


def between(begin: Reading, end: Reading) -> tuple[int, int]:
    """(offset, error) [ns] that hold from one comparison to the other: their mean, and what drift and both errors leave open."""
    offset = (begin.ahead_ns + end.ahead_ns) // 2
    return offset, max(begin.error_ns, end.error_ns) + abs(end.ahead_ns - begin.ahead_ns + 1) // 2
