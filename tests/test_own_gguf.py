"""A GGUF of the user's own in place of the one we write."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import ArtifactError, NotGiven
from harness.measure.artifacts import Product, Workshop
from harness.measure.build import check_gguf
from harness.measure.weights import Synthetic
from harness.spec import Zoo
from tests.test_llama import SMALL
from workloads.models import llama

LLAMA = "llama-3.2-1b"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    llama.build("gguf/q8_0", folder, Synthetic(), SMALL)
    return (folder / "model.gguf").rename(folder / "My-Llama-Q8.gguf")


def test_a_gguf_says_what_it_is(own: Path) -> None:
    answer = check_gguf(own)
    assert answer.weights == "pretrained"
    assert answer.weights_note.startswith("My-Llama-Q8.gguf: ")
    assert answer.parameters == llama.parameters(llama.Config.of(SMALL))
    assert answer.weight_bytes["decode"] > answer.parameters


def test_what_is_no_gguf_is_refused_by_name(tmp_path: Path, own: Path) -> None:
    path = tmp_path / "x.gguf"
    for content in (b"", b"garbage" * 100, own.read_bytes()[:1000]):
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match="not a readable GGUF") as caught:
            check_gguf(path)
        assert str(path) in caught.value.what
        assert caught.value.fix


def test_a_folder_with_one_gguf_gives_its_precision_and_no_other(tmp_path: Path, own: Path) -> None:
    folder = tmp_path / LLAMA
    folder.mkdir()
    shutil.copy(own, folder)
    with Workshop(Zoo(), tmp_path) as workshop:
        assert workshop.given(Product(LLAMA, "gguf/q8_0")) == folder / own.name
        for form in ("gguf/q4_k_m", "onnx/int4"):
            with pytest.raises(NotGiven, match=form) as caught:
                workshop.given(Product(LLAMA, form))
            assert caught.value.fix
        with pytest.raises(ArtifactError, match="no fp32 weights"):
            workshop.reference(LLAMA)


def test_a_given_gguf_becomes_an_artifact_as_it_is(tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "weights" / LLAMA
    folder.mkdir(parents=True)
    shutil.copy(own, folder)
    with Workshop(Zoo(), tmp_path / "weights") as workshop:
        made = workshop.get(Product(LLAMA, "gguf/q8_0"))
    assert made.models["model"].read_bytes() == own.read_bytes()
    assert (made.artifact.weights, made.artifact.format) == ("pretrained", "gguf")
