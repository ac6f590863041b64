"""What the metrics make of a record, one figure at a time, and records with other readings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from harness.metrics import readings

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.quantity import Quantity
    from harness.record import RunRecord


def figure(record: RunRecord, metric: str, phase: str = "") -> Quantity:
    """The one quantity, which must be there."""
    (found,) = [one.quantity for one in readings(record) if (one.metric.id, one.phase) == (metric, phase)]
    return found


def value(record: RunRecord, metric: str, phase: str = "") -> float:
    """A value that must not be absent."""
    found = figure(record, metric, phase)
    assert found.value is not None, found.reason
    return found.value


def reason(record: RunRecord, metric: str, phase: str = "") -> str:
    """Why a figure is absent."""
    found = figure(record, metric, phase)
    assert found.value is None
    return found.reason


def changed(record: RunRecord, **options: Any) -> RunRecord:
    """The first telemetry of `record` with other fields."""
    return msgspec.structs.replace(record, telemetry=[msgspec.structs.replace(record.telemetry[0], **options), *record.telemetry[1:]])


def rewritten(record: RunRecord, change: Callable[[int, Any], Any], column: int = -1) -> RunRecord:
    """With one column of it, the last one the meter's, put through `change(row number, value)`."""
    rows = [list(row) for row in record.telemetry[0].rows]
    for i, row in enumerate(rows):
        row[column] = change(i, row[column])
    return changed(record, rows=rows)
