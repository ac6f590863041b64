"""How much arithmetic a second the target did. Of its own peak only a datasheet can say what share that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import core, measured, no_spans, seconds
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from harness.record import RunRecord


def ops_per_span(record: RunRecord, phase: str, items: float) -> float | None:
    """Operations [op] of one span: as the artifact counts them at batch 1, times the items of a batch when offline."""
    ops = record.artifact.ops.get(phase) if record.artifact else None
    if not ops:
        return None
    return ops * items if record.scenario == "offline" else ops


def _achieved(record: RunRecord) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for one in core(record):
        ops = ops_per_span(record, one.phase, one.items)
        if ops is None:
            found[one.phase] = missing(Unit.OP_PER_SECOND, f'the operations of phase "{one.phase}" were not counted')
        else:
            took = seconds(one)
            found[one.phase] = Quantity(ops / float(took.mean()), Unit.OP_PER_SECOND, measured(record, record.precision), count=len(took))
    return found or {"": missing(Unit.OP_PER_SECOND, no_spans(record), count=0)}


METRICS = (
    Metric(
        "achieved_ops", "Achieved arithmetic rate", Unit.OP_PER_SECOND, "higher",
        "operations of a span (1 MAC = 2 op) / mean steady span", _achieved,
    ),
)  # fmt: skip
