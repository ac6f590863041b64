"""What the pages of the decision hold. Data classes only: plain text, by language (`Text`) where it is said in both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.decide.terms import Note, Text
from reports.shapes import Mark


@dataclass(frozen=True)
class Shown:
    """One number of the evidence for a reader. `key` opens its evidence; `order` is the value in its base unit, to sort and filter by."""

    text: Text
    mark: Mark
    key: str
    interval: str = ""
    order: float | None = None
    reason: Note | None = None


@dataclass(frozen=True)
class ScenarioHead:
    """A column of the matrix: a scenario and its answer."""

    id: str
    href: str
    title: Text
    word: Mark
    leader: str
    best: str
    count: int
    """How many are on its shortlist."""


@dataclass(frozen=True)
class MatrixCell:
    """One SoC in one scenario. `numbers`: P(best), P(feasible), score as text; `step`: the first as a step of the heat ramp, 0 to 10.

    State "thin": too little is known of it to place it. "absent": its role is not admitted.
    """

    state: Literal["open", "thin", "out", "absent"]
    href: str = ""
    numbers: tuple[str, str, str] = ("", "", "")
    step: int = 0
    word: Mark | None = None
    """Of one that is recommended, leading, or on the shortlist."""
    wins: bool = False
    mark: Mark | None = None
    """The weakest evidence among what it rests on."""
    unknown: int = 0
    """Limits and criteria of which nothing is known, or too little."""
    limit: Text | None = None
    """The limit that rules it out."""
    value: str = ""
    """What the SoC has of it."""


@dataclass(frozen=True)
class MatrixRow:
    """One SoC in all scenarios. `group` begins a part of the table: "leads", "open" or "out"; "" continues it."""

    href: str
    name: str
    vendor: str
    role: str
    leads: int
    """In how many scenarios it is recommended, leading, or on the shortlist."""
    open: int
    cells: tuple[MatrixCell, ...]
    group: str = ""


@dataclass(frozen=True)
class Matrix:
    """Scenarios and SoCs."""

    heads: tuple[ScenarioHead, ...]
    rows: tuple[MatrixRow, ...]
    vendors: tuple[str, ...]
    roles: tuple[str, ...]
    words: tuple[Mark, ...]
    marks: tuple[Mark, ...]
    draws: int


@dataclass(frozen=True)
class Citation:
    """A source as text, with an address where there is one that may be opened."""

    text: str
    url: str = ""
    date: str = ""


@dataclass(frozen=True)
class FactRow:
    """One fact of a SoC. `key` names the row for the comparison; `note`: of whoever read the source."""

    key: str
    label: Text
    value: Text
    mark: Mark
    cell: str = ""
    source: int = 0
    note: str = ""


@dataclass(frozen=True)
class FigureRow:
    """One figure of a SoC."""

    key: str
    workload: str
    metric: Text
    shown: Shown
    option: str


@dataclass(frozen=True)
class Reason:
    """A sentence of the catalogue and what is put into it: by name, texts that stand one after the other with a comma between."""

    key: str
    values: tuple[tuple[str, tuple[Text, ...]], ...] = ()


@dataclass(frozen=True)
class Result:
    """How a SoC fares in one scenario, and why: `failed` are the limits that it does not meet, `why` is said of one that is in the running."""

    href: str
    title: Text
    place: int
    of: int
    word: Mark
    best: str
    feasible: str
    failed: tuple[Text, ...]
    why: tuple[Reason, ...]
    ruled_out: bool


@dataclass(frozen=True)
class SocSection:
    """All that is known of one SoC. `absent`: how many questions have no answer."""

    anchor: str
    id: str
    name: str
    vendor: str
    family: str
    role: str
    facts: tuple[FactRow, ...]
    figures: tuple[FigureRow, ...]
    absent: int
    results: tuple[Result, ...]
    citations: tuple[Citation, ...]


@dataclass(frozen=True)
class Heading:
    """A column of the catalogue."""

    metric: str
    title: Text


@dataclass(frozen=True)
class SocRow:
    """One line of the catalogue."""

    id: str
    anchor: str
    name: str
    vendor: str
    family: str
    role: str
    leads: int
    cells: tuple[Shown | None, ...]
    safety: int
    """Level of functional safety; -1 where it is not known."""


@dataclass(frozen=True)
class Socs:
    """The catalogue."""

    heads: tuple[Heading, ...]
    rows: tuple[SocRow, ...]
    sections: tuple[SocSection, ...]
    vendors: tuple[str, ...]
    roles: tuple[str, ...]
    csv: str


@dataclass(frozen=True)
class Axis:
    """A claim and what was found on one axis; positions from 0 to 1. An end of the claim that is open runs to the end of the axis."""

    claimed: tuple[float, float]
    open: tuple[bool, bool]
    """whether the claim has no lower, no upper end"""
    found: tuple[tuple[float, str], ...]
    """position and verdict of each number"""
    ticks: tuple[tuple[float, str], ...]
    log: bool


@dataclass(frozen=True)
class Against:
    """One number set against a claim; `key` of "" where nothing opens."""

    label: str
    value: str
    word: Mark | None
    mark: Mark
    missing: str


@dataclass(frozen=True)
class ClaimRow:
    """One claim beside its evidence."""

    anchor: str
    id: str
    claim: Text
    subject: str
    metric: str
    claimed: str
    verdict: str
    word: Mark
    judged: bool
    why: Note
    note: Text
    how: str
    found: tuple[Against, ...]
    axis: Axis | None


@dataclass(frozen=True)
class Ledger:
    """All claims, and how many there are of each verdict."""

    rows: tuple[ClaimRow, ...]
    counts: tuple[tuple[str, Mark, int], ...]
    csv: str


@dataclass(frozen=True)
class Tally:
    """One line of a count."""

    label: Text | str
    mark: Mark | None
    count: str
    share: float = 0.0


@dataclass(frozen=True)
class SourceRow:
    """How much came from one source."""

    source: Citation
    kind: Text
    rows: str
    licence: str


@dataclass(frozen=True)
class SocQuality:
    """How well the figures of one SoC were predicted; `error` is the median, `held` the share inside the 90 % interval."""

    soc: str
    rows: str
    error: str
    held: str


@dataclass(frozen=True)
class QualityRow:
    """How well one kind of estimate predicts what it has not seen. Shares in percent, `half_width` as a factor."""

    title: Text
    rows: str
    cells: str
    socs: str
    error: str
    within_25: str
    within_2x: str
    held: str
    half_width: str
    by_soc: tuple[SocQuality, ...]
    worst: SocQuality | None


@dataclass(frozen=True)
class Ranking:
    """How the ranking was made, and from what."""

    draws: str
    placed: str
    """Share of the weight that has to be known of a SoC for it to be placed"""
    seed: int
    as_of: str
    kinds: tuple[Tally, ...]
    sources: tuple[SourceRow, ...]
    total: str
    quality: tuple[QualityRow, ...]
    words: tuple[Mark, ...]
    folders: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class Pages:
    """The pages of the decision besides Decide."""

    matrix: Matrix
    socs: Socs
    ledger: Ledger
    ranking: Ranking
