"""What a campaign found, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import console
from harness.metrics import readings
from harness.quantity import Unit, text
from harness.record import Problem, RunRecord

ENERGY = ("energy_per_item", "")
HEADLINE = {
    "classify": (("latency_p50", "infer"), ("throughput", "infer"), ENERGY),
    "detect": (("latency_p50", "infer"), ("throughput", "infer"), ENERGY),
    "transcribe": (("latency_p50", "item"), ("throughput", "item"), ENERGY),
    "generate": (("ttft", "prefill"), ("throughput", "decode"), ENERGY),
}
"""By task, the figures that stand for a run: metric and phase."""


def headline(record: RunRecord) -> list[tuple[str, float, Unit]]:
    """(metric, value, unit) of the figures that stand for a run, as far as it has them."""
    found = {(one.metric.id, one.phase): one.quantity for one in readings(record)}
    parts = []
    for metric, phase in HEADLINE.get(record.task, HEADLINE["classify"]):
        quantity = found.get((metric, phase)) or found.get((metric, ""))
        if quantity is not None and quantity.value is not None and not (record.scenario == "offline" and metric.startswith("latency")):
            parts.append((metric, quantity.value, quantity.unit))
    return parts


def outcome(record: RunRecord) -> str:
    """A record in a few words."""
    if record.status not in ("ok", "invalid"):
        return f"{record.status}: {record.reason}" + (f"; fix: {record.fix}" if record.fix else "")
    why = no_energy(record)
    parts = [_figures(record) + (f"; no energy: {why}" if why else ""), _flags(record)]
    return ("" if record.status == "ok" else "invalid: ") + "  ".join(filter(None, parts))


def _figures(record: RunRecord) -> str:
    return ", ".join(f"{metric} {text(value, unit)}" for metric, value, unit in headline(record))


def _flags(record: RunRecord) -> str:
    flags = [problem.code for problem in record.problems if problem.severity != "note"]
    return f"[{', '.join(flags)}]" if flags else ""


def no_energy(record: RunRecord) -> str:
    """Why there is no energy of an item although power was measured, or ""."""
    if not any(channel.kind in ("power", "energy") for telemetry in record.telemetry for channel in telemetry.channels):
        return ""
    found = {(one.metric.id, one.phase): one.quantity for one in readings(record)}[ENERGY]
    return "" if found.value is not None else found.reason


def summary(record: RunRecord) -> dict[str, Any]:
    """A record and its metrics for a machine to read; spans stay in the file."""
    return {
        "run_id": record.run_id,
        "target": record.target,
        "module": record.module,
        "board": record.board,
        "workload": record.workload,
        "runtime": record.runtime,
        "runtime_version": record.runtime_version,
        "precision": record.precision,
        "scenario": record.scenario,
        "weights": record.artifact.weights if record.artifact else None,
        "status": record.status,
        "reason": record.reason,
        "fix": record.fix,
        "problems": [problem.code for problem in record.problems],
        "metrics": [
            {
                "metric": one.metric.id,
                "phase": one.phase,
                "value": one.quantity.value,
                "unit": one.quantity.unit.value,
                "low": one.quantity.low,
                "high": one.quantity.high,
                "count": one.quantity.count,
                "note": one.quantity.evidence.note,
                "reason": one.quantity.reason,
            }
            for one in readings(record)
        ],
    }


def sum_up(records: Sequence[RunRecord], several: bool) -> None:
    """The table of all records, with the board of each where there are `several`."""
    rows = []
    for one in records:
        measured = one.status in ("ok", "invalid")
        told = "  ".join(filter(None, (_figures(one), _flags(one)))) if measured else outcome(one).removeprefix(f"{one.status}: ")
        rows.append([*([one.board] if several else []), one.workload, one.precision, one.runtime, one.scenario, one.status, told])
    if rows:
        console.say("")
        console.table([*(["board"] if several else []), "workload", "precision", "runtime", "scenario", "status", "result"], rows)
    _distrust(records)
    if any(one.artifact and one.artifact.weights == "synthetic" for one in records):
        console.say("\nsynthetic weights: speed, memory and energy are real, what the models answer is not")


def _distrust(records: Sequence[RunRecord]) -> None:
    """Each reason why records are invalid: how many, what was seen in the first of them, what to do."""
    found: dict[str, list[Problem]] = {}
    for one in records:
        for code in dict.fromkeys(problem.code for problem in one.problems if problem.severity == "invalid"):
            found.setdefault(code, []).append(next(problem for problem in one.problems if problem.code == code))
    if found:
        console.say("\ninvalid, so no figure of theirs is used:")
    for code, problems in found.items():
        console.say(f"  {code}, {len(problems)} of {len(records)}: {problems[0].what}\n    fix: {problems[0].fix}")
