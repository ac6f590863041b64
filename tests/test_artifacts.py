"""The cache of model files: what a file's name depends on, and that only whole files are ever used."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness import cache as cache_module
from harness.errors import ArtifactError, SpecError, UsageError
from harness.measure import inputs
from harness.measure.artifacts import Product, Workshop
from harness.measure.plan import products
from harness.spec import Zoo
from tests import lab
from tests.lab import PACK, ROOT, begin, until, workers

if TYPE_CHECKING:
    from collections.abc import Callable

cache = lab.cache
pytestmark = pytest.mark.usefixtures("cache")
FP32 = Product("tiny", "onnx/fp32")


def copied(folder: Path, *changes: tuple[str, str, str]) -> Zoo:
    """A copy of the pack in which some files were changed: (path, text, other text)."""
    pack = folder / f"pack-{secrets.token_hex(4)}"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in changes:
        path = pack / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    return Zoo([pack])


def int8(zoo: Zoo) -> Product:
    return products(zoo.target("lab").runtimes["onnxruntime"], "tiny", zoo.workload("tiny"))["int8"]


def made(zoo: Zoo, product: Product, weights: Path | None = None) -> tuple[Any, list[str]]:
    """The product, and what was said while it was made."""
    said: list[str] = []
    with Workshop(zoo, weights, said.append) as workshop:
        return workshop.get(product), said


def built(folder: Path) -> set[str]:
    return {path.name for path in (folder / "artifacts").glob("*")}


@pytest.fixture
def own(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for one test, with the tiny fp32 model in it."""
    made(Zoo([PACK]), FP32)
    with Workshop(Zoo([PACK])) as workshop:
        name = workshop.key(FP32)[:32]
    folder = tmp_path / "cache"
    shutil.copytree(cache / "artifacts" / name, folder / "artifacts" / name)
    monkeypatch.setenv("SOCBENCH_CACHE", str(folder))
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    monkeypatch.setenv("SOCBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --- keys ----------------------------------------------------------------------------------------------------------------------------


def test_a_key_is_the_same_in_every_process() -> None:
    code = """
from pathlib import Path
import sys
from harness.measure.artifacts import Product, Workshop
from harness.measure.plan import products
from harness.spec import Zoo
zoo = Zoo([Path(sys.argv[1])])
with Workshop(zoo) as workshop:
    for one in products(zoo.target("lab").runtimes["onnxruntime"], "tiny", zoo.workload("tiny")).values():
        print(workshop.key(one))
"""
    found = [
        subprocess.run(
            [sys.executable, "-c", code, str(PACK)], check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout.split()
        for seed in ("1", "2")
    ]
    zoo = Zoo([PACK])
    with Workshop(zoo) as workshop:
        here = [workshop.key(one) for one in (FP32, int8(zoo))]
    assert found == [here, here]


TOML, DEFINITION = "workloads/tiny.toml", "workloads/models/tiny.py"


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        (TOML, "channels = 24", "channels = 25", {"onnx/fp32", "onnx/int8"}),
        (DEFINITION, "stride=2", "stride=4", {"onnx/fp32", "onnx/int8"}),
        (TOML, "samples = 3", "samples = 2", {"onnx/int8"}),
        (TOML, "resize = 36", "resize = 40", {"onnx/int8"}),
        (TOML, '"tiny-red.png", ', "", {"onnx/int8"}),
        (TOML, 'title = "Tiny', 'title = "Small', set()),
        (TOML, "min_count = 12", "min_count = 13", set()),
        ("targets/lab.toml", "pip install numpy", "pip install numpy==2", set()),
    ],
)
def test_a_key_changes_with_what_the_file_is_made_of_and_with_nothing_else(tmp_path: Path, name: str, old: str, new: str, changed: set[str]) -> None:
    before, after = copied(tmp_path), copied(tmp_path, (name, old, new))
    with Workshop(before) as one, Workshop(after) as other:
        assert {product.form for product in (FP32, int8(before)) if one.key(product) != other.key(product)} == changed


def test_another_picture_under_the_same_name_is_another_calibration(tmp_path: Path) -> None:
    before, after = copied(tmp_path), copied(tmp_path)
    folder = after.roots[1] / "workloads" / "inputs"
    shutil.copy(folder / "tiny-wide.png", folder / "tiny-red.png")
    with Workshop(before) as one, Workshop(after) as other:
        assert one.calibration_sha256("tiny") != other.calibration_sha256("tiny")
        assert one.key(int8(before)) != other.key(int8(after))
        assert one.key(FP32) == other.key(FP32)


