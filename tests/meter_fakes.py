"""Meters that are none, each on a port of 127.0.0.1: a web server, an Otii server, an MQTT broker, an SCPI instrument, and what they measure.

They speak the documented protocols from the other side, and can be made to misbehave while they run. They prove protocol and failure handling.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import UsageError
from harness.measure.meters import open_meter
from tests.lab import until

if TYPE_CHECKING:
    from harness.record import Telemetry

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Ramp:
    """A power that rises steadily on our clock. A trapezoid over it is exact, however unevenly it is sampled: only stamps can be wrong."""

    watts: float = 10.0
    slope: float = 5.0
    """W/s."""
    zero_ns: int = field(default_factory=time.perf_counter_ns)

    def __call__(self) -> float:
        """Now."""
        return self.at(time.perf_counter_ns())

    def at(self, t_ns: int) -> float:
        """The power at a time of our clock [W]."""
        return self.watts + self.slope * (t_ns - self.zero_ns) / 1e9

    def joules(self, begin_ns: int, end_ns: int) -> float:
        """The energy between two times of our clock."""
        return (self.at(begin_ns) + self.at(end_ns)) / 2 * (end_ns - begin_ns) / 1e9


def joules(telemetry: Telemetry) -> float:
    """Trapezoid over the rows of the only channel [J]; a row without a value is an error."""
    points = list(zip(telemetry.t_ns, [row[0] for row in telemetry.rows], strict=True))
    area = 0.0
    for (before, low), (after, high) in pairwise(points):
        assert low is not None
        assert high is not None
        area += (after - before) * (low + high) / 2e9
    return area


def refusal(url: str) -> UsageError:
    """The error that opening a meter there ends in."""
    with pytest.raises(UsageError) as caught, open_meter(url):
        pass
    assert caught.value.fix
    return caught.value


def sampled(meter: Any, server: Web, reads: int = 3) -> Any:
    """What a meter gives that was left to read a few times."""
    before = len(server.asked)
    meter.begin()
    until(lambda: len(server.asked) >= before + reads, "the meter reads")
    return meter.end()


# --- a web server --------------------------------------------------------------------------------------------------------------------


@dataclass
class Reply:
    """What is answered. `body`: JSON, or bytes as they are. `hang_up`: the connection is closed. `trickle`: a byte now and then, for ever."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    silent: bool = False
    trickle: bool = False


Answer = Callable[[str, dict[str, str]], Reply]


class Web(ThreadingHTTPServer):
    """Answers each GET with what `answer(target, headers)` gives; `asked` are the targets so far."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__((HOST, 0), _Handler)
        self.answer, self.asked, self.over = answer, list[str](), threading.Event()
        self.host = f"{HOST}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        reply = self.server.answer(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.close_connection = True
        if reply.silent:
            self.server.over.wait()
        if reply.hang_up or reply.silent:
            return
        if reply.trickle:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.over.wait(0.01):
                self.wfile.write(b"X")
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has above
        """Tests print nothing."""


@contextlib.contextmanager
def web(answer: Answer) -> Iterator[Web]:
    """A web server for the length of a block."""
    server = Web(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def shelly_gen1(watts: Callable[[], float], **about: Any) -> Answer:
    """A Shelly Plug S: fields as a real one gave them (home-assistant/core issue 82517)."""

    def answer(target: str, _headers: dict[str, str]) -> Reply:
        if target == "/shelly":
            return Reply(
                {"type": "SHPLG-S", "mac": "4022D8830001", "auth": False, "fw": "20221027-101131/v1.12.1", "num_outputs": 1, "num_meters": 1}
            )
        if target == "/status":
            meter = {"power": watts(), "overpower": 0.0, "is_valid": True, "timestamp": 1669107142, "counters": [838.7, 836.8, 835.3], "total": 35664}
            return Reply({"wifi_sta": {"connected": True}, "meters": [{**meter, **about}], "temperature": 39.03})
        return Reply({}, 404)

    return answer


def shelly_gen2(watts: Callable[[], float], component: str = "switch:0") -> Answer:
    """A Shelly of generation 2 or later (shelly-api-docs: Shelly.GetDeviceInfo, Shelly.GetStatus, and the status of the component)."""
    kind, _, number = component.partition(":")
    name = {"switch": "Switch", "pm1": "PM1", "em1": "EM1"}[kind]
    power = "act_power" if kind == "em1" else "apower"

    def status() -> dict[str, Any]:
        energy = {"total": 6.532, "by_minute": [45.199, 47.141, 88.397], "minute_ts": 1626935779}
        return {"id": int(number), "output": True, power: watts(), "voltage": 237.5, "current": 0.05, "aenergy": energy}

    def answer(target: str, _headers: dict[str, str]) -> Reply:
        if target == "/shelly":
            return Reply(
                {"id": "shellyplusplugs-c049ef8a2f50", "model": "SNPL-00112EU", "gen": 2, "ver": "1.4.4", "app": "PlusPlugS", "auth_en": False}
            )
        if target == "/rpc/Shelly.GetStatus":
            return Reply({"sys": {"uptime": 12}, component: status()})
        return Reply(status()) if target == f"/rpc/{name}.GetStatus?id={number}" else Reply({"code": 404}, 404)

    return answer


# --- servers that speak lines or packets ---------------------------------------------------------------------------------------------


class Talker(socketserver.ThreadingTCPServer):
    """A TCP server; `serve(connection)` talks with one client until it ends. `cut()` ends all connections, and with `deaf` nobody is let in again."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__((HOST, 0), socketserver.BaseRequestHandler)
        self.host = f"{HOST}:{self.server_address[1]}"
        self.open: list[socket.socket] = []
        self.deaf = False
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def finish_request(self, request: Any, _client: Any) -> None:
        if self.deaf:
            return
        self.open.append(request)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, EOFError):  # the client, or `cut`, has ended the connection
            self.serve(request)

    def serve(self, connection: socket.socket) -> None:
        """Talk."""
        raise NotImplementedError

    def cut(self) -> None:
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Any:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.deaf = True
        self.cut()
        self.shutdown()
        self.thread.join()
        self.server_close()


