"""The decision in the browser: the same numbers as in Python, from draws of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import ndtri

from harness.decide.decision import decide
from harness.decide.demand import Bound, Demand, Goal, Row
from harness.decide.terms import METRICS, PLACED, Cell, Decision
from harness.quantity import Evidence, Kind
from reports.build import TEMPLATES
from tests.chromium import browser_of_the_module  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KINDS = (Kind.MEASURED, Kind.PUBLISHED, Kind.DATASHEET, Kind.ESTIMATED, Kind.CLAIMED)
ASKED = ("latency", "power", "price", "memory", "bandwidth", "decode")


@pytest.fixture(scope="module")
def engine(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    for name in ("random.js", "engine.js"):
        page.add_script_tag(content=(TEMPLATES / name).read_text(encoding="utf-8"))
    yield page
    page.close()


def market(seed: int, socs: int = 9) -> tuple[Demand, dict[str, Row]]:
    """A random demand and random cells: known, unknown, estimated, one-sided; values spread around the anchors and bounds."""
    random = np.random.default_rng(seed)
    goals, bounds = [], []
    for at in range(int(random.integers(2, 7))):
        metric = METRICS[ASKED[at]]
        low, high = sorted(random.uniform(1, 100, 2).tolist())
        anchors = (high + 5, low) if metric.better == "lower" else (low, high + 5)
        goals.append(Goal(f"{metric.id}", metric.id, "net" if metric.of == "workload" else "", *anchors, float(random.integers(0, 6)) + 0.5))
    for at in range(int(random.integers(0, 4))):
        metric = METRICS[ASKED[at]]
        most = metric.better == "lower"
        accept = Kind.DATASHEET if random.random() < 0.7 else Kind.PUBLISHED
        bounds.append(Bound(metric.id, metric.id, "net" if metric.of == "workload" else "", most, float(random.uniform(15, 60)), accept))
    rows = {}
    for soc in [f"s{at}" for at in range(socs)]:
        cells = {metric: cell(random, soc, metric) for metric in ASKED}
        rows[soc] = Row(tuple(cells[one.metric] for one in goals), tuple(cells[one.metric] for one in bounds))
    return Demand(tuple(goals), tuple(bounds)), rows


def cell(random: np.random.Generator, soc: str, metric: str) -> Cell:
    question = METRICS[metric]
    workload = "net" if question.of == "workload" else ""
    variable = f"{soc}/{metric}"
    if random.random() < 0.12:
        chance = float(random.choice([0.5, 0.1, 0.8]))
        return Cell(soc, metric, workload, None, question.unit, Evidence(Kind.MISSING), variable=variable, chance=chance)
    kind = KINDS[int(random.integers(5))]
    value = float(np.exp(random.normal(3.2, 0.7)))
    sigma = {Kind.MEASURED: 0.03, Kind.PUBLISHED: 0.15, Kind.DATASHEET: 0.0, Kind.ESTIMATED: 0.45, Kind.CLAIMED: 0.0}[kind]
    floor, ceil = value, value
    if random.random() < 0.15:
        floor, ceil = (-math.inf, value) if random.random() < 0.5 else (value, math.inf)
    sign = -1 if random.random() < 0.3 else 1
    return Cell(soc, metric, workload, value, question.unit, Evidence(kind), sigma, floor, ceil, variable=variable, sign=sign)


def as_script(one: Cell) -> dict[str, Any]:
    """A cell as the page gives it to the engine; JSON has no infinity, the script puts it back."""
    return {
        "value": one.value, "sigma": one.sigma, "sign": one.sign, "variable": one.variable, "kind": one.evidence.kind.value,
        "chance": one.chance,
        "floor": one.floor if math.isfinite(one.floor) else None, "ceil": one.ceil if math.isfinite(one.ceil) else None,
    }  # fmt: skip


RUN = """([demand, rows, draws, concentration, placed]) => {
  const engine = socbench.engine;
  rows.forEach(row => row.goals.concat(row.bounds).forEach(cell => {
    if (cell.floor === null) cell.floor = -Infinity;
    if (cell.ceil === null) cell.ceil = Infinity;
  }));
  const at = engine.market(rows, "1", draws);
  const found = engine.decide(at, demand, { ranks: 11, placed, concentration: concentration === null ? Infinity : concentration });
  const advice = engine.advise(at, demand, found);
  return { word: found.word, leader: found.leader, shortlist: found.shortlist, none: found.none_feasible, advice,
    entries: found.entries.map(one => ({ soc: one.soc, score: one.score, best: one.best, feasible: one.feasible, ranks: one.ranks, parts: one.parts,
      findings: one.findings, ruled_out: one.ruled_out,
      known: one.known, placed: one.placed, limiting: one.limiting, pareto: one.pareto, central: one.central })) };
}"""


def in_browser(engine: Page, demand: Demand, rows: dict[str, Row], concentration: float = 12.0) -> dict[str, Any]:
    asked = {
        "criteria": [{"id": one.id, "reject": one.reject, "target": one.target, "weight": one.weight} for one in demand.criteria],
        "limits": [
            {"id": one.id, "sense": "most" if one.at_most else "least", "bound": one.bound, "accept": one.accept.value} for one in demand.limits
        ],
    }
    given = [{"soc": soc, "goals": list(map(as_script, row.criteria)), "bounds": list(map(as_script, row.limits))} for soc, row in rows.items()]
    found: dict[str, Any] = engine.evaluate(RUN, [asked, given, 10_000, concentration if math.isfinite(concentration) else None, PLACED])
    return found


def told(found: Any) -> Any:
    """`found` with its numbers to nine digits: sums of shares depend on their order in the last bit."""
    if isinstance(found, dict):
        return {key: told(one) for key, one in found.items()}
    if isinstance(found, list):
        return [told(one) for one in found]
    return float(f"{found:.9g}") if isinstance(found, float) else found


def in_python(demand: Demand, rows: dict[str, Row], concentration: float = 12.0) -> Decision:
    return decide("test", demand, rows, concentration=concentration, as_of="2026-11-22")


@pytest.mark.parametrize("seed", range(12))
def test_browser_and_python_agree_within_two_percentage_points(engine: Page, seed: int) -> None:
    demand, rows = market(seed)
    concentration = math.inf if seed % 4 == 3 else 12.0
    theirs, ours = in_browser(engine, demand, rows, concentration), in_python(demand, rows, concentration)
    by_soc = {one["soc"]: one for one in theirs["entries"]}
    assert set(by_soc) == set(rows)
    for one in ours.entries:
        other = by_soc[one.soc]
        assert other["best"] == pytest.approx(one.best, abs=0.02), (seed, one.soc)
        assert other["feasible"] == pytest.approx(one.feasible, abs=0.02), (seed, one.soc)
        assert other["score"] == pytest.approx(one.score, abs=0.01), (seed, one.soc)
        assert other["ranks"] == pytest.approx(one.ranks, abs=0.025), (seed, one.soc)
        assert other["pareto"] == one.pareto
        assert other["known"] == pytest.approx(one.known)
        assert other["placed"] == one.placed or abs(one.feasible - 0.05) < 0.02
        for mine, part in zip(other["parts"], one.parts, strict=True):
            assert mine["utility"] == pytest.approx(part.utility, abs=0.001)
            assert mine["contribution"] == pytest.approx(part.contribution, abs=0.01)
        for mine, finding in zip(other["findings"], one.findings, strict=True):
            assert mine["probability"] == pytest.approx(finding.probability, abs=0.01)
            if min(abs(finding.probability - edge) for edge in (0.05, 0.95)) > 0.01:
                assert mine["state"] == finding.state, (seed, one.soc, finding)
    assert theirs["none"] == pytest.approx(ours.none_feasible, abs=0.02)
    leader, *others = [one for one in ours.entries if not one.ruled_out]
    if not others or leader.score - others[0].score > 0.02 or leader.placed > others[0].placed:
        assert theirs["leader"] == ours.leader


@pytest.mark.parametrize("seed", range(12))
def test_browser_gives_the_advice_that_python_gives(engine: Page, seed: int) -> None:
    demand, rows = market(seed)
    theirs, ours = in_browser(engine, demand, rows)["advice"], in_python(demand, rows).advice
    assert max((one["gain"] for one in theirs), default=0.0) == pytest.approx(max((one.gain for one in ours), default=0.0), abs=0.006)
    gains = {(one["soc"], one["id"].partition(":")[0]): one["gain"] for one in theirs}
    for one in ours[:2]:
        if one.gain > 0.02:
            assert gains[one.soc, one.metric] == pytest.approx(one.gain, abs=0.008), seed


def test_normal_quantile_is_that_of_scipy(engine: Page) -> None:
    levels = [1e-12, 1e-6, 0.001, 0.02425, 0.075, 0.3, 0.5, 0.7, 0.925, 0.999, 1 - 1e-6]
    found = engine.evaluate("levels => levels.map(socbench.random.quantile)", levels)
    assert found == pytest.approx(ndtri(levels).tolist(), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("shape", [0.2, 0.9, 1.0, 3.0, 11.0])
def test_gamma_draws_have_the_mean_and_variance_of_their_shape(engine: Page, shape: float) -> None:
    draws = np.array(engine.evaluate(
        "shape => { const e = socbench.random, n = 40000; return Array.from(e.gammas(e.proposals('w/' + shape, n, e.normals(n)), shape, n)); }", shape
    ))  # fmt: skip
    assert draws.min() >= 0
    assert draws.mean() == pytest.approx(shape, rel=0.02)
    assert draws.var() == pytest.approx(shape, rel=0.05)


def test_stream_is_a_permutation_that_depends_on_the_name_only(engine: Page) -> None:
    first, again, other = (engine.evaluate("name => Array.from(socbench.random.order(name, 1000))", name) for name in ("1/a", "1/a", "1/b"))
    assert first == again
    assert first != other
    assert sorted(first) == list(range(1000))
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.12


def test_another_soc_leaves_the_scores_of_the_others_untouched(engine: Page) -> None:
    demand, rows = market(5)
    alone = {one["soc"]: one["score"] for one in in_browser(engine, demand, dict(list(rows.items())[:5]))["entries"]}
    together = {one["soc"]: one["score"] for one in in_browser(engine, demand, rows)["entries"]}
    assert {soc: together[soc] for soc in alone} == alone


def test_order_of_the_input_changes_nothing(engine: Page) -> None:
    demand, rows = market(6)
    assert told(in_browser(engine, demand, rows)) == told(in_browser(engine, demand, dict(reversed(rows.items()))))


def test_twins_share_the_first_place(engine: Page) -> None:
    unit = METRICS["power"].unit
    demand = Demand((Goal("power", "power", "", 20.0, 2.0, 1.0),))
    same = [Cell(soc, "power", "", 8.0, unit, Evidence(Kind.PUBLISHED), 0.2, 8.0, 8.0, variable="the same/power") for soc in ("a", "b")]
    found = in_browser(engine, demand, {one.soc: Row((one,)) for one in same})
    assert [one["best"] for one in found["entries"]] == [0.5, 0.5]


def test_unknown_value_is_neither_zero_nor_a_pass(engine: Page) -> None:
    unit = METRICS["power"].unit
    unknown = Cell("a", "power", "", None, unit, Evidence(Kind.MISSING), variable="a/power")
    demand = Demand((Goal("power", "power", "", 20.0, 2.0, 1.0),), (Bound("power", "power", "", True, 10.0, Kind.DATASHEET),))
    (entry,) = in_browser(engine, demand, {"a": Row((unknown,), (unknown,))})["entries"]
    assert entry["parts"][0]["utility"] == pytest.approx(0.5)
    assert entry["feasible"] == pytest.approx(0.5)
    assert (entry["findings"][0]["state"], entry["ruled_out"]) == ("unknown", False)


def test_estimate_never_meets_a_limit(engine: Page) -> None:
    unit = METRICS["latency"].unit
    fast = Cell("a", "latency", "net", 0.001, unit, Evidence(Kind.ESTIMATED), 0.3, 0.001, 0.001, variable="a/net")
    goal, bound = Goal("latency:net", "latency", "net", 0.1, 0.01, 1.0), Bound("latency:net", "latency", "net", True, 0.05, Kind.CLAIMED)
    found = in_browser(engine, Demand((goal,), (bound,)), {"a": Row((fast,), (fast,))})
    assert found["entries"][0]["findings"][0]["probability"] == 1
    assert found["entries"][0]["findings"][0]["state"] == "unknown"
    assert found["word"] == "leading"
