"""The summary tables: a row a session, a table a family of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.metrics import metrics
from harness.quantity import Unit, significant, text
from harness.record import RunRecord
from reports.detail import label_of, minute, status_of, tone_of, warnings_of, weights_kind
from reports.figures import Figures, Notes, cell, columns, heads, scale_of, to_csv
from reports.shapes import Cell, Group, Row, Table
from reports.words import FAMILIES, LASTING, OTHER, SHORT_ITEMS, Ask, Family, family_of, rate_of, weights_of

_KEYS = ("run_id", "target", "workload", "runtime", "precision", "scenario", "threads", "batch", "weights", "status")


class Labels:
    """How a run is called; the board, or the target where it has no name, is named where there are several."""

    def __init__(self, records: Sequence[RunRecord]) -> None:
        self.several = len({(one.target, one.board) for one in records}) > 1

    def short(self, record: RunRecord) -> str:
        """Within its workload."""
        return f"{record.board or record.target} · {label_of(record)}" if self.several else label_of(record)

    def whole(self, record: RunRecord) -> str:
        """Anywhere."""
        return f"{record.title} · {self.short(record)}"


def newest_of(ordered: Iterable[RunRecord]) -> set[int]:
    """The newest record of each identity, by id(record); the others are shown as earlier runs."""
    best: dict[tuple[str, ...], RunRecord] = {}
    for one in ordered:
        held = best.get(one.identity())
        if held is None or (one.begun_at, one.run_id) > (held.begun_at, held.run_id):
            best[one.identity()] = one
    return {id(one) for one in best.values()}


def tables(records: Sequence[RunRecord], figures: Mapping[int, Figures], newest: set[int], labels: Labels) -> Iterator[Table]:
    """One table for each family that has records, in the families' order. `figures` and `newest` are keyed by id(record)."""
    for family in (*FAMILIES, OTHER):
        own = [one for one in records if family_of(one.task) is family]
        if own:
            yield _table(family, own, figures, newest, labels)
    lasting = [one for one in records if any(spans.stage == "sustain" for spans in one.spans)]
    if lasting:
        yield _table(LASTING, lasting, figures, newest_of(lasting), labels)  # a short run since does not make a long one old


def _table(family: Family, records: Sequence[RunRecord], figures: Mapping[int, Figures], newest: set[int], labels: Labels) -> Table:
    notes = Notes()
    items = {one.item for one in records}
    item = records[0].item if len(items) == 1 else "item"
    measured = [figures[id(one)] for one in records if one.status in ("ok", "invalid")]
    scales = [scale_of(measured, ask) for ask in family.columns]
    cells: dict[int, tuple[Cell, ...]] = {
        id(one.record): tuple(cell(one, ask, notes, like) for ask, like in zip(family.columns, scales, strict=True)) for one in measured
    }
    groups: dict[tuple[str, str], list[RunRecord]] = {}
    for one in records:
        groups.setdefault((one.title, one.workload), []).append(one)
    words = {"item": SHORT_ITEMS.get(item, item), "rate": rate_of(item)}
    formulas = {one.id: one.formula for one in metrics()}
    made = columns(family.columns, words, formulas, list(cells.values()))
    csv_rows = [[*_keys(one), *(single.value for single in cells[id(one)])] if id(one) in cells else _keys(one) for one in records]
    return Table(
        id=family.id,
        title=family.title,
        caption=family.caption,
        heads=heads(made),
        columns=made,
        groups=tuple(
            Group(
                title,
                _about(some),
                tuple(_row(one, figures[id(one)].anchor, cells.get(id(one), ()), id(one) not in newest, labels, family) for one in some),
            )
            for (title, _), some in groups.items()
        ),
        notes=tuple(notes.texts),
        csv=to_csv([*_KEYS, *(_csv_head(ask) for ask in family.columns)], csv_rows),
        earlier=sum(id(one) not in newest for one in records),
    )


def _row(record: RunRecord, anchor: str, cells: tuple[Cell, ...], earlier: bool, labels: Labels, family: Family) -> Row:  # noqa: PLR0913, PLR0917 - each differs from row to row
    sub = f"earlier run, {minute(record.begun_at)}" if earlier else ""
    if family is LASTING:
        sub = "; ".join(filter(None, (record.module, sub)))
    return Row(
        anchor=anchor,
        label=labels.short(record),
        sub=sub,
        weights=weights_of(weights_kind(record)),
        status=status_of(record),
        tone=tone_of(record),
        warnings=warnings_of(record),
        cells=cells,
        reason=record.reason,
        fix=record.fix,
        earlier=earlier,
    )


def _about(records: Sequence[RunRecord]) -> str:
    """Parameters and operations of a workload, where all its artifacts agree on them."""
    artifacts = [one.artifact for one in records if one.artifact]
    said = []
    parameters = {one.parameters for one in artifacts if one.parameters}
    if len(parameters) == 1:
        said.append(f"{_count(parameters.pop())} parameters")
    ops = {tuple(one.ops.items()) for one in artifacts if one.ops}
    if len(ops) == 1:
        said += [f"{phase} {text(value, Unit.OP)}" for phase, value in ops.pop() if value]
    return " · ".join(said)


def _count(value: float) -> str:
    """25.5 M."""
    for scale, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{significant(value / scale)}\u2009{name}"
    return significant(value)


def _keys(record: RunRecord) -> list[str | float | None]:
    settings = {name: one.value for name, one in record.settings.items()}
    threads, batch = settings.get("threads"), settings.get("batch")
    return [
        record.run_id, record.target, record.workload, record.runtime, record.precision, record.scenario, threads, batch,
        weights_kind(record), record.status,
    ]  # fmt: skip


def _csv_head(ask: Ask) -> str:
    unit = next((one.unit.value for one in metrics() if one.id == ask.metric), "1")
    phase = next((one for one in ask.phases if one not in ("", "item", "infer", "*")), "")
    return f"{ask.metric}{'.' + phase if phase and ask.metric != 'peak_memory' else ''} [{unit}]"
