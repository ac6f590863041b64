"""socbench attach: add the log of a meter, exported after the run, to the records it was measured beside."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import console
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.measure.meters._log import Excerpt, Log
    from harness.record import RunRecord, Telemetry

EPILOG = """\
examples:
  socbench attach power.csv                                        every record that the log covers
  socbench attach power.csv --record 3f9c12ab --offset -1.5        the meter's clock was 1.5 s ahead
  socbench attach 'csv:log.csv?power=Power(mW)&start=2026-11-22T08:00:00Z'
  socbench attach recording.jls --results rk3588/
"""
MARGIN_NS = 2_000_000_000
"""Samples kept before and after what was measured."""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "attach",
        help="add a power meter's log to the records it covers",
        description="Add the log that a power meter's own software wrote (CSV or JLS) to every record whose measured stretch it covers, aligned by "
        "the wall clock. Which columns and clocks are understood: docs/meters.md.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    one.add_argument("log", metavar="LOG", help="the file, or its URL with options: 'csv:log.csv?time=Timestamp&power=Power(mW)'")
    one.add_argument("--record", action="append", default=[], metavar="RUN_ID", help="only this record; may be given several times")
    one.add_argument(
        "--offset", type=float, default=0.0, metavar="SECONDS", help="what must be added to the log's times, where its clock is known to be off"
    )
    one.add_argument("--replace", action="store_true", help="replace what was attached from a log of this name before")
    one.add_argument("--results", type=Path, default=None, metavar="DIR", help="the results folder (default: results, or $SOCBENCH_RESULTS)")
    one.set_defaults(run=run)


@dataclass(frozen=True)
class _Stretch:
    """What was measured in a record, on the clock of the log [ns since 1970]: the steady stage, and from the first to the last span of all."""

    path: Path
    record: RunRecord
    begin_ns: int
    end_ns: int
    first_ns: int
    last_ns: int


def run(arguments: argparse.Namespace) -> int:
    """Attach it, and print what each record says now; 2 where it belongs to none of them."""
    from harness.commands.report import results_folder
    from harness.measure.meters import Missed
    from harness.measure.meters._log import open_log
    from harness.store import Store

    folder = results_folder(arguments)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder", "name the folder of the records with --results DIR")
    log, store = open_log(arguments.log), Store(folder)
    with store.writing():
        found = _chosen(list(store.records()), arguments.record)
        stretches, attached, elsewhere = [], 0, 0
        for path, record in found:
            stretch = _stretch(path, record, arguments.offset)
            if isinstance(stretch, str):
                console.say(f"{_name(record)}: {stretch}")
            else:
                stretches.append(stretch)
        try:
            first, last = (min((one.first_ns for one in stretches), default=0), max((one.last_ns for one in stretches), default=0))
            excerpt = log.read(first - MARGIN_NS, last + MARGIN_NS)
        except Missed as error:
            raise UsageError(f"{log.path}: {error.what}", error.fix) from error
        for stretch in stretches:
            why = _uncovered(excerpt, stretch, log)
            if why and not arguments.record and not _touches(excerpt, stretch):
                elsewhere += 1
            elif why:
                console.say(f"{_name(stretch.record)}: {why}")
            elif told := _attach(store, stretch, excerpt, log, arguments):
                attached += 1
                console.say(f"{_name(stretch.record)}: {told}")
    if elsewhere:
        console.say(f"{elsewhere} other record{'s were' if elsewhere > 1 else ' was'} measured outside the log, which runs {_span(excerpt)}")
    console.say(f"{log.path.name}: added to {attached} of {len(found)} records")
    return 0 if attached else 2


def _name(record: RunRecord) -> str:
    return f"{record.run_id} ({record.target} {record.workload} {record.precision} {record.scenario})"


def _chosen(records: Sequence[tuple[Path, RunRecord]], wanted: Sequence[str]) -> list[tuple[Path, RunRecord]]:
    """The records that were named, or all. Raises UsageError for a name that is none."""
    names = [record.run_id for _, record in records]
    if not records:
        raise UsageError("there are no records in this folder", "name the folder of the records with --results DIR")
    for name in wanted:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            raise UsageError(
                f"--record {name}: no such record", f"did you mean {close[0]}?" if close else "a record's id is at the end of its file's name"
            )
    return [(path, record) for path, record in records if not wanted or record.run_id in wanted]


def _stretch(path: Path, record: RunRecord, offset: float) -> _Stretch | str:
    """What was measured, on the log's clock, or why that is not known."""
    from harness.metrics.spans import window

    if record.status not in ("ok", "invalid"):
        return f"nothing was measured: {record.status}"
    measured, clock = window(record), record.environment.get("clock")
    if measured is None:
        return _no_stretch(record)
    if not _is_clock(clock):
        return "it does not say what time of day it was measured: measure again with this version"
    ahead = _ahead_ns(record, offset)
    spans = [one for one in record.spans if one.begin_ns]
    first, last = min(one.begin_ns[0] for one in spans), max(one.end_ns[-1] for one in spans)
    return _Stretch(path, record, measured[0] - ahead, measured[1] - ahead, first - ahead, last - ahead)


