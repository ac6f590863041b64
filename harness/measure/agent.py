"""The on-board program: loads the halves it is sent, runs them, stamps time, answers in JSON.

One file, standard library only, Python >= 3.8, started as `python agent.py`. Requests come as one JSON object a line on stdin,
`{"do": verb, "with": {...}}`; each is answered by `{"result": ...}` or `{"error": ..., "trace": ...}` on stdout, with
`{"event": ...}` lines in between on long work. stdout belongs to this protocol: whatever else the process prints goes to stderr.

Verbs: hello, load, probe, pin, open, measure, compare, sample, close. The halves are plain modules:
  board    probe() state() pin(wanted) Sensors(pid=...)          targets/boards/*.py
  runtime  probe() open(path, threads, options) -> model           targets/runtimes/*.py
  task     Task(models, samples, options, batch)                   workloads/tasks/*.py (and what it names in USES, from tasks/lib/)
  compare  compare(outputs, reference, save)                       harness/measure/compare.py
"""

from __future__ import annotations

import array
import gc
import hashlib
import importlib.metadata
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
import types
from typing import Any, Callable, Dict, List, Optional

Message = Dict[str, Any]

PROTOCOL = 1
BLOCK_NS = 1_000_000  # covariates are read no more often than this, so that reading them does not become the load
MAX_SPANS = 2_000_000
clock = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux: the same clock for the worker and the sampler


class Wire:
    """The protocol's two ends, moved away from fd 0 and 1 so that native libraries cannot write into it."""

    def __init__(self) -> None:
        self._in = os.dup(0)
        self._out = os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        self._buffer = b""

    def pending(self, seconds: float) -> bool:
        """Whether a request is there within `seconds`; also true at end of input."""
        return b"\n" in self._buffer or bool(select.select([self._in], [], [], max(seconds, 0))[0])

    def read(self) -> Optional[Message]:
        """The next request, or None when the other side is gone."""
        while b"\n" not in self._buffer:
            piece = os.read(self._in, 65536)
            if not piece:
                return None
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        request: Message = json.loads(line)
        return request

    def send(self, message: Message) -> None:
        """Write one message, whole."""
        data = json.dumps(message, default=_plain, separators=(",", ":")).encode() + b"\n"
        view = memoryview(data)
        while view:
            view = view[os.write(self._out, view) :]


def _plain(value: Any) -> Any:
    """What json cannot write: arrays, numpy scalars."""
    if isinstance(value, array.array):
        return value.tolist()
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def load_half(path: str, sha256: str, name: str) -> Any:
    """The module in `path`, run from exactly the bytes that `sha256` names."""
    with open(path, "rb") as file:
        source = file.read()
    found = hashlib.sha256(source).hexdigest()
    if found != sha256:
        raise ValueError("%s has sha256 %s, expected %s" % (path, found[:12], sha256[:12]))
    module = types.ModuleType("socbench_" + name)
    module.__file__ = path
    sys.modules[module.__name__] = module
    exec(compile(source, path, "exec"), module.__dict__)  # this is what an agent is for
    return module


def memory() -> Dict[str, int]:
    """Memory of this process [B]: rss (its peak, VmHWM), pss and pss_file (now); what the kernel does not say is left out."""
    found: Dict[str, int] = {}
    for path, keys in (
        ("/proc/self/status", {"VmHWM": "rss"}),
        ("/proc/self/smaps_rollup", {"Pss": "pss", "Pss_File": "pss_file"}),
    ):
        try:
            with open(path) as file:
                for line in file:
                    key, _, rest = line.partition(":")
                    if key in keys:
                        found[keys[key]] = int(rest.split()[0]) * 1024
        except (OSError, ValueError):
            continue
    return found


class Spans:
    """Begin and end stamps by phase."""

    def __init__(self) -> None:
        self.phases: Dict[str, Any] = {}

    def of(self, phase: str) -> Any:
        if phase not in self.phases:
            self.phases[phase] = (array.array("q"), array.array("q"))
        return self.phases[phase]

    def result(self, stage: str, items: Dict[str, float]) -> List[Message]:
        return [
            {"stage": stage, "phase": phase, "begin_ns": begin, "end_ns": end, "items": items.get(phase, 1.0)}
            for phase, (begin, end) in self.phases.items()
        ]


def measure(
    make_item: Callable[[int], Any],
    stage: str,
    items: Dict[str, float],
    min_count: int,
    min_seconds: float,
    max_seconds: float,
    say: Callable[[Message], None],
) -> Message:
    """Run items until `min_count` AND `min_seconds` are reached, or `max_seconds`.

    `make_item(i)` gives the steps of item i: a list of (phase, call). A span is one call, from the clock's reading just before it to the one
    just after it; making the steps and keeping the stamps happen between spans, in none of them.
    """
    spans = Spans()
    block: Dict[str, Any] = {name: array.array("q") for name in ("begin_ns", "end_ns", "cpu_ns", "switches", "faults")}
    cpu = time.process_time_ns
    usage = resource.getrusage
    who = resource.RUSAGE_SELF
    count = total = 0
    ended = "rule"
    gc.collect()
    gc.disable()
    try:
        start = block_begin = said = clock()
        used = usage(who)
        block_cpu = cpu()
        while True:
            for phase, call in make_item(count):
                begin = clock()
                call()
                end = clock()
                begins, ends = spans.of(phase)
                begins.append(begin)
                ends.append(end)
                total += 1
            count += 1
            if end - block_begin < BLOCK_NS:
                if count >= min_count and not min_seconds:
                    break
            else:
                now_cpu, now = cpu(), usage(who)
                block["begin_ns"].append(block_begin)
                block["end_ns"].append(end)
                block["cpu_ns"].append(now_cpu - block_cpu)
                block["switches"].append(now.ru_nivcsw - used.ru_nivcsw)
                block["faults"].append(now.ru_majflt - used.ru_majflt)
                used = now
                seconds = (end - start) / 1e9
                if count >= min_count and seconds >= min_seconds:
                    break
                if seconds >= max_seconds:
                    ended = "max_seconds"
                    break
                if total >= MAX_SPANS:
                    ended = "max_spans"
                    break
                if end - said > 1_000_000_000:
                    said = end
                    say({"event": "progress", "stage": stage, "count": count, "seconds": seconds})
                block_cpu = cpu()
                block_begin = clock()
    finally:
        gc.enable()
    return {
        "spans": spans.result(stage, items),
        "blocks": dict(block, stage=stage),
        "count": count,
        "ended": ended,
        "memory": memory(),
    }


