"""A made-up market for tests and for looking at the Decide page: invented makers, invented figures, cells of every kind, real decisions of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from harness.decide.decision import decide
from harness.decide.demand import Row
from harness.decide.learn import How
from harness.decide.scenario import Scenario
from harness.decide.scenario.sheet import Sheet
from harness.decide.terms import METRICS, Cell, Decision, Figure, Flag, Note, Option, Source, key_of
from harness.quantity import Evidence, Kind
from reports.payload import payload

AS_OF = "2026-11-22"
VENDORS = ("Norrin", "Halde", "灵犀微", "Vantor Semiconductor")
NAMES = (
    "Edge X16 Industrial 32GB", "Edge X8 8GB", "Edge Nano 4GB", "H-9400S", "H-9200", "H-5100 (A2)", "LX3588", "LX3576M 工业级", "LX3568",
    "V5 Automotive Development Module 64GB", "V3", "V2-L", "Edge X16 Super 16GB", "H-7000", "LX3399", "V1 Micro",
)  # fmt: skip
KINDS = (Kind.PUBLISHED, Kind.PUBLISHED, Kind.ESTIMATED, Kind.PUBLISHED, Kind.MISSING, Kind.MEASURED, Kind.PUBLISHED, Kind.ESTIMATED)
SIGMAS = {Kind.MEASURED: 0.03, Kind.PUBLISHED: 0.12, Kind.DATASHEET: 0.0, Kind.CLAIMED: 0.3, Kind.ESTIMATED: 0.4}
_SENTENCE = {"en": "{0}, because the product says so.", "zh": "{0}：产品要求如此。"}


@dataclass(frozen=True)
class Maker:
    """A SoC of the market."""

    id: str
    name: str
    vendor: str
    speed: float


@dataclass(frozen=True)
class Paper:
    """A row of facts, as far as the page reads it."""

    id: str
    attribute: str
    value: str
    unit: str
    condition: str = ""
    note: str = ""


def reason(of: str) -> dict[str, str]:
    return {language: text.format(of) for language, text in _SENTENCE.items()}


def scenario(identity: str, title: str, title_zh: str, limits: list[dict[str, Any]], criteria: list[dict[str, Any]], **more: Any) -> Scenario:
    sheet: dict[str, Any] = {
        "title": {"en": title, "zh": title_zh},
        "product": {"en": "A box on a wall that watches a door and tells people from parcels.", "zh": "装在墙上的设备，看着门口，区分人和包裹。"},
        "survey": {"socs": ["H-7000", "Edge X8 8GB"], "frameworks": ["RKNN", "TensorRT"], "considerations": {"en": "Cost.", "zh": "成本。"}},
        "limits": [{"reason": reason(one["metric"]), **one} for one in limits],
        "criteria": [{"reason": reason(one["metric"]), **one} for one in criteria],
        **more,
    }  # fmt: skip
    found = msgspec.convert(sheet, Sheet)
    return Scenario(id=identity, **{name: getattr(found, name) for name in Sheet.__struct_fields__})


def scenarios() -> list[Scenario]:
    vision = [
        {"metric": "latency", "workload": "yolov8n", "at_most": "50 ms", "accept": "published"},
        {"metric": "power", "at_most": "20 W"},
        {"metric": "price", "at_most": "300 USD", "accept": "published"},
        {"metric": "temperature_min", "at_most": "-40 C"},
        {"metric": "longevity", "at_least": "8 years"},
        {"metric": "memory", "at_least": "4 GB"},
    ]
    goals = [
        {"metric": "latency", "workload": "yolov8n", "reject": "60 ms", "target": "8 ms", "weight": 3},
        {"metric": "latency", "workload": "resnet50", "reject": "40 ms", "target": "4 ms", "weight": 1},
        {"metric": "power", "reject": "20 W", "target": "3 W", "weight": 2},
        {"metric": "price", "reject": "400 USD", "target": "60 USD", "weight": 2},
        {"metric": "memory", "reject": "2 GB", "target": "16 GB", "weight": 1},
        {"metric": "longevity", "reject": "3 years", "target": "12 years", "weight": 1.5},
    ]
    language = [
        {"metric": "decode", "workload": "llama-3.2-1b", "reject": "3 tok/s", "target": "40 tok/s", "weight": 4},
        {"metric": "prefill", "workload": "llama-3.2-1b", "reject": "50 tok/s", "target": "800 tok/s", "weight": 1},
        {"metric": "bandwidth", "reject": "10 GB/s", "target": "100 GB/s", "weight": 1},
        {"metric": "price", "reject": "600 USD", "target": "80 USD", "weight": 2},
    ]
    memory = {"metric": "memory", "at_least": "8 GB"}
    bandwidth = {"metric": "bandwidth", "reject": "10 GB/s", "target": "100 GB/s", "weight": 1}
    never = [{"metric": "power", "at_most": "0.1 W"}, {"metric": "memory", "at_least": "512 GB"}, {"metric": "longevity", "at_least": "90 years"}]
    robot = [vision[0], {"metric": "safety", "at_least": "ASIL-B"}]
    cheap = {"metric": "price", "reject": "400 USD", "target": "30 USD", "weight": 9}
    return [
        scenario("vision-gateway", "Mid-range vision and edge gateway", "中端视觉与边缘网关", vision, goals),
        scenario("edge-llm", "Edge LLM", "边缘大模型", [memory, vision[2]], language),
        scenario("robotics", "High-performance robotics and autonomous driving", "高性能机器人与自动驾驶", robot, goals),
        scenario("door-bell", "Battery door bell", "电池门铃", never, goals),
        scenario("free", "No limits at all", "没有限制", [], [bandwidth], concentration=float("inf")),
        scenario("price", "Price and little else", "以价格为主", [vision[5]], [cheap, bandwidth]),
    ]


def makers(count: int = len(NAMES)) -> list[Maker]:
    found = []
    for at in range(count):
        again = at // len(NAMES)
        name = NAMES[at % len(NAMES)] + (f" Mk {again + 1}" if again else "")
        slug = "".join(one if one.isascii() and one.isalnum() else "-" for one in name.lower()).strip("-")
        found.append(Maker(f"soc-{at}-{slug}", name, VENDORS[at // 3 % len(VENDORS)], 0.35 * ((at * 7) % 9 - 4)))
    return found


TYPICAL = {
    "latency": 0.02, "rate": 50.0, "decode": 12.0, "prefill": 250.0, "ttft": 0.5, "realtime_factor": 0.1, "energy": 0.1, "peak_memory": 2e8,
    "power": 8.0, "price": 160.0, "memory": 8 * 2.0**30, "bandwidth": 4e10, "tops": 8e12, "longevity": 9.0, "video_decode": 5e8,
    "video_encode": 2.5e8, "temperature_min": -40.0, "temperature_max": 85.0, "safety": 1.0, "w4a16": 1.0, "can_fd": 2.0,
}  # fmt: skip


class Market:
    """Everything about the made-up SoCs."""

    def __init__(self, count: int = len(NAMES), seed: int = 3) -> None:
        self.socs = makers(count)
        self.figures: dict[str, Figure] = {}
        self.facts: dict[str, Any] = {}
        self.sources: dict[str, Source] = {}
        self.cells: dict[tuple[str, str, str], Cell] = {}
        self._random = np.random.default_rng(seed)
        for one in self.socs:
            for metric in METRICS.values():
                for workload in ("yolov8n", "resnet50", "llama-3.2-1b") if metric.of == "workload" else ("",):
                    if metric.id in ("latency", "rate", "decode", "prefill") or metric.of == "part":
                        self.cells[one.id, metric.id, workload] = self._cell(one, metric.id, workload)

    def _cell(self, soc: Maker, metric: str, workload: str) -> Cell:
        question, random = METRICS[metric], self._random
        variable = f"{soc.id}/{key_of(metric, workload)}"
        if question.of == "part":
            kind = Kind.MISSING if random.random() < 0.1 else Kind.CLAIMED if metric in ("safety", "w4a16") else Kind.DATASHEET
        else:
            kind = KINDS[int(random.integers(len(KINDS)))]
        if kind is Kind.MISSING:
            return Cell(soc.id, metric, workload, None, question.unit, Evidence(kind), variable=variable, reason=Note("page-drawer-none"))
        value = TYPICAL[metric] * math.exp((-1 if question.better == "lower" else 1) * 0.5 * soc.speed + 0.5 * random.normal())
        if metric in ("price", "power", "memory", "bandwidth"):
            value = TYPICAL[metric] * math.exp(0.45 * soc.speed + 0.3 * random.normal())
        if not question.criterion or metric == "longevity":
            value = (
                max(0.0, round(TYPICAL[metric] + random.integers(-1, 3)))
                if metric != "temperature_min"
                else float(random.choice([-40, -40, -40, -40, -40, -40, -25, 0]))
            )
        if metric == "memory":
            value = 2.0 ** round(math.log2(value))
        sigma = SIGMAS[kind] if question.criterion else 0.0
        option = Option(("onnxruntime", "tensorrt", "rknn")[int(random.integers(3))], ("int8", "fp16")[int(random.integers(2))], "npu")
        identity = f"p{len(self.sources):06x}"
        spread = math.exp(1.645 * sigma)
        if question.of == "workload" and kind is not Kind.ESTIMATED:
            for tail, factor in (("", 1.0), ("b", 1.7)):
                self.figures[identity + tail] = self._figure(
                    identity + tail, soc, metric, workload, value * factor, kind, replace_option(option, tail)
                )
        elif question.of == "part":
            self.facts[identity] = Paper(identity, metric, f"{value:.4g}", question.unit.value, "at 25 °C" if metric == "power" else "")
            self.sources[identity] = Source(
                "datasheet", f"{soc.vendor} data sheet DS-{len(self.sources)}", "https://example.com/ds.pdf", "", "2025-03-01"
            )
        bounds = (value, value) if metric != "price" or random.random() < 0.6 else (-math.inf, value)
        known = identity in self.figures or identity in self.facts
        return Cell(
            soc.id, metric, workload, value, question.unit, Evidence(kind, self.sources[identity].where if known else "", "2025-03-01"), sigma,
            *bounds, value / spread, value * spread, variable, -1 if metric == "rate" else 1,
            option if question.of == "workload" else None,
            (identity,) if known else (),
            ((identity + "b", "onnxruntime, fp32 is slower"),) if identity in self.figures else (),
        )  # fmt: skip

    def _figure(  # noqa: PLR0917 - one argument a column
        self, identity: str, soc: Maker, metric: str, workload: str, value: float, kind: Kind, option: Option
    ) -> Figure:
        where = Source(
            "third_party",
            "somebody/benchmarks README.md",
            f"https://github.com/somebody/benchmarks/blob/{'ab12' * 10}/README.md",
            "ab12" * 10,
            "2025-06-30",
        )
        self.sources[identity] = where
        return Figure(
            identity, soc.id, "", f"{soc.name} board", workload, metric, value, METRICS[metric].unit, option.precision, option.runtime,
            option.compute_unit, 1, "1x3x640x640", {"cores": "3"}, kind, where, "as in the table", flags=(Flag("clock", "clocks not stated"),),
        )  # fmt: skip

    def row(self, asked: Scenario, soc: str) -> Row:
        demand = asked.demand()
        goals = tuple(self.cells[soc, one.metric, one.workload] for one in demand.criteria)
        bounds = tuple(self.cells[soc, one.metric, one.workload] for one in demand.limits)
        return Row(goals, bounds, {one.workload: one.option for one in (*goals, *bounds) if one.option})

    def decide(self, asked: Scenario) -> Decision:
        rows = {one.id: self.row(asked, one.id) for one in self.socs}
        return decide(asked.id, asked.demand(), rows, concentration=asked.concentration, as_of=AS_OF)

    def document(self, asked: list[Scenario] | None = None) -> dict[str, Any]:
        """The document of the page."""
        answers = [(one, self.decide(one)) for one in (scenarios() if asked is None else asked)]
        parts = [cell for (_, metric, _), cell in self.cells.items() if METRICS[metric].of == "part" or metric == "rate"]
        return payload(answers, self.socs, self.figures, self.facts, self.sources.__getitem__, parts, self.how)

    def how(self, cell: Cell) -> How:
        """What would answer the question of a cell: of each third SoC nothing measures."""
        if METRICS[cell.metric].of == "part":
            return How("", (Note("page-how-ask"),))
        name = next(one.name for one in self.socs if one.id == cell.soc)
        if [one.id for one in self.socs].index(cell.soc) % 3 == 2:
            return How("", (Note("page-how-no-target", {"soc": name}), Note("page-how-elsewhere")))
        values = {"soc": name, "modules": f"{name} / {name}S"}
        return How(f"nox -s bench-invented -- --host user@board --workload {cell.workload}", (Note("page-how-board", values),))


def replace_option(option: Option, tail: str) -> Option:
    return msgspec.structs.replace(option, runtime="onnxruntime", precision="fp32", compute_unit="cpu") if tail else option


def poisoned(market: Market, evil: str) -> Market:
    """`market` with `evil` in every text that comes from outside."""
    market.socs = [replace(one, name=evil + one.name, vendor=evil) for one in market.socs]
    market.figures = {
        key: msgspec.structs.replace(one, board=evil, note=evil, shape=evil, runtime=evil, flags=(Flag(evil, evil),), condition={evil: evil})
        for key, one in market.figures.items()
    }
    market.facts = {key: replace(one, value=evil, condition=evil, note=evil) for key, one in market.facts.items()}
    market.sources = {key: Source(evil, evil, f"javascript:alert(1)//{evil}", evil, evil) for key in market.sources}
    market.cells = {
        key: msgspec.structs.replace(
            one, evidence=Evidence(one.evidence.kind, evil, evil, evil), option=Option(evil, evil, evil) if one.option else None
        )
        for key, one in market.cells.items()
    }
    return market
