"""Compare a task's outputs with reference outputs. Sent to the board beside the agent; numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

Output = Tuple[str, str, Any, Optional[int]]
"""(sample path, output name, array, axis along which argmax is a decision or None)."""


def compare(outputs: Iterable[Output], reference: Optional[str], save: Optional[str]) -> List[Dict[str, Any]]:
    """For each output x the sums against its reference y that `harness.record.Comparison` holds.

    `reference`: an .npz written by an earlier call through `save`, keys "<number>/<output name>". Raises ValueError on unlike shapes.
    """
    known = np.load(reference) if reference else {}
    kept: Dict[str, Any] = {}
    comparisons = []
    for number, (sample, name, array, axis) in enumerate(outputs):
        key = f"{number:03d}/{name}"
        if save:
            kept[key] = array
        if not reference:
            continue
        if key not in known:
            raise ValueError(f"the reference has no output {key}; it has {', '.join(known)}")
        truth = known[key]
        if truth.shape != array.shape:
            raise ValueError(f"output {key} has shape {array.shape}, its reference {truth.shape}")
        x, y = array.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
        chosen = array.argmax(axis) if axis is not None else np.empty(0)
        agreed = chosen == truth.argmax(axis) if axis is not None else np.empty(0)
        comparisons.append(
            {
                "sample": sample.rsplit("/", 1)[-1],
                "output": name,
                "xx": float(x @ x),
                "yy": float(y @ y),
                "xy": float(x @ y),
                "error": float((x - y) @ (x - y)),
                "matches": int(agreed.sum()),
                "decisions": int(chosen.size),
            }
        )
    if save:
        with open(save, "wb") as file:
            np.savez(file, **kept)
    return comparisons
