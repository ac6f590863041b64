"""A `ssh` for tests: takes ssh's command line, runs the remote command on this machine as a board would, and fails in ssh's own words.

A board is a folder: `home`, `bin` (all that its PATH has) and `calls` (one file for each connection that is open: the remote command), and, as a test
likes, `refuse` (what ssh says instead of connecting), `cut_after` (the connection breaks after so many bytes to the board, once).
What is killed as the ssh of a connection takes the connection with it, and nothing else: what runs on a board is in sessions of its own.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

PLACE = "SOCBENCH_FAKE_BOARDS"


class Board:
    """One machine that the fake reaches as `NAME` or `user@NAME`."""

    def __init__(self, place: Path, name: str) -> None:
        self.folder, self.name = place / name, name
        self.home, self.bin, self.calls = self.folder / "home", self.folder / "bin", self.folder / "calls"
        for folder in (self.home, self.bin, self.calls, self.folder / "tmp"):
            folder.mkdir(parents=True)
        for tool in ("sh", "uname"):
            (self.bin / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
        self.program("python3", f'exec "{sys.executable}" "$@"')

    def program(self, name: str, body: str) -> Path:
        """A program on the board's PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def refuse(self, said: str) -> None:
        """Let connections fail with `said`; "" lets them succeed."""
        (self.folder / "refuse").write_text(said)

    def commands(self) -> list[str]:
        """Every remote command so far, the oldest first."""
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def connections(self, word: str) -> list[int]:
        """The processes of the open connections whose command holds `word`."""
        found = []
        for path in self.calls.iterdir():
            try:
                if word in path.read_text():
                    found.append(int(path.name))
            except FileNotFoundError:
                continue
        return found

    def cut(self, word: str = "keeper.py", number: int = signal.SIGKILL) -> None:
        """Break the open connections whose command holds `word`; with SIGSTOP they only fall silent."""
        for pid in self.connections(word):
            os.kill(pid, number)
            if number == signal.SIGKILL:
                (self.calls / str(pid)).unlink()


def install(folder: Path) -> dict[str, str]:
    """Put the fake into `folder`; the environment that makes it the `ssh` of this process."""
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)
    return {PLACE: str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


# --- the program -------------------------------------------------------------------------------------------------------------------


def fail(said: str) -> int:
    sys.stderr.write(said.rstrip("\n") + "\n")
    return 255


def relay(process: subprocess.Popen[bytes], left: int | None) -> int:  # noqa: C901 - one loop, two ways
    """Carry bytes both ways until the command ends, or `left` bytes have gone to it."""
    if process.stdin is None or process.stdout is None:
        raise ValueError
    down, up = process.stdin.fileno(), process.stdout.fileno()
    open_down = True
    while True:
        ready, _, _ = select.select([up, *([0] if open_down else [])], [], [])
        if up in ready:
            piece = os.read(up, 65536)
            if not piece:
                return process.wait()
            os.write(1, piece)
        if 0 in ready:
            piece = os.read(0, 65536 if left is None else min(65536, left))
            if not piece:
                process.stdin.close()
                open_down = False
                continue
            try:
                view = memoryview(piece)
                while view:
                    view = view[os.write(down, view) :]
            except BrokenPipeError:
                open_down = False
            if left is not None:
                left -= len(piece)
                if not left:
                    return fail("client_loop: send disconnect: Broken pipe")


def main(words: list[str]) -> int:
    options = []
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        if word in ("-o", "-O"):
            options.append((word, words.pop(0)))
    if any(option == "-O" for option, _ in options):
        return 0
    name = words.pop(0).rpartition("@")[2]
    board = Path(os.environ[PLACE]) / name
    if not board.is_dir():
        return fail(f"ssh: Could not resolve hostname {name}: Name or service not known")
    refuse = board / "refuse"
    if refuse.exists() and (said := refuse.read_text()):
        return fail(said)
    command = " ".join(words)
    with (board / "log").open("a") as log:
        log.write(command.replace("\n", " ") + "\n")
    call = board / "calls" / str(os.getpid())
    call.write_text(command)
    environment = {
        "HOME": str(board / "home"),
        "PATH": str(board / "bin"),
        "TMPDIR": str(board / "tmp"),
        "SOCBENCH_BOARD": f"-{os.environ[PLACE]}-{name}"[-90:],
    }
    cut = board / "cut_after"
    left = int(cut.read_text()) if cut.exists() else None
    cut.unlink(missing_ok=True)
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=environment,
        cwd=board / "home",
        bufsize=0,
    )
    try:
        return relay(process, left)
    finally:
        call.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
