"""socbench list: what there is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from harness import console

EPILOG = """\
examples:
  socbench list workloads
  socbench list metrics --json               with unit and formula, for a program
  socbench list targets --zoo my-pack/       and what a folder of your own adds
  socbench list scenarios                    what `socbench select` can answer
  socbench list limits                       what may stand after --limit, with an example of each
  socbench list socs --evidence mine/        the catalogue, with what a folder of your own adds
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "list",
        help="list targets, workloads, runtimes, metrics, scenarios, limits or SoCs",
        description="List what socbench knows.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument("what", choices=tuple(TABLES))
    add_zoo(one)
    one.add_argument("--evidence", type=Path, action="append", default=[], metavar="DIR", help="a further folder with socs.csv, facts.csv ...")
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def add_zoo(one: argparse.ArgumentParser) -> None:
    """The option that every command with a zoo has."""
    one.add_argument("--zoo", type=Path, action="append", default=[], metavar="DIR", help="a further folder with targets/ and workloads/")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, or the document."""
    rows = TABLES[arguments.what](arguments)
    if arguments.json:
        console.document(rows)
    else:
        console.table([name.replace("_", " ") for name in rows[0]], [[str(value) for value in row.values()] for row in rows], out=sys.stdout)
    return 0


def _targets(arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.spec import Zoo

    zoo = Zoo(arguments.zoo)
    found = {name: zoo.target(name) for name in zoo.target_files}
    return [{"id": name, "title": one.title, "runtimes": ", ".join(one.runtimes)} for name, one in found.items()]


def _workloads(arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.spec import Zoo

    zoo = Zoo(arguments.zoo)
    found = {name: zoo.workload(name) for name in zoo.workload_files}
    return [{"id": name, "task": one.task, "item": one.item, "title": one.title} for name, one in found.items()]


def _runtimes(arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.spec import Zoo

    zoo = Zoo(arguments.zoo)
    rows = []
    for target in zoo.target_files:
        for name, use in zoo.target(target).runtimes.items():
            forms = [*use.opens, *(f"{convert.format}/{precision}" for precision, convert in use.convert.items())]
            rows.append({"id": name, "target": target, "opens": ", ".join(forms), "install": use.install})
    return rows


def _metrics(_arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.metrics import metrics

    return [{"id": one.id, "unit": one.unit.value, "better": one.better, "formula": one.formula} for one in metrics()]


def _scenarios(_arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.decide.scenario import get, known

    rows = []
    for name in known():
        one = get(name)
        limits, criteria = (", ".join(item.id for item in items) for items in (one.limits, one.criteria))
        rows.append({"id": name, "title": one.title["en"], "limits": limits, "criteria": criteria})
    return rows


def _limits(_arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.decide.scenario.amounts import SAMPLES
    from harness.decide.terms import METRICS

    workloads = {"decode": "llama-3.2-1b", "prefill": "llama-3.2-1b", "ttft": "llama-3.2-1b", "realtime_factor": "whisper-tiny"}
    rows = []
    for one in METRICS.values():
        key = f"{one.id}:{workloads.get(one.id, 'yolov8n')}" if one.of == "workload" else one.id
        row = {"id": one.id, "title": one.title["en"], "unit": one.unit.value, "better": one.better, "of": one.of}
        rows.append({**row, "example": f"{key}={SAMPLES[one.id]}"})
    return rows


def _socs(arguments: argparse.Namespace) -> list[dict[str, str]]:
    from harness.decide.catalogue import Catalogue
    from harness.decide.market import folders

    catalogue = Catalogue.read(folders(arguments.evidence))
    return [{"id": one.id, "name": one.name, "vendor": one.vendor, "family": one.family, "role": one.role.value} for one in catalogue.socs.values()]


TABLES = {
    "targets": _targets,
    "workloads": _workloads,
    "runtimes": _runtimes,
    "metrics": _metrics,
    "scenarios": _scenarios,
    "limits": _limits,
    "socs": _socs,
}
