"""The whole file in a real browser: pages, filters, comparing, the language switch, small windows, print, and no script at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from reports.build import PAGES, build
from reports.matrix import step
from tests.chromium import browser_of_the_module, visit  # noqa: F401 - a fixture
from tests.market_samples import market
from tests.records import make_problem, make_record, whisper_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_SHOWN = "#matrix-table tr[data-vendor]:visible"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the sample market and three records."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    build([make_record(problems=[make_problem()]), make_record(precision="int8"), whisper_record()], out, links={}, market=market())
    return out.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The report, opened at its start page."""
    with visit(browser, address) as opened:
        yield opened


def go(page: Page, identity: str) -> None:
    """To another page by its link."""
    page.click(f"nav a[data-page={identity}]")


def test_the_start_page_is_decide_and_every_page_opens_by_its_link(page: Page) -> None:
    assert page.locator(".page.current").get_attribute("id") == "decide"
    for one in PAGES:
        go(page, one.id)
        assert page.locator(".page:visible").evaluate_all("all => all.map(one => one.id)") == [one.id]
        assert page.locator("nav a[data-page][aria-current]").get_attribute("data-page") == one.id


def test_a_filter_of_the_matrix_hides_rows_and_stands_in_the_address(page: Page, browser: Browser) -> None:
    go(page, "matrix")
    vendor = next(iter(market().socs.values())).vendor
    number = sum(one.vendor == vendor for one in market().socs.values())
    page.select_option("#matrix [name=vendor]", vendor)
    assert page.locator(_SHOWN).count() == number
    assert page.locator("#matrix output").inner_text() == f"{number} of {len(market().socs)} shown"
    with visit(browser, page.url) as again:
        assert again.locator(_SHOWN).count() == number


def test_another_number_in_the_cells_recolours_them(page: Page) -> None:
    go(page, "matrix")
    cell = page.locator("#matrix-table td.open a").first
    before = cell.inner_text()
    page.check("#matrix [name=number][value='1']")
    first, second, _ = cell.locator("b i").all_text_contents()
    assert cell.get_attribute("class") == f"h{step(float(second))}"
    assert cell.inner_text() != before or first == second


def test_the_csv_of_the_matrix_has_a_line_for_each_cell_that_is_considered(page: Page) -> None:
    go(page, "matrix")
    lines = (page.locator("#matrix-csv").text_content() or "").splitlines()
    entries = [entry for decision in market().decisions for entry in decision.entries]
    assert len(lines) == 1 + len(entries)
    states = ["ruled out" if one.ruled_out else "open" if one.placed else "not placed" for one in entries]
    assert sorted(line.split(",")[2] for line in lines[1:]) == sorted(states)


def test_a_cell_opens_its_scenario_and_the_back_button_returns_to_the_matrix(page: Page) -> None:
    go(page, "matrix")
    page.fill("#matrix [name=q]", next(iter(market().socs.values())).name)
    page.locator("#matrix-table td a:visible").nth(1).click()
    assert page.locator(".page.current").get_attribute("id") == "decide"
    assert f"s={market().decisions[1].scenario}" in page.url
    page.go_back()
    assert page.locator(".page.current").get_attribute("id") == "matrix"
    assert page.input_value("#matrix [name=q]")


def test_a_soc_of_unknown_price_passes_no_price_filter(page: Page) -> None:
    go(page, "socs")
    page.fill("#socs [name=max-price]", "1e9")
    rows = page.locator("#socs-table tbody tr:visible")
    priced = sum(market().cells[soc, "price", ""].known for soc in market().socs)
    assert rows.count() == priced
    assert page.locator("#socs .unsure").is_visible() == (priced < len(market().socs))


def test_sorting_puts_what_is_not_known_last_in_both_directions(page: Page) -> None:
    go(page, "socs")
    for direction in ("ascending", "descending"):
        page.click("#socs-table .sort[data-sort=power]")
        assert page.locator("#socs-table th[aria-sort]").get_attribute("aria-sort") == direction
        values = page.locator("#socs-table tbody tr").evaluate_all("all => all.map(one => one.dataset.power ? Number(one.dataset.power) : null)")
        known = [one for one in values if one is not None]
        assert values == known + [None] * (len(values) - len(known))
        assert known == sorted(known, reverse=direction == "descending")


