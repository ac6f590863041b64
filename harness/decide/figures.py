"""Published figures: the rows of published.csv as `Figure`s in SI units, judged by the rules.

One folder may hold one file; the rows of several folders are put together, and no id stands twice. How a row is written, and what its columns
mean, is said in results/evidence/README.md; `harness.decide.validate` finds every flaw of a folder at once, this reader stops at the first.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from harness.decide import rowid, workloads
from harness.decide.catalogue import SOC_COLUMNS, slug
from harness.decide.rules import Case, Scene, beside_others, judge
from harness.decide.terms import Figure, Source
from harness.errors import RecordError
from harness.quantity import Kind, Unit

NAME = "published.csv"
WEB = "(web page)"
"""in the column of the repository: the path is an address"""
METRICS: dict[str, tuple[str, Unit, float]] = {
    "latency_ms": ("latency", Unit.SECOND, 1e-3),
    "latency_p90_ms": ("latency_p90", Unit.SECOND, 1e-3),
    "latency_p99_ms": ("latency_p99", Unit.SECOND, 1e-3),
    "throughput_fps": ("throughput", Unit.PER_SECOND, 1.0),
    "decode_tok_s": ("decode", Unit.PER_SECOND, 1.0),
    "prefill_tok_s": ("prefill", Unit.PER_SECOND, 1.0),
    "e2e_tok_s": ("decode_e2e", Unit.PER_SECOND, 1.0),
    "ttft_s": ("ttft", Unit.SECOND, 1.0),
    "rtf": ("realtime_factor", Unit.ONE, 1.0),
    "energy_mj_per_inference": ("energy", Unit.JOULE, 1e-3),
    "power_w": ("power", Unit.WATT, 1.0),
    "peak_memory_mb": ("peak_memory", Unit.BYTE, 1e6),
    "memory_bandwidth_mb_s": ("memcpy", Unit.BYTE_PER_SECOND, 1e6),
}
"""column `metric` -> metric, unit, and what one of the column's unit is in it; MB are 10^6 bytes"""


def suggestion(word: str, known: Sequence[str]) -> str:
    """What to write instead of `word`."""
    close = difflib.get_close_matches(word, known, 1)
    return f"write {close[0]!r}" if close else f"write one of {', '.join(known)}"


def read(folders: Sequence[Path]) -> tuple[Figure, ...]:
    """The figures of all `folders`, in the order of the files; a folder without a published.csv adds none.

    Raises RecordError, which names the file, the line, the column and what to write, for a row that cannot be a figure and for an id that
    stands twice.
    """
    works = workloads.read(folders)
    names = workloads.aliases(works)
    modules, ids = _catalogue(folders)
    scene = Scene(modules, works)
    found: dict[str, str] = {}
    figures = []
    for folder in folders:
        path = folder / NAME
        for line, row in rows(path, rowid.COLUMNS) if path.exists() else ():
            case = Case(_figure(row, f"{path}:{line}", names, ids), row["model_name_in_source"], scene)
            if first := found.get(case.figure.id):
                raise RecordError(f"{path}:{line}: row_id {case.figure.id!r} stands already at {first}", "remove one of the two rows")
            found[case.figure.id] = f"{path}:{line}"
            figures.append(judge(case))
    return beside_others(figures)


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV file; the line is the last one of the row. Raises RecordError for a file or a row without exactly these `columns`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, restkey=None, restval=None, strict=True)
            header = list(table.fieldnames or ())
            for name in (*header, *columns):
                if name not in columns:
                    raise RecordError(
                        f"{path}:1: unknown column {name!r}", suggestion(name, [one for one in columns if one not in header] or columns)
                    )
                if header.count(name) != 1:
                    what = "no column" if name not in header else "more than one column"
                    raise RecordError(f"{path}:1: {what} {name!r}", f"the columns are {','.join(columns)}")
            for row in table:
                if None in row or None in row.values():
                    count = len(header) - list(row.values()).count(None) if None not in row else len(header) + len(row[None])
                    raise RecordError(f"{path}:{table.line_num}: {count} cells instead of {len(header)}", "put cells that hold a comma in quotes")
                yield table.line_num, row
    except csv.Error as error:
        raise RecordError(f"{path}:{table.line_num}: not valid CSV: {error}", "check the quotes of this row") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not UTF-8: {error}", "save the file as UTF-8") from error
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}", "check that the file exists and is readable") from error


