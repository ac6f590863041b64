"""How a value of a decision is written: in the unit engineers use for the question, with what is known of it."""

from __future__ import annotations

import math

import pytest

from harness.decide.shown import bound_text, cell_text, short_text, stated_text, value_text
from harness.decide.terms import METRICS, Cell
from harness.quantity import Evidence, Kind

GIB = 2.0**30


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace("\u2009", " ")


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.0123, "latency", "12.3 ms"),
        (45.6, "rate", "45.6 /s"),
        (0.085, "realtime_factor", "0.0850"),
        (0.0251, "energy", "25.1 mJ"),
        (8 * GIB, "memory", "8.00 GiB"),
        (512 * 2.0**20, "memory", "512 MiB"),
        (412e6, "peak_memory", "393 MiB"),
        (1.5 * GIB, "peak_memory", "1.50 GiB"),
        (6e12, "tops", "6.00 TOPS"),
        (2000e12, "tops", "2 000 TOPS"),
        (102.4e9, "bandwidth", "102 GB/s"),
        (399.0, "price", "399 USD"),
        (10.0, "longevity", "10.0 years"),
        (-40.0, "temperature_min", "-40.0 °C"),
        (0.0, "temperature_min", "0 °C"),
        (0, "safety", "none"),
        (2, "safety", "ASIL-B / SIL-2"),
        (4, "safety", "ASIL-D / SIL-3"),
        (9, "safety", "ASIL-D / SIL-3"),
        (1, "w4a16", "yes"),
        (0, "w4a16", "no"),
        (3840 * 2160 * 60, "video_decode", "4K60"),
        (4 * 3840 * 2160 * 30, "video_decode", "8K30"),
        (4 * 3840 * 2160 * 29.97, "video_encode", "8K30"),
        (3840 * 2160 * 120, "video_decode", "8K30"),
        (3840 * 2160 * 20, "video_encode", "1080p80"),
        (1920 * 1080 * 30, "video_encode", "1080p30"),
        (0, "video_encode", "none"),
    ],
)
def test_a_value_is_written_in_the_unit_engineers_use_for_the_question(value: float, metric: str, text: str) -> None:
    assert plain(value_text(value, metric)) == text


@pytest.mark.parametrize("metric", list(METRICS))
def test_every_question_can_be_shown(metric: str) -> None:
    assert value_text(2.0, metric).strip()


def known(metric: str = "price", kind: Kind = Kind.DATASHEET, **cell: float | None) -> Cell:
    value = cell.pop("value", 100.0)
    bounds = {"floor": value, "ceil": value} | cell
    return Cell("chip", metric, "", value, METRICS[metric].unit, Evidence(kind), **bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (known(), "100 USD ○"),
        (known(kind=Kind.MEASURED), "100 USD ●"),
        (known(kind=Kind.PUBLISHED), "100 USD ◐"),
        (known(kind=Kind.CLAIMED), "100 USD ◌"),
        (known(floor=0.0), "at most 100 USD ○"),
        (known(floor=-math.inf), "at most 100 USD ○"),
        (known(ceil=math.inf), "at least 100 USD ○"),
        (known("power", value=15.0, floor=7.0), "7.00 W to 15.0 W ○"),
        (known("power", value=10.0, floor=7.0, ceil=15.0), "about 10.0 W ○"),
        (known("memory", value=8 * GIB, ceil=math.inf), "at least 8.00 GiB ○"),
        (known("power", Kind.ESTIMATED, value=10.0, low=8.0, high=12.5), "≈ 10.0 W (8.00 W to 12.5 W)"),
    ],
)
def test_a_cell_says_its_value_what_bounds_it_and_how_it_is_known(cell: Cell, text: str) -> None:
    assert plain(cell_text(cell)) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (known(), "100 USD ○"),
        (known(floor=0.0), "≤ 100 USD ○"),
        (known(floor=-math.inf), "≤ 100 USD ○"),
        (known(ceil=math.inf), "≥ 100 USD ○"),
        (known("power", value=15.0, floor=6.29), "6.29–15.0 W ○"),
        (known("power", value=1.5, floor=0.9), "900 mW–1.50 W ○"),
        (known("power", value=10.0, floor=7.0, ceil=15.0), "about 10.0 W ○"),
        (known("video_decode", value=3840 * 2160 * 60, floor=3840 * 2160 * 30), "4K30–4K60 ○"),
        (known("power", Kind.ESTIMATED, value=10.0, low=8.0, high=12.5), "≈ 10.0 W (8.00–12.5)"),
        (known("rate", Kind.ESTIMATED, value=136.0, low=73.5, high=253.0), "≈ 136 /s (73.5–253)"),
        (known("rate", Kind.ESTIMATED, value=1350.0, low=1020.0, high=2330.0), "≈ 1 350 /s (1 020–2 330)"),
        (known("latency", Kind.ESTIMATED, value=0.95, low=0.48, high=1.9), "≈ 950 ms (480 ms–1.90 s)"),
        (known("latency", Kind.ESTIMATED, value=1.95, low=0.48, high=0.9), "≈ 1.95 s (480–900 ms)"),
        (known("realtime_factor", Kind.ESTIMATED, value=1350.0, low=0.0852, high=2000.0), "≈ 1 350 (0.0852–2 000)"),
        (known("price", Kind.ESTIMATED, floor=0.0), "≤ 100 USD ≈"),
        (Cell("chip", "price", "", None, METRICS["price"].unit, Evidence(Kind.MISSING)), "–"),
    ],
)
def test_in_a_table_a_cell_has_its_unit_once(cell: Cell, text: str) -> None:
    assert plain(short_text(cell)) == text


def test_the_value_of_a_cell_can_be_said_without_its_evidence() -> None:
    assert plain(stated_text(known("power", value=15.0, floor=6.29))) == "6.29–15.0 W"
    assert plain(stated_text(known("power", Kind.ESTIMATED, value=10.0, low=8.0, high=12.5))) == "10.0 W"


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [(15.0, "power", "≤ 15.0 W"), (10.0, "longevity", "≥ 10.0 years"), (2.0, "safety", "≥ ASIL-B / SIL-2"), (1.0, "w4a16", "yes")],
)
def test_a_limit_says_on_which_side_of_it_to_be(value: float, metric: str, text: str) -> None:
    assert plain(bound_text(value, metric)) == text


def test_what_is_not_known_is_written_as_unknown_and_never_as_a_number() -> None:
    nothing = Cell("chip", "price", "", None, METRICS["price"].unit, Evidence(Kind.MISSING))
    assert plain(cell_text(nothing)) == "– unknown"
