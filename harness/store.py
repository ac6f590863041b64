"""results/: one gzip JSON file a record, written atomically, never changed; only a meter's log can be added to it later.

DIR/runs/<target>/<time>-<id>.json.gz. A campaign (one `socbench bench` command) keeps its plan in DIR/runs/<target>/<campaign>.plan.json, that of a
board in <campaign>.<board>.plan.json, which is what `--resume` continues.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness import cache
from harness.errors import RecordError, StoreError
from harness.record import SCHEMA, RunRecord


class CampaignPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a campaign set out to measure: the arguments it was given and the identities of its sessions."""

    campaign: str
    begun_at: str
    arguments: dict[str, str]
    sessions: list[str]


def read(path: Path) -> RunRecord:
    """The record in `path`. Raises RecordError, naming the file, for anything that is not one."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        raise RecordError(f"{path}: cannot be read: {error}", "delete or restore this file; the others are not affected") from error
    try:
        schema = msgspec.json.decode(data, type=_Head).schema
        if schema > SCHEMA:
            raise RecordError(f"{path}: schema {schema}, this socbench reads up to {SCHEMA}", "upgrade socbench")
        record = msgspec.json.decode(data, type=RunRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{path}: not a socbench record: {error}", "delete or restore this file; the others are not affected") from error
    if flaw := record.flaw():
        raise RecordError(f"{path}: {flaw}", "delete or restore this file; the others are not affected")
    return record


class _Head(msgspec.Struct):
    schema: int


class Store:
    """One results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self, target: str = "*") -> list[Path]:
        """All record files, oldest first."""
        return sorted(self.folder.glob(f"runs/{target}/*.json.gz"), key=lambda path: path.name)

    def records(self, target: str = "*") -> Iterator[tuple[Path, RunRecord]]:
        """All records, oldest first. Raises RecordError at the first broken file."""
        for path in self.files(target):
            yield path, read(path)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for writing. Raises StoreError when it cannot be written, or another process holds it."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            handle = cache.take(self.folder / ".lock", str(os.getpid()))
        except BlockingIOError as error:
            what = f"{self.folder}: another socbench (process {error.strerror}) is writing there"
            raise StoreError(what, "wait for it, or choose another folder with --results DIR") from None
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be written: {error.strerror}", "choose another folder with --results DIR") from error
        with handle:
            yield

    def add(self, record: RunRecord) -> Path:
        """Write `record` so that it is there whole or not at all."""
        stamp = record.begun_at.replace("-", "").replace(":", "")
        path = self.folder / "runs" / record.target / f"{stamp}-{record.run_id}.json.gz"
        self._write(path, gzip.compress(msgspec.json.encode(record), 6, mtime=0))
        return path

    def replace(self, path: Path, record: RunRecord) -> None:
        """Put `record` in the place of the file it was read from: whoever reads sees the old one or the new one. Raises StoreError."""
        if not path.is_file():
            raise StoreError(f"{path}: there is no such record to replace", "it was moved or deleted meanwhile: restore it, or leave it out")
        self._write(path, gzip.compress(msgspec.json.encode(record), 6, mtime=0))

    def add_plan(self, target: str, plan: CampaignPlan, board: str = "") -> None:
        """Write a campaign's plan for one board; "" is the machine that socbench runs on."""
        name = f"{plan.campaign}.{board}" if board else plan.campaign
        self._write(self.folder / "runs" / target / f"{name}.plan.json", msgspec.json.format(msgspec.json.encode(plan)))

    def last_plan(self, target: str, board: str = "") -> CampaignPlan | None:
        """The newest campaign's plan for that board, or None."""
        plans = (path for path in self.folder.glob(f"runs/{target}/*.plan.json") if path.name.split(".")[1:-2] == ([board] if board else []))
        found = max(plans, default=None, key=lambda path: path.name)
        if not found:
            return None
        try:
            return msgspec.json.decode(found.read_bytes(), type=CampaignPlan)
        except (msgspec.DecodeError, OSError) as error:
            raise RecordError(f"{found}: cannot be read: {error}", "run without --resume") from error

    def _write(self, path: Path, data: bytes) -> None:
        work = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            work.write_bytes(data)
            cache.sync(work)
            work.rename(path)
            cache.sync(path.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                work.unlink()
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise StoreError(
                f"{path}: cannot be written: {error.strerror}",
                "free some space, then go on with --resume" if full else "make the folder writable, then go on with --resume",
            ) from error


def newest(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The newest record of each cell (see RunRecord.identity), in the order in which the cells first came."""
    cells: dict[tuple[str, ...], RunRecord] = {}
    for record in sorted(records, key=lambda one: (one.begun_at, one.run_id)):
        cells[record.identity()] = record
    return list(cells.values())
