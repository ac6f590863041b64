"""Boards with an NXP i.MX 8M Plus, i.MX 93 or i.MX 95: what they are, how their clocks are pinned, what their sensors say.

Sent to an agent with the files of lib/ that USES names, in this order: standard library only, Python >= 3.8. Every path is taken below `root`.

The power monitors of NXP's evaluation kits hang on a USB bridge to a PC (nxp-imx/bcu reads them there): Linux on the board sees none of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from socbench_common import Board, board_findings
from socbench_identity import probe
from socbench_kernel import state
from socbench_pinning import pin, restore, snapshot

USES = ("sysfs", "kernel", "identity", "sensors", "memory", "rails", "power", "pinning", "doctor", "common")
__all__ = ["Sensors", "doctor", "pin", "probe", "restore", "snapshot", "state"]

UNMETERED = "Linux on this board sees no power sensor (an evaluation kit's are read from a PC, by bcu)"
NPUS = (
    ("dev/galcore", "the driver of the i.MX 8M Plus's NPU and GPU"),
    ("dev/ethosu0", "the driver of the i.MX 93's Ethos-U65"),
    ("dev/neutron0", "the driver of the i.MX 95's Neutron"),
)


class Sensors(Board):
    """Every sensor of this board. `pid` adds the memory of that process; `covers`: see `Panel.declare`."""

    def __init__(self, root: str = "/", pid: int = 0, covers: dict[str, str] | None = None) -> None:
        super().__init__(root, pid, unmetered=UNMETERED)
        self.declare(covers or {})


def doctor(root: str = "/") -> list[dict[str, Any]]:
    """What stands in the way of good figures on this board, and what does not: {"topic", "ok", "what", "fix"}."""
    sensors = Sensors(root)
    sensors.close()
    drivers = [f"/{node}: {what}" for node, what in NPUS if os.path.exists(Path(root) / node)]
    npu = "; ".join(drivers) or "no NPU driver is loaded (none of /dev/galcore, ethosu0, neutron0)"
    found: list[dict[str, Any]] = board_findings(root, sensors, npu)
    return found
