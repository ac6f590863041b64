"""socbench select: which SoC for a scenario, how sure, and why."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import console
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.decide.market import Market
    from harness.decide.scenario import Scenario
    from harness.decide.terms import Decision

EPILOG = """\
examples:
  socbench select edge-llm
  socbench select vision-gateway --limit power=8W --limit price=150USD --limit latency:yolov8n=33ms
  socbench select vision-gateway --weight price=5 --soc rk3588 --soc qcs6490
  socbench select my-product.toml --json                 a scenario of your own

A limit given as NAME=VALUE replaces the scenario's, or is added; NAME=none removes it. A limit that is better when lower is an upper
limit, any other a lower one. Where the scenario asks of several workloads, write latency:yolov8n.
`socbench list scenarios` says what there is; `socbench explain` gives every number behind one SoC.
"""
SHOWN = 12


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "select",
        help="which SoC for a scenario, how sure, and why",
        description="Rank the SoCs for a scenario from all evidence: measured, published, datasheet, claimed, estimated.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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


def scenario_of(arguments: argparse.Namespace) -> Scenario:
    """The scenario with the changes of the command line."""
    from harness.decide.scenario import changed, get

    scenario = get(arguments.scenario)
    limits, weights = pairs(arguments.limit, "--limit"), pairs(arguments.weight, "--weight")
    with _flag("--limit"):
        scenario = changed(scenario, limits=limits)
    with _flag("--weight"):
        return changed(scenario, weights=weights)


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
    scenario = scenario_of(arguments)
    market = market_of(arguments)
    with _flag("--soc"):
        socs = [market.catalogue.find(one).id for one in arguments.soc]
    decision = market.decide(scenario, socs)
    if arguments.json:
        document({"scenario": scenario, "decision": decision})
        return 0
    _print(market, scenario, decision)
    return 0


def _print(market: Market, scenario: Scenario, decision: Decision) -> None:
    from harness.decide.answer import answer
    from harness.words import say

    names = {one.soc: market.catalogue.socs[one.soc].name for one in decision.entries}
    out = sys.stdout
    out.write(f"{scenario.title['en']}\n{scenario.product['en']}\n\n")
    told = answer(decision, scenario.demand(), names)
    out.write(f"{told.head}\n")
    for label, line in told.lines:
        out.write(f"  {label}: {line}\n")
    _ranking(scenario, decision, names)
    _ruled_out(decision, names)
    if decision.advice:
        out.write("\nworth finding out:\n")
        for one in decision.advice:
            said = say(one.how.key, "en", **{**one.how.values, "soc": names[one.soc]})
            out.write(f"  {said}: {one.flip:.0%} chance to change the first place\n")
    out.write("\n● measured here  ◐ published  ○ datasheet  ◌ claimed  ≈ estimated (90 % interval)  – missing   ✓ limit met  ✗ not met  ? unknown\n")
    best = decision.leader or (decision.entries[0].soc if decision.entries else "")
    if best:
        out.write(f"every number behind one SoC: socbench explain {decision.scenario} {best}\n")


def _ranking(scenario: Scenario, decision: Decision, names: dict[str, str]) -> None:
    """The table: limits first, then as many criteria as the terminal is wide; a pipe gets all."""
    from harness.decide.shown import cell_text
    from harness.decide.terms import METRICS

    demand = scenario.demand()
    limits = [one.id for one in demand.limits]
    columns = [*limits, *(one.id for one in demand.criteria if one.id not in limits)]
    shown = [one for one in decision.entries if not one.ruled_out]
    if not shown:
        return
    rows = []
    for entry in shown[:SHOWN]:
        cells = {one.criterion: one.cell for one in entry.parts} | {one.limit: one.cell for one in entry.findings}
        states = {one.limit: {"met": " ✓", "not met": " ✗", "unknown": " ?"}[one.state] for one in entry.findings}
        told = [cell_text(cells[one]) + states.get(one, "") for one in columns]
        rows.append([names[entry.soc], f"{entry.best:.2f}", f"{entry.feasible:.2f}", *told])
    head = ["SoC", "P(best)", "P(feasible)", *(f"{METRICS[one.partition(':')[0]].title['en']} {one.partition(':')[2]}".strip() for one in columns)]
    widths = [max(len(line[at]) for line in (head, *rows)) + 2 for at in range(len(head))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths)
    fits = max(3 + len(limits[:1]), next((at for at in range(len(widths)) if sum(widths[: at + 1]) - 2 > room), len(widths)))
    sys.stdout.write("\n")
    console.table(head[:fits], [row[:fits] for row in rows], right=(1, 2), out=sys.stdout)
    more = [f"{len(shown) - SHOWN} more SoCs"] * (len(shown) > SHOWN) + [f"{len(head) - fits} more columns"] * (len(head) > fits)
    if more:
        sys.stdout.write(f"and {' and '.join(more)}; --json has all\n")


def _ruled_out(decision: Decision, names: dict[str, str]) -> None:
    out = sys.stdout
    ruled = [one for one in decision.entries if one.ruled_out]
    if not ruled:
        return
    by_limit: dict[str, list[str]] = {}
    for entry in ruled:
        first = next(one for one in entry.findings if one.state == "not met")
        by_limit.setdefault(first.limit, []).append(names[entry.soc])
    out.write(f"\nruled out ({len(ruled)}):\n")
    for limit, socs in by_limit.items():
        out.write(f"  by {limit}: {', '.join(socs)}\n")
