"""Runtime half for tests: dies in native code while the model runs, with its last words on stderr."""

from __future__ import annotations

import os
import resource
from typing import Any

from socbench_zeros import Model, probe  # type: ignore[import-not-found]

USES = ("zeros",)
__all__ = ["open", "probe"]


def run(feeds: dict[str, Any]) -> list[Any]:
    """Abort."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.write(2, b"driver: assertion `fence->signalled` failed\n")
    os.abort()


def open(path: str, threads: int, options: dict[str, Any]) -> Any:  # noqa: A001 - the name that a runtime half must have
    """Everything on a unit of its own."""
    return Model(run, {"npu": {"nodes": 3.0}})
