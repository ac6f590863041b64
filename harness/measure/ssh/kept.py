"""What a board's keeper is made of: the journal of what was said, the agents it started, and the ways to be connected.

Standard library only, Python >= 3.8, never imported by the harness: sent with keeper.py, which imports it.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any, Callable

MARK = "socbench-keeper "
NAME = "\0socbench%s\0" % os.environ.get("SOCBENCH_BOARD", "")  # SOCBENCH_BOARD: for boards that share one network namespace
PIECE = 1 << 16
LINE_MOST = 1 << 24  # what talks on without an end of line is no harness [B]
STDERR = 8000  # how much of an agent's stderr is kept, its end [B]
PIPE = 1 << 20  # ... and how much of it may wait to be read, so that who prints need not [B]
PIPE_S = 0.1  # how long it waits: a runtime that prints at every step does not wake the keeper as often
GRACE_S = 2.0  # what an agent gets to end by itself
KEPT = "SOCBENCH_KEPT"  # marks what an agent started, in its environment, however it left the agent's group
JOB = "SOCBENCH_JOB"  # ... and which agent
SETPIPE_SZ = 1031  # F_SETPIPE_SZ of include/uapi/linux/fcntl.h, which Python names since 3.10
KERNEL = 0x200000  # PF_KTHREAD among the flags of a process (include/linux/sched.h)


class Journal:
    """What was said and is not yet acknowledged: in a file, and in memory where the disk takes no more."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.at = 0
        self.last = 0  # the newest number
        self.kept: collections.deque[Any] = collections.deque()  # the entries up to `last`: (offset, size), or bytes

    def add(self, message: dict[str, Any]) -> None:
        self.last += 1
        data = json.dumps(dict(message, s=self.last), separators=(",", ":")).encode() + b"\n"
        try:
            done = 0
            while done < len(data):
                done += os.pwrite(self.file, data[done:], self.at + done)
        except OSError:
            self.kept.append(data)
        else:
            self.kept.append((self.at, len(data)))
            self.at += len(data)

    def get(self, number: int) -> bytes:
        entry = self.kept[number - self.last - 1]
        return entry if isinstance(entry, bytes) else os.pread(self.file, entry[1], entry[0])

    def trim(self, number: int) -> None:
        """Forget what came up to `number`."""
        while self.kept and self.last - len(self.kept) < number:
            self.kept.popleft()
        if not self.kept and self.at:
            os.ftruncate(self.file, 0)
            self.at = 0


_NUMBERS = itertools.count(1)


