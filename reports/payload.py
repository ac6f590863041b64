"""What the Decide page works on, as one JSON document: every scenario with its decision, and the evidence behind each number.

Cells, sources, figures, notes and options are kept once, in tables, and are pointed to by their place there; numbers have five significant
digits, and what is absent or usual is left out. The page reads the same document that the template renders for readers without a script.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from harness.decide.answer import answer
from harness.decide.catalogue import Fact
from harness.decide.decision.weigh import variable_of
from harness.decide.learn import How
from harness.decide.scenario import Scenario
from harness.decide.scenario.sheet import Criterion, Limit
from harness.decide.shown import value_text
from harness.decide.terms import METRICS, PLACED, SAFETY, Advice, Cell, Decision, Entry, Figure, Finding, Note, Option, Source, key_of
from harness.quantity import SIGNS, Unit, text
from harness.words import LANGUAGES, catalogue, say

SCRIPTS = (
    "random.js", "engine.js", "decide_text.js", "decide_state.js", "decide_view.js", "decide_plot.js", "decide_panel.js", "decide_drawer.js",
    "decide_tables.js", "decide.js",
)  # fmt: skip
"""The scripts of the page, in the order in which they must stand after report.js."""
STYLES = ("decide.css",)
OURS = "page-"
"""Sentences of the page begin with this in the message catalogue; the page knows them without it."""
_DIGITS = 5
_DONE_WITH = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Part(Protocol):
    """What the page shows of a SoC; `harness.decide.catalogue.Soc` is one."""

    @property
    def id(self) -> str:
        """Slug of the name."""

    @property
    def name(self) -> str:
        """As the maker writes it."""

    @property
    def vendor(self) -> str:
        """Maker."""


def payload(  # noqa: PLR0913, PLR0917 - one argument a table
    answers: Sequence[tuple[Scenario, Decision]],
    socs: Iterable[Part],
    figures: Mapping[str, Figure],
    facts: Mapping[str, Fact],
    source_of: Callable[[str], Source],
    cells: Iterable[Cell] = (),
    how: Callable[[Cell], How] | None = None,
) -> dict[str, Any]:
    """The document of the page.

    `answers` in the order of display. `source_of` gives the source of a figure or fact by its id. `cells`: further ones, for the drawer of other
    pages and for limits that a reader adds (price, power, ...). `how`: what would answer the question of a cell.
    """
    made = _Payload(list(socs), figures, facts, source_of, how)
    scenarios = [made.scenario(scenario, decision) for scenario, decision in answers]
    for cell in cells:
        made.cell(cell)
    found = {
        "socs": [{"id": one.id, "name": one.name, "vendor": one.vendor} for one in made.socs],
        "metrics": {
            one.id: {"title": one.title, "unit": one.unit.value, "better": one.better, "of": one.of, **({} if one.criterion else {"limit": 1})}
            for one in METRICS.values()
        },
        "placed": PLACED,
        "safety": list(SAFETY),
        "signs": {kind.value: sign for kind, sign in SIGNS.items()},
        "scenarios": scenarios,
        "cells": made.cells.rows,
        "options": made.options.rows,
        "figures": made.figures.rows,
        "sources": made.sources.rows,
        "notes": made.notes.rows,
        "texts": made.texts.rows,
        "hows": made.hows.rows,
        "words": {
            language: {key.removeprefix(OURS): texts[language] for key, texts in catalogue().items() if key.startswith(OURS)}
            for language in LANGUAGES
        },
    }
    names = {one.id: one.name for one in made.socs}
    for told, (scenario, decision) in zip(scenarios, answers, strict=True):
        said = {language: answer(decision, scenario.demand(), names, language) for language in LANGUAGES}
        told["answer"] = {language: {"head": one.head, "lines": [list(line) for line in one.lines]} for language, one in said.items()}
    return found


def embed(document: Mapping[str, Any]) -> str:
    """`document` as JSON that may stand in a script element: nothing in it can end the element or begin a comment."""
    written = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escaped in _DONE_WITH.items():
        written = written.replace(character, escaped)
    return written


def said(note: Note) -> dict[str, str]:
    """A note by language."""
    return {language: say(note.key, language, **note.values) for language in LANGUAGES}


class _Table:
    """Rows that are kept once: `place` of a key, made on its first use."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._places: dict[Any, int] = {}

    def place(self, key: Any, make: Callable[[], Any]) -> int:
        if key not in self._places:
            row = make()
            self._places[key] = len(self.rows)
            self.rows.append(row)
        return self._places[key]


