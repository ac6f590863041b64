"""The claims ledger: each claim beside what is known, with all numbers on one axis."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from harness.decide.claims import Claim
from harness.quantity import significant, text
from reports.decide_shapes import Against, Axis, ClaimRow, Ledger
from reports.evidence_words import MEETS, VERDICTS
from reports.figures import slug, to_csv, unique
from reports.market import Market
from reports.words import MARKS

LOG_FROM = 8.0
"""Where the largest number on an axis is this many times the smallest, the axis is logarithmic."""
_PAD = 0.06


def ledger(market: Market) -> Ledger:
    """All claims, in the order of their ids; and how many there are of each verdict."""
    taken: set[str] = set()
    ordered = sorted(market.claims, key=lambda one: one.id)
    counts: Counter[str] = Counter(one.verdict for one in ordered)
    return Ledger(
        rows=tuple(_row(one, unique(f"claim-{slug(one.id)}", taken)) for one in ordered),
        counts=tuple((verdict, mark, counts[verdict]) for verdict, mark in VERDICTS.items() if counts[verdict]),
        csv=_csv(ordered),
    )


def _row(one: Claim, anchor: str) -> ClaimRow:
    return ClaimRow(
        anchor=anchor,
        id=one.id,
        claim=one.text,
        subject=one.subject,
        metric=one.metric,
        claimed=one.claimed,
        verdict=one.verdict,
        word=VERDICTS[one.verdict],
        judged=one.judged,
        why=one.why,
        note=one.note,
        how=one.how,
        found=tuple(
            Against(
                label=each.label,
                value=text(each.value, one.unit) if each.value is not None else "",
                word=MEETS.get(each.verdict),
                mark=MARKS[each.kind],
                missing=", ".join(each.missing),
            )
            for each in one.found
        ),
        axis=axis(one),
    )


def axis(claim: Claim) -> Axis | None:
    """The claim and the numbers found on one axis, or None where either is missing.

    Logarithmic where the numbers are far apart and all positive; else linear from zero. The ticks are in the unit of the claim.
    """
    found = [one for one in claim.found if one.value is not None]
    ends = [one for one in (claim.low, claim.high) if one is not None]
    values = [*ends, *(one.value for one in found if one.value is not None)]
    if not found or not ends or not all(map(math.isfinite, values)):
        return None
    log = min(values) > 0 and max(values) / min(values) >= LOG_FROM
    lowest, highest = (min(values), max(values)) if log else (min(0.0, *values), max(values))
    if not lowest < highest:
        return None
    start, end = (math.log(lowest), math.log(highest)) if log else (lowest, highest)

    def place(value: float) -> float:
        share = ((math.log(value) if log else value) - start) / (end - start)
        return round(_PAD + share * (1 - 2 * _PAD), 4)

    no_low = claim.low is None or claim.relation in ("at most", "below")
    no_high = claim.high is None or claim.relation in ("at least", "above", "factor")
    first, last = ends[0], ends[-1]
    return Axis(
        claimed=(0.0 if no_low else place(first), 1.0 if no_high else place(last)),
        open=(no_low, no_high),
        found=tuple((place(one.value), one.verdict) for one in found if one.value is not None),
        ticks=tuple((place(one), text(one, claim.unit)) for one in (lowest, highest)),
        log=log,
    )


def _csv(ordered: Sequence[Claim]) -> str:
    head = ("claim", "text", "subject", "metric", "claimed", "relation", "low", "high", "unit", "verdict", "judged", "found", "evidence")
    rows = [
        (
            one.id, one.text["en"], one.subject, one.metric, one.claimed, one.relation, one.low, one.high, one.unit.value, one.verdict,
            "by a person" if one.judged else "from the numbers",
            "; ".join(f"{each.label}: {significant(each.value, 5) if each.value is not None else '-'}" for each in one.found), " ".join(one.rows),
        )
        for one in ordered
    ]  # fmt: skip
    return to_csv(head, rows)
