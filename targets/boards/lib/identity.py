"""What a machine is: its CPU, its maker, its memory, and what stands between this system and the hardware.

Nothing that names one machine or its owner is read: serial numbers, host names, addresses.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from socbench_kernel import meminfo
from socbench_sysfs import entries, parse_number, read_text

ISA = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("asimd", "asimdhp", "fphp", "asimddp", "asimdfhm", "i8mm", "bf16", "sve", "sve2", "svei8mm", "svebf16", "sme", "sme2"),
)
"""What decides the speed of inference, in the kernel's spelling: first x86-64, then arm64."""
ARM_CORES = {
    # Main ID register part numbers of Arm Ltd (implementer 0x41)
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE", "0xd44": "Cortex-X1", "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710", "0xd49": "Neoverse-N2", "0xd4b": "Cortex-A78C", "0xd4f": "Neoverse-V2", "0xd80": "Cortex-A520",
    "0xd81": "Cortex-A720",
}  # fmt: skip  # fmt: skip
HYPERVISORS = (
    # what DMI, device tree or clock sources say -> the name that systemd-detect-virt gives; the first match counts
    (r"\bvmware\b", "vmware"),
    (r"\bvirtualbox\b|\binnotek\b", "oracle"),
    (r"\bxen\b", "xen"),
    (r"\bmicrosoft corporation\n.*virtual machine|\bhyperv_clocksource", "microsoft"),
    (r"\bparallels\b", "parallels"),
    (r"\bbhyve\b", "bhyve"),
    (r"\bapple virtualization", "apple"),
    (r"\bkvm\b|\bqemu\b|\bamazon ec2\b|\bgoogle compute engine\b|\bopenstack\b", "kvm"),
)
FAMILIES = (("x86", r"x86_64$|i[3-6]86$"), ("arm", r"aarch64|arm"), ("riscv", r"riscv"), ("loongarch", r"loongarch"))
"""The kernel's names of architectures (uname -m), by family."""
ELF_FAMILIES = {3: "x86", 62: "x86", 40: "arm", 183: "arm", 243: "riscv", 258: "loongarch"}
"""e_machine in the header of a program (elf.h: EM_386, EM_X86_64, EM_ARM, EM_AARCH64, EM_RISCV, EM_LOONGARCH)."""
SOC0 = ("machine", "family", "soc_id", "revision")
"""What is read of /sys/devices/soc0 (Documentation/ABI/testing/sysfs-devices-soc); its serial_number names one machine."""
UNSET_BY_MAKER = re.compile(r"|default string|not applicable|(to be filled by )?o\.e\.m\.|system (manufacturer|product name)")


def _processors(base: Path) -> list[dict[str, str]]:
    """The blocks of /proc/cpuinfo, one a logical CPU."""
    blocks = []
    for block in re.split(r"\n\s*\n", read_text(base / "proc/cpuinfo") or ""):
        pairs = (line.partition(":") for line in block.splitlines())
        blocks.append({key.strip(): value.strip() for key, _, value in pairs})
    return [block for block in blocks if "processor" in block]


def _flags(processors: list[dict[str, str]]) -> set[str]:
    """The instruction set flags that all CPUs have: a heterogeneous machine can only count on those."""
    each = [set((block.get("flags") or block.get("Features") or "").split()) for block in processors]
    return set.intersection(*each) if each else set()


def device_tree(base: Path, name: str) -> list[str]:
    """The strings of one device-tree property of the root, or of the node that `name` leads through."""
    for tree in ("proc/device-tree", "sys/firmware/devicetree/base"):
        text = read_text(base / tree / name)
        if text:
            return [part for part in text.split("\0") if part]
    return []


def _dmi(base: Path, name: str) -> str:
    value = read_text(base / "sys/class/dmi/id" / name) or ""
    return "" if UNSET_BY_MAKER.fullmatch(value.lower()) else value


