"""What estimates of latency learn from: one row a published or measured latency, with the groups it shares with other rows.

Taken are latencies of one inference at a time on an accelerator of a SoC that runs Linux (or of a sibling that only shows how things scale),
which no rule bars, of workloads whose multiply-accumulates are known. CPU rows are left out: held out, they are predicted half as well as the
accelerators', and they do not help to predict those.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.decide.catalogue import Catalogue, Soc
from harness.decide.estimate import blup
from harness.decide.terms import Figure, Option, Role
from harness.decide.workloads import Work, aliases

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACCELERATORS = ("npu", "gpu", "dla")
PRECISIONS = {"fp16": "fp", "bf16": "fp", "fp32": "fp32", "int8": "int8", "w8a8": "int8"}
"""precision of a figure -> class; whatever has activations of 16 bits is a16, the rest unknown"""
CLASSES = ("fp", "fp32", "a16", "unknown")
"""those with an effect of their own; int8 is what they are compared with"""
GROUPS = (
    ("soc",), ("workload",), ("runtime",), ("soc", "runtime"), ("soc", "runtime", "precision"), ("soc", "runtime", "family"),
    ("workload", "runtime", "precision"), ("unrated",),
)  # fmt: skip
"""What shares an effect. `soc` only where its nominal peak is known; a SoC without one has an `unrated` effect, which has to cover that as well."""


class Row(NamedTuple):
    """One latency [s] and what explains it; `peak` in op/s, `work` in multiply-accumulates an item."""

    figure: str
    soc: str
    """the name its figures are published under, so that the modules of one SoC share an effect"""
    workload: str
    family: str
    runtime: str
    """runtime and compute unit"""
    precision: str
    """class, see `precision_class`"""
    option: Option
    work: float
    peak: float | None
    value: float

    @property
    def cell(self) -> str:
        """What is held out together."""
        return f"{self.soc}|{self.workload}"


def name_of(soc: Soc) -> str:
    """What its figures go by: the name they are published under, else its own."""
    return soc.published_as or soc.name


def peak_of(soc: Soc) -> float | None:
    """Nominal dense INT8 peak [op/s], or None."""
    tops = soc.number("peak_tops_int8_dense")
    return tops * 1e12 if tops else None


def precision_class(precision: str) -> str:
    """int8, fp (16 bits), fp32, a16 (integers, some activations of 16 bits) or unknown."""
    return PRECISIONS.get(precision, "a16" if "a16" in precision or "int16" in precision else "unknown")


def area_of(shape: str) -> float | None:
    """Pixels of an image shape such as 1x3x640x640, 640x640 or 1x224x224x3; None for any other."""
    sides = [int(one) for one in re.findall(r"\d+", shape)]
    sides = [one for one in sides if one > 4]  # the batch and the channels
    return float(sides[0] * sides[1]) if len(sides) == 2 else None


def work_of(work: Work, shape: str) -> float:
    """Multiply-accumulates of one item at `shape`: those of the reference input, scaled by the area where both have one."""
    here, reference = area_of(shape), area_of(work.shape)
    return 1e9 * (work.gmac or 0.0) * (here / reference if here and reference else 1.0)


def rows(figures: Iterable[Figure], catalogue: Catalogue, works: Mapping[str, Work]) -> list[Row]:
    """The training rows, in the order of the figures' ids."""
    names = aliases(works)
    found = []
    for one in sorted(figures, key=lambda one: one.id):
        work = works.get(names.get(one.workload, one.workload))
        if one.metric != "latency" or one.batch not in (1, None) or one.compute_unit not in ACCELERATORS or not one.usable("estimate"):
            continue
        module = catalogue.module_of(one)
        if work is None or not work.gmac or (module and module.role in (Role.MCU, Role.HOST)):
            continue
        option = Option(one.runtime, one.precision, one.compute_unit)
        found.append(
            Row(
                one.id, name_of(module) if module else one.soc, work.id, work.family, runtime_of(option), precision_class(one.precision), option,
                work_of(work, one.shape), peak_of(module) if module else None, one.value,
            )
        )  # fmt: skip
    return found


def runtime_of(option: Option) -> str:
    """The label of a runtime on one kind of unit."""
    return f"{option.runtime}/{option.compute_unit}"


class Design:
    """How rows become numbers: the same for training and for predicting. Logarithms are taken about the means of the training rows."""

    def __init__(self, training: Sequence[Row]) -> None:
        peaks = [math.log(one.peak) for one in training if one.peak]
        self.peak = sum(peaks) / len(peaks) if peaks else 0.0
        self.work = sum(math.log(one.work) for one in training) / len(training)
        self.codes: list[dict[tuple[str, ...], int]] = []
        for group in GROUPS:
            labels = (label for one in training if (label := _label(one, group)))
            self.codes.append({label: code for code, label in enumerate(dict.fromkeys(labels))})

    def __call__(self, some: Sequence[Row]) -> blup.Rows:
        """Fixed effects 1, log work, log peak, 0 or 1 for each of CLASSES; labels by GROUPS, one never seen before by itself."""
        import numpy as np

        x = np.array([[1.0, math.log(one.work) - self.work, math.log(one.peak) - self.peak if one.peak else 0.0, *_precision(one)] for one in some])
        return blup.Rows(x, [self._codes(some, group, codes) for group, codes in zip(GROUPS, self.codes, strict=True)])

    @staticmethod
    def _codes(some: Sequence[Row], group: tuple[str, ...], codes: dict[tuple[str, ...], int]) -> NDArray[np.int64]:
        import numpy as np

        seen = dict(codes)
        return np.array([seen.setdefault(label, len(seen)) if (label := _label(one, group)) else -1 for one in some])


def _precision(row: Row) -> list[float]:
    return [float(row.precision == name) for name in CLASSES]


def _label(row: Row, group: tuple[str, ...]) -> tuple[str, ...]:
    if group == ("unrated",):
        return () if row.peak else (row.soc,)
    if group == ("soc",) and not row.peak:
        return ()
    return tuple(str(getattr(row, name)) for name in group)
