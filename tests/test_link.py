"""Reaching an agent: time-outs, workers that end, and that nothing which a worker started survives the block."""

from __future__ import annotations

import dis
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from harness import cache
from harness.errors import Cut, LinkError, Stable, Transient
from harness.measure import link, runner
from harness.measure.artifacts import Workshop
from harness.measure.hold import Held
from harness.measure.link import Local
from harness.measure.plan import Choice, plan
from harness.record import Setting
from harness.spec import Zoo
from tests import lab
from tests.lab import PACK, ROOT, RUNTIMES, alive, group, host, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from harness.measure.link import Agent

cache_folder = lab.cache


def sent(agent: Agent, folder: Path, body: str) -> int:
    """Load a runtime half whose `probe` does `body`; the worker's process."""
    half = folder / "half.py"
    lines = "\n    ".join(body.splitlines())
    half.write_text(f"import os, pathlib, resource, signal, subprocess, sys, time\n\ndef probe():\n    {lines}\n    return {{}}\n")
    agent.ask("load", 60.0, role="runtime", path=str(half), sha256=cache.sha256(half))
    pid: int = agent.ask("hello", 60.0)["pid"]
    (folder / "worker.pid").write_text(str(pid))
    return pid


def probed(folder: Path, body: str, seconds: float = 60.0) -> None:
    """A whole block in which `body` runs in a worker."""
    with Local().start(1) as agent:
        sent(agent, folder, body)
        agent.ask("probe", seconds)


def worker(folder: Path) -> int:
    """The process that the last `sent` reached."""
    return int((folder / "worker.pid").read_text())


def test_an_agent_works_in_a_session_of_its_own_in_our_python_with_the_threads_asked_for(tmp_path: Path) -> None:
    with Local().start(3) as agent:
        threads = "os.environ['OMP_NUM_THREADS']"
        pid = sent(agent, tmp_path, f"return {{'ids': [os.getpgid(0), os.getsid(0)], 'threads': {threads}, 'python': sys.executable}}")
        assert agent.ask("probe", 60.0)["runtime"] == {"ids": [pid, pid], "threads": "3", "python": sys.executable}
    assert not alive(pid)


def test_a_sampler_that_hangs_costs_the_telemetry_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ROWS_S", 0.1)
    half = tmp_path / "board.py"
    hangs = "def __init__(self, pid, covers): pass\n    def read(self): time.sleep(600)\n    close = read\n"
    half.write_text(f"import time\nclass Sensors:\n    channels, totals = [], []\n    {hangs}")
    with Local().start(1) as sampler:
        sampler.ask("load", 60.0, role="board", path=str(half), sha256=cache.sha256(half))
        sampler.begin("sample", hertz=10, pid=0)
        sampler.wait("sampling", 60.0)
        found = runner._sensors(sampler, 10.0, "toy")
    assert (found.instrument, found.rows) == ("board:toy", [])
    assert "no answer within" in found.absent[0].reason


COUNTS = """
import pathlib

class Sensors:
    totals = absent = []
    channels = [{"site": "a"}]

    def __init__(self, pid, covers):
        self.count = 0

    def read(self):
        self.count += 1
        if self.count == 20_000:
            pathlib.Path(__file__ + ".done").touch()
        return [self.count]

    def close(self):
        pass
"""


def test_a_sampler_goes_on_while_the_worker_is_waited_for_however_much_it_says(tmp_path: Path) -> None:
    half = tmp_path / "board.py"
    half.write_text(COUNTS)
    link = Local()
    with link.start(1) as worker, link.start(1) as sampler:
        sampler.ask("load", 60.0, role="board", path=str(half), sha256=cache.sha256(half))
        sampler.begin("sample", hertz=50_000, pid=0)
        sampler.wait("sampling", 60.0)
        sent(worker, tmp_path, f"while not os.path.exists({str(half) + '.done'!r}): time.sleep(0.01)")
        worker.ask("probe", 60.0)  # a pipe holds not a quarter of the rows that it waits for
        rows: list[float] = []
        sampler.begin("clock")
        sampler.finish(60.0, lambda event: rows.extend(row[0] for row in event["rows"]))
    assert rows == list(range(1, len(rows) + 1))
    assert len(rows) >= 20_000


class Away(Local):
    """A board whose link has stayed cut."""

    tries = 0

    def start(self, threads: int) -> NoReturn:
        self.tries += 1
        raise Cut(f"the link stayed cut, {threads} threads", "look at the cable")


def test_after_a_link_that_stayed_cut_no_session_is_tried_before_the_machine_is_held_anew(cache_folder: Path) -> None:
    zoo, away = Zoo([PACK]), Away()
    (session,) = plan(zoo, Choice("lab", ("tiny",), runtimes=("chatty",), precisions=("fp32",), scenarios=("single-stream",)))
    with Workshop(zoo) as workshop:
        bench = runner.Bench(zoo, away, Held("", {}, {}, {}), workshop, "a-campaign", Setting("synthetic", "default"))
        record = runner.run(bench, session)
    assert (record.status, record.fix) == ("failed", "look at the cable")
    assert bench.lost
    assert away.tries == 1