def _virtual_machine(base: Path, processors: list[dict[str, str]]) -> str:
    """The hypervisor below ("kvm", "vmware", ...; "vm" when it does not say which), or ""."""
    product = _dmi(base, "product_name")
    told = [f"{_dmi(base, 'sys_vendor')}\n{product}\n{_dmi(base, 'board_vendor')}\n{_dmi(base, 'bios_vendor')}"]
    tree = device_tree(base, "hypervisor/compatible")
    kind = read_text(base / "sys/hypervisor/type") or ""
    below = bool(tree or kind or "hypervisor" in _flags(processors))
    if below:
        told += [*tree, kind, read_text(base / "sys/devices/system/clocksource/clocksource0/available_clocksource") or ""]
    elif ".metal" in product:  # a cloud's bare machine carries the vendor name of its virtual ones
        return ""
    for pattern, name in HYPERVISORS:
        if re.search(pattern, "\n".join(told).lower()):
            return name
    return "vm" if below else ""


def _container(base: Path) -> bool:
    """Whether this is a container: by its marks, its control group, or what its root file system is made of."""
    if any((base / mark).exists() for mark in (".dockerenv", "run/.containerenv", "run/systemd/container")):
        return True
    if re.search(r"docker|kubepods|containerd|libpod|/lxc", read_text(base / "proc/1/cgroup") or ""):
        return True
    mounts = (read_text(base / "proc/self/mountinfo") or "").splitlines()
    return any(line.split()[4:5] == ["/"] and re.search(r"docker|containerd|containers/storage|kubelet", line) for line in mounts)


def place(base: Path) -> str:
    """What stands between this system and the hardware: "kvm" ..., "container" or ""."""
    return _virtual_machine(base, _processors(base)) or ("container" if _container(base) else "")


def architecture(base: Path) -> str:
    """The kernel's name for it. Of this system uname says it, which an emulator answers in its own name; of a fixture a file."""
    return (base != Path("/") and read_text(base / "proc/sys/kernel/arch")) or os.uname().machine


def _program_family(base: Path) -> str:
    """The architecture of the program that this process is, or "".

    A user-mode emulator answers for /proc/self/exe with the program it emulates, and leaves /proc/self/task/TID/exe to the kernel (tried with
    qemu-aarch64 7.2): there the kernel shows the emulator itself.
    """
    for program in entries(base, "proc/self/task/[0-9]*/exe")[:1]:
        try:
            with program.open("rb") as file:
                header = file.read(20)
        except OSError:
            return ""
        if header[:4] == b"\x7fELF" and len(header) == 20:
            return ELF_FAMILIES.get(int.from_bytes(header[18:20], "big" if header[5] == 2 else "little"), "")
    return ""


def _emulated(base: Path, processors: list[dict[str, str]]) -> str:
    """Why this system is not the silicon that it says it is, or "": an emulator's timing is not the timing of what it emulates."""
    arch = architecture(base)
    family = next((name for name, pattern in FAMILIES if re.match(pattern, arch)), arch)
    program = _program_family(base)
    if program and program != family:
        return f"{arch} is emulated by a program for {program} (user-mode emulation)"
    compatible = device_tree(base, "compatible")
    if family == "x86" and compatible:
        return f"the device tree says {compatible[-1]}, but the kernel is {arch}"
    if family == "arm" and any("vendor_id" in block and "CPU implementer" not in block for block in processors):
        return f"uname says {arch}, but /proc/cpuinfo is of an x86 CPU"
    if "linux,dummy-virt" in compatible or (family != "x86" and _dmi(base, "sys_vendor") == "QEMU"):
        return "a virtual machine of QEMU's generic board" + (" (linux,dummy-virt)" if compatible else "")
    if any(block.get("model name", "").startswith("QEMU TCG CPU") for block in processors):
        return "a virtual machine whose CPU QEMU emulates (TCG)"
    stands_in = next((one for one in compatible if re.search(r"p\d{4}-\d{4}-as-p\d{4}-\d{4}", one)), "")
    return f"a module that is flashed to stand in for another ({stands_in})" if stands_in else ""


