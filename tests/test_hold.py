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
    yield tmp_path
    assert not list((tmp_path / "cache").glob("changed*")), "nothing is left to restore"


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
    with pytest.raises(UsageError, match=r"this is a RK3588, not a toy.*rockchip,rk3588") as caught, held(Zoo([toy]), "toy", Local()):
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


def killed(toy: Path) -> None:
    """A harness dies in the middle of a campaign."""
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
    assert governor(toy) == "performance"
    kept = json.loads(Path(Local().state_file()).read_text())
    assert [one["snapshot"] for one in kept] == [{"governor": "ondemand"}]


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


def test_two_campaigns_on_one_machine_are_one_too_many(toy: Path) -> None:
    with (
        held(Zoo([toy]), "toy", Local()),
        pytest.raises(Stable, match=f"another socbench measures on this machine: process {os.getpid()}"),
        held(Zoo([toy]), "toy", Local()),
    ):
        pytest.fail("it was held twice")
    assert governor(toy) == "ondemand"
