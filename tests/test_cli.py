"""The command line: what it says of itself, what it prints for people and for programs, and how light it is."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import harness
from harness.cli import COMMANDS, main, parser
from harness.record import SCHEMA, RunRecord
from harness.store import Store, read
from tests import lab
from tests.lab import PACK, ROOT, socbench
from tests.records import failed_record, llama_record, make_problem, make_record

if TYPE_CHECKING:
    from collections.abc import Sequence

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")


def printed(capfd: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What a command that succeeds prints on stdout."""
    assert main([str(word) for word in words]) == 0
    return capfd.readouterr().out


def helped(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    return capfd.readouterr().out


# --- help ----------------------------------------------------------------------------------------------------------------------------


def examples(text: str) -> list[str]:
    """The command lines of an "examples:" section, without what explains them."""
    section = text.partition("examples:\n")[2].partition("\n\n")[0]
    return [re.split(r" {2,}", line.strip())[0] for line in re.sub(r"\\\n +", "", section).splitlines()]


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS), ("boards", "add"), ("zoo", "fetch"), ("evidence", "import")])
def test_no_line_of_a_help_is_wider_than_the_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in helped(capfd, *words).splitlines() if len(line) > 80] == []


def test_the_remark_of_an_example_that_is_too_long_goes_below_it(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert "  socbench bench host --resume\n        go on with the campaign that was interrupted\n" in helped(capfd, "bench")
    monkeypatch.setenv("COLUMNS", "150")
    assert "  socbench bench host --resume                 go on with the campaign that was interrupted\n" in helped(capfd, "bench")


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)])
def test_every_help_with_options_has_examples_and_every_example_is_understood(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    text = helped(capfd, *words)
    options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)) - {"--help", "--version"}
    found = examples(text)
    assert found or (words and not options)
    for line in found:
        name, *arguments = shlex.split(line)
        assert name == "socbench"
        assert parser().parse_args(arguments).command in words or not words


def test_every_command_is_in_the_menu_with_what_it_is_for(capfd: pytest.CaptureFixture[str]) -> None:
    text = helped(capfd)
    for name in COMMANDS:
        assert re.search(rf"^ +{name} +\w", text, re.MULTILINE)


def test_every_option_of_every_command_is_explained() -> None:
    for action in parser()._subparsers._group_actions:  # type: ignore[union-attr]
        assert isinstance(action.choices, dict)
        for name, command in action.choices.items():
            for option in command._actions:
                assert option.help or not option.option_strings, f"{name} {option.option_strings}"


def test_without_a_command_it_says_how_to_use_it(capfd: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["nonsense"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert "usage: socbench" in err


# --- list, schema, doctor ------------------------------------------------------------------------------------------------------------


def rows(text: str) -> list[list[str]]:
    """The cells of a printed table, without its header."""
    return [re.split(r" {2,}", line) for line in text.splitlines()[2:]]


@pytest.mark.parametrize(
    ("what", "ids"),
    [
        ("targets", {"host", "lab", "stuck"}),
        ("workloads", {"resnet50", "yolov8n", "yolox-s", "whisper-tiny", "llama-3.2-1b", "tiny"}),
        ("runtimes", {"onnxruntime", "llamacpp", "absent", "hangs"}),
        ("metrics", {"latency_p50", "throughput", "ttft", "energy_per_item"}),
    ],
)
def test_list_says_the_same_to_people_and_to_programs(capfd: pytest.CaptureFixture[str], what: str, ids: set[str]) -> None:
    words = ("list", what, "--zoo", PACK)
    found = json.loads(printed(capfd, *words, "--json"))
    assert ids <= {one["id"] for one in found}
    table = printed(capfd, *words)
    assert [row[0] for row in rows(table)] == [one["id"] for one in found]
    assert all(len(row) == len(found[0]) for row in rows(table) if all(found[0].values()))
    assert all(str(value) for one in found for value in one.values()), "no empty cell"


def test_an_unknown_thing_to_list_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["list", "tragets"])
    assert caught.value.code == 2
    assert "invalid choice: 'tragets'" in capfd.readouterr().err


def test_doctor_names_every_runtime_and_how_to_get_a_missing_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    part = '[runtimes.{0}]\nopens = ["onnx/fp32"]\npackage = "{0}"\ninstall = "get {0}"\n'
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "small.toml").write_text('title = "Small"\nboard = "host"\n' + part.format("chatty") + part.format("absent"))
    words = ("doctor", "small", "--zoo", PACK, "--zoo", tmp_path)
    found = json.loads(printed(capfd, *words, "--json"))
    assert found["target"] == "small"
    assert found["board"]["cpus"] >= 1
    assert "load_1min" in found["state"]
    by_topic = {one["topic"]: one for one in found["findings"]}
    assert by_topic["runtime chatty"]["ok"]
    assert "chatty 1.0" in by_topic["runtime chatty"]["what"]
    assert not by_topic["runtime absent"]["ok"]
    assert by_topic["runtime absent"]["fix"] == "get absent"
    assert str(harness.cache.root()) in by_topic["cache"]["what"]
    assert all(one["ok"] or one["fix"] for one in found["findings"]), "what is not well has a fix"

    text = printed(capfd, *words)
    assert re.search(r"^look  runtime absent: .*a_runtime_nobody_has.*\n      fix: get absent$", text, re.MULTILINE)
    assert re.search(r"^ok    runtime chatty: chatty 1.0$", text, re.MULTILINE)


