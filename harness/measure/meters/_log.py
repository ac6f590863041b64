"""Logs that a meter's own software writes: what a log is to a campaign, and to `socbench attach`.

A log's times are of a wall clock. During a campaign that is taken to be this machine's; `attach` aligns it by what the record says of the wall clock.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import UsageError
from harness.measure.meters import Address, Meter, Missed, check
from harness.measure.meters._polled import clock
from harness.record import Absent, Channel, Telemetry

FASTEST_HZ = 100.0
"""A log with more rows a second is averaged down to these: energy needs no more, and a record would not hold them."""
LAG = 2
"""Periods by which a log may end before the run does."""


@dataclass
class Excerpt:
    """The rows of a log between two times. `t_ns`: of the log's wall clock, since 1970; `first_ns` and `last_ns`: of the whole log.

    `stamp_ns`: the steps in which its times are written. `clock_error_ns`: how far off all of them may be.
    """

    t_ns: list[int] = field(default_factory=list)
    rows: list[list[float | None]] = field(default_factory=list)
    first_ns: int = 0
    last_ns: int = 0
    stamp_ns: int = 0
    clock_error_ns: int = 0

    def cut(self, begin_ns: int, end_ns: int) -> Excerpt:
        """The same between two times."""
        inside = [i for i, t in enumerate(self.t_ns) if begin_ns <= t <= end_ns]
        return replace(self, t_ns=[self.t_ns[i] for i in inside], rows=[self.rows[i] for i in inside])


class Log(ABC):
    """One file. `hertz`: rows a second of an excerpt; what the log has, or was asked for, or `FASTEST_HZ`."""

    def __init__(self, address: Address) -> None:
        self.address, self.path = address, Path(address.rest).expanduser()
        self.instrument = f"{address.scheme}:{self.path.name}"
        self.offset_ns = round(address.number("offset", 0.0, -1e10, 1e10) * 1e9)
        self.channels: list[Channel] = []
        self.hertz = 1.0
        if not self.path.is_file():
            raise address.wrong(f"no such file: {self.path}", f"name the log's file: {address.example}")

    @abstractmethod
    def read(self, begin_ns: int, end_ns: int) -> Excerpt:
        """The rows between two times since 1970 [ns]. Raises UsageError and Missed for a file that became unreadable."""


def binned(samples: Iterable[tuple[int, list[float | None]]], width_ns: int) -> Iterable[tuple[int, list[float | None]]]:
    """Means over stretches of `width_ns`, stamped with the mean of their times. `samples` in the order of time; None counts for nothing."""
    begin: int | None = None
    t_sum, count, sums, goods = 0, 0, [0.0], [0]
    for t, row in samples:
        slot = t - t % width_ns
        if slot != begin:
            if begin is not None:
                yield begin + t_sum // count, [one / good if good else None for one, good in zip(sums, goods, strict=True)]
            begin, t_sum, count, sums, goods = slot, 0, 0, [0.0] * len(row), [0] * len(row)
        t_sum, count = t_sum + t - slot, count + 1
        for i, value in enumerate(row):
            if value is not None:
                sums[i] += value
                goods[i] += 1
    if begin is not None:
        yield begin + t_sum // count, [one / good if good else None for one, good in zip(sums, goods, strict=True)]


class LogMeter(Meter):
    """A log that grows while the campaign runs: what was written between `begin` and `end` is read at each `end`."""

    def __init__(self, log: Log) -> None:
        super().__init__(log.instrument, log.channels, log.hertz)
        self.log = log
        self.begun: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """Start a stretch of samples."""
        self.begun = _both_clocks()

    def end(self) -> Telemetry:
        """The samples since `begin`."""
        begun, self.begun = self.begun, None
        if begun is None:
            return Telemetry(self.instrument, self.hertz, self.channels, [], [], [])
        unix_ns, ours_ns, error_ns = _both_clocks()
        ahead_ns = ours_ns - unix_ns
        stepped_ns = abs(ahead_ns - (begun[1] - begun[0]))  # by NTP, or by hand
        period = round(1e9 / self.hertz)
        found, absent = Excerpt(), list[Absent]()
        fix = f"when its program has written it all: socbench attach {self.log.path.name}"
        try:
            found = self.log.read(begun[0] - period, unix_ns + period)
        except (UsageError, Missed) as error:
            absent = self.gone(error.what, error.fix)
        else:
            if not found.t_ns:
                absent = self.gone("the log has no row of this run", fix)
            elif (late := unix_ns - found.t_ns[-1]) > LAG * period + found.stamp_ns:
                absent = self.gone(f"the log ends {late / 1e9:.1f} s before the run does", fix)
        return Telemetry(
            instrument=self.instrument,
            hertz=self.hertz,
            channels=self.channels,
            t_ns=[t + ahead_ns for t in found.t_ns],
            rows=found.rows,
            absent=absent,
            clock_error_ns=error_ns + begun[2] + stepped_ns + found.clock_error_ns,
            read_error_ns=found.stamp_ns,
        )


def _both_clocks() -> tuple[int, int, int]:
    """Our wall clock and our monotonic clock at one moment, and by how much the two readings may lie apart [ns]."""
    before = clock()
    unix = time.time_ns()
    after = clock()
    return unix, (before + after) // 2, (after - before + 1) // 2


def open_log(text: str) -> Log:
    """The log at a path or at a URL (csv:..., jls:...). Raises UsageError."""
    suffix = Path(text.partition("?")[0]).suffix.lower()
    scheme, address = check(text if text.startswith(("csv:", "jls:")) else f"{'jls' if suffix == '.jls' else 'csv'}:{text}")
    try:
        meter = scheme.open(address)
    except Missed as error:
        raise address.wrong(error.what, error.fix) from error
    if not isinstance(meter, LogMeter):
        raise address.wrong("not a log", "name a file: log.csv or log.jls")
    return meter.log
