"""What a board is like, looked at before anything is put there: sent as a program, run by the first Python that will do, writes no byte that stays.

Standard library only, Python >= 3.8, never imported by the harness. `sys.argv[2]` is the folder that was asked for, or "". Prints one line of JSON.
Exit code 9: this Python has no numpy; what it printed says so.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import sys
from typing import Any

SHARED = ("/var/tmp", "/tmp")
LITTLE = 1 << 20  # a disk with less space than this may not take even the little that undoes a change of settings [B]
IN_MEMORY = ("tmpfs", "ramfs", "rootfs")


def numpy() -> str | None:
    """The version that this Python would import; "?" where it does not say; None without numpy."""
    if importlib.util.find_spec("numpy") is None:
        return None
    try:
        from importlib.metadata import version

        return version("numpy")
    except Exception:  # a build without metadata works all the same
        return "?"


def usable(folder: str, shared: bool) -> str:
    """Why `folder` cannot be used, or "". It is made if it is not there, for this account only; `shared`: anybody may have made it before us."""
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        seen = os.lstat(folder) if shared else os.stat(folder)  # looked at once: what stands there may be exchanged between two looks
        if seen.st_uid != os.getuid():
            return "belongs to another account"
        if shared and seen.st_mode & 0o077:  # a link has all of these
            return "may be written to by others"
        trial = os.path.join(folder, ".trial-%d" % os.getpid())
        os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(trial)
    except OSError as error:
        return error.strerror or "cannot be used"
    return ""


def candidates(given: str) -> list[str]:
    if given:
        return [os.path.expanduser(given)]
    mine = "socbench-%d" % os.getuid()
    temporary = [os.environ["TMPDIR"]] if os.environ.get("TMPDIR") else []
    return [os.path.expanduser("~/.cache/socbench"), *(os.path.join(place, mine) for place in [*temporary, *SHARED])]


def state(folder: str) -> tuple[str, bool]:
    """The file for what undoes a change of settings, and whether a run that asks for another folder finds it, too.

    It lies in one of few places that do not depend on what is asked for, so that every run looks there (agent.py): on a disk if there is one, where
    it survives a power cut. Where nothing can be written in any of them, it lies in `folder`.
    """
    name = "changed-%s.json" % re.sub(r"[^A-Za-z0-9.-]", "_", os.uname().nodename)
    mine = "socbench-%d" % os.getuid()
    in_memory = ""
    for number, place in enumerate([os.path.expanduser("~/.cache/socbench"), *(os.path.join(place, mine) for place in SHARED)]):
        if usable(place, shared=number > 0):
            continue
        path = os.path.realpath(place)
        disk = os.statvfs(path)
        if disk.f_bavail * disk.f_frsize < LITTLE:
            continue
        if kind(path) not in IN_MEMORY:
            return os.path.join(path, name), True
        in_memory = in_memory or path
    return os.path.join(in_memory or folder, name), bool(in_memory)


def kind(folder: str) -> str:
    """The kind of file system below `folder`."""
    best, found = "", ""
    with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, place, name = line.split()[:3]
            place = place.replace("\\040", " ")
            if (folder + "/").startswith(place.rstrip("/") + "/") and len(place) >= len(best):
                best, found = place, name
    return found


def available() -> int | None:
    """Memory that can be had without swapping [B]."""
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def holder() -> Any:
    """What the keeper that runs here says of itself; None where none runs."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5.0)
        try:
            connection.connect("\0socbench%s\0" % os.environ.get("SOCBENCH_BOARD", ""))
        except OSError:
            return None
        try:
            connection.sendall(b'{"who": ""}\n')
            with connection.makefile("rb") as file:
                return json.loads(file.readline())["who"]
        except (OSError, ValueError, KeyError):
            return {}


def look(given: str) -> dict[str, Any]:
    found: dict[str, Any] = {"python": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3], "numpy": numpy()}
    if found["numpy"] is None:
        return found
    found["refused"] = []
    for place, folder in enumerate(candidates(given)):
        why = usable(folder, shared=place > 0)
        if why:
            found["refused"].append([folder, why])
            continue
        path = os.path.realpath(folder)  # not before: what was looked at is then ours, and nobody else can put a link in its place
        disk = os.statvfs(path)
        found.update(folder=path, free=disk.f_bavail * disk.f_frsize, in_memory=kind(path) in IN_MEMORY)
        found["state"], found["findable"] = state(path)
        store = os.path.join(path, "store")
        found["store"] = [name for name in os.listdir(store) if "." not in name] if os.path.isdir(store) else []
        break
    with open("/proc/sys/kernel/random/boot_id") as file:
        found["boot"] = file.read().strip()
    found.update(available=available(), holder=holder(), node=os.uname().nodename, machine=os.uname().machine, uid=os.getuid())
    return found


if __name__ == "__main__":
    seen = look(sys.argv[2])
    print(json.dumps(seen))  # noqa: T201 - this is what it is run for
    sys.exit(9 if seen["numpy"] is None else 0)
