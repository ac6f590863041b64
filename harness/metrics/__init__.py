"""Functions from a record to quantities, one file a metric family. The file is the registration: `METRICS` in it is found here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from harness.quantity import Quantity, Unit, missing
from harness.record import RunRecord


@dataclass(frozen=True)
class Metric:
    """One figure a record can yield. `compute` returns a Quantity by phase ("" where the figure belongs to the whole run)."""

    id: str
    title: str
    unit: Unit
    better: Literal["lower", "higher", "neither"]
    formula: str
    compute: Callable[[RunRecord], dict[str, Quantity]]


@dataclass(frozen=True)
class Reading:
    """One metric of one record, for one phase."""

    metric: Metric
    phase: str
    quantity: Quantity


@cache
def metrics() -> tuple[Metric, ...]:
    """All metrics, in the order of their files' names."""
    found: list[Metric] = []
    for module in pkgutil.iter_modules(__path__):
        found.extend(getattr(importlib.import_module(f"{__name__}.{module.name}"), "METRICS", ()))
    return tuple(found)


def readings(record: RunRecord) -> Iterator[Reading]:
    """Every metric of `record`. A record that was not measured yields every metric as missing, with the record's reason."""
    for metric in metrics():
        if record.status in ("ok", "invalid"):
            for phase, quantity in metric.compute(record).items():
                yield Reading(metric, phase, quantity)
        else:
            yield Reading(metric, "", missing(metric.unit, f"{record.status}: {record.reason}"))
