"""Metrics: figures from spans and samples, or the reason why there is none."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics import metrics, readings
from harness.metrics.energy import unwrapped
from harness.metrics.fidelity import wilson
from harness.metrics.latency import allowed, binomial_cdf, bounds, samples_needed
from harness.metrics.spans import core, durations, item_seconds
from harness.quantity import Kind, Unit
from harness.record import Absent, Artifact, Channel, Comparison, Quality, RunRecord, Scope, Spans
from tests.readings import changed, figure, reason, rewritten, value
from tests.records import (
    LLAMA,
    RAIL,
    RAPL,
    WALL,
    failed_record,
    llama_record,
    make_record,
    offline_record,
    unsupported_record,
    whisper_record,
)

NEVER_READ = Absent("power", "ina3221", "i2c is closed", "join the group i2c")


def with_spans(*spans: Spans, **options: object) -> RunRecord:
    return make_record(n=1, spans=list(spans), blocks=[], telemetry=[], **options)


def steady(phase: str, milliseconds: list[float], items: float = 1.0, at: float = 0.0) -> Spans:
    """Spans of the given lengths, 1 ms apart, from `at` [ms]."""
    begins, ends = [], []
    for length in milliseconds:
        begins.append(round(at * 1e6))
        at += length
        ends.append(round(at * 1e6))
        at += 1
    return Spans("steady", phase, begins, ends, items)


# ---------------------------------------------------------------------------------------------------- the family as a whole


def test_every_metric_has_an_id_of_its_own_a_title_and_a_formula() -> None:
    ids = [one.id for one in metrics()]
    assert len(set(ids)) == len(ids)
    assert all(one.title and one.formula and "\n" not in one.formula for one in metrics())


@pytest.mark.parametrize("make", [make_record, whisper_record, llama_record, offline_record])
def test_every_quantity_of_a_measured_record_is_a_number_with_its_source_or_a_reason(make: Callable[..., RunRecord]) -> None:
    record = make(meters=(RAPL,))
    for reading in readings(record):
        quantity = reading.quantity
        assert quantity.unit is reading.metric.unit
        if quantity.value is None:
            assert quantity.reason
            assert quantity.evidence.kind is Kind.MISSING
        else:
            assert quantity.evidence.kind is Kind.MEASURED
            assert quantity.evidence.source == record.run_id
            low = -math.inf if quantity.low is None else quantity.low
            high = math.inf if quantity.high is None else quantity.high
            assert low <= quantity.value <= high


@pytest.mark.parametrize("make", [failed_record, unsupported_record])
def test_a_record_that_was_not_measured_says_so_in_every_metric(make: Callable[..., RunRecord]) -> None:
    found = list(readings(make()))
    assert len(found) == len(metrics())
    assert all(one.quantity.value is None and one.quantity.reason.startswith(make().status) for one in found)


def test_a_record_without_spans_blocks_telemetry_and_quality_yields_reasons_and_no_error() -> None:
    record = make_record(spans=[], blocks=[], telemetry=[], memory={}, quality=None, artifact=None)
    assert all(one.quantity.value is None and one.quantity.reason for one in readings(record))


def test_loading_the_metrics_imports_no_heavy_package() -> None:
    heavy = {"numpy", "scipy", "pandas", "ruptures"}
    code = "import sys, harness.metrics, harness.checks; harness.metrics.metrics(); harness.checks.checks(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert not heavy & set(loaded.stdout.split())


# ---------------------------------------------------------------------------------------------------- percentiles


@pytest.mark.parametrize(
    ("p", "by_t"),
    [
        (0.90, {0: 44, 1: 64, 2: 81, 3: 97, 5: 127, 10: 197}),
        (0.95, {0: 90, 1: 130, 2: 165}),
        (0.97, {0: 152, 1: 219}),
        (0.99, {0: 459, 1: 662, 2: 838, 3: 1001, 5: 1307, 10: 2010}),
        (0.999, {0: 4603, 1: 6636}),
        (0.50, {1: 11}),
    ],
)
def test_the_samples_needed_are_those_of_loadgens_early_stopping_table(p: float, by_t: dict[int, int]) -> None:
    assert {t: samples_needed(p, t) for t in by_t} == by_t


@given(st.integers(1, 400), st.floats(0.01, 0.99), st.data())
def test_the_binomial_tail_agrees_with_the_plain_sum(n: int, p: float, data: st.DataObject) -> None:
    t = data.draw(st.integers(0, int(n * p)))
    plain = math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(t + 1))
    assert binomial_cdf(t, n, p) == pytest.approx(plain, rel=1e-9)


@given(st.integers(1, 5000), st.sampled_from([0.5, 0.1, 0.01, 0.9, 0.99]))
def test_the_overlatency_that_is_allowed_is_the_largest(n: int, tail: float) -> None:
    t = allowed(n, tail)
    assert t < 0 or binomial_cdf(t, n, tail) <= 0.01
    assert t + 1 > n * tail or binomial_cdf(t + 1, n, tail) > 0.01


@given(st.integers(11, 20_000), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_bounds_enclose_the_percentile(n: int, p: float) -> None:
    if n >= samples_needed(p):
        low, high = bounds(n, p)
        assert 0 <= low <= math.floor(n * p) <= high < n


def test_at_the_smallest_count_the_upper_bound_is_the_slowest_and_with_t_3_two_are_dropped() -> None:
    assert bounds(64, 0.9)[1] == 63
    assert bounds(81, 0.9)[1] == 81 - 2
    assert bounds(97, 0.9)[1] == 97 - 3


def test_the_bounds_hold_as_often_as_they_promise() -> None:
    rng = np.random.default_rng(7)
    for n, p in ((64, 0.9), (300, 0.9), (700, 0.99), (50, 0.5)):
        truth = -math.log(1 - p)
        ordered = np.sort(rng.exponential(size=(4000, n)), axis=1)
        low, high = bounds(n, p)
        assert np.mean(ordered[:, high] < truth) <= 0.013
        assert np.mean(ordered[:, low] > truth) <= 0.013


@settings(max_examples=30)
@given(st.permutations(range(70)))
def test_the_order_of_the_spans_does_not_change_a_percentile(order: list[int]) -> None:
    lengths = [5 + 0.1 * i for i in order]
    record = with_spans(steady("infer", lengths))
    assert value(record, "latency_p90", "infer") == pytest.approx((5 + 0.1 * 63) / 1e3)
    assert value(record, "latency_p50", "infer") == pytest.approx((5 + 0.1 * 35) / 1e3)
    assert value(record, "latency_min", "infer") == pytest.approx(5e-3)


def test_a_percentile_without_enough_samples_is_absent_with_both_counts() -> None:
    absent = figure(make_record(n=120), "latency_p99", "infer")
    assert absent.value is None
    assert absent.reason == "p99 needs 662 samples, this run has 120"
    assert absent.count == 120
    assert figure(make_record(n=662), "latency_p99", "infer").value is not None


def test_a_model_of_two_phases_has_the_latency_of_each_and_of_the_whole_item() -> None:
    record = whisper_record()
    assert value(record, "latency_p50", "encode") == pytest.approx(0.15, rel=0.05)
    assert value(record, "latency_p50", "decode") == pytest.approx(0.005, rel=0.05)
    assert value(record, "latency_p50", "item") == pytest.approx(0.25, rel=0.05)
    assert figure(record, "latency_p50", "item").count == 80
    assert figure(record, "latency_p50", "decode").count == 1600


def test_an_item_is_put_together_by_time_even_if_items_have_different_lengths() -> None:
    encode = Spans("steady", "encode", [0, 100, 200], [10, 110, 210])
    decode = Spans("steady", "decode", [20, 40, 120, 220, 230, 240], [25, 45, 121, 221, 231, 241])
    record = with_spans(encode, decode, task="transcribe")
    assert list(item_seconds(core(record)) * 1e9) == pytest.approx([20, 11, 13])
    assert set(durations(record)) == {"encode", "decode", "item"}


def test_offline_has_no_latency_but_a_throughput() -> None:
    record = offline_record()
    assert figure(record, "latency_p50", "infer").value is None
    assert "batch" in figure(record, "latency_p50", "infer").reason
    assert value(record, "throughput") == pytest.approx(8 / 0.12, rel=0.02)


def test_first_inference_and_loading_are_times_of_their_own() -> None:
    assert value(make_record(), "first_inference") == pytest.approx(0.06)
    assert value(make_record(), "load_time") == pytest.approx(0.35)
    assert value(whisper_record(), "first_inference") > 0.7


# ---------------------------------------------------------------------------------------------------- rates


def test_throughput_counts_the_pauses_between_items() -> None:
    record = with_spans(steady("infer", [9.0] * 100))
    assert value(record, "throughput") == pytest.approx(100 / 0.999)


def test_speech_is_counted_in_seconds_of_sound_per_second_and_in_tokens() -> None:
    record = whisper_record()
    assert value(record, "throughput") == pytest.approx(30 / 0.25, rel=0.02)
    assert value(record, "throughput", "decode") == pytest.approx(200, rel=0.02)


def test_prompt_tokens_and_written_tokens_have_rates_of_their_own_and_none_in_common() -> None:
    record = llama_record(growth=0.0)
    assert value(record, "throughput", "prefill") == pytest.approx(64 / 0.32, rel=0.02)
    assert value(record, "throughput", "decode") == pytest.approx(31 / 1.28, rel=0.02)
    assert ("throughput", "") not in {(one.metric.id, one.phase) for one in readings(record)}


def test_a_language_model_waits_for_the_first_token_and_for_each_next_one() -> None:
    prefill = Spans("steady", "prefill", [0, 1000], [100, 1120], 64.0)
    decode = Spans("steady", "decode", [200, 300, 400, 1200, 1300], [210, 320, 430, 1240, 1350])
    record = with_spans(prefill, decode, task="generate")
    ttft, tpot = figure(record, "ttft"), figure(record, "tpot")
    assert (ttft.low, ttft.value, ttft.high) == pytest.approx((100e-9, 110e-9, 120e-9))
    assert tpot.value == pytest.approx((20e-9 + 45e-9) / 2)
    assert tpot.count == ttft.count == 2
    assert "n = 2" in ttft.evidence.note


def test_only_a_language_model_has_token_times() -> None:
    assert not {"ttft", "tpot"} & {one.metric.id for one in readings(whisper_record())}


def test_an_answer_of_one_token_has_no_time_per_further_token() -> None:
    record = with_spans(steady("prefill", [50.0], 64.0), task="generate")
    assert value(record, "ttft") == pytest.approx(0.05)
    assert figure(record, "tpot").value is None


def test_arithmetic_is_counted_by_span_and_by_item_of_a_batch() -> None:
    single, batch = make_record(latency_s=0.02), offline_record(latency_s=0.16, n=64)
    assert value(single, "achieved_ops", "infer") == pytest.approx(8.2e9 / 0.02, rel=0.01)
    assert value(batch, "achieved_ops", "infer") == pytest.approx(8 * 8.2e9 / 0.16, rel=0.01)


def test_operations_that_nobody_counted_are_not_zero() -> None:
    artifact = make_record().artifact
    assert isinstance(artifact, Artifact)
    record = make_record(artifact=msgspec.structs.replace(artifact, ops={}), meters=(RAPL,))
    assert "not counted" in figure(record, "achieved_ops", "infer").reason
    assert "not counted" in figure(record, "efficiency").reason
    assert figure(record, "energy_per_item").value is not None


def test_memory_is_kept_apart_by_source_and_files_are_added() -> None:
    record = make_record(memory={"rss": 10, "device": 20})
    assert (value(record, "peak_memory", "rss"), value(record, "peak_memory", "device")) == (10, 20)
    assert value(record, "model_bytes") == 102_000_000


# ---------------------------------------------------------------------------------------------------- energy


@pytest.mark.parametrize("meter", [RAPL, RAIL, WALL])
def test_energy_power_and_efficiency_agree_with_a_known_power(meter: Channel) -> None:
    record = make_record(meters=(meter,), watts=12.0)
    per_item = 12.0 / value(record, "throughput")
    assert value(record, "power") == pytest.approx(12, rel=0.005)
    assert value(record, "energy_per_item") == pytest.approx(per_item, rel=0.005)
    assert value(record, "efficiency") == pytest.approx(8.2e9 / per_item, rel=0.005)
    assert f"scope {meter.scope}: {meter.site}" in figure(record, "power").evidence.note


def test_an_energy_counter_that_wraps_is_unwrapped() -> None:
    record = make_record(meters=(RAPL,))
    column = len(record.telemetry[0].channels) - 1
    readings_of = [row[column] for row in record.telemetry[0].rows]
    assert any(after < before for before, after in pairwise(readings_of) if before is not None and after is not None)
    assert value(record, "power") == pytest.approx(12, rel=1e-6)


@given(st.lists(st.floats(0, 90), max_size=30), st.floats(0, 99))
def test_unwrapping_gives_the_sum_of_the_steps(steps: list[float], start: float) -> None:
    counter = [start]
    for step in steps:
        counter.append((counter[-1] + step) % 100)
    assert unwrapped(counter, 100) == pytest.approx(sum(steps), abs=1e-6)


def test_a_counter_that_goes_backwards_without_wrapping_gives_no_energy() -> None:
    assert unwrapped([5, 6, 1], None) is None


def test_the_widest_scope_alone_is_read() -> None:
    record = make_record(meters=(RAPL, RAIL, WALL))
    assert figure(record, "power").evidence.note.startswith("scope wall: outlet (host)")
    assert value(record, "power") == pytest.approx(12, rel=0.005)


def test_two_packages_are_added_and_a_rail_is_not() -> None:
    second = msgspec.structs.replace(RAPL, site="package-1")
    rail = Channel(site="VDD_CPU", kind="power", unit="W", scope="rail")
    record = make_record(meters=(RAPL, second, rail))
    assert value(record, "power") == pytest.approx(24, rel=0.005)
    assert "die: package-0 + package-1" in figure(record, "power").evidence.note
    assert "only rails" in figure(make_record(meters=(rail,)), "power").reason


def test_an_add_in_card_counts_only_when_the_work_ran_there() -> None:
    card = Channel(site="nvidia-gpu0", kind="power", unit="W", scope="card")
    assert "ran on the CPU" in figure(make_record(meters=(card,)), "power").reason
    assert "does not say" in figure(make_record(meters=(card,), offload={}), "power").reason
    assert value(make_record(meters=(RAPL, card)), "power") == pytest.approx(12, rel=0.005)
    both = make_record(meters=(RAPL, card), offload={"cuda": {"nodes": 10.0}})
    assert value(both, "power") == pytest.approx(24, rel=0.005)
    assert "die + card" in figure(both, "power").evidence.note


@pytest.mark.parametrize("scope", ["system", "process"])
def test_a_scope_that_is_no_meter_gives_no_energy(scope: Scope) -> None:
    assert figure(make_record(meters=(Channel("x", "power", "W", scope),)), "power").value is None


def test_energy_is_missing_when_the_run_is_too_short_for_the_meter() -> None:
    short = figure(make_record(n=300, meters=(RAIL,)), "energy_per_item")
    assert short.value is None
    assert "6.0" in short.reason
    assert "measure for at least 10 s" in short.reason
    slow = figure(make_record(meters=(WALL,), hertz=1.0), "energy_per_item")
    assert "measure for at least 60 s" in slow.reason


def test_energy_is_missing_when_the_meter_does_not_cover_the_run() -> None:
    record = make_record(meters=(RAPL,))
    telemetry = record.telemetry[0]
    half = len(telemetry.t_ns) // 2
    cut = changed(record, t_ns=telemetry.t_ns[:half], rows=telemetry.rows[:half])
    assert "good samples" in reason(cut, "energy_per_item")


def test_failed_reads_are_forgiven_up_to_a_point() -> None:
    assert value(make_record(meters=(RAIL,), missed=0.05), "power") == pytest.approx(12, rel=0.01)
    assert figure(make_record(meters=(RAIL,), missed=0.5), "power").value is None


def test_a_gap_in_the_power_samples_gives_no_energy() -> None:
    record = make_record(n=1500, meters=(RAIL,))
    gap = rewritten(record, lambda i, one: None if 100 <= i < 110 else one)
    assert "gave no sample for 1." in reason(gap, "power")


def test_a_meter_on_another_clock_is_shifted_and_refused_when_the_clocks_disagree() -> None:
    record = make_record(meters=(RAPL,))
    telemetry = record.telemetry[0]
    away = msgspec.structs.replace(telemetry, t_ns=[t - 10**12 for t in telemetry.t_ns], clock_offset_ns=10**12)
    assert value(msgspec.structs.replace(record, telemetry=[away]), "power") == pytest.approx(12, rel=1e-6)
    vague = msgspec.structs.replace(away, clock_error_ns=10**9)
    assert "clocks" in figure(msgspec.structs.replace(record, telemetry=[vague]), "power").reason


@pytest.mark.parametrize("meter", [RAPL, RAIL])
def test_a_sensor_stuck_at_zero_is_not_zero_energy(meter: Channel) -> None:
    record = make_record(meters=(meter,), watts=0.0)
    found = figure(rewritten(record, lambda _i, _one: 0.0), "energy_per_item")
    assert found.value is None


def test_without_a_sensor_the_reason_and_the_remedy_are_those_of_the_board() -> None:
    record = make_record()
    telemetry = msgspec.structs.replace(record.telemetry[0], absent=[NEVER_READ])
    reason = figure(msgspec.structs.replace(record, telemetry=[telemetry]), "energy_per_item").reason
    assert reason == "i2c is closed; to get it: join the group i2c"


def test_the_energy_of_a_language_model_is_by_written_token() -> None:
    record = llama_record(meters=(RAPL,), core=LLAMA)
    assert value(record, "energy_per_item") == pytest.approx(12 * 1.6 / 32, rel=0.1)


# ---------------------------------------------------------------------------------------------------- fidelity


def test_sums_are_pooled_over_samples_before_anything_is_divided() -> None:
    one = Comparison("a", "logits", xx=1.0, yy=1.0, xy=1.0, error=0.0, matches=1, decisions=1)
    other = Comparison("b", "logits", xx=99.0, yy=99.0, xy=98.0, error=2.0, matches=0, decisions=1)
    record = make_record(quality=Quality("fp32", [one, other]), precision="int8")
    assert value(record, "cosine") == pytest.approx(0.99)
    assert value(record, "sqnr") == pytest.approx(10 * math.log10(100 / 2))
    assert value(record, "agreement") == 0.5


def test_several_outputs_are_kept_apart() -> None:
    boxes = Comparison("a", "boxes", xx=1e6, yy=1e6, xy=1e6 - 50, error=100.0)
    scores = Comparison("a", "scores", xx=1.0, yy=1.0, xy=0.5, error=1.0)
    record = make_record(quality=Quality("fp32", [boxes, scores]), precision="int8")
    assert value(record, "sqnr", "boxes") == pytest.approx(40)
    assert value(record, "sqnr", "scores") == pytest.approx(0)
    assert figure(record, "agreement", "boxes").value is None


def test_an_exact_copy_of_the_reference_is_called_an_identity_and_has_no_infinite_sqnr() -> None:
    copy = Comparison("a", "logits", xx=9.0, yy=9.0, xy=9.0, error=0.0, matches=1, decisions=1)
    record = make_record(quality=Quality("fp32", [copy]))
    assert value(record, "cosine") == 1
    assert "identity" in figure(record, "cosine").evidence.note
    assert figure(record, "sqnr").value is None
    assert "identity" in figure(record, "sqnr").reason
    assert "identity" not in figure(make_record(precision="int8"), "cosine").evidence.note


def test_the_reference_itself_has_no_fidelity_but_a_reason() -> None:
    assert figure(make_record(precision="fp32"), "cosine").reason == "this is the fp32 reference itself"


def test_without_a_comparison_the_reason_is_the_records() -> None:
    record = make_record(quality=Quality("fp32", [], reason="the reference does not fit into memory"))
    assert figure(record, "cosine").reason == "the reference does not fit into memory"


@pytest.mark.parametrize("broken", [0.0, math.nan, math.inf])
def test_outputs_of_zeros_or_nans_have_no_cosine(broken: float) -> None:
    one = Comparison("a", "logits", xx=broken, yy=4.0, xy=broken, error=broken or 4.0)
    record = make_record(quality=Quality("fp32", [one]), precision="int8")
    assert figure(record, "cosine").value is None
    assert figure(record, "cosine").unit is Unit.ONE


@given(st.integers(1, 500), st.data())
def test_an_agreement_lies_within_its_interval(n: int, data: st.DataObject) -> None:
    matches = data.draw(st.integers(0, n))
    low, high = wilson(matches, n)
    assert 0 <= low <= matches / n + 1e-12
    assert matches / n - 1e-12 <= high <= 1
