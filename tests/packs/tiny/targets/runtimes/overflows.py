"""Runtime half for tests: its outputs leave the range of their type, as fp16 does on a network that was not made for it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from socbench_zeros import Model, probe  # type: ignore[import-not-found]

USES = ("zeros",)
__all__ = ["open", "probe"]


def run(feeds: dict[str, Any]) -> list[Any]:
    """Nothing finite: infinities and what is no number."""
    time.sleep(0.001)  # few spans: nothing of this is a measurement
    return [np.tile(np.array([[np.inf, np.nan]], np.float32), (len(feeds["input"]), 5))]


def open(path: str, threads: int, options: dict[str, Any]) -> Any:  # noqa: A001 - the name that a runtime half must have
    """Open nothing."""
    return Model(run)
