"""ResNet-50 v1.5 (the 3x3 of a bottleneck carries the stride), 224 x 224, 1000 classes, as ONNX.

Published in He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; v1.5 as in torchvision and MLPerf.
Pretrained weights are asked for under torchvision's names, which timm shares.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.measure.graph import Built, Graph, check_request, single
from harness.measure.weights import folded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.measure.weights import Weights

WRITES: tuple[str, ...] = ("onnx/fp32",)

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks, stride of the first block."""
EXPANSION = 4
CLASSES = 1000
BN_EPS = 1e-5


def build(form: str, out: Path, weights: Weights, options: Mapping[str, Any]) -> Built:
    """Write `model.onnx`: `input` [batch,3,224,224] -> `logits` [batch,1000], float32, BatchNorm folded.

    Raises ArtifactError for another form, SpecError for any option, WeightsError when `weights` do not fit.
    """
    check_request(form, WRITES, options, known=())
    g = Graph("resnet50")
    net = _ResNet(g, weights)
    x = net.stem(g.input("input", ["batch", 3, 224, 224]))
    channels = 64
    for stage, (width, blocks, stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            x = net.bottleneck(x, f"layer{stage}.{block}", channels, width, stride=stride if block == 0 else 1)
            channels = EXPANSION * width
    g.output(net.classifier(x, channels), ["batch", CLASSES])
    return single(g.save(out / "model.onnx"), weights)


class _ResNet:
    """The parts of the network over one graph; names are those of torchvision's state_dict."""

    def __init__(self, g: Graph, weights: Weights) -> None:
        self.g = g
        self.weights = weights

    def stem(self, image: str) -> str:
        """7x7 with stride 2, then pooling with stride 2."""
        x = self._conv(image, "conv1", "bn1", (64, 3, 7, 7), stride=2)
        x = self.g.node("Relu", x, name="relu")
        return self.g.node("MaxPool", x, name="maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])

    def bottleneck(self, x: str, name: str, channels: int, width: int, *, stride: int) -> str:
        """1x1, 3x3 with the stride, 1x1; the shortcut is a convolution where the shape changes."""
        g, wide = self.g, EXPANSION * width
        y = self._conv(x, f"{name}.conv1", f"{name}.bn1", (width, channels, 1, 1))
        y = g.node("Relu", y, name=f"{name}.relu1")
        y = self._conv(y, f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3), stride=stride)
        y = g.node("Relu", y, name=f"{name}.relu2")
        y = self._conv(y, f"{name}.conv3", f"{name}.bn3", (wide, width, 1, 1))
        if channels != wide:
            x = self._conv(x, f"{name}.downsample.0", f"{name}.downsample.1", (wide, channels, 1, 1), stride=stride)
        return g.node("Relu", g.node("Add", y, x, name=f"{name}.add"), name=f"{name}.relu3")

    def classifier(self, x: str, channels: int) -> str:
        """Mean over all positions, then one fully connected layer."""
        g = self.g
        x = g.node("Flatten", g.node("GlobalAveragePool", x, name="avgpool"), name="flatten", axis=1)
        weight = g.weight("fc.weight", self.weights.get("fc.weight", (CLASSES, channels), 0.02))
        bias = g.weight("fc.bias", self.weights.get("fc.bias", (CLASSES,)))
        return g.node("Gemm", x, weight, bias, name="logits", transB=1)

    def _conv(self, x: str, name: str, norm: str, shape: tuple[int, int, int, int], *, stride: int = 1) -> str:
        """Convolution with BatchNorm folded in; `shape` is channels out, channels in, kernel."""
        std = math.sqrt(2.0 / math.prod(shape[1:]))
        weight, bias = folded(self.weights, name, norm, shape, std=std, eps=BN_EPS)
        return self.g.conv(x, name, weight, bias, stride=stride)
