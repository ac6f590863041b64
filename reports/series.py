"""The data behind the plots of one record, thinned so that a file of twenty runs stays small. Times leave here in seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.metrics.latency import PERCENTILES
from harness.metrics.spans import core, durations, seconds
from harness.quantity import Unit, text
from harness.record import RunRecord
from reports.figures import Figures, to_csv
from reports.plot_shapes import Band, Data, Panel, Percentile, Plot, Track
from reports.sustained import sustained
from reports.telemetry import sensors as sensed
from reports.telemetry import short, table, thinned
from reports.words import DISCARDED, SESSION, STAGE_WORDS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

POINTS = 300
"""Most points drawn of one series of spans."""
FEW = 30
"""Fewer spans than this are drawn one by one: a histogram of them would show its bins."""
MOST_BINS = 60
TAIL = 3.0
"""The axis ends this many times the distance from fastest to p90 above p90; what lies beyond is counted, not drawn."""
HIGHEST = 3.0
"""A time axis ends at most this many times above the steady median."""


def plots(record: RunRecord, figures: Figures) -> tuple[Plot, ...]:
    """The plots that this record has data for."""
    return tuple(one for one in (distribution(record, figures), timeline(record), sustained(record, figures)) if one is not None)


# ---------------------------------------------------------------------------------------------------- distribution


def distribution(record: RunRecord, figures: Figures) -> Plot | None:
    """How the steady spans of each phase are spread."""
    found = durations(record)
    if not found:
        return None
    panels = tuple(_panel(phase, samples, figures) for phase, samples in found.items())
    counted = [one for one in panels if one.counts]
    bins = [(one.phase, low, high, n) for one in counted for low, high, n in zip(one.edges, one.edges[1:], one.counts, strict=False)]
    data = [Data("bins", to_csv(("phase", "from [s]", "to [s]", "spans"), [(p, short(a), short(b), n) for p, a, b, n in bins]))] if bins else []
    single = [(one.phase, short(value)) for one in panels for value in one.few]
    if single:
        data.append(Data("spans", to_csv(("phase", "took [s]"), single)))
    what = "batches" if record.scenario == "offline" else "spans"
    caption = f"Steady stage: how many {what} took how long."
    if any(one.percentiles for one in panels):
        caption += " The thin line behind a percentile ends at its early-stopping bound: with 99 % confidence it is no higher."
    if len(panels) > 1:
        caption += ' "item" is all spans of one item together.'
    beyond = sum(one.beyond for one in panels)
    if beyond:
        caption += f" {beyond} slow {what} lie right of the axis; the arrow says how many and how slow."
    if single:
        caption += f" Fewer than {FEW} {what} are drawn one by one."
    middle = "; ".join(
        f"{one.phase}: {one.count} {what}" + "".join(f", {p.name} {text(p.value, Unit.SECOND)}" for p in one.percentiles) for one in panels
    )
    title = "Time of a batch" if record.scenario == "offline" else "Latency distribution"
    return Plot("distribution", title, caption, f"{title}. {middle}.", tuple(data), panels=panels)


def _panel(phase: str, samples: Array, figures: Figures) -> Panel:
    import numpy as np

    percentiles = []
    for name in PERCENTILES:
        quantity = figures.get(f"latency_{name}", phase)
        if quantity and quantity.value is not None:
            percentiles.append(Percentile(name, quantity.value, quantity.low, quantity.high))
    ordered = np.sort(samples)
    low, high = float(ordered[0]), float(ordered[-1])
    if len(samples) < FEW:
        return Panel(phase, len(samples), (), (), tuple(map(float, ordered)), tuple(percentiles), high, 0)
    p90 = float(ordered[math.floor(len(ordered) * 0.9)])
    end = max([min(high, p90 + TAIL * (p90 - low)), *(one.value for one in percentiles)])
    inside = ordered[ordered <= end]
    spread = float(np.subtract(*np.percentile(inside, [75, 25])))
    width = 2 * spread / len(inside) ** (1 / 3) or (end - low) / 20 or max(low, 1e-9) * 1e-3  # Freedman and Diaconis
    bins = min(MOST_BINS, max(8, math.ceil((end - low) / width)))
    counts, edges = np.histogram(inside, bins=bins, range=(low, end if end > low else low + width))
    return Panel(phase, len(samples), tuple(map(float, edges)), tuple(map(int, counts)), (), tuple(percentiles), high, len(ordered) - len(inside))


# ---------------------------------------------------------------------------------------------------- timeline


def timeline(record: RunRecord) -> Plot | None:
    """Every stage of the session but the sustained one on one time axis, with what the sensors said meanwhile."""
    spans = [one for one in record.spans if one.begin_ns and one.stage in SESSION]
    timed = [one for one in spans if one.stage not in ("load", "idle")]
    if not timed:
        return None
    zero = min(one.begin_ns[0] for one in spans)
    bands = []
    for stage in SESSION:
        own = [one for one in spans if one.stage == stage]
        if own:
            begin, end = min(one.begin_ns[0] for one in own), max(one.end_ns[-1] for one in own)
            bands.append(Band(STAGE_WORDS[stage], (begin - zero) / 1e9, (end - zero) / 1e9, stage in DISCARDED))
    steady = [one.phase for one in core(record)] or list(dict.fromkeys(one.phase for one in timed))
    tracks = tuple(_track(record, phase, zero) for phase in steady)
    ended = max(one.end for one in bands)
    sensors = sensed(record, zero, -math.inf, ended * 1.01) if len(spans) < len(record.spans) else sensed(record, zero)
    points = sorted((t, one.phase, took) for one in tracks for t, took in zip(one.t, one.took, strict=True))
    data = [Data("spans", to_csv(("began [s]", "phase", "took [s]"), [(round(t, 4), phase, short(took)) for t, phase, took in points]))]
    data += [table(one, "t [s]") for one in sensors]
    few = [f"{len(one.t)} of {one.of} {one.phase} spans" for one in tracks if len(one.t) < one.of]
    caption = "Each dot is one span. Shaded: load, first inference and warm-up, which no latency is read from."
    if any(one.stage == STAGE_WORDS["idle"] for one in bands):
        caption = caption.replace("load, first inference and warm-up", "load, first inference, idle and warm-up")
    if any(one.stage == STAGE_WORDS["pipeline"] for one in bands):
        caption += " The last stretch runs the whole pipeline; of it only the phases of the network are drawn."
    if few:
        caption += f" Drawn are {', '.join(few)}, evenly spaced, and the slowest of all."
    if any(thinned(one) for one in sensors):
        caption += " Where a sensor's line has bars, it is the median of a column of samples, and the bar reaches from the lowest to the highest."
    if not sensors:
        caption += " No sensor was read."
    below = ", ".join(one.title.lower() for one in sensors) or "no sensor"
    alt = f"Latency over {text(ended, Unit.SECOND)} of the session; below it {below}."
    return Plot("timeline", "Latency over the session", caption, alt, tuple(data), tracks=tracks, bands=tuple(bands), sensors=sensors)


def _track(record: RunRecord, phase: str, zero: int) -> Track:
    """One phase over all stages after loading. The axis ends where the steady spans do, so that a slow first one does not flatten the rest."""
    import numpy as np

    pieces = [(stage, one) for stage in SESSION[1:] if (one := record.phase(stage, phase)) is not None and one.begin_ns]
    t = np.concatenate([(np.asarray(one.begin_ns, dtype=np.int64) - zero) / 1e9 for _, one in pieces])
    took = np.concatenate([seconds(one) for _, one in pieces])
    kept_stages = [float(seconds(one).max()) for stage, one in pieces if stage != "first"] or [float(took.max())]
    steady = record.phase("steady", phase)
    usual = float(np.median(seconds(steady) if steady and steady.begin_ns else took))
    top = max(min(max(kept_stages), HIGHEST * usual), float(np.percentile(took, 90)))
    kept = thin(took, POINTS)
    return Track(phase, tuple(map(float, t[kept])), tuple(map(float, took[kept])), len(t), top, int((took > top).sum()), float(took.max()))


def thin(values: Array, most: int) -> NDArray[np.int64]:
    """Indexes of at most `most` of `values`: one of each of equal slices, at a seeded place so that no period is mimicked, and the largest."""
    import numpy as np

    n = len(values)
    if n <= most:
        return np.arange(n)
    slowest = np.argsort(values, kind="stable")[-(most // 10) :]
    slices = most - len(slowest)
    places = np.arange(slices) + np.random.default_rng(0).random(slices)
    return np.union1d((places * n / slices).astype(np.int64), slowest)
