"""The keeper, alone: what it is asked is done once, what it said is not lost, and it leaves nothing behind however it ends."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.measure.ssh import kept
from harness.measure.ssh.kept import Journal
from tests.lab import AGENT, PATIENCE_S, ROOT, alive, group, until, workers
from tests.test_floors import imported

ON_BOARD = [ROOT / "harness/measure" / name for name in ("keeper.py", "ssh/kept.py", "ssh/look.py", "ssh/receive.py")]
HALF = """
import os, pathlib, subprocess, sys, time
def probe():
    {}
    return {{}}
"""


class Desk:
    """A board's folder, and the harness's end of pumps to its keeper."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run = folder, folder / "run"
        self.pumps: list[subprocess.Popen[bytes]] = []
        for path in (ROOT / "harness/measure/keeper.py", ROOT / "harness/measure/ssh/kept.py", AGENT):
            shutil.copy(path, folder)
        self.environment = {**os.environ, "SOCBENCH_BOARD": f"-{folder}"[-90:]}
        self.sent = 0

    def pump(self, verb: str, have: int = 0, session: str = "s1", lease: float = 300.0) -> subprocess.Popen[bytes]:
        """A pump that has asked to be attached."""
        command = [sys.executable, "-I", "-S", str(self.folder / "keeper.py"), verb]
        pump = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment)
        self.pumps.append(pump)
        holder = {"user": "ann", "host": "desk", "pid": 1, "campaign": 'a "$(b)"\n'}
        self.say(pump, {"run": str(self.run), "session": session, "lease": lease, "holder": holder, "seconds": 60})
        if verb != "end":
            self.say(pump, {"attach": session, "have": have})
        return pump

    @staticmethod
    def say(pump: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
        assert pump.stdin
        pump.stdin.write(json.dumps(message).encode() + b"\n")
        pump.stdin.flush()

    @staticmethod
    def hear(pump: subprocess.Popen[bytes]) -> dict[str, Any]:
        """The next message; {} at the end."""
        assert pump.stdout
        while line := pump.stdout.readline():
            if line != b"\n":
                message = json.loads(line.decode().removeprefix("socbench-keeper "))
                assert isinstance(message, dict)
                return message
        return {}

    def opened(self, verb: str = "hold", have: int = 0, lease: float = 300.0) -> subprocess.Popen[bytes]:
        """A pump to a keeper that answers."""
        pump = self.pump(verb, have, lease=lease)
        assert self.hear(pump)["answer"] == "open"
        assert "attached" in self.hear(pump)
        return pump

    def ask(self, pump: subprocess.Popen[bytes], verb: str, **arguments: Any) -> Any:
        """The result of a request, whatever agents say before it."""
        self.sent += 1
        self.say(pump, {"n": self.sent, "do": verb, "with": arguments})
        while (message := self.hear(pump)).get("re") != self.sent:
            assert message, "the keeper has gone"
        return message["result"]

    def agent(self, pump: subprocess.Popen[bytes], number: int = 1) -> int:
        """A new agent's process."""
        pid: int = self.ask(pump, "start", agent=number, file=str(self.folder / "agent.py"), threads=1)["pid"]
        return pid

    def probed(self, pump: subprocess.Popen[bytes], body: str, number: int = 1) -> None:
        """Let the agent run `body`, and wait until it has."""
        for request in self.requests(body):
            self.ask(pump, "send", agent=number, line=json.dumps(request))
            while not self.hear(pump).get("data"):
                pass

    def requests(self, body: str) -> list[dict[str, Any]]:
        """What makes an agent run `body`."""
        from harness import cache

        half = self.folder / "half.py"
        half.write_text(HALF.format("\n    ".join(body.splitlines())))
        load = {"role": "runtime", "path": str(half), "sha256": cache.sha256(half)}
        return [{"do": "load", "with": load}, {"do": "probe", "with": {}}]

    def keeper(self) -> int:
        return int((self.run / "keeper.pid").read_text())

    def gone(self) -> bool:
        """Whether nothing runs and nothing lies there any more."""
        return not self.run.exists() and not self.processes()

    def processes(self) -> list[int]:
        pumps = [pump.pid for pump in self.pumps]
        return [pid for pid in workers(f"SOCBENCH_BOARD={self.environment['SOCBENCH_BOARD']}") if pid not in pumps]

    def kill(self) -> None:
        for pump in self.pumps:
            pump.kill()

    def close(self) -> None:
        self.kill()
        for pump in self.pumps:
            pump.communicate()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    watchdog = threading.Timer(2 * PATIENCE_S, desk.kill)  # what waits in vain then hears the end
    watchdog.start()
    yield desk
    watchdog.cancel()
    desk.close()
    if keeper := (desk.run / "keeper.pid").exists() and desk.keeper():
        os.kill(keeper, signal.SIGTERM)
    until(lambda: not desk.processes(), "no test leaves a process")


@pytest.mark.parametrize("path", ON_BOARD, ids=lambda path: path.name)
def test_what_runs_on_a_board_is_python_3_8_and_its_library_alone(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 8))
    assert imported(path) <= sys.stdlib_module_names | {"kept"}


