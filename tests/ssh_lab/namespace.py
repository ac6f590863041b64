"""`python -m tests.ssh_lab.namespace PROGRAM ...`: run a program in a machine of its own, of which nothing stays.

The program is root in new user, mount, network, process, host-name and IPC namespaces: it may mount, make network devices and start
processes as it likes, and the kernel takes all of it away when the program ends, or this process is killed. In there
- arm64 programs run, by an emulator that is registered in the user namespace's own binfmt_misc (since Linux 6.7);
- the network is a bridge, `br0`, 10.77.0.1/24, from which no way leads out;
- HOME is an empty folder, also for programs that ask /etc/passwd, as ssh does: no key and no setting of the real user is seen.
Control groups outlive a namespace: they are made below socbench-lab-PID and removed at the end, or by the next lab.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from harness import cache
from tests.lab import alive, until
from tests.ssh_lab import kernel
from tests.ssh_lab.assets import prepare

LAB = Path("/run/lab")
GATE = "10.77.0.1"
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
"""The header of a 64-bit little-endian ELF program (EI_CLASS 2, EI_DATA 1, e_type 2 or 3) for e_machine 183, EM_AARCH64."""


def groups() -> list[Path]:
    """Where control groups are made: hierarchies that can limit memory or processor time or freeze; of version 1 or 2, as this machine has them."""
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, at, kind, options = line.split()[:4]
        if kind == "cgroup2" or (kind == "cgroup" and {"cpu", "memory", "freezer"} & set(options.split(","))):
            found.append(Path(at))
    return found


def sweep() -> None:
    """Remove the control groups of labs that have ended."""
    for folder in (path for top in groups() for path in top.glob("socbench-lab-*")):
        if not alive(int(folder.name.split("-")[2])):
            for group in [*folder.glob("*/"), folder]:
                _removed(group)


def _removed(group: Path) -> bool:
    with contextlib.suppress(OSError):  # busy, for as long as a killed process takes to end
        group.rmdir()
    return not group.exists()


def main(words: list[str]) -> int:
    """Run a program in a lab; its exit code, 128 + N where a signal ended it."""
    assets = prepare()
    sweep()
    group = f"socbench-lab-{os.getpid()}-{secrets.token_hex(4)}"
    os.environ |= {"LAB_CGROUP": group, "SOCBENCH_CACHE": str(cache.root())}
    ready, mapped = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        _guarded(partial(_outer, words, str(assets.qemu), ready[1], mapped[0]))
    os.close(ready[1])
    if os.read(ready[0], 1):
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text("0 0 65536")
        os.write(mapped[1], b"x")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
    code = _code(os.waitpid(child, 0)[1])
    for top in groups():
        for path in [*(top / group).glob("*/"), top / group]:
            until(partial(_removed, path), f"{path} to be empty")
    return code


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _guarded(run: Callable[[], NoReturn]) -> NoReturn:
    """Run in a forked process: it never returns into the code of its parent."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 -- the process ends here
        os.write(2, f"error: the lab cannot be made: {error}\n".encode())
    finally:
        os._exit(70)


def _outer(words: list[str], qemu: str, ready: int, mapped: int) -> NoReturn:
    kernel.unshare(kernel.NEWUSER | kernel.NEWNS | kernel.NEWNET | kernel.NEWPID | kernel.NEWUTS | kernel.NEWIPC)
    os.write(ready, b"x")
    os.read(mapped, 1)
    os.setgid(0)
    os.setuid(0)
    kernel.die_with_parent()
    if (child := os.fork()) == 0:
        _guarded(partial(_inner, words, qemu))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os._exit(_code(os.waitpid(child, 0)[1]))


def _inner(words: list[str], qemu: str) -> NoReturn:
    """Process 1: furnish the namespaces, start the program, reap, end with it."""
    kernel.die_with_parent()
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    kernel.mount("proc", "/proc", "proc")
    kernel.mount("tmpfs", "/run", "tmpfs", options="mode=755")
    kernel.mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
    # F: the emulator is opened now, so that a board's root needs no copy of it; O and C: as for set-uid programs, credentials are the program's
    Path("/proc/sys/fs/binfmt_misc/register").write_text(f":aarch64:M::{MAGIC}:{MASK}:{qemu}:OCF")
    _home()
    for line in (f"link set lo up|link add br0 type bridge|addr add {GATE}/24 dev br0|link set br0 up").split("|"):
        subprocess.run(["ip", *line.split()], check=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program = subprocess.Popen(words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # noqa: PLW1509 -- one thread
    while True:
        pid, status = os.wait()
        if pid == program.pid:
            os._exit(_code(status))  # with process 1 the kernel ends everything in here


def _home() -> None:
    """An empty home, for $HOME and for /etc/passwd."""
    home = LAB / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    passwd = LAB / "passwd"
    lines = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
    passwd.write_text("".join(":".join([*line[:5], str(home) if line[0] == "root" else line[5], line[6]]) + "\n" for line in lines))
    kernel.bind(passwd, "/etc/passwd")
    os.environ["HOME"] = str(home)
    for name in ("SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        os.environ.pop(name, None)


if __name__ == "__main__":
    if len(sys.argv) < 2 or not shutil.which(sys.argv[1]):
        sys.exit("usage: python -m tests.ssh_lab.namespace PROGRAM [ARGUMENT ...]")
    sys.exit(main(sys.argv[1:]))
