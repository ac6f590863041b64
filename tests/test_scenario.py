"""Scenario files: what they may say, what is refused in which words, what is shipped, and what a command line changes."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from harness.decide.catalogue import Catalogue
from harness.decide.demand import Bound, Goal
from harness.decide.scenario import Scenario, changed, get, known, read
from harness.decide.scenario.sheet import Criterion, Limit, Sheet, Survey
from harness.decide.terms import METRICS, Role
from harness.decide.workloads import canonical
from harness.errors import SpecError, UsageError
from harness.quantity import Kind
from harness.spec import Zoo

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "results" / "evidence"
SHIPPED = {
    "robotics-driving", "vision-gateway", "industrial-safety", "consumer-aiot", "edge-llm", "tinyml", "industrial-inspection",
    "voice-interaction", "sensor-fusion-slam", "adas", "smart-home", "medical", "agriculture",
}  # fmt: skip
TEXT = 'reason = { en = "Why.", zh = "原因。" }'
HEAD = """
title = { en = "A test", zh = "测试" }
product = { en = "A thing.", zh = "一个东西。" }
survey = { socs = [], frameworks = [], considerations = { en = "None.", zh = "无。" } }
"""
LIMITS = f"""
[[limits]]
metric = "power"
at_most = "15 W"
{TEXT}

[[limits]]
metric = "rate"
workload = "yolov8n"
at_least = "30 fps"
accept = "published"
{TEXT}
"""
CRITERIA = f"""
[[criteria]]
metric = "latency"
workload = "yolov8n"
reject = "33 ms"
target = "10 ms"
weight = 3
{TEXT}

[[criteria]]
metric = "latency"
workload = "resnet50"
reject = "20 ms"
target = "2 ms"
weight = 2
{TEXT}

[[criteria]]
metric = "price"
reject = "300 USD"
target = "60 USD"
weight = 1
{TEXT}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "doorbell.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def doorbell(tmp_path: Path) -> Scenario:
    return read(write(tmp_path, HEAD + LIMITS + CRITERIA))


# ------------------------------------------------------------------------------------------------------------- reading


def test_a_file_becomes_a_demand_in_si_units(doorbell: Scenario) -> None:
    demand = doorbell.demand()
    assert demand.criteria == (
        Goal("latency:yolov8n", "latency", "yolov8n", 0.033, 0.01, 3.0),
        Goal("latency:resnet50", "latency", "resnet50", 0.02, 0.002, 2.0),
        Goal("price", "price", "", 300.0, 60.0, 1.0),
    )
    assert demand.limits == (
        Bound("power", "power", "", at_most=True, bound=15.0, accept=Kind.DATASHEET),
        Bound("rate:yolov8n", "rate", "yolov8n", at_most=False, bound=30.0, accept=Kind.PUBLISHED),
    )


def test_what_a_file_leaves_out_has_a_plain_default(tmp_path: Path) -> None:
    scenario = read(write(tmp_path, HEAD + CRITERIA))
    assert (scenario.id, scenario.roles, scenario.limits, scenario.concentration, scenario.precisions) == ("doorbell", [Role.SOC], [], 12.0, [])


def test_weights_can_be_taken_exactly_as_written(tmp_path: Path) -> None:
    assert read(write(tmp_path, "concentration = inf\n" + HEAD + CRITERIA)).concentration == math.inf


