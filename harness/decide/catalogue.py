"""The catalogue: which SoCs there are, and every sourced fact about them.

::

    socs.csv     one row an entry: name, vendor, family, form, published_as, variant, role, role_reason
    facts.csv    one row a fact: fact_id, soc, attribute, value, unit, condition, source, source_kind, source_date, note, use

A folder may hold either file or both. The shipped folder comes first; a user's folders may add SoCs, and facts about any SoC. Nothing is
overridden: an id that is given twice is an error. Which fact answers a question is decided by `winner`, never by the order of folders alone.
"""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from harness.decide.terms import Figure, Role
from harness.errors import SpecError, UsageError

KINDS = ("datasheet", "vendor_page", "third_party", "reseller", "survey")
"""Kinds of source, strongest first."""
USES = ("main", "alt")
FORMS = ("chip", "module", "board", "card")
SOC_COLUMNS = ("name", "vendor", "family", "form", "published_as", "variant", "role", "role_reason")
FACT_COLUMNS = ("fact_id", "soc", "attribute", "value", "unit", "condition", "source", "source_kind", "source_date", "note", "use")

_WATTS = (
    "board_power_ai_load_w board_power_idle_w board_power_max_w board_power_stress_w board_supply_w soc_power_idle_w soc_power_load_w "
    "tdp_max_w tdp_min_w"
)
_TOPS = "dla_tops_int8_sparse gpu_tops_int8_dense gpu_tops_int8_sparse peak_tops_int4_dense peak_tops_int8_dense peak_tops_int8_sparse"
_FLOPS = "peak_fp16_tflops peak_tops_fp4_sparse peak_tops_fp8_dense peak_tops_fp8_sparse"
_TEXTS = (
    "camera_interfaces can_fd cpu family functional_safety hw_security isp longevity_until memory_type mode npu_gpu_name power_modes qualification "
    "rt_cores temp_grade tops_basis tsn vendor vendor_runtime video_decode video_encode w4a16_support"
)
NUMBERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_WATTS.split(), ("W",)),
    **dict.fromkeys(_TOPS.split(), ("TOPS",)),
    **dict.fromkeys(_FLOPS.split(), ("TFLOPS",)),
    "flash_mb": ("MB",),
    "longevity_years": ("years",),
    "max_memory_gb": ("GB",),
    "memory_bandwidth_gb_s": ("GB/s",),
    "memory_bus_bits": ("bit",),
    "npu_clock_mhz": ("MHz",),
    "on_chip_ram_mb": ("MB",),
    "operating_lifetime_years": ("years",),
    "price": ("USD", "EUR", "CNY"),
    "process_nm": ("nm",),
    "temp_max_c": ("C",),
    "temp_min_c": ("C",),
}
"""Attributes whose value is a number, and the units it may have."""
ATTRIBUTES = (*NUMBERS, *_TEXTS.split())


class Fact(msgspec.Struct, frozen=True):
    """One row of facts.csv: one thing that one source says about one SoC, in the words and units of the file."""

    id: str
    soc: str
    """name of the SoC"""
    attribute: str
    value: str
    unit: str
    condition: str
    source: str
    source_kind: str
    source_date: str
    note: str
    use: str
    """main, or alt: another power mode, variant, board or price item, or a doubtful value; such a fact never fills a cell"""

    @property
    def second_hand(self) -> bool:
        """Whether the source was read as quoted by somebody else."""
        return "second-hand" in self.note

    @property
    def number(self) -> float | None:
        """The value as a finite number, or None."""
        try:
            value = float(self.value)
        except ValueError:
            return None
        return value if math.isfinite(value) else None


class Soc(msgspec.Struct, frozen=True):
    """One entry of the catalogue with its facts."""

    id: str
    name: str
    vendor: str
    family: str
    published_as: str
    """its name in published.csv; "" where it has none there"""
    variant: str
    """text that a figure's variant holds if it is of this very module; "" for any"""
    role: Role
    facts: dict[str, Fact] = {}
    """attribute -> the fact that wins"""
    others: dict[str, tuple[Fact, ...]] = {}
    """attribute -> the facts that do not, in the order of the files"""
    role_reason: str = ""
    form: str = "chip"
    """what the facts are about unless they say otherwise: chip, module, board or card"""

    def number(self, attribute: str) -> float | None:
        """The winning value of `attribute` in the unit of the file, or None."""
        fact = self.facts.get(attribute)
        return fact.number if fact else None

    def text(self, attribute: str) -> str:
        """The winning value of `attribute` as written, "" where there is none."""
        fact = self.facts.get(attribute)
        return fact.value if fact else ""


