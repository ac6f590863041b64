"""Made-up facts and SoCs, the shipped catalogue, and what every cell of a part keeps."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

from harness.decide.catalogue import Catalogue, Fact, Soc, with_facts
from harness.decide.parts import part_cell
from harness.decide.terms import METRICS, Cell, Role
from harness.quantity import Kind
from harness.words import LANGUAGES, say
from tests.lab import ROOT

TODAY = dt.date(2026, 11, 22)
SHIPPED = Catalogue.read([ROOT / "results" / "evidence"])
PART_METRICS = [one.id for one in METRICS.values() if one.of == "part"]
INF = math.inf


def shipped(name: str, metric: str) -> Cell:
    return part_cell(SHIPPED.find(name), metric, TODAY)


def stated(attribute: str, value: str, condition: str = "", **changes: Any) -> Fact:
    start = {"id": attribute, "soc": "Made up", "unit": "USD" if attribute == "price" else "", "source": "a page", "source_kind": "datasheet"}
    return Fact(
        **{**start, "source_date": "2026", "note": "", "use": "main", "attribute": attribute, "value": value, "condition": condition, **changes}
    )


def soc(*facts: Fact, role: Role = Role.SOC, form: str = "chip") -> Soc:
    bare = Soc(id="made-up", name="Made up", vendor="V", family="F", published_as="", variant="", role=role, form=form)
    by: dict[str, list[Fact]] = {}
    for one in facts:
        by.setdefault(one.attribute, []).append(one)
    return with_facts(bare, by)


def made(metric: str, *facts: Fact, **changes: Any) -> Cell:
    return part_cell(soc(*facts, **changes), metric, TODAY)


def keys(cell: Cell) -> set[str]:
    return {one.key for one in cell.notes}


def interval(cell: Cell) -> tuple[float, float | None, float]:
    return cell.floor, cell.value, cell.ceil


def sound(cell: Cell) -> None:
    """What every cell keeps, whatever the facts say."""
    assert not math.isnan(cell.floor)
    assert not math.isnan(cell.ceil)
    if cell.value is None:
        assert (cell.floor, cell.ceil, cell.sigma, cell.figures) == (-INF, INF, 0.0, ())
        assert cell.evidence.kind is Kind.MISSING
        assert cell.reason is not None
    else:
        assert math.isfinite(cell.value)
        assert cell.floor <= cell.value <= cell.ceil
        assert cell.figures
        assert cell.reason is None
        assert cell.evidence.kind in (Kind.PUBLISHED, Kind.DATASHEET, Kind.CLAIMED)
        assert cell.evidence.source
    assert not set(cell.figures) & {one for one, _ in cell.lost}
    for note in (*cell.notes, *((cell.reason,) if cell.reason else ())):
        for language in LANGUAGES:
            assert say(note.key, language, **note.values)
