"""Mean power of one meter over one stage of a record, with its bounds, or the reason why there is none.

A window that is too short or too thinly sampled gives no figure, nor does a sensor that cannot have measured this load.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.metrics.integral import Doubt, Mean, of_counter, of_samples
from harness.metrics.meters import WHOLE
from harness.metrics.spans import core, no_spans, window
from harness.quantity import Unit, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.metrics.integral import Floats
    from harness.metrics.meters import Meter
    from harness.record import Channel, RunRecord, Stage, Telemetry

COVERED = {"power": 0.95, "energy": 0.9}
"""Share of the window that must lie between two good samples."""
LONGEST_GAP = 5
"""Between two good power samples, in sampling periods."""
CLOCKS_AGREE = 0.01
"""Largest error between the clocks of meter and worker, as a share of the window."""
MOST_UNSEEN = 0.3
"""Of an item: whose other part nobody saw has no energy that could be bounded."""
OPTIONS = {"steady": "--seconds", "idle": "--idle"}
STAGE_WORDS = {"steady": "steady stage", "idle": "idle window"}


class _Same:
    """A record as itself: equal to nothing else, so that what was computed of it can be kept."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def __hash__(self) -> int:
        return id(self.record)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.record is other.record


def mean_power(record: RunRecord, meter: Meter, stage: Stage = "steady") -> Mean | str:
    """Mean power [W] of a stage with its bounds, or why there is none."""
    at = next(i for i, one in enumerate(record.telemetry) if one is meter.telemetry)
    return _mean_power(_Same(record), at, tuple(meter.columns), str(meter), meter.seconds, stage)


@lru_cache(maxsize=32)
def _mean_power(same: _Same, at: int, columns: tuple[int, ...], name: str, needed: float, stage: Stage) -> Mean | str:  # noqa: PLR0913, PLR0917
    """Kept, because half a dozen metrics ask for the same."""
    record, telemetry = same.record, same.record.telemetry[at]
    stretch = window(record, stage)
    if stretch is None:
        return "no idle window was recorded: give it time with --idle" if stage == "idle" else no_spans(record)
    lasted = (stretch[1] - stretch[0]) / 1e9
    if lasted < needed:
        long = f"{needed:.0f} s"
        return f"the {STAGE_WORDS[stage]} lasted {text(lasted, Unit.SECOND)}, {name} needs {long}: measure for at least {long} ({OPTIONS[stage]})"
    if telemetry.clock_error_ns > CLOCKS_AGREE * lasted * 1e9:
        agree = text(telemetry.clock_error_ns / 1e9, Unit.SECOND)
        return f"the clocks of meter and worker agree only to {agree}: measure for at least {telemetry.clock_error_ns / 1e9 / CLOCKS_AGREE:.0f} s"
    if any(after <= before for before, after in pairwise(telemetry.t_ns)):
        return f"the clock of {telemetry.instrument} stepped back while it measured: no time stamp of it can be trusted; measure again"
    total: Mean | None = None
    for column in columns:
        found = _column(record, telemetry, column, stretch, needed, stage)
        if isinstance(found, str):
            return found
        total = found if total is None else total + found
    return total or "the meter has no channel"


def good_samples(telemetry: Telemetry, column: int, begin: int, end: int) -> tuple[list[int], list[float]]:
    """Stamps on the worker's clock [ns] and values of one column from `begin` to `end`, both on the worker's clock; failed reads left out."""
    offset = telemetry.clock_offset_ns
    rows = zip(telemetry.t_ns, telemetry.rows, strict=True)
    good = [(t + offset, value) for t, row in rows if begin <= t + offset <= end and (value := row[column]) is not None]
    return [t for t, _ in good], [value for _, value in good]


def counted(values: list[float], wraps_at: float | None) -> list[float] | None:
    """A counter as if it had begun at 0 and never started again, or None where it went back and does not wrap."""
    found = [0.0]
    for before, after in pairwise(values):
        step = after - before
        if step < 0:
            if wraps_at is None:
                return None
            step += wraps_at
        found.append(found[-1] + step)
    return found


def negative(channel: Channel, values: Sequence[float]) -> float | None:
    """The lowest value where it is no offset around nothing: below zero by more than a quantum and 1 % of the largest."""
    least, largest = min(values, default=0.0), max(map(abs, values), default=0.0)
    return least if least < -max(channel.quantum or 0.0, 0.01 * largest) else None


def unit_jump(values: Sequence[float]) -> float | None:
    """A thousand or a million, where a series steps by that: two heaps of values of one size each, crossed at most four times."""
    import numpy as np

    found = np.asarray([one for one in values if one > 0])
    if len(found) < 6:
        return None
    logs = np.sort(np.log10(found))
    cut = int(np.argmax(np.diff(logs)))
    upper = np.log10(found) > (logs[cut] + logs[cut + 1]) / 2
    if logs[cut + 1] - logs[cut] < 1.5 or min(cut + 1, len(found) - cut - 1) < 3 or int(np.count_nonzero(np.diff(upper.astype(int)))) > 4:
        return None
    ratio = float(np.median(found[upper]) / np.median(found[~upper]))
    return next((unit for unit in (1e3, 1e6) if unit / 2.5 <= ratio <= unit * 2.5), None)


