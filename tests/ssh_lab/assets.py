"""What boards are made of, fetched once into the cache: `python -m tests.ssh_lab.assets` prints the folder.

Root file systems of Debian 12 for arm64 and amd64 (mmdebstrap, variant `extract`: unpacked, not run, so no emulation is needed), the wheels of
numpy and ONNX Runtime for both in this environment's versions, and the programs that the lab itself runs. Debian's archive signs the
packages and apt checks that; the wheels are pinned by version. Everything lies below $SOCBENCH_CACHE/lab, named by what it is made of.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import cache

SUITE = "bookworm"
PYTHON = "3.11"
"""The version of Debian 12's python3."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
TOOLS = (
    "qemu-user-static",  # emulates arm64 programs, one by one
    "mmdebstrap",
    "openssh-server",
    "libwrap0",
    "nftables",
    "libnftables1",
    "libnftnl11",
    "libmnl0",
    "libjansson4",
    "libxtables12",
    "libedit2",
    "libbsd0",
    "libmd0",
    "libgmp10",
)
"""Packages that are unpacked, not installed: programs of the lab, and libraries that they need and a small Debian may not have."""
BOARD = "dash,bash,coreutils,python3,libgomp1,libstdc++6,tar,gzip,sed,grep,gawk,findutils,procps,util-linux,mount,hostname,base-files,login,diffutils"
WHEELS = ("numpy", "onnxruntime")
CLOCK = Path(__file__).with_name("clock.c")
ARCHES = {"arm64": "aarch64", "amd64": "x86_64"}
RETRY = ("-o", "Acquire::Retries=3")
RECIPE = "1"
"""Raise it when the way in which something is made changes."""


@dataclass(frozen=True)
class Assets:
    """`tools`: the unpacked packages; `roots` and `wheels`: a tree for each of ARCHES, one laid over the other; `clock`: the library of clock.c."""

    tools: Path
    roots: Path
    wheels: Path
    clock: Path

    @property
    def qemu(self) -> Path:
        return self.tools / "usr/bin/qemu-aarch64-static"

    def tool(self, name: str) -> list[str]:
        """How to start a program of the unpacked packages."""
        program = next((path for folder in ("usr/sbin", "usr/bin") if (path := self.tools / folder / name).exists()), None)
        if program is None:
            raise SystemExit(f"error: {name} is not in {self.tools}\n  fix: remove that folder and run again")
        return ["env", f"LD_LIBRARY_PATH={self.libraries}", str(program)]

    @property
    def libraries(self) -> str:
        return ":".join(str(self.tools / folder) for folder in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))


def unmet() -> str:
    """Why this machine cannot hold the lab, and what to do; "" where it can."""
    if platform.machine() != "x86_64" or not Path(KEYRING).exists() or not shutil.which("apt-get"):
        return "the lab is made on a Debian machine (x86-64, apt, debian-archive-keyring)\n  fix: run it in CI, or in a Debian 12 virtual machine"
    if os.geteuid():
        return "the lab needs root, to make namespaces and mounts of its own\n  fix: run it as root; it changes nothing outside of itself"
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if release < (6, 7):
        return f"the lab needs Linux 6.7 or newer (binfmt_misc in a user namespace), this is {platform.release()}\n  fix: boot a newer kernel"
    programs = {"ip": "iproute2", "tc": "iproute2", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "gcc": "gcc libc6-dev"}
    if missing := " ".join(sorted({packages for name, packages in programs.items() if not shutil.which(name)})):
        return f"the lab needs what these packages have: {missing}\n  fix: apt-get install --no-install-recommends {missing}"
    return ""


def prepare() -> Assets:
    """The assets, from the cache or made now. Raises SystemExit, which says what failed, where a package cannot be had."""
    if why := unmet():
        raise SystemExit(f"error: {why}")
    versions = [f"{name}=={importlib.metadata.version(name)}" for name in WHEELS]
    with cache.lock("lab"), ThreadPoolExecutor() as pool:
        tools = pool.submit(made, "tools", list(TOOLS), _tools)
        roots = pool.submit(made, "roots", [SUITE, BOARD], lambda work: _roots(work, _of(tools.result())))
        wheels = made("wheels", [PYTHON, *versions], lambda work: _wheels(work, versions, roots))
        clock = made("clock", [CLOCK.read_text(encoding="utf-8")], _clock)
        return Assets(tools.result(), roots.result(), wheels, clock / "clock.so")


def _of(tools: Path) -> Assets:
    """Assets of which nothing but the tools is there yet."""
    return Assets(tools, Path(), Path(), Path())


