"""Decisions that can be computed by hand: P(best), limits, words, what is worth finding out, and the sentences."""

from __future__ import annotations

import math
import re

import msgspec
import numpy as np
import pytest
from scipy.stats import norm

from harness.decide.decision import Bound, Demand, Goal, Row, decide
from harness.decide.decision.draws import Streams
from harness.decide.decision.rank import acceptabilities, front
from harness.decide.decision.value import BINS
from harness.decide.terms import Cell
from harness.errors import UsageError
from harness.quantity import Kind
from tests.demands import cell, entry, goal, one_goal, power, verdict, watts, worth

EXACT = math.inf


# ---------------------------------------------------------------------------------------------------- probabilities and weights


@pytest.mark.parametrize(("gap", "first", "second"), [(0.05, 0.03, 0.04), (0.02, 0.06, 0.01), (0.0, 0.02, 0.05), (0.1, 0.02, 0.02)])
def test_best_of_two_is_the_normal_probability_of_their_difference(gap: float, first: float, second: float) -> None:
    found = one_goal({"a": (0.5 + gap, first), "b": (0.5, second)}, draws=10_000)
    assert entry(found, "a").best == pytest.approx(norm.cdf(gap / math.hypot(first, second)), abs=0.015)


def test_the_mean_utility_is_that_of_the_normal_distribution_clipped_at_the_anchors() -> None:
    found = one_goal({"a": (0.95, 0.1), "b": (0.5, 0.0)}, draws=10_000)
    d = (1 - 0.95) / 0.1
    lost = 0.1 * (norm.pdf(d) - d * (1 - norm.cdf(d)))  # E max(X - 1, 0)
    assert entry(found, "a").parts[0].utility == pytest.approx(0.95 - lost, abs=1e-4)


def test_exact_weights_give_the_weighted_sum() -> None:
    demand = Demand((goal("x", 3), goal("y", 1)))
    found = verdict(demand, {"a": Row((worth("a", 0.8, workload="x"), worth("a", 0.2, workload="y")))}, concentration=EXACT)
    assert found.entries[0].score == pytest.approx(0.75 * 0.8 + 0.25 * 0.2, abs=1e-6)
    assert found.entries[0].central == pytest.approx((0.75, 0.25))


def test_rough_weights_are_dirichlet_around_the_stated_ones() -> None:
    weights = Streams(10_000, 1).weights(("x", "y", "z"), (0.5, 0.3, 0.2), 12.0)
    assert weights.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert weights.mean(axis=1) == pytest.approx([0.5, 0.3, 0.2], abs=0.006)
    assert weights.std(axis=1) == pytest.approx([math.sqrt(p * (1 - p) / 13) for p in (0.5, 0.3, 0.2)], rel=0.04)


def test_weights_that_underflow_fall_back_on_the_stated_ones() -> None:
    weights = Streams(1000, 1).weights(("x", "y"), (0.5, 0.5), 1e-4)
    assert np.isfinite(weights).all()
    assert weights.sum(axis=0) == pytest.approx(1, abs=1e-5)


def test_central_weights_lean_to_the_criterion_a_winner_is_good_at() -> None:
    demand = Demand((goal("x"), goal("y")))
    rows = {"a": Row((worth("a", 0.9, workload="x"), worth("a", 0.2, workload="y")))}
    rows["b"] = Row((worth("b", 0.2, workload="x"), worth("b", 0.9, workload="y")))
    found = verdict(demand, rows)
    central = entry(found, "a").central
    assert central[0] > 0.55
    assert central[1] < 0.45
    assert sum(central) == pytest.approx(1, abs=1e-5)


def test_socs_that_tie_in_every_draw_share_all_places_equally() -> None:
    found = one_goal({"a": (0.5, 0), "b": (0.5, 0), "c": (0.5, 0)})
    for one in found.entries:
        assert one.best == pytest.approx(1 / 3)
        assert one.ranks[:4] == pytest.approx((1 / 3, 1 / 3, 1 / 3, 0))
    assert [one.soc for one in found.entries] == ["a", "b", "c"]
    assert found.shortlist == ("a", "b", "c")


