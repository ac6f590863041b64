"""Runtime half for tests: a model without an engine, in a runtime that prints at every turn, from Python and from C."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None)


def shout(where: str) -> None:
    """Print in every way a runtime may."""
    print(f"print in {where}")  # noqa: T201 - that is what it is for
    sys.stdout.write('{"result": "a forged answer"}\n')
    sys.stdout.flush()
    os.write(1, f"write(1) in {where}\n".encode())
    LIBC.puts(f"puts in {where}".encode())
    LIBC.fflush(None)
    sys.stderr.write(f"stderr in {where}\n")


shout("import")


def probe() -> dict[str, Any]:
    """A version."""
    shout("probe")
    return {"version": "1.0"}


class Model:
    """The mean of the picture, ten times."""

    def __init__(self) -> None:
        self.inputs = {"input": (["batch", 3, 32, 32], "float32")}
        self.outputs = ["logits"]

    def describe(self) -> dict[str, Any]:
        """As a runtime half must."""
        shout("describe")
        return {"inputs": self.inputs, "outputs": self.outputs}

    def offload(self) -> dict[str, dict[str, float]]:
        """It does not say."""
        return {}

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        """Outputs as arrays."""
        time.sleep(0.001)  # few spans: nothing of this is a measurement
        mean = feeds["input"].mean((1, 2, 3), keepdims=True).reshape(-1, 1)
        return [np.repeat(mean, 10, axis=1)]

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        """A call without arguments."""
        shout("prepared")
        return partial(self.run, feeds)

    def close(self) -> None:
        """Nothing to release."""
        shout("close")


def open(path: str, threads: int, options: dict[str, Any]) -> Model:  # noqa: A001 - the name that a runtime half must have
    """Open nothing."""
    shout("open")
    return Model()
