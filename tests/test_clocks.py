"""Comparing two clocks: the true offset always lies within the stated error, however uneven the way is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure import clocks
from harness.measure.link import Local

if TYPE_CHECKING:
    from collections.abc import Sequence


class Far:
    """An agent whose clock is ahead by `ahead` [ns], behind a way whose delays there and back [ns] are given."""

    def __init__(self, ahead: int, delays: Sequence[tuple[int, int]]) -> None:
        self.ahead, self.delays, self.now = ahead, list(delays), 10**15

    def ask(self, verb: str, timeout: float, on_event: object = None, **arguments: Any) -> dict[str, Any]:
        """The clock."""
        del timeout, on_event
        assert (verb, arguments) == ("clock", {})
        there, back = self.delays.pop(0)
        self.now += there
        answer = {"clock_ns": self.now + self.ahead, "pid": 7}
        self.now += back
        return answer

    begin = wait = finish = stderr = NotImplemented


DELAY = st.integers(0, 10**9)


@given(st.integers(-(10**15), 10**15), st.lists(st.tuples(DELAY, DELAY), min_size=3, max_size=3))
def test_the_true_offset_lies_within_the_error_however_uneven_the_way(ahead: int, delays: list[tuple[int, int]]) -> None:
    far = Far(ahead, delays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter_ns", lambda: far.now)
        found = clocks.read(far, 3)
    assert abs(found.ahead_ns - ahead) <= found.error_ns
    assert found.error_ns <= (min(sum(one) for one in delays) + 1) // 2, "of several exchanges the quickest counts"
    assert found.pid == 7


@given(st.integers(-(10**9), 10**9), st.integers(-(10**7), 10**7), st.integers(0, 10**6), st.floats(0, 1))
def test_between_two_comparisons_drift_stays_within_the_error(ahead: int, drift: int, error: int, when: float) -> None:
    begin = clocks.Reading(ahead + error // 2, error, 0, 0, 1)
    end = clocks.Reading(ahead + drift - error // 3, error, 10**9, 10**9, 1)
    offset, off = clocks.between(begin, end)
    assert abs(offset - (ahead + drift * when)) <= off + 1


def test_a_process_of_this_machine_reads_the_same_clock() -> None:
    with Local().start(1) as agent:
        found = clocks.read(agent)
        assert abs(found.ahead_ns) <= found.error_ns
        assert abs(found.unix_ns - time.time_ns()) < 60e9
        assert found.pid == agent.ask("hello", 60.0)["pid"]
