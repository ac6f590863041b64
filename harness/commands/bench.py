"""socbench bench: measure, and save after every session."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import console
from harness.commands.list import add_zoo
from harness.commands.report import results_folder
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.boards import Place
    from harness.measure.campaign import Campaign
    from harness.measure.plan import Choice, Session
    from harness.spec import Zoo
    from harness.store import CampaignPlan, Store

EPILOG = """\
examples:
  socbench bench host
  socbench bench host --workload resnet50 --workload yolov8n --precision int8
  socbench bench host --threads 2 --seconds 20
  socbench bench host --weights weights/       pretrained weights, one folder a workload
  socbench bench host --resume                 go on with the campaign that was interrupted
  socbench bench host --host user@10.0.0.5     on another machine, over SSH
  socbench bench rk-1 --meter shelly://10.0.0.7 --sustain 30m
  socbench bench rk-1 rk-2 orin-1              boards of `socbench boards list`, all at once
  socbench bench --lab labgrid://lab --tag soc=rk3588     all boards of a labgrid lab with that tag

environment: SOCBENCH_THREADS, SOCBENCH_SECONDS, SOCBENCH_WEIGHTS, SOCBENCH_SAMPLE_HZ, SOCBENCH_IDLE, SOCBENCH_SUSTAIN, SOCBENCH_RESULTS,
SOCBENCH_BOARDS, SOCBENCH_CACHE

