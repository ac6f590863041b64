"""socbench bench: measure, and save after every session."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import console
from harness.commands.list import add_zoo
from harness.commands.report import results_folder
from harness.errors import NotGiven, SocbenchError, UsageError

if TYPE_CHECKING:
    from harness.measure.plan import Choice, Session
    from harness.measure.runner import Bench
    from harness.record import RunRecord, Setting
    from harness.store import CampaignPlan, Store

EPILOG = """\
examples:
  socbench bench host
  socbench bench host --workload resnet50 --workload yolov8n --precision int8
  socbench bench host --threads 2 --seconds 20
  socbench bench host --weights weights/       pretrained weights, one folder a workload
  socbench bench host --resume                 go on with the campaign that was interrupted

environment: SOCBENCH_THREADS, SOCBENCH_SECONDS, SOCBENCH_WEIGHTS, SOCBENCH_RESULTS, SOCBENCH_CACHE
exit code: 0 all sessions measured; 1 a session failed (its record says why); 2 nothing could be started; 130 interrupted
"""
DONE = ("ok", "invalid", "unsupported", "skipped")


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "bench",
        help="measure the zoo on a target",
        description="Measure workloads on a target; every session is saved as it ends.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("target", metavar="TARGET", help="what to measure on (socbench list targets)")
    one.add_argument("--workload", action="append", default=[], metavar="W", help="only this workload; may be repeated")
    one.add_argument("--precision", action="append", default=[], metavar="P", help="only this precision (fp32, int8, q4_k_m ...); may be repeated")
    one.add_argument("--runtime", action="append", default=[], metavar="R", help="only this runtime; may be repeated")
    one.add_argument("--scenario", action="append", default=[], choices=("single-stream", "offline"), help="only this scenario")
    one.add_argument("--seconds", metavar="S", help="least measured time a session, in seconds (default: the workload's)")
    one.add_argument("--threads", metavar="N", help="threads the runtime may use (default: 1)")
    one.add_argument("--weights", metavar="DIR", help="pretrained weights, DIR/<workload>/ (default: synthetic)")
    one.add_argument("--resume", action="store_true", help="go on with the last campaign where it stopped")
    one.add_argument("--results", type=Path, default=None, metavar="DIR", help="where records go (default: results, or $SOCBENCH_RESULTS)")
    add_zoo(one)
    one.add_argument("--json", action="store_true", help="one JSON document on stdout; progress stays on stderr")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Plan, build, measure, save, sum up."""
    from harness.measure.artifacts import Workshop
    from harness.measure.link import Local
    from harness.measure.plan import plan
    from harness.measure.runner import Bench
    from harness.spec import Zoo
    from harness.store import Store

    zoo, store = Zoo(arguments.zoo), Store(results_folder(arguments))
    resumed = _resumed(arguments, store)
    environ: Mapping[str, str] = os.environ
    if resumed:  # with the settings it began with, and not with what the environment says by now
        environ = {name[1:]: value for name, value in resumed.arguments.items() if name[0] == "$"}
        arguments = argparse.Namespace(**{**vars(arguments), **_parsed(resumed.arguments)})
    choice = _choice(arguments, environ)
    weights = setting("weights", arguments.weights, _weights, "synthetic", environ)
    folder = None if weights.source == "default" else Path(str(weights.value))
    sessions = plan(zoo, choice)
    workshop = Workshop(zoo, folder)  # refuses a missing folder before there is a campaign
    with store.writing():
        campaign = resumed or _begun(arguments, store, sessions)
        kept = _kept(zoo, store, campaign, sessions) if resumed else {}
        todo = [one for one in sessions if str(one) not in kept]
        console.say(_opening(arguments.target, sessions, todo, store.folder))
        with console.Progress(len(todo)) as progress, workshop:
            workshop.say = progress.line
            bench = Bench(zoo, Local(), workshop, campaign.campaign, weights, watch=_watch(progress))
            try:
                _build(progress, workshop, todo)
                measured = _measure(bench, store, todo, progress)
            except KeyboardInterrupt:
                progress.line(f"interrupted: {progress.done} of {len(todo)} sessions are saved in {store.folder}; go on with: {_again(arguments)}")
                raise
    records = [*kept.values(), *measured]
    _sum_up(records)
    if arguments.json:
        console.document({"campaign": campaign.campaign, "results": str(store.folder), "records": [summary(one) for one in records]})
    return 1 if any(one.status == "failed" for one in records) else 0


