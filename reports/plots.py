"""Plots as SVG that lives inside HTML: text stays text, colours follow the page's theme, equal data give equal bytes.

Each is drawn twice, for a page and for a phone: shrunk to a phone, the letters of the first could not be read. A timeline would make the file too
long that way, and is scrolled there. Nothing drawn here needs an id: there are no clips and no markers.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.quantity import significant
from reports.plot_shapes import Band, Panel, Percentile, Plot, Sensor, Track, Wire
from reports.svg import INK, LINE, MUTED, SERIES, SHADE, embedded
from reports.words import colour_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = {"broad": 7.6, "narrow": 4.0}
"""Inches, of which a drawing has 72 units each; the page scales it, and shows the one that has room."""
LEFT, RIGHT = 0.62, 0.16
LETTER, SMALL_LETTER = 0.0625, 0.072
"""Inches that a letter of a title takes, and at most one of a small text."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "socbench",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the layout is the same everywhere; the page shows its own
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # names come from records: "$" in one is a dollar
    "savefig.transparent": True,
    "path.simplify": False,
}
DASHES: tuple[tuple[Any, str], ...] = (("solid", "solid"), ((0, (5, 2)), "dashed"), ((0, (1, 1.5)), "dotted"))
SMALL = 8
ROW = 0.15
"""Inches from one percentile's name to the next."""
_NAME = 28


@contextmanager
def style() -> Iterator[None]:
    """The settings of matplotlib for `draw`."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def draw(plot: Plot) -> str:
    """`plot` as `<svg>` elements, one a width: a timeline only as a broad one. Names in them are escaped by matplotlib's writer."""
    return "".join(_drawn(plot, name) for name in WIDTHS if name == "broad" or plot.kind != "timeline")


def _drawn(plot: Plot, name: str) -> str:
    with style():
        figure = {"distribution": _distribution, "timeline": _timeline, "sustain": _sustain}[plot.kind](plot, WIDTHS[name])
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return embedded(out.getvalue(), name)


# ---------------------------------------------------------------------------------------------------- parts


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), frameon=False)
    FigureCanvasSVG(figure)
    return figure


