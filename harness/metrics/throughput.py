"""Items per second over the steady stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import core, handled, measured, no_spans, seconds, window
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from harness.record import RunRecord


def _throughput(record: RunRecord) -> dict[str, Quantity]:
    """Under "", images or seconds of sound per second of wall time; under a phase of tokens, tokens per second of its own time."""
    phases, stretch = core(record), window(record)
    if stretch is None or stretch[1] == stretch[0]:
        return {"": missing(Unit.PER_SECOND, no_spans(record), count=0)}
    found: dict[str, Quantity] = {}
    whole = record.task != "generate"  # a token read and a token written are not one unit: no rate over both
    if whole:
        rate = handled(record) * 1e9 / (stretch[1] - stretch[0])
        note = f"{record.item}s per second"
        found[""] = Quantity(rate, Unit.PER_SECOND, measured(record, note), count=len(phases[0].begin_ns))
    for one in phases[1:] if whole else phases:
        busy = float(seconds(one).sum()) or float("inf")
        n = len(one.begin_ns)
        note = f"items of {one.phase} per second of its own time"
        found[one.phase] = Quantity(n * one.items / busy, Unit.PER_SECOND, measured(record, note), count=n)
    return found


METRICS = (
    Metric(
        "throughput",
        "Throughput",
        Unit.PER_SECOND,
        "higher",
        "items / (last end - first begin) of the steady stage; prefill, decode: tokens / time in that phase",
        _throughput,
    ),
)
