"""The licences of the sources of figures: the shipped table, its page, its check, and how a licence is found."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from harness.decide.sources import COLUMNS, licence, read
from harness.decide.validate import flaws
from harness.errors import RecordError
from harness.spec import home

SHIPPED = home() / "results" / "evidence"


def write(folder: Path, *rows: str) -> Path:
    (folder / "sources.csv").write_text("\n".join((",".join(COLUMNS), *rows, "")), encoding="utf-8")
    return folder


def test_every_source_of_a_shipped_figure_has_a_row_and_no_other_has() -> None:
    with (SHIPPED / "published.csv").open(newline="", encoding="utf-8") as file:
        assert {row["source_repo"] for row in csv.DictReader(file)} == set(read([SHIPPED]))


def test_the_page_of_the_evidence_says_the_licences_of_the_table() -> None:
    page = (SHIPPED / "README.md").read_text(encoding="utf-8").partition("## Sources of published.csv")[2]
    said = {row[0]: row[-1] for line in page.splitlines() if re.match(r"\| .* \| \d+ \|", line) for row in [line.strip("| ").split(" | ")]}
    assert said == {source: found or "not read" for source, found in read([SHIPPED]).items()}
    assert sum(one != "not read" for one in said.values()) > 30


def test_a_later_folder_replaces_a_licence(tmp_path: Path) -> None:
    write(tmp_path, "Tencent/ncnn,BSD-3-Clause")
    assert read([SHIPPED, tmp_path])["Tencent/ncnn"] == "BSD-3-Clause"
    assert read([tmp_path]) == {"Tencent/ncnn": "BSD-3-Clause"}


def test_a_folder_without_the_table_has_no_licences(tmp_path: Path) -> None:
    assert read([tmp_path]) == {}


def test_a_row_without_a_source_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"sources\.csv:2: source is empty"):
        read([write(tmp_path, ",MIT")])


def test_the_licence_is_found_by_the_repository_and_that_of_a_page_by_the_row_of_pages() -> None:
    known = {"a/b": "MIT", "(web page)": "page terms not read"}
    assert licence("a/b docs/speed.md", known) == "MIT"
    assert licence("https://example.com/x", known) == "page terms not read"
    assert licence("c/d", known) == ""
    assert licence("https://example.com/x", {"a/b": "MIT"}) == ""


def test_the_check_names_a_source_that_is_empty_or_stands_twice(tmp_path: Path) -> None:
    found = flaws(write(tmp_path, "a/b,MIT", ",MIT", "a/b,", "a b,MIT"))
    assert [(one.file, one.row, one.column) for one in found] == [
        ("sources.csv", 3, "source"),
        ("sources.csv", 4, "source"),
        ("sources.csv", 5, "source"),
    ]
    assert "stands already in row 2" in found[1].what


def test_the_check_finds_no_flaw_in_a_table_whose_licence_was_not_read(tmp_path: Path) -> None:
    assert flaws(write(tmp_path, "a/b,", "(web page),page terms not read")) == []
