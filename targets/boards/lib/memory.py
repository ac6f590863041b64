"""How much memory is used, and by what, that no process's resident size shows."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from socbench_sensors import Panel, Seldom, new_channel
from socbench_sysfs import parse_number

if TYPE_CHECKING:
    from collections.abc import Sequence

LINES = {"MemAvailable": "available", "CmaFree": "cma-free", "NvMapMemUsed": "nvmap"}
"""Lines of /proc/meminfo and the sites they become. CMA is where device drivers take contiguous buffers from; nvmap is a Jetson's."""
DMA_BUFFERS = "sys/kernel/dmabuf/buffers"


def _resident(text: str) -> float | None:
    """The resident memory in statm, which counts pages."""
    pages = parse_number(" ".join(text.split()[1:2]))
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


def _kibibytes(text: str, name: str) -> float | None:
    """The bytes in the line `name` of meminfo or smaps_rollup."""
    found = re.search(rf"^{name}:\s+(\d{{1,15}}) kB", text, re.MULTILINE)
    return float(found.group(1)) * 1024 if found else None


def add_memory(panel: Panel, pid: int) -> None:
    """The memory that is free, and of process `pid`, unless it is 0, the resident (RSS) and the proportional (PSS) memory."""
    proc = panel.base / "proc"
    try:
        text = panel.open(proc / "meminfo").text_and_close() or ""
    except OSError:
        text = ""  # `watch_all` says why
    names = [name for name in LINES if name == "MemAvailable" or _kibibytes(text, name) is not None]
    channels = [new_channel(LINES[name], "memory", "B", "system") for name in names]
    panel.watch_all(proc / "meminfo", channels, lambda text: [_kibibytes(text, name) for name in names], "mount /proc")
    if pid:
        running = "give the number of a process that runs"
        panel.watch(proc / str(pid) / "statm", new_channel("rss", "memory", "B", "process"), _resident, running)
        # the kernel walks all pages of the process for it: some 20 ms of CPU time for 600 MB
        pss = new_channel("pss", "memory", "B", "process")
        panel.watch(proc / str(pid) / "smaps_rollup", pss, lambda text: _kibibytes(text, "Pss"), running, dear=True)


def _size(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read(32))
    except (OSError, ValueError):  # buffers come and go
        return 0


def add_dma_buffers(panel: Panel) -> None:
    """What device drivers share by dma-buf: an NPU's buffers are there and in no process."""
    folder = str(panel.base / DMA_BUFFERS)

    def together() -> Sequence[float | None]:
        return (float(sum(_size(f"{folder}/{name}/size") for name in os.listdir(folder))),)

    if os.path.isdir(folder):
        panel.add([new_channel("dma-buf", "memory", "B", "system")], Seldom(together))
    else:
        fix = "use a kernel with CONFIG_DMABUF_SYSFS_STATS; or see /sys/kernel/debug/dma_buf/bufinfo as root"
        panel.miss("memory", "dma-buf", f"the kernel shows no /{DMA_BUFFERS}", fix)