def test_two_socs_stand_side_by_side_and_the_rows_that_differ_come_first(page: Page, browser: Browser) -> None:
    go(page, "socs")
    assert page.locator("#compare").is_hidden()
    boxes = page.locator("#socs-table [name=compare]")
    for at in range(4):
        boxes.nth(at).check()
    assert boxes.nth(4).is_disabled()
    heads = page.locator("#compare-table thead th").all_inner_texts()
    assert len(heads) == 5
    assert page.locator("#compare-table .group").first.inner_text() == "These differ"
    with visit(browser, page.url) as again:
        assert again.locator("#compare-table thead th").all_inner_texts() == heads
        again.click("#compare-none")
        assert again.locator("#compare").is_hidden()


def test_a_value_of_a_soc_opens_the_evidence_over_its_page(page: Page) -> None:
    go(page, "socs")
    page.click("#socs-table tbody a >> nth=0")
    assert page.locator("details.soc[open]").count() == 1
    page.locator("details.soc[open] button.figure").first.click()
    assert page.locator("#evidence").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#evidence").is_hidden()
    assert page.locator(".page.current").get_attribute("id") == "socs"


def test_claims_are_filtered_by_verdict(page: Page) -> None:
    go(page, "claims")
    page.check("#claims [name=verdict][value=contradicted]")
    verdicts = page.locator("#claims-table tbody tr:visible").evaluate_all("all => all.map(one => one.dataset.verdict)")
    assert set(verdicts) == {"contradicted"}
    assert len(verdicts) == sum(one.verdict == "contradicted" for one in market().claims)


def test_the_language_switch_keeps_the_place_and_goes_along_to_other_pages(page: Page, browser: Browser) -> None:
    go(page, "socs")
    page.fill("#socs [name=max-power]", "12")
    shown = page.locator("#socs-table tbody tr:visible").count()
    page.click("#language")
    assert page.locator("html").get_attribute("lang") == "zh"
    assert page.locator("#socs h1").inner_text() == "SoC 目录"
    assert page.locator("#socs-table tbody tr:visible").count() == shown
    assert "lang=zh" in page.url
    assert "max-power=12" in page.url
    go(page, "method")
    assert "lang=zh" in page.url
    with visit(browser, page.url) as again:
        assert again.locator("#method h1").inner_text() == "方法"


def test_no_english_heading_is_left_in_chinese_but_names(page: Page) -> None:
    page.click("#language")
    names = (*(one.name for one in market().socs.values()), "ResNet-50", "Whisper tiny", "Fixture CPU", "!")
    for identity in ("matrix", "socs", "claims", "method", "problems", "measurements"):
        go(page, identity)
        said = page.locator(f"#{identity} :is(h1, h2, h3, legend, summary, th[scope=col]):visible").all_inner_texts()
        left = [one for one in said if not re.search(r"[\u4e00-\u9fff]", one) and not one.startswith(names)]
        assert not [one for one in left if one.strip() not in {"SoC", "p50", "p90", "p99", "TTFT", "TPOT", "TOPS", "n", ""}], identity


def test_no_page_is_wider_than_a_phone(browser: Browser, address: str) -> None:
    with visit(browser, address, viewport={"width": 400, "height": 800}) as page:
        for one in PAGES:
            go(page, one.id)
            assert page.evaluate("document.documentElement.scrollWidth") <= 400, one.id


