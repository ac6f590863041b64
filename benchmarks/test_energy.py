"""Error and bounds of the energy per item, on curves whose energy is known: 60 s at 10 Hz, 3 % of reads missed, the clocks 50 ms apart at most.

A sampler that reads each row at a random moment of its period, and one that reads at even intervals: that one keeps step with some items. Then a
figure may be far off, and what counts is that its bounds say so or that it is absent. 100 curves a row; all rows take two minutes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.power_curves import FAMILIES, Score, score

TRIALS = 100
IN_STEP = ("bursts in step with the samples", "bursts nearly in step")
SAMPLERS = {"random moments": True, "even intervals": False}


@cache
def tried(family: str, sampler: str) -> Score:
    return score(family, TRIALS, dither=SAMPLERS[sampler], quantum=0.04 if family == "constant" else None)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_error_of_the_energy(benchmark: Any, family: str, sampler: str) -> None:
    found = benchmark.pedantic(lambda: tried(family, sampler), rounds=1)
    refused = f"; {found.refused} of {TRIALS} refused" if found.refused else ""
    if not len(found.errors):
        benchmark.extra_info.update(what=f"energy, {family}, {sampler}: no figure{refused}", value=None, unit="ratio")
        return
    middle, high = (float(np.quantile(found.errors, share)) for share in (0.5, 0.95))
    limits = {} if family in IN_STEP and not SAMPLERS[sampler] else {"bound": 0.01}
    what = f"energy, {family}, {sampler}: median error (95 % below {high:.2%}; bounds ± {float(np.median(found.halves)):.2%}{refused})"
    benchmark.extra_info.update(what=what, value=middle, low=float(found.errors.min()), high=high, unit="ratio", **limits)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_truths_outside_the_bounds(benchmark: Any, family: str, sampler: str) -> None:
    found = benchmark.pedantic(lambda: tried(family, sampler), rounds=1)
    what = f"energy, {family}, {sampler}: truths outside the bounds"
    if len(found.errors):
        benchmark.extra_info.update(what=what, value=1.0 - found.covered, unit="ratio", bound=0.05)
