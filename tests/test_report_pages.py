"""The pages around Decide: matrix, SoCs, claims, method, and what is said in both languages."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import math
import re
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.decide.claims import Claim
from harness.decide.market import Market as Evidence
from harness.decide.terms import Decision
from harness.quantity import Kind, Unit
from harness.words import LANGUAGES, catalogue
from reports.build import PAGES, TEMPLATES, build, render
from reports.gather import gather
from reports.ledger import axis, ledger
from reports.matrix import matrix, step
from reports.method import pages
from reports.socs import COLUMNS
from reports.view import view
from tests.market_samples import market
from tests.records import failed_record, llama_record, make_problem, make_record, offline_record, whisper_record
from tests.test_report import Page

_HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def html() -> str:
    """The file of the sample market, nothing measured."""
    return render(None, market())


def listed(html: str) -> list[list[str]]:
    """The words that are kept once, English and Chinese."""
    words: list[list[str]] = json.loads(html.split('id="words">')[1].split("</script>", maxsplit=1)[0])["words"]
    return words


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    """The same, parsed."""
    return Page(html)


# ---------------------------------------------------------------------------------------------------- the file


def test_without_records_the_file_stands_on_evidence_and_says_what_to_run(tmp_path: Path) -> None:
    build([], tmp_path / "report.html", links={}, market=market())
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Nothing was measured here yet" in page.text
    assert "nox -s bench-host" in page.text
    assert {one.id for one in PAGES} <= set(page.ids)


def test_without_a_market_only_what_was_measured_is_shown() -> None:
    page = Page(render(view([make_record(n=40)], {})))
    assert {"measurements", "problems", "method"} <= set(page.ids)
    assert not {"decide", "matrix", "socs", "claims", "payload"} & set(page.ids)


def test_decide_is_the_first_page(page: Page) -> None:
    order = [one for one in page.ids if one in {each.id for each in PAGES}]
    assert order == ["decide", "matrix", "socs", "measurements", "problems", "claims", "method"]


def test_equal_markets_give_equal_files(html: str) -> None:
    assert render(None, market()) == html


def test_the_shipped_evidence_and_sixteen_runs_fit_into_three_megabytes() -> None:
    records = [
        *(make_record(run_id=f"vision{at}", n=700, threads=1 + at % 4, precision=("fp32", "int8")[at % 2], seed=at) for at in range(8)),
        *(offline_record(run_id=f"offline{at}", seed=at) for at in range(2)),
        *(whisper_record(run_id=f"whisper{at}", seed=at) for at in range(3)),
        *(llama_record(run_id=f"llama{at}", seed=at) for at in range(3)),
    ]
    shipped = gather(Evidence.load((), records, today=dt.date(2026, 1, 1)), records)
    page = render(view(records, {one.run_id: f"runs/{one.run_id}.json" for one in records}), shipped)
    assert (len(shipped.decisions), len(records)) == (13, 16)
    assert len(shipped.socs) > 45
    assert len(page.encode()) < 3_000_000


def test_the_script_is_the_one_that_the_policy_names(html: str) -> None:
    script = html.split("<script>")[1].split("</script>", maxsplit=1)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [one for one in Page(html).values("content") if "default-src" in one]
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_payload_holds_no_character_that_could_end_its_element(html: str) -> None:
    written = html.split('id="payload">')[1].split("</script>", maxsplit=1)[0]
    assert not set("<>&\u2028\u2029") & set(written)
    assert len(json.loads(written)["scenarios"]) == len(market().decisions)


def test_no_two_elements_have_one_id(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))


def test_every_link_inside_the_file_leads_to_something(page: Page) -> None:
    inside = [one[1:].partition("?")[0] for one in page.values("href") if one.startswith("#")]
    assert len(inside) > 100
    assert set(inside) <= set(page.ids)


def test_every_label_of_a_region_names_something(page: Page) -> None:
    assert {one for names in page.values("aria-labelledby") for one in names.split()} <= set(page.ids)


# ---------------------------------------------------------------------------------------------------- languages


def test_every_sentence_of_the_report_has_the_same_blanks_in_both_languages() -> None:
    ours = {key: texts for key, texts in catalogue().items() if key.startswith("r-")}
    assert len(ours) > 200
    for key, texts in ours.items():
        blanks = [sorted(re.findall(r"{(\w+)}", texts[language])) for language in LANGUAGES]
        assert blanks[0] == blanks[1], key
        assert "!" not in texts["en"], key


def test_whatever_is_said_in_one_language_is_said_in_the_other(html: str) -> None:
    spans = re.findall(r'<span class="l" lang="(en|zh)">', html)
    assert spans.count("en") == spans.count("zh") > 50
    assert len(re.findall(r'data-en="', html)) == len(re.findall(r'data-zh="', html)) == len(re.findall(r'data-into="', html))


def test_words_that_stand_many_times_are_kept_once_with_their_chinese(html: str) -> None:
    words = listed(html)
    used = {int(one) for one in re.findall(r'data-[wa]="(\d+)', html)}
    used |= {int(one) for values in re.findall(r'data-v="([^"]*)"', html) for one in re.findall(r"~(\d+)", values)}
    assert used == set(range(len(words)))
    assert ["power", "功耗"] in words
    assert all(len(one) == 2 for one in words)


def test_the_pages_say_nothing_in_english_only_but_what_comes_from_sources() -> None:
    """Every template takes its words from the catalogue: outside of tags and expressions it holds no English."""
    for path in sorted(TEMPLATES.glob("page_*.html.j2")):
        if path.name == "page_decide.html.j2":
            continue
        text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}|<svg.*?</svg>|<pre.*?</pre>|<[^>]*>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        left = set(re.findall(r"[A-Za-z]{2,}", text)) - {"USD", "socbench"}
        assert not left, (path.name, left)


def test_measurements_are_told_in_both_languages() -> None:
    html = render(view([make_record(problems=[make_problem()]), failed_record()], {}), market(8, 5, 4))
    page = Page(html)
    for said in ("2 次会话中没有一次给出无检查质疑的数据", "所有权重均为合成", "峰值内存", "每图能耗", "检查所见", "缺少的传感器", "证据标记"):
        assert said in page.text or said in {one[1] for one in listed(html)}, said


def test_a_sentence_of_the_list_has_as_many_blanks_as_its_element_fills(html: str) -> None:
    filled = re.findall(r'data-w="(\d+)" data-v="([^"]*)">([^<]*)<', html)
    assert len(filled) > 50
    for place, values, english in filled:
        for said in listed(html)[int(place)]:
            assert {int(one) for one in re.findall(r"{(\d)}", said)} == set(range(len(values.split("|"))))
        parts = [re.sub(r"~(\d+)", lambda found: listed(html)[int(found[1])][0], one) for one in unescape(values).split("|")]
        assert unescape(english) == re.sub(r"{(\d)}", lambda found: parts[int(found[1])], listed(html)[int(place)][0])  # noqa: B023 - used at once


# ---------------------------------------------------------------------------------------------------- matrix


def test_the_matrix_has_a_cell_for_each_soc_in_each_scenario_and_begins_with_those_that_lead() -> None:
    made = matrix(market(), {})
    assert [one.id for one in made.heads] == [one.scenario for one in market().decisions]
    assert all(len(row.cells) == len(made.heads) for row in made.rows)
    assert {row.name for row in made.rows} == {one.name for one in market().socs.values()}
    groups = [bool(row.leads) for row in made.rows]
    assert groups == sorted(groups, reverse=True)
    assert [row.group for row in made.rows if row.group] == [one for one in ("leads", "open", "out") if one in {row.group for row in made.rows}]


def test_a_cell_shows_the_decision_and_links_to_it() -> None:
    source = market()
    made = matrix(source, {})
    for column, decision in enumerate(source.decisions):
        entries = {source.socs[one.soc].name: one for one in decision.entries}
        for row in made.rows:
            cell, entry = row.cells[column], entries[row.name]
            assert cell.href == f"#decide?s={decision.scenario}&soc={entry.soc}"
            assert cell.state == ("out" if entry.ruled_out else "open" if entry.placed else "thin")
            if entry.ruled_out:
                failed = {one.cell.metric for one in entry.findings if one.state == "not met"}
                assert failed
                assert cell.limit
                assert cell.numbers == ("", "", "")
            else:
                assert cell.numbers == (f"{entry.best:.2f}", f"{entry.feasible:.2f}", f"{entry.score:.2f}")
                assert cell.wins == (entry.soc == decision.leader and decision.word in ("recommended", "leading"))
                assert bool(cell.word) == (cell.wins or entry.soc in decision.shortlist)


def test_what_is_not_placed_says_so_and_keeps_its_numbers_for_those_who_ask() -> None:
    source = market()
    changed = dataclasses.replace(source, decisions=tuple(_unplaced(one) for one in source.decisions))
    entries = [entry for decision in changed.decisions for entry in decision.entries if not entry.ruled_out]
    cells = [cell for row in matrix(changed, {}).rows for cell in row.cells if cell.state not in ("out", "absent")]
    assert len(cells) == len(entries) > 10
    assert {cell.state for cell in cells} == {"thin"}
    page = Page(render(None, changed))
    assert page.text.count("⋯ not placed") >= len(cells)
    assert f"P(best) {cells[0].numbers[0]}" in page.values("title")


def _unplaced(decision: Decision) -> Decision:
    """`decision` as if next to nothing were known of any SoC."""
    entries = tuple(msgspec.structs.replace(one, known=0.1) for one in decision.entries)
    return msgspec.structs.replace(decision, entries=entries)


def test_a_soc_whose_role_is_not_admitted_has_a_quiet_cell_that_says_so() -> None:
    source = market()
    first = source.decisions[0]
    without = msgspec.structs.replace(first, entries=first.entries[:-1])
    changed = dataclasses.replace(source, decisions=(without, *source.decisions[1:]))
    assert [cell.state for row in matrix(changed, {}).rows for cell in row.cells].count("absent") == 1
    assert render(None, changed).count('<td class="absent"><i class="na"></i>') == 1
    assert '"·" / "role not admitted"' in (TEMPLATES / "pages.css").read_text(encoding="utf-8")


def test_the_mark_of_a_cell_is_the_weakest_evidence_it_rests_on() -> None:
    source = market()
    made = matrix(source, {})
    rows = {row.name: row for row in made.rows}
    seen = set()
    for column, decision in enumerate(source.decisions):
        for entry in decision.entries:
            if entry.ruled_out:
                continue
            kinds = [one.cell.evidence.kind for one in entry.findings if one.state == "met" and one.cell.known]
            kinds += [one.cell.evidence.kind for one in entry.parts if one.cell.known]
            mark = rows[source.socs[entry.soc].name].cells[column].mark
            assert (mark is None) == (not kinds)
            if mark is None:
                continue
            weakest = max(kinds, key=list(Kind).index)
            seen.add(weakest)
            assert mark.word == {"measured": "measured here"}.get(weakest.value, weakest.value)
    assert len(seen) > 1


def test_colour_follows_the_number_and_is_never_alone() -> None:
    assert [step(one) for one in (0.0, 0.004, 0.006, 0.04, 0.26, 0.94, 0.96, 1.0)] == [0, 0, 1, 1, 3, 9, 10, 10]
    for row in matrix(market(), {}).rows:
        for cell in row.cells:
            assert cell.state != "open" or cell.numbers[0]


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(one * 2 for one in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_on_every_step_of_the_ramp_can_be_read_in_both_themes() -> None:
    css = (TEMPLATES / "pages.css").read_text(encoding="utf-8")
    blocks = [dict(re.findall(r"--h-?(\w+): (#[0-9a-f]+)", one)) for one in re.findall(r"{([^{}]*--h10: [^{}]*)}", css)]
    inks = dict(re.findall(r"\.h(\d+) { background: var\(--h\1\); color: var\(--h-(\w+)\); }", css))
    assert len(inks) == 11
    assert len(blocks) == 3
    assert blocks[1] == blocks[2]
    for block in blocks:
        lights = [_luminance(block[str(at)]) for at in range(11)]
        assert lights == sorted(lights) or lights == sorted(lights, reverse=True)
        for at, light in enumerate(lights):
            ink = _luminance(block[inks[str(at)]])
            contrast = (max(light, ink) + 0.05) / (min(light, ink) + 0.05)
            assert contrast >= 4.5, (at, contrast)


# ---------------------------------------------------------------------------------------------------- SoCs


def test_every_soc_has_a_section_with_its_facts_and_where_each_was_read() -> None:
    made = pages(market()).socs
    assert len({one.anchor for one in made.sections}) == len(market().socs)
    for section in made.sections:
        assert section.facts
        for fact in section.facts:
            assert fact.source == 0 or section.citations[fact.source - 1].text
        assert len({one.key for one in section.facts}) == len(section.facts)


def test_a_section_says_in_each_scenario_how_the_soc_fares_and_why() -> None:
    source = market()
    for section in pages(source).socs.sections:
        assert len(section.results) == len(source.decisions)
        for result, decision in zip(section.results, source.decisions, strict=True):
            entry = next(one for one in decision.entries if one.soc == section.id)
            assert result.ruled_out == entry.ruled_out
            assert result.place == decision.entries.index(entry) + 1
            if entry.ruled_out:
                assert len(result.failed) == sum(one.state == "not met" for one in entry.findings)


def test_a_figure_names_its_runtime_and_opens_its_evidence(page: Page) -> None:
    source = market()
    section = pages(source).socs.sections[0]
    assert section.figures
    for one in section.figures:
        metric, _, workload = one.key.partition(":")
        assert one.shown.key == f"{section.id}|{metric}|{workload}"
        assert one.option


def test_what_is_not_known_is_a_dash_and_never_sorts_as_zero(html: str) -> None:
    source = market()
    metric = next(metric for (_, metric, _), cell in source.cells.items() if metric in COLUMNS and cell.value is None)
    rows = dict(re.findall(r'data-name="([^"]*)"([^>]*)>', html))
    for soc, entry in source.socs.items():
        value = source.cells[soc, metric, ""].value
        assert (f"data-{metric.replace('_', '-')}=" in rows[entry.name]) == (value is not None)


# ---------------------------------------------------------------------------------------------------- claims


def claim(low: float | None, high: float | None, *found: float, relation: Any = "within") -> Claim:
    """The first claim of the sample with other numbers."""
    one = market().claims[0]
    numbers = tuple(msgspec.structs.replace(one.found[0], value=value) for value in found)
    return msgspec.structs.replace(one, low=low, high=high, found=numbers, relation=relation, unit=Unit.ONE)


def test_a_claim_and_its_evidence_lie_on_one_axis_in_their_order() -> None:
    made = axis(claim(10.0, 20.0, 5.0, 25.0))
    assert made is not None
    assert not made.log
    assert made.found[0][0] < made.claimed[0] < made.claimed[1] < made.found[1][0]
    assert [text for _, text in made.ticks] == ["0", "25.0"]


def test_numbers_far_apart_are_drawn_on_a_logarithm() -> None:
    made = axis(claim(1.0, 1.0, 10.0, 100.0))
    assert made is not None
    assert made.log
    (first, _), (second, _) = made.found
    assert first - made.claimed[0] == pytest.approx(second - first, abs=2e-4)


def test_a_claim_with_an_open_end_runs_to_the_end_of_the_axis() -> None:
    made = axis(claim(40.0, 40.0, 20.0, relation="at least"))
    assert made is not None
    assert made.open == (False, True)
    assert made.claimed[1] == 1.0
    below = axis(claim(40.0, 40.0, 20.0, relation="at most"))
    assert below is not None
    assert below.open == (True, False)
    assert below.claimed[0] == 0.0


@pytest.mark.parametrize(("low", "high", "found"), [(None, None, (1.0,)), (1.0, 2.0, ()), (0.0, 0.0, (0.0,)), (1.0, 1.0, (math.inf,))])
def test_there_is_no_axis_where_there_is_nothing_to_compare(low: float | None, high: float | None, found: tuple[float, ...]) -> None:
    assert axis(claim(low, high, *found)) is None


def test_the_ledger_counts_its_verdicts_and_each_has_a_word(page: Page) -> None:
    made = ledger(market())
    assert sum(number for _, _, number in made.counts) == len(market().claims) == len(made.rows)
    for row in made.rows:
        assert row.word.word in {"supported", "contradicted", "partly", "no evidence"}
        assert row.anchor in page.ids
    assert page.values("data-verdict") == [row.verdict for row in made.rows]


# ---------------------------------------------------------------------------------------------------- method


def test_the_method_tells_how_the_ranking_is_made_and_from_what(page: Page) -> None:
    for said in (
        "How the ranking is made",
        "10\u2009000 draws are made",
        "vendor-0/model-zoo",
        "Apache-2.0",
        "not read",
        "13\u2009%",
        "91\u2009%",
        "\u00d7\u20091.62",
        "Some SoCs are far worse than the median of 13\u2009%: the estimates for Kestrel 2 are off by 66\u2009%",
        "is judgement, not measurement",
        "less than 33\u2009% of the weight is known is not placed",
    ):
        assert " ".join(said.split()) in page.text or said in page.text, said
    made = pages(market()).ranking
    assert made.as_of == market().decisions[0].as_of
    assert sum(one.share for one in made.kinds) == pytest.approx(1.0)


def test_a_market_without_claims_or_quality_says_so() -> None:
    bare = dataclasses.replace(market(8, 5, 4), claims=(), quality={}, counts=(), kinds={})
    text = Page(render(None, bare)).text
    assert "They were not recomputed for this file" in text
    assert "0 checkable claims" in text
