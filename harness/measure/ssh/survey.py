"""What a board offers, asked in one command before anything is put there or started."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import msgspec

from harness.errors import Stable
from harness.measure.ssh.client import Client, own

NEEDED = (3, 8)
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 7, -1)))
SPARE = 16 << 20
"""What an upload leaves free on a board's disk [B]: a full root file system breaks more than a measurement."""
TIMEOUT_S = 90.0
_MARK = "socbench-survey"
# also read by a Python 2 or 3.5, which cannot read the survey itself
_CHECK = """
import sys
if sys.version_info < (3, 8):
    print('{"python": "%s", "version": "%d.%d.%d"}' % ((sys.executable,) + tuple(sys.version_info[:3])))
    sys.exit(9)
exec(sys.argv[1])
"""
# its stdin is this script: nothing below may read it
_SCRIPT = f"""
echo; echo {_MARK}; uname -s
for python in $pythons; do
  case "$python" in "~/"*) python="$HOME/${{python#??}}";; esac
  python=$(command -v "$python" 2>/dev/null) || continue
  "$python" -c "$check" "$look" "$folder" </dev/null && exit 0
done
exit 0
"""


class Survey(msgspec.Struct, frozen=True):
    """A board that can be used. Sizes in bytes; `holder` is what a running keeper says of itself, `store` the names of what was uploaded.

    `state`: the file for what undoes a change of settings.
    """

    python: str
    version: str
    numpy: str
    folder: str
    state: str
    free: int
    in_memory: bool
    available: int | None
    boot: str
    node: str
    machine: str
    uid: int
    store: list[str]
    refused: list[tuple[str, str]]
    holder: dict[str, Any] | None = None


def surveyed(client: Client, python: str, folder: str, say: Callable[[str], None]) -> Survey:
    """Look at the board. Raises Stable where it cannot be used, and says what to do; Transient where it cannot be reached."""
    names = "python" if python else " ".join(PYTHONS)
    # a name that was given may hold a space: it stands for itself in the loop by way of an empty IFS
    given = f"IFS=; pythons={shlex.quote(python)}" if python else f"pythons={shlex.quote(names)}"
    values = f"{given}; check={shlex.quote(_CHECK)}; look={shlex.quote(own('look.py'))}; folder={shlex.quote(folder)}"
    _, out, error = client.run(["sh", "-s"], f"{values}\n{_SCRIPT}".encode("utf-8", "surrogateescape"), TIMEOUT_S)
    found = _read(client.address, out.decode(errors="surrogateescape"), error, python)
    if "folder" not in found:
        tried = "; ".join(f"{place}: {why}" for place, why in found["refused"])
        raise Stable(
            f"{client.address} has no folder that can be written to ({tried})", "give one with --folder, or remount the file system writable"
        )
    for place, why in found["refused"]:
        say(f"{client.address}: {place}: {why}; using {found['folder']} instead")
    if not found["findable"]:
        say(f"{client.address}: what undoes a change of its settings can be kept in {found['folder']} only: after an interrupted run give it again")
    if found["in_memory"]:
        say(f"{client.address}: {found['folder']} is in memory: uploads take memory there and are gone after a restart")
        found["free"] = min(found["free"], found["available"] or found["free"])
    if found["free"] < SPARE:
        raise Stable(
            f"{client.address}: its disk is nearly full: {found['free'] / 1e6:.1f} MB are free in {found['folder']}, {SPARE / 1e6:.0f} MB are needed",
            f"free some space there (`rm -r {found['folder']}/store` removes what socbench has uploaded), or give another place with --folder",
        )
    return msgspec.convert(found, Survey)


def _read(address: str, out: str, error: str, python: str) -> dict[str, Any]:
    """The survey's answer. Raises Stable where no Python gave one."""
    _, marked, rest = out.partition(f"\n{_MARK}\n")
    if not marked:
        said = (out + error).strip()
        raise Stable(f"the account on {address} runs no commands", "it needs a login shell such as /bin/sh, and no forced command", said)
    system, *lines = rest.splitlines()
    if system != "Linux":
        raise Stable(f"{address} runs {system}, not Linux", "boards are measured under Linux")
    tried: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
    good = next((one for one in tried if "refused" in one), None)
    if good:
        return good
    wanted = f"Python {NEEDED[0]}.{NEEDED[1]} or newer with numpy"
    if not tried:
        what = f"{python} is not there, or no Python" if python else "no Python was found"
        fix = "install it (`apt install python3 python3-numpy`), or name one with --python, or as `python` in the boards file"
        raise Stable(f"{address}: {what}; {wanted} is needed", fix, error)
    bare = next((one for one in tried if "numpy" in one), None)
    if bare:
        what, name = f"{bare['python']} (Python {bare['version']}) has no numpy", bare["python"]
        raise Stable(f"{address}: {what}", f"`apt install python3-numpy`, `{name} -m pip install numpy`, or name another Python with --python")
    versions = ", ".join(dict.fromkeys(f"{one['python']} is {one['version']}" for one in tried))
    raise Stable(f"{address}: its Python is too old: {versions}; {wanted} is needed", "install a newer one beside it and name it with --python")
