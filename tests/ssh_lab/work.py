"""Work on a board, through the harness's own link: a runtime half that does what a test wants, and a look at what is left behind."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cache
from harness.measure.ssh import Ssh
from tests.lab import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.measure.link import Agent
    from tests.ssh_lab.board import Board

BEGUN = "/dev/shm/begun"
COUNT = f"""
open({BEGUN!r}, "w").close()
try:
    for step in range(40):
        sys.stderr.write("step %d\\n" % step)
        time.sleep(0.1)
finally:
    os.unlink({BEGUN!r})
return {{"numbers": list(range(30000))}}
"""
"""Four seconds of work whose answer is long enough to be cut in pieces."""


class Held:
    """A board that is held; `said` is what the user was told of the link meanwhile."""

    def __init__(self, board: Board, link: Ssh, said: list[str]) -> None:
        self.board, self.link, self.said = board, link, said

    def half(self, agent: Agent, folder: Path, body: str) -> None:
        """Load a runtime half whose `probe` does `body`."""
        lines = "\n    ".join(body.strip().splitlines())
        path = folder / "half.py"
        path.write_text(f"import os, signal, subprocess, sys, time\n\ndef probe():\n    {lines}\n    return {{}}\n")
        [there] = self.link.put([path])
        agent.ask("load", PATIENCE_S, role="runtime", path=there, sha256=cache.sha256(path))

    def begun(self) -> bool:
        """Whether COUNT is at work."""
        return (self.board.shared_memory() / Path(BEGUN).name).exists()

    def told(self, of: str) -> bool:
        """Whether the user was told of it."""
        return any(of in sentence for sentence in self.said)


@contextlib.contextmanager
def holding(board: Board, address: str = "", **more: Any) -> Iterator[Held]:
    """Hold a board while the block runs; after it, nothing that was started runs there any more, and nothing lies there but the uploads."""
    before = board.files() | board.passing()
    said: list[str] = []
    link = Ssh(address or board.name, say=said.append, **more)
    with link.hold():
        yield Held(board, link, said)
    left_clean(board, before)


def left_clean(board: Board, before: set[str]) -> None:
    """Whether the board is as before, but for the store of uploads; and this machine has no connection to it any more."""
    until(lambda: not board.processes(), f"what runs on {board.name} to end: {board.processes()}")
    new = (board.files() | board.passing()) - before
    assert not {path for path in new if "/.cache/socbench/store/" not in path or ".part/" in path}
    assert not connections(board)


def connections(board: Board) -> list[str]:
    """Programs of this machine that speak with the board."""
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0") if path.name.isdecimal() else [b""]
            if words[0].endswith(b"ssh") and board.name.encode() in words:
                found.append(b" ".join(words).decode())
    return found
