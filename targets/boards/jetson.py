"""NVIDIA Jetson modules: what they are, how power mode and clocks are pinned, what their rails cover.

Sent to an agent with the files of lib/ that USES names, in this order: standard library only, Python >= 3.8. Every path is taken below `root`.

[pin] knows, beyond what `socbench_pinning` knows:
  power_mode      name ("MAXN") or number of an nvpmodel mode. A mode that needs a reboot is refused.
  jetson_clocks   true: run jetson_clocks, which holds CPU, GPU and memory at the top of the power mode
They come before the other keys.

What the rails cover. VDD_IN is "the total power of module" (NVIDIA, forums.developer.nvidia.com/t/interpretation-of-jetson-nx-power-rail/200883); the
other rails of that module lie inside it. VIN of a Jetson AGX Thor measures "Jetson + carrier" (NVIDIA, .../t/.../366461). The Jetson AGX Orin has no
total rail: `totals` names the sum that is made, and what is not known of it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import socbench_kernel
import socbench_pinning
from socbench_common import Board, board_findings
from socbench_identity import device_tree, probe
from socbench_jetpack import EMC, clocks_at_top, power_mode, program, restore_clocks, run, set_mode, stored_clocks
from socbench_pinning import ROOT
from socbench_sensors import new_channel
from socbench_sysfs import parse_hertz, parse_number, read_int, read_text

USES = ("sysfs", "kernel", "identity", "sensors", "memory", "rails", "power", "pinning", "doctor", "common", "jetpack")
__all__ = ["Sensors", "doctor", "pin", "probe", "restore", "snapshot", "state"]

KEYS = ("power_mode", "jetson_clocks")
SCOPES = {"VDD_IN": "module", "POM_5V_IN": "module", "VIN": "board"}
ORIN_EVENTS = {"oc1": "under-voltage", "oc2": "average over-current", "oc3": "instantaneous over-current"}
"""Of the Orin series (Jetson Linux Developer Guide); on a Xavier the numbers mean something else."""
AGX_ORIN = {
    "scope": "module",
    "sites": ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
    "source": "the three rails that tegrastats of JetPack 7.2 lists; NVIDIA publishes no formula",
    "note": "without the carrier board; whether the memory's rail VDDQ_VDD2_1V8AO is fed from VIN_SYS_5V0 is not settled, so it is not added",
}
GPU_LOADS = (
    *("sys/class/devfreq/17000000.gpu/device/load", "sys/class/devfreq/17000000.ga10b/device/load"),
    *("sys/devices/platform/bus@0/17000000.gpu/load", "sys/devices/platform/17000000.gpu/load", "sys/devices/platform/gpu.0/load"),
)
UNMETERED = "neither an INA3221 nor an INA238 is shown: the kernel has no driver for the module's power monitor, or this is a container"


def _general(wanted: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in wanted.items() if key not in KEYS}


def state(root: str = "/") -> dict[str, Any]:
    """`socbench_kernel.state`, with the power mode {"id", "name"} and the memory's clock [Hz], where they can be read."""
    base = Path(root)
    found: dict[str, Any] = socbench_kernel.state(root)
    extra = {"power_mode": power_mode(base), "dram_hz": read_int(base / EMC / "rate")}
    found.update({key: value for key, value in extra.items() if value})
    locked = read_int(base / EMC / "mrq_rate_locked")
    if locked is not None:
        found.setdefault("devfreq_governors", {})["dram"] = "userspace" if locked else "bpmp"  # as a governor would say it
    return found


def snapshot(root: str = "/", wanted: dict[str, Any] | None = None) -> dict[str, Any]:
    """What it takes to undo `pin(wanted)`; without `wanted`, to undo any. The clocks are kept in jetson_clocks's own words."""
    base = Path(root)
    kept: dict[str, Any] = socbench_pinning.snapshot(root, None if wanted is None else _general(wanted))
    if wanted is None or "power_mode" in wanted:
        kept["power_mode"] = power_mode(base)
    if wanted is None or wanted.get("jetson_clocks") or "power_mode" in wanted:
        kept["clocks"] = stored_clocks(base)
    return kept


