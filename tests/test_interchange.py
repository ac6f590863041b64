"""Importers of published tables: what they read is what stands there; what they do not know they leave out and name."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from harness.decide.rowid import COLUMNS, KEY, key, row_id
from harness.errors import RecordError, UsageError
from harness.interchange import PAGE, Format, Import, Origin, Skip, formats, load, positive, printable, shown
from harness.interchange._yaml import parse
from harness.spec import home

DATA = Path(__file__).parent / "data" / "interchange"
RESNET = "qai_hub_models/models/resnet50/perf.yaml"
LLAMA = "qai_hub_models/models/llama_v3_2_1b_instruct/perf.yaml"
AIHUB = Origin("qualcomm/ai-hub-models", RESNET, "b61a009028de5420032377d9e6bd7280aae24c74")
ZOO = Origin("airockchip/rknn_model_zoo", "README.md", "bad6c7334531becaf90a561988519b7bec34d0ab")
LLM = Origin("airockchip/rknn-llm", "benchmark.md", "878f9361fd3afa7e167b7079918918f78d2c1c2a")
BENCH = Origin("someone/boards", "bench.json", "a" * 40, kind="third_party", soc="RK3588", board="a board")
EXCERPTS = (
    ("aihub", RESNET, AIHUB),
    ("aihub", LLAMA, Origin("qualcomm/ai-hub-models", LLAMA, AIHUB.commit)),
    ("rknn-zoo", "rknn_model_zoo.md", ZOO),
    ("rknn-llm", "rknn_llm.md", LLM),
)


def read(name: str, file: str | Path, origin: Origin) -> tuple[list[dict[str, str]], list[Skip]]:
    return load(formats()[name], DATA / file, origin)


def text_of(name: str, text: str, origin: Origin) -> Import:
    return formats()[name].read(text, origin)


def bench(**changes: Any) -> str:
    tests = json.loads((DATA / "llama_bench.json").read_text(encoding="utf-8"))
    return json.dumps([test | {"backends": "CPU"} | changes for test in tests])


def test_every_file_with_a_format_is_found_without_a_list() -> None:
    assert set(formats()) == {"aihub", "rknn-zoo", "rknn-llm", "llama-bench"}
    assert all(isinstance(one, Format) and one.title for one in formats().values())


@pytest.mark.parametrize(("name", "file", "origin"), EXCERPTS)
def test_imported_rows_equal_the_published_ones_of_the_same_workload_and_device(name: str, file: str, origin: Origin) -> None:
    with (home() / "results" / "evidence" / "published.csv").open(encoding="utf-8", newline="") as lines:
        published = {key(row): row["value"] for row in csv.DictReader(lines)}
    rows, _ = read(name, file, origin)
    shared = [row for row in rows if key(row) in published]
    assert len(shared) >= 3
    assert all(float(row["value"]) == pytest.approx(float(published[key(row)]), rel=1e-5) for row in shared)


@pytest.mark.parametrize(("name", "file", "origin"), EXCERPTS)
def test_every_row_has_all_columns_its_source_and_a_key_of_its_own(name: str, file: str, origin: Origin) -> None:
    rows, _ = read(name, file, origin)
    assert all(set(row) == set(COLUMNS) - {"row_id"} for row in rows)
    assert all(row["source_repo"] == origin.repo and row["source_commit"] == origin.commit for row in rows)
    assert len({key(row) for row in rows}) == len({row_id(row) for row in rows}) == len(rows)


def test_the_id_changes_with_every_column_of_the_key_and_with_no_other() -> None:
    row = dict.fromkeys(COLUMNS, "x")
    for name in COLUMNS:
        assert (row_id(row | {name: "y"}) == row_id(row)) == (name not in KEY)
    assert row_id(row | {"soc": "a", "board": "bc"}) != row_id(row | {"soc": "ab", "board": "c"})


def test_a_cpu_fallback_and_a_proxy_device_are_said() -> None:
    rows, _ = read("aihub", RESNET, AIHUB)
    units = {(row["board"], row["condition"]): row["compute_unit"] for row in rows}
    assert units["Dragonwing RB3 Gen 2 Vision Kit", "aihub_runtime=onnx"] == "cpu"
    assert units["Dragonwing RB3 Gen 2 Vision Kit", "aihub_runtime=tflite"] == "npu"
    assert all("proxy" in row["note"] for row in rows if row["board"] == "QCS8550 (Proxy)" and row["metric"] == "latency_ms")


def test_a_device_that_is_not_known_is_named_and_left_out() -> None:
    rows, skipped = read("aihub", RESNET, AIHUB)
    assert [one.why for one in skipped] == ["unknown device"]
    assert skipped[0].place.endswith("Snapdragon X2 Elite CRD")
    assert not any("X2" in row["board"] for row in rows)


def test_both_ends_of_the_time_to_the_first_token_are_kept() -> None:
    rows, _ = read("aihub", LLAMA, EXCERPTS[1][2])
    first = {row["condition"]: row["value"] for row in rows if row["metric"] == "ttft_s"}
    assert first == {"context_length=4096;ttft=min": "0.067938", "context_length=4096;ttft=max": "2.174016"}


def test_one_core_columns_say_so_and_real_time_factors_are_no_frame_rates() -> None:
    rows, skipped = read("rknn-zoo", "rknn_model_zoo.md", ZOO)
    cores = {row["soc"]: row["condition"] for row in rows if row["workload"] == "resnet50"}
    assert cores == {"RK3566/RK3568": "", "RK3562": "", "RK3588": "npu_cores=1", "RK3576": "npu_cores=1"}
    assert {row["value"] for row in rows if row["metric"] == "rtf"} == {"1.178", "0.42", "0.215", "0.218"}
    assert {one.place for one in skipped} == {"column RV1109", "column RV1126", "column RK1808"}


def test_one_model_in_two_demos_gives_two_figures() -> None:
    rows, _ = read("rknn-zoo", "rknn_model_zoo.md", ZOO)
    assert {row["condition"] for row in rows if row["workload"] == "clip_text" and row["soc"] == "RK3588"} == {
        "npu_cores=1;demo=yolo_world",
        "npu_cores=1;demo=clip",
    }


def test_what_the_table_does_not_support_is_left_out_and_never_a_zero() -> None:
    table = (DATA / "rknn_model_zoo.md").read_text(encoding="utf-8").replace("| 110.1 ", "| / ")
    got = text_of("rknn-zoo", table, ZOO)
    assert any("resnet50-v2-7 on RK3588" in one.place and "not supported" in one.why for one in got.skipped)
    assert not any(row.workload == "resnet50" and row.soc == "RK3588" for row in got.rows)


def test_an_empty_model_cell_is_the_model_above() -> None:
    rows, skipped = read("rknn-llm", "rknn_llm.md", LLM)
    assert {(row["workload"], row["value"]) for row in rows if row["metric"] == "decode_tok_s"} >= {
        ("qwen3_5_2b", "13.59"),
        ("qwen3_5_0_8b", "27.05"),
    }
    assert {one.why for one in skipped} == {"unknown device", "a table of another form"}


def test_prefill_and_decode_are_told_apart() -> None:
    got = text_of("llama-bench", bench(), BENCH)
    assert [(row.metric, row.value, row.condition, row.precision, row.workload) for row in got.rows] == [
        ("prefill_tok_s", "7100.002165", "prompt=512;threads=8", "q4_k_m", "qwen2_5_7b"),
        ("decode_tok_s", "118.881588", "new_tokens=128;threads=8", "q4_k_m", "qwen2_5_7b"),
    ]
    assert {(row.soc, row.board, row.compute_unit) for row in got.rows} == {("RK3588", "a board", "cpu")}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"n_prompt": 512, "n_gen": 128}, "prompt and generation in one test"),
        ({"model_type": "qwen2 7B Q9_X"}, "unknown model_type"),
        ({"backends": "CUDA", "n_gpu_layers": -1}, "which unit"),
        ({"backends": "CUDA", "n_gpu_layers": 10}, "which unit"),
        ({"backends": "Quantum", "n_gpu_layers": 99}, "which unit"),
        ({"avg_ts": 1e300}, "avg_ts"),
        ({"avg_ts": -1}, "avg_ts"),
        ({"avg_ts": "NaN"}, "avg_ts"),
        ({"avg_ts": True}, "avg_ts"),
        ({"n_prompt": "512"}, "numbers of tokens"),
        ({"n_threads": [4]}, "number of threads"),
        ({"model_filename": "<script>alert(1)</script>.gguf"}, "no name of a model"),
        ({"model_filename": None, "model_type": None}, "unknown model_type"),
    ],
)
def test_a_test_that_cannot_be_read_surely_is_left_out(changes: dict[str, Any], why: str) -> None:
    got = text_of("llama-bench", bench(**changes), BENCH)
    assert got.rows == []
    assert len(got.skipped) == 2
    assert all(why in one.why for one in got.skipped)


@pytest.mark.parametrize(
    ("backends", "layers", "units"), [("CUDA", 99, ["gpu", "gpu"]), ("CUDA", 0, ["cpu"]), ("BLAS,CPU", 99, ["cpu", "cpu"]), ("Vulkan,RPC", 99, [])]
)
def test_the_unit_is_named_only_where_the_file_settles_it(backends: str, layers: int, units: list[str]) -> None:
    got = text_of("llama-bench", bench(backends=backends, n_gpu_layers=layers), BENCH)
    assert [row.compute_unit for row in got.rows] == units


@pytest.mark.parametrize("name", ["aihub", "rknn-zoo", "rknn-llm", "llama-bench"])
@pytest.mark.parametrize("content", ["", "  \n\n", "{}", "[[[[", "- a\n- b\n", "| a | b |\n| --- | --- |\n| 1 | 2 |\n", "a: [1, 2]\n", "nonsense"])
def test_a_file_of_another_kind_is_refused_by_name(name: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / "input.txt"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        load(formats()[name], file, Origin("a/b", RESNET, "a" * 40, soc="RK3588"))
    assert str(file) in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("inference_time_milliseconds: 2.729", "inference_time_milliseconds: 1e999", "inference_time_milliseconds"),
        ("inference_time_milliseconds: 2.729", "inference_time_milliseconds: 0", "inference_time_milliseconds"),
        ("inference_time_milliseconds: 2.729", "inference_time_milliseconds: true", "inference_time_milliseconds"),
        ("inference_time_milliseconds: 2.729", "inference_time_milliseconds: <script>", "inference_time_milliseconds"),
        ("primary_compute_unit: CPU", "primary_compute_unit: XPU", "onnx"),
        ("job_status: Passed", "job_status: Failed", "tflite"),
        ("  w8a8:", "  w3a3:", "w3a3"),
        ("Dragonwing RB3 Gen 2 Vision Kit:\n            tflite:", "Dragonwing RB3 Gen 2 Vision Kit:\n            <b>:", "<b>"),
    ],
)
def test_a_damaged_figure_is_left_out_and_its_place_named(old: str, new: str, place: str) -> None:
    text = (DATA / RESNET).read_text(encoding="utf-8")
    whole = text_of("aihub", text, AIHUB)
    assert old in text
    got = text_of("aihub", text.replace(old, new), AIHUB)
    assert len(got.rows) < len(whole.rows)
    assert any(place in one.place for one in got.skipped)


def test_a_long_number_or_a_deep_file_is_refused_and_not_worked_on() -> None:
    with pytest.raises(RecordError, match="nested more than"):
        parse("\n".join(" " * depth + "a:" for depth in range(500)))
    assert parse("a: " + "9" * 5000) == {"a": "9" * 5000}
    with pytest.raises(RecordError):
        text_of("llama-bench", "[" * 100_000, BENCH)


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\na: 2", 2), ("a:\n\tb: 1", 2), ("a: &x 1", 1), ("a: 1\n  b: 2", 2), ('a: "x', 1), ("- a\nb: 1", 2), ("a: {b: 1}", 1)]
)
def test_yaml_that_is_not_plain_is_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(RecordError, match=f"^line {line}:"):
        parse(text)


def test_plain_yaml_is_read() -> None:
    text = "---\n# note\na:\n- x\n- 'y z'\nb:\n    - c: 1\n      d:\n        e: 2.5\n    - c: -3\nf: null\ng: true\nh: w8a8 # so\n"
    assert parse(text) == {"a": ["x", "y z"], "b": [{"c": 1, "d": {"e": 2.5}}, {"c": -3}], "f": None, "g": True, "h": "w8a8"}


@pytest.mark.parametrize(
    "origin",
    [
        Origin("", "README.md", "a" * 40),
        Origin("a/b", "", "a" * 40),
        Origin("a/b", "README.md", "main"),
        Origin("a/b", "README.md", ""),
        Origin("a/b", "README.md", "a" * 40, date="yesterday"),
        Origin(PAGE, "README.md", ""),
    ],
)
def test_a_figure_without_a_source_to_go_back_to_is_refused(origin: Origin) -> None:
    with pytest.raises(UsageError) as caught:
        load(formats()["rknn-zoo"], DATA / "rknn_model_zoo.md", origin)
    assert caught.value.fix


def test_a_web_page_needs_an_address_instead_of_a_commit() -> None:
    rows, _ = load(formats()["rknn-zoo"], DATA / "rknn_model_zoo.md", Origin(PAGE, "https://example.org/table", ""))
    assert {row["source_path"] for row in rows} == {"https://example.org/table"}


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "x", tmp_path / "y", tmp_path):
        with pytest.raises(RecordError, match=str(file)):
            load(formats()["rknn-zoo"], file, ZOO)


def test_foreign_text_is_bounded_and_on_one_line() -> None:
    assert shown("a\x1b[31m\n" + "b" * 500, 20) == "a [31m " + "b" * 12 + "…"
    assert not printable("<script>")
    assert not printable("a\nb")
    assert not printable("a" * 201)
    assert [positive(one) for one in (None, "x", "-1", 0, "inf", True, 10**400, [1], "2.5")] == [None] * 8 + [2.5]
