"""What the kernel shows of the state a machine is in: clocks, memory, pressure, where its thermometers are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from socbench_sysfs import entries, known, numbered, parse_celsius, parse_number, read_flag, read_hertz, read_int, read_text

CPU_THERMOMETERS = {"coretemp", "k10temp", "zenpower"}
CARDS = {"amdgpu", "i915", "nouveau", "xe"}
"""Drivers of GPUs that have a hardware monitor of their own."""
ASLEEP = "the device sleeps; reading would wake it"
IN_THE_RECORD = "none needed: its temperature before and after the run is in the record"
DISTURBING = (
    # By the driver's name; what a read does is said by the kernel's sources. drivers/nvme/host/hwmon.c fetches the SMART log for each of them, while
    # a drive goes to a state of less power by itself when no command has come for a while; Documentation/hwmon/drivetemp.rst: "may reset the spin
    # down timer on some drives".
    (r"nvme$|drivetemp$", "each reading is a command to the drive, which keeps it from saving power"),
    # ath10k/thermal.h: ATH10K_THERMAL_SYNC_TIMEOUT_HZ, 5 s; iwlwifi/mvm/tt.c: IWL_MVM_TEMP_NOTIF_WAIT_TIMEOUT, 1 s
    (r"iwlwifi|ath\d+k|mt7\d", "each reading is a command to the radio's firmware, whose answer is waited for"),
    # Documentation/hwmon/dell-smm-hwmon.rst: the System Management Mode is queried
    (r"dell_smm$", "each reading is a call of the firmware, during which a CPU stands still"),
    (r"nct\d|it8\d|w83\d|f71\d", "inputs of this chip that nothing is wired to show heat that is not there"),
)
"""Thermometers that are not read beside a measurement, and why."""
DEVFREQ_ROLES = (("npu", r"npu"), ("gpu", r"gpu(?!-nvd)|ga10b|gv11b|mali"), ("dram", r"\bdmc\b|ddrc|bwmgr|\bemc\b"))
"""What the clock of a devfreq node is of, by its name: fdab0000.npu, 17000000.gpu, 17000000.ga10b, gpu-gpc-0, dmc, 3d400000.ddrc, bwmgr."""


def meminfo(base: Path) -> dict[str, int]:
    """The lines of /proc/meminfo [B]."""
    found = re.findall(r"^(\w+):\s+(\d{1,15}) kB", read_text(base / "proc/meminfo") or "", re.MULTILINE)
    return {name: int(kibibytes) * 1024 for name, kibibytes in found}


def cpu_policies(base: Path) -> dict[str, Path]:
    """The cpufreq policies by name; kernels that show them only below each CPU give the same names."""
    cpus = base / "sys/devices/system/cpu"
    found = entries(cpus, "cpufreq/policy[0-9]*")
    if found:
        return {path.name: path for path in found}
    shared: dict[str, Path] = {}
    for path in entries(cpus, "cpu[0-9]*"):
        if (path / "cpufreq").is_dir():
            first = re.match(r"\d+", read_text(path / "cpufreq/related_cpus") or path.name[3:])
            shared.setdefault(f"policy{first.group()}" if first else path.name, path / "cpufreq")
    return shared


def devfreqs(base: Path) -> dict[str, Path]:
    """The devfreq nodes, clocks of GPUs, NPUs, memory, buses, by site: what they are the clock of, or else their name."""
    paths = entries(base, "sys/class/devfreq/*")
    return dict(zip(numbered([devfreq_role(path.name) or path.name for path in paths]), paths))


def devfreq_role(name: str) -> str:
    """What the clock of a devfreq node is of: "npu", "gpu", "dram", or "" for anything else."""
    return next((role for role, pattern in DEVFREQ_ROLES if re.search(pattern, name)), "")


def overcurrent_counters(base: Path) -> list[tuple[str, Path]]:
    """("oc1", path) ...: how often a Jetson's supply made it slow down since boot (the driver of JetPack 5 and later names itself soctherm_oc)."""
    monitors = [path for _, driver, path in hardware_monitors(base) if driver == "soctherm_oc"]
    return [(path.name.partition("_")[0], path) for monitor in monitors for path in entries(monitor, "oc[0-9]*_event_cnt")]


