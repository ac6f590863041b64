"""The boards file: which boards there are, how to reach them and which target each is; and what a name on the command line means.

A board is one machine on a bench, a target is a kind of machine. What a board's name says of its silicon is not believed: a campaign recognises the
board from its device tree before it measures.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import cache
from harness.errors import SpecError, UsageError
from harness.spec import Zoo, read_spec

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
UNNAMED = "unnamed"
"""The name of a board that was reached by an address which is nobody else's business: records are published, addresses are not."""
HEAD = "# The boards of `socbench bench NAME`. Written by `socbench boards add` and `remove`; comments and order are kept.\n"


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One board: `address` as OpenSSH takes it, and which `target` it is.

    `meters`: power meters on its supply, as URLs. `python`: the interpreter there, "" for python3. `folder`: where socbench keeps its files there.
    """

    address: str
    target: str
    meters: list[str] = []
    python: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        for key, value, wanted in (
            ("address", self.address, "user@host, or a Host of ~/.ssh/config"),
            ("target", self.target, "a target (socbench list targets)"),
            *(("meters", meter, "a meter's URL, such as shelly://10.0.0.7") for meter in self.meters),
            *((key, value, "a path on the board, or leave it out") for key in ("python", "folder") if (value := getattr(self, key))),
        ):
            odd = any(not char.isprintable() or (char == " " and key in ("address", "target")) for char in value)
            if not value or value[0] == "-" or odd:
                raise SpecError(f"{key} = {value!r}: is empty, begins with -, or holds what none has", f"write {wanted}")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    boards: dict[str, Board] = {}


def path() -> Path:
    """$SOCBENCH_BOARDS, or socbench/boards.toml in the user's configuration ($XDG_CONFIG_HOME, ~/.config)."""
    if chosen := os.environ.get("SOCBENCH_BOARDS"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser().absolute() / "socbench" / "boards.toml"


def read() -> dict[str, Board]:
    """All boards by name; none where there is no file. Raises SpecError with file, key and what to write instead."""
    where = path()
    if not where.exists():
        return {}
    found = read_spec(where, _File).boards
    for name in found:
        if flaw := _flaw(name):
            raise SpecError(f"{where}: boards.{name}: {flaw}", "give it another name")
    return found


def _flaw(name: str) -> str:
    """What is wrong with a name, or ""."""
    if name == UNNAMED:
        return "is what records call a board without a name"
    return "" if NAME.fullmatch(name) else "a name is up to 40 letters, digits, - and _, and begins with a letter or a digit"


def add(zoo: Zoo, name: str, board: Board) -> None:
    """Write one more board into the file. Raises UsageError for a name that is not to be had, or an unknown target."""
    if flaw := _flaw(name):
        raise UsageError(f"board {name!r}: {flaw}", "choose another name, such as rk-1")
    if name in zoo.target_files:
        raise UsageError(f"board {name!r}: that is a target's name, and `socbench bench {name}` is this machine", f"choose another, such as {name}-1")
    zoo.target(board.target)
    with _changing() as boards:
        if name in boards:
            raise UsageError(f"{path()}: {name!r} is there already, at {boards[name].address}", f"remove it first: socbench boards remove {name}")
        boards[name] = board


def remove(name: str) -> Board:
    """Take a board out of the file; what it was."""
    with _changing() as boards:
        if name not in boards:
            raise UsageError(f"unknown board {name!r}", _known(name, "board", boards))
        return boards.pop(name)


@contextlib.contextmanager
def _changing() -> Iterator[dict[str, Board]]:
    """The boards, to be changed by the block; then the file says so, or it is as it was. Comments and order of the file are kept."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    where = path().resolve()  # a link to a file that is kept elsewhere stays one
    with cache.lock("boards-file"):
        boards = read()
        before = dict(boards)
        yield boards
        text = where.read_text(encoding="utf-8") if where.exists() else HEAD
        try:
            content = tomlkit.parse(text)
            tables = content.setdefault("boards", tomlkit.table(is_super_table=True))
            for name in before.keys() - boards.keys():
                del tables[name]
            for name in boards.keys() - before.keys():
                tables[name] = tomlkit.item(msgspec.to_builtins(boards[name]))
            changed = tomlkit.dumps(content)
            kept = msgspec.toml.decode(changed, type=_File).boards == boards
        except (TOMLKitError, msgspec.DecodeError, SpecError, TypeError, ValueError):
            kept = False
        if not kept:
            raise SpecError(
                f"{where}: cannot be changed without losing something in it", "change it by hand, or write each board as a table: [boards.NAME]"
            )
        _write(where, changed)


def _write(where: Path, text: str) -> None:
    """All of it or nothing; a new file is the owner's alone, because a meter's URL may hold a password."""
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        handle, work = tempfile.mkstemp(prefix=f".{where.name}.", dir=where.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            if where.exists():
                shutil.copymode(where, work)
            cache.sync(Path(work))
            Path(work).rename(where)
            cache.sync(where.parent)
        except OSError:
            Path(work).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{where}: cannot be written: {error.strerror}", "set SOCBENCH_BOARDS to a file that you may write") from error


# --- what a name on the command line means -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A machine to measure on. `board`: its name in records. `address`: how to reach it. Both are "" for the machine that socbench runs on."""

    target: str
    board: str = ""
    address: str = ""
    meters: tuple[str, ...] = ()
    python: str = ""
    folder: str = ""
    power_cycle: bool = False
    """Whether the lab that it belongs to is to switch it off and on first."""

    @property
    def name(self) -> str:
        """What to call it in front of its owner: the board's name, its address, or the target's name for this machine."""
        return (self.board if self.board != UNNAMED else "") or self.address or self.target


@dataclass(frozen=True)
class Given:
    """What the command line says beside a name; it counts before what the boards file says."""

    host: str = ""
    python: str = ""
    folder: str = ""
    meters: Sequence[str] = ()


def place(zoo: Zoo, name: str, given: Given = Given()) -> Place:
    """The machine that `name` means: a target's name this machine, or the one at `given.host`; a board's name what the boards file says.

    Raises UsageError for an unknown name, and for a board with a host of its own.
    """
    boards = read()
    if name in zoo.target_files and name in boards:
        raise SpecError(f"{path()}: boards.{name}: that is a target's name, too", "give the board another name")
    if name in zoo.target_files:
        if not given.host and (given.python or given.folder):
            option = "--python" if given.python else "--folder"
            raise UsageError(f"{option} is of a board, and {name!r} is this machine", "leave it out, or say --host user@board")
        Board(given.host or "localhost", name, list(given.meters), given.python, given.folder)  # refuses what no board may have
        return Place(name, alias(given.host) if given.host else "", given.host, tuple(given.meters), given.python, given.folder)
    if name not in boards:
        raise UsageError(f"unknown target or board {name!r}", _known(name, "", {**zoo.target_files, **boards}))
    board = boards[name]
    if given.host:
        raise UsageError(f"{name!r} is a board and has its address, {board.address}", f"leave out --host, or name the target: {board.target}")
    if board.target not in zoo.target_files:
        what = f"{path()}: boards.{name}.target: there is no target {board.target!r}"
        raise SpecError(what, f"{_known(board.target, 'target', zoo.target_files)}; a pack of your own needs --zoo DIR")
    meters, python, folder = given.meters or board.meters, given.python or board.python, given.folder or board.folder
    return Place(board.target, name, board.address, tuple(meters), python, folder)


def alias(address: str) -> str:
    """What records call a board that is reached by `address`: its host's plain name, and never a user, a domain or an IP address."""
    scheme, _, rest = address.rpartition("://")
    host = rest.rpartition("@")[2].rpartition("/")[2]  # of a place in a lab, labgrid://coordinator:port/place, the place
    host = host.rpartition(":")[0] if scheme == "ssh" and host.count(":") == 1 else host
    return host if NAME.fullmatch(host) and not host.isdecimal() else UNNAMED  # an IP address has dots or colons


def _known(name: str, what: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    listed = "socbench list targets, socbench boards list" if not what else f"socbench {'boards list' if what == 'board' else 'list targets'}"
    return f"{f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(known) or 'none'}  ({listed})"
