"""Records as a tidy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.metrics import readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from harness.record import RunRecord

COLUMNS = {
    "run_id": "the session",
    "begun_at": "when it began, UTC",
    "target": "id of the target",
    "module": "silicon variant, or the CPU's name",
    "workload": "id of the workload",
    "runtime": "id of the runtime",
    "precision": "fp32, fp16, int8 ...",
    "scenario": "single-stream or offline",
    "threads": "as set; absent where the runtime has no such setting",
    "batch": "as set; absent where the runtime has no such setting",
    "weights": "synthetic or pretrained",
    "status": "ok, invalid, unsupported, failed or skipped",
    "metric": "id of the metric",
    "phase": "infer, encode, decode, item ...; empty where the figure belongs to the whole run",
    "value": "in `unit`; absent with a `reason`",
    "unit": "a base unit: s, J, B, 1/s ...",
    "low": "lower bound where one is known",
    "high": "upper bound where one is known",
    "count": "samples behind the value",
    "evidence": "measured, or missing",
    "reason": "why there is no value",
    "note": "what the value holds for: the scope of a power, the length of a prompt",
}
"""Column -> what it says."""
_WHOLE = ("threads", "batch", "count")
_REAL = ("value", "low", "high")


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and value == int(value) else None


def rows(records: Iterable[RunRecord]) -> list[dict[str, Any]]:
    """One dictionary a record, metric and phase; keys as in `COLUMNS`."""
    found: list[dict[str, Any]] = []
    for record in records:
        settings = {name: one.value for name, one in record.settings.items()}
        common = {
            **{name: getattr(record, name) for name in ("run_id", "begun_at", "target", "module", "workload", "runtime", "precision", "scenario")},
            "threads": _whole(settings.get("threads")),
            "batch": _whole(settings.get("batch")),
            "weights": record.artifact.weights if record.artifact else settings.get("weights"),
            "status": record.status,
        }
        for reading in readings(record):
            quantity = reading.quantity
            found.append(
                {
                    **common,
                    "metric": reading.metric.id,
                    "phase": reading.phase,
                    "value": quantity.value,
                    "unit": quantity.unit.value,
                    "low": quantity.low,
                    "high": quantity.high,
                    "count": quantity.count,
                    "evidence": quantity.evidence.kind.value,
                    "reason": quantity.reason,
                    "note": quantity.evidence.note,
                }
            )
    return found


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """A pandas table: one row a record, metric and phase. Columns: `COLUMNS`; an absent number is NaN (or NA), never 0."""
    import pandas as pd

    table = pd.DataFrame(rows(records), columns=pd.Index(list(COLUMNS)))
    kinds: dict[str, Any] = dict.fromkeys(_REAL, "float64") | dict.fromkeys(_WHOLE, "Int64")
    kinds |= {name: "string" for name in COLUMNS if name not in kinds}
    return table.astype(kinds)
