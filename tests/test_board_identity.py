"""What a plain Linux host says that it is, the state it is in, and what a human is told of it."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.spec import Zoo
from tests import board_trees
from tests.board_families import FAMILIES
from tests.board_trees import BOARD, CONTAINER, CPUS, DESKTOP, GUEST, LAPTOP, MACHINES, PRIVATE, SERVER, Tree, host, hwmon, without

if TYPE_CHECKING:
    from collections.abc import Callable

build = board_trees.build


# ---------------------------------------------------------------------------------------------------- the files themselves


@pytest.mark.parametrize("family", ["host", *FAMILIES])
def test_what_runs_on_a_board_is_python_3_8_and_imports_the_standard_library_and_what_is_loaded_before_it(family: str) -> None:
    before: set[str] = set()
    for role, path in Zoo().halves("boards", family):
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 8))):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, path
                imported.add((node.module or "").partition(".")[0])
        assert imported <= sys.stdlib_module_names | before, path
        before.add(f"socbench_{role}")


# ---------------------------------------------------------------------------------------------------- what the machine is


def test_a_laptop_is_known_by_its_cpu_and_its_product(build: Callable[..., str]) -> None:
    assert host.probe(build(LAPTOP)) == {
        "module": "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz",
        "machine": "LENOVO 20L7CTO1WW",
        "compatible": [],
        "model": "",
        "soc0": {"machine": "", "family": "", "soc_id": "", "revision": ""},
        "emulated": "",
        "arch": "x86_64",
        "kernel": "6.8.0-45-generic",
        "os": "Ubuntu 24.04.1 LTS",
        "cpus": len(os.sched_getaffinity(0)),
        "cpu_quota": None,
        "cores": 2,
        "caches": {"L1d": {"count": 2, "bytes": 65536}, "L3": {"count": 1, "bytes": 8388608}},
        "memory_bytes": 32768000 * 1024,
        "virtual_machine": "",
        "container": False,
        "isa": ["sse4_2", "avx", "f16c", "fma", "avx2"],
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def test_the_boards_name_stands_in_where_the_maker_left_the_product_blank(build: Callable[..., str]) -> None:
    assert host.probe(build(SERVER))["machine"] == "Supermicro X13DEI"
    assert host.probe(build(DESKTOP))["machine"] == "ASUSTeK COMPUTER INC. ProArt X670E"


def test_the_instructions_that_matter_for_inference_are_listed(build: Callable[..., str]) -> None:
    isa = host.probe(build(SERVER))["isa"]
    assert isa == ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16"]


def test_an_arm_board_is_known_by_its_device_tree(build: Callable[..., str]) -> None:
    identity = host.probe(build(BOARD))
    assert (identity["module"], identity["machine"]) == ("Radxa ROCK 5B", "radxa,rock-5b rockchip,rk3588")
    assert identity["arch"] == "aarch64"


def test_an_arm_board_shows_what_it_can_be_recognised_by_and_no_serial_number(build: Callable[..., str]) -> None:
    soc0 = {"machine": "NXP i.MX8MPlus EVK board\n", "soc_id": "i.MX8MP\n", "revision": "1.1\n", "serial_number": PRIVATE}
    identity = host.probe(build(BOARD, **{f"sys/devices/soc0/{name}": value for name, value in soc0.items()}))
    assert identity["compatible"] == ["radxa,rock-5b", "rockchip,rk3588"]
    assert identity["model"] == "Radxa ROCK 5B"
    assert identity["soc0"] == {"machine": "NXP i.MX8MPlus EVK board", "family": "", "soc_id": "i.MX8MP", "revision": "1.1"}
    assert identity["emulated"] == ""
    assert PRIVATE not in str(identity)


def test_the_device_tree_is_also_found_where_only_sysfs_shows_it(build: Callable[..., str]) -> None:
    tree = {name.replace("proc/device-tree", "sys/firmware/devicetree/base"): content for name, content in BOARD.items()}
    assert host.probe(build(tree))["compatible"] == ["radxa,rock-5b", "rockchip,rk3588"]


def elf(machine: int, big: bool = False) -> str:
    """The head of a program for that machine, as text: what an emulator's own file shows the kernel."""
    return (
        "\x7fELF\x02"
        + ("\x02" if big else "\x01")
        + "\x01" * 10
        + "\x02\x00"
        + ("\x00" + chr(machine) if big else chr(machine) + "\x00")
        + "\x00" * 8
    )


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"proc/self/task/77/exe": elf(62)}, "aarch64 is emulated by a program for x86"),
        ({"proc/self/task/77/exe": elf(22, big=True)}, ""),  # a machine nobody has heard of says nothing
        ({"proc/self/task/77/exe": elf(183)}, ""),
        ({"proc/self/task/77/exe": elf(40)}, ""),  # a 32-bit program on the same silicon
        ({"proc/self/task/77/exe": "#!/bin/sh"}, ""),
        ({"proc/cpuinfo": "processor: 0\nvendor_id: AuthenticAMD\nmodel name: AMD EPYC\n"}, "of an x86 CPU"),
        ({"proc/sys/kernel/arch": "x86_64"}, "says rockchip,rk3588, but the kernel is x86_64"),
        ({"proc/device-tree/compatible": "linux,dummy-virt\0"}, "QEMU's generic board (linux,dummy-virt)"),
        ({"proc/device-tree/compatible": "", "sys/class/dmi/id/sys_vendor": "QEMU"}, "QEMU's generic board"),
        ({"proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0000-as-p3767-0000\0nvidia,tegra234\0"}, "stand in for another"),
    ],
)
def test_a_system_that_is_not_the_silicon_it_shows_says_why(more: Tree, reason: str, build: Callable[..., str]) -> None:
    emulated = host.probe(build(BOARD, **more))["emulated"]
    assert reason in emulated
    assert bool(emulated) is bool(reason)


