"""A link that writes down everything that is said over it: `socbench bench ... --record FILE`. `Replay` plays it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from harness import cache
from harness.errors import SocbenchError
from harness.measure.dialogue import Writer
from harness.measure.link import Agent, Event, Link
from harness.measure.redact import Redaction

Answer = TypeVar("Answer")


class Recording:
    """`link`, and a dialogue in the file `path` of all that goes over it, redacted before it is written. To be closed, best by `with`.

    Raises UsageError where the file cannot be made. Later trouble with the file ends the dialogue and not the run: `failed` says so.
    """

    def __init__(self, link: Link, path: Path, redaction: Redaction | None = None) -> None:
        self.link, self.name = link, link.name
        self._writer = Writer(path, link.name, redaction or Redaction.here(link.name))
        self._agents = 0
        self._lock = threading.Lock()
        self._hashes: dict[tuple[str, int, int], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the dialogue."""
        self._writer.close()

    @property
    def redacted(self) -> dict[str, int]:
        """How often something was replaced, by class: {"user": 12, "ip": 3}."""
        return dict(sorted(self._writer.redaction.counts.items()))

    @property
    def failed(self) -> str:
        """Why the dialogue has no end, or ""."""
        return self._writer.failed

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """As `link` does, like everything below."""
        with self._block(self.link.hold(), {"by": "hold"}, {"hold": "end"}):
            self._writer.add(hold="begin")
            yield

    def put(self, paths: Sequence[Path]) -> list[str]:
        """Their names, hashes and sizes are written, never what is in them."""
        there = self._noted(lambda: self.link.put(paths), by="put")
        self._writer.add(put=[[path.name, self._sha256(path), path.stat().st_size] for path in paths], **{"as": there})
        return there

    def _sha256(self, path: Path) -> str:
        """A file is read once, as long as it stays the same."""
        seen = path.stat()
        key = (os.path.realpath(path), seen.st_mtime_ns, seen.st_size)
        if key not in self._hashes:
            self._hashes[key] = cache.sha256(path)
        return self._hashes[key]

    def state_file(self) -> str:
        """Its path is written."""
        path = self._noted(self.link.state_file, by="state_file")
        self._writer.add(state_file=path)
        return path

    def will(self, requests: list[dict[str, Any]]) -> None:
        """Written as it is."""
        self._noted(lambda: self.link.will(requests), by="will")
        self._writer.add(will=requests)

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        """An agent all of whose talk is written; also, at its end, what it printed outside the protocol."""
        with self._lock:
            self._agents += 1
            number = self._agents
        self._writer.add(agent=number, start={"threads": threads})
        with self._block(self.link.start(threads), {"agent": number, "by": "start"}, {"agent": number, "end": True}) as agent:
            recorded = _Recorded(agent, self._writer, number)
            try:
                yield recorded
            finally:
                with contextlib.suppress(SocbenchError):
                    recorded.stderr()

    def _noted(self, call: Callable[[], Answer], **what: Any) -> Answer:
        try:
            return call()
        except BaseException as error:
            self._writer.add(**what, raised=told(error))
            raise

    @contextlib.contextmanager
    def _block(self, block: contextlib.AbstractContextManager[Answer], what: dict[str, Any], end: dict[str, Any]) -> Iterator[Answer]:
        """`block`, and a line `end` where it ends, or where it raises by itself; what is raised inside it is told elsewhere."""
        inside: BaseException | None = None
        try:
            with block as given:
                try:
                    yield given
                except BaseException as error:
                    inside = error
                    raise
        except BaseException as error:
            self._writer.add(**(end if error is inside else {**what, "raised": told(error)}))
            raise
        self._writer.add(**end)


class _Recorded:
    """An agent, and a line for each thing it is asked and says."""

    def __init__(self, agent: Agent, writer: Writer, number: int) -> None:
        self.agent, self.writer, self.number = agent, writer, number
        self._asked = time.monotonic()
        self._printed = ""

    def _request(self, verb: str, arguments: dict[str, Any]) -> None:
        self._asked = time.monotonic()
        self.writer.add(agent=self.number, ask={"do": verb, "with": arguments})

    def _said(self, **what: Any) -> None:
        self.writer.add(agent=self.number, after=round(time.monotonic() - self._asked, 6), **what)

    def _answer(self, kind: str, call: Callable[[], Answer]) -> Answer:
        """What `call` gives, and a line with it, or with what it raises."""
        try:
            answer = call()
        except BaseException as error:
            self._said(raised=told(error))
            raise
        if kind:
            self._said(**{kind: answer})
        return answer

    def _watched(self, on_event: Event | None) -> Event:
        def watch(event: dict[str, Any]) -> None:
            self._said(event=event)
            if on_event:
                on_event(event)

        return watch

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        self._request(verb, arguments)
        return self._answer("result", lambda: self.agent.ask(verb, timeout, self._watched(on_event), **arguments))

    def begin(self, verb: str, **arguments: Any) -> None:
        self._request(verb, arguments)
        self._answer("", lambda: self.agent.begin(verb, **arguments))

    def wait(self, event: str, timeout: float) -> dict[str, Any]:
        return self._answer("event", lambda: self.agent.wait(event, timeout))

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
        return self._answer("result", lambda: self.agent.finish(timeout, self._watched(on_event)))

    def stderr(self) -> str:
        printed = self.agent.stderr()
        if printed != self._printed:
            self._printed = printed
            self._said(stderr=printed)
        return printed


def told(error: BaseException) -> dict[str, str]:
    """An error as a line has it. One that is none of ours keeps its trace."""
    if isinstance(error, SocbenchError):
        return {"kind": type(error).__name__, "what": error.what, "fix": error.fix, "detail": error.detail}
    return {"kind": type(error).__name__, "what": str(error), "fix": "", "detail": "".join(traceback.format_exception(error))}
