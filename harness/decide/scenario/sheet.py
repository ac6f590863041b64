"""What a scenario file may say, and every mistake that is refused with its key and what to write instead.

Values stay as they were written ("33 ms"); properties give them in SI units.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

import msgspec

from harness.decide.scenario.amounts import parse
from harness.decide.terms import METRICS, Metric, Role, Text, key_of
from harness.errors import SpecError, UsageError
from harness.quantity import STRENGTH, Kind
from harness.words import LANGUAGES

SENSE = {"lower": "at_most", "higher": "at_least"}
"""The key of a limit by what is better."""


class Survey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the survey of embedded AI recommends for the scenario, to be set against the evidence. Lists may be empty."""

    socs: list[str]
    """names or ids of the catalogue"""
    frameworks: list[str]
    considerations: Text

    def __post_init__(self) -> None:
        _both_languages("survey.considerations", self.considerations)


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hard limit: one of `at_most` and `at_least`. `accept` is the weakest evidence on which it counts as met."""

    metric: str
    reason: Text
    workload: str = ""
    at_most: str | float | None = None
    at_least: str | float | None = None
    accept: Kind = Kind.DATASHEET

    def __post_init__(self) -> None:
        metric = _question("limits", self.metric, self.workload)
        right = SENSE[metric.better]
        wrong = "at_most" if right == "at_least" else "at_least"
        if getattr(self, wrong) is not None:
            raise SpecError(f"limits: {self.id}: {wrong}: of {self.metric}, {metric.better} is better", f"write {right} instead")
        if getattr(self, right) is None:
            raise SpecError(f"limits: {self.id}: no {right}", f"say where the limit is: {right} = ...")
        if STRENGTH[self.accept] > STRENGTH[Kind.CLAIMED]:
            raise SpecError(
                f"limits: {self.id}: accept = {self.accept.value!r}: an estimate never meets a limit",
                "write measured, published, datasheet or claimed",
            )
        _both_languages(f"limits: {self.id}: reason", self.reason)
        _ = self.bound

    @property
    def id(self) -> str:
        """The metric, with its workload where it has one: "latency:yolov8n"."""
        return key_of(self.metric, self.workload)

    @property
    def stated(self) -> str | float:
        """The bound as it was written."""
        return self.at_most if self.at_most is not None else self.at_least if self.at_least is not None else ""

    @property
    def bound(self) -> float:
        """The bound in SI units. Raises SpecError."""
        return _amount(self.stated, METRICS[self.metric], "limits", self.id, SENSE[METRICS[self.metric].better])


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is weighed: worth nothing at `reject` and beyond, everything at `target`, and in between by its logarithm."""

    metric: str
    reject: str | float
    target: str | float
    weight: float
    reason: Text
    workload: str = ""

    def __post_init__(self) -> None:
        metric = _question("criteria", self.metric, self.workload)
        if not metric.criterion:
            raise SpecError(f"criteria: {self.id}: {self.metric} can be a limit only", "move it to [[limits]]")
        reject, target = self.anchors
        if reject == target:
            raise SpecError(f"criteria: {self.id}: reject and target are both {self.target}", "say from where to where it is worth something")
        if (reject > target) != (metric.better == "lower"):
            raise SpecError(
                f"criteria: {self.id}: reject {self.reject}, target {self.target}: {metric.better} is better", "exchange reject and target"
            )
        if not (math.isfinite(self.weight) and self.weight > 0):
            raise SpecError(f"criteria: {self.id}: weight = {self.weight:g}", "write a number above 0, or leave the criterion out")
        _both_languages(f"criteria: {self.id}: reason", self.reason)

    @property
    def id(self) -> str:
        """The metric, with its workload where it has one: "latency:yolov8n"."""
        return key_of(self.metric, self.workload)

    @property
    def anchors(self) -> tuple[float, float]:
        """`reject` and `target` in SI units. Raises SpecError."""
        metric = METRICS[self.metric]
        reject, target = (_amount(text, metric, "criteria", self.id, name) for name, text in (("reject", self.reject), ("target", self.target)))
        for name, value in (("reject", reject), ("target", target)):
            if value <= 0:
                raise SpecError(f"criteria: {self.id}: {name} = 0: it is weighed by its logarithm", "write a value above 0")
        return reject, target


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a scenario file says."""

    title: Text
    product: Text
    """what the product is, in a sentence or two"""
    survey: Survey
    criteria: list[Criterion]
    limits: list[Limit] = []
    roles: list[Role] = msgspec.field(default_factory=lambda: [Role.SOC])
    """the parts that can play the role: soc, mcu, accelerator, card"""
    concentration: float = 12.0
    """how surely the weights are known: 12 means roughly right, inf exactly as written"""
    precisions: list[str] = []
    """the precisions that figures of its workloads may have; empty: all"""

    def __post_init__(self) -> None:
        _both_languages("title", self.title)
        _both_languages("product", self.product)
        if not self.criteria:
            raise SpecError("criteria: there is none", "add at least one [[criteria]]")
        if not self.roles:
            raise SpecError("roles: empty", f"write one or more of {', '.join(Role)}")
        if not self.concentration > 0:
            raise SpecError(
                f"concentration = {self.concentration:g}", "write a number above 0: 12 for weights that are roughly right, inf for exact ones"
            )
        for name, ids in (("limits", [one.id for one in self.limits]), ("criteria", [one.id for one in self.criteria])):
            if twice := next((one for one in ids if ids.count(one) > 1), ""):
                raise SpecError(f"{name}: {twice} stands twice", "keep one of the two")


def _question(where: str, name: str, workload: str) -> Metric:
    """The metric asked about, or SpecError where there is none or the workload is missing or out of place."""
    if name not in METRICS:
        raise SpecError(f"{where}: metric: there is no {name!r}", f"{did_you_mean(name, METRICS)}known: {', '.join(METRICS)}")
    metric = METRICS[name]
    if metric.of == "workload" and not workload:
        raise SpecError(f"{where}: {name}: no workload", 'say which workload it is of: workload = "yolov8n"')
    if metric.of == "part" and workload:
        raise SpecError(f"{where}: {key_of(name, workload)}: {name} is a property of the part, not of a workload on it", "remove workload")
    return metric


def _amount(text: str | float, metric: Metric, where: str, identity: str, name: str) -> float:
    try:
        return parse(text, metric.unit, identity)
    except UsageError as error:
        raise SpecError(f"{where}: {identity}: {name}{error.what.removeprefix(identity)}", error.fix) from None


def _both_languages(key: str, text: Text) -> None:
    for language in LANGUAGES:
        if not text.get(language, "").strip():
            raise SpecError(f"{key}: nothing in {language!r}", f"write {key.rpartition(': ')[2]}.{language} = ...")
    if more := sorted(set(text) - set(LANGUAGES)):
        raise SpecError(f"{key}: unknown language {more[0]!r}", f"the languages are {', '.join(LANGUAGES)}")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """A question to stand before the known `names`, where one is near: "did you mean ...? "."""
    close = difflib.get_close_matches(name, list(names), 1)
    return f"did you mean {close[0]!r}? " if close else ""
