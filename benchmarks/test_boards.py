"""Boards over SSH: native boards of the lab on this machine, each with an sshd of its own.

The boards' processors are this machine's own two; of several boards each gets a small share, the same alone and among others, for a real board
brings its own.

The sampler's processor time is read by the kernel's clock of that process, over a minute, once reading this machine's `/sys` and once that of a
board whose `/sys` is the tree of a Jetson Orin NX: files on a disk, which are quicker to read than a chip behind I2C is.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.rigs import burst, conv_net, opened, paired_ratio, run
from harness.measure.compare import __file__ as compare
from harness.measure.hold import held, load
from harness.measure.link import Agent, Link, Local
from harness.measure.ssh import Ssh
from harness.metrics.sampler import METRICS
from harness.record import Spans, Telemetry
from harness.spec import Zoo
from tests.lab import PACK
from tests.records import make_record
from tests.ssh_lab import conftest
from tests.ssh_lab.board import Board
from tests.ssh_lab.trees import ORIN_NX, RK3588

lab = conftest.lab
PLAIN = {name: content for name, content in RK3588.items() if "devicetree" not in name and "/cpu" not in name}
"""A board that is this machine's own kind, and does not say that it is another."""
AGAIN = 9
MINUTE_S = 60.0
HALF_HOUR_S = 1800.0
PIECES = 6
SESSION_S = 10
SHARE = 0.15
"""Of a core, for each of several boards: eight leave this machine 0.8 of its two, and one board is no quicker alone than one of eight."""
HERTZ = 10.0
RESTS = '''
"""A runtime half whose model takes 20 ms and no processor."""

import time
from functools import partial

import numpy as np


def probe():
    return {"version": "1.0"}


class Model:
    inputs, outputs = {"input": (["batch", 3, 32, 32], "float32")}, ["logits"]

    def describe(self):
        return {"inputs": self.inputs, "outputs": self.outputs}

    def offload(self):
        return {}

    def run(self, feeds):
        time.sleep(0.02)
        return [np.zeros((len(feeds["input"]), 10), np.float32)]

    def prepared(self, feeds):
        return partial(self.run, feeds)

    def close(self):
        pass


def open(path, threads, options):
    return Model()
'''
TARGET = """
title = "A machine whose runtime takes time and no processor"
board = "host"

[runtimes.rests]
opens = ["onnx/fp32"]
package = "numpy"
install = "python -m pip install numpy"
"""


@pytest.fixture(scope="module")
def plain(lab: conftest.Lab) -> Board:
    return lab.board("plain", PLAIN)


# --- from nothing to ready -----------------------------------------------------------------------------------------------------------


def connected(board: Board) -> float:
    """Seconds from nothing to the first agent's hello."""
    begun = time.perf_counter()
    link = Ssh(board.name)
    with link.hold(), link.start(1):
        return time.perf_counter() - begun


def ready(board: Board) -> float:
    """Seconds from nothing to a worker with all its halves on a board that was recognised, restored and pinned."""
    zoo, link = Zoo(), Ssh(board.name)
    begun = time.perf_counter()
    with held(zoo, "host", link), link.start(1) as agent:
        load(link, agent, worker_halves(zoo))
        return time.perf_counter() - begun


def worker_halves(zoo: Zoo) -> list[tuple[str, Path]]:
    """Role and file of what a worker of ONNX Runtime loads."""
    return [*zoo.halves("boards", "host"), *zoo.halves("runtimes", "onnxruntime"), *zoo.halves("tasks", "classify"), ("compare", Path(compare))]


def emptied(board: Board) -> None:
    """Nothing was ever uploaded."""
    board.run("rm -rf ~/.cache/socbench")


WAYS = {"connected, an agent has said hello": connected, "recognised, restored, pinned, a worker with all its halves": ready}


