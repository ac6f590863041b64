"""How often the worker was taken off its CPU: information, because some systems switch without harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.record import Problem, RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = 55
SHARE = 0.1


def check(record: RunRecord) -> Iterator[Problem]:
    """Involuntary switches in at least 10 % of the steady blocks."""
    blocks = next((one for one in record.blocks if one.stage == "steady"), None)
    if blocks is None or not blocks.switches:
        return
    hit = sum(1 for one in blocks.switches if one > 0)
    if hit >= SHARE * len(blocks.switches) and hit > 1:
        seconds = sum(end - begin for begin, end in zip(blocks.begin_ns, blocks.end_ns, strict=True)) / 1e9
        yield Problem(
            code="preempted",
            severity="note",
            what=f"the worker was taken off its CPU {sum(blocks.switches)} times in {seconds:.1f} s, in {hit / len(blocks.switches):.0%} of blocks",
            why="each time something else ran in its place; whether that cost time, the other checks say",
            fix="use fewer threads than there are CPUs, or stop what else runs",
            spoils=[],
        )
