"""Boards: each with its own address, disk, /sys, processes, clock and sshd, and with every fault that a real one has."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tests.board_trees import Tree, write
from tests.lab import alive, until
from tests.ssh_lab import kernel
from tests.ssh_lab.namespace import LAB, groups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.ssh_lab.assets import Assets

USERS = {"root": (0, "/root"), "bench": (1000, "/home/bench"), "sshd": (105, "/run/sshd"), "nobody": (65534, "/nonexistent")}
SSHD = """\
ListenAddress {address}
HostKey {own}/hostkey
AuthorizedKeysFile {own}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile {own}/sshd.pid
Subsystem sftp internal-sftp
ChrootDirectory {root}
{environment}
MaxSessions 50
MaxStartups 100
"""
STEPPED = {"LD_PRELOAD": "/run/lab/clock.so"}
UPTIME_S = 100
"""What a board's clocks that count from its start say when it boots: not what ours say, so that nobody takes one for the other."""
EMULATED = {"QEMU_CPU": "cortex-a76", "QEMU_UNAME": "5.10.160-rockchip-rk3588", "QEMU_LD_PREFIX": "/.shown"}


def do(*words: str | Path) -> str:
    """Run one of the lab's own programs to its good end; what it printed."""
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
    return done.stdout


class Board:
    """One board. `tree` is what its /sys and /proc/cpuinfo show; `live`, a mounted folder, is its /sys instead.

    Its disk has `disk_mb` megabytes, is kept when the power is cut, and holds only what was written: `files` lists that. `steps`: its time
    of day can be stepped (every program then runs with clock.c; amd64 only). Without `numpy` it has neither that nor ONNX Runtime.
    """

    def __init__(
        self,
        assets: Assets,
        name: str,
        number: int,
        tree: Tree,
        arch: str = "amd64",
        *,
        disk_mb: int = 512,
        numpy: bool = True,
        steps: bool = False,
        live: Path | None = None,
    ) -> None:
        self.assets, self.name, self.address, self.arch = assets, name, f"10.77.0.{number}", arch
        self.own = LAB / "boards" / name
        self.root, self.disk, self.tree, self.sys = self.own / "root", self.own / "disk", self.own / "tree", live or self.own / "tree/sys"
        self.steps = steps
        self.group = os.environ["LAB_CGROUP"]
        self.process: subprocess.Popen[bytes] | None = None
        for folder in (self.root, self.disk, self.own / "run", self.tree / "sys"):
            folder.mkdir(parents=True)
        write(self.tree, tree)
        self.step_clock(0)
        (self.own / "run/clock.so").write_bytes(assets.clock.read_bytes())
        (self.own / "authorized_keys").write_text((LAB / "home/.ssh/id_ed25519.pub").read_text())  # read by sshd as the user who logs in
        self.etc = self._etc()
        kernel.mount("tmpfs", self.disk, "tmpfs", options=f"size={disk_mb}m,mode=755")
        for folder in (self.disk / "up", self.disk / "work"):
            folder.mkdir()
        layers = [self.etc, *([assets.wheels / arch] if numpy else []), assets.roots / arch]
        options = f"lowerdir={':'.join(map(str, layers))},upperdir={self.disk / 'up'},workdir={self.disk / 'work'},userxattr"
        kernel.mount("overlay", self.root, "overlay", options=options)
        self.new_host_key()

    def _etc(self) -> Path:
        """The layer with the settings that a package's scripts would have made."""
        layer = self.own / "etc"
        for folder in ("etc", "root", "home/bench", ".shown/proc"):
            (layer / folder).mkdir(parents=True)
        (layer / "root").chmod(0o700)
        os.chown(layer / "home/bench", 1000, 1000)
        lines = [f"{user}:x:{number}:{number}:{user}:{home}:/bin/bash" for user, (number, home) in USERS.items()]
        (layer / "etc/passwd").write_text("\n".join(lines) + "\n")
        (layer / "etc/group").write_text("\n".join(f"{user}:x:{number}:" for user, (number, _) in USERS.items()) + "\n")
        (layer / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        (layer / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n")
        base = self.tree / "sys/firmware/devicetree/base"
        if base.exists():  # only emulated programs see this one: nothing can be added to a real /proc
            (layer / ".shown/proc/device-tree").symlink_to("/sys/firmware/devicetree/base")
        return layer

    # --- power -------------------------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Power on, with another boot id and clocks that begin anew; returns when sshd answers."""
        (self.own / "boot_id").write_text(f"{uuid.uuid4()}\n")
        since = {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}
        clocks = [f"--{name}={UPTIME_S - int(time.clock_gettime(clock))}" for name, clock in since.items()]
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--time", *clocks]
        described = {"name": self.name, "root": str(self.root), "own": str(self.own), "sys": str(self.sys), "etc": str(self.etc), "arch": self.arch}
        with (self.own / "console").open("wb") as console:
            self.process = subprocess.Popen(
                ["unshare", *spaces, "--fork", "--kill-child", sys.executable, "-m", "tests.ssh_lab.init", json.dumps(described)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=console,
            )
        assert self.process.stdout
        assert self.process.stdout.readline() == b"up\n", (self.own / "console").read_text()
        self.process.stdout.close()
        self.init = int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())
        for top in groups():
            folder = top / self.group / self.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cgroup.procs").write_text(str(self.init))
        card = f"02:00:00:00:00:{int(self.address.rpartition('.')[2]):02x}"  # it keeps its hardware address, as a board does
        do("ip", "link", "add", self.name, "type", "veth", "peer", "name", "eth0", "address", card, "netns", str(self.init))
        do("ip", "link", "set", self.name, "master", "br0", "up")
        for words in (["addr", "add", f"{self.address}/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"]):
            do("nsenter", "-t", str(self.init), "-n", "ip", *words)
        self.start_sshd()

    def cut_power(self) -> None:
        """The link goes dead first, so that nobody hears of the end; then all processes are gone. The disk stays."""
        self.link(up=False)
        assert self.process
        os.kill(self.init, signal.SIGKILL)
        self.process.wait()
        # by itself it may go at once, or wait for connections that still wait to be closed
        subprocess.run(["ip", "link", "delete", self.name], stderr=subprocess.DEVNULL, check=False)

    def scrap(self) -> None:
        """Take the board away, with its disk."""
        if self.process and self.process.poll() is None:
            self.thaw()
            self.cut_power()
        for folder in (self.root, self.disk):
            kernel.unmount(folder)

    # --- what it does ------------------------------------------------------------------------------------------------------------------

    def _inside(self, *words: str | Path) -> list[str]:
        """How to start a program in the board's namespaces and control groups."""
        join = "; ".join(f"echo 0 > {path}" for path in self._cgroup("cgroup.procs"))
        return ["sh", "-c", f'{join}; exec "$@"', "sh", "nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-T", *map(str, words)]

    def run(self, command: str, user: str = "root", *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A shell command on the board, as if typed at its own keyboard: over no network."""
        number, home = USERS[user]
        environment = [f"{key}={value}" for key, value in {"HOME": home, "PATH": "/usr/bin:/usr/sbin", **self.environment()}.items()]
        words = self._inside("chroot", f"--userspec={number}:{number}", self.root, "env", "-i", *environment, "sh", "-c", f"cd; {command}")
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done

    def environment(self) -> dict[str, str]:
        """What every program on the board finds in its environment."""
        return EMULATED if self.arch == "arm64" else STEPPED if self.steps else {}

    def processes(self) -> dict[int, str]:
        """What runs on the board, init and sshd apart: process (as the lab numbers it) and command line.

        A process without a command line has given back its memory and is ending: nobody can tell any more whether it was sshd's.
        """
        space, found = Path(f"/proc/{self.init}/ns/pid").readlink(), {}
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if path.name.isdecimal() and int(path.name) != self.init and (path / "ns/pid").readlink() == space and alive(int(path.name)):
                    words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    if words and "sshd" not in words.split(" ")[0]:
                        found[int(path.name)] = words
        return found

    def files(self) -> set[str]:
        """What was written to the disk, or removed from it, since the board was made: paths from the root on, without folders."""
        top = self.disk / "up"
        return {f"/{path.relative_to(top)}" for path in top.rglob("*") if path.is_symlink() or not path.is_dir()}

    def passing(self) -> set[str]:
        """The files that the next boot will not find: of /tmp, /run and shared memory."""
        return set(self.run("find /tmp /run /dev/shm -not -type d").stdout.split())

    def shared_memory(self) -> Path:
        """Its /dev/shm, to look into while nothing else of the board can be reached."""
        return Path(f"/proc/{self.init}/root{self.root}/dev/shm")

    # --- sshd --------------------------------------------------------------------------------------------------------------------------

    def start_sshd(self) -> None:
        """Returns when it answers."""
        environment = " ".join(["SetEnv", *(f"{key}={value}" for key, value in self.environment().items())]) if self.environment() else ""
        values = {"address": self.address, "own": self.own, "root": self.root, "environment": environment}
        (self.own / "sshd_config").write_text(SSHD.format(**values))
        do(*self._inside("mkdir", "-p", "/run/sshd"))
        do(*self._inside(*self.assets.tool("sshd"), "-E", self.own / "log", "-f", self.own / "sshd_config"))
        until(self.answers, f"sshd of {self.name} to answer")

    def kill_sshd(self) -> None:
        """The server and all that serve a connection; what they had started lives on."""
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                ours = path.name.isdecimal() and (path / "ns/pid").readlink() == Path(f"/proc/{self.init}/ns/pid").readlink()
                if ours and b"sshd" in (path / "cmdline").read_bytes().split(b"\0")[0]:
                    os.kill(int(path.name), signal.SIGKILL)
        until(lambda: not self.answers(), "sshd to be gone")

    def answers(self) -> bool:
        """Whether something listens on the port of sshd."""
        try:
            socket.create_connection((self.address, 22), 1.0).close()
        except OSError:
            return False
        return True

    def new_host_key(self) -> None:
        """Another identity, as after a new installation; sshd shows it from its next start on. Whether ssh knows it is `introduce`'s."""
        for path in (self.own / "hostkey", self.own / "hostkey.pub"):
            path.unlink(missing_ok=True)
        do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.own / "hostkey")

    def host_key(self) -> str:
        """Its line for known_hosts."""
        return " ".join([self.address, *(self.own / "hostkey.pub").read_text().split()[:2]])

    # --- faults ------------------------------------------------------------------------------------------------------------------------

    def link(self, *, up: bool) -> None:
        """Plug or unplug the cable: packets get lost, nobody is told."""
        do("ip", "link", "set", self.name, "up" if up else "down")

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """No link while the block runs."""
        self.link(up=False)
        yield
        self.link(up=True)

    @contextlib.contextmanager
    def rule(self, verdict: str) -> Iterator[None]:
        """A packet filter's rule for all that goes to the board, and comes from it, while the block runs."""
        chains = [
            f"chain {hook} {{ type filter hook {hook} priority 0; ip {side} {self.address} {verdict}; }}"
            for hook, side in (("output", "daddr"), ("input", "saddr"))
        ]
        nft = self.assets.tool("nft")
        do(*nft, f"table inet {self.name} {{\n{chr(10).join(chains)}\n}}")
        try:
            yield
        finally:
            do(*nft, "delete", "table", "inet", self.name)

    def lossy(self, percent: int) -> contextlib.AbstractContextManager[None]:
        """Packets get lost, in both directions."""
        return self.rule(f"numgen random mod 100 < {percent} counter drop")

    def packets_dropped(self) -> int:
        """By a rule that holds now."""
        found = do(*self.assets.tool("nft"), "list", "table", "inet", self.name)
        return sum(int(number) for number in re.findall(r"counter packets (\d+)", found))

    def resetting(self) -> contextlib.AbstractContextManager[None]:
        """Every connection is reset at its next packet, and none can be made."""
        return self.rule("tcp flags & rst == 0 reject with tcp reset")

    @contextlib.contextmanager
    def slow(self, kilobit: int) -> Iterator[None]:
        """A link of so many kbit/s, in both directions."""
        words = ["root", "tbf", "rate", f"{kilobit}kbit", "burst", "16kb", "latency", "200ms"]
        inside = ["nsenter", "-t", str(self.init), "-n"]
        do("tc", "qdisc", "add", "dev", self.name, *words)
        do(*inside, "tc", "qdisc", "add", "dev", "eth0", *words)
        yield
        do("tc", "qdisc", "del", "dev", self.name, "root")
        do(*inside, "tc", "qdisc", "del", "dev", "eth0", "root")

    def _cgroup(self, file: str) -> list[Path]:
        return [path for top in groups() if (path := top / self.group / self.name / file).exists()]

    def freeze(self) -> None:
        """Nothing on the board moves any more; its network card still acknowledges what it can buffer."""
        self._frozen(1)

    def thaw(self) -> None:
        """It goes on as if nothing had been."""
        self._frozen(0)

    def _frozen(self, wanted: int) -> None:
        [control] = self._cgroup("cgroup.freeze")
        control.write_text(str(wanted))
        events = control.with_name("cgroup.events")
        until(lambda: f"frozen {wanted}" in events.read_text(), f"frozen to be {wanted}")

    def memory(self, limit: int) -> None:
        """No more than so many bytes for all that runs on the board: the kernel kills what goes beyond."""
        for name in ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max"):
            for path in self._cgroup(name):
                path.write_text(str(limit))
        for path in self._cgroup("memory.swap.max"):
            path.write_text("0")

    def processor(self, share: float) -> None:
        """No more than such a share of one core for all that runs on the board."""
        period_us = 100_000
        quota = {"cpu.cfs_quota_us": f"{share * period_us:.0f}", "cpu.max": f"{share * period_us:.0f} {period_us}"}
        files = [path for name in quota for path in self._cgroup(name)]
        assert files, "this kernel offers no control group that limits processor time"
        for path in files:
            path.write_text(quota[path.name])

    def fill(self, leave: int = 0) -> None:
        """Leave so many bytes free on the disk."""
        with (self.disk / "filler").open("wb") as file:
            free = os.statvfs(self.disk).f_bavail * 4096 - leave
            if free > 0:
                os.posix_fallocate(file.fileno(), 0, free // 4096 * 4096)

    def empty(self) -> None:
        """Undo `fill`."""
        (self.disk / "filler").unlink()

    def read_only(self, path: str) -> None:
        """From now to the next boot nothing below `path` can be written."""
        at = self.root / path.lstrip("/")
        do(*self._inside("mount", "--bind", at, at))
        do(*self._inside("mount", "-o", "remount,bind,ro", at))

    def step_clock(self, seconds: int) -> None:
        """Of a board that `steps`: let the time of day be so far from ours, also for programs that run; clocks that only count go on."""
        (self.own / "run/clock").write_text(f"{seconds}\n")

    def no_python(self) -> None:
        """As on a minimal image."""
        for path in (self.root / "usr/bin").glob("python3*"):
            path.unlink()

    def old_python(self) -> None:
        """Debian's Python, which says of itself that it is 3.7.3: what is proven is what is made of that answer."""
        for path in (self.root / "usr/lib/python3.11").glob("**/sitecustomize.*"):
            path.unlink()
        (self.root / "usr/lib/python3.11/sitecustomize.py").write_text(
            "import collections, sys\n"
            "kind = collections.namedtuple('version_info', 'major minor micro releaselevel serial')\n"
            "sys.version_info, sys.hexversion = kind(3, 7, 3, 'final', 0), 0x030703F0\n"
            "sys.version = '3.7.3 (default, Dec 20 2019, 18:57:59) \\n[GCC 8.3.0]'\n"
        )
