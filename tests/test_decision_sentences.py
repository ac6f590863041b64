"""What a decision says, in both languages: the verdict, and why a limit is met or not."""

from __future__ import annotations

import math
import re

import pytest

from harness.decide.decision import Bound, Demand, Row, sentences
from harness.decide.terms import Cell, Note
from harness.quantity import Kind
from harness.words import LANGUAGES, catalogue, say
from tests.demands import cell, goal, power, verdict, watts, worth


def said(notes: tuple[Note, ...], language: str = "en") -> str:
    return " ".join(say(one.key, language, **one.values) for one in notes)


NAMES = {"a": "Alpha 1", "b": "Beta 2"}


def told(demand: Demand, rows: dict[str, Row]) -> dict[str, str]:
    found = sentences(verdict(demand, rows), demand, NAMES)
    for notes in found.values():
        said(notes, "zh")
    return {key: said(notes) for key, notes in found.items()}


def test_a_recommendation_says_what_it_rests_on_and_who_is_second() -> None:
    demand = Demand((goal("x", 2), goal("y", 1)), (power(), Bound("memory", "memory", "", at_most=False, bound=2**33, accept=Kind.DATASHEET)))
    memory = {soc: cell(soc, 2.0**34, metric="memory", workload="", kind=Kind.DATASHEET) for soc in "ab"}
    rows = {
        soc: Row((worth(soc, x, workload="x"), worth(soc, y, workload="y")), (watts(soc, 8.0), memory[soc]))
        for soc, x, y in (("a", 0.9, 0.6), ("b", 0.3, 0.7))
    }
    found = told(demand, rows)
    assert found["answer"] == "Alpha 1 is recommended: P(best) 1.00, and every limit is met on accepted evidence."
    assert found["rests"] == "Limits met: 2 of 2; 1 on published and 1 on datasheet. Criteria: 2; 2 on published."
    assert "Second is Beta 2" in found["runner_up"]
    assert "loses most on latency of x" in found["runner_up"]
    assert found["change"] == "No single measurement or answer changes the first place."
    assert found["warning"] == ""


def test_an_uncertain_leader_is_told_with_its_limit_and_what_to_ask() -> None:
    rows = {"a": Row((worth("a", 0.9),), (watts("a", 14.0, 0.1),)), "b": Row((worth("b", 0.65),), (watts("b", 8.0),))}
    found = told(Demand((goal(),), (power(),)), rows)
    assert found["warning"].startswith("Alpha 1 meets all limits with probability 0.76 only; least sure: power.")
    assert "Limits unknown: 1 (power)." in found["rests"]
    assert "ask the maker for the power of Alpha 1" in found["change"]
    assert re.search(r"With a chance of \d+\u2009%", found["change"])


def test_a_runner_up_worth_no_less_is_second_because_of_its_limits() -> None:
    rows = {"a": Row((worth("a", 0.6),), (watts("a", 5.0),)), "b": Row((worth("b", 0.8),), (watts("b", None),))}
    found = told(Demand((goal(),), (power(),)), rows)
    assert "Second is Beta 2" in found["runner_up"]
    assert "probability 0.50 only (against 1.00); least sure: power" in found["runner_up"]


def test_where_nothing_meets_the_limits_that_is_the_whole_answer() -> None:
    found = told(Demand((goal(),), (power(),)), {"a": Row((worth("a", 0.9),), (watts("a", 30.0),))})
    assert found["answer"].startswith("Nothing meets the limits: none of the 1 SoCs")
    assert not any(found[key] for key in ("rests", "runner_up", "change", "warning"))


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        (watts("a", 12.0), "met: 12.0\u2009W, at most 10.0\u2009W asked"),
        (watts("a", None), "unknown: no evidence, at most 10.0\u2009W asked"),
        (watts("a", 30.0, floor=0.0), "unknown: only at most 30.0\u2009W is known, at most 10.0\u2009W asked; met with probability 0.50"),
        (watts("a", 5.0, ceil=math.inf), "unknown: only at least 5.00\u2009W is known, at most 10.0\u2009W asked; met with probability 0.50"),
        (watts("a", 10.0, 0.2), "unknown: 10.0\u2009W is too close to tell, at most 10.0\u2009W asked; met with probability 0.50"),
        (
            watts("a", 8.0, kind=Kind.ESTIMATED),
            (
                "unknown: 8.00\u2009W, at most 10.0\u2009W asked; the limit asks for published evidence or better, this is estimated; "
                "met with probability 1.00"
            ),
        ),
    ],
)
def test_a_finding_says_what_is_known_what_is_asked_and_what_is_lacking(known: Cell, sentence: str) -> None:
    found = verdict(Demand((goal(),), (power(10.0, Kind.PUBLISHED),)), {"a": Row((worth("a", 0.5),), (known,))})
    why = found.entries[0].findings[0].why
    assert said((why,)) == (sentence if known.value != 12.0 else sentence.replace("met:", "not met:"))
    assert said((why,), "zh")


def test_every_sentence_of_the_decision_takes_the_same_values_in_both_languages() -> None:
    for key, texts in catalogue().items():
        if key.startswith("decision-"):
            asked = [{re.sub("_(en|zh)$", "", one) for one in re.findall(r"{(\w+)}", texts[language])} for language in LANGUAGES]
            assert asked[0] == asked[1], key
