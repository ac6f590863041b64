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
  socbench report                                  results/report.html: the matrix, and the records in results/
  socbench report --scenario doorbell.toml         with a scenario of your own
  socbench report --results rk3588/ --output rk3588.html
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "report",
        help="write the HTML report",
        description="Write one self-contained HTML file: which SoC for which product, and the records of a results folder, the newest of each kind.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument("--results", type=Path, default=None, metavar="DIR", help="the results folder (default: results, or $SOCBENCH_RESULTS)")
    one.add_argument("--output", type=Path, metavar="FILE", help="the file to write (default: report.html in the results folder)")
    one.add_argument("--scenario", type=Path, action="append", default=[], metavar="FILE", help="a scenario file of your own beside the shipped ones")
    one.add_argument("--evidence", type=Path, action="append", default=[], metavar="DIR", help="a further folder with published.csv, facts.csv ...")
    one.add_argument("--json", action="store_true", help="one JSON document on stdout: the file and the records in it")
    one.set_defaults(run=run)


def results_folder(arguments: argparse.Namespace) -> Path:
    """--results, else $SOCBENCH_RESULTS, else results/ here."""
    return arguments.results or Path(os.environ.get("SOCBENCH_RESULTS") or "results")


def run(arguments: argparse.Namespace) -> int:
    """Write it and say where."""
    from harness.decide.market import Market
    from harness.decide.scenario import read
    from harness.store import Store, newest
    from reports.build import build
    from reports.gather import gather

    folder = results_folder(arguments)
    if arguments.results and not folder.is_dir():
        raise UsageError(f"--results {folder}: no such folder", "name a results folder, or leave --results away")
    output = arguments.output or folder / "report.html"
    if output.is_dir():
        raise UsageError(f"--output {output}: is a folder", "name a file, such as report.html")
    own = [read(one) for one in arguments.scenario]
    found = {record.run_id: (path, record) for path, record in Store(folder).records()} if folder.is_dir() else {}
    records = newest([record for _, record in found.values()])
    links = {one.run_id: os.path.relpath(found[one.run_id][0], output.parent) for one in records}
    evidence = Market.load(arguments.evidence, records, links)
    build(records, output, links=links, market=gather(evidence, records, arguments.evidence, own))
    if arguments.json:
        console.document({"report": str(output), "records": [one.run_id for one in records]})
    console.say(f"report: {output}  ({len(records)} runs, {len(evidence.catalogue.socs)} SoCs)")
    if older := len(found) - len(records):
        console.say(f"{older} of {len(found)} records are not in it: the same was measured again later")
    if not records:
        console.say("nothing was measured here yet: nox -s bench-host adds the figures of this machine")
    return 0
