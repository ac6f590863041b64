"""One record -> everything that its drawer shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from harness.metrics import metrics
from harness.quantity import THIN_SPACE, Unit, significant, text
from harness.record import Comparison, Problem, RunRecord, Telemetry
from reports import series
from reports.figures import Figures, flag_of, interval, shown
from reports.shapes import Change, Fact, Link, Mark, Metrics, ProblemDetail, RunView, SettingView, Sheet, SpanSummary
from reports.words import EVERYTHING, MARKS, SEVERITIES, STAGE_WORDS, STAGES, STATUSES, SUSPECT, SUSTAINED, place_of, weights_of

SUMMED_UP = 6
"""Of more values than this in one place (a clock of each of 64 CPUs) only the range is shown."""
MOST_LISTED = 24
MOST_COMPARED = 40
_UNITS: Final[tuple[tuple[str, Unit], ...]] = (
    ("_hz", Unit.HERTZ), ("_bytes", Unit.BYTE), ("_s", Unit.SECOND), ("_c", Unit.CELSIUS), ("_w", Unit.WATT), ("_j", Unit.JOULE),
)  # fmt: skip
_HEAD = ("board", "before", "after")


def threads_of(record: RunRecord) -> str:
    """The threads in words ("2 threads"), or "" where the runtime has no such setting."""
    value = record.settings["threads"].value if "threads" in record.settings else None
    return "" if value is None else f"{value} thread{'' if value == 1 else 's'}"


def weights_kind(record: RunRecord) -> str:
    """synthetic, pretrained, or "" where nothing says so."""
    if record.artifact:
        return record.artifact.weights
    return str(record.settings["weights"].value or "") if "weights" in record.settings else ""


def label_of(record: RunRecord) -> str:
    """What tells one session of a workload from another: runtime, precision, scenario, batch, threads."""
    batch = record.settings["batch"].value if "batch" in record.settings else None
    parts = [record.runtime, record.precision, record.scenario if record.scenario != "single-stream" else ""]
    parts += [f"batch {batch}" if batch not in (None, 1) else "", threads_of(record)]
    return " · ".join(filter(None, parts))


def tone_of(record: RunRecord) -> str:
    """How a record is drawn: "ok", "warned", "invalid" or "absent"."""
    if record.status == "ok":
        return "warned" if warnings_of(record) else "ok"
    return "invalid" if record.status == "invalid" else "absent"


def status_of(record: RunRecord) -> Mark:
    """The word for how a session ended; a measured one that a check doubts is suspect."""
    return SUSPECT if tone_of(record) == "warned" else STATUSES[record.status]


def warnings_of(record: RunRecord) -> int:
    """How many problems cast doubt on the record's figures."""
    return sum(one.severity != "note" for one in record.problems)


def spoils_of(spoils: Iterable[str]) -> str:
    """Which figures a problem touches, by their titles."""
    named = list(spoils)
    if EVERYTHING in named:
        return "every figure of the run"
    titles = {one.id: one.title for one in metrics()}
    return " · ".join(titles.get(one, one) for one in sorted(named, key=place_of)) or "no figure"


def minute(stamp: str) -> str:
    """An ISO stamp for a reader: 2026-11-22 08:00 UTC."""
    return f"{stamp[:16].replace('T', ' ')} UTC" if len(stamp) >= len("2026-11-22T08:00") and stamp.endswith("Z") else stamp


def href_of(record: RunRecord, links: Mapping[str, str]) -> str:
    """The record's file as a relative reference; a scheme in it is made harmless."""
    return quote(links[record.run_id], safe="/") if record.run_id in links else ""


def run_view(record: RunRecord, figures: Figures, links: Mapping[str, str], problem_ids: Mapping[str, str], told: Sequence[RunView] = ()) -> RunView:
    """The drawer of one run. `told`: those on the same machine that tell their whole environment; what is equal to one of them is not told again."""
    environment = record.environment
    around = tuple(Fact(name, value) for key in environment if key not in ("before", "after") for name, value in flat(key, environment[key]))
    labels = {one.label for one in around}
    alike = [one for one in told if not {fact.label for fact in one.environment} - labels]  # where something is missing, all is told
    first = max(alike, key=lambda one: len(set(around) & set(one.environment)), default=None)
    known = set(first.environment) if first else set()
    return RunView(
        anchor=figures.anchor,
        title=record.title,
        label=label_of(record),
        run_id=record.run_id,
        begun_at=minute(record.begun_at),
        href=href_of(record, links),
        status=status_of(record),
        tone=tone_of(record),
        reason=record.reason,
        fix=record.fix,
        weights=weights_of(weights_kind(record)),
        problems=tuple(_problem(one, problem_ids) for one in record.problems),
        plots=series.plots(record, figures),
        metrics=tuple(_metrics(record, figures)),
        facts=_facts(record),
        settings=tuple(SettingView(name, _plain(one.value), one.source) for name, one in sorted(record.settings.items())),
        changes=tuple(_changes(environment.get("before"), environment.get("after"))),
        environment=tuple(one for one in around if one not in known),
        like=Link(first.anchor, f"{first.title} · {first.label}") if first else None,
        artifact=_artifact(record),
        spans=tuple(_spans(record)),
        sheets=tuple(_sheets(record)),
        detail=record.detail,
    )


