"""Power and energy that the kernel shows: RAPL, hardware monitors, batteries.

Which channels may be added. Those of one kind and one scope never overlap, so their sum is a figure:
  board   the whole machine (RAPL psys, the battery, an ACPI power meter): it contains the `die` channels, nothing is added to it
  card    an add-in card with a supply of its own (NVML, amdgpu, xe): beside the dies, in none of them
  die     CPU packages, and their memory where the package counter leaves it out (RAPL dram)
  rail    lies inside something else, or nobody knows inside what: never added
Two kinds (power and energy) of one site are two views of one thing. RAPL core and uncore lie inside the package and are not read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from socbench_identity import architecture
from socbench_kernel import ASLEEP, CARDS, asleep, hardware_monitors
from socbench_rails import power_step
from socbench_sensors import METER, Panel, new_channel
from socbench_sysfs import File, entries, numbered, parse_joules, parse_number, parse_watts, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WHOLE_CARD = {"", "card", "ppt", "slowppt"}


def _rapl_zones(base: Path) -> dict[str, tuple[str, Path]]:
    """Site -> (scope, path) of the RAPL counters that do not overlap within a scope; the MSR interface before its MMIO copy."""
    zones = sorted(entries(base, "sys/class/powercap/intel-rapl*:*"), key=lambda path: "mmio" in path.name)
    names = {path.name: read_text(path / "name") for path in zones}
    found: dict[str, tuple[str, Path]] = {}
    for zone in zones:
        name = names[zone.name] or ""
        if name.startswith("package"):
            found.setdefault(name, ("die", zone))
        elif name == "dram":  # a package counts its cores, graphics and caches, not its memory
            parent = names.get(zone.name.rpartition(":")[0])
            found.setdefault(f"{parent}/dram" if parent else "dram", ("die", zone))
        elif name == "psys":
            found.setdefault(name, ("board", zone))
    return found


def add_rapl(panel: Panel) -> None:
    """The energy counters of CPU packages, of their memory and of the platform."""
    zones = _rapl_zones(panel.base)
    locked = {}
    for site, (scope, zone) in zones.items():
        counter = zone / "energy_uj"
        try:
            first = parse_number(File(counter).text_and_close())
        except PermissionError:
            locked[site] = panel.kernel_path(counter)
            continue
        except OSError:
            first = None  # `watch` says why
        if first == 0:  # psys, and dram of some packages: there, but not wired
            panel.miss("power", site, f"{panel.kernel_path(counter)} stands at 0: this machine does not count it", METER)
        else:
            wraps_at = parse_joules(read_text(zone / "max_energy_range_uj") or "") or None
            panel.watch(counter, new_channel(site, "energy", "J", scope, wraps_at), parse_joules)
    for site in locked:
        panel.miss("power", site, "energy_uj is readable by root only", "sudo chmod a+r " + " ".join(locked.values()))
    if not zones and architecture(panel.base) in ("x86_64", "i686", "i386"):
        if panel.virtual:
            reason, fix = "a virtual machine shows no RAPL", METER
        elif panel.where:
            reason = "this container does not show /sys/class/powercap"
            fix = "run on the host itself, or start the container with --security-opt systempaths=unconfined"
        else:
            reason, fix = "the kernel shows no RAPL below /sys/class/powercap", f"sudo modprobe intel_rapl_msr; or {METER}"
        panel.miss("power", "rapl", reason, fix)


def _hwmon_scope(driver: str, label: str, apu: bool) -> str:
    """What a power or energy sensor of a hardware monitor covers; "" where another sensor of the monitor contains it."""
    if driver == "power_meter":
        return "board"
    if driver == "amd_energy":
        return "die" if label.startswith("Esocket") else ""
    if driver in CARDS and label.lower() in WHOLE_CARD:
        return "die" if apu else "card"  # an APU's figure includes the CPU
    return "rail"


def add_monitors(panel: Panel) -> None:
    """Power and energy of the hardware monitors, without the copies of batteries: `add_battery` knows which discharge."""
    counted = panel.has("energy", scope="die")
    supplies = {path.name.replace("-", "_") for path in panel.base.glob("sys/class/power_supply/*")}
    for site, driver, monitor in hardware_monitors(panel.base):
        powers, energies = entries(monitor, "power*_input"), entries(monitor, "energy*_input")
        instant = {path.name.partition("_")[0] for path in powers}
        powers += [path for path in entries(monitor, "power*_average") if path.name.partition("_")[0] not in instant]
        if driver in supplies or not (powers or energies):
            continue
        if asleep(monitor / "device"):
            awake = f"echo on | sudo tee {panel.kernel_path(monitor)}/device/power/control"
            panel.miss("power", site, ASLEEP, awake)
            continue
        apu = read_text(monitor / "in1_label") == "vddnb"
        for kind, unit, parse, inputs in (("power", "W", parse_watts, powers), ("energy", "J", parse_joules, energies)):
            nodes = [path.name.partition("_")[0] for path in inputs]
            labels = [read_text(monitor / f"{node}_label") or "" for node in nodes]
            names = numbered([label or node for label, node in zip(labels, nodes)])
            for path, label, name in zip(inputs, labels, names):
                scope = _hwmon_scope(driver, label, apu)
                if scope and not (driver == "amd_energy" and counted):  # those are RAPL's counters
                    step = power_step(driver, monitor) if kind == "power" else None
                    panel.watch(path, new_channel(f"{site}/{name}", kind, unit, scope, quantum=step), parse)


def _discharge(packs: list[tuple[File, list[File]]]) -> float | None:
    """The watts out of those batteries that discharge; None while one is charged, or while none discharges.

    `packs`: of each battery its status, and either its power or its current and its voltage.
    """
    statuses = [(status.text() or "").strip() for status, _ in packs]
    if "Charging" in statuses or "Discharging" not in statuses:
        return None
    watts = 0.0
    for status, (_, files) in zip(statuses, packs):
        if status == "Discharging":
            values = [parse_number(file.text()) for file in files]
            known = [value / 1e6 for value in values if value is not None]
            if len(known) < len(values):
                return None
            watts += abs(math.prod(known))  # some drivers count a discharge below 0
    return watts


def add_battery(panel: Panel) -> None:
    """What the batteries deliver, all together, while they discharge and none is charged."""
    if panel.has("power", scope="board"):
        return
    packs: list[tuple[File, list[File]]] = []
    for supply in entries(panel.base, "sys/class/power_supply/*"):
        if read_text(supply / "type") != "Battery" or read_text(supply / "scope") == "Device":  # a mouse has a battery, too
            continue
        names = ["power_now"] if (supply / "power_now").exists() else ["current_now", "voltage_now"]
        try:
            packs.append((panel.open(supply / "status"), [panel.open(supply / name) for name in names]))
        except OSError as error:
            panel.miss("power", "battery", f"{panel.kernel_path(supply)}: {error.strerror}", METER)
            return

    def reader() -> Sequence[float | None]:
        return (_discharge(packs),)

    if packs and reader() != (None,):
        panel.add([new_channel("battery", "power", "W", "board")], reader)
    elif packs and not panel.has("power", "energy"):
        panel.miss("power", "battery", "no battery discharges, so none tells the consumption", "unplug the charger")


def explain_no_power(panel: Panel, reason: str = "") -> None:
    """A reason, where neither a channel nor a reason for its absence was found so far. `reason`: what is known of boards of this family."""
    if not panel.has("power", "energy") and not any(one["kind"] == "power" for one in panel.absent):
        whose = "a virtual machine" if panel.virtual else "the kernel of this machine"
        panel.miss("power", "board", reason or f"{whose} shows no power sensor", METER)