def _again(arguments: argparse.Namespace) -> str:
    """The command that goes on with this campaign."""
    words = ["socbench", "bench", arguments.target, "--resume", *(["--results", str(arguments.results)] if arguments.results else [])]
    for root in arguments.zoo:
        words += ["--zoo", str(root)]
    return shlex.join(words)


def setting(name: str, given: str | None, kind: Callable[[str], Any], default: Any, environ: Mapping[str, str]) -> Setting:
    """The value of a setting and where it was made: command line, else $SOCBENCH_<NAME>, else the default."""
    from harness.record import Setting

    variable = f"SOCBENCH_{name.upper()}"
    text, source, where = (given, "command line", f"--{name}") if given is not None else (environ.get(variable), "environment", f"${variable}")
    if text is None or (source == "environment" and not text):
        return Setting(default, "default")
    try:
        return Setting(kind(text), source)  # type: ignore[arg-type]
    except ValueError as error:
        example = f"--{name} {EXAMPLES[name]}" if source == "command line" else f"{variable}={EXAMPLES[name]}"
        raise UsageError(f"{where} {text!r}: {error}", f"for example {example}") from None


EXAMPLES = {"threads": "2", "seconds": "10", "weights": "weights/"}


def _threads(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError("not a whole number") from None
    usable = len(os.sched_getaffinity(0))
    if not 1 <= number <= usable:
        raise ValueError(f"must be from 1 to {usable}, the processors this process may use")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("not a number of seconds") from None
    if not 0 < number <= 86_400:
        raise ValueError("must be more than 0 and at most 86400")
    return number


def _weights(text: str) -> str:
    if not text:
        raise ValueError("names no folder")
    return text


def _choice(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Choice:
    from harness.measure.plan import Choice

    return Choice(
        target=arguments.target,
        workloads=tuple(dict.fromkeys(arguments.workload)),
        precisions=tuple(arguments.precision),
        runtimes=tuple(arguments.runtime),
        scenarios=tuple(arguments.scenario),
        threads=setting("threads", arguments.threads, _threads, 1, environ),
        seconds=setting("seconds", arguments.seconds, _seconds, None, environ),
    )


# --- campaigns ---------------------------------------------------------------------------------------------------------------------------

LISTS = ("workload", "precision", "runtime", "scenario")
WORDS = ("seconds", "threads", "weights")


def _resumed(arguments: argparse.Namespace, store: Store) -> CampaignPlan | None:
    """The campaign that --resume goes on with."""
    if not arguments.resume:
        return None
    if any(getattr(arguments, name) for name in (*LISTS, *WORDS)):
        raise UsageError("--resume goes on with the choice of the campaign it continues", "leave out the other options, or leave out --resume")
    found = store.last_plan(arguments.target)
    if found is None:
        raise UsageError(f"{store.folder}: no campaign on {arguments.target!r} to go on with", f"begin one: socbench bench {arguments.target}")
    return found


def _begun(arguments: argparse.Namespace, store: Store, sessions: list[Session]) -> CampaignPlan:
    import secrets

    from harness.store import CampaignPlan

    now = datetime.now(UTC)
    given = {name: "\n".join(getattr(arguments, name)) for name in LISTS if getattr(arguments, name)}
    for name in WORDS:
        for key, value in ((name, getattr(arguments, name)), (f"$SOCBENCH_{name.upper()}", os.environ.get(f"SOCBENCH_{name.upper()}"))):
            if value:
                given[key] = str(Path(value).resolve()) if name == "weights" else value
    campaign = CampaignPlan(f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}", f"{now:%Y-%m-%dT%H:%M:%SZ}", given, [str(one) for one in sessions])
    store.add_plan(arguments.target, campaign)
    return campaign


def _parsed(given: dict[str, str]) -> dict[str, Any]:
    return {name: value.split("\n") if name in LISTS else value for name, value in given.items() if name[0] != "$"}


def _kept(zoo: Any, store: Store, campaign: CampaignPlan, sessions: list[Session]) -> dict[str, RunRecord]:
    """What the campaign has already measured, and whose workload is still the same."""
    hashes = {one.workload: zoo.workload_sha256(one.workload) for one in sessions}
    names = {(one.workload, one.precision, one.runtime, one.scenario): str(one) for one in sessions}
    kept = {}
    for _, record in store.records(sessions[0].target):
        cell = (record.workload, record.precision, record.runtime, record.scenario)
        if record.campaign == campaign.campaign and record.status in DONE and cell in names and record.workload_sha256 == hashes[record.workload]:
            kept[names[cell]] = record
    return kept


# --- the work ----------------------------------------------------------------------------------------------------------------------------


def _opening(target: str, sessions: list[Session], todo: list[Session], folder: Path) -> str:
    if not todo:
        return f"{target}: all {len(sessions)} sessions of this campaign are measured already"
    kept = f", {len(sessions) - len(todo)} already measured" if len(todo) < len(sessions) else ""
    return f"{target}: {len(todo)} sessions to measure{kept}; records go to {folder}"


def _build(progress: console.Progress, workshop: Any, todo: list[Session]) -> None:
    """Have every model file before the first measurement, so that no build disturbs one."""
    progress.title = "preparing models"
    products = list(dict.fromkeys(one.product for one in todo))
    workshop.begin(products)
    for product in products:
        progress.note(str(product))
        try:
            workshop.get(product)
        except SocbenchError as error:
            if workshop.folder(product.workload) and not isinstance(error, NotGiven):
                raise  # a file of the user's that cannot be used: nothing is measured before that is mended
            progress.line(str(error))  # becomes this session's record
    for session in todo:
        if session.scenario == "single-stream" and session.precision != "fp32":
            progress.note(f"{session.workload} reference")
            try:
                workshop.reference(session.workload)
            except SocbenchError:
                continue  # the record says why there is none


def _measure(bench: Bench, store: Store, todo: list[Session], progress: console.Progress) -> list[RunRecord]:
    from harness.measure.runner import run as measure

    measured = []
    for session in todo:
        progress.start(str(session))
        record = measure(bench, session)
        store.add(record)
        measured.append(record)
        progress.finish(outcome(record))
    return measured


def _watch(progress: console.Progress) -> Callable[[str, dict[str, Any]], None]:
    def watch(stage: str, seen: dict[str, Any]) -> None:
        count = f" {seen.get('count', 0)}/{seen['min_count']}" if "min_count" in seen else ""
        progress.note(f"{stage}{count}")

    return watch


def outcome(record: RunRecord) -> str:
    """A record in a few words."""
    if record.status not in ("ok", "invalid"):
        return f"{record.status}: {record.reason}" + (f"; fix: {record.fix}" if record.fix else "")
    found = _headline(record)
    word = "" if record.status == "ok" else "invalid: "
    flags = [problem.code for problem in record.problems if problem.severity != "note"]
    return f"{word}{found}" + (f"  [{', '.join(flags)}]" if flags else "")


HEADLINE = {
    "classify": (("latency_p50", "infer"), ("throughput", "infer")),
    "detect": (("latency_p50", "infer"), ("throughput", "infer")),
    "transcribe": (("latency_p50", "item"), ("throughput", "item")),
    "generate": (("ttft", "prefill"), ("throughput", "decode")),
}


def _headline(record: RunRecord) -> str:
    from harness.metrics import readings
    from harness.quantity import text

    found = {(one.metric.id, one.phase): one.quantity for one in readings(record)}
    parts = []
    for metric, phase in HEADLINE.get(record.task, HEADLINE["classify"]):
        quantity = found.get((metric, phase)) or found.get((metric, ""))
        if quantity is not None and quantity.value is not None and not (record.scenario == "offline" and metric.startswith("latency")):
            parts.append(f"{metric} {text(quantity.value, quantity.unit)}")
    return ", ".join(parts)


def summary(record: RunRecord) -> dict[str, Any]:
    """A record and its metrics for a machine to read; spans stay in the file."""
    from harness.metrics import readings

    return {
        "run_id": record.run_id,
        "target": record.target,
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
                "reason": one.quantity.reason,
            }
            for one in readings(record)
        ],
    }


def _sum_up(records: list[RunRecord]) -> None:
    rows = [[one.workload, one.precision, one.runtime, one.scenario, one.status, outcome(one).removeprefix(f"{one.status}: ")] for one in records]
    if rows:
        console.say("")
        console.table(["workload", "precision", "runtime", "scenario", "status", "result"], rows)
    if any(one.artifact and one.artifact.weights == "synthetic" for one in records):
        console.say("\nsynthetic weights: speed, memory and energy are real, what the models answer is not")
