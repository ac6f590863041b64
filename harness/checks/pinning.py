"""What the run should have stood on and did not: real silicon, clocks that were pinned and stayed, a supply that was strong enough."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from harness.checks.clocks import PINNED, SUPPLY
from harness.checks.series import LATENCY, RATES
from harness.metrics.power import good_samples
from harness.metrics.spans import window
from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 65
BLOCKS = 10
BELOW = 0.95
"""Of the clock at the beginning: the median of a tenth of the steady stage, so that an odd reading is no alarm."""


def check(record: RunRecord) -> Iterator[Problem]:
    """Emulation, pinning that failed, clocks that fell, events of the supply."""
    board, pin = (record.environment.get(name) or {} for name in ("board", "pin"))
    if board.get("emulated"):
        yield Problem(
            code="emulated",
            severity="invalid",
            what=f"this did not run on the silicon it names: {board['emulated']}",
            why="an emulator or a replay proves that a session works; its times, powers and clocks are those of another machine",
            fix="measure on the board itself",
            spoils=["*"],
        )
    troubles = [one for one in pin.get("problems") or [] if one.get("what")]
    if troubles:
        yield Problem(
            code="not-pinned",
            severity="warning",
            what="settings that were asked for were not reached: " + "; ".join(str(one["what"]) for one in troubles),
            why="the run went on with the settings that the board had: another day it may have others",
            fix="; ".join(dict.fromkeys(str(one["fix"]) for one in troubles if one.get("fix"))) or "log in as root, and run again",
            spoils=[*LATENCY, *RATES],
        )
    yield from _clocks(record)
    yield from _supply(record)


def _clocks(record: RunRecord) -> Iterator[Problem]:
    """Pinned clocks that fell during the steady stage; that a governor moves clocks which nobody pinned is said elsewhere."""
    after = record.environment.get("after") or {}
    governors = {**(after.get("governors") or {}), **(after.get("devfreq_governors") or {})}
    stretch = window(record)
    fell = []
    for telemetry in record.telemetry if stretch else ():
        for column, channel in enumerate(telemetry.channels):
            if channel.kind != "frequency" or governors.get(channel.site, "performance") not in PINNED:
                continue
            _, seen = good_samples(telemetry, column, *(stretch or (0, 0)))
            size = len(seen) // BLOCKS
            levels = [median(seen[i * size : (i + 1) * size]) for i in range(BLOCKS)] if size >= 2 else []
            if levels and min(levels) < BELOW * levels[0]:
                fell.append(f"{channel.site} from {levels[0] / 1e9:.2f} to {min(levels) / 1e9:.2f} GHz")
    if fell:
        yield Problem(
            code="clocks-moved",
            severity="warning",
            what="clocks fell during the steady stage: " + ", ".join(fell),
            why="heat, the supply or a power limit held them down: the figures are a mixture of two speeds",
            fix="let the board cool, cool it better or give it a stronger supply; or pin a clock that it can keep",
            spoils=[*LATENCY, *RATES],
        )


def _supply(record: RunRecord) -> Iterator[Problem]:
    """Counters of over-current and under-voltage events that rose during the steady stage."""
    stretch = window(record)
    rose = []
    for telemetry in record.telemetry if stretch else ():
        for column, channel in enumerate(telemetry.channels):
            if channel.kind != "throttle" or not SUPPLY.search(channel.site):
                continue
            _, seen = good_samples(telemetry, column, *(stretch or (0, 0)))
            if seen and max(seen) > seen[0]:
                rose.append(f"{channel.site}: {max(seen) - seen[0]:.0f} events")
    if rose:
        yield Problem(
            code="over-current",
            severity="warning",
            what="the board limited itself because of its supply: " + ", ".join(rose),
            why="over-current and under-voltage events lower the clocks for moments, without any heat",
            fix="use the supply and the cable that the board's maker names, or a power mode with a lower limit",
            spoils=["*"],
        )
