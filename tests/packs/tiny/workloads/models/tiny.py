"""Two convolutions and a classifier, 32 x 32, 10 classes: a graph that takes no time to build or to run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.graph import Built, Graph, check_request, single

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.measure.weights import Weights

WRITES = ("onnx/fp32", "onnx/fp16")
CLASSES = 10


def build(form: str, out: Path, weights: Weights, options: Mapping[str, Any]) -> Built:
    """Write `model.onnx`: `input` [batch,3,32,32] -> `logits` [batch,10]. options: channels; and for tests

    broken: once the file is written, "raises", is "killed", or "waits" as long as the file $TINY_HOLD exists.
    """
    check_request(form, WRITES, options, known=("channels", "broken"))
    channels = int(options["channels"])
    g = Graph("tiny")
    x = g.input("input", ["batch", 3, 32, 32])
    for name, inner, outer in (("first", 3, channels), ("second", channels, 2 * channels)):
        x = g.conv(x, name, weights.get(f"{name}.weight", (outer, inner, 3, 3), 0.2), weights.get(f"{name}.bias", (outer,)), stride=2)
        x = g.node("Relu", x, name=f"{name}.relu")
    x = g.node("Flatten", g.node("GlobalAveragePool", x, name="pool"), name="flat", axis=1)
    last = g.weight("last.weight", weights.get("last.weight", (CLASSES, 2 * channels), 1.0))
    g.output(g.node("Gemm", x, last, g.weight("last.bias", weights.get("last.bias", (CLASSES,))), name="logits", transB=1), ["batch", CLASSES])
    model = g.save(out / "model.onnx")
    _break(str(options.get("broken", "")))
    return single(model, weights)


def _break(how: str) -> None:
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "raises":
        raise RuntimeError("this definition is broken on purpose")
    if how == "waits":
        hold = Path(os.environ["TINY_HOLD"])
        hold.with_suffix(".reached").touch()
        while hold.exists():
            time.sleep(0.02)
