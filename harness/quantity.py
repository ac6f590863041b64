"""A number or a reason: values with a unit and the evidence behind them.

Inside the house every value is in a base unit of `Unit`; `text` is the one place where it is scaled for a reader.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec


class Unit(StrEnum):
    """Base units. `ONE` is a pure number (a share, a cosine); decibels are kept as `dB`."""

    SECOND = "s"
    JOULE = "J"
    WATT = "W"
    BYTE = "B"
    PER_SECOND = "1/s"
    OP = "op"
    OP_PER_SECOND = "op/s"
    OP_PER_JOULE = "op/J"
    CELSIUS = "°C"
    HERTZ = "Hz"
    DOLLAR = "USD"
    ONE = "1"
    DECIBEL = "dB"
    BYTE_PER_SECOND = "B/s"
    PIXEL_PER_SECOND = "px/s"
    YEAR = "years"


class Kind(StrEnum):
    """How a value is known, strongest first."""

    MEASURED = "measured"
    PUBLISHED = "published"
    DATASHEET = "datasheet"
    CLAIMED = "claimed"
    ESTIMATED = "estimated"
    MISSING = "missing"


SIGNS = dict(zip(Kind, "●◐○◌≈–", strict=True))
"""The sign of each kind, in this order: ● measured, ◐ published, ○ datasheet, ◌ claimed, ≈ estimated, – missing."""
STRENGTH = {kind: rank for rank, kind in enumerate(Kind)}


class Evidence(msgspec.Struct, frozen=True):
    """Where a value comes from: `source` is a run id, a repository and path, or a document."""

    kind: Kind
    source: str = ""
    date: str = ""
    note: str = ""


class Quantity(msgspec.Struct, frozen=True):
    """A value in `unit` with its evidence, or None with a `reason`.

    `low` and `high` bound the value where an interval is known. `count` is the number of samples behind it.
    """

    value: float | None
    unit: Unit
    evidence: Evidence
    reason: str = ""
    low: float | None = None
    high: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("an absent quantity needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"not a finite value: {self.value}")


def missing(unit: Unit, reason: str, count: int | None = None) -> Quantity:
    """A quantity that is absent, and why."""
    return Quantity(None, unit, Evidence(Kind.MISSING), reason=reason, count=count)


def weakest(evidences: list[Evidence]) -> Evidence:
    """The evidence a value computed from several inputs carries. Raises ValueError when there are none."""
    return max(evidences, key=lambda one: STRENGTH[one.kind])


_DECIMAL = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_SHOWN = {Unit.OP_PER_SECOND: "op/s", Unit.OP_PER_JOULE: "op/J", Unit.PER_SECOND: "/s", Unit.ONE: "", Unit.DOLLAR: "USD"}
_UNSCALED = {Unit.CELSIUS, Unit.ONE, Unit.DOLLAR, Unit.DECIBEL, Unit.PER_SECOND, Unit.YEAR}
THIN_SPACE = "\u2009"


def significant(value: float, digits: int = 3) -> str:
    """`value` to three significant digits without an exponent: 0.0123, 4.56, 123, 45 600."""
    if value == 0:
        return "0"
    value = float(f"{value:.{digits - 1}e}")
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(places, 0)}f}".replace(",", THIN_SPACE)


def text(value: float, unit: Unit, digits: int = 3) -> str:
    """`value` for a reader: scaled by a decimal prefix, three significant digits, a thin space, the unit."""
    name = _SHOWN.get(unit, unit.value)
    if unit in _UNSCALED or value == 0:
        return f"{significant(value, digits)}{THIN_SPACE}{name}".rstrip(THIN_SPACE)
    top = 1.0 if unit is Unit.SECOND else math.inf  # seconds stay seconds: nobody reads kiloseconds
    for scale, prefix in _DECIMAL:
        if scale <= top and abs(value) >= scale * 0.9995:
            return f"{significant(value / scale, digits)}{THIN_SPACE}{prefix}{name}"
    scale, prefix = _DECIMAL[-1]
    return f"{significant(value / scale, digits)}{THIN_SPACE}{prefix}{name}"
