"""A machine for a campaign: ours alone, recognised, pinned, and given back as it was however the campaign ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import Stable, UsageError
from harness.measure.hold import held, undo
from harness.measure.link import Local
from harness.spec import Zoo
from tests.lab import ROOT, cache, until

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache"]

BOARD = '''
"""A board whose governor is a file beside its state, and which shows what the file `compatible` says."""
import os
import pathlib

HERE = pathlib.Path(os.environ["TOY"])
USES = ()

def probe():
    compatible = (HERE / "compatible").read_text().split()
    return {"module": "a toy", "compatible": compatible, "model": "Toy", "soc0": {}, "emulated": "", "cpus": 1}

def state():
    return {}

def snapshot(wanted):
    return {"governor": (HERE / "governor").read_text()}

def pin(wanted):
    (HERE / "governor").write_text(wanted["governor"])
    if wanted.get("fall"):
        os._exit(3)
    return {"requested": wanted, "achieved": {"governor": (HERE / "governor").read_text()}, "problems": [], "note": ""}

def restore(snapshot, rebooted):
    (HERE / "governor").write_text(snapshot["governor"])
    return {"restored": ["governor " + snapshot["governor"]], "failed": []}
'''

TOML = """
title = "A toy"
board = "toy"
[pin]
governor = "performance"
[modules.a]
title = "Toy A"
compatible = ["toy,a"]
[modules.b]
title = "Toy B"
compatible = ["toy,b"]
pin = { governor = "userspace" }
[modules.c]
title = "Toy C"
compatible = ["toy,c"]
pin = { fall = true }
[runtimes.onnxruntime]
opens = ["onnx/fp32"]
package = "onnxruntime"
install = "none"
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Path]:
    """A zoo with one toy board, and the folder that is the board."""
    del cache
    (tmp_path / "targets" / "boards").mkdir(parents=True)
    (tmp_path / "workloads").mkdir()
    (tmp_path / "targets" / "boards" / "toy.py").write_text(BOARD)
    (tmp_path / "targets" / "toy.toml").write_text(TOML)
    (tmp_path / "compatible").write_text("maker,board toy,a")
    (tmp_path / "governor").write_text("ondemand")
    monkeypatch.setenv("TOY", str(tmp_path))
    monkeypatch.setenv("SOCBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SOCBENCH_BOARD", f"toy-{os.getpid()}")  # a machine of its own, whatever else is measured on this one
    yield tmp_path
    assert not list(tmp_path.rglob("changed*.json")), "nothing is left to restore"


def governor(toy: Path) -> str:
    return (toy / "governor").read_text()


def test_a_machine_is_recognised_pinned_and_given_back(toy: Path) -> None:
    with held(Zoo([toy]), "toy", Local()) as machine:
        assert machine.module == "Toy A"
        assert machine.pinned["achieved"] == {"governor": "performance"}
        assert governor(toy) == "performance"
    assert governor(toy) == "ondemand"


def test_a_variant_may_be_pinned_in_its_own_way(toy: Path) -> None:
    (toy / "compatible").write_text("toy,b")
    with held(Zoo([toy]), "toy", Local()) as machine:
        assert (machine.module, governor(toy)) == ("Toy B", "userspace")
    assert governor(toy) == "ondemand"


def test_a_machine_of_another_kind_is_refused_before_anything_is_changed(toy: Path) -> None:
    (toy / "compatible").write_text("radxa,rock-5b rockchip,rk3588")
    with pytest.raises(UsageError, match=r"RK3588 \(target rk3588\), not toy.*rockchip,rk3588") as caught, held(Zoo([toy]), "toy", Local()):
        pytest.fail("it was held")
    assert "--target rk3588" in caught.value.fix
    assert governor(toy) == "ondemand"


def test_an_error_in_the_campaign_gives_the_machine_back(toy: Path) -> None:

    def campaign() -> None:
        with held(Zoo([toy]), "toy", Local()):
            assert governor(toy) == "performance"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        campaign()
    assert governor(toy) == "ondemand"


def test_a_half_that_falls_while_it_pins_is_undone_at_once(toy: Path) -> None:
    (toy / "compatible").write_text("toy,c")
    with pytest.raises(Stable, match="exit code 3"), held(Zoo([toy]), "toy", Local()):
        pytest.fail("it was held")
    assert governor(toy) == "ondemand"


