"""Everything that was decided, as plain data: what the pages of the decision are made of.

Nothing here reads a file or computes a figure; `Market` is filled by what reads the evidence and decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from harness.decide.catalogue import Fact, Soc
from harness.decide.terms import Cell, Decision, Figure, Source

if TYPE_CHECKING:
    from harness.decide.claims import Claim
    from harness.decide.estimate import Quality
    from harness.decide.learn import How
    from harness.decide.scenario import Scenario


@dataclass(frozen=True)
class EvidenceCount:
    """How much evidence came from one source. `licence`: as far as read; "" where it was not."""

    source: str
    kind: str
    rows: int
    licence: str = ""
    url: str = ""


@dataclass(frozen=True)
class Market:
    """All of it. Mappings keep their order; `decisions` and `scenarios` are in the order in which they are read."""

    decisions: tuple[Decision, ...]
    scenarios: Mapping[str, Scenario]
    socs: Mapping[str, Soc]
    cells: Mapping[tuple[str, str, str], Cell]
    """(soc id, metric, workload) -> cell; workload "" for questions about the part"""
    figures: Mapping[str, Figure]
    claims: tuple[Claim, ...] = ()
    quality: Mapping[str, Quality] = field(default_factory=dict)
    """How well the estimates predict what they have not seen: by "latency" and "decode", and with " unseen" behind where whole
    SoCs are held out"""
    counts: tuple[EvidenceCount, ...] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    """Kind of evidence -> how many cells of the scenarios rest on it"""
    how: Callable[[Cell], How] | None = None
    """What would answer the question of a cell"""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Id of a figure or fact -> its source, where it is known better than the figure or fact itself says"""
    folders: tuple[str, ...] = ()
    """Evidence folders beside the shipped one, as the user named them"""
    version: str = ""
    """Of socbench"""

    @property
    def facts(self) -> dict[str, Fact]:
        """Every fact of the catalogue by id, those that lost included."""
        return {
            one.id: one for soc in self.socs.values() for one in (*soc.facts.values(), *(fact for others in soc.others.values() for fact in others))
        }

    def source_of(self, identity: str) -> Source:
        """The source of a figure or fact. Raises KeyError where there is neither."""
        if identity in self.sources:
            return self.sources[identity]
        if identity in self.figures:
            return self.figures[identity].source
        from harness.decide.market import fact_source

        return fact_source(self._by_id[identity])

    @cached_property
    def _by_id(self) -> dict[str, Fact]:
        return self.facts


_URL = re.compile(r"https?://[^\s()<>\"']+")


def url_in(source: str) -> str:
    """The first web address in a source, or ""; nothing but http and https is ever an address."""
    found = _URL.search(source)
    return found.group().rstrip(".,;") if found else ""
