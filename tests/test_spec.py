"""TOML files: what is refused, in which words, and what makes a workload another workload."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from harness.decide.scenario.sheet import Sheet
from harness.decide.terms import Role
from harness.errors import SpecError, UsageError
from harness.spec import Target, Workload, Zoo, home, read_spec, uses
from tests.lab import PACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORKLOAD = """
title = "A test"
task = "sort"
item = "image"
inputs = ["a.png"]

[model]
definition = "net"
writes = ["onnx/fp32"]
options = { depth = 3 }

[options]
size = 32

[stop]
min_count = 1
min_seconds = 0.1

[offline]
batch = 2

[published]
parameters = 1.0
macs = 2.0
source = "a paper"

[[pretrained]]
repo = "someone/something"
revision = "0000000000000000000000000000000000000000"
file = "model.safetensors"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"
bytes = 1
licence = "MIT"
"""
TARGET = """
title = "A test"
board = "bench"

[runtimes.fast]
opens = ["onnx/fp32"]
package = "fast"
install = "pip install fast"

[runtimes.fast.convert.int8]
toolchain = "squeeze"
source = "onnx/fp32"
format = "onnx"
"""
FILES = {
    "workloads/thing.toml": WORKLOAD,
    "workloads/models/net.py": "",
    "workloads/tasks/sort.py": "USES = ('shapes', 'colours')\n",
    "workloads/tasks/lib/shapes.py": "",
    "workloads/tasks/lib/colours.py": "",
    "workloads/inputs/a.png": "a picture",
    "targets/rig.toml": TARGET,
    "targets/boards/bench.py": "",
    "targets/runtimes/fast.py": "",
    "targets/toolchains/squeeze.py": "",
}


def planted(folder: Path, **changed: str) -> Path:
    """A pack with everything that one workload and one target need; `changed` are file contents by stem."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changed.pop(path.stem, text))
    assert not changed
    return folder


def refusal(ask: Callable[[], Any]) -> SpecError:
    with pytest.raises(SpecError) as caught:
        ask()
    assert caught.value.fix, "every refusal says what to do"
    return caught.value


# --- keys --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "known", "wrong", "key"),
    [
        (Workload, "title =", "titel =", "titel"),
        (Workload, "writes =", "write =", "model.write"),
        (Workload, "min_seconds =", "min_second =", "stop.min_second"),
        (Workload, "batch =", "bach =", "offline.bach"),
        (Workload, "macs =", "mac =", "published.mac"),
        (Workload, "licence =", "license =", "pretrained[0].license"),
        (Target, "board =", "bord =", "bord"),
        (Target, "install =", "instal =", "runtimes.fast.instal"),
        (Target, "toolchain =", "toolchian =", "runtimes.fast.convert.int8.toolchian"),
    ],
)
def test_an_unknown_key_is_named_with_its_file_and_the_one_that_was_meant(tmp_path: Path, kind: Any, known: str, wrong: str, key: str) -> None:
    path = tmp_path / "thing.toml"
    text = WORKLOAD if kind is Workload else TARGET
    assert known in text
    path.write_text(text.replace(known, wrong))
    error = refusal(lambda: read_spec(path, kind))
    assert str(path) in error.what
    assert f"unknown key {key!r}" in error.what
    assert error.fix == f"write {known.removesuffix(' =')!r}"


def test_an_unknown_key_that_resembles_nothing_is_answered_with_all_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "thing.toml"
    path.write_text(WORKLOAD.replace("min_seconds = 0.1", "min_seconds = 0.1\nxyzzy = 1"))
    error = refusal(lambda: read_spec(path, Workload))
    assert "'stop.xyzzy'" in error.what
    assert "remove it" in error.fix
    assert "min_count, min_seconds, max_seconds" in error.fix
    assert "title" not in error.fix, "only the keys of that table"


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        (
            'stop = "soon"',
            "key 'stop': Expected a table, got `str`",
            "write it as a table: [stop] and below it min_count = ... and min_seconds = ...",
        ),
        ('options = "many"', "key 'options': Expected a table, got `str`", "write it as a table: [options] and below it a line KEY = ... for each"),
        (
            "[pretrained]\nbytes = 1",
            "key 'pretrained': Expected a list, got a table",
            "write a table for each: [[pretrained]] and below it repo = ..., ",
        ),
        ("inputs = 3", "key 'inputs': Expected a list, got `int`", "write a list: [...]"),
        ("inputs = [3]", "key 'inputs[0]': Expected `str`, got `int`", 'write text in quotes: "..."'),
        ("[stop]\nmin_count = 1.5", "key 'stop.min_count': Expected `int`, got `float`", "write a whole number"),
        ("[stop]\nmin_count = 1", "key 'stop': missing required field `min_seconds`", "add it: stop.min_seconds = ..."),
        ("[[pretrained]]\nrepo = 'a/b'", "key 'pretrained[0]': missing required field `revision`", 'add it: revision = "..."'),
        ("", "missing required field `title`", 'add it: title = "..."'),
    ],
)
def test_a_value_of_the_wrong_shape_and_a_missing_one_are_answered_with_how_to_write_it(tmp_path: Path, text: str, what: str, fix: str) -> None:
    path = tmp_path / "thing.toml"
    path.write_text(text)
    error = refusal(lambda: read_spec(path, Workload))
    assert error.what == f"{path}: {what}"
    assert error.fix.startswith(fix)


