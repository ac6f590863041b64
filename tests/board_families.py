"""Trees of files that stand for boards of the five families, the halves that read them, and stand-ins for their vendors' programs.

The shapes are those of recorded boards; no number here is a measurement. The programs are our own: they print what the real ones print, and keep
their state in files below the same root.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import cache
from harness.measure.agent import load_half
from harness.spec import Zoo
from tests import board_trees
from tests.board_trees import CPUS, KERNEL, PRIVATE, Tree, hwmon, planted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

write = board_trees.write
FAMILIES = ("rockchip", "jetson", "qualcomm", "nxp", "ascend")
OF = "sys/firmware/devicetree/base"
DEVFREQ = "sys/class/devfreq"
EMC = "sys/kernel/debug/bpmp/debug/clk/emc"


def load(family: str) -> Any:
    """The board half of a family and what it uses, as the agent loads them; the half comes last."""
    return [load_half(str(path), cache.sha256(path), role) for role, path in Zoo().halves("boards", family)][-1]


def sys_module(name: str) -> Any:
    """A library of the half that was loaded last."""
    return sys.modules[f"socbench_{name}"]


HALF = {family: load(family) for family in FAMILIES}


def device_tree(model: str, *compatible: str) -> Tree:
    return {f"{OF}/model": f"{model}\0", f"{OF}/compatible": "".join(f"{one}\0" for one in compatible), f"{OF}/serial-number": f"{PRIVATE}\0"}


def cpus(number: int, cpus: str, least: int, most: int, governor: str = "ondemand") -> Tree:
    """A cpufreq policy; clocks in kHz, as the kernel writes them. Its clock is the one that userspace sets."""
    folder = f"{CPUS}/cpufreq/policy{number}"
    return {
        f"{folder}/affected_cpus": f"{cpus}\n",
        f"{folder}/cpuinfo_min_freq": f"{least}\n",
        f"{folder}/cpuinfo_max_freq": f"{most}\n",
        f"{folder}/scaling_available_governors": "conservative ondemand userspace powersave performance schedutil \n",
        f"{folder}/scaling_governor": f"{governor}\n",
        f"{folder}/scaling_setspeed": f"{least}\n",  # a kernel says <unsupported> here, except under the governor userspace
        f"{folder}/scaling_min_freq": f"{least}\n",
        f"{folder}/scaling_max_freq": f"{most}\n",
        f"{folder}/scaling_cur_freq": "-> scaling_setspeed",
    }


def engine(name: str, clocks: list[int], governors: str, governor: str, **more: str) -> Tree:
    """A devfreq node; clocks in MHz. Its clock is the one that userspace sets: a kernel that obeys at once."""
    folder = f"{DEVFREQ}/{name}"
    return {
        f"{folder}/governor": f"{governor}\n",
        f"{folder}/available_governors": f"{governors}\n",
        f"{folder}/available_frequencies": " ".join(f"{one}000000" for one in clocks) + " \n",
        f"{folder}/min_freq": f"{clocks[0]}000000\n",
        f"{folder}/max_freq": f"{clocks[-1]}000000\n",
        f"{folder}/userspace/set_freq": f"{clocks[0]}000000\n",
        f"{folder}/cur_freq": "-> userspace/set_freq",
        **{f"{folder}/{key}": value for key, value in more.items()},
    }


def zones(*named: tuple[str, int]) -> Tree:
    tree: Tree = {}
    for at, (kind, millidegrees) in enumerate(named):
        tree |= {f"sys/class/thermal/thermal_zone{at}/type": f"{kind}\n", f"sys/class/thermal/thermal_zone{at}/temp": f"{millidegrees}\n"}
    return tree


def coolers(*named: tuple[str, int]) -> Tree:
    tree: Tree = {}
    for at, (kind, now) in enumerate(named):
        tree |= {f"sys/class/thermal/cooling_device{at}/type": f"{kind}\n", f"sys/class/thermal/cooling_device{at}/cur_state": f"{now}\n"}
    return tree


def ina3221(index: int, address: str, *rails: tuple[str, int, int], shunt: int = 5000) -> Tree:
    """One monitor: (label, mV, mA) by channel, and beside them the shunt voltages and the sum, which are no rails."""
    files: dict[str, object] = {"in4_input": 4800, "in7_input": 9999, "in7_label": "sum of shunt voltages", "curr4_input": 1420}
    for at, (label, millivolts, milliamperes) in enumerate(rails, 1):
        files |= {f"in{at}_label": label, f"in{at}_input": millivolts, f"curr{at}_input": milliamperes, f"shunt{at}_resistor": shunt}
    return hwmon(index, "ina3221", f"platform/i2c/{address}", **files)


ARM: Tree = {
    **KERNEL,
    "proc/sys/kernel/arch": "aarch64",
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n",
}
MEMINFO = "MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable: 8000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nCmaTotal: 65536 kB\nCmaFree: 32768 kB\n"
ROCKCHIP_GOVERNORS = "rknpu_ondemand dmc_ondemand userspace powersave performance simple_ondemand"

ROCK_5B: Tree = {
    **ARM,
    **device_tree("Radxa ROCK 5B", "radxa,rock-5b", "rockchip,rk3588"),
    "proc/meminfo": MEMINFO,
    **cpus(0, "0 1 2 3", 408000, 1800000),
    **cpus(4, "4 5", 408000, 2256000),
    **cpus(6, "6 7", 408000, 2304000),
    **engine("fdab0000.npu", [300, 400, 500, 600, 700, 800, 900, 1000], ROCKCHIP_GOVERNORS, "rknpu_ondemand"),
    **engine("fb000000.gpu", [300, 600, 1000], ROCKCHIP_GOVERNORS, "simple_ondemand", load="43@300000000Hz\n"),
    **engine("dmc", [528, 1068, 1560, 2112], ROCKCHIP_GOVERNORS, "dmc_ondemand", load="12@528000000Hz\n"),
    "sys/kernel/debug/rknpu/version": "RKNPU driver: v0.9.8\n",
    "sys/kernel/debug/rknpu/load": "NPU load:  Core0:  7%, Core1:   %, Core2: 93%,\n",
    "sys/kernel/debug/rknpu/freq": "1000000000\n",
    **zones(("soc-thermal", 35_230), ("npu-thermal", 34_307)),
    **coolers(("pwm-fan", 2), ("cpufreq-cpu0", 0), ("devfreq-fdab0000.npu", 3)),
    "sys/kernel/dmabuf/buffers/12/size": "4096\n",
    "sys/kernel/dmabuf/buffers/13/size": "8192\n",
    "sys/class/power_supply/tcpm-source-psy-4-0022/type": "USB\n",
    **hwmon(0, "tcpm_source_psy_4_0022", in0_input=5000, curr1_input=3000),
}
ROCK_4D: Tree = {
    **ARM,
    **device_tree("Radxa ROCK 4D", "radxa,rock-4d-spi", "rockchip,rk3576"),
    **cpus(0, "0 1 2 3", 408000, 2208000, "performance"),
    **engine("27700000.npu", [300, 900, 950], "powersave performance simple_ondemand", "simple_ondemand"),
    f"{DEVFREQ}/27700000.npu/cur_freq": "950000000\n",
    "proc/rknpu/load": "NPU load:  5%\n",
    "proc/rknpu/version": "RKNPU driver: v0.9.8\n",
}

NVPMODEL = """#!/bin/sh
root=$(dirname "$0")/../..
status=$root/var/lib/nvpmodel/status
name() { sed -n "s/^< POWER_MODEL ID=$1 NAME=\\(.*\\) >$/\\1/p" "$root/etc/nvpmodel.conf"; }
case $1 in
-q) echo "NVPM WARN: fan mode is not set!"; echo "NV Power Mode: $(name "$(cat "$status")")"; cat "$status" ;;
-m) if [ -e "$root/locked" ]; then echo "NVPM ERROR: Error opening $status: 13"; exit 255; fi
    if [ "$2" = 3 ]; then
        echo "NVPM WARN: Reboot required for changing to this power mode: 3"
        echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
        read -r answer
        case $answer in YES|yes) echo now >"$root/rebooting" ;; *) echo "NVPM ERROR: optMask is 1, no request for power mode"; exit 255 ;; esac
    fi
    echo "$2" >"$status" ;;
