"""The system's OpenSSH client: one shared connection to a board, commands over it, and what its errors mean."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from harness.errors import LinkError, Stable, Transient, UsageError

CONNECT_S = 10
PIECE_S = 0.5
"""Who waits looks up this often: Ctrl-C reaches a thread between two calls only."""
LOST = 255
"""ssh's own exit code; nothing that runs on a board ends with it."""
PLAIN = re.compile(r"[A-Za-z0-9_/.,:@%+-]+")
QUOTABLE = re.compile(r"[ -~]+")
MOST_PATH = 80
"""The longest control path [B]: the address of a socket has 108, and ssh appends 17 while it makes it."""
_OPTIONS = (
    *("BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={CONNECT_S}", "ServerAliveInterval=10", "ServerAliveCountMax=3"),
    # what the user's configuration may hold for a login by hand, and must not do to a program: other commands, forwards that
    # are taken already, silence where an error is read
    *("RemoteCommand=none", "RequestTTY=no", "PermitLocalCommand=no", "ClearAllForwardings=yes", "LogLevel=INFO"),
    *("ForwardAgent=no", "ForwardX11=no", "ControlMaster=auto", "ControlPersist=60"),
)


def remote(words: Sequence[str]) -> str:
    """A command line that every login shell reads alike, be it bash, dash, busybox, fish or csh: `words` as they are.

    Shells differ in what a quote, a backslash, a `!` or a new line within single quotes is; words with one of them travel as octal digits.
    """
    if all(QUOTABLE.fullmatch(word) and not set(word) & set("'\\!") for word in words):
        return "exec " + shlex.join(words)
    coded = "".join(f"\\0{byte:03o}" for byte in ("exec " + shlex.join(words)).encode("utf-8", "surrogateescape"))
    return f"""exec sh -c 'eval "$(printf %b "$0")"' '{coded}'"""


class Client:
    """ssh to one address. Its connection is made by the first command and shared by all; `fresh` gives up a connection, `close` ends it."""

    def __init__(self, address: str) -> None:
        if not address or address.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]", address):
            raise UsageError(
                f"{address!r} is no address of a board", "give it as for ssh: user@board, a Host of ~/.ssh/config, ssh://user@board:2222"
            )
        self.address = address
        self._folder = ""
        self._turn = 0
        self._lock = threading.Lock()

    def command(self, words: Sequence[str]) -> list[str]:
        """The whole command line. Raises Stable where there is no ssh."""
        program = shutil.which("ssh")
        if program is None:
            raise Stable("there is no program `ssh` on this machine", "install the OpenSSH client: apt install openssh-client")
        options = [part for option in (*_OPTIONS, f"ControlPath={self._path()}") for part in ("-o", option)]
        return [program, "-T", *options, "--", self.address, remote(words)]

    def _path(self) -> str:
        with self._lock:
            if not self._folder:
                self._folder = _private_folder()
            return f"{self._folder}/{self._turn}"

    def run(self, words: Sequence[str], data: bytes, timeout: float) -> tuple[int, bytes, str]:
        """Exit code, stdout and stderr of a command that gets `data` on its stdin. Raises Stable or Transient where ssh itself failed."""
        # stderr goes to a file: an older ssh that stays in the background as the shared connection keeps it open
        with tempfile.TemporaryFile() as noise:
            processes: list[subprocess.Popen[bytes]] = []
            try:
                begin(processes, self.command(words), noise)
                out = _output(processes[0], data, timeout)
            except subprocess.TimeoutExpired:
                raise Transient(f"{self.address} does not answer within {timeout:.0f} s", "see whether the board still runs") from None
            finally:
                for process in processes:
                    process.kill()
                    with process:  # which closes its pipes and waits
                        pass
            code, error = processes[0].returncode, _text(noise)
        if code == LOST:
            raise self.error(error)
        return code, out, error

    def error(self, said: str) -> LinkError:
        """What ssh's last words mean."""
        return explain(self.address, said)

    def fresh(self) -> None:
        """Give up the connection, whatever state it is in; the next command makes another."""
        with self._lock:
            folder, turn = self._folder, self._turn
            self._turn += 1
        if folder and Path(folder, str(turn)).exists():
            command = ["ssh", "-o", f"ControlPath={folder}/{turn}", "-O", "exit", "--", self.address]
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=5, check=False)

    def close(self) -> None:
        """End the connection, and leave nothing of it on this machine."""
        self.fresh()
        with self._lock:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""


