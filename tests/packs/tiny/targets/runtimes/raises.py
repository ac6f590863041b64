"""Runtime half for tests: refuses the model with a message of several lines."""

from __future__ import annotations

from typing import Any


def probe() -> dict[str, Any]:
    """A version."""
    return {"version": "1.0"}


def open(path: str, threads: int, options: dict[str, Any]) -> Any:  # noqa: A001 - the name that a runtime half must have
    """Refuse."""
    raise RuntimeError("operator Frobnicate is not supported\n  at node 17\n  (this is a test)")