def test_a_virtual_machine_with_the_cpu_of_its_host_is_not_emulated_and_one_without_is(build: Callable[..., str]) -> None:
    assert host.probe(build(GUEST))["emulated"] == ""
    assert (
        "TCG" in host.probe(build(GUEST, **{"proc/cpuinfo": "processor: 0\nmodel name: QEMU TCG CPU version 2.5+\nflags: hypervisor\n"}))["emulated"]
    )


def test_this_very_process_is_no_emulation_as_far_as_its_own_program_tells() -> None:
    assert "user-mode" not in host.probe()["emulated"]


def test_big_and_little_cores_share_only_the_instructions_of_both(build: Callable[..., str]) -> None:
    assert host.probe(build(BOARD))["isa"] == ["asimd", "asimdhp", "asimddp"]


def test_an_arm_machine_without_device_tree_is_known_by_its_cores(build: Callable[..., str]) -> None:
    assert host.probe(build(without(BOARD, "device-tree")))["module"] == "4x Cortex-A55 + 4x Cortex-A76"


def test_an_empty_root_still_has_an_identity(build: Callable[..., str]) -> None:
    identity = host.probe(build({}))
    assert identity["module"]
    assert identity["arch"]
    assert identity["kernel"]
    assert (identity["cores"], identity["memory_bytes"], identity["caches"], identity["isa"]) == (None, None, {}, [])


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, "kvm"),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc."}, "vmware"),
        ({"sys/class/dmi/id/sys_vendor": "Xen", "sys/class/dmi/id/product_name": "HVM domU"}, "xen"),
        (
            {"sys/class/dmi/id/sys_vendor": "Microsoft Corporation", "sys/class/dmi/id/product_name": "Virtual Machine"},
            "microsoft",
        ),
        ({"sys/class/dmi/id/sys_vendor": "innotek GmbH"}, "oracle"),
        ({"sys/class/dmi/id/sys_vendor": "Nobody Knows"}, "vm"),
        (
            {
                "sys/class/dmi/id/sys_vendor": "",
                "sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc kvm-clock",
            },
            "kvm",
        ),
    ],
)
def test_a_virtual_machine_is_named_by_what_lies_below(more: Tree, name: str, build: Callable[..., str]) -> None:
    assert host.probe(build(GUEST, **more))["virtual_machine"] == name


def test_an_arm_guest_is_told_by_its_device_tree(build: Callable[..., str]) -> None:
    root = build(BOARD, **{"proc/device-tree/hypervisor/compatible": "linux,kvm\0"})
    assert host.probe(root)["virtual_machine"] == "kvm"


def test_a_surface_or_a_bare_cloud_machine_is_no_virtual_machine(build: Callable[..., str]) -> None:
    for vendor, product in (("Microsoft Corporation", "Surface Laptop 5"), ("Amazon EC2", "c7g.metal")):
        root = build(LAPTOP, **{"sys/class/dmi/id/sys_vendor": vendor, "sys/class/dmi/id/product_name": product})
        assert host.probe(root)["virtual_machine"] == ""


