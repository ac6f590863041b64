"""A sustained run in a real browser: its plot in the drawer, the table of all runs; wide, on a phone, in the dark, in print, in Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from reports.build import build
from tests.chromium import browser_of_the_module, visit  # noqa: F401 - a fixture
from tests.records import make_record
from tests.sustain_records import sawtooth, step, sustained_record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PLOT = "#drawer figure.plot:has(svg) >> nth=-1"
TEXTS = f"{PLOT} >> svg:visible >> text"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three long runs and a short one."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    records = [
        sustained_record(minutes=30, shape=step(738, 0.23), spike=1000.0, run_id="hot", board="desk-1", item_s=0.2),
        sustained_record(minutes=30, shape=sawtooth(500, 40, 0.2), run_id="saw", board="desk-2", item_s=0.2),
        sustained_record(minutes=6, run_id="cool", board="desk-3", item_s=0.2),
        make_record(n=60, run_id="short", board="desk-1"),
    ]
    build(records, out, links={})
    return out.as_uri()


def width_of(page: Page) -> int:
    """How wide the document wants to be."""
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


def words_inside(page: Page) -> list[str]:
    """Texts of the plot that leave its drawing, by more than a rounding."""
    found: list[str] = page.locator(PLOT).evaluate(
        """figure => {
            const drawn = [...figure.querySelectorAll("svg")].find(one => one.checkVisibility());
            const box = drawn.getBoundingClientRect();
            return [...drawn.querySelectorAll("text")].filter(one => {
                const own = one.getBoundingClientRect();
                return own.left < box.left - 2 || own.right > box.right + 2 || own.top < box.top - 2 || own.bottom > box.bottom + 2;
            }).map(one => one.textContent);
        }"""
    )
    return found


def test_the_plot_of_a_sustained_run_opens_from_the_table_and_says_what_it_shows(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#measurements") as page:
        page.locator("#table-sustained tbody th[scope=row] a", has_text="desk-1").click()
        assert page.locator("#drawer").is_visible()
        drawing = page.locator(f"{PLOT} >> .drawing")
        said = drawing.get_attribute("aria-label") or ""
        assert "in the first minute" in said
        assert "Throttle knee after" in said
        texts = page.locator(TEXTS).all_text_contents()
        assert {"first minute", "last minute"} <= set(texts)
        assert any(one.startswith("knee, ") for one in texts)
        assert words_inside(page) == []


def test_the_knee_and_the_minutes_do_not_rest_on_colour(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#run-hot") as page:
        dashed = page.locator(PLOT).evaluate(
            """figure => [...figure.querySelectorAll("svg path")]
                .filter(one => one.checkVisibility() && getComputedStyle(one).strokeDasharray !== "none").length"""
        )
        assert dashed >= 6  # one in each strip


@pytest.mark.parametrize("wide", [400, 1400])
def test_words_of_the_plot_lie_inside_it_and_not_on_each_other(browser: Browser, address: str, wide: int) -> None:
    for run in ("hot", "saw", "cool"):
        with visit(browser, f"{address}#run-{run}", viewport={"width": wide, "height": 900}) as page:
            pairs = page.locator(PLOT).evaluate(
                """figure => {
                    const drawn = [...figure.querySelectorAll("svg")].find(one => one.checkVisibility());
                    const all = [...drawn.querySelectorAll("text")].map(one => [one.textContent, one.getBoundingClientRect()]);
                    const found = [];
                    all.forEach(([name, a], i) => all.slice(i + 1).forEach(([other, b]) => {
                        const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                        if (over > 1 && down > 4) found.push(name + " / " + other);
                    }));
                    return found;
                }"""
            )
            assert pairs == [], run
            assert words_inside(page) == [], run


def test_on_a_phone_the_page_is_not_wider_and_the_table_is_cards(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#measurements", viewport={"width": 400, "height": 800}) as page:
        assert width_of(page) <= 400
        cell = page.locator("#table-sustained tbody td.num").first
        assert cell.get_attribute("data-label") == "Throughput, first minute"
        page.locator("#table-sustained tbody th[scope=row] a").first.click()
        assert width_of(page) <= 400
        assert page.locator(f"{PLOT} >> p.sub").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_plot_fits_and_its_letters_can_be_read(browser: Browser, address: str, scheme: Literal["light", "dark"]) -> None:
    with visit(browser, f"{address}#run-hot", viewport={"width": 400, "height": 800}, color_scheme=scheme) as page:
        room = page.locator(f"{PLOT} >> .drawing").evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert room[0] <= room[1]
        assert page.locator(f"{PLOT} >> svg:visible").count() == 1
        sizes = page.locator(TEXTS).evaluate_all("all => all.map(one => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)")
        assert min(sizes) >= 10


def test_printed_from_a_phone_the_plot_is_the_broad_one(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#run-hot", viewport={"width": 400, "height": 800}) as page:
        assert page.locator(f"{PLOT} >> svg.narrow").is_visible()
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 1000, "height": 700})
        assert page.locator("article.printed figure.plot svg.broad:visible").count() == 3
        assert page.locator("article.printed figure.plot svg.narrow:visible").count() == 0


def test_every_line_and_word_of_the_plot_is_seen_in_the_dark(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#run-hot", color_scheme="dark") as page:
        found = page.locator(PLOT).evaluate(
            """figure => {
                const channel = one => one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4;
                const light = css => css.match(/[\\d.]+/g).slice(0, 3).map(one => channel(Number(one) / 255))
                    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
                const back = light(getComputedStyle(document.querySelector("#drawer")).backgroundColor);
                const ratio = css => { const own = light(css); return (Math.max(own, back) + 0.05) / (Math.min(own, back) + 0.05); };
                const styles = of => [...figure.querySelectorAll(of)].filter(one => one.checkVisibility()).map(one => getComputedStyle(one));
                return {
                    words: styles("svg text").map(one => ratio(one.fill)),
                    dashes: styles("svg path").filter(one => one.strokeDasharray !== "none").map(one => ratio(one.stroke)),
                };
            }"""
        )
        assert min(found["words"]) >= 4.5
        assert min(found["dashes"]) >= 3


def test_in_print_the_open_run_is_there_with_its_plot(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#run-hot") as page:
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert page.locator("article#run-hot figure.plot svg:visible, article.printed figure.plot svg:visible").count() >= 3


def test_in_chinese_the_table_and_the_plot_are_told_in_chinese(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#measurements?lang=zh") as page:
        assert page.locator("#sustained-title").inner_text() == "持续性能"
        assert "拐点" in page.locator("#table-sustained thead").inner_text()
    with visit(browser, f"{address}#run-hot?lang=zh") as page:
        assert "拐点" in (page.locator(f"{PLOT} >> .drawing").get_attribute("aria-label") or "")
        assert "第一分钟" in page.locator(f"{PLOT} >> p.sub").inner_text()


def test_the_data_of_each_strip_can_be_opened(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}#run-hot") as page:
        strips = page.locator(f"{PLOT} >> details.data")
        assert strips.count() == 6
        strips.nth(2).locator("summary").click()
        text = strips.nth(2).locator("pre").inner_text()
        assert text.startswith("t [min],VDD_IN [W],VDD_IN lowest [W],VDD_IN highest [W]")
        assert ",40\n" in text
