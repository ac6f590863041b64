"""What the machine is made of, fetched once into the cache: `python -m tests.vm.assets`; it goes where the lab's assets are, and reuses them.

Debian 12's QEMU with the libraries that belong to it (unpacked, never installed), its arm64 kernel, and a disk: the root of the lab's arm64 boards
with their wheels, and over it OpenSSH's server, `tc` and a busybox. Three drivers that Debian's kernel leaves out (i2c-stub, ina2xx, ina3221) are
compiled from Debian's own source of that kernel, by Debian's cross compiler in a root of its own. They are GPL-2.0: made in the cache at test time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import cache
from tests.ssh_lab import assets as lab

EMULATOR = "qemu-system-arm,e2fsprogs"
GUEST = "linux-image-arm64,openssh-server,iproute2,busybox-static"
COMPILER = "make,gcc-12-aarch64-linux-gnu,linux-kbuild-6.1,bash,dash,coreutils,sed,grep,mawk,findutils,tar,xz-utils,diffutils"
START = ("virtio_pci", "virtio_net", "nvme", "crc32c_generic", "ext4")
"""What it takes to find the disk and the network."""
LATER = ("i2c-dev", "sch_netem")
SOURCES = ("drivers/i2c/i2c-stub.c", "drivers/hwmon/ina2xx.c", "drivers/hwmon/ina3221.c")
"""A driver each, in Debian's linux-source."""
FETCH = """\
set -e
cd "$1/boot"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
release=$(echo vmlinuz-*-arm64)
release=${release#vmlinuz-}
mkdir "$1/debs"
cd "$1/debs"
apt-get download -q -o APT::Sandbox::User=root "linux-headers-$release" "linux-headers-${release%-arm64}-common" "linux-source-${release%.0-*}"
"""
"""Run by mmdebstrap: the headers and the source of the kernel that it has unpacked, by its own apt, whose machine is an arm64 one."""
ETC = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost vm\n",
    "etc/ssh/sshd_config": "HostKey /run/hostkey\nAuthorizedKeysFile /run/authorized_keys\nPasswordAuthentication no\nUsePAM no\nStrictModes no\n"
    "MaxSessions 50\nMaxStartups 100\nSubsystem sftp internal-sftp\n",
    "etc/inittab": "::sysinit:/etc/up\n::respawn:/usr/sbin/sshd -D -e\n",
    "etc/up": """\
#!/bin/busybox sh
PATH=/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/pts /dev/shm /run/sshd
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
busybox hostname vm
busybox ip link set lo up
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ip link set eth0 up
busybox ip route add default via 10.0.2.2
for one in $(cat /drivers/order); do
  options=
  [ $one != i2c-stub ] || options=chip_addr=0x40,0x41
  busybox insmod /drivers/$one.ko $options
done
""",
}
"""The settings of the disk's system: process 1, which reaps, is busybox's init, the network is QEMU's own (10.0.2.0/24)."""


@dataclass(frozen=True)
class Assets:
    """`emulator`: QEMU's own root; `guest`: kernel `vmlinuz`, `modules/` with their `order`, `busybox`; `disk`: the image of its disk."""

    emulator: Path
    guest: Path
    disk: Path

    @property
    def qemu(self) -> list[str]:
        """How to start the emulator."""
        return _words(self.emulator, "usr/bin/qemu-system-aarch64")


