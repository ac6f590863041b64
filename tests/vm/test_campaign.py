"""`socbench bench` on a machine that is emulated down to its processor: it is told for what it is, runs, and none of its times is kept."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any

import pytest

from harness.measure.hold import load
from harness.measure.ssh import Ssh
from harness.spec import Zoo
from tests import lab
from tests.lab import PACK, begin

if TYPE_CHECKING:
    from tests.vm.machine import Machine

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")
VIRT = Path(__file__).with_name("pack")
TINY = ("--zoo", PACK, "--workload", "tiny", "--precision", "fp32", "--seconds", "0.1", "--idle", "0.5", "--sample-hz", "2")
SECONDS = 600.0
"""An emulator is slow; nothing is measured by it."""


def bench(vm: Machine, target: str, results: Path, *more: str | Path) -> CompletedProcess[str]:
    """`socbench bench`, to its end."""
    words: list[str | Path] = ["bench", target, "--host", vm.name, *TINY, "--runtime", "onnxruntime", "--results", results, *more]
    with begin(*words) as process:
        out, err = process.communicate(timeout=SECONDS)
    return CompletedProcess(words, process.returncode, out, err)


def records(results: Path) -> list[dict[str, Any]]:
    return [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(results.rglob("runs/**/*.json.gz"))]


def test_it_says_what_it_is(vm: Machine) -> None:
    link = Ssh(vm.name)
    with link.hold(), link.start(1) as agent:
        load(link, agent, Zoo().halves("boards", "host"))
        found = agent.ask("probe", SECONDS)["board"]
    assert found["compatible"] == ["linux,dummy-virt"]
    assert found["emulated"] == "a virtual machine of QEMU's generic board (linux,dummy-virt)"
    assert found["arch"] == "aarch64"
    assert found["kernel"].startswith("6.1.0-")


@pytest.mark.parametrize("target", ["jetson", "rk3588"])
def test_it_is_no_board_of_a_family_and_refused_as_one_before_anything_is_measured(vm: Machine, tmp_path: Path, target: str) -> None:
    done = bench(vm, target, tmp_path)
    assert done.returncode == 2
    assert f"is none of the machines that the target {target} knows" in done.stderr
    assert "linux,dummy-virt" in done.stderr
    assert not records(tmp_path)


def test_a_run_goes_on_unpinned_says_so_and_leaves_no_time_behind(vm: Machine, tmp_path: Path) -> None:
    done = bench(vm, "virt", tmp_path, "--zoo", VIRT)
    found = records(tmp_path)
    assert found, done.stdout + done.stderr
    for record in found:
        assert record["module"] == "QEMU virt"
        assert record["status"] == "invalid"
        assert "linux,dummy-virt" in record["reason"]
        assert not any(record[key] for key in ("spans", "telemetry", "blocks")), "no time and no sample"
        assert record["artifact"]["sha256"], "but what was run"
        pinned = record["environment"]["pin"]
        assert [one["what"] for one in pinned["problems"]] == ["not pinned: the CPU has no cpufreq policy (no driver, or a virtual machine)"]
        assert not pinned["achieved"]
