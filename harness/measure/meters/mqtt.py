"""A topic of an MQTT broker: mqtt://[USER:PASSWORD@]HOST[:1883]/TOPIC?value=ENERGY.Power. Scope: wall.

The message is the sample, stamped when it arrives; what it took to get here is not known, a round trip to the broker stands for it. Retained
messages are old and count for nothing. `hertz` says how often the device publishes. A device that publishes only when something changes cannot be
integrated.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from harness.measure.meters import Address, Meter, Missed, Scheme, need
from harness.measure.meters._polled import clock
from harness.measure.meters._reading import OPTIONS, document, reading
from harness.measure.meters._wire import AWAY, why
from harness.record import Absent, Channel, Telemetry

SILENT = 3
"""Periods without a message after which the device counts as gone."""


class Mqtt(Meter):
    """One topic."""

    def __init__(self, address: Address) -> None:
        place, topic = address.place(1883), address.rest.partition("/")[2]
        if not topic or {"#", "+"} & set(topic):
            raise address.wrong(f"{topic or 'nothing'} is not one topic", f"name the topic after the host: {address.example}")
        self.watts = reading(address, whole=True)
        paho = need("paho.mqtt.client", "mqtt")
        channel = Channel(address.one("name", topic), "power", "W", address.scope("wall"))
        super().__init__(f"mqtt:{topic}", [channel], address.hertz(1.0, 100.0))
        self.topic, self.lock = topic, threading.Lock()
        self.session: tuple[list[int], list[list[float | None]]] | None = None
        self.answered, self.first = threading.Event(), threading.Event()
        self.trouble: Missed | None = None
        self.asked_ns = self.round_trip_ns = 0
        self.begun_ns = 0
        self.client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self.client.connect_timeout = address.timeout()
        self.client.reconnect_delay_set(1, 5)
        if place.user:
            self.client.username_pw_set(place.user, place.password or None)
        self.client.on_connect, self.client.on_disconnect = self._connected, self._disconnected
        self.client.on_subscribe, self.client.on_message = self._subscribed, self._message
        try:
            try:
                self.client.connect(place.host, place.port, keepalive=10)
            except (OSError, ValueError) as error:
                raise Missed(f"the broker at {place}: {why(error)}", AWAY) from error
            self.client.loop_start()
            self._wait(place, address.number("timeout", max(10.0, SILENT / self.hertz), 0.05, 600.0))
        except BaseException:
            self.close()
            raise

    def _wait(self, place: Any, seconds: float) -> None:
        """Until the first message is there. Raises Missed."""
        if not self.answered.wait(seconds) or self.trouble:
            raise self.trouble or Missed(f"the broker at {place} does not answer as one", "check host and port; 1883 is MQTT's own")
        if not self.first.wait(seconds):
            raise Missed(
                f"no message on {self.topic} for {seconds:g} s", "check the topic, and how often the device publishes (hertz=0.1: every 10 s)"
            )
        if self.trouble:
            raise self.trouble

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refused(Missed(f"the broker refused: {reason}", "write USER:PASSWORD@ before the host"))
            return
        self.asked_ns = clock()
        client.subscribe(self.topic)

    def _subscribed(self, _client: Any, _data: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
        self.round_trip_ns = max(self.round_trip_ns, clock() - self.asked_ns)
        if any(one.is_failure for one in reasons):
            self._refused(Missed(f"the broker gives nobody the topic {self.topic}: {reasons[0]}", "give a user who may read it: USER:PASSWORD@HOST"))
            return
        self.trouble = None
        self.answered.set()

    def _refused(self, trouble: Missed) -> None:
        self.trouble = trouble
        self.answered.set()

    def _disconnected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self.answered.is_set() and reason.is_failure:
            self.trouble = self.trouble or Missed(f"the broker ended the connection: {reason}", AWAY)
            self._add(clock(), None)

    def _message(self, _client: Any, _data: Any, message: Any) -> None:
        now = clock()
        if message.retain:
            return
        try:
            value = self.watts(document(message.payload))
        except Missed as error:
            value = None
            if not self.first.is_set():
                self.trouble = error
        else:
            if value is None and not self.first.is_set():
                self.trouble = Missed(f"the message is no number: {message.payload[:60]!r}", "name where the power stands in it: value=a.b.c")
        self._add(now, value)
        self.first.set()

    def _add(self, now: int, value: float | None) -> None:
        with self.lock:
            if self.session:
                self.session[0].append(now)
                self.session[1].append([value])

    def begin(self) -> None:
        """Start a stretch of samples."""
        with self.lock:
            self.session, self.begun_ns = ([], []), clock()

    def end(self) -> Telemetry:
        """The samples since `begin`."""
        with self.lock:
            (t_ns, rows), self.session = self.session or ([], []), None
        silent_s = (clock() - (t_ns[-1] if t_ns else self.begun_ns)) / 1e9
        absent: list[Absent] = []
        if self.trouble:
            absent = self.gone(self.trouble.what, self.trouble.fix)
        elif self.begun_ns and silent_s > SILENT / self.hertz:
            absent = self.gone(
                f"no message on {self.topic} for {silent_s:.0f} s", "check the device, and how often it publishes (hertz=0.1: every 10 s)"
            )
        self.begun_ns = 0
        return Telemetry(self.instrument, self.hertz, self.channels, t_ns, rows, absent, read_error_ns=(self.round_trip_ns + 1) // 2)

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(Exception):  # closing what has gone away is no news
            self.client.disconnect()
        self.client.loop_stop()


SCHEMES = {"mqtt": Scheme(Mqtt, "mqtt://10.0.0.9/tele/plug/SENSOR?value=ENERGY.Power&hertz=0.1", OPTIONS)}
