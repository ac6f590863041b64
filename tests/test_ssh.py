"""Boards over SSH, with a fake `ssh` that runs the remote commands here: nothing is lost, nothing is done twice, nothing is left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness import cache
from harness.errors import Cut, LinkError, Lost, Stable, Transient, UsageError
from harness.measure import ssh
from harness.measure.link import AGENT, Local, plain
from harness.measure.ssh import Ssh, channel, client, kept, look, survey, upload
from harness.measure.ssh.client import Client, explain, remote
from tests.fake_ssh import Board, install
from tests.lab import ROOT, alive, host, until, workers
from tests.test_link import each_line

if TYPE_CHECKING:
    from harness.measure.link import Agent

HALF = "import os, pathlib, subprocess, sys, time\ndef probe():\n    {}\n    return {{}}\n"


def look_of(folder: Path) -> Callable[[str], str]:
    """What looks at a board, with a folder of the test's own for those that everybody shares."""
    return lambda name: client.own(name).replace('SHARED = ("/var/tmp", "/tmp")', f"SHARED = ({str(folder / 'shared')!r},)")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the fake boards are; after the test no process has anything to do with them, and this machine holds nothing of a link."""
    folder = tmp_path / "boards"
    for name, value in install(folder).items():
        monkeypatch.setenv(name, value)
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr(channel, "BEAT_S", 0.2)
    monkeypatch.setattr(ssh, "CONNECT_PAUSES_S", (0.05, 0.1))
    monkeypatch.setattr(ssh, "UPLOAD_PAUSES_S", (0.05, 0.1))
    monkeypatch.setattr(channel, "PAUSES_S", (0.05,))
    monkeypatch.setattr(survey, "own", look_of(folder))
    threads = threading.active_count()
    yield folder
    until(lambda: not workers(str(folder)[-40:]), "no process is left")
    assert list(runtime.iterdir()) == []
    assert threading.active_count() == threads


@pytest.fixture
def board(place: Path) -> Board:
    return Board(place, "b1")


def files(board: Board) -> set[str]:
    """What lies on the board, apart from the uploads themselves."""
    found = {str(path.relative_to(board.home)) for path in board.home.rglob("*")}
    return {name for name in found if "/store/" not in name} - {".cache", ".cache/socbench", ".cache/socbench/store"}


def kinds(board: Board) -> list[str]:
    """What each connection was for."""
    return [next(word for word in ("sh -s", "read(", "hold", "attach", "end") if word in command) for command in board.commands()]


def sent(link: Ssh, agent: Agent, folder: Path, body: str) -> None:
    """Load a runtime half whose `probe` does `body`."""
    half = folder / "half.py"
    half.write_text(HALF.format("\n    ".join(body.splitlines())))
    (path,) = link.put([half])
    agent.ask("load", 60.0, role="runtime", path=path, sha256=cache.sha256(half))


# --- the whole way -----------------------------------------------------------------------------------------------------------------


def test_a_board_is_surveyed_held_and_asked_and_nothing_but_the_uploads_stays(board: Board) -> None:
    link = Ssh("me@b1")
    with link.hold():
        with link.start(3) as agent:
            halves = host()
            for (role, path), there in zip(halves, link.put([path for _, path in halves]), strict=True):
                assert Path(there).is_relative_to(board.home / ".cache/socbench/store")
                agent.ask("load", 60.0, role=role, path=there, sha256=cache.sha256(path))
            assert agent.ask("probe", 60.0)["board"]
            assert agent.ask("hello", 60.0)["numpy"] == link.board.numpy, "the Python that was surveyed is the one that runs"
            assert agent.stderr() == ""
        assert link.state_file().startswith(str(board.home / ".cache/socbench/changed-"))
    assert files(board) == set()


SENSORS = """
class Sensors:
    channels, totals, absent = [{"site": "cpu"}], [], []
    def __init__(self, **_): pass
    def read(self): return [1.0]
    def close(self): pass