class Scpi(Talker):
    """A power supply on a raw socket; `answers` maps a query to what it says. A query that is not there gets no answer, as the standard asks."""

    def __init__(self, answers: dict[str, Callable[[], str]]) -> None:
        super().__init__()
        self.answers = {"*IDN?": lambda: "ACME,PSU-1,0042,1.0", **answers}
        self.heard: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rwb") as wire:
            for line in wire:
                query = line.decode().strip()
                self.heard.append(query)
                if query in self.answers:
                    wire.write(self.answers[query]().encode() + b"\n")
                    wire.flush()


class Otii(Talker):
    """The Otii app: one Arc whose recording holds what `watts` gave. `late_s`: its recordings begin so much after they were asked for."""

    def __init__(self, watts: Ramp, late_ns: int = 0) -> None:
        super().__init__()
        self.watts, self.late_ns = watts, late_ns
        self.devices = [{"device_id": "Arc0001", "name": "Bench", "type": "Arc"}]
        self.errors: dict[str, dict[str, Any]] = {}
        self.heard: list[str] = []
        self.begun = self.ended = 0
        self.after_statistics = 10**9
        """So many intervals are given, then the connection ends."""
        self.greeting = {"type": "information", "info": "connected", "data": {"otii_version": "3.5.5", "protocol_version": "0.1"}}

    def serve(self, connection: socket.socket) -> None:
        def say(said: dict[str, Any]) -> None:
            connection.sendall(json.dumps(said).encode() + b"\r\n")

        say(self.greeting)
        with connection.makefile("rb") as wire:
            for line in wire:
                request = json.loads(line)
                command, data = request["cmd"], request.get("data", {})
                self.heard.append(command)
                about = {"cmd": command, "trans_id": request["trans_id"]}
                say({"type": "progress", "progress_value": 0.5, **about})
                if command in self.errors:
                    say({"type": "error", **about, **self.errors[command]})
                elif (answer := self.answer(command, data)) is None:
                    return
                else:
                    say({"type": "response", **about, "data": answer})

    def answer(self, command: str, data: dict[str, Any]) -> dict[str, Any] | None:
        now = time.perf_counter_ns()
        if command == "project_start_recording":
            self.begun = now + self.late_ns
        if command == "project_stop_recording":
            self.ended = now
        if command == "recording_get_channel_statistics":
            self.after_statistics -= 1
            if self.after_statistics < 0:
                return None
            low, high = (self.begun + round(data[key] * 1e9) for key in ("from", "to"))
            return {"min": 0.0, "max": 1.0, "average": 0.5, "energy": self.watts.joules(low, high)}
        known: dict[str, dict[str, Any]] = {
            "otii_get_devices": {"devices": self.devices},
            "otii_get_active_project": {"project_id": 7},
            "project_get_last_recording": {"recording_id": 3, "name": "Recording 3", "start-time": "2026-11-22T08:00:00.000Z"},
            "recording_get_channel_info": {"offset": 0.0, "from": 0.0, "to": (self.ended - self.begun) / 1e9, "sample_rate": 4000},
        }
        return known.get(command, {})


class Broker(Talker):
    """An MQTT 3.1.1 broker that knows one topic: on subscription it sends the retained `old` message, then whatever `publish` is given."""

    def __init__(self, topic: str = "tele/plug/SENSOR", *, user: str = "", old: bytes | None = None) -> None:
        super().__init__()
        self.topic, self.user, self.old = topic, user, old
        self.refuse_topic = False
        self.subscribed = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        while True:
            kind, body = self._packet(connection)
            if kind == 1:  # CONNECT: protocol name, level, flags, keep alive, client id, [user]
                name = body[10:]
                connection.sendall(bytes((0x20, 2, 0, 5 if self.user and self.user.encode() not in name else 0)))
            elif kind == 8:  # SUBSCRIBE -> SUBACK
                connection.sendall(bytes((0x90, 3, body[0], body[1], 0x80 if self.refuse_topic else 0)))
                if self.old is not None:
                    connection.sendall(self._message(self.old, retain=True))
                self.subscribed.set()
            elif kind == 12:  # PINGREQ -> PINGRESP
                connection.sendall(b"\xd0\x00")
            elif kind == 14:  # DISCONNECT
                return

    def publish(self, payload: bytes) -> None:
        """Send a message to everybody."""
        for one in self.open:
            with contextlib.suppress(OSError):
                one.sendall(self._message(payload))

    def _message(self, payload: bytes, *, retain: bool = False) -> bytes:
        topic = self.topic.encode()
        body = len(topic).to_bytes(2, "big") + topic + payload
        assert len(body) < 128 * 128
        length = bytes((len(body),)) if len(body) < 128 else bytes((len(body) % 128 + 128, len(body) // 128))
        return bytes((0x31 if retain else 0x30,)) + length + body

    @staticmethod
    def _packet(connection: socket.socket) -> tuple[int, bytes]:
        def exactly(count: int) -> bytes:
            data = b""
            while len(data) < count:
                more = connection.recv(count - len(data))
                if not more:
                    raise EOFError
                data += more
            return data

        kind, length, shift = exactly(1)[0] >> 4, 0, 0
        while True:
            byte = exactly(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, exactly(length)
