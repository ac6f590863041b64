"""Energy and power of the steady stage, idle power included, from the widest meter that was there.

The scope read is the first present of wall, board, module, parts. A board half promises that channels of one kind and one scope never
overlap, so that their sum is a figure; a wider scope contains the narrower ones, so that scopes are never added. "Parts" is the one
exception: dies, and beside them the add-in cards on which the work ran. A card alone says nothing of work that the CPU did, and rails
lie somewhere inside the rest: neither gives a figure. A window too short or too thinly sampled gives none either.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.compute import ops_per_span
from harness.metrics.spans import core, handled, measured, no_spans, window
from harness.quantity import Quantity, Unit, missing, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.record import Channel, RunRecord, Telemetry

WHOLE = ("wall", "board", "module")
COVERED = {"power": 0.95, "energy": 0.9}
"""Share of the window that lies between the first and the last sample in it; the rest is scaled up. A counter misses nothing in between."""
LONGEST_GAP = 5
"""Between two good power samples, in sampling periods."""
CLOCKS_AGREE = 0.01
"""Largest error between the clocks of meter and worker, as a share of the window."""


@dataclass(frozen=True)
class Meter:
    """The columns of one instrument that together are one power."""

    telemetry: Telemetry
    columns: list[int]

    @property
    def channels(self) -> list[Channel]:
        """Those of the columns."""
        return [self.telemetry.channels[column] for column in self.columns]

    @property
    def seconds(self) -> float:
        """Length [s] a window must have: 10 s and 100 power samples, or 60 s at 2 Hz or slower; 2 s of counters; room for the edges."""
        hertz = self.telemetry.hertz
        counters = all(one.kind == "energy" for one in self.channels)
        least = 2.0 if counters else max(10.0, 100 / hertz) if hertz > 2 else 60.0
        return max(least, 2 / hertz / (1 - COVERED["energy" if counters else "power"]))

    def samples(self, channel: Channel) -> float:
        """Good samples a window must hold, a tenth of them forgiven."""
        return 10 if channel.kind == "energy" else 0.9 * self.seconds * self.telemetry.hertz

    def __str__(self) -> str:
        scopes = " + ".join(dict.fromkeys(one.scope for one in self.channels))
        return f"{scopes}: {' + '.join(one.site for one in self.channels)} ({self.telemetry.instrument})"


def _columns(telemetry: Telemetry, scope: str) -> list[int]:
    """The energy counters of a scope; its powers where there are none."""
    for kind in ("energy", "power"):
        found = [i for i, one in enumerate(telemetry.channels) if one.kind == kind and one.scope == scope]
        if found:
            return found
    return []


def meter(record: RunRecord) -> Meter | str:
    """The widest meter of the record, or why there is none."""
    for scope in WHOLE:
        for telemetry in record.telemetry:
            if columns := _columns(telemetry, scope):
                return Meter(telemetry, columns)
    used = {unit for unit, share in record.offload.items() if any(share.values())}
    for telemetry in record.telemetry:
        dies, cards = _columns(telemetry, "die"), _columns(telemetry, "card")
        if used - {"cpu"}:
            dies += cards
        if dies:
            return Meter(telemetry, dies)
        if cards:
            where = "ran on the CPU" if used else "ran where the runtime does not say"
            return f"only {', '.join(telemetry.channels[i].site for i in cards)} was metered, and the work {where}: attach a power meter"
    rails = [one.site for telemetry in record.telemetry for one in telemetry.channels if one.scope == "rail" and one.kind in ("power", "energy")]
    if rails:
        return f"only rails were metered ({', '.join(rails)}): parts that do not add up to the board; attach a power meter"
    return _why_none(record)


def _why_none(record: RunRecord) -> str:
    for telemetry in record.telemetry:
        for absent in telemetry.absent:
            if absent.kind in ("power", "energy"):
                return f"{absent.reason}; to get it: {absent.fix}"
    return "no power or energy was recorded" if record.telemetry else "no telemetry was recorded"


def unwrapped(values: list[float], wraps_at: float | None) -> float | None:
    """How far a counter rose over `values`, or None where it went back and does not wrap."""
    total = 0.0
    for before, after in pairwise(values):
        step = after - before
        if step < 0:
            if wraps_at is None:
                return None
            step += wraps_at
        total += step
    return total


def _watts(channel: Channel, period_ns: float, t_ns: list[int], values: list[float]) -> float | str:
    """Mean power of one channel over its samples, or why there is none."""
    took = (t_ns[-1] - t_ns[0]) / 1e9
    if channel.kind == "energy":
        rise = unwrapped(values, channel.wraps_at)
        if rise is None:
            return f"the energy counter {channel.site} went backwards"
        return rise / took if rise > 0 else f"the energy counter {channel.site} did not move: it is not counting"
    gap = max(after - before for before, after in pairwise(t_ns))
    if gap > LONGEST_GAP * period_ns:
        return f"{channel.site} gave no sample for {text(gap / 1e9, Unit.SECOND)}: free the machine that reads the meter and measure again"
    if max(values) <= 0:
        return f"the sensor {channel.site} read 0 W throughout: it is not measuring this load"
    area = sum((t_ns[i + 1] - t_ns[i]) * (values[i] + values[i + 1]) / 2 for i in range(len(values) - 1))
    return area / 1e9 / took


def _column(source: Meter, column: int, begin: int, end: int) -> float | str:
    """Mean power [W] of one column between two times of the meter's clock, or why there is none."""
    telemetry, channel = source.telemetry, source.telemetry.channels[column]
    rows = zip(telemetry.t_ns, telemetry.rows, strict=True)
    good = [(t, value) for t, row in rows if begin <= t <= end and (value := row[column]) is not None]
    covered, lasted = (good[-1][0] - good[0][0]) / 1e9 if good else 0.0, (end - begin) / 1e9
    share = COVERED[channel.kind]
    if len(good) < source.samples(channel) or covered < share * lasted:
        return (
            f"{channel.site} gave {len(good)} good samples over {text(covered, Unit.SECOND)} of {text(lasted, Unit.SECOND)}: "
            f"a figure needs {source.samples(channel):.0f} over {share:.0%} of it"
        )
    return _watts(channel, 1e9 / telemetry.hertz, [t for t, _ in good], [value for _, value in good])