"""


def test_a_sampler_reads_beside_a_worker_until_the_next_request(board: Board, tmp_path: Path) -> None:
    half = tmp_path / "half.py"
    half.write_text(SENSORS)
    link = Ssh("b1")
    with link.hold(), link.start(1) as sampler, link.start(1) as worker:
        (path,) = link.put([half])
        sampler.ask("load", 60.0, role="board", path=path, sha256=cache.sha256(half))
        seen: list[dict[str, Any]] = []
        sampler.begin("sample", hertz=50, pid=0)
        sampler.wait("sampling", 60.0)
        worker.ask("rest", 60.0, seconds=0.2)
        sampler.begin("clock")
        assert sampler.finish(60.0, seen.append)["channels"] == [{"site": "cpu"}]
        assert len(seen[0]["t_ns"]) > 1
        assert sampler.finish(60.0)["clock_ns"]


def test_an_agent_works_in_a_session_of_its_own_with_the_threads_asked_for(board: Board, tmp_path: Path) -> None:
    link = Ssh("b1")
    with link.hold(), link.start(3) as agent:
        sent(
            link, agent, tmp_path, "return {'ids': [os.getpid(), os.getsid(0)], 'threads': os.environ['OMP_NUM_THREADS'], 'home': os.environ['HOME']}"
        )
        found = agent.ask("probe", 60.0)["runtime"]
        assert found["ids"][0] == found["ids"][1]
        assert (found["threads"], found["home"]) == ("3", str(board.home))
    assert not alive(found["ids"][0])


def test_a_second_run_sends_nothing_and_needs_two_round_trips(board: Board, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(300_000))
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        link = Ssh("b1", progress=lambda done, total: seen.append((done, total)))
        with link.hold():
            (path,) = link.put([model])
            assert Path(path).read_bytes() == model.read_bytes()
    assert kinds(board) == ["sh -s", "read(", "hold", "read(", "sh -s", "hold"]
    assert [pair for pair in seen if pair[1] == 300_000][0::99] == [(0, 300_000)]
    assert seen[-1] == (300_000, 300_000)


def test_a_changed_file_is_another_upload(board: Board, tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    link = Ssh("b1")
    with link.hold():
        paths = []
        for content in ("1", "22"):
            file.write_text(content)
            paths += link.put([file])
        assert [Path(path).read_text() for path in paths] == ["1", "22"]


def test_two_agents_are_asked_from_two_threads_at_once(board: Board) -> None:
    link = Ssh("b1")
    with link.hold(), link.start(1) as one, link.start(1) as two:
        pids: list[int] = []

        def ask(agent: Agent) -> None:
            pids.extend(agent.ask("hello", 60.0)["pid"] for _ in range(50))

        threads = [threading.Thread(target=ask, args=(agent,)) for agent in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(pids) == 100
    assert len(set(pids)) == 2


@pytest.mark.parametrize("name", ["it's here", 'a "b" $(touch pwned) `id`', "tab\there", "back\\slash\nand line", "!history %h é"])
def test_odd_characters_arrive_as_they_are(board: Board, tmp_path: Path, name: str) -> None:
    folder = board.home / name
    file = tmp_path / "it's $(x) !.txt"
    file.write_text("content")
    link = Ssh("b1", folder=str(folder), campaign=f'{name}\n"')
    with link.hold(), link.start(1) as agent:
        assert Path(link.put([file])[0]).read_text() == "content"
        sent(link, agent, tmp_path, f"return {{'said': {name!r}}}")
        assert agent.ask("probe", 60.0)["runtime"] == {"said": name}
        with pytest.raises(Stable) as caught, Ssh("b1").hold():
            pytest.fail("it is held")
        assert f"campaign {name}" in caught.value.what
    assert [path.name for path in board.home.iterdir() if path.name != ".cache"] == [name]


def test_every_shell_reads_a_command_alike() -> None:
    words = ["printf", "<%s>", "plain", "it's", 'a "b"', "$HOME `id` $(id)", "!x", "back\\slash", "two\nlines", "tab\t", "é\udcff", "*", "~", ""]
    for shell in filter(None, map(shutil.which, ("sh", "bash", "dash", "zsh", "fish", "tcsh", "busybox"))):
        command = [shell, *(["sh"] if shell.endswith("busybox") else []), "-c", remote(words)]
        done = subprocess.run(command, capture_output=True, check=True)
        assert done.stdout.decode("utf-8", "surrogateescape") == "".join(f"<{word}>" for word in words[2:]), shell


# --- a board that will not do ------------------------------------------------------------------------------------------------------


def refused(link: Ssh) -> LinkError:
    """Why the board cannot be held."""
    with pytest.raises(LinkError) as caught, link.hold():
        pytest.fail("the block must not be entered")
    assert caught.value.fix
    return caught.value


OLD = """shift; code=$1; shift
exec "{python}" -c "import sys; sys.version_info = (3, 7, 3, 'final', 0)
$code" "$@" """


