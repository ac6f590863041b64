"""What a report holds. Data classes only: every string here is plain text, and only the template turns it into HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.decide.terms import Note, Text
from reports.plot_shapes import Floats, Plot

Flag = Literal["", "suspect", "invalid"]


@dataclass(frozen=True)
class Fact:
    """A label and what is known of it."""

    label: str
    value: str


@dataclass(frozen=True)
class Mark:
    """A sign and its meaning. A sign never stands alone: its `word` is always there to read or to hear."""

    sign: str
    word: str
    meaning: str = ""


@dataclass(frozen=True)
class Cell:
    """One figure in a table. `number` and `fraction` are apart so that decimal points line up; `value` is in the base unit."""

    number: str
    fraction: str
    unit: str
    mark: Mark
    hover: str
    anchor: str
    value: float | None = None
    reason: str = ""
    note: int = 0
    """Number of the footnote that gives the reason of an absent figure."""
    extra: str = ""
    """A word that belongs to the figure: the output it is of, "identity"."""
    flag: Flag = ""
    flag_why: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a table. `fraction_ch` and `unit_ch`: the widest fraction and unit, in characters."""

    title: str
    group: str
    label: str
    """Group and title in one, for a narrow screen."""
    hint: str
    first: bool
    """Whether a group begins here."""
    fraction_ch: int = 0
    unit_ch: int = 0


@dataclass(frozen=True)
class Head:
    """A group of columns."""

    name: str
    columns: int


@dataclass(frozen=True)
class Row:
    """One session in a table; one that was not measured has a reason and a fix instead of cells."""

    anchor: str
    label: str
    sub: str
    weights: str
    status: Mark
    tone: str
    """"ok", "warned", "invalid" or "absent": how the row is drawn."""
    warnings: int
    cells: tuple[Cell, ...]
    reason: str = ""
    fix: str = ""
    earlier: bool = False


@dataclass(frozen=True)
class Group:
    """The rows of one workload."""

    title: str
    sub: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Sessions whose figures can be read side by side."""

    id: str
    title: str
    caption: str
    heads: tuple[Head, ...]
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    csv: str
    earlier: int


@dataclass(frozen=True)
class Part:
    """One piece of a bar, in the bar's unit; `colour` is an index into the categorical colours."""

    name: str
    value: float
    text: str
    colour: int


@dataclass(frozen=True)
class Bar:
    """One run in a bar chart; `share` of each part is of the longest bar."""

    anchor: str
    label: str
    total: str
    parts: tuple[Part, ...]
    shares: Floats
    flag: Flag = ""
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """Bars that may be compared with each other."""

    title: str
    caption: str
    bars: tuple[Bar, ...]
    csv: str


@dataclass(frozen=True)
class Comparison:
    """The charts of one workload."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Link:
    """One run, by name."""

    anchor: str
    label: str


@dataclass(frozen=True)
class Finding:
    """What was found, and in which runs. `why` and `fix` only where they differ from what is said of all."""

    severity: Mark
    tone: str
    what: str
    runs: tuple[Link, ...]
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Absence:
    """A sensor that was looked for in vain."""

    kind: str
    site: str
    reason: str
    fix: str
    runs: int


@dataclass(frozen=True)
class ProblemView:
    """One kind of problem over all runs."""

    id: str
    code: str
    severity: Mark
    tone: str
    why: str
    fix: str
    spoils: str
    runs: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Metrics:
    """One metric of one run, for one phase."""

    anchor: str
    title: str
    phase: str
    text: str
    interval: str
    count: str
    evidence: str
    mark: Mark
    formula: str
    """Id of the metric whose formula stands here; "" where an earlier row has it."""
    reason: str
    flag: Flag
    flag_why: str


@dataclass(frozen=True)
class SettingView:
    """One setting and where it was made."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Change:
    """One thing seen before and after."""

    name: str
    before: str
    after: str
    changed: bool


@dataclass(frozen=True)
class SpanSummary:
    """The spans of one phase in one stage."""

    stage: str
    phase: str
    count: str
    items: str
    total: str
    fastest: str
    middle: str
    slowest: str


@dataclass(frozen=True)
class Sheet:
    """A small table of text with a title; the first cell of each row is its header."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class ProblemDetail:
    """One problem of one run."""

    code: str
    severity: Mark
    tone: str
    what: str
    why: str
    fix: str
    spoils: str
    anchor: str


@dataclass(frozen=True)
class RunView:
    """Everything the drawer of one run shows."""

    anchor: str
    title: str
    label: str
    run_id: str
    begun_at: str
    href: str
    status: Mark
    tone: str
    reason: str
    fix: str
    weights: str
    problems: tuple[ProblemDetail, ...]
    plots: tuple[Plot, ...]
    metrics: tuple[Metrics, ...]
    facts: tuple[Fact, ...]
    settings: tuple[SettingView, ...]
    changes: tuple[Change, ...]
    environment: tuple[Fact, ...]
    like: Link | None
    """An earlier run on this machine: only what differs from it is in `environment`"""
    artifact: tuple[Fact, ...]
    spans: tuple[SpanSummary, ...]
    sheets: tuple[Sheet, ...]
    detail: str


@dataclass(frozen=True)
class Machine:
    """One target as its records describe it."""

    title: str
    target: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Count:
    """How many sessions ended in one way."""

    status: Mark
    tone: str
    count: int


@dataclass(frozen=True)
class MetricWords:
    """How one metric is made."""

    id: str
    title: str
    unit: str
    better: str
    formula: str


@dataclass(frozen=True)
class Report:
    """All of it, in the order in which it is read."""

    title: str
    titles: Text
    lead: str
    leads: tuple[Note, ...]
    """The lead as sentences of the catalogue; so `weights_said`."""
    weights: str
    weights_said: Note
    span: str
    versions: tuple[Fact, ...]
    counts: tuple[Count, ...]
    machines: tuple[Machine, ...]
    tables: tuple[Table, ...]
    comparisons: tuple[Comparison, ...]
    open_problems: int
    """Kinds of problem that cast doubt on something, and of sessions without figures."""
    problems: tuple[ProblemView, ...]
    unmeasured: tuple[ProblemView, ...]
    absences: tuple[Absence, ...]
    runs: tuple[RunView, ...]
    metrics: tuple[MetricWords, ...]
    marks: tuple[Mark, ...]
    words: tuple[Mark, ...]
    commands: tuple[str, ...]
    asked: tuple[SettingView, ...]
    """Settings that were not defaults."""