def _problem(problem: Problem, ids: Mapping[str, str]) -> ProblemDetail:
    return ProblemDetail(
        problem.code,
        SEVERITIES[problem.severity],
        problem.severity,
        problem.what,
        problem.why,
        problem.fix,
        spoils_of(problem.spoils),
        ids.get(problem.code, ""),
    )


def _metrics(record: RunRecord, figures: Figures) -> Iterator[Metrics]:
    """The figures in a reader's order; a formula stands with the first phase of its metric."""
    measured = record.status in ("ok", "invalid")
    said: set[str] = set()
    lasting = any(one.stage == "sustain" for one in record.spans)
    for anchor, reading in sorted(figures.readings, key=lambda one: place_of(one[1].metric.id)) if measured else ():
        metric, quantity = reading.metric, reading.quantity
        if metric.id in SUSTAINED[1:] and not lasting:
            continue
        flag, why = flag_of(record.problems, metric.id) if quantity.value is not None else ("", "")
        yield Metrics(
            anchor=anchor,
            title=metric.title,
            phase=reading.phase,
            text="–" if quantity.value is None else shown(metric.id, quantity.value, quantity.unit),
            interval=interval(reading),
            count="" if quantity.count is None else whole(quantity.count),
            evidence=quantity.evidence.note,
            mark=MARKS[quantity.evidence.kind],
            formula="" if metric.id in said else metric.id,
            reason=quantity.reason if quantity.value is None else "",
            flag=flag,
            flag_why=why,
        )
        said.add(metric.id)


def _facts(record: RunRecord) -> tuple[Fact, ...]:
    found = [
        ("Target", record.target),
        ("Module", record.module),
        ("Workload", f"{record.workload} ({record.task}; item: {record.item})"),
        ("Workload sha256", record.workload_sha256),
        ("Runtime", f"{record.runtime} {record.runtime_version}".strip()),
        ("Precision", record.precision),
        ("Scenario", record.scenario),
        ("Began", record.begun_at),
        ("Campaign", record.campaign),
        ("socbench", f"{record.socbench}, record schema {record.schema}"),
    ]
    return tuple(Fact(label, value) for label, value in found if value)


def _artifact(record: RunRecord) -> tuple[Fact, ...]:
    one = record.artifact
    if one is None:
        return ()
    found = [
        ("Weights", "; ".join(filter(None, (weights_of(one.weights), one.weights_note)))),
        ("Parameters", significant(one.parameters) if one.parameters else "not counted"),
        *((f"Operations, {phase}", f"{text(ops, Unit.OP)} per span (1 MAC = 2 op)") for phase, ops in one.ops.items()),
        *((f"Weights read, {phase}", f"{text(size, Unit.BYTE)} per span") for phase, size in one.weight_bytes.items()),
        ("Format", one.format),
        *((f"File, {role}", text(size, Unit.BYTE)) for role, size in one.bytes.items()),
        *((f"sha256, {role}", digest) for role, digest in one.sha256.items()),
        ("Toolchain", one.toolchain),
        ("Calibration sha256", one.calibration_sha256),
        ("Cache key", one.key),
    ]
    return tuple(Fact(label, value) for label, value in found if value)


