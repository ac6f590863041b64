"""socbench evidence: check the cited figures and facts, and import what others publish."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import console
from harness.errors import RecordError, StoreError, UsageError

if TYPE_CHECKING:
    from harness.interchange import Format, Origin, Skip

EPILOG = """\
examples:
  socbench evidence check                             the evidence that comes with socbench
  socbench evidence check my-evidence/ --json         and a folder of your own
  socbench evidence import aihub models/resnet50/perf.yaml --commit b61a0090...
  socbench evidence import llama-bench bench.json --soc RK3588 \\
        --repo me/boards --commit 9f3c... --to my-evidence/published.csv
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "evidence",
        help="check the cited figures, or import a vendor's table",
        description="Check the cited figures and facts, or import what others publish as rows of published.csv.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    what = one.add_subparsers(dest="what", metavar="WHAT", required=True)
    check = what.add_parser("check", help="is every row sound, and does it have its source?", description="Check every row of the evidence.")
    check.add_argument("folders", type=Path, nargs="*", metavar="DIR", help="folders to check (default: the evidence that comes with socbench)")
    check.add_argument("--json", action="store_true", help="one JSON document on stdout")
    check.set_defaults(run=_check)
    take = what.add_parser(
        "import",
        help="turn files of a known format into rows of published.csv",
        description="Turn files of a known format into rows of published.csv. What is not known is left out and named.",
    )
    take.add_argument("format", metavar="FORMAT", help="see `socbench evidence formats`")
    take.add_argument("files", type=Path, nargs="+", metavar="FILE")
    take.add_argument("--repo", default="", metavar="R", help="where it is published: OWNER/NAME, or '(web page)' with --path ADDRESS")
    take.add_argument("--commit", default="", metavar="C", help="the 40 digits of the commit the file was taken from")
    take.add_argument("--date", default="", metavar="D", help="date of that file or commit, as 2026-02-24")
    take.add_argument("--path", default="", metavar="P", help="the file's path there (default: what can be told from its place here)")
    take.add_argument("--soc", default="", metavar="NAME", help="the SoC, where the file cannot say (socbench list socs)")
    take.add_argument("--board", default="", metavar="NAME", help="the board, where the file cannot say")
    take.add_argument("--to", type=Path, metavar="CSV", help="append new rows to this file (default: print them)")
    take.add_argument("--json", action="store_true", help="one JSON document on stdout")
    take.set_defaults(run=_import)
    formats = what.add_parser("formats", help="what can be imported", description="List the formats that can be imported.")
    formats.add_argument("--json", action="store_true", help="one JSON document on stdout")
    formats.set_defaults(run=_formats)


def _shipped() -> Path:
    from harness.spec import home

    return home() / "results" / "evidence"


def _check(arguments: argparse.Namespace) -> int:
    """Every flaw of every folder; 1 where there is one that is not only a warning."""
    from harness.decide.validate import flaws

    folders = arguments.folders or [_shipped()]
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder", "give a folder that holds published.csv, facts.csv or the like")
    counts = {str(path): _count(path) for folder in folders for path in sorted(folder.glob("*.csv"))}
    if not counts:
        raise UsageError(f"no evidence in {', '.join(map(str, folders))}", "give a folder that holds published.csv, facts.csv or the like")
    others = [_shipped(), *folders]  # a folder may speak of what another one holds
    found = [
        {"level": flaw.level, "file": _place(folder, flaw.file), "row": flaw.row, "column": flaw.column, "what": flaw.what, "fix": flaw.fix}
        for folder in folders
        for flaw in flaws(folder, others)
    ]
    errors = sum(one["level"] == "error" for one in found)
    if arguments.json:
        console.document({"flaws": found, "rows": counts})
    elif found:
        console.table(list(found[0]), [[_line(value) for value in one.values()] for one in found], right=(2,), out=sys.stdout)
        console.say(f"{errors} flaw{'s' * (errors != 1)}, {len(found) - errors} to look at")
    else:
        console.table(
            ["file", "rows"], [[name, "-" if count is None else f"{count:,}"] for name, count in counts.items()], right=(1,), out=sys.stdout
        )
        console.say("no flaw found")
    return 1 if errors else 0


def _place(folder: Path, name: str) -> str:
    """A table by its path; a flaw of the folder as a whole already names it."""
    return str(folder / name) if name.endswith(".csv") else name


def _line(value: object) -> str:
    from harness.interchange import shown

    return shown(value, 160)


def _count(path: Path) -> int | None:
    """Rows below the header; None where the file cannot be read as CSV, which is a flaw and named as such."""
    import csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return max(sum(1 for row in csv.reader(file) if row) - 1, 0)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None


def _formats(arguments: argparse.Namespace) -> int:
    from harness.interchange import formats

    rows = [{"id": one.id, "what": one.title, "published at": one.repo} for one in formats().values()]
    if arguments.json:
        console.document(rows)
    else:
        console.table(list(rows[0]), [list(row.values()) for row in rows], out=sys.stdout)
    return 0


class _Sorted(NamedTuple):
    """Rows of an import against what is there already."""

    new: list[dict[str, str]]
    known: int


