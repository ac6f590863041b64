"""A dialogue's file: one JSON object a line, each written whole and at once, so that a crash leaves a file that can be used; .gz is gzip.

The first line is the head: {"socbench_dialogue": 1, "socbench": version, "link": name, "begun_at": ...}. Every other line has "t", the time since the
recording began on the monotonic clock [s], and one of
  hold        "begin" or "end"
  put         [[name, sha256, bytes], ...]: never contents; "as": their paths on the machine
  state_file  its path
  will        the requests
  start       {"threads": n}, of "agent" 1, 2 ...; end: true
  ask         a request to "agent", as the protocol says it
  event, result   what that agent said; "after": the time since its last request [s]
  stderr      the end of what it printed outside the protocol
  raised      {"kind", "what", "fix", "detail"}: an error of the link or the agent; "by" says in what, where it was no request
  closed      true, on the last line; "redacted": how often what was replaced
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import Stable, UsageError
from harness.measure.redact import Redaction

VERSION = 1
SHORT = 8
"""Lists shorter than this are written as they are."""


class Writer:
    """Writes the lines of a dialogue, redacted. Never stops a measurement: where the disk is full it ends the recording, and says so in `failed`."""

    def __init__(self, path: Path, name: str, redaction: Redaction) -> None:
        self.path, self.redaction, self.failed = path, redaction, ""
        self._lock = threading.Lock()
        self._gzip = zlib.compressobj(9, zlib.DEFLATED, 31) if path.suffix == ".gz" else None
        self._begun = time.monotonic()
        try:
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", "name a file in a folder that is there and that you may write to") from error
        self._line({"socbench_dialogue": VERSION, "socbench": __version__, "link": name, "begun_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})

    def now(self) -> float:
        """Since the recording began [s]."""
        return round(time.monotonic() - self._begun, 6)

    def add(self, **line: Any) -> None:
        """One line."""
        self._line({"t": self.now(), **line})

    def _line(self, line: dict[str, Any], *, last: bool = False) -> None:
        with self._lock:
            if self._file is None:
                return
            file, self._file = self._file, None  # what interrupts us here would leave half a line: then nothing may follow it
            try:
                data = json.dumps(packed(self.redaction.value(line)), separators=(",", ":")).encode() + b"\n"
                if self._gzip:
                    data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
                view = memoryview(data)
                while view:
                    view = view[os.write(file, view) :]
                self._file = file
            except OSError as error:
                self.failed = f"{self.path}: {error.strerror}; the dialogue ends there"
            finally:
                if self._file is None:
                    os.close(file)

    def close(self) -> None:
        """The last line."""
        self._line({"t": self.now(), "closed": True, "redacted": dict(sorted(self.redaction.counts.items()))}, last=True)
        with self._lock:
            if self._file is not None:
                os.close(self._file)
            self._file = None


@dataclass(frozen=True)
class Dialogue:
    """What a file holds. `lines`: (number in the file, what it says). `cut`: why it has no end, or ""."""

    path: Path
    head: dict[str, Any]
    lines: list[tuple[int, dict[str, Any]]]
    cut: str

    @property
    def last(self) -> int:
        """The number of the last whole line."""
        return self.lines[-1][0] if self.lines else 1


def read(path: Path) -> Dialogue:
    """The dialogue in `path`, as far as its lines are whole. Raises Stable where it is none, or where a line inside it is broken."""
    try:
        data, cut = path.read_bytes(), ""
    except OSError as error:
        raise Stable(f"{path}: {error.strerror}", "name a file that --record wrote") from error
    if data[:2] == b"\x1f\x8b":
        data, cut = _inflated(data)
    pieces = data.split(b"\n")
    if pieces.pop():
        cut = cut or "its last line is not whole"
    lines: list[tuple[int, dict[str, Any]]] = []
    for number, piece in enumerate(pieces, 1):
        try:
            line = unpacked(json.loads(piece))
            if not isinstance(line, dict):
                raise TypeError("no object")  # noqa: TRY301 - told below like the others
        except (ValueError, TypeError, KeyError) as error:
            raise Stable(f"{path}, line {number}: not a line of a dialogue: {error}", "get the file again, unchanged") from None
        lines.append((number, line))
    version = lines[0][1].get("socbench_dialogue") if lines else None
    if version is None:
        raise Stable(f"{path}, line 1: this is no dialogue", "name a file that --record wrote")
    if version != VERSION:
        raise Stable(f"{path}, line 1: a dialogue of version {version}, this socbench reads {VERSION}", f"use socbench {lines[0][1].get('socbench')}")
    if not cut and not lines[-1][1].get("closed"):
        cut = "it was cut off there"
    return Dialogue(path, lines[0][1], lines[1:], cut)


def _inflated(data: bytes) -> tuple[bytes, str]:
    """What a gzip file holds as far as it goes, and why it goes no further."""
    found, engine = [], zlib.decompressobj(31)
    try:
        for at in range(0, len(data), 4096):
            found.append(engine.decompress(data[at : at + 4096]))  # noqa: PERF401 - what came before an error counts
    except zlib.error as error:
        return b"".join(found), f"the rest cannot be unpacked: {error}"
    return b"".join(found), "" if engine.eof else "it was cut off there"


# --- long lists --------------------------------------------------------------------------------------------------------------------------
# Stamps are 15 digits that differ in the last few: as differences they are a third, and gzip sees what repeats. A row of sensors differs from the one
# before it in few columns: columns repeat where rows do not. A key that begins with "~" is ours; one of somebody else's gets another "~".


def packed(value: Any) -> Any:
    """A JSON value with its long lists made short; `unpacked` gives exactly the same value."""
    if isinstance(value, dict):
        short = {f"~{key}" if key.startswith("~") else key: packed(one) for key, one in value.items()}
        begin, end = value.get("begin_ns", []), value.get("end_ns", [])
        if _whole(begin) and _whole(end) and len(begin) == len(end):  # how long, rather than when
            short["end_ns"] = {"~after": [after - before for before, after in zip(begin, end, strict=True)]}
        return short
    if not isinstance(value, list):
        return value
    if _whole(value):
        return {"~steps": [value[0], *(after - before for before, after in itertools.pairwise(value))]}
    if len(value) >= SHORT and all(isinstance(row, list) and len(row) == len(value[0]) for row in value) and value[0]:
        return {"~columns": [packed(list(column)) for column in zip(*value, strict=True)]}
    return [packed(one) for one in value]


def unpacked(value: Any) -> Any:
    """What `packed` was given."""
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"~steps"}:
        total, whole = 0, []
        for step in value["~steps"]:
            total += step
            whole.append(total)
        return whole
    if set(value) == {"~columns"}:
        return [list(row) for row in zip(*(unpacked(column) for column in value["~columns"]), strict=True)]
    full = {key[1:] if key.startswith("~~") else key: unpacked(one) for key, one in value.items()}
    end = value.get("end_ns")
    if isinstance(end, dict) and set(end) == {"~after"}:
        full["end_ns"] = [before + by for before, by in zip(full["begin_ns"], end["~after"], strict=True)]
    return full


def _whole(value: Any) -> bool:
    """Whether it is a long list of whole numbers."""
    return isinstance(value, list) and len(value) >= SHORT and all(type(one) is int for one in value)
