"""A /sys that answers: each file's content is computed when it is read, and every fault of a sensor can be had.

Speaks the kernel's FUSE protocol itself (version 7.31; numbers and layouts are those of include/uapi/linux/fuse.h), so that nothing must be
installed for it. The server is a thread of the test: a fault is set by a call, and holds from the next access on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import struct
import threading
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Self

from tests.board_trees import Tree
from tests.ssh_lab import kernel

Value = Callable[[], str]


class Ask(IntEnum):
    """FUSE_ of the requests that are carried out or ignored here; all others are answered by ENOSYS."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    OPEN = 14
    READ = 15
    WRITE = 16
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    INTERRUPT = 36
    BATCH_FORGET = 42


UNANSWERED = {Ask.FORGET, Ask.INTERRUPT, Ask.BATCH_FORGET}
IN, OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
OPEN_OUT, DIRENT, ENTRY_OUT, ATTR_OUT = struct.Struct("<QII"), struct.Struct("<QQII"), struct.Struct("<QQQQII"), struct.Struct("<QII")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
DIRECT_IO = 1
"""FOPEN_DIRECT_IO: no read is answered from the page cache."""


class LiveSys:
    """A mounted tree. Below `at` the paths are those of a tree without their leading "sys/"; what is written replaces a file's content."""

    def __init__(self, at: Path, tree: Tree) -> None:
        self.at, self.files = at, {}
        for name, content in tree.items():
            if name.startswith("sys/"):
                self.files[name.removeprefix("sys/")] = content
        self.values: dict[str, Value] = {}
        self.errors: dict[str, int] = {}
        self.slow: dict[str, float] = {}
        self.gone: set[str] = set()
        self._asked: dict[str, int] = {}
        self._nodes, self._numbers = {1: ""}, {"": 1}
        at.mkdir(parents=True)
        self._device = os.open("/dev/fuse", os.O_RDWR)
        self._stop = os.pipe()
        kernel.mount("sysfs", at, "fuse", kernel.NODEV | kernel.NOSUID, f"fd={self._device},rootmode=40000,user_id=0,group_id=0,allow_other")
        self._thread = threading.Thread(target=self._serve, name=f"fuse {at.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop[1], b"x")
        self._thread.join()
        with contextlib.suppress(OSError):
            kernel.unmount(self.at)
        for handle in (self._device, *self._stop):
            os.close(handle)

    # --- faults ------------------------------------------------------------------------------------------------------------------------

    def set(self, path: str, value: str | float | Value) -> None:
        """What a file says from now on: a constant, or what a function returns at each read."""
        self.values[path] = value if callable(value) else lambda: str(value)

    def fail(self, path: str, code: int = errno.EIO) -> None:
        """Each read of it fails with that errno."""
        self.errors[path] = code

    def delay(self, path: str, seconds: float) -> None:
        """Each read of it takes so long."""
        self.slow[path] = seconds

    def vanish(self, path: str) -> None:
        """A file, or all of a folder: as when a driver is unbound. What is open answers ENODEV."""
        self.gone.add(path)

    def heal(self) -> None:
        """No fault any more; values stay what they were set to."""
        self.errors, self.slow, self.gone = {}, {}, set()

    def asked(self, path: str) -> int:
        """How often it has been read, also in vain."""
        return self._asked.get(path, 0)

    # --- the tree ----------------------------------------------------------------------------------------------------------------------

    def _there(self, path: str) -> bool:
        return not any(path == gone or path.startswith(f"{gone}/") for gone in self.gone)

    def _kind(self, path: str) -> int:
        if not self._there(path):
            return 0
        if path in self.files:
            return stat.S_IFLNK | 0o777 if self.files[path].startswith("-> ") else stat.S_IFREG | 0o644
        return stat.S_IFDIR | 0o755 if not path or any(name.startswith(f"{path}/") for name in self.files) else 0

    def _content(self, path: str) -> bytes:
        text = self.values[path]() if path in self.values else self.files[path]
        return (text if text.endswith(("\n", "\0")) else text + "\n").encode()

    def _attributes(self, path: str) -> bytes:
        mode = self._kind(path)
        return ATTR.pack(self._numbers[path], 4096, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    # --- the protocol ------------------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._device, self._stop[0]], [], [])
            if self._stop[0] in ready:
                return
            try:
                request = os.read(self._device, 1 << 18)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                continue  # the request was withdrawn: ENOENT, EINTR
            _, code, unique, node, *_ = IN.unpack_from(request)
            path = self._nodes[node] if node else ""
            seconds = self.slow.get(path, 0.0) if code == Ask.READ else 0.0
            if seconds:  # others are served meanwhile
                threading.Timer(seconds, self._answer, (code, unique, path, request[IN.size :])).start()
            else:
                self._answer(code, unique, path, request[IN.size :])

    def _answer(self, code: int, unique: int, path: str, body: bytes) -> None:
        if code in UNANSWERED:
            return
        failed, answer = 0, b""
        try:
            answer = self._carried_out(code, path, body)
        except OSError as error:
            failed = error.errno or errno.EIO
        with contextlib.suppress(OSError):  # the asker may be gone, or the mount
            os.write(self._device, OUT.pack(OUT.size + len(answer), -failed, unique) + answer)

    def _carried_out(self, code: int, path: str, body: bytes) -> bytes:  # noqa: C901, PLR0911 -- one case a request
        match code:
            case Ask.INIT:
                major, minor, ahead, _ = struct.unpack_from("<IIII", body)
                return struct.pack("<IIIIHHIIHHII24x", major, min(minor, 31), ahead, 0, 16, 12, 1 << 17, 1, 0, 0, 0, 0)
            case Ask.LOOKUP:
                path = f"{path}/{body.rstrip(bytes(1)).decode()}".lstrip("/")
                if not self._kind(path):
                    raise OSError(errno.ENOENT, path)
                number = self._numbers.setdefault(path, len(self._numbers) + 1)
                self._nodes[number] = path
                return ENTRY_OUT.pack(number, 0, 0, 0, 0, 0) + self._attributes(path)
            case Ask.GETATTR | Ask.SETATTR:  # the only change that is asked for is to cut a file before it is written
                if not self._kind(path):
                    raise OSError(errno.ENOENT, path)
                return ATTR_OUT.pack(0, 0, 0) + self._attributes(path)
            case Ask.READLINK:
                return self.files[path][3:].encode()
            case Ask.OPEN | Ask.OPENDIR:
                if not self._kind(path):
                    raise OSError(errno.ENOENT, path)
                return OPEN_OUT.pack(0, DIRECT_IO if code == Ask.OPEN else 0, 0)
            case Ask.READ | Ask.READDIR:
                _, offset, size = struct.unpack_from("<QQI", body)
                return self._listed(path, offset, size) if code == Ask.READDIR else self._read(path)[offset : offset + size]
            case Ask.WRITE:
                size = int(struct.unpack_from("<QQI", body)[2])
                self.values.pop(path, None)
                self.files[path] = body[40 : 40 + size].decode()
                return struct.pack("<II", size, 0)
            case Ask.RELEASE | Ask.RELEASEDIR | Ask.FLUSH | Ask.FSYNC:
                return b""
        raise OSError(errno.ENOSYS, str(code))

    def _read(self, path: str) -> bytes:
        self._asked[path] = self._asked.get(path, 0) + 1
        if not self._there(path):
            raise OSError(errno.ENODEV, path)
        if path in self.errors:
            raise OSError(self.errors[path], path)
        return self._content(path)

    def _listed(self, path: str, offset: int, size: int) -> bytes:
        prefix = f"{path}/" if path else ""
        names = sorted({name.removeprefix(prefix).split("/")[0] for name in self.files if name.startswith(prefix) and self._there(name)})
        listed = b""
        for number, name in enumerate([".", "..", *names][offset:], offset + 1):
            kind = stat.S_IFDIR if name in {".", ".."} else stat.S_IFMT(self._kind(prefix + name))
            entry = DIRENT.pack(number + 1, number, len(name), kind >> 12) + name.encode()
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed
