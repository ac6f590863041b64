"""How close the outputs are to those of the fp32 reference, from sums over all compared samples.

Outputs that equal the reference's bit for bit are an identity. It is kept, because "agreement at least 99 %" is truly met by it and must
not turn to unknown; its evidence says that it is an identity, and its SQNR, which would be infinite, is absent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import measured
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.record import Comparison, RunRecord

IDENTITY = "outputs equal to the reference's, bit for bit: an identity, it says nothing of precision"
Z95 = 1.959964


def _pooled(record: RunRecord, unit: Unit, figure: Callable[[RunRecord, list[Comparison]], Quantity]) -> dict[str, Quantity]:
    """`figure` of the comparisons of each output; "" where there is only one output."""
    if record.quality is None or not record.quality.comparisons:
        said = record.quality.reason if record.quality else ""
        return {"": missing(unit, said or "the outputs were not compared with a reference")}
    outputs: dict[str, list[Comparison]] = {}
    for one in record.quality.comparisons:
        outputs.setdefault(one.output, []).append(one)
    return {output if len(outputs) > 1 else "": figure(record, of_output) for output, of_output in outputs.items()}


def _note(record: RunRecord, of_output: list[Comparison]) -> str:
    same = all(one.error == 0 for one in of_output)
    return IDENTITY if same else f"against {record.quality.reference if record.quality else ''}"


def _cosine(record: RunRecord, of_output: list[Comparison]) -> Quantity:
    norm = math.sqrt(math.fsum(one.xx for one in of_output) * math.fsum(one.yy for one in of_output))
    if not math.isfinite(norm) or norm == 0 or not math.isfinite(sum(one.xy for one in of_output)):
        return missing(Unit.ONE, "an output is all zeros or not finite: it has no direction", count=len(of_output))
    cosine = max(-1.0, min(1.0, math.fsum(one.xy for one in of_output) / norm))
    return Quantity(cosine, Unit.ONE, measured(record, _note(record, of_output)), count=len(of_output))


def _sqnr(record: RunRecord, of_output: list[Comparison]) -> Quantity:
    signal, noise = math.fsum(one.yy for one in of_output), math.fsum(one.error for one in of_output)
    if noise == 0:
        return missing(Unit.DECIBEL, IDENTITY, count=len(of_output))
    if signal == 0 or not math.isfinite(signal) or not math.isfinite(noise):
        return missing(Unit.DECIBEL, "an output is all zeros or not finite", count=len(of_output))
    return Quantity(10 * (math.log10(signal) - math.log10(noise)), Unit.DECIBEL, measured(record, _note(record, of_output)), count=len(of_output))


def wilson(matches: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    middle = (matches + z * z / 2) / (n + z * z)
    half = z * math.sqrt(matches * (n - matches) / n + z * z / 4) / (n + z * z)
    return max(0.0, middle - half), min(1.0, middle + half)


def _agreement(record: RunRecord, of_output: list[Comparison]) -> Quantity:
    decisions = sum(one.decisions for one in of_output)
    if decisions == 0:
        return missing(Unit.ONE, "this output has no top-1 or next-token choice", count=0)
    matches = sum(one.matches for one in of_output)
    low, high = wilson(matches, decisions)
    return Quantity(matches / decisions, Unit.ONE, measured(record, _note(record, of_output)), low=low, high=high, count=decisions)


METRICS = (
    Metric(
        "cosine", "Cosine to fp32", Unit.ONE, "higher", "sum xy / sqrt(sum xx * sum yy), pooled over samples, by output",
        lambda record: _pooled(record, Unit.ONE, _cosine),
    ),
    Metric(
        "sqnr", "Signal to quantisation noise", Unit.DECIBEL, "higher", "10 log10(sum yy / sum (x - y)^2), pooled over samples, by output",
        lambda record: _pooled(record, Unit.DECIBEL, _sqnr),
    ),
    Metric(
        "agreement", "Agreement with fp32", Unit.ONE, "higher", "equal top-1 or next-token choices / choices; bounds: Wilson, 95 %",
        lambda record: _pooled(record, Unit.ONE, _agreement),
    ),
)  # fmt: skip
