"""Targets x workloads x runtimes x precisions x scenarios -> Sessions, and for each gap the reason why it is one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from harness.errors import UsageError
from harness.measure.artifacts import Product
from harness.record import Scenario, Setting
from harness.spec import RuntimeUse, Stop, Target, Workload, Zoo

Source = Literal["default", "file", "environment", "command line", "power meter"]


@dataclass(frozen=True)
class Session:
    """One thing to measure."""

    target: str
    workload: str
    runtime: str
    precision: str
    scenario: Scenario
    product: Product
    stop: Stop
    batch: int
    settings: dict[str, Setting] = field(hash=False)
    """What the user may set, by name: threads, seconds, count, batch, sample_hz, idle, sustain; `runner` reads them from here."""

    def __str__(self) -> str:
        return f"{self.workload} {self.precision} {self.runtime}" + (f" {self.scenario}" if self.scenario != "single-stream" else "")


DEFAULT_THREADS = Setting(1, "default")
DEFAULT_SECONDS = Setting(None, "default")  # each workload has its own
DEFAULT_SAMPLE_HZ = Setting(10.0, "default")
DEFAULT_IDLE = Setting(None, "default")  # as long as the power meter needs; without one there is nothing to see
DEFAULT_SUSTAIN = Setting(0.0, "default")


@dataclass(frozen=True)
class Choice:
    """What the user asked for; an empty tuple means everything."""

    target: str
    workloads: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    threads: Setting = DEFAULT_THREADS
    seconds: Setting = DEFAULT_SECONDS
    sample_hz: Setting = DEFAULT_SAMPLE_HZ
    """How often the sensors are read [Hz]."""
    idle: Setting = DEFAULT_IDLE
    """How long nothing runs before a measurement, for the idle power [s]; None: as long as the meter needs."""
    sustain: Setting = DEFAULT_SUSTAIN
    """How long the steady work goes on afterwards, for what heat does to it [s]."""


def products(use: RuntimeUse, name: str, workload: Workload) -> dict[str, Product]:
    """Precision -> the product that this runtime would open."""
    found = {form.partition("/")[2]: Product(name, form) for form in workload.model.writes if form in use.opens}
    for precision, convert in use.convert.items():
        if convert.source in workload.model.writes:
            found[precision] = Product(name, f"{convert.format}/{precision}", convert)
    return found


def plan(zoo: Zoo, choice: Choice) -> list[Session]:
    """The sessions of `choice`, workload by workload. Raises UsageError for a name that nothing has, or when nothing is left."""
    target = zoo.target(choice.target)
    for runtime in choice.runtimes:
        _known("runtime", runtime, list(target.runtimes))
    names = choice.workloads or tuple(zoo.workload_files)
    workloads = {name: zoo.workload(name) for name in names}
    sessions = [session for name, spec in workloads.items() for session in _of_workload(choice, target, name, spec)]
    uses = target.runtimes.values()
    precisions = sorted({form.partition("/")[2] for use in uses for form in use.opens} | {one for use in uses for one in use.convert})
    for precision in choice.precisions:
        _known("precision", precision, precisions)
    chosen = [
        one
        for one in sessions
        if (one.precision in choice.precisions if choice.precisions else one.product.form not in workloads[one.workload].model.on_request)
        and (not choice.runtimes or one.runtime in choice.runtimes)
        and (not choice.scenarios or one.scenario in choice.scenarios)
    ]
    if not chosen:
        offered = ", ".join(sorted({f"{one.workload} {one.runtime} {one.precision} {one.scenario}" for one in sessions}))
        raise UsageError("nothing to measure: no workload has that runtime, precision and scenario", f"choose among: {offered}")
    return chosen


def _known(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        raise UsageError(f"unknown {what} {name!r}", f"{f'did you mean {close[0]!r}? ' if close else ''}known: {', '.join(known)}")


def _of_workload(choice: Choice, target: Target, name: str, spec: Workload) -> list[Session]:
    sessions = []
    for runtime, use in target.runtimes.items():
        for precision, product in products(use, name, spec).items():
            for scenario, stop, batch in _scenarios(spec, choice.seconds):
                settings = {
                    "threads": choice.threads,
                    "seconds": Setting(stop.min_seconds, choice.seconds.source if choice.seconds.value is not None else "file"),
                    "count": Setting(stop.min_count, "file"),
                    "batch": Setting(batch, "file"),
                    "sample_hz": choice.sample_hz,
                    "idle": choice.idle if scenario == "single-stream" else Setting(0.0, "default"),
                    "sustain": choice.sustain,
                }
                sessions.append(Session(choice.target, name, runtime, precision, scenario, product, stop, batch, settings))
    return sessions


def _scenarios(spec: Workload, seconds: Setting) -> list[tuple[Scenario, Stop, int]]:
    def timed(stop: Stop) -> Stop:
        if not isinstance(seconds.value, int | float):
            return stop
        return msgspec.structs.replace(stop, min_seconds=float(seconds.value), max_seconds=max(stop.max_seconds, 4 * seconds.value))

    found: list[tuple[Scenario, Stop, int]] = [("single-stream", timed(spec.stop), 1)]
    if not spec.offline.reason:
        offline = spec.offline
        found.append(("offline", timed(Stop(offline.min_count, offline.min_seconds, 60.0, warmup_count=0, pipeline_count=0)), offline.batch))
    return found
