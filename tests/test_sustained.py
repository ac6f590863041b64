"""Sustained figures: the first minute against the last, and the knee; on machines whose slowing down is known."""

from __future__ import annotations

from functools import partial

import msgspec
import numpy as np
import pytest

from harness.checks import judge
from harness.checks.sustained import check
from harness.metrics import readings
from harness.metrics.knee import SHORTEST as KNEE_SHORTEST
from harness.metrics.knee import Knee, find_knee
from harness.metrics.sustained import SHORTEST, course
from harness.record import Absent, Blocks, Channel, Setting, Spans, Telemetry
from tests.readings import changed, figure, reason, value
from tests.records import llama_record, make_record
from tests.sustain_records import Shape, burst, course_of, durations, even, ramp, sawtooth, step, sustained_record

SUSTAINED = (
    "sustained_throughput", "first_minute_throughput", "sustained_ratio", "throttle_knee", "first_minute_latency", "sustained_latency",
    "sustained_temperature",
)  # fmt: skip
TEN_S = 10_000_000_000


def bend(minutes: float, shape: Shape, seed: int = 1, alike: float = 0.7) -> Knee | str:
    """The knee of a synthetic course of 10 items a second."""
    return find_knee(course_of(durations(minutes, 0.1, shape, seed, alike=alike)))


# ---------------------------------------------------------------------------------------------------- minutes


def test_the_last_minute_is_told_against_the_first() -> None:
    record = sustained_record(minutes=12, shape=step(300, 0.25), item_s=0.1)
    assert value(record, "first_minute_throughput") == pytest.approx(10, rel=0.01)
    assert value(record, "sustained_throughput") == pytest.approx(7.5, rel=0.01)
    assert value(record, "sustained_ratio") == pytest.approx(0.75, rel=0.01)
    assert value(record, "first_minute_latency", "infer") == pytest.approx(0.1, rel=0.01)
    assert value(record, "sustained_latency", "infer") == pytest.approx(0.1 / 0.75, rel=0.01)
    assert figure(record, "sustained_latency", "infer").low is not None


def test_a_sustained_rate_counts_the_pauses_between_items() -> None:
    record = sustained_record(minutes=3, item_s=0.1, pause_s=0.1)
    assert value(record, "sustained_throughput") == pytest.approx(5, rel=0.01)
    assert value(record, "sustained_latency", "infer") == pytest.approx(0.1, rel=0.01)


def test_a_minute_begins_inside_an_item_without_a_jump() -> None:
    items = [Spans("sustain", "infer", [n * 7_000_000_000 for n in range(30)], [(n + 1) * 7_000_000_000 for n in range(30)])]
    record = make_record(n=1, spans=items, blocks=[], telemetry=[])
    assert value(record, "first_minute_throughput") == pytest.approx(1 / 7)
    assert value(record, "sustained_throughput") == pytest.approx(1 / 7)
    assert "holds 9 of them, a median needs 11" in reason(record, "first_minute_latency", "infer")


def test_calls_that_share_a_span_give_the_latency_of_one_call_and_say_so() -> None:
    record = sustained_record(minutes=3, item_s=0.02, group=4)
    assert value(record, "sustained_latency", "infer") == pytest.approx(0.005, rel=0.02)
    assert value(record, "sustained_throughput") == pytest.approx(200, rel=0.02)
    assert "mean over 4 calls a span" in figure(record, "sustained_latency", "infer").evidence.note


def test_the_phases_of_an_item_have_a_latency_each_and_together() -> None:
    record = sustained_record(
        minutes=3, item_s=0.5, phases={"encode": 0.6, "decode": 0.4}, items={"encode": 30.0}, task="transcribe", item="audio second"
    )
    assert value(record, "sustained_latency", "encode") == pytest.approx(0.3, rel=0.03)
    assert value(record, "sustained_latency", "decode") == pytest.approx(0.2, rel=0.03)
    assert value(record, "sustained_latency", "item") == pytest.approx(0.5, rel=0.03)
    assert value(record, "sustained_throughput") == pytest.approx(60, rel=0.03)


