"""Nothing that a market holds can act in the page: text of somebody else's evidence is shown, never run."""

from __future__ import annotations

import base64
import dataclasses
import enum
import hashlib
from typing import Any

import msgspec

from harness.decide.learn import How
from harness.decide.terms import Cell, Note
from harness.words import LANGUAGES
from reports.build import render
from reports.market import Market, url_in
from reports.view import view
from tests.market_samples import market
from tests.records import failed_record, make_problem, make_record, whisper_record
from tests.test_report import EVIL, Page, poison


def poisoned(value: Any) -> Any:
    """`value` with EVIL behind every string in it, mapping keys included; keys of sentences and closed sets of words stay."""
    found = value
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        found = value + EVIL
    elif isinstance(value, Note):
        found = Note(value.key, {name: poisoned(one) for name, one in value.values.items()})
    elif isinstance(value, msgspec.Struct):
        kept = _KEPT.get(type(value).__name__, set())
        changes = {name: getattr(value, name) if name in kept else _field(name, getattr(value, name)) for name in value.__struct_fields__}
        found = type(value)(**changes)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = dataclasses.replace(value, **{one.name: poisoned(getattr(value, one.name)) for one in dataclasses.fields(value)})
    elif isinstance(value, dict):
        found = {key if key in LANGUAGES else poisoned(key): poisoned(one) for key, one in value.items()}
    elif isinstance(value, tuple | list):
        found = type(value)(map(poisoned, value))
    return found


def _field(name: str, value: Any) -> Any:
    """A question about the part has no workload, and its key is the metric alone; some decisions have no leader: all these stay."""
    if name in {"workload", "leader"} and value == "":
        return value
    return value if name in {"limit", "criterion", "limiting"} and ":" not in value else poisoned(value)


_METRIC = {"metric"}
_KEPT = {
    "Decision": {"word"}, "Finding": {"state"}, "Claim": {"relation", "verdict"}, "Found": {"verdict"}, "Cell": _METRIC, "Figure": _METRIC,
    "Advice": {*_METRIC, "limit"}, "Limit": {"metric", "at_most", "at_least"}, "Criterion": {"metric", "reject", "target"},
}  # fmt: skip
"""Fields that hold one of a few words; the rest is anybody's text."""


def hostile() -> Market:
    """The sample market with EVIL in every text."""
    plain = market(8, 5, 8)
    cells = {(poisoned(soc), metric, _field("workload", workload)): poisoned(one) for (soc, metric, workload), one in plain.cells.items()}
    changed: Market = poisoned(dataclasses.replace(plain, cells={}, kinds={}))
    names = {poisoned(soc): soc for soc, _, _ in plain.cells}

    def how(cell: Cell) -> How:
        assert plain.how
        found: How = poisoned(plain.how(msgspec.structs.replace(cell, soc=names[cell.soc])))
        return found

    return dataclasses.replace(changed, cells=cells, kinds=plain.kinds, how=how)


def test_no_string_of_a_market_or_a_record_acts_in_the_page() -> None:
    records = [poison(one) for one in (make_record(problems=[make_problem()]), whisper_record(), failed_record())]
    html = render(view(records, {one.run_id: f"javascript:alert(1)//{EVIL}" for one in records}), hostile())
    page = Page(html)
    assert EVIL in hostile().claims[0].text["en"]
    assert EVIL in next(iter(next(iter(hostile().socs.values())).facts.values())).source
    assert page.tags["script"] == 3  # ours, the words, the payload
    assert page.tags["style"] == 1
    assert page.tags["img"] == 0
    assert page.tags["textarea"] == 0
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "alert(2)" in page.text
    assert "{{7*7}}" in page.text
    for href in page.values("href"):
        assert href.startswith(("#", "https://")) or ":" not in href, href
    script = html.split("<script>")[1].split("</script>", maxsplit=1)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"sha256-{digest}" in html


def test_a_hostile_market_has_the_elements_of_a_plain_one_and_no_attribute_more() -> None:
    plain, evil = Page(render(None, market(8, 5, 8))), Page(render(None, hostile()))
    assert set(evil.tags) == set(plain.tags)
    assert {(tag, name) for tag, name, _ in evil.attributes} <= {(tag, name) for tag, name, _ in plain.attributes}


def test_only_web_addresses_become_links() -> None:
    assert url_in("a data sheet (https://example.com/a.pdf), page 3") == "https://example.com/a.pdf"
    assert url_in("javascript:alert(1) data:text/html,x file:///etc") == ""
    assert url_in('https://example.com/"><script>') == "https://example.com/"
