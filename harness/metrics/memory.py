"""Peak memory by who counted it, and the size of the model's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import measured
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from harness.record import RunRecord


def _peak(record: RunRecord) -> dict[str, Quantity]:
    found = {source: Quantity(float(peak), Unit.BYTE, measured(record, source)) for source, peak in record.memory.items()}
    return found or {"": missing(Unit.BYTE, "no memory counter could be read during this run")}


def _model(record: RunRecord) -> dict[str, Quantity]:
    if record.artifact is None or not record.artifact.bytes:
        return {"": missing(Unit.BYTE, "the record names no model files")}
    note = record.artifact.format + (f", {len(record.artifact.bytes)} files" if len(record.artifact.bytes) > 1 else "")
    return {"": Quantity(float(sum(record.artifact.bytes.values())), Unit.BYTE, measured(record, note))}


METRICS = (
    Metric(
        "peak_memory",
        "Peak memory",
        Unit.BYTE,
        "lower",
        "rss: VmHWM of the worker; pss, pss_file: smaps_rollup after the steady stage; device: as the runtime says; sources overlap",
        _peak,
    ),
    Metric("model_bytes", "Model files", Unit.BYTE, "lower", "sum of the sizes of the model's files", _model),
)