def test_a_language_model_has_a_sustained_rate_for_reading_and_one_for_writing() -> None:
    begins = [n * 1_000_000_000 for n in range(200)]
    spans = [
        Spans("sustain", "prefill", begins, [one + 200_000_000 for one in begins], 64.0),
        Spans("sustain", "decode", [b + 200_000_000 + k * 80_000_000 for b in begins for k in range(10)],
              [b + 280_000_000 + k * 80_000_000 for b in begins for k in range(10)]),
    ]  # fmt: skip
    record = msgspec.structs.replace(llama_record(), spans=spans)
    assert value(record, "sustained_throughput", "prefill") == pytest.approx(320)
    assert value(record, "sustained_throughput", "decode") == pytest.approx(12.5)
    assert value(record, "sustained_ratio") == pytest.approx(1.0)
    assert {one.phase for one in readings(record) if one.metric.id == "sustained_throughput"} == {"prefill", "decode"}


def test_batches_have_a_sustained_rate_and_no_latency() -> None:
    record = sustained_record(minutes=3, item_s=0.2, items={"infer": 8.0}, scenario="offline", batch=8)
    assert value(record, "sustained_throughput") == pytest.approx(40, rel=0.02)
    assert "the time of a batch is not the latency of an item" in reason(record, "sustained_latency")


def test_the_temperature_at_the_end_is_that_of_the_hottest_sensor_on_the_workers_clock() -> None:
    record = sustained_record(minutes=12)
    assert value(record, "sustained_temperature") == pytest.approx(85, abs=1.5)
    assert "soc-thermal" in figure(record, "sustained_temperature").evidence.note
    early = changed(record, clock_offset_ns=10**15)
    assert reason(early, "sustained_temperature") == "no temperature was recorded in the last minute"


def test_without_a_temperature_sensor_the_reason_says_what_to_do() -> None:
    record = sustained_record(minutes=3)
    blind = Telemetry("fixture", 2.0, [], [], [], [Absent("temperature", "any", "no thermal zone is there", "load the driver")])
    assert (
        reason(msgspec.structs.replace(record, telemetry=[blind]), "sustained_temperature") == "no thermal zone is there; to get it: load the driver"
    )


# ---------------------------------------------------------------------------------------------------- absence


def test_an_ordinary_run_says_how_to_get_sustained_figures() -> None:
    for metric in SUSTAINED:
        assert reason(make_record(n=20), metric) == "no sustained run was asked for: it is with --sustain 30m"


def test_a_stage_that_was_asked_for_and_is_not_there_says_so() -> None:
    record = make_record(n=20, settings={"sustain": Setting(1800.0, "command line")})
    assert reason(record, "sustained_ratio") == "the record has no sustained spans"


def test_a_stage_without_two_minutes_has_no_figures_and_says_how_long_it_must_be() -> None:
    record = sustained_record(minutes=SHORTEST / 60 - 0.2)
    for metric in SUSTAINED:
        assert "needs" in reason(record, metric)
    assert "this figure needs 120 s" in reason(record, "sustained_ratio")


def test_a_stage_shorter_than_five_minutes_has_a_last_minute_and_no_knee() -> None:
    record = sustained_record(minutes=KNEE_SHORTEST / 60 - 1, shape=step(100, 0.3))
    assert value(record, "sustained_ratio") == pytest.approx(0.7, rel=0.02)
    assert "this figure needs 300 s" in reason(record, "throttle_knee")


def test_a_few_long_items_give_no_course() -> None:
    spans = [Spans("sustain", "infer", [n * 100_000_000_000 for n in range(4)], [(n + 1) * 100_000_000_000 for n in range(4)])]
    assert "holds 4 items, this figure needs 6" in reason(make_record(n=1, spans=spans), "sustained_ratio")


