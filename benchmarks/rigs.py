"""Shared pieces of the benchmarks: small models, an agent on them, a bare loop on them."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.cache import sha256
from harness.measure.graph import Graph
from harness.measure.link import Agent, Local
from harness.spec import Zoo

BARE = Path(__file__).with_name("bare.py")
SOCBENCH = Path(sys.executable).with_name("socbench")
IMAGE = {"mean": [0.5] * 3, "std": [0.5] * 3, "top": 1}


def run(*command: str, **environment: str) -> None:
    """One command of socbench, which must succeed."""
    subprocess.run([SOCBENCH, *command], check=True, capture_output=True, env={**os.environ, **environment})


def conv_net(path: Path, size: int, width: int, depth: int) -> Path:
    """A small network of 3x3 convolutions on a `size` x `size` picture."""
    rng = np.random.default_rng(0)
    graph = Graph("conv_net")
    value = graph.input("input", [1, 3, size, size])
    channels = 3
    for layer in range(depth):
        weight = rng.standard_normal((width, channels, 3, 3)).astype(np.float32) * np.float32((2 / (9 * channels)) ** 0.5)
        value = graph.conv(value, f"conv{layer}", weight, np.zeros(width, np.float32))
        value = graph.node("Relu", value, name=f"relu{layer}")
        channels = width
    pooled = graph.node("GlobalAveragePool", value, name="pool")
    graph.output(graph.node("Flatten", pooled, name="logits"), [1, width])
    graph.save(path)
    return path


@contextlib.contextmanager
def opened(model: Path, size: int, folder: Path) -> Iterator[Agent]:
    """An agent of the harness with `model` open as a classifier."""
    zoo = Zoo()
    sample = folder / "sample.npy"
    np.save(sample, np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8))
    with Local().start(1) as agent:
        files = [("runtime", zoo.half("runtimes", "onnxruntime")), *zoo.halves("tasks", "classify")]
        for role, path in files:
            agent.ask("load", 60, role=role, path=str(path), sha256=sha256(path))
        options: dict[str, Any] = {"size": size, "resize": size, **IMAGE}
        agent.ask("open", 60, files={"model": str(model)}, threads=1, options={}, samples=[str(sample)], task_options=options, batch=1)
        yield agent


def burst(agent: Agent, count: int) -> list[int]:
    """`count` latencies [ns] as the harness measures them."""
    found = agent.ask("measure", 600, stage="steady", min_count=count, min_seconds=0.0)["spans"][0]
    return [end - begin for begin, end in zip(found["begin_ns"], found["end_ns"], strict=True)]


class Bare:
    """The bare loop in a process of its own."""

    def __init__(self, kind: str, *arguments: str) -> None:
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, str(BARE), kind, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **limits}
        )

    def burst(self, count: int) -> list[int]:
        """`count` figures [ns]."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        found: list[int] = json.loads(self.process.stdout.readline())
        return found

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def paired_ratio(ours: Any, theirs: Any, pairs: int) -> tuple[float, float, float]:
    """Median over `pairs` of ours()/theirs(), taken in turn in the order AB BA AB ..., and the quartiles."""
    ratios = []
    for number in range(pairs):
        if number % 2:
            other, own = theirs(), ours()
        else:
            own, other = ours(), theirs()
        ratios.append(own / other)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high
