"""The message catalogue: every sentence that is said in more than one language, one TOML file a room.

An entry is ``[key]`` with ``en`` and ``zh``; ``{name}`` stands for what a `Note` puts in. Names of SoCs, units and sources are not translated.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Key -> language -> sentence, from all files of this folder. Raises ValueError where a key stands twice or lacks a language."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for key, texts in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if key in found:
                raise ValueError(f"{path.name}: {key!r} is already defined in another file")
            if lacking := [one for one in LANGUAGES if one not in texts]:
                raise ValueError(f"{path.name}: {key!r} has no {lacking[0]!r}")
            found[key] = texts
    return found


def say(key: str, language: str = "en", /, **values: object) -> str:
    """The sentence `key` in `language`. Raises KeyError where there is none, or where a value for it is missing."""
    return catalogue()[key][language].format(**values)
