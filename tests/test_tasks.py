"""Task halves: what happens to a picture, a sound or a prompt before and after a model, against slow and plain ways to say the same."""

from __future__ import annotations

import cmath
import importlib.util
import itertools
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.lab import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = ROOT / "workloads" / "tasks"
CLASSIFY = {"size": 32, "resize": 36, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "top": 3}
DETECT = {
    "size": 64, "place": "corner", "pad": 114.0, "divide": 1.0, "bgr": False, "head": "yolov8",
    "score": 0.25, "overlap": 0.5, "candidates": 10,
}  # fmt: skip


def half(path: Path, name: str) -> Any:
    """The module in `path`, under the name that an agent gives it."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


image = half(TASKS / "lib" / "image.py", "socbench_image")
classify = half(TASKS / "classify.py", "tested_classify")
detect = half(TASKS / "detect.py", "tested_detect")
transcribe = half(TASKS / "transcribe.py", "tested_transcribe")
generate = half(TASKS / "generate.py", "tested_generate")


def picture(height: int, width: int, seed: int = 0) -> Any:
    """A smooth picture with some noise, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(rows / (7 + one)) * np.cos(columns / (11 - one)) for one in range(3)]
    return np.clip(np.stack(waves, -1) + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def saved(folder: Path, **arrays: Any) -> list[str]:
    paths = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        paths.append(str(folder / f"{name}.npy"))
    return paths


def run(steps: list[tuple[str, Callable[[], Any]]]) -> list[str]:
    """Carry out the steps of an item; their phases."""
    for _, call in steps:
        call()
    return [phase for phase, _ in steps]


# --- pictures ----------------------------------------------------------------------------------------------------------------------


def test_resizing_two_pixels_to_four_is_what_a_hand_computes() -> None:
    two = np.array([[[0, 100, 200], [100, 0, 40]]], np.uint8)
    # centres of the four lie at -0.25, 0.25, 0.75, 1.25 of the two: the outer ones are held at the edge
    wide = image.resize(two, 1, 4)
    np.testing.assert_allclose(wide[0, :, 0], [0, 25, 75, 100])
    np.testing.assert_allclose(wide[0, :, 2], [200, 160, 80, 40])
    np.testing.assert_allclose(image.resize(two.transpose(1, 0, 2), 4, 1)[:, 0, 0], [0, 25, 75, 100])
    np.testing.assert_allclose(image.resize(two, 1, 1), [[[50, 50, 120]]])
    assert wide.dtype == np.float32


def test_a_picture_of_its_own_size_is_not_changed_by_resizing() -> None:
    original = picture(13, 17)
    np.testing.assert_array_equal(image.resize(original, 13, 17), original)


@pytest.mark.parametrize(("height", "width"), [(80, 96), (41, 77), (200, 30), (3, 3)])
def test_enlarging_agrees_with_pillow(height: int, width: int) -> None:
    original = picture(30, 24)
    theirs = np.asarray(Image.fromarray(original).resize((width, height), Image.Resampling.BILINEAR), np.float32)
    ours = image.resize(original, height, width)
    assert ours.shape == (height, width, 3)
    if height >= 30 and width >= 24:
        assert np.abs(ours - theirs).max() <= 1.0, "Pillow rounds to whole numbers, after each of two passes"
    else:
        assert np.abs(ours.mean((0, 1)) - theirs.mean((0, 1))).max() < 40, "Pillow averages when it makes smaller, we do not"


def test_normalising_scales_the_shorter_side_and_cuts_the_middle() -> None:
    original = np.zeros((72, 144, 3), np.uint8)
    original[:, 40:104] = (255, 0, 128)  # what is left and right of the middle 64 columns is black and must not be seen
    found = classify.normalise(original, CLASSIFY)
    assert found.shape == (1, 3, 32, 32)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    for channel, level in enumerate((1.0, 0.0, 128 / 255)):
        expected = (level - CLASSIFY["mean"][channel]) / CLASSIFY["std"][channel]  # type: ignore[index]
        np.testing.assert_allclose(found[0, channel], expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(36, 36), (37, 300), (301, 36), (20, 20), (479, 640)])
def test_normalising_gives_one_shape_whatever_the_picture_s(shape: tuple[int, int]) -> None:
    assert classify.normalise(picture(*shape), CLASSIFY).shape == (1, 3, 32, 32)


