"""socbench select, explain and list: the answer in a terminal, in a pipe and as JSON, and every request that cannot be carried out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from harness.cli import main
from harness.decide.scenario import get, known
from harness.decide.shown import value_text
from harness.decide.terms import METRICS
from harness.store import Store
from tests import lab
from tests.facts import SHIPPED
from tests.lab import PATIENCE_S, ROOT
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

cache = lab.cache
FEW = ("--soc", "rk3588", "--soc", "qcs6490", "--soc", "RK3576")
"""Three SoCs, where it does not matter how many there are."""


def said(*words: str | Path, terminal: bool = False) -> str:
    """What a command that succeeds prints on stdout, into a pipe or into a terminal."""
    out = io.StringIO()
    out.isatty = lambda: terminal  # type: ignore[method-assign]
    with contextlib.redirect_stdout(out):
        assert main([str(word) for word in words]) == 0
    return out.getvalue()


def strict(text: str) -> Any:
    """A JSON document as any program reads it: without Infinity and NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The message of a command that could not be carried out: what is wrong and the fix, and no traceback."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("socbench: ")
    assert "\n  fix: " in err
    assert "Traceback" not in err
    return err


@pytest.fixture(scope="module", autouse=True)
def _elsewhere(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder without results, so that nothing measured on this machine is in the answers, and room for all columns."""
    with contextlib.chdir(tmp_path_factory.mktemp("elsewhere")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "999")
        yield


@pytest.fixture(scope="module")
def text() -> str:
    return said("select", "edge-llm")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = strict(said("select", "edge-llm", "--json"))
    return found


def entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["decision"]["entries"]
    return found


# --- select ----------------------------------------------------------------------------------------------------------------------------


def test_select_begins_with_the_scenario_and_the_answer(text: str, document: dict[str, Any]) -> None:
    scenario = get("edge-llm")
    lines = text.splitlines()
    assert lines[0] == scenario.title["en"]
    assert lines[1] == scenario.product["en"]
    assert lines[2].startswith("Limits: memory ≥ 8.00\u2009GiB, decode rate of llama-3.2-1b ≥ ")
    assert "(yours)" not in text
    decision = document["decision"]
    first = decision["shortlist"][0] if decision["word"] == "shortlist" else decision["leader"]
    assert SHIPPED.socs[first].name in lines[4]


def test_select_prints_a_table_of_the_ranking_with_every_limit_and_criterion(text: str, document: dict[str, Any]) -> None:
    lines = text.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("SoC "))
    head, ranked = re.split(r" {2,}", lines[at]), [re.split(r" {2,}", line.strip()) for line in lines[at + 2 : at + 14]]
    assert lines[at - 1] == "by expected value: the mean over the draws, nothing where a limit fails"
    assert head[:4] == ["SoC", "value", "P(best)", "P(feasible)"]
    assert len(head) == 4 + len({one.id for one in get("edge-llm").limits} | {one.id for one in get("edge-llm").criteria})
    left = [one for one in entries(document) if not one["ruled_out"]]
    assert [row[0] for row in ranked] == [SHIPPED.socs[one["soc"]].name for one in left[:12]]
    assert [row[1] for row in ranked] == [f"{one['score']:.2f}" for one in left[:12]]
    assert [row[2] for row in ranked] == [f"{one['best']:.2f}" for one in left[:12]]
    assert all(len(row) == len(head) for row in ranked)
    assert all(re.search(" [✓✗?]$", row[4]) for row in ranked), "a limit says whether it is met"
    assert f"and {len(left) - 12} more SoCs; --json has all" in text


def test_select_names_what_is_ruled_out_by_which_limit_and_explains_its_signs(text: str, document: dict[str, Any]) -> None:
    out = [one for one in entries(document) if one["ruled_out"]]
    assert f"ruled out ({len(out)}):" in text
    line = re.search(r"^  by memory \(≥ 8\.00\u2009GiB\): (.*)$", text.partition("ruled out (")[2], re.MULTILINE)
    assert line
    for one in out:
        value = next(finding["cell"]["value"] for finding in one["findings"] if finding["limit"] == "memory")
        assert f"{SHIPPED.socs[one['soc']].name} {value_text(value, 'memory')}" in line[1]
    for sign in "●◐○◌≈–✓✗?":
        assert sign in text.splitlines()[-2]
    assert re.search(r"socbench explain edge-llm [\w-]+$", text.strip())


def test_of_many_that_a_limit_rules_out_the_six_nearest_are_named() -> None:
    words = ("select", "edge-llm", "--limit", "memory=128GB")
    line = re.search(r"^  by memory \(≥ 128\u2009GiB\): (.*) and (\d+) more$", said(*words), re.MULTILINE)
    assert line
    values = {}
    for one in entries(strict(said(*words, "--json"))):
        first = next((finding for finding in one["findings"] if finding["state"] == "not met"), None)
        if first and first["limit"] == "memory":
            values[SHIPPED.socs[one["soc"]].name] = first["cell"]["value"]
    nearest = sorted(values, key=lambda name: (-values[name], f"{name} "))[:6]
    assert line[1] == ", ".join(f"{name} {value_text(values[name], 'memory')}" for name in nearest)
    assert int(line[2]) == len(values) - 6


def test_select_says_how_to_run_the_leader(text: str, document: dict[str, Any]) -> None:
    leader = next(one for one in entries(document) if one["soc"] == document["decision"]["leader"])
    line = next(one for one in text.splitlines() if one.startswith("  Run it with: "))
    assert line.endswith(f"({SHIPPED.socs[leader['soc']].name})")
    for workload, option in leader["options"].items():
        assert f"{workload}: {option['runtime']}, {option['precision']} on {option['compute_unit']}" in line


def test_select_says_how_many_are_not_compared_unless_some_are_named(text: str) -> None:
    roles = Counter(one.role.value for one in SHIPPED.socs.values())
    counts = f"{roles['accelerator']} accelerator, {roles['card']} card, {roles['mcu']} mcu"
    assert f"\nnot compared, since the scenario takes only soc: {counts}; --soc NAME compares one all the same\n" in text
    assert "not compared" not in said("select", "edge-llm", *FEW)


def test_select_explains_its_numbers_in_two_lines_before_the_signs(text: str) -> None:
    first, second = text.splitlines()[-4:-2]
    assert first.startswith("P(best): ")
    assert "; P(feasible): " in first
    assert second.startswith("value: ")


def test_a_limit_of_the_command_line_is_marked_as_the_readers_own() -> None:
    found = said("select", "vision-gateway", "--limit", "tdp=8W", "--limit", "asil=B", "--limit", "decode:llama-3.2-3b=5t/s", *FEW)
    line = found.splitlines()[2].replace("\u2009", " ")
    yours = "power ≤ 8.00 W (yours), functional safety ≥ ASIL-B / SIL-2 (yours), decode rate of llama_3_2_3b ≥ 5.00 /s (yours)"
    assert line == f"Limits: throughput of yolov8n ≥ 30.0 /s, {yours}"


def test_a_question_without_limits_says_so() -> None:
    assert "\nLimits: none\n" in said("select", "vision-gateway", "--limit", "fps=none", "--limit", "power=none", *FEW)


def test_the_json_document_has_the_scenario_and_every_entry_in_full(document: dict[str, Any]) -> None:
    assert document["scenario"]["id"] == "edge-llm"
    assert {one["soc"] for one in entries(document)} == {one.id for one in SHIPPED.socs.values() if one.role.value == "soc"}
    for one in entries(document):
        assert [part["criterion"] for part in one["parts"]] == [goal.id for goal in get("edge-llm").criteria]
        assert [finding["limit"] for finding in one["findings"]] == [limit.id for limit in get("edge-llm").limits]
        assert 0 <= one["best"] <= 1


def test_only_the_socs_that_are_named_are_ranked_with_the_scores_they_have_among_all(document: dict[str, Any]) -> None:
    found = entries(strict(said("select", "edge-llm", *FEW, "--json")))
    assert {one["soc"] for one in found} == {"rk3588", "qcs6490", "rk3576"}
    among_all = {one["soc"]: one["score"] for one in entries(document)}
    assert {one["soc"]: one["score"] for one in found} == pytest.approx({one["soc"]: among_all[one["soc"]] for one in found})


def test_a_limit_and_a_weight_of_the_command_line_change_the_question() -> None:
    words = (
        "--limit",
        "memory=64GB",
        "--limit",
        "price=2000USD",
        "--limit",
        "decode:llama-3.2-1b=none",
        "--weight",
        "price=0",
        "--weight",
        "power=90",
    )
    found = strict(said("select", "edge-llm", *words, *FEW, "--soc", "jetson-agx-orin-64gb", "--json"))
    assert {one["limit"] for one in entries(found)[0]["findings"]} == {"memory", "price"}
    by_soc = {one["soc"]: {finding["limit"]: finding["state"] for finding in one["findings"]} for one in entries(found)}
    assert by_soc["rk3588"]["memory"] == "not met"
    assert by_soc["jetson-agx-orin-64gb"]["memory"] == "met"
    weights = {one["metric"]: one["weight"] for one in found["scenario"]["criteria"]}
    assert weights["power"] == 90
    assert "price" not in weights


@pytest.mark.parametrize(("columns", "terminal"), [(70, True), (80, False), (100, False)])
def test_every_line_fits_the_columns_there_are(monkeypatch: pytest.MonkeyPatch, columns: int, terminal: bool) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    found = said("select", "vision-gateway", terminal=terminal)
    assert [line for line in found.splitlines() if len(line) > columns] == []
    head = next(line for line in found.splitlines() if line.startswith("SoC "))
    assert 3 < len(re.split(r" {2,}", head)) < 10
    assert re.search(r"and \d+ more columns; --json has all", found)


def test_a_pipe_has_160_columns() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "harness", "select", "vision-gateway"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    assert 120 < max(len(line) for line in done.stdout.splitlines()) <= 160


def test_an_interval_of_the_table_has_its_unit_once() -> None:
    assert re.search(r"≈ [\d.]+\u2009/s \([\d.\u2009]+–[\d.\u2009]+\)", said("select", "vision-gateway"))


def test_a_scenario_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "my-product.toml"
    path.write_text(known()["edge-llm"].read_text().replace('en = "Language model at the edge"', 'en = "Our product"'))
    found = said("select", path, *FEW)
    assert found.startswith("Our product\n")
    assert "my-product" in found.splitlines()[-1]


def test_when_nothing_can_meet_the_limits_the_answer_says_so() -> None:
    found = said("select", "edge-llm", "--limit", "memory=900GB", *FEW)
    assert "ruled out (3):\n  by memory (≥ 900\u2009GiB): " in found
    assert "P(best)" not in found, "there is no table without a row, and no legend of it"


# --- requests that cannot be carried out -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("edge-lm",), ("unknown scenario 'edge-lm'", "did you mean 'edge-llm'?")),
        (("edge-llm", "--limit", "powr=3W"), ("--limit", "'powr'", "did you mean 'power'?", "socbench list limits")),
        (("edge-llm", "--limit", "power"), ("--limit power: not NAME=VALUE", "--limit power=15W")),
        (("edge-llm", "--limit", "power="), ("--limit power=: not NAME=VALUE", "--limit power=15W")),
        (("edge-llm", "--limit", "power=3X"), ("--limit", "'3X'", "15 W")),
        (("edge-llm", "--limit", "latency=3ms"), ("--limit", "which workload?", "latency:llama-3.2-1b=3ms")),
        (("edge-llm", "--limit", "price=none"), ("--limit", "no limit 'price'", "memory")),
        (("edge-llm", "--weight", "prize=3"), ("--weight", "no criterion 'prize'", "did you mean 'price'?")),
        (("edge-llm", "--weight", "price"), ("--weight price: not NAME=VALUE", "--weight latency=3")),
        (("edge-llm", "--weight", "price=-1"), ("--weight", "'-1'", "write a weight such as 3")),
        (("edge-llm", "--weight", "decode=3"), ("--weight", "which workload?", "decode:llama-3.2-1b")),
        (("nowhere.toml",), ("nowhere.toml", "fix")),
        (("edge-llm", "--results", "nowhere"), ("--results nowhere: no such folder", "leave --results away")),
        (("edge-llm", "--evidence", "nowhere"), ("nowhere: no such folder", "--evidence")),
    ],
)
@pytest.mark.parametrize("command", ["select", "explain"])
def test_a_request_that_cannot_be_carried_out_names_the_option_and_the_fix(
    capsys: pytest.CaptureFixture[str], command: str, words: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    scenario, *options = words
    err = refused(capsys, command, scenario, *(["rk3588"] if command == "explain" else []), *options)
    for part in parts:
        assert part in err


def test_an_unknown_soc_or_workload_is_refused_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "select", "edge-llm", "--soc", "rk3558")
    assert "--soc: there is no SoC 'rk3558'" in err
    assert "did you mean RK3588" in err
    err = refused(capsys, "select", "edge-llm", "--limit", "latency:yolov8m8=30ms")
    assert "limits: latency:yolov8m8" in err
    assert "did you mean 'yolov8m'" in err


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('metric = "memory"', 'metric = "memry"', ("limits", "'memry'", "did you mean 'memory'")),
        ('at_least = "8 GB"', 'at_least = "8 stones"', ("limits: memory: at_least", "stones")),
        ('roles = ["soc"]', 'rolls = ["soc"]', ("rolls",)),
        ('roles = ["soc"]', 'roles = ["soc"', ("fix",)),
        ("weight = 25", "weight = -1", ("criteria: decode:llama-3.2-1b: weight", "above 0")),
    ],
)
def test_a_broken_scenario_file_is_refused_with_the_file_the_key_and_the_fix(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, old: str, new: str, parts: tuple[str, ...]
) -> None:
    path = tmp_path / "mine.toml"
    shipped = known()["edge-llm"].read_text()
    assert old in shipped
    path.write_text(shipped.replace(old, new, 1))
    err = refused(capsys, "select", path)
    for part in (str(path), *parts):
        assert part in err


def test_a_broken_row_of_an_evidence_folder_is_refused_with_its_file_and_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "socs.csv").write_text("name,vendor,family,form,published_as,variant,role,role_reason\nOwn,We,Own,chip,,,sock,it runs Linux\n")
    err = refused(capsys, "select", "edge-llm", "--evidence", tmp_path)
    for part in ("socs.csv: row 2, column role", "'sock'", "write 'soc'"):
        assert part in err


# --- explain ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explained() -> str:
    return said("explain", "vision-gateway", "RK3588")


def test_explain_shows_every_limit_and_criterion_with_the_place_in_the_ranking(explained: str) -> None:
    scenario = get("vision-gateway")
    assert explained.startswith(f"RK3588 in: {scenario.title['en']}\nplace ")
    for one in scenario.limits:
        assert re.search(rf"^  [✓✗?] {re.escape(one.id)}: (met|not met|unknown), P [01]\.\d\d$", explained, re.MULTILINE)
        assert f"asked because: {one.reason['en']}" in explained
    total = sum(one.weight for one in scenario.criteria)
    for goal in scenario.criteria:
        assert re.search(rf"^  {re.escape(goal.id)}: utility [01]\.\d\d, weight {goal.weight / total:.0%}, ", explained, re.MULTILINE)
    assert "What would change the answer\n  " in explained


def test_explain_shows_an_address_for_every_figure(explained: str) -> None:
    figures = re.findall(r"^      source (p[0-9a-f]{10}): (.*)$", explained, re.MULTILINE)
    assert figures
    assert all(where.startswith("https://") for _, where in figures)
    found = strict(said("explain", "vision-gateway", "rk3588", "--json"))
    assert found["soc"] == "rk3588"
    cells = [one["cell"] for one in (*found["entry"]["parts"], *found["entry"]["findings"])]
    named = {identity for one in cells for identity in one["figures"]}
    assert named == set(found["sources"])
    assert {identity for identity, _ in figures} <= named
    assert all(one["url"].startswith("http") for identity, one in found["sources"].items() if identity.startswith("p"))


def test_explain_says_how_many_figures_were_not_taken_and_all_lists_each_with_its_reason(explained: str) -> None:
    left = [int(one) for one in re.findall(r"(\d+) other figures were not taken; --all lists them", explained)]
    assert left
    every = said("explain", "vision-gateway", "RK3588", "--all")
    assert "--all lists them" not in every
    told = re.findall(r"^      not taken \w+, \S.*?: (.*)$", every, re.MULTILINE)
    assert len(told) == sum(left) + len(re.findall(r"^      not taken ", explained, re.MULTILINE))
    assert all(told)


def test_explain_gives_the_sources_of_a_cell_once(explained: str) -> None:
    limits, _, criteria = explained.partition("\nCriteria\n")
    assert re.search(r"^  power: .*\n      .* published, .*, as above\n  \w", criteria, re.MULTILINE)
    sources = re.findall(r"^      source \w+: .*$", limits, re.MULTILINE)
    assert sources
    assert [one for one in sources if one in criteria] == []


def test_explain_says_what_a_figure_and_a_fact_that_were_not_taken_say() -> None:
    every = said("explain", "vision-gateway", "RK3588", "--all")
    assert re.search(r"^      not taken p\w+, \d+\.\d\u2009ms: ", every, re.MULTILINE)
    assert re.search(r"^      not taken f\w+, \d+ USD: ", every, re.MULTILINE)


def test_swapped_arguments_are_answered_with_the_command_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the arguments are swapped\n  fix: write socbench explain vision-gateway rk3588\n" in refused(
        capsys, "explain", "rk3588", "vision-gateway"
    )
    assert "write socbench explain mine.toml rk3588" in refused(capsys, "explain", "rk3588", "mine.toml")


def test_explain_of_what_is_ruled_out_names_the_limit_and_what_would_bring_it_back() -> None:
    found = said("explain", "edge-llm", "i.MX 93")
    assert "\nruled out; P(best) 0.00" in found
    assert "✗ memory: not met" in found
    assert "it is ruled out by memory" in found


def test_explain_of_a_soc_whose_role_is_not_admitted_says_how_to_rank_it_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "explain", "edge-llm", "Hailo-8")
    assert "Hailo-8 has the role 'accelerator'; the scenario edge-llm admits soc" in err
    words = re.search(r"fix: socbench (.*) ranks it", err)
    assert words
    assert "Hailo-8" in said(*words[1].split())


def test_a_record_of_the_results_folder_is_measured_evidence(tmp_path: Path) -> None:
    # At 64x64, an own workload, the figures that estimates are fitted to stay as they are.
    path = tmp_path / "mine.toml"
    path.write_text(known()["vision-gateway"].read_text().replace("resnet50", "own-net"))
    record = make_record(n=40, warmup=2, pipeline=2, latency_s=0.004, module="Board with RK3588", workload="own-net")
    Store(tmp_path).add(record)
    found = said("explain", path, "rk3588", "--results", tmp_path)
    assert re.search(r"^      2\d\d\u2009/s ● measured, .*\[onnxruntime, fp32, cpu\]$", found, re.MULTILINE)
    assert f"source {record.run_id}/latency_p50:infer: {record.run_id} (2026-11-22)" in found


# --- list ------------------------------------------------------------------------------------------------------------------------------


def table(printed: str) -> list[list[str]]:
    return [re.split(r" {2,}", line) for line in printed.splitlines()[2:]]


def test_list_scenarios_names_each_with_its_limits_and_criteria() -> None:
    found = strict(said("list", "scenarios", "--json"))
    assert [one["id"] for one in found] == list(known()) == [row[0] for row in table(said("list", "scenarios"))]
    for one in found:
        scenario = get(one["id"])
        assert one["title"] == scenario.title["en"]
        assert one["criteria"].split(", ") == [goal.id for goal in scenario.criteria]


def test_list_limits_names_every_question_with_an_example_that_can_be_asked() -> None:
    found = strict(said("list", "limits", "--json"))
    assert [one["id"] for one in found] == list(METRICS) == [row[0] for row in table(said("list", "limits"))]
    words = [word for one in found for word in ("--limit", one["example"])]
    limits = strict(said("select", "edge-llm", *words, *FEW, "--json"))["scenario"]["limits"]
    assert {one["metric"] for one in limits} == set(METRICS)
    assert {one["of"] for one in found} == {"workload", "part"}


def test_list_socs_names_the_catalogue_and_what_a_folder_of_ones_own_adds(tmp_path: Path) -> None:
    found = strict(said("list", "socs", "--json"))
    assert [one["id"] for one in found] == list(SHIPPED.socs) == [row[0] for row in table(said("list", "socs"))]
    assert {one["role"] for one in found} == {"soc", "mcu", "accelerator", "card"}
    (tmp_path / "socs.csv").write_text("name,vendor,family,form,published_as,variant,role,role_reason\nOwn 9000,We,Own,chip,,,soc,it runs Linux\n")
    more = strict(said("list", "socs", "--evidence", tmp_path, "--json"))
    assert [one for one in more if one not in found] == [{"id": "own-9000", "name": "Own 9000", "vendor": "We", "family": "Own", "role": "soc"}]


def test_list_socs_of_a_folder_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere: no such folder" in refused(capsys, "list", "socs", "--evidence", "nowhere")


# --- pipes -----------------------------------------------------------------------------------------------------------------------------


def test_a_reader_that_has_gone_is_no_reason_for_a_traceback() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "harness", "select", "edge-llm", *FEW]
    with subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=buffered) as process:
        os.close(write_end)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert err == ""
    assert process.returncode in (0, 1)
