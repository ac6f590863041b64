"""socbench evidence: check and import, as a user meets them."""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.commands import evidence
from harness.decide import figures
from harness.decide.rowid import COLUMNS
from harness.errors import RecordError, SocbenchError, StoreError, UsageError
from harness.spec import home

DATA = Path(__file__).parent / "data" / "interchange"
SHIPPED = home() / "results" / "evidence"
COMMIT = "878f9361fd3afa7e167b7079918918f78d2c1c2a"
TABLE = ("import", "rknn-llm", str(DATA / "rknn_llm.md"), "--path", "benchmark.md", "--commit", COMMIT, "--date", "2026-06-17")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    evidence.add(parser.add_subparsers(dest="command"))
    arguments = parser.parse_args(["evidence", *words])
    code: int = arguments.run(arguments)
    return code


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_without_a_file_to_append_to_the_rows_are_printed_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*TABLE) == 0
    printed = capsys.readouterr()
    got = list(csv.DictReader(io.StringIO(printed.out)))
    assert len(got) == 27
    assert tuple(got[0]) == COLUMNS
    assert all(row["row_id"].startswith("p") and row["source_date"] == "2026-06-17" and row["source_kind"] == "vendor" for row in got)
    assert "unknown device" in printed.err
    assert "27 new, 0 known already, 2 skipped" in printed.err


def test_importing_twice_adds_nothing_the_second_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "published.csv"
    assert run(*TABLE, "--to", str(target)) == 0
    first = target.read_bytes()
    assert len(rows(target)) == 27
    assert run(*TABLE, "--to", str(target)) == 0
    assert target.read_bytes() == first
    assert "0 new, 27 known already" in capsys.readouterr().err


def test_figures_that_came_with_the_collection_are_known_under_their_own_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "published.csv"
    shutil.copy(SHIPPED / "published.csv", target)
    before = target.read_bytes()
    assert run(*TABLE, "--to", str(target)) == 0
    assert target.read_bytes() == before
    assert "0 new, 27 known already" in capsys.readouterr().err


def test_imported_rows_are_figures_that_the_decision_can_read(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / "workloads.csv", tmp_path)
    run(*TABLE, "--to", str(tmp_path / "published.csv"))
    got = figures.read([tmp_path])
    assert len(got) == 27
    assert {one.soc for one in got} == {"RK3588", "RK3576"}


def test_the_same_figure_with_another_value_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    target = tmp_path / "published.csv"
    run(*TABLE, "--to", str(target))
    changed = target.read_text(encoding="utf-8").replace(",41.58,", ",14.58,")
    kept = "".join(changed.splitlines(keepends=True)[:20])
    target.write_text(kept, encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        run(*TABLE, "--to", str(target))
    assert "14.58" in caught.value.what
    assert "41.58" in caught.value.what
    assert str(target) in caught.value.what
    assert target.read_text(encoding="utf-8") == kept


def test_a_failed_append_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "published.csv"
    target.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        run(*TABLE, "--to", str(target))
    assert target.read_text(encoding="utf-8") == ",".join(COLUMNS) + "\n"
    assert list(tmp_path.iterdir()) == [target]


def test_two_imports_at_once_lose_no_row(tmp_path: Path) -> None:
    target = tmp_path / "published.csv"
    zoo = ("import", "rknn-zoo", str(DATA / "rknn_model_zoo.md"), "--path", "README.md", "--commit", "b" * 40, "--to", str(target))
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda words: run(*words), [(*TABLE, "--to", str(target)), zoo] * 3))
    assert codes == [0] * 6
    got = rows(target)
    assert len({row["row_id"] for row in got}) == len(got) == 67


def test_a_file_without_a_last_line_end_and_its_permissions_are_kept_whole(tmp_path: Path) -> None:
    target = tmp_path / "published.csv"
    target.write_text(",".join(COLUMNS), encoding="utf-8")
    target.chmod(0o640)
    run(*TABLE, "--to", str(target))
    assert len(rows(target)) == 27
    assert target.stat().st_mode & 0o777 == 0o640


def test_the_document_has_new_known_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*TABLE, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["new"]) == 27
    assert document["known"] == 0
    assert {one["why"] for one in document["skipped"]} == {"unknown device", "a table of another form"}


