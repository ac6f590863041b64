"""Something else ran on the machine during the measurement.

Three witnesses, from the strongest to the weakest.
1. Wall over CPU time of blocks. With one thread that computes on the host's CPU both are equal, unless the thread had to wait: median above
   1.05 is a warning (precision .99), above 1.2 invalid: the typical item is then itself a disturbed one. With several threads the ratio
   means nothing: CPU time is that of all threads, a parallel efficiency below 1 looks like lost time, and threads that spin while they
   wait hide lost time. Where an accelerator computes, the process sleeps by design. Where the runtime does not say where it computes, the
   ratio counts only together with preemptions that were seen.
2. Items that took more than 1.2 x the median: 3 % of them are a warning, 10 % invalid. Of a run with two speeds (`modes.py`) the slower one is the
   reference, unless the CPU time of the slow items shows that they were kept waiting.
3. Pressure (PSI) and stolen time: what others say, hence warnings; pressure is asked only where the first witness cannot speak.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.checks.modes import two_modes
from harness.checks.series import LATENCY, RATES, Judged, after_warmup, judged
from harness.metrics.spans import window
from harness.record import Blocks, Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.metrics.spans import Floats

ORDER = 40
WAITED, WAITED_TOO_LONG = 1.05, 1.2
SLOW = math.log(1.2)
SHARE, SHARE_TOO_HIGH = 0.03, 0.1
PRESSURE = 0.1
STOLEN = 0.05
FEW_BLOCKS = 5
FIX = "stop what else runs (top, systemctl list-timers), or move to an idle machine, and run again"


def stolen(record: RunRecord) -> float | None:
    """CPU seconds per second that the hypervisor gave to others, all CPUs together, until the steady stage ended; None where unknown."""
    before, after = record.environment.get("before") or {}, record.environment.get("after") or {}
    counted = [one for one in record.spans if one.stage != "pipeline" and one.begin_ns]  # the state "after" is read before the pipeline
    if before.get("steal_s") is None or after.get("steal_s") is None or not counted:
        return None
    lasted = max(one.end_ns[-1] for one in counted) - min(one.begin_ns[0] for one in counted)
    return float(after["steal_s"] - before["steal_s"]) * 1e9 / max(lasted, 1)


def telling_blocks(record: RunRecord) -> Blocks | None:
    """The steady blocks, where wall over CPU time says something."""
    threads = record.settings.get("threads")
    blocks = next((one for one in record.blocks if one.stage == "steady"), None)
    if threads is None or threads.value != 1 or blocks is None or len(blocks.cpu_ns) < FEW_BLOCKS or min(blocks.cpu_ns) <= 0:
        return None
    used = {unit for unit, share in record.offload.items() if any(share.values())}
    if used:
        return blocks if used == {"cpu"} else None
    return blocks if sum(blocks.switches) > 0 or (stolen(record) or 0) > STOLEN else None


def waiting(blocks: Blocks) -> Floats:
    """Wall over CPU time of each block."""
    import numpy as np

    wall = np.asarray(blocks.end_ns, dtype=np.int64) - np.asarray(blocks.begin_ns, dtype=np.int64)
    return np.asarray(wall / np.asarray(blocks.cpu_ns, dtype=np.int64))


def _slow_ones_waited(record: RunRecord, series: Judged) -> bool:
    """Whether the blocks with slow values lost more wall time than the others."""
    import numpy as np

    blocks = telling_blocks(record)
    if blocks is None:
        return False
    slow = np.asarray(series.begin_ns)[series.log > np.median(series.log[series.warmup :]) + SLOW]
    owner = np.searchsorted(np.asarray(blocks.begin_ns), slow, side="right") - 1
    hit = np.zeros(len(blocks.begin_ns), dtype=bool)
    hit[owner[(owner >= 0) & (slow >= blocks.begin_ns[0])]] = True
    ratio = waiting(blocks)
    return bool(hit.any() and not hit.all() and np.median(ratio[hit]) > WAITED * np.median(ratio[~hit]))


def pressure(record: RunRecord) -> float | None:
    """Share of time in which something waited for a CPU: the median over the steady stage, else the state after it; None where unknown."""
    import numpy as np

    stretch = window(record)
    for telemetry in record.telemetry:
        for i, channel in enumerate(telemetry.channels):
            if channel.kind == "pressure" and "cpu" in channel.site and stretch is not None:
                offset = telemetry.clock_offset_ns
                rows = zip(telemetry.t_ns, telemetry.rows, strict=True)
                seen = [value for t, row in rows if stretch[0] <= t + offset <= stretch[1] and (value := row[i]) is not None]
                if seen:
                    return float(np.median(seen))
    after = (record.environment.get("after") or {}).get("psi") or {}
    found = (after.get("cpu") or {}).get("some_avg10")
    return None if found is None else float(found)


def check(record: RunRecord) -> Iterator[Problem]:
    """Lost CPU time, slow items, pressure, stolen time."""
    yield from _lost(record)
    yield from _bursts(record)
    yield from _told(record)


def _lost(record: RunRecord) -> Iterator[Problem]:
    import numpy as np

    blocks = telling_blocks(record)
    ratio = float(np.median(waiting(blocks))) if blocks else 1.0
    if ratio > WAITED:
        yield Problem(
            code="cpu-lost",
            severity="invalid" if ratio > WAITED_TOO_LONG else "warning",
            what=f"the typical block of work took {ratio:.2f} times its CPU time",
            why="the thread waited for a CPU that others used (or for a disk): the times are those of a shared machine",
            fix=FIX,
            spoils=[*LATENCY, *RATES],
        )


def _bursts(record: RunRecord) -> Iterator[Problem]:
    import numpy as np

    series = judged(record)
    if series is None or any(problem.code in ("drift", "no-plateau") for problem in record.problems):
        return  # the share over the median of a series that moves is a share of the movement
    log = after_warmup(series)
    reference, against = float(np.median(log)), "the median"
    modes = two_modes(log) if any(problem.code == "two-modes" for problem in record.problems) else None
    if modes is not None and modes.centre[1] > reference and not _slow_ones_waited(record, series):
        reference, against = modes.centre[1], "the slower of the two speeds"
    share = float(np.mean(log > reference + SLOW))
    if share >= SHARE:
        yield Problem(
            code="interference",
            severity="invalid" if share > SHARE_TOO_HIGH else "warning",
            what=f"{share:.1%} of the {series.name}s took more than 1.2 times {against}",
            why="bursts of other work enter the tail first, then the mean, then the median",
            fix=FIX,
            spoils=["latency_p90", "latency_p99", *RATES] if share <= SHARE_TOO_HIGH else [*LATENCY, *RATES],
        )


def _told(record: RunRecord) -> Iterator[Problem]:
    found = pressure(record)
    if found is not None and found > PRESSURE and telling_blocks(record) is None:
        yield Problem(
            code="cpu-pressure",
            severity="warning",
            what=f"in {found:.0%} of the time something on this machine waited for a CPU",
            why="threads of the measurement may have been among those that waited",
            fix=f"{FIX}; or use fewer threads than there are CPUs",
            spoils=[*LATENCY, *RATES],
        )
    lost = stolen(record)
    if lost is not None and lost > STOLEN:
        yield Problem(
            code="cpu-stolen",
            severity="warning",
            what=f"the hypervisor gave {lost:.2f} CPU seconds per second to other machines",
            why="a virtual CPU that does not run slows the work down without a trace in its CPU time",
            fix="run again at another hour, or on a machine (or instance type) with CPUs of its own",
            spoils=[*LATENCY, *RATES],
        )
