"""YOLOv8n at 640 x 640, 80 classes, as ONNX with the boxes decoded, written from the published architecture.

Synthetic weights only: the trained weights and their code are AGPL-3.0, and nothing of either is used here.
To benchmark with trained weights, bring an ONNX export of your own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import WeightsError
from harness.measure.graph import Built, Graph, check_request, single

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.measure.weights import Weights

WRITES: tuple[str, ...] = ("onnx/fp32",)

SIDE = 640
CLASSES = 80
CHANNELS = (16, 32, 64, 128, 256)
"""Channels of the strides 2, 4, 8, 16, 32."""
BACKBONE_REPEATS = (1, 2, 2, 1)
STRIDES = (8, 16, 32)
BINS = 16
"""A box side is a distribution over 0..15 cells; its mean is the distance."""
GAIN = 2.5
"""Variance of a drawn weight times its fan-in. SiLU needs more than ReLU's 2: with 2 the picture has faded out before the head."""
PRIOR = -4.6
"""Bias of the class scores, as in training: an object is rare (sigmoid(-4.6) = 0.01), so that suppression sees some boxes, not all."""


def build(form: str, out: Path, weights: Weights, options: Mapping[str, Any]) -> Built:
    """Write `model.onnx`: `images` [batch,3,640,640] -> `output0` [batch,84,8400], float32.

    A column of `output0` is a box (centre x, y, width, height, in pixels) and 80 sigmoid classes.
    Raises ArtifactError for another form, SpecError for any option, WeightsError for a pretrained source.
    """
    check_request(form, WRITES, options, known=())
    if weights.source != "synthetic":
        raise WeightsError(
            f"YOLOv8n takes no {weights.source} weights: the published ones are AGPL-3.0, not for socbench to read",
            "bring your own ONNX export of the model, or use YOLOX-s, whose trained weights are Apache-2.0",
        )
    g = Graph("yolov8n")
    net = _Yolov8(g, weights)
    levels = net.neck(net.backbone(g.input("images", ["batch", 3, SIDE, SIDE])))
    anchors = sum((SIDE // stride) ** 2 for stride in STRIDES)
    g.output(net.decode(net.head(levels)), ["batch", 4 + CLASSES, anchors])
    return single(g.save(out / "model.onnx"), weights)


def anchor_points() -> tuple[np.ndarray[Any, np.dtype[np.float32]], np.ndarray[Any, np.dtype[np.float32]]]:
    """Cell centres [1,2,8400] as x, y in cells, and strides [1,8400] in pixels a cell.

    Finest level first, each row by row.
    """
    points, strides = [], []
    for stride in STRIDES:
        cells = np.arange(SIDE // stride, dtype=np.float32) + np.float32(0.5)
        y, x = np.meshgrid(cells, cells, indexing="ij")
        points.append(np.stack([x.ravel(), y.ravel()]))
        strides.append(np.full(x.size, stride, dtype=np.float32))
    return np.concatenate(points, axis=1)[None], np.concatenate(strides)[None]


class _Yolov8:
    """The parts of the network over one graph."""

    def __init__(self, g: Graph, weights: Weights) -> None:
        self.g = g
        self.weights = weights

    def backbone(self, x: str) -> tuple[str, str, str]:
        """The features of strides 8, 16 and 32."""
        x = self._conv(x, "stem", 3, CHANNELS[0], 3, stride=2)
        features = []
        for i, repeats in enumerate(BACKBONE_REPEATS):
            inputs, outputs = CHANNELS[i], CHANNELS[i + 1]
            x = self._conv(x, f"stage{i + 1}.down", inputs, outputs, 3, stride=2)
            x = self._c2f(x, f"stage{i + 1}.c2f", outputs, outputs, repeats, shortcut=True)
            features.append(x)
        return features[1], features[2], self._sppf(x, "sppf", CHANNELS[4])

    def neck(self, features: tuple[str, str, str]) -> tuple[str, str, str]:
        """Down to the finest level and up again, joining by concatenation alone."""
        c3, c4, c5 = features
        _, _, w3, w4, w5 = CHANNELS
        x = self._concat([self._upsample(c5, "neck.up4"), c4], "neck.concat4")
        t4 = self._c2f(x, "neck.top4", w5 + w4, w4, 1, shortcut=False)
        x = self._concat([self._upsample(t4, "neck.up3"), c3], "neck.concat3")
        p3 = self._c2f(x, "neck.p3", w4 + w3, w3, 1, shortcut=False)
        x = self._concat([self._conv(p3, "neck.down4", w3, w3, 3, stride=2), t4], "neck.concat_p4")
        p4 = self._c2f(x, "neck.p4", w3 + w4, w4, 1, shortcut=False)
        x = self._concat([self._conv(p4, "neck.down5", w4, w4, 3, stride=2), c5], "neck.concat_p5")
        return p3, p4, self._c2f(x, "neck.p5", w4 + w5, w5, 1, shortcut=False)

    def head(self, levels: tuple[str, str, str]) -> str:
        """Raw predictions [batch, 4 x 16 + 80, 8400]."""
        g = self.g
        box_width = max(16, CHANNELS[2] // 4, 4 * BINS)
        class_width = max(CHANNELS[2], min(CLASSES, 100))
        rows = []
        for k, (x, channels) in enumerate(zip(levels, CHANNELS[2:], strict=True)):
            parts = []
            for branch, width, outputs in (("box", box_width, 4 * BINS), ("cls", class_width, CLASSES)):
                name = f"head{k}.{branch}"
                y = self._conv(x, f"{name}.0", channels, width, 3)
                y = self._conv(y, f"{name}.1", width, width, 3)
                weight = self.weights.get(f"{name}.2.weight", (outputs, width, 1, 1), math.sqrt(2.0 / width))
                rare = PRIOR if branch == "cls" else 0.0
                parts.append(g.conv(y, f"{name}.2", weight, self.weights.get(f"{name}.2.bias", (outputs,), mean=rare)))
            shape = g.const("level_shape", [0, 4 * BINS + CLASSES, -1], "int64")  # 0 keeps the batch
            rows.append(g.node("Reshape", self._concat(parts, f"head{k}.concat"), shape, name=f"head{k}.reshape"))
        return g.node("Concat", *rows, name="head.concat", axis=2)

    def decode(self, raw: str) -> str:
        """Distances to the four sides, as the mean of their distributions, to boxes in pixels."""
        g = self.g
        split = g.const("head_split", [4 * BINS, CLASSES], "int64")
        box, classes = g.nodes("Split", raw, split, name="decode.split", outputs=("decode.raw", "decode.cls"), axis=1)
        box = g.node("Reshape", box, g.const("bins_shape", [0, 4, BINS, -1], "int64"), name="decode.bins")
        box = g.node("Transpose", box, name="decode.transpose", perm=[0, 2, 1, 3])
        box = g.node("Softmax", box, name="decode.softmax", axis=1)
        # The published count has these 16 fixed weights among the parameters, so they are stored as one.
        box = g.conv(box, "decode.mean", np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1))
        box = g.node("Reshape", box, g.const("sides_shape", [0, 4, -1], "int64"), name="decode.sides")
        halves = g.const("box_split", [2, 2], "int64")
        near, far = g.nodes("Split", box, halves, name="decode.corners", outputs=("decode.near", "decode.far"), axis=1)
        points, strides = anchor_points()
        centre = g.const("anchors", points)
        low = g.node("Sub", centre, near, name="decode.low")
        high = g.node("Add", centre, far, name="decode.high")
        middle = g.node("Add", low, high, name="decode.middle_sum")
        middle = g.node("Div", middle, g.const("two", 2.0), name="decode.middle")
        extent = g.node("Sub", high, low, name="decode.extent")
        box = g.node("Concat", middle, extent, name="decode.cells", axis=1)
        box = g.node("Mul", box, g.const("strides", strides), name="decode.pixels")
        classes = g.node("Sigmoid", classes, name="decode.scores")
        return g.node("Concat", box, classes, name="output0", axis=1)

    def _conv(self, x: str, name: str, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> str:  # noqa: PLR0913
        """Convolution (its BatchNorm already folded: drawn weights, bias 0), then SiLU."""
        shape = (outputs, inputs, kernel, kernel)
        weight = self.weights.get(f"{name}.weight", shape, math.sqrt(GAIN / math.prod(shape[1:])))
        y = self.g.conv(x, name, weight, self.weights.get(f"{name}.bias", (outputs,)), stride=stride)
        return self.g.node("Mul", y, self.g.node("Sigmoid", y, name=f"{name}.sigmoid"), name=f"{name}.silu")

    def _c2f(  # noqa: PLR0913
        self, x: str, name: str, inputs: int, outputs: int, repeats: int, *, shortcut: bool
    ) -> str:
        """1x1, split in two, bottlenecks in a row on the second half; every part joined by 1x1."""
        g, half = self.g, outputs // 2
        x = self._conv(x, f"{name}.in", inputs, outputs, 1)
        halves = g.const(f"split_{half}", [half, half], "int64")
        parts = list(g.nodes("Split", x, halves, name=f"{name}.split", outputs=(f"{name}.a", f"{name}.b"), axis=1))
        for i in range(repeats):
            y = self._conv(parts[-1], f"{name}.{i}.0", half, half, 3)
            y = self._conv(y, f"{name}.{i}.1", half, half, 3)
            parts.append(g.node("Add", parts[-1], y, name=f"{name}.{i}.add") if shortcut else y)
        return self._conv(self._concat(parts, f"{name}.concat"), f"{name}.out", len(parts) * half, outputs, 1)

    def _sppf(self, x: str, name: str, channels: int) -> str:
        """1x1 to half width, three 5x5 poolings in a row, all four joined by 1x1."""
        half = channels // 2
        parts = [self._conv(x, f"{name}.in", channels, half, 1)]
        for i in range(3):
            pool = {"kernel_shape": [5, 5], "strides": [1, 1], "pads": [2, 2, 2, 2]}
            parts.append(self.g.node("MaxPool", parts[-1], name=f"{name}.pool{i}", **pool))
        return self._conv(self._concat(parts, f"{name}.concat"), f"{name}.out", 4 * half, channels, 1)

    def _upsample(self, x: str, name: str) -> str:
        scales = self.g.const("upsample_scales", [1, 1, 2, 2])
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.g.node("Resize", x, "", scales, name=name, **how)

    def _concat(self, values: list[str], name: str) -> str:
        return self.g.node("Concat", *values, name=name, axis=1)
