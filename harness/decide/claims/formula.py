"""Small sums over cited numbers: "p0f05543301 / p54ab42b554", "fact('RK3588', 'peak_tops_int8_dense') / 15".

Names are ids of figures and facts; `fact(soc, attribute)` is the winning fact of a SoC; `says(soc, attribute, word)` is 1 where its text has
the word, else 0. Only + - * / and brackets; a sum with a number that nobody stated has no value. Text is never run: it is read as a syntax tree.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Protocol

import msgspec

from harness.quantity import Kind

_LONGEST = 400


class Known(msgspec.Struct, frozen=True):
    """A number somebody stated: in SI units, with the id of its figure or fact and how it is known."""

    id: str
    value: float
    kind: Kind


class Numbers(Protocol):
    """Where the numbers come from. Each gives None where nobody stated it."""

    def by_id(self, identity: str) -> Known | None:
        """A figure or fact by its id."""

    def fact(self, soc: str, attribute: str) -> Known | None:
        """The winning fact of a SoC."""

    def says(self, soc: str, attribute: str, word: str) -> Known | None:
        """1 where the winning text has `word` in it, else 0."""


class Sum(msgspec.Struct, frozen=True):
    """The outcome: `value` None where a number is missing (`missing` names it) or where it is no finite number."""

    value: float | None
    used: tuple[Known, ...]
    missing: tuple[str, ...]


_SIGNS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


def evaluate(text: str, numbers: Numbers) -> Sum:
    """Work out `text`. Raises ValueError, saying what in it is not of this small language."""
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no sum") from error
    used: list[Known] = []
    missing: list[str] = []
    value = _value(tree, numbers, used, missing)
    if missing or value is None or not math.isfinite(value):
        return Sum(None, tuple(used), tuple(missing))
    return Sum(value, tuple(used), ())


def _value(node: ast.expr, numbers: Numbers, used: list[Known], missing: list[str]) -> float | None:
    """The value of a node; None where a number below it is missing. All numbers are looked up, so that all that are missing are named."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, numbers, used, missing)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        left, right = (_value(one, numbers, used, missing) for one in (node.left, node.right))
        if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
            return None
        return _SIGNS[type(node.op)](left, right)
    name, found = _look_up(node, numbers)
    if found is None:
        missing.append(name)
        return None
    used.append(found)
    return found.value


def _look_up(node: ast.expr, numbers: Numbers) -> tuple[str, Known | None]:
    if isinstance(node, ast.Name):
        return node.id, numbers.by_id(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        words = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if len(words) == len(node.args):
            match node.func.id, words:
                case "fact", [soc, attribute]:
                    return f"{soc}: {attribute}", numbers.fact(soc, attribute)
                case "says", [soc, attribute, word]:
                    return f"{soc}: {attribute}", numbers.says(soc, attribute, word)
    raise ValueError(f"{ast.unparse(node)!r} is neither a number, an id, fact(soc, attribute) nor says(soc, attribute, word)")
