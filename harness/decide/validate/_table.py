"""What all tables of evidence share: flaws, reading, and checks of single cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date as day_of
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.decide import catalogue, rowid
from harness.decide.figures import suggestion

Row = Mapping[str, str]
Rows = list[tuple[int, dict[str, str]]]
"""(line, cells by column)"""
Trouble = tuple[str, str] | None
"""what is wrong and how to mend it"""
Check = Callable[[str, Row], Trouble]

_ISO = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


class Flaw(msgspec.Struct, frozen=True):
    """One thing wrong in one file. `row`: its line, 0 for the file as a whole. A "warning" is to be looked at and may be right."""

    file: str
    row: int
    column: str
    what: str
    fix: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.column + ': ' if self.column else ''}{self.what}\n  fix: {self.fix}"


class Known(NamedTuple):
    """What rows may refer to."""

    socs: frozenset[str]
    published_as: frozenset[str]
    ids: frozenset[str]

    @classmethod
    def of(cls, folders: Iterable[Path]) -> Known:
        """Everything that the readable rows of `folders` name."""
        socs, names, ids = set[str](), set[str](), set[str]()
        for folder in folders:
            for _, row in read(folder / "socs.csv", catalogue.SOC_COLUMNS)[0]:
                socs.add(row["name"])
                names.add(row["published_as"])
            ids.update(row["row_id"] or rowid.row_id(row) for _, row in read(folder / "published.csv", rowid.COLUMNS)[0])
            ids.update(row["fact_id"] for _, row in read(folder / "facts.csv", catalogue.FACT_COLUMNS)[0])
        return cls(frozenset(socs), frozenset(names - {""}), frozenset(ids))


class Table(NamedTuple):
    """One file: its columns, what each cell must be, and what its rows must be together."""

    name: str
    columns: tuple[str, ...]
    check: Callable[[str, Row, Known], Trouble]
    across: Callable[[Rows, Known], Iterator[Flaw]]


def read(path: Path, columns: Sequence[str]) -> tuple[Rows, list[Flaw]]:
    """The rows that have every column, and what is wrong with the rest of the file; nothing where there is no such file."""
    rows: Rows = []
    found: list[Flaw] = []
    if not path.exists():
        return rows, found
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            found += _header(path.name, header, columns)
            whole = all(one in header for one in columns)
            for cells in filter(None, reader):
                if len(cells) != len(header):
                    what = f"{len(cells)} cells instead of {len(header)}"
                    found.append(Flaw(path.name, reader.line_num, "", what, "put cells that hold a comma in quotes"))
                elif whole:
                    rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except (csv.Error, UnicodeDecodeError) as error:
        fix = "mend the quotes near the last good row, or save the file as UTF-8"
        found.append(Flaw(path.name, 0, "", f"not a CSV file in UTF-8: {error}", fix))
    except OSError as error:
        found.append(Flaw(path.name, 0, "", str(error.strerror), "check that the file is readable"))
    return rows, found


def _header(file: str, header: Sequence[str], columns: Sequence[str]) -> Iterator[Flaw]:
    lacking = [one for one in columns if one not in header]
    for one in dict.fromkeys(header):
        if one not in columns:
            yield Flaw(file, 1, one, f"the column {one!r} is not known", suggestion(one, lacking or columns))
        elif header.count(one) > 1:
            yield Flaw(file, 1, one, "this column stands twice", "remove one of them")
    for one in lacking:
        yield Flaw(file, 1, one, "this column is missing", f"the columns are {','.join(columns)}")


def filled(cell: str, _: Row) -> Trouble:
    """A cell that must not be empty."""
    return None if cell.strip() else ("empty", "fill it in as the source has it, or write unstated")


def one_of(known: Sequence[str]) -> Check:
    """A cell that must be one of `known`."""
    return lambda cell, _: None if cell in known else (f"{cell!r} is not known", suggestion(cell, tuple(known)))


def date(cell: str, _: Row) -> Trouble:
    """A year, a month or a day; or nothing."""
    good = not cell
    if cell.isascii() and _ISO.fullmatch(cell):
        year, month, day = ([int(one) for one in cell.split("-")] + [1, 1])[:3]
        try:
            good = 1990 <= day_of(year, month, day).year < 2100
        except ValueError:
            good = False
    return None if good else (f"{cell!r} is no date", "write 2026, 2026-09 or 2026-09-30, or leave it empty")


def twice(table: str, column: str, rows: Rows, of: Callable[[Row], object], what: str) -> Iterator[Flaw]:
    """The rows whose `of` an earlier row has."""
    first: dict[object, int] = {}
    for number, row in rows:
        key = of(row)
        if key in first:
            yield Flaw(table, number, column, f"{what} stands already in row {first[key]}", "remove one of the two rows, or tell them apart")
        first.setdefault(key, number)


def once(table: str, column: str, of: Callable[[Row], object], what: str) -> Callable[[Rows, Known], Iterator[Flaw]]:
    """`twice` for a whole table."""
    return lambda rows, _: twice(table, column, rows, of, what)
