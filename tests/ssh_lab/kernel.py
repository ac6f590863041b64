"""The kernel's calls that Python 3.11 has no function for: namespaces and mounts."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE, DETACH = 0x1, 0x2, 0x4, 0x20, 0x1000, 0x4000, 1 << 18, 2
"""CLONE_ of <linux/sched.h>; MS_ and MNT_DETACH of <sys/mount.h>."""
PDEATHSIG = 1
"""PR_SET_PDEATHSIG of <linux/prctl.h>."""
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Put this process (NEWPID: its next children) into namespaces of its own. Raises OSError."""
    _checked(_libc.unshare(flags), f"unshare {flags:#x}")


def mount(source: str | Path, target: str | Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    words = (str(source).encode(), str(target).encode(), kind.encode() or None)
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None), f"mount {source} on {target}")


def bind(source: str | Path, target: str | Path) -> None:
    """Show `source`, and what is mounted below it, at `target` too. Raises OSError."""
    mount(source, target, flags=BIND | REC)


def unmount(target: str | Path) -> None:
    """Take the mount away now, its users when they are done with it. Raises OSError."""
    _checked(_libc.umount2(str(target).encode(), DETACH), f"umount {target}")


def die_with_parent() -> None:
    """Be killed when the parent ends. Only after the last change of user, which would undo it."""
    _checked(_libc.prctl(PDEATHSIG, ctypes.c_ulong(9), 0, 0, 0), "prctl")
