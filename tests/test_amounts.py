"""What a user writes for a limit, and the number it becomes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.decide.scenario.amounts import EXAMPLES, SAMPLES, parse
from harness.decide.shown import value_text
from harness.decide.terms import METRICS, SAFETY
from harness.errors import UsageError
from harness.quantity import Unit, text

SAYINGS = [
    ("33 ms", "latency:yolov8n", 0.033),
    ("33ms", "latency:yolov8n", 0.033),
    ("250 µs", "latency:yolov8n", 250e-6),
    ("250 us", "latency:yolov8n", 250e-6),
    ("2 s", "ttft:llama-3.2-1b", 2.0),
    ("30 fps", "rate:yolov8n", 30.0),
    ("30fps", "rate:yolov8n", 30.0),
    ("30 /s", "rate:yolov8n", 30.0),
    ("90 /min", "rate:yolov8n", 1.5),
    ("20 tok/s", "decode:llama-3.2-1b", 20.0),
    ("2 mJ", "energy:resnet50", 0.002),
    ("0.5 J", "energy:resnet50", 0.5),
    ("15W", "power", 15.0),
    ("900 mW", "power", 0.9),
    ("150 USD", "price", 150.0),
    ("150USD", "price", 150.0),
    ("$150", "price", 150.0),
    ("150 $", "price", 150.0),
    ("8 GB", "memory", 8 * 2.0**30),
    ("8 GiB", "memory", 8 * 2.0**30),
    ("512MB", "memory", 2.0**29),
    ("50 GB/s", "bandwidth", 50e9),
    ("6 TOPS", "tops", 6e12),
    ("600 GOPS", "tops", 6e11),
    ("10 years", "longevity", 10.0),
    ("10years", "longevity", 10.0),
    ("10 y", "longevity", 10.0),
    ("10 yr", "longevity", 10.0),
    ("10yrs", "longevity", 10.0),
    ("10 a", "longevity", 10.0),
    ("1 year", "longevity", 1.0),
    ("20 t/s", "decode:llama-3.2-1b", 20.0),
    ("20 token/s", "decode:llama-3.2-1b", 20.0),
    ("20 tokens/s", "decode:llama-3.2-1b", 20.0),
    ("-40 C", "temperature_min", -40.0),
    ("-40 degC", "temperature_min", -40.0),
    ("-40 °C", "temperature_min", -40.0),
    ("−40C", "temperature_min", -40.0),
    ("85C", "temperature_max", 85.0),
    ("4K60", "video_decode", 3840 * 2160 * 60.0),
    ("4k@60", "video_decode", 3840 * 2160 * 60.0),
    ("1080p30", "video_encode", 1920 * 1080 * 30.0),
    ("8K60", "video_decode", 7680 * 4320 * 60.0),
    ("2x 4K60", "video_decode", 2 * 3840 * 2160 * 60.0),
    ("16x1080p30", "video_decode", 16 * 1920 * 1080 * 30.0),
    ("500 Mpx/s", "video_decode", 500e6),
    ("ASIL-B", "safety", 2.0),
    ("asil b", "safety", 2.0),
    ("SIL-2", "safety", 2.0),
    ("sil2", "safety", 2.0),
    ("ASIL_B", "safety", 2.0),
    ("B", "safety", 2.0),
    ("ASIL-B / SIL-2", "safety", 2.0),
    ("ASIL-B/SIL-2", "safety", 2.0),
    ("SIL-1", "safety", 1.0),
    ("ASIL-C", "safety", 3.0),
    ("ASIL-D", "safety", 4.0),
    ("none", "safety", 0.0),
    ("yes", "w4a16", 1.0),
    ("No", "w4a16", 0.0),
    ("2", "can_fd", 2.0),
    (2, "can_fd", 2.0),
    (0.2, "realtime_factor:whisper-tiny", 0.2),
]


def asked(said: str | float, key: str) -> float:
    return parse(said, METRICS[key.partition(":")[0]].unit, key)


@pytest.mark.parametrize(("said", "key", "value"), SAYINGS)
def test_an_amount_becomes_its_number_in_si_units(said: str | float, key: str, value: float) -> None:
    assert asked(said, key) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(("said", "key", "value"), [one for one in SAYINGS if isinstance(one[0], str)])
def test_small_letters_make_no_difference(said: str, key: str, value: float) -> None:
    assert asked(said.lower(), key) == pytest.approx(value)


@pytest.mark.parametrize(
    ("said", "key"), [("15w", "power"), ("15 Usd", "price"), ("8 gB", "memory"), ("10 Years", "longevity"), ("4k60", "video_decode")]
)
def test_capital_letters_make_no_difference(said: str, key: str) -> None:
    assert asked(said, key) == asked(said.upper(), key)


@pytest.mark.parametrize(("said", "key"), [("2 MW", "power"), ("2 MJ", "energy:resnet50"), ("2 MS", "latency:resnet50")])
def test_mega_is_never_read_as_milli(said: str, key: str) -> None:
    with pytest.raises(UsageError, match="has the unit 'M"):
        asked(said, key)


@pytest.mark.parametrize("metric", METRICS)
def test_the_example_of_every_question_asked_of_a_soc_can_be_written(metric: str) -> None:
    examples = {"safety": "ASIL-B", "w4a16": "yes", "can_fd": "2", "realtime_factor": "0.2"}
    example = examples.get(metric) or EXAMPLES[METRICS[metric].unit].partition(" such as ")[2].split(", ")[0].split(" or ")[0]
    assert math.isfinite(asked(example, metric))


@pytest.mark.parametrize(
    ("said", "key", "what", "fix"),
    [
        ("33", "latency:yolov8n", "latency:yolov8n: '33' has no unit", "write a duration such as 33 ms"),
        (33, "latency:yolov8n", "latency:yolov8n: '33' has no unit", "write a duration such as 33 ms"),
        ("33 W", "latency:yolov8n", "latency:yolov8n: '33 W' has the unit 'W'", "write a duration such as 33 ms"),
        ("fast", "latency:yolov8n", "latency:yolov8n: 'fast' is not a duration", "write a duration such as 33 ms"),
        ("15 V", "power", "power: '15 V' has the unit 'V'", "write a power such as 15 W"),
        ("-15 W", "power", "power: '-15 W' is below zero", "write a power such as 15 W"),
        ("1,500 USD", "price", "price: '1,500 USD' has the unit ',500 USD'", "write a price such as 150 USD"),
        ("150 EUR", "price", "price: '150 EUR' has the unit 'EUR'", "write a price such as 150 USD"),
        ("8 GB/s", "memory", "memory: '8 GB/s' has the unit 'GB/s'", "write a memory size such as 8 GB"),
        ("8 GB", "bandwidth", "bandwidth: '8 GB' has the unit 'GB'", "write a bandwidth such as 50 GB/s"),
        ("4K", "video_decode", "video_decode: '4K' has the unit 'K'", "write a video format such as 4K60 or 2x 1080p30"),
        ("5 W", "can_fd", "can_fd: '5 W' has the unit 'W'", "write a number without a unit"),
        ("2", "safety", "safety: '2' is not known", "write a level such as ASIL-B or SIL-2"),
        ("SIL-4", "safety", "safety: 'SIL-4' is not known", "write a level such as ASIL-B or SIL-2"),
        ("ASIL-B / SIL-3", "safety", "safety: 'ASIL-B / SIL-3' is not known", "write a level such as ASIL-B or SIL-2"),
        ("ASIL-", "safety", "safety: 'ASIL-' is not known", "write a level such as ASIL-B or SIL-2"),
        ("maybe", "w4a16", "w4a16: 'maybe' is not known", "write yes or no"),
        ("1e999 W", "power", "power: '1e999 W' is too large", "write a power such as 15 W"),
        ("", "power", "power: '' is not a power", "write a power such as 15 W"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_key_and_an_example(said: str | float, key: str, what: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(said, key)
    assert caught.value.what == what
    assert caught.value.fix.startswith(fix)


@given(st.text(max_size=12), st.sampled_from(sorted(METRICS)))
def test_no_text_does_worse_than_be_refused(said: str, metric: str) -> None:
    refused: list[UsageError] = []
    value = 0.0
    try:
        value = asked(said, metric)
    except UsageError as error:
        refused.append(error)
    assert math.isfinite(value)
    assert all(one.what.startswith(f"{metric}: ") and one.fix for one in refused)


@given(st.floats(1e-6, 9e5), st.sampled_from(sorted({metric.unit for metric in METRICS.values()} - {Unit.BYTE})))
def test_what_is_shown_can_be_written(value: float, unit: Unit) -> None:
    metric = next(one for one in METRICS.values() if one.unit is unit and one.id not in {"safety", "w4a16"})
    scaled = value * {Unit.OP_PER_SECOND: 1e9, Unit.BYTE_PER_SECOND: 1e6, Unit.PIXEL_PER_SECOND: 1e6}.get(unit, 1e-3 if unit is Unit.WATT else 1.0)
    assert parse(text(scaled, unit), unit, metric.id) == pytest.approx(scaled, rel=5.1e-3)


@given(st.floats(2.0**20, 2.0**45))
def test_a_memory_size_as_the_report_shows_it_can_be_written(value: float) -> None:
    assert asked(value_text(value, "memory"), "memory") == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize("level", range(len(SAFETY)))
def test_a_level_of_safety_can_be_written_as_it_is_shown_and_by_each_of_its_names(level: int) -> None:
    shown = value_text(level, "safety")
    assert {asked(name, "safety") for name in (shown, shown.replace(" ", ""), *shown.split(" / "))} == {float(level)}


@pytest.mark.parametrize("metric", METRICS)
def test_there_is_a_sample_for_every_question_that_can_be_read(metric: str) -> None:
    assert math.isfinite(asked(SAMPLES[metric], metric))


@given(st.floats(1e-3, 1e3))
def test_the_scale_of_a_unit_makes_no_difference(value: float) -> None:
    assert asked(f"{value!r} s", "latency:a") == pytest.approx(asked(f"{value * 1e3!r} ms", "latency:a"))
    assert asked(f"{value!r} GB/s", "bandwidth") == pytest.approx(asked(f"{value * 1e3!r}MB/s", "bandwidth"))
