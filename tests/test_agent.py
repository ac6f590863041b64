"""The on-board program: what it may import, its protocol, its clockwork, and that it never outlives its harness."""

from __future__ import annotations

import ast
import gc
import importlib.metadata
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness import cache
from harness.measure import agent
from tests.lab import AGENT, ROOT, RUNTIMES, Dialogue, alive, host, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TASK = '''
"""Task half for tests: sleeps, in two phases an item."""
import time

class Task:
    def __init__(self, models, samples, options, batch):
        self.model, self.items, self.options = models["model"], {"infer": float(batch)}, options

    def core(self, index):
        return [("infer", lambda: time.sleep(self.options["sleep"]))]

    def first(self, index):
        return [("cold", lambda: time.sleep(self.options["sleep"]))]

    def pipeline(self, index):
        return [("preprocess", lambda: None), *self.core(index), ("postprocess", lambda: print("an answer"))]
'''


@pytest.fixture(scope="module")
def shared() -> Iterator[Dialogue]:
    """An agent that outlives whatever a test asks of it."""
    with Dialogue() as dialogue:
        yield dialogue
        assert dialogue.end()[0] == 0


@pytest.fixture
def running() -> Iterator[Dialogue]:
    """An agent for one test."""
    with Dialogue() as dialogue:
        yield dialogue


@pytest.fixture
def opened(running: Dialogue, tmp_path: Path) -> Dialogue:
    """An agent with a chatty runtime and a task that sleeps for 2 ms."""
    task = tmp_path / "task.py"
    task.write_text(TASK)
    running.load("runtime", RUNTIMES / "chatty.py")
    running.load("task", task)
    running.result("open", files={"model": "/nowhere"}, threads=1, options={}, samples=[], task_options={"sleep": 0.002}, batch=3)
    return running


# --- what it is --------------------------------------------------------------------------------------------------------------------


def _guarded(tree: ast.Module) -> set[ast.AST]:
    """Everything inside a `try` that survives a missing package."""
    tries = [node for node in ast.walk(tree) if isinstance(node, ast.Try)]
    kept = [one for one in tries if any(isinstance(handler.type, ast.Name) and handler.type.id == "ImportError" for handler in one.handlers)]
    return {inner for one in kept for statement in one.body for inner in ast.walk(statement)}


def test_the_agent_is_one_small_file_that_imports_only_the_standard_library() -> None:
    source = AGENT.read_bytes()
    tree = ast.parse(source)
    needed = set()
    for node in set(ast.walk(tree)) - _guarded(tree):
        if isinstance(node, ast.Import):
            needed |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a file that is sent has no neighbours"
            needed.add((node.module or "").partition(".")[0])
    assert len(source) <= 64 * 1024
    assert needed
    assert needed <= sys.stdlib_module_names


def test_the_agent_is_python_3_8() -> None:
    ast.parse(AGENT.read_bytes(), feature_version=(3, 8))


@pytest.mark.parametrize(
    ("there", "version"),
    [
        (["numpy/", "numpy-2.1.0.dist-info/"], "2.1.0"),
        (["numpy/", "numpy-1.21.5.egg-info/"], "1.21.5"),
        (["numpy/", "numpy-1.17.4-py3.8.egg-info"], "1.17.4"),
        (["numpy_groupies-0.9.dist-info/", "numpydoc-1.5.0.dist-info/"], ""),
        (["numpy/"], ""),
        ([], ""),
    ],
)
def test_the_version_of_numpy_is_read_off_its_metadata(there: list[str], version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    for name in there:
        (site / name).mkdir() if name.endswith("/") else (site / name).touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(site)])
    assert agent._numpy() == version


def test_the_agents_numpy_is_the_one_that_would_be_imported(shared: Dialogue) -> None:
    assert shared.result("hello")["numpy"] == importlib.metadata.version("numpy")


def test_hello_says_who_answers_and_what_its_clock_shows(shared: Dialogue) -> None:
    before = time.perf_counter_ns()
    found = shared.result("hello")
    assert before < found["clock_ns"] < time.perf_counter_ns(), "worker, sampler and harness read the same clock"
    assert found["protocol"] == agent.PROTOCOL
    assert found["agent"] == cache.sha256(AGENT)
    assert found["pid"] == shared.process.pid
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert abs(found["unix_ns"] - time.time_ns()) < 60e9