def test_an_answer_that_does_not_come_in_time_is_transient_and_the_worker_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="no answer within 0 s") as caught:
        probed(tmp_path, "time.sleep(600)", 0.1)
    assert caught.value.fix
    assert not group(worker(tmp_path))


def test_progress_does_not_put_off_the_end_of_the_time() -> None:
    seen: list[dict[str, Any]] = []
    with Local().start(1) as agent:
        for role, path in host():
            agent.ask("load", 60.0, role=role, path=str(path), sha256=cache.sha256(path))
        with pytest.raises(Transient):
            agent.ask("sample", 0.5, seen.append, hertz=10, pid=0)
    assert [one["event"] for one in seen] == ["sampling"]


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_worker_that_dies_of_a_signal_is_stable_and_the_signal_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(Stable, match=f"ended by itself: {name}") as caught:
        probed(tmp_path, f"resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.kill(os.getpid(), signal.{name})")
    assert caught.value.fix


def test_a_killed_worker_is_told_from_one_that_fell(tmp_path: Path) -> None:
    with pytest.raises(Stable, match=r"killed \(SIGKILL\).*want of memory") as caught:
        probed(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert "memory" in caught.value.fix


def test_a_worker_that_leaves_is_stable_with_its_exit_code(tmp_path: Path) -> None:
    with pytest.raises(Stable, match="exit code 7"):
        probed(tmp_path, "sys.exit(7)")


def test_a_request_to_a_worker_that_has_ended_says_so(tmp_path: Path) -> None:
    with Local().start(1) as agent:
        pid = sent(agent, tmp_path, "pass")
        os.kill(pid, signal.SIGKILL)
        until(lambda: not alive(pid), "it is dead")
        with pytest.raises(Stable, match="SIGKILL"):
            agent.ask("hello", 60.0)


def test_a_refusal_is_stable_and_carries_the_trace(tmp_path: Path) -> None:
    with Local().start(1) as agent:
        sent(agent, tmp_path, "raise ValueError('no such core')")
        with pytest.raises(Stable, match="ValueError: no such core") as caught:
            agent.ask("probe", 60.0)
        assert "half.py" in caught.value.detail
        assert agent.ask("hello", 60.0), "and the agent lives on"


def test_last_words_outside_the_protocol_are_kept_as_far_as_they_matter(tmp_path: Path) -> None:
    with Local().start(1) as agent:
        sent(agent, tmp_path, "os.write(2, b'x' * 20000 + b'the driver says: \\xff enough')")
        agent.ask("probe", 60.0)
        assert agent.stderr().endswith("the driver says: \N{REPLACEMENT CHARACTER} enough")
        assert len(agent.stderr()) <= 8000
        sent(agent, tmp_path, "os.write(2, b' and more')")
        agent.ask("probe", 60.0)
        assert agent.stderr().endswith("enough and more"), "reading does not move where the worker writes"


# --- nothing stays behind ----------------------------------------------------------------------------------------------------------

STRAY = "pathlib.Path(__file__ + '.pid').write_text(str(subprocess.Popen(['sleep', '600']).pid))"
FORKED = "pid = os.fork()\nif not pid:\n    time.sleep(600)\npathlib.Path(__file__ + '.pid').write_text(str(pid))"


def stray(folder: Path) -> int:
    """The child that the worker left."""
    return int((folder / "half.py.pid").read_text())


@pytest.mark.parametrize("body", [STRAY, FORKED], ids=["started", "forked"])
def test_a_child_that_a_worker_left_running_does_not_survive_the_block(tmp_path: Path, body: str) -> None:
    with Local().start(1) as agent:
        sent(agent, tmp_path, body)
        agent.ask("probe", 60.0)
        assert alive(stray(tmp_path))
    until(lambda: not group(worker(tmp_path)), "the whole group ends with the block")
    assert not alive(stray(tmp_path))


def test_a_worker_that_died_leaves_no_child_either(tmp_path: Path) -> None:
    with pytest.raises(Stable, match="exit code 3"):
        probed(tmp_path, f"{STRAY}\nos._exit(3)")
    until(lambda: not group(worker(tmp_path)), "the whole group ends with the block")
    assert not alive(stray(tmp_path))


def test_a_worker_that_died_is_noticed_although_a_child_of_it_holds_the_pipe(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(Stable, match="exit code 3"):
        probed(tmp_path, f"{FORKED}\nos._exit(3)", 120.0)
    assert time.monotonic() - begun < 60, "long before the time for the answer is over"
    until(lambda: not alive(stray(tmp_path)), "the child ends with the block")


def test_the_group_is_gone_after_an_exception_in_the_block(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Local().start(1) as agent:
            sent(agent, tmp_path, STRAY)
            agent.ask("probe", 60.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    until(lambda: not group(worker(tmp_path)), "the whole group ends with the block")


def each_line(function: Callable[..., Any], action: Callable[[], None]) -> Iterator[bool]:
    """Run `action` again and again, with Ctrl-C at the first, second ... of the lines of `function` that run before it returns or yields."""
    code = inspect.unwrap(function).__code__

    def at(wanted: int) -> bool:
        lines, caught = set[int](), False

        def local(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line" and frame.f_code.co_code[frame.f_lasti] != dis.opmap["NOP"]:  # there Ctrl-C never comes, and no handler is ready
                lines.add(frame.f_lineno)
                if len(lines) == wanted:
                    lines.update(range(-1000, 0))  # once
                    raise KeyboardInterrupt
            if event == "return":
                lines.update(range(-1000, 0))
            return local if len(lines) < wanted else None

        sys.settrace(lambda frame, *_: local if frame.f_code is code and len(lines) < wanted else None)
        try:
            action()
        except KeyboardInterrupt:
            caught = True
        finally:
            sys.settrace(None)
        return caught

    number = 1
    while at(number):
        yield True
        number += 1
    assert number > 2, "some lines have run"


def test_ctrl_c_at_any_line_of_the_start_leaves_no_agent() -> None:
    def start() -> None:
        with Local().start(1):
            pass

    for interrupted in each_line(Local.start, start):
        assert interrupted
        assert not [pid for pid in children() if alive(pid)]


def children() -> list[int]:
    """The agents that this process has started."""
    found = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()
    return [int(pid) for pid in found if str(link.AGENT) in Path(f"/proc/{pid}/cmdline").read_text()]


def stuck(monkeypatch: pytest.MonkeyPatch, inside: BaseException | None) -> None:
    """A block whose agent cannot be ended, as one that a driver holds."""
    monkeypatch.setattr(link, "STUCK_S", 0.1)
    monkeypatch.setattr(link, "END_S", 0.1)
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    agents: list[subprocess.Popen[bytes]] = []
    try:
        with Local().start(1) as agent:
            assert isinstance(agent, link._Process)
            agents.append(agent.process)
            agent.process.send_signal(signal.SIGSTOP)
            if inside:
                raise inside
    finally:
        agents[0].kill()
        agents[0].wait()


@pytest.mark.parametrize("inside", [None, Transient("no answer within 5 s", "")], ids=["", "after another failure"])
def test_an_agent_that_cannot_be_ended_is_named_and_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch, inside: LinkError | None) -> None:
    with pytest.raises(Stable, match=r"process \d+ cannot be ended: .*driver") as caught:
        stuck(monkeypatch, inside)
    assert "restart" in caught.value.fix
    assert caught.value.detail == (str(inside) if inside else "")


def test_ctrl_c_stays_ctrl_c_where_an_agent_cannot_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        stuck(monkeypatch, KeyboardInterrupt())
    assert "cannot be ended" in caught.value.__notes__[0]


def test_an_agent_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PROTOCOL", 0)
    with pytest.raises(Stable, match="not the one of this harness"), Local().start(1):
        pytest.fail("the block must not be entered")


def test_a_file_is_put_where_it_already_is() -> None:
    assert Local().put([RUNTIMES / ".." / "runtimes" / "chatty.py"]) == [str(RUNTIMES / "chatty.py")]


HOLDER = """
import sys
from harness.measure.link import Local
with Local().hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_machine_that_another_socbench_measures_on_is_refused_with_who_it_is(tmp_path: Path) -> None:
    env = {**os.environ, "SOCBENCH_CACHE": str(tmp_path)}
    words = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env) as first:
        assert first.stdout
        assert first.stdin
        assert first.stdout.readline() == "held\n"
        second = subprocess.run(words, input="", capture_output=True, text=True, cwd=ROOT, env=env, timeout=60, check=False)
        assert f"another socbench measures on this machine: process {first.pid} since 20" in second.stderr
        first.stdin.close()
        first.wait()
        third = subprocess.run(words, input="", capture_output=True, text=True, cwd=ROOT, env=env, timeout=60, check=False)
        assert (third.returncode, third.stdout) == (0, "held\n")


def test_a_machine_is_not_held_from_here_and_over_ssh_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOCBENCH_BOARD", f"a-board-of-{os.getpid()}")
    monkeypatch.setenv("SOCBENCH_CACHE", str(tmp_path))
    place = f"\0socbencha-board-of-{os.getpid()}\0"  # where a keeper listens: kept.NAME
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.bind(place)
        with pytest.raises(Stable, match="another socbench holds this machine, over SSH"), Local().hold():
            pytest.fail("it was held twice")
    with Local().hold(), socket.socket(socket.AF_UNIX) as keeper, pytest.raises(OSError, match="in use"):
        keeper.bind(place)
    with socket.socket(socket.AF_UNIX) as keeper:
        keeper.bind(place)
