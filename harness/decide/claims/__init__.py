"""The claims ledger: what a survey claims, set against what was measured, published and stated in data sheets.

claims.csv has one row a claim. `check` names the numbers that answer it, as "label: sum; label: sum" (see `harness.decide.claims.formula`), or
"measured: latency_p50 fp32 / int8" for the ratios of two precisions in our own records; `relation` says how a number found must stand to what
is claimed. So the verdict follows the evidence. Where no sum can answer, `verdict` holds what a person judged, and `verdict_note` why.
A fact that comes from the survey itself is no evidence for it and is never used.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import msgspec

from harness.decide.claims import formula
from harness.decide.parts.reading import kind_of
from harness.decide.terms import Figure, Note, Text
from harness.errors import SpecError
from harness.quantity import STRENGTH, Kind, Unit, text

if TYPE_CHECKING:
    import pandas as pd

    from harness.decide.catalogue import Catalogue, Fact

Verdict = Literal["supported", "contradicted", "partly", "missing"]
Relation = Literal["equal", "within", "at least", "at most", "above", "below", "about", "factor", ""]
COLUMNS = (
    "claim_id", "claim", "claim_zh", "subject", "metric", "claimed_value", "claimed_unit", "relation", "claimed_low", "claimed_high", "unit",
    "check", "how_to_check", "evidence_rows", "verdict", "verdict_note", "verdict_note_zh",
)  # fmt: skip
TOLERANCE = 0.10
"""a number found may miss what is claimed by this share: claims are rounded"""
EXACT = 0.01
"""the same for "equal": nominal figures are either the same or not"""
ABOUT = 1.5
"""the factor that "about" and "~" leave on either side"""
HALF = 0.5
"""a factor that reaches this share of the claimed one, on a logarithmic scale, bears the claim out in part: the direction holds, the size does not"""
_SCALES = {
    "TOPS": 1e12,
    "TFLOPS": 1e12,
    "W": 1.0,
    "USD": 1.0,
    "GB": 1e9,
    "GB/s": 1e9,
    "MB": 1e6,
    "nm": 1e-9,
    "years": 1.0,
    "bit": 1.0,
    "MHz": 1e6,
    "C": 1.0,
}


class Found(msgspec.Struct, frozen=True):
    """One number set against a claim, in its unit. `value` None: a number it needs is not there (`missing`)."""

    label: str
    value: float | None
    verdict: Literal["met", "part", "not met", ""]
    kind: Kind
    ids: tuple[str, ...]
    missing: tuple[str, ...] = ()


class Claim(msgspec.Struct, frozen=True):
    """One claim and what became of it. `low` and `high` bound what is claimed, in `unit`; both None where it is no number."""

    id: str
    text: Text
    subject: str
    metric: str
    claimed: str
    """in the words of the claim"""
    relation: Relation
    low: float | None
    high: float | None
    unit: Unit
    found: tuple[Found, ...]
    verdict: Verdict
    judged: bool
    """a person judged it; else it follows from the numbers"""
    why: Note
    note: Text
    how: str
    rows: tuple[str, ...]
    """ids of figures that bear on it, those in the sums and others"""


class _Row(msgspec.Struct, frozen=True):
    where: str
    cells: dict[str, str]
    relation: Relation
    low: float | None
    high: float | None
    unit: Unit


def ledger(figures: Iterable[Figure], catalogue: Catalogue, table: pd.DataFrame | None, folders: Sequence[Path] = ()) -> tuple[Claim, ...]:
    """All claims of the folders' claims.csv, in their order. `table`: the records as `harness.table.frame` gives them, or None.

    Without `folders` it is the evidence that comes with socbench. Raises SpecError naming file, row and column.
    """
    numbers = _Evidence(figures, catalogue)
    seen: set[str] = set()
    found = []
    for row in _rows(folders or [_shipped()]):
        claim = _claim(row, numbers, table)
        if claim.id in seen:
            raise SpecError(f"{row.where}, column claim_id: {claim.id!r} is there already", "give each claim an id of its own")
        seen.add(claim.id)
        found.append(claim)
    return tuple(found)


def _shipped() -> Path:
    from harness.spec import home

    return home() / "results" / "evidence"


class _Evidence:
    """Figures and facts as numbers of a sum."""

    def __init__(self, figures: Iterable[Figure], catalogue: Catalogue) -> None:
        self.figures = {one.id: one for one in figures}
        self.catalogue = catalogue
        self.facts = {
            fact.id: fact
            for soc in catalogue.socs.values()
            for fact in (*soc.facts.values(), *(one for others in soc.others.values() for one in others))
            if fact.source_kind != "survey"
        }

    def by_id(self, identity: str) -> formula.Known | None:
        if identity in self.figures:
            figure = self.figures[identity]
            return formula.Known(identity, figure.value, figure.kind)
        return self._known(self.facts.get(identity))

    def fact(self, soc: str, attribute: str) -> formula.Known | None:
        return self._known(self._winner(soc, attribute))

    def says(self, soc: str, attribute: str, word: str) -> formula.Known | None:
        fact = self._winner(soc, attribute)
        return formula.Known(fact.id, float(word.casefold() in fact.value.casefold()), kind_of(fact)) if fact else None

    def _winner(self, soc: str, attribute: str) -> Fact | None:
        """The fact that fills the cell; where that is the survey's own, there is none: a claim does not bear itself out."""
        fact = self.catalogue.find(soc).facts.get(attribute)
        return fact if fact and fact.id in self.facts else None

    @staticmethod
    def _known(fact: Fact | None) -> formula.Known | None:
        if fact is None or fact.number is None or fact.unit not in _SCALES:
            return None
        return formula.Known(fact.id, fact.number * _SCALES[fact.unit], kind_of(fact))


