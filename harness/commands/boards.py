"""socbench boards: which boards there are and how to reach them."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

from harness import console
from harness.commands.list import add_zoo

EPILOG = """\
examples:
  socbench boards add rk-1 user@10.0.0.5 --target rk3588
  socbench boards add rk-2 rk2 --target rk3588 --meter shelly://10.0.0.7    rk2 is a Host of ~/.ssh/config
  socbench boards list
  socbench boards remove rk-2

The boards file is $SOCBENCH_BOARDS, or ~/.config/socbench/boards.toml; you may edit it.
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "boards",
        help="name the boards that can be measured over SSH",
        description="Name the boards that can be measured over SSH.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    what = one.add_subparsers(dest="what", metavar="WHAT", required=True)
    new = what.add_parser("add", help="name one more board", description="Write one more board into the boards file; nothing is connected to yet.")
    new.add_argument("name", metavar="NAME", help="what to call it: in commands, records and reports")
    new.add_argument("address", metavar="ADDRESS", help="user@host, or a Host of ~/.ssh/config")
    new.add_argument("--target", required=True, metavar="T", help="what it is (socbench list targets)")
    new.add_argument("--meter", action="append", default=[], metavar="URL", help="a power meter on its supply; may be repeated")
    new.add_argument("--python", default="", metavar="PATH", help="the Python to use on the board (default: the first python3 that is new enough)")
    new.add_argument("--folder", default="", metavar="DIR", help="where socbench may keep files on the board (default: below its home)")
    add_zoo(new)
    new.set_defaults(run=_add)
    listed = what.add_parser("list", help="show all boards", description="Show all boards of the boards file.")
    listed.add_argument("--json", action="store_true", help="one JSON document on stdout")
    listed.set_defaults(run=_list)
    gone = what.add_parser("remove", help="forget a board", description="Take a board out of the boards file; the board itself is not touched.")
    gone.add_argument("name", metavar="NAME", help="one of `socbench boards list`")
    gone.set_defaults(run=_remove)


def _add(arguments: argparse.Namespace) -> int:
    from harness import boards
    from harness.measure.meters import check
    from harness.spec import Zoo

    for url in arguments.meter:
        check(url)
    board = boards.Board(arguments.address, arguments.target, arguments.meter, arguments.python, arguments.folder)
    boards.add(Zoo(arguments.zoo), arguments.name, board)
    console.say(f"{arguments.name}: {board.target} at {board.address}, written to {boards.path()}")
    console.say("next: " + shlex.join(["socbench", "doctor", arguments.name, *(word for one in arguments.zoo for word in ("--zoo", str(one)))]))
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from harness import boards

    found = boards.read()
    if arguments.json:
        rows = [{"name": name, "address": one.address, "target": one.target, "meters": one.meters, "python": one.python, "folder": one.folder}
                for name, one in found.items()]  # fmt: skip
        console.document(rows)
    elif found:
        console.table(
            ["name", "target", "address", "meters", "python", "folder"],
            [[name, one.target, one.address, ", ".join(one.meters), one.python, one.folder] for name, one in found.items()],
            out=sys.stdout,
        )
    else:
        console.say(f"{boards.path()}: no boards yet; name one: socbench boards add rk-1 user@10.0.0.5 --target rk3588")
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from harness import boards

    gone = boards.remove(arguments.name)
    console.say(f"{arguments.name}: {gone.target} at {gone.address} is no longer in {boards.path()}")
    return 0