def value_of(cell: str) -> float | None:
    """A positive finite number in plain ASCII, or None."""
    try:
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def batch_of(cell: str) -> int | None:
    """A positive whole number, or None."""
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < 10 and int(cell) > 0 else None


def condition_of(cell: str) -> dict[str, str] | None:
    """The pairs of a=b;c=d; None for a cell that is not of this form or names a key twice."""
    parts = [one.partition("=") for one in cell.split(";")] if cell.strip() else []
    found = {key.strip(): value.strip() for key, _, value in parts}
    return found if all(key.strip() and sign and value.strip() for key, sign, value in parts) and len(found) == len(parts) else None


@lru_cache(maxsize=4096)
def source_of(repo: str, path: str, commit: str, date: str, kind: str) -> Source:
    """Where a row was read: the file at its commit, or the page; without a commit the file as it is today."""
    if repo == WEB:
        return Source(kind, path, path if path.startswith(("https://", "http://")) else "", "", date)
    plain = path if commit else path.partition(" (")[0]  # beside a missing commit the path carries a remark on how it was read
    url = f"https://github.com/{quote(repo)}/blob/{quote(commit, safe='') or 'HEAD'}/{quote(plain)}"
    return Source(kind, f"{repo} {plain}", url, commit, date)


def _figure(row: Mapping[str, str], where: str, names: Mapping[str, str], ids: Mapping[str, str]) -> Figure:
    metric, unit, scale = METRICS.get(row["metric"], ("", Unit.ONE, 0.0))
    if not metric:
        raise RecordError(f"{where}: metric: {row['metric']!r} is not known", suggestion(row["metric"], tuple(METRICS)))
    value, batch, condition = value_of(row["value"]), batch_of(row["batch"]), condition_of(row["condition"])
    if value is None or not (math.isfinite(value * scale) and value * scale > 0):
        raise RecordError(f"{where}: value: {row['value']!r} is no positive number", "write a number such as 12.5, without unit or separators")
    if batch is None and row["batch"]:
        raise RecordError(f"{where}: batch: {row['batch']!r} is no positive whole number", "write 1, or leave it empty where the source does not say")
    if condition is None:
        raise RecordError(f"{where}: condition: {row['condition']!r} is not of the form a=b;c=d", "write key=value pairs, split by semicolons")
    for column in ("soc", "workload"):
        if not row[column].strip():
            raise RecordError(f"{where}: {column} is empty", "name it as the source does")
    return Figure(
        id=row["row_id"] or rowid.row_id(row),
        soc=ids.get(row["soc"], row["soc"]),
        variant=row["soc_variant"],
        board=row["board"],
        workload=names.get(row["workload"], row["workload"]),
        metric=metric,
        value=value * scale,
        unit=unit,
        precision=row["precision"],
        runtime=row["runtime"],
        compute_unit=row["compute_unit"],
        batch=batch,
        shape=row["input_shape"],
        condition=condition,
        kind=Kind.PUBLISHED,
        source=source_of(*(row[f"source_{part}"] for part in ("repo", "path", "commit", "date", "kind"))),
        note=row["note"],
    )


def _catalogue(folders: Sequence[Path]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """From every socs.csv: the variants of the entries by the name their figures are published under, and the id of each other entry by its name.

    A figure may name an entry itself instead of what it is published under: it is of that very module then.
    """
    modules: dict[str, tuple[str, ...]] = {}
    ids: dict[str, str] = {}
    for path in (folder / "socs.csv" for folder in folders):
        for _, row in rows(path, SOC_COLUMNS) if path.exists() else ():
            ids[row["name"]] = slug(row["name"])
            if name := row["published_as"]:
                modules[name] = (*modules.get(name, ()), row["variant"])
    ids = {name: one for name, one in ids.items() if name not in modules}
    return {**dict.fromkeys(ids.values(), ("",)), **modules}, ids
