"""Marks, words, and which columns make sense for which kind of task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.quantity import SIGNS, Kind
from harness.record import Stage
from reports.shapes import Flag, Mark

MARKS: dict[Kind, Mark] = {
    Kind.MEASURED: Mark(SIGNS[Kind.MEASURED], "measured here", "by this tool on the machine named at the top; the number opens its record"),
    Kind.PUBLISHED: Mark(SIGNS[Kind.PUBLISHED], "published", "by someone else, with method and source"),
    Kind.DATASHEET: Mark(SIGNS[Kind.DATASHEET], "datasheet", "the maker's specification"),
    Kind.CLAIMED: Mark(SIGNS[Kind.CLAIMED], "claimed", "without a method that could be checked"),
    Kind.ESTIMATED: Mark(SIGNS[Kind.ESTIMATED], "estimated", "computed from other figures; always with its interval"),
    Kind.MISSING: Mark(SIGNS[Kind.MISSING], "missing", "there is no number; the footnote gives the reason"),
}
STATUSES: dict[str, Mark] = {
    "ok": Mark("✓", "ok", "measured, and no check found the figures unsound"),
    "invalid": Mark("✗", "invalid", "measured, but a check says that the figures may not be used"),
    "failed": Mark("✗", "failed", "it should have run and did not"),
    "unsupported": Mark("∅", "unsupported", "this target cannot run it"),
    "skipped": Mark("–", "skipped", "not tried"),
}
SUSPECT = Mark("!", "suspect", "measured, but a check doubts some of the figures; those are marked")
ENDINGS = (STATUSES["ok"], SUSPECT, *(STATUSES[one] for one in ("invalid", "failed", "unsupported", "skipped")))
SEVERITIES: dict[str, Mark] = {
    "invalid": Mark("✗", "invalid", "the figures it spoils may not be used"),
    "warning": Mark("!", "suspect", "the figures it spoils are doubtful"),
    "note": Mark("i", "note", "worth knowing; no figure is doubtful because of it"),
}
SUSPECT_FIGURE = Mark("!", "suspect figure", "a problem of this run casts doubt on it: read the problem first")
INVALID_FIGURE = Mark("✗", "invalid figure", "struck out: a problem of this run says that it may not be used")
FLAGS: dict[str, Flag] = {"warning": "suspect", "invalid": "invalid"}
WORST = ("invalid", "warning", "note")
EVERYTHING = "*"
PRECISIONS = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "q8_0", "q4_k_m", "q4_0", "int4")
STAGES: tuple[Stage, ...] = ("load", "first", "idle", "warmup", "steady", "pipeline", "sustain")
STAGE_WORDS = {
    "load": "load", "first": "first", "idle": "idle", "warmup": "warm-up", "steady": "steady", "pipeline": "pipeline", "sustain": "sustained",
}  # fmt: skip
DISCARDED = ("load", "first", "idle", "warmup")
SESSION: tuple[Stage, ...] = STAGES[:-1]
"""What the time line of the session shows; a sustained run is so much longer that it has a plot of its own."""
SUSTAINED = (
    "sustained_throughput", "first_minute_throughput", "sustained_ratio", "throttle_knee", "sustained_latency", "first_minute_latency",
    "sustained_temperature",
)  # fmt: skip
"""Figures of a sustained run. Where none was asked for, the first alone says so."""
RATES = {"image": "images/s", "token": "tokens/s", "audio second": "audio s/s"}
SHORT_ITEMS = {"audio second": "audio\u00a0s"}
READ_FIRST = (
    "latency_p50", "latency_p90", "latency_p99", "latency_min", "ttft", "tpot", "throughput", *SUSTAINED, "first_inference", "load_time",
    "achieved_ops", "peak_memory", "model_bytes", "energy_per_item", "power", "idle_power", "energy_above_idle",
    "energy_per_stream", "site_power", "efficiency", "cosine", "sqnr", "agreement",
)  # fmt: skip
"""The order in which a reader wants figures; what is not named here comes after."""
MEMORY = ("rss_peak", "rss", "pss")
"""Sources of peak memory, the one to show first. A source that is not named here stands in the drawer."""


COLOURS = {"infer": 1, "encode": 1, "prefill": 1, "decode": 2, "item": 3, "preprocess": 4, "postprocess": 5}
"""Phase -> number of its colour, the same in every plot."""
OTHER_COLOURS = (6, 7)


def colour_of(phase: str) -> int:
    """The number of a phase's colour; a phase that is not known gets one by its length, always the same."""
    return COLOURS.get(phase, OTHER_COLOURS[len(phase) % len(OTHER_COLOURS)])


def place_of(metric: str) -> int:
    """Where a metric stands among others; to sort by."""
    return READ_FIRST.index(metric) if metric in READ_FIRST else len(READ_FIRST)


def weights_of(kind: str) -> str:
    """What may be read from figures made with such weights; said beside every number."""
    return {
        "synthetic": "synthetic weights: speed yes, accuracy no",
        "pretrained": "pretrained weights",
        "": "weights not recorded",
    }.get(kind, f"{kind} weights")


def rate_of(item: str) -> str:
    """The unit of a throughput: images/s."""
    return RATES.get(item, f"{item}/s")