class Strip:
    """A rectangle of the figure, `height` inches high and `top` inches below its upper edge, with a line below and scales of its own.

    It does what is used here of matplotlib's Axes, several times faster.
    """

    def __init__(self, figure: Figure, top: float, height: float, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.figure, self.height, self.x, self.y = figure, height, x, y
        self.width = figure.get_figwidth() - LEFT - RIGHT
        self.edge = -LEFT / self.width
        """The left edge of the drawing as a share of the strip's width."""
        self._bottom = figure.get_figheight() - top - height
        self.line(x, (y[0], y[0]), color=LINE)

    def right_of(self, x: float) -> float:
        """`x` of the data as a share of the width."""
        return (x - self.x[0]) / (self.x[1] - self.x[0])

    def _inches(self, x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
        low, high = self.y
        return [LEFT + self.right_of(one) * self.width for one in x], [self._bottom + (one - low) / (high - low) * self.height for one in y]

    def line(self, x: Sequence[float], y: Sequence[float], **look: Any) -> None:
        """A line through points of the data; NaN breaks it."""
        from matplotlib.lines import Line2D

        look = {"color": INK, "linewidth": 0.8, **look}
        self.figure.add_artist(Line2D(*self._inches(x, y), transform=self.figure.dpi_scale_trans, **look))

    def fill(self, x: Sequence[float], y: Sequence[float], colour: str, **look: Any) -> None:
        """A polygon of the data."""
        from matplotlib.patches import Polygon

        known = [(a, b) for a, b in zip(x, y, strict=True) if not math.isnan(b)]
        if known:
            points = list(zip(*self._inches([a for a, _ in known], [b for _, b in known]), strict=True))
            patch = Polygon(points, facecolor=colour, edgecolor="none", linewidth=0, transform=self.figure.dpi_scale_trans, **look)
            self.figure.add_artist(patch)

    def say(self, x: float, said: str, *, up: float = 0.0, share: float | None = None, **look: Any) -> None:
        """Text at share `x` of the width, `up` inches above the upper edge, or at `share` of the height."""
        y = self._bottom + (self.height + up if share is None else share * self.height)
        look = {"transform": self.figure.dpi_scale_trans, "va": "bottom" if share is None else "center", **look}
        self.figure.text(LEFT + x * self.width, y, said, **look)

    def title(self, said: str) -> None:
        """What the strip shows, above its left end."""
        self.say(self.edge, _short(said, int(self.figure.get_figwidth() / LETTER)), up=0.06)

    def ticks(self, low: float, high: float) -> list[float]:
        """Round numbers of the axis, as many as there is room for."""
        return _ticks(low, high, round(1.17 * self.width))

    def along(self, ticks: Sequence[float], unit: str) -> None:
        """Labels below; the last one says the unit."""
        for one in ticks:
            self.say(
                self.right_of(one), f"{one:g}{' ' + unit if one == ticks[-1] else ''}", share=-0.06 / self.height, ha="center", va="top", color=MUTED
            )

    def up(self, ticks: Mapping[float, str]) -> None:
        """Labels on the left, each with a line across."""
        low, high = self.y
        for one, said in ticks.items():
            self.line(self.x, (one, one), color=LINE, linewidth=0.6, zorder=1)
            self.say(-0.008, said, share=(one - low) / (high - low), ha="right", color=MUTED)


def _colour(phase: str) -> str:
    return SERIES[colour_of(phase) - 1]


def _scale(largest: float) -> tuple[float, str]:
    """What seconds are multiplied by, and the unit."""
    return (1.0, "s") if largest >= 1 else (1e3, "ms") if largest >= 1e-3 else (1e6, "µs")


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most about `most` of them."""
    step = 10 ** math.floor(math.log10((high - low) / most or 1.0))
    step *= next((one for one in (1, 2, 5) if (high - low) / (step * one) <= most), 10)
    return [round(step * at, 12) for at in range(math.ceil(low / step), math.floor(high / step + 1e-9) + 1)]


def _short(name: str, most: int = _NAME) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


# ---------------------------------------------------------------------------------------------------- distribution


def _distribution(plot: Plot, width: float) -> Figure:
    """One histogram a phase, its percentiles written above it."""
    drawn, gap = 0.55, 0.36
    above = [ROW * max(1, len(one.percentiles)) + 0.1 for one in plot.panels]
    figure = _figure(width, sum(above) + (drawn + gap) * len(plot.panels))
    top = 0.0
    for room, panel in zip(above, plot.panels, strict=True):
        _panel(figure, panel, top + room, drawn)
        top += room + drawn + gap
    return figure


def _panel(figure: Figure, panel: Panel, top: float, height: float) -> None:
    factor, unit = _scale(panel.slowest)
    shade = _colour(panel.phase)
    drawn = [one * factor for one in panel.edges or panel.few]
    low, high = min(drawn), max(drawn)
    room = (high - low) * 0.02 or max(abs(low), 1e-9) * 0.02
    strip = Strip(figure, top, height, (low - room, high + room), (0.0, 1.0))
    if panel.counts:
        tall = max(panel.counts)
        x = [drawn[0], *(one for edge in pairwise(drawn) for one in edge), drawn[-1]]
        y = [0.0, *(one / tall for count in panel.counts for one in (count, count)), 0.0]
        strip.fill(x, y, shade, alpha=0.55)
    for one in drawn if panel.few else ():
        strip.line([one, one], [0.0, 0.6], color=shade, linewidth=1.4, alpha=0.8)
    strip.along(strip.ticks(*strip.x), unit)
    for at, mark in enumerate(reversed(panel.percentiles)):
        _percentile(strip, mark, 0.06 + ROW * (at + 0.5), factor, unit)
    if panel.beyond:
        beyond = f"{panel.beyond} slower, up to {significant(panel.slowest * factor)} {unit} →"
        strip.say(1.0, beyond, share=0.25, ha="right", color=MUTED, fontsize=SMALL)
    strip.say(strip.edge, _short(panel.phase, 12), share=0.66)
    strip.say(strip.edge, f"n = {panel.count}", share=0.34, fontsize=SMALL, color=MUTED)


def _percentile(strip: Strip, one: Percentile, up: float, factor: float, unit: str) -> None:
    """A line up from the axis, its name, and the thin line on to its bound; a bound right of the axis ends there without its tip."""
    x = one.value * factor
    y, tip = 1 + up / strip.height, 0.03 / strip.height
    strip.line([x, x], [0, y])
    said = f"{one.name}  {significant(x)} {unit}"
    end = x
    if one.high is not None:
        bound = one.high * factor
        end = min(bound, strip.x[1])
        strip.line([x, end], [y, y])
        if end == bound:
            strip.line([end, end], [y - tip, y + tip])
        said += f", at most {significant(bound)} {unit}"
    wide = SMALL_LETTER * len(said) / strip.width
    if strip.right_of(end) + wide < 1:
        strip.say(strip.right_of(end) + 0.008, said, share=y, fontsize=SMALL)
    elif strip.right_of(x) - wide > strip.edge:
        strip.say(strip.right_of(x) - 0.008, said, share=y, ha="right", fontsize=SMALL)
    else:  # on its line, which the page's outline of letters interrupts
        strip.say(strip.right_of(x) + 0.02, said, share=y, fontsize=SMALL)


# ---------------------------------------------------------------------------------------------------- timeline


def _timeline(plot: Plot, width: float) -> Figure:
    """A strip a phase above, a strip a kind of sensor below; all on the session's time."""
    head, gap, low_strip, foot = 0.16, 0.3, 0.44, 0.26
    drawn = 1.5 if len(plot.tracks) == 1 else 0.95
    figure = _figure(width, head + (drawn + gap) * len(plot.tracks) + (low_strip + gap) * len(plot.sensors) + foot)
    begin, end = min(one.begin for one in plot.bands), max(one.end for one in plot.bands)
    room = (end - begin) * 0.01 or 1e-6
    span = (begin - room, end + room)
    top = head
    strips = []
    for track in plot.tracks:
        strips.append(_track(figure, track, top + gap, drawn, span))
        top += gap + drawn
    for sensor in plot.sensors:
        strips.append(_sensor(figure, sensor, top + gap, low_strip, span))
        top += gap + low_strip
    for strip in strips:
        _bands(strip, plot.bands)
    _name_bands(strips[0], plot.bands)
    strips[-1].along(strips[-1].ticks(*span), "s")
    return figure


def _sustain(plot: Plot, width: float) -> Figure:
    """A strip a curve above, a strip a kind of sensor below; the first and the last minute shaded, the knee a dashed line across all of them."""
    head, gap, tall, low, foot = 0.36, 0.3, 0.85, 0.5, 0.26
    heights = [tall] * len(plot.curves) + [low] * len(plot.sensors)
    figure = _figure(width, head + sum(heights) + gap * len(heights) + foot)
    end = max(one.end for one in plot.bands) or 1e-6
    span = (-0.01 * end, 1.01 * end)
    top, strips = head, []
    for sensor, height in zip((*plot.curves, *plot.sensors), heights, strict=True):
        strips.append(_sensor(figure, sensor, top + gap, height, span))
        top += gap + height
    for strip in strips:
        _bands(strip, plot.bands)
        for one in plot.moments:
            strip.line([one.t, one.t], strip.y, linestyle=DASHES[1][0], linewidth=1.0)
    if not strips:
        return figure
    for at, band in enumerate(plot.bands):
        strips[0].say(
            strips[0].right_of(band.end if at else band.begin), band.stage, up=0.25, ha="right" if at else "left", fontsize=SMALL, color=MUTED
        )
    for one in plot.moments:
        x = strips[0].right_of(one.t)
        strips[0].say(x, one.name, up=0.42, ha="left" if x < 0.8 else "right", fontsize=SMALL)
    strips[-1].along(strips[-1].ticks(0.0, end), "min")
    return figure


def _track(figure: Figure, track: Track, top: float, height: float, span: tuple[float, float]) -> Strip:
    factor, unit = _scale(track.top)
    low, high = min(track.took) * factor, track.top * factor
    pad = (high - low) * 0.08 or high * 0.05 or 1.0
    strip = Strip(figure, top, height, span, (low - pad, high + pad))
    strip.up({one: f"{one:g}" for one in _ticks(*strip.y, max(2, round(height * 3)))})
    x = [one for t in track.t for one in (t, t, math.nan)]
    y = [one for took in track.took for one in (min(took, track.top) * factor, min(took, track.top) * factor, math.nan)]
    strip.line(x, y, color=_colour(track.phase), linewidth=2.1, solid_capstyle="round", alpha=0.75)
    strip.title(f"{_short(track.phase)}, {unit}")
    if track.above:
        more = f"{track.above} slower, up to {significant(track.slowest * factor)} {unit}, drawn at the top edge"
        strip.say(1.0, more, up=0.06, ha="right", fontsize=SMALL, color=MUTED)
    return strip


def _bands(strip: Strip, bands: Sequence[Band]) -> None:
    """What is discarded is shaded; every other stage but the first begins with a line."""
    low, high = strip.y
    for at, one in enumerate(bands):
        if one.discarded:
            strip.fill([one.begin, one.end, one.end, one.begin], [low, low, high, high], SHADE, zorder=0)
        elif at:
            strip.line([one.begin, one.begin], [low, high], color=LINE, zorder=1)


def _name_bands(strip: Strip, bands: Sequence[Band]) -> None:
    """Names above the stages that are wide enough for one; that of the last stands at the right edge in any case."""
    for one in bands:
        begin, end = strip.right_of(one.begin), strip.right_of(one.end)
        if (end - begin) * strip.width > 0.092 * len(one.stage):
            strip.say((begin + end) / 2, one.stage, up=0.25, ha="center", fontsize=SMALL, color=MUTED)
        elif one is bands[-1]:
            strip.say(1.0, one.stage, up=0.25, ha="right", fontsize=SMALL, color=MUTED)


def _sensor(figure: Figure, sensor: Sensor, top: float, height: float, span: tuple[float, float]) -> Strip:
    wires = [_between(one, *span) for one in sensor.wires]
    if figure.get_figwidth() == WIDTHS["narrow"]:
        wires = [_coarser(one) for one in wires]
    low_wire, high_wire = (None if one is None else _between(one, *span) for one in (sensor.low, sensor.high))
    values = [y for one in (*wires, low_wire, high_wire) if one is not None for y in (*one.y, *one.low, *one.high) if not math.isnan(y)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    pad = (high - low) * 0.12 or max(abs(high) * 0.1, 0.5)
    strip = Strip(figure, top, height, span, (low - pad, high + pad))
    said = {significant(one): one for one in (low, high)}
    strip.up({one: name for name, one in said.items()})
    colour = SERIES[sensor.colour - 1] if sensor.colour else MUTED
    if low_wire and high_wire:
        strip.fill([*low_wire.t, *reversed(high_wire.t)], [*low_wire.y, *reversed(high_wire.y)], MUTED, alpha=0.25)
    for one, (dashes, _) in zip(wires, DASHES, strict=False):
        if one.low:  # a bar a column: it is seen however narrow it is
            x = [t for t in one.t for t in (t, t, math.nan)]
            y = [end for low_end, high_end in zip(one.low, one.high, strict=True) for end in (low_end, high_end, math.nan)]
            strip.line(x, y, color=colour, linewidth=2.4, alpha=0.35, solid_capstyle="butt")
        strip.line(one.t, one.y, color=colour, linewidth=1.0, linestyle=dashes)
    names = [_short(one.name) for one in wires if one.name]
    which = f"median and range of {sensor.of}" if low_wire else names[0] if names else ""
    if not low_wire and len(names) > 1:
        which = ", ".join(f"{name} ({how})" for name, (_, how) in zip(names, DASHES, strict=False))
    strip.title(f"{sensor.title}{', ' + sensor.unit if sensor.unit else ''}{'  ·  ' + which if which else ''}")
    return strip


def _between(wire: Wire, begin: float, end: float) -> Wire:
    """The part of a line inside the time axis."""
    inside = [at for at, t in enumerate(wire.t) if begin <= t <= end]
    return Wire(wire.name, *(tuple(one[at] for at in inside) if one else () for one in (wire.t, wire.y, wire.low, wire.high)))


def _coarser(wire: Wire) -> Wire:
    """A line of columns with two of them in one: half as wide a drawing cannot show more. Its ends are kept; only where both are a hole is one."""
    if not wire.low:
        return wire

    def paired(values: Sequence[float], take: Callable[[Sequence[float]], float]) -> tuple[float, ...]:
        pairs = ([one for one in values[at : at + 2] if not math.isnan(one)] for at in range(0, len(values), 2))
        return tuple(take(pair) if pair else math.nan for pair in pairs)

    return Wire(wire.name, wire.t[::2], paired(wire.y, fmean), paired(wire.low, min), paired(wire.high, max))
