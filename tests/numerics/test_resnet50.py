"""ResNet-50 agrees with transformers' implementation, which was written by others and shares no code with ours.

This proves the architecture (v1.5), the reading of torchvision's tensor names, the BatchNorm folding and its eps. The
renaming from transformers to torchvision in this file follows the published layouts of both; a wrong one could not agree.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ResNetConfig, ResNetForImageClassification

_PARTS = (
    (r"^resnet\.embedder\.embedder\.convolution", "conv1"),
    (r"^resnet\.embedder\.embedder\.normalization", "bn1"),
    (r"^classifier\.1", "fc"),
    (r"\.shortcut\.convolution", ".downsample.0"),
    (r"\.shortcut\.normalization", ".downsample.1"),
)


def torchvision_name(name: str) -> str:
    """`resnet.encoder.stages.0.layers.1.layer.2.convolution.weight` -> `layer1.1.conv3.weight`."""
    for pattern, new in _PARTS:
        name = re.sub(pattern, new, name)
    inner = re.match(r"resnet\.encoder\.stages\.(\d)\.layers\.(\d)\.(.*)", name)
    if inner is None:
        return name
    stage, block, rest = inner.groups()
    kinds = {"convolution": "conv", "normalization": "bn"}
    rest = re.sub(r"^layer\.(\d)\.(\w+)", lambda m: f"{kinds[m[2]]}{int(m[1]) + 1}", rest)
    return f"layer{int(stage) + 1}.{block}.{rest}"


def reference(*, stride_in_1x1: bool) -> Any:
    """The randomly initialised reference; with the stride in the first 1x1 it is ResNet-50 v1 and not ours."""
    torch.manual_seed(0)
    config = ResNetConfig(
        embedding_size=64,
        hidden_sizes=[256, 512, 1024, 2048],
        depths=[3, 4, 6, 3],
        layer_type="bottleneck",
        hidden_act="relu",
        downsample_in_first_stage=False,
        downsample_in_bottleneck=stride_in_1x1,
        num_labels=1000,
    )
    return ResNetForImageClassification(config).eval()


@pytest.fixture
def outputs(build: Any, pretrained: Any, train: Any, images: Any) -> Any:
    """Our logits and the reference's [2, 1000] for the same weights and images."""

    def get(*, stride_in_1x1: bool) -> Any:
        model = reference(stride_in_1x1=stride_in_1x1)
        feed = torch.from_numpy(images(224))
        train(model, lambda: model(feed))
        state = {torchvision_name(name): tensor for name, tensor in model.state_dict().items()}
        ours = build("resnet50", pretrained(state), {})["model"]
        with torch.inference_mode():
            theirs = model.double()(feed.double()).logits.numpy()
        return ours({"input": feed.numpy()})["logits"], theirs

    return get


def test_resnet50_agrees_with_transformers(outputs: Any, agree: Any) -> None:
    ours, theirs = outputs(stride_in_1x1=False)
    agree("ResNet-50 logits", ours, theirs)


def test_resnet50_is_not_version_1(outputs: Any) -> None:
    """The comparison can tell: with the stride in the first 1x1, the same weights give something else."""
    ours, theirs = outputs(stride_in_1x1=True)
    assert np.abs(ours - theirs).max() > 0.1 * theirs.std()
