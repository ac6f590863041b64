"""Power and energy of a plain Linux host: what is counted, what each channel covers, and why a channel is absent."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import board_trees
from tests.board_trees import BOARD, CONTAINER, DESKTOP, GUEST, KERNEL, LAPTOP, POWERCAP, SERVER, channel, host, hwmon, sites, why, without, zone

if TYPE_CHECKING:
    from collections.abc import Callable

build = board_trees.build


# ---------------------------------------------------------------------------------------------------- power and energy


def test_a_laptop_counts_its_package_its_memory_and_the_platform(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(LAPTOP))
    assert sites(sensors, "power", "energy") == {"package-0": 5.0, "package-0/dram": 1.0, "psys": 9.0}
    assert not why(sensors)


def test_channels_that_contain_one_another_have_different_scopes(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(LAPTOP))
    assert {site: channel(sensors, site, "energy")["scope"] for site in ("package-0", "package-0/dram", "psys")} == {
        "package-0": "die",
        "package-0/dram": "die",
        "psys": "board",
    }


def test_the_same_package_is_not_counted_through_two_interfaces(build: Callable[..., str]) -> None:
    assert sites(host.Sensors(build(LAPTOP)), "energy")["package-0"] == 5.0
    only_mmio = without(LAPTOP, "intel-rapl:")
    assert sites(host.Sensors(build(only_mmio)), "energy") == {"package-0": 5.000123}


def test_a_server_counts_both_packages_and_their_memory_apart(build: Callable[..., str]) -> None:
    found = sites(host.Sensors(build(SERVER)), "energy")
    assert found == {"package-0": 700.0, "package-0/dram": 70.0, "package-1": 900.0, "package-1/dram": 90.0}


def test_a_platform_counter_that_stands_at_zero_is_absent_not_zero(build: Callable[..., str]) -> None:
    assert "stands at 0" in why(host.Sensors(build(SERVER)))["psys"][0]


def test_a_counter_that_fails_for_another_reason_says_which(build: Callable[..., str]) -> None:
    root = build(without(SERVER, "intel-rapl:1/energy_uj"), **{f"{POWERCAP}/intel-rapl:1/energy_uj/not-a-file": ""})
    sensors = host.Sensors(root)
    assert why(sensors)["package-1"] == (
        f"/{POWERCAP}/intel-rapl:1/energy_uj: Is a directory",
        f"see why: cat /{POWERCAP}/intel-rapl:1/energy_uj",
    )
    assert "package-0" in sites(sensors, "energy")


def test_an_acpi_power_meter_is_the_whole_board(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(SERVER))
    assert sites(sensors, "power") == {"power_meter/power1": 412.0}
    assert channel(sensors, "power_meter/power1", "power")["scope"] == "board"


def test_a_counter_tells_where_it_wraps_so_that_energy_survives_the_wrap(build: Callable[..., str]) -> None:
    root = build(LAPTOP, **zone("0", "package-0", 262_143_000_000))
    sensors = host.Sensors(root)
    wraps_at = channel(sensors, "package-0", "energy")["wraps_at"]
    assert wraps_at == 262_143.32885
    before = sites(sensors, "energy")["package-0"]
    Path(root, POWERCAP, "intel-rapl:0/energy_uj").write_text("671150\n")
    after = sites(sensors, "energy")["package-0"]
    assert before
    assert after
    assert (after - before) % wraps_at == pytest.approx(1.0, abs=1e-6)


def refuse(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Files with `part` in their path are for another user: also for root, who runs the tests in a container."""
    really = os.open

    def guarded(path: Any, *others: Any, **more: Any) -> int:
        if part in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path, *others, **more)

    monkeypatch.setattr(os, "open", guarded)


