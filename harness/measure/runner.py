"""One Session -> one RunRecord: probe, open, rest, warm up, measure, compare. Whatever goes wrong becomes a record too."""

from __future__ import annotations

import contextlib
import math
import secrets
import statistics
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness import __version__
from harness.checks import judge
from harness.errors import ArtifactError, Cut, LinkError, Lost, NotGiven, SocbenchError, Stable, Transient
from harness.measure import clocks
from harness.measure.artifacts import Made, Workshop
from harness.measure.hold import Held, load
from harness.measure.link import Agent, Link
from harness.measure.meters import Meter
from harness.measure.plan import Session
from harness.metrics.meters import widest
from harness.record import Absent, Blocks, Quality, RunRecord, Setting, Spans, Status, Telemetry
from harness.spec import Zoo

LONGEST_SPAN_GROUP_S = 0.010
"""In the sustain stage short items share a span of about this length [s], so that half an hour of them fits into a record."""
MARGIN = 1.02
"""A stage is so much longer than the meter needs: its window begins with the first item and ends with the last one."""
ROWS_S = 120.0
"""How long a sampler may take to end its read and to tell its rows [s]."""
COMPARE = Path(__file__).with_name("compare.py")
Watch = Callable[[str, dict[str, Any]], None]
"""Called with a stage's name and its progress (count, seconds)."""


@dataclass
class Bench:
    """What all sessions of a campaign share."""

    zoo: Zoo
    link: Link
    held: Held
    workshop: Workshop
    campaign: str
    weights: Setting
    board: str = ""
    """The board's name; "" is this machine."""
    meters: Sequence[Meter] = ()
    watch: Watch = lambda _stage, _progress: None
    lost: bool = False
    """Whether the machine was lost in a session: the next one needs it held anew."""


class _Draft:
    """The record as it grows: every step adds what it found, so a failure keeps what came before it."""

    def __init__(self, bench: Bench, session: Session) -> None:
        self.emulated = bench.held.emulated
        spec = bench.zoo.workload(session.workload)
        self.fields: dict[str, Any] = {
            "run_id": secrets.token_hex(4),
            "campaign": bench.campaign,
            "begun_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "socbench": __version__,
            "target": session.target,
            "module": bench.held.module or bench.held.board.get("module") or bench.held.board.get("arch", ""),
            "board": bench.board,
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
            "environment": {"board": bench.held.board, "pin": bench.held.pinned},
            "spans": [],
            "blocks": [],
            "telemetry": [],
        }

    def finish(self, status: Status, reason: str = "", fix: str = "", detail: str = "") -> RunRecord:
        reason = " ".join(reason.split())[:400]  # a runtime's message can be a page; all of it is in detail
        told = {**self.fields, "status": status, "reason": reason, "fix": fix, "detail": detail}
        record = msgspec.convert(told, RunRecord, from_attributes=True)
        return _without_timing(record) if self.emulated else record


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
                except SocbenchError as error:
                    bench.lost = isinstance(error, (Lost, Cut))
                    if isinstance(error, Transient) and not (last or bench.lost):
                        continue
                    return _failed(bench, session, draft, error, agent.stderr())
                except Exception as error:  # noqa: BLE001 - what a half answers is as foreign as what it raises
                    odd = Stable(f"a half answered what cannot be read: {error!r}", "see detail for the trace", traceback.format_exc())
                    return _failed(bench, session, draft, odd, agent.stderr())
        except LinkError as error:  # no agent came up at all
            bench.lost = isinstance(error, (Lost, Cut))
            if last or bench.lost or not isinstance(error, Transient):
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


def _without_timing(record: RunRecord) -> RunRecord:
    """Of a run that was not on the silicon it names only what does not depend on speed: that it ran, what it answered, where its operations went."""
    return msgspec.structs.replace(record, spans=[], blocks=[], telemetry=[], memory={})


