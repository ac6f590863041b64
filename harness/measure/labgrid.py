"""Boards of a labgrid lab: found by place or tags, acquired, power-cycled when asked, released however the run ends.

labgrid (LGPL-2.1-or-later, the extra `labgrid`) is used as it is: its coordinator session for places, reservations and locks, its `labgrid-client`
for power, because that knows every kind of power switch. What is benched is the place's `NetworkService`, over the system's own ssh.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from harness.errors import Stable, Transient, UsageError

PORT = 20408
ANSWER_S = 20.0
"""How long the coordinator may take for an answer [s]."""
POLL_S = 1.0
FREE_S = 1800.0
"""How long to wait for a place to become free [s]."""
BOOT_S = 180.0
"""How long a board may take from power to ssh [s]."""
EXAMPLE = "labgrid://coordinator:20408/rk-1, or labgrid://coordinator:20408?soc=rk3588 for any free board with these tags"
_ONE = threading.Lock()
"""Of the asyncio side of grpc, which is made for one event loop at a time: boards of one command ask from threads of their own."""
Say = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Address:
    """Where a lab's coordinator is ("host:port"), and what is wanted there: a `place`, or any with `tags`; neither means the lab itself."""

    coordinator: str
    place: str
    tags: dict[str, str]

    def __str__(self) -> str:
        return f"labgrid://{self.coordinator}" + (f"/{self.place}" if self.place else "")


