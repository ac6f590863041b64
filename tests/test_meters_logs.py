"""Logs that a meter's own software writes: heads, units and clocks are understood or named; a log that grows is read at each session's end."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.measure.meters import Missed, need, open_meter
from harness.measure.meters._log import binned, open_log
from harness.measure.meters._polled import clock

EVER = (0, 1 << 62)
UNIX = 1_763_800_000
"""2025-11-22T08:26:40Z."""


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def rows(folder: Path, text: str, options: str = "") -> Any:
    """Channels and excerpt of a log with that text."""
    log = open_log(f"csv:{write(folder, text)}{options}")
    return log.channels, log.read(*EVER)


def wrong(folder: Path, text: str, options: str = "") -> UsageError:
    with pytest.raises(UsageError) as caught:
        rows(folder, text, options)
    assert caught.value.fix
    return caught.value


# --- heads ---------------------------------------------------------------------------------------------------------------------------

BCU = """\
time(ms),vdd_soc voltage(V),vdd_soc current(mA),vdd2_ddr voltage(V),vdd2_ddr current(mA),GROUP_SOC Power(mW),GROUP_DRAM Power(mW)
100,0.850000,1000.000000,1.100000,200.000000,850.000000,220.000000
350,0.850000,1200.000000,1.100000,200.000000,1020.000000,220.000000
HOT-KEY 1 PRESSED: Reset AVG value
600,0.850000,1100.000000,1.100000,300.000000,935.000000,330.000000
AVG,0.850000,1100.000000,1.100000,233.333333,935.000000,256.666667
"""
START = "start=2025-11-22T08:26:40Z"


def test_a_dump_of_nxps_bcu_gives_each_rail_its_power(tmp_path: Path) -> None:
    channels, found = rows(tmp_path, BCU, f"?{START}")
    assert [(one.site, one.scope) for one in channels] == [("vdd_soc", "rail"), ("vdd2_ddr", "rail")]
    assert found.rows == [pytest.approx(row) for row in ([0.85, 0.22], [1.02, 0.22], [0.935, 0.33])]
    assert [t - UNIX * 10**9 for t in found.t_ns] == [0, 250_000_000, 500_000_000]


def test_the_sum_that_bcu_makes_of_a_group_is_the_board_where_it_is_named_so(tmp_path: Path) -> None:
    text = BCU.replace("GROUP_SOC", "GROUP_PLATFORM")
    channels, found = rows(tmp_path, text, f"?power=GROUP_PLATFORM Power(mW)&scope=board&name=vsys_5v&{START}")
    assert [(one.site, one.scope) for one in channels] == [("vsys_5v", "board")]
    assert [row[0] for row in found.rows] == pytest.approx([0.85, 1.02, 0.935])


def test_several_powers_cannot_all_be_the_board(tmp_path: Path) -> None:
    error = wrong(tmp_path, BCU, f"?scope=board&{START}")
    assert "2 powers cannot all be the board: vdd_soc, vdd2_ddr" in error.what


@pytest.mark.parametrize(
    ("text", "options", "watts"),
    [
        ("#time,current,voltage,power,charge,energy\n0.0,0.5,5.0,2.5,0,0\n0.5,0.6,5.0,3.0,0.2,1.2\n", f"?{START}", [2.5, 3.0]),  # Joulescope UI
        ("Timestamp(ms),Current(uA)\n0,500000\n10,600000\n", f"?voltage=5.0&{START}", [2.5, 3.0]),  # nRF Connect Power Profiler
        ("Timestamp(ms),Current(uA),D0-D7\n0,500000,00000000\n10,600000,00000001\n", f"?voltage=5V&{START}", [2.5, 3.0]),
        ("Timestamp,Value\n0.0,0.5\n0.00025,0.6\n", f"?current=Value&voltage=5&hertz=100&{START}", [2.75]),  # Otii, one channel a file
        (f"Time;Power [mW]\n{UNIX},0;2500,5\n{UNIX + 1},0;3000,5\n", "", [2.5005, 3.0005]),  # a spreadsheet's decimal commas
        (f"time\tV\tI_A\n{UNIX}\t5\t0.5\n{UNIX + 1}\t5\t0.6\n", "?voltage=V&current=I_A", [2.5, 3.0]),
        (f"time,watts\n{UNIX},2.5\n{UNIX + 1},3\n", "", [2.5, 3.0]),
        (f"time,Voltage (V),Current (mA)\n{UNIX},5,500\n{UNIX + 1},5,600\n", "", [2.5, 3.0]),
        (f"unix_time,load,p\n{UNIX},1,2500\n{UNIX + 1},2,3000\n", "?power=p&unit=mW", [2.5, 3.0]),
        (f'\ufeff"Date/Time","Active power (kW)"\n{UNIX},0.0025\n{UNIX + 1},0.003\n', "", [2.5, 3.0]),
        (f"time,Power Factor,Apparent power (VA),W\n{UNIX},0.6,4,2.5\n{UNIX + 1},0.6,4,3\n", "", [2.5, 3.0]),
        (f"# exported by a meter\n# 2 channels\ntime,power\n{UNIX},2.5\n{UNIX + 1},3\n", "", [2.5, 3.0]),
    ],
)
def test_the_heads_of_common_logs_are_understood(tmp_path: Path, text: str, options: str, watts: list[float]) -> None:
    channels, found = rows(tmp_path, text, options)
    assert [row[0] for row in found.rows] == pytest.approx(watts)
    assert [(one.kind, one.unit, one.scope) for one in channels] == [("power", "W", "board")]


@pytest.mark.parametrize(
    ("text", "options", "what", "fix"),
    [
        (f"time,power(W)\n{UNIX},1\n", "?power=Powr(W)", "no column 'Powr(W)'; the log has time, power(W)", "power=power(W)?"),
        (f"time,power(W)\n{UNIX},1\n", "?time=when", "no column 'when'; the log has time, power(W)", "time=COLUMN"),
        (f"when,power(W)\n{UNIX},1\n", "", "no column looks like the time; the log has when, power(W)", "time=COLUMN"),
        (f"time,foo,bar\n{UNIX},1,2\n", "", "no column looks like power; the log has time, foo, bar", "power=COLUMN"),
        (f"time,current(mA)\n{UNIX},1\n", "", "current(mA) is a current, and no column is its voltage", "voltage=5.1"),
        (f"time,I,x\n{UNIX},1,2\n", "?current=I", "a current without a voltage is no power", "voltage=5.1"),
        (f"time,power,v\n{UNIX},1,2\n", "?power=power&voltage=v", "power is a column, or current and voltage", "power=..."),
        (f"time,p\n{UNIX},1\n", "?power=p&unit=J", "unit=J is no unit of p", "unit=W"),
        ("1763800000,5\n1763800001,6\n", "", "has no line with the columns' names", "time,power"),
        ("", "", "is empty", "wait until"),
        (f"time,power\n{UNIX},5\n", "", "fewer than two rows", "wait until"),
        ("time,power\nyesterday,5\ntoday,5\n", "", "'yesterday' in the first row is no time", "time=COLUMN"),
        ("time,power\n0,5\n1,5\n", "", "count from the log's start, and it does not say when that was", "start=mtime"),
        ("time,power\n0,5\n1,5\n", "?start=soon", "start=soon is no time", "start=2026"),
        ("time,power\n0,5\n1,5\n", "?clock=unix", "clock=unix, but 0 in the first row is no time since 1970", "clock=s"),
        ("time,power\n0,5\n1,5\n", "?clock=sundial", "clock=sundial is none of", "leave it away"),
        ("time,power\n2025-11-22T08:00,5\n2025-11-22T08:01,5\n", "?zone=Mars/Olympus", "no time zone 'Mars/Olympus'", "zone=UTC"),
        ("time,power\n2025-11-22T08:00,5\n2025-11-22T08:01,5\n", "?clock=unix", "is no number", "leave clock= away"),
    ],
)
def test_what_is_not_understood_is_named_with_what_to_write(tmp_path: Path, text: str, options: str, what: str, fix: str) -> None:
    error = wrong(tmp_path, text, options)
    assert what in error.what
    assert fix in error.fix


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such file: .*nothing\.csv"):
        open_log(str(tmp_path / "nothing.csv"))


def test_a_cell_that_is_empty_or_no_number_is_none(tmp_path: Path) -> None:
    text = f"time,power\n{UNIX},5\n{UNIX + 1},\n{UNIX + 2},nan\n{UNIX + 3},OVER\n{UNIX + 4}\n{UNIX + 5},0\n"
    assert rows(tmp_path, text)[1].rows == [[5.0], [None], [None], [None], [None], [0.0]]


def test_a_line_that_is_still_being_written_is_left_for_the_next_time(tmp_path: Path) -> None:
    text = f"time,power\n{UNIX},5\n{UNIX + 1},6\n{UNIX + 2},12"
    assert rows(tmp_path, text)[1].rows == [[5.0], [6.0]]
    assert rows(tmp_path, text + "3\n")[1].rows == [[5.0], [6.0], [123.0]]


# --- clocks --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        (f"{UNIX}", f"{UNIX + 1}", ""),
        (f"{UNIX}.000", f"{UNIX + 1}.000", ""),
        (f"{UNIX}000", f"{UNIX + 1}000", ""),
        (f"{UNIX}000000", f"{UNIX + 1}000000", ""),
        (f"{UNIX}000000000", f"{UNIX + 1}000000000", "?clock=unix"),
        ("2025-11-22T08:26:40Z", "2025-11-22T08:26:41Z", ""),
        ("2025-11-22T09:26:40+01:00", "2025-11-22T09:26:41+01:00", "?clock=iso"),
        ("2025-11-22 08:26:40.000", "2025-11-22 08:26:41.000", "?zone=UTC"),
        ("2025/11/22 09:26:40", "2025/11/22 09:26:41", "?zone=Europe/Berlin"),
        ("0", "1", "?start=2025-11-22T08:26:40Z"),
        ("7000", "8000", "?clock=ms&start=2025-11-22T08:26:40Z"),
        ("7000000", "8000000", "?clock=us&start=1763800000"),
        (f"{UNIX - 2}", f"{UNIX - 1}", "?offset=2"),
    ],
)
def test_a_time_is_read_however_it_is_written(tmp_path: Path, first: str, second: str, options: str) -> None:
    found = rows(tmp_path, f"time,power\n{first},5\n{second},6\n", options)[1]
    assert found.t_ns == [UNIX * 10**9, (UNIX + 1) * 10**9]
    assert (found.first_ns, found.last_ns) == (UNIX * 10**9, (UNIX + 1) * 10**9)


def test_a_time_without_a_zone_is_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        found = rows(tmp_path, "time,power\n2025-11-22 17:26:40,5\n2025-11-22 17:26:41,6\n")[1]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.t_ns[0] == UNIX * 10**9


@pytest.mark.parametrize(
    ("first", "second", "step"), [("0", "1", 10**9), ("0.0", "0.5", 10**8), ("0.000", "0.251", 10**6), ("0.000001", "0.1", 1000)]
)
def test_the_steps_of_the_stamps_are_their_error(tmp_path: Path, first: str, second: str, step: int) -> None:
    assert rows(tmp_path, f"time,power\n{first},5\n{second},6\n", f"?{START}")[1].stamp_ns == step


def test_a_log_can_be_aligned_by_when_it_was_last_written_to_within_a_second(tmp_path: Path) -> None:
    path = write(tmp_path, BCU)
    os.utime(path, ns=(UNIX * 10**9, UNIX * 10**9))
    found = open_log(f"csv:{path}?start=mtime").read(*EVER)
    assert found.t_ns[-1] == UNIX * 10**9
    assert found.t_ns[0] == UNIX * 10**9 - 500_000_000
    assert found.clock_error_ns == 10**9


def test_a_time_that_goes_back_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(Missed, match=rf"time goes back by 3 s after {UNIX + 5}\.000 s"):
        rows(tmp_path, f"time,power\n{UNIX},5\n{UNIX + 5},5\n{UNIX + 2},5\n")


# --- rates ---------------------------------------------------------------------------------------------------------------------------


def test_a_fast_log_is_averaged_down_without_losing_energy(tmp_path: Path) -> None:
    values = [(i % 7) + 0.5 for i in range(4000)]
    text = "time(ms),power(mW)\n" + "".join(f"{i * 0.25},{value * 1000}\n" for i, value in enumerate(values))
    log = open_log(f"csv:{write(tmp_path, text)}?{START}")
    assert log.hertz == 100.0
    found = log.read(*EVER)
    assert len(found.rows) == 100
    assert sum(float(row[0] or 0.0) for row in found.rows) / 100 == pytest.approx(sum(values) / 4000)
    assert found.t_ns[0] == UNIX * 10**9 + round(39 / 2 * 250_000)  # the mean of its samples' times


def test_a_log_is_averaged_to_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    text = "time,power\n" + "".join(f"{UNIX + i / 10:.1f},{i}\n" for i in range(100))
    log = open_log(f"csv:{write(tmp_path, text)}?hertz=1")
    assert (log.hertz, log.read(*EVER).rows[0]) == (1.0, [4.5])
    assert open_log(str(tmp_path / "log.csv")).hertz == 10.0
    assert open_log(f"{tmp_path}/log.csv?hertz=50").hertz == 10.0  # no more than it has


def test_a_mean_leaves_out_what_is_none() -> None:
    samples: list[tuple[int, list[float | None]]] = [(0, [1.0, None]), (1, [None, None]), (2, [3.0, None]), (10, [5.0, 7.0])]
    assert list(binned(samples, 10)) == [(1, [2.0, None]), (10, [5.0, 7.0])]
    assert list(binned([], 10)) == []


def test_only_the_rows_between_two_times_are_kept(tmp_path: Path) -> None:
    log = open_log(str(write(tmp_path, "time,power\n" + "".join(f"{UNIX + i},{i}\n" for i in range(20)))))
    found = log.read((UNIX + 5) * 10**9, (UNIX + 7) * 10**9)
    assert found.rows == [[5.0], [6.0], [7.0]]
    assert (found.first_ns, found.last_ns) == (UNIX * 10**9, (UNIX + 19) * 10**9)
    assert found.cut((UNIX + 6) * 10**9, 1 << 62).rows == [[6.0], [7.0]]


# --- a log that grows ----------------------------------------------------------------------------------------------------------------


class Writer:
    """A meter's program that writes a row now and then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("time,power\n")
        self.at = time.time_ns()
        for i in range(-3, 0):
            self.row(1.0, self.at + i * 10**9)

    def row(self, watts: float, t_ns: int | None = None) -> None:
        with self.path.open("a") as file:
            file.write(f"{(time.time_ns() if t_ns is None else t_ns) / 1e9:.6f},{watts}\n")


