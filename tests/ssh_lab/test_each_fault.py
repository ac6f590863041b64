"""Each fault of a board does what it says, seen with nothing but ssh and a shell; and it can be undone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.lab import until
from tests.ssh_lab.shell import begun, ssh

if TYPE_CHECKING:
    from tests.ssh_lab.board import Board
    from tests.ssh_lab.conftest import Lab

SLEEP = "sleep 1000"


def running(board: Board, word: str = SLEEP) -> bool:
    return any(word in words for words in board.processes().values())


def lost(process: subprocess.Popen[str]) -> str:
    """What ssh said when it lost the connection."""
    _, err = process.communicate(timeout=60)
    assert process.returncode == 255, (process.returncode, err)
    return err


def test_with_the_link_cut_ssh_gives_up_the_program_runs_on_and_the_board_is_back_with_the_link(spare: Board) -> None:
    with begun(spare.name, SLEEP) as process:
        until(lambda: running(spare), "the program to run")
        with spare.unplugged():
            assert "not responding" in lost(process)
            assert ssh(spare.name, "true", check=False).returncode == 255
    assert running(spare)
    ssh(spare.name, "true")


def test_a_reset_ends_the_connection_at_once_and_none_can_be_made(spare: Board) -> None:
    with begun(spare.name, "cat") as process:
        until(lambda: running(spare, "cat"), "the program to run")
        with spare.resetting():
            assert process.stdin
            process.stdin.write("x\n")
            process.stdin.flush()
            assert lost(process)
            assert "refused" in ssh(spare.name, "true", check=False).stderr
    ssh(spare.name, "true")


def test_a_lossy_link_loses_packets_and_no_byte(spare: Board) -> None:
    data = os.urandom(2_000_000)
    with spare.lossy(10):
        assert ssh(spare.name, "sha256sum", data=data).stdout.split()[0] == hashlib.sha256(data).hexdigest()
        assert spare.packets_dropped() > 10


def test_a_slow_link_is_as_slow_as_asked(spare: Board) -> None:
    with spare.slow(kilobit=1600):
        begun = time.monotonic()
        assert ssh(spare.name, "wc -c", data=bytes(os.urandom(300_000))).stdout.strip() == "300000"
        assert time.monotonic() - begun > 1.0, "300 kB less what is buffered need more than a second at 200 kB/s, on any machine"


def test_with_sshd_killed_connections_end_and_programs_live(spare: Board) -> None:
    with begun(spare.name, SLEEP) as process:
        until(lambda: running(spare), "the program to run")
        spare.kill_sshd()
        assert lost(process)
    assert "refused" in ssh(spare.name, "true", check=False).stderr
    assert running(spare)
    spare.start_sshd()
    ssh(spare.name, "true")


def test_a_frozen_board_says_nothing_and_goes_on_when_thawed(spare: Board) -> None:
    with begun(spare.name, "cat") as process:
        until(lambda: running(spare, "cat"), "the program to run")
        spare.freeze()
        assert ssh(spare.name, "true", check=False).returncode == 255
        assert lost(process)
        spare.thaw()
    ssh(spare.name, "true")


def test_a_power_cut_ends_all_unheard_and_the_next_boot_finds_the_disk_alone(spare: Board) -> None:
    ssh(spare.name, "echo kept > /var/tmp/kept; echo gone > /tmp/gone; echo gone > /run/gone")
    boot = "cat /proc/sys/kernel/random/boot_id"
    before = ssh(spare.name, boot).stdout
    with begun(spare.name, SLEEP) as process:
        until(lambda: running(spare), "the program to run")
        spare.cut_power()
        assert "not responding" in lost(process)
    spare.boot()
    assert not spare.processes()
    assert ssh(spare.name, "cat /var/tmp/kept").stdout == "kept\n"
    assert ssh(spare.name, "ls /tmp /run/gone", check=False).stdout == "/tmp:\n"
    assert ssh(spare.name, boot).stdout != before
    assert float(ssh(spare.name, "cat /proc/uptime").stdout.split()[0]) < 160


def test_a_full_disk_takes_nothing_more(spare: Board) -> None:
    spare.fill(leave=100_000)
    ssh(spare.name, "head -c 10000 /dev/zero > /var/tmp/small")
    assert "No space left" in ssh(spare.name, "head -c 1000000 /dev/zero > /var/tmp/large", check=False).stderr
    spare.empty()
    ssh(spare.name, "head -c 1000000 /dev/zero > /var/tmp/large")


def test_what_takes_too_much_memory_is_killed_and_the_board_lives(spare: Board) -> None:
    spare.memory(200 << 20)
    done = ssh(spare.name, "python3 -c 'b\"x\" * (1 << 30)'; echo $?")
    assert done.stdout == "137\n", done
    assert ssh(spare.name, "python3 -c 'print(len(bytearray(1 << 20)))'").stdout == "1048576\n"


def test_a_read_only_home_is_read_only_and_the_rest_is_not(spare: Board) -> None:
    spare.read_only("/root")
    assert "Read-only file system" in ssh(spare.name, "touch x", check=False).stderr
    ssh(spare.name, "touch /tmp/x /var/tmp/x")


def test_ssh_refuses_a_board_that_it_does_not_know_and_one_whose_key_has_changed(lab: Lab, spare: Board) -> None:
    lab.introduce(**{spare.name: ""})
    assert "Host key verification failed" in ssh(spare.name, "true", check=False).stderr
    lab.introduce()
    ssh(spare.name, "true")
    known = spare.host_key()
    spare.new_host_key()
    spare.kill_sshd()
    spare.start_sshd()
    lab.introduce(**{spare.name: known})
    assert "IDENTIFICATION HAS CHANGED" in ssh(spare.name, "true", check=False).stderr
    lab.introduce()
    ssh(spare.name, "true")


def test_the_time_of_day_steps_under_a_running_program_and_the_clock_that_counts_does_not(lab: Lab) -> None:
    board = lab.board("steps", steps=True)
    tell = "import time\nwhile input() != 'end': print(time.time(), time.perf_counter(), flush=True)"
    with begun(board.name, f'python3 -c "{tell}"') as process:

        def clocks() -> tuple[float, float]:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            day, count = process.stdout.readline().split()
            return float(day) - time.time(), float(count) - time.perf_counter()

        day, count = clocks()
        board.step_clock(-3600)
        stepped, counted = clocks()
        process.communicate("end\n", timeout=60)
    assert day == pytest.approx(0, abs=60)
    assert stepped == pytest.approx(-3600, abs=60)
    assert counted == pytest.approx(count, abs=60)
    assert abs(count) > 60, "a board's counting clock is not the workstation's"
    lab.scrap(board)


def test_python_can_be_missing_too_old_or_without_numpy(lab: Lab, spare: Board) -> None:
    bare = lab.board("bare", numpy=False)
    assert "No module named 'numpy'" in ssh(bare.name, "python3 -c 'import numpy'", check=False).stderr
    lab.scrap(bare)
    spare.old_python()
    assert ssh(spare.name, "python3 -c 'import sys; print(sys.version_info[:2] < (3, 8))'").stdout == "True\n"
    assert ssh(spare.name, "python3 -I -c 'import platform; print(platform.python_version())'").stdout == "3.7.3\n"
    spare.no_python()
    assert ssh(spare.name, "python3 -V", check=False).returncode == 127
