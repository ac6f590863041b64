"""Runtime half for tests: does not come back from open as long as the file $TINY_HOLD exists (for ever, where none is named)."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def probe() -> dict[str, Any]:
    """A version."""
    return {"version": "1.0"}


class Model:
    """Zeros."""

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
        """Zeros."""
        time.sleep(0.001)  # few spans: nothing of this is a measurement
        return [np.zeros((len(feeds["input"]), 10), np.float32)]

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments."""
        return partial(self.run, feeds)

    def close(self) -> None:
        """Nothing to release."""


def open(path: str, threads: int, options: dict[str, Any]) -> Model:  # noqa: A001 - the name that a runtime half must have
    """Wait, then open nothing."""
    hold = Path(os.environ.get("TINY_HOLD") or "/dev/null")
    if hold.is_file():
        hold.with_suffix(".reached").touch()
    while hold.exists():
        time.sleep(0.02)
    return Model()
