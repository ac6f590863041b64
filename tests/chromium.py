"""A real browser for tests: the Chromium of the system, driven by Playwright; and the Decide page alone, as a file it can open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reports.build import TEMPLATES
from reports.languages import HELPERS
from reports.payload import SCRIPTS, STYLES, embed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ARGUMENTS = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--no-first-run")


def chromium() -> str:
    """Path of the system's Chromium. Fails where there is none: these tests are never skipped."""
    found = shutil.which("chromium")
    if not found:
        pytest.fail("there is no chromium on the PATH; fix: apt-get install chromium")
    return found


@pytest.fixture(scope="module", name="browser")
def browser_of_the_module() -> Iterator[Browser]:
    """One headless Chromium for the tests of a file; Playwright's synchronous interface cannot be started twice at once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        started.close()


@contextmanager
def visit(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A page in a context of its own. Afterwards: it asked for nothing but itself, and nothing was said on the console."""
    context = browser.new_context(**{"locale": "en-GB", "viewport": {"width": 1400, "height": 900}, **options})
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: trouble.append(f"asked for {request.url}") if not request.url.startswith(("file:", "data:")) else None)
    page.goto(address)
    yield page
    context.close()
    assert trouble == []


def decide_page(document: Mapping[str, Any]) -> str:
    """The Decide page alone: its own scripts, the styles of the report, and of the report's script what the page leans on (`HOUSE`)."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(TEMPLATES, encoding="utf-8"), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.globals.update(HELPERS)
    read = {name: (TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "pages.css", *SCRIPTS, *STYLES)}
    template = environment.from_string(SKELETON)
    return template.render(
        document=document,
        payload=Markup(embed(document)),  # noqa: S704 - as the report does
        style=Markup("\n".join(read[one] for one in ("report.css", "pages.css", *STYLES))),  # noqa: S704 - our own files
        script=Markup("\n".join((HOUSE, *(read[one] for one in SCRIPTS)))),  # noqa: S704 - our own files
    )


HOUSE = """"use strict";
(function () {
  var root = document.documentElement;
  function query() { return new URLSearchParams(location.hash.split("?")[1] || ""); }
  function language(name) {
    root.dataset.lang = root.lang = name;
    document.dispatchEvent(new CustomEvent("socbench:lang"));
  }
  function route() {
    var wanted = document.getElementById(location.hash.slice(1).split("?")[0]) || document.getElementById("decide");
    document.querySelectorAll(".page").forEach(function (one) { one.classList.toggle("current", one === wanted); });
  }
  root.classList.add("js");
  if (query().get("theme")) root.dataset.theme = query().get("theme");
  language(query().get("lang") || "en");
  document.addEventListener("DOMContentLoaded", function () {
    document.getElementById("language").addEventListener("click", function () { language(root.lang === "en" ? "zh" : "en"); });
    window.addEventListener("hashchange", route);
    route();
  });
})();
"""
SKELETON = """<!doctype html>
<html lang="en" data-lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Decide</title><style>{{ style }}</style><script>{{ script }}</script></head>
<body><header class="bar"><span class="brand">socbench</span>
<nav><a href="#decide" data-page="decide">Decide</a><a href="#other" data-page="other">Other</a></nav>
<span><button type="button" class="plain" id="language">中文</button></span></header>
<main><section class="page" id="decide" tabindex="-1">{% include "page_decide.html.j2" %}</section>
<section class="page" id="other" tabindex="-1"><p>Another page. <a href="#other" id="away" data-cell="">cell</a></p></section></main>
{% include "evidence.html.j2" %}
<script type="application/json" id="payload">{{ payload }}</script></body></html>
"""


def written(folder: Path, document: Mapping[str, Any]) -> str:
    """Address of the Decide page of `document`, written into `folder`."""
    path = folder / "decide.html"
    path.write_text(decide_page(document), encoding="utf-8")
    return path.as_uri()
