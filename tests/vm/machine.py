"""A machine that QEMU emulates down to its processor: a kernel of its own, an NVMe disk, a network card, and a monitor to stop and reset it by."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.lab import until
from tests.vm.initrd import archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vm.assets import Assets

NAME, PORT = "vm", 2251
UP_S = 180.0
"""How long a machine may take to boot where others use the processor, too."""
CONFIG = f"""\
Host {NAME} aside
  HostName 127.0.0.1
  Port {PORT}
  HostKeyAlias {NAME}
  User root
Host aside
  BatchMode yes
  ConnectTimeout 5
  ServerAliveInterval 5
  ControlMaster auto
  ControlPath ~/.ssh/aside
  ControlPersist yes
"""
"""What ssh knows: `vm` for the harness, and `aside` for the tests' own looks at the machine, over a connection that they share."""


class Machine:
    """The machine; `own` is a folder for its files. Everything that is written to its disk is gone with the process, and not with a reset."""

    def __init__(self, assets: Assets, own: Path) -> None:
        self.assets, self.own, self.name = assets, own, NAME
        ssh = Path("~/.ssh").expanduser()
        for path in (ssh / "id_ed25519", own / "hostkey"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        (ssh / "config").write_text(CONFIG)
        (ssh / "known_hosts").write_text(" ".join([NAME, *(own / "hostkey.pub").read_text().split()[:2]]) + "\n")
        (own / "initrd").write_bytes(archive(assets.guest, (own / "hostkey").read_text(), (ssh / "id_ed25519.pub").read_text()))

    def __enter__(self) -> Self:
        card = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{PORT}-10.0.2.15:22"  # restrict: no way out of the machine
        words = [*self.assets.qemu, "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-accel", "tcg,thread=multi", "-nodefaults"]
        words += ["-kernel", str(self.assets.guest / "vmlinuz"), "-initrd", str(self.own / "initrd")]
        words += ["-append", "console=ttyAMA0 quiet panic=-1", "-display", "none", "-serial", f"file:{self.own / 'console'}"]
        words += ["-drive", f"file={self.assets.disk},if=none,id=d0,format=raw,snapshot=on", "-device", "nvme,drive=d0,serial=one"]
        words += ["-netdev", card, "-device", "virtio-net-pci,netdev=n0,romfile=", "-qmp", f"unix:{self.own / 'monitor'},server=on,wait=off"]
        self.log = (self.own / "emulator").open("wb")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        until(lambda: (self.own / "monitor").exists() or self.process.poll() is not None, "the emulator to start")
        assert self.process.poll() is None, (self.own / "emulator").read_text()
        self.await_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        self.process.kill()
        self.process.wait()
        self.log.close()

    def await_up(self) -> None:
        """Return when sshd answers."""
        with contextlib.suppress(AssertionError):
            until(lambda: self.process.poll() is not None or self.run("true", check=False).returncode == 0, "sshd to answer", UP_S)
            return
        raise AssertionError(f"the machine does not come up:\n{(self.own / 'console').read_text(errors='replace')[-4000:]}")

    def run(self, command: str, *, data: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """A shell command on the machine, past the harness."""
        done = subprocess.run(["ssh", "aside", command], input=data, capture_output=True, text=True, timeout=UP_S, check=False)
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done

    def python(self, source: str, *arguments: str | int) -> str:
        """What a Python program prints that runs on the machine."""
        return self.run(shlex.join(["python3", "-I", "-S", "-", *map(str, arguments)]), data=source).stdout

    def _forget(self) -> None:
        """Drop the connection that the tests share: who is at its other end will not answer any more."""
        subprocess.run(["ssh", "-O", "exit", "aside"], capture_output=True, check=False)

    # --- the monitor: docs/interop/qmp-spec.txt of QEMU --------------------------------------------------------------------------------

    def order(self, command: str, **arguments: Any) -> None:
        """Carry out one of the monitor's commands: stop, cont, system_reset."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(self.own / "monitor"))
            with wire.makefile("rwb") as lines:
                lines.readline()  # its greeting
                for one in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    lines.write(json.dumps(one).encode() + b"\n")
                    lines.flush()
                    while "event" in (answer := json.loads(lines.readline())):
                        pass
                    assert "return" in answer, answer

    def reset(self) -> None:
        """Press its reset button; the kernel is not asked. It boots anew by itself: see `await_up`."""
        self._forget()
        self.order("system_reset")

    def boot_id(self) -> str:
        return self.run("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    # --- what is on it -----------------------------------------------------------------------------------------------------------------

    def left(self) -> str:
        """What a hold may not leave: processes of the harness, its folder and pid files, what was only half sent."""
        litter = "find /root /tmp /dev/shm -path '*/run-*' -o -name '*.part' -o -name 'changed-*' -o -type f -path '/dev/shm/*'"
        return self.run(f"pgrep -fa '[a]gent\\.py|[k]eeper\\.py'; {litter}", check=False).stdout

    @contextlib.contextmanager
    def weather(self, *words: str) -> Iterator[None]:
        """What the kernel does to all that the machine sends while the block runs: words of tc's netem, as "loss 10%"."""
        self.run(f"tc qdisc add dev eth0 root netem {' '.join(words)}")
        try:
            yield
        finally:
            self.run("tc qdisc del dev eth0 root")
