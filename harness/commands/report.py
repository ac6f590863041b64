"""socbench report: the HTML file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from harness import console
from harness.errors import UsageError

EPILOG = """\
examples:
  socbench report                                  results/report.html from all records in results/
  socbench report --results rk3588/ --output rk3588.html
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "report",
        help="write the HTML report",
        description="Write one self-contained HTML file from all records of a results folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("--results", type=Path, default=None, metavar="DIR", help="the results folder (default: results, or $SOCBENCH_RESULTS)")
    one.add_argument("--output", type=Path, metavar="FILE", help="the file to write (default: report.html in the results folder)")
    one.add_argument("--json", action="store_true", help="one JSON document on stdout: the file and the records in it")
    one.set_defaults(run=run)


def results_folder(arguments: argparse.Namespace) -> Path:
    """--results, else $SOCBENCH_RESULTS, else results/ here."""
    return arguments.results or Path(os.environ.get("SOCBENCH_RESULTS") or "results")


def run(arguments: argparse.Namespace) -> int:
    """Write it and say where."""
    from harness.store import Store, newest
    from reports.build import build

    folder = results_folder(arguments)
    output = arguments.output or folder / "report.html"
    found = {record.run_id: (path, record) for path, record in Store(folder).records()}
    if not found:
        raise UsageError(f"{folder}: no records there", "measure first: socbench bench host, or name another folder with --results DIR")
    if output.is_dir():
        raise UsageError(f"--output {output}: is a folder", "name a file, such as report.html")
    records = newest([record for _, record in found.values()])
    links = {one.run_id: os.path.relpath(found[one.run_id][0], output.parent) for one in records}
    build(records, output, links=links)
    if arguments.json:
        console.document({"report": str(output), "records": [one.run_id for one in records]})
    console.say(f"report: {output}  ({len(records)} runs)")
    return 0
