"""The vocabulary of a decision: what is asked of a SoC, what is known of it, and how surely.

Two ideas carry everything. A `Figure` is one number somebody stated, in SI units, with its source and with what the rules make of it.
A `Cell` is what is known about one question ("yolov8n latency of the RK3588"): a value whose logarithm is uncertain by `sigma`, known to lie
between `floor` and `ceil` times the same uncertainty, or nothing at all. Unknown is never a pass and never a zero.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Literal

import msgspec

from harness.quantity import Evidence, Kind, Unit

Text = dict[str, str]
"""A sentence by language: {"en": ..., "zh": ...}."""


class Role(StrEnum):
    """What an entry of the catalogue can be in a product."""

    SOC = "soc"
    """runs Linux by itself: a module or SoC"""
    ACCELERATOR = "accelerator"
    """needs a host processor beside it"""
    MCU = "mcu"
    """a microcontroller: no Linux"""
    CARD = "card"
    """a PCIe card for a server"""
    HOST = "host"
    """a machine that was measured but is no entry of the catalogue"""


class Metric(msgspec.Struct, frozen=True):
    """A question that can be asked of a SoC. `of` says whether it is asked about a workload on it or about the part itself."""

    id: str
    title: Text
    unit: Unit
    better: Literal["lower", "higher"]
    of: Literal["workload", "part"]
    criterion: bool = True
    """False where a logarithm makes no sense (a temperature, a safety level): such a metric can be a limit only."""


_QUESTIONS: tuple[tuple[str, str, str, Unit, Literal["lower", "higher"], Literal["workload", "part"]], ...] = (
    ("latency", "latency", "延迟", Unit.SECOND, "lower", "workload"),
    ("rate", "throughput", "吞吐率", Unit.PER_SECOND, "higher", "workload"),
    ("decode", "decode rate", "解码速率", Unit.PER_SECOND, "higher", "workload"),
    ("prefill", "prefill rate", "预填充速率", Unit.PER_SECOND, "higher", "workload"),
    ("ttft", "time to first token", "首词时间", Unit.SECOND, "lower", "workload"),
    ("realtime_factor", "real-time factor", "实时因子", Unit.ONE, "lower", "workload"),
    ("energy", "energy per item", "每次推理能耗", Unit.JOULE, "lower", "workload"),
    ("peak_memory", "peak memory", "峰值内存", Unit.BYTE, "lower", "workload"),
    ("power", "power", "功耗", Unit.WATT, "lower", "part"),
    ("price", "price", "价格", Unit.DOLLAR, "lower", "part"),
    ("memory", "memory", "内存", Unit.BYTE, "higher", "part"),
    ("bandwidth", "memory bandwidth", "内存带宽", Unit.BYTE_PER_SECOND, "higher", "part"),
    ("tops", "nominal INT8 peak, dense", "INT8 稠密标称算力", Unit.OP_PER_SECOND, "higher", "part"),
    ("longevity", "supply from today", "剩余供货年限", Unit.YEAR, "higher", "part"),
    ("video_decode", "video decoding", "视频解码", Unit.PIXEL_PER_SECOND, "higher", "part"),
    ("video_encode", "video encoding", "视频编码", Unit.PIXEL_PER_SECOND, "higher", "part"),
    ("temperature_min", "lowest ambient temperature", "最低环境温度", Unit.CELSIUS, "lower", "part"),
    ("temperature_max", "highest ambient temperature", "最高环境温度", Unit.CELSIUS, "higher", "part"),
    ("safety", "functional safety", "功能安全", Unit.ONE, "higher", "part"),
    ("w4a16", "W4A16 support", "W4A16 支持", Unit.ONE, "higher", "part"),
    ("can_fd", "CAN interfaces", "CAN 接口", Unit.ONE, "higher", "part"),
)
_LIMIT_ONLY = {"temperature_min", "temperature_max", "safety", "w4a16", "can_fd"}
METRICS = {
    identity: Metric(identity, {"en": en, "zh": zh}, unit, better, of, criterion=identity not in _LIMIT_ONLY)
    for identity, en, zh, unit, better, of in _QUESTIONS
}
"""Every question there is, by id."""

SAFETY = ("none", "ASIL-A / SIL-1", "ASIL-B / SIL-2", "ASIL-C", "ASIL-D / SIL-3")
"""Levels of functional safety; the value of the metric `safety` is the index. ASIL and SIL are set side by side, they are not the same."""


class Source(msgspec.Struct, frozen=True):
    """Where one number was read. `where` is a repository and path, or a document; `url` is "" where there is none to give."""

    kind: str
    """vendor, third_party, mlperf, datasheet, vendor_page, reseller, survey, or record"""
    where: str
    url: str = ""
    commit: str = ""
    date: str = ""


class Flag(msgspec.Struct, frozen=True):
    """What a rule makes of a figure: `code`, `why` in a sentence, and the uses it bars ("rank", "estimate")."""

    code: str
    why: str
    bars: tuple[str, ...] = ()


class Figure(msgspec.Struct, frozen=True):
    """One number somebody stated or we measured about a workload on a SoC, in SI units."""

    id: str
    soc: str
    """the id of a catalogue entry where the figure is of that very module, else the name it is published under"""
    variant: str
    board: str
    workload: str
    metric: str
    """latency, latency_p90, latency_p99, throughput, decode, prefill, ttft, realtime_factor, energy, power, peak_memory, decode_e2e, memcpy"""
    value: float
    unit: Unit
    precision: str
    runtime: str
    compute_unit: str
    batch: int | None
    shape: str
    condition: dict[str, str]
    kind: Kind
    source: Source
    note: str = ""
    sigma: float = 0.25
    """sd of the logarithm, as the rules judge it"""
    flags: tuple[Flag, ...] = ()

    def usable(self, use: Literal["rank", "estimate"]) -> bool:
        """Whether no rule bars this use."""
        return not any(use in flag.bars for flag in self.flags)


class Option(msgspec.Struct, frozen=True, order=True):
    """How a workload is run on a SoC."""

    runtime: str
    precision: str
    compute_unit: str


class Note(msgspec.Struct, frozen=True):
    """A sentence of the message catalogue: its key and what is put into it. See `harness.words`."""

    key: str
    values: dict[str, str] = {}


class Cell(msgspec.Struct, frozen=True):
    """What is known about one question.

    The true value is x * exp(sigma * z), z standard normal, x somewhere in [`floor`, `ceil`]; both equal `value` where the source states the
    very thing asked. `value` None: nothing is known (`floor` -inf, `ceil` inf). `variable` names the uncertainty: cells with the same
    variable share z, times `sign` (a rate computed from a latency moves against it).
    """

    soc: str
    metric: str
    workload: str
    value: float | None
    unit: Unit
    evidence: Evidence
    sigma: float = 0.0
    floor: float = -math.inf
    ceil: float = math.inf
    low: float | None = None
    high: float | None = None
    variable: str = ""
    sign: int = 1
    option: Option | None = None
    figures: tuple[str, ...] = ()
    """ids of the figures or facts behind it"""
    lost: tuple[tuple[str, str], ...] = ()
    """(id, why it was not taken)"""
    reason: Note | None = None
    """why nothing is known"""
    notes: tuple[Note, ...] = ()
    ratio: float | None = None
    """measured / published, where both exist"""
    chance: float = 0.5
    """of a limit's cell of which nothing is known: how likely it is met, by how many parts of the catalogue meet it"""

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return self.value is not None


