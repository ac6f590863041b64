"""The decision: hard limits, then a weighted sum of utilities over what is not known, with the share of draws each SoC wins (SMAA-2).

::

    u = clip((ln x - ln reject) / (ln target - ln reject), 0, 1)      x = value * exp(sigma * z); uniform where nothing is known
    V = sum of w * u                                                  w ~ Dirichlet(c * stated weights)
    score = E[feasible * V]      P(best) = share of draws in which it is feasible and V is the largest

The anchors belong to the scenario and the streams to the names, so the score of a SoC does not depend on which others there are. After
Lahdelma & Salminen 2001, "SMAA-2: stochastic multicriteria acceptability analysis for group decision making", Operations Research 49(3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from harness.decide.decision.verdict import why
from harness.decide.demand import Bound, Demand, Goal, Row
from harness.decide.terms import Cell, Decision, Entry, Finding, Part
from harness.quantity import STRENGTH

if TYPE_CHECKING:
    from harness.decide.decision.draws import Floats, Streams

Item = TypeVar("Item")

__all__ = ["CONCENTRATION", "DRAWS", "SEED", "Bound", "Demand", "Goal", "Row", "decide"]

DRAWS = 10_000
"""The Monte Carlo standard deviation of P(best) is then at most 0.005: two digits can be told."""
SEED = 1
CONCENTRATION = 12.0
"""Stated weights are meant roughly: with 12, a weight of one quarter lies between 0.06 and 0.52 in 95 % of the draws."""
SURE = 0.95
"""A limit met in this share of the draws is met; in the rest of it, not met."""
RECOMMENDED = 0.90
LEADING = 0.60
SHORTLIST = 0.90
"""The shortlist holds this share of what all P(best) add up to."""


def finding(bound: Bound, cell: Cell, probability: float) -> Finding:
    """What the draws and the evidence say of one limit.

    Evidence weaker than the limit accepts can rule a SoC out and never lets it pass; no evidence does neither.
    """
    state: Literal["met", "not met", "unknown"] = "unknown"
    if probability <= 1 - SURE and cell.known:
        state = "not met"
    elif probability >= SURE and cell.known and STRENGTH[cell.evidence.kind] <= STRENGTH[bound.accept]:
        state = "met"
    return Finding(bound.id, state, probability, cell, why(bound, cell, state, probability))


def decide(  # noqa: PLR0913 - each is a thing that the answer depends on
    name: str,
    demand: Demand,
    rows: Mapping[str, Row],
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    concentration: float = CONCENTRATION,
    as_of: str,
    streams: Streams | None = None,
) -> Decision:
    """The answer to the scenario `name`: `rows` by the id of the SoC, `as_of` the date of the evidence.

    `streams` keeps the random numbers for the next scenario; it must be of the same draws and seed (ValueError). Raises UsageError for a value
    that cannot be weighed, for too few draws and for a concentration not above zero.
    """
    import numpy as np

    from harness.decide.decision.draws import Streams
    from harness.decide.decision.rank import acceptabilities, front, nondominated
    from harness.decide.decision.value import advice
    from harness.decide.decision.weigh import Setting, weigh

    streams = streams or Streams(draws, seed)
    if (streams.draws, streams.seed) != (draws, seed):
        raise ValueError("the streams are of other draws or another seed")
    # Sums of floats depend on their order: everything is done in the order of the ids, and told in the order of the demand.
    criteria = sorted(range(len(demand.criteria)), key=lambda at: demand.criteria[at].id)
    limits = sorted(range(len(demand.limits)), key=lambda at: demand.limits[at].id)
    goals = tuple(demand.criteria[at] for at in criteria)
    bounds = tuple(demand.limits[at] for at in limits)
    stated = demand.weights()
    weights = streams.weights(tuple(one.id for one in goals), tuple(stated[at] for at in criteria), concentration)
    setting = Setting(goals, bounds, weights, streams)
    weighed = [weigh(soc, _sorted(rows[soc], criteria, limits), setting) for soc in sorted(rows)]
    if not weighed:
        return Decision(name, "nothing", "", (), 1.0, (), (), draws, seed, as_of)

    findings = [tuple(map(finding, bounds, one.row.limits, (np.count_nonzero(one.limits, axis=1) / draws).tolist())) for one in weighed]
    open_ = [all(item.state != "not met" for item in found) for found in findings]
    ranks, wins = acceptabilities(np.stack([one.value for one in weighed]), np.stack([one.feasible for one in weighed]))
    weighty = [at for at, goal in enumerate(goals) if goal.weight > 0]
    nondom = nondominated(np.stack([one.raw[weighty] for one in weighed]), open_)
    pareto = front([[_median(goals[at], one.row.criteria[at]) for at in weighty] for one in weighed], open_)
    shares = [stated[at] for at in criteria]
    entries = [
        Entry(
            soc=one.soc,
            score=one.score,
            best=ranks[at][0],
            feasible=int(np.count_nonzero(one.feasible)) / draws,
            ranks=ranks[at],
            parts=_unsorted(
                [Part(goal.id, *both) for goal, both in zip(goals, zip(one.utility, one.contribution, one.row.criteria, strict=True), strict=True)],
                criteria,
            ),
            findings=_unsorted(findings[at], limits),
            pareto=pareto[at],
            nondominated=nondom[at],
            central=_unsorted(central(weights, wins[at]), criteria),
            ruled_out=not open_[at],
            known=sum(share for share, cell in zip(shares, one.row.criteria, strict=True) if cell.known),
            limiting=min(((item.probability, item.limit) for item in findings[at] if item.probability < 1), default=(1.0, ""))[1],
            options=rows[one.soc].options,
        )
        for at, one in enumerate(weighed)
    ]
    entries.sort(key=_place)
    by_id = {one.soc: one for one in weighed}
    return Decision(
        scenario=name,
        word=word(entries),
        leader=leader.soc if (leader := first(entries)) else "",
        shortlist=shortlist(entries),
        none_feasible=1 - int(np.count_nonzero(np.logical_or.reduce([one.feasible for one in weighed]))) / draws,
        entries=tuple(entries),
        advice=advice([by_id[one.soc] for one in entries if one.placed], setting),
        draws=draws,
        seed=seed,
        as_of=as_of,
    )


def first(entries: Sequence[Entry]) -> Entry | None:
    """The leader of `entries`, which are in order: the first that is not ruled out and has a chance; None where there is none."""
    return next((one for one in entries if not one.ruled_out and one.feasible > 0), None)


def word(entries: Sequence[Entry]) -> Literal["recommended", "leading", "shortlist", "nothing"]:
    """The verdict in a word; see `Decision`."""
    leader = first(entries)
    if leader is None:
        return "nothing"
    if leader.best >= RECOMMENDED and all(item.state == "met" for item in leader.findings):
        return "recommended"
    return "leading" if leader.best >= LEADING else "shortlist"


def shortlist(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The smallest set of those placed whose P(best) add up to SHORTLIST of what they have together; most likely first.

    Where none is placed, of those not ruled out.
    """
    placed = [one for one in entries if one.placed] or [one for one in entries if not one.ruled_out]
    candidates = sorted((one for one in placed if one.best > 0), key=lambda one: -one.best)
    wanted, taken, found = SHORTLIST * sum(one.best for one in candidates), 0.0, []
    for one in candidates:
        if taken >= wanted - 1e-9:
            break
        found.append(one.soc)
        taken += one.best
    return tuple(found)