def test_a_run_that_never_throttles_has_no_knee_and_never_a_zero() -> None:
    assert reason(sustained_record(minutes=12), "throttle_knee") == "did not throttle within 12 minutes"


# ---------------------------------------------------------------------------------------------------- the knee


@pytest.mark.parametrize(("at", "loss"), [(28, 0.1), (28, 0.5), (90, 0.05), (600, 0.05), (600, 0.1), (600, 0.5), (1200, 0.05), (1200, 0.5)])
def test_a_step_has_its_knee_where_it_is(at: float, loss: float) -> None:
    found = bend(30, step(at, loss))
    assert isinstance(found, Knee)
    assert found.at == pytest.approx(at, abs=8)
    assert found.fell == pytest.approx(loss, abs=0.02) or at < 60


@pytest.mark.parametrize("period", [10, 60, 120])
def test_clocks_that_go_up_and_down_have_one_knee_where_that_begins(period: float) -> None:
    found = bend(30, sawtooth(600, period, 0.2))
    assert isinstance(found, Knee)
    assert found.at == pytest.approx(600, abs=8)


def test_a_ramp_has_its_knee_on_the_ramp() -> None:
    found = bend(30, ramp(300, 900, 0.2))
    assert isinstance(found, Knee)
    assert 300 < found.at < 600
    assert found.fell > 0.1


def test_a_few_slow_items_answer_too() -> None:
    took = np.concatenate([np.full(30, 20.0), np.full(40, 26.0)]) * np.exp(np.random.default_rng(2).normal(0, 0.01, 70))
    found = find_knee(course_of(took))
    assert isinstance(found, Knee)
    assert found.at == pytest.approx(600, abs=25)


@pytest.mark.parametrize(
    "shape",
    [burst(600, 900, 1.5), burst(1500, 1700, 1.5), burst(0, 300, 1.5), burst(0, 9999, 1.3), step(600, 0.01)],
    ids=["in the middle", "near the end", "at the beginning", "slow all along", "one percent"],
)
def test_what_does_not_stay_or_is_not_a_fall_is_no_knee(shape: Shape) -> None:
    found = bend(30, shape)
    assert isinstance(found, str)
    assert "did not throttle within" in found


def test_a_fall_just_before_the_end_is_said_to_be_too_late() -> None:
    found = bend(30, step(1700, 0.2))
    assert isinstance(found, str)
    assert "too late to say that it stays: measure for longer" in found
    assert "did not throttle" not in found


@pytest.mark.parametrize("alike", [0.0, 0.97])
def test_noise_alone_is_called_a_knee_in_less_than_two_of_a_hundred_runs(alike: float) -> None:
    alarms = [seed for seed in range(90) if isinstance(bend(10, even, seed, alike), Knee)]
    assert len(alarms) <= 1


