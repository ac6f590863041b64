"""Estimates: the maths on made-up crossed data, and the fit to the shipped figures."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness import spec
from harness.decide import estimate, figures, workloads
from harness.decide.catalogue import Catalogue
from harness.decide.estimate import Estimates, Guess, blup, decoding, training
from harness.decide.terms import Figure, Note, Option, Source
from harness.quantity import Kind, Unit
from harness.words import say

SHIPPED = spec.home() / "results" / "evidence"


def crossed(seed: int, parts: int = 12, works: int = 15, noise: float = 0.2) -> tuple[blup.Rows, Any, Any]:
    """Rows of a full cross of parts and works with two rows a cell, their values, and the cell of each."""
    rng = np.random.default_rng(seed)
    part, work = (one.ravel().repeat(2) for one in np.meshgrid(np.arange(parts), np.arange(works), indexing="ij"))
    x = np.column_stack([np.ones(len(part)), rng.normal(size=works)[work]])
    y = 1.0 + 0.7 * x[:, 1] + rng.normal(0, 0.5, parts)[part] + rng.normal(0, 0.3, works)[work] + rng.normal(0, noise, len(part))
    keep = rng.random(len(part)) < 0.6
    return blup.Rows(x[keep], [part[keep], work[keep]]), y[keep], (part * works + work)[keep]


@cache
def shipped() -> tuple[tuple[Figure, ...], Catalogue, dict[str, workloads.Work]]:
    return figures.read([SHIPPED]), Catalogue.read([SHIPPED]), workloads.read([SHIPPED])


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("estimates")


@pytest.fixture(scope="session")
def estimates(place: Path) -> Estimates:
    return Estimates.fit(*shipped(), place)


def test_the_fit_recovers_the_spreads_it_was_made_with() -> None:
    found = np.mean([[*(model := blup.fit(*crossed(seed)[:2]).model).groups, model.noise] for seed in range(6)], axis=0)
    assert found == pytest.approx([0.5, 0.3, 0.2], rel=0.3)


def test_the_gradient_is_the_slope_of_the_likelihood() -> None:
    rows, y, _ = crossed(1, 5, 6)
    same = [(one[:, None] == one[None, :]).astype(float) for one in rows.labels]
    base, at = blup.PRIOR * rows.x @ rows.x.T, np.log([0.4, 0.3, 0.25])
    _, slope = blup._loss(at, y, base, same)
    for one in range(3):
        step = np.eye(3)[one] * 1e-5
        rise = blup._loss(at + step, y, base, same)[0] - blup._loss(at - step, y, base, same)[0]
        assert slope[one] == pytest.approx(rise / 2e-5, rel=1e-4)


def test_leaving_a_cell_out_in_closed_form_equals_fitting_without_it() -> None:
    rows, y, cells = crossed(2, 5, 6)
    whole = blup.fit(rows, y)
    residual, spread = whole.held_out(cells)
    for cell in np.unique(cells):
        out = cells == cell
        without = blup.Rows(rows.x[~out], [one[~out] for one in rows.labels])
        mean, sd = blup.fit(without, y[~out], whole.model).predict(blup.Rows(rows.x[out], [one[out] for one in rows.labels]))
        assert y[out] - mean == pytest.approx(residual[out], abs=1e-7)
        assert sd == pytest.approx(spread[out], rel=1e-7)


def test_ninety_percent_intervals_hold_about_ninety_percent() -> None:
    inside: list[bool] = []
    for seed in range(5):
        rows, y, cells = crossed(seed)
        residual, spread = blup.fit(rows, y).held_out(cells)
        scale = blup.conformal_by_block(residual, spread, cells, np.ones(len(y)))
        inside += (np.abs(residual) <= scale * spread).tolist()
    assert 0.85 <= np.mean(inside) <= 0.95


def test_a_wider_residual_gives_a_wider_interval() -> None:
    def half(noise: float) -> float:
        rows, y, cells = crossed(3, noise=noise)
        fit = blup.fit(rows, y)
        residual, spread = fit.held_out(cells)
        return float(np.median(blup.conformal(residual, spread, np.ones(len(y))) * spread))

    assert half(0.1) < half(0.3) < half(0.6)


def test_a_row_of_no_group_shares_nothing() -> None:
    model = blup.Model((0.5,), 0.1)
    apart = blup.Rows(np.zeros((2, 1)), [np.array([-1, -1])])
    assert blup.covariance(model, apart, apart) == pytest.approx(np.zeros((2, 2)))


def test_weights_of_blocks_decide_what_holds() -> None:
    residual, spread = np.array([1.0] * 90 + [3.0] * 10), np.ones(100)
    assert blup.conformal(residual, spread, np.ones(100)) == 3.0
    assert blup.conformal(residual, spread, np.array([1.0] * 90 + [0.1] * 10)) == 1.0


@pytest.mark.parametrize(("shape", "area"), [("1x3x640x640", 409600), ("640x480", 307200), ("1x224x224x3", 50176), ("", None), ("seq384", None)])
def test_the_area_of_an_image_is_read_from_its_shape(shape: str, area: float | None) -> None:
    assert training.area_of(shape) == area


def test_multiply_adds_grow_with_the_area() -> None:
    work = shipped()[2]["yolov8n"]
    assert training.work_of(work, "1x3x320x320") == pytest.approx(4.35e9 / 4)
    assert training.work_of(work, "") == 4.35e9


@pytest.mark.parametrize(
    ("precision", "bits"), [("w4a16", 4.5), ("q4_k_m", 4.5), ("w8a8", 8), ("q8_0", 8), ("fp16", 16), ("unstated", None), ("q6_k", None)]
)
def test_the_bits_of_a_weight_are_read_from_the_precision(precision: str, bits: float | None) -> None:
    assert decoding.bits_of(precision) == bits


def test_no_barred_figure_and_no_cpu_teaches_the_model() -> None:
    stated, catalogue, works = shipped()
    by_id = {one.id: one for one in stated}
    rows, rates = training.rows(stated, catalogue, works), decoding.rates(stated, catalogue, works)
    taken = [by_id[one.figure] for one in rows] + [by_id[one.figure] for one in rates]
    assert len(taken) > 500
    assert all(one.usable("estimate") and one.compute_unit != "cpu" and one.batch in (1, None) for one in taken)


def test_held_out_cells_are_predicted_as_well_as_promised(estimates: Estimates) -> None:
    quality = estimates.quality["latency"]
    assert quality.error <= 0.15
    assert 0.88 <= quality.coverage <= 0.94


def test_a_soc_nobody_measured_is_less_certain_than_a_known_one(estimates: Estimates) -> None:
    quality = estimates.quality
    for metric in ("latency", "decode"):
        assert quality[f"{metric} unseen"].half_width > quality[metric].half_width
        assert quality[f"{metric} unseen"].error > quality[metric].error


def test_every_answer_is_an_interval_within_physics_or_a_reason_in_words(estimates: Estimates) -> None:
    _, catalogue, works = shipped()
    answers = 0
    for soc in catalogue.socs.values():
        peak, bandwidth = training.peak_of(soc), decoding.bandwidth_of(soc)
        for work in ("yolov8n", "resnet50", "vgg16", "mobilenet_v2", "llama-3.2-1b", "llama2_13b", "whisper-tiny"):
            for metric in ("latency", "decode"):
                got = estimates.decode(soc, work) if metric == "decode" else estimates.latency(soc, work)
                if isinstance(got, Note):
                    assert say(got.key, "en", **got.values)
                    assert say(got.key, "zh", **got.values)
                    continue
                answers += len(got)
                for one in got:
                    assert one.low <= one.value <= one.high
                    assert say(one.basis.key, "zh", **one.basis.values)
                    assert one.high / one.value <= estimate.WIDEST + 1e-9
                    if metric == "latency" and peak:
                        assert one.low >= 2e9 * (works[work].gmac or 0.0) / peak
                    if metric == "decode" and bandwidth:
                        bits = decoding.bits_of(one.option.precision) or 16
                        assert one.high <= bandwidth / ((works[work].params or 0.0) * bits / 8) * (1 + 1e-9)
    assert answers > 100


def test_an_estimate_is_never_narrower_than_the_residual(estimates: Estimates) -> None:
    _, catalogue, _ = shipped()
    learned = estimates._latency
    assert learned
    sigmas = [one.sigma for soc in catalogue.socs.values() for one in given(estimates.latency(soc, "yolov8n"))]
    assert min(sigmas) >= learned.fit.model.noise


def given(found: list[Guess] | Note) -> list[Guess]:
    return [] if isinstance(found, Note) else found


def test_what_is_known_of_neither_side_is_not_estimated(estimates: Estimates) -> None:
    catalogue = shipped()[1]
    for soc, work, key in (
        ("kria-k26", "yolov8n", "estimate-wide"),
        ("rk3588", "whisper-tiny", "estimate-work"),
        ("jetson-thor-t4000", "yolov8n", "estimate-peak"),
        ("stm32h7", "yolov8n", "estimate-role"),
    ):
        got = estimates.best(catalogue.socs[soc], "latency", work)
        assert isinstance(got, Note)
        assert got.key == key


def test_the_best_estimate_is_the_fastest_among_the_allowed(estimates: Estimates) -> None:
    soc = shipped()[1].socs["qcs9075"]
    everything = given(estimates.latency(soc, "yolov8n"))
    best, floating = estimates.best(soc, "latency", "yolov8n"), estimates.best(soc, "latency", "yolov8n", frozenset({"fp16"}))
    assert isinstance(best, Guess)
    assert isinstance(floating, Guess)
    assert best.value == min(one.value for one in everything)
    assert floating.option.precision == "fp16"
    assert isinstance(estimates.best(soc, "latency", "yolov8n", frozenset({"fp8"})), Note)


def test_a_cached_fit_gives_equal_numbers(estimates: Estimates, place: Path) -> None:
    soc = shipped()[1].socs["rk3588"]
    before = sorted((one.name, one.stat().st_mtime_ns) for one in place.iterdir())
    again = Estimates.fit(reversed(shipped()[0]), *shipped()[1:], place)
    assert sorted((one.name, one.stat().st_mtime_ns) for one in place.iterdir()) == before
    assert msgspec.json.encode(again.latency(soc, "yolov8n")) == msgspec.json.encode(estimates.latency(soc, "yolov8n"))
    assert again.quality == estimates.quality


def test_a_broken_cache_is_fitted_anew(tmp_path: Path) -> None:
    few = [one for one in shipped()[0] if one.soc in {"RK3588", "RK3576"}]
    first = Estimates.fit(few, *shipped()[1:], tmp_path)
    for one in tmp_path.iterdir():
        one.write_text("{")
    assert Estimates.fit(few, *shipped()[1:], tmp_path).quality == first.quality


def test_a_users_figure_changes_the_estimate(tmp_path: Path) -> None:
    stated, catalogue, works = shipped()
    few = [one for one in stated if one.soc in {"RK3588", "RK3576", "QCS6490"}]
    measured = Source("record", "mine")
    mine = Figure(
        "mine", "RK3588", "", "", "resnet50", "latency", 0.004, Unit.SECOND, "int8", "rknn", "npu", 1, "1x3x224x224", {}, Kind.MEASURED, measured
    )  # fmt: skip
    soc = catalogue.socs["rk3588"]
    option = Option("rknn", "int8", "npu")
    without, having = (
        next(one for one in given(Estimates.fit(some, catalogue, works, tmp_path).latency(soc, "resnet50")) if one.option == option)
        for some in (few, [*few, mine])
    )
    assert abs(math.log(having.value / 0.004)) < abs(math.log(without.value / 0.004))


def test_nothing_is_estimated_from_nothing(tmp_path: Path) -> None:
    empty = Estimates.fit((), *shipped()[1:], tmp_path)
    assert empty.quality == {}
    assert isinstance(empty.best(shipped()[1].socs["rk3588"], "latency", "yolov8n"), Note)
