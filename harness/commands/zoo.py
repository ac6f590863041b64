"""socbench zoo: build, fetch and verify model files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cache, console
from harness.commands.list import add_zoo
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.measure.artifacts import Product
    from harness.spec import Zoo

EPILOG = """\
examples:
  socbench zoo build                              every model file that `bench host` needs
  socbench zoo fetch --workload whisper-tiny      pretrained weights from their hub, checked by sha256
  socbench zoo verify                             is every cached file as it was written?
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "zoo",
        help="build, fetch or verify model files",
        description="Build, fetch or verify the model files of the zoo.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument("what", choices=("build", "fetch", "verify"))
    one.add_argument("--workload", action="append", default=[], metavar="W", help="only this workload; may be repeated")
    one.add_argument("--target", default="host", metavar="T", help="the target whose forms are built (default: host)")
    one.add_argument("--weights", type=Path, metavar="DIR", help="build: pretrained weights to use; fetch: where to put them (default: the cache)")
    add_zoo(one)
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from harness.spec import Zoo

    zoo = Zoo(arguments.zoo)
    names = arguments.workload or list(zoo.workload_files)
    for name in names:
        zoo.workload(name)
    return {"build": _build, "fetch": _fetch, "verify": _verify}[arguments.what](arguments, zoo, names)


def _products(arguments: argparse.Namespace, zoo: Zoo, names: list[str]) -> list[Product]:
    from harness.measure.plan import products

    found = [
        product
        for name in names
        for use in zoo.target(arguments.target).runtimes.values()
        for product in products(use, name, zoo.workload(name)).values()
    ]
    return list(dict.fromkeys(found))


def _build(arguments: argparse.Namespace, zoo: Zoo, names: list[str]) -> int:
    from harness.measure.artifacts import Workshop
    from harness.quantity import Unit, text

    wanted = _products(arguments, zoo, names)
    rows: list[dict[str, Any]] = []
    with console.Progress(len(wanted)) as progress, Workshop(zoo, arguments.weights, progress.line) as workshop:
        workshop.begin(wanted)
        for product in wanted:
            progress.title = str(product)
            made = workshop.get(product)
            progress.done += 1
            rows.append(
                {
                    "workload": product.workload,
                    "form": product.form,
                    "bytes": sum(made.artifact.bytes.values()),
                    "parameters": made.artifact.parameters,
                    "weights": made.artifact.weights,
                    "files": {role: str(path) for role, path in made.paths.items()},
                }
            )
    if arguments.json:
        console.document(rows)
    else:
        console.table(
            ["workload", "form", "size", "parameters", "weights", "folder"],
            [
                [
                    str(row["workload"]),
                    str(row["form"]),
                    text(float(row["bytes"]), Unit.BYTE),
                    f"{row['parameters']:,}",
                    str(row["weights"]),
                    str(Path(next(iter(row["files"].values()))).parent),
                ]
                for row in rows
            ],
            right=(2, 3),
            out=sys.stdout,
        )
    return 0


def _verify(arguments: argparse.Namespace, zoo: Zoo, names: list[str]) -> int:
    from harness.measure.artifacts import Workshop

    rows = []
    with Workshop(zoo, arguments.weights) as workshop:
        for product in _products(arguments, zoo, names):
            state, what = workshop.verify(product)
            rows.append({"workload": product.workload, "form": product.form, "state": state, "detail": what})
    if arguments.json:
        console.document(rows)
    else:
        console.table(["workload", "form", "state", "detail"], [list(row.values()) for row in rows], out=sys.stdout)
        if any(row["state"] == "damaged" for row in rows):
            console.say("damaged files are built again when they are next needed, or now: socbench zoo build")
    return 1 if any(row["state"] == "damaged" for row in rows) else 0


def _fetch(arguments: argparse.Namespace, zoo: Zoo, names: list[str]) -> int:
    from harness.measure.hub import fetch

    folder = arguments.weights or cache.folder("weights")
    chosen = [name for name in names if zoo.workload(name).pretrained]
    if not chosen:
        reasons = "; ".join(f"{name}: {zoo.workload(name).no_pretrained or 'no pinned weights are known'}" for name in names)
        raise UsageError(f"nothing to fetch: {reasons}", "put the files into a folder yourself and use --weights")
    got = {}
    with console.Progress(len(chosen)) as progress:
        for name in chosen:
            progress.start(f"{name} from its hub")
            pins = zoo.workload(name).pretrained
            for pin in pins:
                progress.line(f"{pin.repo}@{pin.revision[:12]} {pin.file}: licence {pin.licence}")
            paths = fetch(pins, folder / name, lambda file, done, total: progress.note(f"{file} {done >> 20}/{total >> 20} MiB"))
            got[name] = [str(path) for path in paths]
            progress.finish(f"{len(paths)} files in {folder / name}")
    if arguments.json:
        console.document({"weights": str(folder), "files": got})
    console.say(f"use them with: socbench bench host --weights {folder}")
    return 0
