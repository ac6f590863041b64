"""socbench measures edge-AI workloads on Linux SoCs and helps to choose one.

For notebooks::

    import harness
    records = harness.load("results")
    table = harness.frame(records)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import pandas as pd

    from harness.record import RunRecord

__version__ = "0.1.0"
__all__ = ["__version__", "frame", "load"]


def load(path: str | os.PathLike[str]) -> list[RunRecord]:
    """The records in a results folder (oldest first), or the one in a record file.

    Raises StoreError where there is nothing, RecordError for a file that is not a record.
    """
    from pathlib import Path

    from harness.errors import StoreError
    from harness.store import Store, read

    place = Path(path)
    if place.is_file():
        return [read(place)]
    found = [record for _, record in Store(place).records()]
    if not found:
        raise StoreError(f"{place}: no records there", "measure first: socbench bench host")
    return found


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """A tidy table, one row per record, metric and phase; see `harness.table.frame` for the columns."""
    from harness.table import frame as tidy

    return tidy(records)