def _column(  # noqa: PLR0911, PLR0913, PLR0917 - each of the ways in which there is none says why
    record: RunRecord, telemetry: Telemetry, column: int, stretch: tuple[int, int], needed: float, stage: Stage
) -> Mean | str:
    """Mean power [W] of one column over the window, or why there is none."""
    import numpy as np

    channel, period_ns = telemetry.channels[column], 1e9 / telemetry.hertz
    begin, end = stretch
    beyond = round(LONGEST_GAP * period_ns)
    stamps, values = good_samples(telemetry, column, begin - beyond, end + beyond)
    inside = [i for i, t in enumerate(stamps) if begin <= t <= end]
    first, last = (max(inside[0] - 1, 0), min(inside[-1] + 1, len(stamps) - 1)) if inside else (0, -1)
    stamps, values = stamps[first : last + 1], values[first : last + 1]
    lasted = (end - begin) / 1e9
    covered = max(0, min(stamps[-1], end) - max(stamps[0], begin)) / 1e9 if stamps else 0.0
    enough, share = 10 if channel.kind == "energy" else 0.9 * needed * telemetry.hertz, COVERED[channel.kind]
    if len(inside) < enough or covered < share * lasted:
        return (
            f"{channel.site} gave {len(inside)} good samples over {text(covered, Unit.SECOND)} of {text(lasted, Unit.SECOND)}: "
            f"a figure needs {enough:.0f} over {share:.0%} of it"
        )
    t = (np.asarray(stamps, dtype=np.int64) - begin) / 1e9
    doubt = Doubt(period_ns / 1e9, (telemetry.clock_error_ns + telemetry.read_error_ns) / 1e9, channel.quantum or 0.0)
    if channel.kind == "energy":
        rise = counted(values, channel.wraps_at)
        if rise is None:
            return f"the energy counter {channel.site} went backwards"
        if rise[-1] <= 0:
            return f"the energy counter {channel.site} did not move: it is not counting"
        return _usable(of_counter(t, np.asarray(rise), lasted, doubt), channel)
    if why := _unbelievable(telemetry, column, stamps, values):
        return why
    if channel.mean:  # nothing between two values was unseen: their sum is a counter
        rise = [0.0, *np.cumsum(np.diff(t) * np.asarray(values[1:])).tolist()]
        return _usable(of_counter(t, np.asarray(rise), lasted, doubt), channel)
    return _usable(of_samples(t, np.asarray(values), lasted, doubt, _cycles(record, begin) if stage == "steady" else ()), channel)


def _unbelievable(telemetry: Telemetry, column: int, stamps: list[int], values: list[float]) -> str:
    """Why the samples of a power channel cannot be this load's power, or ""."""
    channel = telemetry.channels[column]
    gap = max(after - before for before, after in pairwise(stamps))
    if gap > LONGEST_GAP * 1e9 / telemetry.hertz:
        return f"{channel.site} gave no sample for {text(gap / 1e9, Unit.SECOND)}: free the machine that reads the meter and measure again"
    if (least := negative(channel, values)) is not None:
        return f"the sensor {channel.site} read {text(least, Unit.WATT)}: power that flows backwards is no consumption; turn the shunt round"
    if max(values) <= 0:
        return f"the sensor {channel.site} read 0 W throughout: it is not measuring this load"
    everything = [value for row in telemetry.rows if (value := row[column]) is not None] if channel.scope in WHOLE else values
    if jump := unit_jump(everything):
        return f"the sensor {channel.site} stepped by a factor of {jump:,.0f} while it measured: it changed its unit"
    return ""


def _cycles(record: RunRecord, begin: int) -> tuple[Floats, ...]:
    """When each span of the steady stage begins, and where it differs each item, [s] since `begin`."""
    import numpy as np

    phases = core(record)
    steps = [np.sort(np.concatenate([np.asarray(one.begin_ns, dtype=np.int64) for one in phases]))]
    if len(phases) > 1:
        steps.append(np.asarray(phases[0].begin_ns, dtype=np.int64))
    return tuple((one - begin) / 1e9 for one in steps)


def _usable(mean: Mean, channel: Channel) -> Mean | str:
    """`mean`, unless hardly anything is known of it."""
    if mean.unseen > MOST_UNSEEN:
        return (
            f"{channel.site} was read in step with the items: up to {mean.unseen:.0%} of each was never seen; "
            "read it at another rate (--sample-hz 7.3, or hertz=7.3 in a meter's URL), or measure for longer"
        )
    if mean.low <= 0:
        return f"{channel.site} is known no better than to {text(mean.high, Unit.WATT)} at most: measure for longer"
    return mean
