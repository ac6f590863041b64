"""For tests of dialogues: a link and an agent that say what they are given, and a look into a file."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import TYPE_CHECKING, Any

from harness.errors import Stable, Transient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness.measure.link import Agent, Event


def lines(path: Path) -> list[dict[str, Any]]:
    """What a dialogue's file says, line by line."""
    data = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()]


class Broken:
    """A link that fails in one place."""

    name = "tester@rk-lab-77.example.org"

    def __init__(self, where: str) -> None:
        self.where = where

    def _fail(self, here: str) -> None:
        if here == self.where:
            raise Transient(f"{self.name}: no way there ({here})", f"ping {self.name}", "ssh: connect to host 192.0.2.7 port 22")

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        self._fail("hold begins")
        yield
        self._fail("hold ends")

    def put(self, paths: Sequence[Path]) -> list[str]:
        self._fail("put")
        return [f"/home/tester/.cache/{path.name}" for path in paths]

    def state_file(self) -> str:
        self._fail("state_file")
        return "/home/tester/.cache/changed.json"

    def will(self, requests: list[dict[str, Any]]) -> None:
        del requests
        self._fail("will")

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        del threads
        self._fail("start")
        yield Scripted([])
        self._fail("end")


class Scripted:
    """An agent that says what it is given; "raise" is an error."""

    def __init__(self, says: list[Any]) -> None:
        self.says, self.printed = list(says), ""

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        self.begin(verb, **arguments)
        return self.finish(timeout, on_event)

    def begin(self, verb: str, **arguments: Any) -> None:
        pass

    def wait(self, event: str, timeout: float) -> dict[str, Any]:
        del timeout
        return {"event": event}

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
        del timeout
        said = self.says.pop(0) if self.says else {}
        if on_event:
            on_event({"event": "progress", "said": said})
        if isinstance(said, str):
            raise Stable(said, said, said)
        return {"said": said}

    def stderr(self) -> str:
        return self.printed
