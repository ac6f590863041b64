"""socbench select: which SoC for a scenario, how sure, and why."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import console
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.decide.learn import Learn
    from harness.decide.market import Market
    from harness.decide.scenario import Scenario
    from harness.decide.terms import Advice, Decision

EPILOG = """\
examples:
  socbench select edge-llm
  socbench select vision-gateway --limit power=8W --limit latency:yolov8n=33ms
  socbench select vision-gateway --weight price=5 --soc rk3588 --soc qcs6490
  socbench select my-product.toml --json                 a scenario of your own

A limit given as NAME=VALUE replaces the scenario's, or is added; NAME=none removes it. A limit that is better when lower is an upper
limit, any other a lower one. Where the scenario asks of several workloads, write latency:yolov8n.
`socbench list scenarios` says what there is, `socbench list limits` what may be asked; `socbench explain` gives every number behind one SoC.
"""
PROBABILITIES = (
    "P(best): the share of the draws in which it meets all limits and has the highest value; P(feasible): in which it meets all limits.",
    "value: how much of what is wanted it gives, from 0 to 1; a draw counts 0 where it fails a limit.",
)
MARKS = "● measured here  ◐ published  ○ datasheet  ◌ claimed  ≈ estimated (90 % interval)  – missing   ✓ limit met  ✗ not met  ? unknown"
_TIED = "\u00a0"
"""Stands for a space at which no line is broken."""
SHOWN = 12
NEAREST = 6
WIDTH = (160, 24)
"""Columns and lines of what is no terminal, unless COLUMNS says otherwise."""


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "select",
        help="which SoC for a scenario, how sure, and why",
        description="Rank the SoCs for a scenario from all evidence: measured, published, datasheet, claimed, estimated.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    add_question(one)
    one.add_argument("--soc", action="append", default=[], metavar="SOC", help="only this SoC; may be repeated (socbench list socs)")
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def add_question(one: argparse.ArgumentParser) -> None:
    """What `select` and `explain` both ask: the scenario, its changes, and the evidence."""
    one.add_argument("scenario", help="id of a scenario, or the path of a .toml file")
    one.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE", help="change or add a hard limit: power=15W, price=200USD")
    one.add_argument("--weight", action="append", default=[], metavar="NAME=NUMBER", help="change the weight of a criterion: latency=3")
    add_evidence(one)


def add_evidence(one: argparse.ArgumentParser) -> None:
    """Where the evidence is."""
    one.add_argument("--evidence", type=Path, action="append", default=[], metavar="DIR", help="a further folder with published.csv, facts.csv ...")
    one.add_argument("--results", type=Path, default=None, metavar="DIR", help="the results folder (default: results, or $SOCBENCH_RESULTS)")


def pairs(options: Sequence[str], flag: str) -> dict[str, str]:
    """NAME=VALUE options as a mapping. Raises UsageError for one without an equals sign."""
    found = {}
    for one in options:
        name, equals, value = one.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"{flag} {one}: not NAME=VALUE", f"write for example {flag} {'power=15W' if flag == '--limit' else 'latency=3'}")
        found[name.strip()] = value.strip()
    return found


def market_of(arguments: argparse.Namespace) -> Market:
    """The evidence: what is shipped, the user's folders, and the records of the results folder where there is one."""
    from harness.decide.market import Market
    from harness.store import Store, newest

    folder = arguments.results or Path(os.environ.get("SOCBENCH_RESULTS") or "results")
    records = newest([record for _, record in Store(folder).records()]) if folder.is_dir() else []
    if arguments.results and not folder.is_dir():
        raise UsageError(f"--results {folder}: no such folder", "name a results folder, or leave --results away")
    return Market.load(arguments.evidence, records)


def question(arguments: argparse.Namespace) -> tuple[Scenario, Market]:
    """The scenario with the changes of the command line, and the evidence to answer it from."""
    from harness.decide.scenario import changed, get

    scenario = get(arguments.scenario)
    limits, weights = pairs(arguments.limit, "--limit"), pairs(arguments.weight, "--weight")
    market = market_of(arguments)
    names = {*market.works, *(one.workload for one in market.evidence.figures.values())}
    with _flag("--limit"):
        scenario = changed(scenario, limits=limits, workloads=names)
    with _flag("--weight"):
        return changed(scenario, weights=weights, workloads=names), market