MISTAKES = [
    (HEAD + LIMITS, "required field `criteria`", "add it: [[criteria]] and below it metric = ..., "),
    (HEAD + "criteria = []", "criteria: there is none", "add at least one"),
    (HEAD + LIMITS.replace("at_most", "atmost") + CRITERIA, "unknown key 'limits[0].atmost'", "write 'at_most'"),
    (HEAD + CRITERIA.replace("weight = 3", "wieght = 3"), "unknown key 'criteria[0].wieght'", "write 'weight'"),
    (HEAD.replace("title", "titel") + CRITERIA, "unknown key 'titel'", "write 'title'"),
    ('roles = ["sock"]\n' + HEAD + CRITERIA, "key 'roles[0]'", "write one of soc, accelerator, "),
    ("roles = []\n" + HEAD + CRITERIA, "roles: empty", "write one or more of soc, "),
    ("concentration = 0\n" + HEAD + CRITERIA, "concentration = 0", "12 for weights"),
    ("concentration = nan\n" + HEAD + CRITERIA, "concentration = nan", "12 for weights"),
    (HEAD.replace(', zh = "测试"', "") + CRITERIA, "title: nothing in 'zh'", "write title.zh = ..."),
    (HEAD.replace("zh =", "de =", 1) + CRITERIA, "title: nothing in 'zh'", "write title.zh = ..."),
    (HEAD.replace('zh = "测试"', 'zh = "测试", de = "Test"') + CRITERIA, "title: unknown language 'de'", "en, zh"),
    (HEAD + CRITERIA.replace("原因。", " "), "criteria: latency:yolov8n: reason: nothing in 'zh'", "write reason.zh = ..."),
    (HEAD + CRITERIA.replace('"latency"', '"latencey"'), "criteria: metric: there is no 'latencey'", "did you mean 'latency'?"),
    (HEAD + CRITERIA.replace('workload = "resnet50"\n', ""), "criteria: latency: no workload", "say which workload"),
    (
        HEAD + LIMITS.replace('"power"', '"power"\nworkload = "yolov8n"') + CRITERIA,
        "limits: power:yolov8n: power is a property of the part",
        "remove",
    ),
    (
        HEAD + CRITERIA.replace('"price"', '"temperature_max"').replace("300 USD", "40 C").replace("60 USD", "85 C"),
        "criteria: temperature_max: temperature_max can be a limit only",
        "move it to [[limits]]",
    ),
    (HEAD + CRITERIA.replace("60 USD", "300 USD"), "criteria: price: reject and target are both 300 USD", "from where to where"),
    (HEAD + CRITERIA.replace("60 USD", "600 USD"), "criteria: price: reject 300 USD, target 600 USD: lower is better", "exchange"),
    (HEAD + CRITERIA.replace("60 USD", "0 USD"), "criteria: price: target = 0", "above 0"),
    (HEAD + CRITERIA.replace("60 USD", "60 W"), "criteria: price: target: '60 W' has the unit 'W'", "write a price such as 150 USD"),
    (HEAD + CRITERIA.replace("weight = 1", "weight = 0"), "criteria: price: weight = 0", "leave the criterion out"),
    (HEAD + CRITERIA.replace("weight = 1", "weight = -1"), "criteria: price: weight = -1", "above 0"),
    (HEAD + CRITERIA.replace("resnet50", "yolov8n"), "criteria: latency:yolov8n stands twice", "keep one"),
    (HEAD + LIMITS + LIMITS + CRITERIA, "limits: power stands twice", "keep one"),
    (HEAD + LIMITS.replace("15 W", "15") + CRITERIA, "limits: power: at_most: '15' has no unit", "write a power such as 15 W"),
    (HEAD + LIMITS.replace("at_most", "at_least") + CRITERIA, "limits: power: at_least: of power, lower is better", "write at_most instead"),
    (HEAD + LIMITS.replace('at_most = "15 W"', "") + CRITERIA, "limits: power: no at_most", "at_most = ..."),
    (HEAD + LIMITS.replace('"15 W"', '"15 W"\nat_least = "3 W"') + CRITERIA, "limits: power: at_least: of power, lower is better", "at_most"),
    (HEAD + LIMITS.replace('"published"', '"estimated"') + CRITERIA, "accept = 'estimated': an estimate never meets a limit", "claimed"),
    (HEAD + LIMITS.replace('"published"', '"sure"') + CRITERIA, "key 'limits[1].accept'", "write one of measured, published, "),
    (HEAD + LIMITS.replace('"15 W"', "true") + CRITERIA, "key 'limits[0].at_most'", "write a number or text"),
    (
        HEAD.replace('title = { en = "A test", zh = "测试" }', 'title = "A test"') + CRITERIA,
        "key 'title'",
        "[title] and below it en = ... and zh = ...",
    ),
    (HEAD + "criteria = [", "not valid TOML", "mend the syntax"),
]


