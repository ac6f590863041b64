"""Two speeds instead of one: a clock that jumps, cores of two kinds, memory that lay well in some runs and badly in others.

A mixture of two normals on the logarithms must be better than one (BIC by more than 10), its centres apart (Ashman D > 2, gap > 3 %),
both weights above 0.1, and its density between the centres at most half of the lower peak. The last was added here:
without it, clean series with an exponential tail are called bimodal in up to 31 % of cases. Values more than 35 log-% from the median
are left out: bursts are `interference.py`'s.

Error rates, 200 synthetic series each (n = 60, 200, 700). False alarms: lognormal, Student t3, AR(1) .7, 5 % bursts: 0; gamma: .01, 0, 0;
AR(1) .9: .015, .005, 0; exponential tail: .03, 0, 0. Found: modes 4-30 % apart .86, .87, .88; at least 4 sigma apart .94, .97, .97; the
same with 5 % bursts .81, .73, .69; the same in long runs of one speed .59, .95, 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.checks.series import FEW_ITEMS, LATENCY, RATES, after_warmup, judged
from harness.metrics.spans import ITEM
from harness.quantity import Unit, text
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.metrics.spans import Floats

ORDER = 30
NEAR = 0.35
MOST = 2000
"""Longer series are thinned to so many quantiles: the fit does not look at the order."""
NARROWEST = 0.002
"""Smallest standard deviation of a component: timers tick."""


@dataclass(frozen=True)
class Modes:
    """Two components, the fast one first: centres (logarithms), standard deviations, weights."""

    centre: tuple[float, float]
    sd: tuple[float, float]
    weight: tuple[float, float]


def _start(ordered: Floats) -> int:
    """Where to cut sorted values in two so that the squares within the parts are smallest."""
    import numpy as np

    n = len(ordered)
    centred = ordered - ordered.mean()
    head, size = np.cumsum(centred)[:-1], np.arange(1, n)
    return int(np.argmax(head**2 * (1 / size + 1 / (n - size)))) + 1


def _fit(ordered: Floats) -> tuple[Modes, float] | None:
    """Expectation-maximisation from the best cut, and how much better than one normal it is (BIC); deterministic."""
    import numpy as np

    n = len(ordered)
    share = (np.arange(n) < _start(ordered)).astype(float)
    best = -math.inf
    for _ in range(300):
        mass = np.asarray([share.sum(), n - share.sum()])
        if mass.min() < 2:
            return None
        centre = np.asarray([share @ ordered, (1 - share) @ ordered]) / mass
        square = np.asarray([share @ (ordered - centre[0]) ** 2, (1 - share) @ (ordered - centre[1]) ** 2]) / mass
        square = np.maximum(square, NARROWEST**2)
        log = np.log(mass / n)[:, None] - 0.5 * np.log(square)[:, None] - 0.5 * (ordered - centre[:, None]) ** 2 / square[:, None]
        both = np.logaddexp(log[0], log[1])
        share = np.exp(log[0] - both)
        likelihood = float(both.sum())
        if likelihood - best < 1e-3:
            break
        best = likelihood
    one = max(float(ordered.var()), NARROWEST**2)
    single = float((-0.5 * math.log(one) - 0.5 * (ordered - ordered.mean()) ** 2 / one).sum())
    better = 2 * (likelihood - single) - 3 * math.log(n)
    first, second = (0, 1) if centre[0] <= centre[1] else (1, 0)
    sd, weight = np.sqrt(square), mass / n
    found = Modes(
        (float(centre[first]), float(centre[second])),
        (float(sd[first]), float(sd[second])),
        (float(weight[first]), float(weight[second])),
    )
    return found, better


def _valley(modes: Modes) -> float:
    """The lowest density between the centres over the lower of the two peaks."""
    import numpy as np

    x = np.linspace(*modes.centre, 101)
    parts = [w / sd * np.exp(-0.5 * ((x - m) / sd) ** 2) for w, m, sd in zip(modes.weight, modes.centre, modes.sd, strict=True)]
    density = parts[0] + parts[1]
    return float(density.min() / min(density[0], density[-1]))


def two_modes(log: Floats) -> Modes | None:
    """The two speeds of a series of logarithms, or None where one speed describes it."""
    import numpy as np

    near = np.sort(log[np.abs(log - np.median(log)) < NEAR])
    if len(near) > MOST:
        near = np.quantile(near, (np.arange(MOST) + 0.5) / MOST)
    fitted = _fit(near) if len(near) > 10 else None
    if fitted is None or fitted[1] <= 10:
        return None
    modes = fitted[0]
    gap = modes.centre[1] - modes.centre[0]
    apart = gap * math.sqrt(2) / math.hypot(*modes.sd)
    return modes if gap > 0.03 and apart > 2 and min(modes.weight) > 0.1 and _valley(modes) <= 0.5 else None


def check(record: RunRecord) -> Iterator[Problem]:
    """Only without drift, which looks like two modes, and not of a few items, each of which is a mode."""
    series = judged(record)
    if series is None or series.items < FEW_ITEMS or any(problem.code in ("drift", "no-plateau") for problem in record.problems):
        return
    modes = two_modes(after_warmup(series))
    if modes is None:
        return
    absolute = series.phase == ITEM or series.items == len(series.log) - series.warmup
    at = [text(math.exp(one), Unit.SECOND) if absolute else f"{math.exp(one):.2f} times the usual" for one in modes.centre]
    yield Problem(
        code="two-modes",
        severity="warning",
        what=f"two speeds: {modes.weight[0]:.0%} of the {series.name}s took about {at[0]}, {modes.weight[1]:.0%} about {at[1]}",
        why="the median is one of the two or lies where nothing was measured, and may jump to the other in the next run",
        fix="pin the clocks and the cores (on big.LITTLE to cores of one kind), restart a few times, and report both speeds with their shares",
        spoils=[*LATENCY, *RATES],
    )
