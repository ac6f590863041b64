"""What is known of a part itself: temperature, supply, safety, capacity, and what a source says without saying it."""

from __future__ import annotations

import datetime as dt

import pytest

from harness.decide.parts import part_cell
from harness.decide.parts.capacity import pixel_rate
from harness.decide.parts.endurance import basis
from harness.decide.terms import SAFETY
from harness.quantity import Kind
from tests.facts import INF, SHIPPED, interval, keys, made, shipped, soc, stated

# ------------------------------------------------------------------------------------------------ temperature


@pytest.mark.parametrize(
    ("condition", "form", "of"),
    [
        ("Ta; Tj -40..115", "chip", "ambient"),
        ("Tj; SoC slowdown at 99 C", "module", "junction"),
        ("TTP surface", "module", "plate"),
        ("Forlinx FET3588J-C industrial module", "chip", "board"),
        ("Radxa NX4 industrial", "chip", "board"),
        ("Raspberry Pi 5 board", "board", "module"),
        ("junction or ambient not stated in the quoted line", "chip", "unstated"),
        ("", "chip", "unstated"),
        ("kit", "board", "module"),
    ],
)
def test_the_basis_of_a_temperature_is_read_from_its_condition(condition: str, form: str, of: str) -> None:
    fact = stated("temp_max_c", "85", condition)
    assert basis(soc(fact, form=form), fact) == of


def test_an_ambient_range_is_itself() -> None:
    assert interval(shipped("QCS9075", "temperature_min")) == (-40, -40, -40)
    assert interval(shipped("QCS9075", "temperature_max")) == (85, 85, 85)


def test_a_junction_or_plate_temperature_is_a_ceiling_of_the_ambient_and_the_cold_start_itself() -> None:
    assert interval(shipped("Jetson Orin Nano 8GB", "temperature_max")) == (-INF, 105, 105)
    assert interval(shipped("Jetson Orin Nano 8GB", "temperature_min")) == (-25, -25, -25)
    assert interval(shipped("Jetson AGX Orin 64GB", "temperature_max")) == (-INF, 80, 80)
    assert interval(shipped("STM32N6", "temperature_max")) == (-INF, 125, 125)


def test_the_rating_of_one_board_is_the_least_that_its_chip_can_do() -> None:
    assert interval(shipped("RK3588J", "temperature_max")) == (85, 85, INF)
    assert interval(shipped("RK3588J", "temperature_min")) == (-INF, -40, -40)
    assert interval(shipped("QCS6490", "temperature_max")) == (50, 50, 105)  # the chip's junction may reach 105
    assert interval(shipped("RDK S100", "temperature_max")) == (45, 45, 45)


def test_a_temperature_below_absolute_zero_is_not_read() -> None:
    assert made("temperature_min", stated("temp_min_c", "-400", "Ta")).value is None
    assert made("temperature_min", stated("temp_min_c", "0", "Ta")).value == 0


# ------------------------------------------------------------------------------------------------ supply and safety


def test_supply_is_counted_in_years_from_today_to_the_first_day_named() -> None:
    assert shipped("QCS9075", "longevity").value == pytest.approx(11.1, abs=0.05)
    assert "part-longevity-year" in keys(shipped("QCS9075", "longevity"))
    assert shipped("QCS6490", "longevity").value == pytest.approx(9.6, abs=0.05)
    later = part_cell(SHIPPED.find("QCS6490"), "longevity", dt.date(2040, 1, 1))
    assert interval(later) == (0, 0, 0)


def test_a_programme_without_its_start_is_between_nothing_and_its_length() -> None:
    assert interval(shipped("i.MX 93", "longevity")) == (0, 7.5, 15)
    promised = made("longevity", stated("longevity_years", "10", "programme baseline 10-15 years, part not confirmed"))
    assert interval(promised) == (0, 7.5, 15)
    assert promised.evidence.kind is Kind.CLAIMED


def test_a_programme_that_names_its_start_or_end_is_counted_from_it() -> None:
    assert made("longevity", stated("longevity_years", "15", "launched 2021-07")).value == pytest.approx(9.6, abs=0.05)
    assert shipped("STM32H7", "longevity").value == pytest.approx(5.1, abs=0.05)
    assert interval(made("longevity", stated("longevity_years", "10", "rolling, introduced 2017"))) == (0, 5, 10)


@pytest.mark.parametrize("value", ["soon", "2032-13", "20320", "2032/01", ""])
def test_an_end_date_that_is_no_date_is_missing_with_the_words_of_the_source(value: str) -> None:
    cell = made("longevity", stated("longevity_until", value))
    assert cell.reason is not None
    assert (cell.reason.key, cell.reason.values["text"]) == ("part-unreadable", value)


@pytest.mark.parametrize(
    ("words", "level", "kind"),
    [
        ("ISO 26262 ASIL-B (SGS-TUV, 2021-06)", 2, Kind.DATASHEET),
        ("IEC 61508 SIL 3", 4, Kind.DATASHEET),
        ("ISO 26262 ASIL-B(D) compliant (vendor wording, certificate not read)", 2, Kind.CLAIMED),
        ("designed to support ISO 26262 ASIL-D / IEC 61508 SIL-3 systems; certificate not read", 4, Kind.CLAIMED),
        ("data sheet marks functional-safety targeting No", 0, Kind.DATASHEET),
        ("none", 0, Kind.DATASHEET),
        ("SIL-1", 1, Kind.DATASHEET),
        ("ASIL-C", 3, Kind.DATASHEET),
    ],
)
def test_a_safety_statement_becomes_a_level_and_a_wording_a_claim(words: str, level: int, kind: Kind) -> None:
    cell = made("safety", stated("functional_safety", words))
    assert (cell.value, cell.evidence.kind) == (level, kind)
    assert 0 <= level < len(SAFETY)


