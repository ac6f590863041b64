"""A scenario: what a product asks of its SoC, in one TOML file.

`reports/scenarios/<id>.toml` says what the product is, its hard limits, its criteria with anchors and weights, and why each of them; `sheet` says
what it may hold. A command line may change limits and weights for one question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.decide.scenario.amounts import parse
from harness.decide.scenario.sheet import SENSE, Limit, Sheet, did_you_mean
from harness.decide.terms import METRICS, key_of
from harness.errors import SpecError, UsageError
from harness.quantity import Kind
from harness.spec import read_spec

if TYPE_CHECKING:
    from harness.decide.demand import Demand

STATED = {"en": "Stated on the command line.", "zh": "由命令行给定。"}
"""The reason of a limit that is not in the file."""
ALIASES = {
    "fps": "rate", "tdp": "power", "tokens_per_second": "decode", "cost": "price", "ram": "memory", "asil": "safety", "sil": "safety",
}  # fmt: skip
"""What engineers also call a question, on a command line."""
_IN_ALIAS = {"fps": "{} fps", "tokens-per-second": "{} tok/s", "sil": "SIL-{}"}


class Scenario(Sheet, frozen=True, kw_only=True):
    """A scenario file and its id, which is the name of the file."""

    id: str

    @property
    def workloads(self) -> tuple[str, ...]:
        """Every workload that a limit or criterion names, once each."""
        named = [*(one.workload for one in self.limits), *(one.workload for one in self.criteria)]
        return tuple(dict.fromkeys(one for one in named if one))

    def demand(self) -> Demand:
        """The limits and criteria in SI units, as the decision wants them."""
        from harness.decide.demand import Bound, Demand, Goal

        criteria = tuple(Goal(one.id, one.metric, one.workload, *one.anchors, one.weight) for one in self.criteria)
        limits = tuple(Bound(one.id, one.metric, one.workload, METRICS[one.metric].better == "lower", one.bound, one.accept) for one in self.limits)
        return Demand(criteria, limits)


def read(path: Path) -> Scenario:
    """The scenario in the TOML file `path`. Raises SpecError with file, key and what to write instead."""
    sheet = read_spec(path, Sheet)
    return Scenario(id=path.stem, **{name: getattr(sheet, name) for name in Sheet.__struct_fields__})


def known(folders: Iterable[Path] = ()) -> dict[str, Path]:
    """Id -> file: the shipped scenarios, and reports/scenarios/*.toml below each of the user's `folders`.

    Raises UsageError for what is no folder, SpecError for an id that is defined twice.
    """
    roots = [Path(__file__).resolve().parents[3], *folders]  # `reports` stands beside `harness`, in a checkout and in a wheel
    found: dict[str, Path] = {}
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"{root}: no such folder", "name a folder that holds reports/scenarios/")
        for path in sorted((root / "reports" / "scenarios").glob("*.toml")):
            if path.stem in found:
                raise SpecError(f"{path}: {path.stem!r} is already defined by {found[path.stem]}", "give it another file name")
            found[path.stem] = path
    return found


def get(name_or_path: str, folders: Iterable[Path] = ()) -> Scenario:
    """The scenario of that id, or the one in the file if the name ends in .toml. Raises UsageError or SpecError."""
    if name_or_path.endswith(".toml"):
        return read(Path(name_or_path))
    files = known(folders)
    if name_or_path not in files:
        raise UsageError(
            f"unknown scenario {name_or_path!r}",
            f"{did_you_mean(name_or_path, files)}known: {', '.join(files)}; or give the path of a .toml file  (socbench list scenarios)",
        )
    return read(files[name_or_path])


def changed(
    scenario: Scenario,
    limits: Mapping[str, str] | None = None,
    weights: Mapping[str, str | float] | None = None,
    workloads: Iterable[str] = (),
) -> Scenario:
    """`scenario` with other limits and weights, as a command line states them: {"power": "15W", "latency:yolov8n": "20ms"}, {"latency": 3}.

    A key is a metric or one of ALIASES, with ":workload" where more than one workload is asked about; in a workload ".", "-" and "_" are equal
    where it is not the very id of one of the scenario or of `workloads`. A limit the scenario does not have is added, at most or at least as the
    metric's nature is; "none" removes one. A weight of 0 leaves its criterion out. Raises UsageError.
    """
    names = [*scenario.workloads, *sorted(workloads)]
    bounds = {one.id: one for one in scenario.limits}
    for key, said in (limits or {}).items():
        if said.strip().casefold() == "none":
            del bounds[_one_of(key, bounds, "limit", names)]
        else:
            limit = _limit(key, said, scenario, names)
            bounds[limit.id] = limit
    goals = {one.id: one for one in scenario.criteria}
    for key, stated in (weights or {}).items():
        identity = _one_of(key, goals, "criterion", names)
        weight = _weight(key, stated)
        if weight:
            goals[identity] = msgspec.structs.replace(goals[identity], weight=weight)
        else:
            del goals[identity]
    if not goals:
        raise UsageError("no criterion is left", "give at least one criterion a weight above 0")
    return msgspec.structs.replace(scenario, limits=list(bounds.values()), criteria=list(goals.values()))


def _meant(key: str, names: Sequence[str]) -> tuple[str, str]:
    """The metric and the workload that a key of a command line means; each as it was written where none is known by it."""
    name, _, workload = key.partition(":")
    plain = _folded(name).replace("-", "_")
    metric = ALIASES.get(plain, plain if plain in METRICS else name)
    if workload and workload not in names:
        workload = next((one for one in names if _folded(one) == _folded(workload)), workload)
    return metric, workload


def _folded(name: str) -> str:
    return name.strip().casefold().replace(".", "-").replace("_", "-")


def _limit(key: str, said: str, scenario: Scenario, names: Sequence[str]) -> Limit:
    """The limit `key` at `said`: that of the scenario moved, or a new one."""
    name, workload = _meant(key, names)
    if name not in METRICS:
        raise UsageError(f"unknown limit {key!r}", f"{did_you_mean(name, [*METRICS, *ALIASES])}known: {', '.join(METRICS)}  (socbench list limits)")
    if said.strip().replace(".", "", 1).isdecimal():  # "fps=30" and "sil=2" say the unit before the number
        said = _IN_ALIAS.get(_folded(key.partition(":")[0]), "{}").format(said.strip())
    metric = METRICS[name]
    if metric.of == "part" and workload:
        raise UsageError(f"{key}: {name} is a property of the part, not of a workload on it", f"write {name}={said}")
    if metric.of == "workload" and not workload:
        limits = {one.id: one.workload for one in scenario.limits if one.metric == name}
        asked = limits or {one.id: one.workload for one in scenario.criteria if one.metric == name}
        if len(asked) != 1:
            fix = (
                f"write one of {', '.join(asked)}"
                if asked
                else f"name it: {name}:{scenario.workloads[0] if scenario.workloads else 'yolov8n'}={said}"
            )
            raise UsageError(f"{key}: which workload?", fix)
        workload = next(iter(asked.values()))
    before = next((one for one in scenario.limits if one.id == key_of(name, workload)), None)
    parse(said, metric.unit, key_of(name, workload))
    return Limit(name, STATED, workload, accept=before.accept if before else Kind.DATASHEET, **{SENSE[metric.better]: said})


def _weight(key: str, stated: str | float) -> float:
    try:
        weight = float(stated)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise UsageError(f"weight {key}: {stated!r} is not a number from 0", "write a weight such as 3; 0 leaves the criterion out")
    return weight


def _one_of(key: str, ids: Mapping[str, object], what: str, names: Sequence[str]) -> str:
    """The id that `key` means: itself, or the only one of that metric."""
    name, workload = _meant(key, names)
    if (identity := key_of(name, workload)) in ids:
        return identity
    same = [one for one in ids if one.partition(":")[0] == name and not workload]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(f"{key}: which workload?", f"write one of {', '.join(same)}")
    raise UsageError(f"this scenario has no {what} {key!r}", f"{did_you_mean(key, ids)}it has: {', '.join(ids) or 'none'}")
