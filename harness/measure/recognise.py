"""Which silicon a machine is, by what it shows of itself: the name that somebody gave it is not trusted."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from harness.errors import SpecError, UsageError
from harness.spec import Module, Target, Zoo

SHOWN = 0.75
"""Of the memory that is fitted a kernel shows at least this share: firmware and carve-outs take the rest, on a Jetson up to a sixth."""


def recognise(zoo: Zoo, target: str, board: dict[str, Any], address: str = "") -> Module | None:
    """The variant of `target` that a machine is, of which `board` is what its half's `probe` said; None where the target takes any machine.

    `address`: where it is, "" for this machine. Raises UsageError for a machine that is none of the target's: it says what the machine is, and which
    target is made for it.
    """
    spec = zoo.target(target)
    if not spec.modules:
        return None
    if found := _module(spec, board):
        return found
    where, there = (address, f" --host {address}") if address else ("this machine", "")
    shown, fit = _shown(board), next(_fitting(zoo, board), None)
    if fit:
        name, module = fit
        what = f"{where} is {module.title} (target {name}), not {target}: {shown}"
        anew = f"`socbench boards remove NAME` and `socbench boards add NAME {address or 'USER@HOST'} --target {name}`"
        raise UsageError(what, f"say what it is: `socbench bench {name}{there}`, or where it has a name {anew}")
    what = f"{where} is none of the machines that the target {target} knows: {shown}"
    fixes = [] if address else [f"to measure a board from here: socbench bench {target} --host USER@BOARD"]
    fixes += [f"the CPU of {where} can be measured as it is: socbench bench host{there}"]
    if sizes := sorted({one.memory_gib for one in spec.modules.values() if _shows(one, board)}):
        fixes = [f"what it shows is known with {' or '.join(f'{size:g}' for size in sizes)} GiB: undo what cuts its memory (mem=)", *fixes]
    fixes += [f"if it is a {target}, add what it shows under a [modules.ID] of {zoo.target_files[target]}"]
    raise UsageError(what, "; ".join(fixes))


def _module(spec: Target, board: dict[str, Any]) -> Module | None:
    """The first module of the target that a machine shows a string of, and whose memory it has. A `*` in the strings stands for anything."""
    memory = (board.get("memory_bytes") or 0) / 2**30
    fitting = (one for one in spec.modules.values() if _shows(one, board) and (not one.memory_gib or SHOWN < memory / one.memory_gib <= 1))
    return next(fitting, None)


def _shows(module: Module, board: dict[str, Any]) -> bool:
    """Whether a machine shows a string of the module."""
    soc = board.get("soc0", {})
    named = any(fnmatchcase(one, pattern) for one in board.get("compatible", []) for pattern in module.compatible)
    return named or soc.get("soc_id") in module.soc_id or soc.get("machine") in module.machine


def _fitting(zoo: Zoo, board: dict[str, Any]) -> Iterator[tuple[str, Module]]:
    """Targets that the machine is of, with the module."""
    for name in zoo.target_files:
        try:
            module = _module(zoo.target(name), board)
        except SpecError:  # another target's file is wrong: that is said where it is used
            continue
        if module:
            yield name, module


def _shown(board: dict[str, Any]) -> str:
    """What a machine shows of itself, for people."""
    soc = board.get("soc0", {})
    said = (
        ("device tree", ", ".join(board.get("compatible", []))),
        ("model", board.get("model", "")),
        ("soc_id", soc.get("soc_id", "")),
        ("machine", soc.get("machine", "")),
    )
    told = "; ".join(f"{name} {value}" for name, value in said if value)
    if told and board.get("memory_bytes"):
        told += f"; memory {board['memory_bytes'] / 2**30:.1f} GiB"
    return told or f"it has neither a device tree nor /sys/devices/soc0 ({board.get('machine') or board.get('module') or 'it shows no name'})"
