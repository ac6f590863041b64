"""The /sys that answers: what a board's programs read there is what the test set, fault by fault."""

from __future__ import annotations

import errno
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.board_trees import write
from tests.ssh_lab.fuse import LiveSys
from tests.ssh_lab.trees import INA3221, ORIN_NX

POWER = f"{INA3221.removeprefix('sys/')}/curr1_input"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSys]:
    with LiveSys(tmp_path / "live", ORIN_NX) as found:
        yield found


def names(root: Path) -> dict[str, str]:
    """What lies below a folder; where a link leads."""
    return {str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else "" for path in root.rglob("*")}


def test_it_lists_and_reads_as_the_tree_of_plain_files_does(live: LiveSys, tmp_path: Path) -> None:
    write(tmp_path / "plain", ORIN_NX)
    assert names(live.at) == names(tmp_path / "plain/sys")
    for path in (tmp_path / "plain/sys").rglob("*"):
        if path.is_file():
            assert (live.at / path.relative_to(tmp_path / "plain/sys")).read_bytes() == path.read_bytes(), path


def test_each_read_asks_anew_also_through_an_open_file(live: LiveSys) -> None:
    values = itertools.count(100)
    live.set(POWER, lambda: str(next(values)))
    with (live.at / POWER).open("rb", buffering=0) as file:
        read = []
        for _ in range(3):
            file.seek(0)
            read.append(file.read(4096))
    assert read == [b"100\n", b"101\n", b"102\n"]


def test_what_is_written_is_read(live: LiveSys) -> None:
    governor = live.at / "devices/system/cpu/cpufreq/policy0/scaling_governor"
    governor.write_text("performance")
    assert governor.read_text() == "performance\n"
    assert (live.at / "devices/system/cpu/cpu1/cpufreq/scaling_governor").read_text() == "performance\n"


def test_errors_come_and_go(live: LiveSys) -> None:
    live.fail(POWER)
    with pytest.raises(OSError, match="Input/output error") as caught:
        (live.at / POWER).read_text()
    assert caught.value.errno == errno.EIO
    live.heal()
    assert (live.at / POWER).read_text() == "1000\n"


def test_what_vanishes_is_gone_from_its_folder_and_an_open_file_says_so(live: LiveSys) -> None:
    folder = (live.at / POWER).parent
    with (live.at / POWER).open("rb", buffering=0) as file:
        live.vanish(POWER.rpartition("/")[0])
        with pytest.raises(OSError, match="No such device"):
            file.read(64)
    assert folder not in list(folder.parent.iterdir())
    with pytest.raises(FileNotFoundError):
        (live.at / POWER).read_text()


def test_a_slow_file_keeps_nobody_from_the_others(live: LiveSys) -> None:
    live.delay(POWER, 1.0)
    read: list[str] = []
    slow = threading.Thread(target=lambda: read.append((live.at / POWER).read_text()))
    slow.start()
    assert (live.at / INA3221.removeprefix("sys/") / "in1_input").read_text() == "5040\n"
    assert not read
    slow.join()
    assert read == ["1000\n"]