def test_a_text_in_every_language_is_written_as_a_table_of_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "A doorbell"')
    assert refusal(lambda: read_spec(path, Sheet)).fix == "write it as a table: [title] and below it en = ... and zh = ..."
    path.write_text('[[limits]]\nmetric = "power"\nreason = "It is on a battery."')
    assert refusal(lambda: read_spec(path, Sheet)).fix == "write it as a table: reason = { en = ..., zh = ... }"


def test_a_value_that_is_none_of_the_allowed_ones_is_answered_with_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('roles = ["sock"]')
    assert refusal(lambda: read_spec(path, Sheet)).fix == f"did you mean 'soc'? write one of {', '.join(Role)}"
    path.write_text('roles = ["person"]')
    assert refusal(lambda: read_spec(path, Sheet)).fix == f"write one of {', '.join(Role)}"


def test_options_of_a_task_are_its_own_business(tmp_path: Path) -> None:
    path = tmp_path / "thing.toml"
    path.write_text(WORKLOAD.replace("size = 32", "size = 32\nanything = ['goes', { here = 1 }]"))
    spec = read_spec(path, Workload)
    assert spec.task_options == {"depth": 3, "size": 32, "anything": ["goes", {"here": 1}]}


@pytest.mark.parametrize(
    ("known", "wrong", "words"),
    [
        ('title = "A test"', "title = 3", ("'title'", "`str`", "`int`")),
        ("min_count = 1", 'min_count = "many"', ("'stop.min_count'", "`int`", "`str`")),
        ("min_seconds = 0.1", "min_seconds = [1]", ("'stop.min_seconds'", "`float`")),
        ('inputs = ["a.png"]', 'inputs = ["a.png", 7]', ("'inputs[1]'", "`str`")),
        ("bytes = 1", "bytes = 1.5", ("'pretrained[0].bytes'", "`int`")),
        ('task = "sort"', "", ("task",)),
        ('definition = "net"', "", ("definition",)),
    ],
)
def test_a_wrong_or_missing_value_is_named_with_its_file_and_the_type_that_is_wanted(
    tmp_path: Path, known: str, wrong: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "thing.toml"
    assert known in WORKLOAD
    path.write_text(WORKLOAD.replace(known, wrong))
    error = refusal(lambda: read_spec(path, Workload))
    assert [word for word in (str(path), *words) if word not in error.what] == []


@pytest.mark.parametrize("text", ['title = "open', "= 1", "[stop\n", "title = 1\ntitle = 2\n", "\x00"])
def test_what_is_no_toml_is_named_with_its_file_and_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "thing.toml"
    path.write_text(text)
    error = refusal(lambda: read_spec(path, Workload))
    assert f"{path}: not valid TOML" in error.what
    assert re.search("line 1|line 2|end of document", error.what)


def test_what_is_no_text_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "thing.toml"
    path.write_bytes(b'title = "\xff\xfe"')
    assert f"{path}: not valid TOML" in refusal(lambda: read_spec(path, Workload)).what


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(lambda: read_spec(tmp_path / "thing.toml", Workload)).what
    (tmp_path / "folder.toml").mkdir()
    assert "Is a directory" in refusal(lambda: read_spec(tmp_path / "folder.toml", Workload)).what


# --- packs -------------------------------------------------------------------------------------------------------------------------


def test_what_a_pack_defines_is_found_beside_what_is_already_there(tmp_path: Path) -> None:
    zoo = Zoo([planted(tmp_path), PACK])
    assert {"thing", "tiny", "resnet50"} <= set(zoo.workload_files)
    assert {"rig", "lab", "host"} <= set(zoo.target_files)
    assert zoo.target("rig").runtimes["fast"].convert["int8"].toolchain == "squeeze"
    assert zoo.half("tasks", "classify").is_relative_to(home()), "a pack may use the house's halves"
    assert [role for role, _ in zoo.halves("tasks", "sort")] == ["shapes", "colours", "task"]


@pytest.mark.parametrize("name", ["workloads/thing.toml", "targets/rig.toml"])
def test_an_id_that_is_defined_twice_is_refused_with_both_files(tmp_path: Path, name: str) -> None:
    first, second = planted(tmp_path / "first"), tmp_path / "second"
    (second / name).parent.mkdir(parents=True)
    shutil.copy(first / name, second / name)
    zoo = Zoo([first, second])
    error = refusal(lambda: (zoo.workload_files, zoo.target_files))
    assert str(first / name) in error.what
    assert str(second / name) in error.what


def test_a_half_that_is_defined_twice_is_refused_and_not_overridden(tmp_path: Path) -> None:
    (tmp_path / "targets/runtimes").mkdir(parents=True)
    (tmp_path / "targets/runtimes/onnxruntime.py").touch()
    assert "already defined" in refusal(lambda: Zoo([tmp_path]).half("runtimes", "onnxruntime")).what


def test_a_pack_s_own_input_comes_before_one_of_that_name_elsewhere(tmp_path: Path) -> None:
    planted(tmp_path, thing=WORKLOAD.replace("a.png", "cat.jpg"))
    (tmp_path / "workloads/inputs/cat.jpg").write_text("another cat")
    zoo = Zoo([tmp_path])
    assert zoo.input("cat.jpg", zoo.workload_files["thing"]) == tmp_path / "workloads/inputs/cat.jpg"
    assert zoo.input("cat.jpg", zoo.workload_files["resnet50"]).is_relative_to(home())
    assert zoo.input("coffee.jpg", zoo.workload_files["thing"]).is_relative_to(home())


def test_a_pack_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Zoo([tmp_path / "nowhere"])


def test_a_pack_named_relative_to_here_is_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path / "pack")
    monkeypatch.chdir(tmp_path)
    zoo = Zoo([(tmp_path / "pack").relative_to(tmp_path)])
    monkeypatch.chdir("/")
    assert zoo.half("models", "net").is_file()


