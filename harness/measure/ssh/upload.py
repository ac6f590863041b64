"""Files on a board, by their content: sent once, resumed where a cut link stopped it, never used half."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import cache
from harness.errors import Stable, Transient, UsageError
from harness.measure.ssh.client import Client, Pipe, own
from harness.measure.ssh.survey import SPARE, Survey

MARK = b"socbench-receive "
WINDOW = 1 << 18
"""How much may be under way [B]: little, so that on a slow link a heartbeat does not wait behind an upload."""
ANSWER_S = 90.0
SLOWEST = 2e6
"""How fast a board at least makes what it got durable and reads it again [B/s]."""


class Store:
    """The folder of uploads on one board."""

    def __init__(self, client: Client, board: Survey, progress: Callable[[int, int], None]) -> None:
        self.client, self.board, self.progress = client, board, progress
        self._there = set(board.store)
        self._hashes: dict[tuple[str, int, int], str] = {}

    def paths(self, files: Sequence[Path]) -> tuple[str, list[str]]:
        """Name of the folder these files have together, from their names and contents, and their paths on the board."""
        names = [file.name for file in files]
        if odd := [name for name in names if not name.isprintable() or "/" in name]:
            raise UsageError(f"{odd[0]!r} cannot be the name of a file on a board", "give it a name without control characters")
        if len(set(names)) < len(names):
            raise UsageError(f"two files that go together have one name: {', '.join(sorted(names))}", "rename one of them")
        lines = sorted(f"{self._sha256(file)}  {file.name}\n" for file in files)
        name = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        return name, [f"{self.board.folder}/store/{name}/{file.name}" for file in files]

    def _sha256(self, file: Path) -> str:
        status = file.stat()
        key = (str(file.resolve()), status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = cache.sha256(file)
        return self._hashes[key]

    def put(self, files: Sequence[Path]) -> list[str]:
        """The paths of `files` on the board, sent if they are not there.

        Raises Stable where they cannot be (no space, a file that changes), Transient at a cut link: the next try goes on where this one stopped.
        """
        name, paths = self.paths(files)
        if name not in self._there:
            for again in (True, False):
                if self._send(name, files):
                    break
                if not again:
                    raise Stable(f"what arrives on {self.client.address} is not what was sent", "look for bad memory or a failing disk on the board")
            self._there.add(name)
        return paths

    def _send(self, name: str, files: Sequence[Path]) -> bool:
        """Send what is missing of one folder; False where the board found that what it had was not it, and has removed that."""
        source = own("receive.py").encode()
        entries = [(file.name, file.stat().st_size, self._sha256(file)) for file in files]
        order = {"store": f"{self.board.folder}/store", "name": name, "files": entries, "spare": SPARE}
        code = f"import sys; exec(sys.stdin.buffer.read({len(source)}))"
        pipe = Pipe(self.client)
        try:
            pipe.begin([self.board.python, "-I", "-S", "-c", code])
            pipe.write(source + json.dumps(order).encode() + b"\n")
            answer = self._answer(pipe, ANSWER_S)
            if answer["answer"] == "send":
                answer = self._stream(pipe, files, entries, answer["have"])
        finally:
            pipe.end()
        if answer["answer"] in ("full", "failed"):
            raise self._refused(answer, sum(size for _, size, _ in entries))
        return bool(answer["answer"] == "kept")

    def _stream(self, pipe: Pipe, files: Sequence[Path], entries: Sequence[tuple[str, int, str]], have: list[int]) -> dict[str, Any]:
        total = sum(size for _, size, _ in entries)
        sent = got = sum(have)
        self.progress(got, total)
        for file, (_, size, _), begun in zip(files, entries, have, strict=True):
            with file.open("rb") as handle:
                handle.seek(begun)
                left = size - begun
                while left:
                    piece = handle.read(min(left, 1 << 16))
                    if not piece:
                        raise Stable(f"{file} became shorter while it was sent", "leave it alone while it is measured")
                    pipe.write(piece)
                    left -= len(piece)
                    sent += len(piece)
                    while sent - got > WINDOW or pipe.unsent():
                        for told in self._told(pipe):
                            if told["answer"] != "got":
                                return told
                            got = told["bytes"]
                            self.progress(got, total)
        deadline = time.monotonic() + ANSWER_S + total / SLOWEST
        while (answer := self._answer(pipe, deadline - time.monotonic()))["answer"] == "got":
            self.progress(answer["bytes"], total)
        self.progress(total, total)
        return answer

    def _told(self, pipe: Pipe) -> list[dict[str, Any]]:
        """What the board says while more is to be sent; back also when there is more room to write."""
        if pipe.over:
            raise pipe.lost()
        begun = time.monotonic()
        unsent = pipe.unsent()
        if not pipe.wait(ANSWER_S) and unsent == pipe.unsent() and time.monotonic() - begun >= ANSWER_S:
            raise Transient(f"{self.client.address} takes no more of an upload", "see whether the board still runs and its network is up")
        return [json.loads(line[len(MARK) :]) for line in pipe.lines() if line.startswith(MARK)]

    def _answer(self, pipe: Pipe, timeout: float) -> dict[str, Any]:
        line = pipe.marked(MARK, timeout)
        if line is None:
            raise pipe.lost()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _refused(self, answer: dict[str, Any], total: int) -> Stable:
        where = f"{self.client.address}: {self.board.folder}"
        if answer["answer"] == "full":
            free = f", {answer['free'] / 1e6:.1f} MB are free" if "free" in answer else ""
            missing = answer.get("missing", total)
            return Stable(
                f"{where}: no space for {missing / 1e6:.1f} MB{free}, and {SPARE / 1e6:.0f} MB are left alone",
                f"free some space (`rm -r {self.board.folder}/store` removes what socbench has uploaded), or give another place with --folder",
            )
        return Stable(f"{where}: {answer['why']}", "see that the file system is healthy and writable")
