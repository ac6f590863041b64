"""What happens to a link, seen by the harness: a run goes on and its result comes, an upload goes on and is whole, and the board is left clean."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import Stable
from harness.measure.hold import held, undo
from harness.measure.ssh import Ssh, channel
from harness.spec import Zoo
from tests.lab import ROOT, until
from tests.ssh_lab.work import COUNT, Held, holding, left_clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ssh_lab.board import Board
    from tests.ssh_lab.conftest import Lab

SECONDS = 60.0


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut is noticed sooner than in earnest."""
    monkeypatch.setattr(channel, "BEAT_S", 0.5)
    monkeypatch.setattr(channel, "SILENT_S", 3.0)


# --- each cuts the link in its way until the harness has noticed, and mends it -----------------------------------------------------


def unplugged(held: Held) -> None:
    with held.board.unplugged():
        until(lambda: held.told("link cut"), "the cut to be noticed")


def reset(held: Held) -> None:
    with held.board.resetting():
        until(lambda: held.told("link cut"), "the reset to be noticed")


def sshd_killed(held: Held) -> None:
    held.board.kill_sshd()
    until(lambda: held.told("link cut"), "the end of sshd to be noticed")
    held.board.start_sshd()


def frozen(held: Held) -> None:
    held.board.freeze()
    until(lambda: held.told("link cut"), "the silence to be noticed")
    held.board.thaw()


CUTS = [unplugged, reset, sshd_killed, frozen]


@pytest.mark.parametrize("cut", CUTS)
def test_a_run_survives_a_cut_and_its_result_is_whole(native: Board, tmp_path: Path, cut: Callable[[Held], None]) -> None:
    with holding(native) as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, COUNT)
        pid = agent.ask("hello", SECONDS)["pid"]
        agent.begin("probe")
        until(held.begun, "the work to begin")
        cut(held)
        assert agent.finish(SECONDS)["runtime"] == {"numbers": list(range(30000))}
        assert held.told("the link is back")
        assert held.told("nothing is lost")
        assert agent.ask("hello", SECONDS)["pid"] == pid, "the same process, and the answers are still in step"
        assert "step 39" in agent.stderr()


@pytest.mark.parametrize(
    "weather",
    [lambda board: board.lossy(10), lambda board: board.slow(kilobit=1000)],
    ids=["ten per cent of the packets are lost", "a megabit a second"],
)
def test_a_bad_link_is_slow_and_loses_nothing(native: Board, tmp_path: Path, weather: Any) -> None:
    data = os.urandom(200_000)
    (tmp_path / "model.bin").write_bytes(data)
    with weather(native), holding(native) as held:
        [there] = held.link.put([tmp_path / "model.bin"])
        with held.link.start(1) as agent:
            held.half(agent, tmp_path, COUNT)
            assert agent.ask("probe", SECONDS)["runtime"] == {"numbers": list(range(30000))}
        assert (native.root / there.lstrip("/")).read_bytes() == data


@pytest.mark.parametrize("cut", ["unplugged", "resetting", "sshd"])
def test_an_upload_goes_on_where_a_cut_stopped_it_and_half_a_file_is_never_used(spare: Board, tmp_path: Path, cut: str) -> None:
    data = os.urandom(4_000_000)
    (tmp_path / "model.bin").write_bytes(data)
    reached, partial = threading.Event(), list[set[str]]()

    def progress(done: int, total: int) -> None:
        if total == len(data) and done > total // 4:
            reached.set()

    def spoil() -> None:
        assert reached.wait(SECONDS)
        partial.append({path for path in spare.files() if path.endswith("model.bin")})
        if cut == "sshd":
            spare.kill_sshd()
            spare.start_sshd()
        else:
            with spare.unplugged() if cut == "unplugged" else spare.resetting():
                time.sleep(2.0)  # how long the cut is, not how long something takes

    with spare.slow(kilobit=16_000), holding(spare, progress=progress) as held:
        spoiler = threading.Thread(target=spoil)
        spoiler.start()
        [there] = held.link.put([tmp_path / "model.bin"])
        spoiler.join()
        assert [[".part/" in path for path in found] for found in partial] == [[True]], "while it was under way it had no name of its own"
        assert (spare.root / there.lstrip("/")).read_bytes() == data
        before = spare.files()
        held.link.put([tmp_path / "model.bin"])
        assert spare.files() == before


def test_a_power_cut_is_told_as_one_and_the_next_hold_finds_nothing_in_its_way(spare: Board, tmp_path: Path) -> None:
    before = spare.files() | spare.passing()
    said: list[str] = []
    link = Ssh(spare.name, say=said.append)

    def work() -> None:
        with link.hold(), link.start(1) as agent:
            held = Held(spare, link, said)
            held.half(agent, tmp_path, COUNT)
            agent.begin("probe")
            until(held.begun, "the work to begin")
            spare.cut_power()
            until(lambda: held.told("link cut"), "the silence to be noticed")
            spare.boot()
            agent.finish(SECONDS)

    with pytest.raises(Stable, match=f"{spare.name} restarted while it was held: what ran there is lost") as lost:
        work()
    assert "power supply" in lost.value.fix
    with holding(spare) as held, held.link.start(1) as agent:
        held.half(agent, tmp_path, COUNT)
        assert agent.ask("probe", SECONDS)["runtime"]
    left_clean(spare, before)


def test_a_board_whose_key_has_changed_or_is_not_known_is_not_spoken_to(lab: Lab, spare: Board) -> None:
    before, known = spare.files() | spare.passing(), spare.host_key()
    lab.introduce(**{spare.name: ""})
    with pytest.raises(Stable, match=f"the host key of {spare.name} is not known here yet") as caught, Ssh(spare.name).hold():
        pass
    assert f"run `ssh {spare.name}` once" in caught.value.fix
    spare.new_host_key()
    spare.kill_sshd()
    spare.start_sshd()
    lab.introduce(**{spare.name: known})
    with pytest.raises(Stable, match="is not the one that is known") as caught, Ssh(spare.name).hold():
        pass
    assert f"ssh-keygen -R {spare.address}" in caught.value.fix
    left_clean(spare, before)


