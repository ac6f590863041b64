"""The columns of a CSV log: which are power, which are voltage times current, and in which units."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.measure.meters import Address
from harness.measure.meters._reading import factor, number

_UNIT = re.compile(r"^(.*?)\s*(?:[(\[]\s*([^)\]]+?)\s*[)\]]|_([numµk]?[wav]))$", re.IGNORECASE)
_TIME = re.compile(r"#?\s*(?:time|timestamp|date|datetime|date[ /_-]?time|unix[ _-]?time|t)\b", re.IGNORECASE)
_WORDS = {"W": r"power|watts?|apower", "V": r"voltage|volts?", "A": r"current|amps?|amperes?"}
_TIMES = {"s": 10**9, "sec": 10**9, "seconds": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "μs": 10**3, "ns": 1}


@dataclass(frozen=True)
class Head:
    """One column's head: "vdd_soc current(mA)" is the current of vdd_soc in mA. `base`: W, V, A or "" for another quantity."""

    text: str
    unit: str
    base: str
    stem: str


def head(text: str) -> Head:
    """Taken apart; what is not understood has no base."""
    text = text.strip().strip("\ufeff").strip()
    found = _UNIT.match(text)
    name, unit = (found[1], found[2] or found[3]) if found else (text, "")
    if re.search(r"apparent|reactive|factor", name, re.IGNORECASE):
        return Head(text, unit, "", name)  # neither is what a battery or a supply gives away
    for base, words in _WORDS.items():
        if factor(text, base) is not None:  # a head that is only a unit: "mW"
            return Head(text, text, base, "")
        word = re.search(rf"(?<![a-z])(?:{words})(?![a-z])", name, re.IGNORECASE)
        if (word and (not unit or factor(unit, base) is not None)) or (not word and unit and factor(unit, base) is not None):
            stem = re.sub(rf"(?<![a-z])(?:{words})(?![a-z])", "", name, flags=re.IGNORECASE).strip(" _-#.")
            return Head(text, unit, base, stem)
    return Head(text, unit, "", name)


def time_column(address: Address, heads: Sequence[Head]) -> tuple[int, int]:
    """Its number, and what its unit is in ns; 0 where its head does not say. Raises UsageError."""
    named = address.one("time")
    if named:
        at = find(address, heads, "time", named)
    else:
        found = [i for i, one in enumerate(heads) if _TIME.match(one.text)]
        if not found:
            raise address.wrong(f"no column looks like the time; {_there(heads)}", "name it: time=COLUMN")
        at = found[0]
    return at, _TIMES.get(heads[at].unit.lower(), 0)


def find(address: Address, heads: Sequence[Head], key: str, name: str) -> int:
    """The column of that head, with or without its unit. Raises UsageError, naming those that are there."""
    for match in (lambda one: one.text == name, lambda one: one.text.casefold() == name.casefold(), lambda one: _bare(one) == name.casefold()):
        found = [i for i, one in enumerate(heads) if match(one)]
        if len(found) == 1:
            return found[0]
    close = difflib.get_close_matches(name, [one.text for one in heads], 1)
    raise address.wrong(f"no column {name!r}; {_there(heads)}", f"{key}={close[0]}?" if close else f"{key}=COLUMN, one of them")


def _bare(one: Head) -> str:
    return re.sub(r"\s*[(\[].*$", "", one.text).casefold()


def _there(heads: Sequence[Head]) -> str:
    return "the log has " + ", ".join(one.text for one in heads)


@dataclass(frozen=True)
class Power:
    """One channel: the product of some columns' values and `scale`, in watts. `quantum` is not known: a log does not say it."""

    site: str
    columns: tuple[int, ...]
    scale: float

    def watts(self, cells: Sequence[str], *, comma: bool) -> float | None:
        """None where a cell is empty or no number. `comma`: it stands for the decimal point."""
        total = self.scale
        try:
            for at in self.columns:
                total *= float(cells[at].replace(",", ".") if comma else cells[at])
        except (ValueError, IndexError):
            return None
        return total if math.isfinite(total) else None


def powers(address: Address, heads: Sequence[Head]) -> list[Power]:
    """What the options name, else what the heads say. Raises UsageError where that is nothing, or too much for the scope."""
    found = _named(address, heads) or _told(heads)
    if not found:
        lone = [one.text for one in heads if one.base == "A"]
        if len(lone) == 1:
            raise address.wrong(f"{lone[0]} is a current, and no column is its voltage", "give the supply's volts: voltage=5.1")
        raise address.wrong(f"no column looks like power; {_there(heads)}", "name it: power=COLUMN, or current=COLUMN and voltage=COLUMN")
    scope = address.one("scope")
    if len(found) > 1 and scope not in ("", "rail"):
        raise address.wrong(
            f"{len(found)} powers cannot all be the {scope}: {', '.join(one.site for one in found)}", "name one of them: power=COLUMN"
        )
    return found


def _scale(address: Address, one: Head, base: str, default: str) -> float:
    unit = one.unit if factor(one.unit, base) is not None else default
    scale = factor(unit, base)
    if scale is None:
        raise address.wrong(f"unit={unit} is no unit of {one.text}", f"write unit={base}, m{base} or u{base}")
    return scale


def _named(address: Address, heads: Sequence[Head]) -> list[Power]:
    names, current, voltage = address.all("power"), address.one("current"), address.one("voltage")
    if names and (current or voltage):
        raise address.wrong("power is a column, or current and voltage", "give power=..., or current=... and voltage=...")
    unit = address.one("unit")
    if names:
        found = [heads[find(address, heads, "power", name)] for name in names]
        return [Power(one.stem or one.text, (heads.index(one),), _scale(address, one, "W", unit or "W")) for one in found]
    if not voltage and not current:
        return []
    if current:
        amperes = find(address, heads, "current", current)
    else:
        lone = [i for i, one in enumerate(heads) if one.base == "A"]
        if len(lone) != 1:
            raise address.wrong(f"which column is the current? {_there(heads)}", "name it: current=COLUMN")
        amperes = lone[0]
    if not voltage:
        raise address.wrong("a current without a voltage is no power", "give voltage=COLUMN, or the supply's volts: voltage=5.1")
    scale = _scale(address, heads[amperes], "A", unit or "A")
    constant = number(voltage.removesuffix("V"))
    site = heads[amperes].stem or address.one("name") or "supply"
    if constant is not None and voltage not in [one.text for one in heads]:
        return [Power(site, (amperes,), scale * constant)]
    volts = find(address, heads, "voltage", voltage)
    return [Power(site, (amperes, volts), scale * _scale(address, heads[volts], "V", "V"))]


def _told(heads: Sequence[Head]) -> list[Power]:
    """What the heads say by themselves: every power, else every pair of voltage and current of one name.

    NXP's bcu writes both of each rail and then the sums of groups of rails ("GROUP_SOC Power(mW)"): the rails are taken, the sums are not.
    """
    rails = [one for one in heads if not one.text.startswith("GROUP_")]
    found = [Power(one.stem, (heads.index(one),), factor(one.unit or "W", "W") or 1.0) for one in rails if one.base == "W"]
    if found:
        return found
    for one in rails:
        if one.base == "A":
            pair = [other for other in rails if other.base == "V" and other.stem == one.stem]
            if len(pair) == 1:
                scale = (factor(one.unit or "A", "A") or 1.0) * (factor(pair[0].unit or "V", "V") or 1.0)
                found.append(Power(one.stem, (heads.index(one), heads.index(pair[0])), scale))
    return found
