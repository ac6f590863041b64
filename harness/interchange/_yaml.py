"""Reading the plain part of YAML: block mappings, block sequences and scalars. No anchors, flow collections, tags or folded text.

That is what the generated files use; what else there is in YAML is refused by line, not interpreted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from harness.errors import RecordError

_DEEPEST = 40
_KEY = re.compile(r"(?P<key>'[^']*'|\"[^\"\\]*\"|[^\s'\"&*!|>%@`\[\]{},#?-][^'\"]*?|-[^\s'\"][^'\"]*?)\s*:(?:\s+(?P<rest>.*))?$")
_INTEGER = re.compile(r"[-+]?\d{1,18}")
_REAL = re.compile(r"[-+]?(\d{1,300}\.\d{0,300}|\.\d{1,300}|\d{1,300})([eE][-+]?\d{1,5})?")
_FIX = "only plain block mappings, lists and scalars are read; give the file as it was published"


@dataclass
class _Line:
    number: int
    indent: int
    text: str


def parse(text: str) -> Any:
    """Dictionaries, lists, str, int, float, bool and None. Raises RecordError, naming the line."""
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        stripped = raw.strip(" ")
        if not stripped or stripped.startswith("#") or (number == 1 and stripped == "---"):
            continue
        if "\t" in raw[: len(raw) - len(raw.lstrip())]:
            raise RecordError(f"line {number}: a tab in the indentation", _FIX)
        lines.append(_Line(number, len(raw) - len(raw.lstrip(" ")), stripped))
    if not lines:
        raise RecordError("the file is empty", _FIX)
    value, end = _block(lines, 0, 0)
    if end < len(lines):
        raise RecordError(f"line {lines[end].number}: its indentation fits nothing above it", _FIX)
    return value


def _block(lines: list[_Line], at: int, depth: int) -> tuple[Any, int]:
    if depth > _DEEPEST:
        raise RecordError(f"line {lines[at].number}: nested more than {_DEEPEST} deep", _FIX)
    return (_sequence if _is_item(lines[at].text) else _mapping)(lines, at, depth)


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _sequence(lines: list[_Line], at: int, depth: int) -> tuple[list[Any], int]:
    indent, found = lines[at].indent, []
    while at < len(lines) and lines[at].indent == indent and _is_item(lines[at].text):
        line = lines[at]
        rest = line.text[1:].lstrip(" ")
        if rest and not _KEY.match(rest):
            found.append(_scalar(rest, line.number))
            at += 1
        elif rest:  # "- key: value": the mapping begins on this line, where its first key stands
            lines[at] = _Line(line.number, indent + len(line.text) - len(rest), rest)
            value, at = _mapping(lines, at, depth + 1)
            found.append(value)
        elif at + 1 < len(lines) and lines[at + 1].indent > indent:
            value, at = _block(lines, at + 1, depth + 1)
            found.append(value)
        else:
            found.append(None)
            at += 1
    return found, at


def _mapping(lines: list[_Line], at: int, depth: int) -> tuple[dict[str, Any], int]:
    indent = lines[at].indent
    found: dict[str, Any] = {}
    while at < len(lines) and lines[at].indent == indent and not _is_item(lines[at].text):
        line = lines[at]
        parts = _KEY.match(line.text)
        if not parts:
            raise RecordError(f"line {line.number}: neither 'key: value' nor '- item'", _FIX)
        key = parts["key"].strip("'\"")
        if key in found:
            raise RecordError(f"line {line.number}: {key[:60]!r} stands twice", _FIX)
        at += 1
        below = at < len(lines) and (lines[at].indent > indent or (lines[at].indent == indent and _is_item(lines[at].text)))
        if parts["rest"]:
            if at < len(lines) and lines[at].indent > indent:
                raise RecordError(f"line {lines[at].number}: its indentation fits nothing above it", _FIX)
            found[key] = _scalar(parts["rest"], line.number)
        elif below:
            found[key], at = _block(lines, at, depth + 1)
        else:
            found[key] = None
    return found, at


def _scalar(text: str, number: int) -> Any:
    text = text.strip()
    if text[0] in "'\"":
        if len(text) < 2 or text[-1] != text[0] or text[0] in text[1:-1] or "\\" in text:
            raise RecordError(f"line {number}: a quoted text that is not plain", _FIX)
        return text[1:-1]
    if text[0] in "&*!|>%@`[]{}":
        raise RecordError(f"line {number}: {text[0]!r} begins something that is not read here", _FIX)
    text = text.split(" #", 1)[0].rstrip()
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    return {"true": True, "false": False, "null": None, "~": None}.get(text, text)