@contextlib.contextmanager
def _flag(flag: str) -> Iterator[None]:
    """Say in a UsageError which option it is about."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{flag}: {error.what}", error.fix) from None


def document(content: dict[str, Any]) -> None:
    """One JSON document on stdout; a bound that is infinite, because nothing is known, is null there."""
    import msgspec

    console.document(msgspec.json.decode(msgspec.json.encode(content)))


def run(arguments: argparse.Namespace) -> int:
    """Decide and print."""
    scenario, market = question(arguments)
    with _flag("--soc"):
        socs = [market.catalogue.find(one).id for one in arguments.soc]
    decision = market.decide(scenario, socs)
    if arguments.json:
        document({"scenario": scenario, "decision": decision})
        return 0
    _print(market, scenario, decision, everyone=not socs)
    return 0


def _print(market: Market, scenario: Scenario, decision: Decision, *, everyone: bool) -> None:
    """The answer in words, the table, what is ruled out, what is worth finding out, and how to read all that."""
    from harness.decide.answer import answer
    from harness.words import say

    names = {one.soc: market.catalogue.socs[one.soc].name for one in decision.entries}
    for line in (scenario.title["en"], scenario.product["en"], _limits(scenario)):
        _line(line)
    told = answer(decision, scenario.demand(), names)
    _line(told.head, before="\n")
    for label, line in [*told.lines, *_how_to_run(decision, names)]:
        _line(f"  {label}: {line}")
    table = _ranking(scenario, decision, names)
    _ruled_out(scenario, decision, names)
    if everyone:
        _not_compared(market, scenario)
    if decision.advice:
        from harness.decide.learn import Learn

        learn, told_of = Learn(market.catalogue, market.hosts), set[str]()
        _line("worth finding out:", before="\n")
        for one in decision.advice:
            said = say(one.how.key, "en", **{**one.how.values, "soc": names[one.soc]})
            _line(f"  {said}: {one.flip:.0%} chance to change the first place")
            for line in measuring(learn, decision, one, told_of):
                _line(f"    {line}")
    sys.stdout.write("\n")
    for line in (*(PROBABILITIES if table else ()), re.sub(r"(?<! ) (?! )", _TIED, MARKS)):
        _line(line)
    best = decision.leader or (decision.entries[0].soc if decision.entries else "")
    if best:
        sys.stdout.write(f"every number behind one SoC: socbench explain {decision.scenario} {best}\n")


def measuring(learn: Learn, decision: Decision, advice: Advice, told: set[str]) -> list[str]:
    """The command that would measure what is worth finding out, and what is to be known of it and was not `told`; nothing for the maker to answer."""
    from harness.decide.terms import METRICS, key_of
    from harness.words import say

    if METRICS[advice.metric].of == "part":
        return []
    entry, key = next(one for one in decision.entries if one.soc == advice.soc), key_of(advice.metric, advice.workload)
    cell = next(
        cell
        for name, cell in (*((one.limit, one.cell) for one in entry.findings), *((one.criterion, one.cell) for one in entry.parts))
        if name == key
    )
    how = learn.how(cell)
    said = [one for one in (say(note.key, "en", **note.values) for note in how.said) if one not in told]
    told.update(said)
    return [one for one in (how.command, " ".join(said)) if one]


def _room() -> int:
    """How many columns a line may take."""
    return shutil.get_terminal_size(fallback=WIDTH).columns


def _line(text: str, before: str = "") -> None:
    """A line of words, broken where the terminal ends and then set in by four columns."""
    told = textwrap.fill(text, max(_room(), 40), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    sys.stdout.write(f"{before}{told.replace(_TIED, ' ')}\n")


def _title(metric: str, workload: str) -> str:
    """What is asked, as a sentence has it: "throughput of yolov8n"."""
    from harness.decide.terms import METRICS

    title = METRICS[metric].title["en"]
    return f"{title} of {workload}" if workload else title


def _limits(scenario: Scenario) -> str:
    """The limits in force; those of the command line are the reader's own."""
    from harness.decide.scenario import STATED
    from harness.decide.shown import bound_text

    said = [
        f"{_title(one.metric, one.workload)} {bound_text(one.bound, one.metric)}{' (yours)' if one.reason == STATED else ''}"
        for one in scenario.limits
    ]
    return f"Limits: {', '.join(said) or 'none'}"