class Agent:
    """One worker or one sampler: its halves, its open model."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.halves: Dict[str, Any] = {}
        self.models: Dict[str, Any] = {}
        self.task: Any = None

    def hello(self, die_with_parent: bool = False) -> Message:
        if die_with_parent:
            _die_with_parent()
        with open(os.path.abspath(__file__), "rb") as file:
            mine = hashlib.sha256(file.read()).hexdigest()
        try:
            numpy_version = importlib.metadata.version("numpy")  # importing it would take longer than all the rest
        except importlib.metadata.PackageNotFoundError:
            numpy_version = ""
        before = clock()
        return {
            "protocol": PROTOCOL,
            "agent": mine,
            "python": ".".join(map(str, sys.version_info[:3])),
            "numpy": numpy_version,
            "pid": os.getpid(),
            "clock_ns": before,
            "unix_ns": time.time_ns(),
        }

    def load(self, role: str, path: str, sha256: str) -> Message:
        self.halves[role] = load_half(path, sha256, role)
        return {}

    def probe(self, what: str = "all") -> Message:
        result: Message = {}
        if what == "doctor":
            return {"findings": self.halves["board"].doctor()}
        if "board" in self.halves:
            result["state"] = self.halves["board"].state()
            if what == "all":
                result["board"] = self.halves["board"].probe()
        if "runtime" in self.halves and what == "all":
            result["runtime"] = self.halves["runtime"].probe()
        return result

    def pin(self, wanted: Message) -> Message:
        pinned: Message = self.halves["board"].pin(wanted)
        return pinned

    def open(self, files: Dict[str, str], threads: int, options: Message, samples: List[str], task_options: Message, batch: int) -> Message:
        runtime, task = self.halves["runtime"], self.halves["task"]
        options = dict(options, batch=batch)
        begin = clock()
        self.models = {role: runtime.open(path, threads, options) for role, path in files.items()}
        end = clock()
        self.task = task.Task(self.models, samples, task_options, batch)
        return {
            "spans": [{"stage": "load", "phase": "load", "begin_ns": [begin], "end_ns": [end], "items": 1.0}],
            "offload": {role: model.offload() for role, model in self.models.items()},
            "io": {role: model.describe() for role, model in self.models.items()},
        }

    def measure(self, stage: str, min_count: int = 1, min_seconds: float = 0.0, max_seconds: float = 600.0) -> Message:
        make = {"pipeline": self.task.pipeline, "first": getattr(self.task, "first", self.task.core)}.get(stage, self.task.core)
        return measure(make, stage, self.task.items, min_count, min_seconds, max_seconds, self.wire.send)

    def compare(self, reference: Optional[str] = None, save: Optional[str] = None) -> Message:
        """Outputs on every sample, compared with the arrays in `reference` (.npz) and, or, written to `save`."""
        return {"comparisons": self.halves["compare"].compare(self.task.outputs(), reference, save)}

    def sample(self, hertz: float, pid: int) -> Message:
        """One row of every channel, `hertz` times a second, until the next request arrives."""
        sensors = self.halves["board"].Sensors(pid=pid)
        stamps, rows = array.array("q"), []  # type: Any, List[List[Optional[float]]]
        period = int(1e9 / hertz)
        due = clock()
        self.wire.send({"event": "sampling"})
        while not self.wire.pending((due - clock()) / 1e9):
            before = clock()
            rows.append(sensors.read())
            after = clock()
            stamps.append((before + after) // 2)
            due = max(due + period, after)
        result = {"channels": sensors.channels, "absent": sensors.absent, "t_ns": stamps, "rows": rows}
        sensors.close()
        return result

    def close(self) -> Message:
        for model in self.models.values():
            model.close()
        self.models = {}
        return {"state": self.halves["board"].state()} if "board" in self.halves else {}


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, so that a killed harness leaves no worker behind."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)


VERBS = ("hello", "load", "probe", "pin", "open", "measure", "compare", "sample", "close")


def main() -> None:
    """Answer requests until the input ends."""
    sys.path[:] = [entry for entry in sys.path if entry not in ("", os.path.dirname(os.path.abspath(__file__)))]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the harness's to handle: it closes or kills this process
    agent = Agent(wire=Wire())
    while True:
        request = agent.wire.read()
        if request is None:
            return
        try:
            verb = request["do"]
            if verb not in VERBS:
                raise ValueError("unknown verb %r; this agent knows %s" % (verb, ", ".join(VERBS)))
            agent.wire.send({"result": getattr(agent, verb)(**request.get("with", {}))})
        except Exception as error:
            kind = type(error).__name__
            agent.wire.send({"error": "%s: %s" % (kind, error), "kind": kind, "trace": traceback.format_exc()})


if __name__ == "__main__":
    main()
