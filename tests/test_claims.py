"""The claims ledger: a verdict follows from the figures, and changes with them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import get_args

import msgspec
import pandas as pd
import pytest

from harness.decide import figures
from harness.decide.catalogue import Catalogue
from harness.decide.claims import COLUMNS, Claim, Relation, Verdict, ledger, meets
from harness.decide.claims.formula import Known, evaluate
from harness.decide.terms import Figure
from harness.errors import SpecError
from harness.quantity import Kind
from harness.spec import home
from harness.table import frame
from harness.words import say
from tests.records import make_record

FOLDER = home() / "results" / "evidence"


@cache
def evidence() -> tuple[tuple[Figure, ...], Catalogue]:
    return figures.read([FOLDER]), Catalogue.read([FOLDER])


@cache
def shipped() -> dict[str, Claim]:
    return {one.id: one for one in ledger(*evidence(), None)}


def changed(values: dict[str, float]) -> dict[str, Claim]:
    """The ledger where some figures have other values."""
    known, catalogue = evidence()
    assert set(values) <= {one.id for one in known}
    other = [msgspec.structs.replace(one, value=values[one.id]) if one.id in values else one for one in known]
    return {one.id: one for one in ledger(other, catalogue, None)}


def a_ledger(folder: Path, **cells: str) -> Path:
    """A folder with one claim."""
    row = dict.fromkeys(COLUMNS, "") | {
        "claim_id": "x1", "claim": "a is twice b", "claim_zh": "a 是 b 的两倍", "subject": "a", "claimed_value": "2", "claimed_unit": "x",
        "relation": "factor", "claimed_low": "2", "unit": "1", "check": "a / b: p0f05543301 / p54ab42b554",
    }  # fmt: skip
    with (folder / "claims.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerow(row | cells)
    return folder


def one_claim(folder: Path, table: pd.DataFrame | None = None, **cells: str) -> Claim:
    (claim,) = ledger(*evidence(), table, [a_ledger(folder, **cells)])
    return claim


def test_every_claim_of_the_survey_is_in_the_ledger_in_both_languages() -> None:
    assert len(shipped()) == 75
    assert all(one.text["en"] and one.text["zh"] and one.verdict in get_args(Verdict) for one in shipped().values())


def test_at_least_forty_verdicts_follow_from_numbers() -> None:
    computed = [one for one in shipped().values() if not one.judged and any(part.value is not None for part in one.found)]
    assert len(computed) >= 40
    assert all(one.low is not None and one.high is not None for one in computed)


def test_every_number_a_check_names_is_there() -> None:
    lacking = {(one.id, part.missing) for one in shipped().values() for part in one.found if part.missing}
    assert lacking == {("c047", ("Ascend 910B: peak_tops_int8_dense",))}


def test_the_survey_bears_out_none_of_its_own_claims() -> None:
    known, catalogue = evidence()
    facts = {fact.id: fact for soc in catalogue.socs.values() for fact in (*soc.facts.values(), *(x for rest in soc.others.values() for x in rest))}
    used = {one for claim in shipped().values() for part in claim.found for one in part.ids}
    assert used <= facts.keys() | {one.id for one in known}
    assert not any(facts[one].source_kind == "survey" for one in used & facts.keys())


@pytest.mark.parametrize(
    ("identity", "values", "before", "after"),
    [
        ("c042", {"pc4589ea888": 0.0020}, "partly", "supported"),
        ("c042", {"pc4589ea888": 0.0065}, "partly", "contradicted"),
        ("c019", {"p6e95ffa9f8": 8.0}, "contradicted", "supported"),
        ("c031", {"p39f54c194a": 58.0}, "partly", "supported"),
        ("c063", {"p6161d6fd01": 0.0029, "p2d7ab7498e": 0.0033}, "contradicted", "supported"),
        ("c075", {"p034ba2ede3": 2.0}, "supported", "partly"),
    ],
)
def test_a_verdict_changes_with_the_figure(identity: str, values: dict[str, float], before: str, after: str) -> None:
    assert shipped()[identity].verdict == before
    assert changed(values)[identity].verdict == after


def test_a_claim_whose_figures_are_gone_is_missing_and_not_contradicted() -> None:
    known, catalogue = evidence()
    gone = {"p38e9be7512", "pc4589ea888"}
    claim = {one.id: one for one in ledger([one for one in known if one.id not in gone], catalogue, None)}["c042"]
    assert claim.verdict == "missing"
    assert claim.found[0].value is None
    assert set(claim.found[0].missing) == gone


@pytest.mark.parametrize(
    ("relation", "claimed", "met", "part", "not_met"),
    [
        ("factor", (4.0, 4.0), (3.7, 9.0), (2.1, 3.5), (0.0, 0.5, 1.0, 1.9)),
        ("at least", (10.0, 10.0), (9.1, 50.0), (), (8.9,)),
        ("at most", (10.0, 10.0), (1.0, 10.9), (), (11.1,)),
        ("above", (1.0, 1.0), (1.01,), (), (1.0, 0.9)),
        ("below", (1.0, 1.0), (0.99,), (), (1.0, 1.1)),
        ("equal", (275.0, 275.0), (275.0, 276.0), (), (137.5, 280.0)),
        ("within", (15.0, 60.0), (14.0, 60.0, 65.0), (), (13.0, 70.0)),
        ("about", (2.0, 2.0), (1.4, 2.9), (), (1.2, 3.1)),
    ],
)
def test_each_relation_has_its_own_bounds(
    relation: Relation, claimed: tuple[float, float], met: Iterable[float], part: Iterable[float], not_met: Iterable[float]
) -> None:
    assert {meets(relation, *claimed, one) for one in met} == {"met"}
    assert {meets(relation, *claimed, one) for one in part} <= {"part"}
    assert {meets(relation, *claimed, one) for one in not_met} == {"not met"}


def test_measured_records_and_published_figures_decide_together(tmp_path: Path) -> None:
    table = frame([make_record(precision="fp32", latency_s=0.030, n=400), make_record(precision="int8", latency_s=0.010, n=400)])
    check = "measured: latency_p50 fp32 / int8; a / b: p54ab42b554 / p0f05543301"
    claim = one_claim(tmp_path, table, check=check)
    measured, published = claim.found
    assert measured.kind is Kind.MEASURED
    assert measured.value == pytest.approx(3.0, rel=0.1)
    assert len(measured.ids) == 2
    assert published.verdict == "not met"
    assert claim.verdict == "partly"
    assert one_claim(tmp_path, None, check=check).verdict == "contradicted"
    assert one_claim(tmp_path, frame([]), check=check).verdict == "contradicted"


def test_records_of_different_threads_or_machines_are_not_set_against_each_other(tmp_path: Path) -> None:
    table = frame([make_record(precision="fp32", module="one", n=200), make_record(precision="int8", module="another", n=200)])
    claim = one_claim(tmp_path, table, check="measured: latency_p50 fp32 / int8")
    assert claim.found == ()
    assert claim.verdict == "missing"


def test_a_judgement_needs_a_reason_and_is_said_to_be_one(tmp_path: Path) -> None:
    claim = one_claim(tmp_path, verdict="partly", verdict_note="because", verdict_note_zh="因为")
    assert claim.judged
    assert claim.verdict == "partly"
    assert claim.note == {"en": "because", "zh": "因为"}
    assert claim.found[0].value is not None
    with pytest.raises(SpecError, match="without a reason"):
        one_claim(tmp_path, verdict="partly", verdict_note="because")


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"unit": "furlong"}, "unit"),
        ({"relation": "roughly"}, "relation"),
        ({"relation": ""}, "relation"),
        ({"claimed_low": "nan"}, "claimed_low"),
        ({"claimed_low": "1e999"}, "claimed_low"),
        ({"claimed_low": "3", "claimed_high": "2"}, "claimed_high"),
        ({"claimed_low": "1"}, "claimed_low"),
        ({"claim_zh": ""}, "claim_zh"),
        ({"verdict": "true"}, "verdict"),
        ({"check": "a: __import__('os')"}, "check"),
        ({"check": "a: p1 ** p2"}, "check"),
        ({"check": "a: (1).real"}, "check"),
        ({"check": "a: 'text'"}, "check"),
        ({"check": "a: 1 +"}, "check"),
        ({"check": "a: " + "(" * 300 + "1" + ")" * 300}, "check"),
        ({"check": "a: " + "1+" * 400 + "1"}, "check"),
        ({"check": "measured: latency_p50"}, "check"),
    ],
)
def test_a_row_that_says_what_it_must_not_is_refused_by_place(cells: dict[str, str], column: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        one_claim(tmp_path, frame([]), **cells)
    assert f"claims.csv: row 2, column {column}" in caught.value.what
    assert caught.value.fix


def test_two_claims_with_one_id_and_a_foreign_header_are_refused(tmp_path: Path) -> None:
    folder = a_ledger(tmp_path)
    with pytest.raises(SpecError, match="is there already"):
        ledger(*evidence(), None, [folder, folder])
    (folder / "claims.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SpecError, match="row 1"):
        ledger(*evidence(), None, [folder])


class Numbers:
    """Two numbers, no more."""

    def by_id(self, identity: str) -> Known | None:
        return {"pa": Known("pa", 6.0, Kind.PUBLISHED), "pz": Known("pz", 0.0, Kind.PUBLISHED)}.get(identity)

    def fact(self, soc: str, attribute: str) -> Known | None:
        return Known("fb", 2.0, Kind.DATASHEET) if (soc, attribute) == ("X", "y") else None

    def says(self, soc: str, attribute: str, word: str) -> Known | None:
        return Known("ft", 1.0, Kind.DATASHEET) if (soc, attribute, word) == ("X", "t", "yes") else None


def test_a_sum_is_worked_out_with_the_usual_precedence() -> None:
    got = evaluate("1 - pa / (fact('X', 'y') * -4)", Numbers())
    assert got.value == pytest.approx(1.75)
    assert [one.id for one in got.used] == ["pa", "fb"]


@pytest.mark.parametrize(
    ("text", "missing"), [("pa / pb", ("pb",)), ("pa / pz", ()), ("says('X', 'y', 'z') + pq", ("X: y", "pq")), ("1e308 * 10", ())]
)
def test_a_sum_without_its_numbers_has_no_value(text: str, missing: tuple[str, ...]) -> None:
    got = evaluate(text, Numbers())
    assert got.value is None
    assert got.missing == missing


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_and_relation_can_be_said(language: str) -> None:
    assert all(say(one.why.key, language, **one.why.values) for one in shipped().values())
    assert all(say(f"claims-relation-{one.replace(' ', '-')}", language) for one in get_args(Relation) if one)
    assert all(say(f"claims-{'no-evidence' if one == 'missing' else one}", language) for one in get_args(Verdict))
