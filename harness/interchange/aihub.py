"""perf.yaml of Qualcomm AI Hub Models: one file a model, with latencies on hosted devices.

Structure: precisions -> precision -> components -> component -> performance_metrics -> device -> runtime -> figures. Latencies are of the model
alone, in milliseconds; the peak memory is a range in MB, of which the upper end is kept; language models carry tokens a second and the range of
the time to the first token instead. A device "(Proxy)" is a sibling chip standing in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from harness.errors import RecordError
from harness.interchange import Format, Import, Origin, Row, plain, positive, printable, slug
from harness.interchange._yaml import parse

DEVICES = {
    "Dragonwing RB3 Gen 2 Vision Kit": "QCS6490",
    "Dragonwing IQ-9075 EVK": "QCS9075",
    "Dragonwing Q-6690 MTP": "QCM6690",
    "QCS8275 (Proxy)": "QCS8275",
    "QCS8450 (Proxy)": "QCS8450",
    "QCS8550 (Proxy)": "QCS8550",
    "SA8295P ADP": "SA8295P",
    "SA8775P ADP": "SA8775P",
    "Samsung Galaxy S24": "Snapdragon 8 Gen 3",
    "Snapdragon 8 Elite QRD": "Snapdragon 8 Elite",
    "Snapdragon 8 Elite Gen 5 QRD": "Snapdragon 8 Elite Gen 5",
    "Snapdragon X Elite CRD": "Snapdragon X Elite",
}
"""Device as the source names it -> SoC."""
PRECISIONS = {name: name for name in ("w8a16", "w8a8_mixed_int16", "w8a16_mixed_int16", "w4", "w4a16")} | {"float": "fp16", "w8a8": "int8"}
"""Precision as the source names it -> ours; float is FP16 on the NPU."""
RUNTIMES = {
    "tflite": "litert",
    "qnn_dlc": "qnn",
    "qnn_context_binary": "qnn",
    "onnx": "ort",
    "precompiled_qnn_onnx": "ort",
    "genie": "genie",
    "geniex_qairt": "genie",
}
UNITS = {"NPU": "npu", "GPU": "gpu", "CPU": "cpu"}
_IMAGENET, _DETECT, _AUDIO = "1x3x224x224", "640x640", "80x3000 (30 seconds audio)"
MODELS = {
    "efficientnet_b0": ("efficientnet_b0", "Imagenet", _IMAGENET),
    "mobilenet_v2": ("mobilenet_v2", "Imagenet", _IMAGENET),
    "mobilenet_v3_large": ("mobilenet_v3_large", "Imagenet", _IMAGENET),
    "mobilenet_v3_small": ("mobilenet_v3_small", "Imagenet", _IMAGENET),
    "resnet18": ("resnet18", "Imagenet", _IMAGENET),
    "resnet50": ("resnet50", "Imagenet", _IMAGENET),
    "yolov5": ("yolov5m", "YoloV5-M", _DETECT),
    "yolov6": ("yolov6n", "YoloV6-N", _DETECT),
    "yolov7": ("yolov7_tiny", "YoloV7 Tiny", _DETECT),
    "yolov8_det": ("yolov8n", "YOLOv8-N", _DETECT),
    "yolov10_det": ("yolov10n", "YOLOv10-N", _DETECT),
    "yolov11_det": ("yolo11n", "YOLO11-N", _DETECT),
    "yolox": ("yolox_s", "YoloX Small", _DETECT),
    "whisper_tiny": ("whisper_tiny", "", _AUDIO),
    "whisper_base": ("whisper_base", "", _AUDIO),
    "whisper_small": ("whisper_small", "", _AUDIO),
    "whisper_small_quantized": ("whisper_small", "", _AUDIO),
    "llama_v3_1_8b_instruct": ("llama_3_1_8b", "", ""),
    "llama_v3_2_1b_instruct": ("llama_3_2_1b", "", ""),
    "llama_v3_2_3b_instruct": ("llama_3_2_3b", "", ""),
    "phi_3_5_mini_instruct": ("phi_3_5_mini", "", ""),
}
"""Folder -> (workload, checkpoint, input), as the info.yaml beside the file says. Others keep the folder's name and have no input stated."""
_FIX = "give a perf.yaml as AI Hub Models publishes it"


