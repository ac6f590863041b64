"""A CSV log that a meter's own software writes: csv:log.csv?time=Timestamp&power=Power(mW). Scope: board; the rails of one log are rails.

Columns: `power=` (several times for several rails), or `current=` and `voltage=` (a column, or the supply's volts); `unit=` where a head does not
say it. Without them the heads are read: "time(ms),vdd_soc voltage(V),vdd_soc current(mA),..." (NXP bcu monitor -dump; bcu.c, nxp-imx/bcu 806e143),
"#time,current,voltage,power,charge,energy" (Joulescope UI statistics), "Timestamp(ms),Current(uA)" (nRF Connect Power Profiler, which needs
voltage=), and others like them.

Times: `clock=iso` (without a zone: this machine's, or `zone=UTC`), `clock=unix` (s, ms, µs or ns, told apart by their size), or since the log's start
(`clock=s`, `ms` or `us`), which needs `start=` a time, or start=mtime: the last row was written when the file was last changed. Without `clock` the
first row tells. `offset=SECONDS` is added to a clock that is known to be off.
"""

from __future__ import annotations

import csv
import io
import os
import re
import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from harness.measure.meters import Address, Missed, Scheme
from harness.measure.meters._columns import head, powers, time_column
from harness.measure.meters._log import FASTEST_HZ, Excerpt, Log, LogMeter, binned
from harness.record import Channel

PREVIEW = 2000
"""Rows from which the rate and the steps of the times are told."""
TAIL = 1 << 16
"""Bytes at the end of a file in which its last row is looked for."""
MTIME_ERROR_NS = 1_000_000_000
"""A program's buffer, and the file system's own stamps."""
_STEPS = [10**n for n in range(9, -1, -1)]
_CLOCKS = {"s": 10**9, "ms": 10**6, "us": 10**3}


