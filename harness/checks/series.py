"""The one series of a record that steadiness is judged by, and where its warm-up ends.

Which series. One core phase: its spans. Several phases and at least 60 items of equal make: the sum over each item's spans, which all
phases enter. Fewer items, or answers of unequal length: the first phase where it has 60 spans; else the last phase (the one with many
spans) with the effect of the position inside its item taken out, because a decoder slows down as its context grows and that is neither
drift nor interference. Fewer than 60 values or a single item: nothing is judged, and `samples.py` says so.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.metrics.spans import ITEM, core, counts, item_seconds, seconds

if TYPE_CHECKING:
    from harness.metrics.spans import Floats
    from harness.record import RunRecord, Spans

ENOUGH = 60
"""Values that a judgement needs: three for each of drift's 20 blocks."""
LONGEST = 2000
"""The change-point search is quadratic: longer series are taken in stretches of several values."""
PLATEAU = math.log(1.02)
LATENCY = ["latency_p50", "latency_p90", "latency_p99", "tpot", "ttft"]
FEW_ITEMS = 6
"""Below this, what differs between items cannot be told from what changes with time."""
RATES = ["throughput", "achieved_ops", "energy_per_item", "efficiency"]


@dataclass(frozen=True)
class Judged:
    """Logarithms of times, those of the warm-up stage first."""

    log: Floats
    warmup: int
    """How many of the leading values were discarded by the runner."""
    phase: str
    begin_ns: list[int]
    """When each value began."""
    items: int
    """How many items the steady values come from."""

    @property
    def name(self) -> str:
        """Of one value, for a sentence."""
        return "item" if self.phase == ITEM else f'"{self.phase}" span'


def judged(record: RunRecord) -> Judged | None:
    """The series to judge, or None where there is too little."""
    import numpy as np

    steady, warm = core(record), _same_phases(core(record, "warmup"), core(record))
    if not steady:
        return None
    first = steady[0]
    if len(steady) > 1:
        make = counts(steady)
        alike = all(one == make[0] for one in make)
        if not alike or len(make) < ENOUGH:
            return _single(warm[:1], first, len(make)) if len(first.begin_ns) >= ENOUGH else _by_position(warm, steady)
        if any(one != make[0] for one in counts(warm)):
            warm = []
        early = item_seconds(warm)
        starts = [*(warm[0].begin_ns if warm else []), *first.begin_ns]
        return Judged(np.log(np.concatenate([early, item_seconds(steady)])), len(early), ITEM, starts, len(make))
    return _single(warm, first, len(first.begin_ns)) if len(first.begin_ns) >= ENOUGH else None


def _same_phases(warm: list[Spans], steady: list[Spans]) -> list[Spans]:
    """The warm-up's phases, if they are those of the steady stage."""
    return warm if [one.phase for one in warm] == [one.phase for one in steady] else []


def _single(warm: list[Spans], steady: Spans, items: int) -> Judged:
    import numpy as np

    early = seconds(warm[0]) if warm else np.zeros(0)
    starts = [*(warm[0].begin_ns if warm else []), *steady.begin_ns]
    return Judged(np.log(np.concatenate([early, seconds(steady)])), len(early), steady.phase, starts, items)


def _by_position(warm: list[Spans], steady: list[Spans]) -> Judged | None:
    """The last phase's spans over what is usual at their position.

    Usual is the lower quartile over the items (with two items: the faster), smoothed over 15 positions. It is taken from the steady
    items alone. Warm-up spans are put in front where their positions occur.
    """
    import numpy as np

    last = steady[-1]
    of_item = [one[-1] for one in counts(steady)]
    shared = min(of_item) if len(of_item) > 1 else 0  # positions that every item has
    if shared * len(of_item) < ENOUGH:
        return None
    log, position = np.log(seconds(last)), np.concatenate([np.arange(n) for n in of_item])
    kept = position < shared
    grid = log[kept].reshape(len(of_item), shared)
    usual = _running_median(np.quantile(grid, 0.25, axis=0, method="inverted_cdf"), 15)
    value, starts = log[kept] - usual[position[kept]], np.asarray(last.begin_ns)[kept]
    early, early_starts = np.zeros(0), np.zeros(0, dtype=np.int64)
    if warm:
        where = np.concatenate([np.arange(one[-1]) for one in counts(warm)])
        if len(where) == len(warm[-1].begin_ns):
            inside = where < shared
            early = np.log(seconds(warm[-1]))[inside] - usual[where[inside]]
            early_starts = np.asarray(warm[-1].begin_ns)[inside]
    begins = [int(one) for one in np.concatenate([early_starts, starts])]
    return Judged(np.concatenate([early, value]), len(early), last.phase, begins, len(of_item))


def _running_median(values: Floats, width: int) -> Floats:
    """Median of the `width` values around each; the ends are repeated outwards."""
    import numpy as np

    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def settled_at(log: Floats) -> tuple[int, bool]:
    """Where the warm-up of a series ends (index), and whether a plateau was reached within its first third (PELT on the series, local rule).

    The leading segments are walked while each is more than 2 % above the next, and above every later one: without that, added here,
    noise that is correlated over many values was called warm-up in 40 % of series (AR(1) .9, 3 %), with it in 2 %. A descent that
    goes on beyond the first third has no plateau; a single late step is not warm-up but drift.
    """
    import numpy as np
    import ruptures

    n = len(log)
    stride = -(-n // LONGEST)
    coarse = np.median(log[: n - n % stride].reshape(-1, stride), axis=1) if stride > 1 else log
    step = np.diff(coarse)
    scale = max(1.4826 * float(np.median(np.abs(step - np.median(step)))) / math.sqrt(2), 1e-4)
    smooth = _running_median(coarse, 5) / scale
    found = ruptures.KernelCPD(kernel="linear", min_size=5).fit(smooth.reshape(-1, 1)).predict(pen=15 * math.log(len(coarse)))
    edges = [0, *(int(one) for one in found)]
    level = [float(np.median(coarse[begin:end])) for begin, end in itertools.pairwise(edges)]
    settled = 0
    for i in range(len(level) - 1):
        if level[i] - level[i + 1] <= PLATEAU or level[i] <= max(level[i + 1 :]):
            break
        if edges[i + 1] > len(coarse) / 3:
            return settled * stride, settled == 0
        settled = edges[i + 1]
    return settled * stride, True


def after_warmup(series: Judged) -> Floats:
    """The steady values behind the warm-up that is seen in the series itself."""
    return series.log[max(series.warmup, settled_at(series.log)[0]) :]