# --- making --------------------------------------------------------------------------------------------------------------------------


def test_an_artifact_says_what_it_is_and_is_what_it_says() -> None:
    found, _ = made(Zoo([PACK]), FP32)
    artifact, path = found.artifact, found.paths["model"]
    assert artifact.sha256 == {"model": cache_module.sha256(path)}
    assert artifact.bytes == {"model": path.stat().st_size}
    # by hand: 24 x 3 x 9 and 48 x 24 x 9 weights at 16 x 16 and 8 x 8 places, then 10 x 48
    assert artifact.parameters == 24 * 27 + 24 + 48 * 216 + 48 + 480 + 10
    assert artifact.ops == {"infer": 2.0 * (256 * 24 * 27 + 64 * 48 * 216 + 480)}
    assert artifact.weight_bytes == {"infer": 4 * artifact.parameters}
    assert (artifact.format, artifact.weights, artifact.calibration_sha256) == ("onnx", "synthetic", "")
    assert "onnx" in artifact.toolchain


def test_a_converted_artifact_carries_its_source_s_size_and_the_sha_of_what_it_was_calibrated_with() -> None:
    zoo = Zoo([PACK])
    found, source = made(zoo, int8(zoo))[0].artifact, made(zoo, FP32)[0].artifact
    with Workshop(zoo) as workshop:
        assert found.calibration_sha256 == workshop.calibration_sha256("tiny") != ""
    assert (found.parameters, found.ops, found.weights_note) == (source.parameters, source.ops, source.weights_note)
    assert "quantization" in found.toolchain
    assert found.sha256 != source.sha256


def test_what_is_there_is_not_built_again() -> None:
    first, _ = made(Zoo([PACK]), FP32)
    second, said = made(Zoo([PACK]), FP32)
    assert said == []
    assert second == first


@pytest.mark.parametrize("name", ["a flipped bit", "truncated", "empty", "missing", "no manifest", "a broken manifest", "a manifest of another kind"])
def test_a_damaged_file_in_the_cache_is_noticed_and_built_again(own: Path, name: str) -> None:
    (folder,) = (own / "artifacts").iterdir()
    model, manifest = folder / "model.onnx", folder / "artifact.json"
    good = model.read_bytes()
    damage: dict[str, Callable[[], object]] = {
        "a flipped bit": lambda: model.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:]),
        "truncated": lambda: model.write_bytes(good[:-1]),
        "empty": lambda: model.write_bytes(b""),
        "missing": model.unlink,
        "no manifest": manifest.unlink,
        "a broken manifest": lambda: manifest.write_bytes(manifest.read_bytes()[:50]),
        "a manifest of another kind": lambda: manifest.write_text("{}"),
    }
    damage[name]()
    with Workshop(Zoo([PACK])) as workshop:
        assert workshop.verify(FP32)[0] == ("missing" if name == "no manifest" else "damaged")
    found, said = made(Zoo([PACK]), FP32)
    assert found.paths["model"].read_bytes() == good
    assert "building tiny onnx/fp32" in said
    if name != "no manifest":
        assert "damaged" in said[0]
    with Workshop(Zoo([PACK])) as workshop:
        assert workshop.verify(FP32) == ("ok", str(folder))


def test_what_was_never_built_is_missing(empty: Path) -> None:
    with Workshop(Zoo([PACK])) as workshop:
        assert workshop.verify(FP32)[0] == "missing"


# --- failing -------------------------------------------------------------------------------------------------------------------------


def test_a_build_that_raises_is_an_error_with_its_trace_and_leaves_nothing(tmp_path: Path, empty: Path) -> None:
    zoo = copied(tmp_path, (TOML, "channels = 24", "channels = 24, broken = 'raises'"))
    with pytest.raises(ArtifactError, match="tiny onnx/fp32: the build failed: RuntimeError: this definition is broken on purpose") as caught:
        made(zoo, FP32)
    assert "tiny.py" in caught.value.detail
    assert caught.value.fix
    assert built(empty) == set()


