"""What estimates of an LLM's decode rate learn from: a token needs every weight once, so the memory's bandwidth bounds the rate.

rate = eta * bandwidth / bytes of weights, with bytes = parameters * bits / 8; eta is what the SoC and its runtime make of it. Its logarithm is
modelled by crossed effects of the SoC, the runtime and both together: a SoC with few figures leans on its runtime's, one with none on all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.decide.catalogue import Catalogue, Soc
from harness.decide.estimate import blup
from harness.decide.estimate.training import name_of, runtime_of
from harness.decide.terms import Figure, Option, Role
from harness.decide.workloads import Work, aliases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOUR_BIT = ("q4", "int4", "w4", "iq4", "nvfp4", "fp4", "mxfp4")
EIGHT_BIT = ("w8", "q8", "int8", "fp8")
SIXTEEN_BIT = ("fp16", "bf16")
GROUPS = (("soc",), ("runtime",), ("soc", "runtime"))


class Rate(NamedTuple):
    """One decode rate [1/s] as a share `value` of the bound; `weights` in bytes."""

    figure: str
    soc: str
    workload: str
    runtime: str
    option: Option
    weights: float
    bandwidth: float
    value: float

    @property
    def cell(self) -> str:
        """What is held out together."""
        return f"{self.soc}|{self.workload}"


def bits_of(precision: str) -> float | None:
    """Bits a weight: 16, 8, or 4.5 (a 4-bit format with its scales); None for any other or an unstated precision."""
    for bits, names in ((4.5, FOUR_BIT), (8.0, EIGHT_BIT), (16.0, SIXTEEN_BIT)):
        if precision.startswith(names):
            return bits
    return None


def bandwidth_of(soc: Soc) -> float | None:
    """Nominal memory bandwidth [B/s], or None."""
    value = soc.number("memory_bandwidth_gb_s")
    return value * 1e9 if value else None


def rates(figures: Iterable[Figure], catalogue: Catalogue, works: Mapping[str, Work]) -> list[Rate]:
    """The training rows, in the order of the figures' ids: one sequence at a time, precision stated, not on a CPU, no rule bars them."""
    names = aliases(works)
    found = []
    for one in sorted(figures, key=lambda one: one.id):
        if one.metric != "decode" or one.compute_unit == "cpu" or one.condition.get("concurrency", "1") != "1" or not one.usable("estimate"):
            continue
        work, module, bits = works.get(names.get(one.workload, one.workload)), catalogue.module_of(one), bits_of(one.precision)
        if work is None or not work.params or module is None or module.role in (Role.MCU, Role.HOST) or bits is None:
            continue
        bandwidth, option = bandwidth_of(module), Option(one.runtime, one.precision, one.compute_unit)
        if bandwidth:
            weights = work.params * bits / 8
            value = one.value * weights / bandwidth
            found.append(Rate(one.id, name_of(module), work.id, runtime_of(option), option, weights, bandwidth, value))
    return found


class Design:
    """How rows become numbers: 1 and the logarithm of the bytes of weights; labels by GROUPS."""

    def __init__(self, training: Sequence[Rate]) -> None:
        self.weights = sum(math.log(one.weights) for one in training) / len(training)
        self.codes = [{_label(one, group): code for code, one in reversed(list(enumerate(training)))} for group in GROUPS]

    def __call__(self, some: Sequence[Rate]) -> blup.Rows:
        """The numbers of `some`; a label never seen before is one by itself."""
        import numpy as np

        x = np.array([[1.0, math.log(one.weights) - self.weights] for one in some])
        return blup.Rows(x, [self._codes(some, group, codes) for group, codes in zip(GROUPS, self.codes, strict=True)])

    @staticmethod
    def _codes(some: Sequence[Rate], group: tuple[str, ...], codes: dict[tuple[str, ...], int]) -> NDArray[np.int64]:
        import numpy as np

        seen = dict(codes)
        return np.array([seen.setdefault(_label(one, group), max(seen.values()) + 1) for one in some])


def _label(row: Rate, group: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(getattr(row, name)) for name in group)
