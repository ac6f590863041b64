"""The sensors of a plain Linux host, all together: names, units, and what comes of files that say nonsense."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.record import Absent, Channel
from tests import board_trees
from tests.board_trees import (
    BOARD,
    CONTAINER,
    CPUS,
    DESKTOP,
    GUEST,
    KERNEL,
    LAPTOP,
    MACHINES,
    PRIVATE,
    SERVER,
    Tree,
    channel,
    cpu_times,
    host,
    hwmon,
    sites,
    why,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

build = board_trees.build


# ---------------------------------------------------------------------------------------------------- all channels


@pytest.mark.parametrize("name", MACHINES)
def test_every_channel_and_every_absence_is_one_of_the_records(name: str, build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(MACHINES[name]), pid=os.getpid())
    msgspec.convert(sensors.channels, list[Channel])
    for one in msgspec.convert(sensors.absent, list[Absent]):
        assert one.reason
        assert one.fix
    assert all(set(one) <= set(Channel.__struct_fields__) for one in sensors.channels)
    keys = [(one["kind"], one["site"]) for one in sensors.channels]
    assert len(set(keys)) == len(keys) == len(sensors.read())


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_without_a_power_channel_says_why(name: str, build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(MACHINES[name]))
    assert sites(sensors, "power", "energy") or why(sensors)


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_that_names_a_machine_or_its_owner_is_told(name: str, build: Callable[..., str]) -> None:
    root = build(MACHINES[name])
    sensors = host.Sensors(root)
    told = [host.probe(root), host.state(root), host.pin({}, root), host.doctor(root), sensors.channels, sensors.absent]
    assert PRIVATE not in json.dumps(told)
    assert root not in json.dumps(told)


# ---------------------------------------------------------------------------------------------------- temperatures, clocks, load


def test_temperatures_are_named_by_type_and_label(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(LAPTOP))
    assert sites(sensors, "temperature") == {"acpitz": 27.8, "coretemp/Package id 0": 60.0, "x86_pkg_temp": 61.0}
    found = sites(host.Sensors(build(SERVER)), "temperature")
    assert found == {"coretemp@coretemp.0/Package id 0": 45.0, "coretemp@coretemp.1/Package id 1": 47.0}


THINGS: Tree = {
    **KERNEL,
    "sys/class/thermal/thermal_zone0/type": "soc-thermal",
    "sys/class/thermal/thermal_zone0/temp": "48538",
    "sys/devices/virtual/thermal/thermal_zone0/uevent": "",
    **hwmon(0, "soc_thermal", "virtual/thermal/thermal_zone0", temp1_input=48538),
    **hwmon(1, "tmp451", "platform/i2c/1-004c", temp1_label="Local", temp1_input=40_000, temp2_label="Remote", temp2_input=45_500),
    **hwmon(2, "spd5118", "platform/i2c/3-0050", temp1_input=39_000),
    **hwmon(3, "spd5118", "platform/i2c/3-0051", temp1_input=41_000),
    **hwmon(4, "phy", "platform/gmac0/mdio_bus/0:01", temp1_input=51_000),
    **hwmon(5, "phy", "platform/gmac1/mdio_bus/0:01", temp1_input=52_000),
    **hwmon(6, "nvme", "nvme0", temp1_label="Composite", temp1_input=39_850),
    **hwmon(7, "drivetemp", "0:0:0:0", temp1_input=31_000),
    **hwmon(8, "ath11k_hwmon", "0001:01:00.0", temp1_input=47_000),
    **hwmon(9, "nct6798", "nct6775.656", temp1_label="AUXTIN0", temp1_input=127_000),
    **hwmon(10, "nouveau", "0000:01:00.0", temp1_input=35_000),
    "sys/devices/0000:01:00.0/power/runtime_status": "suspended",
}
"""A board with thermometers of other things than its processor: a copy of a thermal zone, chips on buses, drives, a radio, a card that sleeps."""


def test_what_else_has_a_thermometer_is_named_by_driver_label_and_device(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(THINGS))
    assert sites(sensors, "temperature") == {
        "soc-thermal": 48.538,
        "phy@platform/gmac0/mdio_bus/0:01/temp1": 51.0,
        "phy@platform/gmac1/mdio_bus/0:01/temp1": 52.0,
        "spd5118@3-0050/temp1": 39.0,
        "spd5118@3-0051/temp1": 41.0,
        "tmp451/Local": 40.0,
        "tmp451/Remote": 45.5,
    }
    assert {one["scope"] for one in sensors.channels if one["kind"] == "temperature"} == {"board"}


def test_numbers_that_change_from_boot_to_boot_change_no_name(build: Callable[..., str]) -> None:
    found = [
        host.Sensors(build(THINGS)),
        host.Sensors(build({re.sub(r"hwmon(\d+)", lambda one: f"hwmon{50 - int(one[1])}", name): content for name, content in THINGS.items()})),
    ]
    assert found[0].channels == found[1].channels
    assert sites(found[0], "temperature") == sites(found[1], "temperature")


def test_a_thermometer_whose_reading_disturbs_is_not_sampled_and_says_why(build: Callable[..., str]) -> None:
    root = build(THINGS)
    told = why(host.Sensors(root), "temperature")
    assert "a command to the drive" in told["nvme/Composite"][0]
    assert "a command to the drive" in told["drivetemp/temp1"][0]
    assert "radio's firmware" in told["ath11k_hwmon/temp1"][0]
    assert "nothing is wired" in told["nct6798/AUXTIN0"][0]
    assert told["nouveau/temp1"] == ("the device sleeps; reading would wake it", "echo on | sudo tee /sys/class/hwmon/hwmon10/device/power/control")
    assert len(told) == 5
    before_and_after = host.state(root)["temperatures_c"]
    assert before_and_after["nvme/Composite"] == 39.85
    assert before_and_after["ath11k_hwmon/temp1"] == 47.0
    assert "nouveau/temp1" not in before_and_after


def test_what_is_not_the_processor_is_read_in_every_tenth_row(build: Callable[..., str]) -> None:
    root = build(THINGS)
    sensors = host.Sensors(root)
    assert sites(sensors, "temperature")["tmp451/Local"] == 40.0
    Path(root, "sys/class/hwmon/hwmon1/temp1_input").write_text("60000")
    Path(root, "sys/class/thermal/thermal_zone0/temp").write_text("70000")
    rows = [sites(sensors, "temperature") for _ in range(10)]
    assert [row["tmp451/Local"] for row in rows] == [40.0] * 9 + [60.0]
    assert {row["soc-thermal"] for row in rows} == {70.0}


def test_a_copy_of_a_zone_is_known_by_its_name_where_the_kernel_gives_it_no_device(build: Callable[..., str]) -> None:
    copy = {"sys/class/hwmon/hwmon0/name": "soc_thermal", "sys/class/hwmon/hwmon0/temp1_input": "48538"}
    assert sites(host.Sensors(build({**without(THINGS, "hwmon"), **copy})), "temperature") == {"soc-thermal": 48.538}


def test_drives_and_radios_alone_leave_the_processor_without_a_thermometer(build: Callable[..., str]) -> None:
    told = why(host.Sensors(build(without(THINGS, "thermal"))), "temperature")
    assert "coretemp or k10temp" in told["cpu"][1]


def test_zones_of_one_type_are_told_apart(build: Callable[..., str]) -> None:
    tree = {f"sys/class/thermal/thermal_zone{at}/{key}": value for at in (0, 2, 10) for key, value in (("type", "acpitz"), ("temp", f"{at}000"))}
    assert sites(host.Sensors(build(tree)), "temperature") == {"acpitz": 0.0, "acpitz#2": 2.0, "acpitz#3": 10.0}


def test_a_thermometer_that_is_off_is_there_and_says_none_until_it_is_on(build: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = build(BOARD)
    sensors = host.Sensors(root)
    assert sites(sensors, "temperature") == {"soc-thermal": 48.538, "gpu-thermal": None}
    zone = Path(root, "sys/class/thermal/thermal_zone1/temp")
    for off in ("-256000", "-274000"):
        zone.write_text(off)
        assert sites(sensors, "temperature")["gpu-thermal"] is None
    zone.write_text("41000")
    assert sites(sensors, "temperature")["gpu-thermal"] == 41.0
    really = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        if Path(f"/proc/self/fd/{fd}").resolve() == zone:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return really(fd, size, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", pread)
        assert sites(sensors, "temperature")["gpu-thermal"] is None
        asleep = host.Sensors(root)
        assert sites(asleep, "temperature")["gpu-thermal"] is None
    assert sites(asleep, "temperature")["gpu-thermal"] == 41.0


def test_what_slows_a_machine_down_is_counted_and_fans_are_not(build: Callable[..., str]) -> None:
    topology = {f"{CPUS}/cpu{cpu}/topology/physical_package_id": "0" for cpu in range(4)}
    again = {f"{CPUS}/cpu1/thermal_throttle/package_throttle_count": "17"}
    clamp = {"sys/class/thermal/cooling_device3/type": "intel_powerclamp", "sys/class/thermal/cooling_device3/cur_state": "-1"}
    assert sites(host.Sensors(build(LAPTOP, **topology, **again, **clamp)), "throttle") == {"cooling/intel_powerclamp#0": -1.0, "hot/package-0": 17.0}


def test_every_policy_has_a_clock_channel_in_hertz(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(BOARD))
    assert sites(sensors, "frequency") == {"policy0": 1.8e9, "policy4": 2.4e9}
    assert channel(sensors, "policy4", "frequency")["unit"] == "Hz"


def test_pressure_is_a_share_and_its_absence_names_the_kernel_option(build: Callable[..., str]) -> None:
    assert sites(host.Sensors(build(LAPTOP)), "pressure") == {"psi-cpu": 0.125, "psi-memory": 0.0, "psi-io": 0.01}
    assert "psi=1" in why(host.Sensors(build(without(LAPTOP, "pressure"))), "pressure")["psi-cpu"][1]


def test_busy_and_stolen_shares_are_of_the_time_between_two_reads(build: Callable[..., str]) -> None:
    root = build(GUEST, **{"proc/stat": cpu_times(1000, 8000, 0)})
    sensors = host.Sensors(root)
    assert sites(sensors, "load") == {"cpu-busy": None, "cpu-steal": None}
    Path(root, "proc/stat").write_text(cpu_times(1060, 8030, 10))
    assert sites(sensors, "load") == {"cpu-busy": pytest.approx(0.6), "cpu-steal": pytest.approx(0.1)}
    assert sites(sensors, "load") == {"cpu-busy": pytest.approx(0.6), "cpu-steal": pytest.approx(0.1)}
    Path(root, "proc/stat").write_text(cpu_times(1060, 8130, 10))
    assert sites(sensors, "load") == {"cpu-busy": 0.0, "cpu-steal": 0.0}


def test_free_memory_and_the_memory_of_one_process_are_bytes(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(LAPTOP, **{"proc/77/statm": "9000 250 100 1 0 800 0"}), pid=77)
    assert sites(sensors, "memory") == {"available": 16384000 * 1024.0, "rss": 250.0 * os.sysconf("SC_PAGE_SIZE")}
    assert channel(sensors, "rss", "memory")["scope"] == "process"
    assert {"rss", "pss"} <= set(why(host.Sensors(build(LAPTOP), pid=78), "memory"))


def test_the_proportional_memory_is_dear_to_read_and_repeated_in_between(build: Callable[..., str]) -> None:
    tree = {
        **LAPTOP,
        "proc/77/statm": "9000 250 100 1 0 800 0",
        "proc/77/smaps_rollup": "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss: 9 kB\nPss:   2048 kB\n",
    }
    root = build(tree)
    sensors = host.Sensors(root, pid=77)
    assert sites(sensors, "memory")["pss"] == 2048 * 1024
    Path(root, "proc/77/smaps_rollup").write_text("Pss: 4096 kB\n")
    rows = [sites(sensors, "memory")["pss"] for _ in range(10)]
    assert rows == [2048 * 1024] * 9 + [4096 * 1024]


def test_a_process_that_ends_reads_as_none_from_then_on(build: Callable[..., str]) -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        root = build(LAPTOP)
        Path(root, "proc", str(sleeper.pid)).symlink_to(Path("/proc", str(sleeper.pid)))
        sensors = host.Sensors(root, pid=sleeper.pid)
        assert sites(sensors, "memory")["rss"]
        sleeper.kill()
    assert [sites(sensors, "memory")["rss"] for _ in range(2)] == [None, None]
    assert sites(sensors, "memory")["available"]


def test_a_device_that_is_pulled_out_stays_none_and_a_hiccup_does_not(build: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    sensors = host.Sensors(build(BOARD))
    really = os.pread
    broken = SimpleNamespace(code=errno.EIO)

    def pread(fd: int, size: int, offset: int) -> bytes:
        if Path(f"/proc/self/fd/{fd}").resolve().match("hwmon1/power1_input"):
            raise OSError(broken.code, os.strerror(broken.code))
        return really(fd, size, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", pread)
        assert sites(sensors, "power") == {"ina226@1-0040/power1": 4.109, "ina226@1-0041/power1": None}
    assert sites(sensors, "power")["ina226@1-0041/power1"] == 0.9
    with monkeypatch.context() as patched:
        broken.code = errno.ENODEV
        patched.setattr(os, "pread", pread)
        assert sites(sensors, "power")["ina226@1-0041/power1"] is None
    assert sites(sensors, "power") == {"ina226@1-0040/power1": 4.109, "ina226@1-0041/power1": None}


def test_a_closed_set_of_sensors_reads_none_and_keeps_no_file_open(build: Callable[..., str]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    sensors = host.Sensors(build(LAPTOP), pid=os.getpid())
    assert len(list(Path("/proc/self/fd").iterdir())) > before
    sensors.close()
    sensors.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert sensors.read() == [None] * len(sensors.channels)


# ---------------------------------------------------------------------------------------------------- files that say nonsense

JUNK = {
    "nothing": b"",
    "white space": b" \n\t\n",
    "binary": bytes(range(256)) * 40,
    "not a number": b"nan\n",
    "infinity": b"-inf\n",
    "too many digits": b"9" * 6000,
    "a huge exponent": b"1e400\n",
    "a negative number": b"-1\n",
    "words": b"some avg10=nan total=inf\ncpu a b c d e f g h\nprocessor : x\nflags :\nMemAvailable: lots kB\n",
    "another language": "\u0663\u0664 \u4e8c\n0::/\u4e8c\n".encode(),
}


def everything(root: str) -> Any:
    sensors = host.Sensors(root, pid=77)
    rows = [sensors.read() for _ in range(2)]
    assert all(len(row) == len(sensors.channels) for row in rows)
    sensors.close()
    msgspec.convert([sensors.channels, sensors.absent], tuple[list[Channel], list[Absent]])
    return [host.probe(root), host.state(root), host.pin({}, root), host.doctor(root), sensors.channels, sensors.absent, rows]


ALL_AT_ONCE: Tree = {
    **SERVER,
    **without(CONTAINER, "intel-rapl"),
    **GUEST,
    **DESKTOP,
    **BOARD,
    **LAPTOP,
    "proc/77/statm": "1 2 3",
}


def files(root: str) -> list[Path]:
    return [path for path in Path(root).rglob("*") if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("junk", JUNK)
def test_files_full_of_garbage_raise_nothing_and_give_no_odd_numbers(junk: str, build: Callable[..., str]) -> None:
    root = build(ALL_AT_ONCE)
    watched = host.Sensors(root, pid=77)
    for path in files(root):
        path.write_bytes(JUNK[junk])
    row = watched.read()
    assert len(row) == len(watched.channels) > 10
    json.dumps([row, everything(root)], allow_nan=False)


@pytest.mark.parametrize("junk", JUNK)
def test_one_garbled_figure_is_none_and_its_neighbours_are_not(junk: str, build: Callable[..., str]) -> None:
    root = build(BOARD)
    sensors = host.Sensors(root)
    Path(root, "sys/class/hwmon/hwmon1/power1_input").write_bytes(JUNK[junk])
    found = sites(sensors, "power")
    assert found["ina226@1-0040/power1"] == 4.109
    assert found["ina226@1-0041/power1"] == (-1e-6 if junk == "a negative number" else None)  # a current sensor knows both directions


def test_directories_in_the_place_of_files_raise_nothing(build: Callable[..., str]) -> None:
    root = build(ALL_AT_ONCE)
    for path in files(root):
        path.unlink()
        path.mkdir()
    json.dumps(everything(root), allow_nan=False)


def test_this_very_machine_can_be_read() -> None:
    everything("/")
    identity = host.probe()
    assert identity["cpus"] == len(os.sched_getaffinity(0))
    assert (identity["arch"], identity["kernel"]) == (os.uname().machine, os.uname().release)
    assert identity["memory_bytes"] > 0
    sensors = host.Sensors(pid=os.getpid())
    rss = sites(sensors, "memory")["rss"]
    sensors.close()
    assert rss
    assert rss > 2**20