def test_a_board_without_python_is_told_what_to_install(board: Board) -> None:
    (board.bin / "python3").unlink()
    error = refused(Ssh("b1"))
    assert "no Python was found" in error.what
    assert "apt install python3" in error.fix


def test_a_python_that_is_too_old_is_named_with_its_version(board: Board) -> None:
    board.program("python3", OLD.format(python=sys.executable))
    assert re.search(r"Python is too old: .* is 3\.7\.3; Python 3\.8 or newer", refused(Ssh("b1")).what)


def test_a_newer_python_beside_an_old_one_is_found(board: Board) -> None:
    board.program("python3", OLD.format(python=sys.executable))
    board.program("python3.11", f'exec "{sys.executable}" "$@"')
    with Ssh("b1").hold():
        assert files(board)


def test_a_python_without_numpy_is_named_with_how_to_install_it(board: Board) -> None:
    board.program("python3", f'exec "{sys.executable}" -I -S "$@"')
    error = refused(Ssh("b1"))
    assert "has no numpy" in error.what
    assert "apt install python3-numpy" in error.fix


def test_the_python_that_was_asked_for_is_the_one_that_counts(board: Board) -> None:
    program = board.home / "my python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    (board.bin / "python3").unlink()
    for python in (str(program), "~/my python"):
        with Ssh("b1", python=python).hold():
            assert files(board)
    assert "python9 is not there" in refused(Ssh("b1", python="python9")).what


def test_a_home_that_cannot_be_written_to_is_passed_over_and_said(board: Board) -> None:
    (board.home / ".cache").write_text("")
    said: list[str] = []
    link = Ssh("b1", say=said.append)
    with link.hold():
        assert link.board.folder == str(board.folder / "tmp" / f"socbench-{os.getuid()}")
    assert ".cache/socbench" in said[0]
    assert "instead" in said[0]


