"""Clocks that were lowered, may move, or are not known. What a board half did not say is unknown and no alarm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.checks.series import LATENCY, RATES
from harness.metrics.spans import window
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 60
PINNED = {"performance", "userspace"}
COOLERS = ("processor", "cpufreq", "devfreq", "powerclamp", "cpu", "gpu", "npu")
"""What the names of cooling devices contain that slow a processor; fans, screens and radios are cooling devices too."""
BELOW = 0.1
SUPPLY = re.compile(r"oc\d|over-?current|under-?voltage", re.IGNORECASE)
"""Counters of events of the supply, which `checks.pinning` reports as such."""
COUNTER = re.compile(r"count|cnt|event|^hot/", re.IGNORECASE)


def check(record: RunRecord) -> Iterator[Problem]:
    """Throttling, low voltage, governors."""
    before, after = record.environment.get("before") or {}, record.environment.get("after") or {}
    counted, indirect = [*_counted(before, after), *_sensed(record)], [*_cooled(before, after), *_below(before, after)]
    if counted or indirect:
        yield Problem(
            code="throttled",
            severity="invalid" if counted else "warning",
            what="the clocks were held down: " + "; ".join(counted or indirect),
            why="the figures are those of a machine too hot or too short of power for its clocks; when it cools they change",
            fix="let it cool, add cooling or a stronger supply, or choose a power mode it can sustain, and run again",
            spoils=[*LATENCY, *RATES],
        )
    if after.get("undervoltage"):
        yield Problem(
            code="under-voltage",
            severity="warning",
            what="the board reports that its supply voltage fell too low",
            why="boards lower their clocks, or compute wrongly, on a weak supply",
            fix="use the supply and the cable that the maker of the board names",
            spoils=["*"],
        )
    yield from _governors(record)


def _governors(record: RunRecord) -> Iterator[Problem]:
    """As they were after the run: clocks are pinned after the state before it was read, and restored after the state after it."""
    before, after, board = (record.environment.get(name) or {} for name in ("before", "after", "board"))
    governors: dict[str, str] = after.get("governors") or before.get("governors") or {}
    held = _held(record)
    free = sorted(f"{name} {governor}" for name, governor in governors.items() if governor not in PINNED and name not in held)
    if free:
        yield Problem(
            code="clocks-unpinned",
            severity="warning",
            what=f"the clocks may move by themselves: {', '.join(free)}",
            why="a governor that follows the load starts each measurement at another clock",
            fix="sudo cpupower frequency-set -g performance (or the power mode of the board), and run again",
            spoils=[*LATENCY, *RATES],
        )
    elif not governors:
        where = board.get("virtual_machine")
        yield Problem(
            code="clocks-unknown",
            severity="note",
            what="nothing says at which clocks this ran" + (f" ({where})" if where else ""),
            why="a figure without its clock cannot be compared with the same chip at another one",
            fix="measure on the machine itself, with a kernel that has the cpufreq driver of this CPU",
            spoils=[],
        )


def _held(record: RunRecord) -> set[str]:
    """Policies that have one clock only, whatever their governor: their least is their most, as `jetson_clocks` leaves them."""
    achieved = (record.environment.get("pin") or {}).get("achieved") or {}
    found = set()
    for name, clocks in achieved.items():
        if isinstance(clocks, dict) and (least := clocks.get("min_hz")) and least == clocks.get("max_hz"):
            found.add(name)
    return found


def _counted(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Throttle counters that rose."""
    old, new = before.get("throttle_counts") or {}, after.get("throttle_counts") or {}
    names = sorted(name for name in old.keys() & new.keys() if not SUPPLY.search(name))
    return [f"{name} throttled {new[name] - old[name]} times" for name in names if new[name] > old[name]]


def _sensed(record: RunRecord) -> list[str]:
    """Throttle channels of telemetry, a counter or a flag, that rose or stood up during the steady stage."""
    found = []
    stretch = window(record)
    for telemetry in record.telemetry:
        for i, channel in enumerate(telemetry.channels):
            if channel.kind != "throttle" or stretch is None or SUPPLY.search(channel.site):
                continue
            offset = telemetry.clock_offset_ns
            rows = zip(telemetry.t_ns, telemetry.rows, strict=True)
            seen = [value for t, row in rows if stretch[0] <= t + offset <= stretch[1] and (value := row[i]) is not None]
            up = not COUNTER.search(channel.site) and bool(seen) and min(seen) == max(seen) == 1  # a flag that was up all along
            if seen and (max(seen) > seen[0] or up):
                found.append(f"{channel.site} reported throttling")
    return found


def _cooled(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Cooling devices that slow a processor and were switched up."""
    old, new = before.get("cooling") or {}, after.get("cooling") or {}
    slowing = [name for name in sorted(old.keys() & new.keys()) if any(word in name.lower() for word in COOLERS)]
    return [f"{name} went from state {old[name]} to {new[name]}" for name in slowing if new[name] > old[name]]


def _below(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Policies pinned to their highest clock that spent a tenth of the session below it."""
    found = []
    for policy, governor in (after.get("governors") or {}).items():
        old, new = ((state.get("time_in_state") or {}).get(policy) for state in (before, after))
        top = (after.get("frequency_max_hz") or {}).get(policy.replace("policy", "cpu"))
        if governor != "performance" or not old or not new or not top:
            continue
        spent = {float(clock): new[clock] - old.get(clock, 0) for clock in new}
        highest = max((clock for clock in spent if clock <= top), default=None)
        total = sum(spent.values())
        if highest is not None and total > 0 and (share := sum(spent[one] for one in spent if one < highest) / total) >= BELOW:
            found.append(f"{policy} spent {share:.0%} of the time below {highest / 1e9:.2f} GHz")
    return found
