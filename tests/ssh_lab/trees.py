"""What the boards show below /sys and in /proc/cpuinfo: an RK3588 and a Jetson Orin NX, with values that move only when a test moves them.

The names of files, rails and devices are those of the vendors' kernels (for the Jetson: Documentation/hwmon/ina3221.rst and
tegra234-p3767.dtsi; for the RK3588: rk3588.dtsi, Documentation/ABI/testing/sysfs-class-devfreq); no number is of a real machine.
"""

from __future__ import annotations

from pathlib import Path

Tree = dict[str, str]
CPUS = "sys/devices/system/cpu"
ARM = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


def plant(tree: Tree, root: Path) -> None:
    """Write a tree's files; content that begins with "-> " is a link."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_text(content if content.endswith(("\n", "\0")) else content + "\n")


def processors(*parts: tuple[str, int, int, int]) -> Tree:
    """CPUs in clusters: part number in the main ID register, how many, and their lowest and highest clock [kHz]."""
    tree: Tree = {}
    blocks, first = [], 0
    for part, count, low, high in parts:
        cpus = range(first, first + count)
        folder = f"{CPUS}/cpufreq/policy{first}"
        clocks = {"cpuinfo_min_freq": low, "scaling_min_freq": low, "scaling_cur_freq": low, "cpuinfo_max_freq": high, "scaling_max_freq": high}
        tree |= {f"{folder}/{key}": str(value) for key, value in clocks.items()}
        tree[f"{folder}/scaling_governor"] = "schedutil"
        tree[f"{folder}/scaling_available_governors"] = "performance schedutil ondemand userspace powersave"
        tree[f"{folder}/affected_cpus"] = tree[f"{folder}/related_cpus"] = " ".join(map(str, cpus))
        for cpu in cpus:
            topology = f"{CPUS}/cpu{cpu}/topology"
            tree[f"{CPUS}/cpu{cpu}/cpufreq"] = f"-> ../cpufreq/policy{first}"
            tree[f"{CPUS}/cpu{cpu}/regs/identification/midr_el1"] = f"0x00000000410f{part[2:]}0"
            tree |= {f"{topology}/core_id": str(cpu), f"{topology}/physical_package_id": "0", f"{topology}/thread_siblings_list": str(cpu)}
            tree[f"{topology}/cluster_cpus_list"] = f"{first}-{first + count - 1}"
            lines = (f"processor\t: {cpu}", f"Features\t: {ARM}", "CPU implementer\t: 0x41", "CPU architecture: 8", "CPU variant\t: 0x0")
            blocks.append("\n".join([*lines, f"CPU part\t: {part}", "CPU revision\t: 0"]))
        first += count
    for cpu in range(first):
        tree[f"{CPUS}/cpu{cpu}/topology/core_siblings_list"] = f"0-{first - 1}"
    tree |= {f"{CPUS}/{name}": f"0-{first - 1}" for name in ("present", "possible", "online")} | {f"{CPUS}/offline": "", f"{CPUS}/kernel_max": "255"}
    return tree | {"proc/cpuinfo": "\n\n".join(blocks) + "\n\n"}


def devfreq(name: str, hertz: list[int], governor: str, governors: str) -> Tree:
    """A device with clocks of its own: at its lowest, free to use all."""
    folder = f"sys/class/devfreq/{name}"
    numbers = {"cur_freq": hertz[0], "min_freq": hertz[0], "max_freq": hertz[-1]}
    lists = {"available_frequencies": " ".join(map(str, hertz)), "governor": governor, "available_governors": governors}
    return {f"{folder}/{key}": str(value) for key, value in {**numbers, **lists}.items()}


def zones(**temperatures: int) -> Tree:
    """Thermal zones by type [0.001 °C]."""
    tree: Tree = {}
    for number, (kind, value) in enumerate(temperatures.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        tree |= {f"{folder}/type": kind.replace("_", "-"), f"{folder}/temp": str(value)}
    return tree


def known_as(model: str, *compatible: str) -> Tree:
    """The root of the device tree."""
    base = "sys/firmware/devicetree/base"
    return {f"{base}/model": f"{model}\0", f"{base}/compatible": "".join(f"{name}\0" for name in compatible)}


MHZ = 1_000_000
RK3588: Tree = {
    **known_as("Radxa ROCK 5B", "radxa,rock-5b", "rockchip,rk3588"),
    **processors(("0xd05", 4, 408_000, 1_800_000), ("0xd0b", 2, 408_000, 2_400_000), ("0xd0b", 2, 408_000, 2_400_000)),
    **devfreq("fdab0000.npu", [MHZ * step for step in range(300, 1001, 100)], "rknpu_ondemand", "rknpu_ondemand userspace powersave performance"),
    **devfreq("fb000000.gpu", [MHZ * step for step in range(300, 1001, 100)], "simple_ondemand", "userspace performance simple_ondemand"),
    **devfreq("dmc", [MHZ * step for step in (528, 1068, 1560, 2112)], "dmc_ondemand", "dmc_ondemand userspace powersave performance"),
    **zones(soc_thermal=38_800, bigcore0_thermal=39_700, littlecore_thermal=38_800, npu_thermal=37_900, gpu_thermal=37_900),
    "sys/class/thermal/cooling_device0/type": "pwm-fan",
    "sys/class/thermal/cooling_device0/cur_state": "1",
    "sys/class/thermal/cooling_device0/max_state": "4",
    "sys/kernel/debug/rknpu/version": "RKNPU driver: v0.9.8",
    "sys/kernel/debug/rknpu/load": "NPU load:  Core0:  0%, Core1:  0%, Core2:  0%,",
}
"""A board without any power sensor, as these boards are."""

INA3221 = "sys/class/hwmon/hwmon3"
ORIN_NX: Tree = {
    **known_as("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", "nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
    **processors(("0xd42", 4, 115_200, 1_984_000), ("0xd42", 4, 115_200, 1_984_000)),
    **devfreq("17000000.gpu", [MHZ * step for step in (306, 408, 510, 612, 714, 816, 918)], "nvhost_podgov", "nvhost_podgov userspace performance"),
    **zones(cpu_thermal=44_000, soc0_thermal=43_100, gpu_thermal=42_600, tj_thermal=44_000),
    f"{INA3221}/name": "ina3221",
    **{
        f"{INA3221}/{file}": value
        for rail, label, millivolt, milliampere in ((1, "VDD_IN", 5040, 1000), (2, "VDD_CPU_GPU_CV", 5040, 136), (3, "VDD_SOC", 5040, 296))
        for file, value in {f"in{rail}_label": label, f"in{rail}_input": str(millivolt), f"curr{rail}_input": str(milliampere)}.items()
    },
    f"{INA3221}/in7_label": "sum of shunt voltages",
    f"{INA3221}/in7_input": "1432",
    "sys/class/hwmon/hwmon0/name": "soctherm_oc",
    "sys/class/hwmon/hwmon0/oc1_event_cnt": "0",
    "sys/class/hwmon/hwmon0/oc3_event_cnt": "0",
}
"""A board with the power of the module (VDD_IN) and of parts of it."""