def test_a_growing_log_gives_each_session_what_was_written_in_it_on_our_clock(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "log.csv")
    with open_meter(f"csv:{writer.path}?hertz=100") as meter:
        taken: list[tuple[int, int]] = []
        found = []
        for watts in (2.0, 3.0):
            meter.begin()
            before = clock()
            for _ in range(5):
                writer.row(watts)
            taken.append((before, clock()))
            found.append(meter.end())
    for (before, after), telemetry, watts in zip(taken, found, (2.0, 3.0), strict=True):
        inside = [(t, row[0]) for t, row in zip(telemetry.t_ns, telemetry.rows, strict=True) if row[0] == watts]
        error = telemetry.clock_error_ns + telemetry.read_error_ns + 1_000_000
        assert inside
        assert all(before - error <= t <= after + error for t, _ in inside)
        assert (telemetry.instrument, telemetry.absent) == ("csv:log.csv", [])
    assert meter.end().rows == []


def test_a_log_that_lags_behind_the_run_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "time,power\n" + "".join(f"{UNIX + i},1.0\n" for i in range(4)))
    with open_meter(f"csv:{path}") as meter:
        meter.begin()
        found = meter.end()
    assert found.rows == []
    assert found.absent[0].reason == "the log has no row of this run"
    assert "socbench attach log.csv" in found.absent[0].fix