def test_the_best_classes_come_with_their_softmax() -> None:
    logits = np.array([[1.0, 3.0, 2.0, -1.0]], np.float32)
    total = sum(math.exp(one) for one in (1, 3, 2, -1))
    assert classify.best(logits, 2) == [(1, pytest.approx(math.exp(3) / total)), (2, pytest.approx(math.exp(2) / total))]
    assert classify.best(logits * 1e4, 1) == [(1, 1.0)], "large logits do not overflow"


def test_a_letterbox_in_the_corner_is_padded_right_and_below() -> None:
    original = np.full((16, 32, 3), (10, 20, 30), np.uint8)
    found = detect.letterbox(original, 64, DETECT)
    assert found.shape == (1, 3, 64, 64)
    assert (found[0, :, :32].transpose(1, 2, 0) == [10, 20, 30]).all()
    assert (found[0, :, 32:] == 114).all()


def test_a_letterbox_in_the_centre_is_padded_on_both_sides() -> None:
    original = np.full((64, 32, 3), 200, np.uint8)
    found = detect.letterbox(original, 64, {**DETECT, "place": "centre", "divide": 255.0})
    np.testing.assert_allclose(found[0, :, :, 16:48], 200 / 255, rtol=1e-6)
    np.testing.assert_allclose(found[0, :, :, :16], 114 / 255, rtol=1e-6)
    np.testing.assert_allclose(found[0, :, :, 48:], 114 / 255, rtol=1e-6)


def test_the_order_of_colours_is_turned_only_where_the_model_wants_it() -> None:
    original = np.full((8, 8, 3), (1, 2, 3), np.uint8)
    assert detect.letterbox(original, 8, DETECT)[0, :, 0, 0].tolist() == [1, 2, 3]
    turned = detect.letterbox(original, 8, {**DETECT, "bgr": True})
    assert turned[0, :, 0, 0].tolist() == [3, 2, 1]
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("shape", [(480, 640), (641, 333), (1, 64), (64, 63)])
def test_a_letterbox_has_one_shape_whatever_the_picture_s(shape: tuple[int, int]) -> None:
    assert detect.letterbox(picture(*shape), 64, {**DETECT, "place": "centre"}).shape == (1, 3, 64, 64)


# --- detections --------------------------------------------------------------------------------------------------------------------


