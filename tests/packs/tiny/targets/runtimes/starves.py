"""Runtime half for tests: is killed as the kernel kills for want of memory."""

from __future__ import annotations

import os
import signal
from typing import Any


def probe() -> dict[str, Any]:
    """A version."""
    return {"version": "1.0"}


def open(path: str, threads: int, options: dict[str, Any]) -> Any:  # noqa: A001 - the name that a runtime half must have
    """Do not come back."""
    os.kill(os.getpid(), signal.SIGKILL)
