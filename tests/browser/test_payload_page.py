"""The document of the Decide page in a real browser: harmless, and said as Python says it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.chromium import browser_of_the_module, decide_page, visit, written  # noqa: F401 - a fixture
from tests.decide_samples import Market, poisoned, scenario, scenarios

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = """'"><img src=x onerror=alert(1)><script>alert(2)</script></script></style>--><!--]]>&lt;{{7*7}}\u2028"""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return Market().document()


def test_untrusted_text_stays_text_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    asked = [
        scenario(
            "evil", EVIL, EVIL, [{"metric": "power", "at_most": "20 W"}], [{"metric": "price", "reject": "400 USD", "target": "60 USD", "weight": 1}]
        )
    ]
    asked.append(scenarios()[0])
    with visit(browser, written(tmp_path, poisoned(Market(8), EVIL).document(asked))) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        count = "() => ['img', 'script', '[onerror]', 'a[href^=javascript]'].map(one => document.querySelectorAll(one).length)"
        assert page.evaluate(count) == [0, 2, 0, 0]
        page.locator("#d-scenes a").nth(1).click()
        page.locator("#d-rank-body .d-soc").first.click()
        page.locator("#evidence .d-cell").first.click()
        assert "<script>alert(2)" in page.locator("#evidence").inner_text()
        assert page.evaluate(count) == [0, 2, 0, 0]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_says_the_answer_in_the_words_of_python(browser: Browser, tmp_path: Path, document: dict[str, Any], language: str) -> None:
    with visit(browser, f"{written(tmp_path, document)}#decide?lang={language}") as page:
        for one in document["scenarios"]:
            page.evaluate("hash => { location.hash = hash; }", f"#decide?s={one['id']}&lang={language}")
            page.wait_for_function("title => document.getElementById('d-title').textContent === title", arg=one["title"][language])
            told = one["answer"][language]
            assert page.locator(".d-sentence").text_content() == told["head"]
            lines = page.locator("#d-answer .d-lines > div")
            assert [[part.text_content() for part in line.locator("dt, dd").all()] for line in lines.all()] == told["lines"]
