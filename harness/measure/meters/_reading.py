"""Watts out of what a meter says: units, places in a JSON document, and volts times amperes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from harness.measure.meters import Address, Missed

_PREFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3}
OPTIONS = ("value", "unit", "voltage", "current")


def factor(unit: str, base: str) -> float | None:
    """By what a value in `unit` is multiplied to be in `base` ("W", "V", "A"); None for another quantity. "MW" is none: it is a slip for mW."""
    text = unit.strip()
    return _PREFIXES.get(text[:-1]) if text[-1:].upper() == base else None


def number(value: Any) -> float | None:
    """A finite number, also one written as text ("12.3"); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def pick(document: Any, path: str) -> Any:
    """The value at "a.b.0.c", or at the JSON pointer "/a/b/0/c" (RFC 6901). Raises Missed with the names that are there."""
    steps = [one.replace("~1", "/").replace("~0", "~") for one in path.split("/")[1:]] if path.startswith("/") else path.split(".") if path else []
    for at, step in enumerate(steps):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            there = (
                list(document)[:12] if isinstance(document, dict) else f"a list of {len(document)}" if isinstance(document, list) else "a plain value"
            )
            names = ", ".join(map(str, there)) if isinstance(there, list) else there
            where = ".".join(steps[:at]) or "the answer"
            raise Missed(f"no {step!r} in {where}, which has: {names or 'nothing'}", "name what is there, step by step, with dots between")
    return document


def reading(address: Address, *, whole: bool) -> Callable[[Any], float | None]:
    """A function from a document to watts, as the options `value` and `unit`, or `voltage` and `current`, say. Raises UsageError.

    `whole`: without any of them the document itself is the number. Units: "W", "mW", "kW", and "V*A", "mV*mA" ... for the product.
    """
    product = [address.one("voltage"), address.one("current")]
    paths = product if any(product) else [address.one("value")]
    if any(product) and (not all(product) or address.one("value")):
        raise address.wrong("power is one value, or voltage and current", "give value=..., or voltage=... and current=...")
    if not any(product) and not paths[0] and not whole:
        raise address.wrong("which value is the power?", f"name it: {address.example}")
    bases = ["V", "A"] if any(product) else ["W"]
    unit = address.one("unit", "*".join(bases))
    parts = [one.strip() for one in unit.split("*")]
    if parts and parts[0].upper().endswith("A"):
        parts.reverse()
    scales = [factor(part, base) for part, base in zip(parts, bases, strict=False)]
    if len(parts) != len(bases) or None in scales:
        raise address.wrong(f"unit={unit} is no unit of {' times '.join(bases)}", "write unit=W, mW, kW; or unit=V*A, V*mA for voltage and current")
    scale = math.prod(one for one in scales if one is not None)

    def watts(document: Any) -> float | None:
        total = scale
        for path in paths:
            value = number(pick(document, path))
            if value is None:
                return None
            total *= value
        return total

    return watts


def document(payload: bytes) -> Any:
    """A message as JSON, or as plain text where it is none ("12.3 " is a number either way)."""
    text = payload.decode("utf-8", "replace").strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
