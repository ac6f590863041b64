"""published.csv: what each cell must be, and which values no part has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from harness.decide import rowid
from harness.decide.figures import METRICS, WEB, batch_of, condition_of, suggestion, value_of
from harness.decide.rules.part import SIBLINGS
from harness.decide.validate._table import Check, Flaw, Known, Row, Rows, Table, Trouble, date, filled, one_of, twice

KINDS = ("vendor", "third_party", "mlperf")
UNITS = ("npu", "gpu", "cpu", "dla", "unstated")
RANGES: dict[str, tuple[float, float]] = {
    "latency_ms": (0.02, 120_000),
    "latency_p90_ms": (0.02, 120_000),
    "latency_p99_ms": (0.02, 120_000),
    "throughput_fps": (0.01, 50_000),
    "decode_tok_s": (0.1, 3_000),
    "prefill_tok_s": (0.5, 30_000),
    "e2e_tok_s": (0.1, 3_000),
    "ttft_s": (0.005, 60),
    "rtf": (0.002, 20),
    "energy_mj_per_inference": (0.005, 500_000),
    "power_w": (0.002, 700),
    "peak_memory_mb": (0.05, 200_000),
    "memory_bandwidth_mb_s": (500, 1_000_000),
}
"""Plausible values in the units of the file, for anything between a microcontroller and a card.

The ends lie a factor of 3 to 30 beyond the least and the greatest value known of each metric: far enough for a new part, near enough that most slips
by 1000 (s for ms, J for mJ, kB for MB) fall outside. What stays inside is found by `SLIP`.
"""
SLIP = 100.0
"""A value this many times off the median of the others of the same SoC, workload, metric and unit is a slip. The widest real spread is about 20,
between a short and a full context."""
_REMARK = re.compile(r"\(.*\)$")


def _commit(cell: str, row: Row) -> Trouble:
    if row["source_repo"] == WEB:
        return (f"a page has no commit, and here is {cell!r}", "leave it empty") if cell else None
    if re.fullmatch(r"[0-9a-f]{40}", cell):
        return None
    if not cell and _REMARK.search(row["source_path"]):
        return None  # the path says in brackets how it was read instead
    return f"{cell!r} is no commit", "write the 40 hexadecimal digits of the commit that was read: a branch moves"


def repository(cell: str, _: Row) -> Trouble:
    """A cell that names a repository, or says that the source is a page."""
    good = cell == WEB or re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", cell)
    return None if good else (f"{cell!r} is no repository", f"write owner/name, or {WEB} and the address in source_path")


def _path(cell: str, row: Row) -> Trouble:
    if not cell.strip():
        return "empty", "write the path in the repository, or the address of the page"
    page = row["source_repo"] == WEB
    if page and not re.match(r"https?://[^\s/]+", cell) and not _REMARK.fullmatch(cell):
        return f"{cell!r} is no address", "write the address of the page, with https://"
    return None


def _value(cell: str, row: Row) -> Trouble:
    value = value_of(cell)
    if value is None:
        return f"{cell!r} is no positive number", "write a number such as 12.5, without unit or separators"
    low, high = RANGES.get(row["metric"], (0.0, float("inf")))
    if not low <= value <= high:
        return f"{cell} is outside {low:g} to {high:g} for {row['metric']}", "check the unit: a slip by 1000 is the usual reason"
    return None


def _identity(cell: str, _: Row) -> Trouble:
    good = re.fullmatch(r"[\w.-]*", cell, re.ASCII)
    return None if good else (f"{cell!r} is no id", "leave it empty: it is computed from the row")


def _compute_unit(cell: str, _: Row) -> Trouble:
    return next((trouble for one in cell.split("+") if (trouble := one_of(UNITS)(one, {}))), None)


_FIGURE: dict[str, Check] = {
    **dict.fromkeys(("soc", "workload", "precision", "runtime"), filled),
    "row_id": _identity,
    "compute_unit": _compute_unit,
    "batch": lambda cell, _: None if not cell or batch_of(cell) else (f"{cell!r} is no positive whole number", "write 1, or leave it empty"),
    "metric": one_of(tuple(METRICS)),
    "value": _value,
    "source_repo": repository,
    "source_path": _path,
    "source_commit": _commit,
    "source_date": date,
    "source_kind": one_of(KINDS),
    "condition": lambda cell, _: None if condition_of(cell) is not None else (f"{cell!r} is not of the form a=b;c=d", "write key=value;key=value"),
}


def _figure_cell(column: str, row: Row, known: Known) -> Trouble:
    cell = row[column]
    if cell != cell.strip():
        return f"{cell!r} has spaces at its ends", "remove them: the same figure would be taken for another one"
    del known
    return _FIGURE[column](cell, row) if column in _FIGURE else None


def _figures_across(rows: Rows, known: Known) -> Iterator[Flaw]:
    name = "published.csv"
    named = [(number, row) for number, row in rows if row["row_id"]]
    yield from twice(name, "row_id", named, lambda row: row["row_id"], "this id")
    yield from twice(name, "", rows, rowid.key, "the same figure")
    others: dict[tuple[str, ...], list[tuple[int, float]]] = defaultdict(list)
    names = known.published_as | known.socs
    for number, row in rows:
        value = value_of(row["value"])
        if value is not None:
            others[row["soc"], row["workload"], row["metric"], row["compute_unit"]].append((number, value))
        if names and row["soc"] and row["soc"] not in names and row["soc"] not in SIBLINGS:
            fix = f"{suggestion(row['soc'], sorted(names))}; or leave it: its figures are then kept beside the ranking"
            yield Flaw(name, number, "soc", f"{row['soc']!r} is no entry of the catalogue", fix, "warning")
    for key, members in others.items():
        for number, value in members if len(members) > 2 else ():
            usual = median(other for line, other in members if line != number)
            if not 1 / SLIP <= value / usual <= SLIP:
                what = f"{value:g}, where the other figures of {key[1]} on {key[0]} lie about {usual:g}"
                yield Flaw(name, number, "value", what, f"check the unit of {key[2]}")


PUBLISHED = Table("published.csv", rowid.COLUMNS, _figure_cell, _figures_across)
