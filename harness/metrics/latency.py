"""How long an item takes: MLPerf LoadGen's percentiles with its early-stopping bounds, the fastest, the first, and loading the model.

A percentile is the order statistic that LoadGen reports, sorted[floor(n p)], never an interpolation. Its bounds hold with 99 % each
if items are independent (mlcommons/inference, loadgen/early_stopping.cc): with n(t) the smallest n for which
P(Binomial(n, 1-p) <= t) <= 1 %, and t the largest with n(t) <= n, the upper bound is what is left as the largest when the t-1 largest
are discarded; the lower bound mirrors it. A percentile is absent below n(1): 11 samples for p50, 64 for p90, 662 for p99.
"""

from __future__ import annotations

import math
from functools import cache, partial
from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import ITEM, core, durations, measured, no_spans
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.metrics.spans import Floats
    from harness.record import RunRecord

RISK = 0.01
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


def binomial_cdf(t: int, n: int, p: float) -> float:
    """P(Binomial(n, p) <= t), for 0 <= t <= n p (the lower tail)."""
    log = math.lgamma(n + 1) - math.lgamma(t + 1) - math.lgamma(n - t + 1) + t * math.log(p) + (n - t) * math.log1p(-p)
    term = math.exp(log)
    total = 0.0
    for k in range(t, -1, -1):
        total += term
        term *= k * (1 - p) / ((n - k + 1) * p)
        if term < total * 1e-15:
            break
    return total


@cache
def allowed(n: int, tail: float, risk: float = RISK) -> int:
    """The largest t with P(Binomial(n, tail) <= t) <= risk; -1 where there is none. `tail` is 1-p for the upper bound."""
    low, high = -1, int(n * tail) + 1  # at low it holds, at high (above the mean) it does not
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_cdf(middle, n, tail) <= risk:
            low = middle
        else:
            high = middle
    return low


@cache
def samples_needed(p: float, t: int = 1, risk: float = RISK) -> int:
    """n(t): the smallest n with P(Binomial(n, 1-p) <= t) <= risk."""
    high = t + 1
    while allowed(high, 1 - p, risk) < t:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if allowed(middle, 1 - p, risk) < t:
            low = middle
        else:
            high = middle
    return high


def bounds(n: int, p: float) -> tuple[int, int]:
    """Indexes into the sorted samples of the lower and the upper 99 % bound of percentile p. Needs n >= n(1)."""
    return max(allowed(n, p), 1) - 1, n - allowed(n, 1 - p)


def percentile(record: RunRecord, name: str, p: float, samples: Floats) -> Quantity:
    """One percentile of `samples` [s], or why there is none."""
    import numpy as np

    n = len(samples)
    needed = samples_needed(p)
    if n < needed:
        return missing(Unit.SECOND, f"{name} needs {needed} samples, this run has {n}", count=n)
    ordered = np.sort(samples)
    low, high = bounds(n, p)
    return Quantity(
        float(ordered[math.floor(n * p)]),
        Unit.SECOND,
        measured(record),
        low=float(ordered[low]),
        high=float(ordered[high]),
        count=n,
    )


def _each(record: RunRecord, figure: Callable[[Floats], Quantity]) -> dict[str, Quantity]:
    """`figure` of each phase, unless the record has no latency to speak of."""
    if record.scenario == "offline":
        why = "offline runs batches back to back: the time of a batch is not the latency of an item"
        return {one.phase: missing(Unit.SECOND, why) for one in core(record)} or {"": missing(Unit.SECOND, no_spans(record))}
    found = {phase: figure(samples) for phase, samples in durations(record).items()}
    return found or {"": missing(Unit.SECOND, no_spans(record), count=0)}


def _percentile(name: str, p: float, record: RunRecord) -> dict[str, Quantity]:
    return _each(record, lambda samples: percentile(record, name, p, samples))


def _fastest(record: RunRecord) -> dict[str, Quantity]:
    return _each(record, lambda samples: Quantity(float(samples.min()), Unit.SECOND, measured(record), count=len(samples)))


def _once(stage: str, record: RunRecord) -> dict[str, Quantity]:
    """The time of a stage that happens once: first begin to last end."""
    phases = core(record, "load" if stage == "load" else "first")
    if not phases:
        return {"": missing(Unit.SECOND, f'the record has no span of stage "{stage}"')}
    took = max(one.end_ns[-1] for one in phases) - min(one.begin_ns[0] for one in phases)
    return {"": Quantity(took / 1e9, Unit.SECOND, measured(record), count=1)}


METRICS = (
    *(
        Metric(
            id=f"latency_{name}",
            title=f"Latency, {'median' if name == 'p50' else name}",
            unit=Unit.SECOND,
            better="lower",
            formula=f"sorted steady spans of a phase [floor(n x {p:g})]; {ITEM}: sum over an item's spans; bounds: LoadGen early stopping, 99 %",
            compute=partial(_percentile, name, p),
        )
        for name, p in PERCENTILES.items()
    ),
    Metric("latency_min", "Latency, fastest", Unit.SECOND, "lower", "the shortest steady span of a phase", _fastest),
    Metric(
        "first_inference", "First inference", Unit.SECOND, "lower", "first begin to last end of the first item after loading", partial(_once, "first")
    ),
    Metric("load_time", "Loading the model", Unit.SECOND, "lower", "begin to end of opening the model", partial(_once, "load")),
)