def parse(url: str) -> Address:
    """`labgrid://HOST[:PORT][/PLACE][?TAG=VALUE&...]`. Raises UsageError with an example."""
    parts = urlsplit(url)
    try:
        port = parts.port or PORT
    except ValueError:
        raise UsageError(f"{url!r}: the port is no number up to 65535", f"write {EXAMPLE}") from None
    tags = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme != "labgrid" or not parts.hostname:
        raise UsageError(f"{url!r} is no address of a labgrid coordinator", f"write {EXAMPLE}")
    place = parts.path.strip("/")
    if place and tags:
        raise UsageError(f"{url!r} names a place and tags", f"name one of them: {EXAMPLE}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(f"{host}:{port}", place, tagged([f"{key}={value}" for key, value in tags.items()]))


def tagged(pairs: list[str]) -> dict[str, str]:
    """Tags from "key=value" texts. Raises UsageError for one that labgrid would not take."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (
            equals and re.fullmatch(r"[a-z][a-z0-9_]+", key) and re.fullmatch(r"[a-z0-9_][a-z0-9_-]*", value)
        ):  # labgrid.remote.common TAG_KEY, TAG_VAL
            raise UsageError(f"the tag {pair!r} is none of labgrid's", "write key=value in lower case, such as soc=rk3588")
        found[key] = value
    return found


class Lab:
    """The coordinator at `address` ("host:port"). Raises UsageError where labgrid is not installed."""

    def __init__(self, address: str) -> None:
        self.address = address
        try:
            from labgrid.remote import client
            from labgrid.remote.generated import labgrid_coordinator_pb2 as messages
        except ImportError as error:
            raise UsageError(f"labgrid is not installed ({error.name} is missing)", "python -m pip install 'socbench[labgrid]'") from None
        logging.getLogger().addHandler(logging.NullHandler())  # labgrid logs what it raises, and would print it
        self._client, self._messages = client, messages

    def _ask(self, work: Callable[[Any], Awaitable[Result]]) -> Result:
        """The result of `work(session)` in a session of its own. Raises Transient when the coordinator is not reached, Stable when it refuses."""
        import grpc

        loop = asyncio.new_event_loop()

        async def whole() -> Result:
            session = self._client.ClientSession(self.address, loop)
            try:
                await asyncio.wait_for(session.start(), ANSWER_S)
                return await asyncio.wait_for(work(session), ANSWER_S)
            finally:
                session.stopping.set()
                await session.stop()
                await session.close()

        fix = "start labgrid-coordinator there, or correct the address"
        try:
            with _ONE:
                return loop.run_until_complete(whole())
        except TimeoutError:
            raise Transient(f"the labgrid coordinator at {self.address} does not answer", fix) from None
        except self._client.ServerError as error:
            raise Transient(f"the labgrid coordinator at {self.address} cannot be reached: {error}", fix) from None
        except grpc.aio.AioRpcError as error:
            raise Stable(f"labgrid at {self.address}: {error.details()}", "see: labgrid-client places; labgrid-client who") from None
        finally:
            loop.close()

    def places(self, tags: Mapping[str, str]) -> list[str]:
        """The names of all places that have these tags, sorted."""

        async def named(session: Any) -> list[str]:
            return sorted(name for name, place in session.places.items() if tags.items() <= place.tags.items())

        return self._ask(named)

    @contextlib.contextmanager
    def reserved(self, tags: Mapping[str, str], seconds: float, say: Say) -> Iterator[str]:
        """The name of a place with these tags that is kept for us; waits for one for up to `seconds` [s]. Raises Stable when none is free by then."""
        what = " ".join(f"{key}={value}" for key, value in tags.items())
        if not self.places(tags):
            raise Stable(f"labgrid at {self.address} has no place with {what}", "see the tags: labgrid-client -v places")
        wanted = {"main": self._messages.Reservation.Filter(filter=tags)}

        async def create(session: Any) -> Any:
            return await session.stub.CreateReservation(self._messages.CreateReservationRequest(filters=wanted, prio=0.0))

        token = self._ask(create).reservation.token

        async def poll(session: Any) -> Any:
            return await session.stub.PollReservation(self._messages.PollReservationRequest(token=token))

        async def cancel(session: Any) -> Any:
            return await session.stub.CancelReservation(self._messages.CancelReservationRequest(token=token))

        try:
            deadline, told = time.monotonic() + seconds, False
            while not (now := self._ask(poll).reservation).allocations:
                if time.monotonic() > deadline:
                    raise Stable(f"no place with {what} became free within {seconds:.0f} s", "see who holds them: labgrid-client who")
                if not told:
                    say(f"waiting for a free place with {what}")
                    told = True
                time.sleep(POLL_S)
            yield str(now.allocations["main"])
        finally:
            with contextlib.suppress(Stable, Transient):  # it may have run out, and runs out by itself
                self._ask(cancel)

    @contextlib.contextmanager
    def acquired(self, name: str) -> Iterator[str]:
        """Have the place `name`; the address of its board for ssh. Raises Stable when somebody else has it, or it has no NetworkService.

        A place that is ours already is used and stays ours.
        """

        async def free(session: Any) -> bool:
            place = session.places.get(name)
            if place is None:
                raise Stable(f"labgrid at {self.address} has no place {name!r}", f"it has: {', '.join(sorted(session.places)) or 'none'}")
            if place.acquired and place.acquired != _holder(session):
                raise Stable(f"place {name} is held by {place.acquired}", f"wait, or ask them to release it: labgrid-client -p {name} release")
            return not place.acquired

        async def acquire(session: Any) -> None:
            await session.stub.AcquirePlace(self._messages.AcquirePlaceRequest(placename=name))

        async def release(session: Any) -> None:
            if session.places[name].acquired == _holder(session):  # somebody may have been quicker
                await session.stub.ReleasePlace(self._messages.ReleasePlaceRequest(placename=name))

        ours = self._ask(free)
        try:
            if ours:
                self._ask(acquire)  # which may succeed without our hearing of it
            yield self._ask(lambda session: self._service(session, name))
        finally:
            if ours:
                self._ask(release)

    @staticmethod
    async def _service(session: Any, name: str) -> str:
        """The address of the place's first NetworkService, as ssh takes it."""
        for (_, kind), resource in session.get_target_resources(session.places[name]).items():
            if kind == "NetworkService":
                host, user = resource.args["address"], resource.args["username"]
                host = f"[{host}]" if ":" in host else host
                return f"ssh://{user}@{host}:{resource.args.get('port', 22)}"
        raise Stable(f"place {name} has no NetworkService", "export one for its board (address, username) and match it to the place")

    @contextlib.contextmanager
    def board(self, wanted: Address, say: Say, *, cycle: bool = False) -> Iterator[str]:
        """Have the place that `wanted` names, or a free one with its tags; the address of its board for ssh.

        `cycle`: the board is switched off and on first, and has booted when the block begins.
        """
        with contextlib.ExitStack() as stack:
            name = wanted.place or stack.enter_context(self.reserved(wanted.tags, FREE_S, say))
            address = stack.enter_context(self.acquired(name))
            if wanted.tags:
                say(f"measuring on place {name}")
            if cycle:
                say(f"switching place {name} off and on")
                self.cycle(name)
                _answering(name, address)
            yield address

    def cycle(self, name: str) -> None:
        """Switch the board's power off and on. The place must be ours. Raises Stable with what labgrid-client said."""
        words = [sys.executable, "-m", "labgrid.remote.client", "-x", self.address, "-p", name, "power", "cycle"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise Stable(
                f"place {name} could not be power-cycled: {said[-1]}", "export a power port for its board and match it to the place", done.stderr
            )


def _holder(session: Any) -> str:
    """What a place says of who has acquired it, where that is us."""
    return f"{session.gethostname()}/{session.getuser()}"


def _answering(name: str, address: str) -> None:
    """Return when the board's ssh answers. Raises Transient when it has not booted in time."""
    parts = urlsplit(address)
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port), timeout=POLL_S) as way:
            way.settimeout(POLL_S)
            if way.recv(4) == b"SSH-":  # RFC 4253, 4.2
                return
        time.sleep(POLL_S / 4)
    what = f"place {name} was switched off and on, and its ssh did not answer within {BOOT_S:.0f} s"
    raise Transient(what, f"look at its console: labgrid-client -p {name} console")
