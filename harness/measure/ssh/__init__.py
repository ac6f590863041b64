"""Boards over SSH: the system's OpenSSH client below, the `Link` of the harness above.

client   the ssh command, its shared connection, what its errors mean       look      runs on the board: what it offers
survey   asks a board what it offers, refuses one that will not do          receive   runs on the board: takes files
upload   files by their content, sent once                                  ../keeper runs on the board while it is held
kept     runs on the board: the keeper's parts
channel  the numbered conversation with the keeper, which survives cuts
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness import cache
from harness.errors import Stable, Transient
from harness.measure.link import AGENT, PROTOCOL, Agent, plain
from harness.measure.ssh.channel import MARK, Channel, Held, Remote, holder
from harness.measure.ssh.client import PIECE_S, Client, Pipe
from harness.measure.ssh.survey import Survey, surveyed
from harness.measure.ssh.upload import Store

SENT = (AGENT.with_name("keeper.py"), AGENT, Path(__file__).with_name("kept.py"))
LEASE_S = 300.0
CONNECT_PAUSES_S = (1.0, 3.0)
"""Before a first connection is tried again."""
UPLOAD_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0, 60.0)
BYE_S = 30.0
END_S = 180.0
STUCK = "it does not end"
Found = TypeVar("Found")


class Ssh:
    """A board that ssh reaches at `address`, whatever ssh itself takes for one: user@board, a Host of ~/.ssh/config, ssh://user@board:2222.

    `python` and `folder` name the board's Python and a folder there where the first that will do is not the right one; `say` gets what happens to
    the link, a sentence at a time; `progress` gets the bytes done and the bytes in all of an upload; `campaign` is told to who finds the board held;
    the board ends the hold by itself when nobody was heard of for `lease` [s].
    """

    def __init__(  # noqa: PLR0913 - all but the address have a value of their own
        self,
        address: str,
        python: str = "",
        folder: str = "",
        *,
        say: Callable[[str], None] = lambda _: None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
        campaign: str = "",
        lease: float = LEASE_S,
    ) -> None:
        self.name = address
        self.client = Client(address)
        self.python, self.folder, self.say, self.progress, self.campaign, self.lease = python, folder, say, progress, campaign, lease
        self._board: Survey | None = None
        self._store: Store | None = None
        self._channel: Channel | None = None
        self._agent = self._sha256 = ""
        self._token = secrets.token_hex(8)  # tells a hold of ours from one that another link of this process has

    @property
    def board(self) -> Survey:
        """What the board offers. Raises Stable before it is held."""
        if self._board is None:
            raise Stable(f"{self.name} is not held", "use it inside `with link.hold()`")
        return self._board

    @property
    def _open(self) -> tuple[Store, Channel]:
        if self._store is None or self._channel is None:
            raise Stable(f"{self.name} is not held", "use it inside `with link.hold()`")
        return self._store, self._channel

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Have the board to ourselves while the block runs; nothing runs there after it, also after Ctrl-C or an error.

        Raises Stable where the board cannot be used or somebody else holds it, Transient where it cannot be reached.
        """
        try:
            keeper = self._prepare()
            self._channel = channel = Channel(self.client, keeper, self._terms(), self.say)
            try:
                self._take(channel)
                yield
            finally:
                if not channel.close(BYE_S):
                    self.say(f"{self.name} could not be told that we are done; it ends what runs there by itself within {self.lease:.0f} s")
        finally:
            self._board = self._store = self._channel = None
            self.client.close()

    def _prepare(self) -> list[str]:
        """Look at the board and send what always runs there; the words that start the keeper."""
        self._board = board = self._patiently(lambda: surveyed(self.client, self.python, self.folder, self.say), CONNECT_PAUSES_S)
        self._store = store = Store(self.client, board, self.progress)
        self._sha256 = cache.sha256(AGENT)  # now: an upgrade of socbench may replace the file while the board is held
        keeper, self._agent, _ = self._patiently(lambda: store.put(SENT), CONNECT_PAUSES_S)
        return [board.python, "-I", "-S", keeper]

    def _terms(self) -> dict[str, Any]:
        return {
            "run": f"{self.board.folder}/run-{self._node()}",
            "lease": self.lease,
            "holder": {**_me(), "campaign": self.campaign, "link": self._token},
        }

    def _node(self) -> str:
        """The board's name in a file's: boards may share a home by NFS."""
        return plain(self.board.node)

    def _take(self, channel: Channel) -> None:
        try:
            self._patiently(channel.open, CONNECT_PAUSES_S)
        except Held as error:
            ours = error.by.get("link") == self._token  # from before the link was cut for too long
            if not (error.mine and (ours or _dead(error.by))):
                raise
            whose = "our own hold from before the cut goes on" if ours else f"its holder, process {error.by['pid']} of this machine, is dead"
            self.say(f"{self.name}: {whose}; taking over")
            self._end(channel.keeper)
            self._patiently(channel.open, CONNECT_PAUSES_S)

    def _patiently(self, action: Callable[[], Found], pauses: Sequence[float]) -> Found:
        """What `action` gives; it is tried again, after longer and longer pauses, while its failure may pass."""
        for pause in pauses:
            try:
                return action()
            except Transient as error:
                self.say(f"{error.what}; trying again in {pause:.0f} s")
                if self._channel is None:
                    self.client.fresh()
                until = time.monotonic() + pause
                while time.monotonic() < until:
                    time.sleep(min(PIECE_S, pause))
        return action()

    def put(self, paths: Sequence[Path]) -> list[str]:
        """Paths on the board; what is not there yet is sent."""
        store, _ = self._open
        return self._patiently(lambda: store.put(paths), UPLOAD_PAUSES_S)

    def state_file(self) -> str:
        """Where every run looks, whichever folder it was given; one for each board that shares it."""
        return self.board.state

    def will(self, requests: list[dict[str, Any]]) -> None:
        """The keeper has it when this returns."""
        _, channel = self._open
        channel.ask("will", 30.0, requests=requests, file=self._agent)

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        """A fresh process on the board; it and what it started end with the block."""
        _, channel = self._open
        lines = channel.agent()
        agent = Remote(channel, lines)
        try:
            channel.ask("start", 30.0, agent=lines.number, file=self._agent, threads=threads)
            greeting = agent.ask("hello", 60.0, die_with_parent=True)
            if greeting["protocol"] != PROTOCOL or greeting["agent"] != self._sha256:
                raise Stable(f"the agent on {self.name} is not the one of this harness", f"remove {self._agent} on the board")
            yield agent
        finally:
            channel.end(lines, 10.0)

    def end_hold(self) -> str:
        """End whoever's hold of the board as if its lease had run out: agents end, settings are restored. Whose it was; "" where nobody's.

        Raises Stable where it belongs to another account of the board, or does not end.
        """
        try:
            return self._end(self._prepare())
        finally:
            self._board = self._store = None
            self.client.close()

    def _end(self, keeper: list[str]) -> str:
        pipe = Pipe(self.client)
        try:
            pipe.begin([*keeper, "end"])
            pipe.write(json.dumps({"seconds": END_S}).encode() + b"\n")
            line = pipe.marked(MARK, END_S + 30)
            if line is None:
                raise pipe.lost()
        finally:
            pipe.end()
        answer = json.loads(line)
        if answer["answer"] == "refused":
            fix = f"log in as the account that it runs under (number {answer['by']['uid']}), or end process {answer['by']['keeper']} on the board"
            if answer["why"] == STUCK:
                fix = "the board may still be restoring its settings, each within two minutes: try again; a restart of the board ends it, too"
            raise Stable(f"the hold of {self.name} by {holder(answer['by'])} cannot be ended: {answer['why']}", fix)
        return holder(answer["by"]) if answer["answer"] == "ended" else ""


def _me() -> dict[str, Any]:
    """Who we are, so that it can be told from another that gets its number later, on this machine or another."""
    return {"user": getpass.getuser(), "host": platform.node(), "pid": os.getpid(), **_process(os.getpid())}


def _process(pid: int) -> dict[str, Any]:
    """When a process began, and in which boot and process namespace its number counts."""
    try:
        began = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return {"began": began, "boot": boot, "space": Path("/proc/self/ns/pid").readlink().name}
    except OSError:
        return {"began": ""}


def _dead(by: dict[str, Any]) -> bool:
    """Whether a board's holder was a process of this user in this boot of this machine, and is no more. Only what is certain is true."""
    me = _me()
    if not me.get("boot") or any(by.get(key) != me[key] for key in ("user", "host", "boot", "space")):
        return False
    return bool(_process(by["pid"])["began"] != by["began"])
