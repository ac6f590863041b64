"""What would measure what is not known: from the files of targets/ and workloads/, in the same words on the page and in the terminal."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.decide.catalogue import Catalogue
from harness.decide.learn import ON_CPU, How, Learn
from harness.decide.market import Market, folders
from harness.decide.measured import soc_of
from harness.decide.terms import Cell
from harness.quantity import Evidence, Kind, Unit
from harness.spec import Zoo
from harness.words import say
from reports.build import document_of
from reports.gather import gather
from tests.records import make_record

CATALOGUE = Catalogue.read(folders())
ZOO = Zoo()


def asked(soc: str, workload: str = "yolov8n", metric: str = "latency") -> Cell:
    """A question that nothing answers."""
    return Cell(soc, metric, workload, None, Unit.SECOND, Evidence(Kind.MISSING))


def told(how: How) -> str:
    """The sentences in English."""
    return " ".join(say(one.key, "en", **one.values) for one in how.said)


def keys(how: How) -> list[str]:
    """Which sentences they are."""
    return [one.key for one in how.said]


def test_every_module_of_a_target_with_an_entry_of_the_catalogue_is_measured_by_that_target() -> None:
    learn = Learn(CATALOGUE)
    found = set()
    for name in ZOO.target_files:
        for module in ZOO.target(name).modules.values():
            soc = soc_of(make_record(n=3, module=module.title), CATALOGUE)
            if soc.id not in CATALOGUE.socs:  # a module that no scenario can choose
                continue
            how = learn.how(asked(soc.id))
            assert how.command == f"nox -s bench-{name} -- --host user@board --workload yolov8n"
            assert module.title in told(how)
            found.add(name)
    assert found == set(ZOO.target_files) - {"host"}


def test_every_command_names_a_target_a_workload_and_an_option_that_exist() -> None:
    learn = Learn(CATALOGUE)
    for soc in CATALOGUE.socs:
        for workload in ZOO.workload_files:
            command = learn.how(asked(soc, workload)).command
            if command:
                session, host, named = re.fullmatch(r"nox -s bench-([\w-]+) -- (--host user@board )?--workload ([\w.-]+)", command).groups()  # type: ignore[union-attr]
                assert (session in ZOO.target_files, named) == (True, workload)
                assert host


def test_a_target_of_ones_own_changes_the_command_and_no_list_is_edited(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    text = ZOO.target_files["rk3588"].read_text().partition("[modules.rk3588j]")
    modules = '[modules.pi5]\ntitle = "BCM2712 (Raspberry Pi 5)"\ncompatible = ["raspberrypi,5*"]\n\n'
    (tmp_path / "targets" / "pi5.toml").write_text(text[0] + modules + text[2][text[2].index("[pin.cpu]") :])
    assert keys(Learn(CATALOGUE).how(asked("bcm2712-raspberry-pi-5")))[0] == "page-how-no-target"
    how = Learn(CATALOGUE, zoo=Zoo([tmp_path])).how(asked("bcm2712-raspberry-pi-5"))
    assert how.command == "nox -s bench-pi5 -- --host user@board --workload yolov8n"


def test_a_runtime_that_only_computes_on_the_cpu_promises_no_npu() -> None:
    how = Learn(CATALOGUE).how(asked("rk3588"))
    assert keys(how) == ["page-how-board", "page-how-cpu"]
    assert "with onnxruntime, on the CPU" in told(how)
    assert "no runtime for an NPU or a GPU yet" in told(how)


def test_where_another_runtime_opens_the_workload_nothing_is_said_of_the_cpu(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    text = ZOO.target_files["qcs6490"].read_text().replace("[modules.qcs6490]\n", "[modules.qcs9075]\n").replace('"QCS6490"\nc', '"QCS9075"\nc')
    more = '\n[runtimes.qnn]\nopens = ["onnx/fp32"]\npackage = "qnn"\ninstall = "none"\n'
    (tmp_path / "targets" / "qcs9075.toml").write_text(text + more)
    how = Learn(CATALOGUE, zoo=Zoo([tmp_path])).how(asked("qcs9075"))
    assert keys(how) == ["page-how-board", "page-how-runs"]
    assert "onnxruntime, qnn" in told(how)
    assert "CPU" not in told(how)


def test_the_runtimes_that_are_said_to_compute_on_the_cpu_do() -> None:
    assert {one for name in ZOO.target_files for one in ZOO.target(name).runtimes} >= ON_CPU
    assert 'PROVIDERS = ["CPUExecutionProvider"]' in ZOO.half("runtimes", "onnxruntime").read_text()
    assert "no layer was asked to leave the CPU" in ZOO.half("runtimes", "llamacpp").read_text()


@pytest.mark.parametrize(
    ("soc", "workload", "metric", "first"),
    [
        ("qcs9075", "yolov8n", "latency", "page-how-no-target"),
        ("hailo-8", "yolov8n", "latency", "page-how-beside"),
        ("stm32n6", "yolov8n", "latency", "page-how-mcu"),
        ("rk3588", "yolo11n", "latency", "page-how-no-workload"),
        ("rk3588", "", "price", "page-how-ask"),
    ],
)
def test_where_no_command_measures_it_there_is_none_and_the_next_step_is_said(soc: str, workload: str, metric: str, first: str) -> None:
    how = Learn(CATALOGUE).how(asked(soc, workload, metric))
    assert how.command == ""
    assert keys(how)[0] == first
    assert "docs/extending.md" in told(how) or "published.csv" in told(how) or "facts.csv" in told(how)


def test_energy_says_that_it_needs_a_sensor_or_a_meter() -> None:
    assert "page-how-energy" in keys(Learn(CATALOGUE).how(asked("rk3588", metric="energy")))


def test_a_machine_that_was_measured_is_measured_as_the_host() -> None:
    host = soc_of(make_record(n=3, module="Fixture CPU"), CATALOGUE)
    assert Learn(CATALOGUE, (host,)).how(asked(host.id, "resnet50")).command == "nox -s bench-host -- --workload resnet50"


def test_page_and_terminal_say_the_same_command_and_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "999")
    with contextlib.chdir(tmp_path):  # where nothing was measured
        assert main(["select", "edge-llm"]) == 0
    text = capsys.readouterr().out
    document: dict[str, Any] = document_of(gather(Market.load()))
    scenario = next(one for one in document["scenarios"] if one["id"] == "edge-llm")
    words, commands = document["words"]["en"], 0
    assert scenario["advice"]
    for one in scenario["advice"]:
        if document["metrics"][one["m"]]["of"] == "part":
            continue
        how, values = document["hows"][document["cells"][one["c"]]["h"]], {"soc": document["socs"][one["s"]]["name"], "workload": one["w"]}
        for key, *own in how["n"]:
            assert words[key].format(**values, **(own[0] if own else {})) in text
        if "c" in how:
            assert f"    {how['c']}{one['w']}\n" in text
            commands += 1
    assert commands


def test_every_cell_of_the_page_knows_what_would_answer_it() -> None:
    document = document_of(gather(Market.load()))
    assert all(0 <= one["h"] < len(document["hows"]) for one in document["cells"])
    assert len(json.dumps(document["hows"])) < 20_000
