"""Boards with a Huawei Ascend 310B: what they are, how their clocks are pinned, what their sensors say.

Sent to an agent with the files of lib/ that USES names, in this order: standard library only, Python >= 3.8. Every path is taken below `root`.

No device tree of such a board is known to this file: a board is recognised by the chip's name that `npu-smi info` prints ("310B1", "310B4"), which is
"soc_version without Ascend" (hiascend.com, CANN documents). It is given as soc0's soc_id, where the kernel shows none.
npu-smi takes up to a second for an answer, so it is asked by `probe`, never while something is measured.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import socbench_identity
from socbench_common import Board, board_findings
from socbench_kernel import state
from socbench_pinning import pin, restore, snapshot
from socbench_sysfs import entries, read_text

USES = ("sysfs", "kernel", "identity", "sensors", "memory", "rails", "power", "pinning", "doctor", "common")
__all__ = ["Sensors", "doctor", "pin", "probe", "restore", "snapshot", "state"]

UNMETERED = "only npu-smi tells a power, takes up to a second for it, and often says NA: it is not asked while something is measured"
NPU_SMI = ("usr/local/bin/npu-smi", "usr/local/sbin/npu-smi", "usr/bin/npu-smi", "usr/sbin/npu-smi")
LIBRARIES = ("driver/lib64", "driver/lib64/common", "driver/lib64/driver")
PATIENCE_S = 20.0


def parse_chips(text: str) -> list[str]:
    """The names of the chips in the table of `npu-smi info`: "| 0     310B4  | OK | ...". How many columns follow differs between families."""
    return re.findall(r"^\|\s*\d+\s+(\d{3}[A-Z]?\d?)\s*\|", text, re.MULTILINE)


def _chips(base: Path) -> list[str]:
    program = next((base / one for one in NPU_SMI if os.access(base / one, os.X_OK)), None)
    if program is None:
        return []
    paths = [str(base / "usr/local/Ascend" / one) for one in LIBRARIES]  # a login without its set_env.sh does not find them
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join([*paths, os.environ.get("LD_LIBRARY_PATH", "")])}
    try:
        done = subprocess.run(  # noqa: PLW1510 - what it prints is the answer
            [str(program), "info"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return parse_chips(done.stdout.decode("utf-8", "replace"))


def probe(root: str = "/") -> dict[str, Any]:
    """What this machine is, and which Ascend chip it says it has."""
    found: dict[str, Any] = socbench_identity.probe(root)
    chips = _chips(Path(root))
    if chips and not found["soc0"]["soc_id"]:
        found["soc0"] = {**found["soc0"], "family": found["soc0"]["family"] or "Ascend", "soc_id": f"Ascend{chips[0]}"}
    return found


class Sensors(Board):
    """Every sensor of this board. `pid` adds the memory of that process; `covers`: see `Panel.declare`."""

    def __init__(self, root: str = "/", pid: int = 0, covers: dict[str, str] | None = None) -> None:
        super().__init__(root, pid, unmetered=UNMETERED)
        self.miss("load", "npu", "only npu-smi tells the NPU's load, and takes up to a second for it", "see it beside a run: npu-smi info watch")
        self.declare(covers or {})


def doctor(root: str = "/") -> list[dict[str, Any]]:
    """What stands in the way of good figures on this board, and what does not: {"topic", "ok", "what", "fix"}."""
    base = Path(root)
    sensors = Sensors(root)
    sensors.close()
    nodes = [f"/dev/{path.name}" for path in entries(base, "dev/davinci[0-9]*")]
    version = re.search(r"^Version=(\S+)", read_text(base / "usr/local/Ascend/driver/version.info") or "", re.MULTILINE)
    npu = f"NPU: {', '.join(nodes)}" if nodes else "no NPU driver is loaded (no /dev/davinci0)"
    found: list[dict[str, Any]] = board_findings(root, sensors, npu + (f", driver {version.group(1)}" if version else ""))
    return found