def test_bursts_of_a_neighbour_are_no_knee() -> None:
    def shape(t: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        begins = np.random.default_rng(seed).uniform(0, 600, 6)
        return np.where(((t[:, None] >= begins) & (t[:, None] < begins + 8)).any(axis=1), 1.6, 1.0)

    alarms = [seed for seed in range(40) if isinstance(bend(10, partial(shape, seed=seed), seed), Knee)]
    assert len(alarms) <= 2


# ---------------------------------------------------------------------------------------------------- what else was seen


def test_clocks_and_power_that_fell_with_the_rate_stand_in_the_note() -> None:
    note = figure(sustained_record(minutes=12, shape=step(300, 0.25)), "throttle_knee").evidence.note
    assert "clock cpu0 2.40\u2009GHz to 1.80\u2009GHz" in note
    assert "power VDD_IN 12.0\u2009W to 10.0\u2009W" in note
    assert "soc-thermal at" in note


def test_a_fall_that_no_sensor_saw_says_so() -> None:
    note = figure(sustained_record(minutes=12, shape=step(300, 0.25), clocks_follow=False), "throttle_knee").evidence.note
    assert "no clock, power or throttle counter of the record moved with it: the cause is not known" in note


def test_less_cpu_time_at_the_same_clocks_is_a_neighbour_and_no_knee() -> None:
    record = sustained_record(minutes=12, shape=step(300, 0.25), clocks_follow=False, cpu_follows=True)
    assert "something else ran" in reason(record, "throttle_knee")
    throttled = sustained_record(minutes=12, shape=step(300, 0.25), clocks_follow=True, cpu_follows=True)
    assert value(throttled, "throttle_knee") == pytest.approx(300, abs=5)


def test_less_cpu_time_of_work_on_an_accelerator_is_no_neighbour() -> None:
    record = sustained_record(minutes=12, shape=step(300, 0.25), clocks_follow=False, cpu_follows=True, offload={"npu": {"nodes": 90.0}})
    assert value(record, "throttle_knee") == pytest.approx(300, abs=5)


@pytest.mark.parametrize("kind", ["throttle", "energy"])
def test_a_throttle_counter_and_an_energy_counter_are_witnesses(kind: str) -> None:
    record = sustained_record(minutes=12, shape=step(300, 0.25), clocks_follow=False)
    (old,) = record.telemetry
    t = (np.asarray(old.t_ns) - old.t_ns[0]) / 1e9
    begin = (next(one for one in record.spans if one.stage == "sustain").begin_ns[0] - old.t_ns[0] - old.clock_offset_ns) / 1e9
    late = np.clip(t - begin - 300, 0, None)
    if kind == "throttle":
        channel, column = Channel("oc3", "throttle", "1", "system"), np.floor(late)
    else:
        channel, column = Channel("package-0", "energy", "J", "die", wraps_at=3000.0), (10 * t - 3 * late) % 3000.0
    seen = msgspec.structs.replace(old, channels=[channel], rows=[[float(one)] for one in column])
    note = figure(msgspec.structs.replace(record, telemetry=[seen]), "throttle_knee").evidence.note
    said = {"throttle": "oc3 reported throttling", "energy": "power package-0 10.0\u2009W to 7.00\u2009W"}[kind]
    assert said in note


# ---------------------------------------------------------------------------------------------------- the check


def test_a_sustained_run_that_slows_down_carries_a_note_that_spoils_nothing() -> None:
    (problem,) = check(sustained_record(minutes=12, shape=step(300, 0.25)))
    assert problem.code == "slows-down"
    assert problem.severity == "note"
    assert problem.spoils == []
    assert "after 300\u2009s" in problem.what or "after 299\u2009s" in problem.what
    assert problem.fix
    assert list(check(sustained_record(minutes=6))) == []
    assert list(check(make_record(n=20))) == []


def test_the_sustained_stage_leaves_the_figures_of_the_steady_stage_alone() -> None:
    record = judge(sustained_record(minutes=6, shape=step(120, 0.4), n=700))
    plain = judge(make_record(n=700, latency_s=0.1))
    assert record.status == "ok"
    assert value(record, "latency_p50", "infer") == pytest.approx(value(plain, "latency_p50", "infer"), rel=1e-9)
    assert value(record, "throughput") == pytest.approx(value(plain, "throughput"), rel=1e-9)


def test_the_course_counts_every_item_once() -> None:
    found = course(sustained_record(minutes=3, item_s=0.1))
    assert not isinstance(found, str)
    assert found.rate(0, found.lasted) * found.lasted == pytest.approx(found.done[-1])
    assert found.done[-1] == len(found.t) - 1


def test_blocks_of_other_stages_say_nothing_about_the_cpu_time_of_this_one() -> None:
    record = sustained_record(minutes=12, shape=step(300, 0.25), clocks_follow=False, cpu_follows=True)
    others = [msgspec.structs.replace(one, stage="steady") if one.stage == "sustain" else one for one in record.blocks]
    assert value(msgspec.structs.replace(record, blocks=others), "throttle_knee") == pytest.approx(300, abs=5)
    assert isinstance(others[0], Blocks)
