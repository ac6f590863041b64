"""What a rule is, and what it is asked about."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec

from harness.decide.terms import Figure
from harness.decide.workloads import Work

Bars = tuple[Literal["rank", "estimate"], ...]

NEITHER: Bars = ()
RANK: Bars = ("rank",)
ESTIMATE: Bars = ("estimate",)
BOTH: Bars = ("rank", "estimate")


@lru_cache(maxsize=1 << 16)
def _found(pattern: str, note: str) -> bool:
    """Kept, since a table has the same note in many rows: a third of the time it takes to read the shipped figures."""
    return re.search(pattern, note, re.IGNORECASE) is not None


class Scene(NamedTuple):
    """What is known beside the figure.

    `modules`: by the name that figures are published under (or the id of an entry), the variants of the entries it stands for, "" for any; {} where
    there is no catalogue. `works`: the workloads by id.
    """

    modules: Mapping[str, tuple[str, ...]] = {}
    works: Mapping[str, Work] = {}


class Case(NamedTuple):
    """One figure before judgement. `model`: the name its source gives the model."""

    figure: Figure
    model: str = ""
    scene: Scene = Scene()

    def notes(self, pattern: str) -> bool:
        """Whether the note of the collection says so, in any case of letters."""
        return _found(pattern, self.figure.note)

    def said(self, key: str) -> str:
        """The value of `key` in the condition, "" where it is not stated."""
        return self.figure.condition.get(key, "")

    def of(self, *metrics: str) -> bool:
        """Whether the figure is of one of these metrics."""
        return self.figure.metric in metrics


Test = Callable[[Case], bool]


class Rule(msgspec.Struct, frozen=True):
    """One pitfall as code. `sigma`: the least sd of the logarithm a figure keeps under it; 0 where the rule says nothing about it."""

    code: str
    applies: Test
    bars: Bars
    sigma: float

    @property
    def states(self) -> str:
        """The rule in the words of its docstring."""
        return " ".join((self.applies.__doc__ or "").split())


class Rulebook:
    """Rules in the order they were written down."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}

    def rule(self, code: str, *, bars: Bars = NEITHER, sigma: float = 0.0) -> Callable[[Test], Test]:
        """Enter the decorated function as a rule. Raises ValueError for a code that stands already."""

        def enter(test: Test) -> Test:
            if code in self.rules:
                raise ValueError(f"there are two rules {code!r}")
            self.rules[code] = Rule(code, test, bars, sigma)
            return test

        return enter


BOOK = Rulebook()
rule = BOOK.rule
