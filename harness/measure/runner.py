"""One Session -> one RunRecord: probe, pin, open, warm up, measure, compare, restore. Whatever goes wrong becomes a record too."""

from __future__ import annotations

import contextlib
import math
import platform
import secrets
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__
from harness.cache import sha256
from harness.checks import judge
from harness.errors import ArtifactError, LinkError, NotGiven, SocbenchError, Stable, Transient
from harness.measure.artifacts import Made, Workshop
from harness.measure.link import Agent, Link
from harness.measure.plan import Session
from harness.record import Blocks, Quality, RunRecord, Setting, Spans, Status, Telemetry
from harness.spec import Zoo

SAMPLE_HERTZ = 10.0
COMPARE = Path(__file__).with_name("compare.py")
Watch = Callable[[str, dict[str, Any]], None]
"""Called with a stage's name and its progress (count, seconds)."""


@dataclass
class Bench:
    """What all sessions of a campaign share."""

    zoo: Zoo
    link: Link
    workshop: Workshop
    campaign: str
    weights: Setting
    watch: Watch = lambda _stage, _progress: None


class _Draft:
    """The record as it grows: every step adds what it found, so a failure keeps what came before it."""

    def __init__(self, bench: Bench, session: Session) -> None:
        spec = bench.zoo.workload(session.workload)
        self.fields: dict[str, Any] = {
            "run_id": secrets.token_hex(4),
            "campaign": bench.campaign,
            "begun_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "socbench": __version__,
            "target": session.target,
            "module": platform.processor() or platform.machine(),
            "workload": session.workload,
            "workload_sha256": bench.zoo.workload_sha256(session.workload),
            "title": spec.title,
            "task": spec.task,
            "item": spec.item,
            "runtime": session.runtime,
            "runtime_version": "",
            "precision": session.precision,
            "scenario": session.scenario,
            "settings": {**session.settings, "weights": bench.weights},
            "environment": {},
            "spans": [],
            "blocks": [],
            "telemetry": [],
        }

    def finish(self, status: Status, reason: str = "", fix: str = "", detail: str = "") -> RunRecord:
        reason = " ".join(reason.split())[:400]  # a runtime's message can be a page; all of it is in detail
        return msgspec.convert({**self.fields, "status": status, "reason": reason, "fix": fix, "detail": detail}, RunRecord, from_attributes=True)


def run(bench: Bench, session: Session) -> RunRecord:
    """Measure `session`. Never raises for a failing model or runtime; KeyboardInterrupt passes through."""
    draft = _Draft(bench, session)
    try:
        bench.watch("model", {})
        made = bench.workshop.get(session.product)
    except SocbenchError as error:
        return draft.finish("skipped" if isinstance(error, NotGiven) else "failed", error.what, error.fix, error.detail)
    for last in (False, True):
        draft = _Draft(bench, session)
        draft.fields["artifact"] = made.artifact
        draft.fields["settings"]["weights"] = Setting(made.artifact.weights, bench.weights.source)
        try:
            with bench.link.start(int(session.settings["threads"].value or 1)) as agent:
                try:
                    record = _measured(bench, session, made, draft, agent)
                except Transient as error:
                    if not last:
                        continue
                    return _failed(bench, session, draft, error, agent.stderr())
                except SocbenchError as error:
                    return _failed(bench, session, draft, error, agent.stderr())
                except Exception as error:  # noqa: BLE001 - what a half answers is as foreign as what it raises
                    odd = Stable(f"a half answered what cannot be read: {error!r}", "see detail for the trace", traceback.format_exc())
                    return _failed(bench, session, draft, odd, agent.stderr())
        except LinkError as error:  # no agent came up at all
            if last or not isinstance(error, Transient):
                return draft.finish("failed", error.what, error.fix)
        else:
            return judge(record)
    raise AssertionError("two attempts end in a record")


def _failed(bench: Bench, session: Session, draft: _Draft, error: SocbenchError, noise: str) -> RunRecord:
    """A refusal, told apart: a runtime that is not installed, and anything else."""
    use = bench.zoo.target(session.target).runtimes[session.runtime]
    if f"No module named '{use.package.split('.')[0]}'" in error.what:
        return draft.finish("skipped", f"{use.package} is not installed", use.install)
    fix = error.fix or "see detail for the trace and the runtime's own output"
    return draft.finish("failed", error.what, fix, f"{error.detail}\n{noise}".strip())


def _load(bench: Bench, agent: Agent, halves: list[tuple[str, Path]]) -> None:
    for role, path in halves:
        agent.ask("load", 60.0, role=role, path=bench.link.put(path), sha256=sha256(path))


