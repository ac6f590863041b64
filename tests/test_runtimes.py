"""The host's runtime halves, on the genuine packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import cache
from harness.measure.agent import load_half
from harness.measure.graph import Graph
from harness.measure.link import Local
from harness.spec import Zoo

RUNTIME = Zoo().halves("runtimes", "onnxruntime")[-1][1]


@pytest.fixture(scope="module")
def runtime() -> Any:
    return load_half(str(RUNTIME), cache.sha256(RUNTIME), "tested_onnxruntime")


@pytest.fixture
def model(tmp_path: Path) -> str:
    graph = Graph("doubler")
    value = graph.input("x", ["batch", 4])
    graph.output(graph.node("Add", value, value, name="y"), ["batch", 4])
    graph.save(tmp_path / "model.onnx")
    return str(tmp_path / "model.onnx")


def test_an_array_read_from_a_tensor_outlives_the_session_that_made_it(runtime: Any, model: str) -> None:
    opened = runtime.open(model, 1, {"batch": 1})
    (tensor,) = opened.step({"x": opened.put(np.ones((1, 4), np.float32))})
    array = opened.get(tensor)
    opened.close()
    del opened, tensor
    assert array.flags.owndata, "a view into the session's memory turns into garbage when the session goes"
    assert array.tolist() == [[2.0, 2.0, 2.0, 2.0]]


def test_the_three_ways_to_run_a_model_agree(runtime: Any, model: str) -> None:
    opened = runtime.open(model, 1, {"batch": 2})
    feed = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
    wanted = feed["x"] * 2
    assert np.array_equal(opened.run(feed)[0], wanted)
    assert np.array_equal(opened.prepared(feed)()[0], wanted)
    assert np.array_equal(opened.get(opened.step({"x": opened.put(feed["x"])})[0]), wanted)
    opened.close()


def test_offload_is_what_the_runtime_says_of_its_nodes(runtime: Any, model: str) -> None:
    opened = runtime.open(model, 1, {"batch": 1})
    assert opened.offload() == {"cpu": {"nodes": 1.0}}
    assert opened.describe()["inputs"] == {"x": ([1, 4], "float32")}
    opened.close()


def test_a_missing_provider_is_an_error_and_not_a_silent_fall_back(runtime: Any, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PROVIDERS", ["NoSuchExecutionProvider"])
    with pytest.warns(UserWarning, match="NoSuchExecutionProvider"), pytest.raises(RuntimeError, match="runs on"):
        runtime.open(model, 1, {"batch": 1})


def test_probing_says_the_version(runtime: Any) -> None:
    assert runtime.probe()["version"].count(".") == 2


def test_onnx_runtime_neither_reports_nor_writes_that_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    half = Zoo().half("runtimes", "onnxruntime")
    with Local().start(1) as agent:
        agent.ask("load", 60.0, role="runtime", path=str(half), sha256=cache.sha256(half))
    assert list(tmp_path.rglob("*")) == []
