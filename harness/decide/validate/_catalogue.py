"""facts.csv, socs.csv, workloads.csv, claims.csv and sources.csv: what each cell must be, and what their rows must be together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import get_args

from harness.decide import catalogue, claims, sources, workloads
from harness.decide.figures import suggestion, value_of
from harness.decide.terms import Role
from harness.decide.validate._published import repository
from harness.decide.validate._table import Flaw, Known, Row, Rows, Table, Trouble, date, filled, once, one_of, twice

FACT_RANGES: dict[str, tuple[float, float]] = {
    "W": (0.01, 1500), "TOPS": (0, 10_000), "TFLOPS": (0.01, 10_000), "MB": (0.01, 100_000), "years": (1, 40), "GB": (0.1, 1024),
    "GB/s": (0.5, 10_000), "bit": (8, 8192), "MHz": (10, 5000), "USD": (0.5, 50_000), "EUR": (0.5, 50_000), "CNY": (1, 400_000), "nm": (1, 200),
    "C": (-65, 200),
}  # fmt: skip
"""Plausible values of facts, by unit; 0 TOPS is the statement that there is no such engine."""
PAIRS = (
    ("tdp_min_w", "tdp_max_w"),
    ("temp_min_c", "temp_max_c"),
    ("peak_tops_int8_dense", "peak_tops_int8_sparse"),
    ("gpu_tops_int8_dense", "gpu_tops_int8_sparse"),
    ("peak_tops_fp8_dense", "peak_tops_fp8_sparse"),
    ("board_power_idle_w", "board_power_stress_w"),
    ("soc_power_idle_w", "soc_power_load_w"),
)
"""Attributes of which the first is not greater than the second."""
_FACT_WORDS: dict[str, tuple[str, ...]] = {"source_kind": catalogue.KINDS, "use": catalogue.USES, "attribute": catalogue.ATTRIBUTES}


def _fact_cell(column: str, row: Row, known: Known) -> Trouble:
    cell, units = row[column], catalogue.NUMBERS.get(row["attribute"])
    trouble: Trouble = None
    if column in ("fact_id", "soc", "source") or (column == "value" and not units):
        trouble = filled(cell, row)
        if not trouble and column == "soc" and known.socs and cell not in known.socs:
            trouble = f"{cell!r} is in no socs.csv", suggestion(cell, sorted(known.socs))
    elif column in _FACT_WORDS:
        trouble = one_of(_FACT_WORDS[column])(cell, row)
    elif column == "unit" and units:
        trouble = one_of(units)(cell, row)
    elif column == "source_date":
        trouble = date(cell, row)
    elif column == "value":
        trouble = _fact_value(cell, row["unit"])
    return trouble


def _fact_value(cell: str, unit: str) -> Trouble:
    try:
        value = float(cell) if cell.isascii() and "_" not in cell else float("nan")
    except ValueError:
        value = float("nan")
    low, high = FACT_RANGES.get(unit, (float("-inf"), float("inf")))
    if low <= value <= high and abs(value) != float("inf"):
        return None
    return f"{cell!r} is no number from {low:g} to {high:g} {unit}", "write the number alone, in the unit of the attribute"


def _soc_cell(column: str, row: Row, known: Known) -> Trouble:
    del known
    cell = row[column]
    if column == "name":
        return None if catalogue.slug(cell) else (f"{cell!r} holds no letter or digit", "write the name of the SoC or module")
    if column in ("vendor", "role_reason"):
        return filled(cell, row)
    if column in ("role", "form"):
        return one_of(tuple(one.value for one in Role) if column == "role" else catalogue.FORMS)(cell, row)
    return None


def _workload_cell(column: str, row: Row, known: Known) -> Trouble:
    del known
    cell = row[column]
    if column == "workload":
        return filled(cell, row)
    if column == "family":
        return one_of(workloads.FAMILIES)(cell, row)
    if column in ("gmac", "params") and cell:
        if value_of(cell) is None:
            return f"{cell!r} is no positive number", "write a number, or leave it empty where no source has it"
        return None if row["source"] else ("a number without a source", "say in `source` where it was read")
    return None


def _claim_cell(column: str, row: Row, known: Known) -> Trouble:
    cell = row[column]
    if column in ("claim_id", "claim", "claim_zh"):
        return filled(cell, row)
    if column == "verdict":
        return one_of(("", *get_args(claims.Verdict)))(cell, row)
    if column == "evidence_rows":
        lost = [one for one in cell.split() if one not in known.ids]
        return (f"there is no row {lost[0]!r}", "name rows of published.csv or facts.csv by their ids") if lost else None
    return None


def _source_cell(column: str, row: Row, known: Known) -> Trouble:
    del known
    return repository(row[column], row) if column == "source" else None


def _facts_across(rows: Rows, known: Known) -> Iterator[Flaw]:
    del known
    name = "facts.csv"
    yield from twice(name, "fact_id", rows, lambda row: row["fact_id"], "this id")
    same = ("soc", "attribute", "value", "unit", "condition", "source")
    yield from twice(name, "", rows, lambda row: tuple(row[one] for one in same), "the same fact")
    by_soc: dict[str, dict[str, list[tuple[int, catalogue.Fact]]]] = defaultdict(lambda: defaultdict(list))
    for number, row in rows:
        if row["source_kind"] in catalogue.KINDS:
            fact = catalogue.Fact(**{"id" if column == "fact_id" else column: row[column] for column in catalogue.FACT_COLUMNS})
            by_soc[row["soc"]][row["attribute"]].append((number, fact))
    for soc, facts in by_soc.items():
        for less, more in PAIRS:
            low, high = (catalogue.winner(fact for _, fact in facts[one]) for one in (less, more))
            if low and high and low.number is not None and high.number is not None and low.number > high.number:
                number = next(line for line, fact in facts[less] if fact is low)
                yield Flaw(name, number, "value", f"{soc}: {less} {low.value} is greater than {more} {high.value}", "correct one, or mark it use=alt")


TABLES = (
    Table("facts.csv", catalogue.FACT_COLUMNS, _fact_cell, _facts_across),
    Table("socs.csv", catalogue.SOC_COLUMNS, _soc_cell, once("socs.csv", "name", lambda row: catalogue.slug(row["name"]), "an entry of this id")),
    Table("workloads.csv", workloads.COLUMNS, _workload_cell, once("workloads.csv", "workload", lambda row: row["workload"], "this workload")),
    Table("claims.csv", claims.COLUMNS, _claim_cell, once("claims.csv", "claim_id", lambda row: row["claim_id"], "this claim")),
    Table(sources.NAME, sources.COLUMNS, _source_cell, once(sources.NAME, "source", lambda row: row["source"], "this source")),
)
