"""Task half: object detection with letterboxed input and greedy non-maximum suppression. Sent to the board; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from socbench_image import ImageTask, resize

USES = ("image",)


def letterbox(image: Any, size: int, options: dict[str, Any]) -> Any:
    """Longer side to `size`, padded with `pad` at right and bottom ("corner") or on both sides ("centre").

    uint8 [h, w, 3] -> float32 [1, 3, size, size], divided by `divide`; channels reversed where options["bgr"].
    """
    scale = size / max(image.shape[:2])
    height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
    canvas = np.full((size, size, 3), options["pad"], np.float32)
    top, left = ((size - height) // 2, (size - width) // 2) if options["place"] == "centre" else (0, 0)
    canvas[top : top + height, left : left + width] = resize(image, height, width)
    if options["bgr"]:
        canvas = canvas[:, :, ::-1]
    return np.ascontiguousarray((canvas / np.float32(options["divide"])).transpose(2, 0, 1)[None])


def decode_yolox(output: Any, size: int) -> tuple[Any, Any]:
    """Raw YOLOX output [1, anchors, 5 + classes] -> boxes [anchors, 4] as centre and size in pixels, scores [anchors, classes]."""
    grids, strides = [], []
    for stride in (8, 16, 32):
        cells = size // stride
        rows, columns = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
        grids.append(np.stack([columns, rows], -1).reshape(-1, 2))
        strides.append(np.full((cells * cells, 1), stride))
    grid, stride_of = np.concatenate(grids).astype(np.float32), np.concatenate(strides).astype(np.float32)
    found = output[0]
    centres = (found[:, :2] + grid) * stride_of
    # exp of an untrained network's output may overflow: such a box is as wide as the picture, not infinite
    sizes = np.exp(np.minimum(found[:, 2:4], 10.0)) * stride_of
    return np.concatenate([centres, sizes], 1), found[:, 5:] * found[:, 4:5]


def suppress(boxes: Any, scores: Any, overlap: float) -> list[int]:
    """Greedy non-maximum suppression: kept indices, best first. boxes: [n, 4] corners x1 y1 x2 y2."""
    area = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    order, kept = np.argsort(-scores), []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        corner = np.minimum(boxes[rest, 2:], boxes[first, 2:]) - np.maximum(boxes[rest, :2], boxes[first, :2])
        shared = np.maximum(corner[:, 0], 0) * np.maximum(corner[:, 1], 0)
        order = rest[shared <= overlap * (area[rest] + area[first] - shared)]
    return kept


class Task(ImageTask):
    """options: size, place, pad, divide, bgr, head ("yolox" or "yolov8"), score, overlap, candidates."""

    def prepare(self, image: Any) -> Any:
        """See `letterbox`."""
        return letterbox(image, int(self.options["size"]), self.options)

    def finish(self, output: Any) -> Any:
        """Detections [n, 6]: x1 y1 x2 y2 score class, of at most `candidates` boxes above `score`."""
        if self.options["head"] == "yolox":
            boxes, scores = decode_yolox(output, int(self.options["size"]))
        else:
            boxes, scores = output[0, :4].T, output[0, 4:].T
        label = scores.argmax(1)
        score = scores[np.arange(len(label)), label]
        chosen = np.flatnonzero(score > self.options["score"])
        chosen = chosen[np.argsort(-score[chosen], kind="stable")[: int(self.options["candidates"])]]
        half = boxes[chosen, 2:] / 2
        corners = np.concatenate([boxes[chosen, :2] - half, boxes[chosen, :2] + half], 1)
        spread = label[chosen, None] * (2 * float(self.options["size"]))  # classes do not suppress one another
        kept = suppress(corners + spread, score[chosen], float(self.options["overlap"]))
        return np.concatenate([corners[kept], score[chosen][kept, None], label[chosen][kept, None]], 1)
