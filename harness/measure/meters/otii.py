"""Otii Arc and Ace through the TCP server of the Otii app: otii://HOST[:1905]. Scope: board.

The server speaks JSON, one object a line ended by CR LF: a request {"type": "request", "cmd", "data", "trans_id"} is answered with {"type":
"response", "data", "trans_id"} or {"type": "error", "errorcode", ...}; {"type": "information"} greets, {"type": "progress"} may come between.
Commands and fields are those of otii-tcp-client 1.0.13 (MIT); it is not used because it connects without a time limit, and a late answer ends it.

The app records main current and voltage (channels mc and mv, 1 kHz and more) from `begin` to `end`; then it is asked for the energy of each 1/hertz
second of the recording, in joule. The recording stays in the app's project. The output is never switched: it may be what feeds the board.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from typing import Any

from harness.measure.meters import Address, Meter, Missed, Place, Scheme
from harness.measure.meters._polled import clock
from harness.measure.meters._reading import number
from harness.measure.meters._wire import LARGEST, Socket, why
from harness.record import Absent, Channel, Telemetry

DEVICES = ("Arc", "Ace", "Simulator")
FETCH_S = 60.0
"""How long `end` may ask for a recording's intervals; each takes about a millisecond."""
START = "start the Otii app and its TCP server (Otii: settings, TCP server), and log in; remote control needs the automation licence"


class _Server:
    """One connection to the app."""

    def __init__(self, place: Place, timeout: float) -> None:
        self.place, self.timeout, self.rest, self.ids = place, timeout, b"", itertools.count(1)
        try:
            self.wire = Socket(place, time.monotonic() + timeout)
        except OSError as error:
            raise Missed(f"the Otii server at {place}: {why(error)}", START) from error
        try:
            self._until(lambda said: said.get("type") == "information" and said.get("info") == "connected")
        except Missed:
            self.wire.close()
            raise

    def ask(self, command: str, **data: Any) -> dict[str, Any]:
        """What the server answers with. Raises Missed."""
        self.wire.deadline = time.monotonic() + self.timeout
        mine = str(next(self.ids))
        request = {"type": "request", "cmd": command, "trans_id": mine, "data": data}
        try:
            self.wire.send(json.dumps(request).encode() + b"\r\n")
        except OSError as error:
            raise Missed(f"the Otii server at {self.place}: {why(error)}", START) from error
        said = self._until(lambda one: one.get("trans_id") == mine and one.get("type") != "progress")
        if said.get("type") == "error":
            about = said.get("data") or {}
            more = about.get("message", "") if isinstance(about, dict) else ""
            raise Missed(f"Otii refused {command}: {said.get('errorcode', 'no reason given')} {more}".rstrip(), START)
        found = said.get("data") or {}
        if not isinstance(found, dict):
            raise Missed(f"Otii's answer to {command} has no data", START)
        return found

    def _until(self, wanted: Any) -> dict[str, Any]:
        """The first line that is wanted; answers that came too late for their question are passed over."""
        buffer = bytearray(1 << 16)
        while True:
            line, end, rest = self.rest.partition(b"\r\n")
            if end:
                self.rest = rest
                try:
                    said = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise Missed(f"what answers at {self.place} is not an Otii server: {line[:60]!r}", START) from error
                if isinstance(said, dict) and wanted(said):
                    return said
                continue
            try:
                count = self.wire.receive_into(buffer)
            except OSError as error:
                raise Missed(f"the Otii server at {self.place}: {why(error)}", START) from error
            if not count or len(self.rest) > LARGEST:
                raise Missed(f"the Otii server at {self.place} ended the connection", START)
            self.rest += buffer[:count]


