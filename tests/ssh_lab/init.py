"""Process 1 of a board: furnish its root, then reap. Started in new namespaces with the board's description (JSON) as its only argument."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

from tests.ssh_lab import kernel

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def furnish(board: dict[str, str]) -> None:
    """The board's /proc, /sys, /dev, and what a reboot empties: /tmp and /run."""
    root, own = Path(board["root"]), Path(board["own"])
    socket.sethostname(board["name"])
    for proc in (Path("/proc"), root / "proc"):  # the first for sshd, which runs outside of the root
        kernel.mount("proc", proc, "proc")
        kernel.bind(own / "boot_id", proc / "sys/kernel/random/boot_id")
    if board["arch"] == "arm64":  # emulated programs look there for what the emulator does not tell them
        kernel.bind(own / "tree/proc/cpuinfo", root / "proc/cpuinfo")
    kernel.bind(board["sys"], root / "sys")
    for name, mode in (("tmp", "1777"), ("run", "755"), ("dev", "755")):
        kernel.mount("tmpfs", root / name, "tmpfs", kernel.NOSUID, f"size=256m,mode={mode}")
    for name in DEVICES:
        (root / "dev" / name).touch()
        kernel.bind(Path("/dev") / name, root / "dev" / name)
    for name in ("shm", "pts"):
        (root / "dev" / name).mkdir()
    (root / "dev/shm").chmod(0o1777)
    kernel.mount("devpts", root / "dev/pts", "devpts", options="newinstance,ptmxmode=0666")
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    (root / "run/lab").mkdir()
    kernel.bind(own / "run", root / "run/lab")
    for name in ("passwd", "group"):  # sshd looks its users up outside of the root
        kernel.bind(Path(board["etc"]) / "etc" / name, f"/etc/{name}")


def main() -> None:
    """Furnish, say so on stdout, reap for ever."""
    kernel.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    furnish(json.loads(sys.argv[1]))
    os.write(1, b"up\n")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            continue


if __name__ == "__main__":
    main()
