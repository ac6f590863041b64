"""Every flaw of an evidence folder at once: what `socbench evidence check` prints.

The readers stop at the first row they cannot take; this goes on, and it also looks at what a reader cannot see: values that a slip of units
would give, the same figure twice, a row without a source, a claim about rows that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.decide.validate._catalogue import TABLES as OTHERS
from harness.decide.validate._published import PUBLISHED, RANGES, SLIP
from harness.decide.validate._table import Flaw, Known, read

__all__ = ["RANGES", "SLIP", "TABLES", "Flaw", "flaws"]

TABLES = (PUBLISHED, *OTHERS)


def flaws(folder: Path, beside: Sequence[Path] = ()) -> list[Flaw]:
    """The flaws of the tables in `folder`, in the order of files and rows. `beside`: folders that its rows may refer to; they are not checked."""
    found: list[Flaw] = []
    if not folder.is_dir():
        return [
            Flaw(
                str(folder),
                0,
                "",
                "no such folder",
                "name a folder that holds published.csv, facts.csv, socs.csv, workloads.csv, claims.csv or sources.csv",
            )
        ]
    others = [one for one in beside if one.resolve() != folder.resolve()]
    known, taken = Known.of([*others, folder]), Known.of(others).ids
    present = [one for one in TABLES if (folder / one.name).exists()]
    if not present:
        found.append(
            Flaw(str(folder), 0, "", "none of the tables is here", f"name a folder that holds one of {', '.join(one.name for one in TABLES)}")
        )
    for table in present:
        rows, broken = read(folder / table.name, table.columns)
        found += broken
        for row, cells in rows:
            for column in table.columns:
                if trouble := table.check(column, cells, known):
                    found.append(Flaw(table.name, row, column, *trouble))
        found += table.across(rows, known)
        identity = table.columns[0]
        for row, cells in rows if identity in ("row_id", "fact_id") else ():
            if cells[identity] in taken:
                found.append(Flaw(table.name, row, identity, f"{cells[identity]!r} stands already in another folder", "remove this row, or its id"))
    order = {table.name: rank for rank, table in enumerate(TABLES)}
    return sorted(found, key=lambda one: (order.get(one.file, -1), one.row))