def pin(wanted: dict[str, Any], root: str = "/") -> dict[str, Any]:
    """Set power mode, then clocks, and read back what came of it. Raises ValueError for a key that is unknown, before anything is changed."""
    base = Path(root)
    socbench_pinning.check(wanted, KEYS)
    mode, clocks = wanted.get("power_mode"), wanted.get("jetson_clocks", False)
    if not isinstance(clocks, bool):
        raise ValueError(f"[pin] of the target: jetson_clocks must be true or false, not {clocks!r}")  # noqa: TRY004 - its content is wrong
    if mode is not None and (isinstance(mode, bool) or not isinstance(mode, (int, str))):
        raise ValueError(f"[pin] of the target: power_mode must be a name or a number, not {mode!r}")
    problems = [one for one in [set_mode(base, mode) if mode is not None else None] if one]
    if clocks and stored_clocks(base) is None:
        why = "there is no jetson_clocks" if program(base, "jetson_clocks") is None else "jetson_clocks --store keeps nothing (it wants root)"
        problems.append({"what": f"the run goes on with clocks unpinned: {why}, and without it they could not be restored", "fix": ROOT})
        clocks = False
    elif clocks:
        code, said = run(base, "jetson_clocks")
        missed = clocks_at_top(base)[1]
        if code or missed:
            why = "; ".join(missed) or "".join(said.strip().splitlines()[-1:])
            problems.append({"what": f"jetson_clocks does not hold all clocks: {why}", "fix": "see what it holds: sudo jetson_clocks --show"})
    done: dict[str, Any] = socbench_pinning.pin(_general(wanted), root)
    asked = {key: wanted[key] for key in KEYS if key in wanted}
    achieved = {**clocks_at_top(base)[0], "power_mode": power_mode(base)} if asked else {}
    return {
        "requested": {**asked, **done["requested"]},
        "achieved": {key: value for key, value in {**achieved, **done["achieved"]}.items() if value},
        "problems": [*problems, *done["problems"]],
        "note": "" if asked else done["note"],
    }


def restore(kept: dict[str, Any], root: str = "/", *, rebooted: bool = False) -> dict[str, Any]:
    """Put back the power mode, then the clocks; a second time finds nothing to do. Only the power mode outlives a reboot."""
    base = Path(root)
    restored, failed = [], []
    mode = kept.get("power_mode")
    if mode and program(base, "nvpmodel") and power_mode(base) != mode:  # one that does not tell is not taken for restored
        problem = set_mode(base, mode["id"])
        if problem:
            failed.append(problem)
        else:
            restored.append(f"power mode {mode['name']}")
    if kept.get("clocks") and not rebooted:
        had_to, why = restore_clocks(base, kept["clocks"])
        if why:
            failed.append({"what": f"jetson_clocks did not restore the clocks: {why}", "fix": "as root run jetson_clocks --restore, or reboot"})
        elif had_to:
            restored.append("jetson_clocks")
    done = socbench_pinning.restore(kept, root, rebooted=rebooted)
    return {"restored": [*restored, *done["restored"]], "failed": [*failed, *done["failed"]]}


class Sensors(Board):
    """Every sensor of this module. `pid` adds the memory of that process; `covers`: see `Panel.declare`."""

    def __init__(self, root: str = "/", pid: int = 0, covers: dict[str, str] | None = None) -> None:
        compatible = " ".join(device_tree(Path(root), "compatible"))
        orin, thor = "tegra234" in compatible, "tegra264" in compatible
        super().__init__(root, pid, SCOPES, UNMETERED, ORIN_EVENTS if orin else None)
        if thor:
            self._name_inlet()
        sites = {one["site"] for one in self.channels if one["kind"] == "power"}
        if re.search(r"\bp3701-", compatible) and sites.issuperset(AGX_ORIN["sites"]):
            self.totals.append({**AGX_ORIN, "sites": list(AGX_ORIN["sites"])})
        self._add_gpu_load()
        emc = self.base / EMC / "rate"
        if not any(one["site"] == "dram" for one in self.channels):
            self.watch(emc, new_channel("dram", "frequency", "Hz", "die"), parse_hertz, "log in as root")
        self.declare(covers or {})

    def _name_inlet(self) -> None:
        """The INA238 of a Thor is the board's inlet VIN, whatever the driver calls its only channel."""
        inlets = [one for one in self.channels if one["kind"] == "power" and one["site"].startswith("ina238")]
        if len(inlets) == 1:
            inlets[0].update(site="VIN", scope="board")

    def _add_gpu_load(self) -> None:
        """The driver counts in thousandths."""

        def share(text: str) -> float | None:
            value = parse_number(text)
            return None if value is None else value / 1000

        path = next((self.base / one for one in GPU_LOADS if os.path.exists(self.base / one)), None)
        if path:
            self.watch(path, new_channel("gpu", "load", "1", "die"), share)
        else:
            self.miss("load", "gpu", "the GPU's driver shows no load", "none known (a Jetson AGX Thor shows none)")


def doctor(root: str = "/") -> list[dict[str, Any]]:
    """What stands in the way of good figures on this module, and what does not: {"topic", "ok", "what", "fix"}."""
    base = Path(root)
    sensors = Sensors(root)
    sensors.close()
    release = re.match(r"# (R\d+ \(release\), REVISION: [\d.]+)", read_text(base / "etc/nv_tegra_release") or "")
    what = f"Jetson Linux {release.group(1)}" if release else "no /etc/nv_tegra_release: a container, or no JetPack"
    mode = power_mode(base)
    what += f"; power mode {mode['name']}" if mode else "; the power mode cannot be asked"
    found: list[dict[str, Any]] = board_findings(root, sensors, what)
    return found
