"""Runtime half for tests: needs a package that is not installed."""

from __future__ import annotations

from typing import Any

import a_runtime_nobody_has  # type: ignore[import-not-found]


def probe() -> dict[str, Any]:
    """Never reached."""
    return {"version": a_runtime_nobody_has.__version__}