def begin(processes: list[subprocess.Popen[bytes]], command: Sequence[str], noise: IO[bytes]) -> None:
    """Add the process of a command to `processes`, in one step: Ctrl-C finds it not begun, or there for who ends it.

    It has a session of its own, because Ctrl-C is ours to handle.
    """
    start: functools.partial[subprocess.Popen[bytes]] = functools.partial(
        subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, start_new_session=True, bufsize=0
    )
    processes.extend(map(start, [command]))


class Pipe:
    """A command on the board that is spoken with, from `begin` to `end`; neither side ever waits for the other to read."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._processes: list[subprocess.Popen[bytes]] = []
        self._noise: IO[bytes] | None = None
        self._unsent = bytearray()
        self._received = bytearray()
        self.over = False

    def begin(self, words: Sequence[str]) -> None:
        """Start the command; whoever calls this calls `end`, also when this raises."""
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        begin(self._processes, self.client.command(words), self._noise)
        [process] = self._processes
        if process.stdin is None or process.stdout is None:
            raise ValueError("a pipe has two ends")
        self._in, self._out = process.stdin, process.stdout
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)

    def write(self, data: bytes) -> None:
        """Send, or keep for `wait` to send."""
        self._unsent += data
        self._flush()

    def unsent(self) -> int:
        """How much is kept [B]."""
        return len(self._unsent)

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._in.fileno(), self._unsent[: 1 << 16])]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # nobody reads any more: the end of stdout says so, too

    def wait(self, seconds: float, bell: int = -1) -> bool:
        """Send and receive; back as soon as something has come, the end has, or `bell` can be read. Whether something came."""
        poll = select.poll()
        if not self.over:
            poll.register(self._out.fileno(), select.POLLIN)
        if self._unsent:
            poll.register(self._in.fileno(), select.POLLOUT)
        if bell >= 0:
            poll.register(bell, select.POLLIN)
        ready = {number for number, _ in poll.poll(max(0.0, seconds) * 1000)}
        self._flush()
        if self._out.fileno() not in ready:
            return False
        piece = os.read(self._out.fileno(), 1 << 18)
        self._received += piece
        self.over = not piece
        return True

    def lines(self) -> list[bytes]:
        """The whole lines that have come."""
        *lines, rest = bytes(self._received).split(b"\n")
        self._received = bytearray(rest)
        return lines

    def marked(self, mark: bytes, timeout: float) -> bytes | None:
        """The next line that begins with `mark`, without it; others are what a login shell said. None when the command ended first.

        Raises Transient when it does not come in time.
        """
        deadline = time.monotonic() + timeout
        while True:
            end = self._received.find(b"\n")
            if end >= 0:
                line = bytes(self._received[:end])
                del self._received[: end + 1]
                if line.startswith(mark):
                    return line[len(mark) :]
                continue
            if self.over:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                raise Transient(f"{self.client.address} does not answer within {timeout:.0f} s", "see whether the board still runs")
            self.wait(min(left, PIECE_S))

    def end(self, seconds: float = 1.0) -> tuple[int, str]:
        """Exit code and stderr; the command gets `seconds` to end by itself."""
        said = ""
        try:
            for process in self._processes:
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    if process.stdin:
                        process.stdin.close()
                    process.wait(seconds)
        finally:
            self.kill()
            for process in self._processes:
                process.wait()
                if process.stdout:
                    process.stdout.close()
            self.over = True
            if self._noise and not self._noise.closed:
                said = _text(self._noise)
                self._noise.close()
        return (self._processes[0].returncode if self._processes else 0), said

    def kill(self) -> None:
        """End the command at once; who waits for it then sees the end."""
        for process in self._processes:
            process.kill()

    def lost(self) -> LinkError:
        """Why it ended although nobody asked it to."""
        code, said = self.end()
        if code == LOST or code < 0:
            return self.client.error(said)
        if code == 0:
            return Transient(f"{self.client.address} ended the conversation", "try again")
        return Stable(f"a command on {self.client.address} ended with exit code {code}", "see what it said", said)


def _output(process: subprocess.Popen[bytes], data: bytes, timeout: float) -> bytes:
    """The stdout of a process that gets `data`, to its end. Raises subprocess.TimeoutExpired."""
    deadline = time.monotonic() + timeout
    given: bytes | None = data
    while True:
        try:
            return process.communicate(given, max(0.0, min(PIECE_S, deadline - time.monotonic())))[0]
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise
            given = None  # it goes on with what it was given first


def _text(noise: IO[bytes]) -> str:
    noise.seek(0)
    return noise.read(1 << 16).decode(errors="replace").strip()


def _private_folder() -> str:
    """A folder of our own whose path is short and plain enough for ssh's control socket."""
    for parent in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a folder with a random name is made there
        if PLAIN.fullmatch(parent) and "%" not in parent and len(parent) < MOST_PATH - 24:
            with contextlib.suppress(OSError):
                return tempfile.mkdtemp(prefix="socbench-", dir=parent)
    raise Stable("there is no folder for ssh's control socket: neither $XDG_RUNTIME_DIR nor /tmp can be written to", "make /tmp writable")


