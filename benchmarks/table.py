"""Turn pytest-benchmark's JSON into docs/performance.md: `python table.py PERF.json OUT.md`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = """# Performance of the instrument

Written by `nox -s perf`; every row is a benchmark in `benchmarks/`. A ratio compares two things in one run, in turn, so that the machine's own
drift falls on both; its range is that of the middle half of the pairs. Figures in seconds and bytes belong to this machine on that day.

{machine}

| what | measured | range | bound | |
|---|---|---|---|---|
"""


def shown(value: float | None, unit: str) -> str:
    """A value with its unit."""
    if value is None:
        return ""
    return f"{value:.3f}" if unit == "ratio" else f"{value / 1e6:.0f} MB" if unit == "B" else f"{value:.3g} {unit}"


def row(one: dict[str, Any]) -> str:
    """One line of the table."""
    info = one["extra_info"]
    value, bound, unit = info["value"], info.get("bound"), info["unit"]
    met = "" if bound is None else "met" if value <= bound else "**not met**"
    span = f"{shown(info['low'], unit)} – {shown(info['high'], unit)}" if "low" in info else ""
    return f"| {info['what']} | {shown(value, unit)} | {span} | {'≤ ' + shown(bound, unit) if bound is not None else ''} | {met} |"


def main(source: str, out: str) -> None:
    """Write the table."""
    found = json.loads(Path(source).read_text())
    cpu = found["machine_info"].get("cpu", {})
    python = found["machine_info"]["python_version"]
    machine = f"{found['datetime'][:10]}, {cpu.get('brand_raw', 'unknown CPU')}, {cpu.get('count', '?')} cores, Python {python}."
    rows = [row(one) for one in found["benchmarks"] if "value" in one["extra_info"]]
    Path(out).write_text(HEAD.format(machine=machine) + "\n".join(rows) + "\n")
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