def mean_power(record: RunRecord) -> tuple[float, Meter] | str:
    """Mean power [W] over the steady stage and who said so, or the reason why there is none."""
    stretch, source = window(record), meter(record)
    if stretch is None:
        return no_spans(record)
    if isinstance(source, str):
        return source
    lasted, needed, telemetry = (stretch[1] - stretch[0]) / 1e9, source.seconds, source.telemetry
    if lasted < needed:
        return f"the steady stage lasted {text(lasted, Unit.SECOND)}, {source} needs {needed:.0f} s: measure for at least {needed:.0f} s (--seconds)"
    if telemetry.clock_error_ns > CLOCKS_AGREE * lasted * 1e9:
        return f"the clocks of meter and worker agree only to {text(telemetry.clock_error_ns / 1e9, Unit.SECOND)}: measure for longer"
    begin, end = (edge - telemetry.clock_offset_ns for edge in stretch)
    parts = [_column(source, column, begin, end) for column in source.columns]
    why = next((one for one in parts if isinstance(one, str)), None)
    return why or (sum(one for one in parts if not isinstance(one, str)), source)


def _figure(unit: Unit, of: Callable[[RunRecord, float, float], float | str]) -> Callable[[RunRecord], dict[str, Quantity]]:
    """A metric from `of(record, mean power [W], wall [s])`; a string is the reason why there is none."""

    def compute(record: RunRecord) -> dict[str, Quantity]:
        found, stretch = mean_power(record), window(record)
        if isinstance(found, str) or stretch is None:
            return {"": missing(unit, found if isinstance(found, str) else no_spans(record))}
        watts, source = found
        value = of(record, watts, (stretch[1] - stretch[0]) / 1e9)
        if isinstance(value, str):
            return {"": missing(unit, value)}
        return {"": Quantity(value, unit, measured(record, f"scope {source}; {record.precision}; idle power included"))}

    return compute


def _per_item(record: RunRecord, watts: float, wall: float) -> float:
    return watts * wall / handled(record)


def _power(_record: RunRecord, watts: float, _wall: float) -> float:
    return watts


def _efficiency(record: RunRecord, watts: float, wall: float) -> float | str:
    total = 0.0
    for one in core(record):
        ops = ops_per_span(record, one.phase, one.items)
        if ops is None:
            return f'the operations of phase "{one.phase}" were not counted'
        total += ops * len(one.begin_ns)
    return total / (watts * wall)


METRICS = (
    Metric(
        "energy_per_item", "Energy per item", Unit.JOULE, "lower",
        "mean power x wall time of the steady stage / items (an LLM's item: an output token, prefill included)", _figure(Unit.JOULE, _per_item),
    ),
    Metric("power", "Mean power", Unit.WATT, "lower", "energy / time over the steady stage, widest scope present", _figure(Unit.WATT, _power)),
    Metric(
        "efficiency", "Achieved efficiency", Unit.OP_PER_JOULE, "higher",
        "operations of the steady stage (1 MAC = 2 op) / energy of the steady stage", _figure(Unit.OP_PER_JOULE, _efficiency),
    ),
)  # fmt: skip
