"""The HTML report: what it says, what it refuses to say, and that nothing in a record can act in it."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import subprocess
import sys
import typing
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.errors import StoreError, UsageError
from harness.metrics import metrics
from harness.record import Channel, RunRecord, Setting, Spans, Telemetry
from reports.build import build, render
from reports.figures import split, to_csv
from reports.plots import draw
from reports.series import POINTS, thin
from reports.shapes import Cell, Report, Row
from reports.view import view
from tests.records import (
    RAPL,
    failed_record,
    llama_record,
    make_problem,
    make_record,
    offline_record,
    unsupported_record,
    whisper_record,
)

EVIL = """'"><img src=x onerror=alert(1)><script>alert(2)</script></script></style></textarea>--><!--]]>&lt;{{7*7}}$\\frac{a}{b}$"""


class Page(HTMLParser):
    """What a browser would find in the file: elements, attributes, ids, text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.said: list[str] = []
        self._raw = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._raw = tag if tag in ("script", "style") else ""
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the base class names it
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if not self._raw:
            self.said.append(data)

    @property
    def text(self) -> str:
        """All that a reader can see, white space joined."""
        return " ".join(" ".join(self.said).split())

    def values(self, name: str) -> list[str]:
        """Every value of the attribute `name`."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def shown(*records: RunRecord, links: dict[str, str] | None = None) -> Page:
    """The parsed file of `records`."""
    return Page(render(view(records, links or {})))


def row(report: Report, run_id: str) -> Row:
    """The table row of one run."""
    anchors = {one.run_id: one.anchor for one in report.runs}
    return next(one for table in report.tables for group in table.groups for one in group.rows if one.anchor == anchors[run_id])


def cell(report: Report, run_id: str, metric: str) -> Cell:
    """The cell of one figure of one run."""
    return next(one for one in row(report, run_id).cells if f".{metric}" in one.anchor)


def many() -> list[RunRecord]:
    """Twenty records of all kinds."""
    found = [make_record(seed=seed, run_id=f"image{seed}", threads=seed) for seed in range(1, 7)]
    found += [make_record(seed=seed, run_id=f"yolo{seed}", workload="yolov8n", task="detect", title="YOLOv8n", threads=seed) for seed in range(1, 5)]
    found += [whisper_record(seed=seed, run_id=f"speech{seed}", threads=seed) for seed in range(1, 4)]
    found += [llama_record(seed=seed, run_id=f"words{seed}", threads=seed) for seed in range(1, 4)]
    return [
        *found,
        offline_record(run_id="batch"),
        failed_record(run_id="failed"),
        unsupported_record(run_id="never"),
        make_record(run_id="metered", meters=(RAPL,), threads=9),
    ]


# ---------------------------------------------------------------------------------------------------- the file


def test_no_records_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records") as caught:
        build([], tmp_path / "report.html", links={})
    assert caught.value.fix == "run: nox -s bench-host"
    assert list(tmp_path.iterdir()) == []