def test_ranks_agree_with_sorting_each_draw() -> None:
    rng = np.random.default_rng(3)
    value = rng.integers(0, 6, (14, 200)).astype(np.float32) / np.float32(8)  # many ties
    feasible = rng.random((14, 200)) < 0.8
    ranks, wins = acceptabilities(value, feasible)
    expected = np.zeros((14, 11))
    for draw in range(200):
        here = [at for at in range(14) if feasible[at, draw]]
        for at in here:
            above = sum(value[other, draw] > value[at, draw] for other in here)
            equal = sum(value[other, draw] == value[at, draw] for other in here)
            for place in range(above, above + equal):
                expected[at, min(place, 10)] += 1 / equal
        expected[[at for at in range(14) if at not in here], 10] += 1
    assert np.array(ranks) == pytest.approx(expected / 200, abs=1e-9)
    assert wins.mean(axis=1) == pytest.approx(expected[:, 0] / 200, abs=1e-6)


def test_a_stream_is_a_permutation_of_the_quantiles_and_streams_do_not_correlate() -> None:
    streams = Streams(10_000, 1)
    drawn = np.stack([streams.grid[streams.order(f"soc-{at}/latency:net")] for at in range(60)])
    assert (np.sort(drawn, axis=1) == streams.grid).all()
    between = np.asarray(np.corrcoef(drawn))[np.triu_indices(60, 1)]
    assert between.std() == pytest.approx(0.01, rel=0.1)  # 1 / sqrt(N), as of independent numbers
    assert np.abs(between).max() < 0.05


def test_a_stream_depends_on_the_seed_and_the_name_only() -> None:
    first, second = Streams(1000, 1), Streams(1000, 1)
    second.order("another")
    assert (first.order("a") == second.order("a")).all()
    assert (first.order("a") != Streams(1000, 2).order("a")).any()
    assert (first.order("a") != first.order("b")).any()
    assert first.coin("a").sum() == 500


# ---------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("known", "probability", "state"),
    [
        (watts("a", 10.0), 1.0, "met"),
        (watts("a", 15.0), 1.0, "met"),
        (watts("a", 15.1), 0.0, "not met"),
        (watts("a", 15.0, 0.3), 0.5, "unknown"),
        (watts("a", 12.0, 0.3), norm.cdf(math.log(15 / 12) / 0.3), "unknown"),
        (watts("a", 12.0, 0.1), norm.cdf(math.log(15 / 12) / 0.1), "met"),
        (watts("a", None), 0.5, "unknown"),
        (watts("a", 14.0, floor=0.0), 1.0, "met"),  # at most 14 W is known
        (watts("a", 20.0, floor=0.0), 0.5, "unknown"),  # at most 20 W is known: it may be less than 15
        (watts("a", 20.0, ceil=math.inf), 0.0, "not met"),  # at least 20 W is known
        (watts("a", 10.0, ceil=math.inf), 0.5, "unknown"),
        (watts("a", 10.0, kind=Kind.ESTIMATED), 1.0, "unknown"),  # too weak to pass
        (watts("a", 40.0, kind=Kind.ESTIMATED), 0.0, "not met"),  # strong enough to rule out
    ],
)
def test_a_limit_is_met_not_met_or_unknown(known: Cell, probability: float, state: str) -> None:
    found = verdict(Demand((goal(),), (power(),)), {"a": Row((worth("a", 0.5),), (known,))})
    (finding,) = found.entries[0].findings
    assert finding.probability == pytest.approx(probability, abs=0.001)
    assert finding.state == state
    assert found.entries[0].ruled_out == (state == "not met")
    assert found.entries[0].feasible == finding.probability