def _module(base: Path, processors: list[dict[str, str]]) -> str:
    """The CPU's model name; where the kernel has none (arm64), the device tree's model, or else the kinds of cores."""
    model = next((block["model name"] for block in processors if block.get("model name")), "")
    if model and not model.startswith("ARMv"):
        return model
    parts = [block["CPU part"] for block in processors if block.get("CPU implementer") == "0x41" and "CPU part" in block]
    cores = " + ".join(f"{parts.count(part)}x {ARM_CORES.get(part, 'Arm part ' + part)}" for part in sorted(set(parts)))
    return " ".join(device_tree(base, "model")) or cores or model or architecture(base)


def _machine(base: Path) -> str:
    maker, product = _dmi(base, "sys_vendor"), _dmi(base, "product_name")
    if not product:
        maker, product = _dmi(base, "board_vendor"), _dmi(base, "board_name")
    return f"{maker} {product}".strip() or " ".join(device_tree(base, "compatible"))


def _operating_system(base: Path) -> str:
    for place in ("etc/os-release", "usr/lib/os-release"):
        found = re.search(r"^PRETTY_NAME=(.*)$", read_text(base / place) or "", re.MULTILINE)
        if found:
            return found.group(1).strip().strip("\"'")
    return ""


def _cores(base: Path) -> int | None:
    """Physical cores: distinct sets of hardware threads."""
    sets = {read_text(path) for path in base.glob("sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")} - {None}
    return len(sets) or None


def _caches(base: Path) -> dict[str, dict[str, int]]:
    """{"L1d": {"count": instances, "bytes": all instances together [B]}}."""
    seen = {}
    for cache in base.glob("sys/devices/system/cpu/cpu[0-9]*/cache/index[0-9]*"):
        level, kind, shared = (read_text(cache / name) for name in ("level", "type", "shared_cpu_list"))
        size = re.match(r"(\d{1,12})([KM]?)$", read_text(cache / "size") or "")
        if level and size:
            label = f"L{level}" + {"Data": "d", "Instruction": "i"}.get(kind or "", "")
            seen[label, shared] = int(size.group(1)) * {"": 1, "K": 2**10, "M": 2**20}[size.group(2)]
    total: dict[str, dict[str, int]] = {}
    for (label, _), size_bytes in sorted(seen.items(), key=lambda item: item[0][0]):
        sums = total.setdefault(label, {"count": 0, "bytes": 0})
        sums["count"] += 1
        sums["bytes"] += size_bytes
    return total


def _cpu_quota(base: Path) -> float | None:
    """The CPUs that control groups (version 2) grant this process, or None without a limit."""
    found = re.search(r"^0::/(.*)$", read_text(base / "proc/self/cgroup") or "", re.MULTILINE)
    groups = base / "sys/fs/cgroup"
    names = found.group(1).split("/") if found else []
    limits = []
    for depth in range(len(names) + 1):
        quota, _, period = (read_text(groups.joinpath(*names[:depth]) / "cpu.max") or "").partition(" ")
        granted, per = parse_number(quota), parse_number(period)
        if granted is not None and per:
            limits.append(granted / per)
    return min(limits) if limits else None


def probe(root: str = "/") -> dict[str, Any]:
    """What this machine is: names, counts and sizes [B]; None or "" where it does not say."""
    base = Path(root)
    processors = _processors(base)
    flags = _flags(processors)
    container = _container(base)
    return {
        "module": _module(base, processors),
        "machine": _machine(base),
        "compatible": device_tree(base, "compatible"),
        "model": " ".join(device_tree(base, "model")),
        "soc0": {name: read_text(base / "sys/devices/soc0" / name) or "" for name in SOC0},
        "emulated": _emulated(base, processors),
        "arch": architecture(base),
        "kernel": (base != Path("/") and read_text(base / "proc/sys/kernel/osrelease")) or os.uname().release,
        "os": _operating_system(base),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_quota": _cpu_quota(base),
        "cores": _cores(base),
        "caches": _caches(base),
        "memory_bytes": meminfo(base).get("MemTotal"),
        "virtual_machine": _virtual_machine(base, processors) or ("container" if container else ""),
        "container": container,
        "isa": [flag for flag in ISA if flag in flags],
        "python": ".".join(str(part) for part in sys.version_info[:3]),
    }
