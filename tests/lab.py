"""Real processes for tests: the pack `tests/packs/tiny`, the command line, an agent behind pipes, and a look at what still runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from harness import cache as harness_cache
from harness.spec import Zoo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
PACK = ROOT / "tests" / "packs" / "tiny"
AGENT = ROOT / "harness" / "measure" / "agent.py"
RUNTIMES = PACK / "targets" / "runtimes"
PATIENCE_S = 60.0
"""How long a test waits for what must happen: long, because the machine may be busy; nothing is measured by it."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder that all test files share, so that the tiny models are built once; and no setting from outside."""
    folder = tmp_path_factory.getbasetemp() / "socbench-cache"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SOCBENCH_")]:
            patch.delenv(name)
        patch.setenv("SOCBENCH_CACHE", str(folder))
        yield folder


# --- the command line --------------------------------------------------------------------------------------------------------------


def host() -> list[tuple[str, Path]]:
    """Role and file of the board half of this machine, and before it of what it uses."""
    return Zoo().halves("boards", "host")


def begin(*words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """`python -m harness` with `words`, started; `env` is added to the environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "150", **(env or {})},
    )


def socbench(*words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m harness` with `words`, to its end. Whatever it did, it printed no traceback of its own."""
    with begin(*words, cwd=cwd, env=env) as process:
        out, err = process.communicate(timeout=2 * PATIENCE_S)
    assert 'harness/cli.py"' not in err, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


# --- processes ---------------------------------------------------------------------------------------------------------------------


def _stat(pid: int) -> list[str]:
    """State, parent, process group ... of a process, from /proc/PID/stat; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    return (_stat(pid) or ["X"])[0] not in "ZX"


def group(pgid: int) -> list[int]:
    """The processes that run in a process group."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if (stat := _stat(pid)) and stat[0] not in "ZX" and int(stat[2]) == pgid]


def workers(of: str) -> list[int]:
    """The agents and builds that run with `of` in their environment."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdecimal() and of.encode() in (path / "environ").read_bytes() and alive(int(path.name)):
                found.append(int(path.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def until(met: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Wait until `met()` is true; its value."""
    deadline = time.monotonic() + seconds
    while not (value := met()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.02)
    return value


# --- an agent ----------------------------------------------------------------------------------------------------------------------


class Dialogue:
    """An agent behind pipes, with nothing of the harness in between."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, str(AGENT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def send(self, request: str) -> None:
        """One line."""
        assert self.process.stdin
        self.process.stdin.write(request.encode() + b"\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message, of whatever kind; every line that comes out of an agent is one."""
        assert self.process.stdout
        message = json.loads(self.process.stdout.readline())
        assert isinstance(message, dict)
        return message

    def answer(self) -> dict[str, Any]:
        """The next message that is no event."""
        while "event" in (message := self.receive()):
            pass
        return message

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """The whole answer: {"result": ...} or {"error": ...}."""
        self.send(json.dumps({"do": verb, "with": arguments}))
        return self.answer()

    def result(self, verb: str, **arguments: Any) -> Any:
        """The result of a request that must be carried out."""
        answer = self.ask(verb, **arguments)
        assert "result" in answer, answer
        return answer["result"]

    def load(self, role: str, path: Path) -> None:
        """Send a half."""
        self.result("load", role=role, path=str(path), sha256=harness_cache.sha256(path))

    def end(self) -> tuple[int, str]:
        """End of input; exit status and stderr."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.stdin = None
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err.decode()
