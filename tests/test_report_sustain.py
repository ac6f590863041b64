"""The report of a sustained run: its plot, what is said of it, the table of all of them; and the sensors of an ordinary session."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.record import Absent, Channel, RunRecord, Setting, Spans, Telemetry
from harness.words import LANGUAGES, say
from reports.build import render
from reports.plot_shapes import Plot, Sensor
from reports.plots import draw
from reports.telemetry import COLUMNS, SINGLE, sensors, wire
from reports.view import view
from tests.records import make_record
from tests.sustain_records import step, sustained_record
from tests.test_report import Page, poison

HOT: dict[str, Any] = {"minutes": 12.0, "shape": step(300, 0.25)}


def plot_of(record: RunRecord) -> Plot:
    """The plot of the sustain stage."""
    (run,) = view([record], {}).runs
    return next(one for one in run.plots if one.kind == "sustain")


def strip(plot: Plot, title: str) -> Sensor:
    """A strip of a plot by its title."""
    return next(one for one in (*plot.curves, *plot.sensors) if one.title == title)


def numbers(plot: Plot, title: str) -> list[dict[str, float]]:
    """The data behind a strip."""
    text = next(one.csv for one in plot.data if one.title == title)
    return [{name: float(one) for name, one in row.items() if one} for row in csv.DictReader(io.StringIO(text))]


# ---------------------------------------------------------------------------------------------------- thinning


def test_every_spike_survives_the_thinning() -> None:
    t, y = np.arange(18_000) / 10, np.ones(18_000)
    y[[3, 9_001, 17_999]] = 50.0
    y[12_345] = -7.0
    found = wire("rail", t, y)
    assert len(found.t) == COLUMNS
    assert sorted(found.high)[-3:] == [50.0, 50.0, 50.0]
    assert min(found.low) == -7.0
    assert set(found.y) == {1.0}
    where = found.t[found.high.index(50.0, 5)]
    assert abs(where - 900.1) < 1800 / COLUMNS


def test_a_stretch_without_good_samples_breaks_the_line_and_is_no_zero() -> None:
    y = np.ones(3_000)
    y[1_000:1_500] = math.nan
    found = wire("rail", np.arange(3_000.0), y)
    gone = [at for at, one in enumerate(found.y) if math.isnan(one)]
    assert gone
    assert all(math.isnan(found.low[at]) and math.isnan(found.high[at]) for at in gone)
    assert {one for one in found.y if not math.isnan(one)} == {1.0}


def test_few_samples_are_drawn_as_they_are() -> None:
    found = wire("rail", np.arange(float(SINGLE)), np.arange(float(SINGLE)))
    assert found.y == tuple(np.arange(float(SINGLE)))
    assert found.low == found.high == ()


def test_many_channels_keep_their_extremes_too() -> None:
    t_ns = [n * 100_000_000 for n in range(6_000)]
    rows: list[list[float | None]] = [[1e9 + 1e8 * n for n in range(8)] for _ in t_ns]
    rows[4321][2] = 9e9
    channels = [Channel(f"cpu{n}", "frequency", "Hz", "die") for n in range(8)]
    record = make_record(n=20, telemetry=[Telemetry("host", 10.0, channels, t_ns, rows, [])])
    (found,) = sensors(record, 0)
    assert found.low is not None
    assert found.high is not None
    assert max(found.high.y) == pytest.approx(9.0)
    assert min(found.low.y) == pytest.approx(1.0)
    assert len(found.high.t) == COLUMNS


# ---------------------------------------------------------------------------------------------------- the plot


def test_a_sustained_run_is_drawn_over_minutes_with_its_ends_and_its_knee() -> None:
    plot = plot_of(sustained_record(**HOT))
    assert [one.title for one in (*plot.curves, *plot.sensors)] == ["Throughput", "Latency", "Power", "Frequency", "Temperature", "Load"]
    assert (plot.bands[0].stage, plot.bands[0].begin, plot.bands[0].end) == ("first minute", 0.0, 1.0)
    assert plot.bands[1].end == pytest.approx(12, abs=0.1)
    (moment,) = plot.moments
    assert moment.t == pytest.approx(5, abs=0.1)
    svg = draw(plot)
    for said in ("first minute", "last minute", "knee, 5", "Throughput, images/s", "Latency, ms", "cpu0", "12 min"):
        assert said in svg
    assert svg.count("stroke-dasharray") >= len(plot.curves) + len(plot.sensors)


def test_the_curves_have_the_values_of_the_record() -> None:
    plot = plot_of(sustained_record(**HOT))
    rate, latency = strip(plot, "Throughput").wires[0], strip(plot, "Latency").wires[0]
    early, late = ([y for t, y in zip(rate.t, rate.y, strict=True) if low < t < high] for low, high in ((0, 4.9), (5.1, 12)))
    assert np.mean(early) == pytest.approx(10, rel=0.01)
    assert np.mean(late) == pytest.approx(7.5, rel=0.01)
    assert latency.y[2] == pytest.approx(100, rel=0.05)
    assert latency.y[-2] == pytest.approx(133, rel=0.05)
    clock = strip(plot, "Frequency").wires[0]
    assert clock.y[1] == pytest.approx(2.4)
    assert clock.y[-2] == pytest.approx(1.8)


def test_sensors_stand_on_the_workers_clock_below_the_work() -> None:
    clock = strip(plot_of(sustained_record(**HOT)), "Frequency").wires[0]
    fell = next(t for t, y in zip(clock.t, clock.y, strict=True) if y < 2.0)
    assert fell == pytest.approx(5, abs=0.2)


def test_one_sample_of_a_power_spike_is_in_the_drawing_and_in_its_data() -> None:
    plot = plot_of(sustained_record(minutes=30, spike=1000.0, item_s=0.2))
    assert max(strip(plot, "Power").wires[0].high) == 40.0
    assert max(one["VDD_IN highest [W]"] for one in numbers(plot, "Power")) == 40.0


def test_the_plot_is_told_in_words_in_both_languages() -> None:
    plot = plot_of(sustained_record(**HOT))
    assert "10.0 images/s in the first minute, 7.5" in plot.alt
    assert "75% of it" in plot.alt
    assert "Throttle knee after 5" in plot.alt
    assert "clock cpu0 2.40\u2009GHz to 1.80\u2009GHz" in plot.alt
    html = render(view([sustained_record(**HOT)], {}))
    page = Page(html)
    for language in LANGUAGES:
        assert " ".join(say(plot.said[0].key, language, **plot.said[0].values).split()) in " ".join(html.split())
    assert any("Throttle knee after 5" in one for one in page.values("aria-label"))


def test_a_run_that_holds_its_rate_is_said_to_have_no_knee() -> None:
    plot = plot_of(sustained_record(minutes=6))
    assert plot.moments == ()
    assert "It did not slow down for good within 6 min" in plot.alt


def test_a_stage_too_short_for_figures_is_drawn_and_says_what_it_needs() -> None:
    plot = plot_of(sustained_record(minutes=1))
    assert [one.stage for one in plot.bands] == [""]
    assert "there is no last minute to compare" in plot.alt
    assert "needs 120 s" in plot.alt
    assert draw(plot).startswith("<svg")


@pytest.mark.parametrize(
    "spans",
    [
        [Spans("sustain", "infer", [5], [5])],
        [Spans("sustain", "infer", [0], [10**12])],
        [Spans("sustain", "infer", [n * 10**11 for n in range(9)], [n * 10**11 for n in range(9)])],
        [Spans("sustain", "encode", [0, 10**11], [1, 10**11 + 1], 30.0), Spans("sustain", "decode", [5, 10**11 + 5], [9, 10**11 + 9])],
    ],
    ids=["of no length", "one", "of no length for long", "two phases"],
)
def test_strange_sustained_spans_still_give_a_report(spans: list[Spans]) -> None:
    blind = Telemetry("host", 10.0, [Channel("x", "power", "W", "rail")], [0, 1, 2], [[None], [None], [None]], [Absent("power", "any", "a", "b")])
    record = make_record(n=20)
    for telemetry in ([], [blind]):
        html = render(view([msgspec.structs.replace(record, spans=[*record.spans, *spans], telemetry=telemetry)], {}))
        assert "Sustained performance" in html


def test_no_string_of_a_sustained_record_acts_in_the_page() -> None:
    record = sustained_record(minutes=6, shape=step(120, 0.3), hertz=1.0)
    page = Page(render(view([poison(record), poison(record, run_id="kept", task="generate", settings=record.settings)], {})))
    assert page.tags["img"] == 0
    assert page.tags["script"] == 2
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_half_an_hour_adds_less_than_an_ordinary_run_takes() -> None:
    long = sustained_record(minutes=30, item_s=0.2, hertz=10.0, shape=step(600, 0.2), n=100)
    short = msgspec.structs.replace(long, spans=[one for one in long.spans if one.stage != "sustain"])

    def size(record: RunRecord, count: int) -> int:
        return len(render(view([msgspec.structs.replace(record, run_id=f"b{n}", board=f"b{n}") for n in range(count)], {})))

    ordinary, sustained = (size(one, 3) - size(one, 2) for one in (make_record(n=100, latency_s=0.2), long))
    assert sustained - ordinary < 60_000
    assert "sustain" not in {one.kind for run in view([short], {}).runs for one in run.plots}


# ---------------------------------------------------------------------------------------------------- the session beside it


def test_the_time_line_of_the_session_leaves_the_long_stage_to_its_own_plot() -> None:
    (run,) = view([sustained_record(minutes=12, hertz=10.0)], {}).runs
    timeline = next(one for one in run.plots if one.kind == "timeline")
    assert [one.stage for one in timeline.bands] == ["load", "first", "warm-up", "steady", "pipeline"]
    end = timeline.bands[-1].end
    power = strip(timeline, "Power").wires[0]
    inside = [t for t in power.t if 0 <= t <= end]
    assert len(inside) > 50  # of some 270 samples: none is lost to the half hour behind them
    assert max(power.t) < end * 1.02


def test_the_idle_window_is_a_shaded_stage_of_its_own() -> None:
    record = make_record(n=100)
    last = max(one.end_ns[-1] for one in record.spans)
    idle = Spans("idle", "idle", [last + 10**9], [last + 11 * 10**9])
    (run,) = view([msgspec.structs.replace(record, spans=[*record.spans, idle])], {}).runs
    timeline = next(one for one in run.plots if one.kind == "timeline")
    assert [one.stage for one in timeline.bands if one.discarded] == ["load", "first", "idle", "warm-up"]
    assert [one.phase for one in timeline.tracks] == ["infer"]
    assert "idle and warm-up" in timeline.caption
    assert ">idle<" in draw(timeline)
    assert "idle" in [one.stage for one in run.spans]


# ---------------------------------------------------------------------------------------------------- figures and table


def test_an_ordinary_run_has_one_line_that_says_how_to_get_sustained_figures() -> None:
    (run,) = view([make_record(n=40)], {}).runs
    rows = [one for one in run.metrics if "sustain" in one.anchor or "first_minute" in one.anchor or "knee" in one.anchor]
    assert [one.title for one in rows] == ["Sustained throughput"]
    assert "--sustain 30m" in rows[0].reason
    assert not [one for one in view([make_record(n=40)], {}).tables if one.id == "sustained"]


def test_all_sustained_runs_stand_in_one_table_with_the_reason_where_there_is_no_knee() -> None:
    records = [
        sustained_record(**HOT, run_id="hot", board="desk-1"),
        sustained_record(minutes=6, run_id="cool", board="desk-2", module="Other module"),
        make_record(n=40, run_id="short"),
    ]
    report = view(records, {})
    table = next(one for one in report.tables if one.id == "sustained")
    rows = {row.label: row for group in table.groups for row in group.rows}
    hot, cool = (next(row for label, row in rows.items() if label.startswith(name)) for name in ("desk-1 ", "desk-2 "))
    assert len(rows) == 2
    assert (hot.sub, cool.sub) == ("Fixture CPU", "Other module")
    assert [one.value is None for one in hot.cells] == [False] * 7
    assert hot.cells[2].value == pytest.approx(0.75, rel=0.01)
    assert hot.cells[3].value == pytest.approx(300, abs=5)
    assert cool.cells[3].reason == "did not throttle within 6 minutes"
    assert table.notes == ("did not throttle within 6 minutes",)
    assert "throttle_knee [s]" in table.csv.splitlines()[0]


def test_a_newer_ordinary_run_does_not_make_a_sustained_one_an_earlier_run() -> None:
    old = sustained_record(minutes=6, run_id="long", begun_at="2026-11-21T08:00:00Z")
    report = view([old, make_record(n=40, run_id="short")], {})
    earlier = {table.id: [row.earlier for group in table.groups for row in group.rows] for table in report.tables}
    assert earlier["sustained"] == [False]
    assert sorted(earlier["vision"]) == [False, True]


def test_boards_of_one_kind_are_told_apart_by_their_names() -> None:
    records = [make_record(n=40, run_id=name, board=name) for name in ("rk-1", "rk-2")]
    (table,) = view(records, {}).tables
    assert [row.label.split(" ")[0] for group in table.groups for row in group.rows] == ["rk-1", "rk-2"]


def test_a_setting_of_no_sustained_run_makes_no_plot() -> None:
    record = make_record(n=40, settings={"sustain": Setting(0.0, "default")})
    (run,) = view([record], {}).runs
    assert [one.kind for one in run.plots] == ["distribution", "timeline"]