def test_a_copy_of_the_repository_tells_the_path_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    file = DATA / "qai_hub_models" / "models" / "resnet50" / "perf.yaml"
    assert run("import", "aihub", str(file), "--commit", "b" * 40) == 0
    paths = {row["source_path"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert paths == {"qai_hub_models/models/resnet50/perf.yaml"}


def test_a_benchmark_of_ones_own_needs_its_soc_and_is_no_vendor_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    file.write_text((DATA / "llama_bench.json").read_text(encoding="utf-8").replace('"CUDA"', '"CPU"'), encoding="utf-8")
    words = ("import", "llama-bench", str(file), "--repo", "me/boards", "--commit", "c" * 40)
    assert run(*words, "--soc", "jetson-agx-orin-64gb") == 0
    got = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {(row["soc"], row["soc_variant"], row["source_kind"]) for row in got} == {("Jetson AGX Orin", "64GB", "third_party")}
    with pytest.raises(RecordError, match="not a SoC") as caught:
        run(*words)
    assert "--soc" in caught.value.fix
    with pytest.raises(UsageError, match="RK3589") as other:
        run(*words, "--soc", "RK3589")
    assert "RK3588" in other.value.fix


@pytest.mark.parametrize(
    "words",
    [
        ("import", "excel", "x"),
        ("import", "rknn-llm", "no-such-file", "--commit", COMMIT),
        ("import", "rknn-llm", str(DATA / "rknn_llm.md"), "--commit", "main"),
        ("import", "rknn-llm", str(DATA / "rknn_llm.md")),
        ("import", "rknn-llm", str(DATA / "rknn_llm.md"), "--commit", COMMIT, "--soc", "RK3588"),
        ("import", "rknn-llm", "a", "b", "--path", "c", "--commit", COMMIT),
        ("import", "llama-bench", str(DATA / "llama_bench.json"), "--commit", COMMIT),
        ("import", "rknn-llm", str(DATA / "rknn_model_zoo.md"), "--commit", COMMIT),
        (*TABLE, "--to", "no-such-folder/published.csv"),
        ("check", "no-such-folder"),
    ],
)
def test_what_cannot_be_carried_out_is_said_with_a_fix(words: tuple[str, ...]) -> None:
    with pytest.raises(SocbenchError) as caught:
        run(*words)
    assert caught.value.what
    assert caught.value.fix


def test_an_existing_file_with_other_columns_is_not_appended_to(tmp_path: Path) -> None:
    target = tmp_path / "published.csv"
    target.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(RecordError, match="unknown column"):
        run(*TABLE, "--to", str(target))
    assert target.read_text(encoding="utf-8") == "a,b\n1,2\n"


def test_the_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("formats", "--json") == 0
    assert {one["id"] for one in json.loads(capsys.readouterr().out)} == {"aihub", "llama-bench", "rknn-llm", "rknn-zoo"}


def test_the_evidence_that_comes_with_socbench_has_no_flaw(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("check", "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["flaws"] == []
    assert code == 0
    assert document["rows"][str(SHIPPED / "published.csv")] >= 3108


def test_a_flaw_is_named_with_file_row_column_and_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "published.csv"
    run(*TABLE, "--to", str(target))
    target.write_text(target.read_text(encoding="utf-8").replace("airockchip/rknn-llm", "me/my-boards"), encoding="utf-8")  # else shipped already
    target.write_text(re.sub(r"^p[0-9a-f]{10},", ",", target.read_text(encoding="utf-8"), flags=re.MULTILINE), encoding="utf-8")
    assert run("check", str(tmp_path)) == 0
    target.write_text(target.read_text(encoding="utf-8").replace(",41.58,", ",-41.58,"), encoding="utf-8")
    capsys.readouterr()
    assert run("check", str(tmp_path), "--json") == 1
    (flaw,) = json.loads(capsys.readouterr().out)["flaws"]
    assert flaw["file"] == str(target)
    assert flaw["column"] == "value"
    assert flaw["row"]
    assert flaw["fix"]


def test_a_folder_without_evidence_is_no_clean_evidence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no evidence"):
        run("check", str(tmp_path))
