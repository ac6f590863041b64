"""When a lab ends, however it ends, nothing of it is left: looked at from outside, which is here another lab around it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab import alive, until
from tests.ssh_lab.assets import unmet
from tests.ssh_lab.namespace import groups, sweep

if TYPE_CHECKING:
    from tests.ssh_lab.conftest import Lab

INNER = """
import sys
from tests.ssh_lab.assets import prepare
from tests.ssh_lab.conftest import Lab
from tests.ssh_lab.fuse import LiveSys
from tests.ssh_lab.namespace import LAB
from tests.ssh_lab.trees import ORIN_NX

lab = Lab(prepare())
live = LiveSys(LAB / "live", ORIN_NX)
board = lab.board("inner", arch="arm64", live=live.at)
print(board.run("uname -m").stdout, end="", flush=True)
sys.stdin.read()
"""


def _begin() -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.ssh_lab.namespace", sys.executable, "-c", INNER]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "aarch64\n"
    return process


def _running() -> set[str]:
    return {path.name for path in Path("/proc").iterdir() if path.name.isdecimal() and alive(int(path.name))}


def _state() -> dict[str, object]:
    """What could be left beside processes: mounts, network devices, emulators, control groups."""
    return {
        "mounts": Path("/proc/mounts").read_text(),
        "links": subprocess.run(["ip", "-o", "-br", "link"], capture_output=True, text=True, check=True).stdout,
        "emulators": sorted(path.name for path in Path("/proc/sys/fs/binfmt_misc").iterdir()),
        "groups": sorted(str(path) for top in groups() for path in top.glob("socbench-lab-*")),
        "run": sorted(path.name for path in Path("/run").iterdir()),
    }


def test_nothing_is_left_when_the_program_ends(lab: Lab) -> None:
    before, ran = _state(), _running()
    with _begin() as process:
        during = _state()
        assert _running() - ran
        assert during["groups"] != before["groups"]
        for key in ("mounts", "links", "emulators", "run"):
            assert during[key] == before[key], "what the lab makes is seen in the lab alone"
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert _state() == before
    assert not _running() - ran


def test_nothing_runs_on_when_the_lab_is_killed_and_the_next_one_sweeps_up(lab: Lab) -> None:
    before, ran = _state(), _running()
    with _begin() as process:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    until(lambda: not _running() - ran, "the kernel to end what ran in the lab")

    def swept() -> bool:
        sweep()
        return _state() == before

    until(swept, "the control groups to be swept")


def test_a_machine_that_cannot_hold_a_lab_is_told_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not unmet()
    for patched, why, fix in (
        (("os.geteuid", lambda: 1000), "needs root", "run it as root"),
        (("platform.machine", lambda: "aarch64"), "a Debian machine", "Debian 12"),
        (("platform.release", lambda: "6.1.0-50-amd64"), "needs Linux 6.7", "boot a newer kernel"),
        (("shutil.which", lambda name: None if name in {"ssh", "ip"} else name), "openssh-client", "apt-get install"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(*patched)
            assert re.search(f"{why}.*\n  fix: .*{fix}", unmet()), unmet()


def test_the_program_s_exit_code_is_the_lab_s(lab: Lab) -> None:
    words = [sys.executable, "-m", "tests.ssh_lab.namespace", "sh", "-c"]
    assert subprocess.run([*words, "exit 7"], check=False).returncode == 7
    assert subprocess.run([*words, "kill -TERM $$"], check=False).returncode == 128 + signal.SIGTERM
