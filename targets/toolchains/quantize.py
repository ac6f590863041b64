"""Toolchain half: static INT8 quantisation of ONNX (QDQ) with ONNX Runtime. Runs on the workstation, in an environment of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import onnx

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it reads the variable when it is imported
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Feeds = Callable[[], Iterator[tuple[str, dict[str, Any]]]]


def describe() -> str:
    """Names and versions, for the artifact."""
    return f"onnxruntime.quantization {onnxruntime.__version__}, onnx {onnx.__version__}: static QDQ, per channel"


class Reader(CalibrationDataReader):
    """The feeds of one model."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self.rest = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        """The next feed, or None."""
        return next(self.rest, None)


def convert(sources: dict[str, str], out: str, feeds: Feeds, options: dict[str, Any]) -> dict[str, str]:
    """Quantise each role's model. Returns role -> file name in `out`.

    options: samples (feeds a role at the most, spread over all), activations and weights ("uint8" | "int8"), reduce_range,
    operators (only these types are quantised; default: all that ONNX Runtime can).
    """
    kinds = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
    by_role: dict[str, list[dict[str, Any]]] = {role: [] for role in sources}
    for role, feed in feeds():
        by_role[role].append(feed)
    files = {}
    for role, path in sources.items():
        found = by_role[role]
        step = max(1, len(found) // int(options.get("samples", 8)))
        prepared = os.path.join(out, f".{role}.onnx")
        quant_pre_process(path, prepared, skip_symbolic_shape=True, skip_optimization=True)
        files[role] = f"{role}.onnx"
        quantize_static(
            prepared,
            os.path.join(out, files[role]),
            Reader(found[::step]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=options.get("operators"),
            per_channel=True,
            activation_type=kinds[options.get("activations", "uint8")],
            weight_type=kinds[options.get("weights", "int8")],
            reduce_range=bool(options.get("reduce_range", False)),
        )
        os.unlink(prepared)
    return files
