"""The plain way to a board: the system's ssh, with the settings of the lab's home, and alive messages so that a dead link is noticed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from tests.lab import PATIENCE_S

OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2")


def ssh(to: str, command: str, *, data: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command on a board over ssh; 255 is ssh's own exit code for a connection that was not made, or lost."""
    done = subprocess.run(["ssh", *OPTIONS, to, command], input=data, capture_output=True, timeout=PATIENCE_S, check=False)
    found = subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
    assert done.returncode == 0 or not check, found
    return found


@contextlib.contextmanager
def begun(to: str, command: str) -> Iterator[subprocess.Popen[str]]:
    """Start it, and go on; our end of it is ended with the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["ssh", *OPTIONS, to, command], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def put(to: str, path: str, data: bytes) -> None:
    """Write a file on the board."""
    ssh(to, f"cat > {path}", data=data)