exit code: 0 all sessions ended, also those whose records are invalid, or skipped because a runtime is missing; 1 a session or a board failed (its
record says why); 2 nothing could be started; 130 interrupted
"""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "bench",
        help="measure the zoo on a target or on boards",
        description="Measure workloads on this machine or on boards; every session is saved as it ends.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument("names", metavar="NAME", nargs="*", help="a target: this machine, or the one at --host; or boards (socbench boards list)")
    one.add_argument("--workload", action="append", default=[], metavar="W", help="only this workload; may be repeated")
    one.add_argument("--precision", action="append", default=[], metavar="P", help="only this precision (fp32, int8, q4_k_m ...); may be repeated")
    one.add_argument("--runtime", action="append", default=[], metavar="R", help="only this runtime; may be repeated")
    one.add_argument("--scenario", action="append", default=[], choices=("single-stream", "offline"), help="only this scenario")
    one.add_argument("--seconds", metavar="S", help="least measured seconds a session (default: the workload's, or what the power meter needs)")
    one.add_argument("--threads", metavar="N", help="threads the runtime may use (default: 1)")
    one.add_argument("--weights", metavar="DIR", help="pretrained weights, DIR/<workload>/ (default: synthetic)")
    one.add_argument("--sample-hz", metavar="HZ", help="how many times a second the sensors are read, 0.1 to 1000 (default: 10)")
    one.add_argument("--idle", metavar="S", help="seconds of rest before a measurement, for the idle power (default: what the power meter needs)")
    one.add_argument("--sustain", metavar="TIME", help="go on with the steady work for so long, as 5m, 30m or 2h, to see what heat does to it")
    add_place(one)
    one.add_argument("--meter", action="append", default=[], metavar="URL", help="a power meter on the supply, as shelly://10.0.0.7; may be repeated")
    one.add_argument("--record", type=Path, metavar="FILE", help="write down what is said with the board, for a bug report")
    one.add_argument("--lab", default="", metavar="URL", help="all boards of a labgrid lab, labgrid://coordinator:20408, that have the tags given")
    one.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="of --lab: only boards with this tag; may be repeated")
    one.add_argument("--power-cycle", action="store_true", help="of a labgrid place: switch the board off and on first")
    one.add_argument("--jobs", type=int, metavar="N", help="boards at once (default: all)")
    one.add_argument("--resume", action="store_true", help="go on with the last campaign where it stopped")
    one.add_argument("--results", type=Path, default=None, metavar="DIR", help="where records go (default: results, or $SOCBENCH_RESULTS)")
    one.add_argument("--json", action="store_true", help="one JSON document on stdout; progress stays on stderr")
    one.set_defaults(run=run)


def add_place(one: argparse.ArgumentParser) -> None:
    """The options of every command that goes to a machine, also to a board without a name, and of the zoo that knows it."""
    host = "the machine to go to: user@board, ssh://user@board:2222, a Host of ~/.ssh/config, or labgrid://coordinator/place"
    one.add_argument("--host", default="", metavar="ADDRESS", help=host)
    one.add_argument("--python", default="", metavar="PATH", help="the Python to use there (default: the first python3 that is new enough)")
    one.add_argument("--folder", default="", metavar="DIR", help="where socbench may keep files there (default: below the account's home)")
    add_zoo(one)


def one_place(arguments: argparse.Namespace) -> tuple[Zoo, Place]:
    """The machine that NAME and the options of `add_place` mean, and the zoo that knows it. Raises UsageError."""
    from harness.boards import Given, place
    from harness.spec import Zoo

    zoo = Zoo(arguments.zoo)
    return zoo, place(zoo, arguments.name, Given(arguments.host, arguments.python, arguments.folder))


def run(arguments: argparse.Namespace) -> int:
    """Plan, build, measure, save, sum up."""
    from harness.measure import campaign as work
    from harness.measure.artifacts import Workshop
    from harness.measure.plan import plan
    from harness.settings import setting, weights
    from harness.spec import Zoo
    from harness.store import Store

    zoo, store = Zoo(arguments.zoo), Store(results_folder(arguments))
    places = _places(arguments, zoo)
    given = arguments
    resumed = _resumed(arguments, store, places)
    environ: Mapping[str, str] = os.environ
    if resumed:  # with the settings it began with, and not with what the environment says by now
        environ = {name[1:]: value for name, value in resumed[0].arguments.items() if name[0] == "$"}
        given = argparse.Namespace(**{**vars(arguments), **_parsed(resumed[0].arguments)})
    sessions = [plan(zoo, _choice(given, place, environ)) for place in places]
    made = setting("weights", given.weights, weights, "synthetic", environ)
    workshop = Workshop(zoo, None if made.source == "default" else Path(str(made.value)))  # refuses a missing folder before there is a campaign
    with store.writing():
        if resumed:
            campaigns = [work.resume(zoo, store, *one) for one in zip(places, resumed, sessions, strict=True)]
        else:
            campaigns = work.begin(store, list(zip(places, sessions, strict=True)), _arguments(arguments))
        for one in campaigns:
            console.say(_opening(one, store.folder))
        _warn_of_short(sessions[0][0])
        try:
            work.Command(zoo, store, workshop, made, arguments.record).run(campaigns, arguments.jobs or len(campaigns))
        except KeyboardInterrupt:
            saved, all_of_it = sum(len(one.measured) for one in campaigns), sum(one.progress.total for one in campaigns)
            console.say(f"interrupted: {saved} of {all_of_it} sessions are saved in {store.folder}; go on with: {_again(arguments)}")
            raise
    return _end(campaigns, store, arguments)


def _end(campaigns: list[Campaign], store: Store, arguments: argparse.Namespace) -> int:
    """What was found, and the exit code."""
    from harness.outcome import sum_up, summary
    from harness.spread import show, spreads

    records = [record for one in campaigns for record in one.records]
    failed = [one for one in campaigns if one.error]
    sum_up(records, len(campaigns) > 1)
    if len(campaigns) == 1 and campaigns[0].error:
        raise campaigns[0].error
    found = spreads(records)
    if len(campaigns) > 1:
        show(found, sum(one.status == "invalid" for one in records))
    for one in failed:
        console.say(f"\n{one.place.name}: not measured to the end: {one.error}")
    if failed:
        console.say(f"\ngo on with: {_again(arguments)}")
    if arguments.json:
        console.document(
            {
                "results": str(store.folder),
                "boards": [
                    {
                        "board": one.place.board,
                        "target": one.place.target,
                        "campaign": one.plan.campaign,
                        "error": {"what": one.error.what, "fix": one.error.fix} if one.error else None,
                        "records": [summary(record) for record in one.records],
                    }
                    for one in campaigns
                ],
                "spread": [one.document() for one in found],
            }
        )
    if len(failed) == len(campaigns):
        return 2
    return 1 if failed or any(one.status == "failed" for one in records) else 0


def _places(arguments: argparse.Namespace, zoo: Zoo) -> list[Place]:
    """Where to measure. Raises UsageError for names and options that do not go together."""
    from harness.boards import Given, place
    from harness.measure.meters import check

    if arguments.lab:
        return _lab(arguments, zoo)
    names = arguments.names
    _refuse(arguments, names)
    given = Given(arguments.host, arguments.python, arguments.folder, arguments.meter)
    found = [dataclasses.replace(place(zoo, name, given), power_cycle=arguments.power_cycle) for name in names]
    if arguments.power_cycle and not all(one.address.startswith("labgrid://") for one in found):
        raise UsageError("--power-cycle needs somebody who can switch the power", "name a labgrid place: --host labgrid://coordinator:20408/PLACE")
    if len(found) > 1 and (here := [one for one in found if not one.address]):
        raise UsageError(
            f"{here[0].target!r} is this machine, which cannot be measured while it measures others",
            "measure it by itself, or name boards (socbench boards list)",
        )
    for one in found:
        for url in one.meters:
            check(url)
    return found


def _refuse(arguments: argparse.Namespace, names: list[str]) -> None:
    """Raise UsageError for names and options that do not go together."""
    if arguments.tag:
        raise UsageError("--tag is of a lab", "name the lab: --lab labgrid://coordinator:20408")
    if not names:
        raise UsageError("nothing is named to measure on", "name a target or boards: socbench bench host; socbench boards list; or --lab URL")
    if len(names) > 1:
        for option in ("host", "python", "folder", "record", "meter"):
            if getattr(arguments, option):
                fix = "name one board" if option == "record" else "name one, or tell it of each board: socbench boards add"
                raise UsageError(f"--{option} is of one board, and {len(names)} names were given", fix)
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"{twice[0]!r} is named twice", "name every board once")
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UsageError(f"--jobs {arguments.jobs}: must be 1 or more", "for example --jobs 2")


def _lab(arguments: argparse.Namespace, zoo: Zoo) -> list[Place]:
    """Every place of a lab that has the tags; its target is the one named, or else the value of a tag that is a target's name."""
    from harness.boards import Place, alias
    from harness.measure.labgrid import Lab, parse, tagged

    wanted = parse(arguments.lab)
    tags = {**wanted.tags, **tagged(arguments.tag)}
    for option in ("host", "meter", "record"):
        if getattr(arguments, option):
            fix = "leave it out, or name the place: --host labgrid://coordinator/PLACE"
            raise UsageError(f"--{option} is of one board, and --lab is of all", fix)
    if wanted.place:
        raise UsageError(f"{arguments.lab!r} names a place", f"for that alone write --host {arguments.lab}; for the lab leave the place out")
    targets = arguments.names or [value for value in tags.values() if value in zoo.target_files]
    if len(targets) != 1:
        what = f"which target the boards of the lab are is not said: {', '.join(targets) or 'no tag is one'}"
        raise UsageError(what, "name one: socbench bench rk3588 --lab ...")
    zoo.target(targets[0])
    names = Lab(wanted.coordinator).places(tags)
    if not names:
        what = " ".join(f"{key}={value}" for key, value in tags.items())
        raise UsageError(f"labgrid at {wanted.coordinator} has no place{f' with {what}' if what else ''}", "see them: labgrid-client -v places")
    python, folder, cycle = arguments.python, arguments.folder, arguments.power_cycle
    urls = [f"labgrid://{wanted.coordinator}/{name}" for name in names]
    return [Place(targets[0], alias(url), url, (), python, folder, cycle) for url in urls]