def _spans(record: RunRecord) -> Iterator[SpanSummary]:
    ranked = sorted((one for one in record.spans if one.begin_ns), key=lambda one: (STAGES.index(one.stage), one.begin_ns[0]))
    for one in ranked:
        took = sorted(end - begin for begin, end in zip(one.begin_ns, one.end_ns, strict=True))
        fastest, middle, slowest, total = (text(ns / 1e9, Unit.SECOND) for ns in (took[0], took[len(took) // 2], took[-1], sum(took)))
        yield SpanSummary(STAGE_WORDS[one.stage], one.phase, whole(len(took)), f"{one.items:g}", total, fastest, middle, slowest)


def _sheets(record: RunRecord) -> Iterator[Sheet]:
    """The smaller tables of a record, as far as it has them."""
    if record.memory:
        peaks = tuple((source, text(peak, Unit.BYTE)) for source, peak in record.memory.items())
        yield Sheet("Memory", ("Source", "Bytes"), peaks, "Sources overlap: they are not to be added.")
    if record.offload:
        names = sorted({name for figures in record.offload.values() for name in figures})
        units = tuple((unit, *(significant(of[name]) if name in of else "–" for name in names)) for unit, of in record.offload.items())
        yield Sheet("Offload: where the operations ran", ("Unit", *names), units)
    if record.quality:
        first = record.quality.comparisons[:MOST_COMPARED]
        outputs = tuple((one.sample, one.output, *_fidelity(one), f"{one.matches}/{one.decisions}") for one in first)
        note = record.quality.reason or f"Reference: {record.quality.reference}."
        if len(record.quality.comparisons) > MOST_COMPARED:
            note += f" The first {MOST_COMPARED} of {len(record.quality.comparisons)} comparisons."
        yield Sheet("Outputs against the fp32 reference", ("Sample", "Output", "Cosine", "Relative error", "Same choice"), outputs, note)
    channels = tuple(_channel(telemetry, at) for telemetry in record.telemetry for at in range(len(telemetry.channels)))
    if channels:
        yield Sheet("Sensors", ("Sensor", "Kind", "Scope", "Instrument", "Lowest", "Highest", "Missed reads"), channels)
    absent = tuple((f"{one.kind}: {one.site}", one.reason, one.fix) for telemetry in record.telemetry for one in telemetry.absent)
    if absent:
        yield Sheet("Sensors that are not there", ("Sensor", "Reason", "To get it"), absent)


def _fidelity(one: Comparison) -> tuple[str, str]:
    """Cosine and relative error of one output."""
    norm = (one.xx * one.yy) ** 0.5
    cosine = significant(one.xy / norm, 5) if norm > 0 else "–"
    return cosine, significant((one.error / one.yy) ** 0.5) if one.yy > 0 else "–"


def _channel(telemetry: Telemetry, at: int) -> tuple[str, ...]:
    """One row of the table of sensors."""
    channel = telemetry.channels[at]
    values = [value for row in telemetry.rows if (value := row[at]) is not None]
    missed = len(telemetry.rows) - len(values)
    ends = [number(one, channel.unit) for one in (min(values), max(values))] if values else ["–", "–"]
    return (channel.site, channel.kind, channel.scope, telemetry.instrument, *ends, f"{missed} of {len(telemetry.rows)}")


def number(value: float, unit: str) -> str:
    """A number in a unit that a record names; an unknown unit is said as it is."""
    known = {one.value: one for one in Unit}
    return text(value, known[unit]) if unit in known else f"{significant(value)} {unit}"


def whole(count: int) -> str:
    """A count: 12 034."""
    return f"{count:,}".replace(",", THIN_SPACE)


# ---------------------------------------------------------------------------------------------------- environment


def _changes(before: Any, after: Any) -> Iterator[Change]:
    """What the board said before and after the run, what changed first."""
    first, then = dict(flat("", before)), dict(flat("", after))
    found = [Change(name, first.get(name, "–"), then.get(name, "–"), first.get(name) != then.get(name)) for name in dict.fromkeys([*first, *then])]
    yield from sorted(found, key=lambda one: not one.changed)


def flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested values as (name, text); many values in one place become their range."""
    if isinstance(value, Mapping):
        scalars = [one for one in value.values() if not isinstance(one, Mapping | list)]
        if len(scalars) == len(value) > SUMMED_UP and _all_numbers(scalars):
            low, high = (_number(name, one) for one in (min(scalars), max(scalars)))
            yield name, f"{len(scalars)} values, {f'all {low}' if low == high else f'{low} to {high}'}"
            return
        for key, one in value.items():
            yield from flat(f"{name} / {key}" if name else str(key), one)
    elif isinstance(value, list):
        shown_ones = [_plain(one) for one in value[:MOST_LISTED]]
        more = f" and {len(value) - MOST_LISTED} more" if len(value) > MOST_LISTED else ""
        yield name, (", ".join(shown_ones) + more) or "none"
    elif value is not None:
        yield name, _number(name, value) if isinstance(value, int | float) and not isinstance(value, bool) else _plain(value)


def _all_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in values)


def _number(name: str, value: float) -> str:
    """A number, in the unit that the end of one of its names tells ("memory_bytes", "frequency_hz / cpu0")."""
    for piece in reversed(name.split(" / ")):
        for ending, unit in _UNITS:
            if piece.endswith(ending):
                return text(value, unit)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> str:
    """One value in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value) if value != "" else "none"
