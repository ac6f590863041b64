"""One table of quantities over (SoC, question): measured records, published figures, facts and estimates, each as a `Cell`.

Within one way of running a workload (runtime, precision, unit) a measured figure wins over published ones, and the ratio of both is kept. Among
the ways of running it the fastest is taken, and its other figures (energy, memory) are preferred. A rate may be computed from a latency of
one inference at a time; a latency is never computed from a throughput, unless the rules show that the row was timed serially.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from harness.decide.catalogue import Catalogue, Soc
from harness.decide.estimate import Guess
from harness.decide.parts import part_cell
from harness.decide.rules import serial
from harness.decide.terms import METRICS, Cell, Figure, Note, Option, Role, key_of
from harness.quantity import Evidence as Origin
from harness.quantity import Kind, Unit, text

if TYPE_CHECKING:
    from harness.decide.estimate import Estimates

MODULE_TOLERANCE = 0.15
"""Another module's figure is used where the nominal peaks differ by less than this; else the module is estimated by itself."""
OTHER_MODULE_SIGMA = 0.25
_Z90 = 1.6448536269514722
_UNSAID = ("serial", "unstated-shape")
"""Flags that say nothing a reader of one number needs."""
_SPEED = ("latency", "rate")
Lost = tuple[tuple[str, str], ...]
"""(id of a figure, why it was not taken)"""


class Way(NamedTuple):
    """One way of running a workload, and what its figures come to."""

    option: Option
    value: float
    sigma: float
    figures: tuple[Figure, ...]
    lost: Lost
    notes: tuple[Note, ...]
    ratio: float | None
    kind: Kind