def _import(arguments: argparse.Namespace) -> int:
    from harness.decide.rowid import COLUMNS, row_id
    from harness.interchange import formats, load

    form = formats().get(arguments.format)
    if form is None:
        raise UsageError(f"there is no format {arguments.format!r}", f"known formats: {', '.join(formats())}")
    if arguments.path and len(arguments.files) > 1:
        raise UsageError("--path names one file, and several are given", "import them one by one")
    rows: list[dict[str, str]] = []
    skipped: list[tuple[Path, Skip]] = []
    for file in arguments.files:
        got, left = load(form, file, _origin(arguments, form, file))
        rows += ({name: str(({"row_id": row_id(one)} | one)[name]) for name in COLUMNS} for one in got)
        skipped += ((file, one) for one in left)
    if arguments.to:
        with _locked(arguments.to):
            result = _sort(rows, _existing(arguments.to), str(arguments.to))
            _append(arguments.to, result.new)
    else:
        result = _sort(rows, [], "the files")
    if arguments.json:
        left_out = [{"file": str(file), "place": one.place, "why": one.why} for file, one in skipped]
        console.document({"new": result.new, "known": result.known, "skipped": left_out})
    elif not arguments.to:
        sys.stdout.write(_text(result.new, header=True))
    for file, one in () if arguments.json else skipped:
        console.say(f"skipped: {file}: {one.place}: {one.why}")
    console.say(f"{len(result.new)} new, {result.known} known already, {len(skipped)} skipped" + (f"; {arguments.to}" if arguments.to else ""))
    return 0


def _origin(arguments: argparse.Namespace, form: Format, file: Path) -> Origin:
    from harness.interchange import Origin

    soc, variant = arguments.soc, ""
    if form.needs_soc and soc:
        from harness.decide.catalogue import Catalogue

        found = Catalogue.read([_shipped()]).find(soc)
        soc, variant = found.published_as or found.name, found.variant
    elif not form.needs_soc and (soc or arguments.board):
        raise UsageError(f"the {form.title} names its devices itself", "leave out --soc and --board")
    return Origin(
        repo=arguments.repo or form.repo,
        path=arguments.path or _path(form, file),
        commit=arguments.commit,
        date=arguments.date,
        kind=form.kind if (arguments.repo or form.repo) == form.repo or not form.repo else "third_party",
        soc=soc,
        variant=variant,
        board=arguments.board,
    )


def _path(form: Format, file: Path) -> str:
    """The path within the repository: from the format's root folder on where the file lies in a copy of it, else its name."""
    parts = file.absolute().parts
    if form.root and form.root in parts[:-1]:
        last = len(parts) - 1 - parts[::-1].index(form.root)
        return "/".join(parts[last:])
    return file.name


def _sort(rows: Iterable[dict[str, str]], existing: Iterable[dict[str, str]], where: str) -> _Sorted:
    """Which rows are new. Raises RecordError where the same figure is there with another value: one of the two is wrong."""
    from harness.decide.rowid import key

    there = {key(row): row for row in existing}
    ids = {row["row_id"]: row for row in there.values()}
    new: list[dict[str, str]] = []
    known = 0
    for row in rows:
        if before := there.get(key(row)):
            if not _same(before["value"], row["value"]):
                what = f"{row['soc']}, {row['workload']}, {row['metric']}"
                raise RecordError(
                    f"{where}: row {before['row_id']} has {before['value'][:40]!r} for {what}; the import has {row['value']!r}",
                    "nothing was written; find out which is right, correct or remove that row, and import again",
                )
            known += 1
        elif row["row_id"] in ids:
            raise RecordError(f"{where}: the id {row['row_id']} belongs to another figure", "nothing was written; give that row another id")
        else:
            there[key(row)] = ids[row["row_id"]] = row
            new.append(row)
    return _Sorted(new, known)


def _same(one: str, other: str) -> bool:
    """Whether two cells hold one value: sources are rounded when they are written down, by less than one part in ten thousand."""
    try:
        a, b = float(one), float(other)
    except ValueError:
        return one == other
    return abs(a - b) <= 1e-4 * max(abs(a), abs(b))


def _existing(path: Path) -> list[dict[str, str]]:
    from harness.decide.figures import rows
    from harness.decide.rowid import COLUMNS

    return [row for _, row in rows(path, COLUMNS)] if path.exists() else []


def _text(rows: Sequence[dict[str, str]], *, header: bool) -> str:
    import csv
    import io

    from harness.decide.rowid import COLUMNS

    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One import at a time into a folder."""
    import fcntl

    try:
        folder = os.open(path.absolute().parent, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"{path.parent}: {error.strerror}", "create the folder first") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _append(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Old content and new rows as one file, put in place of the old one in one step: a reader sees all of them or none."""
    import tempfile

    if not rows:
        return
    temporary = None
    try:
        before = path.read_bytes() if path.exists() else b""
        gap = b"\n" if before and not before.endswith(b"\n") else b""
        mode = path.stat().st_mode & 0o777 if before else 0o644
        with tempfile.NamedTemporaryFile(dir=path.absolute().parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(before + gap + _text(rows, header=not before).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        if temporary:
            temporary.unlink(missing_ok=True)
        raise StoreError(f"{path}: {error.strerror}", "nothing was written; check space and permissions of the folder") from error
