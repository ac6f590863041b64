"""What stands in the way of good figures on a machine: findings for a human, from what a board half saw."""

from __future__ import annotations

from typing import Any

from socbench_sensors import PSI, Panel

LEAST_MEMORY = 4 * 2**30
BUSY_PRESSURE = 0.1
BUSY_LOAD = 0.1


def findings(identity: dict[str, Any], now: dict[str, Any], sensors: Panel) -> list[dict[str, Any]]:
    """What stands in the way, and what does not: {"topic", "ok", "what", "fix"}. `identity` is from `probe()`, `now` from `state()`."""
    where = identity["virtual_machine"]
    found: list[dict[str, Any]] = []

    def say(topic: str, ok: bool, what: str, fix: str) -> None:
        found.append({"topic": topic, "ok": ok, "what": what, "fix": "" if ok else fix})

    meters = [f"{one['site']} ({one['scope']})" for one in sensors.channels if one["kind"] in ("power", "energy")]
    if meters:
        say("power", True, "power can be read: " + ", ".join(dict.fromkeys(meters)), "")
    for one in sensors.absent:
        if one["kind"] == "power":
            say("power", False, f"no power from {one['site']}: {one['reason']}", one["fix"])

    governors = sorted(set(now.get("governors", {}).values()))
    if not governors:
        say("clock", False, "the CPU's clock can be neither read nor set", "measure on the machine itself, with a cpufreq driver")
    else:
        fixed = set(governors) <= {"performance", "userspace"}
        say("clock", fixed, "clock governor: " + ", ".join(governors), "sudo cpupower frequency-set -g performance")

    swap = now.get("swap_used_bytes")
    say("swap", swap == 0, "unknown" if swap is None else f"{swap / 2**20:.0f} MiB are swapped out", "sudo swapoff -a")
    free = now.get("memory_available_bytes")
    what = "unknown" if free is None else f"{free / 2**30:.1f} GiB are free"
    say("memory", free is not None and free >= LEAST_MEMORY, what, f"close programs: {LEAST_MEMORY / 2**30:.0f} GiB are wanted")

    crowd = "close what else runs; see it with: ps -eo pcpu,comm --sort=-pcpu | head"
    load, cpus = now.get("load_1min"), identity["cpus"]
    what = "unknown" if load is None else f"{load:.2f} tasks ran in the last minute, on {cpus} CPUs"
    say("load", load is not None and load <= max(0.5, BUSY_LOAD * cpus), what, crowd)
    waits = {name: one["some_avg10"] for name, one in now.get("psi", {}).items() if "some_avg10" in one}
    what = "tasks waited in the last 10 s: " + ", ".join(f"{share:.1%} for {name}" for name, share in sorted(waits.items()))
    if waits:
        say("pressure", max(waits.values()) <= BUSY_PRESSURE, what, crowd)
    else:
        say("pressure", False, "the kernel keeps no pressure figures", PSI)

    quota = identity["cpu_quota"]
    what = "no CPU quota" if quota is None else f"a CPU quota grants {quota:g} of {cpus} CPUs"
    say("quota", quota is None or quota >= cpus, what, "lift it (docker run --cpus, systemd CPUQuota=), or use fewer threads")
    kinds = {"": "the machine itself", "container": "a container"}
    what = "this is " + kinds.get(where, f"a virtual machine ({where})")
    say("machine", not where, what, "measure on the machine itself: neighbours, clock and sensors cannot be seen from here")
    return found
