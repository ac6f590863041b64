"""Tools for comparing our graphs with independent implementations in torch.

A session of its own, because torch and transformers are heavy: where torch is missing, nothing here is collected.
Every comparison is against float64, and its errors are printed at the end of the session.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest
from safetensors.numpy import save_file

from harness.measure.weights import Pretrained, Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    Tensors = Mapping[str, NDArray[Any]]
    Model = Callable[[Tensors], dict[str, NDArray[np.float32]]]

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]

MODELS = Path(__file__).resolve().parents[2] / "workloads" / "models"
RMS_LIMIT = 1e-4
MAX_LIMIT = 5e-3
"""Allowed root-mean-square and largest error, as shares of how much the output varies with its input (see `agree`).

The networks are random and deep, and amplify rounding: run in float32, the references themselves differ from float64 by
as much as our graphs do (RMS 2e-5 to 5e-5, largest of the million numbers of a detector 1e-3). A wrong epsilon, the
smallest mistake that was tried, is far outside.
"""
_errors: list[str] = []


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[[str, Weights, Mapping[str, Any]], dict[str, Model]]]:
    """Build a model file's graphs, open them in ORT: (name, weights, options) -> role -> feeds -> outputs by name."""
    folder = tmp_path / "built"
    folder.mkdir()

    def get(name: str, weights: Weights, options: Mapping[str, Any]) -> dict[str, Model]:
        spec = importlib.util.spec_from_file_location(f"numerics_{name}", MODELS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        files = module.build("onnx/fp32", folder, weights, options).files
        return {role: _open(folder / file) for role, file in files.items()}

    yield get
    for file in folder.iterdir():
        file.unlink(missing_ok=True)


def _open(path: Path) -> Model:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(None, feeds), strict=True))


@pytest.fixture
def pretrained(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any]], Pretrained]]:
    """Write a state_dict as float32 safetensors, as a hub would hold it, and open it as a pretrained source."""
    file = tmp_path / "model.safetensors"

    def get(state: Mapping[str, Any]) -> Pretrained:
        save_file({name: np.ascontiguousarray(tensor.numpy()) for name, tensor in state.items()}, file)
        return Pretrained(file)

    yield get
    file.unlink(missing_ok=True)


@pytest.fixture
def train() -> Callable[[Any, Callable[[], Any]], None]:
    """Give a torch module's norms what a trained one's have, without training: (module, run it once on some images).

    Gamma and beta are drawn, mean and variance are those of the run: no 0, no 1, no two alike, and activations stay
    near 1 to the end. With statistics that do not fit, the signal dies and only biases are compared, or it explodes
    and every sigmoid saturates.
    """
    import torch

    def fit(module: Any, run: Callable[[], Any]) -> None:
        generator = torch.Generator().manual_seed(1)
        norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.weight.data.uniform_(0.3, 1.0, generator=generator)
            norm.bias.data.normal_(0.0, 0.3, generator=generator)
            norm.momentum = 1.0  # the statistics of the last run, nothing of those before
            norm.train()
        with torch.inference_mode():
            run()
        for norm in norms:
            norm.eval()

    return fit


@pytest.fixture
def images() -> Callable[[int], NDArray[np.float32]]:
    """Two unlike images [2, 3, side, side] of about -2..2: four large areas, and 256 small ones under noise."""

    def get(side: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(0)
        made = []
        for cells, noise in ((2, 0.1), (16, 0.8)):
            areas = rng.uniform(-1.5, 1.5, (3, cells, cells)).repeat(side // cells, 1).repeat(side // cells, 2)
            made.append(areas + rng.uniform(-noise, noise, areas.shape))
        return np.stack(made).astype(np.float32)

    return get


@pytest.fixture
def agree() -> Callable[[str, NDArray[Any], NDArray[Any]], None]:
    """Assert that ours equals theirs within the limits, and note by how much they differ: (what, ours, theirs).

    The first axis runs over inputs. Errors are measured against the standard deviation along it alone: what is the
    same for every input (biases, positions, anchors) would make any error look small.
    """

    def check(what: str, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        assert ours.shape == theirs.shape
        assert len(theirs) > 1
        error = np.abs(ours - theirs)
        spread = float(np.sqrt(theirs.var(axis=0).mean()))
        rms, worst = float(np.sqrt((error**2).mean())) / spread, float(error.max()) / spread
        _errors.append(f"{what}: RMS {rms:.1e}, max {worst:.1e} of {spread:.3g}, the std over inputs ({theirs.std():.3g} in all)")
        assert rms <= RMS_LIMIT, _errors[-1]
        assert worst <= MAX_LIMIT, _errors[-1]

    return check


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the errors that were found, also when all are small enough."""
    terminalreporter.section(f"errors against float64; limits RMS {RMS_LIMIT:g}, max {MAX_LIMIT:g}")
    for line in _errors:
        terminalreporter.write_line(line)
