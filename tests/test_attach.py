"""socbench attach: a log that was exported after the run becomes a further telemetry of the records it covers, and of no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.cli import main
from harness.errors import StoreError
from harness.metrics.spans import handled, window
from harness.record import Problem, RunRecord
from harness.store import Store, read
from tests.lab import ROOT, socbench
from tests.readings import reason, value
from tests.records import WALL, failed_record, make_record

UNIX_NS = 1_763_800_000 * 10**9
"""When the records' clock began, in the tests."""
WATTS = 6.5


def clocked(**options: Any) -> RunRecord:
    """A record of some seventeen seconds that says what time of day its clock began; the first span of all begins 1000 s later."""
    plain = make_record(**options)
    clock = {"clock_ns": 1_000_000_000_000, "unix_ns": UNIX_NS, "error_ns": 400_000}
    return msgspec.structs.replace(plain, environment={**plain.environment, "clock": clock})


def log(path: Path, begin_s: float = -3.0, end_s: float = 30.0, hertz: float = 7.3, watts: float = WATTS) -> Path:
    """A steady power by unix time, from and to seconds after the record's first span, at a rate that keeps no step with the items."""
    count = round((end_s - begin_s) * hertz)
    lines = [f"{UNIX_NS / 1e9 + begin_s + i / hertz:.3f},{watts}" for i in range(count)]
    path.write_text("time,power(W)\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def attach(results: Path, *words: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["attach", *map(str, words), "--results", str(results)])
    return code, capsys.readouterr().err


# --- what it adds --------------------------------------------------------------------------------------------------------------------


def test_a_log_gives_the_record_the_energy_that_it_integrates_to(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = clocked()
    path = Store(results).add(record)
    assert reason(record, "energy_per_item")
    code, said = attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    assert code == 0
    after = read(path)
    stretch = window(record)
    assert stretch is not None
    truth = WATTS * (stretch[1] - stretch[0]) / 1e9 / handled(record)
    assert value(after, "energy_per_item") == pytest.approx(truth, rel=1e-6)
    assert re.search(rf"^{record.run_id} .*: \d+ samples, 130\smJ per image \(scope board", said, re.MULTILINE)
    assert "power.csv: added to 1 of 1 records" in said


def test_everything_else_in_the_record_stays_as_it_was(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = clocked()
    path = Store(results).add(record)
    attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    after = read(path)
    assert msgspec.structs.replace(after, telemetry=record.telemetry) == record
    assert after.telemetry[:-1] == record.telemetry
    assert Store(results).files() == [path]


def test_where_the_sensor_that_stands_before_the_log_gives_nothing_there_is_no_energy_and_that_is_said(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(results).add(clocked(meters=(WALL,), missed=0.5))
    _, said = attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    assert re.search(r"by which power 6\.50\sW; no energy all the same: wall: outlet \(host\) sees as much or more", said), said


def test_of_a_run_that_was_emulated_it_says_that_no_times_are_kept(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    emulated = Problem("emulated", "invalid", "it ran under an emulator", "times are not the board's", "measure on the board", [])
    Store(results).add(clocked(spans=[], telemetry=[], problems=[emulated]))
    code, said = attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    assert code == 2
    assert "no times are kept of it: it ran under an emulator" in said


def test_the_samples_are_aligned_by_the_records_clock_and_carry_its_error(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Store(results).add(clocked())
    attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    added = read(path).telemetry[-1]
    assert added.instrument == "csv:power.csv"
    assert added.clock_offset_ns == 1_000_000_000_000 - UNIX_NS
    assert added.clock_error_ns == 400_000
    assert added.read_error_ns == 1_000_000  # the log's times are written in milliseconds
    assert added.t_ns[0] >= UNIX_NS - 3 * 10**9


def test_a_clock_that_is_known_to_be_off_is_corrected(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Store(results).add(clocked())
    late = log(tmp_path / "power.csv", begin_s=3600 - 3, end_s=3600 + 30)
    code, said = attach(results, late, capsys=capsys)
    assert code == 2
    code, said = attach(results, late, "--offset", "-3600", capsys=capsys)
    assert code == 0, said
    assert read(path).telemetry[-1].clock_offset_ns == 1_000_000_000_000 - UNIX_NS - 3600 * 10**9
    assert value(read(path), "energy_per_item")


def test_a_changing_power_is_attached_at_the_right_time(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The steady stage, and 0.2 s on either side, is where the power is 9 W; a shift by a second would mix it with the 3 W around it."""
    record = clocked()
    path = Store(results).add(record)
    stretch = window(record)
    assert stretch is not None
    begin, end = ((edge - 1_000_000_000_000) / 1e9 for edge in stretch)
    times = [i / 17.3 for i in range(-60, 600)]
    rows = "".join(f"{UNIX_NS / 1e9 + t:.4f},{9.0 if begin - 0.2 <= t <= end + 0.2 else 3.0}\n" for t in times)
    (tmp_path / "power.csv").write_text("time,power(W)\n" + rows)
    attach(results, tmp_path / "power.csv", capsys=capsys)
    assert value(read(path), "power") == pytest.approx(9.0, rel=1e-9)


def test_every_record_that_the_log_covers_gets_its_part(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = clocked()
    clock = {**first.environment["clock"], "unix_ns": UNIX_NS + 40 * 10**9}
    second = clocked(precision="int8", begun_at="2026-11-22T08:00:40Z")
    second = msgspec.structs.replace(second, environment={**second.environment, "clock": clock})
    elsewhere = clocked(precision="fp16", begun_at="2026-11-22T10:00:00Z")
    elsewhere = msgspec.structs.replace(elsewhere, environment={**elsewhere.environment, "clock": {**clock, "unix_ns": UNIX_NS + 7200 * 10**9}})
    paths = [Store(results).add(one) for one in (first, second, elsewhere)]
    code, said = attach(results, log(tmp_path / "power.csv", end_s=80.0), capsys=capsys)
    assert code == 0
    assert [len(read(path).telemetry) for path in paths] == [2, 2, 1]
    assert "added to 2 of 3 records" in said
    assert "1 other record was measured outside the log, which runs from 2025-11-22" in said
    begins = [read(path).telemetry[-1].t_ns[0] for path in paths[:2]]
    assert begins[1] - begins[0] == pytest.approx(40e9, abs=0.2e9)  # each has its own seconds, and not the whole log


# --- what it refuses -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stretch", "why"),
    [
        ({"begin_s": 10.0}, "the log begins 9.2 s after the measured stretch does: start the meter earlier"),
        ({"end_s": 10.0}, "before the measured stretch does: stop the meter later"),
        ({"begin_s": 500.0, "end_s": 600.0}, "another log, or --offset SECONDS"),
    ],
)
def test_a_log_that_does_not_cover_the_measured_stretch_changes_nothing_and_says_why(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stretch: dict[str, float], why: str
) -> None:
    record = clocked()
    path = Store(results).add(record)
    before = path.read_bytes()
    code, said = attach(results, log(tmp_path / "power.csv", **stretch), "--record", record.run_id, capsys=capsys)
    assert code == 2
    assert why in said
    assert path.read_bytes() == before


def test_a_record_without_the_time_of_day_is_named_with_what_to_do(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = make_record()
    Store(results).add(record)
    Store(results).add(failed_record(begun_at="2026-11-22T09:00:00Z"))
    code, said = attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    assert code == 2
    assert f"{record.run_id} (test-fixture resnet50 fp32 single-stream): it does not say what time of day" in said
    assert "nothing was measured: failed" in said


def test_the_same_log_twice_is_refused_unless_it_shall_replace(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Store(results).add(clocked())
    attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    once = path.read_bytes()
    code, said = attach(results, log(tmp_path / "power.csv", watts=2 * WATTS), capsys=capsys)
    assert code == 2
    assert "it has samples of csv:power.csv already: --replace" in said
    assert path.read_bytes() == once
    code, _ = attach(results, tmp_path / "power.csv", "--replace", capsys=capsys)
    assert code == 0
    assert [one.instrument for one in read(path).telemetry] == ["host", "csv:power.csv"]
    assert {row[0] for row in read(path).telemetry[-1].rows} == {2 * WATTS}


def test_a_wider_meter_that_was_there_during_the_run_keeps_its_word(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = clocked(meters=(WALL,), watts=12.0)
    path = Store(results).add(record)
    _, said = attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    assert value(read(path), "energy_per_item") == value(record, "energy_per_item")
    assert re.search(r"by which power 6\.50\sW; energy is taken from wall: outlet", said)


def test_a_record_that_is_not_there_is_answered_with_the_nearest_one(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = clocked()
    Store(results).add(record)
    code, said = attach(results, log(tmp_path / "power.csv"), "--record", record.run_id[:-1], capsys=capsys)
    assert code == 2
    assert f"did you mean {record.run_id}?" in said


def test_a_folder_without_records_is_an_error(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = attach(results, log(tmp_path / "power.csv"), capsys=capsys)
    assert code == 2
    assert "no such folder" in said
    results.mkdir()
    code, said = attach(results, tmp_path / "power.csv", capsys=capsys)
    assert code == 2
    assert "there are no records in this folder" in said


def test_a_log_whose_time_goes_back_is_an_error_and_changes_nothing(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Store(results).add(clocked())
    once = log(tmp_path / "power.csv").read_text()
    (tmp_path / "power.csv").write_text(once + "".join(once.splitlines(keepends=True)[1:]))
    before = path.read_bytes()
    code, said = attach(results, tmp_path / "power.csv", capsys=capsys)
    assert code == 2
    assert "time goes back by 32.877 s" in said
    assert "cut the log there" in said
    assert path.read_bytes() == before


# --- the file ------------------------------------------------------------------------------------------------------------------------


def test_a_record_is_replaced_whole_or_not_at_all(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, record = Store(results), clocked()
    path = store.add(record)
    before = path.read_bytes()

    def full(_self: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreError, match="No space left"):
            store.replace(path, msgspec.structs.replace(record, telemetry=[]))
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name]
    store.replace(path, msgspec.structs.replace(record, telemetry=[]))
    assert read(path).telemetry == []


def test_a_record_that_is_gone_is_not_written_anew(results: Path) -> None:
    store, record = Store(results), clocked()
    path = store.add(record)
    path.unlink()
    with pytest.raises(StoreError, match="there is no such record to replace"):
        store.replace(path, record)
    assert store.files() == []


def test_the_command_works_as_a_program(results: Path, tmp_path: Path) -> None:
    path = Store(results).add(clocked())
    log(tmp_path / "power.csv")
    done = socbench("attach", "power.csv", cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "SOCBENCH_RESULTS": str(results)})
    assert done.returncode == 0, done.stderr
    assert len(read(path).telemetry) == 2
    done = socbench("attach", "nothing.csv", cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "SOCBENCH_RESULTS": str(results)})
    assert done.returncode == 2
    assert "no such file: nothing.csv" in done.stderr
