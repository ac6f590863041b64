"""Records -> Report: what is shown and in which words. Pure; no HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from harness.decide.terms import Note, Text
from harness.metrics import metrics
from harness.record import RunRecord
from harness.words import LANGUAGES, say
from reports.bars import comparisons
from reports.detail import flat, minute, run_view, status_of, warnings_of, weights_kind
from reports.figures import Figures, slug, unique
from reports.problems import absences, problems, unmeasured
from reports.shapes import Count, Fact, Machine, MetricWords, ProblemView, Report, RunView, SettingView
from reports.tables import Labels, newest_of, tables
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
    newest = newest_of(ordered)
    labels = Labels(ordered)
    found = problems(ordered, figures, labels)
    without = unmeasured(ordered, figures, labels)
    leads, weights = _leads(ordered, found), _weights(ordered)
    return Report(
        title=_titles(ordered)["en"],
        titles=_titles(ordered),
        lead=" ".join(say(one.key, "en", **one.values) for one in leads),
        leads=leads,
        weights=say(weights.key, "en", **weights.values),
        weights_said=weights,
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
        runs=tuple(_runs(ordered, figures, links, {one.code: one.id for one in found}, labels)),
        metrics=tuple(
            MetricWords(one.id, one.title, one.unit.value, one.better, one.formula) for one in sorted(metrics(), key=lambda one: place_of(one.id))
        ),
        marks=tuple(MARKS.values()),
        words=(*ENDINGS, SUSPECT_FIGURE, INVALID_FIGURE),
        commands=_commands(ordered),
        asked=_asked(ordered),
    )


def _runs(
    ordered: Iterable[RunRecord], figures: Mapping[int, Figures], links: Mapping[str, str], problem_ids: Mapping[str, str], labels: Labels
) -> Iterator[RunView]:
    """The drawers; on each machine the first ones tell their environment for the others."""
    told: dict[tuple[str, str], list[RunView]] = {}
    for one in ordered:
        whole = told.setdefault((one.target, one.module), [])
        made = replace(run_view(one, figures[id(one)], links, problem_ids, whole), label=labels.short(one))
        if made.environment and not made.like:
            whole.append(made)
        yield made


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


# ---------------------------------------------------------------------------------------------------- the head


def _titles(records: Sequence[RunRecord]) -> Text:
    modules = list(dict.fromkeys(one.module for one in records))
    return {language: modules[0] if len(modules) == 1 else say("r-machines", language, number=len(modules)) for language in LANGUAGES}


def _number(key: str, count: int, **values: str) -> Note:
    """The sentence `key` for one or for many."""
    return Note(f"{key}-{'one' if count == 1 else 'many'}", values)


def _leads(records: Sequence[RunRecord], problems: Sequence[ProblemView]) -> tuple[Note, ...]:
    sound = sum(status_of(one).word == "ok" for one in records)
    touched = sum(warnings_of(one) > 0 for one in records)
    codes = [one.code for one in problems if one.tone != "note"]
    said = _number("r-sound" if sound else "r-sound-none", len(records), sound=str(sound), total=str(len(records)))
    if not codes:
        return (said,)
    more = len(codes) - _NAMED
    named = ", ".join(codes[:_NAMED])
    return said, _number("r-touched-more" if more > 0 else "r-touched", touched, number=str(touched), codes=named, more=str(more))


def _weights(records: Sequence[RunRecord]) -> Note:
    kinds = Counter(weights_kind(one) for one in records)
    synthetic, total = kinds["synthetic"], len(records)
    if synthetic == total:
        return Note("r-all-synthetic")
    if synthetic:
        return Note("r-some-synthetic", {"number": str(synthetic), "total": str(total)})
    return Note("r-all-pretrained" if kinds["pretrained"] == total else "r-no-synthetic")


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
    """Of what was measured on a board with a name: with the place for where it is."""
    boards = {one.target for one in records if one.board}
    targets = dict.fromkeys(one.target for one in records)
    return (*(f"nox -s bench-{one}{' -- --host user@board' if one in boards else ''}" for one in targets), "nox -s report")


def _asked(records: Sequence[RunRecord]) -> tuple[SettingView, ...]:
    """The settings that someone made, with all the values they had."""
    values: dict[tuple[str, str], set[str]] = {}
    for record in records:
        for name, one in record.settings.items():
            if one.source != "default":
                values.setdefault((name, one.source), set()).add(str(one.value))
    return tuple(SettingView(name, ", ".join(sorted(found)), source) for (name, source), found in sorted(values.items()))
