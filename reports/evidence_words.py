"""What is known, in the words and marks of the report: cells, probabilities, verdicts, roles, attributes."""

from __future__ import annotations

import math
from urllib.parse import quote

from harness.decide.shown import value_text as english
from harness.decide.terms import METRICS, Cell, Text, key_of
from harness.quantity import STRENGTH, THIN_SPACE, Kind, Unit, significant, text
from harness.words import LANGUAGES, catalogue
from reports.decide_shapes import Shown
from reports.shapes import Mark
from reports.words import MARKS

WORDS = {
    "recommended": Mark("★", "recommended"),
    "leading": Mark("▲", "leading"),
    "shortlist": Mark("≡", "shortlist"),
    "nothing": Mark("∅", "nothing meets the limits"),
}
RULED_OUT = Mark("✗", "ruled out")
OPEN = Mark("○", "open")
NOT_PLACED = Mark("⋯", "not placed")
"""Of a SoC of which too little is known: see `harness.decide.terms.PLACED`."""
VERDICTS = {
    "supported": Mark("✓", "supported"),
    "contradicted": Mark("✗", "contradicted"),
    "partly": Mark("◑", "partly"),
    "missing": Mark("–", "no evidence"),
}
MEETS = {"met": Mark("✓", "bears it out"), "part": Mark("◑", "in part"), "not met": Mark("✗", "against it")}
"""How one number stands to a claim."""
ROLES = ("soc", "accelerator", "card", "host", "mcu")
_Z90 = 1.6448536269514722
"""90 % of a normal distribution lie within this many standard deviations."""
_TRANSLATED = {"yes": "r-yes", "no": "r-no", "none": "r-none"}
_FACT_KINDS = {"datasheet": Kind.DATASHEET, "vendor_page": Kind.DATASHEET, "survey": Kind.CLAIMED, "third_party": Kind.DATASHEET}


def said(key: str, **values: object) -> Text:
    """The sentence `key` by language, not escaped."""
    return {language: catalogue()[key][language].format(**values) for language in LANGUAGES}


def same(one: str) -> Text:
    """Text that is not translated."""
    return dict.fromkeys(LANGUAGES, one)


def probability(value: float) -> str:
    """Two digits."""
    return f"{value:.2f}"


def metric_title(metric: str) -> Text:
    """The title of a metric by language; its id where it is not known."""
    return METRICS[metric].title if metric in METRICS else same(metric)


def key_title(key: str) -> Text:
    """The title of a criterion or limit such as "latency:yolov8n"."""
    metric, _, workload = key.partition(":")
    title = metric_title(metric)
    return {language: f"{title[language]} {workload}".strip() for language in LANGUAGES}


def short_metric(metric: str) -> Text:
    """One word for a question: "cold" for the lowest ambient temperature."""
    key = f"r-short-{metric}"
    return said(key) if key in catalogue() else metric_title(metric)


def short_title(cell: Cell) -> Text:
    """One word for the question of a cell, and its workload."""
    return {language: f"{one} {cell.workload}".strip() for language, one in short_metric(cell.metric).items()}


def value_text(metric: str, value: float, unit: Unit) -> Text:
    """One value for a reader."""
    if metric == "can_fd":
        return same(f"{value:.0f}")
    found = english(value, metric) if metric in METRICS else text(value, unit)
    if found in _TRANSLATED:
        return said(_TRANSLATED[found])
    if unit is Unit.YEAR:
        return said("r-years", number=significant(value, 2))
    return same(found)


def interval_of(cell: Cell) -> str:
    """The 90 % interval of a cell, or "" where its value is exact or not known."""
    if cell.value is None or (cell.sigma == 0 and cell.floor == cell.ceil):
        return ""
    spread = math.exp(_Z90 * cell.sigma)
    low = cell.low if cell.low is not None else cell.floor / spread
    high = cell.high if cell.high is not None else cell.ceil * spread
    question = METRICS.get(cell.metric)
    if low <= 0 and question and question.criterion:
        low = -math.inf  # "from nothing" is no bound of what is weighed on a logarithm
    first, last = (value_text(cell.metric, one, cell.unit)["en"] if math.isfinite(one) else "" for one in (low, high))
    if first and last:
        return "" if first == last else f"{first} – {last}"
    return f"≤{THIN_SPACE}{last}" if last else f"≥{THIN_SPACE}{first}" if first else ""


def data_key(cell: Cell) -> str:
    """What opens the evidence of a cell."""
    return f"{cell.soc}|{cell.metric}|{cell.workload}"


def shown(cell: Cell) -> Shown:
    """A cell for a reader."""
    if cell.value is None:
        return Shown(same("–"), MARKS[Kind.MISSING], data_key(cell), reason=cell.reason)
    return Shown(value_text(cell.metric, cell.value, cell.unit), MARKS[cell.evidence.kind], data_key(cell), interval_of(cell), cell.value)


def weakest_kind(cells: list[Cell]) -> Kind | None:
    """The weakest kind of evidence among the cells that have a value; None where none has."""
    kinds = [one.evidence.kind for one in cells if one.known]
    return max(kinds, key=STRENGTH.__getitem__) if kinds else None


def decide_link(scenario: str, soc: str = "") -> str:
    """The address of a scenario on the page Decide, and of a SoC there."""
    return f"#decide?s={quote(scenario, safe='')}" + (f"&soc={quote(soc, safe='')}" if soc else "")


def fact_mark(attribute: str, source_kind: str) -> Mark:
    """The mark of a fact by the kind of its source; a price or a measured power of a third party is published."""
    if source_kind in ("third_party", "reseller") and (attribute == "price" or attribute.startswith(("board_power", "soc_power"))):
        return MARKS[Kind.PUBLISHED]
    return MARKS[_FACT_KINDS.get(source_kind, Kind.DATASHEET)]


def attribute_title(attribute: str) -> Text:
    """The title of an attribute of the catalogue; its own name where the catalogue has no word for it."""
    key = f"r-attr-{attribute}"
    return said(key) if key in catalogue() else same(attribute.replace("_", " "))


def limit_key(cell: Cell) -> str:
    """The id of the limit or criterion that a cell answers."""
    return key_of(cell.metric, cell.workload)