KILLED = """
import time
from pathlib import Path
from harness.measure.hold import held
from harness.measure.link import Local
from harness.spec import Zoo
import os
with held(Zoo([Path(os.environ["TOY"])]), "toy", Local()):
    print("held", flush=True)
    time.sleep(600)
"""


def killed(toy: Path, was: str = "ondemand") -> None:
    """A harness dies in the middle of a campaign."""
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
    assert governor(toy) == "performance"
    kept = json.loads(Path(Local().state_file()).read_text())
    assert [one["snapshot"] for one in kept] == [{"governor": was}]


def test_a_killed_run_is_undone_by_the_next_one_to_what_was_before_it(toy: Path) -> None:
    killed(toy)
    said: list[str] = []
    with held(Zoo([toy]), "toy", Local(), said.append):
        assert governor(toy) == "performance"
    assert governor(toy) == "ondemand"
    assert said == ["this machine: an interrupted run had left settings changed; restored: governor ondemand"]


def test_a_killed_run_is_undone_on_request_and_once(toy: Path) -> None:
    killed(toy)
    until(lambda: undo(Zoo([toy]), "toy", Local()) == {"restored": ["governor ondemand"], "failed": []}, "it is restored")
    assert governor(toy) == "ondemand"
    assert undo(Zoo([toy]), "toy", Local()) == {}


@pytest.mark.parametrize("place", ["home/.cache/socbench", f"socbench-{os.getuid()}"])
def test_what_a_run_left_changed_is_found_in_the_other_places_where_it_may_lie(toy: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    folder = toy / place
    folder.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("SOCBENCH_CACHE", str(folder))
    killed(toy)
    monkeypatch.setenv("SOCBENCH_CACHE", str(toy / "cache"))
    said: list[str] = []
    with held(Zoo([toy]), "toy", Local(), said.append):
        assert governor(toy) == "performance"
        assert len(list(toy.rglob("changed*.json"))) == 1, "only ours"
    assert governor(toy) == "ondemand"
    assert said == ["this machine: an interrupted run had left settings changed; restored: governor ondemand"]


def test_of_two_such_files_the_older_tells_what_the_machine_was_at_first(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, was in (("home/.cache/socbench", "ondemand"), ("cache", "userspace")):
        monkeypatch.setenv("SOCBENCH_CACHE", str(toy / place))
        (toy / "governor").write_text(was)
        (toy / "away").mkdir()
        for file in toy.rglob("changed*.json"):
            file.rename(toy / "away" / file.name)  # as on a disk that was not mounted
        killed(toy, was)
        for file in (toy / "away").iterdir():
            file.rename(toy / "home/.cache/socbench" / file.name)
        (toy / "away").rmdir()
    assert undo(Zoo([toy]), "toy", Local()) == {"restored": ["governor userspace", "governor ondemand"], "failed": []}
    assert governor(toy) == "ondemand"


def test_one_that_others_may_have_written_and_one_that_cannot_be_read_are_said_once_and_not_used(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = Path(Local().state_file()).name
    shared, home = toy / f"socbench-{os.getuid()}", toy / "home/.cache/socbench"
    for folder in (shared, home):
        folder.mkdir(parents=True)
    shared.chmod(0o777)
    (shared / name).write_text(json.dumps([{"half": "toy", "boot": "", "snapshot": {"governor": "forged"}}]))
    (home / name).write_text("[1]")
    said: list[str] = []
    with held(Zoo([toy]), "toy", Local(), said.append):
        pass
    assert governor(toy) == "ondemand"
    one, other = sorted(said)
    assert f"not restored: {home / name}, which tells how to undo a change of settings, cannot be read ('int' object" in one
    assert one.endswith("reboot, then remove it; fix: or run socbench restore with the version that wrote it")
    assert f"not restored: {shared / name}, which may tell how to undo a change of settings, is not used: others may have written it" in other
    for folder in (shared, home):
        (folder / name).unlink()


def test_two_campaigns_on_one_machine_are_one_too_many(toy: Path) -> None:
    with (
        held(Zoo([toy]), "toy", Local()),
        pytest.raises(Stable, match=f"another socbench measures on this machine: process {os.getpid()}"),
        held(Zoo([toy]), "toy", Local()),
    ):
        pytest.fail("it was held twice")
    assert governor(toy) == "ondemand"