def _measured(bench: Bench, session: Session, made: Made, draft: _Draft, agent: Agent) -> RunRecord:
    zoo, fields, link = bench.zoo, draft.fields, bench.link
    spec, toml = zoo.workload(session.workload), zoo.workload_files[session.workload]
    target, target_toml = zoo.target(session.target), zoo.target_files[session.target]
    board = zoo.halves("boards", target.board, target_toml)
    threads = int(session.settings["threads"].value or 1)
    cpus = bench.held.board.get("cpus") or threads
    if threads > cpus:
        raise Stable(f"{threads} threads were asked for, and {link.name or 'this machine'} has {cpus} CPUs", f"--threads {cpus} is the most")
    load(link, agent, [*board, *zoo.halves("runtimes", session.runtime, target_toml), *zoo.halves("tasks", spec.task, toml), ("compare", COMPARE)])
    seen = agent.ask("probe", 60.0)
    fields["runtime_version"] = str(seen["runtime"].get("version", ""))
    environment = fields["environment"]
    environment.update(runtime=seen["runtime"], before=seen["state"])

    bench.watch("send", {})
    places = dict(zip(made.paths, link.put(list(made.paths.values())), strict=True))
    samples = link.put(bench.workshop.samples(session.workload))
    bench.watch("open", {})
    opened = agent.ask(
        "open",
        300.0,
        files={role: places[role] for role in made.models},
        threads=threads,
        options=spec.task_options,
        samples=samples,
        task_options=spec.task_options,
        batch=session.batch,
    )
    environment["io"] = opened["io"]
    fields["offload"] = msgspec.convert(_summed(opened["offload"]), dict[str, dict[str, float]])
    fields["spans"] += [msgspec.convert(one, Spans) for one in opened["spans"]]

    stop = session.stop
    with _sampling(bench, session, board, draft, agent) as watched:
        _stage(bench, agent, draft, "first", (1, 0.0, stop.max_seconds))
        needed = 0.0 if draft.emulated else _needed(draft, watched)
        _rest(bench, session, agent, draft, needed)
        if stop.warmup_count:
            _stage(bench, agent, draft, "warmup", (stop.warmup_count, stop.warmup_seconds, stop.max_seconds))
        fields["memory"] = _steady(bench, session, agent, draft, needed)
        environment["after"] = agent.ask("probe", 60.0, what="state")["state"]
        _sustain(bench, session, agent, draft)
    if stop.pipeline_count:
        _stage(bench, agent, draft, "pipeline", (stop.pipeline_count, 0.0, stop.max_seconds))
    if session.scenario == "single-stream":
        fields["quality"] = _quality(bench, session, agent)
    agent.ask("close", 60.0)
    return draft.finish("ok")


def _needed(draft: _Draft, watched: list[Telemetry]) -> float:
    """Length [s] of a stage of which the meter that will be believed, the widest, can say something; 0 where there is none."""
    meter = widest(msgspec.structs.replace(draft.finish("ok"), telemetry=watched))
    return 0.0 if isinstance(meter, str) else meter.seconds


def _steady(bench: Bench, session: Session, agent: Agent, draft: _Draft, needed: float) -> dict[str, int]:
    """The steady stage: where nobody chose its length, long enough for the power meter."""
    stop, least = session.stop, needed * MARGIN
    if session.settings["seconds"].source == "file" and least > stop.min_seconds:
        stop = msgspec.structs.replace(stop, min_seconds=least, max_seconds=max(stop.max_seconds, least))
        draft.fields["settings"]["seconds"] = Setting(least, "power meter")
    return _stage(bench, agent, draft, "steady", (stop.min_count, stop.min_seconds, stop.max_seconds))


def _rest(bench: Bench, session: Session, agent: Agent, draft: _Draft, needed: float) -> None:
    """The idle window: as long as was asked for, or as the power meter needs; none where nothing sees power."""
    asked = session.settings["idle"].value
    seconds = float(asked) if asked is not None else needed
    if seconds <= 0:
        return
    bench.watch("idle", {"seconds": seconds})
    draft.fields["spans"] += [msgspec.convert(one, Spans) for one in agent.ask("rest", seconds + 120.0, seconds=seconds)["spans"]]