# --- errors ------------------------------------------------------------------------------------------------------------------------


def test_an_unknown_verb_is_an_error_that_names_the_known_ones_and_the_agent_lives_on(shared: Dialogue) -> None:
    answer = shared.ask("__init__", wire=None)
    assert "unknown verb '__init__'" in answer["error"]
    assert "measure" in answer["error"]
    assert "Traceback" in answer["trace"]
    assert shared.result("hello")["pid"] == shared.process.pid


def test_wrong_arguments_are_an_error_and_the_agent_lives_on(shared: Dialogue) -> None:
    assert shared.ask("load", colour="red")["kind"] == "TypeError"
    assert shared.ask("pin", wanted={}, state="")["kind"] == "KeyError"  # no board half was sent
    shared.send(json.dumps({"with": {}}))
    assert shared.answer()["kind"] == "KeyError"
    assert shared.result("hello")


def test_a_half_that_raises_is_an_error_with_its_trace_and_the_agent_lives_on(running: Dialogue, tmp_path: Path) -> None:
    half = tmp_path / "half.py"
    half.write_text("def probe():\n    return {}\n\nraise OSError('no /dev/npu here')\n")
    answer = running.ask("load", role="runtime", path=str(half), sha256=cache.sha256(half))
    assert answer["error"] == "OSError: no /dev/npu here"
    assert f'{half}", line 4' in answer["trace"]
    assert running.ask("probe")["result"] == {}, "a half that failed to load is not there"


def test_a_half_with_other_bytes_than_announced_is_refused_and_not_run(shared: Dialogue, tmp_path: Path) -> None:
    half, trace = tmp_path / "half.py", tmp_path / "it-ran"
    half.write_text("X = 1\n")
    announced = cache.sha256(half)
    half.write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n")
    answer = shared.ask("load", role="runtime", path=str(half), sha256=announced)
    assert announced[:12] in answer["error"]
    assert cache.sha256(half)[:12] in answer["error"]
    assert not trace.exists()


def test_a_half_cannot_import_what_lies_beside_the_agent(shared: Dialogue, tmp_path: Path) -> None:
    half = tmp_path / "half.py"
    half.write_text("import runner\n")
    assert "No module named 'runner'" in shared.ask("load", role="runtime", path=str(half), sha256=cache.sha256(half))["error"]


# --- the protocol's pipe -----------------------------------------------------------------------------------------------------------


def test_what_a_runtime_prints_in_python_or_in_c_goes_to_stderr_and_never_into_the_protocol(opened: Dialogue) -> None:
    for stage in ("steady", "pipeline"):
        assert opened.result("measure", stage=stage, min_count=2)["count"] >= 2
    opened.result("close")
    code, noise = opened.end()
    assert code == 0
    for said in ("print in import", "write(1) in open", "puts in describe", "a forged answer", "stderr in close", "an answer"):
        assert said in noise


def test_a_half_that_reads_stdin_gets_nothing_of_the_protocol(running: Dialogue, tmp_path: Path) -> None:
    half = tmp_path / "half.py"
    half.write_text("import sys\n\ndef probe():\n    return {'read': sys.stdin.read()}\n")
    running.load("runtime", half)
    running.send(json.dumps({"do": "probe"}) + "\n" + json.dumps({"do": "hello"}))
    assert running.answer()["result"]["runtime"] == {"read": ""}
    assert running.answer()["result"]["pid"] == running.process.pid


def test_a_request_of_a_megabyte_arrives_whole(shared: Dialogue) -> None:
    assert len(shared.ask("x" * 1_000_000)["error"]) > 1_000_000


def test_the_end_of_input_ends_the_process(opened: Dialogue) -> None:
    assert opened.end()[0] == 0


def test_the_end_of_input_ends_sampling(running: Dialogue) -> None:
    for role, path in host():
        running.load(role, path)
    running.send(json.dumps({"do": "sample", "with": {"hertz": 50, "pid": 0}}))
    assert running.receive()["event"] == "sampling"
    assert running.end()[0] == 0


def test_ctrl_c_is_left_to_the_harness(shared: Dialogue) -> None:
    shared.result("hello")
    shared.process.send_signal(signal.SIGINT)
    assert shared.result("hello")["pid"] == shared.process.pid


