"""Records -> Report: what is shown and in which words. Pure; no HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.metrics import metrics
from harness.record import RunRecord
from reports.bars import comparisons
from reports.detail import flat, minute, run_view, status_of, warnings_of, weights_kind
from reports.figures import Figures, slug, unique
from reports.problems import absences, problems, unmeasured
from reports.shapes import Count, Fact, Machine, MetricWords, ProblemView, Report, SettingView
from reports.tables import Labels, tables
from reports.words import ENDINGS, FAMILIES, INVALID_FIGURE, MARKS, OTHER, PRECISIONS, SUSPECT_FIGURE, family_of, place_of

__all__ = ["Report", "view"]

_NAMED = 4
_BOARD = (
    ("CPUs", "cpus"), ("Physical cores", "cores"), ("Memory", "memory_bytes"), ("Kernel", "kernel"), ("System", "os"), ("Maker", "machine"),
    ("Architecture", "arch"), ("Instruction sets", "isa"), ("Python", "python"),
)  # fmt: skip


def view(records: Sequence[RunRecord], links: Mapping[str, str]) -> Report:
    """The report of `records`. `links`: run_id -> relative reference of its record file."""
    ordered = sorted(records, key=_rank)
    taken: set[str] = set()
    figures = {id(one): Figures(one, unique(f"run-{slug(one.run_id)}", taken)) for one in ordered}
    newest = _newest(ordered)
    labels = Labels(ordered)
    found = problems(ordered, figures, labels)
    without = unmeasured(ordered, figures, labels)
    return Report(
        title=_title(ordered),
        lead=_lead(ordered, found),
        weights=_weights(ordered),
        span=_when(ordered),
        versions=_versions(ordered),
        counts=tuple(_counts(ordered)),
        machines=tuple(_machine(target, ordered) for target in dict.fromkeys(one.target for one in ordered)),
        tables=tuple(tables(ordered, figures, newest, labels)),
        comparisons=tuple(comparisons([one for one in ordered if id(one) in newest], figures, labels)),
        open_problems=sum(one.tone != "note" for one in found) + len(without),
        problems=found,
        unmeasured=without,
        absences=absences(ordered),
        runs=tuple(run_view(one, figures[id(one)], links, {one.code: one.id for one in found}) for one in ordered),
        metrics=tuple(
            MetricWords(one.id, one.title, one.unit.value, one.better, one.formula) for one in sorted(metrics(), key=lambda one: place_of(one.id))
        ),
        marks=tuple(MARKS.values()),
        words=(*ENDINGS, SUSPECT_FIGURE, INVALID_FIGURE),
        commands=_commands(ordered),
        asked=_asked(ordered),
    )


def _rank(record: RunRecord) -> tuple[object, ...]:
    """Workload by workload, within it runtime, precision from wide to narrow, threads; the newest first."""
    family = family_of(record.task)
    precision = PRECISIONS.index(record.precision) if record.precision in PRECISIONS else len(PRECISIONS)
    threads = record.settings["threads"].value if "threads" in record.settings else None
    size = float(threads) if isinstance(threads, int | float) else 0.0
    place = [*FAMILIES, OTHER].index(family)
    newest_first = tuple(-ord(one) for one in record.begun_at)
    batched = record.scenario != "single-stream"
    return (
        place,
        record.target,
        record.title,
        record.workload,
        batched,
        record.runtime,
        precision,
        record.precision,
        size,
        newest_first,
        record.run_id,
    )


def _newest(ordered: Iterable[RunRecord]) -> set[int]:
    """The newest record of each identity; the others are shown as earlier runs."""
    best: dict[tuple[str, ...], RunRecord] = {}
    for one in ordered:
        held = best.get(one.identity())
        if held is None or (one.begun_at, one.run_id) > (held.begun_at, held.run_id):
            best[one.identity()] = one
    return {id(one) for one in best.values()}


# ---------------------------------------------------------------------------------------------------- the head


def _title(records: Sequence[RunRecord]) -> str:
    modules = list(dict.fromkeys(one.module for one in records))
    return modules[0] if len(modules) == 1 else f"{len(modules)} machines"


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _lead(records: Sequence[RunRecord], problems: Sequence[ProblemView]) -> str:
    sound = sum(status_of(one).word == "ok" for one in records)
    touched = sum(warnings_of(one) > 0 for one in records)
    codes = [one.code for one in problems if one.tone != "note"]
    said = f"{sound or 'None'} of {_plural(len(records), 'session')} gave figures that no check doubts."
    if not codes:
        return said
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    return f"{said} Problems touch {_plural(touched, 'run')}: {', '.join(codes[:_NAMED])}{more}."


def _weights(records: Sequence[RunRecord]) -> str:
    kinds = Counter(weights_kind(one) for one in records)
    synthetic, total = kinds["synthetic"], len(records)
    meaning = "speed, memory and energy are those of the real architecture; accuracy and the content of outputs mean nothing"
    if synthetic == total:
        return f"All weights are synthetic (seeded random numbers): {meaning}."
    if synthetic:
        return f"{synthetic} of {total} sessions ran with synthetic weights (seeded random numbers): of those, {meaning}."
    if kinds["pretrained"] == total:
        return "All weights are pretrained, as given by the user; each run names its files."
    return "No session ran with synthetic weights; each run names the weights it used."


def _when(records: Sequence[RunRecord]) -> str:
    first, last = (minute(pick(one.begun_at for one in records)) for pick in (min, max))
    return first if first == last else f"{first} to {last}"


def _versions(records: Sequence[RunRecord]) -> tuple[Fact, ...]:
    runtimes = sorted({f"{one.runtime} {one.runtime_version}" for one in records if one.runtime_version})
    return (
        Fact("Measured", _when(records)),
        Fact("socbench", ", ".join(sorted({one.socbench for one in records}))),
        Fact("Runtimes", ", ".join(runtimes) or "none ran"),
    )


def _counts(records: Sequence[RunRecord]) -> Iterable[Count]:
    found = Counter(status_of(one) for one in records)
    tones = {"ok": "ok", "suspect": "warned", "invalid": "invalid"}
    for mark in ENDINGS:
        if found[mark]:
            yield Count(mark, tones.get(mark.word, "absent"), found[mark])


def _machine(target: str, records: Sequence[RunRecord]) -> Machine:
    own = [one for one in records if one.target == target]
    told = [one for one in own if isinstance(one.environment.get("board"), Mapping)]
    board = max(told, key=lambda one: one.begun_at).environment["board"] if told else {}
    facts = []
    for label, key in _BOARD:
        value = dict(flat(key, board.get(key)))
        if value.get(key, "none") != "none":
            facts.append(Fact(label, value[key]))
    place = board.get("virtual_machine")
    if place:
        facts.insert(0, Fact("Runs in", f"{place}: neighbours, clocks and power are mostly out of sight"))
    governors = sorted({value for one in own for name, value in flat("", one.environment.get("before")) if name.startswith("governors")})
    if governors:
        facts.append(Fact("Governor", ", ".join(governors)))
    modules = list(dict.fromkeys(one.module for one in own))
    return Machine(", ".join(modules), target, tuple(facts))


# ---------------------------------------------------------------------------------------------------- how to make it again


def _commands(records: Sequence[RunRecord]) -> tuple[str, ...]:
    return (*(f"nox -s bench-{target}" for target in dict.fromkeys(one.target for one in records)), "nox -s report")


def _asked(records: Sequence[RunRecord]) -> tuple[SettingView, ...]:
    """The settings that someone made, with all the values they had."""
    values: dict[tuple[str, str], set[str]] = {}
    for record in records:
        for name, one in record.settings.items():
            if one.source != "default":
                values.setdefault((name, one.source), set()).add(str(one.value))
    return tuple(SettingView(name, ", ".join(sorted(found)), source) for (name, source), found in sorted(values.items()))
