"""Trees of files that stand for machines, and the board half that reads them: no number here is of a real machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import cache
from harness.measure.agent import load_half
from harness.spec import Zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Tree = dict[str, str]
POWERCAP = "sys/class/powercap"
CPUS = "sys/devices/system/cpu"
PRIVATE = "S3cr3t-0f-0ne-machine"
HALVES = Zoo().halves("boards", "host")


def load() -> Any:
    """The board half and what it uses, as the agent loads them; the half comes last."""
    return [load_half(str(path), cache.sha256(path), role) for role, path in HALVES][-1]


host = load()


def write(root: Path, tree: Tree) -> str:
    """Write a tree's files, each with its last line ended; a content "-> X" is a link, one that starts with #! a program."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_text(content if content.endswith(("\n", "\0")) else content + "\n")
            path.chmod(0o755 if content.startswith("#!") else 0o644)
    return str(root)


def planted(folder: Path, tree: Tree) -> str:
    """Write a tree below a new folder of `folder`; the root to look below."""
    root = folder / f"root{len(list(folder.glob('root*')))}"
    root.mkdir()
    return write(root, tree)


def zone(at: str, name: str, energy_uj: int, range_uj: int = 262_143_328_850) -> Tree:
    folder = f"{POWERCAP}/intel-rapl{'' if at.startswith('-') else ':'}{at}"
    return {f"{folder}/name": name, f"{folder}/energy_uj": str(energy_uj), f"{folder}/max_energy_range_uj": str(range_uj)}


def hwmon(index: int, name: str, device: str = "", **files: object) -> Tree:
    """One hardware monitor; `device` is the name of the device that it belongs to."""
    tree = {f"sys/class/hwmon/hwmon{index}/{key}": str(value) for key, value in files.items()}
    tree[f"sys/class/hwmon/hwmon{index}/name"] = name
    if device:
        tree[f"sys/class/hwmon/hwmon{index}/device"] = f"-> ../../../devices/{device}"
        tree[f"sys/devices/{device}/uevent"] = ""
    return tree


def cpu_times(user: int = 1000, idle: int = 8000, steal: int = 0) -> str:
    return f"cpu  {user} 0 500 {idle} 100 0 10 {steal} 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1 2 3\n"


