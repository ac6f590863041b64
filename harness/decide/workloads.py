"""The workloads figures are published for: what they are called, and how much there is to compute.

`workloads.csv` gives each workload's multiply-accumulates and parameters with their source. A workload of the zoo goes by the zoo's id, whatever
a source calls it; every other one by the name it has in `published.csv`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec

from harness import spec
from harness.errors import RecordError

NAME = "workloads.csv"
COLUMNS = ("workload", "published_as", "family", "task", "gmac", "params", "shape", "source", "source_url", "note")
FAMILIES = ("yolo", "classifier", "llm", "speech", "other")


class Work(msgspec.Struct, frozen=True):
    """A workload. `gmac`: 1e9 multiply-accumulates an item at `shape`; `params`: a count. None where no source was found that could be cited."""

    id: str
    published_as: tuple[str, ...]
    """the names it has in figures"""
    family: str
    """one of FAMILIES: workloads whose layers are alike"""
    task: str
    gmac: float | None
    params: float | None
    shape: str
    """reference input, such as 1x3x640x640; "" where it has no fixed one"""
    source: str
    source_url: str = ""
    note: str = ""


def read(folders: Sequence[Path]) -> dict[str, Work]:
    """Workloads by id from the `workloads.csv` of each evidence folder that has one; a later folder's row replaces an earlier one's.

    Raises RecordError, which names the file, the line and the column, for a row that cannot be one.
    """
    found: dict[str, Work] = {}
    for folder in folders:
        path = folder / NAME
        if path.exists():
            found.update((one.id, one) for one in _rows(path))
    return found


def canonical(name: str, works: Mapping[str, Work] | None = None) -> str:
    """The workload id for a name used in a figure; the name itself where no workload is known by it."""
    names = _shipped() if works is None else aliases(works)
    return names.get(name, name)


def aliases(works: Mapping[str, Work]) -> dict[str, str]:
    """Every name a workload has, its id included -> its id."""
    return {name: one.id for one in works.values() for name in (*one.published_as, one.id)}


@cache
def _shipped() -> dict[str, str]:
    return aliases(read([spec.home() / "results" / "evidence"]))


def _rows(path: Path) -> list[Work]:
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise RecordError(f"{path}: the columns are {','.join(table.fieldnames or ())}", f"write {','.join(COLUMNS)}")
        return [_row(row, f"{path}:{table.line_num}") for row in table]


def _row(row: dict[str, str], where: str) -> Work:
    if not row["workload"]:
        raise RecordError(f"{where}: workload is empty", "write the id of the workload")
    if row["family"] not in FAMILIES:
        raise RecordError(f"{where}: family = {row['family']!r}", f"write one of {', '.join(FAMILIES)}")
    gmac, params = (_number(row[column], f"{where}: {column}") for column in ("gmac", "params"))
    if (gmac or params) and not row["source"]:
        raise RecordError(f"{where}: source is empty", "say where gmac and params were read")
    names = tuple(name for name in row["published_as"].split(";") if name)
    return Work(row["workload"], names, row["family"], row["task"], gmac, params, row["shape"], row["source"], row["source_url"], row["note"])


def _number(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise RecordError(f"{where} = {text!r}", "write a positive number, or leave it empty")
    return value