def _sustain(bench: Bench, session: Session, agent: Agent, draft: _Draft) -> None:
    """The steady work for as long as was asked for; short items share spans."""
    seconds = float(session.settings["sustain"].value or 0.0)
    if seconds <= 0:
        return
    steady = [one for one in draft.fields["spans"] if one.stage == "steady"]
    group = 1
    if len(steady) == 1:
        took = statistics.median(end - begin for begin, end in zip(steady[0].begin_ns, steady[0].end_ns, strict=True)) / 1e9
        group = max(1, math.ceil(LONGEST_SPAN_GROUP_S / max(took, 1e-9)))
    _stage(bench, agent, draft, "sustain", (1, seconds, seconds + 60.0), group=group)


def _stage(  # noqa: PLR0913 - each of them differs from call to call
    bench: Bench, agent: Agent, draft: _Draft, stage: str, stop: tuple[int, float, float], *, group: int = 1
) -> dict[str, int]:
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
        group=group,
    )
    draft.fields["spans"] += [msgspec.convert(one, Spans) for one in found["spans"]]
    draft.fields["blocks"].append(msgspec.convert(found["blocks"], Blocks))
    memory: dict[str, int] = found["memory"]
    return memory


@contextlib.contextmanager
def _sampling(bench: Bench, session: Session, board: list[tuple[str, Path]], draft: _Draft, agent: Agent) -> Iterator[list[Telemetry]]:
    """Sensors and meters are read while the block runs; it is given what they will see, still without a row.

    A sampler that ends by itself costs the telemetry and not the run.
    """
    hertz = float(session.settings["sample_hz"].value or 0)
    remote = bool(bench.link.name)  # our own clock is the one that the meters are stamped with
    with bench.link.start(1) as sampler, contextlib.ExitStack() as meters:
        worker = clocks.read(agent)
        draft.fields["environment"]["clock"] = {"clock_ns": worker.clock_ns, "unix_ns": worker.unix_ns, "error_ns": worker.error_ns}
        load(bench.link, sampler, board)
        sampler.begin("sample", hertz=hertz, pid=worker.pid, covers=bench.held.covers)
        seen = sampler.wait("sampling", 30.0)
        told = {"instrument": f"board:{board[-1][1].stem}", "hertz": hertz, "t_ns": [], "rows": [], "absent": []}
        watched = [msgspec.convert({**told, "channels": seen["channels"], "totals": seen.get("totals", [])}, Telemetry)]
        for meter in bench.meters:
            meter.begin()
            meters.callback(meter.end)
            watched.append(Telemetry(meter.instrument, meter.hertz, meter.channels, [], [], []))
        yield watched
        draft.fields["telemetry"].append(_sensors(sampler, hertz, board[-1][1].stem))
        meters.pop_all()
        offset, error = clocks.between(worker, clocks.read(agent)) if remote else (0, 0)
        for meter in bench.meters:
            found = meter.end()
            found = msgspec.structs.replace(found, clock_offset_ns=found.clock_offset_ns + offset, clock_error_ns=found.clock_error_ns + error)
            draft.fields["telemetry"].append(found)


def _sensors(sampler: Agent, hertz: float, half: str) -> Telemetry:
    """End the sampling; all rows."""
    t_ns: list[int] = []
    rows: list[list[float | None]] = []

    def keep(event: dict[str, Any]) -> None:
        if event["event"] == "rows":
            t_ns.extend(event["t_ns"])
            rows.extend(event["rows"])

    try:
        sampler.begin("close")  # any request ends the sampling, whose answer comes first
        found = sampler.finish(ROWS_S, keep)
        sampler.finish(30.0)
    except LinkError as error:  # where it is the link and not the sampler, the worker's next answer says so
        lost = Absent("power", f"board:{half}", f"the process that read the sensors was lost: {error.what}", error.fix or "measure again")
        return Telemetry(f"board:{half}", hertz, [], [], [], [lost])
    return msgspec.convert({"instrument": f"board:{half}", "hertz": hertz, **found, "t_ns": t_ns, "rows": rows}, Telemetry)


def _quality(bench: Bench, session: Session, agent: Agent) -> Quality:
    """Outputs against the fp32 reference."""
    if session.precision == "fp32":
        return Quality("", [], "this is the fp32 reference itself")
    bench.watch("compare", {})
    try:
        reference = bench.workshop.reference(session.workload)
    except ArtifactError as error:
        return Quality("", [], error.what)
    found = agent.ask("compare", 600.0, reference=bench.link.put([reference])[0])
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