def policy(number: int, cpus: str, hertz: int = 2_000_000_000, most: int = 4_000_000_000, governor: str = "powersave") -> Tree:
    folder = f"{CPUS}/cpufreq/policy{number}"
    return {
        f"{folder}/scaling_governor": governor,
        f"{folder}/scaling_cur_freq": str(hertz // 1000),
        f"{folder}/scaling_max_freq": str(most // 1000),
        f"{folder}/affected_cpus": cpus,
    }


def x86_info(model: str, cpus: int, flags: str) -> str:
    return "\n\n".join(f"processor\t: {cpu}\nmodel name\t: {model}\nflags\t\t: fpu {flags}" for cpu in range(cpus)) + "\n"


KERNEL: Tree = {
    "proc/sys/kernel/arch": "x86_64",
    "proc/sys/kernel/osrelease": "6.8.0-45-generic",
    "proc/sys/kernel/hostname": PRIVATE,
    "etc/hostname": PRIVATE,
    "etc/machine-id": PRIVATE,
    "sys/class/net/eth0/address": PRIVATE,
    "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
    "proc/stat": cpu_times(),
    "proc/loadavg": "0.21 0.30 0.25 1/900 4242",
    "proc/meminfo": "MemTotal:       32768000 kB\nMemFree: 1 kB\nMemAvailable:   16384000 kB\nSwapTotal:       2048 kB\nSwapFree:        1024 kB\n",
    "proc/pressure/cpu": "some avg10=12.50 avg60=1.00 avg300=0.10 total=123456\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    "proc/pressure/io": "some avg10=1.00 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0",
}

LAPTOP: Tree = {
    **KERNEL,
    "proc/cpuinfo": x86_info("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", 4, "sse4_2 avx avx2 f16c fma"),
    "sys/class/dmi/id/sys_vendor": "LENOVO",
    "sys/class/dmi/id/product_name": "20L7CTO1WW",
    "sys/class/dmi/id/product_serial": PRIVATE,
    "sys/class/dmi/id/board_serial": PRIVATE,
    "sys/class/dmi/id/product_uuid": PRIVATE,
    f"{POWERCAP}/intel-rapl/enabled": "1",
    **zone("0", "package-0", 5_000_000),
    **zone("0:0", "core", 3_000_000),
    **zone("0:1", "uncore", 500_000),
    **zone("0:2", "dram", 1_000_000, 65_712_999_613),
    **zone("1", "psys", 9_000_000),
    **zone("-mmio:0", "package-0", 5_000_123),
    **policy(0, "0", governor="powersave"),
    **policy(1, "1", hertz=1_200_000_000, governor="powersave"),
    f"{CPUS}/cpufreq/policy0/stats/time_in_state": "400000 1000\n4000000 250\n",
    f"{CPUS}/intel_pstate/no_turbo": "0",
    f"{CPUS}/smt/active": "1",
    f"{CPUS}/cpu0/thermal_throttle/core_throttle_count": "3",
    f"{CPUS}/cpu0/thermal_throttle/package_throttle_count": "17",
    f"{CPUS}/cpu0/thermal_throttle/package_throttle_max_time_ms": "99",
    **{f"{CPUS}/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index0/level": "1" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index0/type": "Data" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index0/size": "32K" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index0/shared_cpu_list": f"{cpu % 2},{cpu % 2 + 2}" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index3/level": "3" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index3/type": "Unified" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index3/size": "8192K" for cpu in range(4)},
    **{f"{CPUS}/cpu{cpu}/cache/index3/shared_cpu_list": "0-3" for cpu in range(4)},
    "sys/class/thermal/thermal_zone0/type": "acpitz",
    "sys/class/thermal/thermal_zone0/temp": "27800",
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp",
    "sys/class/thermal/thermal_zone1/temp": "61000",
    "sys/class/thermal/cooling_device0/type": "Processor",
    "sys/class/thermal/cooling_device0/cur_state": "0",
    "sys/class/thermal/cooling_device1/type": "Processor",
    "sys/class/thermal/cooling_device1/cur_state": "3",
    "sys/class/thermal/cooling_device2/type": "Fan",
    "sys/class/thermal/cooling_device2/cur_state": "1",
    **hwmon(3, "coretemp", temp1_label="Package id 0", temp1_input=60000, temp2_label="Core 0", temp2_input=58000),
    **hwmon(4, "BAT0", in0_input=11500, power1_input=9_990_000),
    "sys/class/power_supply/AC/type": "Mains",
    "sys/class/power_supply/BAT0/type": "Battery",
    "sys/class/power_supply/BAT0/status": "Full",
    "sys/class/power_supply/BAT0/power_now": "0",
    "sys/class/power_supply/BAT0/serial_number": PRIVATE,
}

SERVER: Tree = {
    **KERNEL,
    "proc/cpuinfo": x86_info("Intel(R) Xeon(R) Platinum 8480+", 4, "avx2 avx512f avx512_vnni avx512_bf16 amx_int8 amx_bf16 amx_tile"),
    "sys/class/dmi/id/sys_vendor": "To Be Filled By O.E.M.",
    "sys/class/dmi/id/product_name": "To Be Filled By O.E.M.",
    "sys/class/dmi/id/board_vendor": "Supermicro",
    "sys/class/dmi/id/board_name": "X13DEI",
    **zone("0", "package-0", 700_000_000),
    **zone("0:0", "dram", 70_000_000, 65_712_999_613),
    **zone("1", "package-1", 900_000_000),
    **zone("1:0", "dram", 90_000_000, 65_712_999_613),
    **zone("2", "psys", 0),
    **hwmon(0, "coretemp", "coretemp.0", temp1_label="Package id 0", temp1_input=45000, temp2_label="Core 0", temp2_input=44000),
    **hwmon(1, "coretemp", "coretemp.1", temp1_label="Package id 1", temp1_input=47000),
    **hwmon(2, "power_meter", "ACPI000D:00", power1_average=412_000_000, power1_serial_number=PRIVATE),
}

DESKTOP: Tree = {
    **KERNEL,
    "proc/cpuinfo": x86_info("AMD Ryzen 9 7950X 16-Core Processor", 2, "avx2 fma avx512f avx512_vnni avx512_bf16"),
    "sys/class/dmi/id/sys_vendor": "System manufacturer",
    "sys/class/dmi/id/product_name": "System Product Name",
    "sys/class/dmi/id/board_vendor": "ASUSTeK COMPUTER INC.",
    "sys/class/dmi/id/board_name": "ProArt X670E",
    **zone("0", "package-0", 123_456_789, 65_532_610_987),
    **zone("0:0", "core", 23_456_789, 65_532_610_987),
    **hwmon(1, "nvme", "nvme0", temp1_input=39850),
    **hwmon(2, "k10temp", "0000:00:18.3", temp1_label="Tctl", temp1_input=52375, temp3_label="Tccd1", temp3_input=44500),
    **hwmon(3, "amdgpu", "0000:03:00.0", power1_label="PPT", power1_average=21_000_000, in0_label="vddgfx"),
    **hwmon(4, "amdgpu", "0000:0f:00.0", power1_label="PPT", power1_input=33_000_000, in1_label="vddnb"),
    f"{CPUS}/cpufreq/boost": "1",
    **policy(0, "0", governor="performance"),
}

BOARD: Tree = {
    **KERNEL,
    "proc/sys/kernel/arch": "aarch64",
    "proc/cpuinfo": "\n\n".join(
        f"processor\t: {cpu}\nFeatures\t: fp asimd asimdhp asimddp{' i8mm' if cpu > 3 else ''}\nCPU implementer\t: 0x41\nCPU part\t: {part}"
        for cpu, part in enumerate(["0xd05"] * 4 + ["0xd0b"] * 4)
    )
    + f"\n\nSerial\t\t: {PRIVATE}\n",
    "proc/device-tree/model": "Radxa ROCK 5B\0",
    "proc/device-tree/compatible": "radxa,rock-5b\0rockchip,rk3588\0",
    "proc/device-tree/serial-number": f"{PRIVATE}\0",
    **policy(0, "0 1 2 3", hertz=1_800_000_000, most=1_800_000_000, governor="ondemand"),
    **policy(4, "4 5", hertz=2_400_000_000, most=2_400_000_000, governor="ondemand"),
    "sys/class/thermal/thermal_zone0/type": "soc-thermal",
    "sys/class/thermal/thermal_zone0/temp": "48538",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
    "sys/class/thermal/thermal_zone1/temp": "-274000",
    "sys/class/thermal/cooling_device0/type": "pwm-fan",
    "sys/class/thermal/cooling_device0/cur_state": "2",
    **hwmon(0, "ina226", "1-0040", power1_input=4_109_000, in1_input=5061, curr1_input=812),
    **hwmon(1, "ina226", "1-0041", power1_input=900_000),
    **hwmon(2, "rpi_volt", in0_lcrit_alarm=1),
}

GUEST: Tree = {
    **KERNEL,
    "proc/cpuinfo": x86_info("AMD EPYC", 2, "avx2 hypervisor"),
    "sys/class/dmi/id/sys_vendor": "QEMU",
    "sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)",
    "proc/stat": cpu_times(steal=250),
}

CONTAINER: Tree = {
    **KERNEL,
    "proc/cpuinfo": x86_info("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", 4, "avx2"),
    "proc/1/cgroup": "0::/\n",
    "proc/self/mountinfo": "611 549 0:65 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/AB\n",
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/cpu.max": "150000 100000",
    f"{POWERCAP}/intel-rapl:0": "-> ../../devices/virtual/powercap/intel-rapl/intel-rapl:0",
}

MACHINES = {
    "laptop": LAPTOP,
    "server": SERVER,
    "desktop": DESKTOP,
    "board": BOARD,
    "guest": GUEST,
    "container": CONTAINER,
    "bare": {},
}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """A function that writes a machine's files and returns the root to look below. Sensors opened in the test are closed after it."""
    opened: list[Any] = []
    real = host.Sensors

    def kept(*arguments: Any, **more: Any) -> Any:
        opened.append(real(*arguments, **more))
        return opened[-1]

    monkeypatch.setattr(host, "Sensors", kept)

    yield lambda tree, **more: planted(tmp_path, {**tree, **more})
    for sensors in opened:
        sensors.close()


def sites(sensors: Any, *kinds: str) -> dict[str, float | None]:
    """The channels of those kinds, by site, with their values now."""
    return {one["site"]: value for one, value in zip(sensors.channels, sensors.read(), strict=True) if one["kind"] in kinds}


def channel(sensors: Any, site: str, kind: str) -> Any:
    return next(one for one in sensors.channels if (one["site"], one["kind"]) == (site, kind))


def why(sensors: Any, kind: str = "power") -> dict[str, tuple[str, str]]:
    return {one["site"]: (one["reason"], one["fix"]) for one in sensors.absent if one["kind"] == kind}


def without(tree: Tree, *parts: str) -> Tree:
    return {name: content for name, content in tree.items() if not any(part in name for part in parts)}


def only(tree: Tree, *parts: str) -> Tree:
    return {name: content for name, content in tree.items() if any(part in name for part in parts)}