def test_of_several_safety_levels_the_lowest_counts_and_a_third_party_without_certificate_only_claims() -> None:
    assert interval(made("safety", stated("functional_safety", "ASIL-B, safety island ASIL-D"))) == (2, 2, 4)
    assert shipped("i.MX 95", "safety").evidence.kind is Kind.CLAIMED
    assert shipped("Journey 5", "safety").evidence.kind is Kind.DATASHEET


def test_a_safety_subsystem_without_a_level_is_not_a_level() -> None:
    cell = shipped("QCS9075", "safety")
    assert cell.value is None
    assert cell.reason is not None
    assert cell.reason.key == "part-safety-no-level"


# ------------------------------------------------------------------------------------------------ capacity


def test_memory_is_counted_in_bytes_of_two_to_the_thirty_a_gigabyte() -> None:
    assert interval(shipped("Jetson Orin Nano 8GB", "memory")) == (8 * 2**30, 8 * 2**30, 8 * 2**30)
    assert interval(shipped("TDA4VM", "memory")) == (4 * 2**30, 4 * 2**30, INF)  # one board with it


def test_bandwidth_is_in_bytes_a_second() -> None:
    assert shipped("Jetson AGX Orin 64GB", "bandwidth").value == pytest.approx(204.8e9)


def test_a_peak_of_unknown_density_is_a_claim_between_its_half_and_itself() -> None:
    cell = shipped("QCS6490", "tops")
    assert interval(cell) == (6e12, 12e12, 12e12)
    assert cell.evidence.kind is Kind.CLAIMED
    assert interval(shipped("RK3588", "tops")) == (6e12, 6e12, 6e12)


def test_another_clock_mode_or_variant_is_the_floor_of_a_peak() -> None:
    assert shipped("RK3588J", "tops").floor == pytest.approx(4.8e12)
    assert shipped("i.MX 8M Plus", "tops").floor == pytest.approx(1.84e12)
    assert shipped("Jetson Orin Nano 8GB", "tops").floor == 20e12
    assert shipped("QCS9075", "tops").floor == 50e12


def test_a_sparse_peak_alone_is_no_dense_peak() -> None:
    cell = shipped("Journey 6M", "tops")
    assert cell.value is None
    assert cell.reason is not None
    assert cell.reason.key == "part-tops-sparse"


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("1x 8K30 or 3x 4K60 (H.265)", 3 * 3840 * 2160 * 60),
        ("8K60 H.265/H.264/AV1/AVS2/VP9", 7680 * 4320 * 60),
        ("8K30 or 4K120 (H.265/VP9/AV1/AVS2), 4K60 H.264", 7680 * 4320 * 30),
        ("2x 4K60 / 16x 1080p30 (H.264, H.265)", 2 * 3840 * 2160 * 60),
        ("16x 1080p30", 16 * 1920 * 1080 * 30),
        ("4K90 AV1/VP9/HEVC/H.264", 3840 * 2160 * 90),
        ("1080p60 H.265/H.264", 1920 * 1080 * 60),
        ("1920x1080@60", 1920 * 1080 * 60),
        ("H.265, H.264, VP9, AV1 (stream table not read)", None),
        ("4K H.265", None),
        ("yes (codec on card, rates not read)", None),
        ("", None),
    ],
)
def test_a_video_statement_is_its_largest_alternative_in_pixels_a_second(words: str, rate: float | None) -> None:
    assert pixel_rate(words) == rate
    cell = made("video_decode", stated("video_decode", words))
    assert cell.value == rate
    assert (cell.reason is None) == (rate is not None)


def test_no_video_hardware_is_a_zero_that_is_known() -> None:
    cell = shipped("Jetson Orin Nano 8GB", "video_encode")
    assert interval(cell) == (0, 0, 0)
    assert "part-video-none" in keys(cell)


@pytest.mark.parametrize(("word", "bounds"), [("yes", (1, 1, 1)), ("no", (0, 0, 0)), ("partial", (0, 1, 1)), ("perhaps", (-INF, None, INF))])
def test_w4a16_is_yes_no_or_a_claim_between(word: str, bounds: tuple[float, float | None, float]) -> None:
    cell = made("w4a16", stated("w4a16_support", word))
    assert interval(cell) == bounds
    assert (cell.evidence.kind is Kind.CLAIMED) == (word == "partial")


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        ("8", (8, 8, 8)),
        ("0", (0, 0, 0)),
        ("none", (0, 0, 0)),
        ("yes, CAN 1 Mbps (FD not stated)", (1, 1, INF)),
        ("TSN not stated", (-INF, None, INF)),
    ],
)
def test_can_interfaces_are_counted_where_the_source_counts_them(words: str, bounds: tuple[float, float | None, float]) -> None:
    cell = made("can_fd", stated("can_fd", words))
    assert interval(cell) == bounds
    assert ("part-can-classic" in keys(cell)) == ("FD not stated" in words)
