"""What the board halves of all families have in common: the sensors that a Linux board has, and what its doctor says."""

from __future__ import annotations

from typing import Any

from socbench_doctor import findings
from socbench_identity import probe
from socbench_kernel import state
from socbench_memory import add_dma_buffers, add_memory
from socbench_pinning import ROOT, can_pin
from socbench_power import add_monitors, explain_no_power
from socbench_rails import add_rails
from socbench_sensors import Panel, add_clocks, add_system, add_temperatures, add_throttling


class Board(Panel):
    """The sensors of a board. `scopes`: what the rails cover, by label. `unmetered`: why boards of this family show no power, where one does not.

    `meanings`: see `add_throttling`. A family adds its own after these, and calls `declare` last.
    """

    def __init__(
        self, root: str, pid: int, scopes: dict[str, str] | None = None, unmetered: str = "", meanings: dict[str, str] | None = None
    ) -> None:
        super().__init__(root)
        add_rails(self, scopes or {})
        add_monitors(self)
        explain_no_power(self, unmetered)
        add_temperatures(self)
        add_clocks(self)
        add_throttling(self, meanings)
        add_system(self)
        add_memory(self, pid)
        add_dma_buffers(self)


def board_findings(root: str, sensors: Panel, npu: str) -> list[dict[str, Any]]:
    """The doctor's findings for a board that a run can pin: {"topic", "ok", "what", "fix"}. `npu`: what was found of its driver, to know."""
    identity = probe(root)
    settable = can_pin(root)
    found: list[dict[str, Any]] = findings(identity, state(root), sensors)
    if settable:  # a run sets the governor, and restores it
        found = [one for one in found if one["topic"] != "clock" or one["ok"]]
    if settable:
        what, fix = "a run can pin the clocks, and puts them back", ""
    elif settable is None:
        what, fix = "no clock can be set: the kernel shows neither cpufreq nor devfreq", "use a kernel with these drivers; a virtual machine has none"
    else:
        what, fix = "only root may set the clocks", ROOT
    found.append({"topic": "pinning", "ok": bool(settable), "what": what, "fix": fix})
    found.append({"topic": "npu", "ok": True, "what": npu, "fix": ""})
    if identity["emulated"]:
        fix = "measure on the board itself: no figure of an emulator is of the board"
        found.append({"topic": "emulated", "ok": False, "what": identity["emulated"], "fix": fix})
    return found
