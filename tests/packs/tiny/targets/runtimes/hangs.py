"""Runtime half for tests: does not come back from open as long as the file $TINY_HOLD exists (for ever, where none is named)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from socbench_zeros import Model, probe  # type: ignore[import-not-found]

USES = ("zeros",)
__all__ = ["open", "probe"]


def open(path: str, threads: int, options: dict[str, Any]) -> Any:  # noqa: A001 - the name that a runtime half must have
    """Wait, then open nothing."""
    hold = Path(os.environ.get("TINY_HOLD") or "/dev/null")
    if hold.is_file():
        hold.with_suffix(".reached").touch()
    while hold.exists():
        time.sleep(0.02)
    return Model()
