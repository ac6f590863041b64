"""Reading what Linux shows in files: texts, numbers, units, and sensor files that stay open."""

from __future__ import annotations

import errno
import math
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

OFF_MILLIDEGREES = -256_000
"""What a Jetson's thermal zone says while its block has no power; other drivers say -274000, below absolute zero."""
GONE = {errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ESRCH, errno.EBADF}
"""A device or a process behind an open file that will not come back."""


def read_text(path: Path) -> str | None:
    """The content without white space and NULs around it; None where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \t\r\n")
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """The number in a file, without its fraction."""
    value = parse_number(read_text(path))
    return None if value is None else int(value)


def read_hertz(path: Path) -> int | None:
    """The clock [Hz] in a file that counts kHz."""
    kilohertz = read_int(path)
    return None if kilohertz is None else kilohertz * 1000


def read_flag(path: Path) -> bool | None:
    """Whether a file says 1; None where it says neither 0 nor 1."""
    return {"0": False, "1": True}.get(read_text(path) or "")


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key under which cpu10 comes after cpu9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def entries(base: Path, pattern: str) -> list[Path]:
    """The paths below `base` that match, in the natural order of their names."""
    return sorted(base.glob(pattern), key=lambda path: _natural(path.name))


def known(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs whose value is known."""
    return {key: value for key, value in pairs if value is not None and value != {}}


def numbered(names: Sequence[str]) -> list[str]:
    """The names, with #2, #3 ... behind those that occur again."""
    return [name if name not in names[:at] else f"{name}#{names[:at].count(name) + 1}" for at, name in enumerate(names)]


def parse_number(text: str | None) -> float | None:
    """The finite number that `text` is, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_watts(text: str) -> float | None:
    """Watts from microwatts."""
    value = parse_number(text)
    return None if value is None else value / 1e6


def parse_joules(text: str) -> float | None:
    """Joules from microjoules; a counter is never below 0."""
    value = parse_number(text)
    return None if value is None or value < 0 else value / 1e6


def parse_celsius(text: str) -> float | None:
    """Degrees from the kernel's millidegrees; a sensor at -256 or below means that it is off."""
    value = parse_number(text)
    return None if value is None or value <= OFF_MILLIDEGREES else value / 1000


def parse_kilohertz(text: str) -> float | None:
    """Hertz from kilohertz; no clock that runs is at 0."""
    value = parse_number(text)
    return None if value is None or value <= 0 else value * 1e3


def parse_hertz(text: str) -> float | None:
    """Hertz; no clock that runs is at 0."""
    value = parse_number(text)
    return None if value is None or value <= 0 else value


class File:
    """One sensor file, kept open. Raises OSError where it cannot be read now; later a sensor that is gone stays gone.

    A sensor that answers EAGAIN is one whose block has no power at the moment (a Jetson's gpu-thermal): it is there and says None.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            raise

    def _read(self) -> str:
        return os.pread(self._fd, 4096, 0).decode("ascii", "replace")

    @property
    def asleep(self) -> bool:
        """Whether it has no reading only because what it measures is switched off now."""
        try:
            return (parse_number(self._read()) or 0.0) <= OFF_MILLIDEGREES
        except BlockingIOError:
            return True
        except OSError:
            return False

    def text(self) -> str | None:
        """What it says now, or None."""
        if self._fd < 0:
            return None
        try:
            return self._read()
        except OSError as error:
            if error.errno in GONE:
                self.close()
            return None

    def text_and_close(self) -> str | None:
        """What it says now, for the last time."""
        text = self.text()
        self.close()
        return text

    def close(self) -> None:
        """From now on it says None."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
