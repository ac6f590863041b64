"""Made-up figures and SoCs for the evidence of a decision, an estimate that is given, and what every cell keeps."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from harness.decide.catalogue import Catalogue, Soc, with_facts
from harness.decide.estimate import Guess
from harness.decide.evidence import Evidence
from harness.decide.terms import METRICS, Cell, Figure, Flag, Note, Option, Role, Source
from harness.quantity import Kind, Unit
from harness.words import LANGUAGES, say
from tests.facts import stated

TODAY = dt.date(2026, 11, 22)
NPU = Option("rknn", "int8", "npu")
CPU = Option("onnxruntime", "fp32", "cpu")
UNITS = {"latency": Unit.SECOND, "ttft": Unit.SECOND, "energy": Unit.JOULE, "peak_memory": Unit.BYTE, "realtime_factor": Unit.ONE}


def figure(identity: str, value: float, metric: str = "latency", option: Option = NPU, **changes: Any) -> Figure:
    """A published figure of yolov8n on the SoC "chip", in SI units."""
    made = Figure(
        id=identity, soc="chip", variant="", board="Board", workload="yolov8n", metric=metric, value=value, unit=UNITS.get(metric, Unit.PER_SECOND),
        precision=option.precision, runtime=option.runtime, compute_unit=option.compute_unit, batch=1, shape="1x3x640x640", condition={},
        kind=Kind.PUBLISHED, source=Source("vendor", f"maker/zoo {identity}.md", f"https://example.com/{identity}", date="2026-01-02"), sigma=0.1,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def measured(identity: str, value: float, metric: str = "latency", option: Option = NPU, **changes: Any) -> Figure:
    return figure(identity, value, metric, option, **{"kind": Kind.MEASURED, "sigma": 0.02, **changes})


def near(value: float, rel: float | None = None) -> Any:
    """pytest.approx, of a type that may stand in a tuple beside others."""
    return pytest.approx(value, rel=rel)


def barred(why: str) -> tuple[Flag, ...]:
    return (Flag("rule", why, ("rank",)),)


def chip(name: str = "Chip", tops: float | None = None, role: Role = Role.SOC, published_as: str = "", variant: str = "") -> Soc:
    one = Soc(name.lower().replace(" ", "-"), name, "Maker", "Family", published_as, variant, role)
    if tops is None:
        return one
    return with_facts(one, {"peak_tops_int8_dense": [stated("peak_tops_int8_dense", str(tops), unit="TOPS")]})


class Given:
    """An estimate that is given: the same answer to every question, and what was asked."""

    def __init__(self, answer: Guess | Note) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str, frozenset[str] | None]] = []

    def best(self, soc: Soc, metric: str, workload: str, allowed: frozenset[str] | None = None) -> Guess | Note:
        self.asked.append((soc.id, metric, workload, allowed))
        return self.answer


def guess(value: float, low: float, high: float, option: Option = NPU) -> Guess:
    return Guess(option, value, 0.3, low, high, Note("estimate-unseen", {"soc": "Chip", "factor": "1.64"}))


def evidence(*figures: Figure, socs: tuple[Soc, ...] = (chip(),), estimates: Given | None = None) -> Evidence:
    given: Any = estimates
    return Evidence(Catalogue({one.id: one for one in socs}), figures, given, today=TODAY)


def cell(*figures: Figure, metric: str = "latency", precisions: tuple[str, ...] | None = None, estimates: Given | None = None) -> Cell:
    """The cell of yolov8n on the SoC "chip", of which these are all the figures there are."""
    known = evidence(*figures, estimates=estimates)
    return known.cell(known.catalogue.socs["chip"], metric, "yolov8n", precisions)


def keys(one: Cell) -> list[str]:
    return [note.key for note in one.notes]


def sentences(notes: tuple[Note, ...]) -> list[str]:
    """Every note in every language; each must be a whole sentence with nothing left to fill in."""
    found = [say(note.key, language, **note.values) for note in notes for language in LANGUAGES]
    for one in found:
        assert one.strip()
        assert not any(mark in one for mark in ("{", "}", "@metric", "None", "  "))
    return found


def sound(one: Cell) -> None:
    """What every cell of a workload keeps, whatever the figures say."""
    assert METRICS[one.metric].unit is one.unit
    assert not set(one.figures) & {identity for identity, _ in one.lost}
    assert all(why.strip() for _, why in one.lost)
    if one.value is None:
        assert (one.evidence.kind, one.figures, one.option) == (Kind.MISSING, (), None)
        assert one.reason
    else:
        assert one.value > 0
        assert one.sigma > 0
        assert one.floor == one.value
        assert one.ceil >= one.value
        assert one.low
        assert one.high
        assert one.low <= one.value <= one.high
        assert one.low < one.high
        assert one.option
        assert one.reason is None
        assert one.evidence.kind is not Kind.MISSING
    sentences((*one.notes, *((one.reason,) if one.reason else ())))
