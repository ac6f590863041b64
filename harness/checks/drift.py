"""Times that rise or fall over the steady stage: heat, a neighbour that comes or goes, a battery."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.checks.series import FEW_ITEMS, LATENCY, RATES, after_warmup, judged
from harness.metrics.power import good_samples
from harness.metrics.spans import window
from harness.metrics.witness import SILICON
from harness.record import ChannelKind, Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.metrics.spans import Floats

ORDER = 20
LIMIT = 0.03
BLOCKS = 20
FEW_LIMIT = 0.05
"""Where there are few items: two answers may differ by 3 % without any drift. A warning at most."""


def drift(log: Floats, items: int = FEW_ITEMS) -> float | None:
    """How much longer the end took than the beginning, as a logarithm; None where that is not more than 3 % and certain.

    Either the medians of the first and the last third differ by more than 3 % with Mann-Whitney p < .001, or Theil-Sen over 20 block
    medians with Mann-Kendall p < .01 (on 900 synthetic series: recall .96, no false alarm on clean ones).
    """
    import numpy as np
    from scipy import stats

    third = len(log) // 3
    first, last = log[:third], log[len(log) - third :]
    between = float(np.median(last) - np.median(first))
    limit = LIMIT if items >= FEW_ITEMS else FEW_LIMIT
    if abs(between) > limit and stats.mannwhitneyu(first, last).pvalue < 0.001:
        return between
    if items < FEW_ITEMS:
        return None
    blocks = np.asarray([np.median(one) for one in np.array_split(log, BLOCKS)])
    total = float(stats.theilslopes(blocks, np.arange(BLOCKS)).slope) * (BLOCKS - 1)
    if abs(total) > LIMIT and stats.kendalltau(np.arange(BLOCKS), blocks).pvalue < 0.01:
        return total
    return None


def change(record: RunRecord, kind: ChannelKind) -> tuple[str, float, float] | None:
    """Of the channel of a kind that moved most, as a ratio: its site, and its medians in the first and the last third of the steady stage.

    None where nobody looked.
    """
    import numpy as np

    found: list[tuple[str, float, float]] = []
    if (stretch := window(record)) is None:
        return None
    for telemetry in record.telemetry:
        of_kind = [(column, one) for column, one in enumerate(telemetry.channels) if one.kind == kind]
        for column, channel in [pair for pair in of_kind if pair[1].scope in SILICON] or of_kind:
            values = good_samples(telemetry, column, *stretch)[1]
            if third := len(values) // 3:
                found.append((channel.site, float(np.median(values[:third])), float(np.median(values[-third:]))))

    def moved(one: tuple[str, float, float]) -> tuple[float, float]:
        return (round(abs(math.log(one[2] / one[1])), 2) if min(one[1:]) > 0 else 0.0, one[1])  # where none moved, the highest

    return max(found, key=moved, default=None)


def check(record: RunRecord) -> Iterator[Problem]:
    """More than 3 % between the beginning and the end."""
    series = judged(record)
    if series is None or any(problem.code == "no-plateau" for problem in record.problems):
        return
    moved = drift(after_warmup(series), series.items)
    if moved is None:
        return
    slower = moved > 0
    seen = []
    if (heat := change(record, "temperature")) is not None:
        seen.append(f"temperature {heat[0]} {heat[1]:.0f} to {heat[2]:.0f} °C")
    if (clock := change(record, "frequency")) is not None:
        seen.append(f"clock {clock[0]} {clock[1] / 1e9:.2f} to {clock[2] / 1e9:.2f} GHz")
    yield Problem(
        code="drift",
        severity="invalid" if series.items >= FEW_ITEMS else "warning",
        what=f"over the steady stage the {series.name}s became {abs(math.expm1(moved)):.1%} {'slower' if slower else 'faster'}"
        + (f" ({', '.join(seen)})" if seen else ""),
        why="the figure depends on when one stops: a longer run would give another one",
        fix="stop what else runs, let the machine cool or cool it better, and run again; a sustained figure needs a run that outlasts the heating"
        if slower
        else "find what else ran at the beginning (top, systemd timers), or warm up for longer, and run again",
        spoils=[*LATENCY, *RATES],
    )