def _again(arguments: argparse.Namespace) -> str:
    """The command that goes on with this campaign."""
    words = ["socbench", "bench", *arguments.names, "--resume"]
    for name in ("host", "python", "folder", "lab", "results", "jobs"):
        if value := getattr(arguments, name):
            words += [f"--{name}", str(value)]
    for name in ("meter", "tag", "zoo"):
        for value in getattr(arguments, name):
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _choice(arguments: argparse.Namespace, place: Place, environ: Mapping[str, str]) -> Choice:
    from harness import settings
    from harness.measure.plan import DEFAULT_SAMPLE_HZ, DEFAULT_SUSTAIN, Choice

    most = None if place.address else len(os.sched_getaffinity(0))
    return Choice(
        target=place.target,
        workloads=tuple(dict.fromkeys(arguments.workload)),
        precisions=tuple(arguments.precision),
        runtimes=tuple(arguments.runtime),
        scenarios=tuple(arguments.scenario),
        threads=settings.setting("threads", arguments.threads, settings.threads(most), 1, environ),
        seconds=settings.setting("seconds", arguments.seconds, settings.seconds, None, environ),
        sample_hz=settings.setting("sample_hz", arguments.sample_hz, settings.sample_hz, DEFAULT_SAMPLE_HZ.value, environ),
        idle=settings.setting("idle", arguments.idle, settings.idle, None, environ),
        sustain=settings.setting("sustain", arguments.sustain, settings.duration, DEFAULT_SUSTAIN.value, environ),
    )