class Evidence:
    """Everything known about the SoCs of a catalogue on the day `today`."""

    def __init__(self, catalogue: Catalogue, figures: Iterable[Figure], estimates: Estimates | None = None, *, today: dt.date) -> None:
        self.catalogue = catalogue
        self.estimates = estimates
        self.today = today
        self.figures = {one.id: one for one in figures}
        self._of: dict[str, list[Figure]] = {}
        for one in self.figures.values():
            self._of.setdefault(one.soc, []).append(one)
        self._cells: dict[tuple[str, str, str, frozenset[str] | None, bool], Cell] = {}

    # ------------------------------------------------------------------------------------------------ what belongs to a SoC

    def figures_of(self, soc: Soc) -> list[Figure]:
        """All figures of this module, or published under the name it shares with its sisters."""
        return [*self._of.get(soc.id, ()), *(self._of.get(soc.published_as, ()) if soc.published_as else ())]

    def _module(self, soc: Soc, figure: Figure) -> str:
        """Same for a figure of this very module, near for one of a sister of nearly the same nominal peak, else other."""
        of = self.catalogue.module_of(figure)
        if of is None or (of.id == soc.id and not (soc.variant and figure.variant and soc.variant.lower() not in figure.variant.lower())):
            return "same"
        peak, other = soc.number("peak_tops_int8_dense"), of.number("peak_tops_int8_dense")
        return "other" if peak and other and abs(math.log(peak / other)) > math.log1p(MODULE_TOLERANCE) else "near"

    # ------------------------------------------------------------------------------------------------ cells

    def cell(self, soc: Soc, metric: str, workload: str = "", precisions: Collection[str] | None = None, *, estimates: bool = True) -> Cell:
        """What is known of one question. `precisions`: those that may be used; None: all. `estimates`: whether one may be the answer.

        An estimate is the answer where there is no figure, and where even its slow end (90 %) is faster than every figure: then the figures
        are of another way of running (a CPU beside an NPU), and stay in `lost`.
        """
        allowed = frozenset(precisions) if precisions else None
        key = (soc.id, metric, workload, allowed, estimates)
        if key not in self._cells:
            if METRICS[metric].of == "part":
                self._cells[key] = part_cell(soc, metric, self.today)
            else:
                self._cells[key] = self._workload_cell(soc, metric, workload, allowed, estimates=estimates)
        return self._cells[key]

    def option(self, soc: Soc, workload: str, metrics: Iterable[str], precisions: Collection[str] | None = None) -> Option | None:
        """The way of running `workload` that the figures for `metrics` are of."""
        for metric in metrics:
            if (cell := self.cell(soc, metric, workload, precisions)).option:
                return cell.option
        return None

    def _workload_cell(self, soc: Soc, metric: str, workload: str, allowed: frozenset[str] | None, *, estimates: bool) -> Cell:
        ways, barred = self._ways(soc, "latency" if metric == "rate" else metric, workload, allowed)
        inverted = metric == "rate" and bool(ways)
        if metric == "rate" and not ways:
            ways, more = self._ways(soc, "throughput", workload, allowed)
            barred = (*barred, *more)
        guess = self._guess(soc, metric, workload, allowed) if estimates else None
        if not ways:
            return self._estimated(soc, metric, workload, guess, barred)
        ways = self._preferred(soc, metric, workload, ways, allowed)
        known = self._from_ways(soc, metric, workload, ways, allowed, barred, inverted=inverted)
        if isinstance(guess, Guess):
            better = self._estimated(soc, metric, workload, guess, barred)
            slow_end = better.low if METRICS[metric].better == "higher" else better.high
            if slow_end and known.value and (slow_end > known.value if METRICS[metric].better == "higher" else slow_end < known.value):
                shown = text(known.value, known.unit)
                slower = tuple((one, f"the estimate for {_name(guess.option)} is faster at its slow end than {shown}") for one in known.figures)
                return msgspec.structs.replace(better, lost=(*slower, *known.lost), notes=(*better.notes, Note("beyond-figures", {"known": shown})))
        return known

    def _guess(self, soc: Soc, metric: str, workload: str, allowed: frozenset[str] | None) -> Guess | Note | None:
        if not self.estimates or soc.role is Role.HOST or metric not in (*_SPEED, "decode"):
            return None
        return self.estimates.best(soc, "decode" if metric == "decode" else "latency", workload, allowed)

    def _preferred(self, soc: Soc, metric: str, workload: str, ways: Sequence[Way], allowed: frozenset[str] | None) -> list[Way]:
        """The ways of running, the one to take first: the fastest, or for another metric that of the option which is fastest."""
        turned = metric == "rate" and ways[0].figures[0].metric == "throughput" and not serial(ways[0].figures[0])
        higher = metric in ("decode", "prefill") or turned
        lead = {"prefill": "decode", "ttft": "decode", "energy": "latency", "peak_memory": "latency"}.get(metric)
        chosen = self.cell(soc, lead, workload, allowed).option if lead else None

        def place(way: Way) -> tuple[bool, float, Option]:
            return bool(chosen) and way.option != chosen, -way.value if higher else way.value, way.option

        return sorted(ways, key=place)

    def _ways(self, soc: Soc, metric: str, workload: str, allowed: frozenset[str] | None) -> tuple[list[Way], Lost]:
        """The usable ways of running, and what was barred with its reason."""
        found: dict[Option, list[tuple[Figure, str]]] = {}
        barred: list[tuple[str, str]] = []
        for one in self.figures_of(soc):
            turned = metric == "latency" and one.metric == "throughput" and serial(one)
            if one.workload != workload or not (one.metric == metric or turned):
                continue
            module = self._module(soc, one)
            if why := next((flag.why for flag in one.flags if "rank" in flag.bars), ""):
                barred.append((one.id, why))
            elif allowed and one.precision not in allowed:
                barred.append((one.id, f"{one.precision} is not among the precisions of the scenario"))
            elif metric == "latency" and one.batch not in (1, None):
                barred.append((one.id, f"a batch of {one.batch}"))
            elif module == "other":
                of = self.catalogue.module_of(one)
                barred.append((one.id, f"of {of.name if of else one.soc}, whose nominal peak differs by more than {MODULE_TOLERANCE:.0%}"))
            else:
                found.setdefault(Option(one.runtime, one.precision, one.compute_unit), []).append((one, module))
        return [_way(option, members, metric) for option, members in found.items()], tuple(barred)

    def _from_ways(  # noqa: PLR0913, PLR0917 - the question, and what was found
        self, soc: Soc, metric: str, workload: str, ways: list[Way], allowed: frozenset[str] | None, barred: Lost, *, inverted: bool
    ) -> Cell:
        unit = METRICS[metric].unit
        way = ways[0]
        value = 1.0 / way.value if inverted else way.value
        notes = [*way.notes, *([Note("rate-from-latency")] if inverted else [])]
        if metric in ("prefill", "ttft", "energy", "peak_memory"):
            lead = self.cell(soc, "decode" if metric in ("prefill", "ttft") else "latency", workload, allowed).option
            if lead and lead != way.option:
                notes.append(Note("other-option", {"runtime": way.option.runtime, "precision": way.option.precision}))
        shown = Unit.SECOND if inverted or metric == "latency" else unit  # a serial throughput stands among latencies
        lost = [*way.lost, *((one.id, f"{_name(other.option)} is slower or another way of running: {text(other.value, shown)}")
                             for other in ways[1:] for one in other.figures), *barred]  # fmt: skip
        first = min(way.figures, key=lambda one: one.sigma)
        cell = _lognormal(
            Cell(
                soc.id, metric, workload, value, unit,
                Origin(way.kind, first.source.where, first.source.date, first.note),
                sigma=way.sigma,
                variable=_variable(soc, metric, workload),
                sign=-1 if metric == "rate" else 1,
                option=way.option,
                figures=tuple(one.id for one in way.figures),
                lost=tuple(lost),
                notes=tuple(notes),
                ratio=way.ratio,
            )
        )  # fmt: skip
        one_core = metric == "rate" and any(flag.code == "single-core" for one in way.figures for flag in one.flags)
        return msgspec.structs.replace(cell, ceil=value * _cores(soc)) if one_core else cell  # the other cores can add as much

    def _estimated(self, soc: Soc, metric: str, workload: str, guess: Guess | Note | None, barred: Lost) -> Cell:
        """The estimate as a cell, or the reason why nothing is known."""
        unit = METRICS[metric].unit
        if isinstance(guess, Guess):
            inverted = metric == "rate"
            low, high = (1.0 / guess.high, 1.0 / guess.low) if inverted else (guess.low, guess.high)
            cell = _lognormal(
                Cell(
                    soc.id, metric, workload, 1.0 / guess.value if inverted else guess.value, unit, Origin(Kind.ESTIMATED),
                    sigma=guess.sigma,
                    variable=_variable(soc, metric, workload),
                    sign=-1 if inverted else 1,
                    option=guess.option,
                    lost=barred,
                    notes=(guess.basis, *([Note("rate-from-latency")] if inverted else [])),
                )
            )  # fmt: skip
            return msgspec.structs.replace(cell, low=low, high=high)  # never beyond what the nominal peak allows
        if metric in (*_SPEED, "decode"):
            reason = guess or Note("no-figure", {"workload": workload, "soc": soc.name})
        else:
            reason = Note(
                "no-metric-figure", {**{f"metric_{one}": name for one, name in METRICS[metric].title.items()}, "workload": workload, "soc": soc.name}
            )
        variable = _variable(soc, metric, workload)
        return Cell(soc.id, metric, workload, None, unit, Origin(Kind.MISSING), variable=variable, reason=reason, lost=barred)