@pytest.mark.parametrize(
    ("value", "at_most", "bound", "met"),
    [(-40.0, True, -20.0, True), (-10.0, True, -20.0, False), (-40.0, True, -40.0, True), (0.0, True, -20.0, False), (0.0, False, -20.0, True)],
)
def test_limits_on_degrees_below_zero_compare_as_numbers(value: float, at_most: bool, bound: float, met: bool) -> None:
    limit = Bound("cold", "temperature_min", "", at_most, bound, Kind.DATASHEET)
    for sigma in (0.0, 1e-6):
        known = cell("a", value, sigma if value != bound else 0.0, metric="temperature_min", workload="", kind=Kind.DATASHEET)
        found = verdict(Demand((goal(),), (limit,)), {"a": Row((worth("a", 0.5),), (known,))})
        assert found.entries[0].findings[0].state == ("met" if met else "not met")


def test_a_limit_and_a_criterion_on_the_same_variable_move_together() -> None:
    demand = Demand((Goal("power", "power", "", 100.0, 1.0, 1.0),), (power(10.0),))
    found = verdict(demand, {"a": Row((watts("a", 10.0, 0.5),), (watts("a", 10.0, 0.5),))})
    one = found.entries[0]
    assert one.feasible == 0.5
    assert one.score > 0.5 * one.parts[0].contribution + 0.02  # the draws that meet the limit are those of low power


def test_two_limits_known_on_one_side_only_are_met_independently() -> None:
    bounds = (power(), Bound("price", "price", "", at_most=True, bound=15.0, accept=Kind.CLAIMED))
    cells = (watts("a", 15.0, 0.5, ceil=math.inf), cell("a", 15.0, 0.5, metric="price", workload="", ceil=math.inf))
    found = verdict(Demand((goal(),), bounds), {"a": Row((worth("a", 0.5),), cells)}, draws=10_000)
    assert [one.probability for one in found.entries[0].findings] == pytest.approx([0.25, 0.25], abs=0.015)
    assert found.entries[0].feasible == pytest.approx(1 / 16, abs=0.012)


def test_the_limiting_constraint_is_the_least_likely_one() -> None:
    bounds = (power(), Bound("price", "price", "", at_most=True, bound=100.0, accept=Kind.CLAIMED))
    cells = (watts("a", 14.0, 0.1), cell("a", 99.0, 0.1, metric="price", workload=""))
    found = verdict(Demand((goal(),), bounds), {"a": Row((worth("a", 0.5),), cells)})
    assert found.entries[0].limiting == "price"


# ---------------------------------------------------------------------------------------------------- words


def test_a_clear_winner_on_accepted_evidence_is_recommended() -> None:
    found = one_goal({"a": (0.8, 0.02), "b": (0.5, 0.02)})
    assert (found.word, found.leader, found.shortlist) == ("recommended", "a", ("a",))


def test_a_clear_winner_with_a_limit_unknown_only_leads() -> None:
    demand = Demand((goal(),), (power(accept=Kind.PUBLISHED),))
    rows = {"a": Row((worth("a", 0.9),), (watts("a", 5.0, kind=Kind.ESTIMATED),)), "b": Row((worth("b", 0.2),), (watts("b", 5.0),))}
    found = verdict(demand, rows)
    assert entry(found, "a").best == 1
    assert found.word == "leading"


def test_close_rivals_make_a_shortlist_of_nine_tenths() -> None:
    found = one_goal({"a": (0.51, 0.05), "b": (0.5, 0.05), "c": (0.5, 0.05), "d": (0.2, 0.02)})
    assert found.word == "shortlist"
    assert set(found.shortlist) == {"a", "b", "c"}


def test_nothing_is_said_where_a_limit_rules_out_every_soc() -> None:
    found = verdict(Demand((goal(),), (power(),)), {"a": Row((worth("a", 0.9),), (watts("a", 30.0),))})
    assert (found.word, found.leader, found.shortlist, found.advice) == ("nothing", "", (), ())
    assert found.none_feasible == 1


def test_no_soc_at_all_is_nothing_too() -> None:
    assert verdict(Demand((goal(),)), {}).word == "nothing"


def test_those_ruled_out_come_last_however_good() -> None:
    rows = {"a": Row((worth("a", 0.1),), (watts("a", 5.0),)), "b": Row((worth("b", 0.9),), (watts("b", 30.0),))}
    found = verdict(Demand((goal(),), (power(),)), rows)
    assert [one.soc for one in found.entries] == ["a", "b"]
    assert (entry(found, "b").ruled_out, entry(found, "b").pareto) == (True, False)


