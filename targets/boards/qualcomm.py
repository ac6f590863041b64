"""Boards with a Qualcomm QCS6490 or QCM6490: what they are, how their clocks are pinned, what their sensors say.

Sent to an agent with the files of lib/ that USES names, in this order: standard library only, Python >= 3.8. Every path is taken below `root`.

The Hexagon processor's clock is voted for through FastRPC by the runtime and cannot be read from Linux. The hardware monitors qcom_battmgr_* speak of
a battery and of USB supplies that a board fed by DC does not have: they are copies of power_supply, which `add_monitors` leaves out.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from socbench_common import Board, board_findings
from socbench_identity import probe
from socbench_kernel import state
from socbench_pinning import pin, restore, snapshot
from socbench_sysfs import entries, read_text

USES = ("sysfs", "kernel", "identity", "sensors", "memory", "rails", "power", "pinning", "doctor", "common")
__all__ = ["Sensors", "doctor", "pin", "probe", "restore", "snapshot", "state"]

UNMETERED = "boards with this chip have no sensor for what they draw"
FASTRPC = ("dev/fastrpc-cdsp", "dev/fastrpc-cdsp-secure")


class Sensors(Board):
    """Every sensor of this board. `pid` adds the memory of that process; `covers`: see `Panel.declare`."""

    def __init__(self, root: str = "/", pid: int = 0, covers: dict[str, str] | None = None) -> None:
        super().__init__(root, pid, unmetered=UNMETERED)
        hexagon = "neither Linux nor a file tells the Hexagon processor's clock or load"
        self.miss("load", "npu", hexagon, "none on Linux: its runtime's own profile is the only view")
        self.declare(covers or {})


def _npu(base: Path) -> str:
    """The compute DSP and its door, for people."""
    processors = ((read_text(path / "name") or "", path) for path in entries(base, "sys/class/remoteproc/remoteproc*"))
    states = [read_text(path / "state") or "unknown" for name, path in processors if "cdsp" in name]
    doors = [f"/{door}" for door in FASTRPC if os.path.exists(base / door)]
    dsp = f"the compute DSP (cdsp) is {states[0]}" if states else "the kernel shows no compute DSP (cdsp)"
    return f"{dsp}; {' and '.join(doors)} lead to it" if doors else f"{dsp}; no /{FASTRPC[0]} leads to it"


def doctor(root: str = "/") -> list[dict[str, Any]]:
    """What stands in the way of good figures on this board, and what does not: {"topic", "ok", "what", "fix"}."""
    sensors = Sensors(root)
    sensors.close()
    found: list[dict[str, Any]] = board_findings(root, sensors, _npu(Path(root)))
    return found