esac
"""
JETSON_CLOCKS = """#!/bin/sh
root=$(dirname "$0")/../..
if [ -e "$root/locked" ]; then echo "Error: Run this script(jetson_clocks) as a root user"; exit 1; fi
cd "$root" || exit 1
held="sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq sys/class/devfreq/17000000.gpu/min_freq sys/kernel/debug/bpmp/debug/clk/emc/rate
 sys/kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked"
case $1 in
--store) [ -e "$2" ] && exit 1; for one in $held; do echo "$one:$(cat $one)"; done >"$2" ;;
--restore) while IFS=: read -r one value; do echo "$value" >"$one"; done <"$2" ;;
'') cat sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq >sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq
    cat sys/class/devfreq/17000000.gpu/max_freq >sys/class/devfreq/17000000.gpu/min_freq
    cat sys/kernel/debug/bpmp/debug/clk/emc/max_rate >sys/kernel/debug/bpmp/debug/clk/emc/rate
    echo 1 >sys/kernel/debug/bpmp/debug/clk/emc/mrq_rate_locked ;;
esac
"""
TEGRA: Tree = {
    **ARM,
    "proc/meminfo": MEMINFO + "NvMapMemFree: 4096 kB\nNvMapMemUsed: 2048 kB\n",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n",
    "etc/nvpmodel.conf": "".join(f"< POWER_MODEL ID={at} NAME={name} >\n" for at, name in enumerate(("MAXN", "10W", "15W", "25W"))),
    "var/lib/nvpmodel/status": "2\n",
    "usr/sbin/nvpmodel": NVPMODEL,
    "usr/bin/jetson_clocks": JETSON_CLOCKS,
    **cpus(0, "0 1 2 3", 115200, 1984000, "schedutil"),
    **engine("17000000.gpu", [306, 612, 918], "nvhost_podgov userspace performance simple_ondemand", "nvhost_podgov"),
    f"{DEVFREQ}/17000000.gpu/device/load": "431\n",
    f"{EMC}/rate": "2133000000\n",
    f"{EMC}/max_rate": "3199000000\n",
    f"{EMC}/mrq_rate_locked": "0\n",
    **zones(("cpu-thermal", 50_031), ("gpu-thermal", 49_031), ("cv0-thermal", -256_000), ("tj-thermal", 50_250)),
    **coolers(("pwm-fan", 1), ("cpu-throttle-alert", 0)),
    **hwmon(9, "soctherm_oc", oc1_event_cnt=0, oc1_throt_en=1, oc2_event_cnt=12, oc3_event_cnt=27_390),
}
ORIN_NX: Tree = {
    **TEGRA,
    **device_tree(
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"
    ),
    **ina3221(3, "1-0040", ("VDD_IN", 5048, 960), ("VDD_CPU_GPU_CV", 5048, 136), ("VDD_SOC", 5040, 296)),
}
AGX_ORIN: Tree = {
    **TEGRA,
    **device_tree("NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"),
    **ina3221(3, "1-0040", ("VDD_GPU_SOC", 19_000, 270), ("VDD_CPU_CV", 19_000, 172), ("VIN_SYS_5V0", 5000, 1100), shunt=2000),
    **ina3221(4, "1-0041", ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 4900, 120), ("NC", 0, 0), shunt=2000),
}
THOR: Tree = {
    **TEGRA,
    **device_tree("NVIDIA Jetson AGX Thor Developer Kit", "nvidia,p4071-0000+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
    **ina3221(5, "2-0040", ("VDD_GPU", 12_000, 200), ("VDD_CPU_SOC_MSS", 12_000, 500), ("VIN_SYS_5V0", 5000, 1300)),
    **hwmon(6, "ina238", "platform/i2c/2-0044", in0_input=1, in1_input=19_500, curr1_input=1180, power1_input=23_010_000),
}
DRAGON_Q6A: Tree = {
    **ARM,
    **device_tree("Radxa Dragon Q6A", "radxa,dragon-q6a", "qcom,qcm6490"),
    "sys/devices/soc0/machine": "QCS6490\n",
    "sys/devices/soc0/family": "Snapdragon\n",
    "sys/devices/soc0/soc_id": "498\n",
    "sys/devices/soc0/revision": "1.0\n",
    "sys/devices/soc0/serial_number": PRIVATE,
    **cpus(0, "0 1 2 3", 300000, 1958400, "schedutil"),
    **engine("3d00000.gpu", [315, 812], "simple_ondemand performance", "simple_ondemand"),
    **engine("1d84000.ufshc", [75, 300], "simple_ondemand performance", "simple_ondemand"),
    "sys/class/remoteproc/remoteproc0/name": "adsp\n",
    "sys/class/remoteproc/remoteproc1/name": "cdsp\n",
    "sys/class/remoteproc/remoteproc1/state": "running\n",
    "dev/fastrpc-cdsp": "",
    "sys/class/power_supply/qcom-battmgr-bat/type": "Battery\n",
    **hwmon(2, "qcom_battmgr_bat", in0_input=0, power1_input=0),
}
IMX8MP: Tree = {
    **ARM,
    **device_tree("NXP i.MX8MPlus EVK board", "fsl,imx8mp-evk", "fsl,imx8mp"),
    "sys/devices/soc0/soc_id": "i.MX8MP\n",
    "sys/devices/soc0/family": "Freescale i.MX\n",
    "sys/devices/soc0/machine": "NXP i.MX8MPlus EVK board\n",
    **cpus(0, "0-3", 1200000, 1800000, "schedutil"),
    **engine("3d400000.ddrc", [100, 2000], "userspace performance", "userspace"),
    "dev/galcore": "",
}
NPU_SMI = """#!/bin/sh
echo "+--------------------------------------------------------------------------------------------------------+"
echo "| npu-smi 23.0.0                                   Version: 23.0.0                                       |"
echo "+-------------------------------+-----------------+------------------------------------------------------+"
echo "| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |"
echo "| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |"
echo "+===============================+=================+======================================================+"
echo "| 0       310B4                 | Alarm           | 0.0          53                15    / 15            |"
echo "| 0       0                     | NA              | 0            2331 / 7545                             |"
echo "+===============================+=================+======================================================+"
"""
ATLAS: Tree = {
    **ARM,
    "usr/local/bin/npu-smi": NPU_SMI,
    "dev/davinci0": "",
    "usr/local/Ascend/driver/version.info": "Version=23.0.0\nascendhal_version=7.0.0\n",
}
BOARDS = {
    "rock-5b": ("rockchip", ROCK_5B),
    "rock-4d": ("rockchip", ROCK_4D),
    "orin-nx": ("jetson", ORIN_NX),
    "agx-orin": ("jetson", AGX_ORIN),
    "thor": ("jetson", THOR),
    "dragon-q6a": ("qualcomm", DRAGON_Q6A),
    "imx8mp": ("nxp", IMX8MP),
    "atlas": ("ascend", ATLAS),
}


def contents(root: str) -> dict[str, bytes]:
    """Every file below `root`, to the byte."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(Path(root).rglob("*")) if path.is_file()}


@pytest.fixture
def plant(tmp_path: Path) -> Callable[..., str]:
    """A function that writes a tree, with changes, and returns the root to look below."""
    return lambda tree, **more: planted(tmp_path, {**tree, **more})


@pytest.fixture
def sense() -> Iterator[Callable[..., Any]]:
    """A function that opens a family's sensors; they are closed after the test."""
    opened: list[Any] = []

    def sensed(family: str, *arguments: Any, **more: Any) -> Any:
        opened.append(HALF[family].Sensors(*arguments, **more))
        return opened[-1]

    yield sensed
    for one in opened:
        one.close()
