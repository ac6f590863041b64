"""`flaws`: everything wrong with an evidence folder, at once."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.decide import catalogue, claims, rowid, workloads
from harness.decide.validate import RANGES, TABLES, Flaw, flaws
from harness.spec import home

SHIPPED = home() / "results" / "evidence"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FIGURE = {
    "row_id": "", "soc": "RK3588", "board": "Board 1", "workload": "net", "model_name_in_source": "Net", "input_shape": "1x3x640x640",
    "precision": "int8", "runtime": "rknn", "compute_unit": "npu", "batch": "1", "metric": "latency_ms", "value": "12.5", "source_repo": "a/b",
    "source_path": "docs/a.md", "source_commit": COMMIT, "source_date": "2026-01-02", "source_kind": "vendor", "note": "", "condition": "threads=4",
    "soc_variant": "",
}  # fmt: skip
FACT = {
    "fact_id": "f1", "soc": "RK3588", "attribute": "tdp_max_w", "value": "12", "unit": "W", "condition": "", "source": "a data sheet",
    "source_kind": "datasheet", "source_date": "2026", "note": "", "use": "main",
}  # fmt: skip
SOC = {
    "name": "RK3588", "vendor": "Rockchip", "family": "RK35", "form": "chip", "published_as": "RK3588", "variant": "", "role": "soc",
    "role_reason": "runs Linux",
}  # fmt: skip
WORK = dict.fromkeys(workloads.COLUMNS, "") | {"workload": "net", "family": "yolo", "gmac": "4.35", "source": "a paper"}
CLAIM = dict.fromkeys(claims.COLUMNS, "") | {"claim_id": "c1", "claim": "faster", "claim_zh": "更快"}
FILES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "published.csv": (rowid.COLUMNS, FIGURE),
    "facts.csv": (catalogue.FACT_COLUMNS, FACT),
    "socs.csv": (catalogue.SOC_COLUMNS, SOC),
    "workloads.csv": (workloads.COLUMNS, WORK),
    "claims.csv": (claims.COLUMNS, CLAIM),
}


def write(folder: Path, name: str, *rows: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, FILES[name][0])
        table.writeheader()
        table.writerows(rows)
    return folder


def of(folder: Path, name: str, *changes: dict[str, str]) -> list[Flaw]:
    """The flaws of a table whose rows are its good row with `changes`, one each, beside a catalogue of one SoC."""
    if name != "socs.csv":
        write(folder, "socs.csv", SOC)
    return flaws(write(folder, name, *({**FILES[name][1], **one} for one in changes)))


def test_the_shipped_evidence_has_no_flaw() -> None:
    assert flaws(SHIPPED) == []


@pytest.mark.parametrize("name", FILES)
def test_a_good_row_has_no_flaw(tmp_path: Path, name: str) -> None:
    assert of(tmp_path, name, {}) == []


@pytest.mark.parametrize(
    ("name", "column", "cell", "fix"),
    [
        ("published.csv", "metric", "latncy_ms", "latency_ms"),
        ("published.csv", "metric", "", "write one of"),
        ("published.csv", "value", "fast", "without unit"),
        ("published.csv", "value", "-3", "without unit"),
        ("published.csv", "value", "0", "without unit"),
        ("published.csv", "value", "inf", "without unit"),
        ("published.csv", "value", "nan", "without unit"),
        ("published.csv", "value", "0.0125", "slip by 1000"),
        ("published.csv", "value", "1250000", "slip by 1000"),
        ("published.csv", "batch", "one", "write 1"),
        ("published.csv", "batch", "1.0", "write 1"),
        ("published.csv", "soc", "", "fill it in"),
        ("published.csv", "workload", "", "fill it in"),
        ("published.csv", "precision", "", "unstated"),
        ("published.csv", "compute_unit", "npu+gpuu", "gpu"),
        ("published.csv", "source_repo", "", "owner/name"),
        ("published.csv", "source_repo", "just a name", "owner/name"),
        ("published.csv", "source_path", "", "path in the repository"),
        ("published.csv", "source_commit", "main", "40 hexadecimal"),
        ("published.csv", "source_commit", "", "40 hexadecimal"),
        ("published.csv", "source_kind", "vendr", "vendor"),
        ("published.csv", "source_date", "2026-02-30", "2026-09"),
        ("published.csv", "source_date", "02.01.2026", "2026-09"),
        ("published.csv", "condition", "threads:4", "key=value"),
        ("published.csv", "board", "Board 1 ", "remove them"),
        ("published.csv", "row_id", "p 1", "computed"),
        ("facts.csv", "fact_id", "", "fill it in"),
        ("facts.csv", "soc", "RK3589", "RK3588"),
        ("facts.csv", "attribute", "tdp_max", "tdp_max_w"),
        ("facts.csv", "value", "twelve", "number alone"),
        ("facts.csv", "value", "12000", "number alone"),
        ("facts.csv", "unit", "mW", "write"),
        ("facts.csv", "source", "", "fill it in"),
        ("facts.csv", "source_kind", "data sheet", "datasheet"),
        ("facts.csv", "source_date", "26-1-1", "2026-09"),
        ("facts.csv", "use", "mian", "main"),
        ("socs.csv", "name", "---", "name of the SoC"),
        ("socs.csv", "role", "sock", "soc"),
        ("socs.csv", "form", "", "chip"),
        ("socs.csv", "vendor", "", "fill it in"),
        ("workloads.csv", "workload", "", "fill it in"),
        ("workloads.csv", "family", "yollo", "yolo"),
        ("workloads.csv", "gmac", "0", "no source has it"),
        ("claims.csv", "claim_id", "", "fill it in"),
        ("claims.csv", "verdict", "suported", "supported"),
        ("claims.csv", "evidence_rows", "p0000000000", "ids"),
    ],
)
def test_a_wrong_cell_is_named_with_file_row_and_column_and_what_to_write(tmp_path: Path, name: str, column: str, cell: str, fix: str) -> None:
    (flaw,) = of(tmp_path, name, {column: cell})
    assert (flaw.file, flaw.row, flaw.column, flaw.level) == (name, 2, column, "error")
    assert fix in flaw.fix
    assert str(flaw).startswith(f"{name}:2: {column}: ")


def test_all_flaws_are_found_at_once_and_in_the_order_of_the_rows(tmp_path: Path) -> None:
    found = of(tmp_path, "published.csv", {"metric": "x"}, {"board": "2"}, {"board": "3", "value": "", "source_kind": ""})
    assert [(flaw.row, flaw.column) for flaw in found] == [(2, "metric"), (4, "value"), (4, "source_kind")]


@pytest.mark.parametrize("metric", RANGES)
def test_a_slip_by_a_million_is_outside_the_range_of_every_metric(tmp_path: Path, metric: str) -> None:
    low, high = RANGES[metric]
    middle = (low * high) ** 0.5
    assert of(tmp_path / "good", "published.csv", {"metric": metric, "value": f"{middle:g}"}) == []
    for factor in (1e-6, 1e6):
        (flaw,) = of(tmp_path / "bad", "published.csv", {"metric": metric, "value": f"{middle * factor:g}"})
        assert flaw.column == "value"


def test_a_slip_by_a_thousand_is_found_beside_the_other_figures_of_the_same_part(tmp_path: Path) -> None:
    rows = [{"board": str(n), "value": value} for n, value in enumerate(("12", "15", "0.05", "19"))]
    (flaw,) = of(tmp_path, "published.csv", *rows)
    assert (flaw.row, flaw.column) == (4, "value")
    assert "about 15" in flaw.what


def test_figures_that_differ_by_a_real_factor_are_no_slip(tmp_path: Path) -> None:
    assert of(tmp_path, "published.csv", {"board": "a", "value": "1"}, {"board": "b", "value": "20"}, {"board": "c", "value": "60"}) == []


def test_a_page_needs_an_address_and_no_commit(tmp_path: Path) -> None:
    page = {"source_repo": "(web page)", "source_path": "https://example.org/a", "source_commit": ""}
    assert of(tmp_path / "a", "published.csv", page) == []
    assert [one.column for one in of(tmp_path / "b", "published.csv", {**page, "source_path": "example"})] == ["source_path"]
    assert [one.column for one in of(tmp_path / "c", "published.csv", {**page, "source_commit": COMMIT})] == ["source_commit"]


def test_a_commit_may_lack_where_the_path_says_how_the_file_was_read(tmp_path: Path) -> None:
    assert of(tmp_path, "published.csv", {"source_commit": "", "source_path": "a.md (read on the web, commit not shown)"}) == []


@pytest.mark.parametrize("date", ["", "2026", "2026-03", "2026-03-31"])
def test_a_date_may_be_a_year_a_month_or_a_day(tmp_path: Path, date: str) -> None:
    assert of(tmp_path, "published.csv", {"source_date": date}) == []


def test_a_workload_that_workloads_csv_does_not_know_is_fine(tmp_path: Path) -> None:
    write(tmp_path, "workloads.csv", WORK)
    assert of(tmp_path, "published.csv", {"workload": "brand_new"}) == []


def test_a_soc_that_no_entry_publishes_is_a_warning_with_the_nearest_name(tmp_path: Path) -> None:
    (flaw,) = of(tmp_path, "published.csv", {"soc": "RK3558"})
    assert (flaw.level, flaw.column) == ("warning", "soc")
    assert "RK3588" in flaw.fix


def test_a_known_sibling_is_no_flaw(tmp_path: Path) -> None:
    assert of(tmp_path, "published.csv", {"soc": "Snapdragon X Elite"}) == []


def test_the_same_figure_twice_is_a_flaw_even_with_another_value_note_or_date(tmp_path: Path) -> None:
    (flaw,) = of(tmp_path, "published.csv", {}, {"value": "13", "note": "again", "source_date": "2026-02-02"})
    assert flaw.row == 3
    assert "row 2" in flaw.what


@pytest.mark.parametrize(
    ("name", "first", "second", "column"),
    [
        ("published.csv", {"row_id": "p1"}, {"row_id": "p1", "board": "2"}, "row_id"),
        ("facts.csv", {}, {"attribute": "tdp_min_w", "value": "3"}, "fact_id"),
        ("facts.csv", {}, {"fact_id": "f2"}, ""),
        ("socs.csv", {}, {"name": "rk3588"}, "name"),
        ("workloads.csv", {}, {}, "workload"),
        ("claims.csv", {}, {}, "claim_id"),
    ],
)
def test_what_must_stand_once_stands_once(tmp_path: Path, name: str, first: dict[str, str], second: dict[str, str], column: str) -> None:
    assert [(flaw.row, flaw.column) for flaw in of(tmp_path, name, first, second)] == [(3, column)]


@pytest.mark.parametrize(
    ("attributes", "values", "unit"),
    [
        (("tdp_min_w", "tdp_max_w"), ("7", "15"), "W"),
        (("temp_min_c", "temp_max_c"), ("-40", "85"), "C"),
        (("peak_tops_int8_dense", "peak_tops_int8_sparse"), ("20", "40"), "TOPS"),
        (("board_power_idle_w", "board_power_stress_w"), ("2", "9"), "W"),
    ],
)
def test_a_least_value_is_not_above_its_greatest(tmp_path: Path, attributes: tuple[str, str], values: tuple[str, str], unit: str) -> None:
    (less, more), (low, high) = attributes, values

    def pair(first: str, second: str, use: str = "main") -> list[dict[str, str]]:
        return [
            {"fact_id": "f1", "attribute": less, "value": first, "unit": unit, "use": use},
            {"fact_id": "f2", "attribute": more, "value": second, "unit": unit},
        ]

    assert of(tmp_path / "good", "facts.csv", *pair(low, high)) == []
    assert of(tmp_path / "equal", "facts.csv", *pair(low, low)) == []
    (flaw,) = of(tmp_path / "bad", "facts.csv", *pair(high, low))
    assert (flaw.row, flaw.column) == (2, "value")
    assert less in flaw.what
    assert of(tmp_path / "alt", "facts.csv", *pair(high, low, "alt")) == [], "another mode or variant is not compared"


def test_a_claim_may_name_rows_of_published_and_of_facts(tmp_path: Path) -> None:
    write(tmp_path, "facts.csv", FACT)
    write(tmp_path, "published.csv", {**FIGURE, "row_id": "p77"})
    assert of(tmp_path, "claims.csv", {"evidence_rows": "p77 f1"}) == []


def test_a_folder_may_refer_to_the_folders_beside_it_and_repeat_none_of_their_ids(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", "published.csv", {**FIGURE, "row_id": "p1"})
    write(mine, "facts.csv", {**FACT, "soc": "QCS6490", "fact_id": "mine-1"})
    assert flaws(mine, [SHIPPED]) == []
    taken = write(tmp_path / "taken", "published.csv", {**FIGURE, "row_id": "p11abe9a9a0"})
    (flaw,) = flaws(taken, [SHIPPED])
    assert (flaw.column, flaw.row) == ("row_id", 2)


@pytest.mark.parametrize("name", FILES)
def test_a_column_with_a_slip_in_its_name_is_told_what_it_should_be(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, FILES[name][1]) / name
    wanted = FILES[name][0][1]
    path.write_text(path.read_text(encoding="utf-8").replace(f",{wanted},", f",{wanted}z,", 1), encoding="utf-8")
    found = [flaw for flaw in flaws(tmp_path) if flaw.file == name]
    assert [(flaw.row, flaw.column) for flaw in found] == [(1, f"{wanted}z"), (1, wanted)]
    assert found[0].fix == f"write {wanted!r}"


def test_a_row_with_too_few_cells_is_named_and_the_others_are_still_checked(tmp_path: Path) -> None:
    path = write(tmp_path, "facts.csv", FACT, {**FACT, "fact_id": "f2", "use": "x"}) / "facts.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "a,b", *lines[1:]]) + "\n")
    assert [(flaw.row, flaw.column) for flaw in flaws(tmp_path)] == [(2, ""), (4, "use"), (4, "")]


def test_a_folder_without_any_table_is_a_flaw(tmp_path: Path) -> None:
    assert [flaw.what for flaw in flaws(tmp_path)] == ["none of the tables is here"]
    assert [flaw.what for flaw in flaws(tmp_path / "nowhere")] == ["no such folder"]


def test_a_row_appended_to_the_shipped_file_without_an_id_is_fine(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(SHIPPED, folder, copy_function=shutil.copyfile)
    with (folder / "published.csv").open("a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, rowid.COLUMNS).writerow(FIGURE)
    assert flaws(folder) == []


CELL = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.floats().map(str),
    st.sampled_from(["", '"', "\x00", "a=", "١", "²", "1e999", "-0", "9999-99-99", "٢٠٢٦", "a/b", "-"]),
)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_mangled_cell_in_any_table_gives_flaws_and_never_a_traceback(tmp_path_factory: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(FILES)))
    column = data.draw(st.sampled_from(FILES[name][0]))
    for flaw in of(tmp_path_factory.mktemp("mangled"), name, {column: data.draw(CELL)}, {"note": "x"} if "note" in FILES[name][0] else {}):
        assert flaw.what
        assert flaw.fix


@given(name=st.sampled_from([table.name for table in TABLES]), content=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_a_table_of_any_bytes_has_a_flaw(tmp_path_factory: Any, name: str, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / name).write_bytes(content)
    found = flaws(folder)
    assert found
    assert all(flaw.fix for flaw in found)
