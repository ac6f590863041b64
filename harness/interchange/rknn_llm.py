"""The benchmark tables of Rockchip's rknn-llm (benchmark.md): one table a SoC under its heading, at the highest CPU and NPU clocks.

An empty model cell repeats the one above it. Tables of another form (the multimodal one has stages for rows) are left out and named.
"""

from __future__ import annotations

import re

from harness.errors import RecordError
from harness.interchange import Format, Import, Origin, Row, plain, positive, printable, slug
from harness.interchange._markdown import Table, tables

DEVICES = {"RK3588", "RK3576", "RK3562"}
DTYPES = {"w8a8", "w4a16", "w4a16_g128"}
_HEADER = ("model", "model size", "dtype", "seqlen", "new_tokens", "ttft(ms)", "tokens/s", "memory(mb)")
_FIGURES = (("ttft_s", 5, 1e-3), ("decode_tok_s", 6, 1.0), ("peak_memory_mb", 7, 1.0))
_WHOLE = re.compile(r"[1-9]\d{0,8}")
_NOTE = "maximum CPU and NPU frequency; optimization_level 0; board not named"


def read(text: str, _origin: Origin) -> Import:
    """The rows of all tables with the known header. Raises RecordError where there is none."""
    got = Import()
    known = 0
    for table in tables(text):
        if tuple(name.lower() for name in table.header) != _HEADER:
            got.skip(f"table under {table.heading!r}", "a table of another form")
        elif table.heading not in DEVICES:
            known += 1
            got.skip(f"table under {table.heading!r}", "unknown device")
        else:
            known += 1
            _table(table, got)
    if not known:
        raise RecordError(f"no table with the columns {', '.join(_HEADER)}", "give the benchmark.md of rknn-llm")
    return got


def _table(table: Table, got: Import) -> None:
    above = ""
    for line, cells in table.rows:
        place = f"line {line}, {table.heading}"
        if len(cells) != len(_HEADER):
            got.skip(place, f"{len(cells)} cells under {len(_HEADER)} headers")
            continue
        above = cells[0] or above
        model = f"{above} {cells[1]}"
        if not above or not cells[1] or not printable(model):
            got.skip(place, "not a name of a model")
        elif cells[2].lower() not in DTYPES:
            got.skip(place, "unknown data type")
        elif not (_WHOLE.fullmatch(cells[3]) and _WHOLE.fullmatch(cells[4])):
            got.skip(place, "the numbers of tokens are not whole numbers")
        else:
            _figures(table.heading, model, cells, place, got)


def _figures(soc: str, model: str, cells: tuple[str, ...], place: str, got: Import) -> None:
    for metric, column, scale in _FIGURES:
        number = positive(cells[column])
        if number is None:
            got.skip(f"{place}, {model}: {_HEADER[column]}", "not a positive number")
            continue
        got.rows.append(
            Row(
                soc=soc,
                workload=slug(model),
                model_name_in_source=model,
                precision=cells[2].lower(),
                runtime="rkllm",
                compute_unit="npu",
                metric=metric,
                value=plain(number * scale),
                note=_NOTE,
                condition=f"prompt={cells[3]};new_tokens={cells[4]}",
            )
        )


FORMAT = Format("rknn-llm", "benchmark.md of airockchip/rknn-llm", read, repo="airockchip/rknn-llm")
