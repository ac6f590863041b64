"""What the sensors of a record said, as lines for a plot; thinned so that every spike stays visible."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.record import Channel, RunRecord, Telemetry
from reports.figures import to_csv
from reports.plot_shapes import Data, Sensor, Wire

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SINGLE = 180
"""So many samples are drawn one by one. Of more, columns are drawn: the median of each, and its lowest and highest."""
COLUMNS = 150
"""Most columns of a line; they hold four samples at least."""
MOST_WIRES = 3
SENSORS = {
    # kind -> title, unit read, unit shown, factor
    "power": ("Power", "W", "W", 1.0),
    "frequency": ("Frequency", "Hz", "GHz", 1e-9),
    "temperature": ("Temperature", "°C", "°C", 1.0),
    "load": ("Load", "1", "%", 100.0),
    "pressure": ("Pressure (PSI)", "1", "%", 100.0),
    "throttle": ("Throttling", "1", "", 1.0),
}


def sensors(record: RunRecord, zero_ns: int, begin: float = -math.inf, end: float = math.inf, scale: float = 1.0) -> tuple[Sensor, ...]:
    """The sensors of all instruments by kind, from `begin` to `end` [s] after `zero_ns` of the worker's clock; times leave divided by `scale`."""
    return tuple(one for telemetry in record.telemetry for one in _sensors(telemetry, zero_ns, begin, end, scale))


def _sensors(telemetry: Telemetry, zero_ns: int, begin: float, end: float, scale: float) -> list[Sensor]:
    import numpy as np

    if len(telemetry.t_ns) < 2:
        return []
    t = (np.asarray(telemetry.t_ns, dtype=np.int64) + telemetry.clock_offset_ns - zero_ns) / 1e9
    inside = slice(int(np.searchsorted(t, begin)), int(np.searchsorted(t, end, side="right")))
    table = np.asarray([[math.nan if one is None else one for one in row] for row in telemetry.rows], dtype=float)
    when = t[inside] / scale
    found = []
    for kind, (title, _, unit, _) in SENSORS.items():
        wires = []
        for at, channel in enumerate(telemetry.channels):
            shown = _as_shown(channel, kind, t, table[:, at])
            if shown is not None and not np.isnan(shown[inside]).all():
                wires.append((channel.site, shown[inside]))
        if not wires or (kind == "throttle" and not any(np.nanmax(y) > np.nanmin(y) for _, y in wires)):
            continue
        if len(wires) <= MOST_WIRES:
            found.append(Sensor(title, unit, tuple(wire(site, when, y) for site, y in wires), of=len(wires)))
            continue
        stacked = np.stack([y for _, y in wires])
        blank = np.isnan(stacked).all(axis=0)
        stacked[:, blank] = 0.0
        low, middle, high = (
            np.where(blank, np.nan, one) for one in (np.nanmin(stacked, axis=0), np.nanmedian(stacked, axis=0), np.nanmax(stacked, axis=0))
        )
        lowest, highest = wire("lowest", when, low), wire("highest", when, high)
        lowest = Wire("lowest", lowest.t, lowest.low or lowest.y)
        highest = Wire("highest", highest.t, highest.high or highest.y)
        usual = wire("median", when, middle)
        found.append(Sensor(title, unit, (Wire("median", usual.t, usual.y),), lowest, highest, len(wires)))
    return found


def _as_shown(channel: Channel, kind: str, t: Array, column: Array) -> Array | None:
    """The values of one channel as its plot shows them; an energy counter becomes power. None for another kind or unit."""
    import numpy as np

    _, unit, _, factor = SENSORS[kind]
    if np.isnan(column).all():
        return None
    if channel.kind == kind and channel.unit == unit:
        return np.asarray((column - column[~np.isnan(column)][0] if kind == "throttle" else column) * factor)
    if channel.kind == "energy" and channel.unit == "J" and kind == "power":
        rise = np.diff(column, prepend=math.nan)
        if channel.wraps_at is not None:
            rise = np.where(rise < 0, rise + channel.wraps_at, rise)
        lasted = np.diff(t, prepend=math.nan)
        known = (rise >= 0) & (lasted > 0)
        return np.where(known, rise, math.nan) / np.where(known, lasted, 1.0)
    return None


def wire(name: str, t: Array, y: Array) -> Wire:
    """A line through samples in the order of their times, or through columns of them; a column without a good sample breaks the line."""
    import numpy as np

    if len(t) <= SINGLE:
        return Wire(name, tuple(map(float, t)), tuple(map(float, y)))
    edges = np.linspace(t[0], t[-1], min(COLUMNS, len(t) // 4) + 1)
    cuts = np.searchsorted(t, edges[1:-1])
    parts = [part[~np.isnan(part)] for part in np.split(y, cuts)]
    low, middle, high = (tuple(float(of(part)) if len(part) else math.nan for part in parts) for of in (np.min, np.median, np.max))
    return Wire(name, tuple(map(float, (edges[1:] + edges[:-1]) / 2)), middle, low, high)


def thinned(sensor: Sensor) -> bool:
    """Whether columns of samples stand for the samples."""
    return any(one.low for one in sensor.wires)


def table(sensor: Sensor, time: str) -> Data:
    """The numbers behind the lines of a sensor, all of which have the same times. `time`: the head of their column."""
    unit = f"[{sensor.unit or 1}]"
    columns: list[tuple[str, tuple[float, ...]]] = []
    for one in (sensor.low, *sensor.wires, sensor.high):
        if one is not None:
            columns.append((f"{one.name} {unit}", one.y))
            columns += [(f"{one.name} lowest {unit}", one.low), (f"{one.name} highest {unit}", one.high)] if one.low else []
    t = sensor.wires[0].t
    rows = zip(t, *(values for _, values in columns), strict=True)
    csv = to_csv((time, *(name for name, _ in columns)), [(round(at, 3), *(None if math.isnan(y) else short(y) for y in ys)) for at, *ys in rows])
    return Data(sensor.title, csv)


def short(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