def test_yolox_boxes_are_decoded_cell_by_cell() -> None:
    rng = np.random.default_rng(0)
    size, classes = 64, 3
    cells = [(stride, row, column) for stride in (8, 16, 32) for row in range(size // stride) for column in range(size // stride)]
    output = rng.normal(0, 1, (1, len(cells), 5 + classes)).astype(np.float32)
    boxes, scores = detect.decode_yolox(output, size)
    for found, confidence, raw, (stride, row, column) in zip(boxes, scores, output[0], cells, strict=True):
        x, y, width, height, present = (float(one) for one in raw[:5])
        expected = [(x + column) * stride, (y + row) * stride, math.exp(width) * stride, math.exp(height) * stride]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(confidence, raw[5:] * present, rtol=1e-5)


def test_the_boxes_of_an_untrained_network_are_finite() -> None:
    output = np.full((1, 84, 6), 500.0, np.float32)
    assert np.isfinite(detect.decode_yolox(output, 64)[0]).all()


def _overlap(one: Any, other: Any) -> float:
    """Intersection over union, in plain arithmetic."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    whole = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared
    return float(shared / whole) if whole else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_what_the_definition_keeps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (40, 2))], 1)
    scores = rng.permutation(40) / 40
    expected: list[int] = []
    for index in sorted(range(40), key=lambda one: -scores[one]):
        if all(_overlap(boxes[index], boxes[kept]) <= 0.4 for kept in expected):
            expected.append(index)
    assert detect.suppress(boxes, scores, 0.4) == expected


def test_suppression_of_nothing_and_of_one() -> None:
    assert detect.suppress(np.zeros((0, 4)), np.zeros(0), 0.5) == []
    assert detect.suppress(np.array([[0.0, 0, 0, 0]]), np.array([0.3]), 0.5) == [0]


class Vision:
    """A model that answers with what it is given, and notes its feeds."""

    def __init__(self, output: Any) -> None:
        self.inputs, self.outputs, self.output = {"images": ([1, 3, 64, 64], "float32")}, ["out"], output
        self.fed: list[Any] = []

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        self.fed.append(feeds["images"])
        return [np.repeat(self.output, len(feeds["images"]), 0)]

    def prepared(self, feeds: dict[str, Any]) -> Callable[[], Any]:
        return lambda: self.run(feeds)


def test_detections_are_thresholded_suppressed_by_class_and_come_best_first(tmp_path: Path) -> None:
    # YOLOv8's layout [1, 4 + classes, boxes]: centre, size, scores of two classes
    columns = [
        (20, 20, 10, 10, 0.9, 0.1),
        (21, 20, 10, 10, 0.8, 0.1),  # the same thing again, less sure
        (20, 20, 10, 10, 0.2, 0.7),  # another class in the same place stays
        (50, 50, 4, 6, 0.0, 0.95),
        (5, 5, 2, 2, 0.2, 0.24),  # below the threshold
    ]
    task = detect.Task({"model": Vision(np.array(columns, np.float32).T[None])}, saved(tmp_path, a=picture(20, 30)), DETECT, 1)
    found = task.finish(task.model.output)
    np.testing.assert_allclose(
        found, [[48, 47, 52, 53, 0.95, 1], [15, 15, 25, 25, 0.9, 0], [15, 15, 25, 25, 0.7, 1]], rtol=1e-6
    )  # fmt: skip
    nothing = task.finish(np.zeros((1, 6, 5), np.float32))
    assert nothing.shape == (0, 6)


def test_no_more_candidates_are_compared_than_allowed(tmp_path: Path) -> None:
    columns = [(10 + 20 * one, 10, 4, 4, 0.3 + one / 100, 0.0) for one in range(30)]
    task = detect.Task({"model": Vision(np.array(columns, np.float32).T[None])}, saved(tmp_path, a=picture(20, 30)), DETECT, 1)
    found = task.finish(task.model.output)
    assert len(found) == 10
    assert found[0, 4] == pytest.approx(0.59), "the best ten"


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_batch_takes_pictures_in_turn_and_the_items_say_how_many(tmp_path: Path, batch: int) -> None:
    model = Vision(np.zeros((1, 10), np.float32))
    task = classify.Task({"model": model}, saved(tmp_path, a=picture(40, 40, 1), b=picture(40, 50, 2), c=picture(60, 40, 3)), CLASSIFY, batch)
    assert set(task.items.values()) == {float(batch)}
    alone = [classify.normalise(picture(*shape), CLASSIFY)[0] for shape in ((40, 40, 1), (40, 50, 2), (60, 40, 3))]
    for index in range(4):
        assert run(task.core(index)) == ["infer"]
        np.testing.assert_array_equal(model.fed[-1], np.stack([alone[(index + other) % 3] for other in range(batch)]))
    assert run(task.pipeline(1)) == ["preprocess", "infer", "postprocess"]
    np.testing.assert_array_equal(model.fed[-1], model.fed[1], "the whole way feeds what lies ready for the core")
    assert [role for role, _ in task.calibration()] == ["model"] * 3
    assert [(name, axis) for _, name, _, axis in task.outputs()] == [("out", -1)] * 3


# --- sound -------------------------------------------------------------------------------------------------------------------------


def _mel(hertz: float) -> float:
    """Slaney's scale: linear below 1 kHz, then 27 steps for a factor of 6.4."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


def _hertz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def _filter(band: int, bands: int = 80) -> list[float]:
    """One triangle of the filter bank, on the frequencies of a DFT of 400 points at 16 kHz."""
    low, centre, high = (_hertz(_mel(8000) * (band + edge) / (bands + 1)) for edge in range(3))
    weights = []
    for step in range(201):
        hertz = 40.0 * step
        side = (hertz - low) / (centre - low) if hertz <= centre else (high - hertz) / (high - centre)
        weights.append(max(0.0, side) * 2 / (high - low))
    return weights


def test_the_mel_scale_and_its_inverse_agree() -> None:
    assert all(_hertz(_mel(one)) == pytest.approx(one) for one in (0, 440, 999, 1000, 4000, 8000))


def test_the_filter_bank_is_slaney_s() -> None:
    bank = transcribe.mel_filters()
    assert bank.shape == (80, 201)
    np.testing.assert_allclose(bank, [_filter(band) for band in range(80)], atol=1e-7)


def test_every_filter_is_one_triangle_of_about_unit_area() -> None:
    bank = transcribe.mel_filters()
    assert (bank >= 0).all()
    peaks = bank.argmax(1)
    assert (np.diff(peaks) >= 0).all()
    for row, peak in zip(bank, peaks, strict=True):
        assert (np.diff(row[: peak + 1]) >= 0).all()
        assert (np.diff(row[peak:]) <= 0).all()
    areas = bank.sum(1) * 40.0  # a step of the DFT is 40 Hz
    assert abs(areas - 1).max() < 0.1
    assert abs(areas[60:] - 1).max() < 0.02, "where a triangle is many steps wide"
    assert bank[:, 0].max() < 1e-9
    assert bank[:, 200].max() < 1e-9


def _frame_power(wave: list[float], frame: int) -> list[float]:
    """Power spectrum of one frame by the definition of the DFT; the sound is mirrored at its beginning, as centred frames need it."""
    total: list[float] = []
    samples = [wave[abs(160 * frame - 200 + at)] * (0.5 - 0.5 * math.cos(2 * math.pi * at / 400)) for at in range(400)]
    for step in range(201):
        turn = cmath.exp(-2j * math.pi * step / 400)
        value, factor = 0j, 1 + 0j
        for sample in samples:
            value += sample * factor
            factor *= turn
        total.append(abs(value) ** 2)
    return total


def test_log_mel_agrees_with_its_definition() -> None:
    rng = np.random.default_rng(0)
    seconds = np.arange(8000) / 16000
    wave = (0.3 * np.sin(2 * np.pi * 440 * seconds) + 0.1 * np.sin(2 * np.pi * 3000 * seconds) + rng.normal(0, 0.02, 8000)).astype(np.float32)
    found = transcribe.log_mel(wave, transcribe.mel_filters())
    assert found.shape == (1, 80, 3000)
    assert found.dtype == np.float32
    whole = [float(one) for one in wave] + [0.0] * 4000
    bank = [_filter(band) for band in range(80)]
    frames = (0, 1, 2, 25, 48, 60)  # the last one is silent
    expected = []
    for frame in frames:
        power = _frame_power(whole, frame)
        energy = [sum(weight * one for weight, one in zip(row, power, strict=True)) for row in bank]
        expected.append([math.log10(max(one, 1e-10)) for one in energy])
    ours = found[0][:, list(frames)].T * 4 - 4  # what (x + 4) / 4 came from, cut at 8 below the loudest
    floor = float(found.max()) * 4 - 4 - 8
    np.testing.assert_allclose(ours, np.maximum(expected, floor), atol=2e-3)


def test_silence_is_flat_and_a_long_sound_is_cut_to_thirty_seconds() -> None:
    filters = transcribe.mel_filters()
    assert set(np.unique(transcribe.log_mel(np.zeros(100, np.float32), filters))) == {np.float32((-10 + 4) / 4)}
    rng = np.random.default_rng(1)
    long = rng.normal(0, 0.1, 40 * 16000).astype(np.float32)
    np.testing.assert_array_equal(transcribe.log_mel(long, filters), transcribe.log_mel(long[:480_000], filters))


Log = list[tuple[str, dict[str, Any]]]


class Speech:
    """An encoder or a decoder that notes every step: tensors are (label, array), and a cache's label tells its history."""

    def __init__(self, outputs: list[str], log: Log, role: str) -> None:
        self.outputs, self.log, self.role, self.steps = outputs, log, role, 0

    def put(self, value: Any) -> Any:
        return ("put", value)

    def get(self, tensor: Any) -> Any:
        return tensor[1]

    def step(self, feeds: dict[str, Any]) -> list[Any]:
        self.log.append((self.role, dict(feeds)))
        self.steps += 1
        return [(f"{self.role}{self.steps}.{name}", self._value(name)) for name in self.outputs]

    def _value(self, name: str) -> Any:
        if name != "logits":
            return np.zeros((1, 2, 1, 4), np.float32)
        logits = np.zeros((1, 1, 50_000), np.float32)
        logits[0, 0, 1000 + self.steps] = 1
        return logits


SPEECH = {"layers": 2, "heads": 2, "head_size": 4, "prompt": [40_000, 40_001, 40_002], "steps": 6}


@pytest.fixture
def speech(tmp_path: Path) -> tuple[Any, Log]:
    log: Log = []
    crossed = [f"cross_{part}_{layer}" for layer in range(2) for part in "kv"]
    own = [f"present_self_{part}_{layer}" for layer in range(2) for part in "kv"]
    models = {"encoder": Speech(crossed, log, "encoder"), "decoder": Speech(["logits", *own], log, "decoder")}
    waves = saved(tmp_path, a=np.full(1000, 3000, np.int16), b=np.full(2000, -3000, np.int16))
    return transcribe.Task(models, waves, SPEECH, 1), log


def test_a_window_is_encoded_once_and_decoded_token_by_token_with_its_caches(speech: tuple[Any, Log]) -> None:
    task, log = speech
    assert run(task.core(1)) == ["encode"] + ["decode"] * 6
    (first, encoded), *steps = log
    assert first == "encoder"
    np.testing.assert_array_equal(encoded["input_features"][1], task.features[1][1])
    assert len(steps) == 6
    own = {f"past_self_{part}_{layer}" for layer in range(2) for part in "kv"}
    for position, (role, feeds) in enumerate(steps):
        assert role == "decoder"
        assert feeds["position_ids"][1].tolist() == [[position]]
        forced = SPEECH["prompt"][position] if position < 3 else 1000 + position  # type: ignore[index]
        assert feeds["input_ids"][1].tolist() == [[forced]], "the prompt is forced, then each step's answer is the next one's token"
        assert all(feeds[f"cross_{part}_{layer}"][0] == f"encoder1.cross_{part}_{layer}" for layer in range(2) for part in "kv")
        for name in own:
            if position == 0:
                assert feeds[name][1].shape == (1, 2, 0, 4), "the first step has an empty cache"
            else:
                assert feeds[name][0] == f"decoder{position}.{name.replace('past', 'present')}"
    assert {"input_ids", "position_ids", *own, *(f"cross_{part}_{layer}" for layer in range(2) for part in "kv")} == set(steps[0][1])


def test_every_window_begins_anew(speech: tuple[Any, Log]) -> None:
    task, log = speech
    run(task.core(0))
    run(task.core(1))
    again = log[8]
    assert [role for role, _ in log] == (["encoder"] + ["decoder"] * 6) * 2
    assert again[1]["past_self_k_0"][1].shape == (1, 2, 0, 4)
    assert again[1]["cross_k_0"][0] == "encoder2.cross_k_0"


def test_the_whole_way_of_a_window_ends_in_text_without_special_tokens(speech: tuple[Any, Log]) -> None:
    task, log = speech
    assert run(task.pipeline(0)) == ["preprocess", "encode", *["decode"] * 6, "postprocess"]
    np.testing.assert_array_equal(log[0][1]["input_features"][1], task.features[0][1])
    assert task.text_ids == [1003, 1004, 1005, 1006]
    assert task.items == {"preprocess": 30.0, "encode": 30.0, "decode": 1.0, "postprocess": 30.0}


def test_speech_is_compared_on_fixed_tokens_whatever_the_model_answers(speech: tuple[Any, Log]) -> None:
    task, log = speech
    outputs = list(task.outputs())
    assert [(name, axis) for _, name, _, axis in outputs] == [("cross_v_1", None), ("logits", -1)] * 2
    assert outputs[1][2].shape == (6, 50_000)
    fed = [feeds["input_ids"][1][0, 0] for role, feeds in log if role == "decoder"]
    assert fed[:3] == SPEECH["prompt"]
    assert fed == [*task._teacher(0), *task._teacher(1)]
    assert not {1003, 1004, 1005} & set(fed)


def test_speech_is_calibrated_on_features_and_on_steps_with_a_filled_cache(speech: tuple[Any, Log]) -> None:
    task, _ = speech
    task.steps = 30
    feeds = list(task.calibration())
    assert [role for role, _ in feeds] == ["encoder", "decoder", "decoder"] * 2
    assert [feed["position_ids"].item() for role, feed in feeds if role == "decoder"] == [8, 24] * 2


def test_speech_and_text_refuse_a_batch(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch must be 1"):
        transcribe.Task({}, [], SPEECH, 2)
    with pytest.raises(ValueError, match="batch must be 1"):
        generate.Task({}, [], {}, 2)


# --- text --------------------------------------------------------------------------------------------------------------------------

TEXT = {"prefill": 7, "decode": 4, "compare": 3, "kv_heads": 2, "head_size": 4}


class Language:
    """A language model that counts: the token after x is x + 1."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []

    def reset(self) -> None:
        self.log.append(("reset", None))

    def prefill(self, tokens: list[int]) -> int:
        self.log.append(("prefill", list(tokens)))
        return tokens[-1] + 1

    def decode(self, token: int) -> int:
        self.log.append(("decode", token))
        return token + 1

    def logits(self, tokens: list[int]) -> Any:
        return np.eye(20)[tokens]


def test_a_prompt_is_repeated_to_its_length_and_every_token_follows_the_one_before(tmp_path: Path) -> None:
    model = Language()
    task = generate.Task({"model": model}, saved(tmp_path, a=np.array([3, 4, 5]), b=np.arange(100, 120)), TEXT, 1)
    assert task.items == {"prefill": 7.0, "decode": 1.0}
    assert run(task.core(0)) == ["prefill", "decode", "decode", "decode"], "the prefill yields the first of the four"
    assert model.log == [("reset", None), ("prefill", [3, 4, 5, 3, 4, 5, 3]), ("decode", 4), ("decode", 5), ("decode", 6)]
    model.log.clear()
    assert run(task.first(1)) == ["prefill"], "what a user waits for after loading"
    assert run(task.core(1)) == ["prefill", *["decode"] * 3]
    del model.log[:2]
    assert model.log[:3] == [("reset", None), ("prefill", list(range(100, 107))), ("decode", 107)]


def test_text_is_compared_on_the_logits_of_its_first_tokens(tmp_path: Path) -> None:
    task = generate.Task({"model": Language()}, saved(tmp_path, a=np.array([3, 4, 5, 6])), TEXT, 1)
    ((_, name, logits, axis),) = task.outputs()
    assert (name, axis) == ("logits", -1)
    assert logits.argmax(-1).tolist() == [3, 4, 5]


class Tensors:
    """A decoder graph of two layers: past caches in, present caches out, the token after x is x + 1."""

    def __init__(self) -> None:
        parts = [f"{layer}.{part}" for layer in range(2) for part in ("key", "value")]
        self.inputs = dict.fromkeys(["input_ids", "attention_mask", *(f"past_key_values.{part}" for part in parts)])
        self.outputs = ["logits", *(f"present.{part}" for part in parts)]
        self.log: list[dict[str, Any]] = []

    def put(self, value: Any) -> Any:
        return value

    def get(self, tensor: Any) -> Any:
        return tensor

    def step(self, feeds: dict[str, Any]) -> list[Any]:
        self.log.append(dict(feeds))
        tokens = feeds["input_ids"]
        more = np.zeros((1, 2, tokens.shape[1], 4), np.float32)
        grown = [np.concatenate([feeds[name], more], 2) for name in self.inputs if name.startswith("past")]
        return [np.eye(200, dtype=np.float32)[tokens + 1], *grown]


def test_a_tensor_runtime_s_decoder_gets_its_caches_back_and_a_mask_of_the_whole_context(tmp_path: Path) -> None:
    model = Tensors()
    task = generate.Task({"model": model}, saved(tmp_path, a=np.arange(100, 120)), TEXT, 1)
    for _ in range(2):  # an item begins with an empty cache, also after another
        model.log.clear()
        run(task.core(0))
        assert [feeds["input_ids"].tolist() for feeds in model.log] == [[list(range(100, 107))], [[107]], [[108]], [[109]]]
        assert [feeds["attention_mask"].shape for feeds in model.log] == [(1, 7), (1, 8), (1, 9), (1, 10)]
        lengths = [{feeds[name].shape for name in feeds if name.startswith("past")} for feeds in model.log]
        assert lengths == [{(1, 2, length, 4)} for length in (0, 7, 8, 9)]
    ((_, _, logits, _),) = task.outputs()
    assert logits.argmax(-1).tolist() == [101, 102, 103]
    assert model.log[4]["past_key_values.0.key"].shape[2] == 0, "compared from the beginning, not after the item"


def test_phases_of_one_item_are_whole_and_in_order(tmp_path: Path) -> None:
    task = generate.Task({"model": Language()}, saved(tmp_path, a=np.arange(100, 120)), TEXT, 1)
    phases = [phase for phase, _ in itertools.chain(task.core(0), task.pipeline(1))]
    assert phases == ["prefill", *["decode"] * 3] * 2
