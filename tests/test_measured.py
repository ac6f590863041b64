"""Records as figures of a decision: which reading becomes which figure, of which SoC."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from harness.decide.catalogue import Catalogue
from harness.decide.measured import figures, soc_of
from harness.decide.terms import Figure, Role
from harness.quantity import Kind, Unit
from harness.record import Setting
from tests.facts import SHIPPED
from tests.figures import chip
from tests.readings import figure, value
from tests.records import RAIL, failed_record, llama_record, make_record, offline_record, unsupported_record, whisper_record

if TYPE_CHECKING:
    from harness.record import RunRecord

BOARD = "Radxa ROCK 5B (RK3588)"
SHORT: dict[str, Any] = {"n": 40, "warmup": 2, "pipeline": 2}


def of(record: RunRecord, **links: str) -> dict[str, Figure]:
    """The figures of a record by metric; no metric may stand twice."""
    found = figures([record], SHIPPED, links)
    by_metric = {one.metric: one for one in found}
    assert len(by_metric) == len(found)
    return by_metric


# --- which reading becomes which figure ------------------------------------------------------------------------------------------------


def test_an_image_model_gives_its_median_latency_and_its_memory() -> None:
    record = make_record(**SHORT, module=BOARD)
    found = of(record)
    assert set(found) == {"latency", "peak_memory"}
    assert found["latency"].value == value(record, "latency_p50", "infer") == pytest.approx(0.02, rel=0.05)
    assert (found["latency"].unit, found["peak_memory"].unit) == (Unit.SECOND, Unit.BYTE)
    assert found["peak_memory"].value == 412_000_000


def test_a_speech_model_gives_its_real_time_factor_the_inverse_of_seconds_of_sound_a_second() -> None:
    record = whisper_record(n=20)
    found = of(record)
    assert set(found) == {"realtime_factor", "peak_memory"}
    assert found["realtime_factor"].value == pytest.approx(1 / value(record, "throughput"))
    assert found["realtime_factor"].value == pytest.approx(0.25 / 30, rel=0.05), "30 s of sound in a quarter of a second"
    assert found["realtime_factor"].unit is Unit.ONE


def test_a_language_model_gives_decode_prefill_and_time_to_first_token() -> None:
    record = llama_record(n=5)
    found = of(record)
    assert set(found) == {"decode", "prefill", "ttft", "peak_memory"}
    assert found["decode"].value == value(record, "throughput", "decode") == pytest.approx(31 / (0.8 * 1.6), rel=0.2)
    assert found["prefill"].value == value(record, "throughput", "prefill") == pytest.approx(64 / 0.32, rel=0.1)
    assert found["ttft"].value == value(record, "ttft") == pytest.approx(0.32, rel=0.1)
    assert (found["decode"].unit, found["prefill"].unit, found["ttft"].unit) == (Unit.PER_SECOND, Unit.PER_SECOND, Unit.SECOND)


def test_the_energy_of_an_item_is_a_figure_where_power_was_metered() -> None:
    record = make_record(n=700, warmup=2, pipeline=2, meters=(RAIL,), watts=12.0)
    found = of(record)
    assert found["energy"].value == value(record, "energy_per_item") == pytest.approx(12.0 * 0.02, rel=0.05)
    assert found["energy"].unit is Unit.JOULE


def test_a_figure_says_how_it_was_run_and_from_which_record() -> None:
    record = make_record(**SHORT, module=BOARD, precision="int8", threads=4)
    one = of(record, **{record.run_id: "runs/one.html"})["latency"]
    assert (one.soc, one.board, one.workload, one.runtime, one.precision, one.compute_unit) == (
        "rk3588", BOARD, "resnet50", "onnxruntime", "int8", "cpu",
    )  # fmt: skip
    assert (one.kind, one.batch, one.condition, one.note) == (Kind.MEASURED, 1, {"threads": "4"}, "synthetic weights")
    assert (one.source.kind, one.source.where, one.source.url, one.source.date) == ("record", record.run_id, "runs/one.html", "2026-11-22")
    assert one.id == f"{record.run_id}/latency_p50:infer"
    assert one.usable("rank")


def test_the_unit_that_computed_is_what_the_runtime_was_set_to() -> None:
    record = make_record(**SHORT)
    record.settings["device"] = Setting("npu", "file")
    assert of(record)["latency"].compute_unit == "npu"


def test_the_doubt_is_that_of_another_board_and_of_the_measured_interval() -> None:
    record = make_record(**SHORT, spread=0.3)
    measured = figure(record, "latency_p50", "infer")
    assert measured.low
    assert measured.high
    assert of(record)["latency"].sigma == pytest.approx(math.hypot(0.02, math.log(measured.high / measured.low) / (2 * 1.96)))
    assert of(record)["latency"].sigma > 0.05
    assert of(record)["peak_memory"].sigma == pytest.approx(0.02), "no interval is known"


@pytest.mark.parametrize(
    "record",
    [
        failed_record(),
        unsupported_record(),
        make_record(**SHORT, status="invalid", reason="the clock went backwards", fix="run again"),
        offline_record(n=10),
    ],
    ids=["failed", "unsupported", "invalid", "offline"],
)
def test_what_was_not_soundly_measured_one_at_a_time_gives_no_figure(record: RunRecord) -> None:
    assert figures([record], SHIPPED) == ()


def test_the_figures_of_several_records_have_ids_of_their_own() -> None:
    found = figures([make_record(**SHORT), make_record(**SHORT, precision="int8"), failed_record()], SHIPPED)
    assert len({one.id for one in found}) == len(found) == 4


# --- which SoC -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "soc"),
    [
        ("RK3588", "rk3588"),
        ("Radxa ROCK 5B (RK3588)", "rk3588"),
        ("Industrial board, RK3588J, 8 GB", "rk3588j"),
        ("rockchip,rk3576", "rk3576"),
        ("NVIDIA Jetson Orin NX 16GB on a carrier", "jetson-orin-nx-16gb"),
        ("Raspberry Pi 5 Model B Rev 1.0", "bcm2712-raspberry-pi-5"),
        ("Carrier with QCS615", "iq6-qcs615-iq-615"),
        ("Intel(R) N100", "intel-n100"),
        ("NXP i.MX 8M Plus EVK", "i-mx-8m-plus"),
    ],
)
def test_a_record_is_of_the_entry_that_its_module_names(module: str, soc: str) -> None:
    found = soc_of(make_record(**SHORT, module=module), SHIPPED)
    assert (found.id, found is SHIPPED.socs[soc]) == (soc, True)


@pytest.mark.parametrize(
    ("module", "soc"),
    [
        ("RK3588S2 board", "rk3588s2-board"),
        ("Raspberry Pi 500", "raspberry-pi-500"),
        ("NVIDIA Jetson Orin Nano Developer Kit", "nvidia-jetson-orin-nano-developer-kit"),
        ("AMD Ryzen 7 5800X", "amd-ryzen-7-5800x"),
        ("TDA4VM-Q1", "tda4vm-q1"),
    ],
)
def test_a_part_of_a_name_or_a_family_is_no_match_and_the_machine_stands_for_itself(module: str, soc: str) -> None:
    found = soc_of(make_record(**SHORT, module=module), SHIPPED)
    assert (found.id, found.name, found.role) == (soc, module, Role.HOST)
    assert soc not in SHIPPED.socs


def test_of_several_names_in_a_module_the_longest_is_meant_in_any_order_of_the_catalogue() -> None:
    short, long = chip("Board X"), chip("Board X Pro")
    record = make_record(**SHORT, module="Maker Board X Pro rev 2")
    for order in ((short, long), (long, short)):
        assert soc_of(record, Catalogue({one.id: one for one in order})).id == "board-x-pro"