@pytest.mark.parametrize("folder", ["", "elsewhere"])
def test_a_run_on_the_board_itself_and_any_over_ssh_remember_in_one_file_what_they_changed(
    board: Board, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    link = Ssh("b1", folder=str(board.home / folder) if folder else "")
    with link.hold():
        over_ssh = link.state_file()
        assert link.board.folder == str(board.home / (folder or ".cache/socbench"))
    monkeypatch.setenv("HOME", str(board.home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(board.home / "other"))
    monkeypatch.delenv("SOCBENCH_CACHE", raising=False)
    assert Local().state_file() == over_ssh


def test_where_what_undoes_a_change_lies_does_not_depend_on_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(look, "SHARED", (str(tmp_path / "var"), str(tmp_path / "tmp")))
    for name in ("home", "var", "tmp", "asked"):
        (tmp_path / name).mkdir()
    asked, name = str(tmp_path / "asked"), f"changed-{plain(os.uname().nodename)}.json"
    mine = f"socbench-{os.getuid()}"
    assert look.state(asked) == (str(tmp_path / "home/.cache/socbench" / name), True)
    monkeypatch.setattr(look, "kind", lambda folder: "tmpfs" if "/home/" in folder else "ext4")
    assert look.state(asked) == (str(tmp_path / "var" / mine / name), True), "rather where it survives a power cut"
    monkeypatch.setattr(look, "kind", lambda _: "tmpfs")
    assert look.state(asked) == (str(tmp_path / "home/.cache/socbench" / name), True)
    shutil.rmtree(tmp_path / "home/.cache")
    (tmp_path / "home/.cache").touch()
    (tmp_path / "var" / mine).chmod(0o777)
    assert look.state(asked) == (str(tmp_path / "tmp" / mine / name), True), "not where others may write"
    monkeypatch.setattr(look, "LITTLE", 1 << 60)
    assert look.state(asked) == (f"{asked}/{name}", False)


def test_an_agent_looks_for_what_undoes_a_change_wherever_a_survey_may_have_let_it_lie() -> None:
    source = AGENT.read_text()
    for place in look.SHARED:
        assert f'"{place}"' in source
    assert '"~/.cache/socbench"' in source
    assert f'"{kept.KEPT}"' in source


def test_where_it_can_lie_in_the_folder_asked_for_only_that_is_said(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "own", lambda name: look_of(board.folder.parent)(name).replace("LITTLE = 1 << 20", "LITTLE = 1 << 60"))
    said: list[str] = []
    link = Ssh("b1", folder=str(board.home / "x"), say=said.append)
    with link.hold():
        assert link.state_file().startswith(str(board.home / "x/changed-"))
    assert said == [
        f"b1: what undoes a change of its settings can be kept in {board.home}/x only: after an interrupted run give it again",
    ]


def test_no_folder_at_all_is_an_error_that_names_each(board: Board) -> None:
    (board.home / "file").write_text("")
    assert re.search(r"no folder .*file/x: Not a directory", refused(Ssh("b1", folder=str(board.home / "file/x"))).what)


def test_a_folder_that_others_prepared_is_not_used(board: Board) -> None:
    (board.home / ".cache").write_text("")
    mine = board.folder / "tmp" / f"socbench-{os.getuid()}"
    mine.mkdir(mode=0o777)
    mine.chmod(0o777)
    trap = mine.with_name("trap")
    trap.mkdir(mode=0o700)
    said: list[str] = []
    for _ in range(2):
        link = Ssh("b1", say=said.append)
        with link.hold():
            assert link.board.folder != str(mine)
            elsewhere = Path(link.board.folder)
        shutil.rmtree(elsewhere)
        if not mine.is_symlink():
            mine.rmdir()
            mine.symlink_to(trap)
    assert sum("may be written to by others" in line for line in said) == 2
    assert list(trap.iterdir()) == []


def test_a_folder_that_is_exchanged_while_it_is_looked_at_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, trap = tmp_path / f"socbench-{os.getuid()}", tmp_path / "trap"
    (trap / "store" / ("0" * 64)).mkdir(parents=True)
    mine.symlink_to(trap)
    makedirs = os.makedirs

    def exchange(path: str, mode: int = 0o777, *, exist_ok: bool) -> None:
        if path == str(mine):
            mine.unlink()  # a stranger can, whose link it is
        makedirs(path, mode, exist_ok)

    monkeypatch.setattr(os, "makedirs", exchange)
    monkeypatch.setenv("HOME", "/proc/none")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = look.look("")
    assert (found["folder"], found["store"]) == (str(mine), [])


def test_a_nearly_full_disk_is_said_before_anything_is_sent(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "SPARE", 1 << 60)
    error = refused(Ssh("b1"))
    assert re.search(r"nearly full: [\d.]+ MB are free in .*/socbench", error.what)
    assert "store" in error.fix
    assert kinds(board) == ["sh -s"]


def test_an_upload_that_does_not_fit_is_refused_with_both_sizes(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(bytes(3_000_000))
    link = Ssh("b1")
    with link.hold():
        monkeypatch.setattr(upload, "SPARE", 1 << 60)
        with pytest.raises(Stable, match=r"no space for 3\.0 MB, [\d.]+ MB are free"):
            link.put([model])


def test_a_login_shell_that_talks_is_not_misread(board: Board) -> None:
    wrapper = board.folder.parent / "ssh"
    wrapper.write_text(wrapper.read_text().replace("exec", "[ $2 = -O ] || { echo Welcome; printf 'to this board'; }; exec"))
    with Ssh("b1").hold():
        assert files(board)


def test_an_account_without_a_shell_is_said(board: Board) -> None:
    (board.bin / "sh").unlink()
    assert "runs no commands" in refused(Ssh("b1")).what


@pytest.mark.parametrize("address", ["", "-oProxyCommand=x", "two words", "line\nbreak", "\x07"])
def test_an_address_that_could_be_an_option_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        Ssh(address)


def test_a_machine_without_ssh_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "openssh-client" in refused(Ssh("b1")).fix


def test_host_keys_are_always_checked_and_nothing_of_the_users_configuration_is_replaced() -> None:
    ssh_client = Client("ssh://me@b1:2222")
    command = ssh_client.command(["true"])
    ssh_client.close()
    assert "StrictHostKeyChecking=yes" in command
    assert "BatchMode=yes" in command
    assert not [word for word in command if word == "-F" or "KnownHosts" in word or "Identity" in word]
    assert command[-3:] == ["--", "ssh://me@b1:2222", "exec true"]


CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Offending ED25519 key in /home/ann/.ssh/known_hosts:3
Host key for b1 has changed and you have requested strict checking.
Host key verification failed."""


@pytest.mark.parametrize(
    ("said", "kind", "what", "fix"),
    [
        (
            "No ED25519 host key is known for b1 and you have requested strict checking.\nHost key verification failed.",
            Stable,
            "not known",
            "ssh me@b1",
        ),
        (CHANGED, Stable, "known_hosts:3", "only if .*`ssh-keygen -R b1`"),
        ("me@b1: Permission denied (publickey,password).", Stable, "does not let us in", "ssh-copy-id me@b1"),
        ("ssh: Could not resolve hostname b1: Name or service not known", Stable, "no machine of that name", "HostName"),
        ("ssh: Could not resolve hostname b1: Temporary failure in name resolution", Transient, "just now", "network"),
        ("ssh: connect to host b1 port 22: Connection refused", Transient, "refuses", "start sshd"),
        ("ssh: connect to host b1 port 22: Connection timed out", Transient, "does not answer", "board is on"),
        ("ssh: connect to host b1 port 22: No route to host", Transient, "no way", "network"),
        ("Timeout, server b1 not responding.", Transient, "does not answer", "board is on"),
        ("client_loop: send disconnect: Broken pipe", Transient, "Broken pipe", "board is on"),
        ("kex_exchange_identification: Connection closed by remote host", Transient, "closed by remote", "board is on"),
        (
            "Unable to negotiate with 10.0.0.2 port 22: no matching host key type found. Their offer: ssh-rsa",
            Stable,
            "in common",
            "HostKeyAlgorithms",
        ),
        ("/home/ann/.ssh/config: line 3: Bad configuration option: x", Stable, "configuration", "ssh -G me@b1"),
        ("", Transient, "ended", "board is on"),
    ],
)
def test_what_ssh_says_becomes_what_happened_and_what_to_do(said: str, kind: type[LinkError], what: str, fix: str) -> None:
    error = explain("me@b1", said)
    assert type(error) is kind
    assert re.search(what, error.what)
    assert re.search(fix, error.fix)
    assert error.detail == said


def test_a_port_of_its_own_is_named_as_known_hosts_names_it() -> None:
    assert "ssh-keygen -R '[b1]:2222'" in explain("ssh://me@b1:2222", CHANGED.replace("Host key for b1 has", "The host key has")).fix


def test_what_cannot_pass_is_not_tried_again_and_what_can_is(board: Board) -> None:
    said: list[str] = []
    board.refuse("me@b1: Permission denied (publickey).")
    assert "let us in" in refused(Ssh("b1", say=said.append)).what
    assert said == []
    board.refuse("ssh: connect to host b1 port 22: Connection refused")
    assert "refuses the connection" in refused(Ssh("b1", say=said.append)).what
    assert len(said) == 2
    with Ssh("b1", say=lambda _: board.refuse("")).hold():
        assert files(board)


# --- a link that is cut ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["broken", "silent"])
def test_a_link_that_is_cut_in_the_middle_of_a_measurement_costs_nothing(
    board: Board, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(channel, "SILENT_S", 1.0)
    said: list[str] = []
    link = Ssh("b1", say=said.append)
    with link.hold(), link.start(1) as agent:
        pid = agent.ask("hello", 60.0)["pid"]
        agent.begin("rest", seconds=1.0)
        board.refuse("ssh: connect to host b1 port 22: No route to host")
        board.cut(number=number)
        until(lambda: said, "the cut is noticed")
        threading.Timer(1.5, board.refuse, ("",)).start()  # the rest is over while nobody is there
        (span,) = agent.finish(60.0)["spans"]
        assert span["end_ns"][0] - span["begin_ns"][0] >= 1e9
        assert agent.ask("hello", 60.0)["pid"] == pid, "the same agent goes on"
    assert "link cut" in said[0]
    assert "nothing is lost" in said[1]
    assert files(board) == set()


def test_requests_made_while_the_link_is_cut_are_carried_out_once_when_it_is_back(board: Board, tmp_path: Path) -> None:
    link = Ssh("b1")
    with link.hold(), link.start(1) as agent:
        counter = tmp_path / "count"
        sent(link, agent, tmp_path, f"with open({str(counter)!r}, 'a') as file:\n    file.write('x')")
        for _ in range(5):
            agent.begin("probe")
            board.cut()
            agent.finish(60.0)
        assert counter.read_text() == "xxxxx"


def test_the_time_without_a_link_does_not_count_as_the_agents(board: Board) -> None:
    said: list[str] = []
    link = Ssh("b1", say=said.append)
    with link.hold(), link.start(1) as agent:
        board.refuse("ssh: connect to host b1 port 22: No route to host")
        board.cut()
        until(lambda: said, "the cut is noticed")
        timer = threading.Timer(2.0, board.refuse, ("",))
        timer.start()
        assert agent.ask("hello", 1.0)
        timer.join()


def test_a_link_that_stays_cut_is_given_up_and_the_board_cleans_up_by_itself(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PATIENCE_S", 1.0)
    monkeypatch.setattr(ssh, "BYE_S", 0.5)
    said: list[str] = []
    link = Ssh("b1", say=said.append, lease=3.0)
    done = tmp_path / "done"
    with link.hold(), link.start(1) as agent:
        sent(link, agent, tmp_path, f"pathlib.Path({str(done)!r}).write_text('restored')")
        half = tmp_path / "half.py"
        link.will([{"do": "load", "with": {"role": "runtime", "path": link.put([half])[0], "sha256": cache.sha256(half)}}, {"do": "probe"}])
        board.refuse("ssh: connect to host b1 port 22: No route to host")
        agent.begin("rest", seconds=60)
        board.cut()
        with pytest.raises(Cut, match=r"stayed cut for \d+ s.*no way"):
            agent.finish(60.0)
        with pytest.raises(Cut, match="stayed cut"):
            link.will([])
    assert "could not be told" in said[-1]
    until(lambda: not files(board), "the lease runs out")
    assert done.read_text() == "restored"


def test_after_a_link_that_stayed_cut_the_board_is_held_anew(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PATIENCE_S", 0.5)
    monkeypatch.setattr(ssh, "BYE_S", 0.5)
    said: list[str] = []
    link = Ssh("b1", say=said.append)
    with link.hold(), link.start(1) as agent:
        before = agent.ask("hello", 60.0)["pid"]
        board.refuse("ssh: connect to host b1 port 22: No route to host")
        board.cut()
        with pytest.raises(Cut):
            agent.ask("rest", 60.0, seconds=60)
    assert alive(before), "its lease has not run out"
    board.refuse("")
    with link.hold(), link.start(1) as agent:
        assert agent.ask("hello", 60.0)["pid"] != before
        assert not alive(before)
        assert "our own hold from before the cut" in said[-1]
        assert "is held by" in refused(Ssh("b1")).what, "another link of this process is another harness"


def test_an_upload_that_is_cut_is_never_used_half_and_goes_on_where_it_stopped(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(2_000_000))
    seen: list[int] = []
    link = Ssh("b1", progress=lambda done, _: seen.append(done))
    with link.hold():
        monkeypatch.setattr(ssh, "UPLOAD_PAUSES_S", ())
        (board.folder / "cut_after").write_text("1000000")
        with pytest.raises(Transient):
            link.put([model])
        store = board.home / ".cache/socbench/store"
        (part,) = store.glob("*.part")
        half = (part / "model.bin").stat().st_size
        assert 500_000 < half < 1_000_000
        seen.clear()
        (path,) = link.put([model])
        assert seen[0] == half
        assert Path(path).read_bytes() == model.read_bytes()
        assert not list(store.glob("*.part"))


def test_what_is_wrong_in_half_an_upload_is_found_and_sent_again(board: Board, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(500_000))
    link = Ssh("b1")
    with link.hold():
        name, _ = upload.Store(link.client, link.board, lambda _done, _total: None).paths([model])
        part = board.home / f".cache/socbench/store/{name}.part"
        part.mkdir()
        (part / "model.bin").write_bytes(bytes(400_000))
        assert Path(link.put([model])[0]).read_bytes() == model.read_bytes()


def test_a_cut_upload_is_tried_again_by_itself(board: Board, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(os.urandom(1_000_000))
    said: list[str] = []
    link = Ssh("b1", say=said.append)
    with link.hold():
        (board.folder / "cut_after").write_text("300000")
        assert Path(link.put([model])[0]).read_bytes() == model.read_bytes()
    assert "trying again" in said[0]


@pytest.mark.parametrize("name", ["line\nbreak", "bell\x07"])
def test_a_file_name_that_is_none_is_refused(board: Board, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    link = Ssh("b1")
    with link.hold(), pytest.raises(UsageError, match="cannot be the name"):
        link.put([tmp_path / name])


def test_two_files_of_one_name_cannot_go_together(board: Board, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    paths = [tmp_path / "half.py", tmp_path / "more/half.py"]
    for path in paths:
        path.write_text("")
    link = Ssh("b1")
    with link.hold(), pytest.raises(UsageError, match=r"one name: half\.py"):
        link.put(paths)


# --- an end that nobody planned ----------------------------------------------------------------------------------------------------


def test_a_killed_agent_is_stable_and_the_next_one_works(board: Board, tmp_path: Path) -> None:
    link = Ssh("b1")
    with link.hold():
        with link.start(1) as agent:
            sent(link, agent, tmp_path, "os.write(2, b'last words')\nos.kill(os.getpid(), 9)")
            with pytest.raises(Stable, match=r"SIGKILL.*want of memory"):
                agent.ask("probe", 60.0)
            with pytest.raises(Stable, match="SIGKILL"):
                agent.begin("probe")
            assert agent.stderr() == "last words"
        with link.start(1) as agent:
            assert agent.ask("hello", 60.0)


def test_a_hung_agent_is_transient_and_gone_at_the_end_of_its_block(board: Board, tmp_path: Path) -> None:
    link = Ssh("b1")
    with link.hold():
        with link.start(1) as agent:
            pid = agent.ask("hello", 60.0)["pid"]
            sent(link, agent, tmp_path, "time.sleep(600)")
            with pytest.raises(Transient, match="no answer within 0 s"):
                agent.ask("probe", 0.2)
        assert not alive(pid)


def keeper_of(board: Board) -> int:
    (path,) = (board.home / ".cache/socbench").glob("run-*/keeper.pid")
    return int(path.read_text())


@pytest.mark.parametrize("rebooted", [False, True])
def test_a_keeper_that_is_gone_is_a_clear_error(board: Board, rebooted: bool) -> None:
    link = Ssh("b1")
    with link.hold(), link.start(1) as agent:
        pid = agent.ask("hello", 60.0)["pid"]
        agent.begin("rest", seconds=600)
        if rebooted:
            link._open[1]._boot = "another"  # the only sign of it that a fake board can give
        os.kill(keeper_of(board), signal.SIGKILL)
        with pytest.raises(Stable, match="restarted while it was held" if rebooted else r"the keeper on b1 has ended") as caught:
            agent.finish(60.0)
        assert "what is finished is kept" in caught.value.fix
        until(lambda: not alive(pid), "the agent does not outlive its keeper")
        with pytest.raises(Stable, match="what ran there is lost"), link.start(1):
            pytest.fail("there is no keeper")
    with Ssh("b1").hold():
        assert len(files(board)) == 3
    assert files(board) == set()


@pytest.mark.parametrize("when", ["in the block", "while connecting", "during an upload", "while an agent works"])
def test_ctrl_c_leaves_nothing_behind(board: Board, tmp_path: Path, when: str) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupted() -> None:
        if when == "while connecting":
            board.refuse("ssh: connect to host b1 port 22: Connection refused")
            with Ssh("b1", say=interrupt).hold():
                pass
        link = Ssh("b1", progress=interrupt if when == "during an upload" else lambda _done, _total: None)
        with link.hold(), link.start(1) as agent:
            if when == "while an agent works":
                agent.begin("rest", seconds=600)
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files(board) == set()


def test_a_will_that_was_not_taken_back_is_carried_out_at_the_end(board: Board, tmp_path: Path) -> None:
    done = tmp_path / "done"
    half = tmp_path / "half.py"
    half.write_text(HALF.format(f"pathlib.Path({str(done)!r}).write_text('restored')"))
    for taken_back in (True, False):
        link = Ssh("b1")
        with link.hold():
            link.will([{"do": "load", "with": {"role": "runtime", "path": link.put([half])[0], "sha256": cache.sha256(half)}}, {"do": "probe"}])
            if taken_back:
                link.will([])
        assert done.exists() != taken_back


WAIT = "while not pathlib.Path({!r}).exists():\n        time.sleep(0.02)"


def waiting(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """A will that takes until a file is there, and that file."""
    go, half = folder / "go", folder / "will.py"
    half.write_text(HALF.format(WAIT.format(str(go))))
    return go, [{"do": "load", "with": {"role": "runtime", "path": str(half), "sha256": cache.sha256(half)}}, {"do": "probe"}]


def test_a_link_that_is_back_after_the_lease_is_told_what_the_board_does_and_not_that_nothing_is_lost(board: Board, tmp_path: Path) -> None:
    go, will = waiting(tmp_path)
    said: list[str] = []
    link = Ssh("b1", say=said.append, lease=1.0)
    with link.hold():
        with link.start(1) as agent:
            link.will(will)
            pid = agent.ask("hello", 60.0)["pid"]
            board.refuse("ssh: connect to host b1 port 22: No route to host")
            board.cut()
            until(lambda: not alive(pid), "the lease to run out")
            board.refuse("")
            with pytest.raises(
                Lost,
                match=r"what ran on b1 is lost; the board is ending that hold.*: since \d+ s, as a rule for seconds, at the most for 384 s",
            ):
                agent.ask("hello", 60.0)
        assert not [sentence for sentence in said if "nothing is lost" in sentence]
        assert re.search(r"is held by .*; the board is ending that hold", refused(Ssh("b1")).what)
        go.touch()
    until(lambda: not files(board), "the will is carried out")


@pytest.mark.parametrize("function", [Client.run, client.begin, client.Pipe.begin, channel.Channel._connect, channel.Channel._greet])
def test_ctrl_c_at_any_line_of_what_starts_ssh_leaves_no_process(board: Board, function: Callable[..., Any]) -> None:
    def hold() -> None:
        with Ssh("b1", lease=0.5).hold():
            pass

    for interrupted in each_line(function, hold):
        assert interrupted
        until(lambda: not files(board), "the board is free")
        until(lambda: not workers(str(board.folder)[-40:]), "no process is left")


# --- two harnesses -----------------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from harness.measure.ssh import Ssh
link = Ssh("me@b1", campaign="nightly")
with link.hold(), link.start(1) as agent:
    link.will({will})
    print("held", flush=True)
    sys.stdin.read()
"""


def other(will: list[dict[str, Any]]) -> subprocess.Popen[bytes]:
    """Another harness on this machine that holds the board."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(will=json.loads(json.dumps(will)))], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_second_harness_is_refused_with_who_holds_the_board(board: Board) -> None:
    with other([]) as process:
        error = refused(Ssh("b1"))
        assert re.search(rf"is held by \S+@\S+ \(process {process.pid}, campaign nightly\) since \d{{4}}-.*Z, last heard of \d+ s ago", error.what)
        assert "socbench restore TARGET --host b1" in error.fix
        process.communicate(b"")
    with Ssh("b1").hold():
        assert files(board)


def test_a_holder_that_died_here_is_taken_over_after_its_will(board: Board, tmp_path: Path) -> None:
    done, half = tmp_path / "done", tmp_path / "half.py"
    half.write_text(HALF.format(f"pathlib.Path({str(done)!r}).write_text('restored')"))
    said: list[str] = []
    with other([{"do": "load", "with": {"role": "runtime", "path": str(half), "sha256": cache.sha256(half)}}, {"do": "probe"}]) as process:
        process.kill()
        process.communicate()
    with Ssh("b1", say=said.append).hold():
        assert done.read_text() == "restored"
    assert said == [f"b1: its holder, process {process.pid} of this machine, is dead; taking over"]


def test_a_hold_can_be_ended_by_whoever_needs_the_board(board: Board) -> None:
    with other([]) as process:
        assert re.search(rf"process {process.pid}, campaign nightly", Ssh("b1").end_hold())
        assert files(board) == set()
        process.communicate(b"")
    assert Ssh("b1").end_hold() == ""


def test_a_process_with_a_dead_holders_number_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    me = ssh._me()
    assert not ssh._dead(me)
    assert ssh._dead({**me, "began": "1"}), "the number belongs to another process now"
    for key in ("host", "boot", "space", "user"):
        assert not ssh._dead({**me, "began": "1", key: "other"}), "and of another machine nothing is known"


def test_a_board_that_is_not_held_is_not_asked(board: Board) -> None:
    link = Ssh("b1")
    for use in (link.state_file, lambda: link.put([]), lambda: link.will([])):
        with pytest.raises(Stable, match="not held"):
            use()