@pytest.mark.parametrize(
    "mark",
    [
        {},
        {"proc/self/mountinfo": "", ".dockerenv": ""},
        {"proc/self/mountinfo": "", "run/.containerenv": ""},
        {"proc/self/mountinfo": "", "proc/1/cgroup": "0::/system.slice/docker-0123.scope"},
    ],
)
def test_a_container_is_known_by_any_of_its_marks(mark: Tree, build: Callable[..., str]) -> None:
    identity = host.probe(build(CONTAINER, **mark))
    assert (identity["virtual_machine"], identity["container"]) == ("container", True)


def test_a_container_in_a_virtual_machine_is_both(build: Callable[..., str]) -> None:
    identity = host.probe(build(GUEST, **{".dockerenv": ""}))
    assert (identity["virtual_machine"], identity["container"]) == ("kvm", True)


def test_the_tightest_cpu_quota_on_the_way_up_counts(build: Callable[..., str]) -> None:
    tree = {
        "proc/self/cgroup": "12:cpuset:/x\n0::/user.slice/job.scope\n",
        "sys/fs/cgroup/user.slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000",
    }
    assert host.probe(build(tree))["cpu_quota"] == 3.0
    assert host.probe(build({**tree, "sys/fs/cgroup/user.slice/job.scope/cpu.max": "50000 100000"}))["cpu_quota"] == 0.5
    assert host.probe(build(CONTAINER))["cpu_quota"] == 1.5


# ---------------------------------------------------------------------------------------------------- the state it is in


def test_a_snapshot_has_what_can_change_in_base_units(build: Callable[..., str]) -> None:
    assert host.state(build(LAPTOP)) == {
        "governors": {"policy0": "powersave", "policy1": "powersave"},
        "frequency_hz": {"cpu0": 2_000_000_000, "cpu1": 1_200_000_000},
        "frequency_max_hz": {"cpu0": 4_000_000_000, "cpu1": 4_000_000_000},
        "boost": True,
        "throttle_counts": {"cpu0/core": 3, "cpu0/package": 17},
        "time_in_state": {"policy0": {"400000000": 10.0, "4000000000": 2.5}},
        "swap_used_bytes": 1024 * 1024,
        "memory_available_bytes": 16384000 * 1024,
        "load_1min": 0.21,
        "psi": {
            "cpu": {"some_avg10": 0.125, "some_total_us": 123456},
            "io": {"some_avg10": 0.01, "some_total_us": 9},
            "memory": {"some_avg10": 0.0, "some_total_us": 7},
        },
        "steal_s": 0.0,
        "temperatures_c": {"acpitz": 27.8, "x86_pkg_temp": 61.0, "coretemp/Package id 0": 60.0, "coretemp/Core 0": 58.0},
        "cooling": {"Processor#0": 0, "Processor#1": 3},
        "smt": True,
    }


def test_what_cannot_be_read_is_absent_from_a_snapshot(build: Callable[..., str]) -> None:
    assert host.state(build({})) == {}
    assert set(host.state(build(GUEST))) == {
        "swap_used_bytes",
        "memory_available_bytes",
        "load_1min",
        "psi",
        "steal_s",
    }


def test_all_cpus_of_one_policy_have_its_clock(build: Callable[..., str]) -> None:
    state = host.state(build(BOARD))
    assert state["frequency_hz"] == {
        **{f"cpu{cpu}": 1_800_000_000 for cpu in range(4)},
        "cpu4": 2_400_000_000,
        "cpu5": 2_400_000_000,
    }


