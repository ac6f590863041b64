"""Published figures: what becomes of a row of published.csv."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.decide import figures, rowid
from harness.decide.terms import Figure
from harness.errors import RecordError, SocbenchError
from harness.quantity import Kind, Unit
from harness.spec import home

SHIPPED = home() / "results" / "evidence"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROW = {
    "row_id": "p1", "soc": "RK9999", "board": "Board 1", "workload": "net", "model_name_in_source": "Net", "input_shape": "1x3x640x640",
    "precision": "int8", "runtime": "rknn", "compute_unit": "npu", "batch": "1", "metric": "latency_ms", "value": "12.5", "source_repo": "a/b",
    "source_path": "docs/a b#c.md", "source_commit": COMMIT, "source_date": "2026-01-02", "source_kind": "vendor", "note": "",
    "condition": "threads=4;power=peak_wall", "soc_variant": "",
}  # fmt: skip


def folder_with(path: Path, *rows: dict[str, str], columns: tuple[str, ...] = rowid.COLUMNS) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    with (path / "published.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    return path


def one(path: Path, **cells: str) -> Figure:
    (figure,) = figures.read([folder_with(path, {**ROW, **cells})])
    return figure


def read_or_explained(folder: Path) -> tuple[Figure, ...]:
    """The figures, or none where an error of ours names the file and a fix."""
    trouble: SocbenchError | None = None
    try:
        return figures.read([folder])
    except SocbenchError as error:
        trouble = error
    assert "published.csv" in trouble.what
    assert trouble.fix
    return ()


def test_every_shipped_row_becomes_a_figure_with_an_id_a_source_and_a_positive_value() -> None:
    found = figures.read([SHIPPED])
    assert len(found) == 3108
    assert len({figure.id for figure in found}) == 3108
    assert all(figure.value > 0 and figure.source.where and figure.kind is Kind.PUBLISHED for figure in found)


@pytest.mark.parametrize(
    ("metric", "wanted", "value", "unit"),
    [
        ("latency_ms", "latency", 0.0125, Unit.SECOND),
        ("latency_p90_ms", "latency_p90", 0.0125, Unit.SECOND),
        ("latency_p99_ms", "latency_p99", 0.0125, Unit.SECOND),
        ("throughput_fps", "throughput", 12.5, Unit.PER_SECOND),
        ("decode_tok_s", "decode", 12.5, Unit.PER_SECOND),
        ("prefill_tok_s", "prefill", 12.5, Unit.PER_SECOND),
        ("e2e_tok_s", "decode_e2e", 12.5, Unit.PER_SECOND),
        ("ttft_s", "ttft", 12.5, Unit.SECOND),
        ("rtf", "realtime_factor", 12.5, Unit.ONE),
        ("energy_mj_per_inference", "energy", 0.0125, Unit.JOULE),
        ("power_w", "power", 12.5, Unit.WATT),
        ("peak_memory_mb", "peak_memory", 12.5e6, Unit.BYTE),
        ("memory_bandwidth_mb_s", "memcpy", 12.5e6, Unit.BYTE_PER_SECOND),
    ],
)
def test_a_metric_is_read_in_si_units(tmp_path: Path, metric: str, wanted: str, value: float, unit: Unit) -> None:
    figure = one(tmp_path, metric=metric)
    assert (figure.metric, figure.unit) == (wanted, unit)
    assert figure.value == pytest.approx(value)


def test_every_metric_of_the_shipped_file_is_one_of_these() -> None:
    assert set(figures.METRICS) == {row["metric"] for _, row in figures.rows(SHIPPED / "published.csv", rowid.COLUMNS)}


def test_a_condition_is_read_as_pairs(tmp_path: Path) -> None:
    assert one(tmp_path).condition == {"threads": "4", "power": "peak_wall"}
    assert one(tmp_path, condition="").condition == {}


def test_a_source_links_to_the_file_at_its_commit(tmp_path: Path) -> None:
    source = one(tmp_path).source
    assert source.url == f"https://github.com/a/b/blob/{COMMIT}/docs/a%20b%23c.md"
    assert (source.kind, source.where, source.commit, source.date) == ("vendor", "a/b docs/a b#c.md", COMMIT, "2026-01-02")


def test_a_source_without_a_commit_links_to_the_file_as_it_is_today(tmp_path: Path) -> None:
    source = one(tmp_path, source_commit="", source_path="docs/a.md (read without a commit)").source
    assert source.url == "https://github.com/a/b/blob/HEAD/docs/a.md"


def test_a_page_is_linked_as_it_stands_and_only_over_http(tmp_path: Path) -> None:
    page = one(tmp_path, source_repo="(web page)", source_path="https://example.org/x?y=1", source_commit="").source
    assert (page.where, page.url) == ("https://example.org/x?y=1", "https://example.org/x?y=1")
    assert one(tmp_path, source_repo="(web page)", source_path="javascript:alert(1)", source_commit="").source.url == ""


def test_a_batch_that_the_source_does_not_fix_is_none(tmp_path: Path) -> None:
    assert one(tmp_path, batch="").batch is None
    assert one(tmp_path, batch="8").batch == 8


def test_a_row_without_an_id_gets_the_same_one_each_time_and_it_does_not_depend_on_the_value(tmp_path: Path) -> None:
    first = one(tmp_path, row_id="").id
    assert first.startswith("p")
    assert first == one(tmp_path, row_id="", value="99").id
    assert first != one(tmp_path, row_id="", runtime="ncnn").id


def test_a_workload_goes_by_its_id_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "workloads.csv").write_text(
        "workload,published_as,family,task,gmac,params,shape,source,source_url,note\nnet-s,net;net_s,yolo,detect,,,1x3x640x640,,,\n"
    )
    assert one(tmp_path).workload == "net-s"
    assert one(tmp_path, workload="other").workload == "other"


def test_a_figure_may_name_an_entry_of_the_catalogue_itself(tmp_path: Path) -> None:
    (tmp_path / "socs.csv").write_text(
        "name,vendor,family,form,published_as,variant,role,role_reason\nJet 8GB,V,F,module,Jet,8GB,soc,runs Linux\nRK1,V,F,chip,RK1,,soc,runs Linux\n"
    )
    assert one(tmp_path, soc="Jet 8GB").soc == "jet-8gb"
    assert one(tmp_path, soc="Jet").soc == "Jet"
    assert one(tmp_path, soc="RK1").soc == "RK1"


def test_the_figures_of_several_folders_are_put_together(tmp_path: Path) -> None:
    folders = [folder_with(tmp_path / "a", ROW), folder_with(tmp_path / "b", {**ROW, "row_id": "p2"}), tmp_path]
    assert [figure.id for figure in figures.read(folders)] == ["p1", "p2"]


def test_an_id_that_stands_in_two_folders_is_refused_with_both_places(tmp_path: Path) -> None:
    folders = [folder_with(tmp_path / "a", ROW), folder_with(tmp_path / "b", ROW)]
    with pytest.raises(RecordError, match=r"b/published\.csv:2: row_id 'p1' stands already at .*a/published\.csv:2"):
        figures.read(folders)


@pytest.mark.parametrize(
    ("cells", "what", "fix"),
    [
        ({"metric": "latncy_ms"}, "2: metric: 'latncy_ms'", "write 'latency_ms'"),
        ({"value": "12,5"}, "2: value: '12,5'", "without unit"),
        ({"value": "0"}, "2: value: '0'", "a number"),
        ({"value": "-1"}, "2: value", "a number"),
        ({"value": "nan"}, "2: value", "a number"),
        ({"value": "inf"}, "2: value", "a number"),
        ({"value": "1_000"}, "2: value", "a number"),
        ({"value": "1e400"}, "2: value", "a number"),
        ({"value": "1e-322"}, "2: value", "a number"),
        ({"batch": "1.0"}, "2: batch", "write 1"),
        ({"batch": "0"}, "2: batch", "write 1"),
        ({"condition": "threads"}, "2: condition", "key=value"),
        ({"condition": "a=1;a=2"}, "2: condition", "key=value"),
        ({"soc": " "}, "2: soc", "name it"),
        ({"workload": ""}, "2: workload", "name it"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_with_its_file_row_column_and_fix(tmp_path: Path, cells: dict[str, str], what: str, fix: str) -> None:
    with pytest.raises(RecordError) as caught:
        one(tmp_path, **cells)
    assert f"published.csv:{what}" in caught.value.what
    assert fix in caught.value.fix


def test_a_column_with_a_slip_in_its_name_is_refused_with_the_right_name(tmp_path: Path) -> None:
    columns = tuple("metrik" if name == "metric" else name for name in rowid.COLUMNS)
    row = {("metrik" if name == "metric" else name): cell for name, cell in ROW.items()}
    with pytest.raises(RecordError, match="unknown column 'metrik'") as caught:
        figures.read([folder_with(tmp_path, row, columns=columns)])
    assert caught.value.fix == "write 'metric'"


@pytest.mark.parametrize("line", ["p2,only,three", ",".join("x" * 25)])
def test_a_row_with_another_number_of_cells_is_refused(tmp_path: Path, line: str) -> None:
    path = folder_with(tmp_path, ROW) / "published.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(RecordError, match=rf"published.csv:3: {line.count(',') + 1} cells instead of 20"):
        figures.read([tmp_path])


def test_a_file_saved_by_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = folder_with(tmp_path, ROW) / "published.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(figures.read([tmp_path])) == 1


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path, {**ROW, "note": "café"}) / "published.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    with pytest.raises(RecordError, match="UTF-8"):
        figures.read([tmp_path])


@given(
    column=st.sampled_from(rowid.COLUMNS),
    cell=st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
        st.floats().map(str),
        st.integers().map(str),
        st.sampled_from(["=1+1", '"', "\x00", "1x", "x", "a=", ";", "0x10", "١", "²", "bsx3x0x0", "'npu': 1", "only 9/0 operators converted"]),
    ),
)
@settings(max_examples=150, deadline=None)
def test_a_mangled_cell_gives_a_figure_or_a_clear_error_and_never_a_traceback(tmp_path_factory: Any, column: str, cell: str) -> None:
    folder = folder_with(tmp_path_factory.mktemp("mangled"), {**ROW, column: cell})
    assert all(figure.value > 0 for figure in read_or_explained(folder))


@given(content=st.binary(max_size=200))
@settings(max_examples=80, deadline=None)
def test_a_file_of_any_bytes_gives_figures_or_a_clear_error(tmp_path_factory: Any, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "published.csv").write_bytes(content)
    assert read_or_explained(folder) == ()
