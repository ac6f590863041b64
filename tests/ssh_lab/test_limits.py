"""What a board lacks, and who else is on it, seen by the harness: a clear message with a fix, nothing left behind, and what can go on goes on."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import Stable, Transient
from harness.measure.ssh import Ssh
from tests.lab import until
from tests.ssh_lab.work import COUNT, holding, left_clean

if TYPE_CHECKING:
    from harness.measure.link import Agent
    from tests.ssh_lab.board import Board
    from tests.ssh_lab.conftest import Lab

SECONDS = 60.0


def refusal(board: Board) -> Stable:
    """Why the board cannot be held; nothing was written on it."""
    before = board.files() | board.passing()
    with pytest.raises(Stable) as caught, Ssh(board.name).hold():
        pass
    left_clean(board, before)
    assert board.files() | board.passing() == before
    assert caught.value.fix
    return caught.value


def pid_on(board: Board, agent: Agent) -> int:
    """The agent's process, as the lab numbers it."""
    number = agent.ask("hello", SECONDS)["pid"]
    [found] = [pid for pid in board.processes() if re.search(rf"^NSpid:.*\t{number}$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)]
    return found


# --- disk and memory ---------------------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_before_is_said_and_nothing_is_written(spare: Board) -> None:
    spare.fill(leave=1_000_000)
    error = refusal(spare)
    assert "disk is nearly full" in error.what
    assert "1.0 MB are free" in error.what


def test_a_disk_that_fills_up_meanwhile_refuses_the_upload_and_loses_no_result(spare: Board, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(os.urandom(3_000_000))
    with holding(spare) as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, COUNT)  # it also prints: a runtime that cannot would fail
        spare.fill()
        with pytest.raises(Stable, match=r"space|full") as caught:
            held.link.put([tmp_path / "model.bin"])
        assert spare.name in caught.value.what
        assert caught.value.fix
        assert agent.ask("probe", SECONDS)["runtime"] == {"numbers": list(range(30000))}
        spare.empty()
        held.link.put([tmp_path / "model.bin"])


def test_a_runtime_that_takes_too_much_memory_is_told_as_that_and_the_next_one_runs(spare: Board, tmp_path: Path) -> None:
    with holding(spare) as held:
        spare.memory(200 << 20)
        with held.link.start(1) as agent:
            held.half(agent, tmp_path, "taken = b'x' * (1 << 30)")
            with pytest.raises(Stable, match=r"killed \(SIGKILL\), most likely by the kernel for want of memory"):
                agent.ask("probe", SECONDS)
        with held.link.start(1) as agent:
            held.half(agent, tmp_path, COUNT)
            assert agent.ask("probe", SECONDS)["runtime"]


# --- what is installed -------------------------------------------------------------------------------------------------------------


def test_a_board_without_python_is_refused(spare: Board) -> None:
    spare.no_python()
    error = refusal(spare)
    assert "no Python was found; Python 3.8 or newer with numpy is needed" in error.what
    assert "apt install python3" in error.fix


def test_a_board_whose_python_is_3_7_is_refused(spare: Board) -> None:
    spare.old_python()
    assert "its Python is too old: /usr/bin/python3 is 3.7.3" in refusal(spare).what


def test_a_board_without_numpy_is_refused(lab: Lab) -> None:
    board = lab.board("without", numpy=False)
    error = refusal(board)
    assert "has no numpy" in error.what
    assert "python3-numpy" in error.fix
    lab.scrap(board)


# --- the account -------------------------------------------------------------------------------------------------------------------


def test_with_a_read_only_home_another_folder_is_used_and_that_is_said(spare: Board, tmp_path: Path) -> None:
    spare.read_only("/root")
    said: list[str] = []
    link = Ssh(spare.name, say=said.append)
    with link.hold(), link.start(1) as agent:
        assert link.state_file().startswith("/var/tmp/socbench-0/")
        assert agent.ask("hello", SECONDS)["python"]
    assert said == [f"{spare.name}: ~/.cache/socbench: Read-only file system; using /var/tmp/socbench-0 instead".replace("~", "/root")]
    until(lambda: not spare.processes(), "all to end")
    assert not [path for path in spare.files() if not path.startswith("/var/tmp/socbench-0/store/")]


def test_an_account_that_is_not_root_works_in_its_own_home(native: Board, tmp_path: Path) -> None:
    with holding(native, f"bench@{native.name}") as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, "return {'uid': os.getuid(), 'home': os.path.expanduser('~')}")
        assert agent.ask("probe", SECONDS)["runtime"] == {"uid": 1000, "home": "/home/bench"}
        assert held.link.state_file().startswith("/home/bench/.cache/socbench/")


def test_a_login_shell_that_talks_is_not_listened_to(spare: Board, tmp_path: Path) -> None:
    (spare.root / "root/.bashrc").write_text('echo "Welcome to the board"; echo \'{"result": "forged"}\'; echo "low disk" >&2\n')
    with holding(spare) as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, COUNT)
        assert agent.ask("probe", SECONDS)["runtime"] == {"numbers": list(range(30000))}