def central(weights: Floats, wins: Floats) -> tuple[float, ...]:
    """The mean weights (criteria, N) of the draws that are won (N,), a shared win counting in part; empty where none is won."""
    import numpy as np

    won = float(wins.sum())
    if not won:
        return ()
    return tuple((np.einsum("cn,n->c", weights, wins, dtype=np.float32) / won).tolist())


def _place(entry: Entry) -> tuple[bool, bool, float, str]:
    return entry.ruled_out, not entry.placed, -entry.score, entry.soc


def _median(goal: Goal, cell: Cell) -> float | None:
    """The median of a cell, higher is better, or None where nothing is known."""
    if cell.value is None:
        return None
    return cell.value if goal.target > goal.reject else -cell.value


def _sorted(row: Row, criteria: Sequence[int], limits: Sequence[int]) -> Row:
    """`row` with its cells in the order of the ids. Raises ValueError where it does not belong to the demand."""
    if len(row.criteria) != len(criteria) or len(row.limits) != len(limits):
        raise ValueError("a row must have one cell a criterion and one a limit")
    return Row(tuple(row.criteria[at] for at in criteria), tuple(row.limits[at] for at in limits), row.options)


def _unsorted(items: Sequence[Item], order: Sequence[int]) -> tuple[Item, ...]:
    """`items` back in the order of the demand; empty stays empty."""
    return tuple(item for _, item in sorted(zip(order, items, strict=False), key=lambda pair: pair[0]))
