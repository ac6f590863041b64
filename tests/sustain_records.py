"""Records with a sustain stage, for tests: a synthetic machine that gets hot. The target is "test-fixture": nothing was measured on anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.metrics.knee import Course
from harness.record import Blocks, Channel, RunRecord, Setting, Spans, Telemetry
from tests.records import make_record

Floats = NDArray[Any]
Shape = Callable[[Floats], Floats]
"""Seconds since the stage began -> how many times longer an item takes than at first."""
OFFSET_NS = 120_000_000_000
"""The sampler's clock is behind the worker's by this."""
PHASES = {"infer": 1.0}


def even(t: Floats) -> Floats:
    """Never slower."""
    return np.ones_like(t)


def step(at: float, loss: float) -> Shape:
    """The rate falls by a share at a time."""
    return lambda t: np.where(t < at, 1.0, 1 / (1 - loss))


def ramp(begin: float, end: float, loss: float) -> Shape:
    """The rate falls evenly between two times."""
    return lambda t: 1 / (1 - loss * np.clip((t - begin) / (end - begin), 0, 1))


def sawtooth(begin: float, period: float, loss: float) -> Shape:
    """From a time on the clocks are low for half of each period."""
    return lambda t: np.where((t >= begin) & ((t - begin) % period < period / 2), 1 / (1 - loss), 1.0)


def burst(begin: float, end: float, size: float) -> Shape:
    """Something else runs for a while."""
    return lambda t: np.where((t >= begin) & (t < end), size, 1.0)


def durations(minutes: float, item_s: float, shape: Shape, seed: int = 1, *, alike: float = 0.0) -> Floats:
    """Seconds of each item until `minutes` are over; noise of one second resembles that of the one before by `alike`."""
    rng = np.random.default_rng(seed)
    count = int(minutes * 60 / item_s) + 1
    noise = rng.normal(0, 0.02, int(minutes * 60) + 2)
    for i in range(1, len(noise) if alike else 0):
        noise[i] = alike * noise[i - 1] + np.sqrt(1 - alike**2) * noise[i]
    took: list[Floats] = []
    now = 0.0
    while now < minutes * 60:  # the shape is one of time, and an item that takes longer moves the next
        some = min(count, max(1, int(1 / item_s)))
        t = now + np.arange(some) * item_s
        own: Floats = item_s * np.exp(noise[min(int(now), len(noise) - 1)] + rng.normal(0, 0.005, some)) * shape(t)
        took.append(own)
        now += float(own.sum())
    return np.concatenate(took)


def course_of(took: Floats) -> Course:
    """The course of items of these lengths, one after the other."""
    t = np.concatenate([[0.0], np.cumsum(took)])
    return Course(0, t, np.arange(len(t), dtype=float))


def sustained_record(
    minutes: float = 12.0,
    shape: Shape = even,
    *,
    item_s: float = 0.1,
    phases: dict[str, float] = PHASES,
    group: float = 1.0,
    items: dict[str, float] | None = None,
    clocks_follow: bool = True,
    cpu_follows: bool = False,
    pause_s: float = 0.0,
    hertz: float = 2.0,
    spike: float | None = None,
    seed: int = 1,
    **options: Any,
) -> RunRecord:
    """A record whose sustain stage takes the shares `phases` of an item in turn, with sensors that see the clocks and the power fall with `shape`.

    `cpu_follows`: the process gets less CPU time where it is slower. `spike`: seconds after the stage began at which one sample of power is 40 W.
    """
    record = make_record(**{"n": 120, "latency_s": item_s / group, "seed": seed, **options})
    begin = max(one.end_ns[-1] for one in record.spans if one.end_ns) + 1_000_000_000
    took = durations(minutes, item_s, shape, seed)
    starts = np.concatenate([[0.0], np.cumsum(took + pause_s)])
    spans, at = [], np.zeros(len(took))
    for phase, share in phases.items():
        begins = begin + np.round((starts[:-1] + at) * 1e9).astype(np.int64)
        ends = begins + np.round(took * share * 1e9).astype(np.int64)
        count = (items or {}).get(phase, 1.0) * group
        spans.append(Spans("sustain", phase, begins.tolist(), ends.tolist(), count))
        at = at + took * share
    end = begin + round(starts[-1] * 1e9)
    cpu = np.round(took * 1e9 * (1 / shape(starts[:-1]) if cpu_follows else 1.0) * 0.99).astype(np.int64)
    block_begins = begin + np.round(starts[:-1] * 1e9).astype(np.int64)
    blocks = Blocks(
        "sustain", block_begins.tolist(), (block_begins + np.round(took * 1e9).astype(np.int64)).tolist(), cpu.tolist(),
        [0] * len(took), [0] * len(took),
    )  # fmt: skip
    telemetry = _telemetry(record, begin, end, shape if clocks_follow else even, hertz=hertz, spike=spike)
    settings = {**record.settings, "sustain": Setting(minutes * 60, "command line")}
    return msgspec.structs.replace(
        record, spans=[*record.spans, *spans], blocks=[*record.blocks, blocks], telemetry=[telemetry], settings=settings,
    )  # fmt: skip


def _telemetry(record: RunRecord, begin: int, end: int, shape: Shape, *, hertz: float, spike: float | None) -> Telemetry:
    """The whole session, on a clock of its own."""
    first = min(one.begin_ns[0] for one in record.spans if one.begin_ns)
    t_ns = np.arange(first, end, round(1e9 / hertz), dtype=np.int64)
    t = np.clip((t_ns - begin) / 1e9, 0, None)
    speed = 1 / shape(t)
    rng = np.random.default_rng(3)
    clock = 2.4e9 * speed
    watts = 4 + 8 * speed + rng.normal(0, 0.05, len(t))
    if spike is not None:
        watts[int(np.searchsorted(t, spike))] = 40.0
    heat = 45 + 40 * (1 - np.exp(-t / 180)) + rng.normal(0, 0.2, len(t))
    channels = [
        Channel("VDD_IN", "power", "W", "module"),
        Channel("cpu0", "frequency", "Hz", "die"),
        Channel("soc-thermal", "temperature", "°C", "die"),
        Channel("cpu-busy", "load", "1", "system"),
    ]
    rows = np.stack([watts, clock, heat, np.full(len(t), 0.5)], axis=1)
    return Telemetry("fixture", hertz, channels, (t_ns - OFFSET_NS).tolist(), rows.tolist(), [], clock_offset_ns=OFFSET_NS)
