"""Task half: image classification. Sent to the board; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np
from socbench_image import ImageTask, resize

USES = ("image",)


def normalise(image: Any, options: dict[str, Any]) -> Any:
    """Shorter side to `resize`, centre crop to `size`, mean and std. uint8 [h, w, 3] -> float32 [1, 3, size, size]."""
    size, short = int(options["size"]), int(options["resize"])
    scale = short / min(image.shape[:2])
    scaled = resize(image, round(image.shape[0] * scale), round(image.shape[1] * scale))
    top, left = (scaled.shape[0] - size) // 2, (scaled.shape[1] - size) // 2
    crop = scaled[top : top + size, left : left + size] / np.float32(255)
    mean, std = np.asarray(options["mean"], np.float32), np.asarray(options["std"], np.float32)
    return np.ascontiguousarray(((crop - mean) / std).transpose(2, 0, 1)[None])


def best(logits: Any, count: int) -> list[tuple[int, float]]:
    """The `count` most probable classes with their softmax probability. logits: [1, classes]."""
    shifted = np.exp(logits[0] - logits[0].max())
    probability = shifted / shifted.sum()
    return [(int(one), float(probability[one])) for one in np.argsort(-probability)[:count]]


class Task(ImageTask):
    """options: size, resize, mean [3], std [3], top."""

    decision_axis = -1

    def prepare(self, image: Any) -> Any:
        """See `normalise`."""
        return normalise(image, self.options)

    def finish(self, output: Any) -> Any:
        """The `top` best classes."""
        return best(output, int(self.options["top"]))
