"""Neighbouring items that resemble one another: then n of them say less than n."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.checks.series import after_warmup, judged
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.metrics.spans import Floats

ORDER = 45
LIMIT = 0.2


def correlation(log: Floats) -> float:
    """Of each value with the next, winsorised at 4 MAD around the median."""
    import numpy as np

    middle = np.median(log)
    width = 4 * 1.4826 * np.median(np.abs(log - middle))
    held = np.clip(log, middle - width, middle + width)
    held = held - held.mean()
    total = float(held @ held)
    return float(held[:-1] @ held[1:]) / total if total > 0 else 0.0


def check(record: RunRecord) -> Iterator[Problem]:
    """A note, because every shared machine shows it: the percentiles' bounds assume independent items."""
    series = judged(record)
    if series is None or record.scenario == "offline":
        return
    log = after_warmup(series)
    r = correlation(log)
    if r > max(LIMIT, 2.6 / math.sqrt(len(log))):
        worth = len(log) * (1 - r) / (1 + r)
        yield Problem(
            code="items-not-independent",
            severity="note",
            what=f"neighbouring {series.name}s are alike (correlation {r:.2f}): {len(log)} are worth about {worth:.0f} independent ones",
            why="the bounds of the percentiles assume independent items and are too narrow here",
            fix="measure for longer (--seconds), or compare medians of several runs instead of items of one",
            spoils=[],
        )
