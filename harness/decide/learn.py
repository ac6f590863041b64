"""How what is not known could be measured here: the command and its conditions, from the files of targets/ and workloads/.

A SoC belongs to the target of which a module's title holds its name: so a board's records reach their SoC as well (`measured.entry_of`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from harness.decide.measured import entry_of
from harness.decide.terms import METRICS, Cell, Note, Role
from harness.errors import SpecError
from harness.spec import Zoo

if TYPE_CHECKING:
    from harness.decide.catalogue import Catalogue, Soc
    from harness.spec import Target

HOST = "host"
"""The target of the machine that socbench runs on."""
ON_CPU = frozenset({"onnxruntime", "llamacpp"})
"""Runtimes that compute on the CPU; a test holds this against their halves. Of any other nothing is said."""


class How(msgspec.Struct, frozen=True):
    """The `command` that would measure a cell, "" where none does, and what is to be known of it: sentences of the catalogue."""

    command: str
    said: tuple[Note, ...]


class Way(msgspec.Struct, frozen=True):
    """The target that is made for a SoC, and the titles of its modules that are this SoC; no title: any machine will do."""

    target: str
    modules: tuple[str, ...] = ()


class Learn:
    """How each question about each SoC could be answered. `socs`: those beside the catalogue's, which were measured as hosts."""

    def __init__(self, catalogue: Catalogue, socs: tuple[Soc, ...] = (), zoo: Zoo | None = None) -> None:
        self._catalogue = catalogue
        self._socs = {**catalogue.socs, **{one.id: one for one in socs}}
        self._zoo = zoo or Zoo()

    @cached_property
    def _targets(self) -> dict[str, Target]:
        """Those that can be read: what is wrong in another one's file is said where it is used."""
        found = {}
        for name in self._zoo.target_files:
            try:
                found[name] = self._zoo.target(name)
            except SpecError:
                continue
        return found

    @cached_property
    def ways(self) -> dict[str, Way]:
        """Soc id -> the way to measure on it, of each SoC for which there is one."""
        titles: dict[str, dict[str, list[str]]] = {}
        for name, target in self._targets.items():
            for module in target.modules.values():
                if soc := entry_of(module.title, self._catalogue):
                    titles.setdefault(soc.id, {}).setdefault(name, []).append(module.title)
        found = {soc: Way(*next((name, tuple(modules)) for name, modules in of.items())) for soc, of in titles.items()}
        hosts = {one.id: Way(HOST) for one in self._socs.values() if one.role is Role.HOST and HOST in self._targets}
        return hosts | found

    def how(self, cell: Cell) -> How:
        """What would answer the question of a cell."""
        if METRICS[cell.metric].of == "part":
            return How("", (Note("page-how-ask"),))
        way, soc = self.ways.get(cell.soc), self._socs[cell.soc]
        if way is None:
            return How("", (self._uncovered(soc), Note("page-how-elsewhere")))
        if cell.workload not in self._zoo.workload_files:
            return How("", (Note("page-how-no-workload", {"workload": cell.workload}), Note("page-how-elsewhere")))
        runtimes = self._runtimes(way.target, cell.workload)
        if not runtimes:
            return How("", (Note("page-how-no-runtime", {"target": way.target, "workload": cell.workload}), Note("page-how-elsewhere")))
        over_ssh = "--host user@board " if way.modules else ""
        said = [self._where(soc, way), _computed(way.target, cell.workload, runtimes)]
        if cell.metric == "energy":
            said.append(Note("page-how-energy"))
        return How(f"nox -s bench-{way.target} -- {over_ssh}--workload {cell.workload}", tuple(said))

    def _where(self, soc: Soc, way: Way) -> Note:
        if not way.modules:
            return Note("page-how-host", {"soc": soc.name})
        return Note("page-how-board", {"soc": soc.name, "modules": " / ".join(way.modules)})

    def _uncovered(self, soc: Soc) -> Note:
        """Why no command measures on a SoC, and what would make one."""
        key = {Role.MCU: "page-how-mcu", Role.ACCELERATOR: "page-how-beside", Role.CARD: "page-how-beside"}.get(soc.role, "page-how-no-target")
        return Note(key, {"soc": soc.name})

    def _runtimes(self, target: str, workload: str) -> list[str]:
        """The runtimes of a target that open the workload, as its graph is written or as a toolchain converts it."""
        writes = set(self._zoo.workload(workload).model.writes)
        found = []
        for name, use in self._targets[target].runtimes.items():
            if writes & {*use.opens, *(one.source for one in use.convert.values())}:
                found.append(name)
        return found


def _computed(target: str, workload: str, runtimes: list[str]) -> Note:
    """With what it is run, and that this is the CPU where it is: an NPU's figure is then still to be had elsewhere."""
    values = {"target": target, "workload": workload, "runtimes": ", ".join(runtimes)}
    return Note("page-how-cpu" if ON_CPU.issuperset(runtimes) else "page-how-runs", values)
