"""The report on the shipped evidence: the browser's own ranking begins where that of Python ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.decide.market import Market
from reports.build import render
from reports.gather import gather
from tests.chromium import browser_of_the_module, visit  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

AGAIN = """id => {
  const data = JSON.parse(document.getElementById("payload").textContent), stated = data.scenarios.find(one => one.id === id);
  const state = Object.assign(socbench.state.read(), { scenario: id, weights: {}, limits: {} });
  state.weights[stated.criteria[0].id] = stated.criteria[0].weight * (1 + 1e-9);  // no change, but the browser computes it
  const view = socbench.view.make(state, false), found = {};
  view.entries.forEach(one => { found[one.s] = { best: one.best, feasible: one.feasible, states: one.findings.map(each => each.state) }; });
  return { adjusted: view.adjusted, leader: view.leader, found: found, stated: stated };
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = tmp_path_factory.mktemp("shipped") / "report.html"
    file.write_text(render(None, gather(Market.load())), encoding="utf-8")
    with visit(browser, f"{Path(file).as_uri()}#decide") as opened:
        yield opened


def scenarios() -> list[str]:
    return sorted(one.stem for one in (Path(__file__).parents[2] / "reports/scenarios").glob("*.toml"))


@pytest.mark.parametrize("scenario", scenarios())
def test_browser_finds_every_limit_of_every_soc_as_python_does(page: Page, scenario: str) -> None:
    told: dict[str, Any] = page.evaluate(AGAIN, scenario)
    assert told["adjusted"]
    assert len(told["found"]) == len(told["stated"]["entries"])
    for entry in told["stated"]["entries"]:
        found = told["found"][str(entry["s"])]
        assert abs(found["best"] - entry["b"]) <= 0.02
        assert abs(found["feasible"] - entry["f"]) <= 0.02
        for state, (stated, share, *_) in zip(found["states"], entry["n"], strict=True):
            if min(abs(share - 0.05), abs(share - 0.95)) > 0.01:
                assert state == stated, json.dumps(entry)[:300]


def test_a_limit_can_be_put_on_a_criterion_and_stands_in_the_address(page: Page) -> None:
    page.evaluate("() => { location.hash = '#decide?s=edge-llm'; }")
    page.wait_for_function("() => document.querySelector('#d-add option[value=\"decode:llama_3_2_3b\"]')")
    page.select_option("#d-add", "decode:llama_3_2_3b")
    field = page.locator('[data-limit="decode:llama_3_2_3b"]')
    field.fill("15")
    field.dispatch_event("change")
    page.wait_for_function("() => decodeURIComponent(location.hash).includes('l=decode:llama_3_2_3b~15')")
    assert page.locator("#d-answer .d-sentence").text_content()
