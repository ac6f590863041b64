"""Campaigns on boards: real processes over a fake `ssh`, from the command line to the records; and what `doctor` and `restore` say of a board."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import harness
from harness.boards import UNNAMED, Place
from harness.cli import main
from harness.measure.campaign import published
from harness.metrics.spans import handled, window
from harness.record import Absent, Setting
from tests import fake_ssh, lab
from tests.lab import PACK, begin, socbench, until, workers
from tests.meter_fakes import Reply, web
from tests.readings import figure
from tests.records import failed_record, make_record

if TYPE_CHECKING:
    from collections.abc import Iterator

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")
TINY = ("--zoo", PACK, "--workload", "tiny", "--runtime", "chatty", "--seconds", "0.02")
ZOO = ("--zoo", PACK)


class Bench:
    """Boards behind a fake ssh, named in a boards file, and a results folder."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.results, self.environment = folder, folder / "results", environment
        self.boards: dict[str, fake_ssh.Board] = {}

    def add(self, name: str, host: str, target: str = "lab") -> fake_ssh.Board:
        """A board that is reached as user@host."""
        self.boards[name] = fake_ssh.Board(self.folder / "ssh", host)
        assert main(["boards", "add", name, f"user@{host}", "--target", target, "--zoo", str(PACK)]) == 0
        return self.boards[name]

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """`socbench bench`, to its end."""
        return socbench("bench", *words, "--results", self.results, env=self.environment)

    def left(self) -> list[int]:
        """What runs on any of the boards."""
        return workers(str(self.folder / "ssh"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Two boards, rk-1 and rk-2."""
    environment = {**fake_ssh.install(tmp_path / "ssh"), "SOCBENCH_BOARDS": str(tmp_path / "boards.toml")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = Bench(tmp_path, environment)
    found.add("rk-1", "red-host")
    found.add("rk-2", "blue-host")
    yield found
    until(lambda: not found.left(), "nothing runs on a board after a command")


def every_word(results: Path) -> str:
    """All that is in the records."""
    return "".join(gzip.decompress(path.read_bytes()).decode() for path in results.rglob("*.json.gz"))


def test_several_boards_are_benched_by_one_command_into_one_results_folder(bench: Bench) -> None:
    done = bench.run("rk-1", "rk-2", *TINY, "--json")
    assert done.returncode == 0, done.stderr
    records = harness.load(bench.results)
    assert sorted((one.board, one.scenario) for one in records) == [(name, one) for name in ("rk-1", "rk-2") for one in ("offline", "single-stream")]
    assert len({one.campaign for one in records}) == 1
    assert {one.target for one in records} == {"lab"}
    assert all(one.status in ("ok", "invalid") for one in records)
    words = every_word(bench.results)
    assert "user@" not in words
    assert "-host" not in words, "an address is nobody's business"

    lines = done.stderr.splitlines()
    for name in bench.boards:
        assert f"{name}: 2 sessions to measure; records go to {bench.results}" in lines
        assert [line for line in lines if line.startswith(f"{name}: [2/2] tiny fp32 chatty offline: ")]
        assert [line for line in lines if re.match(rf"{name} +tiny +fp32 +chatty +offline", line)], "and a row of the table"
    found = json.loads(done.stdout)
    assert [(one["board"], one["error"], len(one["records"])) for one in found["boards"]] == [("rk-1", None, 2), ("rk-2", None, 2)]
    for one in found["spread"]:
        assert set(one["boards"]) == {"rk-1", "rk-2"}
        assert one["relative_range"] >= 0
    assert done.stderr.count("building tiny onnx/fp32") <= 1


def test_a_board_that_cannot_be_reached_stops_no_other_and_can_be_measured_later(bench: Bench) -> None:
    bench.boards["rk-2"].refuse("user@blue-host: Permission denied (publickey).")
    done = bench.run("rk-1", "rk-2", *TINY, "--json")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)["boards"]
    assert (first["error"], len(first["records"])) == (None, 2)
    assert "does not let us in" in second["error"]["what"]
    assert "ssh-copy-id user@blue-host" in second["error"]["fix"]
    assert second["records"] == []
    assert "rk-2: not measured to the end" in done.stderr
    assert f"go on with: socbench bench rk-1 rk-2 --resume --results {bench.results} --zoo {PACK}" in done.stderr
    before = harness.load(bench.results)

    bench.boards["rk-2"].refuse("")
    done = bench.run("rk-1", "rk-2", "--resume", *ZOO)
    assert done.returncode == 0, done.stderr
    assert "rk-1: all 2 sessions of this campaign are measured already" in done.stderr
    assert "rk-2: 2 sessions to measure" in done.stderr
    after = harness.load(bench.results)
    assert [one for one in after if one.board == "rk-1"] == before
    assert len({one.campaign for one in after}) == 1
    assert {one.settings["seconds"] for one in after} == {Setting(0.02, "command line")}


def test_where_no_board_can_be_measured_nothing_was_and_the_exit_code_says_so(bench: Bench) -> None:
    for board in bench.boards.values():
        board.refuse("user@x: Permission denied (publickey).")
    assert bench.run("rk-1", "rk-2", *TINY).returncode == 2
    alone = bench.run("rk-1", *TINY)
    assert alone.returncode == 2
    assert alone.stderr.count("user@red-host does not let us in") == 1
    assert not list(bench.results.rglob("*.json.gz"))


def test_a_machine_that_is_not_the_target_is_refused_before_any_model_is_built(bench: Bench, tmp_path: Path) -> None:
    cache = tmp_path / "empty"
    done = socbench("bench", "ascend", "--results", bench.results, env={**bench.environment, "SOCBENCH_CACHE": str(cache)})
    assert done.returncode == 2, done.stderr
    assert "this machine is none of the machines that the target ascend knows" in done.stderr
    assert "socbench bench ascend --host USER@BOARD" in done.stderr
    assert not [path for path in (cache / "artifacts").rglob("*") if path.is_file()]


def test_a_board_without_a_name_is_reached_by_host_and_its_address_is_in_no_record(bench: Bench) -> None:
    fake_ssh.Board(bench.folder / "ssh", "10.9.8.7")
    done = bench.run("lab", "--host", "user@10.9.8.7", *TINY, "--scenario", "offline")
    assert done.returncode == 0, done.stderr
    assert "user@10.9.8.7: 1 session to measure" in done.stderr
    (record,) = harness.load(bench.results)
    assert record.board == UNNAMED
    assert "10.9.8.7" not in every_word(bench.results)
    assert bench.run("lab", "--resume", *ZOO).returncode == 2, "this machine has no campaign to go on with"
    again = bench.run("lab", "--host", "user@10.9.8.7", "--resume", *ZOO)
    assert "all 1 sessions of this campaign are measured already" in again.stderr

    assert bench.run("lab", "--host", "user@red-host", *TINY, "--scenario", "offline").returncode == 0
    assert [one.board for one in harness.load(bench.results)] == [UNNAMED, "red-host"]


def test_a_second_command_uploads_nothing_and_the_first_leaves_no_process(bench: Bench) -> None:
    board = bench.boards["rk-1"]
    assert bench.run("rk-1", *TINY, "--scenario", "offline").returncode == 0
    sent = len(list((board.home / ".cache/socbench/store").iterdir()))
    before = len(board.commands())
    assert bench.left() == []
    assert bench.run("rk-1", *TINY, "--scenario", "offline").returncode == 0
    assert len(list((board.home / ".cache/socbench/store").iterdir())) == sent
    assert len(board.commands()) - before <= 2, "a look, and the keeper"


def test_what_is_said_with_a_board_can_be_recorded(bench: Bench) -> None:
    done = bench.run("rk-1", *TINY, "--scenario", "offline", "--record", bench.folder / "said.jsonl")
    assert done.returncode == 0, done.stderr
    recorded = [path for path in bench.folder.iterdir() if path.name.startswith("said")]
    assert recorded
    assert f"recorded in {bench.folder / 'said.jsonl'}" in done.stderr


def test_how_it_is_measured_can_be_set_and_the_record_says_by_whom(bench: Bench) -> None:
    words = ("--sample-hz", "20", "--idle", "0.1", "--sustain", "1s", "--scenario", "single-stream", "--threads", "1")
    done = bench.run("rk-1", *TINY, *words)
    assert done.returncode == 0, done.stderr
    (record,) = harness.load(bench.results)
    wanted = {"sample_hz": 20.0, "idle": 0.1, "sustain": 1.0, "threads": 1}
    assert {name: record.settings[name] for name in wanted} == {name: Setting(value, "command line") for name, value in wanted.items()}
    assert {"idle", "sustain"} <= {one.stage for one in record.spans}
    assert "--sustain 1s: a run of less than 2 minutes has no sustained figure" in done.stderr
    assert {one.hertz for one in record.telemetry} == {20.0}


@pytest.fixture
def gauge() -> Iterator[str]:
    """The URL of a meter that says 5 W, ten times a second: it needs 10 s, and may be late by 0.5 s."""
    with web(lambda _target, _headers: Reply({"power": 5.0})) as server:
        yield f"http+json://{server.host}/?value=power&unit=W&hertz=10&name=supply"


def test_a_session_lasts_as_long_as_the_power_meter_needs_where_nobody_says_otherwise(bench: Bench, gauge: str) -> None:
    words = [one for one in TINY if one not in {"--seconds", "0.02"}]
    done = bench.run("rk-1", *words, "--scenario", "single-stream", "--idle", "0", "--meter", gauge)
    assert done.returncode == 0, done.stderr
    assert "http+json:supply is read 10 times a second and needs 10 s of work: a session takes that long" in done.stderr
    (record,) = harness.load(bench.results)
    assert record.settings["seconds"] == Setting(10.2, "power meter")
    stretch = window(record)
    assert stretch is not None
    energy = figure(record, "energy_per_item")
    if energy.value is None:  # a machine that is too busy to read the meter in time says that, and nothing of the length
        assert re.search(r"supply gave (no sample for|\d+ good samples)", energy.reason)
        assert "; no energy: supply gave" in done.stderr
        return
    assert energy.value == pytest.approx(5.0 * (stretch[1] - stretch[0]) / 1e9 / handled(record), rel=1e-3)
    assert re.search(r"energy_per_item \S+\s\S*J", done.stderr)


def test_a_session_that_was_chosen_to_be_shorter_says_before_it_that_there_will_be_no_energy_and_after_it_that_there_is_none(
    bench: Bench, gauge: str
) -> None:
    done = bench.run("rk-1", *TINY, "--scenario", "single-stream", "--idle", "0", "--meter", gauge)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    [warned] = [i for i, line in enumerate(lines) if "with --seconds 0.02 there will be no energy by it; fix: --seconds 11" in line]
    [told] = [i for i, line in enumerate(lines) if re.search(r"\[1/1\].*; no energy: the steady stage lasted .* needs 10 s", line)]
    assert warned < told


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_ends_everything_on_every_board_and_says_how_to_go_on(bench: Bench) -> None:
    words = ("rk-1", "rk-2", "--zoo", PACK, "--workload", "tiny", "--runtime", "chatty", "--scenario", "single-stream", "--seconds", "600")
    with begin("bench", *words, "--results", bench.results, env=bench.environment) as process:
        assert process.stderr
        said = ""
        while not ("rk-1: [1/1]" in said and "rk-2: [1/1]" in said):
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=lab.PATIENCE_S)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert f"interrupted: 0 of 2 sessions are saved in {bench.results}; go on with: socbench bench rk-1 rk-2 --resume" in err
    until(lambda: not bench.left(), "nothing runs on a board")


def test_a_board_that_was_lost_in_a_session_is_held_anew_for_the_next(bench: Bench) -> None:
    words = ("bench", "rk-1", "--zoo", PACK, "--workload", "tiny", "--runtime", "chatty", "--seconds", "4", "--results", bench.results)
    with begin(*words, env=bench.environment) as process:
        keeper = int(until(lambda: [one.read_text() for one in bench.folder.rglob("keeper.pid")], "the board is held")[0])
        mine = Path(f"/proc/{keeper}/task/{keeper}/children")
        until(lambda: len(mine.read_text().split()) == 2, "a worker and a sampler run on it")
        os.kill(keeper, signal.SIGKILL)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    first, second = harness.load(bench.results)
    assert first.status == "failed"
    assert "what ran there is lost" in first.reason
    assert second.status in ("ok", "invalid"), second.reason


@pytest.mark.parametrize(
    ("address", "said", "kept"),
    [
        (
            "user@10.9.8.7",
            "the link to user@10.9.8.7 was lost: 10.9.8.7 is down, 110.9.8.75 is not",
            "the link to rk-1 was lost: rk-1 is down, 110.9.8.75 is not",
        ),
        ("ssh://user@bench.example.com:22", "ssh://user@bench.example.com:22: no; user@bench.example.com:22.", "rk-1: no; rk-1."),
        ("red-host", "red-host: no red-hosts", "rk-1: no red-hosts"),
        ("", "this machine: no", "this machine: no"),
    ],
)
def test_a_record_has_the_board_s_name_where_a_message_has_its_address(address: str, said: str, kept: str) -> None:
    absent = Absent("power", "board:host", f"lost: {said}", said)
    telemetry = msgspec.structs.replace(make_record(n=5).telemetry[0], absent=[absent])
    record = msgspec.structs.replace(failed_record(), reason=said, fix=said, detail=f"{said}\n{said}", telemetry=[telemetry])
    found = published(record, Place("lab", "rk-1", address))
    assert (found.reason, found.fix, found.detail) == (kept, kept, f"{kept}\n{kept}")
    assert found.telemetry[0].absent == [Absent("power", "board:host", f"lost: {kept}", kept)]
    assert found.telemetry[0].rows == telemetry.rows


# --- doctor and restore ------------------------------------------------------------------------------------------------------------------


def found(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What a command that succeeds says to programs."""
    capfd.readouterr()
    assert main([*words, "--zoo", str(PACK), "--json"]) == 0
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    return document


def test_doctor_looks_at_a_board_its_link_and_what_is_installed_there(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    seen = found(capfd, "doctor", "rk-1")
    assert (seen["name"], seen["target"]) == ("rk-1", "lab")
    topics = {one["topic"]: one for one in seen["findings"]}
    assert "round trip" in topics["link"]["what"]
    assert "numpy" in topics["python"]["what"]
    assert str(bench.boards["rk-1"].home) in topics["folder"]["what"]
    assert topics["runtime chatty"]["ok"]
    assert topics["runtime absent"]["fix"] == f"on the board: {topics['python']['what'].split()[0]} -m pip install a-runtime-nobody-has"
    assert all(one["ok"] or one["fix"] for one in seen["findings"]), "what is not well has a fix"


def test_doctor_of_a_board_that_does_not_let_us_in_says_what_to_do(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.boards["rk-1"].refuse("user@red-host: Permission denied (publickey).")
    assert main(["doctor", "rk-1", *map(str, ZOO)]) == 2
    assert "ssh-copy-id user@red-host" in capfd.readouterr().err


def test_a_board_whose_harness_died_is_held_until_restore_ends_it(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    words = ("rk-1", "--zoo", PACK, "--workload", "tiny", "--runtime", "chatty", "--scenario", "single-stream", "--seconds", "600")
    with begin("bench", *words, "--results", bench.results, env=bench.environment) as process:
        until(lambda: bench.left() and bench.boards["rk-1"].connections("keeper.py"), "the board is held")
        process.kill()
        process.communicate()
    assert bench.left(), "what runs on the board survives for the time of its lease"
    ended = found(capfd, "restore", "rk-1")
    assert f"process {process.pid}" in ended["ended"]
    until(lambda: not bench.left(), "nothing runs there any more")
    assert found(capfd, "restore", "rk-1") == {"name": "rk-1", "ended": "", "restored": [], "failed": []}
    assert main(["restore", "rk-1", "--zoo", str(PACK)]) == 0
    assert capfd.readouterr().out == "rk-1: there was nothing to restore\n"


def test_restore_on_this_machine_has_nothing_to_do_where_nothing_was_left(capfd: pytest.CaptureFixture[str]) -> None:
    assert found(capfd, "restore", "host") == {"name": "host", "ended": "", "restored": [], "failed": []}


# --- what does not go together -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (("rk-1", "rk-2", "--meter", "shelly://10.0.0.7"), "--meter is of one board, and 2 names were given", "socbench boards add"),
        (("rk-1", "rk-2", "--host", "user@x"), "--host is of one board, and 2 names were given", "socbench boards add"),
        (("rk-1", "rk-2", "--python", "/usr/bin/python3"), "--python is of one board", "socbench boards add"),
        (("rk-1", "rk-2", "--record", "said"), "--record is of one board", "name one board"),
        (("rk-1", "rk-1"), "'rk-1' is named twice", "once"),
        (("rk-1", "lab"), "'lab' is this machine, which cannot be measured while it measures others", "by itself"),
        (("rk-1", "--host", "user@x"), "'rk-1' is a board and has its address, user@red-host", "name the target: lab"),
        (("lab", "--python", "/usr/bin/python3"), "--python is of a board, and 'lab' is this machine", "--host user@board"),
        (("lab", "--host=-oProxyCommand=x"), "begins with -", "user@host"),
        (("rk_1",), "unknown target or board 'rk_1'", "did you mean 'rk-1'?"),
        (("rk-1", "--jobs", "0"), "--jobs 0: must be 1 or more", "--jobs 2"),
        (("rk-1", "--meter", "shely://10.0.0.7"), "'shely'", "shelly://"),
        (("rk-1", "--sample-hz", "fast"), "--sample-hz 'fast': not a number", "--sample-hz 10"),
        (("rk-1", "--sample-hz", "0.01"), "must be from 0.1 to 1000", "--sample-hz 10"),
        (("rk-1", "--sample-hz", "nan"), "must be from 0.1 to 1000", "--sample-hz 10"),
        (("rk-1", "--idle", "-1"), "must be from 0 to 3600", "--idle 30"),
        (("rk-1", "--sustain", "30"), "--sustain '30': not a time", "--sustain 30m"),
        (("rk-1", "--sustain", "0s"), "must be more than 0s", "--sustain 30m"),
        (("rk-1", "--sustain", "25h"), "at most 24h", "--sustain 30m"),
        (("rk-1", "--threads", "0"), "--threads '0': must be 1 or more", "--threads 2"),
        (("rk-1", "rk-2", "--resume"), "no campaign on 'rk-1' to go on with", "begin one: socbench bench rk-1 rk-2"),
    ],
)
def test_what_does_not_go_together_is_one_message_and_nothing_is_begun(
    bench: Bench, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], what: str, fix: str
) -> None:
    capfd.readouterr()
    choice = ZOO if "--resume" in words else (*ZOO, "--workload", "tiny")
    assert main(["bench", *words, *map(str, choice), "--results", str(bench.results)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    message, advice = err.rstrip("\n").split("\n")
    assert what in message
    assert advice.startswith("  fix: ")
    assert fix in advice
    assert not bench.results.exists()
    assert not any(board.commands() for board in bench.boards.values()), "no board was asked for anything"


def test_boards_that_were_told_to_measure_different_things_do_not_go_on_together(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    assert bench.run("rk-1", *TINY, "--scenario", "offline").returncode == 0
    assert bench.run("rk-2", *TINY, "--scenario", "offline", "--threads", "1").returncode == 0
    capfd.readouterr()
    assert main(["bench", "rk-1", "rk-2", "--resume", *map(str, ZOO), "--results", str(bench.results)]) == 2
    err = capfd.readouterr().err
    assert "rk-1 and rk-2 were told to measure different things" in err
    assert "one board at a time" in err