@pytest.mark.parametrize("how", ["unlink", "goes back"])
def test_a_log_that_breaks_during_a_run_is_absent_and_no_error(tmp_path: Path, how: str) -> None:
    writer = Writer(tmp_path / "log.csv")
    with open_meter(f"csv:{writer.path}") as meter:
        meter.begin()
        if how == "unlink":
            writer.path.unlink()
        else:
            writer.row(1.0, writer.at - 5 * 10**9)
        found = meter.end()
    assert found.rows == []
    assert found.absent[0].reason
    assert found.absent[0].fix


# --- JLS -----------------------------------------------------------------------------------------------------------------------------


def recording(path: Path, *, power: bool = True, utc: bool = True, seconds: int = 4) -> Path:
    """A JLS file as the library itself writes it: 1 kHz, from UNIX on; the power is the second's number, counted from 1."""
    pyjls = need("pyjls", "jls")
    with pyjls.Writer(str(path)) as file:
        file.source_def(source_id=1, name="JS220-001234", vendor="Jetperch", model="JS220", version="1", serial_number="001234")
        watts = np.repeat(np.arange(1, seconds + 1, dtype=np.float32), 1000)
        signals = {"power": watts} if power else {"current": watts / 5, "voltage": np.full_like(watts, 5)}
        for number, (name, values) in enumerate(signals.items(), 1):
            file.signal_def(
                signal_id=number, source_id=1, signal_type=pyjls.SignalType.FSR, data_type=pyjls.DataType.F32, sample_rate=1000, name=name, units="W"
            )
            file.fsr_f32(number, 0, values)
            if utc:
                for at in range(seconds):
                    file.utc(number, at * 1000, pyjls.time64.as_time64(datetime.fromtimestamp(UNIX + at, UTC)))
    return path


