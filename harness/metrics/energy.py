"""Energy and power of the steady stage from the widest meter that was there: gross, above idle, and as MLPerf computes a stream's.

Gross is always given, idle power included; what is above idle stands beside it and never alone. Every figure carries the bounds of `integral.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.metrics import Metric
from harness.metrics.compute import ops_per_span
from harness.metrics.integral import Mean
from harness.metrics.meters import Meter, every, widest
from harness.metrics.power import counted, good_samples, mean_power
from harness.metrics.spans import core, handled, measured, no_spans, window
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.record import RunRecord, Stage

GROSS = "idle power included"
CLOCKS_ALIKE = 0.05
"""Between the median clocks of the idle window and the steady stage, as a share."""


def unwrapped(values: list[float], wraps_at: float | None) -> float | None:
    """How far a counter rose over `values`, or None where it went back and does not wrap."""
    risen = counted(values, wraps_at)
    return None if risen is None else risen[-1]


def _said(record: RunRecord, meter: Meter, mean: Mean, more: str) -> str:
    """The note of a figure: who metered, in which precision, and what the bounds do not tell by themselves."""
    note = f"scope {meter}; {record.precision}; {more}"
    return note + (f"; the samples keep step with the items and may miss {mean.unseen:.0%} of each" if mean.unseen else "")


def _figure(record: RunRecord, unit: Unit, found: tuple[float, float, float], note: str, count: int) -> dict[str, Quantity]:
    """A measured quantity of the whole run from (value, low, high)."""
    value, low, high = found
    return {"": Quantity(value, unit, measured(record, note), low=min(low, value), high=max(high, value), count=count)}


def _gross(unit: Unit, of: Callable[[RunRecord, float], tuple[float, bool] | str]) -> Callable[[RunRecord], dict[str, Quantity]]:
    """A metric of the steady power: `of(record, seconds)` says by what it is multiplied, or divided into where that is True, or why it is not."""

    def compute(record: RunRecord) -> dict[str, Quantity]:
        found, meter = _steady(record)
        if isinstance(found, str) or not isinstance(meter, Meter):
            return {"": missing(unit, str(found))}
        scale = of(record, _lasted(record))
        if isinstance(scale, str):
            return {"": missing(unit, scale)}
        factor, inverted = scale
        ends = (found.watts, found.high, found.low) if inverted else (found.watts, found.low, found.high)
        value, low, high = (factor / one if inverted else factor * one for one in ends)
        return _figure(record, unit, (value, low, high), _said(record, meter, found, GROSS), found.count)

    return compute


def _steady(record: RunRecord) -> tuple[Mean | str, Meter | str]:
    """Mean power of the steady stage and the widest meter, each of them or why not."""
    if window(record) is None:
        return no_spans(record), ""
    meter = widest(record)
    return (meter, meter) if isinstance(meter, str) else (mean_power(record, meter), meter)


def _lasted(record: RunRecord, stage: Stage = "steady") -> float:
    begin, end = window(record, stage) or (0, 0)
    return (end - begin) / 1e9


def _per_item(record: RunRecord, seconds: float) -> tuple[float, bool]:
    return seconds / handled(record), False


def _power(_record: RunRecord, _seconds: float) -> tuple[float, bool]:
    return 1.0, False


def _efficiency(record: RunRecord, seconds: float) -> tuple[float, bool] | str:
    total = 0.0
    for one in core(record):
        ops = ops_per_span(record, one.phase, one.items)
        if ops is None:
            return f'the operations of phase "{one.phase}" were not counted'
        total += ops * len(one.begin_ns)
    return total / seconds, True


def _idle(record: RunRecord) -> tuple[Mean, Meter] | str:
    """Mean power of the idle window and who said so, or why there is none."""
    meter = widest(record)
    if isinstance(meter, str):
        return meter
    found = mean_power(record, meter, "idle")
    return found if isinstance(found, str) else (found, meter)


def _idle_power(record: RunRecord) -> dict[str, Quantity]:
    found = _idle(record)
    if isinstance(found, str):
        return {"": missing(Unit.WATT, found)}
    mean, meter = found
    return _figure(record, Unit.WATT, (mean.watts, mean.low, mean.high), _said(record, meter, mean, "the model open, nothing running"), mean.count)


def _above_idle(record: RunRecord) -> dict[str, Quantity]:
    """(steady - idle power) x time / items. The bounds are those of both, each at its worst for the difference."""
    found, meter = _steady(record)
    idle = found if isinstance(found, str) else _idle(record)
    if isinstance(found, str) or isinstance(idle, str) or not isinstance(meter, Meter):
        return {"": missing(Unit.JOULE, str(idle))}
    if why := clocks_differ(record):
        return {"": missing(Unit.JOULE, f"{why}: power above idle means something only at the same clocks; pin them and measure again")}
    scale, rest = _lasted(record) / handled(record), idle[0]
    ends = (scale * (found.watts - rest.watts), scale * (found.low - rest.high), scale * (found.high - rest.low))
    return _figure(record, Unit.JOULE, ends, _said(record, meter, found, "above idle: energy_per_item is the whole of it"), found.count)


def clocks_differ(record: RunRecord) -> str:
    """How the state of the clocks in the idle window was not that of the steady stage, or "": governors, power mode and caps; clocks as sampled."""
    before, after = (record.environment.get(name) or {} for name in ("before", "after"))
    for key in ("governors", "devfreq_governors", "frequency_max_hz", "power_mode", "boost"):
        changed = _changed(before.get(key), after.get(key))
        if changed:
            return f"{key} changed between the idle window and the end of the steady stage ({changed})"
    for telemetry in record.telemetry:
        for column, channel in enumerate(telemetry.channels):
            if channel.kind == "frequency":
                idle, steady = (_median(good_samples(telemetry, column, *(window(record, stage) or (0, 0)))[1]) for stage in ("idle", "steady"))
                if idle and steady and abs(idle / steady - 1) > CLOCKS_ALIKE:
                    return f"the clock {channel.site} was {idle / 1e9:.2f} GHz in the idle window and {steady / 1e9:.2f} GHz in the steady stage"
    return ""


def _changed(old: Any, new: Any) -> str:
    """What differs between two settings, or two tables of them; what only one of them tells is unknown and no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        return ", ".join(f"{name}: {old[name]} to {new[name]}" for name in sorted(old.keys() & new.keys()) if old[name] != new[name])
    return f"{old} to {new}" if old is not None and new is not None and old != new else ""


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def _per_stream(record: RunRecord) -> dict[str, Quantity]:
    """The plain average of the positive samples strictly inside the window, times its length, over the queries.

    So does the checker of MLPerf Inference submissions (mlcommons/inference, tools/submission: avg_power x power_duration / num_queries, in mJ). A
    query is one item of a single stream: an image, a window of sound, an answer. The bounds are those of the true energy, so that they say here
    what they say for `energy_per_item`.
    """
    if record.scenario != "single-stream":
        return {"": missing(Unit.JOULE, "energy per stream is defined for a single stream; of the offline scenario the mean power is reported")}
    found, meter = _steady(record)
    if isinstance(found, str) or not isinstance(meter, Meter):
        return {"": missing(Unit.JOULE, str(found))}
    if any(one.kind == "energy" for one in meter.channels):
        return {"": missing(Unit.JOULE, f"{meter} counts energy and has no power samples to average: see energy_per_item")}
    begin, end = window(record) or (0, 0)
    average = 0.0
    for column in meter.columns:
        positive = [one for one in good_samples(meter.telemetry, column, begin + 1, end - 1)[1] if one > 0]
        average += sum(positive) / max(len(positive), 1)
    scale = _lasted(record) / len(core(record)[0].begin_ns)
    note = _said(record, meter, found, f"{GROSS}; average of samples, not integrated")
    return _figure(record, Unit.JOULE, (scale * average, scale * found.low, scale * found.high), note, found.count)