def _fields(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecordError(f"{place}: not a mapping", _FIX)
    return value


def _names(value: Any, place: str) -> Iterator[tuple[str, Any, str]]:
    for name, below in _fields(value, place).items():
        yield name, below, f"{place} > {name}"


@dataclass(frozen=True)
class _Seat:
    """Where in the file we are, with what all figures there have in common."""

    place: str
    base: Row
    quantity: str
    proxy: bool


def read(text: str, origin: Origin) -> Import:
    """The rows of one perf.yaml. The model is the folder in `origin.path`. Raises RecordError where the structure is another."""
    folder = PurePosixPath(origin.path).parent.name
    if not folder:
        raise RecordError("the model is named by the folder, and no folder is known", "add --path qai_hub_models/models/<model>/perf.yaml")
    got = Import()
    top = _fields(parse(text), "the file")
    if "precisions" not in top:
        raise RecordError("no key 'precisions'", _FIX)
    for quantity, below, at in _names(top["precisions"], "precisions"):
        if quantity not in PRECISIONS:
            got.skip(at, "unknown precision")
            continue
        for part, inner, seat in _names(_fields(below, at).get("components"), f"{at} > components"):
            if printable(part):
                _component(got, (folder, quantity, part), inner, seat)
            else:
                got.skip(seat, "not a name of a component")
    return got


def _component(got: Import, names: tuple[str, str, str], inner: Any, at: str) -> None:
    folder, quantity, part = names
    workload, checkpoint, shape = MODELS.get(folder, (slug(folder), "", ""))
    role = next((word for word in ("encoder", "decoder") if word in part.lower()), "")
    name = f"{part} ({checkpoint})" if checkpoint else part
    for device, runtimes, seat in _names(_fields(inner, at).get("performance_metrics"), f"{at} > performance_metrics"):
        if device not in DEVICES:
            got.skip(seat, "unknown device")
            continue
        for runtime, figures, place in _names(runtimes, seat):
            if runtime not in RUNTIMES:
                got.skip(place, "unknown runtime")
                continue
            base = Row(
                soc=DEVICES[device],
                board=device,
                workload=f"{workload}_{role}" if role else workload,
                model_name_in_source=name,
                input_shape=shape,
                precision=PRECISIONS[quantity],
                runtime=RUNTIMES[runtime],
                compute_unit="",
                metric="",
                value="",
                condition=f"aihub_runtime={runtime}",
            )
            _figures(got, _fields(figures, place), _Seat(place, base, quantity, "(Proxy)" in device))


def _figures(got: Import, figures: dict[str, Any], at: _Seat) -> None:
    if "llm_metrics" in figures:
        lines = figures["llm_metrics"]
        if not isinstance(lines, list):
            raise RecordError(f"{at.place} > llm_metrics: not a list", _FIX)
        for number, line in enumerate(lines):
            _language(got, _fields(line, f"{at.place} > llm_metrics"), replace(at, place=f"{at.place} > llm_metrics[{number}]"))
        return
    if figures.get("job_status", "Passed") != "Passed":
        got.skip(at.place, f"job status {figures['job_status']!s:.40}")
        return
    unit = UNITS.get(str(figures.get("primary_compute_unit")))
    if unit is None:
        got.skip(at.place, "unknown compute unit")
        return
    note = ["AI Hub hosted device", *(["proxy device: same-family chipset stands in"] if at.proxy else [])]
    if at.quantity == "float":
        note.append("AI Hub float = fp16 on NPU" if unit == "npu" else f"AI Hub float, on the {unit}")
    row = replace(at.base, compute_unit=unit, note="; ".join(note))
    _put(got, f"{at.place} > inference_time_milliseconds", replace(row, metric="latency_ms"), figures.get("inference_time_milliseconds"))
    memory = figures.get("estimated_peak_memory_range_mb")
    if isinstance(memory, dict):
        top = replace(row, metric="peak_memory_mb", note="upper end of the range that AI Hub estimates")
        _put(got, f"{at.place} > estimated_peak_memory_range_mb > max", top, memory.get("max"))


def _language(got: Import, line: dict[str, Any], at: _Seat) -> None:
    length = line.get("context_length")
    if isinstance(length, bool) or not isinstance(length, int) or length <= 0:
        got.skip(f"{at.place} > context_length", "not a number of tokens")
        return
    condition = f"context_length={length}"
    row = replace(at.base, compute_unit="npu", condition=condition, note="vendor-published on a development or phone device")
    _put(got, f"{at.place} > tokens_per_second", replace(row, metric="decode_tok_s"), line.get("tokens_per_second"))
    first = line.get("time_to_first_token_range_milliseconds")
    if not isinstance(first, dict):
        got.skip(f"{at.place} > time_to_first_token_range_milliseconds", "not a range")
        return
    for end in ("min", "max"):
        one = replace(row, metric="ttft_s", condition=f"{condition};ttft={end}")
        _put(got, f"{at.place} > time_to_first_token_range_milliseconds > {end}", one, first.get(end), 1e-3)


def _put(got: Import, place: str, row: Row, value: Any, scale: float = 1.0) -> None:
    number = positive(value)
    if number is None:
        got.skip(place, "not a positive, finite number")
    else:
        got.rows.append(replace(row, value=plain(number * scale)))


FORMAT = Format("aihub", "perf.yaml of Qualcomm AI Hub Models", read, repo="qualcomm/ai-hub-models", root="qai_hub_models")