def _measured(bench: Bench, session: Session, made: Made, draft: _Draft, agent: Agent) -> RunRecord:
    zoo, fields = bench.zoo, draft.fields
    spec, toml = zoo.workload(session.workload), zoo.workload_files[session.workload]
    target, target_toml = zoo.target(session.target), zoo.target_files[session.target]
    board = zoo.halves("boards", target.board, target_toml)
    threads = int(session.settings["threads"].value or 1)
    _load(bench, agent, [*board, *zoo.halves("runtimes", session.runtime, target_toml), *zoo.halves("tasks", spec.task, toml), ("compare", COMPARE)])
    seen = agent.ask("probe", 60.0)
    pinned = agent.ask("pin", 60.0, wanted={})
    fields["module"] = seen["board"].get("module") or fields["module"]
    fields["runtime_version"] = str(seen["runtime"].get("version", ""))
    environment = fields["environment"]
    environment.update(board=seen["board"], runtime=seen["runtime"], before=seen["state"], pin=pinned)

    bench.watch("open", {})
    opened = agent.ask(
        "open",
        300.0,
        files={role: bench.link.put(path) for role, path in made.models.items()},
        threads=threads,
        options=spec.task_options,
        samples=[bench.link.put(path) for path in bench.workshop.samples(session.workload)],
        task_options=spec.task_options,
        batch=session.batch,
    )
    environment["io"] = opened["io"]
    fields["offload"] = msgspec.convert(_summed(opened["offload"]), dict[str, dict[str, float]])
    fields["spans"] += [msgspec.convert(one, Spans) for one in opened["spans"]]

    stop = session.stop
    with _sampling(bench, board, draft):
        _stage(bench, agent, draft, "first", (1, 0.0, stop.max_seconds))
        if stop.warmup_count:
            _stage(bench, agent, draft, "warmup", (stop.warmup_count, stop.warmup_seconds, stop.max_seconds))
        fields["memory"] = _stage(bench, agent, draft, "steady", (stop.min_count, stop.min_seconds, stop.max_seconds))
    environment["after"] = agent.ask("probe", 60.0, what="state")["state"]
    if stop.pipeline_count:
        _stage(bench, agent, draft, "pipeline", (stop.pipeline_count, 0.0, stop.max_seconds))
    if session.scenario == "single-stream":
        fields["quality"] = _quality(bench, session, agent)
    agent.ask("close", 60.0)
    return draft.finish("ok")


def _stage(bench: Bench, agent: Agent, draft: _Draft, stage: str, stop: tuple[int, float, float]) -> dict[str, int]:
    """Run one stage until `stop` (count, seconds, most seconds) and keep its spans and blocks; the memory at its end."""
    count, seconds, most = stop
    bench.watch(stage, {"count": 0, "seconds": 0.0, "min_count": count, "min_seconds": seconds})
    found = agent.ask(
        "measure",
        3 * most + 120.0,
        lambda event: bench.watch(stage, {**event, "min_count": count, "min_seconds": seconds}),
        stage=stage,
        min_count=count,
        min_seconds=seconds,
        max_seconds=most,
    )
    draft.fields["spans"] += [msgspec.convert(one, Spans) for one in found["spans"]]
    draft.fields["blocks"].append(msgspec.convert(found["blocks"], Blocks))
    memory: dict[str, int] = found["memory"]
    return memory


@contextlib.contextmanager
def _sampling(bench: Bench, board: list[tuple[str, Path]], draft: _Draft) -> Iterator[None]:
    """A second agent reads the sensors while the block runs."""
    with bench.link.start(1) as sampler:
        _load(bench, sampler, board)
        sampler.begin("sample", hertz=SAMPLE_HERTZ, pid=0)
        sampler.wait("sampling", 30.0)
        yield
        sampler.begin("close")  # any request ends the sampling, whose answer comes first
        found = sampler.finish(30.0)
        sampler.finish(30.0)
        draft.fields["telemetry"].append(msgspec.convert({"instrument": f"board:{board[-1][1].stem}", "hertz": SAMPLE_HERTZ, **found}, Telemetry))


def _quality(bench: Bench, session: Session, agent: Agent) -> Quality:
    """Outputs against the fp32 reference."""
    if session.precision == "fp32":
        return Quality("", [], "this is the fp32 reference itself")
    bench.watch("compare", {})
    try:
        reference = bench.workshop.reference(session.workload)
    except ArtifactError as error:
        return Quality("", [], error.what)
    found = agent.ask("compare", 600.0, reference=bench.link.put(reference))
    for one in found["comparisons"]:
        if not all(math.isfinite(one[name]) for name in ("xx", "yy", "xy", "error")):
            return Quality("", [], f"output {one['output']!r} on {one['sample']} is not finite, or its reference is not")
    return msgspec.convert({"reference": f"onnx/fp32 {reference.parent.name[:12]}", **found}, Quality)


def _summed(offload: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Offload of all models of a session together, by unit."""
    total: dict[str, dict[str, float]] = {}
    for units in offload.values():
        for unit, figures in units.items():
            mine = total.setdefault(unit, {})
            for name, value in figures.items():
                mine[name] = mine.get(name, 0.0) + value
    return total
