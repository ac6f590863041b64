"""What a decision says, in both languages: the verdict, and why a limit is met or not."""

from __future__ import annotations

import math
import re

import pytest

from harness.decide.answer import answer
from harness.decide.decision import Bound, Demand, Row
from harness.decide.terms import Cell, Note
from harness.quantity import Kind
from harness.words import LANGUAGES, catalogue, say
from tests.demands import cell, goal, power, verdict, watts, worth


def said(notes: tuple[Note, ...], language: str = "en") -> str:
    return " ".join(say(one.key, language, **one.values) for one in notes)


NAMES = {"a": "Alpha 1", "b": "Beta 2"}


def told(demand: Demand, rows: dict[str, Row]) -> tuple[str, dict[str, str]]:
    decision = verdict(demand, rows)
    assert answer(decision, demand, NAMES, "zh").head
    found = answer(decision, demand, NAMES)
    return found.head, dict(found.lines)


def test_a_recommendation_says_what_it_rests_on_and_who_is_second() -> None:
    demand = Demand((goal("x", 2), goal("y", 1)), (power(), Bound("memory", "memory", "", at_most=False, bound=2**33, accept=Kind.DATASHEET)))
    memory = {soc: cell(soc, 2.0**34, metric="memory", workload="", kind=Kind.DATASHEET) for soc in "ab"}
    rows = {
        soc: Row((worth(soc, x, workload="x"), worth(soc, y, workload="y")), (watts(soc, 8.0), memory[soc]))
        for soc, x, y in (("a", 0.9, 0.6), ("b", 0.3, 0.7))
    }
    head, lines = told(demand, rows)
    assert head == "Take the Alpha 1: it came first in 100\u202f% of the draws and meets every limit."
    assert lines["Rests on"] == "Alpha 1: 2 of 2 limits are met (1 published, 1 datasheet). Criteria: 2 published."
    assert lines["Second by value"].startswith("Beta 2, first in ")
    assert "mainly by latency of x" in lines["Second by value"]
    assert lines["Would change it"] == "No single figure would change the first place."
    assert "Take note" not in lines


def test_an_uncertain_leader_is_told_with_its_limit_and_what_to_find_out() -> None:
    rows = {"a": Row((worth("a", 0.9),), (watts("a", 14.0, 0.1),)), "b": Row((worth("b", 0.65),), (watts("b", 8.0),))}
    _, lines = told(Demand((goal(),), (power(),)), rows)
    assert lines["Take note"] == "The Alpha 1 meets all limits in 76\u202f% of the draws; the least certain is power."
    assert "not settled: power" in lines["Rests on"] or lines["Rests on"].startswith("Alpha 1: 0 of 1 limits are met; not settled: power")
    assert re.fullmatch(r"Find out the power of the Alpha 1: \d+\u202f% chance that the first place changes.", lines["Would change it"])


def test_a_runner_up_worth_no_less_is_second_because_of_its_limits() -> None:
    rows = {"a": Row((worth("a", 0.6),), (watts("a", 5.0),)), "b": Row((worth("b", 0.8),), (watts("b", None),))}
    _, lines = told(Demand((goal(),), (power(),)), rows)
    assert lines["Second by value"].endswith("it meets all limits in 50\u202f% only, power being the least certain.")


def test_where_nothing_meets_the_limits_the_answer_names_the_limit_and_what_comes_closest() -> None:
    head, lines = told(Demand((goal(),), (power(),)), {"a": Row((worth("a", 0.9),), (watts("a", 30.0),))})
    assert head == "Nothing meets the limits: power alone rules out 1 of 1."
    assert len(lines) == 1
    assert "Alpha 1" in next(iter(lines.values()))


def test_where_no_soc_is_shown_to_meet_all_limits_the_answer_says_so() -> None:
    rows = {soc: Row((worth(soc, worth_),), (watts(soc, None),)) for soc, worth_ in (("a", 0.6), ("b", 0.5))}
    head, _ = told(Demand((goal(),), (power(),)), rows)
    assert head.startswith("No SoC is shown to meet all 1 limits.")
    assert "Alpha 1 (" in head


def test_where_the_likeliest_best_is_not_the_first_by_value_the_surest_is_named() -> None:
    rows = {"a": Row((worth("a", 0.5),), (watts("a", 5.0),))} | {soc: Row((worth(soc, 0.7),), (watts(soc, None),)) for soc in ("b", "c")}
    head, lines = told(Demand((goal(),), (power(),)), rows)
    assert head.startswith("No clear winner: Beta 2")
    assert lines["Surest now"].startswith("Alpha 1: the highest expected value, since it meets all limits in 100\u202f% of the draws")


def test_what_is_not_placed_is_counted_with_its_share_of_the_first_places() -> None:
    demand = Demand((goal("x", 0.7), goal("y", 0.3)))
    rows = {
        "a": Row((worth("a", 0.5, workload="x"), worth("a", 0.5, workload="y"))),
        "b": Row((cell("b", None, workload="x"), worth("b", 0.5, workload="y"))),
    }
    _, lines = told(demand, rows)
    assert lines["Take note"].startswith("Not placed, since less than a third of the weight is known of them: 1 SoCs, which come first in ")


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
