"""The command line: parse, call, print, exit code. Everything heavy is imported by the command that needs it.

Exit codes: 0 done; 1 something measured or checked has failed; 2 the request could not be carried out; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from harness import __version__, console
from harness.errors import SocbenchError

COMMANDS = ("list", "bench", "attach", "boards", "select", "explain", "report", "evidence", "zoo", "doctor", "restore", "schema")
EPILOG = """\
examples:
  socbench bench host                                  the whole zoo on this machine
  socbench bench host --workload resnet50 --seconds 10
  socbench bench host --resume                         go on where it stopped
  socbench boards add rk-1 user@10.0.0.5 --target rk3588
  socbench bench rk-1                                  the same on a board, over SSH
  socbench select edge-llm                             which SoC for this product, how sure, and why
  socbench explain edge-llm rk3588                     every number behind one SoC, with its source
  socbench report                                      results/report.html: the matrix, and the records
  socbench doctor host                                 what this machine has and what is missing
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="socbench",
        description="Measure edge-AI workloads on Linux SoCs, and keep trusting the numbers.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    top.add_argument("--version", action="version", version=f"socbench {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"harness.commands.{name}").add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        try:
            arguments = parser().parse_args(argv)
            code: int = arguments.run(arguments)
        finally:
            sys.stdout.flush()  # here, where a closed pipe is answered, and not when Python ends; --help comes this way, too
    except SocbenchError as error:
        sys.stderr.write(f"socbench: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("socbench: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `socbench list workloads | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
