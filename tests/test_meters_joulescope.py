"""Joulescope: what we ask of its driver and make of its statistics. The driver here is a stand-in; no instrument was read by these tests."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from harness.measure.meters import open_meter
from harness.measure.meters._polled import clock
from tests.meter_fakes import refusal


class Driver:
    """The calls of pyjoulescope_driver.Driver that are used; `value` has the fields of its documented statistics."""

    paths: ClassVar[list[str]] = ["u/js220/001234"]

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.listener: Any = None
        Driver.last = self

    last: Driver

    def device_paths(self) -> list[str]:
        return self.paths

    def open(self, path: str) -> None:
        if self.paths == ["u/js220/busy"]:
            raise TimeoutError("jsdrv_open timed out")
        self.calls.append(("open", path))

    def publish(self, topic: str, value: Any) -> None:
        self.calls.append((topic.partition("/s/")[2], value))

    def subscribe(self, _topic: str, _flags: str, listener: Any) -> None:
        self.listener = listener

    def unsubscribe(self, _topic: str, listener: Any) -> None:
        assert listener is self.listener  # the real driver looks for the same object
        self.listener = None

    def close(self, path: str) -> None:
        self.calls.append(("close", path))

    def finalize(self) -> None:
        self.calls.append(("finalize",))

    def say(self, begin: float, end: float, watts: float) -> None:
        signals = {"power": {"avg": {"value": watts, "units": "W"}}}
        self.listener("u/js220/001234/s/stats/value", {"time": {"range": {"value": [begin, end], "units": "s"}}, "signals": signals})


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module
    fake = SimpleNamespace(Driver=Driver)
    monkeypatch.setattr(importlib, "import_module", lambda name: fake if name == "pyjoulescope_driver" else real(name))
    monkeypatch.setattr(Driver, "paths", ["u/js220/001234"])


def test_the_mean_power_of_each_interval_is_stamped_in_its_middle() -> None:
    with open_meter("joulescope://?hertz=1") as meter:
        meter.begin()
        before = clock()
        for i in range(5):
            Driver.last.say(100.0 + i, 101.0 + i, 2.0 + i)
        after = clock()
        found = meter.end()
    assert [row[0] for row in found.rows] == [2.0, 3.0, 4.0, 5.0, 6.0]
    steps = {b - a for a, b in zip(found.t_ns, found.t_ns[1:], strict=False)}
    assert steps == {10**9}
    # all five came at once: only the quickest, the last, can be right, and the others say by how much they were late
    assert before - 10**9 <= found.t_ns[-1] + 5 * 10**8 - 10**9 <= after
    assert found.clock_error_ns == pytest.approx(4e9, abs=after - before + 1)
    assert found.instrument == "joulescope:js220-001234"
    assert meter.channels[0].scope == "board"


def test_what_comes_outside_a_session_is_dropped() -> None:
    with open_meter("joulescope://001234") as meter:
        Driver.last.say(0.0, 0.1, 1.0)
        meter.begin()
        Driver.last.say(0.1, 0.2, 2.0)
        assert meter.end().rows == [[2.0]]
        Driver.last.say(0.2, 0.3, 3.0)
        assert meter.end().rows == []


def test_a_value_that_is_no_number_is_none() -> None:
    with open_meter("joulescope://") as meter:
        meter.begin()
        Driver.last.say(0.0, 0.1, float("nan"))
        assert meter.end().rows == [[None]]


def test_an_instrument_that_falls_silent_is_absent() -> None:
    with open_meter("joulescope://?hertz=1000") as meter:
        meter.begin()
        begun = clock()
        while clock() < begun + 5_000_000:
            pass
        assert "nothing from the Joulescope" in meter.end().absent[0].reason


@pytest.mark.parametrize(("path", "rate"), [("u/js220/001234", 100_000), ("u/js110/001234", 200_000), ("u/js320/8w2a", 100_000)])
def test_each_model_is_told_its_rate_and_left_as_it_was_found(monkeypatch: pytest.MonkeyPatch, path: str, rate: int) -> None:
    monkeypatch.setattr(Driver, "paths", [path])
    with open_meter("joulescope://"):
        assert ("stats/scnt", rate) in Driver.last.calls
    assert Driver.last.listener is None
    assert Driver.last.calls[-3:] == [("stats/ctrl", "off" if "js110" in path else 0), ("close", path), ("finalize",)]


def test_no_instrument_several_and_a_busy_one_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Driver, "paths", [])
    assert "The driver sees none" in refusal("joulescope://").what
    monkeypatch.setattr(Driver, "paths", ["u/js220/1", "u/js110/2"])
    assert "The driver sees u/js220/1, u/js110/2" in refusal("joulescope://").what
    monkeypatch.setattr(Driver, "paths", ["u/js220/busy"])
    assert "the Joulescope driver: jsdrv_open timed out" in refusal("joulescope://").what
    assert Driver.last.calls[-1] == ("finalize",)