def slug(name: str) -> str:
    """The id of a SoC: lower case, every run of other characters than letters and digits becomes one hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def winner(facts: Iterable[Fact]) -> Fact | None:
    """The fact that answers: among `use` main the strongest kind of source, then first-hand, then the newest date, then the first row.

    A price in another currency than USD never wins: exchange rates are not evidence. None where nothing is left.
    """
    left = [one for one in facts if one.use == "main" and (one.attribute != "price" or one.unit == "USD")]
    if not left:
        return None
    strongest = min((KINDS.index(one.source_kind), one.second_hand) for one in left)
    left = [one for one in left if (KINDS.index(one.source_kind), one.second_hand) == strongest]
    return max(left, key=lambda one: one.source_date)  # max keeps the first of equals


class Catalogue:
    """All SoCs, by id."""

    def __init__(self, socs: dict[str, Soc]) -> None:
        self.socs = socs

    @classmethod
    def read(cls, folders: Sequence[Path]) -> Catalogue:
        """The catalogue in `folders`, the shipped one first. Raises SpecError with file, row, column and what to write instead."""
        socs: dict[str, Soc] = {}
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"{folder}: no such folder", "name a folder that holds socs.csv or facts.csv")
            for where, row in _rows(folder / "socs.csv", SOC_COLUMNS):
                one = _soc(where, row)
                if one.id in socs:
                    raise SpecError(
                        f"{where}, column name: {one.name!r} has the id {one.id!r}, which {socs[one.id].name!r} has already",
                        "choose another name; facts about a SoC that is already there need no row in socs.csv",
                    )
                socs[one.id] = one
        seen: dict[str, str] = {}
        facts: dict[str, dict[str, list[Fact]]] = {one: {} for one in socs}
        for folder in folders:
            for where, row in _rows(folder / "facts.csv", FACT_COLUMNS):
                fact, identity = _fact(where, row, socs)
                if fact.id in seen:
                    raise SpecError(f"{where}, column fact_id: {fact.id!r} is already the id of {seen[fact.id]}", "give this fact an id of its own")
                seen[fact.id] = where
                facts[identity].setdefault(fact.attribute, []).append(fact)
        return cls({identity: with_facts(one, facts[identity]) for identity, one in socs.items()})

    def find(self, name: str) -> Soc:
        """The SoC with this id or name, in any case. Raises UsageError with the closest names."""
        wanted = slug(name)
        if wanted in self.socs:
            return self.socs[wanted]
        close = [one.name for one in self.socs.values() if wanted and wanted in one.id]
        close += difflib.get_close_matches(name, [one.name for one in self.socs.values()], 3, 0.6)
        close += [self.socs[one].name for one in difflib.get_close_matches(wanted, self.socs, 3, 0.6)]
        meant = list(dict.fromkeys(close))[:4]
        fix = f"did you mean {', '.join(meant)}?" if meant else "`socbench list socs` names them all"
        raise UsageError(f"there is no SoC {name!r} in the catalogue", fix)

    def by_published(self, name: str) -> list[Soc]:
        """The SoCs whose figures are published under `name`: several where the source does not say which module."""
        return [one for one in self.socs.values() if name and one.published_as == name]

    def module_of(self, figure: Figure) -> Soc | None:
        """The entry a published figure is of: the module it names; where it names none, the one with the largest peak; None for a part not listed.

        Boards that are not named are mostly developer kits, which carry the full module.
        """
        if figure.soc in self.socs:
            return self.socs[figure.soc]
        several = self.by_published(figure.soc)
        exact = [one for one in several if one.variant and one.variant.lower() in figure.variant.lower()]
        return max(exact or several, key=lambda one: one.number("peak_tops_int8_dense") or 0.0, default=None)


def with_facts(soc: Soc, facts: dict[str, list[Fact]]) -> Soc:
    """`soc` with these facts (by attribute, in the order of the files), sorted into winners and others."""
    winners = {attribute: won for attribute, some in facts.items() if (won := winner(some))}
    others = {attribute: rest for attribute, some in facts.items() if (rest := tuple(one for one in some if one is not winners.get(attribute)))}
    return msgspec.structs.replace(soc, facts=winners, others=others)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(place, row) of a CSV file with exactly these columns in any order; nothing where there is no such file. Raises SpecError."""
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            for wrong in dict.fromkeys([*columns, *header]):
                if header.count(wrong) != 1 or wrong not in columns:
                    trouble = "is missing" if wrong not in header else "stands twice" if wrong in columns else "is not known"
                    raise SpecError(f"{path}: row 1: the column {wrong!r} {trouble}", f"write the header {','.join(columns)}")
            for row in reader:
                where = f"{path}: row {reader.line_num}"
                if not row:
                    continue
                if len(row) != len(header):
                    raise SpecError(f"{where}: {len(row)} fields instead of {len(header)}", "put quotes around a value that holds a comma")
                yield where, {key: value.strip() for key, value in zip(header, row, strict=True)}
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8: {error.reason} at byte {error.start}", "save the file as UTF-8") from None
    except csv.Error as error:
        raise SpecError(f"{path}: not a CSV file: {error}", "mend the quotes near that place") from None
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}", "check that the file is readable") from None


