"""Checks of telemetry and of what a run stands on: each fires on its fault and stays silent on sound runs that look a little like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from harness.checks import judge
from harness.checks.sensors import finest
from harness.metrics import metrics
from harness.record import Channel, Problem, RunRecord
from tests.readings import changed, reason, rewritten, value
from tests.records import RAIL, RAPL, WALL, make_record, make_state

if TYPE_CHECKING:
    from collections.abc import Callable

CODES = {
    "telemetry-clock-stepped", "sampler-overloaded", "sampling-gap", "sensor-vanished", "missed-reads",
    "sensor-frozen", "negative-power", "unit-jump",
    "emulated", "not-pinned", "clocks-moved", "over-current",
}  # fmt: skip
OVERCURRENT = Channel("oc3 instantaneous over-current", "throttle", "1", "module")


def problems(record: RunRecord) -> dict[str, Problem]:
    """Those of these checks, by code."""
    return {one.code: one for one in judge(record).problems if one.code in CODES}


def metered(**options: Any) -> RunRecord:
    return make_record(**{"meters": (RAIL,), **options})


def surroundings(**options: Any) -> RunRecord:
    """A record with more in its environment."""
    record = make_record()
    return msgspec.structs.replace(record, environment={**record.environment, **options})


def with_counter(values: Callable[[int], float], channel: Channel = OVERCURRENT) -> RunRecord:
    """With one more channel."""
    record = make_record()
    telemetry = record.telemetry[0]
    return changed(record, channels=[*telemetry.channels, channel], rows=[[*row, values(i)] for i, row in enumerate(telemetry.rows)])


ROWS = len(metered().telemetry[0].rows)
FAULTS: dict[str, Callable[[], RunRecord]] = {
    "telemetry-clock-stepped": lambda: changed(metered(), t_ns=[t - 10**9 * (i > 80) for i, t in enumerate(metered().telemetry[0].t_ns)]),
    "sampler-overloaded": lambda: changed(metered(hertz=5.0), hertz=10.0),
    "sampling-gap": lambda: changed(
        metered(),
        t_ns=[t for i, t in enumerate(metered().telemetry[0].t_ns) if not 60 <= i < 70],
        rows=[row for i, row in enumerate(metered().telemetry[0].rows) if not 60 <= i < 70],
    ),
    "sensor-vanished": lambda: rewritten(metered(), lambda i, one: one if i < 90 else None),
    "missed-reads": lambda: rewritten(metered(), lambda i, one: one if i % 4 else None),
    "sensor-frozen": lambda: rewritten(metered(), lambda i, one: one if i < 60 else 12.034),
    "negative-power": lambda: rewritten(metered(), lambda _i, one: -one),
    "unit-jump": lambda: rewritten(metered(), lambda i, one: one * 1000 if i > 90 else one),
    "emulated": lambda: surroundings(board={"emulated": "aarch64 is emulated by a program for x86_64"}),
    "not-pinned": lambda: surroundings(pin={"problems": [{"what": "the governor of policy0 stayed schedutil", "fix": "log in as root"}]}),
    "clocks-moved": lambda: rewritten(make_record(), lambda i, one: one if i < 90 else 1.8e9, column=1),
    "over-current": lambda: with_counter(lambda i: 7.0 + i // 20),
}


@pytest.mark.parametrize("code", FAULTS)
def test_each_fault_is_found_and_said_with_its_reason_and_its_remedy(code: str) -> None:
    found = problems(FAULTS[code]())
    assert set(found) == {code}
    problem = found[code]
    assert problem.what
    assert problem.why
    assert problem.fix
    assert set(problem.spoils) <= {one.id for one in metrics()} | {"*"}
    assert problem.spoils


def test_every_code_of_these_checks_has_a_fault_that_shows_it() -> None:
    assert set(FAULTS) == CODES


SOUND: dict[str, Callable[[], RunRecord]] = {
    "plain": metered,
    "counter": lambda: metered(meters=(RAPL,)),
    "slow wall meter": lambda: metered(meters=(WALL,), hertz=1.0, n=3500),
    "five failed reads in a hundred": lambda: metered(missed=0.05),
    "even intervals": lambda: metered(dither=0.0),
    "an idle window": lambda: metered(idle=12.0),
    "a plug that shows whole watts": lambda: rewritten(metered(), lambda _i, one: round(one)),
    "a sensor with steps of 5 % of the load": lambda: coarse(0.6),
    "a rail that is switched off": lambda: rewritten(metered(meters=(msgspec.structs.replace(RAIL, scope="rail"),)), lambda _i, _one: 0.0),
    "a rail that is switched on and off": lambda: rewritten(
        metered(meters=(msgspec.structs.replace(RAIL, scope="rail"),)), lambda i, _one: 4.0 + 0.01 * (i % 7) if i % 2 else 0.004
    ),
    "noise around nothing": lambda: rewritten(
        metered(meters=(msgspec.structs.replace(RAIL, scope="rail", quantum=0.04),)), lambda i, _one: (-0.04, 0.0, 0.04)[i % 3]
    ),
    "a load that is ten times the idle power": lambda: metered(idle=12.0, idle_watts=0.9),
    "fine steps and an even load": lambda: rewritten(metered(), lambda _i, one: round(one / 0.04) * 0.04),
    "a counter of the supply that stood": lambda: with_counter(lambda _i: 7.0),
    "a clock that a governor moves": lambda: msgspec.structs.replace(
        rewritten(make_record(), lambda i, one: one if i < 90 else 1.8e9, column=1),
        environment={"before": make_state(), "after": make_state(governors={"cpu0": "schedutil"})},
    ),
    "a clock with odd readings": lambda: rewritten(make_record(), lambda i, one: 1.2e9 if i % 9 == 0 else one, column=1),
    "pinned": lambda: surroundings(pin={"requested": {"cpu": "performance"}, "problems": []}, board={"emulated": ""}),
}


def coarse(step: float) -> RunRecord:
    """A sensor whose step is known and large."""
    record = metered(meters=(msgspec.structs.replace(RAIL, quantum=step),))
    return rewritten(record, lambda _i, one: round(one / step) * step)


@pytest.mark.parametrize("name", SOUND)
def test_sound_runs_raise_no_alarm(name: str) -> None:
    assert problems(SOUND[name]()) == {}


@pytest.mark.parametrize("seed", range(12))
def test_noise_of_any_make_raises_no_alarm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, step = float(rng.uniform(0.02, 4)), float(rng.choice([0.001, 0.01, 0.1]))
    levels = [max(0.1, round((12 + float(one)) / step) * step) for one in rng.standard_t(4, ROWS) * size]
    assert problems(rewritten(metered(), lambda i, _one: levels[i])) == {}


def test_a_sensor_that_never_moved_from_loading_to_measuring_is_frozen() -> None:
    assert "VDD_IN stood at 12" in problems(rewritten(metered(), lambda _i, _one: 12.034))["sensor-frozen"].what
    assert "stood" in problems(rewritten(metered(meters=(msgspec.structs.replace(RAIL, quantum=0.04),)), lambda _i, _one: 12.0))["sensor-frozen"].what


def test_a_counter_that_stands_is_frozen() -> None:
    assert "sensor-frozen" in problems(rewritten(metered(meters=(RAPL,)), lambda _i, _one: 71.5))


@pytest.mark.parametrize(("reading", "step"), [(12.0, 1), (4.85, 0.01), (5.034, 0.001), (50.0, 10)])
def test_the_finest_step_of_a_sensor_is_guessed_from_what_it_reads(reading: float, step: float) -> None:
    assert finest(RAIL, reading) == pytest.approx(step)


def test_faults_of_power_spoil_energy_and_leave_latency_alone() -> None:
    for code in ("telemetry-clock-stepped", "sensor-frozen", "negative-power", "unit-jump", "sampling-gap", "sensor-vanished", "missed-reads"):
        problem = problems(FAULTS[code]())[code]
        assert problem.severity == "warning"
        assert "energy_per_item" in problem.spoils
        assert "latency_p50" not in problem.spoils
        assert judge(FAULTS[code]()).status == "ok"


def test_a_thermometer_that_went_away_is_a_note_and_spoils_nothing() -> None:
    found = problems(rewritten(make_record(), lambda i, one: one if i < 90 else None, column=0))
    assert found["sensor-vanished"].severity == "note"
    assert found["sensor-vanished"].spoils == []
    assert "package (temperature)" in found["sensor-vanished"].what


def test_a_sensor_that_was_never_read_has_not_vanished() -> None:
    assert set(problems(rewritten(metered(), lambda _i, _one: None))) == {"missed-reads"}


def test_an_emulated_run_is_invalid_and_spoils_every_figure() -> None:
    record = judge(FAULTS["emulated"]())
    assert record.status == "invalid"
    assert problems(FAULTS["emulated"]())["emulated"].spoils == ["*"]
    assert "emulated by a program" in record.reason


def test_what_could_not_be_pinned_is_told_with_the_boards_own_fix() -> None:
    problem = problems(FAULTS["not-pinned"]())["not-pinned"]
    assert problem.severity == "warning"
    assert "policy0 stayed schedutil" in problem.what
    assert problem.fix == "log in as root"


def test_events_of_the_supply_are_counted_in_the_steady_stage_alone() -> None:
    assert "events" in problems(FAULTS["over-current"]())["over-current"].what
    assert problems(with_counter(lambda i: 7.0 if i > 3 else 2.0)) == {}


def test_no_figure_comes_from_a_sensor_whose_unit_jumped() -> None:
    record = FAULTS["unit-jump"]()
    assert reason(record, "energy_per_item")
    assert value(record, "latency_min", "infer")
