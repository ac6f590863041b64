"""The matrix: each SoC in each scenario, sorted so that its structure shows."""

from __future__ import annotations

from collections.abc import Mapping

from harness.decide.catalogue import Soc
from harness.decide.terms import Cell, Decision, Entry
from reports.decide_shapes import Matrix, MatrixCell, MatrixRow, ScenarioHead
from reports.evidence_words import ROLES, RULED_OUT, WORDS, decide_link, limit_key, probability, short_metric, value_text, weakest_kind
from reports.market import Market
from reports.words import MARKS

STEPS = 10
"""Of the heat ramp, beside 0."""


def matrix(market: Market, hrefs: Mapping[str, str]) -> Matrix:
    """The table of all decisions. `hrefs`: soc id -> address of its section."""
    found = {decision.scenario: {one.soc: one for one in decision.entries} for decision in market.decisions}
    ids = sorted(
        dict.fromkeys(one.soc for decision in market.decisions for one in decision.entries),
        key=lambda soc: _place(market, soc),
    )
    rows: list[MatrixRow] = []
    for soc in ids:
        cells = tuple(_cell(decision, found[decision.scenario].get(soc)) for decision in market.decisions)
        leads = shortlisted(market, soc)
        still = sum(one.state in ("open", "thin") for one in cells)
        group = "leads" if leads else "open" if still else "out"
        named = market.socs.get(soc)
        rows.append(MatrixRow(hrefs.get(soc, ""), name_of(market, soc), named.vendor if named else "", role_of(named), leads, still, cells, group))
    firsts = [one if number == 0 or rows[number - 1].group != one.group else _without_group(one) for number, one in enumerate(rows)]
    used = {one.mark.word for row in rows for one in row.cells if one.mark}
    return Matrix(
        heads=tuple(_head(market, one) for one in market.decisions),
        rows=tuple(firsts),
        vendors=tuple(sorted({one.vendor for one in rows if one.vendor})),
        roles=tuple(one for one in ROLES if any(row.role == one for row in rows)),
        words=tuple(WORDS[one] for one in ("recommended", "leading", "shortlist")),
        marks=tuple(one for one in MARKS.values() if one.word in used),
        draws=max((one.draws for one in market.decisions), default=0),
    )


def name_of(market: Market, soc: str) -> str:
    """The name of a SoC; its id where the catalogue has none."""
    return market.socs[soc].name if soc in market.socs else soc


def role_of(soc: Soc | None) -> str:
    """The role of a catalogue entry as a word, "" where it is not known."""
    return str(soc.role) if soc else ""


def wins(decision: Decision, soc: str) -> bool:
    """Whether a SoC is recommended or leading in a scenario."""
    return decision.leader == soc and decision.word in ("recommended", "leading")


def shortlisted(market: Market, soc: str) -> int:
    """In how many scenarios a SoC is recommended, leading, or on the shortlist."""
    return sum(wins(one, soc) or soc in one.shortlist for one in market.decisions)


def basis(entry: Entry) -> list[Cell]:
    """The cells that an entry rests on: of the limits it meets, and of its criteria."""
    return [one.cell for one in entry.findings if one.state == "met"] + [one.cell for one in entry.parts]


def unknown(entry: Entry) -> list[Cell]:
    """The cells of limits that are neither met nor not met, and of criteria of which nothing is known; each question once."""
    cells = [one.cell for one in entry.findings if one.state == "unknown"] + [one.cell for one in entry.parts if not one.cell.known]
    return list({limit_key(one): one for one in cells}.values())


def blocking(entry: Entry) -> Cell | None:
    """The cell of the limit that rules an entry out: the one least likely to be met."""
    failed = [one for one in entry.findings if one.state == "not met"]
    return min(failed, key=lambda one: one.probability).cell if failed else None


def _place(market: Market, soc: str) -> tuple[float, float, float, float, float, str]:
    """To sort by: in how many scenarios it wins, in how many it is shortlisted, in how many it is not ruled out, how well it scores in them."""
    entries = [one for decision in market.decisions for one in decision.entries if one.soc == soc]
    leads = sum(wins(one, soc) for one in market.decisions)
    listed = shortlisted(market, soc)
    still = [one for one in entries if not one.ruled_out]
    return (-(listed > 0), -leads, -listed, -len(still), -sum(one.score for one in still), name_of(market, soc))


def _without_group(row: MatrixRow) -> MatrixRow:
    return MatrixRow(row.href, row.name, row.vendor, row.role, row.leads, row.open, row.cells)


def _head(market: Market, decision: Decision) -> ScenarioHead:
    leader = next((one for one in decision.entries if one.soc == decision.leader), None)
    return ScenarioHead(
        id=decision.scenario,
        href=decide_link(decision.scenario),
        title=market.scenarios[decision.scenario].title,
        word=WORDS[decision.word],
        leader=name_of(market, decision.leader) if leader else "",
        best=probability(leader.best) if leader else "",
        count=len(decision.shortlist),
    )


def _cell(decision: Decision, entry: Entry | None) -> MatrixCell:
    if entry is None:
        return MatrixCell("absent")
    href = decide_link(decision.scenario, entry.soc)
    if entry.ruled_out:
        cell = blocking(entry)
        if cell is None:
            return MatrixCell("out", href, word=RULED_OUT)
        value = value_text(cell.metric, cell.value, cell.unit)["en"] if cell.value is not None else ""
        return MatrixCell(
            "out", href, word=RULED_OUT, limit=short_metric(cell.metric), value=f"{cell.workload} {value}".strip(), mark=MARKS[cell.evidence.kind]
        )
    numbers = (entry.best, entry.feasible, entry.score)
    first, second, third = (probability(one) for one in numbers)
    kind = weakest_kind(basis(entry))
    return MatrixCell(
        "open" if entry.placed else "thin",
        href,
        numbers=(first, second, third),
        step=step(entry.best),
        word=WORDS[decision.word] if wins(decision, entry.soc) else WORDS["shortlist"] if entry.soc in decision.shortlist else None,
        wins=wins(decision, entry.soc),
        mark=MARKS[kind] if kind else None,
        unknown=len(unknown(entry)),
    )


def step(value: float) -> int:
    """The step of the heat ramp of a number in [0, 1]: 0 only for what is shown as 0.00."""
    short = float(probability(value))
    return max(1, min(STEPS, int(short * STEPS + 0.5))) if short else 0
