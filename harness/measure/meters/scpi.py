"""Any SCPI instrument, through VISA: scpi://10.0.0.5, scpi://10.0.0.5:5025 or scpi://USB0::0x1AB1::0x0E11::DP8C000001::INSTR. Scope: board.

`power=MEAS:POW?` where the instrument knows it, else `voltage=MEAS:VOLT?` times `current=MEAS:CURR?` (SCPI-99, volume 2, chapter 3); an instrument
with several outputs takes a channel there: voltage=MEAS:VOLT? CH2. `backend=` is what PyVISA takes: @py (PyVISA-py, the default), @ivi (a vendor's
VISA), FILE@sim.
The instrument's settings are left alone; only queries are sent, and *CLS after one that it did not know.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from harness.measure.meters import Address, Missed, Scheme, need
from harness.measure.meters._polled import Polled, clock
from harness.measure.meters._reading import number
from harness.record import Channel

NO_NUMBER = 9.9e37
"""SCPI-99, volume 1, 7.2.1.5: 9.9E37 stands for infinity, 9.91E37 for "not a number"."""
QUICK_HZ, SLOW_HZ = 10.0, 2.0
"""How often it is asked where nobody said: by how long an answer takes."""
AWAY = "check that it is switched on, and the address that its own menu shows"
QUERIES = "name the queries it knows: power=..., or voltage=... and current=..."
POWER, VOLTAGE, CURRENT = "MEAS:POW?", "MEAS:VOLT?", "MEAS:CURR?"


class Scpi(Polled):
    """One instrument; power from one query, or from two."""

    def __init__(self, address: Address) -> None:
        visa = need("pyvisa", "scpi")
        timeout, scope, asked = address.timeout(), address.scope("board"), address.hertz(0.0, 100.0)
        resource = _resource(address)
        try:
            self.manager = visa.ResourceManager(address.one("backend", "@py"))
        except Exception as error:
            raise address.wrong(f"VISA does not start: {error}", "pip install 'socbench[scpi]', or name an installed one: backend=@ivi") from error
        self.patience_s = 4 * timeout
        try:
            self.instrument_io = self._open(resource, timeout)
            name = self._ask("*IDN?")
            self.queries = self._queries(address)
            before = clock()
            self._read()
            hertz = asked or (QUICK_HZ if clock() - before < 0.5e9 / QUICK_HZ else SLOW_HZ)
            maker, model, *serial = [part.strip() for part in f"{name},".split(",")][:3]
            label = "-".join(part for part in (model or maker, *serial) if part)
            channel = Channel(address.one("name", label or resource), "power", "W", scope)
            super().__init__(f"scpi:{label or resource}", [channel], hertz)
        except BaseException:
            self.close()
            raise

    def _open(self, resource: str, timeout: float) -> Any:
        try:
            found = self.manager.open_resource(resource, open_timeout=round(timeout * 1000))
        except Exception as error:  # PyVISA's own, the backend's and the system's errors have no common class
            raise Missed(f"{resource} cannot be opened: {error}", AWAY) from error
        found.timeout = round(timeout * 1000)
        found.read_termination = found.write_termination = "\n"
        return found

    def _ask(self, query: str) -> str:
        try:
            return str(self.instrument_io.query(query)).strip()
        except Exception as error:
            raise Missed(f"no answer to {query}: {error}", AWAY if query == "*IDN?" else QUERIES) from error

    def _value(self, query: str) -> float | None:
        value = number(self._ask(query).split(",")[0])
        return None if value is None or abs(value) >= NO_NUMBER else value

    def _queries(self, address: Address) -> Sequence[str]:
        """What gives the power, tried once. Raises Missed where it gives no number."""
        power, product = address.one("power"), (address.one("voltage"), address.one("current"))
        if power and any(product):
            raise address.wrong("power is one query, or voltage and current", "give power=..., or voltage=... and current=...")
        if not power and not any(product):
            with contextlib.suppress(Missed):
                if self._value(POWER) is not None:
                    return (POWER,)
            with contextlib.suppress(Exception):  # it did not know the query: empty its error queue, drop a late answer
                self.instrument_io.write("*CLS")
                self.instrument_io.clear()
        queries = (power,) if power else (product[0] or VOLTAGE, product[1] or CURRENT)
        for query in queries:
            if self._value(query) is None:
                raise Missed(f"{query} gave no number", QUERIES)
        return queries

    def _read(self) -> list[float | None]:
        total = 1.0
        for query in self.queries:
            value = self._value(query)
            if value is None:
                return [None]
            total *= value
        return [total]

    def close(self) -> None:
        """Let go of it."""
        super().close()
        with contextlib.suppress(Exception):  # closing what has gone away is no news; the manager is PyVISA's own, other meters use it
            self.instrument_io.close()


def _resource(address: Address) -> str:
    """The VISA resource: as it stands where it is one, else that of a host, or of a host and a port."""
    if "::" in address.rest:
        return address.rest
    place = address.place(0)
    return f"TCPIP0::{place.host}::{place.port}::SOCKET" if place.port else f"TCPIP0::{place.host}::INSTR"


SCHEMES = {"scpi": Scheme(Scpi, "scpi://10.0.0.5:5025?power=MEAS:POW?", ("power", "voltage", "current", "backend"))}
