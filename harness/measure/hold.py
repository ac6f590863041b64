"""A machine for the length of a campaign: ours alone, recognised, its clocks pinned; given back as it was found."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import cache
from harness.errors import LinkError
from harness.measure.link import Agent, Link
from harness.measure.recognise import recognise
from harness.spec import Zoo

Say = Callable[[str], None]


@dataclass(frozen=True)
class Held:
    """What the machine turned out to be, and what its clocks are held at.

    `module`: the variant's title, "" where the target knows none. `board`: what its half's `probe` said. `pinned`: what `pin` said. `covers`: what
    its power sensors measure, by site, where that was written down.
    """

    module: str
    board: dict[str, Any]
    pinned: dict[str, Any]
    covers: dict[str, str]

    @property
    def emulated(self) -> str:
        """Why this is not the silicon it claims to be, or ""."""
        return str(self.board.get("emulated", ""))


def load(link: Link, agent: Agent, halves: list[tuple[str, Path]]) -> list[dict[str, Any]]:
    """Send the agent its halves; the same as requests that another agent can be asked."""
    told: list[dict[str, Any]] = []
    for role, path in halves:
        told.append({"role": role, "path": link.put([path])[0], "sha256": cache.sha256(path)})
        agent.ask("load", 60.0, **told[-1])
    return [{"do": "load", "with": one} for one in told]


@contextlib.contextmanager
def held(zoo: Zoo, target: str, link: Link, say: Say = lambda _: None) -> Iterator[Held]:
    """Have the machine behind `link`, which must be a `target`, while the block runs.

    Raises Stable when it is held by somebody else or cannot be used, UsageError when it is no such target. Settings that an interrupted run left
    changed are restored first; ours are restored at the end, also when the harness or the link is gone by then (`Link.will`).
    """
    spec = zoo.target(target)
    halves = zoo.halves("boards", spec.board, zoo.target_files[target])
    with link.hold():
        state = link.state_file()
        with link.start(1) as agent:
            loads = load(link, agent, halves)
            board = agent.ask("probe", 60.0)["board"]
            module = recognise(zoo, target, board, link.name)
            before = _told(say, link, "an interrupted run had left settings changed", agent.ask("restore", 120.0, state=state))
        link.will([*loads, {"do": "restore", "with": {"state": state}}])
        try:
            with link.start(1) as agent:
                load(link, agent, halves)
                pinned = agent.ask("pin", 120.0, wanted={**spec.pin, **(module.pin if module else {})}, state=state)
            yield Held(module.title if module else "", board, pinned, module.covers if module else {})
        finally:
            _give_back(link, target, halves, state, lambda sentence: None if sentence in before else say(sentence))


def _give_back(link: Link, target: str, halves: list[tuple[str, Path]], state: str, say: Say) -> None:
    """Restore; where the machine cannot be reached, say who will."""
    try:
        with link.start(1) as agent:
            load(link, agent, halves)
            _told(say, link, "", agent.ask("restore", 120.0, state=state))
        link.will([])
    except LinkError as error:
        what = f"settings of {link.name or 'this machine'} were not restored: {error.what}"
        again = f"socbench restore {target} --host {link.name}"
        say(f"{what}; the board does it itself soon, or do it now: {again}" if link.name else f"{what}; fix: socbench restore {target}")


def _told(say: Say, link: Link, why: str, found: dict[str, Any]) -> list[str]:
    """Say what a restore did: all of it where there is a reason to know (`why`), else only what failed; the sentences of what failed."""
    where = link.name or "this machine"
    if why and found.get("restored"):
        say(f"{where}: {why}; restored: {', '.join(found['restored'])}")
    failed = [f"{where}: not restored: {one['what']}; fix: {one['fix']}" for one in found.get("failed", [])]
    for sentence in failed:
        say(sentence)
    return failed


def undo(zoo: Zoo, target: str, link: Link) -> dict[str, Any]:
    """Restore what an interrupted run left changed: {"restored": [...], "failed": [{"what", "fix"}]}; {} when nothing was left."""
    spec = zoo.target(target)
    with link.hold(), link.start(1) as agent:
        load(link, agent, zoo.halves("boards", spec.board, zoo.target_files[target]))
        return agent.ask("restore", 120.0, state=link.state_file())