def test_equal_records_in_any_order_give_equal_bytes(tmp_path: Path) -> None:
    records = [make_record(), whisper_record(), llama_record(), failed_record()]
    build(records, tmp_path / "a.html", links={})
    build(records[::-1], tmp_path / "b.html", links={})
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_file_of_another_process_is_the_same(tmp_path: Path) -> None:
    command = f"""
from pathlib import Path
from reports.build import build
from tests.records import make_record
build([make_record(n=80)], Path({str(tmp_path / "there.html")!r}), links={{}})
"""
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", command], check=True, cwd=root, env={"PYTHONPATH": str(root), "PYTHONHASHSEED": "7"})
    build([make_record(n=80)], tmp_path / "here.html", links={})
    assert (tmp_path / "there.html").read_bytes() == (tmp_path / "here.html").read_bytes()


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "report.html" / "in-the-way").mkdir(parents=True)
    with pytest.raises(StoreError):
        build([make_record(n=40)], tmp_path / "report.html", links={})
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_failure_while_drawing_keeps_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")

    def broken(_plot: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("reports.plots.draw", broken)
    with pytest.raises(ZeroDivisionError):
        build([make_record(n=40)], out, links={})
    assert out.read_text() == "old"


def test_twenty_runs_fit_into_three_megabytes(tmp_path: Path) -> None:
    build(many(), tmp_path / "report.html", links={})
    assert (tmp_path / "report.html").stat().st_size < 3_000_000


def test_importing_the_report_does_not_import_what_only_building_needs() -> None:
    command = "import sys, reports.build; print([one for one in ('jinja2', 'matplotlib', 'numpy', 'pandas') if one in sys.modules])"
    root = Path(__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", command], check=True, cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


# ---------------------------------------------------------------------------------------------------- hostile records


def poisoned(kind: Any, value: Any) -> Any:
    """`value`, a record in plain types, with EVIL behind every string and dictionary key that may be any string."""
    inside = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return value
    structs = [one for one in (kind, *inside) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    if structs and isinstance(value, dict) and typing.get_origin(kind) is not dict:
        hints = typing.get_type_hints(structs[0])
        return {name: poisoned(hints[name], one) for name, one in value.items()}
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, dict):
        return {f"{key}{EVIL}": poisoned(inside[1] if inside else Any, one) for key, one in value.items()}
    if isinstance(value, list):
        return [poisoned(inside[0] if inside else Any, one) for one in value]
    return value


def poison(record: RunRecord, **kept: Any) -> RunRecord:
    """`record` with EVIL in every string field; the fields in `kept` stay as they are given."""
    return msgspec.structs.replace(msgspec.convert(poisoned(RunRecord, msgspec.to_builtins(record)), RunRecord), **kept)


def test_no_string_of_a_record_acts_in_the_page() -> None:
    problem = make_problem(spoils=["latency_p50"])
    plain = [make_record(problems=[problem]), whisper_record(), llama_record(), failed_record(), unsupported_record(), offline_record()]
    records = [poison(one) for one in plain] + [poison(one, task=one.task, settings=one.settings, run_id=f"kept{EVIL}{one.task}") for one in plain]
    assert EVIL in records[0].spans[0].phase
    assert EVIL in records[0].telemetry[0].channels[0].site
    page = shown(*records, links={one.run_id: f"javascript:alert(1)//{EVIL}" for one in records})
    assert page.tags["script"] == 2  # ours, and the list of words
    assert page.tags["style"] == 1
    assert page.tags["img"] == 0
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "alert(2)" in page.text
    assert "{{7*7}}" in page.text
    for href in page.values("href"):
        assert href.startswith("#") or ":" not in href, href


def test_a_drawing_is_escaped_and_keeps_dollars_as_they_are() -> None:
    record = make_record(n=80)
    (telemetry,) = record.telemetry
    channels = [msgspec.structs.replace(one, site=f"<script>${n}$</script>") for n, one in enumerate(telemetry.channels)]
    spans = [msgspec.structs.replace(one, phase=f"<b>$\\frac${one.phase}") for one in record.spans]
    (run,) = view([msgspec.structs.replace(record, spans=spans, telemetry=[msgspec.structs.replace(telemetry, channels=channels)])], {}).runs
    for plot in run.plots:
        page = Page(draw(plot))
        assert set(page.tags) == {"svg", "g", "path", "text"}
        assert "<b>$" in page.text
    assert "<script>$0$</script>" in Page(draw(run.plots[1])).text


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    assert to_csv(("a",), [["=cmd()"], ["+1"], ["-x"], ["@x"], [-1.5], ["a,b"]]) == "a\n'=cmd()\n'+1\n'-x\n'@x\n-1.5\n\"a,b\"\n"


def test_nothing_is_loaded_from_a_network(tmp_path: Path) -> None:
    records = many()
    build(records, tmp_path / "report.html", links={one.run_id: f"runs/{one.run_id}.json.gz" for one in records})
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not page.tags["link"]
    assert not page.tags["iframe"]
    assert not page.values("src")
    assert not page.values("srcset")
    assert not page.values("xlink:href")
    assert not [href for href in page.values("href") if "//" in href]
    assert "@import" not in html
    assert "url(" not in html


def test_the_browser_is_told_to_run_only_this_script() -> None:
    html = render(view([make_record(n=40)], {}))
    script = html.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [one for one in Page(html).values("content") if "default-src" in one]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


# ---------------------------------------------------------------------------------------------------- links


def test_every_link_in_the_page_leads_to_an_element() -> None:
    records = [make_record(problems=[make_problem()]), whisper_record(), llama_record(), failed_record()]
    page = shown(*records)
    ids = set(page.ids)
    inside = [href[1:] for href in page.values("href") if href.startswith("#")]
    assert len(inside) > 50
    assert not [one for one in inside if one not in ids]


def test_no_two_elements_have_one_id() -> None:
    records = [*many(), make_record(run_id="a b"), make_record(run_id="a/b"), make_record(run_id="")]
    assert [one for one, times in Counter(shown(*records).ids).items() if times > 1] == []


def test_every_run_links_to_its_record_file() -> None:
    page = shown(make_record(run_id="3f9c"), failed_record(run_id="77aa"), links={"3f9c": "runs/host/a b.json.gz", "77aa": "runs/host/x.json.gz"})
    assert {"runs/host/a%20b.json.gz", "runs/host/x.json.gz"} <= set(page.values("href"))


def test_every_figure_of_a_table_links_to_its_place_in_the_run() -> None:
    report = view(many(), {})
    figures = {one.anchor for run in report.runs for one in run.metrics} | {run.anchor for run in report.runs}
    cells = [one for table in report.tables for group in table.groups for each in group.rows for one in each.cells]
    assert cells
    assert {one.anchor for one in cells} <= figures


# ---------------------------------------------------------------------------------------------------- honesty


def test_an_absent_figure_is_a_dash_with_its_reason_below_the_table() -> None:
    record = make_record(n=120)
    report = view([record], {})
    absent = cell(report, record.run_id, "latency_p99")
    assert (absent.number, absent.value) == ("–", None)
    assert "662" in absent.reason
    assert "120" in absent.reason
    assert report.tables[0].notes[absent.note - 1] == absent.reason
    assert absent.reason in shown(record).text


def test_missing_energy_says_what_to_attach() -> None:
    record = make_record()
    assert "attach a USB or wall meter" in cell(view([record], {}), record.run_id, "energy_per_item").reason
    page = shown(record)
    assert "Sensors that are not there" in page.text
    assert "sudo chmod a+r /sys/class/powercap/*/energy_uj" in page.text


def test_measured_energy_is_a_number() -> None:
    record = make_record(meters=(RAPL,))
    assert cell(view([record], {}), record.run_id, "energy_per_item").value is not None


def test_an_invalid_run_never_looks_like_one_that_is_ok() -> None:
    problem = make_problem(severity="invalid", spoils=["*"])
    bad, good = make_record(status="invalid", reason="too hot", problems=[problem]), make_record(precision="int8")
    report = view([bad, good], {})
    assert row(report, bad.run_id).tone == "invalid"
    assert row(report, bad.run_id).status.word == "invalid"
    assert {one.flag for one in row(report, bad.run_id).cells if one.value is not None} == {"invalid"}
    assert row(report, good.run_id).tone == "ok"
    assert {one.flag for one in row(report, good.run_id).cells} == {""}
    html = render(report)
    assert html.count('<tr class="invalid">') == 1
    assert '<span class="flag invalid"' in html


def test_only_the_figures_that_a_warning_names_are_suspect() -> None:
    record = make_record(problems=[make_problem(spoils=["latency_p50"])])
    report = view([record], {})
    assert row(report, record.run_id).status.word == "suspect"
    assert cell(report, record.run_id, "latency_p50").flag == "suspect"
    assert cell(report, record.run_id, "latency_p90").flag == ""
    assert "4.1 %" in cell(report, record.run_id, "latency_p50").flag_why
    assert "suspect" in shown(record).text


def test_a_note_makes_no_figure_suspect() -> None:
    record = make_record(problems=[make_problem(severity="note", spoils=["*"])])
    report = view([record], {})
    assert row(report, record.run_id).tone == "ok"
    assert {one.flag for one in row(report, record.run_id).cells} == {""}
    assert report.open_problems == 0


def test_sessions_without_figures_show_reason_and_fix() -> None:
    page = shown(
        failed_record(), unsupported_record(), make_record(status="skipped", reason="cyllama is not installed", fix="pip install cyllama", spans=[])
    )
    for said in (
        "the worker ended with signal 9",
        "free memory",
        "fp16 is not available",
        "choose fp32 or int8",
        "cyllama is not installed",
        "pip install",
    ):
        assert page.text.count(said) >= 2, said  # in the table and among the problems
    assert "MemoryError" in page.text


def test_every_row_says_which_weights_it_ran_with() -> None:
    report = view(many(), {})
    assert {each.weights for table in report.tables for group in table.groups for each in group.rows} == {"synthetic weights: speed yes, accuracy no"}
    assert report.weights.startswith("All weights are synthetic")
    record = make_record()
    assert record.artifact is not None
    trained = msgspec.structs.replace(record, run_id="t", artifact=msgspec.structs.replace(record.artifact, weights="pretrained"))
    assert view([trained], {}).weights.startswith("All weights are pretrained")
    assert view([trained, record], {}).weights.startswith("1 of 2 sessions ran with synthetic")
    assert shown(record).text.count("synthetic weights: speed yes, accuracy no") >= 2


def test_the_head_counts_how_sessions_ended() -> None:
    records = [make_record(), make_record(precision="int8", problems=[make_problem()]), failed_record(), unsupported_record()]
    report = view(records, {})
    assert {one.status.word: one.count for one in report.counts} == {"ok": 1, "suspect": 1, "failed": 1, "unsupported": 1}
    assert report.lead.startswith("1 of 4 sessions gave figures that no check doubts")
    assert "drift" in report.lead


def test_every_number_has_a_unit_and_a_mark_of_its_evidence() -> None:
    report = view(many(), {})
    units = {"ms", "s", "µs", "/s", "MB", "GB", "Gop/s", "Mop/s", "mJ", "J", "Gop/J", "Mop/J", "dB"}
    for table in report.tables:
        for one in (one for group in table.groups for each in group.rows for one in each.cells if one.value is not None):
            assert one.unit in units or ".cosine" in one.anchor or ".agreement" in one.anchor, one
            assert one.mark.word == "measured here"


def test_a_column_has_one_unit_unless_its_figures_are_far_apart() -> None:
    fast, slow = make_record(latency_s=0.0072), make_record(latency_s=0.0162, precision="int8")
    report = view([fast, slow], {})
    assert {cell(report, one.run_id, "achieved_ops").unit for one in (fast, slow)} == {"Gop/s"}
    assert cell(report, fast.run_id, "achieved_ops").number.replace("\u2009", "") == "1140"
    assert split("latency_p50", 0.5, next(one.unit for one in metrics() if one.id == "latency_p50"), like=2e-6)[2] == "µs"


def test_nearly_equal_outputs_are_not_rounded_to_equal() -> None:
    record = make_record(precision="int8")
    assert cell(view([record], {}), record.run_id, "cosine").fraction == ".99950"


def test_earlier_runs_of_the_same_kind_are_kept_and_said_to_be_earlier() -> None:
    old, new = make_record(run_id="old", begun_at="2026-11-21T08:00:00Z"), make_record(run_id="new")
    report = view([old, new], {})
    assert row(report, "old").earlier
    assert not row(report, "new").earlier
    assert "earlier run, 2026-11-21 08:00 UTC" in shown(old, new).text
    assert [bar.anchor for chart in report.comparisons[0].charts for bar in chart.bars] == ["run-new", "run-new"]


# ---------------------------------------------------------------------------------------------------- what is there to read


def test_every_metric_has_its_formula_on_the_page() -> None:
    page = shown(make_record(n=40))
    for one in metrics():
        assert " ".join(one.formula.split()) in page.text, one.id
        assert f"metric-{one.id}" in page.ids


def test_tasks_that_cannot_be_compared_have_tables_of_their_own() -> None:
    report = view([*many(), make_record(task="segment-sky", run_id="other")], {})
    assert [one.title for one in report.tables] == ["Vision", "Speech", "Language", "Other tasks"]
    titles = {one.title: [column.title for column in one.columns] for one in report.tables}
    assert "images/s" in titles["Vision"]
    assert "audio s/s" in titles["Speech"]
    assert {"TTFT", "TPOT"} <= set(titles["Language"])


def test_a_table_as_csv_holds_base_units() -> None:
    record = make_record()
    (table,) = view([record], {}).tables
    head, line = (one.split(",") for one in table.csv.splitlines())
    found = dict(zip(head, line, strict=True))
    assert found["run_id"] == record.run_id
    assert float(found["latency_p50 [s]"]) == pytest.approx(0.02, rel=0.05)
    assert found["energy_per_item [J]"] == ""


def test_problems_of_one_kind_stand_together_with_why_and_fix() -> None:
    first, second = (
        make_record(problems=[make_problem()]),
        make_record(precision="int8", problems=[make_problem(), make_problem(code="swap", severity="invalid")]),
    )
    report = view([first, second], {})
    assert [(one.code, one.runs) for one in report.problems] == [("swap", 1), ("drift", 2)]
    page = shown(first, second)
    assert "cool the board and run again" in page.text
    assert "a board that gets hot lowers its clocks" in page.text


def test_the_drawer_shows_settings_with_their_source_and_what_changed_on_the_machine() -> None:
    record = make_record()
    changed = {**record.environment, "after": {**record.environment["after"], "load_1min": 3.5}}
    (run,) = view([msgspec.structs.replace(record, environment=changed, settings={"threads": Setting(4, "command line")})], {}).runs
    assert [(one.name, one.value, one.source) for one in run.settings] == [("threads", "4", "command line")]
    assert [(one.name, one.before, one.after) for one in run.changes if one.changed] == [("load_1min", "0.4", "3.5")]
    assert run.changes[0].changed


def test_many_values_of_one_kind_become_their_range() -> None:
    record = make_record()
    clocks = {f"cpu{n}": 2.0e9 + n * 1e6 for n in range(64)}
    (run,) = view([msgspec.structs.replace(record, environment={"before": {"frequency_hz": clocks}, "after": {}})], {}).runs
    assert run.changes[0].before == "64 values, 2.00\u2009GHz to 2.06\u2009GHz"


def test_bars_add_up_the_phases_of_one_item() -> None:
    (comparison,) = view([make_record()], {}).comparisons
    phases, memory = comparison.charts
    (bar,) = phases.bars
    assert [one.name for one in bar.parts] == ["preprocess", "infer", "postprocess"]
    assert sum(one.value for one in bar.parts) == pytest.approx(0.024, rel=0.02)
    assert sum(bar.shares) == pytest.approx(1.0)
    assert memory.title == "Peak memory"


def test_a_batch_is_divided_among_its_images() -> None:
    (comparison,) = view([offline_record()], {}).comparisons
    infer = next(one for one in comparison.charts[0].bars[0].parts if one.name == "infer")
    assert infer.value == pytest.approx(0.12 / 8, rel=0.02)


# ---------------------------------------------------------------------------------------------------- plots


def test_a_measured_run_has_a_distribution_and_a_timeline_with_the_data_behind_them() -> None:
    (run,) = view([make_record()], {}).runs
    assert [one.kind for one in run.plots] == ["distribution", "timeline"]
    timeline = run.plots[1]
    assert [one.title for one in timeline.sensors] == ["Frequency", "Temperature", "Load", "Pressure (PSI)"]
    assert [one.stage for one in timeline.bands if one.discarded] == ["load", "first", "warm-up"]
    assert len(timeline.data) == 1 + len(timeline.sensors)
    page = shown(make_record())
    assert page.text.count("Show the data") > len(timeline.data)
    assert "Copy as CSV" in page.text


def test_text_in_a_drawing_is_text_and_its_colours_follow_the_theme() -> None:
    (run,) = view([make_record()], {}).runs
    svg = draw(run.plots[0])
    assert re.search(r">p50\s+20.0 ms, at most 20.0 ms<", svg)
    assert not re.findall(r"#[0-9a-fA-F]{3,6}\b", svg)
    assert "var(--ink)" in svg
    assert " id=" not in svg


def test_thinning_keeps_the_slowest_and_says_how_many_are_drawn() -> None:
    values = np.full(5000, 0.02)
    values[[17, 4711]] = 0.09
    kept = thin(values, POINTS)
    assert {17, 4711} <= set(kept.tolist())
    assert len(kept) <= POINTS
    (run,) = view([make_record(n=2000)], {}).runs
    (track,) = run.plots[1].tracks
    assert len(track.t) <= POINTS < track.of
    assert f"{len(track.t)} of {track.of} infer spans" in run.plots[1].caption


def test_a_first_inference_that_takes_long_does_not_flatten_the_axis() -> None:
    record = make_record(n=100)
    slow = [msgspec.structs.replace(one, end_ns=[end + 9_000_000_000 for end in one.end_ns]) if one.stage == "first" else one for one in record.spans]
    (run,) = view([msgspec.structs.replace(record, spans=slow)], {}).runs
    (track,) = run.plots[1].tracks
    assert track.top < 0.1
    assert track.above == 1
    assert max(track.took) > 9


def test_an_energy_counter_is_drawn_as_power_also_where_it_wraps() -> None:
    (run,) = view([make_record(meters=(RAPL,))], {}).runs
    power = next(one for one in run.plots[1].sensors if one.title == "Power")
    assert [one for one in power.wires[0].y if not math.isnan(one)] == pytest.approx([12.0] * (len(power.wires[0].y) - 1), rel=0.02)


def test_many_sensors_of_one_kind_become_a_median_and_a_range() -> None:
    record = make_record(n=60)
    (old,) = record.telemetry
    channels = [Channel(site=f"cpu{n}", kind="frequency", unit="Hz", scope="die") for n in range(16)]
    rows: list[list[float | None]] = [[1e9 + n * 1e8 if n else None for n in range(16)] for _ in old.t_ns]
    (run,) = view([msgspec.structs.replace(record, telemetry=[Telemetry("host", 10.0, channels, old.t_ns, rows, [])])], {}).runs
    (sensor,) = run.plots[1].sensors
    assert sensor.low is not None
    assert sensor.high is not None
    assert sensor.of == 15
    assert [sensor.low.y[0], sensor.high.y[0]] == pytest.approx([1.1, 2.5])
    assert "median and range of 15" in draw(run.plots[1])


@pytest.mark.parametrize(
    "spans",
    [
        [],
        [Spans("load", "load", [0], [10])],
        [Spans("steady", "infer", [5], [6])],
        [Spans("steady", "infer", list(range(40)), list(range(40)))],
        [Spans("steady", "infer", [], []), Spans("first", "infer", [3], [9])],
        [Spans("steady", "infer", [0, 10**12], [1, 10**12 + 10**11])],
    ],
    ids=["none", "only loading", "one of a nanosecond", "forty of no length", "none steady", "two far apart"],
)
def test_strange_spans_still_give_a_report(spans: list[Spans]) -> None:
    telemetry = Telemetry(
        "host",
        10.0,
        [Channel("x", "temperature", "°C", "die"), Channel("e", "energy", "J", "die")],
        [0, 0, 1],
        [[None, 1.0], [None, 1.0], [None, 0.5]],
        [],
    )
    page = shown(
        make_record(spans=spans, blocks=[], telemetry=[telemetry], memory={}, quality=None, offload={}, artifact=None, settings={}, environment={})
    )
    assert "ResNet-50" in page.text
