"""Anything that answers an HTTP GET with JSON: http+json://HOST/PATH?value=a.b.c&unit=W, and https+json. Scope: wall.

What is not an option of ours is part of the question: http+json://plug/cm?cmnd=Status%208&value=StatusSNS.ENERGY.Power asks a Tasmota plug.
`token=NAME` sends the environment variable NAME as a bearer token (Home Assistant's long-lived access token): a URL lands in histories, a secret
must not.
"""

from __future__ import annotations

import os
from urllib.parse import quote, urlencode

from harness.measure.meters import COMMON, Address, Missed, Scheme
from harness.measure.meters._polled import Polled
from harness.measure.meters._reading import OPTIONS, reading
from harness.measure.meters._wire import Web
from harness.record import Channel

OWN = (*COMMON, "token", *OPTIONS)


class Gauge(Polled):
    """One value of one document."""

    def __init__(self, address: Address) -> None:
        tls = address.scheme == "https+json"
        place = address.place(443 if tls else 80)
        self.watts = reading(address, whole=False)
        headers = {}
        if name := address.one("token"):
            if not os.environ.get(name):
                raise address.wrong(f"the environment variable {name} is not set", f"export {name}=..., the token itself")
            headers["Authorization"] = f"Bearer {os.environ[name]}"
        self.patience_s = address.timeout()
        self.web = Web(place, address.timeout(), tls=tls, headers=headers)
        query = urlencode([(key, value) for key, value in address.pairs if key not in OWN], quote_via=quote)
        self.target = quote(place.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{query}" if query else "")
        channel = Channel(address.one("name", place.host), "power", "W", address.scope("wall"))
        super().__init__(f"{address.scheme}:{channel.site}", [channel], address.hertz(1.0, 100.0))
        if self._read()[0] is None:
            raise Missed("the value that was named is not a number", "name the value of the power; open the address in a browser to see them all")

    def _read(self) -> list[float | None]:
        return [self.watts(self.web.get(self.target))]


EXAMPLE = "http+json://10.0.0.8/status?value=power.total&unit=W"
SCHEMES = {
    "http+json": Scheme(Gauge, EXAMPLE, ("token", *OPTIONS), others=True),
    "https+json": Scheme(Gauge, EXAMPLE.replace("http", "https"), ("token", *OPTIONS), others=True),
}