def test_what_an_agent_leaves_where_it_runs_goes_with_the_keeper(desk: Desk) -> None:
    pump = desk.opened()
    desk.agent(pump)
    desk.probed(pump, "os.mkdir('cache')\npathlib.Path('cache/tuning').write_text('')")
    assert (desk.run / "cache/tuning").exists()
    desk.ask(pump, "bye")
    assert not desk.run.exists()


def test_an_agent_that_is_forgotten_before_it_has_ended_is_ended_all_the_same(desk: Desk) -> None:
    pump = desk.opened()
    agent = desk.agent(pump)
    desk.ask(pump, "send", agent=1, line='{"do": "rest", "with": {"seconds": 600}}')
    desk.ask(pump, "end", agent=1)
    desk.ask(pump, "forget", agent=1)
    while desk.hear(pump).get("ended") != -signal.SIGKILL:
        pass
    assert not alive(agent)


def test_a_keeper_has_a_session_of_its_own_and_outlives_who_started_it(desk: Desk) -> None:
    pump = desk.opened()
    keeper = desk.keeper()
    assert os.getsid(keeper) not in (os.getsid(pump.pid), os.getsid(0))
    assert {str(Path(f"/proc/{keeper}/fd/{number}").readlink()) for number in range(3)} == {os.devnull}
    pump.kill()
    pump.wait()
    desk.opened("attach")
    assert desk.keeper() == keeper


def test_a_request_is_carried_out_once_however_often_it_comes(desk: Desk) -> None:
    pump = desk.opened()
    request = {"n": 1, "do": "start", "with": {"agent": 1, "file": str(desk.folder / "agent.py"), "threads": 1}}
    for _ in range(3):
        desk.say(pump, request)
    desk.say(pump, {"n": 2, "do": "send", "with": {"agent": 1, "line": '{"do": "hello"}'}})
    desk.say(pump, {"n": 2, "do": "send", "with": {"agent": 1, "line": '{"do": "hello"}'}})
    desk.say(pump, {"n": 3, "do": "end", "with": {"agent": 1}})
    said: list[dict[str, Any]] = []
    while "ended" not in (said or [{}])[-1]:
        said.append(desk.hear(pump))
    assert [message["re"] for message in said if "re" in message] == [1, 2, 3]
    assert "".join(message.get("data", "") for message in said).count('"protocol"') == 1
    assert [message["s"] for message in said] == list(range(1, len(said) + 1))


