"""Mean power over a window, from samples or from a counter, with bounds that hold the truth in at least 95 of 100 cases.

The value of samples is the trapezoid through them, the edges of the window interpolated between the samples around them, and then evened
(`_evened`): where the samples fell more often on one part of the items than on another, what that made is taken off. The bounds add up what may
still be wrong:

  between samples  what is left of each sample beside the line through its neighbours: the sensor's noise and what the curve does between two
                   samples. It enters as a variance, with the weight of the sample in the sum, and its mean once more as curvature
  excursions       n samples miss what takes 3/n of the time with a probability of 5 %: for that share the power may have been the least or the
                   most that was seen
  gaps             over more than three periods without a sample the power may have been anything that it was elsewhere in the window
  clocks           the window may lie earlier or later by the error of the clocks and of the stamps
  quantum          a reading may be rounded or cut off: the truth lies between half a quantum below and a whole one above
  keeping step     samples that keep step with the items see the same part of each of them, see `unseen`

They bound the integration: what the meter itself gets wrong (gain, offset) its maker says. `benchmarks/test_energy.py` measures error and coverage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Z = 2.5
"""Standard errors of the bounds: two, and a half because they are estimated themselves, from curves that are no noise."""
RARE = 3.0
"""The rule of three: nothing seen in n samples has a share of less than 3/n, at 95 %."""
LONG_GAP = 3.0
"""In sampling periods: over a longer one the neighbours say little."""
Z_UNSEEN = 3.0
BEYOND = 2.0
"""What an unseen part of an item may draw above or below the mean, as a multiple of it; found by simulation (bursts of 3:1 that keep step)."""
PARTS = (1, 2, 3, 4, 6, 8, 12, 24)
"""Into how many parts an item may be taken apart; each needs some samples."""
SAMPLES_A_PART = 15
FINE = 96


@dataclass(frozen=True)
class Doubt:
    """What may be wrong with samples: `period` [s] between two of them, `shift` [s] of the window against them at most, `quantum` [W or J]."""

    period: float
    shift: float = 0.0
    quantum: float = 0.0


@dataclass(frozen=True)
class Mean:
    """Mean power [W] of a window and its bounds; how many samples lie in it; the share of the items that they may not have seen."""

    watts: float
    low: float
    high: float
    count: int
    unseen: float = 0.0

    def __add__(self, other: Mean) -> Mean:
        ends = self.low + other.low, self.high + other.high
        return Mean(self.watts + other.watts, *ends, min(self.count, other.count), max(self.unseen, other.unseen))


def weights(t: Floats, lasted: float) -> Floats:
    """What each sample at `t` [s, n], rising, counts in the trapezoid over [0, lasted]; beyond the first and the last they are held."""
    import numpy as np

    width = np.diff(t)
    begin = np.clip(-t[:-1] / width, 0.0, 1.0)
    end = np.clip((lasted - t[:-1]) / width, 0.0, 1.0)
    right = width * (end**2 - begin**2) / 2
    found = np.zeros(len(t))
    found[1:] += right
    found[:-1] += width * (end - begin) - right
    found[0] += max(0.0, t[0])
    found[-1] += max(0.0, lasted - t[-1])
    return found


def _beside(t: Floats, values: Floats) -> tuple[Floats, Floats]:
    """How far values [n, m] lie beside the line through their neighbours; and by how much [n, 1] a square of that is to be scaled to be a variance.

    The two ends take what the next one has.
    """
    import numpy as np

    share = ((t[1:-1] - t[:-2]) / (t[2:] - t[:-2]))[:, None]
    inner = values[1:-1] - (values[:-2] * (1 - share) + values[2:] * share)
    scale = 1.0 / (1.0 + share**2 + (1 - share) ** 2)
    return np.concatenate([inner[:1], inner, inner[-1:]]), np.concatenate([scale[:1], scale, scale[-1:]])


def places(t: Floats, begins: Floats, lasted: float) -> Floats:
    """Where in an item, 0 to 1, each time [s, n] lies; items begin at `begins` [s, m], the last ends at `lasted`."""
    import numpy as np

    edges = np.append(begins, max(lasted, float(begins[-1])))
    item = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, len(begins) - 1)
    return np.asarray(((t - edges[item]) / np.maximum(edges[item + 1] - edges[item], 1e-9)) % 1.0)


def _evened(t: Floats, values: Floats, weight: Floats, place: Floats | None) -> tuple[Floats, Floats]:
    """Sums over the window of curves sampled in the columns of `values` [n, m], and the standard error of each sum, both [m].

    A control variate: the mean over the window of "lies in the k-th part of an item" is known, 1/k. What the trapezoid makes of it instead, times how
    much the curve differs from part to part (a regression of what lies beside the neighbours, which no slow change enters), is taken off.
    """
    import numpy as np

    off, scale = _beside(t, values)
    total = weight @ values
    parts = max((one for one in PARTS if one * SAMPLES_A_PART <= len(t)), default=1)
    free = 1.0
    if place is not None and parts > 1:
        in_part = np.zeros((len(t), parts))
        in_part[np.arange(len(t)), np.minimum((place * parts).astype(np.int64), parts - 1)] = 1.0
        beside, _ = _beside(t, in_part)
        weighted = (beside * scale).T
        height = np.linalg.solve(weighted @ beside + np.eye(parts), weighted @ off)  # the identity holds parts back that hardly a sample tells of
        total = total - (weight @ in_part - weight.sum() / parts) @ height
        off = off - beside @ height
        free = len(t) / (len(t) - parts)
    return total, np.sqrt(free * ((weight[:, None] * off) ** 2 * scale).sum(axis=0))


def unseen(t: Floats, weight: Floats, place: Floats) -> float:
    """The share of an item that samples may have seen too rarely because they keep step with the items; 0 where there is no sign of it.

    The samples are tried on curves whose mean is known: 1 in some stretch of every item and 0 elsewhere, for stretches all over the item. The
    largest error that is not explained by its own standard error is the answer.
    """
    import numpy as np

    fine = np.minimum((place * FINE).astype(np.int64), FINE - 1)
    worst = 0.0
    for long in (2, 5, 12, 24, 36, 48):
        start = np.arange(0, FINE, max(1, long // 6))
        curves = ((fine[:, None] - start) % FINE < long).astype(np.float64)
        total, error = _evened(t, curves, weight, place)
        wrong = np.abs(total / weight.sum() - long / FINE)
        worst = max(worst, float(wrong[wrong > Z_UNSEEN * error / weight.sum() + RARE / len(t)].max(initial=0.0)))
    return worst


def of_samples(t: Floats, watts: Floats, lasted: float, doubt: Doubt, cycles: Sequence[Floats] = ()) -> Mean:
    """Mean over [0, lasted] of a power sampled at `t` [s, n], rising; `watts` [n], n >= 3; those next to the window outside belong to it.

    `cycles`: when the items begin, and when each of their steps does, [s]; the first is the one that the samples are evened over.
    """
    weight = weights(t, lasted)
    where = [places(t, one, lasted) for one in cycles if len(one) > 1]
    total, error = (float(one[0]) for one in _evened(t, watts[:, None], weight, where[0] if where else None))
    missed = max((unseen(t, weight, one) for one in where), default=0.0)
    n = int(((t >= 0) & (t <= lasted)).sum())
    mean, least, most = total / lasted, float(watts.min()), float(watts.max())
    curved = abs(float(weight @ _beside(t, watts[:, None])[0][:, 0])) / 3
    both = Z * error + curved + 1e-9 * abs(total) + doubt.shift * _step(t, watts, lasted, doubt) + missed * lasted * BEYOND * max(mean, most - mean)
    below, above = both + RARE / max(n, 3) * lasted * max(mean - least, 0.0), both + RARE / max(n, 3) * lasted * max(most - mean, 0.0)
    for length, level in _gaps(t, watts, lasted, doubt.period):
        below += length * (level - least)
        above += length * (most - level)
    return Mean(mean, (total - below) / lasted - doubt.quantum / 2, (total + above) / lasted + doubt.quantum, n, missed)


def _gaps(t: Floats, watts: Floats, lasted: float, period: float) -> list[tuple[float, float]]:
    """Stretches of the window [s] too long without a sample, and the power [W] that the trapezoid puts there."""
    import numpy as np

    found = [(float(end - begin), float(level)) for begin, end, level in ((0.0, t[0], watts[0]), (t[-1], lasted, watts[-1])) if end > begin]
    for i in np.flatnonzero(np.diff(t) > LONG_GAP * period):
        begin, end = max(float(t[i]), 0.0), min(float(t[i + 1]), lasted)
        if end > begin:
            found.append((end - begin, float(watts[i] + watts[i + 1]) / 2))
    return found


def _step(t: Floats, watts: Floats, lasted: float, doubt: Doubt) -> float:
    """By how much [W] the power around the end may differ from that around the beginning: what a shift of the window by a second changes [J]."""
    import numpy as np

    ends = []
    for at in (0.0, lasted):
        near = np.abs(t - at) <= doubt.shift + 1.5 * doubt.period
        seen = watts[near] if near.any() else watts[[int(np.argmin(np.abs(t - at)))]]
        ends.append((float(seen.min()), float(seen.max())))
    (least, most), (least_after, most_after) = ends
    return max(most_after - least, most - least_after, 0.0)


def of_counter(t: Floats, joules: Floats, lasted: float, doubt: Doubt) -> Mean:
    """Mean over [0, lasted] from an unwrapped energy counter read at `t` [s, n], rising; `joules` [n], n >= 2.

    Between the two reads around an edge it rose as it did, but nobody knows when: there the power was within what it was from read to read.
    Beyond the first and the last read it goes on at the mean power.
    """
    import numpy as np

    total = float(np.interp(lasted, t, joules) - np.interp(0.0, t, joules))
    power = np.diff(joules) / np.diff(t)
    least, most = float(power.min()), float(power.max())
    level = float(joules[-1] - joules[0]) / float(t[-1] - t[0])
    below = above = doubt.shift * (most - least) + doubt.quantum
    for at, missing in ((0.0, max(0.0, float(t[0]))), (lasted, max(0.0, lasted - float(t[-1])))):
        i = int(np.clip(np.searchsorted(t, at, side="right") - 1, 0, len(power) - 1))
        apart = max(0.0, min(at - float(t[i]), float(t[i + 1]) - at))
        room = apart * max(most - float(power[i]), float(power[i]) - least)
        total += missing * level
        below, above = below + room + missing * (level - least), above + room + missing * (most - level)
    slack = 1e-9 * float(np.abs(joules).max())
    n = int(((t >= 0) & (t <= lasted)).sum())
    return Mean(total / lasted, (total - below - slack) / lasted, (total + above + slack) / lasted, n)
