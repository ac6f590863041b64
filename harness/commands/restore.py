"""socbench restore: end what an interrupted run left on a machine, and set its clocks back."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from harness import console
from harness.commands.bench import add_place, one_place

EPILOG = """\
examples:
  socbench restore rk-1                            a board of `socbench boards list`
  socbench restore rk3588 --host user@10.0.0.5     a board without a name
  socbench restore host                            this machine

A run restores what it changed also when it is interrupted, and a board does it by itself when it has heard nothing more for a while. This is for when
you do not want to wait, or when a run said that it could not. It ends a run that is still going on there, whoever began it.
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "restore",
        help="undo what an interrupted run left on a board",
        description="End a run that still holds a machine, and restore the settings it changed.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument("name", metavar="NAME", help="a board (socbench boards list), or a target: this machine, or the one at --host")
    add_place(one)
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """End, restore, say what was done; 1 where something could not be restored."""
    from harness.measure.campaign import linked
    from harness.measure.hold import undo
    from harness.measure.ssh import Ssh

    zoo, where = one_place(arguments)
    with linked(where, console.say) as link:
        ended = link.end_hold() if isinstance(link, Ssh) else ""
        found = undo(zoo, where.target, link)
    restored, failed = found.get("restored", []), found.get("failed", [])
    if arguments.json:
        console.document({"name": where.name, "ended": ended, "restored": restored, "failed": failed})
        return 1 if failed else 0
    out = sys.stdout
    if ended:
        out.write(f"{where.name}: ended the run of {ended}; what it had changed was restored with it\n")
    elif not (restored or failed):
        out.write(f"{where.name if where.address else 'this machine'}: there was nothing to restore\n")
    for one in restored:
        out.write(f"{where.name}: restored {one}\n")
    for one in failed:
        out.write(f"{where.name}: not restored: {one['what']}\n  fix: {one['fix']}\n")
    return 1 if failed else 0
