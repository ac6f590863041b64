"""Runtime half for tests: works, but says things of another shape than a runtime half must."""

from __future__ import annotations

from typing import Any

from socbench_zeros import Model  # type: ignore[import-not-found]

USES = ("zeros",)


def probe() -> dict[str, Any]:
    """A version that is no text."""
    return {"version": [1, 0]}


def open(path: str, threads: int, options: dict[str, Any]) -> Any:  # noqa: A001 - the name that a runtime half must have
    """With counts that are no numbers."""
    return Model(offload={"npu": {"nodes": "most of them"}})
