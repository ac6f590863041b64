"""Joulescope JS110, JS220 and JS320 on USB, through their own driver: joulescope:// or joulescope://SERIAL. Scope: board.

The driver publishes statistics: the mean power over each 1/hertz second, without a gap (pyjoulescope_driver 2.2, entry point "statistics": the JS110
counts at 2 MHz, the JS220 at 1 MHz, and the JS320 is taken to be like it). Stamps come from the device's sample counter; the quickest message places
it on our clock, the slowest says how wrong that may be.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from harness.measure.meters import Address, Meter, Missed, Scheme, need
from harness.measure.meters._polled import clock
from harness.measure.meters._reading import number
from harness.record import Absent, Channel, Telemetry

SILENT = 3
"""Periods without a message after which the device counts as gone."""


class Joulescope(Meter):
    """One device."""

    def __init__(self, address: Address) -> None:
        scope, hertz = address.scope("board"), address.hertz(10.0)
        module = need("pyjoulescope_driver", "joulescope")
        self.lock = threading.Lock()
        self.session: list[tuple[int, float, float, float | None]] | None = None
        self.begun_ns = 0
        self.receive = self._receive  # the driver knows a listener by its identity, and each look-up of a method gives another object
        self.driver: Any = module.Driver()
        try:
            self.path = self._find(address.rest.strip("/").lower())
            label = "-".join(self.path.split("/")[1:])
            channel = Channel(address.one("name", label), "power", "W", scope, mean=True)
            super().__init__(f"joulescope:{label}", [channel], hertz)
            self._start()
        except (RuntimeError, ValueError, OSError) as error:  # what the driver raises, a TimeoutError among them
            self.close()
            raise Missed(f"the Joulescope driver: {error}", "reconnect it, close the Joulescope UI, and check the udev rule") from error
        except BaseException:
            self.close()
            raise

    def _find(self, serial: str) -> str:
        """The path of the device with that serial number, or of the only one. Raises Missed."""
        paths = [str(one) for one in self.driver.device_paths()]
        chosen = [one for one in paths if serial in ("", one.rpartition("/")[2].lower())]
        if len(chosen) != 1:
            seen = ", ".join(paths) or "none"
            raise Missed(f"which Joulescope? The driver sees {seen}", "connect it, close the Joulescope UI; with several give joulescope://SERIAL")
        return chosen[0]

    def _start(self) -> None:
        old = "js110" in self.path
        self.driver.open(self.path)
        self.driver.publish(f"{self.path}/s/i/range/{'select' if old else 'mode'}", "auto")
        if old:
            for signal in "ivp":
                self.driver.publish(f"{self.path}/s/{signal}/ctrl", "on")
        self.driver.publish(f"{self.path}/s/stats/scnt", round((2e6 if old else 1e6) / self.hertz))
        self.driver.subscribe(f"{self.path}/s/stats/value", "pub", self.receive)
        self.driver.publish(f"{self.path}/s/stats/ctrl", "on" if old else 1)

    def _receive(self, _topic: str, value: Any) -> None:
        now = clock()
        span, power = value["time"]["range"]["value"], value["signals"]["power"]["avg"]["value"]
        with self.lock:
            if self.session is not None:
                self.session.append((now, float(span[0]), float(span[1]), number(power)))

    def begin(self) -> None:
        """Start a stretch of samples."""
        with self.lock:
            self.session, self.begun_ns = [], clock()

    def end(self) -> Telemetry:
        """The samples since `begin`."""
        with self.lock:
            found, self.session = self.session or [], None
        lags = [now - round(last * 1e9) for now, _, last, _ in found]
        offset, jitter = (min(lags), max(lags) - min(lags)) if lags else (0, 0)
        t_ns = [offset + round((first + last) / 2 * 1e9) for _, first, last, _ in found]
        silent_s = (clock() - (found[-1][0] if found else self.begun_ns)) / 1e9
        absent: list[Absent] = []
        if self.begun_ns and silent_s > SILENT / self.hertz:
            absent = self.gone(f"nothing from the Joulescope for {silent_s:.1f} s", "reconnect it; a hub with its own supply helps")
        self.begun_ns = 0
        rows = [[power] for *_, power in found]
        return Telemetry(self.instrument, self.hertz, self.channels, t_ns, rows, absent, clock_error_ns=jitter)

    def close(self) -> None:
        """Let go of it."""
        path = getattr(self, "path", "")
        with contextlib.suppress(Exception):  # closing what has gone away is no news
            if path:
                self.driver.unsubscribe(f"{path}/s/stats/value", self.receive)
                self.driver.publish(f"{path}/s/stats/ctrl", "off" if "js110" in path else 0)
                self.driver.close(path)
        with contextlib.suppress(Exception):
            self.driver.finalize()


SCHEMES = {"joulescope": Scheme(Joulescope, "joulescope://001234", ())}