def _by_site(record: RunRecord) -> dict[str, Quantity]:
    """Each meter and rail by itself."""
    if window(record) is None:
        return {"": missing(Unit.WATT, no_spans(record))}
    result: dict[str, Quantity] = {}
    for name, meter in every(record).items():
        found = mean_power(record, meter)
        if isinstance(found, str):
            result[name] = missing(Unit.WATT, found)
        else:
            result |= {name: _figure(record, Unit.WATT, (found.watts, found.low, found.high), _said(record, meter, found, GROSS), found.count)[""]}
    if result:
        return result
    meter_or_why = widest(record)
    return {"": missing(Unit.WATT, meter_or_why if isinstance(meter_or_why, str) else "no power was recorded")}


METRICS = (
    Metric(
        "energy_per_item", "Energy per item", Unit.JOULE, "lower",
        "trapezoid over the power samples of the steady stage, evened over the items (or a counter's rise) / items (an LLM's item: an output token, "
        "prefill included)",
        _gross(Unit.JOULE, _per_item),
    ),
    Metric("power", "Mean power", Unit.WATT, "lower", "energy / time over the steady stage, widest scope present", _gross(Unit.WATT, _power)),
    Metric(
        "efficiency", "Achieved efficiency", Unit.OP_PER_JOULE, "higher",
        "operations of the steady stage (1 MAC = 2 op) / energy of the steady stage", _gross(Unit.OP_PER_JOULE, _efficiency),
    ),
    Metric("idle_power", "Idle power", Unit.WATT, "lower", "energy / time over the idle window: the model open, nothing running", _idle_power),
    Metric(
        "energy_above_idle", "Energy above idle per item", Unit.JOULE, "lower",
        "(mean power of the steady stage - idle power) x wall time of the steady stage / items; beside energy_per_item, never instead of it",
        _above_idle,
    ),
    Metric(
        "energy_per_stream", "Energy per stream", Unit.JOULE, "lower",
        "average of the power samples inside the steady stage x its wall time / queries (an LLM's query: an answer), idle power included",
        _per_stream,
    ),
    Metric(
        "site_power", "Mean power by site", Unit.WATT, "lower", "energy / time over the steady stage, each meter and rail by itself", _by_site,
    ),
)  # fmt: skip
