"""The document of the Decide page: complete, small, harmless, and said the same by Python and by the page."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Any

import msgspec
import pytest

from harness.decide.answer import percent
from harness.words import catalogue
from reports.build import TEMPLATES
from reports.payload import OURS, SCRIPTS, STYLES, embed
from tests.chromium import decide_page
from tests.decide_samples import Market, poisoned, scenario, scenarios

EVIL = """'"><img src=x onerror=alert(1)><script>alert(2)</script></script></style>--><!--]]>&lt;{{7*7}}\u2028"""
SECTIONS = ("word", "shortlist", "none", "leader")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return Market().document()


def test_numbers_of_the_page_are_those_of_the_decision(document: dict[str, Any]) -> None:
    market, asked = Market(), scenarios()[0]
    decision, found = market.decide(asked), document["scenarios"][0]
    assert [document["socs"][one["s"]]["id"] for one in found["entries"]] == [one.soc for one in decision.entries]
    for entry, one in zip(found["entries"], decision.entries, strict=True):
        assert (entry["b"], entry["f"], entry["sc"]) == pytest.approx((one.best, one.feasible, one.score), abs=6e-5)
        assert bool(entry.get("out")) == one.ruled_out
        for finding, (state, share, cell, _) in zip(one.findings, entry["n"], strict=True):
            assert (state, share) == (finding.state, pytest.approx(finding.probability, abs=6e-5))
            assert document["cells"][cell].get("v") == (None if finding.cell.value is None else pytest.approx(finding.cell.value, rel=1e-4))
    assert document["socs"][found["leader"]]["id"] == decision.leader


def test_every_pointer_points_to_something(document: dict[str, Any]) -> None:
    for cell in document["cells"]:
        assert 0 <= cell["s"] < len(document["socs"])
        assert cell["m"] in document["metrics"]
        for place in (*cell.get("g", ()), *(one for one, _ in cell.get("l", ()))):
            figure = document["figures"][place]
            assert 0 <= figure.get("s", 0) < len(document["sources"])
            assert 0 <= figure.get("o", 0) < len(document["options"])
        for place in (*cell.get("n", ()), *([cell["r"]] if "r" in cell else ())):
            assert set(document["notes"][place]) == {"en", "zh"}


def test_unknown_value_is_absent_and_never_zero(document: dict[str, Any]) -> None:
    unknown = [one for one in document["cells"] if one["k"] == "missing"]
    assert unknown
    assert not any("v" in one for one in unknown)
    assert all("r" in one for one in unknown)


def test_thirteen_scenarios_of_45_socs_fit_well_under_900_kilobytes() -> None:
    asked = [msgspec.structs.replace(scenarios()[at % 2], id=f"s{at}") for at in range(13)]
    assert len(embed(Market(45).document(asked)).encode()) < 700_000


def test_same_input_gives_the_same_bytes(document: dict[str, Any]) -> None:
    assert embed(Market().document()) == embed(document)


def test_json_in_the_page_cannot_end_its_element_or_begin_markup() -> None:
    document = poisoned(Market(5), EVIL).document()
    inside = embed(document)
    assert not re.search("[<>&\u2028\u2029]", inside)
    assert json.loads(inside) == json.loads(json.dumps(document))


def test_link_that_is_not_http_is_kept_as_text_only() -> None:
    document = poisoned(Market(5), EVIL).document()
    assert document["sources"]
    assert not any("u" in one for one in document["sources"])


def test_untrusted_text_is_escaped_where_there_is_no_script() -> None:
    page = decide_page(
        poisoned(Market(4), EVIL).document(
            [scenario("evil", EVIL, EVIL, [], [{"metric": "price", "reject": "400 USD", "target": "60 USD", "weight": 1}])]
        )
    )
    assert "<img src=x" not in page
    assert page.count("<script") == 2
    assert page.count("&lt;script&gt;alert(2)&lt;/script&gt;") > 2


def test_every_kind_of_answer_is_among_the_samples(document: dict[str, Any]) -> None:
    assert {one["word"] for one in document["scenarios"]} >= {"shortlist", "nothing", "recommended"}


def test_both_languages_of_a_sentence_take_the_same_values() -> None:
    own = {key: texts for key, texts in catalogue().items() if key.startswith(OURS)}
    assert len(own) > 100
    for key, texts in own.items():
        names = {language: {name for _, name, _, _ in Formatter().parse(text) if name} for language, text in texts.items()}
        assert names["en"] == names["zh"], key


def test_every_word_that_the_page_asks_for_is_there() -> None:
    scripts = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    asked = set(re.findall(r"""\b(?:word|say)\("([a-z0-9-]+)"[,)]""", scripts))
    pages = (TEMPLATES / "page_decide.html.j2").read_text(encoding="utf-8") + (TEMPLATES / "evidence.html.j2").read_text(encoding="utf-8")
    asked |= {one.removeprefix(OURS) for one in re.findall(r"""t\("(page-[a-z0-9-]+)"\)""", pages)}
    assert len(asked) > 80
    assert not {one for one in asked if OURS + one not in catalogue()}


def test_share_is_never_rounded_to_certainty() -> None:
    assert [percent(one) for one in (0, 0.001, 0.5, 0.999, 1)] == ["0\u202f%", "< 1\u202f%", "50\u202f%", "> 99\u202f%", "100\u202f%"]


def test_listed_scripts_and_styles_exist_and_take_nothing_from_a_network() -> None:
    for name in (*SCRIPTS, *STYLES):
        text = (TEMPLATES / name).read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp|@import|url\(", text), name
