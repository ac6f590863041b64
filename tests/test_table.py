"""The tidy table."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.metrics import metrics, readings
from harness.record import Setting
from harness.table import COLUMNS, frame, rows
from tests.records import RAPL, failed_record, llama_record, make_record, offline_record, whisper_record


def test_the_table_has_the_documented_columns_in_their_order() -> None:
    assert list(frame([make_record()]).columns) == list(COLUMNS)
    assert all(COLUMNS.values())


def test_there_is_one_row_for_each_reading() -> None:
    records = [make_record(), whisper_record(), llama_record(), offline_record(), failed_record()]
    table = frame(records)
    assert len(table) == sum(len(list(readings(one))) for one in records)
    assert not table.duplicated(["run_id", "metric", "phase"]).any()


def test_an_absent_value_is_nan_with_a_reason_and_never_zero() -> None:
    table = frame([failed_record(), make_record(n=100)])
    absent = table[table.value.isna()]
    assert len(absent) >= len(metrics())
    assert (absent.reason.str.len() > 0).all()
    assert (absent.evidence == "missing").all()
    assert (table[table.value.notna()].reason == "").all()


def test_a_value_keeps_unit_bounds_count_and_what_it_holds_for() -> None:
    table = frame([make_record(meters=(RAPL,))])
    latency = table[(table.metric == "latency_p90") & (table.phase == "infer")].to_dict("records")[0]
    assert latency["unit"] == "s"
    assert latency["low"] <= latency["value"] <= latency["high"]
    assert latency["count"] == 700
    assert table[table.metric == "power"].note.str.contains("package-0").all()


def test_the_types_of_the_columns_do_not_depend_on_the_records() -> None:
    types = frame([]).dtypes
    assert (frame([make_record(), failed_record()]).dtypes == types).all()
    assert (frame([make_record(settings={})]).dtypes == types).all()
    assert pd.api.types.is_integer_dtype(types["threads"])


def test_settings_are_columns_and_a_missing_one_is_not_a_number() -> None:
    four = frame([make_record(threads=4)])
    assert set(four.threads) == {4}
    assert set(four.weights) == {"synthetic"}
    none = frame([make_record(settings={"threads": Setting("auto", "default")})])
    assert none.threads.isna().all()
    assert none.batch.isna().all()


def test_the_rows_are_plain_python_for_those_without_pandas() -> None:
    for row in rows([llama_record()]):
        assert list(row) == list(COLUMNS)
        assert all(isinstance(one, (str, int, float, type(None))) for one in row.values())


@pytest.mark.parametrize("metric", ["latency_p50", "throughput", "cosine"])
def test_the_table_can_be_pivoted(metric: str) -> None:
    table = frame([make_record(precision="fp16"), make_record(precision="int8")])
    wide = table[table.metric == metric].pivot_table(index="workload", columns="precision", values="value")
    assert wide.shape == (1, 2)
