"""What a reader of the report waits for: the ranking after a weight was moved, in the system's Chromium."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.rigs import run

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOVE = """async () => {
  const slider = document.querySelector("#decide input[type=range]"), table = document.querySelector("#decide table");
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const times = [];
  for (let i = 0; i < 30; i++) {
    slider.value = String(Number(slider.min) + ((i * 7 + 3) % 10) / 10 * (slider.max - slider.min));
    const begin = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await frame();
    table.getBoundingClientRect();  // layout included
    await frame();
    times.push(performance.now() - begin);
    await new Promise(done => setTimeout(done, 900));
  }
  return times;
}"""
"""Thirty moves of the first weight; each is timed from the event to the frame after the one in which the ranking was drawn."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    report = tmp_path_factory.mktemp("page") / "report.html"
    run("report", "--output", str(report), SOCBENCH_RESULTS=str(report.parent))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-quic"])
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.goto(f"{Path(report).as_uri()}#decide?s=vision-gateway")
        opened.wait_for_timeout(2000)
        yield opened
        browser.close()


def test_ranking_after_a_weight_was_moved(benchmark: Any, page: Page) -> None:
    times = benchmark.pedantic(lambda: page.evaluate(MOVE), rounds=1)
    middle, worst = statistics.median(times) / 1e3, max(times) / 1e3
    what = f"ranking in the browser after a weight was moved, 39 SoCs, 10 000 draws, median of {len(times)} (worst {worst * 1e3:.0f} ms)"
    benchmark.extra_info.update(what=what, value=middle, unit="s", bound=0.1)