class _Payload:
    """The tables while they are filled."""

    def __init__(
        self,
        socs: list[Part],
        figures: Mapping[str, Figure],
        facts: Mapping[str, Fact],
        source_of: Callable[[str], Source],
        how: Callable[[Cell], How] | None,
    ) -> None:
        self.socs = socs
        self._soc = {one.id: place for place, one in enumerate(socs)}
        self._name = {one.id: one.name for one in socs}
        self._named = {one.name.casefold(): place for place, one in enumerate(socs)} | self._soc
        self._figures, self._facts, self._source_of, self._how = figures, facts, source_of, how
        self.cells, self.options, self.figures, self.sources, self.notes = _Table(), _Table(), _Table(), _Table(), _Table()
        self.texts, self.hows = _Table(), _Table()

    # ------------------------------------------------------------------------------------------------ evidence

    def cell(self, cell: Cell) -> int:
        """Place of `cell`: cells of equal content are one."""
        key = (cell.soc, cell.metric, cell.workload, cell.value, cell.evidence, cell.sigma, cell.floor, cell.ceil, cell.option, cell.figures)
        return self.cells.place(key, lambda: self._cell(cell))

    def _cell(self, cell: Cell) -> dict[str, Any]:
        open_ended = cell.value is None or (cell.floor == cell.value == cell.ceil)
        return _lean(
            s=self._soc[cell.soc],
            m=cell.metric,
            w=cell.workload,
            v=_exactly(cell.value, cell.sigma),
            k=cell.evidence.kind.value,
            x=variable_of(cell),
            sd=_number(cell.sigma) or None,
            sn=-1 if cell.sign < 0 else None,
            f=None if open_ended else _bound(cell.floor, cell.sigma),
            c=None if open_ended else _bound(cell.ceil, cell.sigma),
            lo=_number(cell.low),
            hi=_number(cell.high),
            o=self.option(cell.option) if cell.option else None,
            g=[self.figure(one) for one in cell.figures] or None,
            l=[[self.figure(one), self.text(why)] for one, why in cell.lost] or None,
            r=self.note(cell.reason) if cell.reason else None,
            n=[self.note(one) for one in cell.notes] or None,
            q=_number(cell.ratio),
            e=cell.evidence.source if not cell.figures else None,
            t=self.text(cell.evidence.note),
            h=self.how(cell, self._how(cell)) if self._how else None,
        )

    def how(self, cell: Cell, how: How) -> int:
        """Place of what would answer a question: its command, and the sentences about it. The page puts in the SoC, and the workload last."""
        command, said = how.command.removesuffix(cell.workload), []
        for one in how.said:
            values = {name: value for name, value in one.values.items() if name not in ("soc", "workload")}
            said.append([one.key.removeprefix(OURS), *([values] if values else [])])
        return self.hows.place(json.dumps([command, said]), lambda: _lean(c=command, n=said))

    def option(self, option: Option) -> int:
        """Place of a way of running a workload."""
        return self.options.place(option, lambda: [option.runtime, option.precision, option.compute_unit])

    def text(self, text: str) -> int | None:
        """Place of a text of a source, which many rows share; None for none."""
        return self.texts.place(text, lambda: text) if text else None

    def note(self, note: Note) -> int:
        """Place of a sentence; those that read the same are one."""
        texts = said(note)
        return self.notes.place(tuple(texts.values()), lambda: texts)

    def figure(self, identity: str) -> int:
        """Place of a figure or fact; one that is nowhere described is shown by its id."""
        return self.figures.place(identity, lambda: self._figure(identity))

    def _figure(self, identity: str) -> dict[str, Any]:
        source = self._source(identity)
        if one := self._figures.get(identity):
            return _lean(
                id=one.id,
                k=one.kind.value,
                v=_shown(one.value, one.metric, one.unit.value),
                m=one.metric,
                b=" ".join(filter(None, (one.board, one.variant))) or one.soc,
                o=self.option(Option(one.runtime, one.precision, one.compute_unit)),
                c=self.text(
                    ", ".join(
                        (
                            *([f"batch {one.batch}"] if one.batch else []),
                            *filter(None, [one.shape]),
                            *(f"{key} {value}" for key, value in one.condition.items()),
                        )
                    )
                ),
                n=self.text(one.note),
                z=[self.text(f"{flag.code}: {flag.why}") for flag in one.flags] or None,
                s=source,
            )
        if fact := self._facts.get(identity):
            return _lean(
                id=fact.id, v=f"{fact.value} {fact.unit}".strip(), m=fact.attribute, c=self.text(fact.condition), n=self.text(fact.note), s=source
            )
        return _lean(id=identity, s=source)

    def _source(self, identity: str) -> int | None:
        try:
            one = self._source_of(identity)
        except KeyError:
            return None
        url = one.url if one.url.startswith(("https://", "http://")) else ""
        return self.sources.place(one, lambda: _lean(k=one.kind, w=one.where, u=url, c=one.commit, d=one.date))

    # ------------------------------------------------------------------------------------------------ decisions

    def scenario(self, scenario: Scenario, decision: Decision) -> dict[str, Any]:
        """A scenario as stated, and its decision. Parts and findings are in the order of criteria and limits."""
        demand = scenario.demand()
        limits, criteria = [one.id for one in demand.limits], [one.id for one in demand.criteria]
        return {
            "id": scenario.id,
            "title": scenario.title,
            "product": scenario.product,
            "survey": {
                "socs": [self._named.get(name.casefold(), name) for name in scenario.survey.socs],
                "frameworks": scenario.survey.frameworks,
                "text": scenario.survey.considerations,
            },
            "concentration": _number(scenario.concentration),
            "limits": [
                {"id": bound.id, "metric": bound.metric, "workload": bound.workload, "sense": "most" if bound.at_most else "least",
                 "bound": bound.bound, "accept": bound.accept.value, "reason": limit.reason, "said": _stated(limit)}
                for bound, limit in zip(demand.limits, scenario.limits, strict=True)
            ],
            "criteria": [
                {"id": goal.id, "metric": goal.metric, "workload": goal.workload, "reject": goal.reject, "target": goal.target,
                 "weight": goal.weight, "reason": criterion.reason, "anchors": _anchors(criterion)}
                for goal, criterion in zip(demand.criteria, scenario.criteria, strict=True)
            ],
            "word": decision.word,
            "leader": self._soc.get(decision.leader),
            "shortlist": [self._soc[one] for one in decision.shortlist],
            "none": _share(decision.none_feasible),
            "draws": decision.draws,
            "seed": decision.seed,
            "as_of": decision.as_of,
            "entries": [self._entry(one, criteria, limits) for one in decision.entries],
            "advice": [self._advice(one, decision) for one in decision.advice],
        }  # fmt: skip

    def _entry(self, entry: Entry, criteria: list[str], limits: list[str]) -> dict[str, Any]:
        parts = {one.criterion: one for one in entry.parts}
        findings = {one.limit: one for one in entry.findings}
        return _lean(
            s=self._soc[entry.soc],
            sc=_share(entry.score),
            b=_share(entry.best),
            f=_share(entry.feasible),
            r=[_share(one) for one in entry.ranks],
            u=[_share(parts[one].utility) for one in criteria],
            p=[_share(parts[one].contribution) for one in criteria],
            g=[self.cell(parts[one].cell) for one in criteria],
            n=[self._finding(findings[one]) for one in limits],
            pf=1 if entry.pareto else None,
            nd=_share(entry.nondominated),
            cw=[_share(one) for one in entry.central] or None,
            out=1 if entry.ruled_out else None,
            th=1 if not entry.placed and not entry.ruled_out else None,
            lim=entry.limiting,
            o={workload: self.option(one) for workload, one in entry.options.items()} or None,
        )

    def _finding(self, finding: Finding) -> list[Any]:
        return [finding.state, _share(finding.probability), self.cell(finding.cell), self.note(finding.why)]

    def _advice(self, advice: Advice, decision: Decision) -> dict[str, Any]:
        how = Note(advice.how.key, {**advice.how.values, "soc": self._name[advice.soc]})
        entry = next(one for one in decision.entries if one.soc == advice.soc)
        key = key_of(advice.metric, advice.workload)
        cells = [*(one.cell for one in entry.findings if one.limit == key), *(one.cell for one in entry.parts if one.criterion == key)]
        return _lean(
            s=self._soc[advice.soc], m=advice.metric, w=advice.workload, g=_number(advice.gain), f=_share(advice.flip),
            lim=1 if advice.limit else None, c=self.cell(cells[0]) if cells else None, how=self.note(how),
        )  # fmt: skip


def _lean(**values: Any) -> dict[str, Any]:
    """`values` without those that say nothing."""
    return {key: value for key, value in values.items() if value is not None and value != ""}


def _number(value: float | None) -> float | None:
    """To five significant digits; None where there is none or it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _exactly(value: float | None, sigma: float) -> float | None:
    """A value to five digits if it is uncertain; as it is if it is not: 8 GiB must meet a limit of 8 GiB."""
    if value is None or sigma:
        return _number(value)
    return int(value) if float(value).is_integer() else value


def _bound(value: float, sigma: float) -> float | str | None:
    """A floor or ceil: an infinite one is written as text, which JSON has no number for."""
    return _exactly(value, sigma) if math.isfinite(value) else "inf" if value > 0 else "-inf"


def _share(value: float) -> float | int:
    short = round(value, 4)
    return int(short) if short in (0.0, 1.0) else short


def _shown(value: float, metric: str, unit: str) -> str:
    return value_text(value, metric) if metric in METRICS else text(value, Unit(unit))


def _stated(limit: Limit) -> str:
    return str(limit.stated)


def _anchors(criterion: Criterion) -> list[str]:
    return [str(criterion.reject), str(criterion.target)]
