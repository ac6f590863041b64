"""Power meters that are not on the board, one file each. The file is the registration: `SCHEMES` in it is found here.

A meter is opened by its URL and then serves all sessions of a campaign: `begin()` starts sampling in a thread of its own, `end()` gives what was
sampled. Stamps are of this machine's monotonic clock. A read that failed is None, a meter that went away is None from there on, and `end()` says
why; neither raises, and every wait has an end.
"""

from __future__ import annotations

import difflib
import importlib
import math
import pkgutil
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from typing import Any, Self, get_args
from urllib.parse import parse_qsl, unquote

from harness.errors import UsageError
from harness.record import Absent, Channel, Scope, Telemetry

COMMON = ("scope", "name", "hertz", "timeout")
"""Options that every meter takes."""
SCOPES: tuple[Scope, ...] = ("wall", "board", "module", "rail")
TIMEOUT_S = 3.0
"""How long one answer may take. A plug's web server needs a few tenths of a second; longer than this is a gap in the samples anyway."""


class Missed(Exception):
    """A read that gave nothing: `what` happened, and the `fix`."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


class Meter(ABC):
    """One opened meter. `hertz`: rows a second that it is asked for, or that it sends by itself."""

    def __init__(self, instrument: str, channels: Sequence[Channel], hertz: float) -> None:
        self.instrument, self.channels, self.hertz = instrument, list(channels), hertz

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def begin(self) -> None:
        """Start sampling; what an earlier `begin` sampled and nobody asked for is dropped."""

    @abstractmethod
    def end(self) -> Telemetry:
        """Stop sampling. All rows since `begin`; none where it did not begin."""

    def close(self) -> None:  # noqa: B027 - most meters hold nothing
        """Let go of the instrument."""

    def gone(self, why: str, fix: str) -> list[Absent]:
        """What the record says of channels whose last reads failed."""
        return [Absent(one.kind, one.site, why, fix) for one in self.channels]


@dataclass(frozen=True)
class Address:
    """A meter's URL, taken apart: SCHEME:REST?OPTIONS; `pairs` are the options in the order in which they stand."""

    scheme: str
    rest: str
    pairs: tuple[tuple[str, str], ...] = ()
    example: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises UsageError for what is no URL."""
        found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?([^?]*)(?:\?(.*))?", url.strip(), re.DOTALL)
        if not found:
            raise UsageError(f"{url}: not a meter's address", f"write SCHEME://HOST, such as shelly://10.0.0.7; {_known()}")
        scheme, rest, query = found.groups()
        return cls(scheme.lower(), rest, tuple(parse_qsl(query or "", keep_blank_values=True)))

    def __str__(self) -> str:
        """Without a password, fit for a message or a record."""
        separator = ":" if self.scheme in ("csv", "jls") else "://"
        return f"{self.scheme}{separator}" + re.sub(r"^([^@/:]*):[^@/]*@", r"\1@", self.rest)

    def wrong(self, what: str, fix: str = "") -> UsageError:
        """An error about this address."""
        return UsageError(f"{self}: {what}", fix or f"write it like {self.example}")

    def all(self, key: str) -> list[str]:
        """Every value of an option."""
        return [value for name, value in self.pairs if name == key]

    def one(self, key: str, default: str = "") -> str:
        """The value of an option. Raises UsageError where it stands twice."""
        found = self.all(key)
        if len(found) > 1:
            raise self.wrong(f"{key} is given {len(found)} times", f"give {key}=... once")
        return found[0].strip() if found else default

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """An option that is a number in a range."""
        text = self.one(key)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise self.wrong(f"{key}={text} is not a number from {least:g} to {most:g}", "give a number in that range, or leave it away")
        return value

    def place(self, port: int) -> Place:
        """[USER[:PASSWORD]@]HOST[:PORT][/PATH]. Raises UsageError without a host, or with a port that is none."""
        found = re.fullmatch(r"(?:([^@/:]*)(?::([^@/]*))?@)?(\[[0-9a-fA-F:.]+\]|[^/:@\[\]]*)(?::([^/]*))?(/.*)?", self.rest)
        if not found or not found[3].strip():
            raise self.wrong("no host")
        user, password, host, own, path = found.groups()
        if own is not None and not (own.isascii() and own.isdecimal() and 0 < int(own) < 65536):
            raise self.wrong(f"{own!r} is not a port")
        return Place(unquote(user or ""), unquote(password or ""), host.strip("[]"), int(own or port), path or "")

    def scope(self, default: Scope) -> Scope:
        """What the meter sees: `scope=`, or what is usual for its kind."""
        text = self.one("scope", default)
        if text not in SCOPES:
            raise self.wrong(f"scope={text} is none of {', '.join(SCOPES)}", f"write scope={default}, or leave it away")
        return next(one for one in get_args(Scope) if one == text)

    def hertz(self, default: float, most: float = 1000.0) -> float:
        """How often it is read [1/s]."""
        return self.number("hertz", default, 0.01, most)

    def timeout(self) -> float:
        """How long one answer may take [s]."""
        return self.number("timeout", TIMEOUT_S, 0.05, 60.0)


@dataclass(frozen=True)
class Place:
    """A service on the network."""

    user: str
    password: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Scheme:
    """How URLs of one kind are opened. `options`: what it takes beside the common ones; `others`: options it does not know go to the meter itself."""

    open: Callable[[Address], Meter]
    example: str
    options: tuple[str, ...] = ()
    others: bool = False


@cache
def schemes() -> dict[str, Scheme]:
    """Every kind of meter by its scheme."""
    found: dict[str, Scheme] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            found.update(importlib.import_module(f"{__name__}.{module.name}").SCHEMES)
    return found


def _known() -> str:
    return f"schemes: {', '.join(sorted(schemes()))}"


def check(url: str) -> tuple[Scheme, Address]:
    """The scheme of `url` and its parts, nothing opened. Raises UsageError with the known schemes, or the known options."""
    address = Address.parse(url)
    scheme = schemes().get(address.scheme)
    if scheme is None:
        close = difflib.get_close_matches(address.scheme, schemes(), 1, 0.5)
        meant = f"did you mean {schemes()[close[0]].example}? " if close else f"write it like {schemes()['shelly'].example}; "
        raise UsageError(f"{address}: no meter is of the scheme {address.scheme!r}", f"{meant}{_known()}")
    address = replace(address, example=scheme.example)
    allowed = (*COMMON, *scheme.options)
    for key, _ in address.pairs:
        if key not in allowed and not scheme.others:
            close = difflib.get_close_matches(key, allowed, 1)
            raise address.wrong(f"no option {key!r}", (f"did you mean {close[0]}=...? " if close else "") + f"options: {', '.join(allowed)}")
    return scheme, address


def open_meter(url: str) -> Meter:
    """The meter at `url`, having answered once. Raises UsageError, with the fix, for a wrong URL and for a meter that cannot be reached or read."""
    scheme, address = check(url)
    try:
        return scheme.open(address)
    except Missed as error:
        raise address.wrong(error.what, error.fix) from error


def need(module: str, extra: str) -> Any:
    """An optional package. Raises UsageError, with what to install, where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(f"the package {module.partition('.')[0]} is missing: {error}", f"pip install 'socbench[{extra}]'") from error
