"""What is worth finding out: the expected value of learning one unknown before choosing (EVPPI).

Learning a variable moves the score of one SoC and leaves the others'. So with s(b) the score of SoC i given that its variable falls into bin b, and
`other` the best score of the others, the gain is mean_b max(s(b), other) - max(s, other).

The plain mean of the draws in a bin would do for s(b), but its noise alone turns the first place around where two SoCs are close. The variable is
independent of the weights, of the other cells and of the coins, so the mean of a product is the product of the means, and what depends on the
variable is averaged over its own quantiles, where there is no noise at all:

    s(b) = E_b[f] E[r (V - sum_j w_j u_j)] + sum_j E_b[f u_j] E[r w_j]

j runs over the criteria of the variable, f says whether the limits of the variable are met, r whether the others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.decide.decision.draws import Floats, quantiles
from harness.decide.decision.weigh import Setting, Weighed, chance_of, only_claimed, standing, utility, variable_of
from harness.decide.demand import Bound
from harness.decide.terms import METRICS, Advice, Cell, Note, key_of

Doubles = npt.NDArray[np.float64]

BINS = 10
_LEVELS: Floats = ((np.arange(1000) + 0.5) / 1000).astype(np.float32)
"""A hundred quantiles a bin, over which is averaged what depends on the variable."""
ASKED = 12
"""So many SoCs are looked at, the first by score: one further down hardly becomes the first by one figure."""
SMALLEST = 1e-4
"""A gain below this is nothing anybody would act on."""
ADVICES = 5


class Unknown(NamedTuple):
    """One variable of one SoC: the criteria and limits (positions) that depend on it."""

    criteria: tuple[int, ...]
    limits: tuple[int, ...]


def unknowns(one: Weighed, bounds: Sequence[Bound]) -> dict[str, Unknown]:
    """The variables of a SoC that are worth a look: uncertain, bounded on one side only, only claimed, or with nothing known."""
    found: dict[str, Unknown] = {}
    for at, cell in enumerate(one.row.criteria):
        name = variable_of(cell)
        if cell.value is None or cell.sigma > 0:
            before = found.get(name, Unknown((), ()))
            found[name] = Unknown((*before.criteria, at), before.limits)
    for at, (bound, cell) in enumerate(zip(bounds, one.row.limits, strict=True)):
        name = variable_of(cell)
        if cell.value is None or cell.sigma > 0 or cell.floor < cell.ceil or only_claimed(bound, cell):
            before = found.get(name, Unknown((), ()))
            found[name] = Unknown(before.criteria, (*before.limits, at))
    return found


class Look:
    """One SoC, ready to say what its score would be if one of its variables were known."""

    def __init__(self, one: Weighed, setting: Setting) -> None:
        self._one, self._setting = one, setting
        self._met: dict[tuple[int, ...], Floats] = {}

    def _others(self, limits: tuple[int, ...]) -> Floats:
        """1 in the draws in which all limits but those at `limits` are met, else 0; shape (N,)."""
        if limits not in self._met:
            kept = [at for at in range(len(self._one.limits)) if at not in limits]
            self._met[limits] = np.logical_and.reduce(self._one.limits[kept], axis=0).astype(np.float32)
        return self._met[limits]

    def scores(self, unknown: Unknown) -> list[tuple[Doubles, Doubles]]:
        """The scores given what may be learnt, and how likely each is: by the quantile of the variable, and by the coin where a limit is open."""
        one, (goals, bounds, weights, _) = self._one, self._setting
        others = self._others(unknown.limits)
        rest = _mean(one.value, others) - sum(_mean(one.worth[at], others) for at in unknown.criteria)
        surely, perhaps = np.array(True), np.array(True)
        for at in unknown.limits:
            met, undecided = standing(bounds[at], one.row.limits[at], _grid())
            surely, perhaps = surely & met, perhaps & (met | undecided)
        chance = min((chance_of(one.row.limits[at]) for at in unknown.limits), default=0.5)
        value: Doubles = np.full(len(_LEVELS), rest)
        for at in unknown.criteria:
            value = value + _mean(weights[at], others) * utility(goals[at], one.row.criteria[at], _LEVELS, _grid())
        believed = (1 - chance) * surely.astype(np.float64) + chance * perhaps
        found = [((believed * value).reshape(BINS, -1).mean(axis=1), np.full(BINS, 1 / BINS))]
        if bool((perhaps & ~surely).any()):
            found.append((np.array([(surely * value).mean(), (perhaps * value).mean()]), np.array([1 - chance, chance])))
        # The mean over what may be learnt is what is believed now; the draws say the same up to their noise.
        return [(np.maximum(scores + (one.score - float(scores @ shares)), 0), shares) for scores, shares in found]


def _mean(values: Floats, met: Floats) -> float:
    """The mean of `values`, 0 where not `met`."""
    return float(np.einsum("n,n->", values, met)) / len(met)


@cache
def _grid() -> Floats:
    return quantiles(_LEVELS)


def worth(scores: Doubles, shares: Doubles, score: float, other: float, *, first: bool) -> tuple[float, float]:
    """(gain, flip): EVPPI, and how likely an outcome is in which another SoC than now comes first; `shares`: how likely each of `scores` is."""
    gain = float(np.maximum(scores, other) @ shares - max(score, other))
    flip = float((scores < other) @ shares if first else (scores > other) @ shares)
    return max(gain, 0.0), flip


def can_matter(one: Weighed, unknown: Unknown, other: float, weights: Sequence[float], *, first: bool) -> bool:
    """Whether the best (for the first: the worst) that may be learnt could change the first place at all; `weights` are the means.

    A criterion adds its weight at most and takes its contribution at most; the limits add what they cost and take everything. Quick, and never
    wrong in saying no: most variables are passed over by it.
    """
    if first:
        return bool(unknown.limits) or one.score - sum(one.contribution[at] for at in unknown.criteria) < other
    most = sum(one.contribution) if unknown.limits else one.score
    return most + sum(weights[at] for at in unknown.criteria) > other


def how(cell: Cell) -> Note:
    """What to do to learn a cell: measure a workload, or ask the maker about a part."""
    title = METRICS[cell.metric].title
    values = {"soc": cell.soc, "metric_en": title["en"], "metric_zh": title["zh"]}
    if METRICS[cell.metric].of == "workload":
        return Note("decision-measure", {**values, "workload": cell.workload})
    return Note("decision-ask", values)


def advice(ranked: Sequence[Weighed], setting: Setting) -> tuple[Advice, ...]:
    """The few things most worth finding out about `ranked`, the SoCs that are not ruled out, best first."""
    found: dict[tuple[str, str, str], Advice] = {}
    weights = setting.weights.mean(axis=1).tolist()
    for place, one in enumerate(ranked[:ASKED]):
        other = max((rival.score for rival in ranked if rival is not one), default=0.0)
        look = Look(one, setting)
        for name, unknown in sorted(unknowns(one, setting.bounds).items()):
            if not can_matter(one, unknown, other, weights, first=place == 0):
                continue
            gain, flip = max(worth(*outcomes, one.score, other, first=place == 0) for outcomes in look.scores(unknown))
            if gain <= SMALLEST:
                continue
            cells = [one.row.criteria[at] for at in unknown.criteria] + [one.row.limits[at] for at in unknown.limits]
            # A rate may be computed from a latency and share its variable: then the latency, after which it is named, is what to measure.
            cell = min(cells, key=lambda cell: (f"{cell.soc}/{key_of(cell.metric, cell.workload)}" != name, key_of(cell.metric, cell.workload)))
            decides = any(not one.limits[at].all() and one.limits[at].any() for at in unknown.limits)
            key = (one.soc, cell.metric, cell.workload)
            if key not in found or gain > found[key].gain:
                found[key] = Advice(one.soc, cell.metric, cell.workload, gain, flip, decides, how(cell))
    order = sorted(found.values(), key=lambda item: (-item.gain, item.soc, item.metric, item.workload))
    return tuple(order[:ADVICES])
