"""Everything together: what a limit is judged by, where each number was read, who is ranked, and what the shipped scenarios come to."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from harness.decide.answer import answer
from harness.decide.market import Market, fact_source, folders, weighable
from harness.decide.scenario import changed, get, known
from harness.decide.terms import Decision, Finding, Role
from harness.decide.workloads import Work
from harness.errors import UsageError
from harness.quantity import Kind
from harness.words import LANGUAGES
from tests import decide_samples, lab
from tests.facts import made, stated
from tests.figures import CPU, TODAY, Given, evidence, figure, guess, near, sentences
from tests.records import make_record

if TYPE_CHECKING:
    from pathlib import Path

    from harness.decide.catalogue import Fact
    from harness.decide.scenario import Scenario
    from harness.decide.terms import Figure

cache = lab.cache
COMMIT = "0123456789" * 4
GOAL = {"metric": "latency", "workload": "yolov8n", "reject": "200 ms", "target": "5 ms", "weight": 1}
LIMIT = {"metric": "latency", "workload": "yolov8n", "at_most": "50 ms", "accept": "published"}


@pytest.fixture(scope="module")
def market(cache: Path) -> Market:
    """What is shipped."""
    return Market.load(today=TODAY)


def question(goal: dict[str, Any] = GOAL, limit: dict[str, Any] = LIMIT, **more: Any) -> Scenario:
    return decide_samples.scenario("made-up", "Made up", "虚构", [limit], [goal], **more)


def small(*figures: Figure, estimates: Given | None = None) -> Market:
    """A market of one SoC."""
    return Market(evidence(*figures, estimates=estimates), {})


# --- what a limit is judged by ---------------------------------------------------------------------------------------------------------


def judged(*figures: Figure) -> tuple[Decision, Finding]:
    """The decision, and the limit of 50 ms, of a SoC with these figures and an estimate of 20 ms that is 33 ms at its slow end."""
    decision = small(*figures, figure("known", 1.0, soc="another chip"), estimates=Given(guess(0.020, 0.012, 0.033))).decide(question())
    (entry,) = decision.entries
    return decision, entry.findings[0]


def test_a_limit_that_a_stated_figure_meets_is_met_though_the_criterion_rests_on_a_faster_estimate() -> None:
    decision, finding = judged(figure("cpu", 0.040, option=CPU))
    assert (finding.state, finding.cell.figures, finding.cell.evidence.kind) == ("met", ("cpu",), Kind.PUBLISHED)
    assert decision.entries[0].parts[0].cell.evidence.kind is Kind.ESTIMATED


def test_a_limit_that_only_the_estimate_meets_stays_unknown_however_likely_it_is() -> None:
    decision, finding = judged(figure("cpu", 0.100, option=CPU))
    assert (finding.state, finding.cell.evidence.kind) == ("unknown", Kind.ESTIMATED)
    assert finding.probability > 0.95
    assert not decision.entries[0].ruled_out


def test_a_stated_figure_that_only_may_meet_a_limit_leaves_it_to_the_estimate() -> None:
    _, finding = judged(figure("cpu", 0.049, option=CPU))  # its interval reaches beyond 50 ms
    assert (finding.state, finding.cell.evidence.kind) == ("unknown", Kind.ESTIMATED)


def test_an_estimate_without_any_figure_never_meets_a_limit() -> None:
    _, finding = judged()
    assert (finding.state, finding.cell.evidence.kind) == ("unknown", Kind.ESTIMATED)


def test_a_lower_limit_is_met_by_the_low_end_of_a_stated_rate() -> None:
    limit = {"metric": "rate", "workload": "yolov8n", "at_least": "20 /s", "accept": "published"}
    for latency, state in ((0.040, "met"), (0.100, "unknown")):
        found = small(figure("cpu", latency, option=CPU), estimates=Given(guess(0.020, 0.012, 0.033))).decide(question(limit=limit))
        assert found.entries[0].findings[0].state == state


def test_figures_outside_the_precisions_of_the_scenario_meet_no_limit() -> None:
    found = small(figure("cpu", 0.010, option=CPU)).decide(question(precisions=["int8"]))
    assert (found.entries[0].findings[0].state, found.entries[0].options) == ("unknown", {})
    allowed = small(figure("cpu", 0.010, option=CPU)).decide(question(precisions=["fp32"]))
    assert (allowed.entries[0].findings[0].state, allowed.entries[0].options) == ("met", {"yolov8n": CPU})


# --- workloads that nobody knows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goal", "limit", "where"),
    [
        (GOAL, {**LIMIT, "workload": "yolov8m8"}, "limits: latency:yolov8m8"),
        ({**GOAL, "workload": "yolov8m8"}, LIMIT, "criteria: latency:yolov8m8"),
    ],
)
def test_a_misspelt_workload_is_refused_with_its_place_and_what_was_meant(
    market: Market, goal: dict[str, Any], limit: dict[str, Any], where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        market.decide(question(goal, limit))
    assert where in caught.value.what
    assert "'yolov8m8'" in caught.value.what
    assert "did you mean 'yolov8m'" in caught.value.fix


def test_a_name_that_a_source_uses_for_a_workload_is_answered_with_its_id(market: Market) -> None:
    work = next(one for one in market.works.values() if any(name != one.id for name in one.published_as))
    alias = next(name for name in work.published_as if name != work.id)
    with pytest.raises(UsageError) as caught:
        market.decide(question({**GOAL, "workload": alias}))
    assert caught.value.fix == f"write {work.id!r}"


def test_a_workload_with_a_figure_and_no_size_or_a_size_and_no_figure_is_known() -> None:
    size = Work("net", (), "other", "detect", 4.4, None, "1x3x640x640", "the maker's table")
    asked = question({**GOAL, "workload": "net"}, {**LIMIT, "workload": "net"})
    for figured, works in ((evidence(figure("elsewhere", 0.010, soc="other chip", workload="net")), {}), (evidence(), {"net": size})):
        assert Market(figured, works).decide(asked).entries
    with pytest.raises(UsageError):
        Market(evidence(), {}).decide(asked)


# --- sources ---------------------------------------------------------------------------------------------------------------------------


def fact(source: str) -> Fact:
    return stated("peak_tops_int8_dense", "6", source=source, source_kind="datasheet", source_date="2026-03")


@pytest.mark.parametrize(
    ("source", "url", "commit"),
    [
        ("https://example.com/a.pdf", "https://example.com/a.pdf", ""),
        ("Data Sheet DS-1 v1.6 (https://example.com/downloads)", "https://example.com/downloads", ""),
        ("https://example.com/a.pdf (table 3)", "https://example.com/a.pdf", ""),
        (f"maker/docs boards/one.md@{COMMIT}", f"https://github.com/maker/docs/blob/{COMMIT}/boards/one.md", COMMIT),
        (f"maker/docs boards/one two.md@{COMMIT}", f"https://github.com/maker/docs/blob/{COMMIT}/boards/one%20two.md", COMMIT),
        (f"maker/docs boards/one.md (row 3)@{COMMIT}", f"https://github.com/maker/docs/blob/{COMMIT}/boards/one.md", COMMIT),
        (f"maker/docs one.md@{COMMIT} (quotes https://example.com/)", f"https://github.com/maker/docs/blob/{COMMIT}/one.md", COMMIT),
        (f"maker/docs (several files)@{COMMIT}", f"https://github.com/maker/docs/tree/{COMMIT}", COMMIT),
        (f"maker/docs@{COMMIT}", f"https://github.com/maker/docs/tree/{COMMIT}", COMMIT),
        ("a reseller's list, seen in a shop", "", ""),
    ],
)
def test_the_source_of_a_fact_has_an_address_where_it_names_one(source: str, url: str, commit: str) -> None:
    found = fact_source(fact(source))
    assert (found.url, found.commit, found.kind, found.date) == (url, commit, "datasheet", "2026-03")
    assert found.where


def test_every_shipped_fact_that_names_a_page_or_a_commit_has_an_address(market: Market) -> None:
    facts = [one for soc in market.catalogue.socs.values() for one in (*soc.facts.values(), *(one for some in soc.others.values() for one in some))]
    assert len(facts) > 1000
    for one in facts:
        found = market.source(one.id)
        assert found.where
        assert found.url.startswith("http") or not ("://" in one.source or "@" in one.source)
        assert not found.url.endswith((".", ",", ";", ")"))


def test_the_source_of_a_figure_is_its_own(market: Market) -> None:
    for identity, one in market.evidence.figures.items():
        assert market.source(identity) is one.source
    assert sum(not one.source.url for one in market.evidence.figures.values()) <= 2


def test_there_is_no_source_of_an_id_that_nobody_has(market: Market) -> None:
    with pytest.raises(KeyError):
        market.source("p-nothing")


# --- who is ranked ---------------------------------------------------------------------------------------------------------------------


def test_the_alternatives_are_all_that_can_play_a_role_of_the_scenario(market: Market) -> None:
    for roles in (["soc"], ["mcu"], ["soc", "accelerator"]):
        found = market.alternatives(question(roles=roles))
        assert {one.role.value for one in found} == set(roles)
        assert len(found) == sum(one.role.value in roles for one in market.catalogue.socs.values())
    assert Role.MCU not in {one.role for one in market.alternatives(question())}


def test_named_alternatives_are_ranked_whatever_their_role_and_once_each(market: Market) -> None:
    named = market.alternatives(question(), ["RK3588", "hailo-8", "rk3588"])
    assert [one.id for one in named] == ["rk3588", "hailo-8"]
    assert {one.soc for one in market.decide(question(), ["RK3588", "hailo-8"]).entries} == {"rk3588", "hailo-8"}


def test_an_unknown_soc_is_refused_with_the_closest_names(market: Market) -> None:
    with pytest.raises(UsageError) as caught:
        market.decide(question(), ["rk3558"])
    assert "rk3558" in caught.value.what
    assert "RK3588" in caught.value.fix


# --- evidence of one's own -------------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_refused_with_the_option_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        folders([tmp_path / "nowhere"])
    assert "nowhere: no such folder" in caught.value.what
    assert "--evidence" in caught.value.fix


def test_a_soc_and_a_figure_of_ones_own_and_a_record_are_ranked_with_the_rest(market: Market, tmp_path: Path) -> None:
    (tmp_path / "socs.csv").write_text(
        "name,vendor,family,form,published_as,variant,role,role_reason\nOwn 9000,We,Own,chip,Own 9000,,soc,runs Linux by itself\n"
    )
    cells = {
        "soc": "Own 9000", "board": "our board", "workload": "own-net", "model_name_in_source": "OwnNet", "input_shape": "1x3x224x224",
        "precision": "int8", "runtime": "ours", "compute_unit": "npu", "batch": "1", "metric": "latency_ms", "value": "0.5",
        "source_repo": "we/lab", "source_path": "log.md", "source_commit": COMMIT, "source_date": "2026-11-01", "source_kind": "third_party",
    }  # fmt: skip
    columns = ["row_id", *cells, "note", "condition", "soc_variant"]
    (tmp_path / "published.csv").write_text(",".join(columns) + "\n" + ",".join(cells.get(one, "") for one in columns) + "\n")
    record = make_record(n=40, warmup=2, pipeline=2, latency_s=0.0005, module="Board with RK3588", workload="own-net")
    own = Market.load([tmp_path], [record], {record.run_id: "runs/one.html"}, today=TODAY)

    goal = {**GOAL, "workload": "own-net", "reject": "100 ms", "target": "0.4 ms"}
    asked = question(goal, {**LIMIT, "workload": "own-net"})
    decision = own.decide(asked)
    assert {one.soc for one in decision.entries[:2]} == {"own-9000", "rk3588"}
    by_soc = {one.soc: one.parts[0].cell for one in decision.entries}
    assert (by_soc["own-9000"].value, by_soc["own-9000"].evidence.kind) == (near(0.0005), Kind.PUBLISHED)
    assert own.source(by_soc["own-9000"].figures[0]).url == f"https://github.com/we/lab/blob/{COMMIT}/log.md"
    assert (by_soc["rk3588"].value, by_soc["rk3588"].evidence.kind) == (near(0.0005, rel=0.05), Kind.MEASURED)
    assert own.source(by_soc["rk3588"].figures[0]).url == "runs/one.html"
    assert decision.entries[0].findings[0].state == "met"
    with pytest.raises(UsageError):
        market.decide(asked)  # what is shipped knows no such workload


# --- what is shipped -------------------------------------------------------------------------------------------------------------------


def test_the_same_evidence_gives_the_same_answer_to_the_last_byte(market: Market) -> None:
    for name in ("edge-llm", "vision-gateway"):
        first = market.decide(get(name))
        again = Market(market.evidence, market.works).decide(get(name))  # with streams of its own
        assert msgspec.json.encode(first) == msgspec.json.encode(again)


def test_there_are_thirteen_shipped_scenarios() -> None:
    assert len(known()) == 13


@pytest.mark.parametrize("name", list(known()))
def test_every_shipped_scenario_comes_to_an_answer_in_every_language(market: Market, name: str) -> None:
    asked = get(name)
    decision = market.decide(asked)
    assert decision.as_of == TODAY.isoformat()
    assert {one.soc for one in decision.entries} == {one.id for one in market.alternatives(asked)}
    assert sum(one.best for one in decision.entries) == near(1 - decision.none_feasible, rel=1e-6)
    names = {one.soc: market.catalogue.socs[one.soc].name for one in decision.entries}
    named = decision.shortlist[0] if decision.word == "shortlist" else decision.leader
    for language in LANGUAGES:
        told = answer(decision, asked.demand(), names, language)
        assert names[named] in told.head
        assert all(label and line for label, line in told.lines)
    for entry in decision.entries:
        sentences(tuple(one.why for one in entry.findings))
        for finding in entry.findings:
            assert not (finding.state == "met" and finding.cell.evidence.kind in (Kind.ESTIMATED, Kind.MISSING))
    for one in decision.advice:
        sentences((msgspec.structs.replace(one.how, values={**one.how.values, "soc": names[one.soc]}),))


def test_what_is_known_depends_on_the_day_only_where_time_counts(market: Market) -> None:
    later = Market(
        type(market.evidence)(market.catalogue, market.evidence.figures.values(), market.evidence.estimates, today=TODAY + dt.timedelta(3650)),
        market.works,
    )
    soc = market.catalogue.socs["rk3588"]
    for metric, workload in (("latency", "yolov8n"), ("memory", ""), ("bandwidth", "")):
        assert later.evidence.cell(soc, metric, workload) == market.evidence.cell(soc, metric, workload)
    fading = [one for one in market.catalogue.socs.values() if market.evidence.cell(one, "longevity").known]
    assert any(later.evidence.cell(one, "longevity").value != market.evidence.cell(one, "longevity").value for one in fading)


@pytest.mark.parametrize(
    ("metric", "fact", "weighed"),
    [
        ("power", stated("soc_power_load_w", "5.1"), False),  # rails: the board takes at least that
        ("power", stated("board_power_ai_load_w", "5.1", "at the wall"), True),
        ("price", stated("price", "130", "a board; 2026"), True),  # at most: unfair to it at worst
        ("longevity", stated("longevity_years", "15"), False),  # at most 15 years are left
        ("longevity", stated("longevity_until", "2036-01"), True),
    ],
)
def test_a_criterion_does_not_weigh_a_bound_on_the_flattering_side(metric: str, fact: Fact, weighed: bool) -> None:
    cell = made(metric, fact)
    assert cell.known
    found = weighable(cell)
    assert found.known == weighed
    if not weighed:
        assert found.figures == cell.figures
        assert found.variable != cell.variable
        assert found.reason
        assert sentences((found.reason,))


def test_a_part_of_which_nothing_is_known_meets_a_limit_as_often_as_the_others_do(market: Market) -> None:
    def chance(limit: str) -> float:
        asked = changed(get("vision-gateway"), limits={"rate:yolov8n": limit})
        at = [one.id for one in asked.demand().limits].index("rate:yolov8n")
        return market.row(asked, market.catalogue.find("genio-1200")).limits[at].chance

    assert chance("1 fps") > 0.9
    assert chance("300000 fps") < 0.05
    assert chance("1 fps") > chance("100 fps") > chance("1000 fps")


def test_of_functional_safety_silence_counts_as_none(market: Market) -> None:
    asked = get("industrial-safety")
    at = [one.id for one in asked.demand().limits].index("safety")
    cell = market.row(asked, market.catalogue.find("rk3588j")).limits[at]
    assert not cell.known
    assert cell.chance < 0.3
