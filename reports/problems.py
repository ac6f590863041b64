"""Every way in which the runs are unsound, by kind; what did not run; what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.record import Problem, RunRecord
from reports.detail import spoils_of
from reports.figures import Figures, slug, unique
from reports.shapes import Absence, Finding, Link, ProblemView
from reports.tables import Labels
from reports.words import SEVERITIES, STATUSES, WORST


def problems(records: Sequence[RunRecord], figures: Mapping[int, Figures], labels: Labels) -> tuple[ProblemView, ...]:
    """The problems of all records by code, the worst first; `figures` is keyed by id(record)."""
    by_code: dict[str, list[tuple[RunRecord, Problem]]] = {}
    for record in records:
        for problem in record.problems:
            by_code.setdefault(problem.code, []).append((record, problem))
    taken: set[str] = set()
    found = []
    for code, pairs in by_code.items():
        severity = min((one.severity for _, one in pairs), key=WORST.index)
        why, fix = (Counter(said).most_common(1)[0][0] for said in ([one.why for _, one in pairs], [one.fix for _, one in pairs]))
        spoils = spoils_of(dict.fromkeys(metric for _, one in pairs for metric in one.spoils))
        grouped: dict[tuple[str, str, str, str], list[RunRecord]] = {}
        for record, one in pairs:
            grouped.setdefault((one.severity, one.what, one.why if one.why != why else "", one.fix if one.fix != fix else ""), []).append(record)
        findings = tuple(
            Finding(SEVERITIES[how], how, what, _links(some, figures, labels), own_why, own_fix)
            for (how, what, own_why, own_fix), some in sorted(grouped.items(), key=lambda item: WORST.index(item[0][0]))
        )
        found.append(
            ProblemView(unique(f"problem-{slug(code)}", taken), code, SEVERITIES[severity], severity, why, fix, spoils, len(pairs), findings)
        )
    return tuple(sorted(found, key=lambda one: (WORST.index(one.tone), -one.runs, one.code)))


def _links(records: Sequence[RunRecord], figures: Mapping[int, Figures], labels: Labels) -> tuple[Link, ...]:
    return tuple(Link(figures[id(one)].anchor, labels.whole(one)) for one in records)


def unmeasured(records: Sequence[RunRecord], figures: Mapping[int, Figures], labels: Labels) -> tuple[ProblemView, ...]:
    """The sessions that gave no figure, by how they ended, each with its reason and fix."""
    found = []
    for status in ("failed", "unsupported", "skipped"):
        grouped: dict[tuple[str, str], list[RunRecord]] = {}
        for one in records:
            if one.status == status:
                grouped.setdefault((one.reason or "no reason was recorded", one.fix), []).append(one)
        if grouped:
            mark = STATUSES[status]
            findings = tuple(Finding(mark, "absent", what, _links(some, figures, labels), "", fix) for (what, fix), some in grouped.items())
            found.append(ProblemView(f"sessions-{status}", "", mark, "absent", mark.meaning, "", "", sum(map(len, grouped.values())), findings))
    return tuple(found)


def absences(records: Sequence[RunRecord]) -> tuple[Absence, ...]:
    """The sensors that runs looked for in vain, each with how to get it."""
    found = Counter(
        (one.kind, one.site, one.reason, one.fix) for record in records for telemetry in record.telemetry for one in dict.fromkeys(telemetry.absent)
    )
    return tuple(Absence(*key, runs) for key, runs in found.items())
