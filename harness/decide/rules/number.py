"""Rules about what the number is: of which model, which input, which part of the way."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.decide.rules._case import BOTH, RANK, Case, rule

SHAPED = ("latency", "latency_p90", "latency_p99", "throughput", "energy")
"""metrics that depend on the size of the image"""


@lru_cache(maxsize=4096)
def plane(shape: str) -> tuple[int, int] | None:
    """Height and width in pixels, the lesser first, of 1x3x640x640, bsx3x640x640, 1x640x640x3 or 640x640; None for what is no image.

    A channel count is 1, 3 or 4 and stands before or after the plane.
    """
    parts = shape.lower().replace(" ", "").split("x")
    if parts[0] in ("bs", "n", "b"):
        parts[0] = "1"
    if not all(one.isascii() and one.isdigit() and len(one) < 8 for one in parts):
        return None
    numbers = [int(one) for one in parts]
    if len(numbers) == 4:
        numbers = numbers[1:]
    if len(numbers) == 3:
        numbers = numbers[1:] if numbers[0] in (1, 3, 4) else numbers[:2] if numbers[2] in (1, 3, 4) else []
    if len(numbers) != 2 or min(numbers) < 16:
        return None
    return min(numbers), max(numbers)


def _reference(case: Case) -> tuple[int, int] | None:
    work = case.scene.works.get(case.figure.workload)
    return plane(work.shape) if work else None


@rule("other-shape", bars=RANK)
def other_shape(case: Case) -> bool:
    """The image has another size than the workload's reference input, so there is more or less to compute."""
    here, there = plane(case.figure.shape), _reference(case)
    return here is not None and there is not None and here != there


@rule("unstated-shape", sigma=0.25)
def unstated_shape(case: Case) -> bool:
    """The source gives no input size; it is taken to be the usual one."""
    return not case.figure.shape and case.of(*SHAPED) and _reference(case) is not None


@rule("unstated-precision", sigma=0.25)
def unstated_precision(case: Case) -> bool:
    """The source gives no precision, and it must not be read as FP16."""
    return case.figure.precision == "unstated"


@rule("open-division", bars=BOTH)
def open_division(case: Case) -> bool:
    """An MLPerf open-division result is of a model the submitter changed or trained anew."""
    return case.notes(r"\bopen division\b")


@rule("changed-model", bars=BOTH)
def changed_model(case: Case) -> bool:
    """A model with another output head or another number of classes than the one it is named after."""
    return "flashhead" in case.model.lower() or case.said("classes") == "1"


@rule("unnamed-model", sigma=0.25)
def unnamed_model(case: Case) -> bool:
    """The source names a size or a family, not the model."""
    return case.notes(r"checkpoint not named|model given only as|does not name the \w+ variant")


@rule("broken-accuracy", bars=BOTH)
def broken_accuracy(case: Case) -> bool:
    """The source itself shows that this build finds next to nothing (mAP near zero): however fast, it is no detector.

    The rows of YOLO26n as TensorRT FP32 and FP16 on AGX Orin carry mAP 0.045 in the Ultralytics guide; they are barred if they are added.
    """
    figure = case.figure
    collapsed = figure.precision == "int8" and case.notes(r"INT8 mAP collapsed")
    ultralytics = figure.source.where.startswith("ultralytics/") and figure.soc == "Jetson AGX Orin" and figure.workload == "yolo26n"
    return collapsed or (ultralytics and figure.runtime == "tensorrt" and figure.precision in ("fp32", "fp16"))


@rule("quality-loss", bars=RANK)
def quality_loss(case: Case) -> bool:
    """Speed bought with much of the model's quality (perplexity far above that of the processor) does not rank."""
    return case.notes(r"large accuracy loss")


@rule("per-call")
def per_call(case: Case) -> bool:
    """The time of one call of an encoder or decoder, one token for the decoder; it is a workload of its own, never the whole transcription."""
    return case.figure.workload.endswith(("_encoder", "_decoder"))


@rule("other-width", bars=BOTH)
def other_width(case: Case) -> bool:
    """A MobileNet with another width multiplier than 1.0 is another network, even where the collection gives it the same name."""
    found = re.search(r"mobilenet[ _-]?v\d[ _](\d\.\d+)", case.model, re.IGNORECASE)
    return found is not None and float(found[1]) != 1.0 and found[1] not in case.figure.workload


@rule("whole-pipeline", bars=BOTH)
def whole_pipeline(case: Case) -> bool:
    """The time holds reading, pre- and post-processing; the others are of the model alone."""
    return case.said("stage") == "total" or case.notes(r"end.to.end\b|full pipeline|streaming pipeline")
