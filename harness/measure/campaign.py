"""One `socbench bench` command on one place or several: plans, what is still to do, the models, and every session measured and saved."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from harness import console
from harness.boards import Place
from harness.errors import NotGiven, SocbenchError, Transient
from harness.measure import runner
from harness.measure.artifacts import Workshop
from harness.measure.crew import LOOK_S, Crew
from harness.measure.hold import Held, held
from harness.measure.link import Link, Local
from harness.measure.meters import Meter, open_meter
from harness.measure.plan import Session
from harness.measure.recording import Recording
from harness.measure.redact import Redaction
from harness.measure.runner import MARGIN
from harness.metrics.meters import needed_seconds
from harness.outcome import outcome
from harness.record import RunRecord, Setting
from harness.spec import Zoo
from harness.store import CampaignPlan, Store

REBOOT_S = 240.0
"""How long a board that was lost may take to come back [s]."""
PAUSE_S = 5.0
DONE = ("ok", "invalid", "unsupported", "skipped")
"""What a resumed campaign need not measure again."""
LONG_S = 10.0
"""Of a stage at least so long [s] the time is shown, and not the items."""


@dataclass
class Campaign:
    """What is to be measured on one place, and what has been."""

    place: Place
    plan: CampaignPlan
    sessions: list[Session]
    kept: dict[str, RunRecord]
    """What was measured before it was resumed, by session."""
    measured: list[RunRecord] = field(default_factory=list)
    error: SocbenchError | None = None
    """Why the place could not be measured, or not to the end."""
    progress: console.Progress = field(init=False)

    def __post_init__(self) -> None:
        self.progress = console.Progress(len(self.todo))

    @property
    def todo(self) -> list[Session]:
        """What is still to be measured."""
        return [one for one in self.sessions if str(one) not in self.kept]

    @property
    def records(self) -> list[RunRecord]:
        """What the campaign has, from before and from now."""
        return [*self.kept.values(), *self.measured]


def begin(store: Store, places: Sequence[tuple[Place, list[Session]]], given: dict[str, str]) -> list[Campaign]:
    """A campaign for each place, all under one name; their plans are written. `given`: the arguments, which `--resume` reads again."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    campaigns = []
    for place, sessions in places:
        plan = CampaignPlan(name, f"{now:%Y-%m-%dT%H:%M:%SZ}", given, [str(one) for one in sessions])
        store.add_plan(place.target, plan, place.board)
        campaigns.append(Campaign(place, plan, sessions, {}))
    return campaigns


def resume(zoo: Zoo, store: Store, place: Place, plan: CampaignPlan, sessions: list[Session]) -> Campaign:
    """The campaign of `plan`, with what it has measured already where the workload is still the same."""
    hashes = {one.workload: zoo.workload_sha256(one.workload) for one in sessions}
    names = {(one.workload, one.precision, one.runtime, one.scenario): str(one) for one in sessions}
    kept = {}
    for _, record in store.records(place.target):
        cell = (record.workload, record.precision, record.runtime, record.scenario)
        ours = record.campaign == plan.campaign and record.board == place.board and record.status in DONE
        if ours and cell in names and record.workload_sha256 == hashes[record.workload]:
            kept[names[cell]] = record
    return Campaign(place, plan, sessions, kept)


