"""What reading the sensors cost the run: the items that a read of them fell into, against those that ran alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.metrics.spans import core, measured, no_spans, seconds
from harness.quantity import Quantity, Unit, missing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.record import RunRecord, Spans, Telemetry

LEAST = 30
"""Spans on either side without which their medians are not compared."""


def _struck(spans: Spans, telemetry: Telemetry) -> NDArray[np.bool_]:
    """Which spans a read of the sensors overlaps; shape [n]. A read is taken to last as long as the slowest of them."""
    import numpy as np

    read = np.asarray(telemetry.t_ns) + telemetry.clock_offset_ns
    begins = np.asarray(spans.begin_ns) - telemetry.read_error_ns
    ends = np.asarray(spans.end_ns) + telemetry.read_error_ns
    return np.asarray(np.searchsorted(read, ends, side="right") > np.searchsorted(read, begins, side="left"))


def _median(samples: NDArray[np.float64]) -> tuple[float, float, float]:
    """The median and the order statistics that hold the true one with 97.5 % (normal approximation of the binomial)."""
    import numpy as np

    ranked = np.sort(samples)
    n = len(ranked)
    reach = 2.24 * math.sqrt(n) / 2
    return float(np.median(ranked)), float(ranked[max(0, math.floor(n / 2 - reach))]), float(ranked[min(n - 1, math.ceil(n / 2 + reach))])


def _shift(record: RunRecord) -> dict[str, Quantity]:
    phases = core(record)
    telemetry = next((one for one in record.telemetry if one.instrument.startswith("board:") and one.t_ns), None)
    if not phases:
        return {"": missing(Unit.ONE, no_spans(record))}
    if telemetry is None:
        return {"": missing(Unit.ONE, "no sensors were read on the machine itself")}
    found = {}
    for one in phases:
        struck = _struck(one, telemetry)
        with_read, alone = seconds(one)[struck], seconds(one)[~struck]
        if min(len(with_read), len(alone)) < LEAST:
            why = f"a read fell into {len(with_read)} of {len(struck)} spans: a comparison needs {LEAST} with and {LEAST} without"
            found[one.phase] = missing(Unit.ONE, why, count=len(struck))
            continue
        share = len(with_read) / len(struck)
        (mid, low, high), (base, floor, ceiling) = _median(with_read), _median(alone)
        found[one.phase] = Quantity(
            share * (mid / base - 1),
            Unit.ONE,
            measured(record, f"a read fell into {share:.1%} of the spans, which took {mid / base - 1:+.1%}"),
            low=share * (low / ceiling - 1),
            high=share * (high / floor - 1),
            count=len(struck),
        )
    return found


METRICS = (
    Metric(
        "sampler_shift",
        "Latency added by reading the sensors",
        Unit.ONE,
        "lower",
        "share of the spans that a read fell into x (their median / the others' median - 1); bounds: 95 % from the order statistics of both medians",
        _shift,
    ),
)