def test_what_was_said_to_nobody_is_told_to_the_next_and_what_was_acknowledged_is_not(desk: Desk) -> None:
    pump = desk.opened()
    desk.agent(pump)
    desk.say(pump, {"n": 2, "do": "send", "with": {"agent": 1, "line": '{"do": "rest", "with": {"seconds": 0.3}}'}})
    assert desk.hear(pump)["re"] == 2
    pump.kill()
    pump.wait()
    time.sleep(0.5)  # nobody is there when the answer comes
    again = desk.opened("attach", have=1)
    first, second = desk.hear(again), desk.hear(again)
    assert (first["s"], first["re"]) == (2, 2)
    assert json.loads(second["data"])["result"]["spans"]
    desk.say(again, {"beat": 7, "ack": 3})
    assert desk.hear(again) == {"beat": 7}
    assert (desk.run / "journal").stat().st_size == 0


def test_a_line_of_megabytes_comes_whole(desk: Desk) -> None:
    pump = desk.opened()
    desk.agent(pump)
    for request in desk.requests("return {'long': 'x' * 3_000_000}"):
        desk.say(pump, {"n": desk.sent + 1, "do": "send", "with": {"agent": 1, "line": json.dumps(request)}})
        desk.sent += 1
    text = ""
    while text.count("\n") < 2:
        text += desk.hear(pump).get("data", "")
    assert json.loads(text.splitlines()[1])["result"]["runtime"] == {"long": "x" * 3_000_000}


@pytest.mark.parametrize("way", ["lease", "SIGTERM", "end"])
def test_where_nobody_is_heard_of_the_will_is_carried_out_and_nothing_is_left(desk: Desk, way: str) -> None:
    pump = desk.opened(lease=1.0 if way == "lease" else 300.0)
    agent = desk.agent(pump)
    done = desk.folder / "done"
    desk.ask(pump, "will", requests=desk.requests(f"pathlib.Path({str(done)!r}).write_text(str(os.getpid()))"), file=str(desk.folder / "agent.py"))
    if way == "SIGTERM":
        os.kill(desk.keeper(), signal.SIGTERM)
    if way == "end":
        ended = desk.pump("end")
        assert desk.hear(ended)["answer"] == "ended"
        assert desk.gone(), "it is told when all is done, not before"
    until(desk.gone, "the keeper ends")
    assert done.read_text() not in ("", str(agent)), "a fresh agent did it"
    assert not alive(agent)


def test_an_agent_that_cannot_be_killed_does_not_keep_the_settings_from_going_back(desk: Desk) -> None:
    kept = desk.folder / "kept.py"
    stuck = "\n\nJob.ended = lambda self: False  # as one that hangs in a driver\n"
    kept.write_text(kept.read_text().replace("GRACE_S = 2.0", "GRACE_S = 0.1") + stuck)
    pump = desk.opened()
    desk.agent(pump)
    done = desk.folder / "done"
    desk.ask(pump, "will", requests=desk.requests(f"pathlib.Path({str(done)!r}).write_text('restored')"), file=str(desk.folder / "agent.py"))
    desk.ask(pump, "bye")
    assert done.read_text() == "restored"
    until(desk.gone, "nothing is left")


def test_a_will_whose_agent_dies_does_not_keep_the_board(desk: Desk) -> None:
    keeper = desk.folder / "keeper.py"
    assert "WILL_S = 120.0" in keeper.read_text()
    keeper.write_text(keeper.read_text().replace("WILL_S = 120.0", "WILL_S = 1e6"))
    pump = desk.opened()
    desk.agent(pump)
    desk.ask(pump, "will", requests=desk.requests("import os; os._exit(3)"), file=str(desk.folder / "agent.py"))
    desk.ask(pump, "bye")
    until(desk.gone, "nothing is left")


def test_a_thread_of_the_kernel_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "GRACE_S", 1e12)  # everything has just begun
    assert kept._starting(str(os.getpid()))
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(path.joinpath("stat").read_text().rpartition(")")[2].split()[6]) & 0x200000:
                assert not kept._starting(path.name)


def test_an_orderly_end_is_confirmed_when_nothing_is_left(desk: Desk) -> None:
    pump = desk.opened()
    agent = desk.agent(pump)
    assert desk.ask(pump, "bye") == {}
    assert not alive(agent)
    assert not desk.run.exists()
    assert desk.hear(pump)["ended"] == 0
    assert desk.hear(pump) == {}
    until(desk.gone, "the keeper ends")