# --- what ssh says -----------------------------------------------------------------------------------------------------------------

_COMPARE = (
    "run `ssh {address}` once in a terminal and compare the fingerprint it shows with the one that"
    " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows on the board's own console"
)
_AGAIN = "see that the board is on and its network up; `ssh {address}` tries the same by hand"
# pattern in ssh's stderr; Stable or Transient; what to say; fix. The first that is found counts. Read from OpenSSH's
# sshconnect.c, ssh.c, mux.c and kex.c (9.x), whose messages are not translated.
_MEANINGS: tuple[tuple[str, type[LinkError], str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|REVOKED HOST KEY|[Hh]ost key .*has changed",
        Stable,
        "the host key of {address} is not the one that is known{line}: it was reinstalled, or somebody else answers in its place",
        f"only if you know that the board was reinstalled: `ssh-keygen -R {{host}}`, then {_COMPARE}",
    ),
    (
        r"Host key verification failed|[Nn]o \S+ host key is known",
        Stable,
        "the host key of {address} is not known here yet",
        f"{_COMPARE}; a UserKnownHostsFile /dev/null in ~/.ssh/config must go",
    ),
    (
        r"Permission denied|Too many authentication failures|[Nn]o more authentication methods|sign_and_send_pubkey",
        Stable,
        "{address} does not let us in: {said}",
        "`ssh-copy-id {address}`, and `ssh-add` if the key has a passphrase; passwords are never asked for",
    ),
    (r"Temporary failure in name resolution", Transient, "the name of {address} cannot be looked up just now: {said}", _AGAIN),
    (
        r"Could not resolve hostname",
        Stable,
        "{address}: there is no machine of that name: {said}",
        "see the spelling, give its IP address, or a HostName in ~/.ssh/config",
    ),
    (
        r"Bad owner or permissions|[Bb]ad configuration option|terminating, \d+ bad configuration|configuration line|[Uu]nsupported option",
        Stable,
        "ssh does not accept its configuration: {said}",
        "correct ~/.ssh/config; `ssh -G {address}` shows what it reads there",
    ),
    (
        r"[Uu]nable to negotiate|no matching \S+",
        Stable,
        "ssh and {address} have no method in common: {said}",
        "an old board has only old methods; allow them for this Host in ~/.ssh/config (HostKeyAlgorithms, KexAlgorithms, PubkeyAcceptedAlgorithms)",
    ),
    (
        r"Connection refused",
        Transient,
        "{address} refuses the connection: no sshd listens there",
        "start sshd on the board (`systemctl start ssh`), or give the right port",
    ),
    (r"No route to host|Network is unreachable", Transient, "there is no way to {address}: {said}", _AGAIN),
    (r"timed out|Timeout, server|not responding", Transient, "{address} does not answer", _AGAIN),
)


def explain(address: str, said: str) -> LinkError:
    """The error that ssh's `said` tells of: Stable where another try would fail the same way, Transient where it might not."""
    lines = [line for line in said.splitlines() if line.strip("@ ") and "mux_client" not in line]
    last = next((line for line in reversed(lines) if not line.startswith("Connection closed by UNKNOWN")), "")
    host = address.removeprefix("ssh://").rpartition("@")[2]
    place = re.search(r"^Offending \S+ key in (.+?)\s*$", said, re.MULTILINE)
    named = re.search(r"(?:host key is known for|[Hh]ost key for) (\S+)", said)
    if named:
        host = named.group(1)
    elif ":" in host and address.startswith("ssh://"):
        host = "[{}]:{}".format(*host.rsplit(":", 1))
    for pattern, kind, what, fix in _MEANINGS:
        found = re.search(f"^.*(?:{pattern}).*$", said, re.MULTILINE)
        if found:
            names = {"address": address, "host": shlex.quote(host), "said": found.group().strip(), "line": f" ({place.group(1)})" if place else ""}
            return kind(what.format(**names), fix.format(**names), said)
    return Transient(
        f"the connection to {address} ended: {last.strip()}" if last else f"the connection to {address} ended", _AGAIN.format(address=address), said
    )


def own(name: str) -> str:
    """The text of a program that runs on a board."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
