"""What the user waits for: the command line's start, the zoo from nothing, the default plan."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.rigs import SOCBENCH, run
from harness.store import Store
from tests.records import llama_record, make_record, offline_record, whisper_record


@pytest.mark.parametrize(("command", "bound"), [("--help", 0.15), ("list workloads", 0.3)])
def test_start_of_the_command_line(benchmark: Any, command: str, bound: float) -> None:
    benchmark.pedantic(lambda: run(*command.split()), rounds=15, warmup_rounds=2)
    middle = statistics.median(benchmark.stats.stats.data)
    benchmark.extra_info.update(what=f"`socbench {command}`, median of 15", value=middle, unit="s", bound=bound)


def test_select(benchmark: Any) -> None:
    """The estimates are in the cache after the warm-up."""
    benchmark.pedantic(lambda: run("select", "edge-llm"), rounds=9, warmup_rounds=1)
    middle = statistics.median(benchmark.stats.stats.data)
    benchmark.extra_info.update(what="`socbench select edge-llm` with a warm cache, median of 9", value=middle, unit="s", bound=1.5)


def test_full_report(benchmark: Any, tmp_path: Path) -> None:
    """Every scenario, every SoC, and as many records as the default plan makes."""
    store = Store(tmp_path)
    with store.writing():
        for at in range(4):
            for made in (make_record, whisper_record, llama_record, offline_record):
                store.add(made(precision=f"p{at}", run_id=f"{made.__name__}-{at}"))
    benchmark.pedantic(lambda: run("report", "--results", str(tmp_path)), rounds=3, warmup_rounds=1)
    middle, size = statistics.median(benchmark.stats.stats.data), (tmp_path / "report.html").stat().st_size
    benchmark.extra_info.update(what=f"full report of 16 records, {size / 1e6:.1f} MB, median of 3", value=middle, unit="s", bound=10.0)


def test_zoo_from_nothing(benchmark: Any, tmp_path: Path) -> None:
    """All model files of all five workloads, synthetic."""
    benchmark.pedantic(lambda: run("zoo", "build", SOCBENCH_CACHE=str(tmp_path)), rounds=1)
    benchmark.extra_info.update(what="zoo built from nothing, all model files", value=benchmark.stats.stats.data[0], unit="s", bound=60.0)


def test_memory_of_building_the_zoo(benchmark: Any, tmp_path: Path) -> None:
    """Peak of the resident memory of all processes of `socbench zoo build`, read every 20 ms."""
    environment = {**os.environ, "SOCBENCH_CACHE": str(tmp_path)}
    process = psutil.Popen([SOCBENCH, "zoo", "build"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)

    def watch() -> int:
        peak = 0
        while process.poll() is None:
            total = 0
            for one in [process, *process.children(recursive=True)]:
                try:
                    total += one.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, total)
            time.sleep(0.02)
        return peak

    peak = benchmark.pedantic(watch, rounds=1)
    assert process.returncode == 0
    benchmark.extra_info.update(what="zoo built from nothing: peak resident memory of all its processes", value=peak, unit="B", bound=2.5e9)


def test_default_plan(benchmark: Any, tmp_path: Path) -> None:
    """`socbench bench host` as nox runs it, then the report; the model files are in the cache, their making is a figure of its own."""
    run("zoo", "build")

    def both() -> None:
        run("bench", "host", "--results", str(tmp_path / "results"))
        run("report", "--results", str(tmp_path / "results"))

    benchmark.pedantic(both, rounds=1)
    took = benchmark.stats.stats.data[0]
    benchmark.extra_info.update(what="default plan on the host and its report, model files cached", value=took, unit="s", bound=150.0)
