"""Reading pipe tables out of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_RULE = re.compile(r"\|?[\s:|-]*-[\s:|-]*\|?")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """A table: the heading it stands under, its header, and its rows with the line each stands on. Line breaks in cells are newlines."""

    heading: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def tables(text: str) -> Iterator[Table]:
    """All pipe tables of a document, in order."""
    lines = text.splitlines()
    heading, at = "", 0
    while at < len(lines):
        line = lines[at].strip()
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        if line.startswith("|") and at + 1 < len(lines) and "-" in lines[at + 1] and _RULE.fullmatch(lines[at + 1].strip()):
            header, begin = _cells(line), at + 2
            at = begin
            while at < len(lines) and lines[at].strip().startswith("|"):
                at += 1
            yield Table(heading, header, tuple((number + 1, _cells(lines[number].strip())) for number in range(begin, at)))
        else:
            at += 1


def _cells(line: str) -> tuple[str, ...]:
    inner = line.removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return tuple(_BREAK.sub("\n", cell).replace("&nbsp;", " ").replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", inner))
