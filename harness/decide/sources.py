"""Under which licence each source of figures is published, as far as that was read: `sources.csv` of the evidence folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.decide.figures import WEB, rows
from harness.errors import RecordError

NAME = "sources.csv"
COLUMNS = ("source", "licence")


def read(folders: Sequence[Path]) -> dict[str, str]:
    """Source as in `source_repo` of published.csv -> its licence, "" where it was not read; a later folder's row replaces an earlier one's.

    Raises RecordError, which names the file and the line, for a row without a source.
    """
    found: dict[str, str] = {}
    for folder in folders:
        path = folder / NAME
        if path.exists():
            for line, row in rows(path, COLUMNS):
                if not row["source"].strip():
                    raise RecordError(f"{path}:{line}: source is empty", f"write owner/name, or {WEB}")
                found[row["source"]] = row["licence"].strip()
    return found


def licence(where: str, licences: dict[str, str]) -> str:
    """That of a figure whose source is `where` ("owner/name path", or an address); "" where it was not read."""
    first = where.partition(" ")[0]
    return licences.get(first, licences.get(WEB, "") if first.startswith(("http://", "https://")) else "")
