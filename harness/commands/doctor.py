"""socbench doctor: what a target has, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from harness import cache, console
from harness.commands.list import add_zoo

EPILOG = """\
examples:
  socbench doctor                        this machine
  socbench doctor host --json            the same, for a program
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "doctor",
        help="what a target has and what is missing",
        description="Look at sensors, clocks and runtimes; measure nothing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("target", metavar="TARGET", nargs="?", default="host")
    add_zoo(one)
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask an agent on the target, print what it found."""
    import shutil

    from harness.errors import Stable
    from harness.measure.link import Local
    from harness.quantity import Unit, text
    from harness.spec import Zoo

    zoo = Zoo(arguments.zoo)
    target, toml = zoo.target(arguments.target), zoo.target_files[arguments.target]
    link = Local()

    def load(agent: Any, kind: str, name: str) -> None:
        for role, path in zoo.halves(kind, name, toml):
            agent.ask("load", 60.0, role=role, path=link.put(path), sha256=cache.sha256(path))

    with link.start(1) as agent:
        load(agent, "boards", target.board)
        seen = agent.ask("probe", 60.0)
        findings = agent.ask("probe", 60.0, what="doctor")["findings"]
    for name, use in target.runtimes.items():
        with link.start(1) as agent:
            try:
                load(agent, "runtimes", name)
                version = agent.ask("probe", 60.0)["runtime"]["version"]
                findings.append({"topic": f"runtime {name}", "ok": True, "what": f"{use.package} {version}", "fix": ""})
            except Stable as error:
                findings.append({"topic": f"runtime {name}", "ok": False, "what": error.what, "fix": use.install})
    free = shutil.disk_usage(cache.folder()).free
    findings.append(
        {
            "topic": "cache",
            "ok": free > 8e9,
            "what": f"{cache.root()}: {text(float(free), Unit.BYTE)} free; the whole zoo takes 4 GB",
            "fix": "" if free > 8e9 else "set SOCBENCH_CACHE to a larger disk",
        }
    )
    if arguments.json:
        console.document({"target": arguments.target, "board": seen["board"], "state": seen["state"], "findings": findings})
        return 0
    out = sys.stdout
    out.write(f"{arguments.target}: {seen['board'].get('module', 'unknown')}\n\n")
    for one in findings:
        out.write(f"{'ok  ' if one['ok'] else 'look'}  {one['topic']}: {one['what']}\n")
        if one["fix"]:
            out.write(f"      fix: {one['fix']}\n")
    return 0
