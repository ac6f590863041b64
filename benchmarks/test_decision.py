"""What a decision costs: the whole matrix of scenarios, from cells to advice, in time and memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np

from harness.decide.decision import Bound, Demand, Goal, Row, decide
from harness.decide.decision.draws import Streams
from harness.decide.terms import METRICS, Cell, Decision
from harness.quantity import Evidence, Kind

SOCS, CRITERIA, SCENARIOS = 40, 12, 13
PARTS = ("power", "price", "memory", "longevity", "bandwidth", "tops")
OF_WORKLOADS = ("latency", "rate", "energy", "peak_memory")
WHAT = f"{SOCS} SoCs x {CRITERIA} criteria and 6 limits x {SCENARIOS} scenarios x 10 000 draws"


def cell(rng: np.random.Generator, soc: str, metric: str, workload: str = "") -> Cell:
    """A value near 1, uncertain as evidence is: one in ten unknown, one in five bounded on one side only."""
    unit, drawn = METRICS[metric].unit, rng.random()
    if drawn < 0.1:
        return Cell(soc, metric, workload, None, unit, Evidence(Kind.MISSING))
    value, sigma = float(np.exp(rng.normal(0, 0.8))), float(rng.choice([0.02, 0.1, 0.25, 0.5]))
    low = 0.0 if drawn < 0.3 else value
    return Cell(soc, metric, workload, value, unit, Evidence(Kind.PUBLISHED), sigma, low, value)


def market() -> list[tuple[Demand, dict[str, Row]]]:
    """Scenarios whose eight workload questions are all their own, the worst case for the cache; the questions about parts are shared."""
    rng = np.random.default_rng(1)
    socs = [f"soc-{at}" for at in range(SOCS)]
    parts = {(soc, metric): cell(rng, soc, metric) for soc in socs for metric in PARTS}
    found = []
    for scenario in range(SCENARIOS):
        asked = [(metric, f"net-{scenario}-{at}") for metric in OF_WORKLOADS for at in range(2)]
        asked += [(metric, "") for metric in PARTS[:4]]
        goals = tuple(Goal(f"{metric}:{net}", metric, net, *anchors(metric), float(rng.random())) for metric, net in asked)
        bounds = tuple(
            Bound(metric, metric, "", METRICS[metric].better == "lower", 3.0 if METRICS[metric].better == "lower" else 0.3, Kind.CLAIMED)
            for metric in PARTS
        )
        rows = {
            soc: Row(
                tuple(cell(rng, soc, metric, net) if net else parts[soc, metric] for metric, net in asked),
                tuple(parts[soc, metric] for metric in PARTS),
            )
            for soc in socs
        }
        found.append((Demand(goals, bounds), rows))
    return found


def anchors(metric: str) -> tuple[float, float]:
    """Reject and target around 1."""
    return (10.0, 0.1) if METRICS[metric].better == "lower" else (0.1, 10.0)


def matrix(asked: list[tuple[Demand, dict[str, Row]]]) -> list[Decision]:
    """All scenarios with everything a decision holds."""
    streams = Streams()
    return [decide(str(at), demand, rows, as_of="", streams=streams) for at, (demand, rows) in enumerate(asked)]


def test_the_matrix_of_scenarios(benchmark: Any) -> None:
    asked = market()
    found = benchmark.pedantic(lambda: matrix(asked), rounds=3, warmup_rounds=1)
    assert [len(one.entries) for one in found] == [SOCS] * SCENARIOS
    benchmark.extra_info.update(what=f"{WHAT}, best of 3", value=benchmark.stats.stats.min, unit="s", bound=2.0)


def test_memory_of_the_matrix(benchmark: Any) -> None:
    asked = market()

    def peak() -> int:
        tracemalloc.start()
        matrix(asked)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    most = benchmark.pedantic(peak, rounds=1)
    benchmark.extra_info.update(what=f"{WHAT}: peak of what it allocates", value=most, unit="B", bound=300e6)
