"""What a missing latency or decode rate may be: crossed effects fitted to the published figures, with an interval that held-out figures confirm.

An estimate is no evidence: it never meets a hard limit. Where its 90 % interval is wider than a factor of three to each side, there is none, and
the reason says what to measure.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness import cache as folders
from harness.decide.catalogue import Catalogue, Soc
from harness.decide.estimate import blup, decoding, training
from harness.decide.terms import Figure, Note, Option, Role
from harness.decide.workloads import Work, canonical
from harness.quantity import significant

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
"""of the model: a cached fit of another version is not read"""
WIDEST = 3.0
"""half-width of the 90 % interval, as a factor, beyond which there is no estimate"""


class Guess(msgspec.Struct, frozen=True):
    """An estimate in SI units for one way of running a workload: `low` to `high` is the 90 % interval, `sigma` the sd of the logarithm."""

    option: Option
    value: float
    sigma: float
    low: float
    high: float
    basis: Note


class Quality(msgspec.Struct, frozen=True):
    """How well held-out rows are predicted. Errors are |predicted / stated - 1|; nothing here was fitted to the rows it is about."""

    rows: int
    cells: int
    socs: int
    workloads: int
    error: float
    """median over rows"""
    error_cells: float
    """median over cells of the median in the cell"""
    within_25: float
    """share of rows off by less than 25 %"""
    within_2x: float
    coverage: float
    """share of rows inside their 90 % interval, whose scale comes from the other cells"""
    half_width: float
    """median half-width of that interval, as a factor"""
    by_soc: dict[str, tuple[int, int, float, float]] = {}
    """SoC -> rows, workloads, median error, coverage"""


class State(msgspec.Struct, frozen=True):
    """What a fit found, and what is cached: `known` and `unseen` scale the sd of a SoC that has figures and of one that has none."""

    model: blup.Model
    known: float
    unseen: float
    quality: Quality
    quality_unseen: Quality


class Learned:
    """One fitted model with its rows."""

    def __init__(self, rows: Sequence[Any], design: Callable[[Sequence[Any]], blup.Rows], state: State | None) -> None:
        import numpy as np

        self.rows, self.design = rows, design
        y = np.log([one.value for one in rows])
        self.fit = blup.fit(design(rows), y, state.model if state else None)
        self.state = state or self._judge()

    def predict(self, row: Any) -> tuple[float, float]:
        """Logarithm of the value, and the sd of it that makes 90 % intervals hold; never less than the residual's."""
        mean, spread = self.fit.predict(self.design([row]))
        scale = self.state.known if any(one.soc == row.soc for one in self.rows) else self.state.unseen
        return float(mean[0]), max(scale / blup.NORMAL * float(spread[0]), self.fit.model.noise)

    def _judge(self) -> State:
        known, quality = self._held_out([one.cell for one in self.rows], None)
        rated = [getattr(one, "peak", 1.0) is not None for one in self.rows]
        unseen, quality_unseen = self._held_out([one.soc for one in self.rows], rated)
        return State(self.fit.model, known, unseen, quality, quality_unseen)

    def _held_out(self, blocks: Sequence[str], of: Sequence[bool] | None) -> tuple[float, Quality]:
        """The scale of intervals, and the quality, with each block predicted from the others; counted over the rows `of`."""
        import numpy as np

        codes = _codes(blocks)
        residual, spread = self.fit.held_out(codes)
        keep = np.flatnonzero(of if of is not None else np.ones(len(codes)))
        residual, spread, codes = residual[keep], spread[keep], codes[keep]
        several = len(np.unique(codes)) > 1
        weights = 1.0 / np.bincount(codes)[codes] if of is not None else np.ones(len(codes))  # a SoC counts once, however many figures it has
        scale = blup.conformal(residual, spread, weights)
        scales = blup.conformal_by_block(residual, spread, codes, weights) if several else np.full(len(codes), scale)
        half = np.maximum(scales * spread, blup.NORMAL * self.fit.model.noise)
        return scale, _quality([self.rows[int(one)] for one in keep], residual, half)