@pytest.mark.parametrize("way", WAYS)
def test_from_nothing_to_ready(benchmark: Any, plain: Board, way: str) -> None:
    """First and second run in turn."""
    firsts, seconds = list[float](), list[float]()

    def both() -> None:
        emptied(plain)
        firsts.append(WAYS[way](plain))
        seconds.append(WAYS[way](plain))

    benchmark.pedantic(both, rounds=AGAIN)
    what = f"second run against a board: {way}, median of {AGAIN} (first run {statistics.median(firsts):.2f} s)"
    benchmark.extra_info.update(what=what, value=statistics.median(seconds), low=min(seconds), high=max(seconds), unit="s", bound=2.0)


# --- what an agent takes -------------------------------------------------------------------------------------------------------------


def status(process: int, name: str) -> str:
    """A line of what the kernel says of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


def peak(process: int) -> int:
    """The most memory that was ever resident [B]."""
    return int(status(process, "VmHWM")) * 1024


def spent(process: int) -> float:
    """Processor time [s]; the number of a process's clock: clock_getcpuclockid(3)."""
    return time.clock_gettime(~process << 3 | 2)


def one_of(board: Board, program: str, but: frozenset[int] = frozenset()) -> int:
    """The process on the board that runs `program`, as this machine numbers it."""
    [found] = [process for process, words in board.processes().items() if program in words and process not in but]
    return found


@pytest.mark.parametrize("halves", ["board", "board, task, compare", "board, task, compare, runtime"])
def test_memory_of_a_worker(benchmark: Any, plain: Board, halves: str) -> None:
    """The task half brings numpy, the runtime half its runtime: neither is the agent's."""
    zoo, link = Zoo(), Ssh(plain.name)
    everything = worker_halves(zoo)
    names = {path for _, path in zoo.halves("boards", "host")} if halves == "board" else {path for _, path in everything}
    chosen = [(role, path) for role, path in everything if path in names and (role != "runtime" or "runtime" in halves)]
    with link.hold(), link.start(1) as agent:
        benchmark.pedantic(lambda: load(link, agent, chosen), rounds=1)
        worker = one_of(plain, "agent.py")
        taken, keeper = peak(worker), peak(int(status(worker, "PPid")))
    brings = {"board": "", "board, task, compare": " (numpy)"}.get(halves, " (numpy, ONNX Runtime)")
    limits = {"bound": 25e6} if halves == "board" else {}
    what = f"memory of a worker with halves: {halves}{brings}; its keeper {keeper / 1e6:.1f} MB"
    benchmark.extra_info.update(what=what, value=taken, unit="B", **limits)


# --- what sampling takes -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sampling(link: Link, half: str, worker: int, hertz: float = HERTZ) -> Iterator[tuple[Agent, int]]:
    """A sampler at work beside a worker, and how many channels it reads."""
    with link.start(1) as sampler:
        load(link, sampler, Zoo().halves("boards", half))
        sampler.begin("sample", hertz=hertz, pid=worker)
        yield sampler, len(sampler.wait("sampling", 30.0)["channels"])


def ended(sampler: Agent, half: str) -> Telemetry:
    """End the sampling; all rows."""
    rows: list[dict[str, Any]] = []
    sampler.begin("close")
    found = sampler.finish(60.0, rows.append)
    sampler.finish(60.0)
    told = {key: list(itertools.chain.from_iterable(one[key] for one in rows)) for key in ("t_ns", "rows")}
    return msgspec.convert({"instrument": f"board:{half}", "hertz": HERTZ, **found, **told}, Telemetry)


@pytest.fixture(scope="module")
def orin(lab: conftest.Lab) -> Board:
    return lab.board("orin", ORIN_NX)