def test_a_cell_on_a_phone_names_its_column_in_the_language_of_the_page(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#claims?lang=zh", viewport={"width": 400, "height": 800}) as page:
        assert page.locator("#claims-table tbody td").first.get_attribute("data-label") == "判定"
        page.click("#language")
        assert page.locator("#claims-table tbody td").first.get_attribute("data-label") == "Verdict"


def test_the_pages_are_used_with_the_keyboard_alone(page: Page) -> None:
    go(page, "socs")
    page.locator("#socs-table .sort[data-sort=price]").focus()
    page.keyboard.press("Enter")
    assert page.locator("#socs-table th[aria-sort]").count() == 1
    page.locator("#socs-table [name=compare]").first.focus()
    page.keyboard.press("Space")
    assert page.locator("#socs-table [name=compare]:checked").count() == 1
    page.locator("details.soc summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.soc[open]").count() == 1


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("main :is(input, select)")].filter(one =>
            !one.closest("label") && !one.getAttribute("aria-label") && !one.labels.length).map(one => one.outerHTML)"""
    )
    assert nameless == []


def test_in_print_the_values_of_the_catalogue_are_there_and_the_filters_are_not(page: Page) -> None:
    go(page, "socs")
    page.emulate_media(media="print")
    assert page.locator("#socs-table button.figure:visible").count() > len(market().socs)
    assert page.locator("form.filters:visible").count() == 0


def test_without_a_script_every_page_can_be_read_in_english(browser: Browser, address: str) -> None:
    with visit(browser, address, java_script_enabled=False) as page:
        for identity in ("matrix", "socs", "claims", "method"):
            assert page.locator(f"#{identity} h1").is_visible()
        assert page.locator("#matrix-table td:visible").count() >= len(market().socs) * len(market().decisions)
        assert page.locator("#matrix .l[lang=zh]:visible").count() == 0


def test_a_cell_of_the_matrix_opens_what_its_soc_is_worth_there_and_escape_leads_to_the_scenario(page: Page) -> None:
    go(page, "matrix")
    cell = page.locator("#matrix-table td.open a").first
    soc = page.locator("#matrix-table tr:has(td.open) th[scope=row] a").first.inner_text()
    cell.focus()
    page.keyboard.press("Enter")
    page.locator("#evidence").wait_for()
    assert page.locator("#evidence-title").inner_text() == soc
    page.keyboard.press("Escape")
    assert not page.locator("#evidence").is_visible()
    page.wait_for_function("document.activeElement.id === 'd-title'")


def test_the_browser_s_way_back_closes_what_a_cell_of_the_matrix_opened(page: Page) -> None:
    go(page, "matrix")
    page.locator("#matrix-table td.open a").first.click()
    page.locator("#evidence").wait_for()
    page.go_back()
    page.locator("#matrix-table").wait_for()
    page.wait_for_function("!document.getElementById('evidence').open")
    assert page.url.endswith("#matrix")


@pytest.mark.parametrize("identity", [one.id for one in PAGES])
def test_on_a_phone_every_page_opens_with_its_links_and_every_stop_of_the_tab_key_is_seen(browser: Browser, address: str, identity: str) -> None:
    with visit(browser, f"{address}#{identity}", viewport={"width": 400, "height": 800}) as page:
        assert page.evaluate("document.querySelector('header.bar nav').getBoundingClientRect().top") >= 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        for _ in range(25):
            page.keyboard.press("Tab")
            unseen = page.evaluate(
                """() => {
                    const one = document.activeElement, box = one.getBoundingClientRect();
                    if (one === document.body) return "";
                    for (let at = one; at; at = at.parentElement) {
                        const css = getComputedStyle(at);
                        if (css.clipPath !== "none" || (at !== one && at.offsetWidth < 2)) return one.outerHTML;
                    }
                    return box.width > 1 && box.height > 1 && getComputedStyle(one).outlineStyle !== "none" ? "" : one.outerHTML;
                }"""
            )
            assert unseen == ""


def test_on_a_phone_the_trade_off_plot_fits_and_its_letters_can_be_read(browser: Browser, address: str) -> None:
    with visit(browser, address, viewport={"width": 400, "height": 800}) as page:
        plot = page.locator("#d-plot svg.tradeoff")
        assert plot.evaluate("one => one.getBoundingClientRect().right") <= 400
        sizes = plot.locator("text").evaluate_all(
            """all => all.map(one => {
                const to = one.getScreenCTM();
                return parseFloat(getComputedStyle(one).fontSize) * Math.hypot(to.a, to.b);
            })"""
        )
        assert min(sizes) >= 10
        page.set_viewport_size({"width": 1400, "height": 900})
        page.wait_for_function("document.querySelector('#d-plot svg.tradeoff').viewBox.baseVal.width === 920")