# --- clockwork ---------------------------------------------------------------------------------------------------------------------


class Hands:
    """A clock whose hands are moved."""

    def __init__(self) -> None:
        self.now = 1_000_000_000

    def __call__(self) -> int:
        self.now += 100  # reading a clock takes time
        return self.now

    def move(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    clock = Hands()
    monkeypatch.setattr(agent, "clock", clock)
    return clock


def quiet(_: object) -> None:
    """For whom progress is of no interest."""


def _run(step: Callable[[], object], count: int, seconds: float, most: float = 60.0, say: Callable[[Any], None] = quiet) -> dict[str, Any]:
    """`agent.measure` on items of one phase, in this process."""
    return agent.measure(lambda _: [("infer", step)], "steady", {"infer": 4.0}, count, seconds, most, say)


def test_a_stage_needs_its_count_and_its_seconds(hands: Hands) -> None:
    by_count = _run(lambda: hands.move(0.002), count=40, seconds=0.01)
    assert (by_count["count"], by_count["ended"]) == (40, "rule")
    by_seconds = _run(lambda: hands.move(0.002), count=10, seconds=0.1)
    assert (by_seconds["count"], by_seconds["ended"]) == (50, "rule")
    assert by_seconds["spans"][0]["items"] == 4.0


def test_no_stage_is_longer_than_its_limit_by_more_than_an_item(hands: Hands) -> None:
    found = _run(lambda: hands.move(0.04), count=1000, seconds=0.0, most=0.1)
    assert (found["count"], found["ended"]) == (3, "max_seconds")
    assert _run(lambda: hands.move(0.5), count=1000, seconds=0.0, most=0.1)["count"] == 1


def test_a_stage_ends_before_its_spans_fill_the_memory(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "MAX_SPANS", 5)
    found = _run(lambda: hands.move(0.002), count=1000, seconds=1000)
    assert (found["count"], found["ended"]) == (5, "max_spans")


def test_covariates_are_read_no_more_often_than_every_millisecond(hands: Hands) -> None:
    found = _run(lambda: hands.move(0.000_010), count=1000, seconds=0.0)
    blocks = found["blocks"]
    assert found["count"] == 1000  # the stage ends with its last item, also in the middle of a block
    assert len(blocks["begin_ns"]) == 10  # a block has some 98 items: reading the clock takes its time, too
    assert all(end - begin >= agent.BLOCK_NS for begin, end in zip(blocks["begin_ns"], blocks["end_ns"], strict=True))
    assert all(begin >= end for begin, end in zip(blocks["begin_ns"][1:], blocks["end_ns"], strict=False))
    assert all(len(blocks[name]) == 10 and min(blocks[name]) >= 0 for name in ("cpu_ns", "switches", "faults"))


def test_a_span_holds_the_call_and_nothing_else(hands: Hands) -> None:
    def steps(_: int) -> list[tuple[str, Callable[[], object]]]:
        hands.move(0.7)  # preparing an item takes its time
        return [("encode", lambda: hands.move(0.003)), ("decode", lambda: hands.move(0.001))]

    found = agent.measure(steps, "steady", {}, 3, 0.0, 60.0, quiet)
    lengths = {one["phase"]: [end - begin for begin, end in zip(one["begin_ns"], one["end_ns"], strict=True)] for one in found["spans"]}
    assert lengths == {"encode": [3_000_100] * 3, "decode": [1_000_100] * 3}


def test_a_step_that_raises_is_an_error_and_garbage_is_collected_again() -> None:
    def fail() -> None:
        raise RuntimeError("the device is gone")

    with pytest.raises(RuntimeError, match="device is gone"):
        _run(fail, count=1, seconds=0.0)
    assert gc.isenabled()


def test_a_long_stage_tells_every_second_how_far_it_is(hands: Hands) -> None:
    said: list[dict[str, Any]] = []
    _run(lambda: hands.move(0.3), count=1, seconds=3.5, say=said.append)
    assert [(one["event"], one["stage"], one["count"]) for one in said] == [("progress", "steady", 4), ("progress", "steady", 8)]
    assert said[0]["seconds"] == pytest.approx(1.2, abs=0.01)


def test_spans_are_in_order_and_the_phases_of_an_item_follow_one_another(opened: Dialogue) -> None:
    found = opened.result("measure", stage="pipeline", min_count=5)
    phases = {spans["phase"]: spans for spans in found["spans"]}
    assert list(phases) == ["preprocess", "infer", "postprocess"]
    assert {spans["stage"] for spans in found["spans"]} == {"pipeline"}
    assert [phases[name]["items"] for name in phases] == [1.0, 3.0, 1.0], "items by phase as the task says, else 1"
    by_item = zip(*(list(zip(spans["begin_ns"], spans["end_ns"], strict=True)) for spans in phases.values()), strict=True)
    stamps = [stamp for item in by_item for span in item for stamp in span]
    assert len(stamps) == 6 * found["count"]
    assert all(earlier <= later for earlier, later in itertools.pairwise(stamps))
    assert max(found["memory"].values()) > 1e6


def test_a_task_may_have_a_first_inference_of_its_own(opened: Dialogue) -> None:
    phases = {stage: [one["phase"] for one in opened.result("measure", stage=stage)["spans"]] for stage in ("first", "warmup", "steady")}
    assert phases == {"first": ["cold"], "warmup": ["infer"], "steady": ["infer"]}


@pytest.fixture
def streaming(running: Dialogue) -> Iterator[Dialogue]:
    """An agent that is waited for no longer than a minute: one that says nothing is ended."""
    timer = threading.Timer(60.0, running.process.kill)
    timer.start()
    yield running
    timer.cancel()


# --- sampling ----------------------------------------------------------------------------------------------------------------------


def test_the_first_request_after_sample_ends_it_and_every_row_has_every_channel(running: Dialogue) -> None:
    for role, path in host():
        running.load(role, path)
    begun = time.perf_counter_ns()
    running.send(json.dumps({"do": "sample", "with": {"hertz": 100, "pid": os.getpid()}}))
    said = running.receive()
    assert said["event"] == "sampling"
    time.sleep(0.15)
    running.send(json.dumps({"do": "close"}))
    piece = running.receive()
    found = running.answer()["result"]
    assert "state" in running.answer()["result"], "the request that ended the sampling is answered, too"
    assert found["channels"] == said["channels"] != []
    assert piece["event"] == "rows"
    assert {len(row) for row in piece["rows"]} == {len(found["channels"])}
    assert len(piece["rows"]) == len(piece["t_ns"]) > 3
    assert begun < piece["t_ns"][0]
    assert piece["t_ns"] == sorted(piece["t_ns"])
    assert piece["t_ns"][-1] < time.perf_counter_ns()
    assert found["read_error_ns"] > 0


SENSORS = """
class Sensors:
    totals = [{"scope": "module", "sites": ["a", "b"], "source": "its maker", "note": ""}]
    absent = []

    def __init__(self, pid, covers):
        self.channels = [{"site": "a", "kind": "power", "unit": "W", "scope": "rail"}, {"site": "b", "kind": "power", "unit": "W", "scope": "rail"}]
        self.count = 0

    def read(self):
        self.count += 1
        return [float(self.count), None if self.count % 2 else 0.0]

    def close(self):
        pass
"""

WIDE = """
class Sensors:
    totals = absent = []
    channels = [{"site": str(number)} for number in range(40)]

    def __init__(self, pid, covers):
        self.status = open("/proc/self/statm", "rb", buffering=0)

    def read(self):
        self.status.seek(0)
        return [int(self.status.read(60).split()[1]) * 4096.0] * len(self.channels)

    def close(self):
        self.status.close()
"""


def test_rows_come_in_pieces_in_order_with_a_missed_read_as_none_and_a_zero_as_zero(streaming: Dialogue, tmp_path: Path) -> None:
    half = tmp_path / "board.py"
    half.write_text(SENSORS)
    streaming.load("board", half)
    streaming.send(json.dumps({"do": "sample", "with": {"hertz": 5000, "pid": 0}}))
    assert streaming.receive()["event"] == "sampling"
    rows: list[list[float | None]] = []
    while len(rows) < 1500:  # handed over while the sampling goes on: nobody has asked for anything
        message = streaming.receive()
        assert 0 < len(message["rows"]) == len(message["t_ns"]) <= 500
        rows += message["rows"]
    streaming.send(json.dumps({"do": "clock"}))
    while (message := streaming.receive()).get("event") == "rows":
        rows += message["rows"]
    assert rows == [[float(one), None if one % 2 else 0.0] for one in range(1, len(rows) + 1)]
    assert message["result"]["totals"][0]["sites"] == ["a", "b"]
    assert "rows" not in message["result"]


def test_a_sampler_takes_no_more_memory_the_longer_it_samples(streaming: Dialogue, tmp_path: Path) -> None:
    half = tmp_path / "board.py"
    half.write_text(WIDE)
    streaming.load("board", half)
    streaming.send(json.dumps({"do": "sample", "with": {"hertz": 20_000, "pid": 0}}))
    assert streaming.receive()["event"] == "sampling"
    grown = [0.0]
    while len(grown) < 18_000:  # half an hour at 10 Hz; to keep so many rows of 40 numbers would take 6 MB at least
        grown += [row[0] for row in streaming.receive()["rows"]]
    assert grown[-1] - grown[1000] < 1e6


# --- changing the machine and undoing it -------------------------------------------------------------------------------------------

PINS = """
import pathlib
FILE = pathlib.Path(__file__ + ".governor")

def snapshot(wanted):
    return {"governor": FILE.read_text()}

def pin(wanted):
    FILE.write_text(wanted["governor"])
    return {"requested": wanted, "achieved": {"governor": FILE.read_text()}, "problems": [], "note": ""}

def restore(snapshot, rebooted):
    if rebooted:
        return {"restored": [], "failed": []}
    if not FILE.exists():
        return {"restored": [], "failed": [{"what": "gone", "fix": "none"}]}
    FILE.write_text(snapshot["governor"])
    return {"restored": ["governor"], "failed": []}
"""


@pytest.fixture
def pinning(running: Dialogue, tmp_path: Path) -> tuple[Dialogue, Path, Path]:
    """An agent with a board half that sets one file; that file, and where the agent keeps what it was."""
    half = tmp_path / "board.py"
    half.write_text(PINS)
    governor = tmp_path / "board.py.governor"
    governor.write_text("ondemand")
    running.load("board", half)
    return running, governor, tmp_path / "changed.json"


def test_what_undoes_a_change_is_on_the_disk_before_the_change(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    state.mkdir()  # so that it cannot be written
    answer = agent.ask("pin", wanted={"governor": "performance"}, state=str(state))
    assert "error" in answer
    assert governor.read_text() == "ondemand", "and without it nothing is changed"
    state.rmdir()
    pinned = agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    assert pinned["achieved"] == {"governor": "performance"}
    assert [one["snapshot"] for one in json.loads(state.read_text())] == [{"governor": "ondemand"}]


def test_a_restore_by_another_agent_puts_everything_back_once(pinning: tuple[Dialogue, Path, Path], tmp_path: Path) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    agent.process.kill()
    with Dialogue() as another:
        another.load("board", tmp_path / "board.py")
        assert another.result("restore", state=str(state))["restored"] == ["governor"]
        assert governor.read_text() == "ondemand"
        assert not state.exists()
        governor.write_text("powersave")
        assert another.result("restore", state=str(state)) == {}
        assert governor.read_text() == "powersave"


def test_what_could_not_be_restored_can_be_tried_again(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    governor.unlink()
    assert agent.result("restore", state=str(state))["failed"]
    governor.write_text("performance")
    assert agent.result("restore", state=str(state))["restored"] == ["governor"]
    assert governor.read_text() == "ondemand"


def test_a_second_pin_before_a_restore_keeps_what_the_machine_was_at_first(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    agent.result("pin", wanted={"governor": "userspace"}, state=str(state))
    agent.result("restore", state=str(state))
    assert governor.read_text() == "ondemand"


def test_after_a_reboot_the_half_is_told_so(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    another_boot(state)
    assert agent.result("restore", state=str(state)) == {"restored": [], "failed": []}
    assert governor.read_text() == "performance"
    assert not state.exists()


def another_boot(state: Path) -> None:
    """Let what was kept be of an earlier boot."""
    state.write_text(json.dumps([{**one, "boot": "another"} for one in json.loads(state.read_text())]))


def test_what_another_half_changed_stays_remembered_until_that_half_restores_it(pinning: tuple[Dialogue, Path, Path], tmp_path: Path) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    other = tmp_path / "host.py"
    other.write_text("def restore(snapshot, rebooted):\n    return {'restored': [], 'failed': []}\n")
    with Dialogue() as another:
        another.load("board", other)
        (failed,) = another.result("restore", state=str(state))["failed"]
    assert "board half board" in failed["what"]
    assert governor.read_text() == "performance"
    assert agent.result("restore", state=str(state))["restored"] == ["governor"]
    assert governor.read_text() == "ondemand"
    assert not state.exists()


def test_what_could_not_be_restored_does_not_keep_a_later_change_from_being_undone(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    governor.unlink()
    assert agent.result("restore", state=str(state))["failed"]
    another_boot(state)  # only what it takes to undo the change of that boot
    governor.write_text("powersave")
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    assert agent.result("restore", state=str(state)) == {"restored": ["governor"], "failed": []}
    assert governor.read_text() == "powersave"
    assert not state.exists()


def test_a_snapshot_that_the_half_cannot_read_keeps_no_other_from_being_undone(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    agent.result("pin", wanted={"governor": "performance"}, state=str(state))
    kept = json.loads(state.read_text())
    state.write_text(json.dumps([*kept, {**kept[0], "snapshot": {}}]))
    answer = agent.result("restore", state=str(state))
    assert answer["restored"] == ["governor"]
    assert "KeyError" in answer["failed"][0]["what"]
    assert governor.read_text() == "ondemand"
    assert len(json.loads(state.read_text())) == 1


def test_a_file_that_does_not_tell_how_to_undo_a_change_is_named_and_nothing_is_changed(pinning: tuple[Dialogue, Path, Path]) -> None:
    agent, governor, state = pinning
    for text in ("", "[1]", '{"boot": "", "snapshot": {}}'):
        state.write_text(text)
        for verb, more in (("restore", {}), ("pin", {"wanted": {"governor": "performance"}})):
            error = agent.ask(verb, state=str(state), **more)["error"]
            assert str(state) in error
            assert "reboot, then remove it" in error
    assert governor.read_text() == "ondemand"


# --- the idle window, and many items in one span -----------------------------------------------------------------------------------


def test_a_rest_is_one_span_of_at_least_its_length(shared: Dialogue) -> None:
    span = shared.result("rest", seconds=0.05)["spans"][0]
    assert (span["stage"], span["phase"]) == ("idle", "idle")
    assert span["end_ns"][0] - span["begin_ns"][0] >= 50_000_000


def test_a_group_of_items_is_one_span_that_holds_them_all_in_order() -> None:
    ran: list[int] = []

    def item(number: int) -> list[tuple[str, Callable[[], None]]]:
        return [("infer", lambda: ran.append(number))]

    make = agent._grouped(item, 3)
    for number in range(4):
        ((phase, call),) = make(number)
        assert phase == "infer"
        call()
    assert ran == list(range(12))


def test_a_group_counts_all_its_items(opened: Dialogue) -> None:
    (spans,) = opened.result("measure", stage="sustain", min_count=4, group=5)["spans"]
    assert len(spans["begin_ns"]) == 4
    assert spans["items"] == 5 * opened.result("measure", stage="steady", min_count=1)["spans"][0]["items"]


# --- nothing stays behind ----------------------------------------------------------------------------------------------------------

PARENT = """
import sys, time
from harness.measure.link import Local
with Local().start(1) as agent:
    print(agent.ask("hello", 60.0)["pid"], flush=True)
    time.sleep(600)
"""


def test_a_harness_killed_by_force_leaves_no_agent_behind() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    until(lambda: not alive(pid), "the agent ends with its parent")


def test_an_agent_that_does_not_listen_ends_with_its_parent_all_the_same(tmp_path: Path) -> None:
    half = tmp_path / "half.py"
    half.write_text("import pathlib, time\n\ndef probe():\n    pathlib.Path(__file__ + '.reached').touch()\n    time.sleep(600)\n")
    parent_code = PARENT.replace(
        "    time.sleep(600)",
        f"    agent.ask('load', 60.0, role='runtime', path={str(half)!r}, sha256={cache.sha256(half)!r})\n    agent.ask('probe', 600.0)",
    )
    with subprocess.Popen([sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        until((tmp_path / "half.py.reached").exists, "the half runs")
        parent.kill()
    until(lambda: not alive(pid), "the agent ends in the middle of its work")