def _way(option: Option, members: list[tuple[Figure, str]], metric: str) -> Way:
    """The figures of one option as one value: measured ones where there are any, weighted by 1 / sigma^2.

    The sd is that of one more such board: hypot(least sd among the figures, sd between them), both of the logarithm.
    """
    own = [one for one in members if one[1] == "same"]
    measured = [one for one in own if one[0].kind is Kind.MEASURED]
    taken = measured or own or members
    value, sigma = _pool(taken, metric)
    notes: list[Note] = []
    lost: list[tuple[str, str]] = []
    ratio = None
    if own and len(own) < len(members):
        lost += [(one.id, "a figure of this very module is taken instead") for one, module in members if module != "same"]
    if measured and len(measured) < len(own):
        published, _ = _pool([one for one in own if one[0].kind is not Kind.MEASURED], metric)
        ratio = value / published
        unit = Unit.SECOND if metric == "latency" else members[0][0].unit
        notes.append(Note("measured-wins", {"published": text(published, unit), "ratio": f"{ratio:.2f}"}))
        lost += [(one.id, "a figure measured here, with the same runtime and precision, wins") for one, _ in own if one.kind is not Kind.MEASURED]
    codes = dict.fromkeys(flag.code for one, _ in taken for flag in one.flags if not flag.bars and flag.code not in _UNSAID)
    notes.extend(Note(f"flag-{code}") for code in codes)
    if len(taken) > 1:
        values = [_value(one, metric) for one, _ in taken]
        notes.append(Note("pooled", {"count": str(len(taken)), "spread": f"{max(values) / min(values):.2f}"}))
    notes.extend(Note("other-module", {"board": f"{one.soc} {one.variant}".strip()}) for one, module in taken[:1] if module == "near")
    kind = Kind.ESTIMATED if any(module == "near" for _, module in taken) else taken[0][0].kind  # of another part: never a pass
    return Way(option, value, sigma, tuple(one for one, _ in taken), tuple(lost), tuple(notes), ratio, kind)


def _value(figure: Figure, metric: str) -> float:
    return 1.0 / figure.value if metric == "latency" and figure.metric == "throughput" else figure.value


def _pool(members: Sequence[tuple[Figure, str]], metric: str) -> tuple[float, float]:
    sigmas = [max(one.sigma, OTHER_MODULE_SIGMA if module == "near" else 0.0) for one, module in members]
    logs = [math.log(_value(one, metric)) for one, _ in members]
    weights = [1.0 / max(sigma, 1e-3) ** 2 for sigma in sigmas]
    mean = sum(weight * log for weight, log in zip(weights, logs, strict=True)) / sum(weights)
    between = math.sqrt(sum(weight * (log - mean) ** 2 for weight, log in zip(weights, logs, strict=True)) / sum(weights))
    return math.exp(mean), math.hypot(min(sigmas), between)


def _lognormal(cell: Cell) -> Cell:
    """`cell` with its interval: 90 % of what its sd allows around the value."""
    assert cell.value is not None  # noqa: S101 - for the type checker: only cells with a value come here
    spread = math.exp(_Z90 * cell.sigma)
    return msgspec.structs.replace(cell, floor=cell.value, ceil=cell.value, low=cell.value / spread, high=cell.value * spread)


def _variable(soc: Soc, metric: str, workload: str) -> str:
    """Latency and rate of one workload are one uncertainty."""
    return f"{soc.id}/{workload}" if metric in _SPEED else f"{soc.id}/{key_of(metric, workload)}"


def _cores(soc: Soc) -> int:
    """Cores of the NPU as the catalogue states them; 1 where it does not."""
    found = re.search(r"(\d+)-core RKN", soc.text("npu_gpu_name"))
    return int(found[1]) if found else 1


def _name(option: Option) -> str:
    return f"{option.runtime}, {option.precision}, {option.compute_unit}"