def _how_to_run(decision: Decision, names: dict[str, str]) -> list[tuple[str, str]]:
    """The runtime, precision and unit that the leader's figures are of; nothing where its workloads are only estimated."""
    leader = next((one for one in decision.entries if one.soc == decision.leader), None)
    if leader is None or not leader.options:
        return []
    ways = []
    for workload, option in leader.options.items():
        unit = f" on {option.compute_unit}" if option.compute_unit else ""
        ways.append(f"{workload}: {', '.join(one for one in (option.runtime, option.precision) if one)}{unit}")
    return [("Run it with", f"{'; '.join(ways)} ({names[leader.soc]})")]


def _ranking(scenario: Scenario, decision: Decision, names: dict[str, str]) -> bool:
    """The table: limits first, then as many criteria as the terminal is wide. False where there is no row."""
    from harness.decide.shown import short_text
    from harness.decide.terms import METRICS

    demand = scenario.demand()
    limits = [one.id for one in demand.limits]
    columns = [*limits, *(one.id for one in demand.criteria if one.id not in limits)]
    shown = [one for one in decision.entries if not one.ruled_out]
    if not shown:
        return False
    rows = []
    for entry in shown[:SHOWN]:
        cells = {one.criterion: one.cell for one in entry.parts} | {one.limit: one.cell for one in entry.findings}
        states = {one.limit: {"met": " ✓", "not met": " ✗", "unknown": " ?"}[one.state] for one in entry.findings}
        told = [short_text(cells[one]) + states.get(one, "") for one in columns]
        rows.append([names[entry.soc], *(f"{one:.2f}" for one in (entry.score, entry.best, entry.feasible)), *told])
    titles = (f"{METRICS[one.partition(':')[0]].title['en']} {one.partition(':')[2]}".strip() for one in columns)
    head = ["SoC", "value", "P(best)", "P(feasible)", *titles]
    ends = list(accumulate(max(len(line[at]) for line in (head, *rows)) + 2 for at in range(len(head))))
    room = _room()
    fits = max(2, sum(end - 2 <= room for end in ends))
    _line("by expected value: the mean over the draws, nothing where a limit fails", before="\n")
    console.table(head[:fits], [row[:fits] for row in rows], right=range(1, min(4, fits)), out=sys.stdout)
    more = [f"{len(shown) - SHOWN} more SoCs"] * (len(shown) > SHOWN) + [f"{len(head) - fits} more columns"] * (len(head) > fits)
    if more:
        sys.stdout.write(f"and {' and '.join(more)}; --json has all\n")
    return True


def _ruled_out(scenario: Scenario, decision: Decision, names: dict[str, str]) -> None:
    """Under the first limit that each SoC does not meet, how far it is from it, the nearest first."""
    from harness.decide.shown import bound_text, stated_text

    ruled = [one for one in decision.entries if one.ruled_out]
    if not ruled:
        return
    by_limit: dict[str, list[tuple[float, str]]] = {}
    bounds = {one.id: one for one in scenario.demand().limits}
    for entry in ruled:
        first = next(one for one in entry.findings if one.state == "not met")
        best = first.cell.floor if bounds[first.limit].at_most else -first.cell.ceil
        by_limit.setdefault(first.limit, []).append((best, f"{names[entry.soc]} {stated_text(first.cell)}"))
    _line(f"ruled out ({len(ruled)}):", before="\n")
    for limit, socs in by_limit.items():
        asked = bounds[limit]
        said = [one for _, one in sorted(socs)]
        more = f" and {len(said) - NEAREST} more" if len(said) > NEAREST else ""
        title = f"{_title(asked.metric, asked.workload)} ({bound_text(asked.bound, asked.metric)})"
        _line(f"  by {title}: {', '.join(said[:NEAREST])}{more}")


def _not_compared(market: Market, scenario: Scenario) -> None:
    """How many entries of the catalogue have a role that the scenario does not take."""
    roles = Counter(one.role.value for one in market.catalogue.socs.values() if one.role not in scenario.roles)
    if roles:
        counts = ", ".join(f"{count} {role}" for role, count in sorted(roles.items()))
        taken = ", ".join(one.value for one in scenario.roles)
        _line(f"not compared, since the scenario takes only {taken}: {counts}; --soc NAME compares one all the same", before="\n")
