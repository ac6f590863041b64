"""socbench explain: every number behind one SoC in one scenario, its source, and what would change the answer."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from harness import console
from harness.commands.select import add_question, document, measuring, question
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.decide.market import Market
    from harness.decide.terms import Cell, Decision, Entry

EPILOG = """\
examples:
  socbench explain edge-llm rk3588
  socbench explain vision-gateway qcs6490 --limit power=8W
"""
LOST = 6


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser(
        "explain",
        help="every number behind one SoC in a scenario",
        description="Show each limit and criterion of one SoC in a scenario: value, interval, evidence, source, what was not taken and why.",
        epilog=EPILOG,
        formatter_class=console.Help,
    )
    add_question(one)
    one.add_argument("soc", help="the SoC (socbench list socs)")
    one.add_argument("--all", action="store_true", help="also every figure that was not taken, and why")
    one.add_argument("--json", action="store_true", help="one JSON document on stdout")
    one.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Decide, and print one entry in full."""
    _in_order(arguments)
    scenario, market = question(arguments)
    soc = market.catalogue.find(arguments.soc)
    decision = market.decide(scenario)
    entry = next((one for one in decision.entries if one.soc == soc.id), None)
    if entry is None:
        admitted = ", ".join(one.value for one in scenario.roles)
        raise UsageError(
            f"{soc.name} has the role {soc.role.value!r}; the scenario {scenario.id} admits {admitted}",
            f"socbench select {arguments.scenario} --soc {soc.id} ranks it all the same",
        )
    if arguments.json:
        cells = [*(one.cell for one in entry.parts), *(one.cell for one in entry.findings)]
        sources = {one: market.source(one) for cell in cells for one in cell.figures}
        advice = [one for one in decision.advice if one.soc == soc.id]
        document({"scenario": scenario, "soc": soc.id, "entry": entry, "sources": sources, "advice": advice})
        return 0
    place = [one.soc for one in decision.entries].index(soc.id) + 1
    out = sys.stdout
    out.write(f"{soc.name} in: {scenario.title['en']}\n")
    state = "ruled out" if entry.ruled_out else f"place {place} of {len(decision.entries)}"
    out.write(f"{state}; P(best) {entry.best:.2f}, P(feasible) {entry.feasible:.2f}, in {decision.draws} draws\n")
    told: list[Cell] = []
    _limits(market, scenario, entry, told, everything=arguments.all)
    _criteria(market, scenario, entry, told, everything=arguments.all)
    _change(market, decision, entry)
    return 0


def _in_order(arguments: argparse.Namespace) -> None:
    """Raise UsageError where the scenario stands where the SoC should."""
    from harness.decide.scenario import known

    scenarios = known()
    if (arguments.soc in scenarios or arguments.soc.endswith(".toml")) and arguments.scenario not in scenarios:
        raise UsageError("the arguments are swapped", f"write socbench explain {arguments.soc} {arguments.scenario}")


def _limits(market: Market, scenario: Any, entry: Entry, told: list[Cell], *, everything: bool) -> None:
    from harness.words import say

    out = sys.stdout
    if entry.findings:
        out.write("\nHard limits\n")
    reasons = {one.id: one for one in scenario.limits}
    for one in entry.findings:
        sign = {"met": "✓", "not met": "✗", "unknown": "?"}[one.state]
        out.write(f"  {sign} {one.limit}: {one.state}, P {one.probability:.2f}\n      {say(one.why.key, 'en', **one.why.values)}\n")
        if why := reasons[one.limit].reason.get("en"):
            out.write(f"      asked because: {why}\n")
        _cell(market, one.cell, told, everything=everything)


def _criteria(market: Market, scenario: Any, entry: Entry, told: list[Cell], *, everything: bool) -> None:
    from harness.decide.shown import value_text

    out = sys.stdout
    out.write("\nCriteria\n")
    goals = {one.id: one for one in scenario.demand().criteria}
    total = sum(one.weight for one in goals.values())
    for one in sorted(entry.parts, key=lambda part: -goals[part.criterion].weight):
        goal = goals[one.criterion]
        anchors = f"{value_text(goal.reject, goal.metric)} is worth nothing, {value_text(goal.target, goal.metric)} everything"
        out.write(
            f"  {one.criterion}: utility {one.utility:.2f}, weight {goal.weight / total:.0%}, contributes {one.contribution:.2f}  ({anchors})\n"
        )
        _cell(market, one.cell, told, everything=everything)


def _cell(market: Market, cell: Cell, told: list[Cell], *, everything: bool) -> None:
    """What is known, and from where; of a cell that has been `told` already only that."""
    from harness.decide.shown import cell_text
    from harness.words import say

    out = sys.stdout
    option = f"  [{cell.option.runtime}, {cell.option.precision}, {cell.option.compute_unit}]" if cell.option else ""
    spread = f", sd of the logarithm {cell.sigma:.2f}" if cell.sigma else ""
    again = cell in told
    out.write(f"      {cell_text(cell)} {cell.evidence.kind.value}{spread}{option}{', as above' if again else ''}\n")
    if again:
        return
    told.append(cell)
    for note in (*([cell.reason] if cell.reason else []), *cell.notes):
        out.write(f"      note: {say(note.key, 'en', **note.values)}\n")
    for identity in cell.figures:
        source = market.source(identity)
        where = source.url or source.where
        out.write(f"      source {identity}: {where}{f' ({source.date})' if source.date else ''}\n")
    shown = cell.lost if everything else cell.lost[:LOST] if len(cell.lost) <= LOST else ()
    for identity, why in shown:
        out.write(f"      not taken {identity}{_stated(market, identity)}: {why}\n")
    if len(cell.lost) > len(shown):
        out.write(f"      {len(cell.lost)} other figures were not taken; --all lists them\n")


def _stated(market: Market, identity: str) -> str:
    """What the figure or fact `identity` says, after a comma; nothing where neither is known by that id."""
    from harness.quantity import text

    if figure := market.evidence.figures.get(identity):
        return f", {text(figure.value, figure.unit)}"
    if fact := market.facts.get(identity):
        return f", {fact.value} {fact.unit}".rstrip()
    return ""


def _change(market: Market, decision: Decision, entry: Entry) -> None:
    from harness.decide.learn import Learn
    from harness.words import say

    out = sys.stdout
    out.write("\nWhat would change the answer\n")
    own = [one for one in decision.advice if one.soc == entry.soc]
    learn, told = Learn(market.catalogue, market.hosts), set[str]()
    for one in own:
        said = say(one.how.key, "en", **{**one.how.values, "soc": market.catalogue.socs[one.soc].name})
        out.write(f"  {said}: {one.flip:.0%} chance to change the first place\n")
        for line in measuring(learn, decision, one, told):
            out.write(f"    {line}\n")
    broken = [one.limit for one in entry.findings if one.state == "not met"]
    if broken:
        out.write(f"  it is ruled out by {', '.join(broken)}: a softer limit, or evidence that it is met, brings it back\n")
    elif not own:
        out.write("  no single measurement of this SoC changes the first place\n")