def coolers(base: Path) -> list[tuple[str, Path]]:
    """("cpufreq-cpu0#0", path) of the cooling devices that slow something down, by type and rank: fans are none of them."""
    paths = entries(base, "sys/class/thermal/cooling_device[0-9]*")
    kinds = [read_text(path / "type") or "cooling_device" for path in paths]
    return [(f"{kind}#{kinds[:at].count(kind)}", paths[at]) for at, kind in enumerate(kinds) if "fan" not in kind.lower()]


def _cpus_of(name: str, policy: Path) -> list[str]:
    """The logical CPUs that share one policy ("0 1 2" or "0-2")."""
    cpus = []
    for part in re.split(r"[\s,]+", read_text(policy / "affected_cpus") or read_text(policy / "related_cpus") or name[len("policy") :]):
        span = re.match(r"(\d{1,5})(?:-(\d{1,5}))?$", part)
        if span:
            cpus += [f"cpu{cpu}" for cpu in range(int(span.group(1)), int(span.group(2) or span.group(1)) + 1)]
    return cpus


def _time_in_state(policy: Path) -> dict[str, float]:
    """Seconds at each clock [Hz] since boot; the kernel counts in user ticks, 1/100 s on every Linux this runs on."""
    lines = re.findall(r"^(\d{1,12}) (\d{1,18})$", read_text(policy / "stats/time_in_state") or "", re.MULTILINE)
    return {str(int(kilohertz) * 1000): int(ticks) / 100 for kilohertz, ticks in lines}


def _boost(base: Path) -> bool | None:
    cpus = base / "sys/devices/system/cpu"
    no_turbo = read_flag(cpus / "intel_pstate/no_turbo")
    return read_flag(cpus / "cpufreq/boost") if no_turbo is None else not no_turbo


def parse_pressure(text: str) -> tuple[float | None, int | None]:
    """Of one PSI file: the share of the last 10 s in which some task waited (0..1), and the time waited since boot [us]."""
    found = re.search(r"^some avg10=(\S+) .*total=(\S+)$", text, re.MULTILINE)
    share, total = (parse_number(found.group(1)), parse_number(found.group(2))) if found else (None, None)
    return None if share is None else share / 100, None if total is None else int(total)


def parse_cpu_ticks(text: str) -> list[int]:
    """User ticks of all CPUs together: user, nice, system, idle, iowait, irq, softirq, steal; empty for another form."""
    name, *parts = text.partition("\n")[0].split() or [""]
    if name != "cpu" or len(parts) < 8 or not all(re.match(r"\d{1,18}$", part) for part in parts):
        return []
    return [int(part) for part in parts[:8]]


def hardware_monitors(base: Path) -> list[tuple[str, str, Path]]:
    """(site, driver, path) of the hardware monitors, sorted by site.

    Numbers change from boot to boot: a site is the driver's name, with the device behind it where several have that name, and with its path where
    several of those devices have one name.
    """
    paths = entries(base, "sys/class/hwmon/hwmon[0-9]*")
    drivers = [read_text(path / "name") or "hwmon" for path in paths]
    devices = [(path / "device").resolve() if (path / "device").exists() else None for path in paths]
    sites = []
    for driver, device in zip(drivers, devices):
        if drivers.count(driver) == 1 or device is None:
            sites.append(driver)
        else:
            same = [other for name, other in zip(drivers, devices) if name == driver and other and other.name == device.name]
            sites.append(f"{driver}@{device.name if len(same) == 1 else os.path.relpath(device, (base / 'sys/devices').resolve())}")
    return sorted(zip(numbered(sites), drivers, paths))


class Thermometer(NamedTuple):
    """`cpu`: it tells of the processor, as far as one knows, and is read in every row. `unread`: why it is read in none, or ""."""

    site: str
    path: Path
    scope: str
    cpu: bool
    unread: str


def thermometers(base: Path) -> list[Thermometer]:
    """The thermal zones, by type, and the inputs of hardware monitors, by driver and label; sorted by site.

    The monitor that the kernel makes of a thermal zone (thermal_hwmon.c) is left out: its device is the zone, or it has none and the zone's name.
    """
    zones = entries(base, "sys/class/thermal/thermal_zone[0-9]*")
    types = [read_text(zone / "type") or "thermal_zone" for zone in zones]
    found = [Thermometer(site, zone / "temp", "board", True, _disturbing(kind)) for site, kind, zone in zip(numbered(types), types, zones)]
    copies = {kind.replace("-", "_") for kind in types}
    for site, driver, monitor in hardware_monitors(base):
        device = monitor / "device"
        if device.resolve().name.startswith("thermal_zone") or (driver in copies and not device.exists()):
            continue
        cpu = driver in CPU_THERMOMETERS
        unread = ASLEEP if asleep(device) else _disturbing(driver)
        inputs = entries(monitor, "temp*_input")
        nodes = [path.name.partition("_")[0] for path in inputs]
        labels = [read_text(monitor / f"{node}_label") or node for node in nodes]
        scope = "board" if not cpu and driver not in CARDS else "die" if cpu or read_text(monitor / "in1_label") == "vddnb" else "card"
        found += [Thermometer(f"{site}/{label}", path, scope, cpu, unread) for label, path in zip(numbered(labels), inputs)]
    return sorted(found)