def test_a_build_that_is_killed_is_told_from_one_that_raises(tmp_path: Path, empty: Path) -> None:
    zoo = copied(tmp_path, (TOML, "channels = 24", "channels = 24, broken = 'killed'"))
    with pytest.raises(ArtifactError, match="was killed, most likely for want of memory") as caught:
        made(zoo, FP32)
    assert "memory" in caught.value.fix
    assert built(empty) == set(), "the model file had been written already"


def test_a_failed_source_is_the_reason_of_what_is_made_from_it(tmp_path: Path, empty: Path) -> None:
    zoo = copied(tmp_path, (TOML, "channels = 24", "channels = 24, broken = 'raises'"))
    with pytest.raises(ArtifactError, match="broken on purpose"):
        made(zoo, int8(zoo))


def test_an_option_that_no_definition_knows_is_refused_in_one_line(tmp_path: Path, empty: Path) -> None:
    zoo = copied(tmp_path, (TOML, "channels = 24", "channels = 24, colour = 'red'"))
    with pytest.raises(ArtifactError, match="tiny onnx/fp32: unknown model option 'colour'") as caught:
        made(zoo, FP32)
    assert "channels" in caught.value.fix
    assert caught.value.detail == ""


def test_a_full_disk_is_named_and_leaves_nothing(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactError, match="no space left") as caught:
        made(Zoo([PACK]), FP32)
    assert "SOCBENCH_CACHE" in caught.value.fix
    assert built(empty) == set()


def test_a_workshop_that_was_closed_builds_nothing_more(empty: Path) -> None:
    workshop = Workshop(Zoo([PACK]))
    workshop.__exit__()
    with pytest.raises((RuntimeError, ArtifactError)):
        workshop.get(FP32)
    assert built(empty) == set()


