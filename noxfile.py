"""What can be done with this repository: `nox -l` is the menu, `nox -s NAME` does it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2025.2.9"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]
HERE = Path(__file__).parent
PYPROJECT = nox.project.load_toml("pyproject.toml")


def _group(session: nox.Session, *groups: str, extras: str = "") -> None:
    """Install this checkout, editable, and dependency groups of pyproject.toml."""
    session.install("-e", f".{extras}", *nox.project.dependency_groups(PYPROJECT, *groups))


def _bench(target: str) -> None:
    def bench(session: nox.Session) -> None:
        _group(session)
        results = []
        for option in ("--results",):
            with contextlib.suppress(ValueError, IndexError):
                results = [option, session.posargs[session.posargs.index(option) + 1]]
        failed = None
        try:
            session.run("socbench", "bench", target, *session.posargs)
        except CommandFailed as error:
            failed = error  # a failed session is in the report with its reason: write the report first
        if not {"-h", "--help"} & set(session.posargs):
            session.run("socbench", "report", *results)
        if failed:
            raise failed

    bench.__doc__ = f"Measure the workload zoo on {target}, then write the report (-- --workload W, --seconds S, ...)."
    nox.session(name=f"bench-{target}")(bench)


for toml in sorted((HERE / "targets").glob("*.toml")):
    _bench(toml.stem)


@nox.session
def report(session: nox.Session) -> None:
    """Write results/report.html from all records."""
    _group(session)
    session.run("socbench", "report", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; neither root nor network is needed."""
    _group(session, "test", extras="[hub,scpi,mqtt,jls]")
    session.run("python", "-W", "error::ResourceWarning", "-m", "pytest", *session.posargs)


@nox.session(name="tests-lab")
def tests_lab(session: nox.Session) -> None:
    """Test boards over SSH on boards made of namespaces: faults, sensors, emulated arm64 (needs root on a Debian; see docs/lab.md)."""
    _group(session, "test", extras="[labgrid]")
    pytest = ("python", "-W", "error::ResourceWarning", "-m", "pytest", "-o", "norecursedirs=.*")
    where = [] if any("ssh_lab" in one for one in session.posargs) else ["tests/ssh_lab"]
    session.run("python", "-m", "tests.ssh_lab.namespace", *pytest, *where, *session.posargs)


@nox.session(name="tests-vm")
def tests_vm(session: nox.Session) -> None:
    """Test boards over SSH on a machine with a real arm64 kernel, all emulated: real hwmon drivers, netem, reset (as tests-lab; see docs/lab.md)."""
    _group(session, "test")
    pytest = ("python", "-W", "error::ResourceWarning", "-m", "pytest", "-o", "norecursedirs=.*")
    where = [] if any("tests/vm" in one for one in session.posargs) else ["tests/vm"]
    session.run("python", "-m", "tests.vm.assets")  # out here, where there is a network
    session.run("python", "-m", "tests.ssh_lab.namespace", *pytest, *where, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and common mistakes (ruff)."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly (mypy)."""
    _group(session, "types", extras="[hub]")
    session.run("mypy")


@nox.session
def numerics(session: nox.Session) -> None:
    """Compare every graph with an independent implementation (torch and transformers on the CPU)."""
    _group(session, "numerics")
    session.install("--no-deps", "pixeltable-yolox==0.4.3")  # Megvii's code, Apache-2.0; what it depends on is not needed for its networks
    session.run("python", "-m", "pytest", "tests/numerics", "-o", "norecursedirs=.*", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Open the report in Chromium: click, change weights, read the ranking (needs Debian's package chromium)."""
    _group(session, "browser")
    session.run("python", "-m", "pytest", "tests/browser", "-o", "norecursedirs=.*", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Take the pictures of the documents from a fresh report (needs Debian's package chromium)."""
    _group(session, "browser")
    report = Path(session.create_tmp()) / "report.html"
    session.run("socbench", "report", "--output", str(report), *session.posargs)
    session.run("python", "docs/pictures.py", str(report), "docs")


@nox.session
def perf(session: nox.Session) -> None:
    """Measure the instrument itself, into docs/performance.md."""
    _group(session, "perf")
    pytest = ("python", "-m", "pytest", "benchmarks", "--ignore=benchmarks/test_boards.py")  # that one is perf-lab's
    session.run(*pytest, "--benchmark-only", "--benchmark-json=results/perf.json", *session.posargs)
    session.run("python", "benchmarks/table.py", "results/perf.json", "docs/performance.md")


@nox.session(name="perf-lab")
def perf_lab(session: nox.Session) -> None:
    """Measure the link, the agents and the sampler on boards made of namespaces, into docs/performance.md (needs what tests-lab needs)."""
    _group(session, "perf")
    pytest = ("python", "-m", "pytest", "benchmarks/test_boards.py", "--benchmark-only", "--benchmark-json=results/perf-lab.json")
    session.run("python", "-m", "tests.ssh_lab.namespace", *pytest, *session.posargs)
    session.run("python", "benchmarks/table.py", "results/perf-lab.json", "docs/performance.md")
