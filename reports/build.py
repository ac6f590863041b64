"""Report -> one HTML file. The templates escape every string; only the stylesheet, the script and the plots are taken as they are.

A page is a template `templates/page_<id>.html.j2` and an entry in `PAGES`; `#<id>` in the address shows it. Any other id in the
address (`#run-3f9c`, `#problem-drift`) shows the page, or opens the drawer, that holds the element of that id.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError, UsageError
from harness.record import RunRecord
from reports.view import Report, view

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Page:
    """One page of the file."""

    id: str
    title: str


PAGES = (Page("measurements", "Measurements"), Page("problems", "Problems"), Page("method", "Method"))


def build(records: Sequence[RunRecord], out: Path, *, links: Mapping[str, str]) -> None:
    """Write the report of `records` to `out`, whole or not at all. `links`: run_id -> reference of its record file, relative to `out`.

    Raises UsageError where there are no records, StoreError where `out` cannot be written.
    """
    if not records:
        raise UsageError("no records to make a report of", fix="run: nox -s bench-host")
    page = render(view(records, links))
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
        raise StoreError(f"{out}: {error.strerror}", "name a folder that can be written with --out") from error


def render(report: Report) -> str:
    """The whole file as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        report=report,
        pages=PAGES,
        plots=_plots(report),
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        script_sha256=digest,
    )


def _plots(report: Report) -> dict[tuple[str, str], Markup]:
    """The drawings, by anchor of the run and kind of plot."""
    from markupsafe import Markup

    from reports.plots import draw

    return {(run.anchor, one.kind): Markup(draw(one)) for run in report.runs for one in run.plots}  # noqa: S704 - escaped by matplotlib, tested
