"""Checks: each fires where it should and stays silent where it must."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checks import checks, judge
from harness.checks.dependence import correlation
from harness.checks.drift import drift
from harness.checks.modes import two_modes
from harness.checks.series import judged, settled_at
from harness.metrics import metrics
from harness.record import Channel, Problem, RunRecord, Setting, Spans
from tests.readings import changed
from tests.records import (
    Part,
    failed_record,
    llama_record,
    make_record,
    make_state,
    offline_record,
    unsupported_record,
    whisper_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SERIES = 200
LONG_ANSWERS = (Part("prefill", 0.2, 1, 128.0), Part("decode", 0.8 / 63, 63))


def problems(record: RunRecord) -> dict[str, Problem]:
    """By code."""
    return {one.code: one for one in judge(record).problems}


def severities(record: RunRecord) -> dict[str, str]:
    """Of all that are not notes."""
    return {code: one.severity for code, one in problems(record).items() if one.severity != "note"}


def with_state(*, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None, **options: Any) -> RunRecord:
    environment = {"before": make_state(**(before or {})), "after": make_state(**(after or {}))}
    return make_record(environment=environment, **options)


# ---------------------------------------------------------------------------------------------------- the family as a whole


def all_sorts_of_trouble() -> list[RunRecord]:
    swap = {"swap_used_bytes": 10**9}
    return [
        make_record(drift=0.1),
        make_record(ramp=0.5, ramp_items=2000),
        make_record(ramp=0.5, ramp_items=60),
        make_record(second_mode=0.1),
        make_record(bursts=0.05),
        make_record(bursts=0.6),
        make_record(threads=4, pressure=0.4),
        make_record(correlation=0.8),
        make_record(n=20),
        with_faults(),
        with_state(after=swap),
        with_state(after={"throttle_counts": {"cpu0/core": 9}}),
        with_state(after={"undervoltage": True}),
        with_state(after={"steal_s": 9.0}),
        with_state(after={"governors": {"policy0": "powersave"}}),
        with_state(before={"governors": {}}, after={"governors": {}}),
    ]


def test_every_problem_says_what_why_and_what_to_do_and_spoils_metrics_that_exist() -> None:
    known = {one.id for one in metrics()} | {"*"}
    found = [problem for record in all_sorts_of_trouble() for problem in judge(record).problems]
    assert len({one.code for one in found}) == 18
    for problem in found:
        assert problem.what
        assert problem.why
        assert problem.fix
        assert set(problem.spoils) <= known
        assert problem.severity != "invalid" or problem.spoils
        assert problem.code == problem.code.lower().replace("_", "-")


def test_drift_is_looked_for_before_two_modes_and_these_before_interference() -> None:
    order = [one.__module__.rpartition(".")[2] for one in checks()]
    assert order[:4] == ["warmup", "drift", "modes", "interference"]


def test_a_clean_record_has_no_problem_at_all() -> None:
    assert problems(make_record()) == {}
    assert judge(make_record()).status == "ok"


def test_an_invalid_problem_makes_the_record_invalid_and_gives_the_reason() -> None:
    record = judge(make_record(drift=0.1))
    assert record.status == "invalid"
    assert "slower" in record.reason
    assert record.spans == make_record(drift=0.1).spans


@pytest.mark.parametrize("record", [failed_record(), unsupported_record()])
def test_a_record_that_was_not_measured_is_not_judged(record: RunRecord) -> None:
    assert judge(record) == record


def test_synthetic_weights_are_no_problem() -> None:
    assert not [one for one in judge(make_record()).problems if "weights" in one.what]


def test_an_empty_record_is_no_error() -> None:
    empty = make_record(spans=[], blocks=[], telemetry=[], environment={}, settings={}, offload={}, quality=None)
    assert set(problems(empty)) <= {"clocks-unknown"}


# ---------------------------------------------------------------------------------------------------- false alarms

CLEAN: dict[str, tuple[Callable[[int], RunRecord], float]] = {
    "60 items, 1 %": (lambda seed: make_record(seed=seed, n=60), 0.0),
    "60 items, 3 %": (lambda seed: make_record(seed=seed, n=60, spread=0.03), 0.02),
    "200 items, 2 %": (lambda seed: make_record(seed=seed, n=200, spread=0.02), 0.01),
    "400 items, 3 %": (lambda seed: make_record(seed=seed, n=400, spread=0.03), 0.01),
    "correlated noise": (lambda seed: make_record(seed=seed, n=200, spread=0.02, correlation=0.7), 0.03),
    "a warm-up that is discarded": (lambda seed: make_record(seed=seed, n=120, ramp=0.3), 0.05),
    "four threads": (lambda seed: make_record(seed=seed, n=120, threads=4), 0.01),
    "whisper, 11 windows": (lambda seed: whisper_record(seed=seed, n=11, growth=0.1), 0.02),
    "llama, 10 answers": (lambda seed: llama_record(seed=seed), 0.06),
    "llama, 2 answers": (lambda seed: llama_record(seed=seed, n=2, warmup=0, core=LONG_ANSWERS), 0.02),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_series_raise_false_alarms_no_more_often_than_stated(name: str) -> None:
    make, stated = CLEAN[name]
    alarms = [severities(make(seed)) for seed in range(1000, 1000 + SERIES)]
    assert sum(map(bool, alarms)) <= stated * SERIES, Counter(itertools.chain.from_iterable(alarms))


# ---------------------------------------------------------------------------------------------------- which series


def test_a_model_of_one_phase_is_judged_by_its_spans_with_the_warm_up_in_front() -> None:
    series = judged(make_record(n=100, warmup=20))
    assert series is not None
    assert (len(series.log), series.warmup, series.phase) == (120, 20, "infer")


def test_sixty_equal_items_of_two_phases_are_judged_by_their_sums() -> None:
    series = judged(whisper_record(n=80, warmup=3))
    assert series is not None
    assert (len(series.log), series.warmup, series.phase, series.items) == (83, 3, "item", 80)


def test_few_items_are_judged_by_their_tokens_without_the_growth_of_the_context() -> None:
    record = llama_record(n=4, growth=0.5)
    series = judged(record)
    assert series is not None
    assert (series.phase, series.items, len(series.log)) == ("decode", 4, 5 * 31)
    assert np.ptp(series.log) < 0.15  # log 1.5 is 0.41
    assert not severities(record)


def test_answers_of_unequal_length_are_not_compared_as_wholes() -> None:
    rng = np.random.default_rng(3)
    encode = Spans("steady", "encode", [], [], 30.0)
    decode = Spans("steady", "decode", [], [])
    now = 0
    for _ in range(80):
        for spans, mean, count in ((encode, 100e6, 1), (decode, 5e6, int(rng.integers(5, 60)))):
            for _ in range(count):
                spans.begin_ns.append(now)
                now += int(mean * np.exp(rng.normal(0, 0.01)))
                spans.end_ns.append(now)
    record = make_record(n=1, task="transcribe", spans=[encode, decode], blocks=[], telemetry=[])
    series = judged(record)
    assert series is not None
    assert series.phase == "encode"
    assert not severities(record)


@pytest.mark.parametrize("record", [make_record(n=59), llama_record(n=1), offline_record(n=10), whisper_record(n=2)])
def test_too_little_to_judge_is_a_note_and_no_pass(record: RunRecord) -> None:
    assert problems(record)["steadiness-unknown"].severity == "note"
    assert judge(record).status == "ok"


# ---------------------------------------------------------------------------------------------------- warm-up


def test_a_warm_up_that_reaches_into_the_steady_stage_is_a_warning_with_its_length() -> None:
    problem = problems(make_record(ramp=0.5, ramp_items=100))["warm-up-too-short"]
    assert problem.severity == "warning"
    assert "warmup_count" in problem.fix


def test_a_time_that_keeps_falling_has_no_plateau() -> None:
    found = severities(make_record(ramp=0.6, ramp_items=1500))
    assert found == {"no-plateau": "invalid"}


def test_a_late_step_down_is_drift_and_not_warm_up() -> None:
    found = severities(make_record(n=300, factors=(1.1,) * 200 + (1.0,) * 100))
    assert found == {"drift": "invalid"}


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(8, 60), st.floats(0.1, 2))
def test_the_end_of_a_step_shaped_warm_up_is_found(seed: int, length: int, size: float) -> None:
    log = np.random.default_rng(seed).normal(0, 0.01, 300)
    log[:length] += np.log1p(size)
    end, plateau = settled_at(log)
    assert plateau
    assert abs(end - length) <= 3


def test_a_long_series_is_judged_in_stretches_and_quickly() -> None:
    log = np.random.default_rng(5).normal(0, 0.01, 50_000)
    log[:5000] += 0.2
    end, plateau = settled_at(log)
    assert plateau
    assert abs(end - 5000) <= 100


# ---------------------------------------------------------------------------------------------------- drift


@pytest.mark.parametrize("make", [make_record, whisper_record, llama_record, offline_record])
def test_ten_per_cent_of_drift_is_found_in_every_task(make: Callable[..., RunRecord]) -> None:
    problem = problems(make(drift=0.1))["drift"]
    assert problem.severity == "invalid"
    assert "slower" in problem.what
    assert "°C" in problem.what


def test_of_several_clocks_a_drift_names_the_one_that_fell() -> None:
    record = make_record(drift=0.1)
    [telemetry] = record.telemetry
    half = len(telemetry.t_ns) // 2
    rows = [[*row, 2.112e9, 2.4e9 if i < half else 1.2e9] for i, row in enumerate(telemetry.rows)]
    more = [Channel(site, "frequency", "Hz", "die") for site in ("dram", "cpu4")]
    told = msgspec.structs.replace(record, telemetry=[msgspec.structs.replace(telemetry, channels=[*telemetry.channels, *more], rows=rows)])
    assert "clock cpu4 2.40 to 1.20 GHz" in problems(told)["drift"].what


def test_between_a_few_answers_drift_takes_more_and_is_a_warning() -> None:
    few = {"n": 3, "warmup": 0, "core": LONG_ANSWERS, "growth": 0.1}
    assert severities(llama_record(drift=0.12, **few)) == {"drift": "warning"}
    assert severities(llama_record(drift=0.02, **few)) == {}


def test_becoming_faster_is_drift_too() -> None:
    assert "faster" in problems(make_record(n=300, factors=(1.0,) * 200 + (0.9,) * 100))["drift"].what


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([-0.08, -0.06, 0.06, 0.08]))
def test_the_size_of_a_drift_is_reported_with_its_sign(seed: int, total: float) -> None:
    log = np.random.default_rng(seed).normal(0, 0.01, 200) + np.linspace(0, total, 200)
    found = drift(log)
    assert found is not None
    assert found / total == pytest.approx(0.8, abs=0.35)


def test_two_per_cent_of_drift_is_left_alone() -> None:
    found = [drift(np.random.default_rng(seed).normal(0, 0.01, 400) + np.linspace(0, 0.02, 400)) for seed in range(SERIES)]
    assert sum(one is not None for one in found) <= 0.02 * SERIES


# ---------------------------------------------------------------------------------------------------- two modes


def test_two_speeds_are_reported_with_their_shares_and_times() -> None:
    problem = problems(make_record(second_mode=0.2, second_share=0.3))["two-modes"]
    assert problem.severity == "warning"
    assert "20.0" in problem.what
    assert "24.0" in problem.what


def test_speeds_of_tokens_are_reported_as_ratios() -> None:
    found = problems(whisper_record(n=40, second_mode=0.2))["two-modes"]
    assert "times the usual" in found.what


def test_drift_is_not_called_two_modes() -> None:
    found = problems(make_record(n=300, factors=(1.0,) * 150 + (1.15,) * 150))
    assert "drift" in found
    assert "two-modes" not in found


@pytest.mark.parametrize(("n", "found_at_least"), [(60, 0.8), (200, 0.9), (700, 0.9)])
def test_two_modes_four_sigma_apart_are_found_as_often_as_stated(n: int, found_at_least: float) -> None:
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(SERIES):
        sd, gap, weight = rng.uniform(0.008, 0.03), np.log1p(rng.uniform(0.04, 0.3)), rng.uniform(0.15, 0.5)
        found += two_modes(rng.normal(0, sd, n) + (rng.random(n) < weight) * max(gap, 4 * sd)) is not None
    assert found >= found_at_least * SERIES


TAILS: dict[str, Callable[[np.random.Generator], Any]] = {
    "lognormal": lambda rng: rng.normal(0, rng.uniform(0.005, 0.04), 200),
    "exponential tail": lambda rng: np.log1p(rng.exponential(rng.uniform(0.02, 0.15), 200)) + rng.normal(0, 0.005, 200),
    "gamma": lambda rng: np.log1p(rng.gamma(2, rng.uniform(0.01, 0.05), 200)),
    "heavy tails": lambda rng: rng.standard_t(3, 200) * rng.uniform(0.005, 0.04),
    "bursts": lambda rng: rng.normal(0, 0.01, 200) + (rng.random(200) < 0.05) * np.log1p(rng.uniform(0.2, 1, 200)),
}


@pytest.mark.parametrize("name", TAILS)
def test_one_speed_with_any_tail_is_not_called_two(name: str) -> None:
    rng = np.random.default_rng(13)
    assert sum(two_modes(TAILS[name](rng)) is not None for _ in range(SERIES)) <= 0.01 * SERIES


@settings(max_examples=30)
@given(st.permutations(range(80)))
def test_two_modes_do_not_depend_on_the_order(order: list[int]) -> None:
    values = np.random.default_rng(2).normal(0, 0.01, 80) + np.repeat([0, 0.1], 40)
    assert two_modes(values[order]) == two_modes(values)


@pytest.mark.parametrize("values", [np.zeros(100), np.repeat([0.0, 1.0], 50), np.repeat([0.0, 0.1], 50), np.arange(5.0)])
def test_degenerate_series_are_no_error(values: Any) -> None:
    two_modes(values)
    correlation(values)


# ---------------------------------------------------------------------------------------------------- interference


@pytest.mark.parametrize(("share", "severity"), [(0.06, "warning"), (0.2, "invalid")])
@pytest.mark.parametrize("threads", [1, 4])
def test_bursts_are_a_warning_from_three_and_invalid_from_ten_per_cent(share: float, severity: str, threads: int) -> None:
    assert severities(make_record(bursts=share, threads=threads))["interference"] == severity


def test_one_burst_in_a_hundred_is_left_alone() -> None:
    assert severities(make_record(bursts=0.01)) == {}


def test_a_run_that_shared_its_cpu_all_the_time_is_found_by_its_cpu_time_alone() -> None:
    record = make_record(bursts=1.0, burst_size=0.6)
    assert severities(record)["cpu-lost"] == "invalid"
    assert "cpu-lost" not in severities(make_record(bursts=1.0, threads=4))


@pytest.mark.parametrize("offload", [{"npu": {"nodes": 80.0}, "cpu": {"nodes": 2.0}}, {"cuda": {"nodes": 80.0}}])
def test_a_process_that_waits_for_an_accelerator_has_lost_nothing(offload: dict[str, dict[str, float]]) -> None:
    record = make_record(offload=offload)
    waiting = [msgspec.structs.replace(one, cpu_ns=[ns // 10 for ns in one.cpu_ns]) for one in record.blocks]
    assert severities(msgspec.structs.replace(record, blocks=waiting)) == {}


def test_where_the_runtime_does_not_say_where_it_ran_lost_time_needs_a_witness() -> None:
    record = make_record(offload={})
    waiting = [msgspec.structs.replace(one, cpu_ns=[ns // 2 for ns in one.cpu_ns]) for one in record.blocks]
    assert severities(msgspec.structs.replace(record, blocks=waiting)) == {}
    seen = [msgspec.structs.replace(one, switches=[1] * len(one.cpu_ns)) for one in waiting]
    assert severities(msgspec.structs.replace(record, blocks=seen)) == {"cpu-lost": "invalid"}


def test_a_slower_speed_is_not_interference_but_waiting_in_it_is() -> None:
    clocks = severities(make_record(second_mode=0.28, second_share=0.3))
    assert clocks == {"two-modes": "warning"}
    waited = severities(make_record(n=300, bursts=0.3, burst_size=0.28, spread=0.01))
    assert waited["interference"] == "invalid"


def test_pressure_speaks_where_cpu_time_cannot() -> None:
    assert severities(make_record(threads=4, pressure=0.3)) == {"cpu-pressure": "warning"}
    assert severities(make_record(threads=1, pressure=0.3)) == {}
    assert severities(make_record(threads=4, pressure=0.05)) == {}
    busy = {"psi": {"cpu": {"some_avg10": 0.4}}}
    assert severities(with_state(after=busy, threads=4, telemetry=[])) == {"cpu-pressure": "warning"}


def test_time_that_the_hypervisor_took_is_a_warning() -> None:
    assert severities(with_state(after={"steal_s": 3.0})) == {"cpu-stolen": "warning"}
    assert severities(with_state(after={"steal_s": 0.1})) == {}


def test_preemptions_are_information() -> None:
    assert problems(make_record(bursts=0.2))["preempted"].severity == "note"
    assert "preempted" not in problems(make_record())


def test_items_that_resemble_their_neighbours_are_a_note() -> None:
    assert problems(make_record(correlation=0.8))["items-not-independent"].severity == "note"
    assert "items-not-independent" not in problems(make_record())


# ---------------------------------------------------------------------------------------------------- memory


def with_faults(blocks: int = 50) -> RunRecord:
    record = make_record()
    faulty = [
        msgspec.structs.replace(one, faults=[7] * blocks + [0] * (len(one.faults) - blocks)) if one.stage == "steady" else one
        for one in record.blocks
    ]
    return msgspec.structs.replace(record, blocks=faulty)


def test_pages_read_from_disk_while_the_clock_ran_are_a_warning() -> None:
    assert severities(with_faults(50)) == {"page-faults": "warning"}
    assert severities(with_faults(2)) == {}


def test_swap_that_grew_is_a_warning_and_swap_that_was_there_is_not() -> None:
    assert severities(with_state(after={"swap_used_bytes": 64 * 2**20})) == {"swap": "warning"}
    full = {"swap_used_bytes": 10**9}
    assert severities(with_state(before=full, after=full)) == {}


# ---------------------------------------------------------------------------------------------------- clocks


def test_a_throttle_counter_that_rose_makes_the_run_invalid() -> None:
    record = with_state(after={"throttle_counts": {"cpu0/core": 5, "cpu0/package": 0}})
    assert severities(record) == {"throttled": "invalid"}
    assert "cpu0/core throttled 2 times" in problems(record)["throttled"].what


def test_a_counter_that_appears_only_afterwards_is_unknown() -> None:
    assert severities(with_state(before={"throttle_counts": {}})) == {}


@pytest.mark.parametrize(
    ("name", "found"), [("Processor#0", True), ("thermal-cpufreq-0#0", True), ("thermal-devfreq-1#0", True), ("LCD#0", False), ("pwm-fan#0", False)]
)
def test_a_cooling_device_counts_if_it_slows_a_processor(name: str, found: bool) -> None:
    record = with_state(before={"cooling": {name: 0}}, after={"cooling": {name: 3}})
    assert severities(record) == ({"throttled": "warning"} if found else {})


@pytest.mark.parametrize(("values", "found"), [([0.0, 0.0], False), ([7.0, 7.0], False), ([0.0, 1.0], True), ([7.0, 9.0], True), ([1.0, 1.0], True)])
def test_a_throttle_channel_that_rises_or_stands_up_is_heard(values: list[float], found: bool) -> None:
    record = make_record()
    telemetry = record.telemetry[0]
    half = len(telemetry.t_ns) // 2
    rows: list[list[float | None]] = [[values[0] if i < half else values[1]] for i in range(len(telemetry.t_ns))]
    channel = Channel("hot", "throttle", "1", "die")
    heard = changed(record, channels=[channel], rows=rows)
    assert severities(heard) == ({"throttled": "invalid"} if found else {})


def test_a_pinned_policy_that_ran_below_its_highest_clock_was_held_down() -> None:
    before, after = {"2000000000": 5.0, "2400000000": 100.0}, {"2000000000": 15.0, "2400000000": 120.0}
    held = with_state(before={"time_in_state": {"policy0": before}}, after={"time_in_state": {"policy0": after}})
    assert severities(held) == {"throttled": "warning"}
    free = {"governors": {"policy0": "schedutil"}, "time_in_state": {"policy0": after}}
    assert "throttled" not in severities(with_state(before={"time_in_state": {"policy0": before}}, after=free))


def test_clocks_that_were_pinned_for_the_run_are_pinned() -> None:
    assert severities(with_state(before={"governors": {"policy0": "schedutil"}})) == {}


def test_a_governor_that_follows_the_load_is_a_warning_that_names_the_command() -> None:
    record = with_state(after={"governors": {"policy0": "performance", "policy4": "schedutil"}})
    problem = problems(record)["clocks-unpinned"]
    assert "policy4 schedutil" in problem.what
    assert "policy0" not in problem.what
    assert "cpupower" in problem.fix


def test_a_virtual_machine_without_clocks_gets_a_note() -> None:
    bare = make_state(governors={})
    record = make_record(environment={"before": bare, "after": bare, "board": {"virtual_machine": "kvm"}})
    problem = problems(record)["clocks-unknown"]
    assert problem.severity == "note"
    assert "kvm" in problem.what


def test_a_weak_supply_is_a_warning() -> None:
    assert severities(with_state(after={"undervoltage": True})) == {"under-voltage": "warning"}
    assert severities(with_state(after={"undervoltage": False})) == {}


KEYS = sorted(make_state())


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_what_a_board_does_not_say_is_never_an_alarm(unsaid: set[str], unsaid_after: set[str]) -> None:
    before = {key: value for key, value in make_state().items() if key not in unsaid}
    after = {key: value for key, value in make_state().items() if key not in unsaid_after}
    record = make_record(n=60, environment={"before": before, "after": after})
    assert severities(record) == {}


# ---------------------------------------------------------------------------------------------------- samples


def test_too_few_samples_for_a_percentile_are_a_note_that_says_how_many_it_takes() -> None:
    problem = problems(make_record(n=120))["too-few-samples"]
    assert problem.severity == "note"
    assert "p99" in problem.what
    assert "662" in problem.fix
    assert problem.spoils == ["latency_p99"]


def test_offline_needs_no_percentiles() -> None:
    assert "too-few-samples" not in problems(offline_record())


def test_threads_that_were_not_stated_are_not_assumed_to_be_one() -> None:
    record = make_record(bursts=1.0, settings={"threads": Setting(None, "default")})
    assert "cpu-lost" not in problems(record)
