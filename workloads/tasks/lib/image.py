"""Picture handling that several tasks share. Sent to the board with the tasks that name it in USES; numpy only."""

from __future__ import annotations

from typing import Any

import numpy as np


def resize(image: Any, height: int, width: int) -> Any:
    """Bilinear resize with pixel centres at half integers. image: uint8 [h, w, 3] -> float32 [height, width, 3] in 0..255."""
    rows = np.clip((np.arange(height) + 0.5) * image.shape[0] / height - 0.5, 0, image.shape[0] - 1)
    columns = np.clip((np.arange(width) + 0.5) * image.shape[1] / width - 0.5, 0, image.shape[1] - 1)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    bottom, right = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    down = (rows - top).astype(np.float32)[:, None, None]
    across = (columns - left).astype(np.float32)[None, :, None]
    upper, lower = image[top].astype(np.float32), image[bottom].astype(np.float32)
    mixed = upper + (lower - upper) * down
    return mixed[:, left] + (mixed[:, right] - mixed[:, left]) * across


class ImageTask:
    """One model, one picture (or `batch` pictures) an item. A task gives `prepare` (one picture -> one feed) and `finish` (one output)."""

    decision_axis: int | None = None

    def __init__(self, models: dict[str, Any], samples: list[str], options: dict[str, Any], batch: int) -> None:
        self.model, self.options, self.samples, self.batch = models["model"], options, samples, batch
        self.name = next(iter(self.model.inputs))
        self.images = [np.load(path) for path in samples]
        prepared = [self.prepare(image) for image in self.images]
        self.items = dict.fromkeys(("preprocess", "infer", "postprocess"), float(batch))
        self.feeds = [{self.name: np.concatenate(self._group(prepared, first))} for first in range(len(prepared))]
        self.steps = [[("infer", self.model.prepared(feed))] for feed in self.feeds]

    def prepare(self, image: Any) -> Any:
        """A decoded picture, uint8 [h, w, 3], as the model's input [1, 3, height, width]."""
        raise TypeError(f"a task says how its pictures are prepared: {image.shape}")

    def finish(self, output: Any) -> Any:
        """What the application wants from the output of one picture [1, ...]."""
        raise TypeError(f"a task says how its output is read: {output.shape}")

    def _group(self, items: list[Any], first: int) -> list[Any]:
        return [items[(first + other) % len(items)] for other in range(self.batch)]

    def core(self, index: int) -> Any:
        """The model alone, on inputs that lie ready in memory: its steps, (phase, call)."""
        return self.steps[index % len(self.steps)]

    def pipeline(self, index: int) -> Any:
        """From decoded pictures to what the application wants."""
        images = self._group(self.images, index)
        feed: dict[str, Any] = {}
        outputs: list[Any] = []

        def preprocess() -> None:
            feed[self.name] = np.concatenate([self.prepare(image) for image in images])

        def infer() -> None:
            outputs.append(self.model.run(feed)[0])

        def postprocess() -> None:
            for one in range(self.batch):
                self.finish(outputs[0][one : one + 1])

        return [("preprocess", preprocess), ("infer", infer), ("postprocess", postprocess)]

    def calibration(self) -> Any:
        """(role, feed) for static quantisation."""
        for feed in self.feeds:
            yield "model", feed

    def outputs(self) -> Any:
        """(sample, output name, array, axis whose argmax is a decision, or None) on every sample."""
        for path, feed in zip(self.samples, self.feeds):
            yield path, self.model.outputs[0], self.model.run(feed)[0], self.decision_axis