@pytest.mark.parametrize("power", [True, False])
def test_a_recording_of_a_joulescope_is_averaged_by_its_samples(tmp_path: Path, power: bool) -> None:
    log = open_log(f"{recording(tmp_path / 'r.jls', power=power)}?hertz=2")
    found = log.read(*EVER)
    assert (log.hertz, log.instrument, log.channels[0].scope) == (2.0, "jls:r.jls", "board")
    assert [row[0] for row in found.rows[:6]] == pytest.approx([1, 1, 2, 2, 3, 3], rel=1e-3)
    assert found.t_ns[0] == pytest.approx(UNIX * 10**9 + 250_000_000, abs=2)
    assert found.first_ns == pytest.approx(UNIX * 10**9, abs=2)
    assert found.last_ns == pytest.approx((UNIX + 4) * 10**9, abs=2_000_000)


def test_only_the_part_of_a_recording_that_is_asked_for_is_read(tmp_path: Path) -> None:
    log = open_log(f"jls:{recording(tmp_path / 'r.jls')}?hertz=10&offset=100")
    found = log.read((UNIX + 101) * 10**9, (UNIX + 102) * 10**9)
    assert {round(row[0] or 0) for row in found.rows} == {2}
    assert len(found.rows) in (10, 11)


def test_a_recording_without_the_time_of_day_or_without_power_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say when its samples were taken"):
        open_log(str(recording(tmp_path / "r.jls", utc=False)))
    (tmp_path / "bad.jls").write_bytes(b"this is no recording" * 100)
    with pytest.raises(UsageError, match=r"bad\.jls is no JLS recording"):
        open_log(str(tmp_path / "bad.jls"))
