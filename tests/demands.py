"""Builders of demands and cells, and strategies of whole markets."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from harness.decide.decision import Bound, Demand, Goal, Row, decide
from harness.decide.decision.draws import Streams
from harness.decide.terms import METRICS, Cell, Decision, Entry
from harness.quantity import Evidence, Kind

REJECT, TARGET = 1000.0, 1.0
SPAN = math.log(REJECT / TARGET)


def goal(name: str = "net", weight: float = 1.0, reject: float = REJECT, target: float = TARGET) -> Goal:
    """A latency of workload `name`: worth nothing at 1000 s, everything at 1 s."""
    return Goal(f"latency:{name}", "latency", name, reject, target, weight)


def cell(soc: str, value: float | None, sigma: float = 0.0, *, metric: str = "latency", workload: str = "net", **more: Any) -> Cell:
    """What is known of one question: exactly stated unless `floor` and `ceil` say otherwise."""
    kind = more.pop("kind", Kind.PUBLISHED if value is not None else Kind.MISSING)
    if value is not None:
        more = {"floor": value, "ceil": value} | more
    return Cell(soc, metric, workload, value, METRICS[metric].unit, Evidence(kind), sigma, **more)


def worth(soc: str, utility: float, sigma: float = 0.0, workload: str = "net") -> Cell:
    """A latency whose utility has the median `utility` and the standard deviation `sigma` (before clipping)."""
    return cell(soc, REJECT * math.exp(-SPAN * utility), sigma * SPAN, workload=workload)


def power(at_most: float = 15.0, accept: Kind = Kind.CLAIMED) -> Bound:
    return Bound("power", "power", "", at_most=True, bound=at_most, accept=accept)


def watts(soc: str, value: float | None, sigma: float = 0.0, **more: Any) -> Cell:
    return cell(soc, value, sigma, metric="power", workload="", **more)


def verdict(demand: Demand, rows: dict[str, Row], draws: int = 2000, **more: Any) -> Decision:
    return decide("test", demand, rows, draws=draws, as_of="2026-01-01", **more)


def entry(decision: Decision, soc: str) -> Entry:
    return next(one for one in decision.entries if one.soc == soc)


def one_goal(utilities: dict[str, tuple[float, float]], **more: Any) -> Decision:
    """A decision on one criterion; (median, standard deviation) of the utility by SoC."""
    return verdict(Demand((goal(),)), {soc: Row((worth(soc, *both),)) for soc, both in utilities.items()}, **more)


KNOWN = [kind for kind in Kind if kind is not Kind.MISSING]
kinds = st.sampled_from(KNOWN)
sigmas = st.sampled_from([0.0, 0.02, 0.1, 0.25, 0.5, 1.0])


@st.composite
def criterion_cells(draw: st.DrawFn, soc: str, workload: str) -> Cell:
    if draw(st.integers(0, 4)) == 0:
        return cell(soc, None, workload=workload)
    value = math.exp(draw(st.floats(-1.5, 8.4)))  # a little beyond both anchors
    return cell(soc, value, draw(sigmas), workload=workload, kind=draw(kinds))


@st.composite
def limit_cells(draw: st.DrawFn, soc: str, bound: Bound) -> Cell:
    """Known, known on one side only, or not known, around the bound."""
    shape = draw(st.sampled_from(["known", "known", "low", "high", "none"]))
    if shape == "none":
        return cell(soc, None, metric=bound.metric, workload=bound.workload)
    value = bound.bound * math.exp(draw(st.floats(-1.0, 1.0)))
    sides = {"known": {}, "low": {"floor": 0.0, "ceil": value}, "high": {"floor": value, "ceil": math.inf}}[shape]
    return cell(soc, value, draw(sigmas), metric=bound.metric, workload=bound.workload, kind=draw(kinds), **sides)


LIMITS = (("power", True, 15.0), ("price", True, 200.0), ("memory", False, 8e9), ("longevity", False, 10.0))


@st.composite
def markets(draw: st.DrawFn, least: int = 2, limits: int = 4) -> tuple[Demand, dict[str, Row]]:
    """2-8 SoCs, 1-6 criteria, up to four limits, every kind of evidence, missing values."""
    workloads = [f"net-{at}" for at in range(draw(st.integers(1, 6)))]
    weights = draw(st.lists(st.floats(0.05, 5), min_size=len(workloads), max_size=len(workloads)))
    goals = tuple(goal(name, weight) for name, weight in zip(workloads, weights, strict=True))
    asked = draw(st.permutations(LIMITS))[: draw(st.integers(0, limits))]
    bounds = tuple(Bound(metric, metric, "", at_most, bound, draw(kinds)) for metric, at_most, bound in asked)
    rows = {
        soc: Row(
            tuple(draw(criterion_cells(soc, one.workload)) for one in goals),
            tuple(draw(limit_cells(soc, one)) for one in bounds),
        )
        for soc in [f"soc-{at}" for at in range(draw(st.integers(least, 8)))]
    }
    return Demand(goals, bounds), rows


STREAMS = Streams(400, 1)
"""Shared by the property tests: few draws, for what they say holds for any number."""
