"""NVIDIA's programs nvpmodel (power modes) and jetson_clocks (clocks at the top of the mode), asked and obeyed.

What they print is of JetPack 4 to 7 as people recorded it: `NV Power Mode: NAME` and its number on a line of its own; a mode that needs a reboot is
announced by "Reboot required" and asks for YES, which is never said here. jetson_clocks keeps what it changes only if it is told to before (--store).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from socbench_kernel import cpu_policies, devfreq_role, devfreqs
from socbench_pinning import ROOT, Device, megahertz
from socbench_sysfs import read_int, read_text

FOLDERS = ("usr/sbin", "usr/bin", "sbin", "bin")
PATIENCE_S = 60.0
EMC = "sys/kernel/debug/bpmp/debug/clk/emc"
"""The memory controller's clock in the debugfs of the boot and power processor: root only."""


def program(base: Path, name: str) -> Path | None:
    """Where a program is, or None."""
    return next((base / folder / name for folder in FOLDERS if os.access(base / folder / name, os.X_OK)), None)


def run(base: Path, name: str, *words: str) -> tuple[int, str]:
    """Exit code and output of a program of this machine; -1 and the reason where it did not run. Whatever it asks, the answer is NO."""
    path = program(base, name)
    if path is None:
        return -1, f"there is no {name}"
    try:
        done = subprocess.run(  # noqa: PLW1510 - its exit code is an answer
            [str(path), *words], input=b"NO\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, f"{name}: {error}"
    return done.returncode, done.stdout.decode("utf-8", "replace")


def parse_mode(text: str) -> dict[str, Any] | None:
    """{"id", "name"} of what `nvpmodel -q` prints."""
    name = ""
    for line in text.splitlines():
        found = re.search(r"NV Power Mode:\s*(\S.*?)\s*$", line)
        if found:
            name = found.group(1)
        elif name and re.match(r"\s*\d{1,4}\s*$", line):
            return {"id": int(line), "name": name}
    return None


def power_mode(base: Path) -> dict[str, Any] | None:
    """The power mode now, or None where it cannot be asked."""
    return parse_mode(run(base, "nvpmodel", "-q")[1])


def _modes(base: Path) -> dict[str, int]:
    """The power modes of this module, by name."""
    text = read_text(base / "etc/nvpmodel.conf") or run(base, "nvpmodel", "-p", "--verbose")[1]
    return {name: int(number) for number, name in re.findall(r"POWER_MODEL:?\s+ID=(\d{1,4})\s+NAME=([^\s>]+)", text)}


def set_mode(base: Path, wanted: int | str) -> dict[str, str] | None:
    """Change to a power mode, by number or name, and see whether it is so; the problem, or None."""
    now = power_mode(base)
    if now is None:
        what = run(base, "nvpmodel", "-q")[1].strip().splitlines()
        return {"what": f"the power mode is not set: {what[-1] if what else 'nvpmodel says nothing'}", "fix": "see what it says: sudo nvpmodel -q"}
    if wanted in (now["id"], now["name"]):
        return None
    modes = _modes(base)
    number = wanted if isinstance(wanted, int) else modes.get(wanted)
    if number is None:
        known = ", ".join(f"{name} ({at})" for name, at in modes.items()) or "none that can be listed"
        return {"what": f"this module has no power mode {wanted}", "fix": f"write one of its modes in the target's [pin]: {known}"}
    said = run(base, "nvpmodel", "-m", str(number))[1]
    after = power_mode(base)
    if after and after["id"] == number:
        return None
    stays = f"the power mode stays {now['name']}"
    if re.search("reboot", said, re.IGNORECASE):
        fix = f"change it yourself, and measure after the reboot: sudo nvpmodel -m {number}"
        return {"what": f"{stays}: a change to {wanted} needs a reboot, which a run never makes", "fix": fix}
    last = said.strip().splitlines()[-1:]
    return {"what": f"{stays}, {wanted} was asked for: {''.join(last) or 'nvpmodel gives no reason'}", "fix": ROOT}


def stored_clocks(base: Path) -> str | None:
    """The clocks' settings in the form of jetson_clocks, for `restore_clocks`; None where it cannot tell them (not root)."""
    with tempfile.TemporaryDirectory(prefix="socbench-") as folder:  # it asks before it overwrites a file
        file = Path(folder, "clocks")
        code, _ = run(base, "jetson_clocks", "--store", str(file))
        try:
            return file.read_bytes().decode("latin-1") or None if code == 0 else None
        except OSError:
            return None


def restore_clocks(base: Path, kept: str) -> tuple[bool, str]:
    """Have jetson_clocks put back what `stored_clocks` gave; whether it had to, and why it failed."""
    if stored_clocks(base) == kept:
        return False, ""
    with tempfile.TemporaryDirectory(prefix="socbench-") as folder:
        file = Path(folder, "clocks")
        file.write_bytes(kept.encode("latin-1"))
        code, said = run(base, "jetson_clocks", "--restore", str(file))
    return True, "" if code == 0 else "".join(said.strip().splitlines()[-1:]) or f"exit code {code}"


def clocks_at_top(base: Path) -> tuple[dict[str, Any], list[str]]:
    """What jetson_clocks has in hand as it is now, by site, and in words what of it is not held at the top of the power mode."""
    nodes = {site: path for site, path in devfreqs(base).items() if devfreq_role(path.name) == "gpu"}
    devices = [Device(name, path, {}) for name, path in {**cpu_policies(base), **nodes}.items()]
    found = {one.site: one.reading() for one in devices}
    loose = [site for site, now in found.items() if now.get("min_hz") != now.get("max_hz")]
    missed = [f"{site} may go down to {megahertz(found[site].get('min_hz'))}" for site in loose]
    rate, most = (read_int(base / EMC / name) for name in ("rate", "max_rate"))
    if rate:
        found["dram"] = {"clock_hz": rate, **({"max_hz": most} if most else {})}
        missed += [f"dram runs at {megahertz(rate)} of {megahertz(most)}"] if most and rate < most else []
    return found, missed
