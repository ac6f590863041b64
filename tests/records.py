"""Records for tests, made from seeded random series. The target is "test-fixture": no figure of them was measured on anything.

`make_record(n=120, drift=0.1, precision="int8")`: names of `Recipe` shape the series, names of `RunRecord` replace its fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.record import (
    Absent,
    Artifact,
    Blocks,
    Channel,
    Comparison,
    Problem,
    Quality,
    RunRecord,
    Setting,
    Spans,
    Stage,
    Telemetry,
)

Floats = NDArray[np.float64]
TARGET = "test-fixture"
GAP_NS = 20_000
RAPL = Channel(site="package-0", kind="energy", unit="J", scope="die", wraps_at=262143.328850)
RAIL = Channel(site="VDD_IN", kind="power", unit="W", scope="module")
WALL = Channel(site="outlet", kind="power", unit="W", scope="wall")


@dataclass(frozen=True)
class Part:
    """One phase of an item: `count` spans of `items` items, each `share` of the item's latency."""

    phase: str
    share: float = 1.0
    count: int = 1
    items: float = 1.0


INFER = (Part("infer"),)
WHISPER = (Part("encode", 0.6, 1, 30.0), Part("decode", 0.02, 20))
LLAMA = (Part("prefill", 0.2, 1, 64.0), Part("decode", 0.8 / 31, 31))


@dataclass(frozen=True)
class Recipe:
    """How the series is made. All effects are relative: 0.1 is 10 % slower."""

    n: int = 700
    """Steady items (for an LLM: answers)."""
    latency_s: float = 0.02
    """Of an item."""
    spread: float = 0.01
    """Standard deviation of the logarithm."""
    correlation: float = 0.0
    """Of neighbouring items' noise (AR(1))."""
    drift: float = 0.0
    """How much slower the last item is than the first."""
    second_mode: float = 0.0
    second_share: float = 0.35
    bursts: float = 0.0
    """Share of items during which something else ran (wall time grows, CPU time does not)."""
    burst_size: float = 0.6
    warmup: int = 20
    """Discarded items."""
    ramp: float = 0.0
    """How much slower the very first warm-up item is; it fades over `ramp_items`, into the steady stage if they are more than `warmup`."""
    ramp_items: int = 20
    growth: float = 0.0
    """How much slower the last span of a phase of an item is than the first: a context that grows."""
    factors: tuple[float, ...] = ()
    """Multiplied on the steady items, for shapes not foreseen here."""
    core: tuple[Part, ...] = INFER
    threads: int = 1
    batch: int = 1
    pipeline: int = 100
    seed: int = 1
    pressure: float = 0.0
    """Share of time in which something waited for a CPU, as telemetry saw it."""
    meters: tuple[Channel, ...] = ()
    watts: float = 12.0
    hertz: float = 10.0
    dither: float = 1.0
    """Of a sampling period: within it each row is read at a random moment, so that the rows do not keep step with the items."""
    missed: float = 0.0
    """Share of telemetry reads that failed."""
    idle: float = 0.0
    """Seconds of the idle window, between loading and the first item."""
    idle_watts: float = 4.0


@dataclass
class _Clock:
    """Lays spans one after the other."""

    now: int = 1_000_000_000_000
    spans: dict[tuple[Stage, str, float], tuple[list[int], list[int]]] = field(default_factory=dict)

    def span(self, stage: Stage, phase: str, seconds: float, items: float = 1.0) -> tuple[int, int]:
        begin, end = self.now, self.now + max(1, round(seconds * 1e9))
        begins, ends = self.spans.setdefault((stage, phase, items), ([], []))
        begins.append(begin)
        ends.append(end)
        self.now = end + GAP_NS
        return begin, end

    def done(self) -> list[Spans]:
        return [Spans(stage, phase, begins, ends, items) for (stage, phase, items), (begins, ends) in self.spans.items()]


def _noise(recipe: Recipe, n: int, rng: np.random.Generator) -> Floats:
    """Gaussian, standard deviation `spread`, correlated as asked; shape [n]."""
    raw = rng.normal(0.0, recipe.spread, n)
    if recipe.correlation:
        fresh = np.sqrt(1 - recipe.correlation**2)
        for i in range(1, n):
            raw[i] = recipe.correlation * raw[i - 1] + fresh * raw[i]
    return raw


