"""The identity of a published figure: which columns tell two figures apart, and a short id made from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

COLUMNS = (
    "row_id",
    "soc",
    "board",
    "workload",
    "model_name_in_source",
    "input_shape",
    "precision",
    "runtime",
    "compute_unit",
    "batch",
    "metric",
    "value",
    "source_repo",
    "source_path",
    "source_commit",
    "source_date",
    "source_kind",
    "note",
    "condition",
    "soc_variant",
)
"""The header of published.csv."""
KEY = tuple(name for name in COLUMNS if name not in {"row_id", "value", "source_date", "note"})
"""What tells two figures apart: the same key twice is the same figure twice, whatever the two values are."""
_SEPARATOR = "|"


def key(row: Mapping[str, str]) -> tuple[str, ...]:
    """The identity of `row`, in the order of `KEY`. Raises KeyError where a column is absent."""
    return tuple(row[name] for name in KEY)


def row_id(row: Mapping[str, str]) -> str:
    """A letter p and ten hexadecimal digits of the SHA-1 of the key, so that a row that is added twice has the same id."""
    return "p" + hashlib.sha1(_SEPARATOR.join(key(row)).encode(), usedforsecurity=False).hexdigest()[:10]
