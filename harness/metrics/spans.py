"""What the metric families and the checks read from a record's spans. Times leave here in seconds."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from harness.quantity import Evidence, Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.record import RunRecord, Spans, Stage

    Floats = NDArray[np.float64]

ITEM = "item"
"""The phase name of a whole item, where a task has more than one core phase."""


def measured(record: RunRecord, note: str = "") -> Evidence:
    """The evidence of a figure computed from `record`."""
    return Evidence(Kind.MEASURED, source=record.run_id, date=record.begun_at, note=note)


def core(record: RunRecord, stage: Stage = "steady") -> list[Spans]:
    """The phases of a stage that have spans, in the order in which they first happened; an item begins with the first of them."""
    return sorted((one for one in record.spans if one.stage == stage and one.begin_ns), key=lambda one: one.begin_ns[0])


def seconds(spans: Spans) -> Floats:
    """How long each span took; shape [n]."""
    import numpy as np

    return (np.asarray(spans.end_ns, dtype=np.int64) - np.asarray(spans.begin_ns, dtype=np.int64)) / 1e9


def counts(phases: list[Spans]) -> list[list[int]]:
    """How many spans of each phase each item has; shape [items][phases]."""
    if not phases:
        return []
    starts = phases[0].begin_ns
    edges = [[bisect_left(one.begin_ns, start) for start in starts] + [len(one.begin_ns)] for one in phases]
    return [[edge[i + 1] - edge[i] for edge in edges] for i in range(len(starts))]


def item_seconds(phases: list[Spans]) -> Floats:
    """How long the spans of each item took together; shape [items]."""
    import numpy as np

    if not phases:
        return np.zeros(0)
    starts = np.asarray(phases[0].begin_ns)
    total = np.zeros(len(starts))
    for one in phases:
        owner = np.searchsorted(starts, np.asarray(one.begin_ns), side="right") - 1
        np.add.at(total, np.clip(owner, 0, None), seconds(one))
    return total


def durations(record: RunRecord) -> dict[str, Floats]:
    """Seconds of each steady span by phase; tasks of several phases get "item" too, the sum over the spans of an item."""
    phases = core(record)
    found = {one.phase: seconds(one) for one in phases}
    if len(phases) > 1:
        found[ITEM] = item_seconds(phases)
    return found


def window(record: RunRecord, stage: Stage = "steady") -> tuple[int, int] | None:
    """First begin and last end of a stage [ns], or None."""
    phases = core(record, stage)
    if not phases:
        return None
    return min(one.begin_ns[0] for one in phases), max(one.end_ns[-1] for one in phases)


def handled(record: RunRecord) -> float:
    """Items of the steady stage in the unit of `record.item`.

    Where items are tokens, the first phase reads the prompt and gives one output token; each span of the other phases gives its `items`.
    """
    phases = core(record)
    if not phases:
        return 0.0
    first, *later = phases
    if record.task == "generate":
        return len(first.begin_ns) + sum(len(one.begin_ns) * one.items for one in later)
    return len(first.begin_ns) * first.items


def no_spans(record: RunRecord) -> str:
    """The reason a figure of the steady stage is absent."""
    return record.reason or "the record has no steady spans"