def key_of(metric: str, workload: str) -> str:
    """The id of a criterion or a limit: "latency:yolov8n", "power"."""
    return f"{metric}:{workload}" if workload else metric


class Finding(msgspec.Struct, frozen=True):
    """One hard limit on one SoC. `probability`: the share of draws that meet it, 0.5 where nothing is known."""

    limit: str
    state: Literal["met", "not met", "unknown"]
    probability: float
    cell: Cell
    why: Note


class Part(msgspec.Struct, frozen=True):
    """One criterion on one SoC: `utility` is its mean in [0, 1], `contribution` the mean of weight times utility."""

    criterion: str
    utility: float
    contribution: float
    cell: Cell


PLACED = 1 / 3
"""A SoC of which less than this share of the weight is known is not placed: its score would mostly be that of not knowing."""


class Entry(msgspec.Struct, frozen=True):
    """One SoC in the ranking of a scenario.

    `score`: the mean over all draws of value if feasible, else 0; it depends on no other SoC, and orders the ranking. `best`: P(best), the
    share of draws in which it is feasible and first. `ranks`: rank acceptabilities, rank 1 first; the last entry gathers the rest and the
    draws in which it is not feasible. `central`: the mean weights of the draws it wins, in the order of the criteria; empty where it wins none.
    """

    soc: str
    score: float
    best: float
    feasible: float
    ranks: tuple[float, ...]
    parts: tuple[Part, ...]
    findings: tuple[Finding, ...]
    pareto: bool
    """on the Pareto front of the medians, among those not ruled out"""
    nondominated: float
    """P(non-dominated)"""
    central: tuple[float, ...]
    ruled_out: bool
    """a limit is not met"""
    known: float
    """the share of the weight whose criteria have a value; below PLACED the SoC stands after the others"""
    limiting: str
    """the limit least likely to be met; "" where all are certain"""
    options: dict[str, Option]
    """workload -> the runtime and precision its figures are of"""

    @property
    def placed(self) -> bool:
        """Whether it has a place: not ruled out, and enough is known of it."""
        return not self.ruled_out and self.known >= PLACED


class Advice(msgspec.Struct, frozen=True):
    """One thing worth finding out: `gain` is its EVPPI in units of the score, `flip` the chance that it changes the first place."""

    soc: str
    metric: str
    workload: str
    gain: float
    flip: float
    limit: bool
    """whether it decides a hard limit (else it is a criterion)"""
    how: Note
    """the command, or what to ask the maker"""


class Decision(msgspec.Struct, frozen=True):
    """The answer to one scenario.

    `word`: recommended (P(best) >= 0.90 and every limit met on accepted evidence), leading (P(best) >= 0.60), shortlist (less), nothing (no
    SoC has a chance to meet the limits). `shortlist`: the smallest set whose P(best) add up to 0.90 of what all that are placed have together.
    """

    scenario: str
    word: Literal["recommended", "leading", "shortlist", "nothing"]
    leader: str
    shortlist: tuple[str, ...]
    none_feasible: float
    """P(no SoC meets all limits)"""
    entries: tuple[Entry, ...]
    """by score; after them those of which too little is known, and those ruled out last"""
    advice: tuple[Advice, ...]
    draws: int
    seed: int
    as_of: str
