"""The on-board program: loads the halves it is sent, runs them, stamps time, answers in JSON.

One file, standard library only, Python >= 3.8, started as `python agent.py`. Requests come as one JSON object a line on stdin,
`{"do": verb, "with": {...}}`; each is answered by `{"result": ...}` or `{"error": ..., "trace": ...}` on stdout, with
`{"event": ...}` lines in between on long work. stdout belongs to this protocol: whatever else the process prints goes to stderr.

Verbs: hello, clock, load, probe, pin, restore, open, rest, measure, compare, sample, close. The halves are plain modules:
  board    probe() state() doctor() snapshot() pin(wanted) restore(snapshot) Sensors(pid=...)   targets/boards/*.py
  runtime  probe() open(path, threads, options) -> model           targets/runtimes/*.py
  task     Task(models, samples, options, batch)                   workloads/tasks/*.py (and what it names in USES, from tasks/lib/)
  compare  compare(outputs, reference, save)                       harness/measure/compare.py
"""

from __future__ import annotations

import array
import gc
import hashlib
import json
import os
import random
import resource
import select
import signal
import sys
import time
import traceback
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

Message = Dict[str, Any]

PROTOCOL = 2
BLOCK_NS = 1_000_000  # covariates are read no more often than this, so that reading them does not become the load
MAX_SPANS = 2_000_000
PIECE_CELLS = 1000  # of the rows in one event, some 10 kB: rows that were kept here for half an hour would take megabytes
HOME = "~/.cache/socbench"  # where a run writes what undoes its changes: see ssh/look.py
SHARED = ("/var/tmp", "/tmp")  # noqa: S108 - where it cannot, in a folder here that is looked at before it is believed
OTHER = "an interrupted run as another target (board half %s) had left settings changed"
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