# --- runtimes ----------------------------------------------------------------------------------------------------------------------

CHATTER = """
import ctypes
libc = ctypes.CDLL(None)
for turn in range(200):
    print("print")
    os.write(1, b'{"result": "a forged answer"}\\n' * 50)
    libc.puts(b"puts")
libc.fflush(None)
return {"answer": 42}
"""
HANG = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "1000"], start_new_session=True)
time.sleep(1000)
"""


def test_a_runtime_that_prints_to_stdout_forges_no_answer(native: Board, tmp_path: Path) -> None:
    with holding(native) as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, CHATTER)
        assert agent.ask("probe", SECONDS)["runtime"] == {"answer": 42}
        assert "a forged answer" in agent.stderr()


def test_a_runtime_that_hangs_is_late_and_is_ended_with_all_it_started(native: Board, tmp_path: Path) -> None:
    with holding(native) as held:
        with held.link.start(1) as agent:
            held.half(agent, tmp_path, HANG)
            with pytest.raises(Transient, match="no answer within 2 s"):
                agent.ask("probe", 2.0)
            assert "sleep 1000" in native.processes().values()
        with held.link.start(1) as agent:
            assert agent.ask("clock", SECONDS)


def test_an_agent_that_is_killed_is_told_as_that_and_the_next_one_runs(native: Board, tmp_path: Path) -> None:
    with holding(native) as held:
        with held.link.start(1) as agent:
            held.half(agent, tmp_path, COUNT)
            pid = pid_on(native, agent)
            agent.begin("probe")
            until(held.begun, "the work to begin")
            os.kill(pid, signal.SIGSEGV)
            with pytest.raises(Stable, match="the worker ended by itself: SIGSEGV"):
                agent.finish(SECONDS)
            native.run("rm /dev/shm/begun")
        with held.link.start(1) as agent:
            held.half(agent, tmp_path, COUNT)
            assert agent.ask("probe", SECONDS)["runtime"]


# --- others, and time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["", "bench@"])
def test_the_second_harness_on_a_board_is_told_who_holds_it_and_the_first_goes_on(native: Board, tmp_path: Path, other: str) -> None:
    with holding(native, campaign="20261122T140000Z-ab12") as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, COUNT)
        agent.begin("probe")
        until(held.begun, "the work to begin")
        who = f"is held by root@.* \\(process {os.getpid()}, campaign 20261122T140000Z-ab12\\) since 20"
        with pytest.raises(Stable, match=who) as caught, Ssh(f"{other}{native.name}").hold():
            pass
        assert "socbench restore" in caught.value.fix
        assert agent.finish(SECONDS)["runtime"] == {"numbers": list(range(30000))}


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_step_of_the_board_s_time_of_day_ends_nothing_and_moves_no_stamp(lab: Lab, tmp_path: Path, step: int) -> None:
    board = lab.board("forth" if step > 0 else "back", steps=True)
    with holding(board, lease=60.0) as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, f"begun = time.time(){COUNT.rpartition('return')[0]}return {{'took': time.time() - begun}}")
        before = agent.ask("clock", SECONDS)
        agent.begin("probe")
        until(held.begun, "the work to begin")
        board.step_clock(step)
        took = agent.finish(SECONDS)["runtime"]["took"]
        counted = (agent.ask("clock", SECONDS)["clock_ns"] - before["clock_ns"]) / 1e9
        assert 4 <= counted < 120, "the clock of the stamps goes on"
        assert took == pytest.approx(step + counted, abs=20), "the time of day did step"
    lab.scrap(board)