def item_seconds(recipe: Recipe) -> tuple[Floats, Floats]:
    """Wall and CPU seconds of each item, warm-up first; both of shape [warmup + n]."""
    rng = np.random.default_rng(recipe.seed)
    total = recipe.warmup + recipe.n
    log = np.log(recipe.latency_s) + _noise(recipe, total, rng)
    steady = np.arange(total) - recipe.warmup
    log += np.log1p(recipe.drift) * np.clip(steady / max(recipe.n - 1, 1), 0, None)
    if recipe.ramp:
        log += np.log1p(recipe.ramp) * np.exp(-3.0 * np.arange(total) / recipe.ramp_items)
    if recipe.second_mode:
        log += np.log1p(recipe.second_mode) * (rng.random(total) < recipe.second_share)
    cpu = np.exp(log)
    hit = rng.random(total) < recipe.bursts
    wall = cpu * np.where(hit, 1 + recipe.burst_size * (0.5 + rng.random(total)), 1.0)
    if recipe.factors:
        wall[recipe.warmup :] *= np.asarray(recipe.factors)
        cpu[recipe.warmup :] *= np.asarray(recipe.factors)
    return wall, cpu


def _item(clock: _Clock, stage: Stage, recipe: Recipe, seconds: float, rng: np.random.Generator) -> tuple[int, int]:
    """One item's core spans; when it began and ended."""
    begin = clock.now
    for part in recipe.core:
        for position in range(part.count):
            own = 1.0 if len(recipe.core) == 1 else float(np.exp(rng.normal(0.0, recipe.spread)))
            grown = 1 + recipe.growth * position / max(part.count - 1, 1)
            clock.span(stage, part.phase, seconds * part.share * own * grown, part.items * recipe.batch)
    return begin, clock.now - GAP_NS


def _blocks(stage: Stage, items: list[tuple[int, int]], cpu: Floats, wall: Floats, threads: int) -> Blocks:
    """Items gathered to stretches of at least a millisecond."""
    begins: list[int] = []
    ends: list[int] = []
    cpus: list[int] = []
    switches: list[int] = []
    open_block = False
    for (begin, end), own, whole in zip(items, cpu, wall, strict=True):
        if not open_block:
            begins.append(begin)
            ends.append(end)
            cpus.append(0)
            switches.append(0)
        ends[-1] = end
        cpus[-1] += round((end - begin) * own / whole * threads * 0.995)
        switches[-1] += int(whole > own * 1.0001)
        open_block = ends[-1] - begins[-1] < 1_000_000
    return Blocks(stage, begins, ends, cpus, switches, [0] * len(begins))


def _telemetry(recipe: Recipe, begin: int, end: int, rest: tuple[int, int]) -> Telemetry:
    rng = np.random.default_rng(recipe.seed + 1)
    step = round(1e9 / recipe.hertz)
    slots = np.arange(begin - 2 * step, end + 2 * step, step)
    moments = np.random.default_rng(recipe.seed + 3).uniform(0, recipe.dither, len(slots))
    t_ns = [int(one) for one in slots + (moments * step).astype(np.int64)]
    channels = [
        Channel(site="package", kind="temperature", unit="°C", scope="die"),
        Channel(site="cpu0", kind="frequency", unit="Hz", scope="die"),
        Channel(site="cpu-busy", kind="load", unit="1", scope="system"),
        Channel(site="psi-cpu", kind="pressure", unit="1", scope="system"),
        Channel(site="available", kind="memory", unit="B", scope="system"),
        *recipe.meters,
    ]
    rows: list[list[float | None]] = []
    for t in t_ns:
        seconds = (t - t_ns[0]) / 1e9
        row: list[float | None] = [
            round(62 - 12 * float(np.exp(-seconds / 20)) + float(rng.normal(0, 0.2)), 1),
            2.4e9,
            round(float(np.clip(rng.normal(0.5, 0.02), 0, 1)), 3),
            round(recipe.pressure + float(np.clip(rng.normal(0.002, 0.002), 0, 1)), 5),
            11.5e9,
        ]
        for meter in recipe.meters:
            if meter.kind == "energy":
                top = meter.wraps_at or float("inf")
                start = top - 20.0 if meter.wraps_at else 1000.0  # a counter that wraps does so during the run
                rested = (min(max(t, rest[0]), rest[1]) - rest[0]) / 1e9
                row.append((start + recipe.watts * (seconds - rested) + recipe.idle_watts * rested) % top)
            else:
                level = recipe.idle_watts if rest[0] <= t < rest[1] else recipe.watts
                row.append(level + float(rng.normal(0, 0.02)))
        rows.append([None if rng.random() < recipe.missed else one for one in row])
    metered = {meter.kind for meter in recipe.meters}
    absent = [
        Absent("power", "any", "no power sensor was found on this machine", "attach a USB or wall meter and name it with --meter"),
        Absent("energy", "any", "/sys/class/powercap is not readable", "sudo chmod a+r /sys/class/powercap/*/energy_uj"),
    ]
    return Telemetry("host", recipe.hertz, channels, t_ns, rows, [] if metered else absent)


