"""Clocks of a board, set as a target's [pin] table asks, read back, and put back: cpufreq policies and devfreq nodes.

[pin] knows these keys; each is a table of `governor` and, or, `clock`:
  cpu            every cpufreq policy. `clock` may be a table by policy: { policy0 = 1_800_000_000, policy4 = "max" }
  gpu npu dram   every devfreq node of that kind (`devfreq_role`); its site is the kind, also in the state and in telemetry
  devfreq.NAME   the devfreq node of that name in /sys/class/devfreq
`governor`: its name. `clock`: "max", "min" or Hz. A policy's clock is made by its lowest and highest limit. A devfreq node's is made by the governor
userspace and its set_freq, where the kernel has that governor; "max" and "min" elsewhere by performance and powersave; else by its limits.

A knob that cannot be set is a problem with its reason, never an exception; what is achieved is always read back.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from socbench_kernel import cpu_policies, devfreq_role, devfreqs
from socbench_sysfs import parse_number, read_int, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

KEYS = ("cpu", "gpu", "npu", "dram", "devfreq")
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
SETTLES_S = 0.02
"""A clock's change is looked for five times, this long apart."""
ROOT = "log in as root (root@BOARD): the clocks of a board belong to root"


def raw(path: Path) -> str | None:
    """The content as it is, for writing it back."""
    try:
        return path.read_bytes().decode("latin-1")
    except OSError:
        return None


