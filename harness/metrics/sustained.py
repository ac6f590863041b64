"""What heat does to a run: its first minute against its last, and the time at which it slowed down and stayed slow.

The stage "sustain" goes on with the steady work for many minutes. A rate here counts the pauses between items too: a product has them as well.
`Course` is the work done over time; everything else is read from it, from the spans inside a minute, and from what sensors said meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.knee import MINUTE, Course, Knee, find_knee
from harness.metrics.knee import SHORTEST as KNEE_SHORTEST
from harness.metrics.latency import bounds, samples_needed
from harness.metrics.spans import ITEM, core, counts, item_seconds, measured, seconds
from harness.metrics.witness import cpu_share, explained, heats, witnesses
from harness.quantity import Quantity, Unit, missing, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.record import RunRecord, Spans

FEW = 6
"""Items (answers, windows of sound) that a course needs."""
SHORTEST = 2 * MINUTE
"""A first and a last minute that do not overlap [s]."""


def course(record: RunRecord, shortest: float = SHORTEST) -> Course | str:
    """The work of the sustain stage, or why there is none that could be judged."""
    import numpy as np

    phases = core(record, "sustain")
    if not phases:
        asked = record.settings["sustain"].value if "sustain" in record.settings else None
        return "the record has no sustained spans" if asked else "no sustained run was asked for: it is with --sustain 30m"
    first = phases[0]
    t = (np.asarray([*first.begin_ns, max(one.end_ns[-1] for one in phases)], dtype=np.int64) - first.begin_ns[0]) / 1e9
    if t[-1] < shortest:
        return f"the sustained run lasted {text(float(t[-1]), Unit.SECOND)}, this figure needs {shortest:.0f} s: measure for longer (--sustain 30m)"
    if len(first.begin_ns) < FEW:
        return f"the sustained run holds {len(first.begin_ns)} items, this figure needs {FEW}: measure for longer (--sustain)"
    work = [first.items] * len(first.begin_ns)
    if record.task == "generate":
        work = [1 + sum(n * phase.items for n, phase in zip(one[1:], phases[1:], strict=True)) for one in counts(phases)]
    return Course(first.begin_ns[0], t, np.concatenate([[0.0], np.cumsum(work)]))


def knee(record: RunRecord) -> tuple[Knee, str] | str:
    """The knee and what else happened at its time, in words; or why there is none."""
    run = course(record, KNEE_SHORTEST)
    found = run if isinstance(run, str) else find_knee(run)
    if isinstance(found, str) or isinstance(run, str):
        return str(found)
    edges = [run.begin_ns + round(one * 1e9) for one in (0.0, found.at, run.lasted)]
    seen = witnesses(record, edges[0], edges[1], edges[2])
    shares = cpu_share(record, edges[0], edges[1]), cpu_share(record, edges[1], edges[2])
    if not any(one.slows for one in seen) and explained(record, shares, found.after / found.before):
        return (
            f"the rate fell by {found.fell:.1%} after {text(found.at, Unit.SECOND)}, and the process got {1 - shares[1] / shares[0]:.1%} less "
            "CPU time: something else ran; stop it and measure again"
        )
    said = (
        "; ".join(one.said for one in seen if one.slows) or "no clock, power or throttle counter of the record moved with it: the cause is not known"
    )
    heat = next((f"; {one.said}" for one in seen if not one.slows), "")
    return found, f"from then on {found.fell:.1%} below the first minute; {said}{heat}"


# ---------------------------------------------------------------------------------------------------- figures


def _of_minute(
    which: str, unit: Unit, figure: Callable[[RunRecord, Course, tuple[float, float]], dict[str, Quantity]]
) -> Callable[..., dict[str, Quantity]]:
    """A metric of one minute of the course, "first" or "last"."""

    def compute(record: RunRecord) -> dict[str, Quantity]:
        run = course(record)
        if isinstance(run, str):
            return {"": missing(unit, run)}
        return figure(record, run, run.first if which == "first" else run.last)

    return compute


def _inside(spans: Spans, run: Course, minute: tuple[float, float]) -> slice:
    """Those of the spans that began in a minute."""
    import numpy as np

    begins = (np.asarray(spans.begin_ns, dtype=np.int64) - run.begin_ns) / 1e9
    low, high = (int(one) for one in np.searchsorted(begins, minute))
    return slice(low, high)


def _rate(record: RunRecord, run: Course, minute: tuple[float, float]) -> dict[str, Quantity]:
    """Under "", items per second of wall time; of a language model under each phase, tokens per second of its own time."""
    phases = core(record, "sustain")
    if record.task != "generate":
        part = _inside(phases[0], run, minute)
        return {"": Quantity(run.rate(*minute), Unit.PER_SECOND, measured(record, f"{record.item}s per second"), count=part.stop - part.start)}
    found = {}
    for one in phases:
        part = _inside(one, run, minute)
        busy, n = float(seconds(one)[part].sum()), part.stop - part.start
        note = f"items of {one.phase} per second of its own time"
        found[one.phase] = (
            Quantity(n * one.items / busy, Unit.PER_SECOND, measured(record, note), count=n)
            if busy > 0
            else missing(Unit.PER_SECOND, f"no {one.phase} began in that minute: items are longer than a minute")
        )
    return found


def grouped(record: RunRecord, spans: Spans) -> float:
    """How many calls share a span of the sustain stage: short ones of a single phase do, so that half an hour of them fits into a record."""
    if len(core(record, "sustain")) > 1:
        return 1.0
    steady = record.phase("steady", spans.phase)
    batch = record.settings["batch"].value if "batch" in record.settings else 1
    return max(1.0, spans.items / (steady.items if steady else float(batch or 1)))


def _latency(record: RunRecord, run: Course, minute: tuple[float, float]) -> dict[str, Quantity]:
    """The median of the spans that began in the minute, by phase; where calls share spans, of the means over a span."""
    import numpy as np

    if record.scenario == "offline":
        return {"": missing(Unit.SECOND, "offline runs batches back to back: the time of a batch is not the latency of an item")}
    phases = core(record, "sustain")
    took = {one.phase: seconds(one)[_inside(one, run, minute)] / grouped(record, one) for one in phases}
    if len(phases) > 1:
        took[ITEM] = item_seconds(phases)[_inside(phases[0], run, minute)]
    notes = {one.phase: f"mean over {n:g} calls a span" if (n := grouped(record, one)) > 1 else "" for one in phases}
    found = {}
    needed = samples_needed(0.5)
    for phase, samples in took.items():
        n = len(samples)
        if n < needed:
            found[phase] = missing(Unit.SECOND, f"the minute holds {n} of them, a median needs {needed}", count=n)
            continue
        ordered = np.sort(samples)
        low, high = bounds(n, 0.5)
        middle, least, most = (float(ordered[one]) for one in (n // 2, low, high))
        found[phase] = Quantity(middle, Unit.SECOND, measured(record, notes.get(phase, "")), low=least, high=most, count=n)
    return found


def _ratio(record: RunRecord) -> dict[str, Quantity]:
    run = course(record)
    if isinstance(run, str):
        return {"": missing(Unit.ONE, run)}
    first, last = run.rate(*run.first), run.rate(*run.last)
    return {"": Quantity(last / first, Unit.ONE, measured(record, f"last minute of {run.lasted / MINUTE:.3g} / first minute"))}


def _knee(record: RunRecord) -> dict[str, Quantity]:
    found = knee(record)
    if isinstance(found, str):
        return {"": missing(Unit.SECOND, found)}
    return {"": Quantity(found[0].at, Unit.SECOND, measured(record, found[1]))}


def _temperature(record: RunRecord) -> dict[str, Quantity]:
    """The hottest sensor over the last minute."""
    run = course(record)
    if isinstance(run, str):
        return {"": missing(Unit.CELSIUS, run)}
    begin, end = (run.begin_ns + round(one * 1e9) for one in run.last)
    seen = [(one.value, one.channel.site) for one in heats(record, begin, end)]
    if not seen:
        absent = [one for telemetry in record.telemetry for one in telemetry.absent if one.kind == "temperature"]
        why = f"{absent[0].reason}; to get it: {absent[0].fix}" if absent else "no temperature was recorded in the last minute"
        return {"": missing(Unit.CELSIUS, why)}
    value, site = max(seen)
    return {"": Quantity(value, Unit.CELSIUS, measured(record, f"median of {site}, the hottest of {len(seen)}, over the last minute"))}


_MIDDLE = "median of the spans that began in the {} minute of the sustained run; bounds: LoadGen early stopping, 99 %"
METRICS = (
    Metric(
        "sustained_throughput", "Sustained throughput", Unit.PER_SECOND, "higher",
        "items in the last minute of the sustained run / 60 s, pauses included; prefill, decode: tokens / time in that phase",
        _of_minute("last", Unit.PER_SECOND, _rate),
    ),
    Metric(
        "first_minute_throughput", "Throughput, first minute", Unit.PER_SECOND, "higher",
        "items in the first minute of the sustained run / 60 s, pauses included; prefill, decode: tokens / time in that phase",
        _of_minute("first", Unit.PER_SECOND, _rate),
    ),
    Metric(
        "sustained_ratio", "Sustained share", Unit.ONE, "higher",
        "items in the last minute of the sustained run / items in its first minute", _ratio,
    ),
    Metric(
        "throttle_knee", "Throttle knee", Unit.SECOND, "higher",
        "time after which every stretch (a minute, or a fifteenth of the run) is more than 3 % slower than the first minute",
        _knee,
    ),
    Metric(
        "first_minute_latency", "Latency, first minute", Unit.SECOND, "lower", _MIDDLE.format("first"), _of_minute("first", Unit.SECOND, _latency)
    ),
    Metric("sustained_latency", "Latency, last minute", Unit.SECOND, "lower", _MIDDLE.format("last"), _of_minute("last", Unit.SECOND, _latency)),
    Metric(
        "sustained_temperature", "Temperature at the end", Unit.CELSIUS, "lower",
        "median of the hottest sensor of a die or card (else of the board) over the last minute of the sustained run", _temperature,
    ),
)  # fmt: skip