def _rows(folders: Sequence[Path]) -> Iterator[_Row]:
    for path in (folder / "claims.csv" for folder in folders):
        if not path.exists():
            continue
        try:
            lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True), strict=True))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SpecError(f"{path}: cannot be read as CSV in UTF-8: {error}", "save it so") from error
        if not lines or tuple(lines[0]) != COLUMNS:
            raise SpecError(f"{path}: row 1: not the columns of a ledger of claims", f"write the header {','.join(COLUMNS)}")
        for number, line in enumerate(lines[1:], 2):
            where = f"{path}: row {number}"
            if len(line) != len(COLUMNS):
                raise SpecError(f"{where}: {len(line)} cells under {len(COLUMNS)} columns", "quote cells that have a comma in them")
            yield _row(where, dict(zip(COLUMNS, (cell.strip() for cell in line), strict=True)))


def _row(where: str, cells: dict[str, str]) -> _Row:
    for column in ("claim_id", "claim", "claim_zh", "subject", "claimed_value", "unit"):
        if not cells[column]:
            raise SpecError(f"{where}, column {column}: empty", "fill it in")
    for column, known in (("relation", get_args(Relation)), ("unit", tuple(Unit)), ("verdict", ("", *get_args(Verdict)))):
        if cells[column] not in known:
            raise SpecError(f"{where}, column {column}: {cells[column]!r} is not known", f"write one of: {', '.join(filter(None, known))}")
    if cells["verdict"] and not (cells["verdict_note"] and cells["verdict_note_zh"]):
        raise SpecError(f"{where}, column verdict_note: a judgement without a reason", "say in both languages why, or leave the verdict to the check")
    low, high = (_bound(where, column, cells[column]) for column in ("claimed_low", "claimed_high"))
    relation = cast("Relation", cells["relation"])
    if (relation == "") != (low is None and high is None) or (cells["check"] and not relation):
        raise SpecError(f"{where}, column relation: it goes with claimed_low or claimed_high", "give both or neither; a check needs them")
    low, high = (high if low is None else low), (low if high is None else high)
    if low is not None and high is not None and not low <= high:
        raise SpecError(f"{where}, column claimed_high: below claimed_low", "the lower bound comes first")
    if relation in ("factor", "about") and not (low or 0) > (1 if relation == "factor" else 0):
        raise SpecError(f"{where}, column claimed_low: {relation!r} needs a number above {1 if relation == 'factor' else 0}", "use another relation")
    return _Row(where, cells, relation, low, high, Unit(cells["unit"]))


