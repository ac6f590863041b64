"""The sampler on a board, over its link, reading power through a /sys that answers: a known curve, and each fault of a sensor."""

from __future__ import annotations

import errno
import math
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from harness.checks.sensors import stands_still
from harness.measure import clocks
from harness.measure.hold import load
from harness.metrics.integral import Doubt, of_samples
from harness.metrics.power import negative, unit_jump
from harness.record import Channel
from harness.spec import Zoo
from tests.lab import until
from tests.ssh_lab.fuse import LiveSys
from tests.ssh_lab.namespace import LAB
from tests.ssh_lab.trees import INA3221, ORIN_NX
from tests.ssh_lab.work import Held, holding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.measure.link import Agent
    from tests.ssh_lab.conftest import Lab

HERTZ = 20.0
SECONDS = 60.0
MONITOR = INA3221.removeprefix("sys/")
CURRENT = f"{MONITOR}/curr1_input"
ZONE = "class/thermal/thermal_zone0/temp"
"""Read in each row, whatever becomes of the power sensor."""
VOLTS = 5.04


def watts(t: float) -> float:
    """The module's power at a moment of this machine's clock [s]: 5 W, and 2 W up and down in three seconds."""
    return 5.0 + 2.0 * math.sin(2 * math.pi * t / 3.0)


def joules(begin: float, end: float) -> float:
    """Its energy between two moments."""
    turn = 2 * math.pi / 3.0
    return 5.0 * (end - begin) + 2.0 / turn * (math.cos(turn * begin) - math.cos(turn * end))


@pytest.fixture(scope="module")
def live(lab: Lab) -> Iterator[LiveSys]:
    with LiveSys(LAB / "live", ORIN_NX) as found:
        board = lab.board("live", ORIN_NX, live=found.at)
        yield found
        lab.scrap(board)


@pytest.fixture
def held(lab: Lab, live: LiveSys) -> Iterator[Held]:
    live.heal()
    live.set(CURRENT, lambda: str(round(watts(time.monotonic()) / VOLTS * 1000)))
    with holding(lab.boards["live"]) as found:
        yield found


class Sampled:
    """What a sampler brought home."""

    def __init__(self, found: dict[str, Any], t_ns: list[int], rows: list[list[float | None]]) -> None:
        self.found, self.t_ns, self.rows = found, t_ns, rows
        self.channels = msgspec.convert(found["channels"], list[Channel])

    def column(self, site: str) -> tuple[Channel, list[float | None]]:
        """A power channel, and what it read."""
        [at] = [number for number, one in enumerate(self.channels) if (one.kind, one.site) == ("power", site)]
        return self.channels[at], [row[at] for row in self.rows]

    def values(self, site: str = "VDD_IN") -> list[float]:
        return [value for value in self.column(site)[1] if value is not None]


def sampled(held: Held, live: LiveSys, reads: int, *turns: Callable[[], None]) -> Sampled:
    """Sample the Jetson's sensors: `reads` rows, then a turn of events, and so on."""
    t_ns: list[int] = []
    rows: list[list[float | None]] = []

    def keep(event: dict[str, Any]) -> None:
        t_ns.extend(event["t_ns"])
        rows.extend(event["rows"])

    with held.link.start(1) as agent:
        load(held.link, agent, Zoo().halves("boards", "jetson"))
        agent.begin("sample", hertz=HERTZ, pid=0)
        agent.wait("sampling", SECONDS)
        for turn in turns:
            _read(live, reads)
            turn()
        _read(live, reads)
        agent.begin("close")
        return Sampled(_finished(agent, keep), t_ns, rows)


def _read(live: LiveSys, times: int) -> None:
    wanted = live.asked(ZONE) + times
    until(lambda: live.asked(ZONE) >= wanted, "the sensors to be read")


def _finished(agent: Agent, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    found = agent.finish(SECONDS, keep)
    agent.finish(SECONDS)
    return found


def test_the_energy_of_a_known_curve_is_found_within_one_per_cent_across_both_clocks(held: Held, live: LiveSys) -> None:
    with held.link.start(1) as worker:
        clocks.read(worker)  # the first answer of an agent may be late
        before = time.monotonic()
        there = clocks.read(worker)
        here = (before + time.monotonic()) / 2
    found = sampled(held, live, 100)
    t = np.array(found.t_ns) / 1e9
    assert t[0] - there.clock_ns / 1e9 > 0, "stamps are of the board's clock"
    assert abs(there.clock_ns / 1e9 - here) > 60, "which is another than ours"
    begin, end = t[2], t[-3]
    mean = of_samples(t - begin, np.array(found.values()), end - begin, Doubt(1 / HERTZ))
    shift = here - there.clock_ns / 1e9
    truth = joules(begin + shift, end + shift)
    assert mean.watts * (end - begin) == pytest.approx(truth, rel=0.01)
    assert [one["scope"] for one in found.found["channels"] if one["kind"] == "power"] == ["module", "rail", "rail"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENODATA, errno.EAGAIN])
def test_a_read_that_fails_is_missing_and_the_others_and_the_next_are_not(held: Held, live: LiveSys, code: int) -> None:
    found = sampled(held, live, 10, lambda: live.fail(CURRENT, code), live.heal)
    _, values = found.column("VDD_IN")
    missed = [number for number, value in enumerate(values) if value is None]
    assert len(missed) >= 9
    assert missed == list(range(missed[0], missed[-1] + 1)), "one stretch, and readings before and after it"
    assert 0 < missed[0] <= missed[-1] < len(values) - 1
    assert None not in found.column("VDD_SOC")[1]


def test_a_sensor_that_vanishes_is_missing_from_then_on(held: Held, live: LiveSys) -> None:
    found = sampled(held, live, 10, lambda: live.vanish(MONITOR))
    _, values = found.column("VDD_IN")
    gone = values.index(None)
    assert gone >= 9
    assert set(values[gone:]) == {None}
    zone = next(number for number, one in enumerate(found.channels) if one.kind == "temperature")
    assert None not in [row[zone] for row in found.rows]


def test_a_sensor_that_is_slow_to_read_is_said_to_be_and_delays_only_itself(held: Held, live: LiveSys) -> None:
    live.delay(CURRENT, 0.5)
    found = sampled(held, live, 4)
    assert found.found["read_error_ns"] >= 0.25e9, "half of what the slowest row took"
    assert all(later - earlier >= 0.5e9 for earlier, later in zip(found.t_ns[:3], found.t_ns[1:4], strict=True))


def test_a_value_that_stands_still_is_seen(held: Held, live: LiveSys) -> None:
    found = sampled(held, live, 60, lambda: live.set(CURRENT, 1234))
    channel, _ = found.column("VDD_IN")
    everything = found.values()
    assert everything[-1] == pytest.approx(1.234 * VOLTS)
    assert stands_still(channel, everything, everything)
    moved = everything[: everything.index(everything[-1])]
    assert not stands_still(channel, moved, moved)


def test_a_negative_value_is_kept_as_it_is_and_seen(held: Held, live: LiveSys) -> None:
    found = sampled(held, live, 10, lambda: live.set(CURRENT, -500))
    channel, _ = found.column("VDD_IN")
    assert negative(channel, found.values()) == pytest.approx(-0.5 * VOLTS)


def test_a_change_of_unit_is_kept_as_it_is_and_seen(held: Held, live: LiveSys) -> None:
    found = sampled(held, live, 20, lambda: live.set(CURRENT, lambda: str(round(watts(time.monotonic()) / VOLTS * 1e6))))
    assert unit_jump(found.values()) == 1000
    assert unit_jump(sampled(held, live, 20).values()) is None
