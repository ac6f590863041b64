"""Runtime half for tests: its outputs leave the range of their type, as fp16 does on a network that was not made for it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def probe() -> dict[str, Any]:
    """A version."""
    return {"version": "1.0"}


class Model:
    """Infinities and what is no number."""

    def __init__(self) -> None:
        self.inputs = {"input": (["batch", 3, 32, 32], "float32")}
        self.outputs = ["logits"]

    def describe(self) -> dict[str, Any]:
        """As a runtime half must."""
        return {"inputs": self.inputs, "outputs": self.outputs}

    def offload(self) -> dict[str, dict[str, float]]:
        """It does not say."""
        return {}

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        """Nothing finite."""
        time.sleep(0.001)  # few spans: nothing of this is a measurement
        return [np.tile(np.array([[np.inf, np.nan]], np.float32), (len(feeds["input"]), 5))]

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments."""
        return partial(self.run, feeds)

    def close(self) -> None:
        """Nothing to release."""


def open(path: str, threads: int, options: dict[str, Any]) -> Model:  # noqa: A001 - the name that a runtime half must have
    """Open nothing."""
    return Model()
