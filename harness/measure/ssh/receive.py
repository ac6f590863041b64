"""Takes files into the store of a board: run by the board's Python with this source on stdin, which goes on with one line of JSON and the bytes.

Standard library only, Python >= 3.8, never imported by the harness. The line is {"store", "name", "files": [[name, size, sha256], ...], "spare"}. The
answer says how much of each file is there already; the harness sends the rest, one file after the other, and is told now and then how far it got.
What has come is kept in NAME.part until all of it is there and every sha256 is right; then it is made durable and gets its name in one step.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import signal
import sys
import time
from typing import Any, cast

MARK = "socbench-receive "
PIECE = 1 << 16
TELL = 1 << 16  # how much comes between two reports; the harness keeps at most four times as much under way [B]
SILENCE_S = 30  # a harness that sends nothing for so long is gone, whatever sshd believes: let its next try have the lock
OLD_S = 7 * 86400.0  # what has not grown for so long will not be finished


def tell(what: str, **more: Any) -> None:
    data = ("\n%s%s\n" % (MARK, json.dumps(dict(more, answer=what)))).encode()
    while data:
        data = data[os.write(1, data) :]


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(PIECE), b""):
            digest.update(piece)
    return digest.hexdigest()


def durable(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: str) -> None:
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


def tidy(store: str) -> None:
    """Remove what was begun long ago and is in nobody's hands."""
    for name in os.listdir(store):
        path = os.path.join(store, name)
        if name.endswith(".part") and time.time() - os.stat(path).st_mtime > OLD_S:
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
            except OSError:
                pass
            finally:
                os.close(handle)


def receive(source: io.BufferedReader, order: dict[str, Any]) -> None:
    store, name, files = order["store"], order["name"], order["files"]
    final = os.path.join(store, name)
    part = final + ".part"
    os.makedirs(store, 0o700, exist_ok=True)
    tidy(store)
    signal.alarm(2 * SILENCE_S)
    while True:  # nobody else fills this folder, and it is still the one that has the name
        os.makedirs(part, 0o700, exist_ok=True)
        handle = os.open(part, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.isdir(part) and os.path.samestat(os.fstat(handle), os.stat(part)):
            break
        os.close(handle)
    signal.alarm(0)
    if os.path.isdir(final):  # somebody else has just done it
        remove(part)
        tell("kept")
        return
    paths = [os.path.join(part, one[0]) for one in files]
    have = [min(os.path.getsize(path), size) if os.path.exists(path) else 0 for path, (_, size, _) in zip(paths, files)]
    disk = os.statvfs(part)
    free, missing = disk.f_bavail * disk.f_frsize, sum(size for _, size, _ in files) - sum(have)
    if missing + order["spare"] > free:
        tell("full", free=free, missing=missing)
        return
    tell("send", have=have)
    told = done = sum(have)
    for path, begun, (_, size, _) in zip(paths, have, files):
        with open(path, "ab") as file:
            file.truncate(begun)
            left = size - begun
            while left:
                signal.alarm(SILENCE_S)
                piece = source.read1(min(left, PIECE))  # what has come is written: a cut takes none of it back
                if not piece:
                    return
                file.write(piece)
                file.flush()
                left -= len(piece)
                done += len(piece)
                if done - told >= TELL:
                    told = done
                    tell("got", bytes=done)
            signal.alarm(0)
            os.fsync(file.fileno())
    wrong = [path for path, (_, _, digest) in zip(paths, files) if sha256(path) != digest]
    for path in wrong:
        os.unlink(path)
    if wrong:
        tell("wrong", files=[os.path.basename(path) for path in wrong])
        return
    durable(part)
    os.rename(part, final)
    durable(store)
    tell("kept")


if __name__ == "__main__":
    stdin = cast("io.BufferedReader", sys.stdin.buffer)
    try:
        receive(stdin, json.loads(stdin.readline()))
    except OSError as error:
        tell("full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "failed", why=str(error))
