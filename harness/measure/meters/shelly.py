"""Plugs and relays that measure, of the Shelly kind: shelly://HOST. Scope: wall.

Generation 1 answers GET /status with `meters` (power in W); generation 2 and later answers GET /rpc/Shelly.GetStatus with one object per component:
`switch:0` and `pm1:0` with `apower` [W], `em1:0` with `act_power` [W] (shelly-api-docs.shelly.cloud: gen1, gen2/ComponentsAndServices). GET /shelly
names the device and its generation, without a password. Only the power is read: a plug's energy counter (`total` in watt-minutes, `aenergy.total` in
watt-hours) advances in steps that are large beside one session's energy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.measure.meters import Address, Missed, Scheme
from harness.measure.meters._polled import Polled
from harness.measure.meters._reading import number
from harness.measure.meters._wire import Web
from harness.record import Channel

COMPONENTS = {"switch": ("Switch", "apower"), "pm1": ("PM1", "apower"), "em1": ("EM1", "act_power")}
"""Component -> its RPC name and the field of its power [W]."""
QUANTUM_W = 0.1
"""Generation 2 reports tenths of a watt."""


class Shelly(Polled):
    """One channel of one device."""

    def __init__(self, address: Address) -> None:
        place = address.place(80)
        self.number, scope, hertz = round(address.number("channel", 0, 0, 15)), address.scope("wall"), address.hertz(1.0, 10.0)
        if place.password and not place.user:
            place = replace(place, user="admin")  # the only user that generation 2 has
        self.patience_s = address.timeout()
        self.web = Web(place, address.timeout())
        about = self.web.get("/shelly")
        if not isinstance(about, dict) or not (about.get("gen") or about.get("type")):
            raise Missed(f"{place}: what answers is not a Shelly", "for another kind of meter see http+json://")
        self.first = not about.get("gen")
        self.target, self.field = ("/status", "power") if self.first else self._component()
        name = str(about.get("id") or f"{about.get('type')}-{about.get('mac', '')[-6:]}")
        site = address.one("name", name)
        channel = Channel(site, "power", "W", scope, quantum=None if self.first else QUANTUM_W)
        super().__init__(f"shelly:{name}", [channel], hertz)
        if self._read()[0] is None:
            raise Missed("it gives no power", "take a device that measures power")

    def _component(self) -> tuple[str, str]:
        """Which question gives the power, and in which field. Raises Missed."""
        status = self.web.get("/rpc/Shelly.GetStatus")
        for kind, (method, field) in COMPONENTS.items():
            if isinstance(status, dict) and field in (status.get(f"{kind}:{self.number}") or {}):
                return f"/rpc/{method}.GetStatus?id={self.number}", field
        found = [
            key
            for key, value in (status.items() if isinstance(status, dict) else ())
            if isinstance(value, dict) and {"apower", "act_power"} & set(value)
        ]
        if not found:
            raise Missed("this device does not measure power", "take a plug or relay with power metering")
        raise Missed(f"no channel {self.number}; it measures {', '.join(found)}", "give channel=N, the number after the colon")

    def _read(self) -> list[float | None]:
        said: Any = self.web.get(self.target)
        if self.first:
            meters = said.get("meters") if isinstance(said, dict) else None
            if not isinstance(meters, list) or self.number >= len(meters):
                raise Missed(f"it has no meter {self.number}", "give channel=N, counted from 0, of a device that measures power")
            said = meters[self.number]
            if isinstance(said, dict) and said.get("is_valid") is False:
                return [None]  # the device's own word for "do not use this"
        return [number(said.get(self.field)) if isinstance(said, dict) else None]


SCHEMES = {"shelly": Scheme(Shelly, "shelly://10.0.0.7?name=bench-plug", ("channel",))}
