"""How the harness reaches an agent: start it, ask it, time out, clean up. `Local` runs it on this machine."""

from __future__ import annotations

import abc
import collections
import contextlib
import functools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from harness import cache
from harness.errors import LinkError, Stable, Transient

AGENT = Path(__file__).with_name("agent.py")
PROTOCOL = 2
END_S = 2.0
"""What an agent gets to end by itself [s]."""
STUCK_S = 10.0
"""What a killed agent gets to be gone [s]: the kernel ends it at once, unless a driver holds it."""
LOOK_S = 0.5
"""How often a silent worker is looked at [s]."""
Event = Callable[[dict[str, Any]], None]


class Agent(Protocol):
    """A running agent."""

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer to `verb` within `timeout` [s].

        Raises Stable when the agent answers with an error or has ended, Transient when it does not answer in time.
        """
        ...

    def begin(self, verb: str, **arguments: Any) -> None:
        """Send a request whose answer `finish` reads later."""
        ...

    def wait(self, event: str, timeout: float) -> dict[str, Any]:
        """The agent's `event`, which it says when a request that `begin` sent is under way."""
        ...

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
        """The answer to the request that `begin` sent, or to the one after it that ended it."""
        ...

    def stderr(self) -> str:
        """The end of what the process printed outside the protocol."""
        ...


class Link(Protocol):
    """A way to a machine."""

    name: str
    """What to call the machine in a message: "user@board", "rk-1"; "" is this machine."""

    def hold(self) -> contextlib.AbstractContextManager[None]:
        """Have the machine to ourselves while the block runs. At its end nothing that was started there runs any more, however it ended.

        Raises Stable when the machine cannot be used, or is held by somebody else: by whom, since when.
        """
        ...

    def put(self, paths: Sequence[Path]) -> list[str]:
        """Make files readable for an agent; their paths there. Files that are put together lie in one folder, under their own names."""
        ...

    def start(self, threads: int) -> contextlib.AbstractContextManager[Agent]:
        """A fresh agent process whose numeric libraries use `threads` threads."""
        ...

    def state_file(self) -> str:
        """Where on the machine an agent writes what it takes to undo a change of the machine's settings; it survives a crash and a power cut."""
        ...

    def will(self, requests: list[dict[str, Any]]) -> None:
        """What a fresh agent is to be asked where the hold ends without us: the harness died, the link stayed cut. Replaces the will before it."""
        ...


class Conversation(abc.ABC):
    """An agent's answers, line by line; what carries the lines is for subclasses."""

    def begin(self, verb: str, **arguments: Any) -> None:
        """Send a request."""
        self._send(json.dumps({"do": verb, "with": arguments}).encode())

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        """Send a request; its answer."""
        self.begin(verb, **arguments)
        return self.finish(timeout, on_event)

    def wait(self, event: str, timeout: float) -> dict[str, Any]:
        """The event."""
        message: dict[str, Any] = json.loads(self._line(time.monotonic() + timeout, timeout))
        if message.get("event") != event:
            raise Stable(message.get("error", f"waited for {event!r}, the agent said {message}"), detail=message.get("trace", ""))
        return message

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
        """The answer; events on the way go to `on_event`."""
        deadline = time.monotonic() + timeout
        while True:
            message = json.loads(self._line(deadline, timeout))
            if "event" in message:
                if on_event:
                    on_event(message)
            elif "error" in message:
                raise Stable(message["error"], detail=message.get("trace", ""))
            else:
                result: dict[str, Any] = message["result"]
                return result

    @abc.abstractmethod
    def _send(self, line: bytes) -> None:
        """Send one request. Raises Stable when the agent has ended, Transient when it cannot be reached."""

    @abc.abstractmethod
    def _line(self, deadline: float, timeout: float) -> bytes:
        """The agent's next line before `deadline`, on the monotonic clock [s]. Raises `late(timeout)` after it, Stable when the agent has ended."""

    @abc.abstractmethod
    def stderr(self) -> str:
        """The end of what the process printed outside the protocol."""


def late(timeout: float) -> Transient:
    """No answer within `timeout` [s]."""
    return Transient(f"no answer within {timeout:.0f} s", "raise --seconds' limits, or look why the runtime hangs")


def ended(code: int) -> Stable:
    """A worker that ended by itself with `code`: a signal's number below 0, else its exit code."""
    if code == -signal.SIGKILL:
        return Stable(
            "the worker was killed (SIGKILL), most likely by the kernel for want of memory",
            "free memory, or choose a smaller workload or precision",
        )
    cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Stable(f"the worker ended by itself: {cause}", "see the end of its output in the record")


