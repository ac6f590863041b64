"""Settings of a measurement: the command line, else the environment, else the default; each keeps who made it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from harness.errors import UsageError
from harness.record import Setting

EXAMPLES = {"threads": "2", "seconds": "10", "weights": "weights/", "sample_hz": "10", "idle": "30", "sustain": "30m"}
"""By name, a value that would be taken."""
DAY_S = 86_400.0


def setting(name: str, given: str | None, kind: Callable[[str], Any], default: Any, environ: Mapping[str, str]) -> Setting:
    """The value of a setting and where it was made: command line, else $SOCBENCH_<NAME>, else the default."""
    option, variable = f"--{name.replace('_', '-')}", f"SOCBENCH_{name.upper()}"
    text, source, where = (given, "command line", option) if given is not None else (environ.get(variable), "environment", f"${variable}")
    if text is None or (source == "environment" and not text):
        return Setting(default, "default")
    try:
        return Setting(kind(text), source)  # type: ignore[arg-type]
    except ValueError as error:
        example = f"{option} {EXAMPLES[name]}" if source == "command line" else f"{variable}={EXAMPLES[name]}"
        raise UsageError(f"{where} {text!r}: {error}", f"for example {example}") from None


def threads(most: int | None) -> Callable[[str], int]:
    """A number of threads, where this process may use `most` processors; None: a board's are counted there."""

    def kind(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError("not a whole number") from None
        if not 1 <= number <= (most or number):
            raise ValueError(f"must be from 1 to {most}, the processors this process may use" if most else "must be 1 or more")
        return number

    return kind


def seconds(text: str) -> float:
    """A measured time [s]."""
    return _number(text, "seconds", "must be more than 0 and at most 86400", lambda number: 0 < number <= DAY_S)


def sample_hz(text: str) -> float:
    """A rate of sampling [Hz]."""
    return _number(text, "samples a second", "must be from 0.1 to 1000", lambda number: 0.1 <= number <= 1000)


def idle(text: str) -> float:
    """An idle window [s]."""
    return _number(text, "seconds", "must be from 0 to 3600", lambda number: 0 <= number <= 3600)


def duration(text: str) -> float:
    """A time such as 90s, 30m or 2h [s]."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h)\s*", text)
    if not found:
        raise ValueError("not a time: a number, then s, m or h")
    number = float(found.group(1)) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found.group(2)]
    if not 0 < number <= DAY_S:
        raise ValueError("must be more than 0s and at most 24h")
    return number


def weights(text: str) -> str:
    """A folder."""
    if not text:
        raise ValueError("names no folder")
    return text


def _number(text: str, what: str, demand: str, good: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"not a number of {what}") from None
    if not good(number):
        raise ValueError(demand)
    return number