@pytest.fixture(scope="module")
def minute(orin: Board, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], dict[str, tuple[list[float], int]]]:
    """A minute of sampling: shares of a core by piece, and channels, by what is read."""
    folder = tmp_path_factory.mktemp("minute")

    @cache
    def measured() -> dict[str, tuple[list[float], int]]:
        remote = Ssh(orin.name)
        with contextlib.ExitStack() as stack:
            worker = stack.enter_context(opened(conv_net(folder / "model.onnx", 56, 64, 4), 56, folder))
            local = Local()
            waited = stack.enter_context(local.start(1))
            sampler, here = stack.enter_context(sampling(local, "host", worker.ask("clock", 30.0)["pid"]))
            stack.enter_context(remote.hold())
            other = stack.enter_context(remote.start(1))
            known = frozenset({one_of(orin, "agent.py")})
            _, there = stack.enter_context(sampling(remote, "jetson", other.ask("clock", 30.0)["pid"]))
            agents = {"this machine": _number(sampler), "a Jetson's tree": one_of(orin, "agent.py", known)}
            shares: dict[str, list[float]] = {name: [] for name in agents}
            for _ in range(PIECES):
                before = {name: (spent(one), time.perf_counter()) for name, one in agents.items()}
                waited.ask("rest", 60.0, seconds=MINUTE_S / PIECES)  # who waits for an agent of a link takes in the rows of another
                for name, one in agents.items():
                    shares[name].append((spent(one) - before[name][0]) / (time.perf_counter() - before[name][1]))
            channels = {"this machine": here, "a Jetson's tree": there}
            return {name: (shares[name], channels[name]) for name in agents}

    return measured


def _number(agent: Agent) -> int:
    process: int = agent.process.pid  # type: ignore[attr-defined]  # it is busy and cannot be asked
    return process


@pytest.mark.parametrize("where", ["this machine", "a Jetson's tree"])
def test_processor_time_of_the_sampler(benchmark: Any, minute: Callable[[], Any], where: str) -> None:
    shares, channels = benchmark.pedantic(minute, rounds=1)[where]
    what = f"sampler on {where}, {channels} channels at {HERTZ:.0f} Hz: share of a core over {MINUTE_S:.0f} s (range of its {PIECES} parts)"
    benchmark.extra_info.update(what=what, value=statistics.fmean(shares), low=min(shares), high=max(shares), unit="ratio", bound=0.01)


@pytest.mark.parametrize("where", ["this machine", "a Jetson's tree"])
def test_memory_of_the_sampler(benchmark: Any, orin: Board, where: str) -> None:
    """As many rows as half an hour has, in less than half a minute."""
    here = where == "this machine"
    link: Link = Local() if here else Ssh(orin.name)

    def taken() -> tuple[int, int, int, int]:
        with contextlib.nullcontext() if here else link.hold(), link.start(1) as worker:
            known = frozenset[int]() if here else frozenset({one_of(orin, "agent.py")})
            pid = worker.ask("clock", 30.0)["pid"]
            with sampling(link, "host" if here else "jetson", pid, 100 * HERTZ) as (sampler, channels):
                process = _number(sampler) if here else one_of(orin, "agent.py", known)
                worker.ask("rest", 60.0, seconds=1.0)
                early, counts = peak(process), list[int]()
                worker.ask("rest", 120.0, seconds=HALF_HOUR_S / 75)  # it does not quite come to that rate
                sampler.begin("clock")
                sampler.finish(60.0, lambda event: counts.append(len(event["rows"])))
                return early, peak(process), sum(counts), channels

    early, late, rows, channels = benchmark.pedantic(taken, rounds=1)
    told = f"after {rows} rows, {rows / HERTZ / 60:.0f} minutes at {HERTZ:.0f} Hz (after a second of it {early / 1e6:.1f} MB)"
    what = f"memory of the sampler on {where}, {channels} channels, {told}"
    benchmark.extra_info.update(what=what, value=late, unit="B", bound=25e6)


