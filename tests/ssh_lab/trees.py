"""What the boards show below /sys and in /proc/cpuinfo: an RK3588 and a Jetson Orin NX, with values that move only when a test moves them.

The boards are those of tests/board_families.py, at rest and with every CPU of theirs; no number is of a real machine.
"""

from __future__ import annotations

from tests import board_families
from tests.board_families import DEVFREQ, OF, ROCK_5B, coolers, cpus, ina3221, zones
from tests.board_trees import CPUS, Tree, hwmon, only

ARM = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"


def processors(*parts: tuple[str, int, int, int]) -> Tree:
    """CPUs in clusters: part number in the main ID register, how many, and their lowest and highest clock [kHz]."""
    tree: Tree = {}
    blocks, first = [], 0
    for part, count, low, high in parts:
        numbers = " ".join(map(str, range(first, first + count)))
        tree |= {**cpus(first, numbers, low, high, "schedutil"), f"{CPUS}/cpufreq/policy{first}/related_cpus": numbers}
        for cpu in range(first, first + count):
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


RK3588: Tree = {
    **only(ROCK_5B, OF, DEVFREQ, "rknpu/version"),
    **processors(("0xd05", 4, 408_000, 1_800_000), ("0xd0b", 2, 408_000, 2_256_000), ("0xd0b", 2, 408_000, 2_304_000)),
    **zones(("soc-thermal", 38_800), ("bigcore0-thermal", 39_700), ("littlecore-thermal", 38_800), ("npu-thermal", 37_900), ("gpu-thermal", 37_900)),
    **coolers(("pwm-fan", 1)),
    "sys/kernel/debug/rknpu/load": "NPU load:  Core0:  0%, Core1:  0%, Core2:  0%,",
}
"""A board without any power sensor, as these boards are."""

INA3221 = "sys/class/hwmon/hwmon3"
ORIN_NX: Tree = {
    **only(board_families.ORIN_NX, OF, f"{DEVFREQ}/17000000.gpu/"),
    **processors(("0xd42", 4, 115_200, 1_984_000), ("0xd42", 4, 115_200, 1_984_000)),
    **zones(("cpu-thermal", 44_000), ("soc0-thermal", 43_100), ("gpu-thermal", 42_600), ("tj-thermal", 44_000)),
    **ina3221(3, "1-0040", ("VDD_IN", 5040, 1000), ("VDD_CPU_GPU_CV", 5040, 136), ("VDD_SOC", 5040, 296)),
    **hwmon(0, "soctherm_oc", oc1_event_cnt=0, oc3_event_cnt=0),
}
"""A board with the power of the module (VDD_IN) and of parts of it."""