def test_an_unknown_id_is_answered_with_the_one_that_was_meant() -> None:
    for ask, words in ((Zoo().workload, "resnet5"), (Zoo().target, "hots")):
        with pytest.raises(UsageError, match=f"'{words}'") as caught:
            ask(words)
        assert re.search(r"did you mean '(resnet50|host)'\?", caught.value.fix)


# --- what a workload is made of ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("workloads/models/net.py", "there is no workloads/models/net.py"),
        ("workloads/tasks/sort.py", "there is no workloads/tasks/sort.py"),
        ("workloads/tasks/lib/colours.py", "there is no workloads/tasks/lib/colours.py"),
        ("workloads/inputs/a.png", "there is no input workloads/inputs/a.png"),
    ],
)
def test_a_file_that_a_workload_names_and_that_is_missing_is_named_with_who_names_it(tmp_path: Path, name: str, words: str) -> None:
    planted(tmp_path)
    (tmp_path / name).unlink()
    error = refusal(lambda: Zoo([tmp_path]).workload_sha256("thing"))
    assert words in error.what
    assert str(tmp_path) in error.what


@pytest.mark.parametrize("kind", ["boards", "runtimes", "toolchains"])
def test_a_half_that_a_target_names_and_that_is_missing_is_named_with_who_names_it(tmp_path: Path, kind: str) -> None:
    zoo = Zoo([planted(tmp_path)])
    error = refusal(lambda: zoo.half(kind, "absent", zoo.target_files["rig"]))
    assert f"there is no targets/{kind}/absent.py" in error.what
    assert str(tmp_path / "targets/rig.toml") in error.what
    assert "known: " in error.fix


def test_what_a_task_uses_is_read_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "task.py"
    path.write_text("import nothing_of_that_name\nUSES = ('image', 'sound')\nraise SystemExit\n")
    assert uses(path) == ("image", "sound")
    path.write_text("X = 1\n")
    assert uses(path) == ()


MADE_OF = [name for name in FILES if name.startswith("workloads/")]


@pytest.mark.parametrize("name", MADE_OF)
def test_a_workload_is_another_one_when_any_of_its_files_changes(tmp_path: Path, name: str) -> None:
    planted(tmp_path)
    before = Zoo([tmp_path]).workload_sha256("thing")
    with (tmp_path / name).open("a") as file:
        file.write("\n")
    changed = Zoo([tmp_path]).workload_sha256("thing")
    assert re.fullmatch("[0-9a-f]{64}", changed)
    assert changed != before


def test_a_workload_stays_the_same_wherever_it_lies_and_whatever_else_changes(tmp_path: Path) -> None:
    before = Zoo([planted(tmp_path / "here")]).workload_sha256("thing")
    planted(tmp_path / "there", rig=TARGET + "\n", fast="X = 1\n", bench="X = 1\n", squeeze="X = 1\n")
    for other in ("models/other.py", "tasks/lib/other.py", "inputs/other.png", "notes.txt"):
        (tmp_path / "there/workloads" / other).write_text("something else")
    assert Zoo([tmp_path / "there"]).workload_sha256("thing") == before


def test_a_changed_input_under_the_same_name_is_another_workload_but_a_swap_of_contents_is_too(tmp_path: Path) -> None:
    two = WORKLOAD.replace('["a.png"]', '["a.png", "b.png"]')
    planted(tmp_path, thing=two)
    inputs = tmp_path / "workloads/inputs"
    (inputs / "b.png").write_text("another picture")
    before = Zoo([tmp_path]).workload_sha256("thing")
    (inputs / "a.png").rename(inputs / "c.png")
    (inputs / "b.png").rename(inputs / "a.png")
    (inputs / "c.png").rename(inputs / "b.png")
    assert Zoo([tmp_path]).workload_sha256("thing") != before
