"""The plot of a sustained run: rate and latency, power, clocks and temperature over minutes, the first and the last of them marked, and the knee."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.decide.terms import Note
from harness.metrics.knee import MINUTE
from harness.metrics.spans import core, seconds
from harness.metrics.sustained import SHORTEST, course, grouped
from harness.quantity import Unit, significant, text
from harness.record import RunRecord, Spans
from harness.words import say
from reports.figures import Figures
from reports.plot_shapes import Band, Data, Moment, Plot, Sensor
from reports.telemetry import SINGLE, sensors, table, thinned, wire
from reports.words import colour_of, rate_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TITLE = "Sustained performance"


def sustained(record: RunRecord, figures: Figures) -> Plot | None:
    """The sustain stage over minutes, or None where there is none."""
    phases = core(record, "sustain")
    if not phases:
        return None
    zero = phases[0].begin_ns[0]
    lasted = (max(one.end_ns[-1] for one in phases) - zero) / 1e9
    curves = [*_rate(record), *(_latency(record, one, zero) for one in phases if record.scenario != "offline")]
    seen = sensors(record, zero, 0.0, lasted, MINUTE)
    bands, moments = [], []
    if lasted >= SHORTEST:
        bands = [Band("first minute", 0.0, 1.0, True), Band("last minute", lasted / MINUTE - 1, lasted / MINUTE, True)]
    knee = figures.get("throttle_knee", "")
    if knee is not None and knee.value is not None:
        moments.append(Moment(f"knee, {significant(knee.value / MINUTE)} min", knee.value / MINUTE))
    drawn = (*curves, *seen)
    said = tuple(_sentences(record, figures, lasted, drawn))
    plain = " ".join(say(one.key, "en", **one.values) for one in said)
    data = tuple(_data(one, drawn) for one in drawn)
    return Plot(
        "sustain", TITLE, plain, plain, data, bands=tuple(bands or [Band("", 0.0, lasted / MINUTE, False)]), sensors=seen,
        curves=tuple(curves), moments=tuple(moments), said=said,
    )  # fmt: skip


def _data(sensor: Sensor, drawn: tuple[Sensor, ...]) -> Data:
    """The numbers of a strip; its phase is named where several strips have one title."""
    found = table(sensor, "t [min]")
    several = sum(one.title == sensor.title for one in drawn) > 1
    return Data(f"{found.title}, {sensor.wires[0].name}", found.csv) if several else found


def _rate(record: RunRecord) -> list[Sensor]:
    """The work per second over time, where there is enough of it."""
    import numpy as np

    run = course(record, 0.0)
    if isinstance(run, str) or run.lasted <= 0:
        return []
    edges = np.arange(0.0, run.lasted + run.step(SINGLE) / 2, run.step(SINGLE))
    if len(edges) < 2:
        return []
    middle = (edges[1:] + edges[:-1]) / 2 / MINUTE
    return [Sensor("Throughput", rate_of(record.item), (wire("", middle, run.rates(edges)),), of=1, colour=colour_of("item"))]


def _latency(record: RunRecord, spans: Spans, zero: int) -> Sensor:
    """How long each call of a phase took, over time."""
    import numpy as np

    took = seconds(spans) / grouped(record, spans)
    usual = float(np.median(took))
    factor, unit = (1.0, "s") if usual >= 1 else (1e3, "ms") if usual >= 1e-3 else (1e6, "µs")
    t = (np.asarray(spans.begin_ns, dtype=np.int64) - zero) / 1e9 / MINUTE
    return Sensor("Latency", unit, (wire(spans.phase, t, took * factor),), of=1, colour=colour_of(spans.phase))


def _sentences(record: RunRecord, figures: Figures, lasted: float, drawn: tuple[Sensor, ...]) -> list[Note]:
    """What the plot shows, in words, for who does not see it."""
    minutes = f"{lasted / MINUTE:.3g}"
    ratio, knee, heat = (figures.get(one, "") for one in ("sustained_ratio", "throttle_knee", "sustained_temperature"))
    found = []
    if ratio is None or ratio.value is None:
        found.append(Note("r-sustain-short", {"minutes": minutes, "why": ratio.reason if ratio else ""}))
    else:
        rated = list(figures.by_metric["sustained_throughput"])
        phase = "" if "" in rated else rated[-1]  # of a language model, the rate of writing
        first, last = (figures.get(one, phase) for one in ("first_minute_throughput", "sustained_throughput"))
        rates = [
            f"{text(one.value, Unit.PER_SECOND).rpartition('/')[0].rstrip()} {rate_of(record.item)}" for one in (first, last) if one and one.value
        ]
        if len(rates) == 2:
            found.append(Note("r-sustain-minutes", {"minutes": minutes, "first": rates[0], "last": rates[1], "share": f"{ratio.value:.0%}"}))
    if knee is not None and knee.value is not None:
        found.append(Note("r-sustain-knee", {"at": f"{significant(knee.value / MINUTE)} min", "seen": knee.evidence.note}))
    elif knee is not None and ratio is not None and ratio.value is not None:
        plain = knee.reason.startswith("did not throttle within") and ":" not in knee.reason
        found.append(Note("r-sustain-none", {"minutes": minutes}) if plain else Note("r-sustain-no-knee", {"why": knee.reason}))
    if heat is not None and heat.value is not None:
        found.append(Note("r-sustain-heat", {"heat": text(heat.value, Unit.CELSIUS)}))
    found.append(Note("r-sustain-strips", {"strips": ", ".join(dict.fromkeys(one.title for one in drawn)) or "–"}))
    if any(thinned(one) for one in drawn):
        found.append(Note("r-sustain-columns"))
    return found
