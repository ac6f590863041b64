"""What a scenario asks of a SoC, in numbers: criteria with their anchors and weights, hard limits with their bounds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from harness.decide.terms import METRICS, Cell, Metric, Option
from harness.errors import UsageError
from harness.quantity import Kind


class Goal(msgspec.Struct, frozen=True):
    """One criterion: worth nothing at `reject` or beyond, everything at `target` or beyond, in SI units; in between by the logarithm.

    Lower is better where `target` < `reject`. `weight` counts relative to the other criteria's. Raises UsageError for what cannot be weighed.
    """

    id: str
    metric: str
    workload: str
    reject: float
    target: float
    weight: float

    def __post_init__(self) -> None:
        where = f"criteria.{self.id}"
        if not _metric(where, self.metric, self.workload).criterion:
            raise UsageError(f"{where}.metric: {self.metric} cannot be a criterion", "state it as a limit")
        for key, value in (("reject", self.reject), ("target", self.target)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{where}.{key} is {value}", "write a finite number above zero: a criterion is weighed on a logarithm")
        if self.reject == self.target:
            raise UsageError(f"{where}.target equals reject: {self.target}", "write two different values: worth nothing, and as good as needed")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise UsageError(f"{where}.weight is {self.weight}", "write a finite number, zero or more")


class Bound(msgspec.Struct, frozen=True):
    """One hard limit in SI units: at most or at least `bound`, known by evidence of the kind `accept` or stronger. Raises UsageError."""

    id: str
    metric: str
    workload: str
    at_most: bool
    bound: float
    accept: Kind

    def __post_init__(self) -> None:
        where = f"limits.{self.id}"
        _metric(where, self.metric, self.workload)
        if not math.isfinite(self.bound):
            raise UsageError(f"{where}.bound is {self.bound}", "write a finite number")
        if self.accept is Kind.MISSING:
            raise UsageError(f"{where}.accept is missing", f"write one of {', '.join(kind for kind in Kind if kind is not Kind.MISSING)}")


class Demand(msgspec.Struct, frozen=True):
    """All that a scenario asks. Raises UsageError where there is no criterion, no weight at all, or an id twice."""

    criteria: tuple[Goal, ...]
    limits: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        if not self.criteria:
            raise UsageError("criteria: there is none", "state at least one criterion; hard limits alone give no order")
        _unique("criteria", [one.id for one in self.criteria])
        _unique("limits", [one.id for one in self.limits])
        if not math.fsum(one.weight for one in self.criteria) > 0:
            raise UsageError("criteria.*.weight: all weights are zero", "give at least one criterion a weight above zero")

    def weights(self) -> tuple[float, ...]:
        """The stated weights in the order of the criteria, their sum made 1. Independent of that order to the last bit."""
        total = math.fsum(one.weight for one in self.criteria)
        return tuple(one.weight / total for one in self.criteria)


class Row(msgspec.Struct, frozen=True):
    """What is known of one SoC: a cell a criterion and a cell a limit, in the order of the demand, and how each workload is run."""

    criteria: tuple[Cell, ...]
    limits: tuple[Cell, ...] = ()
    options: dict[str, Option] = {}


def _metric(where: str, metric: str, workload: str) -> Metric:
    """The question `metric`, which must be asked about a workload if and only if it is one about workloads."""
    known = METRICS.get(metric)
    if known is None:
        raise UsageError(f"{where}.metric: there is no {metric!r}", f"write one of {', '.join(METRICS)}")
    if known.of == "workload" and not workload:
        raise UsageError(f"{where}.workload: {metric} is asked about a workload, and none is named", "name the workload")
    if known.of == "part" and workload:
        raise UsageError(f"{where}.workload: {metric} is asked about the part, not about {workload}", "leave the workload out")
    return known


def _unique(where: str, ids: Sequence[str]) -> None:
    """Raise UsageError where an id stands twice."""
    for identity, count in Counter(ids).items():
        if count > 1:
            raise UsageError(f"{where}.{identity} stands {count} times", "give each an id of its own")
