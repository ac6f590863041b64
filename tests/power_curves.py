"""Power curves whose energy is known, as a sampler of ten reads a second would have seen them: late, with misses, on a clock that is off.

A curve is computed every half millisecond; its energy between the first item's begin and the last one's end is the truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.signal import lfilter

from harness.metrics import metrics
from harness.record import Channel, RunRecord, Spans, Telemetry
from tests.records import Floats, make_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.quantity import Quantity

STEP = 5e-4
MARGIN = 2.0
SKEW_S = 0.05
STAMP_S = 0.001
IN_STEP = (0.2, 0.1, 0.05, 0.1 / 3, 0.025, 0.02)
"""Lengths of an item [s] that a sampler of 10 Hz keeps step with."""


@dataclass(frozen=True)
class Shape:
    """What a family is made of: `t` [s] from the window's begin; items `begins` and `ends` [s]; `length` [s] of one; watts `low` and `high`."""

    t: Floats
    lasted: float
    begins: Floats
    length: float
    low: float
    high: float
    rng: np.random.Generator

    @property
    def place(self) -> Floats:
        """Where in an item each moment lies, 0 to 1; before and after the window the items go on."""
        edges = np.append(self.begins, self.lasted)
        item = np.clip(np.searchsorted(edges, self.t, side="right") - 1, 0, len(self.begins) - 1)
        return np.asarray(((self.t - edges[item]) / (edges[item + 1] - edges[item])) % 1.0)

    def burst(self, duty: float, place: Floats) -> Floats:
        """`high` during `duty` of a cycle that begins anywhere, `low` else."""
        return np.where((place - self.rng.uniform()) % 1.0 < duty, self.high, self.low)


def _steps(of: Shape) -> Floats:
    watts = np.full_like(of.t, of.high)
    for moment in np.sort(of.rng.uniform(0, of.lasted, of.rng.integers(1, 6))):
        watts[of.t > moment] = of.rng.uniform(of.low, of.high)
    return watts


def _wandering(of: Shape) -> Floats:
    """Ornstein-Uhlenbeck noise of the load itself, 1 W, correlated over 10 ms to 2 s."""
    kept = np.exp(-STEP / np.exp(of.rng.uniform(np.log(0.01), np.log(2))))
    noise = lfilter([1.0], [1.0, -kept], of.rng.normal(0, np.sqrt(1 - kept**2), len(of.t)))
    return np.asarray(of.high + noise)


def _inference(of: Shape) -> Floats:
    """Six levels of power within each item (pre-processing, layers, a pause), and a board that warms up by 3 %."""
    edges = np.sort(np.append(of.rng.uniform(0, 1, 5), 1.0))
    levels = of.rng.uniform(of.low, of.high, 6)[np.clip(np.searchsorted(edges, of.place, side="right"), 0, 5)]
    return np.asarray(levels * (1.03 - 0.03 * np.exp(-(of.t + MARGIN) / 20)))


FAMILIES: dict[str, Callable[[Shape], Floats]] = {
    "constant": lambda of: np.full_like(of.t, of.high),
    "constant, noisy sensor": lambda of: np.full_like(of.t, of.high),
    "ramp": lambda of: of.low + (of.high - of.low) * of.t / of.lasted,
    "warming up": lambda of: of.high * (1 - 0.2 * np.exp(-(of.t + MARGIN) / 10)),
    "slow sine": lambda of: of.high + of.low / 2 * np.sin(2 * np.pi * of.t / of.rng.uniform(1, 20) + of.rng.uniform(0, 6)),
    "sine of the items": lambda of: of.high + of.low / 2 * np.sin(2 * np.pi * of.place + of.rng.uniform(0, 6)),
    "steps": _steps,
    "idle before and after": lambda of: np.where((of.t >= 0) & (of.t <= of.lasted), of.high, of.low),
    "wandering": _wandering,
    "bursts": lambda of: of.burst(of.rng.uniform(0.15, 0.85), of.place),
    "bursts in step with the samples": lambda of: of.burst(of.rng.uniform(0.15, 0.85), of.place),
    "bursts nearly in step": lambda of: of.burst(of.rng.uniform(0.15, 0.85), of.place),
    "bursts of something else": lambda of: of.burst(of.rng.uniform(0.15, 0.85), (of.t / of.rng.uniform(0.3, 3.0)) % 1.0),
    "inference": _inference,
}


@dataclass(frozen=True)
class Trial:
    """A record and the energy per item [J] that is true for it."""

    record: RunRecord
    truth: float