def _no_stretch(record: RunRecord) -> str:
    emulated = next((one.what for one in record.problems if one.code == "emulated"), "")
    return f"no times are kept of it: {emulated}" if emulated else "it has no steady spans"


def _is_clock(clock: Any) -> bool:
    return isinstance(clock, dict) and all(isinstance(clock.get(name), int) for name in ("clock_ns", "unix_ns", "error_ns"))


def _ahead_ns(record: RunRecord, offset: float) -> int:
    """What is added to a time of the log to get the worker's clock."""
    clock = record.environment["clock"]
    return int(clock["clock_ns"]) - int(clock["unix_ns"]) + round(offset * 1e9)


def _touches(excerpt: Excerpt, stretch: _Stretch) -> bool:
    return excerpt.first_ns < stretch.end_ns and stretch.begin_ns < excerpt.last_ns


def _uncovered(excerpt: Excerpt, stretch: _Stretch, log: Log) -> str:
    """Why the log does not cover the stretch, or ""; two of its periods are forgiven at each end."""
    slack = round(2e9 / log.hertz)
    if not _touches(excerpt, stretch):
        return f"measured {_span(stretch)}, and the log runs {_span(excerpt)}: another log, or --offset SECONDS where its clock is off"
    if excerpt.first_ns > stretch.begin_ns + slack:
        return f"the log begins {(excerpt.first_ns - stretch.begin_ns) / 1e9:.1f} s after the measured stretch does: start the meter earlier"
    if excerpt.last_ns < stretch.end_ns - slack:
        return f"the log ends {(stretch.end_ns - excerpt.last_ns) / 1e9:.1f} s before the measured stretch does: stop the meter later"
    return ""


def _span(one: Excerpt | _Stretch) -> str:
    """From when to when, as UTC."""
    from datetime import UTC, datetime

    begin, end = (one.begin_ns, one.end_ns) if isinstance(one, _Stretch) else (one.first_ns, one.last_ns)
    first, last = (datetime.fromtimestamp(t / 1e9, UTC) for t in (begin, end))
    return f"from {first:%Y-%m-%d %H:%M:%S} to {last:{'%H:%M:%S' if first.date() == last.date() else '%Y-%m-%d %H:%M:%S'}} UTC"


def _attach(store: Any, stretch: _Stretch, excerpt: Excerpt, log: Log, arguments: argparse.Namespace) -> str:
    """Write the record anew with the samples of all its spans, and say what it says; "" and a line where it has them already."""
    import msgspec

    from harness.record import Telemetry

    record = stretch.record
    others = [one for one in record.telemetry if one.instrument != log.instrument]
    if len(others) < len(record.telemetry) and not arguments.replace:
        console.say(f"{_name(record)}: it has samples of {log.instrument} already: --replace takes these instead")
        return ""
    ahead = _ahead_ns(record, arguments.offset)
    part = excerpt.cut(stretch.first_ns - MARGIN_NS, stretch.last_ns + MARGIN_NS)
    telemetry = Telemetry(
        instrument=log.instrument,
        hertz=log.hertz,
        channels=log.channels,
        t_ns=part.t_ns,
        rows=part.rows,
        absent=[],
        clock_offset_ns=ahead,
        clock_error_ns=int(record.environment["clock"]["error_ns"]) + part.clock_error_ns,
        read_error_ns=part.stamp_ns,
    )
    after = msgspec.structs.replace(record, telemetry=[*others, telemetry])
    store.replace(stretch.path, after)
    return _says(after, telemetry)


def _says(record: RunRecord, telemetry: Telemetry) -> str:
    """The energy of an item, or why there is none; where it is another meter's, that, and the power by this log."""
    from harness.metrics import readings
    from harness.metrics.meters import every, widest
    from harness.metrics.power import mean_power
    from harness.quantity import Unit, text

    found = next(one.quantity for one in readings(record) if one.metric.id == "energy_per_item" and not one.phase)
    said, meter = f"{len(telemetry.rows)} samples, ", widest(record)
    if not isinstance(meter, str) and meter.telemetry is not telemetry:
        powers = [(one, mean_power(record, one)) for one in every(record).values() if one.telemetry is telemetry]
        told = [f"{one.sites} {text(mean.watts, Unit.WATT)}" if not isinstance(mean, str) else mean for one, mean in powers]
        said += f"by which {', '.join(told) or 'there is no power'}; "
        if found.value is None:
            return f"{said}no energy all the same: {meter} sees as much or more and stands before it, and {found.reason}"
        return f"{said}energy is taken from {meter}, which sees as much or more"
    if found.value is None:
        return f"{said}but no energy: {found.reason}"
    return f"{said}{text(found.value, found.unit)} per {record.item} ({found.evidence.note})"
