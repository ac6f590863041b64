"""Turn pytest-benchmark's JSON into sections of docs/performance.md: `python table.py PERF.json OUT.md`.

One section for each file of benchmarks that was run, with its date and machine; the other sections, and what stands before the first, stay.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEAD = """# Performance of the instrument

Every row is a benchmark in `benchmarks/`. A ratio compares two things in one run, in turn, so that the machine's own drift falls on both; its
range is that of the middle half of the pairs. Figures in seconds and bytes belong to that machine on that day.
"""
SECTION = """{title}

{text}

{machine}

| what | measured | range | bound | |
|---|---|---|---|---|
{rows}
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
    met = "" if bound is None or value is None else "met" if value <= bound else "**not met**"
    span = f"{shown(info['low'], unit)} – {shown(info['high'], unit)}" if "low" in info else ""
    return f"| {info['what']} | {shown(value, unit)} | {span} | {'≤ ' + shown(bound, unit) if bound is not None else ''} | {met} |"


def section(name: str, found: dict[str, Any]) -> str:
    """What the benchmarks of the file `name` gave."""
    cpu = found["machine_info"].get("cpu", {})
    python = found["machine_info"]["python_version"]
    machine = f"{found['datetime'][:10]}, {cpu.get('brand_raw', 'unknown CPU')}, {cpu.get('count', '?')} cores, Python {python}."
    rows = [row(one) for one in found["benchmarks"] if _file(one) == name and "value" in one["extra_info"]]
    text = ast.get_docstring(ast.parse((HERE / f"test_{name}.py").read_text())) or ""
    return SECTION.format(title=name.capitalize(), text=text, machine=machine, rows="\n".join(rows))


def _file(one: dict[str, Any]) -> str:
    return Path(one["fullname"].partition("::")[0]).stem.removeprefix("test_")


def main(source: str, out: str) -> None:
    """Write the sections."""
    found, there = json.loads(Path(source).read_text()), Path(out)
    head, *old = (there.read_text() if there.exists() else HEAD).split("\n## ")
    sections = {one.partition("\n")[0]: one for one in old}
    new = {one.partition("\n")[0]: one for one in (section(name, found) for name in sorted({_file(one) for one in found["benchmarks"]}))}
    sections.update(new)
    there.write_text("\n\n## ".join([head.rstrip("\n"), *(sections[name].strip("\n") for name in sorted(sections))]) + "\n")
    sys.stdout.write("\n## ".join(new.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