def _words(root: Path, program: str) -> list[str]:
    """How to start a program of an amd64 root, with the C library of that root."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", f"{libraries}:{libraries}/pulseaudio", str(root / program)]


def prepare() -> Assets:
    """The assets, from the cache or made now. Raises SystemExit, which says what failed, where a package cannot be had."""
    shared = lab.prepare()
    with cache.lock("lab"), ThreadPoolExecutor() as pool:
        emulator = pool.submit(lab.made, "emulator", [lab.SUITE, EMULATOR], lambda work: lab.unpack(shared, work, "amd64", EMULATOR))
        made_of = [lab.SUITE, GUEST, COMPILER, FETCH, *START, *LATER, *SOURCES]
        guest = lab.made("guest", made_of, lambda work: _guest(shared, work))
        layers = [shared.roots / "arm64", shared.wheels / "arm64", guest / "root"]
        disk = lab.made("disk", [*map(str, layers), *ETC.values()], lambda work: _disk(work, layers, emulator.result()))
        return Assets(emulator.result(), guest, disk / "disk.img")


def _guest(shared: lab.Assets, work: Path) -> None:
    """Kernel, modules, the drivers that are compiled, and the packages' files without all that."""
    root, builder, fetch = work / "root", work / "builder", work / "fetch"
    fetch.write_text(FETCH)
    with ThreadPoolExecutor() as pool:
        compiler = pool.submit(lab.unpack, shared, builder, "amd64", COMPILER)
        lab.unpack(shared, root, "arm64", GUEST, f'--extract-hook=sh {fetch} "$1"')
        compiler.result()
    [kernel] = (root / "boot").glob("vmlinuz-*")
    built = _drivers(builder, root / "debs", kernel.name.removeprefix("vmlinuz-"))
    stock = {path.stem: path for path in (root / "usr/lib/modules").rglob("*.ko")}
    (work / "modules").mkdir()
    for name, wanted in (("start", START), ("later", (*LATER, *built))):
        order = list(dict.fromkeys(one for module in wanted for one in _needed(module, {**stock, **built})))
        for module in order:
            shutil.copy({**stock, **built}[module], work / "modules" / f"{module}.ko")
        (work / "modules" / name).write_text("\n".join(order) + "\n")
    shutil.copy(kernel, work / "vmlinuz")
    shutil.copy(root / "usr/bin/busybox", work / "busybox")
    (root / "drivers").mkdir()
    for module in (work / "modules/later").read_text().split():
        shutil.copy(work / "modules" / f"{module}.ko", root / "drivers")
    shutil.copy(work / "modules/later", root / "drivers/order")
    for folder in (builder, root / "debs", root / "boot", root / "usr/lib/modules", root / "usr/share/doc"):
        shutil.rmtree(folder)


def _drivers(builder: Path, debs: Path, release: str) -> dict[str, Path]:
    """Compile SOURCES for a kernel; the modules by name."""
    for deb in debs.glob("linux-headers-*.deb"):
        lab.do("dpkg-deb", "--extract", deb, debs / "headers")
    shutil.copytree(debs / "headers/usr/src", builder / "usr/src", symlinks=True, dirs_exist_ok=True)
    [source] = debs.glob("linux-source-*.deb")
    top = source.name.partition("_")[0]
    folder = builder / "drivers"
    folder.mkdir()
    names = " ".join(f"{top}/{path}" for path in SOURCES)
    # the last tar ends when it has found all names, which breaks the pipe for the others: its exit code is the one that counts
    unpack = f"dpkg-deb --fsys-tarfile {source} | tar -xO ./usr/src/{top}.tar.xz | chroot {builder} /usr/bin/tar -xJ -C /drivers"
    unpack += f" --strip-components=3 --occurrence=1 {names}"
    lab.do("sh", "-c", unpack)
    modules = [Path(path).stem for path in SOURCES]
    (folder / "Kbuild").write_text(f"obj-m := {' '.join(f'{one}.o' for one in modules)}\n")
    (builder / "usr/bin/awk").symlink_to("mawk")
    tools = ["ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-", "CC=aarch64-linux-gnu-gcc-12"]
    words = ["make", "-j2", "-C", f"/usr/src/linux-headers-{release}", "M=/drivers", *tools, "modules"]
    lab.do("chroot", builder, "/usr/bin/env", "-i", "PATH=/usr/bin:/usr/sbin", *words)
    return {one: folder / f"{one}.ko" for one in modules}


def _needed(module: str, files: dict[str, Path]) -> Iterator[str]:
    """The module and all that it depends on, in the order of loading. What there is no file of is built into the kernel."""
    if module not in files:
        return
    found = re.search(rb"\0depends=([^\0]*)\0", files[module].read_bytes())
    for other in found.group(1).decode().split(",") if found else []:
        yield from _needed(other.replace("_", "-") if other.replace("_", "-") in files else other, files)
    yield module


def _disk(work: Path, layers: list[Path], tools: Path) -> None:
    """An ext4 image of the layers, one over the other; no mount is needed for it."""
    root = work / "root"
    for layer in layers:
        lab.do("cp", "--archive", "--link", "--force", f"{layer}/.", root)
    for name, content in ETC.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).unlink(missing_ok=True)  # it may be a link to the layer's own
        (root / name).write_text(content)
    (root / "etc/up").chmod(0o755)
    for name in ("proc", "sys", "dev", "run", "tmp", "root/.ssh"):
        (root / name).mkdir(parents=True, exist_ok=True)
    lab.do(*_words(tools, "usr/sbin/mke2fs"), "-q", "-t", "ext4", "-m", "0", "-d", root, work / "disk.img", "1G")
    shutil.rmtree(root)


if __name__ == "__main__":
    print(prepare())  # noqa: T201