@dataclass(frozen=True)
class Ask:
    """A column: the first of `phases` that `metric` has, or the worst of all where `phases` is empty. "*" stands for any phase."""

    title: str
    metric: str
    phases: tuple[str, ...] = ("item", "infer", "")
    group: str = ""


@dataclass(frozen=True)
class Family:
    """Tasks whose figures can be read side by side. `caption` may name {item}."""

    id: str
    title: str
    tasks: tuple[str, ...]
    caption: str
    columns: tuple[Ask, ...]


_COST = (
    Ask("Peak memory", "peak_memory", MEMORY, "Cost"),
    Ask("Energy per\u00a0{item}", "energy_per_item", ("",), "Cost"),
    Ask("Efficiency op/J", "efficiency", ("",), "Cost"),
)
_CLOSE = "Fidelity to fp32"
FAMILIES = (
    Family(
        "vision",
        "Vision",
        ("classify", "detect", "segment"),
        "Latency is the time of the network alone, one image at a time, inputs prepared in memory; pre- and post-processing are in the bars below.",
        (
            Ask("p50", "latency_p50", group="Latency"),
            Ask("p90", "latency_p90", group="Latency"),
            Ask("p99", "latency_p99", group="Latency"),
            Ask("{rate}", "throughput", ("",), "Throughput"),
            Ask("arithmetic op/s", "achieved_ops", ("infer", "*"), "Throughput"),
            *_COST,
            Ask("Cosine", "cosine", (), _CLOSE),
            Ask("SQNR", "sqnr", (), _CLOSE),
        ),
    ),
    Family(
        "speech",
        "Speech",
        ("transcribe",),
        "An item is one window of sound: encoded once, then decoded token by token. Throughput is seconds of sound a second: above 1 it keeps up.",
        (
            Ask("p50", "latency_p50", group="Window latency"),
            Ask("p90", "latency_p90", group="Window latency"),
            Ask("p99", "latency_p99", group="Window latency"),
            Ask("encode p50", "latency_p50", ("encode",), "Of which"),
            Ask("decode step p50", "latency_p50", ("decode",), "Of which"),
            Ask("{rate}", "throughput", ("",), "Throughput"),
            Ask("encode op/s", "achieved_ops", ("encode",), "Throughput"),
            *_COST,
            Ask("Cosine", "cosine", (), _CLOSE),
            Ask("Same token", "agreement", (), _CLOSE),
        ),
    ),
    Family(
        "language",
        "Language",
        ("generate",),
        "TTFT: from the prompt's tokens to the first new one. TPOT: the time of each later token. Prefill reads, decode writes: two different rates.",
        (
            Ask("TTFT", "ttft", ("",), "Latency"),
            Ask("TPOT", "tpot", ("",), "Latency"),
            Ask("p50", "latency_p50", ("decode",), "Decode step"),
            Ask("p90", "latency_p90", ("decode",), "Decode step"),
            Ask("p99", "latency_p99", ("decode",), "Decode step"),
            Ask("prefill tokens/s", "throughput", ("prefill",), "Throughput"),
            Ask("decode tokens/s", "throughput", ("decode",), "Throughput"),
            Ask("prefill op/s", "achieved_ops", ("prefill",), "Throughput"),
            *_COST,
            Ask("Cosine", "cosine", (), _CLOSE),
            Ask("Same token", "agreement", (), _CLOSE),
        ),
    ),
)
OTHER = Family(
    "other",
    "Other tasks",
    (),
    "Latency is the time of one item in steady state.",
    (
        Ask("p50", "latency_p50", ("item", "infer", "*"), "Latency"),
        Ask("p90", "latency_p90", ("item", "infer", "*"), "Latency"),
        Ask("p99", "latency_p99", ("item", "infer", "*"), "Latency"),
        Ask("per s", "throughput", ("", "*"), "Throughput"),
        Ask("arithmetic op/s", "achieved_ops", ("infer", "*"), "Throughput"),
        *_COST,
        Ask("Cosine", "cosine", (), _CLOSE),
        Ask("SQNR", "sqnr", (), _CLOSE),
    ),
)


_LAST = ("", "decode", "*")
LASTING = Family(
    "sustained",
    "Sustained performance",
    (),
    "The first minute of a long run against its last. The knee is the time after which the rate stays more than 3 % below the first minute's.",
    (
        Ask("first minute", "first_minute_throughput", _LAST, "Throughput"),
        Ask("last minute", "sustained_throughput", _LAST, "Throughput"),
        Ask("last / first", "sustained_ratio", ("",), "Throughput"),
        Ask("knee", "throttle_knee", ("",), "Throughput"),
        Ask("first minute", "first_minute_latency", ("item", "infer", "*"), "Latency"),
        Ask("last minute", "sustained_latency", ("item", "infer", "*"), "Latency"),
        Ask("at the end", "sustained_temperature", ("",), "Temperature"),
    ),
)
"""The table of the runs that have a sustained stage, whatever their task."""


def family_of(task: str) -> Family:
    """The family that a task belongs to."""
    return next((one for one in FAMILIES if task in one.tasks), OTHER)
