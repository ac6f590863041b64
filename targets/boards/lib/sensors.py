"""The sensors of a board as one row of numbers, and those that every Linux has: temperatures, clocks, throttling, pressure, load."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socbench_identity import place
from socbench_kernel import (
    ASLEEP,
    IN_THE_RECORD,
    coolers,
    cpu_policies,
    devfreq_role,
    devfreqs,
    overcurrent_counters,
    parse_cpu_ticks,
    parse_pressure,
    thermometers,
)
from socbench_sysfs import File, entries, parse_celsius, parse_hertz, parse_kilohertz, parse_number, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

METER = "put a power meter at its supply (--meter shelly://ADDRESS, and others), or measure on a machine whose power can be read"
SLOW = 10
"""A sensor that is dear to read is read in every tenth row at most; the rows between repeat it."""
DEAR_NS = 200_000
"""CPU time a row that a dear sensor may take on average, 0.2 % of a core at 10 Hz: it is read the more seldom the longer a read takes."""
SLOWS = re.compile(r"cpu|gpu|npu|cv-|devfreq|throttle|powerclamp")
"""Types of cooling devices that slow a processor down; a screen and a radio are cooling devices too, and "Processor" is moved by hand only."""
PSI = "use a kernel >= 4.20 with CONFIG_PSI, and boot it with psi=1"


def new_channel(site: str, kind: str, unit: str, scope: str, wraps_at: float | None = None, quantum: float | None = None) -> dict[str, Any]:  # noqa: PLR0913, PLR0917 - each is a field
    """One channel. `wraps_at`: where a counter starts again at 0. `quantum`: the smallest step it can show, where that is known."""
    return {"site": site, "kind": kind, "unit": unit, "scope": scope, "wraps_at": wraps_at, "quantum": quantum}


class Panel:
    """Every sensor that can be read now: `channels`, their values by `read()`, and under `absent` what was looked for in vain.

    `totals`: which rails together are a wider scope, {"scope", "sites", "source", "note"}: the only sums of rails that may be made.

    A board half fills it with the `add_` functions. `base` is the root to look below, `where` and `virtual` say what lies below this system.
    """

    def __init__(self, root: str = "/") -> None:
        self.channels: list[dict[str, Any]] = []
        self.totals: list[dict[str, Any]] = []
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
        self._readers = [(len(self.channels), lambda: [None] * len(self.channels))]

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

    def watch(self, path: Path, channel: dict[str, Any], parse: Callable[[str], float | None], fix: str = "", *, dear: bool = False) -> None:
        """Add the channel that `parse` finds in the file, read `Seldom` if it is dear; or the reason why a first read gives nothing."""
        self.watch_all(path, [channel], lambda text: (parse(text),), fix, dear=dear)

    def watch_all(
        self, path: Path, channels: list[dict[str, Any]], parse: Callable[[str], Sequence[float | None]], fix: str = "", *, dear: bool = False
    ) -> None:
        """`watch` for several channels whose values `parse` finds in one file."""
        where = self.kernel_path(path)
        try:
            file = self.open(path)
        except PermissionError:
            reason, fix = f"{path.name} is readable by root only", "log in as root" if "/debug/" in where else f"sudo chmod a+r {where}"
        except OSError as error:
            reason, fix = f"{where}: {error.strerror}", fix or f"see why: cat {where}"
        else:
            none = [None] * len(channels)

            def reader() -> Sequence[float | None]:
                text = file.text()
                return none if text is None else parse(text)

            if file.asleep or any(value is not None for value in reader()):
                self.add(channels, Seldom(reader) if dear else reader)
                return
            file.close()
            reason, fix = f"{where} does not hold a reading", fix or f"see what it holds: cat {where}"
        for one in channels:
            self.miss("power" if one["kind"] == "energy" else one["kind"], one["site"], reason, fix)

    def declare(self, covers: dict[str, str]) -> None:
        """Say what sensors cover, {site: scope}, where the target knows it better: an unlabelled power monitor at a board's inlet is "board"."""
        for site, scope in covers.items():
            found = [one for one in self.channels if one["site"] == site and one["kind"] in ("power", "energy")]
            for one in found:
                one["scope"] = scope
            if not found:
                there = ", ".join(one["site"] for one in self.channels if one["kind"] in ("power", "energy")) or "none"
                self.miss("power", site, f"the target declares it, and there is no such power sensor; there are: {there}", "correct its name")