def test_the_chance_that_no_soc_meets_the_limits_is_that_of_all_failing() -> None:
    rows = {soc: Row((worth(soc, 0.5),), (watts(soc, None),)) for soc in "abc"}
    assert verdict(Demand((goal(),), (power(),)), rows, draws=10_000).none_feasible == pytest.approx(0.125, abs=0.015)


# ---------------------------------------------------------------------------------------------------- Pareto


def test_the_front_holds_what_no_other_allowed_one_dominates() -> None:
    medians = [(3, 1), (1, 3), (2, 2), (1, 1), (2, None), (9, 9)]
    assert front(medians, [True, True, True, True, True, False]) == [True, True, True, False, False, False]


def test_clones_are_both_on_the_front() -> None:
    assert front([(1, 2), (1, 2)], [True, True]) == [True, True]


def test_the_chance_of_not_being_dominated_follows_the_draws() -> None:
    found = one_goal({"a": (0.52, 0.02), "b": (0.5, 0.0)}, draws=10_000)
    assert entry(found, "a").nondominated == pytest.approx(norm.cdf(1), abs=0.06)
    assert entry(found, "a").pareto
    assert not entry(found, "b").pareto


# ---------------------------------------------------------------------------------------------------- what is worth finding out


def decile_gain(mean: float, sd: float, other: float) -> float:
    """E max(mean of the decile, other) - max(mean, other), of a normal distribution."""
    edges = norm.ppf(np.linspace(0, 1, BINS + 1))
    means = mean + sd * BINS * (norm.pdf(edges[:-1]) - norm.pdf(edges[1:]))
    return float(np.maximum(means, other).mean() - max(mean, other))


@pytest.mark.parametrize(("mean", "sd"), [(0.45, 0.1), (0.55, 0.1), (0.5, 0.05), (0.4, 0.1)])
def test_the_value_of_learning_a_normal_utility_is_its_closed_form(mean: float, sd: float) -> None:
    found = one_goal({"a": (mean, sd), "b": (0.5, 0.0)}, concentration=EXACT)
    (top,) = found.advice
    assert (top.soc, top.metric, top.workload, top.limit) == ("a", "latency", "net", False)
    assert top.gain == pytest.approx(decile_gain(mean, sd, 0.5), abs=3e-4)
    d = abs(mean - 0.5) / sd
    assert top.gain == pytest.approx(sd * (norm.pdf(d) - d * norm.cdf(-d)), rel=0.15)  # ten bins against infinitely many
    assert top.flip == pytest.approx(norm.cdf(-d), abs=0.1)  # to a bin


def test_the_value_of_learning_whether_a_limit_is_met_is_that_of_a_coin() -> None:
    rows = {"a": Row((worth("a", 0.8),), (watts("a", None),)), "b": Row((worth("b", 0.6),), (watts("b", 5.0),))}
    found = verdict(Demand((goal(),), (power(),)), rows, concentration=EXACT)
    (top,) = found.advice
    assert (found.leader, top.soc, top.metric, top.limit, top.flip) == ("b", "a", "power", True, 0.5)
    assert top.gain == pytest.approx((0.8 + 0.6) / 2 - 0.6, abs=1e-6)


