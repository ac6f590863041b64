"""Boards with a Rockchip RK3588 or RK3576: what they are, how their clocks are pinned, what their sensors say.

Sent to an agent with the files of lib/ that USES names, in this order: standard library only, Python >= 3.8. Every path is taken below `root`.

The NPU's clock is read from devfreq. /sys/kernel/debug/rknpu/freq is never opened: reading it powers the NPU up (rknpu_debugger.c of the driver).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socbench_common import Board, board_findings
from socbench_identity import probe
from socbench_kernel import devfreq_role, devfreqs, state
from socbench_pinning import pin, restore, snapshot
from socbench_sensors import Panel, new_channel
from socbench_sysfs import parse_number, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

USES = ("sysfs", "kernel", "identity", "sensors", "memory", "rails", "power", "pinning", "doctor", "common")
__all__ = ["Sensors", "doctor", "pin", "probe", "restore", "snapshot", "state"]

UNMETERED = "boards with this chip have regulators and no current sensors"
RKNPU = ("proc/rknpu", "sys/kernel/debug/rknpu")
"""Where the NPU's driver shows itself: with CONFIG_ROCKCHIP_RKNPU_PROC_FS also to users, else in debugfs to root."""


def _npu_loads(text: str) -> list[float]:
    """Share of the last second in which each core was busy: "NPU load:  Core0:  7%, Core1:  0%,"; one core says "NPU load:  7%".

    Some builds of the driver print a 0 as nothing (its format is %2.d).
    """
    cores = re.findall(r"Core\d+:\s*(\d{0,3})%", text) or re.findall(r"load:\s*(\d{0,3})%", text)
    return [int(percent or 0) / 100 for percent in cores]


def _devfreq_load(text: str) -> float | None:
    """Busy share of a clock domain: "43@300000000Hz"."""
    percent = parse_number(text.partition("@")[0]) if "@" in text else None
    return None if percent is None else percent / 100


def _add_npu_load(panel: Panel) -> None:
    reason, fix = "", "log in as root, on a vendor kernel (the mainline driver rocket shows no load)"
    for place in RKNPU:
        path = panel.base / place / "load"
        try:
            count = len(_npu_loads(panel.open(path).text_and_close() or ""))
        except PermissionError:
            reason = f"{panel.kernel_path(path)} is for root only"
            continue
        except OSError as error:
            reason = reason or f"{panel.kernel_path(path)}: {error.strerror}"
            continue
        channels = [new_channel(f"npu-core{core}" if count > 1 else "npu", "load", "1", "die") for core in range(max(count, 1))]

        def parse(text: str, count: int = len(channels)) -> Sequence[float | None]:
            found: list[float | None] = [*_npu_loads(text)]
            return found if len(found) == count else [None] * count

        panel.watch_all(path, channels, parse)
        return
    panel.miss("load", "npu", reason, fix)


def _add_domain_loads(panel: Panel) -> None:
    """How busy GPU and DRAM are. The NPU's figure there is not kept up by its driver."""
    for site, path in devfreqs(panel.base).items():
        if devfreq_role(path.name) in ("gpu", "dram") and os.path.exists(path / "load"):
            panel.watch(path / "load", new_channel(site, "load", "1", "die"), _devfreq_load)


class Sensors(Board):
    """Every sensor of this board. `pid` adds the memory of that process; `covers`: see `Panel.declare`."""

    def __init__(self, root: str = "/", pid: int = 0, covers: dict[str, str] | None = None) -> None:
        super().__init__(root, pid, unmetered=UNMETERED)
        _add_npu_load(self)
        _add_domain_loads(self)
        self.declare(covers or {})


def _npu(base: Path) -> str:
    """The NPU's driver, for people."""
    version = next((text for text in (read_text(base / place / "version") for place in RKNPU) if text), "")
    if version:
        return f"NPU driver: {version}"
    if "npu" in devfreqs(base):
        return "an rknpu driver is loaded; its version can be read as root"
    if os.path.exists(base / "dev/accel/accel0"):
        return "the NPU has the mainline driver rocket: Rockchip's runtime does not work with it"
    return "no NPU driver is loaded"


def doctor(root: str = "/") -> list[dict[str, Any]]:
    """What stands in the way of good figures on this board, and what does not: {"topic", "ok", "what", "fix"}."""
    sensors = Sensors(root)
    sensors.close()
    found: list[dict[str, Any]] = board_findings(root, sensors, _npu(Path(root)))
    return found