class Seldom:
    """A reader that reads in every `SLOW`th row, or more seldom if a read takes long, and repeats that in between."""

    def __init__(self, reader: Callable[[], Sequence[float | None]]) -> None:
        self._reader = reader
        self._rest = 0
        self._last: Sequence[float | None] = ()

    def __call__(self) -> Sequence[float | None]:
        """The values of this row."""
        if not self._rest:
            begin = time.thread_time_ns()
            self._last = self._reader()
            self._rest = max(SLOW, (time.thread_time_ns() - begin) // DEAR_NS)
        self._rest -= 1
        return self._last


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
    """The thermal zones and the CPU's own thermometers in every row; what else on the board has one, seldom or not at all: see `DISTURBING`."""
    found = thermometers(panel.base)
    for one in found:
        if one.unread:
            awake = f"echo on | sudo tee {panel.kernel_path(one.path.parent)}/device/power/control" if one.unread == ASLEEP else IN_THE_RECORD
            panel.miss("temperature", one.site, one.unread, awake)
        elif not re.search(r"coretemp.*/Core \d", one.site):  # an interrupt on every core for what the package already says
            panel.watch(one.path, new_channel(one.site, "temperature", "°C", one.scope), parse_celsius, dear=not one.cpu)
    if not any(one.cpu and not one.unread for one in found):
        reason = "a virtual machine shows no thermometer" if panel.virtual else "no thermometer is shown"
        panel.miss("temperature", "cpu", reason, "measure on the machine itself, with the driver coretemp or k10temp")


def add_clocks(panel: Panel) -> None:
    """The CPU clock of every cpufreq policy, and the clocks of GPU, NPU and DRAM that devfreq shows: asking it wakes none of them."""
    policies = cpu_policies(panel.base)
    for name, policy in policies.items():
        panel.watch(policy / "scaling_cur_freq", new_channel(name, "frequency", "Hz", "die"), parse_kilohertz)
    for site, path in devfreqs(panel.base).items():
        if devfreq_role(path.name):
            panel.watch(path / "cur_freq", new_channel(site, "frequency", "Hz", "die"), parse_hertz)
    if panel.virtual and not policies:
        panel.miss("frequency", "cpu", "a virtual machine hides the clock", "measure on the machine itself")
    elif not policies:
        panel.miss("frequency", "cpu", "the kernel has no cpufreq driver for this CPU", "use a kernel that has one")


def add_throttling(panel: Panel, meanings: dict[str, str] | None = None) -> None:
    """What slows the machine down: states of cooling devices, over-current events, an x86 package's count of hot moments.

    `meanings`: what a Jetson's over-current counters stand for, by name.
    """
    for site, path in coolers(panel.base):
        if SLOWS.search(site):
            panel.watch(path / "cur_state", new_channel(f"cooling/{site}", "throttle", "1", "die"), parse_number)
    for name, path in overcurrent_counters(panel.base):
        meaning = (meanings or {}).get(name, "")
        panel.watch(path, new_channel(f"{name} {meaning}".strip(), "throttle", "1", "module"), parse_number)
    seen = set()
    for counter in entries(panel.base, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/package_throttle_count"):
        package = read_text(counter.parents[1] / "topology/physical_package_id") or "0"
        if package not in seen:
            seen.add(package)
            panel.watch(counter, new_channel(f"hot/package-{package}", "throttle", "1", "die"), parse_number)


def add_system(panel: Panel) -> None:
    """Pressure and load."""
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
