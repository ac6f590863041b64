"""The pitfalls of published figures: each rule on the shipped rows, and on a row just outside it."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from harness.decide import figures, rowid, rules
from harness.decide.rules import number, part
from harness.decide.terms import Figure
from harness.spec import home
from harness.words import LANGUAGES, say

SHIPPED = home() / "results" / "evidence"
BOTH, RANK, ESTIMATE = ("rank", "estimate"), ("rank",), ("estimate",)

COUNTS = {
    "open-division": 12, "changed-model": 40, "unnamed-model": 20, "broken-accuracy": 8, "quality-loss": 9, "per-call": 76, "whole-pipeline": 62,
    "proxy": 261, "sibling": 586, "unnamed-board": 929, "unstated-module": 331, "other-module": 113, "inferred-part": 55, "card-sum": 18,
    "engine-sum": 40, "accelerator-only": 171, "accelerator-power": 2, "mcu-supply-only": 70, "wall-power": 101, "unstated-power-point": 19,
    "no-inference": 24, "reduced-power-mode": 203, "unstated-power-mode": 371, "pinned-clocks": 130, "not-reproduced": 1, "cpu-fallback": 56,
    "partial-offload": 19, "npu-collapse": 1, "single-core": 52, "multi-thread": 29, "loaded-latency": 21, "batched": 254, "batch-latency": 30,
    "server-concurrency": 28, "speculative": 12, "inferred-unit": 250, "energy-run": 23, "sparse-weights": 16, "range-end": 70, "low-confidence": 70,
    "superseded": 14, "unstable-source": 14, "suspected-copy": 2, "copy-error": 18, "unofficial-run": 15, "short-run": 2, "range-upper": 146,
    "serial": 43, "slower-setting": 181, "larger-batch": 160, "unstated-precision": 527, "other-width": 24,
}  # fmt: skip
"""rows of the shipped file under each rule: a rule that loses some of them was broken, or the source was reworded"""
DEPENDS_ON_WORKLOADS = {"other-shape": (20, 200), "unstated-shape": (100, 600)}
"""these two follow the reference inputs of workloads.csv, which grows"""

OUTSIDE: dict[str, tuple[str, dict[str, str]]] = {
    "other-shape": ("p28176e94ed", {"input_shape": "1x224x224x3"}),
    "unstated-shape": ("p1e5fc6b150", {"input_shape": "1x3x224x224"}),
    "unstated-precision": ("p040964cbb0", {"precision": "w4a16"}),
    "open-division": ("p03bff31e70", {"note": "MLPerf Inference v5.1 closed division, submitter NVIDIA"}),
    "changed-model": ("p0184837e07", {"condition": "classes=80"}),
    "unnamed-model": ("p14d72443d2", {"note": "Llama 3.2 1B Q8_0"}),
    "broken-accuracy": ("p12cb216f43", {"precision": "fp16"}),
    "quality-loss": ("p4241060364", {"note": "mean of repeated runs; perplexity 24.46"}),
    "per-call": ("p2226ab401a", {"workload": "whisper_small_e2e"}),
    "other-width": ("pfff0c261c6", {"model_name_in_source": "MobileNet v1 1.0"}),
    "whole-pipeline": ("p0955c0ba98", {"note": "inference only"}),
    "proxy": ("p00063933db", {"board": "QCS8275 EVK"}),
    "sibling": ("p00e4b2545c", {"soc": "QCS9075"}),
    "unnamed-board": ("p01778bd675", {"board": "Radxa ROCK 5B"}),
    "unstated-module": ("p081b85489d", {"soc_variant": "8T"}),
    "other-module": ("p112a274859", {"soc_variant": "STM32H743"}),
    "inferred-part": ("p0d1d9ab8b1", {"note": "maintainer reply"}),
    "card-sum": ("p11abe9a9a0", {"note": "one chip", "soc_variant": "single chip"}),
    "engine-sum": ("p1fba3d9087", {"note": "images/s of one DLA core; GPU and both DLAs are used elsewhere"}),
    "accelerator-only": ("pbb7c78da14", {"soc": "Hailo-15H"}),
    "accelerator-power": ("pbe7c9efcfa", {"metric": "latency_ms"}),
    "mcu-supply-only": ("p032e6a264e", {"metric": "throughput_fps"}),
    "wall-power": ("p067cc075ce", {"note": "power of the board rail", "condition": "power=rail"}),
    "unstated-power-point": ("p1df60b844b", {"note": "at the 12 V input", "condition": "power=board"}),
    "no-inference": ("p61422233e8", {"metric": "latency_ms"}),
    "reduced-power-mode": ("p023e36ff4a", {"condition": "power_mode=Super"}),
    "unstated-power-mode": ("p01d831ed3a", {"note": "MAXN"}),
    "pinned-clocks": ("p02aeda4525", {"source_kind": "third_party"}),
    "not-reproduced": ("p5fe7a7047e", {"condition": "origin=user"}),
    "cpu-fallback": ("p0625e67d31", {"compute_unit": "npu"}),
    "partial-offload": ("p04ab84f2d0", {"note": "layers {'total': 140, 'npu': 140}"}),
    "npu-collapse": ("p3dba485b5c", {"note": "only 44/88 operators converted"}),
    "single-core": ("p036cbf7ac3", {"note": "three NPU cores"}),
    "multi-thread": ("p0770400d4e", {"condition": "threads=1"}),
    "loaded-latency": ("p07c115a4b8", {"condition": "threads=1"}),
    "batched": ("p62efcfd02a", {"condition": "scenario=SingleStream;round=v4.1;maxq=False"}),
    "batch-latency": ("p0db0b2042e", {"batch": "1"}),
    "server-concurrency": ("p037d9eb4d8", {"batch": "1"}),
    "speculative": ("p0031fe6b17", {"condition": "prompt=61;mode=vanilla"}),
    "inferred-unit": ("p000f6cb77c", {"condition": "export=TensorRT (FP32)"}),
    "energy-run": ("p01adbeebbf", {"condition": "run=performance"}),
    "sparse-weights": ("p2f35edc623", {"condition": "power_mode=MAXN;weights=dense"}),
    "range-end": ("p040471675e", {"condition": "context_length=4096"}),
    "low-confidence": ("p3bef167ae7", {"note": "user measurement; one file of ~11 s"}),
    "superseded": ("p134b8f81bb", {"note": "module vendor model card"}),
    "unstable-source": ("p32e371961c", {"note": "ITRI AI Hub table"}),
    "suspected-copy": ("p1fb6d4cd43", {"metric": "decode_tok_s"}),
    "copy-error": ("p914d1995cc", {"note": "NPU/MCU mode"}),
    "unofficial-run": ("p0de2657a18", {"note": "closed division, submitter NVIDIA"}),
    "short-run": ("p437bba14ae", {"note": "best-performance run"}),
    "range-upper": ("p05adcb1f88", {"note": "peak of the run"}),
    "serial": ("p01471a7539", {"condition": ""}),
}
"""a shipped row under the rule, and the least change that takes it out"""


@cache
def shipped() -> tuple[Figure, ...]:
    return figures.read([SHIPPED])


@cache
def rows() -> dict[str, dict[str, str]]:
    with (SHIPPED / figures.NAME).open(newline="", encoding="utf-8") as file:
        return {row["row_id"]: row for row in csv.DictReader(file)}


def judged(folder: Path, *changed: dict[str, str]) -> tuple[Figure, ...]:
    folder.mkdir(exist_ok=True)
    for name in ("socs.csv", "workloads.csv"):
        shutil.copy(SHIPPED / name, folder / name)
    with (folder / figures.NAME).open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rowid.COLUMNS)
        table.writeheader()
        table.writerows(changed)
    return figures.read([folder])


def changed(folder: Path, identity: str, **cells: str) -> Figure:
    (figure,) = judged(folder, {**rows()[identity], **cells})
    return figure


def codes(figure: Figure) -> set[str]:
    return {flag.code for flag in figure.flags}


def by_id(identity: str) -> Figure:
    return next(one for one in shipped() if one.id == identity)


def test_each_rule_touches_exactly_the_shipped_rows_it_was_written_for() -> None:
    found = Counter(flag.code for one in shipped() for flag in one.flags)
    assert {code: count for code, count in found.items() if code not in DEPENDS_ON_WORKLOADS} == COUNTS
    for code, (least, most) in DEPENDS_ON_WORKLOADS.items():
        assert least <= found[code] <= most


def test_every_rule_is_tried_on_both_sides() -> None:
    assert set(OUTSIDE) | {"slower-setting", "larger-batch"} == set(rules.CODES)
    assert set(COUNTS) | set(DEPENDS_ON_WORKLOADS) == set(rules.CODES)


@pytest.mark.parametrize("code", OUTSIDE)
def test_a_rule_holds_for_its_row_and_not_for_the_row_just_outside(code: str, tmp_path: Path) -> None:
    identity, cells = OUTSIDE[code]
    assert code in codes(by_id(identity))
    assert code in codes(changed(tmp_path / "in", identity)), "the row alone is judged as it is among the others"
    assert code not in codes(changed(tmp_path / "out", identity, **cells))


@pytest.mark.parametrize("code", rules.CODES)
def test_every_rule_says_why_in_every_language_and_states_itself(code: str) -> None:
    assert len({say(f"flag-{code}", language) for language in LANGUAGES}) == len(LANGUAGES)
    if code in rules.RULES:
        assert rules.RULES[code].states.endswith(".")


@pytest.mark.parametrize(
    ("code", "bars"),
    [
        ("open-division", BOTH), ("cpu-fallback", BOTH), ("broken-accuracy", BOTH), ("reduced-power-mode", BOTH), ("card-sum", BOTH),
        ("sparse-weights", BOTH), ("server-concurrency", BOTH), ("whole-pipeline", BOTH), ("superseded", BOTH), ("suspected-copy", BOTH),
        ("unstable-source", BOTH), ("loaded-latency", BOTH), ("batch-latency", BOTH), ("slower-setting", BOTH), ("changed-model", BOTH),
        ("sibling", RANK), ("quality-loss", RANK), ("other-shape", RANK), ("other-width", BOTH), ("range-end", RANK),
        ("larger-batch", RANK),
        ("batched", ESTIMATE), ("speculative", ESTIMATE), ("engine-sum", ESTIMATE), ("npu-collapse", ESTIMATE),
        ("serial", ()), ("proxy", ()), ("single-core", ()), ("pinned-clocks", ()), ("multi-thread", ()), ("wall-power", ()), ("copy-error", ()),
    ],
)  # fmt: skip
def test_a_rule_bars_what_it_should(code: str, bars: tuple[str, ...]) -> None:
    assert {flag.bars for one in shipped() for flag in one.flags if flag.code == code} == {bars}


def test_a_named_board_of_the_very_part_is_sure_to_a_tenth() -> None:
    plain = [one for one in shipped() if not one.flags]
    assert len(plain) > 100
    assert {one.sigma for one in plain} == {rules.BASE} == {0.10}


@pytest.mark.parametrize(
    ("code", "sigma"),
    [("proxy", 0.25), ("sibling", 0.25), ("unnamed-board", 0.25), ("other-module", 0.25), ("pinned-clocks", 0.40), ("low-confidence", 0.50)],
)
def test_a_figure_under_a_rule_is_no_surer_than_the_rule_allows(code: str, sigma: float) -> None:
    assert rules.RULES[code].sigma == sigma
    assert min(one.sigma for one in shipped() if code in codes(one)) == sigma


def test_more_doubts_never_make_a_figure_surer() -> None:
    for one in shipped():
        limits = [rules.RULES[flag.code].sigma for flag in one.flags if flag.code in rules.RULES]
        assert one.sigma == max([rules.BASE, *limits])


def test_only_the_single_core_columns_of_the_model_zoo_may_be_turned_into_a_latency(tmp_path: Path) -> None:
    found = [one for one in shipped() if rules.serial(one)]
    assert {one.soc for one in found} == {"RK3588", "RK3576"}
    assert {one.metric for one in found} == {"throughput"}
    assert all(one.usable("rank") and one.usable("estimate") for one in found if one.workload == "yolov8n")
    assert not rules.serial(changed(tmp_path / "batch", found[0].id, batch="8"))
    assert not rules.serial(changed(tmp_path / "repo", found[0].id, source_repo="somebody/else"))
    assert not rules.serial(changed(tmp_path / "metric", found[0].id, metric="prefill_tok_s"))


def test_no_figure_of_hailo_ascend_or_a_batch_is_serial() -> None:
    assert not [one for one in shipped() if rules.serial(one) and (one.soc.startswith(("Hailo", "Ascend", "RDK")) or one.batch != 1)]


def test_the_altered_model_of_mlperf_is_never_ranked_as_resnet50() -> None:
    found = [one for one in shipped() if one.board == "Alibaba E-Series SinianML (RK3588)"]
    assert len(found) == 8
    assert {one.workload for one in found} == {"resnet50_sinian_optimized"}
    assert not any(one.usable("rank") or one.usable("estimate") for one in found)


def test_the_fastest_setting_of_a_source_stays_and_the_others_are_barred(tmp_path: Path) -> None:
    row = rows()["p1e5fc6b150"]
    settings = [{**row, "row_id": f"p{n}", "value": str(60 - 10 * n), "condition": f"threads={n};powersave=0"} for n in (1, 2, 4)]
    other = {**row, "row_id": "p9", "value": "99", "condition": "threads=1;powersave=0;clip=b"}
    found = {one.id: "slower-setting" in codes(one) for one in judged(tmp_path, *settings, other)}
    assert found == {"p1": True, "p2": True, "p4": False, "p9": False}


def test_for_a_throughput_the_fastest_setting_is_the_greatest(tmp_path: Path) -> None:
    row = {**rows()["p00a69dadf3"], "metric": "throughput_fps"}
    pair = [{**row, "row_id": "p1", "value": "80", "condition": "threads=1"}, {**row, "row_id": "p2", "value": "90", "condition": "threads=2"}]
    assert ["slower-setting" in codes(one) for one in judged(tmp_path, *pair)] == [True, False]


def test_a_throughput_of_one_item_at_a_time_goes_before_that_of_a_batch_from_the_same_source(tmp_path: Path) -> None:
    row = {**rows()["p62efcfd02a"], "condition": ""}
    one, eight = ({**row, "row_id": f"p{batch}", "batch": batch} for batch in ("1", "8"))
    assert [("larger-batch" in codes(figure)) for figure in judged(tmp_path / "both", one, eight)] == [False, True]
    assert [("larger-batch" in codes(figure)) for figure in judged(tmp_path / "alone", eight)] == [False]


def test_threads_beside_a_gpu_are_those_of_the_host(tmp_path: Path) -> None:
    assert "loaded-latency" not in codes(changed(tmp_path, "p07c115a4b8", compute_unit="gpu"))


def test_two_sources_that_disagree_are_both_kept(tmp_path: Path) -> None:
    row = {**rows()["p00a69dadf3"], "metric": "latency_ms"}
    pair = [{**row, "row_id": "p1", "value": "8", "condition": "threads=1"}, {**row, "row_id": "p2", "value": "9", "source_path": "other.md"}]
    assert not any("slower-setting" in codes(one) for one in judged(tmp_path, *pair))


@pytest.mark.parametrize(
    ("cells", "reduced"),
    [
        ({"condition": "power_mode=MAXN_SUPER"}, False),
        ({"condition": "power_mode=25W"}, True),
        ({"condition": "", "board": "Jetson Orin Nano Super 25W"}, True),
        ({"condition": "", "source_date": "2024-11-30"}, True),
        ({"condition": "", "source_date": "2024-12-01"}, False),
        ({"condition": "", "source_date": "2024"}, False),
        ({"condition": "", "source_date": "2023"}, True),
        ({"condition": "", "source_date": ""}, False),
        ({"condition": "", "source_date": "2023-01-01", "soc": "Jetson AGX Orin"}, False),
        ({"condition": "maxq=True"}, True),
        ({"condition": "maxq=False"}, False),
        ({"condition": "power_mode=15W", "metric": "peak_memory_mb"}, False),
        ({"condition": "", "note": "25 W mode with jetson_clocks"}, True),
    ],
)
def test_a_mode_below_the_maximum_is_recognised(tmp_path: Path, cells: dict[str, str], reduced: bool) -> None:
    row = {"source_date": "2026-01-01", "note": "", "board": "Jetson Orin Nano 8GB", **cells}
    assert ("reduced-power-mode" in codes(changed(tmp_path, "p023e36ff4a", **row))) is reduced


def test_yolo26n_as_tensorrt_on_agx_orin_is_barred_if_it_is_added(tmp_path: Path) -> None:
    cells = {"workload": "yolo26n", "runtime": "tensorrt"}
    assert "broken-accuracy" in codes(changed(tmp_path / "a", "p000f6cb77c", **cells, precision="fp16"))
    assert "broken-accuracy" not in codes(changed(tmp_path / "b", "p000f6cb77c", **cells, precision="int8"))


def test_the_named_siblings_are_exactly_the_published_parts_that_are_no_entry() -> None:
    with (SHIPPED / "socs.csv").open(newline="", encoding="utf-8") as file:
        entries = {row["published_as"] for row in csv.DictReader(file)}
    assert {row["soc"] for row in rows().values()} - entries == set(part.SIBLINGS)


def test_a_figure_without_a_variant_is_of_the_plain_part_where_there_is_one(tmp_path: Path) -> None:
    plain = changed(tmp_path / "plain", "p01471a7539", soc="RK3588")
    assert "unstated-module" not in codes(plain)
    assert "unstated-module" in codes(changed(tmp_path / "none", "p01471a7539", soc="Jetson AGX Orin"))
    assert "unstated-module" not in codes(changed(tmp_path / "board", "p01471a7539", soc="Jetson AGX Orin", board="Jetson AGX Orin 64GB"))


def test_without_a_catalogue_a_figure_is_not_called_a_sibling(tmp_path: Path) -> None:
    judged(tmp_path, rows()["p00e4b2545c"])
    (tmp_path / "socs.csv").unlink()
    (figure,) = figures.read([tmp_path])
    assert "sibling" not in codes(figure)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ("1x3x640x640", (640, 640)), ("bsx3x416x416", (416, 416)), ("1x640x640x3", (640, 640)), ("640x640", (640, 640)), ("3x224x256", (224, 256)),
        ("1x3x1280x768", (768, 1280)), ("1x640", None), ("1x49x10x1", None), ("", None), ("seq384", None), ("30 s audio", None),
        ("1x296x39", (39, 296)), ("1024x1024", (1024, 1024)), ("1x3", None), ("9" * 5000, None), ("1x3xax640", None),
    ],
)  # fmt: skip
def test_the_size_of_an_image_is_read_from_every_way_of_writing_it(shape: str, wanted: tuple[int, int] | None) -> None:
    assert number.plane(shape) == wanted


def test_the_evidence_page_names_every_rule_with_what_it_bars_and_every_source() -> None:
    page = (SHIPPED / "README.md").read_text(encoding="utf-8")
    uses = {"rank": "ranking", "estimate": "estimating"}
    for rule in rules.RULES.values():
        bars = " and ".join(uses[use] for use in rule.bars) or "nothing"
        assert f"| `{rule.code}` | {say(f'flag-{rule.code}')} | {bars} | {f'{rule.sigma:.2f}' if rule.sigma else ''} |" in page
    for source, count in Counter(row["source_repo"] for row in rows().values()).items():
        assert f"| {source} | {count} |" in page
    assert all(f"`{metric}`" in page for metric in figures.METRICS)