def test_a_kernel_with_cpufreq_below_each_cpu_only_gives_the_same_policies(build: Callable[..., str]) -> None:
    tree = {}
    for cpu in range(4):
        tree[f"{CPUS}/cpu{cpu}/cpufreq/related_cpus"] = "0-1" if cpu < 2 else "2-3"
        tree[f"{CPUS}/cpu{cpu}/cpufreq/scaling_cur_freq"] = "1000000"
        tree[f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor"] = "schedutil"
    state = host.state(build(tree))
    assert state["governors"] == {"policy0": "schedutil", "policy2": "schedutil"}
    assert list(state["frequency_hz"]) == ["cpu0", "cpu1", "cpu2", "cpu3"]


def test_fans_are_no_mitigation(build: Callable[..., str]) -> None:
    assert "cooling" not in host.state(build(BOARD))


def test_a_sensor_that_is_off_has_no_temperature(build: Callable[..., str]) -> None:
    assert host.state(build(BOARD))["temperatures_c"] == {"soc-thermal": 48.538}


def test_a_raspberry_pi_tells_undervoltage(build: Callable[..., str]) -> None:
    assert host.state(build(BOARD))["undervoltage"] is True


def test_over_current_events_are_throttling(build: Callable[..., str]) -> None:
    tree = hwmon(7, "soctherm_oc", oc1_event_cnt=0, oc3_event_cnt=27390, oc3_throt_en=1)
    assert host.state(build(tree))["throttle_counts"] == {"oc1": 0, "oc3": 27390}


def test_stolen_time_is_seconds(build: Callable[..., str]) -> None:
    assert host.state(build(GUEST))["steal_s"] == 250 / os.sysconf("SC_CLK_TCK")


def test_turbo_switched_off_is_no_boost(build: Callable[..., str]) -> None:
    assert host.state(build(LAPTOP, **{f"{CPUS}/intel_pstate/no_turbo": "1"}))["boost"] is False
    assert host.state(build(DESKTOP))["boost"] is True


def test_pinning_changes_nothing_and_says_so(build: Callable[..., str]) -> None:
    root = build(DESKTOP)
    before = {path: path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}
    pinned = host.pin({"governor": "performance", "gpu_clock": 1}, root)
    assert before == {path: path.read_bytes() for path in Path(root).rglob("*") if path.is_file()}
    assert pinned["requested"] == {}
    assert pinned["achieved"] == {
        "governors": {"policy0": "performance"},
        "frequency_max_hz": {"cpu0": 4_000_000_000},
        "boost": True,
    }
    assert "governor=performance" in pinned["note"]


# ---------------------------------------------------------------------------------------------------- what a human is told


def told(root: str) -> dict[str, Any]:
    return {one["topic"]: one for one in host.doctor(root)}


def test_the_doctor_names_a_remedy_for_everything_that_is_not_well(build: Callable[..., str]) -> None:
    for name, tree in MACHINES.items():
        for finding in host.doctor(build(tree)):
            assert set(finding) == {"topic", "ok", "what", "fix"}, name
            assert bool(finding["fix"]) is not finding["ok"], (name, finding)


def test_the_doctor_wants_a_fixed_clock_free_memory_and_a_quiet_machine(build: Callable[..., str]) -> None:
    found = told(build(LAPTOP))
    assert found["power"]["ok"]
    assert "psys (board)" in found["power"]["what"]
    assert found["clock"]["fix"] == "sudo cpupower frequency-set -g performance"
    assert not found["swap"]["ok"]
    assert "1 MiB" in found["swap"]["what"]
    assert not found["pressure"]["ok"]
    assert "12.5% for cpu" in found["pressure"]["what"]
    assert found["memory"]["ok"]
    assert found["load"]["ok"]
    assert found["quota"]["ok"]
    assert found["machine"]["ok"]
    assert told(build(DESKTOP))["clock"]["ok"]
    assert not told(build(LAPTOP, **{"proc/meminfo": "MemAvailable: 4194303 kB\n"}))["memory"]["ok"]
    assert not told(build(LAPTOP, **{"proc/loadavg": "1000.00 1 1 9/9 9"}))["load"]["ok"]


def test_the_doctor_repeats_why_there_is_no_power(build: Callable[..., str]) -> None:
    assert "a virtual machine shows no RAPL" in told(build(GUEST))["power"]["what"]
    assert "virtual machine (kvm)" in told(build(GUEST))["machine"]["what"]
    assert "container" in told(build(CONTAINER))["machine"]["what"]


def test_the_doctor_does_not_pass_what_it_cannot_see(build: Callable[..., str]) -> None:
    found = told(build({}))
    assert not any(found[topic]["ok"] for topic in ("power", "clock", "swap", "memory", "load", "pressure"))


def test_a_quota_below_the_cpus_is_a_finding(build: Callable[..., str]) -> None:
    tight = {**CONTAINER, "sys/fs/cgroup/cpu.max": "50000 100000"}
    assert "0.5 of" in told(build(tight))["quota"]["what"]
    assert not told(build(tight))["quota"]["ok"]