class Estimates:
    """Estimates for any SoC of a catalogue."""

    def __init__(self, latencies: Learned | None, rates: Learned | None, catalogue: Catalogue, works: Mapping[str, Work]) -> None:
        self._latency, self._rate, self._catalogue, self._works = latencies, rates, catalogue, works
        self._known: dict[tuple[str, str, str], list[Guess] | Note] = {}

    @classmethod
    def fit(cls, figures: Iterable[Figure], catalogue: Catalogue, works: Mapping[str, Work], cache: Path | None = None) -> Estimates:
        """Fit to `figures`, or read what a fit to the same rows found from the folder `cache` (default: in the user's cache directory)."""
        figures = tuple(figures)
        latencies, rates = training.rows(figures, catalogue, works), decoding.rates(figures, catalogue, works)
        place = cache or folders.folder("estimates")
        return cls(_learn(latencies, training.Design, place), _learn(rates, decoding.Design, place), catalogue, works)

    @property
    def quality(self) -> dict[str, Quality]:
        """By "latency", "latency unseen" (whole SoCs held out, of those with a nominal peak), "decode", "decode unseen"."""
        found: dict[str, Quality] = {}
        for name, one in (("latency", self._latency), ("decode", self._rate)):
            if one:
                found |= {name: one.state.quality, f"{name} unseen": one.state.quality_unseen}
        return found

    def best(self, soc: Soc, metric: str, workload: str, allowed: frozenset[str] | None = None) -> Guess | Note:
        """The fastest estimate of `metric` ("latency" or "decode") among the `allowed` precisions (default: all), or why there is none."""
        found = self.decode(soc, workload) if metric == "decode" else self.latency(soc, workload)
        if isinstance(found, Note):
            return found
        left = [one for one in found if allowed is None or one.option.precision in allowed]
        if not left:
            return Note("estimate-precision", {"soc": soc.name})
        return (max if metric == "decode" else min)(left, key=lambda one: one.value)

    def latency(self, soc: Soc, workload: str) -> list[Guess] | Note:
        """Latency [s] of one inference for each way the SoC runs things, or why there is no estimate."""
        return self._once("latency", soc, workload, self._latencies)

    def decode(self, soc: Soc, workload: str) -> list[Guess] | Note:
        """Decode rate [1/s] of one sequence for each way the SoC runs things, or why there is no estimate."""
        return self._once("decode", soc, workload, self._rates)

    def _once(self, metric: str, soc: Soc, workload: str, make: Callable[[Soc, str], list[Guess] | Note]) -> list[Guess] | Note:
        key = (metric, soc.id, canonical(workload, self._works))
        if key not in self._known:
            self._known[key] = make(soc, key[2]) if soc.role not in (Role.MCU, Role.HOST) else Note("estimate-role", {"soc": soc.name})
        return self._known[key]

    def _latencies(self, soc: Soc, workload: str) -> list[Guess] | Note:
        learned, work, peak = self._latency, self._works.get(workload), training.peak_of(soc)
        if work is None or not work.gmac or learned is None:
            return Note("estimate-work", {"workload": workload})
        name = training.name_of(soc)
        seen = [one for one in learned.rows if one.soc == name]
        if peak is None and (not seen or any(one.peak for one in seen)):  # a sister module's peak is not this one's
            return Note("estimate-peak", {"soc": soc.name})
        if not seen and not any(one.workload == workload for one in learned.rows):
            return Note("estimate-nothing", {"soc": soc.name, "workload": workload})
        multiplies, basis = 1e9 * work.gmac, _basis(soc, seen)
        floor = 2.0 * multiplies / peak if peak else 0.0
        found = []
        for option in self._options(soc, learned) or [Option("vendor runtime", "int8", "npu")]:
            runtime, precision = training.runtime_of(option), training.precision_class(option.precision)
            log, sigma = learned.predict(training.Row("", name, workload, work.family, runtime, precision, option, multiplies, peak, 1.0))
            found.append(_guess(option, math.exp(log), sigma, basis, (floor, math.inf)))
        return _narrow(found, soc, workload)

    def _rates(self, soc: Soc, workload: str) -> list[Guess] | Note:
        learned, work, bandwidth = self._rate, self._works.get(workload), decoding.bandwidth_of(soc)
        if work is None or not work.params or work.family != "llm" or learned is None:
            return Note("estimate-parameters", {"workload": workload})
        if bandwidth is None:
            return Note("estimate-bandwidth", {"soc": soc.name})
        name = training.name_of(soc)
        basis = _basis(soc, [one for one in learned.rows if one.soc == name])
        found = []
        for option in self._options(soc, learned):
            weights = work.params * (decoding.bits_of(option.precision) or 16.0) / 8
            log, sigma = learned.predict(decoding.Rate("", name, workload, training.runtime_of(option), option, weights, bandwidth, 1.0))
            found.append(_guess(option, math.exp(log) * bandwidth / weights, sigma, basis, (0.0, bandwidth / weights)))
        if not found:
            return Note("estimate-runtime", {"soc": soc.name})  # nothing shows that it decodes at all
        return _narrow(found, soc, workload)

    def _options(self, soc: Soc, learned: Learned) -> list[Option]:
        """How the SoC runs things in the figures; else what all of its family that have figures have in common; stated precisions only, if any."""
        family = {training.name_of(one) for one in self._catalogue.socs.values() if soc.family and one.family == soc.family}
        for names in ({training.name_of(soc)}, family):
            runs = [options for name in sorted(names) if (options := {one.option for one in learned.rows if one.soc == name})]
            shared = set.intersection(*runs) if runs else set()
            stated = [one for one in shared if one.precision != "unstated"] or shared
            if stated:
                return sorted(stated, key=lambda one: (one.runtime, one.precision, one.compute_unit))
        return []