class CsvLog(Log):
    """One file; what its head says is read once, its rows whenever they are asked for."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        with self._file() as file:
            top = file.read(TAIL)
        lines = top.splitlines()
        first = next(
            (i for i, line in enumerate(lines) if line.strip() and not (line.startswith("#") and not re.match(r"#\s*time", line, re.IGNORECASE))),
            None,
        )
        if first is None:
            raise address.wrong(f"{self.path} is empty", "wait until the meter's program has written its first rows")
        self.skip = first + 1
        self.delimiter = max((",", ";", "\t"), key=lines[first].count)
        heads = [head(cell) for cell in next(csv.reader([lines[first]], delimiter=self.delimiter))]
        if all(_ticks(one.text) is not None for one in heads):
            raise address.wrong(f"{self.path} has no line with the columns' names", "add one, such as time,power")
        self.at, unit = time_column(address, heads)
        self.powers = powers(address, heads)
        scope = address.scope("rail" if len(self.powers) > 1 else "board")
        named = address.one("name") if len(self.powers) == 1 else ""
        self.channels = [Channel(named or one.site or self.path.stem, "power", "W", scope) for one in self.powers]
        self.ticks = self._clock(unit)
        times = [t for t, _ in islice(self._rows(), PREVIEW)]
        steps = [after - before for before, after in pairwise(times) if after > before]
        if not steps:
            raise address.wrong(f"{self.path} has fewer than two rows with a time", "wait until the meter's program has written its first rows")
        own = 1e9 / statistics.median(steps)
        self.stamp_ns = next(step for step in _STEPS if all(t % step == 0 for t in times))
        self.hertz = min(address.hertz(min(own, FASTEST_HZ), FASTEST_HZ), own)
        self.averaged = self.hertz < 0.9 * own
        if self.averaged:
            self.channels = [msgspec.structs.replace(one, mean=True) for one in self.channels]
        self.start_ns()

    def _file(self) -> io.TextIOWrapper:
        try:
            return self.path.open(encoding="utf-8-sig", errors="replace", newline="")
        except OSError as error:
            raise self.address.wrong(f"{self.path} cannot be read: {error.strerror}", "make it readable for this user") from error

    def _plain(self, cell: str) -> str:
        """A number with a decimal point; a comma is one where columns are divided otherwise."""
        return cell.strip() if self.delimiter == "," else cell.strip().replace(",", ".")

    def _clock(self, unit: int) -> Callable[[str], int | None]:
        """From a cell to ns, since 1970 or since the log's start; None for what is no time. Sets `relative`."""
        clock = self.address.one("clock")
        if clock not in ("", "iso", "unix", *_CLOCKS):
            raise self.address.wrong(f"clock={clock} is none of iso, unix, s, ms, us", "leave it away, or take one of them")
        cell = next((cells[self.at] for cells in self._cells() if len(cells) > self.at and cells[self.at].strip()), "")
        number = _ticks(self._plain(cell))
        if clock == "iso" or (not clock and number is None):
            self.relative, zone = False, self._zone()
            if _moment(cell, zone) is None:
                raise self.address.wrong(
                    f"{cell!r} in the first row is no time", "name the column of the time: time=COLUMN; ISO 8601 and numbers are read"
                )
            return lambda text: _moment(text, zone)
        if number is None:
            raise self.address.wrong(f"clock={clock}, but {cell!r} in the first row is no number", "leave clock= away")
        size = _since_1970(number, unit)
        self.relative = clock in _CLOCKS or (not clock and size is None)
        if clock == "unix" and size is None:
            raise self.address.wrong(f"clock=unix, but {cell} in the first row is no time since 1970", "give clock=s or ms, and start=")
        factor = (_CLOCKS.get(clock) or unit or 10**9) if self.relative else size or 1

        def ticks(text: str) -> int | None:
            whole, _, part = text.partition(".")
            if whole.isdecimal() and (not part or part.isdecimal()):  # as nearly all are: exact, and quicker than Decimal
                divisor: int = 10 ** len(part)
                return int(whole + part) * factor // divisor
            value = _ticks(self._plain(text))
            return None if value is None else int(value * factor)

        return ticks

    def _zone(self) -> tzinfo | None:
        name = self.address.one("zone")
        try:
            return ZoneInfo(name) if name else None
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise self.address.wrong(f"no time zone {name!r}", "write zone=UTC or zone=Europe/Berlin") from error

    def start_ns(self) -> int:
        """What is added to the log's times to get time since 1970. Raises UsageError where the log cannot say it and nobody did."""
        start = self.address.one("start")
        if not self.relative:
            return self.offset_ns
        if start == "mtime":
            last = max((t for t, _ in self._rows(self._tail())), default=0)
            return self.path.stat().st_mtime_ns - last + self.offset_ns
        number = _ticks(start)
        begun = int(number * (_since_1970(number, 0) or 10**9)) if number is not None else _moment(start, self._zone())
        if begun is None:
            what = f"start={start} is no time" if start else "its times count from the log's start, and it does not say when that was"
            raise self.address.wrong(what, "give start=2026-11-22T08:00:00Z, or start=mtime: the last row was written when the file was last changed")
        first = next((t for t, _ in self._rows()), 0)
        return begun - first + self.offset_ns

    def _tail(self) -> list[str]:
        """The lines at the file's end, the first and an unfinished last one left out."""
        with self.path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            text = file.read().decode("utf-8", "replace")
        return text[: text.rfind("\n") + 1].splitlines()[1:]

    def _cells(self, lines: list[str] | None = None) -> Iterator[list[str]]:
        """The cells of each finished line after the head; a line that is still being written has no end yet."""
        if lines is not None:
            yield from csv.reader(lines, delimiter=self.delimiter)
            return
        with self._file() as file:
            finished = (line for line in islice(file, self.skip, None) if line.endswith(("\n", "\r")))
            try:
                yield from csv.reader(finished, delimiter=self.delimiter)
            except csv.Error as error:
                raise self.address.wrong(f"{self.path} is no CSV: {error}", "export it as CSV, with commas, semicolons or tabs") from error

    def _rows(self, lines: list[str] | None = None) -> Iterator[tuple[int, list[float | None]]]:
        """Time and watts of each row; rows without a time are a program's remarks."""
        comma = self.delimiter != ","
        for cells in self._cells(lines):
            t = self.ticks(cells[self.at]) if len(cells) > self.at else None
            if t is not None:
                yield t, [one.watts(cells, comma=comma) for one in self.powers]

    def _forward(self) -> Iterator[tuple[int, list[float | None]]]:
        """`_rows`, as long as time goes on. Raises Missed where it does not."""
        before: int | None = None
        for t, row in self._rows():
            if before is not None and t < before:
                raise Missed(
                    f"{self.path.name}: time goes back by {(before - t) / 1e9:g} s after {before / 1e9:.3f} s",
                    "cut the log there: two recordings are two logs",
                )
            before = t
            yield t, row

    def read(self, begin_ns: int, end_ns: int) -> Excerpt:
        """The rows between two times, averaged where the log is faster than what is kept."""
        start = self.start_ns()
        found = Excerpt(stamp_ns=self.stamp_ns, clock_error_ns=MTIME_ERROR_NS if self.relative and self.address.one("start") == "mtime" else 0)
        rows = self._forward()
        for t, row in binned(rows, round(1e9 / self.hertz)) if self.averaged else rows:
            moment = t + start
            found.first_ns = found.first_ns or moment
            found.last_ns = moment
            if begin_ns <= moment <= end_ns:
                found.t_ns.append(moment)
                found.rows.append(row)
        return found


def _ticks(text: str) -> Decimal | None:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def _since_1970(value: Decimal, unit: int) -> int | None:
    """The unit [ns] in which `value` is a time after 2001, taken from its size where `unit` is 0; None where it is none."""
    units = (unit,) if unit else (10**9, 10**6, 10**3, 1)
    return next((one for one in units if 10**18 <= value * one < 10**19), None)


def _moment(text: str, zone: tzinfo | None) -> int | None:
    """ISO 8601, also with a blank or slashes in it, in ns since 1970; a time without a zone is of `zone`, or of this machine."""
    try:
        found = datetime.fromisoformat(text.strip().replace("/", "-"))
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=zone) if zone else found.astimezone()
    since = found.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000


def _open(address: Address) -> LogMeter:
    return LogMeter(CsvLog(address))


OPTIONS = ("time", "power", "current", "voltage", "unit", "clock", "start", "zone", "offset")
SCHEMES = {"csv": Scheme(_open, "csv:log.csv?time=Timestamp&power=Power(mW)", OPTIONS)}
