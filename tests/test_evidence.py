"""What is known of one question: which figures make a cell, which do not and why, and when an estimate is the answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from harness.decide.decision.draws import Streams
from harness.decide.decision.weigh import Setting, weigh
from harness.decide.demand import Bound, Demand, Goal, Row
from harness.decide.market import Market
from harness.decide.scenario import get, known
from harness.decide.terms import METRICS, Note, Option, Role, Source
from harness.quantity import Kind, Unit
from tests import lab
from tests.figures import CPU, NPU, TODAY, Given, barred, cell, chip, evidence, figure, guess, keys, measured, near, sentences, sound

if TYPE_CHECKING:
    from pathlib import Path

    from harness.decide.terms import Cell

cache = lab.cache
FP16 = Option("tensorrt", "fp16", "gpu")
NONE = Note("estimate-peak", {"soc": "Chip"})


@pytest.fixture(scope="module")
def market(cache: Path) -> Market:
    """What is shipped."""
    return Market.load(today=TODAY)


def lost(one: Cell) -> dict[str, str]:
    return dict(one.lost)


# --- figures of one way of running -----------------------------------------------------------------------------------------------------


def test_a_measured_figure_wins_over_a_published_one_of_the_same_runtime_precision_and_unit() -> None:
    found = cell(figure("paper", 0.010), measured("here", 0.012))
    assert (found.value, found.figures, found.evidence.kind) == (near(0.012), ("here",), Kind.MEASURED)
    assert found.sigma == near(0.02)


def test_the_ratio_of_measured_to_published_is_kept_and_said_and_the_published_one_is_lost_with_the_reason() -> None:
    found = cell(figure("paper", 0.010), measured("here", 0.012))
    assert found.ratio == near(1.2)
    assert "measured here" in lost(found)["paper"]
    (said,) = [note for note in found.notes if note.key == "measured-wins"]
    assert (said.values["ratio"], said.values["published"]) == ("1.20", "10.0\u2009ms")


def test_a_measured_rate_is_compared_in_the_units_of_a_rate() -> None:
    found = cell(figure("paper", 10.0, "decode"), measured("here", 12.0, "decode"), metric="decode")
    assert found.ratio == near(1.2)
    assert [note.values["published"] for note in found.notes if note.key == "measured-wins"] == ["10.0\u2009/s"]


def test_a_measured_figure_says_nothing_of_a_published_one_of_another_runtime() -> None:
    found = cell(figure("paper", 0.010), measured("here", 0.012, option=CPU))
    assert (found.figures, found.evidence.kind, found.ratio) == (("paper",), Kind.PUBLISHED, None)
    assert "onnxruntime, fp32, cpu" in lost(found)["here"]


def test_figures_of_one_option_are_pooled_by_how_sure_each_is_and_their_spread_adds_to_the_doubt() -> None:
    found = cell(figure("sure", 0.010, sigma=0.1), figure("rough", 0.020, sigma=0.2))
    mean = (100 * math.log(0.010) + 25 * math.log(0.020)) / 125
    between = math.sqrt((100 * (math.log(0.010) - mean) ** 2 + 25 * (math.log(0.020) - mean) ** 2) / 125)
    assert found.value == near(math.exp(mean))
    assert found.sigma == near(math.hypot(0.1, between))
    assert set(found.figures) == {"sure", "rough"}
    assert [(note.values["count"], note.values["spread"]) for note in found.notes if note.key == "pooled"] == [("2", "2.00")]


def test_figures_that_agree_leave_the_doubt_of_the_surest_of_them() -> None:
    found = cell(figure("a", 0.010, sigma=0.25), figure("b", 0.010, sigma=0.1))
    assert found.sigma == near(0.1)
    assert found.evidence.source == "maker/zoo b.md", "the source that is named is the surest"


def test_the_interval_holds_ninety_per_cent_of_what_the_sd_allows() -> None:
    found = cell(figure("a", 0.010, sigma=0.2))
    assert (found.low, found.high) == (near(0.010 * math.exp(-0.2 * 1.64485)), near(0.010 * math.exp(0.2 * 1.64485)))


# --- ways of running -------------------------------------------------------------------------------------------------------------------


def test_the_fastest_way_of_running_is_taken_and_the_slower_ones_are_lost_with_what_they_came_to() -> None:
    found = cell(figure("npu", 0.010), figure("cpu", 0.200, option=CPU), figure("gpu", 0.050, option=FP16))
    assert (found.option, found.figures) == (NPU, ("npu",))
    assert "200\u2009ms" in lost(found)["cpu"]
    assert "tensorrt, fp16, gpu" in lost(found)["gpu"]


@pytest.mark.parametrize("metric", ["decode", "prefill"])
def test_of_rates_the_highest_is_the_fastest(metric: str) -> None:
    found = cell(figure("slow", 3.0, metric, CPU), figure("fast", 30.0, metric), metric=metric)
    assert (found.value, found.figures) == (near(30.0), ("fast",))
    assert "slow" in lost(found)


def test_an_equally_fast_way_is_chosen_by_its_name_and_not_by_the_order_of_the_rows() -> None:
    rows = figure("a", 0.010), figure("b", 0.010, option=CPU)
    assert cell(*rows).figures == cell(*reversed(rows)).figures


def test_only_the_precisions_of_the_scenario_are_looked_at() -> None:
    rows = figure("int8", 0.010), figure("fp16", 0.030, option=FP16)
    found = cell(*rows, precisions=("fp16", "fp32"))
    assert (found.figures, found.option) == (("fp16",), FP16)
    assert lost(found)["int8"] == "int8 is not among the precisions of the scenario"
    assert cell(*rows, precisions=("fp32",)).value is None


def test_a_figure_that_a_rule_bars_is_lost_with_the_words_of_the_rule() -> None:
    found = cell(figure("paper", 0.010), figure("open", 0.001, flags=barred("an open-division result")))
    assert (found.figures, lost(found)) == (("paper",), {"open": "an open-division result"})
    alone = cell(figure("open", 0.001, flags=barred("an open-division result")))
    assert (alone.value, lost(alone)) == (None, {"open": "an open-division result"})


def test_the_time_of_a_batch_is_no_latency_and_an_unstated_batch_is_taken_as_one() -> None:
    found = cell(figure("eight", 0.001, batch=8), figure("unstated", 0.010, batch=None))
    assert (found.figures, lost(found)) == (("unstated",), {"eight": "a batch of 8"})
    assert cell(figure("eight", 0.001, batch=8), metric="rate").value is None, "a rate is not computed from it either"


def test_another_workload_or_another_soc_is_never_looked_at() -> None:
    found = cell(figure("other", 0.010, workload="yolov8s"), figure("elsewhere", 0.010, soc="other-chip"))
    assert (found.value, found.lost) == (None, ())


# --- rates -----------------------------------------------------------------------------------------------------------------------------


def test_a_rate_is_one_over_the_latency_of_the_same_figures_and_says_so() -> None:
    rows = figure("npu", 0.010), figure("cpu", 0.200, option=CPU)
    found = cell(*rows, metric="rate")
    assert (found.value, found.unit, found.figures) == (near(100.0), Unit.PER_SECOND, ("npu",))
    assert "rate-from-latency" in keys(found)
    assert lost(found)["cpu"].endswith("200\u2009ms")


def test_rate_and_latency_of_a_workload_are_one_uncertainty_with_opposite_signs() -> None:
    known = evidence(figure("npu", 0.010))
    latency, rate = (known.cell(known.catalogue.socs["chip"], one, "yolov8n") for one in ("latency", "rate"))
    assert latency.variable == rate.variable
    assert (latency.sign, rate.sign, latency.sigma) == (1, -1, rate.sigma)
    energy = known.cell(known.catalogue.socs["chip"], "energy", "yolov8n")
    assert energy.variable != latency.variable


def test_a_limit_on_latency_and_a_criterion_on_the_rate_move_together_in_the_draws() -> None:
    known = evidence(figure("npu", 0.010, sigma=0.5))
    latency, rate = (known.cell(known.catalogue.socs["chip"], one, "yolov8n") for one in ("latency", "rate"))
    goal = Goal("rate:yolov8n", "rate", "yolov8n", 10.0, 1000.0, 1.0)  # 100 /s, the median, is worth one half
    bound = Bound("latency:yolov8n", "latency", "yolov8n", at_most=True, bound=0.010, accept=Kind.PUBLISHED)
    streams = Streams(2000, 1)
    demand = Demand((goal,), (bound,))
    drawn = weigh("chip", Row((rate,), (latency,)), Setting((goal,), (bound,), streams.weights((goal.id,), demand.weights(), math.inf), streams))
    assert 0.45 < drawn.feasible.mean() < 0.55
    assert (drawn.worth[0][drawn.feasible] >= 0.5 - 1e-6).all()
    assert (drawn.worth[0][~drawn.feasible] <= 0.5 + 1e-6).all()


def test_a_throughput_is_a_rate_where_no_latency_is_known_and_is_never_turned_into_a_latency() -> None:
    row = figure("fps", 240.0, "throughput")
    rate = cell(row, figure("slow", 60.0, "throughput", CPU), metric="rate")
    assert (rate.value, rate.figures, "rate-from-latency" in keys(rate)) == (near(240.0), ("fps",), False)
    assert "60.0\u2009/s" in lost(rate)["slow"]
    assert cell(row).value is None
    beside = cell(row, figure("one", 0.010), metric="rate")
    assert (beside.value, beside.figures) == (near(100.0), ("one",)), "one inference at a time is what a rate is of"


def test_a_serial_throughput_is_a_latency() -> None:
    row = figure(
        "fps", 50.0, "throughput", condition={"npu_cores": "1"}, source=Source("vendor", "airockchip/rknn_model_zoo README.md", "https://example.com")
    )
    slower = figure("cpu", 0.200, option=CPU)
    found = cell(row, slower)
    assert found.value == near(0.020)
    assert lost(found)["cpu"].endswith("200\u2009ms")
    rate = cell(row, slower, metric="rate")
    assert (rate.value, rate.sign) == (near(50.0), -1)
    assert lost(rate)["cpu"].endswith("200\u2009ms")
    serial_lost = cell(row, figure("fast", 0.001, option=FP16), metric="rate")
    assert lost(serial_lost)["fps"].endswith("20.0\u2009ms"), "told as the latency it came to"


# --- modules ---------------------------------------------------------------------------------------------------------------------------

BIG = chip("Board 16GB", 40.0, published_as="Board", variant="16GB")
TWIN = chip("Board Industrial", 38.0, published_as="Board", variant="Industrial")
SMALL = chip("Board 8GB", 20.0, published_as="Board", variant="8GB")
SISTERS = (BIG, TWIN, SMALL)


def test_a_figure_of_this_very_module_is_published_evidence() -> None:
    found = evidence(figure("a", 0.010, soc="Board", variant="16GB dev kit"), socs=SISTERS).cell(BIG, "latency", "yolov8n")
    assert (found.evidence.kind, found.sigma, found.notes) == (Kind.PUBLISHED, near(0.1), ())


def test_a_figure_of_a_sister_with_nearly_the_same_peak_is_an_estimate_with_more_doubt_and_says_so() -> None:
    found = evidence(figure("a", 0.010, soc="Board", variant="16GB"), socs=SISTERS).cell(TWIN, "latency", "yolov8n")
    assert (found.evidence.kind, found.figures) == (Kind.ESTIMATED, ("a",))
    assert found.sigma >= 0.25
    assert [note.values["board"] for note in found.notes if note.key == "other-module"] == ["Board 16GB"]


def test_a_figure_of_a_sister_with_another_peak_is_lost_and_its_module_is_named() -> None:
    for variant in ("16GB", ""):  # a board that is not named is taken as the full module
        found = evidence(figure("a", 0.010, soc="Board", variant=variant), socs=SISTERS).cell(SMALL, "latency", "yolov8n")
        assert found.value is None
        assert lost(found)["a"] == "of Board 16GB, whose nominal peak differs by more than 15%"


def test_a_figure_of_this_very_module_wins_over_a_sister_s_of_the_same_option() -> None:
    rows = figure("own", 0.012, soc="Board", variant="Industrial"), figure("sister", 0.010, soc="Board", variant="16GB")
    found = evidence(*rows, socs=SISTERS).cell(TWIN, "latency", "yolov8n")
    assert (found.figures, found.evidence.kind) == (("own",), Kind.PUBLISHED)
    assert "this very module" in lost(found)["sister"]


# --- estimates -------------------------------------------------------------------------------------------------------------------------


def test_an_estimate_is_the_answer_where_there_is_no_figure() -> None:
    given = Given(guess(0.020, 0.012, 0.033))
    found = cell(figure("open", 0.001, flags=barred("barred")), estimates=given, precisions=("int8",))
    assert (found.value, found.sigma, found.evidence.kind, found.option) == (0.020, 0.3, Kind.ESTIMATED, NPU)
    assert (keys(found), lost(found)) == (["estimate-unseen"], {"open": "barred"})
    assert given.asked == [("chip", "latency", "yolov8n", frozenset({"int8"}))]


def test_a_rate_is_estimated_from_the_latency() -> None:
    given = Given(guess(0.020, 0.012, 0.033))
    found = cell(metric="rate", estimates=given)
    assert (found.value, found.sign, found.evidence.kind) == (near(50.0), -1, Kind.ESTIMATED)
    assert keys(found) == ["estimate-unseen", "rate-from-latency"]
    assert [asked[1] for asked in given.asked] == ["latency"]


def test_a_figure_stands_against_an_estimate_that_may_be_no_faster() -> None:
    found = cell(figure("cpu", 0.030, option=CPU), estimates=Given(guess(0.020, 0.012, 0.033)))
    assert (found.figures, found.evidence.kind) == (("cpu",), Kind.PUBLISHED)


@pytest.mark.parametrize(
    ("metric", "stated", "known"),
    [("latency", 0.200, "200\u2009ms"), ("rate", 0.200, "5.00\u2009/s")],
)
def test_an_estimate_whose_slow_end_beats_every_figure_is_the_answer_and_the_figures_are_lost(metric: str, stated: float, known: str) -> None:
    found = cell(figure("cpu", stated, option=CPU), figure("slower", 9.0, option=FP16), metric=metric, estimates=Given(guess(0.020, 0.012, 0.033)))
    assert (found.evidence.kind, found.figures) == (Kind.ESTIMATED, ())
    assert set(lost(found)) == {"cpu", "slower"}
    assert "faster at its slow end" in lost(found)["cpu"]
    assert [note.values["known"] for note in found.notes if note.key == "beyond-figures"] == [known]


def test_of_decode_rates_the_slow_end_of_an_estimate_is_its_low_end() -> None:
    row = figure("cpu", 5.0, "decode", CPU)
    assert cell(row, metric="decode", estimates=Given(guess(20.0, 12.0, 33.0))).evidence.kind is Kind.ESTIMATED
    assert cell(row, metric="decode", estimates=Given(guess(6.0, 3.7, 9.8))).figures == ("cpu",)


@pytest.mark.parametrize("metric", ["prefill", "ttft", "energy", "peak_memory", "realtime_factor"])
def test_only_latencies_rates_and_decode_rates_are_estimated(metric: str) -> None:
    given = Given(guess(0.020, 0.012, 0.033))
    found = cell(metric=metric, estimates=given)
    assert (found.value, found.evidence.kind) == (None, Kind.MISSING)


def test_a_host_is_never_estimated() -> None:
    host, given = chip("Some PC", role=Role.HOST), Given(guess(0.020, 0.012, 0.033))
    known = evidence(measured("here", 0.040, soc="some-pc", option=CPU), socs=(host,), estimates=given)
    assert known.cell(host, "latency", "yolov8n").figures == ("here",)
    assert known.cell(host, "latency", "resnet50").value is None
    assert given.asked == []


def test_estimates_can_be_left_out_of_the_answer() -> None:
    known = evidence(figure("cpu", 0.200, option=CPU), estimates=Given(guess(0.020, 0.012, 0.033)))
    soc = known.catalogue.socs["chip"]
    assert known.cell(soc, "latency", "yolov8n").evidence.kind is Kind.ESTIMATED
    assert known.cell(soc, "latency", "yolov8n", estimates=False).figures == ("cpu",)
    assert known.cell(soc, "latency", "resnet50", estimates=False).value is None


# --- metrics that follow the choice made for speed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lead", "fast", "slow", "metric"),
    [("latency", 0.01, 0.2, "energy"), ("latency", 0.01, 0.2, "peak_memory"), ("decode", 30.0, 3.0, "ttft"), ("decode", 30.0, 3.0, "prefill")],
)
def test_energy_memory_and_first_token_are_of_the_way_that_was_chosen_for_speed(lead: str, fast: float, slow: float, metric: str) -> None:
    better, worse = (9.0, 5.0) if METRICS[metric].better == "higher" else (5.0, 9.0)
    speed = figure("fast", fast, lead), figure("slow", slow, lead, CPU)
    found = cell(*speed, figure("own", worse, metric), figure("tempting", better, metric, CPU), metric=metric)
    assert (found.figures, found.option) == (("own",), NPU)
    assert "other-option" not in keys(found)
    assert "tempting" in lost(found)
    only = cell(*speed, figure("tempting", better, metric, CPU), metric=metric)
    assert only.figures == ("tempting",)
    assert [note.values for note in only.notes if note.key == "other-option"] == [{"runtime": "onnxruntime", "precision": "fp32"}]


def test_the_way_chosen_for_speed_is_one_of_the_precisions_of_the_scenario() -> None:
    rows = figure("int8", 0.010), figure("fp32", 0.200, option=CPU), figure("energy", 0.5, "energy", CPU)
    found = cell(*rows, metric="energy", precisions=("fp32",))
    assert found.figures == ("energy",)
    assert "other-option" not in keys(found), "fp32 on the CPU is what was chosen among the precisions that count"
    assert "other-option" in keys(cell(*rows, metric="energy"))


def test_the_option_of_a_workload_is_that_of_the_first_metric_which_has_one() -> None:
    known = evidence(figure("a", 0.5, "energy", CPU), figure("b", 0.010))
    soc = known.catalogue.socs["chip"]
    assert known.option(soc, "yolov8n", ("ttft", "latency", "energy")) == NPU
    assert known.option(soc, "yolov8n", ("latency",), ("fp32",)) is None
    assert known.option(soc, "resnet50", ("latency",)) is None


# --- nothing known ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [one.id for one in METRICS.values() if one.of == "workload"])
@pytest.mark.parametrize("answer", [None, NONE])
def test_a_missing_cell_says_in_every_language_why_nothing_is_known(metric: str, answer: Note | None) -> None:
    found = cell(metric=metric, estimates=Given(answer) if answer else None)
    assert (found.value, found.evidence.kind, found.floor, found.ceil) == (None, Kind.MISSING, -math.inf, math.inf)
    assert found.reason
    english, chinese = sentences((found.reason,))
    assert "Chip" in english
    assert "Chip" in chinese
    assert english != chinese
    if answer and metric in ("latency", "rate", "decode"):
        assert found.reason == answer, "the estimate's own reason is the best one"
    elif metric not in ("latency", "rate", "decode"):
        assert METRICS[metric].title["zh"] in chinese
        assert METRICS[metric].title["en"] in english


# --- what is shipped -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", list(known()))
def test_every_shipped_cell_is_sound_and_speaks_every_language(market: Market, scenario: str) -> None:
    asked = get(scenario)
    for soc in market.catalogue.socs.values():
        row = market.row(asked, soc)
        for one in (*row.criteria, *row.limits):
            if METRICS[one.metric].of == "workload":
                sound(one)
            else:
                sentences((*one.notes, *((one.reason,) if one.reason else ())))
            for identity in one.figures:
                assert market.source(identity).where


def test_no_shipped_estimate_stands_where_a_figure_of_that_very_way_of_running_does(market: Market) -> None:
    seen = 0
    for soc in market.catalogue.socs.values():
        for workload in {one.workload for one in market.evidence.figures_of(soc)}:
            stated = market.evidence.cell(soc, "latency", workload, estimates=False)
            found = market.evidence.cell(soc, "latency", workload)
            if stated.known and not found.figures:
                seen += 1
                assert found.high
                assert stated.value
                assert found.high < stated.value
                assert set(stated.figures) <= set(lost(found))
    assert seen
