"""What runtime halves for tests share: a model without an engine."""

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


def zeros(feeds: dict[str, Any]) -> list[Any]:
    """Zeros."""
    time.sleep(0.001)  # few spans: nothing of this is a measurement
    return [np.zeros((len(feeds["input"]), 10), np.float32)]


class Model:
    """What `run` makes of the feeds, and what is to be said of the offload."""

    def __init__(self, run: Callable[[dict[str, Any]], list[Any]] = zeros, offload: Any = None) -> None:
        self.inputs = {"input": (["batch", 3, 32, 32], "float32")}
        self.outputs = ["logits"]
        self.run = run
        self._offload = offload or {}

    def describe(self) -> dict[str, Any]:
        """As a runtime half must."""
        return {"inputs": self.inputs, "outputs": self.outputs}

    def offload(self) -> Any:
        """As it was given."""
        return self._offload

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments."""
        return partial(self.run, feeds)

    def close(self) -> None:
        """Nothing to release."""