def test_the_value_of_learning_agrees_with_a_nested_simulation() -> None:
    """Weights, another criterion, a limit on the same variable, and a limit of another: fix the variable, draw all else anew."""
    demand = Demand(
        (Goal("power", "power", "", 100.0, 1.0, 2.0), goal("net", 1.0)), (power(12.0), Bound("memory", "memory", "", False, 8.0, Kind.CLAIMED))
    )
    memory = cell("a", 9.0, 0.2, metric="memory", workload="")
    rows = {"a": Row((watts("a", 10.0, 0.4), worth("a", 0.7, 0.2)), (watts("a", 10.0, 0.4), memory))}
    rows["b"] = Row((watts("b", 9.0), worth("b", 0.3)), (watts("b", 9.0), cell("b", 16.0, metric="memory", workload="")))
    found = verdict(demand, rows, draws=10_000)
    rng = np.random.default_rng(7)
    z = norm.ppf((np.arange(1000) + 0.5) / 1000)
    x = 10 * np.exp(0.4 * z)[:, None]
    w = rng.dirichlet([8, 4], (1000, 2000))
    net = np.clip(0.7 + 0.2 * rng.standard_normal((1000, 2000)), 0, 1)
    value = w[..., 0] * np.clip(np.log(x / 100) / np.log(1 / 100), 0, 1) + w[..., 1] * net
    met = (x <= 12) & (9 * np.exp(0.2 * rng.standard_normal((1000, 2000))) >= 8)
    given = (value * met).mean(axis=1).reshape(BINS, -1).mean(axis=1)
    other = 2 / 3 * np.log(9 / 100) / np.log(1 / 100) + 0.3 / 3
    expected = np.maximum(given, other).mean() - max(given.mean(), other)
    assert entry(found, "a").score == pytest.approx(given.mean(), abs=0.005)
    top = next(one for one in found.advice if (one.soc, one.metric) == ("a", "power"))
    assert top.gain == pytest.approx(expected, abs=0.004)
    assert top.limit


def test_nothing_is_advised_where_the_winner_is_clear() -> None:
    assert one_goal({"a": (0.8, 0.01), "b": (0.3, 0.01)}).advice == ()


def test_a_criterion_of_no_weight_is_never_worth_learning_even_between_near_equals() -> None:
    """The plain mean of the draws in a bin would advise it: rough weights alone make such means differ by more than the gap."""
    demand = Demand((goal("x"), goal("y"), goal("z", 0)))
    utilities = {"a": (0.7, 0.3), "b": (0.3, 0.7001)}
    rows = {
        soc: Row((*(worth(soc, u, workload=net) for u, net in zip(both, "xy", strict=True)), worth(soc, 0.5, 0.3, "z")))
        for soc, both in utilities.items()
    }
    assert verdict(demand, rows).advice == ()


def test_a_rate_computed_from_a_latency_is_learnt_by_measuring_the_latency() -> None:
    rate = Goal("rate:net", "rate", "net", 0.001, 1.0, 1.0)
    known = cell("a", 1 / 30, 0.7, metric="rate", variable="a/latency:net", sign=-1)
    rows = {"a": Row((worth("a", 0.5, 0.1), known)), "b": Row((worth("b", 0.5), cell("b", 1 / 30, metric="rate")))}
    found = verdict(Demand((goal(), rate)), rows)
    assert {(one.soc, one.metric) for one in found.advice} == {("a", "latency")}


def test_advice_says_whether_to_measure_or_to_ask() -> None:
    rows = {"a": Row((worth("a", 0.6, 0.3),), (watts("a", None),)), "b": Row((worth("b", 0.35),), (watts("b", 5.0),))}
    found = verdict(Demand((goal(),), (power(),)), rows)
    assert {one.metric: one.how.key for one in found.advice} == {"latency": "decision-measure", "power": "decision-ask"}


