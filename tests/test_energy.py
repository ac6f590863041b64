"""Energy: how near it comes to a truth that is known, what its bounds promise, and when there is none."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.integral import Doubt, of_counter, of_samples, places, unseen, weights
from harness.metrics.meters import every, needed_seconds, widest
from harness.metrics.power import unit_jump
from harness.record import Channel, RunRecord, Total
from tests.power_curves import FAMILIES, score, trial
from tests.readings import changed, figure, rewritten, value
from tests.records import RAIL, RAPL, WALL, llama_record, make_record, make_state, offline_record

ORIN = tuple(Channel(site, "power", "W", "rail") for site in ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"))
DRAM = Channel("VDDQ_VDD2_1V8AO", "power", "W", "rail")
SUM = Total("module", [one.site for one in ORIN], "the vendor's tool adds these three")
TRIALS = 8


def bounds(record: RunRecord, metric: str, phase: str = "") -> tuple[float, float]:
    """Low and high, which must be there."""
    found = figure(record, metric, phase)
    assert found.low is not None, found.reason
    assert found.high is not None
    return found.low, found.high


# ---------------------------------------------------------------------------------------------------- truths that are known


@pytest.mark.parametrize("family", FAMILIES)
def test_the_energy_of_a_known_curve_is_right_to_one_per_cent_and_its_bounds_hold_it(family: str) -> None:
    found = score(family, TRIALS, quantum=0.04 if family == "constant" else None)
    assert found.refused == 0
    assert float(np.median(found.errors)) <= 0.01
    assert found.covered >= 0.95
    assert float(np.median(found.halves)) <= 0.06  # bounds that hold everything by saying nothing would be no bounds


@pytest.mark.parametrize("family", ["bursts in step with the samples", "bursts nearly in step"])
def test_samples_that_keep_step_with_the_items_give_wide_bounds_or_no_figure_and_never_a_lie(family: str) -> None:
    found = score(family, TRIALS, 30.0, dither=False)
    assert found.refused > 0
    assert len(found.errors) == 0 or (found.covered == 1 and float(found.halves.max()) > 0.1)


def test_a_sampler_in_step_with_the_items_is_told_to_use_another_rate() -> None:
    record = make_record(meters=(RAIL,), dither=0.0, latency_s=0.09998, spread=1e-6, n=150)
    found = figure(record, "energy_per_item")
    assert found.value is None
    assert "in step with the items" in found.reason
    assert "--sample-hz" in found.reason
    assert value(make_record(meters=(RAIL,), latency_s=0.09998, spread=1e-6, n=150), "power") == pytest.approx(12, rel=0.005)


def test_items_that_are_seen_in_part_are_said_to_be_in_the_note() -> None:
    record = make_record(meters=(RAIL,), dither=0.0, seed=3)  # 20 ms items at 10 Hz: the samples drift through most of the item
    found = figure(record, "power")
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 2.0
    assert "keep step" in found.evidence.note
    assert "keep step" not in figure(make_record(meters=(RAIL,)), "power").evidence.note


# ---------------------------------------------------------------------------------------------------- the integral


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 0.5), min_size=4, max_size=60), st.floats(-5, 5), st.floats(0, 20))
def test_a_straight_line_is_integrated_without_error_wherever_the_samples_lie(steps: list[float], slope: float, offset: float) -> None:
    t = np.cumsum(steps) - steps[0] - 0.005
    lasted = float(t[-1]) - 0.005
    watts = 200 + offset + slope * t
    found = of_samples(t, watts, lasted, Doubt(0.5))
    assert found.watts == pytest.approx(200 + offset + slope * lasted / 2, rel=1e-9)
    assert found.low <= found.watts <= found.high


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 0.5), min_size=3, max_size=60), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_the_weights_of_the_samples_add_up_to_the_window(steps: list[float], first: float, last: float) -> None:
    t = np.cumsum(steps)
    lasted = max(float(t[-1] - t[0]) - first - last, 0.1)
    assert weights(t - t[0] - first, lasted).sum() == pytest.approx(lasted)


def test_every_doubt_widens_the_bounds() -> None:
    rng = np.random.default_rng(3)
    t = np.arange(-0.1, 20.2, 0.1)
    steady, edged = 10 + rng.normal(0, 0.01, len(t)), np.where((t > 0) & (t < 19.95), 10.0, 3.0)
    plain = of_samples(t, steady, 20.0, Doubt(0.1))
    assert plain.high - plain.low < 0.02
    coarse = of_samples(t, steady, 20.0, Doubt(0.1, quantum=0.5))
    assert (plain.low - coarse.low, coarse.high - plain.high) == pytest.approx((0.25, 0.5))
    sharp, shifted = of_samples(t, edged, 20.0, Doubt(0.1)), of_samples(t, edged, 20.0, Doubt(0.1, shift=0.05))
    assert sharp.low - shifted.low == pytest.approx(0.05 * 7 / 20, rel=0.01)
    hole = (t < 10) | (t > 10.45)
    uneven = np.where(t < 5, 8.0, 10.0)
    whole, holed = of_samples(t, uneven, 20.0, Doubt(0.1)), of_samples(t[hole], uneven[hole], 20.0, Doubt(0.1))
    assert whole.low - holed.low > 0.3 * 2 / 20


def test_a_counter_bounds_what_happened_at_the_edges() -> None:
    t = np.arange(0.0, 10.05, 0.1)
    even = of_counter(t, 12 * t, 9.93, Doubt(0.1))
    assert (even.low, even.watts, even.high) == pytest.approx((12, 12, 12))
    bursts = np.concatenate([[0], np.cumsum(np.tile([2.0, 0.4], 60))])[: len(t)]
    found = of_counter(t, bursts, 9.93, Doubt(0.1))
    assert (found.watts - found.low, found.high - found.watts) == pytest.approx((0.03 * 16 / 9.93, 0.03 * 16 / 9.93))


def test_random_samples_miss_no_part_of_an_item_and_samples_in_step_miss_most() -> None:
    rng = np.random.default_rng(5)
    begins = np.arange(0, 60, 0.1)
    at_random, in_step = np.sort(rng.uniform(0, 60, 600)), begins + 0.03
    assert unseen(at_random, weights(at_random, 60.0), places(at_random, begins, 60.0)) < 0.1
    assert unseen(in_step, weights(in_step, 60.0), places(in_step, begins, 60.0)) > 0.5


# ---------------------------------------------------------------------------------------------------- gross, above idle, per stream


def test_a_counter_and_a_sensor_of_the_same_power_give_the_same_energy_within_their_bounds() -> None:
    for meter in (RAPL, RAIL, WALL):
        record = make_record(meters=(meter,))
        low, high = bounds(record, "energy_per_item")
        assert low <= 12.0 / value(record, "throughput") <= high
        assert (high - low) / 2 < 0.01 * high


def test_idle_power_and_what_is_above_it_stand_beside_the_whole() -> None:
    record = make_record(meters=(RAIL,), idle=12.0, idle_watts=4.0)
    items = value(record, "throughput")
    assert value(record, "idle_power") == pytest.approx(4, rel=0.03)
    assert value(record, "energy_above_idle") == pytest.approx(8 / items, rel=0.02)
    assert value(record, "energy_per_item") == pytest.approx(12 / items, rel=0.01)
    low, high = bounds(record, "energy_above_idle")
    assert low < 8 / items < high
    assert "energy_per_item is the whole" in figure(record, "energy_above_idle").evidence.note


def test_a_counter_needs_two_seconds_of_idle_and_a_sensor_ten() -> None:
    assert value(make_record(meters=(RAPL,), idle=2.5), "idle_power") == pytest.approx(4, rel=0.02)
    short = figure(make_record(meters=(RAIL,), idle=5.0), "idle_power")
    assert short.value is None
    assert "lasted 5.00" in short.reason
    assert "at least 10 s (--idle)" in short.reason
    assert figure(make_record(meters=(RAIL,), idle=5.0), "energy_above_idle").reason == short.reason


def test_without_an_idle_window_only_the_whole_is_told() -> None:
    record = make_record(meters=(RAIL,))
    assert "--idle" in figure(record, "energy_above_idle").reason
    assert figure(record, "energy_per_item").value is not None


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"governors": {"policy0": "powersave"}}, "governors changed"),
        ({"devfreq_governors": {"npu": "simple_ondemand"}}, "devfreq_governors changed"),
        ({"frequency_max_hz": {"cpu0": 1.2e9}}, "frequency_max_hz changed"),
        ({"power_mode": "MAXN"}, "15W to MAXN"),
    ],
)
def test_other_clocks_than_in_the_idle_window_give_nothing_above_idle(after: dict[str, Any], said: str) -> None:
    before = make_state(devfreq_governors={"npu": "userspace"}, power_mode="15W")
    environment = {"before": before, "after": {**before, **after}}
    record = make_record(meters=(RAIL,), idle=12.0, environment=environment)
    assert said in figure(record, "energy_above_idle").reason
    assert figure(record, "idle_power").value is not None
    alike = make_record(meters=(RAIL,), idle=12.0, environment={"before": before, "after": before})
    assert figure(alike, "energy_above_idle").value is not None


def test_a_clock_that_rested_in_the_idle_window_gives_nothing_above_idle() -> None:
    record = make_record(meters=(RAIL,), idle=12.0)
    begin, end = next((one.begin_ns[0], one.end_ns[0]) for one in record.spans if one.stage == "idle")
    rows = [
        [row[0], 0.8e9 if begin <= t <= end else row[1], *row[2:]] for t, row in zip(record.telemetry[0].t_ns, record.telemetry[0].rows, strict=True)
    ]
    reason = figure(changed(record, rows=rows), "energy_above_idle").reason
    assert "cpu0 was 0.80 GHz in the idle window and 2.40 GHz" in reason


def test_energy_per_stream_is_the_average_of_the_samples_times_the_time_over_the_queries() -> None:
    record = rewritten(make_record(meters=(RAIL,)), lambda i, _value: 10.0 + i % 2)
    telemetry, (begin, end) = record.telemetry[0], next((one.begin_ns[0], one.end_ns[-1]) for one in record.spans if one.stage == "steady")
    inside = [row[-1] for t, row in zip(telemetry.t_ns, telemetry.rows, strict=True) if begin < t < end]
    watts = sum(one for one in inside if one is not None) / len(inside)
    assert value(record, "energy_per_stream") == pytest.approx(watts * (end - begin) / 1e9 / 700)
    assert "not integrated" in figure(record, "energy_per_stream").evidence.note


def test_a_query_of_a_language_model_is_an_answer_and_its_item_a_token() -> None:
    record = llama_record(meters=(RAIL,))
    assert value(record, "energy_per_stream") == pytest.approx(32 * value(record, "energy_per_item"), rel=0.01)


def test_energy_per_stream_belongs_to_a_single_stream_and_to_samples() -> None:
    assert "single stream" in figure(offline_record(meters=(RAIL,)), "energy_per_stream").reason
    assert "counts energy" in figure(make_record(meters=(RAPL,)), "energy_per_stream").reason


def test_efficiency_carries_its_precision_its_scope_and_its_bounds() -> None:
    record = make_record(meters=(WALL,), precision="int8")
    low, high = bounds(record, "efficiency")
    assert low < value(record, "efficiency") < high
    assert value(record, "efficiency") == pytest.approx(8.2e9 / value(record, "energy_per_item"), rel=0.001)
    note = figure(record, "efficiency").evidence.note
    assert "scope wall: outlet" in note
    assert "int8" in note


# ---------------------------------------------------------------------------------------------------- scopes


def test_the_rails_of_a_named_sum_are_a_meter_of_its_scope_and_the_formula_is_in_the_note() -> None:
    record = changed(make_record(meters=(*ORIN, DRAM)), totals=[SUM])
    assert value(record, "power") == pytest.approx(36, rel=0.005)
    assert "scope module: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (host)" in figure(record, "power").evidence.note
    assert value(record, "site_power", "module, sum of rails") == value(record, "power")
    assert value(record, "site_power", DRAM.site) == pytest.approx(12, rel=0.005)


def test_a_sum_that_lacks_a_rail_is_not_made() -> None:
    record = changed(make_record(meters=(ORIN[0], ORIN[1], DRAM)), totals=[SUM])
    reason = figure(record, "power").reason
    assert "only rails" in reason
    assert "lacks VIN_SYS_5V0" in reason
    assert value(record, "site_power", "VDD_CPU_CV") == pytest.approx(12, rel=0.005)


def test_a_wider_scope_is_taken_and_the_narrower_ones_stand_beside_it() -> None:
    record = changed(make_record(meters=(*ORIN, WALL)), totals=[SUM])
    assert value(record, "power") == pytest.approx(12, rel=0.005)
    assert set(every(record)) == {*SUM.sites, "outlet", "module, sum of rails"}
    own = msgspec.structs.replace(RAIL, scope="module")
    both = changed(make_record(meters=(*ORIN, own)), totals=[SUM])
    assert "scope module: VDD_IN (host)" in figure(both, "power").evidence.note


def test_a_meter_off_the_board_is_a_telemetry_of_its_own_with_a_clock_of_its_own() -> None:
    board, off = make_record(meters=(RAIL,)), make_record(meters=(WALL,), watts=15.0).telemetry[0]
    away = msgspec.structs.replace(off, instrument="shelly", t_ns=[t - 10**15 for t in off.t_ns], clock_offset_ns=10**15, clock_error_ns=20_000_000)
    record = msgspec.structs.replace(board, telemetry=[*board.telemetry, away])
    assert value(record, "power") == pytest.approx(15, rel=0.005)
    assert "wall: outlet (shelly)" in figure(record, "power").evidence.note
    assert value(record, "site_power", "VDD_IN") == pytest.approx(12, rel=0.005)


def test_one_site_of_two_instruments_is_told_apart() -> None:
    record = make_record(meters=(RAIL,))
    other = msgspec.structs.replace(record.telemetry[0], instrument="ina-on-a-stick")
    assert set(every(msgspec.structs.replace(record, telemetry=[*record.telemetry, other]))) == {"VDD_IN", "VDD_IN (ina-on-a-stick)"}


def test_a_record_without_power_says_why_by_site_too() -> None:
    assert "no power sensor" in figure(make_record(), "site_power").reason
    assert isinstance(widest(make_record(telemetry=[])), str)


@pytest.mark.parametrize(
    ("kind", "hertz", "seconds"), [("energy", 10, 2), ("power", 10, 10), ("power", 5, 20), ("power", 1, 60), ("power", 0.5, 120)]
)
def test_the_window_a_meter_needs_depends_on_its_rate(kind: Any, hertz: float, seconds: float) -> None:
    assert needed_seconds(kind, hertz) == seconds


# ---------------------------------------------------------------------------------------------------- sensors that cannot be believed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _i, one: -one, "read -1"),
        (lambda i, one: one * 1000 if i > 90 else one, "factor of 1,000"),
        (lambda i, one: one / 1e6 if i > 90 else one, "factor of 1,000,000"),
        (lambda i, one: one if i % 12 else None, ""),
        (lambda i, one: one if not 60 <= i < 70 else None, "gave no sample for"),
    ],
)
def test_a_sensor_that_cannot_be_right_gives_no_energy(change: Any, said: str) -> None:
    found = figure(rewritten(make_record(meters=(RAIL,)), change), "energy_per_item")
    if said:
        assert found.value is None
        assert said in found.reason.replace("\u2009", " ")
    else:
        assert found.value is not None, found.reason


def test_stamps_that_go_back_give_no_energy() -> None:
    record = make_record(meters=(RAIL,))
    stamps = record.telemetry[0].t_ns
    assert "stepped back" in figure(changed(record, t_ns=[t - 10**9 * (i > 80) for i, t in enumerate(stamps)]), "power").reason


@given(st.lists(st.floats(0.5, 40), min_size=10, max_size=60))
def test_a_load_that_varies_eightyfold_is_no_jump_of_the_unit(values: list[float]) -> None:
    assert unit_jump(values) is None


def test_a_rail_that_is_switched_on_and_off_is_no_jump_of_the_unit() -> None:
    assert unit_jump([0.004, 4.0] * 40) is None
    assert unit_jump([4.0] * 40 + [4000.0] * 40) == 1e3


def test_the_curve_of_a_trial_is_the_same_each_time() -> None:
    assert trial("bursts", 1, 12.0).record == trial("bursts", 1, 12.0).record
