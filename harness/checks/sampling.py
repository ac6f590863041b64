"""Telemetry that was not taken as it should have been: stamps that go back, a sampler too slow, holes, failed reads, a sensor that went away."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING

from harness.checks.sensors import ENERGY
from harness.metrics.power import LONGEST_GAP
from harness.metrics.spans import window
from harness.quantity import Unit, text
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.record import Channel, Telemetry

ORDER = 80
FEW = 20
"""Rows of the steady stage below which nobody can tell a rate or a share."""
TOO_SLOW = 0.7
"""Of the rate that was asked for."""
MISSED = 0.1
GONE = 3
"""Failed reads in a row, up to the end of the steady stage, of a sensor that was read before."""


def check(record: RunRecord) -> Iterator[Problem]:
    """Of each instrument, during the steady stage."""
    stretch = window(record)
    for telemetry in record.telemetry if stretch else ():
        back = [before - after for before, after in pairwise(telemetry.t_ns) if after < before]
        if back:
            yield Problem(
                code="telemetry-clock-stepped",
                severity="warning",
                what=f"the time stamps of {telemetry.instrument} went back {len(back)} times, by up to {text(max(back) / 1e9, Unit.SECOND)}",
                why="which samples belong to the measurement is no longer known",
                fix="stamp the samples with a monotonic clock, or stop what sets the clock (NTP) while you measure, and run again",
                spoils=ENERGY,
            )
            continue
        begin, end = (edge - telemetry.clock_offset_ns for edge in stretch or (0, 0))
        rows = [i for i, t in enumerate(telemetry.t_ns) if begin <= t <= end]
        if len(rows) >= FEW:
            yield from _rate(telemetry, rows)
            yield from _reads(telemetry, rows)


def _spoils(channels: list[Channel]) -> list[str]:
    return ENERGY if any(one.kind in ("power", "energy") for one in channels) else []


def _rate(telemetry: Telemetry, rows: list[int]) -> Iterator[Problem]:
    """Rows too rare on the whole, or a hole between two of them."""
    steps = [telemetry.t_ns[after] - telemetry.t_ns[before] for before, after in pairwise(rows)]
    hertz, longest = 1e9 / fmean(steps), max(steps) / 1e9
    spoils = _spoils(telemetry.channels)
    if hertz < TOO_SLOW * telemetry.hertz:
        yield Problem(
            code="sampler-overloaded",
            severity="warning" if spoils else "note",
            what=f"{telemetry.instrument} was read {hertz:.1f} times a second instead of {telemetry.hertz:g}",
            why="what happens between two samples is unknown, and a sampler that cannot keep up takes time from the work",
            fix=f"ask for less: --sample-hz {max(hertz / 2, 0.5):.1f}; or free the machine that reads it",
            spoils=spoils,
        )
    elif longest > LONGEST_GAP / telemetry.hertz:
        yield Problem(
            code="sampling-gap",
            severity="warning" if spoils else "note",
            what=f"{telemetry.instrument} gave nothing for {text(longest, Unit.SECOND)} of the steady stage",
            why="the power in between is a guess, and a sampler that stood still may mean that the whole machine did",
            fix="find what blocked it (a slow bus, a sleeping meter, a lost network), and run again",
            spoils=spoils,
        )


def _reads(telemetry: Telemetry, rows: list[int]) -> Iterator[Problem]:
    """Sensors that went away, and sensors of which many reads failed."""
    gone: list[tuple[Channel, float]] = []
    missed: list[tuple[Channel, float]] = []
    for column, channel in enumerate(telemetry.channels):
        failed = [telemetry.rows[i][column] is None for i in rows]
        good = len(failed) - sum(failed)
        tail = next((n for n, one in enumerate(reversed(failed)) if not one), len(failed))
        ever = good or any(row[column] is not None for row in telemetry.rows[: rows[0]])
        if ever and tail >= GONE:
            gone.append((channel, (telemetry.t_ns[rows[-tail]] - telemetry.t_ns[rows[0]]) / 1e9))
        elif sum(failed) > MISSED * len(failed):
            missed.append((channel, sum(failed) / len(failed)))
    if gone:
        spoils = _spoils([one for one, _ in gone])
        yield Problem(
            code="sensor-vanished",
            severity="warning" if spoils else "note",
            what="; ".join(
                f"{one.site} ({one.kind}) could no longer be read {text(after, Unit.SECOND)} into the steady stage" for one, after in gone
            ),
            why="a driver that lets go of its sensor, or a bus that hangs, leaves the rest of the run unseen",
            fix="look for the driver's message (dmesg), check the cable or the bus, and run again",
            spoils=spoils,
        )
    if missed:
        spoils = _spoils([one for one, _ in missed])
        yield Problem(
            code="missed-reads",
            severity="warning" if spoils else "note",
            what="; ".join(f"{share:.0%} of the reads of {one.site} ({one.kind}) failed" for one, share in missed),
            why="the samples that are left may not be typical: reads often fail when the machine is busiest",
            fix="ask for fewer (--sample-hz), look for errors of the bus (dmesg), and run again",
            spoils=spoils,
        )
