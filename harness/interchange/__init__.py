"""Reading what other tools and vendors publish, one file a format. The file is the registration: `FORMAT` in it is found here.

A reader takes the text of one file and gives rows as they stand in published.csv. What it does not know (a device, a unit of execution, a
quantisation) it leaves out and says so; it never guesses.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from harness.errors import RecordError, UsageError

LIMIT = 64 << 20
"""bytes of one file; the largest real ones have a tenth of a megabyte"""
_HIGHEST = 1e9  # in the units of published.csv (ms, s, MB, 1/s) nothing is above: such a number is damage
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
PAGE = "(web page)"
"""in the place of a repository: the path is an address then, and there is no commit"""


@dataclass(frozen=True)
class Origin:
    """What a file cannot say of itself: where it was taken from, and, for some formats, which SoC and board it is about."""

    repo: str
    path: str
    commit: str
    date: str = ""
    kind: str = "vendor"
    soc: str = ""
    variant: str = ""
    board: str = ""


@dataclass(frozen=True)
class Row:
    """One figure, as published.csv has it; everything is text there. `row_id` is given when it is stored."""

    soc: str
    workload: str
    model_name_in_source: str
    precision: str
    runtime: str
    compute_unit: str
    metric: str
    value: str
    board: str = ""
    input_shape: str = ""
    batch: str = "1"
    note: str = ""
    condition: str = ""
    soc_variant: str = ""


@dataclass(frozen=True)
class Skip:
    """A figure that was left out: where it stands, and why."""

    place: str
    why: str


@dataclass
class Import:
    """What a file held."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)

    def skip(self, place: str, why: str) -> None:
        """Leave a figure out."""
        self.skipped.append(Skip(shown(place, 300), why))


@dataclass(frozen=True)
class Format:
    """One format. `repo` is where it is published, "" where everybody can write it; `kind` of source it is then.

    `root` is the folder from which paths within that repository are given ("" where only the file's name is known).
    """

    id: str
    title: str
    read: Callable[[str, Origin], Import]
    repo: str = ""
    kind: str = "vendor"
    root: str = ""
    needs_soc: bool = False


@cache
def formats() -> dict[str, Format]:
    """All formats by id, in the order of their files' names."""
    found = (getattr(importlib.import_module(f"{__name__}.{module.name}"), "FORMAT", None) for module in pkgutil.iter_modules(__path__))
    return {one.id: one for one in found if one is not None}


def load(form: Format, file: Path, origin: Origin) -> tuple[list[dict[str, str]], list[Skip]]:
    """The rows of `file` without their ids, and what was left out. Raises RecordError where the file is not of this format."""
    _check(origin)
    try:
        if file.stat().st_size > LIMIT:
            raise RecordError(f"{file}: more than {LIMIT >> 20} MiB", "no file of this format is as large; is it the right one?")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{file}: {error.strerror or error}", "check the path") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{file}: not UTF-8 text, at byte {error.start}", f"give a {form.title}") from error
    if not text.strip():
        raise RecordError(f"{file}: the file is empty", f"give a {form.title}")
    try:
        got = form.read(text, origin)
    except RecordError as error:
        raise RecordError(f"{file}: {error.what}", error.fix) from error
    if not got.rows and not got.skipped:
        raise RecordError(f"{file}: no figure found", f"give a {form.title}")
    source = {
        "source_repo": origin.repo,
        "source_path": origin.path,
        "source_commit": origin.commit,
        "source_date": origin.date,
        "source_kind": origin.kind,
    }
    return [asdict(row) | source for row in got.rows], got.skipped


def _check(origin: Origin) -> None:
    if not origin.repo.strip() or not origin.path.strip():
        raise UsageError("a figure needs its source", f"add --repo OWNER/NAME (or --repo '{PAGE}' and --path ADDRESS)")
    if origin.repo == PAGE:
        if not origin.path.startswith(("https://", "http://")):
            raise UsageError(f"{origin.path!r} is no address", "for a web page give its address with --path https://...")
    elif not _COMMIT.fullmatch(origin.commit):
        raise UsageError(f"--commit {origin.commit!r}: not a full commit", "give the 40 hexadecimal digits that `git rev-parse HEAD` prints")
    if origin.date and not _DATE.fullmatch(origin.date):
        raise UsageError(f"--date {origin.date!r}: not a date", "write it as 2026-02-24")


def shown(text: object, length: int = 120) -> str:
    """A foreign text for a message: printable, on one line, of bounded length."""
    clean = "".join(char if char.isprintable() else " " for char in str(text))
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def positive(value: object) -> float | None:
    """`value` as a number above zero, or None: for text that is none, for zero, for what is not finite or beyond all reason."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 < number < _HIGHEST else None


def plain(value: float) -> str:
    """A number as it stands in a cell: no exponent, nothing added."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def slug(name: str) -> str:
    """A name of a workload from the name in the source: lower case, "_" between what is left ("Qwen2 0.5B" -> qwen2_0_5b)."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def printable(text: str) -> bool:
    """Whether `text` may become a cell: short, on one line, and with nothing of a markup language in it."""
    return 0 < len(text) <= 200 and text.isprintable() and not set(text) & set("<>")
