"""How the harness reaches an agent: start it, ask it, time out, clean up. `Local` runs it on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from harness import cache
from harness.errors import Stable, Transient

AGENT = Path(__file__).with_name("agent.py")
PROTOCOL = 1
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

    def wait(self, event: str, timeout: float) -> None:
        """Return when the agent has said `event`, as it does when a request that `begin` sent is under way."""
        ...

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
        """The answer to the request that `begin` sent, or to the one after it that ended it."""
        ...

    def stderr(self) -> str:
        """The end of what the process printed outside the protocol."""
        ...


class Link(Protocol):
    """A way to a machine."""

    def put(self, path: Path) -> str:
        """Make the file `path` readable for an agent; its path there."""
        ...

    def start(self, threads: int) -> contextlib.AbstractContextManager[Agent]:
        """A fresh agent process whose numeric libraries use `threads` threads."""
        ...


class Local:
    """The machine itself: files are where they are, an agent is a child process."""

    def put(self, path: Path) -> str:
        """The path itself."""
        return str(path.resolve())

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        """A fresh process; it ends with the block, and with this process however that ends."""
        with tempfile.TemporaryFile() as noise:
            limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
            process = subprocess.Popen(
                [sys.executable, str(AGENT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                start_new_session=True,
                env={**os.environ, **limits, "PYTHONUNBUFFERED": "1"},
                bufsize=0,
            )
            agent = _Process(process, noise)
            try:
                greeting = agent.ask("hello", 30.0, die_with_parent=True)
                if greeting["protocol"] != PROTOCOL or greeting["agent"] != cache.sha256(AGENT):
                    raise Stable("the agent is not the one of this harness", "reinstall socbench")
                yield agent
            finally:
                agent.end()


def _readable(descriptor: int, seconds: float) -> bool:
    """Whether something, or the end, can be read within `seconds`; poll, because select knows no descriptor above 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class _Process:
    """An agent behind pipes."""

    def __init__(self, process: subprocess.Popen[bytes], noise: IO[bytes]) -> None:
        self.process, self.noise = process, noise
        if process.stdin is None or process.stdout is None:
            raise ValueError("an agent is asked and answers through pipes")
        self._in, self._out = process.stdin, process.stdout
        self._buffer = b""

    def begin(self, verb: str, **arguments: Any) -> None:
        try:
            self._in.write(json.dumps({"do": verb, "with": arguments}).encode() + b"\n")
        except BrokenPipeError:
            raise self._ended() from None

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        self.begin(verb, **arguments)
        return self.finish(timeout, on_event)

    def wait(self, event: str, timeout: float) -> None:
        message = json.loads(self._line(time.monotonic() + timeout, timeout))
        if message.get("event") != event:
            raise Stable(message.get("error", f"waited for {event!r}, the agent said {message}"), detail=message.get("trace", ""))

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
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

    def _line(self, deadline: float, timeout: float) -> bytes:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Transient(f"no answer within {timeout:.0f} s", "raise --seconds' limits, or look why the runtime hangs")
            ended = self.process.poll() is not None  # asked before the pipe: what the worker said before it ended is then in there
            if not _readable(self._out.fileno(), 0 if ended else min(left, LOOK_S)):
                if ended:  # no end of file: a process that the worker forked holds the pipe
                    raise self._ended()
                continue
            piece = os.read(self._out.fileno(), 1 << 20)
            if not piece:
                raise self._ended()
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _ended(self) -> Stable:
        code = self.process.wait()
        if code == -signal.SIGKILL:
            return Stable(
                "the worker was killed (SIGKILL), most likely by the kernel for want of memory",
                "free memory, or choose a smaller workload or precision",
            )
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Stable(f"the worker ended by itself: {cause}", "see the end of its output in the record")

    def stderr(self) -> str:
        size = self.noise.seek(0, os.SEEK_END)
        self.noise.seek(max(0, size - 8000))
        return self.noise.read().decode(errors="replace")

    def end(self) -> None:
        """End the process: end of input first, then by force."""
        with contextlib.suppress(OSError):
            self._in.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # also what the worker started and left behind
        self.process.wait()
        self._out.close()