def _guess(option: Option, value: float, sigma: float, basis: Note, bounds: tuple[float, float]) -> Guess:
    """An estimate, held between what the nominal peak or bandwidth allows."""
    factor = math.exp(blup.NORMAL * sigma)
    low, middle, high = (min(max(one, bounds[0]), bounds[1]) for one in (value / factor, value, value * factor))
    return Guess(option, middle, sigma, low, high, msgspec.structs.replace(basis, values={**basis.values, "factor": significant(factor, 2)}))


def _narrow(found: list[Guess], soc: Soc, workload: str) -> list[Guess] | Note:
    """Those whose interval is narrow enough to be of use; a note where there are none."""
    left = [one for one in found if math.exp(blup.NORMAL * one.sigma) <= WIDEST]
    if left:
        return left
    least = min((math.exp(blup.NORMAL * one.sigma) for one in found), default=math.inf)
    return Note("estimate-wide", {"soc": soc.name, "workload": workload, "factor": significant(least, 2), "widest": significant(WIDEST, 1)})


def _basis(soc: Soc, seen: Sequence[Any]) -> Note:
    if not seen:
        return Note("estimate-unseen", {"soc": soc.name})
    workloads = len({one.workload for one in seen})
    return Note("estimate-known", {"soc": soc.name, "figures": str(len(seen)), "workloads": str(workloads)})


def _learn(rows: Sequence[Any], design: Callable[[Sequence[Any]], Callable[[Sequence[Any]], blup.Rows]], place: Path) -> Learned | None:
    """The model of `rows`, None where they are too few to hold one out; from the cache where the same rows were fitted before."""
    if len({one.cell for one in rows}) < 3 or len({one.soc for one in rows}) < 2:
        return None
    # The figures' own ids stay out: only what the model sees decides whether a fit can be used again.
    content = msgspec.json.encode([VERSION, design.__module__, [tuple(one)[1:] for one in rows]])
    path = place / f"{hashlib.sha256(content).hexdigest()}.json"
    state = _read(path)
    learned = Learned(rows, design(rows), state)
    if state is None:
        _write(path, learned.state)
    return learned


def _read(path: Path) -> State | None:
    """A cached state; None where there is none that can be read: it is then fitted again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(path: Path, state: State) -> None:
    """Keep a state for the next time; a folder that cannot be written to costs only that time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(msgspec.json.encode(state))
        Path(file.name).replace(path)
    except OSError:
        return


def _codes(names: Sequence[str]) -> NDArray[Any]:
    import numpy as np

    return np.unique(np.array(names), return_inverse=True)[1]


def _quality(rows: Sequence[Any], residual: NDArray[Any], half: NDArray[Any]) -> Quality:
    """`residual`: logarithm of stated / predicted; `half`: half-width of the interval of the logarithm."""
    import numpy as np

    error, inside = np.abs(np.exp(-residual) - 1.0), np.abs(residual) <= half
    cells, socs = _codes([one.cell for one in rows]), np.array([one.soc for one in rows])
    by_soc = {}
    for soc in sorted(set(socs.tolist())):
        of = socs == soc
        works = {one.workload for one in rows if one.soc == soc}
        by_soc[soc] = (int(of.sum()), len(works), float(np.median(error[of])), float(np.mean(inside[of])))
    by_cell = [float(np.median(error[cells == one])) for one in np.unique(cells)]
    return Quality(
        len(rows), len(by_cell), len(by_soc), len({one.workload for one in rows}), float(np.median(error)), float(np.median(by_cell)),
        float(np.mean(error < 0.25)), float(np.mean(np.abs(residual) < math.log(2.0))), float(np.mean(inside)),
        float(np.exp(np.median(half))), by_soc,
    )  # fmt: skip
