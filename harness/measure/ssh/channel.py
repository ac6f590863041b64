"""The conversation with a board's keeper: numbered both ways, so that a cut link loses nothing and nothing is done twice."""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
import secrets
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from harness.errors import Cut, LinkError, Lost, Stable, Transient
from harness.measure.link import Conversation, ended, late
from harness.measure.ssh.client import PIECE_S, Client, Pipe

MARK = b"socbench-keeper "
BEAT_S = 3.0
SILENT_S = 10.0
"""Without a word from the board for so long the link counts as cut."""
PATIENCE_S = 240.0
"""How long a cut link is tried again: less than the lease, after which nobody is there any more."""
OPEN_S = 60.0
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class Held(Stable):
    """Somebody else holds the board: `by` is what its keeper says of them."""

    def __init__(self, what: str, fix: str, by: dict[str, Any], mine: bool) -> None:
        super().__init__(what, fix)
        self.by, self.mine = by, mine


class Lines:
    """What one agent says, as far as it has come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lines: collections.deque[bytes] = collections.deque()
        self.code: int | None = None
        self._begun: list[bytes] = []

    def take(self, message: dict[str, Any]) -> None:
        """A piece of its output, wherever it was cut, or its end."""
        if "ended" in message:
            self.code = message["ended"]
            return
        first, *others = message["data"].encode("latin-1").split(b"\n")
        self._begun.append(first)
        if others:
            self.lines += [b"".join(self._begun), *others[:-1]]
            self._begun = [others[-1]]


class Channel:
    """One keeper, held. A thread speaks with it; any other may ask."""

    def __init__(self, client: Client, keeper: list[str], terms: dict[str, Any], say: Callable[[str], None]) -> None:
        self.client, self.keeper, self.say = client, keeper, say
        self.session = secrets.token_hex(8)
        self.terms = {**terms, "session": self.session}
        self.patience = PATIENCE_S
        self._news = threading.Condition(threading.RLock())  # guards all below
        self._numbers = itertools.count(1)
        self._unanswered: dict[int, bytes] = {}
        self._answers: dict[int, dict[str, Any] | None] = {}  # of requests that somebody waits for
        self._agents: dict[int, Lines] = {}
        self._ids = itertools.count(1)
        self._failed: LinkError | None = None
        self._cut: float | None = None  # since when
        self._lost_s = 0.0  # time without a link, before that
        self._closing = self._told = self._stop = False
        self._bye = 0
        # the thread's own
        self._seen = 0
        self._written = 0
        self._boot = ""
        self._pipe = Pipe(client)
        self._doubt = False  # whether a keeper may have begun that nobody here speaks with
        self._bell, self._ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"link {client.address}", daemon=True)

    # --- for who asks --------------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Hold the board. Raises Held, or Stable or Transient where it cannot be reached."""
        try:
            self._connect("hold")
            self._thread.start()
        except KeyboardInterrupt:
            self._doubt = True
            raise

    def post(self, verb: str, wanted: bool = False, **arguments: Any) -> int:
        """Send a request and go on; its number. Raises what the channel ended with."""
        with self._news:
            if self._failed:
                raise self._again()
            number = next(self._numbers)
            self._unanswered[number] = json.dumps({"n": number, "do": verb, "with": arguments}).encode() + b"\n"
            if wanted:
                self._answers[number] = None
        os.write(self._ring, b".")
        return number

    def ask(self, verb: str, timeout: float, **arguments: Any) -> dict[str, Any]:
        """The keeper's answer. Raises Stable when it refuses, Transient when it does not come in `timeout` [s] of a link that is there."""
        number = self.post(verb, wanted=True, **arguments)
        begun, lost = time.monotonic(), self.lost()
        with self._news:
            try:
                while not (found := self._answers[number]):
                    self._rest(begun + timeout + self._lost() - lost, timeout)
            finally:
                del self._answers[number]
        if "error" in found:
            raise Stable(
                f"the keeper on {self.client.address} could not {verb}: {found['error']}", "see the message; free space or memory on the board"
            )
        result: dict[str, Any] = found["result"]
        return result

    def agent(self) -> Lines:
        """What an agent that is going to be started will say."""
        with self._news:
            number = next(self._ids)
            self._agents[number] = Lines(number)
            return self._agents[number]

    def line(self, agent: Lines, deadline: Callable[[], float], timeout: float) -> bytes:
        """The agent's next line. Raises Stable when it has ended, Transient when it says nothing before `deadline()`."""
        with self._news:
            while not agent.lines:
                if agent.code is not None:
                    raise ended(agent.code)
                self._rest(deadline(), timeout)
            return agent.lines.popleft()

    def end(self, agent: Lines, seconds: float) -> None:
        """End the agent and all it started. Where the link is cut, the keeper does it when it is back, or when it hears of nobody."""
        with contextlib.suppress(LinkError):
            self.post("end", agent=agent.number)
            with self._news:
                self._news.wait_for(lambda: agent.code is not None or self._failed, seconds)
            self.post("forget", agent=agent.number)
        with self._news:
            del self._agents[agent.number]

    def lost(self) -> float:
        """How long there was no link, in all [s]."""
        with self._news:
            return self._lost()

    def close(self, seconds: float) -> bool:
        """End the keeper and the conversation; whether the keeper was told within `seconds`."""
        try:
            with contextlib.suppress(LinkError), self._news:
                self._closing = True
                if self._thread.is_alive():
                    self._bye = self.post("bye")
                    self._news.wait_for(lambda: self._told or self._failed, seconds)
        finally:
            with self._news:
                self._failed = self._failed or Stable("the board is not held any more", "hold it")
                self._stop = True
                self._news.notify_all()
            os.write(self._ring, b".")
            if self._thread.ident:
                self._thread.join(1.0)
                self._pipe.kill()  # what it may still wait for
                self._thread.join(20.0)
            else:
                self._pipe.end(0.0)
            os.close(self._bell)
            os.close(self._ring)
        return self._told or not (self._thread.ident or self._doubt)

    def _rest(self, deadline: float, timeout: float) -> None:
        """Sleep until there is news; the lock is held."""
        if self._failed:
            raise self._again()
        left = deadline - time.monotonic()
        if left <= 0 and self._cut is None:
            raise late(timeout)
        self._news.wait(PIECE_S)

    def _again(self) -> LinkError:
        """The failure, for whoever asks next: an exception is raised once."""
        failed = self._failed
        if failed is None:
            raise ValueError("nothing has failed")
        return type(failed)(failed.what, failed.fix, failed.detail)

    def _lost(self) -> float:
        return self._lost_s + (time.monotonic() - self._cut if self._cut is not None else 0.0)

    # --- the thread ----------------------------------------------------------------------------------------------------------------

    def _connect(self, verb: str) -> None:
        """Have a pipe to the keeper that has said what it has."""
        self._pipe = pipe = Pipe(self.client)
        try:
            pipe.begin([*self.keeper, verb])
            self._greet(pipe, verb)
        except BaseException:
            pipe.end(0.0)
            raise

    def _greet(self, pipe: Pipe, verb: str) -> None:
        pipe.write(json.dumps(self.terms).encode() + b"\n")
        pipe.write(json.dumps({"attach": self.session, "have": self._seen}).encode() + b"\n")
        line = pipe.marked(MARK, OPEN_S)
        if line is None:
            raise pipe.lost()
        answer = json.loads(line)
        if answer["answer"] != "open":
            raise self._refused(verb, answer)
        self._boot = answer["boot"]
        self._written = 0
        line = pipe.marked(b"", OPEN_S)  # somebody listens there; only this says that it is still our keeper and has all we asked of it
        if line is None:
            raise pipe.lost()
        message = json.loads(line)
        if "who" in message:
            raise Lost(
                f"what ran on {self.client.address} is lost{ending(message['who'])}",
                "nobody was heard of for the time of its lease, or somebody ended the hold; wait until that is done, then run again:"
                " what is finished is kept",
            )
        self._take(message)

    def _refused(self, verb: str, answer: dict[str, Any]) -> LinkError:
        name = self.client.address
        if answer["answer"] == "held":
            by = answer["by"]
            fix = f"wait for it; if it is gone for good, end its hold: socbench restore BOARD, or socbench restore TARGET --host {name}"
            if "ending" in by:
                fix = "wait until it has ended, then run again"
            elif not answer["mine"]:
                fix += ", from the account on the board that it came in by"
            return Held(f"{name} is held by {holder(by)}", fix, by, answer["mine"])
        if answer["answer"] == "failed":
            return Stable(f"{name}: the keeper cannot start: {answer['why']}", "free space on the board, or give another place with --folder")
        if verb == "attach" and answer["boot"] != self._boot:
            return Lost(
                f"{name} restarted while it was held: what ran there is lost",
                "look at its power supply and at the end of its last log (`journalctl -b -1`); then run again: what is finished is kept",
            )
        return Lost(
            f"the keeper on {name} has ended: what ran there is lost",
            "it was killed, or nobody was heard of for the time of its lease; where the board ends all processes at a logout,"
            " `loginctl enable-linger` there; then run again: what is finished is kept",
        )

    def _run(self) -> None:
        try:
            while True:
                why = self._serve(self._pipe)
                self._pipe.end(0.0)
                if self._stop or self._told:
                    return
                self._reconnect(why)
        except LinkError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for this thread any more
            self._fail(Stable(f"the link to {self.client.address} failed: {error!r}", "report this as a bug of socbench", traceback.format_exc()))
        finally:
            self._pipe.end(0.0)

    def _fail(self, error: LinkError) -> None:
        with self._news:
            self._told = self._closing and isinstance(error, Lost)
            self._failed = error
            self._news.notify_all()

    def _reconnect(self, why: LinkError) -> None:
        """Try until the link is back. Raises Cut when it stays away for the channel's patience, Lost where the keeper is gone."""
        begun = time.monotonic()
        with self._news:
            self._cut = begun
            self._news.notify_all()
        name = self.client.address
        if not self._closing:
            self.say(f"{name}: link cut ({why.what}); what runs there runs on; trying to come back for up to {self.patience:.0f} s")
        for pause in itertools.chain(PAUSES_S, itertools.repeat(PAUSES_S[-1])):
            self.client.fresh()
            try:
                self._connect("attach")
            except Transient as error:
                why = error
            else:
                with self._news:
                    self._lost_s += time.monotonic() - begun
                    self._cut = None
                    self._news.notify_all()
                self.say(f"{name}: the link is back after {time.monotonic() - begun:.0f} s, nothing is lost")
                return
            with self._news:
                if time.monotonic() - begun > self.patience or self._news.wait_for(lambda: self._stop, pause):
                    break
        raise Cut(
            f"the link to {name} stayed cut for {time.monotonic() - begun:.0f} s: {why.what}",
            f"{why.fix}; when its lease is over, the board ends what runs there and restores its settings by itself",
        )

    def _serve(self, pipe: Pipe) -> LinkError:
        """Speak until the link is cut, or the keeper has ended because we asked it to; why."""
        heard = time.monotonic()
        beat = heard + BEAT_S
        for line in pipe.lines():  # what came together with the greeting
            self._take(json.loads(line))
        while not (self._stop or self._told):
            with self._news:
                for number, line in self._unanswered.items():
                    if number > self._written:
                        pipe.write(line)
                        self._written = number
            now = time.monotonic()
            if now >= beat:
                pipe.write(json.dumps({"beat": now, "ack": self._seen}).encode() + b"\n")
                beat = now + BEAT_S
            if pipe.wait(min(beat, heard + SILENT_S) - now, self._bell):
                heard = time.monotonic()
                for line in pipe.lines():
                    self._take(json.loads(line))
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, 4096)
            if pipe.over:
                return pipe.lost()
            if not self._closing and time.monotonic() - heard > SILENT_S:
                return Transient(f"no sign of life for {SILENT_S:.0f} s", "")
        return Transient("closed", "")

    def _take(self, message: dict[str, Any]) -> None:
        if "crash" in message:
            raise Stable(f"the keeper on {self.client.address} failed", "report this as a bug of socbench", message["crash"])
        number = message.get("s")
        if number is None or number <= self._seen:
            return
        self._seen = number
        with self._news:
            if "re" in message:
                self._unanswered.pop(message["re"], None)
                self._told = self._told or message["re"] == self._bye
                if message["re"] in self._answers:
                    self._answers[message["re"]] = message
            elif agent := self._agents.get(message["agent"]):
                agent.take(message)
            self._news.notify_all()


