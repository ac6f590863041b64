"""The plain Linux host, x86-64 or arm64: what it is, the state it is in, and what its sensors say.

Sent to an agent with the files of lib/ that USES names, in this order: standard library only, Python >= 3.8. Every path is taken below
`root`, so that a fixture tree can stand for a machine. Nothing that names one machine or its owner is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from socbench_doctor import findings
from socbench_identity import probe
from socbench_kernel import state
from socbench_memory import add_memory
from socbench_nvml import add_nvidia
from socbench_power import add_battery, add_monitors, add_rapl, explain_no_power
from socbench_rails import add_rails
from socbench_sensors import Panel, add_clocks, add_system, add_temperatures, add_throttling

USES = ("sysfs", "kernel", "identity", "sensors", "memory", "rails", "power", "nvml", "doctor")
__all__ = ["Sensors", "doctor", "pin", "probe", "restore", "snapshot", "state"]


def snapshot(_root: str = "/", wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """Nothing to undo: `pin` changes nothing."""
    del wanted
    return {}


def pin(wanted: dict[str, Any], root: str = "/") -> dict[str, Any]:
    """Changes nothing: a host's clocks belong to its owner. Says which clocks the run will see instead."""
    now = state(root)
    note = "a host's clocks are recorded, not changed"
    if wanted:
        note += "; not carried out: " + ", ".join(f"{key}={value}" for key, value in sorted(wanted.items()))
    kept = ("governors", "frequency_max_hz", "boost", "smt")
    return {"requested": {}, "achieved": {key: now[key] for key in kept if key in now}, "problems": [], "note": note}


def restore(_snapshot: dict[str, Any], _root: str = "/", *, rebooted: bool = False) -> dict[str, Any]:
    """Nothing to undo."""
    del rebooted
    return {"restored": [], "failed": []}


class Sensors(Panel):
    """Every sensor of this machine. `pid` adds the memory of that process; `covers`: see `Panel.declare`.

    `nvml` is the path of NVIDIA's library; with a fixture `root` none is loaded unless it is given.
    """

    def __init__(self, root: str = "/", pid: int = 0, covers: dict[str, str] | None = None, nvml: str | None = None) -> None:
        super().__init__(root)
        add_rapl(self)
        add_rails(self, {})
        add_monitors(self)
        add_nvidia(self, nvml if nvml is not None or self.base != Path("/") else "libnvidia-ml.so.1")
        add_battery(self)
        explain_no_power(self)
        add_temperatures(self)
        add_clocks(self)
        add_throttling(self)
        add_system(self)
        add_memory(self, pid)
        self.declare(covers or {})


def doctor(root: str = "/") -> list[dict[str, Any]]:
    """What stands in the way of good figures on this machine, and what does not: {"topic", "ok", "what", "fix"}."""
    now = state(root)
    sensors = Sensors(root)
    sensors.close()
    found: list[dict[str, Any]] = findings(probe(root), now, sensors)
    return found
