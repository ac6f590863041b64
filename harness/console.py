"""What people see: progress and tables on stderr, for a terminal or a pipe; documents on stdout, for machines."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.live import Live

BAR = 20
"""Columns of a progress bar."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal: paragraphs are filled, and the remark of an example that is too long for its line goes below it."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled: list[str] = []
        for shown, lines in itertools.groupby(text.splitlines(), lambda line: line[:1] in {" ", ""}):
            if not shown:
                filled += textwrap.wrap(" ".join(lines), width, break_on_hyphens=False)
                continue
            for line in lines:
                example = re.fullmatch(r"( *\S.*?)  +(\S.*)", line)
                if len(line) <= width or not example:
                    filled.append(line)
                else:
                    filled += [example[1], *textwrap.wrap(example[2], width, initial_indent=" " * 8, subsequent_indent=" " * 8)]
        return "\n".join(indent + line for line in filled)


def say(text: str) -> None:
    """One line for the person."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def document(content: Any) -> None:
    """The one JSON document of a command, on stdout."""
    json.dump(content, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = (), out: Any = None) -> None:
    """Aligned columns; the columns in `right` are set flush right."""
    stream = out or sys.stderr
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for number, line in enumerate(lines):
        cells = [cell.rjust(width) if column in right else cell.ljust(width) for column, (cell, width) in enumerate(zip(line, widths, strict=True))]
        stream.write("  ".join(cells).rstrip() + "\n")
        if number == 0:
            stream.write("  ".join("-" * width for width in widths) + "\n")


class Progress:
    """Where a long command is. On a terminal a line that moves; in a pipe one line a step. `name`: whose line it is, among several."""

    def __init__(self, total: int, name: str = "") -> None:
        self.total, self.name, self.done, self.title, self.detail = total, name, 0, "", ""
        self.begin = self.step_begin = time.monotonic()
        self.live: Live | None = None

    def __enter__(self) -> Self:
        self.live = _live(self.shown)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.live:
            self.live.stop()

    def shown(self, width: int = 0) -> Any:
        """The line that moves; the name takes `width` columns."""
        from rich.text import Text

        elapsed = time.monotonic() - self.begin
        filled = round(BAR * self.done / max(self.total, 1))
        return Text.assemble(
            (f"{self.name.ljust(width)}  " if self.name else "", "bold"),
            ("━" * filled, "green"),
            ("━" * (BAR - filled), "bright_black"),
            f" {self.done}/{self.total}  {elapsed:4.0f} s  ",
            (self.title, "bold"),
            f"  {self.detail}",
            no_wrap=True,
            overflow="ellipsis",
        )

    @property
    def _before(self) -> str:
        return f"{self.name}: " if self.name else ""

    def start(self, title: str) -> None:
        """A step begins."""
        self.title, self.detail, self.step_begin = title, "", time.monotonic()
        if not self.live:
            say(f"{self._before}[{self.done + 1}/{self.total}] {title} ...")

    def note(self, detail: str) -> None:
        """What the present step is doing."""
        self.detail = detail

    def line(self, text: str) -> None:
        """A line that stays."""
        if self.live:
            self.live.console.print(f"{self._before}{text}", markup=False, highlight=False, soft_wrap=True)
        else:
            say(f"{self._before}{text}")

    def finish(self, outcome: str) -> None:
        """The present step is over."""
        self.done += 1
        self.line(f"[{self.done}/{self.total}] {self.title}: {outcome}  ({time.monotonic() - self.step_begin:.1f} s)")


class Several:
    """The progress of several at once: on a terminal one line each, in a pipe every line begins with whose it is."""

    def __init__(self, rows: Sequence[Progress]) -> None:
        self.rows = rows
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._live = _live(self._shown)
        for row in self.rows:
            row.live, row.begin = self._live, time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def line(self, text: str) -> None:
        """A line that stays and is nobody's in particular."""
        if self._live:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            say(text)

    def _shown(self) -> Any:
        from rich.console import Group

        width = max((len(row.name) for row in self.rows), default=0)
        return Group(*(row.shown(width) for row in self.rows))


def _live(shown: Callable[[], Any]) -> Live | None:
    """What redraws `shown` on a terminal; None in a pipe."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.live import Live

    live = Live(console=Console(stderr=True), get_renderable=shown, refresh_per_second=5, transient=True)
    live.start()
    return live
