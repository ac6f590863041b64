"""Report -> one HTML file. The templates escape every string; only the stylesheet, the script and the plots are taken as they are.

A page is a template `templates/page_<id>.html.j2` and an entry in `PAGES`; `#<id>` in the address shows it. Any other id in the
address (`#run-3f9c`, `#problem-drift`) shows the page, or opens the drawer, that holds the element of that id. What follows a "?" there
(`#decide?s=edge-llm&lang=zh`) is the state of the page.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError, UsageError
from harness.record import RunRecord
from reports.languages import HELPERS, Words
from reports.lean import lean
from reports.view import Report, view
from reports.words import MARKS

if TYPE_CHECKING:
    from markupsafe import Markup

    from reports.market import Market

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Page:
    """One page of the file; `market`: it is about the decision and stands only where there is one."""

    id: str
    market: bool


PAGES = (
    Page("decide", market=True),
    Page("matrix", market=True),
    Page("socs", market=True),
    Page("measurements", market=False),
    Page("problems", market=False),
    Page("claims", market=True),
    Page("method", market=False),
)


def build(records: Sequence[RunRecord], out: Path, *, links: Mapping[str, str], market: Market | None = None) -> None:
    """Write the report of `records` and of what was decided to `out`, whole or not at all.

    `links`: run_id -> reference of its record file, relative to `out`. Raises UsageError where there is neither a record nor a decision,
    StoreError where `out` cannot be written.
    """
    if not records and market is None:
        raise UsageError("no records to make a report of", fix="run: nox -s bench-host")
    page = render(view(records, links) if records else None, market)
    temporary = ""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(page)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(out)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(f"{out}: {error.strerror}", "name a file in a folder that can be written with --output") from error


def render(report: Report | None, market: Market | None = None) -> str:
    """The whole file as text. Without records `report` is None, without a decision `market`; then their pages say so, or are left out."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from reports.evidence_words import NOT_PLACED
    from reports.method import pages as decided
    from reports.payload import SCRIPTS, STYLES, embed

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    words = Words()
    environment.globals.update(HELPERS, w=words)
    script, style = (
        _INDENT.sub("\n", _REMARK.sub("", _joined(names))) for names in (("report.js", "pages.js", *SCRIPTS), ("report.css", "pages.css", *STYLES))
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    document = document_of(market) if market else {}
    page = environment.get_template("report.html.j2").render(
        report=report,
        market=market,
        pages=[one for one in PAGES if market or not one.market],
        decided=decided(market) if market else None,
        marks=tuple(MARKS.values()),
        not_placed=NOT_PLACED,
        plots=_plots(report) if report else {},
        document=document,
        decide=document,
        words=Markup(_WORDS),  # noqa: S704 - a place that is filled below
        payload=Markup(embed(document)),  # noqa: S704 - nothing is left in it that means something to a parser
        style=Markup(style),  # noqa: S704 - our own files
        script=Markup(script),  # noqa: S704 - our own files
        script_sha256=digest,
    )
    found = lean(page, words)  # only now all words are known
    return found.replace(_WORDS, embed({"words": words.list()}), 1)


_REMARK = re.compile(r"^[ ]*(?://[^\n]*|/\*(?:(?!\*/).)*\*/)(?=\n)", re.DOTALL | re.MULTILINE)
"""A comment on lines of its own, in a script or style."""
_INDENT = re.compile(r"\n[ \n]+")
"""How these are indented: of no use to a browser either."""
_WORDS = "<words>"
"""Stands for the list of words until it is known; nothing that is escaped can look like it."""


def document_of(market: Market) -> dict[str, Any]:
    """What the script and the template of the page Decide work on."""
    from reports.payload import payload

    answers = [(market.scenarios[one.scenario], one) for one in market.decisions]
    return payload(answers, market.socs.values(), market.figures, market.facts, market.source_of, market.cells.values(), market.how)


def _joined(names: Sequence[str]) -> str:
    return "\n".join((TEMPLATES / one).read_text(encoding="utf-8") for one in names if (TEMPLATES / one).exists())


def _plots(report: Report) -> dict[tuple[str, str], Markup]:
    """The drawings, by anchor of the run and kind of plot."""
    from markupsafe import Markup

    from reports.plots import draw

    return {(run.anchor, one.kind): Markup(draw(one)) for run in report.runs for one in run.plots}  # noqa: S704 - escaped by matplotlib, tested
