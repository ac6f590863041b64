"""Whether a stated P(best) is the share of times in which the SoC named is the best, on markets whose truth is known."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from harness.decide.decision import Demand, Row, decide
from harness.decide.decision.draws import Streams
from tests.demands import goal, worth

PROBLEMS, SOCS, CRITERIA, DRAWS = 400, 10, 8, 500
SIGMAS, SHARES = (0.02, 0.10, 0.25, 0.50), (0.3, 0.3, 0.25, 0.15)
CONCENTRATION = 100.0
"""Nearly exact: with rough weights the order is uncertain whatever the sigmas are, and the test would hardly see them."""
SPREAD = 0.7
"""sd of the true logarithms: sqrt(0.35^2 + 0.6^2), of SoCs and of what is peculiar to a workload."""
SCALE = 0.12
"""Utility for a unit of the logarithm: nearly all values lie between the anchors."""


@cache
def stated(understated: float) -> tuple[np.ndarray, np.ndarray]:
    """(P(best) of the leader, whether it is truly the best) of each problem, where each sigma is told divided by `understated`.

    What is observed is the truth times a log-normal error; what is believed, the normal posterior given it and the spread of the market:
    variance v = 1 / (1 / s^2 + 1 / SPREAD^2), mean v * observed / s^2. The true weights are drawn around the stated ones.
    """
    rng = np.random.default_rng(11)
    streams = Streams(DRAWS, 1)
    names = [f"net-{at}" for at in range(CRITERIA)]
    best, hit = np.empty(PROBLEMS), np.empty(PROBLEMS, np.bool_)
    for problem in range(PROBLEMS):
        truth = rng.normal(0, SPREAD, (SOCS, CRITERIA))
        sigma = rng.choice(SIGMAS, (SOCS, CRITERIA), p=SHARES)
        observed = truth + sigma * rng.standard_normal(truth.shape)
        weights = rng.dirichlet(np.ones(CRITERIA))
        wanted = rng.dirichlet(CONCENTRATION * weights)
        told = sigma / understated
        variance = 1 / (1 / told**2 + 1 / SPREAD**2)
        mean = variance * observed / told**2
        # New names for each problem: else all problems would share their luck.
        rows = {
            f"{problem}/{soc}": Row(
                tuple(
                    worth(f"{problem}/{soc}", 0.5 + SCALE * mean[soc, at], SCALE * math.sqrt(variance[soc, at]), name)
                    for at, name in enumerate(names)
                )
            )
            for soc in range(SOCS)
        }
        demand = Demand(tuple(goal(f"{name}", weight) for name, weight in zip(names, weights, strict=True)))
        found = decide("market", demand, rows, draws=DRAWS, streams=streams, concentration=CONCENTRATION, as_of="")
        value = np.clip(0.5 + SCALE * truth, 0, 1) @ wanted
        best[problem] = found.entries[0].best
        hit[problem] = found.leader == f"{problem}/{int(value.argmax())}"
    return best, hit


def off(understated: float) -> list[str]:
    """The bins of stated P(best) whose hits lie further from what was stated than chance explains (3.3 standard deviations, 1 in 1 000)."""
    best, hit = stated(understated)
    found = []
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.01)):
        here = (best >= low) & (best < high)
        expected, sd = best[here].sum(), math.sqrt((best[here] * (1 - best[here])).sum())
        if abs(hit[here].sum() - expected) > 3.3 * sd + 0.5:
            found.append(f"{low}-{high}: {hit[here].sum()} of {here.sum()} hit, {expected:.0f} +- {sd:.0f} stated")
    return found


def test_the_stated_probability_of_the_leader_is_its_hit_rate() -> None:
    assert off(1.0) == []


def test_the_overall_hit_rate_is_the_mean_of_what_was_stated() -> None:
    best, hit = stated(1.0)
    assert hit.mean() == pytest.approx(best.mean(), abs=3.3 * math.sqrt((best * (1 - best)).sum()) / PROBLEMS)


def test_every_bin_is_tried_often_enough_to_be_judged() -> None:
    best, _ = stated(1.0)
    counts, _ = np.histogram(best, (0, 0.6, 0.8, 0.95, 1.01))
    assert counts.min() >= 50


def test_understated_uncertainties_are_found_out() -> None:
    assert len(off(2.0)) >= 2