HOLD = """
import sys, time
from pathlib import Path
from harness import cache
from harness.measure.ssh import Ssh
link = Ssh(sys.argv[1], lease=3.0)
folder = Path(sys.argv[2])
with link.hold(), link.start(1) as agent:
    [half] = link.put([folder / "will.py"])
    link.will([
        {"do": "load", "with": {"role": "runtime", "path": half, "sha256": cache.sha256(folder / "will.py")}},
        {"do": "probe", "with": {}},
    ])
    print("held", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("end", ["killed", "cut for good"])
def test_where_the_harness_is_gone_the_board_ends_all_by_itself_and_carries_out_the_will(spare: Board, tmp_path: Path, end: str) -> None:
    (tmp_path / "will.py").write_text("def probe():\n    open('/var/tmp/undone', 'w').close()\n    return {}\n")
    words = [sys.executable, "-c", HOLD, spare.name, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            assert len(spare.processes()) >= 2, "a keeper and an agent"
            if end == "cut for good":
                spare.link(up=False)
            else:
                process.kill()
            until(lambda: not spare.processes(), "the lease to run out")
        finally:
            process.kill()
    spare.link(up=True)
    until(spare.answers, "the board to be reached again")
    left_clean(spare, spare.files() | spare.passing())
    assert "/var/tmp/undone" in spare.files()
    assert not [path for path in spare.files() if "/run-" in path]


# --- what a run that lost its board had changed ------------------------------------------------------------------------------------

TOY = """
import os
from pathlib import Path
USES = ()
FILE = Path("/srv/governor")

def probe():
    return {"module": "a toy", "compatible": ["toy,a"], "model": "Toy", "soc0": {}, "emulated": "", "cpus": 1}

def state():
    return {}

def snapshot(wanted):
    return {"governor": FILE.read_text()}

def pin(wanted):
    FILE.write_text(wanted["governor"])
    return {"requested": wanted, "achieved": {"governor": FILE.read_text()}, "problems": [], "note": ""}

def restore(snapshot, rebooted):
    FILE.write_text(snapshot["governor"])  # a setting that survives a restart, as a Jetson's power mode
    return {"restored": ["governor " + snapshot["governor"]], "failed": []}
"""
TOML = """
title = "A toy"
board = "toy"
[pin]
governor = "performance"
[modules.a]
title = "Toy A"
compatible = ["toy,a"]
[runtimes.onnxruntime]
opens = ["onnx/fp32"]
package = "onnxruntime"
install = "none"
"""


@pytest.fixture
def toys(spare: Board, tmp_path: Path) -> Zoo:
    """A zoo whose one target has a setting that is a file of the board's disk."""
    (tmp_path / "targets/boards").mkdir(parents=True)
    (tmp_path / "workloads").mkdir()
    (tmp_path / "targets/boards/toy.py").write_text(TOY)
    (tmp_path / "targets/toy.toml").write_text(TOML)
    spare.run("mkdir -p /srv; printf ondemand > /srv/governor")
    return Zoo([tmp_path])


def governor(board: Board) -> str:
    return board.run("cat /srv/governor").stdout


def loses_power(toys: Zoo, board: Board, folder: str) -> str:
    """A run whose board has a power cut in the middle; where on the board it had kept what undoes its changes."""
    said: list[str] = []
    states: list[str] = []

    def run() -> None:
        link = Ssh(board.name, folder=folder, say=said.append)
        with held(toys, "toy", link, said.append):
            states.append(link.state_file())
            assert governor(board) == "performance"
            board.cut_power()
            until(lambda: any("link cut" in one for one in said), "the silence to be noticed")
            board.boot()
            with link.start(1):
                pytest.fail("there is no keeper")

    with pytest.raises(Stable, match="restarted while it was held"):
        run()
    assert any("were not restored" in one for one in said)
    assert governor(board) == "performance"
    return states[0]


@pytest.mark.parametrize(("first", "second"), [("/srv/a", ""), ("", "/srv/b"), ("/srv/a", "/srv/b")])
def test_what_a_lost_run_changed_is_undone_by_one_with_another_folder_to_what_was_before_it(toys: Zoo, spare: Board, first: str, second: str) -> None:
    state = loses_power(toys, spare, first)
    said: list[str] = []
    with held(toys, "toy", Ssh(spare.name, folder=second, say=said.append), said.append):
        assert governor(spare) == "performance"
    assert said == [f"{spare.name}: an interrupted run had left settings changed; restored: governor ondemand"]
    assert governor(spare) == "ondemand", "and not to what the lost run had set"
    assert state not in spare.files()


def test_what_was_changed_while_the_home_was_read_only_is_undone_when_it_is_not_and_the_other_way_round(toys: Zoo, spare: Board) -> None:
    spare.read_only("/root")
    assert loses_power(toys, spare, "").startswith("/var/tmp/socbench-0/")
    assert undo(toys, "toy", Ssh(spare.name)) == {"restored": ["governor ondemand"], "failed": []}
    state = loses_power(toys, spare, "")
    assert state.startswith("/root/.cache/socbench/")
    spare.read_only("/root")
    found = undo(toys, "toy", Ssh(spare.name))
    assert (found["restored"], governor(spare)) == (["governor ondemand"], "ondemand")
    assert f"{state} cannot be changed (Read-only file system)" in found["failed"][0]["what"]
    assert not [path for path in spare.files() if "/changed-" in path and path != state]
