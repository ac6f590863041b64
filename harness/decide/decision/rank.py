"""SoCs against each other: ranks, shares of wins, and who is dominated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from harness.decide.decision.draws import Bools, Floats

RANKS = 10
"""Ranks told one by one; those behind are gathered with the draws in which a SoC is not feasible."""


def acceptabilities(value: Floats, feasible: Bools) -> tuple[list[tuple[float, ...]], Floats]:
    """(rank acceptabilities, wins) of `value` and `feasible`, both (SoCs, N). Wins (SoCs, N): 1 in a draw it wins, 1/m where m are first together.

    SoCs of equal value share their places equally. Each tuple has RANKS + 1 entries, the last one the rest, and adds up to 1.
    """
    socs, draws = value.shape
    standing = np.where(feasible, value, np.float32(-1))  # below every value, so nobody feasible stands behind it
    count: type[np.uint8 | np.uint16] = np.uint8 if socs < 1 << 8 else np.uint16
    above, equal = np.zeros((socs, draws), count), np.zeros((socs, draws), count)
    for one in standing:
        above += one > standing
        equal += one == standing
    shares = np.zeros((socs, RANKS))
    for together in np.unique(equal[feasible]).tolist():  # 1 everywhere, where no two are equal
        group = feasible & (equal == together)
        for place in range(min(RANKS, socs)):
            counts = np.count_nonzero(group & (above == place), axis=1)
            shares[:, place : place + together] += counts[:, None] / (together * draws)
    rest = np.maximum(1 - shares.sum(axis=1, keepdims=True), 0)
    wins = np.where((above == 0) & feasible, np.float32(1) / equal, np.float32(0))
    return [tuple(row) for row in np.hstack([shares, rest]).tolist()], wins


def front(medians: Sequence[Sequence[float | None]], allowed: Sequence[bool]) -> list[bool]:
    """Which of `medians` (SoCs, criteria), higher is better, no other allowed one dominates. A SoC with an unknown criterion is not on it."""
    whole = [ok and all(one is not None for one in row) for row, ok in zip(medians, allowed, strict=True)]
    numbers = np.array([[0.0 if one is None else one for one in row] for row in medians], np.float64).reshape(len(medians), -1)
    found = []
    for at, mine in enumerate(numbers):
        beaten = (numbers >= mine).all(axis=1) & (numbers > mine).any(axis=1) & np.array(whole)
        found.append(whole[at] and not bool(beaten.any()))
    return found


def nondominated(raw: Floats, allowed: Sequence[bool]) -> list[float]:
    """The share of draws in which no allowed SoC is at least as good in every criterion and better in one. `raw`: (SoCs, criteria, draws)."""
    rivals = raw[np.array(allowed, np.bool_)]
    if not len(rivals):
        return [1.0] * len(raw)
    as_good = np.ones((len(rivals), *raw[:, 0].shape), np.bool_)  # rival, SoC, draw
    as_bad: npt.NDArray[np.bool_] = as_good.copy()
    for criterion in range(raw.shape[1]):
        theirs, ours = rivals[:, None, criterion], raw[None, :, criterion]
        as_good &= theirs >= ours
        as_bad &= theirs <= ours
    beaten = (as_good & ~as_bad).any(axis=0)
    return (1 - beaten.mean(axis=1)).tolist()  # type: ignore[no-any-return]