def test_doctor_of_an_unknown_target_is_one_message(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "hots"]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 2)
    assert "did you mean 'host'?" in err


# --- the schema ----------------------------------------------------------------------------------------------------------------------

KINDS: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None), "array": list, "object": dict}


def wrong(value: Any, schema: dict[str, Any], top: dict[str, Any], at: str = "$") -> list[str]:  # noqa: C901
    """Where `value` is not what `schema` says: as much of JSON Schema 2020-12 as a record's schema uses, and no more."""
    known = {"$ref", "anyOf", "type", "enum", "const", "properties", "required", "additionalProperties", "items", "prefixItems"}
    assert set(schema) <= known | {"title", "description", "default", "$schema", "$defs", "minimum", "maximum"}, sorted(schema)
    if "$ref" in schema:
        return wrong(value, top["$defs"][schema["$ref"].rpartition("/")[2]], top, at)
    if "anyOf" in schema:
        tried = [wrong(value, one, top, at) for one in schema["anyOf"]]
        return [] if [] in tried else min(tried, key=len)
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    if "type" in schema:
        kind = KINDS[schema["type"]]
        if not isinstance(value, kind) or (isinstance(value, bool) and schema["type"] != "boolean"):
            return [f"{at}: {value!r} is no {schema['type']}"]
    found = []
    if isinstance(value, list) and "items" in schema and schema["items"]:
        found += [error for index, one in enumerate(value) for error in wrong(one, schema["items"], top, f"{at}[{index}]")]
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{at}: no {name}" for name in schema.get("required", []) if name not in value]
        for name, one in value.items():
            if name in properties:
                found += wrong(one, properties[name], top, f"{at}.{name}")
            elif others is False:
                found.append(f"{at}: {name} is unknown")
            elif isinstance(others, dict):
                found += wrong(one, others, top, f"{at}.{name}")
    return found


@pytest.fixture(scope="module")
def schema(cache: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(socbench("schema").stdout)
    return found


def test_the_schema_accepts_what_the_store_writes(schema: dict[str, Any], tmp_path: Path) -> None:
    assert f"schema {SCHEMA}" in schema["title"]
    for make in (make_record, llama_record, failed_record):
        record = make(n=4, warmup=1, pipeline=1, problems=[make_problem()], missed=0.3)
        written = msgspec.json.decode(msgspec.json.encode(read(Store(tmp_path).add(record))))
        assert wrong(written, schema, schema) == []


def test_the_schema_accepts_what_a_campaign_writes(schema: dict[str, Any], tmp_path: Path) -> None:
    choice = ("--workload", "tiny", "--scenario", "single-stream", "--runtime", "chatty", "--runtime", "raises")
    assert main(["bench", "lab", "--zoo", str(PACK), *choice, "--results", str(tmp_path)]) == 1
    for record in harness.load(tmp_path):
        assert wrong(msgspec.json.decode(msgspec.json.encode(record)), schema, schema) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"status": "splendid"}, "$.status"),
        ({"colour": "red"}, "$: colour"),
        ({"run_id": 7}, "$.run_id"),
        ({"spans": [{"stage": "steady", "phase": "infer", "begin_ns": ["now"], "end_ns": []}]}, "$.spans[0].begin_ns[0]"),
        ({"settings": {"threads": {"value": 1, "source": "a guess"}}}, "$.settings.threads.source"),
        ({"quality": {"reference": "", "comparisons": [{}]}}, "$.quality"),
    ],
)
def test_the_schema_refuses_what_the_store_would_refuse(schema: dict[str, Any], change: dict[str, Any], where: str) -> None:
    value = {**msgspec.to_builtins(make_record(n=2, warmup=1, pipeline=1)), **change}
    assert any(error.startswith(where) for error in wrong(value, schema, schema))
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, RunRecord)