class Otii(Meter):
    """One device in the app's active project."""

    def __init__(self, address: Address) -> None:
        self.place, self.timeout, wanted = address.place(1905), address.timeout(), address.one("device")
        scope, hertz = address.scope("board"), address.hertz(10.0)
        self.server: _Server | None = _Server(self.place, self.timeout)
        try:
            device = self._device(wanted)
            self.device = str(device["device_id"])
            project = int(self._ask("otii_get_active_project").get("project_id", -1))
            self.project = project if project >= 0 else int(self._ask("otii_create_project").get("project_id", -1))
            self._ask("arc_add_to_project", device_id=self.device)
            for channel in ("mc", "mv"):
                self._ask("arc_enable_channel", device_id=self.device, channel=channel, enable=True)
        except BaseException:
            self.close()
            raise
        name = str(device.get("name") or self.device)
        channels = [Channel(address.one("name", name), "power", "W", scope, mean=True)]
        super().__init__(f"otii:{name}", channels, hertz)
        self.started: tuple[int, int] | None = None
        self.trouble: Missed | None = None
        self.error_ns = 0

    def _ask(self, command: str, **data: Any) -> dict[str, Any]:
        """One question; a connection that failed once is given up, and made anew for the next question."""
        try:
            self.server = self.server or _Server(self.place, self.timeout)
            return self.server.ask(command, **data)
        except Missed as error:
            if not error.what.startswith("Otii refused"):
                self._drop()
            raise

    def _drop(self) -> None:
        if self.server:
            self.server.wire.close()
        self.server = None

    def _device(self, wanted: str) -> dict[str, Any]:
        """The device of that name or id, or the only one. Raises Missed."""
        found = self._ask("otii_get_devices", timeout=1).get("devices", [])
        devices = [one for one in found if isinstance(one, dict) and one.get("type") in DEVICES and one.get("device_id")]
        names = ", ".join(str(one.get("name")) for one in devices)
        chosen = [one for one in devices if wanted in ("", one.get("name"), one["device_id"])]
        if not devices:
            raise Missed("the Otii app sees no device", "connect the Arc or Ace by USB")
        if len(chosen) != 1:
            raise Missed(f"which device? The app sees {names}", f"give device={devices[0].get('name')}")
        return chosen[0]

    def _bracket(self, command: str) -> tuple[int, int]:
        """When a command was carried out, by our clock: the middle of the exchange, and half its length."""
        before = clock()
        self._ask(command, project_id=self.project)
        after = clock()
        return (before + after) // 2, (after - before + 1) // 2

    def begin(self) -> None:
        """Start a stretch of samples."""
        self.started = self.trouble = None
        try:
            self.started = self._bracket("project_start_recording")
        except Missed as error:
            self.trouble = error

    def end(self) -> Telemetry:
        """The samples since `begin`."""
        t_ns: list[int] = []
        rows: list[list[float | None]] = []
        started, self.started, self.error_ns = self.started, None, 0
        try:
            if started:
                self._fetch(started, self._bracket("project_stop_recording"), t_ns, rows)
        except Missed as missed:
            self.trouble = missed
        absent: list[Absent] = []
        if self.trouble:
            kept = "; if the app still has the recording, export it as CSV and use `socbench attach`"
            absent = self.gone(self.trouble.what, self.trouble.fix + kept)
        self.trouble = None
        return Telemetry(self.instrument, self.hertz, self.channels, t_ns, rows, absent, clock_error_ns=self.error_ns)

    def _fetch(self, started: tuple[int, int], ended: tuple[int, int], t_ns: list[int], rows: list[list[float | None]]) -> None:
        """Mean power of each interval of the last recording, stamped in its middle. Raises Missed; what came before it stays."""
        recording = self._ask("project_get_last_recording", project_id=self.project).get("recording_id", -1)
        about = {"recording_id": recording, "device_id": self.device, "channel": "mc"}
        span = self._ask("recording_get_channel_info", **about)
        begin, end = number(span.get("from")), number(span.get("to"))
        if begin is None or end is None or end <= begin:
            raise Missed("the recording is empty", "switch the Otii's output on")
        # the device's clock and ours measured the same stretch: what they disagree by may lie at either end of it
        self.error_ns = started[1] + ended[1] + abs(ended[0] - started[0] - round((end - begin) * 1e9))
        step, deadline = 1 / self.hertz, time.monotonic() + FETCH_S
        for index in range(int((end - begin) / step + 1e-6)):
            low = begin + index * step
            if time.monotonic() > deadline:
                raise Missed(f"the Otii app took more than {FETCH_S:.0f} s to give the recording", "ask for fewer samples: hertz=2")
            found = self._ask("recording_get_channel_statistics", **about, **{"from": low, "to": low + step})
            energy = number(found.get("energy"))
            t_ns.append(started[0] + round((low - begin + step / 2) * 1e9))
            rows.append([None if energy is None else energy / step])

    def close(self) -> None:
        """Let go of it; a recording that nobody ended is ended."""
        if getattr(self, "started", None):
            with contextlib.suppress(Missed):
                self._ask("project_stop_recording", project_id=self.project)
        self._drop()


SCHEMES = {"otii": Scheme(Otii, "otii://localhost?device=Arc", ("device",))}