@contextlib.contextmanager
def linked(
    place: Place, say: Callable[[str], None], record: Path | None = None, *, campaign: str = "", note: Callable[[str], None] = lambda _: None
) -> Iterator[Link]:
    """The way to a place while the block runs; all that is said on it goes into the file `record`, too. A place of a lab is acquired meanwhile.

    `campaign` is what somebody is told who finds the place held; `note` is told how far an upload is.
    """
    link: Link = Local()
    with contextlib.ExitStack() as stack:
        if place.address.startswith("labgrid://"):
            from harness.measure.labgrid import Lab, parse

            wanted = parse(place.address)
            lab = Lab(wanted.coordinator)
            place = dataclasses.replace(place, address=stack.enter_context(lab.board(wanted, say, cycle=place.power_cycle)))
        if place.address:
            from harness.measure.ssh import Ssh

            def sent(done: int, size: int) -> None:
                note(f"sending {done >> 20}/{size >> 20} MiB")

            link = Ssh(place.address, place.python, place.folder, say=say, progress=sent, campaign=campaign)
        if record is None:
            yield link
            return
        redaction = Redaction.here(place.address)
        if place.board:
            redaction.learn("host", place.board)
        recording = stack.enter_context(Recording(link, record, redaction))
        try:
            yield recording
        finally:
            replaced = ", ".join(f"{count} x {what}" for what, count in recording.redacted.items()) or "nothing"
            say(recording.failed or f"recorded in {record}; replaced in it: {replaced}; read it before you pass it on")


@dataclass
class Command:
    """What all campaigns of one command share. `record`: the file for a recording of what was said on the link."""

    zoo: Zoo
    store: Store
    workshop: Workshop
    weights: Setting
    record: Path | None = None
    _built: threading.Event = field(default_factory=threading.Event)
    _wanted: threading.Event = field(default_factory=threading.Event)
    """Set when a place is ready to be measured: what only turns out to be the wrong machine costs no models."""

    def run(self, campaigns: Sequence[Campaign], jobs: int) -> None:
        """Measure every campaign, `jobs` places at once; what stops one place is its `error` and stops no other.

        The models are built meanwhile, all of them before the first measurement begins. Raises KeyboardInterrupt when nothing runs any more on any
        place, and what makes the whole command senseless: weights that cannot be used.
        """
        doing = [one for one in campaigns if one.todo]
        for one in campaigns:
            one.progress.name = one.place.name if len(campaigns) > 1 else ""
        with console.Several([one.progress for one in doing]) as several, self.workshop:
            self.workshop.say = several.line
            crew = Crew(jobs, several.line)
            crew.run([(one.place.name, partial(self._place, one, crew)) for one in doing], lambda: self._build(doing, crew))

    def _build(self, campaigns: Sequence[Campaign], crew: Crew) -> None:
        """Have every model file before the first measurement, so that no build disturbs one."""
        todo = [session for one in campaigns for session in one.todo]
        while not self._wanted.wait(LOOK_S):
            if not crew.busy:
                return
        products = list(dict.fromkeys(one.product for one in todo))
        self.workshop.begin(products)
        for product in products:
            self._note(campaigns, str(product))
            try:
                self.workshop.get(product)
            except SocbenchError as error:
                if self.workshop.folder(product.workload) and not isinstance(error, NotGiven):
                    raise  # a file of the user's that cannot be used: nothing is measured before that is mended
                self.workshop.say(str(error))  # becomes this session's record
            if not crew.busy:
                return  # no place is left that could use it
        for workload in dict.fromkeys(one.workload for one in todo if one.scenario == "single-stream" and one.precision != "fp32"):
            self._note(campaigns, f"{workload} reference")
            with contextlib.suppress(SocbenchError):  # the record says why there is none
                self.workshop.reference(workload)
        self._built.set()

    def _note(self, campaigns: Sequence[Campaign], what: str) -> None:
        for one in campaigns:
            one.progress.title = "preparing models"
            one.progress.note(what)

    def _place(self, campaign: Campaign, crew: Crew) -> None:
        """Measure one place from its connection to its release."""
        try:
            self._measure(campaign, crew)
        except SocbenchError as error:
            campaign.error = error
            if campaign.progress.name:  # the only place says it where the command ends
                campaign.progress.line(f"stopped: {error}")

    def _measure(self, campaign: Campaign, crew: Crew) -> None:
        place, progress = campaign.place, campaign.progress
        with contextlib.ExitStack() as stack:
            meters = [stack.enter_context(open_meter(url)) for url in place.meters]
            for sentence in _lengths(meters, campaign.todo):
                progress.line(sentence)
            link = stack.enter_context(linked(place, progress.line, self.record, campaign=campaign.plan.campaign, note=progress.note))
            begun = False
            while campaign.todo[len(campaign.measured) :]:
                with _held(partial(held, self.zoo, place.target, link, progress.line), again=begun, say=progress.line) as hold:
                    begun = True
                    self._wanted.set()
                    while not self._built.wait(LOOK_S):  # in pieces, so that Ctrl-C gets through
                        if crew.stopped:
                            return
                    bench = runner.Bench(
                        self.zoo, link, hold, self.workshop, campaign.plan.campaign, self.weights, place.board, meters, partial(_watch, progress)
                    )
                    for session in campaign.todo[len(campaign.measured) :]:
                        progress.start(str(session))
                        record = published(runner.run(bench, session), place)
                        self.store.add(record)
                        campaign.measured.append(record)
                        progress.finish(outcome(record))
                        if bench.lost:
                            break


