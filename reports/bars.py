"""The bar charts of each workload: where an item's time goes, and peak memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.metrics.spans import core, seconds
from harness.quantity import Unit, text
from harness.record import RunRecord, Stage
from reports.figures import Figures, flag_of, to_csv
from reports.shapes import Bar, Chart, Comparison, Part
from reports.tables import Labels
from reports.words import MEMORY, colour_of, family_of

_PASSES = {"transcribe": "window", "generate": "answer"}


def comparisons(records: Sequence[RunRecord], figures: Mapping[int, Figures], labels: Labels) -> Iterator[Comparison]:
    """The charts of each workload that has something to draw; `figures` is keyed by id(record)."""
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for one in records:
        if one.status in ("ok", "invalid"):
            groups.setdefault((one.title, one.workload), []).append(one)
    draw = _Charts(figures, labels)
    for (title, _), own in groups.items():
        charts = tuple(one for one in (draw.phases(own), draw.memory(own)) if one is not None)
        if charts:
            yield Comparison(title, charts)


def time_by_phase(record: RunRecord) -> tuple[Stage, int, dict[str, float]] | None:
    """The stage read, its passes, and the mean seconds of each phase in one pass (for images: in one image); None without spans."""
    stages: tuple[Stage, ...] = ("pipeline", "steady")
    for stage in stages:
        phases = core(record, stage)
        if phases:
            passes = len(phases[0].begin_ns)
            share = passes * (phases[0].items if family_of(record.task).id == "vision" else 1.0)
            means: dict[str, float] = {}
            for one in phases:
                means[one.phase] = means.get(one.phase, 0.0) + float(seconds(one).sum()) / share
            return stage, passes, means
    return None


@dataclass(frozen=True)
class _Bar:
    """What a bar is made of."""

    record: RunRecord
    parts: tuple[Part, ...]
    total: float
    unit: Unit
    note: str


@dataclass(frozen=True)
class _Charts:
    figures: Mapping[int, Figures]
    labels: Labels

    def phases(self, records: Sequence[RunRecord]) -> Chart | None:
        """The mean time of each phase."""
        found = [(one, read) for one in records if (read := time_by_phase(one)) is not None]
        if not found:
            return None
        bars, rows = [], []
        for record, (stage, passes, means) in found:
            parts = tuple(Part(name, value, text(value, Unit.SECOND), colour_of(name)) for name, value in means.items())
            note = f"mean of {passes}" + ("" if stage == "pipeline" else "; network only, the whole pipeline was not run")
            bars.append(_Bar(record, parts, sum(means.values()), Unit.SECOND, note))
            rows += [(self.labels.short(record), record.run_id, stage, name, value) for name, value in means.items()]
        noun = _PASSES.get(records[0].task, records[0].item)
        caption = "Mean time of each phase, one after the other as they run; all bars have one scale."
        csv = to_csv(("run", "run_id", "stage", "phase", "mean [s]"), rows)
        return Chart(f"Where the time of one {noun} goes", caption, self._drawn(bars, "latency_p50"), csv)

    def memory(self, records: Sequence[RunRecord]) -> Chart | None:
        """The peak of one source of each record."""
        known = [one for one in records if one.memory]
        if not known:
            return None
        bars, rows = [], []
        for one in known:
            source = next((name for name in MEMORY if name in one.memory), next(iter(one.memory)))
            peak = float(one.memory[source])
            files = sum(one.artifact.bytes.values()) if one.artifact else 0
            note = f"{source}; model files {text(files, Unit.BYTE)}" if files else source
            bars.append(_Bar(one, (Part(source, peak, "", 1),), peak, Unit.BYTE, note))
            rows += [(self.labels.short(one), one.run_id, name, value) for name, value in one.memory.items()]
        caption = "The highest value seen of one counter of the whole process, runtime and interpreter included."
        csv = to_csv(("run", "run_id", "source", "peak [B]"), rows)
        return Chart("Peak memory", caption, self._drawn(bars, "peak_memory"), csv)

    def _drawn(self, bars: Sequence[_Bar], metric: str) -> tuple[Bar, ...]:
        """The bars on one scale; `metric` is what their flags are about."""
        longest = max(one.total for one in bars) or 1.0
        return tuple(
            Bar(
                anchor=self.figures[id(one.record)].anchor,
                label=self.labels.short(one.record),
                total=text(one.total, one.unit),
                parts=one.parts,
                shares=tuple(part.value / longest for part in one.parts),
                flag="invalid" if one.record.status == "invalid" else flag_of(one.record.problems, metric)[0],
                note=one.note,
            )
            for one in bars
        )
