"""A file of matplotlib's as SVG that lives inside HTML: the page's colours and letters, and nothing that would clash with another plot of the page.

matplotlib draws with stand-in colours; here they become CSS variables, and ids, styles and metadata are taken out.
"""

from __future__ import annotations

import re

INK, MUTED, LINE, SHADE = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#050505", "#060606", "#070707", "#080808", "#090909", "#0a0a0a", "#0b0b0b")
"""What to draw with: each stands for a colour of the page."""
_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", SHADE: "--shade"} | {one: f"--c{at + 1}" for at, one in enumerate(SERIES)}


def embedded(svg: str, name: str) -> str:
    """A matplotlib file as an element of an HTML page, of the class `name`."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="([\d. ]+)"', svg)
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<defs>.*?</defs>|<defs/>", "", body, flags=re.DOTALL)
    body = re.sub(r'<(g|path) id="[^"<>]*"', r"<\1", body)
    body = re.sub(r' transform="rotate\(-?0 [^"<>]*"', "", body)
    body = re.sub(r'(<(?:path|text|g)\b[^<>]*?) style="([^"<>]*)"', lambda found: f'{found[1]} style="{_themed(found[2])}"', body)
    body = re.sub(r' (d|transform|x|y)="([^"<>]*)"', lambda found: f' {found[1]}="{_rounded(found[2])}"', body)
    body = re.sub(r"<g>(<path [^<>]*/>)</g>", r"\1", re.sub(r">\s+<", "><", body))
    return f'<svg class="{name}" viewBox="{box[1] if box else "0 0 547 300"}" aria-hidden="true" focusable="false">{body.rstrip()}'


_USUAL = re.compile(r" *font-family: [^;]*;| *text-anchor: start;")
"""What the page says of the letters itself, or a browser takes as usual."""


def _themed(css: str) -> str:
    for colour, variable in _VARIABLES.items():
        css = css.replace(colour, f"var({variable})")
    return re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", _USUAL.sub("", css))


def _rounded(numbers: str) -> str:
    """Coordinates to a tenth of a point; a point, drawn as a line of no length, is written shorter."""
    short = re.sub(r"-?\d+\.\d+(?:e-?\d+)?", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), numbers)
    short = re.sub(r"\s+", " ", short).strip()
    short = re.sub(r"M ([-\d.]+ [-\d.]+) L \1(?= |$)", r"M\1h0", short)
    return _relative(short) if short.startswith("M") else short


_STEP = re.compile(r" ?([ML]) ?(-?[\d.]+) (-?[\d.]+)(h0)?| ?([zZ])")


def _relative(path: str) -> str:
    """A path of lines with each place relative to the one before, in tenths that add up without an error; another path as it is."""
    steps = list(_STEP.finditer(path))
    if "".join(one[0] for one in steps) != path:
        return path
    found: list[str] = []
    at = start = (0, 0)
    for one in steps:
        if one[5]:
            found.append("z")
            at = start
            continue
        place = round(float(one[2]) * 10), round(float(one[3]) * 10)
        found.append(_step(one[1], place[0] - at[0], place[1] - at[1], found[-1] if found else "") + (one[4] or ""))
        at, start = place, place if one[1] == "M" else start
    return "".join(found)


def _step(letter: str, right: int, down: int, before: str) -> str:
    """One step by so many tenths, after `before`: level or upright where it is, and without its letter where that goes on."""
    over, under = _tenths(right), _tenths(down)
    if letter == "L" and not down:
        return f"h{over}"
    if letter == "L" and not right:
        return f"v{under}"
    again = letter == "L" and before[:1] not in ("h", "v", "z", "") and "h0" not in before
    first = over if again and over.startswith("-") else f" {over}" if again else f"{letter.lower()}{over}"
    return f"{first}{'' if under.startswith('-') else ' '}{under}"


def _tenths(number: int) -> str:
    """1.5, -.5, 12: as short as a path takes it."""
    return f"{number / 10:.1f}".removesuffix(".0").replace("0.", ".", 1) if abs(number) < 10 else f"{number / 10:.1f}".removesuffix(".0")