class Job:
    """One agent, in a session of its own."""

    def __init__(self, run: str, file: str, threads: int) -> None:
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self.mark = f"{run} {next(_NUMBERS)}"
        limits.update({"PYTHONUNBUFFERED": "1", KEPT: run, JOB: self.mark})
        self.process = subprocess.Popen(
            [sys.executable, file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,  # no file: a full disk could end who writes, and nothing would bound it
            cwd=run,
            start_new_session=True,
            env={**os.environ, **limits},
            bufsize=0,
        )
        if self.process.stdin is None or self.process.stdout is None or self.process.stderr is None:
            raise ValueError("an agent is asked and answers through pipes")
        self.input, self.output, self.noise = self.process.stdin.fileno(), self.process.stdout.fileno(), self.process.stderr.fileno()
        for end in (self.input, self.output, self.noise):
            os.set_blocking(end, False)
        with contextlib.suppress(OSError):  # an account may have too many already
            fcntl.fcntl(self.noise, SETPIPE_SZ, PIPE)
        self.noise_end, self.noise_at = b"", 0.0
        self.pending = b""
        self.kill_at: float | None = None
        self.over = self.forgotten = False
        # where memory runs out, it is the agent that goes, not the keeper of its results
        with contextlib.suppress(OSError), open(f"/proc/{self.process.pid}/oom_score_adj", "w") as score:
            score.write("500")

    def write(self) -> None:
        """As much of what is pending as goes."""
        try:
            while self.pending:
                self.pending = self.pending[os.write(self.input, self.pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self.pending = b""

    def read(self) -> bytes:
        """What it has said; nothing also at the end, which is no news: the kernel tells when it has ended."""
        try:
            piece = os.read(self.output, PIECE)
        except OSError:
            return b""
        if not piece:
            self.output = -1
        return piece

    def ends(self, now: float) -> list[int]:
        """What is to be read of it at `now`."""
        return [end for end, due in ((self.output, now), (self.noise, self.noise_at)) if end >= 0 and due <= now]

    def hear_noise(self) -> bool:
        """Take a piece of what it prints, and keep the end; whether there may be more."""
        try:
            piece = os.read(self.noise, PIECE)
        except OSError:
            return False
        if not piece:
            self.noise = -1
        self.noise_end = (self.noise_end + piece)[-STDERR:]
        self.noise_at = time.monotonic() + (PIPE_S if len(piece) < PIECE // 2 else 0.0)  # who floods is not kept waiting
        return bool(piece)

    def stderr(self) -> str:
        for _ in range(2 * PIPE // PIECE):  # what was printed until now, but not for ever
            if self.noise < 0 or not self.hear_noise():
                break
        return self.noise_end.decode("utf-8", "replace")

    def ended(self) -> bool:
        """Whether the agent has ended; then nothing of its group runs any more."""
        if not os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        self.kill()  # while the number cannot belong to anybody else
        self.process.wait()
        self.stderr()
        sweep(self.mark, JOB)  # what left its group would disturb the next measurement
        return True

    def leave(self) -> None:
        """End of input; by force when that does not help."""
        self.kill_at = time.monotonic() + GRACE_S
        if self.process.stdin:
            self.process.stdin.close()
        self.pending = b""
        self.input = -1

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            if file:
                file.close()


class Guest:
    """Somebody who has connected."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.uid = peer(connection)[1]
        self.received = self.out = b""
        connection.setblocking(False)

    def lines(self) -> list[bytes] | None:
        """The whole lines that have come; None at the end."""
        try:
            piece = self.connection.recv(PIECE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not piece:
            return None
        *lines, self.received = (self.received + piece).split(b"\n")
        return lines if len(self.received) < LINE_MOST else None

    def write(self) -> bool:
        """Write what goes; whether anybody is there."""
        try:
            while self.out:
                self.out = self.out[self.connection.send(self.out) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def say(self, message: dict[str, Any]) -> None:
        self.out += json.dumps(message).encode() + b"\n"


def attend(listener: socket.socket, session: str, told: Callable[[], dict[str, Any]]) -> Callable[[], None]:
    """Tell whoever comes `told()`, from a thread of its own, while the keeper's is busy with the end; what ends that, and frees the name."""
    guests: list[socket.socket] = []  # their connections stay: that they end says that all is done

    def serve() -> None:
        while True:
            try:
                guests.append(listener.accept()[0])
            except OSError:
                return
            with contextlib.suppress(OSError, ValueError, AttributeError, RecursionError):
                guests[-1].settimeout(1.0)
                message = json.loads(guests[-1].recv(PIECE).split(b"\n")[0])
                guests[-1].sendall(json.dumps({"who": dict(told(), same=message.get("who") == session)}).encode() + b"\n")
            if len(guests) > 16:
                guests.pop(0).close()

    def stop() -> None:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(GRACE_S)
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return stop


def clear(folder: str) -> None:
    """Remove a folder and what agents have left in it, which was where they ran."""
    shutil.rmtree(folder, ignore_errors=True)


def sweep(run: str, name: str = KEPT) -> None:
    """Kill what agents of this folder started and left behind, also where a killed keeper could not, and see it gone.

    With `name` JOB, what the one agent started whose mark `run` is.
    """
    mark = ("%s=%s" % (name, run)).encode("utf-8", "surrogateescape")
    deadline = time.monotonic() + GRACE_S
    wait = True
    while wait and time.monotonic() < deadline:
        wait = False
        for number in os.listdir("/proc"):
            if not number.isdigit() or int(number) == os.getpid():
                continue
            with contextlib.suppress(OSError, ValueError):
                with open("/proc/%s/environ" % number, "rb") as file:
                    environment = file.read().split(b"\0")
                if mark in environment:  # what has ended and is not yet reaped has none
                    os.kill(int(number), signal.SIGKILL)
                    wait = True
                elif environment == [b""]:  # so has what is just being started: look at that again
                    wait = wait or _starting(number)
        time.sleep(0.02 if wait else 0.0)


def _starting(name: str) -> bool:
    """Whether a process runs and has begun within the last seconds; a thread of the kernel, which never has an environment, is none."""
    with open("/proc/%s/stat" % name, "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    with open("/proc/uptime") as file:
        uptime = float(file.read().split()[0])
    return fields[0] not in (b"Z", b"X") and not int(fields[6]) & KERNEL and uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK") < GRACE_S


def peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end."""
    pid, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def connect() -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5.0)
    try:
        connection.connect(NAME)
    except OSError:
        connection.close()
        return None
    return connection


def who(connection: socket.socket, session: str) -> dict[str, Any]:
    """What the keeper says of itself, and whether it is that of `session`; what the kernel says of it where it does not answer."""
    pid, uid = peer(connection)
    try:
        connection.sendall(json.dumps({"who": session}).encode() + b"\n")
        with connection.makefile("rb") as file:
            answer: dict[str, Any] = json.loads(file.readline())["who"]
    except (OSError, ValueError, KeyError, TypeError):
        answer = {"keeper": pid}
    return dict(answer, uid=uid)


def boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def told() -> dict[str, Any]:
    """The first line of stdin, and not a byte more."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit(1)
        line += piece
    terms: dict[str, Any] = json.loads(line)
    return terms


def answer(what: str, **more: Any) -> None:
    data = ("\n%s%s\n" % (MARK, json.dumps(dict(more, answer=what)))).encode()  # a new line first: a login shell may have said something
    while data:
        data = data[os.write(1, data) :]
