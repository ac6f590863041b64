"""The pitfalls of published figures as code: what each figure may be used for, and how sure it is.

Every rule is a function with a docstring that states it, a code, what it bars ("rank": it decides no place; "estimate": nothing is estimated
from it), and the least sd of the logarithm it leaves. What a reader is told stands in `harness/words/figures.toml` under "flag-<code>".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache

import msgspec

from harness.decide.rules import number, part, setting, trust
from harness.decide.rules._case import BOOK, BOTH, NEITHER, RANK, Bars, Case, Rule, Scene
from harness.decide.terms import Figure, Flag
from harness.words import say

__all__ = ["BASE", "CODES", "RULES", "Case", "Rule", "Scene", "beside_others", "judge", "number", "part", "serial", "setting", "trust"]

BASE = 0.10
"""sd of the logarithm of a figure of a named board of that very part, by its source's stated method"""
SERIAL, SLOWER, LARGER = "serial", "slower-setting", "larger-batch"
RULES: dict[str, Rule] = BOOK.rules
CODES = (*RULES, SERIAL, SLOWER, LARGER)
_SETTINGS = ("threads", "powersave", "core")
_LEAST = ("latency", "latency_p90", "latency_p99", "ttft", "realtime_factor")
_MOST = ("throughput", "decode", "decode_e2e", "prefill")


@cache
def _flag(code: str, bars: Bars) -> Flag:
    return Flag(code, say(f"flag-{code}"), bars)


def judge(case: Case) -> Figure:
    """The figure of `case` with its flags and its sd."""
    hit = [one for one in RULES.values() if one.applies(case)]
    flags = [_flag(one.code, one.bars) for one in hit]
    if serial(case.figure):
        flags.append(_flag(SERIAL, NEITHER))
    return msgspec.structs.replace(case.figure, sigma=max([BASE, *(one.sigma for one in hit)]), flags=tuple(flags))


def serial(figure: Figure) -> bool:
    """Whether a throughput is that of one item after another on one core, so that the latency is its reciprocal.

    A throughput is never turned into a latency otherwise. It holds for the single-core columns of the table of airockchip/rknn_model_zoo: its
    README (commit bad6c7334531becaf90a561988519b7bec34d0ab) says under the table that it counts the time of model inference, without pre- and
    post-processing, with batch 1 in every shape, and heads the columns of RK3588 and RK3576 "@single_core". The columns without that heading
    are left alone.
    """
    return (
        figure.metric == "throughput"
        and figure.source.where.startswith("airockchip/rknn_model_zoo ")
        and figure.batch == 1
        and figure.condition.get("npu_cores") == "1"
    )


def beside_others(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """The figures, with the flags that only follow from the other rows of the same source.

    "slower-setting": the source beats it with another number of threads or other cores; whoever uses the part chooses the faster setting, and both
    together would blur the value. "larger-batch": a throughput of several items a call where the source also has that of one.
    """
    every = tuple(figures)
    added: dict[str, list[Flag]] = {}
    for members in _alike(every, _SETTINGS):
        if len({tuple(one.condition.get(key, "") for key in _SETTINGS) for one in members}) > 1:
            best = (min if members[0].metric in _LEAST else max)(one.value for one in members)
            for one in members:
                if one.value != best:
                    added.setdefault(one.id, []).append(_flag(SLOWER, BOTH))
    for members in _alike([one for one in every if one.metric == "throughput"], (), batch=False):
        if any(one.batch == 1 for one in members):
            for one in members:
                if one.batch != 1:
                    added.setdefault(one.id, []).append(_flag(LARGER, RANK))
    return tuple(msgspec.structs.replace(one, flags=(*one.flags, *added[one.id])) if one.id in added else one for one in every)


def _alike(figures: Iterable[Figure], settings: Collection[str], *, batch: bool = True) -> list[list[Figure]]:
    """Groups of two or more figures that differ in nothing but these settings (and the batch)."""
    groups: dict[tuple[object, ...], list[Figure]] = {}
    for one in figures:
        if one.metric in (*_LEAST, *_MOST):
            rest = tuple(sorted((key, value) for key, value in one.condition.items() if key not in settings))
            what = (one.soc, one.variant, one.board, one.workload, one.metric, one.precision, one.runtime, one.compute_unit, one.shape)
            groups.setdefault((*what, one.batch if batch else 0, one.source.where, one.source.commit, rest), []).append(one)
    return [members for members in groups.values() if len(members) > 1]