# --- what a campaign was told ------------------------------------------------------------------------------------------------------------

LISTS = ("workload", "precision", "runtime", "scenario")
WORDS = ("seconds", "threads", "weights", "sample_hz", "idle", "sustain")


def _resumed(arguments: argparse.Namespace, store: Store, places: Sequence[Place]) -> list[CampaignPlan]:
    """The campaigns that --resume goes on with, one for each place; none without it."""
    if not arguments.resume:
        return []
    if any(getattr(arguments, name) for name in (*LISTS, *WORDS)):
        raise UsageError("--resume goes on with the choice of the campaign it continues", "leave out the other options, or leave out --resume")
    plans: list[CampaignPlan] = []
    for place in places:
        found = store.last_plan(place.target, place.board)
        if found is None:
            begin = shlex.join(["socbench", "bench", *arguments.names, *(["--host", place.address] if arguments.host else [])])
            raise UsageError(f"{store.folder}: no campaign on {place.name!r} to go on with", f"begin one: {begin}")
        if plans and found.arguments != plans[0].arguments:
            raise UsageError(
                f"the last campaigns on {places[0].name} and {place.name} were told to measure different things", "go on with one board at a time"
            )
        plans.append(found)
    return plans


def _arguments(arguments: argparse.Namespace) -> dict[str, str]:
    """What decides the choice, as text; a variable of the environment with $ before its name."""
    given = {name: "\n".join(getattr(arguments, name)) for name in LISTS if getattr(arguments, name)}
    for name in WORDS:
        for key, value in ((name, getattr(arguments, name)), (f"$SOCBENCH_{name.upper()}", os.environ.get(f"SOCBENCH_{name.upper()}"))):
            if value:
                given[key] = str(Path(value).resolve()) if name == "weights" else value
    return given


def _parsed(given: dict[str, str]) -> dict[str, Any]:
    return {name: value.split("\n") if name in LISTS else value for name, value in given.items() if name[0] != "$"}


def _warn_of_short(session: Session) -> None:
    from harness.metrics import knee, sustained

    seconds = float(session.settings["sustain"].value or 0.0)
    for least, what in ((sustained.SHORTEST, "has no sustained figure"), (knee.SHORTEST, "is not searched for the throttle knee")):
        if 0 < seconds < least:
            console.say(f"--sustain {seconds:g}s: a run of less than {least / 60:.0f} minutes {what}")
            return


def _opening(one: Campaign, folder: Path) -> str:
    todo = one.progress.total
    if not todo:
        return f"{one.place.name}: all {len(one.sessions)} sessions of this campaign are measured already"
    kept = f", {len(one.kept)} already measured" if one.kept else ""
    return f"{one.place.name}: {todo} session{'s' if todo > 1 else ''} to measure{kept}; records go to {folder}"