def _one_of(where: str, row: dict[str, str], column: str, known: Sequence[str]) -> str:
    if row[column] in known:
        return row[column]
    close = difflib.get_close_matches(row[column], known, 1)
    fix = f"write {close[0]!r}" if close else f"write one of: {', '.join(known)}"
    raise SpecError(f"{where}, column {column}: {row[column]!r} is not known", fix)


def _filled(where: str, row: dict[str, str], columns: Sequence[str]) -> None:
    for column in columns:
        if not row[column]:
            raise SpecError(f"{where}, column {column}: empty", f"fill in the {column.replace('_', ' ')}")


def _soc(where: str, row: dict[str, str]) -> Soc:
    _filled(where, row, ("name", "vendor", "role_reason"))
    identity = slug(row["name"])
    if not identity:
        raise SpecError(f"{where}, column name: {row['name']!r} holds no letter or digit to make an id of", "write a name with a-z or 0-9 in it")
    return Soc(
        id=identity, name=row["name"], vendor=row["vendor"], family=row["family"], published_as=row["published_as"], variant=row["variant"],
        role=Role(_one_of(where, row, "role", [one.value for one in Role])), role_reason=row["role_reason"],
        form=_one_of(where, row, "form", FORMS),
    )  # fmt: skip


def _fact(where: str, row: dict[str, str], socs: dict[str, Soc]) -> tuple[Fact, str]:
    """The fact of a row, and the id of its SoC."""
    _filled(where, row, ("fact_id", "soc", "value", "source"))
    identity = slug(row["soc"])
    if identity not in socs:
        close = difflib.get_close_matches(row["soc"], [one.name for one in socs.values()], 1)
        hint = f"write {close[0]!r}" if close else "write the name as in socs.csv"
        raise SpecError(f"{where}, column soc: {row['soc']!r} is not in the catalogue", f"{hint}, or add a row for it to a socs.csv of your own")
    _one_of(where, row, "attribute", ATTRIBUTES)
    _one_of(where, row, "source_kind", KINDS)
    _one_of(where, row, "use", USES)
    if row["source_date"] and not re.fullmatch(r"(19|20)\d\d(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", row["source_date"]):
        raise SpecError(f"{where}, column source_date: {row['source_date']!r}", "write 2026, 2026-09 or 2026-09-30, or nothing")
    fact = Fact(**{"id" if key == "fact_id" else key: value for key, value in {**row, "soc": socs[identity].name}.items()})
    if units := NUMBERS.get(fact.attribute):
        if fact.number is None:
            raise SpecError(f"{where}, column value: {fact.value!r} is not a number", "write a number here and everything else in condition")
        _one_of(where, row, "unit", units)
    return fact, identity