def test_latency_with_the_sampler_and_without(benchmark: Any, tmp_path: Path) -> None:
    """A worker of ONNX Runtime on this machine: blocks of 100 items with a sampler beside it and without one, in turn."""
    kept: list[tuple[Spans, Telemetry]] = []
    with opened(conv_net(tmp_path / "model.onnx", 56, 64, 4), 56, tmp_path) as agent:
        worker = agent.ask("clock", 30.0)["pid"]

        def alone() -> float:
            return float(statistics.median(burst(agent, 100)))

        def beside(count: int = 100) -> float:
            with sampling(Local(), "host", worker) as (sampler, _):
                found = agent.ask("measure", 600, stage="steady", min_count=count, min_seconds=0.0)["spans"][0]
                kept.append((msgspec.convert(found, Spans), ended(sampler, "host")))
            return float(statistics.median(end - begin for begin, end in zip(found["begin_ns"], found["end_ns"], strict=True)))

        alone()
        middle, low, high = benchmark.pedantic(lambda: paired_ratio(beside, alone, 40), rounds=1)
        beside(3000)
    spans, telemetry = kept[-1]
    said = METRICS[0].compute(make_record(spans=[spans], telemetry=[telemetry]))[spans.phase]
    tells = f"{said.value:+.2%} ({said.low:+.2%} to {said.high:+.2%})" if None not in (said.value, said.low, said.high) else f"nothing: {said.reason}"
    what = f"p50 with the sampler / without; of one long run with it `sampler_shift` says {tells}"
    benchmark.extra_info.update(what=what, value=middle, low=low, high=high, unit="ratio", bound=1.01)


# --- boards in parallel --------------------------------------------------------------------------------------------------------------


def own(board: Board) -> float:
    """Processor time of all that has ever run on a board [s]: /proc/PID/stat, also of children that have ended."""
    space, ticks = Path(f"/proc/{board.init}/ns/pid").readlink(), 0
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and (path / "ns/pid").readlink() == space:
                ticks += sum(map(int, (path / "stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def used() -> float:
    """Processor time of the commands that have ended [s]."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.fixture(scope="module")
def eight(lab: conftest.Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    """Boards, named in a boards file, and the pack with their target."""
    folder = tmp_path_factory.mktemp("eight")
    pack = folder / "pack"
    shutil.copytree(PACK / "workloads", pack / "workloads")
    (pack / "targets/runtimes").mkdir(parents=True)
    (pack / "targets/runtimes/rests.py").write_text(RESTS)
    (pack / "targets/resting.toml").write_text(TARGET)
    boards = [lab.board(f"b{number}", PLAIN) for number in range(1, 9)]
    for board in boards:
        board.processor(SHARE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCBENCH_BOARDS", str(folder / "boards.toml"))
        for board in boards:
            run("boards", "add", board.name, board.name, "--target", "resting", "--zoo", str(pack))
        yield boards, pack


def test_eight_boards_take_the_time_of_one(benchmark: Any, tmp_path: Path, eight: tuple[list[Board], Path]) -> None:
    """Two sessions a board, on a runtime that sleeps; what else a board does, it does with its own share of a core."""
    boards, pack = eight
    costs: dict[int, list[tuple[float, float, float]]] = {1: [], 8: []}

    def took(count: int, least: int = SESSION_S) -> float:
        names = [board.name for board in boards[:count]]
        before = time.perf_counter(), used(), sum(map(own, boards))
        run("bench", *names, "--zoo", str(pack), "--workload", "tiny", "--seconds", str(least), "--results", str(tmp_path / "results"))
        costs[count].append((time.perf_counter() - before[0], used() - before[1], sum(map(own, boards)) - before[2]))
        return costs[count][-1][0]

    took(8, 1)  # uploads, and the model
    costs[8].clear()
    middle, low, high = benchmark.pedantic(lambda: paired_ratio(lambda: took(8), lambda: took(1), 3), rounds=1)
    (lasted, one, _), (_, workstation, theirs) = ([statistics.median(column) for column in zip(*costs[count], strict=True)] for count in (1, 8))
    cpu = f"processor time: command {workstation:.1f} s (for one {one:.1f} s), boards {theirs:.1f} s"
    what = f"8 boards / one, each two sessions of {SESSION_S} s, each board {SHARE:.0%} of a core (one: {lasted:.1f} s; {cpu})"
    benchmark.extra_info.update(what=what, value=middle, low=low, high=high, unit="ratio", bound=1.15)