@pytest.mark.parametrize(("text", "what", "fix"), MISTAKES, ids=[what for _, what, _ in MISTAKES])
def test_a_mistake_is_named_with_its_file_its_key_and_what_to_write(tmp_path: Path, text: str, what: str, fix: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        read(path)
    assert caught.value.what.startswith(f"{path}: ")
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.fix


def test_a_scenario_is_got_by_its_id_or_by_the_path_of_its_file(tmp_path: Path) -> None:
    assert get("vision-gateway").id == "vision-gateway"
    assert get(str(write(tmp_path, HEAD + CRITERIA))).title["en"] == "A test"


def test_a_name_that_is_no_scenario_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        get("vision-gatway")
    assert caught.value.what == "unknown scenario 'vision-gatway'"
    assert caught.value.fix.startswith("did you mean 'vision-gateway'? known: adas, ")


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        get(str(tmp_path / "none.toml"))


def test_a_users_folder_adds_scenarios_and_may_not_redefine_one(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "scenarios"
    folder.mkdir(parents=True)
    write(folder, HEAD + CRITERIA)
    assert set(known([tmp_path])) == SHIPPED | {"doorbell"}
    assert get("doorbell", [tmp_path]).title["en"] == "A test"
    (folder / "adas.toml").write_text(HEAD + CRITERIA, encoding="utf-8")
    with pytest.raises(SpecError, match="'adas' is already defined by"):
        known([tmp_path])


def test_a_users_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        known([tmp_path / "none"])


# ------------------------------------------------------------------------------------------------------------- what is shipped


@cache
def shipped(name: str) -> Scenario:
    return get(name)


def test_every_row_and_field_of_application_of_the_survey_has_its_scenario() -> None:
    assert set(known()) == SHIPPED


def sentences(scenario: Scenario) -> list[dict[str, str]]:
    reasons = [*(one.reason for one in scenario.limits), *(one.reason for one in scenario.criteria)]
    return [scenario.title, scenario.product, scenario.survey.considerations, *reasons]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_sentence_stands_in_both_languages(name: str) -> None:
    chinese = re.compile("[一-鿿]")
    for text in sentences(shipped(name)):
        assert chinese.search(text["zh"])
        assert not chinese.search(text["en"])


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_stated_weights_read_as_percent(name: str) -> None:
    weights = [one.weight for one in shipped(name).criteria]
    assert sum(weights) == 100
    assert 5 <= min(weights) <= max(weights) <= 40


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_scenario_stays_small_enough_to_be_read(name: str) -> None:
    assert 3 <= len(shipped(name).criteria) <= 8
    assert 1 <= len(shipped(name).limits) <= 8


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_target_is_better_than_what_is_rejected(name: str) -> None:
    for goal in shipped(name).demand().criteria:
        assert (goal.target < goal.reject) == (METRICS[goal.metric].better == "lower")


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_part_that_just_meets_a_limit_has_not_all_that_is_wanted(name: str) -> None:
    demand = shipped(name).demand()
    bounds = {one.id: one.bound for one in demand.limits}
    for goal in demand.criteria:
        if goal.id in bounds:
            assert bounds[goal.id] != goal.target
            assert (bounds[goal.id] < goal.target) == (METRICS[goal.metric].better == "higher")


@cache
def catalogue() -> Catalogue:
    return Catalogue.read([EVIDENCE])


@cache
def figured() -> dict[str, set[str]]:
    """Workload -> the entries of the catalogue for which some figure of it was published."""
    rows = pd.read_csv(EVIDENCE / "published.csv", usecols=["soc", "workload"], dtype=str)
    found: dict[str, set[str]] = {}
    for soc, workload in rows.drop_duplicates().itertuples(index=False):
        found.setdefault(canonical(workload), set()).update(one.published_as for one in catalogue().by_published(soc))
    return found


THIN = {"whisper-tiny"}
"""Whole transcriptions are published for two parts only, and nothing else stands for understanding speech."""


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_every_workload_asked_about_has_figures_for_at_least_three_parts(name: str) -> None:
    counts = {workload: len(figured().get(workload, set())) for workload in shipped(name).workloads}
    assert {workload: count for workload, count in counts.items() if count < (2 if workload in THIN else 3)} == {}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_workload_of_the_zoo_goes_by_the_id_it_has_there(name: str) -> None:
    zoo = set(Zoo().workload_files)
    assert [one for one in shipped(name).workloads if canonical(one) != one] == []
    assert [one for one in shipped(name).workloads if one.replace("_", "-") in zoo - {one}] == []


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_socs_that_the_survey_recommends_are_entries_of_the_catalogue_that_can_play_the_role(name: str) -> None:
    for soc in shipped(name).survey.socs:
        assert catalogue().find(soc).role in shipped(name).roles


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_no_reason_names_a_soc_so_that_none_is_preferred_in_advance(name: str) -> None:
    scenario = shipped(name)
    names = {word for one in catalogue().socs.values() for word in (one.name, one.published_as) if word}
    text = " ".join(sentence for texts in sentences(scenario) if texts is not scenario.survey.considerations for sentence in texts.values())
    assert [one for one in names if one.casefold() in text.casefold()] == []


# ------------------------------------------------------------------------------------------------------------- changes


def test_the_question_of_the_gateway_engineer_can_be_asked() -> None:
    asked = {
        "rate:yolov8n": "30fps",
        "power": "8W",
        "price": "150USD",
        "temperature_min": "-40C",
        "temperature_max": "85C",
        "longevity": "10years",
    }
    limits = {one.id: (one.at_most, one.bound) for one in changed(get("vision-gateway"), asked).demand().limits}
    assert limits == {
        "rate:yolov8n": (False, 30.0),
        "power": (True, 8.0),
        "price": (True, 150.0),
        "temperature_min": (True, -40.0),
        "temperature_max": (False, 85.0),
        "longevity": (False, 10.0),
    }


def test_a_moved_limit_keeps_its_evidence_and_says_where_it_comes_from(doorbell: Scenario) -> None:
    moved = {one.id: one for one in changed(doorbell, {"rate": "60fps"}).limits}
    assert moved["rate:yolov8n"].accept is Kind.PUBLISHED
    assert moved["rate:yolov8n"].bound == 60.0
    assert moved["rate:yolov8n"].reason["en"] == "Stated on the command line."
    assert moved["power"] == doorbell.limits[0]


def test_a_new_limit_goes_the_way_of_its_metric_and_takes_the_only_workload_there_is(doorbell: Scenario) -> None:
    rate_gone = changed(doorbell, {"rate": "none"})
    assert [one.id for one in rate_gone.limits] == ["power"]
    only = changed(rate_gone, weights={"latency:resnet50": 0})
    assert changed(only, {"latency": "20ms", "memory": "4 GB"}).demand().limits[1:] == (
        Bound("latency:yolov8n", "latency", "yolov8n", at_most=True, bound=0.02, accept=Kind.DATASHEET),
        Bound("memory", "memory", "", at_most=False, bound=4 * 2.0**30, accept=Kind.DATASHEET),
    )


@pytest.mark.parametrize(
    ("key", "said", "identity"),
    [
        ("fps", "60", "rate:yolov8n"),
        ("FPS:yolov8n", "60", "rate:yolov8n"),
        ("tdp", "8W", "power"),
        ("cost", "99USD", "price"),
        ("ram", "4GB", "memory"),
        ("asil", "B", "safety"),
        ("sil", "2", "safety"),
        ("video-decode", "4K60", "video_decode"),
        ("tokens-per-second:llama-3.2-3b", "9", "decode:llama_3_2_3b"),
        ("tokens_per_second:llama_3_2_3b", "9", "decode:llama_3_2_3b"),
        ("latency:whisper-tiny", "9", "latency:whisper-tiny"),
        ("latency:whisper_tiny", "9", "latency:whisper_tiny"),
    ],
)
def test_a_limit_may_go_by_another_name(doorbell: Scenario, key: str, said: str, identity: str) -> None:
    unit = {"rate": "fps", "decode": "tok/s", "latency": "ms"}.get(identity.partition(":")[0], "")
    after = changed(doorbell, {key: said + unit}, workloads={"llama_3_2_3b", "whisper-tiny", "whisper_tiny"})
    assert {one.id for one in after.limits if one.reason["en"] == "Stated on the command line."} == {identity}


def test_both_names_of_a_safety_level_are_the_level(doorbell: Scenario) -> None:
    bounds = [changed(doorbell, {key: said}).limits[-1].bound for key, said in (("asil", "B"), ("sil", "2"), ("safety", "ASIL-B / SIL-2"))]
    assert bounds == [2.0, 2.0, 2.0]


def test_a_name_that_is_a_unit_says_the_unit_of_a_bare_number(doorbell: Scenario) -> None:
    asked = {"fps": "60", "tokens_per_second:llama-3.2-1b": "7.5"}
    assert [one.bound for one in changed(doorbell, asked).limits] == [15.0, 60.0, 7.5]


def test_a_limit_and_a_weight_are_found_by_another_name(doorbell: Scenario) -> None:
    after = changed(doorbell, {"fps": "none", "tdp": "none"}, {"cost": "0", "latency:YOLOv8n": 7})
    assert after.limits == []
    assert {one.id: one.weight for one in after.criteria} == {"latency:yolov8n": 7.0, "latency:resnet50": 2.0}


def test_another_name_of_a_question_asked_of_several_workloads_needs_the_workload() -> None:
    with pytest.raises(UsageError, match="fps: which workload") as caught:
        changed(get("vision-gateway"), weights={"fps": 3})
    assert caught.value.fix == "write one of rate:yolov8n, rate:resnet50"


def test_a_weight_is_changed_and_zero_leaves_its_criterion_out(doorbell: Scenario) -> None:
    after = changed(doorbell, weights={"price": "4", "latency:resnet50": 0})
    assert {one.id: one.weight for one in after.criteria} == {"latency:yolov8n": 3.0, "price": 4.0}
    assert [one.weight for one in doorbell.criteria] == [3.0, 2.0, 1.0]


def test_nothing_changed_is_the_same_scenario(doorbell: Scenario) -> None:
    assert changed(doorbell) == changed(doorbell, {}, {}) == doorbell


@pytest.mark.parametrize(
    ("limits", "weights", "what", "fix"),
    [
        ({"powr": "15W"}, {}, "unknown limit 'powr'", "did you mean 'power'? known: latency, "),
        ({"powr": "15W"}, {}, "unknown limit 'powr'", "can_fd  (socbench list limits)"),
        ({"tpd": "15W"}, {}, "unknown limit 'tpd'", "did you mean 'tdp'? known: "),
        ({"latency:resnet50": "none"}, {}, "this scenario has no limit 'latency:resnet50'", "it has: power, rate:yolov8n"),
        ({"power": "15"}, {}, "power: '15' has no unit", "write a power such as 15 W"),
        ({"power:yolov8n": "15W"}, {}, "power:yolov8n: power is a property of the part", "write power=15W"),
        ({"latency": "15ms"}, {}, "latency: which workload?", "write one of latency:yolov8n, latency:resnet50"),
        ({"decode": "5tok/s"}, {}, "decode: which workload?", "name it: decode:"),
        ({"price": "none"}, {}, "this scenario has no limit 'price'", "it has: power, rate:yolov8n"),
        ({}, {"latency": "3"}, "latency: which workload?", "write one of latency:yolov8n, latency:resnet50"),
        ({}, {"prise": "3"}, "this scenario has no criterion 'prise'", "did you mean 'price'? it has: latency:yolov8n, latency:resnet50, price"),
        ({}, {"price": "much"}, "weight price: 'much' is not a number from 0", "write a weight such as 3"),
        ({}, {"price": "-1"}, "weight price: '-1' is not a number from 0", "write a weight such as 3"),
        ({}, {"price": "nan"}, "weight price: 'nan' is not a number from 0", "write a weight such as 3"),
        ({}, {"price": "0", "latency:yolov8n": "0", "latency:resnet50": "0"}, "no criterion is left", "above 0"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_with_what_to_write(
    doorbell: Scenario, limits: dict[str, str], weights: dict[str, str], what: str, fix: str
) -> None:
    with pytest.raises(UsageError) as caught:
        changed(doorbell, limits, weights)
    assert caught.value.what.startswith(what)
    assert fix in caught.value.fix


# ------------------------------------------------------------------------------------------------------------- the document


def test_every_key_of_a_scenario_file_is_documented() -> None:
    text = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    keys = {field.encode_name for kind in (Sheet, Survey, Limit, Criterion) for field in msgspec.structs.fields(kind)}
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


def test_every_question_that_can_be_asked_is_documented() -> None:
    text = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    assert [one for one in METRICS if f"| `{one}` |" not in text] == []


def test_the_example_of_the_document_is_a_scenario(tmp_path: Path) -> None:
    text = (ROOT / "docs/scenarios.md").read_text(encoding="utf-8")
    example = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    assert read(write(tmp_path, example)).demand().criteria
