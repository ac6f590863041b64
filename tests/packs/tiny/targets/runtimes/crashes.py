"""Runtime half for tests: dies in native code while the model runs, with its last words on stderr."""

from __future__ import annotations

import os
import resource
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def probe() -> dict[str, Any]:
    """A version."""
    return {"version": "1.0"}


class Model:
    """Opens, and dies on the first run."""

    def __init__(self) -> None:
        self.inputs = {"input": (["batch", 3, 32, 32], "float32")}
        self.outputs = ["logits"]

    def describe(self) -> dict[str, Any]:
        """As a runtime half must."""
        return {"inputs": self.inputs, "outputs": self.outputs}

    def offload(self) -> dict[str, dict[str, float]]:
        """Everything on a unit of its own."""
        return {"npu": {"nodes": 3.0}}

    def run(self, feeds: dict[str, Any]) -> list[Any]:  # noqa: ARG002
        """Abort."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.write(2, b"driver: assertion `fence->signalled` failed\n")
        os.abort()

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments."""
        return partial(self.run, feeds)

    def close(self) -> None:
        """Nothing to release."""


def open(path: str, threads: int, options: dict[str, Any]) -> Model:  # noqa: A001 - the name that a runtime half must have
    """Open nothing."""
    return Model()