SLOW = "while not pathlib.Path({!r}).exists():\n    time.sleep(0.02)"


def test_who_comes_while_the_board_carries_out_its_will_is_told_so_and_for_how_long_at_the_most(desk: Desk) -> None:
    desk.opened()
    pump = desk.opened("attach")
    go = desk.folder / "go"
    desk.ask(pump, "will", requests=desk.requests(SLOW.format(str(go))), file=str(desk.folder / "agent.py"))
    os.kill(desk.keeper(), signal.SIGTERM)
    refused = desk.hear(desk.pump("hold", session="s2"))
    assert (refused["answer"], refused["by"]["user"], refused["by"]["same"]) == ("held", "ann", False)
    assert 0 <= refused["by"]["ending"]["for_s"] < refused["by"]["ending"]["most_s"] == 384, "two requests and a greeting of 120 s, and what is stuck"
    ours = desk.pump("attach")
    assert desk.hear(ours)["answer"] == "open"
    assert desk.hear(ours)["who"]["ending"], "and so is its own harness, instead of being attached"
    go.touch()
    until(desk.gone, "the will is carried out")


def test_a_board_is_free_when_its_end_is_confirmed(desk: Desk) -> None:
    for _ in range(3):
        desk.sent = 0
        desk.ask(desk.opened(), "bye")


STRAY = "pathlib.Path(__file__ + '.pid').write_text(str(subprocess.Popen(['sleep', '600'], start_new_session={}).pid))"


@pytest.mark.parametrize("apart", [False, True], ids=["in its group", "in a session of its own"])
def test_what_an_agent_started_ends_with_it(desk: Desk, apart: bool) -> None:
    pump = desk.opened()
    agent = desk.agent(pump)
    desk.probed(pump, STRAY.format(apart))
    stray = int((desk.folder / "half.py.pid").read_text())
    assert alive(stray)
    os.kill(agent, signal.SIGKILL)
    while (message := desk.hear(pump)).get("ended") is None:
        pass
    assert message["ended"] == -signal.SIGKILL
    assert not group(agent)
    assert not alive(stray), "it would disturb the next measurement of the same hold"


def test_what_a_killed_keeper_left_is_cleared_away_by_the_next(desk: Desk) -> None:
    pump = desk.opened()
    agent = desk.agent(pump)
    desk.probed(pump, STRAY.format(True))
    desk.ask(pump, "send", agent=1, line='{"do": "hello", "with": {"die_with_parent": true}}')
    stray = int((desk.folder / "half.py.pid").read_text())
    os.kill(desk.keeper(), signal.SIGKILL)
    until(lambda: not alive(agent), "an agent dies with its keeper")
    assert desk.hear(desk.pump("attach"))["answer"] == "gone"
    (desk.run / "litter").write_text("")
    desk.sent = 0
    desk.opened()
    assert not alive(stray)
    assert sorted(path.name for path in desk.run.iterdir()) == ["journal", "keeper.pid"]


def test_of_a_flood_of_stderr_only_the_end_is_kept_and_who_prints_neither_waits_for_ever_nor_fails(desk: Desk) -> None:
    pump = desk.opened()
    desk.agent(pump)
    before = peak(desk.keeper())
    desk.probed(pump, "for _ in range(4096):\n    os.write(2, b'x' * 65536)\nos.write(2, b'the end')")  # 256 MB
    assert peak(desk.keeper()) - before < 8 << 20, "and none of it lies in a file that counts as memory"
    assert not [path for path in Path(f"/proc/{desk.keeper()}/fd").iterdir() if "memfd" in str(path.readlink())]
    desk.probed(pump, "os.write(2, b' and more')")
    text = desk.ask(pump, "stderr", agent=1)["text"]
    assert text.endswith("xthe end and more")
    assert len(text) == 8000


