"""Runtime half for tests: works, but says things of another shape than a runtime half must."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def probe() -> dict[str, Any]:
    """A version that is no text."""
    return {"version": [1, 0]}


class Model:
    """Zeros."""

    def __init__(self) -> None:
        self.inputs = {"input": (["batch", 3, 32, 32], "float32")}
        self.outputs = ["logits"]

    def describe(self) -> dict[str, Any]:
        """As a runtime half must."""
        return {"inputs": self.inputs, "outputs": self.outputs}

    def offload(self) -> Any:
        """Counts that are no numbers."""
        return {"npu": {"nodes": "most of them"}}

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        """Zeros."""
        return [np.zeros((len(feeds["input"]), 10), np.float32)]

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments."""
        return partial(self.run, feeds)

    def close(self) -> None:
        """Nothing to release."""


def open(path: str, threads: int, options: dict[str, Any]) -> Model:  # noqa: A001 - the name that a runtime half must have
    """Open nothing."""
    return Model()