class Remote(Conversation):
    """An agent that the keeper has started."""

    def __init__(self, channel: Channel, lines: Lines) -> None:
        self.channel, self.lines = channel, lines
        self._lost = 0.0

    def _send(self, line: bytes) -> None:
        if self.lines.code is not None:
            raise ended(self.lines.code)
        self._lost = self.channel.lost()
        self.channel.post("send", agent=self.lines.number, line=line.decode())

    def _line(self, deadline: float, timeout: float) -> bytes:
        # while the link is cut the answer may be waiting on the board: that time does not count
        return self.channel.line(self.lines, lambda: deadline + self.channel.lost() - self._lost, timeout)

    def stderr(self) -> str:
        """The end of what the process printed outside the protocol, or why it cannot be had."""
        try:
            text: str = self.channel.ask("stderr", 10.0, agent=self.lines.number)["text"]
        except LinkError as error:
            return f"(its output could not be had: {error.what})"
        return text


def holder(by: dict[str, Any]) -> str:
    """Who holds a board, for a message."""
    if "host" not in by:
        return f"a keeper that does not answer (process {by['keeper']})" if "keeper" in by else "somebody who does not say who"
    campaign = f", campaign {by['campaign']}" if by.get("campaign") else ""
    since = datetime.now(UTC) - timedelta(seconds=by["for_s"])  # by our clock: a board's is often wrong
    who = f"{by['user']}@{by['host']} (process {by['pid']}{campaign})"
    return f"{who} since {since:%Y-%m-%d %H:%M:%SZ}, last heard of {by['heard_s']:.0f} s ago{ending(by)}"


def ending(by: dict[str, Any]) -> str:
    """What a keeper does that ends, and how long that may last."""
    if "ending" not in by:
        return ""
    begun, most = by["ending"]["for_s"], by["ending"]["most_s"]
    return f"; the board is ending that hold and restoring its settings: since {begun:.0f} s, as a rule for seconds, at the most for {most:.0f} s"