def peak(pid: int) -> int:
    """The most memory that a process ever had [B]."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_what_an_agent_printed_last_is_told_also_after_its_end_and_a_closed_stderr_wakes_nobody(desk: Desk) -> None:
    pump = desk.opened()
    desk.agent(pump)
    desk.probed(pump, "os.write(2, b'last words')\nos.close(1)\nos.close(2)")
    spent = Path(f"/proc/{desk.keeper()}/schedstat")
    begun, _, turns = spent.read_text().split()
    assert desk.ask(pump, "stderr", agent=1)["text"] == "last words"
    desk.probed(pump, "time.sleep(1)")
    assert int(spent.read_text().split()[2]) - int(turns) < 100, f"it sleeps: {begun}"
    desk.ask(pump, "end", agent=1)
    while desk.hear(pump).get("ended") is None:
        pass
    assert desk.ask(pump, "stderr", agent=1)["text"] == "last words"


def test_a_restore_that_prints_more_than_a_pipe_holds_is_carried_out(desk: Desk) -> None:
    pump = desk.opened()
    done = desk.folder / "done"
    body = f"os.write(2, b'x' * {8 << 20})\npathlib.Path({str(done)!r}).write_text('restored')"
    desk.ask(pump, "will", requests=desk.requests(body), file=str(desk.folder / "agent.py"))
    desk.ask(pump, "bye")
    assert done.read_text() == "restored"


def test_a_board_is_held_once_and_who_asks_is_told_by_whom(desk: Desk) -> None:
    desk.opened()
    refused = desk.hear(desk.pump("hold", session="s2"))
    assert refused["answer"] == "held"
    assert {key: refused["by"][key] for key in ("user", "host", "pid", "campaign")} == {
        "user": "ann",
        "host": "desk",
        "pid": 1,
        "campaign": 'a "$(b)"\n',
    }
    assert "session" not in refused["by"]
    assert refused["by"]["keeper"] == desk.keeper()
    assert 0 <= refused["by"]["heard_s"] <= refused["by"]["for_s"]


def test_only_who_knows_the_session_may_speak_with_the_keeper(desk: Desk) -> None:
    pump = desk.opened()
    stranger = desk.pump("attach", session="guessed")
    assert desk.hear(stranger)["answer"] == "open"
    assert desk.hear(stranger) == {}, "the keeper has hung up"
    assert desk.ask(pump, "will", requests=[], file="") == {}, "and goes on with its holder"


@pytest.mark.parametrize("nonsense", [b"[" * 100_000, b"5", b"[]", b'{"n": 1}', b"\xff", b'{"attach": 1, "have": 2}'])
def test_a_stranger_who_talks_nonsense_is_hung_up_on(desk: Desk, nonsense: bytes) -> None:
    pump = desk.opened()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(PATIENCE_S)
        stranger.connect(f"\0socbench{desk.environment['SOCBENCH_BOARD']}\0")
        stranger.sendall(nonsense + b"\n")
        with contextlib.suppress(ConnectionError):
            assert stranger.recv(1) == b""
    assert desk.ask(pump, "will", requests=[], file="") == {}, "the keeper goes on with its holder"


def test_a_request_that_fails_is_answered_and_the_keeper_goes_on(desk: Desk) -> None:
    pump = desk.opened()
    desk.say(pump, {"n": 1, "do": "send", "with": {"agent": 9, "line": ""}})
    assert desk.hear(pump)["error"] == "KeyError: 9"
    desk.sent = 1
    assert desk.agent(pump)


def test_a_journal_goes_on_in_memory_where_the_disk_takes_no_more() -> None:
    journal = Journal("/dev/full")
    for number in range(3):
        journal.add({"data": number})
    journal.trim(1)
    assert [json.loads(journal.get(number)) for number in (2, 3)] == [{"data": 1, "s": 2}, {"data": 2, "s": 3}]
    os.close(journal.file)


def test_a_keeper_that_cannot_write_says_why(desk: Desk) -> None:
    desk.run = Path("/proc/nobody/writes/here")
    refused = desk.hear(desk.pump("hold"))
    assert refused["answer"] == "failed"
    assert "No such file" in refused["why"]
