"""Meters that are asked: a thread asks at a steady rate, stamps the middle of each exchange, and notes what failed."""

from __future__ import annotations

import random
import threading
import time
from abc import abstractmethod
from dataclasses import dataclass, field

from harness.measure.meters import Meter, Missed
from harness.record import Telemetry

clock = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux
GRACE_S = 2.0
"""Beyond the time that a read may take, before the thread is left to itself."""


@dataclass
class _Session:
    """What one thread sees between `begin` and `end`; a thread that hangs keeps its own, so that it cannot write into the next one's."""

    stop: threading.Event = field(default_factory=threading.Event)
    t_ns: list[int] = field(default_factory=list)
    rows: list[list[float | None]] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    """Of the reads since the last good one."""
    slowest_ns: int = 0
    """Of the good reads."""
    thread: threading.Thread | None = None


class Polled(Meter):
    """`_read` is called `hertz` times a second; it must come back within `patience_s`, with a row or with Missed."""

    patience_s: float = 5.0
    _session: _Session | None = None

    @abstractmethod
    def _read(self) -> list[float | None]:
        """One row. Raises Missed."""

    def begin(self) -> None:
        """Start a stretch of samples."""
        self.end()
        session = self._session = _Session()
        session.thread = threading.Thread(target=self._sample, args=(session,), name=f"meter {self.instrument}", daemon=True)
        session.thread.start()

    def _sample(self, session: _Session) -> None:
        period = round(1e9 / self.hertz)
        slot = clock()
        while True:
            before = clock()
            row: list[float | None] = [None] * len(self.channels)
            try:
                row = self._read()
            except Missed as error:
                missed: Missed | None = error
            except Exception as error:  # noqa: BLE001 - a driver's own errors are as foreign as what it reads
                missed = Missed(f"its driver failed: {error!r}", "see the driver's documentation")
            else:
                missed = None
            after = clock()
            if missed:
                session.missed.append(missed)
            else:
                session.missed.clear()
                session.slowest_ns = max(session.slowest_ns, after - before)
            session.rows.append(row)
            session.t_ns.append((before + after) // 2)
            slot = max(slot + period, after)  # what was missed is not caught up with in a burst
            due = slot + random.random() * period  # noqa: S311 - any moment of the period: an even step may keep step with the items
            if session.stop.wait((due - clock()) / 1e9):
                return

    def end(self) -> Telemetry:
        """The samples since `begin`."""
        session, self._session = self._session or _Session(), None
        session.stop.set()
        absent = []
        if session.thread:
            session.thread.join(self.patience_s + GRACE_S)
        if session.thread and session.thread.is_alive():
            absent = self.gone("the meter's driver hangs in a read", "reconnect the meter; the rows before it are kept")
        elif session.missed:
            last, count = session.missed[-1], len(session.missed)
            absent = self.gone(f"the last {count} of {len(session.rows)} reads failed: {last.what}", last.fix)
        n = min(len(session.t_ns), len(session.rows))
        return Telemetry(
            instrument=self.instrument,
            hertz=self.hertz,
            channels=self.channels,
            t_ns=session.t_ns[:n],
            rows=session.rows[:n],
            absent=absent,
            read_error_ns=(session.slowest_ns + 1) // 2,
        )

    def close(self) -> None:
        """Let go of it."""
        if self._session:
            self.end()
