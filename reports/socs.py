"""The catalogue: one line a SoC, and for each a section with its facts, figures, and how it fares in every scenario."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from harness.decide.catalogue import Fact, Soc
from harness.decide.terms import METRICS, Cell, Decision, Entry, Text, key_of
from reports.decide_shapes import Citation, FactRow, FigureRow, Heading, Reason, Result, SocRow, Socs, SocSection
from reports.evidence_words import (
    NOT_PLACED,
    OPEN,
    ROLES,
    RULED_OUT,
    WORDS,
    attribute_title,
    decide_link,
    fact_mark,
    key_title,
    limit_key,
    metric_title,
    probability,
    same,
    short_title,
    shown,
    value_text,
)
from reports.figures import slug, to_csv, unique
from reports.market import Market, url_in
from reports.matrix import name_of, role_of, shortlisted, unknown, wins

COLUMNS = ("power", "price", "memory", "bandwidth", "tops", "safety", "longevity", "temperature_min", "temperature_max")
FIRST = ("npu_gpu_name", "cpu", "vendor_runtime", "max_memory_gb", "memory_type", "tdp_min_w", "tdp_max_w", "price")
"""Attributes a reader looks for first; the others follow by name."""
_NAMED = {"vendor", "family"}


def anchors(market: Market) -> dict[str, str]:
    """Soc id -> id of its section, each once."""
    taken: set[str] = set()
    return {one: unique(f"soc-{slug(one)}", taken) for one in market.socs}


def socs(market: Market, ids: Mapping[str, str]) -> Socs:
    """The page. `ids`: soc id -> id of its section."""
    ordered = sorted(market.socs.values(), key=lambda one: (-shortlisted(market, one.id), one.vendor, one.name))
    cells: dict[str, list[Cell]] = {}
    for (soc, _, _), cell in market.cells.items():
        cells.setdefault(soc, []).append(cell)
    rows = tuple(_row(market, one, ids[one.id]) for one in ordered)
    return Socs(
        heads=tuple(Heading(one, metric_title(one)) for one in COLUMNS),
        rows=rows,
        sections=tuple(_section(market, one, ids[one.id], cells.get(one.id, [])) for one in ordered),
        vendors=tuple(sorted({one.vendor for one in ordered})),
        roles=tuple(one for one in ROLES if any(row.role == one for row in rows)),
        csv=_csv(market, ordered),
    )


def _row(market: Market, soc: Soc, anchor: str) -> SocRow:
    found = [market.cells.get((soc.id, metric, "")) for metric in COLUMNS]
    safety = market.cells.get((soc.id, "safety", ""))
    return SocRow(
        soc.id,
        anchor,
        soc.name,
        soc.vendor,
        soc.family,
        role_of(soc),
        shortlisted(market, soc.id),
        tuple(shown(one) if one else None for one in found),
        round(safety.value) if safety and safety.value is not None else -1,
    )


def _section(market: Market, soc: Soc, anchor: str, cells: Iterable[Cell]) -> SocSection:
    own = list(cells)
    citations: list[Citation] = []
    facts = tuple(_facts(market, soc, citations))
    figures = tuple(_figures(own))
    return SocSection(
        anchor=anchor,
        id=soc.id,
        name=soc.name,
        vendor=soc.vendor,
        family=soc.family,
        role=role_of(soc),
        facts=facts,
        figures=figures,
        absent=sum(not one.known for one in own),
        results=tuple(_results(market, soc.id)),
        citations=tuple(citations),
    )


def _facts(market: Market, soc: Soc, citations: list[Citation]) -> Iterator[FactRow]:
    """What is known of the part: first the questions a decision asks, each with its cell, then the other facts of the catalogue."""
    told: set[str] = set()
    for metric in (one.id for one in METRICS.values() if one.of == "part"):
        cell = market.cells.get((soc.id, metric, ""))
        if cell is None or not cell.known:
            continue
        said_of = shown(cell)
        value = {language: _with_interval(one, said_of.interval) for language, one in said_of.text.items()}
        source = (
            _citation(market, cell.figures[0]) if cell.figures else Citation(cell.evidence.source, url_in(cell.evidence.source), cell.evidence.date)
        )
        told.update(cell.figures)
        yield FactRow(key_of(metric, ""), metric_title(metric), value, said_of.mark, said_of.key, cite(source, citations))
    rest = sorted((one for one in soc.facts if one not in _NAMED), key=lambda one: (FIRST.index(one) if one in FIRST else len(FIRST), one))
    for attribute in rest:
        if soc.facts[attribute].id not in told:
            yield _fact(market, attribute, soc.facts[attribute], citations)


def _with_interval(value: str, interval: str) -> str:
    """A value and its bounds; one bound that is the value itself stands alone: "≥ 80 °C"."""
    if interval[:1] in ("≤", "≥") and interval[2:] == value:
        return interval
    return f"{value} ({interval})" if interval else value


def _citation(market: Market, identity: str) -> Citation:
    """The source of a figure or fact."""
    try:
        source = market.source_of(identity)
    except KeyError:
        return Citation(identity)
    commit = f" @ {source.commit[:10]}" if source.commit else ""
    return Citation(source.where + commit, url_in(source.url), source.date)


def _fact(market: Market, attribute: str, fact: Fact, citations: list[Citation]) -> FactRow:
    stated = f"{fact.value} {fact.unit}".strip()
    note = "; ".join(one for one in (fact.condition, fact.note) if one)
    source = _citation(market, fact.id)
    return FactRow(
        f"fact {attribute}", attribute_title(attribute), same(stated), fact_mark(attribute, fact.source_kind), "", cite(source, citations), note
    )


def cite(source: Citation, citations: list[Citation]) -> int:
    """The number of a source in `citations`, from 1; 0 where there is none. A new one is added."""
    if not source.text:
        return 0
    if source not in citations:
        citations.append(source)
    return citations.index(source) + 1


def _figures(cells: Iterable[Cell]) -> Iterator[FigureRow]:
    order = list(METRICS)
    found = [one for one in cells if one.workload and one.known]
    for one in sorted(found, key=lambda one: (one.workload, order.index(one.metric) if one.metric in order else len(order), one.metric)):
        option = " · ".join(filter(None, (one.option.runtime, one.option.precision, one.option.compute_unit))) if one.option else ""
        yield FigureRow(key_of(one.metric, one.workload), one.workload, metric_title(one.metric), shown(one), option)


# ---------------------------------------------------------------------------------------------------- where it leads, why it loses


def _results(market: Market, soc: str) -> Iterator[Result]:
    for decision in market.decisions:
        place, entry = next(((number, one) for number, one in enumerate(decision.entries, 1) if one.soc == soc), (0, None))
        if entry is None:
            continue
        word = (
            WORDS[decision.word]
            if wins(decision, soc)
            else RULED_OUT
            if entry.ruled_out
            else WORDS["shortlist"]
            if soc in decision.shortlist
            else OPEN
            if entry.placed
            else NOT_PLACED
        )
        yield Result(
            href=decide_link(decision.scenario, soc),
            title=market.scenarios[decision.scenario].title,
            place=place,
            of=len(decision.entries),
            word=word,
            best=probability(entry.best),
            feasible=probability(entry.feasible),
            failed=tuple(_failed(one.cell) for one in entry.findings if one.state == "not met" and entry.ruled_out),
            why=() if entry.ruled_out else tuple(_why(market, decision, entry)),
            ruled_out=entry.ruled_out,
        )


def _why(market: Market, decision: Decision, entry: Entry) -> Iterator[Reason]:
    """Why it stands where it stands: what it leads by, or loses by; and what is not known."""
    others = [one for one in decision.entries if one.soc != entry.soc and not one.ruled_out]
    leader = next((one for one in decision.entries if one.soc == decision.leader), None)
    if entry is leader:
        if others:
            yield _reason("r-why-first", other=name_of(market, others[0].soc), best=probability(others[0].best))
        else:
            yield Reason("r-why-only")
    elif leader:
        yield from _behind(market, leader, entry)
    unsure = unknown(entry)
    if unsure:
        yield _reason("r-why-unknown", what=[key_title(limit_key(one)) for one in unsure])


def _reason(key: str, **values: str | Text | list[Text]) -> Reason:
    """A sentence of the catalogue with `values` in it."""
    found = {name: tuple(one) if isinstance(one, list) else (same(one) if isinstance(one, str) else one,) for name, one in values.items()}
    return Reason(key, tuple(found.items()))


def _failed(cell: Cell) -> Text:
    """A limit that is not met, and what the SoC has of it: "memory 4.00 GiB"."""
    title = short_title(cell)
    value = value_text(cell.metric, cell.value, cell.unit) if cell.value is not None else same("")
    return {language: f"{title[language]} {value[language]}".strip() for language in title}


def _behind(market: Market, leader: Entry, entry: Entry) -> Iterator[Reason]:
    """The criterion that costs most against the leader, or that it is less likely to meet the limits."""
    theirs = {one.criterion: one for one in leader.parts}
    gaps = [(theirs[one.criterion].contribution - one.contribution, one) for one in entry.parts if one.criterion in theirs]
    worst = max(gaps, key=lambda one: one[0], default=None)
    if worst and worst[0] > 0.005:
        gap, part = worst
        yield _reason(
            "r-why-behind",
            leader=name_of(market, leader.soc),
            criterion=key_title(limit_key(part.cell)),
            own=probability(part.contribution),
            theirs=probability(part.contribution + gap),
        )
    limiting = next((one.cell for one in entry.findings if one.limit == entry.limiting and one.state == "met"), None)
    if leader.feasible - entry.feasible > 0.05 and limiting:
        yield _reason("r-why-limit", limit=key_title(limit_key(limiting)), own=probability(entry.feasible), theirs=probability(leader.feasible))


def _csv(market: Market, ordered: Iterable[Soc]) -> str:
    head = ["soc", "vendor", "family", "role", *(f"{one} [{METRICS[one].unit.value}]" for one in COLUMNS)]
    rows = []
    for soc in ordered:
        cells = [market.cells.get((soc.id, metric, "")) for metric in COLUMNS]
        rows.append([soc.name, soc.vendor, soc.family, role_of(soc), *(one.value if one else None for one in cells)])
    return to_csv(head, rows)