def _quality(precision: str) -> Quality:
    """SQNR 30 dB and equal top-1 choices; nothing for fp32, which is the reference."""
    if precision == "fp32":
        return Quality("", [], "this is the fp32 reference itself")
    error = 0.9
    comparisons = [
        Comparison(f"image-{i}", "logits", xx=901.0 + i, yy=900.0 + i, xy=(1801.0 + 2 * i - error) / 2, error=error, matches=1, decisions=1)
        for i in range(8)
    ]
    return Quality("onnxruntime fp32 on the host", comparisons)


def make_state(**changed: Any) -> dict[str, Any]:
    """What the board half says of a well-kept machine, before or after."""
    usual = {
        "governors": {"policy0": "performance"},
        "frequency_hz": {"cpu0": 2.4e9},
        "frequency_max_hz": {"cpu0": 2.4e9},
        "throttle_counts": {"cpu0/core": 3, "cpu0/package": 0},
        "swap_used_bytes": 0,
        "load_1min": 0.4,
        "psi": {"cpu": {"some_avg10": 0.002, "some_total_us": 1_000_000}},
        "steal_s": 0.0,
        "cooling": {"Processor#0": 0},
    }
    return {**usual, **changed}


def make_record(**options: Any) -> RunRecord:
    """An ok record: resnet50, onnxruntime, fp32, single-stream, one thread. Options: fields of `Recipe` or of `RunRecord`."""
    shaping = {one.name for one in fields(Recipe)}
    recipe = Recipe(**{name: value for name, value in options.items() if name in shaping})
    replaced = {name: value for name, value in options.items() if name not in shaping}
    if unknown := replaced.keys() - set(RunRecord.__struct_fields__):
        raise TypeError(f"neither of the recipe nor of the record: {sorted(unknown)}")
    precision = str(replaced.get("precision", "fp32"))
    record = RunRecord(
        run_id=f"20261122T080000Z-{sha256(repr(sorted(options.items())).encode()).hexdigest()[:4]}",
        campaign="20261122T080000Z-test",
        begun_at="2026-11-22T08:00:00Z",
        socbench="0.0.0+test",
        target=TARGET,
        module="Fixture CPU",
        workload="resnet50",
        workload_sha256="0" * 64,
        title="ResNet-50",
        task="classify",
        item="image",
        runtime="onnxruntime",
        runtime_version="0.0.0",
        precision=precision,
        scenario="single-stream",
        status="ok",
        artifact=Artifact(
            key="f" * 16,
            format="onnx",
            sha256={"model": "1" * 64},
            bytes={"model": 102_000_000 if precision == "fp32" else 26_000_000},
            parameters=25_500_000,
            ops={part.phase: 8.2e9 * part.share for part in recipe.core},
            weight_bytes={part.phase: 102_000_000 if precision == "fp32" else 26_000_000 for part in recipe.core},
            weights="synthetic",
            weights_note="seeded random weights; the quality of the outputs means nothing",
            toolchain="spox 0.0",
        ),
        settings={
            "threads": Setting(recipe.threads, "default"),
            "batch": Setting(recipe.batch, "default"),
            "weights": Setting("synthetic", "default"),
        },
        environment={
            "board": {"virtual_machine": ""},
            "before": make_state(),
            "after": make_state(),
            "runtime": {"providers": ["CPUExecutionProvider"]},
        },
        memory={"rss": 412_000_000, "pss": 396_000_000},
        offload={"cpu": {"nodes": 122, "ops": 8.2e9}},
        quality=_quality(precision),
    )
    record = msgspec.structs.replace(record, **_timeline(recipe))
    return msgspec.structs.replace(record, **replaced)