def _disturbing(driver: str) -> str:
    return next((why for pattern, why in DISTURBING if re.match(pattern, driver)), "")


def asleep(device: Path) -> bool:
    """Whether a device is powered down: asking its sensors would wake it and change what is measured."""
    return bool(read_text(device / "power/runtime_status") == "suspended")


def state(root: str = "/") -> dict[str, Any]:
    """A snapshot of what can change between two moments; a key that cannot be read is absent.

    Clocks in Hz, times in s, sizes in B, temperatures in degrees Celsius; PSI averages are shares (0..1), their totals us.
    """
    base = Path(root)
    cpus = base / "sys/devices/system/cpu"
    policies = cpu_policies(base)
    now: list[tuple[str, int | None]] = []
    most: list[tuple[str, int | None]] = []
    for name, policy in policies.items():
        for cpu in _cpus_of(name, policy):
            own = cpus / cpu / "cpufreq/scaling_cur_freq"
            now.append((cpu, read_hertz(own if own.exists() else policy / "scaling_cur_freq")))
            most.append((cpu, read_hertz(policy / "scaling_max_freq") or read_hertz(policy / "cpuinfo_max_freq")))
    throttles = (path for path in entries(cpus, "cpu[0-9]*/thermal_throttle") for path in sorted(path.glob("*_throttle_count")))
    throttled = [(f"{path.parts[-3]}/{path.name[: -len('_throttle_count')]}", read_int(path)) for path in throttles]
    throttled += [(name, read_int(path)) for name, path in overcurrent_counters(base)]
    engines = devfreqs(base)
    running = {name: read_int(path / "cur_freq") for name, path in engines.items()}
    memory = meminfo(base)
    swap = memory["SwapTotal"] - memory["SwapFree"] if {"SwapTotal", "SwapFree"} <= set(memory) else None
    waits = {name: parse_pressure(read_text(base / "proc/pressure" / name) or "") for name in ("cpu", "memory", "io")}
    ticks = parse_cpu_ticks(read_text(base / "proc/stat") or "")
    heat = ((one.site, parse_celsius(read_text(one.path) or "")) for one in thermometers(base) if one.unread != ASLEEP)
    cooling = ((rank, read_int(path / "cur_state")) for rank, path in coolers(base))
    undervoltage = next((read_flag(path / "in0_lcrit_alarm") for _, driver, path in hardware_monitors(base) if driver == "rpi_volt"), None)
    pressures = ((name, known((("some_avg10", share), ("some_total_us", total)))) for name, (share, total) in waits.items())
    found: dict[str, Any] = known(
        (
            ("governors", known((name, read_text(policy / "scaling_governor") or None) for name, policy in policies.items())),
            ("frequency_hz", known(now)),
            ("frequency_max_hz", known(most)),
            ("devfreq_hz", known(running.items())),
            ("devfreq_governors", known((name, read_text(path / "governor") or None) for name, path in engines.items())),
            ("dram_hz", running.get("dram")),
            ("boost", _boost(base)),
            ("throttle_counts", known(throttled)),
            ("time_in_state", known((name, _time_in_state(policy)) for name, policy in policies.items())),
            ("swap_used_bytes", swap),
            ("memory_available_bytes", memory.get("MemAvailable")),
            ("load_1min", parse_number((read_text(base / "proc/loadavg") or "").partition(" ")[0])),
            ("psi", known(pressures)),
            ("steal_s", ticks[7] / os.sysconf("SC_CLK_TCK") if ticks else None),
            ("temperatures_c", known(heat)),
            ("cooling", known(cooling)),
            ("smt", read_flag(cpus / "smt/active")),
            ("undervoltage", undervoltage),
        )
    )
    return found