# --- pipes, start-up, names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("schema",), ("list", "metrics"), ("list", "workloads", "--json"), ("--help",), ("bench", "--help")])
def test_a_reader_that_has_gone_is_no_reason_for_a_traceback(words: tuple[str, ...]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # as on a user's machine
    command = [sys.executable, "-m", "harness", *words]
    with subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=buffered) as process:
        os.close(write_end)
        _, err = process.communicate(timeout=lab.PATIENCE_S)
    assert err == ""
    assert process.returncode in (0, 1)


def imported(code: str, *words: str) -> set[str]:
    """The packages that are imported after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)", *words],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return set(done.stderr.split())


HEAVY = {"numpy", "pandas", "scipy", "matplotlib", "onnx", "onnxruntime", "ruptures", "jinja2", "gguf", "safetensors", "PIL", "rich"}


def test_the_command_line_starts_without_anything_heavy() -> None:
    assert not imported("import harness.cli\nharness.cli.parser()") & HEAVY
    assert not imported("import harness") & HEAVY
    assert not imported("from harness.cli import main\nmain(['list', 'workloads'])") & HEAVY


def test_measuring_keeps_heavy_packages_out_of_the_harness_s_own_process_until_they_are_needed() -> None:
    found = imported("import harness.measure.runner, harness.measure.link, harness.measure.plan, harness.store, harness.spec, harness.checks")
    assert not found & (HEAVY - {"numpy"})


def test_python_m_harness_is_socbench(tmp_path: Path) -> None:
    script = shutil.which("socbench", path=sysconfig.get_path("scripts"))
    assert script, "the tests run where socbench is installed"
    for words in (["--version"], ["--help"], ["bench", "--help"], ["list", "targets", "--json"], ["bench", "nowhere"]):
        theirs = subprocess.run([script, *words], capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ, "COLUMNS": "150"})
        ours = socbench(*words, cwd=tmp_path)
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    assert socbench("--version").stdout == f"socbench {harness.__version__}\n"


def test_results_go_where_the_environment_says_and_the_command_line_wins(tmp_path: Path) -> None:
    there = {"SOCBENCH_RESULTS": str(tmp_path / "there")}
    assert socbench("report", cwd=tmp_path, env=there).returncode == 0
    assert (tmp_path / "there/report.html").is_file()
    (tmp_path / "here").mkdir()
    assert socbench("report", "--results", tmp_path / "here", cwd=tmp_path, env=there).returncode == 0
    assert (tmp_path / "here/report.html").is_file()
    told = socbench("report", "--results", tmp_path / "nowhere", cwd=tmp_path)
    assert told.returncode == 2
    assert f"{tmp_path / 'nowhere'}: no such folder" in told.stderr


def test_a_report_without_records_is_the_matrix_and_says_how_to_measure(tmp_path: Path) -> None:
    told = socbench("report", "--output", tmp_path / "report.html", cwd=tmp_path)
    assert told.returncode == 0
    assert "nothing was measured here yet: nox -s bench-host" in told.stderr
    assert 'id="matrix"' in (tmp_path / "report.html").read_text()


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    import harness.commands.schema as command

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run", interrupted)
    assert main(["schema"]) == 130
    assert capfd.readouterr() == ("", "socbench: interrupted\n")


# --- zoo -----------------------------------------------------------------------------------------------------------------------------


def test_zoo_builds_and_verifies_in_both_forms(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice: Sequence[str | Path] = ("--zoo", PACK, "--workload", "tiny", "--target", "stuck")
    monkeypatch.setenv("SOCBENCH_CACHE", str(tmp_path))
    assert [one["state"] for one in json.loads(printed(capfd, "zoo", "verify", *choice, "--json"))] == ["missing"]
    (built,) = json.loads(printed(capfd, "zoo", "build", *choice, "--json"))
    assert (built["workload"], built["form"], built["weights"]) == ("tiny", "onnx/fp32", "synthetic")
    assert str(Path(built["files"]["model"]).parent) in printed(capfd, "zoo", "build", *choice)
    assert rows(printed(capfd, "zoo", "verify", *choice))[0][:3] == ["tiny", "onnx/fp32", "ok"]
    Path(built["files"]["model"]).write_bytes(b"?")
    assert main([str(word) for word in ("zoo", "verify", *choice)]) == 1
    out, err = capfd.readouterr()
    assert "damaged" in out
    assert "socbench zoo build" in err


def test_a_zoo_without_pinned_weights_has_nothing_to_fetch(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["zoo", "fetch", "--zoo", str(PACK), "--workload", "tiny"]) == 2
    assert "nothing to fetch: tiny" in capfd.readouterr().err