def _timeline(recipe: Recipe) -> dict[str, Any]:
    """Spans, blocks and telemetry of the whole session, by field."""
    clock = _Clock()
    rng = np.random.default_rng(recipe.seed + 2)
    started = clock.now
    wall, cpu = item_seconds(recipe)
    clock.span("load", "load", 0.35)
    rest = clock.span("idle", "idle", recipe.idle) if recipe.idle else (clock.now, clock.now)
    _item(clock, "first", recipe, recipe.latency_s * 3, rng)
    discarded = [_item(clock, "warmup", recipe, seconds, rng) for seconds in wall[: recipe.warmup]]
    kept = [_item(clock, "steady", recipe, seconds, rng) for seconds in wall[recipe.warmup :]]
    for seconds in np.resize(wall[recipe.warmup :], min(recipe.pipeline, recipe.n)):
        clock.span("pipeline", "preprocess", 0.15 * recipe.latency_s, 1.0 * recipe.batch)
        _item(clock, "pipeline", recipe, seconds, rng)
        clock.span("pipeline", "postprocess", 0.05 * recipe.latency_s, 1.0 * recipe.batch)
    blocks = [
        _blocks("warmup", discarded, cpu[: recipe.warmup], wall[: recipe.warmup], recipe.threads),
        _blocks("steady", kept, cpu[recipe.warmup :], wall[recipe.warmup :], recipe.threads),
    ]
    return {"spans": clock.done(), "blocks": blocks, "telemetry": [_telemetry(recipe, started, clock.now, rest)]}


def whisper_record(**options: Any) -> RunRecord:
    """A speech model: one `encode` span of 30 s of sound and 20 `decode` spans an item."""
    mine: dict[str, Any] = {
        "core": WHISPER, "n": 80, "latency_s": 0.25, "pipeline": 10, "warmup": 3,
        "workload": "whisper-tiny", "title": "Whisper tiny", "task": "transcribe", "item": "audio second",
    }  # fmt: skip
    return make_record(**{**mine, **options})


def llama_record(**options: Any) -> RunRecord:
    """A language model: one `prefill` span of 64 tokens and 31 `decode` spans an item, slower as the context grows."""
    mine: dict[str, Any] = {
        "core": LLAMA, "n": 10, "latency_s": 1.6, "pipeline": 2, "warmup": 1, "growth": 0.15,
        "workload": "llama-3.2-1b", "title": "Llama 3.2 1B", "task": "generate", "item": "token",
        "runtime": "llamacpp", "precision": "q4_k_m",
    }  # fmt: skip
    return make_record(**{**mine, **options})


def offline_record(**options: Any) -> RunRecord:
    """Batches of 8 images, as fast as they go."""
    mine: dict[str, Any] = {"scenario": "offline", "batch": 8, "latency_s": 0.12, "n": 120, "warmup": 5}
    return make_record(**{**mine, **options})


def _unmeasured(status: str, reason: str, fix: str, detail: str, options: dict[str, Any]) -> RunRecord:
    empty: dict[str, Any] = {
        "status": status, "reason": reason, "fix": fix, "detail": detail,
        "spans": [], "blocks": [], "telemetry": [], "memory": {}, "offload": {}, "quality": None,
    }  # fmt: skip
    return make_record(**{"n": 1, "warmup": 1, **empty, **options})


def failed_record(**options: Any) -> RunRecord:
    """A session that should have run and did not."""
    return _unmeasured(
        "failed", "the worker ended with signal 9 while it opened the model", "free memory, or take a smaller precision",
        "Traceback (most recent call last):\n  ...\nMemoryError", options,
    )  # fmt: skip


def unsupported_record(**options: Any) -> RunRecord:
    """A session this target cannot run."""
    return _unmeasured("unsupported", "fp16 is not available on this CPU", "choose fp32 or int8", "", {"precision": "fp16", **options})


def make_problem(**options: Any) -> Problem:
    """A problem like one a check yields."""
    usual: dict[str, Any] = {
        "code": "drift",
        "severity": "warning",
        "what": "the last third is 4.1 % slower than the first",
        "why": "a board that gets hot lowers its clocks: later runs will be slower still",
        "fix": "cool the board and run again",
        "spoils": ["latency_p50"],
    }
    return Problem(**{**usual, **options})
