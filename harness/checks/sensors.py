"""Power sensors that cannot have measured this load: one that stands still, one that reads below zero, one that changes its unit."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.metrics.meters import WHOLE
from harness.metrics.power import good_samples, negative, unit_jump
from harness.metrics.spans import window
from harness.quantity import Unit, text
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.record import Channel

ORDER = 75
ENERGY = ["energy_per_item", "power", "efficiency", "idle_power", "energy_above_idle", "energy_per_stream", "site_power"]
STANDS = 50
"""Equal samples in a row after which a sensor that moved stands still."""
MOVES = 0.8
"""Of the steps between samples, where a sensor is one that moves."""
FEW_BEFORE = 20
"""Samples that show that it moved."""
VISIBLE = 0.02
"""Of the value: a load changes by more than this between loading, warming up and measuring; a sensor with coarser steps may not show it."""


def check(record: RunRecord) -> Iterator[Problem]:
    """One problem a kind of fault, naming the sensors."""
    stretch = window(record)
    if stretch is None:
        return
    frozen: list[str] = []
    below: list[str] = []
    jumped: list[str] = []
    for telemetry in record.telemetry:
        for column, channel in enumerate(telemetry.channels):
            if channel.kind not in ("power", "energy"):
                continue
            _, values = good_samples(telemetry, column, *stretch)
            everything = [value for row in telemetry.rows if (value := row[column]) is not None]
            if stands_still(channel, values, everything):
                frozen.append(f"{channel.site} stood at {text(values[-1], Unit(channel.unit), 4)}")
            if channel.kind == "power":
                below += [f"{channel.site} read {text(least, Unit.WATT)}" for least in [negative(channel, values)] if least is not None]
                factor = unit_jump(everything if channel.scope in WHOLE else values)
                jumped += [f"{channel.site} stepped by a factor of {factor:,.0f}"] if factor else []
    yield from _problems(frozen, below, jumped)


def _problems(frozen: list[str], below: list[str], jumped: list[str]) -> Iterator[Problem]:
    if frozen:
        yield Problem(
            code="sensor-frozen",
            severity="warning",
            what="a sensor gave the same value again and again: " + "; ".join(frozen),
            why="a load is never that even: the driver repeats its last good reading, or the file is not a sensor",
            fix="read the sensor by hand while something runs; reload its driver or power-cycle the board, and run again",
            spoils=ENERGY,
        )
    if below:
        yield Problem(
            code="negative-power",
            severity="warning",
            what="a power sensor read below zero: " + "; ".join(below),
            why="a board that computes does not give power back: the shunt is the wrong way round, or the reading is broken",
            fix="turn the meter's leads (or its sign), check its offset with the load taken off, and run again",
            spoils=ENERGY,
        )
    if jumped:
        yield Problem(
            code="unit-jump",
            severity="warning",
            what="a power sensor changed its unit while it was read: " + "; ".join(jumped),
            why="drivers change between µW, mW and W with their version or when they are loaded again; energies are then wrong by that factor",
            fix="find out which of the two is right, keep the driver from being loaded again, and run again",
            spoils=ENERGY,
        )


def finest(channel: Channel, value: float) -> float:
    """The smallest step a sensor may have: its quantum where that is known, else the last decimal of what it reads."""
    if channel.quantum:
        return channel.quantum
    exponent = Decimal(repr(round(value, 9))).normalize().as_tuple().exponent
    return float(10.0**exponent) if isinstance(exponent, int) else value


def stands_still(channel: Channel, values: list[float], everything: list[float]) -> bool:
    """Whether a sensor that can show a change gave one value: all along, or, after it had moved at nearly every read, at the end of the stage.

    `values`: of the steady stage; `everything`: of the whole run, in which a load does not stay the same. Steps too coarse to show that are no sign.
    """
    if len(values) < STANDS:
        return False
    if channel.kind == "energy":
        return values[0] == values[-1] and len(set(values)) == 1
    last = values[-1]
    if last <= 0 or finest(channel, last) > VISIBLE * last:
        return False
    if len(set(everything)) == 1:
        return True
    stand = next((n for n, one in enumerate(reversed(values)) if one != last), len(values))
    before = values[: len(values) - stand] or everything[: everything.index(last)]
    moved = sum(one != other for one, other in pairwise(before))
    return stand >= STANDS and len(before) >= FEW_BEFORE and moved >= MOVES * (len(before) - 1)
