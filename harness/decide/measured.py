"""Records as figures: what this installation measured, in the terms of a decision."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from harness.decide.terms import Figure, Role, Source
from harness.metrics import readings
from harness.quantity import Kind, Unit

if TYPE_CHECKING:
    from harness.decide.catalogue import Catalogue, Soc
    from harness.metrics import Reading
    from harness.record import RunRecord

SIGMA = 0.02
"""The least sd of the logarithm of a measured figure: another unit of the same board, another day."""
_FIGURES: tuple[tuple[str, str, str, str, bool], ...] = (
    ("latency_p50", "infer", "latency", "", False),
    ("throughput", "decode", "decode", "generate", False),
    ("throughput", "prefill", "prefill", "generate", False),
    ("ttft", "", "ttft", "", False),
    ("throughput", "", "realtime_factor", "transcribe", True),
    ("energy_per_item", "", "energy", "", False),
    ("peak_memory", "rss", "peak_memory", "", False),
)
"""(metric of a record, phase, metric of a decision, the task it holds for or "", whether it is inverted)."""
_UNITS = {"latency": Unit.SECOND, "ttft": Unit.SECOND, "energy": Unit.JOULE, "peak_memory": Unit.BYTE, "realtime_factor": Unit.ONE}


def entry_of(module: str, catalogue: Catalogue) -> Soc | None:
    """The catalogue entry with the longest name that `module`, the title of a silicon variant or a CPU's name, states; None where it states none."""
    best: tuple[int, Soc] | None = None
    for soc in catalogue.socs.values():
        for name in (soc.name, *(one for names in re.findall(r"\(([^)]+)\)", soc.name) for one in names.split(", "))):
            if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", module, re.IGNORECASE) and (best is None or len(name) > best[0]):
                best = len(name), soc
    return best[1] if best else None


def soc_of(record: RunRecord, catalogue: Catalogue) -> Soc:
    """The catalogue entry a record was measured on, by its module; else the machine itself as a host."""
    from harness.decide.catalogue import Soc, slug

    found = entry_of(re.sub(r"\((?:R|TM)\)", "", record.module), catalogue)
    return found or Soc(slug(record.module), record.module, "", "", "", "", Role.HOST, {}, {})


def figures(records: Iterable[RunRecord], catalogue: Catalogue, links: Mapping[str, str] | None = None) -> tuple[Figure, ...]:
    """The figures of all sound single-stream records. `links`: run_id -> a reference to its record file."""
    found: list[Figure] = []
    for record in records:
        if record.status != "ok" or record.scenario != "single-stream":
            continue
        soc = soc_of(record, catalogue).id
        own = {(one.metric.id, one.phase): one for one in readings(record)}
        for name, phase, metric, task, inverted in _FIGURES:
            reading = own.get((name, phase))
            if reading and reading.quantity.value and (not task or task == record.task):
                value = 1.0 / reading.quantity.value if inverted else reading.quantity.value
                found.append(_figure(record, soc, metric, value, reading, (links or {}).get(record.run_id, "")))
    return tuple(found)


def _figure(record: RunRecord, soc: str, metric: str, value: float, reading: Reading, link: str) -> Figure:  # noqa: PLR0913, PLR0917 - each is a field
    quantity = reading.quantity
    sigma = SIGMA
    if quantity.low and quantity.high:
        sigma = math.hypot(SIGMA, math.log(quantity.high / quantity.low) / 3.92)  # the bounds are 95 %
    threads = record.settings["threads"].value if "threads" in record.settings else None
    return Figure(
        id=f"{record.run_id}/{reading.metric.id}" + (f":{reading.phase}" if reading.phase else ""),
        soc=soc,
        variant="",
        board=record.module,
        workload=record.workload,
        metric=metric,
        value=value,
        unit=_UNITS.get(metric, Unit.PER_SECOND),
        precision=record.precision,
        runtime=record.runtime,
        compute_unit=_unit_of(record),
        batch=1,
        shape="",
        condition={"threads": str(threads)} if threads else {},
        kind=Kind.MEASURED,
        source=Source("record", record.run_id, url=link, date=record.begun_at[:10]),
        note=f"{record.artifact.weights} weights" if record.artifact else "",
        sigma=sigma,
    )


def _unit_of(record: RunRecord) -> str:
    """The processor that ran it: what the runtime half said, else the CPU."""
    said = record.settings.get("device")
    return str(said.value) if said and said.value else "cpu"
