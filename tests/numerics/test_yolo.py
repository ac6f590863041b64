"""The two detectors agree with torch implementations.

YOLOX: against pixeltable-yolox, a maintained fork of Megvii's own code (Apache-2.0). This proves the architecture of
the dense and of the depthwise sizes, the reading of the release's tensor names, the BatchNorm folding and its eps.

YOLOv8n: against a module written in this file from the published description of the architecture, of which the graph
was written too; no code under the AGPL was read for either. This proves that the graph computes the description: every
convolution, the distribution of distances, the boxes. That the description is the published network rests on the
counts: 3,151,904 parameters and 8.7 GFLOPs (tests/test_graphs.py).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = {"s": (0.33, 0.5, 640), "tiny": (0.33, 0.375, 416), "nano": (0.33, 0.25, 416)}


# --- YOLOX ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def megvii(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The two network classes of the package `yolox`, without the rest of it.

    Its __init__ files and `yolox.utils` import torchvision, OpenCV, COCO tools and loguru for training and drawing; the
    network uses none of that, so empty modules stand in for them.
    """
    found = importlib.util.find_spec("yolox")
    assert found is not None, "pip install --no-deps pixeltable-yolox"
    assert found.submodule_search_locations is not None
    (root,) = found.submodule_search_locations

    def stand_in(name: str, path: list[str], **names: Any) -> None:
        module = ModuleType(name)
        module.__path__ = path
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)

    training = ("bboxes_iou", "cxcywh2xyxy", "meshgrid", "visualize_assign")
    stand_in("yolox", [root])
    stand_in("yolox.models", [f"{root}/models"])
    stand_in("yolox.utils", [], **dict.fromkeys(training))
    stand_in("loguru", [], logger=None)
    pafpn, head = (importlib.import_module(f"yolox.models.{name}") for name in ("yolo_pafpn", "yolo_head"))
    yield pafpn.YoloPafpn, head.YoloxHead
    for name in [name for name in sys.modules if name.startswith("yolox.")]:
        del sys.modules[name]


@pytest.mark.parametrize("size", SIZES)
def test_yolox_agrees_with_the_fork_of_its_authors_code(  # noqa: PLR0917 - fixtures, by name
    size: str, megvii: Any, build: Any, pretrained: Any, train: Any, images: Any, agree: Any
) -> None:
    depth, width, side = SIZES[size]
    pafpn, head = megvii
    torch.manual_seed(0)
    depthwise = size == "nano"
    model = nn.ModuleDict(
        {
            "backbone": pafpn(depth, width, depthwise=depthwise),
            "head": head(80, width, depthwise=depthwise),
        }
    ).eval()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eps = 1e-3  # the value that YOLOX sets on every norm after construction
    model["head"].decode_in_inference = False
    feed = torch.from_numpy(images(side))
    train(model, lambda: model["head"](model["backbone"](feed)))
    ours = build("yolox", pretrained(model.state_dict()), {"size": size})["model"]
    model.double()
    with torch.inference_mode():
        theirs = model["head"](model["backbone"](feed.double())).numpy()
    found = ours({"images": feed.numpy()})["output"]
    for what, part in (("boxes", slice(0, 4)), ("objectness", slice(4, 5)), ("classes", slice(5, 85))):
        agree(f"YOLOX-{size} {what}", found[..., part], theirs[..., part])


# --- YOLOv8n ----------------------------------------------------------------------------------------------------------


class Folded:
    """The convolutions of a torch module as the weights of a graph, norms folded by torch; notes what was asked for."""

    source = "synthetic"
    note = "random torch module"

    def __init__(self, module: nn.Module) -> None:
        self.tensors: dict[str, Any] = {}
        self.asked: set[str] = set()
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Sequential):
                fused = fuse_conv_bn_eval(layer[0], layer[1])
                self.tensors |= {f"{name}.weight": fused.weight.detach(), f"{name}.bias": fused.bias.detach()}
            elif isinstance(layer, nn.Conv2d) and layer.bias is not None:
                self.tensors |= {f"{name}.weight": layer.weight.detach(), f"{name}.bias": layer.bias.detach()}

    def get(self, name: str, shape: tuple[int, ...], std: float = 0.0, mean: float = 0.0) -> NDArray[np.float32]:
        """The tensor of that name; std and mean describe a draw that is not made here."""
        del std, mean
        self.asked.add(name)
        tensor: NDArray[np.float32] = self.tensors[name].numpy()
        assert tensor.shape == shape
        return tensor


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, or halves it with stride 2; norm; activation."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs, eps=1e-3), nn.SiLU())


def c2f(inputs: int, outputs: int, repeats: int) -> nn.ModuleDict:
    """The layers of a C2f block."""
    half = outputs // 2
    layers = {str(i): nn.ModuleList([conv(half, half), conv(half, half)]) for i in range(repeats)}
    edges = {"in": conv(inputs, outputs, 1), "out": conv((2 + repeats) * half, outputs, 1)}
    return nn.ModuleDict({**edges, **layers})


