"""The work of many minutes over time, and where its rate fell and stayed low.

The reference is the rate of the first minute. From the knee on, the mean rate over every stretch (`stretches`) is more than 3 % below the
reference; that share is the one that 3DMark's stress tests forgive (a pass is 97 % of the best loop), and that `drift` forgives. Stretches are
longer than the cycles of a governor that lets the clocks up whenever the chip has cooled a little, so that a sawtooth has one knee, where it begins.
Where inside the stretch the knee lies is told by the best cut of the rates around it into a faster and a slower part (least squares). A fall that
is not larger than four standard errors of the first minute (scatter before the knee, as correlated as it is there) is no knee, nor is one so late
that it cannot be said to stay, nor one that the process's own CPU time explains: then something else ran. A machine that throttles from the first
second on has no knee either: the first minute is already slow.

Error rates, on synthetic half hours at 20 items/s. False alarms in 300: noise of 3 % a second, AR(1) 0, .7, .9, .97: 0; the same over 5 or 10
minutes: at most 1; AR(1) .9 of 10 %: 4; .97 of 2 % over 10 minutes: 3 in 400; items of 20 s, 5 %: 3. In 100 with 5 to 20 % of the time in bursts at
half speed: of 2 to 60 s at most 2, of 120 s 4. Found in 60, with AR(1) .7 noise of 2 %: steps of 5 % 59, of 10 % and more 60, within 3 s; steps of
20 % after 28 s and later 60; sawtooth of 10 to 120 s 60, of 4 min 47; a ramp of 20 % over the half hour 60, but its knee is only known to some
minutes. A step of 3.5 % is found in 37.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.quantity import Unit, text

if TYPE_CHECKING:
    from harness.metrics.spans import Floats

MINUTE = 60.0
LIMIT = 0.03
SHORTEST = 5 * MINUTE
"""Two stretches of a minute in which the rate stays low, a first minute, and some room for the knee to lie in [s]."""
CERTAIN = 4.0
"""Standard errors of the first minute that a fall must be larger than."""


@dataclass(frozen=True)
class Course:
    """The work of the sustain stage: `done[i]` items were finished `t[i]` seconds after its begin. Inside an item the work is taken as even.

    Both of shape [items + 1]. An item counts in the unit of `record.item`; an answer of a language model counts its output tokens.
    """

    begin_ns: int
    t: Floats
    done: Floats

    @property
    def lasted(self) -> float:
        """From the first begin to the last end [s]."""
        return float(self.t[-1])

    @property
    def first(self) -> tuple[float, float]:
        """The first minute [s]."""
        return 0.0, MINUTE

    @property
    def last(self) -> tuple[float, float]:
        """The last minute [s]."""
        return self.lasted - MINUTE, self.lasted

    def rates(self, edges: Floats) -> Floats:
        """Items per second between neighbours of `edges` [s]; shape [edges - 1]."""
        import numpy as np

        return np.asarray(np.diff(np.interp(edges, self.t, self.done)) / np.diff(edges))

    def rate(self, begin: float, end: float) -> float:
        """Items per second between two times [s]."""
        import numpy as np

        return float(self.rates(np.asarray([begin, end]))[0])

    def step(self, most: int) -> float:
        """Length [s] of the pieces that the course is looked at in: a second, or the usual item, or so long that there are `most`."""
        import numpy as np

        return max(1.0, float(np.median(np.diff(self.t))), self.lasted / most)


@dataclass(frozen=True)
class Knee:
    """`at` [s] after the stage began; `after` over `before` are the rates from then on and of the first minute [1/s]."""

    at: float
    before: float
    after: float

    @property
    def fell(self) -> float:
        """By which share of the first minute's rate."""
        return 1 - self.after / self.before


def stretches(lasted: float) -> tuple[float, ...]:
    """How long a mean is taken over to say that the rate stays low [s]: a minute, or a fifteenth of the stage; then twice and three times that."""
    shortest = max(MINUTE, lasted / 15)
    return tuple(shortest * times for times in (1, 2, 3))


def find_knee(run: Course) -> Knee | str:
    """Where the rate fell and stayed low, or why there is no such place. `run` lasts at least `SHORTEST`."""
    none = f"did not throttle within {run.lasted / MINUTE:.3g} minutes"
    before, step = run.rate(*run.first), run.step(1800)
    found = next((one for stretch in stretches(run.lasted) if (one := _low_from(run, stretch, step)) is not None), None)
    if found is None:
        return none
    if isinstance(found, str):
        return f"{none}: {found}"
    at, stretch = found
    fell = Knee(at, before, run.rate(at, run.lasted))
    if run.lasted - at < 2 * stretch:
        left = text(run.lasted - at, Unit.SECOND)
        return f"the rate fell by {fell.fell:.1%} only {left} before the end, too late to say that it stays: measure for longer"
    if fell.fell < CERTAIN * _uncertain(run, at, step):
        return f"{none}: the rate varies so much by itself that a fall by {fell.fell:.1%} says nothing"
    return fell


def _low_from(run: Course, stretch: float, step: float) -> tuple[float, float] | str | None:
    """From when on [s] every stretch is slow, and the stretch; a reason where that ended; None where the last one is not slow."""
    import numpy as np

    limit = (1 - LIMIT) * run.rate(*run.first)
    starts = np.append(np.arange(0.0, run.lasted - stretch, step), run.lasted - stretch)
    done = np.interp(np.stack([starts, starts + stretch]), run.t, run.done)
    slow = (done[1] - done[0]) / stretch < limit
    if not slow[-1]:
        return None
    settled = float(starts[int(np.flatnonzero(~slow)[-1]) + 1 if (~slow).any() else 0])
    at = _cut(run, np.arange(max(0.0, settled - stretch), min(run.lasted, settled + 2 * stretch) + step / 2, step))
    fast = run.rates(np.arange(at + MINUTE / 2, run.lasted, MINUTE / 2)) >= limit
    cycles = fast.any() and not fast[int(np.argmax(fast)) :].all()  # it had come up before, and gone down again
    if run.rate(*run.last) >= limit and not cycles:
        return f"the rate fell after {text(at, Unit.SECOND)} and recovered before the end"
    return at, stretch


def _cut(run: Course, edges: Floats) -> float:
    """The one of `edges` that best cuts the rates into a faster part and a slower one after it (least squares)."""
    import numpy as np

    rates = run.rates(edges)
    n, size = len(rates), np.arange(1, len(rates))
    head = np.cumsum(rates - rates.mean())[:-1]
    return float(edges[int(np.argmax(np.where(head > 0, head**2 * (1 / size + 1 / (n - size)), 0.0))) + 1])


def _uncertain(run: Course, at: float, step: float) -> float:
    """Standard error of the first minute's rate, as a share of it: the scatter before the knee around its trend, and how alike neighbours are."""
    import numpy as np

    edges = np.arange(0.0, max(at, MINUTE) + step / 2, step)
    edges = edges[edges <= max(at, 4 * step)]
    rates = run.rates(edges) / run.rate(*run.first)
    if len(rates) < 8:
        return 0.0
    x = np.arange(len(rates))
    rest = rates - np.polyval(np.polyfit(x, rates, 1), x)
    spread = float(rest.std())
    if spread == 0:
        return 0.0
    alike = min(max(float(rest[1:] @ rest[:-1] / (rest @ rest)), 0.0), 0.98)
    inside = min(len(rates), MINUTE / step)
    return spread * math.sqrt(max(1.0, (1 + alike) / (1 - alike)) / inside)
