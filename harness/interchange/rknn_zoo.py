"""The performance table in the README of Rockchip's RKNN Model Zoo: frames a second, or real-time factors, at the maximum NPU clock.

A column is a SoC; "@single_core" in its header says that one NPU core was used, which is not the whole NPU.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness.errors import RecordError
from harness.interchange import Format, Import, Origin, Row, plain, positive, printable, slug
from harness.interchange._markdown import Table, tables

DEVICES = {"RK3566/RK3568", "RK3562", "RK3588", "RK3576"}
MODELS = {
    "mobilenetv2-12": "mobilenet_v2",
    "resnet50-v2-7": "resnet50",
    "deeplab-v3-plus-mobilenet-v2": "deeplabv3_mobilenet_v2",
    "wav2vec2_base_960h_20s": "wav2vec2_base",
    "whisper_base_20s": "whisper_base",
    "zipformer-bilingual-zh-en-t": "zipformer_streaming",
}
"""Name in the source -> workload, where it is not the name itself."""
_CELL = re.compile(r"(?P<rtf>RTF)?\s*(?P<value>\d+(?:\.\d+)?)\s*(?:\((?P<dtype>\w+)\))?")
_DTYPES = {"INT8": "int8", "FP16": "fp16"}
_BEFORE = ("demo", "model_name", "inputs_shape", "dtype")
_NOTE = "model alone, without pre- and post-processing; maximum NPU frequency; board not named"


def read(text: str, _origin: Origin) -> Import:
    """The rows of the table. Raises RecordError where there is none."""
    found = [table for table in tables(text) if tuple(name.split()[0].lower() if name else "" for name in table.header[:4]) == _BEFORE]
    if not found:
        raise RecordError(f"no table that begins with the columns {', '.join(_BEFORE)}", "give the README.md of rknn_model_zoo")
    got = Import()
    for table in found:
        _table(table, got)
    return got


def _table(table: Table, got: Import) -> None:
    devices = []
    for name in table.header[4:]:
        parts = [one.strip() for one in name.split("\n")]
        devices.append(("/".join(one for one in parts if not one.startswith("@")), [one for one in parts if one.startswith("@")]))
    for soc, marks in devices:
        if soc not in DEVICES or marks not in ([], ["@single_core"]):
            got.skip(f"column {soc} {' '.join(marks)}".strip(), "unknown device")
    names = [cells[1] for _, cells in table.rows if len(cells) > 1]
    demo = ""
    for line, cells in table.rows:
        demo = cells[0] or demo
        if len(cells) != len(table.header):
            got.skip(f"line {line}", f"{len(cells)} cells under {len(table.header)} headers")
        elif not printable(cells[1]):
            got.skip(f"line {line}", "not a name of a model")
        else:
            for (soc, marks), cell in zip(devices, cells[4:], strict=True):
                if soc in DEVICES and marks in ([], ["@single_core"]):
                    twice = names.count(cells[1]) > 1  # one model in two demos: the demo tells the figures apart
                    conditions = [*(["npu_cores=1"] if marks else []), *([f"demo={slug(demo)}"] if twice else [])]
                    _cell(got, f"line {line}, {cells[1]} on {soc}", _row(soc, cells[1:4], conditions), cell)


def _row(soc: str, model: tuple[str, ...], conditions: list[str]) -> Row:
    shape = model[1].strip("[]").replace(", ", "x") if model[1].startswith("[") else model[1]
    cores = "one NPU core" if "npu_cores=1" in conditions else "the column gives no number of cores"
    return Row(
        soc=soc,
        workload=MODELS.get(model[0], slug(model[0])),
        model_name_in_source=model[0],
        input_shape=shape if printable(shape) else "",
        precision=_DTYPES.get(model[2].upper(), ""),
        runtime="rknn",
        compute_unit="npu",
        metric="throughput_fps",
        value="",
        note=f"{_NOTE}; {cores}",
        condition=";".join(conditions),
    )


def _cell(got: Import, place: str, row: Row, cell: str) -> None:
    parts = _CELL.fullmatch(cell)
    number = positive(parts["value"]) if parts else None
    if cell == "/":
        got.skip(place, "the source says: not supported")
    elif parts is None or number is None:
        got.skip(place, "not a positive number")
    elif not (precision := _DTYPES.get(parts["dtype"].upper(), "") if parts["dtype"] else row.precision):
        got.skip(place, "unknown data type")
    else:
        got.rows.append(replace(row, value=plain(number), precision=precision, metric="rtf" if parts["rtf"] else row.metric))


FORMAT = Format("rknn-zoo", "README.md of airockchip/rknn_model_zoo", read, repo="airockchip/rknn_model_zoo")
