"""What holds for every market: no rank reversal, no certainty out of ignorance, nothing that depends on the order of the input."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.decide.decision import Demand, Row, decide
from harness.decide.decision.draws import Streams
from harness.decide.decision.value import Look, can_matter, unknowns
from harness.decide.decision.value import worth as worth_of_learning
from harness.decide.decision.weigh import Setting, weigh
from harness.decide.terms import Cell, Decision
from harness.quantity import STRENGTH, Kind
from tests.demands import KNOWN, STREAMS, cell, entry, goal, limit_cells, markets, power, worth

calm = settings(max_examples=60, deadline=None, derandomize=True)
Market = tuple[Demand, dict[str, Row]]


def decided(market: Market, concentration: float = 12.0, streams: Streams = STREAMS) -> Decision:
    demand, rows = market
    return decide("test", demand, rows, draws=streams.draws, seed=streams.seed, streams=streams, concentration=concentration, as_of="")


def places(decision: Decision, socs: set[str]) -> list[str]:
    """The order of those in `socs`."""
    return [one.soc for one in decision.entries if one.soc in socs]


def renamed(row: Row, soc: str, *, own: bool = True) -> Row:
    """The same knowledge about another SoC, with uncertainties of its own or the very same ones."""

    def other(one: Cell) -> Cell:
        key = f"{one.metric}:{one.workload}" if one.workload else one.metric
        return msgspec.structs.replace(one, soc=soc, variable="" if own else one.variable or f"{one.soc}/{key}")

    return Row(tuple(map(other, row.criteria)), tuple(map(other, row.limits)))


@calm
@given(markets(), st.data(), st.booleans())
def test_a_cloned_soc_never_changes_the_order_of_the_others(market: Market, data: st.DataObject, own: bool) -> None:
    demand, rows = market
    original = data.draw(st.sampled_from(sorted(rows)))
    name = data.draw(st.sampled_from(["a-first", "z-last"]))  # before or behind the others in the alphabet
    before = decided(market)
    after = decided((demand, rows | {name: renamed(rows[original], name, own=own)}))
    assert places(after, set(rows)) == places(before, set(rows))
    for soc in rows:
        assert entry(after, soc).score == entry(before, soc).score
        assert entry(after, soc).best <= entry(before, soc).best
        assert entry(after, soc).findings == entry(before, soc).findings


@calm
@given(markets(), st.data())
def test_a_dominated_soc_never_changes_the_order_of_the_others(market: Market, data: st.DataObject) -> None:
    demand, rows = market
    better = rows[data.draw(st.sampled_from(sorted(rows)))]
    factor = data.draw(st.floats(1.01, 5))
    worse = Row(tuple(msgspec.structs.replace(one, value=one.value and one.value * factor) for one in better.criteria), better.limits)
    before, after = decided(market), decided((demand, rows | {"worse": renamed(worse, "worse")}))
    assert places(after, set(rows)) == places(before, set(rows))


@calm
@given(markets(), st.data())
def test_any_further_soc_leaves_the_scores_of_the_others_as_they_are(market: Market, data: st.DataObject) -> None:
    demand, rows = market
    gone = data.draw(st.sampled_from(sorted(rows)))
    fewer = decided((demand, {soc: row for soc, row in rows.items() if soc != gone}))
    for one in decided(market).entries:
        if one.soc != gone:
            assert (one.score, one.feasible) == (entry(fewer, one.soc).score, entry(fewer, one.soc).feasible)


@st.composite
def inner_markets(draw: st.DrawFn, widening: float) -> Market:
    """Utilities well inside their anchors, also once their uncertainties are `widening` times as large; no limits."""
    workloads = [f"net-{at}" for at in range(draw(st.integers(1, 5)))]
    goals = tuple(goal(name, draw(st.floats(0.1, 5))) for name in workloads)
    rows = {}
    for soc in [f"soc-{at}" for at in range(draw(st.integers(2, 6)))]:
        # 400 draws reach 3.03 standard deviations: 0.3 - 3.03 * 3 * 0.03 > 0
        cells = [worth(soc, draw(st.floats(0.3, 0.7)), draw(st.floats(0.001, 0.09 / widening)), one) for one in workloads]
        rows[soc] = Row(tuple(cells))
    return Demand(goals), rows


def widened(market: Market, factor: float) -> Market:
    demand, rows = market
    return demand, {
        soc: Row(tuple(msgspec.structs.replace(one, sigma=one.sigma * factor) for one in row.criteria), row.limits) for soc, row in rows.items()
    }


@calm
@given(inner_markets(3.0), st.floats(1.0, 3.0))
def test_widening_all_uncertainties_alike_never_makes_the_best_by_median_more_certain(market: Market, factor: float) -> None:
    """With exact weights and no clipping V_i = m_i + f * n_i, m_i the value of the medians, n_i noise that does not depend on f.

    Let l have the largest m. It wins a draw if n_l - n_k > -(m_l - m_k) / f for all k. The right side does not fall as f grows, so a draw won
    at a larger f is won at a smaller one: P(best) of l falls in f, draw by draw. (Of rough weights this does not hold: there the medians of a
    draw may favour another. Nor of unequal factors with three or more: there a rival can lose its chances to the noise of a third.)
    """
    before, after = decided(market, concentration=math.inf), decided(widened(market, factor), concentration=math.inf)
    sure = decided(widened(market, 0.0), concentration=math.inf)
    assume(sure.entries[0].score > sure.entries[1].score + 1e-5)  # float32
    leader = sure.leader
    assert entry(after, leader).best <= entry(before, leader).best + 1 / STREAMS.draws


@calm
@given(inner_markets(3.0), st.data())
def test_widening_either_of_two_never_makes_the_better_one_more_certain(market: Market, data: st.DataObject) -> None:
    """Of two, P(best) = Phi(gap / s), s the sd of the difference: any factor of 1 or more on any uncertainty enlarges s."""
    demand, rows = market
    pair = dict(list(rows.items())[:2])
    wider = {
        soc: Row(tuple(msgspec.structs.replace(one, sigma=one.sigma * data.draw(st.floats(1.0, 3.0))) for one in row.criteria))
        for soc, row in pair.items()
    }
    sure = decided(widened((demand, pair), 0.0), concentration=math.inf)
    before, after = (decided((demand, one), concentration=math.inf) for one in (pair, wider))
    noise = 4 * math.sqrt(0.25 / STREAMS.draws)
    assert entry(after, sure.leader).best <= entry(before, sure.leader).best + noise


@calm
@given(markets(), st.data())
def test_a_criterion_that_is_not_known_is_worth_half_and_never_nothing(market: Market, data: st.DataObject) -> None:
    demand, rows = market
    soc = data.draw(st.sampled_from(sorted(rows)))
    at = data.draw(st.integers(0, len(demand.criteria) - 1))
    cells = list(rows[soc].criteria)
    cells[at] = cell(soc, None, workload=cells[at].workload)
    found = decided((demand, rows | {soc: Row(tuple(cells), rows[soc].limits)}))
    part = entry(found, soc).parts[at]
    assert part.utility == pytest.approx(0.5, abs=1e-5)
    assert part.contribution > 0
    assert not entry(found, soc).pareto


@calm
@given(markets(), st.data())
def test_a_limit_on_something_not_known_is_never_a_pass(market: Market, data: st.DataObject) -> None:
    demand, rows = market
    assume(demand.limits)
    soc = data.draw(st.sampled_from(sorted(rows)))
    hidden = data.draw(st.sets(st.integers(0, len(demand.limits) - 1), min_size=1))
    cells = list(rows[soc].limits)
    for at in hidden:
        cells[at] = cell(soc, None, metric=cells[at].metric, workload="")
    one = entry(decided((demand, rows | {soc: Row(rows[soc].criteria, tuple(cells))})), soc)
    for at in hidden:
        assert (one.findings[at].state, one.findings[at].probability) == ("unknown", 0.5)
    allowed = 0.5 ** len(hidden)
    assert one.feasible <= allowed + (0 if len(hidden) == 1 else 5 * math.sqrt(allowed * (1 - allowed) / STREAMS.draws))


@calm
@given(markets(), st.data())
def test_weaker_evidence_never_turns_a_limit_to_met(market: Market, data: st.DataObject) -> None:
    demand, rows = market
    assume(demand.limits)

    def weaker(one: Cell) -> Cell:
        allowed = [kind for kind in KNOWN if STRENGTH[kind] >= STRENGTH[one.evidence.kind]]
        if not one.known:
            return one
        return msgspec.structs.replace(one, evidence=msgspec.structs.replace(one.evidence, kind=data.draw(st.sampled_from(allowed))))

    weak = {soc: Row(row.criteria, tuple(map(weaker, row.limits))) for soc, row in rows.items()}
    before, after = decided(market), decided((demand, weak))
    for soc in rows:
        for then, now in zip(entry(before, soc).findings, entry(after, soc).findings, strict=True):
            assert now.state != "met" or then.state == "met"
            if then.cell.evidence.kind is not Kind.CLAIMED:  # a claim below what is accepted is a coin, an estimate is drawn
                assert now.probability <= then.probability
                assert now.state == "not met" or then.state != "not met"
    for one in after.entries:
        for bound, finding in zip(demand.limits, one.findings, strict=True):
            assert finding.state != "met" or STRENGTH[finding.cell.evidence.kind] <= STRENGTH[bound.accept] < STRENGTH[Kind.MISSING]


@calm
@given(markets(), st.randoms(use_true_random=False))
def test_the_order_of_socs_criteria_and_limits_changes_nothing(market: Market, random: Random) -> None:
    demand, rows = market
    criteria, limits, socs = list(range(len(demand.criteria))), list(range(len(demand.limits))), list(rows)
    for one in (criteria, limits, socs):
        random.shuffle(one)
    mixed = Demand(tuple(demand.criteria[at] for at in criteria), tuple(demand.limits[at] for at in limits))
    before = decided(market)
    after = decided(
        (mixed, {soc: Row(tuple(rows[soc].criteria[at] for at in criteria), tuple(rows[soc].limits[at] for at in limits)) for soc in socs})
    )
    assert after.advice == before.advice
    assert (after.word, after.leader, after.shortlist, after.none_feasible) == (before.word, before.leader, before.shortlist, before.none_feasible)
    for then, now in zip(before.entries, after.entries, strict=True):
        back = {name: getattr(then, name) for name in ("parts", "findings", "central")}
        assert now.parts == tuple(back["parts"][at] for at in criteria)
        assert now.findings == tuple(back["findings"][at] for at in limits)
        assert now.central == (tuple(back["central"][at] for at in criteria) if back["central"] else ())
        assert msgspec.structs.replace(now, **back) == then


@settings(calm, max_examples=12)
@given(markets())
def test_a_fixed_seed_gives_equal_bytes_whatever_was_drawn_before(market: Market) -> None:
    fresh = decided(market, streams=Streams(STREAMS.draws, STREAMS.seed))
    assert msgspec.json.encode(fresh) == msgspec.json.encode(decided(market))


@calm
@given(markets(least=1))
def test_probabilities_and_shares_add_up(market: Market) -> None:
    found = decided(market)
    together = sum(one.best for one in found.entries)
    assert together == pytest.approx(1 - found.none_feasible, abs=1e-6)
    for one in found.entries:
        shares = [one.best, one.feasible, one.nondominated, *one.ranks, *one.central, *(part.utility for part in one.parts)]
        assert all(0 <= share <= 1 + 1e-6 for share in shares)
        assert sum(one.ranks) == pytest.approx(1, abs=1e-9)
        assert one.best == one.ranks[0] <= one.feasible + 1e-9
        assert one.score <= sum(part.contribution for part in one.parts) + 1e-6
        if one.feasible == 1:
            assert one.score == pytest.approx(sum(part.contribution for part in one.parts), abs=1e-5)
        assert one.ruled_out == any(finding.state == "not met" for finding in one.findings)
        assert not (one.ruled_out and one.pareto)
    assert found.shortlist == tuple(dict.fromkeys(found.shortlist))
    assert all(advice.gain > 0 and 0 <= advice.flip <= 1 for advice in found.advice)


@calm
@given(markets())
def test_what_is_passed_over_as_unable_to_change_the_first_place_could_not(market: Market) -> None:
    demand, rows = market
    goals = demand.criteria
    drawn = STREAMS.weights(tuple(one.id for one in goals), demand.weights(), 12.0)
    setting = Setting(goals, demand.limits, drawn, STREAMS)
    ranked = sorted((weigh(soc, row, setting) for soc, row in rows.items()), key=lambda one: -one.score)
    for place, one in enumerate(ranked):
        other = max(rival.score for rival in ranked if rival is not one)
        for unknown in unknowns(one, demand.limits).values():
            if not can_matter(one, unknown, other, drawn.mean(axis=1).tolist(), first=place == 0):
                for outcomes in Look(one, setting).scores(unknown):
                    assert worth_of_learning(*outcomes, one.score, other, first=place == 0)[0] < 0.01  # the noise of 400 draws


@calm
@given(st.data())
def test_more_room_in_a_limit_never_lowers_the_chance_to_meet_it(data: st.DataObject) -> None:
    bound = power(15.0)
    known = data.draw(limit_cells("a", bound))
    row = {"a": Row((worth("a", 0.5),), (known,))}
    tight = decided((Demand((goal("net"),), (bound,)), row)).entries[0]
    loose = decided((Demand((goal("net"),), (power(15.0 * data.draw(st.floats(1.0, 4.0))),)), row)).entries[0]
    assert loose.feasible >= tight.feasible