def test_an_unreadable_counter_says_the_line_that_opens_it(build: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = build(without(SERVER, "intel-rapl:2"))
    refuse(monkeypatch, "energy_uj")
    sensors = host.Sensors(root)
    assert not sites(sensors, "energy")
    line = "sudo chmod a+r " + " ".join(f"/{POWERCAP}/intel-rapl:{at}/energy_uj" for at in ("0", "0:0", "1", "1:0"))
    expected = ("energy_uj is readable by root only", line)
    assert why(sensors) == dict.fromkeys(["package-0", "package-0/dram", "package-1", "package-1/dram"], expected)


def test_an_unreadable_hwmon_says_the_line_that_opens_it(build: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = build(BOARD)
    refuse(monkeypatch, "hwmon1/power1_input")
    sensors = host.Sensors(root)
    assert sites(sensors, "power") == {"ina226@1-0040/power1": 4.109}
    assert why(sensors)["ina226@1-0041/power1"][1] == "sudo chmod a+r /sys/class/hwmon/hwmon1/power1_input"


def test_a_virtual_machine_shows_no_power_and_no_clock(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(GUEST))
    assert not sites(sensors, "power", "energy", "frequency", "temperature")
    reason, fix = why(sensors)["rapl"]
    assert reason == "a virtual machine shows no RAPL"
    assert "put a power meter at its supply" in fix
    assert why(sensors, "frequency")["cpu"][0] == "a virtual machine hides the clock"
    assert why(sensors, "temperature")


def test_a_container_is_told_how_to_see_the_counters_of_its_host(build: Callable[..., str]) -> None:
    reason, fix = why(host.Sensors(build(CONTAINER)))["rapl"]
    assert "container" in reason
    assert "systempaths=unconfined" in fix


def test_a_bare_x86_machine_without_counters_is_told_the_module_to_load(build: Callable[..., str]) -> None:
    assert "modprobe intel_rapl_msr" in why(host.Sensors(build(without(LAPTOP, "powercap", "BAT0"))))["rapl"][1]


def test_an_arm_board_without_sensors_is_told_to_attach_a_meter(build: Callable[..., str]) -> None:
    reason, fix = why(host.Sensors(build(without(BOARD, "hwmon"))))["board"]
    assert "no power sensor" in reason
    assert "put a power meter at its supply" in fix


def test_rails_are_named_by_driver_and_device_and_never_added(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(BOARD))
    assert sites(sensors, "power") == {"ina226@1-0040/power1": 4.109, "ina226@1-0041/power1": 0.9}
    assert {one["scope"] for one in sensors.channels if one["kind"] == "power"} == {"rail"}


def test_a_monitor_keeps_its_name_when_the_kernel_numbers_it_otherwise(build: Callable[..., str]) -> None:
    def boot(first: int, second: int, third: int) -> Any:
        tree = {
            **hwmon(first, "ina226", "1-0040", power1_input=1_000_000),
            **hwmon(second, "ina226", "1-0041", power1_input=2_000_000),
            **hwmon(third, "k10temp", "0000:00:18.3", temp1_label="Tctl", temp1_input=50000),
        }
        return host.Sensors(build({**without(DESKTOP, "hwmon"), **tree}))

    one, other = boot(0, 1, 2), boot(7, 3, 1)
    assert one.channels == other.channels
    assert sites(one, "power", "temperature") == sites(other, "power", "temperature")
    assert sites(other, "power") == {"ina226@1-0040/power1": 1.0, "ina226@1-0041/power1": 2.0}


def test_an_amd_desktop_reads_k10temp_and_knows_a_card_from_an_apu(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(DESKTOP))
    assert sites(sensors, "temperature") == {"k10temp/Tccd1": 44.5, "k10temp/Tctl": 52.375}
    assert sites(sensors, "energy") == {"package-0": 123.456789}
    assert sites(sensors, "power") == {"amdgpu@0000:03:00.0/PPT": 21.0, "amdgpu@0000:0f:00.0/PPT": 33.0}
    assert channel(sensors, "amdgpu@0000:03:00.0/PPT", "power")["scope"] == "card"
    assert channel(sensors, "amdgpu@0000:0f:00.0/PPT", "power")["scope"] == "die"


def test_the_instant_power_goes_before_the_average(build: Callable[..., str]) -> None:
    tree = hwmon(0, "pmbus", power1_input=7_000_000, power1_average=1_000_000, power2_average=3_000_000, energy1_input=5_000_000)
    sensors = host.Sensors(build(tree))
    assert sites(sensors, "power") == {"pmbus/power1": 7.0, "pmbus/power2": 3.0}
    assert sites(sensors, "energy") == {"pmbus/energy1": 5.0}


def test_the_old_amd_driver_counts_sockets_only_where_rapl_does_not(build: Callable[..., str]) -> None:
    energies: dict[str, Any] = {
        "energy1_label": "Ecore000",
        "energy1_input": 1,
        "energy65_label": "Esocket0",
        "energy65_input": 8_000_000,
        "energy66_label": "Esocket1",
        "energy66_input": 9_000_000,
    }
    tree = hwmon(0, "amd_energy", **energies)
    assert sites(host.Sensors(build({**KERNEL, **tree})), "energy") == {"amd_energy/Esocket0": 8.0, "amd_energy/Esocket1": 9.0}
    assert list(sites(host.Sensors(build({**without(DESKTOP, "hwmon"), **tree})), "energy")) == ["package-0"]


def test_a_card_with_power_and_energy_has_both_under_one_name(build: Callable[..., str]) -> None:
    files = {"power1_label": "card", "power1_input": 9_000_000, "energy1_label": "card", "energy1_input": 5_000_000}
    files |= {"energy2_label": "pkg", "energy2_input": 4_000_000, "energy3_label": "pkg", "energy3_input": 3_000_000}
    sensors = host.Sensors(build(hwmon(0, "xe", **{key: str(value) for key, value in files.items()})))
    assert sites(sensors, "power") == {"xe/card": 9.0}
    assert sites(sensors, "energy") == {"xe/card": 5.0, "xe/pkg": 4.0, "xe/pkg#2": 3.0}
    assert [channel(sensors, site, "energy")["scope"] for site in ("xe/card", "xe/pkg")] == ["card", "rail"]


def test_a_sleeping_card_is_not_woken(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(DESKTOP, **{"sys/devices/0000:03:00.0/power/runtime_status": "suspended"}))
    assert list(sites(sensors, "power")) == ["amdgpu@0000:0f:00.0/PPT"]
    assert "wake" in why(sensors)["amdgpu@0000:03:00.0"][0]


BATTERY = "sys/class/power_supply/BAT0"


def test_a_discharging_battery_is_the_whole_board(build: Callable[..., str]) -> None:
    more = {f"{BATTERY}/status": "Discharging", f"{BATTERY}/power_now": "8600000"}
    sensors = host.Sensors(build(LAPTOP, **more))
    assert sites(sensors, "power") == {"battery": 8.6}
    assert channel(sensors, "battery", "power")["scope"] == "board"


def test_a_battery_that_tells_current_and_voltage_gives_power(build: Callable[..., str]) -> None:
    more = {f"{BATTERY}/status": "Discharging", f"{BATTERY}/current_now": "-500000", f"{BATTERY}/voltage_now": "12000000"}
    assert sites(host.Sensors(build(without(LAPTOP, "BAT0/power_now"), **more)), "power") == {"battery": 6.0}


def test_two_batteries_are_one_channel_and_a_mouse_is_none(build: Callable[..., str]) -> None:
    supply = "sys/class/power_supply"
    more = {f"{BATTERY}/status": "Discharging", f"{BATTERY}/power_now": "5000000"}
    more |= {f"{supply}/BAT1/type": "Battery", f"{supply}/BAT1/status": "Discharging", f"{supply}/BAT1/power_now": "2000000"}
    more |= {
        f"{supply}/hid-mouse/type": "Battery",
        f"{supply}/hid-mouse/scope": "Device",
        f"{supply}/hid-mouse/status": "Discharging",
    }
    assert sites(host.Sensors(build(LAPTOP, **more)), "power") == {"battery": 7.0}


def test_a_battery_says_nothing_once_the_charger_is_plugged_in(build: Callable[..., str]) -> None:
    root = build(LAPTOP, **{f"{BATTERY}/status": "Discharging", f"{BATTERY}/power_now": "8600000"})
    sensors = host.Sensors(root)
    Path(root, BATTERY, "status").write_text("Charging\n")
    assert sites(sensors, "power") == {"battery": None}


def test_one_battery_that_charges_another_says_nothing(build: Callable[..., str]) -> None:
    root = build(LAPTOP, **{f"{BATTERY}/status": "Discharging", f"{BATTERY}/power_now": "8600000"})
    other = {"type": "Battery", "status": "Discharging", "power_now": "1000000"}
    for name, content in other.items():
        path = Path(root, BATTERY).with_name("BAT1") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    sensors = host.Sensors(root)
    assert sites(sensors, "power") == {"battery": 9.6}
    Path(root, BATTERY).with_name("BAT1").joinpath("status").write_text("Charging")
    assert sites(sensors, "power") == {"battery": None}


def test_half_of_a_battery_figure_is_none(build: Callable[..., str]) -> None:
    more = {f"{BATTERY}/status": "Discharging", f"{BATTERY}/current_now": "500000", f"{BATTERY}/voltage_now": "12000000"}
    root = build(without(LAPTOP, "BAT0/power_now"), **more)
    sensors = host.Sensors(root)
    Path(root, BATTERY, "voltage_now").write_text("")
    assert sites(sensors, "power") == {"battery": None}


def test_a_battery_without_figures_is_absent_with_the_reason(build: Callable[..., str]) -> None:
    root = build(without(LAPTOP, "BAT0/power_now", "powercap"), **{f"{BATTERY}/status": "Discharging"})
    assert why(host.Sensors(root))["battery"][0] == "/sys/class/power_supply/BAT0: No such file or directory"


def test_a_battery_is_not_asked_where_a_meter_tells_the_whole_board(build: Callable[..., str]) -> None:
    battery = {name: content for name, content in LAPTOP.items() if "power_supply" in name}
    root = build({**SERVER, **battery, f"{BATTERY}/status": "Discharging", f"{BATTERY}/power_now": "8600000"})
    assert list(sites(host.Sensors(root), "power")) == ["power_meter/power1"]


def test_a_charging_battery_is_absent_where_nothing_else_tells_the_power(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(without(LAPTOP, "powercap"), **{f"{BATTERY}/status": "Charging"}))
    assert not sites(sensors, "power", "energy")
    assert why(sensors)["battery"][1] == "unplug the charger"


# ---------------------------------------------------------------------------------------------------- NVIDIA

FAKE_NVML = """
#include <string.h>
int lost = 0, sessions = 0;
typedef struct { int index; } *device;
static struct { int index; } cards[2] = {{0}, {1}};
int nvmlInit_v2(void) { sessions += !INIT; return INIT; }
int nvmlShutdown(void) { sessions -= 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, device *out) { if (i > 1) return 2; *out = (device)&cards[i]; return 0; }
int nvmlDeviceGetPowerUsage(device card, unsigned *mw) { if (lost) return 15; *mw = 71250 + card->index; return 0; }
int nvmlDeviceGetTemperature(device card, int sensor, unsigned *c) { if (lost || sensor) return 15; *c = 41; return 0; }
int nvmlDeviceGetClockInfo(device card, int type, unsigned *mhz) { if (lost || type != 1) return 15; *mhz = 1980; return 0; }
#ifdef ENERGY
int nvmlDeviceGetTotalEnergyConsumption(device card, unsigned long long *mj)
{ if (lost || card->index) return 3; *mj = 9007199254741ull; return 0; }
#endif
"""


@pytest.fixture
def nvml(tmp_path: Path) -> Callable[..., str]:
    """A function that builds a small library with the functions of NVIDIA's."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler, "these tests build a small library in C: install gcc"

    def built(*defines: str) -> str:
        source, library = tmp_path / "nvml.c", tmp_path / f"libnvidia-ml-{len(list(tmp_path.glob('*.so')))}.so"
        source.write_text(FAKE_NVML)
        options = [f"-D{define}" for define in defines] + ([] if "INIT=9" in defines else ["-DINIT=0"])
        subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), *options], check=True, capture_output=True)
        return str(library)

    return built


def test_nvidia_cards_tell_power_energy_temperature_and_clock(build: Callable[..., str], nvml: Callable[..., str]) -> None:
    sensors = host.Sensors(build(GUEST), nvml=nvml("ENERGY"))
    assert sites(sensors, "power") == {"nvidia-gpu0": pytest.approx(71.25), "nvidia-gpu1": pytest.approx(71.251)}
    assert sites(sensors, "energy") == {"nvidia-gpu0": pytest.approx(9007199254.741)}
    assert sites(sensors, "temperature") == {"nvidia-gpu0": 41.0, "nvidia-gpu1": 41.0}
    assert sites(sensors, "frequency") == {"nvidia-gpu0": 1.98e9, "nvidia-gpu1": 1.98e9}
    assert channel(sensors, "nvidia-gpu0", "power")["scope"] == "card"
    assert "rapl" in why(sensors)


def test_an_older_nvidia_library_without_energy_still_tells_power(build: Callable[..., str], nvml: Callable[..., str]) -> None:
    sensors = host.Sensors(build(GUEST), nvml=nvml())
    assert len(sites(sensors, "power")) == 2
    assert not sites(sensors, "energy")


def test_a_lost_nvidia_card_reads_as_none_and_a_closed_library_is_not_asked(build: Callable[..., str], nvml: Callable[..., str]) -> None:
    path = nvml("ENERGY")
    sensors = host.Sensors(build(GUEST), nvml=path)
    library = ctypes.CDLL(path)
    ctypes.c_int.in_dll(library, "lost").value = 1
    assert set(sites(sensors, "power").values()) == {None}
    ctypes.c_int.in_dll(library, "lost").value = 0
    assert None not in sites(sensors, "power").values()
    sensors.close()
    assert ctypes.c_int.in_dll(library, "sessions").value == 0
    assert set(sensors.read()) == {None}


def test_a_missing_nvidia_library_matters_only_where_the_driver_is(build: Callable[..., str], nvml: Callable[..., str]) -> None:
    driver = {"proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module"}
    assert "nvidia" not in why(host.Sensors(build(GUEST), nvml="libno-such-thing.so.1"))
    reason, fix = why(host.Sensors(build(GUEST, **driver), nvml="libno-such-thing.so.1"))["nvidia"]
    assert "libno-such-thing.so.1" in reason
    assert "nvidia-smi" in fix
    assert "nvmlInit_v2 answers 9" in why(host.Sensors(build(GUEST, **driver), nvml=nvml("INIT=9")))["nvidia"][0]
    assert "nvidia" in why(host.Sensors(build(GUEST, **driver), nvml=__file__))


def test_a_sleeping_nvidia_card_is_not_asked(build: Callable[..., str], nvml: Callable[..., str]) -> None:
    card = {"sys/bus/pci/drivers/nvidia/0000:01:00.0/power/runtime_status": "suspended"}
    path = nvml()
    sensors = host.Sensors(build(GUEST, **card), nvml=path)
    assert not sites(sensors, "power")
    assert why(sensors)["nvidia"][1] == "echo on | sudo tee /sys/bus/pci/drivers/nvidia/0000:01:00.0/power/control"
    assert ctypes.c_int.in_dll(ctypes.CDLL(path), "sessions").value == 0
    awake = {"sys/bus/pci/drivers/nvidia/0000:02:00.0/power/runtime_status": "active"}
    assert sites(host.Sensors(build(GUEST, **card, **awake), nvml=path), "power")


def test_a_card_that_keeps_its_power_to_itself_is_absent(build: Callable[..., str], nvml: Callable[..., str]) -> None:
    sensors = host.Sensors(build(GUEST), nvml=nvml("nvmlDeviceGetPowerUsage=hidden"))
    assert not sites(sensors, "power", "energy")
    assert {"nvidia-gpu0", "nvidia-gpu1"} <= set(why(sensors))
    assert sites(sensors, "temperature")