def run_c2f(block: Any, x: torch.Tensor, *, shortcut: bool) -> torch.Tensor:
    """First half and second half, then each bottleneck on the newest part, all side by side through the last layer."""
    joined = block["in"](x)
    newest = joined[:, joined.shape[1] // 2 :]
    for i in range(len(block) - 2):
        first, second = block[str(i)]
        made = second(first(newest))
        newest = newest + made if shortcut else made
        joined = torch.cat([joined, newest], 1)
    return block["out"](joined)


def double(x: torch.Tensor) -> torch.Tensor:
    """Every pixel becomes four."""
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def yolov8n() -> nn.ModuleDict:
    """The layers, under the names that the graph gives its weights."""
    layers: dict[str, Any] = {"stem": conv(3, 16, stride=2)}
    for i, (inputs, outputs, repeats) in enumerate([(16, 32, 1), (32, 64, 2), (64, 128, 2), (128, 256, 1)], start=1):
        down, block = conv(inputs, outputs, stride=2), c2f(outputs, outputs, repeats)
        layers[f"stage{i}"] = nn.ModuleDict({"down": down, "c2f": block})
    layers["sppf"] = nn.ModuleDict({"in": conv(256, 128, 1), "out": conv(512, 256, 1)})
    layers["neck"] = nn.ModuleDict(
        {
            "top4": c2f(256 + 128, 128, 1),
            "p3": c2f(128 + 64, 64, 1),
            "down4": conv(64, 64, stride=2),
            "p4": c2f(64 + 128, 128, 1),
            "down5": conv(128, 128, stride=2),
            "p5": c2f(128 + 256, 256, 1),
        }
    )
    for k, channels in enumerate((64, 128, 256)):
        box = nn.ModuleList([conv(channels, 64), conv(64, 64), nn.Conv2d(64, 64, 1)])
        classes = nn.ModuleList([conv(channels, 80), conv(80, 80), nn.Conv2d(80, 80, 1)])
        layers[f"head{k}"] = nn.ModuleDict({"box": box, "cls": classes})
    return nn.ModuleDict(layers)


def features(net: Any, image: torch.Tensor) -> list[torch.Tensor]:
    """Three levels of features, finest first."""
    x = net["stem"](image)
    levels = []
    for i in range(1, 5):
        stage = net[f"stage{i}"]
        x = run_c2f(stage["c2f"], stage["down"](x), shortcut=True)
        levels.append(x)
    x = net["sppf"]["in"](x)
    # Three 5x5 poolings in a row see 5, 9 and 13 cells.
    pooled = [x, *(nn.functional.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13))]
    c3, c4, c5 = levels[1], levels[2], net["sppf"]["out"](torch.cat(pooled, 1))
    neck = net["neck"]
    t4 = run_c2f(neck["top4"], torch.cat([double(c5), c4], 1), shortcut=False)
    p3 = run_c2f(neck["p3"], torch.cat([double(t4), c3], 1), shortcut=False)
    p4 = run_c2f(neck["p4"], torch.cat([neck["down4"](p3), t4], 1), shortcut=False)
    p5 = run_c2f(neck["p5"], torch.cat([neck["down5"](p4), c5], 1), shortcut=False)
    return [p3, p4, p5]


def detect(net: Any, image: torch.Tensor) -> torch.Tensor:
    """Boxes and classes [batch, 84, 8400], a level at a time: from pixels to corners to centre and size."""
    columns = []
    for k, (x, stride) in enumerate(zip(features(net, image), (8, 16, 32), strict=True)):
        raw = {}
        for branch, (first, second, last) in net[f"head{k}"].items():
            raw[branch] = last(second(first(x)))
        batch, _, height, width = x.shape
        shares = raw["box"].view(batch, 4, 16, height, width).softmax(2)
        left, top, right, bottom = torch.einsum("bsnhw,n->sbhw", shares, torch.arange(16.0, dtype=x.dtype)) * stride
        column = (torch.arange(width, dtype=x.dtype) * stride + stride / 2).expand(height, width)
        row = (torch.arange(height, dtype=x.dtype) * stride + stride / 2)[:, None].expand(height, width)
        box = [column + (right - left) / 2, row + (bottom - top) / 2, left + right, top + bottom]
        level = torch.cat([torch.stack(box, 1), raw["cls"].sigmoid()], 1)
        columns.append(level.flatten(2))
    return torch.cat(columns, 2)


def test_yolov8n_agrees_with_its_description_in_torch(build: Any, train: Any, images: Any, agree: Any) -> None:
    torch.manual_seed(0)
    net = yolov8n().eval()
    feed = torch.from_numpy(images(640))
    train(net, lambda: detect(net, feed))
    weights = Folded(net)
    ours = build("yolov8n", weights, {})["model"]
    assert weights.asked == set(weights.tensors)
    with torch.inference_mode():
        theirs = detect(net.double(), feed.double()).numpy()
    found = ours({"images": feed.numpy()})["output0"]
    agree("YOLOv8n box centres, pixels", found[:, :2], theirs[:, :2])
    agree("YOLOv8n box sizes, pixels", found[:, 2:4], theirs[:, 2:4])
    agree("YOLOv8n classes", found[:, 4:], theirs[:, 4:])