def made(name: str, of: list[str], make: Callable[[Path], None]) -> Path:
    """The folder of the cache that holds what `make` makes of `of`."""
    key = hashlib.sha256("\n".join([RECIPE, *of]).encode()).hexdigest()[:12]
    final = cache.root() / "lab" / f"{name}-{key}"
    if not final.exists():
        sys.stderr.write(f"lab: making {final}\n")
        with cache.filling(final) as work:
            make(work)
    return final


def do(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a program to its good end; what it printed."""
    done = subprocess.run([*map(str, words)], cwd=cwd, env={**os.environ, **(env or {})}, text=True, capture_output=True, check=False)
    if done.returncode:
        said = f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        raise SystemExit(f"error: {' '.join(map(str, words))}: {said}  fix: look at the network, and run again")
    return done.stdout


def _tools(work: Path) -> None:
    do("apt-get", "update", "-q", *RETRY)
    debs = work / "debs"
    debs.mkdir()
    do("apt-get", "download", "-q", *RETRY, "-o", "APT::Sandbox::User=root", *TOOLS, cwd=debs)
    for deb in sorted(debs.iterdir()):
        do("dpkg-deb", "--extract", deb, work)
    shutil.rmtree(debs)
    for emulator in (work / "usr/bin").glob("qemu-*"):  # a quarter of a gigabyte, of which one is used
        if emulator.name != "qemu-aarch64-static":
            emulator.unlink()
    for program in ("usr/sbin/sshd", "usr/sbin/nft"):
        found = do("ldd", work / program, env={"LD_LIBRARY_PATH": _of(work).libraries})
        if "not found" in found:
            raise SystemExit(f"error: {program} lacks a library\n{found}  fix: add its package to TOOLS in {__file__}")


def _clock(work: Path) -> None:
    do("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-nostdlib", "-o", work / "clock.so", CLOCK)  # bound to no version of the C library


def _archive() -> str:
    """Where this machine gets Debian from."""
    form = "$(CREATED_BY) $(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)"
    for line in do("apt-get", "indextargets", "--format", form).splitlines():
        match line.split():
            case ["Packages", "Debian", "main", codename, uri] if "-" not in codename:
                return uri
    raise SystemExit("error: no Debian archive in /etc/apt\n  fix: add one to /etc/apt/sources.list")


def unpack(assets: Assets, root: Path, arch: str, packages: str, *more: str) -> None:
    """Packages, and all that they depend on, unpacked into a root; `more` options of mmdebstrap."""
    source = f"deb [signed-by={KEYRING}] {_archive()} {SUITE} main"
    options = ["--quiet", "--mode=root", "--variant=extract", f"--architectures={arch}", f"--include={packages}", '--aptopt=Acquire::Retries "3"']
    options += [f"--hook-dir={assets.tools / 'usr/share/mmdebstrap/hooks/merged-usr'}", *more]
    do(*assets.tool("mmdebstrap"), *options, SUITE, root, source)


def _roots(work: Path, assets: Assets) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda arch: unpack(assets, work / arch, arch, BOARD), ARCHES))
    for arch in ARCHES:
        _compile(work / "amd64", work / arch / f"usr/lib/python{PYTHON}", work / arch)


def _wheels(work: Path, versions: list[str], roots: Future[Path]) -> None:
    targets = {arch: work / arch / f"usr/local/lib/python{PYTHON}/dist-packages" for arch in ARCHES}

    def install(arch: str) -> None:
        platforms = [f"--platform=manylinux_2_{minor}_{ARCHES[arch]}" for minor in (34, 28, 27, 17)] + [f"--platform=manylinux2014_{ARCHES[arch]}"]
        options = ["--quiet", "--no-compile", "--only-binary=:all:", f"--python-version={PYTHON}", "--implementation=cp"]
        do(sys.executable, "-m", "pip", "install", *options, *platforms, "--target", targets[arch], *versions)

    with ThreadPoolExecutor() as pool:
        list(pool.map(install, ARCHES))
    for arch, target in targets.items():
        _compile(roots.result() / "amd64", target, work / arch)


def _compile(amd64: Path, folder: Path, root: Path) -> None:
    """Byte code for Python files, as Debian's own installation makes it; else each start on a board would compile, slowly, and write to its disk."""
    loader = amd64 / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    python: list[str | Path] = [loader, "--library-path", amd64 / "usr/lib/x86_64-linux-gnu", amd64 / f"usr/bin/python{PYTHON}"]
    options: list[str | Path] = ["-q", "-s", root, "-p", "/", "--invalidation-mode", "unchecked-hash"]
    do(*python, "-S", "-m", "compileall", *options, folder, env={"PYTHONHOME": str(amd64 / "usr")})


if __name__ == "__main__":
    print(prepare())  # noqa: T201
