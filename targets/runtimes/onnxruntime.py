"""Runtime half: ONNX Runtime on the CPU. Sent to the board; needs numpy and onnxruntime there."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

# its wheels tell their maker of their use, and write files for that: neither belongs into a measurement, or on somebody's board
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

if TYPE_CHECKING:
    from collections.abc import Callable

PROVIDERS = ["CPUExecutionProvider"]
UNITS = {"CPUExecutionProvider": "cpu"}
_NUMPY = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}


def probe() -> dict[str, Any]:
    """The runtime's version and what it offers here."""
    return {"version": ort.__version__, "providers": ort.get_available_providers(), "build": ort.get_build_info()}


class Model:
    """One open session."""

    def __init__(self, path: str, threads: int, options: dict[str, Any]) -> None:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        settings.add_free_dimension_override_by_name("batch", int(options.get("batch", 1)))
        self._session = ort.InferenceSession(path, settings, providers=PROVIDERS)
        used = self._session.get_providers()
        if used[0] != PROVIDERS[0]:
            raise RuntimeError(f"asked for {PROVIDERS[0]}, the session runs on {used}")
        self.inputs = {one.name: (list(one.shape), _NUMPY.get(one.type, one.type)) for one in self._session.get_inputs()}
        self.outputs = [one.name for one in self._session.get_outputs()]

    def describe(self) -> dict[str, Any]:
        """Names, shapes and types of inputs; names of outputs."""
        return {"inputs": self.inputs, "outputs": self.outputs, "providers": self._session.get_providers()}

    def offload(self) -> dict[str, dict[str, float]]:
        """Nodes of the optimised graph by unit, as ONNX Runtime assigned them; empty where it does not say."""
        units: dict[str, dict[str, float]] = {}
        for subgraph in self._session.get_provider_graph_assignment_info():
            unit = UNITS.get(subgraph.ep_name, subgraph.ep_name)
            found = units.setdefault(unit, {"nodes": 0.0})
            found["nodes"] += len(subgraph.get_nodes())
        return units

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        """Outputs as arrays, in the order of `outputs`."""
        return list(self._session.run(self.outputs, feeds))

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments that runs `feeds`: nothing of ours between the clock and the runtime."""
        return partial(self._session.run, self.outputs, feeds)

    def put(self, value: Any) -> Any:
        """`value` (an array) as a tensor that `step` takes without copying."""
        return ort.OrtValue.ortvalue_from_numpy(value)

    def step(self, feeds: dict[str, Any]) -> list[Any]:
        """Run on tensors and answer with tensors: state can be passed from step to step without copies."""
        return list(self._session.run_with_ort_values(self.outputs, feeds))

    def get(self, tensor: Any) -> Any:
        """A tensor's content as an array of its own: the tensor's memory belongs to the session and goes with it."""
        return tensor.numpy().copy()

    def close(self) -> None:
        """Release the session."""
        del self._session


def open(path: str, threads: int, options: dict[str, Any]) -> Model:
    """Open the ONNX file at `path` with `threads` threads; `options`: batch."""
    return Model(path, threads, options)
