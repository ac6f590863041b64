"""The answer to a scenario in words: one sentence, and what it rests on, rivals it, and would change it.

The command line and the report say it with the same sentences; the page says it again when a reader moves a weight
(reports/templates/decide_text.js), and a test holds the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.decide.demand import Bound, Demand, Goal
from harness.decide.terms import METRICS, Cell, Decision, Entry
from harness.quantity import Kind
from harness.words import say

AHEAD = 0.005
"""A lead in contribution below this is not told as a reason."""
DOUBT = 0.95
"""Below this P(feasible) of the leader, or above 1 - this of "none feasible", the answer warns."""
LESS = 0.1
"""A runner-up that is feasible by this much less often is second because of its limits."""
NAMED = 4
"""So many SoCs of a shortlist are named."""


class Answer(NamedTuple):
    """The sentence, and labelled lines after it."""

    head: str
    lines: tuple[tuple[str, str], ...]


def answer(decision: Decision, demand: Demand, names: Mapping[str, str], language: str = "en") -> Answer:
    """The answer in `language`. `names`: id of a SoC -> its name."""
    return _Teller(decision, demand, names, language).told()


def percent(share: float) -> str:
    """A probability for a sentence: "92 %", "< 1 %", "> 99 %"."""
    whole = round(share * 100)
    if share > 0 and whole == 0:
        return "< 1\u202f%"
    if share < 1 and whole == 100:
        return "> 99\u202f%"
    return f"{whole}\u202f%"


class _Teller:
    def __init__(self, decision: Decision, demand: Demand, names: Mapping[str, str], language: str) -> None:
        self.decision, self.demand, self.names, self.language = decision, demand, names, language
        self.open = [one for one in decision.entries if not one.ruled_out]
        self.bounds = {one.id: one for one in demand.limits}

    def say(self, key: str, **values: object) -> str:
        return say(f"page-{key}", self.language, **values)

    def join(self, items: Sequence[str]) -> str:
        """Items as a list in a sentence."""
        if len(items) < 2:
            return "".join(items)
        return self.say("and", first=self.say("comma").join(items[:-1]), last=items[-1])

    def name(self, soc: str) -> str:
        return self.names.get(soc, soc)

    def title(self, one: Bound | Goal) -> str:
        """What is asked, in words: "latency of yolov8n", "price"."""
        title = METRICS[one.metric].title[self.language]
        return self.say("of-workload", metric=title, workload=one.workload) if one.workload else title

    def kinds(self, cells: Iterable[Cell]) -> str:
        """How many of each kind, strongest first: "4 published, 1 datasheet"."""
        counts = Counter(one.evidence.kind for one in cells)
        return self.say("comma").join(self.say("count-kind", count=counts[kind], kind=self.say(f"kind-{kind}")) for kind in Kind if counts[kind])

    def told(self) -> Answer:
        lines = [self.rests(), self.surest(), self.runner(), self.change(), self.beware()] if self.decision.leader else [self.closest()]
        return Answer(self.head(), tuple(one for one in lines if one))

    def head(self) -> str:
        decision = self.decision
        if not decision.leader:
            failed = Counter(item.limit for one in decision.entries for item in one.findings if item.state == "not met")
            if not failed:
                return self.say("answer-nobody")
            limit = max(self.demand.limits, key=lambda one: failed[one.id])  # the first of those that rule out most
            return self.say("answer-nothing", limit=self.title(limit), count=failed[limit.id], total=len(decision.entries))
        first = self.open[0]
        if len(decision.entries) == 1:
            return self.say("answer-alone", soc=self.name(first.soc), percent=percent(first.feasible))
        if decision.word != "shortlist":
            return self.say(f"answer-{decision.word}", soc=self.name(first.soc), percent=percent(first.best))
        return self.shortlisted()

    def shortlisted(self) -> str:
        """The sentence where there is no clear winner."""
        decision = self.decision
        best = {one.soc: one.best for one in self.open}
        further = [self.say("further", count=len(decision.shortlist) - NAMED)] if len(decision.shortlist) > NAMED else []
        if self.demand.limits and not any(all(item.state == "met" for item in one.findings) for one in decision.entries):
            told = [self.say("with-percent", soc=self.name(one), percent=percent(best[one])) for one in decision.shortlist[:NAMED]]
            return self.say("answer-unproven", total=len(self.demand.limits), list=self.join([*told, *further]))
        if len(decision.shortlist) == 1:
            return self.say("answer-only", soc=self.name(decision.shortlist[0]), percent=percent(best[decision.shortlist[0]]))
        told = [self.name(one) for one in decision.shortlist[:NAMED]]
        return self.say("answer-shortlist", list=self.join([*told, *further]), percent=percent(sum(best[one] for one in decision.shortlist)))

    def rests(self) -> tuple[str, str]:
        first, total = self.open[0], len(self.demand.limits)
        met = [one.cell for one in first.findings if one.state == "met"]
        unsettled = [self.title(self.bounds[one.limit]) for one in first.findings if one.state != "met"]
        if not total:
            said = self.say("rests-free")
        elif not unsettled:
            said = self.say("rests-all", total=total, kinds=self.kinds(met))
        elif met:
            said = self.say("rests-some", met=len(met), total=total, kinds=self.kinds(met), names=self.join(unsettled))
        else:
            said = self.say("rests-nothing", total=total, names=self.join(unsettled))
        values = {"soc": self.name(first.soc), "limits": said, "kinds": self.kinds(part.cell for part in first.parts)}
        return self.say("label-rests"), self.say("rests-criteria", **values)

    def surest(self) -> tuple[str, str] | None:
        """Where the first by expected value is not the likeliest to be the best: why it is first all the same."""
        first = self.open[0]
        if self.decision.word != "shortlist" or self.decision.shortlist[:1] == (first.soc,):
            return None
        values = {"soc": self.name(first.soc), "feasible": percent(first.feasible), "best": percent(first.best)}
        return self.say("label-surest"), self.say("surest", **values)

    def runner(self) -> tuple[str, str]:
        label = self.say("label-runner")
        if len(self.open) < 2:
            return label, self.say("runner-none")
        first, second = self.open[:2]
        values = {"soc": self.name(second.soc), "best": percent(second.best), "leader": self.name(first.soc)}
        if second.feasible < first.feasible - LESS and second.limiting:
            return label, self.say("runner-feasible", **values, limit=self.title(self.bounds[second.limiting]), feasible=percent(second.feasible))
        lead, mine, theirs, goal = max(
            (
                (mine.contribution - theirs.contribution, mine, theirs, goal)
                for mine, theirs, goal in zip(first.parts, second.parts, self.demand.criteria, strict=True)
            ),
            key=lambda one: one[0],
        )
        if lead < AHEAD:
            return label, self.say("runner-close", **values)
        ours = {"ours": f"{mine.contribution:.2f}", "theirs": f"{theirs.contribution:.2f}"}
        return label, self.say("runner-ahead", **values, **ours, criterion=self.title(goal))

    def change(self) -> tuple[str, str]:
        label = self.say("label-change")
        if not self.decision.advice:
            return label, self.say("change-none")
        one = self.decision.advice[0]
        values = {"soc": self.name(one.soc), "metric": METRICS[one.metric].title[self.language], "workload": one.workload, "flip": percent(one.flip)}
        return label, self.say("change-workload" if one.workload else "change-part", **values)

    def closest(self) -> tuple[str, str] | None:
        """Of what is ruled out, the one that fails the fewest limits."""

        def failed(entry: Entry) -> list[str]:
            return [self.title(self.bounds[one.limit]) for one in entry.findings if one.state == "not met"]

        best = min(self.decision.entries, key=lambda one: len(failed(one)), default=None)
        if best is None or not failed(best):
            return None
        return self.say("label-closest"), self.say("closest", soc=self.name(best.soc), limits=self.join(failed(best)))

    def beware(self) -> tuple[str, str] | None:
        """What lowers the trust in the answer, or nothing."""
        first, said = self.open[0], []
        if first.feasible < DOUBT and first.limiting:
            values = {"soc": self.name(first.soc), "feasible": percent(first.feasible)}
            said.append(self.say("beware-limit", **values, limit=self.title(self.bounds[first.limiting])))
        if self.decision.none_feasible > 1 - DOUBT:
            said.append(self.say("beware-none", percent=percent(self.decision.none_feasible)))
        thin = [one for one in self.open if not one.placed]
        if thin and first.placed:
            said.append(self.say("beware-thin", count=len(thin), percent=percent(sum(one.best for one in thin))))
        return (self.say("label-beware"), self.say("stop").join(said)) if said else None
