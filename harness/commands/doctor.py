"""socbench doctor: what a machine has, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

from harness import cache, console
from harness.commands.bench import add_place, one_place
from harness.errors import SocbenchError, Stable

if TYPE_CHECKING:
    from harness.boards import Place
    from harness.measure.link import Agent, Link
    from harness.spec import Zoo

EPILOG = """\
examples:
  socbench doctor                                  this machine
  socbench doctor host --json                      the same, for a program
  socbench doctor rk-1                             a board of `socbench boards list`
  socbench doctor rk3588 --host user@10.0.0.5      a board without a name
"""
ROOM_B = 4e9
"""What the whole zoo takes."""
CLOCK_OFF_S = 2.0
Finding = dict[str, Any]


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "doctor",
        help="what a machine has and what is missing",
        description="Look at the link, sensors, clocks and runtimes of this machine or a board; measure and change nothing.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument(
        "name", metavar="NAME", nargs="?", default="host", help="a target: this machine, or the one at --host; or a board (default: host)"
    )
    add_place(one)
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask an agent on the machine, print what it found."""
    from harness.measure.campaign import linked
    from harness.measure.hold import load

    zoo, where = one_place(arguments)
    with linked(where, console.say) as link, link.hold() if where.address else contextlib.nullcontext():
        with link.start(1) as agent:
            findings = _board(link, agent) if where.address else []
            load(link, agent, zoo.halves("boards", zoo.target(where.target).board, zoo.target_files[where.target]))
            seen = agent.ask("probe", 60.0)
            findings.append(_module(zoo, where, seen["board"]))
            findings += agent.ask("probe", 60.0, what="doctor")["findings"]
        findings += _runtimes(zoo, where, link)
    findings += [*map(_meter, where.meters), _cache()]
    findings = [one for one in findings if one]
    if arguments.json:
        document = {"name": where.name, "target": where.target, "board": seen["board"], "state": seen["state"], "findings": findings}
        console.document(document)
        return 0
    out = sys.stdout
    out.write(f"{where.name}: {seen['board'].get('module', 'unknown')}\n\n")
    for one in findings:
        out.write(f"{'ok  ' if one['ok'] else 'look'}  {one['topic']}: {one['what']}\n")
        if one["fix"]:
            out.write(f"      fix: {one['fix']}\n")
    return 0


def _finding(topic: str, what: str, fix: str = "") -> Finding:
    """What is well has no fix."""
    return {"topic": topic, "ok": not fix, "what": what, "fix": fix}


def _board(link: Link, agent: Agent) -> list[Finding]:
    """What the link and the survey of a board over SSH say."""
    from harness.measure import clocks
    from harness.measure.ssh import Ssh
    from harness.quantity import Unit, text

    error = clocks.read(agent).error_ns / 1e9
    before = time.time_ns()
    there = agent.ask("hello", 30.0)["unix_ns"]
    after = time.time_ns()
    ahead, unsure = (there - (before + after) / 2) / 1e9, (after - before) / 2e9
    off = (
        f"{text(abs(ahead), Unit.SECOND)} {'ahead of' if ahead > 0 else 'behind'}"
        if abs(ahead) > unsure
        else f"within {text(unsure, Unit.SECOND)} of"
    )
    what = f"round trip {text(2 * error, Unit.SECOND)}, so stamps of both machines can be compared to {text(error, Unit.SECOND)}"
    fix = "" if abs(ahead) < CLOCK_OFF_S else "on the board: timedatectl set-ntp true (no figure depends on it, the times in its logs do)"
    found = [_finding("link", what), _finding("time of day", f"its clock is {off} this machine's", fix)]
    if isinstance(link, Ssh):
        board = link.board
        found.append(_finding("python", f"{board.python} {board.version} with numpy {board.numpy}, on {board.machine}"))
        room = f"{board.folder}: {text(float(board.free), Unit.BYTE)} free{', in memory' if board.in_memory else ''}; the whole zoo takes 4 GB"
        found.append(
            _finding("folder", room, "" if board.free > ROOM_B else "free some space there, or name another folder on the board: --folder DIR")
        )
    return found


def _module(zoo: Zoo, where: Place, board: dict[str, Any]) -> Finding:
    """Which module of the target the machine shows itself to be; {} where any machine will do."""
    from harness.measure.recognise import recognise

    if not zoo.target(where.target).modules:
        return {}
    try:
        module = recognise(zoo, where.target, board, where.address)
    except SocbenchError as error:
        return _finding("module", error.what, error.fix)
    return _finding("module", module.title) if module else {}


def _runtimes(zoo: Zoo, where: Place, link: Link) -> list[Finding]:
    """Each runtime of the target, in a process of its own."""
    from harness.measure.hold import load
    from harness.measure.ssh import Ssh

    found = []
    for name, use in zoo.target(where.target).runtimes.items():
        with link.start(1) as agent:
            try:
                load(link, agent, zoo.halves("runtimes", name, zoo.target_files[where.target]))
                version = agent.ask("probe", 60.0)["runtime"]["version"]
                found.append(_finding(f"runtime {name}", f"{use.package} {version}"))
            except Stable as error:
                python = link.board.python if isinstance(link, Ssh) else "python"
                install = use.install.replace("python -m", f"{python} -m")
                found.append(_finding(f"runtime {name}", error.what, f"on the board: {install}" if where.address else install))
    return found


def _meter(url: str) -> Finding:
    """Whether a power meter of the boards file answers, and what it sees."""
    from harness.measure.meters import open_meter

    try:
        with open_meter(url) as meter:
            seen = ", ".join(f"{one.site} ({one.kind}, {one.scope})" for one in meter.channels)
            return _finding(f"meter {meter.instrument}", f"{seen} at {meter.hertz:g} Hz")
    except SocbenchError as error:
        return _finding("meter", error.what, error.fix)


def _cache() -> Finding:
    import shutil

    from harness.quantity import Unit, text

    free = shutil.disk_usage(cache.folder()).free
    what = f"{cache.root()}: {text(float(free), Unit.BYTE)} free; the whole zoo takes 4 GB"
    return _finding("cache", what, "" if free > 2 * ROOM_B else "set SOCBENCH_CACHE to a larger disk")
