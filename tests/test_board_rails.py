"""What the sensors of each family's boards give: rails and what they cover, clocks, loads, memory; and what is absent, with its reason."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.record import Absent, Channel, Total
from tests import board_families, board_trees
from tests.board_families import AGX_ORIN, ATLAS, BOARDS, DRAGON_Q6A, HALF, IMX8MP, ORIN_NX, ROCK_4D, ROCK_5B, TEGRA, THOR
from tests.board_trees import PRIVATE, Tree, channel, host, hwmon, sites, why, without

if TYPE_CHECKING:
    from collections.abc import Callable

plant, sense, build = board_families.plant, board_families.sense, board_trees.build


@pytest.mark.parametrize("board", BOARDS)
def test_every_channel_total_and_absence_is_one_of_the_records(board: str, plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    family, tree = BOARDS[board]
    sensors = sense(family, plant(tree), pid=os.getpid())
    msgspec.convert(sensors.channels, list[Channel])
    for total in msgspec.convert(sensors.totals, list[Total]):
        assert set(total.sites) <= {one["site"] for one in sensors.channels if one["kind"] == "power"}
    for one in msgspec.convert(sensors.absent, list[Absent]):
        assert one.reason
        assert one.fix
    keys = [(one["kind"], one["site"]) for one in sensors.channels]
    assert len(set(keys)) == len(keys) == len(sensors.read())
    sensors.close()
    assert sensors.read() == [None] * len(keys)


@pytest.mark.parametrize("board", BOARDS)
def test_a_boards_doctor_has_a_remedy_for_what_is_not_well_and_tells_no_names(board: str, plant: Callable[..., str]) -> None:
    family, tree = BOARDS[board]
    half, root = HALF[family], plant(tree)
    found = half.doctor(root)
    for one in found:
        assert set(one) == {"topic", "ok", "what", "fix"}
        assert bool(one["fix"]) is not one["ok"], one
    told = repr([half.probe(root), half.state(root), half.snapshot(root), found])
    assert PRIVATE not in told
    assert root not in told


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_whose_files_are_directories_raises_nothing(board: str, plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    family, tree = BOARDS[board]
    root, half = plant(tree), HALF[family]
    for path in sorted(Path(root).rglob("*")):
        if path.is_file() and not path.is_symlink():
            path.unlink()
            path.mkdir()
    sensors = sense(family, root, pid=77)
    assert len(sensors.read()) == len(sensors.channels)
    for act in (half.probe, half.state, half.doctor, half.snapshot):
        act(root)
    half.restore(half.snapshot(root), root)
    assert half.pin({"cpu": {"governor": "performance"}}, root)["problems"]


# ---------------------------------------------------------------------------------------------------- Jetson rails


def test_an_orin_nx_is_metered_at_its_module_and_the_rails_within_are_not_added(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    sensors = sense("jetson", plant(ORIN_NX))
    assert sites(sensors, "power") == {
        "VDD_IN": pytest.approx(5.048 * 0.960),
        "VDD_CPU_GPU_CV": pytest.approx(5.048 * 0.136),
        "VDD_SOC": pytest.approx(5.040 * 0.296),
    }
    scopes = {one["site"]: one["scope"] for one in sensors.channels if one["kind"] == "power"}
    assert scopes == {"VDD_IN": "module", "VDD_CPU_GPU_CV": "rail", "VDD_SOC": "rail"}
    assert sensors.totals == []


def test_the_step_of_a_rail_follows_from_converter_and_shunt(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    sensors = sense("jetson", plant(ORIN_NX))
    assert channel(sensors, "VDD_IN", "power")["quantum"] == pytest.approx(5.048 * 40e-6 / 5e-3 + 0.960 * 8e-3)
    unknown = sense("jetson", plant(without(ORIN_NX, "shunt1_resistor")))
    assert channel(unknown, "VDD_IN", "power")["quantum"] is None


def test_an_agx_orin_names_the_formula_of_its_total_and_who_says_so(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    sensors = sense("jetson", plant(AGX_ORIN))
    assert list(sites(sensors, "power")) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]
    assert {one["scope"] for one in sensors.channels if one["kind"] == "power"} == {"rail"}
    (total,) = msgspec.convert(sensors.totals, list[Total])
    assert (total.scope, total.formula) == ("module", "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0")
    assert "tegrastats" in total.source
    assert "VDDQ_VDD2_1V8AO" in total.note
    assert sense("jetson", plant(without(AGX_ORIN, "hwmon3/in3"))).totals == []


def test_the_inlet_of_a_thor_is_the_board(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    sensors = sense("jetson", plant(THOR))
    assert sites(sensors, "power")["VIN"] == pytest.approx(23.01)
    assert channel(sensors, "VIN", "power")["scope"] == "board"
    assert channel(sensors, "VDD_GPU", "power")["scope"] == "rail"


def test_the_driver_of_jetpack_4_is_read_too(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    folder = "sys/bus/i2c/drivers/ina3221x/7-0040/iio:device0"
    rails = (("VDD_IN", 5000, 800), ("VDD_CPU_GPU_CV", 5000, 100), ("VDD_SOC", 5000, 200))
    tree = without(ORIN_NX, "hwmon3")
    for at, (label, millivolts, milliamperes) in enumerate(rails):
        tree |= {
            f"{folder}/rail_name_{at}": label,
            f"{folder}/in_voltage{at}_input": str(millivolts),
            f"{folder}/in_current{at}_input": str(milliamperes),
        }
    sensors = sense("jetson", plant(tree))
    assert sites(sensors, "power") == {"VDD_IN": 4.0, "VDD_CPU_GPU_CV": 0.5, "VDD_SOC": 1.0}
    assert channel(sensors, "VDD_IN", "power")["scope"] == "module"


def test_a_channel_that_is_switched_off_is_absent_and_says_so(
    plant: Callable[..., str], sense: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        if Path(f"/proc/self/fd/{fd}").resolve().match("hwmon3/in2_input"):
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return really(fd, size, offset)

    root = plant(ORIN_NX)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", pread)
        sensors = sense("jetson", root)
    assert "VDD_CPU_GPU_CV" not in sites(sensors, "power")
    assert "is switched off (by its inN_enable" in why(sensors)["VDD_CPU_GPU_CV"][0]


def test_a_rail_that_stops_answering_is_none_and_its_neighbours_are_not(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    root = plant(ORIN_NX)
    sensors = sense("jetson", root)
    Path(root, "sys/class/hwmon/hwmon3/curr1_input").write_text("nonsense")
    found = sites(sensors, "power")
    assert found["VDD_IN"] is None
    assert found["VDD_SOC"] == pytest.approx(5.040 * 0.296)


def test_two_monitors_without_labels_are_told_apart_by_their_address(build: Callable[..., str]) -> None:
    files: dict[str, object] = {"in1_input": 5000, "curr1_input": 100}
    tree = {**hwmon(1, "ina3221", "i2c/0-0040", **files), **hwmon(2, "ina3221", "i2c/0-0041", **files)}
    assert sites(host.Sensors(build(tree)), "power") == {"ina3221@0-0040/ch1": 0.5, "ina3221@0-0041/ch1": 0.5}


def test_the_step_of_an_ina226_follows_from_its_shunt(build: Callable[..., str]) -> None:
    sensors = host.Sensors(build(hwmon(1, "ina226", power1_input=1_000_000, shunt_resistor=2000)))
    assert channel(sensors, "ina226/power1", "power")["quantum"] == pytest.approx(25 * 2.5e-6 / 2e-3)
    assert channel(host.Sensors(build(hwmon(1, "ina226", power1_input=1))), "ina226/power1", "power")["quantum"] is None


def test_a_target_may_declare_what_an_unlabelled_monitor_covers(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    root = plant({**ROCK_5B, **hwmon(5, "ina226", power1_input=7_300_000)})
    assert channel(sense("rockchip", root), "ina226/power1", "power")["scope"] == "rail"
    declared = sense("rockchip", root, covers={"ina226/power1": "board", "ina226/power2": "board"})
    assert channel(declared, "ina226/power1", "power")["scope"] == "board"
    assert "there are: ina226/power1" in why(declared)["ina226/power2"][0]


# ---------------------------------------------------------------------------------------------------- boards without a meter


@pytest.mark.parametrize(
    ("family", "tree"), [("rockchip", ROCK_5B), ("rockchip", ROCK_4D), ("qualcomm", DRAGON_Q6A), ("nxp", IMX8MP), ("ascend", ATLAS)]
)
def test_a_board_without_a_sensor_of_power_says_so_and_names_the_meters(
    family: str, tree: Tree, plant: Callable[..., str], sense: Callable[..., Any]
) -> None:
    sensors = sense(family, plant(tree))
    assert sites(sensors, "power", "energy") == {}
    ((reason, fix),) = why(sensors).values()
    assert reason
    assert "--meter shelly://" in fix


# ---------------------------------------------------------------------------------------------------- clocks, loads, throttling, memory


def test_an_rk3588_shows_clocks_and_loads_of_all_its_engines(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    sensors = sense("rockchip", plant(ROCK_5B))
    assert sites(sensors, "frequency") == {"policy0": 408e6, "policy4": 408e6, "policy6": 408e6, "dram": 528e6, "gpu": 300e6, "npu": 300e6}
    found = {site: value for site, value in sites(sensors, "load").items() if "cpu" not in site}
    assert found == {"npu-core0": 0.07, "npu-core1": 0.0, "npu-core2": 0.93, "gpu": 0.43, "dram": 0.12}
    assert sites(sensors, "throttle") == {"cooling/cpufreq-cpu0#0": 0.0, "cooling/devfreq-fdab0000.npu#0": 3.0}
    memory = sites(sensors, "memory")
    assert (memory["cma-free"], memory["dma-buf"]) == (32768 * 1024, 12288.0)


def test_one_npu_core_and_a_driver_in_proc(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    assert sites(sense("rockchip", plant(ROCK_4D)), "load")["npu"] == 0.05


def test_the_file_that_wakes_the_npu_is_never_opened(plant: Callable[..., str], sense: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    root = plant(ROCK_5B)
    for name in ("open", "stat"):
        really = getattr(os, name)

        def noting(path: Any, *more: Any, really: Any = really, **named: Any) -> Any:
            opened.append(str(path))
            return really(path, *more, **named)

        monkeypatch.setattr(os, name, noting)
    half = HALF["rockchip"]
    half.pin({"npu": {"clock": "max"}}, root)
    half.restore(half.snapshot(root), root)
    half.state(root)
    half.doctor(root)
    sense("rockchip", root).read()
    assert any(path.endswith("rknpu/load") for path in opened)
    assert not [path for path in opened if path.endswith("rknpu/freq")]


def test_an_npu_load_that_only_root_may_read_is_absent_with_that_reason(
    plant: Callable[..., str], sense: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def closed(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if "/sys/kernel/debug/" in str(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, flags, *more, **named)

    root = plant(ROCK_5B)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", closed)
        sensors = sense("rockchip", root)
    reason, fix = why(sensors, "load")["npu"]
    assert "/sys/kernel/debug/rknpu/load is for root only" in reason
    assert "root" in fix
    none = sense("rockchip", plant(without(ROCK_5B, "rknpu/")))
    assert "No such file" in why(none, "load")["npu"][0]


def test_a_jetson_shows_its_gpu_its_memory_clock_and_its_over_current_events(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    sensors = sense("jetson", plant(ORIN_NX))
    assert sites(sensors, "load")["gpu"] == 0.431
    assert sites(sensors, "frequency") == {"policy0": 115.2e6, "gpu": 306e6, "dram": 2133e6}
    assert sites(sensors, "throttle") == {
        "cooling/cpu-throttle-alert#0": 0.0,
        "oc1 under-voltage": 0.0,
        "oc2 average over-current": 12.0,
        "oc3 instantaneous over-current": 27390.0,
    }
    assert sites(sensors, "memory")["nvmap"] == 2048 * 1024
    assert sites(sensors, "temperature")["cv0-thermal"] is None
    locked = sense("jetson", plant(without(ORIN_NX, "debug/bpmp", "17000000.gpu/device")))
    assert "dram" in why(locked, "frequency")
    assert "gpu" in why(locked, "load")


def test_over_current_counters_keep_bare_names_where_their_meaning_is_not_known(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    tree = {name: content.replace("tegra234", "tegra194") for name, content in ORIN_NX.items()}
    assert {"oc1", "oc2", "oc3"} <= set(sites(sense("jetson", plant(tree)), "throttle"))


def test_dma_buffers_are_added_up_now_and_then(plant: Callable[..., str], sense: Callable[..., Any]) -> None:
    root = plant(ROCK_5B)
    sensors = sense("rockchip", root)
    assert sites(sensors, "memory")["dma-buf"] == 12288.0
    Path(root, "sys/kernel/dmabuf/buffers/12/size").unlink()
    assert [sites(sensors, "memory")["dma-buf"] for _ in range(10)] == [12288.0] * 9 + [8192.0]
    assert "CONFIG_DMABUF_SYSFS_STATS" in why(sense("nxp", plant(IMX8MP)), "memory")["dma-buf"][1]


# ---------------------------------------------------------------------------------------------------- what a human is told


def told(family: str, root: str) -> dict[str, Any]:
    return {one["topic"]: one for one in HALF[family].doctor(root)}


def test_a_run_that_may_pin_makes_a_loose_governor_no_finding(plant: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(ROCK_5B)
    assert "clock" not in told("rockchip", root)
    assert told("rockchip", root)["pinning"]["ok"]
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda _path, mode, **_more: mode != os.W_OK)
        user = told("rockchip", root)
    assert not user["clock"]["ok"]
    assert "root@BOARD" in user["pinning"]["fix"]
    assert "neither cpufreq nor devfreq" in told("ascend", plant(ATLAS))["pinning"]["what"]


@pytest.mark.parametrize(
    ("family", "tree", "words"),
    [
        ("rockchip", ROCK_5B, "RKNPU driver: v0.9.8"),
        ("rockchip", without(ROCK_5B, "rknpu/"), "an rknpu driver is loaded"),
        ("rockchip", {**without(ROCK_5B, "rknpu/", ".npu/"), "dev/accel/accel0": ""}, "mainline driver rocket"),
        ("rockchip", without(ROCK_5B, "rknpu/", ".npu/"), "no NPU driver"),
        ("qualcomm", DRAGON_Q6A, "the compute DSP (cdsp) is running; /dev/fastrpc-cdsp"),
        ("qualcomm", without(DRAGON_Q6A, "remoteproc", "dev/"), "no compute DSP (cdsp); no /dev/fastrpc-cdsp"),
        ("nxp", IMX8MP, "/dev/galcore"),
        ("nxp", without(IMX8MP, "dev/"), "no NPU driver"),
        ("jetson", ORIN_NX, "Jetson Linux R36 (release), REVISION: 4.3; power mode 15W"),
        ("jetson", without(TEGRA, "usr/", "etc/nv"), "the power mode cannot be asked"),
        ("ascend", ATLAS, "/dev/davinci0, driver 23.0.0"),
        ("ascend", {}, "no NPU driver"),
    ],
)
def test_the_doctor_tells_which_npu_driver_there_is(family: str, tree: Tree, words: str, plant: Callable[..., str]) -> None:
    assert words in told(family, plant(tree))["npu"]["what"]


def test_the_doctor_says_that_an_emulated_board_is_none(plant: Callable[..., str]) -> None:
    found = told("rockchip", plant({**ROCK_5B, "proc/sys/kernel/arch": "x86_64"}))
    assert not found["emulated"]["ok"]
    assert "x86_64" in found["emulated"]["what"]
    assert "emulated" not in told("rockchip", plant(ROCK_5B))


def test_an_ascend_is_known_by_what_npu_smi_says(plant: Callable[..., str]) -> None:
    half = HALF["ascend"]
    assert half.probe(plant(ATLAS))["soc0"]["soc_id"] == "Ascend310B4"
    assert half.probe(plant(without(ATLAS, "npu-smi")))["soc0"]["soc_id"] == ""
    assert half.probe(plant({"usr/bin/npu-smi": "#!/bin/sh\nexit 3\n"}))["soc0"]["soc_id"] == ""
    assert half.parse_chips("| 0     310P3              | OK  | NA  51  996 / 996 |\n| 0     0 | 0000:01:00.0| 0 |\n| 1     910B3 | OK |\n") == [
        "310P3",
        "910B3",
    ]


def test_a_devfreq_node_is_what_its_name_says() -> None:
    board_families.load("jetson")
    role = board_families.sys_module("kernel").devfreq_role
    names = "fdab0000.npu 27700000.npu fb000000.gpu 17000000.ga10b gpu-gpc-0 3d00000.gpu dmc 3d400000.ddrc bwmgr"
    assert [role(name) for name in names.split()] == ["npu", "npu", "gpu", "gpu", "gpu", "gpu", "dram", "dram", "dram"]
    assert [role(name) for name in ("gpu-nvd-0", "1d84000.ufshc", "15340000.vic")] == ["", "", ""]
