"""What sensors and the operating system saw while a rate fell: clocks, power, throttle counters, heat, and CPU time that others took."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.metrics.energy import unwrapped
from harness.quantity import Unit, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.record import Channel, ChannelKind, RunRecord

SILICON = ("die", "card")
"""Scopes whose heat and clocks bear on the work."""
FELL = 0.02
"""A clock or a power that is lower by more than this after the knee fell with it."""
BUSY = 0.8
"""CPU seconds per second from which on a process is bound by the CPU: what it gets less of, it does less with."""


@dataclass(frozen=True)
class Level:
    """What one channel said over a stretch of time, in its base unit; of an energy counter the mean power."""

    channel: Channel
    at: tuple[int, int]
    """Which instrument, and which of its columns."""
    value: float


@dataclass(frozen=True)
class Witness:
    """Something that a record saw at the knee; `slows`: it is a cause or a sign of throttling, not only heat."""

    said: str
    slows: bool


def levels(record: RunRecord, kind: ChannelKind, begin_ns: int, end_ns: int) -> Iterator[Level]:
    """The median of each channel of a kind between two times of the worker's clock; channels without a good sample there are left out."""
    import numpy as np

    for number, telemetry in enumerate(record.telemetry):
        low, high = (int(one) for one in np.searchsorted(telemetry.t_ns, [begin_ns - telemetry.clock_offset_ns, end_ns - telemetry.clock_offset_ns]))
        for column, channel in enumerate(telemetry.channels):
            if channel.kind != kind:
                continue
            known = [
                (t, value) for t, row in zip(telemetry.t_ns[low:high], telemetry.rows[low:high], strict=True) if (value := row[column]) is not None
            ]
            if kind == "energy":
                rise = unwrapped([value for _, value in known], channel.wraps_at) if len(known) > 1 else None
                if rise is not None:
                    yield Level(channel, (number, column), rise * 1e9 / (known[-1][0] - known[0][0]))
            elif known:
                yield Level(channel, (number, column), float(np.median([value for _, value in known])))


def heats(record: RunRecord, begin_ns: int, end_ns: int) -> list[Level]:
    """The temperatures of dies and cards, which throttle, between two times; those of whatever there is where no die or card has a sensor."""
    found = list(levels(record, "temperature", begin_ns, end_ns))
    return [one for one in found if one.channel.scope in SILICON] or found


def witnesses(record: RunRecord, begin_ns: int, knee_ns: int, end_ns: int) -> list[Witness]:
    """The clock and the power that fell most, throttle counters that rose, and the heat in the half minute around the knee, which comes last."""
    found = []
    kinds: tuple[tuple[str, tuple[ChannelKind, ...]], ...] = (("clock", ("frequency",)), ("power", ("power", "energy")))
    for name, some in kinds:
        fell = []
        for kind in some:
            before = {one.at: one for one in levels(record, kind, begin_ns, knee_ns)}
            for after in levels(record, kind, knee_ns, end_ns):
                old = before[after.at].value if after.at in before else 0.0
                if old > 0 and after.value < (1 - FELL) * old:
                    unit = Unit.HERTZ if kind == "frequency" else Unit.WATT
                    fell.append((after.value / old, f"{name} {after.channel.site} {text(old, unit)} to {text(after.value, unit)}"))
        if fell:
            found.append(Witness(min(fell)[1], slows=True))
    found += [Witness(f"{site} reported throttling", slows=True) for site in _reported(record, begin_ns, knee_ns, end_ns)]
    around = 15_000_000_000
    heat = [(one.value, one.channel.site) for one in heats(record, knee_ns - around, knee_ns + around)]
    if heat:
        value, site = max(heat)
        found.append(Witness(f"{site} at {text(value, Unit.CELSIUS)} then", slows=False))
    return found


def _reported(record: RunRecord, begin_ns: int, knee_ns: int, end_ns: int) -> list[str]:
    """Throttle channels, counters or flags, that rose more after the knee than before it."""
    found = []
    for telemetry in record.telemetry:
        edges = [one - telemetry.clock_offset_ns for one in (begin_ns, knee_ns, end_ns)]
        for column, channel in enumerate(telemetry.channels):
            if channel.kind != "throttle":
                continue
            seen = [
                (t, value)
                for t, row in zip(telemetry.t_ns, telemetry.rows, strict=True)
                if edges[0] <= t <= edges[2] and (value := row[column]) is not None
            ]
            early, late = ([value for t, value in seen if (t < edges[1]) is first] for first in (True, False))
            if early and late and max(late) - early[-1] > max(early) - early[0]:
                found.append(channel.site)
    return found


def cpu_share(record: RunRecord, begin_ns: int, end_ns: int) -> float:
    """CPU seconds of the worker per second of the sustain stage's blocks that began between two times; 0 where nobody looked."""
    cpu = wall = 0
    for block in record.blocks:
        if block.stage == "sustain":
            for begin, end, used in zip(block.begin_ns, block.end_ns, block.cpu_ns, strict=True):
                if begin_ns <= begin < end_ns:
                    cpu, wall = cpu + used, wall + end - begin
    return cpu / wall if wall else 0.0


def explained(record: RunRecord, shares: tuple[float, float], ratio: float) -> bool:
    """Whether less CPU time is most of why the rate is `ratio` of what it was; only of work that is all on the CPU and bound by it."""
    used = {unit for unit, share in record.offload.items() if any(share.values())}
    before, after = shares
    return used == {"cpu"} and before >= BUSY and 0 < after < before and math.log(after / before) <= 0.5 * math.log(ratio)