def _bound(where: str, column: str, cell: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SpecError(f"{where}, column {column}: {cell!r} is not a finite number", "write a number in the unit of the row, or nothing")
    return value


def meets(relation: Relation, low: float, high: float, value: float) -> Literal["met", "part", "not met"]:
    """How a number found stands to what is claimed (`low` <= `high`, the same unit)."""
    share, size = 0.0, low
    match relation:
        case "above":
            good = value > low
        case "below":
            good = value < high
        case "equal":
            good = abs(value - low) <= EXACT * abs(low)
        case "within":
            good = low * (1 - TOLERANCE) <= value <= high * (1 + TOLERANCE)
        case "at most":
            good = value <= high * (1 + TOLERANCE)
        case "about":
            good = low / ABOUT <= value <= high * ABOUT
        case "factor":
            good = value >= size * (1 - TOLERANCE)
            share = math.log(value) / math.log(size) if value > 0 else 0.0
        case _:
            good = value >= low * (1 - TOLERANCE)
    return "met" if good else "part" if share >= HALF else "not met"


def _claim(row: _Row, numbers: _Evidence, table: pd.DataFrame | None) -> Claim:
    cells = row.cells
    found = tuple(_found(row, numbers, table))
    verdict, why = _verdict(found, row)
    judged = bool(cells["verdict"])
    if judged:
        verdict, why = cast("Verdict", cells["verdict"]), Note("claims-judged")
    return Claim(
        id=cells["claim_id"],
        text={"en": cells["claim"], "zh": cells["claim_zh"]},
        subject=cells["subject"],
        metric=cells["metric"],
        claimed=f"{cells['claimed_value']} {cells['claimed_unit']}".strip(),
        relation=row.relation,
        low=row.low,
        high=row.high,
        unit=row.unit,
        found=found,
        verdict=verdict,
        judged=judged,
        why=why,
        note={"en": cells["verdict_note"], "zh": cells["verdict_note_zh"]},
        how=cells["how_to_check"],
        rows=tuple(dict.fromkeys([*(one for part in found for one in part.ids), *cells["evidence_rows"].split()])),
    )


def _verdict(found: Sequence[Found], row: _Row) -> tuple[Verdict, Note]:
    deciding = [one for one in found if one.value is not None]
    met = sum(one.verdict == "met" for one in deciding)
    part = sum(one.verdict == "part" for one in deciding)
    if not deciding:
        return "missing", Note("claims-missing") if found else Note("claims-unchecked")
    values = sorted(one.value for one in deciding if one.value is not None)
    said = {
        "met": str(met),
        "count": str(len(deciding)),
        "low": text(values[0], row.unit),
        "high": text(values[-1], row.unit),
    }
    why = Note("claims-one" if len(deciding) == 1 else "claims-several", said)
    return ("supported" if met == len(deciding) else "partly" if met or part else "contradicted"), why


def _found(row: _Row, numbers: _Evidence, table: pd.DataFrame | None) -> Iterator[Found]:
    """The numbers a check names: the measured ones first, then what others published; both count."""
    checks = [one.strip() for one in row.cells["check"].split(";") if one.strip()]
    measured = [one for check in checks if check.startswith("measured:") for one in _measured(row, check.removeprefix("measured:"), table)]
    yield from measured
    for check in checks:
        if check.startswith("measured:"):
            continue
        label, _, terms = check.partition(": ")
        try:
            got = formula.evaluate(terms, numbers)
        except ValueError as error:
            raise SpecError(f"{row.where}, column check: {error}", "write 'label: sum', several with '; ' between them") from error
        kind = max((one.kind for one in got.used), key=STRENGTH.__getitem__, default=Kind.MISSING)
        ids = tuple(dict.fromkeys(one.id for one in got.used))
        if got.value is None:
            yield Found(label, None, "", Kind.MISSING, ids, got.missing)
        else:
            yield Found(label, got.value, _meets(row, got.value), kind, ids)


def _meets(row: _Row, value: float) -> Literal["met", "part", "not met"]:
    if row.low is None or row.high is None:
        raise SpecError(f"{row.where}, column claimed_low: a check needs a number to compare with", "fill it in")
    return meets(row.relation, row.low, row.high, value)


_SAME = ("target", "module", "workload", "runtime", "scenario", "threads", "batch", "phase")


def _measured(row: _Row, check: str, table: pd.DataFrame | None) -> Iterator[Found]:
    """The ratio of two precisions of one metric for everything that was measured in both, the rest being the same. Medians over repeated runs."""
    words = check.split()
    if len(words) != 4 or words[2] != "/":
        raise SpecError(f"{row.where}, column check: {check.strip()!r}", "write 'measured: METRIC PRECISION / PRECISION'")
    if table is None or table.empty:
        return
    metric, above, _, below = words
    chosen = table[(table["metric"] == metric) & (table["status"] == "ok") & table["value"].notna() & table["precision"].isin([above, below])]
    for same, group in chosen.groupby(list(_SAME), dropna=False, sort=True):
        sides = [group[group["precision"] == one] for one in (above, below)]
        if any(side.empty for side in sides):
            continue
        top, bottom = (float(side["value"].median()) for side in sides)
        if bottom > 0 and top > 0:
            named = dict(zip(_SAME, same, strict=True))
            threads = named["threads"]
            many = "" if str(threads) in ("<NA>", "nan", "None") else f", {threads} threads"
            phase = "" if named["phase"] in ("infer", "") else f", {named['phase']}"
            label = f"{named['workload']}, {named['runtime']}{many}{phase}, {named['module'] or named['target']}"
            ids = tuple(str(one) for side in sides for one in side["run_id"])
            yield Found(label, top / bottom, _meets(row, top / bottom), Kind.MEASURED, ids)
