"""A made-up `reports.market.Market` for the pages around Decide: the invented SoCs of `decide_samples`, with facts, claims and counts."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from harness.decide.catalogue import Fact, Soc
from harness.decide.claims import Claim, Found, Relation, Verdict
from harness.decide.estimate import Quality
from harness.decide.terms import METRICS, Note, Role
from harness.quantity import Kind, Unit
from reports.market import EvidenceCount, Market
from tests import decide_samples

if TYPE_CHECKING:
    from harness.decide.scenario import Scenario

ATTRIBUTES = (
    "cpu", "npu_gpu_name", "vendor_runtime", "memory_type", "camera_interfaces", "tops_basis", "temp_grade", "rt_cores", "isp", "hw_security",
    "video_decode", "peak_tops_int8_sparse", "process_nm", "memory_bus_bits", "tsn", "qualification",
)  # fmt: skip
NOTE = {"en": "the multiple depends on the CPU it is compared with", "zh": "倍数取决于所比较的 CPU"}
ROLES = (Role.SOC, Role.SOC, Role.SOC, Role.ACCELERATOR)
_VALUES = {
    "cpu": "4x Cortex-A76 2.4 GHz + 4x Cortex-A55 1.8 GHz", "npu_gpu_name": "three-core NPU + Mali-G610 MP4",
    "camera_interfaces": "2x MIPI CSI-2 4-lane, 1x DVP", "video_decode": "8K60 H.265, 8K30 H.264",
}  # fmt: skip


@cache
def market(socs: int = 16, scenarios: int = 5, claims: int = 20) -> Market:
    """The market, with so many SoCs, scenarios and claims. Real decisions of invented cells; equal arguments give the same object."""
    made = decide_samples.Market(socs)
    asked = _scenarios(scenarios)
    entries = {one.id: _soc(made, one, at) for at, one in enumerate(made.socs)}
    kinds: dict[str, int] = {}
    for cell in made.cells.values():
        kinds[cell.evidence.kind.value] = kinds.get(cell.evidence.kind.value, 0) + 1
    return Market(
        decisions=tuple(made.decide(one) for one in asked),
        scenarios={one.id: one for one in asked},
        socs=entries,
        cells=made.cells,
        figures=made.figures,
        claims=tuple(_claim(at) for at in range(claims)),
        quality={"latency": _quality(0.128, 1.62), "latency unseen": _quality(0.37, 2.76)},
        counts=tuple(
            EvidenceCount(f"vendor-{at}/model-zoo", ("vendor", "third_party", "mlperf")[at % 3], 660 // (at + 1), ("MIT", "Apache-2.0", "")[at % 3], f"https://github.com/vendor-{at}/model-zoo")
            for at in range(24)
        ),
        kinds=kinds,
        how=made.how,
        sources=made.sources,
        version="0.2.0",
    )  # fmt: skip


def _quality(error: float, half_width: float) -> Quality:
    by_soc = {"Borea M7": (40, 9, 0.09, 0.95), "Kestrel 2": (12, 8, 0.66, 0.4), "Alone 1": (1, 1, 2.0, 0.0)}
    return Quality(412, 161, 22, 30, error, error * 1.2, 0.724, 0.94, 0.913, half_width, by_soc)


def _scenarios(count: int) -> list[Scenario]:
    found = decide_samples.scenarios()
    plain = [
        msgspec.structs.replace(one, id=f"{one.id}-{at}", title={"en": f"{one.title['en']} {at}", "zh": f"{one.title['zh']} {at}"})
        for at in range(2, 2 + count // len(found))
        for one in found
    ]
    return [*found, *plain][:count]


def _soc(made: decide_samples.Market, maker: decide_samples.Maker, at: int) -> Soc:
    facts = {}
    for (soc, metric, _), cell in made.cells.items():
        if soc == maker.id and METRICS[metric].of == "part":
            for identity in cell.figures:
                paper = made.facts[identity]
                source = made.sources[identity]
                facts[metric] = _fact(identity, maker.name, metric, (paper.value, paper.unit), source.where)
    for number, attribute in enumerate(ATTRIBUTES):
        if (at + number) % 5:
            value = _VALUES.get(attribute, f"{attribute.replace('_', ' ')} {number + at % 3}")
            facts[attribute] = _fact(
                f"f{at:03x}{number:02x}", maker.name, attribute, (value, ""), f"{maker.vendor} data sheet DS-{at} (https://example.com/ds-{at}.pdf)"
            )
    family = "Edge" if at % 2 else ""
    return Soc(maker.id, maker.name, maker.vendor, family, published_as=maker.name, variant="", role=ROLES[at % len(ROLES)], facts=facts)


def _fact(identity: str, soc: str, attribute: str, stated: tuple[str, str], source: str) -> Fact:
    value, unit = stated
    kind = ("datasheet", "vendor_page", "third_party", "survey")[len(source) % 4]
    return Fact(identity, soc, attribute, value, unit, "", source, kind, "2026-01-14", "", "main")


def _claim(at: int) -> Claim:
    verdict = get_args(Verdict)[at % 4]
    relation = get_args(Relation)[at % 8]
    low = (4.0, 40.0, 0.02, 275e12)[at % 4]
    unit = (Unit.ONE, Unit.ONE, Unit.SECOND, Unit.OP_PER_SECOND)[at % 4]
    state: Any = {"supported": "met", "contradicted": "not met", "partly": "part"}.get(verdict, "")
    found = tuple(
        Found(
            f"yolo11n on board {number}, tensorrt against cpu",
            low * (0.3 + 0.8 * number + at % 5),
            state if number else "met",
            Kind.PUBLISHED,
            (f"p{at}{number}",),
        )
        for number in range(0 if verdict == "missing" else 1 + at % 6)
    )
    if at % 3 == 0:
        found = (*found, Found("resnet50, fp32 against int8", None, "", Kind.MISSING, (), ("latency of resnet50 on X8, int8",)))
    return Claim(
        f"c{at:03d}",
        {"en": "TensorRT is up to 40 times faster than inference on the CPU", "zh": "TensorRT 比 CPU 推理快至 40 倍"},
        "TensorRT", "speed-up", "up to 40 x", relation, low,
        low * (1.0 if at % 2 else 2.5), unit, found, verdict, at % 5 == 0, Note("claims-unchecked"),
        NOTE if at % 5 == 0 else {"en": "", "zh": ""},
        "run both on the same device and report both baselines", tuple(f"p{at}{number}" for number in range(3)),
    )  # fmt: skip
