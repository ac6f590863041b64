"""`socbench bench` on boards, from the command line to the records: an emulated board, a cut in the middle, two at once; and the wrong name."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import lab as processes
from tests.lab import PACK, begin, socbench, until
from tests.ssh_lab.trees import ORIN_NX, RK3588
from tests.ssh_lab.work import connections

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ssh_lab.board import Board
    from tests.ssh_lab.conftest import Lab

cache = processes.cache
pytestmark = pytest.mark.usefixtures("cache")
TINY = ("--zoo", PACK, "--workload", "tiny", "--precision", "fp32", "--seconds", "0.1")
PLAIN = {name: content for name, content in RK3588.items() if "devicetree" not in name and "/cpu" not in name}
"""A board that is this machine's own kind, and does not say that it is another."""


def records(results: Path) -> list[dict[str, Any]]:
    """What was measured, in the order of the files."""
    return [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(results.rglob("runs/**/*.json.gz"))]


def _agents(board: Board) -> int:
    return sum("agent.py" in words for words in board.processes().values())


def left_clean(board: Board) -> None:
    until(lambda: not board.processes(), "all to end")
    assert not [path for path in board.files() if "/run-" in path or path.endswith((".json", ".part"))]
    assert not connections(board)


@pytest.fixture(scope="module")
def plain(lab: Lab) -> Board:
    return lab.board("plain", PLAIN)


def test_an_arm64_board_is_recognised_and_runs_and_its_times_are_kept_out_of_the_results(lab: Lab, tmp_path: Path) -> None:
    board = lab.boards.get("jetson") or lab.board("jetson", ORIN_NX, arch="arm64")
    less = ("--idle", "0.5", "--sample-hz", "2")  # an emulator is slow, and its times are nobody's
    done = socbench("bench", "jetson", "--host", board.name, *TINY, *less, "--runtime", "onnxruntime", "--results", tmp_path)
    found = records(tmp_path)
    assert found, done.stderr
    for record in found:
        assert record["module"] == "Jetson Orin NX 16GB"
        assert record["status"] == "invalid"
        assert "user-mode emulation" in record["reason"]
        assert not any(record[key] for key in ("spans", "telemetry", "blocks"))
        assert record["artifact"]["sha256"]
        assert record["environment"]["board"]["arch"] == "aarch64"
    left_clean(board)
    for governor in (board.tree / "sys/devices/system/cpu/cpufreq").glob("policy*/scaling_governor"):
        assert governor.read_text().strip() == "schedutil", "what was pinned was put back"


def test_a_board_that_is_another_than_it_was_called_is_refused_before_anything_is_measured(native: Board, tmp_path: Path) -> None:
    done = socbench("bench", "jetson", "--host", native.name, *TINY, "--runtime", "onnxruntime", "--results", tmp_path)
    assert done.returncode == 2
    assert ", not jetson" in done.stderr
    assert "radxa,rock-5b" in done.stderr
    assert not records(tmp_path)
    left_clean(native)


def test_a_campaign_goes_on_after_a_cut_in_its_middle_and_every_session_is_there(plain: Board, tmp_path: Path) -> None:
    words: list[str | Path] = ["bench", "lab", "--host", plain.name, *TINY, "--runtime", "chatty", "--seconds", "3", "--results", tmp_path]
    with begin(*words) as process:
        until(lambda: _agents(plain) >= 2 or process.poll() is not None, "worker and sampler to run")
        plain.kill_sshd()
        plain.start_sshd()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "the link is back" in out + err
    assert len(records(tmp_path)) == 2, "single-stream and offline"
    assert all(record["spans"] for record in records(tmp_path)), [record["reason"] for record in records(tmp_path)]
    left_clean(plain)


def test_ctrl_c_ends_what_runs_on_the_board(plain: Board, tmp_path: Path) -> None:
    words: list[str | Path] = ["bench", "lab", "--host", plain.name, *TINY, "--runtime", "chatty", "--seconds", "60", "--results", tmp_path]
    with begin(*words) as process:
        until(lambda: _agents(plain) >= 2 or process.poll() is not None, "worker and sampler to run")
        process.send_signal(2)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    left_clean(plain)


def test_the_second_command_is_told_who_holds_the_board(plain: Board, tmp_path: Path) -> None:
    words: list[str | Path] = ["bench", "lab", "--host", plain.name, *TINY, "--runtime", "chatty", "--seconds", "60"]
    with begin(*words, "--results", tmp_path / "first") as process:
        try:
            until(lambda: len(plain.processes()) >= 2 or process.poll() is not None, "the first to hold the board")
            second = socbench(*words, "--results", tmp_path / "second")
            assert f"{plain.name} is held by root@" in second.stderr
            assert f"process {process.pid}" in second.stderr
            assert second.returncode in {1, 2}
        finally:
            process.send_signal(2)
            process.communicate(timeout=120)
    left_clean(plain)