def test_a_harness_killed_during_a_build_leaves_nothing_under_the_final_name_and_no_build(
    tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo, hold, mark = copied(tmp_path, (TOML, "channels = 24", "channels = 24, broken = 'waits'")), tmp_path / "hold", secrets.token_hex(8)
    hold.touch()
    environment = {"TINY_MARK": mark, "TINY_HOLD": str(hold)}
    with begin("zoo", "build", "--zoo", zoo.roots[1], "--workload", "tiny", "--target", "stuck", env=environment) as process:
        until(hold.with_suffix(".reached").exists, "the build runs")
        process.kill()
        process.communicate()
    until(lambda: not workers(mark), "the build ends with its harness")
    assert not [name for name in built(empty) if not name.startswith(".")], "the model file had been written already"
    hold.unlink()
    monkeypatch.setenv("TINY_HOLD", str(hold))
    found, said = made(zoo, FP32)
    assert said[0] == "building tiny onnx/fp32"
    assert built(empty) == {found.paths["model"].parent.name}, "what the killed one left is swept away"


# --- side by side --------------------------------------------------------------------------------------------------------------------


def test_two_processes_that_want_the_same_build_it_once(empty: Path) -> None:
    words = ("zoo", "build", "--zoo", PACK, "--workload", "tiny", "--target", "stuck", "--json")
    with begin(*words) as one, begin(*words) as other:
        both = [process.communicate(timeout=lab.PATIENCE_S) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], both
    assert both[0][0] == both[1][0], "the same files"
    assert sum(err.count("building tiny onnx/fp32") for _, err in both) == 1
    assert len(built(empty)) == 1


def test_two_builds_that_want_the_same_picture_decode_it_once(tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decodes: list[Path] = []

    def slow(path: Path) -> Any:
        decodes.append(path)
        time.sleep(0.1)
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setitem(inputs.DECODERS, ".png", slow)
    picture = tmp_path / "a.png"
    picture.write_text("a picture")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(inputs.decoded(picture))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decodes) == 1
    assert len(found) == 4
    assert len(set(found)) == 1
    assert np.load(found[0]).shape == (4, 4, 3)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.wav"])
def test_an_input_that_cannot_be_decoded_is_named(tmp_path: Path, empty: Path, name: str) -> None:
    path = tmp_path / name
    for content in (b"", b"garbage" * 9, b"RIFF\x04\x00\x00\x00WAVE", b"\x89PNG\r\n\x1a\n" + bytes(20)):
        path.write_bytes(content)
        with pytest.raises(SpecError) as caught:
            inputs.decoded(path)
        assert str(path) in caught.value.what
        assert caught.value.fix


def test_an_input_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no decoder for '\.bmp' files") as caught:
        inputs.decoded(tmp_path / "a.bmp")
    assert ".png" in caught.value.fix


# --- references ----------------------------------------------------------------------------------------------------------------------


def test_reference_outputs_are_computed_once_and_again_when_they_are_damaged(own: Path) -> None:
    said: list[str] = []
    with Workshop(Zoo([PACK]), None, said.append) as workshop:
        path = workshop.reference("tiny")
        assert said == ["computing fp32 reference outputs of tiny"]
        assert workshop.reference("tiny") == path
        assert len(said) == 1
        with np.load(path) as arrays:
            truth = {name: arrays[name] for name in arrays.files}
        assert list(truth) == ["000/logits", "001/logits", "002/logits"]
        assert {array.shape for array in truth.values()} == {(1, 10)}
        good = path.read_bytes()
        for broken in (good[:-30], b"", good[: len(good) // 3] + b"?" + good[len(good) // 3 + 1 :]):
            path.write_bytes(broken)
            said.clear()
            assert workshop.reference("tiny") == path
            assert len(said) == 1
        with np.load(path) as arrays:
            assert all(np.array_equal(arrays[name], truth[name]) for name in truth)


# --- weights of one's own ------------------------------------------------------------------------------------------------------------


def tensors(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {"first.weight": (24, 3, 3, 3), "first.bias": (24,), "second.weight": (48, 24, 3, 3), "second.bias": (48,)}
    shapes |= {"last.weight": (10, 48), "last.bias": (10,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_other_weights_are_another_key_and_are_what_the_file_holds(tmp_path: Path) -> None:
    zoo, folder = Zoo([PACK]), tmp_path / "weights" / "tiny"
    folder.mkdir(parents=True)
    keys = []
    with Workshop(zoo) as workshop:
        keys.append(workshop.key(FP32))
    for seed in (0, 1):
        save_file(tensors(seed), folder / "model.safetensors")
        with Workshop(zoo, tmp_path / "weights") as workshop:
            keys.append(workshop.key(FP32))
            assert workshop.key(int8(zoo)) not in keys
    assert len(set(keys)) == 3
    found, _ = made(zoo, FP32, tmp_path / "weights")
    assert found.artifact.weights == "pretrained"
    assert "model.safetensors sha256 " in found.artifact.weights_note
    assert tensors(1)["second.weight"].tobytes() in found.paths["model"].read_bytes()
    reference = []
    for weights in (None, tmp_path / "weights"):
        with Workshop(zoo, weights) as workshop:
            reference.append(workshop.reference("tiny"))
    assert reference[0] != reference[1], "what is compared with is the same model in fp32"


def test_weights_that_do_not_fit_are_refused_with_the_tensor_s_name(tmp_path: Path) -> None:
    folder = tmp_path / "weights" / "tiny"
    folder.mkdir(parents=True)
    save_file({**tensors(), "last.weight": np.zeros((7, 48), np.float32)}, folder / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"last\.weight") as caught:
        made(Zoo([PACK]), FP32, tmp_path / "weights")
    assert "[10, 48]" in caught.value.what
    assert caught.value.fix


def test_a_workload_without_a_folder_of_its_own_stays_synthetic(tmp_path: Path) -> None:
    (tmp_path / "another").mkdir()
    found, _ = made(Zoo([PACK]), FP32, tmp_path)
    assert found.artifact.weights == "synthetic"


def test_a_folder_of_weights_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Workshop(Zoo([PACK]), tmp_path / "nowhere")


# --- the folder itself ---------------------------------------------------------------------------------------------------------------


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOCBENCH_CACHE", "here")
    assert cache_module.root() == tmp_path / "here", "a relative folder is meant from here, also by a build that runs elsewhere"
    monkeypatch.delenv("SOCBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_module.root() == tmp_path / "xdg" / "socbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_module.root() == tmp_path / ".cache" / "socbench"


def test_a_folder_that_was_half_filled_never_shows(tmp_path: Path, empty: Path) -> None:
    final = cache_module.folder("artifacts") / "abc"

    def interrupted() -> None:
        with cache_module.filling(final) as work:
            (work / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert built(empty) == set()
    with cache_module.filling(final) as work:
        (work / "whole").write_text("whole")
        assert not final.exists()
    assert {path.name for path in final.iterdir()} == {"whole"}
