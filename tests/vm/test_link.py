"""The link to a machine whose kernel delays and loses packets, that is reset, and that stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import cache
from harness.errors import Stable
from harness.measure import clocks
from harness.measure.ssh import Ssh, channel
from tests.lab import until

if TYPE_CHECKING:
    from pathlib import Path

    from harness.measure.link import Agent
    from tests.vm.machine import Machine

SECONDS = 120.0
HALF = """
import os, time

def probe():
    open("/dev/shm/begun", "w").close()
    while not os.path.exists("/dev/shm/go"):
        time.sleep(0.05)
    for name in ("begun", "go"):
        os.unlink("/dev/shm/" + name)
    return {"numbers": list(range(30000))}
"""
"""Work that goes on until it is let, and an answer long enough to be cut in pieces."""
ANSWER = {"numbers": list(range(30000))}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut is noticed sooner than in earnest."""
    monkeypatch.setattr(channel, "BEAT_S", 1.0)
    monkeypatch.setattr(channel, "SILENT_S", 6.0)


def ready(link: Ssh, agent: Agent, folder: Path) -> None:
    """Load HALF."""
    path = folder / "half.py"
    path.write_text(HALF)
    [there] = link.put([path])
    agent.ask("load", SECONDS, role="runtime", path=there, sha256=cache.sha256(path))


def await_begun(vm: Machine) -> None:
    until(lambda: vm.run("test -e /dev/shm/begun", check=False).returncode == 0, "the work to begin", SECONDS)


def go(vm: Machine) -> None:
    vm.run("touch /dev/shm/go")


def test_a_delay_on_one_way_makes_the_clocks_less_certain_and_what_is_said_of_them_stays_true(vm: Machine, tmp_path: Path) -> None:
    link = Ssh(vm.name)
    with link.hold(), link.start(1) as agent:
        near = clocks.read(agent, 30)
        with vm.weather("delay", "100ms", "20ms"):  # what it sends takes 80 ms to 120 ms longer, what it gets does not
            far = clocks.read(agent)
            ready(link, agent, tmp_path)
            agent.begin("probe")
            await_begun(vm)
            go(vm)
            assert agent.finish(SECONDS)["runtime"] == ANSWER
        assert near.error_ns < far.error_ns
        assert far.error_ns >= 40e6, "half of the least round trip"
        assert abs(far.ahead_ns - near.ahead_ns) <= far.error_ns + near.error_ns, "both are of the same two clocks"


def test_a_run_over_a_link_that_loses_packets_is_whole(vm: Machine, tmp_path: Path) -> None:
    with vm.weather("loss", "10%"):
        link = Ssh(vm.name)
        with link.hold(), link.start(1) as agent:
            ready(link, agent, tmp_path)
            agent.begin("probe")
            await_begun(vm)
            assert "agent.py" in vm.left(), "what every test looks for at its end"
            go(vm)
            assert agent.finish(SECONDS)["runtime"] == ANSWER
        dropped = vm.run("tc -s qdisc show dev eth0").stdout
        assert "dropped 0," not in dropped, "the kernel did drop some"


def test_a_reset_is_told_as_a_restart_and_the_next_hold_finds_nothing_in_its_way(vm: Machine, tmp_path: Path) -> None:
    said: list[str] = []
    before = vm.boot_id()

    def work() -> None:
        link = Ssh(vm.name, say=said.append)
        with link.hold(), link.start(1) as agent:
            ready(link, agent, tmp_path)
            agent.begin("probe")
            await_begun(vm)
            vm.reset()
            agent.finish(SECONDS)

    with pytest.raises(Stable, match="vm restarted while it was held: what ran there is lost") as lost:
        work()
    assert "power supply" in lost.value.fix
    assert any("link cut" in one for one in said)
    assert vm.boot_id() != before
    link = Ssh(vm.name)
    with link.hold(), link.start(1) as agent:
        ready(link, agent, tmp_path)
        agent.begin("probe")
        await_begun(vm)
        go(vm)
        assert agent.finish(SECONDS)["runtime"] == ANSWER


def test_a_machine_that_stood_still_goes_on_with_its_work_and_its_clock_is_known_to_be_late(vm: Machine, tmp_path: Path) -> None:
    said: list[str] = []
    link = Ssh(vm.name, say=said.append)
    with link.hold(), link.start(1) as watch, link.start(1) as agent:
        ready(link, agent, tmp_path)
        begin = clocks.read(watch)
        agent.begin("probe")
        await_begun(vm)
        vm.order("stop")
        until(lambda: any("link cut" in one for one in said), "the silence to be noticed", SECONDS)
        vm.order("cont")
        go(vm)
        assert agent.finish(SECONDS)["runtime"] == ANSWER
        assert any("nothing is lost" in one for one in said)
        end = clocks.read(watch)
        offset, error = clocks.between(begin, end)
        assert begin.ahead_ns - end.ahead_ns > 1e9, "its clock stood still, too"
        assert all(abs(one.ahead_ns - offset) <= error for one in (begin, end)), "which is inside of what is said of its error"
