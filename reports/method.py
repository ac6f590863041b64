"""How the ranking was made: draws, evidence by kind and source, quality of the estimates, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.decide.terms import PLACED, Text
from harness.quantity import THIN_SPACE, Kind, significant
from harness.words import catalogue
from reports.decide_shapes import Citation, Pages, QualityRow, Ranking, SocQuality, SourceRow, Tally
from reports.evidence_words import WORDS, said, same
from reports.ledger import ledger
from reports.market import Market, url_in
from reports.matrix import matrix
from reports.socs import anchors, socs
from reports.words import MARKS

if TYPE_CHECKING:
    from harness.decide.estimate import Quality

FEW = 5
"""A SoC with fewer rows than this is not called the worst: its median says little."""


def pages(market: Market) -> Pages:
    """All pages of the decision."""
    ids = anchors(market)
    return Pages(matrix(market, {soc: f"#{one}" for soc, one in ids.items()}), socs(market, ids), ledger(market), ranking(market))


def ranking(market: Market) -> Ranking:
    """What the page Method says about the ranking."""
    total = sum(one.rows for one in market.counts)
    return Ranking(
        draws=count(max((one.draws for one in market.decisions), default=0)),
        placed=share(PLACED),
        seed=next((one.seed for one in market.decisions), 0),
        as_of=next((one.as_of for one in market.decisions), ""),
        kinds=tuple(_kinds(market)),
        sources=tuple(
            SourceRow(Citation(one.source, url_in(one.url)), _source(one.kind), count(one.rows), one.licence)
            for one in sorted(market.counts, key=lambda one: (-one.rows, one.source))
        ),
        total=count(total),
        quality=tuple(quality(name, one) for name, one in market.quality.items()),
        words=tuple(WORDS.values()),
        folders=market.folders,
        version=market.version,
    )


def count(number: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{number:,}".replace(",", THIN_SPACE)


def _kinds(market: Market) -> list[Tally]:
    """The cells of all scenarios by kind of evidence, strongest first."""
    total = sum(market.kinds.values())
    return [
        Tally(same(kind.value), MARKS[kind], count(market.kinds[kind.value]), market.kinds[kind.value] / total)
        for kind in Kind
        if market.kinds.get(kind.value)
    ]


def _source(kind: str) -> Text:
    key = f"r-source-{kind}"
    return said(key) if key in catalogue() else same(kind)


def quality(name: str, one: Quality) -> QualityRow:
    """How good the estimates `name` are ("latency", "latency unseen", ...), in the words and digits of the page."""
    key = f"r-quality-{name.replace(' ', '-')}"
    by_soc = sorted(one.by_soc.items(), key=lambda item: -item[1][2])
    lines = [(rows, SocQuality(soc, count(rows), share(error), share(held))) for soc, (rows, _, error, held) in by_soc]
    return QualityRow(
        title=said(key) if key in catalogue() else same(name),
        rows=count(one.rows),
        cells=count(one.cells),
        socs=count(one.socs),
        error=share(one.error),
        within_25=share(one.within_25),
        within_2x=share(one.within_2x),
        held=share(one.coverage),
        half_width=f"\u00d7{THIN_SPACE}{significant(one.half_width)}",
        by_soc=tuple(line for _, line in lines),
        worst=next((line for rows, line in lines if rows >= FEW), None),
    )


def share(value: float) -> str:
    """A share of 1 in percent, to a whole one."""
    return f"{100 * value:.0f}{THIN_SPACE}%"
