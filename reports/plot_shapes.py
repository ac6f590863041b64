"""What a plot of a run holds: distributions, tracks over time, sensors, the course of a sustained run. Data classes only, as `reports.shapes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.decide.terms import Note

Floats = tuple[float, ...]


@dataclass(frozen=True)
class Percentile:
    """A percentile of a distribution with its bounds."""

    name: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Panel:
    """The spans of one phase [s]: `edges` and `counts` of a histogram, or all of `few` where they are few."""

    phase: str
    count: int
    edges: Floats
    counts: tuple[int, ...]
    few: Floats
    percentiles: tuple[Percentile, ...]
    slowest: float
    beyond: int
    """Spans right of the last edge, not drawn."""


@dataclass(frozen=True)
class Track:
    """Spans of one phase over the session: when they began [s] and how long they took [s]. The axis ends at `top`."""

    phase: str
    t: Floats
    took: Floats
    of: int
    """How many there were before thinning."""
    top: float
    above: int
    slowest: float


@dataclass(frozen=True)
class Band:
    """One stage on the time axis [s]."""

    stage: str
    begin: float
    end: float
    discarded: bool


@dataclass(frozen=True)
class Wire:
    """One line over time, already in `Sensor.unit`. Where it is thinned, `y` is the median of a column of samples, `low` and `high` its ends."""

    name: str
    t: Floats
    y: Floats
    low: Floats = ()
    high: Floats = ()


@dataclass(frozen=True)
class Sensor:
    """The channels of one kind. Where there are many: their `median`, and the `low` and `high` of them all."""

    title: str
    unit: str
    wires: tuple[Wire, ...]
    low: Wire | None = None
    high: Wire | None = None
    of: int = 0
    colour: int = 0
    """Of the lines; 0: that of the sensors."""


@dataclass(frozen=True)
class Data:
    """The numbers behind a plot, as CSV; text in it is quoted."""

    title: str
    csv: str


@dataclass(frozen=True)
class Moment:
    """A line across a plot at one time of its axis."""

    name: str
    t: float


@dataclass(frozen=True)
class Plot:
    """A plot: panels of distributions, tracks over time with the sensors below, or the course of a sustained run."""

    kind: Literal["distribution", "timeline", "sustain"]
    title: str
    caption: str
    alt: str
    data: tuple[Data, ...]
    panels: tuple[Panel, ...] = ()
    tracks: tuple[Track, ...] = ()
    bands: tuple[Band, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    curves: tuple[Sensor, ...] = ()
    """Drawn above the sensors, higher than they are."""
    moments: tuple[Moment, ...] = ()
    said: tuple[Note, ...] = ()
    """The caption and the alternative text as sentences of the catalogue, where they are."""
