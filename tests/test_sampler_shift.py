"""What reading the sensors cost: known costs are found, none is found where there is none, and too little is said to be too little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.sampler import METRICS
from harness.quantity import Quantity
from harness.record import Channel, RunRecord, Spans, Telemetry
from tests.records import make_record

READ_NS = 200_000
PERIOD_NS = 100_000_000


def record(cost: float, item_ns: int = 2_000_000, seconds: float = 60.0, *, offset: int = 0, seed: int = 1) -> RunRecord:
    """A run of items with 1 % of noise; one that a read of the sensors falls into takes longer by the share `cost`."""
    rng = np.random.default_rng(seed)
    reads = np.arange(0, int(seconds * 1e9), PERIOD_NS) + rng.integers(0, PERIOD_NS // 2)
    begins, ends, now = [], [], 0
    while now < seconds * 1e9:
        took = int(item_ns * rng.normal(1, 0.01))
        at = int(np.searchsorted(reads, now - READ_NS))
        if at < len(reads) and reads[at] <= now + took + READ_NS:
            took = int(took * (1 + cost))
        begins.append(now)
        ends.append(now + took)
        now += took + 1000
    channel = Channel("cpu", "temperature", "°C", "die")
    stamps = [int(one) - offset for one in reads]
    telemetry = Telemetry("board:test", 10.0, [channel], stamps, [[40.0]] * len(reads), [], clock_offset_ns=offset, read_error_ns=READ_NS)
    return make_record(spans=[Spans("steady", "infer", begins, ends)], telemetry=[telemetry])


def shift(run: RunRecord) -> Quantity:
    return METRICS[0].compute(run)["infer"]


@pytest.mark.parametrize("cost", [0.0, 0.05, 0.5])
def test_a_known_cost_is_found_in_proportion_to_the_spans_it_falls_into(cost: float) -> None:
    found = shift(record(cost))
    share = (2 * READ_NS + 2_000_000) / PERIOD_NS  # of the time, a span has begun and not ended around a read
    assert found.value == pytest.approx(share * cost, abs=0.2 * share * cost + 0.0003)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= share * cost * 1.2 + 0.0003
    assert found.high >= share * cost * 0.8 - 0.0003


@given(st.integers(0, 10_000))
def test_without_a_cost_the_bounds_hold_zero(seed: int) -> None:
    found = shift(record(0.0, item_ns=20_000_000, seconds=20.0, seed=seed))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 0 <= found.high


def test_the_clock_of_the_sensors_is_brought_to_that_of_the_spans() -> None:
    assert shift(record(0.5, offset=10**15)).value == pytest.approx(shift(record(0.5)).value)


def test_where_a_read_falls_into_every_span_there_is_no_figure_and_the_reason_says_so() -> None:
    found = shift(record(0.1, item_ns=300_000_000))
    assert found.value is None
    assert "a read fell into" in found.reason


def test_a_meter_off_the_board_is_no_load_on_it() -> None:
    run = record(0.5)
    plug = Telemetry("shelly", 1.0, run.telemetry[0].channels, run.telemetry[0].t_ns, run.telemetry[0].rows, [], read_error_ns=READ_NS)
    found = METRICS[0].compute(make_record(spans=run.spans, telemetry=[plug]))[""]
    assert found.value is None
    assert "no sensors were read" in found.reason
