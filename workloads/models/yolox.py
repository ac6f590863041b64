"""YOLOX detectors (nano, tiny, s and larger), 80 classes, as ONNX; boxes are decoded by the post-processing.

Published in Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430; code and weights Apache-2.0.
Pretrained weights are asked for under the names of the Megvii release. They expect BGR pixels of 0..255.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.errors import SpecError
from harness.measure.graph import Built, Graph, check_request, single
from harness.measure.weights import folded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.measure.weights import Weights

WRITES: tuple[str, ...] = ("onnx/fp32",)

SIZES = {
    "nano": {"depth": 0.33, "width": 0.25, "image": 416, "depthwise": True},
    "tiny": {"depth": 0.33, "width": 0.375, "image": 416, "depthwise": False},
    "s": {"depth": 0.33, "width": 0.5, "image": 640, "depthwise": False},
}
"""Published sizes; `image` is the side of the square input in pixels."""
CLASSES = 80
STRIDES = (8, 16, 32)
BN_EPS = 1e-3


def build(form: str, out: Path, weights: Weights, options: Mapping[str, Any]) -> Built:
    """Write `model.onnx`: `images` [batch,3,S,S] -> `output` [batch,N,85], float32, BatchNorm folded.

    A row of `output` is box (x, y, log w, log h, relative to its cell), sigmoid objectness, 80 sigmoid classes.
    Options: `size` nano, tiny or s (the default); `depth`, `width`, `image`, `depthwise` replace what `size` says.
    Raises ArtifactError for another form, SpecError for an option, WeightsError when `weights` do not fit.
    """
    check_request(form, WRITES, options, known=("size", "depth", "width", "image", "depthwise"))
    size = options.get("size", "s")
    if size not in SIZES:
        raise SpecError(f"YOLOX has no size {size!r}", f"write size = one of {', '.join(SIZES)}")
    shape = {**SIZES[size], **{key: value for key, value in options.items() if key != "size"}}
    side = int(shape["image"])
    if side % STRIDES[-1]:
        raise SpecError(f"YOLOX image side {side} is not a multiple of {STRIDES[-1]}", "write image = 416 or 640")
    g = Graph("yolox")
    net = _Yolox(g, weights, shape["depth"], shape["width"], depthwise=shape["depthwise"])
    levels = net.head(net.neck(net.backbone(g.input("images", ["batch", 3, side, side]))))
    rows = g.node("Concat", *levels, name="concat", axis=2)
    anchors = sum((side // stride) ** 2 for stride in STRIDES)
    output = g.node("Transpose", rows, name="output", perm=[0, 2, 1])
    g.output(output, ["batch", anchors, CLASSES + 5])
    return single(g.save(out / "model.onnx"), weights)


class _Yolox:
    """The three parts of the network over one graph; names are those of the release's state_dict."""

    def __init__(self, g: Graph, weights: Weights, depth: float, width: float, *, depthwise: bool) -> None:
        self.g = g
        self.weights = weights
        self.base = int(64 * width)
        self.hidden = int(256 * width)
        self.repeats = max(round(3 * depth), 1)
        self.depthwise = depthwise

    def backbone(self, image: str) -> tuple[str, str, str]:
        """CSPDarknet: the features of strides 8, 16 and 32."""
        b, n, name = self.base, self.repeats, "backbone.backbone"
        x = self._focus(image, f"{name}.stem")
        x = self._conv(x, f"{name}.dark2.0", b, 2 * b, 3, stride=2)
        x = self._csp(x, f"{name}.dark2.1", 2 * b, 2 * b, n)
        x = self._conv(x, f"{name}.dark3.0", 2 * b, 4 * b, 3, stride=2)
        dark3 = x = self._csp(x, f"{name}.dark3.1", 4 * b, 4 * b, 3 * n)
        x = self._conv(x, f"{name}.dark4.0", 4 * b, 8 * b, 3, stride=2)
        dark4 = x = self._csp(x, f"{name}.dark4.1", 8 * b, 8 * b, 3 * n)
        x = self._conv(x, f"{name}.dark5.0", 8 * b, 16 * b, 3, stride=2)
        x = self._spp(x, f"{name}.dark5.1", 16 * b)
        return dark3, dark4, self._csp(x, f"{name}.dark5.2", 16 * b, 16 * b, n, shortcut=False)

    def neck(self, features: tuple[str, str, str]) -> tuple[str, str, str]:
        """PAFPN: down to the finest level and up again."""
        dark3, dark4, dark5 = features
        b, n = self.base, self.repeats
        f0 = self._dense(dark5, "backbone.lateral_conv0", 16 * b, 8 * b, 1)
        x = self._concat([self._upsample(f0, "backbone.upsample0"), dark4], "backbone.concat_p4")
        x = self._csp(x, "backbone.C3_p4", 16 * b, 8 * b, n, shortcut=False)
        f1 = self._dense(x, "backbone.reduce_conv1", 8 * b, 4 * b, 1)
        x = self._concat([self._upsample(f1, "backbone.upsample1"), dark3], "backbone.concat_p3")
        p3 = self._csp(x, "backbone.C3_p3", 8 * b, 4 * b, n, shortcut=False)
        x = self._concat([self._conv(p3, "backbone.bu_conv2", 4 * b, 4 * b, 3, stride=2), f1], "backbone.concat_n3")
        p4 = self._csp(x, "backbone.C3_n3", 8 * b, 8 * b, n, shortcut=False)
        x = self._concat([self._conv(p4, "backbone.bu_conv1", 8 * b, 8 * b, 3, stride=2), f0], "backbone.concat_n4")
        return p3, p4, self._csp(x, "backbone.C3_n4", 16 * b, 16 * b, n, shortcut=False)

    def head(self, features: tuple[str, str, str]) -> list[str]:
        """The decoupled head: per level [batch, 85, cells]."""
        g, h, levels = self.g, self.hidden, []
        for k, (x, multiple) in enumerate(zip(features, (4, 8, 16), strict=True)):
            stem = self._dense(x, f"head.stems.{k}", multiple * self.base, h, 1)
            branches = {}
            for branch in ("cls", "reg"):
                y = self._conv(stem, f"head.{branch}_convs.{k}.0", h, h, 3)
                branches[branch] = self._conv(y, f"head.{branch}_convs.{k}.1", h, h, 3)
            box = self._predict(branches["reg"], f"head.reg_preds.{k}", h, 4)
            seen = self._predict(branches["reg"], f"head.obj_preds.{k}", h, 1)
            classes = self._predict(branches["cls"], f"head.cls_preds.{k}", h, CLASSES)
            seen = g.node("Sigmoid", seen, name=f"head.obj_sigmoid.{k}")
            classes = g.node("Sigmoid", classes, name=f"head.cls_sigmoid.{k}")
            level = self._concat([box, seen, classes], f"head.concat.{k}")
            shape = g.const("level_shape", [0, CLASSES + 5, -1], "int64")  # 0 keeps the batch
            levels.append(g.node("Reshape", level, shape, name=f"head.reshape.{k}"))
        return levels

    def _dense(  # noqa: PLR0913
        self, x: str, name: str, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> str:
        """Convolution with BatchNorm folded in, then SiLU."""
        shape = (outputs, inputs // groups, kernel, kernel)
        std = math.sqrt(2.0 / math.prod(shape[1:]))
        weight, bias = folded(self.weights, f"{name}.conv", f"{name}.bn", shape, std=std, eps=BN_EPS)
        y = self.g.conv(x, f"{name}.conv", weight, bias, stride=stride, groups=groups)
        return self.g.node("Mul", y, self.g.node("Sigmoid", y, name=f"{name}.sigmoid"), name=f"{name}.silu")

    def _conv(self, x: str, name: str, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> str:  # noqa: PLR0913
        """A spatial convolution: dense, or depthwise and pointwise in the nano size."""
        if not self.depthwise:
            return self._dense(x, name, inputs, outputs, kernel, stride=stride)
        x = self._dense(x, f"{name}.dconv", inputs, inputs, kernel, stride=stride, groups=inputs)
        return self._dense(x, f"{name}.pconv", inputs, outputs, 1)

    def _predict(self, x: str, name: str, inputs: int, outputs: int) -> str:
        weight = self.weights.get(f"{name}.weight", (outputs, inputs, 1, 1), math.sqrt(2.0 / inputs))
        return self.g.conv(x, name, weight, self.weights.get(f"{name}.bias", (outputs,)))

    def _focus(self, image: str, name: str) -> str:
        """Every second pixel, from four starting points, into 12 channels; then 3x3."""
        g = self.g
        patches = []
        for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
            starts = g.const(f"focus_starts_{row}{column}", [row, column], "int64")
            ends = g.const("focus_ends", [2**31 - 1] * 2, "int64")
            axes = g.const("focus_axes", [2, 3], "int64")
            steps = g.const("focus_steps", [2, 2], "int64")
            patches.append(g.node("Slice", image, starts, ends, axes, steps, name=f"{name}.slice{row}{column}"))
        return self._dense(self._concat(patches, f"{name}.concat"), f"{name}.conv", 12, self.base, 3)

    def _csp(  # noqa: PLR0913
        self, x: str, name: str, inputs: int, outputs: int, repeats: int, *, shortcut: bool = True
    ) -> str:
        """Two 1x1 branches of half width, one through `repeats` bottlenecks; joined by 1x1."""
        half = outputs // 2
        y = self._dense(x, f"{name}.conv1", inputs, half, 1)
        z = self._dense(x, f"{name}.conv2", inputs, half, 1)
        for i in range(repeats):
            inner = self._dense(y, f"{name}.m.{i}.conv1", half, half, 1)
            inner = self._conv(inner, f"{name}.m.{i}.conv2", half, half, 3)
            y = self.g.node("Add", inner, y, name=f"{name}.m.{i}.add") if shortcut else inner
        return self._dense(self._concat([y, z], f"{name}.concat"), f"{name}.conv3", 2 * half, outputs, 1)

    def _spp(self, x: str, name: str, channels: int) -> str:
        """The same features pooled over 1, 5, 9 and 13 cells."""
        half = channels // 2
        x = self._dense(x, f"{name}.conv1", channels, half, 1)
        pooled = [self.g.node("MaxPool", x, name=f"{name}.pool{k}", kernel_shape=[k, k], pads=[k // 2] * 4, strides=[1, 1]) for k in (5, 9, 13)]
        return self._dense(self._concat([x, *pooled], f"{name}.concat"), f"{name}.conv2", 4 * half, channels, 1)

    def _upsample(self, x: str, name: str) -> str:
        scales = self.g.const("upsample_scales", [1, 1, 2, 2])
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.g.node("Resize", x, "", scales, name=name, **how)

    def _concat(self, values: list[str], name: str) -> str:
        return self.g.node("Concat", *values, name=name, axis=1)
