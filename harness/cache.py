"""The user's cache directory: content-addressed, safe to delete, safe to share between processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from harness.errors import ArtifactError

CHUNK = 1 << 20


def root() -> Path:
    """$SOCBENCH_CACHE, or socbench/ in the user's cache directory ($XDG_CACHE_HOME, ~/.cache)."""
    if chosen := os.environ.get("SOCBENCH_CACHE"):
        return Path(chosen).expanduser().absolute()  # a build runs in another folder
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "socbench"


def sha256(path: Path) -> str:
    """The sha256 of a file, as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def folder(*names: str) -> Path:
    """A folder of the cache, made if needed. Raises ArtifactError where it cannot be."""
    path = root().joinpath(*names)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}", "set SOCBENCH_CACHE to a folder you may write to") from error
    return path


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Only one process at a time is inside `name`; the others wait."""
    with (folder("locks") / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def take(path: Path, mark: str) -> TextIO:
    """The lock file `path`, ours until it is closed, with `mark` in it to say so to others.

    Raises BlockingIOError, whose `strerror` is the mark of the process that has it, and other OSErrors where it cannot be written.
    """
    with contextlib.ExitStack() as unless_taken:
        file = unless_taken.enter_context(path.open("a+"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise BlockingIOError(error.errno, file.read().strip() or "unknown") from None
        file.truncate(0)
        file.write(mark)
        file.flush()
        unless_taken.pop_all()
        return file


@contextlib.contextmanager
def filling(final: Path) -> Iterator[Path]:
    """An empty folder that becomes `final` when the block ends well, and is removed when it does not. The caller holds a lock for `final`."""
    parent, prefix = folder(*final.parent.relative_to(root()).parts), f".{final.name[:16]}-"
    for left in parent.glob(f"{prefix}*"):  # by a process that was killed: nobody else fills while we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield work
        for path in work.iterdir():
            sync(path)
        if final.exists():
            shutil.rmtree(final)
        work.rename(final)
        sync(final.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ArtifactError(f"{final.parent}: no space left", "free some space, or set SOCBENCH_CACHE to another disk") from error
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def sync(path: Path) -> None:
    """Make a file's, or a folder's, content durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
