"""What the harness adds to a runtime: its p50 against a bare loop's, two processes in turn."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rigs import Bare, burst, conv_net, opened, paired_ratio
from harness.cache import sha256
from harness.measure.artifacts import Product, Workshop
from harness.measure.link import Local
from harness.spec import Zoo

CASES = {
    "16 us": {"size": 8, "width": 8, "depth": 2, "count": 2000, "bound": 1.03},
    "3 ms": {"size": 56, "width": 64, "depth": 4, "count": 20, "bound": 1.01},
}


@pytest.mark.parametrize("case", CASES)
def test_harness_p50_against_a_bare_loop(benchmark: Any, tmp_path: Path, case: str) -> None:
    given = CASES[case]
    size, count = int(given["size"]), int(given["count"])
    model = conv_net(tmp_path / "model.onnx", size, int(given["width"]), int(given["depth"]))
    bare = Bare("onnx", str(model))
    with opened(model, size, tmp_path) as agent:
        for _ in range(3):  # warm both
            burst(agent, count)
            bare.burst(count)
        p50 = statistics.median(burst(agent, count)) / 1e9

        def rounds() -> tuple[float, float, float]:
            return paired_ratio(lambda: statistics.median(burst(agent, count)), lambda: statistics.median(bare.burst(count)), 80)

        middle, low, high = benchmark.pedantic(rounds, rounds=1)
    bare.close()
    what = f"harness p50 / bare ONNX Runtime loop p50, model of {p50 * 1e6:.4g} µs"
    benchmark.extra_info.update(what=what, value=middle, low=low, high=high, unit="ratio", bound=given["bound"])


def test_p90_against_loadgen(benchmark: Any, tmp_path: Path) -> None:
    """The same model under MLPerf LoadGen's SingleStream scenario, 200 queries a test."""
    model = conv_net(tmp_path / "model.onnx", 56, 64, 4)
    bare = Bare("loadgen", str(model))

    def p90(samples: list[int]) -> float:
        return sorted(samples)[int(len(samples) * 0.9)]

    with opened(model, 56, tmp_path) as agent:
        burst(agent, 50)
        bare.burst(50)

        def rounds() -> tuple[float, float, float]:
            return paired_ratio(lambda: p90(burst(agent, 200)), lambda: bare.burst(200)[0], 16)

        middle, low, high = benchmark.pedantic(rounds, rounds=1)
    bare.close()
    what = "p90 / MLPerf LoadGen's p90 (or its inverse, whichever is larger)"
    benchmark.extra_info.update(what=what, value=max(middle, 1 / middle), low=low, high=high, unit="ratio", bound=1.02)


def test_llama_decode_against_a_bare_loop(benchmark: Any) -> None:
    """Token by token through cyllama with nothing around it."""
    zoo = Zoo()
    with Workshop(zoo) as workshop:
        made = workshop.get(Product("llama-3.2-1b", "gguf/q4_k_m"))
        sample = workshop.samples("llama-3.2-1b")[0]
    path = str(made.models["model"])
    bare = Bare("llama", path)
    with Local().start(1) as agent:
        for role, half in [*zoo.halves("runtimes", "llamacpp"), *zoo.halves("tasks", "generate")]:
            agent.ask("load", 60, role=role, path=str(half), sha256=sha256(half))
        options = {"prefill": 128, "decode": 25, "compare": 1}
        agent.ask("open", 120, files={"model": path}, threads=1, options=options, samples=[str(sample)], task_options=options, batch=1)

        def ours() -> float:
            found = {one["phase"]: one for one in agent.ask("measure", 600, stage="steady", min_count=1)["spans"]}["decode"]
            return float(statistics.median(end - begin for begin, end in zip(found["begin_ns"], found["end_ns"], strict=True)))

        ours()
        bare.burst(24)
        middle, low, high = benchmark.pedantic(lambda: paired_ratio(ours, lambda: statistics.median(bare.burst(24)), 12), rounds=1)
    bare.close()
    what = "Llama decode: time per token / a bare llama.cpp loop's (or its inverse)"
    benchmark.extra_info.update(what=what, value=max(middle, 1 / middle), low=low, high=high, unit="ratio", bound=1.02)
