"""A link that plays a recorded dialogue: the same requests get the same answers, events and errors, with no board and no waiting."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import errors
from harness.errors import SocbenchError, Stable
from harness.measure.dialogue import Dialogue, read
from harness.measure.link import Agent, Event
from harness.measure.redact import PLACEHOLDER

AGAIN = "replay it with the socbench that recorded it, or record it again"
VOLATILE = ("sha256", "pid")
"""Arguments that need not be equal: a half may have been mended since, a process has another number."""
RANDOM = re.compile(r"tmp[a-z0-9_]{8}|[0-9a-f]{16,}")
"""Names that are made up, and names by content."""
Line = tuple[int, dict[str, Any]]


class Replay:
    """Plays the dialogue in `path`. What it measures is old: the answer to `probe` says so in the board's "emulated", and no check lets that pass.

    Agents are what was recorded, in the order in which they were started; where two are asked for at once, by their number of threads. A request must
    have the same verb and arguments as the recorded one. Of a path only the last part counts, of a random name and a hash that it is one; what was
    redacted may be anything. Raises Stable where a request deviates or where the dialogue ends, with the line; and where `path` is no dialogue.
    """

    def __init__(self, path: Path) -> None:
        self._dialogue = read(path)
        self.name = str(self._dialogue.head.get("link", ""))
        self._lock = threading.Lock()
        self._turns: dict[str, deque[Line]] = {kind: deque() for kind in ("hold", "put", "state_file", "will")}
        self._there: dict[str, str] = {}
        self._state = "changed.json"
        self._scripts: dict[int, list[Line]] = {}
        for line in self._dialogue.lines:
            said = line[1]
            if "agent" in said:
                self._scripts.setdefault(said["agent"], []).append(line)
            for kind, turns in self._turns.items():
                if kind in said or said.get("by") == kind:
                    turns.append(line)
            for (name, *_), there in zip(said.get("put", ()), said.get("as", ()), strict=False):
                self._there.setdefault(name, there)

    def _turn(self, kind: str) -> Line | None:
        """The next recorded use of the link of this kind, or None where there were fewer. Raises what it raised."""
        with self._lock:
            line = self._turns[kind].popleft() if self._turns[kind] else None
        if line and "raised" in line[1]:
            raise _raised(self._dialogue, line)
        return line

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """As it went; a dialogue that was recorded without one can be held all the same."""
        self._hold("begin")
        try:
            yield
        except BaseException:
            with contextlib.suppress(SocbenchError):
                self._hold("end")
            raise
        self._hold("end")

    def _hold(self, which: str) -> None:
        line = self._turn("hold")
        if line and line[1]["hold"] != which:
            raise Stable(f"{self._dialogue.path}, line {line[0]}: a hold's {line[1]['hold']} is recorded, came a hold's {which}", AGAIN)

    def put(self, paths: Sequence[Path]) -> list[str]:
        """The paths that files of these names had; a file that was never put keeps its name."""
        self._turn("put")
        return [self._there.get(path.name, path.name) for path in paths]

    def state_file(self) -> str:
        """The recorded path."""
        if line := self._turn("state_file"):
            self._state = str(line[1]["state_file"])
        return self._state

    def will(self, requests: list[dict[str, Any]]) -> None:
        """Nobody is left to carry it out."""
        del requests
        self._turn("will")

    @contextlib.contextmanager
    def start(self, threads: int) -> Iterator[Agent]:
        """The next recorded agent with so many threads, or the error that came instead of it."""
        number, script = self._next(threads)
        if len(script) > 1 and script[1][1].get("by") == "start" and not any("ask" in said for _, said in script):
            raise _raised(self._dialogue, script[1])
        agent = _Replayed(self._dialogue, number, [line for line in script if not {"start", "by"} & line[1].keys()])
        yield agent
        if script[-1][1].get("by") == "start":
            raise _raised(self._dialogue, script[-1])

    def _next(self, threads: int) -> tuple[int, list[Line]]:
        with self._lock:
            for number, script in self._scripts.items():
                if script[0][1].get("start", {}).get("threads") == threads:
                    return number, self._scripts.pop(number)
            if self._scripts:
                number, said = next(iter(self._scripts.values()))[0]
                raise Stable(
                    f"{self._dialogue.path}, line {number}: expected an agent with {said['start']['threads']} threads, came one with {threads}", AGAIN
                )
        raise _over(self._dialogue, "an agent is started that was never recorded")


class _Replayed:
    """One recorded agent: its requests in order, and what it said in order."""

    def __init__(self, dialogue: Dialogue, number: int, script: list[Line]) -> None:
        self._dialogue, self._number, self._script, self._at = dialogue, number, script, 0
        self._open: deque[str] = deque()
        self._printed = ""

    def _upcoming(self, *kinds: str) -> Line | None:
        """The next line of this agent, past what it printed, if it is one of `kinds`; the line is used up by then."""
        while self._at < len(self._script) and "stderr" in self._script[self._at][1]:
            self._printed = self._script[self._at][1]["stderr"]
            self._at += 1
        if self._at < len(self._script) and any(kind in self._script[self._at][1] for kind in kinds):
            self._at += 1
            return self._script[self._at - 1]
        return None

    def ask(self, verb: str, timeout: float, on_event: Event | None = None, **arguments: Any) -> dict[str, Any]:
        """The recorded answer to this request."""
        self.begin(verb, **arguments)
        return self.finish(timeout, on_event)

    def begin(self, verb: str, **arguments: Any) -> None:
        """The request must be the next recorded one."""
        line = self._upcoming("ask")
        if line is None:
            raise self._odd(f"came the request {verb!r}")
        number, asked = line[0], line[1]["ask"]
        found = f"{asked['do']!r} is recorded" if asked["do"] != verb else difference(asked["with"], arguments, verb)
        if found:
            where = f"{self._dialogue.path}, line {number}, agent {self._number}"
            raise Stable(f"{where}: {found}, came {_request(verb, arguments)}; expected {_request(asked['do'], asked['with'])}", AGAIN)
        self._open.append(verb)

    def wait(self, event: str, timeout: float) -> dict[str, Any]:
        """The recorded event, at once."""
        del timeout
        line = self._upcoming("event", "raised")
        if line is None:
            raise self._odd(f"the event {event!r} is waited for")
        if "raised" in line[1]:
            raise _raised(self._dialogue, line)
        said: dict[str, Any] = line[1]["event"]
        if said.get("event") != event:
            raise Stable(f"{self._dialogue.path}, line {line[0]}: {said.get('event')!r} is recorded, waited for {event!r}", AGAIN)
        return said

    def finish(self, timeout: float, on_event: Event | None = None) -> dict[str, Any]:
        """The recorded events and answer, at once."""
        del timeout
        while line := self._upcoming("event", "result", "raised"):
            said = line[1]
            if "event" in said:
                if on_event:
                    on_event(said["event"])
                continue
            verb = self._open.popleft() if self._open else ""
            if "raised" in said:
                raise _raised(self._dialogue, line)
            return self._marked(said["result"]) if verb == "probe" else said["result"]
        raise self._odd(f"the answer to {self._open[0]!r} is waited for" if self._open else "an answer is waited for and nothing was asked")

    def _marked(self, result: dict[str, Any]) -> dict[str, Any]:
        """What is replayed was not measured now, and must never count as measured."""
        if "board" not in result:
            return result
        board = result["board"] if isinstance(result["board"], dict) else {}
        reasons = [f"replayed from {self._dialogue.path.name}", *filter(None, [board.get("emulated")])]
        return {**result, "board": {**board, "emulated": "; ".join(map(str, reasons))}}

    def _odd(self, came: str) -> Stable:
        """What comes is not what is recorded next."""
        if self._at >= len(self._script):
            return _over(self._dialogue, f"agent {self._number}: {came}")
        number, said = self._script[self._at]
        kind = next(kind for kind in ("ask", "event", "result", "raised", "end") if kind in said)
        expected = f"the request {said['ask']['do']!r}" if kind == "ask" else "the agent's end" if kind == "end" else f"an agent's {kind}"
        return Stable(f"{self._dialogue.path}, line {number}, agent {self._number}: expected {expected}, {came}", AGAIN)

    def stderr(self) -> str:
        """The end of what the process had printed by then."""
        self._upcoming()
        return self._printed


def difference(recorded: Any, came: Any, where: str) -> str:
    """In what a request differs from the recorded one: "measure.stage: 'first' is recorded"; "" where it does not."""
    if isinstance(recorded, dict) and isinstance(came, dict):
        others = [key for key in came if key not in recorded]  # a key may have been redacted
        for key, one in recorded.items():
            mine = key if key in came else next((other for other in others if _same(key, other)), None)
            if mine is None:
                return f"{where}.{key} is recorded"
            if mine in others:
                others.remove(mine)
            if key not in VOLATILE and (found := difference(one, came[mine], f"{where}.{key}")):
                return found
        return f"{where}: no {', '.join(others)} is recorded" if others else ""
    if isinstance(recorded, list) and isinstance(came, list | tuple):
        if len(recorded) != len(came):
            return f"{where}: {len(recorded)} are recorded"
        return next(filter(None, (difference(one, other, f"{where}[{at}]") for at, (one, other) in enumerate(zip(recorded, came, strict=True)))), "")
    same = _same(recorded, came) if isinstance(recorded, str) and isinstance(came, str) else recorded == came
    return "" if same else f"{where}: {recorded!r} is recorded"


def _same(recorded: str, came: str) -> bool:
    """Whether two texts mean the same: of paths the last part, of made-up names that they are made up, and anything for what was redacted."""
    last = [one.rpartition("/")[2] if "/" in one else one for one in (recorded, came)]
    return recorded == came or any(_fits(RANDOM.sub("#", one), RANDOM.sub("#", other)) for one, other in ((recorded, came), last))


def _fits(recorded: str, came: str) -> bool:
    return bool(re.fullmatch(".+".join(map(re.escape, PLACEHOLDER.split(recorded))), came, re.DOTALL))


def _request(verb: str, arguments: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{verb}({text if len(text) <= 200 else text[:200] + ' ...'})"


def _over(dialogue: Dialogue, came: str) -> Stable:
    """The dialogue holds nothing more of what is asked for."""
    ends = f"the dialogue ends with line {dialogue.last}"
    if dialogue.cut:
        return Stable(f"{dialogue.path}: {ends}, {dialogue.cut}; {came}", "get the whole file, or record it again")
    return Stable(f"{dialogue.path}: {ends}; {came}", AGAIN)


def _raised(dialogue: Dialogue, line: Line) -> SocbenchError:
    """The error that was raised; what was no error of socbench's own, such as Ctrl-C, ends the replay where it ended the run."""
    told = line[1]["raised"]
    kind = getattr(errors, told["kind"], None)
    if isinstance(kind, type) and issubclass(kind, SocbenchError):
        return kind(told["what"], told["fix"], told["detail"])
    what = f"{told['kind']}: {told['what']}" if told["what"] else told["kind"]
    return Stable(f"{dialogue.path}, line {line[0]}: here the recorded run ended: {what}", "nothing more was recorded", told["detail"])
