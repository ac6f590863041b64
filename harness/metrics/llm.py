"""The two waits of a language model's user. Only for task "generate"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import core, counts, item_seconds, measured, no_spans, seconds
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from harness.metrics.spans import Floats
    from harness.record import RunRecord


def _median(record: RunRecord, samples: Floats, note: str) -> Quantity:
    """The median with the smallest and the largest as bounds."""
    import numpy as np

    low, middle, high = float(samples.min()), float(np.median(samples)), float(samples.max())
    return Quantity(middle, Unit.SECOND, measured(record, note), low=low, high=high, count=len(samples))


def _ttft(record: RunRecord) -> dict[str, Quantity]:
    if record.task != "generate":
        return {}
    phases = core(record)
    if not phases:
        return {"": missing(Unit.SECOND, no_spans(record), count=0)}
    samples = seconds(phases[0])
    note = f"model TTFT of {phases[0].items:g} prompt tokens, n = {len(samples)}; bounds are the fastest and the slowest"
    return {"": _median(record, samples, note)}


def _tpot(record: RunRecord) -> dict[str, Quantity]:
    if record.task != "generate":
        return {}
    import numpy as np

    phases = core(record)
    written = np.asarray([sum(of_item[1:]) for of_item in counts(phases)])  # output tokens after the first
    if not written.any():
        return {"": missing(Unit.SECOND, "no token was decoded after the first", count=0)}
    samples = ((item_seconds(phases) - seconds(phases[0]))[written > 0]) / written[written > 0]
    return {"": _median(record, samples, f"n = {len(samples)} answers; bounds are the fastest and the slowest")}


METRICS = (
    Metric("ttft", "Time to first token (model)", Unit.SECOND, "lower", "median prefill span, without tokenising or loading", _ttft),
    Metric("tpot", "Time per output token", Unit.SECOND, "lower", "median over items of (E2E - TTFT) / (output tokens - 1)", _tpot),
)
