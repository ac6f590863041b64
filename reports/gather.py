"""The evidence and every decision on it -> the plain data of the pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.decide.claims import ledger
from harness.decide.learn import Learn
from harness.decide.market import folders as shipped
from harness.decide.scenario import get, known
from harness.decide.sources import licence, read
from harness.decide.terms import METRICS, Cell, Decision
from reports.market import EvidenceCount, Market
from reports.socs import COLUMNS

if TYPE_CHECKING:
    from harness.decide.market import Market as Evidence
    from harness.decide.scenario import Scenario
    from harness.record import RunRecord

ALWAYS = ("resnet50", "yolov8n", "yolox-s", "whisper-tiny", "llama-3.2-1b")
"""Workloads whose cells are shown of every SoC, whether a scenario asks of them or not."""
_FIRST = {"whisper-tiny": ("realtime_factor", "energy"), "llama-3.2-1b": ("decode", "prefill", "ttft", "peak_memory")}
_USUAL = ("latency", "rate", "energy", "peak_memory")


def gather(evidence: Evidence, records: Sequence[RunRecord] = (), folders: Sequence[Path] = (), own: Sequence[Scenario] = ()) -> Market:
    """Decide every shipped scenario and those of the user (`own`), and collect what the pages show."""
    from harness.table import frame

    scenarios = {name: get(name) for name in known()} | {one.id: one for one in own}
    decisions = tuple(evidence.decide(one) for one in scenarios.values())
    return Market(
        decisions=decisions,
        scenarios=scenarios,
        socs=evidence.catalogue.socs | {soc.id: soc for soc in evidence.hosts},
        cells=_cells(evidence, decisions),
        figures=evidence.evidence.figures,
        claims=ledger(evidence.evidence.figures.values(), evidence.catalogue, frame(records) if records else None, folders=tuple(folders)),
        quality=evidence.evidence.estimates.quality if evidence.evidence.estimates else {},
        counts=_counts(evidence, read(shipped(folders))),
        kinds=Counter(cell.evidence.kind.value for one in decisions for cell in _asked(one)),
        how=Learn(evidence.catalogue, evidence.hosts).how,
        sources={},
        folders=tuple(str(one) for one in folders),
        version=__version__,
    )


def _asked(decision: Decision) -> Iterable[Cell]:
    for entry in decision.entries:
        yield from (one.cell for one in entry.parts)
        yield from (one.cell for one in entry.findings)


def _cells(evidence: Evidence, decisions: Iterable[Decision]) -> dict[tuple[str, str, str], Cell]:
    """Every cell of the scenarios and of the catalogue; where anything is known, also the other questions about a part and the zoo's workloads."""
    found = {(cell.soc, cell.metric, cell.workload): cell for one in decisions for cell in _asked(one)}
    for soc in (*evidence.catalogue.socs.values(), *evidence.hosts):
        for metric in METRICS.values():
            if metric.of == "part" and soc.facts:
                cell = evidence.evidence.cell(soc, metric.id)
                if cell.known or metric.id in COLUMNS:
                    found.setdefault((soc.id, metric.id, ""), cell)
        for workload in ALWAYS:
            for name in _FIRST.get(workload, _USUAL):
                cell = evidence.evidence.cell(soc, name, workload)
                if cell.known:
                    found.setdefault((soc.id, name, workload), cell)
    return found


def _counts(evidence: Evidence, licences: dict[str, str]) -> tuple[EvidenceCount, ...]:
    """Figures by the repository or page they come from, facts by the kind of their source, and records."""
    figures = Counter((one.source.where.split(" ")[0], one.source.kind) for one in evidence.evidence.figures.values() if one.source.kind != "record")
    records = sum(one.source.kind == "record" for one in evidence.evidence.figures.values())
    facts = Counter(one.source_kind for one in evidence.facts.values())
    found = [EvidenceCount(where, kind, rows, licence(where, licences), _address(where)) for (where, kind), rows in figures.items()]
    found += [EvidenceCount("facts.csv", kind, rows) for kind, rows in facts.items()]
    return (*found, *([EvidenceCount("results/", "record", records)] if records else []))


def _address(where: str) -> str:
    owner, slash, _ = where.partition("/")
    return where if where.startswith("http") else f"https://github.com/{where}" if slash and "." not in owner else ""
