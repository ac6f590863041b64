"""One SoC against one demand: what its criteria are worth and which limits it meets, draw by draw."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from harness.decide.decision.draws import Bools, Floats, Streams
from harness.decide.demand import Bound, Goal, Row
from harness.decide.terms import Cell, key_of
from harness.errors import UsageError
from harness.quantity import STRENGTH, Kind

BEYOND = 1e6
"""Where a value of zero stands, whose logarithm is not finite."""
SAMPLE = 500
"""Draws on which dominance is counted: pairs of SoCs times criteria are many, and two digits are enough."""


class Setting(NamedTuple):
    """What every SoC is held against: criteria and limits in the order of their ids, drawn `weights` (criteria, N), and the streams."""

    goals: tuple[Goal, ...]
    bounds: tuple[Bound, ...]
    weights: Floats
    streams: Streams


class Weighed(NamedTuple):
    """One SoC, drawn N times. Shapes: `worth` (criteria, N) weight times utility, `raw` (criteria, sample), `limits` (limits, N), the rest (N,)."""

    soc: str
    row: Row
    utility: tuple[float, ...]
    contribution: tuple[float, ...]
    worth: Floats
    raw: Floats
    limits: Bools
    value: Floats
    feasible: Bools
    score: float


def variable_of(cell: Cell) -> str:
    """The name of the uncertainty of `cell`."""
    return cell.variable or f"{cell.soc}/{key_of(cell.metric, cell.workload)}"


def position(goal: Goal, cell: Cell, z: Floats, out: Floats | None = None) -> Floats:
    """Where the value stands between reject (0) and target (1) on the logarithm, not clipped, for standard normal `z`; written to `out`.

    (ln x - ln reject) / (ln target - ln reject) with ln x = ln value + sigma * sign * z. Raises UsageError for a value not known or not above zero.
    """
    if cell.value == 0:  # none of it: beyond reject where more is better, beyond target where less is
        return np.full_like(z, -BEYOND if goal.target > goal.reject else BEYOND)
    if cell.value is None or not (math.isfinite(cell.value) and cell.value > 0):
        raise UsageError(f"{goal.id} of {cell.soc} is {cell.value}", "a criterion is weighed on a logarithm: correct the figure, or state a limit")
    span = math.log(goal.target / goal.reject)
    start = math.log(cell.value / goal.reject) / span
    found: Floats = np.multiply(z, np.float32(cell.sigma * cell.sign / span), out=out)
    found += np.float32(start)
    return found


def utility(goal: Goal, cell: Cell, levels: Floats, grid: Floats, out: Floats | None = None) -> Floats:
    """The utility at quantiles of the cell's variable: `levels` are their probabilities, `grid` the standard normal numbers there.

    Uniform where nothing is known. `out` may be used for the answer.
    """
    if cell.value is None:
        return levels
    found = position(goal, cell, grid, out)
    return np.minimum(np.maximum(found, 0, out=found), 1, out=found)


def _under(edge: float, bound: float, exponent: Floats) -> Bools:
    """Whether edge * exp(exponent) <= bound, for an edge of any sign or an infinite one."""
    if edge == 0 or math.isinf(edge) or (edge < 0) != (bound < 0) or bound == 0:
        return np.array(edge <= bound)  # the exponent changes neither sign nor infinity
    ratio = math.log(bound / edge)
    return np.asarray(exponent <= ratio if edge > 0 else exponent >= ratio)


def standing(bound: Bound, cell: Cell, grid: Floats) -> tuple[Bools, Bools]:
    """(met, not decided) at each standard normal number of `grid`, or one of each (shape ()) where nothing depends on it.

    A claim where the limit accepts only better evidence decides nothing: it may be true.
    """
    if cell.value is None:
        return np.array(False), np.array(True)
    exponent = np.float32(cell.sigma * cell.sign) * grid if cell.sigma > 0 else np.zeros((), np.float32)
    low, high, most = (cell.floor, cell.ceil, bound.bound) if bound.at_most else (-cell.ceil, -cell.floor, -bound.bound)
    met, possible = _under(high, most, exponent), _under(low, most, exponent)
    return (np.zeros_like(met), possible) if only_claimed(bound, cell) else (met, possible & ~met)


def chance_of(cell: Cell) -> float:
    """How likely a limit is met where the cell leaves it open: a fair coin, unless nothing is known but what the others meet."""
    return 0.5 if cell.known else cell.chance


def only_claimed(bound: Bound, cell: Cell) -> bool:
    """Whether the cell is a claim and the limit asks for better."""
    return cell.evidence.kind is Kind.CLAIMED and STRENGTH[Kind.CLAIMED] > STRENGTH[bound.accept]


def drawn(bound: Bound, cell: Cell, streams: Streams) -> Bools:
    """Whether the limit is met in each draw, shape (N,) or () where it is the same in all; a coin where the draw leaves it open."""
    met, undecided = standing(bound, cell, streams.grid)
    name = variable_of(cell)
    open_ = bool(undecided.any())
    if undecided.ndim and (open_ or not met.all()):
        order = streams.order(name)
        met, undecided = (one.take(order) if one.ndim else one for one in (met, undecided))
    if open_:
        met = met | (undecided & streams.coin(name, chance_of(cell)))
    return met


def weigh(soc: str, row: Row, setting: Setting) -> Weighed:
    """`row` of `soc` against the criteria and limits of `setting`, cells in the same order."""
    goals, bounds, weights, streams = setting
    draws = streams.draws
    worth, value = np.empty((len(goals), draws), np.float32), np.zeros(draws, np.float32)
    raw = np.empty((len(goals), min(SAMPLE, draws)), np.float32)
    room = np.empty(draws, np.float32)  # written again and again: memory asked for anew each time costs more than the sums
    means, contribution = [], []
    # Row by row: a row stays in the processor's cache, and numpy adds it pairwise, so float32 is enough.
    for at, (goal, cell) in enumerate(zip(goals, row.criteria, strict=True)):
        if cell.value is not None and not cell.sigma > 0:
            raw[at] = position(goal, cell, np.zeros(1, np.float32))
            worth[at] = np.clip(raw[at, 0], 0, 1)
        else:
            order = streams.order(variable_of(cell))
            utility(goal, cell, streams.levels, streams.grid, room).take(order, out=worth[at], mode="clip")
            sample = order[: raw.shape[1]]
            raw[at] = worth[at, : raw.shape[1]] if cell.value is None else position(goal, cell, streams.grid[sample])
        means.append(float(np.add.reduce(worth[at])) / draws)
        worth[at] *= weights[at]
        contribution.append(float(np.add.reduce(worth[at])) / draws)
        value += worth[at]
    met = np.empty((len(bounds), draws), np.bool_)
    for at, (bound, cell) in enumerate(zip(bounds, row.limits, strict=True)):
        met[at] = drawn(bound, cell, streams)
    feasible: Bools = np.logical_and.reduce(met, axis=0)
    score = float(np.add.reduce(np.multiply(value, feasible, out=room))) / draws
    return Weighed(soc, row, tuple(means), tuple(contribution), worth, raw, met, value, feasible, score)
