"""A decision in sentences: why a limit is met or not, the answer, what it rests on, and what would change it.

A sentence is a `Note`, so that it can be said in both languages. What differs by language inside one goes in twice, under a name ending in
`_en` and one ending in `_zh`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache

from harness.decide.demand import Bound, Demand
from harness.decide.shown import value_text
from harness.decide.terms import METRICS, Cell, Decision, Entry, Finding, Note
from harness.quantity import STRENGTH, Kind
from harness.words import LANGUAGES, say

DOUBT = 0.95
"""A leader that meets all limits with less than this probability comes with a warning."""
NAMED = 5
"""So many SoCs of a shortlist are named in the answer."""
LEAST = 0.005
"""P(no SoC meets the limits) is told from here on: below it reads 0.00."""
_JOINTS = {"en": (", ", " and "), "zh": ("、", "和")}


def share(probability: float) -> str:
    """A probability with two digits; 1.00 and 0.00 only where it rounds to that."""
    return f"{probability:.2f}"


def percent(probability: float) -> str:
    """A probability in per cent: "18 %"."""
    return f"{100 * probability:.0f}\u2009%"


def both(stem: str, key: str, /, **values: str) -> dict[str, str]:
    """The sentence `key` in each language, under `stem`_en and `stem`_zh. A value named x_en or x_zh goes into its own language."""
    return {f"{stem}_{language}": say(key, language, **values) for language in LANGUAGES}


def listed(stem: str, items: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Several things, each a mapping language -> text, as one list in each language: "a, b and c"."""
    items = list(items)
    found = {}
    for language in LANGUAGES:
        comma, last = _JOINTS[language]
        texts = [one[language] for one in items]
        found[f"{stem}_{language}"] = last.join([comma.join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)
    return found


def question(metric: str, workload: str) -> dict[str, str]:
    """What is asked, by language: "latency of yolov8n", "price"."""
    title = METRICS[metric].title
    if not workload:
        return dict(title)
    return {language: say("decision-of", language, metric=title[language], workload=workload) for language in LANGUAGES}


@lru_cache(4096)
def _worth(value: float, metric: str, language: str) -> str:
    """`value` for a reader; a yes or no in its language."""
    if metric == "w4a16":
        return say("decision-yes" if value >= 0.5 else "decision-no", language)
    return value_text(value, metric)


@lru_cache(512)
def _asked(bound: Bound) -> dict[str, str]:
    key = "decision-at-most" if bound.at_most else "decision-at-least"
    return {f"asked_{one}": say(key, one, bound=_worth(bound.bound, bound.metric, one)) for one in LANGUAGES}


def _known(cell: Cell) -> dict[str, str]:
    """What is known of a value, by language: itself, or the side on which it is bounded."""
    if cell.value is None:
        return both("known", "decision-nothing")
    low, high = cell.floor, cell.ceil
    found = {}
    for language in LANGUAGES:
        if low == high or (math.isinf(low) and math.isinf(high)):
            found[f"known_{language}"] = _worth(cell.value, cell.metric, language)
        elif math.isinf(high):
            found[f"known_{language}"] = say("decision-at-least", language, bound=_worth(low, cell.metric, language))
        elif math.isinf(low) or low <= 0 < high:
            found[f"known_{language}"] = say("decision-at-most", language, bound=_worth(high, cell.metric, language))
        else:
            ends = _worth(low, cell.metric, language), _worth(high, cell.metric, language)
            found[f"known_{language}"] = say("decision-between", language, low=ends[0], high=ends[1])
    return found


def why(bound: Bound, cell: Cell, state: str, probability: float) -> Note:
    """Why a limit is met, not met or unknown: what is asked, what is known, and what is lacking."""
    values = _asked(bound) | _known(cell)
    if cell.value is None:
        return Note("decision-limit-unknown", values)
    if state != "unknown":
        return Note("decision-limit-met" if state == "met" else "decision-limit-not-met", values)
    kinds = {
        f"{stem}_{language}": say(f"decision-kind-{kind}", language)
        for stem, kind in (("kind", cell.evidence.kind), ("accept", bound.accept))
        for language in LANGUAGES
    }
    if STRENGTH[cell.evidence.kind] > STRENGTH[bound.accept]:
        return Note("decision-limit-weak", values | kinds | {"probability": share(probability)})
    key = "decision-limit-open" if cell.floor < cell.ceil else "decision-limit-close"
    return Note(key, values | {"probability": share(probability)})


def sentences(decision: Decision, demand: Demand, names: Mapping[str, str]) -> dict[str, tuple[Note, ...]]:
    """The verdict: `answer`, what it `rests` on, the `runner_up`, what would `change` it, and a `warning` where there is one.

    `names` gives each SoC's name by its id; where it lacks one the id is said.
    """
    by_id = {one.soc: one for one in decision.entries}
    leader = by_id.get(decision.leader)
    told: dict[str, tuple[Note, ...]] = {"answer": (_answer(decision, names),), "rests": (), "runner_up": (), "change": (), "warning": ()}
    if leader is None:
        return told
    return told | {
        "rests": _rests(leader, demand),
        "runner_up": (_runner_up(decision, leader, demand, names),),
        "change": _change(decision, names),
        "warning": _warning(decision, leader, demand, names),
    }


def _answer(decision: Decision, names: Mapping[str, str]) -> Note:
    entries = {one.soc: one for one in decision.entries}
    if decision.word == "nothing":
        return Note("decision-answer-nothing", {"count": str(len(entries))})
    if decision.word == "shortlist":
        told = [dict.fromkeys(LANGUAGES, f"{names.get(one, one)} ({share(entries[one].best)})") for one in decision.shortlist[:NAMED]]
        if len(decision.shortlist) > NAMED:
            told.append({one: say("decision-more", one, count=str(len(decision.shortlist) - NAMED)) for one in LANGUAGES})
        proven = any(all(item.state == "met" for item in one.findings) for one in decision.entries)
        limits = str(len(decision.entries[0].findings))
        return Note(f"decision-answer-{'shortlist' if proven else 'unproven'}", listed("socs", told) | {"limits": limits})
    values = {"soc": names.get(decision.leader, decision.leader), "best": share(entries[decision.leader].best)}
    return Note(f"decision-answer-{decision.word}", values)


def _kinds(cells: Iterable[Cell]) -> dict[str, str]:
    """How many cells are of which kind of evidence, the strongest first: "4 on published, 1 on datasheet"."""
    kinds = [one.evidence.kind for one in cells]
    counted = [(kind, kinds.count(kind)) for kind in Kind if kind in kinds]
    return listed(
        "kinds",
        [{one: say("decision-on", one, count=str(count), kind=say(f"decision-kind-{kind}", one)) for one in LANGUAGES} for kind, count in counted],
    )


def _asks(findings: Iterable[Finding], demand: Demand) -> dict[str, str]:
    bounds = {one.id: one for one in demand.limits}
    return listed("limits", [question(bounds[one.limit].metric, bounds[one.limit].workload) for one in findings])


def _rests(leader: Entry, demand: Demand) -> tuple[Note, ...]:
    met = [one for one in leader.findings if one.state == "met"]
    unknown = [one for one in leader.findings if one.state == "unknown"]
    found = []
    if not leader.findings:
        found.append(Note("decision-rests-no-limits"))
    if met:
        found.append(Note("decision-rests-limits", {"met": str(len(met)), "count": str(len(leader.findings))} | _kinds(one.cell for one in met)))
    if unknown:
        found.append(Note("decision-rests-unknown", {"count": str(len(unknown))} | _asks(unknown, demand)))
    cells = [part.cell for part in leader.parts]
    found.append(Note("decision-rests-criteria", {"count": str(len(cells))} | _kinds(cells)))
    return tuple(found)


def _runner_up(decision: Decision, leader: Entry, demand: Demand, names: Mapping[str, str]) -> Note:
    """The second in the ranking, and what costs it most: a criterion, or the doubt about its limits where its value is no smaller."""
    second = next((one for one in decision.entries if one.soc != leader.soc and not one.ruled_out), None)
    if second is None:
        return Note("decision-second-none")
    values = {"soc": names.get(second.soc, second.soc), "best": share(second.best), "leader": names.get(leader.soc, leader.soc)}
    gaps = {mine.criterion: mine.contribution - theirs.contribution for mine, theirs in zip(leader.parts, second.parts, strict=True)}
    feasible = {"feasible": share(second.feasible), "leader_feasible": share(leader.feasible)}
    if sum(gaps.values()) <= 0:
        if second.limiting and second.feasible < leader.feasible:
            doubt = [one for one in second.findings if one.limit == second.limiting]
            return Note("decision-second-limits", values | feasible | _asks(doubt, demand))
        return Note("decision-second-level", values)
    goal = max(demand.criteria, key=lambda one: (gaps[one.id], one.id))
    title = question(goal.metric, goal.workload)
    texts = {f"criterion_{one}": title[one] for one in LANGUAGES}
    return Note("decision-second-criterion", values | texts | {"gap": share(gaps[goal.id])})


def _change(decision: Decision, names: Mapping[str, str]) -> tuple[Note, ...]:
    if not decision.advice:
        return (Note("decision-change-nothing"),)
    top = decision.advice[0]
    values = top.how.values | {"soc": names.get(top.soc, top.soc)}
    key = "decision-change" if top.flip > 0 else "decision-change-score"
    return (Note(key, both("how", top.how.key, **values) | {"flip": percent(top.flip)}),)


def _warning(decision: Decision, leader: Entry, demand: Demand, names: Mapping[str, str]) -> tuple[Note, ...]:
    found = []
    if leader.feasible < DOUBT:
        doubt = [one for one in leader.findings if one.limit == leader.limiting]
        values = {"soc": names.get(leader.soc, leader.soc), "feasible": share(leader.feasible)}
        found.append(Note("decision-warning-feasible", values | _asks(doubt, demand)))
    thin = [one for one in decision.entries if not one.placed and not one.ruled_out]
    if thin and leader.placed:
        found.append(Note("decision-warning-thin", {"count": str(len(thin)), "best": share(sum(one.best for one in thin))}))
    if decision.none_feasible >= LEAST:
        found.append(Note("decision-warning-none", {"probability": share(decision.none_feasible)}))
    return tuple(found)