# ---------------------------------------------------------------------------------------------------- what cannot be decided


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: goal(reject=5.0, target=5.0), "criteria.latency:net.target"),
        (lambda: goal(target=0.0), "criteria.latency:net.target"),
        (lambda: goal(reject=math.inf), "criteria.latency:net.reject"),
        (lambda: goal(weight=-1.0), "criteria.latency:net.weight"),
        (lambda: goal(weight=math.nan), "criteria.latency:net.weight"),
        (lambda: Goal("cold", "temperature_min", "", 1.0, 2.0, 1.0), "criteria.cold.metric"),
        (lambda: Goal("x", "speed", "net", 1.0, 2.0, 1.0), "criteria.x.metric"),
        (lambda: Goal("x", "latency", "", 1.0, 2.0, 1.0), "criteria.x.workload"),
        (lambda: Goal("x", "power", "net", 1.0, 2.0, 1.0), "criteria.x.workload"),
        (lambda: power(math.nan), "limits.power.bound"),
        (lambda: power(accept=Kind.MISSING), "limits.power.accept"),
        (lambda: Demand(()), "criteria"),
        (lambda: Demand((goal(weight=0.0),)), "criteria.*.weight"),
        (lambda: Demand((goal(), goal())), "criteria.latency:net stands 2 times"),
        (lambda: Demand((goal(),), (power(), power())), "limits.power stands 2 times"),
        (lambda: one_goal({"a": (0.5, 0)}, draws=5), "draws"),
        (lambda: one_goal({"a": (0.5, 0)}, concentration=0.0), "concentration"),
        (lambda: verdict(Demand((goal(),)), {"a": Row((cell("a", -1.0),))}), "latency:net of a is -1.0"),
    ],
)
def test_what_cannot_be_weighed_is_refused_by_its_key_with_a_fix(make: object, named: str) -> None:
    assert callable(make)
    with pytest.raises(UsageError, match=re.escape(named)) as raised:
        make()
    assert raised.value.fix


def test_streams_of_another_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="another seed"):
        decide("x", Demand((goal(),)), {}, seed=2, as_of="", streams=Streams(10_000, 1))


def test_a_decision_survives_json() -> None:
    rows = {"a": Row((worth("a", 0.6, 0.3),), (watts("a", 8.0),)), "b": Row((worth("b", 0.5),), (watts("b", 5.0),))}
    found = verdict(Demand((goal(),), (power(),)), rows)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def test_a_claim_where_the_limit_asks_for_better_is_a_coin_and_never_a_pass() -> None:
    demand = Demand((goal(),), (power(15.0, accept=Kind.DATASHEET),))
    rows = {
        "a": Row((worth("a", 0.9),), (watts("a", 10.0, kind=Kind.CLAIMED),)),
        "b": Row((worth("b", 0.5),), (watts("b", 10.0, kind=Kind.DATASHEET),)),
        "c": Row((worth("c", 0.5),), (watts("c", 20.0, kind=Kind.CLAIMED),)),
    }
    found = verdict(demand, rows)
    assert entry(found, "a").findings[0].state == "unknown"
    assert entry(found, "a").feasible == pytest.approx(0.5)
    assert entry(found, "b").findings[0].state == "met"
    assert entry(found, "c").findings[0].state == "not met"
    assert found.advice[0].soc == "a"
    assert found.advice[0].limit


def test_a_claim_that_the_limit_accepts_is_taken_at_its_word() -> None:
    found = verdict(Demand((goal(),), (power(15.0, accept=Kind.CLAIMED),)), {"a": Row((worth("a", 0.9),), (watts("a", 10.0, kind=Kind.CLAIMED),))})
    assert entry(found, "a").findings[0].state == "met"


def test_none_of_a_thing_is_worth_nothing_where_more_is_better() -> None:
    demand = Demand((Goal("video_decode", "video_decode", "", 1e6, 1e8, 1.0),))
    found = verdict(demand, {one: Row((cell(one, value, metric="video_decode", workload=""),)) for one, value in (("a", 0.0), ("b", 1e7))})
    assert entry(found, "a").score == 0.0
    assert entry(found, "b").best == 1.0


def test_a_soc_of_which_less_than_a_third_of_the_weight_is_known_stands_after_the_others() -> None:
    demand = Demand((goal("x", 0.7), goal("y", 0.3)))
    rows = {
        "thin": Row((cell("thin", None, workload="x"), worth("thin", 1.0, workload="y"))),
        "half": Row((worth("half", 0.3, workload="x"), cell("half", None, workload="y"))),
        "full": Row((worth("full", 0.2, workload="x"), worth("full", 0.2, workload="y"))),
    }
    found = verdict(demand, rows)
    assert [one.soc for one in found.entries] == ["half", "full", "thin"]
    assert entry(found, "thin").score > entry(found, "full").score
    assert [entry(found, one).placed for one in ("thin", "half", "full")] == [False, True, True]
    assert "thin" not in found.shortlist
    assert all(one.soc != "thin" for one in found.advice)
