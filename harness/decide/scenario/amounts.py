"""What somebody writes for a limit or an anchor -> a number in SI units: "33 ms", "15W", "$150", "-40 °C", "4K60", "ASIL-B".

The table holds the units in which engineers state the questions of `terms.METRICS`, and no others. Capital letters make no difference, except that
M is never read as milli. Memory is counted in powers of two, as it is sold: 8 GB and 8 GiB are both 8 * 2**30 bytes. A bandwidth is decimal:
50 GB/s is 50e9 B/s.
"""

from __future__ import annotations

import math
import re

from harness.decide.terms import SAFETY
from harness.errors import UsageError
from harness.quantity import THIN_SPACE, Unit

_NAMES: dict[Unit, dict[str, float]] = {
    Unit.SECOND: {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    Unit.PER_SECOND: {"/min": 1 / 60} | dict.fromkeys(("/s", "1/s", "fps", "t/s", "tok/s", "token/s", "tokens/s"), 1.0),
    Unit.JOULE: {"nJ": 1e-9, "µJ": 1e-6, "uJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3},
    Unit.WATT: {"nW": 1e-9, "µW": 1e-6, "uW": 1e-6, "mW": 1e-3, "W": 1.0, "kW": 1e3},
    Unit.BYTE: {"B": 1.0} | {f"{prefix}{end}": 2.0 ** (10 * power) for power, prefix in enumerate("kMGT", 1) for end in ("B", "iB")},
    Unit.BYTE_PER_SECOND: {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12},
    Unit.OP_PER_SECOND: {"op/s": 1.0} | {f"{prefix}{end}": 10.0 ** (3 * power) for power, prefix in enumerate("kMGT", 1) for end in ("OPS", "op/s")},
    Unit.DOLLAR: {"USD": 1.0, "$": 1.0, "US$": 1.0},
    Unit.YEAR: dict.fromkeys(("years", "year", "yrs", "yr", "y", "a"), 1.0),
    Unit.CELSIUS: dict.fromkeys(("°C", "C", "℃", "degC"), 1.0),
    Unit.PIXEL_PER_SECOND: {"px/s": 1.0, "kpx/s": 1e3, "Mpx/s": 1e6, "Gpx/s": 1e9},
    Unit.ONE: {"": 1.0},
}
_SCALES = {unit: {name.casefold(): scale for name, scale in names.items()} for unit, names in _NAMES.items()}
EXAMPLES = {
    Unit.SECOND: "a duration such as 33 ms",
    Unit.PER_SECOND: "a rate such as 30 fps, 30 /s or 20 tok/s",
    Unit.JOULE: "an energy such as 2 mJ",
    Unit.WATT: "a power such as 15 W",
    Unit.BYTE: "a memory size such as 8 GB",
    Unit.BYTE_PER_SECOND: "a bandwidth such as 50 GB/s",
    Unit.OP_PER_SECOND: "a nominal peak such as 6 TOPS",
    Unit.DOLLAR: "a price such as 150 USD",
    Unit.YEAR: "a time such as 10 years",
    Unit.CELSIUS: "a temperature such as -40 C",
    Unit.PIXEL_PER_SECOND: "a video format such as 4K60 or 2x 1080p30",
    Unit.ONE: "a number without a unit",
}
"""What to write for each unit, to stand after the word "write"."""

SAMPLES = {
    "latency": "33ms",
    "rate": "30fps",
    "decode": "20tok/s",
    "prefill": "500tok/s",
    "ttft": "0.5s",
    "realtime_factor": "0.2",
    "energy": "2mJ",
    "peak_memory": "500MB",
    "power": "15W",
    "price": "150USD",
    "memory": "8GB",
    "bandwidth": "50GB/s",
    "tops": "6TOPS",
    "longevity": "10years",
    "video_decode": "4K60",
    "video_encode": "4K30",
    "temperature_min": "-40C",
    "temperature_max": "85C",
    "safety": "ASIL-B",
    "w4a16": "yes",
    "can_fd": "2",
}
"""What may be written for each question."""

_NUMBER = re.compile(rf"(?P<number>[+-]?\d[\d{THIN_SPACE}]*(?:\.\d+)?(?:e[+-]?\d+)?)\s*(?P<unit>\D.*|)", re.IGNORECASE)
_PICTURES = {
    "8k": 7680 * 4320,
    "4320p": 7680 * 4320,
    "4k": 3840 * 2160,
    "2160p": 3840 * 2160,
    "1440p": 2560 * 1440,
    "1080p": 1920 * 1080,
    "720p": 1280 * 720,
}
_VIDEO = re.compile(rf"(?:(?P<streams>\d+)\s*[x×]\s*)?(?P<picture>{'|'.join(_PICTURES)})\s*@?\s*(?P<rate>\d+)(?:\s*fps)?", re.IGNORECASE)
_LEVELS = {re.sub(r"[^a-z0-9]", "", name.casefold()): level for level, names in enumerate(SAFETY) for name in names.split(" / ")}
_LEVELS |= {name.removeprefix("asil"): level for name, level in _LEVELS.items() if name.startswith("asil")}
_ANSWERS = {"yes": 1.0, "no": 0.0}


def parse(text: str | float, unit: Unit, key: str) -> float:
    """`text` in the base unit of `unit`. `key`: the metric asked about, with ":workload" where it has one; errors name it.

    A safety level becomes its place in `terms.SAFETY`, "yes" and "no" become 1 and 0. Raises UsageError, with an example of what to write.
    """
    metric = key.partition(":")[0]
    said = str(text).strip().replace("−", "-")
    fix = f"write {EXAMPLES[unit]}"
    if metric == "safety":
        return _level(said, key)
    if metric == "w4a16":
        return _chosen(said, key, _ANSWERS, "write yes or no")
    if unit is Unit.PIXEL_PER_SECOND and (video := _VIDEO.fullmatch(said)):
        return float(_PICTURES[video["picture"].casefold()] * int(video["rate"]) * int(video["streams"] or 1))
    if unit is Unit.DOLLAR and said.startswith("$"):
        said = f"{said[1:]} USD"
    found = _NUMBER.fullmatch(said)
    if not found:
        raise UsageError(f"{key}: {said!r} is not {EXAMPLES[unit].partition(' such as')[0]}", fix)
    name = found["unit"].strip()
    scale = _SCALES[unit].get(name.casefold())
    if scale is None or (name.startswith("M") and scale < 1e6):  # mega, not milli; a minute is "min"
        raise UsageError(f"{key}: {said!r} has {f'the unit {name!r}' if name else 'no unit'}", fix)
    value = float(found["number"].replace(THIN_SPACE, "")) * scale
    if not math.isfinite(value):
        raise UsageError(f"{key}: {said!r} is too large", fix)
    if value < 0 and unit is not Unit.CELSIUS:
        raise UsageError(f"{key}: {said!r} is below zero", fix)
    return value


def _level(said: str, key: str) -> float:
    """The place in `SAFETY` of "ASIL-B", "asil b", "B", "SIL-2", or of both names at once as `SAFETY` has them: "ASIL-B / SIL-2"."""
    levels = {_LEVELS.get(re.sub(r"[\s_-]+", "", one.casefold()), -1) for one in said.split("/")}
    if len(levels) > 1 or -1 in levels:
        raise UsageError(f"{key}: {said!r} is not known", f"write a level such as ASIL-B or SIL-2; known: {', '.join(SAFETY)}")
    return float(levels.pop())


def _chosen(said: str, key: str, known: dict[str, float], fix: str) -> float:
    if said.casefold() not in known:
        raise UsageError(f"{key}: {said!r} is not known", fix)
    return known[said.casefold()]