def plain(node: str) -> str:
    """A machine's name in a file's."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", node)


class Local:
    """The machine itself: files are where they are, an agent is a child process."""

    name = ""

    def __init__(self) -> None:
        self._agents: list[_Process] = []

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Refused while another socbench measures here: one of this user, or one that came over SSH, whose keeper has the same socket's name."""
        path = cache.folder() / "held"
        try:
            handle = cache.take(path, f"{os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        except BlockingIOError as error:
            raise Stable(f"another socbench measures on this machine: process {error.strerror}", "wait for it, or end it") from None
        except OSError as error:
            raise Stable(f"{path}: {error.strerror}", "set SOCBENCH_CACHE to a folder you may write to") from error
        with handle, socket.socket(socket.AF_UNIX) as name:
            try:
                name.bind(f"\0socbench{os.environ.get('SOCBENCH_BOARD', '')}\0")
            except OSError as error:
                what = f"another socbench holds this machine, over SSH or from another account: {error.strerror}"
                raise Stable(what, "wait for it; if it is gone for good, `socbench restore` ends its hold where it was begun") from None
            name.listen(1)  # nobody is let in; who looks learns which process it is
            yield

    def put(self, paths: Sequence[Path]) -> list[str]:
        """The paths themselves."""
        return [str(path.resolve()) for path in paths]

    def state_file(self) -> str:
        """The file that a run over SSH finds, too, and on a home that machines share one for each; in $SOCBENCH_CACHE where that is set."""
        name = f"changed-{plain(os.uname().nodename)}.json"
        if not os.environ.get("SOCBENCH_CACHE"):
            with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: an account without a home
                home = Path("~/.cache/socbench").expanduser()  # whatever $XDG_CACHE_HOME is: a login over SSH does not have it
                home.mkdir(0o700, parents=True, exist_ok=True)
                if os.access(home, os.W_OK):
                    return str(home / name)
        return str(cache.folder() / name)

    def will(self, requests: list[dict[str, Any]]) -> None:
        """Nobody here outlives the harness: what it leaves is undone by the next run, or by `socbench restore`."""

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        """A fresh process; it ends with the block, and with this process however that ends."""
        with tempfile.TemporaryFile() as noise:
            limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
            begin: functools.partial[subprocess.Popen[bytes]] = functools.partial(
                subprocess.Popen,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                start_new_session=True,
                env={**os.environ, **limits, "PYTHONUNBUFFERED": "1"},
                bufsize=0,
            )
            processes: list[subprocess.Popen[bytes]] = []
            try:
                processes.extend(map(begin, [[sys.executable, str(AGENT)]]))  # one step: Ctrl-C finds it not begun, or in the list
                agent = _Process(processes[0], noise, self._agents)
                self._agents.append(agent)
                greeting = agent.ask("hello", 30.0, die_with_parent=True)
                if greeting["protocol"] != PROTOCOL or greeting["agent"] != cache.sha256(AGENT):
                    raise Stable("the agent is not the one of this harness", "reinstall socbench")
                yield agent
            finally:
                self._agents[:] = [one for one in self._agents if one.process not in processes]
                for process in processes:
                    _end(process)


class _Process(Conversation):
    """An agent behind pipes. Who waits for one of `agents` hears them all: a pipe holds 64 kB, and a sampler that nobody heard would stand still."""

    def __init__(self, process: subprocess.Popen[bytes], noise: IO[bytes], agents: Sequence[_Process]) -> None:
        self.process, self.noise, self._agents = process, noise, agents
        if process.stdin is None or process.stdout is None:
            raise ValueError("an agent is asked and answers through pipes")
        self._in, self.out = process.stdin, process.stdout
        self._lines: collections.deque[bytes] = collections.deque()
        self._begun: list[bytes] = []
        self.over = False

    def _send(self, line: bytes) -> None:
        try:
            self._in.write(line + b"\n")
        except BrokenPipeError:
            raise self._ended() from None

    def _line(self, deadline: float, timeout: float) -> bytes:
        while not self._lines:
            if self.over:
                raise self._ended()
            left = deadline - time.monotonic()
            if left <= 0:
                raise late(timeout)
            over = self.process.poll() is not None  # asked before the pipe: what the worker said before it ended is then in there
            if not self._hear(0 if over else min(left, LOOK_S)) and over:  # no end of file: a process that the worker forked holds the pipe
                raise self._ended()
        return self._lines.popleft()

    def _hear(self, seconds: float) -> bool:
        """Take in what any of the agents says within `seconds`; whether it was this one, or its end."""
        poll = select.poll()  # because select knows no descriptor above 1023
        by_descriptor = {one.out.fileno(): one for one in self._agents if not one.over}
        for descriptor in by_descriptor:
            poll.register(descriptor, select.POLLIN)
        heard = [by_descriptor[descriptor] for descriptor, _ in poll.poll(seconds * 1000)]
        for one in heard:
            one.take(os.read(one.out.fileno(), 1 << 20))
        return self in heard

    def take(self, piece: bytes) -> None:
        """A piece of its output, wherever it was cut, or its end."""
        self.over = not piece
        first, *others = piece.split(b"\n")
        self._begun.append(first)
        if others:
            self._lines += [b"".join(self._begun), *others[:-1]]
            self._begun = [others[-1]]

    def _ended(self) -> Stable:
        return ended(self.process.wait())

    def stderr(self) -> str:
        size = self.noise.seek(0, os.SEEK_END)
        self.noise.seek(max(0, size - 8000))
        return self.noise.read().decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End an agent: end of input first, then by force, with what it started. Raises Stable where even that does not end it."""
    before = sys.exception()  # what ended the block
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # also what the worker started and left behind
    try:
        process.wait(STUCK_S)
    except subprocess.TimeoutExpired:
        what = f"process {process.pid} cannot be ended: killed {STUCK_S:.0f} s ago, it is still held by something in the kernel, most likely a driver"
        if before and not isinstance(before, LinkError):  # Ctrl-C stays Ctrl-C
            before.add_note(what)
        else:
            raise Stable(what, "see the end of `dmesg`; a restart of the machine ends it", str(before or "")) from None
    finally:
        if process.stdout:
            process.stdout.close()