@contextlib.contextmanager
def _held(hold: Callable[[], contextlib.AbstractContextManager[Held]], *, again: bool, say: Callable[[str], None]) -> Iterator[Held]:
    """Have the machine; where it was lost before (`again`), it gets the time to boot. Once lost, that it cannot be given back is known."""
    deadline = time.monotonic() + (REBOOT_S if again else 0.0)
    with contextlib.ExitStack() as stack:
        while True:
            try:
                found = stack.enter_context(hold())
            except Transient as error:
                if time.monotonic() > deadline:
                    raise
                say(f"{error.what}; waiting for it to come back for up to {deadline - time.monotonic():.0f} s more")
                pause = time.monotonic() + PAUSE_S
                while time.monotonic() < pause:
                    time.sleep(LOOK_S)
            else:
                break
        yield found


def _lengths(meters: Sequence[Meter], sessions: Sequence[Session]) -> Iterator[str]:
    """What a meter that needs long stages does to the time that sessions take, or why it will give no energy."""
    for meter in meters:
        seconds = max((needed_seconds(one.kind, meter.hertz) for one in meter.channels if one.kind in ("power", "energy")), default=0.0)
        needs = f"{meter.instrument} is read {meter.hertz:g} times a second and needs {seconds:.0f} s of work"
        short = [one for one in sessions if one.stop.min_seconds < seconds]
        if short and short[0].settings["seconds"].source != "file":
            yield f"{needs}: with --seconds {short[0].stop.min_seconds:g} there will be no energy by it; fix: --seconds {math.ceil(seconds * MARGIN)}"
        elif short:
            rest = " and as much rest before it" if short[0].settings["idle"].value is None else ""
            yield f"{needs}{rest}: a session takes that long, unless --seconds (and --idle, for the rest) say less"


def _watch(progress: console.Progress, stage: str, seen: dict[str, Any]) -> None:
    count = f" {seen.get('count', 0)}/{seen['min_count']}" if "min_count" in seen else ""
    if (least := seen.get("min_seconds", 0.0)) >= LONG_S:
        count = f" {seen.get('seconds', 0.0):.0f}/{least:.0f} s"
    progress.note(f"{stage}{count}")


def published(record: RunRecord, place: Place) -> RunRecord:
    """The record with the board's name wherever an error's message has its address: records are passed on, addresses are not."""
    rest = place.address.rpartition("://")[2]
    host = rest.rpartition("@")[2]
    words = sorted({place.address, rest, host if re.search(r"[.:]", host) else rest} - {""}, key=len, reverse=True)
    if not words:
        return record
    address = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, words))})(?![\w-])")

    def clean(text: str) -> str:
        return address.sub(place.board, text)

    telemetry = [
        msgspec.structs.replace(one, absent=[msgspec.structs.replace(gap, reason=clean(gap.reason), fix=clean(gap.fix)) for gap in one.absent])
        for one in record.telemetry
    ]
    told = {name: clean(getattr(record, name)) for name in ("reason", "fix", "detail")}
    return msgspec.structs.replace(record, telemetry=telemetry, **told)
