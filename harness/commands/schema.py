"""socbench schema: the JSON schema of a record."""

from __future__ import annotations

import argparse
from typing import Any

from harness import console


def add(commands: Any) -> None:
    """Define the command."""
    one = commands.add_parser("schema", help="print the JSON schema of a record", description="Print the JSON schema of a record on stdout.")
    one.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print it."""
    import msgspec

    from harness.record import SCHEMA, RunRecord

    found = msgspec.json.schema(RunRecord)
    console.document({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"socbench record, schema {SCHEMA}", **found})
    return 0
