"""The sampler reads a real kernel's hwmon drivers: an INA3221, an INA226, a disk's thermometer; also when they are switched off or taken away."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from harness.measure.hold import load
from harness.measure.ssh import Ssh
from harness.spec import Zoo
from tests.lab import until
from tests.vm.chips import INA226, INA3221, Chips, ina226, ina3221

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.vm.machine import Machine

SECONDS = 120.0
READS = 60
"""Reads of files that take a sampler several rows: a row has some ten."""


@pytest.fixture
def chips(vm: Machine) -> Iterator[Chips]:
    found = Chips(vm)
    found.bind(ina3221(1, 5008, 400), ina3221(2, 3304, 200), ina3221(3, 12000, 1600), ina226(5000, 200))
    yield found
    found.unbind(INA226, INA3221, check=False)  # a test may have done it


class Sampled:
    """What a sampler brought home."""

    def __init__(self, found: dict[str, Any], rows: list[list[float | None]]) -> None:
        self.channels, self.absent, self.rows = found["channels"], found["absent"], rows

    def power(self, site: str) -> tuple[dict[str, Any], list[float | None]]:
        """A power channel and its values [W]."""
        [at] = [number for number, one in enumerate(self.channels) if (one["kind"], one["site"]) == ("power", site)]
        return self.channels[at], [row[at] for row in self.rows]


def sampled(vm: Machine, *turns: Callable[[], None]) -> Sampled:
    """Sample by the Jetson's board half: some rows, then a turn of events, and so on."""
    rows: list[list[float | None]] = []
    link = Ssh(vm.name)
    with link.hold(), link.start(1) as agent:
        load(link, agent, Zoo().halves("boards", "jetson"))
        pid = agent.ask("hello", SECONDS)["pid"]
        agent.begin("sample", hertz=5.0, pid=0)
        agent.wait("sampling", SECONDS)
        for turn in (*turns, None):
            wanted = _reads(vm, pid) + READS
            until(partial(_has_read, vm, pid, wanted), "the sensors to be read", SECONDS)
            if turn:
                turn()
        agent.begin("close")
        found = agent.finish(SECONDS, lambda event: rows.extend(event.get("rows", [])))
        agent.finish(SECONDS)
    return Sampled(found, rows)


def _reads(vm: Machine, pid: int) -> int:
    """How often the process has asked the kernel to read a file."""
    return int(vm.run(f"grep syscr /proc/{pid}/io").stdout.split()[1])


def _has_read(vm: Machine, pid: int, wanted: int) -> bool:
    return _reads(vm, pid) >= wanted


def test_the_power_of_an_ina3221_is_the_product_of_what_its_driver_reads_and_follows_it(vm: Machine, chips: Chips) -> None:
    found = sampled(vm, lambda: chips.poke(ina3221(1, 5008, 800)))
    channel, values = found.power("ina3221/ch1")
    assert (channel["unit"], channel["scope"]) == ("W", "rail")
    assert channel["quantum"] == pytest.approx(5.008 * 0.004 + 0.4 * 0.008), "a step of each, where the driver says which shunt it takes"
    assert values[0] == pytest.approx(5.008 * 0.4)
    assert values[-1] == pytest.approx(5.008 * 0.8)
    assert found.power("ina3221/ch3")[1] == pytest.approx([12.0 * 1.6] * len(values))
    shown = vm.run(f"cat {chips.attribute('ina3221', 'in1_input')} {chips.attribute('ina3221', 'curr1_input')}").stdout.split()
    assert shown == ["5008", "800"], "mV and mA of the kernel's own driver"


def test_the_power_of_an_ina226_is_its_own_figure(vm: Machine, chips: Chips) -> None:
    channel, values = sampled(vm).power("ina226/power1")
    assert values == pytest.approx([5.0 * 0.2] * len(values))
    assert (channel["unit"], channel["scope"]) == ("W", "rail")
    assert channel["quantum"] == pytest.approx(25 * 2.5e-6 / 0.010)


def test_a_channel_that_is_switched_off_is_absent_with_its_reason_and_the_others_are_there(vm: Machine, chips: Chips) -> None:
    vm.run(f"echo 0 > {chips.attribute('ina3221', 'in2_enable')}")
    assert vm.python(READ, "in2_input").strip() == "ENODATA", "what the driver answers"
    found = sampled(vm)
    [why] = [one for one in found.absent if one["site"] == "ina3221/ch2"]
    assert "switched off" in why["reason"]
    assert why["fix"]
    powers = [one["site"] for one in found.channels if one["kind"] == "power"]
    assert powers == ["ina3221/ch1", "ina3221/ch3", "ina226/power1"]


READ = """
import errno, glob, sys
[folder] = [path for path in glob.glob("/sys/class/hwmon/*") if open(path + "/name").read() == "ina3221\\n"]
try:
    with open(folder + "/" + sys.argv[1], "rb", buffering=0) as file:
        for chip in sys.argv[3:]:
            open(sys.argv[2], "w").write(chip)
        print(file.read(64))
except OSError as error:
    print(errno.errorcode[error.errno])
"""
"""What a file of the INA3221's driver answers: its value or an error's name; after chips are taken away behind its back, if any are named."""


def test_a_monitor_that_is_taken_away_reads_as_missing_from_then_on_and_the_others_go_on(vm: Machine, chips: Chips) -> None:
    said: list[str] = []
    found = sampled(vm, lambda: said.append(vm.python(READ, "in1_input", chips.removal, hex(INA3221)).strip()))
    assert said == ["ENODEV"], "what the driver answers through a file that is open"
    for site in ("ina3221/ch1", "ina3221/ch3"):
        values = found.power(site)[1]
        gone = values.index(None)
        assert gone > 0
        assert set(values[gone:]) == {None}
        assert None not in values[:gone]
    assert found.power("ina226/power1")[1] == pytest.approx([1.0] * len(found.rows))


def test_a_disk_s_thermometer_is_not_taken_for_the_processor_s(vm: Machine) -> None:
    shown = vm.run("cat $(dirname $(grep -lx nvme /sys/class/hwmon/*/name))/temp1_input").stdout.strip()
    assert shown == "49850", "the kernel's driver shows one"
    found = sampled(vm)
    assert not [one for one in found.channels if one["kind"] == "temperature"]
    [why] = [one for one in found.absent if one["kind"] == "temperature"]
    assert why["reason"]
    assert why["fix"]
