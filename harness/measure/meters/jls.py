"""A recording of the Joulescope UI or its driver: jls:recording.jls. Scope: board. Read with pyjls (Apache-2.0), Jetperch's own library.

The signal `power` is averaged over each 1/hertz second of the file's samples, sample by sample; without it `current` times `voltage`, which is then a
product of means. A recording carries UTC beside its samples (JLS version 2): that is the clock it is aligned by.
"""

from __future__ import annotations

import math
from typing import Any

from harness.measure.meters import Address, Missed, Scheme, need
from harness.measure.meters._log import FASTEST_HZ, Excerpt, Log, LogMeter
from harness.record import Channel

HERTZ = 10.0
JLS_SECOND = 1 << 30
JLS_EPOCH_NS = 1_514_764_800 * 10**9
"""JLS counts 2^-30 s since 2018-01-01 UTC (pyjls.time64)."""


class Jls(Log):
    """One file."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.pyjls = need("pyjls", "jls")
        with self._open() as file:
            self.names = self._signals(file)
            own = min(float(file.signal_lookup(name).sample_rate) for name in self.names)
            if not file.sample_id_to_timestamp(file.signal_lookup(self.names[0]).signal_id, 0):  # JLS time 0: 2018, before there was JLS
                raise Missed(f"{self.path.name} does not say when its samples were taken", "record it with the Joulescope UI 1.0 or later")
        self.hertz = min(address.hertz(HERTZ, FASTEST_HZ), own)
        self.channels = [Channel(address.one("name", self.path.stem), "power", "W", address.scope("board"), mean=True)]

    def _open(self) -> Any:
        try:
            return self.pyjls.Reader(str(self.path))
        except (RuntimeError, ValueError, OSError) as error:
            raise Missed(f"{self.path.name} is no JLS recording: {error}", "close the program that writes it, and check the file") from error

    def _signals(self, file: Any) -> list[str]:
        there = {one.name for one in file.signals.values()}
        names = ["power"] if "power" in there else ["current", "voltage"]
        if not set(names) <= there:
            raise Missed(f"{self.path.name} holds neither power nor current and voltage, but {', '.join(sorted(there))}", "record the power as well")
        return names

    def read(self, begin_ns: int, end_ns: int) -> Excerpt:
        """Means over the seconds' parts between two times."""
        found = Excerpt()
        with self._open() as file:
            first = file.signal_lookup(self.names[0])
            begin, end = (self._unix(file.sample_id_to_timestamp(first.signal_id, one)) for one in (0, first.length - 1))
            found.first_ns, found.last_ns = begin, end
            width = round(1e9 / self.hertz)
            for index in range(max(0, (begin_ns - begin) // width), (min(end, end_ns) - begin) // width):
                low = begin + index * width
                means = [self._mean(file, name, low, low + width) for name in self.names]
                found.t_ns.append(low + width // 2)
                found.rows.append([math.prod(one for one in means if one is not None) if None not in means else None])
        return found

    def _mean(self, file: Any, name: str, low_ns: int, high_ns: int) -> float | None:
        """Over the samples between two times; None where there are none, or where the driver lost some (they are NaN)."""
        signal = file.signal_lookup(name)
        begin, end = (file.timestamp_to_sample_id(signal.signal_id, self._jls(one)) for one in (low_ns, high_ns))
        begin, end = max(0, int(begin)), min(int(end), signal.length)
        if end <= begin:
            return None
        mean = float(file.fsr_statistics(signal.signal_id, begin, end - begin, 1)[0][0])
        return mean if math.isfinite(mean) else None

    def _unix(self, stamp: int) -> int:
        return int(stamp) * 10**9 // JLS_SECOND + JLS_EPOCH_NS + self.offset_ns

    def _jls(self, unix_ns: int) -> int:
        return (unix_ns - self.offset_ns - JLS_EPOCH_NS) * JLS_SECOND // 10**9


def _open(address: Address) -> LogMeter:
    return LogMeter(Jls(address))


SCHEMES = {"jls": Scheme(_open, "jls:recording.jls", ("offset",))}
