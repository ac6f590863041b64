"""Everything together: the evidence of all folders and records, and the decision of a scenario over the SoCs that may play its role."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from harness.decide import figures as published
from harness.decide import measured, workloads
from harness.decide.catalogue import Catalogue, Fact, Soc
from harness.decide.decision import DRAWS, SEED, Row, decide
from harness.decide.decision.draws import Streams
from harness.decide.estimate import Estimates
from harness.decide.evidence import Evidence
from harness.decide.scenario.sheet import did_you_mean
from harness.decide.shown import cell_text
from harness.decide.terms import METRICS, Cell, Decision, Note, Role, Source
from harness.errors import UsageError
from harness.quantity import Evidence as Origin
from harness.quantity import Kind
from harness.spec import home

if TYPE_CHECKING:
    from harness.decide.demand import Bound, Goal
    from harness.decide.scenario import Scenario
    from harness.record import RunRecord

_PLACE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?: (?P<path>[^@]+?))?(?: \(.*\))?@(?P<commit>[0-9a-f]{40})")
_ADDRESS = re.compile(r"https?://[^\s()<>\"]+")


def folders(more: Iterable[Path] = ()) -> list[Path]:
    """The shipped evidence and the folders a user adds. Raises UsageError for one that is no folder."""
    found = [home() / "results" / "evidence", *more]
    for one in found:
        if not one.is_dir():
            raise UsageError(f"{one}: no such folder", "name a folder that holds published.csv, facts.csv or socs.csv with --evidence")
    return found


def weighable(cell: Cell) -> Cell:
    """`cell` as a criterion weighs it: one of which only the flattering side is known says nothing.

    Rails that take 5 W say that the board takes at least that; a programme of 15 years says that at most these are left. A bound on the other
    side (a price of at most 130 USD) is weighed as if it were the value, which can only be unfair to the SoC.
    """
    lower = METRICS[cell.metric].better == "lower"
    flatters = math.isinf(cell.ceil) if lower else cell.floor <= 0 < cell.ceil
    if not cell.known or not flatters:
        return cell
    reason = Note("only-a-bound", {"known": cell_text(cell)})
    return Cell(
        cell.soc, cell.metric, cell.workload, None, cell.unit, Origin(Kind.MISSING),
        variable=f"{cell.variable}/worth", figures=cell.figures, lost=cell.lost, reason=reason, notes=cell.notes,
    )  # fmt: skip


def _meets(cell: Cell, bound: Bound) -> float:
    """1 where the value of a cell meets a bound, 0 where it does not, a half where what is known leaves it open."""
    if not cell.known:
        return 0.0
    met, failed = (cell.ceil <= bound.bound, cell.floor > bound.bound) if bound.at_most else (cell.floor >= bound.bound, cell.ceil < bound.bound)
    return 1.0 if met else 0.0 if failed else 0.5


def fact_source(fact: Fact) -> Source:
    """The source of a fact, with an address where it names a page or a file of a repository."""
    address = _ADDRESS.search(fact.source)
    place = _PLACE.search(fact.source)
    if place:
        path = (place["path"] or "").strip()
        tail = f"tree/{place['commit']}" if not path or path.startswith("(") else f"blob/{place['commit']}/{quote(path)}"
        where = f"{place['repo']} {path}".strip()
        return Source(fact.source_kind, where, f"https://github.com/{place['repo']}/{tail}", place["commit"], fact.source_date)
    return Source(fact.source_kind, fact.source, address.group() if address else "", date=fact.source_date)


class Market:
    """The SoCs there are, what is known of them, and how to decide between them."""

    def __init__(self, evidence: Evidence, works: Mapping[str, workloads.Work], hosts: Iterable[Soc] = ()) -> None:
        self.evidence = evidence
        self.hosts = tuple(hosts)
        """machines that were measured and are no entry of the catalogue"""
        self.works = works
        self.streams = Streams(DRAWS, SEED)
        self._chances: dict[tuple[object, ...], float] = {}

    @classmethod
    def load(
        cls,
        more: Sequence[Path] = (),
        records: Iterable[RunRecord] = (),
        links: Mapping[str, str] | None = None,
        today: dt.date | None = None,
    ) -> Market:
        """Read everything. `records` are measured here; `today` is what "ten years of supply" counts from (default: the day it is)."""
        places = folders(more)
        works = workloads.read(places)
        catalogue = Catalogue.read(places)
        stated = published.read(places)
        records = list(records)
        own = measured.figures(records, catalogue, links)
        hosts = {one.id: one for one in (measured.soc_of(record, catalogue) for record in records) if one.role is Role.HOST}
        estimates = Estimates.fit((*stated, *own), catalogue, works)
        return cls(Evidence(catalogue, (*stated, *own), estimates, today=today or dt.datetime.now(dt.UTC).date()), works, hosts.values())

    @property
    def catalogue(self) -> Catalogue:
        """The entries that can be chosen."""
        return self.evidence.catalogue

    def source(self, identity: str) -> Source:
        """Where the figure or fact `identity` was read. Raises KeyError where there is none of that id."""
        if identity in self.evidence.figures:
            return self.evidence.figures[identity].source
        return fact_source(self.facts[identity])

    @cached_property
    def facts(self) -> dict[str, Fact]:
        """Every fact by id, also those that fill no cell."""
        socs = self.catalogue.socs.values()
        return {fact.id: fact for soc in socs for fact in (*soc.facts.values(), *(one for more in soc.others.values() for one in more))}

    def alternatives(self, scenario: Scenario, named: Sequence[str] = ()) -> list[Soc]:
        """The SoCs of a scenario: those `named`, or all that can play one of its roles."""
        if named:
            return list({one.id: one for one in map(self.catalogue.find, named)}.values())
        return [one for one in self.catalogue.socs.values() if one.role in scenario.roles]

    def row(self, scenario: Scenario, soc: Soc) -> Row:
        """What is known of `soc` for each criterion and limit of the scenario, and how each workload is run."""
        demand = scenario.demand()
        asked: list[Goal | Bound] = [*demand.criteria, *demand.limits]
        precisions = scenario.precisions or None
        options = {}
        for workload in dict.fromkeys(one.workload for one in asked if one.workload):
            option = self.evidence.option(soc, workload, (one.metric for one in asked if one.workload == workload), precisions)
            if option:
                options[workload] = option
        criteria = tuple(weighable(self.evidence.cell(soc, one.metric, one.workload, precisions)) for one in demand.criteria)
        return Row(criteria, tuple(self._judged(scenario, soc, one, precisions) for one in demand.limits), options)

    def _judged(self, scenario: Scenario, soc: Soc, bound: Bound, precisions: Collection[str] | None) -> Cell:
        """The cell of a limit; where nothing is known, with the chance that it is met all the same."""
        cell = self._limit_cell(soc, bound, precisions)
        return cell if cell.known else msgspec.structs.replace(cell, chance=self._chance(scenario, bound, precisions))

    def _chance(self, scenario: Scenario, bound: Bound, precisions: Collection[str] | None) -> float:
        """How likely a part of which nothing is known meets `bound`: as often as the other parts of these roles do, by Laplace's rule.

        A bound within what is known of a part counts half. Of functional safety, silence counts as none: who has a certificate says so.
        """
        key = (tuple(scenario.roles), bound, frozenset(precisions or ()))
        if key not in self._chances:
            cells = [self._limit_cell(one, bound, precisions) for one in self.catalogue.socs.values() if one.role in scenario.roles]
            cells = [one for one in cells if one.known or bound.metric == "safety"]
            self._chances[key] = (sum(_meets(one, bound) for one in cells) + 1) / (len(cells) + 2)
        return self._chances[key]

    def _limit_cell(self, soc: Soc, bound: Bound, precisions: Collection[str] | None) -> Cell:
        """What a limit is judged by: a stated figure where that meets it already, since an estimate never counts as a pass."""
        cell = self.evidence.cell(soc, bound.metric, bound.workload, precisions)
        if cell.evidence.kind is Kind.ESTIMATED:
            stated = self.evidence.cell(soc, bound.metric, bound.workload, precisions, estimates=False)
            end = stated.high if bound.at_most else stated.low
            if stated.known and end is not None and (end <= bound.bound if bound.at_most else end >= bound.bound):
                return msgspec.structs.replace(stated, notes=(*stated.notes, Note("stated-for-limit")))
        return cell

    def _known(self, scenario: Scenario) -> None:
        """Raise UsageError for a workload that no figure and no row of workloads.csv is of: it is more likely misspelt than new."""
        names = {*self.works, *(one.workload for one in self.evidence.figures.values())}
        for key, asked in (("limits", scenario.limits), ("criteria", scenario.criteria)):
            for one in asked:
                if one.workload and one.workload not in names:
                    own = workloads.canonical(one.workload, self.works)
                    fix = (
                        f"write {own!r}" if own in names else f"{did_you_mean(one.workload, sorted(names))}a figure in a published.csv makes it known"
                    )
                    raise UsageError(f"scenario {scenario.id}: {key}: {one.id}: nothing is known of a workload {one.workload!r}", fix)

    def decide(self, scenario: Scenario, named: Sequence[str] = ()) -> Decision:
        """The ranking of the scenario. Raises UsageError for a SoC or a workload that nothing is known of."""
        self._known(scenario)
        rows = {soc.id: self.row(scenario, soc) for soc in self.alternatives(scenario, named)}
        return decide(
            scenario.id, scenario.demand(), rows, concentration=scenario.concentration, as_of=self.evidence.today.isoformat(), streams=self.streams
        )