def put(path: Path, text: str) -> OSError | None:
    """Write a setting; why it was refused, or None. A file that is not there is not made."""
    try:
        handle = os.open(str(path), os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(handle, text.encode("latin-1"))
        finally:
            os.close(handle)
    except OSError as error:
        return error
    return None


def megahertz(hertz: float | None) -> str:
    """A clock for a sentence."""
    return "unknown" if hertz is None else f"{hertz / 1e6:g} MHz"


class Device:
    """One cpufreq policy or devfreq node and what is asked of it."""

    def __init__(self, site: str, folder: Path, asked: dict[str, Any]) -> None:
        cpu = folder.name.startswith("policy") or folder.name == "cpufreq"
        names = (
            ("scaling_governor", "scaling_available_governors", "scaling_setspeed", "scaling_max_freq", "scaling_min_freq", "scaling_cur_freq")
            if cpu
            else ("governor", "available_governors", "userspace/set_freq", "max_freq", "min_freq", "cur_freq")
        )
        self.site, self.folder, self.asked, self.cpu = site, folder, asked, cpu
        self.governor, self.governors, self.speed, self.most, self.least, self.now = (folder / name for name in names)
        self.scale = 1000 if cpu else 1

    def hertz(self, path: Path) -> int | None:
        """The clock [Hz] in one of its files."""
        value = read_int(path)
        return None if value is None else value * self.scale

    def offered(self) -> list[str]:
        """The governors that the kernel has for it; empty where it does not say."""
        return (read_text(self.governors) or "").split()

    def aim(self) -> int | None:
        """The clock [Hz] that is asked for; None where none is, or the device does not say what its highest or lowest is."""
        clock = self.asked.get("clock")
        if not isinstance(clock, str):
            return clock
        listed = read_text(self.folder / ("scaling_available_frequencies" if self.cpu else "available_frequencies")) or ""
        known = [int(value) * self.scale for value in map(parse_number, listed.split()) if value]
        limit = self.most if clock == "max" else self.least
        known = known or [value for value in (self.hertz(self.folder / f"cpuinfo_{clock}_freq"), self.hertz(limit)) if value][:1]
        return {"max": max, "min": min}[clock](known) if known else None

    def plan(self) -> list[tuple[Path, str]]:
        """The writes, in their order, that make what is asked for."""
        governor, clock, aim, offered = self.asked.get("governor", ""), self.asked.get("clock"), self.aim(), self.offered()
        if clock is not None and not self.cpu and not governor:
            wanted = ["userspace", {"max": "performance", "min": "powersave"}.get(str(clock), "")]
            governor = next((one for one in wanted if one in offered), "")
        steps = [(self.governor, governor)] if governor and (not offered or governor in offered) else []
        if aim is None or (governor in ("performance", "powersave") and not self.asked.get("governor")):
            return steps
        if governor == "userspace":
            return [*steps, (self.speed, str(aim // self.scale))]
        limits = [(self.most, str(aim // self.scale)), (self.least, str(aim // self.scale))]
        return [*steps, *(limits if aim >= (self.hertz(self.least) or 0) else reversed(limits))]

    def reading(self) -> dict[str, Any]:
        """What it is set to and runs at, read now; what cannot be read is absent."""
        found = {"governor": read_text(self.governor), "clock_hz": self.hertz(self.now), "max_hz": self.hertz(self.most)}
        return {key: value for key, value in {**found, "min_hz": self.hertz(self.least)}.items() if value}

    def missed(self) -> list[str]:
        """What was asked for and is not so, in words."""
        governor, clock, aim, now = self.asked.get("governor", ""), self.asked.get("clock"), self.aim(), self.reading()
        found = []
        if governor and now.get("governor") != governor:
            found.append(f"its governor is {now.get('governor', 'unknown')}, not {governor}")
            offered = self.offered()
            if offered and governor not in offered:
                found[-1] += f", which this kernel does not offer it (it offers {', '.join(offered)})"
        if clock is not None and aim is None:
            found.append(f"it does not say what its {clock} clock is")
        elif aim is not None:
            keys = ("min_hz", "max_hz") if self.cpu and governor != "userspace" else ("clock_hz",)
            off = [now.get(key) for key in keys if now.get(key) != aim]
            if off:
                most = now.get("max_hz")
                why = f": its limit is {megahertz(most)} (heat, or the power mode)" if most and most < aim else ""
                found.append(f"its clock is {megahertz(off[0])}, asked for were {megahertz(aim)}{why}")
        return found


def check(wanted: dict[str, Any], more: Sequence[str] = ()) -> None:
    """Raise ValueError for what [pin] does not know. `more`: keys that a family has beyond `KEYS`."""
    for key, value in wanted.items():
        _known(key, "it", (*KEYS, *more))
        if key == "devfreq" and isinstance(value, dict):
            for name, table in value.items():
                _check_table(f"devfreq.{name}", table)
        elif key in KEYS:
            _check_table(key, value)


def _known(key: str, where: str, known: Sequence[str]) -> None:
    if key not in known:
        raise ValueError(f"[pin] of the target: {where} has no key {key!r}; it knows {', '.join(known)}")


def _check_table(where: str, table: Any) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"[pin] of the target: {where} must be a table of governor and, or, clock, not {table!r}")  # noqa: TRY004 - its content is wrong
    for name in table:
        _known(name, where, ("governor", "clock"))
    if not isinstance(table.get("governor", ""), str):
        raise ValueError(f"[pin] of the target: {where}.governor must be a name, not {table['governor']!r}")  # noqa: TRY004 - its content is wrong
    clock = table.get("clock", "max")
    for one in clock.values() if where == "cpu" and isinstance(clock, dict) else [clock]:
        if one not in ("max", "min") and (isinstance(one, bool) or not isinstance(one, int) or one <= 0):
            raise ValueError(f'[pin] of the target: {where}.clock must be "max", "min" or Hz, not {one!r}')


def _devices(base: Path, wanted: dict[str, Any]) -> tuple[list[Device], list[str]]:
    """The devices that `wanted` is about, and in words what of it this machine does not have."""
    policies, nodes = cpu_policies(base), devfreqs(base)
    found: list[Device] = []
    missing = []
    for key, table in wanted.items():
        if key == "cpu":
            clocks = table.get("clock")
            by_policy = clocks if isinstance(clocks, dict) else dict.fromkeys(policies, clocks)
            asked = {"governor": table["governor"]} if "governor" in table else {}
            found += [Device(name, path, {**asked, **_given("clock", by_policy.get(name))}) for name, path in policies.items()]
            missing += [] if policies else ["the CPU has no cpufreq policy (no driver, or a virtual machine)"]
            missing += [f"there is no cpufreq policy {name}" for name in by_policy if name not in policies]
        elif key == "devfreq":
            found += [Device(site, path, table[path.name]) for site, path in nodes.items() if path.name in table]
            missing += [f"there is no devfreq node {name}" for name in table if name not in {path.name for path in nodes.values()}]
        elif key in KEYS:
            here = [Device(site, path, table) for site, path in nodes.items() if devfreq_role(path.name) == key]
            found += here
            missing += [] if here else [f"the kernel shows no devfreq node of the {key.upper()}"]
    return found, missing


def _given(key: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {key: value}


def snapshot(root: str = "/", wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """What it takes to undo `pin(wanted)`; without `wanted`, to undo any: {"devices": [{"folder", "files": {name: content}}]}."""
    base = Path(root)
    check(wanted or {})
    if wanted is None:
        devices = [Device(name, path, {}) for name, path in {**cpu_policies(base), **devfreqs(base)}.items()]
    else:
        devices = _devices(base, wanted)[0]
    found = []
    for device in devices:
        touched = [path for path, _ in device.plan()] if wanted is not None else [device.governor, device.speed, device.most, device.least]
        if device.governor in touched and device.speed not in touched:
            touched.append(device.speed)  # lost with the governor userspace, so it must be put back with it
        contents = ((path.relative_to(device.folder).as_posix(), path, raw(path)) for path in dict.fromkeys(touched))
        kept = {name: text for name, path, text in contents if text is not None and (path != device.speed or parse_number(text) is not None)}
        if kept:
            found.append({"folder": device.folder.relative_to(base).as_posix(), "files": kept})
    return {"devices": found}


def pin(wanted: dict[str, Any], root: str = "/") -> dict[str, Any]:
    """Set what `wanted` asks for and read back what came of it. Raises ValueError for a key that is unknown, before anything is changed."""
    check(wanted)
    base = Path(root)
    devices, missing = _devices(base, wanted)
    fix = "use a kernel with that driver, or take the key out of the target's [pin]"
    problems = [{"what": f"not pinned: {one}", "fix": fix} for one in missing]
    locked: dict[str, str] = {}
    requested: dict[str, Any] = {}
    for device in devices:
        aim = device.aim()
        requested[device.site] = {**_given("governor", device.asked.get("governor")), **_given("clock_hz", aim)}
        refused = ""
        for path, text in device.plan():
            error = put(path, text)
            if error and error.errno in FORBIDDEN:
                locked[device.site] = f"echo {text} | sudo tee /{path.relative_to(base).as_posix()}"
            elif error:
                refused = f" ({path.name} refused {text}: {error.strerror})"
        for wait in range(5):
            missed = device.missed()
            if not missed or device.site in locked or wait == 4:
                break
            time.sleep(SETTLES_S)
        if missed and device.site not in locked:
            see = f"see what it allows: grep . /{device.folder.relative_to(base).as_posix()}/*"
            problems.append({"what": f"{device.site} is not pinned: {'; '.join(missed)}{refused}", "fix": see})
        elif not missed:
            locked.pop(device.site, None)  # it was so already
    if locked:
        what = f"the run goes on unpinned: without root the clocks of {', '.join(locked)} stay as they are"
        problems.append({"what": what, "fix": f"{ROOT}; or set them yourself: {next(iter(locked.values()))}"})
    note = "" if requested else "nothing is asked for in the target's [pin]"
    return {"requested": requested, "achieved": {one.site: one.reading() for one in devices}, "problems": problems, "note": note}


def _put_back(folder: Path, files: dict[str, str]) -> tuple[bool, list[str]]:
    """Give a device its former files; whether anything had to be written, and which of them are not as they were. What is gone is let be."""
    device = Device("", folder, {})
    governor, speed, most, least = (path.relative_to(folder).as_posix() for path in (device.governor, device.speed, device.most, device.least))
    wrote = False
    for name in (governor, speed, most, least, most, least):  # a speed is for userspace to set; a limit may be in the way of the other one
        now = raw(folder / name) if name in files else None
        if now is not None and now != files[name] and put(folder / name, files[name]) is None:
            wrote = True
    left = []
    for name, former in files.items():
        now = raw(folder / name)
        if now is not None and now.strip() != former.strip():
            left.append(name)
    return wrote, left


def restore(kept: dict[str, Any], root: str = "/", *, rebooted: bool = False) -> dict[str, Any]:
    """Put back what `snapshot` kept; a second time finds nothing to do. A reboot has undone all of it by itself."""
    base = Path(root)
    restored: list[str] = []
    failed: list[dict[str, str]] = []
    for one in [] if rebooted else kept.get("devices", []):
        wrote, left = _put_back(base / one["folder"], one["files"])
        if wrote and not left:
            restored.append(one["folder"].rpartition("/")[2])
        for name in left:
            file, former = f"/{one['folder']}/{name}", one["files"][name].strip()
            failed.append({"what": f"{file} is not {former} again", "fix": f"echo {former} | sudo tee {file}"})
    return {"restored": restored, "failed": failed}


def can_pin(root: str = "/") -> bool | None:
    """Whether this user may set clocks; None where there are none to set."""
    base = Path(root)
    knobs = [Device(name, path, {}).governor for name, path in {**cpu_policies(base), **devfreqs(base)}.items()]
    there = [path for path in knobs if os.path.exists(path)]
    return all(os.access(path, os.W_OK) for path in there) if there else None