@cache
def _template() -> RunRecord:
    return make_record(n=1, pipeline=1, warmup=1)


def _length(family: str, rng: np.random.Generator) -> tuple[float, float]:
    """Length of an item [s] and the spread of its logarithm."""
    if family == "bursts in step with the samples":
        return float(rng.choice(IN_STEP)), 0.0
    if family == "bursts nearly in step":
        return float(rng.choice(IN_STEP)) * (1 + float(rng.choice([-1, 1])) * float(np.exp(rng.uniform(np.log(1e-5), np.log(0.02))))), 0.0
    return float(np.exp(rng.uniform(np.log(0.005), np.log(0.4)))), 0.01


def trial(family: str, seed: int, seconds: float = 60.0, *, dither: bool = True, missed: float = 0.03, quantum: float | None = None) -> Trial:
    """One run of a family. `dither`: each row is read at a random moment of its period; else in the middle of it, up to a few milliseconds late."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
    length, spread = _length(family, rng)
    taken = length * np.exp(rng.normal(0, spread, max(2, round(seconds / length))))
    edges = np.concatenate([[0.0], np.cumsum(taken)])
    lasted = float(edges[-1])
    shape = Shape(np.arange(-MARGIN, lasted + MARGIN, STEP), lasted, edges[:-1], length, rng.uniform(2, 6), rng.uniform(7, 16), rng)
    watts = FAMILIES[family](shape)
    energy = np.concatenate([[0.0], np.cumsum((watts[1:] + watts[:-1]) / 2 * STEP)])
    truth = float(np.interp(lasted, shape.t, energy) - np.interp(0.0, shape.t, energy)) / len(taken)

    period = 0.1
    slots = np.arange(-1.5, lasted + 1.5, period) + rng.uniform(0, period)
    late = (
        rng.uniform(0, period, len(slots)) if dither else rng.exponential(0.001, len(slots)) + (rng.random(len(slots)) < 0.005) * rng.uniform(0, 0.06)
    )
    moments = np.sort(slots + late)
    seen = watts[np.clip(np.round((moments + MARGIN) / STEP).astype(np.int64), 0, len(watts) - 1)]
    if family in ("constant, noisy sensor", "inference"):
        seen = seen + rng.normal(0, 0.15, len(seen))
    if quantum:
        seen = np.floor(seen / quantum + rng.choice([0.0, 0.5])) * quantum  # cut off, or rounded
    stamps = np.maximum.accumulate(moments + rng.uniform(-SKEW_S, SKEW_S) + rng.uniform(-STAMP_S, STAMP_S, len(moments))) + 1e-8 * np.arange(
        len(moments)
    )
    rows: list[list[float | None]] = [[None if rng.random() < missed else float(one)] for one in seen]
    origin = 10**12
    begins, ends = ([origin + round(one * 1e9) for one in some] for some in (edges[:-1], edges[1:]))
    spans = Spans("steady", "infer", begins, ends)
    telemetry = Telemetry(
        "curve", 1 / period, [Channel("VDD_IN", "power", "W", "module", quantum=quantum)], [origin + round(one * 1e9) for one in stamps], rows, [],
        clock_error_ns=round(SKEW_S * 1e9), read_error_ns=round(STAMP_S * 1e9),
    )  # fmt: skip
    return Trial(msgspec.structs.replace(_template(), spans=[spans], telemetry=[telemetry], blocks=[]), truth)


def energy_of(record: RunRecord) -> Quantity:
    """Energy per item."""
    return next(one for one in metrics() if one.id == "energy_per_item").compute(record)[""]


@dataclass(frozen=True)
class Score:
    """Of the trials of a family that gave a figure: relative errors, half widths, and the share whose bounds held the truth; and the refusals."""

    errors: Floats
    covered: float
    halves: Floats
    refused: int


def score(family: str, trials: int, seconds: float = 60.0, *, dither: bool = True, quantum: float | None = None) -> Score:
    """Try a family `trials` times."""
    errors, halves, covered, refused = [], [], 0, 0
    for seed in range(trials):
        one = trial(family, seed, seconds, dither=dither, quantum=quantum)
        found = energy_of(one.record)
        if found.value is None or found.low is None or found.high is None:
            refused += 1
            continue
        errors.append(abs(found.value / one.truth - 1))
        halves.append((found.high - found.low) / 2 / found.value)
        covered += found.low <= one.truth <= found.high
    return Score(np.asarray(errors), covered / max(len(errors), 1), np.asarray(halves), refused)
