"""The sensors of a board as one row of numbers, and those that every Linux has: temperatures, clocks, pressure, load, memory."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socbench_identity import place
from socbench_kernel import cpu_policies, parse_cpu_ticks, parse_pressure, thermometers
from socbench_sysfs import File, parse_celsius, parse_kilohertz, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METER = "measure on a machine whose power can be read, or with a power meter at its supply"
PSI = "use a kernel >= 4.20 with CONFIG_PSI, and boot it with psi=1"


def new_channel(site: str, kind: str, unit: str, scope: str, wraps_at: float | None = None) -> dict[str, Any]:
    """One channel. `wraps_at`: where a counter starts again at 0."""
    return {"site": site, "kind": kind, "unit": unit, "scope": scope, "wraps_at": wraps_at}


class Panel:
    """Every sensor that can be read now: `channels`, their values by `read()`, and under `absent` what was looked for in vain.

    A board half fills it with the `add_` functions. `base` is the root to look below, `where` and `virtual` say what lies below this system.
    """

    def __init__(self, root: str = "/") -> None:
        self.channels: list[dict[str, Any]] = []
        self.absent: list[dict[str, Any]] = []
        self.base = Path(root)
        self.where: str = place(self.base)
        self.virtual = self.where not in ("", "container")
        self._readers: list[tuple[int, Callable[[], Sequence[float | None]]]] = []
        self._closers: list[Callable[[], object]] = []

    def read(self) -> list[float | None]:
        """One row in the order of `channels`; None is a read that failed."""
        row: list[float | None] = []
        for width, reader in self._readers:
            try:
                row.extend(reader())
            except (OSError, ValueError, ArithmeticError, LookupError):
                row.extend([None] * width)
        return row

    def close(self) -> None:
        """Let go of all files. From now on every read has failed."""
        for closer in self._closers:
            closer()
        self._closers = []

    def has(self, *kinds: str, scope: str = "") -> bool:
        """Whether there is a channel of one of these kinds, and of this scope where one is given."""
        return any(channel["kind"] in kinds and scope in ("", channel["scope"]) for channel in self.channels)

    def miss(self, kind: str, site: str, reason: str, fix: str) -> None:
        """Say why something that was looked for cannot be read, and what would help."""
        self.absent.append({"kind": kind, "site": site, "reason": reason, "fix": fix})

    def add(self, channels: list[dict[str, Any]], reader: Callable[[], Sequence[float | None]]) -> None:
        """Add channels whose values `reader` gives, in their order."""
        self.channels += channels
        self._readers.append((len(channels), reader))

    def at_close(self, closer: Callable[[], object]) -> None:
        """Have `closer` called by `close()`."""
        self._closers.append(closer)

    def kernel_path(self, path: Path) -> str:
        """The path as it is without a fixture root, for commands that a human can copy."""
        return "/" + path.relative_to(self.base).as_posix()

    def open(self, path: Path) -> File:
        """A sensor file that `close()` closes. Raises OSError where it cannot be read."""
        file = File(path)
        self.at_close(file.close)
        return file

    def watch(self, path: Path, channel: dict[str, Any], parse: Callable[[str], float | None], fix: str = "") -> None:
        """Add the channel that `parse` finds in the file; or the reason why a first read gives nothing."""
        where = self.kernel_path(path)
        try:
            file = self.open(path)
        except PermissionError:
            reason, fix = f"{path.name} is readable by root only", f"sudo chmod a+r {where}"
        except OSError as error:
            reason, fix = f"{where}: {error.strerror}", fix or f"see why: cat {where}"
        else:

            def reader() -> Sequence[float | None]:
                text = file.text()
                return (None if text is None else parse(text),)

            if reader() != (None,):
                self.add([channel], reader)
                return
            file.close()
            reason, fix = f"{where} does not hold a reading", fix or f"see what it holds: cat {where}"
        self.miss("power" if channel["kind"] == "energy" else channel["kind"], channel["site"], reason, fix)


def _available(text: str) -> float | None:
    found = re.search(r"^MemAvailable:\s+(\d{1,15}) kB", text, re.MULTILINE)
    return float(found.group(1)) * 1024 if found else None


def _resident(text: str) -> float | None:
    """The resident memory in statm, which counts pages."""
    pages = parse_number(" ".join(text.split()[1:2]))
    return None if pages is None else pages * os.sysconf("SC_PAGE_SIZE")


class _Shares:
    """From one /proc/stat to the next: the share of CPU time that was busy, and the share that a hypervisor gave to others."""

    def __init__(self, text: str) -> None:
        self._last = parse_cpu_ticks(text)
        self._shares: tuple[float | None, float | None] = (None, None)

    def __call__(self, text: str) -> Sequence[float | None]:
        """Within one tick of the kernel nothing new is known: the shares stay."""
        now = parse_cpu_ticks(text)
        if not now or not self._last:
            return (None, None)
        spent = [max(0, after - before) for before, after in zip(self._last, now)]  # iowait may step back
        total = sum(spent)
        if total:
            self._last = now
            self._shares = (1 - (spent[3] + spent[4] + spent[7]) / total, spent[7] / total)
        return self._shares


def add_temperatures(panel: Panel) -> None:
    """The thermal zones and the CPU's own thermometers."""
    found = thermometers(panel.base)
    for site, path in found:
        if not re.search(r"coretemp.*/Core \d", site):  # an interrupt on every core for what the package already says
            scope = "board" if path.name == "temp" else "die"
            panel.watch(path, new_channel(site, "temperature", "°C", scope), parse_celsius)
    if not found:
        reason = "a virtual machine shows no thermometer" if panel.virtual else "no thermometer is shown"
        panel.miss("temperature", "cpu", reason, "measure on the machine itself, with the driver coretemp or k10temp")


def add_clocks(panel: Panel) -> None:
    """The CPU clock of every cpufreq policy."""
    policies = cpu_policies(panel.base)
    for name, policy in policies.items():
        panel.watch(policy / "scaling_cur_freq", new_channel(name, "frequency", "Hz", "die"), parse_kilohertz)
    if panel.virtual and not policies:
        panel.miss("frequency", "cpu", "a virtual machine hides the clock", "measure on the machine itself")
    elif not policies:
        panel.miss("frequency", "cpu", "the kernel has no cpufreq driver for this CPU", "use a kernel that has one")


def add_system(panel: Panel, pid: int) -> None:
    """Pressure, load, free memory, and the resident memory of process `pid` unless it is 0."""
    proc = panel.base / "proc"
    for name in ("cpu", "memory", "io"):
        channel = new_channel(f"psi-{name}", "pressure", "1", "system")
        panel.watch(proc / "pressure" / name, channel, lambda text: parse_pressure(text)[0], PSI)
    try:
        stat = panel.open(proc / "stat")
        shares = _Shares(stat.text() or "")
    except OSError as error:
        panel.miss("load", "cpu-busy", f"/proc/stat: {error.strerror}", "mount /proc")
    else:
        both = [new_channel("cpu-busy", "load", "1", "system"), new_channel("cpu-steal", "load", "1", "system")]
        panel.add(both, lambda: shares(stat.text() or ""))
    panel.watch(proc / "meminfo", new_channel("available", "memory", "B", "system"), _available, "mount /proc")
    if pid:
        channel = new_channel("rss", "memory", "B", "process")
        panel.watch(proc / str(pid) / "statm", channel, _resident, "give the number of a process that runs")
