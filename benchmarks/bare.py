"""The bare loops that the harness is held against: a runtime, a clock, nothing else. Run as `python bare.py KIND MODEL`.

Each reads lines with a number of calls and answers each with a line of JSON, until its input ends.
  onnx      the nanoseconds of each `session.run`
  loadgen   the nanoseconds of each query of an MLPerf LoadGen SingleStream test, as LoadGen logs them
  llama     the nanoseconds of each decoded token after a prompt of 128, straight through cyllama
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CPU = ["CPUExecutionProvider"]


def session(path: str) -> tuple[Any, dict[str, Any], list[str]]:
    """An ONNX Runtime session on one thread, a feed, the outputs' names."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    opened = ort.InferenceSession(path, options, providers=CPU)
    first = opened.get_inputs()[0]
    feed = {first.name: np.random.default_rng(0).random([int(size) for size in first.shape], np.float32)}
    return opened, feed, [one.name for one in opened.get_outputs()]


def onnx(path: str) -> Callable[[int], list[int]]:
    """Time `session.run` and nothing else."""
    opened, feed, names = session(path)

    def run(count: int) -> list[int]:
        took = []
        for _ in range(count):
            begin = time.perf_counter_ns()
            opened.run(names, feed)
            took.append(time.perf_counter_ns() - begin)
        return took

    return run


def loadgen(path: str) -> Callable[[int], list[int]]:
    """A SingleStream test of `count` queries."""
    import mlperf_loadgen as lg

    opened, feed, names = session(path)

    def issue(queries: Any) -> None:
        for query in queries:
            opened.run(names, feed)
            lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])

    def nothing(*_: Any) -> None:
        pass

    sut, library = lg.ConstructSUT(issue, nothing), lg.ConstructQSL(8, 8, nothing, nothing)

    def run(count: int) -> list[int]:
        settings = lg.TestSettings()
        settings.scenario, settings.mode = lg.TestScenario.SingleStream, lg.TestMode.PerformanceOnly
        settings.min_query_count = settings.max_query_count = count
        settings.min_duration_ms = 0
        with tempfile.TemporaryDirectory() as folder:
            logs = lg.LogSettings()
            logs.log_output.outdir = folder
            logs.log_output.copy_summary_to_stdout = False
            logs.enable_trace = False
            lg.StartTestWithLogSettings(sut, library, settings, logs)
            summary = (Path(folder) / "mlperf_log_summary.txt").read_text()
        (line,) = [line for line in summary.splitlines() if line.startswith("90.00 percentile latency (ns)")]
        return [int(line.rpartition(":")[2])]

    return run


def llama(path: str) -> Callable[[int], list[int]]:
    """Prefill 128, then decode `count` tokens greedily."""
    from cyllama.llama import llama_cpp

    llama_cpp.disable_logging()
    model = llama_cpp.LlamaModel(path, llama_cpp.LlamaModelParams(), verbose=False)
    settings = llama_cpp.LlamaContextParams()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = 1
    context = llama_cpp.LlamaContext(model, settings, verbose=False)
    greedy = llama_cpp.LlamaSampler(llama_cpp.LlamaSamplerChainParams())
    greedy.add_greedy()
    prompt, step = (llama_cpp.LlamaBatch(n_tokens=size, embd=0, n_seq_max=1, verbose=False) for size in (128, 1))

    def run(count: int) -> list[int]:
        context.kv_cache_clear()
        prompt.set_batch(list(range(300, 428)), 0, False)
        context.decode(prompt)
        token, took = greedy.sample(context, -1), []
        for position in range(128, 128 + count):
            begin = time.perf_counter_ns()
            step.set_batch([token], position, False)
            context.decode(step)
            token = greedy.sample(context, -1)
            took.append(time.perf_counter_ns() - begin)
        return took

    return run


if __name__ == "__main__":
    out = sys.stdout
    burst = {"onnx": onnx, "loadgen": loadgen, "llama": llama}[sys.argv[1]](sys.argv[2])
    for line in sys.stdin:
        out.write(json.dumps(burst(int(line))) + "\n")
        out.flush()
