"""What is known of a part itself: how strong it is, what it costs and draws, and that no wording breaks a rule."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.decide.catalogue import ATTRIBUTES, KINDS, Fact
from harness.decide.parts import part_cell
from harness.decide.parts.power import item, scope
from harness.decide.terms import METRICS, Role
from harness.quantity import Kind
from harness.words import catalogue
from tests.facts import INF, PART_METRICS, SHIPPED, TODAY, interval, keys, made, shipped, soc, sound, stated

# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("metric", PART_METRICS)
def test_every_shipped_soc_has_a_sound_cell_that_names_all_its_facts(metric: str) -> None:
    for one in SHIPPED.socs.values():
        cell = part_cell(one, metric, TODAY)
        sound(cell)
        assert (cell.soc, cell.metric, cell.workload, cell.unit) == (one.id, metric, "", METRICS[metric].unit)
        assert cell.variable == f"{one.id}/{metric}"
        assert all(why for _, why in cell.lost)


def test_a_question_about_a_workload_is_not_asked_of_a_part() -> None:
    with pytest.raises(ValueError, match="'latency' is not asked of a part"):
        part_cell(SHIPPED.find("RK3588"), "latency", TODAY)


def test_what_no_source_says_is_missing_with_a_reason_and_never_zero() -> None:
    for metric in PART_METRICS:
        cell = made(metric)
        sound(cell)
        assert cell.value is None
        assert cell.reason is not None
        assert cell.reason.key == "part-missing"


def test_a_value_of_another_variant_does_not_fill_the_cell_but_is_shown_as_lost() -> None:
    cell = shipped("TDA4VM", "temperature_max")
    assert cell.value is None
    assert cell.reason is not None
    assert cell.reason.key == "part-only-others"
    assert len(cell.lost) == 1


def test_every_sentence_about_a_part_exists_in_both_languages() -> None:
    mine = {key: texts for key, texts in catalogue().items() if key.startswith("part-")}
    assert len(mine) > 40
    assert all(texts["en"] != texts["zh"] for texts in mine.values())


def numbers() -> st.SearchStrategy[str]:
    return st.one_of(st.floats().map(str), st.integers(-(10**20), 10**20).map(str), st.sampled_from(["1e308", "1e-320", "0", "-0", "٣", "", "1_0"]))


WORDS = [
    "Tj", "Ta", "TTP surface", "ambient", "junction not stated", "module", "SoM", "EVK", "bare SoC", "rail sum", "SoC only", "wall",
    "under 8 W", "2x 8K60 / 4K", "99999x99999@999", "none", "yes", "no", "partial", "ASIL-D", "SIL 2", "QM", "ASIL-B(D)", "2032", "2032-13",
    "9999-12", "10-15 years", "not before 9999", "launched 9999-12-31", "density not stated", "mode", "1000 units", "; 2021;", "from 2020",
    "{x}", "{}",
]  # fmt: skip


def texts() -> st.SearchStrategy[str]:
    words = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
    return st.one_of(words, st.text(max_size=30), st.from_regex(r"[0-9xK/ .{}-]{0,20}", fullmatch=True), numbers())


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    chosen = draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=8))
    return [
        stated(
            attribute, draw(st.one_of(texts(), numbers())), draw(texts()), id=f"f{n}", source_kind=draw(st.sampled_from(KINDS)),
            use=draw(st.sampled_from(["main", "main", "alt"])), unit=draw(st.sampled_from(["USD", "EUR", "W"])), source_date=draw(texts()),
        )
        for n, attribute in enumerate(chosen)
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(facts(), st.sampled_from(list(Role)), st.sampled_from(["chip", "module", "board", "card"]), st.dates())
def test_no_wording_of_a_fact_raises_or_breaks_the_bounds(some: list[Fact], role: Role, form: str, today: dt.date) -> None:
    one = soc(*some, role=role, form=form)
    for metric in PART_METRICS:
        sound(part_cell(one, metric, today))


# ------------------------------------------------------------------------------------------------ how strong


@pytest.mark.parametrize(
    ("kind", "metric", "attribute", "expected"),
    [
        ("datasheet", "memory", "max_memory_gb", Kind.DATASHEET),
        ("vendor_page", "price", "price", Kind.DATASHEET),
        ("third_party", "memory", "max_memory_gb", Kind.DATASHEET),
        ("third_party", "price", "price", Kind.PUBLISHED),
        ("reseller", "price", "price", Kind.PUBLISHED),
        ("third_party", "power", "board_power_ai_load_w", Kind.PUBLISHED),
        ("third_party", "power", "tdp_max_w", Kind.DATASHEET),
        ("survey", "price", "price", Kind.CLAIMED),
        ("survey", "memory", "max_memory_gb", Kind.CLAIMED),
    ],
)
def test_the_strength_of_a_cell_follows_the_kind_of_its_source(kind: str, metric: str, attribute: str, expected: Kind) -> None:
    cell = made(metric, stated(attribute, "8", "module; 2026", source_kind=kind))
    assert cell.evidence.kind is expected
    assert cell.evidence.source == "a page"


def test_a_specification_at_second_hand_says_so() -> None:
    assert "part-second-hand" in keys(made("memory", stated("max_memory_gb", "8", source_kind="third_party")))
    assert "part-second-hand" in keys(made("memory", stated("max_memory_gb", "8", note="second-hand: quoted")))
    assert "part-survey" in keys(made("memory", stated("max_memory_gb", "8", source_kind="survey")))
    assert not keys(made("bandwidth", stated("memory_bandwidth_gb_s", "8")))


def test_the_facts_that_lost_say_why() -> None:
    cell = made(
        "price",
        stated("price", "100", "module; 2026", id="won", source_kind="vendor_page"),
        stated("price", "90", "module; 2026", id="euro", unit="EUR"),
        stated("price", "80", "module; 2026", id="weak", source_kind="reseller"),
        stated("price", "70", "module; 2026", id="quoted", source_kind="vendor_page", note="second-hand: quoted"),
        stated("price", "60", "module; 2025", id="older", source_kind="vendor_page", source_date="2025"),
        stated("price", "50", "kit; 2026", id="alt", use="alt"),
    )
    assert cell.figures == ("won",)
    why = dict(cell.lost)
    assert set(why) == {"euro", "weak", "quoted", "older", "alt"}
    assert "exchange" in why["euro"]
    assert "vendor page goes before a reseller" in why["weak"]
    assert "second-hand" in why["quoted"]
    assert "newer" in why["older"]
    assert "item" in why["alt"]


# ------------------------------------------------------------------------------------------------ power


def test_the_power_of_a_module_with_modes_lies_between_its_lowest_mode_and_the_power_at_the_published_speed() -> None:
    cell = shipped("Jetson Orin Nano 8GB", "power")
    assert interval(cell) == (7, 14.3, 14.3)
    assert {"part-power-board", "part-power-modes"} <= keys(cell)
    assert cell.sigma == 0.25
    assert interval(shipped("Jetson Orin NX 16GB", "power")) == (10, 40, 40)
    assert shipped("Jetson Orin NX 16GB", "power").sigma == 0.10  # the maker's limit of the module


def test_another_ai_load_of_the_same_system_is_the_floor_of_its_power() -> None:
    cell = shipped("RK3588", "power")
    assert interval(cell) == (6.287, 14.959, 14.959)
    assert {"part-power-wall", "part-power-loads"} <= keys(cell)


def test_the_power_of_the_soc_rails_is_a_floor_of_what_a_board_draws() -> None:
    cell = shipped("i.MX 95", "power")
    assert interval(cell) == (2.792, 5.145, INF)
    assert "part-power-rails" in keys(cell)
    assert interval(made("power", stated("soc_power_load_w", "4", "all cores"))) == (4, 4, INF)


def test_the_power_of_an_accelerator_leaves_the_host_open() -> None:
    assert interval(shipped("Hailo-8", "power")) == (2.5, 8.65, INF)
    assert interval(made("power", stated("tdp_max_w", "8", "module"), role=Role.ACCELERATOR)) == (8, 8, INF)


def test_a_cpu_stress_test_bounds_the_power_between_idle_and_stress() -> None:
    cell = shipped("QCS6490", "power")
    assert interval(cell) == (2.9, 9.3, 9.3)
    assert "part-power-stress" in keys(cell)
    assert made("power", stated("board_power_stress_w", "9"), stated("board_power_idle_w", "12")).floor == 0


def test_the_rating_of_a_supply_is_only_a_ceiling() -> None:
    assert interval(shipped("RDK X5 (Sunrise 5)", "power")) == (0, 25, 25)
    assert interval(made("power", stated("board_supply_w", "30"), stated("board_power_max_w", "12"))) == (0, 12, 12)


def test_an_upper_bound_of_the_chip_says_nothing_of_the_least_a_board_draws() -> None:
    assert interval(shipped("Genio 1200", "power")) == (0, 8, 15)
    assert interval(made("power", stated("tdp_max_w", "8", '"under 8 W"'))) == (0, 8, INF)
    assert interval(made("power", stated("tdp_max_w", "8"))) == (8, 8, INF)


def test_an_ai_load_goes_before_a_limit_and_a_limit_before_a_stress_test() -> None:
    some = [
        stated("soc_power_load_w", "3"),
        stated("board_power_stress_w", "9"),
        stated("tdp_max_w", "15", "module"),
        stated("board_power_ai_load_w", "11"),
    ]
    for expected, count in ((11, 4), (15, 3), (9, 2), (3, 1)):
        assert made("power", *some[:count]).value == expected


def test_a_power_that_is_no_positive_number_is_not_a_power() -> None:
    for value in ("0", "-5", "nan", "inf", "five", "1e300"):
        cell = made("power", stated("board_power_ai_load_w", value))
        assert cell.value is None
        assert cell.reason is not None
        assert cell.reason.key == "part-unreadable"


@pytest.mark.parametrize(
    ("attribute", "condition", "form", "covers"),
    [
        ("board_power_ai_load_w", "whole-system wall power", "chip", "wall"),
        ("board_power_stress_w", "CPU stress", "chip", "board"),
        ("tdp_max_w", "SoC only", "module", "chip"),
        ("tdp_max_w", "SoM at full load", "chip", "module"),
        ("tdp_max_w", "MAXN_SUPER", "module", "module"),
        ("tdp_max_w", "measured stress rail sum", "chip", "rails"),
        ("soc_power_load_w", "", "module", "rails"),
        ("tdp_max_w", "about, average system power", "chip", "board"),
    ],
)
def test_the_scope_of_a_power_is_read_from_its_condition(attribute: str, condition: str, form: str, covers: str) -> None:
    fact = stated(attribute, "5", condition)
    assert scope(soc(fact, form=form), fact) == covers


# ------------------------------------------------------------------------------------------------ price


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ("AGX Orin 64GB module, 1000 units and up; 2026; vendor list price", "module"),
        ("Radxa ROCK 5B+ 8 GB, single unit, sold out at that price; 2026; retail price survey", "board"),
        ("Arduino VENTUNO Q 16 GB, single unit, on order; 2026; distributor", "board"),
        ("IBASE i.MX 93 board, 2 GB / 32 GB, single unit; 2026; distributor", "board"),
        ("i.MX 8M Plus EVK, about 683-700, single unit; 2026; distributor", "kit"),
        ("RDK S100 kit, 2799 CNY converted by the source", "kit"),
        ("Radxa Fogwise AIRbox Q900 36 GB, complete box as tested; 2025; reviewer list", "box"),
        ("bare SoC, 1-99 units; 2026; vendor list price", "chip"),
        ("Raspberry Pi AI HAT+ 2; 2026; list price after memory price rises", "card"),
        ("Hailo-8 M.2 module, single unit; 2026", "card"),
        ("survey wording, item not stated", "unknown"),
        ("module or kit not stated; 2023", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_a_price_is_of_is_read_from_its_condition(condition: str, what: str) -> None:
    assert item(stated("price", "1", condition)) == what


def test_the_price_of_a_module_that_is_the_entry_itself_is_exact_up_to_its_spread() -> None:
    cell = shipped("Jetson Orin Nano 8GB", "price")
    assert interval(cell) == (399, 399, 399)
    assert cell.sigma == 0.10
    assert {"part-price-module", "part-price-quantity"} <= keys(cell)


def test_the_price_of_a_kit_or_a_complete_device_is_a_ceiling() -> None:
    assert interval(shipped("QCS9075", "price")) == (0, 590, 590)
    assert interval(shipped("i.MX 8M Plus", "price")) == (0, 683, 683)
    assert interval(made("price", stated("price", "500", "developer kit; 2026"), form="module")) == (0, 500, 500)


def test_one_board_with_a_chip_shows_for_how_much_it_can_be_had_not_that_none_costs_less() -> None:
    cell = shipped("i.MX 93", "price")
    assert interval(cell) == (0, 256.14, 256.14)
    assert "part-price-cheaper" in keys(cell)
    bare = stated("price", "40", "bare SoC; 2026", id="bare", use="alt")
    both = made("price", stated("price", "120", "board; 2026"), bare)
    assert interval(both) == (40, 120, 120)
    assert both.figures == ("price", "bare")


def test_the_price_of_a_bare_soc_or_of_an_accelerator_is_a_floor() -> None:
    assert interval(shipped("TDA4VM", "price")) == (113.41, 113.41, INF)
    assert interval(shipped("Hailo-8", "price")) == (179, 179, INF)
    assert interval(made("price", stated("price", "90", "module; 2026"), role=Role.ACCELERATOR, form="card")) == (90, 90, INF)


def test_a_price_of_nobody_knows_what_neither_passes_nor_fails() -> None:
    cell = made("price", stated("price", "103", "survey wording, item not stated", source_kind="survey"))
    assert interval(cell) == (0, 103, INF)
    assert (cell.sigma, cell.evidence.kind) == (0.5, Kind.CLAIMED)


def test_an_old_or_undated_price_is_less_sure_than_a_new_one() -> None:
    new = made("price", stated("price", "100", "module; 2025; list"))
    old = made("price", stated("price", "100", "module; 2023; list"))
    undated = made("price", stated("price", "100", "module", source_date=""))
    assert (new.sigma, old.sigma, undated.sigma) == (0.10, 0.25, 0.25)
    assert "part-price-old" in keys(old)
    assert "part-price-undated" in keys(undated)
    assert made("price", stated("price", "100", "module; 2025; list", source_kind="third_party")).sigma == 0.15
