"""The machine's first file system, in memory: drivers for disk and network, and this run's keys. An archive of cpio's kind "newc".

Documentation/driver-api/early-userspace/buffer-format.rst of the kernel: a header of 110 characters (magic 070701, 13 hexadecimal numbers), the name
and a NUL filled up to a multiple of 4, the content filled up likewise; the name TRAILER!!! ends it.
"""

from __future__ import annotations

from pathlib import Path

INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules/start); do /bin/busybox insmod /modules/$module.ko; done
until [ -b /dev/nvme0n1 ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/nvme0n1 /root
/bin/busybox mount -t tmpfs -o mode=755 run /root/run
/bin/busybox cp /keys/hostkey /keys/authorized_keys /root/run/
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /bin/busybox init
"""
FOLDERS = ("bin", "dev", "keys", "modules", "root")


def archive(guest: Path, hostkey: str, authorized: str) -> bytes:
    """The archive. `guest`: see `Assets.guest`; `hostkey`: the private key of its sshd; `authorized`: the line of the key that may log in."""
    order = (guest / "modules/start").read_bytes()
    files = {"init": INIT.encode(), "bin/busybox": (guest / "busybox").read_bytes(), "modules/start": order}
    files |= {f"modules/{one}.ko": (guest / f"modules/{one}.ko").read_bytes() for one in order.decode().split()}
    files |= {"keys/hostkey": hostkey.encode(), "keys/authorized_keys": authorized.encode()}
    pieces = [_entry(name, 0o040755, b"") for name in FOLDERS]
    pieces += [_entry(name, 0o100600 if name.startswith("keys/") else 0o100755, content) for name, content in files.items()]
    return b"".join([*pieces, _entry("TRAILER!!!", 0, b"")])


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """One file or folder, of root's. Without links no inode number is needed."""
    numbers = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return _filled(head) + _filled(content)


def _filled(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
