"""Reading from the network until a moment, whatever the other side does: a server that trickles is cut off like one that is silent."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import secrets
import socket
import ssl
import time
from functools import cache
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from harness.measure.meters import Missed, Place

LARGEST = 1 << 20
"""Bytes of one answer; a meter's status has a few thousand."""
AWAY = "check that it is switched on and in this network, and the address; a browser or ping shows whether it can be reached"


class Socket:
    """A connection of which every read and write ends at `deadline` (time.monotonic) at the latest; it raises OSError then."""

    def __init__(self, place: Place, deadline: float, *, tls: bool = False) -> None:
        self.deadline = deadline
        self.sock = _connected(place, deadline)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small questions, each of which waits for its answer
        if tls:
            try:
                self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=place.host)
            except OSError:
                self.sock.close()
                raise

    def _limit(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.sock.settimeout(left)

    def receive_into(self, buffer: Any) -> int:
        """Like recv_into."""
        self._limit()
        return self.sock.recv_into(buffer)

    def send(self, data: bytes) -> None:
        """All of it."""
        self._limit()
        self.sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse reads from."""
        return io.BufferedReader(_Stream(self))

    def close(self) -> None:
        """Close it."""
        self.sock.close()


@cache
def _addresses(host: str) -> tuple[str, ...]:
    """Looked up once: nothing limits how long a look-up takes, and a sampling thread must not wait for it."""
    return tuple(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))


def _connected(place: Place, deadline: float) -> socket.socket:
    """To the first of the host's addresses that answers. Raises OSError."""
    failed: OSError | None = None
    for address in _addresses(place.host):
        try:
            return socket.create_connection((address, place.port), timeout=max(deadline - time.monotonic(), 1e-3))
        except OSError as error:
            failed = error
    raise failed or OSError("the host has no address")


class _Stream(io.RawIOBase):
    def __init__(self, source: Socket) -> None:
        super().__init__()
        self.source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.source.receive_into(buffer)


def why(error: Exception) -> str:
    """What a failed exchange is called."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return f"the host's name is not known: {error.strerror}"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, HTTPException):
        return f"what answered does not speak HTTP: {error!r}"
    return f"the connection failed: {getattr(error, 'strerror', None) or error!r}"


class Web:
    """A web server that is asked for JSON, one connection a question; small web servers keep none open for long."""

    def __init__(self, place: Place, timeout: float, *, tls: bool = False, headers: dict[str, str] | None = None) -> None:
        self.place, self.timeout, self.tls, self.headers = place, timeout, tls, headers or {}

    def get(self, target: str) -> Any:
        """The JSON at `target` (path and query). Raises Missed."""
        deadline = time.monotonic() + self.timeout
        try:
            status, headers, body = self._once(target, deadline, "")
            if status == 401 and self.place.password:
                status, headers, body = self._once(target, deadline, self._credentials(headers.get("www-authenticate", ""), target))
        except (OSError, HTTPException) as error:
            raise Missed(why(error), AWAY) from error
        if status in (401, 403):
            refused = "the user or the password is wrong" if self.place.password else "it wants a password"
            raise Missed(f"{refused} (HTTP {status})", "write USER:PASSWORD@ before the host; special characters as %XX")
        if 300 <= status < 400:
            to = headers.get("location", "nowhere")
            raise Missed(f"it sends on to {to[:200]} (HTTP {status}), which is not followed", "give the address that answers by itself")
        if status != 200:
            raise Missed(f"{target.partition('?')[0]}: HTTP {status}", "check the path, and the meter's own web page")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Missed(f"the answer is not JSON: {body[:60]!r}", "check the address: another device may have it") from error

    def _once(self, target: str, deadline: float, credentials: str) -> tuple[int, dict[str, str], bytes]:
        lines = {"Host": str(self.place), "Accept": "application/json", "Connection": "close", **self.headers}
        if credentials:
            lines["Authorization"] = credentials
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        wire = Socket(self.place, deadline, tls=self.tls)
        try:
            wire.send(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
            response = HTTPResponse(cast("socket.socket", wire), method="GET")
            try:
                response.begin()
                body = response.read(LARGEST)
            finally:
                response.close()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, body
        finally:
            wire.close()

    def _credentials(self, challenge: str, target: str) -> str:
        """Basic (RFC 7617) or Digest (RFC 7616, qop "auth", MD5 or SHA-256), as the server asks."""
        user, password = self.place.user, self.place.password
        if not challenge.lower().startswith("digest"):
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        asked = {name.lower(): quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', challenge)}
        algorithm = asked.get("algorithm", "MD5")

        def digest(text: str) -> str:
            return hashlib.new("sha256" if algorithm.upper() == "SHA-256" else "md5", text.encode()).hexdigest()

        realm, nonce, own = asked.get("realm", ""), asked.get("nonce", ""), secrets.token_hex(8)
        answer = digest(f"{digest(f'{user}:{realm}:{password}')}:{nonce}:00000001:{own}:auth:{digest(f'GET:{target}')}")
        return (
            f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{target}", algorithm={algorithm}, '
            f'qop=auth, nc=00000001, cnonce="{own}", response="{answer}"'
        )