def _grouped(make_item: Callable[[int], Any], group: int) -> Callable[[int], Any]:
    """Items whose steps are those of `group` items in a row, as one step."""

    def make(number: int) -> Any:
        steps = [step for one in range(number * group, (number + 1) * group) for step in make_item(one)]
        calls = [call for _, call in steps]

        def run() -> None:
            for call in calls:
                call()

        return [(steps[0][0], run)]

    return make


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
        before = clock()
        return {
            "protocol": PROTOCOL,
            "agent": mine,
            "python": ".".join(map(str, sys.version_info[:3])),
            "numpy": _numpy(),
            "pid": os.getpid(),
            "clock_ns": before,
            "unix_ns": time.time_ns(),
        }

    def clock(self) -> Message:
        """The clock that all stamps are of."""
        return {"clock_ns": clock(), "pid": os.getpid()}

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

    def pin(self, wanted: Message, state: str) -> Message:
        """Change settings of the machine; before that, add to the file `state` what it takes to undo it, so that it is durable.

        What is there already tells of the machine as it was before an earlier change that could not be undone: it stays.
        """
        board = self.halves["board"]
        _write(state, [*_kept(state), {"half": _name(board), "boot": _boot(), "snapshot": board.snapshot(wanted=wanted)}])
        pinned: Message = board.pin(wanted)
        return pinned

    def restore(self, state: str) -> Message:
        """Undo what the file `state` tells of, and those of its name in other places, the newest change first, and remove them; {} for none.

        What a reboot since has undone is left alone. What cannot be undone, and what only another half can undo, stays in the file.
        """
        paths, failed = _states(state)
        restored: List[str] = []
        for path in paths:
            try:
                kept = _kept(path)
            except ValueError as error:
                if path == state:
                    raise
                failed.append({"what": str(error), "fix": "or run socbench restore with the version that wrote it"})
                continue
            left = self._undo(path, kept, restored, failed)
            try:
                if not left:
                    os.unlink(path)
                elif left != kept:
                    _write(path, left)
            except OSError as error:
                why = "%s cannot be changed (%s): what was restored by it will be restored again" % (path, error.strerror)
                failed.append({"what": why, "fix": "let it be written to, then run socbench restore again"})
        return {"restored": restored, "failed": failed} if restored or failed or paths else {}

    def _undo(self, path: str, kept: List[Message], restored: List[str], failed: List[Message]) -> List[Message]:
        """Undo what one file tells of; what of it stays to be undone."""
        board = self.halves["board"]
        left: List[Message] = []
        for one in reversed(kept):
            result: Message = {"failed": [{"what": OTHER % one["half"], "fix": "socbench restore, with the name of that target"}]}
            if one["half"] == _name(board):
                try:
                    result = board.restore(one["snapshot"], rebooted=one["boot"] != _boot())
                except Exception as error:  # of a version that wrote other snapshots; the older changes are undone all the same
                    why = "what %s tells cannot be undone (%s: %s)" % (path, type(error).__name__, error)
                    result = {"failed": [{"what": why, "fix": "reboot, then remove that file"}]}
            restored += result.get("restored", [])
            failed += result.get("failed", [])
            left[:0] = [one] if result.get("failed") else []
        return left

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

    def measure(self, stage: str, min_count: int = 1, min_seconds: float = 0.0, max_seconds: float = 600.0, group: int = 1) -> Message:
        """`group`: items a span; more than one only where an item has a single phase."""
        make = {"pipeline": self.task.pipeline, "first": getattr(self.task, "first", self.task.core)}.get(stage, self.task.core)
        items = {phase: count * group for phase, count in self.task.items.items()}
        return measure(_grouped(make, group) if group > 1 else make, stage, items, min_count, min_seconds, max_seconds, self.wire.send)

    def rest(self, seconds: float) -> Message:
        """Do nothing, with the model open: the idle power that a run stands on."""
        begin = clock()
        time.sleep(seconds)
        return {"spans": [{"stage": "idle", "phase": "idle", "begin_ns": [begin], "end_ns": [clock()], "items": 1.0}]}

    def compare(self, reference: Optional[str] = None, save: Optional[str] = None) -> Message:
        """Outputs on every sample, compared with the arrays in `reference` (.npz) and, or, written to `save`."""
        return {"comparisons": self.halves["compare"].compare(self.task.outputs(), reference, save)}

    def sample(self, hertz: float, pid: int, covers: Optional[Dict[str, str]] = None) -> Message:
        """One row of every channel, `hertz` times a second, until the next request arrives; the rows come as events, in pieces, as they are read.

        Each at a random moment of its period: a sampler with an even step would see the same part of every item where the two keep step.
        `covers`: what a power sensor measures, by its site, where the board half cannot know it.
        """
        sensors = self.halves["board"].Sensors(pid=pid, covers=covers or {})
        most = max(1, PIECE_CELLS // max(1, len(sensors.channels)))
        t_ns: List[int] = []
        rows: List[List[Optional[float]]] = []
        period = int(1e9 / hertz)
        slowest = 0
        slot = due = clock()
        self.wire.send({"event": "sampling", "channels": sensors.channels, "totals": sensors.totals})
        while not self.wire.pending((due - clock()) / 1e9):
            before = clock()
            rows.append(sensors.read())
            after = clock()
            t_ns.append((before + after) // 2)
            slowest = max(slowest, after - before)
            if len(rows) >= most:
                self.wire.send({"event": "rows", "t_ns": t_ns, "rows": rows})
                t_ns, rows = [], []
            slot = max(slot + period, after)
            due = slot + int(random.random() * period)
        sensors.close()
        if rows:
            self.wire.send({"event": "rows", "t_ns": t_ns, "rows": rows})
        return {"channels": sensors.channels, "totals": sensors.totals, "absent": sensors.absent, "read_error_ns": (slowest + 1) // 2}

    def close(self) -> Message:
        for model in self.models.values():
            model.close()
        self.models = {}
        return {"state": self.halves["board"].state()} if "board" in self.halves else {}


def _numpy() -> str:
    """The version of numpy by its folder of metadata, "" without one. importlib.metadata would take 4 MB of memory, importing numpy far more, and time."""
    for entry in sys.path:
        try:
            names = os.listdir(entry)
        except OSError:
            continue
        for name in names:
            first, _, rest = name.partition("-")
            if first == "numpy" and rest.endswith((".dist-info", ".egg-info")):
                return rest.rpartition(".")[0].partition("-")[0]
        if "numpy" in names:  # put there in a way of its own
            import importlib.metadata

            try:
                return importlib.metadata.version("numpy")
            except importlib.metadata.PackageNotFoundError:
                return ""
    return ""


def _boot() -> str:
    """Which boot of the machine this is."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _name(half: Any) -> str:
    """What a half is called, whichever version of it."""
    file: str = half.__file__
    return os.path.splitext(os.path.basename(file))[0]


def _states(state: str) -> Tuple[List[str], List[Message]]:
    """`state`, if it is there, and the files of its name in all places, the newest first; and which of these cannot be trusted or seen, and why."""
    found: Dict[str, float] = {}
    failed: List[Message] = []
    mine = "socbench-%d" % os.getuid()
    shared = [os.path.join(place, mine) for place in [*SHARED, os.environ.get("TMPDIR") or SHARED[0]]]
    asked = os.path.dirname(os.environ.get("SOCBENCH_KEPT", ""))  # the board's folder, from the keeper: where nothing else will do, it lies there
    for folder in dict.fromkeys([os.path.dirname(state), *([asked] if asked else []), os.path.expanduser(HOME), *shared]):
        path = os.path.join(folder, os.path.basename(state))
        try:
            written = os.stat(path).st_mtime
            owner = os.lstat(folder) if folder in shared else os.stat(folder)  # anybody may have made such a folder, or a link in its place
            strange = owner.st_uid != os.getuid() or bool(folder in shared and owner.st_mode & 0o077)
            why = "others may have written it" if strange else ""
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            written, why = 0.0, error.strerror or "it cannot be looked at"
        if path == state:  # the harness names it; if it cannot be read, that is an error
            found[path] = written
        elif not why and os.path.realpath(path) not in map(os.path.realpath, found):
            found[os.path.realpath(path)] = written
        elif why:
            what = "%s, which may tell how to undo a change of settings, is not used: %s" % (path, why)
            failed.append({"what": what, "fix": "run socbench restore from the account that it is of, or remove it"})
    return sorted(found, key=lambda path: -found[path]), failed


def _kept(state: str) -> List[Message]:
    """What it takes to undo changes, the oldest first: {"half", "boot", "snapshot"}; [] where there is no file."""
    try:
        with open(state, encoding="utf-8") as file:
            kept: List[Message] = json.load(file)
        if [sorted(one) for one in kept] != [["boot", "half", "snapshot"]] * len(kept):
            raise ValueError("it is of another version")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise ValueError("%s, which tells how to undo a change of settings, cannot be read (%s): reboot, then remove it" % (state, error)) from None
    return kept


def _write(path: str, content: List[Message]) -> None:
    """Write a JSON file, whole or not at all, also where the power fails or the disk is full."""
    work = "%s.%d.tmp" % (path, os.getpid())
    try:
        with open(work, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(work, path)
    except OSError:
        if os.path.exists(work):
            os.unlink(work)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, so that a killed harness leaves no worker behind."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)


VERBS = ("hello", "clock", "load", "probe", "pin", "restore", "open", "rest", "measure", "compare", "sample", "close")


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
