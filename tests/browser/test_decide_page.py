"""The Decide page in a real browser: what a reader does, and what it then says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chromium import browser_of_the_module, visit, written  # noqa: F401 - a fixture
from tests.decide_samples import Market

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return Market().document()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> str:
    return written(tmp_path_factory.mktemp("page"), document)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with visit(browser, address) as opened:
        yield opened


def ranking(page: Page) -> list[tuple[str, str]]:
    """(SoC, P(best)) of the rows shown."""
    rows = page.locator("#d-rank-body tr").all()
    return [(row.locator(".d-soc").inner_text(), row.locator(".d-best").inner_text()) for row in rows]


def shown(share: float) -> str:
    return "< 0.01" if 0 < share < 0.005 else "> 0.99" if 0.995 <= share < 1 else f"{share:.2f}"


def settled(page: Page) -> None:
    """Wait until the page has said all it has to say about a change of weights or limits."""
    page.locator('#decide-live[aria-busy="false"]').wait_for()


def slide(page: Page, criterion: str, weight: float) -> None:
    page.locator(f'[data-weight="{criterion}"]').fill(str(weight))
    settled(page)


def test_numbers_as_stated_are_those_that_python_computed(page: Page, document: dict[str, Any]) -> None:
    entries = [one for one in document["scenarios"][0]["entries"] if not one.get("out")]
    assert ranking(page) == [(document["socs"][one["s"]]["name"], shown(one["b"])) for one in entries]
    assert "As stated in the scenario" in page.locator("#d-basis").inner_text()


def test_ranking_follows_a_weight_and_says_that_it_is_adjusted(page: Page) -> None:
    before = ranking(page)
    slide(page, "price", 10)
    after = ranking(page)
    assert sorted(name for name, _ in after) == sorted(name for name, _ in before)
    assert [float(best.strip("<> ")) for _, best in after] != [float(best.strip("<> ")) for _, best in before]
    assert "As adjusted by you; 10\u2009000 draws in this browser" in page.locator("#d-basis").inner_text()
    assert "w=price~10" in page.url
    assert page.locator("#d-said").text_content()


def test_adjusted_view_survives_a_reload_and_resets_to_what_was_stated(page: Page) -> None:
    before = ranking(page)
    slide(page, "price", 10)
    after = ranking(page)
    page.reload()
    assert ranking(page) == after
    page.get_by_role("button", name="As stated").click()
    assert ranking(page) == before
    assert "w=" not in page.url


def test_weight_of_all_on_one_criterion_ranks_by_it_alone(page: Page, document: dict[str, Any]) -> None:
    for goal in document["scenarios"][0]["criteria"]:
        slide(page, goal["id"], 10 if goal["id"] == "memory" else 0)
    shares = page.locator("#d-controls output").all_inner_texts()
    assert shares.count("0\u202f%") == len(shares) - 1
    certain = [one for one in page.locator("#d-rank-body tr").all() if one.locator(".d-may").inner_text() == "1.00"]
    sizes = [float(re.findall(r"\d+", one.locator("td").last.inner_text())[0]) for one in certain]
    assert sizes == sorted(sizes, reverse=True)


def test_limit_that_is_tightened_rules_out_and_emptied_is_dropped(page: Page) -> None:
    before = len(ranking(page))
    page.locator('[data-limit="power"]').fill("5")
    settled(page)
    assert 0 < len(ranking(page)) < before
    assert "l=power~5" in page.url
    page.locator('[data-limit="power"]').fill("")
    settled(page)
    assert "l=power~off" in page.url
    assert "power" not in page.locator("#d-rank-head").inner_text()


def test_limit_can_be_added(page: Page) -> None:
    page.locator("#d-add").select_option("bandwidth")
    page.locator('[data-limit="bandwidth"]').fill("60")
    settled(page)
    assert "l=bandwidth~60000000000" in page.url
    assert "memory bandwidth\n≥\u200960\u2009GB/s" in page.locator("#d-rank-head").inner_text()


def test_back_button_returns_to_the_scenario_before(page: Page, document: dict[str, Any]) -> None:
    first, second = (one["title"]["en"] for one in document["scenarios"][:2])
    page.locator("#d-scenes a").nth(1).click()
    assert page.locator("#d-title").inner_text() == second
    page.go_back()
    page.wait_for_function("title => document.getElementById('d-title').textContent === title", arg=first)


def test_filters_hide_rows_and_leave_probabilities_alone(page: Page) -> None:
    before = dict(ranking(page))
    page.locator('[data-filter="vendor"]').select_option("Halde")
    after = ranking(page)
    assert 0 < len(after) < len(before)
    assert all(before[name] == best for name, best in after)
    assert "hidden by the filters" in page.locator("#d-hidden").inner_text()
    page.get_by_role("button", name="Clear filters").click()
    assert dict(ranking(page)) == before


def test_filter_never_lets_an_unknown_value_pass(page: Page, document: dict[str, Any]) -> None:
    page.locator('[data-filter="power"]').fill("100000")
    known = {one["s"] for one in document["cells"] if one["m"] == "power" and "v" in one}
    names = {document["socs"][one]["name"] for one in known}
    assert {name for name, _ in ranking(page)} <= names
    assert "because the value is unknown" in page.locator("#d-hidden").inner_text()


def test_rows_that_fail_a_limit_are_folded_with_the_limit_that_did_it(page: Page, document: dict[str, Any]) -> None:
    out = [one for one in document["scenarios"][0]["entries"] if one.get("out")]
    assert page.locator("#d-ruled summary").inner_text() == f"Ruled out ({len(out)})"
    page.locator("#d-ruled summary").click()
    assert page.locator("#d-ruled-body tbody tr").count() == len(out)
    assert re.search("✗.*(≤|≥)", page.locator("#d-ruled-body tbody tr").first.inner_text())
    page.get_by_label("Include ruled out").check()
    assert len(ranking(page)) == len(document["scenarios"][0]["entries"])


def test_column_sorts_and_says_so_to_a_screen_reader(page: Page) -> None:
    page.locator('[data-sort="soc"]').click()
    names = [name for name, _ in ranking(page)]
    assert names == sorted(names, key=str.lower)
    assert page.locator("#d-rank-head th").first.get_attribute("aria-sort") == "ascending"
    page.locator('[data-sort="soc"]').click()
    assert [name for name, _ in ranking(page)] == names[::-1]
    assert page.locator("#d-rank-head th").first.get_attribute("aria-sort") == "descending"
    assert page.evaluate("() => document.activeElement.dataset.sort") == "soc"


def test_any_number_opens_its_evidence_with_a_linked_source(page: Page) -> None:
    page.locator('#d-rank-body .d-cell[data-cell*="|latency|"]:has-text("◐")').first.click()
    drawer = page.locator("#evidence")
    said = drawer.inner_text()
    for expected in (
        "published",
        "Interval (90 %)",
        "Conditions",
        "Sources",
        "Other figures, and why they were not taken",
        "is slower",
        "nox -s bench-invented -- --host user@board --workload yolov8n",
        "must be recognised as: ",
        "In this scenario",
    ):
        assert expected in said
    link = drawer.locator("a").first
    assert (link.get_attribute("href") or "").startswith("https://github.com/somebody/benchmarks/blob/")
    assert "noreferrer" in (link.get_attribute("rel") or "")
    page.keyboard.press("Escape")
    assert not drawer.is_visible()
    assert page.evaluate("() => document.activeElement.classList.contains('d-cell')")


def test_unknown_number_says_why_in_the_drawer(page: Page) -> None:
    page.locator('#d-rank-body .d-cell:has-text("unknown")').first.click()
    assert "Why nothing is known" in page.locator("#evidence").inner_text()


def test_cell_of_another_page_opens_the_same_drawer(page: Page, document: dict[str, Any]) -> None:
    soc = document["socs"][0]["id"]
    page.evaluate("key => { location.hash = '#other'; document.getElementById('away').dataset.cell = key; }", f"{soc}|memory|")
    page.locator("#away").click()
    assert "memory" in page.locator("#evidence-title").inner_text()


def test_page_is_used_with_the_keyboard_alone(page: Page) -> None:
    page.locator('[data-weight="power"]').focus()
    page.keyboard.press("End")
    settled(page)
    assert "w=power~10" in page.url
    page.locator("#d-rank-body .d-soc").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#evidence").is_visible()


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate("""() => Array.from(document.querySelectorAll('#decide-live button, #decide-live input, #decide-live select'))
      .filter(one => one.offsetParent && !one.textContent.trim() && !Array.from(one.labels || []).some(label => label.textContent.trim())).length""")
    assert nameless == 0


def test_language_switch_changes_every_word_and_keeps_the_state(page: Page) -> None:
    slide(page, "price", 10)
    before = [best for _, best in ranking(page)]
    page.locator("#language").click()
    assert page.locator(".d-main h2").first.inner_text() == "排名"
    assert "按您的调整" in page.locator("#d-basis").inner_text()
    assert [best for _, best in ranking(page)] == before


def test_plot_labels_every_point_and_its_data_can_be_copied(page: Page) -> None:
    points = page.locator("#d-plot .mark").count()
    assert points > 3
    assert page.locator("#d-plot text.name").count() == points
    assert page.locator("#d-plot .front").count() == 1
    page.locator(".d-data summary").click()
    assert page.locator("#d-plot-data tbody tr").count() == points
    lines = page.evaluate("() => document.getElementById('d-csv').csv").splitlines()
    assert lines[0].startswith("SoC,power [W],low [W],high [W],latency of yolov8n [s]")
    assert len(lines) == points + 1


def test_plot_switches_to_throughput_against_price(page: Page) -> None:
    page.locator("#d-plot-pick").select_option("rate:yolov8n,price")
    assert "throughput of yolov8n" in (page.locator("#d-plot svg.tradeoff").get_attribute("aria-label") or "")
    assert "plot=rate:yolov8n" in page.url


def test_nothing_is_wider_than_a_phone(browser: Browser, address: str) -> None:
    with visit(browser, address, viewport={"width": 400, "height": 800}) as page:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 400
        assert page.locator("#d-pick").is_visible()
        page.locator("#d-pick").select_option("robotics")
        page.wait_for_function("() => document.getElementById('d-title').textContent.indexOf('robotics') > 0")


def test_without_a_script_every_answer_and_ranking_is_there(browser: Browser, address: str, document: dict[str, Any]) -> None:
    with visit(browser, address, java_script_enabled=False) as page:
        text = page.locator("#decide-still").inner_text()
        assert page.locator("#decide-still tbody tr").count() == sum(len(one["entries"]) for one in document["scenarios"])
        for one in document["scenarios"]:
            assert one["answer"]["en"]["head"] in text


def test_address_with_nonsense_shows_the_scenario_as_stated(browser: Browser, address: str, document: dict[str, Any]) -> None:
    with visit(browser, f"{address}#decide?s=none&w=price~NaN&w=~3&w=ghost~4&l=power~x&l=%00~1&o=-bogus&price=cheap&plot=zzz") as page:
        assert "As stated" in page.locator("#d-basis").inner_text()
        assert page.locator("#d-title").inner_text() == document["scenarios"][0]["title"]["en"]


def test_one_scenario_prints_on_two_sides_with_its_sources(browser: Browser, tmp_path: Path) -> None:
    with visit(browser, written(tmp_path, Market(45).document())) as page:
        printed = page.pdf(prefer_css_page_size=True)
        page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert page.locator("#d-foot li").count() > 3
        assert page.locator(".d-sup").first.is_visible()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2
